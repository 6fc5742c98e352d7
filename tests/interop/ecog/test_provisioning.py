"""EcoG's vehicle gets a contract of our home through EcoG's station, and charges: `examples/ecog_controller.py`.

Before the session neither side has a contract: the station has its own certificate and roots, the vehicle its
provisioning certificate, its V2G root and the operator's Sub-CAs (EcoG's hook for storing hands over the leaf alone).
What the vehicle authorises with is read from the station's log and compared with our store.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.conftest import PASSPHRASE
from tests.interop.ecog.session import AC_WITH_INSTALLATION, Programs, Session, run_session
from v2gpki.services.export import export_layout
from v2gpki.store.records import CertificateRecord
from v2gpki.wiring import CertificateAuthority, open_authority
from v2gpki.wiring.audit_check import check_audit

pytestmark = pytest.mark.interop("ecog")

_EMAID = "DEABCC98765432"
_EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
_STATION = ("seccLeaf*", "cpoCertChain*", "cpoSubCA*", "v2gRootCA*", "moRootCA*", "oemRootCA*", "oemSubCA*")
_VEHICLE = ("oemLeaf*", "oemCertChain*", "oemSubCA*", "v2gRootCA*", "moSubCA1Cert*", "moSubCA2Cert*")


@dataclass(frozen=True, slots=True)
class Charged:
    """A session that is over, and the home that gave the contract."""

    session: Session
    home: Path
    vehicle: Path

    def contracts(self) -> list[CertificateRecord]:
        """The certificates that our home has issued for the contract."""
        with open_authority(self.home) as authority:
            return list(authority.store.find_certificates(role="contract", identifier=_EMAID))


def part(pki: Path, folder: Path, *patterns: str) -> Path:
    """A PKI folder with some files of another one."""
    for kind in ("certs", "private_keys"):
        place = folder / "iso15118_2" / kind
        place.mkdir(parents=True)
        for pattern in patterns:
            for found in (pki / "iso15118_2" / kind).glob(pattern):
                shutil.copy(found, place)
    return folder


def prepared(authority: CertificateAuthority, pki: Path) -> None:
    """What the OEM and the mobility operator do before a vehicle asks."""
    certificates = pki / "iso15118_2" / "certs"
    chain = [(certificates / f"{name}Cert.der").read_bytes() for name in ("oemLeaf", "oemSubCA2", "oemSubCA1")]
    now = datetime.now(UTC).replace(microsecond=0)
    charge = authority.plug_and_charge
    vehicle = charge.vehicles.register(chain, edition="iso15118-2", at=now, caller="test").vehicle
    ends = now + timedelta(days=300)
    charge.contracts.create(_EMAID, vehicle.pcid, now - timedelta(hours=1), ends, at=now, caller="test")


@pytest.fixture(scope="module")
def charged(ecog_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Charged:
    folder = tmp_path_factory.mktemp("provisioning")
    home, secret = folder / "home", folder / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n", "utf-8")
    with open_authority(home, passphrase=PASSPHRASE, create=True) as authority:
        authority.initialise(authority.plan(["iso15118-2"]), org="Acme")
        # an export has a contract too: it is another one's, and neither side gets it
        pki = export_layout(authority, "josev", folder / "pki", ids={"contract": "DEABCC11111111"}).folder
        prepared(authority, pki)
    vehicle = part(pki, folder / "vehicle", *_VEHICLE)
    programs = Programs(
        station=(str(_EXAMPLES / "ecog_controller.py"),),
        vehicle=(str(Path(__file__).with_name("vehicle.py")),),
        vehicle_pki=vehicle,
        settings={
            "USE_CPO_BACKEND": "True",
            "V2GPKI_PYTHON": sys.executable,
            "V2GPKI_HOME": str(home),
            "V2GPKI_PASSPHRASE_FILE": str(secret),
            "V2GPKI_EMAIDS": f"DEABCC11111111, {_EMAID}",
        },
    )
    station = part(pki, folder / "station", *_STATION)
    for place in (station, vehicle):
        assert not list(place.rglob("contract*"))
    assert not list(station.rglob("cps*"))
    return Charged(run_session(ecog_python, station, folder, AC_WITH_INSTALLATION, programs), home, vehicle)


@pytest.mark.judged("contracts of our home in EcoG's station", edition="iso15118-2", by="EcoG's SECC and EVCC")
def test_the_vehicle_installs_what_our_home_answers(charged: Charged) -> None:
    secc, evcc = charged.session.secc, charged.session.evcc
    assert secc.has("Using CPO backend to fetch CertificateInstallationRes")
    assert not secc.has("v2gpki gives no contract")
    answer = evcc.message("CertificateInstallationRes")
    assert answer["ResponseCode"] == "OK"
    assert evcc.has("Signature verified successfully")
    assert not evcc.has("were not used to verify|Can't decrypt|failed while checking certificate chain")
    (record,) = charged.contracts()
    assert evcc.has(f"contract certificate {record.serial:x} is installed")


def test_the_station_authorises_our_contract_certificate(charged: Charged) -> None:
    """By its serial, from the side of the station: it is the one that our store has for this contract."""
    secc = charged.session.secc
    (record,) = charged.contracts()
    presented = secc.message("PaymentDetailsReq")
    assert presented["eMAID"] == _EMAID
    chain = presented["ContractSignatureCertChain"]
    assert isinstance(chain, dict)
    leaf = base64.b64decode(str(chain["Certificate"]))
    assert x509.load_der_x509_certificate(leaf).serial_number == record.serial
    assert leaf == record.der
    # its chain holds under our MO root, and the challenge was signed with the installed key
    assert secc.has("Using MO root at ")
    assert not secc.has("Local chain verification failed|No suitable MO root|MO Root Cert not available")
    assert secc.message("AuthorizationReq")["GenChallenge"]
    # and by our list, asked once, with OCPP's hash data of leaf and Sub-CAs
    (decided,) = re.findall(r"v2gpki: accepted for pnc (\S+): -; hash data (\[.*?\])$", secc.text, re.MULTILINE)
    assert decided[0] == _EMAID
    leaf_data, *above = json.loads(decided[1])
    assert int(leaf_data["serialNumber"], 16) == record.serial
    assert len(above) == 2
    assert charged.session.evcc.message("AuthorizationRes") == {"ResponseCode": "OK", "EVSEProcessing": "Finished"}


def test_the_session_goes_on_to_its_end(charged: Charged) -> None:
    secc, evcc = charged.session.secc, charged.session.evcc
    assert secc.has("TLS server started at")
    for name in ("PaymentDetailsRes", "PowerDeliveryRes", "ChargingStatusRes"):
        assert evcc.message(name)["ResponseCode"] == "OK"
    assert evcc.message("SessionStopRes") == {"ResponseCode": "OK"}
    assert not secc.has("FAILED|Traceback")
    assert not evcc.has("FAILED|Traceback")


def test_the_log_of_the_home_holds(charged: Charged) -> None:
    """Two processes wrote it: the one that prepared, and the one beside the station."""
    with open_authority(charged.home) as authority:
        check_audit(authority.store).verdict.require_sound()
        rows = list(authority.store.audit_rows())
    assert {row.caller for row in rows if row.action in ("bundle.made", "request.answered")} == {"station pipe"}
    assert {row.caller for row in rows if row.action == "contract.created"} == {"test"}
