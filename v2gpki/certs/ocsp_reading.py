"""An OCSP response read once: who signed it and what it says about which certificates.

It judges no trust and no time: ``certs.evidence`` does. Bytes that are no OCSPResponse raise
``ocsp.malformed``; an unsuccessful answer is read as its status name. Source: RFC 6960 4.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, x448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from v2gpki.certs.view import CertificateView, view
from v2gpki.errors import V2GPKIError

_STATUS = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class SingleView:
    """One SingleResponse: the CertID (hash algorithm by its hashlib name) and what it states."""

    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    status: str
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class OcspView:
    """One OCSPResponse. ``failure`` names the status of an unsuccessful one; ``flaw`` says why none of its
    statements can be used; ``responder`` is the responderID in words."""

    fingerprint: bytes
    failure: str
    flaw: str
    responder: str
    singles: tuple[SingleView, ...]
    certificates: tuple[CertificateView, ...]
    response: ocsp.OCSPResponse
    _verified: dict[bytes, bool] = field(default_factory=dict)

    def named(self, signer: CertificateView) -> bool:
        """Whether the responderID means this certificate."""
        if self.response.responder_key_hash is not None:
            return self.response.responder_key_hash == key_hash(signer, "sha1")
        name = self.response.responder_name
        return name is not None and name.public_bytes() == signer.subject

    def signed_with(self, signer: CertificateView) -> bool:
        """Whether the signer's key made the signature."""
        if signer.fingerprint not in self._verified:
            self._verified[signer.fingerprint] = _signature_holds(self.response, signer.x509)
        return self._verified[signer.fingerprint]


def name_hash(issuer: CertificateView, hash_name: str) -> bytes:
    """issuerNameHash of a CertID: over the DER name (RFC 6960 4.1.1)."""
    return hashlib.new(hash_name, issuer.subject).digest()


def key_hash(issuer: CertificateView, hash_name: str) -> bytes:
    """issuerKeyHash of a CertID: over the key octets, without tag, length and unused bits (RFC 6960 4.1.1)."""
    key = issuer.x509.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        octets = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    elif isinstance(key, ed448.Ed448PublicKey | ed25519.Ed25519PublicKey | x448.X448PublicKey):
        octets = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    elif isinstance(key, rsa.RSAPublicKey):
        octets = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    else:
        # No responder of this ecosystem has such a key: an empty hash equals none that was sent.
        return b""
    return hashlib.new(hash_name, octets).digest()


@lru_cache(maxsize=512)
def ocsp_view(der: bytes) -> OcspView:
    """Read one DER OCSPResponse; ``ocsp.malformed`` when it is none."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            failure = response.response_status.name
            return OcspView(hashlib.sha256(der).digest(), failure, "", "", (), (), response)
        return _successful(der, response)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as problem:
        raise V2GPKIError(
            "ocsp.malformed",
            f"the OCSP response of {len(der)} octets cannot be read: {problem}",
            hint="give the DER body of the answer (openssl ocsp -respout)",
            clause="RFC 6960 4.2.1",
            facts={"size": len(der)},
        ) from problem


def _successful(der: bytes, response: ocsp.OCSPResponse) -> OcspView:
    critical = [extension.oid.dotted_string for extension in response.extensions if extension.critical]
    name = response.responder_name
    flaw = f"has the unknown critical extension {critical[0]}" if critical else ""
    try:
        digest = response.signature_hash_algorithm
    except UnsupportedAlgorithm:
        digest = None
    if isinstance(digest, hashes.SHA1 | hashes.MD5):
        flaw = f"is signed with {digest.name.upper()}"
    key_digest = response.responder_key_hash
    return OcspView(
        fingerprint=hashlib.sha256(der).digest(),
        failure="",
        flaw=flaw,
        responder=name.rfc4514_string() if name else f"the key {key_digest.hex() if key_digest else '?'}",
        singles=tuple(_single(single) for single in response.responses),
        certificates=tuple(
            view(certificate.public_bytes(Encoding.DER)) for certificate in response.certificates
        ),
        response=response,
    )


def _single(single: ocsp.OCSPSingleResponse) -> SingleView:
    revoked = single.certificate_status is ocsp.OCSPCertStatus.REVOKED
    reason = single.revocation_reason
    return SingleView(
        hash_name=single.hash_algorithm.name,
        issuer_name_hash=single.issuer_name_hash,
        issuer_key_hash=single.issuer_key_hash,
        serial=single.serial_number,
        status=_STATUS[single.certificate_status],
        this_update=single.this_update_utc,
        next_update=single.next_update_utc,
        revoked_at=single.revocation_time_utc,
        reason=("unspecified" if reason is None else str(reason.value)) if revoked else "",
    )


def _signature_holds(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key = signer.public_key()
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed448.Ed448PublicKey | ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
            return True
        digest = response.signature_hash_algorithm
        if digest is None:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
