"""A vehicle's battery out of the box: ``plugins.Battery`` over ``energy``.

Choices are in ``servers/evcc/choices``, contract stores in ``servers/evcc/contracts``. The vehicle takes what its
battery can, gives back what the battery's goals leave, and never more than the station or the schedule grants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from v2gpki.energy.battery import Battery
from v2gpki.energy.quantities import Current, Demand, Needs, VehicleLimits, VehicleState
from v2gpki.energy.steering import Delivered
from v2gpki.servers.pace import Pace

_VOLTS = 230.0
#: A battery's voltage is told with this much above it as the highest that it takes.
_ABOVE = 1.05


# --- the battery ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inlet:
    """How a vehicle is connected; AC has an on-board charger of ``charger_power`` W that keeps ``charger_efficiency``
    of it.

    ``discharge``: it gives energy back when it is asked to. Currents below ``min_current`` A (of one phase in AC) stop
    it.
    """

    current: Current = "DC"
    phases: int = 3
    charger_power: float = 11_040.0
    charger_efficiency: float = 1.0
    min_current: float = 0.0
    discharge: bool = False


class SimulatedVehicle:
    """``plugins.Battery`` over ``energy.battery.Battery``, in the time of a ``Pace`` (start the battery at 0).

    ``energy`` Wh and it is complete, though the battery were not; ``discharge`` Wh are given back first (BPT),
    where they are taken.
    """

    def __init__(
        self,
        battery: Battery,
        inlet: Inlet | None = None,
        pace: Pace | None = None,
        *,
        energy: float | None = None,
        discharge: float = 0.0,
    ) -> None:
        self.battery = battery
        self.inlet = inlet or Inlet()
        self.connected = False
        self._pace = pace or Pace()
        self._energy = math.inf if energy is None else energy
        self._discharge = discharge if self.inlet.discharge else 0.0
        #: What flows at the inlet until asked again: W.
        self._flowing = 0.0
        #: Wh at the inlet, each way.
        self._taken = 0.0
        self._given = 0.0

    async def needs(self) -> Needs:
        """The battery's, at the inlet; no more than ``energy``."""
        self._advance()
        needs, efficiency = self.battery.needs(), self.inlet.charger_efficiency
        most = min(_at_inlet(needs.maximum_energy, efficiency), self._left())
        return Needs(
            target_energy=min(_at_inlet(needs.target_energy, efficiency), most),
            maximum_energy=most,
            minimum_energy=min(_at_inlet(needs.minimum_energy, efficiency), most),
            departure=needs.departure,
            capacity=needs.capacity,
            minimum_soc=needs.minimum_soc,
            target_soc=needs.target_soc,
            maximum_soc=needs.maximum_soc,
            bulk_soc=needs.bulk_soc,
            v2x_maximum=needs.v2x_maximum if self.inlet.discharge else None,
            v2x_minimum=needs.v2x_minimum if self.inlet.discharge else None,
        )

    async def limits(self) -> VehicleLimits:
        """What battery and charger can at their best: what they can now is told by the demand."""
        facts, inlet = self.battery.facts, self.inlet
        charge, discharge = facts.charging.highest, facts.discharging.highest if inlet.discharge else 0.0
        if inlet.current == "DC":
            return VehicleLimits(
                "DC",
                charge,
                max_voltage=facts.voltage.highest * _ABOVE,
                max_current=facts.max_current,
                min_voltage=min(volts for _, volts in facts.voltage.points),
                min_current=inlet.min_current,
                max_discharge_power=discharge,
                max_discharge_current=facts.max_discharge_current if discharge else 0.0,
                phases=1,
            )
        charge, discharge = min(charge, inlet.charger_power), min(discharge, inlet.charger_power)
        per_phase = _VOLTS * inlet.phases
        return VehicleLimits(
            "AC",
            charge,
            max_voltage=_VOLTS * 1.1,
            max_current=charge / per_phase,
            min_charge_power=inlet.min_current * per_phase,
            min_current=inlet.min_current,
            max_discharge_power=discharge,
            max_discharge_current=discharge / per_phase,
            phases=inlet.phases,
        )

    async def state(self) -> VehicleState:
        """As of now."""
        self._advance()
        battery = self.battery
        dc = self.inlet.current == "DC"
        volts = battery.voltage if dc else _VOLTS
        most = math.inf if dc else self.inlet.charger_power
        return VehicleState(
            soc=battery.soc,
            voltage=volts,
            current=self._flowing / (volts if dc else volts * self.inlet.phases),
            power=self._flowing,
            complete=self._complete(),
            bulk_complete=battery.soc >= battery.facts.bulk_soc,
            seconds_to_full=_finite(battery.seconds_to(battery.goals.maximum_soc, most)),
            seconds_to_bulk=_finite(battery.seconds_to(battery.facts.bulk_soc, most)),
            seconds_to_minimum=_finite(battery.seconds_to(battery.goals.minimum_soc, most)),
            seconds_to_target=_finite(battery.seconds_to(battery.goals.target_soc, most)),
        )

    async def connect(self) -> None:
        """The contactors close."""
        self.connected = True

    async def disconnect(self) -> None:
        """Nothing flows any more, and the contactors open."""
        self._advance()
        self._flowing = 0.0
        self.connected = False

    async def demand(self, delivered: Delivered) -> Demand:
        """What flows until asked again is what is delivered now (DC), or what is asked for now (AC)."""
        self._advance()
        if delivered.closed and delivered.limits.max_discharge_power <= 0:
            # Nothing is taken back here; waiting for it would never end.
            self._discharge = self._given
        wanted = self._wanted(delivered)
        if self.inlet.current == "DC":
            self._flowing = delivered.power if delivered.closed else 0.0
            volts = self.battery.voltage
            return Demand(wanted, volts, wanted / volts)
        self._flowing = wanted if delivered.closed else 0.0
        return Demand(wanted, _VOLTS, wanted / (_VOLTS * self.inlet.phases))

    # -- inside --------------------------------------------------------------------------------

    def _advance(self) -> None:
        now = max(self._pace.seconds(), self.battery.at)
        efficiency = self.inlet.charger_efficiency
        power = self._flowing * efficiency if self._flowing > 0 else self._flowing / efficiency
        moved = self.battery.advance(power, now)
        self._taken += moved.taken / efficiency
        self._given += moved.given * efficiency

    def _left(self) -> float:
        """Wh that are still to be taken, if that is bounded."""
        return max(0.0, self._energy - self._taken)

    def _complete(self) -> bool:
        return not self._discharges() and (self.battery.complete or self._left() <= 0)

    def _discharges(self) -> bool:
        """Whether it is the time of giving back."""
        return self._given < self._discharge and self.battery.discharge_limit() > 0

    def _wanted(self, delivered: Delivered) -> float:
        limits, inlet = delivered.limits, self.inlet
        charger = inlet.charger_power if inlet.current == "AC" else math.inf
        # in AC a station's negative target is asked of a vehicle that gives back
        told = inlet.current == "AC" and inlet.discharge and delivered.power < 0
        if self._discharges() or told:
            able = self.battery.discharge_limit() * inlet.charger_efficiency
            asked = abs(delivered.power) if told else math.inf
            return -min(able, charger, limits.max_discharge_power, asked)
        if self._complete():
            return 0.0
        able = self.battery.charge_limit() / inlet.charger_efficiency
        granted = math.inf if delivered.granted is None else max(delivered.granted, 0.0)
        asked = delivered.power if inlet.current == "AC" and delivered.power > 0 else math.inf
        power = min(able, charger, limits.max_charge_power, granted, asked)
        return power if power >= self._least() else 0.0

    def _least(self) -> float:
        """W below which it does not charge."""
        volts = self.battery.voltage if self.inlet.current == "DC" else _VOLTS * self.inlet.phases
        return self.inlet.min_current * volts


def _at_inlet(energy: float, efficiency: float) -> float:
    return energy / efficiency if energy > 0 else energy * efficiency


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
