"""Generated code against bits counted by hand, against the interpreter, and against the clock of the octets' number."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exi import small
from tests.exi.sample import value_of
from v2gpki.errors import V2GPKIError
from v2gpki.exi import interpret, runtime
from v2gpki.exi.generate import MISMATCH, Coder
from v2gpki.exi.ir import Element, Schema, State, Type
from v2gpki.exi.layout import Layout, layout_of
from v2gpki.messages import codec
from v2gpki.messages.grammar import Grammar
from v2gpki.messages.schema import Message

SCHEMA = small.GRAMMAR.schema
#: Document roots of the small schema in code order.
ROOTS = ["AnyShape", "Box", "Choices", "Circle", "Empty", "Lists", "Mixed", "Options", "Shapes"]


def octets(bits: str) -> bytes:
    """Header and bits (spaces are for the reader), the last octet filled with zeros."""
    digits = bits.replace(" ", "")
    digits += "0" * (-len(digits) % 8)
    return b"\x80" + bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))


def text(value: str) -> str:
    """A short ASCII string: length plus 2, characters."""
    return " ".join(f"{number:08b}" for number in (len(value) + 2, *value.encode("ascii")))


# One production and the escape make a code of 1 bit: "0 0 value 0" is a simple element that is required.
BY_HAND: list[tuple[Message, str]] = [
    # EE alone: 1 bit.
    (small.Empty(), "0100 0"),
    # A..D are offered: 4 and the escape, 3 bits; D is number 3. Then E, F, EE: 2 bits, EE is 2.
    (small.Options(D=b"\xab"), "0111 011 0 00000001 10101011 0 10"),
    # A: code 0; then B, C, D: 2 bits, B is 0, value index 2 of 3 in 2 bits; then C, D: 2 bits, D is 1.
    (
        small.Options(A=True, B="maybe", D=b""),
        "0111 000 0 1 0 00 0 10 0 01 0 00000000 0 10",
    ),
    # C: code 2; 300 = 44 + 2 * 128 -> 10101100 00000010; then D alone: 1 bit. E: code 0, -129 -> sign 1, 128.
    (
        small.Options(C=300, D=b"", E=-129, F=small.Point(X=1, Y=-1)),
        "0111 010 0 10101100 00000010 0 0 0 00000000 0 00 0 1 10000000 00000001 0 00"
        " 0 0 0 00000001 0 0 0 1 00000000 0 0 0",
    ),
    # Some absent: Some, Two: 2 bits, Two is 1. Below two items only another: 1 bit; then Two, Full: 2 bits, Full is 1.
    # Full: after the first, Full again, Endless, EE: 2 bits, EE is 2.
    (small.Lists(Two=(5, 6), Full=(True,)), "0101 01 0 00000101 0 0 0 00000110 0 01 0 1 0 10"),
    # Some full at 3: Some again, Two: 2 bits, after the third Two alone: 1 bit. Two full at 4: Full alone: 1 bit.
    # Full full: Endless, EE: 2 bits; Endless again, EE: 2 bits.
    (
        small.Lists(Some=(small.Point(X=0, Y=0),) * 3, Two=(0, 1, 2, 3), Full=(False, True), Endless=("a", "")),
        "0101 00 " + "0 0 0 00000000 0 0 0 0 00000000 0 0 00 " * 2 + "0 0 0 00000000 0 0 0 0 00000000 0 0 0"
        " 0 00000000 0 0 0 00000001 0 00 0 00000010 0 00 0 00000011 0 0"
        " 0 0 0 00 0 1 0 00 0 00000011 01100001 0 00 0 00000010 0 01",
    ),
    # Before, One, Other: 2 bits, One is 1. Then Left, Right, after, EE: 3 bits, EE is 3.
    (small.Choices(One=2), "0010 01 0 10 0 011"),
    # Zero and False are values like others. Left is 0 of Left, Right, after, EE; then after, EE: EE is 1.
    (small.Choices(One=0, Left=False), "0010 01 0 00 0 000 0 0 0 01"),
    # Before is 0; then One, Other: 2 bits, Other is 1; then Right is 1 of 4 (3 bits); then after, EE: after is 0.
    # Tagged: attributes Id, Lang by name; Id is required and alone: 1 bit; then Lang, CH: 2 bits, CH is 1; then EE.
    (
        small.Choices(
            Before=False, Other=small.Point(X=0, Y=0), Right=True, After=small.Tagged(Id="i", value=b"\x01")
        ),
        "0010 00 0 0 0 01 0 0 0 00000000 0 0 0 0 00000000 0 0 001 0 1 0 00 0 "
        + text("i")
        + " 01 00000001 00000001 0 0",
    ),
    # AnyShape, Box, Circle: 2 bits. Radius 8 of 1..8: 3 bits, 111. Second: AnyShape, Box, Circle, EE: 3 bits.
    (
        small.Shapes(First=small.Circle(Name="c", Radius=8), Second=small.Box(Name="b")),
        "1000 10 0 0 " + text("c") + " 0 0 0 111 0 0 001 0 0 " + text("b") + " 0 0 0",
    ),
    # Id, SE(Circle), SE(*), EE, CH: 3 bits, EE is 3; after Id: Circle, SE(*), EE, CH: 3 bits, EE is 2.
    (small.Mixed(), "0110 011"),
    (small.Mixed(Id="x"), "0110 000 " + text("x") + " 010"),
]


@pytest.fixture(scope="module")
def coder() -> Coder:
    return Coder(SCHEMA)


def test_roots_are_sorted_by_name() -> None:
    assert [element.name.name for element in SCHEMA.document] == ROOTS
    assert SCHEMA.document_bits == 4


@pytest.mark.parametrize(("message", "bits"), BY_HAND, ids=lambda value: type(value).__name__)
def test_bits_counted_by_hand(coder: Coder, message: Message, bits: str) -> None:
    element = small.GRAMMAR.elements[type(message)]
    expected = octets(bits)
    assert coder.encoder(element)(message).hex() == expected.hex()
    assert coder.decode(expected) == (element, message)
    assert interpret.encode(SCHEMA, element, message).hex() == expected.hex()
    assert interpret.decode(SCHEMA, expected)[1] == message


def test_a_full_list_as_ecog_writes_it() -> None:
    # Full, Endless, EE are still offered after the second Full: 2 bits as before, EE is 2 instead of 1.
    message = small.Lists(Two=(0, 0), Full=(True, True))
    element = small.GRAMMAR.elements[small.Lists]
    start = "0101 01 0 00000000 0 0 0 00000000 0 01 0 1 0 00 0 1 0"
    assert interpret.encode(SCHEMA, element, message).hex() == octets(start + "01").hex()
    assert interpret.encode(SCHEMA, element, message, ecog=True).hex() == octets(start + "10").hex()


WRONG: list[Message] = [
    small.Options(D=bytes(9)),
    small.Options(A=1.5, D=b""),  # type: ignore[arg-type]  # what the types forbid
    small.Options(B="perhaps", D=b""),  # type: ignore[arg-type]  # what the types forbid
    small.Options(C=2**32, D=b""),
    small.Options(C=-1, D=b""),
    small.Options(D="ab"),  # type: ignore[arg-type]  # what the types forbid
    small.Options(D=None),  # type: ignore[arg-type]  # what the types forbid
    small.Options(D=b"", E=2**2048),
    small.Options(D=b"", E=-(2**2048) - 1),
    small.Options(D=b"", F=small.Empty()),  # type: ignore[arg-type]  # what the types forbid
    small.Options(D=b"", F=small.Twin(X=1, Y=1)),  # type: ignore[arg-type]  # what the types forbid
    small.Options(D=b"", F=small.Point(X=2**15, Y=0)),
    small.Lists(Two=(1,), Full=(True,)),
    small.Lists(Two=(1,) * 5, Full=(True,)),
    small.Lists(Two=(1, 256), Full=(True,)),
    small.Lists(Two=(1, 2), Full=()),
    small.Lists(Two=(1, 2), Full=(True,), Some=(small.Point(X=0, Y=0),) * 4),
    small.Lists(Two=(1, 2), Full=(True,), Endless=("x" * 101,)),
    small.Lists(Two=(1, 2), Full=(True,), Endless=("\ud800",)),
    small.Lists(Two=(1, 2), Full=(True,), Endless=(b"x",)),  # type: ignore[arg-type]  # what the types forbid
    small.Choices(),
    small.Choices(One=1, Other=small.Point(X=0, Y=0)),
    small.Choices(One=1, Left=True, Right=True),
    small.Choices(One=4),
    small.Shapes(First=small.Point(X=0, Y=0)),  # type: ignore[arg-type]  # what the types forbid
    small.Shapes(First=small.Box(Name="")),
    small.Shapes(First=small.Box(Name="12345")),
    small.Shapes(First=small.Circle(Name="a", Radius=0)),
]


@pytest.mark.parametrize("message", WRONG, ids=repr)
def test_what_is_wrong_is_handed_over_and_refused(coder: Coder, message: Message) -> None:
    element = small.GRAMMAR.elements[type(message)]
    for _ in range(2):  # the second time nothing remembered may let it through
        with pytest.raises(MISMATCH):
            coder.encoder(element)(message)
    with pytest.raises(V2GPKIError) as refused:
        interpret.encode(SCHEMA, element, message)
    assert type(message).__name__ in refused.value.message


def looks_alike() -> Iterator[tuple[str, Message]]:
    """Values that Python takes for a right one: every coding of integers, booleans, octets short and long."""
    for wrong in (True, False, 1.0, 0.0, 3.0):
        number: int = wrong  # type: ignore[assignment]  # what the types forbid; a bool is allowed by typing alone
        yield "int", small.Lists(Two=(1, number), Full=(True,))
        yield "int", small.Choices(One=number)
        yield "int", small.Shapes(First=small.Circle(Name="a", Radius=number))
        yield "int", small.Options(C=number, D=b"")
        yield "int", small.Options(D=b"", E=number)
        yield "int", small.Options(D=b"", F=small.Point(X=number, Y=0))
    for alike in (1, 0, 1.0, 0.0, ""):
        truth: bool = alike  # type: ignore[assignment]  # what the types forbid
        yield "bool", small.Lists(Two=(1, 2), Full=(truth,))
        yield "bool", small.Options(A=truth, D=b"")
    for octets_alike in ([1, 2], (1, 2), bytearray(b"ab"), memoryview(b"ab"), [], ()):
        data: bytes = octets_alike  # type: ignore[assignment]  # what the types forbid
        yield "bytes", small.Options(D=data)
        tagged = small.Tagged(Id="a", value=data)
        yield "bytes", small.Choices(One=1, After=tagged)


ALIKE = list(looks_alike())


@pytest.mark.parametrize(
    ("wanted", "message"), ALIKE, ids=[f"{number}-{type(one).__name__}" for number, (_, one) in enumerate(ALIKE)]
)
def test_what_only_looks_like_a_right_value_is_refused_in_the_same_words(
    coder: Coder, wanted: str, message: Message
) -> None:
    """The generated code hands over, so that the words are the interpreter's alone."""
    element = small.GRAMMAR.elements[type(message)]
    with pytest.raises(MISMATCH):
        coder.encoder(element)(message)
    with pytest.raises(V2GPKIError) as refused:
        interpret.encode(SCHEMA, element, message)
    assert refused.value.code == "exi.type"
    assert re.search(f"must be an? {wanted}, is ", refused.value.message)


#: Codes as in the cases above, with one value that breaks a rule.
BROKEN: dict[str, str] = {
    "a name of 5 characters": "0001 0 0 " + text("abcde") + " 0 0",
    "no name": "0001 0 0 00000010 0 0",
    "9 octets": "0111 011 0 00001001 " + "00000000" * 9 + " 0 10",
    "65537, which is no short": "0111 011 0 00000000 0 01 0 0 0 10000001 10000000 00000100 0 0 0 0 00000000 0 0 00",
    "-32769, which is no short": "0111 011 0 00000000 0 01 0 0 1 10000000 10000000 00000010 0 0 0 0 00000000 0 0 00",
    "2**32": "0111 010 0 10000000 10000000 10000000 10000000 00010000 0 0 0 00000000 0 10",
    "value 3 of an enumeration of 3": "0111 001 0 11 0 01 0 00000000 0 10",
    "an abstract element": "1000 00 0 0 " + text("b") + " 0 0 010",
    "half a surrogate": "0101 01 0 00000000 0 0 0 00000000 0 01 0 1 0 01 0 00000011 10000000 10110000 00000011 0 01",
    "beyond Unicode": "0101 01 0 00000000 0 0 0 00000000 0 01 0 1 0 01 0 00000011 10000000 10000000 01000100 0 01",
    "more characters than octets": "0101 01 0 00000000 0 0 0 00000000 0 01 0 1 0 01 0 01100000 01100001 0 01",
    "a number without end": "0111 010 0 " + "10000000" * 4000,
    "octets without end": "0111 011 0 11111111 11111111 11111111 11111111 00000111",
}


@pytest.mark.parametrize("bits", BROKEN.values(), ids=BROKEN.keys())
def test_broken_values_are_handed_over_and_refused(coder: Coder, bits: str) -> None:
    with pytest.raises(MISMATCH):
        coder.decode(octets(bits))
    with pytest.raises(V2GPKIError):
        interpret.decode(SCHEMA, octets(bits))


@pytest.mark.parametrize("more", [1, 63, 64, 255, 256, 1000])
def test_octets_after_the_end(coder: Coder, more: int) -> None:
    for message, bits in BY_HAND:
        assert coder.decode(octets(bits))[1] == message
        with pytest.raises(MISMATCH):
            coder.decode(octets(bits) + bytes(more))
    for size in range(230, 270):  # one of these ends where a window does
        whole = coder.encoder(small.GRAMMAR.elements[small.Mixed])(small.Mixed(Id="x" * size))
        with pytest.raises(MISMATCH):
            coder.decode(whole + bytes(more))


def test_a_fragment_ends_with_its_own_code(coder: Coder) -> None:
    # 29 names are declared, with SE(*) and ED 31 codes: 5 bits.
    code, element = SCHEMA.fragment_roots[small.GRAMMAR.elements[small.Empty].name]
    width, end = SCHEMA.fragment_bits, SCHEMA.fragment_end
    whole = octets(f"{code:0{width}b} 0 {end:0{width}b}")
    assert coder.encoder(element, fragment=True)(small.Empty()) == whole
    assert coder.decode(whole, fragment=True)[1] == small.Empty()
    with pytest.raises(MISMATCH):
        coder.decode(octets(f"{code:0{width}b} 0 {end - 1:0{width}b}"), fragment=True)


@pytest.mark.parametrize("message", [message for message, _ in BY_HAND], ids=lambda value: type(value).__name__)
def test_every_truncation_and_every_flipped_bit(coder: Coder, message: Message) -> None:
    """Whatever the generated code accepts, the interpreter accepts too, and takes for the same."""
    whole = coder.encoder(small.GRAMMAR.elements[type(message)])(message)
    damaged = [whole[:size] for size in range(len(whole))] + [whole + b"\0"]
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit >> 3] ^= 128 >> (bit & 7)
        damaged.append(bytes(changed))
    for data in damaged:
        try:
            fast = coder.decode(data)
        except MISMATCH:
            continue
        assert interpret.decode(SCHEMA, data) == fast
        assert not whole.startswith(data)


def test_all_of_a_type_agrees_with_its_states() -> None:
    """The running numbers of a layout give the widths of the states, in every schema."""
    for name in codec.SCHEMAS:
        grammar = codec.grammar(name)
        for namespace in grammar.namespaces:
            for cls in namespace.classes:
                type_ = grammar.type_of(cls)
                layout = layout_of(type_)
                if layout is None:
                    continue
                assert layout.bits(0) == type_.start.bits, cls
                if type_.attributes or not layout.slots or layout.slots[0].kind == "opaque":
                    continue
                for index, slot in enumerate(layout.slots):
                    if slot.kind != "element" or slot.size > 1:
                        continue
                    production = next(
                        one
                        for one in (_state_before(type_, layout, index)).productions
                        if one.particle is slot.particle
                    )
                    after = type_.after(type_.start, production, 1)
                    assert after is not None
                    assert layout.bits(index + 1) == after.bits, (cls, slot.particle.field)


def _state_before(type_: Type, layout: Layout, index: int) -> State:
    """A state in which the slot is offered: that after the required slot before it."""
    state = type_.start
    for slot in layout.slots[:index]:
        if not slot.optional:
            particle = slot.alternatives[0].particle
            production = next(one for one in state.productions if one.particle is particle)
            following = type_.after(state, production, max(1, particle.minimum))
            assert following is not None
            state = following
    return state


def roots(schema: Schema, fragment: bool) -> list[Element]:
    elements = schema.fragment if fragment else schema.document
    return [element for element in elements if not element.abstract and element.type.cls is not None]


@pytest.mark.parametrize("name", codec.SCHEMAS)
@given(seed=st.integers(0, 2**32), fragment=st.booleans(), wild=st.booleans())
@settings(max_examples=60, deadline=None)
def test_random_messages_both_ways(name: str, seed: int, fragment: bool, wild: bool) -> None:
    """Generated code and interpreter write the same octets and read the same value, or only the interpreter."""
    schema, coder, random = codec.model(name), codec.coder(name), Random(seed)
    element = random.choice(roots(schema, fragment))
    value = value_of(element, random, wild=wild)
    try:
        exact = interpret.encode(schema, element, value, fragment=fragment)
    except V2GPKIError as refused:
        assert refused.code == "exi.unsupported", refused  # noqa: PT017 - anything else is a mistake of the sample
        return
    assert interpret.decode(schema, exact, fragment=fragment) == (element, value)
    try:
        fast = coder.encoder(element, fragment=fragment)(value)
    except MISMATCH:
        with pytest.raises(MISMATCH):
            coder.decode(exact, fragment=fragment)
        return
    assert fast == exact
    assert coder.decode(fast, fragment=fragment) == (element, value)


def test_first_use_by_many_threads_at_once() -> None:
    for _ in range(5):
        coder = Coder(Grammar("again", (small.NS, small.OTHER)).schema)
        start = threading.Barrier(8)
        failures: list[BaseException] = []

        def work(
            coder: Coder = coder, start: threading.Barrier = start, failures: list[BaseException] = failures
        ) -> None:
            start.wait()
            try:
                for message, bits in BY_HAND:
                    element = coder.schema.roots[small.GRAMMAR.elements[type(message)].name]
                    assert coder.encoder(element)(message) == octets(bits)
                    assert coder.decode(octets(bits))[1] == message
            except BaseException as problem:  # noqa: BLE001 - handed to the main thread
                failures.append(problem)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        assert not failures


def test_memory_of_strings_is_bounded(coder: Coder) -> None:
    element = small.GRAMMAR.elements[small.Lists]
    encode = coder.encoder(element)
    sizes = set()
    for number in range(10 * runtime.MEMO_STRINGS):
        encode(small.Lists(Two=(1, 2), Full=(True,), Endless=(f"{number}", f"{number}" + "x" * 90)))
        memos = [value for value in coder._writing.values() if isinstance(value, dict) and f"{number}" in value]
        sizes |= {len(memo) for memo in memos}
        assert all(len(string) <= runtime.MEMO_CHARACTERS for memo in memos for string in memo)
    assert max(sizes) == runtime.MEMO_STRINGS


def test_time_is_linear_in_the_length(coder: Coder) -> None:
    """Twice the octets take about twice the time, forth and back, though the codes shift every value off the octets."""
    element = small.GRAMMAR.elements[small.Lists]

    def seconds(items: int) -> float:
        message = small.Lists(Two=(1, 2), Full=(True,), Endless=("ä" + "x" * 80,) * items)
        best = 1e9
        for _ in range(5):
            start = time.process_time()
            assert coder.decode(coder.encoder(element)(message))[1] == message
            best = min(best, time.process_time() - start)
        return best

    assert seconds(8000) < 10 * seconds(2000) + 0.01
