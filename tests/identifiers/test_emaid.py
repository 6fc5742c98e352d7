"""EMAID: check digits against published vectors, both forms, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import emaid, make, parse

# Published by The New Motion / Shell Recharge in mobilityid (CheckDigitSpec, ContractIdSpec, README).
ISO_VECTORS = {
    "NN123ABCDEFGHI": "T",
    "FRXYZ123456789": "2",
    "ITA1B2C3E4F5G6": "4",
    "ESZU8WOX834H1D": "R",
    "PT73902837ABCZ": "Z",
    "DE83DUIEN83QGZ": "D",
    "DE83DUIEN83ZGQ": "M",
    "DE8AA001234567": "0",
    "NLTNM000122045": "U",
    "NLTNM000722345": "X",
    "NLTNMC00122045": "K",
}
DIN_VECTORS = {
    "INTNM000071": "9",
    "INTNM000110": "X",
    "INTNM000124": "0",
    "INTNM000114": "6",
    "INTNM000191": "5",
    "NLTNM122045": "0",
    "NLTNM012204": "5",
}

alphabet = st.sampled_from(emaid.ALPHABET)
letters = st.sampled_from(emaid.ALPHABET[10:])
keys = st.builds(
    lambda country, rest: "".join(country + rest),
    st.lists(letters, min_size=2, max_size=2),
    st.lists(alphabet, min_size=12, max_size=12),
)


@pytest.mark.parametrize(("key", "digit"), ISO_VECTORS.items())
def test_the_published_iso_check_digits(key: str, digit: str) -> None:
    assert emaid.check_digit(key) == digit
    assert parse("emaid", key + digit).warnings == ()


@pytest.mark.parametrize(("text", "digit"), DIN_VECTORS.items())
def test_the_published_din_check_digits(text: str, digit: str) -> None:
    assert emaid.check_digit_din(text) == digit


def test_the_din_check_digit_by_hand() -> None:
    # N=23 L=21 T=29 N=23 M=22, then 0 1 2 2 0 4: digits 2 3 2 1 2 9 2 3 2 2 0 1 2 2 0 4, weights 1 2 4 .. 32768
    digits = [2, 3, 2, 1, 2, 9, 2, 3, 2, 2, 0, 1, 2, 2, 0, 4]
    total = sum(digit * 2**place for place, digit in enumerate(digits))
    assert total % 11 == 5
    assert emaid.check_digit_din("NLTNM012204") == "5"


@pytest.mark.parametrize(
    ("text", "digit"),
    [("UKSWI123456791A", "5"), ("UKSWI123456789A", "G"), ("NLTNM000122045X", "U")],
)
def test_a_wrong_check_digit_is_a_warning_and_stays(text: str, digit: str) -> None:
    identifier = parse("emaid", text)
    (finding,) = identifier.warnings
    assert (finding.code, finding.severity) == ("identifier.check_digit", "warning")
    assert finding.message == f"the check digit is {text[-1]}, computed {digit}"
    assert identifier.normal == text


def test_din_maps_to_iso_and_back() -> None:
    identifier = parse("emaid", "NL-TNM-012204-5")
    assert identifier.normal == "NLTNM000122045U"
    assert [finding.severity for finding in identifier.warnings] == ["info"]
    assert emaid.forms(parse("emaid", "NL-TNM-000122045-U")) == {
        "iso": "NL-TNM-000122045-U",
        "compact": "NLTNM000122045U",
        "din": "NL-TNM-012204-5",
        "emi3": "NL-TNM-C00122045-K",
    }
    assert "din" not in emaid.forms(parse("emaid", "NLTNM012345678"))


def test_a_wrong_din_digit_is_kept_as_part_of_the_identity() -> None:
    identifier = parse("emaid", "NL-TNM-012204-7")
    assert identifier.parts["key"] == "NLTNM000122047"
    assert [finding.code for finding in identifier.warnings] == ["identifier.check_digit", "identifier.din_form"]
    assert identifier.warnings[0].message == "the check digit is 7, computed 5"


@pytest.mark.parametrize("text", ["NL*TNM*122045*0", "nl-TNm-122045-0", "NLTNM122045", "NLTNM1220450"])
def test_the_writings_of_one_din_account(text: str) -> None:
    assert parse("emaid", text).parts["key"] == "NLTNM001220450"


@pytest.mark.parametrize("text", ["DE-ABC-C123ABC56", "deabcc123abc56", "DE-ABCC123ABC56"])
def test_the_writings_of_one_iso_account(text: str) -> None:
    assert parse("emaid", text).normal == "DEABCC123ABC56"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NL-T|M-000122045-U", "character 5 (U+007C)"),
        ("DE\tABC", "character 3 (U+0009) is a control character"),
        ("DEABCC1234567\x00", "character 14 (U+0000) is a control character"),
        ("DEABCC1234567٣", "character 14 (U+0663) is not ASCII"),
        ("DEABCſ12345678", "character 6 (U+017F) is not ASCII"),
        ("DEABCC12345678\n", "character 15 (U+000A) is a control character"),
        ("NLTNM076", "it has to be"),
        ("DEABCC123456789012", "it has to be"),
        ("12ABCC12345678", "it has to be"),
        ("DE*ABC*C12345678", "character 3 (U+002A)"),
        ("", "it has to be"),
    ],
)
def test_refusals_name_the_place(text: str, words: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        parse("emaid", text)
    assert caught.value.code == "identifier.invalid"
    assert words in caught.value.message
    assert caught.value.message.isascii()
    assert caught.value.message.isprintable()
    assert caught.value.clause


def test_make_computes_the_check_digit() -> None:
    made = make("emaid", {"country": "nl", "provider": "tnm", "instance": "000122045"})
    assert made.normal == "NLTNM000122045U"
    assert make("emaid", {"country": "NL", "provider": "TNM", "instance": "012204"}).normal == "NLTNM000122045U"
    wrong = make("emaid", {"country": "NL", "provider": "TNM", "instance": "000122045", "check": "X"})
    assert wrong.warnings[0].code == "identifier.check_digit"


@pytest.mark.parametrize(
    "fields",
    [
        {"country": "DE", "provider": "ABC"},
        {"country": "DE", "provider": "ABC", "instance": "C1234567"},
        {"country": "DE", "provider": "ABC", "instance": "C123456789"},
        {"country": "DE", "provider": "ABC", "instance": "C12345678", "wmi": "WVW"},
        {"country": "DEU", "provider": "AB", "instance": "C12345678"},
    ],
)
def test_make_refuses_wrong_parts(fields: dict[str, str]) -> None:
    with pytest.raises(V2GPKIError) as caught:
        make("emaid", fields)
    assert caught.value.code == "identifier.invalid"


@given(keys, st.integers(0, 13), alphabet)
def test_every_single_substitution_is_found(key: str, place: int, other: str) -> None:
    changed = key[:place] + other + key[place + 1 :]
    assert (emaid.check_digit(changed) == emaid.check_digit(key)) == (changed == key)


@given(keys, st.integers(0, 12))
def test_every_neighbour_transposition_is_found(key: str, place: int) -> None:
    changed = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
    assert (emaid.check_digit(changed) == emaid.check_digit(key)) == (changed == key)


@given(keys, st.booleans(), st.booleans())
def test_the_normal_form_is_a_fixed_point(key: str, hyphens: bool, small: bool) -> None:
    text = emaid.forms(parse("emaid", key))["iso"] if hyphens else key
    first = parse("emaid", text.lower() if small else text)
    assert first.parts["key"] == key
    assert first.warnings == ()
    again = parse("emaid", first.normal)
    assert (again.normal, again.parts) == (first.normal, first.parts)


@given(st.from_regex(r"[A-Z]{2}-[0-9A-Z]{3}-[0-9A-Z]{6}", fullmatch=True))
def test_a_din_form_survives_the_way_to_iso_and_back(text: str) -> None:
    iso = parse("emaid", text)
    assert len(iso.normal) == 15
    back = emaid.forms(parse("emaid", iso.normal))["din"]
    assert back == f"{text}-{iso.parts['check']}"
    assert parse("emaid", back).normal == iso.normal


@given(st.text(max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    problem: V2GPKIError | None = None
    try:
        normal = parse("emaid", text).normal
    except V2GPKIError as caught:
        problem = caught
    if problem is None:
        assert text.isascii()
        assert len(normal) in (14, 15)
    else:
        assert problem.code == "identifier.invalid"
        assert problem.message.isascii()
