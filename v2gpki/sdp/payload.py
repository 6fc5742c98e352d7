"""The request (2 octets: security, transport) and the response (20: address, port, security, transport) of SDP.

Refuses (`sdp.*`, `v2gtp.*`) datagrams that are no such frame, reserved values, and a response that nobody can follow:
port 0, or an address that is no single interface's. A port outside 49152 to 65535 is read: the field has such stations.
Clauses: ISO 15118-2 [V2G2-122] ff., tables 18 and 19; ISO 15118-20 7.10.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address
from typing import TypeVar

from v2gpki.errors import V2GPKIError
from v2gpki.v2gtp import HEADER_SIZE, PayloadType, build, parse, payload_name

#: Where a vehicle asks: all nodes of the link, and the UDP port of every SECC.
MULTICAST_ADDRESS = IPv6Address("ff02::1")
PORT = 15118
_REQUEST_SIZE, _RESPONSE_SIZE = 2, 20
#: More of a datagram is never looked at: with room for the wireless pair, so that it is refused by its name.
DATAGRAM_LIMIT = 512
_CLAUSE = "ISO 15118-2 7.10.1"


class Security(IntEnum):
    """Whether the connection is to be, or will be, under TLS; every other octet is reserved."""

    TLS = 0x00
    NONE = 0x10


class Transport(IntEnum):
    """The transport of the connection; UDP is named by the standard and used by nobody."""

    TCP = 0x00
    UDP = 0x10


@dataclass(frozen=True, slots=True)
class Request:
    """What a vehicle asks for."""

    security: Security = Security.TLS
    transport: Transport = Transport.TCP


@dataclass(frozen=True, slots=True)
class Response:
    """Where the station listens (without a zone: the vehicle knows by which interface it asked), and how."""

    address: IPv6Address
    port: int
    security: Security = Security.TLS
    transport: Transport = Transport.TCP


def request(value: Request) -> bytes:
    """The datagram of a request."""
    return build(PayloadType.SDP_REQUEST, bytes((value.security, value.transport)))


def response(value: Response) -> bytes:
    """The datagram of a response; raises `sdp.address` for what no vehicle could connect to."""
    _check_reachable(value.address, value.port)
    payload = value.address.packed + value.port.to_bytes(2, "big") + bytes((value.security, value.transport))
    return build(PayloadType.SDP_RESPONSE, payload)


def read_request(datagram: bytes) -> Request:
    """The request in a datagram; raises `v2gtp.*`, `sdp.type`, `sdp.length`, `sdp.security`, `sdp.transport`."""
    payload = _payload(datagram, PayloadType.SDP_REQUEST, _REQUEST_SIZE)
    return Request(_security(payload[0]), _transport(payload[1]))


def read_response(datagram: bytes) -> Response:
    """The response in a datagram; raises what `read_request` raises, and `sdp.address`."""
    payload = _payload(datagram, PayloadType.SDP_RESPONSE, _RESPONSE_SIZE)
    address, port = IPv6Address(payload[:16]), int.from_bytes(payload[16:18], "big")
    _check_reachable(address, port)
    return Response(address, port, _security(payload[18]), _transport(payload[19]))


def _payload(datagram: bytes, wanted: PayloadType, size: int) -> bytes:
    payload_type, payload = parse(datagram, limit=DATAGRAM_LIMIT - HEADER_SIZE)
    if payload_type != wanted:
        wireless = payload_type in (PayloadType.SDP_REQUEST_WIRELESS, PayloadType.SDP_RESPONSE_WIRELESS)
        raise V2GPKIError(
            "sdp.type",
            f"a datagram of type {payload_type:#06x} ({payload_name(payload_type)}), not {payload_name(wanted)}",
            hint="discovery over WLAN is not part of v2gpki: use a wired link" if wireless else "",
            clause=_CLAUSE,
            facts={"type": payload_type, "wanted": int(wanted)},
        )
    if len(payload) != size:
        raise V2GPKIError(
            "sdp.length",
            f"an {payload_name(wanted)} has {size} octets of payload, not {len(payload)}",
            clause=_CLAUSE,
            facts={"size": len(payload), "wanted": size},
        )
    return payload


_Octet = TypeVar("_Octet", Security, Transport)


def _value(kind: type[_Octet], octet: int, code: str) -> _Octet:
    try:
        return kind(octet)
    except ValueError:
        allowed = ", ".join(f"{value:#04x} ({value.name})" for value in kind)
        raise V2GPKIError(
            code,
            f"the {kind.__name__.lower()} octet of SDP is {octet:#04x}; known are {allowed}",
            clause=_CLAUSE,
            facts={"octet": octet},
        ) from None


def _security(octet: int) -> Security:
    return _value(Security, octet, "sdp.security")


def _transport(octet: int) -> Transport:
    return _value(Transport, octet, "sdp.transport")


def _check_reachable(address: IPv6Address, port: int) -> None:
    if address.is_unspecified or address.is_multicast or not 0 < port < 0x10000:
        raise V2GPKIError(
            "sdp.address",
            f"an SDP response cannot name [{address}]:{port}: that is nobody's address",
            hint="a station names the address of the interface that the request came in by, and its TCP port",
            clause=_CLAUSE,
            facts={"address": str(address), "port": port},
        )
