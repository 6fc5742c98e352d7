"""Writes the Python that reads EXI: one function for each class, `d(d, x, r, q) -> value, x, r, q` (arguments: see `runtime`).

Constant event codes are compared together with the value that follows them. Where several slots may come next, `c` holds the
running number of the production read, and each slot asks whether it is meant. Every facet is checked; anything unforeseen
raises one of `runtime.MISMATCH`.
"""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.exi.ir import Binary, Boolean, Element, Enumeration, Integer, Text, Type, Value
from v2gpki.exi.layout import Layout, Slot, inlined, layout_of
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
                value = self._body(layout, depth=0)
                self._expect_known()
                source.line(f"return {value}, x, r, q")
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
        self._code(layout.bits(index), layout.number(index))
        return True

    def _code(self, width: int, number: int) -> None:
        """Read a code into c as a running number."""
        raw, expected = self._raw(width)
        offset = number - expected
        self.source.line(f"c = ({raw}) + {offset}" if offset > 0 else f"c = ({raw}) - {-offset}" if offset else f"c = {raw}")

    # --- structure

    def _body(self, layout: Layout, depth: int) -> str:
        """Everything after SE, EE included; the expression of the value."""
        assert layout.type.cls is not None
        fields: list[str] = []
        coded = self._next(layout, 0)
        for index, slot in enumerate(layout.slots):
            coded = self._slot(layout, index, slot, coded, fields, depth)
        if coded:
            self.source.line(f"if c != {layout.end}: raise HandOver")
        cls = self.source.constant("C", layout.type.cls)
        variable = self.source.variable()
        self.source.line(f"{variable} = {cls}({', '.join(fields)})")
        return variable

    def _slot(
        self, layout: Layout, index: int, slot: Slot, coded: bool, fields: list[str], depth: int
    ) -> bool:
        """One slot; whether c holds the code of what comes next (else it is expected as known bits)."""
        source = self.source
        if slot.kind == "opaque":
            return coded
        if slot.kind == "choice":
            return self._choice(layout, index, slot, coded, fields, depth)
        variable = source.variable()
        if slot.attribute is not None:
            field = slot.attribute.field
        else:
            field = layout.type.value_field if slot.kind == "value" else slot.particle.field
        fields.append(f"{field}={variable}")
        if not slot.optional:
            if coded:
                last = slot.number + slot.size - 1
                wrong = f"c != {last}" if slot.size == 1 else f"not {slot.number} <= c <= {last}"
                source.line(f"if {wrong}: raise HandOver")
            return self._present(layout, index, slot, variable, depth)
        source.line(f"{variable} = {'()' if slot.kind == 'list' else None}")
        room = self._room
        test = f"c == {slot.number}" if slot.size == 1 else f"{slot.number} <= c < {slot.number + slot.size}"
        with source.block(f"if {test}:"):
            if not self._present(layout, index, slot, variable, depth):
                self._expect_known()
                source.line(f"c = {layout.number(index + 1)}")
        self._room = min(room, self._room)
        return True

    def _present(self, layout: Layout, index: int, slot: Slot, variable: str, depth: int) -> bool:
        """A slot that is there, and the code after it."""
        if slot.kind == "list":
            self._list(layout, index, slot, variable, depth)
            return True
        if slot.attribute is not None:
            self._value(slot.attribute.value, variable)
        elif slot.kind == "value":
            assert layout.type.value is not None
            self._value(layout.type.value, variable)
        elif slot.size == 1:
            self._element(slot.alternatives[0].element, variable, depth)
        else:
            self._substitutes(slot, variable)
        return self._next(layout, index + 1)

    def _substitutes(self, slot: Slot, variable: str) -> None:
        """A member of a substitution group; c is in its range."""
        source = self.source
        members: list[Decode | None] = [None] * slot.size
        for index, alternative in enumerate(slot.alternatives):
            if not alternative.element.abstract:
                members[index] = self._late(alternative.element, members, index)
        table = source.constant("T", members)
        offset = f" - {slot.number}" if slot.number else ""
        source.line(f"{variable}, x, r, q = {table}[c{offset}](d, x, r, q)")
        self._room = 0

    def _choice(
        self, layout: Layout, index: int, slot: Slot, coded: bool, fields: list[str], depth: int
    ) -> bool:
        source = self.source
        assert coded
        names = []
        for alternative in slot.alternatives:
            names.append(source.variable())
            fields.append(f"{alternative.particle.field}={names[-1]}")
        source.line(" = ".join(names) + " = None")
        room = entry = self._room
        for offset, alternative in enumerate(slot.alternatives):
            self._room = entry
            with source.block(f"{'elif' if offset else 'if'} c == {slot.number + offset}:"):
                self._element(alternative.element, names[offset], depth)
                if not self._next(layout, index + 1):
                    self._expect_known()
                    source.line(f"c = {layout.number(index + 1)}")
            room = min(room, self._room)
        self._room = room
        if not slot.optional:
            source.line("else: raise HandOver")
        return True

    def _list(self, layout: Layout, index: int, slot: Slot, variable: str, depth: int) -> None:
        source = self.source
        particle = slot.particle
        follower = index + 1
        items, item = source.variable(), source.variable()
        source.line(f"{items} = []")
        self._expect_known()
        with source.block("while True:"):
            self._room = 0
            self._element(slot.alternatives[0].element, item, depth)
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
                    self._code(layout.bits(follower), layout.number(follower))
                    source.line("break")
                source.known, self._room = known, room
            self._code(layout.bits(follower, before=1), 0)
            with source.block("if c:"):
                source.line(f"c += {layout.number(follower) - 1}")
                source.line("break")
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
            self.source.line(f"{variable} = {self._body(layout, depth + 1)}")
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

    def _number(self, width: int, variable: str, add: int = 0) -> None:
        """The next bits as a number; out of their range if the known bits before them differ."""
        raw, expected = self._raw(width)
        offset = add - expected
        sign = f" + {offset}" if offset > 0 else f" - {-offset}" if offset else ""
        self.source.line(f"{variable} = ({raw}){sign}" if sign else f"{variable} = {raw}")

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
        self._number(8, variable)
        self.source.line(f"if {variable} < 0: raise HandOver")
        if value.maximum is not None and value.maximum < 128:
            self._facets(value.minimum, value.maximum, variable)
            self.source.line(f"{variable}, x, r, q = take_octets(d, x, r, q, {variable})")
        else:
            self.source.line(f"{variable}, x, r, q = take_binary(d, x, r, q, {variable})")
            self._facets(value.minimum, value.maximum, f"len({variable})")
        self._room = 0
