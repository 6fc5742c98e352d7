"""The pools against a model in plain dictionaries, driven by Hypothesis: which contract is active, which is a vehicle's
default, which bundle is ready, what is revoked. Two stores on one file take turns.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.pool_samples import EDITION, MO, contract, deliver, digest, pcid_of, vehicle
from tests.store.samples import NOW, changed, sign_head, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.pool_protocol import PoolStore
from v2gpki.store.pool_records import Bundle, Contract, PooledVehicle
from v2gpki.store.sqlite import SqliteStore

emaids = st.integers(0, 3)
cars = st.integers(0, 2)
keys = st.integers(0, 1)


class PoolMachine(RuleBasedStateMachine):
    """One rule per write that one record's change carries over to others."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="v2gpki-stateful-"))
        self.stores: list[SqliteStore] = []
        self.turn = 0
        self.contracts: dict[str, Contract] = {}
        self.vehicles: dict[str, PooledVehicle] = {}
        self.delivered: dict[str, Bundle] = {}
        self.certificates: dict[str, list[int]] = {}
        self.revoked: set[int] = set()

    @initialize()
    def make(self) -> None:
        self.stores = [SqliteStore(self.folder / "store.db", create=True) for _ in range(2)]
        # Something to begin with, so that each rule has work whichever others Hypothesis leaves out.
        self.register(0, 0)
        for number, car in ((0, 0), (1, 0), (2, 1)):
            self.add(number, car, False)
        for one in self.active():
            self.deliver_for(one, key=0)

    @property
    def store(self) -> SqliteStore:
        self.turn += 1
        return self.stores[self.turn % 2]

    @property
    def pools(self) -> PoolStore:
        return self.store.pools

    def active(self, *, emaid: str = "", pcid: str = "") -> list[Contract]:
        """In the order of creation."""
        return [
            one
            for one in self.contracts.values()
            if one.state == "active" and emaid in {"", one.emaid} and pcid in {"", one.pcid}
        ]

    def withdraw(self, **wanted: str | bytes) -> None:
        for one in self.delivered.values():
            if all(getattr(one, name) == value for name, value in wanted.items()):
                self.delivered[one.id] = changed(one, state="withdrawn")

    @rule(number=emaids, car=cars, default=st.booleans())
    def add(self, number: int, car: int, default: bool) -> None:
        wanted = contract(number, car=car, default=default, again=self.turn)
        if self.active(emaid=wanted.emaid):
            with pytest.raises(V2GPKIError, match=r"store\.conflict"):
                self.pools.add_contract(wanted)
            return
        others = self.active(pcid=wanted.pcid)
        expected = changed(wanted, default=default or not others)
        if expected.default:
            for other in others:
                self.contracts[other.id] = changed(other, default=False)
        assert self.pools.add_contract(wanted) == expected
        self.contracts[expected.id] = expected
        self.certificates[expected.id] = []

    @precondition(lambda self: self.active())
    @rule(data=st.data())
    def choose(self, data: st.DataObject) -> None:
        mine = data.draw(st.sampled_from(self.active()))
        for other in self.active(pcid=mine.pcid):
            self.contracts[other.id] = changed(other, default=other.id == mine.id)
        assert self.pools.set_default_contract(mine.id, NOW, "me") == self.contracts[mine.id]

    @precondition(lambda self: self.active())
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        mine = data.draw(st.sampled_from(self.active()))
        at = NOW + timedelta(minutes=self.turn)
        ended = changed(mine, state="ended", ended_at=at, reason="superseded", default=False)
        assert self.pools.end_contract(mine.id, at, "superseded", "me") == ended
        self.contracts[mine.id] = ended
        self.withdraw(contract_id=mine.id)
        self.revoked.update(self.certificates[mine.id])
        left = self.active(pcid=mine.pcid)
        if left and mine.default:
            self.contracts[left[0].id] = changed(left[0], default=True)

    @precondition(lambda self: self.active())
    @rule(data=st.data(), key=keys, honest=st.sampled_from([True, True, False]))
    def issue(self, data: st.DataObject, key: int, honest: bool) -> None:
        self.deliver_for(data.draw(st.sampled_from(self.active())), key=key, honest=honest)

    def deliver_for(self, mine: Contract, *, key: int, honest: bool = True) -> None:
        receiver = digest("key", int(mine.pcid[3:-1]), key, EDITION, "p256")
        ready = [
            one.id
            for one in self.delivered.values()
            if (one.contract_id, one.receiver, one.state) == (mine.id, receiver, "ready")
        ]
        replaces = "".join(ready) if honest else "stale"
        number = 1000 + self.turn
        if not honest:
            with pytest.raises(V2GPKIError, match=r"store\.conflict"):
                deliver(self.store, mine, [number], key=key, replaces=replaces)
            return
        (made,) = deliver(self.store, mine, [number], key=key, replaces=replaces)
        for old in ready:
            self.withdraw(id=old)
        self.delivered[made.id] = made
        self.certificates[mine.id].append(made.serial)

    @rule(car=cars, key=keys)
    def register(self, car: int, key: int) -> None:
        wanted = vehicle(car, key=key)
        before = self.vehicles.get(wanted.pcid)
        touched: set[str] = set()
        if before is None or before.fingerprint != wanted.fingerprint:
            self.vehicles.pop(wanted.pcid, None)
            self.vehicles[wanted.pcid] = wanted
        if before is not None and before.fingerprint != wanted.fingerprint:
            ready = [one for one in self.delivered.values() if one.state == "ready" and one.pcid == wanted.pcid]
            touched = {one.contract_id for one in ready if one.receiver == before.receiver}
            self.withdraw(pcid=wanted.pcid, receiver=before.receiver)
        assert {one.id for one in self.pools.register_vehicle(wanted)} == touched

    @rule(car=cars)
    def delete(self, car: int) -> None:
        pcid = pcid_of(car)
        if pcid not in self.vehicles:
            with pytest.raises(V2GPKIError, match=r"store\.unknown_vehicle"):
                self.pools.delete_vehicle(pcid, NOW, "me")
            return
        purged = [changed(one, state="purged", ended_at=NOW, default=False) for one in self.active(pcid=pcid)]
        assert list(self.pools.delete_vehicle(pcid, NOW, "me")) == purged
        del self.vehicles[pcid]
        self.contracts.update({one.id: one for one in purged})
        self.withdraw(pcid=pcid)

    @rule()
    def reopen(self) -> None:
        self.stores[0].close()
        self.stores[0] = SqliteStore(self.folder / "store.db")

    @invariant()
    def both_say_what_the_model_says(self) -> None:
        for store in self.stores:
            pools = store.pools
            assert list(pools.contracts()) == list(self.contracts.values())
            assert list(pools.vehicles()) == list(self.vehicles.values())
            assert list(pools.bundles()) == list(self.delivered.values())
            assert {entry.serial for entry in store.revoked_serials(MO)} == self.revoked
            for one in self.contracts.values():
                assert [serial for _, serial in pools.certificates_of(one.id)] == self.certificates[one.id]

    def teardown(self) -> None:
        if self.stores:
            if self.stores[0].audit_tip()[0]:
                sign_head(self.stores[0])
            assert audit.verify(self.stores[0], verifier=verifier).findings == ()
            assert self.stores[0].integrity() == []
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


TestPools = PoolMachine.TestCase
TestPools.settings = settings(settings.get_profile("v2gpki"), max_examples=50, stateful_step_count=25)
