"""OPCP 1.0: the pools as Hubject's Open Plug & Charge Protocol describes them, as a table of operations.

Shapes of requests and answers only; what happens is `services.ecosystem`'s. Certificates are base64 of DER, roots are
named by their UUID (their SHA-256 serves as well where one is asked for). Sources: OPCP 1.0 rcp, pcp, cps, ccp.
"""

from __future__ import annotations

import base64
import re

from cryptography.x509.oid import NameOID

from v2gpki.certs.view import CertificateView
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.fields import PCID, Json
from v2gpki.servers.http.pools import Call, Operation, Reply, bad_parameter
from v2gpki.services.ecosystem import KINDS, PooledRootView, VehicleView
from v2gpki.services.ecosystem.names import ISO2, attribute, colons, edition_of, name_text, root_id
from v2gpki.wiring.ecosystem import Ecosystem

_EMAID = re.compile(r"[A-Za-z]{2}-?\w{3}-?\w{9}-?\w?", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2})*")
_NOTHING = frozenset[int]()


def operations(ecosystem: Ecosystem) -> list[Operation]:
    """The operations of OPCP 1.0 on these desks."""
    roots, vehicles, contracts = _Roots(ecosystem), _Vehicles(ecosystem), _Contracts(ecosystem)
    pcp = "/v1/oem/provCerts"
    return [
        Operation("GET", "/v1/root/rootCerts", roots.list, _NOTHING),
        Operation("PUT", "/v1/root/rootCerts", roots.save, _NOTHING, takes_body=True),
        Operation("GET", "/v1/root/rootCerts/{rootCertificateId}", roots.one),
        Operation("DELETE", "/v1/root/rootCerts/{rootCertificateId}", roots.delete),
        Operation("PUT", pcp, vehicles.publish, _NOTHING, takes_body=True),
        Operation("GET", pcp + "/{pcid}", vehicles.one),
        Operation("DELETE", pcp + "/{pcid}", vehicles.delete),
        Operation("GET", pcp + "/lookupVehicle/{pcid}", vehicles.look_up, aliases=("/lookupVehicle/{pcid}",)),
        Operation("POST", "/v1/ccp/signedContractData", contracts.answer, takes_body=True),
    ]


class _Roots:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.roots

    def list(self, call: Call) -> Reply:
        kind = call.parameter("rootType").upper()
        if kind and kind not in KINDS:
            raise bad_parameter("rootType", f"must be one of {', '.join(sorted(KINDS)).lower()}")
        found = self._desk.list(call.party, (kind,) if kind else ())
        return Reply({"RootCertificateCollection": {"rootCertificates": [_root(one) for one in found]}})

    def one(self, call: Call) -> Reply:
        return Reply({"RootResponse": _root(self._desk.one(call.party, call.path["rootCertificateId"]))})

    def save(self, call: Call) -> Reply:
        der = call.body.octets("caCertificate")
        kind = call.body.choice("rootType", tuple(KINDS))
        return Reply({"RootResponse": _root(self._desk.save(call.party, der, kind))})

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, call.path["rootCertificateId"])
        return Reply()


class _Vehicles:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.vehicles

    def publish(self, call: Call) -> Reply:
        body = call.body
        chain = [body.octets("vehicleCertificate")]
        second = body.optional_octets("subCA2Certificate")
        chain += [] if second is None else [second]
        chain.append(body.octets("subCA1Certificate"))
        edition = edition_of(body.optional("xsdMsgDefNamespace", default=ISO2))
        named = body.texts("v2gRootAuthorityKeyIdentifiers", pattern=_HEX, least=1)
        seen = self._desk.publish(
            call.party,
            chain,
            edition=edition,
            v2g_roots=[bytes.fromhex(one.replace(":", "")) for one in named],
            previous_pcid=body.optional("previousPcid", pattern=PCID),
        )
        return Reply(_vehicle(seen))

    def one(self, call: Call) -> Reply:
        call.flag("broadcast", False)
        return Reply({"OEMMessage": _vehicle(self._desk.one(call.party, call.segment("pcid", PCID)))})

    def look_up(self, call: Call) -> Reply:
        self._desk.look_up(call.party, call.segment("pcid", PCID))
        return Reply()

    def delete(self, call: Call) -> Reply:
        self._desk.delete(call.party, call.segment("pcid", PCID))
        return Reply()


class _Contracts:
    def __init__(self, ecosystem: Ecosystem) -> None:
        self._desk = ecosystem.contracts

    def answer(self, call: Call) -> Reply:
        always = call.flag("alwaysReturnEXI", True)
        call.flag("broadcast", False)
        request = call.body.text("certificateInstallationReq")
        namespace = call.body.text("xsdMsgDefNamespace")
        call.body.optional("metadata")
        answer = self._desk.answer(call.party, request, namespace)
        if answer.refusal is not None:
            return Reply(_messages(answer.exi) if always else None, refusal=as_found(answer.refusal))
        content: list[Json] = []
        for one in answer.delivered:
            message: dict[str, Json] = {"certificateInstallationRes": text_of(one.exi), "emaid": one.emaid}
            if one.root:
                message["cpsV2GRootCertificateFingerprint"] = root_id(one.root)
            content.append({"messageDef": message})
        return Reply({"CCPResponse": {"emaidContent": content}})


def _messages(exi: bytes) -> dict[str, Json]:
    """What tells the vehicle that it gets nothing."""
    return {"CCPResponse": {"emaidContent": [{"messageDef": {"certificateInstallationRes": text_of(exi)}}]}}


def as_found(refusal: V2GPKIError) -> V2GPKIError:
    """The refusal of a vehicle that could be read: that there is no contract for it is "not found", whatever the
    reason; what is wrong with the request itself stays a bad request."""
    if refusal.code in _NOT_FOUND or (refusal.code.startswith("provisioning.") and refusal.outcome.http != 400):
        return V2GPKIError(
            "ecosystem.no_contract_data",
            f"{refusal.message} [{refusal.code}]",
            hint=refusal.hint,
            clause=refusal.clause,
            facts=refusal.facts,
            findings=refusal.findings,
        )
    return refusal


_NOT_FOUND = frozenset(
    {"cps.no_common_root", "contract.ended", "contract.too_short", "contract.not_active", "contract.elsewhere"}
)


def _root(root: PooledRootView) -> dict[str, Json]:
    seen = root.certificate
    found: dict[str, Json] = {
        "rootCertificateId": root.id,
        "distinguishedName": name_text(seen),
        "rootType": root.kind,
        "caCertificate": text_of(seen.der),
        "commonName": attribute(seen, NameOID.COMMON_NAME),
        "rootAuthorityKeyIdentifier": text_of(seen.key_identifier),
        "rootAuthorityKeyIdentifierHex": seen.key_identifier.hex(),
        "rootIssuerSerialNumber": f"{seen.serial:x}",
        "validFrom": rfc3339(seen.not_before),
        "validTo": rfc3339(seen.not_after),
        "organizationName": attribute(seen, NameOID.ORGANIZATION_NAME),
        "fingerprint": seen.fingerprint.hex(),
        "xsdMsgDefNamespace": root.namespace,
    }
    if root.algorithm:
        found["signatureAlgorithm"] = root.algorithm
    return found


def _vehicle(seen: VehicleView) -> dict[str, Json]:
    vehicle = seen.vehicle
    leaf, *above = vehicle.chain
    found: dict[str, Json] = {
        "subCA1Certificate": text_of(above[-1] if above else leaf),
        "vehicleCertificate": text_of(leaf),
        "xsdMsgDefNamespace": seen.namespace,
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


def text_of(octets: bytes) -> str:
    """Octets in base64."""
    return base64.b64encode(octets).decode("ascii")


def moments(seen: CertificateView) -> tuple[str, str]:
    """Begin and end of a certificate."""
    return rfc3339(seen.not_before), rfc3339(seen.not_after)
