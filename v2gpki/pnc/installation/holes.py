"""EXI fragments of which only one value changes: coded once, then the value is put into its place.

A value of constant size stands at a constant bit position, whatever it is; so a fragment is that of a sample with the
bits in which value and sample differ turned over. Position and rule are found by coding two samples, and are refused if
these do not agree with it. This is the principle of `certs.template` for the small elements of an answer.
"""

from __future__ import annotations

from collections.abc import Callable


class Hole:
    """A fragment with one hole for octets of a constant number (of a string: its ASCII characters)."""

    __slots__ = ("_octets", "_sample", "_shift", "_size", "size")

    def __init__(self, size: int, encode: Callable[[bytes], bytes]) -> None:
        """`encode` gives the fragment for a value of `size` octets, each a digit or capital."""
        self.size = size
        one, other = b"0" * size, b"O" * size
        coded = encode(one)
        difference = int.from_bytes(coded, "big") ^ int.from_bytes(encode(other), "big")
        wanted = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
        self._shift = difference.bit_length() - wanted.bit_length()
        if self._shift < 0 or difference != wanted << self._shift:
            raise RuntimeError("a value of constant size does not stand at a constant place")
        self._size = len(coded)
        self._sample = int.from_bytes(one, "big")
        self._octets = int.from_bytes(coded, "big")

    def fill(self, value: bytes) -> bytes:
        """The fragment with this value, which has the hole's size."""
        changed = int.from_bytes(value, "big") ^ self._sample
        return (self._octets ^ changed << self._shift).to_bytes(self._size, "big")
