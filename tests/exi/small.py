"""A schema of our own that has every construct once, small enough to count its bits by hand."""

from typing import Annotated, Literal

from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import (
    AnyElement,
    Attribute,
    Base64,
    Choice,
    Content,
    Hex,
    Integer,
    Items,
    Message,
    Named,
    Namespace,
    Occurs,
    Short,
    String,
    Substitutes,
    UnboundedInteger,
    UnsignedInt,
)

NS = Namespace("urn:test", "t")
OTHER = Namespace("urn:other", "o", attributes=False)


@NS.type
class Point(Message):
    """Two signed numbers."""

    X: Short
    Y: Short


@NS.type
class Twin(Message):
    """The same fields as `Point`, but not the same type."""

    X: Short
    Y: Short


@NS.abstract
class Shape(Message):
    """The base of a substitution group."""

    Name: Annotated[str, String(4, 1)]


NS.abstract_element("AnyShape")


@NS.element
class Circle(Shape):
    """A member that adds a field after those of its base."""

    Radius: Annotated[int, Integer(1, 8)]


@NS.element
class Box(Shape):
    """A member that adds nothing."""


@OTHER.type
class Tagged(Message):
    """Simple content with attributes, one of them required."""

    Lang: Annotated[str | None, String(8), Attribute()] = None
    Id: Annotated[str, String(8), Attribute()]
    value: Annotated[bytes, Base64(300), Content()]


@NS.element
class Empty(Message):
    """Nothing at all."""


@NS.element
class Options(Message):
    """A run of optional things, then a required one, then the end."""

    A: bool | None = None
    B: Literal["no", "yes", "maybe"] | None = None
    C: UnsignedInt | None = None
    D: Annotated[bytes, Hex(8)]
    E: UnboundedInteger | None = None
    F: Point | None = None


@NS.element
class Lists(Message):
    """Lists of every kind."""

    Some: Annotated[tuple[Point, ...], Occurs(0, 3)] = ()
    Two: Annotated[tuple[Annotated[int, Integer(0, 255)], ...], Occurs(2, 4)]
    Full: Annotated[tuple[bool, ...], Occurs(1, 2, open_when_full=True)]
    Endless: Annotated[tuple[Annotated[str, String(100)], ...], Occurs(0)] = ()


@NS.element
class Choices(Message):
    """A required choice between optional neighbours."""

    Before: bool | None = None
    One: Annotated[int | None, Integer(0, 3), Choice("which")] = None
    Other: Annotated[Point | None, Choice("which")] = None
    Left: Annotated[bool | None, Choice("side", 0)] = None
    Right: Annotated[bool | None, Choice("side", 0)] = None
    After: Annotated[Tagged | None, Named(OTHER, "after")] = None


@NS.element
class Shapes(Message):
    """A substitution group."""

    First: Annotated[Circle | Box, Substitutes("AnyShape", NS)]
    Second: Annotated[Circle | Box | None, Substitutes("AnyShape", NS)] = None


@NS.element
class Mixed(Message):
    """Only the interpreter reads what is in it, but anybody may leave it empty."""

    Id: Annotated[str | None, String(), Attribute()] = None
    content: Annotated[tuple[Circle | AnyElement | str, ...], Items()] = ()


GRAMMAR = Grammar("test", (NS, OTHER))
