"""CCP, the pool of contracts: which EMAID charges for which vehicle, from when to when.

An EMAID (its first 14 characters) has one active contract at a time; a vehicle may have several, one of them its
default. A contract is made for a registered vehicle, under an EMAID whose check digit, if it has one, is right. It
is kept as it was written: 14 characters, or 15 with the check digit. Which contracts a vehicle gets, and in which
order, is a `Selection`. Ending a contract revokes its certificates; it never comes back.
Clauses: ISO 15118-1 annex H, [V2G2-108], [V2G2-690], [V2G20-2218]; VDE-AR-E 2802-100-1; OPCP contract pool.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, parse
from v2gpki.profile.load import Catalogue
from v2gpki.services.directory import Directory
from v2gpki.services.pools.contract_certificates import valid_certificates
from v2gpki.services.pools.pcid import pcid_key
from v2gpki.services.pools.provisioning_pool import unknown_vehicle
from v2gpki.services.pools.terms import period, require_lasting
from v2gpki.services.pools.writing import Writing
from v2gpki.store.pool_records import Contract, ContractState, PooledVehicle
from v2gpki.store.protocol import Store
from v2gpki.store.records import REASONS

_CLAUSE = "VDE-AR-E 2802-100-1; OPCP contract pool"
#: The role of a contract's certificates.
CONTRACT = "contract"
#: The characters of an EMAID that are the account; a check digit may follow.
_ACCOUNT = 14
#: The issuer of contracts whose certificates another house makes: this one only delivers what it was given.
ELSEWHERE = "elsewhere"
_ID_HEX = 32
#: A hold can be lifted, the end of a contract cannot.
ENDING_REASONS = tuple(reason for reason in REASONS if reason != "certificateHold")

#: The pool's method ``list`` hides the type's name inside the class.
_Contracts: TypeAlias = list[Contract]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of a vehicle's contracts it gets, and in which order.

    ``order``: ``default-first`` (the default, then the oldest first), ``oldest-first``, ``newest-first``.
    ``prioritised``: EMAIDs that the vehicle or the CSMS named come ``first``, in their order; or nothing but them is
    given (``only``); or nobody's wishes count (``ignore``). ``share``: ``all`` contracts, or the ``default`` one alone,
    as a contract pool of the field does for ISO 15118-2; what was wished for is given all the same.
    """

    order: Literal["default-first", "oldest-first", "newest-first"] = "default-first"
    prioritised: Literal["first", "only", "ignore"] = "first"
    share: Literal["all", "default"] = "all"


@dataclass(frozen=True, slots=True)
class ContractPolicy:
    """What is a matter of policy when contracts are made.

    ``wrong_check_digit``: what happens to an EMAID whose check digit is not the computed one; stacks in the field
    never look at it. ``unregistered_vehicle``: whether a contract may be made for a PCID that nobody registered.
    """

    wrong_check_digit: Literal["refuse", "accept"] = "refuse"
    unregistered_vehicle: Literal["refuse", "accept"] = "refuse"


@dataclass(frozen=True, slots=True)
class Ended:
    """A contract that ended, whether this call ended it or revoked anything of it, the certificates that were revoked,
    and the contract that is its vehicle's default now (None: the vehicle has none)."""

    contract: Contract
    changed: bool
    revoked: tuple[tuple[str, int], ...] = ()
    default: Contract | None = None


class ContractPool:
    """The contracts of one home. Safe from threads as far as its store is."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        seal: Callable[[], None],
        *,
        ready: Callable[[], None] | None = None,
        policy: ContractPolicy | None = None,
    ) -> None:
        """``seal`` signs the audit log's head after a write; ``ready`` raises when the home cannot be written."""
        self._store = store
        self._catalogue = catalogue
        self._directory = Directory(store, catalogue)
        self._writing = Writing(seal, ready)
        self.policy = policy or ContractPolicy()

    # -- making --------------------------------------------------------------------------------

    def create(
        self,
        emaid: str,
        pcid: str,
        begins: datetime,
        ends: datetime,
        *,
        default: bool = False,
        issuer: str = "",
        unregistered_vehicle: bool = False,
        short: bool = False,
        at: datetime,
        caller: str,
    ) -> Contract:
        """Make a contract; the vehicle's first one becomes its default, and so does one that asks for it.

        ``issuer`` names the mobility operator's authority, "" takes the one that fits, ``ELSEWHERE`` says that
        certificates come from outside. ``unregistered_vehicle`` makes it for a PCID that is not in the pool, ``short``
        for a time in which no certificate can be issued for it, for laboratories. A contract of this EMAID whose end
        has come is ended by this.
        Raises ``contract.exists`` (with the contract's id in the facts), ``contract.check_digit``,
        ``contract.bad_period``, ``contract.wrong_issuer``, ``pool.unknown_vehicle``, ``identifier.invalid``.
        """
        account = self._emaid(emaid)
        vehicle = pcid_key(pcid)
        first, last = period(begins, ends, at)
        rows = tuple(self._store.pools.vehicles(pcid=vehicle))
        if not (rows or unregistered_vehicle or self.policy.unregistered_vehicle == "accept"):
            raise unknown_vehicle(vehicle)
        signing = self._issuer(issuer, rows)
        if not short:
            require_lasting(self.shortest(vehicle), last - first)
        before = self._store.pools.contract_of(account)
        if before is not None and before.state == "active":
            if before.ends > at:
                raise _exists(before)
            self.end(before.id, at=at, caller=caller)
        contract = Contract(
            id=os.urandom(_ID_HEX // 2).hex(),
            emaid=account,
            pcid=vehicle,
            begins=first,
            ends=last,
            created_at=at,
            created_by=caller,
            issuer=signing,
            default=default,
        )
        try:
            with self._writing():
                return self._store.pools.add_contract(contract)
        except V2GPKIError as problem:
            faster = self._store.pools.contract_of(account)
            if problem.code != "store.conflict" or faster is None:
                raise
            raise _exists(faster) from problem

    # -- asking --------------------------------------------------------------------------------

    def find(self, name: str) -> Contract:
        """A contract by its id, a unique start of it (8 digits), or its EMAID in any writing: the active one of the
        EMAID, else the one that ended last. Raises ``contract.unknown``, ``contract.ambiguous``."""
        found = self._store.pools.contract(name.lower()) or self._of_emaid(name) or self._by_start(name.lower())
        if found is None:
            raise V2GPKIError(
                "contract.unknown",
                f"there is no contract with the EMAID or id {name[:40]!a}",
                hint="v2gpki contract list shows them all",
                clause=_CLAUSE,
                facts={"contract": name[:40]},
            )
        return found

    def list(
        self,
        *,
        pcid: str = "",
        emaid: str = "",
        state: ContractState | None = None,
        ending_before: datetime | None = None,
    ) -> Iterator[Contract]:
        """Contracts in the order of creation; raises ``identifier.invalid`` for an EMAID that is none."""
        account = _parsed(emaid).normal if emaid else ""
        return self._store.pools.contracts(
            pcid=pcid.upper(), emaid=account, state=state, ending_before=ending_before
        )

    def shortest(self, pcid: str) -> tuple[timedelta, str]:
        """The shortest time for which all keys of a vehicle can get a contract certificate, and the edition that says
        so; for one that is not registered, for which every edition of the home issues one."""
        vehicles = tuple(self._store.pools.vehicles(pcid=pcid_key(pcid)))
        families = {(one.edition, one.suite) for one in vehicles or self._store.authorities()}
        least = [
            (minimum, edition)
            for edition, suite in sorted(families)
            if CONTRACT in self._catalogue.roles(edition) and suite in self._catalogue.suites(edition, CONTRACT)
            and (minimum := self._catalogue.profile(edition, CONTRACT, suite).validity.minimum) is not None
        ]
        return max(least, default=(timedelta(0), ""))

    def window(self, edition: str) -> timedelta:
        """How long before its end a contract certificate of this edition expires soon: 21 days in -2, 14 in -20."""
        return self._catalogue.edition(edition).expiring_soon.window

    def soon(self, edition: str, end: datetime, at: datetime) -> bool:
        """Whether what ends at ``end`` is inside the edition's window of notice at ``at``, or over already."""
        return end - self.window(edition) <= at

    def expiring(self, edition: str, at: datetime) -> tuple[Contract, ...]:
        """The active contracts that end within the edition's window of notice, those that are over included."""
        within = at + self.window(edition) + timedelta(seconds=1)
        return tuple(self._store.pools.contracts(state="active", ending_before=within))

    def select(
        self,
        pcid: str,
        edition: str,
        at: datetime,
        *,
        prioritised: Sequence[str] = (),
        limit: int | None = None,
        policy: Selection | None = None,
    ) -> _Contracts:
        """The contracts that a vehicle gets at this moment, in the order of delivery, at most ``limit``.

        Only active contracts that have begun and are not over. ``prioritised`` are EMAIDs in any writing, the most
        wanted first; those that are no EMAID, or of no contract of this vehicle, say nothing. Contracts are of no
        edition: ``edition`` is who asks, for errors only (``profile.unknown_edition``, ``identifier.invalid``).
        """
        self._catalogue.edition(edition)
        rule = policy or Selection()
        current = [
            contract
            for contract in self._store.pools.contracts(pcid=pcid_key(pcid), state="active")
            if contract.begins <= at < contract.ends
        ]
        chosen = ordered(current, () if rule.prioritised == "ignore" else prioritised, rule)
        return chosen if limit is None else chosen[: max(limit, 0)]

    # -- changing ------------------------------------------------------------------------------

    def set_default(self, name: str, *, at: datetime, caller: str) -> tuple[Contract, bool]:
        """Make a contract (EMAID or id) its vehicle's default; returns it and whether that changed anything.

        Raises ``contract.not_active``, ``contract.unknown``.
        """
        contract = self.find(name)
        if contract.state != "active":
            raise V2GPKIError(
                "contract.not_active",
                f"the contract of {contract.emaid} is {contract.state} and can be no default",
                hint=f"v2gpki contract create --emaid {contract.emaid} --pcid {contract.pcid} makes a new one",
                clause=_CLAUSE,
                facts={"emaid": contract.emaid, "state": contract.state, "contract": contract.id},
            )
        if contract.default:
            return contract, False
        with self._writing():
            return self._store.pools.set_default_contract(contract.id, at, caller), True

    def end(
        self, name: str, reason: str = "cessationOfOperation", *, revoke: bool = True, at: datetime, caller: str
    ) -> Ended:
        """End a contract (EMAID or id): its certificates are revoked for ``reason`` (RFC 5280 5.3.1), what was made for
        it is withdrawn, and the vehicle's oldest other contract becomes its default. One that ended or was purged
        before stays as it is; certificates of it that are still valid are revoked. ``revoke`` False leaves the
        certificates valid, which only a test should want.

        Raises ``revocation.unknown_reason``, ``contract.unknown``.
        """
        if reason not in ENDING_REASONS:
            raise V2GPKIError(
                "revocation.unknown_reason",
                f"{reason[:40]!a} is no reason for which a contract ends",
                hint="use one of " + ", ".join(ENDING_REASONS),
                clause="RFC 5280 5.3.1",
                facts={"reason": reason[:40]},
            )
        contract = self.find(name)
        valid = valid_certificates(self._store, contract.id, at)
        if contract.state != "active" and not valid:
            return Ended(contract, changed=False, default=self.default_of(contract.pcid))
        with self._writing():
            ended = self._store.pools.end_contract(contract.id, at, reason, caller, revoke=revoke)
        left = valid_certificates(self._store, contract.id, at)
        revoked = tuple(pair for pair in valid if pair not in left)
        return Ended(ended, changed=True, revoked=revoked, default=self.default_of(contract.pcid))

    def valid_certificates(self, contract_id: str, at: datetime) -> tuple[tuple[str, int], ...]:
        """(issuer id, serial) of every certificate of a contract that is neither revoked nor over at ``at``."""
        return valid_certificates(self._store, contract_id, at)

    def default_of(self, pcid: str) -> Contract | None:
        """A vehicle's default contract; raises ``identifier.invalid``."""
        active = self._store.pools.contracts(pcid=pcid_key(pcid), state="active")
        return next((contract for contract in active if contract.default), None)

    # -- helpers -------------------------------------------------------------------------------

    def _emaid(self, text: str) -> str:
        """The EMAID as it is kept; a wrong check digit is refused where the policy says so."""
        identifier = _parsed(text)
        wrong = [warning for warning in identifier.warnings if warning.code == "identifier.check_digit"]
        if wrong and self.policy.wrong_check_digit == "refuse":
            raise V2GPKIError(
                "contract.check_digit",
                f"{text[:40]!a}: {wrong[0].message}",
                hint=f"correct the EMAID, or leave the check digit out; {_make(identifier.normal)} computes it",
                clause=wrong[0].clause,
                facts={"emaid": identifier.normal},
                findings=wrong,
            )
        return identifier.normal

    def _issuer(self, name: str, vehicles: Sequence[PooledVehicle]) -> str:
        """The authority as the contract names it: a generation when one was named, else the slug. It must be able to
        serve one of the vehicle's keys."""
        if name in ("", ELSEWHERE):
            return name
        authority = self._directory.find(name)
        profile = self._catalogue.profile(authority.edition, CONTRACT, authority.suite)
        if authority.role not in profile.issuers:
            raise V2GPKIError(
                "contract.wrong_issuer",
                f"{authority.id} is a {authority.role}, which issues no contract certificates",
                hint=f"name an authority of one of these roles: {', '.join(profile.issuers)}",
                clause=profile.clause,
                facts={"issuer": authority.id, "role": authority.role},
            )
        served = (authority.edition, authority.suite)
        if vehicles and served not in [(one.edition, one.suite) for one in vehicles]:
            known = ", ".join(f"{one.edition} in {one.suite}" for one in vehicles)
            raise V2GPKIError(
                "contract.wrong_issuer",
                f"{authority.id} issues for {authority.edition} in {authority.suite}; {vehicles[0].pcid} is registered "
                f"for {known}",
                hint="leave --issuer out, or name an authority of an edition for which the vehicle is registered",
                clause=profile.clause,
                facts={"issuer": authority.id, "edition": authority.edition, "pcid": vehicles[0].pcid},
            )
        return authority.id if "@" in name else authority.slug

    def _of_emaid(self, text: str) -> Contract | None:
        account = _account(text)
        return self._store.pools.contract_of(account) if account else None

    def _by_start(self, text: str) -> Contract | None:
        """The one contract whose id begins so; for people, who copy the first digits."""
        if len(text) < 8 or not set(text) <= set("0123456789abcdef"):
            return None
        found = [contract for contract in self._store.pools.contracts() if contract.id.startswith(text)]
        if len(found) > 1:
            raise V2GPKIError(
                "contract.ambiguous",
                f"{text!r} fits several contracts: {', '.join(contract.id for contract in found[:9])}",
                hint="give more digits of the id, or the EMAID",
                facts={"contract": text, "candidates": [contract.id for contract in found[:9]]},
            )
        return found[0] if found else None


def ordered(contracts: Sequence[Contract], prioritised: Sequence[str], rule: Selection) -> list[Contract]:
    """Contracts of one vehicle, given in the order of creation, in the order of delivery."""
    rest = list(contracts)
    if rule.order == "newest-first":
        rest.reverse()
    elif rule.order == "default-first":
        rest.sort(key=lambda contract: not contract.default)
    wished: list[Contract] = []
    for account in dict.fromkeys(map(_account, prioritised)):
        wished += [contract for contract in rest if account and contract.emaid[:_ACCOUNT] == account]
    if rule.prioritised == "only" and prioritised:
        return wished
    others = [contract for contract in rest if contract not in wished]
    if rule.share == "default":
        others = [contract for contract in others if contract.default]
    return wished + others


def _parsed(text: str) -> Identifier:
    """An EMAID, or its refusal with a hint."""
    try:
        return parse("emaid", text)
    except V2GPKIError as problem:
        problem.hint = problem.hint or f"{_make('DEABCC12345678')} builds one from its parts"
        raise


def _make(emaid: str) -> str:
    """What to type for an EMAID with its check digit."""
    return f"v2gpki id make emaid --country {emaid[:2]} --provider {emaid[2:5]} --instance {emaid[5:_ACCOUNT]}"


def _account(emaid: str) -> str:
    """The 14 characters that identify an EMAID, "" for what is none."""
    try:
        return parse("emaid", emaid).normal[:_ACCOUNT]
    except V2GPKIError:
        return ""


def _exists(contract: Contract) -> V2GPKIError:
    return V2GPKIError(
        "contract.exists",
        f"{contract.emaid} has a contract already: for {contract.pcid}, until {rfc3339(contract.ends)}",
        hint=f"an EMAID has one contract at a time; v2gpki contract end {contract.emaid} ends it",
        clause=_CLAUSE,
        facts={"emaid": contract.emaid, "pcid": contract.pcid, "contract": contract.id, "ends": rfc3339(contract.ends)},
    )
