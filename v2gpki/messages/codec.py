"""Messages to EXI and back: the public `decode` and `encode`, the schemas by name, and which schema a class belongs to.

Generated code does it (`exi.generate`); when it meets anything that is not exactly as the schema says, the interpreter
does it again, and either gets through (empty values in the other legal coding, wildcards, `KeyInfo`) or raises the
error that says where and why. Schemas: app, iso15118-2, iso15118-20-common, ac, dc, wpt, acdp, xmldsig; each is
compiled at first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from v2gpki.errors import V2GPKIError
from v2gpki.exi.generate import MISMATCH, Coder
from v2gpki.exi.ir import Element, NamedValue, QName, Schema
from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import Message, Namespace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from v2gpki.exi.interpret import Reading, Trace

_DS = "xmldsig:DS"
_TYPES = "iso20_types:TYPES"
#: Namespaces of each schema as `module:name`; the first ones are its own, its schema documents import the others.
NAMESPACES: Mapping[str, tuple[str, ...]] = {
    "app": ("app_protocol:APP_PROTOCOL",),
    "iso15118-2": ("iso2:DEF", "iso2:HEADER", "iso2:BODY", "iso2:TYPES", _DS),
    "iso15118-20-common": ("iso20_common:MESSAGES", _TYPES, _DS),
    "ac": ("iso20_ac:AC", _TYPES, _DS),
    "dc": ("iso20_dc:DC", _TYPES, _DS),
    "wpt": ("iso20_wpt:WPT", _TYPES, _DS),
    "acdp": ("iso20_acdp:ACDP", _TYPES, _DS),
    "xmldsig": (_DS,),
}
#: The schema of a message that is encoded without naming one, by namespace. A `SignedInfo` is coded with the schema of
#: XML signatures alone: that is how both editions sign it.
_HOME: Mapping[str, str] = {
    "urn:iso:15118:2:2010:AppProtocol": "app",
    "urn:iso:15118:2:2013:MsgDef": "iso15118-2",
    "urn:iso:15118:2:2013:MsgHeader": "iso15118-2",
    "urn:iso:15118:2:2013:MsgBody": "iso15118-2",
    "urn:iso:15118:2:2013:MsgDataTypes": "iso15118-2",
    "urn:iso:std:iso:15118:-20:CommonMessages": "iso15118-20-common",
    "urn:iso:std:iso:15118:-20:CommonTypes": "iso15118-20-common",
    "urn:iso:std:iso:15118:-20:AC": "ac",
    "urn:iso:std:iso:15118:-20:DC": "dc",
    "urn:iso:std:iso:15118:-20:WPT": "wpt",
    "urn:iso:std:iso:15118:-20:ACDP": "acdp",
    "http://www.w3.org/2000/09/xmldsig#": "xmldsig",
}

SCHEMAS: tuple[str, ...] = tuple(NAMESPACES)


def encode(
    message: Message | NamedValue,
    schema: str | None = None,
    fragment: bool = False,
    *,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> bytes:
    """The EXI of a message (header octet 0x80, bit-packed), or of a fragment as it is signed.

    `schema` is that of the message's namespace if not given. A value whose class does not tell its element's name is
    given as `NamedValue(QName(name, uri), value)`. Every length, range and count is checked, but for the paths in
    `waivers` (`V2G_Message/Body/*/EVCCID`; `*` is one step). `ecog` writes completely full lists as EcoG's grammars
    do, not as the schema says. Raises `V2GPKIError` (`exi.*`, `messages.*`).
    """
    if ecog or waivers:
        return _write(message, schema, fragment, ecog, waivers)
    write = _WRITERS.get((schema, fragment), _NO_WRITERS).get(type(message))
    if write is None:
        write = _find_writer(message, schema, fragment)
    try:
        return write(message)
    except MISMATCH:
        return _write(message, schema, fragment)


def decode(
    data: bytes,
    schema: str = "iso15118-2",
    fragment: bool = False,
    *,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> Message | NamedValue:
    """The message that the octets are; a `NamedValue` if the root has no class of its own.

    Strict: octets that mean no valid message are refused, also more octets than the message has. `ecog` and `waivers`
    as for `encode`. Raises `V2GPKIError` `exi.*` with the path, the bit position and the rule.
    """
    if ecog or waivers:
        return _read(data, schema, fragment, ecog, waivers)
    try:
        element, value = coder(schema).decode(data, fragment=fragment)
    except MISMATCH:
        return _read(data, schema, fragment)
    return _message(element, value)


def fits(data: bytes, schema: str) -> Message | NamedValue | None:
    """The message that the octets plainly are under a schema, as `decode` gives it; None where it would have to look
    closer, be it to refuse them: for finding out which of several schemas a message is of."""
    try:
        return _message(*coder(schema).decode(data))
    except MISMATCH:
        return None


def _message(element: Element, value: object) -> Message | NamedValue:
    return value if element.own and isinstance(value, Message) else NamedValue(element.name, value)


def read(
    data: bytes,
    schema: str = "iso15118-2",
    fragment: bool = False,
    *,
    tolerant: bool = True,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> Reading:
    """The message and, as findings, everything in it that breaks a rule: for looking at what real devices send.

    What cannot be told apart from noise is refused all the same: raises `V2GPKIError` `exi.*`.
    """
    from v2gpki.exi import interpret  # noqa: PLC0415 - most messages never need it

    octets = bytes(data)
    return interpret.read(model(schema), octets, fragment=fragment, tolerant=tolerant, ecog=ecog, waivers=waivers)


def trace(data: bytes, schema: str = "iso15118-2", fragment: bool = False, *, ecog: bool = False) -> Trace:
    """Every event with bit position, width and value, up to the end or the error; raises for an unknown schema only."""
    from v2gpki.exi import interpret  # noqa: PLC0415 - most messages never need it

    return interpret.trace(model(schema), bytes(data), fragment=fragment, ecog=ecog)


def model(schema: str) -> Schema:
    """The neutral grammar of a schema by name; raises `messages.unknown_schema`."""
    return grammar(schema).schema


@cache
def grammar(schema: str) -> Grammar:
    """The grammar of a schema by name; raises `messages.unknown_schema`."""
    if schema not in NAMESPACES:
        raise V2GPKIError(
            "messages.unknown_schema",
            f"there is no schema {schema!r}",
            hint="schemas: " + ", ".join(NAMESPACES),
        )
    namespaces: list[Namespace] = []
    for place in NAMESPACES[schema]:
        module, name = place.split(":")
        namespaces.append(getattr(importlib.import_module(f"v2gpki.messages.{module}"), name))
    return Grammar(schema, namespaces)


@cache
def coder(schema: str) -> Coder:
    """The generated code of a schema, compiled as it is used."""
    return Coder(grammar(schema).schema)


def prepare(
    schema: str,
    *,
    writes: Callable[[str], bool] = lambda _name: True,
    reads: Callable[[str], bool] = lambda _name: True,
    fragments: Collection[str] = (),
) -> None:
    """Compile a schema before its first use: of its messages those whose element's name is chosen, and ``fragments``,
    the elements that are signed. What is left out is compiled at its first use. Raises `messages.unknown_schema`."""
    coder(schema).prepare(
        writes=lambda element: writes(element.name.name),
        reads=lambda element: reads(element.name.name),
        fragments=fragments,
    )


def home_of(message: Message | NamedValue) -> str:
    """The schema that a message is coded with if none is named."""
    uri = message.name.uri if isinstance(message, NamedValue) else type(message).declaration.namespace.uri
    if uri not in _HOME:
        raise V2GPKIError("messages.unknown_schema", f"no schema has the namespace {uri!r}", hint="name the schema")
    return _HOME[uri]


def root_of(message: Message | NamedValue, schema: str, fragment: bool) -> tuple[Element, object]:
    """The root element of a message in a schema, and the value under it; raises `messages.not_a_root`."""
    model: Schema = grammar(schema).schema
    if isinstance(message, NamedValue):
        name, value = message.name, message.value
    else:
        declaration = type(message).declaration
        qualified = declaration.kind == "element" or declaration.namespace.qualified_elements
        name, value = QName(declaration.name, declaration.namespace.uri if qualified else ""), message
        if declaration.kind not in {"element", "local"}:
            raise V2GPKIError(
                "messages.not_a_root",
                f"{declaration.name} is a type: its element has another name",
                hint="give NamedValue(QName(name, uri), value)",
            )
    found = model.fragment_roots.get(name) if fragment else None
    element = model.roots.get(name) if not fragment else found[1] if found else None
    if element is None:
        kind = "fragment" if fragment else "document"
        raise V2GPKIError("messages.not_a_root", f"{name} is no root of a {kind} of the schema {schema}")
    return element, value


Writer = Callable[[object], bytes]


_NO_WRITERS: dict[type, Writer] = {}
_WRITERS: dict[tuple[str | None, bool], dict[type, Writer]] = {}


def _find_writer(message: Message | NamedValue, schema: str | None, fragment: bool) -> Writer:
    name = schema or home_of(message)
    element, value = root_of(message, name, fragment)
    write = coder(name).encoder(element, fragment=fragment)
    if isinstance(message, NamedValue):
        return lambda _: write(value)
    _WRITERS.setdefault((schema, fragment), {})[type(message)] = write
    return write


def _read(
    data: bytes, schema: str, fragment: bool, ecog: bool = False, waivers: Sequence[str] = ()
) -> Message | NamedValue:
    from v2gpki.exi import interpret  # noqa: PLC0415 - most messages never need it

    octets = bytes(data)
    return _message(*interpret.decode(model(schema), octets, fragment=fragment, ecog=ecog, waivers=waivers))


def _write(
    message: Message | NamedValue,
    schema: str | None,
    fragment: bool,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> bytes:
    from v2gpki.exi import interpret  # noqa: PLC0415 - most messages never need it

    name = schema or home_of(message)
    element, value = root_of(message, name, fragment)
    return interpret.encode(model(name), element, value, fragment=fragment, ecog=ecog, waivers=waivers)
