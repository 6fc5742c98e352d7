"""CertificateInstallationRes and CertificateUpdateRes: with a contract, without one, and not yet.

An answer without a contract is schema-valid all the same: its mandatory fields hold values that mean nothing
([V2G2-736]). Refuses to send a contract under a negative ResponseCode, and nothing under a positive one.
Clauses: ISO 15118-2 8.4.3.10.2, 8.4.3.11.2, [V2G2-696], [V2G2-928]; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.iso2.types import responseCodeType as Code2
from v2gpki.messages.iso20_types import responseCodeType as Code20
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.codes import delivers
from v2gpki.pnc.installation.contract import SignedContract
from v2gpki.pnc.installation.holes import Holes
from v2gpki.pnc.installation.model import ACTIONS, Action
from v2gpki.pnc.installation.requests import header_20
from v2gpki.pnc.installation.signing import IDS, Elements2, digests_2, elements_with_ids, signature_2

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
    header = _header(session_id, timestamp, signed.signature)
    message = _message_20(
        header,
        signed.cps_chain,
        signed.elements,
        response_code=response_code,
        processing=processing,
        remaining=remaining,
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


def kept(signed: SignedContract) -> bytes:
    """A CertificateInstallationRes (EXI) with these elements, session id 0 (-20: time 0): the form in which signed
    contract data are kept; `signed_contract` reads it."""
    elements = signed.elements
    filled = _filled_2(signed, elements) if isinstance(elements, tuple) else _filled_20(signed, elements)
    return respond(signed, session_id=bytes(8), timestamp=_EPOCH) if filled is None else filled


def _filled_2(signed: SignedContract, elements: Elements2) -> bytes | None:
    """A kept answer of -2, from holes; None for one that is coded as a whole."""
    digests = digests_2(signed.signature, elements)
    chain, key, point, emaid = elements
    if digests is None or not emaid.value.isascii():
        return None
    above = chain.SubCertificates
    values = (
        *digests,
        signed.signature.SignatureValue.value,
        chain.Certificate,
        key.value,
        point.value,
        emaid.value.encode("ascii"),
    )
    sizes = tuple(map(len, values))
    return _kept_2(signed.cps_chain, () if above is None else above.Certificate, sizes).fill(*values)


def _filled_20(signed: SignedContract, element: iso20_common.SignedInstallationData) -> bytes | None:
    """The same of -20, with an envelope SECP521."""
    signature, chain, key = signed.signature, element.ContractCertificateChain, element.SECP521_EncryptedPrivateKey
    references = signature.SignedInfo.Reference
    if key is None or element.ECDHCurve != "SECP521" or len(references) != 1:
        return None
    values = (
        references[0].DigestValue,
        signature.SignatureValue.value,
        chain.Certificate,
        element.DHPublicKey,
        key,
    )
    shape = _Shape20(signed.cps_chain, _with(signature, b"", b""), element.Id, chain.SubCertificates.Certificate)
    return _kept_20(shape, tuple(map(len, values))).fill(*values)


class _Shape20(NamedTuple):
    """What the kept answers of -20 of one CPS below the same Sub-CAs have in common."""

    cps_chain: tuple[bytes, ...]
    signature: Signature
    id: str
    above: tuple[bytes, ...]


@lru_cache(maxsize=64)
def _kept_20(shape: _Shape20, sizes: tuple[int, ...]) -> Holes:
    def encode(values: Sequence[bytes]) -> bytes:
        digest, value, leaf, point, key = values
        element = iso20_common.SignedInstallationData(
            Id=shape.id,
            ContractCertificateChain=iso20_common.ContractCertificateChainType(
                Certificate=leaf, SubCertificates=iso20_common.SubCertificatesType(Certificate=shape.above)
            ),
            ECDHCurve="SECP521",
            DHPublicKey=point,
            SECP521_EncryptedPrivateKey=key,
        )
        header = _header(bytes(8), _EPOCH, _with(shape.signature, digest, value))
        return codec.encode(_message_20(header, shape.cps_chain, element), "iso15118-20-common")

    return Holes(sizes, encode)


def _with(signature: Signature, digest: bytes, value: bytes) -> Signature:
    """A signature with one reference, with another digest and value."""
    info = signature.SignedInfo
    return replace(
        signature,
        SignedInfo=replace(info, Reference=(replace(info.Reference[0], DigestValue=digest),)),
        SignatureValue=replace(signature.SignatureValue, value=value),
    )


@lru_cache(maxsize=64)
def _kept_2(cps_chain: tuple[bytes, ...], above: tuple[bytes, ...], sizes: tuple[int, ...]) -> Holes:
    """What all kept answers have in common that this house signs with one CPS, below the same Sub-CAs."""

    def encode(values: Sequence[bytes]) -> bytes:
        *digests, value, leaf, key, point, emaid = values
        elements = elements_with_ids((leaf, *above), key, point, emaid.decode("ascii"))
        body = _body_2("install", "OK", _chain_2(cps_chain), elements, None)
        return _message_2(body, bytes(8), signature_2(digests, value))

    return Holes(sizes, encode)


def readdressed(answer: bytes, session_id: bytes) -> bytes | None:
    """A kept CertificateInstallationRes of ISO 15118-2 (`kept`) for a session, nothing else changed.

    The session id stands right behind the beginning of the header, at the same bits in every message: it is put in
    without decoding or coding anything. None for what is no such message with session id 0: use `respond`.
    """
    size, behind, begin = _place_of_session()
    head = int.from_bytes(answer[:size], "big")
    if len(session_id) != _SESSION or len(answer) <= size or head >> behind != begin:
        return None
    return (head | int.from_bytes(session_id, "big") << behind).to_bytes(size, "big") + answer[size:]


@cache
def _place_of_session() -> tuple[int, int, int]:
    """(octets up to the last one that the session id touches, bits behind the id in it, what stands before those bits
    in a message with session id 0)."""
    zeros, ones = (
        _message_2(_body_2("install", "FAILED", _NO_CHAIN_2, _NO_ELEMENTS_2, None), octet * _SESSION, None)
        for octet in (b"\x00", b"\xff")
    )
    different = int.from_bytes(zeros, "big") ^ int.from_bytes(ones, "big")
    first = len(zeros) * 8 - different.bit_length()
    if different >> (len(zeros) * 8 - first - _SESSION * 8) != (1 << _SESSION * 8) - 1:
        raise RuntimeError("the session id does not stand in one piece")
    size = (first + _SESSION * 8 + 7) // 8
    behind = size * 8 - first - _SESSION * 8
    return size, behind, int.from_bytes(zeros[:size], "big") >> behind


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


def _message_20(
    header: iso20_common.MessageHeaderType,
    cps_chain: tuple[bytes, ...],
    element: iso20_common.SignedInstallationData,
    *,
    response_code: str = "OK",
    processing: Processing = "Finished",
    remaining: int = 0,
) -> iso20_common.CertificateInstallationRes:
    return iso20_common.CertificateInstallationRes(
        Header=header,
        ResponseCode=_CODES_20[response_code],
        EVSEProcessing=processing,
        CPSCertificateChain=_chain_20(cps_chain),
        SignedInstallationData=element,
        RemainingContractCertificateChains=remaining,
    )


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
