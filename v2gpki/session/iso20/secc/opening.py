"""SessionSetup, AuthorizationSetup and SessionStop at the SECC: begin, join, pause, end.

A session that was paused is joined only by the vehicle whose TLS certificate it began with; any other gets a new one.
Clauses: ISO 15118-20 8.3.4.3.1, 8.3.4.3.2, 8.3.4.3.9, [V2G20-697], [V2G20-1477], [V2G20-2567], [V2G20-2568].
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from v2gpki.energy.offer import Method
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.conversation import Answer, Handler
from v2gpki.session.dialect import NO_SESSION
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.secc.course import Part, of
from v2gpki.session.iso20.services import Selected, selected
from v2gpki.session.notices import Ending, Established, Judged, Remarked
from v2gpki.session.questions import ContactorQuestion, Paused, PausedQuestion, PauseQuestion

_CHALLENGE = 16
_ID = 8
_PROVIDERS = 128


class Opening(Part):
    """Begin and end of a session."""

    #: "ac" or "dc" if the protocol that was agreed on is for one of them.
    transfer = ""
    #: So many octets, for session ids and challenges.
    random: Callable[[int], bytes]

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        return {
            "SessionSetupReq": of(cm.SessionSetupReq, self._set_up),
            "AuthorizationSetupReq": of(cm.AuthorizationSetupReq, self._authorization_set_up),
            "SessionStopReq": of(cm.SessionStopReq, self._stop),
        }

    @property
    def methods(self) -> tuple[Method, ...]:
        """Ways to pay on this connection: contracts over TLS alone."""
        plain = self.secured is None and not self.settings.lab
        return tuple(one for one in self.settings.offer.methods if one == "eim" or not plain)

    def _set_up(self, request: cm.SessionSetupReq) -> Steps[Answer]:
        self.course.evcc_id = request.EVCCID
        wanted = request.Header.SessionID
        found = None if wanted == NO_SESSION else (yield from self._paused(wanted))
        if found is not None:
            paused, service = found
            self.station.session_id = paused.session_id
            course = self.course
            course.method, course.emaid, course.chain = paused.method, paused.emaid, paused.chain
            course.selected = service
            body = self._named("OK_OldSessionJoined")
            self._established(resumed=True)
            return Answer(body, then=f"joined-{service.transfer}")
        while self.station.session_id in {NO_SESSION, wanted}:
            self.station.session_id = self._octets(_ID)
        self._established(resumed=False)
        return Answer(self._named("OK_NewSessionEstablished"), then="set-up")

    def _established(self, *, resumed: bool) -> None:
        engine = self.station.engine
        engine.tell(Established(engine.now, self.station.session_id, self.course.evcc_id, resumed))

    def _named(self, code: cm.responseCodeType) -> cm.SessionSetupRes:
        return cm.SessionSetupRes(Header=HEADER, ResponseCode=code, EVSEID=self.settings.offer.evse_id)

    def _paused(self, session_id: bytes) -> Steps[tuple[Paused, Selected] | None]:
        """The session that a vehicle comes back to, if it is this vehicle's and its service is still offered."""
        engine, edition = self.station.engine, self.station.dialect.edition
        try:
            paused = yield from self.station.ask(PausedQuestion(session_id, edition))
        except V2GPKIError as problem:
            engine.tell(Remarked(engine.now, f"no paused session can be joined: {problem.message}"))
            return None
        if paused is None or paused.session_id != session_id or paused.edition != edition:
            return None
        digest = self.vehicle_digest
        if not hmac.compare_digest(digest, paused.vehicle) or not (digest or self.settings.lab):
            other = V2GPKIError(
                "session.unknown_session",
                "the paused session began with another vehicle certificate; the vehicle gets a new session",
                clause="ISO 15118-20 8.3.4.3.1",
                facts={"session_id": session_id.hex()},
            )
            engine.tell(Judged(engine.now, "vehicle certificate of the paused session", problem=other))
            # It stays its owner's.
            yield from self.station.ask(PauseQuestion(paused))
            return None
        service = selected(self.settings.offer, paused.service, paused.parameter_set, self.transfer)
        if service is None:
            yield from self.station.ask(PauseQuestion(paused))
            return None
        return paused, service

    def _authorization_set_up(self, _: cm.AuthorizationSetupReq) -> Steps[Answer]:
        yield from ()
        # Who says anew who pays has nothing to come back to until that is settled.
        self.course.selected = None
        methods, providers = self.methods, self.settings.offer.providers[:_PROVIDERS]
        eim = pnc = None
        # The schema has room for one of the two; a vehicle that pays by contract needs the challenge.
        if "pnc" in methods:
            self.course.challenge = self._octets(_CHALLENGE)
            pnc = cm.PnC_ASResAuthorizationModeType(
                GenChallenge=self.course.challenge,
                SupportedProviders=cm.SupportedProvidersListType(ProviderID=providers) if providers else None,
            )
        else:
            eim = cm.EIM_ASResAuthorizationModeType()
        return Answer(
            cm.AuthorizationSetupRes(
                Header=HEADER,
                ResponseCode="OK",
                AuthorizationServices=tuple("PnC" if one == "pnc" else "EIM" for one in methods),
                CertificateInstallationService=self.settings.offer.installation and "pnc" in methods,
                EIM_ASResAuthorizationMode=eim,
                PnC_ASResAuthorizationMode=pnc,
            )
        )

    def _octets(self, octets: int) -> bytes:
        found = self.random(octets)
        if len(found) != octets or len(set(found)) == 1:
            raise V2GPKIError(
                "authorisation.weak_challenge",
                f"the source of randomness gave {len(found)} octets, {len(set(found))} of them different",
                hint="give os.urandom, or another cryptographic source",
                clause="ISO 15118-20 [V2G20-697]",
            )
        return bytes(found)

    def _stop(self, request: cm.SessionStopReq) -> Steps[Answer]:
        engine = self.station.engine
        if request.EVTerminationCode or request.EVTerminationExplanation:
            said = " ".join(filter(None, [request.EVTerminationCode, request.EVTerminationExplanation]))
            engine.tell(Remarked(engine.now, f"the vehicle says why it stops: {said}"))
        if request.ChargingSession == "ServiceRenegotiation":
            self._require_renegotiation()
        if self.course.closed:
            self.course.closed = False
            yield from self.station.ask(ContactorQuestion(closed=False))
        body = cm.SessionStopRes(Header=HEADER, ResponseCode="OK")
        if request.ChargingSession == "ServiceRenegotiation":
            return Answer(body, then="choosing-again")
        if request.ChargingSession == "Pause":
            yield from self._pause()
            return Answer(body, then="over", ends=Ending("paused"))
        return Answer(body, then="over", ends=Ending("stopped"))

    def _require_renegotiation(self) -> None:
        possible = self.station.dialect.flow.after(self.station.state, "SessionStopReq")
        if not self.settings.offer.service_renegotiation or "choosing-again" not in possible:
            raise V2GPKIError(
                "session.no_renegotiation",
                "this station does not renegotiate services"
                if "choosing-again" in possible
                else f"there is no service to be renegotiated in the state {self.station.state}",
                clause="ISO 15118-20 [V2G20-1477]",
            )

    def _pause(self) -> Steps[None]:
        course, service = self.course, self.course.selected
        if not self.settings.offer.pause or service is None:
            raise V2GPKIError(
                "session.pause_not_allowed",
                "this station keeps no paused sessions" if service else "there is nothing to come back to yet",
                clause="ISO 15118-20 8.3.4.3.9",
            )
        paused = Paused(
            self.station.session_id,
            self.station.dialect.edition,
            course.evcc_id,
            course.method,
            course.emaid,
            course.chain,
            self.vehicle_digest,
            service.identifier,
            service.variant.identifier,
            service.variant,
        )
        yield from self.station.ask(PauseQuestion(paused))
