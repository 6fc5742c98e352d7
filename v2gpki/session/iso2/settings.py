"""What a station and a vehicle of ISO 15118-2 are set to, and what is kept of a session that was paused."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, Protocol

from v2gpki.messages.iso2 import EnergyTransferModeType
from v2gpki.session.questions import Current, Method
from v2gpki.session.timers import ISO2, Timers

Action = Literal["install", "update"]
ALL_ACTIONS: tuple[Action, ...] = ("install", "update")


@dataclass(frozen=True, slots=True)
class PausedSession:
    """What binds a paused session to the one that resumes it: id, vehicle, and what had been chosen
    (ISO 15118-2 8.4.2)."""

    session_id: bytes
    evcc_id: bytes
    method: Method
    transfer_mode: EnergyTransferModeType
    schedule: int = 0


class PausedSessions(Protocol):
    """The paused sessions of an outlet."""

    def keep(self, paused: PausedSession) -> None:
        """Remember one."""
        ...

    def take(self, session_id: bytes, evcc_id: bytes) -> PausedSession | None:
        """The session that this vehicle paused, once; None if there is none of this id and vehicle."""
        ...


class KeptSessions:
    """Paused sessions in memory, the newest ``most``."""

    def __init__(self, most: int = 100) -> None:
        self.most = most
        self._kept: OrderedDict[bytes, PausedSession] = OrderedDict()

    def keep(self, paused: PausedSession) -> None:
        """Remember one, and forget the oldest if there are too many."""
        self._kept[paused.session_id] = paused
        self._kept.move_to_end(paused.session_id)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def take(self, session_id: bytes, evcc_id: bytes) -> PausedSession | None:
        """The session that this vehicle paused, once."""
        found = self._kept.get(session_id)
        if found is None or found.evcc_id != evcc_id:
            return None
        return self._kept.pop(session_id)


@dataclass(frozen=True, slots=True)
class StationSettings:
    """A station. ``methods`` are offered as far as the connection lets them (contracts over TLS only);
    ``contract_service`` is what it does for contracts, () nothing. ``receipts`` asks for a metering receipt whenever
    the reading has changed, else only when the power stage wants one. ``sign_tariffs`` asks for a signature over the
    prices (in the field the MO signs them). ``paused`` None: every session is a new one.
    """

    evse_id: str = "ZZ00000"
    methods: tuple[Method, ...] = ("pnc", "eim")
    transfer_modes: tuple[EnergyTransferModeType, ...] = ("AC_three_phase_core", "AC_single_phase_core")
    free: bool = False
    contract_service: tuple[Action, ...] = ALL_ACTIONS
    contract_service_free: bool = True
    receipts: bool = False
    sign_tariffs: bool = False
    paused: PausedSessions | None = None
    timers: Timers = ISO2


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """A vehicle. ``methods``: how it would pay, the preferred first. ``contract``: whether it gets itself a contract
    before. ``resume``: the id of the session that it paused. ``charge_seconds`` and ``charge_energy`` (Wh) end the
    charging loop, 0 leaves that to what the vehicle wishes; ``pause`` makes that end a pause. ``receipts``: whether it
    signs metering receipts; a vehicle that does not stops when one is wanted. ``poll``: seconds between two requests
    while the station is at work. ``precharge_within``: volts that the station may be off before contactors close.
    ``cable_check_again``: after a renegotiation in DC it checks the cable anew, as some vehicles do.
    """

    evcc_id: bytes = bytes(6)
    methods: tuple[Method, ...] = ("pnc", "eim")
    transfer_mode: EnergyTransferModeType = "AC_three_phase_core"
    contract: Literal["install", "update", "none"] = "none"
    resume: bytes = b""
    charge_seconds: float = 0.0
    charge_energy: float = 0.0
    pause: bool = False
    receipts: bool = True
    poll: float = 0.1
    precharge_within: float = 20.0
    cable_check_again: bool = False
    timers: Timers = ISO2


def current_of(mode: EnergyTransferModeType) -> Current:
    """Which current a mode transfers."""
    return "ac" if mode.startswith("AC") else "dc"


def phases_of(mode: EnergyTransferModeType) -> int:
    """How many phases a mode uses; 1 for DC."""
    return 3 if mode == "AC_three_phase_core" else 1
