"""A type as a row of slots: the view from which straight-line code is written.

A slot is an attribute, the simple value, a particle, or a choice of particles. In any state the codes on offer are
those of the next slots up to the first required one (then the end, if all were optional); so the code of a slot is a
difference of running numbers. Content that is not such a row (repeating groups, wildcards, mixed) is one `opaque` slot
if it may be empty: the generated code writes and reads it empty and leaves the rest to the interpreter. Otherwise
there is no layout at all.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from v2gpki.exi.ir import Attribute, Element, Group, Particle, Type, code_bits

#: Types of so many slots, all required and simple, are coded where they are used.
_INLINE_SLOTS = 4


class Alternative(msgspec.Struct, frozen=True, eq=False):
    """One production of a slot."""

    particle: Particle
    element: Element


class Slot(msgspec.Struct, frozen=True, eq=False):
    """`number` is the running number of its first production, `size` how many it has."""

    kind: Literal["attribute", "value", "element", "choice", "list", "opaque"]
    number: int
    size: int
    optional: bool
    attribute: Attribute | None = None
    alternatives: tuple[Alternative, ...] = ()

    @property
    def particle(self) -> Particle:
        """The particle of an element or list slot."""
        return self.alternatives[0].particle

    @property
    def sole(self) -> bool:
        """Whether its code is known before its value is: required, and of one element."""
        return not self.optional and self.size == 1


class Layout(msgspec.Struct, frozen=True, eq=False):
    """The slots of a type; `end` is the running number of EE; `mixed` adds a production after EE."""

    type: Type
    slots: tuple[Slot, ...]
    end: int
    mixed: bool

    def number(self, index: int) -> int:
        """The running number of a slot, or of the end."""
        return self.slots[index].number if index < len(self.slots) else self.end

    def bits(self, index: int, before: int = 0) -> int:
        """Width of the code where slot `index` may come next, with so many productions offered before it."""
        for slot in self.slots[index:]:
            if not slot.optional:
                return code_bits(before + slot.number + slot.size - self.number(index) + 1)
        return code_bits(before + self.end - self.number(index) + 1 + self.mixed + 1)

    def sole(self, index: int) -> bool:
        """Whether what comes at `index` is the only thing that may come there."""
        return index >= len(self.slots) or self.slots[index].sole


class Place(msgspec.Struct, frozen=True, eq=False):
    """A slot for which code is being written: `owner` is the local that holds the object, `depth` that of inlining."""

    layout: Layout
    index: int
    owner: str
    depth: int

    @property
    def slot(self) -> Slot:
        """The slot."""
        return self.layout.slots[self.index]

    @property
    def following(self) -> int:
        """The running number of what comes next."""
        return self.layout.number(self.index + 1)

    @property
    def after(self) -> tuple[int, int]:
        """Width and first number of the state after the slot."""
        return self.layout.bits(self.index + 1), self.following

    @property
    def between(self) -> tuple[int, int]:
        """Width and first number of the state between two items of a list, the item being offered first."""
        return self.layout.bits(self.index + 1, before=1), self.following - 1

    @property
    def closes(self) -> bool:
        """Whether only one thing can come after the slot."""
        return self.layout.sole(self.index + 1)


def layout_of(type_: Type) -> Layout | None:
    """The layout of a type; None if only the interpreter can read and write it."""
    if type_.relaxed or type_.abstract:
        return None
    slots: list[Slot] = []
    number = 0
    for attribute in type_.attributes:
        slots.append(Slot("attribute", number, 1, not attribute.required, attribute=attribute))
        number += 1
    content = _content(type_, number)
    if content is None:
        return None
    slots += content
    if slots:
        number = slots[-1].number + slots[-1].size
    return Layout(type_, tuple(slots), number, bool(type_.mixed))


def _content(type_: Type, number: int) -> list[Slot] | None:
    if type_.value is not None:
        return [Slot("value", number, 1, optional=False)]
    if type_.mixed or any(particle.form == "items" for particle in type_.particles):
        return _opaque(type_, number)
    slots: list[Slot] = []
    for member in type_.model.members:
        slot = _choice(type_, member, number) if isinstance(member, Group) else _single(type_, member, number)
        if slot is None:
            return None
        slots.append(slot)
        number += slot.size
    return slots if type_.model.kind == "sequence" else None


def _opaque(type_: Type, number: int) -> list[Slot] | None:
    """Content that may be empty, as one slot that is never taken."""
    empty = type_.empty_content
    if not empty.ends:
        return None
    size = sum(production.event in {"SE", "SE_ANY"} for production in empty.productions)
    return [Slot("opaque", number, size, optional=True)] if size else []


def _alternatives(particle: Particle) -> tuple[Alternative, ...]:
    return tuple(Alternative(particle, element) for element in particle.elements)


def _single(type_: Type, index: int, number: int) -> Slot | None:
    particle = type_.particles[index]
    alternatives = _alternatives(particle)
    optional = particle.minimum == 0
    if particle.maximum == 1:
        return Slot("element", number, len(alternatives), optional, alternatives=alternatives)
    if len(alternatives) > 1:
        return None
    return Slot("list", number, 1, optional, alternatives=alternatives)


def _choice(type_: Type, group: Group, number: int) -> Slot | None:
    alternatives: list[Alternative] = []
    for member in group.members:
        if isinstance(member, Group) or group.kind != "choice" or group.repeats:
            return None
        particle = type_.particles[member]
        if particle.maximum != 1 or particle.minimum != 1 or len(particle.elements) != 1:
            return None
        alternatives += _alternatives(particle)
    return Slot("choice", number, len(alternatives), group.minimum == 0, alternatives=tuple(alternatives))


def inlined(layout: Layout) -> bool:
    """Whether a type is small enough to be coded where it is used."""
    if len(layout.slots) > _INLINE_SLOTS:
        return False
    return all(
        (slot.kind in {"attribute", "value"} and not slot.optional)
        or slot.kind == "opaque"
        or (slot.kind == "element" and slot.sole and slot.alternatives[0].element.type.cls is None)
        for slot in layout.slots
    )
