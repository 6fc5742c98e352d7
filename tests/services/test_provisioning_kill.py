"""Killed at every step while a vehicle is answered: it asks again and gets one certificate, in one bundle.

A process is born for each step, dies there without a word, and the home is opened by the next one. The steps are those
that a process that lives goes through: each call of store, pools and signers that may change or sign something, before
and after it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.test_provisioning import EMAID, accepted, contract
from tests.services.vehicle import Vehicle
from v2gpki.keys.vault import Vault
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.wiring.audit_check import check_audit

WATCHED = {
    "record_intents",
    "commit_results",
    "abandon",
    "append_audit_head",
    "add_bundle",
    "record_answer",
    "take_position",
    "sign",
}
#: What a process must be killed at, at least: the intent is recorded, the certificate signed, then the contract data
#: too, certificate, bundle and answer committed together; where the bundle is ready the answer alone is recorded.
NAMED = ["after record_intents", "after sign", "after sign", "after commit_results"]
NAMED_READY = ["before record_answer", "after record_answer"]


class Watch:
    """Names the steps that it sees, and ends the process at the one with this number (-1: never)."""

    def __init__(self, last: int = -1) -> None:
        self.last = last
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        if len(self.steps) == self.last:
            os._exit(9)
        self.steps.append(name)


class Mortal:
    """Passes everything on; around the watched calls it may die, as may the signers and pools that it gives."""

    def __init__(self, inner: object, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name == "signer":
            return lambda key_id: Mortal(found(key_id), self._watch)
        if name == "pools":
            return Mortal(found, self._watch)
        if name not in WATCHED:
            return found

        def watched(*args: object, **named: object) -> object:
            self._watch.step(f"before {name}")
            answer = found(*args, **named)
            self._watch.step(f"after {name}")
            return answer

        return watched


def opened(home: Path, vault: Vault) -> v2gpki.CertificateAuthority:
    """The home opened as a new process would, without the slow step of unlocking it."""
    ca = v2gpki.open_authority(home, clock=v2gpki.FixedClock(BIRTH), caller="test")
    ca.vault = vault
    return ca


def asked(home: Path, vault: Vault, edition: Edition) -> tuple[bytes, bytes, Vehicle]:
    """A vehicle with a contract, its request, and the request that it sends in another session."""
    with opened(home, vault) as ca:
        vehicle = Vehicle.made(ca, edition)
        contract(ca)
        return vehicle.request(), vehicle.request(session=bytes(range(8))), vehicle


def answered(ca: v2gpki.CertificateAuthority, request: bytes, watch: Watch) -> bytes:
    """The answer, while ``watch`` watches."""
    ca.store = Mortal(ca.store, watch)  # type: ignore[assignment]  # stands in for the store
    ca.vault = Mortal(ca.vault, watch)  # type: ignore[assignment]  # stands in for the vault
    return accepted(ca.plug_and_charge.provisioning.answer(request)).exi


def check(home: Path, vault: Vault, requests: tuple[bytes, bytes], vehicle: Vehicle, sent: Path) -> None:
    """The next process answers both requests with the one bundle, and nothing is left of the dead."""
    with opened(home, vault) as ca:
        vehicle.ca = ca
        provisioning = ca.plug_and_charge.provisioning
        exi = accepted(provisioning.answer(requests[0])).exi
        other = accepted(provisioning.answer(requests[1])).exi
        opened_contract = vehicle.open(exi)
        assert opened_contract.emaid == EMAID
        assert vehicle.open(other).chain == opened_contract.chain
        if sent.exists():
            assert sent.read_bytes() == exi
        records = [one for one in ca.store.find_certificates() if one.role == "contract"]
        assert [(one.der, one.state) for one in records] == [(opened_contract.chain[0], "valid")]
        bundles = list(ca.store.pools.bundles())
        assert [(one.state, one.serial, one.emaid) for one in bundles] == [("ready", records[0].serial, EMAID)]
        assert installation.signed_contract(bundles[0].exi).data.chain == opened_contract.chain
        assert {one.bundles for one in ca.store.pools.answers()} == {(bundles[0].id,)}
        assert ca.store.pending_intents() == []
        assert {path.stem for path in (home / "keys").glob("*.pem")} >= vault.key_ids()
        check_audit(ca.store, None).verdict.require_sound()


def dies_at(step: int, home: Path, vault: Vault, request: bytes, sent: Path) -> int:
    """What became of a process that is to die at this step: 9 if it did, 0 if it lived and wrote its answer."""
    process = os.fork()
    if process == 0:
        try:
            exi = answered(opened(home, vault), request, Watch(step))
            sent.write_bytes(exi)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize(("edition", "made"), [("iso15118-2", "home_iso2"), ("iso15118-20", "home_all")])
def test_death_at_every_step_of_an_installation(
    edition: Edition, made: str, ready: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(request.getfixturevalue(made), home)
    vault = Vault.unlock(home / "keys", PASSPHRASE)
    first, second, vehicle = asked(home, vault, edition)
    if ready:
        with opened(home, vault) as ca:
            ca.plug_and_charge.bundles_with().prepare(list(ca.store.pools.contracts()))

    def copy(name: str) -> Path:
        return Path(shutil.copytree(home, tmp_path / name))

    watch = Watch()
    with opened(copy("lives"), vault) as ca:
        answered(ca, first, watch)
    assert in_order(NAMED_READY if ready else NAMED, watch.steps), watch.steps
    assert ("after commit_results" in watch.steps) != ready
    for step, name in enumerate([*watch.steps, "never"]):
        place, sent = copy(f"dies-{step}"), tmp_path / f"sent-{step}"
        assert dies_at(step, place, vault, first, sent) == (0 if name == "never" else 9), name
        check(place, vault, (first, second), vehicle, sent)


def in_order(wanted: list[str], found: list[str]) -> bool:
    rest = iter(found)
    return all(step in rest for step in wanted)


def test_death_while_the_dead_ones_answer_is_made_again(home_iso2: Path, tmp_path: Path) -> None:
    """One home, and nobody who asks lives long enough: each gets further than the one before, or no certificate is
    made twice."""
    home, sent = tmp_path / "home", tmp_path / "sent"
    shutil.copytree(home_iso2, home)
    vault = Vault.unlock(home / "keys", PASSPHRASE)
    first, second, vehicle = asked(home, vault, "iso15118-2")
    deaths = 0
    for step in range(40):
        if dies_at(step, home, vault, first, sent) == 0:
            break
        deaths += 1
    assert deaths >= len(NAMED)
    check(home, vault, (first, second), vehicle, sent)
