"""Everything that can be done to the tables of the pools behind the store's back, and what the verdict says of it.

Each case changes the file with SQLite alone, triggers off, as in ``test_audit``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.pool_samples import MO, answer, contract, deliver, digest, prefix, root, vehicle
from tests.store.samples import LATER, NOW, changed, issue, serial_of, sign_head, verifier
from tests.store.test_audit import behind, rechain
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.migrations.m0002_pools import TABLES
from v2gpki.store.sqlite import SqliteStore

FIRST, SECOND, ENDED = contract(1), contract(2), contract(3)
CAR = f"{vehicle(0).pcid}/iso15118-2/p256"
#: The bundles of FIRST: the first is replaced by the second.
OLD, NEW = (digest("bundle", FIRST.id, 0, number, "iso15118-2").hex()[:32] for number in (1, 2))
REQUEST = digest("request", 1).hex()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A whole life of every pool, signed."""
    made = SqliteStore(path, create=True)
    pools = made.pools
    pools.decide_root(root(1))
    pools.decide_root(changed(root(1), decision="refused", decided_at=LATER))
    pools.decide_root(root(2))
    pools.bind_prefix(prefix("WMI"))
    pools.bind_prefix(prefix("OLD"))
    pools.release_prefix("wmi", "OLD", NOW, "me")
    for car in (vehicle(0), vehicle(1), vehicle(1, key=1), vehicle(2)):
        pools.register_vehicle(car)
    for one in (FIRST, SECOND, ENDED, contract(4, car=2)):
        pools.add_contract(one)
    pools.delete_vehicle(vehicle(2).pcid, NOW, "me")
    pools.set_default_contract(SECOND.id, NOW, "me")
    _, last = deliver(made, FIRST, [1, 2])
    deliver(made, ENDED, [3])
    pools.end_contract(ENDED.id, NOW, "superseded", "me")
    pools.record_answer(answer(1, [last]), "me")
    pools.take_position("a", bytes(32), 2, NOW)
    sign_head(made)
    yield made
    made.close()


def found(store: SqliteStore) -> set[tuple[str, str, str]]:
    return {
        (finding.code, finding.where, finding.subject) for finding in audit.verify(store, verifier=verifier).findings
    }


def test_a_sound_log(store: SqliteStore) -> None:
    assert found(store) == set()


FIELDS = {
    "roots": (f"fingerprint = x'{root(1).fingerprint.hex()}'", "root", root(1).fingerprint.hex()),
    "prefixes": ("1", "prefix", "wmi:WMI"),
    "vehicles": (f"pcid = '{vehicle(0).pcid}'", "vehicle", CAR),
    "contracts": (f"id = '{FIRST.id}'", "contract", FIRST.id),
    "bundles": (f"id = '{NEW}'", "bundle", NEW),
    "answers": ("1", "answer", REQUEST),
}
#: A value for each field that its CHECKs allow and that is another one than it has.
OTHERS = {
    "fingerprint": "randomblob(32)",
    "decision": "'trusted'",
    "kind": "'mo'",
    "state": "'withdrawn'",
    "is_default": "1",
    "receiver": "zeroblob(32)",
    "v2g_root": "zeroblob(32)",
    "digest": "zeroblob(32)",
    "serial": "'abc'",
    "cps_serial": "'abc'",
    "registered": "1",
    "chain": "x'00000001aa'",
    "v2g_roots": "x''",
    "details": "'{}'",
    "der": "x'00'",
    "exi": "x'00'",
}
#: What only changes together with another field, and what the log does not hold: the order.
APART = {"number", "ended_at"}
#: What the log calls a row by.
NAMES = {
    "roots": {"fingerprint"},
    "prefixes": {"kind", "prefix"},
    "vehicles": {"pcid", "edition", "suite"},
    "contracts": {"id"},
    "bundles": {"id"},
    "answers": {"digest"},
}


def columns(table: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(":memory:")
    for statement in TABLES:
        if statement.startswith(f"CREATE TABLE {table} "):
            connection.execute(statement)
    described = [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return described


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [(table, *column) for table in FIELDS for column in columns(table) if column[0] not in APART],
)
def test_a_changed_field(store: SqliteStore, path: Path, table: str, column: str, kind: str) -> None:
    where, word, name = FIELDS[table]
    other = OTHERS.get(column) or (f"{column} + 1" if kind == "INTEGER" else f"{column} || 'x'")
    if (table, column) == ("contracts", "state"):
        other = "'ended', ended_at = 5"
    if (table, column) == ("contracts", "is_default"):
        where = f"id = '{FIRST.id}'"
        behind(path, f"UPDATE contracts SET is_default = 0 WHERE id = '{SECOND.id}'")
    behind(path, f"UPDATE {table} SET {column} = {other} WHERE {where}")
    codes = {(code, subject) for code, where, subject in found(store) if where == word}
    if column in NAMES[table]:
        assert ("audit.missing", name) in codes
        assert "audit.unlogged" in {code for code, _ in codes}
    else:
        assert ("audit.changed", name) in codes


@pytest.mark.parametrize("table", [*FIELDS, "contract_certificates"])
def test_a_removed_row(store: SqliteStore, path: Path, table: str) -> None:
    where, word, name = FIELDS.get(
        table, (f"serial = '{serial_of(1):x}'", "certificate of a contract", f"{MO}/{serial_of(1):x}")
    )
    behind(path, f"DELETE FROM {table} WHERE {where}")
    assert ("audit.missing", word, name) in found(store)


ADDED = {
    "roots": "randomblob(32), der, role, decision, decided_at, decided_by, comment",
    "prefixes": "kind, 'NEW', owner, bound_at, bound_by",
    "vehicles": "pcid, 'iso15118-20', suite, chain, fingerprint, receiver, not_after, owner, registered_at, "
    "registered_by, v2g_roots, previous_pcid",
    "contracts": "'new', 'DEXXX000000000', pcid, begins, ends, created_at, created_by, issuer, 0, 'ended', 5, ''",
    "bundles": "'new', contract_id, emaid, pcid, edition, suite, receiver, v2g_root, issuer_id, serial, made_at, "
    "not_after, 'withdrawn', '', aad, cps_issuer_id, cps_serial, registered, exi",
    "answers": "zeroblob(32), bundles, answered_at, details",
}


@pytest.mark.parametrize("table", ADDED)
def test_an_added_row(store: SqliteStore, path: Path, table: str) -> None:
    names = ", ".join(name for name, _ in columns(table) if name != "number")
    where, word, _ = FIELDS[table]
    behind(path, f"INSERT INTO {table} ({names}) SELECT {ADDED[table]} FROM {table} WHERE {where}")
    assert {(code, where) for code, where, _ in found(store)} == {("audit.unlogged", word)}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            f"UPDATE contract_certificates SET contract_id = '{SECOND.id}' WHERE serial = '{serial_of(1):x}'",
            "audit.changed",
        ),
        (
            f"UPDATE contract_certificates SET serial = 'abc' WHERE serial = '{serial_of(1):x}'",
            "audit.missing",
        ),
    ],
)
def test_a_certificate_of_another_contract(store: SqliteStore, path: Path, statement: str, expected: str) -> None:
    behind(path, statement)
    assert (expected, "certificate of a contract", f"{MO}/{serial_of(1):x}") in found(store)


def test_a_certificate_that_was_given_a_contract(store: SqliteStore, path: Path) -> None:
    (plain,) = issue(store, [50])
    sign_head(store)
    behind(
        path,
        "INSERT INTO contract_certificates (contract_id, issuer_id, serial) "
        f"VALUES ('{FIRST.id}', '{plain.issuer_id}', '{plain.serial:x}')",
    )
    target = f"{plain.issuer_id}/{plain.serial:x}"
    assert found(store) == {("audit.unlogged", "certificate of a contract", target)}


@pytest.mark.parametrize(
    ("statement", "word", "name"),
    [
        (f"UPDATE contracts SET state = 'active', ended_at = NULL WHERE id = '{ENDED.id}'", "contract", ENDED.id),
        (f"UPDATE contracts SET reason = 'keyCompromise' WHERE id = '{ENDED.id}'", "contract", ENDED.id),
        (f"UPDATE contracts SET ended_at = ended_at + 1 WHERE id = '{ENDED.id}'", "contract", ENDED.id),
        (f"UPDATE contracts SET state = 'purged' WHERE id = '{ENDED.id}'", "contract", ENDED.id),
        (f"UPDATE contracts SET is_default = 0 WHERE id = '{SECOND.id}'", "contract", SECOND.id),
        (f"DELETE FROM bundles WHERE id = '{NEW}'; UPDATE bundles SET state = 'ready'", "bundle", OLD),
        ("UPDATE roots SET decision = 'trusted'", "root", root(1).fingerprint.hex()),
    ],
)
def test_a_state_that_was_turned_back(store: SqliteStore, path: Path, statement: str, word: str, name: str) -> None:
    behind(path, lambda connection: connection.executescript(statement))
    assert ("audit.changed", word, name) in found(store)


def test_what_was_deleted_and_is_back(store: SqliteStore, path: Path) -> None:
    behind(path, f"UPDATE vehicles SET pcid = '{vehicle(2).pcid}' WHERE pcid = '{vehicle(0).pcid}'")
    assert found(store) == {
        ("audit.missing", "vehicle", CAR),
        ("audit.unlogged", "vehicle", f"{vehicle(2).pcid}/iso15118-2/p256"),
    }


def test_created_twice(store: SqliteStore, path: Path) -> None:
    def double(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO audit SELECT 1 + (SELECT max(sequence) FROM audit), at, action, caller, target, details, "
            f"previous, digest FROM audit WHERE action = 'contract.created' AND target = '{SECOND.id}'"
        )
        rechain(connection)

    behind(path, double)
    assert ("audit.duplicate", "contract", SECOND.id) in found(store)


@pytest.mark.parametrize("details", ["", "[]", "{}", "{", '{"record":5}'])
def test_details_that_nobody_wrote(store: SqliteStore, path: Path, details: str) -> None:
    behind(path, f"UPDATE audit SET details = '{details}' WHERE target = '{FIRST.id}'")
    codes = found(store)
    assert ("audit.changed", "contract", FIRST.id) in codes
    assert "audit.row_changed" in {code for code, _, _ in codes}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET details = '{'",
        "UPDATE bundles SET serial = 'xyz'",
        "UPDATE contracts SET begins = 1000000000000000",
    ],
)
def test_a_value_that_cannot_be(store: SqliteStore, path: Path, change: str) -> None:
    behind(path, change)
    with pytest.raises(V2GPKIError, match=r"store\.damaged"):
        audit.verify(store, verifier=verifier)


#: The tables that the log does not speak of, with the reason.
UNLOGGED = {"positions": "a counter, as leases are"}


def test_no_table_is_forgotten() -> None:
    names = {statement.split()[2] for statement in TABLES if statement.startswith("CREATE TABLE")}
    assert names == set(FIELDS) | {"contract_certificates"} | set(UNLOGGED)
