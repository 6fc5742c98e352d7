"""One exchange of each edition recomputed by OpenSSL's command line, from nothing but the JSON that ``explain`` prints.

ECDH from the vehicle's key file and the printed point, the KDF's hash from the printed input, the wrapped key's
decryption from the printed key and IV, its GCM tag from the printed additional data, and whether what comes out is the
contract certificate's key. Digests and the CPS's signature over the printed octets too.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.cli.exchange_commands import EDITIONS, Line, make, opened_line
from tests.interop.test_signature_openssl import DIGESTS, judged

pytestmark = pytest.mark.interop("openssl")

HASHES = {"SHA-256": "-sha256", "SHA-512": "-sha512"}
KEY_SIZES = {"AES-128-CBC": 16, "AES-256-GCM": 32}
CURVES: dict[str, ec.EllipticCurve] = {"P256": ec.SECP256R1(), "SECP521": ec.SECP521R1()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("explained"))


@pytest.fixture
def line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    return opened_line(made, tmp_path, monkeypatch, capsys)


@pytest.fixture(params=list(EDITIONS))
def explained(request: pytest.FixtureRequest, line: Line) -> tuple[str, dict[str, Any]]:
    """The folder of the vehicle, and what ``explain`` prints about the answer to it."""
    name = str(request.param)
    line.contract()
    line.request(name, "req")
    line.told("installation", "answer", "--request", "req", "--out", "res")
    value = line.told("installation", "explain", "res", "--request", "req", "--oem-key", f"{name}/key.pem",
                      "--anchor", f"{name}/root.pem")  # fmt: skip
    assert value["verdict"] == "good"
    return name, value


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """What OpenSSL says; it must succeed."""
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


def test_the_envelope_is_recomputed(explained: tuple[str, dict[str, Any]]) -> None:
    name, value = explained
    envelope, steps = value["envelope"], value["envelope"]["steps"]
    # ECDH: the printed point with the vehicle's own key.
    Path("peer.der").write_bytes(bytes.fromhex(envelope["ephemeral_spki"]))
    z = openssl("pkeyutl", "-derive", "-inkey", f"{name}/key.pem", "-peerkey", "peer.der", "-peerform", "DER")
    assert z.hex() == steps["z"]
    assert envelope["ephemeral_spki"].endswith(envelope["dh_public_key"])
    assert openssl("pkey", "-in", f"{name}/key.pem", "-pubout", "-outform", "DER").hex() == envelope["receiver_spki"]
    # KDF: 00000001, Z, 01 55 56, and the hash of it.
    assert steps["kdf_input"] == "00000001" + z.hex() + "015556"
    hashed = openssl("dgst", HASHES[envelope["digest"]], "-binary", given=bytes.fromhex(steps["kdf_input"]))
    assert hashed.hex() == steps["kdf_output"]
    assert steps["key"] == hashed[: KEY_SIZES[envelope["cipher"]]].hex()
    # The cipher: IV, ciphertext and tag are all that the message carries.
    assert steps["iv"] + steps["ciphertext"] + steps["tag"] == envelope["encrypted_key"]
    scalar = decrypted(envelope["cipher"], steps)
    private_key = ec.derive_private_key(int.from_bytes(scalar, "big"), CURVES[envelope["curve"]])
    Path("contract.key").write_bytes(
        private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    )
    contract = next(one for one in value["certificates"] if one["place"] == "contract certificate")
    Path("contract.der").write_bytes(bytes.fromhex(contract["der"]))
    certified = openssl("x509", "-inform", "DER", "-in", "contract.der", "-pubkey", "-noout")
    assert openssl("pkey", "-inform", "DER", "-in", "contract.key", "-pubout") == certified


def decrypted(cipher: str, steps: dict[str, str]) -> bytes:
    """AES-CBC as it is. AES-GCM (SP 800-38D 7.2): counter mode from 2, and the tag by GHASH, which is checked here."""
    ciphertext, iv, key = (bytes.fromhex(steps[part]) for part in ("ciphertext", "iv", "key"))
    if cipher == "AES-128-CBC":
        return openssl("enc", "-d", "-aes-128-cbc", "-nopad", "-K", key.hex(), "-iv", iv.hex(), given=ciphertext)
    assert tag_of(key, iv, bytes.fromhex(steps["aad"]), ciphertext) == bytes.fromhex(steps["tag"])
    return openssl("enc", "-d", "-aes-256-ctr", "-K", key.hex(), "-iv", iv.hex() + "00000002", given=ciphertext)


def tag_of(key: bytes, iv: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """The tag: OpenSSL's AES of single blocks, GHASH written out (SP 800-38D 6.4, 7.1)."""

    def block(octets: bytes) -> int:
        return int.from_bytes(openssl("enc", "-aes-256-ecb", "-nopad", "-K", key.hex(), given=octets), "big")

    h, y = block(bytes(16)), 0
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    padded = b"".join(part + bytes(-len(part) % 16) for part in (aad, ciphertext)) + lengths
    for start in range(0, len(padded), 16):
        x, y, z = y ^ int.from_bytes(padded[start : start + 16], "big"), h, 0
        for bit in range(127, -1, -1):  # x * h in GF(2^128), the most significant bit first
            if x >> bit & 1:
                z ^= y
            y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
        y = z
    return (y ^ block(iv + b"\0\0\0\1")).to_bytes(16, "big")


def test_digests_and_signature_are_recomputed(explained: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    _, value = explained
    signature = value["signature"]
    for reference in signature["references"]:
        octets = bytes.fromhex(reference["fragment"])
        digest = openssl("dgst", *DIGESTS[reference["digest_method"]], "-binary", given=octets)
        assert digest.hex() == reference["digest_found"] == reference["digest_computed"]
    cps = value["certificates"][0]
    assert cps["fingerprint"] == signature["signed_by"]["fingerprint"]
    signed = bytes.fromhex(signature["signed_info"]["octets"][signature["signed_info"]["grammar"]])
    raw = bytes.fromhex(signature["signature_value"])
    suite = signature["key"]["suite"]
    assert judged(tmp_path, suite, signed, raw, bytes.fromhex(cps["spki"]))
    assert not judged(tmp_path, suite, signed + b"\0", raw, bytes.fromhex(cps["spki"]))
