"""Webhooks as frozen values: who is told of what, and what is on its way. Times are aware UTC with whole seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DeliveryState = Literal["waiting", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an identity (``owner``) is told of ``events``. ``secret`` is what its deliveries are authenticated with, as
    the service sealed it: the store keeps these octets and shows them to nobody. ``noted`` is what the owner attached,
    a JSON object as text, "" for nothing."""

    id: str
    owner: str
    url: str
    events: tuple[str, ...]
    secret: bytes
    created_at: datetime
    created_by: str
    description: str = ""
    enabled: bool = True
    noted: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Endpoint(id={self.id!r}, owner={self.owner!r}, url={self.url!r}, events={self.events!r})"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. ``payload`` is the body as it is sent, ``attempts`` how often that was tried,
    ``due_at`` when it is next, ``said`` what came of the last time."""

    id: str
    endpoint_id: str
    event: str
    payload: bytes
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    state: DeliveryState = "waiting"
    said: str = ""
    ended_at: datetime | None = None
