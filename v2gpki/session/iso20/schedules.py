"""Schedules of ISO 15118-20: what the vehicle wishes, what the station grants, what the vehicle will draw of it.

A profile above the schedule that was chosen is refused (`session.wrong_profile`), as is a schedule that was not offered
(`session.wrong_schedule`). Clauses: ISO 15118-20 8.3.4.4.5 ff., 8.3.5.3.39 ff.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from v2gpki.energy.quantities import Needs, Phases
from v2gpki.energy.schedule import ControlMode, EnergyOffer, PowerSchedule, PowerSpan, Pricing, Schedule
from v2gpki.energy.steering import ScheduleChoice, SchedulesGiven, SchedulesOffered
from v2gpki.energy.tariff import Tariff
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.iso20 import prices
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.values import fraction, number, percent, rational, seconds

#: W by which a profile may lie above its schedule: both are rounded to 16 bits.
_ROUNDING = 10.0
_ROUNDED = 1.001
#: Seconds of a profile that has no schedule to follow.
_DAY = 86_400


# --- wishes ---------------------------------------------------------------------------------------------------------


def ask(
    needs: Needs, control: ControlMode, most_entries: int, offer: EnergyOffer | None = None
) -> cm.ScheduleExchangeReq:
    """The vehicle's wishes. Raises `session.value`."""
    points = max(12, min(1024, most_entries))
    if control == "dynamic":
        dynamic = cm.Dynamic_SEReqControlModeType(
            DepartureTime=seconds(_DAY if needs.departure is None else needs.departure),
            MinimumSOC=percent(needs.minimum_soc),
            TargetSOC=percent(needs.target_soc),
            EVTargetEnergyRequest=rational(needs.target_energy),
            EVMaximumEnergyRequest=rational(needs.maximum_energy),
            EVMinimumEnergyRequest=rational(needs.minimum_energy),
            EVMaximumV2XEnergyRequest=None if needs.v2x_maximum is None else rational(needs.v2x_maximum),
            EVMinimumV2XEnergyRequest=None if needs.v2x_minimum is None else rational(needs.v2x_minimum),
        )
        return cm.ScheduleExchangeReq(Header=HEADER, MaximumSupportingPoints=points, Dynamic_SEReqControlMode=dynamic)
    scheduled = cm.Scheduled_SEReqControlModeType(
        DepartureTime=seconds(needs.departure),
        EVTargetEnergyRequest=rational(needs.target_energy),
        EVMaximumEnergyRequest=rational(needs.maximum_energy),
        EVMinimumEnergyRequest=rational(needs.minimum_energy),
        EVEnergyOffer=None if offer is None else _offer(offer),
    )
    return cm.ScheduleExchangeReq(Header=HEADER, MaximumSupportingPoints=points, Scheduled_SEReqControlMode=scheduled)


def read_needs(request: cm.ScheduleExchangeReq, control: ControlMode) -> tuple[Needs, EnergyOffer | None]:
    """What the vehicle wishes, and the energy that it offers: None too for an offer that says nothing (some vehicles
    have prices for spans of 0 s). Raises `session.wrong_parameter` for wishes of the other control mode."""
    dynamic, scheduled = request.Dynamic_SEReqControlMode, request.Scheduled_SEReqControlMode
    if control == "dynamic" and dynamic is not None:
        needs = Needs(
            number(dynamic.EVTargetEnergyRequest),
            number(dynamic.EVMaximumEnergyRequest),
            number(dynamic.EVMinimumEnergyRequest),
            departure=float(dynamic.DepartureTime),
            minimum_soc=fraction(dynamic.MinimumSOC),
            target_soc=fraction(dynamic.TargetSOC),
            v2x_maximum=number(dynamic.EVMaximumV2XEnergyRequest),
            v2x_minimum=number(dynamic.EVMinimumV2XEnergyRequest),
        )
        return needs, None
    if control == "scheduled" and scheduled is not None:
        target = number(scheduled.EVTargetEnergyRequest) or 0.0
        most = number(scheduled.EVMaximumEnergyRequest)
        needs = Needs(
            target,
            target if most is None else most,
            number(scheduled.EVMinimumEnergyRequest) or 0.0,
            departure=None if scheduled.DepartureTime is None else float(scheduled.DepartureTime),
        )
        return needs, None if scheduled.EVEnergyOffer is None else _read_offer(scheduled.EVEnergyOffer)
    raise V2GPKIError(
        "session.wrong_parameter",
        f"the vehicle selected {control} control and sends the wishes of the other one",
        clause="ISO 15118-20 8.3.4.4.5",
    )


# --- what is granted ------------------------------------------------------------------------------------------------


def tell(given: SchedulesGiven, control: ControlMode, most_entries: int, *, sign: bool) -> cm.ScheduleExchangeRes:
    """The station's schedules; ``sign`` gives every price an Id, for the signature. Raises `session.value`."""
    ids = (f"id{count}" for count in range(1, 100)) if sign else None
    if control == "dynamic":
        absolute, relative = _prices(given.price, ids)
        return cm.ScheduleExchangeRes(
            Header=HEADER,
            ResponseCode="OK",
            EVSEProcessing="Finished",
            GoToPause=given.go_to_pause or None,
            Dynamic_SEResControlMode=cm.Dynamic_SEResControlModeType(
                DepartureTime=seconds(given.departure),
                MinimumSOC=percent(given.minimum_soc),
                TargetSOC=percent(given.target_soc),
                AbsolutePriceSchedule=absolute,
                PriceLevelSchedule=relative,
            ),
        )
    return cm.ScheduleExchangeRes(
        Header=HEADER,
        ResponseCode="OK",
        EVSEProcessing="Finished",
        GoToPause=given.go_to_pause or None,
        Scheduled_SEResControlMode=cm.Scheduled_SEResControlModeType(
            ScheduleTuple=tuple(_tuple(one, most_entries, ids) for one in given.schedules[:3])
        ),
    )


def wait(control: ControlMode, now: int) -> cm.ScheduleExchangeRes:
    """The answer that says: not yet, ask again. The schema wants a schedule all the same."""
    nothing = PowerSchedule(now, (PowerSpan(_DAY, 0.0),))
    given = SchedulesGiven(schedules=(Schedule(1, nothing),))
    message = tell(given, control, 12, sign=False)
    return cm.ScheduleExchangeRes(
        Header=HEADER,
        ResponseCode="OK",
        EVSEProcessing="Ongoing",
        Dynamic_SEResControlMode=message.Dynamic_SEResControlMode,
        Scheduled_SEResControlMode=message.Scheduled_SEResControlMode,
    )


def read(response: cm.ScheduleExchangeRes, now: int, *, verified: bool, renegotiation: bool) -> SchedulesOffered:
    """What the station offers. ``verified``: the signature over its prices holds."""
    dynamic, scheduled = response.Dynamic_SEResControlMode, response.Scheduled_SEResControlMode
    if dynamic is not None:
        return SchedulesOffered(
            now,
            "dynamic",
            departure=None if dynamic.DepartureTime is None else float(dynamic.DepartureTime),
            minimum_soc=fraction(dynamic.MinimumSOC),
            target_soc=fraction(dynamic.TargetSOC),
            price=prices.read(dynamic.AbsolutePriceSchedule, dynamic.PriceLevelSchedule),
            verified=verified,
            renegotiation=renegotiation,
        )
    listed = scheduled.ScheduleTuple if scheduled else ()
    return SchedulesOffered(
        now,
        "scheduled",
        schedules=tuple(_read_tuple(one) for one in listed),
        verified=verified,
        renegotiation=renegotiation,
    )


def has_signable_prices(response: cm.ScheduleExchangeRes) -> bool:
    """Whether there is a price with an Id, which its mobility operator has signed."""
    return any(price.Id for price in _told_prices(response))


def has_unsigned_prices(response: cm.ScheduleExchangeRes) -> bool:
    """Whether there is a price without an Id, which no signature can refer to."""
    return any(not price.Id for price in _told_prices(response))


def _told_prices(
    response: cm.ScheduleExchangeRes,
) -> list[cm.AbsolutePriceScheduleType | cm.PriceLevelScheduleType]:
    holders: list[cm.ChargingScheduleType | cm.Dynamic_SEResControlModeType] = []
    if response.Dynamic_SEResControlMode is not None:
        holders.append(response.Dynamic_SEResControlMode)
    for one in response.Scheduled_SEResControlMode.ScheduleTuple if response.Scheduled_SEResControlMode else ():
        holders += [one.ChargingSchedule, *([one.DischargingSchedule] if one.DischargingSchedule else [])]
    found = [price for one in holders for price in (one.AbsolutePriceSchedule, one.PriceLevelSchedule)]
    return [price for price in found if price is not None]


# --- what is chosen -------------------------------------------------------------------------------------------------


def profile(choice: ScheduleChoice, offered: SchedulesOffered, power: float, now: int) -> cm.EVPowerProfileType:
    """What the vehicle will draw: its own profile, or the schedule's powers cut to ``power`` W."""
    chosen = next((one for one in offered.schedules if one.identifier == choice.identifier), None)
    plan = choice.profile
    if plan is None and chosen is not None:
        plan = PowerSchedule(
            chosen.power.starts, tuple(PowerSpan(span.seconds, min(span.power, power)) for span in chosen.power.spans)
        )
    if plan is None:
        plan = PowerSchedule(now, (PowerSpan(_DAY, power),))
    entries = cm.EVPowerProfileEntryListType(EVPowerProfileEntry=_entries(plan, 2048))
    if offered.control == "dynamic":
        return cm.EVPowerProfileType(
            TimeAnchor=plan.starts,
            Dynamic_EVPPTControlMode=cm.Dynamic_EVPPTControlModeType(),
            EVPowerProfileEntries=entries,
        )
    return cm.EVPowerProfileType(
        TimeAnchor=plan.starts,
        Scheduled_EVPPTControlMode=cm.Scheduled_EVPPTControlModeType(
            SelectedScheduleTupleID=choice.identifier,
            PowerToleranceAcceptance=None
            if choice.tolerance is None
            else "PowerToleranceConfirmed"
            if choice.tolerance
            else "PowerToleranceNotConfirmed",
        ),
        EVPowerProfileEntries=entries,
    )


def read_profile(
    value: cm.EVPowerProfileType, control: ControlMode, schedules: Sequence[Schedule]
) -> tuple[Schedule | None, PowerSchedule]:
    """Schedule and profile that a vehicle chose. Raises `session.wrong_schedule`, `session.wrong_profile`."""
    plan = PowerSchedule(
        value.TimeAnchor, tuple(_span(entry) for entry in value.EVPowerProfileEntries.EVPowerProfileEntry)
    )
    mode = value.Scheduled_EVPPTControlMode
    if (mode is None) == (control == "scheduled"):
        raise _wrong_profile(f"the profile is not one of {control} control")
    if mode is None:
        return None, plan
    chosen = next((one for one in schedules if one.identifier == mode.SelectedScheduleTupleID), None)
    if chosen is None:
        raise V2GPKIError(
            "session.wrong_schedule",
            f"the vehicle chose schedule {mode.SelectedScheduleTupleID}, which was not offered",
            clause="ISO 15118-20 8.3.4.4.6",
            facts={"schedule": mode.SelectedScheduleTupleID},
        )
    _require_within(plan, chosen)
    return chosen, plan


def _require_within(plan: PowerSchedule, chosen: Schedule) -> None:
    """Each span of the profile stays below the schedule, as long as that lasts."""
    for power, granted in _overlaps(plan, chosen.power):
        if power > granted * _ROUNDED + _ROUNDING:
            raise _wrong_profile(f"the profile draws {power:g} W where schedule {chosen.identifier} has {granted:g}")
    for power, granted in _overlaps(plan, chosen.discharge) if chosen.discharge else ():
        if -power > granted * _ROUNDED + _ROUNDING:
            raise _wrong_profile(f"the profile gives {-power:g} W where {granted:g} can be taken")


def _overlaps(plan: PowerSchedule, granted: PowerSchedule) -> Iterator[tuple[float, float]]:
    """The powers of two schedules wherever both last."""
    spans, limits = deque(_spans(plan)), deque(_spans(granted))
    while spans and limits:
        (start, end, power), (since, until, limit) = spans[0], limits[0]
        if start < until and since < end:
            yield power, limit
        if end <= until:
            spans.popleft()
        else:
            limits.popleft()


def _spans(schedule: PowerSchedule) -> Iterator[tuple[int, int, float]]:
    at = schedule.starts
    for span in schedule.spans:
        yield at, at + span.seconds, span.power
        at += span.seconds


# --- parts ----------------------------------------------------------------------------------------------------------


def _tuple(one: Schedule, most_entries: int, ids: Iterator[str] | None) -> cm.ScheduleTupleType:
    return cm.ScheduleTupleType(
        ScheduleTupleID=one.identifier,
        ChargingSchedule=_charging(one.power, one.price, most_entries, ids),
        DischargingSchedule=None
        if one.discharge is None
        else _charging(one.discharge, one.discharge_price, most_entries, ids),
    )


def _charging(
    power: PowerSchedule, price: Pricing | None, most_entries: int, ids: Iterator[str] | None
) -> cm.ChargingScheduleType:
    absolute, relative = _prices(price, ids)
    return cm.ChargingScheduleType(
        PowerSchedule=cm.PowerScheduleType(
            TimeAnchor=power.starts,
            AvailableEnergy=None if power.available_energy is None else rational(power.available_energy),
            PowerTolerance=None if power.tolerance is None else rational(power.tolerance),
            PowerScheduleEntries=cm.PowerScheduleEntryListType(PowerScheduleEntry=_entries(power, most_entries)),
        ),
        AbsolutePriceSchedule=absolute,
        PriceLevelSchedule=relative,
    )


def _prices(
    price: Pricing | None, ids: Iterator[str] | None
) -> tuple[cm.AbsolutePriceScheduleType | None, cm.PriceLevelScheduleType | None]:
    if price is None:
        return None, None
    identifier = next(ids) if ids is not None else None
    if isinstance(price, Tariff):
        return prices.absolute(price, identifier), None
    return None, prices.levels(price, identifier)


def _entries(schedule: PowerSchedule, most: int) -> tuple[cm.PowerScheduleEntryType, ...]:
    return tuple(_entry(span) for span in schedule.spans[:most])


def _entry(span: PowerSpan) -> cm.PowerScheduleEntryType:
    if span.phase_power is None:
        return cm.PowerScheduleEntryType(Duration=span.seconds, Power=rational(span.power))
    first, second, third = span.phase_power
    return cm.PowerScheduleEntryType(
        Duration=span.seconds, Power=rational(first), Power_L2=rational(second), Power_L3=rational(third)
    )


def _span(entry: cm.PowerScheduleEntryType) -> PowerSpan:
    first = number(entry.Power)
    second, third = number(entry.Power_L2), number(entry.Power_L3)
    if second is None or third is None:
        return PowerSpan(entry.Duration, first)
    each: Phases = (first, second, third)
    return PowerSpan(entry.Duration, sum(each), each)


def _read_power(value: cm.PowerScheduleType) -> PowerSchedule:
    return PowerSchedule(
        value.TimeAnchor,
        tuple(_span(entry) for entry in value.PowerScheduleEntries.PowerScheduleEntry),
        number(value.AvailableEnergy),
        number(value.PowerTolerance),
    )


def _read_tuple(one: cm.ScheduleTupleType) -> Schedule:
    there, back = one.ChargingSchedule, one.DischargingSchedule
    price = there.AbsolutePriceSchedule or there.PriceLevelSchedule
    return Schedule(
        one.ScheduleTupleID,
        _read_power(there.PowerSchedule),
        prices.read(there.AbsolutePriceSchedule, there.PriceLevelSchedule),
        None if back is None else _read_power(back.PowerSchedule),
        None if back is None else prices.read(back.AbsolutePriceSchedule, back.PriceLevelSchedule),
        bool(price and price.Id),
    )


def _offer(offer: EnergyOffer) -> cm.EVEnergyOfferType:
    entries = tuple(
        cm.EVPowerScheduleEntryType(Duration=span.seconds, Power=rational(span.power)) for span in offer.power.spans
    )
    return cm.EVEnergyOfferType(
        EVPowerSchedule=cm.EVPowerScheduleType(
            TimeAnchor=offer.power.starts,
            EVPowerScheduleEntries=cm.EVPowerScheduleEntryListType(EVPowerScheduleEntry=entries),
        ),
        EVAbsolutePriceSchedule=prices.offer(offer.price),
    )


def _read_offer(value: cm.EVEnergyOfferType) -> EnergyOffer | None:
    entries = value.EVPowerSchedule.EVPowerScheduleEntries.EVPowerScheduleEntry
    power = PowerSchedule(
        value.EVPowerSchedule.TimeAnchor,
        tuple(PowerSpan(entry.Duration, number(entry.Power)) for entry in entries),
    )
    try:
        return EnergyOffer(power, prices.read_offer(value.EVAbsolutePriceSchedule))
    except V2GPKIError as problem:
        if problem.code != "energy.invalid":
            raise
        return None


def _wrong_profile(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_profile", what, clause="ISO 15118-20 8.3.4.4.6")
