"""Which element a message is the value of, for views: documents and fragments look alike in text."""

from __future__ import annotations

from collections.abc import Mapping

from v2gpki.errors import V2GPKIError
from v2gpki.exi.ir import Element, QName
from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import Message, NamedValue


def roots(grammar: Grammar, *, fragment: bool) -> Mapping[QName, Element]:
    """The elements that may be roots: of documents, or of fragments."""
    if fragment:
        return {name: element for name, (_, element) in grammar.schema.fragment_roots.items()}
    return grammar.schema.roots


def root_of(grammar: Grammar, message: object) -> tuple[Element, object]:
    """The element of a message or a fragment, and the value that it holds; raises `messages.not_a_root`."""
    if isinstance(message, NamedValue):
        name, value = QName(*message.name), message.value
    elif isinstance(message, Message) and message.declaration.kind in {"element", "local"}:
        declaration, value = message.declaration, message
        qualified = declaration.kind == "element" or declaration.namespace.qualified_elements
        name = QName(declaration.name, declaration.namespace.uri if qualified else "")
    else:
        raise not_a_root(grammar, type(message).__name__)
    element = grammar.schema.roots.get(name)
    if element is None and name in grammar.schema.fragment_roots:
        element = grammar.schema.fragment_roots[name][1]
    if element is None:
        raise not_a_root(grammar, str(name))
    return element, value


def not_a_root(grammar: Grammar, name: str) -> V2GPKIError:
    """No root of that name."""
    return V2GPKIError(
        "messages.not_a_root",
        f"{name} is no root of the schema {grammar.name}",
        hint="name another schema or ask for a fragment; the value of a type without an element goes into a NamedValue",
    )
