"""Two PKI folders meet over TLS: what ``v2gpki export`` wrote is enough; who is wrong is refused by the right alert."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import v2gpki
from tests.conftest import BIRTH
from tests.servers.v2gtls.bench import End, meet
from tests.wiring.pki_folders import exported, unlocked
from v2gpki.certs.chain import pem
from v2gpki.certs.view import view
from v2gpki.clock import FixedClock
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import SUITES, spki_of
from v2gpki.profile.load import Catalogue
from v2gpki.servers.evcc.credentials import contract_store, vehicle_keys
from v2gpki.servers.evcc.plugins import Installed
from v2gpki.servers.secc.credentials import station_keys
from v2gpki.servers.v2gtls.credentials import station_security, vehicle_security
from v2gpki.servers.v2gtls.rules import Edition
from v2gpki.wiring.credentials import Roots, VehicleCredentials
from v2gpki.wiring.pki_folder import Compat, station_credentials, vehicle_credentials
from v2gpki.wiring.pki_home import station_of_home, vehicle_of_home

CATALOGUE = Catalogue()
NOW = BIRTH + timedelta(hours=2)
CLOCK = FixedClock(NOW)


@pytest.fixture(scope="module")
def folders(home_all: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to by tests."""
    return exported(home_all, tmp_path_factory.mktemp("pki"))


@pytest.fixture
def copied(folders: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one of the folders, to be spoilt."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(folders / name, tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"))

    return copy


def joined(station: Path, vehicle: Path, *editions: Edition, compat: Compat = "") -> tuple[End, End]:
    """Both ends after one connection, each by its folder; the vehicle offers these editions."""
    there = station_credentials(station, at=NOW, compat=compat)
    here = vehicle_credentials(vehicle, at=NOW, compat=compat)
    offered: Sequence[Edition] = ("lab-ecog-20",) if compat else ("iso15118-2", "iso15118-20")
    return meet(
        station_security(there, catalogue=CATALOGUE, clock=CLOCK, editions=offered),
        vehicle_security(here, catalogue=CATALOGUE, clock=CLOCK, editions=editions),
    )


def refused(code: str, call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == code
    return found.value


# --- what holds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "edition", "compat", "version"),
    [
        ("two", "iso15118-2", "", "1.2"),
        ("josev", "iso15118-2", "", "1.2"),
        ("twenty", "iso15118-20", "", "1.3"),
        ("ed448", "iso15118-20", "", "1.3"),
        ("lab", "lab-ecog-20", "ecog", "1.3"),
    ],
)
def test_an_export_is_enough_for_both_ends(
    folders: Path, name: str, edition: Edition, compat: Compat, version: str
) -> None:
    station, vehicle = joined(folders / name, folders / name, edition, compat=compat)
    assert (station.code, vehicle.code) == ("", "")
    assert vehicle.received == [b"\x01charge"]
    secured = vehicle.link.secured if vehicle.link else None
    assert secured is not None
    assert secured.version == version
    # The vehicle's default demands one.
    assert secured.staple is not None


def test_one_station_with_every_chain_serves_every_vehicle(folders: Path) -> None:
    for name, edition in (("two", "iso15118-2"), ("twenty", "iso15118-20"), ("ed448", "iso15118-20")):
        station, vehicle = joined(folders, folders / name, edition)
        assert (name, station.code, vehicle.code) == (name, "", "")


# --- who is refused -------------------------------------------------------------------------------------------------


def test_a_station_under_a_root_that_the_vehicle_has_not(folders: Path, copied: Callable[[str], Path]) -> None:
    vehicle = copied("two")
    shutil.copy(folders / "lab/iso15118_2/certs/v2gRootCACert.pem", vehicle / "ca/v2g/V2G_ROOT_CA.pem")
    (vehicle / "ca/v2g/V2G_ROOT_CA.der").unlink()
    station, end = joined(folders / "two", vehicle, "iso15118-2")
    assert (end.code, station.alert) == ("path.no_anchor", "unknown_ca")


def put(home: Path, place: Path, role: str, name: str, **order: object) -> None:
    """Another leaf with its key into a client folder, in the place of the one there; some orders are revoked."""
    revoke = order.pop("revoke", False)
    with unlocked(home) as ca:
        one = ca.issue(role, **order)  # type: ignore[arg-type]  # as it is called
        if revoke:
            ca.revoke(f"{one.record.serial:x}", "keyCompromise")
            responses = ca.staples(one.chain)
            (place / "ocsp" / "new.der").write_bytes(responses[0].der)
    for path in place.glob("*.*"):
        if path.is_file():
            path.unlink()
    assert one.private_key is not None
    (place / f"{name}.pem").write_bytes(pem(one.chain))
    (place / f"{name}.key").write_bytes(pkcs8.plain(one.private_key))
    (place / f"{name}.key").chmod(0o600)


@pytest.fixture
def home(home_all: Path, tmp_path: Path) -> Path:
    """A home whose certificates the folders hold."""
    return Path(shutil.copytree(home_all, tmp_path / "home"))


def test_a_station_whose_leaf_was_revoked(folders: Path, copied: Callable[[str], Path], home: Path) -> None:
    station = copied("two")
    put(home, station / "client/cso", "secc", "SECC_LEAF", id="DE*ABC*E00001", edition="iso15118-2", revoke=True)
    end, vehicle = joined(station, folders / "two", "iso15118-2")
    # By the staple: OpenSSL has one alert for whatever is wrong with it in TLS 1.2.
    assert (vehicle.code, end.alert) == ("path.revoked", "bad_certificate_status_response")


def test_a_station_that_staples_nothing(folders: Path, copied: Callable[[str], Path]) -> None:
    station = copied("two")
    shutil.rmtree(station / "client/cso/ocsp")
    end, vehicle = joined(station, folders / "two", "iso15118-2")
    assert (vehicle.code, end.alert) == ("tls.no_staple", "bad_certificate_status_response")


def test_a_leaf_that_is_no_station_s(folders: Path, copied: Callable[[str], Path], home: Path) -> None:
    """[V2G2-875]: DC=CPO; the CPS leaf is under the same root."""
    station = copied("two")
    put(home, station / "client/cso", "cps", "SECC_LEAF", edition="iso15118-2")
    there = station_credentials(station, at=NOW)
    here = vehicle_credentials(folders / "two", at=NOW)
    end, vehicle = meet(
        station_security(there, catalogue=CATALOGUE, clock=CLOCK),
        vehicle_security(here, catalogue=CATALOGUE, clock=CLOCK, editions=["iso15118-2"], staple_policy="off"),
    )
    assert vehicle.problem is not None
    assert "role.domain_component" in {finding.code for finding in vehicle.problem.findings}
    assert end.alert == "unsupported_certificate"


def test_a_vehicle_under_the_mo_root(folders: Path, copied: Callable[[str], Path], home: Path) -> None:
    """[V2G20-2401]: a contract is no vehicle certificate, though the station knows its root."""
    vehicle = copied("twenty")
    put(
        home,
        vehicle / "client/vehicle",
        "contract",
        "VEHICLE_LEAF",
        id="DEABCC00000042",
        edition="iso15118-20",
        suite="p521",
    )
    station, end = joined(folders / "twenty", vehicle, "iso15118-20")
    assert (station.code, end.alert) == ("role.wrong_anchor", "unknown_ca")


def test_a_vehicle_that_was_revoked(folders: Path, copied: Callable[[str], Path], home: Path) -> None:
    station, vehicle = copied("twenty"), copied("twenty")
    place = vehicle / "client/vehicle"
    (place / "ocsp").mkdir()
    put(
        home,
        place,
        "vehicle",
        "VEHICLE_LEAF",
        id="WABV0000000000000005",
        edition="iso15118-20",
        suite="p521",
        revoke=True,
    )
    # What the station knows of it lies in its own folder.
    (station / "ca/vehicle/ocsp").mkdir()
    shutil.copy(place / "ocsp/new.der", station / "ca/vehicle/ocsp/new.der")
    end, other = joined(station, vehicle, "iso15118-20")
    assert (end.code, other.alert) == ("path.revoked", "certificate_revoked")
    assert joined(folders / "twenty", folders / "twenty", "iso15118-20")[0].code == ""


def test_a_vehicle_without_certificate_cannot_offer_20(folders: Path) -> None:
    here = vehicle_credentials(folders / "two", at=NOW)
    refused(
        "pki.missing",
        lambda: vehicle_security(here, catalogue=CATALOGUE, clock=CLOCK, editions=["iso15118-20"]),
    )


def test_a_station_without_a_chain_for_what_is_asked(folders: Path) -> None:
    there = station_credentials(folders / "two", at=NOW)
    refused(
        "pki.missing",
        lambda: station_security(there, catalogue=CATALOGUE, clock=CLOCK, editions=["iso15118-20"]),
    )
    assert station_security(there, catalogue=CATALOGUE, clock=CLOCK).offered() == ("iso15118-2",)


def test_a_home_mints_both_ends_and_its_revocations_count_at_once(everything: v2gpki.CertificateAuthority) -> None:
    both: list[Edition] = ["iso15118-2", "iso15118-20"]
    station = station_of_home(everything, editions=both)
    vehicle = vehicle_of_home(everything, editions=both)
    security = station_security(station, catalogue=CATALOGUE, clock=CLOCK)
    for edition in both:
        here = vehicle_security(vehicle, catalogue=CATALOGUE, clock=CLOCK, editions=[edition])
        ends = meet(security, here)
        assert [end.code for end in ends] == ["", ""]
    everything.revoke(f"{view(vehicle.tls('iso15118-20').chain[0]).serial:x}", "keyCompromise")
    assert meet(security, here)[0].code == "path.revoked"


# --- beyond TLS -----------------------------------------------------------------------------------------------------


def test_the_keys_of_a_station(folders: Path) -> None:
    two = station_keys(station_credentials(folders / "two", at=NOW), catalogue=CATALOGUE)
    operator = x509.load_pem_x509_certificate((folders / "two/ca/mo/MO_SUB_CA2.pem").read_bytes())
    assert two.tariff_signer is not None
    assert two.tariff_signer.spki == spki(operator)
    assert two.metering_signer is None
    twenty = station_keys(station_credentials(folders / "twenty", at=NOW), catalogue=CATALOGUE)
    leaf = x509.load_pem_x509_certificate((folders / "twenty/client/cso/SECC_LEAF.pem").read_bytes())
    assert twenty.metering_signer is not None
    assert twenty.metering_signer.spki == spki(leaf)
    assert (twenty.tariff_signer, twenty.lab) == (None, False)
    lab = station_keys(station_credentials(folders / "lab", at=NOW), catalogue=CATALOGUE, compat="ecog")
    assert lab.lab


def spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_meter_key_signs_if_there_is_one(copied: Callable[[str], Path]) -> None:
    folder = copied("twenty")
    key = SUITES["p521"].generate()
    (folder / "meter.key").write_bytes(pkcs8.plain(key))
    (folder / "meter.key").chmod(0o600)
    keys = station_keys(station_credentials(folder, at=NOW), catalogue=CATALOGUE)
    assert keys.metering_signer is not None
    assert keys.metering_signer.spki == spki_of(key.public_key())


@pytest.mark.parametrize(
    ("name", "compat", "edition"),
    [("two", "", "iso15118-2"), ("twenty", "", "iso15118-20"), ("lab", "ecog", "iso15118-20")],
)
def test_the_contracts_of_a_vehicle(
    copied: Callable[[str], Path], name: str, compat: Compat, edition: Edition
) -> None:
    folder = copied(name)
    here = vehicle_credentials(folder, at=NOW, compat=compat)
    store = contract_store(here, CLOCK, compat=compat)
    contract = asyncio.run(store.contract(edition, ()))
    assert contract is not None
    assert (contract.emaid, contract.edition, len(contract.chain)) == ("DEABCC00000001", edition, 3)
    provisioning = asyncio.run(store.provisioning(edition))
    assert provisioning is not None
    # As v2gpki export says by default; -20 envelopes are bound to it.
    assert provisioning.emaid == "WAB00000000000001"
    assert asyncio.run(store.roots(edition)) == here.roots.v2g
    judged = vehicle_keys(here, catalogue=CATALOGUE, compat=compat)
    assert judged.lab == (compat == "ecog")
    # Of the other edition it has nothing.
    other: Edition = "iso15118-2" if edition == "iso15118-20" else "iso15118-20"
    assert asyncio.run(store.contract(other, ())) is None
    # What is installed is kept in the folder.
    loaded = Installed("DEABCC00000099", edition, contract.chain, pkcs8.plain(SUITES["p256"].generate()))
    asyncio.run(store.save(loaded))
    assert (folder / "installed" / edition / "DEABCC00000099.pem").exists()
    again = contract_store(here, CLOCK, compat=compat, preferred="DEABCC00000099")
    found = asyncio.run(again.contract(edition, ()))
    assert found is not None
    assert found.emaid == "DEABCC00000099"


def test_a_vehicle_without_a_folder_keeps_nothing() -> None:
    refused("pki.missing", lambda: contract_store(VehicleCredentials(Roots()), CLOCK))
