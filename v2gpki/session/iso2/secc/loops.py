"""The charging loops of AC and DC, with what goes before and after in DC (ISO 15118-2 8.4.4, 8.4.5)."""

from __future__ import annotations

from v2gpki.energy.quantities import IsolationState, Setpoint, VehicleState
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.metering import meter_info
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.values import physical, quantity, seconds, taken
from v2gpki.session.iso2.words import FAULTS_HEARD, ISOLATION
from v2gpki.session.notices import Delivered, Remarked
from v2gpki.session.questions import (
    CableCheckQuestion,
    Delivery,
    PowerQuestion,
    PreChargeQuestion,
    WeldingQuestion,
)

_PERCENT = 100

# --- AC -------------------------------------------------------------------------------------------------------------


def charging_status(visit: Visit, heard: Heard) -> Steps[Answer]:
    """One turn in AC."""
    taken(heard, iso2.ChargingStatusReq)
    given = yield from visit.ask(_power(visit, _ac_setpoint(visit), None))
    meter, receipt = _metered(visit, given)
    stage = given.limits
    most = stage.max_current
    if given.control.power is not None:
        phases = 1 if visit.vehicle is None else visit.vehicle.phases
        most = min(most, max(0.0, given.control.power) / (stage.nominal_voltage * phases))
    response = iso2.ChargingStatusRes(
        ResponseCode="OK",
        EVSEID=visit.settings.offer.evse_id,
        SAScheduleTupleID=visit.chosen,
        EVSEMaxCurrent=physical(most, "A"),
        MeterInfo=meter,
        ReceiptRequired=receipt,
        AC_EVSEStatus=visit.ac_status(given.present),
    )
    return Answer(response, "receipt-ac" if receipt else "charging-ac")


def _ac_setpoint(visit: Visit) -> Setpoint:
    """The most that may flow: the vehicle takes what it wants of it."""
    vehicle, stage = visit.vehicle, visit.limits
    most = [one.max_charge_power for one in (vehicle, stage) if one is not None]
    granted = _granted_now(visit)
    if granted is not None:
        most.append(granted)
    if visit.control.power is not None:
        most.append(max(0.0, visit.control.power))
    wanted = 0.0 if visit.needs is None else visit.needs.target_energy
    flowed = 0.0
    if visit.reading is not None and visit.metered_from is not None:
        flowed = visit.reading.imported - visit.metered_from
    return Setpoint(
        min(most, default=0.0),
        max_current=None if vehicle is None else vehicle.max_current,
        max_power=None if vehicle is None else vehicle.max_charge_power,
        energy=max(0.0, wanted - flowed) if wanted > 0 else None,
    )


def _granted_now(visit: Visit) -> float | None:
    granted = visit.granted
    return None if granted is None else granted.power_at(visit.now)


def _power(visit: Visit, setpoint: Setpoint, vehicle: VehicleState | None) -> PowerQuestion:
    return PowerQuestion(
        setpoint, vehicle=vehicle, limits=visit.vehicle, needs=visit.needs, granted=_granted_now(visit)
    )


def _metered(visit: Visit, given: Delivery) -> tuple[iso2.MeterInfoType | None, bool]:
    """The reading that goes out, and whether the vehicle has to sign it: only who pays by contract can."""
    present, reading = given.present, given.reading
    visit.control, visit.limits = given.control, given.limits
    imported, exported = (None, None) if reading is None else (reading.imported, reading.exported)
    visit.engine.tell(
        Delivered(visit.engine.now, present.voltage, present.current, present.power, imported, exported)
    )
    if reading is None:
        return None, False
    info = meter_info(reading)
    receipt = visit.method == "pnc" and (given.control.receipt or given.control.notification == "confirm_metering")
    visit.reading, visit.receipt_for = reading, info if receipt else None
    visit.metered_from = reading.imported if visit.metered_from is None else visit.metered_from
    return info, receipt


# --- DC -------------------------------------------------------------------------------------------------------------


def cable_check(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Isolation, for as long as the standard lets it take."""
    _state(visit, taken(heard, iso2.CableCheckReq).DC_EVStatus)
    visit.isolation = yield from _checked(visit)
    done = visit.isolation != "unknown"
    if not done and not visit.waiting("cable check", visit.dialect.timers.cable_check_performance):
        raise V2GPKIError("session.late", "the isolation check took too long", clause="ISO 15118-2 8.8.3")
    if visit.isolation == "fault":
        raise V2GPKIError("session.not_delivered", "the cable is not isolated", clause="ISO 15118-2 8.4.5.2")
    if done:
        visit.done("cable check")
    response = iso2.CableCheckRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("ready" if done else "isolation_monitoring"),
        EVSEProcessing="Finished" if done else "Ongoing",
    )
    return Answer(response, "cable-checked" if done else "checking-cable")


def _checked(visit: Visit) -> Steps[IsolationState]:
    """How it stands; who does not say in time is still checking, and a word that is none is no good news."""
    try:
        said = yield from visit.ask(CableCheckQuestion())
    except V2GPKIError as problem:
        if problem.code != "session.late":
            raise
        return "unknown"
    return next((state for state in ISOLATION if state == said), "fault")


def pre_charge(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The outlet follows the vehicle's voltage."""
    request = taken(heard, iso2.PreChargeReq)
    _state(visit, request.DC_EVStatus)
    voltage = max(0.0, quantity(request.EVTargetVoltage, "V", "EVTargetVoltage"))
    current = max(0.0, quantity(request.EVTargetCurrent, "A", "EVTargetCurrent"))
    present = yield from visit.ask(PreChargeQuestion(voltage, current))
    response = iso2.PreChargeRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("ready", present),
        EVSEPresentVoltage=physical(present.voltage, "V"),
    )
    return Answer(response)


def current_demand(visit: Visit, heard: Heard) -> Steps[Answer]:
    """One turn in DC."""
    request = taken(heard, iso2.CurrentDemandReq)
    given = yield from visit.ask(_power(visit, _dc_setpoint(visit, request), _demanding(visit, request)))
    meter, receipt = _metered(visit, given)
    present, stage = given.present, given.limits
    response = iso2.CurrentDemandRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("ready", present),
        EVSEPresentVoltage=physical(present.voltage, "V"),
        EVSEPresentCurrent=physical(present.current, "A"),
        EVSECurrentLimitAchieved=present.current_limited,
        EVSEVoltageLimitAchieved=present.voltage_limited,
        EVSEPowerLimitAchieved=present.power_limited,
        EVSEMaximumVoltageLimit=physical(stage.max_voltage, "V"),
        EVSEMaximumCurrentLimit=physical(stage.max_current, "A"),
        EVSEMaximumPowerLimit=physical(stage.max_charge_power, "W"),
        EVSEID=visit.settings.offer.evse_id,
        SAScheduleTupleID=visit.chosen,
        MeterInfo=meter,
        ReceiptRequired=receipt,
    )
    return Answer(response, "receipt-dc" if receipt else "charging-dc")


def _dc_setpoint(visit: Visit, request: iso2.CurrentDemandReq) -> Setpoint:
    """What the vehicle asks for, and the most that both may come to."""
    # Nothing flows back in -2, whatever the stage could do.
    voltage = max(0.0, quantity(request.EVTargetVoltage, "V", "EVTargetVoltage"))
    current = max(0.0, quantity(request.EVTargetCurrent, "A", "EVTargetCurrent"))
    volts, amperes, watts = request.EVMaximumVoltageLimit, request.EVMaximumCurrentLimit, request.EVMaximumPowerLimit
    max_power = None if watts is None else quantity(watts, "W", "EVMaximumPowerLimit")
    most = [] if visit.limits is None else [visit.limits.max_charge_power]
    most += [one for one in (_granted_now(visit), max_power, visit.control.power) if one is not None]
    return Setpoint(
        max(0.0, min(most, default=voltage * current)),
        voltage,
        current,
        max_voltage=None if volts is None else quantity(volts, "V", "EVMaximumVoltageLimit"),
        max_current=None if amperes is None else quantity(amperes, "A", "EVMaximumCurrentLimit"),
        max_power=max_power,
    )


def _demanding(visit: Visit, request: iso2.CurrentDemandReq) -> VehicleState:
    status = request.DC_EVStatus
    _state(visit, status)
    full, bulk = request.RemainingTimeToFullSoC, request.RemainingTimeToBulkSoC
    return VehicleState(
        soc=status.EVRESSSOC / _PERCENT,
        voltage=quantity(request.EVTargetVoltage, "V", "EVTargetVoltage"),
        ready=status.EVReady,
        fault=FAULTS_HEARD.get(status.EVErrorCode, "no_data"),
        complete=request.ChargingComplete,
        bulk_complete=bool(request.BulkChargingComplete),
        seconds_to_full=None if full is None else seconds(full, "RemainingTimeToFullSoC"),
        seconds_to_bulk=None if bulk is None else seconds(bulk, "RemainingTimeToBulkSoC"),
    )


def welding_detection(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The voltage at the outlet, while the vehicle looks whether its contactors open."""
    _state(visit, taken(heard, iso2.WeldingDetectionReq).DC_EVStatus)
    present = yield from visit.ask(WeldingQuestion())
    response = iso2.WeldingDetectionRes(
        ResponseCode="OK",
        DC_EVSEStatus=visit.dc_status("shutdown"),
        EVSEPresentVoltage=physical(present.voltage, "V"),
    )
    return Answer(response)


def _state(visit: Visit, status: iso2.DC_EVStatus) -> None:
    """What is wrong with the vehicle is the vehicle's to act on."""
    if status.EVErrorCode != "NO_ERROR":
        visit.engine.tell(Remarked(visit.engine.now, f"the vehicle says {status.EVErrorCode}"))
