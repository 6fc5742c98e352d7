"""A station's own power in a vehicle's setpoint: the target in dynamic control, a bound in scheduled."""

from __future__ import annotations

import pytest

from v2gpki.energy.quantities import Setpoint
from v2gpki.energy.schedule import ControlMode
from v2gpki.energy.steering import Control, steered

DC = Setpoint(40_000, voltage=400, current=100)
AC = Setpoint(11_000)


@pytest.mark.parametrize(
    ("setpoint", "power", "mode", "expected"),
    [
        (DC, None, "dynamic", DC),
        (DC, None, "scheduled", DC),
        # the vehicle takes at most 40 kW; what current that is, the stage finds
        (DC, 20_000, "dynamic", Setpoint(20_000, voltage=400)),
        (DC, 90_000, "dynamic", Setpoint(40_000, voltage=400)),
        (DC, -8_000, "dynamic", Setpoint(-8_000, voltage=400)),
        (DC, 20_000, "scheduled", Setpoint(20_000, voltage=400, current=50)),
        (DC, 90_000, "scheduled", DC),
        # a schedule is not turned round
        (DC, -8_000, "scheduled", Setpoint(0, voltage=400, current=0)),
        (Setpoint(-5_000, voltage=400, current=-12.5), 0, "scheduled", Setpoint(-5_000, voltage=400, current=-12.5)),
        (AC, 4_000, "scheduled", Setpoint(4_000)),
        (AC, -4_000, "dynamic", Setpoint(-4_000)),
    ],
)
def test_the_stations_power(setpoint: Setpoint, power: float | None, mode: ControlMode, expected: Setpoint) -> None:
    assert steered(setpoint, Control(power=power), mode) == expected
