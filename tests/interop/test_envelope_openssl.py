"""Envelopes recomputed by OpenSSL's command line from nothing but what the steps print; and theirs opened by us.

Agreement by `pkeyutl -derive`, the key derivation twice (`dgst` over the printed input, and `kdf SSKDF`, OpenSSL's own
single-step KDF of SP 800-56C), AES-CBC by `enc -nopad`. The command line has no GCM: its ciphertext is AES-CTR from the
block IV, 00000002 on, and its tag is GHASH, computed here by arithmetic, masked by AES of the block IV, 00000001
(SP 800-38D 7.1); both block encryptions by `enc`. The public key of what came out is computed by `pkey` and compared
with the one that `x509` prints from the contract certificate.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.pnc.envelope.samples import (
    AAD,
    ALL_CURVES,
    IV,
    aad_for,
    certificate,
    content_of,
    contract,
    contract_key,
    key,
    vehicle_key,
)
from v2gpki.keys.pkcs8 import plain
from v2gpki.keys.software import SoftwareAgreement
from v2gpki.keys.suites import SUITES, PrivateKey
from v2gpki.pnc.envelope import Curve, Sealed, lab_ed448_key, seal
from v2gpki.pnc.envelope.opening import trace, unseal

pytestmark = pytest.mark.interop("openssl")

SUITE_NAMES = {"P256": "p256", "SECP521": "p521", "X448": "x448"}
KEY_SIZES = {"P256": 16, "SECP521": 32, "X448": 32}
DIGESTS = {"SHA-256": "sha256", "SHA-512": "sha512"}
#: A private key without its public half, up to its octets: ECPrivateKey (RFC 5915) and OneAsymmetricKey (RFC 8410).
PRIVATE_FORMS = {
    "P256": ("30310201010420", "a00a06082a8648ce3d030107"),
    "SECP521": ("30500201010442", "a00706052b81040023"),
    "X448": ("3046020100300506032b656f043a0438", ""),
}


def openssl(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def derived(folder: Path, own: bytes, spki: bytes) -> str:
    """The shared secret of a private key (PEM or DER) and a SubjectPublicKeyInfo."""
    (folder / "own.pem").write_bytes(own)
    (folder / "peer.der").write_bytes(spki)
    openssl(folder, "pkey", "-pubin", "-inform", "DER", "-in", "peer.der", "-pubcheck", "-out", "peer.pem")
    return openssl(folder, "pkeyutl", "-derive", "-inkey", "own.pem", "-peerkey", "peer.pem").hex()


def hashed(folder: Path, octets: bytes, digest: str) -> str:
    (folder / "octets").write_bytes(octets)
    return openssl(folder, "dgst", f"-{digest}", "-binary", "octets").hex()


def single_step(folder: Path, z: str, digest: str, size: int) -> str:
    options = [f"digest:{digest}", f"hexkey:{z}", "hexinfo:015556"]
    arguments = [word for option in options for word in ("-kdfopt", option)]
    return openssl(folder, "kdf", "-keylen", str(size), *arguments, "-binary", "SSKDF").hex()


def enciphered(folder: Path, cipher: str, key_: str, iv: str, octets: bytes, *options: str) -> bytes:
    (folder / "octets").write_bytes(octets)
    vector = ["-iv", iv] if iv else []
    return openssl(folder, "enc", f"-{cipher}", "-K", key_, *vector, "-nopad", "-in", "octets", *options)


def block_multiplied(a: int, b: int) -> int:
    """Multiplication in GF(2^128) with the bits of SP 800-38D 6.3: the first bit is the coefficient of x^0."""
    product = 0
    for position in range(127, -1, -1):
        if (a >> position) & 1:
            product ^= b
        b = (b >> 1) ^ (0xE1 << 120 if b & 1 else 0)
    return product


def ghash(subkey: bytes, aad: bytes, ciphertext: bytes) -> int:
    """SP 800-38D 6.4 over the padded data and their lengths in bits."""
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    data = aad + bytes(-len(aad) % 16) + ciphertext + bytes(-len(ciphertext) % 16) + lengths
    found = 0
    for start in range(0, len(data), 16):
        found = block_multiplied(found ^ int.from_bytes(data[start : start + 16], "big"), int.from_bytes(subkey, "big"))
    return found


def tag_of(folder: Path, key_: str, iv: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    subkey = enciphered(folder, "aes-256-ecb", key_, "", bytes(16))
    mask = enciphered(folder, "aes-256-ecb", key_, "", iv + bytes.fromhex("00000001"))
    return (ghash(subkey, aad, ciphertext) ^ int.from_bytes(mask, "big")).to_bytes(16, "big")


def private_file(curve: str, octets: bytes) -> bytes:
    start, end = PRIVATE_FORMS[curve]
    return bytes.fromhex(start) + octets + bytes.fromhex(end)


def public_key(folder: Path, curve: str, octets: bytes) -> bytes:
    """The SubjectPublicKeyInfo that OpenSSL computes from the private key's octets."""
    (folder / "key.der").write_bytes(private_file(curve, octets))
    return openssl(folder, "pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER")


def test_ghash_by_the_published_case() -> None:
    """The arithmetic of this file first: test case 2 of the GCM submission (McGrew and Viega, appendix B)."""
    subkey, ciphertext = "66e94bd4ef8a2c3b884cfa59ca342b2e", "0388dace60b6a392f328c2b971b2fe78"
    found = ghash(bytes.fromhex(subkey), b"", bytes.fromhex(ciphertext))
    assert found.to_bytes(16, "big").hex() == "f38cbb1ad69223dcc3457ae5b6b0f885"


#: (curve, contract key): a key of full width and one with leading zeros.
CASES: list[tuple[Curve, PrivateKey]] = [
    *((curve, contract_key(curve)) for curve in ALL_CURVES),
    ("P256", key("P256", 2**200 + 7)),
    ("SECP521", key("SECP521", 2**480 + 7)),
]


@pytest.mark.parametrize(("curve", "private_key"), CASES)
def test_openssl_computes_what_the_steps_print(curve: Curve, private_key: PrivateKey, tmp_path: Path) -> None:
    vehicle, der = vehicle_key(curve), certificate(private_key.public_key())
    sealed = seal(private_key, vehicle.public_key(), curve=curve, aad=aad_for(curve))
    steps = trace(sealed, SoftwareAgreement(vehicle), contract=der, aad=aad_for(curve))
    assert steps.failure is None
    shown = json.loads(json.dumps(steps.shown()))
    octets = {name: bytes.fromhex(shown[name]) for name in ("iv", "ciphertext", "tag", "aad", "private_key")}
    digest, size = DIGESTS[shown["digest"]], KEY_SIZES[curve]

    spki = SUITES[SUITE_NAMES[curve]].spki_prefix + bytes.fromhex(shown["dh_public_key"])
    assert derived(tmp_path, plain(vehicle), spki) == shown["z"]
    assert hashed(tmp_path, bytes.fromhex(shown["kdf_input"]), digest) == shown["kdf_output"]
    assert shown["kdf_output"][: 2 * size] == shown["key"]
    assert single_step(tmp_path, shown["z"], digest, size) == shown["key"]

    assert octets["iv"] + octets["ciphertext"] + octets["tag"] == sealed.encrypted_key
    if curve == "P256":
        assert shown["cipher"] == "AES-128-CBC"
        opened = enciphered(tmp_path, "aes-128-cbc", shown["key"], shown["iv"], octets["ciphertext"], "-d")
    else:
        assert shown["cipher"] == "AES-256-GCM"
        opened = enciphered(tmp_path, "aes-256-ctr", shown["key"], shown["iv"] + "00000002", octets["ciphertext"], "-d")
        assert octets["aad"] == AAD
        assert tag_of(tmp_path, shown["key"], octets["iv"], AAD, octets["ciphertext"]) == octets["tag"]
    assert opened == octets["private_key"] == content_of(private_key, curve)

    (tmp_path / "contract.der").write_bytes(der)
    openssl(tmp_path, "x509", "-inform", "DER", "-in", "contract.der", "-pubkey", "-noout", "-out", "contract.pem")
    certified = openssl(tmp_path, "pkey", "-pubin", "-in", "contract.pem", "-outform", "DER")
    assert public_key(tmp_path, curve, opened) == certified


@pytest.mark.parametrize("curve", ALL_CURVES)
def test_what_openssl_seals_opens(curve: Curve, tmp_path: Path) -> None:
    """OpenSSL makes the fresh key and everything from it; from us are the vehicle's point and the contract's number."""
    algorithm = {
        "P256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "SECP521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "X448": ["-algorithm", "X448"],
    }[curve]
    fresh = openssl(tmp_path, "genpkey", *algorithm)
    receiver = SoftwareAgreement(vehicle_key(curve))
    z = derived(tmp_path, fresh, receiver.spki)
    digest = "sha256" if curve == "P256" else "sha512"
    secret = single_step(tmp_path, z, digest, KEY_SIZES[curve])
    spki = openssl(tmp_path, "pkey", "-in", "own.pem", "-pubout", "-outform", "DER")
    point = spki[len(receiver.suite.spki_prefix) :]
    content, iv = content_of(contract_key(curve), curve), IV[curve]
    if curve == "P256":
        octets = enciphered(tmp_path, "aes-128-cbc", secret, iv.hex(), content)
    else:
        octets = enciphered(tmp_path, "aes-256-ctr", secret, iv.hex() + "00000002", content)
        octets += tag_of(tmp_path, secret, iv, AAD, octets)
    sealed = Sealed(curve, point, iv + octets)
    opened = unseal(sealed, receiver, contract=contract(curve), aad=aad_for(curve))
    assert content_of(opened, curve) == content


def test_the_laboratory_s_ed448_key_is_whole(tmp_path: Path) -> None:
    """Its 56 octets and a zero make the key that OpenSSL knows."""
    private_key = lab_ed448_key()
    sealed = seal(private_key, vehicle_key("X448").public_key(), curve="X448", lab_ed448=True)
    steps = trace(
        sealed,
        SoftwareAgreement(vehicle_key("X448")),
        contract=certificate(private_key.public_key()),
        lab_ed448=True,
    )
    assert steps.failure is None
    form = bytes.fromhex("3047020100300506032b6571043b0439") + steps.private_key + b"\0"
    (tmp_path / "key.der").write_bytes(form)
    made = openssl(tmp_path, "pkey", "-inform", "DER", "-in", "key.der", "-pubout", "-outform", "DER")
    assert made == SUITES["ed448"].spki_prefix + private_key.public_key().public_bytes_raw()
