"""Migrations: the mechanism with a made-up next one, the backup before it, two processes at once."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.store.samples import authority, issue, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit, schema
from v2gpki.store.migrations import MIGRATIONS, migrate
from v2gpki.store.sqlite import SqliteStore

NEXT = schema.LAYOUT + 1


def following(connection: sqlite3.Connection) -> None:
    """A column and a table, by sqlite-utils."""
    database = Database(connection, recursive_triggers=False, execute_plugins=False)
    database.table("authorities").add_column("note", str, not_null_default="")
    database.table("notes").create({"number": int, "text": str}, pk="number", not_null={"text"}, strict=True)


def failing(connection: sqlite3.Connection) -> None:
    following(connection)
    connection.execute("INSERT INTO notes (number, text) VALUES (1, NULL)")


class FutureStore(SqliteStore):
    """What the next release would be."""

    _layout = NEXT

    def _migrate(self, connection: sqlite3.Connection, path: Path) -> None:
        migrate(connection, path, {**MIGRATIONS, NEXT: following})


class UnluckyStore(SqliteStore):
    """A release whose migration fails half-way."""

    _layout = NEXT

    def _migrate(self, connection: sqlite3.Connection, path: Path) -> None:
        migrate(connection, path, {**MIGRATIONS, NEXT: failing})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    store = SqliteStore(path, create=True)
    authority(store)
    issue(store, range(20))
    store.close()
    return path


def layout(path: Path) -> tuple[int, set[str]]:
    connection = sqlite3.connect(path)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version, tables


def backup_of(path: Path) -> Path:
    return path.with_name(f"store.db.layout-{schema.LAYOUT}.backup")


def test_the_numbers_agree(path: Path) -> None:
    assert sorted(MIGRATIONS) == list(range(1, schema.LAYOUT + 1))
    assert layout(path) == (schema.LAYOUT, set(schema.TABLES))


def test_an_older_home_is_backed_up_and_migrated(path: Path) -> None:
    store = FutureStore(path)
    assert store.count_certificates() == 21
    audit.verify(store, verifier=verifier).require_sound()
    issue(store, [100])
    store.close()
    version, tables = layout(path)
    assert version == NEXT
    assert "notes" in tables
    assert stat.S_IMODE(backup_of(path).stat().st_mode) == 0o600
    assert {file.name for file in path.parent.iterdir()} == {"store.db", f"store.db.layout-{schema.LAYOUT}.backup"}
    old = SqliteStore(backup_of(path))
    assert old.count_certificates() == 21
    assert old.integrity() == []
    old.close()
    # This release refuses what the next one wrote.
    with pytest.raises(V2GPKIError, match=r"store\.newer_home"):
        SqliteStore(path)


def test_a_home_is_migrated_once(path: Path) -> None:
    FutureStore(path).close()
    backup_of(path).unlink()
    FutureStore(path).close()
    assert not backup_of(path).exists()


def test_a_new_home_needs_no_backup(tmp_path: Path) -> None:
    store = FutureStore(tmp_path / "new.db", create=True)
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["new.db"]
    assert layout(tmp_path / "new.db")[0] == NEXT


def test_a_failing_migration_changes_nothing(path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        UnluckyStore(path)
    assert layout(path) == (schema.LAYOUT, set(schema.TABLES))
    store = SqliteStore(path)
    assert store.count_certificates() == 21
    store.close()
    FutureStore(path).close()
    assert layout(path)[0] == NEXT


def test_a_migration_may_not_commit(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(RuntimeError, match="left its transaction"):
        migrate(connection, path, {**MIGRATIONS, NEXT: lambda database: database.commit()})
    connection.close()


def test_an_interrupted_backup_is_made_again(path: Path) -> None:
    backup_of(path).with_name(backup_of(path).name + ".part").write_bytes(b"half")
    FutureStore(path).close()
    assert {file.name for file in path.parent.iterdir()} == {"store.db", f"store.db.layout-{schema.LAYOUT}.backup"}


def test_changes_still_in_the_wal_are_in_the_backup(path: Path) -> None:
    other = SqliteStore(path)
    issue(other, [500])
    FutureStore(path).close()
    old = SqliteStore(backup_of(path))
    assert old.count_certificates() == 22
    old.close()
    other.close()


@pytest.mark.parametrize("existing", [False, True])
def test_processes_that_make_the_same_home_at_once(tmp_path: Path, path: Path, existing: bool) -> None:
    target = path if existing else tmp_path / "new.db"
    program = (
        "import sys; from pathlib import Path; from tests.store.test_migrations import FutureStore; "
        "import v2gpki.store.migrations; print('ready', flush=True); sys.stdin.readline(); "
        "store = FutureStore(Path(sys.argv[1]), create=True); store.put_setting(sys.argv[2], 'x'); store.close()"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, target, f"setting{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for number in range(4)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    store = FutureStore(target)
    assert [store.setting(f"setting{number}") for number in range(4)] == ["x"] * 4
    assert store.integrity() == []
    store.close()
