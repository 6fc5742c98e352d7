"""Records of access and webhooks for tests: everything follows from a small number."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from tests.store.samples import LATER, NOW
from v2gpki.store.access_records import AccessToken, Grant, Token
from v2gpki.store.webhook_records import Delivery, Endpoint


def token(number: int, identity: str = "cpo-a") -> Token:
    """Token ``number``; it ends a day after NOW."""
    digest = sha256(b"token %d" % number).digest()
    ends = NOW + timedelta(days=1)
    return Token(f"{number:016x}", "secret", digest, identity, ("est", "pools"), NOW, "me", ends, "for a test")


def access(number: int, of: int = 1) -> AccessToken:
    """Access token ``number`` of token ``of``; it ends an hour after NOW."""
    digest = sha256(b"access %d" % number).digest()
    return AccessToken(digest, token(of).id, ("est",), NOW, NOW + timedelta(hours=1))


def grant(value: str, *, identity: str = "cpo-a", role: str = "secc", edition: str = "") -> Grant:
    """An id (``evseid:..``), or a beginning with a ``*`` at its end."""
    if value.endswith("*"):
        return Grant(identity, role, edition, "prefix", value[:-1], value[:-1], NOW, "me")
    return Grant(identity, role, edition, "id", value.partition(":")[2], value, NOW, "me")


def endpoint(number: int, owner: str = "mo-a", *, events: tuple[str, ...] = ("a.b", "c.d")) -> Endpoint:
    """Endpoint ``number``."""
    return Endpoint(f"e{number}", owner, f"https://{number}.example/hook", events, b"sealed", NOW, "me", "a test")


def delivery(number: int, at: str = "e1", *, due: int = 0) -> Delivery:
    """Delivery ``number``, due so many seconds after LATER."""
    payload = b'{"number": %d}' % number
    return Delivery(f"d{number}", at, "a.b", payload, NOW, LATER + timedelta(seconds=due))
