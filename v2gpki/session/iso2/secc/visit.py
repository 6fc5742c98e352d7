"""What a station of ISO 15118-2 knows of the vehicle that it serves, and what its handlers share."""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.iso2 import EnergyTransferModeType
from v2gpki.session.conversation import Answering
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.iso2.refusals import permitted
from v2gpki.session.iso2.settings import PausedSession, StationSettings
from v2gpki.session.notices import Judged
from v2gpki.session.questions import Current, Limits, Method, Present, Question, Reading, ReplyT_co, Schedule
from v2gpki.session.secured import Secured

_NOTIFICATIONS: dict[str, iso2.EVSENotificationType] = {
    "stop": "StopCharging",
    # -2 has no word for it: the vehicle may stop with a pause.
    "pause": "StopCharging",
    "renegotiate": "ReNegotiation",
}


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
        self.resumed: PausedSession | None = None
        # who pays
        self.method: Method | None = None
        self.emaid = ""
        self.chain: tuple[bytes, ...] = ()
        self.challenge = b""
        self.first_authorization: iso2.AuthorizationReq | None = None
        # what was agreed
        self.transfer_mode: EnergyTransferModeType | None = None
        self.limits: Limits | None = None
        self.vehicle: Limits | None = None
        self.schedules: tuple[Schedule, ...] = ()
        self.chosen = 0
        # what flows
        self.closed = False
        self.isolated = False
        self.reading: Reading | None = None
        self.confirmed: Reading | None = None
        self.receipt_for: iso2.MeterInfoType | None = None
        self._since: dict[str, float] = {}

    @property
    def current(self) -> Current:
        """What the vehicle charges with."""
        return "ac" if self.transfer_mode is None or self.transfer_mode.startswith("AC") else "dc"

    @property
    def methods(self) -> tuple[Method, ...]:
        """How a vehicle may pay here: contracts over TLS only; one that resumes as it did before."""
        offered = tuple(m for m in self.settings.methods if m == "eim" or self.secured is not None)
        return offered if self.resumed is None else tuple(m for m in offered if m == self.resumed.method)

    @property
    def does_contracts(self) -> bool:
        """Whether the service of contract certificates is there."""
        return bool(self.settings.contract_service) and self.secured is not None and "pnc" in self.methods

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
            NotificationMaxDelay=_delay(present), EVSENotification=_notification(present), RCD=False
        )

    def dc_status(
        self, code: iso2.DC_EVSEStatusCodeType = "EVSE_Ready", present: Present | None = None
    ) -> iso2.DC_EVSEStatus:
        """The state of a DC station, and what it wants."""
        notification = _notification(present)
        return iso2.DC_EVSEStatus(
            NotificationMaxDelay=_delay(present),
            EVSENotification=notification,
            EVSEIsolationStatus="Valid" if self.isolated else "Invalid",
            EVSEStatusCode="EVSE_Shutdown" if notification == "StopCharging" else code,
        )

    def status(self) -> iso2.AC_EVSEStatus | iso2.DC_EVSEStatus:
        """The state of the station, of whichever kind it is here."""
        return self.ac_status() if self.current == "ac" else self.dc_status()


def _notification(present: Present | None) -> iso2.EVSENotificationType:
    return "None" if present is None else _NOTIFICATIONS.get(present.notification, "None")


def _delay(present: Present | None) -> int:
    return 0 if present is None else max(0, min(present.delay, 65535))
