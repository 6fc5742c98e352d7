"""The one place where SQLite's errors become refusals of ours, each with what to do.

What has no row here (a CHECK or NOT NULL violation, wrong SQL) is our own bug and passes unchanged.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from v2gpki.errors import V2GPKIError

_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
# A missing table or column is plain SQLITE_ERROR; undecodable text carries no code at all.
_FOREIGN_SHAPE = ("no such table", "no such column", "has no column", "malformed ", "Could not decode")
# A quota, a file size limit and a failing medium arrive as these, not as SQLITE_FULL.
_WRITE_FAILED = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


class Translation:
    """``with translation:`` turns an ``sqlite3.Error`` or ``OSError`` inside into a ``V2GPKIError``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OSError):
            translated = refusal(error, self.path)
            if translated is not None:
                raise translated from error


def refusal(error: sqlite3.Error | OSError, path: Path) -> V2GPKIError | None:
    """What to raise instead of ``error``, None when it is no business of the environment."""
    if isinstance(error, OSError):
        return _file_refusal(error, path)
    # Errors of the Python module itself carry no code.
    code = getattr(error, "sqlite_errorcode", 0)
    primary, text = code & 0xFF, str(error)
    found: V2GPKIError | None = None
    if primary in _LOCKED:
        found = locked(path)
    elif primary == sqlite3.SQLITE_FULL or code in _WRITE_FAILED:
        found = disk_full(path, text)
    elif primary in _READ_ONLY:
        found = read_only(path, text)
    elif primary in _DAMAGED or any(words in text for words in _FOREIGN_SHAPE):
        found = damaged(path, text)
    return found


def damaged(path: Path, what: str) -> V2GPKIError:
    """``store.damaged``: the file is there and is no sound database of ours."""
    return V2GPKIError(
        "store.damaged",
        f"the database {path} is damaged: {what}",
        hint="keep the file and restore the newest backup of the home; `v2gpki audit verify` judges that",
        facts={"path": str(path), "reason": what},
    )


def missing(path: Path) -> V2GPKIError:
    """``store.missing``: there is no database."""
    return V2GPKIError(
        "store.missing",
        f"there is no database at {path}",
        hint="make one with `v2gpki init` or `v2gpki init-root`, or name another home with --home",
        facts={"path": str(path)},
    )


def exchanged(path: Path) -> V2GPKIError:
    """``store.missing``: the database that was opened stands there no more, or another one does."""
    return V2GPKIError(
        "store.missing",
        f"the database {path} is gone or was exchanged while it was in use",
        hint="put it back, or end this process and start it again with the database that is there now",
        facts={"path": str(path)},
    )


def newer_home(path: Path, found: int, known: int) -> V2GPKIError:
    """``store.newer_home``: written by a later release."""
    return V2GPKIError(
        "store.newer_home",
        f"the database {path} has layout {found}; this release knows up to {known}",
        hint="use the release of v2gpki that wrote this home, or a later one; a home never goes back",
        facts={"path": str(path), "found": found, "known": known},
    )


def locked(path: Path) -> V2GPKIError:
    """``store.locked``: somebody held the write lock for longer than we wait."""
    return V2GPKIError(
        "store.locked",
        f"another process holds the database {path} and did not let go in time",
        hint="wait for the other v2gpki process, or end it, and try again; nothing was written",
        facts={"path": str(path)},
    )


def disk_full(path: Path, what: str) -> V2GPKIError:
    """``store.disk_full``: a write did not fit."""
    return V2GPKIError(
        "store.disk_full",
        f"the database {path} could not be written: {what}",
        hint="free space, or raise the quota or file size limit, and try again; nothing was written",
        facts={"path": str(path), "reason": what},
    )


def read_only(path: Path, what: str) -> V2GPKIError:
    """``store.read_only``: this user may not write the file or its folder."""
    return V2GPKIError(
        "store.read_only",
        f"the database {path} cannot be opened for writing: {what}",
        hint="the home and every file in it must be writable by the user who runs v2gpki",
        facts={"path": str(path), "reason": what},
    )


def _file_refusal(error: OSError, path: Path) -> V2GPKIError | None:
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full(path, what)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(path, what)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return missing(path)
    return None
