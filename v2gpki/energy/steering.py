"""What station and vehicle tell each other of power and price: schedules given and chosen, what the station wants of a
round of charging, what the vehicle does next.

Engines ask for these and plug-ins give them; no message class is seen here. Clauses: ISO 15118-2 8.4.3.8 to 8.5.2.15,
ISO 15118-20 8.3.4.5, 8.3.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from v2gpki.energy.offer import EnergyService, Method, Notification, Variant
from v2gpki.energy.quantities import Present, Setpoint, StageLimits
from v2gpki.energy.schedule import ControlMode, PowerSchedule, Pricing, Schedule


@dataclass(frozen=True, slots=True)
class SchedulesGiven:
    """One to three schedules, or in dynamic control what the station intends, in seconds from now.

    "ongoing" is asked again. ``go_to_pause`` asks the vehicle to pause until there is power (-20).
    """

    status: Literal["finished", "ongoing"] = "finished"
    schedules: tuple[Schedule, ...] = ()
    departure: float | None = None
    minimum_soc: float | None = None
    target_soc: float | None = None
    price: Pricing | None = None
    go_to_pause: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """What the station wants of a session now; all empty is: go on.

    ``notification`` has to be followed within ``notification_seconds``. ``power`` is the target (W, negative: out of
    the vehicle): of dynamic control, and of an AC station also in scheduled control; None is what schedule and limits
    allow. ``receipt`` asks for a signed meter reading. ``acknowledge_seconds`` and what stands around it: dynamic
    control of -20.
    """

    notification: Notification = ""
    notification_seconds: int = 0
    power: float | None = None
    reactive_power: float | None = None
    frequency: float | None = None
    receipt: bool = False
    departure: float | None = None
    minimum_soc: float | None = None
    target_soc: float | None = None
    acknowledge_seconds: int | None = None


def steered(setpoint: Setpoint, control: Control, mode: ControlMode) -> Setpoint:
    """What a power stage is told when the station has a power of its own in mind.

    In dynamic control it is the target, whatever way, and a stage of DC finds the current; in scheduled control it
    bounds what the vehicle charges with.
    """
    power = control.power
    if power is None:
        return setpoint
    if mode == "dynamic":
        return replace(setpoint, power=min(power, setpoint.power), current=None)
    most = max(power, 0.0)
    if setpoint.power <= most:
        return setpoint
    current = setpoint.current
    if current is not None and setpoint.voltage:
        current = min(current, most / setpoint.voltage)
    return replace(setpoint, power=most, current=current)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the station says it does: ``power`` is its target (AC) or what flows (DC); ``limits`` as of now.

    ``closed``: the power path is closed. ``granted`` is the schedule's power now, None where there is none.
    """

    limits: StageLimits
    voltage: float = 0.0
    current: float = 0.0
    power: float = 0.0
    closed: bool = False
    granted: float | None = None
    reactive_power: float | None = None
    frequency: float | None = None
    present: Present | None = None


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """What the vehicle takes of a station's offer; ``install`` and ``update`` ask for a contract first.

    ``value_added``: number and parameter set of each service beside charging.
    """

    method: Method
    service: EnergyService
    variant: Variant
    install: bool = False
    update: bool = False
    value_added: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SchedulesOffered:
    """Schedules to choose from, or in dynamic control what the station intends; ``now`` in Unix seconds.

    ``verified``: the signature of the mobility operator over all signed prices holds.
    """

    now: int
    control: ControlMode
    schedules: tuple[Schedule, ...] = ()
    departure: float | None = None
    minimum_soc: float | None = None
    target_soc: float | None = None
    price: Pricing | None = None
    verified: bool = False
    renegotiation: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleChoice:
    """The schedule that the vehicle takes (0 in dynamic control) and what it will draw within it.

    ``profile`` None: the schedule's own powers, cut to what the vehicle can. ``tolerance`` None says nothing of it
    (-20).
    """

    identifier: int
    profile: PowerSchedule | None = None
    tolerance: bool | None = None
    channel: Literal["charge", "discharge"] = "charge"


@dataclass(frozen=True, slots=True)
class Step:
    """How a session goes on: "renegotiate" is about its schedule; "renegotiate_service" and "standby" are of -20.

    ``code`` and ``explanation`` say why it stops (-20: up to 80 and 160 characters). ``meter`` asks for a reading.
    """

    what: Literal["go_on", "stop", "pause", "standby", "renegotiate", "renegotiate_service"] = "go_on"
    code: str = ""
    explanation: str = ""
    meter: bool = True
