"""Recorded sessions: the V2GTP frames in the TCP streams and UDP datagrams of a capture file.

TCP segments are put in order by sequence number, retransmissions left out. Encrypted sessions (TLS) hold no frames and
are named as such. Bounded: packets, streams, waiting segments and octets per stream have limits. What cannot be read is
said in notes; refuses (`v2gtp.capture`) what is no capture file or beyond the limits. Clauses: RFC 9293 section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp.frame import HEADER_SIZE, Frame, Splitter
from v2gpki.v2gtp.packets import Endpoints, Segment, is_capture, packets, refused, segment

__all__ = ["Captured", "Endpoints", "Session", "is_capture", "read"]

MAX_PACKETS = 1_000_000
MAX_STREAMS = 4096
#: One direction of one connection; a charging session of a day has a tenth of it.
MAX_STREAM_OCTETS = 32 * 1024 * 1024
#: Segments that wait for one before them.
MAX_WAITING = 1024
_SYN = 0x02


class Captured(NamedTuple):
    """A frame, when it was complete (seconds since 1970, as the capture says), and who sent it."""

    time: float
    endpoints: Endpoints
    frame: Frame


@dataclass(slots=True)
class Session:
    """What a capture holds: frames by time, and what could not be read, in words."""

    frames: list[Captured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(data: bytes) -> Session:
    """The V2GTP frames of a capture file; raises `v2gtp.capture` if it is none, or beyond the limits."""
    session = Session()
    streams: dict[Endpoints, _Stream] = {}
    others = 0
    for number, packet in enumerate(packets(data), 1):
        if number > MAX_PACKETS:
            raise refused(f"more than {MAX_PACKETS} packets")
        found = segment(packet)
        if found is None:
            others += 1
        elif found.sequence is None:
            _datagram(session, packet.time, found)
        elif found.payload or found.flags & _SYN:
            _stream_of(found, streams, session).add(session, packet.time, found)
    for stream in streams.values():
        stream.finish(session)
    if others:
        session.notes.append(f"{others} packets are neither TCP nor UDP, or damaged")
    session.frames.sort(key=lambda captured: captured.time)
    return session


def _stream_of(found: Segment, streams: dict[Endpoints, _Stream], session: Session) -> _Stream:
    """The stream of a segment; a SYN behind data begins a new connection of the same ports."""
    stream = streams.get(found.endpoints)
    if stream is not None and not (found.flags & _SYN and stream.received):
        return stream
    if stream is not None:
        stream.finish(session)
    elif len(streams) >= MAX_STREAMS:
        raise refused(f"more than {MAX_STREAMS} connections")
    stream = streams[found.endpoints] = _Stream(found.endpoints)
    return stream


class _Stream:
    """One direction of a connection: segments are put in order, gaps wait until the end."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self.received = 0
        self._next: int | None = None
        self._waiting: dict[int, bytes] = {}
        self._splitter = Splitter()
        self._over = ""

    def add(self, session: Session, time: float, found: Segment) -> None:
        """Take a segment; give what has become complete."""
        if self._over:
            return
        sequence = found.sequence or 0
        if found.flags & _SYN:
            self._next = (sequence + 1) & 0xFFFFFFFF
            sequence = self._next
        if not found.payload:
            return
        self.received += len(found.payload)
        if self.received > MAX_STREAM_OCTETS:
            self._stop(session, f"more than {MAX_STREAM_OCTETS} octets: the rest is left out")
            return
        if self._next is None:
            self._next = sequence
        known = self._waiting.get(sequence)
        if known is None or len(known) < len(found.payload):
            self._waiting[sequence] = found.payload
        if len(self._waiting) > MAX_WAITING:
            self._stop(session, "segments are missing in the capture; what follows them is left out")
            return
        if sequence == self._next or _distance(self._next, sequence) < 0:
            self._advance(session, time)

    def _advance(self, session: Session, time: float) -> None:
        """Feed everything that follows without a gap."""
        while self._waiting and not self._over:
            assert self._next is not None
            ready = self._waiting.pop(self._next, None)
            if ready is None:
                # A retransmission may begin before what is expected and end behind it.
                start = next((at for at in self._waiting if _distance(self._next, at) < 0), None)
                if start is None:
                    return
                ready = self._waiting.pop(start)[-_distance(self._next, start) :]
            self._next = (self._next + len(ready)) & 0xFFFFFFFF
            self._feed(session, time, ready)

    def _feed(self, session: Session, time: float, payload: bytes) -> None:
        if self._splitter.offset == 0 and self._splitter.pending == 0 and payload[:1] == b"\x16":
            self._stop(session, "TLS: its frames are encrypted")
            return
        try:
            frames = self._splitter.feed(payload)
            if frames:
                frames += self._splitter.feed(b"")
        except V2GPKIError as problem:
            if self._splitter.offset:
                self._stop(session, problem.message)
            else:
                self._over = "no V2GTP"
            return
        session.frames += [Captured(time, self.endpoints, frame) for frame in frames]

    def finish(self, session: Session) -> None:
        """Say what is missing at the end."""
        if self._over:
            return
        if self._waiting:
            octets = sum(map(len, self._waiting.values()))
            self._stop(session, f"segments are missing in the capture; {octets} octets behind them are left out")
        elif self._splitter.pending:
            self._stop(session, f"ends within a frame: {self._splitter.pending} octets of it")

    def _stop(self, session: Session, what: str) -> None:
        self._over = what
        self._waiting.clear()
        session.notes.append(f"{self.endpoints}: {what}")


def _distance(expected: int, sequence: int) -> int:
    """How far a sequence number is behind (negative) or ahead of the expected one, modulo 2**32."""
    return (sequence - expected + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _datagram(session: Session, time: float, found: Segment) -> None:
    """SDP: one frame in each datagram."""
    payload = found.payload
    if len(payload) < HEADER_SIZE or payload[:2] != b"\x01\xfe":
        return
    try:
        frames = Splitter().feed(payload)
    except V2GPKIError:
        frames = []
    session.frames += [Captured(time, found.endpoints, frame) for frame in frames]
