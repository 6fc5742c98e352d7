"""An engine over a link: octets carried both ways, questions answered by coroutines, deadlines kept.

One task of its own reads the connection while a question is answered, so a peer that goes away ends the session at
once, and an answer that comes late is no longer waited for. A plug-in that fails is a refusal, never the end of the
server. Clauses: ISO 15118-2 8.8, ISO 15118-20 8.8.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls.link import Link
from v2gpki.session.engine import Engine
from v2gpki.session.notices import Ending, Notice
from v2gpki.session.questions import Question

_LOG = logging.getLogger("v2gpki.session")

#: Answers a kind of question: the reply, or a coroutine that gives it.
Answering: TypeAlias = Callable[..., "object | Awaitable[object]"]
Answers: TypeAlias = Mapping[type, Answering]
#: Seconds that the other side has to close after the session, before we do.
FAREWELL = 2.0
#: Seconds that a plug-in has to end when it is told to; one that does not is left behind.
_GIVES_UP = 1.0
#: Seconds that a listener has for one notice.
_LISTENS = 1.0


async def drive(
    engine: Engine,
    link: Link,
    answers: Answers,
    *,
    told: Callable[[Notice], Awaitable[None] | None],
    over: Callable[[], Awaitable[None]] | None = None,
    waits_for_close: bool = False,
) -> Ending:
    """Run a session to its end and close the link. ``over`` is awaited first of all, however it ended: contactors do
    not wait for a farewell. ``waits_for_close``: the other side closes first (it is an SECC)."""
    loop = asyncio.get_running_loop()
    driver = _Driver(engine, link, answers, told, loop)
    try:
        try:
            ending = await driver.run()
        finally:
            if over is not None:
                await over()
        if waits_for_close and ending.kind in ("stopped", "paused", "refused"):
            await driver.farewell()
        return ending
    finally:
        await driver.close()


class _Driver:
    def __init__(
        self,
        engine: Engine,
        link: Link,
        answers: Answers,
        told: Callable[[Notice], Awaitable[None] | None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._engine = engine
        self._link = link
        self._answers = answers
        self._told = told
        self._loop = loop
        self._reading: asyncio.Task[bytes] | None = None
        self._deaf = False

    async def run(self) -> Ending:
        engine = self._engine
        engine.start(self._loop.time())
        while True:
            await self._flush()
            if engine.ending is not None:
                return engine.ending
            if engine.question is not None:
                await self._answer(engine.question)
            else:
                await self._wait(None)

    async def _flush(self) -> None:
        """Send and tell; what cannot be sent is the end of the connection."""
        engine = self._engine
        octets = engine.outgoing()
        if octets:
            try:
                await self._link.send(octets)
            except (OSError, V2GPKIError) as problem:
                self._lost(problem, self._loop.time())
        for notice in engine.notices():
            try:
                telling = None if self._deaf else self._told(notice)
                if telling is not None:
                    async with asyncio.timeout(_LISTENS):
                        await telling
            except TimeoutError:
                # Deadlines stand still while it is told something; contactors do not wait for it.
                self._deaf = True
                _LOG.warning("a listener takes too long; it is told nothing more of this session")
            except Exception:  # noqa: BLE001  # a listener of somebody else's; the session goes on without it
                _LOG.warning("a listener failed", exc_info=True)

    async def _answer(self, question: Question[object]) -> None:
        """The reply to a question, while the connection is watched."""
        try:
            answer = self._answers[type(question)](question)
        except Exception as problem:  # noqa: BLE001  # the border to plug-ins
            self._engine.refuse(_as_refusal(question, problem), self._loop.time())
            return
        if not inspect.isawaitable(answer):
            self._reply(question, answer)
            return
        task = asyncio.ensure_future(answer)
        try:
            while self._engine.question is question and not task.done():
                await self._wait(task)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_GIVES_UP)
            task.add_done_callback(_seen)
        if self._engine.question is not question:
            return
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        if failure is not None:
            self._engine.refuse(_as_refusal(question, failure), self._loop.time())
        else:
            self._reply(question, task.result())

    def _reply(self, question: Question[object], answer: object) -> None:
        try:
            self._engine.answer(answer, self._loop.time())
        except TypeError as problem:
            self._engine.refuse(_as_refusal(question, problem), self._loop.time())

    async def _wait(self, task: asyncio.Future[object] | None) -> None:
        """Until octets come, the task is done, or the deadline is there."""
        engine = self._engine
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._link.receive())
        left = None if engine.deadline is None else max(0.0, engine.deadline - self._loop.time())
        watched: list[asyncio.Future[bytes] | asyncio.Future[object]] = [self._reading]
        if task is not None:
            watched.append(task)
        await asyncio.wait(watched, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        now = self._loop.time()
        if self._reading.done():
            reading, self._reading = self._reading, None
            self._heard(reading, now)
        engine.tick(now)

    def _heard(self, reading: asyncio.Task[bytes], now: float) -> None:
        problem: OSError | V2GPKIError | None = None
        data = b""
        try:
            data = reading.result()
        except (OSError, V2GPKIError) as lost:
            problem = lost
        if data:
            self._engine.receive(data, now)
        else:
            self._lost(problem, now)
            # It reads no more: whatever is still asked ends with it.
            self._reading = asyncio.ensure_future(_never())

    def _lost(self, problem: OSError | V2GPKIError | None, now: float) -> None:
        """The connection is gone. What it said last is why: in TLS 1.3 a station refuses after the handshake."""
        if problem is not None:
            _LOG.info("connection lost", extra={"reason": str(problem)})
        self._engine.peer_closed(now, problem if isinstance(problem, V2GPKIError) else None)

    async def farewell(self) -> None:
        """Let the other side close first, for a moment."""
        reading = self._reading or asyncio.ensure_future(self._link.receive())
        self._reading = reading
        await asyncio.wait([reading], timeout=FAREWELL)

    async def close(self) -> None:
        """Close the link, whatever state it is in."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        with contextlib.suppress(OSError, V2GPKIError):
            await self._link.close()


def _seen(task: asyncio.Future[Any]) -> None:  # Any: whatever it would have given
    """An error that comes after all is nobody's to catch."""
    if not task.cancelled():
        task.exception()


async def _never() -> bytes:
    await asyncio.Event().wait()
    return b""


def _as_refusal(question: Question[object], problem: BaseException) -> V2GPKIError:
    """A plug-in's failure as a refusal; what is no refusal of ours goes to the log."""
    if isinstance(problem, V2GPKIError):
        return problem
    name = type(question).__name__
    _LOG.error("a plug-in failed", exc_info=problem, extra={"question": name})
    return V2GPKIError(
        "plugin.failed",
        f"what answers {name} failed: {type(problem).__name__}",
        hint="the log has its traceback; a plug-in refuses with V2GPKIError",
        facts={"question": name},
    )
