"""A provider's pools over OPNC v1: the same as over OPCP, under OPNC's names. Source: OPNC v1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from v2gpki.clients.exchange import Exchange
from v2gpki.clients.pool_answers import Json, Reading
from v2gpki.clients.pools import (
    ContractOffer,
    Edition,
    PoolClient,
    RemoteAnswer,
    RemoteContract,
    RemoteDelivery,
    RemoteEndpoint,
    RemoteRoot,
    RemoteSigned,
    RemoteSigner,
    RemoteVehicle,
    RootKind,
    b64,
    endpoint_change,
    endpoint_of,
    moment,
)

NAMESPACES: dict[Edition, str] = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20": "urn:iso:15118:20:2020:MsgDef",
}
RevocationReason = Literal[
    "privilegeWithdrawn",
    "affiliationChanged",
    "superseded",
    "unspecified",
    "keyCompromise",
    "aACompromise",
    "cessationOfOperation",
]
_KINDS: dict[RootKind, str] = {"V2G": "V2G", "MO": "eMSP", "OEM": "OEM", "PE": "PE"}
_WORDS = {"emsp": "MO"}
_RCP, _PCP = "/rcp/rootcertificates", "/pcp/provisioningcertificates"
_CCP, _CPS, _HOOKS = "/ccp", "/cps", "/event/endpoints"
_DATA = _CCP + "/signedcontractdata"
_ROOT = "cpsV2GRootCertificateFingerprint"


class OpncClient(PoolClient):
    """See `PoolProvider` for what the methods do."""

    def __init__(self, url: str, exchange: Exchange, *, base: str = "/opnc/v1") -> None:
        """``base`` is where the provider's services begin below its address."""
        super().__init__(url.rstrip("/") + base, exchange)

    def roots(self, kind: RootKind | None = None) -> list[RemoteRoot]:
        """The trusted roots."""
        params = {"pkiType": _KINDS[kind].lower()} if kind else None
        found = self._call("GET", _RCP, params=params).object()
        return [_root(one) for one in found.list("rootCertificateCollection")]

    def root(self, root_id: str) -> RemoteRoot:
        """One root."""
        found = self._call("GET", f"{_RCP}/{quote(root_id, safe='')}").object()
        # The description writes the name with three o.
        return _root(found.inner("roootCertificate" if found.has("roootCertificate") else "rootCertificate"))

    def add_root(self, certificate: bytes, kind: RootKind) -> None:
        """Trust a root."""
        self._call("PUT", _RCP, {"caCertificate": b64(certificate), "rootType": _KINDS[kind]})

    def delete_root(self, root_id: str) -> None:
        """Trust a root no more."""
        self._call("DELETE", f"{_RCP}/{quote(root_id, safe='')}")

    def publish_vehicle(
        self, chain: Sequence[bytes], *, edition: Edition, v2g_roots: Sequence[bytes] = (), previous_pcid: str = ""
    ) -> None:
        """Register a provisioning certificate."""
        body: dict[str, Json] = {
            "provisioningCertificateChain": _chain_value(chain),
            "xsdMsgDefNamespace": NAMESPACES[edition],
        }
        if v2g_roots:
            body["v2gRootAuthorityKeyIdentifiers"] = [one.hex(":") for one in v2g_roots]
        if previous_pcid:
            body["previousPcid"] = previous_pcid
        self._call("PUT", _PCP, body)

    def vehicle(self, pcid: str) -> RemoteVehicle:
        """A vehicle's provisioning certificate."""
        found = self._call("GET", f"{_PCP}/{quote(pcid, safe='')}").object("provisioningCertificate")
        chain = _chain(found.inner("provisioningCertificateChain"))
        return RemoteVehicle(chain, found.optional("xsdMsgDefNamespace"))

    def knows_vehicle(self, pcid: str) -> bool:
        """Whether there is one."""
        return self._call("GET", f"/pcp/lookupvehicle/{quote(pcid, safe='')}", accept=(404,)).status != 404

    def delete_vehicle(self, pcid: str) -> None:
        """Take a vehicle out of the pool."""
        self._call("DELETE", f"{_PCP}/{quote(pcid, safe='')}")

    def answer(self, request: bytes, *, edition: Edition, always_exi: bool = True) -> RemoteAnswer:
        """The answer to a CertificateInstallationReq."""
        body: dict[str, Json] = {"certificateInstallationReq": b64(request), "xsdMsgDefNamespace": NAMESPACES[edition]}
        headers = {"alwaysReturnEXI": "true" if always_exi else "false"}
        answered = self._call("POST", _DATA, body, headers=headers, accept=(400, 404))
        whole = answered.object()
        found = [
            RemoteDelivery(one.octets("certificateInstallationRes"), one.optional("emaid"))
            for one in (whole.list("signedContractDataCollection") if whole.has("signedContractDataCollection") else ())
        ]
        if answered.status < 400:
            return RemoteAnswer(tuple(found))
        return RemoteAnswer((), answered.said, found[0].exi if found else b"")

    def store(self, signed: bytes, *, emaid: str, pcid: str, edition: Edition) -> None:
        """Store signed contract data: EXI."""
        body: dict[str, Json] = {
            "certificateInstallationRes": b64(signed),
            "emaid": emaid,
            "pcid": pcid,
            "xsdMsgDefNamespace": NAMESPACES[edition],
        }
        self._call("PUT", _DATA, body)

    def delete_contract(self, emaid: str, *, revoke: bool = True) -> None:
        """End a contract."""
        headers = None if revoke else {"X-Skip-Revocation": "true"}
        self._call("DELETE", f"{_DATA}/{quote(emaid, safe='')}", headers=headers)

    def provide(self, emaid: str, pcid: str, *, edition: Edition, session_id: bytes = b"") -> RemoteDelivery:
        """A contract's message without the vehicle's request."""
        params = {"xsdMsgDefNamespace": NAMESPACES[edition]}
        if session_id:
            params["sessionID"] = session_id.hex()
        answered = self._call("GET", f"{_DATA}/{quote(emaid, safe='')}/{quote(pcid, safe='')}", params=params)
        found = answered.object().list("signedContractDataCollection")
        if not found:
            raise answered.refusal()
        return RemoteDelivery(found[0].octets("certificateInstallationRes"), found[0].optional("emaid", emaid))

    def contract(self, emaid: str, *, edition: Edition = "iso15118-2") -> RemoteContract | None:
        """The contract of an EMAID."""
        path = f"{_CCP}/contractData/emaid/{quote(emaid, safe='')}"
        answered = self._call("GET", path, params={"xsdMsgDefNamespace": NAMESPACES[edition]}, accept=(404,))
        found = [] if answered.status == 404 else answered.object().list("contractDataCollection")
        return _contract(found[0]) if found else None

    def contracts(self, pcid: str, *, edition: Edition = "iso15118-2") -> list[RemoteContract]:
        """The contracts of a vehicle."""
        path = f"{_CCP}/contractData/pcid/{quote(pcid, safe='')}"
        answered = self._call("GET", path, params={"xsdMsgDefNamespace": NAMESPACES[edition]}, accept=(404,))
        if answered.status == 404:
            return []
        return [_contract(one) for one in answered.object().list("contractDataCollection")]

    def set_default(self, emaid: str, pcid: str) -> None:
        """Make a contract the vehicle's default."""
        self._call("POST", f"{_DATA}/{quote(emaid, safe='')}/{quote(pcid, safe='')}/setdefault")

    def sign(self, offer: ContractOffer, *, edition: Edition, pcid: str = "", root: str = "") -> RemoteSigned:
        """Have contract data signed; OPNC names the vehicle always, so they are stored."""
        bundle: dict[str, Json] = {
            "pcid": pcid,
            "emaid": offer.emaid,
            "contractCertificateChain": _chain_value(offer.chain),
            "contractSignatureEncryptedPrivateKey": b64(offer.encrypted_key),
            "dHpublickey": b64(offer.dh_public_key),
        }
        body: dict[str, Json] = {"contractCertificateBundle": bundle, "xsdMsgDefNamespace": NAMESPACES[edition]}
        if root:
            body[_ROOT] = root
        found = self._call("PUT", _CPS + "/contractData/sign", body).object("signedContractData")
        return RemoteSigned(found.octets("certificateInstallationRes"), found.text("emaid"), found.optional("pcid"))

    def generate(
        self, emaid: str, pcid: str, begins: datetime, ends: datetime, *, edition: Edition, root: str = ""
    ) -> None:
        """Have a contract made, signed and stored."""
        body: dict[str, Json] = {
            "contractBegins": moment(begins),
            "contractEnds": moment(ends),
            "emaid": emaid,
            "pcid": pcid,
            "xsdMsgDefNamespace": NAMESPACES[edition],
        }
        if root:
            body[_ROOT] = root
        self._call("PUT", _CPS + "/contractData/generateandsign", body)

    def signers(self) -> list[RemoteSigner]:
        """The CPS certificates of the provider."""
        found = self._call("GET", _CPS + "/cpsCertificates").object().list("cpsCertificateDataCollection")
        return [
            RemoteSigner(_chain(one.inner("cpsCertificateChain")), one.text(_ROOT), one.text("xsdMsgDefNamespace"))
            for one in found
        ]

    def revoke(self, certificate: bytes, reason: RevocationReason = "unspecified") -> None:
        """End a certificate (DER) that the provider issued."""
        body: dict[str, Json] = {"certificate": b64(certificate), "revocationReason": reason}
        self._call("POST", "/pki/revokeCertificate", body)

    def create_endpoint(self, url: str, events: Sequence[str], *, description: str = "") -> RemoteEndpoint:
        """Be told of events."""
        body: dict[str, Json] = {"url": url, "enabledEvents": [*events], "description": description}
        return endpoint_of(self._call("POST", _HOOKS, body, repeatable=False).object())

    def endpoints(self) -> list[RemoteEndpoint]:
        """Where one is told of events."""
        return [endpoint_of(one) for one in self._call("GET", _HOOKS).objects()]

    def endpoint(self, endpoint_id: str) -> RemoteEndpoint:
        """One of these."""
        return endpoint_of(self._call("GET", f"{_HOOKS}/{quote(endpoint_id, safe='')}").object())

    def update_endpoint(
        self, endpoint_id: str, url: str, *, events: Sequence[str] = (), enabled: bool | None = None
    ) -> RemoteEndpoint:
        """Be told elsewhere, of other events, or not for now."""
        body = endpoint_change(url, events, enabled=enabled)
        return endpoint_of(self._call("PUT", f"{_HOOKS}/{quote(endpoint_id, safe='')}", body).object())

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Be told no more."""
        self._call("DELETE", f"{_HOOKS}/{quote(endpoint_id, safe='')}")


def _root(found: Reading) -> RemoteRoot:
    written = found.text("rootType")
    kind = _WORDS.get(written.lower(), written)
    return RemoteRoot(found.optional("rootCertificateId"), kind, found.octets("caCertificate"))


def _chain(found: Reading) -> tuple[bytes, ...]:
    above = [found.optional_octets(name) for name in ("subCa2Certificate", "subCa1Certificate")]
    return (found.octets("certificate"), *(one for one in above if one is not None))


def _chain_value(chain: Sequence[bytes]) -> dict[str, Json]:
    found: dict[str, Json] = {"certificate": b64(chain[0]), "subCa1Certificate": b64(chain[-1])}
    if len(chain) > 2:
        found["subCa2Certificate"] = b64(chain[1])
    return found


def _contract(found: Reading) -> RemoteContract:
    return RemoteContract(
        found.text("emaid"),
        found.text("pcid"),
        found.optional("xsdMsgDefNamespace"),
        found.flag("defaultContract"),
        found.optional_octets("contractCertificate"),
    )
