"""What an SECC of ISO 15118-20 knows of its session, and what its subjects share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from v2gpki.energy.offer import Method
from v2gpki.energy.quantities import Needs, StageLimits, VehicleLimits
from v2gpki.energy.schedule import PowerSchedule, Schedule
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.session.conversation import Answer, Answering, Handler
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.services import Selected
from v2gpki.session.iso20.settings import StationSettings
from v2gpki.session.secured import Secured

RequestT = TypeVar("RequestT", bound=Message)


@dataclass(slots=True)
class Course:
    """What has been settled so far."""

    evcc_id: str = ""
    method: Method = "eim"
    emaid: str = ""
    chain: tuple[bytes, ...] = ()
    challenge: bytes = b""
    selected: Selected | None = None
    vehicle: VehicleLimits | None = None
    stage: StageLimits | None = None
    needs: Needs | None = None
    schedules: tuple[Schedule, ...] = ()
    chosen: Schedule | None = None
    profile: PowerSchedule | None = None
    closed: bool = False
    #: The reading that waits for its confirmation, its signature, and since when it waits.
    issued: cm.SignedMeteringData | None = None
    issued_signature: Signature | None = None
    issued_at: float = 0.0


class Part:
    """One subject of the station: handlers over the course that all subjects share."""

    def __init__(self, station: Answering, settings: StationSettings, secured: Secured | None, course: Course) -> None:
        self.station = station
        self.settings = settings
        self.secured = secured
        self.course = course
        #: Since when a request is answered with Ongoing, by its name.
        self.ongoing: dict[str, float] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """The requests of this subject."""
        raise NotImplementedError

    @property
    def selected(self) -> Selected:
        """The service of the session; the flow table lets nothing through that needs one before there is one."""
        if self.course.selected is None:
            raise V2GPKIError("internal.bug", f"no service is selected in the state {self.station.state}")
        return self.course.selected

    @property
    def vehicle_digest(self) -> bytes:
        """SHA-512 of the vehicle's TLS certificate, b"" without one."""
        chain = self.secured.peer_chain if self.secured else ()
        return hashlib.sha512(chain[0]).digest() if chain else b""

    def reached(self, state: str) -> str:
        """The state with the current of the session: `charging` is `charging-dc`."""
        return f"{state}-{self.selected.transfer}"

    def require_step(self, request: str, then: str) -> None:
        """A request that the table has, with a content that it does not have here, is out of sequence too."""
        if then not in self.station.dialect.flow.after(self.station.state, request):
            raise V2GPKIError(
                "session.sequence",
                f"{request} does not lead from {self.station.state} to {then}",
                clause="ISO 15118-20 8.8",
                facts={"request": request, "state": self.station.state, "then": then},
            )

    def still_ongoing(self, request: str, limit: float, what: str) -> None:
        """Note that a request gets Ongoing. Raises `session.late` when that has gone on for too long."""
        now = self.station.engine.now
        since = self.ongoing.setdefault(request, now)
        if now - since > limit:
            raise V2GPKIError("session.late", f"{what} took longer than {limit:g} s", clause="ISO 15118-20 8.7.2")

    def finished(self, request: str) -> None:
        """The request is no longer answered with Ongoing."""
        self.ongoing.pop(request, None)


def of(kind: type[RequestT], answer: Callable[[RequestT], Steps[Answer]]) -> Handler:
    """A handler of one kind of request."""

    def handle(request: Heard) -> Steps[Answer]:
        if not isinstance(request.body, kind):
            raise V2GPKIError("internal.bug", f"{request.name} is no {kind.__name__}")
        return answer(request.body)

    return handle
