"""The DER reader value by value; the octets are written out by the rules of X.690 8 and 10."""

from __future__ import annotations

import pytest

from v2gpki.certs.lint.reader import MalformedError, Reader, dotted_oid, number


@pytest.mark.parametrize(
    ("octets", "size", "flawed"),
    [
        ("047f" + "00" * 127, 127, False),
        ("04817f" + "00" * 127, 127, True),
        ("048180" + "00" * 128, 128, False),
        ("04820080" + "00" * 128, 128, True),
        ("048200ff" + "00" * 255, 255, True),
        ("04820100" + "00" * 256, 256, False),
    ],
)
def test_lengths(octets: str, size: int, flawed: bool) -> None:
    data = bytes.fromhex(octets)
    reader = Reader(data)
    _, start, stop = reader.take(0, len(data), "it")
    assert (stop - start, stop, bool(reader.flaws)) == (size, len(data), flawed)


@pytest.mark.parametrize(
    "octets", ["", "04", "0402aa", "0480aa0000", "0485000000000100", "1f8101", "0482", "048201", "04ff"]
)
def test_what_cannot_be_read(octets: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(MalformedError):
        Reader(data).take(0, len(data), "it")


@pytest.mark.parametrize(
    ("octets", "value", "flawed"),
    [
        ("020100", 0, False),
        ("02017f", 127, False),
        ("02020080", 128, False),
        ("0202007f", 127, True),
        ("020180", -128, False),
        ("0202ff7f", -129, False),
        ("0202ff80", -128, True),
    ],
)
def test_integers(octets: str, value: int, flawed: bool) -> None:
    reader = Reader(bytes.fromhex(octets))
    assert reader.integer(0, len(reader.data), "it") == (value, len(reader.data))
    assert bool(reader.flaws) == flawed


@pytest.mark.parametrize(
    ("octets", "dotted", "flawed"),
    [
        ("0603550403", "2.5.4.3", False),
        ("06062a864886f70d", "1.2.840.113549", False),
        ("06042a808001", "1.2.1", True),
        ("0603802a03", "1.2.3", True),
        ("06032a8100", "1.2.128", False),
        ("06042a818000", "1.2.16384", False),
    ],
)
def test_object_identifiers(octets: str, dotted: str, flawed: bool) -> None:
    reader = Reader(bytes.fromhex(octets))
    content, stop = reader.object_identifier(0, len(reader.data), "it")
    assert (dotted_oid(content), stop, bool(reader.flaws)) == (dotted, len(reader.data), flawed)


@pytest.mark.parametrize("octets", ["0600", "06022a80", "0602aa80"])
def test_object_identifiers_cut_off(octets: str) -> None:
    reader = Reader(bytes.fromhex(octets))
    with pytest.raises(MalformedError):
        reader.object_identifier(0, len(reader.data), "it")


@pytest.mark.parametrize(
    ("octets", "value", "flawed"),
    [("030100", (b"", 0), False), ("03020780", (b"\x80", 7), False), ("03020781", (b"\x81", 7), True)],
)
def test_bit_strings(octets: str, value: tuple[bytes, int], flawed: bool) -> None:
    reader = Reader(bytes.fromhex(octets))
    assert reader.bit_string(0, len(reader.data), "it")[:2] == value
    assert bool(reader.flaws) == flawed


@pytest.mark.parametrize("octets", ["0300", "030101", "03020800", "03020900"])
def test_bit_strings_that_are_none(octets: str) -> None:
    reader = Reader(bytes.fromhex(octets))
    with pytest.raises(MalformedError):
        reader.bit_string(0, len(reader.data), "it")


def test_numbers_for_people() -> None:
    assert number(2**128 - 1) == str(2**128 - 1)
    assert number(2**128) == "a number of 129 bits"
    assert dotted_oid(b"\x2a" + b"\x01" * 63).startswith("1.2.1.1")
    assert dotted_oid(b"\x2a" + b"\x01" * 64) == "an OBJECT IDENTIFIER of 65 octets"
