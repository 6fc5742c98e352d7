"""What every implementation of ``AccessStore`` and ``WebhookStore`` must do, as ``contract`` for ``Store``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.store.access_samples import access, delivery, endpoint, grant, token
from tests.store.contract import Make, code_of
from tests.store.samples import LATER, NOW, changed, sign_head, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.protocol import Store

HOUR = timedelta(hours=1)


class AccessContract:
    """One test per promise of the protocols; after each one the audit log must agree with the tables."""

    @pytest.fixture
    def store(self, make: Make) -> Store:
        return make()

    @pytest.fixture(autouse=True)
    def agreed(self, store: Store) -> Iterator[None]:
        yield
        if store.audit_tip()[0]:
            sign_head(store)
        assert audit.verify(store, verifier=verifier).findings == ()

    @staticmethod
    def said(store: Store) -> list[tuple[str, str, str]]:
        return [(row.action, row.target, row.caller) for row in store.audit_rows()]

    # -- tokens ------------------------------------------------------------------------------
    def test_a_token_is_found_by_id_and_digest(self, store: Store) -> None:
        store.access.add_token(token(1))
        store.access.add_token(changed(token(2), expires_at=None, comment=""))
        assert store.access.token(token(1).id) == token(1)
        assert store.access.token_of(token(2).digest) == changed(token(2), expires_at=None, comment="")
        assert store.access.token("0" * 16) is None
        assert store.access.token_of(bytes(32)) is None
        assert [one.id for one in store.access.tokens()] == [token(1).id, token(2).id]
        assert store.access.tokens(identity="nobody") == []
        assert self.said(store)[0] == ("token.created", token(1).id, "me")

    @pytest.mark.parametrize("again", [changed(token(2), id=token(1).id), changed(token(2), digest=token(1).digest)])
    def test_a_token_is_kept_once(self, store: Store, again: object) -> None:
        store.access.add_token(token(1))
        with pytest.raises(V2GPKIError) as caught:
            store.access.add_token(again)  # type: ignore[arg-type]  # parametrised
        assert code_of(caught) == ("store.conflict", "token")
        assert store.access.tokens() == [token(1)]

    def test_a_token_ends_once(self, store: Store) -> None:
        store.access.add_token(token(1))
        ended = store.access.revoke_token(token(1).id, LATER, "you")
        assert ended == changed(token(1), revoked_at=LATER, revoked_by="you")
        assert store.access.revoke_token(token(1).id, LATER + HOUR, "me") == ended
        assert store.access.token(token(1).id) == ended
        assert self.said(store) == [("token.created", token(1).id, "me"), ("token.revoked", token(1).id, "you")]
        with pytest.raises(V2GPKIError) as caught:
            store.access.revoke_token("f" * 16, LATER, "you")
        assert caught.value.code == "store.unknown_token"

    def test_the_revision_tells_of_tokens_and_grants(self, store: Store) -> None:
        seen = [store.access.revision()]
        store.access.add_token(token(1))
        seen.append(store.access.revision())
        store.access.grant([grant("evseid:A")])
        seen.append(store.access.revision())
        store.access.withdraw("cpo-a", LATER, "me")
        seen.append(store.access.revision())
        store.access.revoke_token(token(1).id, LATER, "me")
        seen.append(store.access.revision())
        assert len(set(seen)) == len(seen)

    # -- access tokens -----------------------------------------------------------------------
    def test_an_access_token_comes_with_its_token(self, store: Store) -> None:
        store.access.add_token(token(1))
        before = store.access.revision()
        store.access.add_access_token(access(1), "cpo-a")
        assert store.access.revision() == before
        assert store.access.access_token(access(1).digest) == (access(1), token(1))
        assert store.access.access_token(bytes(32)) is None
        assert self.said(store)[-1] == ("token.exchanged", access(1).digest.hex(), "cpo-a")
        ended = store.access.revoke_token(token(1).id, LATER, "me")
        assert store.access.access_token(access(1).digest) == (access(1), ended)

    def test_nothing_is_exchanged_for_a_token_that_ended(self, store: Store) -> None:
        store.access.add_token(token(1))
        store.access.revoke_token(token(1).id, LATER, "me")
        for one in (access(1), access(2, of=7)):
            with pytest.raises(V2GPKIError) as caught:
                store.access.add_access_token(one, "cpo-a")
            assert code_of(caught) == ("store.conflict", "token")

    def test_access_tokens_are_purged_when_they_ended(self, store: Store) -> None:
        store.access.add_token(token(1))
        for number in range(3):
            store.access.add_access_token(changed(access(number), expires_at=NOW + number * HOUR), "cpo-a")
        assert store.access.purge_access_tokens(NOW + HOUR) == 1
        assert [one.expires_at for one in store.access.access_tokens()] == [NOW + HOUR, NOW + 2 * HOUR]

    # -- grants ------------------------------------------------------------------------------
    def test_grants_by_id_and_prefix(self, store: Store) -> None:
        rows = [grant("evseid:B"), grant("evseid:A"), grant("DE*ICE*"), grant("DE*"), grant("x:1", edition="iso20")]
        assert store.access.grant(rows) == 5
        assert store.access.grant(rows[:2]) == 0
        assert list(store.access.grants()) == rows
        look = store.access
        assert look.granted("cpo-a", "secc", "iso2", "evseid:A")
        assert not look.granted("cpo-a", "secc", "iso2", "evseid:C")
        assert not look.granted("cpo-a", "oem", "iso2", "evseid:A")
        assert not look.granted("cpo-b", "secc", "iso2", "evseid:A")
        assert look.granted("cpo-a", "secc", "iso20", "x:1")
        assert not look.granted("cpo-a", "secc", "iso2", "x:1")
        # A beginning is no id, and an id no beginning.
        assert not look.granted("cpo-a", "secc", "iso2", "DE")
        assert look.granted_prefixes("cpo-a", "secc", "iso2") == ("DE*ICE", "DE")
        assert look.granted_ids("cpo-a", "secc", "iso2", 9) == ("B", "A")
        assert look.granted_ids("cpo-a", "secc", "iso2", 1) == ("B",)
        assert look.has_grant("cpo-a", "secc", "iso2")
        assert not look.has_grant("cpo-a", "contract", "iso2")
        assert look.identities() == ["cpo-a"]

    def test_grants_are_withdrawn(self, store: Store) -> None:
        rows = [grant("evseid:A"), grant("evseid:B"), grant("DE*"), grant("evseid:A", role="station")]
        rows += [grant("evseid:A", identity="cpo-b"), grant("evseid:A", edition="iso2")]
        store.access.grant(rows)
        look = store.access
        assert look.withdraw("cpo-a", LATER, "you", role="secc", edition="", key="evseid:A") == 1
        assert look.withdraw("cpo-a", LATER, "you", role="secc", edition="", key="evseid:A") == 0
        assert list(look.grants()) == rows[1:]
        assert look.withdraw("cpo-a", LATER, "you", role="secc") == 3
        assert look.withdraw("cpo-a", LATER, "you") == 1
        assert list(look.grants()) == [rows[4]]
        assert look.grant([rows[0]]) == 1
        assert [row.action for row in store.audit_rows()].count("grant.withdrawn") == 5
        assert ("grant.withdrawn", "cpo-a secc any id:evseid:A", "you") in self.said(store)

    # -- endpoints ---------------------------------------------------------------------------
    def test_endpoints_are_kept_changed_and_removed(self, store: Store) -> None:
        hooks = store.webhooks
        hooks.add_endpoint(endpoint(1))
        hooks.add_endpoint(endpoint(2, "oem-a", events=("c.d",)))
        with pytest.raises(V2GPKIError) as caught:
            hooks.add_endpoint(endpoint(1, "oem-a"))
        assert code_of(caught) == ("store.conflict", "endpoint")
        assert hooks.endpoint("e1") == endpoint(1)
        assert [one.id for one in hooks.endpoints(owner="mo-a")] == ["e1"]
        assert [one.id for one in hooks.endpoints(event="c.d")] == ["e1", "e2"]
        assert [one.id for one in hooks.endpoints(event="a.b")] == ["e1"]
        wanted = changed(endpoint(1), enabled=False, url="https://new.example/", owner="thief", created_by="thief")
        assert hooks.change_endpoint(wanted, LATER, "you") == changed(wanted, owner="mo-a", created_by="me")
        assert hooks.endpoints(event="a.b") == []
        rows = len(self.said(store))
        hooks.change_endpoint(wanted, LATER, "you")
        assert len(self.said(store)) == rows
        hooks.remove_endpoint("e1", LATER, "you")
        assert hooks.endpoint("e1") is None
        assert [action for action, _, _ in self.said(store)] == [
            "endpoint.added",
            "endpoint.added",
            "endpoint.changed",
            "endpoint.removed",
        ]
        with pytest.raises(V2GPKIError, match=r"store\.unknown_endpoint"):
            hooks.remove_endpoint("e1", LATER, "x")
        with pytest.raises(V2GPKIError, match=r"store\.unknown_endpoint"):
            hooks.change_endpoint(wanted, LATER, "x")

    # -- deliveries --------------------------------------------------------------------------
    def test_a_delivery_is_taken_when_it_is_due(self, store: Store) -> None:
        hooks = store.webhooks
        hooks.add_endpoint(endpoint(1))
        hooks.enqueue([delivery(1, due=10), delivery(2), delivery(3, "gone"), delivery(4, due=5)])
        assert [one.id for one in hooks.deliveries()] == ["d1", "d2", "d4"]
        assert hooks.take_due(NOW, limit=9, hold_seconds=60) == []
        at = LATER + timedelta(seconds=5)
        taken = hooks.take_due(at, limit=9, hold_seconds=60)
        assert taken == [changed(delivery(2), attempts=1), changed(delivery(4, due=5), attempts=1)]
        assert hooks.take_due(at, limit=9, hold_seconds=60) == []
        # Its process died: after the hold somebody else takes it.
        again = hooks.take_due(at + timedelta(seconds=60), limit=2, hold_seconds=60)
        assert [(one.id, one.attempts) for one in again] == [("d1", 1), ("d2", 2)]

    def test_a_delivery_ends_once(self, store: Store) -> None:
        hooks = store.webhooks
        hooks.add_endpoint(endpoint(1))
        hooks.enqueue([delivery(1), delivery(2), delivery(3)])
        hooks.take_due(LATER, limit=9, hold_seconds=60)
        hooks.mark_delivered("d1", LATER, "200")
        hooks.mark_failed("d1", LATER, "500", retry_at=None)
        hooks.mark_failed("d2", LATER, "500", retry_at=LATER + HOUR)
        hooks.mark_failed("d3", LATER, "410", retry_at=None)
        stored = {one.id: one for one in hooks.deliveries()}
        assert stored["d1"].state == "delivered"
        assert (stored["d1"].said, stored["d1"].ended_at) == ("200", LATER)
        assert (stored["d2"].state, stored["d2"].due_at, stored["d2"].attempts) == ("waiting", LATER + HOUR, 1)
        assert (stored["d3"].state, stored["d3"].said) == ("failed", "410")
        assert [one.id for one in hooks.deliveries(state="waiting")] == ["d2"]
        assert hooks.purge_deliveries(LATER) == 0
        assert hooks.purge_deliveries(LATER + HOUR) == 2
        assert [one.id for one in hooks.deliveries(endpoint_id="e1")] == ["d2"]

    def test_an_endpoint_takes_its_deliveries_along(self, store: Store) -> None:
        hooks = store.webhooks
        hooks.add_endpoint(endpoint(1))
        hooks.enqueue([delivery(1)])
        hooks.remove_endpoint("e1", LATER, "me")
        assert list(hooks.deliveries()) == []
        hooks.mark_delivered("d1", LATER, "200")

    def test_two_takers_never_get_the_same(self, store: Store) -> None:
        hooks = store.webhooks
        hooks.add_endpoint(endpoint(1))
        hooks.enqueue([delivery(number) for number in range(60)])
        taken: list[str] = []

        def take() -> None:
            while found := hooks.take_due(LATER, limit=7, hold_seconds=600):
                taken.extend(one.id for one in found)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == sorted(f"d{number}" for number in range(60))
