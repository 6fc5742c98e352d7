"""What the vehicle can and wants, what the station offers, and consent to it; the start of power (ISO 15118-2 8.4.3.8,
8.4.3.9, 8.5.2.20)."""

from __future__ import annotations

from functools import partial

from v2gpki.energy.quantities import Needs, StageLimits, VehicleLimits
from v2gpki.energy.steering import SchedulesOffered
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.evcc.trip import Trip
from v2gpki.session.iso2.values import physical, quantity
from v2gpki.session.iso2.words import phases_of
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import ConsentQuestion, NeedsQuestion, SignatureQuestion, VehicleLimitsQuestion

_CLAUSE = "ISO 15118-2 8.4.3.8"
_PERCENT = 100


def negotiate(trip: Trip) -> Steps[None]:
    """Say what is wanted until there are schedules, and consent to one."""
    vehicle = trip.vehicle = yield from trip.ask(VehicleLimitsQuestion(trip.current))
    needs = yield from trip.ask(NeedsQuestion())
    yield from trip.look()
    renegotiation = trip.state.startswith("renegotiating")
    offer = yield from _offered(trip, vehicle, needs)
    trip.offered_at = trip.now
    trip.schedules = schedules.read(offer, trip.offered_at)
    verified = yield from _verified(trip)
    offered = SchedulesOffered(
        trip.offered_at, "scheduled", trip.schedules, verified=verified, renegotiation=renegotiation
    )
    choice = yield from trip.ask(ConsentQuestion(offered, needs))
    trip.chosen = next((one for one in trip.schedules if one.identifier == choice.identifier), None)
    if trip.chosen is None:
        raise V2GPKIError("session.wrong_schedule", f"schedule {choice.identifier} was not offered", clause=_CLAUSE)
    trip.profile = choice.profile or schedules.below(trip.chosen.power, vehicle)
    trip.wish = ""


def _offered(trip: Trip, vehicle: VehicleLimits, needs: Needs) -> Steps[iso2.SAScheduleList]:
    began = trip.engine.now
    while True:
        request = iso2.ChargeParameterDiscoveryReq(
            RequestedEnergyTransferMode=trip.mode,
            EVChargeParameter=_ac(vehicle, needs) if trip.current == "AC" else _dc(trip, vehicle, needs),
        )
        response = yield from trip.exchange(request, iso2.ChargeParameterDiscoveryRes, then=partial(_then, trip))
        trip.limits = _limits(trip, response.EVSEChargeParameter)
        if response.EVSEProcessing != "Finished":
            yield from trip.again("schedules", began, trip.dialect.timers.ongoing)
        elif response.SASchedules is None:
            raise _unusable("it is finished, and offers no schedule")
        else:
            return response.SASchedules


def _then(trip: Trip, response: iso2.ChargeParameterDiscoveryRes) -> str:
    renegotiating = trip.state.startswith("renegotiating")
    if response.EVSEProcessing != "Finished":
        return trip.state if renegotiating else "negotiating"
    return "renegotiated-dc" if trip.state == "renegotiating-dc" else f"parameters-{trip.path}"


def start(trip: Trip) -> Steps[None]:
    """Let power flow by the schedule that was chosen."""
    profile = None
    if trip.profile is not None:
        phases = phases_of(trip.mode) if trip.current == "AC" else 0
        profile = schedules.profile_written(trip.profile, trip.offered_at, phases)
    yield from deliver(trip, "Start", "charging", profile)


def deliver(
    trip: Trip,
    progress: iso2.chargeProgressType,
    then: str,
    profile: iso2.ChargingProfileType | None = None,
) -> Steps[None]:
    """PowerDelivery."""
    request = iso2.PowerDeliveryReq(
        ChargeProgress=progress,
        SAScheduleTupleID=1 if trip.chosen is None else trip.chosen.identifier,
        ChargingProfile=profile,
        EVPowerDeliveryParameter=_progress(trip, progress) if trip.current == "DC" else None,
    )
    response = yield from trip.exchange(request, iso2.PowerDeliveryRes, then=f"{then}-{trip.path}")
    if progress == "Start":
        trip.noted(response.EVSEStatus)


def _progress(trip: Trip, progress: iso2.chargeProgressType) -> iso2.DC_EVPowerDeliveryParameter:
    return iso2.DC_EVPowerDeliveryParameter(
        DC_EVStatus=trip.dc_status(ready=progress != "Stop"),
        BulkChargingComplete=trip.state_now.bulk_complete,
        ChargingComplete=trip.state_now.complete,
    )


# --- what is asked for ----------------------------------------------------------------------------------------------


def _ac(vehicle: VehicleLimits, needs: Needs) -> iso2.AC_EVChargeParameter:
    return iso2.AC_EVChargeParameter(
        DepartureTime=_departure(needs),
        EAmount=physical(max(0.0, needs.target_energy), "Wh"),
        EVMaxVoltage=physical(vehicle.max_voltage, "V"),
        EVMaxCurrent=physical(vehicle.max_current, "A"),
        EVMinCurrent=physical(vehicle.min_current, "A"),
    )


def _dc(trip: Trip, vehicle: VehicleLimits, needs: Needs) -> iso2.DC_EVChargeParameter:
    return iso2.DC_EVChargeParameter(
        DepartureTime=_departure(needs),
        DC_EVStatus=trip.dc_status(),
        EVMaximumCurrentLimit=physical(vehicle.max_current, "A"),
        EVMaximumPowerLimit=physical(vehicle.max_charge_power, "W"),
        EVMaximumVoltageLimit=physical(vehicle.max_voltage, "V"),
        EVEnergyCapacity=None if needs.capacity is None else physical(needs.capacity, "Wh"),
        EVEnergyRequest=physical(max(0.0, needs.target_energy), "Wh"),
        FullSOC=_percent(needs.target_soc),
        BulkSOC=_percent(needs.bulk_soc),
    )


def _departure(needs: Needs) -> int | None:
    return None if needs.departure is None else max(0, min(round(needs.departure), 2**32 - 1))


def _percent(soc: float | None) -> int | None:
    return None if soc is None else max(0, min(_PERCENT, round(_PERCENT * soc)))


# --- what is offered ------------------------------------------------------------------------------------------------


def _limits(trip: Trip, parameter: iso2.AC_EVSEChargeParameter | iso2.DC_EVSEChargeParameter) -> StageLimits:
    if isinstance(parameter, iso2.AC_EVSEChargeParameter) != (trip.current == "AC"):
        raise _unusable(f"{trip.mode} is answered with {type(parameter).__name__}")
    if isinstance(parameter, iso2.AC_EVSEChargeParameter):
        voltage = quantity(parameter.EVSENominalVoltage, "V", "EVSENominalVoltage")
        current = quantity(parameter.EVSEMaxCurrent, "A", "EVSEMaxCurrent")
        phases = phases_of(trip.mode)
        if voltage <= 0 or current < 0:
            raise _unusable(f"{voltage:g} V, {current:g} A")
        return StageLimits(
            "AC", voltage * current * phases, voltage, current, phases=phases, nominal_voltage=voltage
        )
    tolerance, left = parameter.EVSECurrentRegulationTolerance, parameter.EVSEEnergyToBeDelivered
    return StageLimits(
        "DC",
        max_charge_power=quantity(parameter.EVSEMaximumPowerLimit, "W", "EVSEMaximumPowerLimit"),
        max_voltage=quantity(parameter.EVSEMaximumVoltageLimit, "V", "EVSEMaximumVoltageLimit"),
        max_current=quantity(parameter.EVSEMaximumCurrentLimit, "A", "EVSEMaximumCurrentLimit"),
        min_voltage=quantity(parameter.EVSEMinimumVoltageLimit, "V", "EVSEMinimumVoltageLimit"),
        min_current=quantity(parameter.EVSEMinimumCurrentLimit, "A", "EVSEMinimumCurrentLimit"),
        phases=1,
        peak_current_ripple=quantity(parameter.EVSEPeakCurrentRipple, "A", "EVSEPeakCurrentRipple"),
        current_tolerance=None if tolerance is None else quantity(tolerance, "A", "EVSECurrentRegulationTolerance"),
        energy_to_be_delivered=None if left is None else quantity(left, "Wh", "EVSEEnergyToBeDelivered"),
    )


def _verified(trip: Trip) -> Steps[bool]:
    """Whether the prices are signed by the operator of this vehicle's contract: what is signed wrongly is not."""
    heard, contract = trip.last, trip.contract
    priced = [one for one in trip.schedules if one.price is not None]
    if not priced or heard is None or contract is None:
        return False
    signed = isinstance(heard.message, iso2.V2G_Message) and heard.message.Header.Signature is not None
    if not signed or not all(one.signed for one in priced):
        trip.engine.tell(Remarked(trip.engine.now, "the tariffs are not signed"))
        return False
    # The MO's Sub-CA 2 signs; it stands above the contract certificate.
    question = SignatureQuestion("SalesTariff", heard.message, contract.chain[1:])
    try:
        yield from trip.judged("SalesTariff signature", question)
    except V2GPKIError:
        return False
    return True


def _unusable(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_parameter", f"the station's parameters are of no use: {what}", clause=_CLAUSE)
