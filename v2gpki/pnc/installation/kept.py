"""The form in which signed contract data are kept: a CertificateInstallationRes with session id 0 (-20: time 0).

One is made for each contract and key, so it is filled in rather than coded: what the answers of one CPS below the same
Sub-CAs have in common is coded once (`holes`). It is sent by putting in the session's id, and the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache

from msgspec import structs

from v2gpki.messages import iso20_common
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.installation.answers import refuse, respond
from v2gpki.pnc.installation.contract import SignedContract
from v2gpki.pnc.installation.holes import Holes
from v2gpki.pnc.installation.model import ContractData
from v2gpki.pnc.installation.signing import Elements2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SESSION = 8
#: In the place of what an answer is not made of.
_NO_DATA = ContractData("iso15118-2", (), Sealed("P256", bytes(65), bytes(48)), "")


def kept(signed: SignedContract) -> bytes:
    """The EXI in which these elements are kept; `signed_contract` reads it."""
    values = _values_of(signed)
    if values is None:
        return _coded(signed)
    shape = _filled(replace(signed, data=_NO_DATA), [b""] * len(values))
    return _holes(shape, tuple(map(len, values))).fill(*values)


@lru_cache(maxsize=64)
def _holes(shape: SignedContract, sizes: tuple[int, ...]) -> Holes:
    """What kept answers have in common that differ in values of these sizes alone; `shape` has none."""
    return Holes(sizes, lambda values: _coded(_filled(shape, values)))


def _coded(signed: SignedContract) -> bytes:
    return respond(signed, session_id=bytes(_SESSION), timestamp=_EPOCH)


def _values_of(signed: SignedContract) -> list[bytes] | None:
    """What differs from contract to contract; None where that is more than `_filled` puts in."""
    signature, elements = signed.signature, signed.elements
    values = [reference.DigestValue for reference in signature.SignedInfo.Reference]
    values.append(signature.SignatureValue.value)
    if isinstance(elements, tuple):
        chain, key, point, emaid = elements
        if not emaid.value.isascii():
            return None
        return [*values, chain.Certificate, key.value, point.value, emaid.value.encode("ascii")]
    sealed = elements.SECP521_EncryptedPrivateKey
    if sealed is None:
        return None
    return [*values, elements.ContractCertificateChain.Certificate, sealed, elements.DHPublicKey]


def _filled(shape: SignedContract, values: Sequence[bytes]) -> SignedContract:
    """The contract with these values, in the order of `_values_of`."""
    digests = len(shape.signature.SignedInfo.Reference)
    of_elements = values[digests + 1 :]
    elements = (
        _filled_2(shape.elements, of_elements)
        if isinstance(shape.elements, tuple)
        else _filled_20(shape.elements, of_elements)
    )
    return replace(shape, signature=_signature(shape.signature, values[:digests], values[digests]), elements=elements)


def _filled_2(shape: Elements2, values: Sequence[bytes]) -> Elements2:
    chain, key, point, emaid = shape
    return (
        structs.replace(chain, Certificate=values[0]),
        structs.replace(key, value=values[1]),
        structs.replace(point, value=values[2]),
        structs.replace(emaid, value=values[3].decode("ascii")),
    )


def _filled_20(
    shape: iso20_common.SignedInstallationData, values: Sequence[bytes]
) -> iso20_common.SignedInstallationData:
    return structs.replace(
        shape,
        ContractCertificateChain=structs.replace(shape.ContractCertificateChain, Certificate=values[0]),
        SECP521_EncryptedPrivateKey=values[1],
        DHPublicKey=values[2],
    )


def _signature(shape: Signature, digests: Sequence[bytes], value: bytes) -> Signature:
    info = shape.SignedInfo
    references = tuple(
        structs.replace(reference, DigestValue=digest)
        for reference, digest in zip(info.Reference, digests, strict=True)
    )
    return structs.replace(
        shape,
        SignedInfo=structs.replace(info, Reference=references),
        SignatureValue=structs.replace(shape.SignatureValue, value=value),
    )


def readdressed(answer: bytes, session_id: bytes, timestamp: datetime | None = None) -> bytes | None:
    """A kept CertificateInstallationRes (`kept`) for a session, nothing else changed: of ISO 15118-2, or with the time
    of its header of ISO 15118-20.

    Both stand at the beginning, at the same bits in every message: they are put in without decoding or coding
    anything. None for what is no such message with session id 0 and time 0: use `respond`.
    """
    place = _place_of_session("iso15118-2") if timestamp is None else _place_20()
    size, behind, begin = place.size, place.behind, place.begin
    head = int.from_bytes(answer[:size], "big")
    if len(session_id) != _SESSION or len(answer) <= size or head >> behind != begin:
        return None
    head |= int.from_bytes(session_id, "big") << place.session
    if timestamp is None:
        return head.to_bytes(size, "big") + answer[size:]
    # A time takes an octet for seven bits, where 0 takes one: what follows moves by whole octets.
    groups = _unsigned(int(timestamp.timestamp()))
    front = (head >> behind + 8) << 8 * len(groups) | int.from_bytes(groups, "big")
    octets = front << behind | head & (1 << behind) - 1
    return octets.to_bytes(size + len(groups) - 1, "big") + answer[size:]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a message with zeros something is put in: in its first `size` octets, `session` bits before their end;
    `begin` is what stands there but for the last `behind` bits."""

    size: int
    session: int
    behind: int
    begin: int


@cache
def _place_of_session(edition: Edition) -> _Place:
    """The session id, of which nothing may be in the way."""
    zeros, ones = (
        refuse(edition=edition, session_id=octet * _SESSION, response_code="FAILED", timestamp=_EPOCH)
        for octet in (b"\x00", b"\xff")
    )
    different = int.from_bytes(zeros, "big") ^ int.from_bytes(ones, "big")
    first = len(zeros) * 8 - different.bit_length()
    if different >> (len(zeros) * 8 - first - _SESSION * 8) != (1 << _SESSION * 8) - 1:
        raise RuntimeError("the session id does not stand in one piece")
    size = (first + _SESSION * 8 + 7) // 8
    behind = size * 8 - first - _SESSION * 8
    return _Place(size, behind, behind, int.from_bytes(zeros[:size], "big") >> behind)


@cache
def _place_20() -> _Place:
    """The session id and, further on, the octet of a time that is 0, where a longer time begins."""
    zeros, ones = (
        refuse(edition="iso15118-20", session_id=bytes(_SESSION), response_code="FAILED", timestamp=_EPOCH + after)
        for after in (timedelta(), timedelta(seconds=0x7F))
    )
    whole = len(zeros) * 8
    different = int.from_bytes(zeros, "big") ^ int.from_bytes(ones, "big")
    last = (different & -different).bit_length() - 1
    if different >> last != 0x7F:
        raise RuntimeError("a short time does not stand in one octet")
    size = (whole - last + 7) // 8
    behind = size * 8 - (whole - last)
    place = _place_of_session("iso15118-20")
    session = place.session + (size - place.size) * 8
    return _Place(size, session, behind, int.from_bytes(zeros[:size], "big") >> behind)


def _unsigned(number: int) -> bytes:
    """An unsigned integer of EXI (7.1.6): seven bits an octet, the lowest first; the high bit says more follows."""
    groups = bytearray()
    while number > 0x7F:
        groups.append(0x80 | number & 0x7F)
        number >>= 7
    groups.append(number)
    return bytes(groups)
