"""OPCP over HTTP, in process: the shapes of OPCP 1.0, who may do what, and what a vehicle gets in the end."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.conftest import BIRTH
from tests.servers.http.pool_client import Served
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.pnc import installation

EMAID = "DE8AA001234567"
ISO2 = "urn:iso:15118:2:2013:MsgDef"


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        yield found


def contract(ca: CertificateAuthority, emaid: str = EMAID, pcid: str = PCID) -> None:
    ca.plug_and_charge.contracts.create(
        emaid, pcid, BIRTH - timedelta(days=1), BIRTH + timedelta(days=365), at=BIRTH, caller="test"
    )


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def test_a_request_is_answered_with_the_contract(served: Served) -> None:
    vehicle = Vehicle.made(served.ca)
    contract(served.ca)
    asked = {"certificateInstallationReq": b64(vehicle.request()), "xsdMsgDefNamespace": ISO2}
    answer = served.client("cpo").post("/v1/ccp/signedContractData", json=asked)
    assert answer.status_code == 200, answer.text
    (content,) = answer.json()["CCPResponse"]["emaidContent"]
    assert content["messageDef"]["emaid"] == EMAID
    assert vehicle.open(base64.b64decode(content["messageDef"]["certificateInstallationRes"])).emaid == EMAID


def test_nothing_found_is_told_the_vehicle_too(served: Served) -> None:
    vehicle = Vehicle.made(served.ca)
    asked = {"certificateInstallationReq": b64(vehicle.request()), "xsdMsgDefNamespace": ISO2}
    answer = served.client("cpo").post("/v1/ccp/signedContractData", json=asked)
    assert answer.status_code == 404
    (content,) = answer.json()["CCPResponse"]["emaidContent"]
    told = installation.read_response(base64.b64decode(content["messageDef"]["certificateInstallationRes"]))
    assert told.code == "FAILED_NoCertificateAvailable"
    plain = served.client("cpo", alwaysReturnEXI="false").post("/v1/ccp/signedContractData", json=asked)
    assert plain.status_code == 404
    assert plain.json().keys() == {"errorMessages", "traceId"}


def test_roots_are_listed_by_kind_and_found_by_id(served: Served) -> None:
    client = served.client("cpo")
    listed = client.get("/v1/root/rootCerts", params={"rootType": "v2g"}).json()
    (root,) = listed["RootCertificateCollection"]["rootCertificates"]
    own = served.ca.authority("iso2-v2g-root").der
    assert base64.b64decode(root["caCertificate"]) == own
    assert root["fingerprint"] == hashlib.sha256(own).hexdigest()
    for name in (root["rootCertificateId"], root["fingerprint"]):
        assert client.get(f"/v1/root/rootCerts/{name}").json() == {"RootResponse": root}
    assert client.get("/v1/root/rootCerts/none").status_code == 404


def test_a_manufacturer_publishes_and_takes_back(served: Served) -> None:
    vehicle = Vehicle.made(served.ca, registered=False)
    served.ca.plug_and_charge.vehicles.owners.bind("wmi", PCID[:3], "acme-cars", at=BIRTH, caller="test")
    leaf, second, first = vehicle.chain
    body = {
        "vehicleCertificate": b64(leaf), "subCA2Certificate": b64(second), "subCA1Certificate": b64(first),
        "xsdMsgDefNamespace": ISO2,
    }
    assert served.client("other-oem").put("/v1/oem/provCerts", json=body).status_code == 403
    oem = served.client("oem")
    made = oem.put("/v1/oem/provCerts", json=body)
    assert made.status_code == 200, made.text
    assert oem.put("/v1/oem/provCerts", json=body).json() == made.json()
    found = served.client("mo").get(f"/v1/oem/provCerts/{PCID}")
    assert found.json() == {"OEMMessage": made.json()}
    assert served.client("mo").get(f"/v1/oem/provCerts/lookupVehicle/{PCID}").status_code == 200
    assert served.client("other-oem").delete(f"/v1/oem/provCerts/{PCID}").status_code == 403
    assert oem.delete(f"/v1/oem/provCerts/{PCID}").status_code == 200
    assert served.client("mo").get(f"/v1/oem/provCerts/{PCID}").status_code == 404
