"""What every operation of the pools does alike: who is let in, what is read, and how it refuses; and the very calls
of two systems in the field, MaEVe and CitrineOS, header by header as their sources make them."""

from __future__ import annotations

import base64
import json
import logging
import re
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.servers.http.bridge import AsgiBridge
from tests.servers.http.pool_client import EMAID, ISO2, Served, asked, b64, contract, vehicle_of
from v2gpki import CertificateAuthority
from v2gpki.servers.http import opcp, opnc
from v2gpki.servers.http.application import build
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.tally import Tally
from v2gpki.wiring.ecosystem import ecosystem_of

CCP = "/v1/ccp/signedContractData"


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        yield found


def refusal(answer: httpx.Response, status: int) -> str:
    """The first message of a refusal in its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.keys() >= {"errorMessages", "traceId"}
    assert str(uuid.UUID(body["traceId"])) == body["traceId"]
    assert body["errorMessages"]
    assert all(isinstance(message, str) for message in body["errorMessages"])
    return str(body["errorMessages"][0])


# -- systems in the field ------------------------------------------------------------------------


def test_maeve_gets_a_contract(served: Served) -> None:
    """services/opcp_contract_certificate_provider.go: 200 only, emaidContent[0], emaid not empty."""
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    exi = b64(vehicle.request())
    body = f'{{"certificateInstallationReq":"{exi}","xsdMsgDefNamespace":"{ISO2}"}}'
    headers = {"content-type": "application/json", "authorization": "Bearer cpo", "x-api-key": "cpo"}
    answer = served.client().post(CCP, content=body, headers=headers)
    assert answer.status_code == 200
    first = answer.json()["CCPResponse"]["emaidContent"][0]["messageDef"]
    assert first["emaid"] != ""
    assert vehicle.open(base64.b64decode(first["certificateInstallationRes"])).emaid == EMAID


def test_maeve_gets_its_roots(served: Served) -> None:
    """services/opcp_root_certificate_provider.go."""
    headers = {"accept": "application/json", "authorization": "Bearer cpo", "X-API-Key": "cpo"}
    answer = served.client().get("/v1/root/rootCerts", headers=headers)
    assert answer.status_code == 200
    found = [
        base64.b64decode(root["caCertificate"])
        for root in answer.json()["RootCertificateCollection"]["rootCertificates"]
    ]
    assert served.ca.authority("iso2-v2g-root").der in found


@pytest.mark.parametrize("namespace", [ISO2, "urn:iso:std:iso:15118:-20:CommonMessages"])
def test_citrineos_gets_a_contract(served: Served, namespace: str) -> None:
    """02_Util/src/certificate/client/hubject.ts: the station's schema version, the last answer that is not empty."""
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    headers = {"Accept": "application/json", "Authorization": "Bearer cpo", "Content-Type": "application/json"}
    body = {"certificateInstallationReq": b64(vehicle.request()), "xsdMsgDefNamespace": namespace}
    answer = served.client().post(CCP, content=json.dumps(body), headers=headers)
    assert answer.status_code == 200
    last = ""
    for content in answer.json()["CCPResponse"]["emaidContent"]:
        last = content["messageDef"]["certificateInstallationRes"] or last
    assert vehicle.open(base64.b64decode(last)).emaid == EMAID


def test_citrineos_finds_the_root_of_a_chain(served: Served) -> None:
    """It compares subject with issuer and key identifiers, from the certificates themselves."""
    answer = served.client("cpo").get("/v1/root/rootCerts").json()
    for root in answer["RootCertificateCollection"]["rootCertificates"]:
        assert base64.b64decode(root["caCertificate"], validate=True)[:1] == b"\x30"


def test_two_credentials_that_differ_are_none(served: Served) -> None:
    headers = {"authorization": "Bearer cpo", "x-api-key": "mo"}
    assert served.client().get("/v1/root/rootCerts", headers=headers).status_code == 401


# -- who is let in -------------------------------------------------------------------------------


def test_every_operation_needs_a_credential(served: Served, iso2: CertificateAuthority) -> None:
    ecosystem = ecosystem_of(iso2)
    every = [*opcp.operations(ecosystem), *opnc.operations(ecosystem)]
    assert len(every) == 21 + 19
    stranger, nobody, wrong = served.client("stranger"), served.client(), served.client("forged")
    for operation in every:
        for path in (operation.path, *operation.aliases):
            url = path.replace("{pcid}", "WVWABCDEF12345678").replace("{emaid}", EMAID)
            url = url.replace("{rootCertificateId}", "0" * 64)
            for client in (nobody, wrong):
                answer = client.request(operation.method, url, json={})
                refusal(answer, 401)
                assert answer.headers["www-authenticate"].startswith("Bearer ")
            refusal(stranger.request(operation.method, url, json={}), 403)
    assert ("certificate.issued", "stranger") not in served.actions()


def test_a_credential_for_events_is_good_for_nothing_else(served: Served) -> None:
    listener = served.client("listener")
    refusal(listener.get("/v1/root/rootCerts"), 403)
    assert listener.get("/v1/webhook/endpoints").json() == []


def test_other_methods_are_not_taken(served: Served) -> None:
    """RFC 9110 15.5.6: Allow has all that a path takes, whichever operation it is of."""
    front = build([served.part], Tally(["pools"]), limits=Limits(), own={})
    with httpx.Client(transport=AsgiBridge(front), base_url="http://pools.test") as client:
        for method, path, taken in (
            ("PATCH", CCP, "POST, PUT"),
            ("TRACE", CCP, "POST, PUT"),
            ("POST", "/v1/root/rootCerts", "GET, HEAD, PUT"),
            ("PUT", f"{CCP}/{EMAID}", "DELETE, GET, HEAD"),
            ("POST", "/cps/signer", "GET, HEAD"),
            ("OPTIONS", "/v1/webhook/endpoints", "GET, HEAD, POST"),
        ):
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, taken), path
            value = answer.json()
            assert (value["schema"], value["code"]) == ("v2gpki/error/1", "serving.wrong_method")
            assert value["hint"] == f"it takes {taken}"


# -- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"certificateInstallationReq": "AA==", "certificateInstallationReq": "AA=="}',
        b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 200_000,
    ],
)
def test_what_is_no_json_object_is_refused(served: Served, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    words = refusal(served.client("cpo").post(CCP, content=body, headers=headers), 400)
    assert words.startswith("the body ")


def test_fields_have_their_types(served: Served) -> None:
    good = {"certificateInstallationReq": "AAAA", "xsdMsgDefNamespace": ISO2}
    for name in good:
        values: tuple[object, ...] = (7, 1.5, True, None, [], {}, ["AAAA"])
        for wrong in values:
            words = refusal(served.client("cpo").post(CCP, json={**good, name: wrong}), 400)
            assert name in words
        missing = {other: value for other, value in good.items() if other != name}
        words = refusal(served.client("cpo").post(CCP, json=missing), 400)
        assert words.startswith(f"{name}: is missing")
    refusal(served.client("cpo").post(CCP, json={**good, "metadata": 7}), 400)


def test_a_body_that_is_too_large_is_not_read(served: Served) -> None:
    body = {"certificateInstallationReq": "A" * 400_000, "xsdMsgDefNamespace": ISO2}
    refusal(served.client("cpo").post(CCP, json=body), 413)


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"])
def test_other_media_types_are_refused(served: Served, media: str) -> None:
    answer = served.client("cpo").post(CCP, content=b"{}", headers={"content-type": media})
    assert "JSON" in refusal(answer, 400)


def test_a_missing_media_type_and_its_parameters_are_taken(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    body = json.dumps(asked(vehicle)).encode()
    client = served.client("cpo")
    assert client.post(CCP, content=body).status_code == 200
    typed = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post(CCP, content=body, headers=typed).status_code == 200


def test_base64_in_lines_is_read(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    lined = base64.encodebytes(vehicle.request()).decode()
    body = {"certificateInstallationReq": lined, "xsdMsgDefNamespace": ISO2}
    assert served.client("cpo").post(CCP, json=body).status_code == 200


@pytest.mark.parametrize("flag", ["maybe", "1", "", "truefalse"])
def test_flags_are_true_or_false(served: Served, flag: str) -> None:
    body = {"certificateInstallationReq": "AAAA", "xsdMsgDefNamespace": ISO2}
    words = refusal(served.client("cpo", alwaysReturnEXI=flag).post(CCP, json=body), 400)
    assert words.startswith("alwaysReturnEXI")


@pytest.mark.parametrize(
    "identifier", ["..%2f..%2fetc", "%00", "'; DROP TABLE vehicles", "x" * 5000, "%F0%9F%9A%97", "WVWABCDEF1234567_"]
)
def test_identifiers_of_paths_are_checked(served: Served, identifier: str) -> None:
    for path in ("/v1/oem/provCerts/{}", "/v1/ccp/lookupContract/{}", "/opnc/v1/ccp/contractData/pcid/{}"):
        answer = served.client("operator").get(path.format(identifier))
        assert answer.status_code in (400, 404), path
        assert "Traceback" not in answer.text


# -- how it refuses ------------------------------------------------------------------------------


def test_what_breaks_inside_is_told_as_500_and_logged_by_its_trace(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.ca.vault = None
    # The certificate authority is locked while it serves: nothing can be signed.
    vehicle_body = {"certificateInstallationReq": "AAAA", "xsdMsgDefNamespace": ISO2}
    assert served.client("cpo").post(CCP, json=vehicle_body).status_code == 400
    operator = served.client("operator")
    with caplog.at_level(logging.ERROR, "v2gpki.pools"):
        answer = operator.post("/v1/webhook/endpoints", json={"url": "https://example.com/", "enabledEvents": []})
    assert refusal(answer, 503) == "the service cannot answer now"
    assert str(served.ca.home) not in answer.text
    assert answer.headers["retry-after"] == "5"
    (record,) = [one for one in caplog.records if one.name == "v2gpki.pools"]
    assert record.__dict__["trace"] == answer.json()["traceId"]


def test_no_answer_is_kept_by_caches(served: Served) -> None:
    assert served.client("cpo").get("/v1/root/rootCerts").headers["cache-control"] == "no-store"


def test_nothing_of_a_refusal_names_this_machine(served: Served) -> None:
    answer = served.client("operator").put(
        "/v1/root/rootCerts", json={"caCertificate": "MAMCAQA=", "rootType": "V2G"}
    )
    words = refusal(answer, 400)
    assert not re.search(r"/(tmp|home|root|work)/|File \"|line \d", words + answer.text)
