"""Clients of remote pools in both dialects: against our own pools in process, and against answers of bad providers.

Against our own the whole way is checked, up to a vehicle that opens its contract; that our pools speak the dialects as
others do is judged in tests/servers/http and tests/interop.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from cryptography import x509

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, OTHER_EMAID, Served, vehicle_of
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.opcp import OpcpClient
from v2gpki.clients.opnc import OpncClient
from v2gpki.clients.pools import ContractOffer, PoolProvider
from v2gpki.clients.tokens import ClientCredentials, FixedToken
from v2gpki.pnc import installation

Connect = Callable[[str], PoolProvider]


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        found.bind()
        yield found


@pytest.fixture(params=["opcp", "opnc"])
def connect(request: pytest.FixtureRequest, served: Served) -> Connect:
    """A client of either dialect with the token of a party."""

    def connected(token: str) -> PoolProvider:
        exchange = Exchange(tokens=FixedToken(token), transport=served.bridge, pause=lambda seconds: None)
        if request.param == "opcp":
            return OpcpClient("https://pools.test/", exchange)
        return OpncClient("https://pools.test", exchange)

    return connected


def refused(code: str, call: Callable[..., object], *given: object, **named: object) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call(*given, **named)
    assert found.value.code == code
    return found.value


# -- the whole way -------------------------------------------------------------------------------


def test_a_vehicle_gets_its_contract_over_the_pools(connect: Connect, served: Served) -> None:
    vehicle = Vehicle.made(served.ca, registered=False)
    oem, mo, cpo = connect("oem"), connect("mo"), connect("cpo")
    assert not mo.knows_vehicle(PCID)
    oem.publish_vehicle(vehicle.chain, edition="iso15118-2", v2g_roots=[b"\x45\xb8"], previous_pcid="WVWABCDEF00000001")
    assert mo.knows_vehicle(PCID)
    assert mo.vehicle(PCID).chain == vehicle.chain
    assert mo.contract(EMAID) is None
    mo.generate(EMAID, PCID, BIRTH, BIRTH + timedelta(days=365), edition="iso15118-2")
    made = cpo.contract(EMAID)
    assert made is not None
    assert (made.emaid, made.pcid, made.default) == (EMAID, PCID, True)
    answer = cpo.answer(vehicle.request(), edition="iso15118-2")
    assert answer.refusal == ""
    (delivery,) = answer.deliveries
    assert delivery.emaid == EMAID
    assert vehicle.open(delivery.exi).chain[0] == made.certificate
    telematics = oem.provide(EMAID, PCID, edition="iso15118-2", session_id=b"\x0a\x0b")
    assert vehicle.open(telematics.exi).emaid == EMAID
    assert installation.read_response(telematics.exi).session_id == bytes(6) + b"\x0a\x0b"
    mo.generate(OTHER_EMAID, PCID, BIRTH, BIRTH + timedelta(days=365), edition="iso15118-2")
    oem.set_default(OTHER_EMAID, PCID)
    assert [(one.emaid, one.default) for one in oem.contracts(PCID)] == [(EMAID, False), (OTHER_EMAID, True)]
    mo.delete_contract(OTHER_EMAID)
    mo.delete_contract(EMAID, revoke=False)
    states = {record.identifier: record.state for record in served.ca.store.find_certificates(role="contract")}
    assert states == {EMAID: "valid", OTHER_EMAID: "revoked"}
    nothing = cpo.answer(vehicle.request(), edition="iso15118-2")
    assert nothing.deliveries == ()
    assert "nothing to install" in nothing.refusal
    assert installation.read_response(nothing.exi).code.startswith("FAILED_")
    assert cpo.answer(vehicle.request(), edition="iso15118-2", always_exi=False).exi == b""
    oem.delete_vehicle(PCID)
    assert not mo.knows_vehicle(PCID)


def test_foreign_contract_data_are_signed_and_stored(
    connect: Connect, served: Served, foreign: CertificateAuthority
) -> None:
    served.ca.plug_and_charge.roots.add(
        foreign.authority("iso2-mo-root").der, role="mo-root", at=BIRTH, caller="test"
    )
    vehicle = vehicle_of(served.ca)
    issued = foreign.issue("contract", id=EMAID, edition="iso15118-2")
    assert issued.private_key is not None
    key = x509.load_der_x509_certificate(vehicle.chain[0]).public_key()
    data = installation.contract_data(
        edition="iso15118-2", chain=issued.chain, contract_key=issued.private_key, receiver=key, emaid=EMAID  # type: ignore[arg-type]  # a P-256 key
    )
    offer = ContractOffer(issued.chain, data.sealed.dh_public_key, data.sealed.encrypted_key, EMAID)
    mo, cpo = connect("mo"), connect("cpo")
    (signer,) = mo.signers()
    signed = mo.sign(offer, edition="iso15118-2", pcid=PCID, root=signer.root)
    assert (signed.emaid, signed.pcid) == (EMAID, PCID)
    (delivery,) = cpo.answer(vehicle.request(), edition="iso15118-2").deliveries
    assert vehicle.open(delivery.exi).chain == issued.chain
    mo.delete_contract(EMAID)
    connect("cps").store(signed.data, emaid=EMAID, pcid=PCID, edition="iso15118-2")
    assert cpo.answer(vehicle.request(), edition="iso15118-2").deliveries


def test_roots_are_read_added_and_taken_back(
    connect: Connect, served: Served, foreign: CertificateAuthority
) -> None:
    cpo, operator = connect("cpo"), connect("operator")
    (own,) = cpo.roots("MO")
    assert own.certificate == served.ca.authority("iso2-mo-root").der
    assert cpo.root(own.id) == own
    assert {root.kind for root in cpo.roots()} >= {"V2G", "MO", "OEM"}
    der = foreign.authority("iso2-mo-root").der
    operator.add_root(der, "MO")
    added = next(root for root in cpo.roots("MO") if root.certificate == der)
    operator.delete_root(added.id)
    assert cpo.roots("MO") == [own]


def test_the_cps_certificates_are_a_chain(connect: Connect, served: Served) -> None:
    (signer,) = connect("mo").signers()
    chain = [x509.load_der_x509_certificate(one) for one in signer.chain]
    assert len(chain) == 3
    for child, parent in itertools.pairwise(chain):
        child.verify_directly_issued_by(parent)


def test_webhook_endpoints_are_kept(connect: Connect, served: Served) -> None:
    mo = connect("mo")
    made = mo.create_endpoint("https://events.example.com/", ["oem.contract.created"], description="mine")
    assert made.secret
    assert made.secret not in repr(made)
    (listed,) = mo.endpoints()
    assert (listed.id, listed.events, listed.enabled, listed.secret) == (made.id, made.events, True, "")
    assert mo.endpoint(made.id) == listed
    other = "https://other.example.com/"
    changed = mo.update_endpoint(made.id, other, enabled=False)
    assert (changed.url, changed.events, changed.enabled) == (other, made.events, False)
    changed = mo.update_endpoint(made.id, other, events=["oem.contract.deleted"])
    assert (changed.events, changed.enabled) == (("oem.contract.deleted",), False)
    assert mo.update_endpoint(made.id, other, enabled=True) == mo.endpoint(made.id)
    refused("client.refused", connect("oem").update_endpoint, made.id, "https://evil.example.com/")
    mo.delete_endpoint(made.id)
    assert mo.endpoints() == []
    refused("client.refused", mo.endpoint, made.id)


def test_a_certificate_is_ended_over_opnc(served: Served) -> None:
    vehicle = vehicle_of(served.ca)
    client = OpncClient("https://pools.test", Exchange(tokens=FixedToken("oem"), transport=served.bridge))
    client.revoke(vehicle.chain[0], "keyCompromise")
    found = served.ca.find_certificate(hashlib.sha256(vehicle.chain[0]).hexdigest())
    assert (found.state, found.reason) == ("revoked", "keyCompromise")


# -- refusals ------------------------------------------------------------------------------------


def test_refusals_tell_what_the_provider_said(connect: Connect, served: Served) -> None:
    vehicle = Vehicle.made(served.ca, registered=False)
    problem = refused("client.refused", connect("other-oem").publish_vehicle, vehicle.chain, edition="iso15118-2")
    assert problem.facts["status"] == 403
    assert "pool.foreign_wmi" in problem.message
    assert "trace" in problem.message
    assert "credential" in problem.hint
    refused("client.unauthorised", connect("nobody").roots)
    problem = refused("client.refused", connect("mo").vehicle, PCID)
    assert problem.facts["status"] == 404
    assert PCID in problem.message
    assert "trace" in problem.message
    problem = refused("client.refused", connect("mo").delete_contract, "../../oem/provCerts/x")
    assert problem.facts["status"] in (400, 404)


def test_an_api_key_is_as_good_as_a_token(served: Served) -> None:
    client = OpcpClient("https://pools.test", Exchange(headers={"x-api-key": "cpo"}, transport=served.bridge))
    assert client.roots("V2G")


# -- providers that misbehave --------------------------------------------------------------------


def bad(answer: Callable[[httpx.Request], httpx.Response], **given: object) -> OpcpClient:
    exchange = Exchange(transport=httpx.MockTransport(answer), pause=lambda seconds: None, **given)  # type: ignore[arg-type]  # as Exchange takes them
    return OpcpClient("https://provider.test", exchange)


@pytest.mark.parametrize(
    "value",
    [
        None, [], "text", {}, {"RootCertificateCollection": None}, {"RootCertificateCollection": []},
        {"RootCertificateCollection": {"rootCertificates": {}}},
        {"RootCertificateCollection": {"rootCertificates": [7]}},
        {"RootCertificateCollection": {"rootCertificates": [{"rootType": "V2G"}]}},
        {"RootCertificateCollection": {"rootCertificates": [{"rootType": "V2G", "caCertificate": "!!!!"}]}},
        {"RootCertificateCollection": {"rootCertificates": [{"rootType": 7, "caCertificate": "AAAA"}]}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(value: object) -> None:
    refused("client.bad_answer", bad(lambda request: httpx.Response(200, json=value)).roots)


@pytest.mark.parametrize("body", [b"<html>", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    refused("client.bad_answer", bad(lambda request: httpx.Response(200, content=body)).roots)
    problem = refused("client.refused", bad(lambda request: httpx.Response(404, content=body)).vehicle, PCID)
    assert "no reason given" in problem.message


def test_what_a_provider_says_is_shown_without_its_control_characters() -> None:
    said = {"errorMessages": ["line\x1b[31m\nred", "x" * 5000], "traceId": "a\x07b"}
    problem = refused("client.refused", bad(lambda request: httpx.Response(400, json=said)).vehicle, PCID)
    assert problem.message.isprintable()
    assert len(problem.message) < 800


def test_a_provider_that_is_broken_says_so_in_its_own_words() -> None:
    said = {"errorMessages": ["the pool is being repaired"], "traceId": "7"}
    problem = refused("client.refused", bad(lambda request: httpx.Response(500, json=said)).roots)
    assert (problem.facts["status"], "being repaired" in problem.message) == (500, True)
    assert "later" in problem.hint
    # One that says when to come back is no refusal.
    later = bad(lambda request: httpx.Response(503, json=said, headers={"retry-after": "3600"}))
    assert refused("client.pending", later.roots).facts["retry_after"] == 3600


def test_what_may_be_repeated_is_tried_again() -> None:
    calls: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        if len(calls) % 2:
            return httpx.Response(503)
        return httpx.Response(200, json={"CCPResponse": {"emaidContent": []}, "XMLContracts": []})

    client = bad(flaky)
    assert client.answer(b"\x80", edition="iso15118-2").deliveries == ()
    assert client.contracts(PCID) == []
    assert calls == ["POST", "POST", "GET", "GET"]
    calls.clear()
    # A second endpoint would be told everything twice.


def test_what_may_not_be_repeated_is_sent_once() -> None:
    """A second endpoint would be told everything twice."""
    calls: list[str] = []

    def failing(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(500)

    refused("client.refused", bad(failing).create_endpoint, "https://events.example.com/", [])
    assert calls == ["POST"]


def test_a_token_that_is_refused_is_renewed_once() -> None:
    """MaEVe's and CitrineOS's habit, from the other side: OAuth client credentials, new token, same call."""
    given: list[str] = []

    def provider(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            fields = json.loads(request.content)
            assert (fields["grant_type"], fields["audience"]) == ("client_credentials", "https://provider.test")
            given.append(f"token{len(given)}")
            return httpx.Response(200, json={"access_token": given[-1], "token_type": "Bearer", "expires_in": 3600})
        if request.headers["authorization"] != "Bearer token1":
            return httpx.Response(401, json={"errorMessages": ["old"], "traceId": "x"})
        return httpx.Response(200, json={"RootCertificateCollection": {"rootCertificates": []}})

    transport = httpx.MockTransport(provider)
    tokens = ClientCredentials(
        "https://provider.test/oauth/token", "me", "secret", audience="https://provider.test", form=False,
        exchange=Exchange(transport=transport),
    )  # fmt: skip
    client = bad(provider, tokens=tokens)
    assert client.roots() == []
    assert given == ["token0", "token1"]
    assert client.roots() == []
    assert given == ["token0", "token1"]


def test_identifiers_stay_in_their_place_of_the_path() -> None:
    seen: list[bytes] = []

    def provider(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(404)

    client = bad(provider)
    refused("client.refused", client.vehicle, "a/../b?c#d")
    refused("client.refused", client.delete_contract, "x/y")
    assert seen == [b"/v1/oem/provCerts/a%2F..%2Fb%3Fc%23d", b"/v1/ccp/signedContractData/x%2Fy"]


def test_octets_are_sent_as_they_are() -> None:
    def provider(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert base64.b64decode(body["certificateInstallationReq"]) == b"\x80\x00\xff"
        assert body["xsdMsgDefNamespace"] == "urn:iso:15118:20:2022:MsgDef"
        assert request.headers["alwaysReturnEXI"] == "true"
        return httpx.Response(200, json={"CCPResponse": {"emaidContent": []}})

    assert bad(provider).answer(b"\x80\x00\xff", edition="iso15118-20").deliveries == ()
