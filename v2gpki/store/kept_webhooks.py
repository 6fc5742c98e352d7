"""Webhook endpoints and deliveries in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.store import access_rows, auditlog, rows
from v2gpki.store.canonical import seconds
from v2gpki.store.webhook_records import Delivery, Endpoint


# -- endpoints -----------------------------------------------------------------------------------
def add_endpoint(connection: sqlite3.Connection, endpoint: Endpoint) -> None:
    """Keep a new endpoint."""
    if one_endpoint(connection, endpoint.id) is not None:
        raise V2GPKIError(
            "store.conflict",
            f"there is an endpoint {endpoint.id}",
            hint="choose another id",
            facts={"which": "endpoint", "endpoint": endpoint.id},
        )
    connection.execute(rows.insertion("endpoints", access_rows.ENDPOINT), access_rows.endpoint_row(endpoint))
    _log(connection, "endpoint.added", endpoint, endpoint.created_at, endpoint.created_by)


def change_endpoint(connection: sqlite3.Connection, wanted: Endpoint, at: datetime, caller: str) -> Endpoint:
    """Change what may change; the same again changes nothing."""
    present = _existing(connection, wanted.id)
    changed = replace(
        present,
        url=wanted.url,
        events=wanted.events,
        secret=wanted.secret,
        description=wanted.description,
        enabled=wanted.enabled,
        noted=wanted.noted,
    )
    if changed == present:
        return present
    row = access_rows.endpoint_row(changed)
    connection.execute(
        "UPDATE endpoints SET url = ?, events = ?, secret = ?, description = ?, enabled = ?, noted = ? WHERE id = ?",
        (row[2], row[3], row[4], row[7], row[8], row[9], wanted.id),
    )
    _log(connection, "endpoint.changed", changed, at, caller)
    return changed


def remove_endpoint(connection: sqlite3.Connection, endpoint_id: str, at: datetime, caller: str) -> Endpoint:
    """Remove it, and by the foreign key what is on its way."""
    present = _existing(connection, endpoint_id)
    connection.execute("DELETE FROM endpoints WHERE id = ?", (endpoint_id,))
    _log(connection, "endpoint.removed", present, at, caller)
    return present


def one_endpoint(connection: sqlite3.Connection, endpoint_id: str) -> Endpoint | None:
    """By its id."""
    found = connection.execute(f"SELECT {access_rows.ENDPOINT} FROM endpoints WHERE id = ?", (endpoint_id,)).fetchone()
    return None if found is None else access_rows.endpoint_of(found)


def endpoints(connection: sqlite3.Connection, owner: str | None, event: str) -> list[Endpoint]:
    """All of them, one owner's, or those that are told of an event."""
    where, values = ("WHERE owner = ? ", (owner,)) if owner is not None else ("", ())
    found = connection.execute(f"SELECT {access_rows.ENDPOINT} FROM endpoints {where}ORDER BY number", values)
    every = [access_rows.endpoint_of(row) for row in found]
    return [one for one in every if not event or (one.enabled and event in one.events)]


def _existing(connection: sqlite3.Connection, endpoint_id: str) -> Endpoint:
    present = one_endpoint(connection, endpoint_id)
    if present is None:
        raise V2GPKIError(
            "store.unknown_endpoint",
            f"there is no webhook endpoint {endpoint_id!r}",
            hint="list the endpoints; perhaps it was removed",
            facts={"endpoint": endpoint_id},
        )
    return present


def _log(connection: sqlite3.Connection, action: str, endpoint: Endpoint, at: datetime, caller: str) -> None:
    details = access_rows.endpoint_details(endpoint)
    auditlog.append(connection, [(seconds(at), action, caller, endpoint.id, details)])


# -- deliveries ----------------------------------------------------------------------------------
def enqueue(connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> None:
    """Put them in, but those whose endpoint is gone, and those that are there already."""
    columns = access_rows.DELIVERY
    connection.executemany(
        f"INSERT INTO deliveries ({columns}) SELECT {', '.join('?' * len(columns.split(',')))} "
        "WHERE EXISTS (SELECT 1 FROM endpoints WHERE id = ?) ON CONFLICT (id) DO NOTHING",
        [(*access_rows.delivery_row(delivery), delivery.endpoint_id) for delivery in deliveries],
    )


def any_due(connection: sqlite3.Connection, at: datetime) -> bool:
    """Whether there is something to take."""
    found = connection.execute(
        "SELECT 1 FROM deliveries WHERE state = 'waiting' AND due_at <= ? LIMIT 1", (seconds(at),)
    )
    return found.fetchone() is not None


def take_due(connection: sqlite3.Connection, at: datetime, limit: int, hold_seconds: int) -> list[Delivery]:
    """Take what is due, and put it off for the others."""
    now = seconds(at)
    found = connection.execute(
        f"SELECT {access_rows.DELIVERY}, number FROM deliveries WHERE state = 'waiting' AND due_at <= ? "
        "ORDER BY due_at, number LIMIT ?",
        (now, limit),
    ).fetchall()
    return _taken(connection, found, now + hold_seconds)


def due_endpoints(connection: sqlite3.Connection, at: datetime) -> list[str]:
    """Whom something is due for: one look-up for each endpoint, however long its queue is."""
    oldest = "SELECT min(due_at) FROM deliveries WHERE endpoint_id = endpoints.id AND state = 'waiting'"
    found = connection.execute(
        f"SELECT id, ({oldest}) AS oldest FROM endpoints WHERE oldest <= ? ORDER BY oldest, number", (seconds(at),)
    )
    return [row[0] for row in found]


def take_one_each(
    connection: sqlite3.Connection, at: datetime, endpoint_ids: Sequence[str], hold_seconds: int
) -> list[Delivery]:
    """Take the oldest one that is due for each of these endpoints, and put it off for the others."""
    now = seconds(at)
    found = [
        row
        for endpoint_id in endpoint_ids
        for row in connection.execute(
            f"SELECT {access_rows.DELIVERY}, number FROM deliveries WHERE endpoint_id = ? AND state = 'waiting' "
            "AND due_at <= ? ORDER BY due_at, number LIMIT 1",
            (endpoint_id, now),
        )
    ]
    return _taken(connection, found, now + hold_seconds)


def _taken(connection: sqlite3.Connection, found: Sequence[tuple[object, ...]], until: int) -> list[Delivery]:
    connection.executemany(
        "UPDATE deliveries SET due_at = ?, attempts = attempts + 1 WHERE number = ?",
        [(until, row[-1]) for row in found],
    )
    return [replace(taken, attempts=taken.attempts + 1) for taken in map(access_rows.delivery_of, found)]


def fail_waiting(connection: sqlite3.Connection, endpoint_id: str, at: datetime, said: str) -> int:
    """Nothing of what waits for an endpoint will be sent."""
    done = connection.execute(
        "UPDATE deliveries SET state = 'failed', said = ?, ended_at = ? WHERE endpoint_id = ? AND state = 'waiting'",
        (said, seconds(at), endpoint_id),
    )
    return done.rowcount


def give_up(connection: sqlite3.Connection, before: datetime, at: datetime, said: str) -> int:
    """Nothing that waits for so long will be sent."""
    done = connection.execute(
        "UPDATE deliveries SET state = 'failed', said = ?, ended_at = ? WHERE state = 'waiting' AND created_at < ?",
        (said, seconds(at), seconds(before)),
    )
    return done.rowcount


def end(connection: sqlite3.Connection, delivery_id: str, state: str, at: datetime, said: str) -> None:
    """It arrived, or was given up; one that has ended stays as it is."""
    connection.execute(
        "UPDATE deliveries SET state = ?, said = ?, ended_at = ? WHERE id = ? AND state = 'waiting'",
        (state, said, seconds(at), delivery_id),
    )


def put_off(connection: sqlite3.Connection, delivery_id: str, said: str, retry_at: datetime) -> None:
    """It is due again later."""
    connection.execute(
        "UPDATE deliveries SET due_at = ?, said = ? WHERE id = ? AND state = 'waiting'",
        (seconds(retry_at), said, delivery_id),
    )


def deliveries(
    connection: sqlite3.Connection, after: int, size: int, *, endpoint_id: str, state: str
) -> tuple[int, list[Delivery]]:
    """Up to ``size`` after row number ``after``, and the number to go on from (0: no more)."""
    given = [(column, value) for column, value in (("endpoint_id", endpoint_id), ("state", state)) if value]
    terms = "".join(f"{column} = ? AND " for column, _ in given)
    found = connection.execute(
        f"SELECT {access_rows.DELIVERY}, number FROM deliveries WHERE {terms}number > ? ORDER BY number LIMIT ?",
        (*(value for _, value in given), after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [access_rows.delivery_of(row) for row in found]


def purge(connection: sqlite3.Connection, before: datetime) -> int:
    """Forget what has ended."""
    done = connection.execute("DELETE FROM deliveries WHERE state <> 'waiting' AND ended_at < ?", (seconds(before),))
    return done.rowcount
