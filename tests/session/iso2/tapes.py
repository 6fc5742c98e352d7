"""Whole sessions on tape, to bring a fresh station or vehicle into any state by playing what was said before.

Sessions of the rig are the same each time: time is a number, and session ids and challenges can be foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from tests.session.iso2.rig import TLS, VEHICLE, Car, Outlet, station, vehicle
from tests.session.joined import Side, join
from v2gpki.messages import codec, iso2
from v2gpki.session.iso2.flow import FLOW
from v2gpki.session.iso2.settings import VehicleSettings
from v2gpki.session.notices import Exchanged, Moved
from v2gpki.session.secured import Secured
from v2gpki.v2gtp import PayloadType, build


@dataclass(frozen=True)
class Kind:
    """How a session on tape is made; ``outlet`` and ``car`` give fresh answers."""

    name: str
    outlet: Callable[[], Outlet]
    car: Callable[[], Car]
    settings: VehicleSettings = VEHICLE
    secured: Secured | None = TLS

    def station(self, **spoilt: Any) -> Side:
        """A fresh station."""
        return station(outlet=self.outlet(), secured=self.secured, **spoilt)

    def vehicle(self, **spoilt: Any) -> Side:
        """A fresh vehicle."""
        return vehicle(self.settings, self.car(), self.secured, **spoilt)


def _slow() -> Outlet:
    return Outlet(ongoing={"authorization": 1, "schedules": 1, "cable": 1, "precharge": 1}, receipts=frozenset({1}))


_AGAIN = replace(VEHICLE, cable_check_again=True)
KINDS = (
    Kind("ac eim", Outlet, Car, secured=None),
    Kind("ac install", _slow, lambda: Car(install=True)),
    Kind("ac update", Outlet, lambda: Car(update=True, turns=1)),
    Kind("dc eim", Outlet, lambda: Car(current="DC"), secured=None),
    Kind("dc contract", _slow, lambda: Car(current="DC", turns=2)),
    Kind("ac again", _slow, lambda: Car(steps={2: "renegotiate"})),
    Kind("dc again", Outlet, lambda: Car(current="DC", steps={2: "renegotiate"})),
    Kind("dc again, cable too", Outlet, lambda: Car(current="DC", steps={2: "renegotiate"}), _AGAIN),
)
BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass
class Tape:
    """A session: what each side said, in order, and the states that the answers led to (from the second on)."""

    kind: Kind
    requests: list[bytes] = field(default_factory=list)
    responses: list[bytes] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def station_after(self, count: int, **spoilt: Any) -> Side:
        """A station that the first requests have come to, and nothing else."""
        return _played(self.kind.station(**spoilt), self.requests[:count])

    def vehicle_after(self, count: int, **spoilt: Any) -> Side:
        """A vehicle that the first answers have come to, and nothing else."""
        return _played(self.kind.vehicle(**spoilt), self.responses[:count])


def _played(side: Side, frames: list[bytes]) -> Side:
    side.engine.start(0.0)
    side.settle(0.0)
    for number, frame in enumerate(frames, 1):
        pause(side)
        side.engine.receive(frame, 0.01 * number)
        side.settle(0.01 * number)
    pause(side)
    side.engine.outgoing()
    return side


def pause(side: Side) -> None:
    """Let the time pass that a side rests before it goes on."""
    engine = side.engine
    while engine.resting:
        assert engine.deadline is not None
        engine.tick(engine.deadline)
        side.settle(engine.now)


@cache
def tape(name: str) -> Tape:
    """The session of a kind."""
    kind = BY_NAME[name]
    secc, evcc = kind.station(), kind.vehicle()
    join(secc, evcc)
    exchanged = [notice for notice in evcc.notices if isinstance(notice, Exchanged)]
    states = [notice.then for notice in evcc.notices if isinstance(notice, Moved)]
    return Tape(
        kind,
        [notice.octets for notice in exchanged if notice.sent],
        [notice.octets for notice in exchanged if not notice.sent],
        [FLOW.begin, *states],
    )


@cache
def states() -> dict[str, tuple[str, int]]:
    """For each state of the flow table a tape, and how many messages lead there (the handshake is one)."""
    found: dict[str, tuple[str, int]] = {}
    for kind in KINDS:
        for count, state in enumerate(tape(kind.name).states, 1):
            found.setdefault(state, (kind.name, count))
    return found


def in_state(state: str, **spoilt: Any) -> Side:
    """A station in a state."""
    name, count = states()[state]
    return tape(name).station_after(count, **spoilt)


@cache
def requests() -> dict[str, iso2.V2G_Message]:
    """One good request of each name."""
    found: dict[str, iso2.V2G_Message] = {}
    for kind in KINDS:
        for octets in tape(kind.name).requests[1:]:
            message = read(octets)
            found.setdefault(type(message.Body.BodyElement).__name__, message)
    return found


def read(octets: bytes) -> iso2.V2G_Message:
    """The message of a frame."""
    message = codec.decode(octets[8:], "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    return message


def written(message: iso2.V2G_Message) -> bytes:
    """The frame of a message."""
    return build(PayloadType.EXI, codec.encode(message, "iso15118-2"))


def with_session(message: iso2.V2G_Message, session_id: bytes) -> bytes:
    """The frame of a message under another session id."""
    header = iso2.MessageHeaderType(SessionID=session_id, Signature=message.Header.Signature)
    return written(iso2.V2G_Message(Header=header, Body=message.Body))


def frames(octets: bytes) -> Iterator[bytes]:
    """The frames in a stream."""
    while octets:
        size = 8 + int.from_bytes(octets[4:8], "big")
        yield octets[:size]
        octets = octets[size:]


def answer_to(side: Side, frame: bytes) -> iso2.V2G_Message | None:
    """What a station says to one more request; None for nothing."""
    engine = side.engine
    engine.receive(frame, engine.now + 0.01)
    side.settle(engine.now)
    sent = list(frames(engine.outgoing()))
    assert len(sent) <= 1
    return read(sent[0]) if sent else None
