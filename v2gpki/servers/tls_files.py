"""TLS files that change while they are served: a certificate that was renewed, a CA that was added or removed.

The files are looked at every few seconds; when one of them is another than before, new handshakes take what they say
now, and connections that are open go on. Files that cannot be used change nothing, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from v2gpki.errors import V2GPKIError

_LOG = logging.getLogger("v2gpki.tls")

#: Seconds between two looks.
LOOK = 2.0

#: A context and when its certificate ends.
Made = tuple[ssl.SSLContext, datetime | None]


class TlsFiles:
    """Keeps one served context as its files are."""

    def __init__(
        self, context: ssl.SSLContext, ends: datetime | None, files: Sequence[Path], make: Callable[[], Made]
    ) -> None:
        """``context`` is what sockets were opened with; ``make`` reads the files anew and raises ``V2GPKIError``."""
        self.ends = ends
        self._current = context
        self._files = tuple(files)
        self._make = make
        self._read = self._refused = self._stamp()
        context.sni_callback = self._choose

    def look(self) -> bool:
        """Read the files if one of them changed; whether there is a new context."""
        stamp = self._stamp()
        if stamp in (self._read, self._refused):
            return False
        try:
            self._current, self.ends = self._make()
        except V2GPKIError as problem:
            # Perhaps the key is written a moment after the certificate: that is another stamp.
            self._refused = stamp
            _LOG.error("TLS goes on as it was: %s", problem, extra={"code": problem.code})
            return False
        self._read = self._refused = stamp
        _LOG.info("TLS files were read anew")
        return True

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await asyncio.to_thread(self.look)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002 - ssl's signature
        """Called in every handshake, also without a name."""
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
