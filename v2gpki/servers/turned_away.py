"""Clients that are turned away before they have asked anything: counted, and told to the log a few times a minute.

Such requests have no line of their own: a head that never ends, or is none, or a handshake that breaks costs its sender
nothing, and a line for each would let anybody fill the disk. A line sums up what came since the last one: why, how
often, from how many addresses and from which one first. Nothing that was sent is in it. Lines that the access log left
out (`http.lines`) are summed up here too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

_LOG = logging.getLogger("v2gpki.serve")

#: Seconds between two lines of one kind.
EVERY = 5.0
#: So many addresses are told apart.
_MOST_ADDRESSES = 256
#: So many kinds of one event are told apart.
_MOST_KINDS = 128
_SAID = {"handshake_refused": "handshake refused", "unlogged": "requests like these had no line"}

#: An event, and what all of its kind have in common.
_Kind: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


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
        self._sums: dict[_Kind, _Sum] = {}
        self._told: dict[_Kind, float] = {}

    def note(self, event: str, client: str, **about: str) -> None:
        """One client was turned away: ``timed_out``, ``bad_head``, ``handshake_refused``; or had no line: ``unlogged``.

        ``client`` is its address, "" when it is not known; ``about`` must be ours, not the client's.
        """
        self._count(event)
        kind = event, tuple(about.items())
        if kind not in self._sums and len(self._sums) >= _MOST_KINDS:
            kind = event, ()
        one = self._sums.setdefault(kind, _Sum(first=client))
        one.count += 1
        if client and len(one.addresses) < _MOST_ADDRESSES:
            one.addresses.add(client)

    def tell(self, now: float) -> None:
        """Log what is due at ``now``, seconds of the event loop's clock."""
        for kind, one in list(self._sums.items()):
            if now - self._told.get(kind, -EVERY) < EVERY:
                continue
            self._told[kind] = now
            del self._sums[kind]
            event, about = kind
            _LOG.warning(
                _SAID.get(event, "requests turned away"),
                extra={
                    "code": event,
                    "count": one.count,
                    "client": one.first,
                    "addresses": len(one.addresses),
                    **dict(about),
                },
            )
        self._told = {kind: at for kind, at in self._told.items() if now - at < EVERY}

    def tell_all(self) -> None:
        """Log the rest; the process ends."""
        self._told.clear()
        self.tell(0.0)
