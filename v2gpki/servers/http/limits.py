"""How often an address may call: a bucket of tokens for each, refilled over time. RFC 6585 4.

The number of addresses that are remembered is bounded; the one that was idle longest is forgotten first. An IPv6
client is its /64, because a single host has that many addresses.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import monotonic

#: How many addresses are remembered.
MOST_ADDRESSES = 20_000


class Meter:
    """Lets ``rate`` calls a second through for each address, and ``burst`` at once."""

    def __init__(self, rate: float, burst: int, *, clock: Callable[[], float] = monotonic) -> None:
        """``clock`` gives monotonic seconds."""
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, address: str) -> int:
        """0 when the call may go on, which costs a token; else the whole seconds until there is one."""
        who, now = _party(address), self._clock()
        left, since = self._buckets.get(who, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        if left >= 1.0:
            self._keep(who, left - 1.0, now)
            return 0
        self._keep(who, left, now)
        return max(1, math.ceil((1.0 - left) / self._rate))

    def _keep(self, who: str, left: float, now: float) -> None:
        self._buckets[who] = left, now
        self._buckets.move_to_end(who)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)


def _party(address: str) -> str:
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return parsed.exploded[:19]
