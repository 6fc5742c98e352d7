"""PKCS#12 files: opened by ``cryptography`` and asn1crypto, the MAC recomputed by the RFC's arithmetic."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from asn1crypto import pkcs12 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID

from tests.keys.published import KEYS
from v2gpki.certs.pkcs12 import build_pkcs12, derive
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey

PASSPHRASE = "pä€😀".encode()
SIGNERS = ("p256", "p521", "ed448")
ANOTHER = ec.generate_private_key(ec.SECP256R1())


def certificate(key: PrivateKey, name: str) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 0x4711)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    digest = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, digest).public_bytes(Encoding.DER)


LEAFS = {name: certificate(KEYS[name], "leaf") for name in SIGNERS}
CHAIN = [certificate(KEYS["p521"], "sub 2"), certificate(KEYS["ed448"], "sub 1")]


def raw(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("name", SIGNERS)
def test_opened_by_another_reader(name: str, compat: bool) -> None:
    written = build_pkcs12("Größe 1", KEYS[name], LEAFS[name], CHAIN, PASSPHRASE, rounds=1000, compat=compat)
    opened = pkcs12.load_pkcs12(written, PASSPHRASE)
    assert raw(opened.key) == raw(KEYS[name])
    assert opened.cert is not None
    assert opened.cert.friendly_name == "Größe 1".encode()
    assert opened.cert.certificate.public_bytes(Encoding.DER) == LEAFS[name]
    assert [one.certificate.public_bytes(Encoding.DER) for one in opened.additional_certs] == CHAIN
    with pytest.raises(ValueError):
        pkcs12.load_pkcs12(written, b"wrong")


@pytest.mark.parametrize(("compat", "digest", "block"), [(False, "sha256", 64), (True, "sha1", 64)])
def test_mac_by_the_arithmetic_of_the_rfc(compat: bool, digest: str, block: int) -> None:
    """RFC 7292 B.2 with big-endian passphrase (B.1) and ID 3 (B.3); one output block, so no step 6.C."""
    written = build_pkcs12("x", KEYS["p256"], LEAFS["p256"], CHAIN, b"Test", rounds=1234, compat=compat)
    pfx = asn1.Pfx.load(written, strict=True)
    mac = pfx["mac_data"]
    assert mac["iterations"].native == 1234
    assert mac["mac"]["digest_algorithm"]["algorithm"].native == digest
    salt = mac["mac_salt"].native
    assert len(salt) == 16
    assert block % len(salt) == 0
    password = b"\x00T\x00e\x00s\x00t\x00\x00"
    filled = (password * 7)[:64]
    assert len(filled) == block
    value = b"\x03" * block + salt * 4 + filled
    for _ in range(1234):
        value = hashlib.new(digest, value).digest()
    expected = hmac.digest(value, pfx["auth_safe"]["content"].native, digest)
    assert mac["mac"]["digest"].native == expected


def test_as_many_rounds_for_the_mac_as_for_the_encryption() -> None:
    """The cheaper of the two is what a guesser attacks."""
    written = build_pkcs12("x", KEYS["p256"], LEAFS["p256"], CHAIN, PASSPHRASE)
    pfx = asn1.Pfx.load(written, strict=True)
    assert pfx["mac_data"]["iterations"].native == 600_000
    encrypted = pfx.authenticated_safe[0]["content"]["encrypted_content_info"]["content_encryption_algorithm"]
    assert encrypted["algorithm"].native == "pbes2"
    derivation = encrypted["parameters"]["key_derivation_func"]["parameters"]
    assert derivation["iteration_count"].native == 600_000
    assert derivation["prf"]["algorithm"].native == "sha256"
    assert encrypted["parameters"]["encryption_scheme"]["algorithm"].native == "aes256_cbc"


def test_salt_longer_and_shorter_than_a_block() -> None:
    """Filling (B.2 steps 2 and 3): copies up to the next multiple of 64 octets, the last one cut."""
    for salt in (b"s", b"s" * 64, b"0123456789" * 7):
        filled = (salt * 128)[: 64 if len(salt) <= 64 else 128]
        password = (b"\x00x\x00\x00" * 16)[:64]
        expected = hashlib.sha256(b"\x03" * 64 + filled + password).digest()
        assert derive("x", salt, purpose=3, rounds=1, size=32, hash_name="sha256") == expected


def test_the_key_must_be_the_certificates() -> None:
    with pytest.raises(V2GPKIError) as caught:
        build_pkcs12("x", ANOTHER, LEAFS["p256"], CHAIN, PASSPHRASE)
    assert caught.value.code == "pkcs12.wrong_key"
    assert "4711" in caught.value.message





def test_x448_keys() -> None:
    with pytest.raises(V2GPKIError) as caught:
        build_pkcs12("x", KEYS["x448"], LEAFS["p256"], CHAIN, PASSPHRASE)
    assert caught.value.code == "pkcs12.unsupported_key"


@pytest.mark.parametrize(("passphrase", "code"), [(b"", "passphrase.empty"), (b"\xff", "pkcs12.bad_passphrase")])
def test_passphrases(passphrase: bytes, code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        build_pkcs12("x", KEYS["p256"], LEAFS["p256"], CHAIN, passphrase)
    assert caught.value.code == code
