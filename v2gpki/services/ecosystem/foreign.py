"""Signed contract data of another house taken into the pool, and contract data of another house signed here.

A mobility operator with a PKI of its own makes key and certificate and wraps the key for the vehicle; our CPS, or
another one, signs. Nothing is taken on trust: the signature must hold, the CPS must stand under a V2G root of the pool,
the contract chain under a root that the pool trusts for contracts, names and identifiers must agree, and the vehicle
must be registered. Whether the wrapped key opens, only the vehicle can tell.
Sources: OPCP 1.0 cps.v1 and ccp.v1, OPNC cps.api.v1 and ccp.api.v1; [V2G2-884], [V2G2-925].
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.envelope import Curve, Sealed
from v2gpki.pnc.installation import ContractData, SignedContract, kept
from v2gpki.pnc.installation.chains import check_order, check_sizes, common_name
from v2gpki.profile.load import Catalogue
from v2gpki.services.ecosystem.parties import Party, admit_contract
from v2gpki.services.pools import ELSEWHERE, ContractPool, ProvisioningPool, RootPool
from v2gpki.services.pools.provisioning_pool import unknown_vehicle
from v2gpki.services.pools.writing import Writing
from v2gpki.services.recipients import Recipient, recipient_of
from v2gpki.services.trust import judge
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.pool_records import Bundle, Contract
from v2gpki.store.protocol import Store

#: Octets of the encrypted key -> the envelope that has them; in -2 there is one.
_CURVES: dict[int, Curve] = {94: "SECP521", 84: "X448", 206: "TPM"}


@dataclass(frozen=True, slots=True)
class Taken:
    """Foreign signed contract data as it stands in the pool; ``state`` is what became of it."""

    contract: Contract
    bundle: Bundle
    state: str


class ForeignContracts:
    """Takes in what other houses made."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        *,
        roots: RootPool,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        trust: VehicleTrust,
        writing: Writing,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._roots = roots
        self._vehicles = vehicles
        self._contracts = contracts
        self._trust = trust
        self._writing = writing

    def checked(
        self, party: Party, edition: Edition, chain: Sequence[bytes], *, dh_public_key: bytes, encrypted_key: bytes
    ) -> ContractData:
        """Contract data that may be signed: sizes, order, point, chain, and an EMAID that the party may act for.

        Raises ``installation.*``, ``envelope.*``, ``chain.*``, ``path.*``, ``role.*``, ``identifier.invalid``,
        ``ecosystem.foreign_identifier``.
        """
        check_sizes(edition, chain, "contract")
        check_order(chain, "contract")
        emaid = parse("emaid", common_name(view(chain[0]))).normal
        admit_contract(self._vehicles.owners, party, emaid)
        curve: Curve = "P256" if edition == "iso15118-2" else _CURVES.get(len(encrypted_key), "SECP521")
        sealed = Sealed(curve, dh_public_key, encrypted_key)
        _check_point(sealed)
        self._judge(edition, chain)
        return ContractData(edition, tuple(chain), sealed, emaid)

    def take_in(self, party: Party, signed: SignedContract, pcid: str, *, emaid: str = "") -> Taken:
        """Keep signed contract data for a registered vehicle; the same again changes nothing.

        ``emaid`` not empty must be that of the certificate. A contract of the same EMAID and vehicle gets the new data
        in place of the old. Raises ``contract.exists`` when the EMAID is another vehicle's, or its contract is issued
        by this home, ``pool.unknown_vehicle``, and everything that is wrong with signature and chains.
        """
        now = self._clock.now().replace(microsecond=0)
        exi = kept(signed)
        response = installation.read_response(exi)
        root: list[bytes] = []
        verified = installation.verify_response(
            response, trust=lambda chain: root.append(self._judge_cps(signed.edition, chain)), emaid=emaid
        )
        if party.roles != {"cps"}:
            # A CPS stores for every mobility operator; whoever may be one itself, for itself.
            admit_contract(self._vehicles.owners, party, verified.emaid)
        self._judge(signed.edition, verified.data.chain)
        plain = parse("pcid", pcid).parts["key"]
        vehicle = self._vehicles.find(plain, signed.edition)
        if vehicle is None:
            raise unknown_vehicle(plain, signed.edition)
        recipient = recipient_of(signed.edition, plain, vehicle.chain[0])
        contract, state = self._contract(party, verified.emaid, plain, verified.data.chain[0], now)
        bundle = self._bundle(contract, recipient, signed, root[0], now)
        ready = self._store.pools.ready_bundle(
            contract.id,
            edition=bundle.edition,
            suite=bundle.suite,
            receiver=bundle.receiver,
            v2g_root=bundle.v2g_root,
        )
        if ready is not None and ready.exi == bundle.exi:
            return Taken(contract, ready, "unchanged")
        bundle = replace(bundle, replaces="" if ready is None else ready.id)
        with self._writing():
            self._store.pools.add_bundle(bundle, party.by)
        return Taken(contract, bundle, state)

    # -- steps ---------------------------------------------------------------------------------

    def _judge(self, edition: Edition, chain: Sequence[bytes]) -> None:
        now = self._clock.now().replace(microsecond=0)
        self._trust.judge(chain, role="contract", edition=edition, at=now)

    def _judge_cps(self, edition: Edition, chain: tuple[bytes, ...]) -> bytes:
        """The SHA-256 of the V2G root above a CPS chain that is good."""
        now = self._clock.now().replace(microsecond=0)
        trusted = judge(
            chain,
            self._roots.trusted(self._catalogue.profile(edition, "cps", None).anchors, edition),
            catalogue=self._catalogue,
            role="cps",
            edition=edition,
            at=now,
        )
        return view(trusted.path.certificates[-1]).fingerprint

    def _contract(self, party: Party, emaid: str, pcid: str, leaf: bytes, now: datetime) -> tuple[Contract, str]:
        """The contract that the data belong to: the active one of the EMAID, or a new one as long as the
        certificate; one that ends otherwise is ended and followed by a new one."""
        ends = view(leaf).not_after
        present = self._store.pools.contract_of(emaid)
        state = "created"
        if present is not None and present.state == "active":
            if present.pcid != pcid or present.issuer != ELSEWHERE:
                raise taken(present, pcid)
            if present.ends == ends:
                return present, "updated"
            self._contracts.end(present.id, "superseded", at=now, caller=party.by)
            state = "updated"
        begins = view(leaf).not_before
        was_default = state == "updated" and present is not None and present.default
        made = self._contracts.create(
            emaid, pcid, begins, ends, default=was_default, issuer=ELSEWHERE, at=now, caller=party.by
        )
        return made, state

    def _bundle(
        self, contract: Contract, recipient: Recipient, signed: SignedContract, root: bytes, now: datetime
    ) -> Bundle:
        leaf = view(signed.data.chain[0])
        # A certificate that this home issued, over EST perhaps, is known here with its revocation.
        record = self._store.certificate_by_fingerprint(leaf.fingerprint)
        return Bundle(
            id=os.urandom(16).hex(),
            contract_id=contract.id,
            emaid=contract.emaid,
            pcid=contract.pcid,
            edition=recipient.edition,
            suite=recipient.suite,
            receiver=recipient.receiver,
            v2g_root=root,
            issuer_id="" if record is None else record.issuer_id,
            serial=leaf.serial,
            exi=kept(signed),
            made_at=now,
            not_after=min(view(one).not_after for one in (*signed.data.chain, *signed.cps_chain)),
        )


def _check_point(sealed: Sealed) -> None:
    """Raise ``envelope.bad_point`` for a public key that is no point of its curve."""
    if sealed.curve not in ("P256", "SECP521"):
        return
    curve: ec.EllipticCurve = ec.SECP256R1() if sealed.curve == "P256" else ec.SECP521R1()
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(curve, sealed.dh_public_key)
    except ValueError as problem:
        raise V2GPKIError(
            "envelope.bad_point",
            f"the DH public key is no point of {sealed.curve}",
            hint="give the uncompressed point: 04, X, Y",
            clause="[V2G2-818], [V2G20-2494]",
            facts={"curve": sealed.curve},
        ) from problem


def taken(present: Contract, pcid: str) -> V2GPKIError:
    """The refusal of an EMAID whose contract is another vehicle's, or this home's own."""
    why = (
        f"has a contract for another vehicle: {present.pcid}"
        if present.pcid != pcid
        else "has a contract whose certificates this home issues"
    )
    return V2GPKIError(
        "contract.exists",
        f"{present.emaid} {why}",
        hint="an EMAID has one contract at a time: delete it first",
        clause="OPCP contract pool",
        facts={"emaid": present.emaid, "pcid": present.pcid, "contract": present.id},
    )
