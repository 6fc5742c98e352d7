"""The pools under several processes and processes that end: nothing is lost, nothing is half-written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.store import dying, dying_pools
from tests.store.pool_samples import (
    MO,
    answer,
    bundle,
    certified,
    contract,
    deliver,
    digest,
    emaid_of,
    pcid_of,
    vehicle,
)
from tests.store.samples import NOW, verifier
from tests.store.test_processes import ROOT, run
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    SqliteStore(path, create=True).close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path)
    yield made
    made.close()


def judge(store: SqliteStore) -> None:
    """What holds after every transaction, whichever was the last."""
    assert store.integrity() == []
    audit.verify(store, verifier=verifier).require_sound()
    pools = store.pools
    contracts = list(pools.contracts())
    assert len({one.emaid for one in contracts}) == len(contracts)
    active = Counter(one.pcid for one in contracts if one.state == "active")
    default = Counter(one.pcid for one in contracts if one.default)
    assert default == dict.fromkeys(active, 1), "each vehicle with a contract has one default"
    states = {one.id: one.state for one in contracts}
    for one in pools.bundles():
        assert one.state == "withdrawn" or states[one.contract_id] == "active"
    for contract_id, issuer_id, serial in pools.contract_certificates():
        certificate = store.certificate(issuer_id, serial)
        assert certificate is not None
        assert (certificate.state == "revoked") == (states[contract_id] == "ended")
    links = list(pools.contract_certificates())
    assert len(links) == store.count_certificates()
    assert {(one.issuer_id, one.serial) for one in pools.bundles()} == {link[1:] for link in links}


# -- killed at every statement -------------------------------------------------------------------
@pytest.mark.parametrize("how", ["before", "after"])
def test_ending_at_every_statement(path: Path, how: str) -> None:
    """Forked children stop before or after the n-th statement; n runs until one survives."""
    number, seen = 0, set[int]()
    target = path.with_name("try.db")
    while True:
        number += 1
        for leftover in ("", "-wal", "-shm"):
            Path(f"{target}{leftover}").unlink(missing_ok=True)
        shutil.copy(path, target)
        child = os.fork()
        if child == 0:
            dying.WHERE[how] = number
            store = dying.DyingStore(target)
            dying.COUNT["armed"] = 1
            dying_pools.deeds(store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        after = SqliteStore(target)
        judge(after)
        seen.add(after.audit_tip()[0])
        after.close()
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 77
    assert number > 100, "fewer statements than the deeds have"
    assert len(seen) >= 18, "each deed is there as a whole or not at all"


@pytest.mark.parametrize("number", [20, 60, 100, 140])
@pytest.mark.parametrize("where", ["before", "within", "after"])
def test_killed_in_a_process_of_its_own(path: Path, where: str, number: int) -> None:
    ran = run("-m", "tests.store.dying_pools", path, where, str(number), "kill")
    # Only a statement for many rows has a middle to die in.
    assert ran.returncode in ({-signal.SIGKILL, 0} if where == "within" else {-signal.SIGKILL}), ran.stderr
    store = SqliteStore(path)
    judge(store)
    store.close()


# -- together ------------------------------------------------------------------------------------
def at_once(path: Path, program: str, arguments: Sequence[str]) -> list[list[str]]:
    """The program once for each argument, all let go at the same time; the lines that each one printed."""
    begin = (
        "import sys\nfrom pathlib import Path\nfrom tests.store.pool_samples import *\n"
        "from tests.store.samples import NOW\nfrom v2gpki.errors import V2GPKIError\n"
        "from v2gpki.store.sqlite import SqliteStore\nstore = SqliteStore(Path(sys.argv[1]))\npools = store.pools\n"
        "me = sys.argv[2]\nprint('ready', flush=True)\nsys.stdin.readline()\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", begin + program + "\nstore.close()", path, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for argument in arguments
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = []
    for process in running:
        lines, errors = process.communicate()
        assert process.returncode == 0, errors
        printed.append(lines.split())
    return printed


def test_two_processes_add_contracts_for_the_same_emaids(path: Path, store: SqliteStore) -> None:
    printed = at_once(
        path,
        """
for number in range(60):
    try:
        pools.add_contract(contract(number, again=int(me)))
        print(number)
    except V2GPKIError as error:
        assert (error.code, error.facts["which"]) == ("store.conflict", "emaid"), error
""",
        ["0", "1"],
    )
    assert sorted(map(int, printed[0] + printed[1])) == list(range(60))
    contracts = list(store.pools.contracts())
    assert {one.emaid for one in contracts} == {emaid_of(number) for number in range(60)}
    assert [one.default for one in contracts] == [True] + [False] * 59
    audit.verify(store, verifier=verifier).require_sound()


def test_two_processes_answer_the_same_requests(path: Path, store: SqliteStore) -> None:
    """Each wants to deliver another bundle; both deliver the same one."""
    for number in range(40):
        mine = store.pools.add_contract(contract(number, car=number))
        deliver(store, mine, [2 * number])
        deliver(store, mine, [2 * number + 1], key=1)
    printed = at_once(
        path,
        """
for number in range(40):
    mine = contract(number, car=number)
    given = pools.record_answer(answer(number, list(pools.bundles(contract_id=mine.id))[int(me):][:1]), me)
    print(given.bundles[0])
""",
        ["0", "1"],
    )
    assert printed[0] == printed[1]
    assert [one.bundles[0] for one in store.pools.answers()] == printed[0]
    rows = [row.target for row in store.audit_rows() if row.action == "request.answered"]
    assert len(rows) == len(set(rows)) == 40
    audit.verify(store, verifier=verifier).require_sound()


def test_two_processes_make_bundles_for_the_same_contract(path: Path, store: SqliteStore) -> None:
    """One of them wins each round, the other one's certificate is not written."""
    mine = store.pools.add_contract(contract(1))
    printed = at_once(
        path,
        """
mine, replaces = contract(1), ""
for number in range(30):
    try:
        replaces = deliver(store, mine, [1000 * int(me) + number], replaces=replaces)[0].id
        print(number)
    except V2GPKIError as error:
        assert (error.code, error.facts["which"]) == ("store.conflict", "bundle"), error
        replaces = error.facts["ready"]
""",
        ["1", "2"],
    )
    won = len(printed[0]) + len(printed[1])
    bundles = list(store.pools.bundles())
    assert len(bundles) == len(store.pools.certificates_of(mine.id)) == store.count_certificates() == won
    assert [one.state for one in bundles] == ["withdrawn"] * (won - 1) + ["ready"]
    assert [one.replaces for one in bundles] == ["", *(one.id for one in bundles[:-1])]
    assert len(store.pending_intents()) == 60 - won
    audit.verify(store, verifier=verifier).require_sound()


def test_two_processes_take_positions(path: Path, store: SqliteStore) -> None:
    printed = at_once(path, "for _ in range(100): print(pools.take_position('a', bytes(32), 7, NOW))", ["1", "2"])
    assert Counter(map(int, printed[0] + printed[1])) == Counter(number % 7 for number in range(200))
    assert store.pools.take_position("a", bytes(32), 7, NOW) == 200 % 7


def test_a_contract_ends_while_its_certificates_are_issued(path: Path, store: SqliteStore) -> None:
    """Whatever is committed before the end is revoked by it, and nothing is committed after it."""
    for number in range(20):
        store.pools.add_contract(contract(number, car=number))
    at_once(
        path,
        """
for number in range(20):
    mine = contract(number, car=number)
    try:
        if me == "issue":
            deliver(store, mine, [number])
        else:
            pools.end_contract(mine.id, NOW, "superseded", me)
    except V2GPKIError as error:
        assert (error.code, error.facts["which"]) == ("store.conflict", "contract"), error
""",
        ["issue", "end"],
    )
    judge(store)
    assert store.count_certificates(state="valid") == 0
    assert {one.state for one in store.pools.contracts()} == {"ended"}
    assert len(list(store.revoked_serials(MO))) == store.count_certificates() == 20 - len(store.pending_intents())


def test_a_vehicle_is_deleted_while_contracts_come(path: Path, store: SqliteStore) -> None:
    at_once(
        path,
        """
for number in range(30):
    try:
        if me == "delete":
            pools.delete_vehicle(pcid_of(0), NOW, me)
        else:
            pools.register_vehicle(vehicle(0))
            pools.add_contract(contract(number))
    except V2GPKIError as error:
        assert error.code == "store.unknown_vehicle", error
""",
        ["add", "delete"],
    )
    audit.verify(store, verifier=verifier).require_sound()
    assert store.integrity() == []
    states = {one.state for one in store.pools.contracts(pcid=pcid_of(0))}
    assert states <= {"active", "purged"}


def test_threads(store: SqliteStore) -> None:
    pools = store.pools
    wrong: list[Exception] = []
    made, _ = certified(999)

    def work(start: int) -> None:
        try:
            for number in range(start, start + 15):
                pools.register_vehicle(vehicle(number))
                mine = pools.add_contract(contract(number, car=number))
                assert mine.default
                one = bundle(mine, made)
                pools.add_bundle(one, "me")
                assert pools.record_answer(answer(number, [one]), "me").bundles == (one.id,)
                assert pools.answered(digest("request", number)) is not None
                pools.end_contract(mine.id, NOW, "superseded", "me")
        except (V2GPKIError, AssertionError, RuntimeError) as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(list(pools.contracts(state="ended"))) == 60
    audit.verify(store, verifier=verifier).require_sound()
