"""A provider's pools over OPCP 1.0: roots, vehicles, CPS, contracts, webhooks. Source: OPCP 1.0."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from urllib.parse import quote

from v2gpki.certs.trust_list import SignedTrustList, read, require_current
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
from v2gpki.services.trust_lists import require_signer

NAMESPACES: dict[Edition, str] = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20": "urn:iso:15118:20:2022:MsgDef",
}
_RCP, _PCP, _CPS, _CCP = "/v1/root/rootCerts", "/v1/oem/provCerts", "/v1/cps", "/v1/ccp"
_DATA, _HOOKS = _CCP + "/signedContractData", "/v1/webhook/endpoints"
_ROOT = "cpsV2GRootCertificateFingerprint"


class OpcpClient(PoolClient):
    """See `PoolProvider` for what the methods do."""

    def roots(self, kind: RootKind | None = None) -> list[RemoteRoot]:
        """The trusted roots."""
        params = {"rootType": kind.lower()} if kind else None
        found = self._call("GET", _RCP, params=params).object("RootCertificateCollection")
        return [_root(one) for one in found.list("rootCertificates")]

    def root(self, root_id: str) -> RemoteRoot:
        """One root."""
        return _root(self._call("GET", f"{_RCP}/{quote(root_id, safe='')}").object("RootResponse"))

    def add_root(self, certificate: bytes, kind: RootKind) -> None:
        """Trust a root."""
        self._call("PUT", _RCP, {"caCertificate": b64(certificate), "rootType": kind})

    def delete_root(self, root_id: str) -> None:
        """Trust a root no more."""
        self._call("DELETE", f"{_RCP}/{quote(root_id, safe='')}")

    def trust_list(
        self, *, at: datetime, fingerprint: str = "", signers: Collection[bytes] = ()
    ) -> SignedTrustList:
        """The signed certificate trust list (CTL) of the provider, if it holds at ``at`` and whom you named signed it.

        ``fingerprint`` is the SHA-256 of the signer's certificate (hex, colons allowed), ``signers`` are certificates
        (DER) of which one must be it: without either nothing is believed. Whether it follows an earlier list is told by
        ``certs.trust_list.require_newer``. Only OPCP has one. Raises ``client.*``, ``cms.*``, ``trust_list.*``.
        """
        listed = read(self._octets("/v1/root/ctl"))
        require_signer(listed, at=at, fingerprint=fingerprint, certificates=signers)
        require_current(listed.content, at)
        return listed

    def publish_vehicle(
        self, chain: Sequence[bytes], *, edition: Edition, v2g_roots: Sequence[bytes] = (), previous_pcid: str = ""
    ) -> None:
        """Register a provisioning certificate."""
        body: dict[str, Json] = {
            "vehicleCertificate": b64(chain[0]),
            "subCA1Certificate": b64(chain[-1]),
            "xsdMsgDefNamespace": NAMESPACES[edition],
        }
        if len(chain) > 2:
            body["subCA2Certificate"] = b64(chain[1])
        if v2g_roots:
            body["v2gRootAuthorityKeyIdentifiers"] = [one.hex(":") for one in v2g_roots]
        if previous_pcid:
            body["previousPcid"] = previous_pcid
        self._call("PUT", _PCP, body)

    def vehicle(self, pcid: str) -> RemoteVehicle:
        """A vehicle's provisioning certificate."""
        found = self._call("GET", f"{_PCP}/{quote(pcid, safe='')}").object("OEMMessage")
        second = found.optional_octets("subCA2Certificate")
        above = (found.octets("subCA1Certificate"),) if second is None else (second, found.octets("subCA1Certificate"))
        return RemoteVehicle((found.octets("vehicleCertificate"), *above), found.optional("xsdMsgDefNamespace"))

    def knows_vehicle(self, pcid: str) -> bool:
        """Whether there is one."""
        return self._call("GET", f"{_PCP}/lookupVehicle/{quote(pcid, safe='')}", accept=(404,)).status != 404

    def delete_vehicle(self, pcid: str) -> None:
        """Take a vehicle out of the pool."""
        self._call("DELETE", f"{_PCP}/{quote(pcid, safe='')}")

    def answer(self, request: bytes, *, edition: Edition, always_exi: bool = True) -> RemoteAnswer:
        """The answer to a CertificateInstallationReq."""
        body: dict[str, Json] = {"certificateInstallationReq": b64(request), "xsdMsgDefNamespace": NAMESPACES[edition]}
        headers = {"alwaysReturnEXI": "true" if always_exi else "false"}
        answered = self._call("POST", _DATA, body, headers=headers, accept=(400, 404))
        found: list[RemoteDelivery] = []
        whole = answered.object()
        if whole.has("CCPResponse"):
            for content in whole.inner("CCPResponse").list("emaidContent"):
                message = content.inner("messageDef")
                if message.optional("certificateInstallationRes"):
                    exi = message.octets("certificateInstallationRes")
                    found.append(RemoteDelivery(exi, message.optional("emaid")))
        if answered.status < 400:
            return RemoteAnswer(tuple(found))
        return RemoteAnswer((), answered.said, found[0].exi if found else b"")

    def store(self, signed: bytes, *, emaid: str, pcid: str, edition: Edition) -> None:
        """Store signed contract data: XML."""
        body: dict[str, Json] = {
            "emaid": emaid,
            "pcid": pcid,
            "signedContractDataXML": b64(signed),
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
        path = f"{_CCP}/provideSignedContractData/{quote(emaid, safe='')}/{quote(pcid, safe='')}"
        found = self._call("GET", path, params=params).object()
        return RemoteDelivery(found.octets("certificateInstallationRes"), emaid)

    def contract(self, emaid: str, *, edition: Edition = "iso15118-2") -> RemoteContract | None:
        """The contract of an EMAID."""
        path = f"{_CCP}/lookupContract/{quote(emaid, safe='')}"
        answered = self._call("GET", path, params={"xsdMsgDefNamespace": NAMESPACES[edition]}, accept=(404,))
        found = [] if answered.status == 404 else answered.object().list("XMLContracts")
        return _contract(found[0]) if found else None

    def contracts(self, pcid: str, *, edition: Edition = "iso15118-2") -> list[RemoteContract]:
        """The contracts of a vehicle."""
        params = {"xsdMsgDefNamespace": NAMESPACES[edition]}
        answered = self._call("GET", f"{_DATA}/{quote(pcid, safe='')}", params=params)
        return [_contract(one) for one in answered.object().list("XMLContracts")]

    def set_default(self, emaid: str, pcid: str) -> None:
        """Make a contract the vehicle's default."""
        self._call("POST", f"{_DATA}/{quote(pcid, safe='')}/{quote(emaid, safe='')}/default")

    def sign(self, offer: ContractOffer, *, edition: Edition, pcid: str = "", root: str = "") -> RemoteSigned:
        """Have contract data signed."""
        leaf, *above = offer.chain
        data: dict[str, Json] = {
            "contractCertificate": b64(leaf),
            "contractSubCa1Certificate": b64(above[-1]),
            "contractSignatureEncryptedPrivateKey": b64(offer.encrypted_key),
            "dHpublickey": b64(offer.dh_public_key),
        }
        if len(above) > 1:
            data["contractSubCa2Certificate"] = b64(above[0])
        body: dict[str, Json] = {"contractData": data, "xsdMsgDefNamespace": NAMESPACES[edition]}
        if pcid:
            body["pcid"] = pcid
        if root:
            body[_ROOT] = root
        found = self._call("PUT", _CPS + "/contractData/signed", body).object()
        return RemoteSigned(found.octets("signedData"), found.text("emaid"), found.optional("pcid"))

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
        self._call("PUT", _CPS + "/generate/signedContractData", body)

    def signers(self) -> list[RemoteSigner]:
        """The CPS certificates of the provider."""
        found = []
        for one in self._call("GET", "/cps/signer").object().list("cpsCertificates"):
            second = one.optional_octets("cpsSubCa2Certificate")
            first = one.octets("cpsSubCa1Certificate")
            above = (first,) if second is None else (second, first)
            chain = (one.octets("cpsCertificate"), *above)
            found.append(RemoteSigner(chain, one.text(_ROOT), one.text("xsdMsgDefNamespace")))
        return found

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
    return RemoteRoot(found.optional("rootCertificateId"), found.text("rootType"), found.octets("caCertificate"))


def _contract(found: Reading) -> RemoteContract:
    return RemoteContract(
        found.text("emaid"),
        found.text("pcid"),
        found.optional("xsdMsgDefNamespace"),
        found.flag("defaultContract"),
        found.optional_octets("contractCertificate"),
    )
