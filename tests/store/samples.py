"""Records for the tests of the store: made from a number, so that each run makes the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ed25519

from v2gpki.store.canonical import head_message
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditHead, AuthorityRecord, CertificateRecord, CrlRecord, IntentRecord

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=365)
ISSUER = "iso2-cpo-sub-ca-2@1"

Record = TypeVar("Record")


def serial_of(number: int) -> int:
    """20 octets, the first 0x40..0x7F, the rest a digest of the number."""
    octets = sha256(b"serial %d" % number).digest()[:20]
    return int.from_bytes(bytes([0x40 | octets[0] & 0x3F]) + octets[1:])


def intent(number: int, *, key: str = "", issuer_id: str = ISSUER, caller: str = "factory") -> IntentRecord:
    return IntentRecord(
        reference=f"{number:032x}",
        issuer_id=issuer_id,
        serial=serial_of(number),
        tbs_digest=sha256(f"tbs {issuer_id} {number}".encode()).digest(),
        edition="iso15118-2",
        role="secc",
        identifier=f"DEACME{number:06d}",
        caller=caller,
        recorded_at=NOW + timedelta(seconds=number),
        idempotence_key=key,
    )


def certificate(wanted: IntentRecord, *, key_id: str = "", role: str = "") -> CertificateRecord:
    der = b"\x30\x82" + wanted.tbs_digest * 20
    return CertificateRecord(
        issuer_id=wanted.issuer_id,
        serial=wanted.serial,
        fingerprint=sha256(der).digest(),
        edition=wanted.edition,
        suite="p256",
        role=role or wanted.role,
        identifier=wanted.identifier,
        subject=f"CN={wanted.identifier},O=Acme,DC=CPO",
        not_before=NOW,
        not_after=LATER + timedelta(seconds=wanted.serial % 1000),
        der=der,
        profile="5f" * 32,
        caller=wanted.caller,
        issued_at=wanted.recorded_at,
        key_id=key_id,
    )


def issue(store: Store, numbers: Sequence[int], **named: str) -> list[CertificateRecord]:
    """Record the intents and commit the results, one transaction each."""
    key_id, role = named.pop("key_id", ""), named.pop("role", "")
    intents = [intent(number, **named) for number in numbers]
    made = [certificate(wanted, key_id=key_id, role=role) for wanted in intents]
    store.record_intents(intents)
    store.commit_results(made, [wanted.reference for wanted in intents])
    return made


def authority(store: Store, slug: str = "iso2-cpo-sub-ca-2", generation: int = 1) -> AuthorityRecord:
    """A self-signed CA: its intent, its certificate and itself."""
    number = int.from_bytes(sha256(f"{slug}@{generation}".encode()).digest()[:3])
    wanted = changed(intent(number, issuer_id=f"{slug}@{generation}"), role="v2g-root", identifier="")
    made = certificate(wanted)
    made = changed(made, key_id=f"{slug}-{generation}")
    record = AuthorityRecord(
        id=wanted.issuer_id,
        slug=slug,
        generation=generation,
        edition=made.edition,
        suite=made.suite,
        role=made.role,
        subject=made.subject,
        subject_der=b"\x30\x00",
        key_identifier=bytes(20),
        issuer_id=wanted.issuer_id,
        serial=made.serial,
        not_before=made.not_before,
        not_after=made.not_after,
        der=made.der,
        chain=(b"\x30\x01\x00", b"\x30\x00"),
        key_id=made.key_id,
    )
    store.record_intents([wanted])
    store.commit_results([made], [wanted.reference], authorities=[record])
    return record


def crl(issuer_id: str, number: int) -> CrlRecord:
    at = NOW + timedelta(hours=number)
    return CrlRecord(issuer_id, number, at, at + timedelta(days=7), b"crl %d" % number)


AUDIT_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def verifier(signature: bytes, message: bytes) -> None:
    AUDIT_KEY.public_key().verify(signature, message)


def sign_head(store: Store) -> AuditHead:
    """What the services do after a write: sign the tip."""
    sequence, digest = store.audit_tip()
    at = NOW + timedelta(seconds=sequence)
    message = head_message(store.setting("home_id") or "", sequence, digest, at)
    head = AuditHead(sequence, digest, at, AUDIT_KEY.sign(message))
    store.append_audit_head(head)
    return head


def changed(record: Record, **changes: object) -> Record:
    """A copy of a record with some fields changed, whichever kind of value class it is."""
    if isinstance(record, tuple):
        copy: Record = record._replace(**changes)  # type: ignore[attr-defined]  # every tuple here is a named one
        return copy
    return replace(record, **changes)  # type: ignore[type-var]  # everything else is a dataclass
