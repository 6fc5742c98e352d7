"""How message classes say what the schema says: namespaces that register classes, and markers inside `Annotated`.

    BODY = Namespace("urn:iso:15118:2:2013:MsgBody", "b")

    @BODY.element                                   # a global element and its type
    class SessionStopReq(Message):
        ChargingSession: Literal["Terminate", "Pause"]          # an enumeration, in schema order

Type aliases of enumerations carry the name of their simple type (`responseCodeType = Literal[..]`).
A field without `= None` is required. Fields stand in schema order; attributes anywhere. Annotations are evaluated at
class creation (modules of classes do not import `annotations` from `__future__`: the grammar reads the objects). A
field that is optional and named as its class needs the class under another name (`TransformsType = Transforms`, or
`xmldsig.Signature`). Inherit to extend a type; the base's fields come first and keep their namespace.

- element of a simple type: `Annotated[int, Integer(0, 20)]`, `Annotated[str, String(64)]`, `Annotated[bytes,
  Base64(800)]`, `Annotated[bytes, Hex(8)]`, `bool`, `Literal[..]`; of a complex type: the class
- minOccurs=0: `X | None = None`
- maxOccurs > 1: `Annotated[tuple[X, ...], Occurs(1, 16)]` (with minimum 0: `= ()`); plain items are annotated
  themselves, `tuple[Annotated[str, String(8)], ...]`; if EcoG still offers SE in the full list: `Occurs(1, 16,
  open_when_full=True)`
- ref to an element of another namespace, or of another name than the field: `Annotated[Signature, Named(DS)]`
- substitution group: `Annotated[A | B, Substitutes("Head", NAMESPACE)]` names the abstract head; `Substitutes()` if
  the head is one of the classes; the classes are declared as elements
- choice: `Annotated[A | None, Choice("which")] = None` for neighbouring fields; `Choice("which", minimum=0)`
- attribute: `Annotated[str, String(), Attribute()]`; qualified as the namespace of the class says
- simple content: the field `value: Annotated[bytes, Base64(48), Content()]`
- repeating choice or sequence: one field `content: Annotated[tuple[A | B | AnyElement | str, ...], Items(1)]`; the
  classes are declared as `element` or `local`; `str` means mixed, `AnyElement` a wildcard (`Message` beside it is for
  values of any global element and means nothing more)
- other content models: the class variable `model = Group(..)` over element names with the suffixes ? and *, `##any`
  for the wildcard (xmldsig PGPData, DSAKeyValue)
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform

import msgspec

from v2gpki.exi.ir import AnyElement, NamedValue, QName

__all__ = ["AnyElement", "Message", "NamedValue", "Namespace", "QName"]

T = TypeVar("T", bound="type[Message]")
MarkerT = TypeVar("MarkerT", bound=msgspec.Struct)


class MessageMeta(msgspec.StructMeta):
    """Frozen, keyword-only, outside the garbage collector (messages cannot be cyclic), without saying so in each
    class."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **settings: Any
    ) -> MessageMeta:  # Any: settings of msgspec, passed through
        for setting, value in (("frozen", True), ("kw_only", True), ("gc", False)):
            settings.setdefault(setting, value)
        return super().__new__(mcls, name, bases, namespace, **settings)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Message(msgspec.Struct, metaclass=MessageMeta, frozen=True):
    """Base of every message and type; immutable, compares by value. `msgspec.structs.replace` makes a changed copy."""

    model: ClassVar[Group | None] = None
    declaration: ClassVar[Declaration]


class Declaration(msgspec.Struct, frozen=True):
    """What a class was declared as; stands in `cls.__dict__["declaration"]`."""

    namespace: Namespace
    kind: Literal["type", "abstract", "element", "local"]
    name: str


class Namespace:
    """A target namespace: its URI, a prefix for XML, what is qualified, and what was declared on it.

    `type_names` are the names of its types that are not those of an element: EXI's name tables contain them, which
    matters only for names under wildcards.
    """

    def __init__(
        self, uri: str, prefix: str, *, elements: bool = True, attributes: bool = True, type_names: str = ""
    ) -> None:
        self.uri = uri
        self.prefix = prefix
        self.qualified_elements = elements
        self.qualified_attributes = attributes
        self.type_names = tuple(type_names.split())
        self.classes: list[type[Message]] = []
        self.abstract_heads: list[str] = []
        self.simple_elements: dict[str, object] = {}

    def __repr__(self) -> str:
        return f"Namespace({self.uri!r})"

    def _declare(self, cls: T, kind: Literal["type", "abstract", "element", "local"]) -> T:
        cls.declaration = Declaration(self, kind, cls.__name__)
        self.classes.append(cls)
        return cls

    def type(self, cls: T) -> T:
        """A complex type; elements of it are named by the fields that use it."""
        return self._declare(cls, "type")

    def abstract(self, cls: T) -> T:
        """An abstract type: only its derived types are used."""
        return self._declare(cls, "abstract")

    def element(self, cls: T) -> T:
        """A global element named as the class, and its type."""
        return self._declare(cls, "element")

    def local(self, cls: T) -> T:
        """A local element named as the class, and its type (for `Items` and substitution-like unions)."""
        return self._declare(cls, "local")

    def abstract_element(self, *names: str) -> None:
        """Abstract global elements (heads of substitution groups): they have codes, but never occur."""
        self.abstract_heads += names

    def simple(self, name: str, annotation: object) -> None:
        """A global element of a simple type; as a root it is a `NamedValue`."""
        self.simple_elements[name] = annotation


# --- markers of values ----------------------------------------------------------------------------------------------


class Integer(msgspec.Struct, frozen=True):
    """Inclusive bounds; None for none."""

    minimum: int | None = None
    maximum: int | None = None


class String(msgspec.Struct, frozen=True):
    """Length in characters."""

    maximum: int | None = None
    minimum: int = 0


class Base64(msgspec.Struct, frozen=True):
    """base64Binary; length in octets."""

    maximum: int | None = None
    minimum: int = 0


class Hex(msgspec.Struct, frozen=True):
    """hexBinary; length in octets."""

    maximum: int | None = None
    minimum: int = 0


Byte = Annotated[int, Integer(-(2**7), 2**7 - 1)]
Short = Annotated[int, Integer(-(2**15), 2**15 - 1)]
Int = Annotated[int, Integer(-(2**31), 2**31 - 1)]
Long = Annotated[int, Integer(-(2**63), 2**63 - 1)]
UnsignedByte = Annotated[int, Integer(0, 2**8 - 1)]
UnsignedShort = Annotated[int, Integer(0, 2**16 - 1)]
UnsignedInt = Annotated[int, Integer(0, 2**32 - 1)]
UnsignedLong = Annotated[int, Integer(0, 2**64 - 1)]
UnboundedInteger = Annotated[int, Integer()]
Characters = Annotated[str, String()]
Base64Binary = Annotated[bytes, Base64()]

# --- markers of structure -------------------------------------------------------------------------------------------


class Attribute(msgspec.Struct, frozen=True):
    """The field is an attribute; optional if its default is None."""


class Content(msgspec.Struct, frozen=True):
    """The field is the simple content."""


class Occurs(msgspec.Struct, frozen=True):
    """A list; maximum None is unbounded."""

    minimum: int
    maximum: int | None = None
    open_when_full: bool = False


class Named(msgspec.Struct, frozen=True):
    """The element's namespace, and its name if it is not the field's."""

    namespace: Namespace
    name: str = ""


class Substitutes(msgspec.Struct, frozen=True):
    """The union is a substitution group; head and namespace when the head is abstract."""

    head: str = ""
    namespace: Namespace | None = None


class Choice(msgspec.Struct, frozen=True):
    """An alternative of the choice of that name; minimum 0: none may be there."""

    name: str
    minimum: int = 1


class Items(msgspec.Struct, frozen=True):
    """Items of several kinds in document order, minimum many, without bound above."""

    minimum: int = 0


class Group(msgspec.Struct, frozen=True):
    """A content model written out: members are field names or groups; `optional` particles are those whose field says
    so."""

    kind: Literal["sequence", "choice"]
    members: tuple[str | Group, ...]
    minimum: int = 1
    repeats: bool = False

