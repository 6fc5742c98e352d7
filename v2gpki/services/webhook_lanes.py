"""Whose turn it is among those who wait for webhooks, so that a slow receiver holds up itself alone.

A lane is an owner at a host. One delivery at a time runs in a lane, ``most`` for an owner; owners take turns, whoever
was served longest ago first. A lane that timed out several times in a row rests, each time longer.
Times are seconds of any clock that never goes back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

_Waiting = TypeVar("_Waiting")

#: So many time-outs in a row are accidents; rests after more of them begin and end with so many seconds.
ACCIDENTS = 3
SHORTEST_REST = 30.0
LONGEST_REST = 3600.0


class Lane(NamedTuple):
    """An owner at a host."""

    owner: str
    host: str

    @classmethod
    def of(cls, owner: str, url: str) -> Lane:
        """The lane of an address that was checked."""
        return cls(owner, (urlsplit(url).hostname or "").lower())


@dataclass(slots=True)
class _Trouble:
    late: int = 0
    until: float = 0.0


class Lanes:
    """What runs, who was served when, who rests. Safe from threads."""

    def __init__(self, *, most: int = 2, now: Callable[[], float] = lambda: 0.0) -> None:
        """``most`` deliveries of one owner run at the same time; ``now`` is a clock in seconds."""
        self._most = most
        self._now = now
        self._lock = threading.Lock()
        self._running: set[Lane] = set()
        self._served: dict[str, int] = {}
        self._turn = 0
        self._troubles: dict[Lane, _Trouble] = {}

    def choose(self, waiting: Sequence[_Waiting], limit: int, *, key: Callable[[_Waiting], Lane]) -> list[_Waiting]:
        """Up to ``limit`` of what waits (oldest first), no two in one lane, and none in a lane that runs or rests."""
        now = self._now()
        with self._lock:
            used = set(self._running)
            shares = Counter(lane.owner for lane in used)
            free = list[tuple[int, int, int, _Waiting]]()
            for place, one in enumerate(waiting):
                lane = key(one)
                trouble = self._troubles.get(lane)
                if lane in used or shares[lane.owner] >= self._most or (trouble is not None and now < trouble.until):
                    continue
                used.add(lane)
                shares[lane.owner] += 1
                free.append((shares[lane.owner], self._served.get(lane.owner, 0), place, one))
        return [one for *_, one in sorted(free, key=lambda entry: entry[:3])[:limit]]

    def begin(self, lane: Lane) -> None:
        """One of the lane's is on its way."""
        with self._lock:
            self._turn += 1
            self._served[lane.owner] = self._turn
            self._running.add(lane)

    def end(self, lane: Lane, *, late: bool) -> None:
        """It arrived or failed; ``late``: its time ran out."""
        with self._lock:
            self._running.discard(lane)
            if not late:
                self._troubles.pop(lane, None)
                return
            trouble = self._troubles.setdefault(lane, _Trouble())
            trouble.late += 1
            beyond = trouble.late - ACCIDENTS
            if beyond >= 0:
                trouble.until = self._now() + min(SHORTEST_REST * 2 ** min(beyond, 10), LONGEST_REST)
