"""Migrations of the SQLite database: numbered, forward only, all that a home lacks in one transaction.

Migration n is the module ``m000n_*`` with ``apply``, which brings layout n-1 to n inside an open transaction
and must not commit. It gets the plain connection: a new home goes through all of them, and would otherwise wait
40 ms for the import of sqlite-utils, a tenth of what `v2gpki init` may take. One that changes tables which are
there already may wrap it in sqlite-utils' ``Database`` (``recursive_triggers=False, execute_plugins=False``) when
there are rows to change; ``transform()`` drops a table's triggers: make them again in the same migration.
Before an existing home changes, it is copied beside itself with SQLite's backup interface.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from v2gpki.store import faults
from v2gpki.store.migrations import m0001_first_layout, m0002_pools, m0003_services
from v2gpki.store.schema import APPLICATION_ID, layout_of

Migration: TypeAlias = Callable[[sqlite3.Connection], None]
#: Every migration by the number of the layout that it leads to.
MIGRATIONS: Mapping[int, Migration] = {
    1: m0001_first_layout.apply,
    2: m0002_pools.apply,
    3: m0003_services.apply,
}


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> None:
    """Run every migration that the database lacks; another process may be doing the same."""
    # WAL is a property of the file and cannot be set inside a transaction.
    connection.execute("PRAGMA journal_mode=WAL")
    newest = max(migrations)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = layout_of(connection)
        if 0 < version < newest:
            back_up(path, version)
        for number in range(version + 1, newest + 1):
            migrations[number](connection)
            if not connection.in_transaction:
                raise RuntimeError(f"migration {number} left its transaction")
        if version < newest:
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={newest}")
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
