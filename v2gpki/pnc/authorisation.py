"""Authorisation by contract: the challenge, the contract that is presented, the signed AuthorizationReq.

A vehicle builds and signs (`payment_details`, `build_authorization`, `repeat_authorization`), a station checks: the
challenge first, then the signature by the contract's key (`check_authorization`), then that a repetition repeats
(`check_repetition`). In -2 the chain comes before, in PaymentDetailsReq; in -20 it is part of what is signed. Whether
the chain may be trusted is `services.trust`'s. The signature names no EVSE: whoever relays a challenge relays its
answer too.
Clauses: [V2G2-697], [V2G2-698], [V2G2-825], [V2G2-826], [V2G2-475], [V2G2-684]; [V2G20-697], [V2G20-2565],
[V2G20-461], [V2G20-1582].
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from v2gpki import identifiers
from v2gpki.errors import V2GPKIError
from v2gpki.keys.signer import Signer
from v2gpki.messages import iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.elements import body_of, edition_of
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.requests import header_20, v2g_message
from v2gpki.pnc.signature import SignatureCheck, attach, sign, verify

#: Octets of a challenge; 120 bits of them must be unforeseeable.
CHALLENGE_OCTETS = 16
_ID = "id1"


@dataclass(frozen=True, slots=True)
class Presented:
    """A contract that a vehicle presents: its EMAID in normal form and its chain (DER, leaf first, without root)."""

    emaid: str
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Authorisation:
    """A signed AuthorizationReq that holds: by whose chain (DER, leaf first; -2: as it was given), and what was
    signed how."""

    chain: tuple[bytes, ...]
    check: SignatureCheck


def gen_challenge(randomness: Callable[[int], bytes]) -> bytes:
    """A GenChallenge: the 16 octets that `randomness(16)` gives (`os.urandom`).

    Raises `authorisation.weak_challenge` for another number of octets, or one octet 16 times over: a source that is
    dead.
    """
    octets = randomness(CHALLENGE_OCTETS)
    if len(octets) != CHALLENGE_OCTETS or len(set(octets)) == 1:
        raise V2GPKIError(
            "authorisation.weak_challenge",
            f"the source of randomness gave {len(octets)} octets, {len(set(octets))} of them different",
            hint="give os.urandom, or another cryptographic source",
            clause="[V2G2-697], [V2G2-698], [V2G20-697]",
        )
    return bytes(octets)


# --- the contract that is presented ---------------------------------------------------------------------------------


def payment_details(emaid: str, chain: Sequence[bytes]) -> iso2.PaymentDetailsReq:
    """The PaymentDetailsReq that presents a contract. `chain` is DER, leaf first, without root.

    Raises `identifier.invalid`, `installation.certificate_too_large`, `installation.bad_chain`.
    """
    chains.check_sizes("iso15118-2", chain, "contract")
    above = iso2.SubCertificatesType(Certificate=tuple(chain[1:])) if len(chain) > 1 else None
    return iso2.PaymentDetailsReq(
        eMAID=identifiers.parse("emaid", emaid).normal,
        ContractSignatureCertChain=iso2.CertificateChainType(Certificate=chain[0], SubCertificates=above),
    )


def contract_chain(message: Message) -> tuple[bytes, ...]:
    """The contract chain in a PaymentDetailsReq (or its V2G_Message) or a -20 AuthorizationReq: DER, leaf first, as it
    came. Raises `authorisation.wrong_message` for any other message, `authorisation.wrong_mode` for an EIM one.
    """
    body = body_of(message)
    if isinstance(body, iso2.PaymentDetailsReq):
        found: iso2.CertificateChainType | iso20_common.ContractCertificateChainType = body.ContractSignatureCertChain
    elif isinstance(body, iso20_common.AuthorizationReq):
        found = _mode_of(body).ContractCertificateChain
    else:
        raise _wrong_message(body, "PaymentDetailsReq or AuthorizationReq of ISO 15118-20")
    return (found.Certificate, *(found.SubCertificates.Certificate if found.SubCertificates else ()))


def presented(message: Message) -> Presented:
    """The contract that a message presents, its EMAID being the one of the certificate; nothing is trusted yet.

    `message` is as for `contract_chain`. Raises `installation.wrong_emaid` if PaymentDetailsReq names another EMAID
    than the certificate, `identifier.invalid`, `chain.malformed`, and what `contract_chain` raises.
    """
    chain = contract_chain(message)
    body = body_of(message)
    said = body.eMAID if isinstance(body, iso2.PaymentDetailsReq) else ""
    return Presented(check_contract(said, chain), chain)


def check_contract(emaid: str, chain: Sequence[bytes]) -> str:
    """The EMAID of a contract in normal form, which is that of its certificate (DER, the chain's first); `emaid` is
    what the vehicle says of itself, "" where the message has no such field.

    Raises `installation.wrong_emaid` if they differ, `identifier.invalid`, `chain.malformed`, `chain.empty`.
    """
    if not chain:
        raise V2GPKIError("chain.empty", "the vehicle presents a contract without a certificate")
    if emaid:
        chains.check_emaid(emaid, chain[0], "the eMAID of PaymentDetailsReq")
    return chains.emaid_of(chain[0])


# --- the vehicle's side ---------------------------------------------------------------------------------------------


def build_authorization(
    challenge: bytes,
    signer: Signer,
    *,
    edition: Edition = "iso15118-2",
    session_id: bytes,
    chain: Sequence[bytes] = (),
    timestamp: datetime | None = None,
    algorithm: str = "",
) -> iso2.V2G_Message | iso20_common.AuthorizationReq:
    """The signed AuthorizationReq over the station's challenge (16 octets), as a message.

    `signer` has the contract's key. -20 needs `chain`, the contract's (DER, leaf first, without root), and `timestamp`,
    and knows `algorithm`. Raises `authorisation.wrong_challenge`, `installation.bad_chain`, `installation.wrong_key`,
    `installation.needs_time`, `signature.*`.
    """
    _require_octets(challenge)
    if edition == "iso15118-2":
        request = v2g_message(iso2.AuthorizationReq(Id=_ID, GenChallenge=challenge), session_id)
        return attach(request, sign(request, signer, edition=edition))
    chains.check_sizes(edition, chain, "contract")
    chains.check_signer(chain, signer, "contract")
    if len(chain) == 1:
        raise chains.bad_chain(
            "the contract chain has no Sub-CA; AuthorizationReq of ISO 15118-20 cannot carry it",
            hint="give the leaf, then the Sub-CAs above it",
            place=1,
        )
    message = iso20_common.AuthorizationReq(
        Header=header_20(session_id, timestamp),
        SelectedAuthorizationService="PnC",
        PnC_AReqAuthorizationMode=iso20_common.PnC_AReqAuthorizationModeType(
            Id=_ID,
            GenChallenge=challenge,
            ContractCertificateChain=iso20_common.ContractCertificateChainType(
                Certificate=chain[0],
                SubCertificates=iso20_common.SubCertificatesType(Certificate=tuple(chain[1:])),
            ),
        ),
    )
    return attach(message, sign(message, signer, edition=edition, algorithm=algorithm))


def repeat_authorization(
    first: iso2.V2G_Message | iso20_common.AuthorizationReq, timestamp: datetime | None = None
) -> iso2.V2G_Message | iso20_common.AuthorizationReq:
    """What a vehicle sends while the station answers Ongoing: in -2 an empty AuthorizationReq without signature, in -20
    the same message at another time (the signature does not cover the header). Raises `installation.needs_time`.
    """
    if isinstance(first, iso2.V2G_Message):
        return v2g_message(iso2.AuthorizationReq(), first.Header.SessionID)
    time = header_20(first.Header.SessionID, timestamp).TimeStamp
    return replace(first, Header=replace(first.Header, TimeStamp=time))


# --- the station's side ---------------------------------------------------------------------------------------------


def check_authorization(
    message: Message,
    challenge: bytes,
    *,
    chain: Sequence[bytes] = (),
    edition: Edition | None = None,
    accept_document_digest: bool = False,
) -> Authorisation:
    """Check the first AuthorizationReq: the challenge that was given out, then the signature by the contract's leaf.

    `chain` is the one of PaymentDetailsReq; a -20 message brings its own. `edition` is the message's; `lab-ecog-20`
    must be named. Raises `authorisation.wrong_challenge`, then `signature.*`, `key.*`, `chain.malformed`; before both
    `authorisation.wrong_message`, and `authorisation.wrong_mode` for an EIM one.
    """
    body = body_of(message)
    if isinstance(body, iso2.AuthorizationReq):
        found, leafs = body.GenChallenge or b"", tuple(chain)
        if not leafs:
            raise chains.bad_chain("no contract was presented before AuthorizationReq")
    elif isinstance(body, iso20_common.AuthorizationReq):
        found, leafs = _mode_of(body).GenChallenge, contract_chain(body)
    else:
        raise _wrong_message(body, "AuthorizationReq")
    if not hmac.compare_digest(found, challenge):
        raise _wrong_challenge(found, "iso15118-2" if isinstance(body, iso2.AuthorizationReq) else "iso15118-20")
    check = verify(
        message,
        chains.key_of(leafs[0]),
        edition=edition_of(body, edition),
        accept_document_digest=accept_document_digest,
    )
    return Authorisation(leafs, check)


def check_repetition(first: Message, message: Message) -> None:
    """Check an AuthorizationReq that follows the `first` while the station is at work: in -2 it is empty, or says the
    same again; in -20 nothing but the time may differ. Raises `authorisation.changed_repetition`.
    """
    one, other = body_of(first), body_of(message)
    if isinstance(one, iso2.AuthorizationReq) and isinstance(other, iso2.AuthorizationReq):
        same = other in {iso2.AuthorizationReq(), iso2.AuthorizationReq(Id=other.Id), one}
        clause = "[V2G2-684]"
    elif isinstance(one, iso20_common.AuthorizationReq) and isinstance(other, iso20_common.AuthorizationReq):
        same = replace(one, Header=replace(one.Header, TimeStamp=other.Header.TimeStamp)) == other
        clause = "[V2G20-1582]"
    else:
        raise _wrong_message(other, type(one).__name__)
    if not same:
        raise V2GPKIError(
            "authorisation.changed_repetition",
            "a repeated AuthorizationReq says something else than the first one",
            hint="while the station is at work, -2 repeats it empty, -20 with another TimeStamp alone",
            clause=clause,
        )


def _mode_of(body: iso20_common.AuthorizationReq) -> iso20_common.PnC_AReqAuthorizationModeType:
    mode = body.PnC_AReqAuthorizationMode
    if mode is None or body.SelectedAuthorizationService != "PnC":
        raise V2GPKIError(
            "authorisation.wrong_mode",
            f"AuthorizationReq selects {body.SelectedAuthorizationService}, "
            f"{'without' if mode is None else 'with'} PnC_AReqAuthorizationMode",
            hint="by contract it selects PnC and has PnC_AReqAuthorizationMode",
            clause="ISO 15118-20 8.3.4.3.3",
            facts={"selected": body.SelectedAuthorizationService},
        )
    return mode


def _require_octets(challenge: bytes) -> None:
    if len(challenge) != CHALLENGE_OCTETS:
        raise V2GPKIError(
            "authorisation.wrong_challenge",
            f"a challenge of {len(challenge)} octets cannot be answered",
            hint="it is the GenChallenge of PaymentDetailsRes or AuthorizationSetupRes, 16 octets",
            clause="[V2G2-697], [V2G20-697]",
            facts={"size": len(challenge)},
        )


def _wrong_challenge(found: bytes, edition: Edition) -> V2GPKIError:
    return V2GPKIError(
        "authorisation.wrong_challenge",
        "AuthorizationReq answers another challenge than the one of this session"
        if found
        else "AuthorizationReq brings no GenChallenge",
        hint="the vehicle returns the GenChallenge of this session unchanged, once",
        clause="[V2G2-475]" if edition == "iso15118-2" else "[V2G20-2565]",
        facts={"found": found.hex()},
    )


def _wrong_message(found: Message, wanted: str) -> V2GPKIError:
    return V2GPKIError(
        "authorisation.wrong_message",
        f"{type(found).__name__} is no {wanted}",
        hint="hand over the message as it was decoded",
        facts={"found": type(found).__name__},
    )
