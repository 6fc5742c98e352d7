"""A database that is exchanged under a running process: nobody reads the old one or writes the new one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.samples import NOW
from v2gpki.errors import V2GPKIError
from v2gpki.store.records import AuditEvent
from v2gpki.store.sqlite import SqliteStore


def missing(call: Callable[[], object]) -> None:
    with pytest.raises(V2GPKIError) as found:
        call()
    assert found.value.code == "store.missing"
    assert found.value.outcome.http == 503


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def exchanged(path: Path) -> Path:
    """Put a copy in its place, as restoring a backup does; returns where the one that was there is now."""
    aside, copy = path.with_name("old.db"), path.with_name("new.db")
    shutil.copyfile(path, copy)
    path.rename(aside)
    copy.rename(path)
    return aside


def write(store: SqliteStore) -> None:
    store.append_audit([AuditEvent("backup.made", "me", "home")], NOW)


def test_an_exchanged_database_is_neither_read_nor_written(path: Path) -> None:
    store = SqliteStore(path, create=True)
    write(store)
    # Everything is in the one file, and a connection is open.
    store.close()
    assert store.audit_tip()[0] == 1
    aside = exchanged(path)
    missing(store.revision)
    missing(lambda: write(store))
    # A connection that is opened only now must not work with the new file either.
    problems: list[V2GPKIError] = []

    def other() -> None:
        try:
            write(store)
        except V2GPKIError as problem:
            problems.append(problem)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert [problem.code for problem in problems] == ["store.missing"]
    store.close()
    missing(store.revision)
    for file in (aside, path):
        opened = SqliteStore(file)
        assert opened.audit_tip()[0] == 1
        opened.close()


def test_a_database_that_comes_back_is_used_again(path: Path) -> None:
    store = SqliteStore(path, create=True)
    path.rename(path.with_name("away.db"))
    missing(store.revision)
    path.with_name("away.db").rename(path)
    write(store)
    assert store.audit_tip()[0] == 1
    store.close()


def test_a_read_that_has_begun_ends_with_what_it_began_with(path: Path) -> None:
    store = SqliteStore(path, create=True)
    write(store)
    with store.snapshot():
        exchanged(path)
        assert store.audit_tip()[0] == 1
    missing(store.audit_tip)
    store.close()
