"""Who is calling: the identity behind an HTTP request, from Basic, Bearer, x-api-key or a TLS client certificate.

Routers take a ``Resolver`` and ask nothing else. Whoever shows several credentials must be the same with each; one
that does not hold makes the whole request anonymous, so that nothing is granted by halves. An address that shows many
wrong ones is told to wait; a good one is let in all the same, because others may share the address.
Sources: RFC 7617, RFC 6750, RFC 8705; x-api-key as MaEVe sends it.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.client_tls import client_certificate
from v2gpki.servers.http.exchange import Scope, note
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.lines import Lines

if TYPE_CHECKING:
    from v2gpki.clock import Clock
    from v2gpki.servers.http.application import Executor
    from v2gpki.servers.http.tally import Tally
    from v2gpki.services.access import Access, Caller

_LOG = logging.getLogger("v2gpki.access")

#: Wrong credentials that an address may show at once, and again each second.
FAILURES_AT_ONCE, FAILURES_A_SECOND = 20, 1.0
#: No credential of ours is longer.
_LONGEST = 4096


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
#: (user, SHA-256 of the secret) of each credential of a request: what is kept of a head that was read.
Shown: TypeAlias = "tuple[tuple[str, bytes], ...]"
#: The identity behind such credentials, if it is known without a look into the store; None for the long way.
Known: TypeAlias = "Callable[[Shown], Identity | None]"


async def nobody(scope: Scope) -> Identity | None:  # noqa: ARG001 - a resolver's signature
    """A resolver that knows nobody."""
    return None


class AccessResolver:
    """The resolver of a home: its tokens and access tokens, and certificates that stand for an identity."""

    def __init__(
        self,
        access: Access,
        clock: Clock,
        executor: Executor,
        tally: Tally,
        *,
        failures: Meter | None = None,
        lines: Lines | None = None,
    ) -> None:
        """``failures`` meters wrong credentials of an address, ``lines`` the log's lines about them."""
        self._access = access
        self._clock = clock
        self._executor = executor
        self._tally = tally
        self._failures = failures or Meter(FAILURES_A_SECOND, FAILURES_AT_ONCE)
        self._lines = lines or Lines()

    async def __call__(self, scope: Scope) -> Identity | None:
        """See ``Resolver``; raises ``access.too_many_failures``, and what the store raises."""
        try:
            shown = credentials(scope)
            callers = [await self._secret(user, secret) for user, secret in shown]
            certificate = client_certificate(scope)
            if certificate is not None:
                found = await self._executor.call(
                    self._access.authenticate_certificate, certificate, now=self._clock.now()
                )
                callers += [] if found is None else [found]
            if not callers:
                return None
            if any(caller.identity != callers[0].identity for caller in callers):
                raise V2GPKIError("access.refused", "the credentials of one request are of several identities")
        except V2GPKIError as refusal:
            if refusal.outcome.http != 401:
                raise
            self._failed(scope, refusal)
            return None
        found_out = self._identity(callers)
        scope.setdefault("state", {})["caller"] = found_out.name
        return found_out

    def known(self, shown: Shown) -> Identity | None:
        """The identity behind credentials that were good before and still are, all of them of one identity; None when
        the long way has to tell."""
        now = self._clock.now()
        callers = [self._access.known_digest(digest, now) for _, digest in shown]
        good: list[Caller] = []
        for (user, _), caller in zip(shown, callers, strict=True):
            if caller is None or caller.identity != (good or [caller])[0].identity:
                return None
            if user and user not in (caller.identity, caller.token_id):
                return None
            good.append(caller)
        return self._identity(good) if good else None

    def _identity(self, callers: Sequence[Caller]) -> Identity:
        self._tally.event("authenticated")
        identity = callers[0].identity
        return Identity(identity, frozenset.intersection(*(caller.scopes for caller in callers)), identity)

    async def _secret(self, user: str, secret: str) -> Caller:
        now = self._clock.now()
        known = self._access.known(secret, now)
        if known is None:
            return await self._executor.call(self._access.authenticate, secret, user=user, now=now)
        if user and user not in (known.identity, known.token_id):
            raise V2GPKIError("access.refused", "the user is not whom the token stands for")
        return known

    def _failed(self, scope: Scope, refusal: V2GPKIError) -> None:
        """Count and log a refusal; raises ``access.too_many_failures`` when there were too many before it."""
        wait = self._failures.wait(address_of(scope))
        if wait:
            self._tally.event("rate_limited")
            raise V2GPKIError(
                "access.too_many_failures",
                "this address showed too many wrong credentials",
                hint=f"come back in {wait} s",
                clause="RFC 6585 4",
                facts={"retry_after": wait},
            ) from refusal
        self._tally.event("credential_refused")
        note(scope, refusal.code)
        state = scope.get("state") or {}
        if not self._lines.may(address_of(scope), credential=refusal.code):
            return
        _LOG.warning(
            "credential refused",
            extra={
                "code": refusal.code,
                "client": address_of(scope),
                "request_id": state.get("request_id", ""),
                "token": refusal.facts.get("token"),
            },
        )


def credentials(scope: Scope) -> list[tuple[str, str]]:
    """(user, secret) of everything that the headers show, user "" but for Basic.

    Raises ``access.refused`` for a header that is no credential.
    """
    found: list[tuple[str, str]] = []
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"x-api-key":
            found.append(("", _text(value)))
        elif name == b"authorization":
            scheme, _, rest = _text(value).partition(" ")
            match scheme.lower():
                case "bearer":
                    found.append(("", rest.strip()))
                case "basic":
                    found.append(basic(rest.strip()))
                case _:
                    raise V2GPKIError("access.refused", "the scheme of Authorization is neither Basic nor Bearer")
    # MaEVe sends the same token twice.
    return list(dict.fromkeys(found))


def digests(scope: Scope) -> Shown:
    """What ``Known`` is asked with. Raises as ``credentials``."""
    return tuple((user, sha256(secret.encode()).digest()) for user, secret in credentials(scope))


def basic(encoded: str) -> tuple[str, str]:
    """(user, password) of a Basic credential; raises ``access.refused``. RFC 7617 2."""
    try:
        text = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise V2GPKIError("access.refused", "the Basic credential is not base64 of UTF-8") from None
    user, colon, password = text.partition(":")
    if not colon or not user:
        raise V2GPKIError("access.refused", "the Basic credential has no user and password")
    return user, password


def address_of(scope: Scope) -> str:
    """The client's address, "" when it is not known."""
    client = scope.get("client") or ("",)
    return str(client[0])


def _text(value: bytes) -> str:
    if len(value) > _LONGEST:
        raise V2GPKIError("access.refused", "the credential is too long")
    return value.decode("latin-1")
