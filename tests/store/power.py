"""A disk that forgets: what is left of a store when the power goes, as far as SQLite's file says what it waited for.

A commit at synchronous=FULL returns when the whole WAL is on the disk, one at NORMAL when it is written; of what was
written since the last wait any part may be lost. ``Watched`` notes both for each commit, ``cuts`` makes of it the WALs
that may be found afterwards.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

FULL = 2
#: Octets of the WAL's header, and of a frame: its header and a page.
HEADER, FRAME = 32, 24 + 4096


class Commit(NamedTuple):
    """A commit: whether it waited for the disk, how long the WAL was then, what was written."""

    awaited: bool
    size: int
    written: tuple[str, ...]


COMMITS: list[Commit] = []


class Watched(sqlite3.Connection):
    """Notes every commit of a process that uses it."""

    _written: tuple[str, ...] = ()

    # sqlite3 types parameters as a private protocol; whatever comes is handed through.
    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        cursor = super().execute(sql, parameters)
        if sql.startswith("BEGIN"):
            self._written = ()
        elif sql == "COMMIT":
            awaited = super().execute("PRAGMA synchronous").fetchone()[0] == FULL
            database = super().execute("PRAGMA database_list").fetchone()[2]
            COMMITS.append(Commit(awaited, Path(f"{database}-wal").stat().st_size, self._written))
        else:
            self._note(sql)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Any]) -> sqlite3.Cursor:
        rows = list(parameters)
        if rows:
            self._note(sql)
        return super().executemany(sql, rows)

    def _note(self, sql: str) -> None:
        words = sql.split()
        if words[0] in ("INSERT", "UPDATE", "DELETE"):
            self._written = (*self._written, words[1] if words[0] == "UPDATE" else words[2])


def cut(path: Path, target: Path, wal: bytes) -> Path:
    """The database as it is found with this WAL."""
    shutil.copy(path, target)
    target.with_name(target.name + "-wal").write_bytes(wal)
    target.with_name(target.name + "-shm").unlink(missing_ok=True)
    return target


def cuts(wal: bytes, commits: list[Commit]) -> Iterator[tuple[bytes, int]]:
    """Every WAL that may be found after the commits, frame by frame, also torn and with a gap; and how many of the
    commits must be in it."""
    safe = 0
    for number, commit in enumerate(commits, 1):
        if commit.awaited:
            safe = number
    begin = commits[safe - 1].size if safe else 0
    yield wal[:begin], safe
    for end in range(begin + FRAME, len(wal) + 1, FRAME):
        yield wal[: end - FRAME // 2], safe
        yield wal[:end], safe
    if len(wal) - begin >= 2 * FRAME:
        yield wal[:begin] + bytes(FRAME) + wal[begin + FRAME :], safe
