"""What a station of ISO 15118-2 knows of the vehicle that it serves, and what its handlers share."""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.energy.offer import Method
from v2gpki.energy.quantities import (
    Current,
    IsolationState,
    Needs,
    Present,
    Reading,
    StageLimits,
    StageState,
    VehicleLimits,
)
from v2gpki.energy.schedule import PowerSchedule, Schedule
from v2gpki.energy.steering import Control
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answering
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.iso2.refusals import permitted
from v2gpki.session.iso2.settings import StationSettings
from v2gpki.session.iso2.words import ISOLATION, NOTIFICATIONS, STATES, Mode, current_of, modes_of
from v2gpki.session.notices import Judged
from v2gpki.session.questions import Paused, Question, ReplyT_co
from v2gpki.session.secured import Secured


class Visit(Answering):
    """One vehicle at the station. Handlers are functions of it and of the request that was heard."""

    def __init__(
        self, engine: Engine, settings: StationSettings, secured: Secured | None, random: Callable[[int], bytes]
    ) -> None:
        super().__init__(engine, ISO2Dialect(settings.timers))
        self.settings = settings
        self.secured = secured
        self.random = random
        self.evcc_id = b""
        self.resumed: Paused | None = None
        self.resumed_mode: Mode | None = None
        # who pays
        self.method: Method | None = None
        self.emaid = ""
        self.chain: tuple[bytes, ...] = ()
        self.challenge = b""
        self.first_authorization: iso2.AuthorizationReq | None = None
        # what was agreed
        self.transfer_mode: Mode | None = None
        self.limits: StageLimits | None = None
        self.vehicle: VehicleLimits | None = None
        self.needs: Needs | None = None
        self.schedules: tuple[Schedule, ...] = ()
        self.offered_at = 0
        self.chosen = 0
        self.profile: PowerSchedule | None = None
        # what flows
        self.closed = False
        self.isolation: IsolationState = "unknown"
        self.control = Control()
        self.reading: Reading | None = None
        self.metered_from: float | None = None
        self.receipt_for: iso2.MeterInfoType | None = None
        self._since: dict[str, float] = {}
        self._attempts: dict[str, int] = {}

    @property
    def now(self) -> int:
        """Unix seconds."""
        return int(self.engine.clock.now().timestamp())

    @property
    def current(self) -> Current:
        """What the vehicle charges with."""
        return "AC" if self.transfer_mode is None else current_of(self.transfer_mode)

    @property
    def methods(self) -> tuple[Method, ...]:
        """How a vehicle may pay here: contracts over TLS only; one that resumes as it did before."""
        offered = tuple(m for m in self.settings.offer.methods if m == "eim" or self.secured is not None)
        return offered if self.resumed is None else tuple(m for m in offered if m == self.resumed.method)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How energy may be transferred; one that resumes goes on as before."""
        offered = modes_of(self.settings.offer)
        return offered if self.resumed_mode is None else tuple(m for m in offered if m == self.resumed_mode)

    @property
    def does_contracts(self) -> bool:
        """Whether the service of contract certificates is there."""
        settings = self.settings
        offered = settings.offer.installation and bool(settings.contract_service)
        return offered and self.secured is not None and "pnc" in self.methods

    @property
    def granted(self) -> PowerSchedule | None:
        """What the vehicle said that it will draw, else what its schedule grants."""
        if self.profile is not None:
            return self.profile
        return next((one.power for one in self.schedules if one.identifier == self.chosen), None)

    def attempt(self, what: str) -> int:
        """How often something has been asked for already."""
        count = self._attempts.get(what, 0)
        self._attempts[what] = count + 1
        return count

    def judged(self, what: str, question: Question[ReplyT_co], by: str = "") -> Steps[ReplyT_co]:
        """Ask for a verdict, tell it, and go on only if it is good."""
        try:
            reply = yield from self.ask(question)
        except V2GPKIError as problem:
            self.engine.tell(Judged(self.engine.now, what, by, problem))
            raise
        self.engine.tell(Judged(self.engine.now, what, by))
        return reply

    def waiting(self, what: str, limit: float) -> bool:
        """Whether something that is still at work may go on, by the time since it began."""
        return self.engine.now - self._since.setdefault(what, self.came) < limit

    def done(self, what: str) -> None:
        """That work is finished; the next begins anew."""
        self._since.pop(what, None)
        self._attempts.pop(what, None)

    def code_for(self, problem: V2GPKIError, request: Heard) -> str:
        """The ResponseCode for a problem, among those that the answer may carry."""
        code = super().code_for(problem, request)
        if request.name == "MeteringReceiptReq" and problem.code.startswith(("signature.", "metering.", "key.")):
            code = "FAILED_MeteringSignatureNotValid"
        return permitted(request.name, code)

    # -- what many answers say ----------------------------------------------------------------

    def ac_status(self, present: Present | None = None) -> iso2.AC_EVSEStatus:
        """The state of an AC station, and what it wants."""
        return iso2.AC_EVSEStatus(
            NotificationMaxDelay=self._delay,
            EVSENotification=NOTIFICATIONS.get(self.control.notification, "None"),
            RCD=present is not None and present.rcd,
        )

    def dc_status(self, state: StageState = "ready", present: Present | None = None) -> iso2.DC_EVSEStatus:
        """The state of a DC station, and what it wants; ``state`` where the power stage does not say."""
        return iso2.DC_EVSEStatus(
            NotificationMaxDelay=self._delay,
            EVSENotification=NOTIFICATIONS.get(self.control.notification, "None"),
            EVSEIsolationStatus=ISOLATION[self.isolation],
            EVSEStatusCode=STATES[state if present is None or present.state == "ready" else present.state],
        )

    def status(self) -> iso2.AC_EVSEStatus | iso2.DC_EVSEStatus:
        """The state of the station, of whichever kind it is here."""
        return self.ac_status() if self.current == "AC" else self.dc_status()

    @property
    def _delay(self) -> int:
        return max(0, min(self.control.notification_seconds, 65535))
