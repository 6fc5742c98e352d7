"""``secc run`` and ``evcc run`` against each other, as programs: both editions, both ways to pay, refusals, files."""

from __future__ import annotations

import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import v2gpki
from tests.cli.charging import PATIENCE, Program, command, environment, objects, run, running
from tests.conftest import PASSPHRASE
from v2gpki.cli import run as run_here
from v2gpki.services.export import export_layout
from v2gpki.v2gtp import capture

ANYWHERE = ("secc", "run", "--listen", "[::1]:0")
FAST = ("--speed", "500")


@pytest.fixture(scope="session")
def today(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of today: the programs read the machine's clock."""
    home = tmp_path_factory.mktemp("today") / "home"
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True, caller="test") as ca:
        ca.initialise(ca.plan(["iso15118-2", "iso15118-20"]), org="Acme")
    return home


@pytest.fixture(scope="session")
def exported(today: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A PKI folder for each edition, of the same home."""
    folder = tmp_path_factory.mktemp("exported")
    with v2gpki.open_authority(today, passphrase=PASSPHRASE, caller="test") as ca:
        return {
            edition: str(export_layout(ca, "everest", folder / edition, edition=edition).folder)
            for edition in ("iso15118-2", "iso15118-20")
        }


def meet(folder: Path, station: Sequence[str], vehicle: Sequence[str]) -> tuple[Program, Program]:
    """One session; both programs after it."""
    with running(folder, *ANYWHERE, "--once", *station) as secc:
        evcc = run("evcc", "run", "--connect", secc.address, *vehicle)
        return secc.end(None), evcc


def both_planned(secc: Program, evcc: Program) -> None:
    for program in (secc, evcc):
        assert program.status == 0, program.complained
        assert program.complained == ""
        assert program.summary["ending"] == "stopped"
    assert secc.summary["session_id"] == evcc.summary["session_id"] != ""


def test_plug_and_charge_in_ac_of_iso2(exported: dict[str, str], tmp_path: Path) -> None:
    pki = ("--pki", exported["iso15118-2"])
    secc, evcc = meet(tmp_path, (*pki, *FAST, "--price", "0.50"), (*pki, *FAST, "--energy", "2kWh"))
    both_planned(secc, evcc)
    station, vehicle = secc.summary, evcc.summary
    assert station["edition"] == vehicle["edition"] == "iso15118-2"
    assert station["tls"]["version"] == "1.2"
    assert vehicle["tls"]["stapled"] is True
    assert {used["role"] for used in vehicle["certificates"]} == {"SECC", "contract"}
    verdicts = {one["what"] for one in station["verdicts"] if one["holds"]}
    assert {"contract chain", "AuthorizationReq signature"} <= verdicts
    # 2 kWh and what flows between two turns of the loop at 500 times the speed; 0.50 EUR for each
    assert 1500 < station["charged_wh"] < 3000
    # The vehicle has the last reading that it was told; the meter goes on until the contactors open.
    assert 0 <= station["charged_wh"] - vehicle["charged_wh"] < 500
    assert float(station["cost"]) == pytest.approx(station["charged_wh"] / 2000, abs=0.02)
    assert station["currency"] == "EUR"
    # Every message is an event of both, in the same order.
    names = [event["name"] for event in secc.of("message")]
    assert names == [event["name"] for event in evcc.of("message")]
    assert names[0] == "supportedAppProtocolReq"
    assert names[-1] == "SessionStopRes"


def test_plug_and_charge_in_dc_of_iso20(exported: dict[str, str], tmp_path: Path) -> None:
    pki = ("--pki", exported["iso15118-20"], "--current", "dc")
    secc, evcc = meet(
        tmp_path, (*pki, *FAST, "--power", "150kW", "--price", "0.50"), (*pki, *FAST, "--energy", "5kWh")
    )
    both_planned(secc, evcc)
    assert secc.summary["edition"] == "iso15118-20"
    assert secc.summary["tls"] == {
        "version": "1.3",
        "suite": "TLS_AES_256_GCM_SHA384",
        "group": "secp521r1",
        "mutual": True,
        "stapled": False,
        "peer_certificates": 3,
    }
    assert {used["role"] for used in secc.summary["certificates"]} == {"SECC", "vehicle", "contract"}
    assert "DC_ChargeLoopRes" in {event["name"] for event in secc.of("message")}
    # 0.50 EUR for each kWh, by the station's meter and by what the vehicle was shown of it
    for program in (secc, evcc):
        assert float(program.summary["cost"]) == pytest.approx(program.summary["charged_wh"] / 2000, abs=0.02)


def test_energy_comes_back_in_dc(exported: dict[str, str], tmp_path: Path) -> None:
    pki = ("--pki", exported["iso15118-20"], "--current", "dc")
    vehicle = (*pki, "--speed", "200", "--energy", "1kWh", "--discharge", "1kWh")
    secc, evcc = meet(tmp_path, (*pki, "--speed", "200", "--power", "50kW", "--discharge", "11kW"), vehicle)
    both_planned(secc, evcc)
    assert secc.summary["discharged_wh"] > 900
    assert secc.summary["charged_wh"] > 900


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_home_mints_and_installs(today: Path, tmp_path: Path, edition: str) -> None:
    pki = ("--pki", str(today), "--edition", edition)
    secc, evcc = meet(tmp_path, (*pki, *FAST), (*pki, *FAST, "--energy", "1kWh", "--install-contract"))
    both_planned(secc, evcc)
    roles = [used["role"] for used in evcc.summary["certificates"]]
    assert {"OEM provisioning", "CPS", "contract, installed", "contract"} <= set(roles)
    by_role = {used["role"]: used["fingerprint"] for used in evcc.summary["certificates"]}
    assert by_role["contract"] == by_role["contract, installed"]


def test_eim_without_tls(tmp_path: Path) -> None:
    secc, evcc = meet(tmp_path, ("--auth", "eim", *FAST), ("--no-tls", "--auth", "eim", *FAST, "--energy", "1kWh"))
    both_planned(secc, evcc)
    assert secc.summary["tls"] is None
    assert secc.summary["certificates"] == []


def test_what_is_recorded(exported: dict[str, str], tmp_path: Path) -> None:
    pki = ("--pki", exported["iso15118-2"])
    wire, keys = tmp_path / "wire.pcapng", tmp_path / "keys.log"
    files = ("--pcap", str(wire), "--key-log", str(keys))
    secc, evcc = meet(tmp_path, pki, (*pki, *files, *FAST, "--energy", "1kWh"))
    assert (secc.status, evcc.status) == (0, 0)
    for file in (wire, keys):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [note.partition(": ")[2] for note in capture.read(wire.read_bytes()).notes] == [
        "TLS: its frames are encrypted"
    ] * 2
    assert keys.read_text().startswith("CLIENT_RANDOM ")
    again = run("evcc", "run", "--connect", "[::1]:1", *pki, *files)
    assert (again.status, again.error["code"]) == (1, "file.exists")


def test_a_vehicle_refuses_a_station_without_a_staple(exported: dict[str, str], tmp_path: Path) -> None:
    """A copy of the folder whose OCSP responses are gone; the station stays, and says that it was refused."""
    bare = tmp_path / "bare"
    shutil.copytree(exported["iso15118-2"], bare)
    shutil.rmtree(bare / "client" / "cso" / "ocsp")
    with running(tmp_path, *ANYWHERE, "--pki", str(bare)) as secc:
        vehicle = ("evcc", "run", "--connect", secc.address, "--pki", exported["iso15118-2"], *FAST, "--energy", "1kWh")
        evcc = run(*vehicle)
        assert (evcc.status, evcc.error["code"]) == (1, "tls.no_staple")
        assert run(*vehicle, "--staple", "off").status == 0
        ended = secc.end()
    assert ended.status == 0
    refused = [one for one in ended.said if one["schema"] == "v2gpki/connection-refused/1"]
    assert [one["facts"]["alert"] for one in refused] == ["bad_certificate_status_response"]


def test_a_session_that_is_refused_has_exit_code_1(exported: dict[str, str], tmp_path: Path) -> None:
    """The station takes no contracts, and the vehicle pays by nothing else: it leaves."""
    pki = ("--pki", exported["iso15118-2"])
    secc, evcc = meet(tmp_path, (*pki, "--auth", "eim"), (*pki, "--auth", "pnc"))
    assert evcc.status == 1
    assert evcc.summary["ending"] != "stopped"
    assert evcc.summary["code"]
    # To the station that was a vehicle that stopped.
    assert secc.summary["ending"] in ("stopped", "peer_closed", "terminated")


def test_who_names_a_contract_wants_that_one(exported: dict[str, str], tmp_path: Path) -> None:
    pki = ("--pki", exported["iso15118-2"])
    with running(tmp_path, *ANYWHERE, *pki, *FAST) as secc:
        vehicle = ("evcc", "run", "--connect", secc.address, *pki, *FAST, "--energy", "1kWh")
        other = run(*vehicle, "--emaid", "DEABCC00000002")
        assert (other.status, other.error["code"]) == (3, "pki.missing")
        assert "it has DEABCC00000001" in other.error["message"]
        assert run(*vehicle, "--emaid", "DE-ABC-C00000001").status == 0
        ended = secc.end()
    # Nobody came with the other one.
    assert len([one for one in ended.said if one["schema"] == "v2gpki/session/1"]) == 1


def test_the_password_of_a_folder_may_stand_elsewhere(exported: dict[str, str], tmp_path: Path) -> None:
    """A folder without the files beside its keys."""
    moved, kept = tmp_path / "moved", tmp_path / "password"
    shutil.copytree(exported["iso15118-2"], moved)
    files = [file for file in moved.rglob("*") if file.is_file() and file.suffix == ".txt"]
    assert files
    kept.write_bytes(files[0].read_bytes())
    kept.chmod(0o600)
    for file in files:
        file.unlink()
    nowhere = run(*ANYWHERE, "--pki", str(moved))
    assert nowhere.error["code"].startswith("key."), nowhere.error
    with running(tmp_path, *ANYWHERE, "--pki", str(moved), "--password-file", str(kept)) as secc:
        assert secc.end().status == 0


def test_nobody_there(exported: dict[str, str]) -> None:
    away = run("evcc", "run", "--connect", "[::1]:1", "--pki", exported["iso15118-2"])
    assert (away.status, away.error["code"]) == (3, "tls.unreachable")
    assert "connection refused" in away.error["message"]


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_session_pauses_and_goes_on(exported: dict[str, str], tmp_path: Path, edition: str) -> None:
    pki, kept = ("--pki", exported[edition]), tmp_path / "paused.json"
    with running(tmp_path, *ANYWHERE, *pki, *FAST) as secc:
        vehicle = ("evcc", "run", "--connect", secc.address, *pki, *FAST, "--energy", "1kWh")
        first = run(*vehicle, "--pause", str(kept))
        assert (first.status, first.summary["ending"], first.summary["resumed"]) == (0, "paused", False)
        again = run(*vehicle, "--resume", str(kept))
        assert (again.status, again.summary["ending"], again.summary["resumed"]) == (0, "stopped", True)
        assert again.summary["session_id"] == first.summary["session_id"]
        assert "PaymentDetailsReq" not in {event["name"] for event in again.of("message")} or edition == "iso15118-2"
        assert secc.end().status == 0
    kept.write_text("{}")
    broken = run(*vehicle, "--resume", str(kept))
    assert (broken.status, broken.error["code"]) == (3, "file.unreadable")
    missing = run(*vehicle, "--resume", str(tmp_path / "nowhere"))
    assert missing.error["message"] == f"{tmp_path / 'nowhere'} cannot be read: No such file or directory"


def test_a_first_interruption_stops_in_order(exported: dict[str, str], tmp_path: Path) -> None:
    pki, log = ("--pki", exported["iso15118-2"]), tmp_path / "vehicle"
    with running(tmp_path, *ANYWHERE, *pki, "--once") as secc, log.open("w") as out:
        vehicle = command("evcc", "run", "--connect", secc.address, *pki, "--json")
        with subprocess.Popen(vehicle, stdout=out, stderr=subprocess.PIPE, env=environment()) as process:
            until = time.monotonic() + PATIENCE
            while "ChargingStatusRes" not in log.read_text():
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.02)  # what it says is polled
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        ended = secc.end(None)
    assert ended.status == 0
    assert ended.summary["ending"] == "stopped"
    assert objects(log.read_text())[-1]["ending"] == "stopped"


def test_a_vehicle_that_just_leaves_is_no_planned_end(tmp_path: Path) -> None:
    with running(tmp_path, *ANYWHERE, "--auth", "eim", "--once") as secc:
        host, _, port = secc.address.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE) as connection:
            connection.sendall(b"\x01\xfe\x80")
        ended = secc.end(None)
    assert ended.status == 1
    assert ended.summary["ending"] == "peer_closed"


def usage(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_here(arguments) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("secc", "run"), "give --interface or --listen"),
        (("secc", "run", "--interface", "lo", "--listen", "[::1]:0"), "--interface and --listen exclude each other"),
        (("secc", "run", "--listen", "[::1]:0"), "--auth pnc needs TLS: give --pki DIR"),
        (("secc", "run", "--listen", "::1"), "in brackets"),
        (("secc", "run", "--listen", "[::1]:0", "--power", "11"), "is no power such as 11kW"),
        (("secc", "run", "--listen", "[::1]:0", "--auth", "card"), "is not pnc, eim or pnc,eim"),
        (("secc", "run", "--listen", "[::1]:0", "--edition", "ocpp"), "'ocpp' is not one of"),
        (("evcc", "run"), "give --interface or --connect"),
        (("evcc", "run", "--connect", "[::1]:0"), "no port from 1"),
        (("evcc", "run", "--connect", "[::1]:1", "--auth", "pnc"), "--auth pnc needs TLS"),
        (("evcc", "run", "--connect", "[::1]:1", "--soc", "101"), "not in the range"),
        (("evcc", "run", "--connect", "[::1]:1", "--no-tls", "--edition", "iso15118-20"), "plain TCP leaves"),
        (("secc", "run", "--listen", "[::1]:0", "--auth", "eim", "--currency", "EURO"), "no currency code such as EUR"),
        (("probe", "secc"), "give --station or --interface"),
        (("probe", "evcc", "--pki", "x"), "give --interface or --listen"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    assert words in usage(capsys, *arguments)


def test_an_evse_id_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(["secc", "run", "--listen", "[::1]:0", "--auth", "eim", "--evse-id", "quatsch"]) == 1
    assert "identifier.invalid" in capsys.readouterr().err


def test_a_folder_that_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run_here(["secc", "run", "--listen", "[::1]:0", "--pki", str(tmp_path / "empty")]) == 3
    assert "pki.unknown_layout" in capsys.readouterr().err
