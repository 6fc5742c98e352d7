"""Root certificates by issuer name and serial, as vehicles name the ones that they hold.

Senders write distinguished names in many ways: RFC 4514 or its reverse, `/C=DE/O=..`, spaces around everything, OIDs or
several sorts of short names. They are compared as names, not as text; the serial must be equal. A name that cannot be
read equals nothing. Sources: XML Signature 4.5.4.1, RFC 4514, RFC 4518 (spaces and case).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

from asn1crypto import core
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
#: An attribute: its type, `=`, and a value that is quoted or runs to the next separator that is not escaped.
_ATTRIBUTE = re.compile(r'\s*([A-Za-z0-9.\- ]+?)\s*=\s*("(?:[^"\\]|\\.)*"|(?:[^,;+"\\]|\\.)*)\s*([,;+]|$)', re.DOTALL)
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
#: How Python's cryptography shows a name, and EcoG's vehicle sends one.
_SHOWN = re.compile(r"\s*<Name\((.*)\)>\s*", re.DOTALL)
_SLASHES = re.compile(r"/(?=[A-Za-z0-9.]+=)")
#: No vehicle sends more; a name is read at most this long.
_LONGEST = 2048

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
    if len(text) > _LONGEST:
        return None
    if shown := _SHOWN.fullmatch(text):
        text = shown[1]
    if text.lstrip().startswith("/"):
        parts: Sequence[str] = _SLASHES.split(text.strip())[1:]
        rdns = [[_attribute(*part.split("=", 1))] for part in parts if "=" in part]
        if len(rdns) != len(parts):
            return None
    else:
        rdns, current, at = [], [], 0
        while True:
            match = _ATTRIBUTE.match(text, at)
            if match is None:
                return None
            current.append(_attribute(match[1], match[2]))
            if match[3] != "+":
                rdns.append(current)
                current = []
            at = match.end()
            if not match[3]:
                break
    found = [[attribute for attribute in rdn if attribute is not None] for rdn in rdns]
    if not rdns or any(len(known) != len(all_) for known, all_ in zip(found, rdns, strict=True)):
        return None
    return tuple(frozenset(rdn) for rdn in found)


def _attribute(kind: str, value: str) -> tuple[str, str] | None:
    """Type as OID and value prepared for comparison; None if either is not understood."""
    name = kind.strip().lower()
    match = _OID.fullmatch(name)
    oid = match[1] if match else _TYPES.get(name.replace(" ", ""))
    value = value.strip()
    if oid is None:
        return None
    if value.startswith("#"):
        text = _of_der(value[1:])
    elif len(value) > 1 and value[0] == value[-1] == '"':
        text = _unescaped(value[1:-1])
    else:
        text = _unescaped(value)
    return None if text is None else (oid, prepared(text))


def _of_der(digits: str) -> str | None:
    try:
        value = core.load(bytes.fromhex(digits)).native
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, str) else None


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
