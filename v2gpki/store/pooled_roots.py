"""Roots with their decisions, and who owns which prefix, in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from v2gpki.errors import V2GPKIError
from v2gpki.store import auditlog, pool_rows, rows
from v2gpki.store.canonical import seconds
from v2gpki.store.pool_canonical import decided_details, prefix_details, prefix_target
from v2gpki.store.pool_records import PooledRoot, Prefix


def decide(connection: sqlite3.Connection, root: PooledRoot) -> PooledRoot:
    """Add a root or change what was decided about it; the same decision again changes nothing."""
    if sha256(root.der).digest() != root.fingerprint:
        raise ValueError("the fingerprint of a root is the SHA-256 of its certificate")
    present = one_root(connection, root.fingerprint)
    if present is None:
        connection.execute(rows.insertion("roots", pool_rows.ROOT), pool_rows.root_row(root))
    elif replace(present, decided_at=root.decided_at, decided_by=root.decided_by) == root:
        return present
    else:
        connection.execute(
            "UPDATE roots SET role = ?, decision = ?, decided_at = ?, decided_by = ?, comment = ? "
            "WHERE fingerprint = ?",
            (root.role, root.decision, seconds(root.decided_at), root.decided_by, root.comment, root.fingerprint),
        )
    target = root.fingerprint.hex()
    entry = (seconds(root.decided_at), "root.decided", root.decided_by, target, decided_details(root))
    auditlog.append(connection, [entry])
    return root


def one_root(connection: sqlite3.Connection, fingerprint: bytes) -> PooledRoot | None:
    """One root by its fingerprint."""
    row = connection.execute(f"SELECT {pool_rows.ROOT} FROM roots WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return None if row is None else pool_rows.root_of(row)


def all_roots(connection: sqlite3.Connection, role: str) -> list[PooledRoot]:
    """All roots (of one role) in the order in which they came."""
    where, values = ("WHERE role = ? ", (role,)) if role else ("", ())
    found = connection.execute(f"SELECT {pool_rows.ROOT} FROM roots {where}ORDER BY number", values)
    return [pool_rows.root_of(row) for row in found]


def trust_revision(connection: sqlite3.Connection) -> int:
    """Counted by triggers on roots and authorities."""
    return int(connection.execute("SELECT trust_revision FROM home").fetchone()[0])


# -- prefixes ------------------------------------------------------------------------------------
def bind(connection: sqlite3.Connection, prefix: Prefix) -> None:
    """Give a prefix to a party; one that another party has is a conflict."""
    present = one_prefix(connection, prefix.kind, prefix.prefix)
    if present is not None:
        if present.owner == prefix.owner:
            return
        raise V2GPKIError(
            "store.conflict",
            f"the {prefix.kind} {prefix.prefix} belongs to {present.owner or 'the home itself'}",
            hint="release it first, if it really changes hands",
            facts={"which": "prefix", "kind": prefix.kind, "prefix": prefix.prefix, "owner": present.owner},
        )
    connection.execute(rows.insertion("prefixes", pool_rows.PREFIX), pool_rows.prefix_row(prefix))
    target = prefix_target(prefix.kind, prefix.prefix)
    entry = (seconds(prefix.bound_at), "prefix.bound", prefix.bound_by, target, prefix_details(prefix))
    auditlog.append(connection, [entry])


def release(connection: sqlite3.Connection, kind: str, prefix: str, at: datetime, caller: str) -> None:
    """Take a prefix from its party; the audit log keeps who had it."""
    present = one_prefix(connection, kind, prefix)
    if present is None:
        return
    connection.execute("DELETE FROM prefixes WHERE prefix = ? AND kind = ?", (prefix, kind))
    target = prefix_target(kind, prefix)
    auditlog.append(connection, [(seconds(at), "prefix.released", caller, target, prefix_details(present))])


def one_prefix(connection: sqlite3.Connection, kind: str, prefix: str) -> Prefix | None:
    """Who has a prefix."""
    row = connection.execute(
        f"SELECT {pool_rows.PREFIX} FROM prefixes WHERE prefix = ? AND kind = ?", (prefix, kind)
    ).fetchone()
    return None if row is None else pool_rows.prefix_of(row)


def all_prefixes(connection: sqlite3.Connection, owner: str | None) -> list[Prefix]:
    """All of them, or one party's, by kind and prefix."""
    where, values = ("", ()) if owner is None else ("WHERE owner = ? ", (owner,))
    found = connection.execute(f"SELECT {pool_rows.PREFIX} FROM prefixes {where}ORDER BY kind, prefix", values)
    return [pool_rows.prefix_of(row) for row in found]
