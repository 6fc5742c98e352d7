"""The machine under the sessions: handshake and first exchange joined, cut, late, early, broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.session.joined import Side, join
from v2gpki.clock import FixedClock
from v2gpki.messages import codec, iso2
from v2gpki.messages.app_protocol import AppProtocolType, supportedAppProtocolReq
from v2gpki.session import handshake
from v2gpki.session.conversation import Answer, Answering, Asking
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.iso2.dialect import ISO2Dialect
from v2gpki.session.notices import Agreed, Ending
from v2gpki.session.questions import CableCheckQuestion
from v2gpki.session.secured import Secured
from v2gpki.v2gtp import PayloadType, build

CLOCK = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
SESSION = bytes.fromhex("0102030405060708")
MUTUAL = Secured("1.3", "TLS_AES_256_GCM_SHA384", "secp521r1", (b"leaf",), (b"own",))


class OneAnswer(Answering):
    """A station that sets a session up, and stops it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, ISO2Dialect())
        self.handlers = {"SessionSetupReq": self._set_up, "SessionStopReq": self._stop}

    def _set_up(self, _: Heard) -> Steps[Answer]:
        yield from ()
        self.session_id = SESSION
        return Answer(iso2.SessionSetupRes(ResponseCode="OK_NewSessionEstablished", EVSEID="DE*ABC*E1"))

    def _stop(self, _: Heard) -> Steps[Answer]:
        yield from ()
        return Answer(iso2.SessionStopRes(ResponseCode="OK"), ends=Ending("stopped"))


class OneQuestion(Asking):
    """A vehicle that sets a session up, and stops it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, ISO2Dialect())

    def run(self) -> Steps[Ending]:
        yield from self.exchange(iso2.SessionSetupReq(EVCCID=bytes(6)), iso2.SessionSetupRes)
        assert self.last is not None
        self.session_id = self.last.session_id
        yield from self.exchange(iso2.SessionStopReq(ChargingSession="Terminate"), iso2.SessionStopRes)
        return Ending("stopped")


def station(engine: Engine) -> Steps[Ending]:
    yield from handshake.choose(engine, [handshake.ISO2], within=20)
    return (yield from OneAnswer(engine).run())


def vehicle(engine: Engine) -> Steps[Ending]:
    yield from handshake.propose(engine, [handshake.ISO20_DC, handshake.ISO2], within=2)
    return (yield from OneQuestion(engine).run())


@pytest.mark.parametrize("piece", [0, 1, 3, 7])
def test_a_session_however_its_octets_are_cut(piece: int) -> None:
    secc, evcc = Side(Engine(station, clock=CLOCK), {}), Side(Engine(vehicle, clock=CLOCK), {})
    join(secc, evcc, piece=piece, step=0.001)
    assert (secc.engine.ending, evcc.engine.ending) == (Ending("stopped"), Ending("stopped"))
    assert secc.names(sent=False) == ["supportedAppProtocolReq", "SessionSetupReq", "SessionStopReq"]
    assert evcc.names(sent=False) == secc.names(sent=True)
    assert secc.states() == evcc.states() == ["set-up", "over"]
    agreed = [notice for notice in evcc.notices if isinstance(notice, Agreed)]
    assert [notice.edition for notice in agreed] == ["iso15118-2"]


def heard(*octets: bytes) -> Engine:
    """A station that these octets came to."""
    engine = Engine(station, clock=CLOCK)
    engine.start(0.0)
    for number, piece in enumerate(octets):
        engine.receive(piece, 0.1 * number)
    return engine


def hello(namespace: str = "urn:iso:15118:2:2013:MsgDef", major: int = 2, minor: int = 0) -> bytes:
    entry = AppProtocolType(
        ProtocolNamespace=namespace, VersionNumberMajor=major, VersionNumberMinor=minor, SchemaID=9, Priority=1
    )
    return build(PayloadType.EXI, codec.encode(supportedAppProtocolReq(AppProtocol=(entry,))))


def message(body: iso2.SessionSetupReq | iso2.SessionStopReq | iso2.ServiceDiscoveryReq, session: bytes) -> bytes:
    header = iso2.MessageHeaderType(SessionID=session)
    return build(
        PayloadType.EXI, codec.encode(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=body)))
    )


def response(engine: Engine) -> iso2.V2G_Message:
    """The last message that is to be sent."""
    octets = engine.outgoing()
    start = octets.rindex(b"\x01\xfe\x80\x01")
    read = codec.decode(octets[start + 8 :], "iso15118-2")
    assert isinstance(read, iso2.V2G_Message)
    return read


SET_UP = message(iso2.SessionSetupReq(EVCCID=bytes(6)), bytes(8))


def test_what_no_other_protocol_fits_is_refused() -> None:
    engine = heard(hello("urn:iso:std:iso:15118:-20:DC", 1))
    assert engine.ending is not None
    assert engine.ending.kind == "refused"
    assert engine.ending.problem is not None
    assert engine.ending.problem.code == "session.no_protocol"
    read = codec.decode(engine.outgoing()[8:], "app")
    assert getattr(read, "ResponseCode", "") == "Failed_NoNegotiation"


def test_another_minor_version_is_a_minor_deviation() -> None:
    engine = heard(hello(minor=3))
    assert engine.ending is None
    read = codec.decode(engine.outgoing()[8:], "app")
    assert getattr(read, "ResponseCode", "") == "OK_SuccessfulNegotiationWithMinorDeviation"
    assert getattr(read, "SchemaID", 0) == 9


def test_out_of_sequence() -> None:
    engine = heard(hello(), message(iso2.SessionSetupReq(EVCCID=bytes(6)), bytes(8)), SET_UP)
    assert engine.ending is not None
    assert engine.ending.problem is not None
    assert engine.ending.problem.code == "session.sequence"
    body = response(engine).Body.BodyElement
    assert isinstance(body, iso2.SessionSetupRes)
    assert body.ResponseCode == "FAILED_SequenceError"


def test_a_foreign_session_id_ends_the_session() -> None:
    engine = heard(hello(), SET_UP, message(iso2.SessionStopReq(ChargingSession="Terminate"), bytes(8)))
    assert engine.ending is not None
    assert engine.ending.problem is not None
    assert engine.ending.problem.code == "session.unknown_session"


def test_silence_is_a_time_out() -> None:
    engine = heard(hello())
    assert engine.deadline is not None
    engine.tick(engine.deadline - 0.001)
    assert engine.ending is None
    engine.tick(engine.deadline)
    assert engine.ending is not None
    assert engine.ending.kind == "timeout"


def test_garbage_ends_it_without_an_answer() -> None:
    engine = heard(b"GET / HTTP/1.1\r\n\r\n")
    assert engine.ending is not None
    assert (engine.ending.kind, engine.outgoing()) == ("fault", b"")


def test_half_a_frame_and_the_end() -> None:
    engine = heard(hello()[:-1])
    engine.peer_closed(1.0)
    assert engine.ending is not None
    assert engine.ending.problem is not None
    assert (engine.ending.kind, engine.ending.problem.code) == ("peer_closed", "v2gtp.truncated")


def test_iso20_needs_tls_1_3_and_two_certificates() -> None:
    both = [handshake.ISO20_DC, handshake.ISO2]
    assert handshake.allowed(both, MUTUAL) == both
    weak = replace(MUTUAL, version="1.2"), replace(MUTUAL, peer_chain=()), replace(MUTUAL, own_chain=())
    for secured in (None, *weak):
        assert handshake.allowed(both, secured) == [handshake.ISO2]
    assert handshake.allowed(both, None, lab=True) == both


def asking_station(engine: Engine) -> Steps[Ending]:
    """A script that pauses a second, then asks something that takes half a second at most."""
    yield from engine.rest(1.0)
    yield from engine.ask(CableCheckQuestion(), 0.5)
    return Ending("stopped")


def test_a_pause_ends_by_the_clock_alone() -> None:
    engine = Engine(asking_station, clock=CLOCK)
    engine.start(5.0)
    engine.tick(5.999)
    assert (engine.question, engine.deadline) == (None, 6.0)
    engine.tick(6.0)
    assert engine.question == CableCheckQuestion()
    engine.answer("valid", 6.499)
    assert engine.ending == Ending("stopped")


def test_the_connection_ends_in_a_pause() -> None:
    engine = Engine(asking_station, clock=CLOCK)
    engine.start(5.0)
    engine.peer_closed(5.5)
    assert engine.ending is not None
    assert engine.ending.kind == "peer_closed"


def test_an_answer_that_comes_late_counts_for_none() -> None:
    engine = Engine(asking_station, clock=CLOCK)
    engine.start(0.0)
    engine.tick(1.0)
    engine.answer("valid", 1.5)
    assert engine.ending is not None
    assert engine.ending.problem is not None
    assert engine.ending.problem.code == "session.late"
