"""A station's connections, whatever its plug-ins do; and whose session it is for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from tests.chains import mint
from tests.pnc.installation.parties import SESSION
from v2gpki.clock import FixedClock
from v2gpki.energy.meter import Meter
from v2gpki.energy.quantities import Needs
from v2gpki.energy.stage import Stage
from v2gpki.energy.steering import SchedulesGiven
from v2gpki.servers.secc.answers import StationAnswers, StationKeys
from v2gpki.servers.secc.defaults import (
    ListedAuthoriser,
    SimulatedStage,
    StockOperator,
    StockTariffs,
    limits_of,
    offer_of,
)
from v2gpki.servers.secc.outlet import PausedSessions
from v2gpki.servers.secc.plugins import Asked, Decision, ScheduleAsked, StationPlugins
from v2gpki.servers.secc.station import Session, Station, StationSetup
from v2gpki.session import questions as q
from v2gpki.session.iso2.settings import StationSettings
from v2gpki.session.notices import Agreed, Established
from v2gpki.session.questions import SchedulesQuestion
from v2gpki.session.station import iso2_station

CLOCK = FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
KEYS = StationKeys(judge_contract=lambda *_: None)
STAGE = limits_of("DC", 50_000)
ASKING = SchedulesQuestion("scheduled", STAGE, cast(object, None), Needs(1.0, 1.0))  # type: ignore[arg-type]  # not read


def test_plug_ins_that_cannot_be_made_leave_no_connection_behind() -> None:
    sessions: list[Session] = []

    def broken() -> StationPlugins:
        raise KeyError("no hardware")

    async def scene() -> bytes:
        setup = StationSetup(broken, lambda _: (), KEYS, None, CLOCK)
        station = Station(setup, ended=sessions.append)
        await station.listen("::1")
        try:
            reader, writer = await asyncio.open_connection(*station.address)
            writer.write(b"\x01\xfe")
            async with asyncio.timeout(10):
                data = await reader.read()
            writer.close()
        finally:
            await station.close(grace=5)
        return data

    assert asyncio.run(scene()) == b""
    assert [session.ending for session in sessions] == [None]


@dataclass
class Desk:
    """Authoriser and tariffs that remember who asked."""

    asked: list[Asked] = field(default_factory=list)
    schedule: list[ScheduleAsked] = field(default_factory=list)
    events: None = None
    stage: None = None

    @property
    def authoriser(self) -> Desk:
        return self

    @property
    def tariffs(self) -> Desk:
        return self

    async def authorise(self, asked: Asked) -> Decision:
        self.asked.append(asked)
        return Decision("accepted")

    async def schedules(self, asked: ScheduleAsked) -> SchedulesGiven:
        self.schedule.append(asked)
        return SchedulesGiven()


def test_tariffs_know_who_pays_also_when_the_session_is_joined_again() -> None:
    """-20 has the EMAID in the contract's certificate alone, and asks nobody anew after a pause."""
    outlet, desk = PausedSessions(), Desk()

    async def session() -> StationAnswers:
        plugins = cast(StationPlugins, desk)  # nothing else of a station is reached
        answers = StationAnswers(plugins, KEYS, CLOCK, secured=None, evse_id="ZZ00000", paused=outlet)
        await answers.told(Agreed(0.0, "namespace", "iso15118-20"))
        return answers

    async def ask(answers: StationAnswers, question: q.Question[object]) -> object:
        found = answers.answers[type(question)](question)
        return await found if asyncio.iscoroutine(found) else found

    async def scene() -> None:
        first = await session()
        await first.told(Established(0.0, SESSION, "WABC"))
        await ask(first, q.ContractChainQuestion("", (mint.certificate("contract"),)))
        await ask(first, q.AuthorizationQuestion("pnc", "", (), "WABC", SESSION))
        await ask(first, ASKING)
        paused = q.Paused(SESSION, "iso15118-20", "WABC", "pnc")
        await ask(first, q.PauseQuestion(paused))

        second = await session()
        kept = await ask(second, q.PausedQuestion(SESSION, "iso15118-20"))
        assert kept == replace(paused, emaid="DEABCC123ABC56")
        await second.told(Established(0.0, SESSION, "WABC", resumed=True))
        await ask(second, ASKING)

        third = await session()
        assert await ask(third, q.PausedQuestion(SESSION, "iso15118-20")) is None
        await third.told(Established(0.0, SESSION, "WABC"))
        await ask(third, ASKING)

    asyncio.run(scene())
    assert [(one.method, one.emaid, one.session_id) for one in desk.schedule] == [
        ("pnc", "DEABCC123ABC56", SESSION),
        ("pnc", "DEABCC123ABC56", SESSION),
        ("eim", "", SESSION),
    ]


def test_more_connections_than_a_station_takes_are_closed_unheard() -> None:
    async def scene() -> tuple[bytes, int]:
        setup = StationSetup(lambda: cast(StationPlugins, Desk()), lambda _: (), KEYS, None, CLOCK, most_connections=2)
        station = Station(setup)
        await station.listen("::1")
        try:
            held = [await asyncio.open_connection(*station.address) for _ in range(2)]
            while station.sessions < 2:
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(*station.address)
            async with asyncio.timeout(10):
                try:
                    data = await reader.read()
                except ConnectionResetError:
                    data = b""
            sessions = station.sessions
            for _, one in (*held, (reader, writer)):
                one.close()
        finally:
            await station.close(grace=5)
        return data, sessions

    assert asyncio.run(scene()) == (b"", 2)


def test_a_vehicle_cannot_have_a_station_wait_for_a_megabyte() -> None:
    sessions: list[Session] = []
    limits = limits_of("DC", 50_000)
    stage = SimulatedStage(Stage(limits, Meter("M")))
    plugins = StationPlugins(
        offer_of(limits, "DE*ABC*E1", methods=("eim",)), ListedAuthoriser(), stage, StockTariffs(), StockOperator()
    )

    async def scene() -> None:
        spoken = [iso2_station(StationSettings(plugins.offer), bytes)]
        station = Station(StationSetup(lambda: plugins, lambda _: spoken, KEYS, None, CLOCK), ended=sessions.append)
        await station.listen("::1")
        try:
            reader, writer = await asyncio.open_connection(*station.address)
            writer.write(bytes.fromhex("01fe8001") + (300 * 1024).to_bytes(4, "big") + bytes(8))
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
        finally:
            await station.close(grace=5)

    asyncio.run(scene())
    [session] = sessions
    assert session.ending is not None
    assert session.ending.problem is not None
    assert session.ending.problem.code == "v2gtp.length"
