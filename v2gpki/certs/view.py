"""A certificate read once: the fields that chain ordering, path validation and evidence look at.

A ``CertificateView`` is parsed from DER by ``cryptography``, kept by content, and never changes. It
judges nothing; what cannot be parsed raises ``chain.malformed``. Extensions that are broken or occur
twice also end here: a certificate whose extensions cannot be read says nothing that may be trusted.
What is no DER but has one meaning (``certs.spelling``) is read all the same, by its signature as it was written.
Sources: RFC 5280 4.1, 4.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from v2gpki.errors import V2GPKIError

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

#: Critical extensions that path validation processes (RFC 5280 4.2; the last is RFC 6960 4.2.2.2.1).
PROCESSED = frozenset(
    {
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.OCSP_NO_CHECK,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)

#: Extensions of a CA that restrict what stands below it: such a path is never answered from the cache.
RESTRICTING = frozenset(
    {
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
    }
)


#: How the library says that it cannot read something.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, eq=False)
class CertificateView:
    """What one certificate says.

    ``subject`` and ``issuer`` are DER names, ``subject_text`` the subject by RFC 4514, ``serial`` the
    serial number, ``spki`` the key as DER SubjectPublicKeyInfo (points uncompressed), ``fingerprint`` the SHA-256
    of ``der``. ``path_length`` is None without a limit;
    ``key_usage`` None without the extension, else RFC 5280 bit names. ``authority_serial`` is the serial
    that the AuthorityKeyIdentifier names, with ``authority_names`` as DER.
    ``liberties`` says in words what is no DER; where ``written`` is not empty the library could read nothing else than
    another spelling: ``x509`` is that one, and ``written`` the TBSCertificate that was signed. Extensions are to be
    taken from ``extensions``, signatures to be verified by ``flaw_of_signature``.
    """

    der: bytes
    fingerprint: bytes
    extensions: x509.Extensions
    x509: x509.Certificate
    subject: bytes
    issuer: bytes
    subject_text: str
    issuer_text: str
    serial: int
    spki: bytes
    not_before: datetime
    not_after: datetime
    ca: bool
    path_length: int | None
    key_usage: frozenset[str] | None
    extended_key_usage: frozenset[str]
    key_identifier: bytes
    authority_key_identifier: bytes
    authority_names: tuple[bytes, ...]
    authority_serial: int | None
    unknown_critical: tuple[str, ...]
    restricting: bool
    ocsp_nocheck: bool
    weak_signature: str
    weak_key: str
    liberties: tuple[str, ...] = ()
    written: bytes = b""

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.subject == self.issuer

    def named_by(self, child: CertificateView) -> bool:
        """Whether ``child`` names this certificate as its issuer, by name and, where given, key identifier."""
        return self.subject == child.issuer and self.identified_by(child)

    def identified_by(self, child: CertificateView) -> bool:
        """Whether nothing in the child's AuthorityKeyIdentifier speaks against this issuer."""
        wanted = child.authority_key_identifier
        if wanted and self.key_identifier and wanted != self.key_identifier:
            return False
        if child.authority_serial is None:
            return True
        return child.authority_serial == self.serial and (
            not child.authority_names or self.issuer in child.authority_names
        )


@lru_cache(maxsize=4096)
def view(der: bytes) -> CertificateView:
    """Read one DER certificate; ``chain.malformed`` says what about it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _read(der, certificate, certificate.extensions)
    except _UNREADABLE as problem:
        return _read_with_liberties(der, problem)


@lru_cache(maxsize=4096)
def flaw_of_signature(child: bytes, issuer: bytes) -> str:
    """What is wrong with the signature of ``child`` under the name and key of ``issuer`` (both DER); "" is right."""
    try:
        view(child).x509.verify_directly_issued_by(view(issuer).x509)
    except InvalidSignature:
        # Of another spelling the library has compared names and algorithms only.
        if view(child).written and key_matches(view(child), view(issuer)):
            return ""
        return "the signature does not verify with the key of that name"
    except TypeError:
        return "the key of that name is of a kind that cannot sign"
    except (ValueError, UnsupportedAlgorithm) as problem:
        return f"the signature cannot be checked: {problem}"
    # Signed was another spelling than the one that is there.
    return "the signature does not verify with the key of that name" if view(child).written else ""


def key_matches(child: CertificateView, issuer: CertificateView) -> bool:
    """Whether the issuer's key made the child's signature, whatever the names say: for explanations only."""
    key = issuer.x509.public_key()
    certificate = child.x509
    signed = child.written or certificate.tbs_certificate_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            algorithm = certificate.signature_algorithm_parameters
            if not isinstance(algorithm, ec.ECDSA):
                return False
            key.verify(certificate.signature, signed, algorithm)
        elif isinstance(key, ed448.Ed448PublicKey):
            key.verify(certificate.signature, signed)
        else:
            return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _read_with_liberties(der: bytes, problem: Exception) -> CertificateView:
    """The second attempt, after the library has refused for ``problem``."""
    # The first way never needs the linter's reader.
    from v2gpki.certs.spelling import respelled  # noqa: PLC0415 (keeps start-up fast)

    found = respelled(der)
    if found is None:
        raise _malformed(der, problem) from problem
    try:
        spelled = x509.load_der_x509_certificate(found.der)
        extensions = spelled.extensions
        certificate = _loaded(der)
        return _read(
            der,
            certificate or spelled,
            extensions,
            liberties=found.liberties,
            written=b"" if certificate else found.tbs,
        )
    except _UNREADABLE as graver:
        raise _malformed(der, graver) from graver


def _loaded(der: bytes) -> x509.Certificate | None:
    """The certificate, if the library refuses no more than one of its extensions."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None


def _malformed(der: bytes, problem: Exception) -> V2GPKIError:
    return V2GPKIError(
        "chain.malformed",
        f"a certificate of {len(der)} octets cannot be read: {problem}",
        hint="openssl asn1parse shows where the structure breaks; ask the issuer for a DER X.509 v3 certificate",
        clause="RFC 5280 4.1",
        facts={"size": len(der), "sha256": hashlib.sha256(der).hexdigest()},
    )


def _read(
    der: bytes,
    certificate: x509.Certificate,
    extensions: x509.Extensions,
    *,
    liberties: tuple[str, ...] = (),
    written: bytes = b"",
) -> CertificateView:
    constraints = _value(extensions, x509.BasicConstraints)
    usage = _value(extensions, x509.KeyUsage)
    extended = _value(extensions, x509.ExtendedKeyUsage)
    own = _value(extensions, x509.SubjectKeyIdentifier)
    authority = _value(extensions, x509.AuthorityKeyIdentifier)
    names = (authority.authority_cert_issuer or []) if authority else []
    present = {extension.oid for extension in extensions}
    return CertificateView(
        der=der,
        fingerprint=hashlib.sha256(der).digest(),
        extensions=extensions,
        x509=certificate,
        subject=certificate.subject.public_bytes(),
        issuer=certificate.issuer.public_bytes(),
        subject_text=certificate.subject.rfc4514_string(),
        issuer_text=certificate.issuer.rfc4514_string(),
        serial=certificate.serial_number,
        spki=certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        ca=constraints is not None and constraints.ca,
        path_length=constraints.path_length if constraints else None,
        key_usage=None if usage is None else _bits(usage),
        extended_key_usage=frozenset(oid.dotted_string for oid in extended) if extended else frozenset(),
        key_identifier=own.digest if own else b"",
        authority_key_identifier=(authority.key_identifier or b"") if authority else b"",
        authority_names=tuple(
            name.value.public_bytes() for name in names if isinstance(name, x509.DirectoryName)
        ),
        authority_serial=authority.authority_cert_serial_number if authority else None,
        unknown_critical=tuple(
            extension.oid.dotted_string
            for extension in extensions
            if extension.critical and extension.oid not in PROCESSED
        ),
        restricting=bool(present & RESTRICTING),
        ocsp_nocheck=ExtensionOID.OCSP_NO_CHECK in present,
        weak_signature=_weak_signature(certificate),
        weak_key=_weak_key(certificate),
        liberties=liberties,
        written=written,
    )


def _value(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _bits(usage: x509.KeyUsage) -> frozenset[str]:
    names = {
        "digitalSignature": usage.digital_signature,
        "nonRepudiation": usage.content_commitment,
        "keyEncipherment": usage.key_encipherment,
        "dataEncipherment": usage.data_encipherment,
        "keyAgreement": usage.key_agreement,
        "keyCertSign": usage.key_cert_sign,
        "cRLSign": usage.crl_sign,
        "encipherOnly": usage.key_agreement and usage.encipher_only,
        "decipherOnly": usage.key_agreement and usage.decipher_only,
    }
    return frozenset(name for name, present in names.items() if present)


def _weak_signature(certificate: x509.Certificate) -> str:
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in {"md5", "sha1"}:
        return f"is signed with {digest.name.upper()}"
    return ""


def _weak_key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        return f"has an RSA key of {key.key_size} bits only"
    if isinstance(key, dsa.DSAPublicKey):
        return "has a DSA key"
    return ""
