"""Our vehicle at EcoG's station, EcoG's vehicle at ours: whole sessions from discovery to SessionStop.

EcoG's programs are unchanged. What counts are its own verdicts (its handshake, its checks of chains and signatures, its
decoder) and ours; a pair that was late is tried again, one that was refused is not. -20 is spoken on the `lab-ecog-20`
chains: EcoG knows P-256 alone there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tests.interop.ecog.pairing import Outcome, Pair, our_station, our_vehicle
from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.pnc.installation.chains import common_name
from v2gpki.wiring import CertificateAuthority

pytestmark = pytest.mark.interop("ecog")

AC2, DC2 = Pair("iso15118-2", "ac"), Pair("iso15118-2", "dc", words=("--stop-after", "1"))
AC20 = Pair("iso15118-20", "ac", words=("--stop-after", "1"))
DC20 = Pair("iso15118-20", "dc", words=("--stop-after", "1"))
AC20_BPT, DC20_BPT = replace(AC20, both_ways=True), replace(DC20, both_ways=True)
EIM2 = Pair("iso15118-2", "ac", way="eim")
INSTALL2 = Pair("iso15118-2", "ac", install=True)
#: EcoG's names for the certificates of an OEM chain, leaf first.
_OEM = ("Leaf", "SubCA2", "SubCA1")


def verdicts(outcome: Outcome) -> dict[str, bool]:
    """What our side judged, and whether it held."""
    return {str(event["what"]): bool(event["holds"]) for event in outcome.of("verdict")}


def assert_whole(outcome: Outcome, *messages: str) -> None:
    """The session ended as planned, and had these messages in this order."""
    assert outcome.code == 0, outcome.ours[-3000:] + outcome.ecog.text[-1500:]
    names = outcome.names()
    assert [name for name in dict.fromkeys(names) if name in messages] == list(messages)
    assert not outcome.ecog.has("FAILED_|Traceback")


# --- our vehicle ----------------------------------------------------------------------------------------------------


@pytest.mark.judged("AC, Plug & Charge over TLS", edition="iso15118-2", by="EcoG's SECC")
def test_our_vehicle_charges_ac(ecog_python: Path, josev_with_ca_keys: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_with_ca_keys, tmp_path, AC2)
    assert_whole(outcome, "PaymentDetailsReq", "AuthorizationReq", "ChargingStatusReq", "SessionStopReq")
    assert outcome.ecog.has("Signature verified successfully")
    # EcoG's station signs its tariff with the MO's Sub-CA 2 key; our vehicle checks that.
    assert verdicts(outcome) == {"chain of the station": True, "SalesTariff signature": True}


@pytest.mark.judged("CertificateInstallation, then Plug & Charge", edition="iso15118-2", by="EcoG's SECC")
def test_our_vehicle_installs_its_contract(ecog_python: Path, josev_with_ca_keys: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_with_ca_keys, tmp_path, INSTALL2)
    assert_whole(outcome, "CertificateInstallationReq", "PaymentDetailsReq", "AuthorizationReq", "SessionStopReq")
    assert verdicts(outcome)["contract"]


@pytest.mark.judged("AC, EIM without TLS", edition="iso15118-2", by="EcoG's SECC")
def test_our_vehicle_charges_without_tls(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev, tmp_path, EIM2)
    assert_whole(outcome, "PaymentServiceSelectionReq", "AuthorizationReq", "ChargingStatusReq", "SessionStopReq")


@pytest.mark.judged("DC, Plug & Charge over TLS", edition="iso15118-2", by="EcoG's SECC")
def test_our_vehicle_charges_dc(ecog_python: Path, josev_with_ca_keys: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_with_ca_keys, tmp_path, DC2)
    assert_whole(outcome, "CableCheckReq", "PreChargeReq", "CurrentDemandReq", "SessionStopReq")


@pytest.mark.judged("DC, Plug & Charge over mutual TLS 1.3 (P-256 lab chains)", edition="iso15118-20", by="EcoG's SECC")
def test_our_vehicle_charges_dc_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_20, tmp_path, DC20)
    assert_whole(outcome, "AuthorizationSetupReq", "AuthorizationReq", "DC_ChargeLoopReq", "SessionStopReq")


@pytest.mark.judged("AC, Plug & Charge over mutual TLS 1.3 (P-256 lab chains)", edition="iso15118-20", by="EcoG's SECC")
def test_our_vehicle_charges_ac_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_20, tmp_path, AC20)
    assert_whole(outcome, "AuthorizationSetupReq", "AuthorizationReq", "AC_ChargeLoopReq", "SessionStopReq")


@pytest.mark.judged("DC, both ways (BPT), Plug & Charge (P-256 lab chains)", edition="iso15118-20", by="EcoG's SECC")
def test_our_vehicle_gives_back_dc_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_20, tmp_path, DC20_BPT)
    assert_whole(outcome, "AuthorizationReq", "DC_ChargeLoopReq", "SessionStopReq")
    assert outcome.ecog.has("BPT_(Scheduled|Dynamic)_DC_CLReqControlMode")


@pytest.mark.judged("AC, both ways (BPT), Plug & Charge (P-256 lab chains)", edition="iso15118-20", by="EcoG's SECC")
def test_our_vehicle_gives_back_ac_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_vehicle(ecog_python, josev_20, tmp_path, AC20_BPT)
    assert_whole(outcome, "AuthorizationReq", "AC_ChargeLoopReq", "SessionStopReq")
    assert outcome.ecog.has("BPT_(Scheduled|Dynamic)_AC_CLReqControlMode")


# --- our station ----------------------------------------------------------------------------------------------------


@pytest.mark.judged("AC, Plug & Charge over TLS", edition="iso15118-2", by="EcoG's EVCC")
def test_our_station_charges_ac(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev, tmp_path, AC2)
    assert_whole(outcome, "PaymentDetailsReq", "AuthorizationReq", "ChargingStatusReq", "SessionStopReq")
    assert verdicts(outcome) == {"contract chain": True, "AuthorizationReq signature": True}
    assert outcome.ecog.has("SessionStopRes received")


@pytest.mark.judged("AC, EIM without TLS", edition="iso15118-2", by="EcoG's EVCC")
def test_our_station_charges_without_tls(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev, tmp_path, EIM2)
    assert_whole(outcome, "PaymentServiceSelectionReq", "AuthorizationReq", "ChargingStatusReq", "SessionStopReq")


@pytest.mark.judged("DC, Plug & Charge over TLS", edition="iso15118-2", by="EcoG's EVCC")
def test_our_station_charges_dc(ecog_python: Path, josev: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev, tmp_path, DC2)
    assert_whole(outcome, "CableCheckReq", "PreChargeReq", "CurrentDemandReq", "WeldingDetectionReq", "SessionStopReq")


@pytest.mark.judged("DC, Plug & Charge over mutual TLS 1.3 (P-256 lab chains)", edition="iso15118-20", by="EcoG's EVCC")
def test_our_station_charges_dc_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev_20, tmp_path, DC20)
    assert_whole(outcome, "AuthorizationSetupReq", "AuthorizationReq", "DC_ChargeLoopReq", "SessionStopReq")
    held = {"chain of the vehicle": True, "contract chain": True, "AuthorizationReq signature": True}
    assert verdicts(outcome) == held


@pytest.mark.judged("AC, Plug & Charge over mutual TLS 1.3 (P-256 lab chains)", edition="iso15118-20", by="EcoG's EVCC")
def test_our_station_charges_ac_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev_20, tmp_path, AC20)
    assert_whole(outcome, "AuthorizationSetupReq", "AuthorizationReq", "AC_ChargeLoopReq", "SessionStopReq")


@pytest.mark.judged("CertificateInstallation, then Plug & Charge", edition="iso15118-2", by="EcoG's EVCC")
def test_our_station_installs_a_contract(
    ecog_python: Path, ecog_home: CertificateAuthority, josev: Path, tmp_path: Path
) -> None:
    """The contract is made by the home behind our station, for the provisioning certificate of EcoG's vehicle."""
    oem = [load_certificates((josev / "iso15118_2" / "certs" / f"oem{one}Cert.der").read_bytes())[0] for one in _OEM]
    pcid, now = common_name(view(oem[0])), datetime.now(UTC).replace(microsecond=0)
    pools = ecog_home.plug_and_charge
    pools.vehicles.register(tuple(oem), edition="iso15118-2", at=now, caller="test")
    pools.contracts.create("DEABCC99999999", pcid, now, now + timedelta(days=500), at=now, caller="test")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)
    outcome = our_station(
        ecog_python,
        josev,
        tmp_path,
        INSTALL2,
        "--contracts",
        "--home",
        str(ecog_home.home),
        secrets={"V2GPKI_PASSPHRASE_FILE": str(passphrase)},
    )
    assert_whole(outcome, "CertificateInstallationReq", "PaymentDetailsReq", "AuthorizationReq", "SessionStopReq")
    installed = outcome.ecog.message("CertificateInstallationRes")
    assert installed["ResponseCode"] == "OK"
    assert "DEABCC99999999" in str(installed["eMAID"])


@pytest.mark.judged("DC, both ways (BPT), Plug & Charge (P-256 lab chains)", edition="iso15118-20", by="EcoG's EVCC")
def test_our_station_takes_back_dc_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev_20, tmp_path, DC20_BPT)
    assert_whole(outcome, "AuthorizationReq", "DC_ChargeLoopReq", "SessionStopReq")
    assert outcome.ecog.has("BPT_(Scheduled|Dynamic)_DC_CLResControlMode")


@pytest.mark.judged("AC, both ways (BPT), Plug & Charge (P-256 lab chains)", edition="iso15118-20", by="EcoG's EVCC")
def test_our_station_takes_back_ac_20(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    outcome = our_station(ecog_python, josev_20, tmp_path, AC20_BPT)
    assert_whole(outcome, "AuthorizationReq", "AC_ChargeLoopReq", "SessionStopReq")
    assert outcome.ecog.has("BPT_(Scheduled|Dynamic)_AC_CLResControlMode")
