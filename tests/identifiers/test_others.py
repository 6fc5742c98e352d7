"""PCID, EVSEID, SECCID, EVCCID, CPID, text, and choosing among kinds."""

from __future__ import annotations

import timeit
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import KINDS, MAKES, Identifier, make, parse, recognise

SECCID = "DE-ICE-S-00003C4D557878675645330967543476-2"  # the example of OPCP


def refused(kind: str, text: str) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        parse(kind, text)
    assert caught.value.code == "identifier.invalid"
    assert caught.value.message.isascii()
    return caught.value


def test_the_kinds() -> None:
    assert KINDS == ("emaid", "pcid", "evseid", "seccid", "evccid", "cpid", "hostname", "address", "text")


# The first three are vehicles of Hubject's test certificates, the fourth OPCP's example.
@pytest.mark.parametrize("text", ["huboemprovcqa0615", "hubUsEaTest000003", "DEHUBCOPNCPROVCER", "WP012345678901234"])
def test_pcids_of_the_field_are_kept_as_written(text: str) -> None:
    identifier = parse("pcid", text)
    assert identifier.normal == text
    assert identifier.parts["wmi"] == text[:3]
    assert identifier.parts["key"] == text.upper()
    assert [finding.severity for finding in identifier.warnings] == ([] if text == text.upper() else ["info"])


def test_a_pcid_with_a_check_character() -> None:
    assert parse("pcid", "WP0123456789012345").parts["check"] == "5"
    made = make("pcid", {"wmi": "WP0", "instance": "12345678901234", "check": "5"})
    assert made.normal == "WP0123456789012345"


@pytest.mark.parametrize("text", ["OEMProvCert", "WP01234567890123", "WP01234567890123456", "WP0-12345678901234", ""])
def test_pcid_refusals(text: str) -> None:
    refused("pcid", text)


@pytest.mark.parametrize(
    ("text", "normal", "key"),
    [
        ("DE*ICE*E45B*78C", "DE*ICE*E45B*78C", "DEICEE45B78C"),  # OPCP
        ("DEICEE45B78C", "DE*ICE*E45B78C", "DEICEE45B78C"),
        ("de*ab7*e840*6487", "DE*AB7*E840*6487", "DEAB7E8406487"),  # mobilityid
        ("DEAB7E1", "DE*AB7*E1", "DEAB7E1"),  # the shortest, 7
        ("DE*AB7*E1234567890ABCDEFGHIJ12345678", "DE*AB7*E1234567890ABCDEFGHIJ12345678", None),
        ("DE*AB7*E1234567890ABCDEFGHIJ123456789", "DE*AB7*E1234567890ABCDEFGHIJ123456789", None),  # 37
        ("DE*AB7*E1234567890ABCDEFGHIJ1234567890", "DEAB7E1234567890ABCDEFGHIJ1234567890", None),  # 38 -> 36
        ("DEAB7E1234567890ABCDEFGHIJ12345678901", "DEAB7E1234567890ABCDEFGHIJ12345678901", None),  # 37, outlet 31
    ],
)
def test_evseid_normal_forms(text: str, normal: str, key: str | None) -> None:
    identifier = parse("evseid", text)
    assert identifier.normal == normal
    assert len(normal) <= 37
    assert identifier.parts["key"] == (key or normal.replace("*", ""))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("+49*810*000*438", "character 1 (U+002B)"),
        ("NL*TNM*840*6487", "it has to be"),
        ("DE*AB7*E" + "7" * 32, "it has to be"),
        ("DE*AB7*E", "it has to be"),
        ("DE*AB7*E***", "only stars"),
        ("DE*AB7*E1\x7f", "a control character"),
        ("DE*AB7*É1", "not ASCII"),
    ],
)
def test_evseid_refusals(text: str, words: str) -> None:
    assert words in refused("evseid", text).message


def test_the_din_form_of_an_evseid_is_named() -> None:
    assert "DIN SPEC 91286" in refused("evseid", "+49*810*000*438").hint


def test_seccid() -> None:
    identifier = parse("seccid", SECCID.lower())
    assert identifier.normal == SECCID
    assert identifier.parts["controller"] == "00003C4D557878675645330967543476"
    assert identifier.parts["check"] == "2"
    compact = parse("seccid", SECCID.replace("-", ""))
    assert compact.parts["key"] == identifier.parts["key"]
    made = make(
        "seccid",
        {"country": "DE", "operator": "ICE", "controller": "00003C4D557878675645330967543476", "check": "2"},
    )
    assert made.normal == SECCID


@pytest.mark.parametrize(
    ("controller", "fits"), [("0" * 31, False), ("0" * 32, True), ("0" * 55, True), ("0" * 56, False)]
)
def test_the_length_of_a_seccid(controller: str, fits: bool) -> None:
    # DE-ICE-S- is 9 characters: 41 at least, 64 at most
    if fits:
        assert len(parse("seccid", f"DE-ICE-S-{controller}").normal) == 9 + len(controller)
    else:
        refused("seccid", f"DE-ICE-S-{controller}")


def test_a_compact_seccid_that_separators_would_make_too_long() -> None:
    # 6 + 58 = 64 without separators, 67 with them
    text = "DEICES" + "0" * 58
    assert parse("seccid", text).normal == text
    refused("seccid", "DEICES" + "0" * 32)  # 38, below 39


@pytest.mark.parametrize("text", ["00:b0:52:00:00:01", "00-B0-52-00-00-01", "00b052000001"])
def test_an_evccid_of_edition_2_is_a_mac(text: str) -> None:
    assert parse("evccid", text).normal == "00B052000001"


def test_an_evccid_of_edition_20_is_a_name() -> None:
    identifier = parse("evccid", "WMIV1234567890ABCDEX")
    assert identifier.normal == "WMIV1234567890ABCDEX"
    assert identifier.parts["wmi"] == "WMI"
    assert parse("evccid", "W" * 64).warnings == ()
    assert parse("evccid", "W" * 255).warnings[0].code == "identifier.too_long_for_name"
    refused("evccid", "W" * 256)
    refused("evccid", "W V")
    refused("evccid", "")


def test_cpid_and_text() -> None:
    assert parse("cpid", "DE*ABC*E00001").normal == "DE*ABC*E00001"
    assert parse("cpid", "a" * 64).normal == "a" * 64
    for text in ("a" * 65, "", "a b", "a/b", "a\n", "ä"):
        refused("cpid", text)
    assert parse("text", "Acme CSMS 1").normal == "Acme CSMS 1"
    assert parse("text", "x" * 64).normal == "x" * 64
    for text in ("x" * 65, "", " x", "x ", "x\n", "x\x00y", "ü", "x\u202ey"):
        refused("text", text)


def test_recognise_takes_the_first_kind_that_accepts() -> None:
    assert recognise(("seccid", "evseid", "cpid"), SECCID).kind == "seccid"
    assert recognise(("seccid", "evseid", "cpid"), "DE*ICE*E45B").kind == "evseid"
    assert recognise(("seccid", "evseid", "cpid"), "CP001").kind == "cpid"
    assert recognise(("cpid", "evseid"), "DE*ICE*E45B").kind == "cpid"
    assert recognise(("evseid", "cpid"), "de*ice*e45b").kind == "evseid"
    # What looks like the first kind and is none of it: an outlet of stars alone.
    assert recognise(("evseid", "hostname", "text"), "DE*ICE*E**").kind == "text"
    with pytest.raises(V2GPKIError) as caught:
        recognise(("seccid", "evseid", "cpid"), "no id")
    for kind in ("SECCID", "EVSEID", "CPID"):
        assert f"as {kind}: " in caught.value.message
    with pytest.raises(V2GPKIError) as caught:
        recognise(("emaid",), "no id")
    assert "no EMAID" in caught.value.message


@pytest.mark.parametrize("call", [lambda: parse("vin", "x"), lambda: make("cpid", {})])
def test_an_unknown_kind(call: object) -> None:
    assert callable(call)
    with pytest.raises(V2GPKIError) as caught:
        call()
    assert caught.value.code == "identifier.invalid"


def test_make_asks_for_its_parts() -> None:
    for kind, (required, _) in MAKES.items():
        with pytest.raises(V2GPKIError) as caught:
            make(kind, {})
        for name in required:
            assert f"{name} is missing" in caught.value.message


@given(st.sampled_from(KINDS), st.text(max_size=70) | st.text("DE*-ICES0123456789abcEf", min_size=5, max_size=66))
def test_whatever_is_accepted_is_ascii_and_its_normal_form_is_stable(kind: str, text: str) -> None:
    problem: V2GPKIError | None = None
    try:
        identifier = parse(kind, text)
    except V2GPKIError as caught:
        problem = caught
    if problem is not None:
        assert problem.message.isascii()
        assert problem.message.isprintable()
        return
    assert identifier.normal.isascii()
    assert identifier.normal.isprintable()
    again = parse(kind, identifier.normal)
    assert again.normal == identifier.normal
    assert again.parts["key"] == identifier.parts["key"]


@given(st.from_regex(r"[A-Za-z]{2}\*?[0-9A-Za-z]{3}\*?[Ee][0-9A-Za-z][0-9A-Za-z*]{0,30}", fullmatch=True))
def test_evseid_normal_form_is_stable(text: str) -> None:
    identifier = parse("evseid", text)
    again = parse("evseid", identifier.normal)
    assert again.normal == identifier.normal
    assert again.parts == identifier.parts


def test_identifiers_are_values() -> None:
    assert parse("cpid", "CP1") == parse("cpid", "CP1")
    assert isinstance(parse("cpid", "CP1"), Identifier)
    with pytest.raises(AttributeError):
        parse("cpid", "CP1").normal = "x"  # type: ignore[misc]  # the point of the test


def test_parsing_is_fast_enough_for_issuing() -> None:
    # an issuance has 100 us of CPU; 20 us leaves a slow machine room, and finds a lost precompiled pattern
    for kind, text in (("emaid", "DEABCC12345678"), ("evseid", "DE*ICE*E45B*78C"), ("pcid", "WP012345678901234")):
        best = min(timeit.repeat(partial(parse, kind, text), number=500, repeat=5)) / 500
        assert best < 20e-6
