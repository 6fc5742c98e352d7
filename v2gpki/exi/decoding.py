"""Writes the Python that reads EXI: one function for each class, `d(d, x, r, q) -> value, x, r, q` (see `runtime`).

Constant event codes are compared together with the value that follows them. Where several slots may come next, `c`
holds the running number of the production read, and each slot asks whether it is meant. Every facet is checked;
anything unforeseen raises one of `runtime.MISMATCH`.
"""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.exi.ir import Binary, Boolean, Element, Enumeration, Integer, Text, Type, Value
from v2gpki.exi.layout import Layout, Place, Slot, inlined, layout_of
from v2gpki.exi.primitives import MAX_INTEGER_BITS
from v2gpki.exi.source import Source

Decode = Callable[[bytes, int, int, int], tuple[object, int, int, int]]
#: So many bits are in the window after a check, unless the data end.
ROOM = 128
_DICT_RANGE = 256


class DecoderWriter:
    """Writes the decoder of one type. `call(type)` gives the global name of another type's decoder.

    `late(element, table, index)` gives an entry of a table of decoders, which compiles and replaces itself.
    """

    def __init__(
        self,
        namespace: dict[str, object],
        call: Callable[[Type], str],
        late: Callable[[Element, list[Decode | None], int], Decode],
    ) -> None:
        self.source = Source(namespace)
        self._call = call
        self._late = late
        self._room = 0

    def function(self, name: str, type_: Type) -> str:
        """The source of the decoder of a type."""
        source = self.source
        with source.block(f"def {name}(d, x, r, q):"):
            layout = layout_of(type_)
            if layout is None:
                source.line("raise HandOver")
            else:
                self._body(layout, "v", depth=0)
                self._expect_known()
                source.line("return v, x, r, q")
        return source.text

    # --- bits

    def _raw(self, width: int) -> tuple[str, int]:
        """An expression of the next bits, known ones included, and what the known ones amount to in it."""
        number, bits = self.source.take_known()
        total = bits + width
        if self._room < total:
            self.source.line(f"if r < {ROOM} and q: x, r, q = more(d, x, r, q)")
            self._room = ROOM
        self._room -= total
        self.source.line(f"r -= {total}")
        return f"x >> r & {(1 << total) - 1}", number << width

    def _expect_known(self) -> None:
        if self.source.known[1]:
            raw, expected = self._raw(0)
            self.source.line(f"if {raw}{f' != {expected}' if expected else ''}: raise HandOver")

    def _next(self, layout: Layout, index: int) -> bool:
        """Read the code of what comes at `index` into c; False if it is known and just expected."""
        if layout.sole(index):
            self.source.know(0, layout.bits(index))
            return False
        self._code((layout.bits(index), layout.number(index)))
        return True

    def _code(self, state: tuple[int, int]) -> None:
        """Read a code into c as a running number, in a state of that width and first number."""
        raw, expected = self._raw(state[0])
        self.source.line("c = " + _plus(raw, state[1] - expected))

    # --- structure

    def _body(self, layout: Layout, variable: str, depth: int) -> None:
        """Everything after SE, EE included; the value into a variable."""
        assert layout.type.cls is not None
        fields: list[str] = []
        coded = self._next(layout, 0)
        for index in range(len(layout.slots)):
            coded = self._slot(Place(layout, index, variable, depth), coded, fields)
        if coded:
            self.source.line(f"if c != {layout.end}: raise HandOver")
        cls = self.source.constant("C", layout.type.cls)
        self.source.line(f"{variable} = {cls}({', '.join(fields)})")

    def _slot(self, place: Place, coded: bool, fields: list[str]) -> bool:
        """One slot; whether c holds the code of what comes next (else it is expected as known bits)."""
        source, slot = self.source, place.slot
        if slot.kind == "opaque":
            return coded
        if slot.kind == "choice":
            return self._choice(place, fields)
        if slot.attribute is not None:
            field = slot.attribute.field
        else:
            field = place.layout.type.value_field if slot.kind == "value" else slot.particle.field
        variable = source.variable()
        fields.append(f"{field}={variable}")
        last = slot.number + slot.size - 1
        if not slot.optional:
            if coded:
                wrong = f"c != {last}" if slot.size == 1 else f"not {slot.number} <= c <= {last}"
                source.line(f"if {wrong}: raise HandOver")
            return self._present(place, variable)
        source.line(f"{variable} = {'()' if slot.kind == 'list' else None}")
        room = self._room
        with source.block(f"if c == {last}:" if slot.size == 1 else f"if {slot.number} <= c <= {last}:"):
            if not self._present(place, variable):
                self._expect_known()
                source.line(f"c = {place.following}")
        self._room = min(room, self._room)
        return True

    def _present(self, place: Place, variable: str) -> bool:
        """A slot that is there, and the code after it."""
        slot = place.slot
        if slot.kind == "list":
            self._list(place, variable)
            return True
        if slot.attribute is not None:
            self._value(slot.attribute.value, variable)
        elif slot.kind == "value":
            assert place.layout.type.value is not None
            self._value(place.layout.type.value, variable)
        elif slot.size == 1:
            self._element(slot.alternatives[0].element, variable, place.depth)
        else:
            self._substitutes(slot, variable)
        return self._next(place.layout, place.index + 1)

    def _substitutes(self, slot: Slot, variable: str) -> None:
        """A member of a substitution group; c is in its range."""
        members: list[Decode | None] = [None] * slot.size
        for index, alternative in enumerate(slot.alternatives):
            if not alternative.element.abstract:
                members[index] = self._late(alternative.element, members, index)
        table = self.source.constant("T", members)
        self.source.line(f"{variable}, x, r, q = {table}[{_plus('c', -slot.number)}](d, x, r, q)")
        self._room = 0

    def _choice(self, place: Place, fields: list[str]) -> bool:
        source, slot = self.source, place.slot
        names = []
        for alternative in slot.alternatives:
            names.append(source.variable())
            fields.append(f"{alternative.particle.field}={names[-1]}")
        source.line(" = ".join(names) + " = None")
        room = entry = self._room
        for offset, alternative in enumerate(slot.alternatives):
            self._room = entry
            with source.block(f"{'elif' if offset else 'if'} c == {slot.number + offset}:"):
                self._element(alternative.element, names[offset], place.depth)
                if not self._next(place.layout, place.index + 1):
                    self._expect_known()
                    source.line(f"c = {place.following}")
            room = min(room, self._room)
        self._room = room
        if not slot.optional:
            source.line("else: raise HandOver")
        return True

    def _list(self, place: Place, variable: str) -> None:
        source, particle = self.source, place.slot.particle
        items, item = source.variable(), source.variable()
        source.line(f"{items} = []")
        self._expect_known()
        with source.block("while True:"):
            self._room = 0
            self._element(place.slot.alternatives[0].element, item, place.depth)
            source.line(f"{items}.append({item})")
            known, room = source.known, self._room
            if particle.minimum > 1:
                with source.block(f"if len({items}) < {particle.minimum}:"):
                    source.know(0, 1)
                    self._expect_known()
                    source.line("continue")
                source.known, self._room = known, room
            if particle.maximum is not None:
                with source.block(f"if len({items}) == {particle.maximum}:"):
                    self._code(place.after)
                    source.line("break")
                source.known, self._room = known, room
            self._code(place.between)
            source.line(f"if c != {place.between[1]}: break")
        self._room = 0
        source.line(f"{variable} = tuple({items})")

    def _element(self, element: Element, variable: str, depth: int) -> None:
        """Everything after the code of SE, into a variable."""
        type_ = element.type
        if type_.cls is None:
            assert type_.value is not None
            self.source.know(0, 1)
            self._value(type_.value, variable)
            self.source.know(0, 1)
            return
        layout = layout_of(type_)
        if layout is not None and depth < 2 and inlined(layout):
            self._body(layout, variable, depth + 1)
            return
        self._expect_known()
        self.source.line(f"{variable}, x, r, q = {self._call(type_)}(d, x, r, q)")
        self._room = 0

    # --- values

    def _value(self, value: Value, variable: str) -> None:
        match value:
            case Boolean():
                self._mapped({0: False, 1: True}, 1, variable)
            case Enumeration(values):
                self._mapped(dict(enumerate(values)), value.bits, variable)
            case Integer():
                self._integer(value, variable)
            case Text():
                self._text(value, variable)
            case Binary():
                self._binary(value, variable)

    def _mapped(self, values: dict[int, object], width: int, variable: str) -> None:
        """A value that is looked up by its bits, the known ones among them: anything else is a KeyError."""
        raw, expected = self._raw(width)
        name = self.source.constant("D", {expected | code: value for code, value in values.items()})
        self.source.line(f"{variable} = {name}[{raw}]")

    def _number(self, width: int, variable: str, add: int = 0) -> int:
        """The next bits as a number, and what they were expected to have before them: below 0 or too big if not so."""
        raw, expected = self._raw(width)
        self.source.line(f"{variable} = {_plus(raw, add - expected)}")
        return expected

    def _integer(self, value: Integer, variable: str) -> None:
        source = self.source
        low, high = value.minimum, value.maximum
        if value.form == "bits":
            assert low is not None
            assert high is not None
            self._number(value.bits, variable, low)
            source.line(f"if not {low} <= {variable} <= {high}: raise HandOver")
            return
        if value.form == "unsigned":
            self._number(8, variable)
            line = f"{variable}, x, r, q = take_unsigned(d, x, r, q, {variable})"
            source.line(f"if not 0 <= {variable} < 128: {line}")
        else:
            self._number(9, variable)
            with source.block(f"if not 0 <= {variable} < 128:"):
                source.line(f"{variable}, x, r, q = take_signed(d, x, r, q, {variable})")
        self._room = 0
        if low is not None or high is not None:
            left = "" if low is None else f"{low} <= "
            right = "" if high is None else f" <= {high}"
            source.line(f"if not {left}{variable}{right}: raise HandOver")
        else:
            source.line(f"if {variable}.bit_length() > {MAX_INTEGER_BITS}: raise HandOver")

    def _text(self, value: Text, variable: str) -> None:
        self._number(8, variable)
        self.source.line(f"if {variable} < 2: raise HandOver")
        self.source.line(f"{variable}, x, r, q = take_text(d, x, r, q, {variable})")
        self._facets(value.minimum, value.maximum, f"len({variable})")
        self._room = 0

    def _facets(self, minimum: int, maximum: int | None, size: str) -> None:
        limits = [f"{size} < {minimum}"] if minimum else []
        limits += [f"{size} > {maximum}"] if maximum is not None else []
        if limits:
            self.source.line(f"if {' or '.join(limits)}: raise HandOver")

    def _binary(self, value: Binary, variable: str) -> None:
        if self._number(8, variable):
            self.source.line(f"if {variable} < 0: raise HandOver")
        if value.maximum is not None and value.maximum < 128:
            self._facets(value.minimum, value.maximum, variable)
            self.source.line(f"{variable}, x, r, q = take_octets(d, x, r, q, {variable})")
        else:
            self.source.line(f"{variable}, x, r, q = take_binary(d, x, r, q, {variable})")
            self._facets(value.minimum, value.maximum, f"len({variable})")
        self._room = 0


def _plus(expression: str, number: int) -> str:
    """An expression plus a constant."""
    if not number:
        return expression
    inner = expression if expression.isidentifier() else f"({expression})"
    return f"{inner} + {number}" if number > 0 else f"{inner} - {-number}"
