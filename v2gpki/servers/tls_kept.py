"""The TLS of one serving process, kept as files, store and clock are: a certificate that was renewed, a CA that came.

The store is asked in every handshake for its trust revision, so that a client whose CA was made a moment ago is let
in, and one whose CA was revoked is not. Files are looked at every few seconds, and so is the end of a certificate that
the home issued: a new one takes its place a month before. New handshakes take what is true now, connections that are
open go on. What cannot be used changes nothing, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

from v2gpki.errors import V2GPKIError
from v2gpki.servers.tls import Made, TlsMaker
from v2gpki.wiring import CertificateAuthority

_LOG = logging.getLogger("v2gpki.tls")

#: Seconds between two looks.
LOOK = 2.0
#: The time between two attempts to renew the certificate of the home.
_AGAIN = timedelta(hours=1)

#: What the files say that they are, and the store's trust revision.
_Stamp = tuple[tuple[tuple[int, int, int], ...], int]


class KeptTls:
    """Keeps one served context true. Safe from threads; handshakes never wait for what another thread makes."""

    def __init__(self, made: Made, maker: TlsMaker, ca: CertificateAuthority, files: Sequence[Path]) -> None:
        """``made`` is what sockets were opened with."""
        self.ends = made.ends
        self._current = made.context
        self._maker = maker
        self._ca = ca
        self._files = tuple(files)
        self._seen = tuple(map(_stamp, self._files))
        self._read: _Stamp = self._seen, made.revision
        self._refused: _Stamp | None = None
        self._renew_after = datetime.min.replace(tzinfo=UTC)
        self._lock = Lock()
        made.context.sni_callback = self._choose

    def look(self) -> bool:
        """Renew the certificate if it is time, read the files if one changed; whether there is a new context."""
        self._seen = tuple(map(_stamp, self._files))
        renewed = self._renewed()
        with self._lock:
            return self._follow(anyway=renewed)

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            await asyncio.to_thread(self.look)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002 - ssl's signature
        """Called in every handshake, also without a name."""
        if self._lock.acquire(blocking=False):
            try:
                self._follow()
            finally:
                self._lock.release()
        connection.context = self._current

    def _follow(self, *, anyway: bool = False) -> bool:
        """Make the context anew if files or CAs are others; what goes wrong is logged."""
        try:
            stamp = self._seen, self._ca.store.pools.trust_revision()
        except V2GPKIError as problem:
            _LOG.error("TLS goes on as it was: %s", problem, extra={"code": problem.code})
            return False
        if not anyway and stamp in (self._read, self._refused):
            return False
        try:
            made = self._maker.made(self._ca)
        except V2GPKIError as problem:
            # Perhaps the key is written a moment after the certificate: that is another stamp.
            self._refused = stamp
            _LOG.error("TLS goes on as it was: %s", problem, extra={"code": problem.code})
            return False
        self._current, self.ends = made.context, made.ends
        if stamp[0] != self._read[0]:
            _LOG.info("TLS files were read anew")
        self._read, self._refused = (stamp[0], made.revision), None
        return True

    def _renewed(self) -> bool:
        """Whether the home's certificate had to be renewed, and was."""
        now = self._ca.clock.now()
        if now < self._renew_after or not self._maker.due(now):
            return False
        self._renew_after = now + _AGAIN
        try:
            self._maker.renew(self._ca)
        except V2GPKIError as problem:
            _LOG.error("the TLS certificate could not be renewed: %s", problem, extra={"code": problem.code})
            return False
        _LOG.info("the TLS certificate was renewed")
        return True


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
