"""Messages as text: `to_xml`, `from_xml`, `to_json`, `from_json`, all read off the grammar.

Reading follows the content models; lengths, ranges and counts are the encoder's matter. Every refusal is a
`V2GPKIError`: `messages.text_malformed`, `.not_a_root`, `.unexpected`, `.missing`, `.bad_value`, `.not_expressible`.
"""

from __future__ import annotations

from v2gpki.exi.ir import Element
from v2gpki.messages.codec import grammar, home_of
from v2gpki.messages.schema import Message, NamedValue
from v2gpki.messages.views import json, xml


def to_xml(message: Message | NamedValue, schema: str | None = None, *, indent: bool = False) -> str:
    """A message or a fragment as one XML element; `indent` breaks lines where they mean nothing."""
    return xml.write(grammar(schema or home_of(message)), message, indent=indent)


def from_xml(text: str | bytes, schema: str = "iso15118-2", fragment: bool = False) -> Message | NamedValue:
    """The message that the XML is."""
    return _message(*xml.read(grammar(schema), text, fragment=fragment))


def to_json(message: Message | NamedValue, schema: str | None = None, *, indent: bool = False) -> str:
    """A message or a fragment as one JSON object with one member, named as the root element."""
    return json.write(grammar(schema or home_of(message)), message, indent=indent)


def from_json(text: str | bytes, schema: str = "iso15118-2", fragment: bool = False) -> Message | NamedValue:
    """The message that the JSON is."""
    return _message(*json.read(grammar(schema), text, fragment=fragment))


def _message(element: Element, value: object) -> Message | NamedValue:
    """The value if its class tells the element's name, else both."""
    return value if element.own and isinstance(value, Message) else NamedValue(element.name, value)
