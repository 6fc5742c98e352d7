"""Compiles a schema to Python functions, a type at a time, when it is first met.

    coder = Coder(schema)
    coder.encoder(element, fragment=False)(value) -> bytes
    coder.decode(data, fragment=False) -> (element, value)

Strict and fast, and silent about why: anything that is not exactly as the schema says raises one of
`runtime.MISMATCH`, and the caller asks `interpret`. Nothing here depends on input: what is compiled is the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property

from v2gpki.exi import runtime
from v2gpki.exi.decoding import Decode, DecoderWriter
from v2gpki.exi.encoding import EncoderWriter
from v2gpki.exi.ir import Element, Schema, Type

MISMATCH = runtime.MISMATCH
Encode = Callable[[object, int, runtime.Spill], int]


class _Encoders(dict[type, Encode]):
    """Encoders by class, compiled when they are missing."""

    def __init__(self, compile_type: Callable[[Type], Encode]) -> None:
        super().__init__()
        self.elements: dict[type, Element] = {}
        self._compile = compile_type

    def __missing__(self, cls: type) -> Encode:
        encode = self[cls] = self._compile(self.elements[cls].type)
        return encode


class Coder:
    """The compiled functions of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._encoders = _Encoders(self._compile_encoder)
        shared: dict[str, object] = {"HandOver": runtime.HandOverError}
        self._writing: dict[str, object] = shared | {
            "SPILL_ABOVE": runtime.SPILL_ABOVE,
            "encoders": self._encoders,
            "number": int.from_bytes,
            "put_octets": runtime.put_octets,
            "put_signed": runtime.put_signed,
            "put_unsigned": runtime.put_unsigned,
            "spill": runtime.spill,
            "text_code": runtime.text_code,
        }
        self._reading: dict[str, object] = shared | {
            "more": runtime.more,
            "take_binary": runtime.take_binary,
            "take_octets": runtime.take_octets,
            "take_signed": runtime.take_signed,
            "take_text": runtime.take_text,
            "take_unsigned": runtime.take_unsigned,
        }
        self._encoder_names: dict[Type, str] = {}
        self._decoder_names: dict[Type, str] = {}
        self._document_codes = {element.name: code for code, element in enumerate(schema.document)}
        self._encoders_made: dict[Type, Encode] = {}
        self._decoders_made: dict[Type, Decode] = {}

    # --- ahead of the first use

    def prepare(
        self,
        *,
        writes: Callable[[Element], bool],
        reads: Callable[[Element], bool],
        fragments: Collection[str] = (),
    ) -> None:
        """Compile now what documents need that are written, and read; the functions choose among the global elements.
        ``fragments`` are names of elements that are written alone. The rest is compiled at its first use all the
        same."""
        for index, element in enumerate(self.schema.document):
            if element.abstract or not element.own:
                continue
            if writes(element):
                self._register(element)
            if reads(element):
                self._document_roots[index] = element, self._compile_decoder(element.type)
        if fragments:
            for _, element in self.schema.fragment_roots.values():
                if element.name.name in fragments:
                    self._compile_encoder(element.type)
        while self._prepare_encoders(writes) or self._prepare_decoders():
            pass

    def _prepare_encoders(self, wanted: Callable[[Element], bool]) -> bool:
        """One more layer; whether there was any."""
        known = {*self._encoder_names, *(one.type for one in list(self._encoders.elements.values()) if wanted(one))}
        missing = [type_ for type_ in known if type_ not in self._encoders_made]
        for type_ in missing:
            self._compile_encoder(type_)
        return bool(missing)

    def _prepare_decoders(self) -> bool:
        """The same; members of a substitution group are roots too, and chosen there."""
        missing = [type_ for type_ in list(self._decoder_names) if type_ not in self._decoders_made]
        for type_ in missing:
            self._compile_decoder(type_)
        return bool(missing)

    # --- whole streams

    def encoder(self, element: Element, *, fragment: bool = False) -> Callable[[object], bytes]:
        """The function that writes a whole document or fragment with that root; it raises one of `MISMATCH`."""
        schema = self.schema
        if element.abstract or element.type.cls is None:
            return _hand_over
        if fragment:
            start = 0x180 << schema.fragment_bits | schema.fragment_roots[element.name][0]
            end, end_bits = schema.fragment_end, schema.fragment_bits
        else:
            start = 0x180 << schema.document_bits | self._document_codes[element.name]
            end = end_bits = 0
        self._encoders.elements[element.type.cls] = element
        write = self._encoders[element.type.cls]

        def encode(value: object) -> bytes:
            parts: list[bytes] = []
            a = write(value, start, parts.append) << end_bits | end
            if parts:
                parts.append(runtime.finish(a))
                return b"".join(parts)
            return runtime.finish(a)

        return encode

    def decode(self, data: bytes, *, fragment: bool = False) -> tuple[Element, object]:
        """Root and value of a whole document or fragment; raises one of `MISMATCH`, also for anything after the end."""
        if data[0] != 0x80:
            raise runtime.HandOverError
        x, r, q = runtime.begin(data, 1)
        bits = self.schema.fragment_bits if fragment else self.schema.document_bits
        r -= bits
        element, read = (self._fragment_roots if fragment else self._document_roots)[x >> r & ((1 << bits) - 1)]
        value, x, r, q = read(data, x, r, q)
        if fragment:
            if r < bits:
                x, r, q = runtime.more(data, x, r, q)
            r -= bits
            if x >> r & ((1 << bits) - 1) != self.schema.fragment_end:
                raise runtime.HandOverError
        if q or r > 7 or x & ((1 << r) - 1):
            raise runtime.HandOverError
        return element, value

    @cached_property
    def _document_roots(self) -> list[tuple[Element, Decode]]:
        return self._roots(self.schema.document)

    @cached_property
    def _fragment_roots(self) -> list[tuple[Element, Decode]]:
        return self._roots(self.schema.fragment)

    def _roots(self, elements: Sequence[Element]) -> list[tuple[Element, Decode]]:
        roots: list[tuple[Element, Decode]] = []
        for index, element in enumerate(elements):
            roots.append((element, self._first_read(roots, index, element)))
        return roots

    def _first_read(self, roots: list[tuple[Element, Decode]], index: int, element: Element) -> Decode:
        def read(d: bytes, x: int, r: int, q: int) -> tuple[object, int, int, int]:
            if element.abstract or element.type.cls is None:
                raise runtime.HandOverError
            roots[index] = element, self._compile_decoder(element.type)
            return roots[index][1](d, x, r, q)

        return read

    # --- compiling

    def _encoder_name(self, type_: Type) -> str:
        """The global name of a type's encoder; until its first use it stands for a function that compiles."""
        name = self._encoder_names.get(type_)
        if name is None:
            name = self._encoder_names[type_] = f"e{len(self._encoder_names)}_{type_.name}"

            def first(value: object, a: int, w: runtime.Spill) -> int:
                return self._compile_encoder(type_)(value, a, w)

            self._writing[name] = first
        return name

    def _compile_encoder(self, type_: Type) -> Encode:
        if type_ not in self._encoders_made:
            name = self._encoder_name(type_)
            writer = EncoderWriter(self._writing, self._encoder_name, self._register)
            made = _compiled(writer.function(name, type_), name, self._writing)
            self._encoders_made[type_] = made  # type: ignore[assignment]  # by its text
        return self._encoders_made[type_]

    def _register(self, element: Element) -> None:
        """Make an element known to the encoders that are chosen by class."""
        if element.cls is not None:
            self._encoders.elements[element.cls] = element

    def _decoder_name(self, type_: Type) -> str:
        name = self._decoder_names.get(type_)
        if name is None:
            name = self._decoder_names[type_] = f"d{len(self._decoder_names)}_{type_.name}"

            def first(d: bytes, x: int, r: int, q: int) -> tuple[object, int, int, int]:
                return self._compile_decoder(type_)(d, x, r, q)

            self._reading[name] = first
        return name

    def _compile_decoder(self, type_: Type) -> Decode:
        if type_ not in self._decoders_made:
            name = self._decoder_name(type_)
            writer = DecoderWriter(self._reading, self._decoder_name, self._late_decoder)
            made = _compiled(writer.function(name, type_), name, self._reading)
            self._decoders_made[type_] = made  # type: ignore[assignment]  # by its text
        return self._decoders_made[type_]

    def _late_decoder(self, element: Element, table: list[Decode | None], index: int) -> Decode:
        """A stand-in for an entry of a table, replaced at its first use."""

        def first(d: bytes, x: int, r: int, q: int) -> tuple[object, int, int, int]:
            decode = table[index] = self._compile_decoder(element.type)
            return decode(d, x, r, q)

        return first


def _hand_over(value: object) -> bytes:
    raise runtime.HandOverError(value)


def _compiled(text: str, name: str, namespace: dict[str, object]) -> object:
    # The text is made of the schema alone: numbers, field names and names that this module invents.
    exec(compile(text, f"<exi {name}>", "exec"), namespace)  # noqa: S102
    return namespace[name]
