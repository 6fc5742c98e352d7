"""`v2gpki probe` looks at EcoG's SECC and at its EVCC."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ecog.network import INTERFACE, private_network
from tests.interop.ecog.pairing import Pair, ecog_environment, ecog_vehicle
from tests.interop.process import ForeignProcess

pytestmark = pytest.mark.interop("ecog")

_READY = r"UDP server started at address"
_ENDED = r"Reason: |Traceback|maximum number of SDP retry|CERTIFICATE_VERIFY_FAILED"
_SECONDS = 90


def rows(report: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["area"], row["what"]): row for row in report["rows"]}


def test_a_probe_looks_at_ecogs_station(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    pair = Pair("iso15118-2", "ac")
    probe = [sys.executable, "-m", "v2gpki", "probe", "secc", "--interface", INTERFACE, "--pki", str(josev), "--json"]
    env = ecog_environment(josev, tmp_path, pair)
    with private_network(tmp_path) as network:
        station = network.inside([str(ecog_python), "-u", "-m", "iso15118.secc.main"])
        with ForeignProcess(station, log=tmp_path / "ecog.log", cwd=tmp_path, env=env) as secc:
            secc.await_line(_READY, _SECONDS)
            done = subprocess.run(
                network.inside(probe), capture_output=True, text=True, timeout=_SECONDS, check=False, env=env
            )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    found = rows(report)
    # Its shared/security.py pins version and suites.
    assert found["TLS", "versions"]["found"] == ["TLS 1.2"]
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" in found["TLS 1.2", "suites"]["found"]
    assert "secp256r1" in found["TLS 1.2", "groups"]["found"]
    assert found["TLS 1.2", "path"]["standing"] == "ok"
    assert found["TLS 1.2", "staple"]["found"] == "none"
    assert [len(chain) for chain in report["chains"].values()] == [3]
    assert found["TLS 1.2", "urn:iso:15118:2:2013:MsgDef"]["found"].startswith("OK_SuccessfulNegotiation")
    assert found["TLS 1.2", "urn:iso:std:iso:15118:-20:DC"]["found"].startswith("Failed_NoNegotiation")
    # What its simulated EVSEController says (iso15118/secc/controller/simulator.py).
    assert found["TLS 1.2", "EVSEID"]["found"] == "UK123E1234"
    assert set(found["TLS 1.2", "payment options"]["found"]) == {"ExternalPayment", "Contract"}


def test_a_probe_looks_at_ecogs_vehicle(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    """Started once for each chain: it takes the good one, with and without staple, and refuses a root that it does not
    know."""
    pair, ready = Pair("iso15118-2", "ac"), tmp_path / "ready"
    words = ("--pki", str(josev), "--edition", "iso15118-2", "--timeout", "30", "--ready-file", str(ready), "--json")
    probe = [sys.executable, "-m", "v2gpki", "probe", "evcc", "--interface", INTERFACE, *words]
    env = ecog_environment(josev, tmp_path, pair)
    config = tmp_path / "evcc.json"
    config.write_text(json.dumps(ecog_vehicle(pair)), "utf-8")
    with private_network(tmp_path) as network:
        ours = ForeignProcess(network.inside(probe), log=tmp_path / "probe.log", cwd=tmp_path, env=env)
        with ours as looking:
            looking.await_file(ready, _SECONDS)
            vehicle = network.inside([str(ecog_python), "-u", "-m", "iso15118.evcc.main", str(config)])
            for case in ("good", "bare", "unknown"):
                with ForeignProcess(vehicle, log=tmp_path / f"{case}.log", cwd=tmp_path, env=env) as evcc:
                    evcc.await_line(_ENDED, _SECONDS)
            assert looking.await_end(_SECONDS) == 1
            report = json.loads(looking.text()[looking.text().index("{") :])
    found = rows(report)
    assert found["chains", "the good chain"]["found"] == "accepted"
    # The default policy of ours would refuse that; it asks for no staple at all.
    assert found["chains", "the good chain, no staple"]["found"] == "accepted"
    # Python's asyncio closes without the alert that its TLS has ready.
    assert found["chains", "under an unknown root"]["found"] == "refused: closed without an alert"
    assert found["chains", "under an unknown root"]["standing"] == "warning"
    assert found["ClientHello", "versions"]["found"] == ["TLS 1.2"]
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" in found["ClientHello", "suites"]["found"]
    # It names no root either.
    assert found["ClientHello", "asks for OCSP responses"]["found"] == "no"
    assert found["ClientHello", "trusted_ca_keys"]["found"] == "none"
    assert found["handshake", "protocols"]["found"] == ["urn:iso:15118:2:2013:MsgDef 2.0"]
