"""The store in business words. SQLite is the embedded implementation; PostgreSQL follows and runs
the same contract tests. Synchronous and safe from threads; every method that writes is one
transaction, durable when it returns, and writes its audit rows in that same transaction. The two that need not be
durable say so: what they write may be lost in a power cut, together with nothing but others of their kind that came
later, and is durable with the next write that is (or after ``settle``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from v2gpki.store.records import (
    AuditEvent,
    AuditHead,
    AuditRow,
    AuthorityRecord,
    AuthorityState,
    CertificateRecord,
    CertificateState,
    CrlRecord,
    IntentRecord,
    RevokedSerial,
)

if TYPE_CHECKING:
    from v2gpki.store.access_protocol import AccessStore
    from v2gpki.store.pool_protocol import PoolStore
    from v2gpki.store.pool_records import Answered, Bundle
    from v2gpki.store.webhook_protocol import WebhookStore


class Store(Protocol):
    """Where authorities, certificates, revocations and the audit log live."""

    # -- issuing -----------------------------------------------------------------------------
    def record_intents(self, intents: Sequence[IntentRecord]) -> None:
        """Write all intents or none. A serial that the issuer ever used, or a (caller, idempotence key) pair that
        exists, or the key id of another pending intent, raises ``store.conflict``; its facts say which. An
        abandoned intent frees its pair."""
        ...

    def commit_results(
        self,
        certificates: Sequence[CertificateRecord],
        references: Sequence[str],
        *,
        authorities: Sequence[AuthorityRecord] = (),
        contracts: Sequence[str] = (),
        bundles: Sequence[Bundle] = (),
        answers: Sequence[Answered] = (),
    ) -> None:
        """Write certificates and close their intents (same order), all or none; ``authorities`` are the new CA
        generations whose certificates are among them (one audit row each). ``contracts`` are the ids of the
        contracts that the certificates were issued for (same order, "" for none; empty when none has one), ``bundles``
        the signed contract data that delivers them (each one of these certificates), ``answers`` what requests are
        answered with of it (as ``PoolStore.record_answer``; when another answer stands already: ``store.conflict``). A
        contract that is not active raises ``store.conflict``. An intent that is no longer pending (another process
        abandoned it) raises ``store.conflict``: no certificate of the group may be handed out."""
        ...

    def abandon(self, references: Sequence[str], at: datetime, reason: str) -> None:
        """Close intents without a certificate: their serials are never used again and count as revoked. One
        that is no longer pending raises ``store.conflict`` and nothing is written."""
        ...

    def pending_intents(self) -> list[IntentRecord]:
        """Intents that are neither done nor abandoned, oldest first."""
        ...

    def completed(self, caller: str, idempotence_key: str) -> CertificateRecord | None:
        """The certificate that this caller got for this key, if any."""
        ...

    def completed_many(self, claims: Collection[tuple[str, str]]) -> dict[tuple[str, str], CertificateRecord]:
        """The certificates that callers got for their keys, by (caller, key); a claim without one is not in it."""
        ...

    # -- the pools ---------------------------------------------------------------------------
    @property
    def pools(self) -> PoolStore:
        """Roots, provisioning certificates, contracts and signed contract data."""
        ...

    # -- the services ------------------------------------------------------------------------
    @property
    def access(self) -> AccessStore:
        """Tokens, and the table of who may have which certificates."""
        ...

    @property
    def webhooks(self) -> WebhookStore:
        """Webhook endpoints and what is on its way to them."""
        ...

    # -- looking up --------------------------------------------------------------------------
    def certificate(self, issuer_id: str, serial: int) -> CertificateRecord | None:
        """One certificate by its identity."""
        ...

    def certificate_by_fingerprint(self, fingerprint: bytes) -> CertificateRecord | None:
        """One certificate by the SHA-256 of its DER."""
        ...

    def find_certificates(
        self,
        *,
        prefix: str = "",
        issuer_id: str = "",
        edition: str = "",
        role: str = "",
        identifier: str = "",
        state: CertificateState | None = None,
        expiring_before: datetime | None = None,
        limit: int = 0,
    ) -> Iterator[CertificateRecord]:
        """Certificates in the order of issuance; ``prefix`` matches the start of the serial (hex) or of the
        fingerprint (hex); ``limit`` 0 means all. Abandoned intents have no certificate and are not among them."""
        ...

    def newest_certificates(
        self, issuer_id: str, *, state: CertificateState | None = None, before: int = 0, limit: int = 50
    ) -> tuple[int, list[CertificateRecord]]:
        """(mark, up to ``limit`` certificates) of an issuer, newest first. ``before`` is the mark that an earlier
        page gave, 0 begins; a mark of 0 says that there are no more. A page costs the same wherever it stands."""
        ...

    def count_certificates(
        self,
        *,
        issuer_id: str = "",
        edition: str = "",
        role: str = "",
        identifier: str = "",
        state: CertificateState | None = None,
        expiring_before: datetime | None = None,
    ) -> int:
        """How many certificates ``find_certificates`` would give."""
        ...

    def revoked_identifiers(self, identifiers: Collection[str]) -> frozenset[str]:
        """Those of ``identifiers`` for which a certificate was revoked."""
        ...

    def issued_tally(self, *, after: int = 0) -> tuple[int, dict[tuple[str, str], int]]:
        """(mark, certificates by (edition, role)) of what was issued after the mark that an earlier call gave.
        Certificates are never deleted, so that adding up such answers counts all of them and reads each once."""
        ...

    def revoked_tally(self) -> dict[tuple[str, str], int]:
        """Revoked certificates by (edition, role); abandoned intents are not among them."""
        ...

    def serials(self, issuer_id: str, *, valid_at: datetime) -> Iterator[int]:
        """The serials of an issuer's certificates that are not revoked and end after ``valid_at``, in the order of
        issuance; a pass over a million of them takes seconds."""
        ...

    def held_certificates(self, role: str = "", issuer_id: str = "") -> list[CertificateRecord]:
        """End-entity certificates that are not revoked and whose private key is in the vault (OCSP and CPS
        signers, escrowed keys), newest first. Whether they are within their validity is the caller's to judge."""
        ...

    def authority(self, authority_id: str) -> AuthorityRecord | None:
        """One generation by ``slug@n``, or the newest active one of a slug."""
        ...

    def authorities(self, *, edition: str = "", role: str = "", suite: str = "") -> list[AuthorityRecord]:
        """All generations in the order of creation."""
        ...

    def set_authority_state(self, authority_id: str, state: AuthorityState, event: AuditEvent, at: datetime) -> None:
        """Retire or revoke a generation. Unknown: ``store.unknown_authority``; a revoked one stays revoked:
        ``store.conflict``. The audit row takes caller and details from the event, action and target from the state."""
        ...

    # -- revoking ----------------------------------------------------------------------------
    def revoke(
        self, issuer_id: str, serial: int, at: datetime, reason: str, caller: str
    ) -> CertificateRecord:
        """Mark a certificate revoked, and with it the authority whose certificate it is, if any.

        Unknown: ``store.unknown_certificate``; already revoked with another reason: ``store.already_revoked``;
        with the same reason: no change, the record as it is."""
        ...

    def revoked_serials(self, issuer_id: str) -> Iterator[RevokedSerial]:
        """What the issuer's CRL lists, ordered by serial, abandoned intents included."""
        ...

    def append_crl(self, crl: CrlRecord, caller: str) -> None:
        """Keep a signed CRL. A number that is not above the issuer's last raises ``store.conflict``."""
        ...

    def latest_crl(self, issuer_id: str) -> CrlRecord | None:
        """The CRL with the highest number."""
        ...

    def crls(self, *, issuer_id: str = "") -> Iterator[CrlRecord]:
        """Every CRL that was kept, by issuer and number."""
        ...

    # -- audit -------------------------------------------------------------------------------
    def append_audit(self, events: Sequence[AuditEvent], at: datetime) -> None:
        """Write events that belong to no other write. The actions that the store writes itself
        (``records.STORE_ACTIONS``) are a ValueError."""
        ...

    def audit_rows(self, *, after: int = 0, limit: int = 0, actions: Sequence[str] = ()) -> Iterator[AuditRow]:
        """Rows with a sequence above ``after``, ascending; only those of ``actions`` unless empty."""
        ...

    def audit_tip(self) -> tuple[int, bytes]:
        """(sequence, chain value) of the newest row; (0, 32 zero octets) when empty."""
        ...

    def append_audit_head(self, head: AuditHead) -> None:
        """Keep a signed head. One that does not match the log raises ``store.conflict``; a second one for the
        same row changes nothing. Not durable at once: the rows that it covers are what must not be lost, and they are
        durable by themselves; without their head they are signed again with the next. Whoever hands a head out asks
        for ``settle`` first."""
        ...

    def audit_heads(self) -> Iterator[AuditHead]:
        """Signed heads, ascending."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Inside, every read of the calling thread sees the same state; writing there is a RuntimeError."""
        ...

    # -- the home ----------------------------------------------------------------------------
    def setting(self, name: str) -> str | None:
        """A value of the home that is set once (home id, audit key)."""
        ...

    def put_setting(self, name: str, value: str, *, at: datetime | None = None, caller: str = "") -> None:
        """Set a value once; a different value later raises ``store.conflict``. With ``at`` it gets its audit row, and
        ``audit verify`` sees a change; without it none: for the audit key, which every signature over the log shows."""
        ...

    def revision(self) -> int:
        """Changes with every write of any process; cheap enough to ask once a second."""
        ...

    def settle(self) -> None:
        """Return when everything that any process has written before is durable."""
        ...

    def lease(self, name: str, holder: str, at: datetime, seconds: int) -> AbstractContextManager[bool]:
        """Hold a named job exclusively across processes; yields False when somebody else holds it."""
        ...

    def close(self) -> None:
        """Release the connections of every thread; a later call opens one again."""
        ...
