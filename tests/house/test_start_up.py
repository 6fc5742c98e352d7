"""``--version``, ``--help`` and shell completion load nothing heavy; nor does importing the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "OpenSSL",
    "asn1crypto",
    "asyncio",
    "cryptography",
    "pyhanko_certvalidator",
    "rich",
    "sqlite3",
    "sqlite_utils",
    "ssl",
    "tomllib",
}

PROBE = """
import json, sys
sys.argv[1:] = {arguments!r}
try:
    from v2gpki.cli import main
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(program: str, **more: str) -> tuple[str, set[str]]:
    """What a fresh interpreter prints, and the top-level modules that it has then loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("V2GPKI_", "COMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment | more
    )
    return done.stdout, {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


LIGHT = [["--version"], ["--help"], ["id", "--help"], ["completion", "bash"]]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_a_command_that_needs_nothing_loads_nothing(arguments: list[str]) -> None:
    printed, modules = loaded(PROBE.format(arguments=arguments))
    assert printed
    assert modules & HEAVY == set()


def test_completion_loads_nothing() -> None:
    printed, modules = loaded(
        PROBE.format(arguments=[]), _V2GPKI_COMPLETE="bash_complete", COMP_WORDS="v2gpki init-", COMP_CWORD="1"
    )
    assert "init-root" in printed
    assert modules & HEAVY == set()


def test_importing_the_package_loads_nothing() -> None:
    _, modules = loaded("import v2gpki, json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)")
    assert modules & (HEAVY | {"click"}) == set()


def test_the_probe_would_see_a_heavy_module() -> None:
    _, modules = loaded("import cryptography.x509, json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)")
    assert modules & HEAVY == {"cryptography"}
