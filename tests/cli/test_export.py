"""``v2gpki export`` as a program: one result, the password from a file, warnings, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.conftest import PASSPHRASE


@pytest.fixture
def home(home_iso2: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    shutil.copytree(home_iso2, folder)
    return folder


def export(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``v2gpki export`` with the home's passphrase in the environment."""
    return run("export", "--home", str(home), *arguments)


def init(home: Path, edition: str) -> subprocess.CompletedProcess[str]:
    """Add an edition to the home."""
    return run("init", "--home", str(home), "--edition", edition)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``v2gpki`` with the home's passphrase in the environment."""
    return subprocess.run(
        [sys.executable, "-m", "v2gpki", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "V2GPKI_PASSPHRASE": PASSPHRASE},
    )


def test_json_is_the_manifest_and_the_folder(home: Path, tmp_path: Path) -> None:
    done = export(home, "--layout", "josev", "--out", str(tmp_path / "pki"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert next(iter(value)) == "schema"
    assert value.pop("folder") == str(tmp_path / "pki")
    assert value == json.loads((tmp_path / "pki" / "manifest.json").read_text("utf-8"))


def test_several_editions_are_several_manifests(home: Path, tmp_path: Path) -> None:
    for edition in ("iso15118-2", "iso15118-20"):
        assert init(home, edition).returncode == 0
    out = tmp_path / "pki"
    done = export(
        home, "--layout", "everest", "--out", str(out), "--edition", "iso15118-2", "--edition", "iso15118-20", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    value = json.loads(done.stdout)
    assert (value["schema"], value["folder"]) == ("v2gpki/exports/1", str(out))
    for one, edition in zip(value["exports"], ("iso15118-2", "iso15118-20"), strict=True):
        assert one.pop("folder") == str(out / edition)
        assert one == json.loads((out / edition / "manifest.json").read_text("utf-8"))


def test_people_are_told_what_was_issued_and_warned(home: Path, tmp_path: Path) -> None:
    done = export(home, "--layout", "josev", "--out", str(tmp_path / "pki"), "--emaid", "DE-ABC-C12345678")
    assert done.returncode == 0
    assert "DEABCC12345678" in done.stdout
    assert "warning: the folder holds private keys and their password" in done.stderr


def test_the_password_is_the_first_line_of_its_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes("größer als 12345\r\nnot this\n".encode())
    out = tmp_path / "pki"
    done = export(home, "--layout", "josev", "--out", str(out), "--password-file", str(tmp_path / "password"))
    assert done.returncode == 0
    assert "größer" not in done.stdout + done.stderr
    pem = (out / "iso15118_2" / "private_keys" / "oemLeaf.key").read_bytes()
    serialization.load_pem_private_key(pem, "größer als 12345".encode())


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--layout", "rise"], 2, "use one of everest, josev"),
        (["--layout", "josev", "--edition", "ocpp"], 2, "holds certificates of iso15118-2"),
        (["--layout", "josev", "--pcid", "too-short"], 1, "PCID"),
        (["--layout", "josev", "--evccid", "WABV0000000000000001"], 2, "an id was given for vehicle"),
    ],
)
def test_refusals(home: Path, tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    done = export(home, *arguments, "--out", str(tmp_path / "pki"))
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
    assert not (tmp_path / "pki").exists()
