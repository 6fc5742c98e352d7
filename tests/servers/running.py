"""A server in this process, on loopback with port 0, from ``with`` to its end; and raw sockets to it."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.servers import logs
from v2gpki.servers.serving import Serving
from v2gpki.servers.worker import Served
from v2gpki.wiring.serve_settings import ServeSettings

#: Short deadlines, so that tests of slow clients are not slow themselves.
QUICK = ServeSettings(listen=("127.0.0.1:0",), request_seconds=1, write_seconds=1, idle_seconds=1, grace_seconds=10)


@dataclass
class Server:
    """Where it listens, what it said, and the clock of its home."""

    home: Path
    clock: v2gpki.FixedClock
    urls: list[str] = field(default_factory=list)
    log: io.StringIO = field(default_factory=io.StringIO)
    served: Served | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.urls[0]

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host, int(port)

    def client(self, number: int = 0) -> httpx.Client:
        return httpx.Client(base_url=self.urls[number], timeout=30)

    def connect(self) -> socket.socket:
        """A raw connection whose reads end after 20 s at the latest."""
        return socket.create_connection(self.address, timeout=20)


@contextmanager
def logging_to(stream: io.StringIO) -> Iterator[None]:
    """The log of this process in a stream, as a server has it; afterwards as it was."""
    root, ours, theirs = logging.getLogger(), logging.getLogger("v2gpki"), logging.getLogger("uvicorn")
    before = root.handlers[:], root.level, ours.level, theirs.level, threading.excepthook
    try:
        logs.configure(as_json=True, stream=stream)
        yield
    finally:
        root.handlers[:], threading.excepthook = before[0], before[4]
        root.setLevel(before[1])
        ours.setLevel(before[2])
        theirs.setLevel(before[3])


@contextmanager
def serving(
    home: Path, settings: ServeSettings = QUICK, *, locked: bool = False, clock: v2gpki.FixedClock | None = None
) -> Iterator[Server]:
    """Serve a home of the tests; its clock stands at ``BIRTH``."""
    server = Server(home, clock or v2gpki.FixedClock(BIRTH))
    opened = threading.Event()

    def announce(served: Served) -> None:
        server.served = served
        server.urls = [listener.url for listener, _ in served.listeners]
        opened.set()

    def open_home() -> v2gpki.CertificateAuthority:
        return v2gpki.open_authority(
            home, passphrase=None if locked else PASSPHRASE, clock=server.clock, caller="serve"
        )

    run = Serving(open_home, settings, announce=announce, warn=server.warnings.append)
    with running(run.run, opened, lambda: run.stop(), server.log):  # noqa: PLW0108  # it is set when it runs
        yield server


@contextmanager
def running(
    run: Callable[[], None], opened: threading.Event, stop: Callable[[], None], log: io.StringIO
) -> Iterator[None]:
    """Run a server in a thread until the block ends; what it raises is raised here."""
    problems: list[BaseException] = []

    def serve() -> None:
        try:
            run()
        except BaseException as problem:  # noqa: BLE001 - handed to the test
            problems.append(problem)
        finally:
            opened.set()

    with logging_to(log):
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert opened.wait(60)
            if problems:
                raise problems[0]
            yield
        finally:
            stop()
            thread.join(60)
            assert not thread.is_alive()
    if problems:
        raise problems[0]


def received(connection: socket.socket) -> bytes:
    """Everything until the other end closes, a reset being an end too."""
    found = b""
    with suppress(ConnectionResetError):
        while octets := connection.recv(65536):
            found += octets
    return found


def with_settings(**changes: object) -> ServeSettings:
    """``QUICK`` with other values."""
    return replace(QUICK, **changes)  # type: ignore[arg-type]  # given by keyword in tests
