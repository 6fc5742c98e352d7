"""PKCS#12 files: a private key, its certificate and the chain, under one passphrase.

Key and certificates: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA256; integrity: the MAC of RFC 7292 with SHA-256.
Whoever guesses the passphrase attacks the cheaper of the two, and ``cryptography`` fixes the MAC at 2,048 rounds: so
the MAC is computed anew here, with as many rounds as the encryption. ``compat`` writes triple DES and SHA-1 for
readers from before about 2020. Refused: a key that is not the certificate's, X448 keys (no reader takes them).
Sources: RFC 7292, RFC 8018.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import pkcs12

from v2gpki.certs import der
from v2gpki.certs.lint.reader import INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Reader, context
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, spki_of

#: Rounds of PBKDF2 and of the MAC's derivation: together about half a second.
ROUNDS = 600_000

_MAC_KEY = 3
_OIDS = {"sha256": "2.16.840.1.101.3.4.2.1", "sha1": "1.3.14.3.2.26"}


def build_pkcs12(
    name: str,
    private_key: PrivateKey,
    leaf_der: bytes,
    chain_ders: Sequence[bytes],
    passphrase: bytes,
    *,
    rounds: int = ROUNDS,
    compat: bool = False,
) -> bytes:
    """DER PFX: the key and its certificate under the friendly ``name``, then the chain as given.

    ``passphrase`` is UTF-8. Raises ``passphrase.empty``, ``pkcs12.unsupported_key``, ``pkcs12.wrong_key`` when the key
    is not the certificate's, ``pkcs12.bad_passphrase`` for a passphrase that is no UTF-8 text.
    """
    text = _text(passphrase)
    if not isinstance(private_key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey):
        raise V2GPKIError(
            "pkcs12.unsupported_key",
            "PKCS#12 files with X448 keys are read by nobody",
            hint="hand the key out as PKCS#8",
            clause="RFC 7292 4.2",
        )
    leaf = x509.load_der_x509_certificate(leaf_der)
    certified = leaf.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if certified != spki_of(private_key.public_key()):
        raise V2GPKIError(
            "pkcs12.wrong_key",
            f"the private key does not belong to the certificate {leaf.serial_number:x}",
            hint="give the key that the certificate was issued for",
            facts={"serial": f"{leaf.serial_number:x}"},
        )
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(
            pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC if compat else pkcs12.PBES.PBESv2SHA256AndAES256CBC
        )
        .hmac_hash(hashes.SHA1() if compat else hashes.SHA256())  # noqa: S303  # what old readers know
        .build(passphrase)
    )
    chain = [x509.load_der_x509_certificate(one) for one in chain_ders]
    written = pkcs12.serialize_key_and_certificates(name.encode("utf-8"), private_key, leaf, chain, encryption)
    return _with_strong_mac(written, text, rounds, "sha1" if compat else "sha256")


def _text(passphrase: bytes) -> str:
    if not passphrase:
        raise V2GPKIError("passphrase.empty", "an empty passphrase does not protect a private key")
    try:
        return passphrase.decode("utf-8")
    except UnicodeDecodeError:
        raise V2GPKIError(
            "pkcs12.bad_passphrase",
            "the passphrase of a PKCS#12 file must be UTF-8 text",
            hint="choose a passphrase of letters, digits and signs",
            clause="RFC 7292 B.1",
        ) from None


def _with_strong_mac(pfx: bytes, passphrase: str, rounds: int, hash_name: str) -> bytes:
    """The PFX with its MacData replaced; version and authSafe stay as they are."""
    reader = Reader(pfx)
    start, end = reader.expect(SEQUENCE, 0, len(pfx), "PFX")
    _, at = reader.expect(INTEGER, start, end, "version")
    inner, mac_at = reader.expect(SEQUENCE, at, end, "authSafe")
    _, at = reader.expect(OBJECT_IDENTIFIER, inner, mac_at, "contentType")
    at, stop = reader.expect(context(0, constructed=True), at, mac_at, "content")
    at, stop = reader.expect(OCTET_STRING, at, stop, "content")
    salt = os.urandom(16)
    size = hashlib.new(hash_name).digest_size
    key = derive(passphrase, salt, purpose=_MAC_KEY, rounds=rounds, size=size, hash_name=hash_name)
    # RFC 7292 4: the MAC covers the content octets of the OCTET STRING, not its tag and length.
    digest = hmac.digest(key, pfx[at:stop], hash_name)
    algorithm = der.sequence(der.oid(_OIDS[hash_name]), der.NULL)
    mac = der.sequence(
        der.sequence(algorithm, der.octet_string(digest)), der.octet_string(salt), der.integer(rounds)
    )
    return der.sequence(pfx[start:mac_at], mac)


def derive(passphrase: str, salt: bytes, *, purpose: int, rounds: int, size: int, hash_name: str) -> bytes:
    """The key derivation of PKCS#12 (RFC 7292 B.2) for up to one hash output of ``size`` octets.

    ``purpose`` is the ID octet (B.3): 3 for a MAC key. The passphrase becomes UTF-16 big-endian
    with two zero octets behind it (B.1).
    """
    block = hashlib.new(hash_name).block_size
    octets = passphrase.encode("utf-16-be") + b"\x00\x00"
    state = bytes((purpose,)) * block + _filled(salt, block) + _filled(octets, block)
    step = hashlib.sha1 if hash_name == "sha1" else hashlib.sha256
    for _ in range(rounds):
        state = step(state).digest()
    return state[:size]


def _filled(octets: bytes, block: int) -> bytes:
    """Copies of ``octets`` up to the next multiple of the hash's block, the last one cut."""
    size = -(-len(octets) // block) * block
    return (octets * (size // len(octets) + 1))[:size]
