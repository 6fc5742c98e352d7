"""``v2gpki key`` and ``v2gpki audit`` on a home made by ``init-root``."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from v2gpki.cli import run
from v2gpki.store.sqlite import SqliteStore


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    passphrase = folder / "passphrase"
    passphrase.write_text("correct\n")
    passphrase.chmod(0o600)
    arguments = ["init-root", "--edition", "iso15118-2", "--name", "Test V2G Root"]
    assert run(["--home", str(folder / "home"), "--passphrase-file", str(passphrase), *arguments]) == 0
    return folder


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path / "home"


def call(home: Path, *arguments: str) -> int:
    return run(["--home", str(home), "--passphrase-file", str(home.parent / "passphrase"), *arguments])


def answer(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert call(home, *arguments, "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


def root_key(home: Path) -> ec.EllipticCurvePublicKey:
    store = SqliteStore(home / "store.db")
    record = store.authority("iso2-v2g-root")
    store.close()
    assert record is not None
    key = x509.load_der_x509_certificate(record.der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def test_a_plain_export_is_the_key_of_the_certificate(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = home.parent / "root.pem"
    value = answer(home, capsys, "key", "export", "iso2-v2g-root", "--plain-key", "-o", str(out))
    assert (value["schema"], value["target"], value["encrypted"]) == ("v2gpki/key/1", "iso2-v2g-root@1", False)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    key = load_pem_private_key(out.read_bytes(), None)
    assert key.public_key() == root_key(home)


def test_an_encrypted_export_needs_its_own_passphrase(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = home.parent / "other"
    secret.write_text("for others\n")
    secret.chmod(0o600)
    out = home.parent / "root.pem"
    answer(home, capsys, "key", "export", "iso2-v2g-root@1", "--key-passphrase-file", str(secret), "-o", str(out))
    assert b"ENCRYPTED" in out.read_bytes()
    with pytest.raises(ValueError):
        load_pem_private_key(out.read_bytes(), b"correct")
    assert load_pem_private_key(out.read_bytes(), b"for others").public_key() == root_key(home)


def test_an_export_stands_in_the_log_and_the_log_holds(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(home, "key", "export", "iso2-v2g-root", "--plain-key", "-o", str(home.parent / "k")) == 0
    shown = answer(home, capsys, "audit", "show", "--limit", "1")
    rows = shown["rows"]
    assert isinstance(rows, list)
    assert [(row["action"], row["target"]) for row in rows] == [("key.exported", "iso2-v2g-root@1")]
    assert rows[0]["sequence"] == shown["newest"]
    verdict = answer(home, capsys, "audit", "verify")
    assert (verdict["sound"], verdict["signed_up_to"], verdict["findings"]) == (True, shown["newest"], [])


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["nothing", "--plain-key"], 1, "store.unknown_certificate"),
        (["audit", "--plain-key"], 1, "store.unknown_certificate"),
        (["iso2-v2g-root"], 2, "usage.invalid"),
        (["iso2-v2g-root", "--plain-key", "--key-passphrase-file", "x"], 2, "usage.invalid"),
        (["iso2-v2g-root", "--key-passphrase-file", "missing"], 3, "file.unreadable"),
    ],
)
def test_exports_that_are_refused_write_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, code: str
) -> None:
    out = home.parent / "k"
    newest = answer(home, capsys, "audit", "show")["newest"]
    assert call(home, "key", "export", *arguments, "-o", str(out), "--json") == status
    assert json.loads(capsys.readouterr().err)["code"] == code
    assert not out.exists()
    assert answer(home, capsys, "audit", "show")["newest"] == newest


def test_a_key_is_not_exported_over_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = home.parent / "k"
    out.write_text("mine")
    newest = answer(home, capsys, "audit", "show")["newest"]
    assert call(home, "key", "export", "iso2-v2g-root", "--plain-key", "-o", str(out)) == 1
    assert out.read_text() == "mine"
    assert answer(home, capsys, "audit", "show")["newest"] == newest


def test_the_log_in_pages(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer(home, capsys, "audit", "show", "--after", "0", "--limit", "1")
    rows = shown["rows"]
    assert isinstance(rows, list)
    assert [row["sequence"] for row in rows] == [1]
    assert call(home, "audit", "show") == 0
    assert "certificate.issued" in capsys.readouterr().out


def test_an_anchor_finds_a_log_that_was_cut(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anchor = home.parent / "anchor.json"
    older = home.parent / "older"
    shutil.copytree(home, older)
    assert call(home, "key", "export", "iso2-v2g-root", "--plain-key", "-o", str(home.parent / "k")) == 0
    assert call(home, "audit", "anchor", "-o", str(anchor)) == 0
    assert call(home, "audit", "verify", "--anchor", str(anchor)) == 0
    # an older copy of the whole home in its place: sound in itself, and caught by the anchor
    assert call(older, "audit", "verify") == 0
    assert "could have happened unseen" in capsys.readouterr().out
    assert call(older, "audit", "verify", "--anchor", str(anchor), "--json") == 1
    error = json.loads(capsys.readouterr().err)
    assert error["code"] == "audit.broken"
    assert [finding["code"] for finding in error["findings"]] == ["audit.truncated"]
    anchor.write_text("{}")
    assert call(home, "audit", "verify", "--anchor", str(anchor), "--json") == 1
    assert json.loads(capsys.readouterr().err)["code"] == "audit.anchor_invalid"


def test_an_exchanged_audit_key_breaks_every_signature(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = home.parent / "elsewhere"
    passphrase = str(home.parent / "passphrase")
    assert run(["--home", str(other), "--passphrase-file", passphrase, "init-root", "--edition", "iso15118-2"]) == 0
    foreign = SqliteStore(other / "store.db")
    key = foreign.setting("audit_key")
    foreign.close()
    connection = sqlite3.connect(home / "store.db")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    changed = connection.execute("UPDATE settings SET value = ? WHERE name = 'audit_key'", (key,)).rowcount
    connection.commit()
    connection.close()
    assert changed == 1
    capsys.readouterr()
    assert call(home, "audit", "verify", "--json") == 1
    codes = {finding["code"] for finding in json.loads(capsys.readouterr().err)["findings"]}
    assert "audit.signature_wrong" in codes
