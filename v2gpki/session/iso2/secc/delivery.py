"""PowerDelivery: start, stop, renegotiate; and SessionStop (ISO 15118-2 8.4.3.9, 8.4.3.12).

A start needs one of the schedules that were offered and a profile within it; a stop is not refused for either: whoever
wants the contactors open gets them open.
"""

from __future__ import annotations

from v2gpki.energy.quantities import StageState
from v2gpki.energy.schedule import Schedule
from v2gpki.energy.steering import Control
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.secc.services import CHARGING, evcc_name
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.values import taken
from v2gpki.session.iso2.words import MODES
from v2gpki.session.notices import Ending, Remarked
from v2gpki.session.questions import ContactorQuestion, Paused, PauseQuestion

_CLAUSE = "ISO 15118-2 8.4.3.9"
_THEN = {"Start": "charging", "Stop": "stopped", "Renegotiate": "renegotiating"}


def power_delivery(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Do what the vehicle wants with the contactors."""
    request = taken(heard, iso2.PowerDeliveryReq)
    then = f"{_THEN[request.ChargeProgress]}-{visit.current.lower()}"
    if then not in visit.dialect.flow.after(visit.state, heard.name):
        raise V2GPKIError(
            "session.not_delivered",
            f"ChargeProgress {request.ChargeProgress} makes no sense in the state {visit.state}",
            clause=_CLAUSE,
            facts={"progress": request.ChargeProgress, "state": visit.state},
        )
    if request.ChargeProgress == "Start":
        chosen = _offered(visit, request.SAScheduleTupleID)
        profile = schedules.profile_read(request.ChargingProfile, visit.offered_at)
        schedules.require_within(profile, chosen.power)
        yield from _switch(visit, ContactorQuestion(True, chosen.identifier, profile))
        visit.chosen, visit.profile = chosen.identifier, profile
    elif request.ChargeProgress == "Stop":
        yield from _switch(visit, ContactorQuestion(False, visit.chosen))
    visit.control = Control()
    state: StageState = "shutdown" if request.ChargeProgress == "Stop" else "ready"
    status = visit.ac_status() if visit.current == "AC" else visit.dc_status(state)
    return Answer(iso2.PowerDeliveryRes(ResponseCode="OK", EVSEStatus=status), then)


def _offered(visit: Visit, number: int) -> Schedule:
    found = next((schedule for schedule in visit.schedules if schedule.identifier == number), None)
    if found is None:
        raise V2GPKIError(
            "session.wrong_schedule",
            f"SAScheduleTupleID {number} was not offered",
            clause=_CLAUSE,
            facts={"schedule": number},
        )
    return found


def _switch(visit: Visit, question: ContactorQuestion) -> Steps[None]:
    try:
        yield from visit.ask(question)
    except V2GPKIError as problem:
        if problem.outcome.iso2 and problem.code != "session.late":
            raise
        what = "close" if question.closed else "open"
        raise V2GPKIError(
            "session.not_delivered", f"the contactors do not {what}: {problem.message}", clause=_CLAUSE
        ) from problem
    visit.closed = question.closed


def session_stop(visit: Visit, heard: Heard) -> Steps[Answer]:
    """The end, or a pause; contactors that are closed still, after a renegotiation, open."""
    request = taken(heard, iso2.SessionStopReq)
    if visit.closed:
        yield from _switch(visit, ContactorQuestion(False, visit.chosen))
    pauses = request.ChargingSession == "Pause"
    if pauses:
        yield from _keep(visit)
    return Answer(iso2.SessionStopRes(ResponseCode="OK"), ends=Ending("paused" if pauses else "stopped"))


def _keep(visit: Visit) -> Steps[None]:
    """What the vehicle needs to come back to; who keeps nothing lets it begin anew."""
    if not visit.settings.offer.pause or visit.method is None or visit.transfer_mode is None:
        visit.engine.tell(Remarked(visit.engine.now, "the vehicle pauses, and nothing is kept of its session"))
        return
    paused = Paused(
        visit.session_id,
        visit.dialect.edition,
        evcc_name(visit),
        visit.method,
        visit.emaid,
        visit.chain,
        service=CHARGING,
        parameter_set=tuple(MODES).index(visit.transfer_mode),
    )
    try:
        yield from visit.ask(PauseQuestion(paused))
    except V2GPKIError as problem:
        visit.engine.tell(Remarked(visit.engine.now, f"nothing is kept of the paused session: {problem.message}"))
