"""``v2gpki pcp`` as a person or a script uses it."""

from __future__ import annotations

import io
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import v2gpki
from tests.cli.pool_commands import EMAID, PASSPHRASE, PCID, Line, make_home, opened_line, write_chain, write_root
from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.services.ecosystem.parties import Party, admit_contract, admit_vehicle


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
def chain(line: Line, tmp_path: Path) -> Path:
    return write_chain(line.home, tmp_path / "chain.pem")


def give_contract(line: Line) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    with v2gpki.open_authority(line.home, passphrase=PASSPHRASE, caller="test") as ca:
        ca.plug_and_charge.contracts.create(EMAID, PCID, now, now + timedelta(days=90), at=now, caller="test")


def test_a_vehicle_is_registered_and_found_again(line: Line, chain: Path, tmp_path: Path) -> None:
    root = write_root(line.home, tmp_path / "v2g.pem", "iso2-v2g-root")
    value = line.told("pcp", "register", "--chain", chain, "--v2g-root", root, "--previous", "WVWABCDEFGH000000")
    leaf = view(load_certificates(chain.read_bytes())[0])
    assert value["schema"] == "v2gpki/vehicle/1"
    assert (value["pcid"], value["edition"], value["suite"], value["owner"]) == (PCID, "iso15118-2", "p256", "")
    assert (value["state"], value["role"], value["previous_pcid"]) == ("new", "oem", "WVWABCDEFGH000000")
    assert value["fingerprint"] == leaf.fingerprint.hex()
    assert value["v2g_roots"] == [view(load_certificates(root.read_bytes())[0]).key_identifier.hex()]
    assert len(value["chain"]) == 3  # type: ignore[arg-type]  # JSON
    again = line.told("pcp", "register", "--chain", chain)
    assert (again["state"], again["registered_at"]) == ("unchanged", value["registered_at"])
    assert "was registered already" in line.said("pcp", "register", "--chain", chain)
    shown = line.told("pcp", "show", PCID.lower())
    assert shown["contracts"] == []
    assert [one["fingerprint"] for one in shown["vehicles"]] == [leaf.fingerprint.hex()]  # type: ignore[attr-defined]
    said = line.said("pcp", "show", PCID)
    assert leaf.fingerprint.hex() in said
    assert "no contracts" in said


def test_a_renewal_says_so(line: Line, chain: Path, tmp_path: Path) -> None:
    assert f"registered {PCID}" in line.said("pcp", "register", "--chain", chain)
    other = write_chain(line.home, tmp_path / "other.pem")
    assert "has a new certificate" in line.said("pcp", "register", "--chain", other)


def test_the_chain_may_stand_in_several_files(line: Line, chain: Path, tmp_path: Path) -> None:
    files = []
    for number, der in enumerate(load_certificates(chain.read_bytes())):
        files.append(tmp_path / f"{number}.der")
        files[-1].write_bytes(der)
    options = [part for file in reversed(files) for part in ("--chain", str(file))]
    assert line.told("pcp", "register", *options)["state"] == "new"


def test_refusals_name_what_is_wrong(line: Line, chain: Path, foreign: Path, tmp_path: Path) -> None:
    stranger = write_chain(foreign, tmp_path / "stranger.pem")
    error = line.told("pcp", "register", "--chain", stranger, exit_code=1)
    assert error["code"] == "path.no_anchor"
    assert error["findings"]
    cases: dict[str, list[str | Path]] = {
        "pool.wrong_family": ["--chain", chain, "--edition", "iso15118-20"],
        "identifier.invalid": ["--chain", chain, "--previous", "OEMProvCert"],
        "pool.unbound_wmi": ["--chain", chain, "--owner", "volks"],
        "crl.malformed": ["--chain", chain, "--crl", chain],
        "ocsp.malformed": ["--chain", chain, "--ocsp", chain],
    }
    for code, arguments in cases.items():
        assert line.told("pcp", "register", *arguments, exit_code=1)["code"] == code
    assert line.told("pcp", "register", "--chain", "-", "--crl", "-", exit_code=2)["code"] == "usage.invalid"
    assert line.told("pcp", "register", "--chain", tmp_path / "none", exit_code=3)["code"] == "file.unreadable"
    assert line.stream("pcp", "list") == []


def test_a_root_of_others_is_trusted_first(line: Line, foreign: Path, tmp_path: Path) -> None:
    stranger = write_chain(foreign, tmp_path / "stranger.pem")
    root = write_root(foreign, tmp_path / "root.pem", "iso2-oem-root")
    line.told("rcp", "add", root, "--yes", "--role", "oem-root")
    assert line.told("pcp", "register", "--chain", stranger)["state"] == "new"


def test_another_root_takes_no_vehicle_over(line: Line, chain: Path, foreign: Path, tmp_path: Path) -> None:
    line.told("pcp", "register", "--chain", chain)
    stranger = write_chain(foreign, tmp_path / "stranger.pem")
    root = write_root(foreign, tmp_path / "root.pem", "iso2-oem-root")
    line.told("rcp", "add", root, "--yes", "--role", "oem-root")
    error = line.told("pcp", "register", "--chain", stranger, exit_code=1)
    assert error["code"] == "pool.other_root"
    assert "--other-root" in str(error["hint"])
    done = line.told("pcp", "register", "--chain", stranger, "--other-root")
    assert done["state"] == "renewed"
    assert "pool.other_root" in {one["code"] for one in done["findings"]}  # type: ignore[attr-defined]  # JSON
    before = len(line.stream("cert", "list"))
    issue = ("cert", "issue", "oem", "--edition", "iso15118-2", "--id", PCID, "--plain-key", "--out", "back")
    assert line.told(*issue, exit_code=1)["code"] == "pool.other_root"
    assert len(line.stream("cert", "list")) == before
    assert line.told(*issue, "--other-root")["registered"] == "renewed"


def test_policy_is_within_reach(line: Line, chain: Path, tmp_path: Path) -> None:
    register = ("pcp", "register", "--chain", chain)
    assert line.told(*register, "--require-evidence", exit_code=1)["code"] == "path.status_unknown"
    lists: list[str | Path] = []
    with v2gpki.open_authority(line.home, passphrase=PASSPHRASE, caller="test") as ca:
        for slug in ("iso2-oem-sub-ca-2", "iso2-oem-sub-ca-1", "iso2-oem-root"):
            lists += ["--crl", tmp_path / f"{slug}.crl"]
            (tmp_path / f"{slug}.crl").write_bytes(ca.publish_crl(slug).der)
    assert line.told(*register, "--bind", exit_code=2)["code"] == "usage.invalid"
    assert line.told(*register, "--owner", "volks", exit_code=1)["code"] == "pool.unbound_wmi"
    done = line.told(*register, "--require-evidence", *lists, "--bind", "--owner", "volks")
    assert (done["state"], done["owner"]) == ("new", "volks")
    assert [one["owner"] for one in line.stream("pcp", "owner", "list")] == ["volks"]


@pytest.mark.parametrize("pcid", ["", " ", "%", "WVW"])
def test_what_is_no_pcid_is_nobody(line: Line, chain: Path, pcid: str) -> None:
    line.told("pcp", "register", "--chain", chain)
    assert line.told("pcp", "delete", pcid, "--yes", exit_code=1)["code"] == "identifier.invalid"
    assert line.told("pcp", "show", pcid, exit_code=1)["code"] == "identifier.invalid"
    assert len(line.stream("pcp", "list")) == 1


def test_evidence_comes_along(line: Line, foreign: Path, tmp_path: Path) -> None:
    """A stranger's certificate, revoked by its own authority: nothing but the list that comes along says so."""
    stranger = write_chain(foreign, tmp_path / "stranger.pem")
    root = write_root(foreign, tmp_path / "root.pem", "iso2-oem-root")
    line.told("rcp", "add", root, "--yes", "--role", "oem-root")
    leaf = view(load_certificates(stranger.read_bytes())[0])
    revoked = tmp_path / "revoked.crl"
    with v2gpki.open_authority(foreign, passphrase=PASSPHRASE, caller="test") as ca:
        ca.revoke(f"{leaf.serial:x}", "keyCompromise")
        revoked.write_bytes(ca.publish_crl("iso2-oem-sub-ca-2").der)
    error = line.told("pcp", "register", "--chain", stranger, "--crl", revoked, exit_code=1)
    assert error["code"] == "path.revoked"
    assert line.told("pcp", "register", "--chain", stranger)["state"] == "new"


def test_vehicles_are_listed_and_filtered(line: Line, chain: Path, tmp_path: Path) -> None:
    line.told("pcp", "register", "--chain", chain)
    line.told("pcp", "owner", "bind", "--wmi", "HUB", "--owner", "hub")
    hub = write_chain(line.home, tmp_path / "hub.pem", "HUBABCDEFGH123456")
    line.told("pcp", "register", "--chain", hub, "--owner", "hub")
    assert [one["pcid"] for one in line.stream("pcp", "list")] == [PCID, "HUBABCDEFGH123456"]
    assert [one["pcid"] for one in line.stream("pcp", "list", "--owner", "hub")] == ["HUBABCDEFGH123456"]
    assert [one["pcid"] for one in line.stream("pcp", "list", "--owner", "")] == [PCID]
    assert line.stream("pcp", "list", "--edition", "iso15118-20") == []
    said = line.said("pcp", "list")
    assert PCID in said
    assert "2 vehicles" in said


def test_a_deletion_takes_its_contracts_along(line: Line, chain: Path) -> None:
    line.told("pcp", "register", "--chain", chain)
    give_contract(line)
    assert EMAID in line.said("pcp", "show", PCID)
    assert line.told("pcp", "delete", PCID, exit_code=2)["code"] == "usage.invalid"
    assert line.stream("pcp", "list")
    deleted = line.told("pcp", "delete", PCID, "--yes")
    assert [one["emaid"] for one in deleted["purged"]] == [EMAID]  # type: ignore[attr-defined]
    assert line.told("pcp", "delete", PCID, "--yes", exit_code=1)["code"] == "pool.unknown_vehicle"
    assert line.told("pcp", "show", PCID, exit_code=1)["code"] == "pool.unknown_vehicle"
    line.told("pcp", "register", "--chain", chain)
    assert "no contract was purged" in line.said("pcp", "delete", PCID, "--yes")


def test_a_person_is_asked_before_deleting(line: Line, chain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line.told("pcp", "register", "--chain", chain)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "--yes" in line.said("pcp", "delete", PCID, exit_code=2)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    line.said("pcp", "delete", PCID, exit_code=130)
    assert line.stream("pcp", "list")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert f"deleted {PCID}" in line.said("pcp", "delete", PCID)
    assert line.stream("pcp", "list") == []


def test_a_wmi_belongs_to_one_party(line: Line, chain: Path) -> None:
    bound = line.told("pcp", "owner", "bind", "--wmi", "wvw", "--owner", "volks")
    assert (bound["prefix"], bound["owner"], bound["changed"]) == ("WVW", "volks", True)
    assert line.told("pcp", "owner", "bind", "--wmi", "WVW", "--owner", "volks")["changed"] is False
    assert "belonged already to volks" in line.said("pcp", "owner", "bind", "--wmi", "WVW", "--owner", "volks")
    taken = line.told("pcp", "owner", "bind", "--wmi", "WVW", "--owner", "other", exit_code=1)
    assert taken["code"] == "pool.prefix_taken"
    assert line.told("pcp", "register", "--chain", chain, exit_code=1)["code"] == "pool.foreign_wmi"
    assert line.told("pcp", "register", "--chain", chain, "--owner", "volks")["owner"] == "volks"
    (listed,) = line.stream("pcp", "owner", "list")
    assert (next(iter(listed.items())), listed["prefix"]) == (("schema", "v2gpki/prefix/1"), "WVW")
    assert line.stream("pcp", "owner", "list", "--owner", "other") == []
    assert "volks" in line.said("pcp", "owner", "list")
    taken = line.told("pcp", "owner", "bind", "--wmi", "WVW", "--owner", "other", exit_code=1)
    assert str(taken["hint"]).endswith("v2gpki pcp owner release --wmi WVW")
    wrong = line.told("pcp", "owner", "release", "--wmi", "WVW", "--owner", "other", exit_code=1)
    assert wrong["code"] == "pool.prefix_taken"
    assert line.told("pcp", "owner", "release", "--wmi", "WVW")["changed"] is True
    assert line.told("pcp", "owner", "release", "--wmi", "WVW")["changed"] is False
    assert "belonged to nobody" in line.said("pcp", "owner", "release", "--wmi", "WVW")
    assert line.told("pcp", "owner", "bind", "--wmi", "W", "--owner", "x", exit_code=1)["code"] == "pool.bad_prefix"


def test_providers_and_operators_belong_to_parties_too(line: Line) -> None:
    bound = line.told("pcp", "owner", "bind", "--provider", "de-8aa", "--owner", "acme-mobility")
    assert (bound["kind"], bound["prefix"], bound["owner"]) == ("mo", "DE8AA", "acme-mobility")
    bound = line.told("pcp", "owner", "bind", "--operator", "DE*ICE", "--owner", "acme-charging")
    assert (bound["kind"], bound["prefix"]) == ("cpo", "DEICE")
    listed = {(one["kind"], one["prefix"]) for one in line.stream("pcp", "owner", "list")}
    assert listed == {("mo", "DE8AA"), ("cpo", "DEICE")}
    taken = line.told("pcp", "owner", "bind", "--provider", "DE8AA", "--owner", "other", exit_code=1)
    assert str(taken["hint"]).endswith("v2gpki pcp owner release --provider DE8AA")
    assert line.told("pcp", "owner", "release", "--provider", "DE8AA")["changed"] is True
    for wrong in ([], ["--wmi", "WVW", "--provider", "DE8AA"]):
        line.said("pcp", "owner", "bind", *wrong, "--owner", "x", exit_code=2)


@pytest.mark.parametrize(("kind", "prefix"), [("mo", EMAID[:5]), ("wmi", PCID[:3])])
def test_the_hint_for_a_foreign_identifier_can_be_typed(line: Line, kind: str, prefix: str) -> None:
    party = Party("acme mobility", frozenset({"mo"} if kind == "mo" else {"oem"}))

    def admit() -> None:
        with v2gpki.open_authority(line.home, caller="test") as ca:
            owners = ca.plug_and_charge.vehicles.owners
            admit_contract(owners, party, EMAID) if kind == "mo" else admit_vehicle(owners, party, PCID)

    with pytest.raises(v2gpki.V2GPKIError) as refusal:
        admit()
    assert refusal.value.code == "ecosystem.foreign_identifier"
    command = shlex.split(refusal.value.hint.partition("v2gpki ")[2])
    bound = line.told(*command)
    assert (bound["kind"], bound["prefix"], bound["owner"]) == (kind, prefix, "acme mobility")
    admit()


def test_writing_needs_the_passphrase_and_reading_does_not(
    line: Line, chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.told("pcp", "register", "--chain", chain)
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "another one")
    commands: list[list[str | Path]] = [
        ["register", "--chain", chain],
        ["delete", PCID, "--yes"],
        ["owner", "bind", "--wmi", "WVW", "--owner", "x"],
        ["owner", "release", "--wmi", "WVW"],
    ]
    for command in commands:
        assert line.told("pcp", *command, exit_code=3)["code"] == "key.wrong_passphrase"
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    assert len(line.stream("pcp", "list")) == 1
    assert line.stream("pcp", "owner", "list") == []
    assert line.told("pcp", "show", PCID)["pcid"] == PCID


def test_the_log_holds_afterwards(line: Line, chain: Path) -> None:
    line.told("pcp", "owner", "bind", "--wmi", "WVW", "--owner", "volks")
    line.told("pcp", "register", "--chain", chain, "--owner", "volks")
    line.told("pcp", "delete", PCID, "--yes")
    line.told("pcp", "owner", "release", "--wmi", "WVW")
    value = line.told("audit", "verify")
    assert value["sound"] is True
    assert value["signed_up_to"] == value["rows"]
