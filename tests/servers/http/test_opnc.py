"""OPNC over HTTP, in process: the same pools under the names of OPNC v1."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, ISO2, OTHER_EMAID, Served, asked, b64, contract, vehicle_of
from tests.servers.http.test_opcp import given
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.pnc import installation

CCP = "/opnc/v1/ccp"
DATA = CCP + "/signedcontractdata"


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        found.bind()
        yield found


def test_a_request_is_answered_with_the_contract(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    answer = served.client("cpo").post(DATA, json=asked(vehicle))
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["signedContractDataCollection"]
    assert (found["emaid"], found["pcid"], found["xsdMsgDefNamespace"]) == (EMAID, PCID, ISO2)
    assert found["cpsV2GRootCertificateFingerprint"] == hashlib.sha256(vehicle.roots()[0]).hexdigest()
    assert vehicle.open(base64.b64decode(found["certificateInstallationRes"])).emaid == EMAID


def test_nothing_found_is_told_the_vehicle_too(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    answer = served.client("cpo").post(DATA, json=asked(vehicle))
    assert answer.status_code == 404
    (found,) = answer.json()["signedContractDataCollection"]
    told = installation.read_response(base64.b64decode(found["certificateInstallationRes"]))
    assert told.code == "FAILED_NoCertificateAvailable"
    plain = served.client("cpo", alwaysReturnEXI="false").post(DATA, json=asked(vehicle))
    assert (plain.status_code, plain.json().keys()) == (404, {"errorMessages", "traceId"})


def test_roots_are_listed_found_added_and_taken_back(served: Served, foreign: CertificateAuthority) -> None:
    cpo, operator = served.client("cpo"), served.client("operator")
    path = "/opnc/v1/rcp/rootcertificates"
    listed = cpo.get(path, params={"pkiType": "emsp"}).json()["rootCertificateCollection"]
    assert [root["rootType"] for root in listed] == ["eMSP"]
    assert base64.b64decode(listed[0]["caCertificate"]) == served.ca.authority("iso2-mo-root").der
    one = cpo.get(f"{path}/{listed[0]['rootCertificateId']}").json()
    assert one["roootCertificate"] == one["rootCertificate"] == listed[0]
    assert cpo.get(path, params={"pkiType": "mo"}).status_code == 400
    body = {"caCertificate": b64(foreign.authority("iso2-mo-root").der), "rootType": "eMSP"}
    assert cpo.put(path, json=body).status_code == 403
    made = operator.put(path, json=body)
    assert made.status_code == 200, made.text
    assert operator.put(path, json={**body, "rootType": "MO"}).status_code == 400
    assert operator.delete(f"{path}/{made.json()['rootCertificate']['rootCertificateId']}").status_code == 200
    assert len(cpo.get(path, params={"pkiType": "emsp"}).json()["rootCertificateCollection"]) == 1


def test_a_manufacturer_publishes_and_takes_back(served: Served) -> None:
    vehicle = Vehicle.made(served.ca, registered=False)
    leaf, second, first = map(b64, vehicle.chain)
    path = "/opnc/v1/pcp/provisioningcertificates"
    body = {
        "provisioningCertificateChain": {
            "certificate": leaf, "subCa2Certificate": second, "subCa1Certificate": first,
        },
        "v2gRootAuthorityKeyIdentifiers": ["45:b8:40:9e"],
    }  # fmt: skip
    oem = served.client("oem")
    assert served.client("other-oem").put(path, json=body).status_code == 403
    assert oem.put(path, json=body).status_code == 200
    found = served.client("mo").get(f"{path}/{PCID}").json()["provisioningCertificate"]
    assert found["provisioningCertificateChain"] == body["provisioningCertificateChain"]
    assert found["v2gRootAuthorityKeyIdentifiers"] == ["45:b8:40:9e"]
    assert served.client("mo").get(f"/opnc/v1/pcp/lookupvehicle/{PCID}").status_code == 200
    assert oem.delete(f"{path}/{PCID}").status_code == 200
    assert served.client("mo").get(f"/opnc/v1/pcp/lookupvehicle/{PCID}").status_code == 404
    values: tuple[dict[str, object], ...] = (
        {},
        {"provisioningCertificateChain": []},
        {"provisioningCertificateChain": {"certificate": leaf}},
    )
    for wrong in values:
        assert oem.put(path, json=wrong).status_code == 400


def generated(**changed: object) -> dict[str, object]:
    return {
        "contractBegins": "2026-02-01T00:00:00Z",
        "contractEnds": "2027-02-01T00:00:00Z",
        "emaid": EMAID,
        "pcid": PCID,
        "xsdMsgDefNamespace": ISO2,
        **changed,
    }


def test_a_contract_is_generated_looked_up_and_ended(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    mo, oem = served.client("mo"), served.client("oem")
    generate = "/opnc/v1/cps/contractData/generateandsign"
    root = hashlib.sha256(served.ca.authority("iso2-mo-root").der).hexdigest()
    assert mo.put(generate, json=generated(moRootCertificateFingerprint=root)).status_code == 201
    assert mo.put(generate, json=generated(moRootCertificateFingerprint="00" * 32)).status_code == 400
    (found,) = mo.get(f"{CCP}/contractData/emaid/{EMAID}").json()["contractDataCollection"]
    assert found["cpsV2GRootCertificateFingerprint"] == hashlib.sha256(vehicle.roots()[0]).hexdigest()
    assert found["defaultContract"] is True
    assert oem.get(f"{CCP}/contractData/pcid/{PCID}").json()["contractDataCollection"] == [found]
    (data,) = oem.get(f"{DATA}/{EMAID}/{PCID}").json()["signedContractDataCollection"]
    opened = vehicle.open(base64.b64decode(data["certificateInstallationRes"]))
    assert b64(opened.chain[0]) == found["contractCertificate"]
    assert mo.put(generate, json=generated(emaid=OTHER_EMAID)).status_code == 201
    assert oem.post(f"{DATA}/{OTHER_EMAID}/{PCID}/setdefault").status_code == 200
    answer = served.client("cpo").post(DATA, json=asked(vehicle)).json()
    assert answer["signedContractDataCollection"][0]["emaid"] == OTHER_EMAID
    assert mo.delete(f"{DATA}/{EMAID}").status_code == 200
    assert mo.get(f"{CCP}/contractData/emaid/{EMAID}").status_code == 404


def test_foreign_contract_data_is_signed_and_stored(served: Served, foreign: CertificateAuthority) -> None:
    served.ca.plug_and_charge.roots.add(
        foreign.authority("iso2-mo-root").der, role="mo-root", at=BIRTH, caller="test"
    )
    vehicle = vehicle_of(served.ca)
    data = given(foreign, vehicle)
    bundle = {
        "pcid": PCID,
        "emaid": EMAID,
        "contractCertificateChain": {
            "certificate": data["contractCertificate"],
            "subCa1Certificate": data["contractSubCa1Certificate"],
            "subCa2Certificate": data["contractSubCa2Certificate"],
        },
        "contractSignatureEncryptedPrivateKey": data["contractSignatureEncryptedPrivateKey"],
        "dHpublickey": data["dHpublickey"],
    }
    body = {"contractCertificateBundle": bundle, "xsdMsgDefNamespace": ISO2}
    made = served.client("mo").put("/opnc/v1/cps/contractData/sign", json=body)
    assert made.status_code == 201, made.text
    signed = made.json()["signedContractData"]
    assert vehicle.open(base64.b64decode(signed["certificateInstallationRes"])).emaid == EMAID
    assert served.client("cpo").post(DATA, json=asked(vehicle)).status_code == 200
    assert served.client("mo").delete(f"{DATA}/{EMAID}").status_code == 200
    assert served.client("cps").put(DATA, json=signed).status_code == 201
    assert served.client("cpo").post(DATA, json=asked(vehicle)).status_code == 200


def test_the_cps_certificates_are_listed(served: Served) -> None:
    (signer,) = served.client("mo").get("/opnc/v1/cps/cpsCertificates").json()["cpsCertificateDataCollection"]
    leaf = base64.b64decode(signer["cpsCertificateChain"]["certificate"])
    second = base64.b64decode(signer["cpsCertificateChain"]["subCa2Certificate"])
    x509.load_der_x509_certificate(leaf).verify_directly_issued_by(x509.load_der_x509_certificate(second))


@pytest.mark.parametrize("path", ["/opnc/v1/pki/revokeCertificate", "/opnc/v1/pki/pki/revokeCertificate"])
def test_who_owns_a_certificate_ends_it(served: Served, path: str) -> None:
    vehicle = vehicle_of(served.ca)
    leaf = vehicle.chain[0]
    pem = x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM)
    body = {"certificate": b64(pem), "revocationReason": "keyCompromise"}
    assert served.client("other-oem").post(path, json=body).status_code == 403
    assert served.client("mo").post(path, json=body).status_code == 403
    oem = served.client("oem")
    assert oem.post(path, json=body).status_code == 200
    assert oem.post(path, json={**body, "certificate": b64(leaf)}).status_code == 200
    assert oem.post(path, json={**body, "revocationReason": "superseded"}).status_code == 400
    (record,) = served.ca.store.find_certificates(role="oem")
    assert (record.state, record.reason) == ("revoked", "keyCompromise")
    assert ("certificate.revoked", "oem-1") in served.actions()
    for wrong in ({"revocationReason": "certificateHold"}, {"certificate": "AAAA"}, {"certificate": ""}):
        assert oem.post(path, json={**body, **wrong}).status_code == 400


def test_an_authority_is_not_ended_by_a_party(served: Served) -> None:
    for slug in ("iso2-oem-sub-ca-2", "iso2-v2g-root"):
        body = {"certificate": b64(served.ca.authority(slug).der), "revocationReason": "keyCompromise"}
        answer = served.client("operator").post("/opnc/v1/pki/revokeCertificate", json=body)
        assert answer.status_code in (400, 403)
        assert served.ca.authority(slug).state == "active"


def test_party_headers_are_checked_for_their_form(served: Served) -> None:
    path = "/opnc/v1/rcp/rootcertificates"
    good = {"OPNC_from_party_type": "cpo", "OPNC_from_party_id": "DE*ABC", "OPNC_to_party_type": "ccp"}
    assert served.client("cpo", **good).get(path).status_code == 200
    assert served.client("cpo", OPNC_from_party_type="bank").get(path).status_code == 400
