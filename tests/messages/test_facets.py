"""Lengths, ranges and counts: the bounds of the classes are those that the vectors reach; both directions keep to them.

The vectors were drawn with the bounds of the schemas, so that what they reach is the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

import msgspec
import pytest

from tests.exi.sample import value_of
from tests.vectors import SCHEMAS, selection
from v2gpki import messages
from v2gpki.errors import V2GPKIError
from v2gpki.exi import ir
from v2gpki.messages.codec import grammar
from v2gpki.messages.schema import Message
from v2gpki.messages.views import xml

#: Sizes that one element or attribute of that name and kind has in the vectors.
Sizes = dict[tuple[str, ir.Value], set[int]]
#: Lists that EcoG's grammars leave open when they are full, as walking both grammar graphs in step has shown.
OPEN_IN_ECOG = {
    "iso15118-2": {
        ("SelectedService", 16),
        ("Parameter", 16),
        ("RootCertificateID", 20),
        ("ProfileEntry", 24),
        ("ParameterSet", 255),
        ("PMaxScheduleEntry", 1024),
        ("SalesTariffEntry", 1024),
    },
    "iso15118-20-common": {
        ("PowerScheduleEntry", 1024),
        ("PriceLevelScheduleEntry", 1024),
        ("PriceRuleStack", 1024),
        ("EVPriceRuleStack", 1024),
        ("EVPowerScheduleEntry", 1024),
        ("EVPowerProfileEntry", 2048),
    },
    "wpt": {("RxSpecData", 255), ("TxSpecData", 255), ("PulseSequenceOrder", 255)},
}


# --- the bounds are the schema's ------------------------------------------------------------------------------------


def _collect(sizes: Sizes, type_: ir.Type, value: object, name: str) -> None:
    if isinstance(type_, ir.RelaxedType):
        cls = type(value) if isinstance(value, Message) else None
        type_ = next(one for one in type_.candidates if one.cls is cls)
    if type_.value is not None:
        held = value if type_.cls is None else getattr(value, type_.value_field)
        _count(sizes, name, type_.value, held)
    for attribute in type_.attributes:
        _count(sizes, attribute.field, attribute.value, getattr(value, attribute.field))
    for particle in type_.particles:
        held = getattr(value, particle.field)
        for item in held if isinstance(held, tuple) else () if held is None else (held,):
            element = particle.element_for(item)
            if element is not None:
                _collect(sizes, element.type, item, element.name.name)


def _count(sizes: Sizes, name: str, kind: ir.Value, held: object) -> None:
    if isinstance(held, (str, bytes)) and isinstance(kind, (ir.Text, ir.Binary)):
        sizes.setdefault((name, kind), set()).add(len(held))
    elif isinstance(held, int) and isinstance(kind, ir.Integer):
        sizes.setdefault((name, kind), set()).add(held)


@cache
def _sizes() -> Sizes:
    sizes: Sizes = {}
    for schema in SCHEMAS:
        for vector in selection(schema):
            element, value = xml.read(grammar(schema), vector["xml"], fragment=vector["mode"] == "fragment")
            _collect(sizes, element.type, value, element.name.name)
    return sizes


def test_the_longest_and_shortest_values_are_at_the_bounds() -> None:
    wrong = []
    for (name, kind), seen in _sizes().items():
        if isinstance(kind, (ir.Text, ir.Binary)):
            if kind.maximum is not None and max(seen) != kind.maximum:
                wrong.append((name, kind, max(seen)))
            fixed = seen == {kind.maximum} and name != "BSSID"  # of which the vectors only have complete ones
            if min(seen) != kind.minimum and (kind.minimum or fixed):
                wrong.append((name, kind, min(seen)))
    assert wrong == []


def test_integers_reach_their_bounds() -> None:
    """Where no vector does, another element of the same kind does."""
    reached: dict[ir.Value, set[int]] = {}
    for (_, kind), seen in _sizes().items():
        reached.setdefault(kind, set()).update(seen)
    wrong = []
    for kind, seen in reached.items():
        if isinstance(kind, ir.Integer):
            bounds = {kind.minimum, kind.maximum} - {None}
            wrong += [(kind, bound) for bound in bounds - seen]
    assert wrong == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_lists_that_ecog_leaves_open(schema: str) -> None:
    found = set()
    for namespace in grammar(schema).namespaces:
        for cls in namespace.classes:
            for particle in grammar(schema).type_of(cls).particles:
                if particle.open_when_full:
                    found.add((particle.field, particle.maximum))
    assert found == OPEN_IN_ECOG.get(schema, set())


# --- both directions keep to them -----------------------------------------------------------------------------------


def _breaches(kind: ir.Value) -> Iterator[object]:
    """Values just beyond what is allowed, and of types that are far from it."""
    yield object()
    match kind:
        case ir.Boolean():
            yield "true"
        case ir.Enumeration(values):
            yield from ("", values[0] + " ", len(values))
        case ir.Integer(minimum, maximum):
            yield "1"
            if minimum is not None:
                yield minimum - 1
            if maximum is not None:
                yield maximum + 1
        case ir.Text(minimum, maximum):
            yield from (b"a" * minimum, 1)
            yield from ("a" * size for size in (minimum - 1, (maximum or -2) + 1) if size >= 0)
        case ir.Binary(minimum, maximum):
            yield from ("a" * minimum, 1)
            yield from (bytes(size) for size in (minimum - 1, (maximum or -2) + 1) if size >= 0)


def _cases(type_: ir.Type, value: object) -> Iterator[tuple[str, object]]:
    """(field, a value that it must not have) for every field of a class."""
    for attribute in type_.attributes:
        yield from ((attribute.field, breach) for breach in _breaches(attribute.value))
    if type_.value is not None:
        yield from ((type_.value_field, breach) for breach in _breaches(type_.value))
    for particle in type_.particles:
        if particle.form == "list":
            item = value_of(particle.elements[0], Random(0))
            if particle.minimum:
                yield particle.field, (item,) * (particle.minimum - 1)
            if particle.maximum is not None:
                yield particle.field, (item,) * (particle.maximum + 1)
            yield particle.field, (object(),)
        elif particle.form == "one":
            simple = particle.elements[0].type.value if particle.elements[0].cls is None else None
            if simple is not None:
                yield from ((particle.field, breach) for breach in _breaches(simple))
            else:
                yield from ((particle.field, breach) for breach in (object(), "", (getattr(value, particle.field),)))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_nothing_beyond_a_bound_is_written(schema: str) -> None:
    """Every field of every class, once with each value that it must not have; the error names the path."""
    checked = 0
    for element in grammar(schema).schema.fragment:
        type_ = element.type
        if element.abstract or type_.abstract or type_.cls is None or isinstance(type_, ir.RelaxedType):
            continue
        value = value_of(element, Random(1))
        for field, breach in _cases(type_, value):
            changed = msgspec.structs.replace(value, **{field: breach})  # type: ignore[type-var]  # a message
            with pytest.raises(V2GPKIError) as caught:
                messages.encode(messages.NamedValue(element.name, changed), schema, fragment=True)
            assert caught.value.message.startswith(element.name.name), (field, breach)
            checked += 1
    assert checked > 20


def _long(schema: str) -> Iterator[tuple[ir.Element, ir.Particle, object]]:
    """Every element of a bounded string or binary inside a type, with a value that is one too long."""
    for element in grammar(schema).schema.fragment:
        type_ = element.type
        if element.abstract or type_.abstract or type_.cls is None or isinstance(type_, ir.RelaxedType):
            continue
        for particle in type_.particles:
            simple = particle.elements[0].type.value if particle.form == "one" and particle.elements else None
            if isinstance(simple, (ir.Text, ir.Binary)) and simple.maximum and particle.elements[0].cls is None:
                size = simple.maximum + 1
                yield element, particle, "a" * size if isinstance(simple, ir.Text) else bytes(size)


@pytest.mark.parametrize("schema", [schema for schema in SCHEMAS if schema != "xmldsig"])
def test_nothing_beyond_a_bound_is_read(schema: str) -> None:
    """What a waiver lets through when it is written is refused when it is read, unless the same waiver stands there."""
    checked = 0
    for element, particle, long in _long(schema):
        value = value_of(element, Random(2))
        choice = {
            other.field: None
            for other in element.type.particles
            if other.form == "one" and other.minimum and getattr(value, particle.field) is None
        }
        if choice:
            continue  # an alternative of a choice that is not the drawn one
        changed = msgspec.structs.replace(value, **{particle.field: long})  # type: ignore[type-var]  # a message
        message = messages.NamedValue(element.name, changed)
        waivers = (f"{element.name.name}/{particle.field}",)
        octets = messages.encode(message, schema, fragment=True, waivers=waivers)
        with pytest.raises(V2GPKIError) as caught:
            messages.decode(octets, schema, fragment=True)
        assert caught.value.message.startswith(waivers[0])
        back = messages.decode(octets, schema, fragment=True, waivers=waivers)
        assert back == (message if isinstance(back, messages.NamedValue) else changed)
        checked += 1
    assert checked >= (1 if schema == "app" else 2)
