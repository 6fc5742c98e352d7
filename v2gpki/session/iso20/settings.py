"""What an SECC and an EVCC of ISO 15118-20 are told before a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from v2gpki.energy.offer import Method, Offer
from v2gpki.session.questions import Paused
from v2gpki.session.timers import ISO20, Timers

#: Whose habits are followed where they differ from the standard.
Compat = Literal["", "ecog"]


@dataclass(frozen=True, slots=True)
class StationSettings:
    """A station.

    ``confirm_metering``: a vehicle that does not confirm a reading it was asked for within ``confirmation_seconds`` is
    asked to stop. ``sign_prices`` has prices for contracts signed. ``standby`` lets a vehicle stand by. ``lab`` speaks
    without TLS 1.3 and vehicle certificate, which the standard forbids. ``compat`` "ecog": no reading is to be
    confirmed, that vehicle breaks off when it is asked; a pre-charge beyond the station goes to what there is.
    """

    offer: Offer
    confirm_metering: bool = False
    confirmation_seconds: float = 60.0
    sign_prices: bool = False
    standby: bool = True
    timers: Timers = ISO20
    compat: Compat = ""
    lab: bool = False


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """A vehicle. ``services`` are the ids of services that it knows, () says nothing of them; ``resume`` is the session
    to be joined again. ``pace`` seconds lie between two requests while the station is at work, ``loop_pace`` between
    two turns of the charging loop. ``tries``: so often it authorises anew after a warning. ``precharge_within``: volts
    that the station may be off before contactors close. ``compat`` "ecog": no side streams, a reading is confirmed
    though nobody signed it, who pays is said anew in a joined session, a tolerance is always accepted in words.
    """

    evcc_id: str
    methods: tuple[Method, ...] = ("pnc", "eim")
    services: tuple[int, ...] = ()
    most_entries: int = 1024
    most_contracts: int = 8
    resume: Paused | None = None
    pace: float = 0.25
    loop_pace: float = 0.1
    tries: int = 3
    precharge_within: float = 20.0
    timers: Timers = ISO20
    compat: Compat = ""
    lab: bool = False
