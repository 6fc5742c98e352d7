"""OPNC v1: the pools as CharIN's Open Plug & Charge Network Communication describes them, as a table of operations.

The same desks as OPCP's under other names: an MO is an eMSP, roots are named by their SHA-256, signed contract data go
as EXI. Who acts is told by the credential; the party headers are checked for their form and change nothing, since
nothing is forwarded. Paths that the descriptions write doubled (`servers` and `paths`) are served both ways.
Sources: OPNC v1 rcp, pcp, cps, ccp, pki.
"""

from __future__ import annotations

from v2gpki.clock import rfc3339
from v2gpki.pnc.installation import kept
from v2gpki.servers.http.fields import PCID, Fields, Json
from v2gpki.servers.http.pool_values import (
    EMAID,
    NAMESPACE,
    ROOT,
    ROOT_FIELD,
    as_found,
    check_parties,
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
from v2gpki.services.ecosystem import ContractView, GivenData, PooledRootView, SignerView, VehicleView
from v2gpki.services.ecosystem.names import ISO2, ISO20_OF_2020, colons, edition_of, name_text
from v2gpki.services.ecosystem.revocation import REASONS
from v2gpki.wiring.ecosystem import Ecosystem

BASE = "/opnc/v1"
_NONE = frozenset[int]()
#: What OPNC calls the use of a root -> what OPCP does.
_KINDS = {"emsp": "MO", "v2g": "V2G", "oem": "OEM", "pe": "PE"}
_WRITTEN = {"MO": "eMSP", "V2G": "V2G", "OEM": "OEM", "PE": "PE"}


def operations(ecosystem: Ecosystem) -> list[Operation]:
    """The operations of OPNC v1 on these desks."""
    roots, vehicles = _Roots(ecosystem), _Vehicles(ecosystem)
    contracts, signing = _Contracts(ecosystem), _Signing(ecosystem)
    rcp, pcp = BASE + "/rcp/rootcertificates", BASE + "/pcp/provisioningcertificates"
    ccp, cps, pki = BASE + "/ccp", BASE + "/cps", BASE + "/pki"
    data = ccp + "/signedcontractdata"
    return [
        Operation("GET", rcp, roots.list),
        Operation("PUT", rcp, roots.save, _NONE, takes_body=True),
        Operation("GET", rcp + "/{rootCertificateId}", roots.one),
        Operation("DELETE", rcp + "/{rootCertificateId}", roots.delete),
        Operation("PUT", pcp, vehicles.publish, _NONE, takes_body=True),
        Operation("GET", pcp + "/{pcid}", vehicles.one),
        Operation("DELETE", pcp + "/{pcid}", vehicles.delete),
        Operation("GET", BASE + "/pcp/lookupvehicle/{pcid}", vehicles.look_up),
        Operation("PUT", cps + "/contractData/sign", signing.sign, takes_body=True),
        Operation("PUT", cps + "/contractData/generateandsign", signing.generate, _NONE, takes_body=True),
        Operation("GET", cps + "/cpsCertificates", signing.signers),
        Operation("GET", ccp + "/contractData/emaid/{emaid}", contracts.of_emaid),
        Operation("GET", ccp + "/contractData/pcid/{pcid}", contracts.of_pcid),
        Operation("POST", data, contracts.answer, takes_body=True),
        Operation("PUT", data, contracts.take_in, takes_body=True),
        Operation("DELETE", data + "/{emaid}", contracts.delete),
        Operation("GET", data + "/{emaid}/{pcid}", contracts.provide),
        Operation("POST", data + "/{emaid}/{pcid}/setdefault", contracts.set_default, _NONE),
        Operation(
            "POST",
            pki + "/revokeCertificate",
            _Revocation(ecosystem).revoke,
            _NONE,
            takes_body=True,
            aliases=(pki + "/pki/revokeCertificate",),
        ),
    ]


class _Roots:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.roots

    def list(self, call: Call) -> Reply:
        check_parties(call)
        kind = call.parameter("pkiType")
        if (kind or "pkiType" in call.query) and kind.lower() not in _KINDS:
            raise bad_parameter("pkiType", f"must be one of {', '.join(_KINDS)}")
        found = self._desk.every(call.party, (_KINDS[kind.lower()],) if kind else ())
        return Reply({"rootCertificateCollection": [_root(one) for one in found]})

    def one(self, call: Call) -> Reply:
        check_parties(call)
        value = _root(self._desk.one(call.party, call.path["rootCertificateId"]))
        # The description writes the name with three o; clients that were written by hand do not.
        return Reply({"roootCertificate": value, "rootCertificate": value})

    def save(self, call: Call) -> Reply:
        call.party.require("admin")
        kind = call.body.text("rootType").lower()
        if kind not in _KINDS:
            raise call.body.bad("rootType", f"must be one of {', '.join(_WRITTEN.values())}")
        saved = self._desk.save(call.party, call.body.octets("caCertificate"), _KINDS[kind])
        return Reply({"rootCertificate": _root(saved)})

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, call.path["rootCertificateId"])
        return Reply()


class _Vehicles:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.vehicles

    def publish(self, call: Call) -> Reply:
        check_parties(call)
        call.party.require("oem")
        body = call.body
        for informative in ("rootIssuerSerialNumber", "rootAuthorityKeyIdentifier", "fingerprint"):
            body.optional(informative)
        seen = self._desk.publish(
            call.party,
            _chain(body.inner("provisioningCertificateChain")),
            edition=edition_of(body.optional(NAMESPACE, default=ISO2)),
            v2g_roots=key_identifiers(body),
            previous_pcid=body.optional("previousPcid", pattern=PCID),
        )
        return Reply({"provisioningCertificate": _vehicle(seen)})

    def one(self, call: Call) -> Reply:
        check_parties(call)
        call.flag("broadcast", False)
        return Reply({"provisioningCertificate": _vehicle(self._desk.one(call.party, pcid_of(call)))})

    def look_up(self, call: Call) -> Reply:
        check_parties(call)
        self._desk.look_up(call.party, pcid_of(call))
        return Reply()

    def delete(self, call: Call) -> Reply:
        check_parties(call)
        self._desk.delete(call.party, pcid_of(call))
        return Reply()


class _Signing:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.cps

    def sign(self, call: Call) -> Reply:
        check_parties(call)
        call.party.require("mo")
        body = call.body
        given = body.inner("contractCertificateBundle")
        key, point = given.octets("contractSignatureEncryptedPrivateKey"), given.octets("dHpublickey")
        namespace = body.text(NAMESPACE)
        signed = self._desk.sign(
            call.party,
            GivenData(tuple(_chain(given.inner("contractCertificateChain"))), dh_public_key=point, encrypted_key=key),
            namespace=namespace,
            emaid=given.text("emaid", pattern=EMAID),
            pcid=given.text("pcid", pattern=PCID),
            root=body.optional(ROOT_FIELD, pattern=ROOT),
        )
        value: dict[str, Json] = {
            "certificateInstallationRes": text_of(kept(signed.signed)),
            "emaid": signed.emaid,
            "pcid": signed.pcid,
            NAMESPACE: _namespace(namespace),
            ROOT_FIELD: signed.root.fingerprint.hex(),
            "cpsRootDistinguishedName": name_text(signed.root),
        }
        return Reply({"signedContractData": value}, 201)

    def generate(self, call: Call) -> Reply:
        check_parties(call)
        call.party.require("mo")
        body = call.body
        for carried in ("subscriptionUrl", "metaData"):
            body.optional(carried)
        self._desk.generate(
            call.party,
            emaid=body.text("emaid", pattern=EMAID),
            pcid=body.text("pcid", pattern=PCID),
            begins=body.moment("contractBegins"),
            ends=body.moment("contractEnds"),
            namespace=body.text(NAMESPACE),
            root=body.optional(ROOT_FIELD, pattern=ROOT),
            mo_root=body.optional("moRootCertificateFingerprint", pattern=ROOT),
        )
        return Reply(status=201)

    def signers(self, call: Call) -> Reply:
        check_parties(call)
        return Reply({"cpsCertificateDataCollection": [_signer(one) for one in self._desk.signers(call.party)]})


class _Contracts:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.contracts
        self._cps = ecosystem.cps

    def answer(self, call: Call) -> Reply:
        check_parties(call)
        always = call.flag("alwaysReturnEXI", True)
        call.flag("broadcast", False)
        call.body.optional("metadata")
        request, namespace = call.body.text("certificateInstallationReq"), call.body.text(NAMESPACE)
        answer = self._desk.answer(call.party, request, namespace)
        if answer.refusal is not None:
            told: Json = {"signedContractDataCollection": [{"certificateInstallationRes": text_of(answer.exi)}]}
            return Reply(told if always else None, refusal=as_found(answer.refusal))
        found: list[Json] = [
            {
                "certificateInstallationRes": text_of(one.exi),
                "emaid": one.emaid,
                "pcid": one.pcid,
                NAMESPACE: _namespace(one.namespace),
                ROOT_FIELD: one.root.hex(),
            }
            for one in answer.delivered
        ]
        return Reply({"signedContractDataCollection": found})

    def take_in(self, call: Call) -> Reply:
        check_parties(call)
        call.party.require("cps", "mo")
        body = call.body
        for carried in ("metaData", "cpsRootDistinguishedName"):
            body.optional(carried)
        body.optional(ROOT_FIELD, pattern=ROOT)
        self._cps.take_in(
            call.party,
            body.octets("certificateInstallationRes"),
            emaid=body.text("emaid", pattern=EMAID),
            pcid=body.text("pcid", pattern=PCID),
            namespace=body.text(NAMESPACE),
        )
        return Reply(status=201)

    def delete(self, call: Call) -> Reply:
        check_parties(call)
        self._desk.delete(call.party, emaid_of(call), revoke=not call.flag("X-Skip-Revocation", False))
        return Reply()

    def provide(self, call: Call) -> Reply:
        check_parties(call)
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
            "emaid": given.emaid,
            "pcid": given.pcid,
            NAMESPACE: _namespace(namespace),
            ROOT_FIELD: given.root.hex(),
        }
        return Reply({"signedContractDataCollection": [value]})

    def of_emaid(self, call: Call) -> Reply:
        check_parties(call)
        root = call.parameter(ROOT_FIELD, pattern=ROOT)
        found = self._desk.of_emaid(call.party, emaid_of(call), namespace=namespace_of(call), root=root)
        return Reply({"contractDataCollection": [_contract(found)]})

    def of_pcid(self, call: Call) -> Reply:
        check_parties(call)
        found = self._desk.of_pcid(call.party, pcid_of(call), namespace=namespace_of(call))
        return Reply({"contractDataCollection": [_contract(one) for one in found]})

    def set_default(self, call: Call) -> Reply:
        check_parties(call)
        self._desk.set_default(call.party, emaid_of(call), pcid_of(call))
        return Reply()


class _Revocation:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.revocation

    def revoke(self, call: Call) -> Reply:
        reason = call.body.choice("revocationReason", REASONS)
        self._desk.revoke(call.party, call.body.octets("certificate"), reason)
        return Reply()


def _namespace(namespace: str) -> str:
    """As OPNC writes it."""
    return ISO2 if namespace == ISO2 else ISO20_OF_2020


def _chain(given: Fields) -> list[bytes]:
    """A chain, leaf first."""
    leaf, second = given.octets("certificate"), given.optional_octets("subCa2Certificate")
    first = given.octets("subCa1Certificate")
    return [leaf, first] if second is None else [leaf, second, first]


def _chain_value(leaf: bytes, above: list[bytes]) -> dict[str, Json]:
    found: dict[str, Json] = {"certificate": text_of(leaf)}
    if above:
        found["subCa1Certificate"] = text_of(above[-1])
    if len(above) > 1:
        found["subCa2Certificate"] = text_of(above[0])
    return found


def _root(root: PooledRootView) -> dict[str, Json]:
    return root_value(root) | {"rootType": _WRITTEN[root.kind]}


def _vehicle(seen: VehicleView) -> dict[str, Json]:
    vehicle = seen.vehicle
    leaf, *above = vehicle.chain
    found: dict[str, Json] = {
        "provisioningCertificateChain": _chain_value(leaf, above),
        NAMESPACE: _namespace(seen.namespace),
        "rootIssuerSerialNumber": f"{seen.root.serial:x}",
        "rootAuthorityKeyIdentifier": colons(seen.root.key_identifier),
        "fingerprint": vehicle.fingerprint.hex(),
    }
    if vehicle.v2g_roots:
        found["v2gRootAuthorityKeyIdentifiers"] = [colons(one) for one in vehicle.v2g_roots]
    if vehicle.previous_pcid:
        found["previousPcid"] = vehicle.previous_pcid
    return found


def _signer(signer: SignerView) -> dict[str, Json]:
    return signer_value(signer) | {
        "cpsCertificateChain": _chain_value(signer.leaf.der, [one.der for one in signer.above]),
        ROOT_FIELD: signer.root.fingerprint.hex(),
        "cpsV2GRootDistinguishedName": name_text(signer.root),
        NAMESPACE: _namespace(signer.namespace),
    }


def _contract(seen: ContractView) -> dict[str, Json]:
    contract = seen.contract
    found: dict[str, Json] = {
        "pcid": contract.pcid,
        "emaid": contract.emaid,
        NAMESPACE: _namespace(seen.namespace),
        "defaultContract": contract.default,
        "certValidFrom": rfc3339(contract.begins if seen.certificate is None else seen.certificate.not_before),
        "certValidTo": rfc3339(contract.ends if seen.certificate is None else seen.certificate.not_after),
    }
    if seen.certificate is not None:
        found["contractCertificate"] = text_of(seen.certificate.der)
    if seen.root is not None:
        found["cpsV2GRootDistinguishedName"] = name_text(seen.root)
        found[ROOT_FIELD] = seen.root.fingerprint.hex()
    return found
