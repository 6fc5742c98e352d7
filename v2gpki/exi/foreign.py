"""Names and elements that a schema does not declare: name tables, string table, the grammars of anything.

Elements under wildcards are coded as ISO 15118 stacks code them: qualified name from the name tables, `xsi:type` that
says xsd:anyType, then the grammar of anyType; built-in grammars never learn (both limits of the EXI profile are 0).
Clauses: EXI 1.0 7.3.1 (URIs), 7.3.2 (local names), 7.3.3 (values), 8.4.3 (built-in elements), 8.5.4.1.3 (anyType),
appendix D.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from v2gpki.exi.bitstream import BitReader, BitWriter, Malformed
from v2gpki.exi.ir import Production, QName, Schema, State, Type, code_bits
from v2gpki.exi.primitives import (
    read_characters,
    read_length,
    write_characters,
    write_unsigned,
)

XSI = "http://www.w3.org/2001/XMLSchema-instance"
XSD = "http://www.w3.org/2001/XMLSchema"
XSI_TYPE = QName("type", XSI)
XSI_NIL = QName("nil", XSI)
ANY_TYPE = QName("anyType", XSD)

#: EXI 1.0 appendix D.3: the local names of XML Schema itself.
_XSD_LIST = """
ENTITIES ENTITY ID IDREF IDREFS NCName NMTOKEN NMTOKENS NOTATION Name QName anySimpleType anyType anyURI
base64Binary boolean byte date dateTime decimal double duration float gDay gMonth gMonthDay gYear gYearMonth
hexBinary int integer language long negativeInteger nonNegativeInteger nonPositiveInteger normalizedString
positiveInteger short string time token unsignedByte unsignedInt unsignedLong unsignedShort
"""
_XSD_NAMES = tuple(_XSD_LIST.split())
#: Names that every edition of XML has, so that each reader of what we show agrees; no standard has others.
_LATIN = r"A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff"
_NAME = re.compile(rf"[{_LATIN}][{_LATIN}0-9.\u00b7-]*")


def is_name(text: str) -> bool:
    """Whether a local name is one."""
    return _NAME.fullmatch(text) is not None


class NameTables:
    """URIs and their local names; both grow with what is read or written (the capacity 0 is that of values alone)."""

    def __init__(self, schema: Schema) -> None:
        self._uris: list[str] = []
        self._names: list[list[str]] = []
        self._uri_index: dict[str, int] = {}
        self._name_index: list[dict[str, int]] = []
        for uri, names in schema.names:
            self._add_uri(uri)
            for name in _XSD_NAMES if uri == XSD else names:
                self._add_name(len(self._uris) - 1, name)

    def _add_uri(self, uri: str) -> int:
        self._uri_index[uri] = len(self._uris)
        self._uris.append(uri)
        self._names.append([])
        self._name_index.append({})
        return len(self._uris) - 1

    def _add_name(self, table: int, name: str) -> None:
        self._name_index[table][name] = len(self._names[table])
        self._names[table].append(name)

    def read(self, reader: BitReader) -> QName:
        """A qualified name; raises `Malformed` for an index that the table does not have."""
        at = reader.position
        index = reader.bits(code_bits(len(self._uris) + 1))
        if index == 0:
            table = self._known_uri(read_characters(reader, read_length(reader)))
        elif index > len(self._uris):
            raise Malformed("exi.name", f"namespace {index - 1} of {len(self._uris)}", at)
        else:
            table = index - 1
        at = reader.position
        length = read_length(reader)
        names = self._names[table]
        if length > 0:
            name = read_characters(reader, length - 1)
            if not is_name(name):
                raise Malformed("exi.name", f"{name[:40]!r} is no name", at)
            if name not in self._name_index[table]:
                self._add_name(table, name)
            return QName(name, self._uris[table])
        hit = reader.bits(code_bits(len(names)))
        if hit >= len(names):
            raise Malformed("exi.name", f"local name {hit} of {len(names)}", at)
        return QName(names[hit], self._uris[table])

    def _known_uri(self, uri: str) -> int:
        return self._uri_index[uri] if uri in self._uri_index else self._add_uri(uri)

    def write(self, writer: BitWriter, name: QName) -> None:
        """Write a qualified name, as a hit where the tables have it."""
        width = code_bits(len(self._uris) + 1)
        table = self._uri_index.get(name.uri)
        if table is None:
            writer.bits(0, width)
            write_unsigned(writer, len(name.uri))
            write_characters(writer, name.uri)
            table = self._add_uri(name.uri)
        else:
            writer.bits(table + 1, width)
        hit = self._name_index[table].get(name.name)
        if hit is None:
            write_unsigned(writer, len(name.name) + 1)
            write_characters(writer, name.name)
            self._add_name(table, name.name)
        else:
            write_unsigned(writer, 0)
            writer.bits(hit, code_bits(len(self._names[table])))


class Strings:
    """The string table of EXI's default options, for reading streams of encoders that did not switch it off."""

    def __init__(self) -> None:
        self._all: list[str] = []
        self._local: dict[QName, list[str]] = {}
        self.hits = 0

    def read(self, reader: BitReader, name: QName) -> str:
        """The string value of the element or attribute `name`: a literal, or a hit (counted in `hits`)."""
        at = reader.position
        length = read_length(reader)
        if length >= 2:
            text = read_characters(reader, length - 2)
            if text:
                self._all.append(text)
                self._local.setdefault(name, []).append(text)
            return text
        table: Sequence[str] = self._all if length == 1 else self._local.get(name, ())
        index = reader.bits(code_bits(len(table)))
        if index >= len(table):
            raise Malformed("exi.string_table", f"string {index} of a table of {len(table)}", at)
        self.hits += 1
        return table[index]


# --- the grammars of anything ---------------------------------------------------------------------------------------

_ATTRIBUTE = Production("AT_ANY")
_ELEMENT = Production("SE_ANY")
_END = Production("EE")
_TEXT = Production("CH_MIXED")


class _BuiltInStart(State, frozen=True, eq=False):
    """The start of a built-in grammar: nothing on the first level."""

    @property
    def second(self) -> tuple[str, ...]:
        """EE, attributes, elements, text."""
        return ("EE", "AT(*)", "SE(*)", "CH")


class Anything(Type):
    """xsd:anyType: attributes, then elements and text, mixed."""

    def __init__(self) -> None:
        super().__init__("anyType")
        self._body = State((_ELEMENT, _END, _TEXT), "content")
        self._start = State((_ATTRIBUTE, _ELEMENT, _END, _TEXT), "start")

    @property
    def start(self) -> State:
        """Everything is offered."""
        return self._start

    @property
    def empty_content(self) -> State:
        """The state after the attributes."""
        return self._body

    def after(self, state: State, production: Production, count: int = 0, *, ecog: bool = False) -> State | None:
        """The state that follows; None after EE."""
        del count, ecog
        if production.event == "EE":
            return None
        return state if production.event == "AT_ANY" else self._body


class BuiltIn(Type):
    """An element without a declaration, until its `xsi:type` says that it is anyType."""

    def __init__(self) -> None:
        super().__init__("built-in")
        self._body = State((_END,), "content")
        self._start = _BuiltInStart((), "start")

    @property
    def start(self) -> State:
        """Only the second level offers something."""
        return self._start

    @property
    def empty_content(self) -> State:
        """The state after the attributes."""
        return self._body

    def after(self, state: State, production: Production, count: int = 0, *, ecog: bool = False) -> State | None:
        """EE is the only production of the first level."""
        del state, production, count, ecog
        return None


ANYTHING = Anything()
BUILT_IN = BuiltIn()

