"""What the vehicle can and wants, what the station offers, and consent to it; the start of power (ISO 15118-2 8.4.3.8,
8.4.3.9, 8.5.2.20)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.settings import phases_of
from v2gpki.session.iso2.values import physical, quantity
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import (
    Choice,
    ConsentQuestion,
    Limits,
    Needs,
    NeedsQuestion,
    Period,
    Schedule,
    SignatureQuestion,
    VehicleLimitsQuestion,
)

_CLAUSE = "ISO 15118-2 8.4.3.8"
_MOST_PROFILE_ENTRIES = 24


def negotiate(trip: Trip) -> Steps[None]:
    """Say what is wanted until there are schedules, and consent to one."""
    trip.vehicle = yield from trip.ask(VehicleLimitsQuestion(trip.current, False))
    needs = yield from trip.ask(NeedsQuestion())
    began = trip.engine.now
    offer = None
    while offer is None:
        request = iso2.ChargeParameterDiscoveryReq(
            RequestedEnergyTransferMode=trip.settings.transfer_mode,
            EVChargeParameter=_ac(trip, needs) if trip.current == "ac" else _dc(trip, needs),
        )
        response = yield from trip.exchange(request, iso2.ChargeParameterDiscoveryRes, then=partial(_then, trip))
        trip.limits = _limits(trip, response.EVSEChargeParameter)
        if response.EVSEProcessing == "Finished":
            offer = response.SASchedules
            if offer is None:
                raise _unusable("it is finished, and offers no schedule")
        else:
            yield from trip.again("schedules", began, trip.dialect.timers.ongoing)
    trip.schedules = schedules.read(offer)
    signed = yield from _signed(trip, offer)
    choice = yield from trip.ask(ConsentQuestion(trip.schedules, signed))
    trip.choice = _checked(trip, choice)
    trip.notification = ""


def _then(trip: Trip, response: iso2.ChargeParameterDiscoveryRes) -> str:
    renegotiating = trip.state.startswith("renegotiating")
    if response.EVSEProcessing != "Finished":
        return trip.state if renegotiating else "negotiating"
    return "renegotiated-dc" if trip.state == "renegotiating-dc" else f"parameters-{trip.current}"


def start(trip: Trip) -> Steps[None]:
    """Let power flow by the schedule that was chosen."""
    chosen = next(schedule for schedule in trip.schedules if schedule.number == trip.choice.number)
    profile = trip.choice.profile or _below(chosen, trip.vehicle)
    phases = phases_of(trip.settings.transfer_mode) if trip.current == "ac" else 0
    yield from deliver(trip, "Start", "charging", schedules.profile_written(profile, phases))


def deliver(
    trip: Trip,
    progress: iso2.chargeProgressType,
    then: str,
    profile: iso2.ChargingProfileType | None = None,
) -> Steps[None]:
    """PowerDelivery."""
    dc = trip.current == "dc"
    request = iso2.PowerDeliveryReq(
        ChargeProgress=progress,
        SAScheduleTupleID=trip.choice.number,
        ChargingProfile=profile,
        EVPowerDeliveryParameter=_progress(trip, progress) if dc else None,
    )
    response = yield from trip.exchange(request, iso2.PowerDeliveryRes, then=f"{then}-{trip.current}")
    if progress == "Start":
        trip.noted(response.EVSEStatus)


def _progress(trip: Trip, progress: iso2.chargeProgressType) -> iso2.DC_EVPowerDeliveryParameter:
    complete = progress == "Stop" and trip.wish is not None and trip.wish.complete
    return iso2.DC_EVPowerDeliveryParameter(
        DC_EVStatus=trip.dc_status(ready=progress != "Stop"), BulkChargingComplete=complete, ChargingComplete=complete
    )


# --- what is asked for ----------------------------------------------------------------------------------------------


def _ac(trip: Trip, needs: Needs) -> iso2.AC_EVChargeParameter:
    limits = trip.vehicle
    return iso2.AC_EVChargeParameter(
        DepartureTime=round(needs.departure) or None,
        EAmount=physical(max(0.0, needs.energy), "Wh"),
        EVMaxVoltage=physical(limits.max_voltage, "V"),
        EVMaxCurrent=physical(limits.max_current, "A"),
        EVMinCurrent=physical(limits.min_current, "A"),
    )


def _dc(trip: Trip, needs: Needs) -> iso2.DC_EVChargeParameter:
    limits = trip.vehicle
    trip.state_of_charge = needs.state_of_charge
    return iso2.DC_EVChargeParameter(
        DepartureTime=round(needs.departure) or None,
        DC_EVStatus=trip.dc_status(ready=True),
        EVMaximumCurrentLimit=physical(limits.max_current, "A"),
        EVMaximumPowerLimit=physical(limits.max_power, "W"),
        EVMaximumVoltageLimit=physical(limits.max_voltage, "V"),
        EVEnergyCapacity=physical(needs.max_energy, "Wh") if needs.max_energy > 0 else None,
        EVEnergyRequest=physical(max(0.0, needs.energy), "Wh"),
        FullSOC=max(0, min(100, needs.target_state_of_charge)),
    )


# --- what is offered ------------------------------------------------------------------------------------------------


def _limits(trip: Trip, parameter: iso2.AC_EVSEChargeParameter | iso2.DC_EVSEChargeParameter) -> Limits:
    if isinstance(parameter, iso2.AC_EVSEChargeParameter) != (trip.current == "ac"):
        raise _unusable(f"{trip.settings.transfer_mode} is answered with {type(parameter).__name__}")
    if isinstance(parameter, iso2.AC_EVSEChargeParameter):
        voltage = quantity(parameter.EVSENominalVoltage, "V", "EVSENominalVoltage")
        current = quantity(parameter.EVSEMaxCurrent, "A", "EVSEMaxCurrent")
        phases = phases_of(trip.settings.transfer_mode)
        power = voltage * current * phases
        return Limits(power, current, voltage, nominal_voltage=voltage, phases=phases)
    return Limits(
        max_power=quantity(parameter.EVSEMaximumPowerLimit, "W", "EVSEMaximumPowerLimit"),
        max_current=quantity(parameter.EVSEMaximumCurrentLimit, "A", "EVSEMaximumCurrentLimit"),
        max_voltage=quantity(parameter.EVSEMaximumVoltageLimit, "V", "EVSEMaximumVoltageLimit"),
        min_current=quantity(parameter.EVSEMinimumCurrentLimit, "A", "EVSEMinimumCurrentLimit"),
        min_voltage=quantity(parameter.EVSEMinimumVoltageLimit, "V", "EVSEMinimumVoltageLimit"),
        ripple=quantity(parameter.EVSEPeakCurrentRipple, "A", "EVSEPeakCurrentRipple"),
    )


def _signed(trip: Trip, offer: iso2.SAScheduleList) -> Steps[bool]:
    """Whether the prices are signed by the operator of this vehicle's contract: what is signed wrongly is not."""
    heard, contract = trip.last, trip.contract
    if not schedules.offers_tariff(offer) or heard is None or contract is None:
        return False
    if not isinstance(heard.message, iso2.V2G_Message) or heard.message.Header.Signature is None:
        trip.engine.tell(Remarked(trip.engine.now, "the tariffs are not signed"))
        return False
    # The MO's Sub-CA 2 signs; it stands above the contract certificate.
    question = SignatureQuestion("SalesTariff", heard.message, contract.chain[1:])
    try:
        yield from trip.judged("SalesTariff signature", question)
    except V2GPKIError:
        return False
    return True


def _checked(trip: Trip, choice: Choice) -> Choice:
    if all(schedule.number != choice.number for schedule in trip.schedules):
        raise V2GPKIError("session.wrong_schedule", f"schedule {choice.number} was not offered", clause=_CLAUSE)
    return choice


def _below(schedule: Schedule, vehicle: Limits) -> tuple[Period, ...]:
    """The profile of a vehicle that takes what it can: entries of the same power are one."""
    most = vehicle.max_power if vehicle.max_power > 0 else float("inf")
    powers = [(period.start, min(period.power, most)) for period in schedule.periods]
    kept = powers[:1] + [later for earlier, later in pairwise(powers) if later[1] != earlier[1]]
    return tuple(Period(start, 0.0, power) for start, power in kept[:_MOST_PROFILE_ENTRIES])


def _unusable(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_parameter", f"the station's parameters are of no use: {what}", clause=_CLAUSE)
