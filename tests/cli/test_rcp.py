"""``v2gpki rcp`` as a person or a script uses it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from tests.cli.pool_commands import Line, make_home, opened_line, write_chain, write_root
from v2gpki.certs.chain import load_certificates


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("mine") / "home", "Acme")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("foreign") / "home", "Other")


@pytest.fixture
def line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    return opened_line(made, tmp_path, monkeypatch, capsys)


@pytest.fixture
def root(foreign: Path, tmp_path: Path) -> Path:
    """The V2G root of somebody else."""
    return write_root(foreign, tmp_path / "foreign.pem", "iso2-v2g-root")


def sha256(file: Path) -> str:
    return hashlib.sha256(load_certificates(file.read_bytes())[0]).hexdigest()


def test_a_root_is_added_with_its_fingerprint(line: Line, root: Path) -> None:
    value = line.told("rcp", "add", root, "--fingerprint", sha256(root), "--comment", "by fax")
    assert value["schema"] == "v2gpki/root/1"
    assert (value["role"], value["decision"], value["reason"], value["changed"]) == (
        "v2g-root",
        "trusted",
        "decided",
        True,
    )
    assert (value["fingerprint"], value["comment"]) == (sha256(root), "by fax")
    assert str(value["decided_by"]).startswith("cli:")
    assert "pool.role_recognised" in str(value["findings"])
    again = line.told("rcp", "add", root, "--fingerprint", sha256(root))
    assert again["changed"] is False
    assert again["decided_at"] == value["decided_at"]
    assert "was trusted already as v2g-root" in line.said("rcp", "add", root, "--yes")


def test_another_fingerprint_adds_nothing(line: Line, root: Path) -> None:
    before = line.stream("rcp", "list")
    error = line.told("rcp", "add", root, "--fingerprint", "00" * 32, exit_code=1)
    assert error["code"] == "pool.wrong_fingerprint"
    assert line.stream("rcp", "list") == before


def test_nobody_is_trusted_without_somebody_who_looked(
    line: Line, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = line.stream("rcp", "list")
    assert "--fingerprint" in str(line.told("rcp", "add", root, exit_code=2)["message"])
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    shown = line.said("rcp", "add", root, exit_code=2)
    assert sha256(root) in shown
    assert "--yes" in shown
    assert line.stream("rcp", "list") == before


def test_a_person_is_asked(line: Line, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = line.stream("rcp", "list")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "publish this fingerprint" in line.said("rcp", "add", root, exit_code=130)
    assert line.stream("rcp", "list") == before
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    said = line.said("rcp", "add", root)
    assert sha256(root) in said
    assert "is trusted as v2g-root" in said


def test_a_role_can_be_given(line: Line, root: Path) -> None:
    assert line.told("rcp", "add", root, "--yes", "--role", "oem-root")["role"] == "oem-root"
    assert line.told("rcp", "add", root, "--yes", "--role", "cps", exit_code=2)["code"] == "pool.unknown_role"
    assert line.told("rcp", "trust", sha256(root)[:10], "--role", "v2g-root")["role"] == "v2g-root"


def test_what_is_no_root_is_refused(line: Line, foreign: Path, tmp_path: Path) -> None:
    chain = write_chain(foreign, tmp_path / "chain.pem")
    assert line.told("rcp", "add", chain, "--yes", exit_code=2)["code"] == "usage.invalid"
    sub = write_root(foreign, tmp_path / "sub.pem", "iso2-oem-sub-ca-1")
    assert line.told("rcp", "add", sub, "--yes", exit_code=1)["code"] == "pool.not_self_signed"
    (tmp_path / "text").write_text("no certificate")
    error = line.told("rcp", "add", tmp_path / "text", "--yes", exit_code=1)
    assert str(error["message"]).startswith(str(tmp_path / "text"))
    assert line.told("rcp", "add", tmp_path / "missing", "--yes", exit_code=3)["code"] == "file.unreadable"


def test_own_roots_are_listed_first(line: Line, root: Path) -> None:
    line.told("rcp", "add", root, "--yes")
    roots = line.stream("rcp", "list")
    assert {next(iter(one.items())) for one in roots} == {("schema", "v2gpki/root/1")}
    assert [one["authority"] for one in roots][-1] == ""
    assert {one["authority"] for one in roots} >= {"iso2-v2g-root@1", "iso2-oem-root@1", "iso2-mo-root@1"}
    only = line.stream("rcp", "list", "--role", "v2g-root", "--decision", "trusted")
    assert len(only) == 2
    said = line.said("rcp", "list")
    assert sha256(root)[:16] in said
    assert f"{len(roots)} roots" in said


def test_listing_needs_no_passphrase(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    assert line.stream("rcp", "list")
    assert line.told("rcp", "show", "iso2-v2g-root")["role"] == "v2g-root"


def test_deciding_needs_the_passphrase(line: Line, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = line.stream("rcp", "list")
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "another one")
    for command in (["add", root, "--yes"], ["refuse", "iso2-v2g-root"], ["trust", "iso2-v2g-root"]):
        assert line.told("rcp", *command, exit_code=3)["code"] == "key.wrong_passphrase"
    assert line.stream("rcp", "list") == before


def test_one_root_is_shown_by_fingerprint_authority_or_file(line: Line, root: Path) -> None:
    line.told("rcp", "add", root, "--yes", "--comment", "\u202ered")
    by_start = line.told("rcp", "show", sha256(root)[:8])
    assert line.told("rcp", "show", root) == by_start
    assert by_start["comment"] == "\u202ered"
    said = line.said("rcp", "show", root)
    assert "\u202ered" not in said
    assert "\\u202ered" in said
    assert "\u202ered" not in line.said("rcp", "list")
    assert "Other V2G Root CA" in said
    assert line.told("rcp", "show", "iso2-mo-root")["authority"] == "iso2-mo-root@1"
    assert line.told("rcp", "show", "nobody", exit_code=1)["code"] == "pool.unknown_root"


def test_roots_are_refused_and_trusted_again(line: Line, root: Path, foreign: Path, tmp_path: Path) -> None:
    refused = line.told("rcp", "refuse", root, "--comment", "stolen")
    assert (refused["decision"], refused["changed"]) == ("refused", True)
    assert line.told("rcp", "refuse", sha256(root))["changed"] is False
    assert line.told("rcp", "trust", root)["decision"] == "trusted"
    assert "is refused as oem-root" in line.said("rcp", "refuse", "iso2-oem-root")
    chain = write_chain(line.home, tmp_path / "chain.pem")
    assert line.told("pcp", "register", "--chain", chain, exit_code=1)["code"] == "path.no_anchor"
    line.told("rcp", "trust", "iso2-oem-root")
    assert line.told("pcp", "register", "--chain", chain)["state"] == "new"
    other = write_root(foreign, tmp_path / "mo.pem", "iso2-mo-root")
    assert line.told("rcp", "trust", other, exit_code=1)["code"] == "pool.unknown_root"


def test_the_log_holds_afterwards(line: Line, root: Path) -> None:
    line.told("rcp", "add", root, "--yes")
    line.told("rcp", "refuse", root)
    value = line.told("audit", "verify")
    assert value["sound"] is True
    assert value["signed_up_to"] == value["rows"]
