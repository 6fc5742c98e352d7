"""Webhooks: endpoints and their owners, addresses, who is told of what, signatures, and the queue."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.services.ecosystem import Event, Party
from v2gpki.services.webhook_addresses import WebhookPolicy
from v2gpki.services.webhooks import NAMES, Webhooks, Wish, payload_of, signed_headers
from v2gpki.wiring.access import access_of
from v2gpki.wiring.webhooks import webhooks_of

MO = Party("acme-mobility", frozenset({"mo"}), "mo-1")
OEM = Party("acme-cars", frozenset({"oem"}), "oem-1")
OPERATOR = Party("operator", frozenset({"admin"}))
URL = "https://events.example.com/pki"
HOLD = timedelta(seconds=60)


@pytest.fixture
def hooks(iso2: CertificateAuthority) -> Webhooks:
    return webhooks_of(iso2)


def refused(code: str, call: Callable[..., object], *given: object) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as found:
        call(*given)
    assert found.value.code == code
    return found.value


def event(name: str = "mo.contract.created.sent.to.oem", owner: str | None = "acme-mobility") -> Event:
    payload = {"emaid": "DE8AA001234567", "pcid": "WVWABCDEF12345678"}
    return Event("0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a", name, BIRTH, payload, "urn:iso:15118:2:2013:MsgDef", owner)


# -- endpoints -----------------------------------------------------------------------------------


def test_an_endpoint_is_made_changed_and_removed(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    made = hooks.create(MO, Wish(URL, ("oem.contract.created",), "first", metadata={"a": 1}))
    assert len(made.secret) == 64
    assert made.enabled
    assert made.metadata == {"a": 1}
    (listed,) = hooks.endpoints(MO)
    assert (listed.id, listed.secret) == (made.id, "")
    changed = hooks.update(MO, made.id, Wish(URL + "/2", enabled=False))
    assert (changed.url, changed.events, changed.description) == (URL + "/2", made.events, "first")
    assert (changed.enabled, changed.metadata) == (False, {"a": 1})
    rows = len(list(iso2.store.audit_rows()))
    assert hooks.update(MO, made.id, Wish(URL + "/2", enabled=False)) == changed
    assert len(list(iso2.store.audit_rows())) == rows
    hooks.delete(MO, made.id)
    refused("webhook.unknown", hooks.one, MO, made.id)
    assert [row.action for row in iso2.store.audit_rows()][-3:] == [
        "endpoint.added", "endpoint.changed", "endpoint.removed",
    ]  # fmt: skip


def test_an_endpoint_is_its_owners_alone(hooks: Webhooks) -> None:
    made = hooks.create(MO, Wish(URL, ()))
    for party in (OEM, OPERATOR):
        assert hooks.endpoints(party) == []
        refused("webhook.unknown", hooks.one, party, made.id)
        refused("webhook.unknown", hooks.update, party, made.id, Wish(URL))
        refused("webhook.unknown", hooks.delete, party, made.id)
    assert hooks.one(MO, made.id).url == URL


def test_secrets_are_sealed_in_the_store(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    made = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    stored = iso2.store.webhooks.endpoint(made.id)
    assert stored is not None
    assert made.secret.encode() not in stored.secret
    iso2.store.close()
    for file in iso2.home.rglob("*"):
        if file.is_file():
            assert made.secret.encode() not in file.read_bytes()
            assert bytes.fromhex(made.secret) not in file.read_bytes()
    # Another process of the same home opens it; a sealed secret that was moved to another endpoint stays shut.
    with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=iso2.clock, caller="other") as again:
        others = webhooks_of(again)
        others.publish([event("root.cert.added", None)])
        (sent,) = others.take(9, HOLD)
        assert sent.headers == signed_headers(sent.delivery.payload, made.secret)
        assert made.secret not in repr(sent)


def test_a_locked_home_takes_events_and_sends_nothing(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    hooks.create(MO, Wish(URL, ("root.cert.added",)))
    with v2gpki.open_authority(iso2.home, clock=iso2.clock, caller="reader") as locked:
        others = webhooks_of(locked)
        others.publish([event("root.cert.added", None)])
        refused("home.locked", others.create, MO, Wish(URL, ()))
    assert len(hooks.take(9, HOLD)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://events.example.com/",
        "ftp://events.example.com/",
        "//events.example.com/",
        "https://",
        "https:///path",
        "https://user@events.example.com/",
        "https://user:word@events.example.com/",
        "https://events.example.com/#part",
        "https://events.example.com:port/",
        "https://events.example.com:70000/",
        "https://[::1",
        "https://events example.com/",
        "https://events.example.com/\n",
        "https://événements.example.com/",
        "https://a..b/",
        "https://.events.example.com/",
        "https://" + "a" * 64 + ".example.com/",
        "https://-events.example.com/",
        "https://" + "a.bc" * 64 + "/",
        "https://events.example.com:22/",
        "https://events.example.com:0/",
        "https://events.example.com:80/",
        "https://127.0.0.0x1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://events.example.com/" + "x" * 2000,
        "",
        "nonsense",
    ],
)
def test_what_is_no_address_for_webhooks_is_refused(hooks: Webhooks, url: str) -> None:
    refused("webhook.bad_url", hooks.create, MO, Wish(url, ()))


PRIVATE = [
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[fc00::1]",
    "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "[2002:a00:1::1]", "[2001:db8::1]", "[fec0::1]", "[64:ff9b:1::808:808]",
    "[64:ff9b:1::7f00:1]", "[::ffff:0:127.0.0.1]", "[::ffff:0:8.8.8.8]", "[::127.0.0.1]", "[::8.8.8.8]", "192.88.99.1",
    "[2002:c058:6301::1]", "192.0.0.8", "[5f00::1]", "[3fff::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "a.localhost", "printer.local", "db.internal"])
def test_private_addresses_are_refused(hooks: Webhooks, host: str) -> None:
    refused("webhook.private_address", hooks.create, MO, Wish(f"https://{host}:8443/x", ()))
    made = hooks.create(MO, Wish(URL, ()))
    refused("webhook.private_address", hooks.update, MO, made.id, Wish(f"https://{host}/"))


@pytest.mark.parametrize("host", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_permitted(host: str) -> None:
    assert WebhookPolicy().permits(ip_address(host))


def test_the_operator_allows_networks() -> None:
    policy = WebhookPolicy(allowed=(ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    assert policy.permits(ip_address("10.1.2.3"))
    assert policy.permits(ip_address("::ffff:10.1.2.3"))
    assert policy.permits(ip_address("fd00::1"))
    for host in ("10.2.0.1", "127.0.0.1", "169.254.169.254", "fe80::1", "::ffff:10.2.0.1"):
        assert not policy.permits(ip_address(host))


def test_events_are_those_of_the_descriptions(hooks: Webhooks) -> None:
    made = hooks.create(MO, Wish(URL, (*NAMES, *NAMES)))
    assert made.events == NAMES
    assert "mo.contract.created.sent.to.oem" in NAMES
    assert "emsp.contract.created.sent.to.oem" in NAMES
    refused("webhook.unknown_event", hooks.create, MO, Wish(URL, ("contract.created",)))


def test_what_is_too_much_is_refused(iso2: CertificateAuthority) -> None:
    hooks = webhooks_of(iso2, WebhookPolicy(most=2))
    refused("webhook.too_large", hooks.create, MO, Wish(URL, (), "x" * 501))
    refused("webhook.too_large", hooks.create, MO, Wish(URL, (), metadata={"a": "x" * 5000}))
    for _ in range(2):
        hooks.create(MO, Wish(URL, ()))
    refused("webhook.too_many", hooks.create, MO, Wish(URL, ()))
    assert hooks.create(OEM, Wish(URL, ())).enabled


# -- events --------------------------------------------------------------------------------------


def test_each_party_is_told_of_its_own(hooks: Webhooks) -> None:
    name = "mo.contract.created.sent.to.oem"
    mine = hooks.create(MO, Wish(URL, (name,)))
    theirs = hooks.create(Party("other-mobility", frozenset({"mo"})), Wish(URL, (name,)))
    every = hooks.create(OPERATOR, Wish(URL, (name,)))
    hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.create(MO, Wish(URL, (name,), enabled=False))
    hooks.publish([event()])
    assert {sent.delivery.endpoint_id for sent in hooks.take(9, HOLD)} == {mine.id, every.id}
    hooks.publish([replace(event(owner=None), id="5b8e4ac4-95a5-4d0a-9d68-14f2f3b4f2b1")])
    assert {sent.delivery.endpoint_id for sent in hooks.take(9, HOLD)} == {mine.id, theirs.id, every.id}


def test_the_payload_is_as_the_descriptions_write_it(hooks: Webhooks) -> None:
    made = hooks.create(MO, Wish(URL, ("emsp.contract.created.sent.to.oem",)))
    hooks.publish([event()])
    (sent,) = hooks.take(9, HOLD)
    assert sent.url == URL
    assert json.loads(sent.delivery.payload) == {
        "timestamp": "2026-03-01T12:00:00Z",
        "eventId": "0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a",
        "eventType": "emsp.contract.created.sent.to.oem",
        "xsdMsgDefNamespace": "urn:iso:15118:2:2013:MsgDef",
        "payload": {"emaid": "DE8AA001234567", "pcid": "WVWABCDEF12345678"},
    }
    assert sent.headers == signed_headers(sent.delivery.payload, made.secret)


def test_an_endpoint_that_knows_both_names_is_told_once(hooks: Webhooks) -> None:
    names = ("mo.contract.created.sent.to.oem", "emsp.contract.created.sent.to.oem")
    hooks.create(MO, Wish(URL, names))
    hooks.publish([event()])
    assert len(hooks.take(9, HOLD)) == 1


def test_the_signature_is_hmac_sha256_of_the_body() -> None:
    """RFC 4231, test case 2."""
    headers = signed_headers(b"what do ya want for nothing?", "Jefe")
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert headers["payload-signature"] == headers["X-Operator-Signature"] == digest
    assert headers["X-Hubject-Signature"] == f"sha256={digest}"


def test_what_was_told_before_is_not_told_again(hooks: Webhooks) -> None:
    hooks.create(MO, Wish(URL, ("root.cert.expired",)))
    ended = event("root.cert.expired", None)
    hooks.publish([ended])
    (sent,) = hooks.take(9, HOLD)
    hooks.delivered(sent, "HTTP 200")
    hooks.publish([ended])
    assert hooks.take(9, HOLD) == []


# -- the queue -----------------------------------------------------------------------------------


def test_a_failure_is_tried_again_with_longer_waits(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    made = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    for wait in (30, 300, 3600, 3600, 3600):
        (sent,) = hooks.take(9, HOLD)
        hooks.failed(sent, "HTTP 503", final=False)
        iso2.clock.moment += timedelta(seconds=wait - 1)
        assert hooks.take(9, HOLD) == []
        iso2.clock.moment += timedelta(seconds=1)
    (sent,) = hooks.take(9, HOLD)
    assert sent.delivery.attempts == 6
    hooks.failed(sent, "HTTP 503", final=False)
    iso2.clock.moment += timedelta(days=1)
    assert hooks.take(9, HOLD) == []
    (kept,) = iso2.store.webhooks.deliveries(endpoint_id=made.id)
    assert (kept.state, kept.said) == ("failed", "HTTP 503")
    assert hooks.tidy() == 0
    iso2.clock.moment += timedelta(days=31)
    assert hooks.tidy() == 1


def test_a_final_failure_is_not_tried_again(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    made = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    (sent,) = hooks.take(9, HOLD)
    hooks.failed(sent, "HTTP 400", final=True)
    (kept,) = iso2.store.webhooks.deliveries(endpoint_id=made.id)
    assert kept.state == "failed"


def test_what_one_process_takes_no_other_takes(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    assert len(hooks.take(9, HOLD)) == 1
    assert webhooks_of(iso2).take(9, HOLD) == []
    # The process died: what it held is due again.
    iso2.clock.moment += HOLD
    assert len(webhooks_of(iso2).take(9, HOLD)) == 1


def test_a_disabled_endpoint_gets_nothing_any_more(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    made = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    hooks.update(MO, made.id, Wish(URL, enabled=False))
    assert hooks.take(9, HOLD) == []
    (kept,) = iso2.store.webhooks.deliveries(endpoint_id=made.id)
    assert (kept.state, kept.said) == ("failed", "the endpoint is disabled")


def test_payload_ids_are_uuids() -> None:
    body = json.loads(payload_of(event()))
    assert str(uuid.UUID(body["eventId"])) == body["eventId"]


def test_the_audit_log_agrees_afterwards(hooks: Webhooks, iso2: CertificateAuthority, tmp_path: Path) -> None:
    made = hooks.create(MO, Wish(URL, ("root.cert.added",), metadata={"key": "value"}))
    hooks.update(MO, made.id, Wish(URL, metadata={}))
    from v2gpki.wiring.audit_check import check_audit

    assert not check_audit(iso2.store).verdict.findings


# -- whose turn it is, and who gets nothing any more --------------------------------------------------


def test_nothing_is_taken_while_the_home_is_locked(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    """A look at the queue is no attempt."""
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    with v2gpki.open_authority(iso2.home, clock=iso2.clock, caller="reader") as locked:
        for _ in range(12):
            refused("home.locked", webhooks_of(locked).take, 9, HOLD)
    (sent,) = hooks.take(9, HOLD)
    assert sent.delivery.attempts == 1


def test_a_secret_that_does_not_open_fails_alone(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    good = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    other = Webhooks(iso2.store, iso2.clock, lambda: bytes(32)).create(OEM, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    (sent,) = hooks.take(9, HOLD)
    assert sent.delivery.endpoint_id == good.id
    (failed,) = iso2.store.webhooks.deliveries(endpoint_id=other.id)
    assert (failed.state, failed.attempts) == ("failed", 0)
    assert "cannot be opened" in failed.said


def test_one_at_a_time_for_an_owner_and_host(hooks: Webhooks) -> None:
    for number in range(3):
        hooks.create(MO, Wish(f"{URL}/{number}", ("root.cert.added",)))
    hooks.create(OEM, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    assert [sent.lane for sent in hooks.take(9, HOLD)] == [
        (MO.name, "events.example.com"), (OEM.name, "events.example.com"),
    ]  # fmt: skip
    assert len(hooks.take(9, HOLD)) == 1


@pytest.mark.parametrize(
    ("party", "scopes"),
    [
        (MO, ["webhooks"]), (MO, ["*"]), (MO, ["pools"]), (MO, ["est", "pools:mo"]), (MO, ["pools:cps"]),
        (OPERATOR, ["pools:admin", "webhooks"]), (OPERATOR, ["pools:admin"]), (OPERATOR, ["*"]),
    ],
)  # fmt: skip
def test_who_has_no_valid_token_any_more_is_told_nothing(
    hooks: Webhooks, iso2: CertificateAuthority, party: Party, scopes: list[str]
) -> None:
    # The operator's endpoints belong to the home: whoever made one must still be an operator.
    access, name = access_of(iso2), party.name
    first, _ = access.create(name, scopes, caller="x")
    made = hooks.create(party, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    (sent,) = hooks.take(9, HOLD)
    hooks.delivered(sent, "HTTP 200")
    access.create(name, ["est"], caller="x")
    access.revoke(first.id, caller="x")
    hooks.publish([replace(event("root.cert.added", None), id="5b8e4ac4-95a5-4d0a-9d68-14f2f3b4f2b1")])
    assert hooks.take(9, HOLD) == []
    waited = list(iso2.store.webhooks.deliveries(endpoint_id=made.id))[-1]
    assert (waited.state, waited.said) == ("failed", "its owner has no valid token")


@pytest.mark.parametrize(("party", "scope"), [(MO, "est"), (OPERATOR, "webhooks"), (OPERATOR, "pools")])
def test_a_token_for_something_else_is_none(
    hooks: Webhooks, iso2: CertificateAuthority, party: Party, scope: str
) -> None:
    access_of(iso2).create(party.name, [scope], caller="x")
    hooks.create(party, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    assert hooks.take(9, HOLD) == []


def test_a_token_that_has_ended_is_none(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    access_of(iso2).create(MO.name, ["webhooks"], lifetime=timedelta(hours=1), caller="x")
    hooks.create(MO, Wish(URL, ("root.cert.added",)))
    iso2.clock.moment += timedelta(hours=1)
    hooks.publish([event("root.cert.added", None)])
    assert hooks.take(9, HOLD) == []


def test_the_operator_sees_and_removes_everybodys(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    mine, theirs = hooks.create(MO, Wish(URL, ())), hooks.create(OEM, Wish(URL, ()))
    assert [(one.id, one.owner, one.secret) for one in hooks.every()] == [
        (mine.id, MO.name, ""), (theirs.id, OEM.name, ""),
    ]  # fmt: skip
    assert hooks.remove(mine.id, caller="root").id == mine.id
    assert [one.id for one in hooks.every()] == [theirs.id]
    newest = list(iso2.store.audit_rows())[-1]
    assert (newest.action, newest.caller) == ("endpoint.removed", "root")
    with pytest.raises(V2GPKIError) as found:
        hooks.remove(mine.id, caller="root")
    assert found.value.code == "webhook.unknown"


def test_what_waits_too_long_is_given_up(hooks: Webhooks, iso2: CertificateAuthority) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    made = hooks.create(MO, Wish(URL, ("root.cert.added",)))
    hooks.publish([event("root.cert.added", None)])
    iso2.clock.moment += timedelta(days=7)
    hooks.tidy()
    assert [one.state for one in iso2.store.webhooks.deliveries(endpoint_id=made.id)] == ["waiting"]
    iso2.clock.moment += timedelta(seconds=1)
    hooks.tidy()
    assert [one.state for one in iso2.store.webhooks.deliveries(endpoint_id=made.id)] == ["failed"]
