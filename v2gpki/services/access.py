"""Who may call the services: tokens of identities, what they are exchanged for, and whom they stand for.

A token is ``v2gpki_<id>_<secret>``: 16 hex digits that find it, and 256 random bits in base64. Kept is the SHA-256 of
the whole: 256 bits cannot be guessed, so that a slow hash, which protects weak passwords, would only make every request
slow; compared is the digest, in constant time. A token may stand for a TLS client certificate instead. What was
accepted is remembered until any process changes a token, which is asked for every 300 ms: a revocation holds
everywhere within a second. Nothing about refused credentials is written to the audit log, which a stranger could
otherwise fill. Sources: RFC 6749 4.4, RFC 6750, RFC 8705 2.2.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.services.standing import Standing
from v2gpki.store.access_records import AccessToken, Token
from v2gpki.store.protocol import Store

#: What a credential can be good for, in words for people.
SCOPES: Mapping[str, str] = {
    "est": "enrolment over EST, as far as the registration table grants it",
    "pools": "the pools as MO, OEM, CPO and CPS",
    "pools:mo": "the pools as mobility operator",
    "pools:oem": "the pools as OEM",
    "pools:cpo": "the pools as charge point operator",
    "pools:cps": "the pools as certificate provisioning service",
    "pools:admin": "the pools as their operator",
    "webhooks": "to be told of events",
    "*": "everything",
}
#: Scopes that contain others; each contains itself.
_CONTAINED: Mapping[str, frozenset[str]] = {
    "pools": frozenset({"pools:mo", "pools:oem", "pools:cpo", "pools:cps"}),
    "*": frozenset(SCOPES),
}
#: How often a process asks whether another one changed a token.
POLL = timedelta(milliseconds=300)
#: How long an access token holds unless told otherwise.
ACCESS_LIFETIME = timedelta(hours=1)

_SECRET = re.compile(r"v2gpki_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}")
_MOST_KNOWN = 20_000
_MOST_COMMENT = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a credential stands for. ``token_id`` names it for people, and is no secret."""

    identity: str
    scopes: frozenset[str]
    token_id: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """An access token, shown once."""

    secret: str
    scopes: tuple[str, ...]
    seconds: int

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Exchanged(scopes={self.scopes!r}, seconds={self.seconds!r})"


class Access:
    """Tokens of one home. Safe from threads. ``seal`` signs the audit log's head after a write."""

    def __init__(self, store: Store, clock: Clock, *, seal: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._clock = clock
        self._seal = seal
        self._standing = Standing(store)
        self._lock = threading.Lock()
        self._known: dict[bytes, Caller] = {}
        self._revision = -1
        self._looked: datetime | None = None

    # -- tokens --------------------------------------------------------------------------------

    def create(
        self,
        identity: str,
        scopes: Sequence[str],
        *,
        lifetime: timedelta | None = None,
        comment: str = "",
        certificate: bytes | None = None,
        caller: str,
    ) -> tuple[Token, str]:
        """A new token and its secret, which is told now and never again; with ``certificate`` (DER) whoever proves in
        TLS to hold it is the identity, and there is no secret.

        Raises ``access.bad_identity``, ``access.bad_scope``, ``access.bad_lifetime``, ``store.conflict``.
        """
        now = self._clock.now().replace(microsecond=0)
        if lifetime is not None and lifetime <= timedelta(0):
            raise V2GPKIError("access.bad_lifetime", "a token must hold for some time", hint="give a time to come")
        token_id = os.urandom(8).hex()
        secret = "" if certificate is not None else _new_secret(token_id)
        shown = secret.encode("ascii") if certificate is None else certificate
        token = Token(
            token_id,
            "secret" if certificate is None else "certificate",
            sha256(shown).digest(),
            checked_identity(identity),
            _checked_scopes(scopes),
            now,
            caller,
            None if lifetime is None else now + lifetime,
            _checked_comment(comment),
        )
        self._store.access.add_token(token)
        self._seal()
        return token, secret

    def revoke(self, name: str, *, caller: str) -> Token:
        """End the token with this id, or a unique beginning of it. Raises ``store.unknown_token``,
        ``access.ambiguous``."""
        found = [token for token in self._store.access.tokens() if name and token.id.startswith(name)]
        if len(found) > 1:
            raise V2GPKIError(
                "access.ambiguous",
                f"{name!r} fits several tokens: {', '.join(token.id for token in found)}",
                hint="give more digits",
                facts={"token": name, "candidates": [token.id for token in found]},
            )
        now = self._clock.now().replace(microsecond=0)
        ended = self._store.access.revoke_token(found[0].id if found else name, now, caller)
        self._seal()
        return ended

    def tokens(self, *, identity: str = "") -> list[Token]:
        """All tokens (of one identity), those that have ended too."""
        return self._store.access.tokens(identity=identity)

    # -- judging -------------------------------------------------------------------------------

    def known(self, secret: str, now: datetime) -> Caller | None:
        """Whom a secret stands for, if that was found out before and still holds: no look into the store but for
        whether anything changed."""
        return self.known_digest(sha256(secret.encode()).digest(), now)

    def known_digest(self, digest: bytes, now: datetime) -> Caller | None:
        """``known`` for whoever kept a secret's SHA-256 and not the secret."""
        self._refresh(now)
        caller = self._known.get(digest)
        return caller if caller is not None and _holds(caller.expires_at, now) else None

    def authenticate(self, secret: str, *, user: str = "", now: datetime | None = None) -> Caller:
        """Whom a secret (a token or an access token) stands for; ``user``, if given with it, must be that identity or
        the token's id.

        Raises ``access.refused``, ``access.expired``, ``access.revoked``.
        """
        at = self._clock.now() if now is None else now
        caller = self.known(secret, at)
        if caller is None:
            self._refresh(at)
            revision = self._revision
            caller = self._look_up(secret, at)
            self._remember(sha256(secret.encode()).digest(), caller, revision)
        if user and user not in (caller.identity, caller.token_id):
            raise _refused(f"the user {user[:60]!r} is not whom the token stands for")
        return caller

    def authenticate_certificate(self, certificate: bytes, *, now: datetime | None = None) -> Caller | None:
        """Whom a client certificate (DER), held by the other end of TLS, stands for; None when no token says so.

        Raises ``access.expired`` and ``access.revoked`` for its token, and for the certificate itself, which may have
        ended or been revoked since the handshake, or an authority above it (if this home issued it).
        """
        at = self._clock.now() if now is None else now
        digest = sha256(certificate).digest()
        record = self._store.certificate_by_fingerprint(digest)
        if record is not None and self._standing.revoked(record):
            raise V2GPKIError(
                "access.revoked",
                f"the client certificate {record.serial:x} of {record.issuer_id}, or what is above it, was revoked",
                hint="use a certificate that is valid",
                facts={"issuer": record.issuer_id, "serial": f"{record.serial:x}"},
            )
        if not at < view(certificate).not_after:
            raise V2GPKIError(
                "access.expired",
                "the client certificate has ended",
                hint="connect again with one that is valid",
                clause="RFC 5280 4.1.2.5",
            )
        token = self._store.access.token_of(digest)
        if token is None or token.kind != "certificate" or not hmac.compare_digest(token.digest, digest):
            return None
        return _caller(token, token.scopes, None, at)

    def exchange(
        self,
        client_id: str,
        client_secret: str,
        *,
        scopes: Sequence[str] = (),
        lifetime: timedelta = ACCESS_LIFETIME,
    ) -> Exchanged:
        """A short-lived access token for a token (OAuth client credentials); ``client_id`` is the token's id or the
        identity. ``scopes`` are some of the token's, or contained in one of them; all when none is named.

        Raises what ``authenticate`` raises, and ``access.bad_scope``.
        """
        now = self._clock.now()
        found = _SECRET.fullmatch(client_secret)
        token = None if found is None else self._store.access.token(found[1])
        if token is None or not client_id or client_id not in (token.id, token.identity):
            # An access token cannot be exchanged for a longer one.
            raise _refused("client id and secret do not belong to a token")
        self._prove(token, client_secret)
        caller = _caller(token, token.scopes, None, now)
        wanted = _checked_scopes(scopes) if scopes else token.scopes
        beyond = sorted(set(wanted) - _contained(caller.scopes))
        if beyond:
            raise V2GPKIError(
                "access.bad_scope",
                f"the token is not good for {', '.join(beyond)[:100]}",
                hint=f"it is good for {', '.join(token.scopes)}",
                clause="RFC 6749 5.2",
                facts={"scopes": beyond},
            )
        begins = now.replace(microsecond=0)
        ends = begins + lifetime if token.expires_at is None else min(begins + lifetime, token.expires_at)
        secret = _new_secret(os.urandom(8).hex())
        access = AccessToken(sha256(secret.encode("ascii")).digest(), token.id, wanted, begins, ends)
        self._store.access.add_access_token(access, token.identity)
        return Exchanged(secret, wanted, int((ends - begins).total_seconds()))

    def purge(self, now: datetime) -> int:
        """Forget access tokens that have ended; to be called now and then."""
        return self._store.access.purge_access_tokens(now - ACCESS_LIFETIME)

    # -- helpers -------------------------------------------------------------------------------

    def _refresh(self, now: datetime) -> None:
        """Forget whatever is known if any process changed a token since."""
        looked = self._looked
        if looked is not None and looked <= now < looked + POLL:
            return
        with self._lock:
            revision = self._store.access.revision()
            if revision != self._revision:
                self._known = {}
                self._revision = revision
            self._looked = now

    def _remember(self, digest: bytes, caller: Caller, revision: int) -> None:
        with self._lock:
            # What was read before a change must not be kept after it.
            if revision == self._revision:
                if len(self._known) >= _MOST_KNOWN:
                    self._known = {}
                self._known[digest] = caller

    def _look_up(self, secret: str, now: datetime) -> Caller:
        found = _SECRET.fullmatch(secret)
        if found is None:
            raise _refused("this is no token of this service")
        token = self._store.access.token(found[1])
        if token is not None:
            self._prove(token, secret)
            return _caller(token, token.scopes, None, now)
        digest = sha256(secret.encode("ascii")).digest()
        exchanged = self._store.access.access_token(digest)
        if exchanged is None or not hmac.compare_digest(exchanged[0].digest, digest):
            raise _refused("there is no such token")
        access, token = exchanged
        return _caller(token, access.scopes, access.expires_at, now)

    @staticmethod
    def _prove(token: Token, secret: str) -> None:
        digest = sha256(secret.encode("ascii")).digest()
        if token.kind != "secret" or not hmac.compare_digest(token.digest, digest):
            raise _refused("there is no such token")


def checked_identity(text: str) -> str:
    """An identity's name, which stands in the audit log; raises ``access.bad_identity``."""
    if not _IDENTITY.fullmatch(text):
        raise V2GPKIError(
            "access.bad_identity",
            f"{text[:60]!r} is no name for an identity",
            hint="use up to 100 letters, digits and . _ @ / -, beginning with a letter or digit",
            facts={"identity": text[:100]},
        )
    return text


def _caller(token: Token, scopes: Sequence[str], expires_at: datetime | None, now: datetime) -> Caller:
    if token.revoked_at is not None:
        raise V2GPKIError(
            "access.revoked",
            f"the token {token.id} was revoked",
            hint="v2gpki token create makes another one",
            facts={"token": token.id},
        )
    ends = min((moment for moment in (token.expires_at, expires_at) if moment is not None), default=None)
    if not _holds(ends, now):
        raise V2GPKIError(
            "access.expired",
            f"the token {token.id}, or what it was exchanged for, has ended",
            hint="fetch a new access token, or create a new token",
            clause="RFC 6750 3.1",
            facts={"token": token.id},
        )
    return Caller(token.identity, frozenset(scopes), token.id, ends)


def _holds(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is None or now < expires_at


def _new_secret(token_id: str) -> str:
    return f"v2gpki_{token_id}_{base64.urlsafe_b64encode(os.urandom(32)).rstrip(b'=').decode('ascii')}"


def _refused(message: str) -> V2GPKIError:
    return V2GPKIError(
        "access.refused",
        message,
        hint="v2gpki token list shows which tokens there are; their secrets are shown nowhere",
        clause="RFC 6750 3.1",
    )


def _contained(scopes: Iterable[str]) -> frozenset[str]:
    """Everything that a credential with these scopes is good for."""
    return frozenset(scopes).union(*(_CONTAINED.get(scope, ()) for scope in scopes))


def _checked_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        what = f"there is no scope {unknown[0][:60]!r}" if unknown else "a token needs a scope"
        raise V2GPKIError(
            "access.bad_scope",
            what,
            hint="scopes are " + ", ".join(SCOPES),
            facts={"scopes": unknown},
        )
    return tuple(sorted(set(scopes)))


def _checked_comment(text: str) -> str:
    if len(text) > _MOST_COMMENT or not text.isprintable():
        raise V2GPKIError(
            "access.bad_comment",
            f"a comment has up to {_MOST_COMMENT} printable characters",
            hint="give a shorter one",
        )
    return text
