"""What an export hands out opens elsewhere: keys and PKCS#12 with OpenSSL, the vehicle's key store with Java."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import v2gpki
from v2gpki.services.export import export_layout


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run one foreign command; passwords come from files alone."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(params=["iso15118-2-p256", "iso15118-20-p521", "iso15118-20-ed448"])
def everest(request: pytest.FixtureRequest, everything: v2gpki.CertificateAuthority, tmp_path: Path) -> Path:
    """An EVerest folder with CA keys, for each edition and family."""
    edition, _, suite = str(request.param).rpartition("-")
    exported = export_layout(everything, "everest", tmp_path / "pki", edition=edition, suite=suite, ca_keys=True)
    return exported.folder


@pytest.mark.interop("openssl")
def test_openssl_opens_every_key(everest: Path) -> None:
    password = f"file:{everest / 'client' / 'cso' / 'SECC_LEAF_PASSWORD.txt'}"
    keys = [path for path in everest.rglob("*") if path.suffix == ".key" or path.name.endswith(".pkcs8.der")]
    assert len(keys) >= 7
    for path in keys:
        done = run("openssl", "pkey", "-in", str(path), "-passin", password, "-noout", "-check")
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        assert run("openssl", "pkey", "-in", str(path), "-passin", "pass:wrong", "-noout").returncode != 0
    for leaf, folder in (("SECC_LEAF", "cso"), ("MO_LEAF", "mo"), ("OEM_LEAF", "oem"), ("CPS_LEAF", "cps")):
        at = everest / "client" / folder
        of_key = run("openssl", "pkey", "-in", str(at / f"{leaf}.key"), "-passin", password, "-pubout")
        of_certificate = run("openssl", "x509", "-in", str(at / f"{leaf}.pem"), "-pubkey", "-noout")
        assert of_key.stdout == of_certificate.stdout != ""


@pytest.mark.interop("openssl")
def test_openssl_opens_every_pkcs12(everest: Path) -> None:
    bundles = sorted(everest.rglob("*.p12"))
    assert len(bundles) == 3
    password = f"file:{everest / 'client' / 'oem' / 'OEM_LEAF_PASSWORD.txt'}"
    for path in bundles:
        done = run("openssl", "pkcs12", "-in", str(path), "-passin", password, "-nodes")
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        assert done.stdout.count("-----BEGIN CERTIFICATE-----") == 3
        assert done.stdout.count("-----BEGIN PRIVATE KEY-----") == 1


@pytest.mark.interop("keytool")
def test_java_takes_the_pkcs12_as_a_key_store(everything: v2gpki.CertificateAuthority, tmp_path: Path) -> None:
    oem = export_layout(everything, "everest", tmp_path / "pki").folder / "client" / "oem"
    store = ["-keystore", str(oem / "OEM_CERT_CHAIN.p12"), "-storepass:file", str(oem / "OEM_LEAF_PASSWORD.txt")]
    done = run("keytool", "-J-Duser.language=en", "-list", "-v", *store)
    assert done.returncode == 0, done.stdout
    assert "Alias name: oem_prov_cert" in done.stdout
    assert "Entry type: PrivateKeyEntry" in done.stdout
    assert "Certificate chain length: 3" in done.stdout
