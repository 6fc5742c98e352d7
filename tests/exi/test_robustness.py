"""Any octets, and vectors with octets changed, against the properties that the fuzzer checks too."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz import properties
from tests.vectors import SCHEMAS, selection


@cache
def seeds() -> list[bytes]:
    """Short vectors of every schema as inputs."""
    found = []
    for name in (*SCHEMAS, "wildcard", "deviations"):
        short = [v for v in selection(name) if v["schema"] in SCHEMAS and len(v["exi"]) < 400]
        chosen = short[:: len(short) // 12 + 1]
        found += [properties.joined(v["schema"], v["mode"] == "fragment", bytes.fromhex(v["exi"])) for v in chosen]
    return found


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A vector with some octets changed, removed or put in."""
    data = bytearray(draw(st.sampled_from(seeds())))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data) - 1))
        what = draw(st.sampled_from(["flip", "set", "cut", "insert", "repeat"]))
        if what == "flip":
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif what == "set":
            data[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif what == "cut" and len(data) > 8:
            del data[place : place + draw(st.integers(1, 4))]
        elif what == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=4))
        else:
            data[place:place] = data[place : place + 8]
    return bytes(data)


#: A foreign element under a wildcard whose name is no name: the fuzzer found that its XML could not be read again.
NO_NAME = bytes.fromhex(
    "0710a5a1d1d1c0e8bcbddddddcb9dcccb9bdc99cbcc8c0c0c4bcc0d0bde1b5b195b98c8dcda184d4c4c8026eae4dc74caf0c2dae0d8ca74ccdee4cad2"
    "cedc06b062b00c0031180ffd60c96018006280cdd"
)


#: A code point in more octets than it needs: the fuzzer found that the two back ends did not agree about it.
OVERLONG = bytes.fromhex("0d3b09293d399bab6bdb5a000dad3c3036 1cbb3ba63b3080")
#: A namespace with a control character: its XML could not be read again.
NO_NAMESPACE = bytes.fromhex(
    "0710a5a1d1d1c0e8bcbddddddcb9dcccb9bdc99cbcc8c0c0c4bcc0d0bde1b5b195b98c8dcda184d4c4c8026eae4dc74caf0c2daee18ca74ccdee4cad2"
    "cedc06b062b00c0031180d60c96018006280cdd"
)


@pytest.mark.parametrize("name", ["streams", "views", "shown"])
@settings(max_examples=400)
@given(data=changed())
@example(data=NO_NAME)
@example(data=NO_NAMESPACE)
@example(data=OVERLONG)
def test_changed_vectors(name: str, data: bytes) -> None:
    properties.PROPERTIES[name](data)


@pytest.mark.parametrize("name", properties.PROPERTIES)
@settings(max_examples=150)
@given(data=st.binary(max_size=200))
def test_any_octets(name: str, data: bytes) -> None:
    properties.PROPERTIES[name](data)


@settings(max_examples=60)
@given(data=changed())
def test_changed_vectors_as_files(data: bytes) -> None:
    properties.inputs(b"\x80" + data[1:])
    properties.inputs((b"\x80" + data[1:]).hex().encode())
    properties.inputs(b"\x01\xfe\x80\x01" + (len(data)).to_bytes(4, "big") + b"\x80" + data[1:])


def test_every_property_is_true_of_the_vectors() -> None:
    for data in seeds():
        for check in properties.PROPERTIES.values():
            check(data)
