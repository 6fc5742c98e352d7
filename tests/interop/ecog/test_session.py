"""EcoG's station and vehicle charge by Plug & Charge on the PKI that ``export --layout josev`` wrote.

What counts are EcoG's own checks: the TLS handshake under our V2G root, the contract chain under our MO
root, the CPS chain of the CertificateInstallationRes under our V2G root, and every message signature.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.interop.ecog.session import AC, AC_WITH_INSTALLATION, DC_20, Session, run_session

pytestmark = pytest.mark.interop("ecog")


def certificate(pki: Path, name: str) -> str:
    """One exported certificate, as the messages carry it."""
    return base64.b64encode((pki / "iso15118_2" / "certs" / name).read_bytes()).decode("ascii")


def chain(pki: Path, *names: str) -> dict[str, object]:
    """A certificate chain, as the messages carry it: leaf, then sub-CA 2 and sub-CA 1."""
    leaf, *above = (certificate(pki, name) for name in names)
    return {"Certificate": leaf, "SubCertificates": {"Certificate": above}}


def assert_charged(session: Session, pki: Path, emaid: str) -> None:
    """A whole Plug & Charge session happened, over TLS, with our contract certificate."""
    secc, evcc = session.secc, session.evcc
    assert secc.has("TLS server started at")
    assert evcc.has(r"SDPResponse received: .*Security: TLS")
    assert evcc.message("PaymentServiceSelectionRes")["ResponseCode"] == "OK"

    presented = secc.message("PaymentDetailsReq")
    assert presented["eMAID"] == emaid
    assert presented["ContractSignatureCertChain"] == chain(
        pki, "contractLeafCert.der", "moSubCA2Cert.der", "moSubCA1Cert.der"
    )
    assert secc.has("Using MO root at ")
    assert not secc.has("Local chain verification failed|No suitable MO root|MO Root Cert not available")
    assert evcc.message("PaymentDetailsRes")["ResponseCode"] == "OK"

    assert evcc.message("AuthorizationRes") == {"ResponseCode": "OK", "EVSEProcessing": "Finished"}
    assert secc.has("Signature verified successfully")
    assert evcc.message("PowerDeliveryRes")["ResponseCode"] == "OK"
    assert evcc.message("ChargingStatusRes")["ResponseCode"] == "OK"
    assert evcc.message("SessionStopRes") == {"ResponseCode": "OK"}
    assert not secc.has("FAILED|Traceback")
    assert not evcc.has("FAILED|Traceback")


def test_plug_and_charge(ecog_python: Path, josev: Path, emaid: str, tmp_path: Path) -> None:
    session = run_session(ecog_python, josev, tmp_path, AC)
    assert_charged(session, josev, emaid)
    # no CA key was exported, so the station has none to sign its tariff with, and charges all the same
    assert session.secc.has("Can't read private key .* SalesTariff: Key file not found")


def test_plug_and_charge_with_certificate_installation(
    ecog_python: Path, josev_with_ca_keys: Path, emaid: str, tmp_path: Path
) -> None:
    pki = josev_with_ca_keys
    session = run_session(ecog_python, pki, tmp_path, AC_WITH_INSTALLATION)

    asked = session.secc.message("CertificateInstallationReq")
    assert asked["OEMProvisioningCert"] == certificate(pki, "oemLeafCert.der")
    answer = session.evcc.message("CertificateInstallationRes")
    assert answer["ResponseCode"] == "OK"
    assert answer["SAProvisioningCertificateChain"] == chain(
        pki, "cpsLeafCert.der", "cpsSubCA2Cert.der", "cpsSubCA1Cert.der"
    )
    contract = answer["ContractSignatureCertChain"]
    assert isinstance(contract, dict)
    assert contract["Certificate"] == certificate(pki, "contractLeafCert.der")
    # the vehicle checked the answer's signature and the CPS chain up to the V2G root, and went on
    assert session.evcc.has("Signature verified successfully")
    assert not session.evcc.has("were not used to verify|Can't decrypt|failed while checking certificate chain")
    assert session.evcc.has("Sent PaymentDetailsReq")

    assert_charged(session, pki, emaid)
    # the tariff is signed with the MO Sub-CA 2 key of the export
    assert not session.secc.has("SalesTariff: Key file not found")
    assert session.evcc.has(r'Decoded message .*"Signature".*"ChargeParameterDiscoveryRes"')


def test_iso15118_20_on_the_laboratory_edition(ecog_python: Path, josev_20: Path, tmp_path: Path) -> None:
    # TLS 1.3, mutual: the station demands the vehicle's chain under our OEM root. EcoG offers no -20 installation.
    session = run_session(ecog_python, josev_20, tmp_path, DC_20)
    asked = session.secc.message("AuthorizationReq")
    assert asked["SelectedAuthorizationService"] == "PnC"
    authorised = asked["PnC_AReqAuthorizationMode"]
    assert isinstance(authorised, dict)
    presented = authorised["ContractCertificateChain"]
    assert presented == chain(josev_20, "contractLeafCert.der", "moSubCA2Cert.der", "moSubCA1Cert.der")
    assert session.secc.has("Signature verified successfully")
    answer = session.evcc.message("AuthorizationRes")
    assert (answer["ResponseCode"], answer["EVSEProcessing"]) == ("OK", "Finished")
    assert session.evcc.message("DC_ChargeLoopRes")["ResponseCode"] == "OK"
    assert session.evcc.message("SessionStopRes")["ResponseCode"] == "OK"
    assert not session.secc.has("FAILED|Traceback")
    assert not session.evcc.has("FAILED|Traceback")
