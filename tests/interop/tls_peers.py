"""OpenSSL's command line as the other end of a TLS link: s_client against our station, s_server against our vehicle."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.v2gtls.bench import QUICK, TODAY, End, play_station, play_vehicle
from v2gpki.certs.chain import pem
from v2gpki.keys import pkcs8
from v2gpki.servers.v2gtls import StationSecurity, TLSIdentity, VehicleSecurity

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Said:
    """What OpenSSL said, and what our end came to."""

    text: str
    end: End

    @property
    def alerts(self) -> list[int]:
        """The numbers of the alerts that OpenSSL was sent."""
        return [int(number) for number in re.findall(r"SSL alert number (\d+)", self.text)]


def given(folder: Path, identity: TLSIdentity | None) -> list[str]:
    """The options that give a chain and its key to OpenSSL."""
    if identity is None:
        return []
    leaf, above, key = (folder / name for name in ("own_leaf.pem", "own_above.pem", "own_key.pem"))
    leaf.write_bytes(pem(identity.chain[:1]))
    above.write_bytes(pem(identity.chain[1:]))
    key.write_bytes(pkcs8.plain(identity.private_key))
    return ["-cert", str(leaf), "-cert_chain", str(above), "-key", str(key)]


def judging(folder: Path, root: bytes | None) -> list[str]:
    """The options that make OpenSSL judge our chain, strictly, at the moment of the tests."""
    assert root is not None
    path = folder / "trusted.pem"
    path.write_bytes(pem([root]))
    moment = str(int(TODAY.timestamp()))
    anchors = ["-CAfile", str(path), "-no-CApath", "-no-CAstore"]
    return [*anchors, "-verify_return_error", "-x509_strict", "-attime", moment]


async def _s_client(station: StationSecurity, options: Sequence[str], says: bytes, hears: bytes) -> Said:
    end, over = End(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await play_station(end, reader, writer, station, QUICK)
        over.set()

    async with await asyncio.start_server(serve, "::1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            "openssl",
            "s_client",
            "-connect",
            f"[::1]:{port}",
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with asyncio.timeout(_SECONDS):
            text = await _until(process.stdout, b"Verify return code")
            with contextlib.suppress(OSError):
                process.stdin.write(says)
                await process.stdin.drain()
            # The end of its input ends s_client: not before our answer is there, or all is over.
            text += await _until(process.stdout, hears)
            process.stdin.close()
            text += await process.stdout.read()
            await process.wait()
            await over.wait()
    return Said(text.decode("utf-8", "replace"), end)


def s_client(station: StationSecurity, *options: str, says: bytes = b"\x01ehcee\n", hears: bytes = b"ehcee\n") -> Said:
    """One connection of s_client to this station, which ``hears`` what it says, or something else in its output."""
    return asyncio.run(_s_client(station, options, says, hears))


async def _until(stream: asyncio.StreamReader, mark: bytes) -> bytes:
    """What comes until the mark is among it, or the end."""
    text = b""
    while mark not in text and (data := await stream.read(65_536)):
        text += data
    return text


async def _s_server(vehicle: VehicleSecurity, options: Sequence[str]) -> Said:
    process = await asyncio.create_subprocess_exec(
        "openssl",
        "s_server",
        "-accept",
        "[::1]:0",
        "-naccept",
        "1",
        "-rev",
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    end, text = End(), b""
    try:
        async with asyncio.timeout(_SECONDS):
            while not (found := re.search(rb"ACCEPT \[::1\]:(\d+)", text)):
                data = await process.stdout.read(4096)
                assert data, text
                text += data
            await play_vehicle(end, int(found[1]), vehicle, QUICK, says=b"\x01charge\n")
            rest, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Said((text + rest).decode("utf-8", "replace"), end)


def s_server(vehicle: VehicleSecurity, *options: str) -> Said:
    """One connection of this vehicle to s_server, which sends back each line reversed."""
    return asyncio.run(_s_server(vehicle, options))
