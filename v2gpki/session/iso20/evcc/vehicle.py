"""The EVCC of ISO 15118-20: its subjects joined to one journey, from SessionSetup to SessionStop.

When the vehicle itself cannot go on (nothing fits, its driver refuses, a signature does not hold), it ends the session
in order: power off, then SessionStop with the reason. Never spoken below TLS 1.3 with a vehicle certificate, but in a
lab that says so. Clauses: ISO 15118-20 8.8, 8.3.4.3.1, 8.3.4.3.9, [V2G20-1264], [V2G20-2356].
"""

from __future__ import annotations

import hashlib

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.conversation import Asking
from v2gpki.session.dialect import NO_SESSION
from v2gpki.session.engine import Engine, Steps, over
from v2gpki.session.iso20.dialect import HEADER, ISO20Dialect
from v2gpki.session.iso20.evcc.loop import Leaving, Loop
from v2gpki.session.iso20.evcc.payment import Payment
from v2gpki.session.iso20.evcc.power import Power
from v2gpki.session.iso20.evcc.selection import Selection
from v2gpki.session.iso20.evcc.trip import Trip
from v2gpki.session.iso20.services import kept
from v2gpki.session.iso20.settings import VehicleSettings
from v2gpki.session.notices import Ending, Established, Remarked
from v2gpki.session.questions import Paused, PauseQuestion
from v2gpki.session.secured import Secured

_CODE, _EXPLANATION = 80, 160
_STOPPING: dict[str, cm.chargingSessionType] = {
    "stop": "Terminate",
    "pause": "Pause",
    "renegotiate_service": "ServiceRenegotiation",
}


class ISO20Vehicle(Asking):
    """One session of a vehicle. ``transfer`` is "ac" or "dc" if the protocol that was agreed on is for one of them."""

    def __init__(
        self, engine: Engine, settings: VehicleSettings, secured: Secured | None, transfer: str = ""
    ) -> None:
        dialect = ISO20Dialect(settings.timers)
        super().__init__(engine, dialect)
        self.settings = settings
        self.secured = secured
        self.trip = trip = Trip()
        self.payment = Payment(self, settings, secured, trip)
        self.selection = Selection(self, settings, secured, trip)
        self.power = Power(self, settings, secured, trip)
        self.loop = Loop(self, settings, secured, trip)
        self.selection.transfer = transfer
        self.loop.power = self.power
        self.loop.side = dialect.side

    def run(self) -> Steps[Ending]:
        """The whole session."""
        if not (self.settings.lab or (self.secured is not None and self.secured.may_carry_iso20)):
            raise over(
                "fault",
                "session.insecure",
                "ISO 15118-20 is not spoken here: the connection is not TLS 1.3 with a vehicle certificate",
                hint="a lab may say that it does without",
                clause="ISO 15118-20 [V2G20-1264], [V2G20-2356]",
            )
        try:
            return (yield from self._journey())
        except V2GPKIError as problem:
            yield from self._give_up(problem)
            return Ending("terminated", problem)

    def _journey(self) -> Steps[Ending]:
        joined = yield from self._set_up()
        if not joined:
            yield from self.payment.authorise()
            yield from self.selection.select()
        while True:
            leaving = yield from self._charge()
            yield from self._stop(leaving)
            if leaving == "renegotiate_service":
                yield from self.selection.select()
            else:
                return Ending("paused" if leaving == "pause" else "stopped")

    def _set_up(self) -> Steps[bool]:
        """Begin a session, or join the one that was paused; True if it goes on with its service."""
        resume = self.settings.resume
        if resume is not None:
            self.session_id = resume.session_id
        trip = self.trip
        answer = yield from self.exchange(
            cm.SessionSetupReq(Header=HEADER, EVCCID=self.settings.evcc_id),
            cm.SessionSetupRes,
            then=lambda one: self._joined(one) or "set-up",
        )
        trip.evse_id = answer.EVSEID
        found = self.last.session_id if self.last else NO_SESSION
        old = answer.ResponseCode == "OK_OldSessionJoined"
        if found == NO_SESSION or old != (resume is not None and found == resume.session_id):
            raise over(
                "fault",
                "session.wrong_session",
                f"the station answers {answer.ResponseCode} with the session id {found.hex()}",
                clause="ISO 15118-20 8.3.4.3.1",
            )
        self.session_id = found
        self.engine.tell(Established(self.engine.now, found, answer.EVSEID, old))
        return self.state.startswith("joined")

    def _joined(self, answer: cm.SessionSetupRes) -> str:
        """The state in which a joined session goes on, "" for a session that begins anew."""
        resume, trip = self.settings.resume, self.trip
        joined = resume is not None and answer.ResponseCode == "OK_OldSessionJoined"
        if resume is None or resume.variant is None or not joined or self.settings.compat == "ecog":
            return ""
        trip.method, trip.emaid, trip.chain = resume.method, resume.emaid, resume.chain
        trip.selected = kept(resume.service, resume.variant)
        return f"joined-{trip.selected.transfer}" if trip.selected else ""

    def _charge(self) -> Steps[Leaving]:
        """From limits to the end of power; says how the vehicle leaves."""
        power = self.power
        stage = yield from power.parameters()
        if (yield from power.agree()):
            return "pause"
        if power.selected.current == "DC":
            yield from power.check_cable()
            yield from power.pre_charge(stage)
        yield from power.start()
        leaving = yield from self.loop.turn()
        yield from power.stop()
        if power.selected.current == "DC":
            yield from power.detect_welding()
        return leaving

    def _stop(self, leaving: Leaving) -> Steps[None]:
        trip = self.trip
        yield from self._say_stop(_STOPPING[leaving], trip.code, trip.explanation)
        if leaving != "pause" or trip.selected is None:
            return
        chain = self.secured.own_chain if self.secured else ()
        paused = Paused(
            self.session_id,
            self.dialect.edition,
            self.settings.evcc_id,
            trip.method,
            trip.emaid,
            trip.chain,
            hashlib.sha512(chain[0]).digest() if chain else b"",
            trip.selected.identifier,
            trip.selected.variant.identifier,
            trip.selected.variant,
        )
        yield from self.ask(PauseQuestion(paused))

    def _say_stop(self, how: cm.chargingSessionType, code: str, explanation: str) -> Steps[None]:
        request = cm.SessionStopReq(
            Header=HEADER,
            ChargingSession=how,
            EVTerminationCode=code[:_CODE] or None,
            EVTerminationExplanation=explanation[:_EXPLANATION] or None,
        )
        then = "choosing-again" if how == "ServiceRenegotiation" else "over"
        yield from self.exchange(request, cm.SessionStopRes, then=then)

    def _give_up(self, problem: V2GPKIError) -> Steps[None]:
        """End in order what can be ended in order."""
        expected = self.dialect.flow.expected(self.state)
        if "PowerDeliveryReq" in expected and self.state.startswith(("charging", "confirming", "renegot", "standby")):
            try:
                yield from self.power.stop()
            except V2GPKIError as another:
                self.engine.tell(Remarked(self.engine.now, f"the vehicle's contactors: {another.message}"))
            expected = self.dialect.flow.expected(self.state)
        if "SessionStopReq" in expected:
            yield from self._say_stop("Terminate", problem.code, problem.message)
