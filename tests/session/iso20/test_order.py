"""Whatever comes, whenever: requests out of sequence in every state, foreign session ids, cut wires, answers that are
late or refused, noise."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from msgspec.structs import replace as changed

from tests.session.iso20.requests import REQUESTS, journeys, octets
from tests.session.iso20.world import Meeting, offer, told
from tests.session.joined import Side, join
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.frames import decode_frame
from v2gpki.messages.schema import Message
from v2gpki.session.iso20.flow import FLOW
from v2gpki.session.iso20.refusals import refusal, requests
from v2gpki.session.iso20.settings import StationSettings, VehicleSettings
from v2gpki.session.notices import Exchanged, Moved
from v2gpki.session.timers import ISO20
from v2gpki.v2gtp import Splitter, build

FOREIGN = b"\x99" * 8


@cache
def places() -> dict[str, tuple[int, tuple[bytes, ...]]]:
    """How to get to every state: which of the journeys, and the frames that the vehicle sends until then."""
    found: dict[str, tuple[int, tuple[bytes, ...]]] = {}
    for number, meeting in enumerate(journeys()):
        meeting.run()
        assert meeting.endings() == ("stopped", "stopped")
        meeting.in_table()
        frames: list[bytes] = []
        for notice in meeting.evcc.notices:
            if isinstance(notice, Exchanged) and notice.sent:
                frames.append(notice.octets)
                found.setdefault(FLOW.begin, (number, tuple(frames)))
            elif isinstance(notice, Moved):
                found.setdefault(notice.then, (number, tuple(frames)))
    for current in ("ac", "dc"):
        number, before = found["scheduled-ac" if current == "ac" else "pre-charged"]
        waiting = changed(REQUESTS["PowerDeliveryReq"], EVProcessing="Ongoing", EVPowerProfile=None)
        session = decode_frame(before[-1])
        assert isinstance(session, cm.V2GRequestType)
        found[f"starting-{current}"] = number, (*before, octets(waiting, session.Header.SessionID))
    return found


def station_in(state: str) -> tuple[Side, Meeting, bytes, float]:
    """A station in a state, the id of its session, and the time."""
    number, frames = places()[state]
    meeting = journeys()[number]
    secc, _ = meeting.sides()
    now = 0.0
    secc.engine.start(now)
    for frame in frames:
        now += 0.01
        secc.engine.receive(frame, now)
        secc.settle(now)
    secc.engine.outgoing()
    assert secc.engine.ending is None
    assert (secc.states() or [FLOW.begin])[-1] == state
    session = decode_frame(frames[-1], handshake=state == FLOW.begin)
    answered = [n.message for n in secc.notices if isinstance(n, Exchanged) and n.sent]
    header = getattr(answered[-1], "Header", None)
    assert session
    return secc, meeting, header.SessionID if header else bytes(8), now


def answer(secc: Side) -> Message:
    """The one message that the station sends now."""
    [frame] = Splitter().feed(secc.engine.outgoing())
    message = decode_frame(frame)
    assert isinstance(message, Message)
    return message


def test_every_state_is_reached() -> None:
    assert set(places()) == {*FLOW.moves, FLOW.over}


def test_every_request_of_the_table_and_of_the_schemas_has_a_refusal() -> None:
    wanted = {move.request for move in FLOW.all_moves()}
    assert wanted <= set(requests())
    assert set(requests()) == set(REQUESTS)
    for name in requests():
        message = refusal(name, "FAILED_SequenceError")
        schema = codec.home_of(message)
        assert codec.decode(codec.encode(message, schema), schema) == message
        assert type(message).__name__ == f"{name[:-1]}s"
    with pytest.raises(V2GPKIError, match="no refusal"):
        refusal("SessionSetupRes", "FAILED")


@pytest.mark.parametrize("state", [state for state in FLOW.states() if state != FLOW.over])
def test_what_is_out_of_sequence_is_refused_in_every_state(state: str) -> None:
    for name, request in REQUESTS.items():
        if name in FLOW.expected(state):
            continue
        secc, _, session, now = station_in(state)
        secc.engine.receive(octets(request, session), now + 0.01)
        secc.settle(now + 0.01)
        message = answer(secc)
        assert type(message).__name__ == f"{name[:-1]}s"
        assert getattr(message, "ResponseCode", "") == "FAILED_SequenceError"
        assert told(secc) == "refused:session.sequence"


@pytest.mark.parametrize("state", [state for state in FLOW.states() if state not in {FLOW.over, FLOW.begin}])
def test_a_foreign_session_id_is_refused_in_every_state(state: str) -> None:
    name = FLOW.expected(state)[0]
    secc, _, session, now = station_in(state)
    assert session != FOREIGN
    secc.engine.receive(octets(REQUESTS[name], FOREIGN), now + 0.01)
    secc.settle(now + 0.01)
    assert getattr(answer(secc), "ResponseCode", "") == "FAILED_UnknownSession"
    assert told(secc) == "refused:session.unknown_session"


@pytest.mark.parametrize("state", [state for state in FLOW.states() if state != FLOW.over])
def test_silence_in_every_state_ends_the_session(state: str) -> None:
    secc, _, _, now = station_in(state)
    assert secc.engine.deadline is not None
    # The SECC waits 60 s for the next request.
    assert secc.engine.deadline == pytest.approx(now + 60)
    secc.engine.tick(secc.engine.deadline - 0.001)
    assert secc.engine.ending is None
    secc.engine.tick(secc.engine.deadline)
    assert told(secc) == "timeout:session.timeout"


def test_a_loop_may_be_held_to_its_own_timer() -> None:
    station = StationSettings(offer(), timers=replace(ISO20, loop_sequence=0.5))
    meeting = Meeting(method="eim", station=station, vehicle=VehicleSettings("EV", loop_pace=0.6))
    meeting.run()
    assert meeting.endings()[0] == "timeout:session.timeout"
    assert meeting.secc.states()[-1] == "charging-dc"
    quick = Meeting(method="eim", station=station, vehicle=VehicleSettings("EV", loop_pace=0.4)).run()
    assert quick.endings() == ("stopped", "stopped")


@pytest.mark.parametrize("progress", ["Start", "Standby", "ScheduleRenegotiation"])
def test_a_content_that_the_table_does_not_have_here_is_out_of_sequence(progress: str) -> None:
    state = {"Start": "scheduled-dc", "Standby": "pre-charged", "ScheduleRenegotiation": "scheduled-ac"}[progress]
    secc, meeting, session, now = station_in(state)
    request = changed(REQUESTS["PowerDeliveryReq"], ChargeProgress=progress)
    secc.engine.receive(octets(request, session), now + 0.01)
    secc.settle(now + 0.01)
    if progress == "Standby":
        # A vehicle may stand by before there was power.
        assert getattr(answer(secc), "ResponseCode", "") == "OK"
        return
    assert getattr(answer(secc), "ResponseCode", "") == "FAILED_SequenceError"
    assert told(secc) == "refused:session.sequence"
    assert not meeting.station_world.closed


# --- cut wires ------------------------------------------------------------------------------------------------------


def total(meeting: Meeting) -> list[tuple[bool, int]]:
    """Every message of a session: whether the vehicle sent it, and its octets."""
    meeting.run()
    return [(n.sent, len(n.octets)) for n in meeting.evcc.notices if isinstance(n, Exchanged)]


def long() -> Meeting:
    """A session with everything in it."""
    return journeys()[0]


def cut(meeting: Meeting, messages: int, within: int) -> tuple[Side, Side]:
    """Run a session over a wire that carries so many messages, and so many octets of the next one."""
    secc, evcc = meeting.sides()
    now, carried = 0.0, 0
    for side in (secc, evcc):
        side.engine.start(now)
        side.settle(now)
    for _ in range(10_000):
        moved = False
        for one, other in ((evcc, secc), (secc, evcc)):
            data = one.engine.outgoing()
            if not data:
                continue
            moved, now, carried = True, now + 0.001, carried + 1
            other.engine.receive(data if carried <= messages else data[:within], now)
            other.settle(now)
            if carried > messages:
                for side in (secc, evcc):
                    side.engine.peer_closed(now)
                    side.settle(now)
                return secc, evcc
        if not moved:
            deadlines = [side.engine.deadline for side in (secc, evcc) if side.engine.deadline is not None]
            if not deadlines:
                return secc, evcc
            now = min(deadlines)
            for side in (secc, evcc):
                side.engine.tick(now)
                side.settle(now)
    raise AssertionError("it does not end")


@pytest.mark.parametrize("within", [0, 5, 12])
@pytest.mark.parametrize("which", [0, 2])
def test_a_wire_that_is_cut_ends_both(which: int, within: int) -> None:
    many = len(total(journeys()[which]))
    assert many > 60
    for messages in range(many):
        secc, evcc = cut(journeys()[which], messages, within)
        for side in (secc, evcc):
            assert side.engine.ending is not None
            assert side.engine.ending.kind in {"peer_closed", "stopped"}
            assert (side.engine.question, side.engine.deadline) == (None, None)


# --- answers --------------------------------------------------------------------------------------------------------


class Slow(Side):
    """A side whose n-th question is answered by nobody."""

    late = -1

    def settle(self, now: float) -> None:
        while self.engine.question is not None:
            if len(self.asked) == self.late:
                break
            settle_one(self, now)
        self.notices += self.engine.notices()


def settle_one(side: Side, now: float) -> None:
    question = side.engine.question
    assert question is not None
    side.asked.append(question)
    try:
        reply = side.answers[type(question)](question)
    except V2GPKIError as problem:
        side.engine.refuse(problem, now)
    else:
        side.engine.answer(reply, now)


class Unwilling(Side):
    """A side that refuses its n-th question."""

    refused = -1

    def settle(self, now: float) -> None:
        while self.engine.question is not None:
            if len(self.asked) == self.refused:
                self.asked.append(self.engine.question)
                self.engine.refuse(V2GPKIError("plugin.failed", "it broke"), now)
            else:
                settle_one(self, now)
        self.notices += self.engine.notices()


def run_with(kind: type[Slow] | type[Unwilling], at: int, *, at_station: bool) -> tuple[Side, Side, bool]:
    """A session in which one side is slow or unwilling once; whether it came to that."""
    meeting = long()
    secc, evcc = meeting.sides()
    plain = secc if at_station else evcc
    odd = kind(plain.engine, plain.answers)
    if isinstance(odd, Slow):
        odd.late = at
    else:
        odd.refused = at
    secc, evcc = (odd, evcc) if at_station else (secc, odd)
    join(secc, evcc, step=0.001)
    return secc, evcc, len(odd.asked) >= at


@pytest.mark.parametrize("kind", [Slow, Unwilling])
@pytest.mark.parametrize("at_station", [True, False])
def test_a_question_that_is_not_answered_hangs_nobody(kind: type[Slow] | type[Unwilling], at_station: bool) -> None:
    reference = long()
    reference.run()
    many = len((reference.secc if at_station else reference.evcc).asked)
    assert many > 30
    for at in range(many):
        secc, evcc, happened = run_with(kind, at, at_station=at_station)
        assert happened
        assert secc.engine.ending is not None
        assert evcc.engine.ending is not None
        # Nobody is left alone: what the station refuses the vehicle hears, what the vehicle cannot do it says.
        kinds = {secc.engine.ending.kind, evcc.engine.ending.kind}
        assert kinds <= {"stopped", "refused", "terminated"}, (at, told(secc), told(evcc))
        assert secc.states()[: len(evcc.states())] == evcc.states()[: len(secc.states())]


# --- noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["connected", "authorised", "charging-dc"])
@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 8,
        b"GET / HTTP/1.1\r\n\r\n",
        build(0x8001, b"\x80"),
        build(0x8002, b""),
        build(0x8002, b"\xff" * 30),
        build(0x8004, b"\x80\x00\x00"),
        build(0x8005, b"\x80\x00"),
        build(0x9000, b"\x10\x00"),
    ],
)
def test_noise_ends_the_session(state: str, noise: bytes) -> None:
    secc, _, _, now = station_in(state)
    secc.engine.receive(noise, now)
    secc.settle(now)
    assert secc.engine.ending is not None
    assert secc.engine.ending.kind == "fault"
    assert secc.engine.outgoing() == b""


def test_a_request_on_the_wrong_stream_is_not_taken() -> None:
    secc, _, session, now = station_in("charging-dc")
    frame = octets(REQUESTS["SessionStopReq"], session)
    secc.engine.receive(build(0x8102, frame[8:]), now)
    assert told(secc) == "fault:session.payload"


def test_a_response_is_no_request() -> None:
    secc, _, session, now = station_in("authorised")
    message = refusal("ServiceDiscoveryReq", "OK")
    secc.engine.receive(octets(message, session), now)
    secc.settle(now)
    assert told(secc) == "fault:session.sequence"
    assert secc.engine.outgoing() == b""


@pytest.mark.parametrize("piece", [1, 3, 7])
def test_octets_may_be_cut_anywhere(piece: int) -> None:
    meeting = Meeting(method="eim").run(piece=piece)
    assert meeting.endings() == ("stopped", "stopped")
