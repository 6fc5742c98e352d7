"""Access and webhooks of the SQLite store against the contract, what is particular to them, and what the audit verdict
says of everything that can be done to their tables behind the store's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.access_contract import AccessContract
from tests.store.access_samples import access, delivery, endpoint, grant, token
from tests.store.contract import Make
from tests.store.samples import LATER, changed, sign_head, verifier
from tests.store.test_audit import behind
from v2gpki.store import audit
from v2gpki.store.migrations.m0003_services import CHANGES_ONLY, NEVER_CHANGED, NEVER_DELETED, TABLES
from v2gpki.store.sqlite import SqliteStore


class TestAccess(AccessContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Make]:
        made: list[SqliteStore] = []

        def factory() -> SqliteStore:
            made.append(SqliteStore(tmp_path / "store.db", create=True))
            return made[-1]

        yield factory
        for store in made:
            store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A whole life of every table, signed."""
    made = SqliteStore(path, create=True)
    for number in (1, 2):
        made.access.add_token(token(number))
    made.access.revoke_token(token(2).id, LATER, "me")
    made.access.add_access_token(access(1), "cpo-a")
    made.access.grant([grant("evseid:A"), grant("evseid:B"), grant("DE*")])
    made.access.withdraw("cpo-a", LATER, "me", role="secc", key="evseid:B")
    for number in (1, 2):
        made.webhooks.add_endpoint(endpoint(number))
    made.webhooks.change_endpoint(changed(endpoint(1), description="another"), LATER, "me")
    made.webhooks.remove_endpoint("e2", LATER, "me")
    made.webhooks.enqueue([delivery(1)])
    sign_head(made)
    yield made
    made.close()


def found(store: SqliteStore) -> set[tuple[str, str, str]]:
    return {
        (finding.code, finding.where, finding.subject) for finding in audit.verify(store, verifier=verifier).findings
    }


def test_a_sound_log(store: SqliteStore) -> None:
    assert found(store) == set()


GRANT = "cpo-a secc any id:evseid:A"
FIELDS = {
    "tokens": (f"id = '{token(1).id}'", "token", token(1).id),
    "access_tokens": ("1", "access token", access(1).digest.hex()),
    "grants": ("match = 'id'", "grant", GRANT),
    "endpoints": ("1", "webhook endpoint", "e1"),
}
OTHERS = {
    "kind": "'certificate'",
    "digest": "zeroblob(32)",
    "secret": "x'00'",
    "enabled": "0",
    "revoked_at": "5",
    "match": "'prefix'",
    "token_id": f"'{token(2).id}'",
}
NAMES = {
    "tokens": {"id"},
    "access_tokens": {"digest"},
    "grants": {"identity", "role", "edition", "match", "key"},
    "endpoints": {"id"},
}
#: What the log does not hold: the order.
APART = {"number"}
#: The tables that the log does not speak of, with the reason.
UNLOGGED = {"deliveries": "a queue"}


def columns(table: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(":memory:")
    for statement in TABLES:
        if statement.startswith(f"CREATE TABLE {table} "):
            connection.execute(statement)
    described = [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return described


def test_no_table_is_forgotten() -> None:
    names = {statement.split()[2] for statement in TABLES if statement.startswith("CREATE TABLE")}
    assert names == set(FIELDS) | set(UNLOGGED)


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [(table, *column) for table in FIELDS for column in columns(table) if column[0] not in APART],
)
def test_a_changed_field(store: SqliteStore, path: Path, table: str, column: str, kind: str) -> None:
    where, word, name = FIELDS[table]
    other = OTHERS.get(column) or (f"{column} + 1" if kind == "INTEGER" else f"{column} || 'x'")
    behind(path, f"UPDATE {table} SET {column} = {other} WHERE {where}")
    codes = {(code, subject) for code, where, subject in found(store) if where == word}
    if table == "access_tokens" and column == "digest":
        # The one that the log knows may have been purged; the one that stands there was never given.
        assert codes == {("audit.unlogged", "00" * 32)}
    elif column in NAMES[table]:
        assert ("audit.missing", name) in codes
        assert "audit.unlogged" in {code for code, _ in codes}
    else:
        assert ("audit.changed", name) in codes


@pytest.mark.parametrize("table", FIELDS)
def test_a_row_that_is_gone(store: SqliteStore, path: Path, table: str) -> None:
    where, word, name = FIELDS[table]
    behind(path, f"DELETE FROM {table} WHERE {where}")
    assert found(store) == (set() if table == "access_tokens" else {("audit.missing", word, name)})


ADDED = {
    "tokens": f"INSERT INTO tokens SELECT 99, 'new', 'secret', zeroblob(32), 'thief', '*', 1, 'x', NULL, '', NULL, '' "
    f"FROM tokens WHERE id = '{token(1).id}'",
    "access_tokens": f"INSERT INTO access_tokens VALUES (99, zeroblob(32), '{token(1).id}', '*', 1, 9999999999)",
    "grants": "INSERT INTO grants VALUES (99, 'thief', 'secc', '', 'prefix', '', '', 1, 'x')",
    "endpoints": "INSERT INTO endpoints SELECT 99, 'e9', owner, url, events, secret, created_at, created_by, "
    "description, enabled, noted FROM endpoints",
}


@pytest.mark.parametrize("table", FIELDS)
def test_a_row_that_nobody_wrote(store: SqliteStore, path: Path, table: str) -> None:
    behind(path, ADDED[table])
    assert {(code, word) for code, word, _ in found(store)} == {("audit.unlogged", FIELDS[table][1])}


def test_a_token_that_comes_back(store: SqliteStore, path: Path) -> None:
    behind(path, f"UPDATE tokens SET revoked_at = NULL, revoked_by = '' WHERE id = '{token(2).id}'")
    assert found(store) == {("audit.changed", "token", token(2).id)}


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_rows_stay(store: SqliteStore, path: Path, table: str) -> None:
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        connection.execute(f"DELETE FROM {table}")
    connection.close()


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column)
        for table in (*NEVER_CHANGED, *CHANGES_ONLY)
        for column, _ in columns(table)
        if column not in CHANGES_ONLY.get(table, ())
    ],
)
def test_fields_stay(store: SqliteStore, path: Path, table: str, column: str) -> None:
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="never change"):
        connection.execute(f"UPDATE {table} SET {column} = {column}")
    connection.close()


def test_a_revoked_token_never_comes_back(store: SqliteStore, path: Path) -> None:
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="never comes back"):
        connection.execute("UPDATE tokens SET revoked_at = NULL WHERE revoked_at IS NOT NULL")
    connection.close()


def test_no_repr_shows_a_sealed_secret() -> None:
    assert "sealed" not in repr(endpoint(1))
