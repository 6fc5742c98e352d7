"""Intents and certificates in SQLite: the statements of the hot path, inside the caller's transaction.

``intents`` holds what is pending and nothing else: a commit takes the row out and puts the certificate
in, an abandoned one moves to ``abandoned_intents``. So the table stays as small as the largest batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import repeat

from v2gpki.errors import FactValue, V2GPKIError
from v2gpki.store import auditlog, rows
from v2gpki.store.canonical import certificate_target, seconds
from v2gpki.store.details import abandoned_details, created_details, issued_details
from v2gpki.store.records import AuthorityRecord, CertificateRecord, IntentRecord

_ABANDONED = (
    "reference, issuer_id, serial, tbs_digest, edition, role, identifier, caller, recorded_at, key_id, "
    "abandoned_at, reason"
)


def record(connection: sqlite3.Connection, intents: Sequence[IntentRecord]) -> None:
    """Insert intents and claim their idempotence keys; IntegrityError on any collision but that of key ids."""
    _require_own_keys(connection, intents)
    connection.executemany(
        rows.insertion("intents", rows.INTENT), [rows.intent_row(intent) for intent in intents]
    )
    claims = [
        (intent.caller, intent.idempotence_key, intent.issuer_id, f"{intent.serial:x}")
        for intent in intents
        if intent.idempotence_key
    ]
    if claims:
        connection.executemany(
            "INSERT INTO idempotence (caller, idempotence_key, issuer_id, serial) VALUES (?, ?, ?, ?)", claims
        )


def _require_own_keys(connection: sqlite3.Connection, intents: Sequence[IntentRecord]) -> None:
    """A pending key id has one owner: whoever abandons an intent may delete the key that was made for it."""
    for key_id in {intent.key_id for intent in intents if intent.key_id}:
        if connection.execute("SELECT 1 FROM intents WHERE key_id = ?", (key_id,)).fetchone():
            raise _conflict(
                f"another process is just making the key {key_id}",
                hint="wait for it, then try again",
                which="key_id",
                key_id=key_id,
            )


def collision(connection: sqlite3.Connection, intents: Sequence[IntentRecord]) -> V2GPKIError:
    """Which of ``intents`` the database (or another one of them) stands against, as ``store.conflict``."""
    serials: set[tuple[str, int]] = set()
    claims: set[tuple[str, str]] = set()
    for intent in intents:
        claim = (intent.caller, intent.idempotence_key)
        if intent.idempotence_key:
            serial = _claimed(connection, *claim)
            if serial is not None or claim in claims:
                return _claim_conflict(intent, serial)
            claims.add(claim)
        identity = (intent.issuer_id, intent.serial)
        state = _serial_state(connection, *identity)
        if state or identity in serials:
            return _serial_conflict(intent, state or "pending")
        serials.add(identity)
    return _conflict("another process wrote the same serial or idempotence key at the same time", which="unknown")


def commit(
    connection: sqlite3.Connection,
    certificates: Sequence[CertificateRecord],
    references: Sequence[str],
    authorities: Sequence[AuthorityRecord],
    contracts: Sequence[str] = (),
) -> None:
    """Close the intents, insert the certificates and the authorities, write their audit rows; ``contracts`` are the
    ids of those that the certificates were issued for, "" for none."""
    if contracts and len(contracts) != len(certificates):
        raise ValueError("one contract id for each certificate")
    new = [rows.certificate_row(certificate) for certificate in certificates]
    closed = connection.executemany(
        "DELETE FROM intents WHERE serial = ? AND issuer_id = ? AND reference = ?",
        [(row[1], row[0], reference) for row, reference in zip(new, references, strict=True)],
    )
    if closed.rowcount != len(new):
        raise _conflict(
            f"{len(new) - closed.rowcount} of {len(new)} intents are not pending any more; "
            "their certificates must not be handed out",
            hint="issue again: the abandoned serials count as revoked",
            which="intent",
        )
    connection.executemany(rows.insertion("certificates", rows.CERTIFICATE), new)
    entries: list[auditlog.Entry] = [
        (
            seconds(certificate.issued_at),
            "certificate.issued",
            certificate.caller,
            certificate_target(certificate.issuer_id, certificate.serial),
            issued_details(certificate, contract),
        )
        for certificate, contract in zip(certificates, contracts or repeat(""), strict=False)
    ]
    issued = {(certificate.issuer_id, certificate.serial): certificate for certificate in certificates}
    for authority in authorities:
        connection.execute(rows.insertion("authorities", rows.AUTHORITY), rows.authority_row(authority))
        own = issued[authority.issuer_id, authority.serial]
        details = created_details(authority)
        entries.append((seconds(own.issued_at), "authority.created", own.caller, authority.id, details))
    auditlog.append(connection, entries)


def commit_collision(
    certificates: Sequence[CertificateRecord], authorities: Sequence[AuthorityRecord], error: sqlite3.IntegrityError
) -> V2GPKIError:
    """What a UNIQUE violation of ``commit`` means; SQLite's message names the table and the columns."""
    if authorities and "authorities." in str(error):
        names = ", ".join(authority.id for authority in authorities)
        return _conflict(
            f"there is already an authority {names}" if len(authorities) == 1 else f"one of {names} is there already",
            hint="a new key of the same authority gets the next generation",
            which="authority",
            authority_id=names,
        )
    return _conflict(
        f"one of {len(certificates)} certificates has a fingerprint or a serial that the store already has",
        which="certificate",
    )


def abandon(connection: sqlite3.Connection, references: Sequence[str], at: datetime, reason: str) -> None:
    """Move pending intents to the abandoned ones, free their idempotence keys, write audit rows."""
    pending = {row[0]: row for row in connection.execute(f"SELECT {rows.INTENT} FROM intents")}
    gone = [reference for reference in references if reference not in pending]
    if gone:
        raise _conflict(
            f"{len(gone)} of {len(references)} intents are not pending",
            hint="they were committed or abandoned meanwhile; ask for the pending ones again",
            which="intent",
            references=gone,
        )
    when = seconds(at)
    leaving = [pending[reference] for reference in references]
    connection.executemany(
        "DELETE FROM intents WHERE serial = ? AND issuer_id = ?", [(row[2], row[1]) for row in leaving]
    )
    connection.executemany(
        rows.insertion("abandoned_intents", _ABANDONED), [(*row[:9], row[10], when, reason) for row in leaving],
    )
    connection.executemany(
        "DELETE FROM idempotence WHERE caller = ? AND idempotence_key = ?",
        [(row[7], row[9]) for row in leaving if row[9]],
    )
    auditlog.append(connection, [_abandoned_entry(rows.intent_of(row), when, reason) for row in leaving])


def pending(connection: sqlite3.Connection) -> list[IntentRecord]:
    """Pending intents, oldest first."""
    found = connection.execute(f"SELECT {rows.INTENT} FROM intents ORDER BY recorded_at, issuer_id, serial")
    return [rows.intent_of(row) for row in found]


def _abandoned_entry(intent: IntentRecord, when: int, reason: str) -> auditlog.Entry:
    target = certificate_target(intent.issuer_id, intent.serial)
    return (when, "intent.abandoned", intent.caller, target, abandoned_details(intent, reason))


def _claimed(connection: sqlite3.Connection, caller: str, key: str) -> str | None:
    row = connection.execute(
        "SELECT serial FROM idempotence WHERE idempotence_key = ? AND caller = ?", (key, caller)
    ).fetchone()
    return None if row is None else str(row[0])


def _serial_state(connection: sqlite3.Connection, issuer_id: str, serial: int) -> str:
    for state, table in (("done", "certificates"), ("abandoned", "abandoned_intents"), ("pending", "intents")):
        query = f"SELECT 1 FROM {table} WHERE serial = ? AND issuer_id = ?"
        if connection.execute(query, (f"{serial:x}", issuer_id)).fetchone():
            return state
    return ""


def _claim_conflict(intent: IntentRecord, serial: str | None) -> V2GPKIError:
    return _conflict(
        f"the caller {intent.caller!r} has already used the idempotence key {intent.idempotence_key!r}",
        hint="ask for what was issued for it, or use a new key",
        which="idempotence_key",
        caller=intent.caller,
        idempotence_key=intent.idempotence_key,
        reference=intent.reference,
        serial=serial or f"{intent.serial:x}",
    )


def _serial_conflict(intent: IntentRecord, state: str) -> V2GPKIError:
    return _conflict(
        f"{intent.issuer_id} has already used the serial {intent.serial:x} ({state})",
        hint="draw another serial",
        which="serial",
        issuer_id=intent.issuer_id,
        serial=f"{intent.serial:x}",
        state=state,
        reference=intent.reference,
    )


def _conflict(message: str, *, hint: str = "", **facts: FactValue) -> V2GPKIError:
    return V2GPKIError("store.conflict", message, hint=hint, facts=facts)
