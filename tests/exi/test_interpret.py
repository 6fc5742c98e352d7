"""The interpreter against the vectors: both directions, what is malformed, what deviates, and what its errors say."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.messages.comparison import failures
from tests.vectors import SCHEMAS, Vector, selection
from v2gpki import messages
from v2gpki.errors import V2GPKIError
from v2gpki.exi import interpret, write
from v2gpki.exi.foreign import XSI
from v2gpki.exi.ir import AnyElement, NamedValue, QName
from v2gpki.messages import iso2
from v2gpki.messages.codec import model
from v2gpki.messages.xmldsig import CanonicalizationMethod

BODY = "urn:iso:15118:2:2013:MsgBody"


def octets(vector: Vector, key: str = "exi") -> bytes:
    return bytes.fromhex(vector[key])


def is_fragment(vector: Vector) -> bool:
    return bool(vector["mode"] == "fragment")


# --- both directions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_is_read_is_written_again_in_every_legal_form(schema: str) -> None:
    def check(vector: Vector) -> None:
        data, fragment = octets(vector), is_fragment(vector)
        element, value = interpret.decode(model(schema), data, fragment=fragment)
        canonical = octets(vector, "exi_alt") if "exi_alt" in vector else data
        assert interpret.encode(model(schema), element, value, fragment=fragment) == canonical
        if "exi_alt" in vector:
            assert interpret.decode(model(schema), octets(vector, "exi_alt"), fragment=fragment) == (element, value)
            as_end = interpret.encode(model(schema), element, value, fragment=fragment, empty_as_end=True)
            assert as_end == data
        if "exi_ecog_jar" in vector:
            as_ecog = octets(vector, "exi_ecog_jar")
            as_end = "exi_alt" in vector
            again = interpret.encode(
                model(schema), element, value, fragment=fragment, ecog=True, empty_as_end=as_end
            )
            assert again == as_ecog
            assert interpret.decode(model(schema), as_ecog, fragment=fragment, ecog=True)[1] == value

    assert not failures(selection(schema), check)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_generated_code_reads_the_same(schema: str) -> None:
    def check(vector: Vector) -> None:
        fragment = is_fragment(vector)
        reading = interpret.read(model(schema), octets(vector), fragment=fragment)
        assert reading.message == messages.decode(octets(vector), schema, fragment)
        assert not reading.findings

    assert not failures(selection(schema), check)


def test_foreign_elements_under_wildcards_both_ways() -> None:
    def check(vector: Vector) -> None:
        reading = interpret.read(model(vector["schema"]), octets(vector), fragment=is_fragment(vector))
        assert reading.element is not None
        again = interpret.encode(
            model(vector["schema"]), reading.element, reading.value, fragment=is_fragment(vector)
        )
        assert again == octets(vector)

    assert not failures(selection("wildcard"), check)


# --- malformed ------------------------------------------------------------------------------------------------------


def test_malformed_octets_are_answered_as_they_should_be() -> None:
    def check(vector: Vector) -> None:
        run = interpret.trace(model(vector["schema"]), octets(vector), fragment=is_fragment(vector), tolerant=False)
        expect = vector["expect"]
        if expect == "reject":
            assert run.error is not None
        elif expect == "trailing":
            assert run.error is not None
            assert run.error.code == "exi.trailing"
        tolerant = interpret.trace(model(vector["schema"]), octets(vector), fragment=is_fragment(vector))
        if expect == "reject":
            assert tolerant.error is not None
        elif expect == "trailing":
            assert tolerant.reading is not None
            assert [finding.code for finding in tolerant.reading.findings] == ["exi.trailing"]

    vectors = [vector for vector in selection("malformed") if vector["schema"] in SCHEMAS]
    assert {vector["expect"] for vector in vectors} == {"reject", "any", "trailing"}
    assert not failures(vectors, check)


def truncations(schema: str) -> Iterator[tuple[Vector, bytes]]:
    """The beginnings of every vector: the first 60 and the last 20; the interop tests take them all."""
    for vector in selection(schema):
        whole = octets(vector)
        for size in {*range(min(len(whole), 60)), *range(max(len(whole) - 20, 0), len(whole))}:
            yield vector, whole[:size]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_beginning_of_a_message_is_never_a_message(schema: str) -> None:
    grammar = model(schema)
    for vector, beginning in truncations(schema):
        with pytest.raises(V2GPKIError) as refusal:
            interpret.decode(grammar, beginning, fragment=is_fragment(vector))
        assert refusal.value.code == "exi.truncated", (vector["id"], len(beginning))


@pytest.mark.parametrize("first", [0x00, 0x7F, 0x81, 0x90, 0xA0, 0x24])
def test_other_headers_are_refused(first: int) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        interpret.decode(model("app"), bytes([first, 0x40, 0x00, 0x40]))
    assert refusal.value.code == "exi.header"


def test_a_frame_with_its_header_left_on_is_told() -> None:
    with pytest.raises(V2GPKIError) as refusal:
        interpret.decode(model("app"), bytes.fromhex("01fe80010000000480400040"))
    assert "V2GTP" in refusal.value.hint


def test_input_is_bounded() -> None:
    with pytest.raises(V2GPKIError) as refusal:
        interpret.decode(model("app"), b"\x80" + bytes(interpret.MAX_OCTETS))
    assert refusal.value.code == "exi.limit"
    assert refusal.value.facts["size"] == interpret.MAX_OCTETS + 1


def nested(depth: int) -> CanonicalizationMethod:
    element = AnyElement(name=QName("x", "urn:x"))
    for _ in range(depth - 1):
        element = AnyElement(name=QName("x", "urn:x"), content=(element,))
    return CanonicalizationMethod(Algorithm="a", content=(element,))


def test_depth_is_bounded_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    deepest = nested(interpret.MAX_DEPTH - 1)
    assert messages.decode(messages.encode(deepest), "xmldsig") == deepest
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(nested(interpret.MAX_DEPTH))
    assert refusal.value.code == "exi.depth"
    monkeypatch.setattr(write, "MAX_DEPTH", 10_000)
    for depth in (interpret.MAX_DEPTH, 5_000):
        data = messages.encode(nested(depth))
        for tolerant in (False, True):
            run = interpret.trace(model("xmldsig"), data, tolerant=tolerant)
            assert run.error is not None
            assert run.error.code == "exi.depth"


# --- deviations -----------------------------------------------------------------------------------------------------


def tree(steps: tuple[interpret.Step, ...]) -> ElementTree.Element:
    """The document that a trace tells: names, attributes, texts as sets of possible spellings in `spellings`."""
    top: list[ElementTree.Element] = []
    stack: list[ElementTree.Element] = []
    for step in steps:
        if step.event == "SE":
            element = ElementTree.Element(step.name)
            (stack[-1] if stack else top).append(element)
            stack.append(element)
        elif step.event == "EE":
            stack.pop()
        elif step.event == "AT":
            stack[-1].set(step.name, str(step.value).lower() if isinstance(step.value, bool) else str(step.value))
        elif step.event == "CH" and step.value is not None:
            value = step.value
            text = value.hex().upper() if isinstance(value, bytes) else str(value)
            text = text.lower() if isinstance(value, bool) else text
            if len(stack[-1]):
                stack[-1][-1].tail = (stack[-1][-1].tail or "") + text
            else:
                stack[-1].text = (stack[-1].text or "") + text
    return top[0]


def same(ours: ElementTree.Element, theirs: ElementTree.Element) -> bool:
    """Whether two documents are the same, but for `xsi:type` and the spelling of octets."""
    type_ = f"{{{XSI}}}type"
    attributes = [{name: value for name, value in one.attrib.items() if name != type_} for one in (ours, theirs)]
    text, expected = (ours.text or "").strip(), (theirs.text or "").strip()
    if text != expected:
        try:
            text = base64.b64encode(bytes.fromhex(text)).decode()
        except ValueError:
            return False
    return (
        ours.tag == theirs.tag
        and attributes[0] == attributes[1]
        and text == expected
        and len(ours) == len(theirs)
        and all(same(one, other) for one, other in zip(ours, theirs, strict=True))
    )


def test_deviations_are_refused_or_read_and_told() -> None:
    strictly_read = 0

    def check(vector: Vector) -> None:
        nonlocal strictly_read
        grammar = model(vector["schema"])
        strict = interpret.trace(grammar, octets(vector), tolerant=False)
        tolerant = interpret.trace(grammar, octets(vector))
        assert tolerant.reading is not None, tolerant.error
        if strict.error is None:
            # Leaving an optional element out, repeating one of a list: no deviation at all.
            strictly_read += 1
            assert not tolerant.reading.findings
        else:
            assert strict.error.code in {"exi.undeclared", "exi.missing"}
            assert strict.error.facts["path"]
            assert tolerant.reading.findings[0].code == strict.error.code
        assert same(tree(tolerant.steps), ElementTree.fromstring(vector["xml_decoded"]))
        messages.to_xml(tolerant.reading.message, vector["schema"])

    vectors = [vector for vector in selection("deviations") if vector["schema"] in SCHEMAS]
    assert not failures(vectors, check)
    assert 0 < strictly_read < len(vectors) // 5


#: "deviation-0006" as EXIficient (the reference implementation) traces it: an undeclared attribute in ServiceDetailReq.
DEVIATION = "809802388c3a8c5bc58c0a919b104666f6f0562617200000"
TRACED = [
    ("SE", ((8, 7, 76),), "V2G_Message"),
    ("SE", ((15, 1, 0),), "Header"),
    ("SE", ((16, 1, 0),), "SessionID"),
    ("CH", ((17, 1, 0),), ""),
    ("EE", ((90, 1, 0),), "SessionID"),
    ("EE", ((91, 2, 2),), "Header"),
    ("SE", ((93, 1, 0),), "Body"),
    ("SE", ((94, 6, 25),), "ServiceDetailReq"),
    ("AT", ((100, 1, 1), (101, 3, 3)), "foo"),
    ("SE", ((172, 1, 0),), "ServiceID"),
    ("CH", ((173, 1, 0),), ""),
    ("EE", ((182, 1, 0),), "ServiceID"),
    ("EE", ((183, 1, 0),), "ServiceDetailReq"),
    ("EE", ((184, 1, 0),), "Body"),
    ("EE", ((185, 1, 0),), "V2G_Message"),
]


def test_a_trace_shows_the_bits_that_the_reference_shows() -> None:
    run = messages.trace(bytes.fromhex(DEVIATION))
    seen = [
        (step.event, step.codes, "" if step.event == "CH" else step.name.rpartition("}")[2])
        for step in run.steps
        if step.event in {"SE", "EE", "AT", "CH"}
    ]
    assert seen == TRACED
    assert run.reading is not None
    assert run.reading.bits == 192
    values = {step.path: step.value for step in run.steps if step.event in {"CH", "AT"}}
    assert values["V2G_Message/Header/SessionID"] == bytes.fromhex("E230EA316F16302A")
    assert values["V2G_Message/Body/ServiceDetailReq/@foo"] == "bar"
    assert [step.note for step in run.steps if step.event == "!"] == ["attribute foo is not declared [exi.undeclared]"]


# --- what errors say ------------------------------------------------------------------------------------------------


def session_setup(evccid: bytes = bytes(6), session: bytes = bytes(8)) -> iso2.V2G_Message:
    return iso2.V2G_Message(
        Header=iso2.MessageHeaderType(SessionID=session),
        Body=iso2.BodyType(BodyElement=iso2.SessionSetupReq(EVCCID=evccid)),
    )


LONG = "V2G_Message/Body/SessionSetupReq/EVCCID"


def test_a_breach_is_refused_with_path_rule_and_size_in_both_directions() -> None:
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(session_setup(bytes(7)))
    assert refusal.value.code == "exi.facet"
    assert refusal.value.facts == {
        "path": LONG,
        "schema": "iso15118-2",
        "rule": "must have 6 octets or fewer",
        "size": 7,
    }
    # The same octets with the waiver: SessionID 8+64+1 bits after code bits, then EVCCID with its length 7.
    data = messages.encode(session_setup(bytes(7)), waivers=(LONG,))
    with pytest.raises(V2GPKIError) as refusal:
        messages.decode(data)
    assert refusal.value.code == "exi.facet"
    assert refusal.value.facts["path"] == LONG
    assert refusal.value.facts["size"] == 7
    # 8 header, 7 root, 1 Header, 1 SessionID, 1 CH, 72 SessionID, 1 EE, 2 EE, 1 Body, 6 SessionSetupReq, 1 EVCCID, 1 CH
    assert refusal.value.facts["bit"] == 8 + 7 + 1 + 1 + 1 + 72 + 1 + 2 + 1 + 6 + 1 + 1
    assert LONG in refusal.value.message


@pytest.mark.parametrize("waiver", [LONG, "V2G_Message/Body/*/EVCCID", "V2G_Message/*/SessionSetupReq/EVCCID"])
def test_waivers_let_one_path_through(waiver: str) -> None:
    message = session_setup(bytes(7))
    data = messages.encode(message, waivers=(waiver,))
    reading = messages.read(data, tolerant=False, waivers=(waiver,))
    assert reading.message == message
    assert not reading.findings
    for other in ("V2G_Message/Body/SessionSetupReq", "V2G_Message/*/EVCCID", "V2G_Message/Header/SessionID"):
        with pytest.raises(V2GPKIError):
            messages.encode(message, waivers=(other,))
        with pytest.raises(V2GPKIError):
            messages.read(data, tolerant=False, waivers=(other,))


def test_tolerant_reading_gives_breaches_as_values() -> None:
    message = session_setup(bytes(7), bytes(9))
    data = messages.encode(message, waivers=(LONG, "V2G_Message/Header/SessionID"))
    reading = messages.read(data)
    assert reading.message == message
    assert [(finding.code, finding.where, finding.facts["size"]) for finding in reading.findings] == [
        ("exi.facet", "V2G_Message/Header/SessionID", 9),
        ("exi.facet", LONG, 7),
    ]


def test_what_has_no_bits_cannot_be_waived() -> None:
    multiplier = iso2.PhysicalValueType(Multiplier=4, Unit="A", Value=1)
    message = iso2.V2G_Message(
        Header=iso2.MessageHeaderType(SessionID=bytes(8)),
        Body=iso2.BodyType(
            BodyElement=iso2.CurrentDemandReq(
                DC_EVStatus=iso2.DC_EVStatusType(EVReady=True, EVErrorCode="NO_ERROR", EVRESSSOC=1),
                EVTargetCurrent=multiplier,
                ChargingComplete=False,
                EVTargetVoltage=iso2.PhysicalValueType(Multiplier=0, Unit="V", Value=1),
            )
        ),
    )
    path = "V2G_Message/Body/CurrentDemandReq/EVTargetCurrent/Multiplier"
    # -3..3 has 3 bits: 4 - -3 = 7 still fits them, 5 does not.
    assert messages.read(messages.encode(message, waivers=(path,))).findings[0].where == path
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CurrentDemandReq)
    import msgspec

    wider = msgspec.structs.replace(multiplier, Multiplier=5)
    changed = msgspec.structs.replace(
        message, Body=iso2.BodyType(BodyElement=msgspec.structs.replace(body, EVTargetCurrent=wider))
    )
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(changed, waivers=(path,))
    assert refusal.value.code == "exi.facet"


@pytest.mark.parametrize(
    ("message", "code", "path"),
    [
        (session_setup("text"), "exi.type", LONG),  # type: ignore[arg-type] - the mistake under test
        (session_setup(None), "exi.missing", "V2G_Message/Body/SessionSetupReq"),  # type: ignore[arg-type] - the same
        (
            iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=b""), Body="body"),  # type: ignore[arg-type] - the same
            "exi.type",
            "V2G_Message/Body",
        ),
    ],
)
def test_a_message_that_cannot_be_written_says_where(message: iso2.V2G_Message, code: str, path: str) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(message)
    assert refusal.value.code == code
    assert refusal.value.facts["path"] == path


def test_lists_are_counted_and_their_items_numbered() -> None:
    options = iso2.PaymentOptionListType(PaymentOption=())
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(NamedValue(QName("PaymentOptionList", BODY), options), "iso15118-2", fragment=True)
    assert (refusal.value.code, refusal.value.facts["path"]) == ("exi.facet", "PaymentOptionList/PaymentOption")
    assert refusal.value.facts["size"] == 0
    three = iso2.PaymentOptionListType(PaymentOption=("Contract", "ExternalPayment", "Contract"))
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(NamedValue(QName("PaymentOptionList", BODY), three), "iso15118-2", fragment=True)
    assert refusal.value.facts["size"] == 3
    wrong = iso2.PaymentOptionListType(PaymentOption=("Contract", "Cash"))  # type: ignore[arg-type] - the mistake under test
    with pytest.raises(V2GPKIError) as refusal:
        messages.encode(NamedValue(QName("PaymentOptionList", BODY), wrong), "iso15118-2", fragment=True)
    assert refusal.value.facts["path"] == "PaymentOptionList/PaymentOption[2]"


def test_an_abstract_element_cannot_be_sent() -> None:
    # V2G_Message, Header with an empty SessionID and no more, Body with code 2 of 36: BodyElement, the abstract head.
    bits = "1000_0000 1001100 0 0 0 00000000 0 10 0 000010".replace(" ", "").replace("_", "")
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    with pytest.raises(V2GPKIError) as refusal:
        messages.decode(data)
    assert refusal.value.code == "exi.abstract"
    assert refusal.value.facts["path"] == "V2G_Message/Body/BodyElement"


def test_an_enumeration_knows_its_end() -> None:
    # supportedAppProtocolRes: root 1 in 2 bits, SE 0, CH 0, index 3 of 3 values in 2 bits, EE 0, then the end (1 of 2).
    bits = "10000000 01 0 0 11 0 01".replace(" ", "")
    data = int(bits.ljust(24, "0"), 2).to_bytes(3, "big")
    with pytest.raises(V2GPKIError) as refusal:
        messages.decode(data, "app")
    assert refusal.value.code == "exi.enumeration"
    assert refusal.value.facts["bit"] == 12
    reading = messages.read(data, "app")
    assert [finding.code for finding in reading.findings] == ["exi.enumeration"]


def test_bits_behind_the_end_are_refused() -> None:
    good = bytes.fromhex("80400040")
    assert messages.decode(good, "app") == messages.decode(good, "app")
    for bad, what in ((b"\x80\x40\x00\x41", "bits are set"), (good + b"\x00", "1 octets follow")):
        with pytest.raises(V2GPKIError) as refusal:
            messages.decode(bad, "app")
        assert refusal.value.code == "exi.trailing"
        assert what in refusal.value.message
