"""Migrations of the SQLite database: numbered, forward only, each in one transaction.

Migration n is the module ``m000n_*`` with ``apply``, which brings layout n-1 to n inside an open transaction
and must not commit. From the second on it gets a sqlite-utils ``Database``; the first one is plain SQL,
because a new home would otherwise wait 35 ms for that import, a tenth of what `v2gpki init` may take.
Before an existing home changes, it is copied beside itself with SQLite's backup interface.
``Database.table(..).transform()`` drops the table's triggers: make them again in the same migration.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from v2gpki.store import faults
from v2gpki.store.migrations import m0001_first_layout
from v2gpki.store.schema import APPLICATION_ID, layout_of

if TYPE_CHECKING:
    from sqlite_utils import Database

Migration: TypeAlias = "Callable[[Database], None]"
#: Every migration after the first by the number of the layout that it leads to.
MIGRATIONS: Mapping[int, Migration] = {}


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Run every migration that the database lacks; another process may be doing the same."""
    # WAL is a property of the file and cannot be set inside a transaction.
    connection.execute("PRAGMA journal_mode=WAL")
    newest = max(migrations, default=1)
    saved = layout_of(connection) == 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = layout_of(connection)
            if version >= newest:
                connection.execute("ROLLBACK")
                return
            if not saved:
                back_up(path, version)
                saved = True
            if version == 0:
                m0001_first_layout.apply(connection)
            else:
                _apply(migrations[version + 1], connection)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={version + 1}")
            if not connection.in_transaction:
                raise RuntimeError(f"migration {version + 1} left its transaction")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _apply(migration: Migration, connection: sqlite3.Connection) -> None:
    from sqlite_utils import Database  # noqa: PLC0415  # keeps start-up fast

    migration(Database(connection, recursive_triggers=False, execute_plugins=False))


def back_up(path: Path, version: int) -> Path:
    """Copy the database as last committed to ``<name>.layout-<version>.backup`` (0600); returns that path.

    Reads by a connection of its own, so the caller may hold the write lock.
    """
    target = path.with_name(f"{path.name}.layout-{version}.backup")
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        copy = sqlite3.connect(unfinished)
        try:
            source.backup(copy)
            verdict = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            copy.close()
    finally:
        source.close()
    if verdict != "ok":
        raise faults.damaged(path, f"its copy before the migration is unsound: {verdict}")
    with unfinished.open("rb") as stream:
        os.fsync(stream.fileno())
    unfinished.replace(target)
    return target
