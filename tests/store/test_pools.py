"""The pools of the SQLite store against the contract, and what is particular to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.contract import Make
from tests.store.pool_contract import PoolContract
from tests.store.pool_samples import answer, contract, deliver, prefix, root, vehicle
from tests.store.samples import NOW
from v2gpki.store.migrations.m0002_pools import CHANGES_ONLY, NEVER_CHANGED, NEVER_DELETED
from v2gpki.store.sqlite import SqliteStore


class TestPools(PoolContract):
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
    pools = made.pools
    pools.decide_root(root(1))
    pools.bind_prefix(prefix("WMI"))
    pools.register_vehicle(vehicle(0))
    pools.end_contract(pools.add_contract(contract(2)).id, NOW, "superseded", "me")
    _, last = deliver(made, pools.add_contract(contract(1)), [1, 2])
    pools.record_answer(answer(1, [last]), "me")
    yield made
    made.close()


def refused(path: Path, statement: str, words: str = "never") -> None:
    connection = sqlite3.connect(path)
    try:
        with pytest.raises(sqlite3.IntegrityError, match=words):
            connection.execute(statement)
    finally:
        connection.close()


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_no_row_is_deleted(store: SqliteStore, path: Path, table: str) -> None:
    refused(path, f"DELETE FROM {table}")


@pytest.mark.parametrize("table", NEVER_CHANGED)
def test_no_row_is_changed(store: SqliteStore, path: Path, table: str) -> None:
    refused(path, f"UPDATE {table} SET number = number")


@pytest.mark.parametrize("table", CHANGES_ONLY)
def test_only_some_fields_change(store: SqliteStore, path: Path, table: str) -> None:
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for column in CHANGES_ONLY[table]:
            connection.execute(f"UPDATE {table} SET {column} = {column}")
    connection.close()
    for column in set(columns) - set(CHANGES_ONLY[table]):
        refused(path, f"UPDATE {table} SET {column} = {column}")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE contracts SET state = 'active', ended_at = NULL WHERE state = 'ended'", "never comes back"),
        ("UPDATE contracts SET state = 'purged' WHERE state = 'ended'", "never comes back"),
        ("UPDATE bundles SET state = 'ready' WHERE state = 'withdrawn'", "never comes back"),
        ("UPDATE contracts SET is_default = 1", "CHECK"),
        ("UPDATE contracts SET ended_at = 5", "CHECK"),
    ],
)
def test_states_only_end(store: SqliteStore, path: Path, statement: str, words: str) -> None:
    refused(path, statement, words)


def test_looking_up_uses_an_index(store: SqliteStore) -> None:
    asked: list[str] = []
    pools, mine, car = store.pools, contract(1), vehicle(0)
    with store._reading() as connection:
        connection.set_trace_callback(asked.append)
    pools.root(bytes(32))
    pools.prefix("wmi", "WMI")
    pools.vehicle(car.pcid, car.edition)
    pools.vehicle(car.pcid, car.edition, car.suite)
    list(pools.vehicles(pcid=car.pcid))
    pools.contract(mine.id)
    pools.contract_of(mine.emaid)
    list(pools.contracts(pcid=mine.pcid))
    list(pools.contracts(pcid=mine.pcid, state="active"))
    list(pools.contracts(emaid=mine.emaid))
    pools.certificates_of(mine.id)
    last = list(pools.bundles(contract_id=mine.id))[-1]
    list(pools.bundles(pcid=mine.pcid))
    pools.bundle(last.id)
    found = pools.ready_bundle(
        mine.id, edition=last.edition, suite=last.suite, receiver=last.receiver, v2g_root=last.v2g_root
    )
    assert found == last
    pools.answered(bytes(32))
    with store._reading() as connection:
        connection.set_trace_callback(None)
        searches = [query for query in asked if query.startswith("SELECT")]
        assert len(searches) == 16
        for query in searches:
            plan = " ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert "INDEX" in plan, (query, plan)
            assert "SCAN" not in plan, (query, plan)
