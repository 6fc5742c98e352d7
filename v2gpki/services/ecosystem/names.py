"""The names that parties use for things of ours: XML namespaces for editions, ids for roots, text for names.

A root is known by a UUID that follows from its SHA-256 fingerprint, so that every process and every copy of a home
gives the same; where it is asked for, the fingerprint serves as well. Namespaces of ISO 15118-20 are written in several
ways in the field; all of them are read. Sources: OPCP 1.0, OPNC v1, ISO 15118-2 and -20 schemas.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from v2gpki.certs.view import CertificateView
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.algorithms import Edition

ISO2 = "urn:iso:15118:2:2013:MsgDef"
ISO20_OF_2020 = "urn:iso:15118:20:2020:MsgDef"
ISO20_OF_2022 = "urn:iso:15118:20:2022:MsgDef"
#: What callers write -> edition.
NAMESPACES: Mapping[str, Edition] = {
    ISO2: "iso15118-2",
    ISO20_OF_2020: "iso15118-20",
    ISO20_OF_2022: "iso15118-20",
    "urn:iso:std:iso:15118:-20:CommonMessages": "iso15118-20",
}
#: The namespace under which ids of roots are made: our own, and never changed.
_ROOTS = uuid.UUID("0d5f5f0e-5c0b-4a53-9d6f-3a5d7a0a4c11")
_ORDER = (
    NameOID.COMMON_NAME,
    NameOID.DOMAIN_COMPONENT,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.COUNTRY_NAME,
)
_SHORT = {
    NameOID.COMMON_NAME: "CN",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
}


def edition_of(namespace: str) -> Edition:
    """The edition that a namespace means; raises ``ecosystem.unknown_namespace``."""
    edition = NAMESPACES.get(namespace)
    if edition is None:
        raise V2GPKIError(
            "ecosystem.unknown_namespace",
            f"xsdMsgDefNamespace: {namespace[:80]!a} is no edition of ISO 15118",
            hint="known are " + ", ".join(NAMESPACES),
            clause="OPCP 1.0, xsdMsgDefNamespace",
            facts={"namespace": namespace[:80]},
        )
    return edition


def namespace_of(edition: str) -> str:
    """The namespace that an edition is told by."""
    return ISO2 if edition == "iso15118-2" else ISO20_OF_2022


def root_id(fingerprint: bytes) -> str:
    """The UUID of the root with this SHA-256 fingerprint."""
    return str(uuid.uuid5(_ROOTS, fingerprint.hex()))


def expiry_id(fingerprint: bytes) -> str:
    """The UUID of the event that the root with this SHA-256 fingerprint ended."""
    return str(uuid.uuid5(_ROOTS, f"{fingerprint.hex()} expired"))


def names_root(name: str, fingerprint: bytes) -> bool:
    """Whether ``name`` (UUID, or SHA-256 in hex, colons or not) is that of the root with this fingerprint."""
    plain = re.sub(r"[:\s-]", "", name).lower()
    return plain in (root_id(fingerprint).replace("-", ""), fingerprint.hex())


def name_text(certificate: CertificateView) -> str:
    """A subject as parties write it: ``CN=.., DC=.., O=.., C=..``, other attributes behind."""
    return _text(certificate.x509.subject)


def attribute(certificate: CertificateView, oid: x509.ObjectIdentifier) -> str:
    """The first value of a subject's attribute, "" when it has none."""
    found = certificate.x509.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def colons(octets: bytes) -> str:
    """Octets in hex with colons between."""
    return octets.hex(":")


def _text(name: x509.Name) -> str:
    ranked = sorted(name, key=lambda part: _ORDER.index(part.oid) if part.oid in _ORDER else len(_ORDER))
    return ", ".join(f"{_SHORT.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in ranked)
