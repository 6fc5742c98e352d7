"""Keys and requests between us and OpenSSL: it opens what we write, we open what it writes."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.keys.published import KEYS, VALUES, octets, point
from v2gpki.certs.csr import build_csr, load_csr, load_public_key_file
from v2gpki.certs.pkcs12 import build_pkcs12
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import SUITES, PrivateKey
from v2gpki.keys.vault import Vault

pytestmark = pytest.mark.interop("openssl")

PASSPHRASE = "pä€😀"
CURVES = {"p256": "P-256", "p521": "P-521"}
P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
SIGNERS = ("p256", "p521", "ed448")


def openssl(*arguments: str | Path, data: bytes = b"", fails: bool = False) -> bytes:
    """What the program prints; its verdict must be as expected."""
    command = ["openssl", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    assert (done.returncode != 0) == fails, done.stderr.decode(errors="replace")
    return done.stderr if fails else done.stdout


def raw(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def generate(suite: str) -> bytes:
    """A fresh plain key by OpenSSL."""
    if suite in CURVES:
        return openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[suite]}")
    return openssl("genpkey", "-algorithm", suite.upper())


def leaf_of(key: PrivateKey) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 0x4711)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    digest = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, digest).public_bytes(Encoding.DER)


# -- private keys ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, 600_000])
@pytest.mark.parametrize("suite", SUITES)
def test_openssl_opens_our_encrypted_key(suite: str, rounds: int) -> None:
    written = pkcs8.encrypt(KEYS[suite], PASSPHRASE.encode(), rounds)
    plain = openssl("pkey", "-passin", f"pass:{PASSPHRASE}", "-outform", "DER", data=written)
    public = openssl("pkey", "-passin", f"pass:{PASSPHRASE}", "-pubout", "-outform", "DER", data=written)
    assert public == SUITES[suite].spki_prefix + point(suite)
    assert octets(suite, "private") in plain
    openssl("pkey", "-passin", "pass:wrong", "-noout", data=written, fails=True)


def test_openssl_reads_the_parameters_that_we_meant() -> None:
    written = pkcs8.encrypt(KEYS["p256"], b"x", 600_000)
    lines = openssl("asn1parse", data=written).decode().splitlines()
    values = [line.partition("prim:")[2].strip() for line in lines if "prim:" in line]
    assert [value.partition(":")[2] for value in values if value.startswith("OBJECT")] == [
        "PBES2",
        "PBKDF2",
        "hmacWithSHA256",
        "aes-256-cbc",
    ]
    assert [int(value.partition(":")[2], 16) for value in values if value.startswith("INTEGER")] == [600_000]


@pytest.mark.parametrize("vector", VALUES["pbkdf2_hmac_sha256"], ids=lambda vector: str(vector["rounds"]))
def test_openssl_derives_the_published_keys(vector: dict[str, str]) -> None:
    options = ("digest:SHA256", f"pass:{vector['password']}", f"salt:{vector['salt']}", f"iter:{vector['rounds']}")
    arguments = [part for option in options for part in ("-kdfopt", option)]
    derived = openssl("kdf", "-keylen", "64", *arguments, "-binary", "PBKDF2")
    assert derived == bytes.fromhex("".join(vector["key"].split()))


@pytest.mark.parametrize("suite", SUITES)
def test_openssl_opens_a_key_file_of_a_home(suite: str, tmp_path: Path) -> None:
    """In an emergency a home's keys open without v2gpki: the password is the secret's lower-case hex."""
    vault = Vault.create(tmp_path / "keys", "a passphrase")
    vault.add("key@1", KEYS[suite])
    password = tmp_path / "password"
    password.write_text(vault._secret.octets.hex())
    path = vault.folder / "key@1.pem"
    public = openssl("pkey", "-in", path, "-passin", f"file:{password}", "-pubout", "-outform", "DER")
    assert public == SUITES[suite].spki_prefix + point(suite)
    exported = vault.export("key@1", PASSPHRASE.encode())
    again = openssl("pkey", "-passin", f"pass:{PASSPHRASE}", "-pubout", "-outform", "DER", data=exported)
    assert again == public
    openssl("pkey", "-in", path, "-passin", f"pass:{PASSPHRASE}", "-noout", fails=True)


@pytest.mark.parametrize("suite", SUITES)
def test_we_open_what_openssl_writes(suite: str) -> None:
    plain = generate(suite)
    expected = openssl("pkey", "-pubout", "-outform", "DER", data=plain)
    forms = [
        (plain, None),
        (openssl("pkey", "-outform", "DER", data=plain), None),
        (openssl("pkcs8", "-topk8", "-passout", "pass:x", "-iter", "3000", data=plain), b"x"),
        (openssl("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-passout", "pass:x", data=plain), b"x"),
        (openssl("pkcs8", "-topk8", "-v2prf", "hmacWithSHA512", "-passout", "pass:x", data=plain), b"x"),
        (openssl("pkcs8", "-topk8", "-scrypt", "-passout", "pass:x", "-outform", "DER", data=plain), b"x"),
    ]
    if suite in CURVES:
        forms += [
            (openssl("ec", data=plain), None),
            (openssl("ec", "-outform", "DER", data=plain), None),
            (openssl("ec", "-aes128", "-passout", "pass:x", data=plain), b"x"),
            (openssl("ec", "-aes256", "-passout", "pass:x", data=plain), b"x"),
            (openssl("ec", "-des3", "-passout", "pass:x", data=plain), b"x"),
        ]
    for data, secret in forms:
        key = pkcs8.load(data, secret)
        written = pkcs8.plain(key)
        assert openssl("pkey", "-pubout", "-outform", "DER", data=written) == expected
        if secret is not None:
            for wrong, code in ((b"y", "key.wrong_passphrase"), (None, "key.needs_passphrase")):
                with pytest.raises(V2GPKIError) as caught:
                    pkcs8.load(data, wrong)
                assert caught.value.code == code


def test_foreign_keys_of_openssl() -> None:
    for arguments in (("RSA",), ("ED25519",), ("EC", "-pkeyopt", "ec_paramgen_curve:secp384r1")):
        with pytest.raises(V2GPKIError) as caught:
            pkcs8.load(openssl("genpkey", "-algorithm", *arguments))
        assert caught.value.code == "key.unsupported"


def test_ecparam_with_parameters_in_front() -> None:
    written = openssl("ecparam", "-genkey", "-name", "prime256v1")
    assert b"BEGIN EC PARAMETERS" in written
    assert isinstance(pkcs8.load(written), ec.EllipticCurvePrivateKey)


# -- requests and public keys ------------------------------------------------------------------------


@pytest.mark.parametrize("suite", SIGNERS)
def test_we_read_requests_of_openssl(suite: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate(suite))
    expected = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    subject = "/C=DE/O=Acme/CN=DE8AA1A2B3C4D59/DC=MO"
    for form in ("PEM", "DER"):
        made = openssl("req", "-new", "-key", key, "-subj", subject, "-outform", form)
        loaded = load_csr(made)
        assert (loaded.spki, loaded.subject_identifiers) == (expected, ("DE8AA1A2B3C4D59",))
        assert loaded.suite is SUITES[suite]


def test_compressed_request_of_openssl(tmp_path: Path) -> None:
    key, compressed = tmp_path / "key.pem", tmp_path / "compressed.pem"
    key.write_bytes(generate("p256"))
    openssl("ec", "-in", key, "-conv_form", "compressed", "-out", compressed)
    made = openssl("req", "-new", "-key", compressed, "-subj", "/CN=x", "-outform", "DER")
    uncompressed = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    assert uncompressed not in made
    assert load_csr(made).spki == uncompressed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-newkey", "rsa:2048"), "csr.unsupported_key"),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"), "csr.unsupported_key"),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp112r1"), "csr.unsupported_key"),
        ((*P256, "-sha1"), "csr.weak_signature"),
        ((*P256, "-pkeyopt", "ec_param_enc:explicit"), "csr.malformed"),
        (("-newkey", "ed25519"), "csr.unsupported_key"),
    ],
)
def test_requests_of_openssl_that_are_refused(arguments: tuple[str, ...], code: str, tmp_path: Path) -> None:
    made = openssl("req", "-new", *arguments, "-nodes", "-keyout", tmp_path / "key.pem", "-subj", "/CN=x")
    with pytest.raises(V2GPKIError) as caught:
        load_csr(made)
    assert caught.value.code == code


@pytest.mark.parametrize("suite", SIGNERS)
def test_openssl_verifies_our_requests(suite: str, tmp_path: Path) -> None:
    path = tmp_path / "request.pem"
    path.write_bytes(build_csr(KEYS[suite], "SECC-1", organization="Acme", country="DE", domain_component="CPO"))
    openssl("req", "-in", path, "-verify", "-noout")
    subject = openssl("req", "-in", path, "-subject", "-noout", "-nameopt", "RFC2253").strip()
    assert subject == b"subject=DC=CPO,CN=SECC-1,O=Acme,C=DE"
    text = openssl("req", "-in", path, "-text", "-noout")
    assert b"X509v3 Key Usage: critical" in text
    assert text.split(b"X509v3 Key Usage: critical")[1].split(b"\n")[1].strip() == b"Digital Signature"


@pytest.mark.parametrize("suite", SUITES)
def test_we_read_public_keys_of_openssl(suite: str) -> None:
    plain = generate(suite)
    expected = openssl("pkey", "-pubout", "-outform", "DER", data=plain)
    assert load_public_key_file(expected) == expected
    assert load_public_key_file(openssl("pkey", "-pubout", data=plain)) == expected
    if suite in CURVES:
        compressed = openssl("ec", "-pubout", "-conv_form", "compressed", data=plain)
        assert load_public_key_file(compressed) == expected


# -- PKCS#12 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("suite", SIGNERS)
def test_openssl_opens_our_pkcs12(suite: str, compat: bool, tmp_path: Path) -> None:
    leaf, chain = leaf_of(KEYS[suite]), [leaf_of(KEYS["p521"]), leaf_of(KEYS["ed448"])]
    path = tmp_path / "all.p12"
    path.write_bytes(build_pkcs12("Size 1", KEYS[suite], leaf, chain, PASSPHRASE.encode(), compat=compat))
    legacy = ("-legacy",) if compat else ()
    opened = openssl("pkcs12", *legacy, "-in", path, "-passin", f"pass:{PASSPHRASE}", "-nodes")
    assert b"friendlyName: Size 1" in opened
    assert raw(pkcs8.load(opened)) == raw(KEYS[suite])
    found = [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(opened)]
    assert sorted(found) == sorted([leaf, *chain])
    openssl("pkcs12", *legacy, "-in", path, "-passin", "pass:wrong", "-nodes", fails=True)
