"""Bits in and out, most significant first, for the interpreter; the generated code shifts for itself.

The reader never reads beyond its data: it raises `Malformed`, which says where. It keeps a window of the data as one
integer, so that time stays linear in the length.
"""

from __future__ import annotations

_WINDOW = 64


class Malformed(ValueError):  # noqa: N818 - what the octets are; the error is worded from it
    """The octets cannot be what they should be: `code` of the error, what is wrong, the bit position where it shows."""

    def __init__(self, code: str, what: str, position: int) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.position = position


class BitReader:
    """Reads bits and octets from `data`; `position` counts bits."""

    __slots__ = ("_base", "_end", "_window", "data", "position", "size")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data = data
        self.size = 8 * len(data)
        self.position = position
        self._window = 0
        self._base = self._end = 0

    @property
    def remaining(self) -> int:
        """Bits not read yet."""
        return self.size - self.position

    def bits(self, width: int) -> int:
        """The next `width` bits (0 to 128) as an unsigned number."""
        start = self.position
        end = start + width
        if end > self.size:
            raise Malformed("exi.truncated", f"the data end where {width} more bits are needed", start)
        if end > self._end or start < self._base:
            octet = start >> 3
            chunk = self.data[octet : octet + _WINDOW]
            self._window = int.from_bytes(chunk, "big")
            self._base = 8 * octet
            self._end = self._base + 8 * len(chunk)
        self.position = end
        return self._window >> (self._end - end) & ((1 << width) - 1)

    def octets(self, count: int) -> bytes:
        """The next `count` octets, at whatever bit they begin."""
        start = self.position
        end = start + 8 * count
        if end > self.size:
            raise Malformed("exi.truncated", f"the data end within a value of {count} octets", start)
        chunk = self.data[start >> 3 : (end + 7) >> 3]
        self.position = end
        if start & 7 == 0:
            return chunk
        number = int.from_bytes(chunk, "big") >> (-end & 7)
        return (number & ((1 << 8 * count) - 1)).to_bytes(count, "big")


class BitWriter:
    """Collects bits; `finish` fills the last octet with zero bits."""

    __slots__ = ("_bits", "_number", "_parts", "position")

    def __init__(self, start: bytes = b"") -> None:
        self._parts: list[bytes] = [start]
        self._number = 0
        self._bits = 0
        self.position = 8 * len(start)

    def bits(self, value: int, width: int) -> None:
        """Append the low `width` bits of a number that fits."""
        self._number = self._number << width | value
        self._bits += width
        self.position += width
        if self._bits > 512:
            self._flush()

    def octets(self, data: bytes) -> None:
        """Append whole octets, at whatever bit the stream stands."""
        self.bits(int.from_bytes(data, "big"), 8 * len(data))

    def _flush(self) -> None:
        rest = self._bits & 7
        self._parts.append((self._number >> rest).to_bytes(self._bits >> 3, "big"))
        self._number &= (1 << rest) - 1
        self._bits = rest

    def finish(self) -> bytes:
        """All octets."""
        fill = -self._bits & 7
        self._parts.append((self._number << fill).to_bytes((self._bits + fill) >> 3, "big"))
        self._number = self._bits = 0
        return b"".join(self._parts)
