"""Who may call the services, as frozen values: tokens, access tokens, grants of certificates.

No secret is kept: a token is known by the SHA-256 of its 256 random bits, which nobody can guess or turn back, so that
a slow password hash would cost each request milliseconds and win nothing. Times are aware UTC with whole seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

#: A secret that is shown as Basic, Bearer or x-api-key; or a TLS client certificate.
TokenKind = Literal["secret", "certificate"]
#: One id in normal form; or the beginning of ids ("" is every id).
GrantMatch = Literal["id", "prefix"]


@dataclass(frozen=True, slots=True)
class Token:
    """A long-lived credential of an identity.

    ``id`` is 16 random hex digits and no secret; ``digest`` the SHA-256 of the secret, or of the DER certificate.
    ``scopes`` is what it is good for, sorted, ``*`` for everything. ``expires_at`` None is never. A token that was
    revoked stays in the store.
    """

    id: str
    kind: TokenKind
    digest: bytes
    identity: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    comment: str = ""
    revoked_at: datetime | None = None
    revoked_by: str = ""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a token was exchanged for (OAuth client credentials): short-lived, void as soon as its token is."""

    digest: bytes
    token_id: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of the registration table: ``identity`` may have certificates of ``role``, of ``edition`` ("" is every
    one that has the role), for the id ``value``, or for ids that begin with it.

    ``key`` is what is compared: of an id its kind and what identifies it (``emaid:DE8AA1A2B3C4D5``), of a prefix the
    prefix.
    """

    identity: str
    role: str
    edition: str
    match: GrantMatch
    value: str
    key: str
    granted_at: datetime
    granted_by: str
