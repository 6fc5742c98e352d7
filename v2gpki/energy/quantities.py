"""What station and vehicle say of themselves: limits, setpoints, what flows, meter readings.

Units: W, V, A, Wh, Hz, seconds, states of charge from 0 to 1. Power and current are positive into the vehicle and
negative out of it; a limit of discharge is positive. Three-phase powers are sums, beside them what each phase has where
that matters. Sources of the fields: the messages of ISO 15118-2 8.4 and 8.5 and of ISO 15118-20 8.3.4 and 8.3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Current: TypeAlias = Literal["AC", "DC"]
Phases: TypeAlias = tuple[float, float, float]
IsolationState: TypeAlias = Literal["unknown", "valid", "warning", "fault", "no_imd"]
#: In -2 the EVSEStatusCode of a DC station; an AC station has "ready" or not.
StageState: TypeAlias = Literal[
    "not_ready", "ready", "isolation_monitoring", "shutdown", "utility_interrupt", "emergency_shutdown", "malfunction"
]
#: In -2 the EVErrorCode of a DC vehicle.
VehicleFault: TypeAlias = Literal[
    "",
    "temperature_inhibit",
    "shift_position",
    "connector_lock",
    "battery_malfunction",
    "current_differential",
    "voltage_out_of_range",
    "incompatible",
    "no_data",
]


# --- the station ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageLimits:
    """What a power stage can do now.

    Voltages of AC are from phase to neutral, currents of AC those of one phase; ``max_discharge_power`` 0 is a stage
    that cannot take energy back. ``power_ramp`` in W/s, ``phase_power`` where the phases differ. The rest is for the
    message that has a field for it; None is left out.
    """

    current: Current
    max_charge_power: float
    max_voltage: float
    max_current: float
    min_charge_power: float = 0.0
    min_voltage: float = 0.0
    min_current: float = 0.0
    max_discharge_power: float = 0.0
    min_discharge_power: float = 0.0
    max_discharge_current: float = 0.0
    min_discharge_current: float = 0.0
    phases: int = 3
    phase_power: Phases | None = None
    nominal_voltage: float = 230.0
    nominal_frequency: float = 50.0
    max_power_asymmetry: float | None = None
    power_ramp: float | None = None
    peak_current_ripple: float = 1.0
    current_tolerance: float | None = None
    energy_to_be_delivered: float | None = None

    @property
    def bidirectional(self) -> bool:
        """Whether energy can flow out of the vehicle (BPT)."""
        return self.max_discharge_power > 0


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What a power stage shall do until it is told anew.

    DC: ``voltage`` and ``current`` are the vehicle's targets, ``power`` the most that both may come to (schedule, load
    management). AC: ``power`` is the most that may flow; how much does is the vehicle's choice. In dynamic control
    ``power`` is the station's own target. Negative is out of the vehicle, ``current`` and ``power`` alike.
    ``max_voltage``, ``max_current`` and ``max_power`` are the vehicle's limits where it told them, ``energy`` the Wh
    that it still takes.
    """

    power: float
    voltage: float | None = None
    current: float | None = None
    reactive_power: float = 0.0
    phase_power: Phases | None = None
    max_voltage: float | None = None
    max_current: float | None = None
    max_power: float | None = None
    energy: float | None = None
    #: What the vehicle says that flows (AC of -20): a stage that simulates lets it, one that measures knows better.
    flowing: float | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What a power stage sees at its output, and whether one of the station's limits keeps it from what was asked."""

    voltage: float
    current: float
    power: float
    phase_power: Phases | None = None
    current_limited: bool = False
    voltage_limited: bool = False
    power_limited: bool = False
    isolation: IsolationState = "valid"
    state: StageState = "ready"
    #: A residual current device has tripped (AC).
    rcd: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter's registers: Wh into the vehicle (``imported``) and out of it (``exported``), since the meter exists.

    ``at`` in Unix seconds, None if the meter knows no time; ``signature`` is the meter's own, at most 64 octets.
    """

    meter_id: str
    imported: float
    exported: float = 0.0
    at: int | None = None
    signature: bytes | None = None
    status: int | None = None
    capacitive_varh: float | None = None
    inductive_varh: float | None = None


# --- the vehicle ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VehicleLimits:
    """What a vehicle can take now, and give back. AC: voltages to neutral, currents of one phase."""

    current: Current
    max_charge_power: float
    max_voltage: float
    max_current: float
    min_charge_power: float = 0.0
    min_voltage: float = 0.0
    min_current: float = 0.0
    max_discharge_power: float = 0.0
    min_discharge_power: float = 0.0
    max_discharge_current: float = 0.0
    min_discharge_current: float = 0.0
    phases: int = 3
    phase_power: Phases | None = None

    @property
    def bidirectional(self) -> bool:
        """Whether the vehicle gives energy back (BPT)."""
        return self.max_discharge_power > 0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a vehicle wants: Wh at its inlet, states of charge from 0 to 1, ``departure`` in seconds from now.

    ``minimum_energy`` is what it must have, ``maximum_energy`` what fits in; both may be negative in -20, when the
    battery has more. ``v2x_maximum`` and ``v2x_minimum`` bound the energy that it lends.
    """

    target_energy: float
    maximum_energy: float
    minimum_energy: float = 0.0
    departure: float | None = None
    capacity: float | None = None
    minimum_soc: float | None = None
    target_soc: float | None = None
    maximum_soc: float | None = None
    bulk_soc: float | None = None
    v2x_maximum: float | None = None
    v2x_minimum: float | None = None


@dataclass(frozen=True, slots=True)
class VehicleState:
    """What a vehicle is doing: state of charge from 0 to 1, V at its inlet, times to go in seconds.

    ``current`` and ``power`` are what it takes (negative: gives back). ``ready`` is its readiness for energy, ``fault``
    what keeps it from that.
    """

    soc: float
    voltage: float
    current: float = 0.0
    power: float = 0.0
    phase_power: Phases | None = None
    reactive_power: float = 0.0
    ready: bool = True
    fault: VehicleFault = ""
    complete: bool = False
    bulk_complete: bool = False
    seconds_to_full: float | None = None
    seconds_to_bulk: float | None = None
    seconds_to_minimum: float | None = None
    seconds_to_target: float | None = None
    inlet_hot: bool = False


@dataclass(frozen=True, slots=True)
class Demand:
    """What a vehicle asks for next. DC: ``voltage`` and ``current``, AC: ``power``; negative gives energy back."""

    power: float
    voltage: float = 0.0
    current: float = 0.0
