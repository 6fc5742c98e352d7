"""A home on disk: where it is, its folder, and which processes are alive in it.

A home is one folder (0700) that holds ``store.db``, ``keys/`` and, if wanted, ``v2gpki.toml``. Every
process that may write takes a session: a file under ``sessions/`` that it keeps locked while it lives.
The lock goes with the process however it ends, so another process can tell an intent that is being
worked on from one that was left behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from v2gpki.errors import V2GPKIError

STORE_FILE = "store.db"
KEYS_FOLDER = "keys"
SETTINGS_FILE = "v2gpki.toml"
SESSIONS_FOLDER = "sessions"
_RECOVERY_LOCK = "recovery.lock"


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """The current moment in UTC."""
        return datetime.now(UTC)


def home_folder(option: str | Path | None = None) -> Path:
    """The home: the given option, else ``V2GPKI_HOME``, else ``$XDG_DATA_HOME/v2gpki`` (``~/.local/share/v2gpki``).

    Raises ``home.missing`` when a ``~`` stands for nothing.
    """
    chosen = option or os.environ.get("V2GPKI_HOME")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError as problem:  # no such user, or one without a home directory
        raise V2GPKIError(
            "home.missing",
            f"{chosen or 'the default home'} names a user's home directory that is not known",
            hint="--home or V2GPKI_HOME names a folder without ~",
            facts={"home": str(chosen or "")},
        ) from problem
    return Path(data).absolute() / "v2gpki"


def make_folder(folder: Path) -> None:
    """Create the home folder with mode 0700, or check that it may be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.iterdir()) and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)
    except OSError as problem:
        raise V2GPKIError(
            "home.unwritable",
            f"the home {folder} cannot be created: {problem.strerror}",
            hint="choose another folder with --home or V2GPKI_HOME",
            facts={"home": str(folder)},
        ) from problem
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raise ``home.unwritable`` unless this process may write into the home."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise V2GPKIError(
            "home.unwritable",
            f"the home {folder} is read-only for this user",
            hint="change its permissions, or choose another home with --home",
            facts={"home": str(folder)},
        )


class Session:
    """This process's presence in a home: a locked file named by 16 random hex digits."""

    def __init__(self, home: Path) -> None:
        """Take a session. Raises ``home.unwritable``."""
        self._folder = home / SESSIONS_FOLDER
        self.name = os.urandom(8).hex()
        self._file = -1
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._file = os.open(self._folder / self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            raise V2GPKIError(
                "home.unwritable",
                f"the home {home} cannot be written: {problem.strerror}",
                hint="free some space or change the permissions, then try again",
                facts={"home": str(home)},
            ) from problem

    def is_alive(self, name: str) -> bool:
        """Whether the process behind a session's name still lives; the files of dead ones are removed."""
        if name == self.name:
            return True
        path = self._folder / name
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(file)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only process of the home in this block; others wait. The lock goes with the process."""
        file = os.open(self._folder / _RECOVERY_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def close(self) -> None:
        """End the session: remove its file, then let go of the lock."""
        if self._file >= 0:
            (self._folder / self.name).unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1
