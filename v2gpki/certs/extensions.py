"""The extensions of a certificate as DER, from the rules of a profile.

Each function gives the value inside the extension's OCTET STRING; ``extension`` wraps it. The object
identifiers are those of the extension syntax itself (RFC 5280 4.2, RFC 6960 4.2.2.2.1); which of them
stand in which certificate, with which criticality and content, is the profile's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from v2gpki.certs import der
from v2gpki.profile.model import KEY_USAGE_BITS, BasicConstraintsRule, SkiForm

BASIC_CONSTRAINTS = der.oid("2.5.29.19")
KEY_USAGE = der.oid("2.5.29.15")
EXTENDED_KEY_USAGE = der.oid("2.5.29.37")
SUBJECT_KEY_IDENTIFIER = der.oid("2.5.29.14")
AUTHORITY_KEY_IDENTIFIER = der.oid("2.5.29.35")
SUBJECT_ALTERNATIVE_NAME = der.oid("2.5.29.17")
CERTIFICATE_POLICIES = der.oid("2.5.29.32")
CRL_DISTRIBUTION_POINTS = der.oid("2.5.29.31")
AUTHORITY_INFORMATION_ACCESS = der.oid("1.3.6.1.5.5.7.1.1")
OCSP_NOCHECK = der.oid("1.3.6.1.5.5.7.48.1.5")
_ACCESS_OCSP = der.oid("1.3.6.1.5.5.7.48.1")


def extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    """Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue }."""
    return der.sequence(oid, der.TRUE if critical else b"", der.octet_string(value))


def basic_constraints(rule: BasicConstraintsRule) -> bytes:
    """RFC 5280 4.2.1.9; cA FALSE and an absent path length are left out."""
    if not rule.ca:
        return der.sequence()
    return der.sequence(der.TRUE, b"" if rule.path_length is None else der.integer(rule.path_length))


def key_usage(bits: Sequence[str]) -> bytes:
    """RFC 5280 4.2.1.3 from bit names."""
    return der.named_bits(tuple(KEY_USAGE_BITS.index(bit) for bit in bits))


def object_identifiers(oids: Sequence[str]) -> bytes:
    """SEQUENCE OF OBJECT IDENTIFIER: the form of ExtendedKeyUsage."""
    return der.sequence(*(der.oid(dotted) for dotted in oids))


def policies(oids: Sequence[str]) -> bytes:
    """CertificatePolicies without qualifiers."""
    return der.sequence(*(der.sequence(der.oid(dotted)) for dotted in oids))


def ocsp_access(url: str) -> bytes:
    """AuthorityInfoAccess with the one access method id-ad-ocsp."""
    return der.sequence(der.sequence(_ACCESS_OCSP, der.implicit(6, url.encode("ascii"))))


def crl_distribution_point(url: str) -> bytes:
    """CRLDistributionPoints with one fullName URI."""
    name = der.implicit(0, der.implicit(6, url.encode("ascii")), constructed=True)
    return der.sequence(der.sequence(der.implicit(0, name, constructed=True)))


def key_identifier(form: SkiForm, spki: bytes, point_size: int) -> bytes:
    """The key identifier octets of a SubjectPublicKeyInfo whose key octets are its last ``point_size``.

    ``sha1-160``: RFC 5280 4.2.1.2 method 1. ``sha1-60``: the 8-octet form of certificates in the field,
    0100 followed by the low 60 bits of SHA-1 over the whole SubjectPublicKeyInfo.
    """
    if form == "sha1-160":
        return hashlib.sha1(spki[-point_size:], usedforsecurity=False).digest()
    digest = hashlib.sha1(spki, usedforsecurity=False).digest()
    return bytes((0x40 | (digest[12] & 0x0F),)) + digest[13:]
