"""What a station and a vehicle of a lab have, minted by a home as it is needed: nothing of it is kept but certificates.

Every leaf is issued by the one issuance path, for a key that lives as long as the process. Revocation is asked of the
home at every use, so a certificate that is revoked meanwhile is refused by the next handshake; staples are as fresh. A
vehicle is registered and has a contract that it can install. Needs the home unlocked, and open as long as the
credentials are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from v2gpki.errors import V2GPKIError
from v2gpki.pnc.algorithms import Edition
from v2gpki.wiring.credentials import Credential, Holder, Roots, StationCredentials, VehicleCredentials

if TYPE_CHECKING:
    from v2gpki.keys.signer import Signer
    from v2gpki.wiring.authority import CertificateAuthority

#: How long a contract runs that is made for a lab's vehicle.
CONTRACT_LASTS = timedelta(days=365)
_ROOT_USES: Mapping[str, str] = {"v2g-root": "v2g", "mo-root": "mo", "oem-root": "oem", "private-root": "private"}


@dataclass(frozen=True, slots=True)
class LabVehicle:
    """Who a lab's vehicle is: PCID of its provisioning certificate, EVCCID of its vehicle certificate (-20), EMAID of
    its contract."""

    pcid: str = "WAB00000000000001"
    evccid: str = "WABV0000000000000001"
    emaid: str = "DEABCC00000001"


def station_of_home(
    ca: CertificateAuthority, *, editions: Sequence[Edition], evse_id: str = "DE*ABC*E00001"
) -> StationCredentials:
    """A station with a fresh SECC leaf for each edition, in each key family that the home has.

    It trusts the home's roots, and signs tariffs by the home's MO Sub-CA 2. Raises ``home.locked``,
    ``authority.unknown_issuer``, ``identifier.invalid``.
    """
    identities = {edition: _issued(ca, "secc", evse_id, edition) for edition in editions}
    return StationCredentials(
        _roots(ca),
        str(ca.home),
        (),
        lambda chain: _answers(ca, chain),
        identities=identities,
        mo_sub_ca_2=_mo_sub_ca_2(ca, editions),
    )


def vehicle_of_home(
    ca: CertificateAuthority,
    *,
    editions: Sequence[Edition],
    who: LabVehicle | None = None,
    suite: str = "",
    paying: bool = True,
    installable: bool = True,
    contracts_folder: Path | None = None,
) -> VehicleCredentials:
    """A vehicle with fresh certificates for each edition, in the key family ``suite`` where the edition has it.

    With ``paying`` it has a contract certificate; with ``installable`` it is registered and has a contract in the
    pool, so that it can have one installed. Raises ``home.locked``, ``authority.unknown_issuer``, ``pool.*``,
    ``contract.*``, ``identifier.invalid``.
    """
    who = who or LabVehicle()
    oem: dict[Edition, tuple[Credential, ...]] = {}
    vehicle: dict[Edition, tuple[Credential, ...]] = {}
    contracts: dict[Edition, tuple[Credential, ...]] = {}
    for edition in editions:
        known = ca.catalogue.suites(edition, "oem")
        chosen = suite if suite in known else known[0]
        oem[edition] = (_one(ca, "oem", who.pcid, edition, chosen, register=installable),)
        if "vehicle" in ca.catalogue.roles(edition):
            vehicle[edition] = (_one(ca, "vehicle", who.evccid, edition, chosen),)
        if paying:
            contracts[edition] = (_one(ca, "contract", who.emaid, edition, chosen),)
    if installable:
        _contract(ca, who)
    return VehicleCredentials(
        _roots(ca),
        str(ca.home),
        (),
        lambda chain: _answers(ca, chain),
        oem=oem,
        contracts=contracts,
        vehicle=vehicle,
        contracts_folder=contracts_folder,
    )


def _issued(ca: CertificateAuthority, holder: Holder, identifier: str, edition: Edition) -> tuple[Credential, ...]:
    """A leaf in each family for which the home has an issuer; at least one."""
    found, lacking = [], None
    for suite in ca.catalogue.suites(edition, holder):
        try:
            found.append(_one(ca, holder, identifier, edition, suite))
        except V2GPKIError as problem:
            if problem.code != "authority.unknown_issuer":
                raise
            lacking = lacking or problem
    if not found and lacking is not None:
        raise lacking
    return tuple(found)


def _one(
    ca: CertificateAuthority, holder: Holder, identifier: str, edition: Edition, suite: str, *, register: bool = False
) -> Credential:
    issued = ca.issue(holder, id=identifier, edition=edition, suite=suite)
    if issued.private_key is None:  # asked for without a key of ours, so one was made
        raise RuntimeError("a certificate was issued without the key that was to be made")
    if register:
        ca.plug_and_charge.oem.register(issued, accept_other_root=True, caller=ca.caller)
    issuer = ca.authority(issued.record.issuer_id)
    return Credential(
        edition,
        holder,
        issued.chain,
        issued.private_key,
        (issuer.der, *issuer.chain)[-1],
        issued.record.identifier if holder == "contract" else "",
        str(ca.home),
        lambda chain: _answers(ca, chain),
    )


def _answers(ca: CertificateAuthority, chain: Sequence[bytes]) -> Sequence[bytes]:
    """What the home says about a chain of its own; nothing about others'."""
    try:
        return [one.der for one in ca.staples(chain)]
    except V2GPKIError as problem:
        if problem.code.startswith(("ocsp.", "chain.")):
            return ()
        raise


def _roots(ca: CertificateAuthority) -> Roots:
    by_use: dict[str, tuple[bytes, ...]] = dict.fromkeys(_ROOT_USES.values(), ())
    for record in ca.store.authorities():
        use = _ROOT_USES.get(record.role)
        if use is not None and record.state == "active":
            by_use[use] += (record.der,)
    return Roots(**by_use)


def _mo_sub_ca_2(ca: CertificateAuthority, editions: Sequence[Edition]) -> Signer | None:
    """Who signs as the newest MO Sub-CA 2 of the first edition that has one here."""
    for edition in editions:
        for record in reversed(ca.store.authorities(edition=edition, role="mo-sub-ca-2")):
            if record.state == "active" and record.key_id and ca.vault is not None:
                return ca.vault.signer(record.key_id)
    return None


def _contract(ca: CertificateAuthority, who: LabVehicle) -> None:
    """A contract in the pool for the vehicle, unless it has one."""
    now = ca.clock.now().replace(microsecond=0)
    try:
        ca.plug_and_charge.contracts.create(
            who.emaid, who.pcid, now, now + CONTRACT_LASTS, at=now, caller=ca.caller
        )
    except V2GPKIError as problem:
        if problem.code != "contract.exists":
            raise
