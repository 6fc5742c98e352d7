"""Links: what a session reads from and writes to, over TLS or plain TCP.

`accept` reads the first octets of a connection: 0x01 begins V2GTP, so TCP is plain; 0x16 begins TLS, whose ClientHello
decides what it is answered with (`choice`). `connect` is a vehicle's side. Either gives a link whose peer was judged.
Refusals are ``tls.*``, or what the judge raised; their fact ``alert`` is the one that was sent, or came. In TLS 1.3 a
station's refusal of the vehicle reaches it with its first `receive`. Clauses: [V2G20-2356], [V2G20-2400], [V2G2-651].
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Protocol

from OpenSSL import SSL

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import alerts, bindings
from v2gpki.servers.v2gtls.choice import choose
from v2gpki.servers.v2gtls.contexts import station_context, vehicle_context
from v2gpki.servers.v2gtls.conversation import Conversation, KeyLog, StationConversation, VehicleConversation
from v2gpki.servers.v2gtls.hello import HANDSHAKE, ClientHello, HelloReader
from v2gpki.servers.v2gtls.rules import IANA_GROUPS, IANA_SUITES, RULES
from v2gpki.servers.v2gtls.security import Chain, Limits, StationSecurity, VehicleSecurity
from v2gpki.servers.v2gtls.wire import Tap, Wire, address_text
from v2gpki.session.secured import Secured, TLSVersion

__all__ = ["KeyLog", "Link", "accept", "connect"]

#: The first octet of a V2GTP header.
_V2GTP = 0x01
_SIZE = 65_536
_VERSIONS: dict[str, TLSVersion] = {"TLSv1.2": "1.2", "TLSv1.3": "1.3"}


class Link(Protocol):
    """One connection. ``secured`` is what TLS gave, None for plain TCP; ``hello`` what the client offered, at the
    station's end."""

    secured: Secured | None
    hello: ClientHello | None
    peer: str
    local: str

    async def receive(self) -> bytes:
        """The next octets; b"" when the other end has closed, with or without close_notify. Raises ``tls.*``."""

    async def send(self, data: bytes) -> None:
        """Send them all; raises ``tls.*``."""

    async def close(self) -> None:
        """Tell the other end and close; raises nothing."""


class PlainLink:
    """TCP as it is."""

    def __init__(self, wire: Wire, first: bytes = b"") -> None:
        self.secured: Secured | None = None
        self.hello: ClientHello | None = None
        self.peer = wire.peer
        self.local = wire.local
        self._wire = wire
        self._first = first

    async def receive(self) -> bytes:
        """The next octets."""
        first, self._first = self._first, b""
        return first or await self._wire.read()

    async def send(self, data: bytes) -> None:
        """Send them."""
        await self._wire.write(data)

    async def close(self) -> None:
        """Close."""
        await self._wire.end()


class TLSLink:
    """TLS over memory BIOs; made by `_established`, once the peer was judged."""

    def __init__(
        self,
        wire: Wire,
        connection: SSL.Connection,
        conversation: Conversation,
        secured: Secured,
        hello: ClientHello | None,
    ) -> None:
        self.secured: Secured | None = secured
        self.hello = hello
        self.peer = wire.peer
        self.local = wire.local
        self._wire = wire
        self._connection = connection
        self._conversation = conversation

    async def receive(self) -> bytes:
        """The next octets."""
        while True:
            try:
                return self._connection.recv(_SIZE)
            except SSL.ZeroReturnError:
                return b""
            except SSL.WantReadError:
                await _flush(self._wire, self._connection)
            except SSL.Error as problem:
                await _last_words(self._wire, self._connection)
                self._conversation.explain(problem)
            data = await self._wire.read()
            if not data:
                return b""
            self._connection.bio_write(data)

    async def send(self, data: bytes) -> None:
        """Send them."""
        try:
            if data:
                self._connection.sendall(data)
        except SSL.Error as problem:
            self._conversation.explain(problem)
        await _flush(self._wire, self._connection)

    async def close(self) -> None:
        """close_notify, then close."""
        with contextlib.suppress(SSL.Error):
            self._connection.shutdown()
        await _last_words(self._wire, self._connection)
        await self._wire.end()


async def accept(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    security: StationSecurity | None,
    *,
    keylog: KeyLog | None = None,
    limits: Limits | None = None,
    tap: Tap | None = None,
) -> Link:
    """The link of a connection that came in; without ``security`` there is plain TCP only.

    Raises ``tls.hello``, ``tls.no_common``, ``tls.plain``, ``tls.no_certificate``, ``tls.alert``, ``tls.late``,
    ``tls.closed``, ``tls.failed``, ``tls.identity``, and what the judge raises; the connection is closed then.
    """
    wire = Wire(reader, writer, limits or Limits(), tap)
    try:
        async with asyncio.timeout(wire.limits.handshake):
            return await _accepted(wire, security, keylog)
    except TimeoutError:
        wire.abort()
        raise wire.late("did not finish the handshake", wire.limits.handshake) from None
    except V2GPKIError:
        await wire.end()
        raise
    except BaseException:
        wire.abort()
        raise


async def connect(
    address: tuple[str, int],
    security: VehicleSecurity | None,
    *,
    keylog: KeyLog | None = None,
    limits: Limits | None = None,
    tap: Tap | None = None,
) -> Link:
    """A link to a station at (host, port), the host with its zone (``fe80::1%eth0``); plain TCP without ``security``.

    Raises ``tls.unreachable``, ``tls.no_staple``, ``tls.alert``, ``tls.late``, ``tls.closed``, ``tls.failed``,
    ``tls.identity``, and what the judge raises.
    """
    chosen = limits or Limits()
    try:
        async with asyncio.timeout(chosen.handshake):
            reader, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError) as problem:
        raise _unreachable(address, problem) from problem
    wire = Wire(reader, writer, chosen, tap)
    if security is None:
        return PlainLink(wire)
    try:
        async with asyncio.timeout(chosen.handshake):
            return await _connected(wire, security, keylog)
    except TimeoutError:
        wire.abort()
        raise wire.late("did not finish the handshake", chosen.handshake) from None
    except V2GPKIError:
        await wire.end()
        raise
    except BaseException:
        wire.abort()
        raise


async def _accepted(wire: Wire, security: StationSecurity | None, keylog: KeyLog | None) -> Link:
    first = await wire.read()
    if not first:
        raise wire.closed("before it said anything")
    if first[0] == _V2GTP:
        if security is None or security.plain:
            return PlainLink(wire, first)
        raise V2GPKIError(
            "tls.plain",
            f"{wire.peer} speaks without TLS, and this station takes none such",
            hint="the vehicle must ask for TLS in discovery, or the station allow plain TCP (EIM only)",
            clause="ISO 15118-2 7.7.3",
            facts={"peer": wire.peer},
        )
    if first[0] != HANDSHAKE or security is None:
        raise _foreign(wire, first)
    return await _accepted_tls(wire, first, security, keylog)


async def _accepted_tls(wire: Wire, first: bytes, security: StationSecurity, keylog: KeyLog | None) -> Link:
    seen = HelloReader(limit=wire.limits.hello)
    try:
        hello = seen.feed(first)
        while hello is None:
            data = await wire.read()
            if not data:
                raise wire.closed("within its ClientHello")
            hello = seen.feed(data)
        choice = choose(hello, security)
    except V2GPKIError as problem:
        if problem.code in ("tls.hello", "tls.no_common"):
            problem.facts = {"alert": "decode_error", **problem.facts, "peer": wire.peer}
            await wire.write(alerts.record(str(problem.facts["alert"])))
        raise
    made = station_context(security, choice.edition, choice.identity, keylog=keylog is not None)
    conversation = StationConversation(wire.peer, keylog, security, choice.identity)
    conversation.root_named = choice.named
    connection = SSL.Connection(made.context, None)
    connection.set_app_data(conversation)
    connection.set_accept_state()
    await _shake_hands(wire, connection, conversation, seen.octets)
    conversation.verdict(expected=RULES[choice.edition].mutual)
    secured = _secured(connection, server=True, own=choice.identity.chain)
    return TLSLink(wire, connection, conversation, secured, hello)


async def _connected(wire: Wire, security: VehicleSecurity, keylog: KeyLog | None) -> Link:
    made = vehicle_context(security, keylog=keylog is not None)
    conversation = VehicleConversation(wire.peer, keylog, security)
    connection = SSL.Connection(made.context, None)
    connection.set_app_data(conversation)
    connection.set_connect_state()
    if security.staple_policy != "off":
        connection.request_ocsp()
    await _shake_hands(wire, connection, conversation, b"")
    conversation.verdict(expected=True)
    own = security.identity.chain if security.identity is not None and conversation.asked else ()
    secured = _secured(connection, server=False, own=own, staple=conversation.received_staple)
    return TLSLink(wire, connection, conversation, secured, None)


async def _shake_hands(wire: Wire, connection: SSL.Connection, conversation: Conversation, data: bytes) -> None:
    """Until the handshake is done at this end; ``data`` are octets that came already."""
    while True:
        if data:
            connection.bio_write(data)
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            await _flush(wire, connection)
        except SSL.Error as problem:
            await _last_words(wire, connection)
            conversation.explain(problem)
        else:
            await _flush(wire, connection)
            return
        data = await wire.read()
        if not data:
            raise wire.closed("during the handshake")


async def _flush(wire: Wire, connection: SSL.Connection) -> None:
    """Send what TLS wants to send."""
    while True:
        try:
            data = connection.bio_read(_SIZE)
        except SSL.WantReadError:
            return
        await wire.write(data)


async def _last_words(wire: Wire, connection: SSL.Connection) -> None:
    """Send an alert, if the other end still takes it."""
    with contextlib.suppress(V2GPKIError):
        await _flush(wire, connection)


def _secured(connection: SSL.Connection, *, server: bool, own: Chain, staple: bytes | None = None) -> Secured:
    suite = connection.get_cipher_name() or ""
    group = connection.get_group_name() or ""
    return Secured(
        version=_VERSIONS[connection.get_protocol_version_name()],
        suite=IANA_SUITES.get(suite, suite),
        group=IANA_GROUPS.get(group, group.lower()),
        peer_chain=bindings.chain_of(connection, server=server),
        own_chain=own,
        staple=staple,
    )


def _foreign(wire: Wire, first: bytes) -> V2GPKIError:
    begin = first[:4].hex()
    if first[0] == HANDSHAKE:
        what, hint = "begins TLS, and this station has no TLS identity", "give the station a chain and its key"
    else:
        what, hint = f"begins with {begin}, which is neither TLS nor V2GTP", ""
    return V2GPKIError("tls.foreign", f"{wire.peer} {what}", hint=hint, facts={"peer": wire.peer, "first": begin})


def _unreachable(address: tuple[str, int], problem: BaseException) -> V2GPKIError:
    number = problem.errno if isinstance(problem, OSError) else None
    reason = os.strerror(number).lower() if number else "it does not answer"
    if isinstance(problem, socket.gaierror):
        reason = "there is no such address or interface"
    return V2GPKIError(
        "tls.unreachable",
        f"{address_text(address)} cannot be reached: {reason}",
        hint="check that the station listens there; a link-local address needs its interface (fe80::1%eth0)",
        facts={"address": address_text(address)},
    )
