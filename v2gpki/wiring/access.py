"""Tokens and the registration table of an opened home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from v2gpki.services.access import Access
from v2gpki.services.registrations import Registrations

if TYPE_CHECKING:
    from v2gpki.wiring.authority import CertificateAuthority


def access_of(ca: CertificateAuthority) -> Access:
    """The home's tokens. Changing them in a locked home leaves the audit log's newest rows unsigned until the next
    change in an unlocked one."""
    return Access(ca.store, ca.clock, seal=ca._seal if not ca.locked else lambda: None)


def registrations_of(ca: CertificateAuthority) -> Registrations:
    """The home's registration table; as ``access_of``."""
    seal = ca._seal if not ca.locked else lambda: None
    return Registrations(ca.store, ca.catalogue, ca.clock, seal=seal)
