"""Writing DER: the few forms that certificates, CRLs and OCSP answers are made of.

Bytes in, bytes out, no objects: issuing is a join of such parts. Reading is left to ``cryptography``
and asn1crypto. Sources: X.690; RFC 5280 4.1.2.5 for the choice of the time form.
"""

from __future__ import annotations

from datetime import UTC, datetime

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OID = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def length(count: int) -> bytes:
    """The length octets of a value of ``count`` octets, in the shortest form."""
    if count < 0x80:
        return bytes((count,))
    octets = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """One value: tag, length, content."""
    return bytes((tag,)) + length(len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of already encoded parts."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """SET OF already encoded parts, sorted as DER demands."""
    return tlv(SET, b"".join(sorted(parts)))


def integer(number: int) -> bytes:
    """INTEGER, negative numbers included."""
    bits = number.bit_length() if number >= 0 else (number + 1).bit_length()
    return tlv(INTEGER, number.to_bytes(bits // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form; raises ValueError for what is none."""
    arcs = [int(arc) for arc in dotted.split(".")]
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39) or min(arcs) < 0:
        raise ValueError(f"{dotted} is no object identifier")
    content = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        content += bytes(reversed(groups))
    return tlv(OID, bytes(content))


def octet_string(content: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, content)


def bit_string(content: bytes, unused: int = 0) -> bytes:
    """BIT STRING of whole octets, the last ``unused`` bits of which do not count."""
    return tlv(BIT_STRING, bytes((unused,)) + content)


def named_bits(positions: tuple[int, ...]) -> bytes:
    """BIT STRING of named bits (bit 0 is the first), trailing zero bits removed as DER demands."""
    if not positions:
        return bit_string(b"")
    count = max(positions) + 1
    octets = bytearray((count + 7) // 8)
    for position in positions:
        octets[position // 8] |= 0x80 >> (position % 8)
    return bit_string(bytes(octets), len(octets) * 8 - count)


def boolean(value: bool) -> bytes:
    """BOOLEAN; DER leaves out one that equals its default, which is the caller's business."""
    return TRUE if value else b"\x01\x01\x00"


def explicit(number: int, content: bytes) -> bytes:
    """[number] EXPLICIT, constructed."""
    return tlv(0xA0 | number, content)


def implicit(number: int, content: bytes, *, constructed: bool = False) -> bytes:
    """[number] IMPLICIT around raw content octets."""
    return tlv((0xA0 if constructed else 0x80) | number, content)


def time(moment: datetime) -> bytes:
    """UTCTime up to 2049, GeneralizedTime from 2050 (and before 1950), whole seconds, Z (RFC 5280 4.1.2.5)."""
    utc = moment.astimezone(UTC)
    if 1950 <= utc.year < 2050:
        return tlv(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return tlv(GENERALIZED_TIME, f"{utc.year:04d}{utc.strftime('%m%d%H%M%SZ')}".encode("ascii"))
