"""Provisioning certificates in SQLite, and what their end takes along, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from v2gpki.errors import V2GPKIError
from v2gpki.store import auditlog, pool_rows, pooled_bundles, pooled_contracts, revoking, rows
from v2gpki.store.canonical import seconds
from v2gpki.store.pool_canonical import vehicle_details, vehicle_target
from v2gpki.store.pool_records import Contract, PooledVehicle
from v2gpki.store.records import REASONS

_IDENTITY = "pcid = ? AND edition = ? AND suite = ?"


def register(connection: sqlite3.Connection, vehicle: PooledVehicle) -> tuple[Contract, ...]:
    """Add a vehicle or replace its row; returns the contracts whose bundles were withdrawn."""
    if not vehicle.chain or sha256(vehicle.chain[0]).digest() != vehicle.fingerprint:
        raise ValueError("the fingerprint of a vehicle is the SHA-256 of the leaf of its chain")
    identity = (vehicle.pcid, vehicle.edition, vehicle.suite)
    present = one(connection, *identity)
    at, caller = vehicle.registered_at, vehicle.registered_by
    if present is not None and present.fingerprint == vehicle.fingerprint:
        kept = replace(present, chain=vehicle.chain, v2g_roots=vehicle.v2g_roots)
        if kept == present:
            return ()
        row = pool_rows.vehicle_row(kept)
        connection.execute(
            f"UPDATE vehicles SET chain = ?, v2g_roots = ? WHERE {_IDENTITY}", (row[3], row[10], *identity)
        )
        auditlog.append(connection, [_entry("vehicle.registered", kept, at, caller, kept)])
        return ()
    if present is not None:
        connection.execute(f"DELETE FROM vehicles WHERE {_IDENTITY}", identity)
    connection.execute(rows.insertion("vehicles", pool_rows.VEHICLE), pool_rows.vehicle_row(vehicle))
    auditlog.append(connection, [_entry("vehicle.registered", vehicle, at, caller, present)])
    if present is None or present.receiver == vehicle.receiver:
        return ()
    return _withdraw(
        connection,
        "pcid = ? AND edition = ? AND receiver = ?",
        (present.pcid, present.edition, present.receiver),
        at,
        caller,
    )


def one(connection: sqlite3.Connection, pcid: str, edition: str, suite: str) -> PooledVehicle | None:
    """One vehicle; suite "" takes the newest of the edition."""
    values = (pcid, edition, suite) if suite else (pcid, edition)
    where = _IDENTITY if suite else "pcid = ? AND edition = ? ORDER BY number DESC LIMIT 1"
    row = connection.execute(f"SELECT {pool_rows.VEHICLE} FROM vehicles WHERE {where}", values).fetchone()
    return None if row is None else pool_rows.vehicle_of(row)


def page(
    connection: sqlite3.Connection, after: int, size: int, *, pcid: str, edition: str, owner: str | None
) -> tuple[int, list[PooledVehicle]]:
    """Up to ``size`` vehicles registered after row number ``after``, and the number to go on from (0: no more)."""
    given = [(column, value) for column, value in (("pcid", pcid), ("edition", edition)) if value]
    if owner is not None:
        given.append(("owner", owner))
    terms = "".join(f"{column} = ? AND " for column, _ in given)
    found = connection.execute(
        f"SELECT {pool_rows.VEHICLE}, number FROM vehicles WHERE {terms}number > ? ORDER BY number LIMIT ?",
        (*(value for _, value in given), after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [pool_rows.vehicle_of(row) for row in found]


def delete(
    connection: sqlite3.Connection, pcid: str, at: datetime, caller: str, *, edition: str, revoke: str
) -> tuple[Contract, ...]:
    """Take a vehicle out of the pool; without a row left, its active contracts are purged, and their certificates
    revoked when ``revoke`` gives a reason."""
    _require_reason(revoke or REASONS[0])
    # An empty PCID means any to ``page`` and must delete nothing.
    leaving = page(connection, 0, -1, pcid=pcid, edition=edition, owner=None)[1] if pcid else []
    if not leaving:
        raise V2GPKIError(
            "store.unknown_vehicle",
            f"no vehicle with the PCID {pcid} is registered" + (f" for {edition}" if edition else ""),
            hint="`v2gpki pcp list` shows them",
            facts={"pcid": pcid, "edition": edition},
        )
    for vehicle in leaving:
        connection.execute(
            f"DELETE FROM vehicles WHERE {_IDENTITY}", (vehicle.pcid, vehicle.edition, vehicle.suite)
        )
    auditlog.append(connection, [_entry("vehicle.deleted", vehicle, at, caller) for vehicle in leaving])
    if connection.execute("SELECT 1 FROM vehicles WHERE pcid = ?", (pcid,)).fetchone():
        _withdraw(connection, "pcid = ? AND edition = ?", (pcid, edition), at, caller)
        return ()
    _withdraw(connection, "pcid = ?", (pcid,), at, caller)
    active = pooled_contracts.active_of_vehicle(connection, pcid)
    purged = tuple(pooled_contracts.purge(connection, contract, at, caller) for contract in active)
    for contract in purged if revoke else ():
        _revoke(connection, contract.id, at, revoke, caller)
    return purged


def end_contract(
    connection: sqlite3.Connection, contract_id: str, at: datetime, reason: str, caller: str, *, revoke: bool
) -> Contract:
    """End a contract, withdraw its bundles, revoke its certificates if asked to, appoint another default. Of one that
    ended or was purged before, certificates that are still valid are revoked."""
    _require_reason(reason)
    contract = pooled_contracts.require(connection, contract_id)
    ended = contract
    if contract.state == "active":
        ended = pooled_contracts.end(connection, contract, at, reason, caller)
        _withdraw(connection, "contract_id = ?", (contract_id,), at, caller)
    if revoke:
        _revoke(connection, contract_id, at, reason, caller)
    if contract.state == "active":
        pooled_contracts.appoint_default(connection, contract.pcid, at, caller)
    return ended


def _require_reason(reason: str) -> None:
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is no revocation reason")


def _revoke(connection: sqlite3.Connection, contract_id: str, at: datetime, reason: str, caller: str) -> None:
    """Revoke a contract's certificates that are still valid."""
    valid = connection.execute(
        "SELECT c.issuer_id, c.serial FROM contract_certificates AS l JOIN certificates AS c "
        "ON c.serial = l.serial AND c.issuer_id = l.issuer_id "
        "WHERE l.contract_id = ? AND c.state = 'valid' AND c.not_after >= ? ORDER BY l.number",
        (contract_id, seconds(at)),
    ).fetchall()
    for issuer_id, serial in valid:
        revoking.revoke(connection, issuer_id, rows.serial_of(serial), at=at, reason=reason, caller=caller)


def _withdraw(
    connection: sqlite3.Connection, where: str, values: Sequence[rows.Value], at: datetime, caller: str
) -> tuple[Contract, ...]:
    """Withdraw every ready bundle that matches; returns their contracts."""
    found = connection.execute(
        f"SELECT id, contract_id FROM bundles WHERE {where} AND state = 'ready' ORDER BY number", values
    ).fetchall()
    pooled_bundles.withdraw(connection, [row[0] for row in found], at, caller)
    touched = dict.fromkeys(row[1] for row in found)
    return tuple(pooled_contracts.require(connection, contract_id) for contract_id in touched)


def _entry(
    action: str, vehicle: PooledVehicle, at: datetime, caller: str, replaced: PooledVehicle | None = None
) -> auditlog.Entry:
    target = vehicle_target(vehicle.pcid, vehicle.edition, vehicle.suite)
    return (seconds(at), action, caller, target, vehicle_details(vehicle, replaced))
