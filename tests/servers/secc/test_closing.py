"""A station that is closed while vehicles charge: they are asked to stop, and the end of every session is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.servers.test_stock_session import Case, station_of, vehicle_of
from v2gpki.servers.evcc.vehicle import travel
from v2gpki.servers.pace import Pace
from v2gpki.servers.secc.station import Session, Station
from v2gpki.session.notices import Delivered, Ending, Notice


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
@pytest.mark.parametrize("current", ["AC", "DC"])
def test_a_vehicle_is_asked_to_stop(edition: str, current: Any) -> None:  # Any: a parameter of pytest
    case = Case(edition, current, energy=30_000)
    sessions: list[Session] = []

    async def scene() -> Ending:
        pace, charging = Pace(1), asyncio.Event()
        station = Station(station_of(case, pace), ended=sessions.append)
        await station.listen("::1")

        def told(notice: Notice) -> None:
            if isinstance(notice, Delivered):
                charging.set()

        driving = asyncio.ensure_future(travel(vehicle_of(case, pace)[0], station.address, told=told))
        await asyncio.wait_for(charging.wait(), 30)
        await station.close(grace=30)
        return (await driving).ending

    assert asyncio.run(scene()) == Ending("stopped")
    assert [session.ending for session in sessions] == [Ending("stopped")]


def test_a_session_that_does_not_end_is_ended_and_told() -> None:
    """Nothing but its end is told: asyncio has no failure to report."""
    sessions: list[Session] = []
    failures: list[dict[str, Any]] = []  # Any: asyncio's own type

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        opened = asyncio.Event()

        def begun(_peer: str, _secured: object) -> Any:  # Any: a listener that takes whatever comes
            opened.set()
            return lambda _notice: None

        station = Station(station_of(Case("iso15118-2", "AC"), Pace(1)), ended=sessions.append, opened=begun)
        await station.listen("::1")
        _, writer = await asyncio.open_connection(*station.address)
        writer.write(b"\x01\xfe\x80\x01")
        await asyncio.wait_for(opened.wait(), 10)
        await station.close(grace=0)
        writer.close()

    asyncio.run(scene())
    problems = [session.ending.problem for session in sessions if session.ending is not None]
    assert [session.ending.kind for session in sessions if session.ending] == ["terminated"]
    assert [problem.code for problem in problems if problem] == ["station.closed"]
    assert failures == []
