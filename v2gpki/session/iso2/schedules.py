"""Schedules of ISO 15118-2: SAScheduleList to and from values, and the profile that must stay below.

What is in a message counts seconds from the offer on; values have Unix seconds. Clauses: ISO 15118-2 8.5.2.8 ff.,
[V2G2-225], [V2G2-303] ff.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from v2gpki.energy.quantities import VehicleLimits
from v2gpki.energy.schedule import PowerSchedule, PowerSpan, Schedule
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.iso2 import prices
from v2gpki.session.iso2.values import physical, quantity

DAY = 86_400
_MOST_SCHEDULES = 3
_MOST_ENTRIES = 1024
_MOST_PROFILE_ENTRIES = 24
#: What rounding to a PhysicalValue may add to a power.
_ROUNDING = 1.0005


def relative(schedule: PowerSchedule, now: int) -> list[tuple[int, PowerSpan]]:
    """Its spans by their beginning in seconds after ``now``, what is past left out; the first one begins now."""
    found: list[tuple[int, PowerSpan]] = []
    begins = schedule.starts
    for span in schedule.spans:
        ends = begins + span.seconds
        if ends > now:
            found.append((max(0, begins - now) if found else 0, span))
        begins = ends
    return found or [(0, span) for span in schedule.spans[-1:]]


# --- the station's side ---------------------------------------------------------------------------------------------


def written(schedules: Sequence[Schedule], now: int, most_entries: int = 0) -> iso2.SAScheduleList:
    """The offer in a message, its first three schedules, each with ``most_entries`` at most (0: the schema's 1024).

    Tariffs that shall be signed have an Id. Raises ``session.value``.
    """
    most = min(most_entries or _MOST_ENTRIES, _MOST_ENTRIES)
    tuples = tuple(
        iso2.SAScheduleTupleType(
            SAScheduleTupleID=schedule.identifier,
            PMaxSchedule=_granted(schedule.power, now, most),
            SalesTariff=prices.written(schedule, now, most),
        )
        for schedule in schedules[:_MOST_SCHEDULES]
    )
    return iso2.SAScheduleList(SAScheduleTuple=tuples)


def _granted(power: PowerSchedule, now: int, most: int) -> iso2.PMaxScheduleType:
    """The last entry says how long it lasts; the others last until the next one."""
    spans = relative(power, now)[:most]
    last = len(spans) - 1
    ends = power.ends - now
    return iso2.PMaxScheduleType(
        PMaxScheduleEntry=tuple(
            iso2.PMaxScheduleEntry(
                TimeInterval=iso2.RelativeTimeInterval(
                    start=start,
                    duration=max(1, min(span.seconds, ends - start, DAY)) if number == last else None,
                ),
                PMax=physical(span.power, "W"),
            )
            for number, (start, span) in enumerate(spans)
        )
    )


def unsigned(offer: iso2.SAScheduleList) -> iso2.SAScheduleList:
    """The offer with tariffs that nobody signs: they have no Id."""
    tuples = tuple(
        one if one.SalesTariff is None else replace(one, SalesTariff=replace(one.SalesTariff, Id=None))
        for one in offer.SAScheduleTuple
    )
    return iso2.SAScheduleList(SAScheduleTuple=tuples)


def profile_read(profile: iso2.ChargingProfileType | None, starts: int) -> PowerSchedule | None:
    """The vehicle's profile; an entry lasts until the next one, the last one for a day.

    Raises ``session.wrong_profile`` for entries that are out of the order of time, or want less than nothing.
    """
    if profile is None:
        return None
    entries = profile.ProfileEntry
    begins = [entry.ChargingProfileEntryStart for entry in entries]
    if any(later <= earlier for earlier, later in pairwise(begins)):
        raise _wrong_profile("its entries are not in the order of time")
    spans = []
    for entry, begin, end in zip(entries, begins, [*begins[1:], begins[-1] + DAY], strict=True):
        power = quantity(entry.ChargingProfileEntryMaxPower, "W", "ChargingProfileEntryMaxPower")
        if power < 0:
            raise _wrong_profile(f"it wants {power:g} W")
        spans.append(PowerSpan(end - begin, power, phases=entry.ChargingProfileEntryMaxNumberOfPhasesInUse))
    return PowerSchedule(starts + begins[0], tuple(spans))


def require_within(profile: PowerSchedule | None, granted: PowerSchedule) -> None:
    """A profile never wants more than is granted then. Raises ``session.wrong_profile``."""
    for wanted_from, wanted_until, wanted in _spans(profile):
        for begins, ends, power in _spans(granted):
            if max(begins, wanted_from) < min(ends, wanted_until) and wanted > power * _ROUNDING:
                raise _wrong_profile(
                    f"it wants {wanted:g} W from second {wanted_from - granted.starts} on, "
                    f"granted are {power:g} W from second {begins - granted.starts} on"
                )


def _spans(schedule: PowerSchedule | None) -> list[tuple[int, int, float]]:
    """From when, until when, how much."""
    found = []
    if schedule is not None:
        begins = schedule.starts
        for span in schedule.spans:
            found.append((begins, begins + span.seconds, span.power))
            begins += span.seconds
    return found


def _wrong_profile(why: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_profile", f"the ChargingProfile does not fit: {why}", clause="[V2G2-225]")


# --- the vehicle's side ---------------------------------------------------------------------------------------------


def read(offer: iso2.SAScheduleList, now: int) -> tuple[Schedule, ...]:
    """What a station offers. Raises ``session.wrong_parameter`` for powers that are none."""
    return tuple(
        Schedule(
            one.SAScheduleTupleID,
            _granted_read(one.PMaxSchedule, now),
            prices.read(one.SalesTariff, now),
            signed=one.SalesTariff is not None and one.SalesTariff.Id is not None,
        )
        for one in offer.SAScheduleTuple
    )


def _granted_read(granted: iso2.PMaxScheduleType, now: int) -> PowerSchedule:
    entries = sorted(granted.PMaxScheduleEntry, key=lambda entry: entry.TimeInterval.start)
    begins = [entry.TimeInterval.start for entry in entries]
    last = entries[-1].TimeInterval.duration
    ends = [*begins[1:], begins[-1] + (DAY if last is None else last)]
    spans = tuple(
        PowerSpan(end - begin, quantity(entry.PMax, "W", "PMax"))
        for entry, begin, end in zip(entries, begins, ends, strict=True)
    )
    return PowerSchedule(now + begins[0], spans)


def below(granted: PowerSchedule, vehicle: VehicleLimits) -> PowerSchedule:
    """The profile of a vehicle that takes what it can; neighbours of the same power are one."""
    spans: list[PowerSpan] = []
    for span in granted.spans:
        power = min(span.power, vehicle.max_charge_power)
        if spans and spans[-1].power == power:
            spans[-1] = PowerSpan(spans[-1].seconds + span.seconds, power)
        else:
            spans.append(PowerSpan(span.seconds, power))
    return PowerSchedule(granted.starts, tuple(spans))


def profile_written(profile: PowerSchedule, now: int, phases: int) -> iso2.ChargingProfileType:
    """A profile in a message, 24 entries at most; ``phases`` 0: not said. Raises ``session.value``."""
    return iso2.ChargingProfileType(
        ProfileEntry=tuple(
            iso2.ProfileEntryType(
                ChargingProfileEntryStart=start,
                ChargingProfileEntryMaxPower=physical(span.power, "W"),
                ChargingProfileEntryMaxNumberOfPhasesInUse=span.phases or phases or None,
            )
            for start, span in relative(profile, now)[:_MOST_PROFILE_ENTRIES]
        )
    )
