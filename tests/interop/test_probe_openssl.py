"""Probes look at OpenSSL's s_server and s_client: what was given to them on the command line is what is found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.tls_peers import given
from tests.servers.probe.test_station import means, row
from tests.servers.v2gtls.bench import Pki
from tests.servers.v2gtls.conftest import pki
from v2gpki.servers.probe.cases import given_cases
from v2gpki.servers.probe.report import Report
from v2gpki.servers.probe.scan import Host
from v2gpki.servers.probe.station import probe_station
from v2gpki.servers.probe.vehicle import VehicleProbe

__all__ = ["pki"]
pytestmark = pytest.mark.interop("openssl")

_SECONDS = 20


async def openssl(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _served(pki: Pki, options: Sequence[str]) -> Report:
    server = await openssl("s_server", "-accept", "[::1]:0", "-naccept", "200", *options)
    assert server.stdout is not None
    try:
        async with asyncio.timeout(_SECONDS):
            text = b""
            while not (found := re.search(rb"ACCEPT \[::1\]:(\d+)", text)):
                data = await server.stdout.read(4096)
                assert data, text
                text += data
            drained = asyncio.ensure_future(server.stdout.read())
            report = await probe_station(Host("::1", int(found[1])), replace(means(pki), timeout=1.0))
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()
    await drained
    return report


def served(pki: Pki, *options: str) -> Report:
    """What the probe says of s_server with these options."""
    return asyncio.run(_served(pki, options))


SUITES = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"


def test_a_server_of_tls_1_2(pki: Pki, tmp_path: Path) -> None:
    secc = pki.identity("secc", "iso15118-2")
    staple = tmp_path / "staple.der"
    staple.write_bytes(secc.staple() or b"")
    options = given(tmp_path, secc)
    report = served(pki, *options, "-tls1_2", "-cipher", SUITES, "-groups", "P-256:P-384", "-status_file", str(staple))
    assert row(report, "TLS", "versions").found == ("TLS 1.2",)
    suites = row(report, "TLS 1.2", "suites")
    assert set(suites.found) == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    assert suites.standing == "warning"
    assert set(row(report, "TLS 1.2", "groups").found) == {"secp256r1", "secp384r1"}
    assert report.chains["TLS 1.2"] == secc.chain
    assert row(report, "TLS 1.2", "staple").text.startswith("good")
    assert row(report, "TLS 1.2", "path").standing == "ok"


def test_a_server_that_asks_for_certificates_and_staples_nothing(pki: Pki, tmp_path: Path) -> None:
    options = given(tmp_path, pki.identity("secc", "iso15118-2"))
    report = served(pki, *options, "-tls1_2", "-cipher", SUITES, "-verify", "3")
    assert row(report, "TLS 1.2", "asks for a client certificate").standing == "warning"
    assert row(report, "TLS 1.2", "staple").found == "none"


def test_a_server_of_tls_1_3_with_what_must_not_be(pki: Pki, tmp_path: Path) -> None:
    secc = pki.identity("secc", "iso15118-20", "p521")
    suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
    groups = ("-groups", "P-521:X25519")
    report = served(pki, *given(tmp_path, secc), "-tls1_3", "-ciphersuites", suites, *groups)
    assert row(report, "TLS", "versions").found == ("TLS 1.3",)
    found = row(report, "TLS 1.3", "suites")
    assert set(found.found) == {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"}
    assert (found.standing, found.note) == ("error", "TLS_AES_128_GCM_SHA256 must not be offered")
    kinds = row(report, "TLS 1.3", "groups")
    assert set(kinds.found) == {"secp521r1", "x25519"}
    assert (kinds.standing, kinds.note) == ("warning", "x448 missing")
    assert report.chains["TLS 1.3"] == secc.chain


async def _looked_at(pki: Pki, options: Sequence[str]) -> Report:
    probe = VehicleProbe(given_cases({"iso15118-2": [pki.identity("secc", "iso15118-2")]})[:1], timeout=5.0)
    async with await asyncio.start_server(probe.connected, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = await openssl("s_client", "-connect", f"[::1]:{port}", *options)
        async with asyncio.timeout(_SECONDS):
            await client.communicate(b"Q\n")
            await probe.finished.wait()
    return probe.report


def test_what_a_client_offers(pki: Pki) -> None:
    signatures = ("-sigalgs", "ECDSA+SHA256:ECDSA+SHA512")
    options = ("-tls1_2", "-cipher", SUITES, "-groups", "P-256:P-521", *signatures, "-status")
    report = asyncio.run(_looked_at(pki, options))
    assert row(report, "ClientHello", "versions").found == ("TLS 1.2",)
    assert set(row(report, "ClientHello", "suites").found) == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    assert row(report, "ClientHello", "groups").found == ("secp256r1", "secp521r1")
    assert row(report, "ClientHello", "signature algorithms").found == (
        "ecdsa_secp256r1_sha256",
        "ecdsa_secp521r1_sha512",
    )
    assert row(report, "ClientHello", "asks for OCSP responses").found == ("status_request",)


def test_a_client_that_trusts_nobody_refuses(pki: Pki) -> None:
    options = ("-tls1_2", "-cipher", SUITES, "-verify_return_error", "-no-CAfile", "-no-CApath", "-no-CAstore")
    report = asyncio.run(_looked_at(pki, options))
    (shown,) = [one for one in report.rows if one.area == "chains"]
    assert (shown.text, shown.standing) == ("refused: unknown_ca", "error")
