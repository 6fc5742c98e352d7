"""OPCP 1.0: the pools as Hubject's Open Plug & Charge Protocol describes them, as a table of operations.

Shapes of requests and answers only; what happens is `services.ecosystem`'s. Certificates are base64 of DER. A root is
named by its UUID, in the fields called "fingerprint" too: their pattern is a UUID's; a SHA-256 is understood as well.
Sources: OPCP 1.0 rcp, pcp, cps, ccp, webhooks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from v2gpki.certs.trust_list import SignedTrustList, opcp_document
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.fields import PCID, Fields, Json, as_json
from v2gpki.servers.http.pool_values import (
    EMAID,
    NAMESPACE,
    ROOT,
    ROOT_FIELD,
    as_found,
    emaid_of,
    key_identifiers,
    namespace_of,
    pcid_of,
    root_value,
    session_of,
    signer_value,
    text_of,
)
from v2gpki.servers.http.pools import Call, Operation, Reply, bad_parameter
from v2gpki.services.ecosystem import KINDS, ContractView, GivenData, PooledRootView, SignedView, VehicleView
from v2gpki.services.ecosystem.names import ISO2, colons, edition_of, name_text, root_id
from v2gpki.services.ecosystem.signing import xml_of
from v2gpki.wiring.ecosystem import Ecosystem

_NONE = frozenset[int]()
_KINDS = ("MO", "V2G", "OEM", "PE")


#: Gives the signed trust list, None when there is none.
TrustListSource: TypeAlias = Callable[[], SignedTrustList | None]


def operations(ecosystem: Ecosystem, trust_list: TrustListSource = lambda: None) -> list[Operation]:
    """The operations of OPCP 1.0 on these desks; ``trust_list`` gives what ``/v1/root/ctl`` answers."""
    roots, vehicles = _Roots(ecosystem), _Vehicles(ecosystem)
    contracts, signing = _Contracts(ecosystem), _Signing(ecosystem)
    rcp, pcp, cps, ccp = "/v1/root/rootCerts", "/v1/oem/provCerts", "/v1/cps", "/v1/ccp"
    data = ccp + "/signedContractData"
    return [
        Operation("GET", rcp, roots.list, _NONE),
        Operation("PUT", rcp, roots.save, _NONE, takes_body=True),
        Operation("GET", rcp + "/{rootCertificateId}", roots.one),
        Operation("DELETE", rcp + "/{rootCertificateId}", roots.delete),
        Operation("GET", "/v1/root/ctl", _TrustList(trust_list).show),
        Operation("PUT", pcp, vehicles.publish, _NONE, takes_body=True),
        Operation("GET", pcp + "/{pcid}", vehicles.one),
        Operation("DELETE", pcp + "/{pcid}", vehicles.delete),
        Operation("GET", pcp + "/lookupVehicle/{pcid}", vehicles.look_up, aliases=("/lookupVehicle/{pcid}",)),
        Operation("PUT", cps + "/contractData/signed", signing.sign, takes_body=True),
        Operation("PUT", cps + "/signedContractData", signing.sign_only, _NONE, takes_body=True),
        Operation("PUT", cps + "/forward/signedContractData", signing.forward, _NONE, takes_body=True),
        Operation("PUT", cps + "/generate/signedContractData", signing.generate, _NONE, takes_body=True),
        Operation("GET", "/cps/signer", signing.signers, aliases=(cps + "/signer",)),
        Operation("POST", data, contracts.answer, takes_body=True),
        Operation("PUT", data, contracts.take_in, takes_body=True),
        Operation("DELETE", data + "/{emaid}", contracts.delete),
        Operation("GET", data + "/{pcid}", contracts.of_pcid),
        Operation("POST", data + "/{pcid}/{emaid}/default", contracts.set_default, _NONE),
        Operation("GET", ccp + "/provideSignedContractData/{emaid}/{pcid}", contracts.provide),
        Operation("GET", ccp + "/lookupContract/{emaid}", contracts.of_emaid),
    ]


class _Roots:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.roots

    def list(self, call: Call) -> Reply:
        kind = call.parameter("rootType")
        if (kind or "rootType" in call.query) and kind.upper() not in KINDS:
            raise bad_parameter("rootType", f"must be one of {', '.join(_KINDS).lower()}")
        found = self._desk.every(call.party, (kind.upper(),) if kind else ())
        return Reply({"RootCertificateCollection": {"rootCertificates": [_root(one) for one in found]}})

    def one(self, call: Call) -> Reply:
        return Reply({"RootResponse": _root(self._desk.one(call.party, call.path["rootCertificateId"]))})

    def save(self, call: Call) -> Reply:
        call.party.require("admin")
        kind = call.body.choice("rootType", _KINDS)
        return Reply({"RootResponse": _root(self._desk.save(call.party, call.body.octets("caCertificate"), kind))})

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, call.path["rootCertificateId"])
        return Reply()


class _TrustList:
    def __init__(self, source: TrustListSource) -> None:
        self._source = source

    def show(self, call: Call) -> Reply:
        call.party.require("mo", "oem", "cpo", "cps")
        listed = self._source()
        if listed is None:
            raise V2GPKIError(
                "ecosystem.no_trust_list",
                "this service has no certificate trust list",
                hint="the operator signs one with v2gpki ctl and names it as trust_list in [serve]",
                clause="OPCP rcp.v1",
            )
        return Reply(as_json(opcp_document(listed)))


class _Vehicles:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.vehicles

    def publish(self, call: Call) -> Reply:
        call.party.require("oem")
        body = call.body
        leaf, first = body.octets("vehicleCertificate"), body.octets("subCA1Certificate")
        second = body.optional_octets("subCA2Certificate")
        seen = self._desk.publish(
            call.party,
            [leaf, first] if second is None else [leaf, second, first],
            edition=edition_of(body.optional(NAMESPACE, default=ISO2)),
            v2g_roots=key_identifiers(body),
            previous_pcid=body.optional("previousPcid", pattern=PCID),
        )
        return Reply(_vehicle(seen))

    def one(self, call: Call) -> Reply:
        call.flag("broadcast", False)
        return Reply({"OEMMessage": _vehicle(self._desk.one(call.party, pcid_of(call)))})

    def look_up(self, call: Call) -> Reply:
        self._desk.look_up(call.party, pcid_of(call))
        return Reply()

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, pcid_of(call))
        return Reply()


class _Signing:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.cps

    def sign(self, call: Call) -> Reply:
        call.party.require("mo")
        body = call.body
        given = body.inner("contractData")
        second = given.optional_octets("contractSubCa2Certificate")
        leaf, first = given.octets("contractCertificate"), given.octets("contractSubCa1Certificate")
        chain = (leaf, first) if second is None else (leaf, second, first)
        signed = self._desk.sign(
            call.party,
            _data(given, chain),
            namespace=body.text(NAMESPACE),
            pcid=body.optional("pcid", pattern=PCID),
            root=body.optional(ROOT_FIELD, pattern=ROOT),
        )
        return Reply(_signed(signed, optional=True), 201)

    def sign_only(self, call: Call) -> Reply:
        return Reply(_signed(self._old_form(call, store=False)))

    def forward(self, call: Call) -> Reply:
        self._old_form(call, store=True)
        return Reply({}, 201)

    def generate(self, call: Call) -> Reply:
        call.party.require("mo")
        body = call.body
        body.optional("subscriptionUrl")
        body.optional("metaData")
        self._desk.generate(
            call.party,
            emaid=body.text("emaid", pattern=EMAID),
            pcid=body.text("pcid", pattern=PCID),
            begins=body.moment("contractBegins"),
            ends=body.moment("contractEnds"),
            namespace=body.text(NAMESPACE),
            root=body.optional(ROOT_FIELD, pattern=ROOT),
        )
        return Reply(status=201)

    def signers(self, call: Call) -> Reply:
        found: list[Json] = []
        for one in self._desk.signers(call.party):
            value = signer_value(one) | {
                "cpsCertificate": text_of(one.leaf.der),
                ROOT_FIELD: root_id(one.root.fingerprint),
                "cpsRootDistinguishedName": name_text(one.root),
                "cpsSubCa1Certificate": text_of(one.above[-1].der),
            }
            if len(one.above) > 1:
                value["cpsSubCa2Certificate"] = text_of(one.above[0].der)
            found.append(value)
        return Reply({"cpsCertificates": found})

    def _old_form(self, call: Call, *, store: bool) -> SignedView:
        call.party.require("mo")
        body = call.body
        given = body.inner("contractData")
        named = given.inner("contractSignatureCertChain")
        above = named.octet_list("contractSignatureCertChainSubCertificates", least=1, most=2)
        leaf = named.octets("contractSignatureCertChainCertificate")
        body.optional("metaData")
        given.text("emaid", least=1)
        return self._desk.sign(
            call.party,
            _data(given, (leaf, *above)),
            namespace=body.text(NAMESPACE),
            emaid=body.text("emaid", pattern=EMAID),
            pcid=body.text("pcid", pattern=PCID),
            root=body.optional(ROOT_FIELD, pattern=ROOT),
            store=store,
        )


class _Contracts:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.contracts
        self._cps = ecosystem.cps

    def answer(self, call: Call) -> Reply:
        always = call.flag("alwaysReturnEXI", True)
        call.flag("broadcast", False)
        call.body.optional("metadata")
        answer = self._desk.answer(
            call.party, call.body.text("certificateInstallationReq"), call.body.text(NAMESPACE)
        )
        if answer.refusal is not None:
            told = _response({"certificateInstallationRes": text_of(answer.exi)}) if always else None
            return Reply(told, refusal=as_found(answer.refusal))
        messages: list[dict[str, Json]] = [
            {"certificateInstallationRes": text_of(one.exi), "emaid": one.emaid, ROOT_FIELD: root_id(one.root)}
            for one in answer.delivered
        ]
        return Reply(_response(*messages))

    def take_in(self, call: Call) -> Reply:
        call.party.require("cps", "mo")
        body = call.body
        body.optional("metadata")
        body.optional(ROOT_FIELD, pattern=ROOT)
        self._cps.take_in(
            call.party,
            body.octets("signedContractDataXML"),
            emaid=body.text("emaid", pattern=EMAID),
            pcid=body.text("pcid", pattern=PCID),
            namespace=body.text(NAMESPACE),
        )
        return Reply(status=201)

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, emaid_of(call), revoke=not call.flag("X-Skip-Revocation", False))
        return Reply()

    def provide(self, call: Call) -> Reply:
        namespace = namespace_of(call)
        given = self._desk.provide(
            call.party,
            emaid_of(call),
            pcid_of(call),
            namespace=namespace,
            root=call.parameter(ROOT_FIELD, pattern=ROOT),
            session_id=session_of(call),
        )
        value: dict[str, Json] = {
            "certificateInstallationRes": text_of(given.exi),
            NAMESPACE: namespace,
            ROOT_FIELD: root_id(given.root),
        }
        return Reply(value)

    def of_emaid(self, call: Call) -> Reply:
        root = call.parameter(ROOT_FIELD, pattern=ROOT)
        found = self._desk.of_emaid(call.party, emaid_of(call), namespace=namespace_of(call), root=root)
        return Reply({"XMLContracts": [_contract(found)]})

    def of_pcid(self, call: Call) -> Reply:
        found = self._desk.of_pcid(call.party, pcid_of(call), namespace=namespace_of(call))
        return Reply({"XMLContracts": [_contract(one) for one in found]})

    def set_default(self, call: Call) -> Reply:
        self._desk.set_default(call.party, emaid_of(call), pcid_of(call))
        return Reply()


def _response(*messages: dict[str, Json]) -> dict[str, Json]:
    """Messages for a vehicle as the contract pool wraps them."""
    return {"CCPResponse": {"emaidContent": [{"messageDef": message} for message in messages]}}


def _data(given: Fields, chain: tuple[bytes, ...]) -> GivenData:
    key, point = given.octets("contractSignatureEncryptedPrivateKey"), given.octets("dHpublickey")
    return GivenData(chain, dh_public_key=point, encrypted_key=key)


def _root(root: PooledRootView) -> dict[str, Json]:
    found = root_value(root) | {
        "rootType": root.kind,
        "rootAuthorityKeyIdentifierHex": root.certificate.key_identifier.hex(),
        NAMESPACE: root.namespace,
    }
    if root.algorithm:
        found["signatureAlgorithm"] = root.algorithm
    return found


def _vehicle(seen: VehicleView) -> dict[str, Json]:
    vehicle = seen.vehicle
    leaf, *above = vehicle.chain
    found: dict[str, Json] = {
        "subCA1Certificate": text_of(above[-1] if above else seen.root.der),
        "vehicleCertificate": text_of(leaf),
        NAMESPACE: seen.namespace,
        "rootIssuerDistinguishedName": name_text(seen.root),
        "rootIssuerSerialNumber": f"{seen.root.serial:x}",
        "rootAuthorityKeyIdentifier": colons(seen.root.key_identifier),
        "fingerprint": vehicle.fingerprint.hex(),
    }
    if len(above) > 1:
        found["subCA2Certificate"] = text_of(above[0])
    if vehicle.v2g_roots:
        found["v2gRootAuthorityKeyIdentifiers"] = [colons(one) for one in vehicle.v2g_roots]
    if vehicle.previous_pcid:
        found["previousPcid"] = vehicle.previous_pcid
    return found


def _signed(signed: SignedView, *, optional: bool = False) -> dict[str, Json]:
    """Signed contract data; ``optional`` writes a PCID that was not given as null."""
    return {
        "pcid": signed.pcid or (None if optional else ""),
        "emaid": signed.emaid,
        NAMESPACE: signed.namespace,
        "signedData": text_of(xml_of(signed.signed)),
        ROOT_FIELD: root_id(signed.root.fingerprint),
        "cpsRootDistinguishedName": name_text(signed.root),
    }


def _contract(seen: ContractView) -> dict[str, Json]:
    contract = seen.contract
    found: dict[str, Json] = {
        "pcid": contract.pcid,
        "emaid": contract.emaid,
        NAMESPACE: seen.namespace,
        "defaultContract": contract.default,
        "certValidFrom": rfc3339(contract.begins if seen.certificate is None else seen.certificate.not_before),
        "certValidTo": rfc3339(contract.ends if seen.certificate is None else seen.certificate.not_after),
    }
    if seen.certificate is not None:
        found["contractCertificate"] = text_of(seen.certificate.der)
    if seen.root is not None:
        # The description has the patterns of these two the wrong way round; its examples too.
        found["cpsRootCertificateDN"] = root_id(seen.root.fingerprint)
        found[ROOT_FIELD] = name_text(seen.root)
    return found
