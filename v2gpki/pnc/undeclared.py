"""How elements are coded that were taken for something else: classic mistakes of signatures, needed only to name them.

The fragment grammar does not know a `{}eMAID`; EXIficient then codes an undeclared element by its literal name, says
xsi:type xsd:anyType, and writes everything below as untyped text. Such octets are longer, and their digest is what a
sender with this mistake sends (RISE-V2G issue 99 and its test data). Clauses: EXI 1.0 7.3.1, 7.3.2, 8.4.3, 8.5.4.1.3,
appendix D.
"""

from __future__ import annotations

from v2gpki.messages import codec
from v2gpki.messages.schema import Message, NamedValue, QName
from v2gpki.messages.views.lexical import to_text

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XSD = "http://www.w3.org/2001/XMLSchema"
#: Index of anyType among the 46 names of XML Schema (appendix D.3), and the width of that index.
_ANY_TYPE = (12, 6)


def without_namespace(element: NamedValue, schema: str, *, fragment: bool = True) -> bytes:
    """The fragment, or the document, of an element as a sender codes it that gives its root no namespace."""
    writer = _Writer(schema)
    writer.root(element.name.name, element.value, fragment)
    return writer.octets()


def typed_emaid(element: NamedValue, schema: str) -> bytes:
    """The fragment of -2 `eMAID` as libcbv2g codes it: by its type, although its name has two and is relaxed."""
    writer = _Writer(schema)
    writer.typed(element.name, str(getattr(element.value, "Id", "")), str(getattr(element.value, "value", "")))
    return writer.octets()


class _Writer:
    """Bits of one fragment, most significant first, as text of 0 and 1."""

    def __init__(self, schema: str) -> None:
        self._grammar = codec.grammar(schema)
        model = self._grammar.schema
        self._uris = {uri: (index, names) for index, (uri, names) in enumerate(model.names)}
        self._model = model
        self._chunks: list[str] = []
        self._seen: set[QName] = set()

    def octets(self) -> bytes:
        """Header, bits, and zeros up to a whole octet."""
        bits = "".join(self._chunks)
        bits += "0" * (-len(bits) % 8)
        return b"\x80" + int(bits, 2).to_bytes(len(bits) // 8, "big")

    def root(self, name: str, value: object, fragment: bool) -> None:
        """SE(*) and the literal name; only a fragment has a code for its end."""
        model = self._model
        if fragment:
            self._bits(len(model.fragment), model.fragment_bits)
        else:
            self._bits(len(model.document), model.document_bits)
        self._uri("")
        self._unsigned(len(name) + 1)
        self._characters(name)
        self._element(QName(name), value)
        if fragment:
            self._bits(model.fragment_end, model.fragment_bits)

    def typed(self, name: QName, id_: str, text: str) -> None:
        """A required attribute, text, and the end: one bit each, as every state offers one thing."""
        model = self._model
        self._bits(model.fragment_roots[name][0], model.fragment_bits)
        for content in (id_, text):
            self._bits(0, 1)
            self._text(content)
        self._bits(0, 1)
        self._bits(model.fragment_end, model.fragment_bits)

    def _element(self, name: QName, value: object) -> None:
        """From the start tag on; depth is that of the classes."""
        self._any_type(name)
        begun = False
        if isinstance(value, Message):
            type_ = self._grammar.type_of(type(value))
            for attribute in type_.attributes:
                held = getattr(value, attribute.field)
                if held is not None:
                    self._bits(0, 3)
                    self._known(attribute.name)
                    self._text(to_text(attribute.value, held, []))
            if type_.value is not None:
                self._content(to_text(type_.value, getattr(value, type_.value_field), []))
                return
            for particle in type_.particles:
                held = getattr(value, particle.field)
                for item in held if isinstance(held, tuple) else () if held is None else (held,):
                    child = particle.element_for(item)
                    if child is None:
                        raise TypeError(f"{particle.field} holds something else")
                    self._bits(0 if begun else 1, 2 if begun else 3)
                    begun = True
                    self._known(child.name)
                    if isinstance(item, Message) or child.type.value is None:
                        self._element(child.name, item)
                    else:
                        self._any_type(child.name)
                        self._content(to_text(child.type.value, item, []))
        self._bits(1 if begun else 2, 2 if begun else 3)

    def _any_type(self, name: QName) -> None:
        """xsi:type in a built-in grammar; a name's grammar has one production more from its second use on."""
        self._bits(*((0b101, 3) if name in self._seen else (0b01, 2)))
        self._seen.add(name)
        self._known(QName("type", _XSI))
        self._uri(_XSD)
        self._unsigned(0)
        self._bits(*_ANY_TYPE)

    def _content(self, text: str) -> None:
        """Characters in the start tag, and the end."""
        self._bits(3, 3)
        self._text(text)
        self._bits(1, 2)

    def _known(self, name: QName) -> None:
        """A name of the tables."""
        self._uri(name.uri)
        names = self._uris[name.uri][1]
        self._unsigned(0)
        self._bits(names.index(name.name), (len(names) - 1).bit_length())

    def _uri(self, uri: str) -> None:
        self._bits(self._uris[uri][0] + 1, len(self._uris).bit_length())

    def _text(self, text: str) -> None:
        self._unsigned(len(text) + 2)
        self._characters(text)

    def _characters(self, text: str) -> None:
        for character in text:
            self._unsigned(ord(character))

    def _unsigned(self, number: int) -> None:
        while number > 0x7F:
            self._bits(number & 0x7F | 0x80, 8)
            number >>= 7
        self._bits(number, 8)

    def _bits(self, number: int, width: int) -> None:
        self._chunks.append(format(number, f"0{width}b"))
