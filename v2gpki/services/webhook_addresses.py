"""Where webhooks may go: what the operator of a home decides, and which addresses are public.

Refused: hosts that are no names (labels of 1 to 63 letters, digits and hyphens) and no addresses, ports that are not
permitted, and whatever leads inside: private, local, reserved and translated addresses, judged by the IPv4 address that
they embed too. Sources: RFC 1035 2.3.4, RFC 1123 2.1, RFC 6052, RFC 8215, RFC 4291 2.5.5, RFC 3879, RFC 7526.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from v2gpki.errors import V2GPKIError

_LONGEST_URL = 2000
_LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
#: A name whose last label is one of these is taken for an address in a form of old by some resolvers.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)

#: The last 32 bits are an IPv4 address: NAT64, IPv4-translated, IPv4-compatible.
_EMBEDDING = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("::/96"))
#: Never public, whatever the table of this Python says: site-local, NAT64 of a site, IPv4-translated, IPv4-compatible,
#: relays of 6to4, protocol assignments, segment routing, documentation.
_DENIED = (
    IPv6Network("fec0::/10"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("::/96"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.0.0.0/24"),
    IPv6Network("5f00::/16"),
    IPv6Network("3fff::/20"),
)


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """What the operator of a home decides.

    ``allowed`` are networks that deliveries may go to though they are not public, ``plain`` allows http beside https,
    ``ports`` are the ranges of ports (80 too where http is allowed). ``pauses`` are the waits before each further try:
    the providers of the field try three times, an hour apart. ``oldest`` is how long a delivery may wait, ``kept`` how
    long those that have ended are remembered, ``most`` how many endpoints a party may have.
    """

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    plain: bool = False
    pauses: tuple[timedelta, ...] = (
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=1),
        timedelta(hours=1),
    )
    kept: timedelta = timedelta(days=30)
    most: int = 20
    oldest: timedelta = timedelta(days=7)
    ports: tuple[tuple[int, int], ...] = ((443, 443), (1024, 65535))

    def permits(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a delivery may be sent to this address: public, or allowed by the operator."""
        real = _embedded(address)
        if any(one in network for network in self.allowed for one in (address, real) if one.version == network.version):
            return True
        return all(_public(one) for one in (address, real))

    def permits_port(self, port: int) -> bool:
        """Whether a delivery may be sent to this port."""
        return any(least <= port <= most for least, most in self.ports) or (self.plain and port == 80)


def checked_url(url: str, policy: WebhookPolicy) -> SplitResult:
    """The parts of an address that deliveries may go to, as far as that shows without asking for its name.

    Raises ``webhook.bad_url``, ``webhook.private_address``.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as problem:
        raise bad_url("it cannot be read") from problem
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise bad_url(f"an address has up to {_LONGEST_URL} printable ASCII characters without spaces")
    if parts.scheme not in (("https", "http") if policy.plain else ("https",)):
        raise bad_url("it must begin with https://")
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise bad_url("it needs a host, and may have no user, password or fragment")
    if not policy.permits_port((443 if parts.scheme == "https" else 80) if port is None else port):
        raise bad_url(f"its port {port} is none that webhooks are sent to")
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        if not policy.allowed:
            raise private_address(host)
    elif (address := _address(host)) is None:
        _check_name(host)
    elif not policy.permits(address):
        raise private_address(host)
    return parts


def private_address(host: str) -> V2GPKIError:
    """The refusal of an address that is not public."""
    return V2GPKIError(
        "webhook.private_address",
        f"webhooks are not sent to {host[:80]!a}: it is no public address",
        hint="give a public https address; the operator of this home can allow networks of its own",
        clause="OPCP 1.0, webhooks",
        facts={"host": host[:80]},
    )


def bad_url(why: str) -> V2GPKIError:
    """The refusal of what is no address for webhooks."""
    return V2GPKIError(
        "webhook.bad_url",
        f"url: no address for webhooks: {why}",
        hint="give an address such as https://events.example.com/pki",
        clause="OPCP 1.0, webhooks",
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _check_name(host: str) -> None:
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) or "%" in host or ":" in host:
        raise bad_url("its host is neither a name nor an address")
    if len(host) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise bad_url("its host is no name: labels have 1 to 63 letters, digits and hyphens, all together 253")


def _public(address: IPv4Address | IPv6Address) -> bool:
    denied = any(address in network for network in _DENIED if network.version == address.version)
    return address.is_global and not address.is_multicast and not denied


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to (mapped, 6to4, translated), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
