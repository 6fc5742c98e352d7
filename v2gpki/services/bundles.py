"""Signed contract data for a vehicle's key: looked up, or made once and kept.

A bundle is a contract certificate, its wrapped key and the CPS's signature. It is made once for a contract, a key and a
V2G root, and committed together with the certificate that it delivers: no certificate is in the store whose key was
lost on the way. Two makers at once: the slower one's certificate is abandoned, unseen, and it takes the other's bundle.
Clauses: ISO 15118-2 8.4.3.10, [V2G2-690]; ISO 15118-20 [V2G20-2218]; OPCP 1.0, contract certificate pool.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from v2gpki.certs.view import view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, load_public_key, suite_of
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import SignedContract
from v2gpki.services.cps import CertificateProvisioningService, CpsSigner
from v2gpki.services.issuance import Issued
from v2gpki.services.mo import MobilityOperator, require_current
from v2gpki.services.pools import ContractPool, ProvisioningPool
from v2gpki.store.pool_records import Bundle, Contract
from v2gpki.store.protocol import Store

#: The editions whose vehicles install contracts.
EDITIONS: Mapping[str, Edition] = {edition: edition for edition in get_args(Edition)}
#: Receivers of the same family as the contract key; a key of Ed448 fits into no envelope.
_DELIVERED = {("iso15118-2", "p256"), ("iso15118-20", "p521")}
#: RFC 5280 reasons after whose revocation a vehicle gets another contract certificate when it asks.
REISSUED_AFTER = ("superseded", "keyCompromise", "affiliationChanged")
_LOCKS = 64
_ATTEMPTS = 3
#: So many certificates are committed together.
_GROUP = 100


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a contract key is wrapped for: a key of one vehicle, and the SHA-256 of its SubjectPublicKeyInfo."""

    edition: Edition
    suite: str
    pcid: str
    spki: bytes
    receiver: bytes


def recipient_of(edition: Edition, pcid: str, leaf: bytes) -> Recipient:
    """The key of this certificate (DER), as the one to wrap for. Raises ``chain.malformed``, ``key.*``."""
    spki = view(leaf).spki
    known = next((suite.name for suite in SUITES.values() if spki.startswith(suite.spki_prefix)), "")
    suite = known or suite_of(load_public_key(spki)).name
    return Recipient(edition, suite, pcid, spki, hashlib.sha256(spki).digest())


@dataclass(frozen=True, slots=True)
class _Job:
    """A bundle to be made; ``ready`` is the one that there is, though it must not be sent any more."""

    contract: Contract
    recipient: Recipient
    signer: CpsSigner
    ready: Bundle | None


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
        caller: str,
        aad: str,
        reissue_after: tuple[str, ...] = REISSUED_AFTER,
    ) -> None:
        """``aad`` is the form of the additional authenticated data in -20, ``reissue_after`` the reasons of revocation
        after which a vehicle gets another certificate."""
        self._store = store
        self._pools = store.pools
        self._clock = clock
        self._vehicles = vehicles
        self._contracts = contracts
        self._mo = mo
        self._cps = cps
        self._caller = caller
        self._aad = aad
        self._reissue_after = reissue_after
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def prepare(
        self, contracts: Sequence[Contract], *, edition: str = "", progress: Callable[[int], None] = lambda _: None
    ) -> list[Bundle]:
        """Make the bundles of these contracts ahead, for each registered key of their vehicles and each V2G root that
        a CPS of this home can sign under. Those that are ready already are left as they are and given back with the
        others, in no particular order. ``progress`` is called with the number of contracts that were done.

        Raises ``contract.ended`` and what issuing raises; what was made before stays.
        """
        now = self._clock.now().replace(microsecond=0)
        bundles: list[Bundle] = []
        for start in range(0, len(contracts), _GROUP):
            group = contracts[start : start + _GROUP]
            jobs = []
            signers: dict[tuple[Edition, str], list[CpsSigner]] = {}
            for contract in group:
                require_current(contract, now)
                for job in self._jobs(contract, edition, signers, now):
                    if job.ready is not None and self._fresh(job.ready, contract, now):
                        bundles.append(job.ready)
                    else:
                        jobs.append(job)
            bundles.extend(self._make_group(jobs, now))
            progress(len(group))
        return bundles

    def bundle(self, contract: Contract, recipient: Recipient, signer: CpsSigner, now: datetime) -> Bundle:
        """The bundle for a contract, a key and a root: the ready one, or a new one.

        Raises ``installation.wrong_suite`` for a key that receives nothing, ``contract.*``, and what issuing raises.
        """
        installation.curve_for(recipient.edition, recipient.suite)
        job = self._job(contract, recipient, signer)
        if job.ready is not None and self._fresh(job.ready, contract, now):
            return job.ready
        with self._locks[int.from_bytes(recipient.receiver[:4], "big") % _LOCKS]:
            conflict = None
            # Somebody may have made it meanwhile: another thread before the lock, another process before the commit.
            for _ in range(_ATTEMPTS):
                job = self._job(self._pools.contract(contract.id) or contract, recipient, signer)
                if job.ready is not None and self._fresh(job.ready, job.contract, now):
                    return job.ready
                try:
                    return self._make([job], now)[0]
                except V2GPKIError as problem:
                    if problem.code != "store.conflict":
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
        record = self._store.certificate(bundle.issuer_id, bundle.serial)
        if record is None or record.state != "revoked":
            return True
        if record.reason in self._reissue_after:
            return False
        raise V2GPKIError(
            "provisioning.revoked",
            f"the contract certificate of {bundle.emaid} was revoked ({record.reason})",
            hint="end the contract, or revoke with a reason after which policy issues again (superseded, ..)",
            clause="ISO 15118-2 8.4.3.10",
            facts={"emaid": bundle.emaid, "serial": f"{record.serial:x}", "reason": record.reason},
        )

    # -- the steps -----------------------------------------------------------------------------

    def _jobs(
        self, contract: Contract, edition: str, signers: dict[tuple[Edition, str], list[CpsSigner]], now: datetime
    ) -> list[_Job]:
        """What there is to be made for a contract; ``signers`` are remembered for the others of a group."""
        jobs: list[_Job] = []
        for vehicle in self._vehicles.list(pcid=contract.pcid, edition=edition):
            signed_in = EDITIONS.get(vehicle.edition)
            if signed_in is None or (signed_in, vehicle.suite) not in _DELIVERED:
                continue
            recipient = recipient_of(signed_in, vehicle.pcid, vehicle.chain[0])
            family = (recipient.edition, recipient.suite)
            if family not in signers:
                signers[family] = _one_per_root(self._cps.signers(*family, now))
            jobs.extend(self._job(contract, recipient, signer) for signer in signers[family])
        return jobs

    def _job(self, contract: Contract, recipient: Recipient, signer: CpsSigner) -> _Job:
        ready = self._pools.ready_bundle(
            contract.id,
            edition=recipient.edition,
            suite=recipient.suite,
            receiver=recipient.receiver,
            v2g_root=signer.root_fingerprint,
        )
        return _Job(contract, recipient, signer, ready)

    def _fresh(self, bundle: Bundle, contract: Contract, now: datetime) -> bool:
        """Whether a bundle may be sent, and its certificate is not about to end, unless the contract ends with it."""
        if not self.may_be_sent(bundle, contract, now):
            return False
        if not self._contracts.soon(bundle.edition, bundle.not_after, now):
            return True
        record = self._store.certificate(bundle.issuer_id, bundle.serial)
        end = bundle.not_after if record is None else record.not_after
        return not self._contracts.soon(bundle.edition, end, now) or end >= contract.ends

    def _make_group(self, jobs: Sequence[_Job], now: datetime) -> list[Bundle]:
        """All of them in one commit; when somebody else made one of them meanwhile, one by one."""
        if not jobs:
            return []
        try:
            return self._make(jobs, now)
        except V2GPKIError as problem:
            if problem.code != "store.conflict":
                raise
        return [self.bundle(job.contract, job.recipient, job.signer, now) for job in jobs]

    def _make(self, jobs: Sequence[_Job], now: datetime) -> list[Bundle]:
        """Issue, wrap, sign, commit. Where only the CPS's certificate ended, the old contract certificate is signed
        again: its key is wrapped already and known to nobody."""
        made: list[Bundle] = []
        new = []
        for job in jobs:
            again = self._signed_again(job, now)
            if again is None:
                new.append(job)
            else:
                self._pools.add_bundle(again, self._caller)
                made.append(again)
        if new:
            orders = [
                self._mo.order(job.contract, edition=job.recipient.edition, suite=job.recipient.suite, now=now)
                for job in new
            ]

            def deliver(issued: Sequence[Issued]) -> list[Bundle]:
                bundles = [self._delivering(job, answer, now) for job, answer in zip(new, issued, strict=True)]
                made.extend(bundles)
                return bundles

            self._mo.issue(orders, caller=self._caller, deliver=deliver)
        return made

    def _delivering(self, job: _Job, issued: Issued, now: datetime) -> Bundle:
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
            aad=self._aad,
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
            exi=self._cps.sign(data, signer).to_exi(),
            made_at=now,
            not_after=min(issued.record.not_after, signer.not_after),
            replaces="" if job.ready is None else job.ready.id,
        )

    def _signed_again(self, job: _Job, now: datetime) -> Bundle | None:
        """The job's ready bundle under a fresh signature, if nothing but the CPS's certificate ended."""
        ready = job.ready
        record = None if ready is None else self._store.certificate(ready.issuer_id, ready.serial)
        if ready is None or record is None or record.state != "valid" or record.not_after <= now:
            return None
        if self._contracts.soon(ready.edition, record.not_after, now) and record.not_after < job.contract.ends:
            return None
        signed = self._cps.sign(SignedContract.from_exi(ready.exi).data, job.signer)
        return replace(
            ready,
            id=os.urandom(16).hex(),
            exi=signed.to_exi(),
            made_at=now,
            not_after=min(record.not_after, job.signer.not_after),
            replaces=ready.id,
        )


def _one_per_root(signers: Sequence[CpsSigner]) -> list[CpsSigner]:
    newest: dict[bytes, CpsSigner] = {}
    for signer in signers:
        newest.setdefault(signer.root_fingerprint, signer)
    return list(newest.values())
