"""Under which name the CRL of an authority stands at its distribution point: one name for each generation.

``<slug>`` is the first generation's for ever and ``<slug>-<n>`` that of the n-th: what a certificate names must be
signed by the key that signed the certificate, and stay when another generation has taken over. ``x-2`` could also be
the slug of another authority; `services.authorities` gives no generation a name that is taken. Sources: RFC 5280
4.2.1.13, 6.3.3.
"""

from __future__ import annotations

import re

from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord

_LATER = re.compile(r"(.+)-([2-9]|[1-9][0-9]{1,8})")


def crl_name(slug: str, generation: int) -> str:
    """The name without ``.crl``."""
    return slug if generation == 1 else f"{slug}-{generation}"


def name_of(authority: AuthorityRecord) -> str:
    """The name of an authority's CRL, without ``.crl``."""
    return crl_name(authority.slug, authority.generation)


def authority_named(store: Store, name: str) -> AuthorityRecord | None:
    """The authority whose CRL has this name; ``slug@n`` is understood too. Its state does not matter."""
    if "@" in name:
        return store.authority(name)
    first = store.authority(f"{name}@1")
    later = _LATER.fullmatch(name) if first is None else None
    return first if later is None else store.authority(f"{later[1]}@{later[2]}")
