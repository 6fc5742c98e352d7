"""ChargeParameterDiscovery: what the vehicle can and wants, what the station can and offers (ISO 15118-2 8.4.3.8).

A mode that was not offered is FAILED_WrongEnergyTransferMode; parameters of another current, quantities in a wrong unit
or without sense are FAILED_WrongChargeParameter.
"""

from __future__ import annotations

from v2gpki.energy.quantities import Needs, StageLimits, VehicleLimits
from v2gpki.energy.schedule import Schedule
from v2gpki.energy.steering import Control
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.values import physical, quantity, taken
from v2gpki.session.iso2.words import current_of, phases_of
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import SchedulesQuestion, SigningQuestion, StationLimitsQuestion

_PERCENT = 100
_MOST_ENTRIES = 1024
_CLAUSE = "ISO 15118-2 8.4.3.8"


def charge_parameter_discovery(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Limits at once, schedules as soon as they are known."""
    request = taken(heard, iso2.ChargeParameterDiscoveryReq)
    _require_mode(visit, request)
    stage = visit.limits = yield from visit.ask(StationLimitsQuestion(current_of(request.RequestedEnergyTransferMode)))
    visit.vehicle, visit.needs = _wanted(request, stage)
    visit.transfer_mode = request.RequestedEnergyTransferMode
    visit.metered_from = None if visit.reading is None else visit.reading.imported
    visit.control = Control()
    renegotiates = visit.state.startswith("renegotiating")
    question = SchedulesQuestion(
        "scheduled",
        stage,
        visit.vehicle,
        visit.needs,
        pricing="levels",
        most_entries=request.MaxEntriesSAScheduleTuple or _MOST_ENTRIES,
        renegotiation=renegotiates,
        attempt=visit.attempt("schedules"),
    )
    offered = yield from _schedules(visit, question)
    limits = _limits(visit, stage)
    if not offered:
        if not visit.waiting("schedules", visit.dialect.timers.ongoing_performance):
            raise V2GPKIError("session.late", "there were no schedules in time", clause=_CLAUSE)
        response = iso2.ChargeParameterDiscoveryRes(
            ResponseCode="OK", EVSEProcessing="Ongoing", EVSEChargeParameter=limits
        )
        return Answer(response, visit.state if renegotiates else "negotiating")
    visit.done("schedules")
    visit.schedules, visit.offered_at = offered, visit.now
    then = "renegotiated-dc" if visit.state == "renegotiating-dc" else f"parameters-{visit.current.lower()}"
    offer = schedules.written(offered, visit.offered_at, question.most_entries)
    return (yield from _signed(visit, offer, limits, then))


def _schedules(visit: Visit, question: SchedulesQuestion) -> Steps[tuple[Schedule, ...]]:
    """Those on offer; none while whoever makes them is at work."""
    try:
        given = yield from visit.ask(question)
    except V2GPKIError as problem:
        if problem.code != "session.late":
            raise
        return ()
    if given.status == "finished" and not given.schedules:
        raise V2GPKIError("session.not_delivered", "there is no schedule for this vehicle", clause=_CLAUSE)
    return given.schedules if given.status == "finished" else ()


def _signed(
    visit: Visit,
    offer: iso2.SAScheduleList,
    limits: iso2.AC_EVSEChargeParameter | iso2.DC_EVSEChargeParameter,
    then: str,
) -> Steps[Answer]:
    """The answer, its tariffs signed if they shall be and can; unsigned ones have no Id."""

    def response(with_offer: iso2.SAScheduleList) -> iso2.ChargeParameterDiscoveryRes:
        return iso2.ChargeParameterDiscoveryRes(
            ResponseCode="OK", EVSEProcessing="Finished", SASchedules=with_offer, EVSEChargeParameter=limits
        )

    named = any(one.SalesTariff is not None and one.SalesTariff.Id is not None for one in offer.SAScheduleTuple)
    if named and visit.method == "pnc":
        header = iso2.MessageHeaderType(SessionID=visit.session_id)
        message = iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=response(offer)))
        try:
            signature = yield from visit.ask(SigningQuestion("SalesTariff", message, visit.emaid))
            return Answer(response(offer), then, signature)
        except V2GPKIError as problem:
            visit.engine.tell(Remarked(visit.engine.now, f"the tariffs go out unsigned: {problem.message}"))
    return Answer(response(schedules.unsigned(offer)), then)


def _require_mode(visit: Visit, request: iso2.ChargeParameterDiscoveryReq) -> None:
    mode = request.RequestedEnergyTransferMode
    renegotiates = visit.state.startswith("renegotiating") and visit.transfer_mode is not None
    offered = (visit.transfer_mode,) if renegotiates else visit.modes
    if mode not in offered:
        raise V2GPKIError(
            "session.wrong_transfer_mode",
            f"{mode} is not what is offered",
            clause=_CLAUSE,
            facts={"mode": mode},
        )
    parameter = request.EVChargeParameter
    if isinstance(parameter, iso2.AC_EVChargeParameter) != (current_of(mode) == "AC"):
        raise _wrong(f"{mode} comes with {type(parameter).__name__}")


def _wanted(request: iso2.ChargeParameterDiscoveryReq, stage: StageLimits) -> tuple[VehicleLimits, Needs]:
    parameter, mode = request.EVChargeParameter, request.RequestedEnergyTransferMode
    departure = None if parameter.DepartureTime is None else float(parameter.DepartureTime)
    if isinstance(parameter, iso2.AC_EVChargeParameter):
        return _ac_wanted(parameter, phases_of(mode), stage.nominal_voltage, departure)
    return _dc_wanted(parameter, departure)


def _ac_wanted(
    parameter: iso2.AC_EVChargeParameter, phases: int, nominal: float, departure: float | None
) -> tuple[VehicleLimits, Needs]:
    """Vehicles give EVMaxVoltage between phases or to neutral; power is reckoned with the station's voltage."""
    energy = quantity(parameter.EAmount, "Wh", "EAmount")
    voltage = quantity(parameter.EVMaxVoltage, "V", "EVMaxVoltage")
    most = quantity(parameter.EVMaxCurrent, "A", "EVMaxCurrent")
    least = quantity(parameter.EVMinCurrent, "A", "EVMinCurrent")
    if energy < 0 or voltage <= 0 or not 0 <= least <= most:
        raise _wrong(f"{energy:g} Wh, {voltage:g} V, {least:g} to {most:g} A")
    limits = VehicleLimits(
        "AC",
        most * nominal * phases,
        voltage,
        most,
        min_charge_power=least * nominal * phases,
        min_current=least,
        phases=phases,
    )
    return limits, Needs(energy, energy, departure=departure)


def _dc_wanted(parameter: iso2.DC_EVChargeParameter, departure: float | None) -> tuple[VehicleLimits, Needs]:
    voltage = quantity(parameter.EVMaximumVoltageLimit, "V", "EVMaximumVoltageLimit")
    current = quantity(parameter.EVMaximumCurrentLimit, "A", "EVMaximumCurrentLimit")
    power = voltage * current
    if parameter.EVMaximumPowerLimit is not None:
        power = quantity(parameter.EVMaximumPowerLimit, "W", "EVMaximumPowerLimit")
    asked, whole = parameter.EVEnergyRequest, parameter.EVEnergyCapacity
    capacity = None if whole is None else quantity(whole, "Wh", "EVEnergyCapacity")
    soc = parameter.DC_EVStatus.EVRESSSOC / _PERCENT
    energy = (capacity or 0.0) * (1 - soc) if asked is None else quantity(asked, "Wh", "EVEnergyRequest")
    if voltage <= 0 or min(current, power, energy, capacity or 0.0) < 0:
        raise _wrong(f"{voltage:g} V, {current:g} A, {power:g} W, {energy:g} Wh")
    needs = Needs(
        energy,
        energy,
        departure=departure,
        capacity=capacity,
        target_soc=None if parameter.FullSOC is None else parameter.FullSOC / _PERCENT,
        bulk_soc=None if parameter.BulkSOC is None else parameter.BulkSOC / _PERCENT,
    )
    return VehicleLimits("DC", power, voltage, current, phases=1), needs


def _limits(visit: Visit, stage: StageLimits) -> iso2.AC_EVSEChargeParameter | iso2.DC_EVSEChargeParameter:
    if visit.current == "AC":
        return iso2.AC_EVSEChargeParameter(
            AC_EVSEStatus=visit.ac_status(),
            EVSENominalVoltage=physical(stage.nominal_voltage, "V"),
            EVSEMaxCurrent=physical(stage.max_current, "A"),
        )
    tolerance, left = stage.current_tolerance, stage.energy_to_be_delivered
    return iso2.DC_EVSEChargeParameter(
        DC_EVSEStatus=visit.dc_status(),
        EVSEMaximumCurrentLimit=physical(stage.max_current, "A"),
        EVSEMaximumPowerLimit=physical(stage.max_charge_power, "W"),
        EVSEMaximumVoltageLimit=physical(stage.max_voltage, "V"),
        EVSEMinimumCurrentLimit=physical(stage.min_current, "A"),
        EVSEMinimumVoltageLimit=physical(stage.min_voltage, "V"),
        EVSECurrentRegulationTolerance=None if tolerance is None else physical(tolerance, "A"),
        EVSEPeakCurrentRipple=physical(stage.peak_current_ripple, "A"),
        EVSEEnergyToBeDelivered=None if left is None else physical(left, "Wh"),
    )


def _wrong(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_parameter", f"the vehicle's parameters make no sense: {what}", clause=_CLAUSE)
