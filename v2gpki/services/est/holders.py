"""In whose name a certificate is renewed: who asks, or else who got it.

A certificate shown in TLS proves that its key is held, and nothing about other names or other identities. So without
a credential it is renewed for the identity that got it, as long as the table gives the id to that one. Only what the
home's operators issued themselves, before there was an identity, is renewed as long as anybody has its id; the caller
is then the certificate. Sources: RFC 7030 3.3.2, 4.2.2; VDE-AR-E 2802-100-1.
"""

from __future__ import annotations

from v2gpki.services.est import refusals
from v2gpki.services.est.registry import EnrolmentRegistry
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateRecord

#: The caller of a renewal that stands for no identity, before the serial of the certificate that was renewed.
CERTIFICATE = "certificate:"


class Holders:
    """Who may renew what, in one home."""

    def __init__(self, store: Store, registry: EnrolmentRegistry) -> None:
        self._store = store
        self._registry = registry

    def of(self, identity: str, record: CertificateRecord, identifier: str, *, renamed: bool) -> str:
        """The caller of a renewal of ``record`` under the id ``identifier``, which is another one if ``renamed``.

        ``identity`` is whose credential was shown, "" when the certificate is all there is. Raises
        ``est.not_registered``, ``est.needs_identity``.
        """
        if identity:
            return self._registered(identity, record, identifier)
        if renamed:
            raise refusals.needs_identity(record)
        if not self._issued_by_the_home(record):
            return self._registered(record.caller, record, identifier)
        where = record.role, record.edition, identifier
        if not any(self._registry.allowed(name, *where) for name in self._registry.identities()):
            raise refusals.not_registered("", *where)
        return f"{CERTIFICATE}{record.serial:x}"

    def _registered(self, identity: str, record: CertificateRecord, identifier: str) -> str:
        where = record.role, record.edition, identifier
        if not self._registry.allowed(identity, *where):
            raise refusals.not_registered(identity, *where)
        return identity

    def _issued_by_the_home(self, record: CertificateRecord) -> bool:
        """Whether nobody's identity stands behind a certificate: who founded the authorities issued it, and has
        neither a row in the table nor a token (they stay when they are revoked)."""
        caller = record.caller
        if caller.startswith(CERTIFICATE):
            return True
        if caller in self._registry.identities() or self._store.access.tokens(identity=caller):
            return False
        return any(
            founded is not None and founded.caller == caller
            for authority in self._store.authorities()
            for founded in [self._store.certificate(authority.issuer_id, authority.serial)]
        )
