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
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from v2gpki.clock import Clock, rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.services.ecosystem.events import EVENTS, Event
from v2gpki.services.ecosystem.parties import Party
from v2gpki.store.protocol import Store
from v2gpki.store.webhook_records import Delivery, Endpoint

#: OPNC's names for OPCP's events.
_OPNC = {name: "emsp" + name.removeprefix("mo") for name in EVENTS if name.startswith("mo.")}
_OPCP = {written: name for name, written in _OPNC.items()}
#: Every name that an endpoint may subscribe to.
NAMES = (*EVENTS, *_OPCP)

_LONGEST_URL = 2000
_LONGEST_TEXT = 500
_LARGEST_METADATA = 4096
_NONCE = 12


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """What the operator of a home decides.

    ``allowed`` are networks that deliveries may go to though they are not public, ``plain`` allows http beside https.
    ``pauses`` are the waits before each further try: the providers of the field try three times, an hour apart.
    ``kept`` is how long deliveries that have ended are remembered, ``most`` how many endpoints a party may have.
    """

    allowed: tuple[IPv4Network | IPv6Network, ...] = ()
    plain: bool = False
    pauses: tuple[timedelta, ...] = (
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(hours=1),
        timedelta(hours=1),
        timedelta(hours=1),
    )
    kept: timedelta = timedelta(days=30)
    most: int = 20

    def permits(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether a delivery may be sent to this address: public, or allowed by the operator."""
        real = _embedded(address)
        if any(one in network for network in self.allowed for one in (address, real) if one.version == network.version):
            return True
        return all(one.is_global and not one.is_multicast for one in (address, real))


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

    def check_url(self, url: str) -> SplitResult:
        """The parts of an address that deliveries may go to, as far as that shows without asking for its name.

        Raises ``webhook.bad_url``, ``webhook.private_address``.
        """
        try:
            parts = urlsplit(url)
            # A name that ends with a dot is the same name.
            host, _ = (parts.hostname or "").removesuffix("."), parts.port
        except ValueError as problem:
            raise _bad_url("it cannot be read") from problem
        if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise _bad_url(f"an address has up to {_LONGEST_URL} printable ASCII characters without spaces")
        if parts.scheme not in (("https", "http") if self.policy.plain else ("https",)):
            raise _bad_url("it must begin with https://")
        if not host or parts.username is not None or parts.password is not None or parts.fragment:
            raise _bad_url("it needs a host, and may have no user, password or fragment")
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            if not self.policy.allowed:
                raise private_address(host)
            return parts
        try:
            address = ip_address(host)
        except ValueError:
            if host.replace(".", "").isdigit() or host.lower().startswith("0x"):
                # What resolvers take for an address in a form of old.
                raise _bad_url("its host is neither a name nor an address") from None
            return parts
        if not self.policy.permits(address):
            raise private_address(host)
        return parts

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

    def take(self, limit: int, hold: timedelta) -> list[Outgoing]:
        """What is due, signed and ready to be sent; nobody else takes it for as long as ``hold``."""
        now = self._clock.now().replace(microsecond=0)
        taken = []
        for delivery in self._store.webhooks.take_due(now, limit=limit, hold_seconds=int(hold.total_seconds())):
            endpoint = self._store.webhooks.endpoint(delivery.endpoint_id)
            if endpoint is None:
                continue
            if not endpoint.enabled:
                self._store.webhooks.mark_failed(delivery.id, now, "the endpoint is disabled", retry_at=None)
                continue
            headers = signed_headers(delivery.payload, self._opened(endpoint))
            taken.append(Outgoing(delivery, endpoint.url, headers))
        return taken

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
        """Forget deliveries that ended long ago; returns how many."""
        return self._store.webhooks.purge_deliveries(self._clock.now().replace(microsecond=0) - self.policy.kept)

    # -- steps ---------------------------------------------------------------------------------

    def _own(self, party: Party, endpoint_id: str) -> Endpoint:
        found = self._store.webhooks.endpoint(endpoint_id)
        if found is None or found.owner != party.owner:
            raise V2GPKIError(
                "webhook.unknown",
                f"there is no webhook endpoint {endpoint_id[:40]!a}",
                hint="list the endpoints; perhaps it was removed",
                facts={"endpoint": endpoint_id[:40]},
            )
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


def private_address(host: str) -> V2GPKIError:
    """The refusal of an address that is not public."""
    return V2GPKIError(
        "webhook.private_address",
        f"webhooks are not sent to {host[:80]!a}: it is no public address",
        hint="give a public https address; the operator of this home can allow networks of its own",
        clause="OPCP 1.0, webhooks",
        facts={"host": host[:80]},
    )


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to (mapped, 6to4, NAT64), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


_NAT64 = IPv6Network("64:ff9b::/96")


def _bad_url(why: str) -> V2GPKIError:
    return V2GPKIError(
        "webhook.bad_url",
        f"url: no address for webhooks: {why}",
        hint="give an address such as https://events.example.com/pki",
        clause="OPCP 1.0, webhooks",
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
