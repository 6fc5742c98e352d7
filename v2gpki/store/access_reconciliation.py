"""Does the audit log say what the tables of access and webhooks say? Of each record the last row of the log that speaks
of it holds the digest, or says that the record is gone. Access tokens are purged without a row: one that is gone is no
difference, one that the log does not know is. Deliveries are a queue of which the log does not speak.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from v2gpki.store import access_rows
from v2gpki.store.access_protocol import AccessStore
from v2gpki.store.records import AuditRow
from v2gpki.store.webhook_protocol import WebhookStore

_SAYS = {
    "token.created": ("token", "new"),
    "token.revoked": ("token", "changed"),
    "token.exchanged": ("access token", "new"),
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
        self._logged: dict[tuple[str, str], str] = {}
        self._duplicates: list[tuple[str, str]] = []
        # Most access tokens of a long log were purged: only what is still there need be remembered.
        self._given = {one.digest.hex(): access_rows.access_digest(one) for one in access.access_tokens()}
        self._exchanged: dict[str, str] = {}

    def take(self, row: AuditRow) -> None:
        """The next row of the log, whatever it speaks of."""
        if row.action not in _SAYS:
            return
        kind, what = _SAYS[row.action]
        name = (kind, row.target)
        if what == "gone":
            self._logged.pop(name, None)
            return
        said = _record(row.details)
        if kind == "access token":
            if row.target in self._given:
                self._exchanged[row.target] = said
            return
        if what == "new" and name in self._logged:
            self._duplicates.append(name)
        self._logged[name] = said

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """(code, kind, target) of each difference, when the log was read to its end."""
        for kind, target in self._duplicates:
            yield "audit.duplicate", kind, target
        for kind, target, digest in self._stored():
            logged = self._logged.pop((kind, target), None)
            if logged is None:
                yield "audit.unlogged", kind, target
            elif logged != digest:
                yield "audit.changed", kind, target
        for kind, target in self._logged:
            yield "audit.missing", kind, target
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


def _record(details: str) -> str:
    """The digest in a row's details; "" when somebody put something else there, which the chain shows."""
    try:
        said = json.loads(details)
    except ValueError:
        return ""
    return str(said.get("record", "")) if isinstance(said, dict) else ""
