"""``v2gpki serve``, ``token`` and ``access`` as a person or a service manager uses them: processes, signals, files."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

import v2gpki
from v2gpki.cli import run
from v2gpki.cli.token import _known_or_revoked
from v2gpki.wiring.access import access_of

PASSPHRASE = "a passphrase of the tests"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ISO 15118-2 home made by now, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "home"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("V2GPKI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "home"))


@dataclass
class Program:
    """A running ``v2gpki serve`` and what its ready-file said."""

    process: subprocess.Popen[str]
    ready: dict[str, object]
    stdout: str

    @property
    def url(self) -> str:
        listeners = self.ready["listeners"]
        assert isinstance(listeners, list)
        return str(listeners[0]["url"])

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Signal it; (exit code, stderr)."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@contextmanager
def program(*arguments: str, cwd: Path) -> Iterator[Program]:
    """In a process group of its own, which is gone at the end."""
    ready = cwd / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "v2gpki", "serve", "--listen", "127.0.0.1:0", "--ready-file", str(ready), *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        # The first line comes when every address is open and the ready-file is written.
        first = process.stdout.readline()
        assert first, process.communicate(timeout=60)
        yield Program(process, json.loads(ready.read_text()), first)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    printed = capsys.readouterr()
    return dict(json.loads(printed.out if code == 0 else printed.err))


# -- serve ---------------------------------------------------------------------------------------
def test_it_says_what_it_serves_and_ends_when_told(home: Path, tmp_path: Path) -> None:
    with program("--crl", "--ocsp", cwd=tmp_path) as served:
        assert served.stdout == f"listening at {served.url}\n"
        assert served.process.stdout is not None
        lines = [served.process.stdout.readline() for _ in range(3)]
        assert lines[0].strip() == f"OCSP responder: {served.url}/ocsp"
        assert lines[1].strip() == f"CRLs: {served.url}/crl/<authority>.crl"
        assert "/healthz" in lines[2]
        assert served.ready["schema"] == "v2gpki/serving/1"
        assert served.ready["process"] == served.process.pid
        assert httpx.get(f"{served.url}/readyz").status_code == 200
        assert httpx.get(f"{served.url}/cpo/cacerts/ISO15118-2").status_code == 404
        code, errors = served.end()
        assert code == 0, errors
        assert not (tmp_path / "ready.json").exists()
        assert "Traceback" not in errors
    assert list((home / "sessions").iterdir()) == []


def test_ctrl_c_and_json(home: Path, tmp_path: Path) -> None:
    with program("--json", cwd=tmp_path) as served:
        assert served.stdout == "{\n"
        code, errors = served.end(signal.SIGINT)
        assert code == 0, errors
        lines = [json.loads(line) for line in errors.splitlines()]
        assert any(line["message"] == "serving" and line["urls"] == served.url for line in lines)


def test_without_a_passphrase_it_serves_what_needs_none(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    with program("--locked", cwd=tmp_path) as served:
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        assert httpx.get(f"{served.url}/readyz").json()["checks"]["keys"] == "home.locked"
        assert served.end()[0] == 0


@pytest.mark.parametrize("more", [(), ("--one-process",)], ids=["signing-process", "one-process"])
def test_all_settings_of_another_file_are_taken_not_those_of_serve_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    """The passphrase is found by them, and CRLs hold as long as they say; the home's own file is not looked at."""
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    (home / "v2gpki.toml").write_text('crl_days = 3\npassphrase_file = "nowhere"\n')
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    (tmp_path / "other.toml").write_text(f'crl_days = 21\npassphrase_file = "{secret}"\n[serve]\nparts = ["crl"]\n')
    with program("--config", "other.toml", *more, cwd=tmp_path) as served:
        # The first lists are published while it serves already.
        ends = time.monotonic() + 30
        while (answer := httpx.get(f"{served.url}/crl/iso2-v2g-root.crl")).status_code == 404:
            assert time.monotonic() < ends
        assert answer.status_code == 200
        crl = x509.load_der_x509_crl(answer.content)
        assert crl.next_update_utc is not None
        # The profile may set thisUpdate back by minutes; another file's days would differ by days.
        assert round((crl.next_update_utc - crl.last_update_utc) / timedelta(days=1)) == 21


@pytest.mark.parametrize(
    ("arguments", "code", "name"),
    [
        (["--listen", "nowhere"], 2, "serving.bad_address"),
        (["--listen", "https://127.0.0.1:0"], 3, "serving.bad_certificate"),
        (["--listen", "127.0.0.1:0", "--tls"], 3, "serving.no_certificate"),
        (["--listen", "127.0.0.1:0", "--config", "bad.toml"], 3, "settings.unknown_key"),
        (["--listen", "127.0.0.1:0", "--config", "not-there.toml"], 3, "file.unreadable"),
    ],
)
def test_what_cannot_be_served(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, name: str
) -> None:
    Path("bad.toml").write_text("[serve]\nlisten_at = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "v2gpki", "serve", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert json.loads(done.stderr)["code"] == name


def test_a_trust_list_that_cannot_be_served_is_said_before_a_passphrase_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "wrong")
    (home / "list.ctl").write_text("no list")
    (home / "v2gpki.toml").write_text(f'org = "Acme"\n[serve]\ntrust_list = "{home}/list.ctl"\n')
    done = subprocess.run(
        [sys.executable, "-m", "v2gpki", "serve", "--pools", "--listen", "127.0.0.1:0", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = json.loads(done.stderr)
    assert (done.returncode, said["code"], said["facts"]["key"]) == (3, "file.unreadable", "serve.trust_list")


def test_an_address_that_is_taken_is_all_that_is_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        # Who notices the end of the server first, the signing process or its guard, is chance.
        for _ in range(4):
            done = subprocess.run(
                [sys.executable, "-m", "v2gpki", "serve", "--listen", address, "--json"],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 3
            assert json.loads(done.stderr)["code"] == "serving.address_taken", done.stderr


def test_a_home_that_is_not_there_is_said_before_a_passphrase_is_asked_for(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    assert told(capsys, "--home", str(tmp_path / "none"), "serve", code=3)["code"] == "home.missing"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("option", [[], ["--one-process"], ["--locked"]])
def test_a_program_without_a_home_says_so(home: Path, tmp_path: Path, option: list[str]) -> None:
    arguments = [sys.executable, "-m", "v2gpki", "--home", str(tmp_path / "none"), "serve", "--json", *option]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, json.loads(done.stderr)["code"]) == (3, "home.missing")
    assert not (tmp_path / "none").exists()


def test_a_wrong_passphrase_is_said_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "wrong")
    done = subprocess.run(
        [sys.executable, "-m", "v2gpki", "serve", "--listen", "127.0.0.1:0", "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "key.wrong_passphrase" in done.stderr) == (3, True)


# -- several processes ---------------------------------------------------------------------------
def test_workers_share_the_work_and_are_replaced(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with program("--workers", "2", "--json", cwd=tmp_path) as served:
        children = workers_of(served.process.pid)
        assert len(children) == 2
        for _ in range(20):
            assert httpx.get(f"{served.url}/nothing").status_code == 404
        # Whoever answers knows what both counted.
        assert 'v2gpki_http_requests_total{part="other",status="404"} 20.0' in httpx.get(f"{served.url}/metrics").text
        for child in children:
            os.kill(child, signal.SIGKILL)
        assert served.process.stderr is not None
        replaced = 0
        while replaced < 2:
            replaced += json.loads(served.process.stderr.readline())["message"].endswith("is replaced")
        # The sockets are the parent's: whoever connects waits for the new ones, and counters go on.
        assert 'v2gpki_http_requests_total{part="other",status="404"} 20.0' in httpx.get(
            f"{served.url}/metrics", timeout=60
        ).text
        code, errors = served.end()
        assert code == 0, errors
    assert list((home / "sessions").glob("*.sock")) == []


def test_workers_end_with_their_parent(home: Path, tmp_path: Path) -> None:
    with program("--workers", "2", cwd=tmp_path) as served:
        handles = [os.pidfd_open(child) for child in workers_of(served.process.pid)]
        assert len(handles) == 2
        served.process.kill()
        served.process.wait(60)
        for handle in handles:
            # Readable when the process has ended.
            assert select.select([handle], [], [], 60)[0] == [handle]
            os.close(handle)


def test_workers_that_cannot_start_end_the_server(home: Path, tmp_path: Path) -> None:
    with program("--workers", "2", "--one-process", "--json", cwd=tmp_path) as served:
        # From now on nobody can open the home.
        (home / "keys").rename(home / "gone")
        for child in workers_of(served.process.pid):
            os.kill(child, signal.SIGKILL)
        _, errors = served.process.communicate(timeout=120)
        assert served.process.returncode == 3
        assert json.loads(errors.splitlines()[-1])["code"] == "serving.workers_died"


def workers_of(parent: int) -> list[int]:
    """The serving processes: its children but for the guard of the signing process."""
    arguments = Path(f"/proc/{parent}/cmdline").read_text().rstrip("\0").split("\0")
    guard = int(arguments[-1].partition(":")[2]) if "--signing-process" in arguments else 0
    children = [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [child for child in children if child != guard]


# -- tokens --------------------------------------------------------------------------------------
def test_tokens_are_created_listed_and_revoked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created = told(capsys, "token", "create", "cpo-a", "--scope", "est", "--scope", "pools", "--valid", "P90D")
    secret = str(created["secret"])
    assert secret.startswith(f"v2gpki_{created['id']}_")
    assert (created["identity"], created["scopes"], created["state"]) == ("cpo-a", ["est", "pools"], "valid")
    assert run(["token", "create", "cpo-b", "--scope", "est", "-o", "secret.txt", "--comment", "for MaEVe"]) == 0
    file = Path("secret.txt")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text().strip()
    printed = capsys.readouterr()
    assert kept not in printed.out + printed.err
    again = told(capsys, "token", "create", "cpo-b", "--scope", "est", "-o", "secret.txt", code=1)
    assert again["code"] == "file.exists"
    listed = told(capsys, "token", "list")
    assert isinstance(listed["tokens"], list)
    assert [(one["identity"], one["state"]) for one in listed["tokens"]] == [("cpo-a", "valid"), ("cpo-b", "valid")]
    assert secret[24:] not in json.dumps(listed)
    assert told(capsys, "token", "revoke", str(created["id"])[:8], "--yes")["state"] == "revoked"
    assert run(["token", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert told(capsys, "token", "revoke", "ffff", "--yes", code=1)["code"] == "store.unknown_token"
    assert run(["audit", "verify"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "name"),
    [
        (["a b", "--scope", "est"], 1, "access.bad_identity"),
        (["a", "--scope", "root"], 1, "access.bad_scope"),
        (["a"], 2, "usage.invalid"),
        (["a", "--scope", "est", "--valid", "P1M"], 2, "usage.invalid"),
        (["a", "--scope", "est", "--valid", "PT0S"], 1, "access.bad_lifetime"),
        (["a", "--scope", "est", "--certificate", "missing.pem"], 3, "file.unreadable"),
    ],
)
def test_what_is_no_token(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, name: str
) -> None:
    assert told(capsys, "token", "create", *arguments, code=code)["code"] == name
    assert told(capsys, "token", "list")["tokens"] == []


@pytest.mark.parametrize("name", ["taken/secret.txt", "folder/" + "x" * 250, "/proc/secret.txt"])
def test_no_token_is_made_whose_secret_cannot_be_written(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path("taken").write_text("a file where a folder is needed")
    arguments = ["token", "create", "a", "--scope", "est", "-o", name]
    assert told(capsys, *arguments, code=3)["code"] == "file.unwritable"
    assert told(capsys, "token", "list")["tokens"] == []
    assert not Path("folder").exists()


def test_a_refused_token_leaves_no_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "token", "create", "a b", "--scope", "est", "-o", "new/folder/secret.txt", code=1)
    assert not Path("new").exists()


def test_a_token_whose_secret_is_lost_is_revoked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place was writable at first: it goes while the passphrase is being asked for, of a pipe."""
    os.mkfifo("passphrase", 0o600)
    Path("folder").mkdir()

    def type_it() -> None:
        with Path("passphrase").open("w") as pipe:
            Path("folder").rmdir()
            Path("folder").write_text("in the way")
            pipe.write(PASSPHRASE)

    typing = threading.Thread(target=type_it)
    typing.start()
    arguments = ["token", "create", "a", "--scope", "est", "-o", "folder/secret.txt"]
    refused = told(capsys, "--passphrase-file", "passphrase", *arguments, code=3)
    typing.join()
    (token,) = told(capsys, "token", "list")["tokens"]  # type: ignore[misc]  # a list
    assert (refused["code"], token["state"]) == ("file.unwritable", "revoked")
    assert token["id"] in str(refused["message"])
    assert "is revoked" in str(refused["message"])


def test_an_interruption_revokes_it_too(home: Path) -> None:
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        access = access_of(ca)
        made, _ = access.create("a", ["est"], caller="test")
        with pytest.raises(KeyboardInterrupt), _known_or_revoked(access, made):
            raise KeyboardInterrupt
        (token,) = access.tokens()
    assert token.revoked_at is not None


@pytest.mark.parametrize("options", ["", "--json", "-o -"])
def test_a_token_whose_secret_nobody_read_is_revoked(
    home: Path, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    line = f'"{sys.executable}" -m v2gpki token create a --scope est {options} >/dev/full'
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False)
    assert done.returncode == 3
    assert b"is revoked" in done.stderr
    assert b"Traceback" not in done.stderr
    (token,) = told(capsys, "token", "list")["tokens"]  # type: ignore[misc]  # a list
    assert token["state"] == "revoked"


def test_a_token_for_a_certificate(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cert", "issue", "secc", "--id", "DE*ACM*E001", "--plain-key", "--out", "out"]) == 0
    created = told(capsys, "token", "create", "cpo-a", "--scope", "est", "--certificate", "out/cert.pem")
    assert (created["kind"], "secret" in created) == ("certificate", False)


# -- the registration table ----------------------------------------------------------------------
def test_the_registration_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("ids.txt").write_text("DE*ICE*E1\n\nDE*ICE*E2\n")
    assert told(capsys, "access", "register", "cpo-a", "--role", "secc", "--id-file", "ids.txt")["new"] == 2
    more = ["--id", "DEICEE1", "--prefix", "DE8"]
    assert told(capsys, "access", "register", "cpo-a", "--role", "secc", *more)["new"] == 1
    assert told(capsys, "access", "register", "cps-a", "--role", "cps", "--any")["new"] == 1
    rows = told(capsys, "access", "list", "--identity", "cpo-a")["registrations"]
    assert isinstance(rows, list)
    assert [(row["match"], row["value"]) for row in rows] == [
        ("id", "DE*ICE*E1"),
        ("id", "DE*ICE*E2"),
        ("prefix", "DE8"),
    ]
    assert run(["access", "list"]) == 0
    shown = capsys.readouterr().out
    assert "every id" in shown
    assert "DE8..." in shown
    assert told(capsys, "access", "remove", "cpo-a", "--role", "secc", "--id", "DEICEE1", "--yes")["removed"] == 1
    assert told(capsys, "access", "remove", "cpo-a", "--yes")["removed"] == 2
    assert told(capsys, "access", "register", "cpo-a", "--role", "secc", code=2)["code"] == "usage.invalid"
    assert told(capsys, "access", "register", "a", "--role", "x", "--any", code=2)["code"] == "profile.unknown_role"
    root = told(capsys, "access", "register", "a", "--role", "v2g-root", "--any", code=1)
    assert root["code"] == "access.bad_role"
    assert {"secc", "contract", "oem", "cps"} <= set(str(root["hint"]).replace(",", "").split())
    assert run(["audit", "verify"]) == 0
