"""The real station over loopback against peers that die, mumble, dawdle or play back what they have heard: it stays
alive, its contactors are open, and nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.servers.site import Cut, Outlet, Site, made, outlet
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.messages.app_protocol import AppProtocolType, supportedAppProtocolReq
from v2gpki.servers.evcc.vehicle import Journey, travel
from v2gpki.servers.v2gtls import Limits, Link, connect
from v2gpki.session.handshake import ISO2
from v2gpki.session.notices import Exchanged, Notice
from v2gpki.v2gtp import Frame, PayloadType, Splitter, build


@pytest.fixture(scope="module", params=["iso15118-2", "iso15118-20"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made(tmp_path_factory.mktemp("site"), request.param)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return made(tmp_path_factory.mktemp("older"), "iso15118-2")


def left() -> tuple[int, list[str]]:
    """Tasks, and what files are open."""
    files = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            # the folder itself is gone by now
            files.append(os.readlink(f"/proc/self/fd/{name}").split(":")[0])
    return len(asyncio.all_tasks()), sorted(files)


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


#: A frame of 4 GB, one that is cut off, no frame, half a header.
MUMBLED = [
    build(PayloadType.EXI, b"")[:4] + b"\xff\xff\xff\xff" + bytes(100),
    build(PayloadType.EXI, bytes(400))[:200],
    b"\x01\xfe\x80",
    b"\x01\x01" + bytes(20),
    random.Random(1).randbytes(3_000),
    b"\x01" + random.Random(2).randbytes(3_000),
    b"\x16\x03\x01\x02\x00" + random.Random(3).randbytes(512),
    b"GET / HTTP/1.1\r\n\r\n",
    b"",
]


@pytest.mark.parametrize("octets", MUMBLED)
def test_what_is_no_session(older: Site, octets: bytes) -> None:
    """Over TCP, and inside TLS; then the other end is gone."""

    async def scene() -> None:
        async with outlet(older) as here:
            await charged(older, here)
            before = left()
            _, writer = await asyncio.open_connection(*here.station.address)
            writer.write(octets)
            writer.write_eof()
            await _taken(here, 2)
            writer.close()
            async with linked(older, here) as link:
                await link.send(octets)
            await _taken(here, 3)
            assert all(one.ending is None or one.ending.kind != "stopped" for one in here.ended[1:])
            assert here.safe()
            await charged(older, here)
            assert left() == before

    asyncio.run(scene())


@pytest.mark.parametrize("begun", [b"", b"\x01\xfe\x80", b"\x16\x03\x01"])
def test_who_says_nothing_more_is_let_go_and_keeps_nobody_waiting(older: Site, begun: bytes) -> None:
    async def scene() -> None:
        async with outlet(older, limits=Limits(handshake=1.0, idle=1.0, close=0.1)) as here:
            before = left()
            reader, writer = await asyncio.open_connection(*here.station.address)
            writer.write(begun)
            await charged_meanwhile(older, here)
            async with asyncio.timeout(30):
                # until the station closes; an alert may come before
                while await reader.read(1_000):
                    pass
            writer.close()
            await here.quiet()
            problems = [one.problem.code if one.problem else one.ending for one in here.ended]
            assert len(problems) == 2
            assert here.safe()
            assert left() == before

    asyncio.run(scene())


def test_a_vehicle_whose_octets_come_one_by_one(older: Site) -> None:
    async def scene() -> None:
        async with outlet(older) as here, Cut(here.station.address, after=10_000, drip=True) as wire:
            journey = await asyncio.wait_for(travel(older.vehicle(tls=False), wire.address), 60)
            await here.quiet()
            assert (journey.ending.kind, journey.ending.problem) == ("stopped", None)
            assert here.safe()

    asyncio.run(scene())


def test_a_recorded_session_played_back_opens_nothing(older: Site) -> None:
    """What a vehicle said over TCP, said again: the session is another one now."""

    async def scene() -> None:
        async with outlet(older) as here:
            async with Cut(here.station.address, after=10_000) as wire:
                await travel(older.vehicle(tls=False), wire.address)
            await here.quiet()
            assert here.stages[0].stage.meter.read(0).imported > 0
            for pieces in (wire.pieces, [b"".join(wire.pieces)]):
                reader, writer = await asyncio.open_connection(*here.station.address)
                async with asyncio.timeout(30):
                    for octets in pieces:
                        writer.write(octets)
                        if not await reader.read(65_536):
                            break
                writer.close()
                await here.quiet()
            assert [one.ending.kind for one in here.ended if one.ending][1:] != ["stopped", "stopped"]
            assert [stage.stage.meter.read(0).imported for stage in here.stages[1:]] == [0.0, 0.0]
            assert here.safe()
            await charged(older, here)

    asyncio.run(scene())


def test_a_signed_authorisation_is_good_for_its_session_alone(older: Site) -> None:
    """Everything that a vehicle said over TLS up to its AuthorizationReq, said again with the new session's id."""
    said: list[iso2.V2G_Message] = []

    def told(notice: Notice) -> None:
        if isinstance(notice, Exchanged) and notice.sent and isinstance(notice.message, iso2.V2G_Message):
            said.append(notice.message)

    async def scene() -> None:
        async with outlet(older) as here:
            await travel(older.vehicle(), here.station.address, told=told)
            await here.quiet()
            names = [type(one.Body.BodyElement).__name__ for one in said]
            async with linked(older, here) as link:
                codes = await played_back(link, said[: names.index("AuthorizationReq") + 1])
            await here.quiet()
            assert codes[:-1] == ["OK_NewSessionEstablished", *["OK"] * (len(codes) - 2)]
            assert codes[-1] == "FAILED_ChallengeInvalid"
            assert here.safe()
            assert here.stages[1].stage.meter.read(0).imported == 0

    asyncio.run(scene())


async def played_back(link: Link, said: list[iso2.V2G_Message]) -> list[str]:
    """The response codes to messages of another session, sent with the id of this one."""
    codes, frames, session = [], Splitter(), bytes(8)
    await link.send(build(PayloadType.EXI, codec.encode(_proposal())))
    await _answer(link, frames)
    for message in said:
        header = iso2.MessageHeaderType(SessionID=session, Signature=message.Header.Signature)
        again = iso2.V2G_Message(Header=header, Body=message.Body)
        await link.send(build(PayloadType.EXI, codec.encode(again)))
        response = codec.decode((await _answer(link, frames)).payload)
        assert isinstance(response, iso2.V2G_Message)
        session = response.Header.SessionID
        codes.append(str(getattr(response.Body.BodyElement, "ResponseCode", "")))
    return codes


def _proposal() -> supportedAppProtocolReq:
    entry = AppProtocolType(
        ProtocolNamespace=ISO2.namespace, VersionNumberMajor=2, VersionNumberMinor=0, SchemaID=1, Priority=1
    )
    return supportedAppProtocolReq(AppProtocol=(entry,))


async def _answer(link: Link, frames: Splitter) -> Frame:
    async with asyncio.timeout(30):
        while True:
            found = frames.feed(await link.receive())
            if found:
                return found[0]


@asynccontextmanager
async def linked(site: Site, here: Outlet) -> AsyncIterator[Link]:
    """A vehicle's TLS without a vehicle behind it."""
    link = await connect(here.station.address, site.vehicle().security)
    try:
        yield link
    finally:
        await link.close()


async def charged_meanwhile(site: Site, here: Outlet) -> None:
    journey = await asyncio.wait_for(travel(site.vehicle(), here.station.address), 60)
    assert journey.ending.kind == "stopped"


async def _taken(here: Outlet, count: int) -> None:
    """Until so many connections are over."""
    async with asyncio.timeout(60):
        while len(here.ended) < count:
            await asyncio.sleep(0)
    await here.quiet()
