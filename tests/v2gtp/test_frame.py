"""V2GTP frames and streams; expected octets are written out from the header's definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp import DEFAULT_LIMIT, Frame, PayloadType, Splitter, build, parse, payload_name

#: version, inverse, type 0x8002, length 3, payload.
WHOLE = bytes.fromhex("01fe 8002 00000003 80c0de")


def code_of(call: pytest.ExceptionInfo[V2GPKIError]) -> str:
    return call.value.code


def test_a_frame_is_built_and_parsed() -> None:
    assert build(PayloadType.ISO20_COMMON, bytes.fromhex("80c0de")) == WHOLE
    assert parse(WHOLE) == Frame(0x8002, bytes.fromhex("80c0de"))
    assert parse(bytes.fromhex("01fe900000000000")) == Frame(PayloadType.SDP_REQUEST, b"")
    assert payload_name(0x8002) == "ISO 15118-20 CommonMessages"
    assert payload_name(0xA000) == "manufacturer specific"
    assert "reserved" in payload_name(0x8007)


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        ("", "v2gtp.truncated"),
        ("01", "v2gtp.truncated"),
        ("01fe8001000000", "v2gtp.truncated"),
        ("01fe80010000000480", "v2gtp.truncated"),
        ("01fe8001000000018000", "v2gtp.trailing"),
        ("02fd80010000000180", "v2gtp.version"),
        ("01fd80010000000180", "v2gtp.version"),
        ("80980202", "v2gtp.version"),
        ("02", "v2gtp.version"),
        ("01fe8001ffffffff80", "v2gtp.length"),
    ],
)
def test_what_is_no_frame_is_refused(octets: str, code: str) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        parse(bytes.fromhex(octets))
    assert code_of(refusal) == code


def test_bare_exi_is_told_apart() -> None:
    with pytest.raises(V2GPKIError) as refusal:
        parse(bytes.fromhex("8098020000000000"))
    assert "EXI" in refusal.value.hint


def test_the_limit_is_exact() -> None:
    exact = build(PayloadType.EXI, bytes(10))
    assert parse(exact, limit=10).payload == bytes(10)
    with pytest.raises(V2GPKIError) as refusal:
        parse(exact, limit=9)
    assert refusal.value.facts == {"announced": 10, "limit": 9, "offset": 0}
    assert len(parse(build(1, bytes(DEFAULT_LIMIT))).payload) == DEFAULT_LIMIT


@pytest.mark.parametrize("payload_type", [-1, 0x10000])
def test_a_type_has_16_bits(payload_type: int) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        build(payload_type, b"")
    assert code_of(refusal) == "v2gtp.type"


FRAMES = st.lists(st.builds(Frame, st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=6)


@given(FRAMES, st.lists(st.integers(0, 300), max_size=12))
def test_a_stream_is_cut_wherever_its_segments_end(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(build(*frame) for frame in frames)
    splitter = Splitter()
    found: list[Frame] = []
    start = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(stream)), len(stream)]:
        found += splitter.feed(stream[start:cut])
        start = cut
    splitter.finish()
    assert found == frames
    assert (splitter.offset, splitter.pending) == (len(stream), 0)


def test_frames_before_a_fault_come_first_and_the_fault_stays() -> None:
    splitter = Splitter(limit=3)
    assert splitter.feed(WHOLE + bytes.fromhex("01fe800200000004")) == [parse(WHOLE)]
    for _ in range(2):
        with pytest.raises(V2GPKIError) as refusal:
            splitter.feed(WHOLE)
        assert code_of(refusal) == "v2gtp.length"
        assert refusal.value.facts["offset"] == len(WHOLE)
    with pytest.raises(V2GPKIError):
        splitter.finish()


def test_a_fault_shows_at_the_first_wrong_octet() -> None:
    splitter = Splitter()
    assert splitter.feed(b"\x01") == []
    with pytest.raises(V2GPKIError) as refusal:
        splitter.feed(b"\x01")
    assert code_of(refusal) == "v2gtp.version"


def test_a_length_above_the_limit_stores_nothing() -> None:
    splitter = Splitter(limit=100)
    with pytest.raises(V2GPKIError):
        splitter.feed(bytes.fromhex("01fe8001 00000065") + bytes(1000))
    assert splitter.pending == 0


def test_a_stream_that_ends_within_a_frame_is_told() -> None:
    splitter = Splitter()
    splitter.feed(WHOLE + WHOLE[:-1])
    with pytest.raises(V2GPKIError) as refusal:
        splitter.finish()
    assert code_of(refusal) == "v2gtp.truncated"
    assert refusal.value.facts == {"offset": 11, "size": 10}


@given(st.binary(max_size=200))
def test_any_octets_give_frames_or_a_refusal(data: bytes) -> None:
    splitter = Splitter(limit=100)
    frames: list[Frame] = []
    try:
        frames = splitter.feed(data)
        splitter.finish()
        end = len(data)
    except V2GPKIError:
        end = splitter.offset
    assert b"".join(build(*frame) for frame in frames) == data[:end]
