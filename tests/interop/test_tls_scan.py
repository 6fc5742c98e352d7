"""The TLS of ``v2gpki serve`` as scanners see it: 1.2 and 1.3, forward secrecy and authenticated encryption only.

The suites are those that RFC 9325 4.2 and RFC 8446 9.1 name for a server with an ECDSA key.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, prepare, site

SUITES_12 = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
SUITES_13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(prepare(tmp_path_factory.mktemp("scan")), V2GPKI_SERVE_TLS_NAME="localhost") as started:
        yield started
        started.check_alive()


def address(server: Site) -> str:
    return server.urls[1].partition("://")[2].replace("127.0.0.1", "localhost")


@pytest.mark.interop("sslyze")
def test_what_sslyze_finds(server: Site, sslyze_python: Path, tmp_path: Path) -> None:
    out = tmp_path / "scan.json"
    asked = ["--certinfo", "--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--compression"]
    asked += ["--early_data", "--openssl_ccs", "--fallback", "--heartbleed", "--robot", "--reneg", "--resum"]
    asked += ["--elliptic_curves", "--ems"]
    command = [str(sslyze_python), "-m", "sslyze", *asked, f"--json_out={out}", address(server)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert out.exists(), ran.stdout + ran.stderr
    (scanned,) = json.loads(out.read_text())["server_scan_results"]
    # Their JSON is a mapping of anything.
    found: dict[str, Any] = {}
    for name, part in scanned["scan_result"].items():
        if part["status"] != "NOT_SCHEDULED":
            assert part["status"] == "COMPLETED", (name, part)
            found[name] = part["result"]
    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        refused = found[f"{old}_cipher_suites"]
        assert not refused["is_tls_version_supported"], old
        assert refused["rejected_cipher_suites"], old
        assert not refused["accepted_cipher_suites"], old
    for new, expected in (("tls_1_2", SUITES_12), ("tls_1_3", SUITES_13)):
        accepted = found[f"{new}_cipher_suites"]["accepted_cipher_suites"]
        assert {one["cipher_suite"]["openssl_name"] for one in accepted} == expected
        assert all(one["ephemeral_key"]["type_name"] == "ECDH" for one in accepted)
    assert not found["tls_compression"]["supports_compression"]
    assert not found["tls_1_3_early_data"]["supports_early_data"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert found["robot"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert found["tls_extended_master_secret"]["supports_ems_extension"]
    renegotiation = found["session_renegotiation"]
    assert renegotiation["supports_secure_renegotiation"]
    assert renegotiation["client_renegotiations_success_count"] == 0
    # Tickets of 1.2 would carry session keys under a key that is never changed.
    assert found["session_resumption"]["tls_ticket_resumption_result"] != "FULLY_SUPPORTED"
    curves = {one["name"] for one in found["elliptic_curves"]["supported_curves"]}
    assert curves <= {"X25519", "X448", "secp256r1", "secp384r1", "secp521r1"}
    assert {"X25519", "secp256r1"} <= curves


def spoken(server: Site, *options: str) -> str:
    """What ``openssl s_client`` says after a handshake with these options."""
    command = ["openssl", "s_client", "-connect", address(server), "-servername", "localhost", *options]
    ran = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.interop("openssl")
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_openssl_speaks_no_old_version(server: Site, version: str) -> None:
    said = spoken(server, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said
    assert "protocol version" in said


@pytest.mark.interop("openssl")
def test_every_suite_that_openssl_has(server: Site) -> None:
    listed = ["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip().split(":")
    names = [name for name in names if not name.startswith("TLS_") and "PSK" not in name and "SRP" not in name]
    assert len(names) > 40
    accepted = {
        name
        for name in names
        if f"Cipher is {name}" in spoken(server, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")
    }
    assert accepted == SUITES_12


@pytest.mark.interop("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_what_is_agreed_on(server: Site, version: str) -> None:
    root = str(server.prepared.root)
    said = spoken(server, version, "-CAfile", root, "-verify_return_error", "-verify_hostname", "localhost", "-comp")
    assert "Verify return code: 0 (ok)" in said
    assert "Compression: NONE" in said
    assert "Expansion: NONE" in said
    asked = ["openssl", "s_client", "-connect", address(server), "-servername", "localhost", "-tls1_2"]
    ran = subprocess.run(asked, input="R\n", capture_output=True, text=True, timeout=60, check=False)
    assert "no renegotiation" in ran.stderr + ran.stdout
