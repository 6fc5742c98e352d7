"""The wire is cut, or falls silent, wherever it can be: both sides end, and nobody hangs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.session.iso2.tapes import BY_NAME, Tape, tape
from tests.session.joined import Side, join
from v2gpki.errors import V2GPKIError
from v2gpki.session.notices import Ending

NAMES = list(BY_NAME)


def ended(side: Side) -> Ending:
    """How a side ended."""
    assert side.engine.ending is not None
    assert (side.engine.question, side.engine.deadline) == (None, None)
    return side.engine.ending


def places(frame: bytes) -> list[int]:
    """Where a frame is cut: before it, within its header, between header and payload, in the payload."""
    return [0, 1, 7, 8, 9, len(frame) // 2, len(frame) - 1]


def sides(name: str, count: int) -> Iterator[tuple[Side, list[bytes]]]:
    """Station and vehicle after so many messages, and what would come next."""
    said: Tape = tape(name)
    yield said.station_after(count), said.requests[count:]
    yield said.vehicle_after(count), said.responses[count:]


@pytest.mark.parametrize("name", NAMES)
def test_the_peer_closes_at_every_message(name: str) -> None:
    for count in range(len(tape(name).requests)):
        for side, coming in sides(name, count):
            frame = coming[0]
            for place in places(frame) if count < 12 else [0, 9]:
                fresh = side if place == 0 else next(s for s, c in sides(name, count) if c[0] == frame)
                fresh.engine.receive(frame[:place], 5.0)
                assert fresh.engine.ending is None
                fresh.engine.peer_closed(5.0)
                ending = ended(fresh)
                assert ending.kind == "peer_closed"
                assert ending.problem is not None
                assert ending.problem.code == ("v2gtp.truncated" if place else "session.peer_closed")


def test_every_octet_of_a_session_may_be_the_last() -> None:
    """The shortest session: each octet that the vehicle sends, and none after it."""
    said = tape("ac eim")
    stream = b"".join(said.requests)
    boundaries = {sum(len(frame) for frame in said.requests[:count]) for count in range(len(said.requests))}
    side = BY_NAME["ac eim"].station()
    side.engine.start(0.0)
    for size in range(len(stream)):
        # What came is one station's story up to here; a copy of it cannot be had, so it is played anew when it ends.
        fresh = BY_NAME["ac eim"].station()
        fresh.engine.start(0.0)
        position = 0
        for frame in said.requests:
            piece = frame[: max(0, size - position)]
            position += len(frame)
            fresh.engine.receive(piece, 1.0)
            fresh.settle(1.0)
        fresh.engine.peer_closed(2.0)
        problem = ended(fresh).problem
        assert problem is not None
        assert problem.code == ("session.peer_closed" if size in boundaries else "v2gtp.truncated")


@pytest.mark.parametrize("name", NAMES)
def test_silence_at_every_message(name: str) -> None:
    """Each side gives up by the timer that the standard has for it."""
    for count in range(len(tape(name).requests)):
        secc, evcc = (side for side, _ in sides(name, count))
        for side in (secc, evcc):
            deadline = side.engine.deadline
            assert deadline is not None
            side.engine.tick(deadline - 0.001)
            assert side.engine.ending is None
            side.engine.tick(deadline)
            ending = ended(side)
            assert ending.kind == "timeout"
            assert ending.problem is not None
            assert ending.problem.code == "session.timeout"


@pytest.mark.parametrize("name", NAMES)
def test_silence_in_the_middle_of_a_message_is_silence(name: str) -> None:
    """One octet more does not wind the timer up."""
    for count in range(len(tape(name).requests)):
        for side, coming in sides(name, count):
            deadline = side.engine.deadline
            assert deadline is not None
            side.engine.receive(coming[0][:9], deadline - 0.01)
            assert side.engine.deadline == deadline
            side.engine.tick(deadline)
            assert ended(side).kind == "timeout"


class Tongue(Side):
    """A side that leaves one question unanswered until it is late, or refuses it by a code."""

    def __init__(self, side: Side, which: int, code: str = "") -> None:
        super().__init__(side.engine, side.answers)
        self.which = which
        self.code = code
        self.held: object = None
        self.late: object = None

    def settle(self, now: float) -> None:
        """Answer the others."""
        while self.engine.question is not None and self.engine.question is not self.held:
            if len(self.asked) == self.which:
                self.held = self.late = self.engine.question
                self.asked.append(self.held)
                if self.code:
                    self.engine.refuse(V2GPKIError(self.code, "the driver cannot"), now)
                    continue
                self.notices += self.engine.notices()
                return
            before = self.engine.question
            self.asked.append(before)
            self.engine.answer(self.answers[type(before)](before), now)
        self.notices += self.engine.notices()


def tape_questions(name: str, whose: str) -> int:
    """How many questions a side asks in the session on tape."""
    secc, evcc = BY_NAME[name].station(), BY_NAME[name].vehicle()
    join(secc, evcc)
    return len((secc if whose == "secc" else evcc).asked)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("whose", ["secc", "evcc"])
@pytest.mark.parametrize("code", ["", "environment.failed"])
def test_every_question_late_or_refused(name: str, whose: str, code: str) -> None:
    kind = BY_NAME[name]
    late = 0
    while True:
        secc, evcc = kind.station(), kind.vehicle()
        tongue = Tongue(secc if whose == "secc" else evcc, late, code)
        join(tongue if whose == "secc" else secc, evcc if whose == "secc" else tongue)
        assert ended(secc if whose == "evcc" else tongue)
        assert ended(evcc if whose == "secc" else tongue)
        if tongue.late is None:
            break
        late += 1
    # As many as there are when all are answered.
    whole = tape_questions(name, whose)
    assert late == whole > 7
