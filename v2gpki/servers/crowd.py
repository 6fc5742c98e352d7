"""How many connections there are at a door, and who has to go when there are too many.

One address (an IPv6 client: its /64) has only so many; the oldest of its connections that waits for nothing goes for a
new one, and when all of them are at work the new one is turned away. When the door is full, the same is done to
whoever has most connections: those who hold many lose one, and nobody else notices. Proxies that are named may have as
many as there are. Source: OWASP's notes on denial of service.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol


class Work(IntEnum):
    """What a connection is at: waiting for a request, reading one that is not whole, answering one."""

    IDLE = 0
    READING = 1
    ANSWERING = 2


class Member(Protocol):
    """One connection."""

    @property
    def work(self) -> Work:
        """What it is at."""
        ...

    def drop(self) -> None:
        """End it at once."""
        ...


class Crowd:
    """The connections of one door, by address. For one event loop."""

    def __init__(self, *, most: int, of_one: int, proxies: Iterable[str] = ()) -> None:
        """``most`` connections in all, ``of_one`` of one address; ``proxies`` are addresses or networks, ``*`` all."""
        self._most = most
        self._of_one = of_one
        self._everybody = "*" in proxies
        self._proxies = [ip_network(text, strict=False) for text in proxies if text != "*" and _is_network(text)]
        self._of: dict[str, dict[Member, None]] = {}
        self._where: dict[Member, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def arrive(self, member: Member, host: str) -> bool:
        """Count a new connection; whether it may stay."""
        where = neighbourhood(host)
        own = self._of.get(where)
        if own is not None and len(own) >= self._of_one and not self._is_proxy(host) and not self._drop(own):
            return False
        if len(self._where) >= self._most:
            self._make_room()
        self._where[member] = where
        self._of.setdefault(where, {})[member] = None
        return True

    def leave(self, member: Member) -> None:
        """It is gone; one that never was here may be gone too."""
        where = self._where.pop(member, None)
        if where is not None:
            own = self._of[where]
            del own[member]
            if not own:
                del self._of[where]

    def _make_room(self) -> None:
        for own in sorted(self._of.values(), key=len, reverse=True):
            if self._drop(own):
                return

    def _drop(self, own: dict[Member, None]) -> bool:
        """Drop the oldest idle one, else the oldest one whose request is not whole; whether there was one."""
        for work in (Work.IDLE, Work.READING):
            for member in own:
                if member.work is work:
                    self.leave(member)
                    member.drop()
                    return True
        return False

    def _is_proxy(self, host: str) -> bool:
        if self._everybody:
            return True
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def neighbourhood(host: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 address."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped) if address.ipv4_mapped is not None else f"{int(address) >> 64:x}::/64"


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
