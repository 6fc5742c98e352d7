"""What the tests of the pool commands share: a home made once, runs with JSON and for people, foreign files."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import v2gpki
from v2gpki.certs.chain import pem
from v2gpki.cli import run

PASSPHRASE = "a passphrase of the tests"
PCID = "WVWABCDEFGH123456"
EMAID = "DEABCC123ABC56"


def make_home(folder: Path, org: str) -> Path:
    """An ISO 15118-2 home, made by now."""
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True, caller="test") as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org=org)
    return folder


def write_chain(home: Path, file: Path, pcid: str = PCID) -> Path:
    """A new provisioning certificate of a home with its sub-CAs, as PEM."""
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, caller="test") as ca:
        file.write_bytes(pem(ca.issue("oem", id=pcid, edition="iso15118-2").chain))
    return file


def write_root(home: Path, file: Path, slug: str) -> Path:
    """The certificate of one of a home's roots, as PEM."""
    with v2gpki.open_authority(home, caller="test") as ca:
        file.write_bytes(pem([ca.authority(slug).der]))
    return file


@dataclass
class Line:
    """A command line in a home of its own."""

    home: Path
    capsys: pytest.CaptureFixture[str]

    def told(self, *arguments: str | Path, exit_code: int = 0) -> dict[str, object]:
        """The one JSON object of a run, from stderr when it is refused."""
        status = run(["--json", *(str(argument) for argument in arguments)])
        captured = self.capsys.readouterr()
        assert status == exit_code, captured.err
        value = json.loads(captured.err if exit_code else captured.out)
        assert isinstance(value, dict)
        assert next(iter(value)) == "schema"
        if exit_code == 1:
            assert value["hint"]
        return value

    def stream(self, *arguments: str | Path) -> list[dict[str, object]]:
        """The JSON objects of a run, one a line."""
        assert run(["--json", *(str(argument) for argument in arguments)]) == 0
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]

    def said(self, *arguments: str | Path, exit_code: int = 0) -> str:
        """What people read: stdout and stderr."""
        status = run([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        assert status == exit_code, captured.err
        return captured.out + captured.err


def opened_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    """A copy of a home, the passphrase in the environment, the working folder beside it."""
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    home = tmp_path / "home"
    shutil.copytree(made, home)
    monkeypatch.setenv("V2GPKI_HOME", str(home))
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    return Line(home, capsys)
