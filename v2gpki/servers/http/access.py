"""Who is calling: the identity behind an HTTP request, from Basic, Bearer, x-api-key or a TLS client certificate.

Routers take a ``Resolver`` and ask nothing else. Whoever shows several credentials must be the same with each; one
that does not hold makes the whole request anonymous, so that nothing is granted by halves.
Sources: RFC 7617, RFC 6750, RFC 8705; x-api-key as MaEVe sends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from v2gpki.servers.http.exchange import Scope


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: ``name`` stands in the audit log, ``scopes`` is what the credential is good for, ``registration``
    the name under which the registration table knows the caller (the same, unless a credential acts for another)."""

    name: str
    scopes: frozenset[str]
    registration: str = ""

    def has(self, scope: str) -> bool:
        """Whether the credential is good for ``scope``."""
        return scope in self.scopes or "*" in self.scopes


#: The identity behind a request; None when there is no credential, or none that holds.
Resolver: TypeAlias = Callable[[Scope], Awaitable[Identity | None]]


async def nobody(scope: Scope) -> Identity | None:  # noqa: ARG001 - a resolver's signature
    """A resolver that knows nobody."""
    return None
