"""What happened in the pools, as others are told: each event once, for the parties that it concerns.

Names are those of OPCP; OPNC says ``emsp`` where OPCP says ``mo``. An event about a root is for everybody; one that
begins with ``mo.`` is for the operator of the contract, by the prefix of its EMAID, or for whoever has contracts with
the vehicle; one that begins with ``oem.`` for the manufacturer of the vehicle, by its WMI.
Sources: OPCP 1.0 and OPNC v1, webhook payloads.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from v2gpki.services.pools import Ownership

#: The events of OPCP's and OPNC's descriptions, in OPCP's words.
EVENTS = (
    "root.cert.added",
    "root.cert.expired",
    "root.cert.revoked",
    "mo.prov.cert.updated",
    "mo.prov.cert.deleted",
    "mo.prov.cert.updated.factory.reset",
    "mo.contract.delivered.to.oem",
    "mo.contract.created.sent.to.oem",
    "mo.contract.updated.sent.to.oem",
    "mo.contract.deleted.sent.to.oem",
    "mo.contract.rejected.by.oem",
    "mo.contract.queued.to.oem",
    "oem.contract.created",
    "oem.contract.updated",
    "oem.contract.deleted",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ``owner`` is the party that it is for, None for everybody; ``payload`` as OPCP writes
    it, ``namespace`` the edition's. ``id`` stays the same however often it is delivered."""

    id: str
    name: str
    at: datetime
    payload: Mapping[str, str]
    namespace: str = ""
    owner: str | None = None


#: Takes events in; it stores them, and delivers later.
Publish: TypeAlias = Callable[[Sequence[Event]], None]


def unheard(events: Sequence[Event]) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is told about a contract: its two identifiers, its edition, and its certificate where there is one."""

    emaid: str
    pcid: str
    namespace: str
    details: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> dict[str, str]:
        """As the descriptions write it."""
        return {"emaid": self.emaid, "pcid": self.pcid, **self.details}


def of_contract(what: str, told: Told, owners: Ownership, at: datetime) -> list[Event]:
    """``created``, ``updated`` or ``deleted``: one event for the manufacturer, and one that tells the operator so."""
    oem, mo = owners.of("wmi", told.pcid), owners.of("mo", told.emaid)
    return [
        event(f"oem.contract.{what}", at, told.payload(), told.namespace, "" if oem is None else oem.owner),
        event(f"mo.contract.{what}.sent.to.oem", at, told.payload(), told.namespace, "" if mo is None else mo.owner),
    ]


def event(name: str, at: datetime, payload: Mapping[str, str], namespace: str = "", owner: str | None = None) -> Event:
    """An event with a fresh id."""
    return Event(str(uuid.uuid4()), name, at, payload, namespace, owner)
