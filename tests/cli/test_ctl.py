"""``v2gpki ctl`` as a person or a script uses it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from v2gpki.cli import run

PASSPHRASE = "a passphrase of the tests"
Told = Callable[..., dict[str, object]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ISO 15118-2 home made by now, to be copied."""
    folder = tmp_path_factory.mktemp("made") / "home"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return folder


@pytest.fixture
def lab(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("V2GPKI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("V2GPKI_PASSPHRASE", PASSPHRASE)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "home")
    return tmp_path


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def command(*arguments: str, status: int = 0) -> dict[str, object]:
        assert run([*arguments, "--json"]) == status, capsys.readouterr()
        output = capsys.readouterr()
        found: dict[str, object] = json.loads(output.out or output.err)
        return found

    return command


@pytest.fixture
def signed(lab: Path, told: Told) -> dict[str, object]:
    """list.json and list.ctl in the working folder."""
    told("ctl", "create", "--issuer", "Acme", "--number", "1", "-o", "list.json")
    return told("ctl", "sign", "list.json", "--by", "iso2-v2g-root", "-o", "list.ctl")


def test_create_sign_show(lab: Path, told: Told, signed: dict[str, object]) -> None:
    fingerprint = str(signed["signer"])
    shown = told("ctl", "show", "list.ctl", "--fingerprint", fingerprint)
    assert (shown["issuer"], shown["number"], shown["problems"]) == ("Acme", 1, [])
    roots = shown["roots"]
    assert isinstance(roots, list)
    assert {"v2g-root", "mo-root", "oem-root"} <= {root["role"] for root in roots}
    unknown = told("ctl", "show", "list.ctl", status=1)
    assert [problem["code"] for problem in unknown["problems"]] == ["trust_list.unknown_signer"]  # type: ignore[attr-defined]
    late = told("ctl", "show", "list.ctl", "--fingerprint", fingerprint, "--at", "2099-01-01", status=1)
    assert "trust_list.over" in {problem["code"] for problem in late["problems"]}  # type: ignore[attr-defined]


def test_a_signer_may_be_named_by_a_file(lab: Path, told: Told, signed: dict[str, object]) -> None:
    told("ca", "show", "iso2-v2g-root")
    with v2gpki.open_authority(lab / "home") as ca:
        (lab / "root.der").write_bytes(ca.authority("iso2-v2g-root").der)
    assert told("ctl", "show", "list.ctl", "--signer", "root.der")["problems"] == []


def test_diff(lab: Path, told: Told, signed: dict[str, object]) -> None:
    assert told("ctl", "diff", "list.json", "list.ctl")["changes"] == []
    told("ctl", "create", "--issuer", "Acme", "--number", "2", "--role", "mo-root", "-o", "less.json")
    found = told("ctl", "diff", "list.ctl", "less.json", status=1)["changes"]
    assert isinstance(found, list)
    assert {change["kind"] for change in found} == {"removed"}
    assert "mo-root" not in {change["role"] for change in found}


def test_import_into_another_home(
    lab: Path, told: Told, signed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V2GPKI_HOME", str(lab / "other"))
    told("init", "--edition", "iso15118-20", "--org", "Other")
    refused = told("ctl", "import", "list.ctl", status=1)
    assert refused["code"] == "trust_list.unknown_signer"
    done = told("ctl", "import", "list.ctl", "--fingerprint", str(signed["signer"]))
    roots = done["added"]
    assert isinstance(roots, list)
    with v2gpki.open_authority(lab / "other") as ca:
        trusted = {root.fingerprint.hex() for root in ca.plug_and_charge.roots.list() if root.decision == "trusted"}
    assert {root["fingerprint"] for root in roots} <= trusted
    again = told("ctl", "import", "list.ctl", "--fingerprint", str(signed["signer"]))
    assert (again["added"], len(again["unchanged"])) == ([], len(roots))  # type: ignore[arg-type]


def test_opcp_and_root_stores(lab: Path, told: Told, signed: dict[str, object]) -> None:
    told("ctl", "sign", "list.json", "--by", "iso2-v2g-root", "--opcp", "-o", "answer.json")
    document = json.loads((lab / "answer.json").read_text())
    assert set(document) == {"signerCertificate", "timeStamp", "CTL", "signedData"}
    fingerprint = str(signed["signer"])
    told("ctl", "roots", "answer.json", "--fingerprint", fingerprint, "--role", "mo-root", "-o", "mo.pem")
    (root,) = x509.load_pem_x509_certificates((lab / "mo.pem").read_bytes())
    assert "MO" in root.subject.rfc4514_string()
    refused = told("ctl", "roots", "answer.json", "-o", "other.pem", status=1)
    assert refused["code"] == "trust_list.unknown_signer"
    assert not (lab / "other.pem").exists()


def test_roots_of_files(lab: Path, told: Told) -> None:
    with v2gpki.open_authority(lab / "home") as ca:
        (lab / "mo.der").write_bytes(ca.authority("iso2-mo-root").der)
        (lab / "sub.der").write_bytes(ca.authority("iso2-mo-sub-ca-1").der)
    made = told("ctl", "create", "--issuer", "A", "--number", "1", "--root", "mo-root=mo.der", "-o", "one.json")
    assert made["roots"] == 1
    arguments = ("ctl", "create", "--issuer", "A", "--number", "1", "-o", "two.json", "--root")
    assert told(*arguments, "mo-root=sub.der", status=1)["code"] == "trust_list.not_a_root"
    assert told(*arguments, "mo.der", status=2)["code"] == "usage.invalid"
    assert not (lab / "two.json").exists()


def test_people_read_it(lab: Path, signed: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ctl", "show", "list.ctl", "--fingerprint", str(signed["signer"])]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Acme, list 1, ")
    assert str(signed["signer"]) in text
    assert run(["ctl", "diff", "list.ctl", "list.json"]) == 0
    assert "the same roots" in capsys.readouterr().out
