"""Requests about certificates of a home, written by cryptography, and answers read by it."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def request(certificate: bytes, issuer: bytes, hash_name: str = "sha256", nonce: bytes | None = None) -> bytes:
    """A request about a certificate."""
    child, parent = (x509.load_der_x509_certificate(der) for der in (certificate, issuer))
    builder = ocsp.OCSPRequestBuilder().add_certificate(child, parent, DIGESTS[hash_name])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def request_for_serial(
    serial: int, issuer: bytes, hash_name: str = "sha256", nonce: bytes | None = None
) -> bytes:
    """A request about a serial number of an issuer."""
    import hashlib

    parent = x509.load_der_x509_certificate(issuer)
    # RFC 5280 4.2.1.2 (1): the same octets that issuerKeyHash is taken over.
    from asn1crypto import x509 as asn1_x509

    key = bytes(asn1_x509.Certificate.load(issuer).public_key["public_key"])
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashlib.new(hash_name, parent.subject.public_bytes()).digest(),
        hashlib.new(hash_name, key).digest(),
        serial,
        DIGESTS[hash_name],
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    return builder.build().public_bytes(Encoding.DER)


def read(der: bytes) -> ocsp.OCSPResponse:
    """The answer, as the library reads it."""
    return ocsp.load_der_ocsp_response(der)


def nonce_of(der: bytes) -> bytes | None:
    """The nonce in an answer."""
    for extension in read(der).extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            return extension.value.nonce
    return None
