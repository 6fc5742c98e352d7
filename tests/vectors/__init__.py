"""EXI vectors: the committed selection, and a folder of more of them if `V2GPKI_EXTRA_VECTORS` names one.

README.md tells where they come from and what the fields mean.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCHEMAS = ("app", "iso15118-2", "iso15118-20-common", "ac", "dc", "wpt", "acdp", "xmldsig")

#: A line of a file; its fields differ by file.
Vector = dict[str, Any]


def selection(name: str) -> list[Vector]:
    """The committed vectors of a schema, or `bench`, `malformed`, `deviations`, `wildcard`, `published`."""
    with lzma.open(HERE / f"{name}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def extra_folder() -> Path | None:
    """The folder of all vectors, if this machine has it."""
    named = os.environ.get("V2GPKI_EXTRA_VECTORS")
    return Path(named) if named else None


def extra(folder: Path, *names: str) -> Iterator[Vector]:
    """The vectors of files `<name>.jsonl`, wherever under the folder they are."""
    for name in names:
        for path in sorted(folder.rglob(f"{name}.jsonl")):
            with path.open(encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines)
