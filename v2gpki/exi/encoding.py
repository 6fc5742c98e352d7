"""Writes the Python that writes EXI: one function for each class, `e(o, a, w) -> a` (see `runtime` for the arguments).

Constant event codes are merged with the value that follows; where the code depends on which optional fields came before, the
locals `j` (width) and `b` (number of the first production on offer) carry the state. Small types are written inline. Every facet
is checked; any breach, wrong type or unknown class raises one of `runtime.MISMATCH`.
"""

from __future__ import annotations

from collections.abc import Callable

from v2gpki.exi.ir import Binary, Boolean, Element, Enumeration, Integer, Text, Type, Value
from v2gpki.exi.layout import Layout, Slot, inlined, layout_of
from v2gpki.exi.primitives import MAX_INTEGER_BITS
from v2gpki.exi.source import Source

#: A state on entry to a slot: (width, number of the first production), or None: it is in the locals j and b.
_State = tuple[int, int] | None
_DICT_RANGE = 256


class EncoderWriter:
    """Writes the encoder of one type. `call(type)` gives the global name of another type's encoder.

    `register(element)` makes an element's class known to `encoders`, where an encoder is found by class.
    """

    def __init__(
        self, namespace: dict[str, object], call: Callable[[Type], str], register: Callable[[Element], None]
    ) -> None:
        self.source = Source(namespace)
        self._call = call
        self._register = register

    def function(self, name: str, type_: Type) -> str:
        """The source of the encoder of a type."""
        source = self.source
        with source.block(f"def {name}(o, a, w):"):
            layout = layout_of(type_)
            if layout is None:
                source.line("raise HandOver")
            else:
                self._body(layout, "o", depth=0)
                self._flush()
                source.line("return spill(a, w) if a > SPILL_ABOVE else a")
        return source.text

    # --- bits

    def _put(self, expression: str, width: int) -> None:
        """Append an expression of that width, after the known bits."""
        number, bits = self.source.take_known()
        constant = number << width
        self.source.line(f"a = a << {bits + width} | " + (f"{constant} | {expression}" if constant else expression))

    def _flush(self) -> None:
        number, bits = self.source.take_known()
        if bits:
            self.source.line(f"a = a << {bits} | {number}" if number else f"a <<= {bits}")

    def _arrive(self, state: _State, number: int) -> None:
        """Write the code of a production."""
        if state is None:
            self._flush()
            self.source.line(f"a = a << j | {number} - b")
        else:
            self.source.know(number - state[1], state[0])

    def _keep(self, state: _State) -> None:
        """Put a state that is known into the locals."""
        self._flush()
        if state is not None:
            self.source.line(f"j = {state[0]}; b = {state[1]}")

    # --- structure

    def _body(self, layout: Layout, o: str, depth: int) -> None:
        """Everything after SE, EE included."""
        assert layout.type.cls is not None
        cls = self.source.constant("C", layout.type.cls)
        with self.source.block(f"if type({o}) is not {cls}:"):
            self.source.line("raise HandOver")
        state: _State = (layout.bits(0), 0)
        arrived = False
        for index, slot in enumerate(layout.slots):
            state, arrived = self._slot(layout, index, slot, o, state, arrived, depth)
        if not arrived:
            self._arrive(state, layout.end)

    def _after(self, layout: Layout, index: int) -> tuple[int, int]:
        return layout.bits(index), layout.number(index)

    def _slot(
        self, layout: Layout, index: int, slot: Slot, o: str, state: _State, arrived: bool, depth: int
    ) -> tuple[_State, bool]:
        """One slot; (state after it, whether the code of the next one is written already)."""
        source = self.source
        if slot.kind == "opaque":
            field = layout.type.fields[0]
            with source.block(f"if {o}.{field}:"):
                source.line("raise HandOver")
            return state, False
        if slot.kind == "value":
            if not arrived:
                self._arrive(state, slot.number)
            assert layout.type.value is not None
            variable = source.variable()
            source.line(f"{variable} = {o}.{layout.type.value_field}")
            self._value(layout.type.value, variable)
            return self._after(layout, index + 1), False
        if slot.kind == "choice":
            return self._choice(layout, index, slot, o, state, depth)
        variable = source.variable()
        field = slot.attribute.field if slot.attribute is not None else slot.particle.field
        source.line(f"{variable} = {o}.{field}")
        if slot.kind == "list":
            return self._list(layout, index, slot, variable, state, arrived, depth)
        if not slot.optional:
            self._single(slot, variable, state, arrived, depth)
            return self._after(layout, index + 1), False
        known = source.known
        follower = index + 1
        sole = layout.sole(follower)
        with source.block(f"if {variable} is None:"):
            self._absent(layout, follower, state, sole)
        source.known = known
        with source.block("else:"):
            self._single(slot, variable, state, arrived=False, depth=depth)
            self._absent(layout, follower, self._after(layout, follower), sole)
        return (self._after(layout, follower) if sole else None), sole

    def _absent(self, layout: Layout, follower: int, state: _State, sole: bool) -> None:
        """Close a branch: write the code of the next slot if it is the only one possible, else keep the state."""
        if sole:
            self._arrive(state, layout.number(follower))
            self._flush()
        else:
            self._keep(state)

    def _single(self, slot: Slot, variable: str, state: _State, arrived: bool, depth: int) -> None:
        """A value that is there: its code and its content."""
        if slot.attribute is not None:
            if not arrived:
                self._arrive(state, slot.number)
            self._value(slot.attribute.value, variable)
        elif slot.size == 1:
            if not arrived:
                self._arrive(state, slot.number)
            self._element(slot.alternatives[0].element, variable, depth)
        else:
            self._substitutes(slot, variable, state)

    def _substitutes(self, slot: Slot, variable: str, state: _State) -> None:
        codes = {
            alternative.element.cls: slot.number + offset
            for offset, alternative in enumerate(slot.alternatives)
            if not alternative.element.abstract
        }
        if len(codes) == 1:
            ((cls, number),) = codes.items()
            self._arrive(state, number)
            element = next(alternative.element for alternative in slot.alternatives if alternative.element.cls is cls)
            self._element(element, variable, depth=2)
            return
        if state is None:
            self._flush()
            name = self.source.constant("D", codes)
            self.source.line(f"a = a << j | {name}[type({variable})] - b")
        else:
            name = self.source.constant("D", {cls: number - state[1] for cls, number in codes.items()})
            self._put(f"{name}[type({variable})]", state[0])
        for alternative in slot.alternatives:
            self._register(alternative.element)
        self.source.line(f"a = encoders[type({variable})]({variable}, a, w)")

    def _choice(
        self, layout: Layout, index: int, slot: Slot, o: str, state: _State, depth: int
    ) -> tuple[_State, bool]:
        source = self.source
        names = []
        for alternative in slot.alternatives:
            names.append(source.variable())
            source.line(f"{names[-1]} = {o}.{alternative.particle.field}")
        known = source.known
        follower = index + 1
        sole = layout.sole(follower)
        for offset, alternative in enumerate(slot.alternatives):
            with source.block(f"{'elif' if offset else 'if'} {names[offset]} is not None:"):
                others = [f"{name} is not None" for name in names[offset + 1 :]]
                if others:
                    source.line(f"if {' or '.join(others)}: raise HandOver")
                source.known = known
                self._arrive(state, slot.number + offset)
                self._element(alternative.element, names[offset], depth)
                self._absent(layout, follower, self._after(layout, follower), sole)
        source.known = known
        with source.block("else:"):
            if slot.optional:
                self._absent(layout, follower, state, sole)
            else:
                source.line("raise HandOver")
                source.known = (0, 0)
        return (self._after(layout, follower) if sole else None), sole

    def _list(
        self, layout: Layout, index: int, slot: Slot, variable: str, state: _State, arrived: bool, depth: int
    ) -> tuple[_State, bool]:
        source = self.source
        particle = slot.particle
        follower = index + 1
        sole = layout.sole(follower)
        count = source.variable()
        source.line(f"{count} = len({variable})")
        limits = [f"{count} < {particle.minimum}"] if particle.minimum else []
        limits += [f"{count} > {particle.maximum}"] if particle.maximum is not None else []
        if limits:
            source.line(f"if {' or '.join(limits)}: raise HandOver")
        if slot.optional:
            known = source.known
            with source.block(f"if not {count}:"):
                self._absent(layout, follower, state, sole)
            source.known = known
            with source.block("else:"):
                self._items(layout, index, slot, variable, count, state, False, depth)
        else:
            self._items(layout, index, slot, variable, count, state, arrived, depth)
        return (self._after(layout, follower) if sole else None), sole

    def _items(
        self, layout: Layout, index: int, slot: Slot, variable: str, count: str, state: _State, arrived: bool, depth: int
    ) -> None:
        """A list that is not empty, and the state after it."""
        source = self.source
        particle = slot.particle
        follower = index + 1
        sole = layout.sole(follower)
        again = layout.bits(follower, before=1)
        if not arrived:
            self._arrive(state, slot.number)
        self._flush()
        item = source.variable()
        counter = source.variable() if particle.minimum > 1 else ""
        if counter:
            source.line(f"{counter} = 0")
        with source.block(f"for {item} in {variable}:"):
            source.line("if a > SPILL_ABOVE: a = spill(a, w)")
            self._element(slot.alternatives[0].element, item, depth)
            if counter:
                self._flush()
                source.line(f"{counter} += 1")
                source.line(f"a <<= 1 if {counter} < {particle.minimum} else {again}")
            else:
                source.know(0, again)
                self._flush()
        source.line(f"a >>= {again}")
        middle = (again, layout.number(follower) - 1)
        if particle.maximum is None:
            self._absent(layout, follower, middle, sole)
            return
        with source.block(f"if {count} == {particle.maximum}:"):
            self._absent(layout, follower, self._after(layout, follower), sole)
        with source.block("else:"):
            self._absent(layout, follower, middle, sole)

    def _element(self, element: Element, variable: str, depth: int) -> None:
        """Everything after the code of SE."""
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
        self._flush()
        self.source.line(f"a = {self._call(type_)}({variable}, a, w)")

    # --- values

    def _value(self, value: Value, variable: str) -> None:
        match value:
            case Boolean():
                self._mapped({False: 0, True: 1}, 1, variable)
            case Enumeration(values):
                self._mapped({text: code for code, text in enumerate(values)}, value.bits, variable)
            case Integer():
                self._integer(value, variable)
            case Text():
                self._text(value, variable)
            case Binary():
                self._binary(value, variable)

    def _mapped(self, codes: dict[object, int], width: int, variable: str) -> None:
        """A value whose coding is looked up, the known bits in it."""
        number, bits = self.source.take_known()
        name = self.source.constant("D", {key: number << width | code for key, code in codes.items()})
        self.source.line(f"a = a << {bits + width} | {name}[{variable}]")

    def _integer(self, value: Integer, variable: str) -> None:
        form = value.form
        low, high = value.minimum, value.maximum
        if form == "bits":
            assert low is not None
            assert high is not None
            if high - low < _DICT_RANGE:
                self._mapped({number: number - low for number in range(low, high + 1)}, value.bits, variable)
                return
            self._bounds(value, variable)
            self._put(f"{variable} - {low}" if low else variable, value.bits)
            return
        self._bounds(value, variable)
        known = self.source.known
        if form == "unsigned":
            with self.source.block(f"if {variable} < 128:"):
                self._put(variable, 8)
            self.source.known = known
            with self.source.block(f"elif {variable} < 16384:"):
                self._put(f"({variable} & 127) << 8 | 32768 | {variable} >> 7", 16)
        else:
            with self.source.block(f"if 0 <= {variable} < 128:"):
                self._put(variable, 9)
        self.source.known = known
        with self.source.block("else:"):
            self._flush()
            self.source.line(f"a = put_{form}(a, {variable})")

    def _bounds(self, value: Integer, variable: str) -> None:
        low = "" if value.minimum is None else f"{value.minimum} <= "
        high = "" if value.maximum is None else f" <= {value.maximum}"
        if low or high:
            self.source.line(f"if not {low}{variable}{high}: raise HandOver")
        if not (low and high):
            self.source.line(f"if {variable}.bit_length() > {MAX_INTEGER_BITS}: raise HandOver")

    def _text(self, value: Text, variable: str) -> None:
        memo = self.source.constant("M", {})
        number, bits = self.source.take_known()
        code = self.source.variable()
        self.source.line(f"{code} = {memo}.get({variable})")
        facets = f"{number}, {bits}, {value.minimum}, {value.maximum}"
        self.source.line(f"if {code} is None: {code} = text_code({variable}, {memo}, {facets})")
        self.source.line(f"a = a << {code}[0] | {code}[1]")

    def _binary(self, value: Binary, variable: str) -> None:
        size = self.source.variable()
        self.source.line(f"{size} = len({variable})")
        limits = [f"{size} < {value.minimum}"] if value.minimum else []
        limits += [f"{size} > {value.maximum}"] if value.maximum is not None else []
        if limits:
            self.source.line(f"if {' or '.join(limits)}: raise HandOver")
        known = self.source.known
        if value.maximum is not None and value.maximum <= 64:
            self._short_binary(variable, size)
            return
        with self.source.block(f"if {size} < 65:"):
            self._short_binary(variable, size)
        self.source.known = known
        with self.source.block("else:"):
            self._flush()
            self.source.line(f"a = put_octets(a, {variable}, w)")

    def _short_binary(self, variable: str, size: str) -> None:
        self._put(size, 8)
        self.source.line(f"a = a << 8 * {size} | number({variable})")
