"""ChargeParameterDiscovery: what the vehicle can and wants, what the station can and offers (ISO 15118-2 8.4.3.8).

A mode that was not offered is FAILED_WrongEnergyTransferMode; parameters of another current, quantities in a wrong unit
or without sense are FAILED_WrongChargeParameter.
"""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import current_of, phases_of
from v2gpki.session.iso2.values import physical, quantity, taken
from v2gpki.session.notices import Remarked
from v2gpki.session.questions import Limits, Needs, Schedule, SchedulesQuestion, SigningQuestion, StationLimitsQuestion

_CLAUSE = "ISO 15118-2 8.4.3.8"


def charge_parameter_discovery(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Limits at once, schedules as soon as they are known."""
    request = taken(heard, iso2.ChargeParameterDiscoveryReq)
    _require_mode(visit, request)
    visit.vehicle, needs = _wanted(request)
    visit.transfer_mode = request.RequestedEnergyTransferMode
    visit.limits = yield from visit.ask(StationLimitsQuestion(visit.current, False, visit.vehicle))
    most = request.MaxEntriesSAScheduleTuple or 0
    offered = yield from _schedules(visit, SchedulesQuestion(needs, visit.vehicle, visit.current, most))
    limits = _limits(visit, visit.limits)
    if not offered:
        if not visit.waiting("schedules", visit.dialect.timers.ongoing_performance):
            raise V2GPKIError("session.late", "there were no schedules in time", clause=_CLAUSE)
        response = iso2.ChargeParameterDiscoveryRes(
            ResponseCode="OK", EVSEProcessing="Ongoing", EVSEChargeParameter=limits
        )
        return Answer(response, visit.state if visit.state.startswith("renegotiating") else "negotiating")
    visit.done("schedules")
    visit.schedules = offered
    offer = schedules.written(offered, most)
    then = "renegotiated-dc" if visit.state == "renegotiating-dc" else f"parameters-{visit.current}"
    return (yield from _signed(visit, offer, limits, then))


def _schedules(visit: Visit, question: SchedulesQuestion) -> Steps[tuple[Schedule, ...]]:
    try:
        return (yield from visit.ask(question))
    except V2GPKIError as problem:
        if problem.code != "session.late":
            raise
        return ()


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

    signs = visit.settings.sign_tariffs and visit.method == "pnc"
    if signs and schedules.offers_tariff(offer):
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
    offered = visit.settings.transfer_modes if visit.resumed is None else (visit.resumed.transfer_mode,)
    if visit.state.startswith("renegotiating") and visit.transfer_mode is not None:
        offered = (visit.transfer_mode,)
    if mode not in offered:
        raise V2GPKIError(
            "session.wrong_transfer_mode",
            f"{mode} is not among {', '.join(offered)}",
            clause=_CLAUSE,
            facts={"mode": mode, "offered": offered},
        )
    parameter = request.EVChargeParameter
    if isinstance(parameter, iso2.AC_EVChargeParameter) != (current_of(mode) == "ac"):
        raise _wrong(f"{mode} comes with {type(parameter).__name__}")


def _wanted(request: iso2.ChargeParameterDiscoveryReq) -> tuple[Limits, Needs]:
    parameter, mode = request.EVChargeParameter, request.RequestedEnergyTransferMode
    departure = float(parameter.DepartureTime or 0)
    if isinstance(parameter, iso2.AC_EVChargeParameter):
        return _ac_wanted(parameter, phases_of(mode), departure)
    return _dc_wanted(parameter, departure)


def _ac_wanted(parameter: iso2.AC_EVChargeParameter, phases: int, departure: float) -> tuple[Limits, Needs]:
    energy = quantity(parameter.EAmount, "Wh", "EAmount")
    voltage = quantity(parameter.EVMaxVoltage, "V", "EVMaxVoltage")
    most = quantity(parameter.EVMaxCurrent, "A", "EVMaxCurrent")
    least = quantity(parameter.EVMinCurrent, "A", "EVMinCurrent")
    if energy < 0 or voltage <= 0 or not 0 <= least <= most:
        raise _wrong(f"{energy:g} Wh, {voltage:g} V, {least:g} to {most:g} A")
    power = voltage * most * phases
    limits = Limits(power, most, voltage, min_current=least, nominal_voltage=voltage, phases=phases)
    return limits, Needs(energy, departure=departure)


def _dc_wanted(parameter: iso2.DC_EVChargeParameter, departure: float) -> tuple[Limits, Needs]:
    voltage = quantity(parameter.EVMaximumVoltageLimit, "V", "EVMaximumVoltageLimit")
    current = quantity(parameter.EVMaximumCurrentLimit, "A", "EVMaximumCurrentLimit")
    power = voltage * current
    if parameter.EVMaximumPowerLimit is not None:
        power = quantity(parameter.EVMaximumPowerLimit, "W", "EVMaximumPowerLimit")
    wanted, whole = parameter.EVEnergyRequest, parameter.EVEnergyCapacity
    energy = 0.0 if wanted is None else quantity(wanted, "Wh", "EVEnergyRequest")
    capacity = 0.0 if whole is None else quantity(whole, "Wh", "EVEnergyCapacity")
    if voltage <= 0 or min(current, power, energy, capacity) < 0:
        raise _wrong(f"{voltage:g} V, {current:g} A, {power:g} W, {energy:g} of {capacity:g} Wh")
    full = 100 if parameter.FullSOC is None else parameter.FullSOC
    needs = Needs(energy, capacity, 0.0, departure, parameter.DC_EVStatus.EVRESSSOC, full)
    return Limits(power, current, voltage), needs


def _limits(visit: Visit, limits: Limits) -> iso2.AC_EVSEChargeParameter | iso2.DC_EVSEChargeParameter:
    if visit.current == "ac":
        return iso2.AC_EVSEChargeParameter(
            AC_EVSEStatus=visit.ac_status(),
            EVSENominalVoltage=physical(limits.nominal_voltage or limits.max_voltage, "V"),
            EVSEMaxCurrent=physical(limits.max_current, "A"),
        )
    return iso2.DC_EVSEChargeParameter(
        DC_EVSEStatus=visit.dc_status("EVSE_Ready"),
        EVSEMaximumCurrentLimit=physical(limits.max_current, "A"),
        EVSEMaximumPowerLimit=physical(limits.max_power, "W"),
        EVSEMaximumVoltageLimit=physical(limits.max_voltage, "V"),
        EVSEMinimumCurrentLimit=physical(limits.min_current, "A"),
        EVSEMinimumVoltageLimit=physical(limits.min_voltage, "V"),
        EVSEPeakCurrentRipple=physical(limits.ripple, "A"),
    )


def _wrong(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_parameter", f"the vehicle's parameters make no sense: {what}", clause=_CLAUSE)
