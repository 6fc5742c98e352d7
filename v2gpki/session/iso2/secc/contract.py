"""Contracts: installation and update handed on, PaymentDetails, AuthorizationReq of both methods (ISO 15118-2 8.4.3.6
to 8.4.3.9).

The octets of CertificateInstallationReq go to whoever makes contracts, and its answer goes out as it came: what is
signed is nobody's to touch. Late or refused is FAILED_NoCertificateAvailable. Clauses: [V2G2-475], [V2G2-684],
[V2G2-697], [V2G2-825], [V2G2-854].
"""

from __future__ import annotations

import hmac

from v2gpki import identifiers
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.iso2 import EVSEProcessingType
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2.secc.services import evcc_name
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import Action
from v2gpki.session.iso2.values import taken
from v2gpki.session.notices import Ending, Refused, Remarked
from v2gpki.session.questions import (
    AuthorizationQuestion,
    ContractChainQuestion,
    ContractGiven,
    ContractQuestion,
    Decision,
    ExpiresSoon,
    SignatureQuestion,
)
from v2gpki.v2gtp import Frame, PayloadType

_CHALLENGE_OCTETS = 16

# --- installation and update ----------------------------------------------------------------------------------------


def installation(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Hand a CertificateInstallationReq on, and its answer out."""
    return (yield from _contract(visit, heard, "install"))


def update(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Hand a CertificateUpdateReq on, and its answer out."""
    return (yield from _contract(visit, heard, "update"))


def _contract(visit: Visit, heard: Heard, action: Action) -> Steps[Answer]:
    if not visit.does_contracts or action not in visit.settings.contract_service:
        raise _none_available(f"this station offers no {heard.name.removesuffix('Req')}")
    allowed = visit.dialect.timers.answers_within(heard.name)
    question = ContractQuestion(heard.frame.payload, action, visit.left(allowed))
    try:
        given = yield from visit.ask(question, allowed)
    except V2GPKIError as problem:
        if problem.code == "session.late" or not problem.outcome.iso2:
            raise _none_available(f"no contract within {allowed:g} s: {problem.message}") from problem
        raise
    return _handed_out(visit, heard, given)


def _handed_out(visit: Visit, heard: Heard, given: ContractGiven) -> Answer:
    """The answer as it came, if it is one; with this session's id, should it bear another one."""
    wanted = iso2.CertificateInstallationRes if heard.name.startswith("CertificateInst") else iso2.CertificateUpdateRes
    if not given.exi:
        raise _none_available("the contract is not ready, and ISO 15118-2 cannot ask again")
    try:
        found = visit.dialect.hear(Frame(PayloadType.EXI, given.exi))
    except V2GPKIError as problem:
        raise _none_available(f"what came for the vehicle cannot be read: {problem.message}") from problem
    if not isinstance(found.body, wanted):
        raise _none_available(f"{found.name} came for the vehicle")
    code = found.body.ResponseCode
    ends = None
    if code.startswith("FAILED"):
        refused = _none_available(f"whoever makes contracts refuses with {code}{_because(given.reason)}")
        visit.engine.tell(Refused(visit.engine.now, heard.name, code, refused))
        ends = Ending("refused", refused)
    if found.session_id == visit.session_id:
        return Answer(found.message, raw=found.frame, ends=ends)
    visit.engine.tell(Remarked(visit.engine.now, f"{found.name} came for the session {found.session_id.hex()}"))
    return Answer(found.body, signature=_signature_of(found.message), ends=ends)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _none_available(message: str) -> V2GPKIError:
    return V2GPKIError("session.no_contracts", message, clause="ISO 15118-2 8.4.3.10")


# --- payment details ------------------------------------------------------------------------------------------------


def payment_details(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The vehicle shows its contract; it gets a challenge if that can be relied on."""
    request = taken(heard, iso2.PaymentDetailsReq)
    emaid = identifiers.parse("emaid", request.eMAID).normal
    shown = request.ContractSignatureCertChain
    chain = (shown.Certificate, *(shown.SubCertificates.Certificate if shown.SubCertificates else ()))
    holds = yield from visit.judged("contract chain", ContractChainQuestion(emaid, chain), emaid)
    visit.emaid, visit.chain = emaid, chain
    visit.challenge = visit.random(_CHALLENGE_OCTETS)
    response = iso2.PaymentDetailsRes(
        ResponseCode="OK_CertificateExpiresSoon" if isinstance(holds, ExpiresSoon) else "OK",
        GenChallenge=visit.challenge,
        EVSETimeStamp=visit.now,
    )
    return Answer(response)


# --- authorization --------------------------------------------------------------------------------------------------


def authorization(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Challenge and signature at first, then the decision, for as long as it takes."""
    request = taken(heard, iso2.AuthorizationReq)
    if visit.method == "pnc" and visit.first_authorization is None:
        yield from _require_signed(visit, heard, request)
        visit.first_authorization = request
    elif visit.method == "pnc":
        _require_repetition(visit, request)
    decision = yield from _decision(visit)
    if decision.status == "rejected":
        raise V2GPKIError(
            "session.not_authorised",
            f"the vehicle may not charge: {decision.reason or 'no reason given'}",
            facts={"response_code": decision.response_code} if decision.response_code else {},
        )
    accepted = decision.status == "accepted"
    processing: EVSEProcessingType = "Finished" if accepted else _still_at_work(visit, decision)
    response = iso2.AuthorizationRes(ResponseCode="OK", EVSEProcessing=processing)
    return Answer(response, "authorised" if accepted else "authorising")


def _decision(visit: Visit) -> Steps[Decision]:
    """Whether it may charge; who does not know in time is asked again."""
    method = visit.method or "eim"
    question = AuthorizationQuestion(
        method, visit.emaid, visit.chain, evcc_name(visit), visit.session_id, visit.attempt("authorization")
    )
    try:
        return (yield from visit.ask(question))
    except V2GPKIError as problem:
        if problem.code != "session.late":
            raise
        return Decision("ongoing", customer=method == "eim")


def _still_at_work(visit: Visit, decision: Decision) -> EVSEProcessingType:
    """Somebody at the station may take his time; whoever else decides may not."""
    if decision.customer:
        return "Ongoing_WaitingForCustomerInteraction"
    if not visit.waiting("authorization", visit.dialect.timers.ongoing_performance):
        raise V2GPKIError("session.not_authorised", "nobody decided in time whether this vehicle may charge")
    return "Ongoing"


def _require_signed(visit: Visit, heard: Heard, request: iso2.AuthorizationReq) -> Steps[None]:
    if not hmac.compare_digest(request.GenChallenge or b"", visit.challenge):
        raise V2GPKIError(
            "authorisation.wrong_challenge",
            "AuthorizationReq answers another challenge than the one of this session"
            if request.GenChallenge
            else "AuthorizationReq brings no GenChallenge",
            clause="[V2G2-475]",
        )
    if _signature_of(heard.message) is None:
        raise V2GPKIError("signature.missing", "AuthorizationReq is not signed", clause="[V2G2-475]")
    question = SignatureQuestion("AuthorizationReq", heard.message, visit.chain, visit.challenge)
    yield from visit.judged("AuthorizationReq signature", question, visit.emaid)


def _require_repetition(visit: Visit, request: iso2.AuthorizationReq) -> None:
    """It is empty, or says the same again."""
    if request.GenChallenge is not None and request != visit.first_authorization:
        raise V2GPKIError(
            "authorisation.changed_repetition",
            "a repeated AuthorizationReq says something else than the first one",
            clause="[V2G2-684]",
        )


def _signature_of(message: Message) -> Signature | None:
    return message.Header.Signature if isinstance(message, iso2.V2G_Message) else None
