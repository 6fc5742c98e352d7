"""Parts of a certificate as they stand in its DER, cut out in a few microseconds.

`certs.view` reads a certificate once and for all, which pays for what is read again. Here nothing is judged and nothing
below the cut is read: an IndexError says that the octets are no certificate, or of a form that the full look decides.
Source: RFC 5280 4.1.
"""

from __future__ import annotations

from typing import NamedTuple

_VERSION = 0xA0


class Slices(NamedTuple):
    """Issuer and subject (DER names) and SubjectPublicKeyInfo, each as written."""

    issuer: bytes
    subject: bytes
    spki: bytes


def slices(der: bytes) -> Slices:
    """The parts of a certificate (DER). Raises IndexError where the octets end too early."""
    at, _ = content(der, 0)
    at, _ = content(der, at)
    if der[at] == _VERSION:
        _, at = content(der, at)
    found = []
    for _ in range(6):  # serial, algorithm, issuer, validity, subject, key
        start = at
        _, at = content(der, at)
        found.append(der[start:at])
    if at > len(der):
        raise IndexError
    return Slices(found[2], found[4], found[5])


def content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at a position begins and ends. Raises IndexError."""
    length = der[at + 1]
    if length < 0x80:
        return at + 2, at + 2 + length
    size = length & 0x7F
    start = at + 2 + size
    if not 1 <= size <= 3 or start > len(der):
        raise IndexError
    return start, start + int.from_bytes(der[at + 2 : start], "big")
