"""OEM: provisioning certificates of this home, issued and registered in one go.

A certificate that was issued here is registered like any other: by its chain, under the pool's rules. Whether the
registering party may have the PCID is asked before anything is issued. Only end-entity certificates of the OEM
branch are taken. Clauses: [V2G2-933], [V2G20-2342].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.services.issuance import Issuance, Issued, Order
from v2gpki.services.pools import ProvisioningPool, Registered
from v2gpki.services.routing import Route, Routing


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A vehicle's certificate with its private key, if one was made, and its place in the pool."""

    issued: Issued
    registered: Registered


class OemService:
    """A manufacturer's service of one home."""

    def __init__(
        self, routing: Routing, issuance: Callable[[], Issuance], vehicles: ProvisioningPool, clock: Clock
    ) -> None:
        """``issuance`` gives the one issuance path; it is asked for only when something is issued."""
        self._routing = routing
        self._issuance = issuance
        self._vehicles = vehicles
        self._clock = clock

    def takes(self, edition: str, role: str) -> bool:
        """Whether certificates of this role are provisioning certificates, to be registered."""
        return role in self._vehicles.roles(edition)

    def admit(self, edition: str, role: str, pcid: str, *, owner: str = "") -> None:
        """Whether such a certificate could be registered, as far as that is known before it is issued.

        Raises ``pool.not_provisioning``, ``pool.foreign_wmi``, ``pool.unbound_wmi``, ``identifier.invalid``.
        """
        self._require_provisioning(edition, role)
        self._vehicles.admit(pcid, owner)

    def admit_order(
        self,
        role: str,
        pcid: str,
        *,
        edition: str | None = None,
        suite: str | None = None,
        issuer: str = "",
        owner: str = "",
        accept_other_root: bool = False,
    ) -> Route:
        """Like ``admit``, for a certificate that is to be issued: the way that it takes, if it could be registered.

        Raises ``pool.other_root`` too, and what finding the issuer raises.
        """
        route = self._routing.route(role, edition=edition, suite=suite, issuer=issuer)
        profile = route.profile
        self.admit(profile.edition, role, pcid, owner=owner)
        self._vehicles.admit_below(
            route.issuer_id, pcid, profile.edition, profile.key.suite, accept_other_root=accept_other_root
        )
        return route

    def register(
        self,
        issued: Issued,
        *,
        owner: str = "",
        v2g_roots: Sequence[bytes] = (),
        previous_pcid: str = "",
        accept_other_root: bool = False,
        caller: str,
    ) -> Registered:
        """Register a certificate that this home issued; raises ``pool.not_provisioning`` and what the pool raises."""
        record = issued.record
        self._require_provisioning(record.edition, record.role)
        return self._vehicles.register(
            issued.chain,
            edition=record.edition,
            owner=owner,
            v2g_roots=v2g_roots,
            previous_pcid=previous_pcid,
            accept_other_root=accept_other_root,
            at=self._clock.now().replace(microsecond=0),
            caller=caller,
        )

    def issue_and_register(
        self,
        pcid: str,
        *,
        edition: str | None = None,
        suite: str | None = None,
        role: str = "oem",
        issuer: str = "",
        spki: bytes | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        idempotence_key: str = "",
        owner: str = "",
        v2g_roots: Sequence[bytes] = (),
        previous_pcid: str = "",
        accept_other_root: bool = False,
        caller: str,
    ) -> Provisioned:
        """Issue a provisioning certificate for a PCID and register it.

        ``spki`` None makes a fresh key, which is handed out in the answer and kept nowhere. Nothing is issued when the
        party may not register this PCID. Killed between the two, the certificate is in the store; the same
        ``idempotence_key`` gives it again and registers it. Raises what issuing and registering raise.
        """
        route = self.admit_order(
            role,
            pcid,
            edition=edition,
            suite=suite,
            issuer=issuer,
            owner=owner,
            accept_other_root=accept_other_root,
        )
        order = Order(
            route.profile,
            route.issuer_id,
            route.constants,
            identifier=parse("pcid", pcid),
            spki=spki,
            not_before=not_before,
            not_after=not_after,
            idempotence_key=idempotence_key,
        )
        issued = self._issuance().issue([order], caller=caller)[0]
        registered = self.register(
            issued,
            owner=owner,
            v2g_roots=v2g_roots,
            previous_pcid=previous_pcid,
            accept_other_root=accept_other_root,
            caller=caller,
        )
        return Provisioned(issued, registered)

    def _require_provisioning(self, edition: str, role: str) -> None:
        if self.takes(edition, role):
            return
        known = self._vehicles.roles(edition)
        raise V2GPKIError(
            "pool.not_provisioning",
            f"{role} of {edition} is no provisioning certificate, so it is not registered",
            hint=f"registered are: {', '.join(known)}" if known else "this edition has no vehicles",
            clause="[V2G2-933]",
            facts={"edition": edition, "role": role},
        )
