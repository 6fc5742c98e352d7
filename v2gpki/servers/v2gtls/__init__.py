"""TLS between vehicle and station, as asyncio links: `accept` for a station, `connect` for a vehicle.

One listener serves both editions: the ClientHello is read before TLS begins, and edition, context and chain follow from
it. Whom to trust is the caller's verdict, made before the first application octet, and a refusal is told to the other
end by the alert that fits. Plain TCP is a link too, whose `secured` is None. `capabilities`: what the library lacks.
Clauses: ISO 15118-2 7.7.3; ISO 15118-20 7.7.3.
"""

from v2gpki.servers.v2gtls.bindings import Capability, capabilities
from v2gpki.servers.v2gtls.hello import ClientHello, HelloReader, TrustedAuthority
from v2gpki.servers.v2gtls.link import KeyLog, Link, accept, connect
from v2gpki.servers.v2gtls.rules import Edition
from v2gpki.servers.v2gtls.security import Limits, StaplePolicy, StationSecurity, TLSIdentity, VehicleSecurity
from v2gpki.servers.v2gtls.wire import Tap

__all__ = [
    "Capability",
    "ClientHello",
    "Edition",
    "HelloReader",
    "KeyLog",
    "Limits",
    "Link",
    "StaplePolicy",
    "StationSecurity",
    "TLSIdentity",
    "Tap",
    "TrustedAuthority",
    "VehicleSecurity",
    "accept",
    "capabilities",
    "connect",
]
