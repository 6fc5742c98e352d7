"""One serving process: its listeners on one event loop, its jobs beside them, from the start to a graceful end.

SIGTERM and SIGINT stop accepting; requests that run are finished within the grace, idle connections are closed, and a
second signal ends at once. A process whose parent is gone ends too. Signals are only taken in the main thread; a
library that serves from another thread calls ``stop``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from uvicorn.server import Server

from v2gpki.errors import V2GPKIError
from v2gpki.servers.crowd import Crowd
from v2gpki.servers.http.front import Front
from v2gpki.servers.http.part import Job
from v2gpki.servers.protocol import Connection, Deadlines, with_deadlines
from v2gpki.servers.turned_away import TurnedAway

_LOG = logging.getLogger("v2gpki.serve")

#: Seconds between two looks at slow connections; a TLS handshake has as long as a request.
_SWEEP = 0.5
_JOB_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Door:
    """One socket that is listened at, what stands behind it, and its TLS."""

    opened: socket.socket
    app: Front
    context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Conduct:
    """How connections are treated."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    idle_seconds: int = 15
    grace_seconds: int = 30
    max_connections: int = 4096
    max_address_connections: int = 1024
    proxies: tuple[str, ...] = ()


class Process:
    """Serves until told to stop."""

    def __init__(
        self,
        doors: Sequence[Door],
        jobs: Sequence[Job],
        conduct: Conduct,
        *,
        started: Callable[[], None] = lambda: None,
        turned: TurnedAway | None = None,
        lifeline: int | None = None,
    ) -> None:
        """``started`` is called when every door is open, ``turned`` is told of each connection that was too
        slow (``timed_out``) or sent no head of a request (``bad_head``), and tells the log;
        ``lifeline`` is a pipe whose end means that the parent is gone."""
        self._turned = TurnedAway() if turned is None else turned
        self._servers = [_DoorServer(door, conduct, self._turned) for door in doors]
        self._jobs = jobs
        self._conduct = conduct
        self._started = started
        self._lifeline = lifeline
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Serve; returns when everything is closed."""
        import uvloop  # noqa: PLC0415  # only who serves needs it

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        """End gracefully; from any thread."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._end)

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        try:
            await self._serve_with(loop)
        finally:
            with self._lock:
                self._loop = None

    async def _serve_with(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._signals(loop):
            serving = [asyncio.create_task(server.serve()) for server in self._servers]
            opened = asyncio.create_task(self._opened())
            await asyncio.wait([opened, *serving], return_when=asyncio.FIRST_COMPLETED)
            beside = [asyncio.create_task(_kept(job)) for job in self._jobs]
            beside.append(asyncio.create_task(self._sweep()))
            if opened.done():
                self._started()
            try:
                await asyncio.gather(*serving)
            finally:
                opened.cancel()
                self._turned.tell_all()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    async def _opened(self) -> None:
        for server in self._servers:
            await server.opened.wait()

    def _end(self) -> None:
        for server in self._servers:
            if server.should_exit:
                server.cut()
            server.should_exit = True

    async def _sweep(self) -> None:
        """Close the connections of clients that are too slow."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            now = loop.time()
            for server in self._servers:
                for connection in list(server.server_state.connections):
                    if isinstance(connection, Connection) and connection.judge(now):
                        self._turned.note("timed_out", connection.address)
            self._turned.tell(now)

    @contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        if self._lifeline is not None:
            loop.add_reader(self._lifeline, self._orphaned)
        mine = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
        for number in mine:
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in mine:
                loop.remove_signal_handler(number)
            if self._lifeline is not None:
                loop.remove_reader(self._lifeline)

    def _orphaned(self) -> None:
        if self._loop is not None and self._lifeline is not None:
            self._loop.remove_reader(self._lifeline)
        self._end()


class _DoorServer(Server):
    """uvicorn's server at one door of several: signals are the process's, and handshakes have a deadline."""

    def __init__(self, door: Door, conduct: Conduct, turned: TurnedAway) -> None:
        config = uvicorn.Config(
            door.app,
            http=with_deadlines(
                conduct.deadlines,
                tls=door.context is not None,
                find=door.app.prompt,
                turned=turned,
                crowd=Crowd(
                    most=conduct.max_connections, of_one=conduct.max_address_connections, proxies=conduct.proxies
                ),
            ),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(conduct.proxies),
            forwarded_allow_ips=list(conduct.proxies),
            # The crowd keeps to its number; beyond it are those whom nobody could make room for.
            limit_concurrency=conduct.max_connections + 1,
            timeout_keep_alive=conduct.idle_seconds,
            timeout_graceful_shutdown=conduct.grace_seconds,
        )
        super().__init__(config)
        self._door = door
        self._handshake = conduct.deadlines.request
        self.opened = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the process's."""
        yield

    def cut(self) -> None:
        """Wait for nothing any more: cancel what runs, drop every connection."""
        self.force_exit = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Open the door."""
        config, state, loop = self.config, self.server_state, asyncio.get_running_loop()
        patience = self._handshake if self._door.context is not None else None

        def connection() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn does it
                config=config, server_state=state, app_state={}, _loop=loop
            )
            return made

        opened = await loop.create_server(
            connection,
            sock=self._door.opened,
            ssl=self._door.context,
            ssl_handshake_timeout=patience,
            backlog=config.backlog,
        )
        self.servers = [opened]
        self.started = True
        self.opened.set()


async def _kept(job: Job) -> None:
    """Run a job; one that fails begins again after a while, and says so."""
    while True:
        try:
            await job()
        except V2GPKIError as problem:
            _LOG.error("a job failed: %s", problem, extra={"code": problem.code})
        except Exception:  # noqa: BLE001 - the outermost border of a job: the requests beside it go on
            _LOG.exception("a job failed")
        else:
            return
        await asyncio.sleep(_JOB_PAUSE)
