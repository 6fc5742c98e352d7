"""The octets that the audit log hashes and signs: documented, unambiguous, the same in every store.

Every number is big-endian. ``text`` is UTF-8; the lengths of all variable fields stand in front of
the first of them, so no two different inputs share an encoding. SHA-256 throughout.

- row:  "v2gpki/audit-row/1" NUL, previous (32), sequence (u64), at (i64), the lengths of action,
  caller, target and details (u32 each), these four texts.
- head: "v2gpki/audit-head/1" NUL, sequence (u64), at (i64), digest (32), home id (text, the rest).
- record: "v2gpki/<kind>/1" NUL, the lengths of all fields (u32 each), the fields; an integer or a time
  is an i64, a serial or CRL number hex text. Kind and order of the fields: the functions below and ``pool_canonical``.
- details: JSON, keys sorted, no blanks, everything outside ASCII escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from struct import Struct

from v2gpki.errors import V2GPKIError
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CrlRecord

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What the first row of a log names as its previous one.
ORIGIN = bytes(32)

_ROW_LABEL = b"v2gpki/audit-row/1\0"
_HEAD_LABEL = b"v2gpki/audit-head/1\0"
_ROW = Struct(">32sQqIIII").pack
_HEAD = Struct(">Qq32s").pack
_CERTIFICATE_LENGTHS = Struct(">14I").pack
_TIMES = Struct(">3q").pack
_INTEGER = Struct(">q").pack
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@lru_cache(maxsize=256)
def seconds(moment: datetime) -> int:
    """Whole seconds since 1970 of an aware moment (TypeError for a naive one); a batch asks for few moments, often."""
    span = moment - EPOCH
    return span.days * 86400 + span.seconds


@lru_cache(maxsize=1024)
def moment(count: int) -> datetime:
    """The aware UTC moment of ``seconds``; ``store.damaged`` when there is no such year."""
    try:
        return EPOCH + timedelta(seconds=count)
    except OverflowError as error:
        raise unreadable(f"{count} is no time") from error


def unreadable(what: str) -> V2GPKIError:
    """``store.damaged`` for a value that no release of ours wrote."""
    hint = "somebody changed the database; restore the newest backup of the home"
    return V2GPKIError("store.damaged", f"the database holds a value that cannot be: {what}", hint=hint)


def details_text(details: Mapping[str, str | int]) -> str:
    """The canonical JSON of an event's details."""
    return _encode(dict(details))


def row_digest(previous: bytes, sequence: int, at: int, texts: tuple[str, str, str, str]) -> bytes:
    """The chain value of one audit row: ``at`` in seconds since 1970, ``texts`` action, caller, target, details."""
    octets = [text.encode() for text in texts]
    return sha256(_ROW_LABEL + _ROW(previous, sequence, at, *map(len, octets)) + b"".join(octets)).digest()


def head_message(home_id: str, sequence: int, digest: bytes, at: datetime) -> bytes:
    """What the audit key signs: the log of this home up to ``sequence`` has the chain value ``digest``."""
    return _HEAD_LABEL + _HEAD(sequence, seconds(at), digest) + home_id.encode()


def certificate_digest(record: CertificateRecord) -> bytes:
    """SHA-256 over every field of a certificate that never changes; the DER enters by its fingerprint."""
    fields = (
        record.issuer_id.encode(),
        b"%x" % record.serial,
        record.fingerprint,
        record.edition.encode(),
        record.suite.encode(),
        record.role.encode(),
        record.identifier.encode(),
        record.subject.encode(),
        record.profile.encode(),
        record.caller.encode(),
        record.key_id.encode(),
    )
    times = _TIMES(seconds(record.not_before), seconds(record.not_after), seconds(record.issued_at))
    lengths = _CERTIFICATE_LENGTHS(*map(len, fields), 8, 8, 8)
    return sha256(b"v2gpki/certificate/1\0" + lengths + b"".join(fields) + times).digest()


def authority_digest(record: AuthorityRecord) -> bytes:
    """SHA-256 over every field of a generation but its state."""
    return record_digest(
        "authority",
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
        b"".join(sha256(der).digest() for der in record.chain),
        record.key_id,
    )


def crl_digest(record: CrlRecord) -> bytes:
    """SHA-256 over every field of a CRL."""
    return record_digest(
        "crl",
        record.issuer_id,
        f"{record.number:x}",
        seconds(record.this_update),
        seconds(record.next_update),
        record.der,
    )


def certificate_target(issuer_id: str, serial: int) -> str:
    """How the log names a certificate: ``issuer/serial`` with the serial in hex."""
    return f"{issuer_id}/{serial:x}"


def record_digest(kind: str, *fields: str | int | bytes) -> bytes:
    """SHA-256 of a record as described above: ``kind`` names it, the order of ``fields`` is part of it."""
    octets = [
        field if isinstance(field, bytes) else field.encode() if isinstance(field, str) else _INTEGER(field)
        for field in fields
    ]
    lengths = b"".join(len(field).to_bytes(4) for field in octets)
    return sha256(f"v2gpki/{kind}/1\0".encode() + lengths + b"".join(octets)).digest()
