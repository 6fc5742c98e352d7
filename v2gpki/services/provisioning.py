"""A vehicle asks for its contract: CertificateInstallationReq and CertificateUpdateReq answered, -2 and -20.

In this order: decode, admission (signature, chain, registration), a CPS whose root the vehicle holds, what the request
was answered with before, the contracts, and only then anything is issued. What is refused is answered all the same,
with the ResponseCode of the reason and nothing issued. A contract that cannot be delivered makes way for the next.
Clauses: ISO 15118-2 8.4.3.10 and 8.4.3.11; ISO 15118-20 8.3.4.3; OCPP 2.1 M01, M02.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from v2gpki.clock import Clock
from v2gpki.errors import EXIT_REFUSED, V2GPKIError
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import Action, Request, root_matches
from v2gpki.services.admission import Admission
from v2gpki.services.brought import action_of, check_wishes, octets_of, readable
from v2gpki.services.bundles import BundleMaker, Job, undeliverable
from v2gpki.services.cps import CertificateProvisioningService, CpsSigner, no_common_root
from v2gpki.services.mo import elsewhere
from v2gpki.services.policy import Policy
from v2gpki.services.pools import ELSEWHERE, ContractPool
from v2gpki.services.recipients import Recipient
from v2gpki.services.vehicle_trust import VehicleTrust
from v2gpki.store.pool_records import Answered, Bundle, Contract
from v2gpki.store.protocol import Store

#: What is wrong with this home and not with the request.
_OF_THE_HOME = ("authority.", "cps.none", "issuing.", "lint.", "profile.")
#: What leaves nothing to answer with, or says something about the evidence that the caller gave.
_RAISED = ("crl.", "ocsp.", "store.")
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ProvisioningAnswer:
    """The answer to one request, in OCPP's words and in the vehicle's.

    ``exi`` is a CertificateInstallationRes or CertificateUpdateRes for the vehicle, also when ``status`` is "Failed":
    then it carries ``response_code`` and dummies. ``remaining_contracts`` counts those that the same request can still
    get, ``v2g_root`` is the SHA-256 of the root above the CPS that signed; ``reason`` says in one sentence why it
    failed, ``problem`` is the error behind it, ``fault`` whose it is: the "request"'s or the "home"'s.
    """

    status: Literal["Accepted", "Failed"]
    exi: bytes = field(repr=False)
    response_code: str
    remaining_contracts: int = 0
    reason: str = ""
    emaid: str = ""
    pcid: str = ""
    v2g_root: bytes = b""
    problem: V2GPKIError | None = None
    fault: Literal["", "request", "home"] = ""

    @property
    def exi_response(self) -> str:
        """``exi`` in base64, as OCPP carries it."""
        return base64.b64encode(self.exi).decode("ascii")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What comes with a request: EMAIDs to be preferred, the most contracts, evidence about the vehicle's chain;
    ``by_vehicle`` when the first two are as the request's octets have them."""

    emaids: Sequence[str]
    limit: int
    crls: Sequence[bytes]
    ocsps: Sequence[bytes]
    caller: str
    by_vehicle: bool


@dataclass(slots=True)
class _Due:
    """What a request is to be answered with: bundles, those to be made, and contracts that come in when one of these
    cannot; ``signer`` is nobody when only other houses' bundles can be sent, ``unable`` why that is so, or why the
    first contract cannot be delivered."""

    digest: bytes
    recipient: Recipient
    signer: CpsSigner | None
    unable: V2GPKIError | None
    found: list[Bundle | Job | Contract] = field(default_factory=list)


class Provisioning:
    """Answers vehicles, from the pools and with the keys of one home. Safe from threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        admission: Admission,
        trust: VehicleTrust,
        contracts: ContractPool,
        cps: CertificateProvisioningService,
        bundles: BundleMaker,
        caller: str,
        policy: Policy,
    ) -> None:
        self._store = store
        self._pools = store.pools
        self._clock = clock
        self._admission = admission
        self._trust = trust
        self._contracts = contracts
        self._cps = cps
        self._maker = bundles
        self._caller = caller
        self.policy = policy

    # -- answering -----------------------------------------------------------------------------

    def answer(
        self,
        exi_request: str | bytes | bytearray | memoryview,
        *,
        schema: str = "",
        action: str = "",
        maximum_contracts: int | None = None,
        prioritised_emaids: Sequence[str] = (),
        crls: Sequence[bytes] = (),
        ocsps: Sequence[bytes] = (),
        station: str = "",
        position: int | None = None,
        caller: str = "",
    ) -> ProvisioningAnswer:
        """Answer one request: base64 text as OCPP carries it, or its octets.

        ``schema`` is the namespace that came with it ("" recognises it), ``action`` what OCPP calls it (Install,
        Update, "" for what it is). At most ``maximum_contracts`` are given, fewer if the vehicle itself asks for
        fewer; ``prioritised_emaids`` come first. ``crls`` and ``ocsps`` are evidence about the vehicle's chain, beside
        what the store knows itself. Where several contracts are due, the same request gets one after the other, for
        each ``station`` anew (OCPP 2.1 M01); ``position`` asks for one of them, from 0. ``caller`` is who brings the
        request ("" the home's own).

        Whatever keeps the vehicle from its contract is an answer with status "Failed": ``fault`` tells whether the
        request is to blame or the home (no CPS, no MO, a profile). Raises what leaves nothing to answer with
        (``home.locked``, ``store.*``), and what is wrong with the other arguments (``crl.malformed``,
        ``ocsp.malformed``, ``usage.invalid``).
        """
        check_wishes(maximum_contracts, prioritised_emaids, position)
        now = self._clock.now().replace(microsecond=0)
        request: Request | None = None
        try:
            request = installation.read_request(octets_of(exi_request), schema=schema, action=action_of(action))
            wishes = (*prioritised_emaids, *request.prioritised_emaids)
            limit = min(request.maximum_contracts, maximum_contracts or request.maximum_contracts)
            by_vehicle = maximum_contracts is None and not prioritised_emaids
            wanted = _Wanted(wishes, limit, crls, ocsps, caller or self._caller, by_vehicle)
            bundles = self._agreed(request, wanted, now)
            return self._accepted(request, bundles, self._position(request, len(bundles), station, position, now), now)
        except V2GPKIError as problem:
            if problem.code.startswith(_RAISED):
                raise
            if problem.outcome.exit_code != EXIT_REFUSED and not problem.code.startswith(_OF_THE_HOME):
                raise
            if request is not None:
                return _refused(request.edition, request.action, request.session_id, problem, now)
            # In the edition that the vehicle speaks, as far as that can be told.
            edition, session_id = installation.sender_of(readable(exi_request), schema)
            return _refused(edition, "update" if action.lower() == "update" else "install", session_id, problem, now)

    # -- the steps -----------------------------------------------------------------------------

    def _agreed(self, request: Request, wanted: _Wanted, now: datetime) -> list[Bundle]:
        """Admission and bundles; once more from the beginning when something changed in the middle.

        Everything is looked up in the store as it is at one moment; what has to be made is made after it, and what
        changed meanwhile is found at the commit.
        """
        signed = self._admission.signed(request)
        for attempt in range(_ATTEMPTS):
            try:
                with self._store.snapshot():
                    recipient = self._admission.recipient(request, signed, wanted.crls, wanted.ocsps, now)
                    found = self._looked_up(request, recipient, wanted, now)
                return found if isinstance(found, list) else self._delivered(found, request, wanted, now)
            except V2GPKIError as problem:
                if problem.code != "store.conflict" or attempt + 1 == _ATTEMPTS:
                    raise
        raise V2GPKIError("internal.bug", "a request was neither answered nor refused")

    def _looked_up(
        self, request: Request, recipient: Recipient, wanted: _Wanted, now: datetime
    ) -> list[Bundle] | _Due:
        """What the request was answered with before, or what is due; in the order of delivery.

        What it was answered with before comes first, whatever was wished for then and now: the same octets are the
        same request.
        """
        if wanted.limit < 1:
            raise V2GPKIError(
                "provisioning.none_wanted",
                "the vehicle asks for no contract: MaximumContractCertificateChains is 0",
                clause="ISO 15118-20 8.3.4.3",
                facts={"pcid": recipient.pcid},
            )
        signer, unable = self._signer(request, recipient, now)
        if unable is not None and not self._stored_elsewhere(recipient.pcid):
            raise unable
        digest = _digest(request)
        earlier = self._pools.answered(digest)
        if earlier is not None and (again := self._still_good(earlier.bundles, recipient, now)):
            return again[: wanted.limit]
        due = _Due(digest, recipient, signer, unable)
        for contract in self._chosen(request, recipient, wanted.emaids, now):
            # One more than is wanted is looked at only when one of them cannot be made.
            if len(due.found) >= wanted.limit:
                due.found.append(contract)
                continue
            try:
                due.found.append(self._found(contract, request, due, now))
            except V2GPKIError as problem:
                if not undeliverable(problem):
                    raise
                due.unable = due.unable or problem
        return due

    def _delivered(self, due: _Due, request: Request, wanted: _Wanted, now: datetime) -> list[Bundle]:
        """What is due, made where it is not ready, and recorded as the answer to the request.

        A new bundle is committed with its certificate and, where it is the last one, with the record of the answer.
        When all were ready there is nothing that has to last: should a power cut take the record, it takes everything
        that was committed after it too, and the same request finds the same bundles in the same state of the store;
        only the log lacks the row of the answer that left. Except that somebody may ask for something else beside the
        same octets: then the record lasts as well.
        """
        bundles: list[Bundle] = []
        with_bundle: list[Answered] = []

        def answer(*last: Bundle) -> Answered:
            ids = tuple(bundle.id for bundle in (*bundles, *last))
            return Answered(due.digest, ids, now, {"pcid": due.recipient.pcid})

        def answering(last: Bundle) -> Answered:
            with_bundle.append(answer(last))
            return with_bundle[-1]

        rest, made = list(due.found), False
        while rest and len(bundles) < wanted.limit:
            item = rest.pop(0)
            try:
                if isinstance(item, Contract):
                    item = self._found(item, request, due, now)
                if isinstance(item, Job):
                    made = True
                    last = not rest or len(bundles) + 1 == wanted.limit
                    item = self._maker.make(item, now, caller=wanted.caller, answering=answering if last else None)
                bundles.append(item)
            except V2GPKIError as problem:
                if not undeliverable(problem):
                    raise
                due.unable = due.unable or problem
        if not bundles and due.unable is not None:
            raise due.unable
        given = answer()
        if given in with_bundle:
            # A bundle that was not committed together with it has another id.
            return bundles
        kept = self._pools.record_answer(given, wanted.caller, lasting=made or not wanted.by_vehicle)
        if kept.bundles != given.bundles:
            return self._still_good(kept.bundles, due.recipient, now)[: wanted.limit] or bundles
        return bundles

    def _found(self, contract: Contract, request: Request, due: _Due, now: datetime) -> Bundle | Job:
        """One contract for the vehicle: what another house signed, what is ready, or what there is to be made."""
        if contract.issuer == ELSEWHERE:
            return self._stored(contract, request, due.recipient, now)
        if due.signer is None:
            raise elsewhere(contract)
        return self._maker.find(contract, due.recipient, due.signer, now)

    def _signer(
        self, request: Request, recipient: Recipient, now: datetime
    ) -> tuple[CpsSigner | None, V2GPKIError | None]:
        """Who signs for the vehicle's roots, or why nobody of this home can."""
        try:
            signer = self._cps.choose(
                recipient.edition, recipient.suite, request.roots, now, unknown_roots=self.policy.unknown_roots
            )
        except V2GPKIError as problem:
            return None, problem
        return signer, None

    def _stored_elsewhere(self, pcid: str) -> bool:
        """Whether the vehicle has a contract that another house signed."""
        return any(contract.issuer == ELSEWHERE for contract in self._pools.contracts(pcid=pcid, state="active"))

    def _stored(self, contract: Contract, request: Request, recipient: Recipient, now: datetime) -> Bundle:
        """What another house signed for this vehicle, under a V2G root that the vehicle names.

        Raises ``contract.elsewhere`` when there is nothing for the vehicle's key, ``cps.no_common_root``.
        """
        found = [
            bundle
            for bundle in self._pools.bundles(contract_id=contract.id)
            if (bundle.edition, bundle.receiver) == (recipient.edition, recipient.receiver)
            and self._maker.may_be_sent(bundle, contract, now)
        ]
        if not found:
            raise elsewhere(contract)
        roots = {hashlib.sha256(root).digest(): root for root in self._trust.roots(recipient.edition)}
        for bundle in reversed(found):
            root = roots.get(bundle.v2g_root)
            if root is not None and any(root_matches(issuer, serial, root) for issuer, serial in request.roots):
                return bundle
        if self.policy.unknown_roots == "answer":
            return found[-1]
        raise no_common_root(request.roots)

    def _chosen(
        self, request: Request, recipient: Recipient, wishes: Sequence[str], now: datetime
    ) -> list[Contract]:
        """The contracts that are due, in order; at least one."""
        if request.action == "update":
            contract = self._pools.contract_of(request.emaid)
            return [contract] if contract is not None else []
        found = self._contracts.select(
            recipient.pcid,
            recipient.edition,
            now,
            prioritised=tuple(dict.fromkeys(wishes)),
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

    def _still_good(self, ids: Sequence[str], recipient: Recipient, now: datetime) -> list[Bundle]:
        """These bundles, or nothing when one of them must not be sent any more, or not to this key."""
        bundles = [bundle for bundle_id in ids if (bundle := self._pools.bundle(bundle_id)) is not None]
        try:
            good = len(bundles) == len(ids) and all(
                bundle.receiver == recipient.receiver
                and self._maker.may_be_sent(bundle, self._pools.contract(bundle.contract_id), now)
                for bundle in bundles
            )
        except V2GPKIError as problem:
            if not undeliverable(problem):
                raise
            # One that was revoked for good: the vehicle's others are chosen anew.
            good = False
        return bundles if good else []

    # -- the answer ----------------------------------------------------------------------------

    def _position(
        self, request: Request, count: int, station: str, position: int | None, now: datetime
    ) -> int:
        if position is None:
            return 0 if count == 1 else self._pools.take_position(station, _digest(request), count, now)
        if position >= count:
            raise V2GPKIError(
                "usage.invalid",
                f"there is no contract at position {position}: {count} are due",
                hint=f"give a position from 0 to {count - 1}, or none",
                facts={"position": position, "contracts": count},
            )
        return position

    def _accepted(self, request: Request, bundles: Sequence[Bundle], number: int, now: datetime) -> ProvisioningAnswer:
        bundle = bundles[number]
        remaining = len(bundles) - 1 - number
        exi = None
        if request.edition != "lab-ecog-20" and request.action == "install" and not remaining:
            timed = None if request.edition == "iso15118-2" else now
            exi = installation.readdressed(bundle.exi, request.session_id, timed)
        if exi is None:
            exi = installation.respond(
                installation.signed_contract(bundle.exi),
                action=request.action,
                session_id=request.session_id,
                timestamp=now,
                remaining=remaining,
            )
        return ProvisioningAnswer(
            "Accepted",
            exi,
            "OK",
            remaining_contracts=remaining,
            emaid=bundle.emaid,
            pcid=bundle.pcid,
            v2g_root=bundle.v2g_root,
        )


def _refused(
    edition: Edition, action: Action, session_id: bytes, problem: V2GPKIError, now: datetime
) -> ProvisioningAnswer:
    """The answer that delivers nothing and says why."""
    code = installation.response_code(problem, edition, action)
    exi = installation.refuse(
        edition=edition, action=action, session_id=session_id, response_code=code, timestamp=now
    )
    fault: Literal["request", "home"] = "home" if problem.code.startswith(_OF_THE_HOME) else "request"
    return ProvisioningAnswer("Failed", exi, code, reason=problem.message, problem=problem, fault=fault)


def _digest(request: Request) -> bytes:
    return hashlib.sha256(f"{request.action}\0".encode() + request.octets).digest()
