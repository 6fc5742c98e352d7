"""Durations as profiles write them: ISO 8601, in years, weeks, days, hours and minutes ("P40Y", "P60D", "PT5M").

A profile has no start date, so a year has no fixed length; one rule settles it. ``n`` years hold between
365 n + n // 4 days (as few leap days as n consecutive years can have) and 365 n + ceil(n / 4) days (as many).
A default and a minimum take the small number, a maximum takes the large one: what we write by default is never
longer than n calendar years, and a certificate of exactly n calendar years never exceeds a limit of n years.
(The years 1900 and 2100 have no leap day; the difference of one day is accepted.)
Months are refused: write days. Source: ISO 8601-1 5.5.2.
"""

from __future__ import annotations

import re
from datetime import timedelta

_DURATION = re.compile(
    r"P(?!$)(?:(?P<years>[0-9]{1,4})Y)?(?:(?P<weeks>[0-9]{1,5})W)?(?:(?P<days>[0-9]{1,6})D)?"
    r"(?:T(?!$)(?:(?P<hours>[0-9]{1,6})H)?(?:(?P<minutes>[0-9]{1,6})M)?(?:(?P<seconds>[0-9]{1,9})S)?)?"
)


def duration(text: str, *, longest: bool = False) -> timedelta:
    """The length of an ISO 8601 duration; ``longest`` counts as many leap days as its years can have, for limits.

    Raises ``ValueError`` with a reason that completes "... is no duration: ".
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        months = re.fullmatch(r"P[0-9YWD]*[0-9]+M.*", text) is not None
        reason = "months have no fixed length, write days" if months else 'write it like "P2Y", "P60D" or "PT5M"'
        raise ValueError(reason)
    parts = {unit: int(digits or 0) for unit, digits in match.groupdict().items()}
    years = parts.pop("years")
    leap_days = (years + 3) // 4 if longest else years // 4
    return timedelta(days=365 * years + leap_days) + timedelta(**parts)
