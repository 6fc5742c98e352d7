"""A strict reader of DER for the linter: offsets into one buffer, no copies, no recursion.

What cannot be read at all raises ``MalformedError``; what can be read but is BER and not DER (a length with
spare octets, a BOOLEAN of 01) is noted in ``flaws`` and reading goes on, so that one report names
everything. It refuses indefinite lengths and tag numbers above 30: X.509 has neither.
Source: X.690 8 and 10, RFC 5280 4.1.
"""

from __future__ import annotations

from v2gpki.certs import der

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
TELETEX_STRING = 0x14
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
UNIVERSAL_STRING = 0x1C
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31


class MalformedError(Exception):
    """The bytes are no ASN.1 value of the expected shape; the text says where and why."""


def context(number: int, *, constructed: bool) -> int:
    """The identifier octet of the context-specific tag ``[number]``."""
    return (0xA0 if constructed else 0x80) | number


class Reader:
    """Reads one buffer; positions are octet offsets, ``end`` and ``stop`` lie behind the last octet."""

    __slots__ = ("data", "defaults", "flaws")

    def __init__(self, data: bytes, parent: Reader | None = None) -> None:
        """``parent`` is the reader whose notes are shared, when ``data`` was wrapped in its own."""
        self.data = data
        #: What is readable but no DER, in words.
        self.flaws: list[str] = parent.flaws if parent else []
        #: Fields that are written although they have their default value: no DER either, but frequent.
        self.defaults: list[str] = parent.defaults if parent else []

    def take(self, at: int, end: int, what: str) -> tuple[int, int, int]:
        """The value that starts at ``at``: its identifier octet, and where its content starts and stops."""
        data = self.data
        if at + 2 > end:
            raise MalformedError(f"{what} is missing or cut off at octet {at}")
        tag = data[at]
        length = data[at + 1]
        start = at + 2
        if tag & 0x1F == 0x1F:
            raise MalformedError(f"{what} has a tag of several octets at octet {at}")
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise MalformedError(f"{what} has a length of an unusable form (octet {length:02x}) at octet {at + 1}")
            if start + count > end:
                raise MalformedError(f"{what} is cut off inside its length at octet {at}")
            length = int.from_bytes(data[start : start + count], "big")
            start += count
            if length < 0x80 or length >> (8 * (count - 1)) == 0:
                self.flaws.append(f"{what} has a length that is not written in the fewest octets, at octet {at + 1}")
        stop = start + length
        if stop > end:
            raise MalformedError(f"{what} claims {length} octets at octet {at}, {end - start} are there")
        return tag, start, stop

    def expect(self, tag: int, at: int, end: int, what: str) -> tuple[int, int]:
        """Like ``take`` for a value that must have the identifier octet ``tag``."""
        found, start, stop = self.take(at, end, what)
        if found != tag:
            raise MalformedError(f"{what} has the tag {found:02x} where {tag:02x} is expected, at octet {at}")
        return start, stop

    def close(self, at: int, end: int, what: str) -> None:
        """Demand that nothing follows inside ``what``."""
        if at != end:
            raise MalformedError(f"{what} has {end - at} octets too many, from octet {at}")

    def boolean(self, at: int, end: int, what: str) -> tuple[bool, int]:
        """A BOOLEAN and where it stops; DER knows 00 and FF only."""
        start, stop = self.expect(BOOLEAN, at, end, what)
        if stop - start != 1:
            raise MalformedError(f"{what} is a BOOLEAN of {stop - start} octets, at octet {at}")
        octet = self.data[start]
        if octet not in {0x00, 0xFF}:
            self.flaws.append(f"{what} is a BOOLEAN written as {octet:02x} instead of ff, at octet {start}")
        return octet != 0, stop

    def integer(self, at: int, end: int, what: str) -> tuple[int, int]:
        """An INTEGER and where it stops."""
        start, stop = self.expect(INTEGER, at, end, what)
        data = self.data
        if start == stop:
            raise MalformedError(f"{what} is an INTEGER without content, at octet {at}")
        if stop - start > 1 and (
            (data[start] == 0 and data[start + 1] < 0x80) or (data[start] == 0xFF and data[start + 1] >= 0x80)
        ):
            self.flaws.append(f"{what} is an INTEGER with a superfluous first octet, at octet {start}")
        return int.from_bytes(data[start:stop], "big", signed=True), stop

    def object_identifier(self, at: int, end: int, what: str) -> tuple[bytes, int]:
        """The content octets of an OBJECT IDENTIFIER and where it stops."""
        start, stop = self.expect(OBJECT_IDENTIFIER, at, end, what)
        content = self.data[start:stop]
        if not content or content[-1] >= 0x80:
            raise MalformedError(f"{what} is no complete OBJECT IDENTIFIER, at octet {at}")
        if 0x80 in content and (content[0] == 0x80 or _padded(content)):
            self.flaws.append(f"{what} is an OBJECT IDENTIFIER with superfluous octets, at octet {start}")
        return content, stop

    def bit_string(self, at: int, end: int, what: str) -> tuple[bytes, int, int]:
        """The octets of a BIT STRING, the number of unused bits in the last one, and where it stops."""
        start, stop = self.expect(BIT_STRING, at, end, what)
        return *self.bits(start, stop, what), stop

    def bits(self, start: int, stop: int, what: str) -> tuple[bytes, int]:
        """The content of a BIT STRING: octets and unused bits."""
        if start == stop:
            raise MalformedError(f"{what} is a BIT STRING without content, at octet {start}")
        unused = self.data[start]
        octets = self.data[start + 1 : stop]
        if unused > 7 or (unused and not octets):
            raise MalformedError(f"{what} is a BIT STRING with {unused} unused bits, at octet {start}")
        if unused and octets[-1] & ((1 << unused) - 1):
            self.flaws.append(f"{what} is a BIT STRING whose unused bits are not zero, at octet {stop - 1}")
        return octets, unused


def _padded(content: bytes) -> bool:
    """Whether any arc but the first starts with the octet 80, which carries nothing."""
    return any(octet == 0x80 and content[at - 1] < 0x80 for at, octet in enumerate(content) if at)


def oid_octets(dotted: str) -> bytes:
    """The content octets (fewer than 128) of a dotted OBJECT IDENTIFIER; not one: ``ValueError``."""
    return der.oid(dotted)[2:]


def dotted_oid(content: bytes) -> str:
    """Dotted form of the content octets of an OBJECT IDENTIFIER; beyond 64 octets only their number."""
    if len(content) > 64:
        return f"an OBJECT IDENTIFIER of {len(content)} octets"
    arcs: list[int] = []
    arc = 0
    for octet in content:
        arc = arc << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - first * 40, *arcs[1:]))


def number(value: int) -> str:
    """An INTEGER for people; a giant one (a hostile file can hold it) only by its size."""
    return str(value) if value.bit_length() <= 128 else f"a number of {value.bit_length()} bits"
