"""Choose the vectors that are committed: `python -m tests.vectors.select FOLDER` writes `*.jsonl.xz` beside this file.

FOLDER holds all vectors. A vector is taken, shortest first, if it shows something that none before it does: a message
or fragment, a kind, a construct of a type (element, attribute, alternative, count of a list) or a boundary of a value
(an enumerated value, an integer's bounds, a length's bounds, the kinds of characters).
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.vectors import HERE, SCHEMAS, Vector, extra
from v2gpki.exi import ir
from v2gpki.messages.codec import grammar
from v2gpki.messages.schema import AnyElement, Message
from v2gpki.messages.views import xml

Feature = tuple[object, ...]

#: Fields that no test reads: verdicts of other programs on the vectors.
_DROPPED = {"cbv2g", "oracle"}
_MALFORMED_PER_KIND = 3


def main(folder: Path) -> None:
    """Write every file of the selection, and say how large it became."""
    for schema in SCHEMAS:
        _write(schema, _chosen(list(extra(folder, schema, f"{schema}_other"))))
    _write("bench", list(extra(folder, "bench")))
    _write("wildcard", [v for v in extra(folder, "wildcard") if v["schema"] in SCHEMAS])
    for name in ("malformed", "deviations"):
        _write(name, _first_of_each_kind([v for v in extra(folder, name) if v["schema"] in SCHEMAS]))
    _write("published", [v for v in extra(folder, "peer_samples") if v["provenance"].startswith("RISE-V2G")])
    _write("codes", list(_codes(folder)))


def _write(name: str, vectors: list[Vector]) -> None:
    path = HERE / f"{name}.jsonl.xz"
    lines = [json.dumps({k: v for k, v in one.items() if k not in _DROPPED}, ensure_ascii=False) for one in vectors]
    path.write_bytes(lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{name}: {len(vectors)} vectors, {path.stat().st_size} octets")


def _chosen(vectors: list[Vector]) -> list[Vector]:
    seen: set[Feature] = set()
    chosen = []
    for vector in sorted(vectors, key=lambda one: (len(one["xml"]) + len(one["exi"]), one["id"])):
        shown = set(_features(vector))
        if not shown <= seen:
            seen |= shown
            chosen.append(vector)
    return sorted(chosen, key=lambda one: str(one["id"]))


def _first_of_each_kind(vectors: list[Vector]) -> list[Vector]:
    """A few of each schema, mode, verdict and reason; numbers in the reason do not make another reason."""
    counts: dict[Feature, int] = {}
    chosen = []
    for vector in sorted(vectors, key=lambda one: (len(one["exi"]), one["id"])):
        kind = (vector["schema"], vector["mode"], vector.get("expect"), re.sub(r"\d+|of \S+", "#", vector["why"]))
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= _MALFORMED_PER_KIND:
            chosen.append(vector)
    return sorted(chosen, key=lambda one: str(one["id"]))


def _codes(folder: Path) -> Iterator[Vector]:
    """The reference encoder's lists of roots, in the order of their codes, and its tables of names."""
    (path,) = folder.rglob("globals.json")
    for schema, lists in json.loads(path.read_text(encoding="utf-8")).items():
        if schema in SCHEMAS:
            tables = [[table["uri"], table["qnames"]] for table in lists["uris"]]
            codes = {mode: lists[mode]["codes"] for mode in ("document", "fragment")}
            yield {"schema": schema, **codes, "names": tables}


# --- what a vector shows --------------------------------------------------------------------------------------------


def _features(vector: Vector) -> Iterator[Feature]:
    schema = str(vector["schema"])
    yield "root", vector["mode"], vector["root"]
    yield "message", vector["mode"], vector.get("message")
    yield "kind", vector["kind"]
    yield from (("form", vector["message"], name) for name in ("exi_alt", "exi_ecog_jar") if name in vector)
    element, value = xml.read(grammar(schema), vector["xml"], fragment=vector["mode"] == "fragment")
    yield from _of_value(element.type, value, str(element.name))


def _of_value(type_: ir.Type, value: object, where: str) -> Iterator[Feature]:
    if isinstance(type_, ir.RelaxedType):
        cls = type(value) if isinstance(value, Message) else None
        type_ = next(one for one in type_.candidates if one.cls is cls)
    yield "type", type_.name, where
    if type_.cls is None and type_.value is not None:
        yield from (("value", where, one) for one in _of_plain(type_.value, value))
        return
    for attribute in type_.attributes:
        held = getattr(value, attribute.field)
        yield "attribute", type_.name, attribute.field, held is None
        if held is not None:
            yield from (("value", attribute.field, one) for one in _of_plain(attribute.value, held))
    if type_.value is not None:
        yield from (("value", type_.name, one) for one in _of_plain(type_.value, getattr(value, type_.value_field)))
    for particle in type_.particles:
        yield from _of_particle(type_, particle, getattr(value, particle.field))


def _of_particle(type_: ir.Type, particle: ir.Particle, held: object) -> Iterator[Feature]:
    items = held if isinstance(held, tuple) else () if held is None else (held,)
    if particle.form == "items":
        yield "items", type_.name, tuple(type(item).__name__ for item in items)[:4]
    elif particle.form == "list":
        count = len(items)
        edges = {0, 1, particle.minimum, particle.maximum, (particle.maximum or 0) - 1}
        yield "list", type_.name, particle.field, count if count in edges else "more"
    elif not items:
        yield "absent", type_.name, particle.field
    for item in items:
        if isinstance(item, (str, AnyElement)) and particle.form == "items":
            continue
        element = particle.element_for(item)
        if element is not None:
            yield "element", type_.name, str(element.name)
            yield from _of_value(element.type, item, f"{type_.name}.{element.name.name}")


def _of_plain(kind: ir.Value, value: object) -> Iterator[object]:
    match kind, value:
        case ir.Integer(minimum, maximum), int():
            yield {minimum: "least", maximum: "most", 0: "zero", -1: "minus one"}.get(value, "some")
        case ir.Enumeration() | ir.Boolean(), _:
            yield value
        case (ir.Text(minimum, maximum) | ir.Binary(minimum, maximum)), (str() | bytes()):
            yield {0: "empty", minimum: "shortest", maximum: "longest"}.get(len(value), "some")
            if isinstance(value, str):
                highest = max(map(ord, value), default=0)
                yield "astral" if highest > 0xFFFF else "beyond ASCII" if highest > 127 else ""
                yield "white space" if set(value) & set(" \t\n\r") else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
