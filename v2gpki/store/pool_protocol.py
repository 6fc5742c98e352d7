"""What the pools need of the store: `Store.pools`. As everywhere in the store, a method that writes is one
transaction with its audit rows, durable when it returns unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from v2gpki.store.pool_records import (
    Answered,
    Bundle,
    Contract,
    ContractState,
    PooledRoot,
    PooledVehicle,
    Prefix,
    PrefixKind,
)


class PoolStore(Protocol):
    """Roots, provisioning certificates, contracts and signed contract data of one home."""

    # -- roots (RCP) ---------------------------------------------------------------------------
    def decide_root(self, root: PooledRoot) -> PooledRoot:
        """Add a root with its decision, or change decision, role and comment of one that is there."""
        ...

    def root(self, fingerprint: bytes) -> PooledRoot | None:
        """One root by the SHA-256 of its certificate."""
        ...

    def roots(self, *, role: str = "") -> list[PooledRoot]:
        """All roots, in the order in which they came."""
        ...

    def trust_revision(self) -> int:
        """Changes with every decision about a root and every creation or change of state of an authority, by any
        process, and with nothing else; cheap enough to ask at every request (10 us)."""
        ...

    # -- who owns which identifiers ------------------------------------------------------------
    def bind_prefix(self, prefix: Prefix) -> None:
        """Give a prefix to a party; one that another party has raises ``store.conflict``, the same again is nothing."""
        ...

    def release_prefix(self, kind: PrefixKind, prefix: str, at: datetime, caller: str) -> None:
        """Take a prefix from its party. Unknown: nothing happens."""
        ...

    def prefix(self, kind: PrefixKind, prefix: str) -> Prefix | None:
        """Who has it."""
        ...

    def prefixes(self, *, owner: str | None = None) -> list[Prefix]:
        """All of them, or one party's, by kind and prefix."""
        ...

    # -- provisioning certificates (PCP) -------------------------------------------------------
    def register_vehicle(self, vehicle: PooledVehicle) -> tuple[Contract, ...]:
        """Add a vehicle, or replace its row of the same (PCID, edition, suite).

        The same leaf again changes nothing but chain and roots. Another leaf withdraws the bundles that were made for
        the key before; contracts stay. Returns the contracts whose bundles were withdrawn.
        """
        ...

    def vehicle(self, pcid: str, edition: str, suite: str = "") -> PooledVehicle | None:
        """One vehicle; ``suite`` "" takes the newest of the edition."""
        ...

    def vehicles(self, *, pcid: str = "", edition: str = "", owner: str | None = None) -> Iterator[PooledVehicle]:
        """Vehicles in the order of registration."""
        ...

    def delete_vehicle(
        self, pcid: str, at: datetime, caller: str, *, edition: str = "", revoke: str = ""
    ) -> tuple[Contract, ...]:
        """Take a vehicle out of the pool (one edition, or all) and purge what was made for it, in one transaction.

        When no row of the PCID is left its active contracts become ``purged``; bundles made for a deleted row are
        withdrawn. Certificates of the purged contracts stay valid, unless ``revoke`` gives the reason (RFC 5280 5.3.1)
        for which they are revoked. Returns the contracts that were purged. Unknown: ``store.unknown_vehicle``.
        """
        ...

    # -- contracts (CCP) -----------------------------------------------------------------------
    def add_contract(self, contract: Contract) -> Contract:
        """Write a new active contract. An EMAID that has an active contract raises ``store.conflict``.

        The vehicle's first active contract becomes its default, and so does one that asks for it; returns it as
        written.
        """
        ...

    def contract(self, contract_id: str) -> Contract | None:
        """One contract by its id."""
        ...

    def contract_of(self, emaid: str) -> Contract | None:
        """The active contract of an EMAID, else the one that ended last, else None."""
        ...

    def contracts(
        self,
        *,
        pcid: str = "",
        emaid: str = "",
        state: ContractState | None = None,
        ending_before: datetime | None = None,
    ) -> Iterator[Contract]:
        """Contracts in the order of creation."""
        ...

    def set_default_contract(self, contract_id: str, at: datetime, caller: str) -> Contract:
        """Make an active contract its vehicle's default, in place of the one before. Not active: ``store.conflict``."""
        ...

    def end_contract(
        self, contract_id: str, at: datetime, reason: str, caller: str, *, revoke: bool = True
    ) -> Contract:
        """End a contract: withdraw its bundles and, with ``revoke``, revoke its certificates that are still valid, in
        one transaction.

        ``reason`` as in RFC 5280 5.3.1. Another active contract of the vehicle becomes default (the oldest). One
        that ended or was purged before stays as it is; what is still valid of its certificates is revoked. Unknown:
        ``store.unknown_contract``.
        """
        ...

    def certificates_of(self, contract_id: str) -> list[tuple[str, int]]:
        """(issuer id, serial) of every certificate that was issued for a contract, oldest first."""
        ...

    def contract_certificates(self) -> Iterator[tuple[str, str, int]]:
        """(contract id, issuer id, serial) of every certificate that was issued for a contract, in the order of
        issuance."""
        ...

    # -- signed contract data ------------------------------------------------------------------
    # Bundles are written by ``Store.commit_results(.., bundles=)``, with the certificates that they deliver, and
    # those that deliver an older certificate or a foreign one by ``add_bundle``. Both compare and swap: when the
    # newest ready bundle of the same (contract, edition, suite, receiver, root, aad) is not the one that ``replaces``
    # names ("" for none), somebody else was faster: ``store.conflict``, and nothing is written. The replaced one is
    # withdrawn. A bundle of a contract that is not active raises ``store.conflict``, and so does one that says
    # ``registered`` when no vehicle of its PCID and edition has its receiver (any more): ``which`` is "vehicle".
    def add_bundle(self, bundle: Bundle, caller: str) -> None:
        """Keep signed contract data for a certificate that exists already, or that was issued elsewhere."""
        ...

    def bundle(self, bundle_id: str) -> Bundle | None:
        """One bundle by its id."""
        ...

    def ready_bundle(
        self, contract_id: str, *, edition: str, suite: str, receiver: bytes, v2g_root: bytes, aad: str = ""
    ) -> Bundle | None:
        """The newest bundle that is ready for this contract, key, root and form of the additional data; whether it is
        still fresh is the caller's to judge."""
        ...

    def with_ready_bundles(self, contract_ids: Collection[str]) -> frozenset[str]:
        """Those of these contracts for which a bundle is ready, for whatever key and root: one look-up."""
        ...

    def bundles(self, *, contract_id: str = "", pcid: str = "") -> Iterator[Bundle]:
        """Bundles in the order of making, withdrawn ones included."""
        ...

    def withdraw_bundles(self, bundle_ids: Sequence[str], at: datetime, caller: str) -> None:
        """Never send these again."""
        ...

    # -- answers -------------------------------------------------------------------------------
    def answered(self, digest: bytes) -> Answered | None:
        """What a request was last answered with."""
        ...

    def answers(self) -> Iterator[Answered]:
        """What every request was last answered with, in the order in which they first came."""
        ...

    def record_answer(self, answer: Answered, caller: str, *, lasting: bool = True) -> Answered:
        """Note what a request is answered with. When it was answered before, with bundles, and all of those are still
        ready, that stays and is returned; else the new answer takes its place. A new answer with a bundle that is not
        ready (any more) raises ``store.conflict``, an unknown one ``store.unknown_bundle``.

        ``lasting`` False does not wait until it is durable: for an answer that would be found again if its record were
        lost in a power cut."""
        ...

    def take_position(self, station: str, digest: bytes, count: int, at: datetime) -> int:
        """Which of ``count`` bundles this station gets next for this request: 0, 1, .. count - 1, then 0 again. With
        one to choose from nothing is counted."""
        ...
