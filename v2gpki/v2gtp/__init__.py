"""V2GTP, the transport of ISO 15118 over TCP and UDP: frames in, frames out; no sockets.

`parse` and `build` for one frame, `Splitter` for a byte stream with limits, `capture` for recorded sessions. Refuses
wrong versions and lengths above a limit; what a payload type means is the caller's matter. Clauses: ISO 15118-2 7.8.3
(header, payload types 0x8001, 0x9000, 0x9001), ISO 15118-20 7.8.3 (0x8001 to 0x8006, SDP 0x9002, 0x9003).
"""

from v2gpki.v2gtp.frame import (
    DEFAULT_LIMIT,
    HEADER_SIZE,
    Frame,
    PayloadType,
    Splitter,
    build,
    parse,
    payload_name,
)

__all__ = ["DEFAULT_LIMIT", "HEADER_SIZE", "Frame", "PayloadType", "Splitter", "build", "parse", "payload_name"]
