"""Requests and responses of ISO 15118-20 that decode and make no sense: nothing but a refusal, an end in order, or an
answer comes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import fields
from msgspec.structs import replace as changed

from tests.session.iso20.requests import octets
from tests.session.iso20.test_order import station_in
from tests.session.iso20.world import Meeting
from tests.session.joined import join
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec
from v2gpki.messages.frames import decode_frame
from v2gpki.messages.iso20_types import MessageHeaderType, RationalNumberType, V2GMessageType
from v2gpki.messages.schema import Message
from v2gpki.session.notices import Exchanged, Moved
from v2gpki.v2gtp import Splitter, build

ODD = st.one_of(
    st.builds(RationalNumberType, Exponent=st.integers(-128, 127), Value=st.integers(-32768, 32767)),
    st.sampled_from(
        [
            RationalNumberType(Exponent=127, Value=32767),
            RationalNumberType(Exponent=127, Value=-32768),
            RationalNumberType(Exponent=-128, Value=1),
            RationalNumberType(Exponent=0, Value=0),
        ]
    ),
)
INTEGERS = st.one_of(st.sampled_from([0, 1, 2, 255, 65_535, 2**32 - 1, 2**64 - 1]), st.integers(0, 2**32))
TEXTS = st.sampled_from(["", "x" * 300, "\U0001f50c", "EV"])


def odd(draw: st.DrawFn, value: object) -> object:
    """A value of the same shape, with something odd in it."""
    if isinstance(value, MessageHeaderType):
        return value
    if isinstance(value, RationalNumberType):
        return draw(ODD) if draw(st.booleans()) else value
    if isinstance(value, Message):
        return changed(value, **{one.name: odd(draw, getattr(value, one.name)) for one in fields(value)})
    if isinstance(value, tuple):
        made = tuple(odd(draw, one) for one in value)
        return made * draw(st.sampled_from([1, 1, 1, 2]))
    if isinstance(value, bool):
        return draw(st.booleans())
    if isinstance(value, int):
        return draw(INTEGERS) if draw(st.booleans()) else value
    if isinstance(value, bytes):
        return draw(st.binary(max_size=40)) if draw(st.booleans()) else value
    return value


@st.composite
def odd_requests(draw: st.DrawFn) -> tuple[str, V2GMessageType]:
    """A state, and a request that may come in it, as a vehicle sent it but for some odd values."""
    state, message = draw(st.sampled_from(CORPUS))
    made = odd(draw, message)
    assert isinstance(made, V2GMessageType)
    return state, made


def corpus() -> list[tuple[str, V2GMessageType]]:
    """Every request of eight sessions, with the state that it came in."""
    found: dict[tuple[str, str], tuple[str, V2GMessageType]] = {}
    for ac in (False, True):
        for both in (False, True):
            for control in ("scheduled", "dynamic"):
                meeting = Meeting(ac, both, control)
                meeting.run()
                state = ""
                for notice in meeting.secc.notices:
                    if isinstance(notice, Moved):
                        state = notice.then
                    elif isinstance(notice, Exchanged) and not notice.sent and state:
                        assert isinstance(notice.message, V2GMessageType)
                        key = (state, str([type(one) for one in parts(notice.message)]))
                        found.setdefault(key, (state, notice.message))
    return list(found.values())


def parts(message: Message) -> list[object]:
    return [getattr(message, one.name) for one in fields(message)]


CORPUS = corpus()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(odd_requests())
def test_odd_requests(case: tuple[str, V2GMessageType]) -> None:
    state, message = case
    secc, _, session, now = station_in(state)
    try:
        frame = octets(message, session)
    except V2GPKIError:
        return  # no schema writes that
    secc.engine.receive(frame, now + 0.01)
    secc.settle(now + 0.01)
    sent = Splitter().feed(secc.engine.outgoing())
    # One answer that decodes, and an end if it failed.
    assert len(sent) == 1
    answer = decode_frame(sent[0])
    code = str(getattr(answer, "ResponseCode", ""))
    assert code
    assert (secc.engine.ending is not None) == (
        code.startswith("FAILED") or (type(answer).__name__ == "SessionStopRes" and secc.states()[-1] == "over")
    )
    if secc.engine.ending is not None and secc.engine.ending.problem is not None:
        assert not secc.engine.ending.problem.code.startswith("internal.")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_odd_responses(data: st.DataObject) -> None:
    """The station's n-th response is odd: the vehicle ends somehow, and nobody hangs."""
    at = data.draw(st.integers(1, 20))
    kind = data.draw(st.tuples(st.booleans(), st.booleans(), st.sampled_from(["scheduled", "dynamic"])))
    meeting = Meeting(*kind, method="eim")
    secc, evcc = meeting.sides()
    heard = {"count": 0}
    original = evcc.engine.receive

    def twisted(octets: bytes, now: float) -> None:
        heard["count"] += 1
        original(_odd_frame(octets, data) if heard["count"] == at + 1 else octets, now)

    # The wire changes what goes over it.
    pytest.MonkeyPatch().setattr(evcc.engine, "receive", twisted)
    join(secc, evcc, step=0.001)
    for side in (secc, evcc):
        problem = side.engine.ending.problem if side.engine.ending else None
        assert problem is None or not problem.code.startswith("internal.")


def _odd_frame(frame: bytes, data: st.DataObject) -> bytes:
    message = decode_frame(frame)
    made: Any = data.draw(st.composite(lambda draw: odd(draw, message))())
    try:
        return build(int.from_bytes(frame[2:4], "big"), codec.encode(made, codec.home_of(made)))
    except V2GPKIError:
        return frame


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["connected", "authorised", "charging-dc"]),
    st.binary(max_size=80),
    st.sampled_from(range(0x8001, 0x8005)),
)
def test_octets_that_are_nothing(state: str, noise: bytes, payload_type: int) -> None:
    secc, _, _, now = station_in(state)
    secc.engine.receive(build(payload_type, noise), now)
    secc.settle(now)
    # Nothing is raised; what can be read is out of place and refused.
    assert secc.engine.ending is not None or secc.engine.outgoing()
