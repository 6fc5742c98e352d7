"""Random values of any type, found by walking the grammar's states; boundaries are likelier than what lies between."""

from __future__ import annotations

from random import Random

from v2gpki.exi.ir import (
    AnyElement,
    Binary,
    Boolean,
    Element,
    Enumeration,
    Integer,
    Plain,
    Production,
    QName,
    Text,
    Type,
    Value,
)

_CHARACTERS = "aZ09 :#/-<&\"'\t\näß€漢😀"


def plain(value: Value, random: Random) -> Plain:
    """A value of a simple type."""
    match value:
        case Boolean():
            return random.random() < 0.5
        case Enumeration(values):
            return random.choice(values)
        case Integer(minimum, maximum):
            low = -(2**80) if minimum is None else minimum
            high = 2**160 if maximum is None else maximum
            near = [low, high, 0, 1, -1, 127, 128, -128, -129, 16383, 16384, random.randint(low, high)]
            return random.choice([number for number in near if low <= number <= high])
        case Text(minimum, maximum):
            size = _size(minimum, maximum, random)
            letters = "abcXYZ019" if random.random() < 0.7 else _CHARACTERS
            return "".join(random.choices(letters, k=size))
        case Binary(minimum, maximum):
            return random.randbytes(_size(minimum, maximum, random))


def _size(minimum: int, maximum: int | None, random: Random) -> int:
    high = 300 if maximum is None else maximum
    near = [minimum, high, random.randint(minimum, high), minimum + 3, 64, 65, 126, 128]
    return random.choice([size for size in near if minimum <= size <= high])


def value_of(element: Element, random: Random, budget: list[int] | None = None, wild: bool = False) -> object:
    """A value for an element; `budget` bounds how many optional things there are, `wild` allows wildcards and text."""
    type_ = element.type
    budget = [60] if budget is None else budget
    if type_.cls is None:
        assert type_.value is not None
        return plain(type_.value, random)
    return type_.cls(**_fields(type_, random, budget, wild))


def _fields(type_: Type, random: Random, budget: list[int], wild: bool) -> dict[str, object]:
    fields: dict[str, object] = {}
    counts: dict[int, int] = {}
    state = type_.start
    previous: int | None = None
    while True:
        production = _choose(state.productions, random, budget, wild)
        count = 0
        if production.event == "AT":
            assert production.attribute is not None
            fields[production.attribute.field] = plain(production.attribute.value, random)
        elif production.event == "CH":
            assert type_.value is not None
            fields[type_.value_field] = plain(type_.value, random)
        elif production.event == "CH_MIXED":
            fields[type_.mixed] = (*_items(fields, type_.mixed), "text ")
        elif production.event != "EE":
            particle = production.particle
            assert particle is not None
            count = counts[particle.index] = counts.get(particle.index, 0) + 1 if previous == particle.index else 1
            previous = particle.index
            item = (
                AnyElement(name=QName("x", "urn:example"))
                if production.element is None
                else value_of(production.element, random, budget, wild)
            )
            fields[particle.field] = item if particle.form == "one" else (*_items(fields, particle.field), item)
        following = type_.after(state, production, count)
        if following is None:
            break
        state = following
    for particle in type_.particles:
        if particle.form != "one":
            fields.setdefault(particle.field, ())
    return fields


def _items(fields: dict[str, object], name: str) -> tuple[object, ...]:
    items = fields.get(name, ())
    assert isinstance(items, tuple)
    return items


def _choose(productions: tuple[Production, ...], random: Random, budget: list[int], wild: bool) -> Production:
    open_ = [
        production
        for production in productions
        if (production.element is None or not production.element.abstract)
        and (wild or production.event not in {"SE_ANY", "CH_MIXED"})
    ] or list(productions)
    budget[0] -= 1
    if budget[0] < 0:
        ends = [production for production in open_ if production.event == "EE"]
        return ends[0] if ends else next(one for one in reversed(open_) if one.event != "CH_MIXED")
    return random.choice(open_)
