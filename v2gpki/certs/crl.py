"""CRLs: writing version 2 lists by hand, and reading them once.

Written lists carry AuthorityKeyIdentifier and CRLNumber, entries sorted by serial, reason codes but for
``unspecified``; 100,000 entries take a fraction of a second. Refused: a signer that does not hold the
issuer's key, an issuer that may not sign CRLs, doubled or impossible entries, times that do not follow
each other. Reading refuses what is no CRL. Source: RFC 5280 5.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtensionOID

from v2gpki.certs import der
from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer

#: RFC 5280 5.3.1. ``removeFromCRL`` belongs to delta CRLs, which we do not write.
REASON_CODES = {
    "unspecified": 0,
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}

_VERSION_2 = der.integer(1)
_ENUMERATED = 0x0A
_DIGITS = tuple(b"%02d" % number for number in range(60))
_PEM = re.compile(rb"-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)


class Revoked(Protocol):
    """What a list needs to know of one entry; the store's rows have this shape too."""

    @property
    def serial(self) -> int:
        """The serial number, 1 to 20 octets, positive."""
        ...

    @property
    def revoked_at(self) -> datetime:
        """When it was revoked, aware."""
        ...

    @property
    def reason(self) -> str:
        """A key of ``REASON_CODES``, or "" for unspecified."""
        ...


@dataclass(frozen=True, slots=True)
class RevokedEntry:
    """One entry of a CRL: see ``Revoked``."""

    serial: int
    revoked_at: datetime
    reason: str = "unspecified"


def build_crl(
    *,
    issuer: bytes,
    signer: Signer,
    number: int,
    this_update: datetime,
    next_update: datetime,
    entries: Iterable[Revoked],
) -> bytes:
    """A signed version 2 CRL as DER.

    ``issuer`` is the CA certificate (DER), ``number`` the CRLNumber (0 up to 20 octets), the times are aware
    and cut to whole seconds. Raises ``crl.invalid`` for values that no CRL may carry and ``crl.wrong_signer``
    when the key is not the issuer's or the issuer may not sign CRLs.
    """
    ca = view(issuer)
    _check_signer(ca, signer)
    if this_update.tzinfo is None or next_update.tzinfo is None or next_update <= this_update:
        raise _invalid("nextUpdate must be later than thisUpdate, both with a time zone", "RFC 5280 5.1.2.5")
    if number < 0 or number.bit_length() > 159:
        raise _invalid(f"the CRL number {number} is negative or longer than 20 octets", "RFC 5280 5.2.3")
    revoked = _entries(entries)
    extensions = _extension("2.5.29.20", der.integer(number))
    if ca.key_identifier:
        identifier = der.sequence(der.implicit(0, ca.key_identifier))
        extensions = _extension("2.5.29.35", identifier) + extensions
    tbs = der.sequence(
        _VERSION_2,
        signer.suite.signature_algorithm,
        ca.subject,
        der.time(this_update),
        der.time(next_update),
        # RFC 5280 5.1.2.6: the list is absent when nothing is revoked.
        der.sequence(revoked) if revoked else b"",
        der.explicit(0, der.sequence(extensions)),
    )
    return der.sequence(tbs, signer.suite.signature_algorithm, der.bit_string(signer.sign(tbs)))


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """Read one CRL, PEM or DER; ``crl.malformed`` says why it cannot be read."""
    return crl_view(data).crl


@dataclass(slots=True, eq=False)
class CrlView:
    """One CRL read once. ``flaw`` says why it cannot be used at all, ``partial`` why a missing entry proves
    nothing. Signature checks and the set of serials are kept, since both are dear for long lists."""

    crl: x509.CertificateRevocationList
    fingerprint: bytes
    issuer: bytes
    key_identifier: bytes
    this_update: datetime
    next_update: datetime | None
    flaw: str
    partial: str
    scope: x509.IssuingDistributionPoint | None
    _serials: frozenset[int] | None = None
    _verified: dict[bytes, str] = field(default_factory=dict)

    def entry(self, serial: int) -> x509.RevokedCertificate | None:
        """The entry of a serial number, if it is listed."""
        if self._serials is None:
            self._serials = frozenset(entry.serial_number for entry in self.crl)
        if serial not in self._serials:
            return None
        # The library's own look-up walks the whole list too, and knows no negative number, which RFC 5280 tolerates.
        return next(entry for entry in self.crl if entry.serial_number == serial)

    def flaw_of_signature(self, issuer: CertificateView) -> str:
        """Why the signature is not the issuer's; "" when it is."""
        if issuer.fingerprint not in self._verified:
            self._verified[issuer.fingerprint] = _flaw_of_crl_signature(self.crl, issuer)
        return self._verified[issuer.fingerprint]

    def flaw_of_scope(self, certificate: CertificateView) -> str:
        """Why this list does not cover the certificate (IssuingDistributionPoint, RFC 5280 6.3.3 b); "" if it does."""
        scope = self.scope
        if scope is None:
            return ""
        if scope.only_contains_user_certs and certificate.ca:
            return "covers end-entity certificates only"
        if scope.only_contains_ca_certs and not certificate.ca:
            return "covers CA certificates only"
        if scope.only_contains_attribute_certs:
            return "covers attribute certificates only"
        if scope.full_name is None:
            return "" if scope.relative_name is None else "names its distribution point relative to its issuer"
        named = {name for point in _distribution_points(certificate) for name in point.full_name or ()}
        return "" if named & set(scope.full_name) else "belongs to another distribution point"


@lru_cache(maxsize=64)
def crl_view(data: bytes) -> CrlView:
    """Read one CRL, PEM or DER, once; ``crl.malformed`` says why it cannot be read."""
    encoded = _der_of(data)
    try:
        crl = x509.load_der_x509_crl(encoded)
        return _read(crl, encoded)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as problem:
        raise _malformed(f"the CRL of {len(encoded)} octets cannot be read: {problem}") from problem


def _read(crl: x509.CertificateRevocationList, encoded: bytes) -> CrlView:
    extensions = crl.extensions
    flaw = partial = ""
    scope: x509.IssuingDistributionPoint | None = None
    key_identifier = b""
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.AuthorityKeyIdentifier):
            key_identifier = value.key_identifier or b""
        elif isinstance(value, x509.IssuingDistributionPoint):
            scope = value
            if value.indirect_crl:
                flaw = "is an indirect CRL, which is not used in ISO 15118"
            if value.only_some_reasons:
                partial = "covers some reasons only"
        elif extension.oid == ExtensionOID.DELTA_CRL_INDICATOR:
            # What it lists is revoked, what it does not list may stand on the full CRL.
            partial = "is a delta CRL, which lists changes only"
        elif extension.critical:
            flaw = f"has the unknown critical extension {extension.oid.dotted_string}"
    digest = crl.signature_hash_algorithm
    if digest is not None and digest.name in {"md5", "sha1"}:
        flaw = f"is signed with {digest.name.upper()}"
    if not partial and _has_critical_entries(crl):
        partial = "has entries with a critical extension that is not understood"
    return CrlView(
        crl=crl,
        fingerprint=hashlib.sha256(encoded).digest(),
        issuer=crl.issuer.public_bytes(),
        key_identifier=key_identifier,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        flaw=flaw,
        partial=partial,
        scope=scope,
    )


def _has_critical_entries(crl: x509.CertificateRevocationList) -> bool:
    # A critical flag is the BOOLEAN 01 01 FF; without these octets anywhere no entry needs to be opened.
    if b"\x01\x01\xff" not in crl.tbs_certlist_bytes:
        return False
    return any(extension.critical for entry in crl for extension in entry.extensions)


def _flaw_of_crl_signature(crl: x509.CertificateRevocationList, issuer: CertificateView) -> str:
    key = issuer.x509.public_key()
    kinds = (
        ec.EllipticCurvePublicKey
        | ed448.Ed448PublicKey
        | rsa.RSAPublicKey
        | ed25519.Ed25519PublicKey
        | dsa.DSAPublicKey
    )
    if not isinstance(key, kinds):
        return "names an issuer whose key cannot sign"
    try:
        holds = crl.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        holds = False
    return "" if holds else "is not signed with the issuer's key"


def _distribution_points(certificate: CertificateView) -> list[x509.DistributionPoint]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except x509.ExtensionNotFound:
        return []


def _check_signer(ca: CertificateView, signer: Signer) -> None:
    if ca.spki != signer.spki:
        problem = "the signing key is not the key of that certificate"
    elif ca.key_usage is not None and "cRLSign" not in ca.key_usage:
        problem = "its KeyUsage does not allow to sign CRLs (cRLSign is missing)"
    else:
        return
    raise V2GPKIError(
        "crl.wrong_signer",
        f"no CRL can be issued for {ca.subject_text}: {problem}",
        hint="use the key and certificate of one CA generation",
        clause="RFC 5280 5.1.1.3, 4.2.1.3",
        facts={"issuer": ca.subject_text},
    )


def _entries(entries: Iterable[Revoked]) -> bytes:
    """All entries as one run of DER, sorted by serial."""
    reasons = {name: _reason_extension(code) for name, code in REASON_CODES.items()} | {"": b""}
    rows: dict[int, bytes] = {}
    time = _Times().write
    for entry in entries:
        serial, moment, reason = entry.serial, entry.revoked_at, entry.reason
        size = serial.bit_length() // 8 + 1
        if serial <= 0 or size > 20:
            raise _invalid(f"the serial number {serial:x} is not positive or longer than 20 octets", "RFC 5280 4.1.2.2")
        if moment.tzinfo is None:
            raise _invalid(f"the revocation time of {serial:x} has no time zone", "RFC 5280 5.1.2.6")
        if reason not in reasons:
            raise _invalid(
                f"the reason {reason} of {serial:x} cannot stand in a CRL; one of: {', '.join(REASON_CODES)}",
                "RFC 5280 5.3.1",
            )
        content = b"\x02%c%b%b%b" % (size, serial.to_bytes(size, "big"), time(moment), reasons[reason])
        # At most 22 + 17 + 14 octets: always the short form of the length.
        if serial in rows:
            raise _invalid(f"the serial number {serial:x} is listed twice", "RFC 5280 5.1.2.6")
        rows[serial] = b"\x30%c%b" % (len(content), content)
    return b"".join([rows[serial] for serial in sorted(rows)])


class _Times:
    """Writes the same octets as ``der.time``, faster where a list consists of them: the day is kept."""

    def __init__(self) -> None:
        self._days: dict[int, bytes] = {}

    def write(self, moment: datetime) -> bytes:
        """One time, aware, cut to whole seconds."""
        if moment.tzinfo is not UTC:
            return der.time(moment)
        ordinal = moment.toordinal()
        day = self._days.get(ordinal)
        if day is None:
            # Tag, length and date of that day: all but the six digits of the time and the Z.
            day = self._days[ordinal] = der.time(moment)[:-7]
        return day + _DIGITS[moment.hour] + _DIGITS[moment.minute] + _DIGITS[moment.second] + b"Z"


def _reason_extension(code: int) -> bytes:
    if code == 0:
        return b""
    return der.sequence(_extension("2.5.29.21", der.tlv(_ENUMERATED, bytes((code,)))))


def _extension(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.octet_string(value))


def _der_of(data: bytes) -> bytes:
    if b"-----BEGIN" not in data:
        return data
    blocks = _PEM.findall(data)
    if len(blocks) != 1:
        raise _malformed(f"the PEM file holds {len(blocks)} CRLs where one is expected")
    try:
        return base64.b64decode(b"".join(blocks[0].split()), validate=True)
    except binascii.Error as problem:
        raise _malformed(f"the PEM block is no base64: {problem}") from problem


def _malformed(message: str) -> V2GPKIError:
    return V2GPKIError(
        "crl.malformed",
        message,
        hint="give one CRL as DER, or as PEM with the label X509 CRL (openssl crl -text shows it)",
        clause="RFC 5280 5.1",
    )


def _invalid(message: str, clause: str) -> V2GPKIError:
    return V2GPKIError("crl.invalid", message, hint="see the value named and mend it", clause=clause)
