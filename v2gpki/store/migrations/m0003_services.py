"""Layout 3: the services. Tokens, access tokens, grants, webhook endpoints and their deliveries.

A token stays when it is revoked; grants and endpoints may go, with a row in the audit log. ``access_tokens`` are purged
when they have ended: the log knows that each was given. ``deliveries`` are a queue and no record. Triggers count
``access_revision``, so that a process may keep what it knows of callers as long as nothing changed.
"""

from __future__ import annotations

import sqlite3

from v2gpki.store.migrations.m0001_first_layout import STRICT
from v2gpki.store.migrations.triggers import guard

TABLES = (
    f"""CREATE TABLE tokens (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        kind TEXT NOT NULL CHECK (kind IN ('secret', 'certificate')),
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        identity TEXT NOT NULL CHECK (identity <> ''),
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        expires_at INTEGER,
        comment TEXT NOT NULL,
        revoked_at INTEGER,
        revoked_by TEXT NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE access_tokens (
        number INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        token_id TEXT NOT NULL,
        scopes TEXT NOT NULL,
        issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        FOREIGN KEY (token_id) REFERENCES tokens (id)
    ) {STRICT}""",
    f"""CREATE TABLE grants (
        number INTEGER PRIMARY KEY,
        identity TEXT NOT NULL CHECK (identity <> ''),
        role TEXT NOT NULL CHECK (role <> ''),
        edition TEXT NOT NULL,
        match TEXT NOT NULL CHECK (match IN ('id', 'prefix')),
        value TEXT NOT NULL,
        key TEXT NOT NULL,
        granted_at INTEGER NOT NULL,
        granted_by TEXT NOT NULL,
        UNIQUE (identity, role, match, key, edition)
    ) {STRICT}""",
    f"""CREATE TABLE endpoints (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        owner TEXT NOT NULL,
        url TEXT NOT NULL CHECK (url <> ''),
        events TEXT NOT NULL,
        secret BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        description TEXT NOT NULL,
        enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        noted TEXT NOT NULL
    ) {STRICT}""",
    f"""CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        endpoint_id TEXT NOT NULL,
        event TEXT NOT NULL,
        payload BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL CHECK (attempts >= 0),
        state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
        said TEXT NOT NULL,
        ended_at INTEGER,
        CHECK ((state = 'waiting') = (ended_at IS NULL)),
        FOREIGN KEY (endpoint_id) REFERENCES endpoints (id) ON DELETE CASCADE
    ) {STRICT}""",
    "ALTER TABLE home ADD COLUMN access_revision INTEGER NOT NULL DEFAULT 0",
)

INDEXES = (
    "CREATE INDEX tokens_of_identity ON tokens (identity)",
    "CREATE INDEX access_tokens_ending ON access_tokens (expires_at)",
    "CREATE INDEX access_tokens_of_token ON access_tokens (token_id)",
    "CREATE INDEX endpoints_of_owner ON endpoints (owner)",
    "CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 'waiting'",
    "CREATE INDEX deliveries_waiting ON deliveries (endpoint_id, due_at) WHERE state = 'waiting'",
    "CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state <> 'waiting'",
    "CREATE INDEX deliveries_of_endpoint ON deliveries (endpoint_id)",
)

NEVER_DELETED = ("tokens",)
NEVER_CHANGED = ("access_tokens", "grants")
CHANGES_ONLY = {
    "tokens": ("revoked_at", "revoked_by"),
    "endpoints": ("url", "events", "secret", "description", "enabled", "noted"),
    "deliveries": ("due_at", "attempts", "state", "said", "ended_at"),
}
_COUNTED = "BEGIN UPDATE home SET access_revision = access_revision + 1; END"
TRIGGERS = (
    "CREATE TRIGGER tokens_end BEFORE UPDATE OF revoked_at ON tokens WHEN old.revoked_at IS NOT NULL "
    "BEGIN SELECT raise(ABORT, 'a token that was revoked never comes back'); END",
    f"CREATE TRIGGER tokens_new AFTER INSERT ON tokens {_COUNTED}",
    f"CREATE TRIGGER tokens_revoked AFTER UPDATE ON tokens {_COUNTED}",
    f"CREATE TRIGGER grants_new AFTER INSERT ON grants {_COUNTED}",
    f"CREATE TRIGGER grants_gone AFTER DELETE ON grants {_COUNTED}",
)


def apply(connection: sqlite3.Connection) -> None:
    """Add the tables of layout 3."""
    for statement in (*TABLES, *INDEXES):
        connection.execute(statement)
    guard(connection, never_deleted=NEVER_DELETED, never_changed=NEVER_CHANGED, changes_only=CHANGES_ONLY)
    for statement in TRIGGERS:
        connection.execute(statement)
