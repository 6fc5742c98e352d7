"""`examples/provisioning_pipe.py` as a program asks it: lines in, lines out, refusals too, until its input ends."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tests.documents import ROOT, environment
from tests.services.vehicle import PCID, Vehicle
from v2gpki.pnc import installation
from v2gpki.wiring import open_authority

EMAID = "DEABCC12345678"


def asked(request: bytes, **more: object) -> dict[str, object]:
    """The request as OCPP carries it."""
    return {
        "iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef",
        "action": "Install",
        "exiRequest": base64.b64encode(request).decode("ascii"),
        **more,
    }


def piped(home: Path, secret: Path, *lines: dict[str, object]) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "provisioning_pipe.py", home],
        env=environment(V2GPKI_PASSPHRASE_FILE=str(secret)),
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n", "utf-8")
    return file


def test_a_contract_and_a_refusal_through_the_pipe(tmp_path: Path, secret: Path) -> None:
    home = tmp_path / "home"
    with open_authority(home, passphrase=PASSPHRASE, create=True, caller="test") as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
        vehicle, stranger = Vehicle.made(ca), Vehicle.made(ca, pcid="WVWABCDEF87654321", registered=False)
        now = ca.clock.now()
        ends = now + timedelta(days=300)
        ca.plug_and_charge.contracts.create(EMAID, PCID, now, ends, at=now, caller="test")
        given, refused, again = piped(
            home, secret, asked(vehicle.request()), asked(stranger.request()), asked(vehicle.request())
        )
        assert (given["status"], given["remainingContracts"], given["reason"]) == ("Accepted", 0, "")
        opened = vehicle.open(base64.b64decode(str(given["exiResponse"])))
        assert opened.emaid == EMAID
        # the vehicle is told too, by an answer that it can read
        assert refused["status"] == "Failed"
        assert "WVWABCDEF87654321" in str(refused["reason"])
        answer = installation.read_response(base64.b64decode(str(refused["exiResponse"])))
        assert answer.code == "FAILED_NoCertificateAvailable"
        # a second request of the vehicle gets the same contract certificate, not a second one
        assert vehicle.open(base64.b64decode(str(again["exiResponse"]))).chain == opened.chain
        assert len(list(ca.store.find_certificates(role="contract"))) == 1


def test_without_a_home_it_says_so(tmp_path: Path, secret: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "provisioning_pipe.py", tmp_path / "nowhere"],
        env=environment(V2GPKI_PASSPHRASE_FILE=str(secret)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("cannot answer: there is no v2gpki home at ")
