"""Coverage-guided fuzzing of everything that reads foreign octets, with atheris (libFuzzer).

    python -m tests.fuzz.fuzz [--seconds N] [--corpus FOLDER] [PROPERTY ...]

Seeds come from the committed vectors, tests/fuzz/properties.py says what must hold. What breaks it is left in a file
`crash-*`, and the exit code is not 0. The last line tells how many executions there were. libFuzzer's own options go
behind `--`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["v2gpki"]):
    from tests.fuzz.properties import PROPERTIES, joined
    from tests.vectors import SCHEMAS, selection
    from v2gpki import messages
    from v2gpki.messages import codec, frames, grammar, views  # noqa: F401 - imported here to be instrumented


def seed(folder: Path) -> None:
    """The vectors as inputs, short ones only: they are mutated faster."""
    for name in (*SCHEMAS, "malformed", "deviations", "wildcard"):
        for vector in selection(name):
            exi = bytes.fromhex(vector["exi"])
            if vector["schema"] not in SCHEMAS or len(exi) > 400:
                continue
            inputs = [joined(vector["schema"], vector["mode"] == "fragment", exi), exi]
            if "xml" in vector:
                inputs.append(joined(vector["schema"], vector["mode"] == "fragment", b"\x80" + vector["xml"].encode()))
            for data in inputs:
                (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def main() -> None:
    """Run until the time is over or something breaks."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--corpus", type=Path, help="where inputs are kept (default: a temporary folder)")
    arguments.add_argument("properties", nargs="*", metavar="PROPERTY", help=", ".join(PROPERTIES))
    given, libfuzzer = arguments.parse_known_args()
    checks = [PROPERTIES[name] for name in given.properties or PROPERTIES]

    def check(data: bytes) -> None:
        for property_ in checks:
            property_(data)

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.corpus or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        seed(folder)
        options = [f"-max_total_time={given.seconds}", "-max_len=2048", "-print_final_stats=1", "-timeout=10"]
        atheris.Setup([sys.argv[0], str(folder), *options, *(one for one in libfuzzer if one != "--")], check)
        atheris.Fuzz()


if __name__ == "__main__":
    assert messages.SCHEMAS == SCHEMAS
    main()
