"""What the tests of contracts and installations share: a home with a vehicle of each edition, made once, and runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import v2gpki
from v2gpki.certs.chain import pem
from v2gpki.cli import run
from v2gpki.keys import pkcs8

PASSPHRASE = "a passphrase of the tests"
PCID = "WACME0000000000012"
EMAID = "DEACMC12345678G"
#: Short names of the editions, which are folders too, with the key family of their vehicle.
EDITIONS = {"iso2": ("iso15118-2", "p256", "iso2"), "iso20": ("iso15118-20", "p521", "iso20-p521")}


def make(folder: Path) -> Path:
    """A home with both editions beside a folder for each vehicle: key.pem, chain.pem, root.pem."""
    with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True, caller="test") as ca:
        ca.initialise(ca.plan(["iso15118-2", "iso15118-20"]), org="Acme")
        for name, (edition, suite, slug) in EDITIONS.items():
            issued = ca.issue("oem", edition=edition, suite=suite, id=PCID)
            ca.plug_and_charge.oem.register(issued, caller="test")
            assert issued.private_key is not None
            (folder / name).mkdir()
            (folder / name / "key.pem").write_bytes(pkcs8.plain(issued.private_key))
            (folder / name / "chain.pem").write_bytes(pem(issued.chain))
            (folder / name / "root.pem").write_bytes(pem([ca.authority(f"{slug}-v2g-root").der]))
            (folder / name / "oem-root.pem").write_bytes(pem([ca.authority(f"{slug}-oem-root").der]))
            (folder / name / "mo-root.pem").write_bytes(pem([ca.authority(f"{slug}-mo-root").der]))
    return folder


@dataclass
class Line:
    """A command line whose working folder has all that."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def told(self, *arguments: str | Path, exit_code: int = 0, refused: bool = False) -> dict[str, Any]:
        """The one JSON object of a run: on stdout, or on stderr when it is `refused`."""
        status = run(["--json", *(str(argument) for argument in arguments)])
        captured = self.capsys.readouterr()
        assert status == (exit_code or (1 if refused else 0)), captured.err + captured.out
        value = json.loads(captured.err if refused else captured.out)
        assert isinstance(value, dict)
        assert next(iter(value)) == "schema"
        return value

    def stream(self, *arguments: str | Path) -> list[dict[str, Any]]:
        """The JSON objects of a run, one a line."""
        assert run(["--json", *(str(argument) for argument in arguments)]) == 0
        return [json.loads(line) for line in self.capsys.readouterr().out.splitlines()]

    def said(self, *arguments: str | Path, exit_code: int = 0) -> str:
        """What people read: stdout, then stderr."""
        status = run([str(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        assert status == exit_code, captured.err + captured.out
        return captured.out + captured.err

    def contract(self, emaid: str = EMAID, *options: str) -> dict[str, Any]:
        """A new contract of the vehicle."""
        return self.told("contract", "create", "--emaid", emaid, "--pcid", PCID, *options)

    def request(self, name: str, out: str, *options: str) -> dict[str, Any]:
        """The vehicle's request, written."""
        return self.told(
            *("installation", "request", "--oem-key", f"{name}/key.pem", "--oem-chain", f"{name}/chain.pem"),
            *("--root", f"{name}/root.pem", "--out", out, *options),
        )


def opened_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    """A private copy, the passphrase in the environment."""
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    folder = tmp_path / "work"
    shutil.copytree(made, folder)
    monkeypatch.setenv("V2GPKI_HOME", str(folder / "home"))
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(folder)
    return Line(folder, capsys)


Opened = Callable[[], Line]
