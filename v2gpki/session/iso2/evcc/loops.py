"""The charging loops of AC and DC, cable check, pre-charge and welding detection (ISO 15118-2 8.4.4, 8.4.5)."""

from __future__ import annotations

from dataclasses import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.evcc.receipts import receipt
from v2gpki.session.iso2.evcc.trip import Intent, Trip
from v2gpki.session.iso2.metering import reading_of
from v2gpki.session.iso2.values import physical, quantity
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import Present, Wish

#: Amperes at most before the contactors close (IEC 61851-23).
_PRECHARGE_CURRENT = 2.0


def charge(trip: Trip) -> Steps[Intent]:
    """Turns of the loop until somebody wants something else."""
    turn = _ac_turn if trip.current == "ac" else _dc_turn
    wish = trip.wish if trip.present is None and trip.wish is not None else (yield from trip.wishes())
    while True:
        intent = trip.intent(wish)
        if intent != "go_on":
            return intent
        info, wanted = yield from turn(trip, wish)
        if wanted and not (yield from receipt(trip, info)):
            return "stop"
        wish = yield from trip.wishes()


# --- AC -------------------------------------------------------------------------------------------------------------


def _ac_turn(trip: Trip, wish: Wish) -> Steps[tuple[iso2.MeterInfoType | None, bool]]:
    response = yield from trip.exchange(
        iso2.ChargingStatusReq(),
        iso2.ChargingStatusRes,
        then=lambda answer: "receipt-ac" if answer.ReceiptRequired else "charging-ac",
    )
    limits = trip.limits
    if response.EVSEMaxCurrent is not None:
        most = quantity(response.EVSEMaxCurrent, "A", "EVSEMaxCurrent")
        power = most * limits.nominal_voltage * limits.phases
        trip.limits = limits = replace(limits, max_current=most, max_power=power)
    # What flows is the vehicle's to know: it takes what it wants, at most what the station allows.
    current, power = min(wish.setpoint.current, limits.max_current), min(wish.setpoint.power, limits.max_power)
    reading = None if response.MeterInfo is None else reading_of(response.MeterInfo)
    trip.flowed(Present(limits.nominal_voltage, current, power, reading=reading, limits=limits))
    trip.noted(response.AC_EVSEStatus)
    return response.MeterInfo, bool(response.ReceiptRequired)


# --- DC -------------------------------------------------------------------------------------------------------------


def prepare(trip: Trip) -> Steps[None]:
    """Isolation, then the battery's voltage at the outlet."""
    yield from _check_cable(trip)
    yield from _pre_charge(trip)


def _check_cable(trip: Trip) -> Steps[None]:
    began, done = trip.engine.now, False
    while not done:
        response = yield from trip.exchange(
            iso2.CableCheckReq(DC_EVStatus=trip.dc_status(ready=True)),
            iso2.CableCheckRes,
            then=lambda answer: "cable-checked" if answer.EVSEProcessing == "Finished" else "checking-cable",
        )
        done = response.EVSEProcessing == "Finished"
        _require_sound(trip, response.DC_EVSEStatus, done=done)
        if not done:
            yield from trip.again("cable check", began, trip.dialect.timers.cable_check)


def _require_sound(trip: Trip, status: iso2.DC_EVSEStatus, *, done: bool) -> None:
    """No contactor closes onto a cable that is not isolated."""
    isolation = status.EVSEIsolationStatus
    trip.noted(status)
    if isolation == "Fault" or trip.notification == "stop":
        raise V2GPKIError(
            "session.not_delivered",
            f"the station is not fit to charge: isolation {isolation}, {status.EVSEStatusCode}",
            clause="ISO 15118-2 8.4.5.2",
        )
    if done and isolation in {"Invalid", "Warning"}:
        trip.engine.tell(Remarked(trip.engine.now, f"the isolation check ends with {isolation}"))


def _pre_charge(trip: Trip) -> Steps[None]:
    trip.present = None
    wish = yield from trip.wishes()
    target = wish.setpoint.voltage
    began, reached = trip.engine.now, False
    while not reached:
        request = iso2.PreChargeReq(
            DC_EVStatus=trip.dc_status(ready=True),
            EVTargetVoltage=physical(target, "V"),
            EVTargetCurrent=physical(max(0.0, min(_PRECHARGE_CURRENT, wish.setpoint.current)), "A"),
        )
        response = yield from trip.exchange(request, iso2.PreChargeRes)
        _require_sound(trip, response.DC_EVSEStatus, done=False)
        voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
        reached = abs(voltage - target) <= trip.settings.precharge_within
        if not reached:
            yield from trip.again("pre-charge", began, trip.dialect.timers.pre_charge)


def _dc_turn(trip: Trip, wish: Wish) -> Steps[tuple[iso2.MeterInfoType | None, bool]]:
    limits, setpoint = trip.vehicle, wish.setpoint
    remaining = physical(wish.remaining_seconds, "s") if wish.remaining_seconds > 0 else None
    request = iso2.CurrentDemandReq(
        DC_EVStatus=trip.dc_status(ready=True),
        EVTargetCurrent=physical(max(0.0, setpoint.current), "A"),
        EVMaximumVoltageLimit=physical(limits.max_voltage, "V"),
        EVMaximumCurrentLimit=physical(limits.max_current, "A"),
        EVMaximumPowerLimit=physical(limits.max_power, "W"),
        ChargingComplete=wish.complete,
        RemainingTimeToFullSoC=remaining,
        EVTargetVoltage=physical(setpoint.voltage, "V"),
    )
    response = yield from trip.exchange(
        request,
        iso2.CurrentDemandRes,
        then=lambda answer: "receipt-dc" if answer.ReceiptRequired else "charging-dc",
    )
    trip.flowed(_dc_present(trip, response))
    trip.noted(response.DC_EVSEStatus)
    return response.MeterInfo, bool(response.ReceiptRequired)


def _dc_present(trip: Trip, response: iso2.CurrentDemandRes) -> Present:
    voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
    current = quantity(response.EVSEPresentCurrent, "A", "EVSEPresentCurrent")
    limits = trip.limits
    if response.EVSEMaximumVoltageLimit is not None:
        most = quantity(response.EVSEMaximumVoltageLimit, "V", "EVSEMaximumVoltageLimit")
        limits = replace(limits, max_voltage=most)
    if response.EVSEMaximumCurrentLimit is not None:
        most = quantity(response.EVSEMaximumCurrentLimit, "A", "EVSEMaximumCurrentLimit")
        limits = replace(limits, max_current=most)
    if response.EVSEMaximumPowerLimit is not None:
        most = quantity(response.EVSEMaximumPowerLimit, "W", "EVSEMaximumPowerLimit")
        limits = replace(limits, max_power=most)
    trip.limits = limits
    return Present(
        voltage,
        current,
        voltage * current,
        response.EVSECurrentLimitAchieved,
        response.EVSEVoltageLimitAchieved,
        response.EVSEPowerLimitAchieved,
        None if response.MeterInfo is None else reading_of(response.MeterInfo),
        limits=trip.limits,
    )


def detect_welding(trip: Trip) -> Steps[None]:
    """One look at the outlet's voltage after the contactors have opened."""
    request = iso2.WeldingDetectionReq(DC_EVStatus=trip.dc_status(ready=False))
    response = yield from trip.exchange(request, iso2.WeldingDetectionRes)
    voltage = quantity(response.EVSEPresentVoltage, "V", "EVSEPresentVoltage")
    trip.engine.tell(Remarked(trip.engine.now, f"{voltage:g} V at the outlet after charging"))
