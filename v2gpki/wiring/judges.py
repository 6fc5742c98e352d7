"""Verdicts on chains by what a PKI folder trusts: `services.trust.judge` with the role, the edition and the evidence.

A station judges contracts, a vehicle the CPS that signed contract data; who is shown in TLS is judged by
`servers.v2gtls.judging` with the same anchors. All roots are handed over with their roles, also those that do not fit:
a chain under the wrong one is refused with ``role.wrong_anchor``, which says more than that nobody knows its root. With
`compat` "ecog" a -20 chain on P-256 is judged by `lab-ecog-20`.
Clauses: [V2G2-875], [V2G2-885], [V2G2-924], [V2G2-925]; [V2G20-2331], [V2G20-2333].
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeAlias

from v2gpki.certs.view import view
from v2gpki.keys.suites import family_of
from v2gpki.pnc.algorithms import Edition
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustAnchor, TrustedChain, judge, recognised_root
from v2gpki.wiring.credentials import Roots, StationCredentials, VehicleCredentials
from v2gpki.wiring.pki_folder import Compat

Chain: TypeAlias = tuple[bytes, ...]
#: A verdict on a chain as it came (leaf first, without root) for an edition at a moment; raises ``path.*``, ``role.*``,
#: ``chain.*``, else returns the path that holds.
Judge: TypeAlias = Callable[[Chain, Edition, datetime], TrustedChain]


def anchors(catalogue: Catalogue, roots: Roots, edition: Edition) -> tuple[TrustAnchor, ...]:
    """All roots with their roles; one that is held for several uses has the first: private operator, V2G, MO, OEM.

    A root of a private operator may lie among the V2G roots: one without DC=V2G there counts for every use.
    """
    roles: dict[bytes, str] = dict.fromkeys(roots.private, "private-root")
    for der in roots.v2g:
        recognised = recognised_root(catalogue, edition, der)
        roles.setdefault(der, recognised if recognised in {"", "private-root"} else "v2g-root")
    for der in roots.mo:
        roles.setdefault(der, "mo-root")
    for der in roots.oem:
        roles.setdefault(der, "oem-root")
    return tuple(TrustAnchor(der, role) for der, role in roles.items())


class Anchors:
    """The `anchors` of a folder, recognised once for each edition: which root is whose depends on nothing else.

    Those of ``editions`` are looked at now: it reads profiles, for which a handshake has no time.
    """

    def __init__(self, catalogue: Catalogue, roots: Roots, editions: Collection[Edition] = ()) -> None:
        self._catalogue = catalogue
        self._roots = roots
        self._known = {edition: anchors(catalogue, roots, edition) for edition in editions}

    def of(self, edition: Edition) -> tuple[TrustAnchor, ...]:
        """Those of an edition."""
        known = self._known.get(edition)
        if known is None:
            known = self._known[edition] = anchors(self._catalogue, self._roots, edition)
        return known


def contract_judge(
    catalogue: Catalogue,
    credentials: StationCredentials,
    *,
    compat: Compat = "",
    require_evidence: bool = False,
    tolerate: Collection[str] = (),
    editions: Collection[Edition] = (),
) -> Judge:
    """What judges contract chains for a station; evidence is what its folder has, asked for anew each time.

    With `require_evidence` each certificate must be known to be good. `tolerate` is that of `services.trust.judge`.
    For `editions` the profiles are read now, for others with their first chain.
    """
    return _judge(
        "contract",
        catalogue,
        credentials,
        compat=compat,
        require_evidence=require_evidence,
        tolerate=frozenset(tolerate),
        editions=editions,
    )


def cps_judge(
    catalogue: Catalogue,
    credentials: VehicleCredentials,
    *,
    compat: Compat = "",
    require_evidence: bool = False,
    tolerate: Collection[str] = (),
    editions: Collection[Edition] = (),
) -> Judge:
    """What judges, for a vehicle, the CPS chain of an answer that delivers a contract; as `contract_judge`."""
    return _judge(
        "cps",
        catalogue,
        credentials,
        compat=compat,
        require_evidence=require_evidence,
        tolerate=frozenset(tolerate),
        editions=editions,
    )


def judged_as(chain: Chain, edition: Edition, compat: Compat) -> Edition:
    """The edition whose profiles a chain is judged by."""
    lab = compat == "ecog" and edition == "iso15118-20" and bool(chain)
    family = family_of(view(chain[0]).spki) if lab else None
    return "lab-ecog-20" if family is not None and family.name == "p256" else edition


def _judge(
    role: str,
    catalogue: Catalogue,
    credentials: StationCredentials | VehicleCredentials,
    *,
    compat: Compat,
    require_evidence: bool,
    tolerate: frozenset[str],
    editions: Collection[Edition],
) -> Judge:
    known = Anchors(catalogue, credentials.roots, editions)

    def verdict(chain: Chain, edition: Edition, at: datetime) -> TrustedChain:
        by = judged_as(chain, edition, compat)
        return judge(
            chain,
            known.of(by),
            catalogue=catalogue,
            role=role,
            edition=by,
            at=at,
            crls=credentials.crls,
            ocsps=credentials.answers(chain),
            require_evidence=require_evidence,
            ordered=True,
            tolerate=tolerate,
        )

    return verdict
