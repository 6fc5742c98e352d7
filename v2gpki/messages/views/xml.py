"""Messages as XML, namespace-correct, read and written along the grammar.

Reading refuses document type declarations (and with them every entity), xsi:type and xsi:nil, unknown or misplaced
elements and attributes, and text that is no value; comments and processing instructions are passed over. Writing
refuses characters that XML cannot hold. Nothing is fetched, nothing is expanded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.parsers import expat

from v2gpki.errors import V2GPKIError
from v2gpki.exi import ir
from v2gpki.exi.foreign import is_name
from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import AnyElement, Message, NamedValue
from v2gpki.messages.views import lexical
from v2gpki.messages.views.roots import not_a_root, root_of, roots

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XML = "http://www.w3.org/XML/1998/namespace"
_XMLNS = "http://www.w3.org/2000/xmlns/"
#: Hints for validators, no part of the message.
_HINTS = {ir.QName("schemaLocation", _XSI), ir.QName("noNamespaceSchemaLocation", _XSI)}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"})


# --- writing --------------------------------------------------------------------------------------------------------


def write(grammar: Grammar, message: object, *, indent: bool = False) -> str:
    """The message as one element without an XML declaration; `indent` adds line breaks where they mean nothing."""
    element, value = root_of(grammar, message)
    return _Writer(grammar, indent=indent).document(element, value)


class _Writer:
    def __init__(self, grammar: Grammar, *, indent: bool) -> None:
        self._grammar = grammar
        self._indent = indent
        self._known = {namespace.uri: namespace.prefix for namespace in grammar.namespaces}
        self._used: dict[str, str] = {}
        self._out: list[str] = []
        self._path: list[str] = []

    def document(self, element: ir.Element, value: object) -> str:
        self._element(element.name, element.type, value)
        declarations = "".join(
            f' xmlns:{prefix}="{uri.translate(_ATTRIBUTE)}"' for uri, prefix in self._used.items() if uri != _XML
        )
        name = self._out[1]
        return "".join(("<", name, declarations, *self._out[2:]))

    def _name(self, name: ir.QName) -> str:
        if not name.uri:
            return name.name
        prefix = self._used.get(name.uri)
        if prefix is None:
            prefix = "xml" if name.uri == _XML else self._known.get(name.uri) or self._new_prefix(name.uri)
            self._used[name.uri] = prefix
        return f"{prefix}:{name.name}"

    def _new_prefix(self, uri: str) -> str:
        """A prefix for the namespace of a foreign name; what XML reserves or cannot hold is refused."""
        self._characters(uri, _ATTRIBUTE)
        if uri == _XMLNS:
            raise V2GPKIError(
                "messages.not_expressible",
                f"{lexical.path_text(self._path)}: XML allows no names in {uri}",
                hint="JSON can show it",
            )
        return f"ns{len(self._used)}"

    def _characters(self, text: str, table: Mapping[int, str]) -> str:
        found = _FORBIDDEN.search(text)
        if found:
            raise V2GPKIError(
                "messages.not_expressible",
                f"{lexical.path_text(self._path)}: XML has no character U+{ord(found[0]):04X}",
                hint="JSON can show it",
            )
        return text.translate(table)

    def _element(self, name: ir.QName, type_: ir.Type, value: object) -> None:
        self._path.append(name.name)
        if len(self._path) > lexical.MAX_DEPTH:
            raise lexical.too_deep(self._path)
        tag = self._name(name)
        self._out += ("<", tag)
        if isinstance(type_, ir.RelaxedType):
            type_ = _candidate_of(type_, value)
        plain = type_.cls is None
        if not plain and type(value) is not type_.cls:
            raise lexical.bad_value(self._path, type(value).__name__, f"stands where {type_.name} belongs")
        for attribute in type_.attributes:
            held = getattr(value, attribute.field)
            if held is not None:
                text = lexical.to_text(attribute.value, held, self._path)
                self._attribute(attribute.name, text)
        if type_.value is not None:
            text = lexical.to_text(type_.value, value if plain else getattr(value, type_.value_field), self._path)
            self._close(tag, self._characters(text, _TEXT))
        else:
            self._content(tag, type_, value)
        self._path.pop()

    def _attribute(self, name: ir.QName, text: str) -> None:
        self._out.append(f' {self._name(name)}="{self._characters(text, _ATTRIBUTE)}"')

    def _close(self, tag: str, text: str) -> None:
        self._out.append(f">{text}</{tag}>" if text else "/>")

    def _content(self, tag: str, type_: ir.Type, value: object) -> None:
        mark = len(self._out)
        self._out.append(">")
        breaks = self._indent and not type_.mixed
        fields: set[str] = set()
        for particle in type_.particles:
            held = getattr(value, particle.field)
            if held is None or particle.field in fields:
                continue
            fields.add(particle.field)
            items = held if particle.form != "one" else (held,)
            if not isinstance(items, (tuple, list)):
                raise lexical.bad_value([*self._path, particle.field], repr(items), "must be a tuple")
            for item in items:
                if breaks:
                    self._out.append("\n" + "  " * len(self._path))
                self._item(particle, type_, item)
        if len(self._out) == mark + 1:
            self._out[mark] = "/>"
            return
        if breaks:
            self._out.append("\n" + "  " * (len(self._path) - 1))
        self._out.append(f"</{tag}>")

    def _item(self, particle: ir.Particle, type_: ir.Type, item: object) -> None:
        if particle.form == "items":
            self._free(type_, item)
            return
        element = particle.element_for(item)
        if element is None:
            names = ", ".join(element.name.name for element in particle.elements if not element.abstract)
            raise lexical.unexpected(self._path, type(item).__name__, names)
        self._element(element.name, element.type, item)

    def _free(self, type_: ir.Type, item: object) -> None:
        """An item of content whose elements are told by class: text, a declared element, any element."""
        if isinstance(item, str):
            self._out.append(self._characters(item, _TEXT))
        elif isinstance(item, AnyElement):
            self._any(item)
        else:
            element, value = element_of_item(self._grammar, type_, item)
            self._element(element.name, element.type, value)

    def _any(self, item: AnyElement) -> None:
        self._path.append(item.name[0])
        if len(self._path) > lexical.MAX_DEPTH:
            raise lexical.too_deep(self._path)
        for local, _ in (item.name, *item.attributes):
            if not is_name(local):
                raise lexical.bad_value(self._path, local, "is no name")
        tag = self._name(ir.QName(*item.name))
        self._out += ("<", tag)
        for name, text in item.attributes.items():
            self._attribute(ir.QName(*name), text)
        mark = len(self._out)
        self._out.append(">")
        for child in item.content:
            self._free(_NOTHING, child)
        if len(self._out) == mark + 1:
            self._out[mark] = "/>"
        else:
            self._out.append(f"</{tag}>")
        self._path.pop()


_NOTHING = ir.Type("any")


def element_of_item(grammar: Grammar, type_: ir.Type, item: object) -> tuple[ir.Element, object]:
    """The element of an item: one of the type's own, else a global one by the wildcard."""
    if isinstance(item, Message):
        for particle in type_.particles:
            for element in particle.elements:
                if element.cls is type(item):
                    return element, item
    return root_of(grammar, item)


def _candidate_of(relaxed: ir.RelaxedType, value: object) -> ir.Type:
    """The type, of several under one name, that a value belongs to."""
    cls = type(value) if isinstance(value, Message) else None
    for type_ in relaxed.candidates:
        if type_.cls is cls:
            return type_
    raise lexical.bad_value([relaxed.name], type(value).__name__, "is no value of any of its types")


# --- reading --------------------------------------------------------------------------------------------------------


def read(grammar: Grammar, text: str | bytes, *, fragment: bool = False) -> tuple[ir.Element, object]:
    """The root and its value."""
    reader = _Reader(grammar, fragment=fragment)
    if isinstance(text, str):
        try:
            octets = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise V2GPKIError("messages.text_malformed", f"the text holds a lone surrogate ({error})") from None
        return reader.document(octets, "utf-8")
    return reader.document(text, None)


class _Open:
    """An element that is being read."""

    __slots__ = ("attributes", "element", "fields", "items", "name", "particle", "state", "text", "type")

    def __init__(self, name: ir.QName, element: ir.Element | None, particle: ir.Particle | None) -> None:
        self.name = name
        self.element = element
        #: Where the parent keeps it; None for a root and under a wildcard.
        self.particle = particle
        self.type: ir.Type = _NOTHING
        self.state: ir.State | None = None
        self.attributes: dict[ir.QName, str] = {}
        self.fields: dict[str, object] = {}
        self.items: list[object] = []
        self.text: list[str] = []


class _Reader:
    def __init__(self, grammar: Grammar, *, fragment: bool) -> None:
        self._grammar = grammar
        self._fragment = fragment
        self._open: list[_Open] = []
        self._counts: list[int] = []
        self._result: tuple[ir.Element, object] | None = None

    def document(self, octets: bytes, encoding: str | None) -> tuple[ir.Element, object]:
        parser = expat.ParserCreate(encoding, "}")
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(octets, True)
        except expat.ExpatError as error:
            raise V2GPKIError("messages.text_malformed", f"not well-formed XML: {error}") from None
        except V2GPKIError as error:
            error.facts = {**error.facts, "line": parser.CurrentLineNumber, "column": parser.CurrentColumnNumber + 1}
            raise
        if self._result is None:
            raise V2GPKIError("messages.text_malformed", "not well-formed XML: no element")
        return self._result

    @property
    def _path(self) -> list[str]:
        return [entry.name.name for entry in self._open]

    @staticmethod
    def _refuse_doctype(*_: object) -> None:
        raise V2GPKIError(
            "messages.text_malformed",
            "the XML has a document type declaration",
            hint="remove <!DOCTYPE ..>; messages need none, and entities are never expanded",
        )

    def _start(self, name: str, attributes: list[str]) -> None:
        qname = _qname(name)
        given = {_qname(attributes[i]): attributes[i + 1] for i in range(0, len(attributes), 2)}
        entry = self._place(qname)
        self._open.append(entry)
        if len(self._open) > lexical.MAX_DEPTH:
            raise lexical.too_deep(self._path)
        for hint in _HINTS:
            given.pop(hint, None)
        entry.attributes = given
        if entry.element is None:
            return
        entry.type = self._type(entry.element.type, given)
        known = {attribute.name: attribute for attribute in entry.type.attributes}
        for attribute_name, text in given.items():
            attribute = known.get(attribute_name)
            if attribute is None:
                raise lexical.unexpected(self._path, f"the attribute {attribute_name}", ", ".join(map(str, known)))
            entry.fields[attribute.field] = lexical.from_text(attribute.value, text, self._path)
        for attribute in entry.type.attributes:
            if attribute.required and attribute.name not in given:
                raise lexical.missing(self._path, f"the attribute {attribute.name}")
        if entry.type.value is None:
            entry.state = entry.type.empty_content

    def _type(self, type_: ir.Type, given: Mapping[ir.QName, str]) -> ir.Type:
        if not isinstance(type_, ir.RelaxedType):
            return type_
        chosen = type_.candidate(list(given))
        if chosen is None:
            raise lexical.unexpected(self._path, "this set of attributes", "those of one of the element's types")
        return chosen

    def _place(self, name: ir.QName) -> _Open:
        """Where a start tag fits: as the root, by the parent's state, or under a wildcard."""
        if not self._open:
            element = roots(self._grammar, fragment=self._fragment).get(name)
            if element is None or element.abstract:
                raise not_a_root(self._grammar, str(name))
            self._counts.append(0)
            return _Open(name, element, None)
        parent = self._open[-1]
        self._take_text(parent)
        if parent.element is None:
            return self._wild(name)
        if parent.state is None:
            raise lexical.unexpected(self._path, f"the element {name.name}", "text")
        production = _production(parent.state, name)
        if production is None:
            raise lexical.unexpected(self._path, f"the element {_told(parent.state, name)}", _offers(parent.state))
        particle = production.particle
        assert particle is not None
        again = parent.state.position == particle.index
        self._counts[-1] = self._counts[-1] + 1 if again else 1
        parent.state = parent.type.after(parent.state, production, self._counts[-1])
        self._counts.append(0)
        if production.event == "SE_ANY":
            return self._wild(name, particle)
        return _Open(name, production.element, particle)

    def _wild(self, name: ir.QName, particle: ir.Particle | None = None) -> _Open:
        if particle is None:
            self._counts.append(0)
        element = self._grammar.schema.roots.get(name)
        return _Open(name, None if element is None or element.abstract else element, particle)

    def _characters(self, text: str) -> None:
        self._open[-1].text.append(text)

    def _take_text(self, entry: _Open, *, closing: bool = False) -> None:
        """Text between tags: an item of mixed content; white space beside elements is none (so reads EXIficient)."""
        text = "".join(entry.text)
        entry.text.clear()
        blank = not text.strip(" \t\n\r")
        if not text or (blank and (not closing or entry.items)):
            return
        if entry.element is None or entry.type.mixed:
            entry.items.append(text)
        elif entry.type.value is not None or not blank:
            raise lexical.unexpected(self._path, f"the text {text.strip()[:20]!r}", "elements")

    def _end(self, _: str) -> None:
        entry = self._open[-1]
        value = self._value(entry)
        self._open.pop()
        self._counts.pop()
        if not self._open:
            assert entry.element is not None
            self._result = entry.element, value
            return
        parent = self._open[-1]
        particle = entry.particle
        if particle is None or particle.form == "items":
            declared = entry.element is None or isinstance(value, Message)
            parent.items.append(value if declared else NamedValue(entry.name, value))
        elif particle.form == "list":
            held = parent.fields.setdefault(particle.field, [])
            assert isinstance(held, list)
            held.append(value)
        else:
            parent.fields[particle.field] = value

    def _value(self, entry: _Open) -> object:
        if entry.element is None:
            self._take_text(entry, closing=True)
            return AnyElement(name=entry.name, attributes=entry.attributes, content=tuple(entry.items))
        type_ = entry.type
        if type_.value is not None:
            value = lexical.from_text(type_.value, "".join(entry.text), self._path)
            if type_.cls is None:
                return value
            entry.fields[type_.value_field] = value
        else:
            self._take_text(entry, closing=True)
            if entry.state is not None and not entry.state.ends:
                raise lexical.missing(self._path, _offers(entry.state))
        if entry.items:
            free = type_.mixed or next(particle.field for particle in type_.particles if particle.form == "items")
            entry.fields[free] = tuple(entry.items)
        fields = {name: tuple(held) if isinstance(held, list) else held for name, held in entry.fields.items()}
        assert type_.cls is not None
        return type_.cls(**fields)


def _qname(name: str) -> ir.QName:
    uri, _, local = name.rpartition("}")
    return ir.QName(local, uri)


def _production(state: ir.State, name: ir.QName) -> ir.Production | None:
    wildcard = None
    for production in state.productions:
        element = production.element
        if element is not None and element.name == name and not element.abstract:
            return production
        if production.event == "SE_ANY":
            wildcard = production
    return wildcard


def _offers(state: ir.State) -> str:
    names = [
        production.element.name.name
        for production in state.productions
        if production.element is not None and not production.element.abstract
    ]
    return " or ".join(names)


def _told(state: ir.State, name: ir.QName) -> str:
    """The name; with its namespace if that alone is wrong."""
    twins = [p.element.name for p in state.productions if p.element is not None and p.element.name.name == name.name]
    return f"{name} (the namespace should be {twins[0].uri or 'none'})" if twins else name.name
