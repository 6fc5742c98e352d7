"""The one form of times in every output."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from v2gpki.clock import rfc3339


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 5, 1, 12, 30, 7, 999999, tzinfo=UTC), "2026-05-01T12:30:07Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_times_have_four_digits_of_year_whole_seconds_and_z(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
