"""What every implementation of ``store.pool_protocol.PoolStore`` must do, as ``contract`` for ``Store``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.store.contract import Make, code_of
from tests.store.pool_samples import (
    EDITION,
    MO,
    answer,
    bundle,
    certified,
    contract,
    deliver,
    digest,
    emaid_of,
    pcid_of,
    prefix,
    root,
    vehicle,
)
from tests.store.samples import LATER, NOW, authority, changed, intent, issue, sign_head, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.pool_protocol import PoolStore
from v2gpki.store.pool_records import Bundle, Contract
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditEvent, CertificateRecord


def actions(store: Store, after: int = 0) -> list[tuple[str, str]]:
    return [(row.action, row.target) for row in store.audit_rows(after=after)]


def ready(pools: PoolStore, like: Bundle) -> Bundle | None:
    return pools.ready_bundle(
        like.contract_id,
        edition=like.edition,
        suite=like.suite,
        receiver=like.receiver,
        v2g_root=like.v2g_root,
        aad=like.aad,
    )


class PoolContract:
    """One test per promise of the protocol; after each one the audit log must agree with the tables."""

    @pytest.fixture
    def store(self, make: Make) -> Store:
        return make()

    @pytest.fixture(autouse=True)
    def agreed(self, store: Store) -> Iterator[None]:
        yield
        if store.audit_tip()[0]:
            sign_head(store)
        assert audit.verify(store, verifier=verifier).findings == ()

    @pytest.fixture
    def pools(self, store: Store) -> PoolStore:
        return store.pools

    # -- roots -------------------------------------------------------------------------------
    def test_a_root_is_decided(self, make: Make, pools: PoolStore) -> None:
        first, second = root(1), root(2, role="oem-root")
        assert pools.decide_root(first) == first
        assert pools.decide_root(second) == second
        refused = changed(first, decision="refused", decided_at=LATER, decided_by="other", role="mo-root", comment="x")
        assert pools.decide_root(refused) == refused
        assert pools.root(first.fingerprint) == refused
        assert pools.root(bytes(32)) is None
        assert make().pools.roots() == [refused, second]
        assert pools.roots(role="oem-root") == [second]

    def test_the_same_decision_again_is_nothing(self, store: Store, pools: PoolStore) -> None:
        first = pools.decide_root(root(1))
        before = (store.audit_tip(), pools.trust_revision())
        assert pools.decide_root(changed(first, decided_at=LATER, decided_by="other")) == first
        assert (store.audit_tip(), pools.trust_revision()) == before

    def test_a_root_has_its_own_fingerprint(self, store: Store, pools: PoolStore) -> None:
        with pytest.raises(ValueError):
            pools.decide_root(changed(root(1), fingerprint=bytes(32)))
        assert pools.roots() == []

    def test_the_trust_revision_counts_what_concerns_trust(self, make: Make, store: Store, pools: PoolStore) -> None:
        other = make().pools
        seen = [other.trust_revision()]

        def changes() -> bool:
            seen.append(other.trust_revision())
            return seen[-1] not in seen[:-1]

        pools.decide_root(root(1))
        assert changes()
        pools.decide_root(changed(root(1), decision="refused"))
        assert changes()
        ca = authority(store)
        assert changes()
        store.set_authority_state(ca.id, "retired", AuditEvent("", "me", ""), NOW)
        assert changes()
        store.set_authority_state(ca.id, "retired", AuditEvent("", "me", ""), NOW)
        assert not changes()
        second = authority(store, generation=2)
        assert changes()
        store.revoke(second.issuer_id, second.serial, NOW, "keyCompromise", "me")
        assert changes()
        made = issue(store, [1, 2])
        store.revoke(made[0].issuer_id, made[0].serial, NOW, "superseded", "me")
        pools.register_vehicle(vehicle(0))
        deliver(store, pools.add_contract(contract(1)), [10])
        pools.bind_prefix(prefix("WMI"))
        assert not changes()

    # -- prefixes ----------------------------------------------------------------------------
    def test_a_prefix_has_one_owner(self, store: Store, pools: PoolStore) -> None:
        pools.bind_prefix(prefix("WMI"))
        tip = store.audit_tip()
        pools.bind_prefix(changed(prefix("WMI"), bound_at=LATER, bound_by="other"))
        assert store.audit_tip() == tip
        with pytest.raises(V2GPKIError) as caught:
            pools.bind_prefix(prefix("WMI", owner="other"))
        assert code_of(caught) == ("store.conflict", "prefix")
        assert caught.value.facts["owner"] == "acme"
        assert pools.prefix("wmi", "WMI") == prefix("WMI")
        assert pools.prefix("mo", "WMI") is None
        assert pools.prefix("wmi", "wmi") is None

    def test_a_released_prefix_may_be_bound_again(self, store: Store, pools: PoolStore) -> None:
        pools.bind_prefix(prefix("WMI"))
        pools.release_prefix("wmi", "WMI", LATER, "you")
        pools.release_prefix("wmi", "WMI", LATER, "you")
        pools.release_prefix("wmi", "XXX", LATER, "you")
        assert pools.prefix("wmi", "WMI") is None
        pools.bind_prefix(prefix("WMI", owner="other"))
        assert pools.prefix("wmi", "WMI") == prefix("WMI", owner="other")
        assert actions(store) == [
            ("prefix.bound", "wmi:WMI"),
            ("prefix.released", "wmi:WMI"),
            ("prefix.bound", "wmi:WMI"),
        ]
        released = next(iter(store.audit_rows(after=1)))
        assert (released.caller, released.at) == ("you", LATER)
        assert '"owner":"acme"' in released.details

    def test_prefixes_by_owner(self, pools: PoolStore) -> None:
        for text, owner in (("WMI", "b"), ("DEACM", "a"), ("AAA", "b"), ("ZZZ", "")):
            pools.bind_prefix(prefix(text, owner))
        assert [one.prefix for one in pools.prefixes()] == ["DEACM", "AAA", "WMI", "ZZZ"]
        assert [one.prefix for one in pools.prefixes(owner="b")] == ["AAA", "WMI"]
        assert [one.prefix for one in pools.prefixes(owner="")] == ["ZZZ"]

    # -- vehicles ----------------------------------------------------------------------------
    def test_vehicles(self, make: Make, pools: PoolStore) -> None:
        first, second = vehicle(2), vehicle(1)
        old, new = vehicle(2, edition="iso15118-20", suite="p521"), vehicle(2, edition="iso15118-20", suite="x448")
        for one in (first, second, old, new):
            assert pools.register_vehicle(one) == ()
        pools = make().pools
        assert pools.vehicle(first.pcid, EDITION) == first
        assert pools.vehicle(first.pcid, "iso15118-20") == new
        assert pools.vehicle(first.pcid, "iso15118-20", "p521") == old
        assert pools.vehicle(first.pcid, EDITION, "p521") is None
        assert pools.vehicle(pcid_of(9), EDITION) is None
        assert list(pools.vehicles()) == [first, second, old, new]
        assert list(pools.vehicles(pcid=first.pcid)) == [first, old, new]
        assert list(pools.vehicles(edition="iso15118-20")) == [old, new]
        assert list(pools.vehicles(owner="acme", edition=EDITION)) == [first, second]
        assert list(pools.vehicles(owner="")) == []

    def test_more_vehicles_than_a_page(self, pools: PoolStore) -> None:
        registered = [vehicle(number) for number in range(501)]
        for one in registered:
            pools.register_vehicle(one)
        assert list(pools.vehicles()) == registered

    def test_the_same_leaf_again_renews_chain_and_roots_only(self, store: Store, pools: PoolStore) -> None:
        first = vehicle(0)
        pools.register_vehicle(first)
        made = deliver(store, pools.add_contract(contract(1)), [1])
        tip = store.audit_tip()
        assert pools.register_vehicle(changed(first, registered_at=LATER, owner="x", registered_by="x")) == ()
        assert store.audit_tip() == tip
        again = changed(first, chain=(first.chain[0], b"other"), v2g_roots=(), owner="x", registered_at=LATER)
        assert pools.register_vehicle(again) == ()
        expected = changed(first, chain=(first.chain[0], b"other"), v2g_roots=())
        assert pools.vehicle(first.pcid, EDITION) == expected
        assert ready(pools, made[0]) == made[0]
        assert actions(store, tip[0]) == [("vehicle.registered", f"{first.pcid}/{EDITION}/p256")]

    def test_another_leaf_withdraws_what_was_made_for_the_key_before(self, store: Store, pools: PoolStore) -> None:
        pools.register_vehicle(vehicle(0))
        pools.register_vehicle(vehicle(5))
        mine, later = pools.add_contract(contract(1)), pools.add_contract(contract(2))
        other = pools.add_contract(contract(3, car=5))
        (first,), (second,) = deliver(store, mine, [1]), deliver(store, other, [3])
        (update,) = deliver(store, later, [2], key=7)
        pools.add_bundle(bundle(mine, certified(1)[0], edition="iso15118-20"), "me")
        assert pools.register_vehicle(vehicle(0, key=1)) == (mine,)
        assert pools.vehicle(mine.pcid, EDITION) == vehicle(0, key=1)
        assert ready(pools, first) is None
        assert pools.bundle(first.id) == changed(first, state="withdrawn")
        assert ready(pools, second) == second
        assert ready(pools, update) == update, "wrapped for another key"
        assert len([one for one in pools.bundles(pcid=mine.pcid) if one.state == "ready"]) == 2
        assert pools.contract(mine.id) == mine
        assert pools.register_vehicle(changed(vehicle(0, key=2), receiver=vehicle(0, key=1).receiver)) == ()
        assert [one.fingerprint for one in pools.vehicles()] == [vehicle(5).fingerprint, vehicle(0, key=2).fingerprint]

    @pytest.mark.parametrize("spoiled", [{"fingerprint": bytes(32)}, {"chain": ()}])
    def test_a_vehicle_has_its_own_fingerprint(self, pools: PoolStore, spoiled: dict[str, object]) -> None:
        with pytest.raises(ValueError):
            pools.register_vehicle(changed(vehicle(0), **spoiled))
        assert list(pools.vehicles()) == []

    def test_deleting_a_vehicle_purges_its_contracts(self, store: Store, pools: PoolStore) -> None:
        first, second = vehicle(0), vehicle(0, edition="iso15118-20", suite="p521")
        for one in (first, second, vehicle(1)):
            pools.register_vehicle(one)
        ended = pools.end_contract(pools.add_contract(contract(9)).id, NOW, "superseded", "me")
        mine, more, other = (pools.add_contract(one) for one in (contract(1), contract(2), contract(3, car=1)))
        (made,), (elsewhere,) = deliver(store, mine, [1]), deliver(store, other, [3])
        newer = bundle(mine, certified(1)[0], number=5, edition="iso15118-20")
        pools.add_bundle(newer, "me")
        assert pools.delete_vehicle(mine.pcid, LATER, "oem", edition="iso15118-20") == ()
        assert pools.vehicle(mine.pcid, "iso15118-20") is None
        assert (ready(pools, newer), ready(pools, made)) == (None, made)
        assert pools.contract(mine.id) == mine
        tip = store.audit_tip()[0]
        purged = tuple(changed(one, state="purged", ended_at=LATER, default=False) for one in (mine, more))
        assert pools.delete_vehicle(mine.pcid, LATER, "oem") == purged
        assert actions(store, tip) == [
            ("vehicle.deleted", f"{mine.pcid}/{EDITION}/p256"),
            ("bundle.withdrawn", made.id),
            ("contract.purged", mine.id),
            ("contract.purged", more.id),
        ]
        assert list(pools.vehicles()) == [vehicle(1)]
        assert list(pools.contracts(pcid=mine.pcid)) == [ended, *purged]
        assert ready(pools, elsewhere) == elsewhere
        certificate = store.certificate(made.issuer_id, made.serial)
        assert certificate is not None
        assert certificate.state == "valid"
        for pcid, edition in ((mine.pcid, ""), (other.pcid, "iso15118-20"), ("", "")):
            with pytest.raises(V2GPKIError) as caught:
                pools.delete_vehicle(pcid, LATER, "oem", edition=edition)
            assert caught.value.code == "store.unknown_vehicle"
        tip = store.audit_tip()[0]
        assert pools.end_contract(mine.id, NOW, "superseded", "me") == purged[0]
        assert actions(store, tip) == [("certificate.revoked", f"{made.issuer_id}/{made.serial:x}")]
        tip = store.audit_tip()[0]
        assert pools.end_contract(mine.id, NOW, "superseded", "me") == purged[0]
        assert store.audit_tip()[0] == tip
        pools.register_vehicle(first)
        assert pools.add_contract(contract(1, again=1)).default

    def test_deleting_revokes_when_a_reason_is_given(self, store: Store, pools: PoolStore) -> None:
        for car in (0, 1):
            pools.register_vehicle(vehicle(car))
        mine, other = pools.add_contract(contract(1)), pools.add_contract(contract(2, car=1))
        (made,), (kept,) = deliver(store, mine, [1]), deliver(store, other, [2])
        with pytest.raises(ValueError):
            pools.delete_vehicle(mine.pcid, NOW, "oem", revoke="bored")
        assert pools.vehicle(mine.pcid, EDITION)
        (purged,) = pools.delete_vehicle(mine.pcid, NOW, "oem", revoke="superseded")
        assert purged.state == "purged"
        revoked, valid = (store.certificate(one.issuer_id, one.serial) for one in (made, kept))
        assert revoked is not None
        assert valid is not None
        assert (revoked.state, revoked.reason, valid.state) == ("revoked", "superseded", "valid")

    # -- contracts ---------------------------------------------------------------------------
    def test_contracts(self, make: Make, pools: PoolStore) -> None:
        first = pools.add_contract(contract(2))
        second = pools.add_contract(contract(1, car=1))
        third = pools.add_contract(contract(3))
        ended = pools.end_contract(second.id, LATER, "cessationOfOperation", "me")
        assert ended == changed(second, state="ended", ended_at=LATER, reason="cessationOfOperation", default=False)
        pools = make().pools
        assert pools.contract(first.id) == first
        assert pools.contract("none") is None
        assert list(pools.contracts()) == [first, ended, third]
        assert list(pools.contracts(pcid=pcid_of(0))) == [first, third]
        assert list(pools.contracts(emaid=emaid_of(2))) == [first]
        assert list(pools.contracts(state="active")) == [first, third]
        assert list(pools.contracts(state="ended")) == [ended]
        assert list(pools.contracts(state="purged", pcid=pcid_of(1))) == []
        assert list(pools.contracts(ending_before=first.ends)) == [ended]
        assert list(pools.contracts(ending_before=third.ends, state="active")) == [first]
        assert list(pools.contracts(ending_before=third.ends + timedelta(seconds=1), state="active")) == [first, third]

    def test_more_contracts_than_a_page(self, pools: PoolStore) -> None:
        made = [pools.add_contract(contract(number)) for number in range(501)]
        assert list(pools.contracts()) == list(pools.contracts(pcid=pcid_of(0))) == made

    def test_an_emaid_has_one_active_contract(self, store: Store, pools: PoolStore) -> None:
        first = pools.add_contract(contract(1))
        for emaid in (first.emaid, first.emaid + "K"):
            with pytest.raises(V2GPKIError) as caught:
                pools.add_contract(changed(contract(1, car=3, again=1), emaid=emaid))
            assert code_of(caught) == ("store.conflict", "emaid")
            assert caught.value.facts["contract_id"] == first.id
        ended = pools.end_contract(first.id, NOW, "superseded", "me")
        assert pools.contract_of(first.emaid) == ended
        second = pools.add_contract(changed(contract(1, car=3, again=1), emaid=first.emaid + "K"))
        assert pools.contract_of(first.emaid) == pools.contract_of(first.emaid + "K") == second
        assert list(pools.contracts(emaid=first.emaid)) == [ended, second]
        last = pools.end_contract(second.id, LATER, "superseded", "me")
        assert pools.contract_of(first.emaid) == last
        assert pools.contract_of(emaid_of(7)) is None

    def test_the_contract_that_ended_last(self, pools: PoolStore) -> None:
        first = pools.add_contract(contract(1))
        pools.end_contract(first.id, LATER, "superseded", "me")
        second = pools.add_contract(contract(1, again=1))
        pools.end_contract(second.id, NOW, "superseded", "me")
        found = pools.contract_of(first.emaid)
        assert found is not None
        assert found.id == first.id

    def test_an_id_is_used_once(self, pools: PoolStore) -> None:
        first = pools.add_contract(contract(1))
        with pytest.raises(V2GPKIError) as caught:
            pools.add_contract(changed(contract(2), id=first.id))
        assert code_of(caught) == ("store.conflict", "contract_id")

    @pytest.mark.parametrize("spoiled", [{"state": "ended", "ended_at": NOW}, {"ended_at": NOW}, {"reason": "x"}])
    def test_a_new_contract_is_active(self, pools: PoolStore, spoiled: dict[str, object]) -> None:
        with pytest.raises(ValueError):
            pools.add_contract(changed(contract(1), **spoiled))

    def test_the_default_contract(self, store: Store, pools: PoolStore) -> None:
        first = pools.add_contract(contract(1))
        second = pools.add_contract(contract(2))
        other = pools.add_contract(contract(5, car=1))
        assert (first.default, second.default, other.default) == (True, False, True)

        def default() -> list[str]:
            return [one.id for one in pools.contracts(pcid=first.pcid) if one.default]

        tip = store.audit_tip()[0]
        third = pools.add_contract(contract(3, default=True))
        assert default() == [third.id]
        assert actions(store, tip) == [("contract.defaulted", first.id), ("contract.created", third.id)]
        tip = store.audit_tip()[0]
        assert pools.set_default_contract(second.id, LATER, "you") == changed(second, default=True)
        assert default() == [second.id]
        assert actions(store, tip) == [("contract.defaulted", third.id), ("contract.defaulted", second.id)]
        tip = store.audit_tip()[0]
        assert pools.set_default_contract(second.id, LATER, "you") == changed(second, default=True)
        assert store.audit_tip()[0] == tip
        pools.end_contract(second.id, LATER, "superseded", "me")
        assert default() == [first.id], "the oldest active one"
        pools.end_contract(third.id, LATER, "superseded", "me")
        assert default() == [first.id]
        pools.end_contract(first.id, LATER, "superseded", "me")
        assert default() == []
        assert pools.contract(other.id) == other
        with pytest.raises(V2GPKIError) as caught:
            pools.set_default_contract(first.id, LATER, "me")
        assert code_of(caught) == ("store.conflict", "contract")
        with pytest.raises(V2GPKIError, match=r"store\.unknown_contract"):
            pools.set_default_contract("none", LATER, "me")

    def test_ending_a_contract(self, store: Store, pools: PoolStore) -> None:
        pools.register_vehicle(vehicle(0))
        mine, other = pools.add_contract(contract(1)), pools.add_contract(contract(2))
        old, new = deliver(store, mine, [10, 11])
        (expired,) = deliver(store, mine, [12], not_after=30, replaces=new.id)
        (kept,) = deliver(store, other, [13])
        store.revoke(MO, old.serial, NOW, "keyCompromise", "me")
        at = NOW + timedelta(days=30, seconds=1)
        tip, revision = store.audit_tip()[0], store.revision()
        ended = pools.end_contract(mine.id, at, "cessationOfOperation", "you")
        assert store.revision() == revision + 1
        assert actions(store, tip) == [
            ("contract.ended", mine.id),
            ("bundle.withdrawn", expired.id),
            ("certificate.revoked", f"{MO}/{new.serial:x}"),
            ("contract.defaulted", other.id),
        ]
        assert {(row.caller, row.at) for row in store.audit_rows(after=tip)} == {("you", at)}
        assert [(entry.serial, entry.reason) for entry in store.revoked_serials(MO)] == sorted(
            [(old.serial, "keyCompromise"), (new.serial, "cessationOfOperation")]
        )
        assert ready(pools, kept) == kept
        assert pools.end_contract(mine.id, LATER, "superseded", "me") == ended
        with pytest.raises(ValueError):
            pools.end_contract(other.id, at, "because", "me")
        with pytest.raises(V2GPKIError, match=r"store\.unknown_contract"):
            pools.end_contract("none", at, "superseded", "me")

    def test_a_certificate_is_valid_until_its_last_second(self, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        deliver(store, mine, [10], not_after=30)
        pools.end_contract(mine.id, NOW + timedelta(days=30), "superseded", "me")
        assert len(list(store.revoked_serials(MO))) == 1

    # -- issuing for contracts ---------------------------------------------------------------
    def test_certificates_of_a_contract(self, store: Store, pools: PoolStore) -> None:
        mine, other = pools.add_contract(contract(1)), pools.add_contract(contract(2))
        made = [certified(number) for number in (5, 3, 4, 6)]
        store.record_intents(
            [changed(intent(number, issuer_id=MO, caller="mo"), role="contract") for number in (5, 3, 4, 6)]
        )
        store.commit_results(
            [one for one, _ in made],
            [reference for _, reference in made],
            contracts=[mine.id, "", other.id, mine.id],
        )
        assert pools.certificates_of(mine.id) == [(MO, made[0][0].serial), (MO, made[3][0].serial)]
        assert pools.certificates_of(other.id) == [(MO, made[2][0].serial)]
        assert pools.certificates_of("none") == []
        assert list(pools.contract_certificates()) == [
            (one.id, MO, made[place][0].serial) for one, place in ((mine, 0), (other, 2), (mine, 3))
        ]

    @pytest.mark.parametrize("how", ["ended", "purged", "unknown"])
    def test_no_certificate_for_a_contract_that_is_not_active(self, store: Store, pools: PoolStore, how: str) -> None:
        pools.register_vehicle(vehicle(0))
        mine = contract(1) if how == "unknown" else pools.add_contract(contract(1))
        if how == "ended":
            pools.end_contract(mine.id, NOW, "superseded", "me")
        elif how == "purged":
            pools.delete_vehicle(mine.pcid, NOW, "me")
        with pytest.raises(V2GPKIError) as caught:
            deliver(store, mine, [1])
        expected = ("store.unknown_contract", None) if how == "unknown" else ("store.conflict", "contract")
        assert code_of(caught) == expected
        assert store.count_certificates() == 0
        assert len(store.pending_intents()) == 1
        with pytest.raises(V2GPKIError) as caught:
            pools.add_bundle(bundle(mine, certified(1)[0]), "me")
        assert code_of(caught) == expected

    def test_wrong_calls_write_nothing(self, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        made, reference = certified(1)
        store.record_intents([intent(1, issuer_id=MO, caller="mo")])
        good = bundle(mine, made)
        with pytest.raises(ValueError):
            store.commit_results([made], [reference], contracts=[mine.id, mine.id])
        for wrong in ({"serial": 5}, {"emaid": emaid_of(2)}, {"pcid": pcid_of(2)}, {"state": "withdrawn"}):
            with pytest.raises(ValueError):
                store.commit_results([made], [reference], contracts=[mine.id], bundles=[changed(good, **wrong)])
        assert (store.count_certificates(), list(pools.bundles()), pools.certificates_of(mine.id)) == (0, [], [])
        store.commit_results([made], [reference], contracts=[mine.id], bundles=[good])

    # -- bundles -----------------------------------------------------------------------------
    def test_bundles(self, make: Make, store: Store, pools: PoolStore) -> None:
        mine, other = pools.add_contract(contract(1)), pools.add_contract(contract(2))
        tip = store.audit_tip()[0]
        first, second = deliver(store, mine, [1, 3])
        (third,) = deliver(store, other, [2])
        assert [row.caller for row in store.audit_rows(after=tip)] == ["mo"] * 7
        pools = make().pools
        withdrawn = changed(first, state="withdrawn")
        assert pools.bundle(first.id) == withdrawn
        assert pools.bundle("none") is None
        assert list(pools.bundles()) == list(pools.bundles(pcid=mine.pcid)) == [withdrawn, second, third]
        assert list(pools.bundles(contract_id=mine.id)) == [withdrawn, second]
        assert list(pools.bundles(contract_id=mine.id, pcid=pcid_of(8))) == []
        assert ready(pools, first) == ready(pools, second) == second
        for spoiled in (
            {"contract_id": other.id[::-1]},
            {"edition": "iso15118-20"},
            {"suite": "p521"},
            {"receiver": bytes(32)},
            {"v2g_root": bytes(32)},
            {"aad": "none"},
        ):
            assert ready(pools, changed(second, **spoiled)) is None

    def test_bundles_compare_and_swap(self, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        (first,) = deliver(store, mine, [1])
        made = certified(1)[0]
        for replaces in ("", "another"):
            with pytest.raises(V2GPKIError) as caught:
                pools.add_bundle(bundle(mine, made, number=7, replaces=replaces), "me")
            assert code_of(caught) == ("store.conflict", "bundle")
            assert caught.value.facts["ready"] == first.id
        with pytest.raises(V2GPKIError) as caught:
            deliver(store, mine, [2])
        assert code_of(caught) == ("store.conflict", "bundle")
        assert (store.count_certificates(), len(store.pending_intents())) == (1, 1)
        tip = store.audit_tip()[0]
        second = bundle(mine, made, number=7, replaces=first.id)
        pools.add_bundle(second, "you")
        assert ready(pools, first) == second
        assert actions(store, tip) == [("bundle.withdrawn", first.id), ("bundle.made", second.id)]
        with pytest.raises(V2GPKIError) as caught:
            pools.add_bundle(bundle(mine, made, number=8, replaces=first.id), "me")
        assert code_of(caught) == ("store.conflict", "bundle")
        with pytest.raises(V2GPKIError) as caught:
            pools.add_bundle(changed(second, receiver=bytes(32), replaces=""), "me")
        assert code_of(caught) == ("store.conflict", "bundle_id")
        foreign = changed(bundle(mine, made, number=9, key=1), issuer_id="", serial=77)
        pools.add_bundle(foreign, "me")
        assert pools.bundle(foreign.id) == foreign

    def test_each_form_of_additional_data_has_its_bundle(self, make: Make, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        (plain,) = deliver(store, mine, [1])
        other = changed(bundle(mine, certified(1)[0], number=7), aad="none", cps_issuer_id="cps@1", cps_serial=1 << 150)
        pools.add_bundle(other, "me")
        pools = make().pools
        assert pools.bundle(other.id) == ready(pools, other) == other
        assert ready(pools, plain) == plain
        with pytest.raises(V2GPKIError) as caught:
            pools.add_bundle(changed(other, id="another"), "me")
        assert code_of(caught) == ("store.conflict", "bundle")
        assert caught.value.facts["ready"] == other.id
        with pytest.raises(V2GPKIError) as caught:
            pools.add_bundle(changed(other, id="another", replaces=plain.id), "me")
        assert code_of(caught) == ("store.conflict", "bundle")

    def test_a_bundle_for_a_registered_key_needs_the_vehicle(self, store: Store, pools: PoolStore) -> None:
        pools.register_vehicle(vehicle(0))
        mine = pools.add_contract(contract(1))
        good = changed(bundle(mine, certified(1)[0]), registered=True)
        pools.add_bundle(good, "me")
        assert ready(pools, good) == pools.bundle(good.id) == good
        pools.register_vehicle(vehicle(0, key=1))
        tip = store.audit_tip()
        elsewhere = changed(good, receiver=vehicle(0, key=1).receiver, edition="iso15118-20")
        for wrong in (good, changed(good, receiver=vehicle(5).receiver), elsewhere):
            with pytest.raises(V2GPKIError) as caught:
                pools.add_bundle(changed(wrong, id="another"), "me")
            assert code_of(caught) == ("store.conflict", "vehicle")
        made, reference = certified(2)
        store.record_intents([changed(intent(2, issuer_id=MO, caller="mo"), role="contract", identifier=emaid_of(2))])
        late = changed(bundle(mine, made, number=9), registered=True)
        with pytest.raises(V2GPKIError) as caught:
            store.commit_results([made], [reference], contracts=[mine.id], bundles=[late])
        assert code_of(caught) == ("store.conflict", "vehicle")
        assert (store.audit_tip(), store.count_certificates()) == (tip, 0)
        pools.add_bundle(changed(bundle(mine, made, number=9), registered=False), "me")

    def test_withdrawing(self, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        (first,), (second,) = deliver(store, mine, [1]), deliver(store, mine, [2], key=1)
        tip = store.audit_tip()[0]
        with pytest.raises(V2GPKIError, match=r"store\.unknown_bundle"):
            pools.withdraw_bundles([first.id, "none"], LATER, "you")
        assert ready(pools, first) == first
        pools.withdraw_bundles([first.id, first.id], LATER, "you")
        pools.withdraw_bundles([first.id], LATER, "you")
        pools.withdraw_bundles([], LATER, "you")
        assert (ready(pools, first), ready(pools, second)) == (None, second)
        assert actions(store, tip) == [("bundle.withdrawn", first.id)]
        deliver(store, mine, [3])

    # -- answers -----------------------------------------------------------------------------
    def test_the_first_answer_stays_while_its_bundles_are_ready(self, make: Make, store: Store) -> None:
        pools = store.pools
        mine, other = pools.add_contract(contract(1)), pools.add_contract(contract(2))
        (first,), (second,) = deliver(store, mine, [1]), deliver(store, other, [2])
        given = answer(1, [second, first])
        assert pools.answered(given.digest) is None
        assert pools.record_answer(given, "station") == given
        last = list(store.audit_rows())[-1]
        assert (last.action, last.caller, last.target) == ("request.answered", "station", given.digest.hex())
        before = (store.audit_tip(), store.revision())
        assert make().pools.record_answer(answer(1, [first]), "other") == given
        assert (store.audit_tip(), store.revision()) == before
        assert make().pools.answered(given.digest) == given
        pools.withdraw_bundles([second.id], NOW, "me")
        assert pools.answered(given.digest) == given
        new = answer(1, [first])
        assert pools.record_answer(new, "other") == new
        assert pools.answered(given.digest) == new
        assert list(pools.answers()) == [new]

    def test_an_answer_delivers_what_is_ready(self, store: Store) -> None:
        pools = store.pools
        (first,) = deliver(store, pools.add_contract(contract(1)), [1])
        pools.withdraw_bundles([first.id], NOW, "me")
        with pytest.raises(V2GPKIError) as caught:
            pools.record_answer(answer(1, [first]), "me")
        assert code_of(caught) == ("store.conflict", "withdrawn")
        with pytest.raises(V2GPKIError, match=r"store\.unknown_bundle"):
            pools.record_answer(changed(answer(1, []), bundles=("none",)), "me")
        assert list(pools.answers()) == []

    def test_which_contracts_have_bundles_that_are_ready(self, store: Store) -> None:
        pools = store.pools
        one, two, three, four = (pools.add_contract(contract(number)) for number in (1, 2, 3, 4))
        (first,), (second,) = deliver(store, one, [1]), deliver(store, two, [2])
        deliver(store, three, [3])
        deliver(store, three, [4], key=1)
        pools.withdraw_bundles([second.id], NOW, "me")
        ids = [one.id, two.id, three.id, four.id, "none"]
        assert pools.with_ready_bundles(ids) == {one.id, three.id}
        assert pools.with_ready_bundles([two.id, one.id]) == {first.contract_id}
        assert pools.with_ready_bundles([]) == frozenset()
        assert pools.with_ready_bundles([*(str(number) for number in range(1200)), three.id]) == {three.id}

    def test_an_answer_is_committed_with_its_certificate(self, store: Store) -> None:
        pools = store.pools
        mine, made, reference = self._intended(store, 1)
        one = bundle(mine, made)
        given = answer(1, [one])
        store.commit_results([made], [reference], contracts=[mine.id], bundles=[one], answers=[given])
        assert pools.answered(given.digest) == given
        last = list(store.audit_rows())[-1]
        assert (last.action, last.caller, last.target) == ("request.answered", made.caller, given.digest.hex())

    def test_a_request_that_was_answered_meanwhile_gets_no_second_certificate(self, store: Store) -> None:
        pools = store.pools
        (first,) = deliver(store, pools.add_contract(contract(9)), [9])
        earlier = pools.record_answer(answer(1, [first]), "other")
        mine, made, reference = self._intended(store, 1)
        one = bundle(mine, made)
        with pytest.raises(V2GPKIError) as caught:
            store.commit_results(
                [made], [reference], contracts=[mine.id], bundles=[one], answers=[answer(1, [one])]
            )
        assert code_of(caught) == ("store.conflict", "answer")
        assert pools.answered(earlier.digest) == earlier
        assert pools.bundle(one.id) is None
        assert store.certificate(made.issuer_id, made.serial) is None
        assert [pending.reference for pending in store.pending_intents()] == [reference]

    def test_an_answer_is_committed_only_with_a_bundle_of_its_own(self, store: Store) -> None:
        (first,) = deliver(store, store.pools.add_contract(contract(9)), [9])
        mine, made, reference = self._intended(store, 1)
        with pytest.raises(ValueError):
            store.commit_results(
                [made], [reference], contracts=[mine.id], bundles=[bundle(mine, made)], answers=[answer(1, [first])]
            )
        assert store.pools.answered(answer(1, []).digest) is None

    @staticmethod
    def _intended(store: Store, number: int) -> tuple[Contract, CertificateRecord, str]:
        """A contract, and a certificate for it whose intent is recorded."""
        made, reference = certified(number)
        wanted = changed(intent(number, issuer_id=MO, caller="mo"), role="contract", identifier=emaid_of(number))
        store.record_intents([wanted])
        return store.pools.add_contract(contract(number)), made, reference

    def test_an_answer_that_need_not_last_is_recorded_all_the_same(self, make: Make, store: Store) -> None:
        (first,) = deliver(store, store.pools.add_contract(contract(1)), [1])
        given = answer(1, [first])
        assert store.pools.record_answer(given, "me", lasting=False) == given
        assert store.pools.record_answer(answer(1, []), "me", lasting=False) == given
        assert make().pools.answered(given.digest) == given
        store.settle()

    def test_an_answer_without_bundles_never_stands(self, store: Store) -> None:
        pools = store.pools
        empty = answer(1, [])
        assert pools.record_answer(empty, "me") == empty
        (first,) = deliver(store, pools.add_contract(contract(1)), [1])
        assert pools.record_answer(answer(1, [first]), "me") == answer(1, [first])

    def test_positions_go_round(self, make: Make, pools: PoolStore) -> None:
        request, other = digest("request"), digest("other")
        assert [pools.take_position("a", request, 3, NOW) for _ in range(4)] == [0, 1, 2, 0]
        assert make().pools.take_position("b", request, 3, NOW) == 0
        assert pools.take_position("a", other, 3, NOW) == 0
        assert make().pools.take_position("a", request, 3, LATER) == 1
        assert pools.take_position("a", request, 1, LATER) == 0
        assert pools.take_position("a", request, 2, LATER) == 0
        assert pools.take_position("a", request, 2, LATER) == 1
        with pytest.raises(ValueError):
            pools.take_position("a", request, 0, NOW)

    # -- all of it ---------------------------------------------------------------------------
    def test_a_snapshot_only_reads(self, store: Store, pools: PoolStore) -> None:
        mine = pools.add_contract(contract(1))
        with store.snapshot():
            assert pools.contract(mine.id) == mine
            for write in (
                lambda: pools.add_contract(contract(2)),
                lambda: pools.end_contract(mine.id, NOW, "superseded", "me"),
                lambda: pools.register_vehicle(vehicle(1)),
                lambda: pools.take_position("a", bytes(32), 2, NOW),
            ):
                with pytest.raises(RuntimeError):
                    write()

    def test_a_naive_time_is_refused(self, store: Store, pools: PoolStore) -> None:
        naive = NOW.replace(tzinfo=None)
        mine = pools.add_contract(contract(1))
        with pytest.raises(TypeError):
            pools.add_contract(changed(contract(2), begins=naive))
        with pytest.raises(TypeError):
            pools.end_contract(mine.id, naive, "superseded", "me")
        assert list(pools.contracts()) == [mine]
