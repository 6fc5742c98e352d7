"""The ecosystem of one opened home: its pools joined behind the desks that parties talk to."""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.services.ecosystem import ContractDesk, Publish, RootDesk, VehicleDesk, unheard
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.wiring.authority import CertificateAuthority


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """The desks of one home."""

    roots: RootDesk
    vehicles: VehicleDesk
    contracts: ContractDesk


def ecosystem_of(ca: CertificateAuthority, *, publish: Publish = unheard) -> Ecosystem:
    """The desks of an opened home; what signs or writes needs it unlocked. ``publish`` hears what happens."""
    pnc = ca.plug_and_charge
    trust = VehicleTrust(ca.store, ca.catalogue, pnc.roots)
    return Ecosystem(
        roots=RootDesk(pnc.roots, ca.clock, publish),
        vehicles=VehicleDesk(
            ca.clock, vehicles=pnc.vehicles, contracts=pnc.contracts, roots=pnc.roots, trust=trust, publish=publish
        ),
        contracts=ContractDesk(
            ca.store,
            ca.clock,
            vehicles=pnc.vehicles,
            contracts=pnc.contracts,
            cps=pnc.cps,
            bundles=pnc.bundles_with(),
            provisioning=pnc.provisioning,
            publish=publish,
        ),
    )
