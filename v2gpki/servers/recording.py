"""Sessions recorded to files: the wire as pcapng, and TLS keys as a key log for Wireshark.

A capture and a key log together show everything that was said, so both files are for their owner alone (0600). What is
written is flushed at once: a killed program leaves what was said until then. Writing that fails is not the session's
matter: it stops the recording and is told once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp.packets import Endpoints
from v2gpki.v2gtp.recording import Side, TCPRecording, datagram, head

#: Gives the time in seconds since 1970.
WallTime = Callable[[], float]


class OwnFile:
    """A new file that only its owner may read, written and flushed piece by piece. Raises ``file.exists`` and
    ``file.unwritable`` on opening; later ``failed`` is told once."""

    def __init__(self, path: Path, *, failed: Callable[[str], None], force: bool = False) -> None:
        self.path = path
        self._failed = failed
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
        try:
            descriptor = os.open(path, flags, 0o600)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                # One that was there keeps its mode else.
                os.fchmod(descriptor, 0o600)
            self._file: BinaryIO | None = os.fdopen(descriptor, "wb", buffering=0)
        except FileExistsError:
            message, hint = f"{path} is there already", "give another name, or --force"
            raise V2GPKIError("file.exists", message, hint=hint, facts={"file": str(path)}) from None
        except OSError as problem:
            message = f"{path}: {problem.strerror}"
            raise V2GPKIError("file.unwritable", message, facts={"file": str(path)}) from problem

    def write(self, data: bytes) -> None:
        """Append."""
        if self._file is None or not data:
            return
        try:
            self._file.write(data)
        except OSError as problem:
            self.close()
            self._failed(f"{self.path}: {problem.strerror}; nothing more is recorded")

    def close(self) -> None:
        """No more is written."""
        if self._file is not None:
            self._file.close()
            self._file = None


class CaptureFile:
    """A pcapng file for all connections of a station or a vehicle. ``now`` gives seconds since 1970."""

    def __init__(self, file: OwnFile, now: WallTime) -> None:
        self._file = file
        self._now = now
        file.write(head())

    def tap(self, side: Side) -> ConnectionTap:
        """For one connection, of which this end is ``side``."""
        return ConnectionTap(self._file, self._now, side)

    def datagram(self, source: object, target: object, data: bytes) -> None:
        """One UDP datagram (SDP) between two socket addresses."""
        try:
            self._file.write(datagram(self._now(), _between(source, target), data))
        except V2GPKIError:
            return  # no address of a datagram: there is nothing to show

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ConnectionTap:
    """What one connection adds to a capture (a ``Tap`` of v2gtls)."""

    def __init__(self, file: OwnFile, now: WallTime, side: Side) -> None:
        self._file = file
        self._now = now
        self._side: Side = side
        self._other: Side = "server" if side == "client" else "client"
        self._recording: TCPRecording | None = None

    def opened(self, local: object, peer: object) -> None:
        """The connection's handshake."""
        client, server = (local, peer) if self._side == "client" else (peer, local)
        try:
            self._recording = TCPRecording(_between(client, server))
        except V2GPKIError:
            return  # a Unix socket has no packets
        self._file.write(self._recording.opened(self._now()))

    def received(self, data: bytes) -> None:
        """What the other end sent, b"" is its FIN."""
        self._add(self._other, data)

    def sent(self, data: bytes) -> None:
        """What this end sent."""
        if data:
            self._add(self._side, data)

    def closed(self) -> None:
        """This end's FIN."""
        self._add(self._side, b"")

    def _add(self, side: Side, data: bytes) -> None:
        recording = self._recording
        if recording is not None:
            now = self._now()
            self._file.write(recording.carried(now, side, data) if data else recording.finished(now, side))


def _between(source: object, target: object) -> Endpoints:
    """Two socket addresses as endpoints; anything else becomes addresses that are refused."""
    ends: list[tuple[str, int]] = []
    for address in (source, target):
        known = isinstance(address, tuple) and len(address) >= 2 and isinstance(address[1], int)
        ends.append((str(address[0]), address[1]) if isinstance(address, tuple) and known else ("", 0))
    return Endpoints(*ends[0], *ends[1])
