"""A session as a capture file (pcapng): octets as they were on the wire, in packets that might have carried them.

TLS stays encrypted: with the key log of the session Wireshark reads it. Sockets hand over streams, so headers, segments
and acknowledgements are made here: raw IP without a link layer, segments of `SEGMENT` octets, right checksums, sequence
numbers from 0 on, a handshake in front and FIN or RST at the end. Pure: each call gives octets to be appended to the
file. Refuses (`v2gtp.recording`) addresses and ports that are none.
Formats: pcapng (IETF draft-ietf-opsawg-pcapng), RFC 791, RFC 768, RFC 1071, RFC 8200, RFC 9293.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp.packets import Endpoints

__all__ = ["SEGMENT", "Side", "TCPRecording", "datagram", "head"]

Side: TypeAlias = Literal["client", "server"]

#: Octets of payload in one segment: what Ethernet (1500) leaves behind the headers of IPv6 (40) and TCP (20).
SEGMENT = 1440
_WINDOW = 65535
#: Segments after which the receiver acknowledges: half a window.
_BEFORE_ACKNOWLEDGEMENT = _WINDOW // SEGMENT // 2
_RAW_IP = 101
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_TCP, _UDP = 6, 17
_HOPS = 64
#: IPv4 counts its own header in the 16 bits of its length.
_LARGEST_DATAGRAM = 0xFFFF - 20
#: Address and port.
_End: TypeAlias = tuple[IPv4Address | IPv6Address, int]


def head(program: str = "v2gpki") -> bytes:
    """What the file begins with: one section, one interface of raw IP packets with times in microseconds."""
    name = program.encode()
    option = struct.pack("<HH", 4, len(name)) + name + bytes(-len(name) % 4) + bytes(4)
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option
    return _block(0x0A0D0D0A, section) + _block(1, struct.pack("<HHI", _RAW_IP, 0, 0))


def datagram(time: float, endpoints: Endpoints, payload: bytes) -> bytes:
    """One UDP datagram (SDP), at ``time`` in seconds since 1970; raises `v2gtp.recording`."""
    source, target = _ends(endpoints)
    size = 8 + len(payload)
    if size > _LARGEST_DATAGRAM:
        raise _refused(f"{len(payload)} octets are no UDP datagram")
    header = struct.pack(">HHHH", source[1], target[1], size, 0)
    # A sum of zero is sent as ones: zero says that there is none (RFC 768).
    found = _checksum(source, target, _UDP, header + payload) or 0xFFFF
    return _packet(time, source, target, _UDP, header[:6] + found.to_bytes(2, "big") + payload)


@dataclass(slots=True)
class _Sender:
    """One side of a connection: where it stands in its own stream, and whether it has ended it."""

    end: _End
    next: int
    finished: bool = False


@dataclass(slots=True)
class TCPRecording:
    """One TCP connection; every method gives the octets of the packets that it takes, for the end of the file.

    ``endpoints`` names the client as source. ``first`` is the sequence number of its SYN and of the server's. Times are
    seconds since 1970. After RST, or FIN of both sides, nothing more is recorded.
    """

    endpoints: Endpoints
    first: tuple[int, int] = (0, 0)
    _sides: dict[Side, _Sender] = field(init=False, repr=False)
    _over: bool = field(init=False, default=False, repr=False)

    def __post_init__(self) -> None:
        client, server = _ends(self.endpoints)
        self._sides = {"client": _Sender(client, self.first[0]), "server": _Sender(server, self.first[1])}

    def opened(self, time: float) -> bytes:
        """SYN, SYN and ACK, ACK."""
        maximum = struct.pack(">BBH", 2, 4, SEGMENT)
        packets = self._packet(time, "client", _SYN, options=maximum)
        packets += self._packet(time, "server", _SYN | _ACK, options=maximum)
        return packets + self._packet(time, "client", _ACK)

    def carried(self, time: float, side: Side, payload: bytes) -> bytes:
        """What ``side`` sent, in segments, acknowledged by the other."""
        if self._over or self._sides[side].finished:
            return b""
        packets = b""
        for number, start in enumerate(range(0, len(payload), SEGMENT), 1):
            part = payload[start : start + SEGMENT]
            last = start + SEGMENT >= len(payload)
            packets += self._packet(time, side, _ACK | (_PSH if last else 0), part)
            if last or number % _BEFORE_ACKNOWLEDGEMENT == 0:
                packets += self._packet(time, _other(side), _ACK)
        return packets

    def finished(self, time: float, side: Side) -> bytes:
        """``side`` sends no more: its FIN and the other's ACK; asked again, nothing."""
        if self._over or self._sides[side].finished:
            return b""
        packets = self._packet(time, side, _FIN | _ACK) + self._packet(time, _other(side), _ACK)
        self._sides[side].finished = True
        self._over = all(sender.finished for sender in self._sides.values())
        return packets

    def broken(self, time: float, side: Side) -> bytes:
        """``side`` broke the connection off: its RST; nothing if it is over."""
        if self._over:
            return b""
        self._over = True
        return self._packet(time, side, _RST | _ACK)

    def _packet(self, time: float, side: Side, flags: int, payload: bytes = b"", *, options: bytes = b"") -> bytes:
        sender, receiver = self._sides[side], self._sides[_other(side)]
        source, target = sender.end, receiver.end
        acknowledged = receiver.next if flags & _ACK else 0
        sizes = (20 + len(options)) // 4 << 4
        start = struct.pack(">HHIIBBH", source[1], target[1], sender.next, acknowledged, sizes, flags, _WINDOW)
        rest = bytes(2) + options + payload
        found = _checksum(source, target, _TCP, start + bytes(2) + rest)
        sender.next = (sender.next + len(payload) + bool(flags & (_SYN | _FIN))) & 0xFFFFFFFF
        return _packet(time, source, target, _TCP, start + found.to_bytes(2, "big") + rest)


def _other(side: Side) -> Side:
    return "server" if side == "client" else "client"


def _ends(endpoints: Endpoints) -> tuple[_End, _End]:
    """Both ends, of one family; a zone (``%eth0``) is not part of a packet."""
    ends: list[_End] = []
    for text, port in ((endpoints.source, endpoints.source_port), (endpoints.target, endpoints.target_port)):
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            raise _refused(f"{text!r} is no IP address") from None
        if not 0 <= port <= 0xFFFF:
            raise _refused(f"{port} is no port")
        ends.append((address, port))
    if ends[0][0].version != ends[1][0].version:
        raise _refused(f"{endpoints}: one address is of IPv4, the other of IPv6")
    return ends[0], ends[1]


def _packet(time: float, source: _End, target: _End, protocol: int, content: bytes) -> bytes:
    """An enhanced packet block with one IP packet."""
    if source[0].version == 6:
        header = struct.pack(">IHBB", 6 << 28, len(content), protocol, _HOPS)
        data = header + source[0].packed + target[0].packed + content
    else:
        start = struct.pack(">BBHHHBB", 0x45, 0, 20 + len(content), 0, 0x4000, _HOPS, protocol)
        addresses = source[0].packed + target[0].packed
        data = start + _ones_sum(start + addresses).to_bytes(2, "big") + addresses + content
    stamp = round(time * 1_000_000)
    sizes = struct.pack("<IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data))
    return _block(6, sizes + data)


def _checksum(source: _End, target: _End, protocol: int, content: bytes) -> int:
    """Over the pseudo-header and the segment; both families have the same sum but for the width of two fields."""
    addresses = source[0].packed + target[0].packed
    return _ones_sum(addresses + struct.pack(">II", len(content), protocol) + content)


def _ones_sum(data: bytes) -> int:
    """The complement of the ones' complement sum of 16-bit words (RFC 1071), which is a remainder of division."""
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return 0xFFFF - (number % 0xFFFF or 0xFFFF)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = 12 + len(body)
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _refused(what: str) -> V2GPKIError:
    return V2GPKIError("v2gtp.recording", what, hint="give the two ends of one connection, as sockets name them")
