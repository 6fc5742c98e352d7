"""What every implementation of ``store.protocol.Store`` must do. A test module of an implementation inherits
``StoreContract`` and gives a fixture ``make`` that opens the same empty store each time it is called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.store.samples import (
    ISSUER,
    LATER,
    NOW,
    authority,
    certificate,
    changed,
    crl,
    intent,
    issue,
    serial_of,
    sign_head,
    verifier,
)
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.access_records import Grant
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuditEvent, AuditHead

Make = Callable[[], Store]


def code_of(caught: pytest.ExceptionInfo[V2GPKIError]) -> tuple[str, object]:
    return caught.value.code, caught.value.facts.get("which")


class StoreContract:
    """One test per promise of the protocol."""

    @pytest.fixture
    def store(self, make: Make) -> Store:
        return make()

    # -- issuing -----------------------------------------------------------------------------
    def test_an_intent_becomes_a_certificate(self, store: Store) -> None:
        wanted = intent(1)
        store.record_intents([wanted])
        assert store.pending_intents() == [wanted]
        assert store.certificate(ISSUER, wanted.serial) is None
        made = certificate(wanted)
        store.commit_results([made], [wanted.reference])
        assert store.pending_intents() == []
        assert store.certificate(ISSUER, wanted.serial) == made

    def test_pending_intents_come_oldest_first(self, store: Store) -> None:
        store.record_intents([intent(5), intent(2)])
        store.record_intents([intent(3)])
        assert [found.recorded_at for found in store.pending_intents()] == [
            NOW + timedelta(seconds=second) for second in (2, 3, 5)
        ]

    def test_what_is_written_survives_closing(self, make: Make) -> None:
        first = make()
        made = issue(first, range(3))
        first.close()
        assert list(make().find_certificates()) == made

    def test_a_batch_of_intents_is_all_or_nothing(self, store: Store) -> None:
        store.record_intents([intent(1)])
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([intent(2), intent(1)])
        assert code_of(caught) == ("store.conflict", "serial")
        assert caught.value.facts["state"] == "pending"
        assert caught.value.facts["serial"] == f"{serial_of(1):x}"
        assert len(store.pending_intents()) == 1

    def test_a_serial_twice_in_one_batch(self, store: Store) -> None:
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([intent(1), changed(intent(1), reference="other")])
        assert code_of(caught) == ("store.conflict", "serial")
        assert store.pending_intents() == []

    def test_an_issued_serial_is_never_used_again(self, store: Store) -> None:
        issue(store, [1])
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([changed(intent(2), serial=serial_of(1))])
        assert code_of(caught) == ("store.conflict", "serial")
        assert caught.value.facts["state"] == "done"

    def test_an_abandoned_serial_is_never_used_again(self, store: Store) -> None:
        store.record_intents([intent(1)])
        store.abandon([intent(1).reference], NOW, "interrupted")
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([changed(intent(2), serial=serial_of(1))])
        assert code_of(caught) == ("store.conflict", "serial")
        assert caught.value.facts["state"] == "abandoned"

    def test_another_issuer_may_use_the_same_serial(self, store: Store) -> None:
        issue(store, [1])
        store.record_intents([intent(1, issuer_id="iso2-cps-sub-ca-2@1")])
        assert len(store.pending_intents()) == 1

    def test_a_key_of_idempotence_answers_with_the_certificate(self, store: Store) -> None:
        wanted = intent(1, key="row-1")
        store.record_intents([wanted])
        assert store.completed("factory", "row-1") is None
        made = certificate(wanted)
        store.commit_results([made], [wanted.reference])
        assert store.completed("factory", "row-1") == made
        assert store.completed("other", "row-1") is None

    def test_many_keys_of_idempotence_at_once(self, store: Store) -> None:
        """More than one statement takes, in a number that is no power of two."""
        wanted = [intent(number, key=f"row-{number}") for number in range(300)]
        pending, foreign = intent(300, key="row-300"), intent(301, key="row-301", caller="other")
        store.record_intents([*wanted, pending, foreign])
        made = [certificate(one) for one in (*wanted, foreign)]
        store.commit_results(made, [one.reference for one in (*wanted, foreign)])
        asked = [("factory", f"row-{number}") for number in range(303)]
        assert store.completed_many(asked) == {("factory", f"row-{number}"): made[number] for number in range(300)}
        assert store.completed_many([("other", key) for _, key in asked]) == {("other", "row-301"): made[-1]}
        mixed = [("factory", "row-2"), ("other", "row-301"), ("other", "row-1"), ("factory", "row-301")]
        assert store.completed_many(mixed) == {mixed[0]: made[2], mixed[1]: made[-1]}
        assert store.completed_many([]) == {}

    @pytest.mark.parametrize("finished", [False, True])
    def test_a_key_of_idempotence_is_used_once(self, store: Store, finished: bool) -> None:
        wanted = intent(1, key="row-1")
        store.record_intents([wanted])
        if finished:
            store.commit_results([certificate(wanted)], [wanted.reference])
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([intent(2), intent(3, key="row-1")])
        assert code_of(caught) == ("store.conflict", "idempotence_key")
        assert caught.value.facts["idempotence_key"] == "row-1"
        assert len(store.pending_intents()) == (0 if finished else 1)
        store.record_intents([intent(3, key="row-1", caller="another factory")])

    def test_a_key_of_idempotence_twice_in_one_batch(self, store: Store) -> None:
        with pytest.raises(V2GPKIError) as caught:
            store.record_intents([intent(1, key="a"), intent(2, key="a")])
        assert code_of(caught) == ("store.conflict", "idempotence_key")

    def test_an_abandoned_intent_frees_its_key(self, store: Store) -> None:
        store.record_intents([intent(1, key="row-1")])
        store.abandon([intent(1).reference], NOW, "interrupted")
        assert store.pending_intents() == []
        assert store.completed("factory", "row-1") is None
        store.record_intents([intent(2, key="row-1")])

    def test_results_of_an_abandoned_intent_are_refused(self, store: Store) -> None:
        wanted = [intent(1), intent(2)]
        store.record_intents(wanted)
        store.abandon([wanted[1].reference], NOW, "taken for dead")
        with pytest.raises(V2GPKIError) as caught:
            store.commit_results([certificate(one) for one in wanted], [one.reference for one in wanted])
        assert code_of(caught) == ("store.conflict", "intent")
        assert list(store.find_certificates()) == []
        assert store.pending_intents() == [wanted[0]]

    def test_results_need_their_own_intent(self, store: Store) -> None:
        store.record_intents([intent(1), intent(2)])
        with pytest.raises(V2GPKIError) as caught:
            store.commit_results([certificate(intent(1))], [intent(2).reference])
        assert code_of(caught) == ("store.conflict", "intent")
        assert len(store.pending_intents()) == 2

    def test_one_reference_per_certificate(self, store: Store) -> None:
        store.record_intents([intent(1)])
        with pytest.raises(ValueError):
            store.commit_results([certificate(intent(1))], [])
        assert len(store.pending_intents()) == 1

    def test_abandoning_twice_is_a_conflict_and_changes_nothing(self, store: Store) -> None:
        store.record_intents([intent(1), intent(2)])
        store.abandon([intent(1).reference], NOW, "interrupted")
        with pytest.raises(V2GPKIError) as caught:
            store.abandon([intent(2).reference, intent(1).reference], NOW, "interrupted")
        assert code_of(caught) == ("store.conflict", "intent")
        assert store.pending_intents() == [intent(2)]

    def test_a_naive_time_is_refused(self, store: Store) -> None:
        with pytest.raises(TypeError):
            store.record_intents([changed(intent(1), recorded_at=NOW.replace(tzinfo=None))])
        assert store.pending_intents() == []

    # -- looking up --------------------------------------------------------------------------
    def test_certificates_come_in_the_order_of_issuance(self, store: Store) -> None:
        made = issue(store, [9, 3, 7]) + issue(store, [1])
        assert list(store.find_certificates()) == made
        assert list(store.find_certificates(limit=2)) == made[:2]

    def test_more_certificates_than_a_page(self, store: Store) -> None:
        made = issue(store, range(1203))
        assert list(store.find_certificates()) == made
        assert list(store.find_certificates(limit=1001)) == made[:1001]
        assert store.count_certificates() == 1203

    @pytest.mark.parametrize("size", [1, 4, 5, 6, 10, 11])
    def test_pages_newest_first(self, store: Store, size: int) -> None:
        made = issue(store, range(5))
        issue(store, range(20, 23), issuer_id="other@1")
        made += issue(store, range(5, 10))
        mark, pages = 0, list[list[object]]()
        while mark or not pages:
            mark, page = store.newest_certificates(ISSUER, before=mark, limit=size)
            pages.append(list(page))
        assert [one for page in pages for one in page] == made[::-1]
        # -(-10 // size): 10 certificates, no page empty
        assert len(pages) == -(-10 // size)
        gone = store.revoke(ISSUER, made[3].serial, LATER, "superseded", "me")
        assert store.newest_certificates(ISSUER, state="revoked", limit=5) == (0, [gone])
        assert store.newest_certificates("nobody@1") == (0, [])

    @pytest.mark.parametrize("length", [1, 2, 7, 39, 40])
    def test_the_start_of_a_serial(self, store: Store, length: int) -> None:
        made = issue(store, range(60))
        prefix = f"{made[20].serial:x}"[:length]
        by_hand = [
            one for one in made if f"{one.serial:x}".startswith(prefix) or one.fingerprint.hex().startswith(prefix)
        ]
        assert list(store.find_certificates(prefix=prefix)) == by_hand
        assert list(store.find_certificates(prefix=prefix.upper())) == by_hand
        assert made[20] in by_hand

    def test_a_short_serial_by_its_start(self, store: Store) -> None:
        wanted = changed(intent(1), serial=0xABC)
        store.record_intents([wanted])
        store.commit_results([certificate(wanted)], [wanted.reference])
        assert [one.serial for one in store.find_certificates(prefix="ab")] == [0xABC]

    @pytest.mark.parametrize("length", [3, 8, 63, 64])
    def test_the_start_of_a_fingerprint(self, store: Store, length: int) -> None:
        made = issue(store, range(60))
        prefix = made[33].fingerprint.hex()[:length]
        assert made[33] in list(store.find_certificates(prefix=prefix))

    @pytest.mark.parametrize("prefix", ["zz", "0x12", "' OR 1", "a" * 65, "g"])
    def test_what_is_no_hex_matches_nothing(self, store: Store, prefix: str) -> None:
        issue(store, range(5))
        assert list(store.find_certificates(prefix=prefix)) == []

    def test_filters(self, store: Store) -> None:
        plain = issue(store, range(4))
        other = issue(store, range(10, 13), issuer_id="iso2-cps-sub-ca-2@1", role="cps", key_id="k")
        store.revoke(ISSUER, plain[1].serial, NOW, "superseded", "me")
        assert list(store.find_certificates(role="cps")) == other
        assert list(store.find_certificates(issuer_id="iso2-cps-sub-ca-2@1")) == other
        assert list(store.find_certificates(edition="iso15118-20")) == []
        assert list(store.find_certificates(identifier=plain[2].identifier)) == [plain[2]]
        assert [one.serial for one in store.find_certificates(state="revoked")] == [plain[1].serial]
        assert list(store.find_certificates(state="valid")) == [plain[0], *plain[2:], *other]
        assert list(store.find_certificates(state="abandoned")) == []
        border = sorted(one.not_after for one in (*plain, *other))[3]
        expiring = [one.serial for one in (*plain, *other) if one.not_after < border]
        assert [one.serial for one in store.find_certificates(expiring_before=border)] == expiring
        assert store.count_certificates(expiring_before=border) == 3
        assert store.count_certificates(role="cps") == 3
        assert store.count_certificates(state="revoked", issuer_id=ISSUER) == 1
        assert store.count_certificates(identifier=plain[2].identifier, edition="iso15118-2") == 1
        assert list(store.find_certificates(expiring_before=LATER)) == []

    def test_serials_of_an_issuer(self, store: Store) -> None:
        """Those that are valid, not yet at their end, of this issuer alone, in the order of issuance."""
        made = issue(store, range(1, 1203))
        issue(store, [2000], issuer_id="another@1")
        store.revoke(ISSUER, made[600].serial, LATER, "superseded", "me")
        left = [record for record in made if record is not made[600]]
        for moment in (NOW, made[0].not_after, made[0].not_after - timedelta(seconds=1), made[900].not_after):
            wanted = [record.serial for record in left if record.not_after > moment]
            assert list(store.serials(ISSUER, valid_at=moment)) == wanted
        assert list(store.serials("nobody@1", valid_at=NOW)) == []

    def test_keys_in_the_vault(self, store: Store) -> None:
        authority(store, "iso2-v2g-root")
        issue(store, [1])
        old, new = issue(store, [2, 3], role="ocsp", key_id="ocsp-key")
        cps = issue(store, [4], role="cps", key_id="cps-key", issuer_id="iso2-cps-sub-ca-2@1")
        assert store.held_certificates() == [*cps, new, old]
        assert store.held_certificates("ocsp", ISSUER) == [new, old]
        assert store.held_certificates(role="cps", issuer_id=ISSUER) == []
        store.revoke(ISSUER, new.serial, NOW, "keyCompromise", "me")
        assert store.held_certificates(role="ocsp") == [old]

    def test_authorities(self, store: Store) -> None:
        first = authority(store)
        second = authority(store, generation=2)
        root = authority(store, "iso2-v2g-root")
        assert store.authorities() == [first, second, root]
        assert store.authorities(edition="iso15118-20") == []
        assert store.authorities(role="v2g-root", suite="p256") == [first, second, root]
        assert store.authority("iso2-cpo-sub-ca-2@1") == first
        assert store.authority("iso2-cpo-sub-ca-2") == second
        assert store.authority("iso2-cpo-sub-ca-3") is None
        assert store.authority("iso2-cpo-sub-ca-2@3") is None
        found = store.certificate(root.issuer_id, root.serial)
        assert found is not None
        assert found.der == root.der

    def test_a_generation_exists_once(self, store: Store) -> None:
        first = authority(store)
        wanted = intent(77, issuer_id=first.id)
        store.record_intents([wanted])
        made = changed(certificate(wanted), fingerprint=bytes(32))
        with pytest.raises(V2GPKIError) as caught:
            store.commit_results(
                [made], [wanted.reference], authorities=[changed(first, serial=wanted.serial)]
            )
        assert code_of(caught) == ("store.conflict", "authority")
        assert store.pending_intents() == [wanted]
        assert store.authorities() == [first]

    def test_the_state_of_an_authority(self, store: Store) -> None:
        authority(store)
        second = authority(store, generation=2)
        event = AuditEvent("authority.retired", "me", "", {"why": "rollover"})
        store.set_authority_state(second.id, "retired", event, NOW)
        newest = store.authority("iso2-cpo-sub-ca-2")
        assert newest is not None
        assert newest.generation == 1
        store.set_authority_state(second.id, "revoked", event, NOW)
        with pytest.raises(V2GPKIError) as caught:
            store.set_authority_state(second.id, "active", event, NOW)
        assert code_of(caught) == ("store.conflict", "authority_state")
        with pytest.raises(V2GPKIError, match=r"unknown_authority"):
            store.set_authority_state("iso2-cpo-sub-ca-2", "retired", event, NOW)
        last = list(store.audit_rows())[-1]
        assert (last.action, last.caller, last.target) == ("authority.revoked", "me", second.id)
        assert last.details == '{"state":"revoked","why":"rollover"}'

    def test_a_revoked_certificate_takes_its_authority_along(self, store: Store) -> None:
        first, second = authority(store), authority(store, generation=2)
        before = store.revision()
        store.revoke(second.issuer_id, second.serial, NOW, "cACompromise", "me")
        assert store.revision() == before + 1
        assert [record.state for record in store.authorities()] == ["active", "revoked"]
        newest = store.authority(first.slug)
        assert newest is not None
        assert newest.id == first.id
        actions = [(row.action, row.target) for row in store.audit_rows()][-2:]
        assert [action for action, _ in actions] == ["certificate.revoked", "authority.revoked"]
        assert actions[1][1] == second.id

    # -- revoking ----------------------------------------------------------------------------
    def test_revoking(self, store: Store) -> None:
        made = issue(store, range(3))
        revoked = store.revoke(ISSUER, made[1].serial, LATER, "keyCompromise", "me")
        assert revoked == changed(made[1], state="revoked", revoked_at=LATER, reason="keyCompromise")
        assert store.certificate(ISSUER, made[1].serial) == revoked
        rows = store.audit_tip()[0]
        again = store.revoke(ISSUER, made[1].serial, LATER + timedelta(days=1), "keyCompromise", "other")
        assert again == revoked
        assert store.audit_tip()[0] == rows
        with pytest.raises(V2GPKIError, match=r"already_revoked"):
            store.revoke(ISSUER, made[1].serial, LATER, "superseded", "me")
        with pytest.raises(V2GPKIError, match=r"unknown_certificate"):
            store.revoke(ISSUER, 4711, LATER, "superseded", "me")
        with pytest.raises(ValueError):
            store.revoke(ISSUER, made[0].serial, LATER, "because", "me")

    def test_ids_with_a_revoked_certificate(self, store: Store) -> None:
        wanted = [changed(intent(number), identifier=name) for number, name in enumerate(("A", "A", "B", "", "C"))]
        store.record_intents(wanted)
        made = [certificate(one) for one in wanted]
        store.commit_results(made, [one.reference for one in wanted])
        assert store.revoked_identifiers(["A", "B", "C"]) == frozenset()
        for one in (made[1], made[3], made[4]):
            store.revoke(ISSUER, one.serial, LATER, "superseded", "me")
        assert store.revoked_identifiers(["A", "B", "", "D"]) == {"A"}
        assert store.revoked_identifiers({"A", "B", "C"}) == {"A", "C"}
        assert store.revoked_identifiers([]) == frozenset()

    def test_what_a_crl_lists(self, store: Store) -> None:
        made = issue(store, range(8))
        for number in (5, 2, 7):
            store.revoke(ISSUER, made[number].serial, NOW, "superseded", "me")
        short = changed(intent(20), serial=3)
        store.record_intents([intent(21), short])
        store.abandon([short.reference], LATER, "interrupted")
        listed = [(entry.serial, entry.reason) for entry in store.revoked_serials(ISSUER)]
        expected = sorted((made[number].serial, "superseded") for number in (5, 2, 7))
        assert listed == [(3, "unspecified"), *expected]
        assert next(iter(store.revoked_serials(ISSUER))).revoked_at == LATER
        assert list(store.revoked_serials("iso2-cps-sub-ca-2@1")) == []

    def test_crls(self, store: Store) -> None:
        issuer_id = authority(store).id
        assert store.latest_crl(issuer_id) is None
        store.append_crl(crl(issuer_id, 1), "me")
        store.append_crl(crl(issuer_id, 3), "me")
        for number in (1, 2, 3):
            with pytest.raises(V2GPKIError) as caught:
                store.append_crl(crl(issuer_id, number), "me")
            assert code_of(caught) == ("store.conflict", "crl_number")
        assert store.latest_crl(issuer_id) == crl(issuer_id, 3)
        assert list(store.crls()) == list(store.crls(issuer_id=issuer_id)) == [crl(issuer_id, 1), crl(issuer_id, 3)]
        assert list(store.crls(issuer_id="other@1")) == []

    # -- audit -------------------------------------------------------------------------------
    def test_every_deed_has_its_row(self, store: Store) -> None:
        issuer_id = authority(store).id
        made = issue(store, [1, 2], caller="factory")
        store.record_intents([intent(3)])
        store.abandon([intent(3).reference], NOW, "interrupted")
        store.revoke(ISSUER, made[0].serial, NOW, "superseded", "me")
        store.append_crl(crl(issuer_id, 1), "me")
        store.append_audit([AuditEvent("key.exported", "me", "k1", {"layout": "josev"})], LATER)
        rows = list(store.audit_rows())
        assert [row.action for row in rows] == [
            "certificate.issued",
            "authority.created",
            "certificate.issued",
            "certificate.issued",
            "intent.abandoned",
            "certificate.revoked",
            "crl.published",
            "key.exported",
        ]
        assert [row.sequence for row in rows] == list(range(1, 9))
        assert rows[0].previous == bytes(32)
        assert all(before.digest == after.previous for before, after in pairwise(rows))
        assert store.audit_tip() == (8, rows[-1].digest)
        assert rows[2].target == f"{ISSUER}/{made[0].serial:x}"
        assert rows[2].caller == "factory"
        assert rows[2].at == made[0].issued_at
        assert rows[7].at == LATER
        assert list(store.audit_rows(after=6)) == rows[6:]
        assert list(store.audit_rows(after=2, limit=3)) == rows[2:5]

    def test_more_rows_than_a_page(self, store: Store) -> None:
        store.append_audit([AuditEvent("note", "me", str(number)) for number in range(1234)], NOW)
        assert [row.sequence for row in store.audit_rows()] == list(range(1, 1235))
        assert [row.sequence for row in store.audit_rows(after=5, limit=700)] == list(range(6, 706))

    def test_rows_of_some_actions(self, store: Store) -> None:
        events = [AuditEvent(f"note.{number % 3}", "me", str(number)) for number in range(1800)]
        store.append_audit(events, NOW)
        chosen = [row.sequence for row in store.audit_rows(after=300, actions=("note.1", "note.2", "other"))]
        assert chosen == [number + 1 for number in range(300, 1800) if number % 3]
        assert [row.sequence for row in store.audit_rows(actions=("note.0",), limit=3)] == [1, 4, 7]
        assert list(store.audit_rows(actions=("other",))) == []

    def test_what_the_store_writes_itself_cannot_be_claimed(self, store: Store) -> None:
        with pytest.raises(ValueError):
            store.append_audit([AuditEvent("note", "me", ""), AuditEvent("certificate.issued", "me", "x")], NOW)
        assert store.audit_tip() == (0, bytes(32))

    def test_signed_heads(self, store: Store) -> None:
        issue(store, [1])
        first = sign_head(store)
        again = changed(first, at=LATER)
        store.append_audit_head(again)
        issue(store, [2])
        second = sign_head(store)
        assert list(store.audit_heads()) == [first, second]
        for wrong in (changed(second, digest=bytes(32)), changed(second, sequence=9)):
            with pytest.raises(V2GPKIError) as caught:
                store.append_audit_head(wrong)
            assert code_of(caught) == ("store.conflict", "audit_head")

    def test_an_empty_log_needs_no_head(self, store: Store) -> None:
        store.append_audit_head(AuditHead(0, bytes(32), NOW, b"anything"))
        assert list(store.audit_heads()) == []

    def test_a_whole_life_verifies(self, store: Store) -> None:
        self.test_every_deed_has_its_row(store)
        sign_head(store)
        verdict = audit.verify(store, verifier=verifier)
        assert verdict.findings == ()
        assert (verdict.rows, verdict.signed_up_to, verdict.first_broken) == (8, 8, 0)

    def test_counters_stand_still_in_a_snapshot_and_nowhere_else(self, make: Make, store: Store) -> None:
        other = make()

        def counters() -> tuple[int, int]:
            return store.pools.trust_revision(), store.access.revision()

        def change(number: int) -> None:
            authority(other, generation=number)
            other.access.grant([Grant("cpo-a", "secc", "", "id", "A", f"key-{number}", NOW, "me")])

        change(1)
        other.access.grant([Grant("cpo-a", "secc", "", "id", "B", f"more-{number}", NOW, "me") for number in range(9)])
        before = counters()
        assert before[0] != before[1]
        with store.snapshot():
            assert counters() == before
            change(2)
            assert counters() == before
            with store.snapshot():
                assert counters() == before
            assert counters() == before
        after = counters()
        assert all(new > old for old, new in zip(before, after, strict=True))
        change(3)
        assert all(new > old for old, new in zip(after, counters(), strict=True))

    def test_a_snapshot_stands_still(self, make: Make, store: Store) -> None:
        issue(store, [1])
        other = make()
        with store.snapshot():
            issue(other, [2])
            assert store.count_certificates() == 1
            assert store.audit_tip()[0] == 1
            with store.snapshot():
                assert store.count_certificates() == 1
            assert store.count_certificates() == 1
            with pytest.raises(RuntimeError):
                issue(store, [3])
        assert store.count_certificates() == 2
        issue(store, [3])

    # -- the home ----------------------------------------------------------------------------
    def test_settings_are_set_once(self, make: Make, store: Store) -> None:
        assert store.setting("audit_key") is None
        store.put_setting("audit_key", "00ff")
        store.put_setting("audit_key", "00ff")
        with pytest.raises(V2GPKIError) as caught:
            store.put_setting("audit_key", "0000")
        assert code_of(caught) == ("store.conflict", "setting")
        assert make().setting("audit_key") == "00ff"

    def test_a_setting_with_a_time_is_logged(self, store: Store) -> None:
        store.put_setting("org", "Acme", at=NOW, caller="me")
        store.put_setting("org", "Acme", at=LATER, caller="you")
        with pytest.raises(V2GPKIError, match=r"store\.conflict"):
            store.put_setting("org", "Other", at=NOW, caller="me")
        store.put_setting("audit_key", "00")
        (row,) = store.audit_rows()
        assert (row.action, row.target, row.at, row.caller) == ("setting.put", "org", NOW, "me")
        assert row.details == '{"value":"Acme"}'
        with pytest.raises(ValueError):
            store.append_audit([AuditEvent("setting.put", "me", "org")], NOW)

    def test_a_home_has_a_name(self, make: Make, store: Store) -> None:
        name = store.setting("home_id")
        assert name is not None
        assert len(bytes.fromhex(name)) == 16
        assert make().setting("home_id") == name

    def test_others_notice_a_write(self, make: Make, store: Store) -> None:
        other = make()
        before = other.revision()
        assert store.revision() == before
        issue(store, [1])
        between = other.revision()
        assert between != before
        store.revoke(ISSUER, serial_of(1), NOW, "superseded", "me")
        assert other.revision() not in {before, between}

    def test_a_lease_is_exclusive(self, make: Make, store: Store) -> None:
        other = make()
        with store.lease("crl", "a", NOW, 60) as mine:
            assert mine
            with other.lease("crl", "b", NOW + timedelta(seconds=59), 60) as second:
                assert not second
            with other.lease("ocsp", "b", NOW, 60) as different:
                assert different
            with other.lease("crl", "a", NOW, 60) as same_name:
                assert not same_name
        with other.lease("crl", "b", NOW, 60) as free:
            assert free

    def test_a_lease_runs_out(self, make: Make, store: Store) -> None:
        other = make()
        with store.lease("crl", "a", NOW, 60):
            late = other.lease("crl", "b", NOW + timedelta(seconds=60), 600)
            assert late.__enter__()
        # Leaving the block must not give away what somebody else holds by now.
        with store.lease("crl", "a", NOW + timedelta(seconds=61), 60) as taken:
            assert not taken
        late.__exit__(None, None, None)

    def test_a_lease_is_given_back_after_an_error(self, store: Store) -> None:
        with pytest.raises(KeyError), store.lease("crl", "a", NOW, 60):
            raise KeyError
        with store.lease("crl", "b", NOW, 60) as free:
            assert free

    def test_threads(self, store: Store) -> None:
        wrong: list[Exception] = []

        def work(start: int) -> None:
            try:
                for number in range(start, start + 10):
                    made = issue(store, [2 * number, 2 * number + 1])
                    assert store.certificate(ISSUER, made[0].serial) == made[0]
                    store.revoke(ISSUER, made[1].serial, NOW, "superseded", "me")
            except (V2GPKIError, AssertionError, RuntimeError) as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(100 * number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert store.count_certificates() == 120
        assert audit.verify(store, verifier=verifier).findings[0].code == "audit.unsigned"
        assert len(audit.verify(store, verifier=verifier).findings) == 1

    def test_closing_and_going_on(self, store: Store) -> None:
        issue(store, [1])
        store.close()
        store.close()
        assert store.count_certificates() == 1
