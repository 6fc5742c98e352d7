"""What an EVCC of ISO 15118-20 knows of its session, and what its subjects share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from v2gpki.energy.offer import Method
from v2gpki.energy.quantities import Needs, StageLimits, VehicleLimits
from v2gpki.energy.steering import ScheduleChoice, SchedulesOffered
from v2gpki.errors import V2GPKIError
from v2gpki.session.conversation import Asking
from v2gpki.session.engine import Steps
from v2gpki.session.iso20.services import Selected
from v2gpki.session.iso20.settings import VehicleSettings
from v2gpki.session.questions import Question
from v2gpki.session.secured import Secured

ReplyT = TypeVar("ReplyT")


@dataclass(slots=True)
class Trip:
    """What has been settled so far."""

    evse_id: str = ""
    method: Method = "eim"
    emaid: str = ""
    chain: tuple[bytes, ...] = ()
    selected: Selected | None = None
    stage: StageLimits | None = None
    limits: VehicleLimits | None = None
    needs: Needs | None = None
    offered: SchedulesOffered | None = None
    choice: ScheduleChoice | None = None
    #: The vehicle's own contactors.
    connected: bool = False
    #: Why it stops, as the vehicle put it.
    code: str = ""
    explanation: str = ""


class Part:
    """One subject of the vehicle: exchanges over the trip that all subjects share."""

    def __init__(self, vehicle: Asking, settings: VehicleSettings, secured: Secured | None, trip: Trip) -> None:
        self.vehicle = vehicle
        self.settings = settings
        self.secured = secured
        self.trip = trip

    def ask(self, question: Question[ReplyT]) -> Steps[ReplyT]:
        """Ask the driver, for as long as the station waits for the next request."""
        return self.vehicle.ask(question)

    @property
    def selected(self) -> Selected:
        """The service of the session."""
        if self.trip.selected is None:
            raise V2GPKIError("internal.bug", f"no service is selected in the state {self.vehicle.state}")
        return self.trip.selected

    def reached(self, state: str) -> str:
        """The state with the current of the session: `charging` is `charging-dc`."""
        return f"{state}-{self.selected.transfer}"

    def now(self) -> int:
        """Unix seconds."""
        return int(self.vehicle.engine.clock.now().timestamp())

    def again(self, since: float, limit: float, what: str) -> Steps[None]:
        """Wait a moment before a request is repeated. Raises `session.late` when that has gone on for too long."""
        engine = self.vehicle.engine
        if engine.now - since > limit:
            raise V2GPKIError(
                "session.late",
                f"the station has not finished {what} after {limit:g} s",
                clause="ISO 15118-20 8.7.2",
                facts={"what": what},
            )
        yield from engine.rest(self.settings.pace)
