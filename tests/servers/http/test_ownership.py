"""Whose is what over HTTP: a wide scope opens roles and no pools of others, delivering a message gives no ownership."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, ISO2, OTHER_EMAID, Served, asked, b64, contract, vehicle_of
from tests.servers.http.test_opcp import given
from tests.services.vehicle import PCID
from v2gpki import CertificateAuthority
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.installation import ContractData
from v2gpki.services.ecosystem.signing import xml_of
from v2gpki.store.records import CertificateRecord

CCP = "/v1/ccp/signedContractData"
REVOKE = "/opnc/v1/pki/revokeCertificate"


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        found.bind()
        yield found


def revoked(served: Served, token: str, record: CertificateRecord) -> int:
    """The status of an attempt to end a certificate."""
    body = {"certificate": b64(record.der), "revocationReason": "privilegeWithdrawn"}
    status = served.client(token).post(REVOKE, json=body).status_code
    kept = served.ca.store.certificate(record.issuer_id, record.serial)
    assert kept is not None
    assert (kept.state == "revoked") is (status == 200)
    return status


def issued(served: Served, role: str, caller: str, name: str | None = None) -> CertificateRecord:
    """A certificate that ``caller`` asked for."""
    served.ca.caller = caller
    return served.ca.issue(role, id=name, edition="iso15118-2").record


# -- ownership and scopes ------------------------------------------------------------------------


def test_a_wide_scope_opens_no_vehicle_of_another_manufacturer(served: Served) -> None:
    vehicle_of(served.ca)
    contract(served.ca)
    contract(served.ca, OTHER_EMAID)
    rival = served.client("every-role")
    assert rival.post(f"{CCP}/{PCID}/{OTHER_EMAID}/default").status_code == 403
    assert rival.get(f"{CCP}/{PCID}").status_code == 403
    assert rival.get(f"/v1/ccp/provideSignedContractData/{EMAID}/{PCID}").status_code == 403
    assert rival.delete(f"/opnc/v1/pcp/provisioningcertificates/{PCID}").status_code == 403
    active = served.ca.plug_and_charge.contracts.list(pcid=PCID, state="active")
    assert [(one.emaid, one.default) for one in active] == [(EMAID, True), (OTHER_EMAID, False)]
    assert served.ca.store.count_certificates(role="contract") == 0
    # What its other roles may see of every vehicle.
    assert rival.get(f"/v1/ccp/lookupContract/{EMAID}").status_code == 200
    assert rival.get(f"/opnc/v1/pcp/provisioningcertificates/{PCID}").status_code == 200
    assert served.client("operator").get(f"{CCP}/{PCID}").status_code == 200


def test_a_wide_scope_stores_no_contract_of_another_operator(served: Served, foreign: CertificateAuthority) -> None:
    for slug, role in (("iso2-mo-root", "mo-root"), ("iso2-v2g-root", "v2g-root")):
        served.ca.plug_and_charge.roots.add(foreign.authority(slug).der, role=role, at=BIRTH, caller="test")
    vehicle = vehicle_of(served.ca)
    data = {name: base64.b64decode(str(text)) for name, text in given(foreign, vehicle).items()}
    chain = tuple(data[f"contract{name}Certificate"] for name in ("", "SubCa2", "SubCa1"))
    sealed = Sealed("P256", data["dHpublickey"], data["contractSignatureEncryptedPrivateKey"])
    cps = foreign.plug_and_charge.cps
    signer = cps.named("iso15118-2", "p256", BIRTH, lambda _: True)
    signed = xml_of(cps.sign(ContractData("iso15118-2", chain, sealed, EMAID), signer))
    body = {"signedContractDataXML": b64(signed), "emaid": EMAID, "pcid": PCID, "xsdMsgDefNamespace": ISO2}
    for token in ("other-mo", "every-role"):
        assert served.client(token).put(CCP, json=body).status_code == 403
    # Who is a CPS and nothing else stores for everybody.
    assert served.client("cps").put(CCP, json=body).status_code == 201


# -- revocation ----------------------------------------------------------------------------------


def test_who_delivered_a_request_does_not_own_the_contract(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    contract(served.ca)
    assert served.client("cpo").post(CCP, json=asked(vehicle)).status_code == 200
    (record,) = served.ca.store.find_certificates(role="contract")
    assert record.caller == "cpo-1"
    assert revoked(served, "cpo", record) == 403
    assert revoked(served, "other-mo", record) == 403
    # The identity owns the prefix, and this credential of it is none for a mobility operator.
    assert revoked(served, "mo-for-charging", record) == 403
    assert revoked(served, "mo", record) == 200


def test_the_prefix_alone_decides_where_there_is_one(served: Served) -> None:
    station = issued(served, "secc", "cpo-1", "DE*ICE*E1")
    assert revoked(served, "cpo", station) == 403
    served.ca.plug_and_charge.vehicles.owners.bind("cpo", "DE*ICE", "acme-charging", at=BIRTH, caller="test")
    assert revoked(served, "mo", station) == 403
    assert revoked(served, "cpo", station) == 200


def test_without_a_prefix_it_is_who_asked_for_it_in_its_role(served: Served) -> None:
    signer = issued(served, "cps", "cps-1")
    for token in ("cpo", "mo", "other-mo", "cps-for-charging"):
        assert revoked(served, token, signer) == 403
    assert revoked(served, "cps", signer) == 200
    # The home's own responders are nobody's, whoever bears the name.
    assert revoked(served, "every-role", issued(served, "ocsp", "rival")) == 403
    assert revoked(served, "operator", issued(served, "cps", "cps-1")) == 200
