"""What generated code calls: values whose length is not known when the code is written, the window over the data.

Writing: `a` is a number with a leading 1 bit before the bits that are not yet in `w` (append of a list of octets).
Reading: `d` all octets, `x` a window as a number, `r` how many bits of it are unread, `q` how many octets follow the
window. A shift by a negative count (ValueError) is the end of the data. Nothing here words an error: `MISMATCH` hands
over.
"""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.exi.primitives import MAX_INTEGER_BITS

Spill = Callable[[bytes], object]
#: A value read, and the state of the window after it.
Octets = tuple[bytes, int, int, int]

#: More bits than this in `a` are spilled.
SPILL_ABOVE = 1 << 512
_WINDOW = 64
#: A memo keeps so many strings of so many characters, then starts anew.
MEMO_STRINGS = 64
MEMO_CHARACTERS = 64


class HandOverError(Exception):
    """The generated code cannot go on; the interpreter does it again and says why, or does it."""


#: What generated code raises when anything is not as it must be.
MISMATCH = (HandOverError, KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError)


# --- writing --------------------------------------------------------------------------------------------------------


def spill(a: int, w: Spill) -> int:
    """Move whole octets out of the number."""
    bits = a.bit_length() - 1
    rest = bits & 7
    w((a >> rest).to_bytes((bits >> 3) + 1, "big")[1:])
    return 1 << rest | a & ((1 << rest) - 1)


def finish(a: int) -> bytes:
    """The last octets, filled with zero bits."""
    bits = a.bit_length() - 1
    fill = -bits & 7
    return (a << fill).to_bytes(((bits + fill) >> 3) + 1, "big")[1:]


def put_unsigned(a: int, value: int) -> int:
    """Append a varint of a number that is not negative."""
    while value > 127:
        a = a << 8 | value & 127 | 128
        value >>= 7
    return a << 8 | value


def put_signed(a: int, value: int) -> int:
    """Append sign and varint."""
    return put_unsigned(a << 1 | 1, -value - 1) if value < 0 else put_unsigned(a << 1, value)


def put_octets(a: int, data: bytes, w: Spill) -> int:
    """Append length and octets, and spill."""
    size = len(data)
    return spill(put_unsigned(a, size) << 8 * size | int.from_bytes(data, "big"), w)


def text_code(  # noqa: PLR0917 - called from generated code only
    text: str, memo: dict[str, tuple[int, int]], prefix: int, prefix_bits: int, minimum: int, maximum: int | None
) -> tuple[int, int]:
    """(width, number) of a string after the constant bits before it; remembered if it is short."""
    size = len(text)
    if type(text) is not str or size < minimum or (maximum is not None and size > maximum):
        raise HandOverError
    a = put_unsigned(1 << prefix_bits | prefix, size + 2)
    if text.isascii():
        a = a << 8 * size | int.from_bytes(text.encode("ascii"), "big")
    else:
        coded = 1
        for character in text:
            point = ord(character)
            if 0xD800 <= point <= 0xDFFF:
                raise HandOverError
            coded = put_unsigned(coded, point)
        bits = coded.bit_length() - 1
        a = a << bits | coded - (1 << bits)
    bits = a.bit_length() - 1
    code = bits, a - (1 << bits)
    if size <= MEMO_CHARACTERS:
        if len(memo) >= MEMO_STRINGS:
            memo.clear()
        memo[text] = code
    return code


# --- reading --------------------------------------------------------------------------------------------------------


def begin(d: bytes, skip: int) -> tuple[int, int, int]:
    """The first window, after `skip` octets."""
    chunk = d[skip : skip + 4 * _WINDOW]
    return int.from_bytes(chunk, "big"), 8 * len(chunk), len(d) - skip - len(chunk)


def more(d: bytes, x: int, r: int, q: int) -> tuple[int, int, int]:
    """Widen the window."""
    start = len(d) - q
    chunk = d[start : start + _WINDOW]
    bits = 8 * len(chunk)
    return (x & ((1 << r) - 1)) << bits | int.from_bytes(chunk, "big"), r + bits, q - len(chunk)


def take_octets(d: bytes, x: int, r: int, q: int, count: int) -> Octets:
    """So many octets, at whatever bit they begin."""
    bits = 8 * count
    if r >= bits:
        r -= bits
        return (x >> r & ((1 << bits) - 1)).to_bytes(count, "big"), x, r, q
    left = r + 8 * q - bits
    if left < 0:
        raise HandOverError
    size = len(d)
    end = size - (left >> 3)
    fill = left & 7
    if fill:
        chunk = d[end - count - 1 : end]
        octets = (int.from_bytes(chunk, "big") >> fill & ((1 << bits) - 1)).to_bytes(count, "big")
        end -= 1
    else:
        octets = d[end - count : end]
    chunk = d[end : end + _WINDOW]
    q = size - end - len(chunk)
    return octets, int.from_bytes(chunk, "big"), left - 8 * q, q


def take_unsigned(d: bytes, x: int, r: int, q: int, first: int) -> tuple[int, int, int, int]:
    """The rest of a varint whose first octet (with its bit for more) is read."""
    if not 128 <= first < 256:
        raise HandOverError
    value = first & 127
    shift = 7
    octet = 128
    while octet & 128:
        if shift >= MAX_INTEGER_BITS:
            raise HandOverError
        if r < 8:
            x, r, q = more(d, x, r, q)
        r -= 8
        octet = x >> r & 255
        value |= (octet & 127) << shift
        shift += 7
    return value, x, r, q


def take_text(d: bytes, x: int, r: int, q: int, size: int) -> tuple[str, int, int, int]:
    """A string whose length octet is read (2 or more; with its bit for more)."""
    if size > 127:
        size, x, r, q = take_unsigned(d, x, r, q, size)
    size -= 2
    if size < 0:
        raise HandOverError
    bits = 8 * size
    if r >= bits:
        octets = (x >> r - bits & ((1 << bits) - 1)).to_bytes(size, "big")
        if octets.isascii():
            return octets.decode("ascii"), x, r - bits, q
    elif bits > r + 8 * q:
        raise HandOverError
    else:
        octets, ahead, left, behind = take_octets(d, x, r, q, size)
        if octets.isascii():
            return octets.decode("ascii"), ahead, left, behind
    characters = []
    for _ in range(size):
        if r < 8:
            x, r, q = more(d, x, r, q)
        r -= 8
        point = x >> r & 255
        if point > 127:
            point, x, r, q = take_unsigned(d, x, r, q, point)
            if 0xD800 <= point <= 0xDFFF or point > 0x10FFFF:
                raise HandOverError
        characters.append(chr(point))
    return "".join(characters), x, r, q


def take_binary(d: bytes, x: int, r: int, q: int, size: int) -> Octets:
    """Octets whose first length octet is read (with its bit for more)."""
    if size > 127:
        size, x, r, q = take_unsigned(d, x, r, q, size)
        if 8 * size > r + 8 * q:
            raise HandOverError
    return take_octets(d, x, r, q, size)


def take_signed(d: bytes, x: int, r: int, q: int, first: int) -> tuple[int, int, int, int]:
    """A signed number whose sign bit and first octet are read, and are not those of a small positive one."""
    if not 0 <= first < 512:
        raise HandOverError
    magnitude = first & 255
    if magnitude > 127:
        magnitude, x, r, q = take_unsigned(d, x, r, q, magnitude)
    return -magnitude - 1 if first > 255 else magnitude, x, r, q
