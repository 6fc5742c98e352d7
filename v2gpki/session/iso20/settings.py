"""What an SECC and an EVCC of ISO 15118-20 are told before a session, and what is kept of one that was paused."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, Protocol

from v2gpki.energy.offer import Method, Offer, Variant
from v2gpki.session.timers import ISO20, Timers

#: Whose habits are followed where they differ from the standard.
Compat = Literal["", "ecog"]


@dataclass(frozen=True, slots=True)
class Paused:
    """What is kept of a paused session, at the outlet and in the vehicle. ``vehicle`` is the SHA-512 of the vehicle's
    TLS certificate, to which the session is bound; ``service`` and ``parameter_set`` are the numbers selected, and
    ``variant`` is what they mean, which a vehicle has to remember itself."""

    session_id: bytes
    method: Method
    service: int
    parameter_set: int
    vehicle: bytes = b""
    evcc_id: str = ""
    emaid: str = ""
    chain: tuple[bytes, ...] = ()
    variant: Variant | None = None


class PausedSessions(Protocol):
    """The paused sessions of an outlet, or of a vehicle."""

    def keep(self, paused: Paused) -> None:
        """Remember one."""
        ...

    def find(self, session_id: bytes) -> Paused | None:
        """The session with this id, None if there is none."""
        ...

    def forget(self, session_id: bytes) -> None:
        """It goes on, or has ended."""
        ...


class KeptSessions:
    """Paused sessions in memory, the newest ``most``."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._kept: OrderedDict[bytes, Paused] = OrderedDict()

    def keep(self, paused: Paused) -> None:
        """Remember one, and forget the oldest if there are too many."""
        self._kept[paused.session_id] = paused
        self._kept.move_to_end(paused.session_id)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def find(self, session_id: bytes) -> Paused | None:
        """The session with this id."""
        return self._kept.get(session_id)

    def forget(self, session_id: bytes) -> None:
        """It goes on, or has ended."""
        self._kept.pop(session_id, None)


@dataclass(frozen=True, slots=True)
class StationSettings:
    """A station. ``paused`` None: every session is a new one, and none can pause.

    ``confirm_metering``: a vehicle that does not confirm a reading it was asked for within ``confirmation_seconds`` is
    asked to stop. ``sign_prices`` has prices for contracts signed. ``standby`` lets a vehicle stand by. ``lab`` speaks
    without TLS 1.3 and vehicle certificate, which the standard forbids.
    """

    offer: Offer
    confirm_metering: bool = False
    confirmation_seconds: float = 60.0
    sign_prices: bool = False
    standby: bool = True
    paused: PausedSessions | None = None
    timers: Timers = ISO20
    compat: Compat = ""
    lab: bool = False


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """A vehicle. ``services`` are the ids of services that it knows, () says nothing of them; ``resume`` is the session
    to be joined again, ``paused`` keeps one that pauses. ``pace`` seconds lie between two requests while the station is
    at work, ``loop_pace`` between two turns of the charging loop. ``tries``: so often it authorises anew after a
    warning. ``compat`` "ecog": metering is not confirmed unsigned by force, side streams are not used.
    """

    evcc_id: str
    methods: tuple[Method, ...] = ("pnc", "eim")
    services: tuple[int, ...] = ()
    most_entries: int = 1024
    most_contracts: int = 8
    resume: Paused | None = None
    paused: PausedSessions | None = None
    pace: float = 0.25
    loop_pace: float = 0.1
    tries: int = 3
    timers: Timers = ISO20
    compat: Compat = ""
    lab: bool = False
