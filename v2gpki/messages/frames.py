"""Which schema a frame is coded with: by V2GTP payload type and state of the session, or by trying.

`decode_frame` is what a session uses: exact. `recognise` is for people who hold octets of unknown origin: it reads them
with every schema and gives what fits, the most plausible first. EXI itself says nothing about its schema: octets may
well fit two (`80400040` is a supportedAppProtocolRes, and a document of several others). Clauses: ISO 15118-2 table 10,
ISO 15118-20 table 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from v2gpki.errors import V2GPKIError
from v2gpki.exi.ir import NamedValue
from v2gpki.messages.codec import SCHEMAS, decode, encode, trace
from v2gpki.messages.schema import Message
from v2gpki.v2gtp import Frame, PayloadType, parse, payload_name

if TYPE_CHECKING:
    from v2gpki.exi.interpret import Reading

#: The schema of each payload type; 0x8001 is supportedAppProtocol, then what it chose (ISO 15118-2 here).
PAYLOAD_SCHEMAS: Mapping[int, str] = {
    PayloadType.ISO20_COMMON: "iso15118-20-common",
    PayloadType.ISO20_AC: "ac",
    PayloadType.ISO20_DC: "dc",
    PayloadType.ISO20_ACDP: "acdp",
    PayloadType.ISO20_WPT: "wpt",
    PayloadType.SCHEDULE_RENEGOTIATION: "iso15118-20-common",
    PayloadType.METERING_CONFIRMATION: "iso15118-20-common",
    PayloadType.ACDP_SYSTEM_STATUS: "acdp",
    PayloadType.PARKING_STATUS: "iso15118-20-common",
}
#: V2G_Message of DIN 70121 begins so: header, root code 77 of 82.
_DIN = b"\x80\x9a"
#: Time stamps of messages are taken for plausible from 2015 to 2100.
_TIMES = range(1_420_070_400, 4_102_444_800)


class Candidate(msgspec.Struct, frozen=True):
    """A schema that reads the octets; `message` is what they say then."""

    schema: str
    fragment: bool
    message: Message | NamedValue


def schema_of(payload_type: int, *, handshake: bool = True) -> str:
    """The schema of a payload type; `handshake` says that the protocol is not chosen yet (0x8001 alone needs it).

    Raises `messages.unknown_payload` for types that carry no EXI message.
    """
    if payload_type == PayloadType.EXI:
        return "app" if handshake else "iso15118-2"
    if payload_type not in PAYLOAD_SCHEMAS:
        raise V2GPKIError(
            "messages.unknown_payload",
            f"payload type {payload_type:#06x} ({payload_name(payload_type)}) carries no EXI message",
            clause="ISO 15118-20 table 8",
            facts={"payload_type": payload_type},
        )
    return PAYLOAD_SCHEMAS[payload_type]


def decode_frame(frame: Frame | bytes, *, handshake: bool = False) -> Message | NamedValue:
    """The message of a V2GTP frame, with header (octets) or split already; `handshake` as in `schema_of`.

    Raises `v2gtp.*`, `exi.*`, `messages.unknown_payload`.
    """
    if not isinstance(frame, Frame):
        frame = parse(bytes(frame))
    return decode(frame.payload, schema_of(frame.payload_type, handshake=handshake))


def recognise(
    data: bytes, schemas: Sequence[str] = SCHEMAS, fragment: bool | None = None
) -> list[Candidate]:
    """The schemas of those given that read the octets as they are; the most plausible first.

    `fragment` None tries documents, then fragments. Raises `messages.unrecognised` if nothing fits; if there is one way
    to read them, its own error.
    """
    modes = (False, True) if fragment is None else (fragment,)
    found: list[tuple[int, Candidate]] = []
    for mode in modes:
        for name in schemas:
            try:
                message = decode(data, name, mode)
                rank = _implausibility(message, mode) + (0 if _writes(message, name, mode, data) else 8)
            except V2GPKIError:
                if len(schemas) == len(modes) == 1:
                    raise
                continue
            found.append((rank, Candidate(name, mode, message)))
        if any(rank < 4 for rank, _ in found):
            break
    if not found:
        raise _unrecognised(data, nearest(data, schemas, fragment or False), fragment or False)
    found.sort(key=lambda ranked: ranked[0])
    return [candidate for _, candidate in found]


def nearest(data: bytes, schemas: Sequence[str] = SCHEMAS, fragment: bool = False) -> str:
    """The schema that gets furthest in octets which none reads without fault."""
    furthest: tuple[int, int, str] | None = None
    for number, name in enumerate(schemas):
        run = trace(data, name, fragment)
        if run.error is None and run.reading is not None:
            reached = (_reached(run.reading), number, name)
        else:
            bit = run.error.facts.get("bit", 0) if run.error else 0
            reached = (-bit if isinstance(bit, int) else 0, number, name)
        if furthest is None or reached < furthest:
            furthest = reached
    assert furthest is not None
    return furthest[2]


def _reached(reading: Reading) -> int:
    """How little is wrong with a tolerant reading; if octets are left over, only how far it came."""
    for finding in reading.findings:
        bit = finding.facts.get("bit")
        if finding.code == "exi.trailing" and isinstance(bit, int):
            return -bit
    return len(reading.findings) - 1_000_000_000


def _writes(message: Message | NamedValue, schema: str, fragment: bool, data: bytes) -> bool:
    return encode(message, schema, fragment) == data


def _implausibility(message: Message | NamedValue, fragment: bool) -> int:
    """0 for a message as it is sent; more for what only the grammar allows."""
    if isinstance(message, NamedValue):
        return 4 if fragment else 5
    name = type(message).declaration.name
    if name in {"V2G_Message", "supportedAppProtocolReq", "supportedAppProtocolRes"}:
        return 0
    header = getattr(message, "Header", None)
    if header is None:
        return 3 if fragment else 4
    return 0 if getattr(header, "TimeStamp", 0) in _TIMES else 1


def _unrecognised(data: bytes, schema: str, fragment: bool) -> V2GPKIError:
    error = trace(data, schema, fragment).error
    hint = f"read with the nearest, {schema}: {error.message}" if error else f"the nearest is {schema}, with deviations"
    if data[:2] == _DIN:
        hint = "this begins as DIN 70121 does, which is not among the schemas"
    return V2GPKIError(
        "messages.unrecognised",
        f"no schema reads these {len(data)} octets",
        hint=hint,
        facts={"size": len(data), "nearest": schema, "schemas": list(SCHEMAS)},
    )
