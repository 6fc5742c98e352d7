"""The ecosystem of one opened home: its pools joined behind the desks that parties talk to."""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.services.ecosystem import (
    ContractDesk,
    CpsDesk,
    ForeignContracts,
    Publish,
    RevocationDesk,
    RootDesk,
    VehicleDesk,
    unheard,
)
from v2gpki.services.pools.writing import Writing
from v2gpki.services.standing import Standing
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.records import CertificateRecord
from v2gpki.wiring.authority import CertificateAuthority


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """The desks of one home."""

    roots: RootDesk
    vehicles: VehicleDesk
    contracts: ContractDesk
    cps: CpsDesk
    revocation: RevocationDesk


def ecosystem_of(ca: CertificateAuthority, *, publish: Publish = unheard) -> Ecosystem:
    """The desks of an opened home; what signs or writes needs it unlocked. ``publish`` hears what happens."""
    pnc = ca.plug_and_charge
    trust = VehicleTrust(ca.store, ca.catalogue, pnc.roots, Standing(ca.store))
    bundles = pnc.bundles_with()
    contracts = ContractDesk(
        ca.store,
        ca.clock,
        roots=pnc.roots,
        vehicles=pnc.vehicles,
        contracts=pnc.contracts,
        cps=pnc.cps,
        bundles=bundles,
        provisioning=pnc.provisioning,
        publish=publish,
    )
    foreign = ForeignContracts(
        ca.store,
        ca.catalogue,
        ca.clock,
        roots=pnc.roots,
        vehicles=pnc.vehicles,
        contracts=pnc.contracts,
        trust=trust,
        writing=Writing(ca._seal, ca._require_unlocked),
    )
    return Ecosystem(
        roots=RootDesk(pnc.roots, ca.clock, publish),
        vehicles=VehicleDesk(
            ca.clock, vehicles=pnc.vehicles, contracts=pnc.contracts, roots=pnc.roots, trust=trust, publish=publish
        ),
        contracts=contracts,
        cps=CpsDesk(
            ca.store,
            ca.catalogue,
            ca.clock,
            vehicles=pnc.vehicles,
            contracts=pnc.contracts,
            mo=pnc.mo,
            cps=pnc.cps,
            bundles=bundles,
            foreign=foreign,
            desk=contracts,
        ),
        revocation=RevocationDesk(ca.store, pnc.vehicles.owners, lambda *asked: _revoke(ca, *asked)),
    )


def _revoke(ca: CertificateAuthority, issuer_id: str, serial: int, reason: str, caller: str) -> CertificateRecord:
    if ca.locked:
        raise V2GPKIError("home.locked", f"the keys of {ca.home} are locked: this needs the passphrase")
    revoked = ca._revocation().revoke(issuer_id, serial, reason, caller=caller)
    ca._seal()
    return revoked
