"""An engine over a link: whole sessions, plug-ins that fail or are late, peers that vanish."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tests.session.test_engine import OneAnswer, OneQuestion
from v2gpki.clock import FixedClock
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.servers.driving import Answers, drive
from v2gpki.servers.v2gtls import ClientHello
from v2gpki.session import handshake
from v2gpki.session.conversation import Answer
from v2gpki.session.dialect import Heard
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.notices import Ending, Exchanged, Notice, Refused
from v2gpki.session.questions import CableCheckQuestion
from v2gpki.session.secured import Secured

CLOCK = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


class Pipe:
    """One end of a wire in memory."""

    def __init__(self) -> None:
        self.secured: Secured | None = None
        self.hello: ClientHello | None = None
        self.peer = self.local = "memory"
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.other: Pipe | None = None
        self.closed = False

    async def receive(self) -> bytes:
        return await self.arrived.get()

    async def send(self, data: bytes) -> None:
        assert self.other is not None
        if self.other.closed:
            raise ConnectionResetError("gone")
        self.other.arrived.put_nowait(data)

    async def close(self) -> None:
        self.closed = True
        assert self.other is not None
        self.other.arrived.put_nowait(b"")


def pipes() -> tuple[Pipe, Pipe]:
    one, other = Pipe(), Pipe()
    one.other, other.other = other, one
    return one, other


class Checked(OneAnswer):
    """A station that asks something before it stops the session."""

    def _stop(self, _: Heard) -> Steps[Answer]:
        state = yield from self.ask(CableCheckQuestion())
        code: iso2.responseCodeType = "OK" if state == "valid" else "FAILED"
        return Answer(iso2.SessionStopRes(ResponseCode=code), ends=Ending("stopped"))


def station(engine: Engine) -> Steps[Ending]:
    yield from handshake.choose(engine, [handshake.ISO2], within=20)
    return (yield from Checked(engine).run())




def vehicle(engine: Engine) -> Steps[Ending]:
    yield from handshake.propose(engine, [handshake.ISO2], within=2)
    return (yield from OneQuestion(engine).run())


async def both(answers: Answers, notices: list[Notice] | None = None) -> tuple[Ending, Ending]:
    told: Callable[[Notice], Awaitable[None] | None] = (notices if notices is not None else []).append
    one, other = pipes()
    ours, theirs = await asyncio.gather(
        drive(Engine(station, clock=CLOCK), one, answers, told=told, waits_for_close=True),
        drive(Engine(vehicle, clock=CLOCK), other, {}, told=lambda _: None),
    )
    return ours, theirs


def test_a_session_with_an_answer_at_once_and_one_that_takes_its_time() -> None:
    async def later(_: CableCheckQuestion) -> str:
        await asyncio.sleep(0)
        return "valid"

    for answer in (lambda _: "valid", later):
        assert asyncio.run(both({CableCheckQuestion: answer})) == (Ending("stopped"), Ending("stopped"))


def test_a_plug_in_that_fails_is_a_refusal_and_not_the_end_of_the_server() -> None:
    def breaks(_: CableCheckQuestion) -> str:
        raise KeyError("nobody's fault")

    async def breaks_later(_: CableCheckQuestion) -> str:
        raise KeyError("nobody's fault")

    async def wrong(_: CableCheckQuestion) -> object:
        return 17

    for answer in (breaks, breaks_later, wrong):
        notices: list[Notice] = []
        ours, theirs = asyncio.run(both({CableCheckQuestion: answer}, notices))
        refused = [notice for notice in notices if isinstance(notice, Refused)]
        assert [notice.problem.code for notice in refused] == ["plugin.failed"]
        assert (ours.kind, theirs.kind) == ("refused", "refused")
        assert theirs.problem is not None
        assert theirs.problem.facts["response_code"] == "FAILED"


def test_a_refusal_of_ours_keeps_its_code() -> None:
    async def refuses(_: CableCheckQuestion) -> str:
        raise V2GPKIError("session.unknown_session", "another session's")

    _, theirs = asyncio.run(both({CableCheckQuestion: refuses}))
    assert theirs.problem is not None
    assert theirs.problem.facts["response_code"] == "FAILED_UnknownSession"


def test_a_peer_that_vanishes_ends_the_question_too() -> None:
    cancelled: list[bool] = []

    async def scene() -> Ending:
        one, other = pipes()
        asked = asyncio.Event()

        async def never(_: CableCheckQuestion) -> str:
            asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
            return ""

        driving = asyncio.ensure_future(
            drive(Engine(station, clock=CLOCK), one, {CableCheckQuestion: never}, told=lambda _: None)
        )
        vehicle_side = asyncio.ensure_future(
            drive(Engine(vehicle, clock=CLOCK), other, {}, told=lambda _: None)
        )
        await asked.wait()
        vehicle_side.cancel()
        return await asyncio.wait_for(driving, 1)

    assert asyncio.run(scene()).kind == "peer_closed"
    assert cancelled == [True]


def test_what_a_connection_says_last_is_why_the_session_ended() -> None:
    """In TLS 1.3 a station's refusal of the vehicle comes after the handshake, with the first octets that are read."""

    class Alerted(Pipe):
        async def receive(self) -> bytes:
            raise V2GPKIError("tls.alert", "the alert unknown_ca", facts={"alert": "unknown_ca"})

    class Shut(Pipe):
        async def send(self, data: bytes) -> None:
            raise V2GPKIError("tls.closed", "closed while something was sent to it")

        async def receive(self) -> bytes:
            await asyncio.Event().wait()
            return b""

    for link, code in ((Alerted(), "tls.alert"), (Shut(), "tls.closed")):
        link.other = Pipe()
        ending = asyncio.run(drive(Engine(vehicle, clock=CLOCK), link, {}, told=lambda _: None))
        assert ending.problem is not None
        assert (ending.kind, ending.problem.code) == ("peer_closed", code)


def test_a_late_answer_is_no_longer_waited_for() -> None:
    async def scene() -> list[Notice]:
        notices: list[Notice] = []

        async def slow(_: CableCheckQuestion) -> str:
            await asyncio.Event().wait()
            return ""

        await asyncio.wait_for(both({CableCheckQuestion: slow}, notices), 10)
        return notices

    refused = [notice for notice in asyncio.run(scene()) if isinstance(notice, Refused)]
    assert [notice.problem.code for notice in refused] == ["session.late"]


def test_a_listener_that_fails_changes_nothing() -> None:
    async def scene() -> tuple[Ending, Ending]:
        def fails(notice: Notice) -> None:
            if isinstance(notice, Exchanged):
                raise RuntimeError("no more space")

        one, other = pipes()
        answers: Answers = {CableCheckQuestion: lambda _: "valid"}
        ours, theirs = await asyncio.gather(
            drive(Engine(station, clock=CLOCK), one, answers, told=fails, waits_for_close=True),
            drive(Engine(vehicle, clock=CLOCK), other, {}, told=fails),
        )
        return ours, theirs

    assert asyncio.run(scene()) == (Ending("stopped"), Ending("stopped"))


def test_contactors_do_not_wait_for_the_farewell() -> None:
    """The other side never closes, so the farewell takes its time; what is over is told before."""

    async def scene() -> bool:
        over = asyncio.Event()

        async def opened() -> None:
            over.set()

        one, other = pipes()
        driving = asyncio.ensure_future(
            drive(
                Engine(station, clock=CLOCK),
                one,
                {CableCheckQuestion: lambda _: "valid"},
                told=lambda _: None,
                over=opened,
                waits_for_close=True,
            )
        )
        played = Engine(vehicle, clock=CLOCK)
        played.start(0.0)
        while played.ending is None:
            await other.send(played.outgoing())
            played.receive(await other.receive(), 0.0)
        await asyncio.wait_for(over.wait(), 10)
        waits = not driving.done() and not one.closed
        driving.cancel()
        await asyncio.wait([driving])
        return waits

    assert asyncio.run(scene())


def test_what_is_over_is_told_also_when_the_session_is_cancelled() -> None:
    async def scene() -> list[str]:
        told: list[str] = []

        async def opened() -> None:
            told.append("over")

        one, _ = pipes()
        driving = asyncio.ensure_future(
            drive(Engine(station, clock=CLOCK), one, {}, told=lambda _: None, over=opened)
        )
        await asyncio.sleep(0)
        driving.cancel()
        await asyncio.wait([driving])
        assert one.closed
        return told

    assert asyncio.run(scene()) == ["over"]


def test_a_plug_in_that_will_not_be_cancelled_is_left_behind() -> None:
    """And what it raises at last is nobody's unheard error."""
    unheard: list[object] = []

    async def scene() -> Ending:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        asked, let = asyncio.Event(), asyncio.Event()

        async def stubborn(_: CableCheckQuestion) -> str:
            asked.set()
            while not let.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let.wait()
            raise KeyError("too late for anybody")

        one, other = pipes()
        driving = asyncio.ensure_future(
            drive(Engine(station, clock=CLOCK), one, {CableCheckQuestion: stubborn}, told=lambda _: None)
        )
        vehicle_side = asyncio.ensure_future(drive(Engine(vehicle, clock=CLOCK), other, {}, told=lambda _: None))
        await asked.wait()
        vehicle_side.cancel()
        ending = await asyncio.wait_for(driving, 10)
        let.set()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.wait(left)
        return ending

    assert asyncio.run(scene()).kind == "peer_closed"
    gc.collect()
    assert unheard == []


class Reset(Pipe):
    """A wire that is reset when there is nothing more to say."""

    async def receive(self) -> bytes:
        data = await super().receive()
        if not data:
            raise ConnectionResetError("reset")
        return data


def test_a_reset_after_the_session_is_nobody_s_unheard_error() -> None:
    unheard: list[object] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        one, other = Reset(), Pipe()
        one.other, other.other = other, one
        await asyncio.gather(
            drive(
                Engine(station, clock=CLOCK),
                one,
                {CableCheckQuestion: lambda _: "valid"},
                told=lambda _: None,
                waits_for_close=True,
            ),
            drive(Engine(vehicle, clock=CLOCK), other, {}, told=lambda _: None),
        )

    asyncio.run(scene())
    gc.collect()
    assert unheard == []


def test_a_listener_that_hangs_holds_up_no_session() -> None:
    told: list[Notice] = []

    async def hangs(notice: Notice) -> None:
        told.append(notice)
        await asyncio.Event().wait()

    async def scene() -> tuple[Ending, Ending]:
        one, other = pipes()
        answers: Answers = {CableCheckQuestion: lambda _: "valid"}
        ours, theirs = await asyncio.gather(
            drive(Engine(station, clock=CLOCK), one, answers, told=hangs, waits_for_close=True),
            drive(Engine(vehicle, clock=CLOCK), other, {}, told=lambda _: None),
        )
        return ours, theirs

    ours, _ = asyncio.run(asyncio.wait_for(scene(), 30))
    assert ours == Ending("stopped")
    assert len(told) == 1
