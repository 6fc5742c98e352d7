"""What a home keeps beside its certificates, in SQLite: settings, the revision counter, leases."""

from __future__ import annotations

import secrets
import sqlite3
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.store.canonical import seconds


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    """A value of the home."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def put_setting(connection: sqlite3.Connection, name: str, value: str) -> bool:
    """Set a value once; False when it is there already."""
    present = setting(connection, name)
    if present == value:
        return False
    if present is not None:
        raise V2GPKIError(
            "store.conflict",
            f"the setting {name} of this home has another value already",
            hint="it is set once, when the home is made",
            facts={"which": "setting", "name": name},
        )
    connection.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (name, value))
    return True


def revision(connection: sqlite3.Connection) -> int:
    """The number of write transactions so far."""
    return int(connection.execute("SELECT revision FROM home").fetchone()[0])


def count_write(connection: sqlite3.Connection) -> None:
    """Part of every write transaction."""
    connection.execute("UPDATE home SET revision = revision + 1")


def take_lease(connection: sqlite3.Connection, name: str, holder: str, at: datetime, span: int) -> str | None:
    """The token of a lease that was free or has run out; None while somebody holds it."""
    token = secrets.token_hex(16)
    taken = connection.execute(
        "INSERT INTO leases (name, holder, token, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
        "SET holder = excluded.holder, token = excluded.token, expires_at = excluded.expires_at WHERE expires_at <= ?",
        (name, holder, token, seconds(at) + span, seconds(at)),
    )
    return token if taken.rowcount else None


def release_lease(connection: sqlite3.Connection, name: str, token: str) -> None:
    """Give a lease back, unless it ran out and somebody else has it now."""
    connection.execute("DELETE FROM leases WHERE name = ? AND token = ?", (name, token))
