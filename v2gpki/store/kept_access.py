"""Tokens, access tokens and grants in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.store import access_rows, auditlog, rows
from v2gpki.store.access_records import AccessToken, Grant, Token
from v2gpki.store.canonical import seconds

_GRANTED = "identity = ? AND role = ? AND edition IN (?, '')"


def revision(connection: sqlite3.Connection) -> int:
    """Counted by triggers on tokens and grants."""
    return int(connection.execute("SELECT access_revision FROM home").fetchone()[0])


# -- tokens --------------------------------------------------------------------------------------
def add_token(connection: sqlite3.Connection, token: Token) -> None:
    """Keep a new token."""
    if one_token(connection, token.id) is not None or token_of(connection, token.digest) is not None:
        raise V2GPKIError(
            "store.conflict",
            f"there is a token {token.id}, or one with this {token.kind}",
            hint="a certificate stands for one identity: revoke its token first, or use another certificate",
            facts={"which": "token", "token": token.id},
        )
    connection.execute(rows.insertion("tokens", access_rows.TOKEN), access_rows.token_row(token))
    details = access_rows.token_details(token)
    auditlog.append(connection, [(seconds(token.created_at), "token.created", token.created_by, token.id, details)])


def revoke_token(connection: sqlite3.Connection, token_id: str, at: datetime, caller: str) -> Token:
    """End a token."""
    token = one_token(connection, token_id)
    if token is None:
        raise V2GPKIError(
            "store.unknown_token",
            f"there is no token {token_id!r}",
            hint="v2gpki token list shows them",
            facts={"token": token_id},
        )
    if token.revoked_at is not None:
        return token
    connection.execute(
        "UPDATE tokens SET revoked_at = ?, revoked_by = ? WHERE id = ?", (seconds(at), caller, token_id)
    )
    ended = replace(token, revoked_at=at, revoked_by=caller)
    details = access_rows.token_details(ended)
    auditlog.append(connection, [(seconds(at), "token.revoked", caller, token_id, details)])
    return ended


def one_token(connection: sqlite3.Connection, token_id: str) -> Token | None:
    """By its id."""
    row = connection.execute(f"SELECT {access_rows.TOKEN} FROM tokens WHERE id = ?", (token_id,)).fetchone()
    return None if row is None else access_rows.token_of(row)


def token_of(connection: sqlite3.Connection, digest: bytes) -> Token | None:
    """By its digest."""
    row = connection.execute(f"SELECT {access_rows.TOKEN} FROM tokens WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else access_rows.token_of(row)


def tokens(connection: sqlite3.Connection, identity: str) -> list[Token]:
    """All of them, or one identity's."""
    where, values = ("WHERE identity = ? ", (identity,)) if identity else ("", ())
    found = connection.execute(f"SELECT {access_rows.TOKEN} FROM tokens {where}ORDER BY number", values)
    return [access_rows.token_of(row) for row in found]


# -- access tokens -------------------------------------------------------------------------------
def add_access_token(connection: sqlite3.Connection, access: AccessToken, caller: str) -> None:
    """Keep what a token was exchanged for."""
    token = one_token(connection, access.token_id)
    if token is None or token.revoked_at is not None:
        raise V2GPKIError(
            "store.conflict",
            f"the token {access.token_id} is unknown or was revoked",
            hint="use another token",
            facts={"which": "token", "token": access.token_id},
        )
    connection.execute(rows.insertion("access_tokens", access_rows.ACCESS_TOKEN), access_rows.access_row(access))
    details = access_rows.access_details(access)
    entry = (seconds(access.issued_at), "token.exchanged", caller, access.digest.hex(), details)
    auditlog.append(connection, [entry])


def access_token(connection: sqlite3.Connection, digest: bytes) -> tuple[AccessToken, Token] | None:
    """With the token that it came from."""
    row = connection.execute(
        f"SELECT {access_rows.ACCESS_TOKEN} FROM access_tokens WHERE digest = ?", (digest,)
    ).fetchone()
    if row is None:
        return None
    access = access_rows.access_of(row)
    token = one_token(connection, access.token_id)
    return None if token is None else (access, token)


def access_tokens(connection: sqlite3.Connection, after: int, size: int) -> tuple[int, list[AccessToken]]:
    """Up to ``size`` after row number ``after``, and the number to go on from (0: no more)."""
    found = connection.execute(
        f"SELECT {access_rows.ACCESS_TOKEN}, number FROM access_tokens WHERE number > ? ORDER BY number LIMIT ?",
        (after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [access_rows.access_of(row) for row in found]


def purge(connection: sqlite3.Connection, before: datetime) -> int:
    """Forget access tokens that have ended."""
    done = connection.execute("DELETE FROM access_tokens WHERE expires_at < ?", (seconds(before),))
    return done.rowcount


# -- grants --------------------------------------------------------------------------------------
def grant(connection: sqlite3.Connection, grants: Sequence[Grant]) -> int:
    """Add the rows that are not there."""
    entries = []
    for one in grants:
        done = connection.execute(
            rows.insertion("grants", access_rows.GRANT) + " ON CONFLICT DO NOTHING", access_rows.grant_row(one)
        )
        if done.rowcount:
            target = access_rows.grant_target(one)
            details = access_rows.grant_details(one)
            entries.append((seconds(one.granted_at), "grant.given", one.granted_by, target, details))
    auditlog.append(connection, entries)
    return len(entries)


def withdraw(
    connection: sqlite3.Connection,
    identity: str,
    at: datetime,
    caller: str,
    *,
    role: str,
    edition: str | None,
    key: str | None,
) -> int:
    """Take rows away."""
    terms, values = ["identity = ?"], [identity]
    for column, wanted in (("role", role or None), ("edition", edition), ("key", key)):
        if wanted is not None:
            terms.append(f"{column} = ?")
            values.append(wanted)
    where = " AND ".join(terms)
    found = connection.execute(f"SELECT {access_rows.GRANT} FROM grants WHERE {where} ORDER BY number", values)
    gone = [access_rows.grant_of(row) for row in found]
    connection.execute(f"DELETE FROM grants WHERE {where}", values)
    when = seconds(at)
    auditlog.append(
        connection,
        [
            (when, "grant.withdrawn", caller, access_rows.grant_target(one), access_rows.grant_details(one))
            for one in gone
        ],
    )
    return len(gone)


def grants(
    connection: sqlite3.Connection, after: int, size: int, *, identity: str, role: str
) -> tuple[int, list[Grant]]:
    """Up to ``size`` after row number ``after``, and the number to go on from (0: no more)."""
    given = [(column, value) for column, value in (("identity", identity), ("role", role)) if value]
    terms = "".join(f"{column} = ? AND " for column, _ in given)
    found = connection.execute(
        f"SELECT {access_rows.GRANT}, number FROM grants WHERE {terms}number > ? ORDER BY number LIMIT ?",
        (*(value for _, value in given), after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [access_rows.grant_of(row) for row in found]


def granted(connection: sqlite3.Connection, identity: str, role: str, edition: str, key: str) -> bool:
    """Whether this one id is granted."""
    found = connection.execute(
        f"SELECT 1 FROM grants WHERE {_GRANTED} AND match = 'id' AND key = ? LIMIT 1", (identity, role, edition, key)
    )
    return found.fetchone() is not None


def granted_values(
    connection: sqlite3.Connection, identity: str, role: str, edition: str, *, match: str, limit: int
) -> tuple[str, ...]:
    """Ids or prefixes, in the order in which they came; ``limit`` -1 is all."""
    found = connection.execute(
        f"SELECT value FROM grants WHERE {_GRANTED} AND match = ? ORDER BY number LIMIT ?",
        (identity, role, edition, match, limit),
    )
    return tuple(row[0] for row in found)


def has_grant(connection: sqlite3.Connection, identity: str, role: str, edition: str) -> bool:
    """Whether there is any row."""
    found = connection.execute(f"SELECT 1 FROM grants WHERE {_GRANTED} LIMIT 1", (identity, role, edition))
    return found.fetchone() is not None


def identities(connection: sqlite3.Connection) -> list[str]:
    """Every identity with a grant."""
    return [row[0] for row in connection.execute("SELECT DISTINCT identity FROM grants ORDER BY identity")]
