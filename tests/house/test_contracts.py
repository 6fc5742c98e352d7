"""The import contracts are kept, name every room, and break when somebody imports upward.

What import-linter cannot see is read from the syntax here: below wiring nobody asks the machine for the time.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT, sources

#: Rooms that may know no socket, clock or database, as soon as they exist.
PURE = {"certs", "energy", "exi", "identifiers", "messages", "ocpp", "pnc", "profile", "sdp", "session", "v2gtp"}
#: Where the system clock may be read.
CLOCK_READERS = {"cli", "servers", "wiring"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copytree(PACKAGE, folder / "v2gpki", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("contract", "room", "line"),
    [
        ("layers", "keys/suites.py", "import v2gpki.store.protocol"),
        ("layers", "identifiers/model.py", "from v2gpki.certs import der"),
        ("inside services", "services/revocation.py", "from v2gpki.services import provisioning"),
        ("no input, output or clock in the pure rooms", "certs/der.py", "import time"),
        ("no input, output or clock in the pure rooms", "profile/load.py", "def late() -> None:\n    import socket"),
        ("click and rich only in cli", "services/issuance.py", "import click"),
        ("click and rich only in cli", "render/text.py", "from rich.console import Console"),
        ("only wiring names a backend", "services/issuance.py", "from v2gpki.store.sqlite import SqliteStore"),
        ("only wiring names a backend", "cli/frame.py", "import v2gpki.keys.vault"),
        (
            "an envelope is opened behind a verified signature",
            "wiring/authority.py",
            "from v2gpki.pnc.envelope.opening import unseal",
        ),
    ],
)
def test_a_forbidden_import_breaks_its_contract(copy: Path, contract: str, room: str, line: str) -> None:
    later = copy / "v2gpki" / "services" / "provisioning.py"
    path = copy / "v2gpki" / room
    original = path.read_text(encoding="utf-8")
    if "provisioning" in line:
        later.touch()
    try:
        path.write_text(f"{original}\n{line}\n", encoding="utf-8")
        result = lint_imports(copy)
    finally:
        path.write_text(original, encoding="utf-8")
        later.unlink(missing_ok=True)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract} BROKEN" in result.stdout


def rooms() -> set[str]:
    """The direct parts of the package, but for those that hold no code of a layer."""
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    return parts - {"__init__", "__main__", "__pycache__", "_profiles", "version"}


def test_every_room_is_named_where_it_belongs() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}
    pure = contracts["no input, output or clock in the pure rooms"]["source_modules"]
    without_click = contracts["click and rich only in cli"]["source_modules"]
    assert {name.removeprefix("v2gpki.") for name in pure} == PURE & rooms()
    assert {name.removeprefix("v2gpki.") for name in without_click} == rooms() - {"cli"}


@pytest.mark.parametrize("room", ["exi", "session"])
def test_a_later_room_brings_its_own_contract(room: str) -> None:
    """exi has one importer, messages; session imports messages, v2gtp, identifiers, errors, clock and no other room."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = {
        module
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["name"] not in ("no input, output or clock in the pure rooms", "click and rich only in cli")
        for module in [*contract.get("source_modules", ()), *contract.get("protected_modules", ())]
    }
    assert room not in rooms() or f"v2gpki.{room}" in named


def clock_readings(path: Path) -> list[int]:
    """The lines that ask for the time of day."""
    names = {"now", "utcnow", "today", "time", "time_ns"}
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date", "time"}
    ]


def test_only_wiring_and_above_read_the_system_clock(tmp_path: Path) -> None:
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sources()
        if path.relative_to(PACKAGE).parts[0] not in CLOCK_READERS
        for line in clock_readings(path)
    }
    assert found == set()
    sample = tmp_path / "sample.py"
    sample.write_text("a = datetime.now(UTC)\nb = clock.now()\nc = time.time()\n")
    assert clock_readings(sample) == [1, 3]
