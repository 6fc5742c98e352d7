"""Every way in which a database can be unusable: one stable code, a hint, and nothing half-written."""

from __future__ import annotations

import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.store.samples import ISSUER, NOW, authority, intent, issue, serial_of, verifier
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.store import audit
from v2gpki.store.schema import LAYOUT
from v2gpki.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "store.db"
    store = SqliteStore(path, create=True)
    authority(store)
    issue(store, range(200))
    store.close()
    return path


@pytest.fixture
def path(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "store.db"))


def refused(path: Path, code: str, *, create: bool = False) -> V2GPKIError:
    """Opening, or at the latest reading everything, is refused with ``code``."""
    with pytest.raises(V2GPKIError) as caught:
        read_everything(path, create=create)
    error = caught.value
    assert error.code == code, error
    assert error.hint
    assert str(path) in error.message or code == "store.damaged"
    assert CODES[code].exit_code == 3
    return error


def read_everything(path: Path, *, create: bool = False) -> None:
    store = SqliteStore(path, create=create, busy_seconds=0.2)
    try:
        audit.verify(store, verifier=verifier).require_sound()
        if problems := store.integrity():
            raise V2GPKIError("store.damaged", problems[0], hint="found by integrity()")
    finally:
        store.close()


def test_the_filled_one_is_sound(path: Path) -> None:
    read_everything(path)


def test_no_database(tmp_path: Path) -> None:
    refused(tmp_path / "store.db", "store.missing")
    assert list(tmp_path.iterdir()) == []


def test_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none" / "store.db", "store.missing")
    refused(tmp_path / "none" / "store.db", "store.missing", create=True)
    refused(tmp_path, "store.missing")


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda old: b"this is no database\n" * 50,
        lambda old: b"\0" * len(old),
        lambda old: random.Random(1).randbytes(len(old)),
        lambda old: old[: len(old) // 2],
        lambda old: old[:4096],
        lambda old: old[:1000],
        lambda old: old[:100],
        lambda old: b"x" + old[1:],
        lambda old: old[:100] + random.Random(2).randbytes(3996) + old[4096:],
    ],
    ids=["text", "zeros", "random", "half", "first page", "1000 octets", "header", "magic", "schema page"],
)
def test_a_damaged_file(path: Path, spoil: Callable[[bytes], bytes], create: bool) -> None:
    damaged = spoil(path.read_bytes())
    path.write_bytes(damaged)
    refused(path, "store.damaged", create=create)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_page(path: Path, seed: int) -> None:
    """Garbage in the middle is found by reading, by the log, or by the integrity check; never a crash."""
    old = path.read_bytes()
    page = random.Random(seed).randrange(1, len(old) // 4096)
    path.write_bytes(old[: page * 4096] + random.Random(seed).randbytes(4096) + old[(page + 1) * 4096 :])
    with pytest.raises(V2GPKIError) as caught:
        read_everything(path)
    assert caught.value.code in {"store.damaged", "audit.broken"}


def test_an_empty_file(tmp_path: Path) -> None:
    """Creation never leaves one, so it is a lost database and must not be made anew in silence."""
    path = tmp_path / "store.db"
    path.touch()
    for create in (False, True):
        assert "empty" in refused(path, "store.damaged", create=create).message
    assert path.read_bytes() == b""


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE moz_places (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    for create in (False, True):
        assert "not one of v2gpki" in refused(path, "store.damaged", create=create).message
    assert path.read_bytes() == before


def test_a_missing_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE crls")
    connection.close()
    assert "crls" in refused(path, "store.damaged").message


def test_a_missing_column(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE intents RENAME COLUMN tbs_digest TO something")
    connection.close()
    store = SqliteStore(path)
    with pytest.raises(V2GPKIError, match=r"store\.damaged"):
        store.record_intents([intent(900)])
    store.close()


def test_a_newer_home(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={LAYOUT + 1}")
    connection.close()
    before = path.read_bytes()
    error = refused(path, "store.newer_home")
    assert error.facts["found"] == LAYOUT + 1
    refused(path, "store.newer_home", create=True)
    assert path.read_bytes() == before


def test_locked_by_another_process(path: Path) -> None:
    program = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "connection.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    store = SqliteStore(path, busy_seconds=0.1)
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for write in (
            lambda: store.record_intents([intent(900)]),
            lambda: store.revoke(ISSUER, serial_of(1), NOW, "superseded", "me"),
            lambda: store.put_setting("a", "b"),
        ):
            with pytest.raises(V2GPKIError) as caught:
                write()
            assert caught.value.code == "store.locked"
            assert CODES["store.locked"].http == 503
        assert store.count_certificates() == 201
        assert other.stdin is not None
        other.stdin.close()
    store.record_intents([intent(900)])
    store.close()


# -- disk full -----------------------------------------------------------------------------------
def test_the_database_may_not_grow(path: Path) -> None:
    """SQLITE_FULL, as on a full disk, from the page limit of the connection."""
    store = SqliteStore(path)
    with store._reading() as connection:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite raises it to the present size
    before = (store.audit_tip(), store.count_certificates(), store.pending_intents())
    wanted = [intent(number) for number in range(1000, 1300)]
    with pytest.raises(V2GPKIError, match=r"store\.disk_full"):
        issue(store, range(1000, 1300))
    for reference in store.pending_intents():
        assert reference in wanted
    assert (store.audit_tip(), store.count_certificates()) == before[:2]
    store.close()
    again = SqliteStore(path)
    issue(again, range(1300, 1400))
    assert again.integrity() == []
    again.close()
    read_everything(path)


def test_a_file_size_limit(path: Path) -> None:
    """The write itself fails (EFBIG), in the middle of a commit; the same process goes on when there is room."""
    program = """
import resource, signal, sys
from pathlib import Path
from tests.store.samples import issue
from v2gpki.errors import V2GPKIError
from v2gpki.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
issue(store, range(1000, 1010))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in range(100_000, 1_500_000, 25_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        issue(store, range(limit, limit + 100))
    except V2GPKIError as error:
        print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
issue(store, range(9_000_000, 9_000_010))
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    ran = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True, cwd=ROOT
    )
    codes = ran.stdout.split()
    assert len(codes) > 3
    assert set(codes) == {"store.disk_full"}
    store = SqliteStore(path)
    # 100 each for the limits under which both transactions succeeded, beside the 201 + 10 + 10.
    assert (store.count_certificates() - 221) % 100 == 0
    assert store.certificate(ISSUER, serial_of(9_000_009)) is not None
    store.close()
    read_everything(path)


# -- read-only -----------------------------------------------------------------------------------
@pytest.fixture
def foreign_folder(filled: Path) -> Iterator[Path]:
    """A folder that an unprivileged user can reach but not write, even when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="v2gpki-read-only-"))
    shutil.copy(filled, folder / "store.db")
    (folder / "store.db").chmod(0o644)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["open", "create", "fill"])
def test_a_read_only_folder(foreign_folder: Path, how: str) -> None:
    before = {file.name: file.read_bytes() for file in foreign_folder.iterdir()}
    program = """
import os, sys
from pathlib import Path
from tests.store.samples import issue
from v2gpki.errors import V2GPKIError
from v2gpki.store.sqlite import SqliteStore
import v2gpki.store.migrations
os.chdir("/")
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
path, how = Path(sys.argv[1]), sys.argv[2]
try:
    store = SqliteStore(path / ("store.db" if how != "create" else "new.db"), create=how != "open")
    issue(store, [1])
except V2GPKIError as error:
    print(error.code)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, foreign_folder, how],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert ran.stdout == "store.read_only\n"
    assert {file.name: file.read_bytes() for file in foreign_folder.iterdir()} == before


def test_an_error_of_the_caller_stays_its_own(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(PermissionError), store.snapshot():
        raise PermissionError(13, "not the store's business")
    with pytest.raises(FileNotFoundError), store.lease("crl", "me", NOW, 60):
        raise FileNotFoundError(2, "not the store's business")
    issue(store, [900])
    store.close()
