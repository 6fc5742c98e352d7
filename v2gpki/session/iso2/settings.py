"""What a station and a vehicle of ISO 15118-2 are set to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from v2gpki.energy.offer import Offer
from v2gpki.session.questions import Paused
from v2gpki.session.timers import ISO2, Timers

Action = Literal["install", "update"]
ALL_ACTIONS: tuple[Action, ...] = ("install", "update")


@dataclass(frozen=True, slots=True)
class StationSettings:
    """A station. Of the ``offer`` goes out what -2 has words for: methods as far as the connection lets them (contracts
    over TLS only), services one way, value-added services over TLS. ``contract_service``: what it does for contracts,
    where the offer has ``installation``.
    """

    offer: Offer
    contract_service: tuple[Action, ...] = ALL_ACTIONS
    contract_service_free: bool = True
    timers: Timers = ISO2


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """A vehicle. ``resume``: the session that it paused. ``poll``: seconds between two requests while the station is at
    work, ``loop_pace`` between two turns of the charging loop. ``precharge_within``: volts that the station may be off
    before contactors close. ``cable_check_again``: after a renegotiation in DC it checks the cable anew, as some
    vehicles do.
    """

    evcc_id: bytes = bytes(6)
    resume: Paused | None = None
    poll: float = 0.1
    loop_pace: float = 0.1
    precharge_within: float = 20.0
    cable_check_again: bool = False
    timers: Timers = ISO2
