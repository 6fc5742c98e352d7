"""JSON bodies and parameters of requests, read strictly: a field has its type and form, or the request is refused.

Unknown fields are left alone: descriptions grow. Every refusal names the field by its path and the form that it must
have. Depth and size are bounded before anything is looked at. Source: the schemas of OPCP 1.0 and OPNC v1.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn, TypeAlias

from v2gpki.errors import V2GPKIError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

PCID = re.compile(r"[a-zA-Z0-9]{17,18}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
#: So deep may a body be nested: the deepest description has three levels.
_DEEPEST = 16


class Fields:
    """An object of a request; every reader raises ``ecosystem.bad_field`` with the path of what is wrong."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Json], path: str = "") -> None:
        self._values = values
        self._path = path

    def has(self, name: str) -> bool:
        """Whether the field is there, null included."""
        return name in self._values

    def text(self, name: str, *, pattern: re.Pattern[str] | None = None, most: int = 0, least: int = 0) -> str:
        """A text that must be there."""
        if name not in self._values:
            self._bad(name, "is missing")
        return self._text(name, self._values[name], pattern, most, least)

    def optional(
        self, name: str, *, pattern: re.Pattern[str] | None = None, most: int = 0, least: int = 0, default: str = ""
    ) -> str:
        """A text, or the default when there is none."""
        if name not in self._values:
            return default
        return self._text(name, self._values[name], pattern, most, least)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of these texts."""
        value = self.text(name)
        if value not in choices:
            self._bad(name, f"must be one of {', '.join(choices)}")
        return value

    def octets(self, name: str, *, most: int = 65536) -> bytes:
        """Octets in base64 that must be there."""
        return self._octets(name, self.text(name), most)

    def optional_octets(self, name: str, *, most: int = 65536) -> bytes | None:
        """Octets in base64, None when the field is not there."""
        return self._octets(name, self.text(name), most) if name in self._values else None

    def octet_list(self, name: str, *, least: int, most: int) -> tuple[bytes, ...]:
        """A list of octets in base64 that must be there."""
        if name not in self._values:
            self._bad(name, "is missing")
        found = self.texts(name, least=least)
        if len(found) > most:
            self._bad(name, f"must have {most} entries at most")
        return tuple(self._octets(f"{name}[{at}]", text, 65536) for at, text in enumerate(found))

    def moment(self, name: str) -> datetime:
        """A moment by RFC 3339 that must be there."""
        value = self.text(name)
        if _DATE_TIME.fullmatch(value):
            try:
                return datetime.fromisoformat(value.upper()).astimezone(UTC)
            except (ValueError, OverflowError):
                pass
        raise self.bad(name, "must be a date and time with its offset, as RFC 3339 writes it: 2027-01-31T12:00:00Z")

    def texts(self, name: str, *, pattern: re.Pattern[str] | None = None, least: int = 0) -> tuple[str, ...]:
        """A list of texts; empty when there is none."""
        if name not in self._values:
            return ()
        value = self._values[name]
        if not isinstance(value, list) or len(value) < least:
            self._bad(name, f"must be a list of {least} texts or more")
        return tuple(self._text(f"{name}[{at}]", item, pattern, 0, 0) for at, item in enumerate(value))

    def texts_or_one(self, name: str) -> tuple[str, ...]:
        """A list of texts, or one text that stands for a list of one."""
        return (self.text(name),) if isinstance(self._values.get(name), str) else self.texts(name)

    def inner(self, name: str) -> Fields:
        """An object that must be there."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            self._bad(name, "must be an object" if name in self._values else "is missing")
        return Fields(value, f"{self._path}{name}.")

    def open_object(self, name: str) -> dict[str, Json]:
        """An object of anything, empty when there is none."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self._bad(name, "must be an object")
        return value

    def bad(self, name: str, what: str, code: str = "ecosystem.bad_field") -> V2GPKIError:
        """The refusal of a field."""
        return V2GPKIError(
            code,
            f"{self._path}{name}: {what}",
            hint="see the description of the operation",
            clause="OPCP 1.0, OPNC v1",
            facts={"field": f"{self._path}{name}"},
        )

    def _bad(self, name: str, what: str) -> NoReturn:
        raise self.bad(name, what)

    def _text(self, name: str, value: Json, pattern: re.Pattern[str] | None, most: int, least: int) -> str:
        if not isinstance(value, str):
            self._bad(name, "must be a text")
        if "\x00" in value or not _is_lined(value):
            self._bad(name, "must have no control characters")
        if most and len(value) > most:
            self._bad(name, f"must have {most} characters at most")
        if len(value) < least:
            self._bad(name, f"must have {least} characters at least")
        if pattern is not None and not pattern.fullmatch(value):
            self._bad(name, f"must match {pattern.pattern}")
        return value

    def _octets(self, name: str, value: str, most: int) -> bytes:
        packed = "".join(value.split())
        if not _BASE64.fullmatch(packed) or not packed:
            self._bad(name, "must be base64")
        try:
            octets = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            self._bad(name, "must be base64, padding included")
        if len(octets) > most:
            self._bad(name, f"must have {most} octets at most")
        return octets


def read_object(body: bytes) -> Fields:
    """A JSON object. Raises ``ecosystem.bad_body`` for anything else: other values, doubled names, depth."""
    try:
        value: Json = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise _bad_body("the body is no JSON") from problem
    if not isinstance(value, dict):
        raise _bad_body("the body must be a JSON object")
    if _depth(value) > _DEEPEST:
        raise _bad_body(f"the body is nested more than {_DEEPEST} levels deep")
    return Fields(value)


def as_json(value: object) -> Json:
    """What is JSON already, as such; anything else is null."""
    if isinstance(value, Mapping):
        return {str(name): as_json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else None


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _depth(value: Json) -> int:
    deepest, level = 0, [value]
    while level and deepest <= _DEEPEST:
        deepest += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


def _is_lined(text: str) -> bool:
    """Printable but for line ends and tabs: base64 in lines."""
    return all(character.isprintable() or character in "\r\n\t" for character in text)


def _bad_body(what: str) -> V2GPKIError:
    return V2GPKIError(
        "ecosystem.bad_body", what, hint="send one JSON object in UTF-8", clause="RFC 8259", facts={}
    )
