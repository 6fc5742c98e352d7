"""Authorities whose key is no longer theirs alone: their certificate was revoked for keyCompromise or cACompromise.

Whoever has the key can sign whatever that authority could, dated as he likes. So nothing new is signed with it, and
nothing below it counts as good. An authority revoked for another reason is like a retired one: it issues nothing more,
but what it issued lives on, and its own key speaks for that. Sources: RFC 5280 5.3.1; RFC 6960 2.7.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord

#: The reasons that say that somebody else may hold the key.
COMPROMISE = frozenset({"keyCompromise", "cACompromise"})


class Compromise(NamedTuple):
    """When and why the certificate of a compromised authority was revoked."""

    at: datetime
    reason: str


def compromise(store: Store, authority: AuthorityRecord) -> Compromise | None:
    """The compromise of an authority, as its issuer (itself, for a root) recorded it; None when there is none."""
    if authority.state != "revoked":
        return None
    record = store.certificate(authority.issuer_id, authority.serial)
    if record is None or record.revoked_at is None or record.reason not in COMPROMISE:
        return None
    return Compromise(record.revoked_at, record.reason)
