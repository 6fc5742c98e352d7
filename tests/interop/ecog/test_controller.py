"""`examples/ecog_controller.py` as EcoG's states call it: who may charge, by our plug-ins; hash data that OCPP
understands.

Expected hashes are made by `cryptography`'s OCSP builder from chain and root, the way EcoG makes its own before it
writes them otherwise; ResponseCodes are those of ISO 15118-2 table 112.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from tests.conftest import PASSPHRASE
from tests.interop.ecog.controlling import controlled
from tests.services.vehicle import PCID, Vehicle
from v2gpki.certs.chain import load_certificates
from v2gpki.services.export import export_layout
from v2gpki.wiring import open_authority

pytestmark = pytest.mark.interop("ecog")

EMAID, REVOKED = "DEABCC12345678", "DEABCC87654321"
V2 = {"protocol": "ISO_15118_2"}
#: Our own plug-ins of a station that takes its time, and of one whose CSMS never answers.
_SLOW = '''
import asyncio
from v2gpki.servers.secc.defaults import ListedAuthoriser
from v2gpki.servers.secc.plugins import ContractGiven, Decision

class Nothing:
    async def contract(self, asked):
        return ContractGiven("failed", reason="nothing here")

def waits(home):
    return ListedAuthoriser(ongoing=2), Nothing()

class Mute:
    async def authorise(self, asked):
        await asyncio.sleep(1.5)
        return Decision("accepted", reason=f"asked once, attempt {asked.attempt}")

def mute(home):
    return Mute(), Nothing()
'''


@dataclass(frozen=True)
class World:
    """A home with two contracts, one of them revoked, and EcoG's PKI folder."""

    interpreter: Path
    settings: dict[str, str]
    root: bytes
    chains: dict[str, list[bytes]]
    request: bytes

    def ask(self, *calls: dict[str, object], **settings: str) -> list[dict[str, Any]]:
        return controlled(self.interpreter, list(calls), {**self.settings, **settings})

    def shown(self, emaid: str = EMAID, *, name: str = "", root: bool = True) -> dict[str, object]:
        """PaymentDetails of a contract, under its own EMAID or another."""
        chain = [der.hex() for der in self.chains[emaid]]
        return {"emaid": name or emaid, "chain": chain, "root": self.root.hex() if root else None}


@pytest.fixture(scope="module")
def world(ecog_python: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("controller")
    home, secret = folder / "home", folder / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n", "utf-8")
    (folder / "mine.py").write_text(_SLOW, "utf-8")
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2"]), org="Acme")
        pki = export_layout(authority, "josev", folder / "pki", ids={"contract": "DEABCC11111111"}).folder
        chains = {}
        for emaid in (EMAID, REVOKED):
            issued = authority.issue("contract", id=emaid, edition="iso15118-2")
            chains[emaid] = list(issued.chain)
        authority.revoke(f"{x509.load_der_x509_certificate(chains[REVOKED][0]).serial_number:x}", "keyCompromise")
        vehicle = Vehicle.made(authority)
        now = datetime.now(UTC).replace(microsecond=0)
        ends = now + timedelta(days=300)
        authority.plug_and_charge.contracts.create(
            "DEABCC22222222", PCID, now - timedelta(hours=1), ends, at=now, caller="test"
        )
        request = vehicle.request()
    (root,) = load_certificates((pki / "iso15118_2" / "certs" / "moRootCACert.der").read_bytes())
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "PKI_PATH": str(pki),
        "V2GPKI_PYTHON": sys.executable,
        "V2GPKI_HOME": str(home),
        "V2GPKI_PASSPHRASE_FILE": str(secret),
    }
    return World(ecog_python, settings, root, chains, request)


def told(answers: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(answer["status"], answer["code"]) for answer in answers if "status" in answer]


def of_ocpp(certificate: bytes, issuer: bytes) -> dict[str, str]:
    """OCSPRequestDataType of OCPP 2.0.1, but for the URL."""
    leaf, above = x509.load_der_x509_certificate(certificate), x509.load_der_x509_certificate(issuer)
    request = ocsp.OCSPRequestBuilder().add_certificate(leaf, above, hashes.SHA256()).build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{leaf.serial_number:x}",
    }


@pytest.mark.judged("who may charge, by our plug-ins in EcoG's station", edition="iso15118-2", by="EcoG's SECC")
def test_a_contract_is_decided_once_and_its_hash_data_are_ocpps(world: World) -> None:
    answers = world.ask(V2, world.shown(), {"emaid": EMAID}, {"emaid": EMAID}, V2GPKI_EMAIDS=f"{EMAID},DEXYZC12345678")
    assert told(answers) == [("ACCEPTED", "OK")] * 3
    chain = [*world.chains[EMAID], world.root]
    expected = [of_ocpp(one, other) for one, other in pairwise(chain)]
    found = [{name: data[name] for name in expected[0]} for data in answers[1]["hashes"]]
    # the root is not among them
    assert found == expected


def test_what_ecog_makes_is_not_ocpps(world: World) -> None:
    """Why it is repaired: four entries, base64, decimal; or none at all without an OCSP address or the root."""
    (answer,) = [answer for answer in world.ask(V2, world.shown()) if answer]
    if answer["given"] is not None:
        assert len(answer["given"]) == 4
        assert answer["given"][0]["serial_number"].isdecimal()
    (answer,) = [answer for answer in world.ask(V2, world.shown(root=False)) if answer]
    assert answer["given"] is None
    assert len(answer["hashes"]) == 3


@pytest.mark.parametrize(
    ("call", "code", "listed"),
    [
        (lambda world: world.shown(), "FAILED", "DEABCC99999999"),
        (lambda world: world.shown(REVOKED), "FAILED_CertificateRevoked", REVOKED),
        (lambda world: {**world.shown(), "chain": [world.chains[EMAID][0].hex()]}, "FAILED_CertChainError", EMAID),
    ],
    ids=["not-listed", "revoked", "without-sub-cas"],
)
def test_who_must_not_charge_is_refused_with_its_code(
    world: World, call: Callable[[World], dict[str, object]], code: str, listed: str
) -> None:
    (answer,) = told(world.ask(V2, call(world), V2GPKI_EMAIDS=listed))
    assert answer == ("REJECTED", code)


def test_an_emaid_alone_is_not_enough(world: World) -> None:
    """Another EMAID than the chain's own in the session, one of the session before, one without any."""
    answers = world.ask(
        V2,
        {"emaid": EMAID},
        world.shown(),
        {"emaid": "DEABCC00000000"},
        {"end": "done"},
        {"emaid": EMAID},
        world.shown(),
        V2,
        {"emaid": EMAID},
    )
    states = [status for status, _ in told(answers)]
    assert states == ["REJECTED", "ACCEPTED", "REJECTED", "REJECTED", "ACCEPTED", "REJECTED"]


def test_a_decision_that_is_ongoing_is_asked_for_again(world: World) -> None:
    calls = (V2, world.shown(), {"emaid": EMAID}, {"emaid": EMAID}, {"emaid": EMAID})
    answers = world.ask(*calls, V2GPKI_STATION="mine:waits")
    assert [status for status, _ in told(answers)] == ["ONGOING", "ONGOING", "ACCEPTED", "ACCEPTED"]


def test_who_pays_at_the_station(world: World) -> None:
    """DIN and -20 ask with nothing; in -20 a vehicle with a contract looks the same, so it may not be offered."""
    assert told(world.ask({"protocol": "DIN_SPEC_70121"}, {})) == [("ACCEPTED", None)]
    assert told(world.ask({"protocol": "ISO_15118_20_DC"}, {})) == [("ACCEPTED", "OK")]
    assert told(world.ask({"protocol": "ISO_15118_20_DC"}, {}, AUTH_MODES="PNC")) == [
        ("REJECTED", "WARNING_GeneralPnCAuthorizationError")
    ]


def test_a_slow_authoriser_is_waited_for_and_asked_once(world: World) -> None:
    """It takes 1.5 s: PaymentDetails may wait that long, Authorization may not."""
    din = {"protocol": "DIN_SPEC_70121"}
    answers = world.ask(din, {}, {"wait": 1.0}, {}, V2GPKI_STATION="mine:mute")
    assert [status for status, _ in told(answers)] == ["ONGOING", "ACCEPTED"]
    assert told(world.ask(V2, world.shown(), V2GPKI_STATION="mine:mute")) == [("ACCEPTED", "OK")]


def test_contracts_come_from_the_home_or_from_nobody(world: World) -> None:
    request = base64.b64encode(world.request).decode("ascii")
    (answer,) = [answer for answer in world.ask(V2, {"install": request}) if answer]
    assert base64.b64decode(answer["exi"])[:1] == b"\x80"
    (answer,) = [answer for answer in world.ask(V2, {"install": request}, V2GPKI_STATION="mine:waits") if answer]
    assert answer == {"error": "OSError"}


def test_a_pipe_that_cannot_start_refuses(world: World) -> None:
    answers = world.ask(V2, world.shown(), V2GPKI_HOME="/nowhere")
    assert told(answers) == [("REJECTED", "FAILED")]
