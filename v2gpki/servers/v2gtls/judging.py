"""Judges for links, made of `services.trust`: is this a station's chain, is this a vehicle's?

A vehicle's judge holds a station's leaf against the role `secc` (DC=CPO), and counts a staple only if it says that this
leaf is good. A station's judge holds a vehicle's leaf against `vehicle`, or another role. Names of hosts play no part.
Clauses: [V2G2-875], [V2G2-925], [V2G20-1240], [V2G20-2331], [V2G20-2409].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import family_of
from v2gpki.profile.load import Catalogue
from v2gpki.servers.v2gtls.rules import RULES, Edition
from v2gpki.servers.v2gtls.security import Chain, JudgeStation, JudgeVehicle, StaplePolicy
from v2gpki.services.trust import TrustAnchor, judge


def station_judge(
    catalogue: Catalogue,
    roots: Sequence[bytes | TrustAnchor],
    now: Callable[[], datetime],
    *,
    editions: Sequence[Edition],
    staple_policy: StaplePolicy = "require-leaf",
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
    tolerate: Collection[str] = (),
) -> JudgeStation:
    """What judges a station for a vehicle, at the moment ``now`` tells.

    Of several ``editions`` the one that has the leaf's key family counts. ``crls`` and ``ocsps`` are evidence at hand;
    with ``require-all`` they must speak for every sub-CA. Further parameters are those of ``services.trust.judge``.
    The judge raises ``path.*``, ``role.*``, ``chain.*``, ``ocsp.malformed``.
    """

    def verdict(chain: Chain, staple: bytes | None) -> None:
        trusted = judge(
            chain,
            roots,
            catalogue=catalogue,
            role="secc",
            edition=edition_of(chain, editions),
            at=now(),
            crls=crls,
            ocsps=[*ocsps, *([staple] if staple else ())],
            require_evidence=staple is not None and staple_policy == "require-all",
            leaf=_leaf(chain),
            tolerate=tolerate,
        )
        status = trusted.path.statuses[0]
        if staple is not None and status.state == "unknown":
            raise V2GPKIError(
                "path.status_unknown",
                f"the stapled OCSP response does not say that the station's certificate is good: {status.detail}",
                hint="the station must fetch a response about its own leaf from its CA's responder",
                clause="[V2G2-875], [V2G20-2409]",
            )

    return verdict


def vehicle_judge(
    catalogue: Catalogue,
    roots: Sequence[bytes | TrustAnchor],
    now: Callable[[], datetime],
    *,
    editions: Sequence[Edition] = ("iso15118-20",),
    role: str = "vehicle",
    crls: Sequence[bytes] = (),
    ocsps: Sequence[bytes] = (),
    tolerate: Collection[str] = (),
) -> JudgeVehicle:
    """What judges a vehicle for a station of ISO 15118-20, at the moment ``now`` tells.

    ``role`` names what its certificate must be: EcoG's vehicles show their provisioning certificate (``oem``).
    The judge raises ``path.*``, ``role.*``, ``chain.*``.
    """

    def verdict(chain: Chain) -> None:
        judge(
            chain,
            roots,
            catalogue=catalogue,
            role=role,
            edition=edition_of(chain, editions),
            at=now(),
            crls=crls,
            ocsps=ocsps,
            leaf=_leaf(chain),
            tolerate=tolerate,
        )

    return verdict


def edition_of(chain: Chain, editions: Sequence[Edition]) -> Edition:
    """The first edition whose TLS has the leaf's key family, else the first of all, which then says what is wrong."""
    family = family_of(view(_leaf(chain)).spki)
    fitting = (edition for edition in editions if family is not None and family.name in RULES[edition].schemes)
    return next(fitting, editions[0])


def _leaf(chain: Chain) -> bytes:
    if not chain:
        raise V2GPKIError("chain.empty", "the other end showed a chain without a certificate", clause="RFC 8446 4.4.2")
    return chain[0]
