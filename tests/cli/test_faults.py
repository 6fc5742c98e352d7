"""Full disks and company: what a command leaves behind when the machine refuses."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import v2gpki
from v2gpki.wiring.audit_check import check_audit

PASSPHRASE = "a passphrase of the tests"
PROGRAM = [sys.executable, "-m", "v2gpki"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with v2gpki.open_authority(tmp_path / "home", passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return tmp_path / "home"


def command(home: Path, *arguments: str, largest_file: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command; with ``largest_file`` every write beyond so many octets of a file fails, as on a full disk."""

    def limit() -> None:
        if largest_file:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    environment = {**os.environ, "V2GPKI_HOME": str(home), "V2GPKI_PASSPHRASE": PASSPHRASE}
    return subprocess.run(
        [*PROGRAM, *arguments],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )


def snapshot(home: Path) -> tuple[int, int]:
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        assert ca.issuance is not None
        check_audit(ca.store).verdict.require_sound()
        return ca.store.count_certificates(), len(ca.store.pending_intents())


def test_no_room_for_the_files(home: Path) -> None:
    """Found out before anything is signed."""
    before = snapshot(home)
    arguments = ("cert", "issue", "secc", "--id", "DE*ACM*E0001", "--plain-key", "--out", "o")
    done = command(home, *arguments, largest_file=40_000)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    assert "o cannot be written" in done.stderr
    assert not (home.parent / "o").exists()
    assert snapshot(home) == before


def test_no_room_in_the_store(home: Path) -> None:
    """The database cannot grow: refused, nothing handed out, and the home goes on when there is room again."""
    before = snapshot(home)
    size = (home / "store.db").stat().st_size
    done = command(home, "init", "--edition", "iso15118-20", largest_file=max(size, 65536))
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(home)[1] == 0
    assert snapshot(home)[0] >= before[0]
    assert command(home, "init", "--edition", "iso15118-20").returncode == 0
    assert snapshot(home)[0] == before[0] + 54


def test_two_processes_make_one_home(tmp_path: Path) -> None:
    """Of two that create the same home at once, at least one gets through, and the other says why or agrees."""
    home = tmp_path / "home"
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: command(home, "init", "--edition", "iso15118-2"), range(2)))
    assert min(process.returncode for process in done) == 0
    for process in done:
        assert process.returncode in (0, 1, 3), process.stderr
        assert "Traceback" not in process.stderr
        assert "internal" not in process.stderr
    assert command(home, "init", "--edition", "iso15118-2").returncode == 0
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        slugs = [authority.slug for authority in ca.store.authorities()]
        assert len(slugs) == len(set(slugs)) == 11
        check_audit(ca.store).verdict.require_sound()


def test_many_processes_publish_at_once(home: Path) -> None:
    """Each gets a CRL of its own number; who loses the race signs again."""
    arguments = ("crl", "issue", "iso2-cpo-sub-ca-2", "--json", "--out")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: command(home, *arguments, f"{number}.crl"), range(4)))
    assert [process.returncode for process in done] == [0, 0, 0, 0], [process.stderr for process in done]
    assert sorted(json.loads(process.stdout)["number"] for process in done) == [1, 2, 3, 4]


def test_a_wrong_lab_file_leaves_no_home(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('[[hierarchy]]\nname = "x"\neditions = ["iso15118-9"]\n')
    for arguments in (("--lab", "lab.toml"), ("--edition", "iso15118-9")):
        done = command(tmp_path / "home", "init", *arguments)
        assert done.returncode == 2, done.stderr
        assert "iso15118-9" in done.stderr
        assert not (tmp_path / "home").exists()


def test_two_processes_issue_at_once(home: Path) -> None:
    before = snapshot(home)[0]

    def issue(number: int) -> subprocess.CompletedProcess[str]:
        out = f"o{number}"
        return command(home, "cert", "issue", "secc", "--id", f"DE*ACM*E000{number}", "--plain-key", "--out", out)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(issue, range(4)))
    assert [process.returncode for process in done] == [0, 0, 0, 0], [process.stderr for process in done]
    assert snapshot(home)[0] == before + 4
