"""The audit table of SQLite: appending to the chain, reading it, keeping signed heads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.store import rows
from v2gpki.store.canonical import ORIGIN, details_text, row_digest, seconds
from v2gpki.store.records import STORE_ACTIONS, AuditEvent, AuditHead, AuditRow

#: (at in seconds, action, caller, target, details as canonical JSON)
Entry: TypeAlias = tuple[int, str, str, str, str]


def append(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """Chain entries onto the log, inside the caller's write transaction."""
    sequence, previous = tip(connection)
    new = []
    for at, action, caller, target, details in entries:
        sequence += 1
        digest = row_digest(previous, sequence, at, (action, caller, target, details))
        new.append((sequence, at, action, caller, target, details, previous, digest))
        previous = digest
    connection.executemany(rows.insertion("audit", rows.AUDIT), new)


def free_entries(events: Sequence[AuditEvent], at: datetime) -> list[Entry]:
    """Entries of events that a caller words; what only the store may write is a ValueError."""
    for event in events:
        if event.action in STORE_ACTIONS:
            raise ValueError(f"{event.action} is written by the store, with the row it belongs to")
    when = seconds(at)
    return [(when, event.action, event.caller, event.target, details_text(event.details)) for event in events]


def tip(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Sequence and digest of the newest row; (0, 32 zero octets) of an empty log."""
    row = connection.execute("SELECT sequence, digest FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
    return (0, ORIGIN) if row is None else (row[0], row[1])


def page(connection: sqlite3.Connection, after: int, size: int, actions: Sequence[str] = ()) -> list[AuditRow]:
    """Up to ``size`` rows above ``after``, of these actions unless there are none."""
    chosen = f"AND action IN ({', '.join('?' * len(actions))}) " if actions else ""
    found = connection.execute(
        f"SELECT {rows.AUDIT} FROM audit WHERE sequence > ? {chosen}ORDER BY sequence LIMIT ?",
        (after, *actions, size),
    )
    return [rows.audit_row_of(row) for row in found]


def append_head(connection: sqlite3.Connection, head: AuditHead) -> None:
    """Keep a signed head of a row that the log has, once per row; an empty log has no head to keep."""
    if head.sequence == 0 and head.digest == ORIGIN:
        return
    row = connection.execute("SELECT digest FROM audit WHERE sequence = ?", (head.sequence,)).fetchone()
    if row is None or row[0] != head.digest:
        raise V2GPKIError(
            "store.conflict",
            f"the signed head of audit row {head.sequence} does not match the log",
            hint="sign what audit_tip() gives now",
            facts={"which": "audit_head", "sequence": head.sequence},
        )
    connection.execute(
        rows.insertion("audit_heads", rows.HEAD) + " ON CONFLICT (sequence) DO NOTHING",
        (head.sequence, head.digest, seconds(head.at), head.signature),
    )


def heads(connection: sqlite3.Connection) -> list[AuditHead]:
    """All signed heads, ascending."""
    return [
        rows.head_of(row) for row in connection.execute(f"SELECT {rows.HEAD} FROM audit_heads ORDER BY sequence")
    ]
