"""Opening a database: is it ours, whole and of a layout that this release knows; and making one.

SQLite's own header says it: ``application_id`` marks a v2gpki home, ``user_version`` is the number of
the last migration. Refused: another program's database, an empty file (we never leave one), missing
tables, a newer layout.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from v2gpki.store import faults

#: Runs the migrations that the database lacks.
Migrate: TypeAlias = Callable[[sqlite3.Connection, Path], None]

#: "V2GP" in the file header; ``file`` and SQLite show it.
APPLICATION_ID = 0x56324750
#: The newest layout; equal to the number of the last migration (a test compares them).
LAYOUT = 3

TABLES = frozenset(
    {
        "abandoned_intents",
        "access_tokens",
        "answers",
        "audit",
        "audit_heads",
        "authorities",
        "bundles",
        "certificates",
        "contract_certificates",
        "contracts",
        "crls",
        "deliveries",
        "endpoints",
        "grants",
        "home",
        "idempotence",
        "intents",
        "leases",
        "positions",
        "prefixes",
        "roots",
        "settings",
        "tokens",
        "vehicles",
    }
)


def prepare(connection: sqlite3.Connection, path: Path, layout: int, migrate: Migrate) -> None:
    """Judge the database behind ``connection`` and bring an older one to ``layout`` by ``migrate``."""
    version = layout_of(connection)
    application = _number(connection, "application_id")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and version == 0 and application == 0:
        raise faults.damaged(path, "it is empty")
    if application != APPLICATION_ID:
        raise faults.damaged(path, "it is a SQLite database, but not one of v2gpki")
    if version > layout:
        raise faults.newer_home(path, version, layout)
    if version < layout:
        migrate(connection, path)
    elif lost := TABLES - tables:
        raise faults.damaged(path, f"it lacks the table {', '.join(sorted(lost))}")


def make(path: Path, migrate: Migrate) -> None:
    """Make a new database (0600) aside and put it at ``path`` when it is whole.

    When two processes do so at once, the first one's stays. A process that dies on the way leaves a
    file ``<name>.<..>.new`` and nothing at ``path``.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    aside.unlink(missing_ok=True)
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        connection = sqlite3.connect(aside, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            migrate(connection, aside)
        finally:
            # Closing the only connection brings everything into the one file and syncs it.
            connection.close()
        _put(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _put(aside: Path, path: Path) -> None:
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        return
    except OSError as error:
        # File systems without hard links (a USB stick of an offline root).
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if not path.exists():
            aside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def layout_of(connection: sqlite3.Connection) -> int:
    """The number of the last migration that this database has seen, 0 for a fresh one."""
    return _number(connection, "user_version")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    value = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return int(value)
