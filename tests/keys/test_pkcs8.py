"""Private key files: ours read by ``cryptography`` and asn1crypto, others' read by us."""

from __future__ import annotations

import hashlib
import re

import pytest
from asn1crypto import keys, pem
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.keys.published import KEYS, VALUES, octets
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import PrivateKey

# Written by OpenSSL 3.0.19 as EcoG's create_certs.sh has it:
# openssl ecparam -genkey -name prime256v1 | openssl ec -aes128 -passout pass:12345
TRADITIONAL = b"""-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,34177DD5A74D92768CB1B1B491E91E89

X5CwhICq+wL5/A1BZlSrsFI0ZneBeakNXdZdOuomOKvOIEQrXF9lN+Hf63fkU3T2
MGsiICH9desVrTBnySk59H51A+d3lgj6E+Xm97uR0SbZRgZpvDo44FrawoK3Rl5W
vzHt64fjSrevTV4k0GG0hAGdMcB538XazwIwzorokWI=
-----END EC PRIVATE KEY-----
"""
# openssl ecparam -genkey -name prime256v1 (with its parameters in front)
WITH_PARAMETERS = b"""-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIAp/ibk+TkufROzF1FqsG2sbhH9rnFPe4zug9rIP1oPFoAoGCCqGSM49
AwEHoUQDQgAE9I0pq3h0XV0jO8lTXv+ef0CaaINtc+3YcsmKhiRhPbKI+Pk1oGhj
Ahy0aZ1sZblfxVhSAkWCU/rUnFFTdJl3VA==
-----END EC PRIVATE KEY-----
"""


def raw(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def refusal(data: bytes, secret: bytes | None = None) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        pkcs8.load(data, secret)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("vector", VALUES["pbkdf2_hmac_sha256"], ids=lambda vector: str(vector["rounds"]))
def test_the_derivation_that_the_next_test_uses_is_the_published_one(vector: dict[str, str]) -> None:
    key = hashlib.pbkdf2_hmac("sha256", vector["password"].encode(), vector["salt"].encode(), int(vector["rounds"]), 64)
    assert key == bytes.fromhex("".join(vector["key"].split()))


@pytest.mark.parametrize("rounds", [1, 127, 128, 32768])
@pytest.mark.parametrize("name", KEYS)
def test_encrypted_form_taken_apart_by_another_parser(name: str, rounds: int) -> None:
    """RFC 8018 6.2: PBKDF2 (A.2) with HMAC-SHA256 (B.1.2), AES-256-CBC (B.2.5), padding 6.1.1 step 4."""
    counter = iter(range(1, 100))
    written = pkcs8.encrypt(KEYS[name], b"a passphrase", rounds, random=lambda size: bytes([next(counter)]) * size)
    label, _, der = pem.unarmor(written)
    assert label == "ENCRYPTED PRIVATE KEY"
    info = keys.EncryptedPrivateKeyInfo.load(der, strict=True)
    scheme = info["encryption_algorithm"]
    assert scheme["algorithm"].dotted == "1.2.840.113549.1.5.13"
    derivation = scheme["parameters"]["key_derivation_func"]
    assert derivation["algorithm"].dotted == "1.2.840.113549.1.5.12"
    assert derivation["parameters"]["iteration_count"].native == rounds
    assert derivation["parameters"]["prf"]["algorithm"].dotted == "1.2.840.113549.2.9"
    cipher = scheme["parameters"]["encryption_scheme"]
    assert cipher["algorithm"].dotted == "2.16.840.1.101.3.4.1.42"
    salt, vector = derivation["parameters"]["salt"].native, cipher["parameters"].native
    assert (salt, vector) == (b"\x01" * 16, b"\x02" * 16)
    key = hashlib.pbkdf2_hmac("sha256", b"a passphrase", salt, rounds, 32)
    decryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).decryptor()
    padded = decryptor.update(info["encrypted_data"].native) + decryptor.finalize()
    assert 1 <= padded[-1] <= 16
    assert padded.endswith(bytes((padded[-1],)) * padded[-1])
    assert padded[: -padded[-1]] == raw(KEYS[name])
    # DER, to the octet: the same octets come out of the other program's encoder
    assert info.copy().dump(force=True) == der


@pytest.mark.parametrize("name", KEYS)
def test_read_back_by_cryptography_and_by_us(name: str) -> None:
    written = pkcs8.encrypt(KEYS[name], "pä€😀".encode(), 3)
    theirs = serialization.load_pem_private_key(written, "pä€😀".encode())
    assert isinstance(theirs, type(KEYS[name]))
    assert raw(theirs) == raw(KEYS[name])
    assert raw(pkcs8.load(written, "pä€😀".encode())) == raw(KEYS[name])


def test_salt_and_vector_are_fresh_each_time() -> None:
    first, second = (pkcs8.encrypt(KEYS["p256"], b"x", 1) for _ in range(2))
    bodies = [pem.unarmor(one)[2] for one in (first, second)]
    parameters = [keys.EncryptedPrivateKeyInfo.load(body)["encryption_algorithm"]["parameters"] for body in bodies]
    assert parameters[0]["key_derivation_func"].dump() != parameters[1]["key_derivation_func"].dump()
    assert parameters[0]["encryption_scheme"].dump() != parameters[1]["encryption_scheme"].dump()


@pytest.mark.parametrize("name", KEYS)
def test_plain_form(name: str) -> None:
    written = pkcs8.plain(KEYS[name])
    assert written.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert raw(pkcs8.load(written)) == raw(KEYS[name])
    assert raw(pkcs8.load(written, b"not needed")) == raw(KEYS[name])


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("name", KEYS)
def test_what_cryptography_writes(name: str, encoding: Encoding) -> None:
    key = KEYS[name]
    forms = [PrivateFormat.PKCS8] + ([PrivateFormat.TraditionalOpenSSL] if name in {"p256", "p521"} else [])
    for form in forms:
        assert raw(pkcs8.load(key.private_bytes(encoding, form, NoEncryption()))) == raw(key)
    if name != "x448":
        encrypted = key.private_bytes(encoding, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        assert raw(pkcs8.load(encrypted, b"secret")) == raw(key)
        assert refusal(encrypted).code == "key.needs_passphrase"
        assert refusal(encrypted, b"").code == "key.needs_passphrase"
        assert refusal(encrypted, b"Secret").code == "key.wrong_passphrase"


def test_traditional_encrypted_form_of_older_scripts() -> None:
    key = pkcs8.load(TRADITIONAL, b"12345")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    # openssl ec -noout -text says
    expected = "b5376ace77d47d7a3443edcf48cc9af441449f0710c8361ffbc2b87499de2106"
    assert key.private_numbers().private_value == int(expected, 16)
    assert refusal(TRADITIONAL).code == "key.needs_passphrase"
    assert refusal(TRADITIONAL, b"1234").code == "key.wrong_passphrase"
    assert b"DEK-Info: AES-128-CBC" in TRADITIONAL


def test_parameters_and_text_around_the_block() -> None:
    key = pkcs8.load(b"some text\r\n" + WITH_PARAMETERS + b"more\n")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(pkcs8.load(WITH_PARAMETERS.replace(b"\n", b"\r\n")), ec.EllipticCurvePrivateKey)


def test_wrong_passphrase_is_never_another_key() -> None:
    """One wrong passphrase in 256 leaves a padding that looks right; the content must still be refused."""
    written = pkcs8.encrypt(KEYS["p256"], b"right", 1)
    codes = {refusal(written, f"wrong {number}".encode()).code for number in range(600)}
    assert codes == {"key.wrong_passphrase"}


def test_empty_passphrase() -> None:
    with pytest.raises(V2GPKIError) as caught:
        pkcs8.encrypt(KEYS["p256"], b"", 1)
    assert caught.value.code == "passphrase.empty"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a key",
        b"\x30\x80\x00\x00",
        b"\x30\x03\x04\x01\x00",
        b"-----BEGIN PRIVATE KEY-----\nMIG\n",
        b"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        pkcs8.plain(KEYS["p256"]) * 2,
        raw(KEYS["p256"])[:-1],
        raw(KEYS["p256"]) + b"\x00",
        bytes(70_000),
    ],
)
def test_malformed(data: bytes) -> None:
    assert refusal(data, b"secret").code == "key.malformed"


def test_truncated_encrypted_key_is_damage_and_no_wrong_passphrase() -> None:
    der = pem.unarmor(pkcs8.encrypt(KEYS["p256"], b"secret", 1))[2]
    assert refusal(der[:-1], b"secret").code == "key.malformed"
    assert refusal(der + b"\x00", b"secret").code == "key.malformed"


def with_rounds(rounds: int) -> bytes:
    """A key file that asks for that many rounds, assembled by asn1crypto; its content was encrypted with one."""
    info = keys.EncryptedPrivateKeyInfo.load(pem.unarmor(pkcs8.encrypt(KEYS["p256"], b"secret", 1))[2])
    derivation = info["encryption_algorithm"]["parameters"]["key_derivation_func"]
    derivation["parameters"]["iteration_count"] = rounds
    dumped: bytes = info.dump(force=True)
    return dumped


@pytest.mark.parametrize("rounds", [10_000_001, 2**31 - 1, 2**62, 2**4000])
def test_more_rounds_than_anybody_needs_are_not_begun(rounds: int) -> None:
    der = with_rounds(rounds)
    for data in (der, pem.armor("ENCRYPTED PRIVATE KEY", der)):
        error = refusal(data, b"secret")
        assert error.code == "key.too_many_rounds"
        assert "10000000" in error.message
        assert len(error.message) < 200


@pytest.mark.parametrize("rounds", [10, 100_000, 0, -5])
def test_fewer_rounds_are_tried(rounds: int) -> None:
    """With another number than it was written with, another key is derived, or none."""
    assert refusal(with_rounds(rounds), b"secret").code == "key.wrong_passphrase"


def test_sequences_in_sequences_do_not_exhaust_the_reader() -> None:
    der = b""
    while len(der) < 60_000:
        der = b"\x30\x82" + len(der).to_bytes(2, "big") + der
    assert refusal(der, b"secret").code == "key.wrong_passphrase"


def scrypt_file(n: int, r: int, p: int) -> bytes:
    """A key file with scrypt (RFC 7914 7.1), its form written out; one block of zeros is its content."""

    def tlv(tag: int, content: bytes) -> bytes:
        return bytes((tag, len(content))) + content

    def integer(number: int) -> bytes:
        return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))

    parameters = tlv(0x30, tlv(4, b"saltsalt") + integer(n) + integer(r) + integer(p))
    derivation = tlv(0x30, bytes.fromhex("06092b06010401da47040b") + parameters)
    cipher = tlv(0x30, bytes.fromhex("060960864801650304012a") + tlv(4, bytes(16)))
    scheme = tlv(0x30, bytes.fromhex("06092a864886f70d01050d") + tlv(0x30, derivation + cipher))
    return tlv(0x30, scheme + tlv(4, bytes(16)))


def test_scrypt_counts_by_the_product_of_its_parameters() -> None:
    assert refusal(scrypt_file(16, 1, 1), b"secret").code == "key.wrong_passphrase"
    for costs in ((2**24, 8, 1), (2**20, 8, 2), (16, 2**12, 2**12)):
        assert refusal(scrypt_file(*costs), b"secret").code == "key.too_many_rounds"


def test_foreign_keys() -> None:
    for key, name in (
        (rsa.generate_private_key(65537, 2048), "an RSA key"),
        (ed25519.Ed25519PrivateKey.generate(), "an Ed25519 key"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
    ):
        for encryption, secret in ((NoEncryption(), None), (BestAvailableEncryption(b"x"), b"x")):
            error = refusal(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), secret)
            assert error.code == "key.unsupported"
            assert name in error.message
    traditional = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    assert refusal(traditional).code == "key.unsupported"


def test_private_key_that_does_not_fit_its_public_half() -> None:
    one, other = raw(KEYS["p256"]), raw(ec.generate_private_key(ec.SECP256R1()))
    mixed = one[:-64] + other[-64:]
    assert refusal(mixed).code == "key.malformed"


def test_no_message_shows_key_or_passphrase() -> None:
    secret = octets("p256", "private").hex()
    for data in (pkcs8.encrypt(KEYS["p256"], b"right-canary", 1), raw(KEYS["p256"])[:-1]):
        error = refusal(data, b"wrong-canary")
        shown = f"{error!r} {error} {error.hint} {dict(error.facts)}"
        assert not re.search(rf"canary|{secret}", shown)


@given(st.binary(max_size=200), st.sampled_from([None, b"secret"]))
def test_no_octets_break_the_reader(data: bytes, secret: bytes | None) -> None:
    for candidate in (data, raw(KEYS["p521"])[: len(data)] + data, b"-----BEGIN EC PRIVATE KEY-----\n" + data):
        assert refusal(candidate, secret).code.startswith("key.")
