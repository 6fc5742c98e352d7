"""A session of ISO 15118-20 that pauses, and who may join it again."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from tests.session.iso20.requests import octets
from tests.session.iso20.world import STATION, VEHICLE, Kept, Meeting, offer, sent, services, told
from v2gpki.energy import Offer, Step
from v2gpki.messages import iso20_common as cm
from v2gpki.session import questions as q
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.notices import Exchanged, Judged

OTHER = b"another vehicle's leaf"


def paused(*, ac: bool = False, control: str = "scheduled") -> tuple[Kept, q.Paused]:
    """What the outlet and what the vehicle kept of a session that has paused."""
    meeting = Meeting(ac=ac, control=control)
    meeting.vehicle_world.steps = {3: Step("pause")}
    meeting.run()
    assert meeting.endings() == ("paused", "paused")
    meeting.in_table()
    [kept] = meeting.vehicle_world.kept.sessions.values()
    assert kept.session_id == meeting.session_id
    return meeting.station_world.kept, kept


def again(
    outlet: Kept, resume: q.Paused, *, ac: bool = False, control: str = "scheduled", leaf: bytes = b""
) -> Meeting:
    """The next session at the outlet, of a vehicle with this TLS certificate."""
    meeting = Meeting(
        ac=ac,
        control=control,
        vehicle=VehicleSettings("EV", resume=resume),
        station_secured=replace(STATION, peer_chain=(leaf,)) if leaf else STATION,
        vehicle_secured=replace(VEHICLE, own_chain=(leaf,)) if leaf else VEHICLE,
    )
    meeting.station_world.kept = outlet
    return meeting.run()


@pytest.mark.judged("pause and resume, bound to the vehicle certificate", edition="iso15118-20", by="ourselves")
@pytest.mark.parametrize(("ac", "control"), [(False, "scheduled"), (True, "dynamic")])
def test_a_paused_session_is_joined(ac: bool, control: str) -> None:
    outlet, kept = paused(ac=ac, control=control)
    second = again(outlet, kept, ac=ac, control=control)
    assert second.endings() == ("stopped", "stopped")
    second.in_table()
    assert second.session_id == kept.session_id
    assert ("SessionSetupRes", "OK_OldSessionJoined") in second.secc.codes()
    # Who pays and for what was settled before.
    asked = second.secc.names(sent=False)
    assert asked[1:3] == ["SessionSetupReq", f"{'AC' if ac else 'DC'}_ChargeParameterDiscoveryReq"]
    assert second.station_world.targets[0].control == control


def test_it_may_say_anew_who_pays() -> None:
    """As EcoG's SECC wants it of a session that it joins."""
    outlet, kept = paused()
    meeting = Meeting(vehicle=VehicleSettings("EV", resume=kept, compat="ecog"))
    meeting.station_world.kept = outlet
    meeting.run()
    assert meeting.endings() == ("stopped", "stopped")
    assert meeting.session_id == kept.session_id
    assert "AuthorizationReq" in meeting.secc.names(sent=False)


def test_a_joined_session_is_joined_once() -> None:
    outlet, kept = paused()
    again(outlet, kept)
    third = again(outlet, kept)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in third.secc.codes()
    assert third.session_id != kept.session_id
    assert third.endings() == ("stopped", "stopped")


def test_another_vehicle_gets_a_new_session() -> None:
    outlet, kept = paused()
    second = again(outlet, kept, leaf=OTHER)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in second.secc.codes()
    assert second.session_id != kept.session_id
    # It has to say anew who pays.
    assert "AuthorizationReq" in second.secc.names(sent=False)
    assert second.endings() == ("stopped", "stopped")
    judged = [n for n in second.secc.notices if isinstance(n, Judged) and n.problem]
    assert [n.problem.code for n in judged if n.problem] == ["session.unknown_session"]
    # The owner can still come back.
    third = again(outlet, kept)
    assert ("SessionSetupRes", "OK_OldSessionJoined") in third.secc.codes()


@pytest.mark.parametrize("wrong", ["edition", "session_id", "vehicle"])
def test_what_was_kept_must_be_this_session(wrong: str) -> None:
    outlet, kept = paused()
    found = outlet.sessions[kept.session_id]
    outlet.sessions[kept.session_id] = {
        "edition": replace(found, edition="iso15118-2"),
        "session_id": replace(found, session_id=b"87654321"),
        "vehicle": replace(found, vehicle=b""),
    }[wrong]
    second = again(outlet, kept)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in second.secc.codes()
    assert second.endings() == ("stopped", "stopped")


def test_a_session_that_nobody_knows_is_a_new_one() -> None:
    _, kept = paused()
    second = again(Kept(), kept)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in second.secc.codes()
    assert second.endings() == ("stopped", "stopped")


def test_a_service_that_is_no_longer_offered_is_not_joined() -> None:
    outlet, kept = paused()
    meeting = Meeting(
        bidirectional=True,
        station=StationSettings(Offer("DE*ABC*E1", services(ac=False, bidirectional=True))),
        vehicle=VehicleSettings("EV", resume=kept),
    )
    meeting.station_world.kept = outlet
    meeting.run()
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in meeting.secc.codes()
    assert meeting.endings() == ("stopped", "stopped")
    # It may be offered again.
    assert kept.session_id in outlet.sessions


def test_a_station_that_cannot_pause_says_so() -> None:
    meeting = Meeting(station=StationSettings(offer(pause=False)))
    meeting.vehicle_world.steps = {3: Step("pause")}
    meeting.run()
    assert meeting.endings() == ("refused:session.pause_not_allowed", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("SessionStopRes", "FAILED_PauseNotAllowed")
    # Power was off before.
    assert not meeting.station_world.closed
    assert not meeting.vehicle_world.kept.sessions


def test_the_station_asks_for_a_pause_before_there_is_power() -> None:
    meeting = Meeting()
    meeting.station_world.go_to_pause = True
    meeting.run()
    assert meeting.endings() == ("paused", "paused")
    meeting.in_table()
    assert not [one for one in meeting.secc.asked if isinstance(one, q.ContactorQuestion)]
    assert [one.ChargingSession for one in sent(meeting, cm.SessionStopReq)] == ["Pause"]
    assert list(meeting.station_world.kept.sessions) == [meeting.session_id]


def test_a_lab_without_certificates_joins_by_the_id_alone() -> None:
    variant = offer().services[0].variants[0]
    old = q.Paused(b"12345678", "iso15118-20", service=2, parameter_set=1, variant=variant)
    meeting = Meeting(
        method="eim",
        station=StationSettings(offer(), lab=True),
        vehicle=VehicleSettings("EV", lab=True, resume=old),
        station_secured=None,
        vehicle_secured=None,
    )
    meeting.station_world.kept.sessions[old.session_id] = old
    meeting.run()
    assert ("SessionSetupRes", "OK_OldSessionJoined") in meeting.secc.codes()
    assert meeting.endings() == ("stopped", "stopped")


def test_a_refused_payer_does_not_come_back_by_a_pause() -> None:
    """Joined, asked anew who pays, refused: nothing is left of the session that a pause could keep."""
    outlet, kept = paused()
    meeting = Meeting(vehicle=VehicleSettings("EV", resume=kept, compat="ecog"))
    meeting.station_world.kept = outlet
    meeting.station_world.more = {q.AuthorizationQuestion: lambda _: q.Decision("rejected")}
    meeting.run()
    frames = [n.octets for n in meeting.evcc.notices if isinstance(n, Exchanged) and n.sent]
    # The same frames once more, then a pause where the vehicle stopped.
    outlet.sessions[kept.session_id] = replace(kept, vehicle=hashlib.sha512(b"vehicle leaf").digest())
    secc, _ = meeting.sides()
    secc.engine.start(0.0)
    now = 0.0
    for frame in frames:
        if secc.states() and secc.states()[-1] == "unauthorised":
            break
        now += 0.01
        secc.engine.receive(frame, now)
        secc.settle(now)
    assert secc.states()[-1] == "unauthorised"
    stop = cm.SessionStopReq(Header=HEADER, ChargingSession="Pause")
    secc.engine.receive(octets(stop, kept.session_id), now + 0.01)
    secc.settle(now + 0.01)
    assert told(secc) == "refused:session.pause_not_allowed"
    assert kept.session_id not in outlet.sessions
