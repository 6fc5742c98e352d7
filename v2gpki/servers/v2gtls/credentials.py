"""TLS of a station and of a vehicle out of what their PKI folders hold (`wiring.credentials`).

A station gets an identity for each edition and root, with the staple that lies beside it, and judges vehicles under its
OEM and V2G roots; a vehicle judges stations under its V2G roots and shows its -20 chain. In the lab edition for EcoG's
stack the vehicle's certificate is its OEM provisioning certificate.
Clauses: [V2G2-871], [V2G2-875], [V2G20-2331], [V2G20-2339], [V2G20-2401] to [V2G20-2404].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from v2gpki.clock import Clock
from v2gpki.profile.load import Catalogue
from v2gpki.servers.v2gtls.judging import Remembered, edition_of, station_judge, vehicle_judge
from v2gpki.servers.v2gtls.rules import RULES, Edition
from v2gpki.servers.v2gtls.security import (
    Chain,
    JudgeStation,
    JudgeVehicle,
    StaplePolicy,
    StationSecurity,
    TLSIdentity,
    VehicleSecurity,
)
from v2gpki.wiring.credentials import Credential, StationCredentials, VehicleCredentials
from v2gpki.wiring.judges import Anchors


def station_security(
    credentials: StationCredentials,
    *,
    catalogue: Catalogue,
    clock: Clock,
    editions: Sequence[Edition] = ("iso15118-2", "iso15118-20"),
    plain: bool = True,
    tolerate: Collection[str] = (),
) -> StationSecurity:
    """What a station offers: of `editions` those that the folder has a chain for.

    `plain` also takes connections without TLS. Raises ``pki.missing`` if it has a chain for none of them.
    """
    found = {edition: credentials.identities.get(edition, ()) for edition in editions}
    if not any(found.values()):
        credentials.of(editions[0])
    mutual = [edition for edition in editions if RULES[edition].mutual]
    return StationSecurity(
        {edition: [_identity(one, clock.now) for one in some] for edition, some in found.items() if some},
        _vehicle_judge(credentials, catalogue, clock.now, mutual, tolerate),
        tuple(dict.fromkeys((*credentials.roots.oem, *credentials.roots.v2g))),
        tuple(edition for edition in RULES if found.get(edition)),
        plain,
    )


def vehicle_security(
    credentials: VehicleCredentials,
    *,
    catalogue: Catalogue,
    clock: Clock,
    editions: Sequence[Edition],
    staple_policy: StaplePolicy = "require-leaf",
    tolerate: Collection[str] = (),
) -> VehicleSecurity:
    """What a vehicle offers for these editions. Raises ``pki.missing`` if one of them needs a certificate of its own
    that the folder has not."""
    mutual = [edition for edition in editions if RULES[edition].mutual]
    return VehicleSecurity(
        _station_judge(credentials, catalogue, clock.now, editions, staple_policy=staple_policy, tolerate=tolerate),
        credentials.roots.v2g,
        _identity(credentials.tls(mutual[0]), clock.now) if mutual else None,
        staple_policy,
        tuple(editions),
    )


def _identity(one: Credential, now: Callable[[], datetime]) -> TLSIdentity:
    return TLSIdentity(one.chain, one.private_key, one.root, lambda: one.staple(now()))


def _vehicle_judge(
    credentials: StationCredentials,
    catalogue: Catalogue,
    now: Callable[[], datetime],
    editions: Sequence[Edition],
    tolerate: Collection[str],
) -> JudgeVehicle:
    remembered, known = Remembered(), Anchors(catalogue, credentials.roots, editions)

    def verdict(chain: Chain) -> None:
        edition = edition_of(chain, editions or ["iso15118-20"])
        vehicle_judge(
            catalogue,
            known.of(edition),
            now,
            editions=[edition],
            role="oem" if edition == "lab-ecog-20" else "vehicle",
            crls=credentials.crls,
            ocsps=credentials.answers(chain),
            tolerate=tolerate,
            remembered=remembered,
        )(chain)

    return verdict


def _station_judge(
    credentials: VehicleCredentials,
    catalogue: Catalogue,
    now: Callable[[], datetime],
    editions: Sequence[Edition],
    *,
    staple_policy: StaplePolicy,
    tolerate: Collection[str],
) -> JudgeStation:
    remembered, known = Remembered(), Anchors(catalogue, credentials.roots, editions)

    def verdict(chain: Chain, staple: bytes | None) -> None:
        edition = edition_of(chain, editions)
        station_judge(
            catalogue,
            known.of(edition),
            now,
            editions=[edition],
            staple_policy=staple_policy,
            crls=credentials.crls,
            ocsps=credentials.answers(chain),
            tolerate=tolerate,
            remembered=remembered,
        )(chain, staple)

    return verdict
