"""What ``cacerts`` gives: the way from the issuer to the root, and what a client needs when the root changes.

The order is for the clients of the field: issuer first, the current root last. Between them, only while a root has
several generations: NewWithOld and OldWithNew (cross-certificates between generations), and the other roots.
Sources: RFC 7030 4.1.3, RFC 4210 4.4, [V2G2-878].
"""

from __future__ import annotations

from datetime import datetime

from v2gpki.certs.view import view
from v2gpki.profile.load import Catalogue
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord


def ca_certificates(
    store: Store, catalogue: Catalogue, issuer: AuthorityRecord, now: datetime, *, rollover: bool = True
) -> tuple[bytes, ...]:
    """DER certificates of an issuer and everything above it, the root last."""
    above = (issuer.der, *issuer.chain)
    if not rollover:
        return above
    root = above[-1]
    generations = _generations(store, issuer, root, now)
    if len(generations) < 2:
        return above
    others = [generation.der for generation in generations if generation.der != root]
    links = _links(store, catalogue, generations, now)
    return tuple(dict.fromkeys((*above[:-1], *links, *others, root)))


def _generations(
    store: Store, issuer: AuthorityRecord, root: bytes, now: datetime
) -> list[AuthorityRecord]:
    """The generations of the root's authority that may still be trusted, oldest first."""
    authorities = store.authorities(edition=issuer.edition, suite=issuer.suite)
    slug = next((authority.slug for authority in authorities if authority.der == root), "")
    return [
        authority
        for authority in authorities
        if slug and authority.slug == slug and authority.state != "revoked" and now <= authority.not_after
    ]


def _links(
    store: Store, catalogue: Catalogue, generations: list[AuthorityRecord], now: datetime
) -> list[bytes]:
    """Cross-certificates of one generation's key by another generation."""
    role = catalogue.edition(generations[0].edition).cross_role
    keys = {view(generation.der).spki for generation in generations}
    return [
        record.der
        for generation in generations
        if role
        for record in store.find_certificates(issuer_id=generation.id, role=role, state="valid")
        if view(record.der).spki in keys and now <= record.not_after
    ]
