"""What the services ask of the store about webhooks: ``Store.webhooks``. Endpoints are in the audit log; deliveries are
a queue, and the log does not speak of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from v2gpki.store.webhook_records import Delivery, DeliveryState, Endpoint


class WebhookStore(Protocol):
    """Endpoints and deliveries. One transaction per writing method; safe from threads."""

    # -- endpoints ---------------------------------------------------------------------------
    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint; an id that is there raises ``store.conflict``."""
        ...

    def change_endpoint(self, endpoint: Endpoint, at: datetime, caller: str) -> Endpoint:
        """Change url, events, description, secret, what is noted or whether it is enabled; the rest stays. Unknown:
        ``store.unknown_endpoint``."""
        ...

    def remove_endpoint(self, endpoint_id: str, at: datetime, caller: str) -> Endpoint:
        """Remove an endpoint and what is on its way to it. Unknown: ``store.unknown_endpoint``."""
        ...

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """One endpoint."""
        ...

    def endpoints(self, *, owner: str | None = None, event: str = "") -> list[Endpoint]:
        """In the order in which they came; with ``event`` the enabled ones that are told of it."""
        ...

    # -- deliveries --------------------------------------------------------------------------
    def enqueue(self, deliveries: Sequence[Delivery]) -> None:
        """Put deliveries into the queue, all or none; one whose endpoint is gone is left out, and so is one whose id is
        there already."""
        ...

    def due_endpoints(self, at: datetime) -> list[str]:
        """The ids of endpoints for which something is due, the one that waits longest first."""
        ...

    def take_due(
        self, at: datetime, *, limit: int, hold_seconds: int, endpoints: Sequence[str] | None = None
    ) -> list[Delivery]:
        """Deliveries that are due, oldest first, or the oldest one of each of ``endpoints``, in that order; each
        counts an attempt and is due again after ``hold_seconds``, so that no other process takes it meanwhile and none
        is lost with a process that dies."""
        ...

    def fail_waiting(self, endpoint_id: str, at: datetime, said: str) -> int:
        """Whatever waits for an endpoint has failed, without an attempt; returns how many."""
        ...

    def give_up(self, before: datetime, at: datetime, said: str) -> int:
        """Whatever waits since before a moment has failed; returns how many."""
        ...

    def mark_delivered(self, delivery_id: str, at: datetime, said: str) -> None:
        """It arrived."""
        ...

    def mark_failed(self, delivery_id: str, at: datetime, said: str, *, retry_at: datetime | None) -> None:
        """It did not: it is due again at ``retry_at``, or given up with None."""
        ...

    def deliveries(self, *, endpoint_id: str = "", state: DeliveryState | None = None) -> Iterator[Delivery]:
        """In the order in which they were put in, read page by page."""
        ...

    def purge_deliveries(self, before: datetime) -> int:
        """Forget those that ended before a moment; returns how many."""
        ...
