"""The OCSP responder and the publication of CRLs of an opened home, and the issuers that it knows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from v2gpki.services.ocsp import OcspResponder, OcspSigners, SignerIssuance
from v2gpki.services.publication import HOLD, CrlPublication
from v2gpki.wiring.signing.client import RemoteSigners

if TYPE_CHECKING:
    from v2gpki.store.protocol import Store
    from v2gpki.wiring.authority import CertificateAuthority


def ocsp_signers(ca: CertificateAuthority, *, issuing: bool = True) -> OcspSigners:
    """The home's OCSP signers; ``issuing`` lets missing ones be issued, if the home is unlocked."""
    issue = None
    if ca.signing is not None:
        roles = {name: ca.catalogue.edition(name).ocsp_role for name in ca.catalogue.editions()}
        elsewhere = RemoteSigners(ca.signing, ca.store, roles, ca.caller) if issuing else None
        return OcspSigners(ca.store, ca.catalogue, ca.signing, issue=elsewhere, leased=False)
    if issuing and ca.vault is not None:
        issue = SignerIssuance(ca.issuance, ca._routing, ca.catalogue, caller=ca.caller)
    return OcspSigners(ca.store, ca.catalogue, ca.vault, issue=issue)


def ocsp_responder(
    ca: CertificateAuthority, *, presigned: bool = False, signers: OcspSigners | None = None
) -> OcspResponder:
    """The home's responder; a locked home answers tryLater."""
    return OcspResponder(
        ca.store,
        ca.clock,
        catalogue=ca.catalogue,
        signers=ocsp_signers(ca) if signers is None else signers,
        presigned=presigned,
    )


def issuer_certificates(store: Store) -> list[bytes]:
    """The CA certificates that a home knows: its authorities, what stands above them, and the roots of its pool.

    They complete chains that come without a root. Whether a root is trusted does not matter to a hash of its key.
    """
    own = (der for record in store.authorities() for der in (record.der, *record.chain))
    return list(dict.fromkeys([*own, *(root.der for root in store.pools.roots())]))


def crl_publication(ca: CertificateAuthority, *, hold: timedelta = HOLD) -> CrlPublication:
    """What keeps the home's CRLs current; raises ``home.locked``."""
    return CrlPublication(
        ca.store,
        ca._revocation(),
        lifetime=ca.settings.crl_lifetime,
        seal=ca._seal,
        caller=ca.caller,
        hold=hold,
    )
