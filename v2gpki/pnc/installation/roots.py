"""Root certificates by issuer name and serial, as vehicles name the ones that they hold.

Senders write distinguished names in many ways: RFC 4514 or its reverse, `/C=DE/O=..`, spaces around everything, OIDs or
several sorts of short names. They are compared as names, not as text; the serial must be equal. A name that cannot be
read equals nothing. Vehicles write these names unsigned: reading one takes time in proportion to its length.
Sources: XML Signature 4.5.4.1, RFC 4514, RFC 4518 (spaces and case).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from cryptography import x509

from v2gpki.certs.view import view

#: Names of attribute types that are met in the field; those of RFC 4514 section 3 first.
_TYPES = {
    "cn": "2.5.4.3",
    "l": "2.5.4.7",
    "st": "2.5.4.8",
    "o": "2.5.4.10",
    "ou": "2.5.4.11",
    "c": "2.5.4.6",
    "street": "2.5.4.9",
    "dc": "0.9.2342.19200300.100.1.25",
    "uid": "0.9.2342.19200300.100.1.1",
    "commonname": "2.5.4.3",
    "localityname": "2.5.4.7",
    "s": "2.5.4.8",
    "sp": "2.5.4.8",
    "stateorprovincename": "2.5.4.8",
    "organizationname": "2.5.4.10",
    "organizationalunitname": "2.5.4.11",
    "countryname": "2.5.4.6",
    "streetaddress": "2.5.4.9",
    "domaincomponent": "0.9.2342.19200300.100.1.25",
    "userid": "0.9.2342.19200300.100.1.1",
    "serialnumber": "2.5.4.5",
    "sn": "2.5.4.4",
    "surname": "2.5.4.4",
    "givenname": "2.5.4.42",
    "gn": "2.5.4.42",
    "title": "2.5.4.12",
    "t": "2.5.4.12",
    "postalcode": "2.5.4.17",
    "organizationidentifier": "2.5.4.97",
    "emailaddress": "1.2.840.113549.1.9.1",
    "email": "1.2.840.113549.1.9.1",
    "e": "1.2.840.113549.1.9.1",
}
_OID = re.compile(r"(?:oid\.)?([0-2](?:\.(?:0|[1-9][0-9]*))+)")
#: A value up to the next separator that is not escaped, and one in quotation marks. Nothing is given back (`*+`): a
#: part that does not fit is no reason to look at it again.
_VALUE = re.compile(r'(?:[^,;+"\\]|\\.)*+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*+', re.DOTALL)
_SPACE = re.compile(r"\s*+")
_SEPARATORS = ",;+"
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
#: How Python's cryptography shows a name, and EcoG's vehicle sends one.
_SHOWN = "<Name(", ")>"
_SLASHES = re.compile(r"/(?=[A-Za-z0-9.]+=)")
#: No vehicle sends more; a name is read at most this long.
LONGEST = 512
#: String types of X.520 that a value in hexadecimal may have, by their DER tag (RFC 4514 2.4).
_STRINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}

#: An RDN as the set of its (type, value).
_Rdn: TypeAlias = frozenset[tuple[str, str]]


def root_id(root: bytes) -> tuple[str, int]:
    """Issuer name (RFC 4514) and serial of a root, as a vehicle sends them."""
    certificate = view(root)
    return certificate.issuer_text, certificate.serial


def root_matches(issuer: str, serial: int, root: bytes) -> bool:
    """Whether issuer name and serial, as a vehicle wrote them, name this root (DER). Raises `chain.malformed`."""
    certificate = view(root)
    if serial != certificate.serial:
        return False
    if issuer == certificate.issuer_text:
        return True
    found, wanted = parse_name(issuer), _name_of(certificate.x509.issuer)
    return found is not None and wanted in (found, found[::-1])


@lru_cache(maxsize=1024)
def parse_name(text: str) -> tuple[_Rdn, ...] | None:
    """The RDNs of a distinguished name in the order of the text; None if it cannot be read."""
    if len(text) > LONGEST:
        return None
    text = text.strip()
    if text.startswith(_SHOWN[0]) and text.endswith(_SHOWN[1]):
        text = text[len(_SHOWN[0]) : -len(_SHOWN[1])].strip()
    rdns = _of_slashes(text) if text.startswith("/") else _of_commas(text)
    return tuple(frozenset(rdn) for rdn in rdns) if rdns else None


def _of_slashes(text: str) -> list[list[tuple[str, str]]] | None:
    """`/C=DE/O=..`, as OpenSSL once wrote names."""
    rdns = []
    before, *parts = _SLASHES.split(text)
    if before:
        return None
    for part in parts:
        kind, equals, value = part.partition("=")
        attribute = _attribute(kind, _plain(value.strip())) if equals else None
        if attribute is None:
            return None
        rdns.append([attribute])
    return rdns


def _of_commas(text: str) -> list[list[tuple[str, str]]] | None:
    """`CN=..,O=..` of RFC 4514, read once from left to right."""
    rdns: list[list[tuple[str, str]]] = [[]]
    at = 0
    while True:
        equals = text.find("=", at)
        if equals < 0:
            return None
        kind = text[at:equals]
        value, at = _value(text, equals + 1)
        attribute = _attribute(kind, value)
        if attribute is None:
            return None
        rdns[-1].append(attribute)
        if at == len(text):
            return rdns
        if text[at] not in _SEPARATORS:
            return None
        if text[at] != "+":
            rdns.append([])
        at += 1


def _value(text: str, at: int) -> tuple[str | None, int]:
    """The value that begins at a position (None if it is none), and where it ends."""
    at = _end(_SPACE.match(text, at), at)
    if quoted := _QUOTED.match(text, at):
        return _unescaped(quoted[1]), quoted.end()
    end = _end(_VALUE.match(text, at), at)
    return _plain(text[at:end]), end


def _end(match: re.Match[str] | None, at: int) -> int:
    return at if match is None else match.end()


def _attribute(kind: str, value: str | None) -> tuple[str, str] | None:
    """Type as OID and value prepared for comparison; None if either is not understood."""
    name = kind.strip().lower()
    match = _OID.fullmatch(name)
    oid = match[1] if match else _TYPES.get(name.replace(" ", ""))
    return None if oid is None or value is None else (oid, prepared(value))


def _plain(value: str) -> str | None:
    """A value without quotation marks around it that count: escaped, in hexadecimal, or (`/`) quoted all the same."""
    if value.startswith("#"):
        return _of_der(value[1:].strip())
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return _unescaped(value)


def _of_der(digits: str) -> str | None:
    """The text in a DER string; None for what is none."""
    try:
        octets = bytes.fromhex(digits)
        encoding = _STRINGS.get(octets[0])
        start = 2 if octets[1] < 0x80 else 3
        whole = octets[1] < 0x80 or octets[1] == 0x81
        if encoding is None or not whole or octets[start - 1] != len(octets) - start:
            return None
        return octets[start:].decode(encoding)
    except (ValueError, IndexError):
        return None


def _unescaped(text: str) -> str | None:
    try:
        return _ESCAPE.sub(
            lambda match: bytes.fromhex(match[1].replace("\\", "")).decode() if match[1] else match[2], text
        )
    except UnicodeDecodeError:
        return None


def prepared(text: str) -> str:
    """A value as it is compared: case folded, runs of white space as one space."""
    return " ".join(text.split()).casefold()


def _name_of(name: x509.Name) -> tuple[_Rdn, ...]:
    """A certificate's name as `parse_name` reads RFC 4514: the last RDN first."""
    return tuple(
        frozenset((attribute.oid.dotted_string, prepared(str(attribute.value))) for attribute in rdn)
        for rdn in reversed(name.rdns)
    )
