"""EMAID: the e-mobility account of a contract, in the ISO 15118 form and the older DIN form.

ISO: country (2 letters), provider (3), instance (9), optional check digit, ``-`` between them or not.
DIN SPEC 91286: country, provider, instance (6), optional check digit, ``-`` or ``*`` between them.
Normal form: capitals without separators, 14 characters, or 15 when a check digit was given: what
``eMAIDType`` of ISO 15118-2 can carry. A DIN form is mapped: its instance and check digit behind
``00`` are the ISO instance. Identity is the first 14 characters (``parts["key"]``).
The check digit: ISO 15118-1 annex H, published with vectors by eMI3 and The New Motion's mobilityid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import getitem

from v2gpki.errors import Finding
from v2gpki.identifiers.model import Identifier, note, refusal, warning

CLAUSE = "ISO 15118-1 annex H; ISO 15118-2 eMAIDType"
CLAUSE_DIN = "DIN SPEC 91286"
FORM = "2 letters of a country, 3 characters of a provider, 9 of an instance and an optional check digit"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_ISO = re.compile(r"([A-Z]{2})-?([0-9A-Z]{3})-?([0-9A-Z]{9})(?:-?([0-9A-Z]))?")
_DIN = re.compile(r"([A-Z]{2})[-*]?([0-9A-Z]{3})[-*]?([0-9A-Z]{6})(?:[-*]?([0-9A-Z]))?")


def parse(text: str) -> Identifier:
    """Read an EMAID in either form; raises ``identifier.invalid``.

    Parts: form (iso, din), country, provider, instance, check ("" when not given), key.
    """
    upper = text.upper()
    match = _ISO.fullmatch(upper)
    if match is None or not text.isascii():
        return _parse_din(text, upper)
    country, provider, instance, check = match.groups("")
    key = country + provider + instance
    parts = {
        "form": "iso",
        "country": country,
        "provider": provider,
        "instance": instance,
        "check": check,
        "key": key,
    }
    if check and check != (right := check_digit(key)):
        return Identifier("emaid", text, key + check, (_wrong_digit(check, right, CLAUSE),), parts)
    return Identifier("emaid", text, key + check, (), parts)


def make(fields: Mapping[str, str]) -> Identifier:
    """Build an EMAID from country, provider and instance (9 characters ISO, 6 DIN), check digit included.

    A given ``check`` is kept; when it is wrong the result carries the warning.
    """
    bare = parse("-".join((fields["country"], fields["provider"], fields["instance"])))
    if bare.parts["form"] == "din":
        given = fields.get("check") or bare.parts["check"]
        return parse("-".join((bare.parts["country"], bare.parts["provider"], bare.parts["instance"], given)))
    if bare.parts["check"] or len(bare.parts["instance"]) != len(fields["instance"]):
        raise refusal("emaid", "-".join(fields.values()), f"{FORM}, each in its own field", clause=CLAUSE)
    return parse(bare.parts["key"] + (fields.get("check") or check_digit(bare.parts["key"])))


def check_digit(key: str) -> str:
    """The ISO check digit of 14 capitals and digits.

    Each character's number n splits into q = n // 9 and r = n % 9; the two bits of q and the two base-3
    digits of r are row vectors that the position i = 1..14 multiplies by P1^i mod 2 and P2^i mod 3,
    P1 = [[0,1],[1,1]], P2 = [[0,1],[1,2]]. The character at i = 15 makes both sums zero. A text of
    another length or alphabet raises ``identifier.invalid``.
    """
    if len(key) != len(_WEIGHTS):
        raise refusal("emaid", key, "14 capitals and digits before its check digit is computed", clause=CLAUSE)
    try:
        total = sum(map(getitem, _WEIGHTS, key))
    except KeyError:
        raise refusal("emaid", key, "14 capitals and digits", clause=CLAUSE) from None
    return _DIGITS[total & 1, total >> 8 & 1, (total >> 16 & 255) % 3, (total >> 24) % 3]


def check_digit_din(text: str) -> str:
    """The DIN SPEC 91286 check digit of country, provider and instance (11 capitals and digits).

    Each character is written as its number, 0..35, in decimal; the digits are weighted 1, 2, 4, ..
    from the left and summed modulo 11; 10 is written X.
    """
    digits = "".join(str(ALPHABET.index(character)) for character in text)
    total = sum(int(digit) << place for place, digit in enumerate(digits)) % 11
    return "X" if total == 10 else str(total)


def forms(identifier: Identifier) -> dict[str, str]:
    """The same account in each form that can express it: ``iso`` (hyphens and check digit), ``compact``
    (normal form with check digit), ``din`` and ``emi3`` where the instance allows it."""
    key = identifier.parts["key"]
    country, provider, instance = key[:2], key[2:5], key[5:]
    check = check_digit(key)
    result = {"iso": f"{country}-{provider}-{instance}-{check}", "compact": key + check}
    head, din, din_check = instance[:2], instance[2:8], instance[8]
    if head in ("00", "C0") and check_digit_din(country + provider + din) == din_check:
        result["din"] = f"{country}-{provider}-{din}-{din_check}"
        emi3 = f"C0{instance[2:]}"
        result["emi3"] = f"{country}-{provider}-{emi3}-{check_digit(country + provider + emi3)}"
    return result


def _parse_din(text: str, upper: str) -> Identifier:
    match = _DIN.fullmatch(upper)
    if match is None or not text.isascii():
        raise refusal("emaid", text, FORM, clause=CLAUSE, separators="-", hint=_advice(text))
    country, provider, instance, given = match.groups("")
    right = check_digit_din(country + provider + instance)
    check = given or right
    key = f"{country}{provider}00{instance}{check}"
    findings: list[Finding] = []
    if check != right:
        findings.append(_wrong_digit(check, right, CLAUSE_DIN))
    normal = key + check_digit(key)
    findings.append(
        note(
            "identifier.din_form",
            f"the DIN form stands for the ISO form {normal}",
            clause=f"{CLAUSE_DIN}; ISO 15118-1 annex H",
            where="emaid",
        )
    )
    parts = {
        "form": "din",
        "country": country,
        "provider": provider,
        "instance": instance,
        "check": check,
        "key": key,
    }
    return Identifier("emaid", text, normal, tuple(findings), parts)


def _advice(text: str) -> str:
    if "*" in text and text.isascii():
        return "the ISO form takes '-' or nothing between its fields; '*' belongs to the DIN form, whose instance has 6"
    return ""


def _wrong_digit(given: str, right: str, clause: str) -> Finding:
    return warning(
        "identifier.check_digit",
        f"the check digit is {given}, computed {right}",
        clause=clause,
        where="check digit",
    )


def _tables() -> tuple[list[dict[str, int]], dict[tuple[int, int, int, int], str]]:
    """Per position the four components of each character, packed in octets of one integer, so that a
    sum of integers is a sum of vectors; and the check character by the sum of the 14 before it."""
    first, second = ((1, 0), (0, 1)), ((1, 0), (0, 1))
    weights: list[dict[str, int]] = []
    for _ in range(15):
        first = _product(first, ((0, 1), (1, 1)), 2)
        second = _product(second, ((0, 1), (1, 2)), 3)
        weights.append({character: _weight(n, first, second) for n, character in enumerate(ALPHABET)})
    last = weights.pop()
    digits = {
        (-w & 1, -(w >> 8) & 1, -(w >> 16 & 255) % 3, -(w >> 24) % 3): character for character, w in last.items()
    }
    return weights, digits


_Matrix = tuple[tuple[int, int], tuple[int, int]]


def _product(a: _Matrix, b: _Matrix, modulus: int) -> _Matrix:
    (a11, a12), (a21, a22) = a
    (b11, b12), (b21, b22) = b
    return (
        ((a11 * b11 + a12 * b21) % modulus, (a11 * b12 + a12 * b22) % modulus),
        ((a21 * b11 + a22 * b21) % modulus, (a21 * b12 + a22 * b22) % modulus),
    )


def _weight(n: int, first: _Matrix, second: _Matrix) -> int:
    (q1, q2), (r1, r2) = divmod(n // 9, 2), divmod(n % 9, 3)
    components = (
        (q1 * first[0][0] + q2 * first[1][0]) % 2,
        (q1 * first[0][1] + q2 * first[1][1]) % 2,
        (r1 * second[0][0] + r2 * second[1][0]) % 3,
        (r1 * second[0][1] + r2 * second[1][1]) % 3,
    )
    return sum(component << 8 * place for place, component in enumerate(components))


_WEIGHTS, _DIGITS = _tables()
