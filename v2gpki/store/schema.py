"""Opening a database: is it ours, whole and of a layout that this release knows; else make or migrate it.

SQLite's own header says it: ``application_id`` marks a v2gpki home, ``user_version`` is the number of
the last migration. Refused: another program's database, an empty file (unless it is to be created),
missing tables, a newer layout.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from v2gpki.store import faults

#: "V2GP" in the file header; ``file`` and SQLite show it.
APPLICATION_ID = 0x56324750
#: The newest layout; equal to the number of the last migration (a test compares them).
LAYOUT = 1

TABLES = frozenset(
    {
        "abandoned_intents",
        "audit",
        "audit_heads",
        "authorities",
        "certificates",
        "crls",
        "home",
        "idempotence",
        "intents",
        "leases",
        "settings",
    }
)


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    *,
    create: bool,
    layout: int = LAYOUT,
    migrate: Callable[[sqlite3.Connection, Path], None] | None = None,
) -> None:
    """Judge the database behind ``connection`` and bring it to ``layout``.

    A fresh file is made into a home only with ``create``. ``migrate`` is ``migrations.migrate`` unless
    a test brings its own; it is imported only when there is something to migrate.
    """
    version = layout_of(connection)
    application = _number(connection, "application_id")
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    fresh = not tables and version == 0 and application == 0
    if fresh and not create:
        what = "it is empty (an interrupted `v2gpki init` leaves such a file, and init may be run again)"
        raise faults.damaged(path, what)
    if not fresh and application != APPLICATION_ID:
        raise faults.damaged(path, "it is a SQLite database, but not one of v2gpki")
    if version > layout:
        raise faults.newer_home(path, version, layout)
    if version < layout:
        (migrate or _migrate)(connection, path)
    elif lost := TABLES - tables:
        raise faults.damaged(path, f"it lacks the table {', '.join(sorted(lost))}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    # Keeps start-up fast: sqlite-utils costs 40 to 70 ms and is needed only here.
    from v2gpki.store.migrations import migrate  # noqa: PLC0415

    migrate(connection, path)


def layout_of(connection: sqlite3.Connection) -> int:
    """The number of the last migration that this database has seen, 0 for a fresh one."""
    return _number(connection, "user_version")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    value = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return int(value)
