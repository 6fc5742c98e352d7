"""EXI fragments of which only some values change: coded once, then the values are put into their places.

A value of constant size stands at a constant bit position, whatever it is; so a fragment is that of a sample with the
bits in which values and sample differ turned over. Places and rule are found by coding samples, and are refused if
these do not agree with them. This is the principle of `certs.template` for the small elements of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Holes:
    """A fragment with holes for values of constant size (of a string: its ASCII characters)."""

    __slots__ = ("_coded", "_octets", "_shifts")

    def __init__(self, sizes: Sequence[int], encode: Callable[[Sequence[bytes]], bytes]) -> None:
        """`encode` gives the fragment for values of these sizes in octets; it is called with digits and capitals."""
        sample = [b"0" * size for size in sizes]
        octets = encode(sample)
        start = int.from_bytes(octets, "big")
        self._octets = len(octets)
        self._shifts = []
        for place, size in enumerate(sizes):
            other = encode([*sample[:place], b"O" * size, *sample[place + 1 :]])
            difference = start ^ int.from_bytes(other, "big")
            wanted = int.from_bytes(sample[place], "big") ^ int.from_bytes(b"O" * size, "big")
            shift = difference.bit_length() - wanted.bit_length()
            if len(other) != len(octets) or shift < 0 or difference != wanted << shift:
                raise RuntimeError("a value of constant size does not stand at a constant place")
            self._shifts.append(shift)
        #: The fragment as if every value were zero.
        self._coded = start
        for value, shift in zip(sample, self._shifts, strict=True):
            self._coded ^= int.from_bytes(value, "big") << shift

    def fill(self, *values: bytes) -> bytes:
        """The fragment with these values, which have the sizes of the holes."""
        coded = self._coded
        for value, shift in zip(values, self._shifts, strict=True):
            coded ^= int.from_bytes(value, "big") << shift
        return coded.to_bytes(self._octets, "big")
