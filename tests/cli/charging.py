"""Stations, vehicles and probes as programs: started, waited for, read as NDJSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import PASSPHRASE

#: Longer than any of these takes on a busy machine.
PATIENCE = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "v2gpki", *arguments]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI_")}
    return {**kept, "V2GPKI_PASSPHRASE": PASSPHRASE}


@dataclass
class Program:
    """A program that has ended: its exit code, its objects on stdout, its text on stderr."""

    status: int
    said: list[dict[str, Any]]
    complained: str

    def of(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [one for one in self.said if one.get("event") == event]

    @property
    def summary(self) -> dict[str, Any]:
        (found,) = [one for one in self.said if one["schema"] == "v2gpki/session/1"]
        return found

    @property
    def error(self) -> dict[str, Any]:
        value = json.loads(self.complained)
        assert isinstance(value, dict)
        return value


def run(*arguments: str) -> Program:
    """One program to its end, with ``--json``."""
    done = subprocess.run(
        command(*arguments, "--json"), capture_output=True, text=True, timeout=PATIENCE, env=environment(), check=False
    )
    return Program(done.returncode, objects(done.stdout), done.stderr)


def objects(text: str) -> list[dict[str, Any]]:
    """NDJSON, or one object on several lines."""
    try:
        return [json.loads(line) for line in text.splitlines()]
    except json.JSONDecodeError:
        return [json.loads(text)]


class Running:
    """A program that listens; ``address`` is where."""

    def __init__(self, process: subprocess.Popen[str], ready: Path, out: Path) -> None:
        self._process = process
        self._ready = ready
        self._out = out
        self.ended: Program | None = None

    @property
    def address(self) -> str:
        text = self._ready.read_text(encoding="utf-8")
        return str(json.loads(text)["address"]) if text.startswith("{") else text.strip()

    def end(self, number: int | None = signal.SIGTERM) -> Program:
        """Stop it, or with None wait until it ends by itself."""
        if self.ended is None:
            if number is not None:
                self._process.send_signal(number)
            _, complained = self._process.communicate(timeout=PATIENCE)
            self.ended = Program(self._process.returncode, objects(self._out.read_text("utf-8")), complained)
        return self.ended


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Running]:
    """A program from its ready-file to its end."""
    name = time.monotonic_ns()
    ready, out = folder / f"ready-{name}", folder / f"said-{name}"
    # A file takes what it says at once; a pipe that nobody reads would stop its sessions.
    with out.open("w") as stream:
        process = subprocess.Popen(
            command(*arguments, "--json", "--ready-file", str(ready)),
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
    program = Running(process, ready, out)
    try:
        until = time.monotonic() + PATIENCE
        while not ready.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "it does not get ready"
            time.sleep(0.02)  # the ready-file is polled, nothing is guessed
        yield program
    finally:
        if process.poll() is None:
            process.kill()
        if program.ended is None:
            process.communicate()
