"""CertificateInstallation and Authorization at the SECC.

Contracts come from elsewhere and go out as they came; the station sets what stands outside of their signature. Late
answers become Ongoing. What is wrong with a contract is a WARNING: the session goes on, the vehicle may install another
contract or pay otherwise; a wrong signature and a changed repetition end it. Clauses: ISO 15118-20 8.3.4.3.3,
8.3.4.3.4, [V2G20-461], [V2G20-1582], [V2G20-2565], table 224.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from msgspec.structs import replace

from v2gpki.energy.offer import Method
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages import iso20_common as cm
from v2gpki.session.conversation import Answer, Handler
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.refusals import no_contract
from v2gpki.session.iso20.secc.course import Part, of
from v2gpki.session.notices import Ending, Judged
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

_INSTALL, _AUTHORIZE = "CertificateInstallationReq", "AuthorizationReq"
_REJECTED: Mapping[Method, str] = {
    "pnc": "WARNING_GeneralPnCAuthorizationError",
    "eim": "WARNING_EIMAuthorizationFailure",
}
_SERVICES: Mapping[str, Method] = {"PnC": "pnc", "EIM": "eim"}


class Authorization(Part):
    """Contracts and who pays."""

    methods: tuple[Method, ...] = ()
    _first: cm.AuthorizationReq | None = None
    _attempt = 0
    _code: cm.responseCodeType = "OK"

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        return {_INSTALL: self._install, _AUTHORIZE: of(cm.AuthorizationReq, self._authorize)}

    # -- installation --------------------------------------------------------------------------

    def _install(self, request: Heard) -> Steps[Answer]:
        body = request.body
        if not self.settings.offer.installation or "pnc" not in self.methods:
            raise V2GPKIError(
                "session.no_contracts",
                "this station installs no contracts",
                clause="ISO 15118-20 8.3.4.3.3",
            )
        maximum = getattr(body, "MaximumContractCertificateChains", 1)
        question = ContractQuestion(request.frame.payload, "install", self.station.left(), maximum)
        try:
            given = yield from self.station.ask(question)
        except V2GPKIError as problem:
            if problem.code != "session.late":
                raise
            given = ContractGiven(b"")
        if not given.exi:
            self.still_ongoing(_INSTALL, self.station.dialect.timers.ongoing_performance, "the contract")
            waiting = replace(no_contract(), ResponseCode="OK", EVSEProcessing="Ongoing")
            return Answer(waiting, then="installing")
        self.finished(_INSTALL)
        return self._forward(given)

    def _forward(self, given: ContractGiven) -> Answer:
        """The answer of the contract's provider, with this session's id and the number that remains."""
        message = codec.decode(given.exi, "iso15118-20-common")
        if not isinstance(message, cm.CertificateInstallationRes):
            raise V2GPKIError(
                "session.no_contracts", "what came as contract is no CertificateInstallationRes", clause="8.3.4.3.3"
            )
        code = message.ResponseCode
        problem = None
        words = f"the provider of contracts refuses: {code}" + (f": {given.reason}" if given.reason else "")
        if not code.startswith("OK"):
            problem = V2GPKIError("session.no_contracts", words)
        if code.startswith("WARNING"):
            raise V2GPKIError("session.no_contracts", words, facts={"response_code": code})
        ends = Ending("refused", problem) if problem else None
        remaining = max(0, min(255, given.remaining)) or message.RemainingContractCertificateChains
        then = "installed" if message.EVSEProcessing == "Finished" else "installing"
        same = message.RemainingContractCertificateChains == remaining
        if same and message.Header.SessionID == self.station.session_id:
            return Answer(message, then=then, raw=Frame(PayloadType.ISO20_COMMON, given.exi), ends=ends)
        # `say` writes the header anew and keeps the signature, which is over SignedInstallationData alone.
        return Answer(replace(message, RemainingContractCertificateChains=remaining), then=then, ends=ends)

    # -- authorization -------------------------------------------------------------------------

    def _authorize(self, request: cm.AuthorizationReq) -> Steps[Answer]:
        if self.station.state == "authorising" and self._first is not None:
            self._require_repetition(self._first, request)
        else:
            self._first, self._attempt, self._code = request, 0, "OK"
            self.finished(_AUTHORIZE)
            yield from self._identify(request)
        decision = yield from self._decide()
        self._attempt += 1
        if decision.status == "ongoing":
            return self._ongoing(decision)
        self.finished(_AUTHORIZE)
        if decision.status == "rejected":
            code = decision.response_code or _REJECTED[self.course.method]
            raise V2GPKIError(
                "session.rejected",
                f"the vehicle may not charge{': ' if decision.reason else ''}{decision.reason}",
                clause="ISO 15118-20 table 224",
                facts={"response_code": code},
            )
        return Answer(
            cm.AuthorizationRes(Header=HEADER, ResponseCode=self._code, EVSEProcessing="Finished"), then="authorised"
        )

    def _identify(self, request: cm.AuthorizationReq) -> Steps[None]:
        """Take note of who pays; of a contract first the challenge, then the signature, then the chain."""
        course = self.course
        course.method, course.chain, course.emaid = _SERVICES[request.SelectedAuthorizationService], (), ""
        if course.method not in self.methods:
            raise V2GPKIError(
                "session.wrong_payment",
                f"the vehicle selects {request.SelectedAuthorizationService}, which is not offered",
                clause="ISO 15118-20 8.3.4.3.4",
            )
        mode = request.PnC_AReqAuthorizationMode
        if (mode is None) == (course.method == "pnc"):
            raise V2GPKIError(
                "authorisation.wrong_mode",
                f"AuthorizationReq selects {request.SelectedAuthorizationService} with the mode of the other one",
                clause="ISO 15118-20 8.3.4.3.4",
            )
        if mode is not None:
            yield from self._identify_contract(request, mode)

    def _identify_contract(self, request: cm.AuthorizationReq, mode: cm.PnC_AReqAuthorizationModeType) -> Steps[None]:
        course = self.course
        if not hmac.compare_digest(mode.GenChallenge, course.challenge):
            raise V2GPKIError(
                "authorisation.wrong_challenge",
                "AuthorizationReq answers another challenge than the one of this session",
                hint="the vehicle returns the GenChallenge of AuthorizationSetupRes",
                clause="ISO 15118-20 [V2G20-2565]",
            )
        given = mode.ContractCertificateChain
        chain = (given.Certificate, *given.SubCertificates.Certificate)
        question = SignatureQuestion(_AUTHORIZE, request, chain, course.challenge)
        yield from self._judge("AuthorizationReq signature", question)
        held = yield from self._judge("contract chain", ContractChainQuestion("", chain))
        if isinstance(held, ExpiresSoon):
            self._code = "OK_CertificateExpiresSoon"
        course.chain = chain

    def _judge(self, what: str, question: SignatureQuestion | ContractChainQuestion) -> Steps[object]:
        engine = self.station.engine
        try:
            held = yield from self.station.ask(question)
        except V2GPKIError as problem:
            engine.tell(Judged(engine.now, what, problem=problem))
            raise
        engine.tell(Judged(engine.now, what))
        return held

    def _decide(self) -> Steps[Decision]:
        course, station = self.course, self.station
        question = AuthorizationQuestion(
            course.method, course.emaid, course.chain, course.evcc_id, station.session_id, self._attempt
        )
        try:
            return (yield from station.ask(question))
        except V2GPKIError as problem:
            if problem.code != "session.late":
                raise
            return Decision("ongoing")

    def _ongoing(self, decision: Decision) -> Answer:
        customer = decision.customer or self.course.method == "eim"
        if not customer:
            self.still_ongoing(_AUTHORIZE, self.station.dialect.timers.ongoing_performance, "the authorization")
        processing: cm.processingType = "Ongoing_WaitingForCustomerInteraction" if customer else "Ongoing"
        return Answer(
            cm.AuthorizationRes(Header=HEADER, ResponseCode="OK", EVSEProcessing=processing), then="authorising"
        )

    def _require_repetition(self, first: cm.AuthorizationReq, request: cm.AuthorizationReq) -> None:
        if replace(first, Header=replace(first.Header, TimeStamp=request.Header.TimeStamp)) != request:
            raise V2GPKIError(
                "authorisation.changed_repetition",
                "a repeated AuthorizationReq says something else than the first one",
                hint="while the station is at work, nothing but the TimeStamp may change",
                clause="ISO 15118-20 [V2G20-1582]",
            )
