"""Reading BER: what CMS of other programs is written in. Offsets into one buffer, no copies but of strings.

It takes what DER forbids and CMS allows (indefinite lengths, strings in pieces, lengths with spare octets) and refuses
tags of several octets, values cut off, and nesting deeper than any CMS has. Sources: X.690 8, RFC 5652 (which is BER).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from v2gpki.certs.lint.reader import MalformedError

#: Deeper than CMS with certificates ever is; hostile input ends here and not in a recursion error.
DEEPEST = 40
_INDEFINITE = 0x80
_CONSTRUCTED = 0x20


class Element(NamedTuple):
    """One value: its identifier octet, where it begins, where its content starts and stops, where the next begins."""

    tag: int
    at: int
    start: int
    stop: int
    after: int


def element(data: bytes, at: int, end: int, what: str, depth: int = 0) -> Element:
    """The value that begins at ``at``; raises ``MalformedError`` with ``what`` and the octet."""
    if at + 2 > end:
        raise MalformedError(f"{what} is missing or cut off at octet {at}")
    if depth > DEEPEST:
        raise MalformedError(f"{what} is nested more than {DEEPEST} deep at octet {at}")
    tag, first, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise MalformedError(f"{what} has a tag of several octets at octet {at}")
    if first == _INDEFINITE:
        if not tag & _CONSTRUCTED:
            raise MalformedError(f"{what} is primitive with an indefinite length at octet {at}")
        position = start
        while data[position : position + 2] != b"\x00\x00" or position + 2 > end:
            position = element(data, position, end, what, depth + 1).after
        return Element(tag, at, start, position, position + 2)
    length = first
    if first > _INDEFINITE:
        count = first & 0x7F
        if start + count > end or count > 8:
            raise MalformedError(f"{what} has an unusable length at octet {at + 1}")
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > end:
        raise MalformedError(f"{what} claims {length} octets at octet {at}, {end - start} are there")
    return Element(tag, at, start, start + length, start + length)


def expected(data: bytes, tag: int, at: int, end: int, what: str) -> Element:
    """Like ``element`` for a value that must have the identifier octet ``tag``."""
    found = element(data, at, end, what)
    if found.tag != tag:
        raise MalformedError(f"{what} has the tag {found.tag:02x} where {tag:02x} is expected, at octet {at}")
    return found


def inside(data: bytes, outer: Element, what: str) -> Iterator[Element]:
    """The values one after another inside a constructed one."""
    at = outer.start
    while at < outer.stop:
        found = element(data, at, outer.stop, what)
        yield found
        at = found.after


def string(data: bytes, found: Element, what: str, depth: int = 0) -> bytes:
    """The octets of an OCTET STRING, also of one in pieces."""
    if not found.tag & _CONSTRUCTED:
        return data[found.start : found.stop]
    if depth > DEEPEST:
        raise MalformedError(f"{what} is nested more than {DEEPEST} deep at octet {found.at}")
    return b"".join(string(data, piece, what, depth + 1) for piece in inside(data, found, what))
