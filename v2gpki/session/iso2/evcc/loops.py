"""The charging loops of AC and DC, cable check, pre-charge and welding detection (ISO 15118-2 8.4.4, 8.4.5)."""

from __future__ import annotations

from dataclasses import replace

from v2gpki.energy.quantities import Demand, Present
from v2gpki.energy.steering import Delivered
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session import notices
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.evcc.receipts import receipt
from v2gpki.session.iso2.evcc.trip import Intent, Trip
from v2gpki.session.iso2.metering import reading_of
from v2gpki.session.iso2.values import physical, quantity
from v2gpki.session.iso2.words import ISOLATION_HEARD, STATES_HEARD, phases_of
from v2gpki.session.questions import DemandQuestion

#: Amperes at most before the contactors close (IEC 61851-23).
_PRECHARGE_CURRENT = 2.0
_SOUND = frozenset({"valid", "warning", "no_imd"})


def charge(trip: Trip) -> Steps[Intent]:
    """Turns of the loop until somebody wants something else."""
    delivered = Delivered(trip.stage(), closed=True, granted=trip.granted)
    while True:
        demand = yield from trip.ask(DemandQuestion(delivered))
        yield from trip.look()
        intent = yield from trip.step()
        if intent != "go_on":
            return intent
        delivered, info, wanted = yield from _turn(trip, demand)
        if wanted and not (yield from receipt(trip, info)):
            return "stop"
        yield from trip.engine.rest(trip.settings.loop_pace)


def _turn(trip: Trip, demand: Demand) -> Steps[tuple[Delivered, iso2.MeterInfoType | None, bool]]:
    """One exchange of the loop: what is delivered, the meter, whether a receipt is wanted."""
    if trip.current == "AC":
        status = yield from trip.exchange(
            iso2.ChargingStatusReq(),
            iso2.ChargingStatusRes,
            then=lambda answer: "receipt-ac" if answer.ReceiptRequired else "charging-ac",
        )
        delivered, info = _ac_delivered(trip, status, demand), status.MeterInfo
        trip.noted(status.AC_EVSEStatus)
        return delivered, info, bool(status.ReceiptRequired)
    response = yield from trip.exchange(
        _dc_demand(trip, demand),
        iso2.CurrentDemandRes,
        then=lambda answer: "receipt-dc" if answer.ReceiptRequired else "charging-dc",
    )
    trip.noted(response.DC_EVSEStatus)
    return _dc_delivered(trip, response), response.MeterInfo, bool(response.ReceiptRequired)


# --- AC -------------------------------------------------------------------------------------------------------------


def _ac_delivered(trip: Trip, response: iso2.ChargingStatusRes, demand: Demand) -> Delivered:
    """What may flow; what does is the vehicle's to know."""
    limits, phases = trip.stage(), phases_of(trip.mode)
    if response.EVSEMaxCurrent is not None:
        most = quantity(response.EVSEMaxCurrent, "A", "EVSEMaxCurrent")
        limits = replace(limits, max_current=most, max_charge_power=most * limits.nominal_voltage * phases)
        trip.limits = limits
    granted = trip.granted
    target = limits.max_charge_power if granted is None else min(limits.max_charge_power, granted)
    flows = min(demand.power, target)
    _tell(trip, limits.nominal_voltage, flows / (limits.nominal_voltage * phases), flows, response.MeterInfo)
    return Delivered(
        limits,
        voltage=limits.nominal_voltage,
        current=target / (limits.nominal_voltage * phases),
        power=target,
        closed=True,
        granted=granted,
    )


def _tell(trip: Trip, voltage: float, current: float, power: float, info: iso2.MeterInfoType | None) -> None:
    imported = None if info is None else reading_of(info).imported
    trip.engine.tell(notices.Delivered(trip.engine.now, voltage, current, power, imported))


# --- DC -------------------------------------------------------------------------------------------------------------


def prepare(trip: Trip) -> Steps[None]:
    """Isolation, then the battery's voltage at the outlet."""
    yield from _check_cable(trip)
    yield from _pre_charge(trip)


def _check_cable(trip: Trip) -> Steps[None]:
    began, done = trip.engine.now, False
    while not done:
        response = yield from trip.exchange(
            iso2.CableCheckReq(DC_EVStatus=trip.dc_status()),
            iso2.CableCheckRes,
            then=lambda answer: "cable-checked" if answer.EVSEProcessing == "Finished" else "checking-cable",
        )
        done = response.EVSEProcessing == "Finished"
        _require_sound(trip, response.DC_EVSEStatus, done=done)
        if not done:
            yield from trip.again("cable check", began, trip.dialect.timers.cable_check)


def _require_sound(trip: Trip, status: iso2.DC_EVSEStatus, *, done: bool) -> None:
    """No contactor closes onto a cable that is not isolated; a station that says nothing of it is taken at its word."""
    heard = status.EVSEIsolationStatus
    isolation = "valid" if heard is None else ISOLATION_HEARD[heard]
    trip.noted(status)
    if isolation == "fault" or trip.wish == "stop" or (done and isolation not in _SOUND):
        raise V2GPKIError(
            "session.not_delivered",
            f"the station is not fit to charge: isolation {heard}, {status.EVSEStatusCode}",
            clause="ISO 15118-2 8.4.5.2",
            facts={"isolation": heard, "status": status.EVSEStatusCode},
        )
    if done and isolation == "warning":
        trip.engine.tell(notices.Remarked(trip.engine.now, "the isolation check ends with a warning"))


def _pre_charge(trip: Trip) -> Steps[None]:
    demand = yield from trip.ask(DemandQuestion(Delivered(trip.stage(), granted=trip.granted)))
    yield from trip.look()
    began, reached = trip.engine.now, False
    while not reached:
        request = iso2.PreChargeReq(
            DC_EVStatus=trip.dc_status(),
            EVTargetVoltage=physical(demand.voltage, "V"),
            EVTargetCurrent=physical(max(0.0, min(_PRECHARGE_CURRENT, demand.current)), "A"),
        )
        response = yield from trip.exchange(request, iso2.PreChargeRes)
        _require_sound(trip, response.DC_EVSEStatus, done=False)
        voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
        reached = abs(voltage - demand.voltage) <= trip.settings.precharge_within
        if not reached:
            yield from trip.again("pre-charge", began, trip.dialect.timers.pre_charge)


def _dc_demand(trip: Trip, demand: Demand) -> iso2.CurrentDemandReq:
    vehicle, state = trip.vehicle, trip.state_now
    full, bulk = state.seconds_to_full, state.seconds_to_bulk
    return iso2.CurrentDemandReq(
        DC_EVStatus=trip.dc_status(),
        EVTargetCurrent=physical(max(0.0, demand.current), "A"),
        EVMaximumVoltageLimit=None if vehicle is None else physical(vehicle.max_voltage, "V"),
        EVMaximumCurrentLimit=None if vehicle is None else physical(vehicle.max_current, "A"),
        EVMaximumPowerLimit=None if vehicle is None else physical(vehicle.max_charge_power, "W"),
        BulkChargingComplete=state.bulk_complete,
        ChargingComplete=state.complete,
        RemainingTimeToFullSoC=None if full is None else physical(max(0.0, full), "s"),
        RemainingTimeToBulkSoC=None if bulk is None else physical(max(0.0, bulk), "s"),
        EVTargetVoltage=physical(demand.voltage, "V"),
    )


def _dc_delivered(trip: Trip, response: iso2.CurrentDemandRes) -> Delivered:
    voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
    current = quantity(response.EVSEPresentCurrent, "A", "EVSEPresentCurrent")
    limits = trip.stage()
    if response.EVSEMaximumVoltageLimit is not None:
        limits = replace(limits, max_voltage=quantity(response.EVSEMaximumVoltageLimit, "V", "EVSEMaximumVoltageLimit"))
    if response.EVSEMaximumCurrentLimit is not None:
        limits = replace(limits, max_current=quantity(response.EVSEMaximumCurrentLimit, "A", "EVSEMaximumCurrentLimit"))
    if response.EVSEMaximumPowerLimit is not None:
        watts = quantity(response.EVSEMaximumPowerLimit, "W", "EVSEMaximumPowerLimit")
        limits = replace(limits, max_charge_power=watts)
    trip.limits = limits
    heard = response.DC_EVSEStatus.EVSEIsolationStatus
    present = Present(
        voltage,
        current,
        voltage * current,
        current_limited=response.EVSECurrentLimitAchieved,
        voltage_limited=response.EVSEVoltageLimitAchieved,
        power_limited=response.EVSEPowerLimitAchieved,
        isolation="valid" if heard is None else ISOLATION_HEARD[heard],
        state=STATES_HEARD.get(response.DC_EVSEStatus.EVSEStatusCode, "ready"),
    )
    _tell(trip, voltage, current, voltage * current, response.MeterInfo)
    return Delivered(limits, voltage, current, voltage * current, closed=True, granted=trip.granted, present=present)


def detect_welding(trip: Trip) -> Steps[None]:
    """One look at the outlet's voltage after the contactors have opened."""
    request = iso2.WeldingDetectionReq(DC_EVStatus=trip.dc_status(ready=False))
    response = yield from trip.exchange(request, iso2.WeldingDetectionRes)
    voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
    trip.engine.tell(notices.Remarked(trip.engine.now, f"{voltage:g} V at the outlet after charging"))
