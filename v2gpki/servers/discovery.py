"""SECC discovery over UDP: a station that answers, a vehicle that asks.

On an interface the vehicle asks by multicast to ff02::1, and the station answers with its link-local address.
Multicast does not leave the loopback interface: there both sides use [::1] (`LOOPBACK`). Answers go out at once; the
vehicle waits 250 ms for each of at most 50. Refuses interfaces that do not exist or have no link-local address
(``sdp.no_interface``), and a port that is taken (``sdp.port_taken``). Clauses: ISO 15118-2 7.10.1, [V2G2-159] ff.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.sdp import DATAGRAM_LIMIT, MULTICAST_ADDRESS, PORT, Request, Response, read_request, read_response, request
from v2gpki.sdp import response as response_octets
from v2gpki.servers.v2gtls.wire import address_text

#: The name that stands for discovery without multicast, on this machine alone.
LOOPBACK = "lo"
_HERE = IPv6Address("::1")

#: What a station answers a request from this address with; None is silence.
Respond: TypeAlias = Callable[[Request, str], Response | None]
#: Is told of datagrams that were no request, and from where.
Refused: TypeAlias = Callable[[V2GPKIError, str], None]
#: Is told of each datagram, to record it: the socket addresses of sender and receiver, its octets.
Seen: TypeAlias = Callable[[object, object, bytes], None]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a vehicle asks, and how many seconds it waits for each answer."""

    attempts: int = 50
    wait: float = 0.25


@dataclass(frozen=True, slots=True)
class Attempt:
    """One datagram sent: seconds since the first, and what came back that was no answer."""

    after: float
    problems: tuple[V2GPKIError, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A station: ``address`` (host with its zone, port) to connect to, what it said, who said it.

    ``attempts`` are all datagrams sent, ``seconds`` the time from the last of them to the answer.
    """

    response: Response
    address: tuple[str, int]
    peer: str
    attempts: tuple[Attempt, ...]
    seconds: float


def local_address(interface: str) -> IPv6Address:
    """The address by which vehicles reach a station on this interface; raises ``sdp.no_interface``."""
    if interface == LOOPBACK:
        return _HERE
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it asks which source address the system would take.
            probe.connect((str(MULTICAST_ADDRESS), PORT, 0, _index(interface)))
        except OSError as problem:
            raise _no_interface(interface, problem.strerror or str(problem)) from problem
        address = IPv6Address(probe.getsockname()[0].partition("%")[0])
    if not address.is_link_local:
        raise _no_interface(interface, "it has no link-local address")
    return address


class DiscoveryServer:
    """A station's answering end, made by `serve_discovery`: its UDP ``port``, and in words ``where`` it listens."""

    def __init__(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        name = transport.get_extra_info("sockname")
        self.port: int = name[1]
        self.where = address_text(name)

    def close(self) -> None:
        """Answer no more."""
        self._transport.close()


def unseen(_source: object, _target: object, _octets: bytes) -> None:
    """Nobody records."""


async def serve_discovery(
    interface: str,
    respond: Respond,
    *,
    port: int = PORT,
    refused: Refused = lambda _problem, _peer: None,
    seen: Seen = unseen,
) -> DiscoveryServer:
    """Answer requests that come in by ``interface`` (`LOOPBACK`: at [::1]) until it is closed.

    ``respond`` is asked for each request and must not take long: a vehicle waits 250 ms. What is no request is not
    answered; ``refused`` is told, ``seen`` of every datagram. Raises ``sdp.no_interface``, ``sdp.port_taken``.
    """
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        _bind(opened, interface, port)
    except OSError as problem:
        opened.close()
        raise _taken(interface, port, problem) from problem
    except V2GPKIError:
        opened.close()
        raise
    loop = asyncio.get_running_loop()
    heard_at, here = opened.getsockname(), str(local_address(interface))
    answering = _Answering(respond, refused, seen, heard_at, (here, heard_at[1]))
    transport, _protocol = await loop.create_datagram_endpoint(lambda: answering, sock=opened)
    return DiscoveryServer(transport)


async def discover(
    interface: str, wanted: Request, *, port: int = PORT, retries: Retries | None = None, seen: Seen = unseen
) -> Found:
    """Ask by ``interface`` (`LOOPBACK`: at [::1]) until a station answers.

    Raises ``sdp.no_interface``, and ``sdp.no_answer`` once all attempts are used up: its fact ``others`` names what
    came instead. ``seen`` is told of every datagram.
    """
    asked = retries or Retries()
    loop = asyncio.get_running_loop()
    opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        target = _target(opened, interface, port)
    except V2GPKIError:
        opened.close()
        raise
    host = str(local_address(interface))
    transport, asking = await loop.create_datagram_endpoint(lambda: _Asking(opened, host, seen), sock=opened)
    attempts: list[Attempt] = []
    start = loop.time()
    try:
        while len(attempts) < asked.attempts:
            sent = loop.time()
            octets = request(wanted)
            transport.sendto(octets, target)
            seen(asking.here, target, octets)
            problems: list[V2GPKIError] = []
            answer = await asking.answer(asked.wait, problems)
            attempts.append(Attempt(sent - start, tuple(problems)))
            if answer is not None:
                said, peer = answer
                return Found(said, _reached(said, interface), peer, tuple(attempts), loop.time() - sent)
    finally:
        transport.close()
    raise _no_answer(interface, attempts)


@dataclass(slots=True)
class _Answering(asyncio.DatagramProtocol):
    respond: Respond
    refused: Refused
    seen: Seen
    heard_at: object
    here: object
    transport: asyncio.DatagramTransport | None = field(default=None, init=False)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as asyncio calls
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        peer = address_text(addr)
        self.seen(addr, self.heard_at, data)
        try:
            answer = self.respond(read_request(data[: DATAGRAM_LIMIT + 1]), peer)
            octets = response_octets(answer) if answer is not None else b""
        except V2GPKIError as problem:
            self.refused(problem, peer)
            return
        if octets and self.transport is not None:
            self.seen(self.here, addr, octets)
            self.transport.sendto(octets, addr)

    def error_received(self, exc: Exception) -> None:
        """A vehicle that went away before it was answered."""


class _Asking(asyncio.DatagramProtocol):
    def __init__(self, opened: socket.socket, host: str, seen: Seen) -> None:
        self._opened = opened
        self._host = host
        self._seen = seen
        self._came: asyncio.Queue[tuple[bytes, str]] = asyncio.Queue(maxsize=100)

    @property
    def here(self) -> tuple[str, int]:
        """Where it asks from; the port is there once something was sent."""
        return self._host, self._opened.getsockname()[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._seen(addr, self.here, data)
        if not self._came.full():
            self._came.put_nowait((data[: DATAGRAM_LIMIT + 1], address_text(addr)))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP); it may yet."""

    async def answer(self, wait: float, problems: list[V2GPKIError]) -> tuple[Response, str] | None:
        """The first response within ``wait`` seconds; what is none goes to ``problems``."""
        try:
            async with asyncio.timeout(wait):
                while True:
                    data, peer = await self._came.get()
                    try:
                        return read_response(data), peer
                    except V2GPKIError as problem:
                        problems.append(problem)
        except TimeoutError:
            return None


def _bind(opened: socket.socket, interface: str, port: int) -> None:
    opened.setblocking(False)
    if interface == LOOPBACK:
        opened.bind((str(_HERE), port))
        return
    local_address(interface)
    index = _index(interface)
    # Bound to the group on this interface: a station on each interface can share the port.
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((str(MULTICAST_ADDRESS), port, 0, index))
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    membership = MULTICAST_ADDRESS.packed + index.to_bytes(4, sys.byteorder)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)


def _target(opened: socket.socket, interface: str, port: int) -> tuple[str, int, int, int]:
    opened.setblocking(False)
    if interface == LOOPBACK:
        return str(_HERE), port, 0, 0
    index = _index(interface)
    opened.bind((str(local_address(interface)), 0, 0, index))
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    return str(MULTICAST_ADDRESS), port, 0, index


def _reached(said: Response, interface: str) -> tuple[str, int]:
    zone = f"%{interface}" if said.address.is_link_local else ""
    return f"{said.address}{zone}", said.port


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError as problem:
        raise _no_interface(interface, "there is none of that name") from problem


def _no_interface(interface: str, reason: str) -> V2GPKIError:
    return V2GPKIError(
        "sdp.no_interface",
        f"discovery is not possible on the interface {interface}: {reason}",
        hint=f"give an interface with an IPv6 link-local address and multicast, or {LOOPBACK} for this machine alone",
        clause="ISO 15118-2 7.10.1",
        facts={"interface": interface},
    )


def _taken(interface: str, port: int, problem: OSError) -> V2GPKIError:
    return V2GPKIError(
        "sdp.port_taken",
        f"UDP port {port} on {interface} cannot be listened on: {problem.strerror}",
        hint="another station may be running there",
        facts={"interface": interface, "port": port},
    )


def _no_answer(interface: str, attempts: list[Attempt]) -> V2GPKIError:
    others = [problem for attempt in attempts for problem in attempt.problems]
    return V2GPKIError(
        "sdp.no_answer",
        f"no station answered on {interface}: {len(attempts)} requests, {len(others)} datagrams that were no answer",
        hint="check the cable or the interface, and that the station answers discovery",
        clause="ISO 15118-2 7.10.1",
        facts={"interface": interface, "attempts": len(attempts), "others": [one.code for one in others]},
    )
