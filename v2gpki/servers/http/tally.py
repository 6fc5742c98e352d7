"""Counters that every worker process adds to and each can read whole: 64-bit floats in shared memory.

The memory is made before the workers are forked; each worker writes its own row and nobody else's, so counting needs
no lock (one event loop per process does it), and a worker that takes a dead one's place goes on where that one
stopped: a counter never falls. A reader may see a row between two additions, never half a number. What can be counted
is fixed when the memory is made, hence nothing that a client sends makes it grow.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence

#: Upper ends of the latency classes in seconds; above the last one everything counts as slow.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: HTTP statuses that are counted by themselves; any other one is "other".
STATUSES = (
    *(200, 201, 202, 204, 302, 304, 400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 414, 415, 422, 429, 431, 499),
    *(500, 501, 502, 503, 504, 507),
)
OCSP_STATUSES = (
    *("good", "revoked", "unknown", "malformedRequest", "internalError", "tryLater", "sigRequired", "unauthorized"),
)
#: What became of credentials, and of requests that were turned away unread.
EVENTS = (
    *("authenticated", "credential_refused", "rate_limited", "too_large", "timed_out", "bad_head"),
    *("handshake_refused", "unlogged", "tokens_issued", "failed"),
)

_DOUBLE = 8


class Tally:
    """The counters of one server."""

    def __init__(self, parts: Sequence[str], *, workers: int = 1) -> None:
        """``parts`` are the services that are told apart; anything else counts for "other"."""
        self.parts = (*dict.fromkeys((*parts, "other")),)
        self._status_of = {status: index for index, status in enumerate(STATUSES)}
        self._requests = {
            part: index * (len(STATUSES) + 1) for index, part in enumerate(self.parts)
        }
        start = len(self.parts) * (len(STATUSES) + 1)
        # Classes, then the sum of seconds.
        self._latency = {part: start + index * (len(BUCKETS) + 2) for index, part in enumerate(self.parts)}
        start += len(self.parts) * (len(BUCKETS) + 2)
        self._ocsp = {status: start + index for index, status in enumerate(OCSP_STATUSES)}
        start += len(OCSP_STATUSES)
        self._events = {event: start + index for index, event in enumerate(EVENTS)}
        self._size = start + len(EVENTS)
        self._workers = workers
        self._memory = mmap.mmap(-1, workers * self._size * _DOUBLE)
        self._all = memoryview(self._memory).cast("d")
        self._row = self._all[: self._size]

    def use_row(self, worker: int) -> None:
        """Count in the row of worker 0, 1, ..: called once in each process, after the fork."""
        self._row = self._all[worker * self._size : (worker + 1) * self._size]

    # -- counting ------------------------------------------------------------------------------

    def request(self, part: str, status: int, seconds: float) -> None:
        """One answered request."""
        row = self._row
        base = self._requests[part]
        row[base + self._status_of.get(status, len(STATUSES))] += 1.0
        base = self._latency[part]
        row[base + _bucket(seconds)] += 1.0
        row[base + len(BUCKETS) + 1] += seconds

    def ocsp(self, status: str) -> None:
        """One OCSP answer."""
        self._row[self._ocsp[status]] += 1.0

    def event(self, event: str) -> None:
        """One of ``EVENTS``."""
        self._row[self._events[event]] += 1.0

    # -- reading -------------------------------------------------------------------------------

    def requests(self) -> Iterable[tuple[str, str, float]]:
        """(part, status, count) of everything that was counted."""
        for part, base in self._requests.items():
            for index, status in enumerate((*map(str, STATUSES), "other")):
                if count := self._sum(base + index):
                    yield part, status, count

    def latencies(self) -> Iterable[tuple[str, list[float], float]]:
        """(part, cumulative counts by ``BUCKETS`` and the rest, sum of seconds) of each part."""
        for part, base in self._latency.items():
            total = 0.0
            cumulative = []
            for index in range(len(BUCKETS) + 1):
                total += self._sum(base + index)
                cumulative.append(total)
            yield part, cumulative, self._sum(base + len(BUCKETS) + 1)

    def ocsp_answers(self) -> dict[str, float]:
        """Answers by status."""
        return {status: self._sum(at) for status, at in self._ocsp.items()}

    def events(self) -> dict[str, float]:
        """Count of each of ``EVENTS``."""
        return {event: self._sum(at) for event, at in self._events.items()}

    def _sum(self, at: int) -> float:
        return float(sum(self._all[worker * self._size + at] for worker in range(self._workers)))


def _bucket(seconds: float) -> int:
    for index, end in enumerate(BUCKETS):
        if seconds <= end:
            return index
    return len(BUCKETS)
