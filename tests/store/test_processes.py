"""Several processes and processes that end: nothing is lost, nothing is half-written, nobody sees a lock."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.samples import ISSUER, authority, intent, issue, serial_of, sign_head, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.migrations import MIGRATIONS
from v2gpki.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "store.db"
    store = SqliteStore(path, create=True)
    authority(store)
    issue(store, range(5))
    sign_head(store)
    store.close()
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "store.db"))


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path)
    yield made
    made.close()


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def judge(path: Path) -> SqliteStore:
    """A store after a death is sound and its log agrees with it; it takes the next certificate."""
    store = SqliteStore(path)
    assert store.integrity() == []
    verdict = audit.verify(store, verifier=verifier)
    verdict.require_sound()
    assert store.count_certificates() in {6, 16}, "a batch is there as a whole or not at all"
    assert len(store.pending_intents()) in {0, 1, 3, 10}
    abandoned = sum(row.action == "intent.abandoned" for row in store.audit_rows())
    assert abandoned in {0, 2}
    assert len(list(store.revoked_serials(ISSUER))) in {0, 2, 3}
    issue(store, [5000])
    return store


# -- killed at every statement -------------------------------------------------------------------


@pytest.mark.parametrize("how", ["before", "after"])
def test_ending_at_every_statement(path: Path, how: str) -> None:
    """Forked children stop before or after the n-th statement; n runs until one survives."""
    from tests.store import dying

    seen: set[int] = set()
    number = 0
    while True:
        number += 1
        for leftover in ("-wal", "-shm"):
            Path(f"{path}{leftover}").unlink(missing_ok=True)
        shutil.copy(path, path.with_name("try.db"))
        child = os.fork()
        if child == 0:
            dying.WHERE[how] = number
            store = dying.DyingStore(path.with_name("try.db"))
            dying.COUNT["armed"] = 1
            dying.deeds(store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        after = judge(path.with_name("try.db"))
        seen.add(after.count_certificates())
        after.close()
        path.with_name("try.db").unlink()
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == 77
    assert number > 45, "fewer statements than the deeds have"
    assert seen == {7, 17}


# Statements: 1 BEGIN, 2 intents, 3 revision, 4 COMMIT, 5 BEGIN, 6 intents, 7 certificates, 8 tip, 9 audit, 10 revision,
# 11 COMMIT.
@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("within", 2),
        ("before", 4),
        ("after", 4),
        ("within", 6),
        ("within", 7),
        ("within", 9),
        ("before", 11),
        ("after", 11),
    ],
)
def test_killed_in_a_process_of_its_own(path: Path, where: str, number: int) -> None:
    ran = run("-m", "tests.store.dying", path, where, str(number), "kill")
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    judge(path).close()


def test_the_deeds_survive_when_nobody_kills(path: Path) -> None:
    ran = run("-m", "tests.store.dying", path, "after", "100000", "exit")
    assert ran.returncode == 0, ran.stderr
    store = judge(path)
    assert store.count_certificates() == 17
    assert store.pending_intents() == [intent(201, key="row-201")]
    store.close()


@pytest.mark.parametrize("number", MIGRATIONS)
def test_killed_while_the_home_is_made(tmp_path: Path, number: int) -> None:
    program = """
import os, sys
from pathlib import Path
from v2gpki.store.migrations import MIGRATIONS
from v2gpki.store.sqlite import SqliteStore
number = int(sys.argv[2])
whole = MIGRATIONS[number]
def half(connection):
    whole(connection)
    os._exit(77)
MIGRATIONS[number] = half
SqliteStore(Path(sys.argv[1]), create=True)
"""
    assert run("-c", program, tmp_path / "store.db", str(number)).returncode == 77
    assert not (tmp_path / "store.db").exists()
    store = SqliteStore(tmp_path / "store.db", create=True)
    issue(store, [1])
    store.close()


def test_random_kills_of_two_writers(path: Path) -> None:
    """Both issue until they are killed from outside; what they reported as committed is there."""
    program = """
import sys
from pathlib import Path
from tests.store.samples import issue
from v2gpki.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
start = int(sys.argv[2])
for number in range(start, start + 1_000_000, 7):
    issue(store, range(number, number + 7))
    print(number, flush=True)
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, path, str(start)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for start in (1_000_000, 2_000_000)
    ]
    reported: list[int] = []
    for process, lines in zip(running, (40, 90), strict=True):
        assert process.stdout is not None
        reported += [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        reported += [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
    store = SqliteStore(path)
    for number in reported:
        for member in range(number, number + 7):
            assert store.certificate(ISSUER, serial_of(member)) is not None
    assert (store.count_certificates() - 6) % 7 == 0
    assert len(store.pending_intents()) % 7 == 0
    assert store.integrity() == []
    audit.verify(store, verifier=verifier).require_sound()
    store.close()


# -- together ------------------------------------------------------------------------------------
def test_two_processes_write_at_once(path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.store.samples import NOW, ISSUER, issue, serial_of, sign_head
from v2gpki.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
start = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(start, start + 300, 3):
    issue(store, range(number, number + 3))
    store.revoke(ISSUER, serial_of(number), NOW, "superseded", "me")
    sign_head(store)
store.close()
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, path, str(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for start in (1000, 2000)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        _, errors = process.communicate("go\n")
        assert process.returncode == 0, errors
    store = SqliteStore(path)
    assert store.count_certificates() == 606
    assert store.count_certificates(state="revoked") == 200
    verdict = audit.verify(store, verifier=verifier)
    assert verdict.findings == ()
    assert verdict.rows == 7 + 600 + 200
    store.close()


def test_several_threads_and_a_process(path: Path, store: SqliteStore) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.store.samples import issue; "
        "from v2gpki.store.sqlite import SqliteStore; store = SqliteStore(Path(sys.argv[1])); "
        "[issue(store, [number]) for number in range(10_000, 10_100)]; store.close()"
    )
    failed: list[Exception] = []

    def work(start: int) -> None:
        try:
            for number in range(start, start + 25):
                issue(store, [number])
                store.count_certificates()
        except Exception as error:  # noqa: BLE001  # handed to the test below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in (1000, 2000, 3000, 4000)]
    for thread in threads:
        thread.start()
    ran = run("-c", program, path)
    for thread in threads:
        thread.join()
    assert (ran.returncode, failed) == (0, [])
    assert store.count_certificates() == 6 + 100 + 100
    audit.verify(store, verifier=verifier).require_sound()


# -- forks ---------------------------------------------------------------------------------------
def test_a_child_outlives_its_parents_connection(path: Path, store: SqliteStore) -> None:
    """With a connection carried over the fork, the child's last commit is lost without an error."""
    issue(store, [10])
    to_parent, from_child = os.pipe()
    to_child, from_parent = os.pipe()
    child = os.fork()
    if child == 0:
        issue(store, [11])
        os.write(from_child, b"x")
        os.read(to_child, 1)
        issue(store, [12])
        os._exit(0)
    os.read(to_parent, 1)
    issue(store, [13])
    store.close()
    os.write(from_parent, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for end in (to_parent, from_child, to_child, from_parent):
        os.close(end)
    found = {one.serial for one in store.find_certificates()}
    assert {serial_of(number) for number in (10, 11, 12, 13)} <= found
    assert store.integrity() == []
    audit.verify(store, verifier=verifier).require_sound()


def test_no_connection_is_shared_with_a_child(store: SqliteStore) -> None:
    issue(store, [10])
    threads = [threading.Thread(target=store.revision) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    child = os.fork()
    if child == 0:
        inherited = [held for held in store._connections._held if held.connection is not None]
        issue(store, [11])
        os._exit(len(inherited))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    issue(store, [12])
    assert store.count_certificates() == 9


def test_a_fork_inside_a_snapshot(path: Path, store: SqliteStore) -> None:
    """The one connection that cannot be closed is never touched by the child."""
    with store.snapshot():
        before = store.count_certificates()
        child = os.fork()
        if child == 0:
            used = store._connections.use()
            with used as connection:
                inherited = connection.in_transaction
            os._exit(5 if inherited else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.count_certificates() == before
    issue(store, [30])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_other_threads_write(store: SqliteStore) -> None:
    """The fork waits for their transactions; they go on with new connections."""
    failed: list[Exception] = []
    stop = threading.Event()

    def work(start: int) -> None:
        number = start
        try:
            while not stop.is_set():
                issue(store, [number])
                number += 1
        except Exception as error:  # noqa: BLE001  # handed to the test below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in (100_000, 200_000)]
    for thread in threads:
        thread.start()
    for number in range(15):
        child = os.fork()
        if child == 0:
            issue(store, [300_000 + number])
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(store.certificate(ISSUER, serial_of(300_000 + number)) for number in range(15))
    assert store.integrity() == []
    audit.verify(store, verifier=verifier).require_sound()


def test_an_ordinary_subprocess_does_not_disturb(store: SqliteStore) -> None:
    with store._connections.use() as before:
        pass
    run("-c", "pass")
    with store._connections.use() as after:
        assert isinstance(after, sqlite3.Connection)
        assert after is before


def test_an_error_lets_go_of_the_connection(store: SqliteStore) -> None:
    """Otherwise another thread could neither close the store nor fork."""
    store.record_intents([intent(1000)])
    with pytest.raises(V2GPKIError):
        store.record_intents([intent(1000)])
    closing = threading.Thread(target=store.close, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
