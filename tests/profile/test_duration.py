"""Durations: every expected value is arithmetic written out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from v2gpki.profile.duration import duration


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("P60D", 60),
        ("P4W", 28),
        ("P1Y", 365),
        ("P2Y", 2 * 365),
        ("P3Y", 3 * 365),
        ("P4Y", 4 * 365 + 1),
        ("P40Y", 40 * 365 + 10),
        ("P1Y2W3D", 365 + 14 + 3),
    ],
)
def test_default_counts_as_few_leap_days_as_possible(text: str, days: int) -> None:
    assert duration(text) == timedelta(days=days)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("P60D", 60),
        ("P1Y", 366),
        ("P2Y", 2 * 365 + 1),
        ("P4Y", 4 * 365 + 1),
        ("P5Y", 5 * 365 + 2),
        ("P40Y", 40 * 365 + 10),
    ],
)
def test_limit_counts_as_many_leap_days_as_possible(text: str, days: int) -> None:
    assert duration(text, longest=True) == timedelta(days=days)


@pytest.mark.parametrize("years", [1, 2, 3, 4, 5, 7, 40])
def test_bounds_are_those_of_the_calendar(years: int) -> None:
    spans = [date(start + years, 3, 1) - date(start, 3, 1) for start in range(2001, 2050)]
    assert duration(f"P{years}Y") == min(spans)
    assert duration(f"P{years}Y", longest=True) == max(spans)


def test_times() -> None:
    assert duration("PT5M") == timedelta(seconds=300)
    assert duration("P1DT2H3M4S") == timedelta(seconds=86400 + 2 * 3600 + 3 * 60 + 4)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "60d", "1Y", "P-1Y", "P1.5Y", "P1Y ", "p1y", "P1D2W", "P99999Y"]
)
def test_malformed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        duration(text)


@pytest.mark.parametrize("text", ["P3M", "P1Y6M"])
def test_months_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="months have no fixed length"):
        duration(text)
