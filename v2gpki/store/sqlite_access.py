"""Access and webhooks of the embedded store: each call's connection, transaction and paging; what a write means stands
in ``kept_access`` and ``kept_webhooks``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from v2gpki.store import kept_access, kept_webhooks
from v2gpki.store.access_records import AccessToken, Grant, Token
from v2gpki.store.connections import Held
from v2gpki.store.webhook_records import Delivery, DeliveryState, Endpoint

_PAGE = 500
_Record = TypeVar("_Record")
_Access = Callable[[], AbstractContextManager[sqlite3.Connection]]


class _Part:
    def __init__(self, reading: Callable[[], Held], writing: _Access) -> None:
        self._reading = reading
        self._writing = writing

    def _paged(
        self, page: Callable[[sqlite3.Connection, int], tuple[int, list[_Record]]]
    ) -> Iterator[_Record]:
        after = 0
        while True:
            with self._reading() as connection:
                after, found = page(connection, after)
            yield from found
            if not after:
                return


class SqliteAccess(_Part):
    """``store.access_protocol.AccessStore`` over the connections of a ``SqliteStore``."""

    def revision(self) -> int:
        """A few microseconds."""
        return self._reading().counter("access", kept_access.revision)

    def add_token(self, token: Token) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            kept_access.add_token(connection, token)

    def revoke_token(self, token_id: str, at: datetime, caller: str) -> Token:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_access.revoke_token(connection, token_id, at, caller)

    def token(self, token_id: str) -> Token | None:
        """By its id."""
        with self._reading() as connection:
            return kept_access.one_token(connection, token_id)

    def token_of(self, digest: bytes) -> Token | None:
        """By its digest."""
        with self._reading() as connection:
            return kept_access.token_of(connection, digest)

    def tokens(self, *, identity: str = "") -> list[Token]:
        """In the order in which they came."""
        with self._reading() as connection:
            return kept_access.tokens(connection, identity)

    def add_access_token(self, access: AccessToken, caller: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            kept_access.add_access_token(connection, access, caller)

    def access_token(self, digest: bytes) -> tuple[AccessToken, Token] | None:
        """With the token that it came from."""
        with self._reading() as connection:
            return kept_access.access_token(connection, digest)

    def access_tokens(self) -> Iterator[AccessToken]:
        """Read page by page."""
        return self._paged(lambda connection, after: kept_access.access_tokens(connection, after, _PAGE))

    def purge_access_tokens(self, before: datetime) -> int:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_access.purge(connection, before)

    def grant(self, grants: Sequence[Grant]) -> int:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_access.grant(connection, grants)

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
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_access.withdraw(connection, identity, at, caller, role=role, edition=edition, key=key)

    def grants(self, *, identity: str = "", role: str = "") -> Iterator[Grant]:
        """Read page by page."""
        return self._paged(
            lambda connection, after: kept_access.grants(connection, after, _PAGE, identity=identity, role=role)
        )

    def granted(self, identity: str, role: str, edition: str, key: str) -> bool:
        """One look-up."""
        with self._reading() as connection:
            return kept_access.granted(connection, identity, role, edition, key)

    def granted_prefixes(self, identity: str, role: str, edition: str) -> tuple[str, ...]:
        """All of them."""
        with self._reading() as connection:
            return kept_access.granted_values(connection, identity, role, edition, match="prefix", limit=-1)

    def granted_ids(self, identity: str, role: str, edition: str, limit: int) -> tuple[str, ...]:
        """The first ones."""
        with self._reading() as connection:
            return kept_access.granted_values(connection, identity, role, edition, match="id", limit=limit)

    def has_grant(self, identity: str, role: str, edition: str) -> bool:
        """One look-up."""
        with self._reading() as connection:
            return kept_access.has_grant(connection, identity, role, edition)

    def identities(self) -> list[str]:
        """Sorted."""
        with self._reading() as connection:
            return kept_access.identities(connection)


class SqliteWebhooks(_Part):
    """``store.webhook_protocol.WebhookStore`` over the connections of a ``SqliteStore``."""

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            kept_webhooks.add_endpoint(connection, endpoint)

    def change_endpoint(self, endpoint: Endpoint, at: datetime, caller: str) -> Endpoint:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_webhooks.change_endpoint(connection, endpoint, at, caller)

    def remove_endpoint(self, endpoint_id: str, at: datetime, caller: str) -> Endpoint:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_webhooks.remove_endpoint(connection, endpoint_id, at, caller)

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """By its id."""
        with self._reading() as connection:
            return kept_webhooks.one_endpoint(connection, endpoint_id)

    def endpoints(self, *, owner: str | None = None, event: str = "") -> list[Endpoint]:
        """In the order in which they came."""
        with self._reading() as connection:
            return kept_webhooks.endpoints(connection, owner, event)

    def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            kept_webhooks.enqueue(connection, deliveries)

    def due_endpoints(self, at: datetime) -> list[str]:
        """One look-up for each endpoint."""
        with self._reading() as connection:
            return kept_webhooks.due_endpoints(connection, at)

    def take_due(
        self, at: datetime, *, limit: int, hold_seconds: int, endpoints: Sequence[str] | None = None
    ) -> list[Delivery]:
        """One transaction, and none when nothing is due; see the protocol."""
        with self._reading() as connection:
            if not kept_webhooks.any_due(connection, at):
                return []
        with self._writing() as connection:
            if endpoints is None:
                return kept_webhooks.take_due(connection, at, limit, hold_seconds)
            return kept_webhooks.take_one_each(connection, at, endpoints[:limit], hold_seconds)

    def fail_waiting(self, endpoint_id: str, at: datetime, said: str) -> int:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_webhooks.fail_waiting(connection, endpoint_id, at, said)

    def give_up(self, before: datetime, at: datetime, said: str) -> int:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_webhooks.give_up(connection, before, at, said)

    def mark_delivered(self, delivery_id: str, at: datetime, said: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            kept_webhooks.end(connection, delivery_id, "delivered", at, said)

    def mark_failed(self, delivery_id: str, at: datetime, said: str, *, retry_at: datetime | None) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            if retry_at is None:
                kept_webhooks.end(connection, delivery_id, "failed", at, said)
            else:
                kept_webhooks.put_off(connection, delivery_id, said, retry_at)

    def deliveries(self, *, endpoint_id: str = "", state: DeliveryState | None = None) -> Iterator[Delivery]:
        """Read page by page."""
        return self._paged(
            lambda connection, after: kept_webhooks.deliveries(
                connection, after, _PAGE, endpoint_id=endpoint_id, state=state or ""
            )
        )

    def purge_deliveries(self, before: datetime) -> int:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return kept_webhooks.purge(connection, before)
