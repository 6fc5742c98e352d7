"""Passphrases: from a file, from the environment, or asked of a person; never from the command line.

An empty passphrase is refused. The one line end at a file's end does not belong to it. A file that
others may read is used, with a warning.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import click

from v2gpki.errors import V2GPKIError

VARIABLE = "V2GPKI_PASSPHRASE"
FILE_VARIABLE = "V2GPKI_PASSPHRASE_FILE"
LARGEST_FILE = 65536


def of_home(
    file: Path | None, *, configured: Path | None, confirm: bool, warn: Callable[[str], None]
) -> str:
    """The home's passphrase: ``--passphrase-file``, else V2GPKI_PASSPHRASE, else V2GPKI_PASSPHRASE_FILE,
    else the file that the home's settings name, else a prompt when a person is there.

    Raises ``passphrase.missing`` or ``passphrase.empty``.
    """
    if file is not None:
        return of_file(file, warn=warn)
    if VARIABLE in os.environ:
        return _not_empty(os.environ[VARIABLE], f"the variable {VARIABLE}")
    if os.environ.get(FILE_VARIABLE):
        return of_file(Path(os.environ[FILE_VARIABLE]), warn=warn)
    if configured is not None:
        return of_file(configured, warn=warn)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise V2GPKIError(
            "passphrase.missing",
            "the home's passphrase is needed, and nobody is there to ask",
            hint=f"give --passphrase-file FILE, or set {VARIABLE} or {FILE_VARIABLE}",
        )
    title = "New passphrase of the home" if confirm else "Passphrase of the home"
    answer = click.prompt(title, hide_input=True, confirmation_prompt=confirm, default="", show_default=False, err=True)
    return _not_empty(str(answer), "the answer")


def of_file(file: Path, *, warn: Callable[[str], None]) -> str:
    """The passphrase in a file, UTF-8, without the line end at its end.

    Raises ``file.unreadable`` or ``passphrase.empty``.
    """
    try:
        with file.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise V2GPKIError(
            "file.unreadable",
            f"the passphrase file {str(file)!r} cannot be read: {reason}",
            hint="give a file that this user may read",
            facts={"path": str(file)},
        ) from problem
    if stat.S_ISREG(mode) and mode & 0o077:
        warn(f"others may read the passphrase file {file}; chmod 600 closes it")
    if len(data) > LARGEST_FILE:
        raise V2GPKIError("file.unreadable", f"the passphrase file {file} is larger than {LARGEST_FILE} octets")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise V2GPKIError("file.unreadable", f"the passphrase file {file} is not UTF-8 text") from None
    text = text[:-1] if text.endswith("\n") else text
    return _not_empty(text.removesuffix("\r"), f"the passphrase file {file}")


def _not_empty(text: str, where: str) -> str:
    if not text:
        raise V2GPKIError(
            "passphrase.empty",
            f"{where} holds an empty passphrase, which protects nothing",
            hint="choose a passphrase of at least one character, better of five random words",
        )
    return text
