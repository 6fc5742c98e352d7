"""What the services ask of the store about callers: ``Store.access``. One transaction per writing method, with its
audit rows; safe from threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from v2gpki.store.access_records import AccessToken, Grant, Token


class AccessStore(Protocol):
    """Tokens, access tokens and the registration table."""

    def revision(self) -> int:
        """Changes whenever a token or a grant does, by any process; a few microseconds. New access tokens do not."""
        ...

    # -- tokens ------------------------------------------------------------------------------
    def add_token(self, token: Token) -> None:
        """Keep a new token. An id or a digest that is there raises ``store.conflict``."""
        ...

    def revoke_token(self, token_id: str, at: datetime, caller: str) -> Token:
        """End a token and all that it was exchanged for; one that has ended stays as it is. Unknown:
        ``store.unknown_token``."""
        ...

    def token(self, token_id: str) -> Token | None:
        """One token by its id."""
        ...

    def token_of(self, digest: bytes) -> Token | None:
        """One token by the SHA-256 of its secret or certificate."""
        ...

    def tokens(self, *, identity: str = "") -> list[Token]:
        """All tokens (of one identity) in the order in which they came, revoked ones too."""
        ...

    # -- access tokens -----------------------------------------------------------------------
    def add_access_token(self, access: AccessToken, caller: str) -> None:
        """Keep what a token was exchanged for. A token that is unknown or revoked raises ``store.conflict``."""
        ...

    def access_token(self, digest: bytes) -> tuple[AccessToken, Token] | None:
        """An access token with the token that it came from, whatever became of that one."""
        ...

    def access_tokens(self) -> Iterator[AccessToken]:
        """All that were not purged."""
        ...

    def purge_access_tokens(self, before: datetime) -> int:
        """Forget those that ended before a moment; returns how many."""
        ...

    # -- the registration table --------------------------------------------------------------
    def grant(self, grants: Sequence[Grant]) -> int:
        """Add rows; those that are there stay as they are. Returns how many were new."""
        ...

    def withdraw(
        self,
        identity: str,
        at: datetime,
        caller: str,
        *,
        role: str = "",
        edition: str | None = None,
        key: str | None = None,
    ) -> int:
        """Take rows of an identity away: all, or those of one role, edition and key. Returns how many."""
        ...

    def grants(self, *, identity: str = "", role: str = "") -> Iterator[Grant]:
        """Rows in the order in which they came, read page by page."""
        ...

    def granted(self, identity: str, role: str, edition: str, key: str) -> bool:
        """Whether there is a row for this id (by its key), of the edition or of every one."""
        ...

    def granted_prefixes(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """The beginnings that are granted."""
        ...

    def granted_ids(self, identity: str, role: str, edition: str, limit: int) -> tuple[str, ...]:
        """The first ids that are granted one by one, in normal form."""
        ...

    def has_grant(self, identity: str, role: str, edition: str) -> bool:
        """Whether there is any row, for roles without an id."""
        ...

    def identities(self) -> list[str]:
        """Every identity with a grant, sorted."""
        ...
