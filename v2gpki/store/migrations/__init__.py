"""Migrations of the SQLite database: numbered, forward only, each in one transaction.

Migration n is the module ``m000n_*`` with ``apply(database)``, which gets a sqlite-utils ``Database``
inside an open transaction and brings layout n-1 to n; it must not commit. Before the first one that
changes an existing home, the database is copied beside itself with SQLite's backup interface.
``Database.table(..).transform()`` drops the table's triggers: make them again in the same migration.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlite_utils import Database

from v2gpki.store import faults
from v2gpki.store.migrations import m0001_first_layout
from v2gpki.store.schema import APPLICATION_ID, layout_of

#: Every migration by the number of the layout that it leads to.
MIGRATIONS: Mapping[int, Callable[[Database], None]] = {1: m0001_first_layout.apply}


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Mapping[int, Callable[[Database], None]] = MIGRATIONS,
) -> None:
    """Run every migration that the database lacks; another process may be doing the same."""
    # WAL is a property of the file and cannot be set inside a transaction.
    connection.execute("PRAGMA journal_mode=WAL")
    newest = max(migrations)
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
            database = Database(connection, recursive_triggers=False, execute_plugins=False)
            migrations[version + 1](database)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={version + 1}")
            if not connection.in_transaction:
                raise RuntimeError(f"migration {version + 1} left its transaction")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


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
