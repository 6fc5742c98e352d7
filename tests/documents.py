"""The documents as programs: their blocks ``sh`` and ``python``, run from the top in an empty folder.

Ports 8080, 8443 and 61341 become free ones; nothing else is changed. A document stops at its first failing command,
which is named. What it left running ends with it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PORTS = ("8080", "8443", "61341")
_SECONDS = 300


@dataclass(frozen=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a ``sh`` block that begin with a command; what a here-document holds is left out."""
        bare = re.sub(r"<<'?(\w+)'?\n.*?^\1$", "", self.text, flags=re.DOTALL | re.MULTILINE)
        return [line for line in bare.splitlines() if line.strip()] if self.language == "sh" else []


def blocks(document: Path) -> list[Block]:
    """All fenced blocks in order."""
    return [Block(language, text) for language, text in _BLOCK.findall(document.read_text("utf-8"))]


def environment(**extra: str) -> dict[str, str]:
    """A bare environment in which ``v2gpki`` and ``python`` are ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI_")}
    return {**clean, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", **extra}


def run(document: Path, folder: Path, wanted: Sequence[Block] = ()) -> str:
    """Run a document's blocks (or those that are wanted) in a folder; its output. Raises AssertionError with it when a
    command fails."""
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    pieces = []
    for number, block in enumerate(wanted or blocks(document)):
        text = re.sub(rf"\b({'|'.join(_PORTS)})\b", lambda found: ports[found[1]], block.text)
        if block.language == "python":
            (folder / f"block-{number}.py").write_text(text, "utf-8")
            pieces.append(f"python block-{number}.py\n")
        elif block.language == "sh":
            pieces.append(text)
    script = folder / "document.sh"
    script.write_text("set -ev\n" + "".join(pieces), "utf-8")
    shown = folder / "document.out"
    extra = {"V2GPKI_OCSP_URL": f"http://localhost:{ports['8080']}/ocsp"}
    with shown.open("w") as output:
        shell = subprocess.Popen(
            ["/bin/sh", script],
            cwd=folder,
            env=environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
    told = shown.read_text("utf-8")
    log = folder / "serve.log"
    assert code == 0, f"{document.name}: {told[-2000:]}\n{log.read_text('utf-8')[-1500:] if log.exists() else ''}"
    return told


def _free_ports(count: int) -> list[str]:
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in opened]
