"""The standard streams made fit for use: there is one of each, and no text is too foreign for it.

A caller may have closed any of them. What is opened in its place must not be a file of ours, so the numbers
are taken first of all: reading then finds nothing, writing results fails as any failing write, errors go nowhere.
A character that the terminal's encoding lacks is shown escaped; it ends no command that has already acted.
"""

from __future__ import annotations

import io
import os
import sys


def prepare() -> None:
    """Put something in place of closed streams, and escape what stdout and stderr cannot encode."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(_placed(0, os.O_RDONLY), "r", encoding="utf-8")
    if sys.stdout is None:
        # Not writable, on purpose: a result that nobody can get is a failure.
        sys.stdout = os.fdopen(_placed(1, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_placed(2, os.O_WRONLY), "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def release() -> None:
    """Flush stdout for the last time; what cannot be written any more is dropped, without a word at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _placed(number: int, flags: int) -> int:
    opened = os.open(os.devnull, flags)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    return number
