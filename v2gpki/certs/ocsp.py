"""CertID: how OCSP names a certificate, in SHA-1, SHA-256, SHA-384 and SHA-512.

An issuer is known by two hashes, over its DER name and over the octets of its key (the BIT STRING's content without
tag, length and unused bits). ``IssuerName`` computes them once per algorithm; a CertID is then a join. SHA-1 is no
signature here, only a name: RFC 5019 clients know no other. Sources: RFC 6960 4.1.1, RFC 9654, RFC 5019 2.1.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property

from v2gpki.certs import der
from v2gpki.certs.der_reading import element

#: hashlib's name -> DER OBJECT IDENTIFIER.
HASHES: Mapping[str, bytes] = {
    "sha1": der.oid("1.3.14.3.2.26"),
    "sha256": der.oid("2.16.840.1.101.3.4.2.1"),
    "sha384": der.oid("2.16.840.1.101.3.4.2.2"),
    "sha512": der.oid("2.16.840.1.101.3.4.2.3"),
}
#: hashlib's name -> octets of a hash.
HASH_SIZES: Mapping[str, int] = {name: hashlib.new(name).digest_size for name in HASHES}
#: The number of octets of a hash -> hashlib's name; all four differ.
HASH_OF_SIZE: Mapping[int, str] = {size: name for name, size in HASH_SIZES.items()}


def key_octets(spki: bytes) -> bytes:
    """The key octets of a DER SubjectPublicKeyInfo: what issuerKeyHash and a responder's KeyHash are taken over."""
    _, start, end = element(spki, 0, len(spki))
    _, _, after_algorithm = element(spki, start, end)
    tag, key, stop = element(spki, after_algorithm, end)
    if tag != der.BIT_STRING or stop == key:
        raise ValueError("no SubjectPublicKeyInfo")
    return spki[key + 1 : stop]


class IssuerName:
    """An issuer as CertIDs name it: ``subject`` its DER name, ``spki`` its DER SubjectPublicKeyInfo."""

    def __init__(self, subject: bytes, spki: bytes) -> None:
        self.subject = subject
        self.key = key_octets(spki)

    @cached_property
    def keys(self) -> Mapping[str, bytes]:
        """issuerNameHash and issuerKeyHash in one run, per algorithm: the key of a responder's index."""
        return {name: self.name_hash(name) + self.key_hash(name) for name in HASHES}

    def name_hash(self, hash_name: str) -> bytes:
        """issuerNameHash."""
        return hashlib.new(hash_name, self.subject, usedforsecurity=False).digest()

    def key_hash(self, hash_name: str) -> bytes:
        """issuerKeyHash."""
        return hashlib.new(hash_name, self.key, usedforsecurity=False).digest()

    def cert_id(self, hash_name: str, serial: int) -> bytes:
        """The DER CertID of one certificate, the algorithm's parameters NULL."""
        return der.sequence(cert_id_start(hash_name, self.keys[hash_name]), der.integer(serial))


def cert_id_start(hash_name: str, key: bytes) -> bytes:
    """The content of a CertID up to the serial number; ``key`` is both hashes in one run."""
    size = HASH_SIZES[hash_name]
    return (
        der.sequence(HASHES[hash_name], der.NULL) + der.octet_string(key[:size]) + der.octet_string(key[size:])
    )
