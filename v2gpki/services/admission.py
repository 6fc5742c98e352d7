"""Whether a vehicle that asks may be served, and for which of its keys a contract is wrapped.

In this order: the request's signature, the vehicle's chain (path, role, validity, revocation), its registration; for
an update that the certificate which it shows was issued for the contract that it names. Nothing is written here.
Clauses: ISO 15118-2 8.4.3.10 and 8.4.3.11, [V2G2-885], [V2G2-933]; ISO 15118-20 8.3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import recognise
from v2gpki.pnc import installation
from v2gpki.pnc.installation import Request
from v2gpki.pnc.installation.chains import common_name
from v2gpki.pnc.signature import SignatureCheck
from v2gpki.services.mo import require_current
from v2gpki.services.policy import Policy
from v2gpki.services.pools import ProvisioningPool
from v2gpki.services.recipients import Recipient, recipient_of
from v2gpki.services.standing import Standing
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.protocol import Store


class Admission:
    """Looks at requests before anything is made for them."""

    def __init__(
        self, store: Store, vehicles: ProvisioningPool, trust: VehicleTrust, standing: Standing, policy: Policy
    ) -> None:
        self._pools = store.pools
        self._vehicles = vehicles
        self._trust = trust
        self._standing = standing
        self._policy = policy

    def signed(self, request: Request) -> SignatureCheck:
        """The signature of a request, checked: it comes before every look-up, and needs none.

        Raises ``signature.*``, ``key.*``, ``chain.malformed``, ``installation.*``, ``identifier.invalid``.
        """
        return installation.verify_request(request)

    def recipient(
        self, request: Request, _signed: SignatureCheck, crls: Sequence[bytes], ocsps: Sequence[bytes], now: datetime
    ) -> Recipient:
        """The key to wrap for, when the vehicle may be served; nobody gets that far without ``signed``.

        Raises ``path.*``, ``role.*``, ``provisioning.unknown_vehicle``, ``provisioning.certificate_differs``,
        ``provisioning.unknown_contract``, ``contract.ended``.
        """
        if request.action == "update":
            return self._of_update(request, crls, ocsps, now)
        return self._of_installation(request, crls, ocsps, now)

    def _of_installation(
        self, request: Request, crls: Sequence[bytes], ocsps: Sequence[bytes], now: datetime
    ) -> Recipient:
        pcid = _pcid(request.leaf)
        recipient = recipient_of(request.edition, pcid, request.leaf)
        vehicle = self._vehicles.find(pcid, request.edition, recipient.suite) if pcid else None
        registered = vehicle is not None and vehicle.chain[0] == request.leaf
        # -2 carries the leaf alone; the pool knows what stands above it.
        chain, alone = request.chain, request.edition == "iso15118-2"
        if alone and vehicle is not None:
            if not registered and len(vehicle.chain) > 1 and not view(vehicle.chain[1]).named_by(view(request.leaf)):
                self._require_unclaimed(request, pcid)
            chain = (request.leaf, *vehicle.chain[1:])
        self._trust.judge(
            chain,
            role="oem",
            edition=request.edition,
            at=now,
            crls=crls,
            ocsps=ocsps,
            require_evidence=self._policy.require_evidence,
            known=registered and vehicle is not None and chain == vehicle.chain,
            complete=alone and vehicle is None,
        )
        if registered:
            return replace(recipient, registered=True)
        self._require_unclaimed(request, pcid)
        return recipient

    def _require_unclaimed(self, request: Request, pcid: str) -> None:
        """A vehicle that is not registered with this certificate: whether policy serves it, and nobody else is it."""
        rows = list(self._vehicles.list(pcid=pcid)) if pcid else []
        if rows:
            raise V2GPKIError(
                "provisioning.certificate_differs",
                f"the vehicle {pcid} asks with another provisioning certificate than the registered one",
                hint="the OEM registers the new one: v2gpki pcp register --chain FILE",
                clause="ISO 15118-2 8.4.3.10",
                facts={"pcid": pcid, "registered": rows[0].fingerprint.hex(), "edition": rows[0].edition},
            )
        owner = self._vehicles.owners.of("wmi", pcid) if pcid else None
        if self._policy.unregistered == "refuse" or not pcid or (owner is not None and owner.owner):
            name = common_name(view(request.leaf))
            raise V2GPKIError(
                "provisioning.unknown_vehicle",
                f"no vehicle with the PCID {pcid or name!r} is registered for {request.edition}",
                hint="the OEM registers it: v2gpki pcp register --chain FILE",
                clause="ISO 15118-2 8.4.3.10",
                facts={"pcid": pcid, "edition": request.edition},
            )

    def _of_update(
        self, request: Request, crls: Sequence[bytes], ocsps: Sequence[bytes], now: datetime
    ) -> Recipient:
        """A vehicle that shows the contract that it has; the successor's key is wrapped for that one's."""
        contract = self._pools.contract_of(request.emaid)
        record = self._standing.issued(request.leaf)
        of_contract = (
            contract is not None
            and record is not None
            and (record.issuer_id, record.serial) in self._pools.certificates_of(contract.id)
        )
        if contract is not None and of_contract:
            # Its certificates are revoked with a contract; that it has ended is the better answer.
            require_current(contract, now)
        self._trust.judge(
            request.chain,
            role="contract",
            edition=request.edition,
            at=now,
            crls=crls,
            ocsps=ocsps,
            require_evidence=self._policy.require_evidence,
        )
        if contract is None or not of_contract:
            raise V2GPKIError(
                "provisioning.unknown_contract",
                f"the certificate that the vehicle shows belongs to no contract of {request.emaid} that runs here",
                hint="v2gpki contract list shows the contracts",
                clause="ISO 15118-2 8.4.3.11",
                facts={"emaid": request.emaid},
            )
        for vehicle in self._vehicles.list(pcid=contract.pcid, edition=request.edition):
            self._standing.require(vehicle.chain)
        return recipient_of(request.edition, contract.pcid, request.leaf)


def _pcid(certificate: bytes) -> str:
    """The PCID of a provisioning certificate as the pools keep it (capitals), "" when its common name is none."""
    try:
        return recognise(["pcid"], common_name(view(certificate))).parts["key"]
    except V2GPKIError:
        return ""
