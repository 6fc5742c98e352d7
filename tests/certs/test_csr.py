"""Certificate requests: what OpenSSL, ``cryptography`` and hand-made DER ask for, and what is refused.

Requests are made by ``cryptography`` here (by OpenSSL in tests/interop); those that no library writes are built from
DER parts and signed for real, so that only the defect under test can be the reason of a refusal.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.keys.published import KEYS, point
from v2gpki.certs import der
from v2gpki.certs.csr import build_csr, load_csr, load_public_key_file
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of

EC_P256 = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
SIGNED_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
SIGNERS = ("p256", "p521", "ed448")


def refusal(data: bytes, code: str) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        load_csr(data)
    assert caught.value.code == code, caught.value
    assert caught.value.outcome.exit_code == 1
    assert caught.value.hint
    return caught.value


def common_name(value: bytes, tag: int = der.UTF8_STRING) -> bytes:
    return der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.tlv(tag, value))))


def request(
    key: PrivateKey = KEYS["p256"],
    *,
    version: bytes = b"\x02\x01\x00",
    subject: bytes = common_name(b"DE8AA1A2B3C4D59"),
    spki: bytes = b"",
    algorithm: bytes = SIGNED_SHA256,
    sign: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """CertificationRequest (RFC 2986 4.2) from parts, signed over exactly these parts."""
    info = der.sequence(version, subject, spki or spki_of(key.public_key()), b"\xa0\x00")
    if sign is None:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        deterministic = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        sign = lambda data: key.sign(data, deterministic)  # noqa: E731  # the default of an argument
    return der.sequence(info, algorithm, der.bit_string(sign(info)))


@pytest.mark.parametrize("name", SIGNERS)
def test_request_of_each_suite_that_signs(name: str) -> None:
    built = build_csr(KEYS[name], "SECC-1", organization="Acme", country="DE", domain_component="CPO")
    loaded = load_csr(built)
    assert loaded.suite is SUITES[name]
    assert loaded.spki == SUITES[name].spki_prefix + point(name)
    assert loaded.subject_identifiers == ("SECC-1",)
    assert loaded.der == base64.b64decode(b"".join(built.splitlines()[1:-1]))
    theirs = x509.load_pem_x509_csr(built)
    assert theirs.is_signature_valid
    assert theirs.subject.rfc4514_string() == "DC=CPO,CN=SECC-1,O=Acme,C=DE"
    usage = theirs.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_agreement


def test_every_container() -> None:
    built = build_csr(KEYS["p256"], "SECC-1")
    body = b"".join(built.splitlines()[1:-1])
    raw = base64.b64decode(body)
    new = built.replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")
    wrapped = b"\r\n".join(body[start : start + 76] for start in range(0, len(body), 76))
    for data in (
        built,
        built.replace(b"\n", b"\r\n"),
        b"Subject: CN=x\n" + built + b"\n\n",
        new,
        raw,
        body,
        wrapped,
        body + b"\n",
    ):
        assert load_csr(data).der == raw


def test_only_key_and_names_are_taken_over() -> None:
    """A request that asks to be a CA with all sorts of names gives a key and its common names."""
    key = KEYS["p256"]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    asking = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "first"),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Another"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "second\n\u20ac"),
                ]
            )
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    loaded = load_csr(asking)
    assert loaded.subject_identifiers == ("first", "second\n\u20ac")
    assert set(loaded.__slots__) == {"spki", "suite", "subject_identifiers", "der"}


def test_empty_subject() -> None:
    assert load_csr(request(subject=der.sequence())).subject_identifiers == ()


def test_hand_made_request_is_good() -> None:
    """The parts of the tests below, without a defect."""
    loaded = load_csr(request())
    assert loaded.subject_identifiers == ("DE8AA1A2B3C4D59",)
    assert loaded.spki.endswith(point("p256"))


def test_changed_signature_and_changed_content() -> None:
    good = request()
    refusal(good[:-1] + bytes((good[-1] ^ 1,)), "csr.bad_signature")
    refusal(good.replace(b"DE8AA1A2B3C4D59", b"DE8AA1A2B3C4D58"), "csr.bad_signature")


def test_signed_by_another_key() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    refusal(request(sign=lambda data: other.sign(data, ec.ECDSA(hashes.SHA256()))), "csr.bad_signature")


def test_signature_of_zeros() -> None:
    refusal(request(sign=lambda _: der.sequence(der.integer(0), der.integer(0))), "csr.bad_signature")
    refusal(request(sign=lambda _: b""), "csr.bad_signature")


def test_algorithm_of_another_kind_of_key() -> None:
    refusal(request(algorithm=SUITES["ed448"].signature_algorithm), "csr.bad_signature")
    refusal(request(algorithm=bytes.fromhex("300d06092a864886f70d01010b0500")), "csr.bad_signature")


@pytest.mark.parametrize("last", [1, 2])
def test_sha1_and_sha224(last: int) -> None:
    """ecdsa-with-SHA1 1.2.840.10045.4.1, ecdsa-with-SHA224 1.2.840.10045.4.3.1."""
    key = KEYS["p256"]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    oid, digest = {
        1: ("1.2.840.10045.4.1", hashes.SHA1()),
        2: ("1.2.840.10045.4.3.1", hashes.SHA224()),
    }[last]
    weak = request(algorithm=der.sequence(der.oid(oid)), sign=lambda data: key.sign(data, ec.ECDSA(digest)))
    assert digest.name in refusal(weak, "csr.weak_signature").message


def test_foreign_keys() -> None:
    for key, named in (
        (rsa.generate_private_key(65537, 2048), "an RSA key"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (ed25519.Ed25519PrivateKey.generate(), "an Ed25519 key"),
    ):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SECC-1")])
        digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        asking = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, digest)
        error = refusal(asking.public_bytes(Encoding.PEM), "csr.unsupported_key")
        assert named in error.message
        assert "--pubkey" in error.hint


def test_a_curve_that_the_library_does_not_know() -> None:
    unknown = der.sequence(
        der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.3.132.0.6")), der.bit_string(b"\x04" + bytes(28))
    )
    refusal(request(spki=unknown), "csr.unsupported_key")


def test_x448_cannot_sign_its_own_request() -> None:
    x448 = SUITES["x448"].spki_prefix + point("x448")
    error = refusal(request(spki=x448), "csr.unsupported_key")
    assert "--pubkey" in error.hint
    with pytest.raises(V2GPKIError) as caught:
        build_csr(KEYS["x448"], "OEM")
    assert caught.value.code == "csr.unsupported_key"


def test_points_that_are_none() -> None:
    x, y = point("p256")[1:33], point("p256")[33:]
    for bad in (b"\x04" + x + bytes(32), b"\x04" + y + x, b"\x00", bytes((6 + (y[-1] & 1),)) + x + y):
        refusal(request(spki=der.sequence(EC_P256, der.bit_string(bad))), "csr.malformed")


def test_compressed_point_becomes_uncompressed() -> None:
    """The same key; RFC 5480 2.2 lets requesters compress, the V2G messages carry uncompressed points."""
    x, last = point("p256")[1:33], point("p256")[-1]
    spki = der.sequence(EC_P256, der.bit_string(bytes((2 + (last & 1),)) + x))
    loaded = load_csr(request(spki=spki))
    assert loaded.spki == SUITES["p256"].spki_prefix + point("p256")


@pytest.mark.parametrize("behind", [b"\x00", b"\n", request()])
def test_octets_behind_the_request(behind: bytes) -> None:
    refusal(request() + behind, "csr.malformed")


def test_broken_der() -> None:
    good = request()
    for bad in (
        b"",
        b"\x30",
        b"\x30\x80" + good[4:] + b"\x00\x00",
        good[:-1],
        b"\x30\x03\x02\x01\x00",
        b"no base64!",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n",
        b"-----BEGIN CERTIFICATE REQUEST-----\n?\n-----END CERTIFICATE REQUEST-----\n",
        request(version=b"\x02\x01\x01"),
        request(subject=common_name(b"\xff\xfe")),
        request(subject=common_name(b"abc", 0x1E)),
        request(subject=common_name(b"abc", 0x02)),
    ):
        refusal(bad, "csr.malformed")


def test_every_cut_and_every_changed_octet() -> None:
    good = request()
    for position in range(len(good)):
        for bad in (good[:position], good[:position] + bytes((good[position] ^ 0x04,)) + good[position + 1 :]):
            with pytest.raises(V2GPKIError) as caught:
                load_csr(bad)
            assert caught.value.code.startswith("csr.")


def test_a_signature_of_whole_octets() -> None:
    """Unused bits are no part of a signature, even where the last bits are zero and a library lets them pass."""
    good = next(made for text in range(256) if (made := request(subject=common_name(b"%d" % text)))[-1] & 0x0F == 0)
    load_csr(good)
    length = len(x509.load_der_x509_csr(good).signature)
    refusal(good[: -length - 1] + b"\x04" + good[-length:], "csr.malformed")


def test_too_large() -> None:
    refusal(bytes(65537), "csr.too_large")
    refusal(b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * 70_000, "csr.too_large")


def test_other_pem_blocks() -> None:
    built = build_csr(KEYS["p256"], "SECC-1")
    key = KEYS["p256"].private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert load_csr(key + built).subject_identifiers == ("SECC-1",)
    assert "PRIVATE KEY" in refusal(key, "csr.malformed").message
    refusal(built + built, "csr.malformed")


@pytest.mark.parametrize("country", ["DEU", "D"])
def test_values_that_no_name_may_carry(country: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        build_csr(KEYS["p256"], "SECC-1", country=country)
    assert caught.value.code == "csr.bad_subject"


# -- public key files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SUITES)
def test_public_key_file(name: str) -> None:
    public = KEYS[name].public_key()
    expected = SUITES[name].spki_prefix + point(name)
    written = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for data in (written, written.replace(b"\n", b"\r\n"), expected, base64.b64encode(expected) + b"\n"):
        assert load_public_key_file(data) == expected


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("PRIVATE KEY", "private key"),
        ("EC PRIVATE KEY", "private key"),
        ("ENCRYPTED PRIVATE KEY", "private key"),
        ("CERTIFICATE", "certificate"),
        ("CERTIFICATE REQUEST", "certificate request"),
    ],
)
def test_other_files_are_named(label: str, named: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        load_public_key_file(f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n".encode())
    assert caught.value.code == "key.malformed"
    assert f"a {named}" in caught.value.message
    assert "AAAA" not in str(caught.value)


def test_public_keys_that_are_refused() -> None:
    foreign = rsa.generate_private_key(65537, 2048).public_key()
    for data, code in (
        (foreign.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "key.unsupported"),
        (foreign.public_bytes(Encoding.PEM, PublicFormat.PKCS1), "key.malformed"),
        (SUITES["p256"].spki_prefix + point("p256") + b"\x00", "key.malformed"),
        (SUITES["p256"].spki_prefix + point("p256")[:-1] + b"\x00", "key.malformed"),
        (SUITES["x448"].spki_prefix + bytes(56), "key.malformed"),
        (b"", "key.malformed"),
        (bytes(70_000), "key.malformed"),
    ):
        with pytest.raises(V2GPKIError) as caught:
            load_public_key_file(data)
        assert caught.value.code == code
        assert "public key" in caught.value.message or code == "key.unsupported"
        assert "request" not in f"{caught.value.message} {caught.value.hint}"
