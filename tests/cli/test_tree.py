"""``v2gpki tree`` on a home whose rows are written here: who is below whom, counts, leaves, files."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from v2gpki.cli import run
from v2gpki.store.records import AuthorityRecord, CertificateRecord, IntentRecord
from v2gpki.store.sqlite import SqliteStore

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
START, END = AT - timedelta(days=100), AT + timedelta(days=1000)


class Home:
    """A store that is filled row by row; certificates are octets that nobody parses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = SqliteStore(folder / "store.db", create=True)
        self.serial = 0x40 << 152

    def certificate(self, issuer: str, role: str, *, edition: str, authority: AuthorityRecord | None = None) -> str:
        der = authority.der if authority else f"leaf {self.serial}".encode()
        serial = authority.serial if authority else self.next_serial()
        reference = f"{serial:032x}"[-32:]
        self.store.record_intents(
            [IntentRecord(reference, issuer, serial, hashlib.sha256(der).digest(), edition, role, "", "test", START)]
        )
        record = CertificateRecord(
            issuer,
            serial,
            hashlib.sha256(der).digest(),
            edition,
            "p256",
            role,
            "" if authority else "DE*ABC*E1",
            authority.subject if authority else "CN=DE*ABC*E1",
            START,
            END,
            der,
            "00" * 32,
            "test",
            START,
        )
        self.store.commit_results([record], [reference], authorities=[authority] if authority else [])
        return f"{serial:x}"

    def authority(self, slug: str, role: str, issuer: str = "", *, edition: str = "iso15118-2") -> str:
        label = f"{slug}@1"
        record = AuthorityRecord(
            label,
            slug,
            1,
            edition,
            "p256",
            role,
            f"CN=Acme {role}\\, Inc,O=Acme",
            role.encode(),
            b"\x01" * 20,
            issuer or label,
            self.next_serial(),
            START,
            END,
            f"authority {slug}".encode(),
            (),
            "",
        )
        self.certificate(record.issuer_id, role, edition=edition, authority=record)
        return label

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = Home(tmp_path)
    root = made.authority("iso2-v2g-root", "v2g-root")
    first = made.authority("iso2-cpo-sub-ca-1", "cpo-sub-ca-1", root)
    second = made.authority("iso2-cpo-sub-ca-2", "cpo-sub-ca-2", first)
    made.authority("iso2-mo-root", "mo-root")
    made.authority("ocpp-csms-root", "csms-root", edition="ocpp")
    for _ in range(3):
        made.certificate(second, "secc", edition="iso15118-2")
    made.certificate(root, "ocsp", edition="iso15118-2")
    made.store.close()
    return tmp_path


def tree(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["--home", str(home), "tree", "--at", "2026-05-01T12:00:00Z", *arguments]) == 0
    return capsys.readouterr().out


def test_the_text(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split() for line in tree(home, capsys).splitlines()]
    assert lines[0] == ["iso15118-2"]
    assert [line[: line.index("Acme")] for line in lines if "Acme" in line] == [
        ["iso2-v2g-root@1"],
        ["└──", "iso2-cpo-sub-ca-1@1"],
        ["└──", "iso2-cpo-sub-ca-2@1"],
        ["iso2-mo-root@1"],
        ["ocpp-csms-root@1"],
    ]
    assert lines[1][-3:] == ["+", "1", "certificate"]
    assert lines[3][-3:] == ["+", "3", "certificates"]
    assert lines[1][1:4] == ["Acme", "v2g-root,", "Inc"]


def test_the_value(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = json.loads(tree(home, capsys, "--json"))
    assert (value["schema"], value["at"]) == ("v2gpki/tree/1", "2026-05-01T12:00:00Z")
    assert [root["label"] for root in value["roots"]] == ["iso2-v2g-root@1", "iso2-mo-root@1", "ocpp-csms-root@1"]
    root = value["roots"][0]
    assert (root["branch"], root["standing"], root["issued"]) == ("v2g", "valid", 1)
    assert root["fingerprint"] == hashlib.sha256(b"authority iso2-v2g-root").hexdigest()
    assert root["children"][0]["children"][0]["issued"] == 3


def test_one_edition(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = json.loads(tree(home, capsys, "--json", "--edition", "ocpp"))
    assert [root["label"] for root in value["roots"]] == ["ocpp-csms-root@1"]


def test_leaves(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = json.loads(tree(home, capsys, "--json", "--leaves"))
    root = value["roots"][0]
    assert [(child["role"], child["leaf"]) for child in root["children"]] == [("cpo-sub-ca-1", False), ("ocsp", True)]
    second = root["children"][0]["children"][0]
    assert [(child["role"], child["name"]) for child in second["children"]] == [("secc", "DE*ABC*E1")] * 3
    assert (root["issued"], second["issued"]) == (0, 0)


def test_the_picture(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tree.svg"
    assert f"wrote {file}" in tree(home, capsys, "--svg", str(file))
    assert len(ElementTree.parse(file).getroot().findall("{http://www.w3.org/2000/svg}g")) == 5
    assert run(["--home", str(home), "tree", "--svg", str(file)]) == 1
    assert "file.exists" in capsys.readouterr().err
    tree(home, capsys, "--svg", str(file), "--force", "--leaves")
    assert len(ElementTree.parse(file).getroot().findall("{http://www.w3.org/2000/svg}g")) == 9


def test_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path / "none"), "tree", "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["code"] == "home.missing"
    assert not (tmp_path / "none").exists()
