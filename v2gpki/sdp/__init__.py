"""SECC discovery as octets: what a vehicle asks by UDP, and where the station says it listens; no sockets.

`request`, `response` write a whole datagram, `read_request`, `read_response` read one. Both editions use the same
payloads (frames 0x9000 and 0x9001). The wireless pair of ISO 15118-20 (0x9002, 0x9003) is refused by name.
Clauses: ISO 15118-2 7.10.1, tables 18 and 19; ISO 15118-20 7.10.1.
"""

from v2gpki.sdp.payload import (
    DATAGRAM_LIMIT,
    MULTICAST_ADDRESS,
    PORT,
    Request,
    Response,
    Security,
    Transport,
    read_request,
    read_response,
    request,
    response,
)

__all__ = [
    "DATAGRAM_LIMIT",
    "MULTICAST_ADDRESS",
    "PORT",
    "Request",
    "Response",
    "Security",
    "Transport",
    "read_request",
    "read_response",
    "request",
    "response",
]
