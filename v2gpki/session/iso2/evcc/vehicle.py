"""The vehicle of ISO 15118-2: the whole session in order."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.engine import Over, Steps
from v2gpki.session.iso2.evcc import contract, loops, parameters, services
from v2gpki.session.iso2.evcc.trip import Intent, Trip
from v2gpki.session.iso2.words import MODES
from v2gpki.session.notices import Ending, EndingKind
from v2gpki.session.questions import ConnectQuestion, Paused, PauseQuestion


class ISO2Vehicle(Trip):
    """Asks a station. When the vehicle itself cannot go on (no contract, no consent, a limit of time), it says goodbye
    as the flow allows, and the ending has the reason; a station that refuses or is silent ends it at once."""

    def run(self) -> Steps[Ending]:
        """The whole session."""
        try:
            intent = yield from self._session()
        except V2GPKIError as problem:
            return (yield from self._leave(problem))
        return Ending("paused" if intent == "pause" else "stopped")

    def _session(self) -> Steps[Intent]:
        evse_id = yield from services.set_up(self)
        yield from services.choose(self, evse_id)
        if self.method == "pnc":
            yield from contract.install(self)
            yield from contract.authorise_by_contract(self)
        else:
            yield from contract.authorise_at_station(self)
        intent = yield from self._energy()
        yield from self._end_of_power()
        if self.current == "DC":
            yield from loops.detect_welding(self)
        if intent == "pause":
            yield from self._keep()
        yield from self._stop("Pause" if intent == "pause" else "Terminate")
        return intent

    def _energy(self) -> Steps[Intent]:
        """Negotiate and charge, as often as somebody wants to negotiate again."""
        while True:
            yield from parameters.negotiate(self)
            if self.state == "parameters-dc" or (self.state == "renegotiated-dc" and self.settings.cable_check_again):
                yield from loops.prepare(self)
            yield from self._connect(closed=True)
            yield from parameters.start(self)
            intent = yield from loops.charge(self)
            if intent != "renegotiate":
                return intent
            yield from parameters.deliver(self, "Renegotiate", "renegotiating")

    def _connect(self, *, closed: bool) -> Steps[None]:
        if closed != self.connected:
            yield from self.ask(ConnectQuestion(closed))
            self.connected = closed

    def _end_of_power(self) -> Steps[None]:
        """The station's current ends before the vehicle's contactors open."""
        yield from parameters.deliver(self, "Stop", "stopped")
        yield from self._connect(closed=False)

    def _keep(self) -> Steps[None]:
        """What it needs to come back."""
        held = self.contract if self.method == "pnc" else None
        paused = Paused(
            self.session_id,
            self.dialect.edition,
            self.settings.evcc_id.hex().upper(),
            self.method,
            "" if held is None else held.emaid,
            () if held is None else held.chain,
            service=services.CHARGING,
            parameter_set=tuple(MODES).index(self.mode),
        )
        yield from self.ask(PauseQuestion(paused))

    def _stop(self, how: iso2.chargingSessionType) -> Steps[None]:
        yield from self.exchange(iso2.SessionStopReq(ChargingSession=how), iso2.SessionStopRes)

    def _leave(self, problem: V2GPKIError) -> Steps[Ending]:
        """Open the contactors and stop, as far as the flow and the station let it."""
        kind: EndingKind = "timeout" if problem.code == "session.timeout" else "terminated"
        try:
            if self.state.startswith(("charging", "receipt")):
                yield from self._end_of_power()
            if "SessionStopReq" in self.dialect.flow.expected(self.state):
                yield from self._stop("Terminate")
        except (V2GPKIError, Over):
            # The first reason is the one to tell.
            pass
        return Ending(kind, problem)
