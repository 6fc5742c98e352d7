"""The API descriptions OPCP and OPNC that Plug & Charge providers published: they hold real certificates and messages.

They are not part of this project (CC BY-SA 4.0). `V2GPKI_SPECIFICATIONS` names the folder that has `opcp` and `opnc`,
else it is looked for beside the checkout; run as a module this file says where it is, which is the probe of the need
`specifications`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VARIABLE = "V2GPKI_SPECIFICATIONS"
_PARTS = ("opcp", "opnc")
_BESIDE = Path(__file__).resolve().parents[3]
#: Shorter texts are names, numbers and identifiers.
_LEAST = 400


@dataclass(frozen=True, slots=True)
class Example:
    """Octets that an example has in base64: the file, the way to them through its JSON, and their neighbours there."""

    file: str
    path: tuple[str, ...]
    octets: bytes
    beside: dict[str, bytes]

    @property
    def key(self) -> str:
        """The name of the field."""
        return self.path[-1] if self.path[-1] != "example" else self.path[-2]


def folder() -> Path | None:
    """The folder of the descriptions, if there is one."""
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else sorted(_BESIDE.glob("*/specs"))
    return next((place for place in places if all((place / part).is_dir() for part in _PARTS)), None)


@cache
def examples() -> tuple[Example, ...]:
    """Every text of some length in the descriptions that is base64; the same octets once for each place."""
    place = folder()
    assert place is not None, f"{VARIABLE} names no folder with {' and '.join(_PARTS)}"
    found = []
    for path in sorted(place.rglob("*.json")):
        name = str(path.relative_to(place))
        found += [Example(name, *held) for held in _held(json.loads(path.read_text("utf-8")), ())]
    return tuple(found)


def _held(tree: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], bytes, dict[str, bytes]]]:
    if isinstance(tree, list):
        tree = {str(number): item for number, item in enumerate(tree)}
    if not isinstance(tree, dict):
        return
    octets = {name: read for name, held in tree.items() if (read := _octets(held))}
    for name, held in tree.items():
        if name in octets:
            yield (*path, name), octets[name], octets
        else:
            yield from _held(held, (*path, name))


def _octets(held: object) -> bytes:
    """What base64, with or without the lines of PEM, stands for; nothing if it is something else."""
    if not isinstance(held, str):
        return b""
    text = re.sub(r"\s|-----[A-Z ]+-----", "", held)
    if len(text) < _LEAST:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


if __name__ == "__main__":
    if (found := folder()) is None:
        raise SystemExit(f"{VARIABLE} names no folder with {' and '.join(_PARTS)}, and no ../*/specs has them")
    print("specifications in", found)
