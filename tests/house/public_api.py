"""Writes the public interface as text: every name of ``v2gpki.__all__`` with its signature and its public members.

``python -m tests.house.public_api`` writes the listing anew and prints the line that CHANGELOG.md must then contain.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import v2gpki

LISTING = Path(__file__).with_name("public_api.txt")


def listing() -> str:
    """One line for a name or a member, in alphabetical order."""
    lines: list[str] = []
    for name in sorted(v2gpki.__all__):
        lines += _describe(name, getattr(v2gpki, name))
    return "\n".join(lines) + "\n"


def changelog_line(text: str) -> str:
    """What CHANGELOG.md says about this interface, so that it cannot change without an entry there."""
    return f"Public interface: {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _describe(name: str, thing: object) -> Iterator[str]:
    if inspect.isclass(thing):
        yield f"class {name}{_signature(thing)}"
        fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
        for member in sorted(vars(thing)):
            if member.startswith("_") or member in fields:
                continue
            value = inspect.getattr_static(thing, member)
            if isinstance(value, property):
                yield f"    {name}.{member}: property{_result(value.fget)}"
            elif isinstance(value, cached_property):
                yield f"    {name}.{member}: property{_result(value.func)}"
            elif isinstance(value, classmethod | staticmethod):
                yield f"    {name}.{member}{_signature(value.__func__)} ({type(value).__name__})"
            elif inspect.isfunction(value):
                yield f"    {name}.{member}{_signature(value)}"
    elif callable(thing):
        yield f"def {name}{_signature(thing)}"
    else:
        yield f"{name}: {type(thing).__name__}"


class _Text(str):
    """Stands in a signature as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(thing: object) -> str:
    if not callable(thing):
        return ""
    signature = inspect.signature(thing)
    parameters = [
        parameter.replace(annotation=_plain(parameter.annotation), default=_default(parameter.default))
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=_plain(signature.return_annotation)))


def _plain(annotation: object) -> object:
    return _Text(annotation) if isinstance(annotation, str) else annotation


def _default(value: object) -> object:
    """A default whose text holds an address in memory is shown as dots."""
    return _Text("...") if " at 0x" in repr(value) else value


def _result(getter: object) -> str:
    return f" -> {inspect.signature(getter).return_annotation}" if callable(getter) else ""


if __name__ == "__main__":
    text = listing()
    LISTING.write_text(text, encoding="utf-8")
    print(f"written: {LISTING}\nCHANGELOG.md must contain this line:\n{changelog_line(text)}")
