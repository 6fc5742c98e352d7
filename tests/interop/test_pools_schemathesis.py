"""Our pools called by schemathesis as the published descriptions of OPCP and OPNC say.

Every case of the coverage of each operation, and drawn ones, valid and not; then a whole life of a contract whose
answers are held to the descriptions. What remains stands in pool_descriptions.toml, each with the description's defect.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.interop.pool_descriptions import Found, answered, fuzzed, load, operations, reviewed
from tests.interop.specifications import folder
from tests.servers.http.pool_client import EMAID, ISO2, OTHER_EMAID, Served, asked, b64, contract, vehicle_of
from tests.servers.http.test_opcp import generated, given, published
from tests.services.vehicle import PCID, Vehicle

pytestmark = pytest.mark.interop("specifications")

OPCP = ["opcp/rcp.v1.json", "opcp/pcp.v1.json", "opcp/cps.v1.json", "opcp/ccp.v1.json", "opcp/webhooks.v1.json"]
OPNC = [f"opnc/apis/{name}/{name}.api.v1.json" for name in ("rcp", "pcp", "cps", "ccp", "event", "pki")]
#: Enrolment is no JSON; it is judged by clients of EST.
NOT_OURS = "est/"


@pytest.fixture(scope="module")
def specifications() -> Path:
    found = folder()
    assert found is not None
    return found


@pytest.fixture
def served(home_iso2: Path, tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    shutil.copytree(home_iso2, home)
    with (
        v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test") as ca,
        Served(ca) as found,
    ):
        found.bind()
        yield found


def judged(descriptions: list[str], found: set[Found], *, schemas: bool) -> None:
    """Fail on what is not in the list, and on what is there and not found: with ``schemas`` what is said of the forms
    of answers, of which a life shows more than cases, else everything but that."""
    known = {place: about for place, about in reviewed().items() if place[0] in descriptions}
    unexpected = [
        one for one in found if not any(re.search(pattern, one.words) for pattern in known.get(one.place, []))
    ]
    lines = sorted(f"new: {one.operation}: {one.check}: {one.words}" for one in unexpected)
    stale = {place for place in known if (place[2] == "JsonSchemaError") == schemas} - {one.place for one in found}
    lines += sorted(f"gone: {description}: {operation}: {check}" for description, operation, check in stale)
    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize("description", [*OPCP, *OPNC])
def test_what_is_found_was_reviewed(served: Served, specifications: Path, description: str) -> None:
    vehicle_of(served.ca)
    contract(served.ca)
    schema = load(specifications, description, served.app)
    found: set[Found] = set()
    for operation in operations(schema, but=NOT_OURS):
        found |= fuzzed(description, operation, "operator")
    judged([description], found, schemas=False)


class Held:
    """Answers held to their descriptions: status, media type, headers, schema."""

    def __init__(self, served: Served, specifications: Path, descriptions: list[str]) -> None:
        self._descriptions = descriptions
        self.found: set[Found] = set()
        self._operations = {
            operation.label: (description, operation)
            for description in descriptions
            for operation in operations(load(specifications, description, served.app), but=NOT_OURS)
        }
        self.left = set(self._operations)

    def __call__(self, label: str, answer: httpx.Response, status: int = 200) -> httpx.Response:
        assert answer.status_code == status, (label, answer.text)
        description, operation = self._operations[label]
        self.found |= answered(description, operation, answer)
        self.left.discard(label)
        return answer

    def judge(self) -> None:
        assert self.left == set()
        judged(self._descriptions, self.found, schemas=True)


def test_a_contract_lives_as_opcp_describes_it(
    served: Served, specifications: Path, foreign: v2gpki.CertificateAuthority
) -> None:
    held = Held(served, specifications, OPCP)
    mo, oem, cpo, cps, operator = (served.client(token) for token in ("mo", "oem", "cpo", "cps", "operator"))
    data, pcp, rcp = "/v1/ccp/signedContractData", "/v1/oem/provCerts", "/v1/root/rootCerts"
    body = {"caCertificate": b64(foreign.authority("iso2-mo-root").der), "rootType": "MO"}
    root = held("PUT /v1/root/rootCerts", operator.put(rcp, json=body)).json()["RootResponse"]
    held("GET /v1/root/rootCerts", cpo.get(rcp))
    one = f"{rcp}/{root['rootCertificateId']}"
    held("GET /v1/root/rootCerts/{rootCertificateId}", cpo.get(one))
    held("GET /v1/root/ctl", cpo.get("/v1/root/ctl"), 404)
    vehicle = Vehicle.made(served.ca, registered=False)
    held("PUT /v1/oem/provCerts", oem.put(pcp, json=published(vehicle)))
    held("GET /v1/oem/provCerts/{pcid}", mo.get(f"{pcp}/{PCID}"))
    held("GET /v1/oem/provCerts/lookupVehicle/{pcid}", mo.get(f"{pcp}/lookupVehicle/{PCID}"))
    held("GET /cps/signer", mo.get("/cps/signer"))
    generate = "PUT /v1/cps/generate/signedContractData"
    held(generate, mo.put("/v1/cps/generate/signedContractData", json=generated()), 201)
    held(generate, mo.put("/v1/cps/generate/signedContractData", json=generated(emaid="x")), 400)
    held("POST /v1/ccp/signedContractData", cpo.post(data, json=asked(vehicle)))
    offer = {"contractData": given(foreign, vehicle, OTHER_EMAID), "xsdMsgDefNamespace": ISO2}
    signed = held("PUT /v1/cps/contractData/signed", mo.put("/v1/cps/contractData/signed", json=offer), 201).json()
    stored = {
        "emaid": OTHER_EMAID, "pcid": PCID, "signedContractDataXML": signed["signedData"], "xsdMsgDefNamespace": ISO2,
    }  # fmt: skip
    held("PUT /v1/ccp/signedContractData", cps.put(data, json=stored), 201)
    older = older_form(offer["contractData"], OTHER_EMAID)
    held("PUT /v1/cps/signedContractData", mo.put("/v1/cps/signedContractData", json=older))
    held("PUT /v1/cps/forward/signedContractData", mo.put("/v1/cps/forward/signedContractData", json=older), 201)
    held("GET /v1/ccp/signedContractData/{pcid}", oem.get(f"{data}/{PCID}"))
    held("GET /v1/ccp/lookupContract/{emaid}", cpo.get(f"/v1/ccp/lookupContract/{EMAID}"))
    provided = "GET /v1/ccp/provideSignedContractData/{emaid}/{pcid}"
    held(provided, oem.get(f"/v1/ccp/provideSignedContractData/{EMAID}/{PCID}"))
    default = "POST /v1/ccp/signedContractData/{pcid}/{emaid}/default"
    held(default, oem.post(f"{data}/{PCID}/{OTHER_EMAID}/default"))
    for emaid in (EMAID, OTHER_EMAID):
        held("DELETE /v1/ccp/signedContractData/{emaid}", mo.delete(f"{data}/{emaid}"))
    held("DELETE /v1/ccp/signedContractData/{emaid}", mo.delete(f"{data}/{EMAID}"), 404)
    held("POST /v1/ccp/signedContractData", cpo.post(data, json=asked(vehicle)), 404)
    held("DELETE /v1/oem/provCerts/{pcid}", oem.delete(f"{pcp}/{PCID}"))
    held("GET /v1/oem/provCerts/{pcid}", mo.get(f"{pcp}/{PCID}"), 404)
    held("DELETE /v1/root/rootCerts/{rootCertificateId}", operator.delete(one))
    hooks = "/v1/webhook/endpoints"
    wish = {"url": "https://events.example.com/", "enabledEvents": ["oem.contract.created"], "metadata": {"a": "b"}}
    made = held("POST /v1/webhook/endpoints", mo.post(hooks, json=wish), 201).json()
    held("GET /v1/webhook/endpoints", mo.get(hooks))
    held("GET /v1/webhook/endpoints/{id}", mo.get(f"{hooks}/{made['id']}"))
    held("PUT /v1/webhook/endpoints/{id}", mo.put(f"{hooks}/{made['id']}", json=wish))
    held("DELETE /v1/webhook/endpoints/{id}", mo.delete(f"{hooks}/{made['id']}"))
    held.judge()


def test_a_contract_lives_as_opnc_describes_it(
    served: Served, specifications: Path, foreign: v2gpki.CertificateAuthority
) -> None:
    held = Held(served, specifications, OPNC)
    mo, oem, cpo, cps, operator = (served.client(token) for token in ("mo", "oem", "cpo", "cps", "operator"))
    base = "/opnc/v1"
    rcp, pcp = f"{base}/rcp/rootcertificates", f"{base}/pcp/provisioningcertificates"
    data = f"{base}/ccp/signedcontractdata"
    body = {"caCertificate": b64(foreign.authority("iso2-mo-root").der), "rootType": "eMSP"}
    root = held("PUT /rootcertificates", operator.put(rcp, json=body)).json()["rootCertificate"]
    held("GET /rootcertificates", cpo.get(rcp))
    one = f"{rcp}/{root['rootCertificateId']}"
    held("GET /rootcertificates/{rootCertificateId}", cpo.get(one))
    vehicle = Vehicle.made(served.ca, registered=False)
    leaf, second, first = map(b64, vehicle.chain)
    chain = {"certificate": leaf, "subCa2Certificate": second, "subCa1Certificate": first}
    held("PUT /provisioningcertificates", oem.put(pcp, json={"provisioningCertificateChain": chain}))
    held("GET /provisioningcertificates/{pcid}", mo.get(f"{pcp}/{PCID}"))
    held("GET /lookupvehicle/{pcid}", mo.get(f"{base}/pcp/lookupvehicle/{PCID}"))
    held("GET /cpsCertificates", mo.get(f"{base}/cps/cpsCertificates"))
    generate = f"{base}/cps/contractData/generateandsign"
    held("PUT /contractData/generateandsign", mo.put(generate, json=generated()), 201)
    offer = given(foreign, vehicle, OTHER_EMAID)
    bundle = {
        "pcid": PCID,
        "emaid": OTHER_EMAID,
        "contractCertificateChain": {
            "certificate": offer["contractCertificate"],
            "subCa1Certificate": offer["contractSubCa1Certificate"],
            "subCa2Certificate": offer["contractSubCa2Certificate"],
        },
        "contractSignatureEncryptedPrivateKey": offer["contractSignatureEncryptedPrivateKey"],
        "dHpublickey": offer["dHpublickey"],
    }
    wish = {"contractCertificateBundle": bundle, "xsdMsgDefNamespace": ISO2}
    signed = held("PUT /contractData/sign", mo.put(f"{base}/cps/contractData/sign", json=wish), 201).json()
    held("PUT /signedcontractdata", cps.put(data, json=signed["signedContractData"]), 201)
    held("POST /signedcontractdata", cpo.post(data, json=asked(vehicle)))
    held("GET /contractData/emaid/{emaid}", cpo.get(f"{base}/ccp/contractData/emaid/{EMAID}"))
    held("GET /contractData/pcid/{pcid}", oem.get(f"{base}/ccp/contractData/pcid/{PCID}"))
    held("GET /signedcontractdata/{emaid}/{pcid}", oem.get(f"{data}/{EMAID}/{PCID}"))
    held("POST /signedcontractdata/{emaid}/{pcid}/setdefault", oem.post(f"{data}/{OTHER_EMAID}/{PCID}/setdefault"))
    for emaid in (EMAID, OTHER_EMAID):
        held("DELETE /signedcontractdata/{emaid}", mo.delete(f"{data}/{emaid}"))
    held("POST /signedcontractdata", cpo.post(data, json=asked(vehicle)), 404)
    revoked = {"certificate": leaf, "revocationReason": "superseded"}
    held("POST /pki/revokeCertificate", oem.post(f"{base}/pki/pki/revokeCertificate", json=revoked))
    held("DELETE /provisioningcertificates/{pcid}", oem.delete(f"{pcp}/{PCID}"))
    held("DELETE /rootcertificates/{rootCertificateId}", operator.delete(one))
    hooks, label = f"{base}/event/endpoints", "/opnc/v1/event/endpoints"
    endpoint = {"url": "https://events.example.com/", "enabledEvents": ["emsp.prov.cert.updated"], "wmi": ["WVW"]}
    made = held(f"POST {label}", mo.post(hooks, json=endpoint), 201).json()
    held(f"GET {label}", mo.get(hooks))
    held(f"GET {label}/{{id}}", mo.get(f"{hooks}/{made['id']}"))
    changed = {"url": endpoint["url"], "enabledEvents": "emsp.prov.cert.deleted"}
    held(f"PUT {label}/{{id}}", mo.put(f"{hooks}/{made['id']}", json=changed))
    held(f"DELETE {label}/{{id}}", mo.delete(f"{hooks}/{made['id']}"))
    held.judge()


def older_form(new: dict[str, object], emaid: str) -> dict[str, object]:
    """Contract data in the form of OPCP's older calls."""
    chain = {
        "contractSignatureCertChainCertificate": new["contractCertificate"],
        "contractSignatureCertChainSubCertificates": [
            new["contractSubCa2Certificate"], new["contractSubCa1Certificate"],
        ],
    }  # fmt: skip
    data = {
        "contractSignatureCertChain": chain,
        "contractSignatureEncryptedPrivateKey": new["contractSignatureEncryptedPrivateKey"],
        "dHpublickey": new["dHpublickey"],
        "emaid": emaid,
    }
    return {"xsdMsgDefNamespace": ISO2, "pcid": PCID, "emaid": emaid, "contractData": data}


def test_the_list_speaks_of_descriptions_that_are_tested() -> None:
    assert {description for description, _, _ in reviewed()} <= {*OPCP, *OPNC}
