"""What TLS gave to a connection, as an engine sees it; None in its place stands for plain TCP.

An engine decides by it what it may offer: PnC over TLS only, ISO 15118-20 over TLS 1.3 with a client certificate only.
Whether the chains are to be trusted was judged by whoever made the connection. Clauses: ISO 15118-2 7.7.3;
ISO 15118-20 [V2G20-1264], [V2G20-2356].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TLSVersion = Literal["1.2", "1.3"]


@dataclass(frozen=True, slots=True)
class Secured:
    """One established TLS connection, seen from one of its ends.

    ``suite`` is the IANA name (``TLS_AES_256_GCM_SHA384``), ``group`` the TLS name of the key exchange (``secp521r1``,
    ``x448``). Chains are DER, leaf first, as they went over the wire: ``peer_chain`` is empty if the peer showed none,
    ``own_chain`` if this end did. ``staple`` is the OCSP response for the leaf that the server sent along (DER), at the
    client's end; None if there was none, and at the server's end.
    """

    version: TLSVersion
    suite: str
    group: str
    peer_chain: tuple[bytes, ...] = ()
    own_chain: tuple[bytes, ...] = ()
    staple: bytes | None = None

    @property
    def mutual(self) -> bool:
        """Whether both ends showed a certificate."""
        return bool(self.peer_chain and self.own_chain)

    @property
    def may_carry_iso20(self) -> bool:
        """Whether ISO 15118-20 may be spoken here: TLS 1.3, and both ends showed a certificate."""
        return self.version == "1.3" and self.mutual
