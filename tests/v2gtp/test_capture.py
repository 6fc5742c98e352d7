"""Captures: files, packets and streams are put together here by the formats' definitions, field by field."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp import Frame, build, capture

CAR, STATION = IPv6Address("fe80::1").packed, IPv6Address("fe80::2").packed
SYN, ACK = 0x02, 0x10


def tcp(payload: bytes, sequence: int, *, flags: int = ACK, source: int = 50000, target: int = 61341) -> bytes:
    return struct.pack(">HHIIBBHHH", source, target, sequence, 0, 5 << 4, flags, 65535, 0, 0) + payload


def udp(payload: bytes) -> bytes:
    return struct.pack(">HHHH", 40000, 15118, 8 + len(payload), 0) + payload


def ipv6(content: bytes, following: int = 6, *, source: bytes = CAR, target: bytes = STATION) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(content), following, 64) + source + target + content


def ipv4(content: bytes) -> bytes:
    addresses = b"\x0a\0\0\1" + b"\x0a\0\0\2"
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 0, 0, 64, 6, 0) + addresses + content


def ethernet(content: bytes, kind: int = 0x86DD) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + content


def pcap(packets: list[bytes], *, link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for number, packet in enumerate(packets):
        file += struct.pack(order + "IIII", 1000 + number, 500_000, len(packet), len(packet)) + packet
    return file


def block(kind: int, body: bytes, order: str) -> bytes:
    body += bytes(-len(body) % 4)
    size = 12 + len(body)
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def pcapng(packets: list[bytes], *, link: int = 1, order: str = "<", simple: bool = False) -> bytes:
    file = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    file += block(1, struct.pack(order + "HHI", link, 0, 0) + struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0), order)
    file += block(0x0BAD, b"unknown", order)
    for number, packet in enumerate(packets):
        time = (1000 + number) * 10**9 + 500_000_000
        if simple:
            file += block(3, struct.pack(order + "I", len(packet)) + packet, order)
        else:
            head = struct.pack(order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet))
            file += block(6, head + packet, order)
    return file


ONE, TWO = Frame(0x8001, b"\x80\x00\x01"), Frame(0x8002, b"\x80" + bytes(50))
STREAM = build(*ONE) + build(*TWO)


def frames(file: bytes) -> list[Frame]:
    return [captured.frame for captured in capture.read(file).frames]


def whole(content: bytes = STREAM) -> list[bytes]:
    return [ethernet(ipv6(tcp(content, 100)))]


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_file_format(order: str) -> None:
    assert frames(pcap(whole(), order=order)) == [ONE, TWO]
    assert frames(pcap(whole(), order=order, nanoseconds=True)) == [ONE, TWO]
    assert frames(pcapng(whole(), order=order)) == [ONE, TWO]
    assert frames(pcapng(whole(), order=order, simple=True)) == [ONE, TWO]


def test_times_are_those_of_the_capture() -> None:
    assert capture.read(pcap(whole())).frames[0].time == 1000.5
    assert capture.read(pcap(whole(), nanoseconds=True)).frames[0].time == 1000.0005
    assert capture.read(pcapng(whole())).frames[0].time == 1000.5


def test_who_sent_it() -> None:
    endpoints = capture.read(pcap(whole())).frames[0].endpoints
    assert endpoints == ("fe80::1", 50000, "fe80::2", 61341)
    assert str(endpoints) == "[fe80::1]:50000 -> [fe80::2]:61341"


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (1, ethernet(struct.pack(">HH", 5, 0x86DD) + ipv6(tcp(STREAM, 1)), 0x8100)),
        (1, ethernet(ipv4(tcp(STREAM, 1)), 0x0800)),
        (113, bytes(14) + b"\x86\xdd" + ipv6(tcp(STREAM, 1))),
        (276, b"\x86\xdd" + bytes(18) + ipv6(tcp(STREAM, 1))),
        (101, ipv6(tcp(STREAM, 1))),
        (101, ipv4(tcp(STREAM, 1))),
        (0, b"\x1e\0\0\0" + ipv6(tcp(STREAM, 1))),
        # A hop-by-hop header of 16 octets, then destination options of 8.
        (1, ethernet(ipv6(bytes([60, 1]) + bytes(14) + bytes([6, 0]) + bytes(6) + tcp(STREAM, 1), 0))),
        # Padding behind the IP packet, as short Ethernet frames have it, is no payload.
        (1, ethernet(ipv6(tcp(STREAM, 1))) + bytes(9)),
    ],
)
def test_every_link_layer_and_header(link: int, packet: bytes) -> None:
    assert frames(pcap([packet], link=link)) == [ONE, TWO]


def segments(first: int, cuts: list[int], *, syn: bool = True) -> list[bytes]:
    """The stream in segments with sequence numbers modulo 2**32."""
    bounds = [0, *cuts, len(STREAM)]
    packets = [
        ethernet(ipv6(tcp(STREAM[start:end], (first + 1 + start) % 2**32)))
        for start, end in pairwise(bounds)
    ]
    return ([ethernet(ipv6(tcp(b"", first, flags=SYN)))] if syn else []) + packets


def test_segments_in_order_out_of_order_twice_and_overlapping() -> None:
    parts = segments(2**32 - 20, [5, 9, 30])
    assert frames(pcap(parts)) == [ONE, TWO]
    assert frames(pcap([parts[0], *reversed(parts[1:])])) == [ONE, TWO]
    assert frames(pcap([part for part in parts for _ in range(2)])) == [ONE, TWO]
    again = ethernet(ipv6(tcp(STREAM[2:40], (2**32 - 19 + 2) % 2**32)))
    assert frames(pcap([*parts[:3], again, *parts[3:]])) == [ONE, TWO]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, len(STREAM) - 1), unique=True), st.randoms())
def test_any_order_of_segments_gives_the_stream(first: int, cuts: list[int], random: Random) -> None:
    head, *parts = segments(first, sorted(cuts))
    random.shuffle(parts)
    assert frames(pcap([head, *parts])) == [ONE, TWO]


def test_a_missing_segment_is_told_and_what_is_before_it_kept() -> None:
    parts = segments(7, [12, 30])
    session = capture.read(pcap([*parts[:2], *parts[3:]]))
    assert [captured.frame for captured in session.frames] == [ONE]
    assert "segments are missing" in session.notes[0]


def test_both_directions_and_a_second_connection_of_the_same_ports() -> None:
    answer = ethernet(ipv6(tcp(build(*TWO), 900, source=61341, target=50000), source=STATION, target=CAR))
    again = segments(5_000_000, [])
    session = capture.read(pcap([*segments(7, [20]), answer, *again]))
    assert [captured.frame for captured in session.frames] == [ONE, TWO, TWO, ONE, TWO]


def test_datagrams_hold_sdp() -> None:
    request = Frame(0x9000, b"\x10\x00")
    session = capture.read(pcap([ethernet(ipv6(udp(build(*request)), 17)), ethernet(ipv6(udp(b"other"), 17))]))
    assert [captured.frame for captured in session.frames] == [request]


def test_what_holds_no_frames_is_named_or_passed_over() -> None:
    tls = ethernet(ipv6(tcp(b"\x16\x03\x03\x00\x10" + bytes(16), 1)))
    other = ethernet(ipv6(tcp(b"GET / HTTP/1.1\r\n", 1, source=1)))
    icmp = ethernet(ipv6(bytes(8), 58))
    session = capture.read(pcap([tls, other, icmp]))
    assert not session.frames
    assert "TLS" in session.notes[0]
    assert session.notes[1:] == ["1 packets are neither TCP nor UDP, or damaged"]


def test_a_file_that_is_cut_off_gives_what_is_whole() -> None:
    for file in (pcap(whole() + whole()), pcapng(whole() + whole())):
        assert frames(file[:-5]) == [ONE, TWO]
    assert frames(pcap(whole())[:26]) == []


@pytest.mark.parametrize("data", [b"", b"\x80\x98", b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a" + bytes(8)])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(V2GPKIError) as refusal:
        capture.read(data)
    assert refusal.value.code == "v2gtp.capture"


def test_streams_and_packets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_STREAM_OCTETS", 60)
    assert "more than 60 octets" in capture.read(pcap(segments(1, [20, 40]))).notes[0]
    monkeypatch.setattr(capture, "MAX_WAITING", 2)
    parts = segments(1, list(range(2, 40, 2)))
    assert "segments are missing" in capture.read(pcap([parts[0], *parts[2:]])).notes[0]
    monkeypatch.setattr(capture, "MAX_PACKETS", 3)
    with pytest.raises(V2GPKIError) as refusal:
        capture.read(pcap(whole() * 4))
    assert refusal.value.code == "v2gtp.capture"
    monkeypatch.setattr(capture, "MAX_STREAMS", 1)
    with pytest.raises(V2GPKIError):
        capture.read(pcap([ethernet(ipv6(tcp(b"x", 1, source=port))) for port in (1, 2)]))


@given(st.binary(max_size=400))
def test_any_packets_give_a_session(data: bytes) -> None:
    capture.read(pcap([data, ethernet(data), ethernet(ipv6(data)), ethernet(ipv6(tcp(data, 5)))]))
    for file in (pcap([])[:24] + data, pcapng([]) + data):
        try:
            capture.read(file)
        except V2GPKIError as problem:
            code = problem.code
        else:
            code = "v2gtp.capture"
        assert code == "v2gtp.capture"
