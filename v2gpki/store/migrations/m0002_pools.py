"""Layout 2: the pools. Roots, provisioning certificates, contracts, signed contract data, answers.

Plain SQL, so that a new home does not wait for an import. Each row is found by what the protocol asks for on the hot
path: a vehicle by (pcid, edition, suite), the ready bundle by all that must fit. An EMAID is its first 14 characters:
the 15th is a check digit that may be missing. Triggers count ``trust_revision``, so that no statement can forget it.
``positions`` is a counter and no record: the audit log does not speak of it.
"""

from __future__ import annotations

import sqlite3

from v2gpki.store.migrations.m0001_first_layout import STRICT
from v2gpki.store.migrations.triggers import guard

TABLES = (
    f"""CREATE TABLE roots (
        number INTEGER PRIMARY KEY,
        fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
        der BLOB NOT NULL,
        role TEXT NOT NULL,
        decision TEXT NOT NULL CHECK (decision IN ('trusted', 'refused')),
        decided_at INTEGER NOT NULL,
        decided_by TEXT NOT NULL,
        comment TEXT NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE prefixes (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('wmi', 'mo', 'cpo')),
        prefix TEXT NOT NULL CHECK (prefix <> ''),
        owner TEXT NOT NULL,
        bound_at INTEGER NOT NULL,
        bound_by TEXT NOT NULL,
        UNIQUE (prefix, kind)
    ) {STRICT}""",
    f"""CREATE TABLE vehicles (
        number INTEGER PRIMARY KEY,
        pcid TEXT NOT NULL CHECK (pcid <> ''),
        edition TEXT NOT NULL,
        suite TEXT NOT NULL,
        chain BLOB NOT NULL,
        fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
        receiver BLOB NOT NULL CHECK (length(receiver) = 32),
        not_after INTEGER NOT NULL,
        owner TEXT NOT NULL,
        registered_at INTEGER NOT NULL,
        registered_by TEXT NOT NULL,
        v2g_roots BLOB NOT NULL,
        previous_pcid TEXT NOT NULL,
        UNIQUE (pcid, edition, suite)
    ) {STRICT}""",
    f"""CREATE TABLE contracts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        emaid TEXT NOT NULL CHECK (emaid <> ''),
        pcid TEXT NOT NULL CHECK (pcid <> ''),
        begins INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        issuer TEXT NOT NULL,
        is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
        state TEXT NOT NULL CHECK (state IN ('active', 'ended', 'purged')),
        ended_at INTEGER,
        reason TEXT NOT NULL,
        CHECK ((state = 'active') = (ended_at IS NULL)),
        CHECK (state = 'active' OR is_default = 0)
    ) {STRICT}""",
    f"""CREATE TABLE contract_certificates (
        number INTEGER PRIMARY KEY,
        contract_id TEXT NOT NULL,
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        UNIQUE (serial, issuer_id),
        FOREIGN KEY (contract_id) REFERENCES contracts (id),
        FOREIGN KEY (serial, issuer_id) REFERENCES certificates (serial, issuer_id)
    ) {STRICT}""",
    f"""CREATE TABLE bundles (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        contract_id TEXT NOT NULL,
        emaid TEXT NOT NULL,
        pcid TEXT NOT NULL,
        edition TEXT NOT NULL,
        suite TEXT NOT NULL,
        receiver BLOB NOT NULL CHECK (length(receiver) = 32),
        v2g_root BLOB NOT NULL CHECK (length(v2g_root) = 32),
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        made_at INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('ready', 'withdrawn')),
        replaces TEXT NOT NULL,
        aad TEXT NOT NULL,
        cps_issuer_id TEXT NOT NULL,
        cps_serial TEXT NOT NULL,
        registered INTEGER NOT NULL CHECK (registered IN (0, 1)),
        exi BLOB NOT NULL,
        FOREIGN KEY (contract_id) REFERENCES contracts (id)
    ) {STRICT}""",
    f"""CREATE TABLE answers (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        bundles TEXT NOT NULL,
        answered_at INTEGER NOT NULL,
        details TEXT NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE positions (
        station TEXT NOT NULL,
        digest BLOB NOT NULL,
        position INTEGER NOT NULL CHECK (position >= 0),
        at INTEGER NOT NULL,
        UNIQUE (digest, station)
    ) {STRICT}""",
    "ALTER TABLE home ADD COLUMN trust_revision INTEGER NOT NULL DEFAULT 0",
)

INDEXES = (
    "CREATE UNIQUE INDEX contracts_active ON contracts (substr(emaid, 1, 14)) WHERE state = 'active'",
    "CREATE UNIQUE INDEX contracts_default ON contracts (pcid) WHERE is_default = 1",
    "CREATE INDEX contracts_of_emaid ON contracts (substr(emaid, 1, 14))",
    "CREATE INDEX contracts_of_vehicle ON contracts (pcid)",
    "CREATE INDEX certificates_of_contract ON contract_certificates (contract_id)",
    "CREATE UNIQUE INDEX bundles_ready ON bundles (contract_id, receiver, v2g_root, edition, suite, aad) "
    "WHERE state = 'ready'",
    "CREATE INDEX bundles_of_contract ON bundles (contract_id)",
    "CREATE INDEX bundles_of_vehicle ON bundles (pcid)",
)

#: What no statement may do, and to which tables. A vehicle may be deleted, a prefix released.
NEVER_DELETED = ("answers", "bundles", "contract_certificates", "contracts", "roots")
NEVER_CHANGED = ("contract_certificates", "prefixes")
CHANGES_ONLY = {
    "answers": ("bundles", "answered_at", "details"),
    "bundles": ("state",),
    "contracts": ("is_default", "state", "ended_at", "reason"),
    "roots": ("role", "decision", "decided_at", "decided_by", "comment"),
    "vehicles": ("chain", "v2g_roots"),
}
_TRUST = "BEGIN UPDATE home SET trust_revision = trust_revision + 1; END"
TRIGGERS = (
    "CREATE TRIGGER contracts_end BEFORE UPDATE OF state ON contracts WHEN old.state <> 'active' "
    "AND new.state <> old.state BEGIN SELECT raise(ABORT, 'a contract that ended never comes back'); END",
    "CREATE TRIGGER bundles_end BEFORE UPDATE OF state ON bundles WHEN old.state <> 'ready' "
    "AND new.state <> old.state BEGIN SELECT raise(ABORT, 'a bundle that was withdrawn never comes back'); END",
    f"CREATE TRIGGER roots_new AFTER INSERT ON roots {_TRUST}",
    f"CREATE TRIGGER roots_decided AFTER UPDATE ON roots {_TRUST}",
    f"CREATE TRIGGER authorities_new AFTER INSERT ON authorities {_TRUST}",
    "CREATE TRIGGER authorities_state AFTER UPDATE OF state ON authorities WHEN new.state <> old.state " + _TRUST,
)


def apply(connection: sqlite3.Connection) -> None:
    """Add the tables of layout 2."""
    for statement in (*TABLES, *INDEXES):
        connection.execute(statement)
    guard(connection, never_deleted=NEVER_DELETED, never_changed=NEVER_CHANGED, changes_only=CHANGES_ONLY)
    for statement in TRIGGERS:
        connection.execute(statement)
