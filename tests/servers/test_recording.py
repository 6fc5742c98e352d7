"""Connections over loopback recorded at both ends, and what their files hold."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.servers.recording import CaptureFile, OwnFile
from v2gpki.servers.v2gtls import Link, Tap, accept, connect
from v2gpki.v2gtp import Frame, build, capture
from v2gpki.v2gtp.packets import packets, segment

REQUEST, RESPONSE = Frame(0x8001, b"\x80\x01"), Frame(0x8001, bytes(3000))


def opened(path: Path) -> CaptureFile:
    return CaptureFile(OwnFile(path, failed=pytest.fail), lambda: 1000.5)


async def talk(station: Tap, vehicle: Tap) -> int:
    """One request and one response over TCP; gives the station's port."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = await accept(reader, writer, None, tap=station)
        assert await link.receive() == build(*REQUEST)
        await link.send(build(*RESPONSE))
        assert await link.receive() == b""
        await link.close()
        done.set_result(None)

    server = await asyncio.start_server(serve, "::1", 0)
    port = int(server.sockets[0].getsockname()[1])
    link: Link = await connect(("::1", port), None, tap=vehicle)
    await link.send(build(*REQUEST))
    received = b""
    while len(received) < len(build(*RESPONSE)):
        received += await link.receive()
    await link.close()
    await done
    server.close()
    await server.wait_closed()
    return port


def test_both_ends_record_the_same(tmp_path: Path) -> None:
    files = [tmp_path / "station.pcapng", tmp_path / "vehicle.pcapng"]
    captures = [opened(file) for file in files]
    port = asyncio.run(talk(captures[0].tap("server"), captures[1].tap("client")))
    for file, recorded in zip(files, captures, strict=True):
        recorded.close()
        read = capture.read(file.read_bytes())
        assert read.notes == []
        assert [one.frame for one in read.frames] == [REQUEST, RESPONSE]
        assert [one.time for one in read.frames] == [1000.5, 1000.5]
        assert (read.frames[0].endpoints.target, read.frames[0].endpoints.target_port) == ("::1", port)
        assert (read.frames[1].endpoints.source, read.frames[1].endpoints.source_port) == ("::1", port)
        flags = [one.flags for packet in packets(file.read_bytes()) if (one := segment(packet))]
        # SYN, SYN and ACK, then FIN of both sides
        assert flags[:2] == [2, 18]
        assert sum(bits & 1 for bits in flags) == 2


def test_discovery_is_recorded(tmp_path: Path) -> None:
    recorded = opened(tmp_path / "sdp.pcapng")
    request = Frame(0x9000, b"\x10\x00")
    recorded.datagram(("fe80::1%v2g0", 40000, 0, 3), ("ff02::1", 15118, 0, 3), build(*request))
    recorded.datagram(None, ("ff02::1", 15118), build(*request))
    recorded.close()
    read = capture.read((tmp_path / "sdp.pcapng").read_bytes())
    assert [(one.endpoints, one.frame) for one in read.frames] == [(("fe80::1", 40000, "ff02::1", 15118), request)]


def test_a_connection_without_addresses_is_left_out(tmp_path: Path) -> None:
    recorded = opened(tmp_path / "unix.pcapng")
    empty = (tmp_path / "unix.pcapng").read_bytes()
    tap = recorded.tap("server")
    tap.opened("/run/socket", "")
    tap.sent(b"x")
    tap.closed()
    recorded.close()
    assert (tmp_path / "unix.pcapng").read_bytes() == empty


def test_it_is_for_its_owner_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    mask = os.umask(0)
    try:
        file = OwnFile(path, failed=pytest.fail)
    finally:
        os.umask(mask)
    with closing(file):
        file.write(b"SECRET\n")
    # Written at once: whoever kills the program finds it.
    assert path.read_bytes() == b"SECRET\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(V2GPKIError) as refusal:
        OwnFile(path, failed=pytest.fail)
    assert refusal.value.code == "file.exists"
    path.chmod(0o644)
    OwnFile(path, failed=pytest.fail, force=True).close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b""


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        OwnFile(tmp_path / "none" / "keys.log", failed=pytest.fail)
    assert refusal.value.code == "file.unwritable"


def test_a_full_disk_stops_the_recording_and_is_told_once() -> None:
    told: list[str] = []
    file = OwnFile(Path("/dev/full"), failed=told.append, force=True)
    file.write(b"x")
    file.write(b"y")
    assert len(told) == 1
    assert "nothing more is recorded" in told[0]
