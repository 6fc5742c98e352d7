"""Messages as JSON: one object, keyed by the root's name; members are named as in the standard.

Octets are base64 or upper-case hex, as in XML; integers are numbers of any size; attributes stand beside elements; the
text of an element with attributes is its member `value`. Free content (xmldsig) is an array `content` of strings and
one-member objects; an undeclared element is `{"##any": {"name", "attributes", "content"}}`. A root whose local name
is that of several others is written `{uri}name`. Reading refuses unknown and repeated members and wrong types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from v2gpki.errors import V2GPKIError
from v2gpki.exi import ir
from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import AnyElement, Message, NamedValue
from v2gpki.messages.views import lexical
from v2gpki.messages.views.roots import not_a_root, root_of, roots
from v2gpki.messages.views.xml import element_of_item

Json: TypeAlias = "str | int | bool | list[Json] | dict[str, Json] | None"
_ANY = "##any"


# --- writing --------------------------------------------------------------------------------------------------------


def write(grammar: Grammar, message: object, *, indent: bool = False) -> str:
    """The message as one JSON object, on one line unless `indent`."""
    element, value = root_of(grammar, message)
    tree = {_root_name(grammar, element.name): _Writer(grammar).value(element.type, value, [element.name.name])}
    return json.dumps(tree, ensure_ascii=False, indent=2 if indent else None)


def _root_name(grammar: Grammar, name: ir.QName) -> str:
    """The local name if it is enough: that of a global element, or of one only."""
    if name in grammar.schema.roots or sum(other.name == name.name for other in grammar.schema.fragment_roots) == 1:
        return name.name
    return str(name)


class _Writer:
    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def value(self, type_: ir.Type, value: object, path: list[str]) -> Json:
        if len(path) > lexical.MAX_DEPTH:
            raise lexical.too_deep(path)
        if isinstance(type_, ir.RelaxedType):
            cls = type(value) if isinstance(value, Message) else None
            type_ = next((candidate for candidate in type_.candidates if candidate.cls is cls), type_)
        if type_.cls is None and type_.value is not None:
            return _plain(type_.value, value, path)
        if type(value) is not type_.cls:
            raise lexical.bad_value(path, type(value).__name__, f"stands where {type_.name} belongs")
        members: dict[str, Json] = {}
        for attribute in type_.attributes:
            held = getattr(value, attribute.field)
            if held is not None:
                members[attribute.field] = _plain(attribute.value, held, path)
        if type_.value is not None:
            members[type_.value_field] = _plain(type_.value, getattr(value, type_.value_field), path)
        for particle in type_.particles:
            held = getattr(value, particle.field)
            if held is not None:
                self._particle(members, type_, particle, held, path)
        return members

    def _particle(
        self, members: dict[str, Json], type_: ir.Type, particle: ir.Particle, held: object, path: list[str]
    ) -> None:
        if particle.form == "one":
            element = self._element(particle, held, path)
            members[element.name.name] = self.value(element.type, held, [*path, element.name.name])
            return
        if not isinstance(held, (tuple, list)):
            raise lexical.bad_value([*path, particle.field], repr(held), "must be a tuple")
        if not held or particle.field in members:
            return
        if particle.form == "items":
            members[particle.field] = [self._free(type_, item, path) for item in held]
            return
        items: list[Json] = []
        for item in held:
            element = self._element(particle, item, path)
            items.append(self.value(element.type, item, [*path, element.name.name]))
        members[particle.field] = items

    @staticmethod
    def _element(particle: ir.Particle, item: object, path: list[str]) -> ir.Element:
        element = particle.element_for(item)
        if element is None:
            names = ", ".join(element.name.name for element in particle.elements if not element.abstract)
            raise lexical.unexpected(path, type(item).__name__, names)
        return element

    def _free(self, type_: ir.Type, item: object, path: list[str]) -> Json:
        if isinstance(item, str):
            return item
        if isinstance(item, AnyElement):
            path = [*path, item.name[0]]
            if len(path) > lexical.MAX_DEPTH:
                raise lexical.too_deep(path)
            attributes: dict[str, Json] = {str(ir.QName(*name)): text for name, text in item.attributes.items()}
            content = [self._free(ir.Type("any"), child, path) for child in item.content]
            return {_ANY: {"name": str(ir.QName(*item.name)), "attributes": attributes, "content": content}}
        element, value = element_of_item(self._grammar, type_, item)
        return {element.name.name: self.value(element.type, value, [*path, element.name.name])}


def _plain(kind: ir.Value, value: object, path: list[str]) -> Json:
    text = lexical.to_text(kind, value, path)
    return value if isinstance(value, (bool, int)) else text


# --- reading --------------------------------------------------------------------------------------------------------


def read(grammar: Grammar, text: str | bytes, *, fragment: bool = False) -> tuple[ir.Element, object]:
    """The root and its value."""
    try:
        tree: Json = json.loads(text, object_pairs_hook=_members, parse_float=_no_float, parse_constant=_no_float)
    except RecursionError:
        raise lexical.too_deep([]) from None
    except ValueError as error:
        raise V2GPKIError("messages.text_malformed", f"not JSON: {error}") from None
    if not isinstance(tree, dict) or len(tree) != 1:
        raise V2GPKIError(
            "messages.text_malformed", "a message in JSON is an object with one member, named as the root element"
        )
    ((name, held),) = tree.items()
    known = roots(grammar, fragment=fragment)
    found = [element for root, element in known.items() if name in {root.name, str(root)} and not element.abstract]
    if len(found) > 1:
        found = [element for element in found if element.name in grammar.schema.roots] or found
    if not found:
        raise not_a_root(grammar, name)
    if len(found) > 1:
        raise V2GPKIError(
            "messages.not_a_root",
            f"{name} is the name of several roots of the schema {grammar.name}",
            hint="name one as " + " or ".join(str(element.name) for element in found),
        )
    return found[0], _Reader(grammar).value(found[0].type, held, [name])


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise V2GPKIError("messages.text_malformed", f"the member {twice!r} stands twice in one object")
    return members


def _no_float(text: str) -> Json:
    raise V2GPKIError("messages.text_malformed", f"the number {text[:20]} is not an integer; messages hold no others")


class _Place(NamedTuple):
    """What a member of an object is: the field that it fills, and its value, its element or its items."""

    field: str
    form: Literal["plain", "one", "list", "items"]
    value: ir.Value | None = None
    element: ir.Element | None = None


@cache
def _places(type_: ir.Type) -> Mapping[str, _Place]:
    """The members that an object of the type may have, by name."""
    places = {one.field: _Place(one.field, "plain", one.value) for one in type_.attributes}
    if type_.value is not None:
        places[type_.value_field] = _Place(type_.value_field, "plain", type_.value)
    for particle in type_.particles:
        if particle.form == "items":
            places[particle.field] = _Place(particle.field, "items")
            continue
        for element in particle.elements:
            if not element.abstract:
                places[element.name.name] = _Place(particle.field, particle.form, None, element)
    return places


@cache
def _required(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(cls) if field.required)


class _Reader:
    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar

    def value(self, type_: ir.Type, held: Json, path: list[str]) -> object:
        if len(path) > lexical.MAX_DEPTH:
            raise lexical.too_deep(path)
        if isinstance(type_, ir.RelaxedType):
            type_ = _candidate(type_, held, path)
        if type_.cls is None and type_.value is not None:
            return _read_plain(type_.value, held, path)
        if not isinstance(held, dict):
            raise lexical.bad_value(path, _shown(held), "must be an object")
        places = _places(type_)
        fields: dict[str, object] = {}
        for name, member in held.items():
            if member is None:
                continue
            place = places.get(name)
            if place is None:
                raise lexical.unexpected(path, f"the member {name}", ", ".join(places))
            if place.field in fields:
                raise lexical.unexpected(path, f"the member {name} beside another {place.field}", "")
            fields[place.field] = self._member(type_, place, member, [*path, name])
        assert type_.cls is not None
        for field in _required(type_.cls):
            if field not in fields:
                names = [name for name, place in places.items() if place.field == field]
                raise lexical.missing(path, " or ".join(names))
        return type_.cls(**fields)

    def _member(self, type_: ir.Type, place: _Place, held: Json, path: list[str]) -> object:
        if place.value is not None:
            return _read_plain(place.value, held, path)
        if place.element is not None and place.form == "one":
            return self.value(place.element.type, held, path)
        if not isinstance(held, list):
            raise lexical.bad_value(path, _shown(held), "must be an array")
        if place.element is None:
            return tuple(self._free(type_, item, path) for item in held)
        item_type = place.element.type
        return tuple(self.value(item_type, item, path) for item in held)

    def _free(self, type_: ir.Type, item: Json, path: list[str]) -> object:
        if len(path) > lexical.MAX_DEPTH:
            raise lexical.too_deep(path)
        if isinstance(item, str):
            return item
        if not isinstance(item, dict) or len(item) != 1:
            raise lexical.bad_value(path, _shown(item), "must be a string or an object with one member")
        ((name, held),) = item.items()
        if name == _ANY:
            return self._any(held, path)
        for particle in type_.particles:
            for element in particle.elements:
                if element.name.name == name:
                    return self.value(element.type, held, [*path, name])
        found = [element for root, element in self._grammar.schema.roots.items() if name in {root.name, str(root)}]
        if len(found) != 1 or found[0].abstract:
            raise lexical.unexpected(path, f"the member {name}", "")
        value = self.value(found[0].type, held, [*path, name])
        return value if found[0].own else NamedValue(found[0].name, value)

    def _any(self, held: Json, path: list[str]) -> AnyElement:
        members = held if isinstance(held, dict) else {}
        name, attributes, content = members.get("name"), members.get("attributes", {}), members.get("content", [])
        if not (isinstance(name, str) and isinstance(attributes, dict) and isinstance(content, list)):
            raise lexical.bad_value(path, _shown(held), "must be an object with name, attributes and content")
        texts: dict[ir.QName, str] = {}
        for key, text in attributes.items():
            if not isinstance(text, str):
                raise lexical.bad_value(path, _shown(text), "must be a string")
            texts[_qname(key)] = text
        children = tuple(self._free(ir.Type("any"), child, [*path, name]) for child in content)
        return AnyElement(name=_qname(name), attributes=texts, content=children)


def _qname(name: str) -> ir.QName:
    uri, _, local = name.rpartition("}")
    return ir.QName(local, uri.removeprefix("{"))


def _candidate(relaxed: ir.RelaxedType, held: Json, path: list[str]) -> ir.Type:
    """The type, of several under one name, whose shape the JSON has."""
    given = set(held) if isinstance(held, dict) else set()
    for type_ in relaxed.candidates:
        if isinstance(held, dict) == (type_.cls is not None):
            required = {attribute.field for attribute in type_.attributes if attribute.required}
            if required <= given:
                return type_
    raise lexical.bad_value(path, _shown(held), "is no value of any of its types")


def _read_plain(kind: ir.Value, held: Json, path: list[str]) -> ir.Plain:
    match kind:
        case ir.Boolean():
            if isinstance(held, bool):
                return held
        case ir.Integer():
            if isinstance(held, int) and not isinstance(held, bool):
                return held
        case _:
            if isinstance(held, str):
                return lexical.from_text(kind, held, path)
    raise lexical.bad_value(path, _shown(held), f"is not {lexical.expected_type(kind)}")


def _shown(held: Json) -> str:
    return json.dumps(held) if not isinstance(held, (dict, list)) else type(held).__name__
