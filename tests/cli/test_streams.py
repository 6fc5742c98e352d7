"""Closed, full and narrow standard streams: a clear exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE


def shell(command: str, home: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``v2gpki`` + ``command``, which may redirect, by the shell."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI")}
    environment |= {"V2GPKI_HOME": str(home), "V2GPKI_PASSPHRASE": PASSPHRASE} | variables
    line = f'"{sys.executable}" -m v2gpki {command}'
    return subprocess.run(["sh", "-c", line], capture_output=True, env=environment, timeout=60, check=False)


@pytest.mark.parametrize("command", ["--version", "ca list", "ca list --json", "tree", "ca cert iso2-v2g-root"])
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
def test_a_result_that_nobody_can_get_is_a_failure(home_iso2: Path, command: str, stdout: str) -> None:
    done = shell(f"{command} {stdout}", home_iso2)
    assert done.returncode == 3
    assert b"environment.failed" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("command", "status"),
    [("verify - --anchor /dev/null <&-", 1), ("id check emaid - <&-", 0), ("nonsense 2>&-", 2), ("ca list 2>&-", 0)],
)
def test_closed_stdin_and_stderr(home_iso2: Path, command: str, status: int) -> None:
    done = shell(command, home_iso2)
    assert done.returncode == status
    assert b"internal" not in done.stderr + done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_a_terminal_that_lacks_a_character_shows_it_escaped(tmp_path: Path, encoding: str) -> None:
    created = "init-root --edition iso15118-2 --name 'Acme \u4f8b'"
    made = shell(created, tmp_path / "home", PYTHONIOENCODING=encoding)
    assert made.returncode == 0, made.stderr
    listed = shell("ca list", tmp_path / "home", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0
    assert b"Acme \\u4f8b" in listed.stdout


def test_octets_that_are_no_text_are_refused_in_a_name(tmp_path: Path) -> None:
    done = shell("init-root --edition iso15118-2 --name \"$(printf '\\377')\"", tmp_path / "home")
    assert done.returncode == 1
    assert b"code: name.bad_character" in done.stderr


def test_an_unknown_users_home_directory_is_named(tmp_path: Path) -> None:
    done = shell("--home '~nobody-of-this-name/x' ca list", tmp_path)
    assert done.returncode == 3
    assert b"~nobody-of-this-name" in done.stderr


@pytest.mark.parametrize("option", ["--after", "--limit"])
def test_row_numbers_have_an_end(home_iso2: Path, option: str) -> None:
    assert shell(f"audit show {option} 99999999999999999999", home_iso2).returncode == 2


def test_warnings_show_nothing_that_a_terminal_obeys(home_iso2: Path, tmp_path: Path) -> None:
    # Nobody is there of that name, so the command fails after its warning; the warning is what counts.
    secret = tmp_path / "\u202eder"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o644)
    done = shell(f"--passphrase-file '{secret}' crl issue nobody --out x", home_iso2, V2GPKI_PASSPHRASE="")
    assert b"others may read" in done.stderr
    assert b"\\u202eder" in done.stderr
    assert "\u202e".encode() not in done.stderr
