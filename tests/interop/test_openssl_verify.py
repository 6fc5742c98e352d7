"""OpenSSL's own path validation, strict, accepts every certificate that we mint, and refuses what it should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIRTH
from tests.interop.minted import Minted
from v2gpki.certs.chain import pem

pytestmark = pytest.mark.interop("openssl")


def verify(folder: Path, certificate: Minted, *, root: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """``openssl verify -x509_strict`` of one chain, as of the moment of issue."""
    files = {"leaf": (certificate.der,), "above": certificate.above, "root": (root or certificate.root,)}
    for name, content in files.items():
        (folder / f"{name}.pem").write_bytes(pem(content))
    above = ["-untrusted", "above.pem"] if certificate.above else []
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-no-CApath", "-no-CAstore"]
    command += ["-attime", str(int(BIRTH.timestamp())), "-CAfile", "root.pem", *above, "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_minted_chain_is_valid(minted: list[Minted], tmp_path: Path) -> None:
    refused = []
    for certificate in minted:
        done = verify(tmp_path, certificate)
        if done.returncode or done.stdout.strip() != "leaf.pem: OK":
            refused.append(f"{certificate.name}: {done.stdout}{done.stderr}")
    assert refused == []


def test_every_edition_family_and_kind_of_role_was_judged(minted: list[Minted]) -> None:
    families = {(certificate.edition, certificate.suite) for certificate in minted}
    assert {
        ("iso15118-2", "p256"),
        ("iso15118-20", "p521"),
        ("iso15118-20", "ed448"),
        ("ocpp", "p256"),
        ("lab-ecog-20", "p256"),
    } <= families
    for edition, suite in families:
        judged = {c.role for c in minted if (c.edition, c.suite) == (edition, suite)}
        expected = {"csms-root", "csms", "station"} if edition == "ocpp" else {
            "v2g-root", "cpo-sub-ca-1", "cpo-sub-ca-2", "secc", "cps", "contract", "oem", "ocsp"
        }
        assert expected <= judged
    assert "oem-x448" in {certificate.role for certificate in minted}


def test_openssl_refuses_a_chain_under_the_wrong_root(minted: list[Minted], tmp_path: Path) -> None:
    roots = {c.root for c in minted if c.edition == "iso15118-2"}
    secc = next(c for c in minted if c.edition == "iso15118-2" and c.role == "secc")
    wrong = next(root for root in sorted(roots) if root != secc.root)
    assert verify(tmp_path, secc, root=wrong).returncode != 0
