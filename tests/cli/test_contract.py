"""``v2gpki contract``, and ``cert issue contract`` and ``cert issue oem``, which go the same way."""

from __future__ import annotations

import io
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cli.exchange_commands import EMAID, PCID, Line, make, opened_line

OTHER = "DEACMC98765432"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("contracts"))


@pytest.fixture
def line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Line:
    return opened_line(made, tmp_path, monkeypatch, capsys)


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_contract_is_created_listed_and_shown(line: Line) -> None:
    made = line.told("contract", "create", "--emaid", "de-acm-c12345678-g", "--pcid", PCID, "--until", in_days(400))
    assert (made["emaid"], made["pcid"], made["standing"], made["default"]) == (EMAID, PCID, "active", True)
    assert [one["id"] for one in line.stream("contract", "list")] == [made["id"]]
    shown = line.told("contract", "show", EMAID)
    assert (shown["id"], shown["certificates"], shown["bundles"]) == (made["id"], [], [])
    assert line.told("contract", "show", str(made["id"])[:8])["emaid"] == EMAID
    assert EMAID in line.said("contract", "show", EMAID)
    assert "1 contract\n" in line.said("contract", "list")


def test_without_an_end_a_contract_lasts_as_long_as_its_certificate(line: Line) -> None:
    made = line.contract()
    begins, ends = (datetime.fromisoformat(str(made[key])) for key in ("begins", "ends"))
    assert ends - begins == timedelta(days=730)  # the profile's default, ISO 15118-2 table F.4: at most two years


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--emaid", "DEACMC12345678X", "--pcid", PCID), "contract.check_digit"),
        (("--emaid", EMAID, "--pcid", "WACME999999999999"), "pool.unknown_vehicle"),
        (("--emaid", "nonsense", "--pcid", PCID), "identifier.invalid"),
        (("--emaid", EMAID, "--pcid", PCID, "--until", "2020-01-01"), "contract.bad_period"),
        (("--emaid", EMAID, "--pcid", PCID, "--until", in_days(20)), "contract.bad_period"),
        (("--emaid", EMAID, "--pcid", PCID, "--issuer", "iso2-cpo-sub-ca-2"), "contract.wrong_issuer"),
        (("--emaid", EMAID, "--pcid", ""), "identifier.invalid"),
    ],
)
def test_what_is_no_contract_is_refused_with_a_hint(line: Line, options: tuple[str, ...], code: str) -> None:
    error = line.told("contract", "create", *options, refused=True)
    assert error["code"] == code
    assert error["hint"]
    assert line.stream("contract", "list") == []


def test_an_emaid_has_one_contract_at_a_time(line: Line) -> None:
    first = line.contract()
    error = line.told("contract", "create", "--emaid", EMAID, "--pcid", PCID, refused=True)
    assert (error["code"], error["facts"]["contract"]) == ("contract.exists", first["id"])


def test_a_contract_for_a_vehicle_that_is_not_there_yet(line: Line) -> None:
    made = line.told(
        *("contract", "create", "--emaid", EMAID, "--pcid", "WACME999999999999", "--unregistered-vehicle")
    )
    assert made["pcid"] == "WACME999999999999"


def test_the_default_moves(line: Line) -> None:
    line.contract()
    second = line.contract(OTHER)
    assert second["default"] is False
    assert line.told("contract", "set-default", OTHER)["changed"] is True
    assert line.told("contract", "set-default", OTHER)["changed"] is False
    assert [one["emaid"] for one in line.stream("contract", "list") if one["default"]] == [OTHER]


def test_what_ends_soon_is_listed_by_the_window_of_its_edition(line: Line) -> None:
    line.contract(EMAID, "--until", in_days(18), "--short")
    line.contract(OTHER, "--until", in_days(100))
    soon = [one["emaid"] for one in line.stream("contract", "list", "--expiring-soon")]
    assert soon == [EMAID]  # [V2G2-690]: 21 days
    assert line.stream("contract", "list", "--expiring-soon", "--edition", "iso15118-20") == []  # [V2G20-2218]: 14
    later = line.stream("contract", "list", "--expiring-soon", "--at", in_days(90))
    assert {one["emaid"] for one in later} == {EMAID, OTHER}


def test_lists_by_vehicle_emaid_and_state(line: Line) -> None:
    line.contract()
    line.contract(OTHER)
    line.told("contract", "end", OTHER, "--yes")
    assert [one["emaid"] for one in line.stream("contract", "list", "--state", "active")] == [EMAID]
    assert [one["emaid"] for one in line.stream("contract", "list", "--emaid", OTHER)] == [OTHER]
    assert len(line.stream("contract", "list", "--pcid", PCID)) == 2
    assert line.stream("contract", "list", "--pcid", "WACME999999999999") == []
    for option in ("--pcid", "--emaid"):
        error = line.told("contract", "list", option, "", exit_code=2, refused=True)
        assert error["code"] == "usage.invalid"


def test_a_short_contract_is_for_laboratories_and_says_so(line: Line) -> None:
    short = ("contract", "create", "--emaid", EMAID, "--pcid", PCID, "--until", in_days(20))
    assert "--short" in line.told(*short, refused=True)["hint"]
    assert "28 days" in line.told(*short, "--short")["warnings"][0]
    assert "warnings" not in line.contract(OTHER, "--until", in_days(40), "--short")


def test_ending_revokes_every_certificate_and_withdraws_what_was_made(line: Line) -> None:
    line.contract()
    prepared = line.told("contract", "prepare", EMAID)
    assert (prepared["contracts"], prepared["made"], prepared["ready"]) == (1, 2, 2)
    ended = line.told("contract", "end", EMAID, "--reason", "superseded", "--yes")
    assert (ended["state"], ended["reason"], len(ended["revoked"])) == ("ended", "superseded", 2)
    assert sorted(one["serial"] for one in ended["revoked"]) == sorted(one["serial"] for one in prepared["bundles"])
    shown = line.told("contract", "show", EMAID)
    assert {one["state"] for one in shown["certificates"]} == {"revoked"}
    assert {one["state"] for one in shown["bundles"]} == {"withdrawn"}
    assert line.told("contract", "end", EMAID, "--yes")["changed"] is False


def test_certificates_of_a_purged_contract_stay_valid_until_somebody_revokes_them(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = line.contract(), line.contract(OTHER)
    line.told("contract", "prepare", "--all")
    deleted = line.told("pcp", "delete", PCID, "--yes")
    assert (len(deleted["purged"]), deleted["revoked"], len(deleted["still_valid"])) == (2, [], 4)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "Revoke the certificates" in line.said("contract", "end", EMAID, exit_code=130)
    ended = line.told("contract", "end", first["id"], "--yes")
    assert (ended["state"], ended["changed"], len(ended["revoked"])) == ("purged", True, 2)
    assert line.told("contract", "end", first["id"], "--yes")["changed"] is False
    said = line.said("contract", "end", other["id"], "--yes")
    assert f"{OTHER} was purged already" in said
    assert "revoked  2 certificates" in said
    assert {one["state"] for one in line.stream("cert", "list", "--role", "contract")} == {"revoked"}


def test_a_deleted_vehicle_may_take_its_contract_certificates_along(line: Line) -> None:
    line.contract()
    line.told("contract", "prepare", "--all")
    assert line.told("pcp", "delete", PCID, "--edition", "iso15118-20", "--revoke", "--yes")["revoked"] == []
    said = line.said("pcp", "delete", PCID, "--revoke", "--yes")
    assert "revoked  2 contract certificates" in said
    assert "stay valid" not in said
    assert {one["state"] for one in line.stream("cert", "list", "--role", "contract")} == {"revoked"}


def test_what_a_deletion_leaves_valid_is_said_with_what_revokes_it(line: Line) -> None:
    line.contract()
    line.told("contract", "prepare", "--all")
    said = line.said("pcp", "delete", PCID, "--yes")
    assert "2 contract certificates stay valid" in said
    typed = said.rsplit("v2gpki ", 1)[1].split()
    assert "revoked  2 certificates" in line.said(*typed, "--yes")


def test_nobody_ends_a_contract_without_being_asked(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.contract()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert line.told("contract", "end", EMAID, exit_code=2, refused=True)["code"] == "usage.invalid"
    assert "nobody is there to ask" in line.said("contract", "end", EMAID, exit_code=2)
    assert line.told("contract", "show", EMAID)["state"] == "active"


def test_a_contract_that_cannot_be_delivered_is_named_and_the_others_are_made(line: Line) -> None:
    line.contract()
    # Ten days are too few for -2 (four weeks, table F.4); -20 sets no least time.
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat(timespec="seconds")
    line.told("contract", "create", "--emaid", OTHER, "--pcid", PCID, "--until", until, "--short")
    prepared = line.told("contract", "prepare", "--all", exit_code=1)
    assert [(one["emaid"], one["code"]) for one in prepared["refused"]] == [(OTHER, "contract.too_short")]
    assert (prepared["contracts"], prepared["made"]) == (2, 3)


def test_preparing_names_its_additional_data(line: Line) -> None:
    line.contract()
    first = line.told("contract", "prepare", EMAID)
    other = line.told("contract", "prepare", EMAID, "--aad", "none")
    # -2 has none: its bundle is the same; that of -20 is another one.
    assert (first["made"], other["made"], other["ready"]) == (2, 1, 2)
    assert "--aad is one of" in line.said("contract", "prepare", EMAID, "--aad", "wrong", exit_code=2)


def test_preparing_twice_makes_once(line: Line) -> None:
    line.contract()
    line.contract(OTHER)
    first = line.told("contract", "prepare", "--all")
    again = line.told("contract", "prepare", "--pcid", PCID)
    assert (first["contracts"], first["ready"]) == (2, 4)
    assert {one["id"] for one in again["bundles"]} == {one["id"] for one in first["bundles"]}
    only = line.told("contract", "prepare", EMAID, "--edition", "iso15118-20")
    assert [one["edition"] for one in only["bundles"]] == ["iso15118-20"]
    assert "4 bundles are ready" in line.said("contract", "prepare", "--all")
    assert line.told("contract", "prepare", exit_code=2, refused=True)["code"] == "usage.invalid"


def test_nothing_to_prepare_is_said(line: Line) -> None:
    line.told("contract", "create", "--emaid", EMAID, "--pcid", "WACME999999999999", "--unregistered-vehicle")
    value = line.told("contract", "prepare", "--all")
    assert (value["ready"], len(value["warnings"])) == (0, 1)


# --- cert issue contract --------------------------------------------------------------------------------------------

ISSUE = ("cert", "issue", "contract", "--edition", "iso15118-2", "--plain-key")


def test_a_contract_certificate_needs_a_contract(line: Line) -> None:
    error = line.told(*ISSUE, "--id", EMAID, "--out", "c", refused=True)
    assert error["code"] == "contract.unknown"
    assert "contract create" in error["hint"]
    assert "--unregistered" in error["hint"]
    assert not Path("c").exists()
    assert line.told(*ISSUE, "--id", EMAID, "--dry-run", refused=True)["code"] == "contract.unknown"
    assert line.stream("cert", "list", "--role", "contract") == []


def test_a_contract_certificate_ends_with_its_contract(line: Line) -> None:
    until = in_days(60)
    made = line.contract(EMAID, "--until", until)
    issued = line.told(*ISSUE, "--id", "de-acm-c12345678-g", "--out", "c")
    assert (issued["not_after"], issued["contract"], issued["id"]) == (until, made["id"], EMAID)
    certificate = x509.load_pem_x509_certificate(Path("c/cert.pem").read_bytes())
    assert certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ") == until
    assert line.told("contract", "show", EMAID)["certificates"][0]["serial"] == issued["serial"]
    line.told("contract", "end", EMAID, "--yes")
    assert line.stream("cert", "list", "--role", "contract")[0]["state"] == "revoked"
    assert line.told(*ISSUE, "--id", EMAID, "--out", "d", refused=True)["code"] == "contract.ended"


@pytest.mark.parametrize("option", [("--not-after", "2060-01-01"), ("--not-before", "2020-01-01")])
def test_a_certificate_cannot_leave_its_contract(line: Line, option: tuple[str, str]) -> None:
    line.contract()
    error = line.told(*ISSUE, "--id", EMAID, "--out", "c", *option, refused=True)
    assert error["code"] == "contract.outside"
    assert line.stream("cert", "list", "--role", "contract") == []


def test_the_profiles_options_and_a_shorter_end_still_work(line: Line) -> None:
    line.contract()
    sooner = in_days(40)
    issued = line.told(*ISSUE, "--id", EMAID, "--out", "c", "--not-after", sooner, "--option", "key-usage=minimal")
    assert issued["not_after"] == sooner
    usage = x509.load_pem_x509_certificate(Path("c/cert.pem").read_bytes()).extensions.get_extension_for_class(
        x509.KeyUsage
    )
    assert not usage.value.key_encipherment


def test_laboratories_issue_without_a_contract(line: Line) -> None:
    issued = line.told(*ISSUE, "--id", EMAID, "--unregistered", "--out", "c")
    assert "contract" not in issued
    assert line.stream("contract", "list") == []


# --- cert issue oem -------------------------------------------------------------------------------------------------

VEHICLE = "WACME000000000002"


def test_a_provisioning_certificate_registers_its_vehicle(line: Line) -> None:
    oem = ("cert", "issue", "oem", "--edition", "iso15118-2", "--plain-key", "--id", VEHICLE)
    assert line.told(*oem, "--out", "v")["registered"] == "new"
    line.told("contract", "create", "--emaid", EMAID, "--pcid", VEHICLE)
    assert line.told(*oem, "--out", "w")["registered"] == "renewed"
    assert "registered WACME000000000002" in line.said(*oem, "--out", "x")


def test_laboratories_leave_the_pool_aside(line: Line) -> None:
    issued = line.told(
        *("cert", "issue", "oem", "--edition", "iso15118-2", "--plain-key", "--id", VEHICLE),
        *("--unregistered", "--out", "v"),
    )
    assert "registered" not in issued
    error = line.told("contract", "create", "--emaid", EMAID, "--pcid", VEHICLE, refused=True)
    assert error["code"] == "pool.unknown_vehicle"


def test_a_pcid_of_somebody_else_is_refused_before_anything_is_issued(line: Line) -> None:
    line.told("pcp", "owner", "bind", "--wmi", "WAC", "--owner", "acme-oem")
    error = line.told(
        *("cert", "issue", "oem", "--edition", "iso15118-2", "--plain-key", "--id", VEHICLE, "--out", "v"),
        refused=True,
    )
    assert error["code"] == "pool.foreign_wmi"
    assert not Path("v").exists()
    assert [one for one in line.stream("cert", "list", "--role", "oem") if one["id"] == VEHICLE] == []


def csr(file: str, name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    Path(file).write_bytes(request.public_bytes(Encoding.PEM))
    return file


def test_the_pcid_of_a_request_is_asked_about_before_anything_is_issued(line: Line) -> None:
    before = len(line.stream("cert", "list"))
    line.told("pcp", "owner", "bind", "--wmi", "WAC", "--owner", "acme oem")
    oem = ("cert", "issue", "oem", "--edition", "iso15118-2", "--csr", csr("k.csr", VEHICLE), "--out", "v")
    error = line.told(*oem, refused=True)
    assert error["code"] == "pool.foreign_wmi"
    assert not Path("v").exists()
    assert len(line.stream("cert", "list")) == before
    # What the hint says works as it stands.
    hinted = shlex.split(error["hint"].split("(", 1)[1].split(")", 1)[0])
    assert line.told(*oem, *hinted)["registered"] == "new"
    assert line.told("pcp", "show", VEHICLE)["vehicles"][0]["owner"] == "acme oem"
    release = error["hint"].rsplit("v2gpki ", 1)[1].split()
    assert line.told(*release)["changed"] is True
    error = line.told(*oem[:-1], "w", "--owner", "acme oem", refused=True)
    assert error["code"] == "pool.unbound_wmi"
    line.told(*shlex.split(error["hint"].split("v2gpki ", 1)[1]))
    assert line.told(*oem[:-1], "w", "--owner", "acme oem")["registered"] == "renewed"


def test_owners_are_of_vehicles_that_are_registered(line: Line) -> None:
    for more in (("--owner", "x"), ("--other-root",)):
        error = line.told(
            *("cert", "issue", "oem", "--edition", "iso15118-2", "--plain-key", "--id", VEHICLE),
            *("--unregistered", "--out", "v", *more),
            exit_code=2,
            refused=True,
        )
        assert error["code"] == "usage.invalid"


def test_the_check_digit_that_is_hinted_at_is_the_right_one(line: Line) -> None:
    wrong = line.told("contract", "create", "--emaid", "DEACMC12345678X", "--pcid", PCID, refused=True)
    typed = wrong["hint"].split("v2gpki ", 1)[1].removesuffix(" computes it").split()
    assert EMAID in str(line.told(*typed))
