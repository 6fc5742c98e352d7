"""Power over time: what a station grants, what a vehicle will draw or offers.

W into the vehicle; of a schedule for discharging, W out of it (positive). Times: ``starts`` in Unix seconds, spans one
after the other. Clauses: ISO 15118-2 8.5.2.8 to 8.5.2.15, ISO 15118-20 8.3.5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from v2gpki.energy.quantities import Phases
from v2gpki.energy.tariff import PriceLevels, Tariff

Pricing: TypeAlias = Tariff | PriceLevels
ControlMode: TypeAlias = Literal["scheduled", "dynamic"]


@dataclass(frozen=True, slots=True)
class PowerSpan:
    """A power for a span of seconds, and what each phase has of it where they differ."""

    seconds: int
    power: float
    phase_power: Phases | None = None
    #: Phases in use, in a profile of -2.
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class PowerSchedule:
    """Powers one after the other; ``available_energy`` in Wh, ``tolerance`` in W."""

    starts: int
    spans: tuple[PowerSpan, ...]
    available_energy: float | None = None
    tolerance: float | None = None

    def power_at(self, at: float) -> float:
        """The power at a Unix second; before the first span as in it, 0 after the last."""
        end = float(self.starts)
        for span in self.spans:
            end += span.seconds
            if at < end:
                return span.power
        return 0.0

    @property
    def ends(self) -> int:
        """The Unix second after the last span."""
        return self.starts + sum(span.seconds for span in self.spans)


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule to choose: power and price, and the same for the way out of the vehicle.

    ``identifier`` is 1 to 255 in -2, 1 to 2^32 - 1 in -20. A ``price`` that is ``signed`` is signed by the mobility
    operator's key before it is sent. -2 has no discharging.
    """

    identifier: int
    power: PowerSchedule
    price: Pricing | None = None
    discharge: PowerSchedule | None = None
    discharge_price: Pricing | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class EnergyOffer:
    """Energy that a vehicle would give back, and what it wants for it (-20)."""

    power: PowerSchedule
    price: Tariff
