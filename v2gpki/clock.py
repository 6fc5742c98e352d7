"""Time as an argument: the protocol that everything below the wiring takes instead of reading a clock.

All times inside are aware UTC; the store keeps integer seconds. The clock that reads the
machine's time lives in ``wiring``, so that nothing in the core can reach for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Gives the current moment."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        ...


class FixedClock:
    """A clock that stands still, for reproducible chains and tests; ``moment`` may be moved by its owner."""

    def __init__(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self.moment = moment.astimezone(UTC)

    def now(self) -> datetime:
        """The fixed moment."""
        return self.moment


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with Z and whole seconds, the one form of times in every JSON output."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
