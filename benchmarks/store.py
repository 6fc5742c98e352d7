"""The store: what recording a certificate durably costs, next to the same rows written by sqlite3 alone.

Ours goes through the public API: intents in one transaction, results and chained audit rows in a second one.
The peer inserts the very rows that our store holds afterwards, in the same tables without triggers, with
executemany and the same two commits, and computes nothing. CPU time of groups, medians; the store is
verified afterwards.

The pools: what the way of a provisioning request asks for, among 100,000 vehicles, contracts, bundles of 4,200 octets
and answers, at random places. Those rows are put there at once, without their log; what is written while the clock
runs goes through the public API.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from measure import Row, table
from v2gpki.store import audit, pool_rows, rows
from v2gpki.store.migrations.m0001_first_layout import INDEXES, TABLES
from v2gpki.store.pool_records import Answered, Bundle, Contract, PooledVehicle
from v2gpki.store.records import CertificateRecord, IntentRecord
from v2gpki.store.sqlite import SqliteStore

GROUP = 100
GROUPS = 60
POOL = 100_000
EXI = os.urandom(4200)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUER = "iso2-cpo-sub-ca-2@1"
INTENT = rows.insertion("intents", rows.INTENT)
RESULT = rows.insertion("certificates", rows.CERTIFICATE)
AUDIT = rows.insertion("audit", rows.AUDIT)
DONE = "DELETE FROM intents WHERE serial = ? AND issuer_id = ?"


def group(size: int) -> tuple[list[IntentRecord], list[CertificateRecord]]:
    """Fresh intents and certificates of 700 random octets."""
    intents = [
        IntentRecord(
            os.urandom(16).hex(),
            ISSUER,
            0x40 << 152 | int.from_bytes(os.urandom(19)),
            os.urandom(32),
            "iso15118-2",
            "secc",
            f"DEACME{int.from_bytes(os.urandom(4)):010d}",
            "cli:operator",
            NOW,
        )
        for _ in range(size)
    ]
    ders = [os.urandom(700) for _ in intents]
    certificates = [
        CertificateRecord(
            intent.issuer_id,
            intent.serial,
            sha256(der).digest(),
            intent.edition,
            "p256",
            intent.role,
            intent.identifier,
            f"DC=CPO,O=Acme,CN={intent.identifier}",
            NOW,
            NOW + timedelta(days=60),
            der,
            "5f" * 32,
            intent.caller,
            NOW,
        )
        for intent, der in zip(intents, ders, strict=True)
    ]
    return intents, certificates


def cpu_each(work: Callable[[int], object], count: int, size: int) -> float:
    """Median CPU microseconds a certificate; ``work(n)`` is the n-th group."""
    spent = []
    for number in range(count):
        start = time.process_time_ns()
        work(number)
        spent.append((time.process_time_ns() - start) / 1000 / size)
    return statistics.median(spent)


def unsigned(_signature: bytes, _message: bytes) -> None:
    """No head is signed here."""


def ours(path: Path, count: int, size: int) -> float:
    groups = [group(size) for _ in range(count)]
    store = SqliteStore(path, create=True)

    def work(number: int) -> None:
        intents, certificates = groups[number]
        store.record_intents(intents)
        store.commit_results(certificates, [intent.reference for intent in intents])

    figure = cpu_each(work, count, size)
    assert store.count_certificates() == count * size
    assert store.integrity() == []
    verdict = audit.verify(store, verifier=unsigned)
    verdict.require_sound()
    assert verdict.rows == count * size
    store.close()
    return figure


def raw(path: Path, made: Path, count: int, size: int) -> float:
    """The same rows without us: read from our store beforehand, written by executemany."""
    source = sqlite3.connect(made)
    certificates = source.execute(f"SELECT {rows.CERTIFICATE} FROM certificates ORDER BY number").fetchall()
    log = source.execute(f"SELECT {rows.AUDIT} FROM audit ORDER BY sequence").fetchall()
    source.close()
    intents = [
        (os.urandom(16).hex(), row[0], row[1], os.urandom(32), *row[3:4], *row[5:7], row[12], row[13], "", "")
        for row in certificates
    ]
    database = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *TABLES, *INDEXES):
        database.execute(statement)

    def work(number: int) -> None:
        part = slice(number * size, (number + 1) * size)
        database.execute("BEGIN IMMEDIATE")
        database.executemany(INTENT, intents[part])
        database.execute("COMMIT")
        database.execute("BEGIN IMMEDIATE")
        database.executemany(DONE, [(row[2], row[1]) for row in intents[part]])
        database.executemany(RESULT, certificates[part])
        database.executemany(AUDIT, log[part])
        database.execute("COMMIT")

    figure = cpu_each(work, count, size)
    assert database.execute("SELECT count(*) FROM certificates").fetchone()[0] == count * size
    database.close()
    return figure


def look_up(path: Path) -> float:
    """Median wall microseconds of one look-up by (issuer, serial)."""
    store = SqliteStore(path)
    known = [(one.issuer_id, one.serial) for one in store.find_certificates()]
    spent = []
    for issuer_id, serial in known:
        start = time.perf_counter_ns()
        found = store.certificate(issuer_id, serial)
        spent.append((time.perf_counter_ns() - start) / 1000)
        assert found is not None
    store.close()
    return statistics.median(spent)


# -- the pools -----------------------------------------------------------------------------------
def pool_contract(number: int) -> Contract:
    return Contract(
        sha256(b"%d" % number).hexdigest()[:32],
        f"DEACM{number:09d}",
        f"WMI{number:014d}",
        NOW,
        NOW + timedelta(days=730),
        NOW,
        "mo",
        default=True,
    )


def pool_vehicle(number: int) -> PooledVehicle:
    chain = tuple(random.Random(number).randbytes(700) for _ in range(3))
    leaf = sha256(chain[0]).digest()
    return PooledVehicle(
        f"WMI{number:014d}", "iso15118-2", "p256", chain, leaf, leaf, NOW + timedelta(days=3650), "", NOW, "oem"
    )


def pool_bundle(number: int, serial: int = 1) -> Bundle:
    of, car = pool_contract(number), pool_vehicle(number)
    return Bundle(
        os.urandom(16).hex(),
        of.id,
        of.emaid,
        of.pcid,
        "iso15118-2",
        "p256",
        car.receiver,
        bytes(32),
        ISSUER,
        serial,
        EXI,
        NOW,
        NOW + timedelta(days=365),
    )


def fill_pools(path: Path, count: int) -> list[Bundle]:
    """Put ``count`` rows into each pool; the bundles come back, for a look at what was found."""
    SqliteStore(path, create=True).close()
    bundles = [pool_bundle(number) for number in range(count)]
    database = sqlite3.connect(path)
    for name, columns, values in (
        ("vehicles", pool_rows.VEHICLE, (pool_rows.vehicle_row(pool_vehicle(number)) for number in range(count))),
        ("contracts", pool_rows.CONTRACT, (pool_rows.contract_row(pool_contract(number)) for number in range(count))),
        ("bundles", pool_rows.BUNDLE, map(pool_rows.bundle_row, bundles)),
        (
            "answers",
            pool_rows.ANSWER,
            (
                pool_rows.answer_row(Answered(sha256(b"request %d" % number).digest(), (one.id,), NOW))
                for number, one in enumerate(bundles)
            ),
        ),
    ):
        database.executemany(rows.insertion(name, columns), values)
    database.commit()
    database.close()
    return bundles


def pool_look_ups(path: Path, bundles: list[Bundle]) -> dict[str, float]:
    """Median wall microseconds of each look-up, at 3,000 random places."""
    store = SqliteStore(path)
    pools = store.pools
    places = random.Random(1).sample(range(len(bundles)), min(3000, len(bundles)))
    wanted = [(bundles[place], sha256(b"request %d" % place).digest()) for place in places]
    asked: dict[str, Callable[[Bundle, bytes], object]] = {
        "vehicle": lambda one, _: pools.vehicle(one.pcid, one.edition),
        "contracts of a vehicle": lambda one, _: list(pools.contracts(pcid=one.pcid)),
        "contract of an EMAID": lambda one, _: pools.contract_of(one.emaid),
        "ready bundle": lambda one, _: pools.ready_bundle(
            one.contract_id, edition=one.edition, suite=one.suite, receiver=one.receiver, v2g_root=one.v2g_root
        ),
        "answered": lambda _, digest: pools.answered(digest),
        "trust revision": lambda _one, _digest: pools.trust_revision(),
    }
    figures = {}
    for name, ask in asked.items():
        spent = []
        for one, digest in wanted:
            start = time.perf_counter_ns()
            found = ask(one, digest)
            spent.append((time.perf_counter_ns() - start) / 1000)
            assert found or name == "trust revision"
            if name == "ready bundle":
                assert found == one
        figures[name] = statistics.median(spent)
    store.close()
    return figures


def pool_writes(path: Path, count: int, rounds: int) -> dict[str, float]:
    """Median CPU microseconds of each write, among the rows that are there."""
    store = SqliteStore(path)
    pools = store.pools
    new = range(count, count + rounds)
    groups = [group(1) for _ in new]
    bundles = [pool_bundle(number, groups[number - count][0][0].serial) for number in new]
    cars, contracts = [pool_vehicle(number) for number in new], [pool_contract(number) for number in new]

    def issue(number: int) -> None:
        intents, certificates = groups[number]
        store.record_intents(intents)
        one = bundles[number]
        store.commit_results(
            certificates, [intents[0].reference], contracts=[one.contract_id], bundles=[one]
        )

    figures = {
        "register a vehicle": cpu_each(lambda n: pools.register_vehicle(cars[n]), rounds, 1),
        "add a contract": cpu_each(lambda n: pools.add_contract(contracts[n]), rounds, 1),
        "certificate with its bundle": cpu_each(issue, rounds, 1),
        "record an answer": cpu_each(
            lambda n: pools.record_answer(Answered(os.urandom(32), (bundles[n].id,), NOW), "me"), rounds, 1
        ),
    }
    assert len(list(pools.answers())) == count + rounds
    assert store.integrity() == []
    store.close()
    return figures


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grouped = ours(folder / "ours.db", GROUPS, GROUP)
        grouped_raw = raw(folder / "raw.db", folder / "ours.db", GROUPS, GROUP)
        single = ours(folder / "single.db", 500, 1)
        single_raw = raw(folder / "single-raw.db", folder / "single.db", 500, 1)
        found = look_up(folder / "ours.db")
        bundles = fill_pools(folder / "pools.db", POOL)
        looked_up = pool_look_ups(folder / "pools.db", bundles)
        written = pool_writes(folder / "pools.db", POOL, 300)
    table(
        "store, per certificate: intent, result, chained audit row",
        [
            Row(f"groups of {GROUP}, CPU", f"{grouped:.1f} us", f"sqlite3 alone {grouped_raw:.1f} us"),
            Row("one by one, CPU", f"{single:.1f} us", f"sqlite3 alone {single_raw:.1f} us"),
            Row(f"look-up among {GROUP * GROUPS}, wall p50", f"{found:.1f} us", "limit 20 us"),
        ],
    )
    table(
        f"pools of {POOL} rows each",
        [
            *(Row(f"{name}, wall p50", f"{figure:.1f} us", "limit 30 us") for name, figure in looked_up.items()),
            *(Row(f"{name}, CPU", f"{figure:.1f} us") for name, figure in written.items()),
        ],
    )


if __name__ == "__main__":
    main()
