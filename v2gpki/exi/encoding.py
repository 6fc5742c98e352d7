"""Writes the Python that writes EXI: one function for each class, `e(o, a, w) -> a` (see `runtime` for the arguments).

Constant event codes are merged with the value that follows; where the code depends on which optional fields came
before, the locals `j` (width) and `b` (number of the first production on offer) carry the state. Small types are
written inline. Every facet is checked; any breach, wrong type or unknown class raises one of `runtime.MISMATCH`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from v2gpki.exi.ir import Binary, Boolean, Element, Enumeration, Integer, Text, Type, Value
from v2gpki.exi.layout import Layout, Place, Slot, inlined, layout_of
from v2gpki.exi.primitives import MAX_INTEGER_BITS
from v2gpki.exi.source import Source

#: On entry to a slot: (width, number of the first production); "dynamic": these two are in the locals j and b;
#: "written": the code of the only possible slot has been written.
_State = tuple[int, int] | Literal["dynamic", "written"]
#: Integers of so small a range are looked up.
_DICT_RANGE = 256
#: Octets that are appended without spilling.
_SHORT = 64


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
        """Write the code of a production, unless that is done."""
        if state == "dynamic":
            self._flush()
            self.source.line(f"a = a << j | {number} - b")
        elif state != "written":
            self.source.know(number - state[1], state[0])

    def _leave(self, place: Place, state: _State) -> None:
        """Close a branch: write the code of what comes next if it is the only thing possible, else keep the state."""
        if place.closes:
            self._arrive(state, place.following)
            self._flush()
            return
        self._flush()
        if not isinstance(state, str):
            self.source.line(f"j = {state[0]}; b = {state[1]}")

    @staticmethod
    def _joined(place: Place) -> _State:
        """The state after branches that were all left."""
        return "written" if place.closes else "dynamic"

    # --- structure

    def _body(self, layout: Layout, owner: str, depth: int) -> None:
        """Everything after SE, EE included."""
        assert layout.type.cls is not None
        cls = self.source.constant("C", layout.type.cls)
        self.source.line(f"if type({owner}) is not {cls}: raise HandOver")
        state: _State = (layout.bits(0), 0)
        for index in range(len(layout.slots)):
            state = self._slot(Place(layout, index, owner, depth), state)
        self._arrive(state, layout.end)

    def _slot(self, place: Place, state: _State) -> _State:
        """One slot; the state after it."""
        source, slot, type_ = self.source, place.slot, place.layout.type
        if slot.kind == "opaque":
            source.line(f"if {place.owner}.{type_.fields[0]}: raise HandOver")
            return state
        if slot.kind == "choice":
            return self._choice(place, state)
        if slot.attribute is not None:
            field = slot.attribute.field
        else:
            field = type_.value_field if slot.kind == "value" else slot.particle.field
        variable = source.variable()
        source.line(f"{variable} = {place.owner}.{field}")
        if slot.kind == "list":
            return self._list(place, variable, state)
        if not slot.optional:
            self._single(place, variable, state)
            return place.after
        known = source.known
        with source.block(f"if {variable} is None:"):
            self._leave(place, state)
        source.known = known
        with source.block("else:"):
            self._single(place, variable, state)
            self._leave(place, place.after)
        return self._joined(place)

    def _single(self, place: Place, variable: str, state: _State) -> None:
        """A value that is there: its code and its content."""
        slot = place.slot
        if slot.size > 1:
            self._substitutes(slot, variable, state)
            return
        self._arrive(state, slot.number)
        if slot.attribute is not None:
            self._value(slot.attribute.value, variable)
        elif slot.kind == "value":
            assert place.layout.type.value is not None
            self._value(place.layout.type.value, variable)
        else:
            self._element(slot.alternatives[0].element, variable, place.depth)

    def _substitutes(self, slot: Slot, variable: str, state: _State) -> None:
        """A member of a substitution group, chosen by its class."""
        assert state != "written"
        elements = {one.element.cls: one.element for one in slot.alternatives if not one.element.abstract}
        codes = {
            one.element.cls: slot.number + offset
            for offset, one in enumerate(slot.alternatives)
            if not one.element.abstract
        }
        if len(codes) == 1:
            ((cls, number),) = codes.items()
            self._arrive(state, number)
            self._element(elements[cls], variable, depth=2)
            return
        if state == "dynamic":
            self._flush()
            name = self.source.constant("D", codes)
            self.source.line(f"a = a << j | {name}[type({variable})] - b")
        else:
            name = self.source.constant("D", {cls: number - state[1] for cls, number in codes.items()})
            self._put(f"{name}[type({variable})]", state[0])
        for element in elements.values():
            self._register(element)
        self.source.line(f"a = encoders[type({variable})]({variable}, a, w)")

    def _choice(self, place: Place, state: _State) -> _State:
        source, slot = self.source, place.slot
        names = []
        for alternative in slot.alternatives:
            names.append(source.variable())
            source.line(f"{names[-1]} = {place.owner}.{alternative.particle.field}")
        known = source.known
        for offset, alternative in enumerate(slot.alternatives):
            with source.block(f"{'elif' if offset else 'if'} {names[offset]} is not None:"):
                others = [f"{name} is not None" for name in names[offset + 1 :]]
                if others:
                    source.line(f"if {' or '.join(others)}: raise HandOver")
                source.known = known
                self._arrive(state, slot.number + offset)
                self._element(alternative.element, names[offset], place.depth)
                self._leave(place, place.after)
        source.known = known
        with source.block("else:"):
            if slot.optional:
                self._leave(place, state)
            else:
                source.line("raise HandOver")
                source.take_known()
        return self._joined(place)

    def _list(self, place: Place, variable: str, state: _State) -> _State:
        source, particle = self.source, place.slot.particle
        count = source.variable()
        source.line(f"{count} = len({variable})")
        self._limits(count, particle.minimum, particle.maximum)
        if place.slot.optional:
            known = source.known
            with source.block(f"if not {count}:"):
                self._leave(place, state)
            source.known = known
            with source.block("else:"):
                self._items(place, variable, state)
                self._leave_list(place, count)
        else:
            self._items(place, variable, state)
            self._leave_list(place, count)
        return self._joined(place)

    def _items(self, place: Place, variable: str, state: _State) -> None:
        """A list that is not empty. After each item the code of another is written, after the last taken back."""
        source, particle = self.source, place.slot.particle
        again = place.between[0]
        self._arrive(state, place.slot.number)
        self._flush()
        item = source.variable()
        counter = source.variable() if particle.minimum > 1 else ""
        if counter:
            source.line(f"{counter} = 0")
        with source.block(f"for {item} in {variable}:"):
            source.line("if a > SPILL_ABOVE: a = spill(a, w)")
            self._element(place.slot.alternatives[0].element, item, place.depth)
            if counter:
                self._flush()
                source.line(f"{counter} += 1")
                source.line(f"a <<= 1 if {counter} < {particle.minimum} else {again}")
            else:
                source.know(0, again)
                self._flush()
        source.line(f"a >>= {again}")

    def _leave_list(self, place: Place, count: str) -> None:
        """The state after a list depends on whether it is full."""
        source, maximum = self.source, place.slot.particle.maximum
        if maximum is None:
            self._leave(place, place.between)
            return
        with source.block(f"if {count} == {maximum}:"):
            self._leave(place, place.after)
        with source.block("else:"):
            self._leave(place, place.between)

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
                self._boolean(variable)
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

    def _boolean(self, variable: str) -> None:
        """By identity: 1 and 1.0 are equal to True, but no booleans."""
        number, bits = self.source.take_known()
        with self.source.block(f"if {variable} is True:"):
            self.source.line(f"a = a << {bits + 1} | {number << 1 | 1}")
        with self.source.block(f"elif {variable} is False:"):
            self.source.line(f"a = a << {bits + 1} | {number << 1}")
        with self.source.block("else:"):
            self.source.line("raise HandOver")

    def _integer(self, value: Integer, variable: str) -> None:
        form = value.form
        low, high = value.minimum, value.maximum
        if form == "bits":
            assert low is not None
            assert high is not None
            if high - low < _DICT_RANGE:
                # True and 1.0 are found where 1 is.
                self.source.line(f"if type({variable}) is not int: raise HandOver")
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
        outside = f" or not {low}{variable}{high}" if low or high else ""
        self.source.line(f"if type({variable}) is not int{outside}: raise HandOver")
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

    def _limits(self, size: str, minimum: int, maximum: int | None) -> None:
        limits = [f"{size} < {minimum}"] if minimum else []
        limits += [f"{size} > {maximum}"] if maximum is not None else []
        if limits:
            self.source.line(f"if {' or '.join(limits)}: raise HandOver")

    def _binary(self, value: Binary, variable: str) -> None:
        size = self.source.variable()
        # A list of small numbers has a length and becomes a number too.
        self.source.line(f"if type({variable}) is not bytes: raise HandOver")
        self.source.line(f"{size} = len({variable})")
        self._limits(size, value.minimum, value.maximum)
        if value.maximum is not None and value.maximum <= _SHORT:
            self._short_binary(variable, size)
            return
        known = self.source.known
        with self.source.block(f"if {size} <= {_SHORT}:"):
            self._short_binary(variable, size)
        self.source.known = known
        with self.source.block("else:"):
            self._flush()
            self.source.line(f"a = put_octets(a, {variable}, w)")

    def _short_binary(self, variable: str, size: str) -> None:
        self._put(size, 8)
        self.source.line(f"a = a << 8 * {size} | number({variable})")
