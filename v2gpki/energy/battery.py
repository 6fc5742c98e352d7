"""A vehicle's battery: what goes in is stored less the losses, what comes out costs more than it gives.

Powers and energies are those at the vehicle's inlet; the state of charge is about what is stored. Time is an argument,
in seconds, and may run as fast as the caller likes: a long span is reckoned in short ones, because the curves change on
the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from v2gpki.energy.curve import Curve
from v2gpki.energy.quantities import Needs
from v2gpki.errors import V2GPKIError

_HOUR = 3600.0
#: The longest span that is reckoned with one point of the curves, in seconds and as a part of the capacity.
_SPAN = 10.0
_PART = 0.005
_MOST_SPANS = 4000
#: A battery this near to full is full: 0.001 %.
_FULL = 1e-5
#: Parts into which the way to a state of charge is cut: a vehicle asks in every round of charging.
_SLICES = 16


@dataclass(frozen=True, slots=True)
class BatteryFacts:
    """What a battery is: ``capacity`` in Wh that can be stored; curves over the state of charge from 0 to 1.

    ``charging`` and ``discharging`` are the highest powers at the inlet, ``voltage`` that at the contacts. Of 1 Wh that
    goes in ``charge_efficiency`` Wh are stored; of 1 Wh that was stored ``discharge_efficiency`` Wh come out.
    ``bulk_soc`` is where fast charging ends.
    """

    capacity: float
    charging: Curve = field(default_factory=lambda: Curve([(0.5, 150_000), (0.8, 60_000), (1.0, 8_000)]))
    voltage: Curve = field(default_factory=lambda: Curve([(0.0, 320), (0.1, 350), (0.9, 390), (1.0, 400)]))
    discharging: Curve = field(default_factory=lambda: Curve.level(0.0))
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    max_current: float = 400.0
    max_discharge_current: float = 100.0
    bulk_soc: float = 0.8

    def __post_init__(self) -> None:
        """Raises ``energy.invalid``."""
        within("capacity", self.capacity, 1.0, 1e9)
        within("charge_efficiency", self.charge_efficiency, 0.01, 1.0)
        within("discharge_efficiency", self.discharge_efficiency, 0.01, 1.0)
        within("max_current", self.max_current, 0.0, 1e6)
        within("max_discharge_current", self.max_discharge_current, 0.0, 1e6)
        within("bulk_soc", self.bulk_soc, 0.0, 1.0)
        if min(y for _, y in self.voltage.points) <= 0:
            raise V2GPKIError("energy.invalid", "a battery has a voltage above 0 V", hint="the curve `voltage`, in V")


@dataclass(frozen=True, slots=True)
class Goals:
    """What the driver wants: states of charge from 0 to 1, ``departure`` in seconds of the battery's time, None
    unknown.

    ``target_soc`` is to be there at the departure; below ``minimum_soc`` nothing is given back, above ``maximum_soc``
    nothing is taken.
    """

    target_soc: float = 1.0
    minimum_soc: float = 0.2
    maximum_soc: float = 1.0
    departure: float | None = None

    def __post_init__(self) -> None:
        """Raises ``energy.invalid``."""
        within("minimum_soc", self.minimum_soc, 0.0, 1.0)
        within("maximum_soc", self.maximum_soc, self.minimum_soc, 1.0)
        within("target_soc", self.target_soc, 0.0, self.maximum_soc)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a span of time did: Wh at the inlet each way, Wh lost as heat, the mean power at the inlet in W."""

    taken: float = 0.0
    given: float = 0.0
    lost: float = 0.0
    power: float = 0.0

    @property
    def stored(self) -> float:
        """By how many Wh the battery is fuller; negative: emptier."""
        return self.taken - self.given - self.lost


class Battery:
    """A battery in time. Not safe from threads."""

    def __init__(self, facts: BatteryFacts, soc: float, *, goals: Goals | None = None, at: float = 0.0) -> None:
        """``soc`` from 0 to 1 at the time ``at`` (seconds from any origin). Raises ``energy.invalid``."""
        within("soc", soc, 0.0, 1.0)
        self.facts = facts
        self.goals = goals or Goals()
        self.at = at
        self._stored = soc * facts.capacity
        #: All that has gone in and come out at the inlet, Wh.
        self.total = Transfer()

    # -- what it is ----------------------------------------------------------------------------

    @property
    def soc(self) -> float:
        """The state of charge, 0 to 1."""
        return min(max(self._stored / self.facts.capacity, 0.0), 1.0)

    @property
    def voltage(self) -> float:
        """V at the contacts."""
        return self.facts.voltage.at(self.soc)

    @property
    def complete(self) -> bool:
        """Whether nothing more is to be taken."""
        return self.soc >= self.goals.maximum_soc - _FULL

    def charge_limit(self) -> float:
        """The highest power that may go in now, W."""
        if self.complete:
            return 0.0
        return min(self.facts.charging.at(self.soc), self.facts.max_current * self.voltage)

    def discharge_limit(self) -> float:
        """The highest power that may come out now, W."""
        if self.soc <= self.goals.minimum_soc + _FULL:
            return 0.0
        return min(self.facts.discharging.at(self.soc), self.facts.max_discharge_current * self.voltage)

    # -- what it wants -------------------------------------------------------------------------

    def needs(self) -> Needs:
        """What the driver's goals come to now."""
        goals, facts = self.goals, self.facts
        return Needs(
            target_energy=self.energy_to(goals.target_soc),
            maximum_energy=self.energy_to(goals.maximum_soc),
            minimum_energy=self.energy_to(goals.minimum_soc),
            departure=None if goals.departure is None else max(0.0, goals.departure - self.at),
            capacity=facts.capacity,
            minimum_soc=goals.minimum_soc,
            target_soc=goals.target_soc,
            maximum_soc=goals.maximum_soc,
            bulk_soc=facts.bulk_soc,
            v2x_maximum=self.energy_to(goals.maximum_soc) if facts.discharging.highest else None,
            v2x_minimum=self.energy_to(goals.minimum_soc) if facts.discharging.highest else None,
        )

    def energy_to(self, soc: float) -> float:
        """Wh at the inlet until ``soc``; negative: what comes out until then."""
        stored = soc * self.facts.capacity - self._stored
        return stored / self.facts.charge_efficiency if stored >= 0 else stored * self.facts.discharge_efficiency

    def seconds_to(self, soc: float, power: float = math.inf) -> float:
        """How long it takes to charge to ``soc`` with at most ``power`` W; infinite when it never gets there."""
        missing = soc - self.soc
        if missing <= _FULL:
            return 0.0
        seconds = 0.0
        for number in range(_SLICES):
            between = self.soc + missing * (number + 0.5) / _SLICES
            limit = min(power, self.facts.charging.at(between), self.facts.max_current * self.facts.voltage.at(between))
            if limit <= 0:
                return math.inf
            seconds += missing / _SLICES * self.facts.capacity / self.facts.charge_efficiency / limit * _HOUR
        return seconds

    # -- what is done to it --------------------------------------------------------------------

    def advance(self, power: float, to: float) -> Transfer:
        """Offer ``power`` W at the inlet (negative: ask for it) from the battery's time to the time ``to``.

        It takes and gives no more than its limits let it. Raises ``energy.invalid`` when time would run backwards.
        """
        if not math.isfinite(power) or not math.isfinite(to) or to < self.at:
            raise V2GPKIError(
                "energy.invalid", f"{power} W from {self.at} s to {to} s", hint="finite numbers, and time runs forward"
            )
        whole = Transfer()
        seconds = to - self.at
        longest = self._span(power, seconds)
        while self.at < to:
            # in whole spans, so that what rounding leaves over is never one of its own
            span = to - self.at if to - self.at <= longest * (1 + 1e-9) else longest
            moved = self._take(power, span) if power > 0 else self._give(-power, span)
            whole = _sum(whole, moved)
            self.at = to if span == to - self.at else self.at + span
        self.total = _sum(self.total, whole)
        return replace(whole, power=(whole.taken - whole.given) / seconds * _HOUR) if seconds else whole

    def _span(self, power: float, seconds: float) -> float:
        """How long the curves may be taken for constant."""
        fastest = min(abs(power), max(self.facts.charging.highest, self.facts.discharging.highest))
        part = _PART * self.facts.capacity / fastest * _HOUR if fastest else seconds
        return max(min(_SPAN, part), seconds / _MOST_SPANS)

    def _take(self, power: float, seconds: float) -> Transfer:
        facts = self.facts
        room = max(0.0, self.goals.maximum_soc * facts.capacity - self._stored) / facts.charge_efficiency
        taken = min(min(power, self.charge_limit()) * seconds / _HOUR, room)
        self._stored += taken * facts.charge_efficiency
        return Transfer(taken=taken, lost=taken * (1 - facts.charge_efficiency))

    def _give(self, power: float, seconds: float) -> Transfer:
        facts = self.facts
        room = max(0.0, self._stored - self.goals.minimum_soc * facts.capacity) * facts.discharge_efficiency
        given = min(min(power, self.discharge_limit()) * seconds / _HOUR, room)
        self._stored -= given / facts.discharge_efficiency
        return Transfer(given=given, lost=given / facts.discharge_efficiency - given)


def _sum(one: Transfer, other: Transfer) -> Transfer:
    return Transfer(one.taken + other.taken, one.given + other.given, one.lost + other.lost)


def within(name: str, value: float, lowest: float, highest: float) -> None:
    """Raises ``energy.invalid`` unless ``value`` is a number from ``lowest`` to ``highest``."""
    if not lowest <= value <= highest:
        raise V2GPKIError(
            "energy.invalid",
            f"{name} is {value}",
            hint=f"{name} is a number from {lowest:g} to {highest:g}",
            facts={"field": name},
        )
