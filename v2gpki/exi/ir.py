"""The neutral grammar (IR): what the message classes say, in the form that both EXI back ends read.

A `Schema` holds global `Element`s (document roots) and all elements of all types (fragment roots), sorted as EXI
sorts: `QName` compares by local name, then URI. An element has a `Type`; a type has sorted `Attribute`s and either one
simple `Value` or `Particle`s under a content model. From these a type derives its `State`s on demand; a state is the
list of first-level productions, whose index is the event code, `bits` wide (one escape value is always counted in).
A walk:

    state, count = type.start, 0
    code = read(state.bits)                         # code == len(state.productions): second level, state.second
    production = state.productions[code]            # AT | SE | SE_ANY | EE | CH | CH_MIXED
    state = type.after(state, production, count)    # count: occurrences of the particle, this included

Clauses: EXI 1.0 section 8.5.4 (schema-informed grammars), 8.5.3 (element fragments), 8.5.2 (fragments), 8.5.1
(documents).
How each construct of a schema looks in here:

- document: `schema.document`, sorted roots; code = index, SE(*) = len, width `document_bits`; no escape, ED has no
  bits.
- fragment: `schema.fragment`, sorted, then SE(*), then ED (code `fragment_end`), width `fragment_bits`; no escape. One
  entry for each qname; if a qname has several types (-2 eMAID) its type is the relaxed element-fragment one:
  `type.relaxed` is true, every attribute name of the schema, AT(*), every element, SE(*), EE, CH in the first state;
  values are untyped strings; `type.candidates` are the types it stands for (a value with attributes belongs to the
  candidate with attributes).
- substitution group: one particle with several `elements`, sorted among themselves, the abstract head among them
  (`element.abstract`); the class of the Python value chooses the element (`element.cls`),
  `Particle.element_for(value)`.
- choice: the alternatives are particles with a field of their own each, all optional in Python; the model says that
  one is needed.
- optional runs: nothing special; a state offers everything up to the next required particle, then EE if none is left.
- list: one particle with `maximum` > 1 (None: unbounded), its field is a tuple (`form == "list"`). After `count` items
  the state offers SE again if count < maximum, and what follows if count >= minimum. `open_when_full`: EcoG's grammars
  still offer SE after the last item; `type.after(..., ecog=True)` does so too.
- sequence or choice that repeats (X509Data, KeyInfo): the alternatives share one field, a tuple of mixed classes in
  document order (`form == "items"`); each item's class chooses the particle.
- attributes: sorted, `Attribute.name` carries the URI when qualified; optional ones are None in Python when absent.
- simple content with attributes: `type.value` is set, `type.value_field` names the field of the text.
- simple element: `type.cls` is None, `type.value` is set, the Python value is the value itself (str, int, bool,
  bytes).
- mixed content: `type.mixed` names the items field that takes text (str items); CH_MIXED is offered after EE.
- wildcard: a particle with `wildcard` true and no elements; its items are `AnyElement`, or values of a global element.
  The generated code never reads or writes one: it hands over to the interpreter.
- empty complex type: no attributes, no value, no particles; the start state offers EE.
- derivation: the class inherits, particles of the base come first. Elements keep the namespace in which they were
  declared.
- same local name in several namespaces: different `QName`s, nothing else.
- enumeration: `Enumeration.values` in schema order, the Python value is the str.
- facets: on the `Value` (`Integer.minimum`, `Text.maximum` in code points, `Binary.maximum` in octets) and on lists;
  `breach()` names the rule that a value breaks, both back ends check it in both directions.
- waivers: paths (`V2G_Message/Body/X/Y`, `*` for one step) whose facet breaches are let through; the interpreter knows
  them, the generated code does not: it hands over on any breach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import msgspec

#: What a simple element or an attribute holds in Python.
Plain: TypeAlias = str | int | bool | bytes

Event = Literal["AT", "SE", "SE_ANY", "EE", "CH", "CH_MIXED", "AT_ANY"]
#: Which second-level list a state has: nothing read yet, an attribute read, content begun.
Stage = Literal["start", "tag", "content"]


class QName(NamedTuple):
    """A qualified name; its order as a tuple is EXI's order (local name, then URI)."""

    name: str
    uri: str = ""

    def __str__(self) -> str:
        return f"{{{self.uri}}}{self.name}" if self.uri else self.name


def code_bits(productions: int) -> int:
    """Width of an event code or index with so many possible values: ceil(log2 n)."""
    return (productions - 1).bit_length() if productions > 0 else 0


# --- values ---------------------------------------------------------------------------------------------------------


class Boolean(msgspec.Struct, frozen=True):
    """xs:boolean: one bit."""

    def breach(self, value: object) -> str:
        """The rule that the value breaks, or the empty string."""
        return "" if isinstance(value, bool) else "must be a bool"


class Enumeration(msgspec.Struct, frozen=True):
    """An enumeration in schema order: the index in ceil(log2 n) bits."""

    values: tuple[str, ...]

    @property
    def bits(self) -> int:
        """Width of the index."""
        return code_bits(len(self.values))

    def breach(self, value: object) -> str:
        """The rule that the value breaks, or the empty string."""
        return "" if isinstance(value, str) and value in self.values else "must be one of " + ", ".join(self.values)


class Integer(msgspec.Struct, frozen=True):
    """An integer within bounds, both inclusive, None for none; the range decides the coding (EXI 7.1.5, 7.1.9)."""

    minimum: int | None = None
    maximum: int | None = None

    @property
    def form(self) -> Literal["bits", "unsigned", "signed"]:
        """"bits": value - minimum in `bits` bits; else a varint, with a sign bit before if "signed"."""
        if self.minimum is None or (self.maximum is None and self.minimum < 0):
            return "signed"
        if self.maximum is not None and self.maximum - self.minimum < 4096:
            return "bits"
        return "unsigned" if self.minimum >= 0 else "signed"

    @property
    def bits(self) -> int:
        """Width of the form "bits"."""
        if self.minimum is None or self.maximum is None:
            return 0
        return code_bits(self.maximum - self.minimum + 1)

    def breach(self, value: object) -> str:
        """The rule that the value breaks, or the empty string."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be an int"
        if self.minimum is not None and value < self.minimum:
            return f"must be {self.minimum} or more"
        if self.maximum is not None and value > self.maximum:
            return f"must be {self.maximum} or less"
        return ""


class Text(msgspec.Struct, frozen=True):
    """A string; lengths in code points."""

    minimum: int = 0
    maximum: int | None = None

    def breach(self, value: object) -> str:
        """The rule that the value breaks, or the empty string."""
        if not isinstance(value, str):
            return "must be a str"
        if len(value) < self.minimum:
            return f"must have {self.minimum} characters or more"
        if self.maximum is not None and len(value) > self.maximum:
            return f"must have {self.maximum} characters or fewer"
        return ""


class Binary(msgspec.Struct, frozen=True):
    """base64Binary or hexBinary (the same bits, other XML text); lengths in octets."""

    minimum: int = 0
    maximum: int | None = None
    form: Literal["base64", "hex"] = "base64"

    def breach(self, value: object) -> str:
        """The rule that the value breaks, or the empty string."""
        if not isinstance(value, bytes):
            return "must be bytes"
        if len(value) < self.minimum:
            return f"must have {self.minimum} octets or more"
        if self.maximum is not None and len(value) > self.maximum:
            return f"must have {self.maximum} octets or fewer"
        return ""


Value: TypeAlias = Boolean | Enumeration | Integer | Text | Binary
#: What the attributes and characters of relaxed and unknown elements are.
UNTYPED = Text()


# --- what Python holds for content without a class of its own -----------------------------------------------------


class AnyElement(msgspec.Struct, frozen=True, kw_only=True):
    """An element that no schema declares, found under a wildcard; content holds str and elements in document order."""

    name: QName
    attributes: Mapping[QName, str] = {}
    content: tuple[object, ...] = ()


class NamedValue(msgspec.Struct, frozen=True):
    """A root whose value does not tell its name: an element without a class of its own (`EVCCID`)."""

    name: QName
    value: object


# --- structure ------------------------------------------------------------------------------------------------------


class Attribute(msgspec.Struct, frozen=True):
    """An attribute and the field that holds it."""

    name: QName
    field: str
    value: Value
    required: bool


class Element:
    """A declaration of an element. `type` is built at first use; `cls` is the class of its values, None if plain.

    `own` says that the class stands for this element alone, so that a value tells its name.
    """

    __slots__ = ("_resolve", "_type", "abstract", "cls", "name", "own")

    def __init__(
        self,
        name: QName,
        resolve: Callable[[], Type],
        *,
        cls: type | None = None,
        abstract: bool = False,
        own: bool = False,
    ) -> None:
        self.name = name
        self.cls = cls
        self.abstract = abstract
        self.own = own
        self._resolve = resolve
        self._type: Type | None = None

    @property
    def type(self) -> Type:
        """The type, built when first asked for."""
        if self._type is None:
            self._type = self._resolve()
        return self._type

    def __repr__(self) -> str:
        return f"Element({self.name})"


class Particle(msgspec.Struct, frozen=True, eq=False):
    """A place in a content model: one element, a substitution group, or a wildcard, and the field that holds it."""

    index: int
    field: str
    elements: tuple[Element, ...]
    form: Literal["one", "list", "items"] = "one"
    minimum: int = 1
    maximum: int | None = 1
    wildcard: bool = False
    open_when_full: bool = False

    def element_for(self, value: object) -> Element | None:
        """The element under which a value is written; None if the value does not belong here."""
        if len(self.elements) == 1 and self.form != "items":
            return self.elements[0]
        for element in self.elements:
            if element.cls is type(value) and not element.abstract:
                return element
        return None


class Group(msgspec.Struct, frozen=True, eq=False):
    """A node of a content model; a member is the index of a particle or a group. Repeating groups are unbounded."""

    kind: Literal["sequence", "choice"]
    members: tuple[int | Group, ...]
    minimum: int = 1
    repeats: bool = False


class Production(msgspec.Struct, frozen=True, eq=False):
    """One first-level production; what it needs of `attribute`, `particle`, `element` is set."""

    event: Event
    attribute: Attribute | None = None
    particle: Particle | None = None
    element: Element | None = None


class State(msgspec.Struct, frozen=True, eq=False):
    """First-level productions in code order. `position` is the last particle read (-1: none), for `Type.after`."""

    productions: tuple[Production, ...]
    stage: Stage
    position: int = -1
    full: bool = False

    @property
    def bits(self) -> int:
        """Width of the code; its escape value is `len(productions)`."""
        return code_bits(len(self.productions) + 1)

    @property
    def ends(self) -> bool:
        """Whether EE is offered."""
        return any(production.event == "EE" for production in self.productions)

    @property
    def second(self) -> tuple[str, ...]:
        """Events after the escape value, in code order, `code_bits(len)` wide (EXI 8.5.4.4, default fidelity)."""
        events = () if self.ends else ("EE",)
        if self.stage == "start":
            return (*events, "AT(xsi:type)", "AT(xsi:nil)", "AT(*)", "AT(*) untyped", "SE(*)", "CH")
        if self.stage == "tag":
            return (*events, "AT(*)", "AT(*) untyped", "SE(*)", "CH")
        return (*events, "SE(*)", "CH")


_EE = Production("EE")
_CH = Production("CH")
_CH_MIXED = Production("CH_MIXED")


class Type:
    """A complex or simple type. Field order: `particles` are in schema order, those of a base type first."""

    def __init__(
        self,
        name: str,
        *,
        cls: type | None = None,
        attributes: Sequence[Attribute] = (),
        value: Value | None = None,
        value_field: str = "",
        particles: Sequence[Particle] = (),
        model: Group | None = None,
        mixed: str = "",
        abstract: bool = False,
    ) -> None:
        self.name = name
        self.cls = cls
        self.attributes = tuple(sorted(attributes, key=lambda attribute: attribute.name))
        self.value = value
        self.value_field = value_field
        self.particles = tuple(particles)
        self.model = model or Group("sequence", tuple(range(len(self.particles))))
        self.mixed = mixed
        self.abstract = abstract
        self.relaxed = False
        self.candidates: tuple[Type, ...] = ()
        self._states: dict[tuple[int | str, ...], State] = {}
        self._follow: dict[int, tuple[list[int], bool]] | None = None

    def __repr__(self) -> str:
        return f"Type({self.name})"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that hold content, in schema order, each once (two particles may share one)."""
        names = dict.fromkeys(particle.field for particle in self.particles)
        return tuple(names) or ((self.mixed,) if self.mixed else ())

    @property
    def empty_content(self) -> State:
        """The state in which no content has been read, as it is after a text in mixed content."""
        return self._content_state(-1, full=True, minimum_met=True)

    # --- states

    @property
    def start(self) -> State:
        """The state after SE: attributes still to come."""
        return self._tag_state(0, "start")

    def after(self, state: State, production: Production, count: int = 0, *, ecog: bool = False) -> State | None:
        """The state that follows; None after EE. `count`: occurrences of the particle so far, this one included."""
        event = production.event
        if event == "EE":
            return None
        if event == "AT":
            assert production.attribute is not None
            return self._tag_state(self.attributes.index(production.attribute) + 1, "tag")
        if event == "CH":
            return self._kept(("ee",), lambda: State((_EE,), "content"))
        if event == "CH_MIXED":
            return self._content_state(state.position, state.full, minimum_met=True)
        particle = production.particle
        assert particle is not None
        full = particle.maximum is not None and count >= particle.maximum and not (ecog and particle.open_when_full)
        return self._content_state(particle.index, full, minimum_met=count >= particle.minimum)

    def _kept(self, key: tuple[int | str, ...], build: Callable[[], State]) -> State:
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = build()
        return state

    def _tag_state(self, position: int, stage: Stage) -> State:
        """Attributes from `position` up to the first required one; beyond it the content, if none is required."""

        def build() -> State:
            productions = []
            for attribute in self.attributes[position:]:
                productions.append(Production("AT", attribute=attribute))
                if attribute.required:
                    return State(tuple(productions), stage)
            return State((*productions, *self._content(-1, full=True, minimum_met=True)), stage)

        return self._kept((stage, position), build)

    def _content_state(self, position: int, full: bool, *, minimum_met: bool) -> State:
        return self._kept(
            ("content", position, int(full), int(minimum_met)),
            lambda: State(self._content(position, full=full, minimum_met=minimum_met), "content", position, full),
        )

    def _content(self, position: int, *, full: bool, minimum_met: bool) -> tuple[Production, ...]:
        """What may come after a particle (-1: at the beginning): SE in schema order, SE(*), EE, mixed CH."""
        if self.value is not None:
            return (_CH,)
        following, ends = self._followers(position)
        if position >= 0 and not minimum_met:
            following, ends = [position], False
        elif position >= 0 and not full and position not in following:
            following = sorted([*following, position])
        elements, wildcards = [], []
        for index in following:
            particle = self.particles[index]
            if particle.wildcard:
                wildcards.append(Production("SE_ANY", particle=particle))
            elements += [Production("SE", particle=particle, element=element) for element in particle.elements]
        end = (_EE,) if ends else ()
        return (*elements, *wildcards[:1], *end, *((_CH_MIXED,) if self.mixed else ()))

    def _followers(self, position: int) -> tuple[list[int], bool]:
        """Indices of the particles that may follow, in schema order, and whether the content may end there."""
        if self._follow is None:
            self._follow = _follow_table(self.particles, self.model)
        return self._follow[position]


def _follow_table(particles: Sequence[Particle], model: Group) -> dict[int, tuple[list[int], bool]]:
    """The automaton of a content model: for each particle (and -1, the beginning) its successors, and if it may end."""
    follow: dict[int, set[int]] = {particle.index: set() for particle in particles}

    def walk(node: int | Group) -> tuple[set[int], set[int], bool]:
        """(first, last, nullable); depth is that of the schema, never of the input."""
        if isinstance(node, int):
            return {node}, {node}, particles[node].minimum == 0
        parts = [walk(member) for member in node.members]
        if node.kind == "choice":
            first = set().union(*(part[0] for part in parts))
            last = set().union(*(part[1] for part in parts))
            nullable = any(part[2] for part in parts)
        else:
            first, last, nullable = set(), set(), True
            for part_first, part_last, part_nullable in parts:
                for index in last:
                    follow[index] |= part_first
                if nullable:
                    first |= part_first
                last = last | part_last if part_nullable else part_last
                nullable = nullable and part_nullable
        if node.repeats:
            for index in last:
                follow[index] |= first
        return first, last, nullable or node.minimum == 0

    first, last, nullable = walk(model)
    table = {index: (sorted(successors), index in last) for index, successors in follow.items()}
    table[-1] = (sorted(first), nullable)
    return table


class RelaxedType(Type):
    """The element-fragment grammar of a name with several types (EXI 8.5.3): nearly anything goes, untyped.

    Its elements have no types here: content other than text is refused by whoever reads it.
    """

    def __init__(
        self, name: str, candidates: Sequence[Type], attributes: Sequence[QName], elements: Sequence[QName]
    ) -> None:
        super().__init__(
            name, attributes=[Attribute(attribute, attribute.name, UNTYPED, required=False) for attribute in attributes]
        )
        self.relaxed = True
        self.candidates = tuple(candidates)
        self.value = UNTYPED
        known = (*(Production("SE", element=_unknown(element)) for element in elements), Production("SE_ANY"))
        tags = (*(Production("AT", attribute=attribute) for attribute in self.attributes), Production("AT_ANY"))
        self._tags = State((*tags, *known, _EE, _CH), "start")
        self._body = State((*known, _EE, _CH), "content")

    @property
    def start(self) -> State:
        """Attributes, elements, EE and untyped text; stays so after an attribute."""
        return self._tags

    def after(self, state: State, production: Production, count: int = 0, *, ecog: bool = False) -> State | None:
        """The state that follows; None after EE."""
        del count, ecog
        if production.event == "EE":
            return None
        return state if production.event in {"AT", "AT_ANY"} else self._body

    def candidate(self, attributes: Sequence[QName]) -> Type | None:
        """The type that has just these attributes (all that it requires, none that it lacks); None if there is none."""
        for type_ in self.candidates:
            names = {attribute.name for attribute in type_.attributes}
            required = {attribute.name for attribute in type_.attributes if attribute.required}
            if required <= set(attributes) <= names:
                return type_
        return None


def _unknown(name: QName) -> Element:
    return Element(name, lambda: Type(name.name, value=UNTYPED), abstract=True)


class Schema:
    """A set of schema documents that is coded as one: its roots, fragments and names (EXI 8.5.1 to 8.5.3).

    `fragment` and `names` are given as functions and called at first use: they need every type.
    """

    def __init__(
        self,
        name: str,
        document: Sequence[Element],
        fragment: Callable[[], Sequence[Element]],
        names: Callable[[], Sequence[tuple[str, tuple[str, ...]]]],
    ) -> None:
        self.name = name
        self.document = tuple(sorted(document, key=lambda element: element.name))
        self.document_bits = code_bits(len(self.document) + 1)
        self.roots: Mapping[QName, Element] = {element.name: element for element in self.document}
        self._fragment_source = fragment
        self._names_source = names

    @cached_property
    def fragment(self) -> tuple[Element, ...]:
        """Every element that is declared anywhere, each qname once, sorted."""
        return tuple(sorted(self._fragment_source(), key=lambda element: element.name))

    @cached_property
    def fragment_roots(self) -> Mapping[QName, tuple[int, Element]]:
        """Code and element of each fragment root by name."""
        return {element.name: (code, element) for code, element in enumerate(self.fragment)}

    @cached_property
    def fragment_bits(self) -> int:
        """Width of a fragment's root code."""
        return code_bits(len(self.fragment) + 2)

    @property
    def fragment_end(self) -> int:
        """The code of ED in a fragment; the one before it is SE(*)."""
        return len(self.fragment) + 1

    @cached_property
    def names(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The initial tables of URIs and their local names, for names under wildcards (EXI 7.3.1, appendix D)."""
        return tuple(self._names_source())
