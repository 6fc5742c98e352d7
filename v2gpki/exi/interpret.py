"""The table-driven reader: slow, exact, and the only one that words errors; also traces and tolerates.

Strict, it refuses whatever a schema does not allow, but takes both codings of an empty value (EXI calls one of them
undeclared). Tolerant, it goes on behind facet breaches, undeclared attributes, elements and text, and missing elements:
each becomes a finding, with path and bit position; what cannot be told apart from noise (unknown codes, impossible
lengths) is refused in both. Input is bounded in size and depth, nothing recurses on it, each step consumes at least one
bit. Clauses: EXI 1.0 sections 5.1, 8.4.3, 8.5.1 to 8.5.4; ISO 15118-2 [V2G2-099], [V2G2-600].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from v2gpki.errors import Finding, V2GPKIError
from v2gpki.exi.bitstream import BitReader, Malformed
from v2gpki.exi.foreign import ANY_TYPE, ANYTHING, BUILT_IN, XSI_NIL, XSI_TYPE, NameTables, Strings
from v2gpki.exi.ir import (
    AnyElement,
    Binary,
    Element,
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
from v2gpki.exi.primitives import read_string, read_value
from v2gpki.exi.write import MAX_DEPTH, encode, expectation, waived

__all__ = ["MAX_DEPTH", "MAX_OCTETS", "Reading", "Step", "Trace", "decode", "encode", "read", "trace"]

#: The largest valid document that is known (2048 schedule entries) has 0.5 MB.
MAX_OCTETS = 4 * 1024 * 1024

HEADER = 0x80
_CLAUSE = "EXI 1.0 8.5.4"


class Step(msgspec.Struct, frozen=True):
    """One event: `codes` are (bit position, width, value) of each part of its code; the value's place is in bits."""

    event: str
    depth: int
    path: str
    name: str = ""
    codes: tuple[tuple[int, int, int], ...] = ()
    value: Plain | None = None
    value_position: int = 0
    value_bits: int = 0
    note: str = ""


class Reading(msgspec.Struct, frozen=True):
    """What was read: the root (None if it is undeclared, which only a tolerant reader takes) and its value."""

    element: Element | None
    value: object
    findings: tuple[Finding, ...]
    bits: int

    @property
    def message(self) -> object:
        """The value, with its name if its class does not tell it."""
        return self.value if self.element is None else _named(self.element, self.value)


class Trace(msgspec.Struct, frozen=True):
    """Every event up to the end or to the `error`; `reading` is None if there was one."""

    steps: tuple[Step, ...]
    reading: Reading | None
    error: V2GPKIError | None


def decode(
    schema: Schema, data: bytes, *, fragment: bool = False, ecog: bool = False, waivers: Sequence[str] = ()
) -> tuple[Element, object]:
    """The root and its value; strict. Raises `exi.*` with path, bit position, rule and size in `facts`."""
    reading = read(schema, data, fragment=fragment, ecog=ecog, waivers=waivers)
    assert reading.element is not None
    return reading.element, reading.value


def read(
    schema: Schema,
    data: bytes,
    *,
    fragment: bool = False,
    tolerant: bool = False,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> Reading:
    """Read a document or fragment.

    `tolerant` makes findings of what would be refused, `ecog` reads full lists as EcoG's grammars write them, `waivers`
    are paths (`*` stands for one step) whose facet breaches are let through. Raises `exi.*`.
    """
    return _Reader(schema, data, fragment=fragment, tolerant=tolerant, ecog=ecog, waivers=waivers, steps=None).run()


def trace(
    schema: Schema,
    data: bytes,
    *,
    fragment: bool = False,
    tolerant: bool = True,
    ecog: bool = False,
    waivers: Sequence[str] = (),
) -> Trace:
    """The same with every event; never raises for what the octets are: the error is a value."""
    steps: list[Step] = []
    reader = _Reader(schema, data, fragment=fragment, tolerant=tolerant, ecog=ecog, waivers=waivers, steps=steps)
    try:
        reading = reader.run()
    except V2GPKIError as problem:
        return Trace(tuple(steps), None, problem)
    return Trace(tuple(steps), reading, None)


class _Frame:
    """An element whose end has not been read."""

    __slots__ = (
        "attributes",
        "content",
        "count",
        "element",
        "fields",
        "name",
        "nil",
        "particle",
        "path",
        "place",
        "state",
        "text",
        "type",
    )

    def __init__(self, name: QName, element: Element | None, type_: Type, path: str, particle: Particle | None) -> None:
        self.name = name
        self.element = element
        self.type = type_
        self.path = path
        #: The particle of the parent that this element belongs to; None for a root and for what is undeclared.
        self.particle = particle
        self.state: State | None = type_.start
        #: The last particle read, and how often in a row.
        self.place: Particle | None = None
        self.count = 0
        self.fields: dict[str, object] = {}
        self.attributes: dict[QName, str] = {}
        self.content: list[object] = []
        self.text: Plain | None = None
        #: Whether `xsi:nil` has said that there is no content.
        self.nil = False


class _Reader:
    """One run over one stream."""

    def __init__(
        self,
        schema: Schema,
        data: bytes,
        *,
        fragment: bool,
        tolerant: bool,
        ecog: bool,
        waivers: Sequence[str],
        steps: list[Step] | None,
    ) -> None:
        self.schema = schema
        self.data = data
        self.fragment = fragment
        self.tolerant = tolerant
        self.ecog = ecog
        self.waivers = waivers
        self.steps = steps
        self.bits = BitReader(data, 8)
        self.findings: list[Finding] = []
        self.stack: list[_Frame] = []
        self.where = ""
        self.root: Element | None = None
        self.result: object = None
        self.codes: tuple[tuple[int, int, int], ...] = ()
        self._tables: NameTables | None = None
        self._strings = Strings() if tolerant else None

    @property
    def tables(self) -> NameTables:
        """The name tables; made when the first foreign name is met."""
        if self._tables is None:
            self._tables = NameTables(self.schema)
        return self._tables

    # --- the run

    def run(self) -> Reading:
        """Read everything."""
        try:
            self._header()
            self._root()
            while self.stack:
                self._event(self.stack[-1])
            self._finish()
        except Malformed as problem:
            self._refuse(problem.code, problem.what, problem.position)
        return Reading(self.root, self.result, tuple(self.findings), self.bits.position)

    def _header(self) -> None:
        data = self.data
        if len(data) > MAX_OCTETS:
            self._refuse("exi.limit", f"{len(data)} octets; at most {MAX_OCTETS} are read", 0, size=len(data))
        if not data:
            raise Malformed("exi.truncated", "there are no octets at all", 0)
        if data[0] != HEADER:
            hint = ""
            if data[:2] == b"\x01\xfe":
                hint = "this is a V2GTP frame: leave its 8 octets of header out"
            elif data[:4] == b"$EXI":
                hint = "ISO 15118 sends no EXI cookie"
            self._refuse(
                "exi.header", f"the first octet is {data[0]:#04x}; ISO 15118 streams begin with 0x80", 0, hint=hint
            )
        self._step("header", value=HEADER, at=0)

    def _root(self) -> None:
        at = self.bits.position
        schema = self.schema
        roots = schema.fragment if self.fragment else schema.document
        width = schema.fragment_bits if self.fragment else schema.document_bits
        code = self.bits.bits(width)
        self.codes = ((at, width, code),)
        kind = "fragment" if self.fragment else "document"
        if code < len(roots):
            element = self.root = roots[code]
            self._open(element.name, element, None, element.name.name)
        elif code == len(roots):
            name = self.tables.read(self.bits)
            self.where = name.name
            self._deviation("exi.undeclared", f"the root {name} is not declared in {schema.name}", at)
            self._open(name, None, None, name.name)
        elif self.fragment and code == schema.fragment_end:
            self._refuse("exi.event_code", "an empty fragment", at)
        else:
            self._refuse("exi.event_code", f"root code {code}; a {kind} of {schema.name} has {len(roots) + 1}", at)

    def _finish(self) -> None:
        reader = self.bits
        self.where = ""
        if self.fragment:
            at = reader.position
            code = reader.bits(self.schema.fragment_bits)
            self.codes = ((at, self.schema.fragment_bits, code),)
            if code != self.schema.fragment_end:
                self._refuse("exi.event_code", f"code {code} after the fragment, which must end there", at)
        else:
            self.codes = ()
        self._step("ED", at=reader.position)
        at = reader.position
        whole, fill = divmod(reader.remaining, 8)
        if reader.bits(fill):
            self._deviation("exi.trailing", "bits are set between the end of the message and the end of its octet", at)
        if whole:
            self._deviation("exi.trailing", f"{whole} octets follow the end of the message", at, size=whole)
        if self._strings is not None and self._strings.hits:
            hits = self._strings.hits
            self._deviation("exi.string_table", f"{hits} values are hits in a string table, which ISO 15118 lacks", 0)

    def _event(self, frame: _Frame) -> None:
        state = frame.state
        assert state is not None
        self.where = frame.path
        at = self.bits.position
        width = state.bits
        code = self.bits.bits(width)
        self.codes = ((at, width, code),)
        productions = state.productions
        if code < len(productions):
            self._declared(frame, state, productions[code])
        elif code == len(productions):
            self._undeclared(frame, state, at)
        else:
            self._refuse("exi.event_code", f"event code {code} where {len(productions) + 1} are possible", at)

    # --- first level

    def _declared(self, frame: _Frame, state: State, production: Production) -> None:
        event = production.event
        if event == "SE":
            self._start(frame, state, production)
            return
        if event == "EE":
            self._end(frame)
            return
        frame.state = frame.type.after(state, production)
        if frame.nil and frame.state is not None:
            frame.state = _nil_state(frame.state)
        if event == "CH":
            self._characters(frame)
        elif event == "CH_MIXED":
            text = self._text(frame.name)
            if text:
                self._container(frame).append(text)
        elif event == "SE_ANY":
            self._any(frame, state, production)
        elif event == "AT":
            attribute = production.attribute
            assert attribute is not None
            self.where = f"{frame.path}/@{attribute.name.name}"
            value = self._value("AT", attribute.name, attribute.value)
            if frame.type.relaxed:
                frame.attributes[attribute.name] = str(value)
            else:
                frame.fields[attribute.field] = value
        else:
            self._any_attribute(frame)

    def _start(self, frame: _Frame, state: State, production: Production) -> None:
        particle, element = production.particle, production.element
        assert element is not None
        if particle is None:
            self._refuse(
                "exi.unsupported",
                f"element {element.name} within {frame.name.name}, whose types have none",
                self.codes[0][0],
                clause="EXI 1.0 8.5.3",
            )
        frame.count = frame.count + 1 if particle is frame.place else 1
        frame.place = particle
        frame.state = frame.type.after(state, production, frame.count, ecog=self.ecog)
        path = f"{frame.path}/{element.name.name}"
        if particle.form != "one":
            path += f"[{frame.count}]"
        self._open(element.name, element, particle, path)

    def _any(self, frame: _Frame, state: State, production: Production) -> None:
        """An element under a wildcard, of any name."""
        particle = production.particle
        frame.count = frame.count + 1 if particle is frame.place else 1
        frame.place = particle
        frame.state = frame.type.after(state, production, frame.count)
        name = self.tables.read(self.bits)
        self._open(name, self.schema.roots.get(name), particle, f"{frame.path}/{name.name}")

    def _open(self, name: QName, element: Element | None, particle: Particle | None, path: str) -> None:
        at = self.codes[0][0]
        self.where = path
        self._step("SE", name=str(name), at=self.bits.position)
        if len(self.stack) >= MAX_DEPTH:
            self._refuse("exi.depth", f"elements are nested more than {MAX_DEPTH} deep", at)
        if element is None:
            self.stack.append(_Frame(name, None, BUILT_IN, path, particle))
            return
        if element.abstract or (element.type.abstract and not element.type.relaxed):
            self._refuse("exi.abstract", f"{name.name} is abstract: no such element can be sent", at)
        self.stack.append(_Frame(name, element, element.type, path, particle))

    def _characters(self, frame: _Frame) -> None:
        value = frame.type.value
        assert value is not None
        frame.text = self._value("CH", frame.name, value)

    def _value(self, event: str, name: QName, value: Value) -> Plain | None:
        """A typed value, its facets checked; None if a tolerant reader could not make sense of it."""
        reader = self.bits
        at = reader.position
        content: Plain | None
        try:
            if self._strings is not None and isinstance(value, Text):
                content = self._strings.read(reader, name)
            else:
                content = read_value(reader, value)
        except Malformed as problem:
            if problem.code != "exi.enumeration":
                raise
            self._deviation(problem.code, problem.what, at)
            content = None
        self._step(event, name=str(name), value=content, at=at)
        if content is not None:
            self._check(value, content, at)
        return content

    def _text(self, name: QName) -> str:
        """An untyped text."""
        at = self.bits.position
        text = read_string(self.bits) if self._strings is None else self._strings.read(self.bits, name)
        self._step("CH", value=text, at=at)
        return text

    def _any_attribute(self, frame: _Frame) -> None:
        name = self.tables.read(self.bits)
        self.where = f"{frame.path}/@{name.name}"
        if name == XSI_TYPE:
            self._typed(frame, self.codes[0][0])
            return
        at = self.bits.position
        text = read_string(self.bits) if self._strings is None else self._strings.read(self.bits, name)
        self._step("AT", name=str(name), value=text, at=at)
        if name in frame.attributes:
            self._refuse("exi.unexpected", f"attribute {name} stands twice", self.codes[0][0])
        frame.attributes[name] = text

    def _container(self, frame: _Frame) -> list[object]:
        """Where mixed content of an element goes."""
        if frame.type.mixed:
            return self._list(frame, frame.type.mixed)
        return frame.content

    @staticmethod
    def _list(frame: _Frame, field: str) -> list[object]:
        items = frame.fields.setdefault(field, [])
        assert isinstance(items, list)
        return items

    # --- the end of an element

    def _end(self, frame: _Frame) -> None:
        """Build the value and hand it to the parent."""
        self._step("EE", name=str(frame.name), at=self.bits.position)
        value = self._build(frame)
        self.stack.pop()
        element = frame.element
        if not self.stack:
            self.result = value
            return
        parent = self.stack[-1]
        particle = frame.particle
        if particle is None:
            if parent.type is ANYTHING or parent.type is BUILT_IN:
                parent.content.append(value if element is None else _named(element, value))
        elif value is None:
            return
        elif particle.wildcard:
            self._list(parent, particle.field).append(value if element is None else _named(element, value))
        elif particle.form == "one":
            parent.fields[particle.field] = value
        else:
            self._list(parent, particle.field).append(value)

    def _build(self, frame: _Frame) -> object:
        type_ = frame.type
        if type_ is ANYTHING or type_ is BUILT_IN:
            return AnyElement(name=frame.name, attributes=frame.attributes, content=tuple(frame.content))
        if isinstance(type_, RelaxedType):
            return self._relaxed(frame, type_)
        if type_.cls is None:
            return frame.text
        if type_.value is not None:
            if frame.text is None and isinstance(type_.value, Text | Binary):
                frame.text = "" if isinstance(type_.value, Text) else b""
            frame.fields[type_.value_field] = frame.text
        return construct(type_, frame.fields)

    def _relaxed(self, frame: _Frame, type_: RelaxedType) -> object:
        """A value of the candidate that has just these attributes; the text is checked as that type's."""
        text = "" if frame.text is None else frame.text
        candidate = type_.candidate(tuple(frame.attributes))
        if candidate is None or not isinstance(candidate.value, Text):
            names = ", ".join(name.name for name in frame.attributes) or "no attributes"
            self._refuse(
                "exi.unexpected",
                f"{frame.name.name} with {names} is of none of its types",
                self.codes[0][0],
                clause="EXI 1.0 8.5.3",
            )
        self._check(candidate.value, text, self.codes[0][0])
        if candidate.cls is None:
            return text
        fields: dict[str, object] = {candidate.value_field: text}
        for attribute in candidate.attributes:
            fields[attribute.field] = frame.attributes.get(attribute.name)
        return construct(candidate, fields)

    # --- second level

    def _undeclared(self, frame: _Frame, state: State, at: int) -> None:
        events = state.second
        width = code_bits(len(events))
        position = self.bits.position
        code = self.bits.bits(width)
        self.codes = (*self.codes, (position, width, code))
        if code >= len(events):
            self._refuse("exi.event_code", f"second code {code} where {len(events)} are possible", at)
        event = events[code]
        if event == "EE":
            self._early_end(frame, state, at)
        elif event == "CH":
            self._undeclared_text(frame, state, at)
        elif event == "SE(*)":
            self._undeclared_element(frame, state, at)
        elif event == "AT(*)":
            self._undeclared_attribute(frame, at)
        elif event == "AT(xsi:type)":
            self.where = f"{frame.path}/@xsi:type"
            self._typed(frame, at)
        elif event == "AT(xsi:nil)":
            self._nil(frame, state, at)
        else:
            self._refuse("exi.unsupported", "an attribute whose value is not of its type", at, clause=_CLAUSE)

    def _early_end(self, frame: _Frame, state: State, at: int) -> None:
        """EE that the schema does not have here: an empty value as EXIficient codes it, or something is missing."""
        type_ = frame.type
        if isinstance(type_.value, Text | Binary) and any(p.event == "CH" for p in state.productions):
            frame.text = "" if isinstance(type_.value, Text) else b""
            self._check(type_.value, frame.text, at)
        elif type_ is not BUILT_IN and frame.text is None:
            expected = expectation(state)
            self._deviation("exi.missing", f"{frame.name.name} ends where {expected} must come", at, rule=expected)
        self._end(frame)

    def _undeclared_text(self, frame: _Frame, state: State, at: int) -> None:
        foreign = frame.type is BUILT_IN or frame.type is ANYTHING
        text = self._text(frame.name)
        if not foreign:
            self._deviation("exi.undeclared", f"text that {frame.name.name} may not have", at, size=len(text))
        elif text:
            frame.content.append(text)
        if isinstance(frame.type.value, Text) and frame.text is None:
            frame.text = text
        self._into_content(frame, state)

    def _undeclared_element(self, frame: _Frame, state: State, at: int) -> None:
        name = self.tables.read(self.bits)
        path = f"{frame.path}/{name.name}"
        if frame.type is not BUILT_IN and frame.type is not ANYTHING:
            self.where = path
            self._deviation("exi.undeclared", f"element {name} is not allowed here", at, rule=expectation(state))
        self._into_content(frame, state)
        self._open(name, self.schema.roots.get(name), None, path)

    def _undeclared_attribute(self, frame: _Frame, at: int) -> None:
        if frame.type is BUILT_IN or frame.type is ANYTHING:
            self._any_attribute(frame)
            return
        name = self.tables.read(self.bits)
        self.where = f"{frame.path}/@{name.name}"
        position = self.bits.position
        text = read_string(self.bits) if self._strings is None else self._strings.read(self.bits, name)
        self._step("AT", name=str(name), value=text, at=position, note="undeclared")
        self._deviation("exi.undeclared", f"attribute {name} is not declared", at, size=len(text))

    @staticmethod
    def _into_content(frame: _Frame, state: State) -> None:
        """After undeclared content attributes are over; within the content the state stays."""
        if state.stage != "content":
            frame.state = _NIL_CONTENT if frame.nil else frame.type.empty_content

    def _typed(self, frame: _Frame, at: int) -> None:
        """`xsi:type`: anyType for what is undeclared; for anything declared only the type that it has."""
        position = self.bits.position
        name = self.tables.read(self.bits)
        self._step("AT", name=str(XSI_TYPE), value=str(name), at=position)
        if frame.type is BUILT_IN or frame.type is ANYTHING:
            if name != ANY_TYPE:
                self._refuse("exi.unsupported", f"xsi:type {name} of an undeclared element; only anyType is read", at)
            frame.type = ANYTHING
            frame.state = ANYTHING.start
            return
        if name.name not in {frame.type.name, frame.type.name + "Type"}:
            self._refuse("exi.unsupported", f"xsi:type {name} of an element of type {frame.type.name}", at)
        self._deviation("exi.undeclared", f"xsi:type {name}, which ISO 15118 does not send", at)

    def _nil(self, frame: _Frame, state: State, at: int) -> None:
        self.where = f"{frame.path}/@xsi:nil"
        position = self.bits.position
        nil = self.bits.bits(1) == 1
        self._step("AT", name=str(XSI_NIL), value=nil, at=position, note="undeclared")
        self._deviation("exi.undeclared", "xsi:nil: no element of ISO 15118 may be nil", at)
        if not nil:
            return
        frame.nil = True
        frame.state = _nil_state(state)

    # --- refusing and noting

    def _check(self, value: Value, content: Plain, at: int) -> None:
        """The facets of a value, unless they are waived here."""
        rule = value.breach(content)
        if not rule or (self.waivers and waived(self.where, self.waivers)):
            return
        size = content if isinstance(content, int) else len(content)
        shown = str(content) if isinstance(content, int) else f"{size} long"
        self._deviation("exi.facet", f"{rule}; it is {shown}", at, rule=rule, size=size)

    def _deviation(self, code: str, what: str, at: int, *, rule: str = "", size: int | None = None) -> None:
        """Refuse, or note if tolerant."""
        if not self.tolerant:
            self._refuse(code, what, at, rule=rule, size=size)
        facts = self._facts(at, rule, size)
        self.findings.append(Finding(code, "error", what, _CLAUSE, self.where, facts=facts))
        if self.steps is not None:
            self.steps.append(Step("!", len(self.stack), self.where, codes=((at, 0, 0),), note=f"{what} [{code}]"))

    def _facts(self, at: int, rule: str, size: int | None) -> Mapping[str, str | int]:
        facts: dict[str, str | int] = {"path": self.where, "schema": self.schema.name, "bit": at}
        if rule:
            facts["rule"] = rule
        if size is not None:
            facts["size"] = size
        return facts

    def _refuse(
        self,
        code: str,
        what: str,
        at: int,
        *,
        rule: str = "",
        size: int | None = None,
        hint: str = "",
        clause: str = "",
    ) -> NoReturn:
        place = f"{self.where}: " if self.where else ""
        raise V2GPKIError(
            code,
            f"{place}{what} (bit {at} of {8 * len(self.data)}, schema {self.schema.name})",
            hint=hint,
            clause=clause or _CLAUSE,
            facts=self._facts(at, rule, size),
            findings=self.findings,
        )

    def _step(self, event: str, *, name: str = "", value: Plain | None = None, at: int, note: str = "") -> None:
        if self.steps is None:
            return
        bits = self.bits.position - at
        depth = len(self.stack)
        self.steps.append(Step(event, depth, self.where, name, self.codes, value, at, bits, note))


_NIL_CONTENT = State((Production("EE"),), "content")


def _nil_state(state: State) -> State:
    """A state before the content when `xsi:nil` is true: attributes, then the end."""
    attributes = tuple(production for production in state.productions if production.event == "AT")
    required = attributes and attributes[-1].attribute is not None and attributes[-1].attribute.required
    return State(attributes if required else (*attributes, Production("EE")), state.stage)


def construct(type_: Type, fields: dict[str, object]) -> object:
    """An instance of the type's class; what is absent is None, lists become tuples."""
    assert type_.cls is not None
    complete: dict[str, object] = {attribute.field: None for attribute in type_.attributes}
    if type_.mixed:
        complete[type_.mixed] = ()
    for particle in type_.particles:
        complete[particle.field] = None if particle.form == "one" and not particle.wildcard else ()
    for field, value in fields.items():
        complete[field] = tuple(value) if isinstance(value, list) else value
    built: object = type_.cls(**complete)
    return built


def _named(element: Element, value: object) -> object:
    return value if element.own and element.cls is type(value) else NamedValue(element.name, value)
