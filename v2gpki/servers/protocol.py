"""HTTP connections with deadlines: uvicorn's protocol, and an end for clients that are slow on purpose.

A request (its head and its body) has to arrive within ``request_seconds`` of its first octet, a connection has to send
that octet within as long, and an answer has to be taken within ``write_seconds`` of the moment when the client stopped
reading. A sweep twice a second closes what is beyond: a timer for each request would cost more than the request. What
the client showed in TLS is put into ``scope["extensions"]["tls"]``. Source: RFC 9110 15.5.9 (408); ASGI TLS extension.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from v2gpki.servers.http.client_tls import extension_of

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

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # uvicorn's signature
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        #: Since when a request is expected or on its way, 0 when none is; which one; how long its head is so far.
        self._since = 0.0
        self._partial: object = None
        self._head = 0
        self._stalled = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """A client is there; with TLS, its handshake is done."""
        super().connection_made(transport)
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Octets of a request."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not cycle.more_body and cycle.scope is self.scope:
            self._since = 0.0
        else:
            self._note_partial(len(data))

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
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stalled = 0.0
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

    _tls: dict[object, object] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """The handshake is done."""
        super().connection_made(transport)
        self._tls = extension_of(transport)

    def on_message_begin(self) -> None:
        """The first octet of a request."""
        super().on_message_begin()
        if self._tls is not None:
            self.scope["extensions"] = {"tls": self._tls}


def with_deadlines(deadlines: Deadlines, *, tls: bool) -> type[Connection]:
    """The class of connections that have these deadlines."""
    return type("Connection", (SecureConnection if tls else Connection,), {"deadlines": deadlines})
