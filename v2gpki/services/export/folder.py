"""A folder that is built aside and then takes its place in one rename.

It is 0700, its secrets 0600. An existing folder is refused; with ``force`` it is replaced, but only when an
export wrote it (its manifest says so): nobody's home folder is ever deleted by a wrong path.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from v2gpki.errors import V2GPKIError

MANIFEST = "manifest.json"
_SCHEMA_FAMILY = "v2gpki/export/"


class Staging:
    """The folder while it is being built."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def inside(self, name: str) -> Staging:
        """A folder in it, 0700."""
        (self.root / name).mkdir(mode=0o700)
        return Staging(self.root / name)

    def write(self, path: str, data: bytes, *, secret: bool) -> None:
        """Write one file, flushed to the disk; folders on the way are 0700."""
        target = self.root / path
        for parent in reversed(target.relative_to(self.root).parents[:-1]):
            (self.root / parent).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def write_manifest(self, value: Mapping[str, object]) -> None:
        """Write ``manifest.json``."""
        self.write(MANIFEST, json.dumps(value, indent=2).encode("ascii") + b"\n", secret=False)


@contextmanager
def aside(folder: Path, *, force: bool) -> Iterator[Staging]:
    """Build a folder beside its place; it takes the place when the block ends, and vanishes when the block fails.

    Raises ``file.exists`` at once, or ``file.unwritable``.
    """
    folder = folder.absolute()
    existing = os.path.lexists(folder)
    if existing:
        _require_replaceable(folder, force=force)
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(mode=0o700)
        yield Staging(staging)
        _take_place(staging, folder)
    except OSError as problem:
        raise V2GPKIError(
            "file.unwritable",
            f"the export cannot be written to {folder}: {problem.strerror}",
            hint="check the path, its permissions and the free space",
            facts={"path": str(folder)},
        ) from problem
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _take_place(staging: Path, folder: Path) -> None:
    """Rename into place; an earlier export steps aside first, comes back on failure, and is deleted last."""
    if not os.path.lexists(folder):
        staging.rename(folder)
        return
    earlier = staging.with_name(f"{staging.name}.earlier")
    folder.rename(earlier)
    try:
        staging.rename(folder)
    except OSError:
        earlier.rename(folder)
        raise
    shutil.rmtree(earlier)


def _require_replaceable(folder: Path, *, force: bool) -> None:
    if not force:
        raise V2GPKIError(
            "file.exists",
            f"{folder} exists and is not overwritten",
            hint="choose another place; --force replaces a folder that an export wrote",
            facts={"path": str(folder)},
        )
    try:
        schema = json.loads((folder / MANIFEST).read_bytes())["schema"]
    except (OSError, ValueError, KeyError, TypeError):
        schema = ""
    if folder.is_symlink() or not str(schema).startswith(_SCHEMA_FAMILY):
        raise V2GPKIError(
            "file.exists",
            f"{folder} was not written by v2gpki export, and is not replaced even with --force",
            hint="choose another place, or remove it yourself",
            facts={"path": str(folder)},
        )
