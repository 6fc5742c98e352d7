"""Records to rows of SQLite and back: times as seconds, serials as hex, chains as one BLOB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

from v2gpki.store.canonical import moment, seconds, unreadable
from v2gpki.store.records import (
    AuditHead,
    AuditRow,
    AuthorityRecord,
    CertificateRecord,
    CrlRecord,
    IntentRecord,
    RevokedSerial,
)

Value: TypeAlias = str | int | bytes | None
# sqlite3 types its rows as Any; the STRICT tables guarantee what stands in each column.
Row: TypeAlias = tuple[Any, ...]

CERTIFICATE = (
    "issuer_id, serial, fingerprint, edition, suite, role, identifier, subject, not_before, not_after, "
    "der, profile, caller, issued_at, key_id, state, revoked_at, reason"
)
AUTHORITY = (
    "id, slug, generation, edition, suite, role, subject, subject_der, key_identifier, issuer_id, serial, "
    "not_before, not_after, der, chain, key_id, state"
)
INTENT = (
    "reference, issuer_id, serial, tbs_digest, edition, role, identifier, caller, recorded_at, idempotence_key, key_id"
)
CRL = "issuer_id, number, this_update, next_update, der"
AUDIT = "sequence, at, action, caller, target, details, previous, digest"
HEAD = "sequence, digest, at, signature"


@cache
def insertion(table: str, columns: str) -> str:
    """The INSERT statement for a table and its columns."""
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})"


def certificate_row(record: CertificateRecord) -> tuple[Value, ...]:
    """In the order of ``CERTIFICATE``."""
    return (
        record.issuer_id,
        f"{record.serial:x}",
        record.fingerprint,
        record.edition,
        record.suite,
        record.role,
        record.identifier,
        record.subject,
        seconds(record.not_before),
        seconds(record.not_after),
        record.der,
        record.profile,
        record.caller,
        seconds(record.issued_at),
        record.key_id,
        record.state,
        None if record.revoked_at is None else seconds(record.revoked_at),
        record.reason,
    )


def intent_row(record: IntentRecord) -> tuple[Value, ...]:
    """In the order of ``INTENT``."""
    return (
        record.reference,
        record.issuer_id,
        f"{record.serial:x}",
        record.tbs_digest,
        record.edition,
        record.role,
        record.identifier,
        record.caller,
        seconds(record.recorded_at),
        record.idempotence_key,
        record.key_id,
    )


def authority_row(record: AuthorityRecord) -> tuple[Value, ...]:
    """In the order of ``AUTHORITY``."""
    return (
        record.id,
        record.slug,
        record.generation,
        record.edition,
        record.suite,
        record.role,
        record.subject,
        record.subject_der,
        record.key_identifier,
        record.issuer_id,
        f"{record.serial:x}",
        seconds(record.not_before),
        seconds(record.not_after),
        record.der,
        packed(record.chain),
        record.key_id,
        record.state,
    )


def certificate_of(row: Row) -> CertificateRecord:
    """From the columns of ``CERTIFICATE``."""
    (issuer_id, serial, fingerprint, edition, suite, role, identifier, subject, not_before, not_after) = row[:10]
    (der, profile, caller, issued_at, key_id, state, revoked_at, reason) = row[10:18]
    return CertificateRecord(
        issuer_id,
        serial_of(serial),
        fingerprint,
        edition,
        suite,
        role,
        identifier,
        subject,
        moment(not_before),
        moment(not_after),
        der,
        profile,
        caller,
        moment(issued_at),
        key_id,
        state,
        None if revoked_at is None else moment(revoked_at),
        reason,
    )


def intent_of(row: Row) -> IntentRecord:
    """From the columns of ``INTENT``."""
    reference, issuer_id, serial, tbs_digest, edition, role, identifier, caller, at, key, key_id = row
    return IntentRecord(
        reference, issuer_id, serial_of(serial), tbs_digest, edition, role, identifier, caller, moment(at), key, key_id
    )


def authority_of(row: Row) -> AuthorityRecord:
    """From the columns of ``AUTHORITY``."""
    (name, slug, generation, edition, suite, role, subject, subject_der, key_identifier, issuer_id) = row[:10]
    (serial, not_before, not_after, der, chain, key_id, state) = row[10:]
    return AuthorityRecord(
        name,
        slug,
        generation,
        edition,
        suite,
        role,
        subject,
        subject_der,
        key_identifier,
        issuer_id,
        serial_of(serial),
        moment(not_before),
        moment(not_after),
        der,
        unpacked(chain),
        key_id,
        state,
    )


def crl_of(row: Row) -> CrlRecord:
    """From the columns of ``CRL``."""
    return CrlRecord(row[0], row[1], moment(row[2]), moment(row[3]), row[4])


def revoked_of(row: Row) -> RevokedSerial:
    """From serial, time and reason."""
    return RevokedSerial(serial_of(row[0]), moment(row[1]), row[2])


def audit_row_of(row: Row) -> AuditRow:
    """From the columns of ``AUDIT``."""
    sequence, at, action, caller, target, details, previous, digest = row
    return AuditRow(sequence, moment(at), action, caller, target, details, previous, digest)


def head_of(row: Row) -> AuditHead:
    """From the columns of ``HEAD``."""
    return AuditHead(row[0], row[1], moment(row[2]), row[3])


def serial_of(text: str) -> int:
    """A serial from its hex digits; ``store.damaged`` for anything else."""
    try:
        return int(text, 16)
    except ValueError as error:
        raise unreadable(f"{text!r} is no serial") from error


def packed(parts: Sequence[bytes]) -> bytes:
    """Several octet strings as one: each after its length (u32)."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def unpacked(octets: bytes) -> tuple[bytes, ...]:
    """The parts of ``packed``."""
    parts = []
    while octets:
        end = 4 + int.from_bytes(octets[:4])
        parts.append(octets[4:end])
        octets = octets[end:]
    return tuple(parts)
