"""The rows of the store as frozen values, in the words of the business.

A certificate is (issuer id, serial). An authority generation ``slug@n`` is one CA key with its
certificate. Times are aware UTC with whole seconds; serials are positive integers, written as
lower-case hex without leading zeros wherever a person or JSON sees them. The two records that a batch makes by
the thousand are named tuples: made in a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

AuthorityState = Literal["active", "retired", "revoked"]
IntentState = Literal["pending", "done", "abandoned"]
CertificateState = Literal["valid", "revoked", "abandoned"]

#: RFC 5280 5.3.1 reason names, as OpenSSL and cryptography spell them.
REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
    "aACompromise",
)

#: Audit actions that belong to a row of another table; only the store writes them, with that row.
STORE_ACTIONS = (
    "certificate.issued",
    "certificate.revoked",
    "authority.created",
    "authority.retired",
    "authority.revoked",
    "authority.activated",
    "intent.abandoned",
    "crl.published",
    "root.decided",
    "prefix.bound",
    "prefix.released",
    "vehicle.registered",
    "vehicle.deleted",
    "contract.created",
    "contract.ended",
    "contract.purged",
    "contract.defaulted",
    "bundle.made",
    "bundle.withdrawn",
    "request.answered",
    "setting.put",
    "token.created",
    "token.revoked",
    "token.exchanged",
    "grant.given",
    "grant.withdrawn",
    "endpoint.added",
    "endpoint.changed",
    "endpoint.removed",
)


@dataclass(frozen=True, slots=True)
class AuthorityRecord:
    """One key generation of a certification authority: ``id`` is ``slug@generation``.

    ``issuer_id`` is the generation that signed it (its own id for a root, "" when foreign), ``serial``
    and ``der`` its certificate, ``chain`` the DER certificates above it, nearest first, root last.
    ``key_id`` names the private key in the vault, "" when it is kept elsewhere.
    """

    id: str
    slug: str
    generation: int
    edition: str
    suite: str
    role: str
    subject: str
    subject_der: bytes
    key_identifier: bytes
    issuer_id: str
    serial: int
    not_before: datetime
    not_after: datetime
    der: bytes
    chain: tuple[bytes, ...]
    key_id: str
    state: AuthorityState = "active"


class IntentRecord(NamedTuple):
    """What was about to be signed: recorded before the key is used.

    ``reference`` is a random 128-bit hex string chosen by the caller of the store; ``tbs_digest`` the
    SHA-256 of the TBSCertificate; ``idempotence_key`` unique per caller when not empty; ``key_id`` the
    vault key that was made for it, "" when none.
    """

    reference: str
    issuer_id: str
    serial: int
    tbs_digest: bytes
    edition: str
    role: str
    identifier: str
    caller: str
    recorded_at: datetime
    idempotence_key: str = ""
    key_id: str = ""


class CertificateRecord(NamedTuple):
    """One issued certificate. ``fingerprint`` is the SHA-256 of ``der``; ``identifier`` the id in
    normal form (EMAID, PCID, ..) or ""; ``profile`` the digest of the profile; ``escrow`` the vault key id
    of an escrowed or held private key, or ""."""

    issuer_id: str
    serial: int
    fingerprint: bytes
    edition: str
    suite: str
    role: str
    identifier: str
    subject: str
    not_before: datetime
    not_after: datetime
    der: bytes
    profile: str
    caller: str
    issued_at: datetime
    key_id: str = ""
    state: CertificateState = "valid"
    revoked_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RevokedSerial:
    """One entry of a CRL."""

    serial: int
    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CrlRecord:
    """One published CRL of an authority generation."""

    issuer_id: str
    number: int
    this_update: datetime
    next_update: datetime
    der: bytes


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What is to be written to the audit log: who did what to which thing, with details."""

    action: str
    caller: str
    target: str
    details: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row of the audit log: ``digest`` chains over ``previous`` and every other field."""

    sequence: int
    at: datetime
    action: str
    caller: str
    target: str
    details: str
    previous: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """A signed statement that the log up to ``sequence`` has the chain value ``digest``."""

    sequence: int
    digest: bytes
    at: datetime
    signature: bytes
