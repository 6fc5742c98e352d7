"""A foreign program as a child: its own process group, its log in a file, reaped by id with all children."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_POLL = 0.02
_GRACE = 2.0
_PR_SET_CHILD_SUBREAPER = 36


class ForeignProcess:
    """Runs from ``with`` to its end; afterwards no member of its process group is alive."""

    def __init__(
        self, command: Sequence[str], *, log: Path, cwd: Path, env: Mapping[str, str], stdin: int = subprocess.DEVNULL
    ) -> None:
        self.log = log
        self._command = list(command)
        self._cwd = cwd
        self._env = dict(env)
        self._stdin = stdin
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # an orphan (EcoG's Java machine) becomes our child, so that it can be waited for, whatever init does
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with self.log.open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._env,
                stdin=self._stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running
        if process.stdin is not None:
            process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._gone():
                break
            os.killpg(process.pid, number)
            _until(self._gone, _GRACE)
        process.wait(_GRACE)

    @property
    def pid(self) -> int:
        """The id of the program and of its group."""
        return self._running.pid

    def text(self) -> str:
        """What the program has said so far."""
        return self.log.read_text("utf-8", errors="replace")

    def await_line(self, pattern: str, seconds: float) -> None:
        """Return once the log matches; fail when the program ends or the time is over before that."""
        found = re.compile(pattern)
        ended = False

        def settled() -> bool:
            nonlocal ended
            ended = not self._leader_alive()
            return bool(found.search(self.text())) or ended

        _until(settled, seconds)
        if not found.search(self.text()):
            why = f"ended with {self._running.returncode}" if ended else f"said nothing of the kind within {seconds} s"
            tail = "\n".join(self.text().splitlines()[-15:])
            raise AssertionError(f"{self.log.name}: awaited {pattern!r}, but the program {why}:\n{tail}")

    def await_end(self, seconds: float) -> int | None:
        """The exit code, None if the program still runs after that time."""
        _until(lambda: not self._leader_alive(), seconds)
        return self._running.returncode

    def await_file(self, path: Path, seconds: float) -> None:
        """Return once the file is there; fail when the program ends or the time is over before that."""
        _until(lambda: path.exists() or not self._leader_alive(), seconds)
        if not path.exists():
            tail = "\n".join(self.text().splitlines()[-15:])
            raise AssertionError(f"{self.log.name}: there is no {path.name} after {seconds} s:\n{tail}")

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the process was not started"
        return self._process

    def _leader_alive(self) -> bool:
        return self._running.poll() is None

    def _gone(self) -> bool:
        """Whether nothing of the group is left; collects what ended and is our child by now."""
        if self._leader_alive():
            return False
        try:
            while os.waitpid(-self.pid, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return not group_members(self.pid)
        return False


def group_members(group: int) -> list[int]:
    """Ids of the processes of a group, zombies included."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("ascii", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            members.append(int(stat.parent.name))
    return members


def _until(condition: object, seconds: float) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(_POLL)
