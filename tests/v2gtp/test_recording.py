"""Sessions written as capture files: read back by our own reader, checksums computed as receivers do; tshark judges
them in tests/interop/test_recording_tshark.py."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp import Frame, build, capture
from v2gpki.v2gtp.packets import Endpoints, Packet, packets, segment
from v2gpki.v2gtp.recording import SEGMENT, TCPRecording, datagram, head

CAR = Endpoints("fe80::1%v2g0", 50000, "fe80::2%v2g0", 61341)
LOOPBACK = Endpoints("127.0.0.1", 50000, "127.0.0.1", 61341)
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def received_sum(addresses: bytes, protocol: int, content: bytes) -> int:
    """What a receiver adds up over pseudo-header and segment (RFC 8200 8.1): 0xFFFF if the checksum is right."""
    data = addresses + struct.pack(">IBBBB", len(content), 0, 0, 0, protocol) + content
    data += bytes(len(data) % 2)
    total = 0
    for word in range(0, len(data), 2):
        total += data[word] << 8 | data[word + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ones(data: bytes) -> int:
    return received_sum(data, 0, b"")


def flags(file: bytes) -> list[int]:
    found = [segment(packet) for packet in packets(file)]
    return [one.flags for one in found if one]


def session(recording: TCPRecording, *exchanges: tuple[bytes, bytes]) -> bytes:
    file = head() + recording.opened(1000.0)
    for number, (request, response) in enumerate(exchanges):
        file += recording.carried(1000.5 + number, "client", request)
        file += recording.carried(1000.75 + number, "server", response)
    return file + recording.finished(2000.0, "client") + recording.finished(2000.0, "server")


@pytest.mark.parametrize("endpoints", [CAR, LOOPBACK])
def test_our_reader_gives_the_frames_back(endpoints: Endpoints) -> None:
    request, response, large = Frame(0x8001, b"\x80\x01"), Frame(0x8001, b"\x80\x02"), Frame(0x8002, bytes(200_000))
    file = session(TCPRecording(endpoints), (build(*request), build(*response)), (build(*large), build(*request)))
    read = capture.read(file)
    assert read.notes == []
    assert [one.frame for one in read.frames] == [request, response, large, request]
    assert [one.time for one in read.frames] == [1000.5, 1000.75, 1001.5, 1001.75]
    bare = endpoints._replace(source=endpoints.source.partition("%")[0], target=endpoints.target.partition("%")[0])
    assert read.frames[0].endpoints == bare
    assert read.frames[1].endpoints == (bare.target, bare.target_port, bare.source, bare.source_port)


def test_sdp_is_read_back() -> None:
    request = Frame(0x9000, b"\x10\x00")
    there = Endpoints("fe80::1", 40000, "ff02::1", 15118)
    read = capture.read(head() + datagram(7.25, there, build(*request)))
    assert [(one.time, one.endpoints, one.frame) for one in read.frames] == [(7.25, there, request)]


def test_tls_stays_as_it_was() -> None:
    hello = b"\x16\x03\x03\x00\x10" + bytes(16)
    file = session(TCPRecording(CAR), (hello, hello))
    assert [note.partition(": ")[2] for note in capture.read(file).notes] == ["TLS: its frames are encrypted"] * 2
    assert [one.payload for packet in packets(file) if (one := segment(packet)) and one.payload] == [hello, hello]


def checked(packet: Packet) -> None:
    """Every length and checksum of one packet, as the RFCs say."""
    data = packet.data
    if data[0] >> 4 == 6:
        length, protocol = struct.unpack(">HB", data[4:7])
        addresses, content = data[8:40], data[40:]
        assert length == len(content)
    else:
        assert ones(data[:20]) == 0xFFFF
        assert struct.unpack(">H", data[2:4])[0] == len(data)
        protocol, addresses, content = data[9], data[12:20], data[20:]
    assert received_sum(addresses, protocol, content) == 0xFFFF
    if protocol == 17:
        assert struct.unpack(">H", content[4:6])[0] == len(content)
        assert content[6:8] != b"\0\0"


@given(st.sampled_from([CAR, LOOPBACK]), st.binary(max_size=5000), st.integers(0, 0xFFFF))
def test_checksums_and_lengths_are_right(endpoints: Endpoints, payload: bytes, port: int) -> None:
    endpoints = endpoints._replace(source_port=port)
    recording = TCPRecording(endpoints, first=(2**32 - 100, 5))
    for packet in packets(session(recording, (payload, payload[:77])) + datagram(1.0, endpoints, payload)):
        checked(packet)


def test_a_checksum_of_zero_is_sent_as_ones() -> None:
    """The two octets of payload make the sum of all else zero: RFC 768 has ones sent then."""
    there = Endpoints("fe80::1", 40000, "ff02::1", 15118)
    probe = next(iter(packets(head() + datagram(0.0, there, bytes(2))))).data
    left = int.from_bytes(probe[46:48], "big")
    packet = next(iter(packets(head() + datagram(0.0, there, left.to_bytes(2, "big")))))
    assert packet.data[46:48] == b"\xff\xff"
    checked(packet)


def test_numbers_follow_each_other_and_are_acknowledged() -> None:
    """A receiver's view, written out: each side's number rises by its octets, SYN and FIN count as one."""
    recording = TCPRecording(CAR, first=(2**32 - 3, 10))
    file = session(recording, (b"abcde", b"xyz"))
    seen: list[tuple[str, int, int, int]] = []
    for packet in packets(file):
        source_port, _, sequence, acknowledged, _, bits = struct.unpack(">HHIIBB", packet.data[40:54])
        seen.append(("car" if source_port == 50000 else "station", sequence, acknowledged, bits))
    assert seen == [
        ("car", 4294967293, 0, SYN),
        ("station", 10, 4294967294, SYN | ACK),
        ("car", 4294967294, 11, ACK),
        ("car", 4294967294, 11, ACK | PSH),
        ("station", 11, 3, ACK),
        ("station", 11, 3, ACK | PSH),
        ("car", 3, 14, ACK),
        ("car", 3, 14, ACK | FIN),
        ("station", 14, 4, ACK),
        ("station", 14, 4, ACK | FIN),
        ("car", 4, 15, ACK),
    ]


def test_segments_fit_ethernet_and_a_window_is_not_exceeded() -> None:
    recording = TCPRecording(CAR)
    file = head() + recording.opened(1.0) + recording.carried(1.0, "server", bytes(150_000))
    under_way = 0
    for packet in packets(file):
        assert len(packet.data) <= 1500
        found = segment(packet)
        assert found is not None
        under_way = under_way + len(found.payload) if found.payload else 0
        assert under_way <= 65535
    assert under_way == 0
    sizes = [len(one.payload) for packet in packets(file) if (one := segment(packet)) and one.payload]
    assert sizes == [SEGMENT] * 104 + [240]


def test_after_the_end_nothing_is_recorded() -> None:
    recording = TCPRecording(CAR)
    file = head() + recording.opened(1.0) + recording.finished(2.0, "server")
    assert recording.carried(2.0, "server", b"late") == b""
    assert recording.carried(2.0, "client", b"still") != b""
    assert recording.finished(3.0, "server") == b""
    assert recording.finished(3.0, "client") != b""
    assert recording.carried(3.0, "client", b"late") == recording.broken(3.0, "client") == b""
    assert flags(file) == [SYN, SYN | ACK, ACK, ACK | FIN, ACK]


def test_a_connection_is_broken_off_once() -> None:
    recording = TCPRecording(CAR)
    recording.opened(1.0)
    assert flags(head() + recording.broken(2.0, "server")) == [RST | ACK]
    assert recording.broken(2.0, "server") == recording.carried(2.0, "client", b"x") == b""
    assert recording.finished(2.0, "client") == b""


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        (CAR._replace(source="station"), "'station' is no IP address"),
        (CAR._replace(source_port=65536), "65536 is no port"),
        (CAR._replace(source="10.0.0.1"), "one address is of IPv4"),
    ],
)
def test_what_is_no_connection_is_refused(endpoints: Endpoints, words: str) -> None:
    for attempt in (lambda: TCPRecording(endpoints), lambda: datagram(0.0, endpoints, b"")):
        with pytest.raises(V2GPKIError, match=words) as refusal:
            attempt()
        assert refusal.value.code == "v2gtp.recording"


def test_a_datagram_has_its_limit() -> None:
    for endpoints in (CAR, LOOPBACK):
        datagram(0.0, endpoints, bytes(65507))
        with pytest.raises(V2GPKIError, match="65508 octets are no UDP datagram"):
            datagram(0.0, endpoints, bytes(65508))


def test_the_addresses_in_the_packets() -> None:
    for endpoints, family in ((CAR, IPv6Address), (LOOPBACK, IPv4Address)):
        first = next(iter(packets(head() + TCPRecording(endpoints).opened(0.0)))).data
        places = (8, 24, 40) if family is IPv6Address else (12, 16, 20)
        assert [str(family(first[a:b])) for a, b in pairwise(places)] == [
            endpoints.source.partition("%")[0],
            endpoints.target.partition("%")[0],
        ]
