"""The power goes: what waited for the disk is there, whatever comes after it is there in order or not at all."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.store import dying, dying_pools, power
from tests.store.pool_samples import answer, contract, deliver, vehicle
from tests.store.samples import NOW, authority, issue, sign_head
from tests.store.test_pool_processes import judge
from v2gpki.errors import V2GPKIError
from v2gpki.store import anchor
from v2gpki.store.sqlite import SqliteStore


class WatchedStore(SqliteStore):
    connection_class = power.Watched


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = WatchedStore(path)
    power.COMMITS.clear()
    yield made
    made.close()


def test_what_waits_for_the_disk(store: SqliteStore) -> None:
    """Everything but signed heads, and answers that say so."""
    dying_pools.deeds(store)
    authority(store)
    issue(store, [1])
    dying.deeds(store)
    (last,) = deliver(store, store.pools.add_contract(contract(7)), [70])
    store.pools.record_answer(answer(8, [last]), "me")
    store.pools.record_answer(answer(9, [last]), "me", lasting=False)
    issue(store, [300])
    kinds = {commit.written for commit in power.COMMITS if not commit.awaited}
    assert kinds == {("audit_heads", "home"), ("answers", "audit", "home")}
    of_answers = [commit.awaited for commit in power.COMMITS if commit.written == ("answers", "audit", "home")]
    assert of_answers == [True, False, True, False]
    assert power.COMMITS[-1].awaited
    assert sum(commit.awaited for commit in power.COMMITS) > 30


def test_every_cut_of_unawaited_commits(store: SqliteStore, path: Path) -> None:
    """An awaited commit in front, heads and answers behind it: the cut store is sound, and has lost the newest only."""
    pools = store.pools
    pools.register_vehicle(vehicle(0))
    mine = pools.add_contract(contract(1))
    (ready,) = deliver(store, mine, [1])
    for number in range(4):
        pools.record_answer(answer(number, [ready]), "me", lasting=False)
        sign_head(store)
    wal = path.with_name(path.name + "-wal").read_bytes()
    seen = set()
    for found, safe in power.cuts(wal, power.COMMITS):
        # Registration, contract, intent and result wait for the disk; four answers with four heads do not.
        assert (safe, len(power.COMMITS)) == (4, 12)
        after = SqliteStore(power.cut(path, path.with_name("cut.db"), found))
        judge(after)
        assert [one.id for one in after.pools.bundles()] == [ready.id]
        kept = [one.digest for one in after.pools.answers()]
        assert kept == [answer(number, [ready]).digest for number in range(len(kept))]
        seen.add((len(kept), len(list(after.audit_heads()))))
        assert after.revision() == 4 + len(kept) + len(list(after.audit_heads()))
        after.close()
    assert seen == {(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4)}


def test_what_lasts_takes_along_what_was_before(store: SqliteStore, path: Path) -> None:
    mine = store.pools.add_contract(contract(1))
    (ready,) = deliver(store, mine, [1])
    store.pools.record_answer(answer(1, [ready]), "me", lasting=False)
    store.pools.set_default_contract(store.pools.add_contract(contract(2)).id, NOW, "me")
    wal = path.with_name(path.name + "-wal").read_bytes()
    for found, safe in power.cuts(wal, power.COMMITS):
        assert safe == len(power.COMMITS)
        after = SqliteStore(power.cut(path, path.with_name("cut.db"), found))
        assert after.pools.answered(answer(1, []).digest) == answer(1, [ready])
        after.close()


class Stubborn(power.Watched):
    """Refuses once to go back to waiting."""

    refuses = 0

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql == "PRAGMA synchronous=FULL" and Stubborn.refuses:
            Stubborn.refuses -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


class StubbornStore(SqliteStore):
    connection_class = Stubborn


def test_a_commit_that_should_last_never_goes_without(path: Path) -> None:
    store = StubbornStore(path)
    power.COMMITS.clear()
    (ready,) = deliver(store, store.pools.add_contract(contract(1)), [1])
    store.pools.record_answer(answer(1, [ready]), "me", lasting=False)
    Stubborn.refuses = 1
    with pytest.raises((V2GPKIError, sqlite3.OperationalError)):
        store.pools.add_contract(contract(2))
    store.pools.add_contract(contract(3))
    assert [commit.awaited for commit in power.COMMITS] == [True, True, True, False, True]
    assert [one.emaid for one in store.pools.contracts()] == [contract(1).emaid, contract(3).emaid]
    store.close()


def test_a_head_that_is_handed_out_is_on_the_disk(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An anchor of a head that a power cut takes back would say that the log was cut."""
    waited: list[tuple[str, int]] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        waited.append((os.readlink(f"/proc/self/fd/{file}"), os.fstat(file).st_size))
        fsync(file)

    issue(store, [1])
    sign_head(store)
    assert not power.COMMITS[-1].awaited
    monkeypatch.setattr(os, "fsync", watched)
    kept = anchor.anchor(store)
    assert waited == [(f"{path}-wal", power.COMMITS[-1].size)]
    assert kept.sequence == store.audit_tip()[0]


def test_settling_a_store_whose_wal_is_gone(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """After the last connection closed there is none; and a store that only reads has none."""
    issue(store, [1])
    store.close()
    assert not path.with_name(path.name + "-wal").exists()
    alone = SqliteStore(Path(shutil.copy(path, tmp_path / "other.db")))
    alone.close()
    alone.settle()
    alone.close()
    store.settle()
