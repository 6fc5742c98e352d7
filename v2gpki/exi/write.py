"""The table-driven writer: what the generated encoder hands over; the one that words why a message cannot be written.

It writes the canonical form of ISO 15118: no second-level codes (an empty value is characters of length 0), lists as
the schema says. On request other forms that are met: `ecog` (full lists as EcoG writes them), `empty_as_end`
(empty values as EXIficient writes them). Refuses what a schema does not allow, with path, rule and size. Nothing
recurses on the message. Clauses: EXI 1.0 8.4.3, 8.5.1 to 8.5.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NoReturn

from v2gpki.errors import V2GPKIError
from v2gpki.exi.bitstream import BitWriter
from v2gpki.exi.foreign import ANY_TYPE, ANYTHING, XSI_TYPE, NameTables, is_name
from v2gpki.exi.ir import (
    AnyElement,
    Binary,
    Boolean,
    Element,
    Enumeration,
    Integer,
    NamedValue,
    Particle,
    Plain,
    Production,
    QName,
    RelaxedType,
    Schema,
    State,
    Text,
    Type,
    Value,
    code_bits,
)
from v2gpki.exi.primitives import MAX_INTEGER_BITS, write_string, write_value

#: ISO 15118 documents are at most 11 elements deep; more is only possible under a wildcard.
MAX_DEPTH = 64
_CLAUSE = "EXI 1.0 8.5.4"
_PYTHON_TYPES: dict[type, type] = {Boolean: bool, Enumeration: str, Integer: int, Text: str, Binary: bytes}


def encode(
    schema: Schema,
    root: Element,
    value: object,
    *,
    fragment: bool = False,
    ecog: bool = False,
    waivers: Sequence[str] = (),
    empty_as_end: bool = False,
) -> bytes:
    """The octets of a document or fragment, header included.

    `waivers` are paths (`*` stands for one step) whose facet breaches are written nevertheless, where bits can hold
    them. Raises `exi.*` with path, rule and size in `facts`.
    """
    return _Writer(schema, fragment=fragment, ecog=ecog, waivers=waivers, empty_as_end=empty_as_end).run(root, value)


class _Frame:
    """An element whose end has not been written; `items` are (field, value) still to come, the last one first."""

    __slots__ = ("count", "items", "path", "place", "state", "type")

    def __init__(self, type_: Type, path: str, state: State, items: list[tuple[str, object]]) -> None:
        self.type = type_
        self.path = path
        self.state = state
        self.items = items
        self.place: Particle | None = None
        self.count = 0


class _Writer:
    """One run over one message."""

    def __init__(
        self, schema: Schema, *, fragment: bool, ecog: bool, waivers: Sequence[str], empty_as_end: bool
    ) -> None:
        self.schema = schema
        self.fragment = fragment
        self.ecog = ecog
        self.waivers = waivers
        self.empty_as_end = empty_as_end
        self.bits = BitWriter(b"\x80")
        self.stack: list[_Frame] = []
        self._tables: NameTables | None = None

    @property
    def tables(self) -> NameTables:
        """The name tables; made when the first foreign name is written."""
        if self._tables is None:
            self._tables = NameTables(self.schema)
        return self._tables

    def run(self, root: Element, value: object) -> bytes:
        """Write everything."""
        schema, name = self.schema, root.name
        if self.fragment:
            found = schema.fragment_roots.get(name)
            width = schema.fragment_bits
        else:
            element = schema.roots.get(name)
            found = None if element is None else (schema.document.index(element), element)
            width = schema.document_bits
        if found is None:
            kind = "fragment" if self.fragment else "document"
            self._refuse("exi.undeclared", name.name, f"{name} is no root of a {kind} of {schema.name}")
        code, element = found
        self.bits.bits(code, width)
        self._open(element, value, element.name.name)
        while self.stack:
            frame = self.stack[-1]
            if frame.items:
                self._item(frame, *frame.items.pop())
            else:
                self._end(frame.state, frame.path)
                self.stack.pop()
        if self.fragment:
            self.bits.bits(schema.fragment_end, width)
        return self.bits.finish()

    # --- elements

    def _open(self, element: Element, value: object, path: str) -> None:
        type_ = element.type
        if len(self.stack) >= MAX_DEPTH:
            self._refuse("exi.depth", path, f"elements are nested more than {MAX_DEPTH} deep")
        if isinstance(type_, RelaxedType):
            self._relaxed(type_, value, path)
            return
        if element.abstract or type_.abstract:
            self._refuse("exi.abstract", path, "it is abstract: no such element can be sent")
        if type_.cls is None:
            self._simple(type_, type_.start, value, path)
            return
        if type(value) is not type_.cls:
            rule = f"must be a {type_.cls.__name__}"
            self._refuse("exi.type", path, f"{rule}, is {_kind(value)}", rule=rule)
        state = self._attributes(type_, value, path)
        if type_.value is not None:
            self._simple(type_, state, getattr(value, type_.value_field), path)
            return
        self.stack.append(_Frame(type_, path, state, self._content(type_, value, path)))

    def _attributes(self, type_: Type, value: object, path: str) -> State:
        state = type_.start
        for attribute in type_.attributes:
            content = getattr(value, attribute.field)
            where = f"{path}/@{attribute.name.name}"
            if content is None:
                if attribute.required:
                    self._refuse("exi.missing", where, "the attribute is missing", rule="required")
                continue
            code = next(i for i, production in enumerate(state.productions) if production.attribute is attribute)
            self._value(state, code, attribute.value, content, where)
            state = self._after(type_, state, state.productions[code])
        return state

    def _content(self, type_: Type, value: object, path: str) -> list[tuple[str, object]]:
        """(field, item) of everything in a value, the last one first."""
        content: list[tuple[str, object]] = []
        for field in type_.fields:
            item = getattr(value, field)
            particles = [particle for particle in type_.particles if particle.field == field]
            if any(particle.form == "one" for particle in particles):
                if item is not None:
                    content.append((field, item))
                continue
            where = f"{path}/{field}"
            if not isinstance(item, tuple | list):
                self._refuse("exi.type", where, f"must be a tuple, is {_kind(item)}", rule="must be a tuple")
            for particle in particles:
                if particle.form == "list":
                    self._count(particle, len(item), where)
            content += [(field, member) for member in item]
        content.reverse()
        return content

    def _count(self, particle: Particle, count: int, path: str) -> None:
        rule = ""
        if count < particle.minimum:
            rule = f"must have {particle.minimum} items or more"
        elif particle.maximum is not None and count > particle.maximum:
            rule = f"must have {particle.maximum} items or fewer"
        if rule:
            self._refuse("exi.facet", path, f"{rule}; it has {count}", rule=rule, size=count)

    def _item(self, frame: _Frame, field: str, item: object) -> None:
        state = frame.state
        for code, production in enumerate(state.productions):
            if not self._takes(frame.type, production, field, item):
                continue
            self.bits.bits(code, state.bits)
            if production.event == "CH_MIXED":
                frame.state = self._after(frame.type, state, production)
                assert isinstance(item, str)
                self._string(item, frame.path)
                return
            particle = production.particle
            frame.count = frame.count + 1 if particle is frame.place else 1
            frame.place = particle
            frame.state = self._after(frame.type, state, production, frame.count)
            if production.event == "SE_ANY":
                self._any(item, frame.path)
                return
            assert production.element is not None
            assert particle is not None
            path = f"{frame.path}/{production.element.name.name}"
            self._open(production.element, item, path if particle.form == "one" else f"{path}[{frame.count}]")
            return
        self._misplaced(frame, field, item)

    def _takes(self, type_: Type, production: Production, field: str, item: object) -> bool:
        """Whether a production writes an item of a field."""
        if production.event == "CH_MIXED":
            return isinstance(item, str) and field == type_.mixed
        particle = production.particle
        if production.event == "SE":
            return particle is not None and particle.field == field and particle.element_for(item) is production.element
        if production.event != "SE_ANY" or (particle is not None and particle.field != field):
            return False
        return isinstance(item, AnyElement | NamedValue) or self._global(item) is not None

    def _global(self, value: object) -> Element | None:
        """The global element that a value is of by its class."""
        for element in self.schema.document:
            if element.own and element.cls is type(value):
                return element
        return None

    def _any(self, item: object, path: str) -> None:
        """An element under a wildcard: a declared one, or anything."""
        if isinstance(item, AnyElement):
            self._foreign(item, path)
            return
        value = item
        if isinstance(item, NamedValue):
            element = self.schema.roots.get(item.name)
            value = item.value
        else:
            element = self._global(item)
        if element is None:
            self._refuse("exi.undeclared", path, f"{_kind(item)} is no global element of {self.schema.name}")
        self.tables.write(self.bits, element.name)
        self._open(element, value, f"{path}/{element.name.name}")

    def _foreign(self, item: AnyElement, path: str) -> None:
        path = f"{path}/{item.name.name}"
        if len(self.stack) >= MAX_DEPTH:
            self._refuse("exi.depth", path, f"elements are nested more than {MAX_DEPTH} deep")
        self._names(path, item.name)
        # The start of a built-in grammar offers EE, AT(*), SE(*), CH in two bits; then xsi:type makes it anyType.
        self.bits.bits(1, 2)
        self._names(path, XSI_TYPE, ANY_TYPE)
        state = ANYTHING.start
        for name in sorted(item.attributes):
            self.bits.bits(0, state.bits)
            self._names(path, name)
            self._string(item.attributes[name], f"{path}/@{name.name}")
        self.stack.append(_Frame(ANYTHING, path, state, [("", part) for part in reversed(item.content)]))

    def _names(self, path: str, *names: QName) -> None:
        for name in names:
            self._encodable(name.uri, path)
            if not is_name(name.name):
                self._refuse("exi.name", path, f"{name.name[:40]!r} is no name")
            self.tables.write(self.bits, name)

    def _relaxed(self, type_: RelaxedType, value: object, path: str) -> None:
        """An element with several types, as a fragment: untyped (EXI 8.5.3)."""
        for candidate in type_.candidates:
            text_type = candidate.value
            if isinstance(text_type, Text) and type(value) is (str if candidate.cls is None else candidate.cls):
                break
        else:
            self._refuse("exi.type", path, f"{_kind(value)} is of none of its types")
        state = type_.start
        text = value
        if candidate.cls is not None:
            text = getattr(value, candidate.value_field)
            for attribute in candidate.attributes:
                content = getattr(value, attribute.field)
                if content is not None:
                    code = next(i for i, known in enumerate(type_.attributes) if known.name == attribute.name)
                    self._value(state, code, attribute.value, content, f"{path}/@{attribute.name.name}")
        code = next(i for i, production in enumerate(state.productions) if production.event == "CH")
        self._value(state, code, text_type, text, path)
        self._end(self._after(type_, state, state.productions[code]), path)

    # --- values

    def _simple(self, type_: Type, state: State, content: object, path: str) -> None:
        """A simple value and the end of its element."""
        if content is None:
            self._refuse("exi.missing", path, "the value is missing", rule="required")
        assert type_.value is not None
        if self.empty_as_end and content in ("", b""):
            second = state.second
            self.bits.bits(len(state.productions), state.bits)
            self.bits.bits(second.index("EE"), code_bits(len(second)))
            return
        code = next(i for i, production in enumerate(state.productions) if production.event == "CH")
        self._value(state, code, type_.value, content, path)
        self._end(self._after(type_, state, state.productions[code]), path)

    def _value(self, state: State, code: int, value: Value, content: object, path: str) -> None:
        """The code and a typed value."""
        plain = self._plain(value, content, path)
        self.bits.bits(code, state.bits)
        try:
            write_value(self.bits, value, plain)
        except ValueError:
            self._breach(value.breach(plain), plain, path)

    def _plain(self, value: Value, content: object, path: str) -> Plain:
        """The content, its Python type and facets checked."""
        rule = value.breach(content)
        wanted = _PYTHON_TYPES[type(value)]
        if not isinstance(content, str | int | bool | bytes) or type(content) is not wanted:
            rule = rule or f"must be a {wanted.__name__}"
            self._refuse("exi.type", path, f"must be a {wanted.__name__}, is {_kind(content)}", rule=rule)
        if rule and not self._waived(path):
            self._breach(rule, content, path)
        if isinstance(content, str):
            self._encodable(content, path)
        elif type(content) is int:
            # The bits that are written: a negative number is coded as the one's complement of itself.
            bits = (content if content >= 0 else ~content).bit_length()
            if bits > MAX_INTEGER_BITS:
                self._refuse("exi.limit", path, f"a number of {bits} bits", size=bits)
        return content

    def _string(self, text: str, path: str) -> None:
        if not isinstance(text, str):
            self._refuse("exi.type", path, f"must be a str, is {_kind(text)}", rule="must be a str")
        self._encodable(text, path)
        write_string(self.bits, text)

    def _encodable(self, text: str, path: str) -> None:
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            self._refuse("exi.character", path, "a lone surrogate is not a character")

    # --- states and refusals

    def _after(self, type_: Type, state: State, production: Production, count: int = 0) -> State:
        following = type_.after(state, production, count, ecog=self.ecog)
        assert following is not None
        return following

    def _end(self, state: State, path: str) -> None:
        for code, production in enumerate(state.productions):
            if production.event == "EE":
                self.bits.bits(code, state.bits)
                return
        self._missing(state, path)

    def _missing(self, state: State, path: str) -> NoReturn:
        wanted = expectation(state)
        self._refuse("exi.missing", path, f"{wanted} is missing", rule=f"required: {wanted}")

    def _misplaced(self, frame: _Frame, field: str, item: object) -> NoReturn:
        """Say why no production took an item."""
        path = f"{frame.path}/{field}"
        particles = [particle for particle in frame.type.particles if particle.field == field]
        allowed = {element for particle in particles for element in particle.elements}
        if not any(particle.element_for(item) is not None for particle in particles):
            names = sorted(element.name.name for element in allowed if not element.abstract)
            shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
            self._refuse("exi.type", path, f"{_kind(item)} is none of {shown}", rule=f"must be one of {shown}")
        offered = [production.particle for production in frame.state.productions if production.particle is not None]
        if not frame.state.ends and all(particle.index < particles[-1].index for particle in offered):
            self._missing(frame.state, frame.path)
        self._refuse("exi.unexpected", path, f"it may not stand here; possible: {expectation(frame.state)}")

    def _waived(self, path: str) -> bool:
        return bool(self.waivers) and waived(path, self.waivers)

    def _breach(self, rule: str, content: Plain, path: str) -> NoReturn:
        size = len(content) if isinstance(content, str | bytes) else int(content)
        shown = f"{size} long" if isinstance(content, str | bytes) else str(content)
        self._refuse("exi.facet", path, f"{rule}; it is {shown}", rule=rule, size=size)

    def _refuse(self, code: str, path: str, what: str, *, rule: str = "", size: int | None = None) -> NoReturn:
        facts: dict[str, str | int] = {"path": path, "schema": self.schema.name}
        if rule:
            facts["rule"] = rule
        if size is not None:
            facts["size"] = size
        raise V2GPKIError(code, f"{path}: {what}", clause=_CLAUSE, facts=facts)


def expectation(state: State) -> str:
    """What a state offers, in words."""
    names: list[str] = []
    for production in state.productions:
        if production.event == "AT" and production.attribute is not None:
            names.append(f"@{production.attribute.name.name}")
        elif production.event == "SE" and production.element is not None and not production.element.abstract:
            names.append(production.element.name.name)
        elif production.event == "CH":
            names.append("a value")
        elif production.event == "EE":
            names.append("the end")
        elif production.event == "SE_ANY":
            names.append("any element")
    if len(names) > 6:
        names = [*names[:5], f"one of {len(names) - 5} more"]
    return " or ".join(names) or "nothing"


def waived(path: str, waivers: Sequence[str]) -> bool:
    """Whether a waiver names the path; numbers of list items do not count, `*` stands for one step."""
    steps = [step.partition("[")[0] for step in path.split("/")]
    for waiver in waivers:
        wanted = waiver.split("/")
        if len(wanted) == len(steps) and all(fnmatchcase(step, want) for step, want in zip(steps, wanted, strict=True)):
            return True
    return False


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
