"""Octets as people hand them over: raw, hex, base64, V2GTP frames, captured sessions.

Raw EXI begins with 0x80, a V2GTP frame with 0x01FE, a capture with its magic number; everything else is text. Hex may
have spaces, colons, commas and 0x; several lines that each begin a message are several messages. Refuses (`exi.input`)
what is none of these.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp import Splitter, capture

_BEGINNINGS = (b"\x80", b"\x01\xfe", b"$EXI")
_HEX_NOISE = str.maketrans("", "", " \t\r\n:,-")


class Piece(NamedTuple):
    """The octets of one EXI stream; `payload_type` if they came in a V2GTP frame, `origin` says when and from whom."""

    octets: bytes
    payload_type: int | None = None
    origin: Mapping[str, str] = {}


class Pieces(NamedTuple):
    """All streams of an input, and what could not be read of it, in words."""

    pieces: list[Piece]
    notes: list[str]


def pieces(data: bytes) -> Pieces:
    """The streams of an input; raises `exi.input`, `v2gtp.*`."""
    if capture.is_capture(data):
        session = capture.read(data)
        if not session.frames:
            what = "the capture holds no V2GTP frame"
            raise V2GPKIError("exi.input", what, hint="; ".join(session.notes[:3]), facts={"notes": session.notes})
        return Pieces([_captured(found) for found in session.frames], session.notes)
    found = [data] if data.startswith(_BEGINNINGS) else _of_text(data)
    return Pieces([piece for octets in found for piece in _unwrapped(octets)], [])


def of_hex(text: str) -> Pieces:
    """The streams that a hex text is; raises `exi.input`, `v2gtp.*`."""
    octets = _hex(text)
    if octets is None:
        raise V2GPKIError("exi.input", "this is not hex: two digits an octet")
    return Pieces(_unwrapped(octets), [])


def _captured(found: capture.Captured) -> Piece:
    time = datetime.fromtimestamp(found.time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Piece(found.frame.payload, found.frame.payload_type, {"time": time, "from": str(found.endpoints)})


def _unwrapped(octets: bytes) -> list[Piece]:
    """The payloads of V2GTP frames, or the octets themselves."""
    if not octets.startswith(b"\x01\xfe"):
        return [Piece(octets)]
    splitter = Splitter()
    frames = splitter.feed(octets)
    splitter.feed(b"")
    splitter.finish()
    return [Piece(frame.payload, frame.payload_type) for frame in frames]


def _of_text(data: bytes) -> list[bytes]:
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError:
        return [data]
    if not text:
        raise V2GPKIError("exi.input", "the input is empty")
    if text[0] in "<{[":
        raise V2GPKIError("exi.input", "the input is XML or JSON, not EXI", hint="use: v2gpki exi encode")
    lines = [_hex(line) for line in text.splitlines() if line.strip()]
    several = [line for line in lines if line is not None and line.startswith(_BEGINNINGS)]
    if len(several) == len(lines):
        return several
    octets = _hex(text)
    if octets is None:
        octets = _base64(text)
    if octets is None:
        raise V2GPKIError(
            "exi.input",
            "the input is neither EXI, V2GTP, a capture, hex nor base64",
            hint="EXI of ISO 15118 begins with 80, V2GTP with 01fe",
        )
    return [octets]


def _hex(text: str) -> bytes | None:
    digits = re.sub(r"\b0[xX]", "", text).translate(_HEX_NOISE)
    if not digits or len(digits) % 2:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
