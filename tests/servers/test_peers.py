"""The real station over loopback against peers that die, mumble, dawdle or play back what they have heard: it stays
alive, its contactors are open, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.servers.site import Cut, Outlet, Site, made, outlet
from v2gpki.errors import V2GPKIError
from v2gpki.servers.evcc.vehicle import Journey, travel


@pytest.fixture(scope="module", params=["iso15118-2", "iso15118-20"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made(tmp_path_factory.mktemp("site"), request.param)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made(tmp_path_factory.mktemp("older"), "iso15118-2")


def left() -> tuple[int, int]:
    """Tasks and file descriptors."""
    return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))


async def charged(site: Site, here: Outlet) -> Journey:
    """A session as it should be."""
    journey = await asyncio.wait_for(travel(site.vehicle(), here.station.address), 60)
    await here.quiet()
    assert (journey.ending.kind, journey.ending.problem) == ("stopped", None)
    return journey


async def attempt(site: Site, address: tuple[str, int]) -> str:
    """How a vehicle's session ended."""
    try:
        journey = await asyncio.wait_for(travel(site.vehicle(), address), 60)
    except V2GPKIError as problem:
        return problem.code
    return journey.ending.kind


@pytest.mark.parametrize("half", [False, True], ids=["reset", "half"])
def test_a_vehicle_that_dies_at_every_message(site: Site, half: bool) -> None:
    async def scene() -> None:
        async with outlet(site) as here:
            await charged(site, here)
            before, after, deaths, kind = left(), 0, 0, ""
            while kind != "stopped":
                async with Cut(here.station.address, after, half=half) as wire:
                    kind = await attempt(site, wire.address)
                await here.quiet()
                assert here.safe()
                deaths, after = deaths + 1, after + 1
            # the handshakes, some twelve messages before power flows, the loop, the end
            assert deaths > 15
            assert len(here.ended) == deaths + 1
            await charged(site, here)
            assert left() == before

    asyncio.run(scene())
