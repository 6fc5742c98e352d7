"""A session of ISO 15118-20 that pauses, and who may join it again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.session.iso20.world import STATION, VEHICLE, Meeting, offer, sent, services
from v2gpki.energy import Offer, Step
from v2gpki.messages import iso20_common as cm
from v2gpki.session import questions as q
from v2gpki.session.iso20.settings import KeptSessions, Paused, StationSettings, VehicleSettings
from v2gpki.session.notices import Judged

OTHER = b"another vehicle's leaf"


def paused(*, ac: bool = False, control: str = "scheduled") -> tuple[KeptSessions, KeptSessions, Meeting]:
    """A session that has paused; what outlet and vehicle kept of it."""
    outlet, inside = KeptSessions(), KeptSessions()
    meeting = Meeting(
        ac=ac,
        control=control,
        station=StationSettings(offer(ac=ac), paused=outlet),
        vehicle=VehicleSettings("EV", paused=inside),
    )
    meeting.vehicle_world.steps = {3: Step("pause")}
    meeting.run()
    assert meeting.endings() == ("paused", "paused")
    meeting.in_table()
    return outlet, inside, meeting


def again(
    outlet: KeptSessions, resume: Paused | None, *, ac: bool = False, control: str = "scheduled", leaf: bytes = b""
) -> Meeting:
    """The next session at the outlet, of a vehicle with this TLS certificate."""
    meeting = Meeting(
        ac=ac,
        control=control,
        station=StationSettings(offer(ac=ac), paused=outlet),
        vehicle=VehicleSettings("EV", resume=resume),
        station_secured=replace(STATION, peer_chain=(leaf,)) if leaf else STATION,
        vehicle_secured=replace(VEHICLE, own_chain=(leaf,)) if leaf else VEHICLE,
    )
    return meeting.run()


@pytest.mark.parametrize(("ac", "control"), [(False, "scheduled"), (True, "dynamic")])
def test_a_paused_session_is_joined(ac: bool, control: str) -> None:
    outlet, inside, first = paused(ac=ac, control=control)
    kept = inside.find(first.session_id)
    assert kept is not None
    second = again(outlet, kept, ac=ac, control=control)
    assert second.endings() == ("stopped", "stopped")
    second.in_table()
    assert second.session_id == first.session_id
    assert ("SessionSetupRes", "OK_OldSessionJoined") in second.secc.codes()
    # Who pays and for what was settled before.
    asked = second.secc.names(sent=False)
    assert asked[1:3] == ["SessionSetupReq", f"{'AC' if ac else 'DC'}_ChargeParameterDiscoveryReq"]
    assert second.station_world.targets[0].control == control
    assert outlet.find(first.session_id) is None


def test_a_joined_session_is_joined_once() -> None:
    outlet, inside, first = paused()
    kept = inside.find(first.session_id)
    again(outlet, kept)
    third = again(outlet, kept)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in third.secc.codes()
    assert third.session_id != first.session_id
    assert third.endings() == ("stopped", "stopped")


def test_another_vehicle_gets_a_new_session() -> None:
    outlet, inside, first = paused()
    second = again(outlet, inside.find(first.session_id), leaf=OTHER)
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in second.secc.codes()
    assert second.session_id != first.session_id
    # It has to say anew who pays.
    assert "AuthorizationReq" in second.secc.names(sent=False)
    assert second.endings() == ("stopped", "stopped")
    judged = [n for n in second.secc.notices if isinstance(n, Judged) and n.problem]
    assert [n.problem.code for n in judged if n.problem] == ["session.unknown_session"]
    # The owner can still come back.
    third = again(outlet, inside.find(first.session_id))
    assert ("SessionSetupRes", "OK_OldSessionJoined") in third.secc.codes()


def test_a_session_that_nobody_knows_is_a_new_one() -> None:
    _, inside, first = paused()
    second = again(KeptSessions(), inside.find(first.session_id))
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in second.secc.codes()
    assert second.endings() == ("stopped", "stopped")


def test_a_service_that_is_no_longer_offered_is_not_joined() -> None:
    outlet, inside, first = paused()
    meeting = Meeting(
        bidirectional=True,
        station=StationSettings(Offer("DE*ABC*E1", services(ac=False, bidirectional=True)), paused=outlet),
        vehicle=VehicleSettings("EV", resume=inside.find(first.session_id)),
    ).run()
    assert ("SessionSetupRes", "OK_NewSessionEstablished") in meeting.secc.codes()
    assert meeting.endings() == ("stopped", "stopped")


@pytest.mark.parametrize(
    "station", [StationSettings(offer()), StationSettings(offer(pause=False), paused=KeptSessions())]
)
def test_a_station_that_cannot_pause_says_so(station: StationSettings) -> None:
    meeting = Meeting(station=station, vehicle=VehicleSettings("EV", paused=KeptSessions()))
    meeting.vehicle_world.steps = {3: Step("pause")}
    meeting.run()
    assert meeting.endings() == ("refused:session.pause_not_allowed", "refused:session.refused")
    assert meeting.secc.codes()[-1] == ("SessionStopRes", "FAILED_PauseNotAllowed")
    # Power was off before.
    assert not meeting.station_world.closed


def test_the_station_asks_for_a_pause_before_there_is_power() -> None:
    outlet = KeptSessions()
    meeting = Meeting(
        station=StationSettings(offer(), paused=outlet), vehicle=VehicleSettings("EV", paused=KeptSessions())
    )
    meeting.station_world.go_to_pause = True
    meeting.run()
    assert meeting.endings() == ("paused", "paused")
    meeting.in_table()
    assert not [one for one in meeting.secc.asked if isinstance(one, q.ContactorQuestion)]
    assert [one.ChargingSession for one in sent(meeting, cm.SessionStopReq)] == ["Pause"]
    assert outlet.find(meeting.session_id) is not None


def test_a_lab_without_certificates_joins_by_the_id_alone() -> None:
    outlet = KeptSessions()
    outlet.keep(Paused(b"12345678", "eim", 2, 1))
    resume = Paused(b"12345678", "eim", 2, 1, variant=offer().services[0].variants[0])
    meeting = Meeting(
        method="eim",
        station=StationSettings(offer(), paused=outlet, lab=True),
        vehicle=VehicleSettings("EV", lab=True, resume=resume),
        station_secured=None,
        vehicle_secured=None,
    ).run()
    assert ("SessionSetupRes", "OK_OldSessionJoined") in meeting.secc.codes()
    assert meeting.endings() == ("stopped", "stopped")


def test_only_so_many_are_kept() -> None:
    kept = KeptSessions(most=2)
    for number in range(1, 4):
        kept.keep(Paused(bytes([number]) * 8, "eim", 2, 1))
    assert [bool(kept.find(bytes([number]) * 8)) for number in range(1, 4)] == [False, True, True]
