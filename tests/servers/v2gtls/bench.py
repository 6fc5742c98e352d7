"""Chains of every kind for TLS, and two ends that meet over the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import (
    Edition,
    Limits,
    Link,
    StaplePolicy,
    StationSecurity,
    TLSIdentity,
    VehicleSecurity,
    accept,
    connect,
)
from v2gpki.servers.v2gtls.judging import station_judge, vehicle_judge
from v2gpki.services.ocsp import staples
from v2gpki.services.trust import TrustAnchor
from v2gpki.wiring.ocsp import ocsp_responder

#: The moment at which chains are judged, and how long an expired one was valid.
TODAY = BIRTH + timedelta(hours=2)
SHORT = timedelta(hours=1)
_IDS = {
    "secc": "DE*ABC*E45B*78C",
    "vehicle": "WABV1234567890ABCDEX",
    "oem": "WAB12345678901234",
    "contract": "DE-ABC-C12345678",
}


class Pki:
    """A home with every edition that has TLS, and what is issued from it; ``identity`` makes a fresh leaf each time."""

    def __init__(self, folder: Path) -> None:
        with v2gpki.open_authority(
            folder, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(BIRTH), caller="test"
        ) as ca:
            ca.initialise(ca.plan(["iso15118-2", "iso15118-20", "lab-ecog-20"]), org="Acme")
        self.ca = v2gpki.open_authority(folder, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test")
        self.catalogue = self.ca.catalogue

    def identity(
        self,
        role: str,
        edition: Edition,
        suite: str | None = None,
        *,
        expired: bool = False,
        revoked: bool = False,
        stapled: bool = True,
    ) -> TLSIdentity:
        """A leaf of this role with its chain; an ``expired`` one was valid for an hour."""
        issued = self.ca.issue(
            role,
            id=_IDS.get(role),
            edition=edition,
            suite=suite,
            not_after=BIRTH + SHORT if expired else None,
        )
        assert issued.private_key is not None
        if revoked:
            self.ca.revoke(f"{issued.record.serial:x}")
        root = self.ca.authority(issued.record.issuer_id).chain[-1]
        staple = self.staples(issued.chain, root)[0] if stapled and not expired else None
        return TLSIdentity(tuple(issued.chain), issued.private_key, root, lambda: staple)

    def staples(self, chain: Sequence[bytes], root: bytes) -> list[bytes]:
        """OCSP responses for every certificate of a chain, leaf first."""
        responder = ocsp_responder(self.ca)
        found = staples(chain, lambda asked: responder.answer(asked.request, BIRTH), anchors=[root])
        return [one.der for one in found]

    def crls(self, identity: TLSIdentity) -> list[bytes]:
        """The CRLs of every issuer in a chain."""
        issuers = {record.der: record for record in self.ca.store.authorities()}
        above = [*identity.chain[1:], *([identity.root] if identity.root else ())]
        return [self.ca.publish_crl(issuers[der].slug).der for der in above]

    def roots(self, *roles: str) -> list[TrustAnchor]:
        """The roots of these roles, in every edition and family."""
        return [
            TrustAnchor(record.der, record.role) for record in self.ca.store.authorities() if record.role in roles
        ]

    def station(self, *identities: tuple[Edition, TLSIdentity], **more: object) -> StationSecurity:
        """A station that takes vehicles under the OEM and V2G roots."""
        by_edition: dict[Edition, list[TLSIdentity]] = {}
        for edition, identity in identities:
            by_edition.setdefault(edition, []).append(identity)
        trusted = self.roots("oem-root", "v2g-root")
        judge = vehicle_judge(self.catalogue, trusted, today)
        return StationSecurity(by_edition, judge, [root.der for root in trusted], **more)  # type: ignore[arg-type]

    def vehicle(
        self,
        *editions: Edition,
        identity: TLSIdentity | None = None,
        roots: Sequence[TrustAnchor] | None = None,
        policy: StaplePolicy = "require-leaf",
        evidence: Sequence[bytes] = (),
        now: Callable[[], datetime] | None = None,
    ) -> VehicleSecurity:
        """A vehicle that trusts the V2G roots."""
        trusted = self.roots("v2g-root") if roots is None else list(roots)
        judge = station_judge(
            self.catalogue, trusted, now or today, editions=editions, staple_policy=policy, ocsps=evidence
        )
        return VehicleSecurity(judge, [root.der for root in trusted], identity, policy, editions)


def today() -> datetime:
    """The moment of every verdict."""
    return TODAY


@dataclass
class End:
    """How one end fared: its link, or the refusal; what it received."""

    link: Link | None = None
    problem: V2GPKIError | None = None
    received: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The code of the refusal, "" when there was none."""
        return self.problem.code if self.problem else ""

    @property
    def alert(self) -> object:
        """The alert that was sent or came."""
        return self.problem.facts.get("alert") if self.problem else None


#: Ends of failed connections need not wait long for each other.
QUICK = Limits(handshake=5.0, idle=5.0, close=0.2)


async def play_station(
    end: End,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    security: StationSecurity | None,
    limits: Limits,
) -> None:
    """Accept, answer one piece with itself, and end."""
    try:
        end.link = await accept(reader, writer, security, keylog=end.keys.append, limits=limits)
        try:
            end.received.append(await end.link.receive())
            await end.link.send(end.received[0])
            end.received.append(await end.link.receive())
        finally:
            await end.link.close()
    except V2GPKIError as problem:
        end.problem = problem


async def play_vehicle(
    end: End, port: int, security: VehicleSecurity | None, limits: Limits, *, says: bytes = b"\x01charge"
) -> None:
    """Connect, say something, and hear it back."""
    try:
        end.link = await connect(("::1", port), security, keylog=end.keys.append, limits=limits)
        try:
            await end.link.send(says)
            end.received.append(await end.link.receive())
        finally:
            await end.link.close()
    except V2GPKIError as problem:
        end.problem = problem


async def _meet(
    station: StationSecurity | None, vehicle: VehicleSecurity | None, limits: Limits
) -> tuple[End, End]:
    ends = End(), End()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await play_station(ends[0], reader, writer, station, limits)
        over.set()

    async with await asyncio.start_server(serve, "::1", 0) as server:
        await play_vehicle(ends[1], server.sockets[0].getsockname()[1], vehicle, limits)
        await over.wait()
    return ends


def meet(
    station: StationSecurity | None, vehicle: VehicleSecurity | None, *, limits: Limits = QUICK
) -> tuple[End, End]:
    """Both ends after one connection: the station's, the vehicle's."""
    return asyncio.run(_meet(station, vehicle, limits))
