"""Contracts in SQLite, inside the caller's transaction.

An EMAID is known by its first 14 characters. Every change of a row has its row of the log with the digest of the whole
contract, so a default that moves from one contract to another is two rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from v2gpki.errors import V2GPKIError
from v2gpki.store import auditlog, pool_rows, rows
from v2gpki.store.canonical import seconds
from v2gpki.store.pool_canonical import contract_details
from v2gpki.store.pool_records import Contract, ContractState
from v2gpki.store.records import CertificateRecord

#: So many are asked for in one statement; SQLite of old takes 999 values.
_AT_ONCE = 500
#: Written out: for a value that is bound SQLite makes a new plan at each look-up, because of the indices of one state.
_IN_STATE = {state: f"state = '{state}'" for state in get_args(ContractState)}
_OF_EMAID = "substr(emaid, 1, 14) = substr(?, 1, 14)"


@dataclass(frozen=True, slots=True)
class ContractFilter:
    """What ``contracts`` asks for; "" and None mean any."""

    pcid: str = ""
    emaid: str = ""
    state: ContractState | None = None
    ending_before: datetime | None = None

    def where(self) -> tuple[str, list[rows.Value]]:
        """The WHERE clause (never empty) and its values."""
        terms, values = ["1"], list[rows.Value]()
        if self.pcid:
            terms.append("pcid = ?")
            values.append(self.pcid)
        if self.emaid:
            terms.append(_OF_EMAID)
            values.append(self.emaid)
        if self.state is not None:
            terms.append(_IN_STATE[self.state])
        if self.ending_before is not None:
            terms.append("ends < ?")
            values.append(seconds(self.ending_before))
        return " AND ".join(terms), values


def add(connection: sqlite3.Connection, contract: Contract) -> Contract:
    """Write a new active contract; the first one of a vehicle becomes its default."""
    if contract.state != "active" or contract.ended_at is not None or contract.reason:
        raise ValueError("a new contract is active")
    active = _query(connection, f"WHERE state = 'active' AND {_OF_EMAID}", contract.emaid)
    if active:
        raise V2GPKIError(
            "store.conflict",
            f"the EMAID {contract.emaid} has an active contract already",
            hint="end it first: an EMAID has one contract at a time",
            facts={"which": "emaid", "emaid": contract.emaid, "contract_id": active[0].id},
        )
    if one(connection, contract.id) is not None:
        raise V2GPKIError(
            "store.conflict",
            f"there is a contract with the id {contract.id} already",
            hint="draw another id",
            facts={"which": "contract_id", "contract_id": contract.id},
        )
    before = _query(connection, "WHERE pcid = ? AND is_default = 1", contract.pcid)
    entries: list[auditlog.Entry] = []
    if contract.default:
        at, caller = contract.created_at, contract.created_by
        entries = [_change(connection, "contract.defaulted", replace(old, default=False), at, caller) for old in before]
    written = replace(contract, default=contract.default or not before)
    connection.execute(rows.insertion("contracts", pool_rows.CONTRACT), pool_rows.contract_row(written))
    entries.append(_entry("contract.created", written, written.created_at, written.created_by))
    auditlog.append(connection, entries)
    return written


def one(connection: sqlite3.Connection, contract_id: str) -> Contract | None:
    """One contract by its id."""
    row = connection.execute(f"SELECT {pool_rows.CONTRACT} FROM contracts WHERE id = ?", (contract_id,)).fetchone()
    return None if row is None else pool_rows.contract_of(row)


def require(connection: sqlite3.Connection, contract_id: str) -> Contract:
    """One contract by its id; ``store.unknown_contract``."""
    contract = one(connection, contract_id)
    if contract is None:
        raise V2GPKIError(
            "store.unknown_contract",
            f"there is no contract with the id {contract_id}",
            hint="`v2gpki contract list` shows them",
            facts={"contract_id": contract_id},
        )
    return contract


def require_active(connection: sqlite3.Connection, contract_id: str) -> Contract:
    """One active contract by its id; ``store.unknown_contract``, ``store.conflict``."""
    contract = require(connection, contract_id)
    if contract.state != "active":
        raise V2GPKIError(
            "store.conflict",
            f"the contract of {contract.emaid} is not active any more: it is {contract.state}",
            hint="make a new contract for this EMAID",
            facts={"which": "contract", "contract_id": contract.id, "state": contract.state},
        )
    return contract


def active(connection: sqlite3.Connection, contract_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(EMAID, PCID) of each of these contracts; one that is not active refuses it, as ``require_active``."""
    wanted = list(dict.fromkeys(contract_ids))
    found: dict[str, tuple[str, str]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(part))
        rows_found = connection.execute(
            f"SELECT id, emaid, pcid FROM contracts WHERE state = 'active' AND id IN ({marks})", part
        )
        found.update((row[0], (row[1], row[2])) for row in rows_found)
    for contract_id in wanted:
        if contract_id not in found:
            require_active(connection, contract_id)
    return found


def of_emaid(connection: sqlite3.Connection, emaid: str) -> Contract | None:
    """The active contract of an EMAID, else the one that ended last."""
    found = _query(
        connection,
        f"WHERE {_OF_EMAID} ORDER BY (state = 'active') DESC, ended_at DESC, number DESC LIMIT 1",
        emaid,
    )
    return found[0] if found else None


def page(
    connection: sqlite3.Connection, wanted: ContractFilter, after: int, size: int
) -> tuple[int, list[Contract]]:
    """Up to ``size`` contracts created after row number ``after``, and the number to go on from (0: no more)."""
    where, values = wanted.where()
    found = connection.execute(
        f"SELECT {pool_rows.CONTRACT}, number FROM contracts WHERE {where} AND number > ? ORDER BY number LIMIT ?",
        (*values, after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [pool_rows.contract_of(row) for row in found]


def active_of_vehicle(connection: sqlite3.Connection, pcid: str) -> list[Contract]:
    """The active contracts of a vehicle, oldest first."""
    return _query(connection, "WHERE pcid = ? AND state = 'active' ORDER BY number", pcid)


def set_default(connection: sqlite3.Connection, contract_id: str, at: datetime, caller: str) -> Contract:
    """Make an active contract the default of its vehicle."""
    contract = require_active(connection, contract_id)
    if contract.default:
        return contract
    before = _query(connection, "WHERE pcid = ? AND is_default = 1", contract.pcid)
    chosen = replace(contract, default=True)
    changed = [*(replace(old, default=False) for old in before), chosen]
    auditlog.append(connection, [_change(connection, "contract.defaulted", new, at, caller) for new in changed])
    return chosen


def end(connection: sqlite3.Connection, contract: Contract, at: datetime, reason: str, caller: str) -> Contract:
    """End an active contract, and nothing that belongs to it."""
    ended = replace(contract, state="ended", default=False, ended_at=at, reason=reason)
    auditlog.append(connection, [_change(connection, "contract.ended", ended, at, caller)])
    return ended


def purge(connection: sqlite3.Connection, contract: Contract, at: datetime, caller: str) -> Contract:
    """Purge an active contract, and nothing that belongs to it."""
    purged = replace(contract, state="purged", default=False, ended_at=at)
    auditlog.append(connection, [_change(connection, "contract.purged", purged, at, caller)])
    return purged


def appoint_default(connection: sqlite3.Connection, pcid: str, at: datetime, caller: str) -> None:
    """Make the oldest active contract of a vehicle that has no default its default."""
    active = active_of_vehicle(connection, pcid)
    if active and not any(contract.default for contract in active):
        chosen = replace(active[0], default=True)
        auditlog.append(connection, [_change(connection, "contract.defaulted", chosen, at, caller)])


def link(
    connection: sqlite3.Connection, certificates: Sequence[CertificateRecord], contracts: Sequence[str]
) -> None:
    """Note for which contracts new certificates were issued; one that is not active refuses it."""
    links = [
        (contract_id, certificate.issuer_id, f"{certificate.serial:x}")
        for contract_id, certificate in zip(contracts, certificates, strict=False)
        if contract_id
    ]
    active(connection, (contract_id for contract_id, _, _ in links))
    connection.executemany(
        "INSERT INTO contract_certificates (contract_id, issuer_id, serial) VALUES (?, ?, ?)", links
    )


def certificates_of(connection: sqlite3.Connection, contract_id: str) -> list[tuple[str, int]]:
    """(issuer id, serial) of every certificate of a contract, oldest first."""
    found = connection.execute(
        "SELECT issuer_id, serial FROM contract_certificates WHERE contract_id = ? ORDER BY number", (contract_id,)
    )
    return [(row[0], rows.serial_of(row[1])) for row in found]


def links(connection: sqlite3.Connection, after: int, size: int) -> tuple[int, list[tuple[str, str, int]]]:
    """A page of (contract id, issuer id, serial) of all contracts, as ``page``."""
    found = connection.execute(
        "SELECT contract_id, issuer_id, serial, number FROM contract_certificates WHERE number > ? "
        "ORDER BY number LIMIT ?",
        (after, size),
    ).fetchall()
    return found[-1][-1] if len(found) == size else 0, [(row[0], row[1], rows.serial_of(row[2])) for row in found]


def _query(connection: sqlite3.Connection, clause: str, *values: rows.Value) -> list[Contract]:
    found = connection.execute(f"SELECT {pool_rows.CONTRACT} FROM contracts {clause}", values)
    return [pool_rows.contract_of(row) for row in found.fetchall()]


def _change(
    connection: sqlite3.Connection, action: str, contract: Contract, at: datetime, caller: str
) -> auditlog.Entry:
    """Write what may change of a contract; returns what the log must say."""
    row = pool_rows.contract_row(contract)
    connection.execute(
        "UPDATE contracts SET is_default = ?, state = ?, ended_at = ?, reason = ? WHERE id = ?", (*row[8:], row[0])
    )
    return _entry(action, contract, at, caller)


def _entry(action: str, contract: Contract, at: datetime, caller: str) -> auditlog.Entry:
    return (seconds(at), action, caller, contract.id, contract_details(contract))
