"""Laying TOML tables over each other, remembering for every key which file it came from.

A table is laid key by key: a table over a table goes deeper, everything else (lists too) replaces.
``unset = ["dotted.key", ..]`` takes keys away that were laid before. A table over a value, or a value
over a table, is refused: it can only be a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from v2gpki.errors import V2GPKIError

#: What ``tomllib`` gives, narrowed to what profiles use when a value is read.
Node: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a layer stands: the file, and the dotted table inside it ("" for the whole file)."""

    file: str
    prefix: str = ""

    def inside(self, prefix: str) -> Origin:
        """The origin of what stands below a dotted prefix (with its final dot)."""
        return Origin(self.file, self.prefix + prefix)


@dataclass(slots=True)
class Layered:
    """Tables laid over each other: ``tree`` is the result, ``origins`` says for each dotted key who laid it last."""

    tree: Node = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def lay(self, layer: Mapping[str, object], origin: Origin) -> None:
        """Lay one table over what is there; its ``unset`` is obeyed first."""
        if origin.file not in self.files:
            self.files.append(origin.file)
        for dotted in _unset(layer, origin):
            self._remove(dotted, origin)
        self._lay(self.tree, layer, "", origin)

    def where(self, dotted: str) -> tuple[str, str]:
        """File and full dotted key of a key of ``tree``; a missing key is charged to the last file."""
        origin = self.origins.get(dotted)
        if origin is None:
            return (self.files[-1] if self.files else ""), dotted
        return origin.file, origin.prefix + dotted

    def latest(self, keys: list[str]) -> tuple[str, str]:
        """File and full dotted key of the one whose file was laid last; the first one when they stand in one file."""
        laid = [key for key in keys if key in self.origins]
        return self.where(max(laid, key=lambda key: self.files.index(self.origins[key].file), default=keys[0]))

    def copy(self) -> Layered:
        """An independent copy to lay further tables on."""
        return Layered(_deep(self.tree), dict(self.origins), list(self.files))

    def _lay(self, into: Node, layer: Mapping[str, object], path: str, origin: Origin) -> None:
        for key, value in layer.items():
            if key == "unset" and not path:
                continue
            dotted = f"{path}{key}"
            before = into.get(key)
            if before is not None and isinstance(before, dict) != isinstance(value, dict):
                raise refuse(
                    "profile.bad_value",
                    origin.file,
                    origin.prefix + dotted,
                    "a table is expected here" if isinstance(before, dict) else "a value is expected here, not a table",
                )
            self.origins[dotted] = origin
            if isinstance(value, dict):
                inner = into.setdefault(key, {})
                assert isinstance(inner, dict)
                self._lay(inner, value, f"{dotted}.", origin)
            else:
                into[key] = value

    def _remove(self, dotted: str, origin: Origin) -> None:
        *tables, last = dotted.split(".")
        node: object = self.tree
        for table in tables:
            node = node.get(table) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise refuse(
                "profile.bad_value",
                origin.file,
                f"{origin.prefix}unset",
                f'there is no "{dotted}" to take away',
                hint=did_you_mean(dotted, list(self.origins)),
            )
        del node[last]
        for key in [key for key in self.origins if key == dotted or key.startswith(f"{dotted}.")]:
            del self.origins[key]


def refuse(code: str, file: str, key: str, reason: str, *, hint: str = "", clause: str = "") -> V2GPKIError:
    """The error for one key of one file (both may be empty)."""
    place = f"{file}: {key}" if key else file
    return V2GPKIError(code, f"{place}: {reason}", hint=hint, clause=clause, facts={"file": file, "key": key})


def did_you_mean(given: str, known: list[str]) -> str:
    """A hint that names the nearest known words, or lists them when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415  # keeps start-up fast: only errors need it

    near = get_close_matches(given, known, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f'"{word}"' for word in near) + "?"
    shown = sorted(known)
    return f"known: {', '.join(shown)}" if 0 < len(shown) <= 30 else ""


def _unset(layer: Mapping[str, object], origin: Origin) -> list[str]:
    value = layer.get("unset", [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise refuse("profile.bad_value", origin.file, f"{origin.prefix}unset", "a list of dotted keys is expected")
    return value


def _deep(node: Node) -> Node:
    return {key: _deep(value) if isinstance(value, dict) else value for key, value in node.items()}
