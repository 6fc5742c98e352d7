"""Stored records as the plain values that commands show: the one source of both JSON and the human view."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from v2gpki.clock import rfc3339

if TYPE_CHECKING:
    from v2gpki.store.records import AuthorityRecord, CertificateRecord


def authority_value(record: AuthorityRecord, home: Path, *, schema: str = "v2gpki/authority/1") -> dict[str, object]:
    """One authority generation; ``key`` is the file of its private key, "" when it is kept elsewhere."""
    return {
        "schema": schema,
        "id": record.id,
        "edition": record.edition,
        "suite": record.suite,
        "role": record.role,
        "subject": record.subject,
        "issuer": record.issuer_id,
        "serial": f"{record.serial:x}",
        "fingerprint": hashlib.sha256(record.der).hexdigest(),
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "size": len(record.der),
        "state": record.state,
        "key": str(home / "keys" / f"{record.key_id}.pem") if record.key_id else "",
    }


def certificate_value(
    record: CertificateRecord, now: datetime, *, schema: str = "v2gpki/cert/1"
) -> dict[str, object]:
    """One issued certificate; ``state`` is valid, revoked, abandoned, expired or not_yet_valid at ``now``."""
    value: dict[str, object] = {
        "schema": schema,
        "serial": f"{record.serial:x}",
        "role": record.role,
        "edition": record.edition,
        "suite": record.suite,
        "id": record.identifier,
        "subject": record.subject,
        "issuer": record.issuer_id,
        "fingerprint": record.fingerprint.hex(),
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "size": len(record.der),
        "state": state_at(record, now),
        "issued_at": rfc3339(record.issued_at),
        "caller": record.caller,
    }
    if record.revoked_at is not None:
        value |= {"revoked_at": rfc3339(record.revoked_at), "reason": record.reason}
    return value


def state_at(record: CertificateRecord, now: datetime) -> str:
    """The state in one word; revocation outranks time."""
    if record.state != "valid":
        return record.state
    if now > record.not_after:
        return "expired"
    return "not_yet_valid" if now < record.not_before else "valid"


def lines(value: Mapping[str, object], *keys: str) -> str:
    """Some members of a value as aligned lines, empty ones left out; the items of a list stand side by side."""
    texts = {key: ", ".join(map(str, item)) if isinstance(item, list) else item for key, item in value.items()}
    shown = [(key.replace("_", " "), texts[key]) for key in keys if texts.get(key) not in ("", None)]
    width = max((len(key) for key, _ in shown), default=0)
    return "\n".join(f"{key:<{width}}  {text}" for key, text in shown)
