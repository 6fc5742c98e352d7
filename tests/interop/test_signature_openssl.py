"""Signatures judged by OpenSSL's command line, from nothing but what `explain` prints; and theirs judged by us.

OpenSSL computes each digest and checks the value over the printed octets. The octets themselves are EXI; tests/pnc
holds them to ISO 15118-2 annex J, RISE-V2G and EXIficient.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pnc import samples
from v2gpki.keys.pkcs8 import plain
from v2gpki.keys.suites import SUITES, Suite, load_public_key
from v2gpki.messages.schema import Message
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import attach, sign, verify

pytestmark = pytest.mark.interop("openssl")

#: Octets of r and of s, and the name of each digest on OpenSSL's command line.
WIDTHS = {"p256": 32, "p521": 66}
DIGESTS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": ["-sha256"],
    "http://www.w3.org/2001/04/xmlenc#sha512": ["-sha512"],
    "urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256": ["-shake256", "-xoflen", "64"],
}
HASHES = {"p256": "sha256", "p521": "sha512"}

CASES: list[tuple[Callable[[], Message], str, str, str | None]] = [
    (samples.annex_j_message, "p256", "", None),
    (samples.installation_req, "p256", "", None),
    (samples.rise_message, "p256", "", None),
    (lambda: samples.tariffs("t1", "t2"), "p256", "", None),
    *(
        (make, suite, algorithm, edition)
        for make in (
            samples.authorization_20,
            samples.installation_req_20,
            samples.installation_res_20,
            samples.metering_20,
            samples.prices_20,
        )
        for suite, algorithm, edition in (
            ("p521", "", None),
            ("ed448", "ed448-sha512", None),
            ("ed448", "ed448-shake256", None),
            ("p256", "", "lab-ecog-20"),
        )
    ),
]


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=False)


def der_integer(octets: bytes) -> bytes:
    """ASN.1 INTEGER of a positive number."""
    short = octets.lstrip(b"\0")
    content = (b"\0" if not short or short[0] & 0x80 else b"") + short
    return bytes((2, len(content))) + content


def der(raw: bytes) -> bytes:
    """Ecdsa-Sig-Value of r||s, written out."""
    half = len(raw) // 2
    content = der_integer(raw[:half]) + der_integer(raw[half:])
    return b"\x30" + (bytes((len(content),)) if len(content) < 128 else bytes((0x81, len(content)))) + content


def judged(folder: Path, suite: str, octets: bytes, value: bytes, spki: bytes) -> bool:
    """Whether OpenSSL takes the value for the key's over the octets."""
    (folder / "spki.der").write_bytes(spki)
    (folder / "octets").write_bytes(octets)
    if suite in WIDTHS:
        assert len(value) == 2 * WIDTHS[suite]
        (folder / "value").write_bytes(der(value))
        command = ["dgst", f"-{HASHES[suite]}", "-verify", "spki.pem", "-signature", "value", "octets"]
    else:
        (folder / "value").write_bytes(value)
        command = ["pkeyutl", "-verify", "-pubin", "-inkey", "spki.pem", "-rawin", "-in", "octets", "-sigfile", "value"]
    assert openssl(folder, "pkey", "-pubin", "-inform", "DER", "-in", "spki.der", "-out", "spki.pem").returncode == 0
    return openssl(folder, *command).returncode == 0


@pytest.mark.parametrize(("make", "suite", "algorithm", "edition"), CASES)
def test_openssl_computes_what_explain_prints(
    make: Callable[[], Message], suite: str, algorithm: str, edition: str | None, tmp_path: Path
) -> None:
    signer = samples.signer(suite)
    message = attach(make(), sign(make(), signer, algorithm=algorithm, edition=edition))
    shown = json.loads(json.dumps(explain(message, signer.spki, edition=edition)))
    assert shown["verdict"] == "valid"
    assert shown["references"]
    for row in shown["references"]:
        (tmp_path / "fragment").write_bytes(bytes.fromhex(row["fragment"]))
        done = openssl(tmp_path, "dgst", *DIGESTS[row["digest_method"]], "-binary", "fragment")
        assert done.stdout.hex() == row["digest_found"] == row["digest_computed"], done.stderr
    octets = bytes.fromhex(shown["signed_info"]["octets"]["xmldsig"])
    value = bytes.fromhex(shown["signature_value"])
    spki = bytes.fromhex(shown["key"]["spki"])
    assert judged(tmp_path, suite, octets, value, spki)
    assert not judged(tmp_path, suite, octets[:-1] + bytes([octets[-1] ^ 0x80]), value, spki)


class OpensslSigner:
    """A key in a file that only OpenSSL uses."""

    def __init__(self, folder: Path, suite: str, private_key: bytes, spki: bytes) -> None:
        self.suite: Suite = SUITES[suite]
        self.spki = spki
        self._folder = folder
        (folder / "key.pem").write_bytes(private_key)

    def sign(self, message: bytes) -> bytes:
        (self._folder / "message").write_bytes(message)
        name = self.suite.name
        command = ["pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "message", "-out", "made"]
        done = openssl(self._folder, *command, *(["-digest", HASHES[name]] if name in HASHES else []))
        assert done.returncode == 0, done.stderr
        return (self._folder / "made").read_bytes()


@pytest.mark.parametrize("suite", ["p256", "p521", "ed448"])
def test_what_openssl_signs_holds(suite: str, tmp_path: Path) -> None:
    """A signer that lives elsewhere, such as OpenSSL, gives DER; the message carries r||s of full width each time."""
    private_key = SUITES[suite].generate()
    ours = samples.signer(suite)
    signer = OpensslSigner(tmp_path, suite, plain(private_key), ours.spki)
    made = openssl(tmp_path, "pkey", "-in", "key.pem", "-pubout", "-outform", "DER").stdout
    load_public_key(made)
    message = samples.annex_j_message() if suite == "p256" else samples.authorization_20()
    for _ in range(5):
        assert verify(attach(message, sign(message, signer)), made).elements


def test_annex_j_by_openssl(tmp_path: Path) -> None:
    """The printed signature of ISO 15118-2 annex J, over the octets that we make of the printed message."""
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    shown = explain(message, samples.annex_j_key().public_key())
    octets = bytes.fromhex(shown["signed_info"]["octets"]["xmldsig"])
    value = bytes.fromhex(samples.published("annex_j")["signature_value"])
    assert judged(tmp_path, "p256", octets, value, bytes.fromhex(shown["key"]["spki"]))
