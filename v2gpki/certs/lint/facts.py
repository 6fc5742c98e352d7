"""One certificate, read once from DER into the facts that the rules judge.

``read_facts`` raises ``MalformedError`` when the bytes are no X.509 certificate; everything milder (BER
spellings, a time that cannot be, an unreadable extension) becomes a fact, so that one report names all
of it. Nothing is judged here, and no library hides what stood in the bytes.
Source: RFC 5280 4.1, X.690.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from v2gpki.certs.lint.extension_values import KNOWN, Values
from v2gpki.certs.lint.reader import (
    BMP_STRING,
    BOOLEAN,
    GENERALIZED_TIME,
    IA5_STRING,
    OCTET_STRING,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    TELETEX_STRING,
    UNIVERSAL_STRING,
    UTC_TIME,
    UTF8_STRING,
    MalformedError,
    Reader,
    dotted_oid,
)

#: How the string types of names are decoded; names as in X.680.
STRING_TYPES: Mapping[int, tuple[str, str]] = {
    UTF8_STRING: ("UTF8String", "utf-8"),
    PRINTABLE_STRING: ("PrintableString", "ascii"),
    IA5_STRING: ("IA5String", "ascii"),
    TELETEX_STRING: ("TeletexString", "latin-1"),
    BMP_STRING: ("BMPString", "utf-16-be"),
    UNIVERSAL_STRING: ("UniversalString", "utf-32-be"),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a name: OID content octets, tag of the value, text (None when it cannot be
    decoded), and the number of the RDN that holds it, from 0."""

    oid: bytes
    tag: int
    text: str | None
    rdn: int


@dataclass(frozen=True, slots=True)
class Moment:
    """One end of the validity: ``at`` is None when the text is no time; ``tag`` and ``text`` as written."""

    at: datetime | None
    tag: int
    text: str


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension: OID content octets, the name that people know, criticality."""

    oid: bytes
    name: str
    critical: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What one certificate says. ``version`` counts from 1; ``issuer`` and ``subject`` are DER Names,
    ``inner_algorithm`` and ``outer_algorithm`` DER AlgorithmIdentifiers, ``serial_size`` the octets of the
    serial's content, ``trailing`` the octets behind the certificate, ``flaws`` what is no DER, in words,
    ``defaults`` the fields that DER would leave out."""

    der: bytes
    tbs: bytes
    version: int
    serial: int
    serial_size: int
    inner_algorithm: bytes
    outer_algorithm: bytes
    signature: bytes
    signature_unused: int
    issuer: bytes
    issuer_attributes: tuple[Attribute, ...]
    subject: bytes
    subject_attributes: tuple[Attribute, ...]
    not_before: Moment
    not_after: Moment
    spki: bytes
    unique_ids: bool
    extensions: tuple[Extension, ...]
    values: Values
    trailing: int
    flaws: tuple[str, ...]
    defaults: tuple[str, ...]

    def has(self, extension: str) -> Extension | None:
        """The first extension of that name, None when there is none."""
        for found in self.extensions:
            if found.name == extension:
                return found
        return None


def read_facts(der: bytes) -> Facts:
    """Read one DER certificate; bytes that are none raise ``MalformedError``."""
    reader = Reader(der)
    at, stop = reader.expect(SEQUENCE, 0, len(der), "the certificate")
    tbs_start, tbs_stop = reader.expect(SEQUENCE, at, stop, "tbsCertificate")
    outer_start, outer_stop = _algorithm(reader, tbs_stop, stop, "signatureAlgorithm")
    signature, unused, end = reader.bit_string(outer_stop, stop, "signatureValue")
    reader.close(end, stop, "the certificate")

    version, position = _version(reader, tbs_start, tbs_stop)
    _, serial_start, _ = Reader(der).take(position, tbs_stop, "serialNumber")
    serial, position = reader.integer(position, tbs_stop, "serialNumber")
    serial_size = position - serial_start
    inner_start, inner_stop = _algorithm(reader, position, tbs_stop, "tbsCertificate.signature")
    issuer_attributes, issuer_stop = _name(reader, inner_stop, tbs_stop, "issuer")
    validity, validity_stop = reader.expect(SEQUENCE, issuer_stop, tbs_stop, "validity")
    not_before, after_at = _moment(reader, validity, validity_stop, "notBefore")
    not_after, validity_end = _moment(reader, after_at, validity_stop, "notAfter")
    reader.close(validity_end, validity_stop, "validity")
    subject_attributes, subject_stop = _name(reader, validity_stop, tbs_stop, "subject")
    _, spki_stop = reader.expect(SEQUENCE, subject_stop, tbs_stop, "subjectPublicKeyInfo")
    unique_ids, position = _unique_ids(reader, spki_stop, tbs_stop)
    values = Values()
    extensions: tuple[Extension, ...] = ()
    if position < tbs_stop:
        extensions, position = _extensions(reader, position, tbs_stop, values)
    reader.close(position, tbs_stop, "tbsCertificate")
    return Facts(
        der=der,
        tbs=der[at:tbs_stop],
        version=version,
        serial=serial,
        serial_size=serial_size,
        inner_algorithm=der[inner_start:inner_stop],
        outer_algorithm=der[outer_start:outer_stop],
        signature=signature,
        signature_unused=unused,
        issuer=der[inner_stop:issuer_stop],
        issuer_attributes=issuer_attributes,
        subject=der[validity_stop:subject_stop],
        subject_attributes=subject_attributes,
        not_before=not_before,
        not_after=not_after,
        spki=der[subject_stop:spki_stop],
        unique_ids=unique_ids,
        extensions=extensions,
        values=values,
        trailing=len(der) - stop,
        flaws=tuple(reader.flaws),
        defaults=tuple(reader.defaults),
    )


def _version(reader: Reader, at: int, end: int) -> tuple[int, int]:
    """The version, counted from 1, and where what follows starts."""
    if at >= end or reader.data[at] != 0xA0:
        return 1, at
    inner, stop = reader.expect(0xA0, at, end, "version")
    version, position = reader.integer(inner, stop, "version")
    reader.close(position, stop, "version")
    if version == 0:
        reader.defaults.append("version")
    return version + 1, stop


def _algorithm(reader: Reader, at: int, end: int, what: str) -> tuple[int, int]:
    """Where an AlgorithmIdentifier starts and stops."""
    inner, stop = reader.expect(SEQUENCE, at, end, what)
    _, inner = reader.object_identifier(inner, stop, what)
    if inner < stop:
        _, _, inner = reader.take(inner, stop, f"the parameters of {what}")
    reader.close(inner, stop, what)
    return at, stop


def _name(reader: Reader, at: int, end: int, what: str) -> tuple[tuple[Attribute, ...], int]:
    """The attributes of a Name and where it stops."""
    data = reader.data
    position, stop = reader.expect(SEQUENCE, at, end, what)
    attributes: list[Attribute] = []
    rdn = 0
    while position < stop:
        inner, position = reader.expect(SET, position, stop, f"an RDN of {what}")
        if inner == position:
            raise MalformedError(f"an RDN of {what} is empty, at octet {inner}")
        previous = b""
        while inner < position:
            first = inner
            value, inner = reader.expect(SEQUENCE, inner, position, f"an attribute of {what}")
            oid, value = reader.object_identifier(value, inner, f"the type of an attribute of {what}")
            tag, start, value = reader.take(value, inner, f"the value of an attribute of {what}")
            reader.close(value, inner, f"an attribute of {what}")
            attributes.append(Attribute(oid, tag, _text(tag, data[start:value]), rdn))
            if previous > data[first:inner]:
                reader.flaws.append(f"an RDN of {what} is a SET OF that is not sorted, at octet {first}")
            previous = data[first:inner]
        rdn += 1
    return tuple(attributes), stop


def _text(tag: int, octets: bytes) -> str | None:
    """The text of a string value, None when it is no string or no text of its type."""
    kind = STRING_TYPES.get(tag)
    if kind is None:
        return None
    try:
        return octets.decode(kind[1])
    except UnicodeDecodeError:
        return None


def _moment(reader: Reader, at: int, end: int, what: str) -> tuple[Moment, int]:
    """One time of the validity and where it stops. Digits and Z only: RFC 5280 4.1.2.5 knows no other form."""
    tag, start, stop = reader.take(at, end, what)
    if tag not in {UTC_TIME, GENERALIZED_TIME}:
        raise MalformedError(f"{what} is no time: its tag is {tag:02x}, at octet {at}")
    text = reader.data[start:stop].decode("latin-1")
    digits = text[:-1]
    if text[-1:] != "Z" or not (digits.isascii() and digits.isdigit()):
        return Moment(None, tag, text), stop
    if tag == UTC_TIME and len(digits) == 12:
        digits = ("19" if digits[0] >= "5" else "20") + digits
    elif tag == UTC_TIME or len(digits) != 14:
        return Moment(None, tag, text), stop
    try:
        moment = datetime(
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:]),
            tzinfo=UTC,
        )
    except ValueError:
        return Moment(None, tag, text), stop
    return Moment(moment, tag, text), stop


def _unique_ids(reader: Reader, at: int, end: int) -> tuple[bool, int]:
    """Whether issuerUniqueID or subjectUniqueID is there, and where they stop."""
    found = False
    for tag in (0x81, 0x82):
        if at < end and reader.data[at] == tag:
            _, at = reader.expect(tag, at, end, "a unique identifier")
            found = True
    return found, at


def _extensions(reader: Reader, at: int, end: int, values: Values) -> tuple[tuple[Extension, ...], int]:
    """The extensions in their order, their known values into ``values``, and where the field stops."""
    data = reader.data
    inner, stop = reader.expect(0xA3, at, end, "extensions")
    position, close = reader.expect(SEQUENCE, inner, stop, "extensions")
    reader.close(close, stop, "extensions")
    if position == close:
        raise MalformedError("extensions are an empty list")
    found: list[Extension] = []
    seen: set[bytes] = set()
    while position < close:
        inner, position = reader.expect(SEQUENCE, position, close, "an extension")
        oid, inner = reader.object_identifier(inner, position, "extnID")
        critical = False
        if inner < position and data[inner] == BOOLEAN:
            critical, inner = reader.boolean(inner, position, "critical")
            if not critical:
                reader.defaults.append(f"critical of {dotted_oid(oid)}")
        start, inner = reader.expect(OCTET_STRING, inner, position, "extnValue")
        reader.close(inner, position, "an extension")
        known = KNOWN.get(oid)
        name = known[0] if known else dotted_oid(oid)
        found.append(Extension(oid, name, critical))
        if known and oid not in seen:
            try:
                known[1](Reader(data[start:inner], reader), values)
            except MalformedError as problem:
                values.broken[name] = str(problem)
        seen.add(oid)
    return tuple(found), stop
