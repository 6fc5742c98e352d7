"""A charging station on the network: it answers discovery, takes connections, and runs a session on each.

Every connection has its own plug-ins, engine and answers, so what one vehicle does wrong is seen by nobody else. A
station that was closed asks vehicles to stop charging, lets them do so for a moment, then ends their sessions. Clauses:
ISO 15118-2 7.10.1, [V2G2-105] (ports); ISO 15118-20 7.10.1.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from v2gpki import sdp
from v2gpki.clock import Clock
from v2gpki.energy.quantities import Reading
from v2gpki.errors import V2GPKIError
from v2gpki.servers.discovery import DiscoveryServer, Seen, local_address, serve_discovery, unseen
from v2gpki.servers.driving import drive
from v2gpki.servers.secc.answers import StationAnswers, StationKeys
from v2gpki.servers.secc.outlet import PausedSessions
from v2gpki.servers.secc.plugins import StationPlugins
from v2gpki.servers.v2gtls import KeyLog, Limits, Link, StationSecurity, Tap, accept
from v2gpki.session.editions import Spoken
from v2gpki.session.engine import Engine
from v2gpki.session.notices import Ending, Notice
from v2gpki.session.secured import Secured
from v2gpki.session.station import station_script

_LOG = logging.getLogger("v2gpki.secc")
#: Connections that wait to be taken.
_BACKLOG = 512
#: Ports of a V2G connection ([V2G2-105]); so many are tried before there seems to be none.
_PORTS = range(49152, 65536)
_TRIES = 20
#: Octets of the largest message that a vehicle may send; what stations need are some kilobytes.
_MOST_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is over: who came, by which TLS, how it ended, what the meter said at its ends.

    ``problem`` is why there was no session at all (the handshake of TLS failed); ``ending`` is None then.
    """

    peer: str
    secured: Secured | None = None
    ending: Ending | None = None
    readings: tuple[Reading, ...] = ()
    problem: V2GPKIError | None = None


@dataclass(frozen=True, slots=True)
class StationSetup:
    """What a station is made of.

    ``plugins`` gives the plug-ins of one session (a fresh stage for each where many charge at once), ``editions`` the
    editions that are spoken with them. ``security`` None: plain TCP only. ``lab`` speaks -20 below its TLS. Of more
    than ``most_connections`` at once the newest are closed unheard.
    """

    plugins: Callable[[], StationPlugins]
    editions: Callable[[StationPlugins], Sequence[Spoken]]
    keys: StationKeys
    security: StationSecurity | None
    clock: Clock
    lab: bool = False
    limits: Limits = field(default_factory=Limits)
    most_connections: int = 1_000


#: Is told of a connection before its session: what it returns is told each notice of it.
Opened = Callable[[str, Secured | None], Callable[[Notice], "Awaitable[None] | None"]]


def _silent(_peer: str, _secured: Secured | None) -> Callable[[Notice], Awaitable[None] | None]:
    return lambda _notice: None


class Station:
    """Listens until it is closed. ``opened`` is told of each session, ``ended`` when it is over."""

    def __init__(
        self,
        setup: StationSetup,
        *,
        opened: Opened = _silent,
        ended: Callable[[Session], None] = lambda _session: None,
        keylog: KeyLog | None = None,
        tap: Callable[[], Tap] | None = None,
    ) -> None:
        self._setup = setup
        self._opened = opened
        self._ended = ended
        self._keylog = keylog
        self._tap = tap
        self._server: asyncio.Server | None = None
        self._discovery: DiscoveryServer | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._running: set[StationAnswers] = set()
        self._closing = False
        self._paused = PausedSessions()
        #: Where it listens: address and port, once it does.
        self.address: tuple[str, int] = ("", 0)

    async def listen(self, host: str, port: int = 0) -> None:
        """Take connections at this address. Raises as `listening`."""
        self._server = await listening(self._connected, host, port)
        name = self._server.sockets[0].getsockname()
        self.address = (name[0], name[1])

    async def answer_discovery(
        self, interface: str, *, port: int = sdp.PORT, seen: Seen = unseen
    ) -> DiscoveryServer:
        """Answer SDP on an interface (``lo``: at [::1]), naming where it listens; ``seen`` is told of every datagram.
        Raises ``sdp.*``."""
        here = local_address(interface)
        self._discovery = await serve_discovery(
            interface,
            lambda asked, _peer: self._located(asked, here),
            port=port,
            refused=_not_asked,
            seen=seen,
        )
        return self._discovery

    async def close(self, *, grace: float = 5.0) -> None:
        """Take no more, ask vehicles to stop charging, and end what still runs after ``grace`` seconds."""
        self._closing = True
        for answers in self._running:
            answers.stop()
        if self._discovery is not None:
            self._discovery.close()
        if self._server is not None:
            self._server.close()
        if self._sessions:
            _, left = await asyncio.wait(self._sessions, timeout=grace)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)
        if self._server is not None:
            await self._server.wait_closed()

    @property
    def sessions(self) -> int:
        """How many vehicles are connected."""
        return len(self._sessions)

    def _located(self, asked: sdp.Request, here: IPv6Address) -> sdp.Response | None:
        """Under TLS when that is wanted and there is any; a vehicle that gets less decides for itself."""
        security = self._setup.security
        plain = security is None or (asked.security != sdp.Security.TLS and security.plain)
        return sdp.Response(here, self.address[1], sdp.Security.NONE if plain else sdp.Security.TLS)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this in a task of its own
        if len(self._sessions) >= self._setup.most_connections:
            _LOG.warning("too many connections", extra={"connections": len(self._sessions)})
            writer.transport.abort()
            return
        self._sessions.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            # asyncio (3.11) reports a cancelled connection as a failure of its own.
            if not self._closing:
                raise
        except Exception:  # noqa: BLE001  # the outermost border of a session: the station goes on
            _LOG.exception("a session broke")
        finally:
            self._sessions.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        setup = self._setup
        tap = self._tap() if self._tap is not None else None
        try:
            link = await accept(
                reader, writer, setup.security, keylog=self._keylog, limits=setup.limits, tap=tap
            )
        except V2GPKIError as problem:
            peer = str(problem.facts.get("peer", ""))
            _LOG.warning("connection refused", extra={"peer": peer, "code": problem.code})
            self._ended(Session(peer, problem=problem))
            return
        await self._session(link)

    async def _session(self, link: Link) -> None:
        try:
            answers, engine, told = self._begin(link)
        except BaseException:
            # Plug-ins that cannot be made leave no connection behind.
            await link.close()
            self._ended(Session(link.peer, link.secured))
            raise
        ending = None
        self._running.add(answers)
        if self._closing:
            answers.stop()
        try:
            ending = await drive(engine, link, answers.answers, told=told, over=answers.ended, waits_for_close=True)
        except asyncio.CancelledError:
            reason = "the station was closed, and the vehicle had not stopped by then"
            ending = Ending("terminated", V2GPKIError("station.closed", reason))
            raise
        finally:
            self._running.discard(answers)
            self._ended(Session(link.peer, link.secured, ending, answers.readings))

    def _begin(self, link: Link) -> tuple[StationAnswers, Engine, Callable[[Notice], Awaitable[None]]]:
        setup = self._setup
        plugins = setup.plugins()
        answers = StationAnswers(
            plugins,
            setup.keys,
            setup.clock,
            secured=link.secured,
            evse_id=plugins.offer.evse_id,
            paused=self._paused,
        )
        listener = self._opened(link.peer, link.secured)

        async def told(notice: Notice) -> None:
            await answers.told(notice)
            if (telling := listener(notice)) is not None:
                await telling

        script = station_script(setup.editions(plugins), link.secured, lab=setup.lab)
        return answers, Engine(script, clock=setup.clock, limit=_MOST_OCTETS), told


async def listening(
    connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], host: str, port: int
) -> asyncio.Server:
    """A server at this address; port 0 is a free one of those that discovery may name (some vehicles take no other).

    Raises ``environment.failed``.
    """
    tried = [port] if port else random.sample(_PORTS, _TRIES)
    for number, wanted in enumerate(tried, 1):
        try:
            return await asyncio.start_server(connected, host, wanted, backlog=_BACKLOG)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE and number < len(tried):
                continue
            raise V2GPKIError(
                "environment.failed",
                f"the station cannot listen at [{host}]:{port}: {problem.strerror or problem}",
                hint="choose a free port, and an address of this machine",
                facts={"host": host, "port": port},
            ) from problem
    raise AssertionError("one was taken, or the last refusal was raised")


def _not_asked(problem: V2GPKIError, peer: str) -> None:
    _LOG.info("no discovery request", extra={"peer": peer, "code": problem.code})
