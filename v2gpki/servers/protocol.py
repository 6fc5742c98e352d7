"""HTTP connections with deadlines: uvicorn's protocol, and an end for clients that are slow on purpose.

A request (its head and its body) has to arrive within ``request_seconds`` of its first octet, a connection has to send
that octet within as long, and an answer has to be taken within ``write_seconds`` of the moment when the client stopped
reading. A sweep twice a second closes what is beyond: a timer for each request would cost more than the request.
Requests that need no ASGI go the short way (``prompt``); what uvicorn needs for the long way is made when
the first request has to go there, since for a connection with a single request it is most of the cost. What the client
showed in TLS is put into ``scope["extensions"]["tls"]``. Source: RFC 9110 15.5.9 (408); ASGI TLS extension.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from v2gpki.servers.crowd import Crowd, Work
from v2gpki.servers.http.client_tls import extension_of
from v2gpki.servers.http.exchange import Scope
from v2gpki.servers.http.part import LATER, Respond
from v2gpki.servers.prompt import CLOSE, Heads, with_status
from v2gpki.servers.turned_away import TurnedAway

#: What is asked for when a server is full, and answered then too.
_ALWAYS = (b"/healthz", b"/readyz")
#: So much of a request is taken at once.
_READ = 65536
_LATE_TEXT = b"the request did not arrive in time\n"
_LATE = b"\r\n".join(
    (
        b"HTTP/1.1 408 Request Timeout",
        b"content-type: text/plain; charset=utf-8",
        b"connection: close",
        b"content-length: %d" % len(_LATE_TEXT),
        b"",
        _LATE_TEXT,
    )
)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that a client has; ``head`` is the longest head of a request in octets."""

    request: float = 10.0
    write: float = 20.0
    head: int = 65_536


class Connection(HttpToolsProtocol):
    """One connection; ``with_deadlines`` makes the class for a server."""

    deadlines = Deadlines()
    heads = Heads(lambda _scope: None)
    crowd = Crowd(most=1_000_000, of_one=1_000_000)
    turned = TurnedAway()
    #: What the client showed in TLS, as ASGI has it.
    tls: Mapping[object, object] | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # uvicorn's signature
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # The rest of uvicorn's is made by _grow.
        self.loop = _loop or asyncio.get_running_loop()
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.scope = self.cycle = self.flow = None  # type: ignore[assignment]  # as uvicorn does it
        self._grown = False
        #: Since when the connection waits for another request after one that went the short way, 0 for others.
        self._idle = 0.0
        #: Since when a request is expected or on its way, 0 when none is; which one; how long its head is so far.
        self._since = 0.0
        self._partial: object = None
        self._head = 0
        self._stalled = 0.0
        #: The beginning of an answer that is on its way, and whether it is the last; what came after its request.
        self._owed: tuple[bytes, bool] | None = None
        self._more = b""
        #: What the client had sent when it came, until it is looked at.
        self._early = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """A client is there; with TLS, its handshake is done."""
        self.transport = transport
        peer = transport.get_extra_info("peername")
        if not self.crowd.arrive(self, peer[0] if peer else ""):
            transport.abort()
            return
        self.server_state.connections.add(self)
        self._since = self.loop.time()
        self._look()

    def _look(self) -> None:
        """Take what the client has sent by now, which mostly is its request: an event loop would begin to listen for it
        only now, and an answer to the only request of a connection would cost twice as much."""
        try:
            data = os.read(self.transport.get_extra_info("socket").fileno(), _READ)
        except OSError:
            # Nothing is there yet, or whatever it is, the loop will find it too.
            return
        if data and not self._answer(data):
            # When the loop has begun to listen; what it hears before that turn comes behind these octets.
            self._early = data
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        early, self._early = self._early, b""
        if early and not self.transport.is_closing():
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.crowd.leave(self)
        self._owed, self._more = None, b""
        if self._grown:
            super().connection_lost(exc)
        else:
            self.server_state.connections.discard(self)
            self.transport.close()

    @property
    def work(self) -> Work:
        """What it is at."""
        if self._owed is not None:
            return Work.ANSWERING
        cycle = self.cycle
        if cycle is None:
            return Work.IDLE if self.scope is None else Work.READING
        if not cycle.response_complete:
            return Work.READING if cycle.more_body and not cycle.response_started else Work.ANSWERING
        if self.pipeline:
            return Work.ANSWERING
        return Work.IDLE if self._between() else Work.READING

    @property
    def address(self) -> str:
        """The other end's address, "" when it is not known."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no head of a request, or too large a one."""
        self.turned.note("bad_head", self.address)
        super().send_400_response(msg)

    def drop(self) -> None:
        """End it at once; it counts no more."""
        self.server_state.connections.discard(self)
        self.transport.abort()

    def on_headers_complete(self) -> None:
        """The head of a request; probes are answered however many connections there are."""
        if self.url.partition(b"?")[0] not in _ALWAYS:
            super().on_headers_complete()
            return
        limit, self.limit_concurrency = self.limit_concurrency, None
        super().on_headers_complete()
        self.limit_concurrency = limit

    def data_received(self, data: bytes) -> None:
        """Octets of a request."""
        if self._early:
            data, self._early = self._early + data, b""
        if self._owed is not None:
            # They wait until the answer before them is written.
            self._more += data
            self.transport.pause_reading()
            return
        between = self._between()
        if between and self._answer(data):
            return
        self._idle = 0.0
        if not self._grown:
            self._grow()
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.more_body and cycle.scope is self.scope:
            self._since = 0.0
            scope: Scope = cycle.scope  # type: ignore[assignment]  # uvicorn's is a mapping too
            if between and not self.pipeline and self.heads.wanted(scope):
                scope = dict(scope)
                self.heads.learn(data, scope, bytes(cycle.body), keep_alive=cycle.keep_alive)
        else:
            self._note_partial(len(data))

    def _between(self) -> bool:
        """Whether a message begins with the next octet, and nothing is owed to the client before its answer."""
        cycle = self.cycle
        if cycle is None:
            return self.scope is None and not self._stalled
        whole = cycle.response_complete and not cycle.more_body and cycle.scope is self.scope
        return whole and not self.pipeline and not self._stalled

    def _answer(self, data: bytes) -> bool:
        """Answer at once, if that is possible; not when there are too many connections, which the long way refuses."""
        most = self.config.limit_concurrency
        if most is not None and len(self.server_state.connections) >= most:
            return False
        found = self.heads.answer(data, self.server_state.default_headers, self._later, self)
        if found is None:
            return False
        beginning, rest, last = found
        if self._grown:
            self._unset_keepalive_if_required()
        self._since = 0.0
        if rest is LATER:
            self._idle = 0.0
            self._owed = beginning, last
        else:
            self._write(beginning + rest, last)
        return True

    def _write(self, answer: bytes, last: bool) -> None:
        self.transport.write(answer)
        self._idle = self.loop.time()
        if last:
            self.transport.close()

    def _later(self, rest: bytes, status: int = 200) -> None:
        """The rest of the answer that is owed; nobody may be left to take it."""
        owed, self._owed = self._owed, None
        if owed is None or self.transport.is_closing():
            return
        beginning, last = owed
        self._write(with_status(beginning, status) + rest, last)
        more, self._more = self._more, b""
        if more and not last:
            self.transport.resume_reading()
            self.data_received(more)

    def shutdown(self) -> None:
        """The server ends: after the answer that is owed, or now."""
        if self._owed is None:
            super().shutdown()
        elif not self._owed[1]:
            self._owed = self._owed[0] + CLOSE, True

    def eof_received(self) -> bool | None:  # type: ignore[override]  # as asyncio has it
        """The client sends no more, but may wait for what it asked."""
        self._go_on()
        if self._owed is not None:
            self._owed = self._owed[0], True
            return True
        cycle = self.cycle if self._grown else None
        if cycle is None or cycle.response_complete:
            return None
        # What answers it closes the connection when it is done.
        cycle.keep_alive = False
        return True

    def _grow(self) -> None:
        """Become a connection that can go the long way."""
        self._grown = True
        transport = self.transport
        super().__init__(self.config, self.server_state, self.app_state, self.loop)
        super().connection_made(transport)
        if self._stalled:
            super().pause_writing()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are dropped: as headers they would be believed, and any number of them kept."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            super().on_header(name, value)

    def _note_partial(self, octets: int) -> None:
        """A request is not whole yet: its time runs from its first octet, and its head must end somewhere."""
        if self._partial is not self.scope or self._since == 0.0:
            self._partial = self.scope
            self._since = self.loop.time()
            self._head = 0
        if self.cycle is None or self.cycle.scope is not self.scope:
            self._head += octets
            if self._head > self.deadlines.head and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def pause_writing(self) -> None:
        """The client does not read."""
        self._stalled = self.loop.time()
        if self._grown:
            super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stalled = 0.0
        if self._grown:
            super().resume_writing()

    def _reset(self) -> None:
        """Close without handing over what the client did not take: the kernel would keep it for minutes."""
        opened = self.transport.get_extra_info("socket")
        if opened is not None:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def judge(self, now: float) -> bool:
        """Close the connection if its client is too slow; whether that was so."""
        if self._stalled and now - self._stalled > self.deadlines.write:
            self._reset()
            return True
        if self._idle and now - self._idle > self.config.timeout_keep_alive:
            self.transport.close()
            return False
        if not self._since or now - self._since <= self.deadlines.request or self.transport.is_closing():
            return False
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            # Nobody will read an answer to half a request.
            started = cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            if started:
                self.transport.abort()
                return True
        self.transport.write(_LATE)
        self.transport.close()
        return True


class SecureConnection(Connection):
    """One connection with TLS: each request is told what the client showed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """The handshake is done."""
        self.tls = extension_of(transport)
        super().connection_made(transport)

    def _look(self) -> None:
        """What the socket holds is not what was said."""

    def eof_received(self) -> None:
        """TLS ends in both directions at once."""

    def on_message_begin(self) -> None:
        """The first octet of a request."""
        super().on_message_begin()
        if self.tls is not None:
            self.scope["extensions"] = {"tls": dict(self.tls)}


def with_deadlines(
    deadlines: Deadlines,
    *,
    tls: bool,
    find: Callable[[Scope], Respond | None] = lambda _scope: None,
    crowd: Crowd | None = None,
    turned: TurnedAway | None = None,
) -> type[Connection]:
    """The class of one door's connections: these deadlines, ``find`` tells who answers a request at once, and
    ``crowd`` how many there may be, ``turned`` is told whom they refuse."""
    shared: dict[str, object] = {"deadlines": deadlines, "heads": Heads(find)}
    if crowd is not None:
        shared["crowd"] = crowd
    if turned is not None:
        shared["turned"] = turned
    return type("Connection", (SecureConnection if tls else Connection,), shared)
