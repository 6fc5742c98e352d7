"""OPCP over HTTP, in process: the shapes of OPCP 1.0, who may do what, and what a vehicle gets in the end.

Shapes and statuses are written out from the published description; what is in a certificate is read by `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from msgspec import structs

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, ISO2, OTHER_EMAID, Served, asked, b64, contract, vehicle_of
from tests.services.vehicle import PCID, SESSION, Vehicle
from v2gpki import CertificateAuthority, FixedClock
from v2gpki.messages import decode, encode, iso2
from v2gpki.messages.views import from_xml
from v2gpki.pnc import installation

ISO20 = "urn:iso:15118:20:2020:MsgDef"
CCP = "/v1/ccp/signedContractData"


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        yield found


def messages(answer: dict[str, object]) -> list[dict[str, str]]:
    return [content["messageDef"] for content in answer["CCPResponse"]["emaidContent"]]  # type: ignore[index]  # JSON


# -- the vehicle's request -----------------------------------------------------------------------


def test_a_request_is_answered_with_the_contract(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    answer = served.client("cpo").post(CCP, json=asked(vehicle))
    assert answer.status_code == 200, answer.text
    (message,) = messages(answer.json())
    assert message["emaid"] == EMAID
    assert vehicle.open(base64.b64decode(message["certificateInstallationRes"])).emaid == EMAID
    root = served.client("cpo").get(f"/v1/root/rootCerts/{message['cpsV2GRootCertificateFingerprint']}").json()
    assert base64.b64decode(root["RootResponse"]["caCertificate"]) == vehicle.roots()[0]
    # Whoever brought the request stands in the log beside what was issued for it.
    assert ("certificate.issued", "cpo-1") in served.actions()
    assert ("request.answered", "cpo-1") in served.actions()


def test_the_default_contract_alone_is_given_in_2(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    contract(served.ca, OTHER_EMAID)
    served.ca.plug_and_charge.contracts.set_default(OTHER_EMAID, at=BIRTH, caller="test")
    answer = served.client("cpo").post(CCP, json=asked(vehicle)).json()
    assert [message["emaid"] for message in messages(answer)] == [OTHER_EMAID]


def test_every_contract_that_a_vehicle_of_20_asks_for_is_given(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    contract(everything)
    contract(everything, OTHER_EMAID)
    with Served(everything) as served:
        for namespace in (ISO20, "urn:iso:std:iso:15118:-20:CommonMessages", ISO2):
            # MaEVe names -2 whatever the vehicle is.
            answer = served.client("cpo").post(CCP, json=asked(vehicle, namespace, maximum=2))
            assert answer.status_code == 200, answer.text
            found = messages(answer.json())
            assert [message["emaid"] for message in found] == [EMAID, OTHER_EMAID]
            exi = [base64.b64decode(message["certificateInstallationRes"]) for message in found]
            assert [vehicle.open(one).emaid for one in exi] == [EMAID, OTHER_EMAID]
            assert [installation.read_response(one).remaining for one in exi] == [1, 0]


def test_nothing_found_is_told_the_vehicle_too(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    answer = served.client("cpo").post(CCP, json=asked(vehicle))
    assert answer.status_code == 404
    (message,) = messages(answer.json())
    told = installation.read_response(base64.b64decode(message["certificateInstallationRes"]))
    assert (told.code, told.session_id) == ("FAILED_NoCertificateAvailable", SESSION)
    plain = served.client("cpo", alwaysReturnEXI="false").post(CCP, json=asked(vehicle))
    assert plain.status_code == 404
    assert plain.json().keys() == {"errorMessages", "traceId"}


@pytest.mark.parametrize(
    ("request_text", "namespace", "words"),
    [("!!", ISO2, "base64"), ("gJgC", ISO2, "exi."), ("AAAA", "urn:other", "namespace")],
)
def test_a_request_that_cannot_be_read_is_a_bad_one(
    served: Served, request_text: str, namespace: str, words: str
) -> None:
    body = {"certificateInstallationReq": request_text, "xsdMsgDefNamespace": namespace}
    answer = served.client("cpo").post(CCP, json=body)
    assert answer.status_code == 400
    assert words in answer.json()["errorMessages"][0]


def test_a_forged_request_is_refused_with_the_vehicles_code(served: Served) -> None:
    vehicle, other = vehicle_of(served.ca), vehicle_of(served.ca, pcid="WVWABCDEF87654321")
    contract(served.ca)
    message = decode(other.request())
    assert isinstance(message, iso2.V2G_Message)
    # Signed by the other vehicle, in this one's name.
    request = message.Body.BodyElement
    assert isinstance(request, iso2.CertificateInstallationReq)
    body = structs.replace(request, OEMProvisioningCert=vehicle.chain[0])
    exi = encode(structs.replace(message, Body=iso2.BodyType(BodyElement=body)))
    forged = {"certificateInstallationReq": b64(exi), "xsdMsgDefNamespace": ISO2}
    answer = served.client("cpo").post(CCP, json=forged)
    assert answer.status_code == 400
    (refused,) = messages(answer.json())
    told = installation.read_response(base64.b64decode(refused["certificateInstallationRes"]))
    assert told.code == "FAILED_SignatureError"
    assert served.ca.store.count_certificates(role="contract") == 0


# -- roots ---------------------------------------------------------------------------------------


def test_roots_are_listed_by_kind_and_found_by_id(served: Served) -> None:
    client = served.client("cpo")
    listed = client.get("/v1/root/rootCerts", params={"rootType": "v2g"}).json()
    (root,) = listed["RootCertificateCollection"]["rootCertificates"]
    own = served.ca.authority("iso2-v2g-root").der
    certificate = x509.load_der_x509_certificate(own)
    assert base64.b64decode(root["caCertificate"]) == own
    assert root["fingerprint"] == hashlib.sha256(own).hexdigest()
    assert root["rootIssuerSerialNumber"] == f"{certificate.serial_number:x}"
    assert root["rootType"] == "V2G"
    assert root["distinguishedName"].startswith("CN=")
    assert root["validTo"] == certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert base64.b64decode(root["rootAuthorityKeyIdentifier"]) == identifier
    assert root["rootAuthorityKeyIdentifierHex"] == identifier.hex()
    for name in (root["rootCertificateId"], root["rootCertificateId"].upper(), root["fingerprint"]):
        assert client.get(f"/v1/root/rootCerts/{name}").json() == {"RootResponse": root}
    for name in ("none", "0" * 64, "../../etc", root["fingerprint"][:-2]):
        assert client.get(f"/v1/root/rootCerts/{name}").status_code == 404
    every = client.get("/v1/root/rootCerts").json()["RootCertificateCollection"]["rootCertificates"]
    kinds = {one["rootType"] for one in every}
    assert {"V2G", "MO", "OEM"} <= kinds
    assert client.get("/v1/root/rootCerts", params={"rootType": "other"}).status_code == 400
    assert client.get("/v1/root/rootCerts?rootType=").status_code == 400


def test_the_operator_adds_a_root_and_takes_it_back(served: Served, foreign: CertificateAuthority) -> None:
    der = foreign.authority("iso2-mo-root").der
    body = {"caCertificate": b64(der), "rootType": "MO"}
    for token in ("mo", "oem", "cpo", "cps"):
        assert served.client(token).put("/v1/root/rootCerts", json=body).status_code == 403
    operator = served.client("operator")
    made = operator.put("/v1/root/rootCerts", json=body)
    assert made.status_code == 200, made.text
    rows = len(served.actions())
    assert operator.put("/v1/root/rootCerts", json=body).json() == made.json()
    assert len(served.actions()) == rows
    path = f"/v1/root/rootCerts/{made.json()['RootResponse']['rootCertificateId']}"
    assert served.client("cpo").get(path).json() == made.json()
    assert served.client("oem").delete(path).status_code == 403
    assert operator.delete(path).status_code == 200
    assert served.client("cpo").get(path).status_code == 404
    assert operator.delete(path).status_code == 404
    assert operator.put("/v1/root/rootCerts", json=body).status_code == 200


def test_what_is_no_root_is_not_added(served: Served) -> None:
    sub = served.ca.authority("iso2-mo-sub-ca-1").der
    for octets, kind in ((sub, "MO"), (b"\x30\x03\x02\x01\x00", "MO"), (sub, "NONE")):
        body = {"caCertificate": b64(octets), "rootType": kind}
        assert served.client("operator").put("/v1/root/rootCerts", json=body).status_code == 400


# -- vehicles ------------------------------------------------------------------------------------


def published(vehicle: Vehicle) -> dict[str, str]:
    leaf, second, first = vehicle.chain
    return {
        "vehicleCertificate": b64(leaf),
        "subCA2Certificate": b64(second),
        "subCA1Certificate": b64(first),
        "xsdMsgDefNamespace": ISO2,
    }


def test_a_manufacturer_publishes_and_takes_back(served: Served) -> None:
    vehicle = Vehicle.made(served.ca, registered=False)
    body = published(vehicle)
    # Nobody owns the WMI yet, so no party may register under it.
    assert served.client("oem").put("/v1/oem/provCerts", json=body).status_code == 403
    served.bind()
    assert served.client("other-oem").put("/v1/oem/provCerts", json=body).status_code == 403
    assert served.client("mo").put("/v1/oem/provCerts", json=body).status_code == 403
    oem = served.client("oem")
    made = oem.put("/v1/oem/provCerts", json=body)
    assert made.status_code == 200, made.text
    rows = len(served.actions())
    assert oem.put("/v1/oem/provCerts", json=body).json() == made.json()
    assert len(served.actions()) == rows
    found = served.client("mo").get(f"/v1/oem/provCerts/{PCID}")
    assert found.json() == {"OEMMessage": made.json()}
    root = x509.load_der_x509_certificate(served.ca.authority("iso2-oem-root").der)
    assert made.json()["rootIssuerSerialNumber"] == f"{root.serial_number:x}"
    assert made.json()["fingerprint"] == hashlib.sha256(vehicle.chain[0]).hexdigest()
    assert served.client("mo").get(f"/v1/oem/provCerts/lookupVehicle/{PCID.lower()}").status_code == 200
    # The description's text names the path so.
    assert served.client("mo").get(f"/lookupVehicle/{PCID}").status_code == 200
    assert served.client("other-oem").get(f"/v1/oem/provCerts/{PCID}").status_code == 403
    assert served.client("other-oem").delete(f"/v1/oem/provCerts/{PCID}").status_code == 403
    assert oem.delete(f"/v1/oem/provCerts/{PCID}").status_code == 200
    assert served.client("mo").get(f"/v1/oem/provCerts/{PCID}").status_code == 404
    assert oem.delete(f"/v1/oem/provCerts/{PCID}").status_code == 404


def test_key_identifiers_and_the_previous_pcid_are_kept(served: Served) -> None:
    served.bind()
    body: dict[str, object] = {
        **published(Vehicle.made(served.ca, registered=False)),
        "v2gRootAuthorityKeyIdentifiers": ["4F:13:33:6B", "45b8409e"],
        "previousPcid": "WVWABCDEF00000001",
    }
    made = served.client("oem").put("/v1/oem/provCerts", json=body).json()
    assert made["v2gRootAuthorityKeyIdentifiers"] == ["4f:13:33:6b", "45:b8:40:9e"]
    assert made["previousPcid"] == "WVWABCDEF00000001"
    wrong: tuple[tuple[str, object], ...] = (
        ("v2gRootAuthorityKeyIdentifiers", []),
        ("v2gRootAuthorityKeyIdentifiers", ["xy"]),
        ("v2gRootAuthorityKeyIdentifiers", "4F:13"),
        ("previousPcid", "short"),
        ("previousPcid", 7),
        ("vehicleCertificate", "no base64!"),
        ("subCA1Certificate", None),
        ("xsdMsgDefNamespace", "urn:other"),
    )
    for name, value in wrong:
        answer = served.client("oem").put("/v1/oem/provCerts", json={**body, name: value})
        assert answer.status_code == 400, (name, value)
        assert name in answer.json()["errorMessages"][0]


def test_deleting_a_vehicle_ends_its_contracts_with_their_certificates(served: Served) -> None:
    served.bind()
    vehicle = Vehicle.made(served.ca, registered=False)
    oem = served.client("oem")
    assert oem.put("/v1/oem/provCerts", json=published(vehicle)).status_code == 200
    contract(served.ca)
    assert served.client("cpo").post(CCP, json=asked(vehicle)).status_code == 200
    assert oem.delete(f"/v1/oem/provCerts/{PCID}").status_code == 200
    (record,) = served.ca.store.find_certificates(role="contract")
    assert record.state == "revoked"
    assert served.client("cpo").post(CCP, json=asked(vehicle)).status_code == 404


def test_a_revoked_provisioning_certificate_is_not_delivered(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    client = served.client("mo")
    assert client.get(f"/v1/oem/provCerts/{PCID}").status_code == 200
    served.ca.revoke(hashlib.sha256(vehicle.chain[0]).hexdigest(), "keyCompromise")
    answer = client.get(f"/v1/oem/provCerts/{PCID}")
    assert answer.status_code == 400
    assert "revoked" in answer.json()["errorMessages"][0]


# -- contracts -----------------------------------------------------------------------------------


def test_an_operator_ends_its_contract_and_no_other(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    served.client("cpo").post(CCP, json=asked(vehicle))
    assert served.client("other-mo").delete(f"{CCP}/{EMAID}").status_code == 403
    assert served.client("oem").delete(f"{CCP}/{EMAID}").status_code == 403
    mo = served.client("mo")
    assert mo.delete(f"{CCP}/DE-8AA-001234567").status_code == 200
    (record,) = served.ca.store.find_certificates(role="contract")
    assert (record.state, record.reason) == ("revoked", "cessationOfOperation")
    assert mo.delete(f"{CCP}/{EMAID}").status_code == 404
    assert mo.delete(f"{CCP}/{OTHER_EMAID}").status_code == 404
    assert mo.delete(f"{CCP}/short").status_code == 400
    assert ("contract.ended", "mo-1") in served.actions()


def test_revocation_can_be_skipped_for_a_test(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    served.client("cpo").post(CCP, json=asked(vehicle))
    wrong = served.client("mo", X_Skip_Revocation="perhaps").delete(f"{CCP}/{EMAID}")
    assert wrong.status_code == 400
    assert served.client("mo", X_Skip_Revocation="true").delete(f"{CCP}/{EMAID}").status_code == 200
    (record,) = served.ca.store.find_certificates(role="contract")
    assert record.state == "valid"
    assert served.client("cpo").post(CCP, json=asked(vehicle)).status_code == 404


def test_contracts_are_looked_up_by_emaid_and_by_vehicle(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    contract(served.ca, OTHER_EMAID)
    served.client("cpo").post(CCP, json=asked(vehicle))
    oem = served.client("oem")
    listed = oem.get(f"{CCP}/{PCID}").json()["XMLContracts"]
    assert [(one["emaid"], one["defaultContract"]) for one in listed] == [(EMAID, True), (OTHER_EMAID, False)]
    (record,) = served.ca.store.find_certificates(role="contract")
    assert base64.b64decode(listed[0]["contractCertificate"]) == record.der
    assert "contractCertificate" not in listed[1]
    assert served.client("cpo").get(f"/v1/ccp/lookupContract/{EMAID}").json() == {"XMLContracts": [listed[0]]}
    assert served.client("cpo").get("/v1/ccp/lookupContract/DE8AA009999999").status_code == 404
    assert served.client("other-oem").get(f"{CCP}/{PCID}").status_code == 403
    assert oem.get(f"{CCP}/WVW00000000000000").json() == {"XMLContracts": []}
    assert oem.get(f"{CCP}/{PCID}", params={"xsdMsgDefNamespace": "urn:other"}).status_code == 400


@pytest.mark.parametrize("reason", ["keyCompromise", "superseded", "privilegeWithdrawn", "cessationOfOperation"])
def test_a_certificate_that_was_revoked_is_shown_no_more(served: Served, reason: str) -> None:
    """OPCP ccp.v1: what was revoked or has ended is cleaned from the pool."""
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    served.client("cpo").post(CCP, json=asked(vehicle))
    (record,) = served.ca.store.find_certificates(role="contract")
    reads = [("mo", f"/v1/ccp/lookupContract/{EMAID}"), ("oem", f"{CCP}/{PCID}")]
    for token, path in reads:
        (one,) = served.client(token).get(path).json()["XMLContracts"]
        assert base64.b64decode(one["contractCertificate"]) == record.der
    served.ca.revoke(f"{record.serial:x}", reason)
    for token, path in reads:
        (one,) = served.client(token).get(path).json()["XMLContracts"]
        assert (one["emaid"], one["pcid"], one["xsdMsgDefNamespace"]) == (EMAID, PCID, ISO2)
        assert "contractCertificate" not in one
    assert served.client("mo").delete(f"{CCP}/{EMAID}").status_code == 200


def test_a_certificate_that_has_ended_is_shown_no_more(served: Served) -> None:
    assert isinstance(served.ca.clock, FixedClock)
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca, days=3650)
    served.client("cpo").post(CCP, json=asked(vehicle))
    (record,) = served.ca.store.find_certificates(role="contract")
    path = f"/v1/ccp/lookupContract/{EMAID}"
    for later, shown in ((timedelta(), True), (timedelta(seconds=1), False)):
        served.ca.clock.moment = record.not_after + later
        (one,) = served.client("mo").get(path).json()["XMLContracts"]
        assert ("contractCertificate" in one) is shown


def test_when_the_default_ends_the_oldest_of_the_others_is_it(served: Served) -> None:
    """Not as OPCP's description has it (docs/pools.md): the vehicle goes on with what it has."""
    vehicle = vehicle_of(served.ca)
    served.bind()
    contract(served.ca)
    contract(served.ca, OTHER_EMAID)
    served.ca.plug_and_charge.contracts.end(EMAID, at=BIRTH, caller="test")
    listed = served.client("oem").get(f"{CCP}/{PCID}").json()["XMLContracts"]
    assert [(one["emaid"], one["defaultContract"]) for one in listed] == [(OTHER_EMAID, True)]
    answer = served.client("cpo").post(CCP, json=asked(vehicle)).json()
    assert [one["emaid"] for one in messages(answer)] == [OTHER_EMAID]


def test_the_manufacturer_chooses_the_default(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    contract(served.ca, OTHER_EMAID)
    oem = served.client("oem")
    assert served.client("mo").post(f"{CCP}/{PCID}/{OTHER_EMAID}/default").status_code == 403
    assert oem.post(f"{CCP}/{PCID}/{OTHER_EMAID}/default").status_code == 200
    assert oem.post(f"{CCP}/{PCID}/{OTHER_EMAID}/default").status_code == 200
    assert messages(served.client("cpo").post(CCP, json=asked(vehicle)).json())[0]["emaid"] == OTHER_EMAID
    # The description of this operation knows no 404.
    assert oem.post(f"{CCP}/{PCID}/DE8AA009999999/default").status_code == 400
    assert oem.post(f"{CCP}/WVW00000000000000/{EMAID}/default").status_code == 400


def test_a_contract_is_provided_for_telematics(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    oem = served.client("oem")
    path = f"/v1/ccp/provideSignedContractData/{EMAID}/{PCID}"
    given = oem.get(path, params={"sessionID": "0a0b"}).json()
    exi = base64.b64decode(given["certificateInstallationRes"])
    assert installation.read_response(exi).session_id == bytes(6) + b"\x0a\x0b"
    assert vehicle.open(exi).emaid == EMAID
    root = given["cpsV2GRootCertificateFingerprint"]
    assert oem.get(path, params={"cpsV2GRootCertificateFingerprint": root}).status_code == 200
    sha256 = hashlib.sha256(vehicle.roots()[0]).hexdigest()
    assert oem.get(path, params={"cpsV2GRootCertificateFingerprint": sha256}).status_code == 200
    unknown = {"cpsV2GRootCertificateFingerprint": "896b6655-180e-4304-b642-606bb00df8f0"}
    assert oem.get(path, params=unknown).status_code == 404
    for wrong in ({"sessionID": "xyz"}, {"sessionID": "00" * 9}, {"cpsV2GRootCertificateFingerprint": "no"}):
        assert oem.get(path, params=wrong).status_code == 400
    assert oem.get(f"/v1/ccp/provideSignedContractData/{EMAID}/WVW00000000000000").status_code == 404
    assert served.client("other-oem").get(path).status_code == 403
    assert served.client("mo").get(path).status_code == 403


# -- CPS -----------------------------------------------------------------------------------------


def generated(**changed: object) -> dict[str, object]:
    return {
        "contractBegins": "2026-02-01T00:00:00Z",
        "contractEnds": "2027-02-01T00:00:00+01:00",
        "emaid": EMAID,
        "pcid": PCID,
        "xsdMsgDefNamespace": ISO2,
        **changed,
    }


GENERATE = "/v1/cps/generate/signedContractData"


def test_a_contract_is_generated_and_ready(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    mo = served.client("mo")
    made = mo.put(GENERATE, json=generated())
    assert (made.status_code, made.content) == (201, b"")
    assert served.ca.store.count_certificates(role="contract") == 1
    rows = len(served.actions())
    assert mo.put(GENERATE, json=generated()).status_code == 201
    assert len(served.actions()) == rows
    (message,) = messages(served.client("cpo").post(CCP, json=asked(vehicle)).json())
    leaf = x509.load_der_x509_certificate(
        vehicle.open(base64.b64decode(message["certificateInstallationRes"])).chain[0]
    )
    assert leaf.not_valid_after_utc == BIRTH.replace(year=2027, month=1, day=31, hour=23)
    assert served.ca.store.count_certificates(role="contract") == 1


def test_another_period_replaces_the_contract(served: Served) -> None:
    served.bind()
    vehicle = vehicle_of(served.ca)
    mo = served.client("mo")
    mo.put(GENERATE, json=generated())
    # What could not be issued changes nothing: too short for a contract certificate of -2.
    short = generated(contractBegins="2026-02-28T00:00:00Z", contractEnds="2026-03-05T00:00:00Z")
    refused = mo.put(GENERATE, json=short)
    assert refused.status_code == 400, refused.text
    assert served.ca.plug_and_charge.contracts.find(EMAID).state == "active"
    assert mo.put(GENERATE, json=generated(contractEnds="2027-06-01T00:00:00Z")).status_code == 201
    states = [record.state for record in served.ca.store.find_certificates(role="contract")]
    assert states == ["revoked", "valid"]
    assert served.client("cpo").post(CCP, json=asked(vehicle)).status_code == 200
    assert served.ca.plug_and_charge.contracts.find(EMAID).default


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"contractEnds": "2025-01-01T00:00:00Z"}, "before it begins"),
        ({"contractBegins": "2024-01-01T00:00:00Z", "contractEnds": "2025-01-01T00:00:00Z"}, "in the past"),
        ({"contractEnds": "tomorrow"}, "RFC 3339"),
        ({"contractEnds": "2027-02-31T00:00:00Z"}, "RFC 3339"),
        ({"contractEnds": "2027-02-01"}, "RFC 3339"),
        ({"contractEnds": 1801440000}, "text"),
        ({"emaid": "DE8AA00123456"}, "EMAID"),
        ({"emaid": "DE8AA0012345_7"}, "emaid"),
        ({"emaid": "DE8AA001234567Z"}, "check"),
        ({"pcid": "WVW00000000000000"}, "WVW00000000000000"),
        ({"pcid": "WVW"}, "pcid"),
        ({"xsdMsgDefNamespace": "urn:x"}, "edition"),
        ({"cpsV2GRootCertificateFingerprint": "896b6655-180e-4304-b642-606bb00df8f0"}, "root"),
        ({"cpsV2GRootCertificateFingerprint": "4e05"}, "cpsV2GRootCertificateFingerprint"),
        ({"metaData": {}}, "metaData"),
    ],
)
def test_what_cannot_be_generated_is_refused(served: Served, changed: dict[str, object], words: str) -> None:
    served.bind()
    vehicle_of(served.ca)
    before = served.actions()
    answer = served.client("mo").put(GENERATE, json=generated(**changed))
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["errorMessages"][0]
    assert served.actions() == before


def test_an_emaid_of_another_vehicle_or_operator_is_refused(served: Served) -> None:
    served.bind()
    vehicle_of(served.ca)
    vehicle_of(served.ca, pcid="WVWABCDEF87654321")
    contract(served.ca, pcid="WVWABCDEF87654321")
    answer = served.client("mo").put(GENERATE, json=generated())
    assert answer.status_code == 400
    assert "another vehicle" in answer.json()["errorMessages"][0]
    assert served.client("other-mo").put(GENERATE, json=generated(emaid=OTHER_EMAID)).status_code == 403
    assert served.client("oem").put(GENERATE, json=generated(emaid=OTHER_EMAID)).status_code == 403


def test_the_cps_certificates_are_listed(served: Served) -> None:
    (signer,) = served.client("mo").get("/cps/signer").json()["cpsCertificates"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(signer["cpsCertificate"]))
    first = x509.load_der_x509_certificate(base64.b64decode(signer["cpsSubCa1Certificate"]))
    second = x509.load_der_x509_certificate(base64.b64decode(signer["cpsSubCa2Certificate"]))
    root = x509.load_der_x509_certificate(served.ca.authority("iso2-v2g-root").der)
    leaf.verify_directly_issued_by(second)
    second.verify_directly_issued_by(first)
    first.verify_directly_issued_by(root)
    assert signer["validTo"] == leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert signer["xsdMsgDefNamespace"] == ISO2


# -- contract data of another house --------------------------------------------------------------


def given(foreign: CertificateAuthority, vehicle: Vehicle, emaid: str = EMAID, days: int = 365) -> dict[str, object]:
    """Contract data that an operator with a PKI of its own made for a vehicle."""
    issued = foreign.issue("contract", id=emaid, edition="iso15118-2", not_after=BIRTH + timedelta(days=days))
    assert issued.private_key is not None
    key = x509.load_der_x509_certificate(vehicle.chain[0]).public_key()
    data = installation.contract_data(
        edition="iso15118-2", chain=issued.chain, contract_key=issued.private_key, receiver=key, emaid=emaid  # type: ignore[arg-type]  # a P-256 key
    )
    leaf, second, first = issued.chain
    return {
        "contractCertificate": b64(leaf),
        "contractSubCa2Certificate": b64(second),
        "contractSubCa1Certificate": b64(first),
        "contractSignatureEncryptedPrivateKey": b64(data.sealed.encrypted_key),
        "dHpublickey": b64(data.sealed.dh_public_key),
    }


@pytest.fixture
def trusting(served: Served, foreign: CertificateAuthority) -> Served:
    """A home that trusts the other operator's root."""
    served.bind()
    served.ca.plug_and_charge.roots.add(
        foreign.authority("iso2-mo-root").der, role="mo-root", at=BIRTH, caller="test"
    )
    return served


def test_foreign_contract_data_is_signed_stored_and_delivered(
    trusting: Served, foreign: CertificateAuthority
) -> None:
    vehicle = vehicle_of(trusting.ca)
    mo = trusting.client("mo")
    body = {"contractData": given(foreign, vehicle), "xsdMsgDefNamespace": ISO2, "pcid": PCID}
    made = mo.put("/v1/cps/contractData/signed", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["emaid"], made.json()["pcid"]) == (EMAID, PCID)
    xml = base64.b64decode(made.json()["signedData"])
    assert xml.startswith(b"<?xml")
    assert from_xml(xml) is not None
    rows = len(trusting.actions())
    (message,) = messages(trusting.client("cpo").post(CCP, json=asked(vehicle)).json())
    opened = vehicle.open(base64.b64decode(message["certificateInstallationRes"]))
    assert b64(opened.chain[0]) == body["contractData"]["contractCertificate"]  # type: ignore[index]  # as given
    # No certificate of this home was issued for it.
    assert trusting.ca.store.count_certificates(role="contract") == 0
    assert len(trusting.actions()) == rows + 1
    listed = trusting.client("cpo").get(f"/v1/ccp/lookupContract/{EMAID}").json()["XMLContracts"]
    assert listed[0]["contractCertificate"] == body["contractData"]["contractCertificate"]  # type: ignore[index]  # as given


def test_signed_data_is_stored_as_it_was_given_back(trusting: Served, foreign: CertificateAuthority) -> None:
    vehicle = vehicle_of(trusting.ca)
    body = {"contractData": given(foreign, vehicle), "xsdMsgDefNamespace": ISO2}
    made = trusting.client("mo").put("/v1/cps/contractData/signed", json=body).json()
    assert made["pcid"] is None
    # It was signed and nothing kept.
    assert trusting.client("cpo").post(CCP, json=asked(vehicle)).status_code == 404
    stored = {"emaid": EMAID, "pcid": PCID, "signedContractDataXML": made["signedData"], "xsdMsgDefNamespace": ISO2}
    assert trusting.client("other-mo").put(CCP, json=stored).status_code == 403
    cps = trusting.client("cps")
    assert cps.put(CCP, json=stored).status_code == 201
    rows = len(trusting.actions())
    assert cps.put(CCP, json=stored).status_code == 201
    assert len(trusting.actions()) == rows
    (message,) = messages(trusting.client("cpo").post(CCP, json=asked(vehicle)).json())
    assert vehicle.open(base64.b64decode(message["certificateInstallationRes"])).emaid == EMAID
    # The manufacturer gets the same for telematics.
    path = f"/v1/ccp/provideSignedContractData/{EMAID}/{PCID}"
    telematics = trusting.client("oem").get(path).json()["certificateInstallationRes"]
    assert vehicle.open(base64.b64decode(telematics)).emaid == EMAID


def test_the_older_forms_sign_too(trusting: Served, foreign: CertificateAuthority) -> None:
    vehicle = vehicle_of(trusting.ca)
    new = given(foreign, vehicle)
    old = {
        "xsdMsgDefNamespace": ISO2,
        "pcid": PCID,
        "emaid": EMAID,
        "contractData": {
            "contractSignatureCertChain": {
                "contractSignatureCertChainCertificate": new["contractCertificate"],
                "contractSignatureCertChainSubCertificates": [
                    new["contractSubCa2Certificate"], new["contractSubCa1Certificate"],
                ],
            },
            "contractSignatureEncryptedPrivateKey": new["contractSignatureEncryptedPrivateKey"],
            "dHpublickey": new["dHpublickey"],
            "emaid": EMAID,
        },
    }  # fmt: skip
    mo = trusting.client("mo")
    signed = mo.put("/v1/cps/signedContractData", json=old)
    assert signed.status_code == 200, signed.text
    assert signed.json()["pcid"] == PCID
    assert trusting.client("cpo").post(CCP, json=asked(vehicle)).status_code == 404
    other = mo.put("/v1/cps/signedContractData", json={**old, "emaid": OTHER_EMAID})
    assert (other.status_code, EMAID in other.json()["errorMessages"][0]) == (400, True)
    assert mo.put("/v1/cps/forward/signedContractData", json=old).status_code == 201
    assert trusting.client("cpo").post(CCP, json=asked(vehicle)).status_code == 200


def test_new_data_take_the_place_of_the_old(trusting: Served, foreign: CertificateAuthority) -> None:
    vehicle = vehicle_of(trusting.ca)
    mo = trusting.client("mo")
    for days in (365, 400):
        body = {"contractData": given(foreign, vehicle, days=days), "xsdMsgDefNamespace": ISO2, "pcid": PCID}
        assert mo.put("/v1/cps/contractData/signed", json=body).status_code == 201
        (message,) = messages(trusting.client("cpo").post(CCP, json=asked(vehicle)).json())
        opened = vehicle.open(base64.b64decode(message["certificateInstallationRes"]))
        assert b64(opened.chain[0]) == body["contractData"]["contractCertificate"]  # type: ignore[index]  # as given
    states = [one.state for one in trusting.ca.plug_and_charge.contracts.list(pcid=PCID)]
    assert states == ["ended", "active"]


def test_foreign_data_is_not_taken_on_trust(
    served: Served, trusting: Served, foreign: CertificateAuthority
) -> None:
    vehicle = vehicle_of(trusting.ca)
    mo, good = trusting.client("mo"), given(foreign, vehicle)
    point = bytearray(base64.b64decode(str(good["dHpublickey"])))
    point[40] ^= 1
    other = given(foreign, vehicle, OTHER_EMAID)
    wrong: tuple[tuple[str, object], ...] = (
        ("dHpublickey", b64(bytes(point))),
        ("dHpublickey", b64(bytes(64))),
        ("contractSignatureEncryptedPrivateKey", b64(bytes(47))),
        ("contractSubCa2Certificate", good["contractSubCa1Certificate"]),
        ("contractSubCa1Certificate", other["contractCertificate"]),
        ("contractCertificate", b64(vehicle.chain[0])),
    )
    for name, value in wrong:
        body = {"contractData": {**good, name: value}, "xsdMsgDefNamespace": ISO2, "pcid": PCID}
        assert mo.put("/v1/cps/contractData/signed", json=body).status_code == 400, name
    body = {"contractData": good, "xsdMsgDefNamespace": ISO2}
    assert trusting.client("other-mo").put("/v1/cps/contractData/signed", json=body).status_code == 403
    trusting.ca.plug_and_charge.roots.refuse(
        hashlib.sha256(foreign.authority("iso2-mo-root").der).hexdigest(), at=BIRTH, caller="test"
    )
    assert mo.put("/v1/cps/contractData/signed", json=body).status_code == 400


def test_a_broken_signature_is_not_stored(trusting: Served, foreign: CertificateAuthority) -> None:
    vehicle = vehicle_of(trusting.ca)
    body = {"contractData": given(foreign, vehicle), "xsdMsgDefNamespace": ISO2}
    made = trusting.client("mo").put("/v1/cps/contractData/signed", json=body).json()
    xml = base64.b64decode(made["signedData"]).decode()
    wrapped = str(body["contractData"]["contractSignatureEncryptedPrivateKey"])  # type: ignore[index]  # as given
    assert wrapped in xml
    changed = xml.replace(wrapped, b64(bytes(48)))
    cps = trusting.client("cps")
    stored = {"emaid": EMAID, "pcid": PCID, "signedContractDataXML": b64(changed.encode()), "xsdMsgDefNamespace": ISO2}
    assert cps.put(CCP, json=stored).status_code == 400
    for broken in (b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\x80\x98", b"{}"):
        answer = cps.put(CCP, json={**stored, "signedContractDataXML": b64(broken)})
        assert answer.status_code == 400, broken
    wrong = {**stored, "signedContractDataXML": made["signedData"], "emaid": OTHER_EMAID}
    assert cps.put(CCP, json=wrong).status_code == 400
    assert trusting.client("cpo").post(CCP, json=asked(vehicle)).status_code == 404


def test_a_vehicle_with_another_key_gets_no_foreign_data(trusting: Served, foreign: CertificateAuthority) -> None:
    vehicle = vehicle_of(trusting.ca)
    body = {"contractData": given(foreign, vehicle), "xsdMsgDefNamespace": ISO2, "pcid": PCID}
    assert trusting.client("mo").put("/v1/cps/contractData/signed", json=body).status_code == 201
    renewed = vehicle_of(trusting.ca)
    answer = trusting.client("cpo").post(CCP, json=asked(renewed))
    assert answer.status_code == 404
    assert "made elsewhere" in answer.json()["errorMessages"][0]
