"""The store against a model of the protocol in plain dictionaries, driven by Hypothesis.

Two stores on one file take turns, are closed and opened again; after every step both must say what the
model says, and at the end the audit log must verify with as many rows as there were deeds.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.store.samples import NOW, authority, certificate, changed, crl, intent, sign_head, verifier
from v2gpki.errors import V2GPKIError
from v2gpki.store import audit
from v2gpki.store.records import REASONS, AuditEvent, AuthorityRecord, CertificateRecord, IntentRecord
from v2gpki.store.sqlite import SqliteStore

ISSUERS = ("iso2-a@1", "iso2-b@1")
numbers = st.integers(0, 12)
issuers = st.sampled_from(ISSUERS)
keys = st.sampled_from(["", "", "row-1", "row-2", "row-3"])
callers = st.sampled_from(["factory", "est"])
wanted_intents = st.builds(
    lambda number, issuer, key, caller: intent(number, issuer_id=issuer, key=key, caller=caller),
    numbers,
    issuers,
    keys,
    callers,
)
Identity = tuple[str, int]


class StoreMachine(RuleBasedStateMachine):
    """One rule per write of the protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="v2gpki-stateful-"))
        self.stores: list[SqliteStore] = []
        self.turn = 0
        self.pending: dict[Identity, IntentRecord] = {}
        self.abandoned: dict[Identity, IntentRecord] = {}
        self.issued: dict[Identity, CertificateRecord] = {}
        self.claims: dict[tuple[str, str], Identity] = {}
        self.crls: dict[str, int] = {}
        self.cas: dict[str, AuthorityRecord] = {}
        self.rows = 0

    @initialize()
    def make(self) -> None:
        self.stores = [SqliteStore(self.folder / "store.db", create=True) for _ in range(2)]
        for issuer_id in ISSUERS:
            record = authority(self.stores[0], issuer_id.removesuffix("@1"))
            self.cas[issuer_id] = record
            own = self.stores[1].certificate(issuer_id, record.serial)
            assert own is not None
            self.issued[issuer_id, record.serial] = own
        self.rows = 4

    @property
    def store(self) -> SqliteStore:
        """The stores take turns, so each sees what the other wrote."""
        self.turn += 1
        return self.stores[self.turn % 2]

    @rule(wanted=st.lists(wanted_intents, min_size=1, max_size=4))
    def record(self, wanted: list[IntentRecord]) -> None:
        wanted = [changed(one, reference=f"{self.turn}-{place}") for place, one in enumerate(wanted)]
        identities = [(one.issuer_id, one.serial) for one in wanted]
        claims = [(one.caller, one.idempotence_key) for one in wanted if one.idempotence_key]
        used = self.pending.keys() | self.abandoned.keys() | self.issued.keys()
        bad_serial = len(set(identities)) < len(identities) or used & set(identities)
        bad_claim = len(set(claims)) < len(claims) or self.claims.keys() & set(claims)
        if bad_serial or bad_claim:
            with pytest.raises(V2GPKIError) as caught:
                self.store.record_intents(wanted)
            assert caught.value.code == "store.conflict"
            which = {name for name, bad in (("serial", bad_serial), ("idempotence_key", bad_claim)) if bad}
            assert caught.value.facts["which"] in which
            return
        self.store.record_intents(wanted)
        for one, identity in zip(wanted, identities, strict=True):
            self.pending[identity] = one
            if one.idempotence_key:
                self.claims[one.caller, one.idempotence_key] = identity

    def _some_pending(self, data: st.DataObject) -> list[Identity]:
        if not self.pending:
            return []
        return data.draw(st.lists(st.sampled_from(sorted(self.pending)), unique=True))

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        chosen = self._some_pending(data)
        key_id = data.draw(st.sampled_from(["", "k"]))
        made = [certificate(self.pending[identity], key_id=key_id) for identity in chosen]
        self.store.commit_results(made, [self.pending[identity].reference for identity in chosen])
        for identity, one in zip(chosen, made, strict=True):
            del self.pending[identity]
            self.issued[identity] = one
        self.rows += len(chosen)

    @rule(wanted=wanted_intents)
    def commit_what_is_not_pending(self, wanted: IntentRecord) -> None:
        if (wanted.issuer_id, wanted.serial) in self.pending:
            wanted = changed(wanted, reference="unknown")
        with pytest.raises(V2GPKIError, match=r"store\.conflict"):
            self.store.commit_results([certificate(wanted)], [wanted.reference])

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        chosen = self._some_pending(data)
        self.store.abandon([self.pending[identity].reference for identity in chosen], NOW, "interrupted")
        for identity in chosen:
            one = self.abandoned[identity] = self.pending.pop(identity)
            self.claims.pop((one.caller, one.idempotence_key), None)
        self.rows += len(chosen)

    @rule(issuer_id=issuers, number=numbers, reason=st.sampled_from(REASONS[:3]))
    def revoke(self, issuer_id: str, number: int, reason: str) -> None:
        serial = intent(number).serial
        known = self.issued.get((issuer_id, serial))
        at = NOW + timedelta(minutes=self.turn)
        if known is None or known.state == "revoked":
            expected = "unknown_certificate" if known is None else "already_revoked"
            if known is not None and known.reason == reason:
                assert self.store.revoke(issuer_id, serial, at, reason, "me") == known
                return
            with pytest.raises(V2GPKIError, match=expected):
                self.store.revoke(issuer_id, serial, at, reason, "me")
            return
        revoked = changed(known, state="revoked", revoked_at=at, reason=reason)
        assert self.store.revoke(issuer_id, serial, at, reason, "me") == revoked
        self.issued[issuer_id, serial] = revoked
        self.rows += 1

    @rule(issuer_id=issuers, number=st.integers(0, 5))
    def publish(self, issuer_id: str, number: int) -> None:
        if number <= self.crls.get(issuer_id, -1):
            with pytest.raises(V2GPKIError, match=r"store\.conflict"):
                self.store.append_crl(crl(issuer_id, number), "me")
            return
        self.store.append_crl(crl(issuer_id, number), "me")
        self.crls[issuer_id] = number
        self.rows += 1

    @rule(issuer_id=issuers, state=st.sampled_from(["active", "retired", "revoked"]))
    def change_authority(self, issuer_id: str, state: str) -> None:
        event = AuditEvent("", "me", "")
        if self.cas[issuer_id].state == "revoked" and state != "revoked":
            with pytest.raises(V2GPKIError, match=r"store\.conflict"):
                self.store.set_authority_state(issuer_id, "active", event, NOW)
            return
        wanted = changed(self.cas[issuer_id], state=state)
        self.store.set_authority_state(issuer_id, wanted.state, event, NOW)
        self.cas[issuer_id] = wanted
        self.rows += 1

    @rule()
    def reopen(self) -> None:
        self.stores[0].close()
        self.stores[0] = SqliteStore(self.folder / "store.db")

    @rule()
    def sign(self) -> None:
        sign_head(self.store)

    @invariant()
    def both_say_what_the_model_says(self) -> None:
        for store in self.stores:
            found = list(store.find_certificates())
            assert {(one.issuer_id, one.serial): one for one in found} == self.issued
            assert len(found) == len(self.issued) == store.count_certificates()
            assert {(one.issuer_id, one.serial): one for one in store.pending_intents()} == self.pending
            assert store.authorities() == list(self.cas.values())
            assert store.audit_tip()[0] == self.rows
        store = self.store
        for issuer_id in ISSUERS if self.stores else ():
            listed = [(entry.serial, entry.reason) for entry in store.revoked_serials(issuer_id)]
            own = [one for one in self.issued.values() if one.issuer_id == issuer_id]
            revoked = [(one.serial, one.reason) for one in own if one.state == "revoked"]
            given_up = [(serial, "unspecified") for issuer, serial in self.abandoned if issuer == issuer_id]
            assert listed == sorted(revoked + given_up)
            latest = store.latest_crl(issuer_id)
            assert (None if latest is None else latest.number) == self.crls.get(issuer_id)
        for (caller, key), identity in self.claims.items():
            assert store.completed(caller, key) == self.issued.get(identity)

    def teardown(self) -> None:
        if self.stores:
            verdict = audit.verify(self.stores[0], verifier=verifier)
            verdict.require_sound()
            assert verdict.rows == self.rows
            assert self.stores[0].integrity() == []
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(settings.get_profile("v2gpki"), max_examples=40, stateful_step_count=30)
