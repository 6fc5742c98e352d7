"""Files that commands read and write: ``-`` is stdin or stdout, writing is atomic and never overwrites.

A file appears with its whole content or not at all: written beside its place, flushed to the disk,
then moved. Several files appear together or none of them. Secrets are 0600 from their first octet.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from v2gpki.errors import V2GPKIError

STANDARD = "-"
LARGEST_INPUT = 64 * 1024 * 1024


def read_input(path: Path | str, *, limit: int = LARGEST_INPUT) -> bytes:
    """The octets of a file, or of stdin for ``-``; raises ``file.unreadable``, also above ``limit`` octets."""
    try:
        if str(path) == STANDARD:
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(limit + 1)
    except OSError as problem:
        raise V2GPKIError(
            "file.unreadable",
            f"{path} cannot be read: {problem.strerror}",
            hint="check the path and that this user may read it",
            facts={"path": str(path)},
        ) from problem
    if len(data) > limit:
        raise V2GPKIError(
            "file.unreadable",
            f"{path} is larger than {limit} octets, the limit for this input",
            facts={"path": str(path), "limit": limit},
        )
    return data


def require_free(paths: Collection[Path | str], *, force: bool) -> None:
    """Refuse before any work is done when something is in the way (``file.exists``); ``force`` replaces files only."""
    for path in paths:
        if str(path) == STANDARD:
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            raise _is_folder(Path(path))
        if not force and os.path.lexists(path):
            raise _exists(Path(path))


def require_writable(path: Path | str, *, force: bool) -> None:
    """Refuse as ``write_output`` would, before any work is done: a file is made beside the place and removed again.

    A folder that is missing is made. Raises ``file.exists`` or ``file.unwritable``.
    """
    require_free([path], force=force)
    if str(path) == STANDARD:
        return
    target = Path(path)
    beside = target.parent / f".{target.name}.{secrets.token_hex(6)}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_through(beside, b"", 0o600)
        beside.unlink()
    except OSError as problem:
        raise _unwritable(target.parent, problem) from problem


def write_output(path: Path | str, data: bytes, *, force: bool = False, secret: bool = False) -> None:
    """Write a file atomically, or to stdout for ``-``.

    ``secret`` gives mode 0600; otherwise the umask decides. Raises ``file.exists`` or ``file.unwritable``.
    """
    if str(path) == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    write_folder(target.parent, {target.name: data}, secret={target.name} if secret else (), force=force)


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, secret: Collection[str] = (), force: bool = False
) -> list[Path]:
    """Write several files into a folder, made when missing: all of them, or none.

    ``files`` maps names to content, ``secret`` names those that get mode 0600. Returns the paths.
    Raises ``file.exists`` or ``file.unwritable``; then nothing of it is left behind.
    """
    targets = [folder / name for name in files]
    require_free(targets, force=force)
    waiting: list[tuple[Path, Path]] = []
    placed: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, (name, data) in zip(targets, files.items(), strict=True):
            beside = folder / f".{name}.{secrets.token_hex(6)}"
            waiting.append((beside, target))
            _write_through(beside, data, 0o600 if name in secret else 0o666)
        for beside, target in waiting:
            _place(beside, target, force=force)
            if not force:
                placed.append(target)
        _flush_folder(folder)
    except OSError as problem:
        _undo([beside for beside, _ in waiting] + placed)
        raise _unwritable(folder, problem) from problem
    except V2GPKIError:
        _undo([beside for beside, _ in waiting] + placed)
        raise
    return targets


@contextmanager
def made_for(folder: Path) -> Iterator[None]:
    """What is done inside may make ``folder``; if it fails, the folders that were missing before go again."""
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        yield
    except BaseException:
        for place in missing:
            try:
                place.rmdir()
            except OSError:  # not made, or somebody else's files are in it by now
                break
        raise


def _write_through(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _place(beside: Path, target: Path, *, force: bool) -> None:
    """Move a finished file to its place; without ``force`` a hard link, which never overwrites."""
    if force:
        beside.replace(target)
        return
    try:
        os.link(beside, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        if os.path.lexists(target):  # a file system without hard links
            raise _exists(target) from None
        beside.replace(target)
        return
    beside.unlink()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _undo(paths: Collection[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:  # the first problem is the one to report
            continue


def _exists(path: Path) -> V2GPKIError:
    return V2GPKIError(
        "file.exists",
        f"{path} exists and is not overwritten",
        hint="choose another place, or give --force",
        facts={"path": str(path)},
    )


def _is_folder(path: Path) -> V2GPKIError:
    return V2GPKIError(
        "file.exists",
        f"{path} is a folder, and a file is to be written there",
        hint="choose another place; a folder is not replaced even with --force",
        facts={"path": str(path)},
    )


def _unwritable(folder: Path, problem: OSError) -> V2GPKIError:
    place = problem.filename if isinstance(problem.filename, str) else str(folder)
    return V2GPKIError(
        "file.unwritable",
        f"{place} cannot be written: {problem.strerror}",
        hint="check the path, its permissions and the free space",
        facts={"path": place},
    )
