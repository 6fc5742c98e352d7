"""The SQLite store against the contract, and what is particular to it."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.contract import Make, StoreContract
from tests.store.samples import ISSUER, NOW, authority, issue, sign_head
from v2gpki.store.migrations.m0001_first_layout import CHANGES_ONLY, NEVER_CHANGED, NEVER_DELETED
from v2gpki.store.sqlite import SqliteStore


class TestContract(StoreContract):
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
    made = SqliteStore(path, create=True)
    yield made
    made.close()


def test_power_cut_settings(store: SqliteStore) -> None:
    with store._reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
        assert connection.execute("PRAGMA busy_timeout").fetchone()[0] == 10_000


def test_only_the_owner_reads_it(store: SqliteStore, path: Path) -> None:
    issue(store, [1])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_no_row_is_deleted(store: SqliteStore, path: Path, table: str) -> None:
    _fill(store)
    _refused_by_trigger(path, f"DELETE FROM {table}")


@pytest.mark.parametrize("table", NEVER_CHANGED)
def test_no_row_is_changed(store: SqliteStore, path: Path, table: str) -> None:
    _fill(store)
    columns = {"settings": "value", "idempotence": "caller", "abandoned_intents": "reason", "audit": "caller"}
    column = columns.get(table, "rowid")
    _refused_by_trigger(path, f"UPDATE {table} SET {column} = {column}")


@pytest.mark.parametrize("table", CHANGES_ONLY)
def test_only_the_state_changes(store: SqliteStore, path: Path, table: str) -> None:
    _fill(store)
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        connection.execute(f"UPDATE {table} SET state = state")
    connection.close()
    for column in set(columns) - set(CHANGES_ONLY[table]):
        _refused_by_trigger(path, f"UPDATE {table} SET {column} = {column}")


def _fill(store: SqliteStore) -> None:
    from tests.store.samples import NOW, crl, intent

    record = authority(store)
    store.record_intents([intent(1), intent(2, key="a")])
    store.abandon([intent(1).reference], NOW, "interrupted")
    store.append_crl(crl(record.id, 1), "me")
    sign_head(store)


def _refused_by_trigger(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            connection.execute(statement)
    finally:
        connection.close()


def test_looking_up_uses_an_index(store: SqliteStore) -> None:
    asked: list[str] = []
    with store._reading() as connection:
        connection.set_trace_callback(asked.append)
    list(store.find_certificates(prefix="4a1"))
    list(store.find_certificates(issuer_id=ISSUER))
    list(store.find_certificates(identifier="DEACME000001"))
    list(store.find_certificates(state="revoked", issuer_id=ISSUER))
    list(store.revoked_serials(ISSUER))
    store.held_certificates("ocsp", ISSUER)
    store.certificate(ISSUER, 1)
    store.completed("me", "key")
    with store._reading() as connection:
        connection.set_trace_callback(None)
        searches = [query for query in asked if query.startswith("SELECT")]
        assert len(searches) >= 8
        for query in searches:
            plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert "INDEX" in plan, (query, plan)
            assert "SCAN" not in plan, (query, plan)


@pytest.mark.parametrize("new", [False, True])
def test_opening_and_making_load_nothing_heavy(store: SqliteStore, path: Path, new: bool) -> None:
    store.close()
    path = path.with_name("new.db") if new else path
    program = (
        "import sys; from pathlib import Path; from v2gpki.store.sqlite import SqliteStore; "
        f"store = SqliteStore(Path({str(path)!r}), create={new}); store.revision(); store.close(); "
        "print(sorted({'sqlite_utils', 'cryptography', 'click', 'tempfile'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_connections_of_ended_threads_are_closed(store: SqliteStore) -> None:
    for _ in range(20):
        thread = threading.Thread(target=store.revision)
        thread.start()
        thread.join()
    assert len(store._connections._held) <= 2


def test_integrity_of_a_sound_store(store: SqliteStore) -> None:
    _fill(store)
    assert store.integrity() == []


def test_what_a_snapshot_read_once_it_reads_no_more(store: SqliteStore, path: Path) -> None:
    """Of certificates; and outside, and in the next snapshot, the change of another process is seen."""
    issue(store, [1])
    other = SqliteStore(path)
    (record,) = store.find_certificates()
    statements: list[str] = []
    with store._reading() as connection:
        connection.set_trace_callback(statements.append)
    with store.snapshot():
        assert store.certificate(record.issuer_id, record.serial) == record
        other.revoke(record.issuer_id, record.serial, NOW, "superseded", "me")
        read = len(statements)
        assert store.certificate(record.issuer_id, record.serial) == record
        assert store.certificate(record.issuer_id, record.serial + 1) is None
        assert store.certificate(record.issuer_id, record.serial + 1) is None
        assert len(statements) == read + 1
    for look in range(2):
        with store.snapshot() if look else store._reading():
            found = store.certificate(record.issuer_id, record.serial)
            assert found is not None
            assert found.state == "revoked"
    other.close()


def test_a_snapshot_remembers_a_bounded_number_of_certificates(store: SqliteStore) -> None:
    with store.snapshot():
        for serial in range(1000):
            assert store.certificate(ISSUER, serial) is None
        with store._reading():
            remembered = store._reading().certificates
        assert remembered is not None
        assert len(remembered) == 500
    assert store._reading().certificates is None
