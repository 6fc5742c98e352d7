"""The life of the signing process: begun before the workers, by a process that alone is given the passphrase.

``v2gpki serve`` forks the guard before it asks for a passphrase, and then begins anew itself (exec), so that neither
its memory nor its environment holds one. The guard asks, and forks the signing process, which opens the home and
answers; when that dies, the guard starts it again. Both end with the last of the server's processes, and can be neither
traced nor read by others of the same user. What keeps them from starting is raised in the server.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import NoReturn

import msgspec
from msgspec import Struct

from v2gpki.errors import EXIT_BUG, EXIT_ENVIRONMENT, V2GPKIError
from v2gpki.servers import listeners
from v2gpki.servers.signing.desk import Desk
from v2gpki.servers.signing.peers import family
from v2gpki.servers.tls import Identity, home_name, server_identity
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.home import SESSIONS_FOLDER
from v2gpki.wiring.serve_settings import ServeSettings
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.keeper import Keeper, Scope
from v2gpki.wiring.tls import normal_name

_LOG = logging.getLogger("v2gpki.signing")

#: A signing process that lives shorter than this died young, in seconds; so many may do so in a row.
YOUNG = 5.0
MOST_YOUNG_DEATHS = 5
_GRACE = 10.0
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True, slots=True)
class Task:
    """What the signing process is for. ``passphrase`` asks for it; ``open_home`` opens the home with it."""

    home: Path
    settings: ServeSettings
    parts: tuple[str, ...]
    passphrase: Callable[[], str]
    open_home: Callable[[str], CertificateAuthority]


class _Hello(Struct, frozen=True, tag="hello"):
    """Where it listens, and the server's TLS identity if the home issues one."""

    path: str
    chain: bytes = b""
    private_key: bytes = b""
    ends: int = 0


_HELLO: msgspec.msgpack.Decoder[_Hello | protocol.Refused] = msgspec.msgpack.Decoder(_Hello | protocol.Refused)


@dataclass(slots=True)
class Attached:
    """The signing process as the server sees it: where to ask, and what it was given for TLS."""

    path: Path
    identity: Identity | None
    _tie: socket.socket
    _guard: int

    def close(self) -> None:
        """Let it end, and see it end; the workers have ended before."""
        self._tie.close()
        with suppress(ChildProcessError):
            os.waitpid(self._guard, 0)


def start(task: Task) -> tuple[int, int]:
    """Fork the guard; (its process, the descriptor that ties it to this one). For a process without threads."""
    ours, theirs = socket.socketpair()
    serving = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    guard = os.fork()
    if not guard:
        ours.close()
        _as_process(lambda: _Guard(task, theirs, serving).run())
    theirs.close()
    return guard, ours.detach()


def attach(guard: int, descriptor: int) -> Attached:
    """Wait until the signing process answers; raises what keeps it from that, or ``serving.locked``."""
    os.set_inheritable(descriptor, False)
    tie = socket.socket(fileno=descriptor)
    try:
        body = protocol.receive(tie)
        hello = None if body is None else _HELLO.decode(body)
        if hello is None:
            raise _ended()
        if isinstance(hello, protocol.Refused):
            raise protocol.error_of(hello)
    except (OSError, msgspec.DecodeError):
        tie.close()
        raise _ended() from None
    except V2GPKIError:
        tie.close()
        with suppress(ChildProcessError):
            os.waitpid(guard, 0)
        raise
    identity = None
    if hello.chain:
        identity = Identity(hello.chain, hello.private_key, datetime.fromtimestamp(hello.ends, UTC), "this home")
    return Attached(Path(hello.path), identity, tie, guard)


class _Guard:
    """Asks for the passphrase, starts the signing process, starts it again when it dies."""

    def __init__(self, task: Task, tie: socket.socket, serving: int) -> None:
        self._task = task
        self._tie = tie
        self._serving = serving

    def run(self) -> int:
        """The exit code."""
        _close_to_others()
        try:
            passphrase = self._task.passphrase()
            path, listening = _listen(self._task.home)
        except V2GPKIError as problem:
            self._say(protocol.refused_answer(problem))
            return problem.outcome.exit_code
        # Whoever ends the server ends the server: these two go when the last of its processes is gone.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        try:
            return self._watch(passphrase, path, listening)
        finally:
            path.unlink(missing_ok=True)

    def _watch(self, passphrase: str, path: Path, listening: socket.socket) -> int:
        deaths, first = 0, True
        while True:
            born = monotonic()
            child = os.fork()
            if not child:
                _as_process(lambda: self._sign(passphrase, path, listening, first=first))  # noqa: B023 - called at once
            handle = os.pidfd_open(child)
            ended = handle in select.select([handle, self._tie.fileno()], [], [])[0]
            if not ended:
                # The server is gone; the signing process sees that too.
                if not select.select([handle], [], [], _GRACE)[0]:
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return 0
            os.close(handle)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if first and status > 0:
                return status
            if select.select([self._tie], [], [], 0)[0]:
                # The server is gone, and the signing process saw it before its guard did.
                return 0
            first = False
            deaths = deaths + 1 if monotonic() - born < YOUNG else 0
            _LOG.error("the signing process died and is started again", extra={"status": status})
            if deaths >= MOST_YOUNG_DEATHS:
                _LOG.error("the signing process dies as soon as it starts: nothing is signed any more")
                return EXIT_ENVIRONMENT
            if select.select([self._tie], [], [], 0.1 * 2**deaths if deaths > 1 else 0.0)[0]:
                return 0

    def _sign(self, passphrase: str, path: Path, listening: socket.socket, *, first: bool) -> int:
        """The signing process itself."""
        task = self._task
        try:
            with task.open_home(passphrase) as ca:
                keeper = Keeper(ca, Scope(frozenset(task.parts), self._tls_name()))
                desk = Desk(listening, keeper.answer, family(self._serving))
                if first:
                    self._say(self._hello(ca, path))
                else:
                    _LOG.info("the signing process answers again")
                desk.run(self._tie.fileno())
        except V2GPKIError as problem:
            if first:
                self._say(protocol.refused_answer(problem))
            else:
                _LOG.error("the signing process ends: %s", problem, extra={"code": problem.code})
            return problem.outcome.exit_code
        return 0

    def _hello(self, ca: CertificateAuthority, path: Path) -> _Hello:
        host = self._host()
        if not host:
            return _Hello(str(path))
        made = server_identity(ca, self._task.settings, host)
        return _Hello(str(path), made.chain, made.private_key, int(made.ends.timestamp()))

    def _host(self) -> str:
        """The host of the first https address, if the home issues a certificate for it; else ""."""
        settings = self._task.settings
        if settings.tls_cert or not settings.tls:
            return ""
        wanted = [listeners.parse(text, tls=True) for text in settings.listen]
        return next((listener.host for listener in wanted if listener.tls), "")

    def _tls_name(self) -> str:
        host = self._host()
        return host and normal_name(home_name(self._task.settings, host))

    def _say(self, hello: _Hello | protocol.Refused) -> None:
        body = msgspec.msgpack.encode(hello)
        with suppress(OSError):
            self._tie.sendall(len(body).to_bytes(4, "big") + body)


def _listen(home: Path) -> tuple[Path, socket.socket]:
    """A local socket (0600) in the sessions folder of a home (0700)."""
    folder = home / SESSIONS_FOLDER
    path = folder / f"signing-{os.urandom(6).hex()}.sock"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        before = os.umask(0o177)
        try:
            # By way of the folder: the path of a socket may have a hundred octets only.
            listening.bind(f"/proc/self/fd/{opened}/{path.name}")
        finally:
            os.umask(before)
            os.close(opened)
        listening.listen(128)
    except OSError as problem:
        listening.close()
        raise V2GPKIError(
            "home.unwritable",
            f"no socket can be made in {folder}: {problem.strerror}",
            hint="change its permissions, or serve with --one-process",
            facts={"home": str(home)},
        ) from problem
    return path, listening


def _close_to_others() -> None:
    """No core dump, no tracing, no reading of memory by processes of the same user."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _as_process(run: Callable[[], int]) -> NoReturn:
    """Run as the whole life of a forked process."""
    status = EXIT_BUG
    try:
        status = run()
    except KeyboardInterrupt:
        status = 0
    except BaseException:  # noqa: BLE001 - the border of a process: nothing of the parent may run in the child
        _LOG.exception("a process of the server ends by an error")
    finally:
        logging.shutdown()
        os._exit(status)


def _ended() -> V2GPKIError:
    return V2GPKIError(
        "serving.locked",
        "the process that has the keys ended before it could sign",
        hint="the log above says why; --one-process serves without it",
    )
