"""One V2GTP frame, and the splitting of a byte stream into frames.

A header has 8 octets: version 0x01, its inverse 0xFE, payload type (2 octets), payload length (4 octets), big-endian.
Refuses (`v2gtp.*`) what does not begin like this, lengths above the limit before anything is stored, and frames that
end too early or too late. Clauses: ISO 15118-2 [V2G2-083] ff., table 9 and 10; ISO 15118-20 table 8.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from v2gpki.errors import V2GPKIError

HEADER_SIZE = 8
_VERSION, _INVERSE = 0x01, 0xFE
#: More than the largest message anybody has seen; the header itself allows 4 GB.
DEFAULT_LIMIT = 1024 * 1024
_CLAUSE = "ISO 15118-2 7.8.3"


class PayloadType(IntEnum):
    """The payload types of both editions."""

    EXI = 0x8001
    """supportedAppProtocol in both editions; all messages of ISO 15118-2 and DIN 70121."""
    ISO20_COMMON = 0x8002
    ISO20_AC = 0x8003
    ISO20_DC = 0x8004
    ISO20_ACDP = 0x8005
    ISO20_WPT = 0x8006
    SCHEDULE_RENEGOTIATION = 0x8101
    METERING_CONFIRMATION = 0x8102
    ACDP_SYSTEM_STATUS = 0x8103
    PARKING_STATUS = 0x8104
    SDP_REQUEST = 0x9000
    SDP_RESPONSE = 0x9001
    SDP_REQUEST_WIRELESS = 0x9002
    SDP_RESPONSE_WIRELESS = 0x9003


_NAMES = {
    PayloadType.EXI: "EXI (supportedAppProtocol, ISO 15118-2, DIN 70121)",
    PayloadType.ISO20_COMMON: "ISO 15118-20 CommonMessages",
    PayloadType.ISO20_AC: "ISO 15118-20 AC",
    PayloadType.ISO20_DC: "ISO 15118-20 DC",
    PayloadType.ISO20_ACDP: "ISO 15118-20 ACDP",
    PayloadType.ISO20_WPT: "ISO 15118-20 WPT",
    PayloadType.SCHEDULE_RENEGOTIATION: "ISO 15118-20 schedule renegotiation",
    PayloadType.METERING_CONFIRMATION: "ISO 15118-20 metering confirmation",
    PayloadType.ACDP_SYSTEM_STATUS: "ISO 15118-20 ACDP system status",
    PayloadType.PARKING_STATUS: "ISO 15118-20 parking status",
    PayloadType.SDP_REQUEST: "SDP request",
    PayloadType.SDP_RESPONSE: "SDP response",
    PayloadType.SDP_REQUEST_WIRELESS: "SDP request, wireless",
    PayloadType.SDP_RESPONSE_WIRELESS: "SDP response, wireless",
}


def payload_name(payload_type: int) -> str:
    """What a payload type means, in words."""
    if payload_type in _NAMES:
        return _NAMES[PayloadType(payload_type)]
    return "manufacturer specific" if payload_type >= 0xA000 else f"reserved ({payload_type:#06x})"


class Frame(NamedTuple):
    """A payload and its type."""

    payload_type: int
    payload: bytes


def build(payload_type: int, payload: bytes) -> bytes:
    """The octets of a frame; raises `v2gtp.type` or `v2gtp.length` for numbers that the header cannot hold."""
    if not 0 <= payload_type <= 0xFFFF:
        raise V2GPKIError("v2gtp.type", f"payload type {payload_type:#x} does not fit 16 bits", clause=_CLAUSE)
    if len(payload) > 0xFFFFFFFF:
        raise V2GPKIError("v2gtp.length", "a payload of 4 GB or more", clause=_CLAUSE)
    return bytes((_VERSION, _INVERSE)) + payload_type.to_bytes(2, "big") + len(payload).to_bytes(4, "big") + payload


def parse(data: bytes, *, limit: int = DEFAULT_LIMIT) -> Frame:
    """The frame that the octets are, no more and no less.

    Raises `v2gtp.version`, `v2gtp.length` (above the limit), `v2gtp.truncated`, `v2gtp.trailing`.
    """
    if len(data) < HEADER_SIZE:
        _check_version(data, 0)
        raise V2GPKIError(
            "v2gtp.truncated",
            f"{len(data)} octets are no V2GTP frame: its header alone has {HEADER_SIZE}",
            clause=_CLAUSE,
            facts={"size": len(data)},
        )
    payload_type, size = _header(data, 0, limit)
    end = HEADER_SIZE + size
    if len(data) < end:
        raise V2GPKIError(
            "v2gtp.truncated",
            f"the V2GTP header announces {size} octets of payload, {len(data) - HEADER_SIZE} are there",
            clause=_CLAUSE,
            facts={"announced": size, "size": len(data) - HEADER_SIZE},
        )
    if len(data) > end:
        raise V2GPKIError(
            "v2gtp.trailing",
            f"{len(data) - end} octets follow the V2GTP frame",
            hint="several frames are a stream: split it first",
            clause=_CLAUSE,
            facts={"announced": size, "size": len(data) - HEADER_SIZE},
        )
    return Frame(payload_type, bytes(data[HEADER_SIZE:end]))


class Splitter:
    """Cuts a byte stream into frames; holds at most one frame and what was fed behind it.

    After a refusal the stream is lost (nothing marks where a next frame begins): every further call raises the same.
    """

    def __init__(self, *, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._offset = 0
        self._failure: V2GPKIError | None = None

    @property
    def offset(self) -> int:
        """Octets of the stream that are cut off already."""
        return self._offset

    @property
    def pending(self) -> int:
        """Octets that wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take more octets, give the frames that are complete; raises `v2gtp.version` and `v2gtp.length`.

        Frames before a fault are given first: the next call, with whatever data, raises.
        """
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        buffer = self._buffer
        try:
            while len(buffer) - start >= HEADER_SIZE:
                payload_type, size = _header(buffer, start, self.limit, self._offset)
                end = start + HEADER_SIZE + size
                if len(buffer) < end:
                    break
                frames.append(Frame(payload_type, bytes(buffer[start + HEADER_SIZE : end])))
                self._offset += end - start
                start = end
            else:
                _check_version(buffer, start, self._offset)
        except V2GPKIError as problem:
            if not frames:
                self._failure = problem
                self._buffer.clear()
                raise
        del buffer[:start]
        return frames

    def finish(self) -> None:
        """The stream has ended; raises `v2gtp.truncated` if it did so within a frame."""
        if self._failure is not None:
            raise self._failure
        if self._buffer:
            raise V2GPKIError(
                "v2gtp.truncated",
                f"the stream ends within a V2GTP frame: {len(self._buffer)} octets of it, from octet {self._offset} on",
                clause=_CLAUSE,
                facts={"offset": self._offset, "size": len(self._buffer)},
            )


def _check_version(data: bytes | bytearray, start: int, offset: int = 0) -> None:
    """Refuse what can no longer become a header."""
    expected = (_VERSION, _INVERSE)
    for index, wanted in enumerate(expected):
        if start + index < len(data) and data[start + index] != wanted:
            found = data[start : start + 2].hex()
            hint = "this looks like EXI without a V2GTP header" if data[start] == 0x80 else ""
            raise V2GPKIError(
                "v2gtp.version",
                f"a V2GTP header begins with 01fe, not {found} (octet {offset})",
                hint=hint,
                clause=_CLAUSE,
                facts={"offset": offset, "found": found},
            )


def _header(data: bytes | bytearray, start: int, limit: int, offset: int = 0) -> tuple[int, int]:
    """(payload type, length) of a whole header."""
    _check_version(data, start, offset)
    payload_type = int.from_bytes(data[start + 2 : start + 4], "big")
    size = int.from_bytes(data[start + 4 : start + 8], "big")
    if size > limit:
        raise V2GPKIError(
            "v2gtp.length",
            f"the V2GTP header announces {size} octets; at most {limit} are taken (octet {offset})",
            clause=_CLAUSE,
            facts={"announced": size, "limit": limit, "offset": offset},
        )
    return payload_type, size
