"""The octets of one TCP connection with limits: a peer that is silent, slow or does not read is ended.

All refusals are ``tls.late`` or ``tls.closed``. What the other end wrote last is waited for shortly on closing, so that
an alert sent to it is not lost by a reset (RFC 9293 3.6.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls.security import Limits

_SIZE = 65_536
#: Octets that are thrown away while a connection ends.
_LAST_WORDS = 1024 * 1024


class Tap(Protocol):
    """Is told the octets of a connection as they are on the wire, to record them; it must not raise."""

    def opened(self, local: object, peer: object) -> None:
        """The addresses of both ends, as sockets name them."""

    def received(self, data: bytes) -> None:
        """Octets from the other end, b"" when it has finished."""

    def sent(self, data: bytes) -> None:
        """Octets to the other end."""

    def closed(self) -> None:
        """This end has finished; told once or more."""


class Wire:
    """A reader and a writer of asyncio; ``peer`` and ``local`` are addresses in words. ``tap`` is told all octets."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits, tap: Tap | None = None
    ) -> None:
        self.limits = limits
        self._tap = tap
        if tap is not None:
            tap.opened(writer.get_extra_info("sockname"), writer.get_extra_info("peername"))
        self.peer = address_text(writer.get_extra_info("peername"))
        self.local = address_text(writer.get_extra_info("sockname"))
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """The next octets, b"" at the end; raises ``tls.late`` after ``limits.idle``."""
        try:
            async with asyncio.timeout(self.limits.idle):
                data = await self._reader.read(_SIZE)
        except TimeoutError:
            raise self.late("sent nothing", self.limits.idle) from None
        except OSError:
            # A reset says no more than an end.
            data = b""
        return self._seen(data)

    async def write(self, data: bytes) -> None:
        """Send; raises ``tls.late`` after ``limits.write`` and ``tls.closed``."""
        if not data:
            return
        if self._tap is not None:
            self._tap.sent(data)
        try:
            self._writer.write(data)
            async with asyncio.timeout(self.limits.write):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise self.late("does not take what is sent", self.limits.write) from None
        except OSError:
            raise self.closed("while something was sent to it") from None

    async def end(self) -> None:
        """Say that nothing more comes, wait shortly for the other end to do so, and close."""
        if self._tap is not None:
            self._tap.closed()
        try:
            async with asyncio.timeout(self.limits.close):
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                left = _LAST_WORDS
                while left > 0 and (data := self._seen(await self._reader.read(_SIZE))):
                    left -= len(data)
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()
        finally:
            # Also when the task is cancelled meanwhile.
            self._writer.close()

    def abort(self) -> None:
        """Close at once."""
        if self._tap is not None:
            self._tap.closed()
        self._writer.transport.abort()

    def _seen(self, data: bytes) -> bytes:
        if self._tap is not None:
            self._tap.received(data)
        return data

    def late(self, what: str, seconds: float) -> V2GPKIError:
        """The error for a limit that has passed."""
        return V2GPKIError(
            "tls.late",
            f"{self.peer} {what} within {seconds:g} s",
            facts={"peer": self.peer, "seconds": f"{seconds:g}"},
        )

    def closed(self, when: str) -> V2GPKIError:
        """The error for a connection that is gone."""
        return V2GPKIError("tls.closed", f"{self.peer} closed the connection {when}", facts={"peer": self.peer})


def address_text(address: object) -> str:
    """``[fe80::1%eth0]:50000``, ``127.0.0.1:50000``, "" for nothing."""
    if not isinstance(address, tuple) or len(address) < 2:
        return ""
    host, port = str(address[0]), address[1]
    if len(address) == 4 and address[3] and "%" not in host:
        with contextlib.suppress(OSError):
            host += f"%{socket.if_indextoname(address[3])}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
