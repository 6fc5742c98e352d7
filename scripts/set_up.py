"""Makes the development environment ``.venv``, so that a kill at any moment leaves nothing half-made in use.

An environment is built where it will stay, ``.venvs/<key>`` (its scripts carry their own path, so it cannot be
moved afterwards), stamped when complete, and only then does the link ``.venv`` turn to it, in one rename. The key
is a digest of pyproject.toml, constraints.txt, the Python version and the place of the checkout: a change of any
builds anew. A folder without stamp is a torso and is removed. One set-up works at a time: it holds a file lock
that its children inherit, so an orphaned pip of a killed set-up still keeps the next one waiting.

Ways, in order: ``python3 -m venv``; ``venv --without-pip`` filled by the interpreter's own pip (a Debian without
python3-venv); uv; virtualenv. Refuses with exit code 3 and the one line that mends it when none works.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

EXIT_ENVIRONMENT = 3
EXIT_INTERRUPTED = 130

#: Raised by one when this file builds differently, so that environments of the old way are not taken for new ones.
_LAYOUT = "1"
_STAMP = "complete"
#: Settings of the caller that would send packages elsewhere than into the environment.
_DIVERTING = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONHOME", "PYTHONPATH")


class SetUpError(Exception):
    """Set-up cannot go on; ``hint`` is the line that mends it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Environment:
    """The environments of one checkout, seen from one interpreter."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self.python = python
        self.link = root / ".venv"
        self.shelf = root / ".venvs"
        self.key = _key(root)
        self.folder = self.shelf / self.key[:16]
        self._lock_descriptor = -1
        self._last_words: list[str] = []

    def ready(self) -> bool:
        """Whether ``.venv`` is the complete environment of exactly these files and this Python."""
        return (
            self._stamped(self.folder)
            and self.link.is_symlink()
            and self.link.resolve() == self.folder.resolve()
            and os.access(self.link / "bin" / "python", os.X_OK)
        )

    def make(self) -> None:
        """Build, stamp and turn the link; raises SetUpError. Does nothing if another process was faster."""
        self.shelf.mkdir(exist_ok=True)
        with self._alone():
            if self.ready():
                return
            previous = self.link.resolve() if self.link.is_symlink() else None
            if not (self._stamped(self.folder) and os.access(self.folder / "bin" / "python", os.X_OK)):
                self._sweep(keep={previous} if previous != self.folder.resolve() else set())
                self._build()
            self._turn_link()
            self._sweep(keep={self.folder.resolve(), previous})

    def _build(self) -> None:
        started = time.monotonic()
        print(f"v2gpki set-up: making .venv with Python {platform.python_version()} ({self.python})", flush=True)
        install = self._empty_environment()
        constraints = ("-c", str(self.root / "constraints.txt"))
        for packages in (self._build_requirements(), ["--no-build-isolation", "-e", f"{self.root}[dev]"]):
            if packages and self._run([*install, *constraints, *packages]) != 0:
                raise SetUpError(
                    "installing the packages failed; the lines above say why",
                    "check the network and the settings of pip (python3 -m pip config list), then run it again",
                )
        os.sync()  # the packages must be on the disk before the stamp that vouches for them
        stamp = self.folder / _STAMP
        with stamp.open("w", encoding="ascii") as stream:
            stream.write(self.key)
            stream.flush()
            os.fsync(stream.fileno())
        print(f"v2gpki set-up: done in {time.monotonic() - started:.0f} s", flush=True)

    def _build_requirements(self) -> list[str]:
        """What the build backend needs; installed first, so that pip builds with pinned versions, not the newest."""
        project = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))
        requires: list[str] = project["build-system"]["requires"]
        if any(requirement.startswith("hatchling") for requirement in requires):
            return [*requires, "editables"]  # hatchling asks for it only when it builds an editable wheel
        return requires

    def _empty_environment(self) -> list[str]:
        """Make an empty environment in the folder; returns the command that installs into it."""
        folder, inside = str(self.folder), str(self.folder / "bin" / "python")
        quiet = ["install", "-q", "--disable-pip-version-check"]
        inner_pip = [inside, "-m", "pip"]
        if self._makes([self.python, "-m", "venv", folder]) and self._works([*inner_pip, "--version"]):
            return [*inner_pip, *quiet]
        outer_pip = [self.python, "-m", "pip", "--python", inside]
        if self._makes([self.python, "-m", "venv", "--without-pip", folder]) and self._works([*outer_pip, "list"]):
            print("v2gpki set-up: this Python cannot put pip into an environment; filling it from outside", flush=True)
            return [*outer_pip, *quiet]
        uv = shutil.which("uv")
        if uv and self._makes([uv, "venv", "--python", self.python, folder]):
            return [uv, "pip", "install", "-q", "--python", inside]
        virtualenv = shutil.which("virtualenv")
        if virtualenv and self._makes([virtualenv, "-p", self.python, folder]):
            return [*inner_pip, *quiet]
        shutil.rmtree(self.folder, ignore_errors=True)
        sys.stderr.write("".join(f"  {line}\n" for line in self._last_words))
        raise SetUpError(f"{self.python} can neither make an environment nor fill one", _mend(self.python))

    def _makes(self, command: Sequence[str]) -> bool:
        """Try one way of making the folder, on clean ground: a failed way leaves a broken folder behind."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return self._works(command)

    def _works(self, command: Sequence[str]) -> bool:
        """Run a step that may fail, silently; what it said last is kept for the final error."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
            done = self._run(command, words) == 0
            words.seek(0)
            if not done:
                self._last_words += [f"{' '.join(command)}:", *words.read().splitlines()[-4:]]
        return done

    def _run(self, command: Sequence[str], output: IO[str] | None = None) -> int:
        environment = {name: value for name, value in os.environ.items() if name not in _DIVERTING}
        try:
            return subprocess.run(
                command,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(self._lock_descriptor,),
            ).returncode
        except OSError as error:
            print(error, file=output or sys.stderr)
            return 127

    def _stamped(self, folder: Path) -> bool:
        try:
            return (folder / _STAMP).read_text(encoding="ascii") == self.key
        except OSError:
            return False

    def _turn_link(self) -> None:
        if self.link.exists() and not self.link.is_symlink():
            aside = self.root / f".venv.{time.time_ns()}"
            self.link.rename(aside)
            print(f"v2gpki set-up: there was a .venv of other making; it is now {aside.name}, remove it if unused")
        fresh = self.root / ".venv.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.folder.relative_to(self.root), target_is_directory=True)
        fresh.replace(self.link)

    def _sweep(self, keep: set[Path | None]) -> None:
        """Remove torsos and what nobody uses; the environment before this one stays for those that still run in it."""
        for folder in self.shelf.iterdir():
            if folder.is_dir() and folder.resolve() not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._lock_descriptor = os.open(self.shelf / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("v2gpki set-up: another set-up is at work here; waiting for it", flush=True)
                fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(self._lock_descriptor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environment if it is not there; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make .venv, or find it made.")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the new environment")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    environment = Environment(options.root.resolve(), options.python)
    try:
        if not environment.ready():
            environment.make()
    except SetUpError as error:
        print(f"v2gpki set-up: {error}\nhint: {error.hint}", file=sys.stderr)
        return EXIT_ENVIRONMENT
    except OSError as error:
        print(f"v2gpki set-up: {error}\nhint: the checkout must be writable, with 400 MB free", file=sys.stderr)
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        print("v2gpki set-up: interrupted; the next run begins anew", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _key(root: Path) -> str:
    digest = hashlib.sha256()
    parts = [_LAYOUT, platform.python_implementation(), platform.python_version(), platform.machine(), str(root)]
    parts += [(root / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _mend(python: str) -> str:
    if Path("/etc/debian_version").exists():
        return "sudo apt-get install python3-venv"
    return f"{python} -m ensurepip --user, or install uv"


if __name__ == "__main__":
    sys.exit(main())
