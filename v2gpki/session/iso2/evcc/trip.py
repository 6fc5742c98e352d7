"""What a vehicle of ISO 15118-2 knows of the station that it charges at, and what its steps share."""

from __future__ import annotations

from typing import Literal

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.iso2 import BodyMessage
from v2gpki.session.conversation import Asking
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.iso2.settings import VehicleSettings, current_of
from v2gpki.session.notices import Delivered, Judged
from v2gpki.session.questions import (
    Choice,
    Contract,
    Current,
    Limits,
    Method,
    Present,
    Question,
    ReplyT_co,
    Schedule,
    Wish,
    WishQuestion,
)
from v2gpki.session.secured import Secured

Intent = Literal["go_on", "stop", "pause", "renegotiate"]
#: What a DC station says when it will not go on.
_SHUT = frozenset({"EVSE_Shutdown", "EVSE_UtilityInterruptEvent", "EVSE_EmergencyShutdown", "EVSE_Malfunction"})
_SECONDS_OF_AN_HOUR = 3600.0


class Trip(Asking):
    """One vehicle at one station. Steps are functions of it."""

    def __init__(self, engine: Engine, settings: VehicleSettings, secured: Secured | None) -> None:
        super().__init__(engine, ISO2Dialect(settings.timers))
        self.settings = settings
        self.secured = secured
        self.method: Method = "eim"
        self.contract: Contract | None = None
        #: The parameter set of the service of contract certificates that was chosen; None: none.
        self.contract_set: int | None = None
        self.limits = Limits(0.0, 0.0, 0.0)
        self.vehicle = Limits(0.0, 0.0, 0.0)
        self.schedules: tuple[Schedule, ...] = ()
        self.choice = Choice(1)
        self.wish: Wish | None = None
        self.present: Present | None = None
        self.notification = ""
        self.state_of_charge = 0
        # the charging loops together
        self.loop_began: float | None = None
        self.flowing_since = 0.0
        self.energy = 0.0

    @property
    def current(self) -> Current:
        """What it charges with."""
        return current_of(self.settings.transfer_mode)

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

    def flowed(self, present: Present) -> None:
        """Count what flowed since the last time."""
        now = self.engine.now
        if self.loop_began is None:
            self.loop_began = now
        else:
            self.energy += present.power * (now - self.flowing_since) / _SECONDS_OF_AN_HOUR
        self.flowing_since = now
        self.present = present
        imported = None if present.reading is None else present.reading.imported
        self.engine.tell(Delivered(now, present.voltage, present.current, present.power, imported))

    def dc_status(self, *, ready: bool) -> iso2.DC_EVStatus:
        """The state of a vehicle that charges with DC."""
        return iso2.DC_EVStatus(
            EVReady=ready, EVErrorCode="NO_ERROR", EVRESSSOC=max(0, min(100, self.state_of_charge))
        )

    def wishes(self) -> Steps[Wish]:
        """What the vehicle wants in the next turn."""
        wish = yield from self.ask(WishQuestion(self.present, self.limits, self.notification))
        self.wish, self.state_of_charge = wish, wish.state_of_charge
        return wish

    def noted(self, status: iso2.AC_EVSEStatus | iso2.DC_EVSEStatus) -> None:
        """What the station wants."""
        self.notification = {"StopCharging": "stop", "ReNegotiation": "renegotiate"}.get(status.EVSENotification, "")
        if isinstance(status, iso2.DC_EVSEStatus) and status.EVSEStatusCode in _SHUT:
            self.notification = "stop"

    def intent(self, wish: Wish) -> Intent:
        """What comes next: the vehicle's wish, else the plan's end, else what the station wants."""
        if wish.intent != "go_on":
            return wish.intent
        plan, began = self.settings, self.loop_began
        timed = plan.charge_seconds > 0 and began is not None and self.engine.now - began >= plan.charge_seconds
        filled = plan.charge_energy > 0 and self.energy >= plan.charge_energy
        if timed or filled or wish.complete:
            return "pause" if plan.pause else "stop"
        if self.notification == "stop":
            return "stop"
        return "renegotiate" if self.notification == "renegotiate" else "go_on"
