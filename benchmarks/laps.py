"""``v2gpki serve`` in one process that times the laps of its event loop: how long a request can wait in the server.

``python benchmarks/laps.py FILE serve ..`` counts from SIGUSR1 on, and when it ends writes to FILE the 50th and 99th
percentile in milliseconds of two laps in a row, in time and in CPU time, over all answers. What can be read at some
moment is answered in the lap that begins next at the latest, so two laps are a bound for the time from readable to
written. CPU time is without what other programs took of the core meanwhile.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from v2gpki.cli import main
from v2gpki.servers import process, protocol, worker


class _Laps:
    """Each lap of a loop in which something was read: how long it took from the first read on, and what it answered."""

    def __init__(self) -> None:
        self.reset()
        self._began: tuple[float, float] | None = None
        self.answered = 0

    def reset(self) -> None:
        self.time, self.cpu, self.answers = array("d"), array("d"), array("d")

    def read(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._began is None:
            self._began = perf_counter(), thread_time()
            self.answered = 0
            # Runs after everything that the loop found readable.
            loop.call_soon(self._end)

    def _end(self) -> None:
        assert self._began is not None
        self.time.append(perf_counter() - self._began[0])
        self.cpu.append(thread_time() - self._began[1])
        self.answers.append(self.answered)
        self._began = None


LAPS = _Laps()


async def _run() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, LAPS.reset)
    try:
        await asyncio.Event().wait()
    finally:
        figures = [figure for laps in (LAPS.time, LAPS.cpu) for figure in _percentiles(laps, LAPS.answers)]
        Path(sys.argv[0]).write_text(" ".join(f"{figure * 1000:.3f}" for figure in figures))


def _percentiles(laps: Sequence[float], answers: Sequence[float]) -> list[float]:
    pairs = sorted((before + after, count) for (before, after), count in zip(pairwise(laps), answers[1:], strict=True))
    whole = sum(count for _, count in pairs)
    found = []
    for part in (0.5, 0.99):
        left = whole * part
        for length, count in pairs:
            left -= count
            if left <= 0:
                found.append(length)
                break
    return found


class _Connection(protocol.Connection):
    def data_received(self, data: bytes) -> None:
        LAPS.read(self.loop)
        super().data_received(data)

    def _write(self, answer: bytes, last: bool) -> None:
        LAPS.answered += 1
        super()._write(answer, last)


class _Measured(process.Process):
    def __init__(self, doors: Any, jobs: Any, *more: Any, **named: Any) -> None:  # passed on as they are
        super().__init__(doors, [*jobs, _run], *more, **named)


if __name__ == "__main__" and len(sys.argv) > 2:
    sys.argv = sys.argv[1:]
    protocol.Connection = _Connection  # type: ignore[misc]  # its class is made from this one for each door
    worker.Process = _Measured  # type: ignore[misc]  # the one place where a server takes it from
    main(sys.argv[1:])
