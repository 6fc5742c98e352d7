"""Simple values as text, in the lexical forms of XML Schema, and the refusals that both views share."""

from __future__ import annotations

import binascii
import re

from v2gpki.errors import V2GPKIError
from v2gpki.exi import ir

#: Deeper nesting is refused; the deepest message has 14 levels, only wildcards could have more.
MAX_DEPTH = 48

_INTEGER = re.compile(r"[+-]?[0-9]+")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_SPACE = " \t\n\r"


def path_text(path: list[str]) -> str:
    """`V2G_Message/Body/SessionSetupReq`."""
    return "/".join(path) or "the root"


def unexpected(path: list[str], what: str, expected: str) -> V2GPKIError:
    """Something stands where the schema has no place for it."""
    return V2GPKIError(
        "messages.unexpected",
        f"{path_text(path)}: {what} is not allowed here",
        hint=f"expected here: {expected}" if expected else "",
        facts={"path": path_text(path)},
    )


def missing(path: list[str], expected: str) -> V2GPKIError:
    """Something that the schema requires is not there."""
    return V2GPKIError(
        "messages.missing", f"{path_text(path)}: {expected} is missing", facts={"path": path_text(path)}
    )


def bad_value(path: list[str], shown: str, rule: str) -> V2GPKIError:
    """A text that is no value of its type."""
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return V2GPKIError(
        "messages.bad_value", f"{path_text(path)}: {shown!r} {rule}", facts={"path": path_text(path), "rule": rule}
    )


def too_deep(path: list[str]) -> V2GPKIError:
    """Nesting beyond every message."""
    return V2GPKIError("messages.text_malformed", f"{path_text(path[:8])}/..: nested deeper than {MAX_DEPTH} levels")


def to_text(kind: ir.Value, value: object, path: list[str]) -> str:
    """The canonical lexical form; refuses a value of another Python type (`messages.bad_value`)."""
    match kind:
        case ir.Boolean() if isinstance(value, bool):
            return "true" if value else "false"
        case ir.Integer() if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        case ir.Binary() if isinstance(value, bytes):
            if kind.form == "hex":
                return value.hex().upper()
            return binascii.b2a_base64(value, newline=False).decode("ascii")
        case ir.Text() | ir.Enumeration() if isinstance(value, str):
            return value
    raise bad_value(path, repr(value), f"is a {type(value).__name__}, but {expected_type(kind)} belongs here")


def from_text(kind: ir.Value, text: str, path: list[str]) -> ir.Plain:
    """The value of a lexical form; refuses what is none (`messages.bad_value`)."""
    match kind:
        case ir.Boolean():
            value = _BOOLEANS.get(text.strip(_SPACE))
            if value is not None:
                return value
        case ir.Integer():
            digits = text.strip(_SPACE)
            if len(digits) <= 1000 and _INTEGER.fullmatch(digits):
                return int(digits)
        case ir.Binary():
            octets = _octets(text, kind.form)
            if octets is not None:
                return octets
        case ir.Enumeration():
            if text.strip(_SPACE) in kind.values:
                return text.strip(_SPACE)
            raise bad_value(path, text, "is none of " + ", ".join(kind.values))
        case ir.Text():
            return text
    raise bad_value(path, text, f"is not {expected_type(kind)}")


def expected_type(kind: ir.Value) -> str:
    """A word for the reader."""
    match kind:
        case ir.Boolean():
            return "a boolean"
        case ir.Integer():
            return "an integer"
        case ir.Binary():
            return kind.form
        case ir.Enumeration() | ir.Text():
            return "a string"


def _octets(text: str, form: str) -> bytes | None:
    compact = "".join(text.split())
    if not compact.isascii():
        return None
    try:
        if form == "hex":
            return binascii.unhexlify(compact)
        value = binascii.a2b_base64(compact, strict_mode=True)
    except ValueError:
        return None
    # Bits behind the last octet must be zero (XML Schema part 2, 3.2.16).
    return value if binascii.b2a_base64(value, newline=False).decode("ascii") == compact else None
