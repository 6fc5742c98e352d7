"""Whether a vehicle's chain may be relied on: path, role and revocation, under the roots that the pool trusts.

What this home issued is looked up in its own store: revoked there is revoked, whatever else is known. About others
the caller's evidence speaks; without it their status is unknown, and the caller says whether that is enough. A chain
is judged in the order in which it was sent: the certificate whose key signed is the one that is judged.
Clauses: [V2G2-884], [V2G2-885], [V2G2-924]; ISO 15118-20 [V2G20-2331], [V2G20-2333].
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from v2gpki.certs import path
from v2gpki.certs.view import view
from v2gpki.profile.load import Catalogue
from v2gpki.services.pools import RootPool
from v2gpki.services.standing import Standing
from v2gpki.services.trust import judge
from v2gpki.store.protocol import Store


class VehicleTrust:
    """Judges chains of vehicles: OEM provisioning and contract."""

    def __init__(self, store: Store, catalogue: Catalogue, roots: RootPool, standing: Standing) -> None:
        self._store = store
        self._catalogue = catalogue
        self._roots = roots
        self._standing = standing

    def judge(
        self,
        chain: Sequence[bytes],
        *,
        role: str,
        edition: str,
        at: datetime,
        crls: Sequence[bytes] = (),
        ocsps: Sequence[bytes] = (),
        require_evidence: bool = False,
        known: bool = False,
        complete: bool = False,
    ) -> None:
        """Raise ``path.*`` or ``role.*`` when a chain (leaf first, no root) is not good for its role.

        ``known`` chains passed the role's rules when they were registered; only the path is judged again. ``complete``
        puts the Sub-CAs of this home above a single certificate that they issued: a request of -2 carries no more.
        ``crls`` (DER or PEM) and ``ocsps`` (DER) are the caller's evidence.
        """
        whole = self._completed(chain) if complete else tuple(chain)
        anchors = self._roots.trusted(self._catalogue.profile(edition, role, None).anchors, edition)
        ours = self._standing.require(whole)
        required = require_evidence and not ours
        if known:
            path.validate(
                whole,
                [anchor.der for anchor in anchors],
                at=at,
                crls=crls,
                ocsps=ocsps,
                require_evidence=required,
                ordered=True,
                # It is the one that was registered: which of them is the leaf needs no search.
                leaf=whole[0],
            )
            return
        judge(
            whole,
            anchors,
            catalogue=self._catalogue,
            role=role,
            edition=edition,
            at=at,
            crls=crls,
            ocsps=ocsps,
            require_evidence=required,
            ordered=True,
        )

    def roots(self, edition: str) -> tuple[bytes, ...]:
        """The V2G roots (DER) that are trusted in an edition."""
        return tuple(anchor.der for anchor in self._roots.trusted("v2g-root", edition))

    def _completed(self, chain: Sequence[bytes]) -> tuple[bytes, ...]:
        if len(chain) != 1:
            return tuple(chain)
        issuer = view(chain[0]).x509.issuer.public_bytes()
        for authority in self._store.authorities():
            if authority.subject_der == issuer and authority.issuer_id != authority.id:
                return (chain[0], *(authority.der, *authority.chain)[:-1])
        return tuple(chain)
