"""Does the audit log say what the tables of access and webhooks say? Of each record the last row of the log that speaks
of it holds the digest, or says that the record is gone. Access tokens are purged without a row: one that is gone is no
difference, one that the log does not know is. Deliveries are a queue of which the log does not speak.
"""

from __future__ import annotations

from collections.abc import Iterator

from v2gpki.store import access_rows
from v2gpki.store.access_protocol import AccessStore
from v2gpki.store.last_said import LastSaid, Says, field_of
from v2gpki.store.records import AuditRow
from v2gpki.store.webhook_protocol import WebhookStore

_EXCHANGED = "token.exchanged"
_SAYS: Says = {
    "token.created": ("token", "new"),
    "token.revoked": ("token", "changed"),
    "grant.given": ("grant", "changed"),
    "grant.withdrawn": ("grant", "gone"),
    "endpoint.added": ("webhook endpoint", "changed"),
    "endpoint.changed": ("webhook endpoint", "changed"),
    "endpoint.removed": ("webhook endpoint", "gone"),
}


class AccessReconciliation:
    """Give it every row of the log in order (``take``), then ask for the ``differences``."""

    def __init__(self, access: AccessStore, webhooks: WebhookStore) -> None:
        self._access = access
        self._webhooks = webhooks
        self._said = LastSaid(_SAYS)
        # Most access tokens of a long log were purged: only what is still there need be remembered.
        self._given = {one.digest.hex(): access_rows.access_digest(one) for one in access.access_tokens()}
        self._exchanged: dict[str, str] = {}

    def take(self, row: AuditRow) -> None:
        """The next row of the log, whatever it speaks of."""
        if row.action != _EXCHANGED:
            self._said.take(row)
        elif row.target in self._given:
            self._exchanged[row.target] = field_of(row.details, "record")

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """(code, kind, target) of each difference, when the log was read to its end."""
        yield from self._said.differences(self._stored())
        for target, digest in self._given.items():
            said = self._exchanged.get(target)
            if said != digest:
                yield "audit.unlogged" if said is None else "audit.changed", "access token", target

    def _stored(self) -> Iterator[tuple[str, str, str]]:
        """(kind, target, digest) of every record but access tokens."""
        for token in self._access.tokens():
            yield "token", token.id, access_rows.token_digest(token)
        for grant in self._access.grants():
            yield "grant", access_rows.grant_target(grant), access_rows.grant_digest(grant)
        for endpoint in self._webhooks.endpoints():
            yield "webhook endpoint", endpoint.id, access_rows.endpoint_digest(endpoint)
