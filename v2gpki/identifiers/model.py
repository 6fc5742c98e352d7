"""The value that every parser gives, and the one refusal that every parser raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from v2gpki.errors import Finding, V2GPKIError

LONGEST_EXCERPT = 80
_NOTHING: Mapping[str, str] = {}


class Identifier(NamedTuple):
    """One identifier that was understood.

    ``text`` is what was given, ``normal`` what goes into a certificate's CN and into the store,
    ``warnings`` what is doubtful about it (a wrong check digit, another standard's form), ``parts`` its
    fields and ``key``: two writings of the same identity have the same ``parts["key"]``.
    """

    kind: str
    text: str
    normal: str
    warnings: tuple[Finding, ...] = ()
    parts: Mapping[str, str] = _NOTHING


def excerpt(text: str) -> str:
    """Foreign text in quotes, in ASCII and shortened, so that a message can carry it."""
    shown = ascii(text)
    return shown if len(shown) <= LONGEST_EXCERPT else f"{shown[:LONGEST_EXCERPT]}..' ({len(text)} characters)"


def refusal(kind: str, text: str, form: str, *, clause: str, hint: str = "", separators: str = "") -> V2GPKIError:
    """The error for a text that is no identifier of this kind.

    ``form`` says what it has to look like. The first character that no such identifier can hold
    (neither a letter, a digit nor one of ``separators``) is named by position, from 1, and code point.
    """
    facts: dict[str, str | int] = {"kind": kind, "text": excerpt(text), "length": len(text)}
    reason = f"it has to be {form}"
    for position, character in enumerate(text, 1):
        if (character.isascii() and character.isalnum()) or character in separators:
            continue
        point = f"U+{ord(character):04X}"
        reason = f"character {position} ({point}) is {_sort(character)}"
        hint = hint or f"it has to be {form}"
        facts |= {"position": position, "code_point": point}
        break
    return V2GPKIError(
        "identifier.invalid",
        f"{excerpt(text)} is no {kind.upper()}: {reason}",
        hint=hint,
        clause=clause,
        facts=facts,
    )


def warning(code: str, message: str, *, clause: str, where: str) -> Finding:
    """A doubt that is no refusal."""
    return Finding(code, "warning", message, clause, where)


def note(code: str, message: str, *, clause: str, where: str) -> Finding:
    """Something worth knowing."""
    return Finding(code, "info", message, clause, where)


def _sort(character: str) -> str:
    point = ord(character)
    if point < 0x20 or 0x7F <= point < 0xA0:
        return "a control character"
    if point > 0x7F:
        return "not ASCII"
    return f"not allowed here ({'a space' if character == ' ' else character})"
