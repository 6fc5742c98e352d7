"""Enrolments that arrive together are answered together: one group of commits for all of them.

Who has many requests sends the next one when the last is answered. So a group waits a moment for those who were just
answered: two groups of half of them, each of which comes while the other is worked on, would cost more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.services.est import Enrolled, EnrolRequest, EstService

_LOG = logging.getLogger("v2gpki.est")

#: So many requests are answered in one group of commits, so many may wait.
LARGEST_GROUP = 128
_MOST_WAITING = 4096
#: Seconds that a group waits at most for those whom the last one answered.
GATHERING = 0.005

#: Told the answer, or the refusal; called once, from the event loop, never from within ``ask``.
Done: TypeAlias = Callable[[Enrolled | V2GPKIError], None]


class EnrolmentDesk:
    """Requests that arrive while others are being answered wait and are answered together. For one event loop."""

    def __init__(self, service: EstService, threads: ThreadPoolExecutor) -> None:
        self._service = service
        self._threads = threads
        self._waiting: list[tuple[EnrolRequest, Done]] = []
        self._worker: asyncio.Task[None] | None = None
        #: How many a group would have if all who were answered last came again, and until when that is waited for.
        self._expected, self._until = 0, 0.0
        self._enough = asyncio.Event()

    async def answer(self, request: EnrolRequest) -> Enrolled:
        """The answer to one request; raises its refusal, and ``est.busy``."""
        future: asyncio.Future[Enrolled] = asyncio.get_running_loop().create_future()
        self.ask(request, partial(_settle, future))
        return await future

    def ask(self, request: EnrolRequest, done: Done) -> None:
        """Have a request answered. Raises ``est.busy``."""
        if len(self._waiting) >= _MOST_WAITING:
            raise V2GPKIError(
                "est.busy",
                "too many requests are waiting",
                hint="send it again in a few seconds",
                clause="RFC 9110 15.6.4",
            )
        self._waiting.append((request, done))
        if len(self._waiting) >= self._expected:
            self._enough.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _gather(self, seconds: float) -> None:
        """Wait until as many are here as are expected, but not for long."""
        if len(self._waiting) < self._expected and seconds > 0:
            self._enough.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._enough.wait()

    async def _work(self) -> None:
        """Answer group after group; when something breaks, nobody waits for ever."""
        loop = asyncio.get_running_loop()
        group: list[tuple[EnrolRequest, Done]] = []
        try:
            while self._waiting:
                await self._gather(self._until - loop.time())
                group = self._waiting[:LARGEST_GROUP]
                del self._waiting[:LARGEST_GROUP]
                requests = [request for request, _ in group]
                answers = await loop.run_in_executor(self._threads, self._service.answer_many, requests)
                told, group = group, []
                for (_, done), answer in zip(told, answers, strict=True):
                    _tell(done, answer)
                # Who came alone comes alone.
                self._expected = min(len(self._waiting) + len(told), LARGEST_GROUP) if len(told) > 1 else 0
                self._until = loop.time() + GATHERING
        finally:
            left, self._waiting = [*group, *self._waiting], []
            for _, done in left:
                _tell(done, V2GPKIError("internal.bug", "the group of requests was not answered"))


def _tell(done: Done, answer: Enrolled | V2GPKIError) -> None:
    try:
        done(answer)
    except Exception:  # noqa: BLE001 - the others of the group have their answers too
        _LOG.exception("an answer could not be handed over")


def _settle(future: asyncio.Future[Enrolled], answer: Enrolled | V2GPKIError) -> None:
    """Give an answer to whoever still waits for it."""
    if future.done():
        return
    if isinstance(answer, V2GPKIError):
        future.set_exception(answer)
    else:
        future.set_result(answer)
