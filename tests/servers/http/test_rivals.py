"""Every route of the pools against everybody it is not for: two MOs, two OEMs, two CPOs with prefixes.

Who may call what: OPCP 1.0, security of each operation, and whose prefix the identifier has.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx
import pytest
from starlette.routing import Route

from tests.conftest import BIRTH
from tests.servers.http.pool_client import (
    EMAID,
    ISO2,
    OTHER_EMAID,
    PARTIES,
    Served,
    asked,
    b64,
    contract,
    vehicle_of,
)
from tests.servers.http.test_opcp import given
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.installation import ContractData, SignedContract, kept
from v2gpki.services.ecosystem.signing import xml_of

#: A contract whose certificate the mobility operator makes itself.
OWN_EMAID = "DE8AA005555555"
SIX = ("mo", "other-mo", "oem", "other-oem", "cpo", "other-cpo")
OPCP, OPNC = "/v1", "/opnc/v1"
CCP, PCP = f"{OPCP}/ccp/signedContractData", f"{OPCP}/oem/provCerts"
DATA, NPCP = f"{OPNC}/ccp/signedcontractdata", f"{OPNC}/pcp/provisioningcertificates"
HOOKS = (f"{OPCP}/webhook/endpoints", f"{OPNC}/event/endpoints")
#: What is nobody's: the same for everybody who has a role.
FOR_ALL = {
    ("GET", "/v1/root/rootCerts"), ("GET", "/v1/root/rootCerts/{rootCertificateId}"),
    ("GET", "/v1/root/ctl"), ("GET", f"{OPNC}/rcp/rootcertificates"),
    ("GET", f"{OPNC}/rcp/rootcertificates/{{rootCertificateId}}"), ("GET", "/cps/signer"),
    ("GET", f"{OPCP}/cps/signer"), ("GET", f"{OPNC}/cps/cpsCertificates"),
}  # fmt: skip

Body: TypeAlias = "Callable[[World], Mapping[str, object]] | None"


@dataclass
class World:
    """What everybody owns."""

    served: Served
    vehicle: Vehicle
    own_data: dict[str, object]
    signed_xml: str
    signed_exi: str
    certificates: dict[str, bytes] = field(default_factory=dict)

    def published(self) -> Mapping[str, object]:
        leaf, second, first = map(b64, self.vehicle.chain)
        return {
            "vehicleCertificate": leaf, "subCA2Certificate": second, "subCA1Certificate": first,
            "provisioningCertificateChain": {
                "certificate": leaf, "subCa2Certificate": second, "subCa1Certificate": first,
            },
            "xsdMsgDefNamespace": ISO2,
        }  # fmt: skip

    def brought(self) -> Mapping[str, object]:
        """Contract data of the operator's own, in the three forms that are taken."""
        data = dict(self.own_data)
        chain = {
            "certificate": data["contractCertificate"],
            "subCa1Certificate": data["contractSubCa1Certificate"],
            "subCa2Certificate": data["contractSubCa2Certificate"],
        }
        old = {
            "contractSignatureCertChain": {
                "contractSignatureCertChainCertificate": data["contractCertificate"],
                "contractSignatureCertChainSubCertificates": [
                    data["contractSubCa2Certificate"], data["contractSubCa1Certificate"],
                ],
            },
            "emaid": OWN_EMAID,
        }  # fmt: skip
        both = {name: data[name] for name in ("contractSignatureEncryptedPrivateKey", "dHpublickey")}
        return {
            "contractData": data | old,
            "contractCertificateBundle": both | {"contractCertificateChain": chain, "emaid": OWN_EMAID, "pcid": PCID},
            "emaid": OWN_EMAID,
            "pcid": PCID,
            "xsdMsgDefNamespace": ISO2,
        }

    def stored(self) -> Mapping[str, object]:
        return {
            "signedContractDataXML": self.signed_xml, "certificateInstallationRes": self.signed_exi,
            "emaid": OWN_EMAID, "pcid": PCID, "xsdMsgDefNamespace": ISO2,
        }  # fmt: skip

    def generated(self) -> Mapping[str, object]:
        return {
            "contractBegins": "2026-02-01T00:00:00Z", "contractEnds": "2027-02-01T00:00:00Z",
            "emaid": EMAID, "pcid": PCID, "xsdMsgDefNamespace": ISO2,
        }  # fmt: skip

    def request(self) -> Mapping[str, object]:
        return asked(self.vehicle)


def ending(name: str) -> Body:
    return lambda world: {"certificate": b64(world.certificates[name]), "revocationReason": "privilegeWithdrawn"}


#: (method, path as the route has it, who may, body): reads first, then what changes something, what ends it last.
ROWS: list[tuple[str, str, tuple[str, ...], Body]] = [
    ("GET", PCP + "/{pcid}", ("oem", "mo", "other-mo"), None),
    ("GET", PCP + "/lookupVehicle/{pcid}", ("oem", "mo", "other-mo"), None),
    ("GET", "/lookupVehicle/{pcid}", ("oem", "mo", "other-mo"), None),
    ("GET", CCP + "/{pcid}", ("oem",), None),
    ("GET", f"{OPCP}/ccp/provideSignedContractData/{{emaid}}/{{pcid}}", ("oem",), None),
    ("GET", f"{OPCP}/ccp/lookupContract/{{emaid}}", ("mo", "oem", "cpo", "other-cpo"), None),
    ("GET", NPCP + "/{pcid}", ("oem", "mo", "other-mo"), None),
    ("GET", f"{OPNC}/pcp/lookupvehicle/{{pcid}}", ("oem", "mo", "other-mo"), None),
    ("GET", f"{OPNC}/ccp/contractData/emaid/{{emaid}}", ("mo", "oem", "cpo", "other-cpo"), None),
    ("GET", f"{OPNC}/ccp/contractData/pcid/{{pcid}}", ("oem",), None),
    ("GET", DATA + "/{emaid}/{pcid}", ("oem",), None),
    ("POST", CCP, ("cpo", "other-cpo"), World.request),
    ("POST", DATA, ("cpo", "other-cpo"), World.request),
    ("PUT", PCP, ("oem",), World.published),
    ("PUT", NPCP, ("oem",), World.published),
    ("POST", CCP + "/{pcid}/{emaid}/default", ("oem",), None),
    ("POST", DATA + "/{emaid}/{pcid}/setdefault", ("oem",), None),
    ("PUT", f"{OPCP}/cps/contractData/signed", ("mo",), World.brought),
    ("PUT", f"{OPCP}/cps/signedContractData", ("mo",), World.brought),
    ("PUT", f"{OPCP}/cps/forward/signedContractData", ("mo",), World.brought),
    ("PUT", f"{OPNC}/cps/contractData/sign", ("mo",), World.brought),
    ("PUT", CCP, ("mo",), World.stored),
    ("PUT", DATA, ("mo",), World.stored),
    ("PUT", f"{OPCP}/cps/generate/signedContractData", ("mo",), World.generated),
    ("PUT", f"{OPNC}/cps/contractData/generateandsign", ("mo",), World.generated),
    ("POST", f"{OPNC}/pki/revokeCertificate", ("cpo",), ending("secc")),
    ("POST", f"{OPNC}/pki/revokeCertificate", ("cpo",), ending("station")),
    ("POST", f"{OPNC}/pki/pki/revokeCertificate", ("mo",), ending("contract")),
    ("POST", f"{OPNC}/pki/revokeCertificate", ("oem",), ending("oem")),
    ("PUT", "/v1/root/rootCerts", (), lambda world: {"caCertificate": world.published()["subCA1Certificate"]}),
    ("PUT", f"{OPNC}/rcp/rootcertificates", (), lambda world: {"caCertificate": "AAAA", "rootType": "V2G"}),
    ("DELETE", "/v1/root/rootCerts/{rootCertificateId}", (), None),
    ("DELETE", f"{OPNC}/rcp/rootcertificates/{{rootCertificateId}}", (), None),
    ("DELETE", CCP + "/{emaid}", ("mo",), None),
    ("DELETE", DATA + "/{emaid}", ("mo",), None),
    ("DELETE", PCP + "/{pcid}", ("oem",), None),
    ("DELETE", NPCP + "/{pcid}", ("oem",), None),
]


@pytest.fixture
def world(everything: CertificateAuthority, foreign: CertificateAuthority) -> Iterator[World]:
    with Served(everything) as served:
        owners = served.ca.plug_and_charge.vehicles.owners
        for kind, prefix, party in (
            ("wmi", PCID[:3], "acme-cars"), ("mo", EMAID[:5], "acme-mobility"), ("cpo", "DE*ICE", "acme-charging"),
            ("wmi", "XYZ", "other-cars"), ("mo", "FR9ZZ", "other-mobility"), ("cpo", "FR*ZZZ", "other-charging"),
        ):  # fmt: skip
            owners.bind(kind, prefix, party, at=BIRTH, caller="test")  # type: ignore[arg-type]  # kinds of prefixes
        for slug, role in (("iso2-mo-root", "mo-root"), ("iso2-v2g-root", "v2g-root")):
            served.ca.plug_and_charge.roots.add(foreign.authority(slug).der, role=role, at=BIRTH, caller="test")
        vehicle = vehicle_of(served.ca)
        contract(served.ca)
        contract(served.ca, OTHER_EMAID)
        data = given(foreign, vehicle, OWN_EMAID)
        signed = _signed(foreign, data)
        found = World(served, vehicle, data, b64(xml_of(signed)), b64(kept(signed)))
        # The contract has a certificate; it was another party's vehicle that asked for it.
        assert served.client("other-cpo").post(CCP, json=asked(vehicle)).status_code == 200
        (record,) = served.ca.store.find_certificates(role="contract")
        found.certificates = {"contract": record.der, "oem": vehicle.chain[0]}
        for role, name, edition in (("secc", "DE*ICE*E1", "iso15118-2"), ("station", "CS-0001", "ocpp")):
            served.ca.caller = "cpo-1"
            found.certificates[role] = served.ca.issue(role, id=name, edition=edition).record.der
        yield found


def _signed(foreign: CertificateAuthority, data: Mapping[str, object]) -> SignedContract:
    raw = {name: base64.b64decode(str(text)) for name, text in data.items()}
    chain = tuple(raw[f"contract{name}Certificate"] for name in ("", "SubCa2", "SubCa1"))
    sealed = Sealed("P256", raw["dHpublickey"], raw["contractSignatureEncryptedPrivateKey"])
    cps = foreign.plug_and_charge.cps
    signer = cps.named("iso15118-2", "p256", BIRTH, lambda _: True)
    return cps.sign(ContractData("iso15118-2", chain, sealed, OWN_EMAID), signer)


def call(world: World, token: str, method: str, path: str, body: Body) -> httpx.Response:
    root = next(iter(world.served.ca.plug_and_charge.roots.list())).fingerprint.hex()
    at = path.replace("{pcid}", PCID).replace("{emaid}", EMAID).replace("{rootCertificateId}", root)
    value = None if body is None else body(world)
    return world.served.client(token).request(method, at, json=value)


def state(world: World) -> tuple[object, ...]:
    """Everything that a call could have changed."""
    ca = world.served.ca
    pools = ca.plug_and_charge
    return (
        len(list(ca.store.audit_rows())),
        [(one.id, one.state, one.default) for one in pools.contracts.list()],
        ca.store.count_certificates(state="valid"),
        len(list(ca.store.webhooks.endpoints())),
    )


def test_nobody_reads_or_changes_what_is_anothers(world: World) -> None:
    before = state(world)
    for method, path, may, body in ROWS:
        for token in SIX:
            if token in may:
                continue
            refused = call(world, token, method, path, body)
            assert refused.status_code in (403, 404), (method, path, token, refused.text)
            for secret in (b64(world.vehicle.chain[0]), b64(world.certificates["contract"])):
                assert secret not in refused.text
            assert state(world) == before, (method, path, token)


def _groups() -> Iterator[list[int]]:
    """Rows that leave the next ones of their group something to do; what ends things stands alone."""
    lasting = [n for n, row in enumerate(ROWS) if row[0] == "GET" or row[3] in (World.request, World.published)]
    yield lasting
    for number in range(len(ROWS)):
        if number not in lasting:
            yield [number]


@pytest.mark.parametrize("rows", list(_groups()), ids=lambda rows: f"{ROWS[rows[0]][0]} {ROWS[rows[0]][1]} {len(rows)}")
def test_whom_a_route_is_for_may_call_it(world: World, rows: list[int]) -> None:
    for method, path, may, body in (ROWS[row] for row in rows):
        for token in may:
            answered = call(world, token, method, path, body)
            assert answered.status_code in (200, 201), (method, path, token, answered.text)
        if not may:
            assert call(world, "operator", method, path, body).status_code in (200, 400)


def test_who_owns_nothing_gets_nothing_either(world: World) -> None:
    """A credential for EST, one for webhooks, none at all."""
    for method, path, _, body in ROWS:
        for token, status in (("stranger", 403), ("listener", 403), ("", 401)):
            assert call(world, token, method, path, body).status_code == status, (method, path, token)


def test_an_oem_is_not_told_whether_others_have_a_contract(world: World) -> None:
    path = f"{OPCP}/ccp/lookupContract/"
    rival = world.served.client("other-oem")
    known, unknown = rival.get(path + EMAID), rival.get(path + "DE8AA009999999")
    assert (known.status_code, unknown.status_code) == (404, 404)
    assert known.json()["errorMessages"][0].replace(EMAID, "") == (
        unknown.json()["errorMessages"][0].replace("DE8AA009999999", "")
    )
    # Nor is another MO, whether there is one or not.
    rival = world.served.client("other-mo")
    assert {rival.get(path + name).status_code for name in (EMAID, "DE8AA009999999")} == {403}


@pytest.mark.parametrize("path", HOOKS)
def test_webhooks_are_their_owners(world: World, path: str) -> None:
    body = {"url": "https://events.example.com/", "enabledEvents": ["root.cert.added"]}
    for owner in SIX:
        made = world.served.client(owner).post(path, json=body)
        assert made.status_code == 201
        one = f"{path}/{made.json()['id']}"
        for token in (*SIX, "operator"):
            if token == owner:
                continue
            rival = world.served.client(token)
            assert rival.get(path).json() == []
            assert rival.get(one).status_code == 404
            assert rival.put(one, json={"url": "https://evil.example.com/"}).status_code == 404
            assert rival.delete(one).status_code == 404
        mine = world.served.client(owner)
        assert mine.get(one).json()["url"] == "https://events.example.com/"
        assert mine.delete(one).status_code == 200


def test_no_route_is_left_out(world: World) -> None:
    served = {
        (method, route.path)
        for route in world.served.part.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD" and "/webhook/" not in route.path and "/event/" not in route.path
    }
    assert served == FOR_ALL | {(method, path) for method, path, _, _ in ROWS}
    assert set(SIX) < set(PARTIES)
