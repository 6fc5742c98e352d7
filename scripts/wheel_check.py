"""Builds sdist and wheel as a user would get them, installs the wheel into an empty environment, and works with it.

The wheel is built from the sdist, outside the checkout; the dependencies come from where this machine's pip gets
them, held by constraints.txt. Then ``v2gpki init`` mints an ecosystem from the profiles inside the wheel, as a
process that sees neither the checkout nor the environment of the checkout. Refuses with the output of what failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Build, install, run; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="v2gpki-wheel-") as name:
        place = Path(name)
        _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place / "dist"), str(_ROOT)], place)
        (wheel,) = (place / "dist").glob("*.whl")
        empty = place / "empty"
        _run([sys.executable, "-m", "venv", "--without-pip", str(empty)], place)
        inside = str(empty / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "--python", inside]
        _run([*pip, "install", "-q", "-c", str(_ROOT / "constraints.txt"), str(wheel)], place)
        _run([*pip, "check"], place)
        command = str(empty / "bin" / "v2gpki")
        _run([command, "--version"], place)
        _run([command, "init", "--edition", "iso15118-2"], place)
        _run([command, "tree"], place)
    return 0


def _run(command: Sequence[str], place: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "V2GPKI_"))}
    environment |= {"V2GPKI_HOME": str(place / "home"), "V2GPKI_PASSPHRASE": "a passphrase of this check only"}
    print("+", *command, flush=True)
    done = subprocess.run(command, check=False, cwd=place, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"wheel check: exit code {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
