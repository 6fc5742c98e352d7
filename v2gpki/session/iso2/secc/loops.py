"""The charging loops of AC and DC, with what goes before and after in DC (ISO 15118-2 8.4.4, 8.4.5)."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.metering import meter_info
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.values import physical, quantity, taken
from v2gpki.session.notices import Delivered, Remarked
from v2gpki.session.questions import (
    CableCheckQuestion,
    Limits,
    PowerQuestion,
    PreChargeQuestion,
    Present,
    Processed,
    Setpoint,
    WeldingQuestion,
)


def charging_status(visit: Visit, heard: Heard) -> Steps[Answer]:
    """One turn in AC."""
    taken(heard, iso2.ChargingStatusReq)
    present = yield from visit.ask(PowerQuestion(None))
    meter, receipt = _metered(visit, present)
    limits = present.limits or visit.limits
    response = iso2.ChargingStatusRes(
        ResponseCode="OK",
        EVSEID=visit.settings.evse_id,
        SAScheduleTupleID=visit.chosen,
        EVSEMaxCurrent=None if limits is None else physical(limits.max_current, "A"),
        MeterInfo=meter,
        ReceiptRequired=receipt,
        AC_EVSEStatus=visit.ac_status(present),
    )
    return Answer(response, "receipt-ac" if receipt else "charging-ac")


def cable_check(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Isolation, for as long as the standard lets it take."""
    _remark_error(visit, taken(heard, iso2.CableCheckReq).DC_EVStatus)
    visit.isolated = False
    done = yield from _checked(visit)
    if not done.finished and not visit.waiting("cable check", visit.dialect.timers.cable_check_performance):
        raise V2GPKIError("session.late", "the isolation check took too long", clause="ISO 15118-2 8.8.3")
    if done.finished:
        visit.done("cable check")
    visit.isolated = done.finished
    response = iso2.CableCheckRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("EVSE_Ready" if done.finished else "EVSE_IsolationMonitoringActive"),
        EVSEProcessing="Finished" if done.finished else "Ongoing",
    )
    return Answer(response, "cable-checked" if done.finished else "checking-cable")


def _checked(visit: Visit) -> Steps[Processed]:
    try:
        return (yield from visit.ask(CableCheckQuestion()))
    except V2GPKIError as problem:
        if problem.code != "session.late":
            raise
        return Processed(finished=False)


def pre_charge(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The outlet follows the vehicle's voltage."""
    request = taken(heard, iso2.PreChargeReq)
    _remark_error(visit, request.DC_EVStatus)
    voltage = quantity(request.EVTargetVoltage, "V", "EVTargetVoltage")
    current = quantity(request.EVTargetCurrent, "A", "EVTargetCurrent")
    present = yield from visit.ask(PreChargeQuestion(Setpoint(voltage, current, voltage * current)))
    response = iso2.PreChargeRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("EVSE_Ready", present),
        EVSEPresentVoltage=physical(present.voltage, "V"),
    )
    return Answer(response)


def current_demand(visit: Visit, heard: Heard) -> Steps[Answer]:
    """One turn in DC."""
    request = taken(heard, iso2.CurrentDemandReq)
    _remark_error(visit, request.DC_EVStatus)
    question = PowerQuestion(_setpoint(request), request.DC_EVStatus.EVRESSSOC)
    present = yield from visit.ask(question)
    meter, receipt = _metered(visit, present)
    limits = present.limits
    response = iso2.CurrentDemandRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("EVSE_Ready", present),
        EVSEPresentVoltage=physical(present.voltage, "V"),
        EVSEPresentCurrent=physical(present.current, "A"),
        EVSECurrentLimitAchieved=present.current_limited,
        EVSEVoltageLimitAchieved=present.voltage_limited,
        EVSEPowerLimitAchieved=present.power_limited,
        EVSEMaximumVoltageLimit=None if limits is None else physical(limits.max_voltage, "V"),
        EVSEMaximumCurrentLimit=None if limits is None else physical(limits.max_current, "A"),
        EVSEMaximumPowerLimit=None if limits is None else physical(limits.max_power, "W"),
        EVSEID=visit.settings.evse_id,
        SAScheduleTupleID=visit.chosen,
        MeterInfo=meter,
        ReceiptRequired=receipt,
    )
    return Answer(response, "receipt-dc" if receipt else "charging-dc")


def welding_detection(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The voltage at the outlet, while the vehicle looks whether its contactors open."""
    _remark_error(visit, taken(heard, iso2.WeldingDetectionReq).DC_EVStatus)
    present = yield from visit.ask(WeldingQuestion())
    response = iso2.WeldingDetectionRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("EVSE_Shutdown"),
        EVSEPresentVoltage=physical(present.voltage, "V"),
    )
    return Answer(response)


def _setpoint(request: iso2.CurrentDemandReq) -> Setpoint:
    """What the vehicle asks for, and the most that it takes."""
    voltage = quantity(request.EVTargetVoltage, "V", "EVTargetVoltage")
    current = quantity(request.EVTargetCurrent, "A", "EVTargetCurrent")
    most_volts, most_amperes = request.EVMaximumVoltageLimit, request.EVMaximumCurrentLimit
    most_watts = request.EVMaximumPowerLimit
    maximum = None
    if most_volts is not None and most_amperes is not None:
        volts = quantity(most_volts, "V", "EVMaximumVoltageLimit")
        amperes = quantity(most_amperes, "A", "EVMaximumCurrentLimit")
        watts = volts * amperes if most_watts is None else quantity(most_watts, "W", "EVMaximumPowerLimit")
        maximum = Limits(watts, amperes, volts)
    return Setpoint(voltage, current, voltage * current, maximum)


def _metered(visit: Visit, present: Present) -> tuple[iso2.MeterInfoType | None, bool]:
    """The reading that goes out, and whether the vehicle has to sign it: only who pays by contract can."""
    reading = present.reading
    imported, exported = (None, None) if reading is None else (reading.imported, reading.exported)
    visit.engine.tell(
        Delivered(visit.engine.now, present.voltage, present.current, present.power, imported, exported)
    )
    if reading is None:
        return None, False
    info = meter_info(reading)
    wanted = present.receipt or (visit.settings.receipts and reading != visit.confirmed)
    receipt = wanted and visit.method == "pnc"
    visit.reading, visit.receipt_for = reading, info if receipt else None
    return info, receipt


def _remark_error(visit: Visit, status: iso2.DC_EVStatus) -> None:
    """What is wrong with the vehicle is the vehicle's to act on."""
    if status.EVErrorCode != "NO_ERROR":
        visit.engine.tell(Remarked(visit.engine.now, f"the vehicle says {status.EVErrorCode}"))
