"""What an installation message carries, taken out of it without judging anything: for explanations of broken ones.

Requests and responses of CertificateInstallation (-2 and -20) and CertificateUpdate (-2) become one shape. A message
that breaks a rule of its schema is read tolerantly, and what it breaks comes along as findings. Refuses octets that are
no such message (`installation.wrong_message`) or that nobody can read (`exi.*`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from v2gpki.errors import Finding, V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import Message

Kind = Literal["request", "response"]
#: The schemas that have these messages.
SCHEMAS = ("iso15118-2", "iso15118-20-common")
_MESSAGES = ("CertificateInstallationReq", "CertificateInstallationRes", "CertificateUpdateReq", "CertificateUpdateRes")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of wrapped contract data: its path in the message, its name, its octets."""

    path: str
    name: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What one message carries.

    `message` is the whole, `body` the element that signatures speak of. `chain` belongs to the key that signs: CPS for
    a response, OEM provisioning or contract for a request; `contract` is the contract's chain in a response. Chains are
    as sent, leaf first. `encrypted` and `point` are the wrapped key and the sender's ephemeral key, `curve` what -20
    calls the curve. Fields that a message does not have are empty; `findings` are breaches of the schema.
    """

    kind: Kind
    name: str
    edition: Literal["iso15118-2", "iso15118-20"]
    action: Literal["install", "update"]
    octets: bytes
    message: Message
    body: Message
    session_id: bytes
    chain: tuple[bytes, ...]
    chain_path: str
    timestamp: int | None = None
    response_code: str = ""
    processing: str = ""
    contract: tuple[bytes, ...] = ()
    contract_path: str = ""
    curve: str = ""
    point: Field | None = None
    encrypted: Field | None = None
    emaid: str = ""
    roots: tuple[tuple[str, int], ...] = ()
    maximum_contracts: int | None = None
    prioritised_emaids: tuple[str, ...] = ()
    remaining: int | None = None
    retry_counter: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def leaf(self) -> bytes:
        """The certificate whose key signs."""
        return self.chain[0]


def read(octets: bytes, schema: str = "") -> Contents:
    """What the octets of a message carry; `schema` "" tries both.

    Raises `installation.wrong_message`, and `exi.*` of the schema that reads furthest.
    """
    names = (schema,) if schema else SCHEMAS
    wrong = ""
    for name in names:
        try:
            message = codec.decode(octets, name)
        except V2GPKIError:
            continue
        found = _contents(octets, message, ())
        if found is not None:
            return found
        wrong = wrong or type(message).__name__
    for name in names:
        try:
            reading = codec.read(octets, name)
        except V2GPKIError:
            continue
        missing = [finding for finding in reading.findings if finding.code == "exi.missing"]
        if missing:  # a message without a mandatory part has nothing to stand in for it
            continue
        found = _contents(octets, reading.value, reading.findings)
        if found is not None:
            return found
    if wrong:
        raise _wrong_message(wrong)
    raise _unreadable(octets, names)


def _unreadable(octets: bytes, names: Sequence[str]) -> V2GPKIError:
    """The error of the schema that comes furthest."""
    runs = [codec.trace(octets, name) for name in names]
    errors = [run.error for run in runs if run.error is not None]
    if not errors:
        lacking = [finding for run in runs if run.reading for finding in run.reading.findings]
        found = next((finding for finding in lacking if finding.code == "exi.missing"), None)
        if found is None:
            return _wrong_message("another message")
        return V2GPKIError(found.code, found.message, clause=found.clause, facts=found.facts, findings=lacking)

    def reached(error: V2GPKIError) -> int:
        bit = error.facts.get("bit")
        return bit if isinstance(bit, int) else 0

    return max(errors, key=reached)


def _wrong_message(found: str) -> V2GPKIError:
    return V2GPKIError(
        "installation.wrong_message",
        f"this is {found}, no message that installs or updates a contract",
        hint="explained are " + ", ".join(_MESSAGES) + "; v2gpki exi decode shows any message",
        facts={"message": found},
    )


def _contents(octets: bytes, message: object, findings: tuple[Finding, ...]) -> Contents | None:
    if isinstance(message, iso2.V2G_Message):
        return _of_iso2(octets, message, findings)
    if isinstance(message, iso20_common.CertificateInstallationReq):
        return _request_20(octets, message, findings)
    if isinstance(message, iso20_common.CertificateInstallationRes):
        return _response_20(octets, message, findings)
    return None


# --- ISO 15118-2 ----------------------------------------------------------------------------------------------------


def _of_iso2(octets: bytes, message: iso2.V2G_Message, findings: tuple[Finding, ...]) -> Contents | None:
    body = message.Body.BodyElement
    session_id = message.Header.SessionID
    if isinstance(body, iso2.CertificateInstallationReq):
        return Contents(
            "request",
            "CertificateInstallationReq",
            "iso15118-2",
            "install",
            octets,
            message,
            body,
            session_id,
            (body.OEMProvisioningCert,),
            "CertificateInstallationReq/OEMProvisioningCert",
            roots=_roots(body.ListOfRootCertificateIDs),
            findings=findings,
        )
    if isinstance(body, iso2.CertificateUpdateReq):
        return Contents(
            "request",
            "CertificateUpdateReq",
            "iso15118-2",
            "update",
            octets,
            message,
            body,
            session_id,
            _chain(body.ContractSignatureCertChain),
            "CertificateUpdateReq/ContractSignatureCertChain",
            emaid=body.eMAID,
            roots=_roots(body.ListOfRootCertificateIDs),
            findings=findings,
        )
    if isinstance(body, iso2.CertificateInstallationRes | iso2.CertificateUpdateRes):
        return _response_2(octets, message, body, findings)
    return None


def _response_2(
    octets: bytes,
    message: iso2.V2G_Message,
    body: iso2.CertificateInstallationRes | iso2.CertificateUpdateRes,
    findings: tuple[Finding, ...],
) -> Contents:
    name = type(body).__name__
    wrapped = body.ContractSignatureEncryptedPrivateKey.value
    return Contents(
        "response",
        name,
        "iso15118-2",
        "update" if isinstance(body, iso2.CertificateUpdateRes) else "install",
        octets,
        message,
        body,
        message.Header.SessionID,
        _chain(body.SAProvisioningCertificateChain),
        f"{name}/SAProvisioningCertificateChain",
        response_code=body.ResponseCode,
        contract=_chain(body.ContractSignatureCertChain),
        contract_path=f"{name}/ContractSignatureCertChain",
        curve="P256",
        point=Field(f"{name}/DHpublickey", "DHpublickey", body.DHpublickey.value),
        encrypted=Field(
            f"{name}/ContractSignatureEncryptedPrivateKey", "ContractSignatureEncryptedPrivateKey", wrapped
        ),
        emaid=body.eMAID.value,
        retry_counter=body.RetryCounter if isinstance(body, iso2.CertificateUpdateRes) else None,
        findings=findings,
    )


# --- ISO 15118-20 ---------------------------------------------------------------------------------------------------


def _request_20(
    octets: bytes, message: iso20_common.CertificateInstallationReq, findings: tuple[Finding, ...]
) -> Contents:
    wanted = message.PrioritizedEMAIDs
    return Contents(
        "request",
        "CertificateInstallationReq",
        "iso15118-20",
        "install",
        octets,
        message,
        message,
        message.Header.SessionID,
        _chain(message.OEMProvisioningCertificateChain),
        "CertificateInstallationReq/OEMProvisioningCertificateChain",
        timestamp=message.Header.TimeStamp,
        roots=_roots(message.ListOfRootCertificateIDs),
        maximum_contracts=message.MaximumContractCertificateChains,
        prioritised_emaids=() if wanted is None else tuple(wanted.EMAID),
        findings=findings,
    )


def _response_20(
    octets: bytes, message: iso20_common.CertificateInstallationRes, findings: tuple[Finding, ...]
) -> Contents:
    name = "CertificateInstallationRes"
    data = message.SignedInstallationData
    path = f"{name}/SignedInstallationData"
    encrypted = None
    for field in ("SECP521_EncryptedPrivateKey", "X448_EncryptedPrivateKey", "TPM_EncryptedPrivateKey"):
        value = getattr(data, field)
        if value is not None:
            encrypted = Field(f"{path}/{field}", field, value)
    return Contents(
        "response",
        name,
        "iso15118-20",
        "install",
        octets,
        message,
        message,
        message.Header.SessionID,
        _chain(message.CPSCertificateChain),
        f"{name}/CPSCertificateChain",
        timestamp=message.Header.TimeStamp,
        response_code=message.ResponseCode,
        processing=message.EVSEProcessing,
        contract=_chain(data.ContractCertificateChain),
        contract_path=f"{path}/ContractCertificateChain",
        curve=data.ECDHCurve,
        point=Field(f"{path}/DHPublicKey", "DHPublicKey", data.DHPublicKey),
        encrypted=encrypted,
        remaining=message.RemainingContractCertificateChains,
        findings=findings,
    )


def _chain(
    chain: iso2.CertificateChainType
    | iso20_common.CertificateChainType
    | iso20_common.SignedCertificateChainType
    | iso20_common.ContractCertificateChainType,
) -> tuple[bytes, ...]:
    above = chain.SubCertificates
    return (chain.Certificate, *(() if above is None else above.Certificate))


def _roots(
    listed: iso2.ListOfRootCertificateIDsType | iso20_common.ListOfRootCertificateIDsType,
) -> tuple[tuple[str, int], ...]:
    return tuple((one.X509IssuerName, one.X509SerialNumber) for one in listed.RootCertificateID)
