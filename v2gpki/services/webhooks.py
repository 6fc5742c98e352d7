"""Webhooks: who is told of what happens in the pools, and the queue of what is on its way.

A party keeps endpoints: an address and the events that it wants. What happens becomes a delivery for each endpoint that
is told of it, in the same words each time, signed with HMAC-SHA256 under the endpoint's secret. A delivery is tried
until it is taken or too old; receivers see an event's id again when an answer was lost. The secret is drawn here, told
once, and kept sealed. Refused: addresses that are no public https, unless the home's operator allows them.
Sources: OPCP 1.0 and OPNC v1 webhooks and payloads; RFC 2104; RFC 8259.
"""

from __future__ import annotations

import hmac
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import SplitResult

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from v2gpki.clock import Clock, rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.services.ecosystem.events import EVENTS, Event
from v2gpki.services.ecosystem.parties import Party
from v2gpki.services.webhook_addresses import WebhookPolicy, checked_url
from v2gpki.services.webhook_lanes import Lane, Lanes
from v2gpki.store.protocol import Store
from v2gpki.store.webhook_records import Delivery, Endpoint

#: OPNC's names for OPCP's events.
_OPNC = {name: "emsp" + name.removeprefix("mo") for name in EVENTS if name.startswith("mo.")}
_OPCP = {written: name for name, written in _OPNC.items()}
#: Every name that an endpoint may subscribe to.
NAMES = (*EVENTS, *_OPCP)

#: Tokens with one of these make endpoints and are told of events; the operator's endpoints need one of the second.
_TOLD = frozenset({"webhooks", "pools", "pools:mo", "pools:oem", "pools:cpo", "pools:cps", "pools:admin", "*"})
_OPERATING = frozenset({"pools:admin", "*"})
_LONGEST_TEXT = 500
_LARGEST_METADATA = 4096
_NONCE = 12


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as its owner sees it; ``secret`` is told when it is made, "" afterwards."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: datetime
    description: str
    enabled: bool
    metadata: Mapping[str, object]
    api_version: str
    owner: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery with everything that sending it takes."""

    delivery: Delivery
    url: str
    lane: Lane
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner says of an endpoint; None leaves what is there."""

    url: str
    events: tuple[str, ...] | None = None
    description: str | None = None
    enabled: bool | None = None
    metadata: Mapping[str, object] | None = None
    api_version: str | None = None


class Webhooks:
    """Endpoints and deliveries of one home. Safe from threads as far as its store is."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        key: Callable[[], bytes],
        *,
        seal: Callable[[], None] = lambda: None,
        policy: WebhookPolicy | None = None,
    ) -> None:
        """``key`` gives the 32 octets that secrets are sealed with: asked for when one is made or used. ``seal`` signs
        the audit log's head after an endpoint changed."""
        self._store = store
        self._clock = clock
        self._key = key
        self._seal = seal
        self.policy = policy or WebhookPolicy()

    # -- endpoints -----------------------------------------------------------------------------

    def create(self, party: Party, wish: Wish) -> EndpointView:
        """A new endpoint with a fresh secret, which is told now and never again.

        Raises ``webhook.bad_url``, ``webhook.private_address``, ``webhook.unknown_event``, ``webhook.too_many``,
        ``webhook.too_large``.
        """
        self.check_url(wish.url)
        events = _checked_events(wish.events or ())
        if len(self._store.webhooks.endpoints(owner=party.owner)) >= self.policy.most:
            raise V2GPKIError(
                "webhook.too_many",
                f"{party.name} has {self.policy.most} endpoints, which is as many as may",
                hint="remove one first",
                facts={"owner": party.owner, "most": self.policy.most},
            )
        now = self._clock.now().replace(microsecond=0)
        endpoint_id, secret = os.urandom(8).hex(), os.urandom(32).hex()
        endpoint = Endpoint(
            endpoint_id,
            party.owner,
            wish.url,
            events,
            self._sealed(endpoint_id, secret),
            now,
            party.by,
            _checked_text("description", wish.description or ""),
            True if wish.enabled is None else wish.enabled,
            _noted(wish.metadata or {}, wish.api_version or "v1"),
        )
        self._store.webhooks.add_endpoint(endpoint)
        self._seal()
        return replace(_view(endpoint), secret=secret)

    def endpoints(self, party: Party) -> list[EndpointView]:
        """A party's endpoints."""
        return [_view(endpoint) for endpoint in self._store.webhooks.endpoints(owner=party.owner)]

    def one(self, party: Party, endpoint_id: str) -> EndpointView:
        """One of a party's endpoints; raises ``webhook.unknown``."""
        return _view(self._own(party, endpoint_id))

    def update(self, party: Party, endpoint_id: str, wish: Wish) -> EndpointView:
        """Change an endpoint; the same again changes nothing. Raises as ``create``, and ``webhook.unknown``."""
        present = self._own(party, endpoint_id)
        self.check_url(wish.url)
        seen = _view(present)
        wanted = replace(
            present,
            url=wish.url,
            events=present.events if wish.events is None else _checked_events(wish.events),
            description=_checked_text(
                "description", present.description if wish.description is None else wish.description
            ),
            enabled=present.enabled if wish.enabled is None else wish.enabled,
            noted=_noted(
                seen.metadata if wish.metadata is None else wish.metadata,
                seen.api_version if wish.api_version is None else wish.api_version,
            ),
        )
        changed = self._store.webhooks.change_endpoint(wanted, self._clock.now().replace(microsecond=0), party.by)
        self._seal()
        return _view(changed)

    def delete(self, party: Party, endpoint_id: str) -> None:
        """Remove an endpoint and what is on its way to it; raises ``webhook.unknown``."""
        self._own(party, endpoint_id)
        self._store.webhooks.remove_endpoint(endpoint_id, self._clock.now().replace(microsecond=0), party.by)
        self._seal()

    def every(self) -> list[EndpointView]:
        """Everybody's endpoints, for the home's operator."""
        return [_view(endpoint) for endpoint in self._store.webhooks.endpoints()]

    def remove(self, endpoint_id: str, *, caller: str) -> EndpointView:
        """Remove anybody's endpoint and what is on its way to it; raises ``webhook.unknown``."""
        if self._store.webhooks.endpoint(endpoint_id) is None:
            raise _unknown(endpoint_id)
        gone = self._store.webhooks.remove_endpoint(endpoint_id, self._clock.now().replace(microsecond=0), caller)
        self._seal()
        return _view(gone)

    def check_url(self, url: str) -> SplitResult:
        """``webhook_addresses.checked_url`` under this home's policy."""
        return checked_url(url, self.policy)

    # -- events --------------------------------------------------------------------------------

    def publish(self, events: Sequence[Event]) -> None:
        """Put a delivery for each endpoint that is told of each event into the queue; an event that was told an
        endpoint before is not told it again."""
        found = [delivery for event in events for delivery in self._deliveries(event)]
        if found:
            self._store.webhooks.enqueue(found)

    def _deliveries(self, event: Event) -> list[Delivery]:
        now = self._clock.now().replace(microsecond=0)
        found = []
        for name in (event.name, _OPNC.get(event.name, "")):
            for endpoint in self._store.webhooks.endpoints(event=name) if name else ():
                # The operator of the pools, whose endpoints have no owner, hears everything.
                if event.owner is None or endpoint.owner in ("", event.owner):
                    delivery_id = str(uuid.uuid5(uuid.UUID(event.id), endpoint.id))
                    payload = payload_of(event, name)
                    found.append(Delivery(delivery_id, endpoint.id, name, payload, now, now))
        return list({delivery.id: delivery for delivery in found}.values())

    # -- the queue -----------------------------------------------------------------------------

    def take(self, limit: int, hold: timedelta, *, lanes: Lanes | None = None) -> list[Outgoing]:
        """What is due and may go now, one for each owner and host, signed and ready to be sent; nobody else takes it
        for as long as ``hold``. ``lanes`` says whose turn it is.

        Endpoints that are disabled, that nobody with a valid credential owns any more, or whose secret does not open,
        get nothing: what waits for them has failed. Raises ``home.locked`` before anything is taken.
        """
        now = self._clock.now().replace(microsecond=0)
        ready: dict[str, tuple[Endpoint, str]] = {}
        due = [found for found in map(self._store.webhooks.endpoint, self._store.webhooks.due_endpoints(now)) if found]
        for endpoint in (lanes or Lanes()).choose(due, limit, key=lambda one: Lane.of(one.owner, one.url)):
            secret = self._secret_for(endpoint, now)
            if secret is not None:
                ready[endpoint.id] = endpoint, secret
        if not ready:
            return []
        span = int(hold.total_seconds())
        taken = self._store.webhooks.take_due(now, limit=limit, hold_seconds=span, endpoints=tuple(ready))
        return [self._outgoing(delivery, *ready[delivery.endpoint_id]) for delivery in taken]

    def _secret_for(self, endpoint: Endpoint, now: datetime) -> str | None:
        """The endpoint's secret; None when it gets nothing any more, and then what waits for it has failed."""
        why = ""
        if not endpoint.enabled:
            why = "the endpoint is disabled"
        elif not self._entitled(endpoint, now):
            why = "its owner has no valid token"
        else:
            try:
                return self._opened(endpoint)
            except V2GPKIError as problem:
                if problem.code != "webhook.unsealed":
                    raise
                why = problem.message
        self._store.webhooks.fail_waiting(endpoint.id, now, why[:_LONGEST_TEXT])
        return None

    def _entitled(self, endpoint: Endpoint, now: datetime) -> bool:
        """Whether the owner still may be told of anything: one who had tokens has a valid one with which it could make
        the endpoint. Who never had one was let in by a program, which removes the endpoint itself."""
        wanted = _TOLD if endpoint.owner else _OPERATING
        had = self._store.access.tokens(identity=endpoint.owner or endpoint.created_by)
        return not had or any(
            token.revoked_at is None
            and (token.expires_at is None or now < token.expires_at)
            and not wanted.isdisjoint(token.scopes)
            for token in had
        )

    @staticmethod
    def _outgoing(delivery: Delivery, endpoint: Endpoint, secret: str) -> Outgoing:
        headers = signed_headers(delivery.payload, secret)
        return Outgoing(delivery, endpoint.url, Lane.of(endpoint.owner, endpoint.url), headers)

    def delivered(self, outgoing: Outgoing, said: str) -> None:
        """It was taken."""
        self._store.webhooks.mark_delivered(outgoing.delivery.id, self._clock.now().replace(microsecond=0), said)

    def failed(self, outgoing: Outgoing, said: str, *, final: bool) -> None:
        """It was not; unless that is ``final`` it is tried again, as often as the policy says."""
        now = self._clock.now().replace(microsecond=0)
        tried = outgoing.delivery.attempts
        again = None if final or tried > len(self.policy.pauses) else now + self.policy.pauses[tried - 1]
        self._store.webhooks.mark_failed(outgoing.delivery.id, now, said[:_LONGEST_TEXT], retry_at=again)

    def tidy(self) -> int:
        """Give up deliveries that wait too long, and forget those that ended long ago; returns how many of these."""
        now = self._clock.now().replace(microsecond=0)
        self._store.webhooks.give_up(now - self.policy.oldest, now, "it waited too long")
        return self._store.webhooks.purge_deliveries(now - self.policy.kept)

    # -- steps ---------------------------------------------------------------------------------

    def _own(self, party: Party, endpoint_id: str) -> Endpoint:
        found = self._store.webhooks.endpoint(endpoint_id)
        if found is None or found.owner != party.owner:
            raise _unknown(endpoint_id)
        return found

    def _sealed(self, endpoint_id: str, secret: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self._key()).encrypt(nonce, secret.encode("ascii"), endpoint_id.encode("ascii"))

    def _opened(self, endpoint: Endpoint) -> str:
        nonce, octets = endpoint.secret[:_NONCE], endpoint.secret[_NONCE:]
        try:
            return AESGCM(self._key()).decrypt(nonce, octets, endpoint.id.encode("ascii")).decode("ascii")
        except (InvalidTag, ValueError) as problem:
            raise V2GPKIError(
                "webhook.unsealed",
                f"the secret of the endpoint {endpoint.id} cannot be opened: the home's secret is another one",
                hint="remove the endpoint; its owner makes a new one",
                facts={"endpoint": endpoint.id},
            ) from problem


def payload_of(event: Event, name: str = "") -> bytes:
    """The body that an event is told in, under the name that was subscribed to."""
    value: dict[str, object] = {
        "timestamp": rfc3339(event.at),
        "eventId": event.id,
        "eventType": name or event.name,
        "payload": dict(event.payload),
    }
    if event.namespace:
        value["xsdMsgDefNamespace"] = event.namespace
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def signed_headers(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a delivery: HMAC-SHA256 of the body under the secret's text, in hex, under every name that the
    descriptions and their readers know."""
    digest = hmac.new(secret.encode("utf-8"), body, sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "payload-signature": digest,
        "X-Operator-Signature": digest,
        "X-Hubject-Signature": f"sha256={digest}",
    }


def _unknown(endpoint_id: str) -> V2GPKIError:
    return V2GPKIError(
        "webhook.unknown",
        f"there is no webhook endpoint {endpoint_id[:40]!a}",
        hint="list the endpoints; perhaps it was removed",
        facts={"endpoint": endpoint_id[:40]},
    )


def _checked_events(events: Sequence[str]) -> tuple[str, ...]:
    for name in events:
        if name not in NAMES:
            raise V2GPKIError(
                "webhook.unknown_event",
                f"enabledEvents: there is no event {name[:60]!a}",
                hint="known are " + ", ".join(NAMES),
                clause="OPCP 1.0, webhooks",
                facts={"event": name[:60]},
            )
    return tuple(dict.fromkeys(events))


def _checked_text(name: str, text: str) -> str:
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise V2GPKIError(
            "webhook.too_large",
            f"{name}: has up to {_LONGEST_TEXT} printable characters",
            hint="shorten it",
            facts={"field": name, "length": len(text)},
        )
    return text


def _noted(metadata: Mapping[str, object], api_version: str) -> str:
    text = json.dumps({"metadata": dict(metadata), "apiVersion": _checked_text("apiVersion", api_version)})
    if len(text) > _LARGEST_METADATA:
        raise V2GPKIError(
            "webhook.too_large",
            f"metadata: has up to {_LARGEST_METADATA} octets as JSON",
            hint="shorten it",
            facts={"field": "metadata", "length": len(text)},
        )
    return text


def _view(endpoint: Endpoint) -> EndpointView:
    noted = json.loads(endpoint.noted) if endpoint.noted else {}
    return EndpointView(
        endpoint.id,
        endpoint.url,
        endpoint.events,
        endpoint.created_at,
        endpoint.description,
        endpoint.enabled,
        noted.get("metadata", {}),
        noted.get("apiVersion", "v1"),
        endpoint.owner,
    )
