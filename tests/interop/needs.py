"""The foreign programs that the tests of this folder need: probed, installed, or missed loudly.

A missing need fails the test, it never skips it; ``V2GPKI_TOLERATED_NEEDS`` (names, comma-separated)
may name needs whose absence a person accepts for one run. Packages of the system are installed only
by root; Python programs get an environment of their own under ``.interop/``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".interop"
TABLE = Path(__file__).with_name("needs.toml")
TOLERATED = "V2GPKI_TOLERATED_NEEDS"
_INSTALL_SECONDS = 600
_PROBE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Need:
    """One foreign program, as its table in ``needs.toml`` describes it."""

    name: str
    title: str
    probes: tuple[tuple[str, ...], ...]
    expect: str = ""
    requires: tuple[str, ...] = ()
    apt: str = ""
    pip: tuple[str, ...] = ()
    mend: str = ""


@dataclass(slots=True)
class Count:
    """How many tests named a need, and how many of them passed."""

    tests: int = 0
    passed: int = 0


class NeedMissingError(Exception):
    """A need is not there; the text names it and the one line that mends it."""


def load(path: Path = TABLE) -> dict[str, Need]:
    """The needs of a table; an unknown key is an error of the table's author."""
    table = tomllib.loads(path.read_text("utf-8"))
    needs = {}
    for name, row in table.items():
        values = dict(row)
        values["probes"] = tuple(tuple(probe) for probe in values["probes"])
        for key in ("requires", "pip"):
            values[key] = tuple(values.get(key, ()))
        needs[name] = Need(name=name, **values)
    return needs


def tolerated(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The needs whose absence is accepted for this run."""
    return frozenset(filter(None, (name.strip() for name in environment.get(TOLERATED, "").split(","))))


@dataclass(slots=True)
class Needs:
    """The needs of one run: each is probed and installed at most once."""

    table: Mapping[str, Need] = field(default_factory=load)
    folder: Path = FOLDER
    counts: dict[str, Count] = field(default_factory=dict)
    _verdicts: dict[str, str] = field(default_factory=dict)

    def ensure(self, name: str) -> None:
        """Return when the need is there; else try to install it, else raise ``NeedMissingError``."""
        if name not in self.table:
            raise NeedMissingError(f"{TABLE.name} has no need called {name!r}")
        if name not in self._verdicts:
            need = self.table[name]
            for other in need.requires:
                self.ensure(other)
            self._verdicts[name] = self._settle(need)
        if self._verdicts[name]:
            raise NeedMissingError(self._verdicts[name])

    def environment(self, name: str) -> Path:
        """The folder of a need's own virtual environment."""
        return self.folder / name

    def count(self, names: Iterable[str], *, passed: bool) -> None:
        """Count one test for the summary."""
        for name in names:
            row = self.counts.setdefault(name, Count())
            row.tests += 1
            row.passed += passed

    def summary(self) -> list[str]:
        """The table need x tests x passed; empty when no test named a need."""
        if not self.counts:
            return []
        rows = [("need", "tests", "passed")]
        rows += [(name, str(row.tests), str(row.passed)) for name, row in sorted(self.counts.items())]
        width = max(len(row[0]) for row in rows)
        return [f"{name:<{width}}  {tests:>5}  {passed:>6}" for name, tests, passed in rows]

    def _settle(self, need: Need) -> str:
        """Probe, install, probe again. Returns "" or why the need is missing."""
        if need.pip:
            return self._settle_environment(need)
        problem = self._probe(need)
        if problem and need.apt and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", need.apt]):
                _run(command, _INSTALL_SECONDS, {"DEBIAN_FRONTEND": "noninteractive"})
            problem = self._probe(need)
        return self._missing(need, problem) if problem else ""

    def _settle_environment(self, need: Need) -> str:
        folder = self.environment(need.name)
        stamp = folder / "complete"
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        wanted = hashlib.sha256("\n".join((python, *need.pip)).encode()).hexdigest()
        if not (stamp.is_file() and stamp.read_text("ascii") == wanted):
            try:
                shutil.rmtree(folder, ignore_errors=True)
                venv.create(folder, with_pip=False, symlinks=True)
            except OSError as refused:
                return self._missing(need, f"{folder} cannot be made: {refused.strerror}")
            pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
            status, output = _run([*pip, "install", "--quiet", *need.pip], _INSTALL_SECONDS)
            if status:
                return self._missing(need, _tail(output))
            if problem := self._probe(need):
                return self._missing(need, problem)
            stamp.write_text(wanted, "ascii")
            return ""
        problem = self._probe(need)
        return self._missing(need, problem) if problem else ""

    def _probe(self, need: Need) -> str:
        """Returns "" when one of the probes succeeds, else what the last one said."""
        problem = ""
        for probe in need.probes:
            status, output = _run([self._filled(part, need) for part in probe], _PROBE_SECONDS)
            if status == 0 and re.search(need.expect, output):
                return ""
            problem = _tail(output) or f"{probe[0]} ended with {status}"
        return problem

    def _filled(self, text: str, need: Need) -> str:
        text = text.replace("{python}", sys.executable).replace("{here}", str(TABLE.parent))
        return text.replace("{environment}", str(self.environment(need.name)))

    def _missing(self, need: Need, problem: str) -> str:
        mend = self._filled(need.mend, need) or (f"apt-get install {need.apt}" if need.apt else "")
        if need.pip:
            mend = f"rm -rf {self.environment(need.name)} and run again with a reachable package index"
        return f"{need.title} ({need.name}) is missing: {problem}\nmend it with: {mend}"


def _run(command: list[str], seconds: int, more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit status and everything said; a program that is not there counts as status 127."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            text=True,
            errors="replace",
            env={**os.environ, **(more or {})},
        )
    except FileNotFoundError:
        return 127, f"there is no program {command[0]}"
    except PermissionError:
        return 126, f"{command[0]} may not be run"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} did not end within {seconds} s"
    return done.returncode, done.stdout


def _tail(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-3:])
