"""Reading one TOML table with types: every key is asked for once, what was not asked for is unknown.

Every refusal names file, dotted key and reason: ``profile.unknown_key``, ``profile.missing_key``,
``profile.bad_value``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from v2gpki.profile.duration import duration
from v2gpki.profile.layers import Layered, Node, did_you_mean, refuse

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOLE = re.compile(r"\{([^{}]*)\}")


class Table:
    """One table of a layered tree; ``path`` is its dotted key with a final dot ("" for the top)."""

    __slots__ = ("_asked", "_layered", "_node", "path")

    def __init__(self, layered: Layered, node: Node, path: str = "") -> None:
        self._layered = layered
        self._node = node
        self._asked: set[str] = set()
        self.path = path

    def labels(self) -> list[str]:
        """The keys that stand in the table, in file order."""
        return list(self._node)

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._node

    def skip(self, key: str) -> None:
        """Count a key as asked for."""
        self._asked.add(key)

    def table(self, key: str) -> Table:
        """A table further down; an absent one reads as empty."""
        value = self._ask(key)
        if value is None:
            return Table(self._layered, {}, f"{self.path}{key}.")
        if not isinstance(value, dict):
            self.refuse(key, "a table is expected")
        return Table(self._layered, value, f"{self.path}{key}.")

    def tables(self, key: str) -> list[Table]:
        """An array of tables ([[key]]); an absent one is empty."""
        value = self._ask(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            self.refuse(key, f"an array of tables is expected: [[{key}]]")
        return [Table(self._layered, entry, f"{self.path}{key}[{index}].") for index, entry in enumerate(value)]

    def text(self, key: str, default: str | None = None, among: Sequence[str] = ()) -> str:
        """A string without control characters; ``among`` limits it, ``default`` None makes it mandatory."""
        value = self._ask(key)
        if value is None:
            return self._missing(key) if default is None else default
        if not isinstance(value, str):
            self.refuse(key, f"a string is expected, not {_toml_type(value)}")
        if _CONTROL.search(value):
            self.refuse(key, "control characters and line breaks are not allowed")
        if among and value not in among:
            self.refuse(key, f'"{value}" is not known here', hint=did_you_mean(value, list(among)))
        return value

    def texts(self, key: str, default: Sequence[str] | None = None, among: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of different strings."""
        value = self._ask(key)
        if value is None:
            return self._missing(key) if default is None else tuple(default)
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            self.refuse(key, "a list of strings is expected")
        if len(set(value)) != len(value):
            self.refuse(key, "an entry stands twice in the list")
        for entry in value:
            if among and entry not in among:
                self.refuse(key, f'"{entry}" is not known here', hint=did_you_mean(entry, list(among)))
        return tuple(value)

    def template(self, key: str, holes: Sequence[str], default: str = "") -> str:
        """A string whose ``{holes}`` are all among ``holes``."""
        value = self.text(key, default)
        for hole in _HOLE.findall(value):
            if hole not in holes:
                known = [f"{{{name}}}" for name in holes]
                self.refuse(key, f"the hole {{{hole}}} is not known here", hint=did_you_mean(f"{{{hole}}}", known))
        if "{" in _HOLE.sub("", value) or "}" in _HOLE.sub("", value):
            self.refuse(key, "a brace stands alone")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """true or false."""
        value = self._ask(key)
        if value is None:
            return self._missing(key) if default is None else default
        if not isinstance(value, bool):
            self.refuse(key, f"true or false is expected, not {_toml_type(value)}")
        return value

    def number(self, key: str, minimum: int, maximum: int) -> int:
        """A whole number within the bounds."""
        value = self._ask(key)
        if value is None:
            return self._missing(key)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(key, f"a whole number is expected, not {_toml_type(value)}")
        if not minimum <= value <= maximum:
            self.refuse(key, f"{value} is not within {minimum}..{maximum}")
        return value

    def span(self, key: str, default: timedelta | None = None, *, longest: bool = False) -> timedelta:
        """An ISO 8601 duration (``profile.duration``)."""
        text = self.text(key, "" if default is not None else None)
        if not text and default is not None:
            return default
        try:
            return duration(text, longest=longest)
        except ValueError as problem:
            self.refuse(key, f'"{text}" is no duration: {problem}')

    def done(self) -> None:
        """Refuse the first key that nobody asked for."""
        for key in self._node:
            if key not in self._asked:
                file, dotted = self._layered.where(f"{self.path}{key}")
                hint = did_you_mean(key, sorted(self._asked))
                raise refuse("profile.unknown_key", file, dotted, "this key is not known", hint=hint)

    def refuse(
        self, key: str, reason: str, *, hint: str = "", clause: str = "", against: Sequence[str] = ()
    ) -> NoReturn:
        """Raise ``profile.bad_value`` for a key of this table.

        ``against`` are full dotted keys that it contradicts: the one that was laid last is named instead, because
        a later file is more likely to be wrong than the one that it is laid over.
        """
        file, dotted = self._layered.latest([f"{self.path}{key}", *against])
        raise refuse("profile.bad_value", file, dotted, reason, hint=hint, clause=clause)

    def refuse_name(self, key: str, label: str, name: str, known: list[str]) -> NoReturn:
        """Raise ``profile.bad_value`` for a name that the edition's TOML does not map to an OID."""
        shown = key if self.has(key) or not label else ""
        file, dotted = self._layered.where((f"{self.path}{shown}" if shown else self.path).rstrip("."))
        reason = f'the edition gives no OID for "{name}"'
        raise refuse("profile.bad_value", file, dotted, reason, hint=did_you_mean(name, known))

    def _missing(self, key: str) -> NoReturn:
        file, dotted = self._layered.where(f"{self.path}{key}")
        raise refuse("profile.missing_key", file, dotted, "this key is missing")

    def _ask(self, key: str) -> object:
        self._asked.add(key)
        return self._node.get(key)


def _toml_type(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {str: "a string", int: "a number", float: "a number with a fraction", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
