"""CertificateInstallationRes and CertificateUpdateRes: with a contract, without one, and not yet.

An answer without a contract is schema-valid all the same: its mandatory fields hold values that mean nothing
([V2G2-736]). Refuses to send a contract under a negative ResponseCode, and nothing under a positive one.
Clauses: ISO 15118-2 8.4.3.10.2, 8.4.3.11.2, [V2G2-696], [V2G2-928]; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.iso2.types import responseCodeType as Code2
from v2gpki.messages.iso20_types import responseCodeType as Code20
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.codes import delivers
from v2gpki.pnc.installation.contract import SignedContract
from v2gpki.pnc.installation.model import ACTIONS, Action
from v2gpki.pnc.installation.requests import header_20
from v2gpki.pnc.installation.signing import IDS, Elements2

Processing: TypeAlias = Literal["Finished", "Ongoing", "Ongoing_WaitingForCustomerInteraction"]

_CODES_2: dict[str, Code2] = {code: code for code in get_args(Code2)}
_CODES_20: dict[str, Code20] = {code: code for code in get_args(Code20)}
#: ResponseCodes that each edition's schema knows.
KNOWN_CODES: dict[Edition, frozenset[str]] = {
    "iso15118-2": frozenset(_CODES_2),
    "iso15118-20": frozenset(_CODES_20),
    "lab-ecog-20": frozenset(_CODES_20),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = b"\x00"
#: Octets of a session id.
_SESSION = 8
#: ZZ is nobody's country (ISO 3166: left to users); the check digit is right.
_NOBODY = "ZZV2G000000000Q"
_NO_ELEMENTS_2: Elements2 = (
    iso2.CertificateChainType(Id=IDS[0], Certificate=_NOTHING),
    iso2.ContractSignatureEncryptedPrivateKeyType(Id=IDS[1], value=_NOTHING),
    iso2.DiffieHellmanPublickeyType(Id=IDS[2], value=_NOTHING),
    iso2.EMAIDType(Id=IDS[3], value=_NOBODY),
)
_NO_CHAIN_2 = iso2.CertificateChainType(Certificate=_NOTHING)
_NO_CHAIN_20 = iso20_common.CertificateChainType(Certificate=_NOTHING)
_NO_ELEMENT_20 = iso20_common.SignedInstallationData(
    Id="id1",
    ContractCertificateChain=iso20_common.ContractCertificateChainType(
        Certificate=_NOTHING, SubCertificates=iso20_common.SubCertificatesType(Certificate=(_NOTHING,))
    ),
    ECDHCurve="SECP521",
    DHPublicKey=bytes(133),
    SECP521_EncryptedPrivateKey=bytes(94),
)


def respond(
    signed: SignedContract,
    *,
    action: Action = "install",
    session_id: bytes,
    timestamp: datetime | None = None,
    response_code: str = "OK",
    remaining: int = 0,
    retry_counter: int | None = None,
    processing: Processing = "Finished",
) -> bytes:
    """The EXI of an answer that delivers a contract; the signed elements go out unchanged.

    `response_code` is OK or OK_CertificateExpiresSoon; `timestamp` is needed in -20, `remaining` (contracts that are
    left to be fetched) and `processing` mean something there only; `retry_counter` (days) belongs to updates. Raises
    `installation.bad_response_code`, `installation.needs_time`, `exi.*` for a session id that is none.
    """
    _check_code(signed.edition, response_code, wanted=True)
    if isinstance(signed.elements, tuple):
        chain = _chain_2(signed.cps_chain)
        body = _body_2(action, response_code, chain, signed.elements, retry_counter)
        return _message_2(body, session_id, signed.signature)
    message = iso20_common.CertificateInstallationRes(
        Header=_header(session_id, timestamp, signed.signature),
        ResponseCode=_CODES_20[response_code],
        EVSEProcessing=processing,
        CPSCertificateChain=_chain_20(signed.cps_chain),
        SignedInstallationData=signed.elements,
        RemainingContractCertificateChains=remaining,
    )
    return codec.encode(message, "iso15118-20-common")


def refuse(
    *,
    edition: Edition,
    action: Action = "install",
    session_id: bytes,
    response_code: str,
    timestamp: datetime | None = None,
    retry_counter: int | None = None,
) -> bytes:
    """The EXI of an answer that delivers nothing, and says why.

    A refused update says with RetryCounter 0 that the vehicle may try again at the next charging, unless told
    otherwise. Raises `installation.bad_response_code` and `installation.needs_time`.
    """
    _check_code(edition, response_code, wanted=False)
    if edition == "iso15118-2":
        again = 0 if retry_counter is None else retry_counter
        return _message_2(_body_2(action, response_code, _NO_CHAIN_2, _NO_ELEMENTS_2, again), session_id, None)
    return _nothing_20(_header(session_id, timestamp, None), response_code, "Finished")


def wait(*, edition: Edition, session_id: bytes, timestamp: datetime) -> bytes:
    """The EXI of an answer of -20 that says: not ready yet, ask again (EVSEProcessing Ongoing)."""
    if edition == "iso15118-2":
        raise V2GPKIError(
            "installation.wrong_edition",
            "an installation of ISO 15118-2 is answered at once: its messages cannot say Ongoing",
            clause="ISO 15118-2 8.4.3.10.2",
        )
    return _nothing_20(_header(session_id, timestamp, None), "OK", "Ongoing")


def _nothing_20(header: iso20_common.MessageHeaderType, code: str, processing: Processing) -> bytes:
    message = iso20_common.CertificateInstallationRes(
        Header=header,
        ResponseCode=_CODES_20[code],
        EVSEProcessing=processing,
        CPSCertificateChain=_NO_CHAIN_20,
        SignedInstallationData=_NO_ELEMENT_20,
        RemainingContractCertificateChains=0,
    )
    return codec.encode(message, "iso15118-20-common")


def _body_2(
    action: Action,
    code: str,
    cps: iso2.CertificateChainType,
    elements: Elements2,
    retry_counter: int | None,
) -> iso2.CertificateInstallationRes | iso2.CertificateUpdateRes:
    chain, key, point, emaid = elements
    if action == "install":
        return iso2.CertificateInstallationRes(
            ResponseCode=_CODES_2[code],
            SAProvisioningCertificateChain=cps,
            ContractSignatureCertChain=chain,
            ContractSignatureEncryptedPrivateKey=key,
            DHpublickey=point,
            eMAID=emaid,
        )
    if action not in ACTIONS:
        raise V2GPKIError("installation.wrong_action", f"there is no action {action!r}", hint="install or update")
    return iso2.CertificateUpdateRes(
        ResponseCode=_CODES_2[code],
        SAProvisioningCertificateChain=cps,
        ContractSignatureCertChain=chain,
        ContractSignatureEncryptedPrivateKey=key,
        DHpublickey=point,
        eMAID=emaid,
        RetryCounter=retry_counter,
    )


def _message_2(
    body: iso2.CertificateInstallationRes | iso2.CertificateUpdateRes, session_id: bytes, signature: Signature | None
) -> bytes:
    header = iso2.MessageHeaderType(SessionID=session_id, Signature=signature)
    return codec.encode(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body)), "iso15118-2")


def _header(
    session_id: bytes, timestamp: datetime | None, signature: Signature | None
) -> iso20_common.MessageHeaderType:
    bare = header_20(session_id, timestamp)
    return iso20_common.MessageHeaderType(
        SessionID=bare.SessionID, TimeStamp=bare.TimeStamp, Signature=signature
    )


def _chain_2(chain: tuple[bytes, ...]) -> iso2.CertificateChainType:
    above = iso2.SubCertificatesType(Certificate=chain[1:]) if len(chain) > 1 else None
    return iso2.CertificateChainType(Certificate=chain[0], SubCertificates=above)


def _chain_20(chain: tuple[bytes, ...]) -> iso20_common.CertificateChainType:
    above = iso20_common.SubCertificatesType(Certificate=chain[1:]) if len(chain) > 1 else None
    return iso20_common.CertificateChainType(Certificate=chain[0], SubCertificates=above)


def _check_code(edition: Edition, code: str, *, wanted: bool) -> None:
    """Refuse a code that the edition does not know, or that says the opposite of what the answer carries."""
    if code not in KNOWN_CODES[edition]:
        why = f"{edition} has no ResponseCode {code[:60]!r}"
    elif delivers(code) == wanted and (wanted or not code.startswith("OK")):
        return
    else:
        why = f"an answer {'with' if wanted else 'without'} a contract does not say {code}"
    raise V2GPKIError(
        "installation.bad_response_code",
        why,
        hint="OK and OK_CertificateExpiresSoon deliver a contract (respond), the others none (refuse)",
        clause="ISO 15118-2 table 112" if edition == "iso15118-2" else "ISO 15118-20 8.3.4.3",
        facts={"response_code": code[:60], "edition": edition},
    )
