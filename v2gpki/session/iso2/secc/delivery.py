"""PowerDelivery: start, stop, renegotiate; and SessionStop (ISO 15118-2 8.4.3.9, 8.4.3.12).

A start needs one of the schedules that were offered and a profile within it; a stop is not refused for either: whoever
wants the contactors open gets them open.
"""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Steps
from v2gpki.session.iso2 import schedules
from v2gpki.session.iso2.secc.visit import Visit
from v2gpki.session.iso2.settings import PausedSession
from v2gpki.session.iso2.values import taken
from v2gpki.session.notices import Ending
from v2gpki.session.questions import ContactorQuestion, Schedule

_CLAUSE = "ISO 15118-2 8.4.3.9"
_THEN = {"Start": "charging", "Stop": "stopped", "Renegotiate": "renegotiating"}


def power_delivery(visit: Visit, heard: Heard) -> Steps[Answer]:
    """Do what the vehicle wants with the contactors."""
    request = taken(heard, iso2.PowerDeliveryReq)
    then = f"{_THEN[request.ChargeProgress]}-{visit.current}"
    if then not in visit.dialect.flow.after(visit.state, heard.name):
        raise V2GPKIError(
            "session.not_delivered",
            f"ChargeProgress {request.ChargeProgress} makes no sense in the state {visit.state}",
            clause=_CLAUSE,
            facts={"progress": request.ChargeProgress, "state": visit.state},
        )
    if request.ChargeProgress == "Start":
        chosen = _offered(visit, request.SAScheduleTupleID)
        profile = schedules.profile_read(request.ChargingProfile)
        schedules.require_within(profile, chosen)
        yield from _switch(visit, ContactorQuestion(True, chosen.number, profile))
        visit.chosen = chosen.number
    elif request.ChargeProgress == "Stop":
        yield from _switch(visit, ContactorQuestion(False, visit.chosen))
    status = visit.ac_status() if visit.current == "ac" else visit.dc_status(_code(request.ChargeProgress))
    return Answer(iso2.PowerDeliveryRes(ResponseCode="OK", EVSEStatus=status), then)


def _code(progress: iso2.chargeProgressType) -> iso2.DC_EVSEStatusCodeType:
    return "EVSE_Shutdown" if progress == "Stop" else "EVSE_Ready"


def _offered(visit: Visit, number: int) -> Schedule:
    found = next((schedule for schedule in visit.schedules if schedule.number == number), None)
    if found is None:
        raise V2GPKIError(
            "session.wrong_schedule",
            f"SAScheduleTupleID {number} is none of {', '.join(str(schedule.number) for schedule in visit.schedules)}",
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
    if pauses and visit.settings.paused is not None and visit.method is not None and visit.transfer_mode is not None:
        visit.settings.paused.keep(
            PausedSession(visit.session_id, visit.evcc_id, visit.method, visit.transfer_mode, visit.chosen)
        )
    return Answer(iso2.SessionStopRes(ResponseCode="OK"), ends=Ending("paused" if pauses else "stopped"))
