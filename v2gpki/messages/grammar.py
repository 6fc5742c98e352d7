"""Message classes -> the neutral grammar (`exi.ir`). Lazy: a type is built when it is first coded.

A schema is a tuple of namespaces; everything that was declared on them belongs to it. The element list of fragments,
which needs every annotation, is only built when a fragment is coded. Refuses a class that says something impossible
with `TypeError`: that is a mistake in our own classes, never in input.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

from v2gpki.exi import ir
from v2gpki.messages import schema as m

_SIMPLE: tuple[type, ...] = (str, int, bool, bytes)
_UNMARKED: Mapping[object, ir.Value] = {str: ir.Text(), bool: ir.Boolean()}


class _Field(msgspec.Struct, frozen=True):
    """A field's annotation, taken apart; `alternatives` are classes or simple annotations, None left out."""

    name: str
    namespace: m.Namespace
    alternatives: tuple[object, ...]
    markers: tuple[object, ...]
    optional: bool

    def marker(self, kind: type[m.MarkerT]) -> m.MarkerT | None:
        """The marker of that kind, if the annotation has one."""
        return next((marker for marker in self.markers if isinstance(marker, kind)), None)


def _unwrap(annotation: object) -> tuple[tuple[object, ...], tuple[object, ...], bool]:
    """(alternatives, markers, optional) of an annotation; markers of one alternative that is alone are lifted."""
    markers: list[object] = []
    optional = False
    alternatives: tuple[object, ...] = (annotation,)
    while len(alternatives) == 1:
        origin = get_origin(alternatives[0])
        if origin is Annotated:
            base, *more = get_args(alternatives[0])
            markers += more
            alternatives = (base,)
        elif origin in {Union, types.UnionType}:
            members = get_args(alternatives[0])
            alternatives = tuple(member for member in members if member is not type(None))
            optional = optional or len(alternatives) < len(members)
        else:
            break
    return alternatives, tuple(markers), optional


def fields(cls: type[m.Message]) -> Iterator[_Field]:
    """The fields of a class, those of its bases first, each with the namespace of the class that declares it."""
    for base in reversed(cls.__mro__):
        declaration = base.__dict__.get("declaration")
        if not isinstance(declaration, m.Declaration):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            alternatives, markers, optional = _unwrap(annotation)
            if alternatives and get_origin(alternatives[0]) is tuple:
                inner, inner_markers, _ = _unwrap(get_args(alternatives[0])[0])
                alternatives, markers = inner, (*markers, *inner_markers)
            yield _Field(name, declaration.namespace, alternatives, markers, optional)


def value_of(alternatives: Sequence[object], markers: Sequence[object]) -> ir.Value | None:
    """The simple value that an annotation means; None if it means a class."""
    base = alternatives[0]
    if get_origin(base) is Literal:
        return ir.Enumeration(get_args(base))
    if base not in _SIMPLE:
        return None
    value = next((value for marker in markers if (value := _marked(marker)) is not None), _UNMARKED.get(base))
    if value is None:
        raise TypeError(f"{base} needs a marker that says how it is coded")
    return value


def _marked(marker: object) -> ir.Value | None:
    match marker:
        case m.Integer(minimum, maximum):
            return ir.Integer(minimum, maximum)
        case m.String(maximum, minimum):
            return ir.Text(minimum, maximum)
        case m.Base64(maximum, minimum):
            return ir.Binary(minimum, maximum, "base64")
        case m.Hex(maximum, minimum):
            return ir.Binary(minimum, maximum, "hex")
        case _:
            return None


class Grammar:
    """The types of one schema. Types are shared by all elements of the schema that use the class."""

    def __init__(self, name: str, namespaces: Sequence[m.Namespace]) -> None:
        self.name = name
        self.namespaces = tuple(namespaces)
        self._types: dict[type, ir.Type] = {}
        self._simple: dict[ir.Value, ir.Type] = {}
        self.schema = ir.Schema(name, self._document(), self._fragment, self._names)
        #: The element that a class stands for, if it stands for one.
        self.elements: Mapping[type, ir.Element] = {
            element.cls: element for element in self.schema.document if element.own and element.cls is not None
        }

    # --- types

    def type_of(self, cls: type[m.Message]) -> ir.Type:
        """The type of a class, built at first use."""
        found = self._types.get(cls)
        if found is None:
            found = self._types[cls] = self._build(cls)
        return found

    def _simple_type(self, value: ir.Value) -> ir.Type:
        found = self._simple.get(value)
        if found is None:
            found = self._simple[value] = ir.Type(type(value).__name__, value=value)
        return found

    def _build(self, cls: type[m.Message]) -> ir.Type:
        attributes: list[ir.Attribute] = []
        particles: list[ir.Particle] = []
        members: list[int | ir.Group] = []
        value: ir.Value | None = None
        value_field = mixed = ""
        choice = ""
        for field in fields(cls):
            simple = value_of(field.alternatives, field.markers) if len(field.alternatives) == 1 else None
            if field.marker(m.Attribute):
                attributes.append(self._attribute(field, simple))
            elif field.marker(m.Content):
                value, value_field = simple, field.name
            elif (items := field.marker(m.Items)) is not None:
                found = self._items(field, len(particles))
                particles += found
                members.append(ir.Group("choice", tuple(part.index for part in found), items.minimum, repeats=True))
                mixed = field.name if str in field.alternatives else mixed
            else:
                particle = self._particle(field, len(particles), simple)
                particles.append(particle)
                choice = _append(members, particle.index, field.marker(m.Choice), choice)
        model = ir.Group("sequence", tuple(members))
        if cls.model is not None:
            particles, model = _written_out(cls.model, particles)
        return ir.Type(
            cls.__name__,
            cls=cls,
            attributes=attributes,
            value=value,
            value_field=value_field,
            particles=particles,
            model=model,
            mixed=mixed,
            abstract=cls.declaration.kind == "abstract",
        )

    def _attribute(self, field: _Field, simple: ir.Value | None) -> ir.Attribute:
        if simple is None:
            raise TypeError(f"attribute {field.name} has no simple type")
        named = field.marker(m.Named)
        namespace = field.namespace if named is None else named.namespace
        uri = namespace.uri if namespace.qualified_attributes else ""
        return ir.Attribute(ir.QName(field.name, uri), field.name, simple, not field.optional)

    def _particle(self, field: _Field, index: int, simple: ir.Value | None) -> ir.Particle:
        occurs = field.marker(m.Occurs)
        substitutes = field.marker(m.Substitutes)
        elements = self._substitutes(field, substitutes) if substitutes else (self._local(field, simple),)
        if occurs is None:
            in_choice = field.marker(m.Choice) is not None
            return ir.Particle(index, field.name, elements, minimum=0 if field.optional and not in_choice else 1)
        return ir.Particle(
            index, field.name, elements, "list", occurs.minimum, occurs.maximum, open_when_full=occurs.open_when_full
        )

    def _local(self, field: _Field, simple: ir.Value | None) -> ir.Element:
        """The element of an ordinary field."""
        named = field.marker(m.Named)
        if named is not None:
            name = ir.QName(named.name or field.name, named.namespace.uri)
        else:
            name = ir.QName(field.name, field.namespace.uri if field.namespace.qualified_elements else "")
        if simple is not None:
            return ir.Element(name, lambda: self._simple_type(simple))
        (cls,) = field.alternatives
        if not (isinstance(cls, type) and issubclass(cls, m.Message)):
            raise TypeError(f"{field.name}: {cls} is not a message class")
        return ir.Element(name, lambda: self.type_of(cls), cls=cls)

    def _own(self, cls: type[m.Message]) -> ir.Element:
        """The element that a class declares."""
        declaration = cls.declaration
        qualified = declaration.kind == "element" or declaration.namespace.qualified_elements
        name = ir.QName(declaration.name, declaration.namespace.uri if qualified else "")
        return ir.Element(name, lambda: self.type_of(cls), cls=cls, own=True)

    def _substitutes(self, field: _Field, substitutes: m.Substitutes) -> tuple[ir.Element, ...]:
        elements = []
        for cls in field.alternatives:
            if not (isinstance(cls, type) and issubclass(cls, m.Message) and cls.declaration.kind == "element"):
                raise TypeError(f"{field.name}: {cls} is not declared as an element")
            elements.append(self._own(cls))
        if substitutes.head:
            namespace = substitutes.namespace or field.namespace
            elements.append(_abstract(ir.QName(substitutes.head, namespace.uri)))
        return tuple(sorted(elements, key=lambda element: element.name))

    def _items(self, field: _Field, index: int) -> list[ir.Particle]:
        particles: list[ir.Particle] = []
        for alternative in field.alternatives:
            position = index + len(particles)
            if alternative is ir.AnyElement:
                particles.append(ir.Particle(position, field.name, (), "items", 1, 1, wildcard=True))
            elif alternative not in {m.Message, str}:
                if not (isinstance(alternative, type) and issubclass(alternative, m.Message)):
                    raise TypeError(f"{field.name}: {alternative} is not a message class")
                particles.append(ir.Particle(position, field.name, (self._own(alternative),), "items"))
        return particles

    # --- the lists of a schema

    def _document(self) -> list[ir.Element]:
        elements = []
        for namespace in self.namespaces:
            elements += [self._own(cls) for cls in namespace.classes if cls.declaration.kind == "element"]
            elements += [_abstract(ir.QName(name, namespace.uri)) for name in namespace.abstract_heads]
            for name, annotation in namespace.simple_elements.items():
                alternatives, markers, _ = _unwrap(annotation)
                elements.append(self._simple_element(ir.QName(name, namespace.uri), value_of(alternatives, markers)))
        return elements

    def _simple_element(self, name: ir.QName, value: ir.Value | None) -> ir.Element:
        if value is None:
            raise TypeError(f"{name} has no simple type")
        return ir.Element(name, lambda: self._simple_type(value))

    def _classes(self) -> Iterator[type[m.Message]]:
        for namespace in self.namespaces:
            yield from namespace.classes

    def _fragment(self) -> list[ir.Element]:
        """Every declared element, each name once; a name with several types gets the relaxed type (EXI 8.5.3)."""
        declared: dict[ir.QName, list[ir.Element]] = {}
        attributes: dict[ir.QName, ir.Attribute] = {}
        for element in self.schema.document:
            declared.setdefault(element.name, []).append(element)
        for cls in self._classes():
            type_ = self.type_of(cls)
            if cls.declaration.kind == "local":
                declared.setdefault(self._own(cls).name, []).append(self._own(cls))
            for particle in type_.particles:
                for element in particle.elements:
                    declared.setdefault(element.name, []).append(element)
            for attribute in type_.attributes:
                attributes.setdefault(attribute.name, attribute)
        names = sorted(declared)
        return [self._of_several(name, declared[name], sorted(attributes), names) for name in names]

    def _of_several(
        self, name: ir.QName, elements: Sequence[ir.Element], attributes: Sequence[ir.QName], names: Sequence[ir.QName]
    ) -> ir.Element:
        """The element that stands for all declarations of a name."""
        owner = next((element for element in elements if element.own), elements[0])
        candidates = {_signature(element.type): element.type for element in elements if not element.abstract}
        if len(candidates) < 2:
            return owner
        relaxed = ir.RelaxedType(name.name, tuple(candidates.values()), attributes, names)
        return ir.Element(name, lambda: relaxed, own=owner.own)

    def _names(self) -> list[tuple[str, tuple[str, ...]]]:
        """URIs and local names as the string tables begin (EXI 7.3.1, appendix D); for names under wildcards."""
        from v2gpki.messages.type_names import TYPE_NAMES  # noqa: PLC0415 - rarely needed: keeps start-up fast

        tables: dict[str, set[str]] = {"": set()}
        for namespace in self.namespaces:
            declared = namespace.type_names or TYPE_NAMES.get(namespace.uri, "").split()
            tables.setdefault(namespace.uri, set()).update(declared)
        for element in self.schema.fragment:
            tables.setdefault(element.name.uri, set()).add(element.name.name)
        for cls in self._classes():
            for attribute in self.type_of(cls).attributes:
                tables.setdefault(attribute.name.uri, set()).add(attribute.name.name)
        uris = sorted(uri for uri in tables if uri)
        return [
            ("", tuple(sorted(tables[""]))),
            ("http://www.w3.org/XML/1998/namespace", ("base", "id", "lang", "space")),
            ("http://www.w3.org/2001/XMLSchema-instance", ("nil", "type")),
            ("http://www.w3.org/2001/XMLSchema", ()),
            *((uri, tuple(sorted(tables[uri]))) for uri in uris),
        ]


def _append(members: list[int | ir.Group], index: int, choice: m.Choice | None, open_choice: str) -> str:
    """Add a particle to the sequence, or to the choice that its neighbour opened; the name of the open choice."""
    if choice is None:
        members.append(index)
        return ""
    last = members[-1] if members else None
    if choice.name == open_choice and isinstance(last, ir.Group):
        members[-1] = ir.Group("choice", (*last.members, index), last.minimum)
    else:
        members.append(ir.Group("choice", (index,), choice.minimum))
    return choice.name


def _abstract(name: ir.QName) -> ir.Element:
    return ir.Element(name, lambda: ir.Type(name.name, abstract=True), abstract=True)


def _signature(type_: ir.Type) -> object:
    """Equal for types that are coded alike by name: a class with text alone is its simple type."""
    if type_.value is not None and not type_.attributes:
        return type_.value
    return type_.cls


def _written_out(group: m.Group, particles: Sequence[ir.Particle]) -> tuple[list[ir.Particle], ir.Group]:
    """The particles and the model that a class has written out; an element may stand in it twice."""
    by_name = {("##any" if particle.wildcard else particle.elements[0].name.name): particle for particle in particles}
    placed: list[ir.Particle] = []

    def place(entry: str | m.Group) -> int | ir.Group:
        if isinstance(entry, m.Group):
            return ir.Group(entry.kind, tuple(place(member) for member in entry.members), entry.minimum, entry.repeats)
        particle = by_name[entry.rstrip("?*")]
        minimum = 0 if entry[-1] in "?*" else 1
        placed.append(
            ir.Particle(
                len(placed),
                particle.field,
                particle.elements,
                particle.form,
                minimum,
                None if entry[-1] == "*" else 1,
                wildcard=particle.wildcard,
            )
        )
        return placed[-1].index

    model = place(group)
    assert isinstance(model, ir.Group)
    return placed, model
