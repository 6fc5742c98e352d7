"""OCSP answers that another process signs, for an event loop: requests that wait are asked for in one exchange.

While exchanges are under way the next requests collect, so the busier a worker is, the less each answer costs; nothing
waits on purpose, and nothing blocks the loop. An exchange that breaks is begun once more, on a new connection: the
process that it led to may have been replaced. While nobody answers, requests fail at once with ``signing.unavailable``
but for those of one exchange in half a second. A request whose certificate was revoked (or issued) between both looks
at the store (``signing.outdated``) is prepared once more.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.services.ocsp import OcspAnswer, OcspResponder, Unsigned
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.client import DEADLINE, PAUSE, RemoteKey, RemoteSigning

#: So many exchanges at once: one is signed while the next is written.
MOST_AT_ONCE = 2
_READ = 65536

#: Told the answer, or why there is none; called once, from the event loop, never from within ``ask``.
Done: TypeAlias = Callable[[OcspAnswer | V2GPKIError], None]


@dataclass(slots=True)
class _Asked:
    """One request that waits."""

    request: bytes
    done: Done
    again: bool = False


@dataclass(slots=True)
class _Exchange:
    """What is asked for at once; ``at`` is when it was prepared."""

    batch: Sequence[tuple[_Asked, Unsigned]]
    at: datetime
    octets: bytes
    again: bool = False


@dataclass(slots=True, eq=False)
class _Line:
    """One connection, the exchange that it is at, and what has come of its answer."""

    connection: socket.socket
    exchange: _Exchange | None = None
    got: bytes = b""
    timer: asyncio.TimerHandle | None = field(default=None)


class Asking:
    """The requests of one worker. For one event loop."""

    def __init__(
        self, responder: OcspResponder, clock: Clock, remote: RemoteSigning, *, deadline: float = DEADLINE
    ) -> None:
        """``remote`` leads to the process that signs; an exchange may take ``deadline`` seconds."""
        self._responder = responder
        self._clock = clock
        self._remote = remote
        self._deadline = deadline
        self._waiting: deque[_Asked] = deque()
        self._idle: list[_Line] = []
        self._busy: set[_Line] = set()
        self._called = False
        self._not_before = 0.0

    def ask(self, request: bytes, done: Done) -> None:
        """Answer a request when it can be signed."""
        self._waiting.append(_Asked(request, done))
        self._call()

    def close(self) -> None:
        """Close the connections; what waits for them fails."""
        for line in list(self._busy):
            self._broken(line, "the server ends", retry=False)
        for line in self._idle:
            self._hang_up(line)
        self._idle.clear()

    # -- helpers -------------------------------------------------------------------------------

    def _call(self) -> None:
        """Begin an exchange after everything that the loop has read by now."""
        if not self._called and self._waiting and len(self._busy) < MOST_AT_ONCE:
            self._called = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        self._called = False
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), protocol.MOST_ANSWERS))]
        try:
            self._begin(batch)
        finally:
            self._call()

    def _begin(self, batch: Sequence[_Asked]) -> None:
        now = self._clock.now()
        try:
            prepared = self._responder.prepare([asked.request for asked in batch], now)
        except V2GPKIError as problem:
            for asked in batch:
                asked.done(problem)
            return
        unsigned: list[tuple[_Asked, Unsigned]] = []
        wanted = []
        for asked, one in zip(batch, prepared, strict=True):
            if isinstance(one, OcspAnswer):
                asked.done(one)
                continue
            key = one.signer.template.signer
            assert isinstance(key, RemoteKey)  # the responder's keys are all those of the other process
            wanted.append(key.wanted(one.asked.cert_id, one.status, one.window, one.asked.nonce))
            unsigned.append((asked, one))
        if unsigned:
            self._send(_Exchange(unsigned, now, protocol.frame(protocol.SignAnswers(answers=wanted))))

    def _send(self, exchange: _Exchange) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            self._fail(exchange, protocol.unavailable("it did not answer a moment ago"))
            return
        try:
            line = self._idle.pop() if self._idle and not exchange.again else self._open()
        except OSError as problem:
            self._not_before = loop.time() + PAUSE
            self._fail(exchange, protocol.unavailable(problem.strerror or str(problem)))
            return
        line.exchange = exchange
        line.timer = loop.call_later(self._deadline, self._broken, line, "it does not answer in time", False)
        self._busy.add(line)
        try:
            # The buffer of a local socket takes the largest question whole.
            whole = line.connection.send(exchange.octets) == len(exchange.octets)
        except OSError as problem:
            self._broken(line, problem.strerror or str(problem))
        else:
            if not whole:
                self._broken(line, "it takes no question")

    def _open(self) -> _Line:
        line = _Line(self._remote.connection())
        asyncio.get_running_loop().add_reader(line.connection, self._read, line)
        return line

    def _read(self, line: _Line) -> None:
        try:
            more = line.connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError as problem:
            self._broken(line, problem.strerror or str(problem))
            return
        if not more or line.exchange is None:
            self._broken(line, "closed without an answer")
            return
        line.got += more
        try:
            body = protocol.whole(line.got)
            given = None if body is None else protocol.answer(body)
        except V2GPKIError as problem:
            self._broken(line, problem.message, retry=False)
            return
        if given is not None:
            self._take(line, given)

    def _take(self, line: _Line, given: protocol.Answer) -> None:
        """Hand out what came, after the line is free again."""
        exchange = line.exchange
        assert exchange is not None
        self._release(line)
        line.got = b""
        self._idle.append(line)
        self._call()
        if isinstance(given, protocol.Refused):
            self._fail(exchange, protocol.error_of(given))
        elif not isinstance(given, protocol.Each) or len(given.answers) != len(exchange.batch):
            self._fail(exchange, protocol.unavailable("it answers something else than was asked"))
        else:
            for (asked, unsigned), one in zip(exchange.batch, given.answers, strict=True):
                self._hand_out(asked, unsigned, one, exchange.at)

    def _hand_out(
        self, asked: _Asked, unsigned: Unsigned, given: protocol.Signatures | protocol.Refused, at: datetime
    ) -> None:
        if isinstance(given, protocol.Refused):
            if given.code == "signing.outdated" and not asked.again:
                asked.again = True
                self._waiting.append(asked)
                self._call()
            else:
                asked.done(protocol.error_of(given))
            return
        try:
            asked.done(self._responder.finish(unsigned, given.octets[0], at))
        except V2GPKIError as problem:
            asked.done(problem)

    def _broken(self, line: _Line, why: str, retry: bool = True) -> None:
        """A connection is of no use any more; its exchange is begun once more, if that may help."""
        exchange = line.exchange
        self._release(line)
        self._hang_up(line)
        if line in self._idle:
            self._idle.remove(line)
        if exchange is None:
            return
        if retry and not exchange.again:
            exchange.again = True
            self._send(exchange)
        else:
            self._not_before = asyncio.get_running_loop().time() + PAUSE
            self._fail(exchange, protocol.unavailable(why))
        self._call()

    def _release(self, line: _Line) -> None:
        self._busy.discard(line)
        line.exchange = None
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None

    def _hang_up(self, line: _Line) -> None:
        with suppress(RuntimeError):
            # Without a loop nobody reads any more.
            asyncio.get_running_loop().remove_reader(line.connection)
        line.connection.close()

    def _fail(self, exchange: _Exchange, problem: V2GPKIError) -> None:
        for asked, _ in exchange.batch:
            asked.done(problem)
