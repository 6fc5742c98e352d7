"""Several serving processes: forked, watched, replaced when they die, ended together.

The parent does nothing but watch. A worker that dies is replaced, after a pause that doubles as long as workers die
young; when they keep dying, everything ends with ``serving.workers_died``. SIGTERM and SIGINT are handed on to the
workers, which finish their requests; a second one ends them at once. Workers whose parent is killed notice it by a
pipe, and end. To be called in the main thread of a process that has no other.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from v2gpki.errors import EXIT_BUG, V2GPKIError

_LOG = logging.getLogger("v2gpki.serve")

#: A worker that lives shorter than this died young, in seconds; so many may do so in a row.
YOUNG = 5.0
MOST_YOUNG_DEATHS = 5
_WATCHED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})

#: Serves as worker n: (n, call when it serves, pipe that ends with the parent).
Serve = Callable[[int, Callable[[], None], int], None]


@dataclass(slots=True)
class Workers:
    """``count`` processes that each call ``serve``; ``started`` is called once, when all of them serve."""

    count: int
    serve: Serve
    started: Callable[[], None] = lambda: None
    grace: float = 30.0
    _born: dict[int, tuple[int, float]] = field(default_factory=dict)
    _deaths: int = 0
    _ready: set[int] = field(default_factory=set)

    def run(self) -> None:
        """Until a signal, or until they keep dying (``serving.workers_died``)."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        lifeline, mine = os.pipe()
        told, telling = os.pipe()
        os.set_blocking(told, False)
        try:
            self._watch(lambda number: self._fork(number, lifeline, mine, telling), told)
        finally:
            for descriptor in (lifeline, mine, told, telling):
                os.close(descriptor)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self, fork: Callable[[int], None], told: int) -> None:
        due: dict[int, float] = dict.fromkeys(range(self.count), 0.0)
        waiting = True
        while True:
            now = monotonic()
            for number in [number for number, at in due.items() if at <= now]:
                del due[number]
                fork(number)
            got = signal.sigtimedwait(_WATCHED, 0.05 if waiting or due else 1.0)
            if got is not None and got.si_signo in (signal.SIGTERM, signal.SIGINT):
                self._end()
                return
            for number, lived in self._reap():
                self._deaths = self._deaths + 1 if lived < YOUNG else 0
                if self._deaths >= MOST_YOUNG_DEATHS:
                    self._end()
                    raise V2GPKIError(
                        "serving.workers_died",
                        f"the serving processes die as soon as they start, {self._deaths} in a row",
                        hint="the log above says why each of them ended",
                    )
                _LOG.error("a serving process died and is replaced", extra={"worker": number})
                due[number] = monotonic() + (0.1 * 2**self._deaths if self._deaths else 0.0)
            if waiting:
                waiting = not self._all_ready(told)

    def _all_ready(self, told: int) -> bool:
        try:
            self._ready.update(os.read(told, 4096))
        except BlockingIOError:
            return False
        if len(self._ready) < self.count:
            return False
        self.started()
        return True

    def _fork(self, number: int, lifeline: int, mine: int, telling: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child:
            self._born[child] = number, monotonic()
            return
        status = EXIT_BUG
        try:
            os.close(mine)
            # Ctrl+C reaches the whole group: the parent alone hands it on.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            self.serve(number, lambda: void(os.write(telling, bytes([number]))), lifeline)
            status = 0
        except V2GPKIError as problem:
            _LOG.error("a serving process ends: %s", problem, extra={"code": problem.code, "worker": number})
            status = problem.outcome.exit_code
        except BaseException:  # noqa: BLE001 - the border of a process: nothing of the parent may run in the child
            _LOG.exception("a serving process ends by an error", extra={"worker": number})
        finally:
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> list[tuple[int, float]]:
        """(number, seconds lived) of each worker that has ended."""
        ended = []
        for child, (number, born) in list(self._born.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del self._born[child]
                ended.append((number, monotonic() - born))
        return ended

    def _end(self) -> None:
        """Ask the workers to end, and see them end; a second signal or the end of their grace ends them at once."""
        self._signal(signal.SIGTERM)
        deadline = monotonic() + self.grace + 5.0
        while self._born:
            got = signal.sigtimedwait(_WATCHED, 0.2)
            again = got is not None and got.si_signo in (signal.SIGTERM, signal.SIGINT)
            if again or monotonic() > deadline:
                self._signal(signal.SIGKILL)
            self._reap()

    def _signal(self, number: signal.Signals) -> None:
        for child in self._born:
            os.kill(child, number)


def void(_value: object) -> None:
    """Nothing."""
