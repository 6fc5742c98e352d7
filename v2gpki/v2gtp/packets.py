"""Capture files down to segments: pcap and pcapng, link layers, IP, TCP and UDP headers.

Reads Ethernet (with VLAN tags), Linux cooked (1 and 2), BSD loopback and raw IP; IPv6 (extension headers skipped) and
IPv4. Fragments of IP packets and damaged packets give None. Refuses (`v2gtp.capture`) what is no capture file.
Formats: libpcap file format, pcapng (IETF draft-ietf-opsawg-pcapng), RFC 791, RFC 8200, RFC 9293.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Literal, NamedTuple, TypeAlias

from v2gpki.errors import V2GPKIError

Order: TypeAlias = Literal["little", "big"]

_PCAP_MAGIC: Mapping[bytes, tuple[Order, int]] = {
    b"\xd4\xc3\xb2\xa1": ("little", 1_000_000),
    b"\xa1\xb2\xc3\xd4": ("big", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("little", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": ("big", 1_000_000_000),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_IPV4, _IPV6, _VLAN = 0x0800, 0x86DD, {0x8100, 0x88A8}
#: IPv6 extension headers with a length octet (RFC 8200 section 4).
_EXTENSIONS = {0, 43, 60, 135}
_FRAGMENT, _TCP, _UDP = 44, 6, 17


class Endpoints(NamedTuple):
    """One direction of a connection."""

    source: str
    source_port: int
    target: str
    target_port: int

    def __str__(self) -> str:
        return f"[{self.source}]:{self.source_port} -> [{self.target}]:{self.target_port}"


class Packet(NamedTuple):
    time: float
    link: int
    data: bytes


class Segment(NamedTuple):
    """What a packet carries: a TCP segment (with its sequence number) or a UDP datagram (without)."""

    endpoints: Endpoints
    sequence: int | None
    flags: int
    payload: bytes


def is_capture(data: bytes) -> bool:
    """Whether the octets begin as a capture file does."""
    return data[:4] in _PCAP_MAGIC or data[:4] == _PCAPNG_MAGIC


def packets(data: bytes) -> Iterator[Packet]:
    """The packets of a capture file in its order; raises `v2gtp.capture` if it is none."""
    if data[:4] in _PCAP_MAGIC:
        return _pcap(data)
    if data[:4] == _PCAPNG_MAGIC:
        return _pcapng(data)
    raise refused("this is neither a pcap nor a pcapng file")


def segment(packet: Packet) -> Segment | None:
    """The TCP or UDP content of a packet; None if it has none or is damaged."""
    data, kind = _network(packet)
    if kind == _IPV6:
        return _ipv6(data)
    if kind == _IPV4:
        return _ipv4(data)
    return None


def _network(packet: Packet) -> tuple[bytes, int]:
    """What the link layer carries, and its EtherType."""
    data, link = packet.data, packet.link
    if link == 1:
        kind, start = _number(data, 12, 2), 14
        while kind in _VLAN and start + 4 <= len(data):
            kind, start = _number(data, start + 2, 2), start + 4
        return data[start:], kind
    if link == 113:
        return data[16:], _number(data, 14, 2)
    if link == 276:
        return data[20:], _number(data, 0, 2)
    if link in {0, 108}:
        data = data[4:]
    elif link not in {12, 14, 101, 228, 229}:
        return b"", 0
    version = data[0] >> 4 if data else 0
    return data, {4: _IPV4, 6: _IPV6}.get(version, 0)


def _ipv6(data: bytes) -> Segment | None:
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    end = 40 + _number(data, 4, 2)
    following, start = data[6], 40
    if end == 40 or end > len(data):
        end = len(data)
    while following in _EXTENSIONS and start + 8 <= end:
        following, start = data[start], start + 8 * (data[start + 1] + 1)
    if following == _FRAGMENT:
        return None
    return _transport(data[start:end], following, str(ip_address(data[8:24])), str(ip_address(data[24:40])))


def _ipv4(data: bytes) -> Segment | None:
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    start, end = 4 * (data[0] & 15), _number(data, 2, 2) or len(data)
    if start < 20 or _number(data, 6, 2) & 0x3FFF:
        return None
    return _transport(data[start:end], data[9], str(ip_address(data[12:16])), str(ip_address(data[16:20])))


def _transport(data: bytes, protocol: int, source: str, target: str) -> Segment | None:
    if protocol not in {_TCP, _UDP} or len(data) < (20 if protocol == _TCP else 8):
        return None
    endpoints = Endpoints(source, _number(data, 0, 2), target, _number(data, 2, 2))
    if protocol == _UDP:
        return Segment(endpoints, None, 0, data[8:])
    start = 4 * (data[12] >> 4)
    if not 20 <= start <= len(data):
        return None
    return Segment(endpoints, _number(data, 4, 4), data[13], data[start:])


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big")


def _pcap(data: bytes) -> Iterator[Packet]:
    """Classic pcap; a packet that the file cuts off is left out."""
    if len(data) < 24:
        raise refused("the file ends within its header")
    order, unit = _PCAP_MAGIC[data[:4]]
    number = _numbers(data, order)
    link = number(20, 4) & 0x0FFFFFFF
    start = 24
    while start + 16 <= len(data):
        seconds, fraction, size = number(start, 4), number(start + 4, 4), number(start + 8, 4)
        start += 16
        if start + size > len(data):
            return
        yield Packet(seconds + fraction / unit, link, data[start : start + size])
        start += size


def _pcapng(data: bytes) -> Iterator[Packet]:
    """Pcapng: sections, interfaces, simple and enhanced packets; other blocks are skipped."""
    start = 0
    order: Order = "little"
    links: list[tuple[int, int]] = []
    while start + 12 <= len(data):
        if data[start : start + 4] == _PCAPNG_MAGIC:
            magic = data[start + 8 : start + 12]
            if magic not in {b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"}:
                raise refused("a section of the pcapng file has no byte-order mark")
            order = "little" if magic == b"\x4d\x3c\x2b\x1a" else "big"
            links = []
        number = _numbers(data, order)
        kind, size = number(start, 4), number(start + 4, 4)
        if size < 12 or size % 4 or start + size > len(data):
            return
        body, end = start + 8, start + size - 4
        if kind == _INTERFACE and end - body >= 8:
            links.append((number(body, 2), _resolution(data, order, body + 8, end)))
        elif kind == _ENHANCED and end - body >= 20:
            interface, captured = number(body, 4), number(body + 12, 4)
            if interface < len(links) and body + 20 + captured <= end:
                link, unit = links[interface]
                time = (number(body + 4, 4) << 32 | number(body + 8, 4)) / unit
                yield Packet(time, link, data[body + 20 : body + 20 + captured])
        elif kind == _SIMPLE and links and end - body >= 4:
            captured = min(number(body, 4), end - body - 4)
            yield Packet(0.0, links[0][0], data[body + 4 : body + 4 + captured])
        start += size


def _resolution(data: bytes, order: Order, start: int, end: int) -> int:
    """How many units of an interface's time stamps a second has (option if_tsresol)."""
    number = _numbers(data, order)
    while start + 4 <= end:
        code, size = number(start, 2), number(start + 2, 2)
        if code == 0:
            break
        if code == 9 and size == 1 and start + 5 <= end:
            exponent = data[start + 4]
            return int((2 if exponent & 128 else 10) ** (exponent & 127))
        start += 4 + (size + 3 & ~3)
    return 1_000_000


def _numbers(data: bytes, order: Order) -> Callable[[int, int], int]:
    """Reads (start, size) of a file in its byte order."""
    return lambda start, size: int.from_bytes(data[start : start + size], order)


def refused(what: str) -> V2GPKIError:
    """The refusal of a capture file."""
    return V2GPKIError(
        "v2gtp.capture", what, hint="give a pcap or pcapng file of a session that was not encrypted (no TLS)"
    )
