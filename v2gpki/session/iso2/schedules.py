"""Schedules of ISO 15118-2: SAScheduleList with SalesTariff to and from values, and the profile that must stay below.

A SalesTariff has no currency: a price is a share of the dearest one, in percent, and a level. On the way out prices
become such shares; on the way in the currency is "%". Clauses: ISO 15118-2 8.5.2.9 ff., [V2G2-225], [V2G2-303] ff.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.iso2.values import physical, quantity
from v2gpki.session.questions import Period, Schedule

#: What a tariff's prices are counted in here.
RELATIVE = "%"
_DAY = 86_400
_MOST_SCHEDULES = 3
_MOST_ENTRIES = 1024
_MOST_PROFILE_ENTRIES = 24
#: What rounding to a PhysicalValue may add to a power.
_ROUNDING = 1.0005


# --- the station's side ---------------------------------------------------------------------------------------------


def written(schedules: Sequence[Schedule], most_entries: int = 0) -> iso2.SAScheduleList:
    """The offer in a message, its first three schedules, each with ``most_entries`` at most (0: the schema's 1024).

    Raises ``session.value``.
    """
    most = min(most_entries or _MOST_ENTRIES, _MOST_ENTRIES)
    tuples = tuple(
        iso2.SAScheduleTupleType(
            SAScheduleTupleID=schedule.number,
            PMaxSchedule=iso2.PMaxScheduleType(
                PMaxScheduleEntry=tuple(
                    iso2.PMaxScheduleEntry(TimeInterval=interval, PMax=physical(period.power, "W"))
                    for period, interval in _intervals(schedule.periods[:most])
                )
            ),
            SalesTariff=_tariff(schedule, most),
        )
        for schedule in schedules[:_MOST_SCHEDULES]
    )
    return iso2.SAScheduleList(SAScheduleTuple=tuples)


def _intervals(periods: Sequence[Period]) -> list[tuple[Period, iso2.RelativeTimeInterval]]:
    """The last entry says how long it lasts; the others last until the next one."""
    last = len(periods) - 1
    return [
        (
            period,
            iso2.RelativeTimeInterval(
                start=round(period.start), duration=min(round(period.duration), _DAY) if number == last else None
            ),
        )
        for number, period in enumerate(periods)
    ]


def _tariff(schedule: Schedule, most: int) -> iso2.SalesTariffType | None:
    prices = sorted({period.price for period in schedule.periods if period.price is not None})
    if not schedule.tariff or not prices:
        return None
    dearest = max(abs(price) for price in prices) or 1
    entries = tuple(
        iso2.SalesTariffEntry(
            TimeInterval=interval,
            EPriceLevel=prices.index(period.price) + 1,
            ConsumptionCost=(
                iso2.ConsumptionCostType(
                    startValue=physical(0, "W"),
                    Cost=(
                        iso2.CostType(
                            costKind="relativePricePercentage", amount=max(0, round(100 * period.price / dearest))
                        ),
                    ),
                ),
            ),
        )
        for period, interval in _intervals(schedule.periods[:most])
        if period.price is not None
    )
    return iso2.SalesTariffType(
        Id=f"id{schedule.number}",
        SalesTariffID=schedule.number,
        SalesTariffDescription=schedule.tariff[:32],
        NumEPriceLevels=min(len(prices), 255),
        SalesTariffEntry=entries,
    )


def offers_tariff(offer: iso2.SAScheduleList) -> bool:
    """Whether there is anything to sign in an offer."""
    return any(one.SalesTariff is not None for one in offer.SAScheduleTuple)


def unsigned(offer: iso2.SAScheduleList) -> iso2.SAScheduleList:
    """The offer with tariffs that nobody signs: they have no Id."""
    tuples = tuple(
        one if one.SalesTariff is None else replace(one, SalesTariff=replace(one.SalesTariff, Id=None))
        for one in offer.SAScheduleTuple
    )
    return iso2.SAScheduleList(SAScheduleTuple=tuples)


def profile_read(profile: iso2.ChargingProfileType | None) -> tuple[Period, ...]:
    """The vehicle's profile; an entry lasts until the next one, the last one for a day."""
    if profile is None:
        return ()
    starts = [float(entry.ChargingProfileEntryStart) for entry in profile.ProfileEntry]
    ends = [*starts[1:], starts[-1] + _DAY]
    return tuple(
        Period(start, end - start, quantity(entry.ChargingProfileEntryMaxPower, "W", "ChargingProfileEntryMaxPower"))
        for entry, start, end in zip(profile.ProfileEntry, starts, ends, strict=True)
    )


def require_within(profile: Sequence[Period], schedule: Schedule) -> None:
    """A profile begins with the schedule, goes on in time, and never wants more than is granted.

    Raises ``session.wrong_profile``.
    """
    if not profile:
        return
    if any(later.start <= earlier.start for earlier, later in pairwise(profile)):
        raise _wrong_profile("its entries are not in the order of time")
    for period in profile:
        if period.power < 0:
            raise _wrong_profile(f"it wants {period.power:g} W")
        for granted in schedule.periods:
            begins, ends = max(granted.start, period.start), granted.start + granted.duration
            overlaps = begins < min(ends, period.start + period.duration)
            if overlaps and period.power > granted.power * _ROUNDING:
                raise _wrong_profile(
                    f"it wants {period.power:g} W from {period.start:g} s, "
                    f"granted are {granted.power:g} W from {granted.start:g} s"
                )


def _wrong_profile(why: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_profile", f"the ChargingProfile does not fit: {why}", clause="[V2G2-225]")


# --- the vehicle's side ---------------------------------------------------------------------------------------------


def read(offer: iso2.SAScheduleList) -> tuple[Schedule, ...]:
    """What a station offers. Raises ``session.wrong_parameter`` for powers that are none."""
    return tuple(_schedule(one) for one in offer.SAScheduleTuple)


def _schedule(one: iso2.SAScheduleTupleType) -> Schedule:
    entries = one.PMaxSchedule.PMaxScheduleEntry
    tariff = one.SalesTariff
    prices = _prices(tariff)
    starts = sorted({entry.TimeInterval.start for entry in entries} | {start for start, _ in prices})
    last = entries[-1].TimeInterval
    end = last.start + (_DAY if last.duration is None else last.duration)
    powers = [(entry.TimeInterval.start, quantity(entry.PMax, "W", "PMax")) for entry in entries]
    ends = [*starts[1:], max(end, starts[-1])]
    periods = tuple(
        Period(float(start), float(stop - start), _at(powers, start) or 0.0, _price(prices, start))
        for start, stop in zip(starts, ends, strict=True)
    )
    name = "" if tariff is None else tariff.SalesTariffDescription or f"tariff {tariff.SalesTariffID}"
    return Schedule(one.SAScheduleTupleID, periods, name, RELATIVE)


def _prices(tariff: iso2.SalesTariffType | None) -> list[tuple[int, float]]:
    """From when on which price: the share in percent, or the level where there is no share."""
    found = []
    for entry in () if tariff is None else tariff.SalesTariffEntry:
        costs = [
            cost.amount * 10.0 ** (cost.amountMultiplier or 0)
            for consumption in entry.ConsumptionCost
            for cost in consumption.Cost
            if cost.costKind == "relativePricePercentage"
        ]
        level = entry.EPriceLevel
        if costs or level is not None:
            found.append((entry.TimeInterval.start, costs[0] if costs else float(level or 0)))
    return found


def _at(values: Sequence[tuple[int, float]], start: int) -> float | None:
    """The value that holds from the latest entry that has begun."""
    begun = [value for since, value in values if since <= start]
    return begun[-1] if begun else None


def _price(prices: Sequence[tuple[int, float]], start: int) -> int | None:
    found = _at(prices, start)
    return None if found is None else round(found)


def profile_written(periods: Sequence[Period], phases: int) -> iso2.ChargingProfileType | None:
    """A profile in a message; None for none. ``phases`` 0: not said. Raises ``session.value``."""
    if not periods:
        return None
    return iso2.ChargingProfileType(
        ProfileEntry=tuple(
            iso2.ProfileEntryType(
                ChargingProfileEntryStart=round(period.start),
                ChargingProfileEntryMaxPower=physical(period.power, "W"),
                ChargingProfileEntryMaxNumberOfPhasesInUse=phases or None,
            )
            for period in periods[:_MOST_PROFILE_ENTRIES]
        )
    )
