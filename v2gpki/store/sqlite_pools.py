"""The pools of the embedded store: each call's connection, transaction and paging; what a write means stands in
``pooled_roots``, ``pooled_vehicles``, ``pooled_contracts`` and ``pooled_bundles``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeVar

from v2gpki.store import pooled_bundles, pooled_contracts, pooled_roots, pooled_vehicles
from v2gpki.store.connections import Held
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
from v2gpki.store.records import CertificateRecord

_PAGE = 500
_Record = TypeVar("_Record")
_Access = Callable[[], AbstractContextManager[sqlite3.Connection]]


class SqlitePools:
    """``store.pool_protocol.PoolStore`` over the connections of a ``SqliteStore``."""

    def __init__(self, reading: Callable[[], Held], writing: _Access, noting: _Access) -> None:
        """``noting`` is writing without waiting for the disk."""
        self._reading = reading
        self._writing = writing
        self._noting = noting

    # -- roots (RCP) -------------------------------------------------------------------------
    def decide_root(self, root: PooledRoot) -> PooledRoot:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_roots.decide(connection, root)

    def root(self, fingerprint: bytes) -> PooledRoot | None:
        """One root by the SHA-256 of its certificate."""
        with self._reading() as connection:
            return pooled_roots.one_root(connection, fingerprint)

    def roots(self, *, role: str = "") -> list[PooledRoot]:
        """In the order in which they came."""
        with self._reading() as connection:
            return pooled_roots.all_roots(connection, role)

    def trust_revision(self) -> int:
        """A few microseconds."""
        return self._reading().counter("trust", pooled_roots.trust_revision)

    # -- who owns which identifiers ----------------------------------------------------------
    def bind_prefix(self, prefix: Prefix) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            pooled_roots.bind(connection, prefix)

    def release_prefix(self, kind: PrefixKind, prefix: str, at: datetime, caller: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            pooled_roots.release(connection, kind, prefix, at, caller)

    def prefix(self, kind: PrefixKind, prefix: str) -> Prefix | None:
        """Who has it."""
        with self._reading() as connection:
            return pooled_roots.one_prefix(connection, kind, prefix)

    def prefixes(self, *, owner: str | None = None) -> list[Prefix]:
        """By kind and prefix."""
        with self._reading() as connection:
            return pooled_roots.all_prefixes(connection, owner)

    # -- provisioning certificates (PCP) -----------------------------------------------------
    def register_vehicle(self, vehicle: PooledVehicle) -> tuple[Contract, ...]:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_vehicles.register(connection, vehicle)

    def vehicle(self, pcid: str, edition: str, suite: str = "") -> PooledVehicle | None:
        """One vehicle."""
        with self._reading() as connection:
            return pooled_vehicles.one(connection, pcid, edition, suite)

    def vehicles(self, *, pcid: str = "", edition: str = "", owner: str | None = None) -> Iterator[PooledVehicle]:
        """In the order of registration, read page by page."""
        return self._paged(
            lambda connection, after: pooled_vehicles.page(
                connection, after, _PAGE, pcid=pcid, edition=edition, owner=owner
            )
        )

    def delete_vehicle(
        self, pcid: str, at: datetime, caller: str, *, edition: str = "", revoke: str = ""
    ) -> tuple[Contract, ...]:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_vehicles.delete(connection, pcid, at, caller, edition=edition, revoke=revoke)

    # -- contracts (CCP) ---------------------------------------------------------------------
    def add_contract(self, contract: Contract) -> Contract:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_contracts.add(connection, contract)

    def contract(self, contract_id: str) -> Contract | None:
        """One contract by its id."""
        with self._reading() as connection:
            return pooled_contracts.one(connection, contract_id)

    def contract_of(self, emaid: str) -> Contract | None:
        """By the first 14 characters: the check digit is no part of the identity."""
        with self._reading() as connection:
            return pooled_contracts.of_emaid(connection, emaid)

    def contracts(
        self,
        *,
        pcid: str = "",
        emaid: str = "",
        state: ContractState | None = None,
        ending_before: datetime | None = None,
    ) -> Iterator[Contract]:
        """In the order of creation, read page by page."""
        wanted = pooled_contracts.ContractFilter(pcid, emaid, state, ending_before)
        return self._paged(lambda connection, after: pooled_contracts.page(connection, wanted, after, _PAGE))

    def set_default_contract(self, contract_id: str, at: datetime, caller: str) -> Contract:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_contracts.set_default(connection, contract_id, at, caller)

    def end_contract(
        self, contract_id: str, at: datetime, reason: str, caller: str, *, revoke: bool = True
    ) -> Contract:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            return pooled_vehicles.end_contract(connection, contract_id, at, reason, caller, revoke=revoke)

    def certificates_of(self, contract_id: str) -> list[tuple[str, int]]:
        """Oldest first."""
        with self._reading() as connection:
            return pooled_contracts.certificates_of(connection, contract_id)

    def contract_certificates(self) -> Iterator[tuple[str, str, int]]:
        """In the order of issuance, read page by page."""
        return self._paged(lambda connection, after: pooled_contracts.links(connection, after, _PAGE))

    # -- signed contract data ----------------------------------------------------------------
    def add_bundle(self, bundle: Bundle, caller: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            pooled_bundles.add(connection, bundle, caller)

    def bundle(self, bundle_id: str) -> Bundle | None:
        """One bundle by its id."""
        with self._reading() as connection:
            return pooled_bundles.one(connection, bundle_id)

    def ready_bundle(
        self, contract_id: str, *, edition: str, suite: str, receiver: bytes, v2g_root: bytes, aad: str = ""
    ) -> Bundle | None:
        """There is one at most."""
        with self._reading() as connection:
            return pooled_bundles.ready(connection, (contract_id, receiver, v2g_root, edition, suite, aad))

    def with_ready_bundles(self, contract_ids: Collection[str]) -> frozenset[str]:
        """One look-up for each page of them."""
        asked, found = list(contract_ids), list[str]()
        with self._reading() as connection:
            for start in range(0, len(asked), _PAGE):
                found += pooled_bundles.with_ready(connection, asked[start : start + _PAGE])
        return frozenset(found)

    def bundles(self, *, contract_id: str = "", pcid: str = "") -> Iterator[Bundle]:
        """In the order of making, read page by page."""
        return self._paged(lambda connection, after: pooled_bundles.page(connection, contract_id, pcid, after, _PAGE))

    def withdraw_bundles(self, bundle_ids: Sequence[str], at: datetime, caller: str) -> None:
        """One transaction; see the protocol."""
        with self._writing() as connection:
            pooled_bundles.withdraw(connection, bundle_ids, at, caller)

    # -- answers -----------------------------------------------------------------------------
    def answered(self, digest: bytes) -> Answered | None:
        """What a request was last answered with."""
        with self._reading() as connection:
            return pooled_bundles.answered(connection, digest)

    def answers(self) -> Iterator[Answered]:
        """In the order of the first answer, read page by page."""
        return self._paged(lambda connection, after: pooled_bundles.answers(connection, after, _PAGE))

    def record_answer(self, answer: Answered, caller: str, *, lasting: bool = True) -> Answered:
        """One transaction; none when it would wait for the disk and the answer that was given stands."""
        if not lasting:
            with self._noting() as connection:
                return pooled_bundles.record(connection, answer, caller)
        with self._reading() as connection:
            present = pooled_bundles.standing(connection, answer.digest)
        if present is not None:
            return present
        with self._writing() as connection:
            return pooled_bundles.record(connection, answer, caller)

    def take_position(self, station: str, digest: bytes, count: int, at: datetime) -> int:
        """One transaction, none when there is but one to choose from."""
        if count < 1:
            raise ValueError("there is nothing to choose from")
        if count == 1:
            return 0
        with self._writing() as connection:
            return pooled_bundles.take_position(connection, station, digest, count, at)

    def deliver(
        self,
        connection: sqlite3.Connection,
        certificates: Sequence[CertificateRecord],
        contracts: Sequence[str],
        bundles: Sequence[Bundle],
        answers: Sequence[Answered],
    ) -> None:
        """The part of ``Store.commit_results`` that concerns contracts, inside its transaction."""
        pooled_contracts.link(connection, certificates, contracts)
        pooled_bundles.deliver(connection, certificates, bundles, answers)

    def _paged(
        self, read: Callable[[sqlite3.Connection, int], tuple[int, list[_Record]]]
    ) -> Iterator[_Record]:
        after = 0
        while True:
            with self._reading() as connection:
                after, found = read(connection, after)
            yield from found
            if not after:
                return
