"""Judges for links, made of `services.trust`: is this a station's chain, is this a vehicle's?

A vehicle's judge holds a station's leaf against the role `secc` (DC=CPO), and counts a staple only if it says that this
leaf is good. A station's judge holds a vehicle's leaf against `vehicle`, or another role. Names of hosts play no part.
What was found about the roles of a chain is remembered (`Remembered`), for they do not change as long as edition, role
and roots are the same; path, times and evidence are judged anew each time.
Clauses: [V2G2-875], [V2G2-925], [V2G20-1240], [V2G20-2331], [V2G20-2409].
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2gpki.certs.path import ValidPath, validate
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import family_of
from v2gpki.profile.load import Catalogue
from v2gpki.servers.v2gtls.rules import RULES, Edition
from v2gpki.servers.v2gtls.security import Chain, JudgeStation, JudgeVehicle, StaplePolicy
from v2gpki.services.trust import TrustAnchor, judge


class Remembered:
    """Paths whose roles are good, by everything that roles depend on; the oldest go when there are ``most``."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._paths: OrderedDict[object, ValidPath] = OrderedDict()

    def __len__(self) -> int:
        return len(self._paths)

    def find(self, key: object) -> ValidPath | None:
        """The path, None when it is not known."""
        return self._paths.get(key)

    def keep(self, key: object, path: ValidPath) -> None:
        """Remember one."""
        self._paths[key] = path
        while len(self._paths) > self._most:
            self._paths.popitem(last=False)

    def forget(self, key: object) -> None:
        """It has to be judged anew."""
        self._paths.pop(key, None)


@dataclass(frozen=True, slots=True)
class _Judge:
    """What stays the same from chain to chain."""

    catalogue: Catalogue
    roots: Sequence[bytes | TrustAnchor]
    now: Callable[[], datetime]
    role: str
    editions: Sequence[Edition]
    crls: Sequence[bytes]
    ocsps: Sequence[bytes]
    tolerate: Collection[str]
    remembered: Remembered

    def path(self, chain: Chain, staples: Sequence[bytes] = (), *, require_evidence: bool = False) -> ValidPath:
        """The path of a chain that may be used; raises what ``services.trust.judge`` raises."""
        ocsps, at = [*self.ocsps, *staples], self.now()
        edition = edition_of(chain, self.editions)
        key = (chain, edition, self.role, frozenset(self.roots), frozenset(self.tolerate))
        known = self.remembered.find(key)
        if known is not None:
            try:
                return validate(
                    known.certificates[:-1],
                    [known.anchor],
                    at=at,
                    crls=self.crls,
                    ocsps=ocsps,
                    require_evidence=require_evidence,
                    leaf=known.leaf,
                )
            except V2GPKIError:
                # Something has changed: all of it is judged below.
                self.remembered.forget(key)
        path = judge(
            chain,
            self.roots,
            catalogue=self.catalogue,
            role=self.role,
            edition=edition,
            at=at,
            crls=self.crls,
            ocsps=ocsps,
            require_evidence=require_evidence,
            leaf=_leaf(chain),
            tolerate=self.tolerate,
        ).path
        self.remembered.keep(key, path)
        return path


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
    remembered: Remembered | None = None,
) -> JudgeStation:
    """What judges a station for a vehicle, at the moment ``now`` tells.

    Of several ``editions`` the one that has the leaf's key family counts. ``crls`` and ``ocsps`` are evidence at hand;
    with ``require-all`` they must speak for every sub-CA. Further parameters are those of ``services.trust.judge``.
    Judges that are made again and again share what is ``remembered``.
    The judge raises ``path.*``, ``role.*``, ``chain.*``, ``ocsp.malformed``.
    """

    seen = Remembered() if remembered is None else remembered
    station = _Judge(catalogue, roots, now, "secc", editions, crls, ocsps, tolerate, seen)

    def verdict(chain: Chain, staple: bytes | None) -> None:
        if staple is None:
            station.path(chain)
            return
        status = station.path(chain, [staple], require_evidence=staple_policy == "require-all").statuses[0]
        if status.state != "good":
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
    remembered: Remembered | None = None,
) -> JudgeVehicle:
    """What judges a vehicle for a station of ISO 15118-20, at the moment ``now`` tells.

    ``role`` names what its certificate must be: EcoG's vehicles show their provisioning certificate (``oem``).
    The judge raises ``path.*``, ``role.*``, ``chain.*``.
    """

    seen = Remembered() if remembered is None else remembered
    vehicle = _Judge(catalogue, roots, now, role, editions, crls, ocsps, tolerate, seen)

    def verdict(chain: Chain) -> None:
        vehicle.path(chain)

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
