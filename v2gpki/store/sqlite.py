"""The embedded store: one SQLite file per home, WAL, BEGIN IMMEDIATE for every write, synchronous=FULL.

Two writes commit without waiting for the disk (synchronous=NORMAL), and say why: an answer of which everything is
durable already (``PoolStore.record_answer``), and a signed head of the log. In a WAL a power cut takes back the newest
commits only, as a whole: never one that was waited for, because waiting for the file is waiting for all before it.

What a write means stands in ``issuing``, ``revoking``, ``auditlog`` and ``home``, and for the pools in the modules
that ``sqlite_pools`` names; this class gives each call its connection, its transaction and the translation of
SQLite's errors. Refused: a missing, damaged, locked, unwritable or newer database, a full disk. Importing it loads
neither sqlite-utils, nor the pools, nor the migrations: only making a home or opening an older one needs those.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from v2gpki.store import auditlog, faults, home, issuing, lookup, revoking, schema
from v2gpki.store.canonical import seconds
from v2gpki.store.connections import Connections, settled
from v2gpki.store.details import put_details
from v2gpki.store.lookup import CertificateFilter
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
    from v2gpki.store.pool_records import Answered, Bundle
    from v2gpki.store.sqlite_access import SqliteAccess, SqliteWebhooks
    from v2gpki.store.sqlite_pools import SqlitePools

#: How long a write waits for another process, in seconds.
BUSY_SECONDS = 10.0
_PAGE = 500
#: So many certificates are remembered inside a snapshot: what one request or group asks for, not a whole home.
_REMEMBERED = 500


class SqliteStore:
    """``store.protocol.Store`` in the SQLite file ``path``; see there for what each method promises."""

    #: Tests put a class here that ends the process between two statements.
    connection_class: type[sqlite3.Connection] = sqlite3.Connection
    _layout = schema.LAYOUT

    def __init__(self, path: Path, *, create: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open ``path``; with ``create`` make it (0600) when it is missing. A home of an older release is
        backed up and migrated. Raises ``store.missing``, ``store.damaged``, ``store.newer_home``,
        ``store.read_only``, ``store.locked``, ``store.disk_full``."""
        self.path = path
        self._connections = Connections(path, busy_seconds=busy_seconds, factory=self.connection_class)
        #: The calling thread's connection, as a context.
        self._reading = self._connections.use
        self._pools: SqlitePools | None = None
        self._access: SqliteAccess | None = None
        self._webhooks: SqliteWebhooks | None = None
        with faults.Translation(path):
            if create and not path.exists():
                schema.make(path, self._migrate)
            elif not path.is_file():
                raise faults.missing(path)
        try:
            with self._reading() as connection:
                schema.prepare(connection, path, self._layout, self._migrate)
        except BaseException:
            self.close()
            raise

    def _migrate(self, connection: sqlite3.Connection, path: Path) -> None:
        from v2gpki.store.migrations import migrate  # noqa: PLC0415  # keeps start-up fast

        migrate(connection, path)

    # -- issuing -----------------------------------------------------------------------------
    def record_intents(self, intents: Sequence[IntentRecord]) -> None:
        """One transaction; see the protocol."""
        try:
            with self._writing() as connection:
                issuing.record(connection, intents)
        except sqlite3.IntegrityError as error:
            with self._reading() as connection:
                raise issuing.collision(connection, intents) from error

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
        """One transaction; see the protocol."""
        try:
            with self._writing() as connection:
                issuing.commit(connection, certificates, references, authorities, contracts)
                if contracts or bundles or answers:
                    self.pools.deliver(connection, certificates, contracts, bundles, answers)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise
            raise issuing.commit_collision(certificates, authorities, error) from error

    def abandon(self, references: Sequence[str], at: datetime, reason: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            issuing.abandon(connection, references, at, reason)

    def pending_intents(self) -> list[IntentRecord]:
        """Oldest first."""
        with self._reading() as connection:
            return issuing.pending(connection)

    def completed(self, caller: str, idempotence_key: str) -> CertificateRecord | None:
        """The certificate that this caller got for this key."""
        with self._reading() as connection:
            return lookup.completed(connection, caller, idempotence_key)

    def completed_many(self, claims: Collection[tuple[str, str]]) -> dict[tuple[str, str], CertificateRecord]:
        """One look-up."""
        with self._reading() as connection:
            return lookup.completed_many(connection, claims)

    # -- the pools ---------------------------------------------------------------------------
    @property
    def pools(self) -> SqlitePools:
        """Roots, provisioning certificates, contracts and signed contract data."""
        if self._pools is None:
            from v2gpki.store.sqlite_pools import SqlitePools  # noqa: PLC0415  # keeps start-up fast

            self._pools = SqlitePools(self._reading, self._writing, self._noting)
        return self._pools

    # -- the services ------------------------------------------------------------------------
    @property
    def access(self) -> SqliteAccess:
        """Tokens and the registration table."""
        if self._access is None:
            from v2gpki.store.sqlite_access import SqliteAccess  # noqa: PLC0415  # keeps start-up fast

            self._access = SqliteAccess(self._reading, self._writing)
        return self._access

    @property
    def webhooks(self) -> SqliteWebhooks:
        """Webhook endpoints and deliveries."""
        if self._webhooks is None:
            from v2gpki.store.sqlite_access import SqliteWebhooks  # noqa: PLC0415  # keeps start-up fast

            self._webhooks = SqliteWebhooks(self._reading, self._writing)
        return self._webhooks

    # -- looking up --------------------------------------------------------------------------
    def certificate(self, issuer_id: str, serial: int) -> CertificateRecord | None:
        """One certificate by its identity; inside a snapshot it is read once."""
        held = self._reading()
        seen, identity = held.certificates, (issuer_id, serial)
        if seen is not None and identity in seen:
            return seen[identity]
        with held as connection:
            found = lookup.one(connection, issuer_id, serial)
        if seen is not None and len(seen) < _REMEMBERED:
            seen[identity] = found
        return found

    def certificate_by_fingerprint(self, fingerprint: bytes) -> CertificateRecord | None:
        """One certificate by the SHA-256 of its DER."""
        with self._reading() as connection:
            return lookup.by_fingerprint(connection, fingerprint)

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
        """In the order of issuance, read page by page so that no reader holds the database up."""
        wanted = CertificateFilter(prefix, issuer_id, edition, role, identifier, state, expiring_before)
        after, left = 0, limit
        while True:
            size = min(_PAGE, left) if limit else _PAGE
            with self._reading() as connection:
                after, found = lookup.page(connection, wanted, after, size)
            yield from found
            left -= len(found)
            if not after or (limit and left <= 0):
                return

    def newest_certificates(
        self, issuer_id: str, *, state: CertificateState | None = None, before: int = 0, limit: int = 50
    ) -> tuple[int, list[CertificateRecord]]:
        """One page, newest first; see the protocol."""
        with self._reading() as connection:
            return lookup.newest(connection, CertificateFilter(issuer_id=issuer_id, state=state), before, limit)

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
        """How many match."""
        wanted = CertificateFilter("", issuer_id, edition, role, identifier, state, expiring_before)
        with self._reading() as connection:
            return lookup.count(connection, wanted)

    def revoked_identifiers(self, identifiers: Collection[str]) -> frozenset[str]:
        """One look-up."""
        with self._reading() as connection:
            return lookup.revoked_identifiers(connection, identifiers)

    def issued_tally(self, *, after: int = 0) -> tuple[int, dict[tuple[str, str], int]]:
        """How many were issued since a mark, by edition and role; and the new mark."""
        with self._reading() as connection:
            return lookup.issued_tally(connection, after)

    def revoked_tally(self) -> dict[tuple[str, str], int]:
        """How many are revoked, by edition and role."""
        with self._reading() as connection:
            return lookup.revoked_tally(connection)

    def serials(self, issuer_id: str, *, valid_at: datetime) -> Iterator[int]:
        """In the order of issuance, read page by page."""
        after = 0
        while True:
            with self._reading() as connection:
                found = lookup.serials(connection, issuer_id, valid_at, after, _PAGE)
            for _, serial in found:
                yield int(serial, 16)
            if len(found) < _PAGE:
                return
            after = found[-1][0]

    def held_certificates(self, role: str = "", issuer_id: str = "") -> list[CertificateRecord]:
        """End-entity certificates with a key in the vault, newest first."""
        held = self._reading()
        with held as connection:
            found = lookup.held(connection, role, issuer_id)
        if held.certificates is not None and len(found) < _REMEMBERED:
            held.certificates.update({(record.issuer_id, record.serial): record for record in found})
        return found

    def authority(self, authority_id: str) -> AuthorityRecord | None:
        """``slug@n``, or the newest active generation of a slug."""
        with self._reading() as connection:
            return lookup.authority(connection, authority_id)

    def authorities(self, *, edition: str = "", role: str = "", suite: str = "") -> list[AuthorityRecord]:
        """All generations in the order of creation."""
        with self._reading() as connection:
            return lookup.authorities(connection, edition, role, suite)

    def set_authority_state(self, authority_id: str, state: AuthorityState, event: AuditEvent, at: datetime) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            revoking.set_authority_state(connection, authority_id, state, event, at)

    # -- revoking ----------------------------------------------------------------------------
    def revoke(self, issuer_id: str, serial: int, at: datetime, reason: str, caller: str) -> CertificateRecord:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            revoking.revoke(connection, issuer_id, serial, at=at, reason=reason, caller=caller)
            revoked = lookup.one(connection, issuer_id, serial)
        if revoked is None:
            raise faults.damaged(self.path, f"the certificate {serial:x} vanished while it was revoked")
        return revoked

    def revoked_serials(self, issuer_id: str) -> Iterator[RevokedSerial]:
        """Ordered by serial, abandoned intents included (reason ``unspecified``)."""
        with self._reading() as connection:
            found = revoking.revoked_serials(connection, issuer_id)
        return iter(found)

    def append_crl(self, crl: CrlRecord, caller: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            revoking.append_crl(connection, crl, caller)

    def latest_crl(self, issuer_id: str) -> CrlRecord | None:
        """The CRL with the highest number."""
        with self._reading() as connection:
            return revoking.latest_crl(connection, issuer_id)

    def crls(self, *, issuer_id: str = "") -> Iterator[CrlRecord]:
        """Every CRL, by issuer and number."""
        with self._reading() as connection:
            found = revoking.crls(connection, issuer_id)
        return iter(found)

    # -- audit -------------------------------------------------------------------------------
    def append_audit(self, events: Sequence[AuditEvent], at: datetime) -> None:
        """One transaction; see the protocol."""
        entries = auditlog.free_entries(events, at)
        with self._writing() as connection:
            auditlog.append(connection, entries)

    def audit_rows(self, *, after: int = 0, limit: int = 0, actions: Sequence[str] = ()) -> Iterator[AuditRow]:
        """Ascending, read page by page."""
        left = limit
        while True:
            size = min(_PAGE, left) if limit else _PAGE
            with self._reading() as connection:
                found = auditlog.page(connection, after, size, actions)
            yield from found
            left -= len(found)
            if len(found) < size or (limit and left <= 0):
                return
            after = found[-1].sequence

    def audit_tip(self) -> tuple[int, bytes]:
        """(sequence, digest) of the newest row."""
        with self._reading() as connection:
            return auditlog.tip(connection)

    def append_audit_head(self, head: AuditHead) -> None:
        """One transaction; see the protocol."""
        with self._noting() as connection:
            auditlog.append_head(connection, head)

    def audit_heads(self) -> Iterator[AuditHead]:
        """Ascending."""
        with self._reading() as connection:
            found = auditlog.heads(connection)
        return iter(found)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One read transaction around all reads of the calling thread; nested ones join the outer."""
        held = self._reading()
        with held as connection:
            if connection.in_transaction:
                yield
                return
            connection.execute("BEGIN")
            try:
                # A deferred transaction sees nothing before its first read.
                home.revision(connection)
                held.seen, held.certificates = {}, {}
                yield
            finally:
                held.seen = held.certificates = None
                connection.execute("ROLLBACK")

    # -- the home ----------------------------------------------------------------------------
    def setting(self, name: str) -> str | None:
        """A value that is set once."""
        with self._reading() as connection:
            return home.setting(connection, name)

    def put_setting(self, name: str, value: str, *, at: datetime | None = None, caller: str = "") -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            if home.put_setting(connection, name, value) and at is not None:
                auditlog.append(connection, [(seconds(at), "setting.put", caller, name, put_details(value))])

    def revision(self) -> int:
        """The number of write transactions so far; a few microseconds."""
        with self._reading() as connection:
            return home.revision(connection)

    @contextmanager
    def lease(self, name: str, holder: str, at: datetime, seconds: int) -> Iterator[bool]:
        """Held until the block ends or ``seconds`` after ``at`` have passed, whichever is first."""
        with self._writing() as connection:
            token = home.take_lease(connection, name, holder, at, seconds)
        try:
            yield token is not None
        finally:
            if token is not None:
                with self._writing() as connection:
                    home.release_lease(connection, name, token)

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong with the file; empty when it is sound. Reads everything."""
        with self._reading() as connection:
            problems = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            orphans = [f"foreign key: {row[0]} row {row[1]}" for row in connection.execute("PRAGMA foreign_key_check")]
        return [*(problem for problem in problems if problem != "ok"), *orphans]

    def settle(self) -> None:
        """Wait for the disk. The WAL has what no checkpoint has moved yet; a checkpoint waits for the disk itself."""
        with self._reading(), faults.Translation(self.path):
            settled(self.path.with_name(self.path.name + "-wal"))

    def close(self) -> None:
        """Close the connections of every thread."""
        self._connections.close()

    # -- transactions ------------------------------------------------------------------------
    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A write transaction that is on the disk when it ends."""
        return self._transaction(lasting=True)

    def _noting(self) -> AbstractContextManager[sqlite3.Connection]:
        """One that a power cut takes back as a whole, until something that lasts is committed, or `settle`."""
        return self._transaction(lasting=False)

    @contextmanager
    def _transaction(self, *, lasting: bool) -> Iterator[sqlite3.Connection]:
        held = self._reading()
        with held as connection:
            if connection.in_transaction:
                raise RuntimeError("a snapshot only reads")
            held.let(connection, last=lasting)
            self._connections.begin(connection)
            try:
                yield connection
                home.count_write(connection)
                connection.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some errors (a full disk).
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
