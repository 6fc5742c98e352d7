"""CRLs are kept current: published anew before nextUpdate, and soon after a revocation.

One process of a home does it at a time (a lease of the store), whoever comes first. An authority publishes as long
as it is valid and its key is here; a retired or revoked one too, since its certificates live on. One that was revoked
for a compromise of its key publishes nothing more: its issuer's list says so, and what its key signs proves nothing.
Sources: RFC 5280 5.1.2.5 (the next list comes before nextUpdate), 5.3.1.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta

from v2gpki.errors import V2GPKIError
from v2gpki.services.compromise import compromise
from v2gpki.services.revocation import Revocation
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CrlRecord

_LEASE_SECONDS = 300
_CHANGES = ("certificate.revoked", "intent.abandoned")
#: Revocations are gathered for so long before a list is published out of turn.
HOLD = timedelta(minutes=5)


class CrlPublication:
    """Publishes what is due. ``lifetime`` runs from thisUpdate to nextUpdate; ``seal`` signs the audit log's head."""

    def __init__(
        self,
        store: Store,
        revocation: Revocation,
        *,
        lifetime: timedelta,
        seal: Callable[[], None],
        caller: str = "crl",
        hold: timedelta = HOLD,
    ) -> None:
        self._store = store
        self._revocation = revocation
        self._lifetime = lifetime
        self._seal = seal
        self._caller = caller
        self._hold = hold
        self._holder = os.urandom(8).hex()
        self._sequence = 0
        self._changed: dict[str, datetime] = {}

    def due(self, now: datetime) -> list[AuthorityRecord]:
        """The authorities whose list is missing, will soon end, or lacks a revocation."""
        self._note_changes()
        return [authority for authority in self._store.authorities() if self._is_due(authority, now)]

    def run(self, now: datetime) -> list[CrlRecord]:
        """Publish every list that is due; nothing when another process is at it. One that fails stops no other:
        the first refusal is raised when all others are published."""
        if not self.due(now):
            return []
        published: list[CrlRecord] = []
        refusals: list[V2GPKIError] = []
        with self._store.lease("crl", self._holder, now, _LEASE_SECONDS) as mine:
            # Asked again: another process may just have published.
            for authority in self.due(now) if mine else ():
                try:
                    published.append(self._revocation.publish_crl(authority, self._lifetime, caller=self._caller))
                except V2GPKIError as refusal:
                    refusals.append(refusal)
        if published:
            self._seal()
        if refusals:
            raise refusals[0]
        return published

    def _is_due(self, authority: AuthorityRecord, now: datetime) -> bool:
        if not publishes(self._store, authority, now):
            return False
        latest = self._store.latest_crl(authority.id)
        if latest is None:
            return True
        # A third is left: time enough for somebody to notice that it does not work.
        if latest.next_update - now <= self._lifetime / 3:
            return True
        changed = self._changed.get(authority.id)
        if changed is not None and changed < latest.this_update:
            del self._changed[authority.id]
            changed = None
        return changed is not None and now - latest.this_update >= self._hold

    def _note_changes(self) -> None:
        """Remember when each authority last revoked something; the audit log says so."""
        tip = self._store.audit_tip()[0]
        if tip == self._sequence:
            return
        for row in self._store.audit_rows(after=self._sequence, actions=_CHANGES):
            self._changed[row.target.rpartition("/")[0]] = row.at
        self._sequence = tip


def publishes(store: Store, authority: AuthorityRecord, now: datetime) -> bool:
    """Whether an authority publishes lists at ``now``: its key is here, it is valid, and the key is not compromised."""
    if not authority.key_id or not authority.not_before <= now <= authority.not_after:
        return False
    return compromise(store, authority) is None
