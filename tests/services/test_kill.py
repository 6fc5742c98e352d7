"""Killed at every named step and at random times, alone and in company: nothing that was handed out is lost.

After each death the home is opened again, which closes what was left behind; then store, audit log and key
files must agree, every certificate that the dead process had handed out must be found, and no serial of
an abandoned intent may ever count as good.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import PASSPHRASE
from tests.services.kill_child import live
from v2gpki.keys.vault import Vault
from v2gpki.wiring.audit_check import check_audit

CHILD = Path(__file__).with_name("kill_child.py")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "KILL_PASSPHRASE": PASSPHRASE, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def living_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose authorities are valid now: the children run by the machine's clock."""
    folder = tmp_path_factory.mktemp("kill") / "home"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return folder


def child(home: Path, notes: Path, step: int, rounds: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(CHILD), str(home), str(notes), str(step), str(rounds)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def noted(notes: Path) -> list[tuple[str, str]]:
    if not notes.exists():
        return []
    lines = notes.read_text().splitlines()
    return [(line.split()[0], line.split()[-1]) for line in lines if line.split()[0] in ("issued", "revoked", "crl")]


def opened(home: Path, vault: Vault | None = None) -> v2gpki.CertificateAuthority:
    """The home opened; ``vault`` spares the slow step of unlocking it."""
    if vault is None:
        return v2gpki.open_authority(home, passphrase=PASSPHRASE)
    ca = v2gpki.open_authority(home)
    ca.vault = vault
    return ca


def check_agreement(home: Path, notes: Path, vault: Vault | None = None) -> None:
    """Open the home as the next process would, and compare everything with everything."""
    with opened(home, vault) as ca:
        # Taking the issuance path is what closes the intents of the dead.
        assert ca.issuance is not None
        assert ca.store.pending_intents() == []
        check_audit(ca.store, None).verdict.require_sound()
        certificates = {f"{record.serial:x}": record for record in ca.store.find_certificates()}
        for what, name in noted(notes):
            if what == "crl":
                latest = ca.store.latest_crl(ca.authority("iso2-cpo-sub-ca-2").id)
                assert latest is not None
                assert latest.number >= int(name)
                continue
            record = certificates[name]
            assert x509.load_der_x509_certificate(record.der).serial_number == record.serial
            if what == "revoked":
                assert record.state == "revoked"
        keys = {record.key_id for record in certificates.values() if record.key_id}
        assert {path.stem for path in (home / "keys").glob("*.pem")} == keys | {"audit"}
        leftovers = [path.name for path in (home / "keys").iterdir() if path.suffix not in (".pem", ".json")]
        # A home that was killed while it was born may keep an unused form of its first two files, both encrypted.
        assert [name for name in leftovers if not name.startswith((".secret.json.", ".audit.pem."))] == []
        authorities = ca.store.authorities()
        assert {a.key_id for a in authorities} <= keys
        assert all(f"{authority.serial:x}" in certificates for authority in authorities)
        for authority in authorities:
            issued = {r.serial for r in certificates.values() if r.issuer_id == authority.id and r.state == "valid"}
            assert not issued & {entry.serial for entry in ca.store.revoked_serials(authority.id)}
        assert ca.vault is not None
        for key in keys:
            assert ca.vault.signer(key).spki


def copy(home: Path, place: Path) -> Path:
    shutil.copytree(home, place)
    return place


def test_death_at_every_named_step(living_home: Path, tmp_path: Path) -> None:
    """Steps are counted from 0 until a child gets through; there are more than fifty of them."""
    home, notes = copy(living_home, tmp_path / "home"), tmp_path / "notes"
    vault = Vault.unlock(home / "keys", PASSPHRASE)
    step = 0
    while True:
        process = os.fork()
        if process == 0:
            try:
                live(opened(home, vault), notes, step)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        check_agreement(home, notes, vault)
        if status == 0:
            break
        assert status == 9
        step += 1
    assert step > 50
    assert len(noted(notes)) > step


def test_kill_at_random_times_two_processes(living_home: Path, tmp_path: Path) -> None:
    """Two children work in one home; each is killed at a seeded random moment of its work, again and again."""
    home = copy(living_home, tmp_path / "home")
    chance = random.Random(15118)
    everything = tmp_path / "all"
    for turn in range(8):
        notes = [tmp_path / f"notes-{turn}-{which}" for which in range(2)]
        processes = [child(home, place, -1, rounds=400) for place in notes]
        for place, process in zip(notes, processes, strict=True):
            while not noted(place) and process.poll() is None:
                time.sleep(0.005)
        for process in processes:
            time.sleep(chance.uniform(0.0, 0.12))
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.communicate(timeout=60)
        everything.write_text("".join(place.read_text() for place in [*notes, everything] if place.exists()))
        check_agreement(home, everything)
    assert len(noted(everything)) >= 16


def test_a_living_neighbours_intents_are_left_alone(living_home: Path, tmp_path: Path) -> None:
    """A process that opens the home while another one works must not abandon what that one is about to finish."""
    home, notes = copy(living_home, tmp_path / "home"), tmp_path / "notes"
    neighbour = child(home, notes, -1, rounds=25)
    opened = 0
    while neighbour.poll() is None:
        with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
            ca.issue("secc", id="DE*ACM*E9999")
        opened += 1
    _, errors = neighbour.communicate(timeout=60)
    assert neighbour.returncode == 0, errors.decode()
    assert opened > 1
    check_agreement(home, notes)
    assert len(noted(notes)) == 25 * 8


def test_killed_while_a_home_is_being_made(tmp_path: Path) -> None:
    """``init`` killed at random times and called again ends with the whole ecosystem."""
    chance = random.Random(2)
    program = [sys.executable, "-m", "v2gpki", "init", "--edition", "iso15118-2"]
    environment = {**ENVIRONMENT, "V2GPKI_HOME": str(tmp_path / "home"), "V2GPKI_PASSPHRASE": PASSPHRASE}
    for _ in range(12):
        process = subprocess.Popen(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.15, 0.45))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check_agreement(tmp_path / "home", tmp_path / "none")
    with v2gpki.open_authority(tmp_path / "home") as ca:
        planned = {p.slug for p in ca.plan(["iso15118-2"]) if not p.held}
        assert {authority.slug for authority in ca.store.authorities()} == planned


def test_killed_command_leaves_files_that_the_store_knows(living_home: Path, tmp_path: Path) -> None:
    """``cert issue`` killed at random times: a certificate in the folder is in the store, and its key fits."""
    home = copy(living_home, tmp_path / "home")
    chance = random.Random(3)
    environment = {**ENVIRONMENT, "V2GPKI_HOME": str(home), "V2GPKI_PASSPHRASE": PASSPHRASE}
    for turn in range(10):
        out = tmp_path / f"out{turn}"
        arguments = ["cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", str(out)]
        process = subprocess.Popen(
            [sys.executable, "-m", "v2gpki", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        check_agreement(home, tmp_path / "none")
        if (out / "cert.pem").exists():
            certificate = x509.load_pem_x509_certificate((out / "cert.pem").read_bytes())
            with v2gpki.open_authority(home) as ca:
                assert ca.find_certificate(f"{certificate.serial_number:x}").state == "valid"
            assert (out / "key.pem").exists()
