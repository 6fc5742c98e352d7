"""Triggers that keep rows as they were written. They stop accidents; against an attacker there is
the audit log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence


def guard(
    connection: sqlite3.Connection,
    *,
    never_deleted: Sequence[str],
    never_changed: Sequence[str],
    changes_only: Mapping[str, Sequence[str]],
) -> None:
    """Refuse to delete rows of the first tables, to change rows of the second, or other fields of the third."""
    for table in never_deleted:
        connection.execute(
            f"CREATE TRIGGER {table}_stay BEFORE DELETE ON {table} "
            f"BEGIN SELECT raise(ABORT, 'rows of {table} are never deleted'); END"
        )
    for table in never_changed:
        connection.execute(
            f"CREATE TRIGGER {table}_fixed BEFORE UPDATE ON {table} "
            f"BEGIN SELECT raise(ABORT, 'rows of {table} never change'); END"
        )
    for table, free in changes_only.items():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        fixed = ", ".join(column for column in columns if column not in free)
        connection.execute(
            f"CREATE TRIGGER {table}_fixed BEFORE UPDATE OF {fixed} ON {table} "
            f"BEGIN SELECT raise(ABORT, 'these fields of {table} never change'); END"
        )
