"""Host names and addresses: the subject and alternative name of a CSMS."""

from __future__ import annotations

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse, recognise


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("csms.example.com", "csms.example.com"),
        ("CSMS.Example.COM", "csms.example.com"),
        ("localhost", "localhost"),
        ("a-b.1x", "a-b.1x"),
        (".".join(["a" * 31, "b" * 32]), ".".join(["a" * 31, "b" * 32])),  # 31 + 1 + 32 = 64
        ("a" * 63, "a" * 63),
    ],
)
def test_what_a_host_name_looks_like(text: str, normal: str) -> None:
    assert parse("hostname", text).normal == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "-a.example",
        "a-.example",
        "csms_1.example",
        "csms example",
        "station 0815",
        "a" * 64,  # a label has at most 63 characters
        ".".join(["a" * 32, "b" * 32]),  # 32 + 1 + 32 = 65
        "csms.example.com.",
        "b\u00fccher.example",
        "csms.example\n",
        "192.0.2.1",
        "0815",
        "csms.example.1",
    ],
)
def test_what_is_no_host_name(text: str) -> None:
    with pytest.raises(V2GPKIError) as refused:
        parse("hostname", text)
    assert refused.value.code == "identifier.invalid"


# The IPv6 forms are those of RFC 5952 4.
@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:0db8::0001", "2001:db8::1"),
    ],
)
def test_what_an_address_looks_like(text: str, normal: str) -> None:
    identifier = parse("address", text)
    assert (identifier.normal, identifier.parts["key"]) == (normal, normal)
    assert recognise(("hostname", "address"), text).kind == "address"


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2", "192.0.2.256", "192.0.2.01", "1", "fe80::1%eth0", "[::1]", "::1/64", " ::1", "csms.example", ":::"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(V2GPKIError) as refused:
        parse("address", text)
    assert refused.value.code == "identifier.invalid"
