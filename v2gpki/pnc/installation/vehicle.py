"""The vehicle's side: an answer is read, verified, and only then opened.

`open_response` is the only way to the private key: it verifies first, always, and unwraps what the signature covers,
never what merely stands in the message. Whom to trust is the caller's: `trust` judges the CPS chain (role `cps`,
DC=CPS) in the order in which it came, raises, and returns the path that it trusts, which must begin with the
certificate whose key signed. Clauses: ISO 15118-2 8.4.3.10, 7.9.2.4, [V2G2-818], [V2G2-823]; ISO 15118-20 8.3.4.3,
7.9.2.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement
from v2gpki.messages import iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.pnc import envelope
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.envelope.opening import unseal
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.codes import delivers
from v2gpki.pnc.installation.contract import SignedContract, sealed_20
from v2gpki.pnc.installation.model import Action, ContractData, OpenedContract, VerifiedResponse
from v2gpki.pnc.installation.requests import chain_of, check_action, decoded, opened, wrong_action, wrong_message
from v2gpki.pnc.installation.signing import Elements2
from v2gpki.pnc.signature import SignatureCheck, signature_of, verify

#: Judges the CPS chain (as it came: leaf first, without root); raises when it is not good, returns the path that it
#: trusts: `services.trust.judge(.., ordered=True)` does. Its first certificate must be that of the chain.
Trust: TypeAlias = Callable[[tuple[bytes, ...]], object]


@dataclass(frozen=True, slots=True)
class Response:
    """What an answer says, read and not yet judged. `octets` are those that came."""

    edition: Edition
    action: Action
    code: str
    session_id: bytes
    cps_chain: tuple[bytes, ...]
    remaining: int
    retry_counter: int | None
    processing: str
    message: Message
    octets: bytes

    @property
    def delivers(self) -> bool:
        """Whether it says that it brings a contract: a positive code, and not `Ongoing`."""
        return delivers(self.code) and self.processing == "Finished"

    @property
    def data(self) -> ContractData:
        """The contract in it, as it stands there, unverified. Raises `envelope.wrong_size`, `chain.malformed` and
        `identifier.invalid` for what is none (the empty fields of a refusal)."""
        return _data_of(self.edition, _elements_of(self.message))


def read_response(
    octets: bytes | bytearray | memoryview, *, action: Action | None = None, schema: str = ""
) -> Response:
    """An answer as it came, decoded and looked at; nothing is judged, and a refusal raises nothing.

    Raises `installation.wrong_schema`, `installation.wrong_message`, `installation.wrong_action`, `exi.*`.
    """
    check_action(action)
    octets = bytes(octets)
    edition, message = decoded(octets, schema)
    body, session_id = opened(message)
    if isinstance(body, iso20_common.CertificateInstallationRes):
        return Response(
            edition,
            "install",
            body.ResponseCode,
            session_id,
            chain_of(body.CPSCertificateChain),
            body.RemainingContractCertificateChains,
            None,
            body.EVSEProcessing,
            body,
            octets,
        )
    if not isinstance(body, iso2.CertificateInstallationRes | iso2.CertificateUpdateRes) or not isinstance(
        message, Message
    ):
        raise wrong_message(message, "a CertificateInstallationRes or CertificateUpdateRes")
    update = isinstance(body, iso2.CertificateUpdateRes)
    found: Action = "update" if update else "install"
    if action is not None and action != found:
        raise wrong_action(found, action, session_id)
    return Response(
        edition,
        found,
        body.ResponseCode,
        session_id,
        chain_of(body.SAProvisioningCertificateChain),
        0,
        body.RetryCounter if isinstance(body, iso2.CertificateUpdateRes) else None,
        "Finished",
        message,
        octets,
    )


def verify_response(response: Response, *, trust: Trust, emaid: str = "") -> VerifiedResponse:
    """Everything that a vehicle must check before it opens an answer.

    In order: the ResponseCode, sizes, the signature by the CPS leaf over every element that must be signed, the CPS
    chain link by link (a leaf that is no CA, each certificate signed by the next), the same chain by `trust`, the
    contract's chain link by link, its EMAID against its certificate and, if given, against `emaid`.

    `trust` gets the chain as it came and returns the path that it trusts (`TrustedChain`, `ValidPath`, or a tuple of
    DER): one that does not begin with the certificate whose key signed is refused. If it returns anything else, say
    None, then it must itself judge the chain's first certificate; links have been verified before. Raises
    `installation.refused` (facts: `response_code`), `installation.*`, `path.bad_signature`, `signature.*`,
    `envelope.*`, and what `trust` raises.
    """
    if not response.delivers:
        raise _refused(response)
    chains.check_sizes(response.edition, response.cps_chain, "CPS")
    check = verify(response.message, chains.key_of(response.cps_chain[0]), edition=response.edition)
    data = _data_of(response.edition, _signed_elements(check))
    chains.check_order(response.cps_chain, "CPS")
    trusted = trust(response.cps_chain)
    chains.check_judged(trusted, response.cps_chain[0], "CPS")
    chains.check_sizes(response.edition, data.chain, "contract")
    chains.check_order(data.chain, "contract")
    chains.check_emaid(data.emaid, data.chain[0], "the answer's eMAID")
    if emaid:
        chains.check_emaid(emaid, data.chain[0], "the EMAID that was asked for")
    return VerifiedResponse(
        response.edition, response.action, response.code, data, response.cps_chain, check, trusted
    )


def open_response(
    response: Response,
    receiver: KeyAgreement,
    *,
    trust: Trust,
    pcid: str = "",
    aad: str = envelope.DEFAULT_AAD,
    emaid: str = "",
    lab_ed448: bool = False,
) -> OpenedContract:
    """Verify an answer and unwrap its contract key with the vehicle's.

    `receiver` is the key of the OEM provisioning certificate, in an update that of the current contract; `pcid` and
    `aad` are what -20 binds the envelope to. Raises what `verify_response` raises, then `envelope.*`.
    """
    verified = verify_response(response, trust=trust, emaid=emaid)
    data = verified.data
    bound = b"" if data.edition == "iso15118-2" else envelope.aad(aad, pcid=pcid, contract=data.chain[0])
    key = unseal(data.sealed, receiver, contract=data.chain[0], aad=bound, lab_ed448=lab_ed448)
    return OpenedContract(data.chain, key, data.emaid, verified.check)


def signed_contract(octets: bytes) -> SignedContract:
    """The signed contract data in an answer that delivers a contract, such as `kept` gave; nothing is verified. Raises
    `exi.*`, `installation.wrong_message`, `installation.refused`, `envelope.wrong_size`."""
    response = read_response(octets)
    if not response.delivers:
        raise _refused(response)
    signature = signature_of(response.message)
    if signature is None:
        raise wrong_message(response.message, "a signed answer")
    elements = _elements_of(response.message)
    data = _data_of(response.edition, elements)
    return SignedContract(response.edition, data, response.cps_chain, signature, elements)


def _elements_of(message: Message) -> Elements2 | iso20_common.SignedInstallationData:
    """The elements of an answer that are to be signed, by their place in the message."""
    body, _ = opened(message)
    if isinstance(body, iso20_common.CertificateInstallationRes):
        return body.SignedInstallationData
    assert isinstance(body, iso2.CertificateInstallationRes | iso2.CertificateUpdateRes)
    return (
        body.ContractSignatureCertChain,
        body.ContractSignatureEncryptedPrivateKey,
        body.DHpublickey,
        body.eMAID,
    )


def _signed_elements(check: SignatureCheck) -> Elements2 | iso20_common.SignedInstallationData:
    """The elements that a signature was found to hold over."""
    found = {element.name.name: element.value for element in check.elements}
    whole = found.get("SignedInstallationData")
    if isinstance(whole, iso20_common.SignedInstallationData):
        return whole
    chain, key = found.get("ContractSignatureCertChain"), found.get("ContractSignatureEncryptedPrivateKey")
    point, emaid = found.get("DHpublickey"), found.get("eMAID")
    if (
        isinstance(chain, iso2.CertificateChainType)
        and isinstance(key, iso2.ContractSignatureEncryptedPrivateKeyType)
        and isinstance(point, iso2.DiffieHellmanPublickeyType)
        and isinstance(emaid, iso2.EMAIDType)
    ):
        return chain, key, point, emaid
    raise RuntimeError("a signature over an answer was accepted without all of its elements")


def _data_of(edition: Edition, elements: Elements2 | iso20_common.SignedInstallationData) -> ContractData:
    if isinstance(elements, tuple):
        chain, key, point, emaid = elements
        sealed = Sealed("P256", point.value, key.value)
        return ContractData(edition, chain_of(chain), sealed, chains.normal_or_same(emaid.value))
    certificates = chain_of(elements.ContractCertificateChain)
    return ContractData(edition, certificates, sealed_20(elements), chains.emaid_of(certificates[0]))


def _refused(response: Response) -> V2GPKIError:
    waiting = delivers(response.code)
    return V2GPKIError(
        "installation.refused",
        "the answer is not ready yet" if waiting else f"the answer is a refusal: {response.code}",
        hint="ask again" if waiting else "the ResponseCode says why; its other fields mean nothing",
        clause="[V2G2-736]" if response.edition == "iso15118-2" else "ISO 15118-20 8.3.4.3",
        facts={
            "response_code": response.code,
            "processing": response.processing,
            "retry_counter": response.retry_counter,
        },
    )
