"""What a vehicle of ISO 15118-2 knows of the station that it charges at, and what its steps share."""

from __future__ import annotations

from typing import Literal

from v2gpki.energy.offer import Method, Notification
from v2gpki.energy.quantities import Current, StageLimits, VehicleLimits, VehicleState
from v2gpki.energy.schedule import PowerSchedule, Schedule
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.iso2 import BodyMessage
from v2gpki.session.conversation import Asking
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.iso2.settings import Action, VehicleSettings
from v2gpki.session.iso2.words import FAULTS, WISHES, Mode, current_of
from v2gpki.session.notices import Judged
from v2gpki.session.questions import Contract, Question, ReplyT_co, StateQuestion, StepQuestion
from v2gpki.session.secured import Secured

Intent = Literal["go_on", "stop", "pause", "renegotiate"]
#: What -2 has no word for, a change of service or standing by, ends the session.
_INTENTS: dict[str, Intent] = {"go_on": "go_on", "stop": "stop", "pause": "pause", "renegotiate": "renegotiate"}
#: What a DC station says when it will not go on.
_SHUT = frozenset({"EVSE_Shutdown", "EVSE_UtilityInterruptEvent", "EVSE_EmergencyShutdown", "EVSE_Malfunction"})
_PERCENT = 100


class Trip(Asking):
    """One vehicle at one station. Steps are functions of it."""

    def __init__(self, engine: Engine, settings: VehicleSettings, secured: Secured | None) -> None:
        super().__init__(engine, ISO2Dialect(settings.timers))
        self.settings = settings
        self.secured = secured
        self.method: Method = "eim"
        self.mode: Mode = "AC_three_phase_core"
        self.contract: Contract | None = None
        #: What is to be done about a contract first, and the parameter set of the service that does it.
        self.action: Action | None = None
        self.contract_set = 0
        self.limits: StageLimits | None = None
        self.vehicle: VehicleLimits | None = None
        self.schedules: tuple[Schedule, ...] = ()
        self.offered_at = 0
        self.chosen: Schedule | None = None
        self.profile: PowerSchedule | None = None
        self.state_now = VehicleState(0.0, 0.0)
        self.connected = False
        # what the station wants, within how many seconds, and since when
        self.wish: Notification = ""
        self.wish_within = 0
        self.wished_at = 0.0

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self.engine.clock.now().timestamp())

    @property
    def current(self) -> Current:
        """What it charges with."""
        return current_of(self.mode)

    @property
    def path(self) -> str:
        """Its current, as states are named."""
        return self.current.lower()

    @property
    def granted(self) -> float | None:
        """What the schedule grants now."""
        return None if self.chosen is None else self.chosen.power.power_at(self.now)

    def message(self, body: BodyMessage) -> iso2.V2G_Message:
        """A body with this session's header, as it is signed."""
        header = iso2.MessageHeaderType(SessionID=self.session_id)
        return iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body))

    def judged(self, what: str, question: Question[ReplyT_co], by: str = "") -> Steps[ReplyT_co]:
        """Ask for a verdict, tell it, and go on only if it is good."""
        try:
            reply = yield from self.ask(question)
        except V2GPKIError as problem:
            self.engine.tell(Judged(self.engine.now, what, by, problem))
            raise
        self.engine.tell(Judged(self.engine.now, what, by))
        return reply

    def again(self, what: str, since: float, limit: float) -> Steps[None]:
        """Wait a little before the same request goes out again. Raises ``session.timeout`` after ``limit`` seconds."""
        timers_left = since + limit - self.engine.now
        if timers_left > 0:
            yield from self.engine.rest(min(self.settings.poll, timers_left))
        if self.engine.now >= since + limit:
            raise V2GPKIError(
                "session.timeout",
                f"the station is still at work after {limit:g} s: {what}",
                clause="ISO 15118-2 8.8.3",
                facts={"what": what},
            )

    def stage(self) -> StageLimits:
        """The station's limits, which are known since ChargeParameterDiscoveryRes."""
        if self.limits is None:
            raise V2GPKIError("internal.bug", "the station's limits are asked for before they are known")
        return self.limits

    def look(self) -> Steps[VehicleState]:
        """What the vehicle is doing now."""
        self.state_now = yield from self.ask(StateQuestion())
        return self.state_now

    def dc_status(self, *, ready: bool = True) -> iso2.DC_EVStatus:
        """The state of a vehicle that charges with DC."""
        state = self.state_now
        return iso2.DC_EVStatus(
            EVReady=ready and state.ready,
            EVErrorCode=FAULTS[state.fault],
            EVRESSSOC=max(0, min(_PERCENT, round(_PERCENT * state.soc))),
        )

    def noted(self, status: iso2.AC_EVSEStatus | iso2.DC_EVSEStatus) -> None:
        """What the station wants."""
        wish, within = WISHES[status.EVSENotification], status.NotificationMaxDelay
        if isinstance(status, iso2.DC_EVSEStatus) and status.EVSEStatusCode in _SHUT:
            wish, within = "stop", 0
        if isinstance(status, iso2.AC_EVSEStatus) and status.RCD:
            wish, within = "stop", 0
        if wish != self.wish:
            self.wished_at = self.engine.now
        self.wish, self.wish_within = wish, within

    def step(self) -> Steps[Intent]:
        """How it goes on: as the vehicle says, unless the station has waited long enough for what it wants."""
        left = max(0.0, self.wished_at + self.wish_within - self.engine.now) if self.wish else 0.0
        step = yield from self.ask(StepQuestion(self.state_now, self.wish, left))
        what = _INTENTS.get(step.what, "stop")
        if what != "go_on" or not self.wish or left > 0:
            return what
        return "renegotiate" if self.wish == "renegotiate_schedule" else "stop"
