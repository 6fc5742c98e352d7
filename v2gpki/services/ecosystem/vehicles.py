"""The provisioning pool for parties: manufacturers publish and take back, mobility operators look up.

A vehicle belongs to the party that its WMI is bound to. What is delivered is judged anew: a certificate that was
revoked since, or whose root is trusted no more, is not handed out. Deleting a vehicle ends its contracts, with the
certificates that this home issued for them. Sources: OPCP 1.0 pcp.v1, OPNC pcp.api.v1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.certs.path import validate
from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import Clock
from v2gpki.identifiers import parse
from v2gpki.pnc.installation.chains import common_name
from v2gpki.services.ecosystem.events import Publish, Told, event, of_contract
from v2gpki.services.ecosystem.names import namespace_of
from v2gpki.services.ecosystem.parties import Party, Role, admit_vehicle
from v2gpki.services.pools import ContractPool, ProvisioningPool, RootPool
from v2gpki.services.pools.provisioning_pool import unknown_vehicle
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.pool_records import Contract, PooledVehicle


@dataclass(frozen=True, slots=True)
class VehicleView:
    """A registered vehicle with the root that its chain ends in."""

    vehicle: PooledVehicle
    root: CertificateView
    namespace: str


class VehicleDesk:
    """The provisioning pool of one home, for whoever may ask."""

    def __init__(
        self,
        clock: Clock,
        *,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        roots: RootPool,
        trust: VehicleTrust,
        publish: Publish,
    ) -> None:
        self._vehicles = vehicles
        self._contracts = contracts
        self._roots = roots
        self._trust = trust
        self._clock = clock
        self._publish = publish

    def publish(
        self,
        party: Party,
        chain: Sequence[bytes],
        *,
        edition: str,
        v2g_roots: Sequence[bytes] = (),
        previous_pcid: str = "",
    ) -> VehicleView:
        """Register a provisioning certificate (leaf and Sub-CAs, DER); the same again changes nothing. Raises what
        ``ProvisioningPool.register`` raises."""
        party.require("oem")
        now = self._clock.now().replace(microsecond=0)
        done = self._vehicles.register(
            chain,
            edition=edition,
            owner=self._owner(party, chain[0]),
            v2g_roots=v2g_roots,
            previous_pcid=previous_pcid,
            at=now,
            caller=party.by,
        )
        if done.state in ("renewed", "updated"):
            self._tell("mo.prov.cert.updated", done.vehicle, self._active(done.vehicle.pcid))
        return self._seen(done.vehicle)

    def one(self, party: Party, pcid: str) -> VehicleView:
        """The provisioning certificate that was registered last for a PCID, judged as of now.

        Raises ``pool.unknown_vehicle``, ``path.*``, ``role.*``, ``identifier.invalid``.
        """
        party.require("mo", "oem")
        found = self._newest(party, pcid, beside=("mo",))
        self._trust.judge(
            found.chain, role="oem", edition=found.edition, at=self._clock.now().replace(microsecond=0), known=True
        )
        return self._seen(found)

    def look_up(self, party: Party, pcid: str) -> None:
        """Whether there is one; raises ``pool.unknown_vehicle``, ``identifier.invalid``."""
        party.require("mo", "oem")
        self._newest(party, pcid, beside=("mo",))

    def delete(self, party: Party, pcid: str) -> None:
        """Take a vehicle out of the pool with its contracts; certificates that this home issued for them are revoked.

        Raises ``pool.unknown_vehicle``, ``pool.foreign_wmi``, ``identifier.invalid``.
        """
        party.require("oem")
        found = self._newest(party, pcid)
        now = self._clock.now().replace(microsecond=0)
        owner = None if party.operator else party.owner
        deleted = self._vehicles.delete(found.pcid, owner=owner, revoke=True, at=now, caller=party.by)
        self._tell("mo.prov.cert.deleted", found, deleted.purged)
        for contract in deleted.purged:
            told = Told(contract.emaid, contract.pcid, namespace_of(found.edition))
            self._publish(of_contract("deleted", told, self._vehicles.owners, now))

    # -- steps ---------------------------------------------------------------------------------

    def _newest(self, party: Party, pcid: str, *, beside: tuple[Role, ...] = ()) -> PooledVehicle:
        plain = parse("pcid", pcid).parts["key"]
        admit_vehicle(self._vehicles.owners, party, plain, beside=beside)
        found = self._vehicles.find_all(plain)
        if not found:
            raise unknown_vehicle(plain)
        return found[-1]

    def _owner(self, party: Party, leaf: bytes) -> str:
        """In whose name a vehicle is registered: the operator of the pools acts for whoever owns its WMI."""
        bound = self._vehicles.owners.of("wmi", common_name(view(leaf))) if party.operator else None
        return party.owner if bound is None else bound.owner

    def _active(self, pcid: str) -> list[Contract]:
        return list(self._contracts.list(pcid=pcid, state="active"))

    def _seen(self, vehicle: PooledVehicle) -> VehicleView:
        now = self._clock.now().replace(microsecond=0)
        anchors = [entry.der for entry in self._roots.list() if entry.decision == "trusted"]
        root = validate(vehicle.chain, anchors, at=now).certificates[-1]
        return VehicleView(vehicle, view(root), namespace_of(vehicle.edition))

    def _tell(self, name: str, vehicle: PooledVehicle, contracts: Sequence[Contract]) -> None:
        """Every mobility operator that has contracts with a vehicle, once for each."""
        now = self._clock.now()
        namespace = namespace_of(vehicle.edition)
        events = []
        for contract in contracts:
            bound = self._vehicles.owners.of("mo", contract.emaid)
            payload = Told(contract.emaid, contract.pcid, namespace).payload()
            events.append(event(name, now, payload, namespace, "" if bound is None else bound.owner))
        self._publish(events)
