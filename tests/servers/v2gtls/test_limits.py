"""Peers that are silent, slow, gone or no TLS at all: each is ended, and the refusal says why."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest

from tests.servers.v2gtls.bench import QUICK, End, Pki, play_station, play_vehicle
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import Limits, StationSecurity, VehicleSecurity, connect
from v2gpki.servers.v2gtls.link import PlainLink, TLSLink
from v2gpki.servers.v2gtls.wire import Wire

SHORT = Limits(handshake=0.3, idle=0.2, write=0.3, close=0.1)
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def station(pki: Pki) -> StationSecurity:
    return pki.station(("iso15118-2", pki.identity("secc", "iso15118-2")))


def served(station: StationSecurity | None, peer: Peer, limits: Limits = SHORT) -> End:
    """How a station fares with this peer."""

    async def run() -> End:
        end, over = End(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await play_station(end, reader, writer, station, limits)
            over.set()

        async with await asyncio.start_server(serve, "::1", 0) as server:
            reader, writer = await asyncio.open_connection("::1", server.sockets[0].getsockname()[1])
            try:
                await peer(reader, writer)
                async with asyncio.timeout(10):
                    await over.wait()
            finally:
                writer.transport.abort()
        return end

    return asyncio.run(run())


def saying(*pieces: bytes) -> Peer:
    async def peer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return peer


async def leaving(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_a_silent_peer_is_ended(station: StationSecurity) -> None:
    end = served(station, saying(), Limits(handshake=0.1, close=0.1))
    assert end.code == "tls.late"
    assert "handshake" in end.problem.message  # type: ignore[union-attr]  # the code is asserted above


def test_a_peer_that_stops_within_its_hello_is_ended(station: StationSecurity) -> None:
    assert served(station, saying(b"\x16\x03\x01\x01\x00\x01")).code == "tls.late"


def test_a_peer_that_drips_is_ended_by_the_time_of_the_handshake(station: StationSecurity) -> None:
    """Each octet comes before the idle limit: the handshake as a whole has one of its own."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for octet in b"\x16\x03\x01\x01\x00\x01" + bytes(20):
            writer.write(bytes((octet,)))
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(0.05):
                    if not await reader.read(1):
                        return

    end = served(station, drip, Limits(handshake=0.3, idle=0.2, close=0.1))
    assert end.code == "tls.late"
    assert end.problem.facts["seconds"] == "0.3"  # type: ignore[union-attr]  # the code is asserted above


def test_a_peer_that_leaves_is_told_apart(station: StationSecurity) -> None:
    assert served(station, leaving).code == "tls.closed"


def test_garbage_is_ended(station: StationSecurity) -> None:
    end = served(station, saying(b"GET / HTTP/1.1\r\n\r\n"))
    assert end.code == "tls.foreign"
    assert "47455420" in end.problem.message  # type: ignore[union-attr]  # the code is asserted above


@pytest.mark.parametrize(
    ("octets", "alert"),
    # decode_error 50 for a hello of nothing; protocol_version 70 for TLS 1.0: RFC 8446 6.2
    [
        ("16030100040100 0000", "15030300020232"),
        ("160301002d0100002903010000" + "00" * 30 + "000002c0230100", "15030300020246"),
    ],
)
def test_a_bad_hello_gets_an_alert(station: StationSecurity, octets: str, alert: str) -> None:
    heard = bytearray()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes.fromhex(octets))
        heard.extend(await reader.read())
        writer.close()

    end = served(station, peer)
    assert end.code in ("tls.hello", "tls.no_common")
    assert heard.hex() == alert


def test_plain_peers_have_an_idle_limit(station: StationSecurity) -> None:
    end = served(station, saying(b"\x01\xfe"))
    assert end.received == [b"\x01\xfe"]
    assert end.code == "tls.late"


def test_a_peer_that_does_not_read_is_ended() -> None:
    async def run() -> str:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        link = PlainLink(Wire(reader, writer, SHORT))
        try:
            for _ in range(100):
                await link.send(bytes(1_000_000))
        except V2GPKIError as problem:
            return problem.code
        finally:
            await link.close()
            theirs.close()
        return ""

    assert asyncio.run(run()) == "tls.late"


def test_a_station_that_is_not_there_is_named(pki: Pki) -> None:
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        for address in (("::1", taken.getsockname()[1]), ("fe80::1%none0", 50_000)):
            with pytest.raises(V2GPKIError) as caught:
                asyncio.run(connect(address, pki.vehicle("iso15118-2")))
            assert caught.value.code == "tls.unreachable"


def test_a_peer_that_breaks_the_records_after_the_handshake(pki: Pki, station: StationSecurity) -> None:
    """A man in the middle turns a bit of the first application record: RFC 5246 7.2.2, bad_record_mac."""

    async def run() -> tuple[End, str]:
        end, over, code = End(), asyncio.Event(), ""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await play_station(end, reader, writer, station, QUICK)
            over.set()

        async with await asyncio.start_server(serve, "::1", 0) as server:
            link = await connect(("::1", server.sockets[0].getsockname()[1]), pki.vehicle("iso15118-2"), limits=QUICK)
            assert isinstance(link, TLSLink)
            link._connection.send(b"\x01charge")
            record = bytearray(link._connection.bio_read(65_536))
            record[-1] ^= 1
            await link._wire.write(bytes(record))
            try:
                await link.receive()
            except V2GPKIError as problem:
                code = str(problem.facts["alert"])
            await link.close()
            await over.wait()
        return end, code

    end, told = asyncio.run(run())
    assert (end.code, end.alert, told) == ("tls.failed", "bad_record_mac", "bad_record_mac")


def test_a_judge_that_fails_lets_nobody_in(pki: Pki, station: StationSecurity) -> None:
    def broken(_chain: tuple[bytes, ...], _staple: bytes | None) -> None:
        raise ZeroDivisionError

    async def run() -> End:
        end, over = End(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await play_station(end, reader, writer, station, QUICK)
            over.set()

        async with await asyncio.start_server(serve, "::1", 0) as server:
            with pytest.raises(ZeroDivisionError):
                await connect(("::1", server.sockets[0].getsockname()[1]), VehicleSecurity(broken), limits=QUICK)
            await over.wait()
        return end

    end = asyncio.run(run())
    assert (end.code, end.alert, end.received) == ("tls.alert", "internal_error", [])


def test_three_hundred_bad_beginnings_leave_a_station_as_it_was(pki: Pki, station: StationSecurity) -> None:
    """A real ClientHello with octets changed, cut, or noise; then a vehicle that is served."""
    chance = random.Random(15118)
    hello = first_octets()

    def beginning(number: int) -> bytes:
        if number % 3 == 0:
            return chance.randbytes(chance.randrange(1, 400))
        octets = bytearray(hello)
        for _ in range(chance.randrange(1, 6)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        return bytes(octets[: chance.randrange(1, len(octets) + 1)] if number % 3 == 1 else octets)

    async def run() -> tuple[set[str], End]:
        ends: list[End] = []
        over: asyncio.Queue[None] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends.append(End())
            await play_station(ends[-1], reader, writer, station, QUICK)
            over.put_nowait(None)

        async with await asyncio.start_server(serve, "::1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            for number in range(300):
                reader, writer = await asyncio.open_connection("::1", port)
                writer.write(beginning(number))
                writer.write_eof()
                await reader.read()
                writer.close()
                await over.get()
            vehicle = End()
            await play_vehicle(vehicle, port, pki.vehicle("iso15118-2"), QUICK)
        return {end.code for end in ends[:300]}, vehicle

    codes, vehicle = asyncio.run(run())
    assert {"tls.foreign", "tls.hello", "tls.closed", "tls.no_common", "tls.failed"} <= codes
    # "": noise that begins as V2GTP does is plain TCP, or a change that TLS does not see until the end.
    assert codes <= {"", "tls.foreign", "tls.hello", "tls.closed", "tls.no_common", "tls.failed", "tls.alert"}
    assert vehicle.problem is None
    assert vehicle.received == [b"\x01charge"]


def first_octets() -> bytes:
    """The ClientHello of Python's own TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="secc").do_handshake()
    return out.read()
