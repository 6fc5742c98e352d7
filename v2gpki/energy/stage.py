"""A power stage: what flows when a vehicle asks, within limits and ramp, through contactors that are closed, past a
meter.

AC: the vehicle takes what it wants of what is allowed; nobody tells a station of -2 how much that is, so a simulated
one takes its limits and the energy that was asked for. DC: voltage and current follow the vehicle's targets. Time is an
argument, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from v2gpki.energy.battery import within
from v2gpki.energy.meter import Meter
from v2gpki.energy.quantities import IsolationState, Present, Setpoint, StageLimits
from v2gpki.errors import V2GPKIError

_HOUR = 3600.0
#: Two powers that differ by this part are the same.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class StageFacts:
    """How a stage behaves: ``power_ramp`` in W/s and ``voltage_ramp`` in V/s (infinite: at once).

    ``isolation_seconds`` is how long the isolation check takes, ``isolation`` how it ends; ``stuck`` are contactors
    that do not move: for tests of the other side.
    """

    power_ramp: float = math.inf
    voltage_ramp: float = math.inf
    isolation_seconds: float = 0.0
    isolation: IsolationState = "valid"
    stuck: bool = False


@dataclass(slots=True)
class _Output:
    """What is at the contacts now."""

    voltage: float = 0.0
    power: float = 0.0


@dataclass(slots=True)
class _Target:
    """What the output moves to, and which limit keeps it from more."""

    voltage: float = 0.0
    power: float = 0.0
    limited: frozenset[str] = field(default_factory=frozenset)
    #: Wh that the vehicle still takes, infinite when it did not say.
    energy: float = math.inf


class Stage:
    """A power stage in time. Not safe from threads."""

    def __init__(self, limits: StageLimits, meter: Meter, *, facts: StageFacts | None = None, at: float = 0.0) -> None:
        """``at`` is the stage's time, in seconds from any origin. Raises ``energy.invalid``."""
        for name in ("max_charge_power", "max_voltage", "max_current", "max_discharge_power", "max_discharge_current"):
            within(name, float(getattr(limits, name)), 0.0, 1e7)
        within("phases", limits.phases, 1, 3)
        self.limits = limits
        self.facts = facts or StageFacts()
        self.meter = meter
        self.at = at
        self.closed = False
        self._output = _Output()
        self._target = _Target()
        self._isolation: IsolationState = "unknown"
        self._check_ends: float | None = None

    # -- time ----------------------------------------------------------------------------------

    def advance(self, to: float) -> None:
        """Let time pass; the meter counts what flowed. Raises ``energy.invalid`` when it would run backwards."""
        if not math.isfinite(to) or to < self.at:
            raise V2GPKIError("energy.invalid", f"from {self.at} s to {to} s", hint="time runs forward")
        seconds = to - self.at
        self._output.voltage = _moved(self._output.voltage, self._target.voltage, self.facts.voltage_ramp * seconds)
        if seconds:
            self._count(seconds)
        self.at = to

    def _count(self, seconds: float) -> None:
        """Power goes along its ramp and then stays; the meter counts the area below."""
        before, target, ramp = self._output.power, self._target.power, self.facts.power_ramp
        rising = min(seconds, abs(target - before) / ramp) if math.isfinite(ramp) and ramp > 0 else 0.0
        after = _moved(before, target, ramp * seconds)
        energy = ((before + after) / 2 * rising + after * (seconds - rising)) / _HOUR
        if energy > self._target.energy:
            # full on the way: it has taken what was left
            energy, after = self._target.energy, 0.0
            self._target.power = 0.0
        self._target.energy -= max(energy, 0.0)
        self._output.power = after
        self.meter.count(energy)

    # -- before and after ----------------------------------------------------------------------

    def check_isolation(self) -> IsolationState:
        """Begin the check, or its result; "unknown" while it goes on."""
        if self._check_ends is None:
            self._check_ends = self.at + self.facts.isolation_seconds
        if self.at >= self._check_ends:
            self._isolation = self.facts.isolation
        return self._isolation

    def precharge(self, voltage: float) -> Present:
        """Bring the output to a voltage, with the contactors open towards the grid's power."""
        self._target.voltage = min(max(voltage, 0.0), self.limits.max_voltage)
        if math.isinf(self.facts.voltage_ramp):
            self._output.voltage = self._target.voltage
        return self.present()

    def close(self) -> None:
        """Close the contactors. Raises ``station.contactor`` when they stick, or after a failed isolation check."""
        if self.facts.stuck:
            raise _contactor("the contactors do not close")
        if self.limits.current == "DC" and self._isolation not in ("valid", "warning", "no_imd"):
            raise _contactor(f"the contactors stay open: isolation is {self._isolation}")
        self.closed = True
        if self.limits.current == "AC":
            self._output.voltage = self._target.voltage = self.limits.nominal_voltage

    def open(self) -> None:
        """No power, then open. The next charging begins with a check of its own."""
        self._output.power = 0.0
        self._target = _Target()
        if math.isinf(self.facts.voltage_ramp) or self.limits.current == "AC":
            self._output.voltage = 0.0
        self._isolation, self._check_ends = "unknown", None
        if self.closed and self.facts.stuck:
            raise _contactor("the contactors do not open")
        self.closed = False

    # -- power ---------------------------------------------------------------------------------

    def deliver(self, setpoint: Setpoint) -> Present:
        """Follow a setpoint from now on; what flows now. With open contactors nothing does."""
        asked = (setpoint.power, setpoint.voltage or 0.0, setpoint.current or 0.0)
        if not all(math.isfinite(value) for value in asked):
            raise V2GPKIError("energy.invalid", f"no setpoint: {setpoint}", hint="finite numbers")
        target = self._dc(setpoint) if self.limits.current == "DC" else self._ac(setpoint)
        target.energy = math.inf if setpoint.energy is None else max(setpoint.energy, 0.0)
        if not self.closed or (target.power > 0 and target.energy <= 0):
            target.power = 0.0
        self._target = target
        if math.isinf(self.facts.power_ramp):
            self._output.power = target.power
        if math.isinf(self.facts.voltage_ramp):
            self._output.voltage = target.voltage
        return self.present()

    def present(self) -> Present:
        """What is at the output now."""
        voltage, power, limited = self._output.voltage, self._output.power, self._target.limited
        seen = Present(
            voltage,
            self._current(voltage, power),
            power,
            current_limited="current" in limited,
            voltage_limited="voltage" in limited,
            power_limited="power" in limited,
            isolation=self._isolation if self.limits.current == "DC" else "no_imd",
        )
        checking = self._check_ends is not None and self._isolation == "unknown"
        if self._isolation == "fault":
            return replace(seen, state="malfunction")
        return replace(seen, state="isolation_monitoring") if checking else seen

    def _current(self, voltage: float, power: float) -> float:
        if voltage <= 0:
            return 0.0
        return power / voltage / (1 if self.limits.current == "DC" else self.limits.phases)

    def _dc(self, setpoint: Setpoint) -> _Target:
        limits, limited = self.limits, set()
        wanted = setpoint.voltage if setpoint.voltage is not None else self._output.voltage
        voltage = min(wanted, limits.max_voltage, _or_infinite(setpoint.max_voltage))
        current = setpoint.current if setpoint.current is not None else _divided(setpoint.power, voltage)
        if wanted > limits.max_voltage:
            limited.add("voltage")
        most = limits.max_current if current >= 0 else limits.max_discharge_current
        if abs(current) > most:
            limited.add("current")
        most = min(most, _or_infinite(setpoint.max_current) if current >= 0 else math.inf)
        current = math.copysign(min(abs(current), most), current)
        power = current * voltage
        most = limits.max_charge_power if power >= 0 else limits.max_discharge_power
        most = min(most, abs(setpoint.power))
        if abs(power) > most * (1 + _ROUNDING):
            limited.add("power")
        allowed = min(most, _or_infinite(setpoint.max_power) if power >= 0 else math.inf)
        return _Target(max(voltage, 0.0), math.copysign(min(abs(power), allowed), power), frozenset(limited))

    def _ac(self, setpoint: Setpoint) -> _Target:
        limits = self.limits
        power = setpoint.power if setpoint.flowing is None else setpoint.flowing
        most = limits.max_charge_power if power >= 0 else limits.max_discharge_power
        by_current = (limits.max_current if power >= 0 else limits.max_discharge_current) * self._nominal()
        limited = {"power"} if abs(power) > most else set()
        limited |= {"current"} if abs(power) > by_current * (1 + _ROUNDING) else set()
        allowed = min(abs(power), most, by_current, self._by_vehicle(setpoint, power))
        voltage = limits.nominal_voltage if self.closed else 0.0
        return _Target(voltage, math.copysign(allowed, power), frozenset(limited))

    def _by_vehicle(self, setpoint: Setpoint, power: float) -> float:
        """The most by the vehicle's limits of charging, if it charges."""
        if power < 0:
            return math.inf
        per_phase = _or_infinite(setpoint.max_current) * self._nominal()
        return min(per_phase, _or_infinite(setpoint.max_power))

    def _nominal(self) -> float:
        return self.limits.nominal_voltage * self.limits.phases


def _moved(value: float, target: float, most: float) -> float:
    """``value`` on its way to ``target``, by at most ``most``."""
    if abs(target - value) <= most or math.isnan(most):
        return target
    return value + math.copysign(most, target - value)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else max(value, 0.0)


def _divided(power: float, voltage: float) -> float:
    return power / voltage if voltage > 0 else 0.0


def _contactor(message: str) -> V2GPKIError:
    return V2GPKIError(
        "station.contactor", message, hint="look at the power stage", clause="ISO 15118-2 8.4.3.7, ISO 15118-20 8.3.4.6"
    )
