"""Revocations and CRLs in SQLite, inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from v2gpki.errors import V2GPKIError
from v2gpki.store import auditlog, lookup, rows
from v2gpki.store.canonical import certificate_target, details_text, seconds
from v2gpki.store.details import crl_target, published_details, revoked_details
from v2gpki.store.records import (
    REASONS,
    AuditEvent,
    AuthorityState,
    CrlRecord,
    RevokedSerial,
)

_STATE_ACTION = {"active": "authority.activated", "retired": "authority.retired", "revoked": "authority.revoked"}


def revoke(
    connection: sqlite3.Connection, issuer_id: str, serial: int, *, at: datetime, reason: str, caller: str
) -> bool:
    """Mark a certificate revoked; False when it already is, for the same reason."""
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is no revocation reason")
    certificate = lookup.one(connection, issuer_id, serial)
    if certificate is None:
        raise V2GPKIError(
            "store.unknown_certificate",
            f"{issuer_id} has issued no certificate with the serial {serial:x}",
            hint="`v2gpki cert list` shows what it issued",
            facts={"issuer_id": issuer_id, "serial": f"{serial:x}"},
        )
    if certificate.state == "revoked":
        if certificate.reason == reason:
            return False
        raise V2GPKIError(
            "store.already_revoked",
            f"the certificate {serial:x} of {issuer_id} is already revoked, for {certificate.reason}",
            hint="a revocation keeps its reason",
            facts={"issuer_id": issuer_id, "serial": f"{serial:x}", "reason": certificate.reason},
        )
    connection.execute(
        "UPDATE certificates SET state = 'revoked', revoked_at = ?, reason = ? WHERE serial = ? AND issuer_id = ?",
        (seconds(at), reason, f"{serial:x}", issuer_id),
    )
    target = certificate_target(issuer_id, serial)
    details = revoked_details(certificate, reason)
    auditlog.append(connection, [(seconds(at), "certificate.revoked", caller, target, details)])
    _revoke_authority(connection, issuer_id, serial, at=at, reason=reason, caller=caller)
    return True


def _revoke_authority(
    connection: sqlite3.Connection, issuer_id: str, serial: int, *, at: datetime, reason: str, caller: str
) -> None:
    """A CA whose certificate is revoked goes out of service in the same transaction."""
    row = connection.execute(
        "SELECT id, state FROM authorities WHERE serial = ? AND issuer_id = ?", (f"{serial:x}", issuer_id)
    ).fetchone()
    if row is not None and row[1] != "revoked":
        event = AuditEvent("authority.revoked", caller, row[0], {"reason": reason})
        set_authority_state(connection, row[0], "revoked", event, at)


def revoked_serials(connection: sqlite3.Connection, issuer_id: str) -> list[RevokedSerial]:
    """The issuer's revoked certificates and abandoned serials, ordered by serial."""
    found = connection.execute(
        "SELECT serial, revoked_at, reason FROM certificates WHERE issuer_id = ? AND state = 'revoked' "
        "UNION ALL SELECT serial, abandoned_at, 'unspecified' FROM abandoned_intents WHERE issuer_id = ? "
        "ORDER BY 1",
        (issuer_id, issuer_id),
    )
    # As text the order is that of the numbers only among serials of one length.
    return sorted(map(rows.revoked_of, found), key=lambda entry: entry.serial)


def append_crl(connection: sqlite3.Connection, crl: CrlRecord, caller: str) -> None:
    """Keep a CRL with a number above all earlier ones of its issuer."""
    last = connection.execute("SELECT max(number) FROM crls WHERE issuer_id = ?", (crl.issuer_id,)).fetchone()[0]
    if last is not None and crl.number <= last:
        raise V2GPKIError(
            "store.conflict",
            f"{crl.issuer_id} has already published a CRL with the number {last}; {crl.number} is not above it",
            hint="another process published meanwhile; publish again",
            clause="RFC 5280 5.2.3",
            facts={"which": "crl_number", "issuer_id": crl.issuer_id, "number": crl.number, "last": last},
        )
    connection.execute(
        rows.insertion("crls", rows.CRL),
        (crl.issuer_id, crl.number, seconds(crl.this_update), seconds(crl.next_update), crl.der),
    )
    target = crl_target(crl)
    auditlog.append(connection, [(seconds(crl.this_update), "crl.published", caller, target, published_details(crl))])


def crls(connection: sqlite3.Connection, issuer_id: str) -> list[CrlRecord]:
    """Every CRL (of one issuer), by issuer and number."""
    where, values = ("WHERE issuer_id = ? ", (issuer_id,)) if issuer_id else ("", ())
    found = connection.execute(f"SELECT {rows.CRL} FROM crls {where}ORDER BY issuer_id, number", values)
    return [rows.crl_of(row) for row in found]


def latest_crl(connection: sqlite3.Connection, issuer_id: str) -> CrlRecord | None:
    """The CRL with the highest number."""
    row = connection.execute(
        f"SELECT {rows.CRL} FROM crls WHERE issuer_id = ? ORDER BY number DESC LIMIT 1", (issuer_id,)
    ).fetchone()
    return None if row is None else rows.crl_of(row)


def set_authority_state(
    connection: sqlite3.Connection, authority_id: str, state: AuthorityState, event: AuditEvent, at: datetime
) -> None:
    """Change the state of one generation."""
    row = connection.execute("SELECT state FROM authorities WHERE id = ?", (authority_id,)).fetchone()
    if row is None:
        raise V2GPKIError(
            "store.unknown_authority",
            f"there is no authority {authority_id}",
            hint="`v2gpki ca list` shows them; a generation is written slug@n",
            facts={"authority_id": authority_id},
        )
    if row[0] == "revoked" and state != "revoked":
        raise V2GPKIError(
            "store.conflict",
            f"{authority_id} is revoked and stays so",
            hint="create a new generation",
            facts={"which": "authority_state", "authority_id": authority_id, "state": row[0]},
        )
    connection.execute("UPDATE authorities SET state = ? WHERE id = ?", (state, authority_id))
    details = details_text({**event.details, "state": state})
    auditlog.append(connection, [(seconds(at), _STATE_ACTION[state], event.caller, authority_id, details)])
