"""Whatever comes: never an exception that nobody handles, always an answer or an end.

The first octets of a station, octets within a session, and every message of a session with odd values in it, at the
station and at the vehicle.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.session.iso2.tapes import BY_NAME, KINDS, frames, pause, read, tape, written
from tests.session.joined import Side
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.schema import Message

#: Values that some field of a message may get in place of its own.
_ODD_INTS = st.sampled_from([-32768, -1, 0, 1, 2, 7, 100, 101, 255, 256, 32767, 65535, 2**31, 2**32 - 1, 2**63 - 1])
_ODD_OCTETS = st.sampled_from([b"", b"\0", bytes(6), bytes(8), b"\1" * 8, b"\xff" * 16, b"\2" * 16, b"x" * 64])
_ODD_TEXT = st.sampled_from(["", "Z", "DEABCC123ABC56", "DE-ABC-C123ABC56-X", "\x00", "ä" * 7, "x" * 37, "id1"])


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values in a message that hold no others."""
    if isinstance(value, Message):
        return [leaf for name in value.__struct_fields__ for leaf in _leaves(getattr(value, name), (*path, name))]
    if isinstance(value, tuple):
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, (*path, number))]
    return [path]


def _changed(value: object, path: tuple[str | int, ...], data: st.DataObject) -> object:
    """The same with another value at a path."""
    if not path:
        return _odd(value, data)
    first, rest = path[0], path[1:]
    if isinstance(value, Message) and isinstance(first, str):
        return replace(value, **{first: _changed(getattr(value, first), rest, data)})
    assert isinstance(value, tuple)
    assert isinstance(first, int)
    return (*value[:first], _changed(value[first], rest, data), *value[first + 1 :])


#: Words that one or the other field of -2 has.
_WORDS = st.sampled_from(
    [
        "Start", "Stop", "Renegotiate", "Terminate", "Pause", "Finished", "Ongoing",
        "Ongoing_WaitingForCustomerInteraction", "AC_single_phase_core", "DC_core", "DC_unique", "Contract",
        "ExternalPayment", "W", "V", "A", "Wh", "s", "h", "None", "StopCharging", "ReNegotiation", "Valid", "Fault",
        "Invalid", "EVSE_Ready", "EVSE_Shutdown", "EVSE_Malfunction", "Reserved_8", "Reserved_A", "NoData",
        "NO_ERROR", "OK", "OK_OldSessionJoined", "OK_NewSessionEstablished", "OK_CertificateExpiresSoon", "FAILED",
    ]
)  # fmt: skip


def _odd(value: object, data: st.DataObject) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return data.draw(_ODD_INTS)
    if isinstance(value, bytes):
        return data.draw(_ODD_OCTETS)
    if isinstance(value, str):
        return data.draw(st.one_of(_WORDS, _ODD_TEXT))
    return data.draw(st.one_of(st.none(), _ODD_INTS, _ODD_OCTETS, _ODD_TEXT, st.booleans()))


def _spoilt(frame: bytes, data: st.DataObject) -> bytes:
    """A frame with odd values, as far as a message can be written with them."""
    message = read(frame)
    for _ in range(data.draw(st.integers(1, 6))):
        body = message.Body.BodyElement
        leaves = _leaves(body)
        if not leaves:
            break
        # Any: whether it is a body still is what writing finds out.
        odd: Any = _changed(body, data.draw(st.sampled_from(leaves)), data)
        candidate = iso2.V2G_Message(Header=message.Header, Body=iso2.BodyType(BodyElement=odd))
        try:
            read(written(candidate))
        except (V2GPKIError, TypeError, ValueError, AttributeError, OverflowError):
            continue
        message = candidate
    return written(message)


def _settled(side: Side) -> None:
    """A side has answered, or goes on by itself, or is over."""
    pause(side)
    engine = side.engine
    assert engine.question is None
    assert engine.ending is not None or engine.deadline is not None
    for frame in frames(engine.outgoing()):
        read(frame)


@given(st.binary(max_size=64))
def test_the_first_octets_of_a_station(octets: bytes) -> None:
    secc = BY_NAME["ac eim"].station()
    secc.engine.start(0.0)
    secc.engine.receive(octets, 0.1)
    secc.settle(0.1)
    assert secc.engine.ending is not None or secc.engine.deadline is not None
    secc.engine.peer_closed(0.2)
    assert secc.engine.ending is not None


@given(st.data())
def test_octets_within_a_session(data: st.DataObject) -> None:
    """One frame of a session with some of its octets changed, or cut, or with more behind it."""
    said = tape(data.draw(st.sampled_from([kind.name for kind in KINDS])))
    count = data.draw(st.integers(0, len(said.requests) - 1))
    at_station = data.draw(st.booleans())
    side = said.station_after(count) if at_station else said.vehicle_after(count)
    frame = bytearray((said.requests if at_station else said.responses)[count])
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    side.engine.receive(bytes(frame) + data.draw(st.binary(max_size=12)), side.engine.now + 0.01)
    side.settle(side.engine.now)
    pause(side)
    assert side.engine.ending is not None or side.engine.deadline is not None
    side.engine.peer_closed(side.engine.now)
    assert side.engine.ending is not None


@settings(max_examples=200)
@given(st.data())
def test_odd_values_at_the_station(data: st.DataObject) -> None:
    said = tape(data.draw(st.sampled_from([kind.name for kind in KINDS])))
    count = data.draw(st.integers(1, len(said.requests) - 1))
    frame = _spoilt(said.requests[count], data)
    secc = said.station_after(count)
    secc.engine.receive(frame, secc.engine.now + 0.01)
    secc.settle(secc.engine.now)
    assert len(list(frames(secc.engine.outgoing()))) == 1
    _settled(secc)


@settings(max_examples=200)
@given(st.data())
def test_odd_values_at_the_vehicle(data: st.DataObject) -> None:
    said = tape(data.draw(st.sampled_from([kind.name for kind in KINDS])))
    count = data.draw(st.integers(1, len(said.responses) - 1))
    frame = _spoilt(said.responses[count], data)
    evcc = said.vehicle_after(count)
    evcc.engine.receive(frame, evcc.engine.now + 0.01)
    evcc.settle(evcc.engine.now)
    _settled(evcc)
