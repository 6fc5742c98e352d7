"""Signed contract data for a vehicle's key: looked up, or made once and kept.

A bundle is a contract certificate, its wrapped key and the CPS's signature. It is made once for a contract, a key and a
V2G root, and committed together with the certificate that it delivers: no certificate is in the store whose key was
lost on the way. Two makers at once: the slower one's certificate is abandoned, unseen, and it takes the other's bundle.
Clauses: ISO 15118-2 8.4.3.10, [V2G2-690]; ISO 15118-20 [V2G20-2218]; OPCP 1.0, contract certificate pool.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.services.cps import CertificateProvisioningService, CpsSigner
from v2gpki.services.issuance import Delivery, Issued, Order
from v2gpki.services.mo import MobilityOperator, require_current
from v2gpki.services.policy import Policy
from v2gpki.services.pools import ELSEWHERE, ContractPool, ProvisioningPool
from v2gpki.services.recipients import EDITIONS, Recipient, registered_recipient
from v2gpki.services.standing import Standing
from v2gpki.store.pool_records import Answered, Bundle, Contract
from v2gpki.store.protocol import Store

#: Receivers of the same family as the contract key; a key of Ed448 fits into no envelope.
_DELIVERED = {("iso15118-2", "p256"), ("iso15118-20", "p521")}
_LOCKS = 64
_ATTEMPTS = 3
#: Conflicts that another attempt does not end: a vehicle that was taken out of the pool meanwhile stays out, a request
#: that was answered meanwhile has its answer, and a bundle that was to be answered with as well is withdrawn.
_FINAL = ("vehicle", "answer", "withdrawn")
#: A bundle that ends within a day is signed again when somebody can sign who lasts longer.
_MARGIN = timedelta(days=1)
#: So many certificates are committed together.
_GROUP = 100


@dataclass(frozen=True, slots=True)
class Job:
    """A bundle to be made; ``ready`` is the one that there is, though it must not be sent any more, ``order`` its
    certificate's once that was asked for, ``answering`` gives what a request is answered with, to be recorded in the
    same commit."""

    contract: Contract
    recipient: Recipient
    signer: CpsSigner
    ready: Bundle | None
    order: Order | None = None
    answering: Callable[[Bundle], Answered] | None = None


_Sorted: TypeAlias = tuple[list[Bundle], list[Job], list[tuple[Contract, V2GPKIError]]]


class BundleMaker:
    """Finds and makes bundles with the keys of one home. Safe from threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        mo: MobilityOperator,
        cps: CertificateProvisioningService,
        standing: Standing,
        caller: str,
        policy: Policy,
    ) -> None:
        self._store = store
        self._pools = store.pools
        self._clock = clock
        self._vehicles = vehicles
        self._contracts = contracts
        self._mo = mo
        self._cps = cps
        self._standing = standing
        self._caller = caller
        self._policy = policy
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def prepare(
        self,
        contracts: Sequence[Contract],
        *,
        edition: str = "",
        progress: Callable[[int], None] = lambda _: None,
        refused: Callable[[Contract, V2GPKIError], None] | None = None,
        caller: str = "",
    ) -> list[Bundle]:
        """Make the bundles of these contracts ahead, for each registered key of their vehicles and each V2G root that
        a CPS of this home can sign under and the vehicle holds, as far as that is known. Those that are ready already
        are left as they are and given back with the others, in no particular order; for contracts of another house
        nothing is made. ``progress`` is called with the number of contracts that were done, ``caller`` is who asked
        ("" the home's own).

        A contract that cannot be delivered (``contract.*``, ``provisioning.*``) goes to ``refused``; without that it is
        raised. Raises what issuing raises; what was made before stays.
        """
        now = self._clock.now().replace(microsecond=0)
        bundles: list[Bundle] = []
        for start in range(0, len(contracts), _GROUP):
            group = contracts[start : start + _GROUP]
            # One look at the store for the whole group: what changes meanwhile is found at the commit.
            with self._store.snapshot():
                ready, jobs, refusals = self._sorted(group, edition, now)
            for contract, problem in refusals:
                if refused is None:
                    raise problem
                refused(contract, problem)
            bundles.extend(ready)
            bundles.extend(self._make_group(jobs, now, caller or self._caller))
            progress(len(group))
        return bundles

    def bundle(
        self, contract: Contract, recipient: Recipient, signer: CpsSigner, now: datetime, *, caller: str = ""
    ) -> Bundle:
        """The bundle for a contract, a key and a root: the ready one, or a new one that ``caller`` asked for.

        Raises ``installation.wrong_suite`` for a key that receives nothing, ``contract.*``, and what issuing raises.
        """
        with self._store.snapshot():
            found = self.find(contract, recipient, signer, now)
        return found if isinstance(found, Bundle) else self.make(found, now, caller=caller)

    def find(self, contract: Contract, recipient: Recipient, signer: CpsSigner, now: datetime) -> Bundle | Job:
        """The ready bundle for a contract, a key and a root, or what there is to be made. Only reads.

        Raises ``installation.wrong_suite`` for a key that receives nothing, ``contract.*``, ``provisioning.revoked``,
        and what finding an issuer raises.
        """
        installation.curve_for(recipient.edition, recipient.suite)
        job = self._job(contract, recipient, signer)
        if job.ready is not None and self._fresh(job, now):
            return job.ready
        # One that there is may only need another signature, which needs no issuer.
        return job if job.ready is not None else replace(job, order=self._order(job, now))

    def make(
        self, job: Job, now: datetime, *, caller: str = "", answering: Callable[[Bundle], Answered] | None = None
    ) -> Bundle:
        """Make what ``find`` did not find, for ``caller`` ("" the home's own), unless somebody did so meanwhile.

        ``answering`` gives what a request is answered with by this bundle: it is recorded in the commit of the
        certificate, where there is one. Raises as ``bundle``, and ``store.conflict`` when the vehicle was taken out of
        the pool meanwhile, or the request was answered with another bundle.
        """
        contract, recipient = job.contract, job.recipient
        with self._locks[int.from_bytes(recipient.receiver[:4], "big") % _LOCKS]:
            conflict = None
            # Somebody may have made it meanwhile: another thread before the lock, another process before the commit.
            for _ in range(_ATTEMPTS):
                with self._store.snapshot():
                    found = self.find(self._pools.contract(contract.id) or contract, recipient, job.signer, now)
                if isinstance(found, Bundle):
                    return found
                try:
                    return self._make([replace(found, answering=answering)], now, caller or self._caller)[0]
                except V2GPKIError as problem:
                    if problem.code != "store.conflict" or problem.facts.get("which") in _FINAL:
                        raise
                    conflict = problem
        raise conflict or V2GPKIError("internal.bug", "a bundle was neither made nor refused")

    def may_be_sent(self, bundle: Bundle, contract: Contract | None, now: datetime) -> bool:
        """Whether nothing in a bundle has ended or was taken back. Raises ``provisioning.revoked`` when its certificate
        was revoked for a reason after which policy gives no other one."""
        if bundle.state != "ready" or bundle.not_after <= now:
            return False
        if contract is None or contract.state != "active" or contract.ends <= now:
            return False
        if not self._signer_stands(bundle):
            return False
        record = self._store.certificate(bundle.issuer_id, bundle.serial)
        if record is None:
            return True
        if record.state != "revoked":
            return self._standing.in_service(record.issuer_id)
        if record.reason in self._policy.reissue_after:
            return False
        raise V2GPKIError(
            "provisioning.revoked",
            f"the contract certificate of {bundle.emaid} was revoked ({record.reason})",
            hint="end the contract, or revoke with a reason after which policy issues again (superseded, ..)",
            clause="ISO 15118-2 8.4.3.10",
            facts={"emaid": bundle.emaid, "serial": f"{record.serial:x}", "reason": record.reason},
        )

    def _signer_stands(self, bundle: Bundle) -> bool:
        """Whether nobody revoked the CPS leaf that signed a bundle, nor what stands above it."""
        if bundle.v2g_root not in self._cps.trusted_roots(bundle.edition):
            return False
        if not bundle.cps_issuer_id:
            return True
        leaf = self._store.certificate(bundle.cps_issuer_id, bundle.cps_serial)
        return leaf is not None and not self._standing.revoked(leaf)

    # -- the steps -----------------------------------------------------------------------------

    def _sorted(self, contracts: Sequence[Contract], edition: str, now: datetime) -> _Sorted:
        """Which bundles of these contracts are ready, which are to be made, which contracts cannot be delivered."""
        ready: list[Bundle] = []
        jobs: list[Job] = []
        refusals: list[tuple[Contract, V2GPKIError]] = []
        signers: dict[tuple[Edition, str], list[CpsSigner]] = {}
        # A factory makes bundles for contracts that have none: one look-up instead of one for each of them.
        begun = self._pools.with_ready_bundles([contract.id for contract in contracts])
        for contract in contracts:
            try:
                require_current(contract, now)
                found = self._jobs(contract, edition, signers, now, fresh=contract.id not in begun)
            except V2GPKIError as problem:
                if not undeliverable(problem):
                    raise
                refusals.append((contract, problem))
                continue
            for job in found:
                try:
                    if job.ready is not None and self._fresh(job, now):
                        ready.append(job.ready)
                    elif contract.issuer != ELSEWHERE:
                        jobs.append(replace(job, order=self._order(job, now)))
                except V2GPKIError as problem:
                    if not undeliverable(problem):
                        raise
                    refusals.append((contract, problem))
        return ready, jobs, refusals

    def _jobs(
        self,
        contract: Contract,
        edition: str,
        signers: dict[tuple[Edition, str], list[CpsSigner]],
        now: datetime,
        *,
        fresh: bool,
    ) -> list[Job]:
        """What there is to be made for a contract; ``signers`` are remembered for the others of a group, ``fresh``
        says that no bundle of it is ready."""
        jobs: list[Job] = []
        for vehicle in self._vehicles.list(pcid=contract.pcid, edition=edition):
            signed_in = EDITIONS.get(vehicle.edition)
            if signed_in is None or (signed_in, vehicle.suite) not in _DELIVERED:
                continue
            recipient = registered_recipient(signed_in, vehicle)
            family = (recipient.edition, recipient.suite)
            if family not in signers:
                signers[family] = _one_per_root(self._cps.signers(*family, now))
            jobs.extend(
                Job(contract, recipient, signer, None) if fresh else self._job(contract, recipient, signer)
                for signer in signers[family]
                if not vehicle.v2g_roots or view(signer.root).key_identifier in vehicle.v2g_roots
            )
        return jobs

    def _job(self, contract: Contract, recipient: Recipient, signer: CpsSigner) -> Job:
        ready = self._pools.ready_bundle(
            contract.id,
            edition=recipient.edition,
            suite=recipient.suite,
            receiver=recipient.receiver,
            v2g_root=signer.root_fingerprint,
            aad=self._aad(recipient),
        )
        return Job(contract, recipient, signer, ready)

    def _aad(self, recipient: Recipient) -> str:
        """The form of the additional data; -2 has none."""
        return "" if recipient.edition == "iso15118-2" else self._policy.aad

    def _fresh(self, job: Job, now: datetime) -> bool:
        """Whether a job's ready bundle may be sent, and nothing in it is about to end that could last longer."""
        bundle, contract = job.ready, job.contract
        if bundle is None or not self.may_be_sent(bundle, contract, now):
            return False
        if bundle.not_after - now < _MARGIN and job.signer.not_after > bundle.not_after:
            return False
        if contract.issuer == ELSEWHERE:
            # Nothing newer can be made here.
            return True
        if not self._contracts.soon(bundle.edition, bundle.not_after, now):
            return True
        record = self._store.certificate(bundle.issuer_id, bundle.serial)
        end = bundle.not_after if record is None else record.not_after
        return not self._contracts.soon(bundle.edition, end, now) or end >= contract.ends

    def _order(self, job: Job, now: datetime) -> Order:
        recipient = job.recipient
        return self._mo.order(job.contract, edition=recipient.edition, suite=recipient.suite, now=now)

    def _require_room(self, job: Job, now: datetime) -> None:
        """A contract has a bounded number of valid certificates, whoever asks."""
        valid = len(self._contracts.valid_certificates(job.contract.id, now))
        if valid >= self._policy.valid_certificates:
            raise V2GPKIError(
                "provisioning.too_many_certificates",
                f"the contract of {job.contract.emaid} has {valid} valid certificates already",
                hint="revoke those that no vehicle uses (v2gpki cert list, cert revoke --reason superseded)",
                clause="ISO 15118-2 8.4.3.11",
                facts={"emaid": job.contract.emaid, "valid": valid},
            )

    def _make_group(self, jobs: Sequence[Job], now: datetime, caller: str) -> list[Bundle]:
        """All of them in one commit; when somebody else made one of them meanwhile, one by one."""
        if not jobs:
            return []
        try:
            return self._make(jobs, now, caller)
        except V2GPKIError as problem:
            if problem.code != "store.conflict":
                raise
        return [self.bundle(job.contract, job.recipient, job.signer, now, caller=caller) for job in jobs]

    def _make(self, jobs: Sequence[Job], now: datetime, caller: str) -> list[Bundle]:
        """Issue, wrap, sign, commit. Where only the CPS's certificate ended, the old contract certificate is signed
        again: its key is wrapped already and known to nobody."""
        made: list[Bundle] = []
        new = []
        for job in jobs:
            again = self._signed_again(job, now)
            if again is None:
                new.append(job)
            else:
                self._pools.add_bundle(again, caller)
                made.append(again)
        if new:
            for job in new:
                self._require_room(job, now)
            orders = [job.order or self._order(job, now) for job in new]

            def deliver(issued: Sequence[Issued]) -> Delivery:
                bundles = [self._delivering(job, answer, now) for job, answer in zip(new, issued, strict=True)]
                made.extend(bundles)
                answering = [(job.answering, bundle) for job, bundle in zip(new, bundles, strict=True)]
                return Delivery(bundles, [answer(bundle) for answer, bundle in answering if answer is not None])

            self._mo.issue(orders, caller=caller, deliver=deliver)
        return made

    def _delivering(self, job: Job, issued: Issued, now: datetime) -> Bundle:
        """The bundle that carries a certificate that was just signed."""
        if issued.private_key is None:
            raise V2GPKIError("internal.bug", "a contract certificate came without its private key")
        contract, recipient, signer = job.contract, job.recipient, job.signer
        data = installation.contract_data(
            edition=recipient.edition,
            chain=issued.chain,
            contract_key=issued.private_key,
            receiver=recipient.spki,
            emaid=contract.emaid,
            pcid=recipient.pcid,
            aad=self._policy.aad,
        )
        return Bundle(
            id=os.urandom(16).hex(),
            contract_id=contract.id,
            emaid=contract.emaid,
            pcid=recipient.pcid,
            edition=recipient.edition,
            suite=recipient.suite,
            receiver=recipient.receiver,
            v2g_root=signer.root_fingerprint,
            issuer_id=issued.record.issuer_id,
            serial=issued.record.serial,
            exi=installation.kept(self._cps.sign(data, signer)),
            made_at=now,
            not_after=min(issued.record.not_after, signer.not_after),
            replaces="" if job.ready is None else job.ready.id,
            aad=self._aad(recipient),
            cps_issuer_id=signer.issuer_id,
            cps_serial=signer.serial,
            registered=recipient.registered,
        )

    def _signed_again(self, job: Job, now: datetime) -> Bundle | None:
        """The job's ready bundle under a fresh signature, if nothing but the CPS's certificate ended."""
        ready = job.ready
        record = None if ready is None else self._store.certificate(ready.issuer_id, ready.serial)
        if ready is None or record is None or self._standing.revoked(record) or record.not_after <= now:
            return None
        if self._contracts.soon(ready.edition, record.not_after, now) and record.not_after < job.contract.ends:
            return None
        signed = self._cps.sign(installation.signed_contract(ready.exi).data, job.signer)
        return replace(
            ready,
            id=os.urandom(16).hex(),
            exi=installation.kept(signed),
            made_at=now,
            not_after=min(record.not_after, job.signer.not_after),
            replaces=ready.id,
            cps_issuer_id=job.signer.issuer_id,
            cps_serial=job.signer.serial,
        )


def undeliverable(problem: V2GPKIError) -> bool:
    """Whether an error is about one contract, so that another may be delivered in its place."""
    return problem.code.startswith(("contract.", "provisioning."))


def _one_per_root(signers: Sequence[CpsSigner]) -> list[CpsSigner]:
    newest: dict[bytes, CpsSigner] = {}
    for signer in signers:
        newest.setdefault(signer.root_fingerprint, signer)
    return list(newest.values())
