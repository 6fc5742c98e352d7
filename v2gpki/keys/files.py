"""Secret files of a folder: appear whole or not at all, readable by their owner alone, never overwritten.

A file is written under a temporary name in the same folder, flushed to the disk, and linked to its place; a link
never replaces. Several files share one flush of the folder. What fails leaves nothing behind; only a process
that is killed in between can leave a ``.name.random.tmp``. Refused: files and folders open to other users.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from v2gpki.errors import V2GPKIError

LARGEST = 65536


def place(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write new files (name -> content), mode 0600, durable on return: all of them, or none.

    Raises ``key.exists`` when a name is taken and ``file.unwritable`` when the folder or the disk refuses.
    """
    waiting: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        for name, content in files.items():
            beside = folder / f".{name}.{os.urandom(6).hex()}.tmp"
            waiting.append((beside, folder / name))
            _write_through(beside, content)
        for beside, target in waiting:
            _link(beside, target)
            placed.append(target)
        _remove(beside for beside, _ in waiting)
        flush(folder)
    except OSError as problem:
        _remove(placed)
        _remove(beside for beside, _ in waiting)
        if isinstance(problem, FileExistsError):
            raise _taken(folder, waiting[len(placed)][1]) from None
        raise unwritable(folder, problem) from problem


def remove(path: Path) -> None:
    """Delete a file, durable on return. Raises ``key.missing`` or ``file.unwritable``."""
    try:
        path.unlink()
        flush(path.parent)
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as problem:
        raise unwritable(path.parent, problem) from problem


def discard(folder: Path, name: str) -> None:
    """Delete a file and its temporary forms, if they are there; durable on return. Raises ``file.unwritable``."""
    try:
        for path in [folder / name, *folder.glob(f".{glob.escape(name)}.*.tmp")]:
            path.unlink(missing_ok=True)
        flush(folder)
    except OSError as problem:
        raise unwritable(folder, problem) from problem


def read(path: Path) -> bytes:
    """The content of a secret file.

    Raises ``key.missing``, ``key.exposed`` when others may open it, ``key.damaged`` when it is far too large for
    one of ours, ``file.unreadable``.
    """
    try:
        with path.open("rb") as stream:
            check_private(path, os.fstat(stream.fileno()).st_mode)
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as problem:
        raise V2GPKIError(
            "file.unreadable",
            f"{path} cannot be read: {problem.strerror}",
            hint="run as the user that owns the home",
            facts={"path": str(path)},
        ) from problem
    if len(content) > LARGEST:
        raise damaged(path, f"it is larger than {LARGEST} octets")
    return content


def check_private(path: Path, mode: int) -> None:
    """Raise ``key.exposed`` when the group or others may open the file or folder."""
    if mode & 0o077:
        right = "0700" if stat.S_ISDIR(mode) else "0600"
        raise V2GPKIError(
            "key.exposed",
            f"other users may open {path}: its mode is {stat.S_IMODE(mode):04o}",
            hint=f"chmod {right} {path}; if strangers use this machine, change the passphrase and replace the keys",
            facts={"path": str(path), "mode": f"{stat.S_IMODE(mode):04o}"},
        )


def flush(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(path: Path, why: str) -> V2GPKIError:
    """The refusal of a file that is not as we wrote it."""
    return V2GPKIError(
        "key.damaged",
        f"{path} is damaged: {why}",
        hint="restore it from a backup of the home's keys folder",
        facts={"path": str(path)},
    )


def missing(path: Path) -> V2GPKIError:
    """The refusal of a key whose file is gone."""
    return V2GPKIError(
        "key.missing",
        f"{path} is not there",
        hint="restore it from a backup of the home's keys folder",
        facts={"path": str(path)},
    )


def unwritable(folder: Path, problem: OSError) -> V2GPKIError:
    """The refusal of a folder or disk."""
    return V2GPKIError(
        "file.unwritable",
        f"{folder} cannot be written: {problem.strerror}",
        hint="check its permissions and the free space",
        facts={"path": str(folder)},
    )


def _write_through(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _link(beside: Path, target: Path) -> None:
    try:
        os.link(beside, target)
    except OSError as problem:
        if problem.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        # A file system without hard links: the look before the move is the best it offers.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        beside.replace(target)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # the first problem is the one to report
            path.unlink()


def _taken(folder: Path, target: Path) -> V2GPKIError:
    return V2GPKIError(
        "key.exists",
        f"there is already a {target.name} in {folder}, which is never overwritten",
        hint="a key generation is written once; choose another key id",
        facts={"path": str(target)},
    )
