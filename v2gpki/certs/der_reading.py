"""Reading DER one element at a time, for the hot paths where a parser's objects cost more than the work.

Only what DER allows: definite lengths in their shortest form, one-octet tags, nothing beyond the frame. Source: X.690.
"""

from __future__ import annotations


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """(tag, start of the content, end of the content) of the element at ``at``, within ``end``.

    Raises ValueError for what is no DER, or goes beyond ``end``.
    """
    if end - at < 2:
        raise ValueError("an element is cut off")
    tag, size = data[at], data[at + 1]
    start = at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("a tag of several octets")
    if size >= 0x80:
        octets = size & 0x7F
        start += octets
        if not 0 < octets <= 4 or start > end:
            raise ValueError("an indefinite or absurd length")
        size = int.from_bytes(data[at + 2 : start], "big")
        if size < 0x80 or size >> (8 * (octets - 1)) == 0:
            raise ValueError("a length that is not in its shortest form")
    stop = start + size
    if stop > end:
        raise ValueError("an element goes beyond its frame")
    return tag, start, stop


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """(start, end) of the content of the element at ``at``, which must have this tag; ValueError otherwise."""
    found, start, stop = element(data, at, end)
    if found != tag:
        raise ValueError(f"tag {found:#04x} where {tag:#04x} is due")
    return start, stop
