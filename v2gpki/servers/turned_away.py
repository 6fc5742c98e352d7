"""Clients that are turned away before they have asked anything: counted, and told to the log a few times a minute.

Such requests have no line of their own: a head that never ends, or is none, costs its sender nothing, and a line for
each would let anybody fill the disk. A line sums up what came since the last one: why, how often, from how many
addresses and from which one first. Nothing that was sent is in it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

_LOG = logging.getLogger("v2gpki.serve")

#: Seconds between two lines of one kind.
EVERY = 5.0
#: So many addresses are told apart.
_MOST_ADDRESSES = 256


@dataclass(slots=True)
class _Sum:
    """What came since the last line."""

    count: int = 0
    first: str = ""
    addresses: set[str] = field(default_factory=set)


class TurnedAway:
    """The counts of one process; used on its event loop. ``count`` is told of each, for metrics."""

    def __init__(self, count: Callable[[str], None] = lambda _event: None) -> None:
        self._count = count
        self._sums: dict[str, _Sum] = {}
        self._told: dict[str, float] = {}

    def note(self, event: str, client: str) -> None:
        """One client was turned away: ``timed_out`` or ``bad_head``."""
        self._count(event)
        one = self._sums.setdefault(event, _Sum(first=client))
        one.count += 1
        if len(one.addresses) < _MOST_ADDRESSES:
            one.addresses.add(client)

    def tell(self, now: float) -> None:
        """Log what is due at ``now``, seconds of the event loop's clock."""
        for event, one in list(self._sums.items()):
            if now - self._told.get(event, -EVERY) < EVERY:
                continue
            self._told[event] = now
            del self._sums[event]
            _LOG.warning(
                "requests turned away",
                extra={"code": event, "count": one.count, "client": one.first, "addresses": len(one.addresses)},
            )

    def tell_all(self) -> None:
        """Log the rest; the process ends."""
        self._told.clear()
        self.tell(0.0)
