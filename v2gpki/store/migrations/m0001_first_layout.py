"""Layout 1: the tables of a home.

Times are seconds since 1970, serials lower-case hex without leading zeros (so that a prefix is a range
of the index), digests octets. Rowid tables throughout where rows are many: keeping random keys in the
tree that holds the certificates costs five times as much. ``intents`` holds only what is pending, so it
stays small and may be keyed by its serial. The triggers stop accidents, not an attacker: for him there is
the audit log.
"""

from __future__ import annotations

import sqlite3

from v2gpki.store.migrations.triggers import guard

STRICT = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""

TABLES = (
    f"""CREATE TABLE home (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        revision INTEGER NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE settings (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        value TEXT NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE certificates (
        number INTEGER PRIMARY KEY,
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
        edition TEXT NOT NULL,
        suite TEXT NOT NULL,
        role TEXT NOT NULL,
        identifier TEXT NOT NULL,
        subject TEXT NOT NULL,
        not_before INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        der BLOB NOT NULL,
        profile TEXT NOT NULL,
        caller TEXT NOT NULL,
        issued_at INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('valid', 'revoked')),
        revoked_at INTEGER,
        reason TEXT NOT NULL,
        UNIQUE (serial, issuer_id),
        CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
    ) {STRICT}""",
    f"""CREATE TABLE authorities (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        slug TEXT NOT NULL,
        generation INTEGER NOT NULL CHECK (generation >= 1),
        edition TEXT NOT NULL,
        suite TEXT NOT NULL,
        role TEXT NOT NULL,
        subject TEXT NOT NULL,
        subject_der BLOB NOT NULL,
        key_identifier BLOB NOT NULL,
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        not_before INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        der BLOB NOT NULL,
        chain BLOB NOT NULL,
        key_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('active', 'retired', 'revoked')),
        UNIQUE (slug, generation),
        UNIQUE (serial, issuer_id),
        FOREIGN KEY (serial, issuer_id) REFERENCES certificates (serial, issuer_id)
    ) {STRICT}""",
    f"""CREATE TABLE intents (
        reference TEXT NOT NULL,
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        tbs_digest BLOB NOT NULL,
        edition TEXT NOT NULL,
        role TEXT NOT NULL,
        identifier TEXT NOT NULL,
        caller TEXT NOT NULL,
        recorded_at INTEGER NOT NULL,
        idempotence_key TEXT NOT NULL,
        key_id TEXT NOT NULL,
        PRIMARY KEY (serial, issuer_id)
    ) {STRICT}{"," if STRICT else ""} WITHOUT ROWID""",
    f"""CREATE TABLE abandoned_intents (
        number INTEGER PRIMARY KEY,
        reference TEXT NOT NULL UNIQUE,
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        tbs_digest BLOB NOT NULL,
        edition TEXT NOT NULL,
        role TEXT NOT NULL,
        identifier TEXT NOT NULL,
        caller TEXT NOT NULL,
        recorded_at INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        abandoned_at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (issuer_id, serial)
    ) {STRICT}""",
    f"""CREATE TABLE idempotence (
        number INTEGER PRIMARY KEY,
        caller TEXT NOT NULL,
        idempotence_key TEXT NOT NULL CHECK (idempotence_key <> ''),
        issuer_id TEXT NOT NULL,
        serial TEXT NOT NULL,
        UNIQUE (idempotence_key, caller)
    ) {STRICT}""",
    f"""CREATE TABLE crls (
        issuer_id TEXT NOT NULL,
        number INTEGER NOT NULL CHECK (number >= 0),
        this_update INTEGER NOT NULL,
        next_update INTEGER NOT NULL,
        der BLOB NOT NULL,
        UNIQUE (issuer_id, number),
        FOREIGN KEY (issuer_id) REFERENCES authorities (id)
    ) {STRICT}""",
    f"""CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY CHECK (sequence >= 1),
        at INTEGER NOT NULL,
        action TEXT NOT NULL,
        caller TEXT NOT NULL,
        target TEXT NOT NULL,
        details TEXT NOT NULL,
        previous BLOB NOT NULL CHECK (length(previous) = 32),
        digest BLOB NOT NULL CHECK (length(digest) = 32)
    ) {STRICT}""",
    f"""CREATE TABLE audit_heads (
        sequence INTEGER PRIMARY KEY,
        digest BLOB NOT NULL,
        at INTEGER NOT NULL,
        signature BLOB NOT NULL,
        FOREIGN KEY (sequence) REFERENCES audit (sequence)
    ) {STRICT}""",
    f"""CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        token TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) {STRICT}""",
)

INDEXES = (
    "CREATE INDEX certificates_of_issuer ON certificates (issuer_id)",
    "CREATE INDEX certificates_of_identifier ON certificates (identifier) WHERE identifier <> ''",
    "CREATE INDEX certificates_revoked ON certificates (issuer_id) WHERE state = 'revoked'",
    "CREATE INDEX certificates_with_key ON certificates (role, issuer_id) WHERE key_id <> ''",
)

#: What no statement may do, and to which tables.
NEVER_DELETED = ("abandoned_intents", "audit", "audit_heads", "authorities", "certificates", "crls", "home", "settings")
NEVER_CHANGED = ("abandoned_intents", "audit", "audit_heads", "crls", "idempotence", "settings")
CHANGES_ONLY = {
    "authorities": ("state",),
    "certificates": ("state", "revoked_at", "reason"),
}


def apply(connection: sqlite3.Connection) -> None:
    """Make the tables of layout 1 in an empty database."""
    for statement in (*TABLES, *INDEXES):
        connection.execute(statement)
    guard(connection, never_deleted=NEVER_DELETED, never_changed=NEVER_CHANGED, changes_only=CHANGES_ONLY)
    # A serial that was ever used is found here, before a key signs it, and not only when it is committed.
    connection.execute(
        "CREATE TRIGGER intents_unused BEFORE INSERT ON intents WHEN "
        "EXISTS (SELECT 1 FROM certificates WHERE serial = new.serial AND issuer_id = new.issuer_id) OR "
        "EXISTS (SELECT 1 FROM abandoned_intents WHERE serial = new.serial AND issuer_id = new.issuer_id) "
        "BEGIN SELECT raise(ABORT, 'this serial was used before'); END"
    )
    # Names this home in its signed heads and anchors.
    connection.execute("INSERT INTO settings (name, value) VALUES ('home_id', lower(hex(randomblob(16))))")
    connection.execute("INSERT INTO home (one, revision) VALUES (1, 0)")
