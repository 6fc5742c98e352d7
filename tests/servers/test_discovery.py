"""Discovery over the loopback interface; expected octets are written out from ISO 15118-2 7.10.1.

Multicast needs another interface: `tests/interop/test_discovery_network.py`.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.sdp import Request, Response, Security
from v2gpki.servers.discovery import (
    LOOPBACK,
    DiscoveryServer,
    Found,
    Retries,
    discover,
    local_address,
    serve_discovery,
)

STATION = Response(IPv6Address("::1"), 50_000)
ASKED = bytes.fromhex("01fe 9000 00000002 00 00")
ANSWERED = bytes.fromhex("01fe 9001 00000014 00000000000000000000000000000001 c350 00 00")


class Station:
    """Answers with ``STATION``, silent to the first ``silent`` requests; keeps what it was asked and refused."""

    def __init__(self, silent: int = 0) -> None:
        self.silent = silent
        self.asked: list[Request] = []
        self.refused: list[str] = []

    def respond(self, asked: Request, _peer: str) -> Response | None:
        self.asked.append(asked)
        return STATION if len(self.asked) > self.silent else None

    async def serve(self) -> DiscoveryServer:
        return await serve_discovery(
            LOOPBACK, self.respond, port=0, refused=lambda problem, _peer: self.refused.append(problem.code)
        )


def found_by(station: Station, wanted: Request, retries: Retries) -> Found:
    async def run() -> Found:
        server = await station.serve()
        try:
            return await discover(LOOPBACK, wanted, port=server.port, retries=retries)
        finally:
            server.close()

    return asyncio.run(run())


def test_a_vehicle_finds_a_station() -> None:
    station = Station()
    found = found_by(station, Request(Security.NONE), Retries())
    assert found.response == STATION
    assert found.address == ("::1", 50_000)
    assert station.asked == [Request(Security.NONE)]
    assert len(found.attempts) == 1
    # A vehicle waits 250 ms.
    assert found.seconds < 0.25


def test_a_vehicle_asks_again_and_says_how_often() -> None:
    found = found_by(Station(silent=2), Request(), Retries(attempts=5, wait=0.05))
    assert len(found.attempts) == 3
    assert found.attempts[0].after == pytest.approx(0, abs=0.04)
    assert found.attempts[1].after >= 0.05
    assert found.attempts[2].after >= 0.10


def test_a_vehicle_gives_up() -> None:
    with pytest.raises(V2GPKIError) as caught:
        found_by(Station(silent=9), Request(), Retries(attempts=3, wait=0.01))
    assert caught.value.code == "sdp.no_answer"
    assert caught.value.facts["attempts"] == 3


def exchange(datagrams: list[bytes], station: Station) -> bytes:
    """What comes back first after these datagrams."""

    async def run() -> bytes:
        server = await station.serve()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            for datagram in datagrams:
                await loop.sock_sendto(client, datagram, ("::1", server.port))
            try:
                return await asyncio.wait_for(loop.sock_recv(client, 100), 5)
            finally:
                server.close()

    return asyncio.run(run())


def test_the_octets_of_an_answer() -> None:
    assert exchange([ASKED], Station()) == ANSWERED


def test_garbage_is_not_answered_and_told() -> None:
    station = Station()
    garbage = [b"", b"\x01", b"\x80" * 60_000, ANSWERED, ASKED[:-2] + b"\x07\x00", ASKED + b"\x00"]
    # Datagrams between two sockets of one machine keep their order: the one answer belongs to the last.
    assert exchange([*garbage, ASKED], station) == ANSWERED
    assert len(station.asked) == 1
    assert station.refused == [
        "v2gtp.truncated",
        "v2gtp.truncated",
        "v2gtp.version",
        "sdp.type",
        "sdp.security",
        "v2gtp.trailing",
    ]


def test_what_is_no_answer_is_passed_over_and_kept() -> None:
    async def run() -> Found:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as station:
            station.setblocking(False)
            station.bind(("::1", 0))
            port = station.getsockname()[1]
            asking = asyncio.create_task(discover(LOOPBACK, Request(), port=port, retries=Retries(1, 5)))
            asked, vehicle = await loop.sock_recvfrom(station, 100)
            assert asked == ASKED
            for octets in (b"\x80", ASKED, ANSWERED[:-2] + b"\x55\x00", ANSWERED):
                await loop.sock_sendto(station, octets, vehicle)
            return await asking

    found = asyncio.run(run())
    assert found.response == STATION
    assert [problem.code for problem in found.attempts[0].problems] == ["v2gtp.version", "sdp.type", "sdp.security"]


def test_a_taken_port_and_a_missing_interface_are_named() -> None:
    async def twice() -> None:
        server = await Station().serve()
        try:
            await serve_discovery(LOOPBACK, Station().respond, port=server.port)
        finally:
            server.close()

    with pytest.raises(V2GPKIError) as caught:
        asyncio.run(twice())
    assert caught.value.code == "sdp.port_taken"
    for call in (lambda: local_address("none0"), lambda: asyncio.run(discover("none0", Request()))):
        with pytest.raises(V2GPKIError) as caught:
            call()
        assert caught.value.code == "sdp.no_interface"
    assert local_address(LOOPBACK) == IPv6Address("::1")
