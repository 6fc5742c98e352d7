"""PNG as rows of octets, read and written: Chromium's own are a third larger than they need to be.

Only what Chromium writes is read: 8 bits, RGB, not interlaced. Source: PNG (third edition) 5, 9 and 10.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL = 3


def rows_of(png: bytes) -> list[bytes]:
    """The rows of pixels, red, green and blue an octet each."""
    chunks = list(_chunks(png))
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    assert kind == [8, 2, 0, 0, 0], kind
    raw = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    stride = width * _PIXEL
    rows: list[bytes] = []
    before = bytes(stride)
    for at in range(0, height * (stride + 1), stride + 1):
        before = _unfiltered(raw[at], bytearray(raw[at + 1 : at + 1 + stride]), before)
        rows.append(before)
    return rows


def smaller(png: bytes) -> bytes:
    """The same picture in fewer octets: no filter, and all the compression there is."""
    rows = rows_of(png)
    head = struct.pack(">IIBBBBB", len(rows[0]) // _PIXEL, len(rows), 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def colours(rows: Sequence[bytes]) -> set[bytes]:
    """The colours that occur."""
    return {row[at : at + _PIXEL] for row in rows for at in range(0, len(row), _PIXEL)}


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    assert png.startswith(_SIGNATURE)
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _unfiltered(kind: int, row: bytearray, above: bytes) -> bytes:
    for at in range(len(row)):
        left = row[at - _PIXEL] if at >= _PIXEL else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above[at]
        elif kind == 3:
            guess = (left + above[at]) // 2
        elif kind == 4:
            guess = _paeth(left, above[at], above[at - _PIXEL] if at >= _PIXEL else 0)
        else:
            break
        row[at] = (row[at] + guess) & 255
    return bytes(row)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))
