"""SQLite connections: one per thread and process, none of them ever across a fork.

A forked child that opens the database while it still carries its parent's connection believes to
hold locks that only the parent holds; when the parent then closes, the child's commits go to a
deleted file and are lost without an error. Hence every connection is closed before a fork (threads
open theirs again afterwards), and what could not be closed is never used nor closed by the child.

A file that is put in the place of the one that was opened (a backup that is restored while a server
runs) would be read by new connections while old ones go on with the file that is gone. Every use
asks whether the same file still stands there, and is refused with ``store.missing`` otherwise.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from v2gpki.store import faults
from v2gpki.store.faults import refusal
from v2gpki.store.records import CertificateRecord

#: A fork waits this long for other threads' transactions to end, in seconds.
FORK_PATIENCE = 10.0
#: Between two requests for the write lock, in seconds.
PAUSE = 0.001


class Held:
    """The connection of one thread. ``with held as connection`` opens it when needed, keeps a fork waiting and
    turns SQLite's errors into ours (a class and no generator: this surrounds every look-up)."""

    __slots__ = ("_check", "_lasts", "_open", "_path", "certificates", "connection", "depth", "lock", "seen", "thread")

    def __init__(self, path: Path, opener: Callable[[], sqlite3.Connection], check: Callable[[], None]) -> None:
        self._path = path
        self._open = opener
        self._check = check
        self.connection: sqlite3.Connection | None = None
        self.lock = threading.RLock()
        self.depth = 0
        #: Inside a snapshot, what its state says of the counters that were asked; None outside.
        self.seen: dict[str, int] | None = None
        #: The same of certificates, by issuer and serial.
        self.certificates: dict[tuple[str, int], CertificateRecord | None] | None = None
        self.thread = threading.current_thread()
        #: Whether a commit of the connection waits for the disk (synchronous=FULL).
        self._lasts = True

    def __enter__(self) -> sqlite3.Connection:
        self.lock.acquire()
        self.depth += 1
        try:
            if self.connection is None:
                self.connection = self._open()
            elif self.depth == 1:
                self._check()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self.connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.depth -= 1
        self.lock.release()
        if isinstance(error, sqlite3.Error) and (translated := refusal(error, self._path)) is not None:
            raise translated from error

    def counter(self, name: str, read: Callable[[sqlite3.Connection], int]) -> int:
        """A counter of the home; inside a snapshot it is read once."""
        seen = self.seen
        if seen is not None and name in seen:
            return seen[name]
        with self as connection:
            value = read(connection)
        if seen is not None:
            seen[name] = value
        return value

    def let(self, connection: sqlite3.Connection, *, last: bool) -> None:
        """Whether the next commits wait for the disk. To be said before a transaction begins.

        Until SQLite has said yes to waiting it counts as not said: whatever fails here, no later commit that should
        last is left without it.
        """
        if last == self._lasts:
            return
        self._lasts = False
        connection.execute("PRAGMA synchronous=FULL" if last else "PRAGMA synchronous=NORMAL")
        self._lasts = last

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        self._lasts = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


class Connections:
    """Gives each thread its connection to ``path``; ``factory`` is the class of the connections."""

    def __init__(self, path: Path, *, busy_seconds: float, factory: type[sqlite3.Connection]) -> None:
        self._path = path
        self._text = str(path.absolute())
        #: Device and inode of the file that was opened first.
        self._place: tuple[int, int] | None = None
        self._busy_seconds = busy_seconds
        self._patience = f"PRAGMA busy_timeout={int(busy_seconds * 1000)}"
        self._factory = factory
        self._local = threading.local()
        self._registry = threading.Lock()
        self._held: list[Held] = []
        self._forking = False
        _ALL.add(self)

    def use(self) -> Held:
        """The calling thread's connection as a context; no fork happens inside the block."""
        held: Held = getattr(self._local, "held", None) or self._mine()
        if self._forking and held.depth == 0:
            # Locks are not fair: without this a busy thread could keep a fork waiting for ever.
            with self._registry:
                pass
            held = self._mine()
        return held

    def begin(self, connection: sqlite3.Connection) -> None:
        """BEGIN IMMEDIATE, asking for the write lock every millisecond; SQLITE_BUSY after the busy time.

        SQLite's own waiting soon sleeps 100 ms between two tries, so that two busy writers keep a third one
        out for seconds.
        """
        deadline = 0.0
        connection.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    now = time.monotonic()
                    deadline = deadline or now + self._busy_seconds
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or now >= deadline:
                        raise
                    time.sleep(PAUSE)
                else:
                    return
        finally:
            connection.execute(self._patience)

    def close(self) -> None:
        """Close the connections of every thread; one that is needed later is opened anew."""
        with self._registry:
            held = list(self._held)
        for one in held:
            with one.lock:
                one.close()

    def _mine(self) -> Held:
        held: Held | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = Held(self._path, self._open, self._check)
            with self._registry:
                for ended in [one for one in self._held if not one.thread.is_alive()]:
                    self._held.remove(ended)
                    ended.close()
                self._held.append(held)
        return held

    def _check(self) -> None:
        """Raise ``store.missing`` unless the file that was opened first still stands at its path."""
        if self._place is not None and _place(self._text) != self._place:
            raise faults.exchanged(self._path)

    def _open(self) -> sqlite3.Connection:
        self._check()
        before = _place(self._text)
        # Any thread may close it (close(), a fork), hence no check; only its own thread works with it.
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?{_access(self._path)}",
            uri=True,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=self._factory,
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            # REPLACE fires the triggers that refuse deletion only with this.
            connection.execute("PRAGMA recursive_triggers=ON")
            # Four times what SQLite does by itself: an answer to a vehicle writes some 27 pages, and each checkpoint
            # makes one of them wait for the disk twice more. Up to 4,062 frames the WAL is searched as fast as ever.
            connection.execute("PRAGMA wal_autocheckpoint=4000")
            if self._place is None:
                self._place = before
            self._check()
        except BaseException:
            connection.close()
            raise
        return connection

    # -- around a fork -----------------------------------------------------------------------
    def before_fork(self) -> list[Held]:
        """Close what no transaction keeps open; returns what is locked until after the fork."""
        self._registry.acquire()
        self._forking = True
        locked = [one for one in self._held if one.lock.acquire(timeout=FORK_PATIENCE)]
        for one in locked:
            if one.connection is not None and not one.connection.in_transaction:
                one.close()
        return locked

    def after_fork(self, locked: list[Held], *, in_child: bool) -> None:
        """Let the threads go on; the child forgets whatever connection it inherited."""
        for one in locked:
            one.lock.release()
        self._forking = False
        self._registry.release()
        if in_child:
            _ORPHANS.extend(one for one in self._held if one.connection is not None)
            self._held = []
            self._local = threading.local()


def settled(file: Path) -> None:
    """Wait until what was written to a file is on the disk; one that is not there has nothing to wait for. Not for a
    database: closing it would drop SQLite's locks on it."""
    try:
        opened = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _place(path: str) -> tuple[int, int]:
    """Which file stands at a path; (0, 0) for none."""
    try:
        found = os.stat(path)  # a third of the time of Path.stat, before every look-up
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _access(path: Path) -> str:
    """How to open the file: for writing if this user may write it and its folder, else for reading alone.

    A reader that may not write cannot make the shared-memory file that WAL needs. Without a WAL that holds
    anything nobody is writing, and the file may be read as it is.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    wal = path.with_name(path.name + "-wal")
    return "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"


_ALL: weakref.WeakSet[Connections] = weakref.WeakSet()
_FORKING: list[tuple[Connections, list[Held]]] = []
_ONE_FORK = threading.Lock()
# Closing an inherited connection would disturb the parent's files, so a child keeps it alive unused.
_ORPHANS: list[Held] = []


def _before_fork() -> None:
    _ONE_FORK.acquire()
    for connections in list(_ALL):
        locked = connections.before_fork()
        _FORKING.append((connections, locked))


def _after_fork_in_parent() -> None:
    while _FORKING:
        connections, locked = _FORKING.pop()
        connections.after_fork(locked, in_child=False)
    _ONE_FORK.release()


def _after_fork_in_child() -> None:
    while _FORKING:
        connections, locked = _FORKING.pop()
        connections.after_fork(locked, in_child=True)
    _ONE_FORK.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
