"""Random messages of any schema and root."""

from __future__ import annotations

from random import Random

from tests.exi.sample import plain, value_of
from v2gpki.exi import ir
from v2gpki.messages.codec import model
from v2gpki.messages.schema import Message, NamedValue

#: Nothing without a foreign element.
_SKIPPED = {"SignatureProperty", "SignatureProperties"}


def roots(schema: str, *, fragment: bool = False) -> list[ir.Element]:
    """The roots that messages are drawn for."""
    elements = model(schema).fragment if fragment else model(schema).document
    return [
        element
        for element in elements
        if not element.abstract and not element.type.abstract and element.name.name not in _SKIPPED
    ]


def draw(random: Random, element: ir.Element) -> Message | NamedValue:
    """A valid message for a root."""
    type_ = element.type
    if isinstance(type_, ir.RelaxedType):
        chosen = random.choice(type_.candidates)
        named = ir.Element(element.name, lambda: chosen, cls=chosen.cls)
        return NamedValue(element.name, value_of(named, random))
    value = plain(type_.value, random) if type_.cls is None and type_.value is not None else value_of(element, random)
    return value if element.own and isinstance(value, Message) else NamedValue(element.name, value)
