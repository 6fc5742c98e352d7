"""A vehicle asks for its contract: CertificateInstallationReq and CertificateUpdateReq answered, -2 and -20.

In this order: decode, the request's signature, the vehicle's chain (path, role, validity, revocation), its
registration, the contract, and only then anything is issued. What is refused is answered all the same, with the
ResponseCode of the reason and nothing issued. A request is answered again with the same signed elements; a contract
certificate is made once for a contract, a key and a root, and committed together with the bundle that delivers it.
Clauses: ISO 15118-2 8.4.3.10 and 8.4.3.11, [V2G2-885], [V2G2-925]; ISO 15118-20 8.3.4.3; OCPP 2.1 M01, M02.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import EXIT_REFUSED, V2GPKIError
from v2gpki.identifiers import recognise
from v2gpki.pnc import installation
from v2gpki.pnc.installation import Action, Request, SignedContract
from v2gpki.pnc.installation.chains import common_name
from v2gpki.services.bundles import REISSUED_AFTER, BundleMaker, Recipient, recipient_of
from v2gpki.services.cps import CertificateProvisioningService
from v2gpki.services.mo import require_current
from v2gpki.services.pools import ContractPool, ProvisioningPool, Selection
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.pool_records import Answered, Bundle, Contract
from v2gpki.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides; the defaults are what public test labs expect.

    ``require_evidence``: a chain whose revocation status is unknown is refused. ``unregistered``: what happens to a
    vehicle that is not in the provisioning pool, though its chain is trusted. ``unknown_roots``: a vehicle that names
    no V2G root of ours. ``reissue_after``: reasons of revocation after which a new certificate is issued. ``aad``: the
    form of the additional authenticated data in -20. ``selection``: which contracts a vehicle gets.
    """

    require_evidence: bool = False
    unregistered: Literal["refuse", "answer"] = "refuse"
    unknown_roots: Literal["refuse", "answer"] = "refuse"
    reissue_after: tuple[str, ...] = REISSUED_AFTER
    aad: str = "pcid-ski8"
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class ProvisioningAnswer:
    """The answer to one request, in OCPP's words and in the vehicle's.

    ``exi`` is a CertificateInstallationRes or CertificateUpdateRes for the vehicle, also when ``status`` is "Failed":
    then it carries ``response_code`` and dummies. ``remaining_contracts`` counts those that the same request can still
    get; ``reason`` says in one sentence why it failed, ``problem`` is the error behind it.
    """

    status: Literal["Accepted", "Failed"]
    exi: bytes = field(repr=False)
    response_code: str
    remaining_contracts: int = 0
    reason: str = ""
    emaid: str = ""
    pcid: str = ""
    problem: V2GPKIError | None = None

    @property
    def exi_response(self) -> str:
        """``exi`` in base64, as OCPP carries it."""
        return base64.b64encode(self.exi).decode("ascii")


class Provisioning:
    """Answers vehicles, from the pools and with the keys of one home. Safe from threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        trust: VehicleTrust,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        cps: CertificateProvisioningService,
        bundles: BundleMaker,
        caller: str,
        policy: Policy | None = None,
    ) -> None:
        self._store = store
        self._pools = store.pools
        self._clock = clock
        self._trust = trust
        self._vehicles = vehicles
        self._contracts = contracts
        self._cps = cps
        self._maker = bundles
        self._caller = caller
        self.policy = policy or Policy()

    # -- answering -----------------------------------------------------------------------------

    def answer(
        self,
        exi_request: str | bytes,
        *,
        schema: str = "",
        action: Literal["Install", "Update", "install", "update"] | None = None,
        maximum_contracts: int | None = None,
        prioritised_emaids: Sequence[str] = (),
        crls: Sequence[bytes] = (),
        ocsps: Sequence[bytes] = (),
        station: str = "",
        position: int | None = None,
    ) -> ProvisioningAnswer:
        """Answer one request: base64 text as OCPP carries it, or its octets.

        ``schema`` is the namespace that came with it ("" recognises it), ``action`` what OCPP calls it. At most
        ``maximum_contracts`` are given, fewer if the vehicle itself asks for fewer; ``prioritised_emaids`` come first.
        Of several contracts the one at ``position`` is given; None counts for each ``station`` how often it asked the
        same. ``crls`` and ``ocsps`` are evidence about the vehicle's chain, beside what the store knows itself.

        Whatever is wrong with the request is an answer with status "Failed". Raises what is wrong with the home:
        ``home.locked``, ``store.*``, ``cps.none``.
        """
        now = self._clock.now().replace(microsecond=0)
        wanted: Action | None = None if action is None else ("update" if action.lower() == "update" else "install")
        request: Request | None = None
        try:
            octets = _octets(exi_request)
            request = installation.read_request(octets, schema=schema, action=wanted)
            recipient = self._examine(request, crls, ocsps, now)
            bundles = self._bundles(request, recipient, maximum_contracts, prioritised_emaids, now)
            number = self._position(request, len(bundles), station, position, now)
            return self._accepted(request, bundles, number, now)
        except V2GPKIError as problem:
            if problem.outcome.exit_code != EXIT_REFUSED or problem.code in _OURS:
                raise
            return self._refused(request, schema, wanted or "install", problem, now)

    # -- the steps -----------------------------------------------------------------------------

    def _examine(
        self, request: Request, crls: Sequence[bytes], ocsps: Sequence[bytes], now: datetime
    ) -> Recipient:
        """Everything about who asks: signature, chain, registration."""
        installation.verify_request(request)
        if request.action == "update":
            return self._examine_update(request, crls, ocsps, now)
        pcid = _pcid(request.leaf)
        recipient = recipient_of(request.edition, pcid, request.leaf)
        vehicle = self._vehicles.find(pcid, request.edition, recipient.suite) if pcid else None
        registered = vehicle is not None and vehicle.chain[0] == request.leaf
        # -2 carries the leaf alone; the pool knows what stands above it.
        chain, alone = request.chain, request.edition == "iso15118-2"
        if alone and vehicle is not None:
            chain = (request.leaf, *vehicle.chain[1:])
        self._trust.judge(
            chain,
            role="oem",
            edition=request.edition,
            at=now,
            crls=crls,
            ocsps=ocsps,
            require_evidence=self.policy.require_evidence,
            known=registered and vehicle is not None and chain == vehicle.chain,
            complete=alone,
        )
        if vehicle is None and self.policy.unregistered == "refuse":
            raise V2GPKIError(
                "provisioning.unknown_vehicle",
                f"no vehicle with the PCID {pcid or _common_name(request.leaf)!r} is registered for {request.edition}",
                hint="the OEM registers it: v2gpki pcp register --chain FILE",
                clause="ISO 15118-2 8.4.3.10",
                facts={"pcid": pcid, "edition": request.edition},
            )
        if vehicle is not None and not registered:
            raise V2GPKIError(
                "provisioning.certificate_differs",
                f"the vehicle {pcid} asks with another provisioning certificate than the registered one",
                hint="the OEM registers the new one: v2gpki pcp register --chain FILE",
                clause="ISO 15118-2 8.4.3.10",
                facts={"pcid": pcid, "registered": vehicle.fingerprint.hex()},
            )
        return recipient

    def _examine_update(
        self, request: Request, crls: Sequence[bytes], ocsps: Sequence[bytes], now: datetime
    ) -> Recipient:
        """A vehicle that shows the contract that it has; the successor's key is wrapped for that one's."""
        contract = self._pools.contract_of(request.emaid)
        ours = self._trust.record(request.leaf) is not None
        if contract is not None and ours:
            # Its certificates are revoked with a contract; that it has ended is the better answer.
            require_current(contract, now)
        self._trust.judge(
            request.chain,
            role="contract",
            edition=request.edition,
            at=now,
            crls=crls,
            ocsps=ocsps,
            require_evidence=self.policy.require_evidence,
            ordered=True,
        )
        if contract is None or not ours:
            raise V2GPKIError(
                "provisioning.unknown_contract",
                f"{request.emaid} is no contract of this operator",
                hint="v2gpki contract list shows the contracts",
                clause="ISO 15118-2 8.4.3.11",
                facts={"emaid": request.emaid},
            )
        return recipient_of(request.edition, contract.pcid, request.leaf)

    def _bundles(
        self, request: Request, recipient: Recipient, maximum: int | None, prioritised: Sequence[str], now: datetime
    ) -> list[Bundle]:
        """The bundles that answer a request, in the order of delivery."""
        digest = hashlib.sha256(f"{request.action}\0".encode() + request.octets).digest()
        earlier = self._pools.answered(digest)
        if earlier is not None and (again := self._still_good(earlier.bundles, now)):
            return again
        signer = self._cps.choose(
            recipient.edition, recipient.suite, request.roots, now, unknown_roots=self.policy.unknown_roots
        )
        limit = min(request.maximum_contracts, maximum or request.maximum_contracts)
        chosen = self._chosen(request, recipient, [*prioritised, *request.prioritised_emaids], max(limit, 1), now)
        bundles = [self._maker.bundle(contract, recipient, signer, now) for contract in chosen]
        answer = Answered(digest, tuple(bundle.id for bundle in bundles), now, {"pcid": recipient.pcid})
        kept = self._pools.record_answer(answer, self._caller)
        if kept.bundles != answer.bundles:
            return self._still_good(kept.bundles, now) or bundles
        return bundles

    def _chosen(
        self, request: Request, recipient: Recipient, prioritised: Sequence[str], limit: int, now: datetime
    ) -> list[Contract]:
        if request.action == "update":
            contract = self._pools.contract_of(request.emaid)
            return [contract] if contract is not None else []
        found = self._contracts.select(
            recipient.pcid,
            recipient.edition,
            now,
            prioritised=tuple(dict.fromkeys(_emaid(emaid) for emaid in prioritised)),
            limit=limit,
            policy=self.policy.selection,
        )
        if not found:
            ended = [contract for contract in self._pools.contracts(pcid=recipient.pcid) if contract.begins <= now]
            code, what = (
                ("provisioning.contract_ended", "its contract has ended")
                if ended
                else ("provisioning.no_contract", "it has no contract")
            )
            raise V2GPKIError(
                code,
                f"nothing to install for the vehicle {recipient.pcid}: {what}",
                hint=f"v2gpki contract create --pcid {recipient.pcid} --emaid EMAID",
                clause="ISO 15118-2 8.4.3.10",
                facts={"pcid": recipient.pcid},
            )
        return found

    def _still_good(self, ids: Sequence[str], now: datetime) -> list[Bundle]:
        """These bundles, or nothing when one of them must not be sent any more."""
        bundles = [bundle for bundle_id in ids if (bundle := self._pools.bundle(bundle_id)) is not None]
        good = len(bundles) == len(ids) and all(
            self._maker.may_be_sent(bundle, self._pools.contract(bundle.contract_id), now) for bundle in bundles
        )
        return bundles if good else []

    # -- the answer ----------------------------------------------------------------------------

    def _position(
        self, request: Request, count: int, station: str, position: int | None, now: datetime
    ) -> int:
        if position is not None:
            return min(max(position, 0), count - 1)
        if not station or count == 1:
            return 0
        digest = hashlib.sha256(f"{request.action}\0".encode() + request.octets).digest()
        return self._pools.take_position(station, digest, count, now)

    def _accepted(self, request: Request, bundles: Sequence[Bundle], number: int, now: datetime) -> ProvisioningAnswer:
        bundle = bundles[number]
        remaining = len(bundles) - 1 - number
        exi = installation.respond(
            SignedContract.from_exi(bundle.exi),
            action=request.action,
            session_id=request.session_id,
            timestamp=now,
            remaining=remaining,
        )
        return ProvisioningAnswer(
            "Accepted", exi, "OK", remaining_contracts=remaining, emaid=bundle.emaid, pcid=bundle.pcid
        )

    def _refused(
        self, request: Request | None, schema: str, action: Action, problem: V2GPKIError, now: datetime
    ) -> ProvisioningAnswer:
        if request is not None:
            edition, action, session_id = request.edition, request.action, request.session_id
        else:
            edition = installation.SCHEMAS.get(schema, "iso15118-2")
            session_id = bytes.fromhex(str(problem.facts.get("session_id", ""))) or bytes(8)
        code = installation.response_code(problem, edition, action)
        exi = installation.refuse(
            edition=edition,
            action=action,
            session_id=session_id,
            response_code=code,
            timestamp=now,
        )
        return ProvisioningAnswer("Failed", exi, code, reason=problem.message, problem=problem)


#: What says something about this home and not about the request.
_OURS = frozenset({"cps.none", "store.conflict"})


def _octets(exi_request: str | bytes) -> bytes:
    if isinstance(exi_request, bytes):
        return exi_request
    try:
        return base64.b64decode("".join(exi_request.split()), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise V2GPKIError(
            "provisioning.not_base64",
            "the request is no base64",
            hint="OCPP carries the EXI octets of the vehicle's request in base64, unchanged",
            clause="OCPP 2.0.1 M01",
        ) from problem


def _common_name(certificate: bytes) -> str:
    return common_name(view(certificate))


def _pcid(certificate: bytes) -> str:
    """The PCID of a provisioning certificate in normal form, "" when its common name is none."""
    try:
        return recognise(["pcid"], _common_name(certificate)).normal
    except V2GPKIError:
        return ""


def _emaid(text: str) -> str:
    """An EMAID in normal form; what is none stays as it is, and will match nothing."""
    try:
        return recognise(["emaid"], text).normal
    except V2GPKIError:
        return text
