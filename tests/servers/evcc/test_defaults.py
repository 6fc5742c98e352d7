"""The stock vehicle's battery: figures by arithmetic, and energy that agrees with the station's meter."""

from __future__ import annotations

import asyncio

import pytest

from tests.servers.running_time import Time, paced
from v2gpki.energy.battery import Battery, BatteryFacts, Goals
from v2gpki.energy.curve import Curve
from v2gpki.energy.meter import Meter
from v2gpki.energy.quantities import Current, Demand, Needs, Reading, Setpoint, StageLimits, VehicleLimits, VehicleState
from v2gpki.energy.stage import Stage
from v2gpki.energy.steering import Delivered
from v2gpki.servers.evcc import plugins
from v2gpki.servers.evcc.defaults import Inlet, SimulatedVehicle
from v2gpki.servers.secc.defaults import SimulatedStage, limits_of

FACTS = BatteryFacts(
    50_000,
    charging=Curve.level(100_000),
    discharging=Curve.level(20_000),
    voltage=Curve.level(400),
    charge_efficiency=1.0,
    discharge_efficiency=1.0,
)
AC = limits_of("AC", 22_000)
DC = limits_of("DC", 150_000, discharge=30_000)


def vehicle(
    inlet: Inlet, soc: float = 0.5, *, energy: float | None = None, discharge: float = 0.0, facts: BatteryFacts = FACTS
) -> tuple[SimulatedVehicle, Time]:
    pace, time = paced()
    goals = Goals(target_soc=0.9, minimum_soc=0.2)
    return SimulatedVehicle(Battery(facts, soc, goals=goals), inlet, pace, energy=energy, discharge=discharge), time


def demand(battery: plugins.Battery, delivered: Delivered) -> Demand:
    return asyncio.run(battery.demand(delivered))


def state(battery: plugins.Battery) -> VehicleState:
    return asyncio.run(battery.state())


def needs(battery: plugins.Battery) -> Needs:
    return asyncio.run(battery.needs())


def limits(battery: plugins.Battery) -> VehicleLimits:
    return asyncio.run(battery.limits())


def given(stage: StageLimits, power: float = 0.0, *, granted: float | None = None) -> Delivered:
    return Delivered(stage, power=power, closed=True, granted=granted)


def test_dc_asks_for_what_battery_station_and_schedule_allow() -> None:
    car, _ = vehicle(Inlet("DC"))
    assert demand(car, given(DC)) == Demand(100_000, 400, 250)
    assert demand(car, given(DC, granted=40_000)) == Demand(40_000, 400, 100)
    assert demand(car, given(limits_of("DC", 20_000))).power == 20_000


def test_dc_takes_what_is_delivered() -> None:
    """80 kW for 6 minutes are 8 kWh: 0.16 of the capacity; before the contactors close nothing flows."""
    car, time = vehicle(Inlet("DC"))
    demand(car, Delivered(DC, power=80_000))
    time.now += 360
    assert state(car).soc == pytest.approx(0.5)
    demand(car, given(DC, 80_000))
    time.now += 360
    seen = state(car)
    assert seen.soc == pytest.approx(0.66)
    assert (seen.power, seen.current, seen.voltage) == (80_000, 200, 400)
    assert not seen.bulk_complete
    # 0.24 of 50 kWh at 100 kW are 432 s
    assert seen.seconds_to_target == pytest.approx(432)


def test_ac_goes_through_the_charger() -> None:
    """11.04 kW at 0.9 are 9.936 kW in the battery: in 1000 s 2.76 kWh, 0.0552 of the capacity."""
    car, time = vehicle(Inlet("AC", charger_efficiency=0.9))
    asked = demand(car, given(AC, 22_000))
    assert asked.power == 11_040
    assert asked.current == pytest.approx(16)
    time.now += 1_000
    assert state(car).soc == pytest.approx(0.5552)
    assert demand(car, given(AC, 5_000)).power == 5_000
    # 20 kWh are stored at the target, 20 / 0.9 are needed; after what was taken 17.24 / 0.9
    assert needs(car).target_energy == pytest.approx(17_240 / 0.9)


def test_ac_limits_are_per_phase() -> None:
    three, _ = vehicle(Inlet("AC"))
    assert limits(three).max_current == pytest.approx(16)
    one, _ = vehicle(Inlet("AC", phases=1, charger_power=7_360, min_current=6))
    assert limits(one).max_current == pytest.approx(32)
    assert (limits(one).min_charge_power, limits(one).min_current) == (6 * 230, 6)
    # less than 6 A is not taken at all
    assert demand(one, given(AC, 1_379)).power == 0
    assert demand(one, given(AC, 1_381)).power == 1_381


def test_it_is_complete_with_the_energy_that_was_wanted() -> None:
    """20 kWh at 80 kW are a quarter of an hour."""
    car, time = vehicle(Inlet("DC"), energy=20_000)
    assert needs(car).target_energy == 20_000
    assert needs(car).maximum_energy == 20_000
    demand(car, given(DC, 80_000))
    time.now += 899
    assert not state(car).complete
    time.now += 1.1
    assert state(car).complete
    assert demand(car, given(DC)).power == 0
    assert needs(car).maximum_energy == 0


def test_energy_is_given_back_first_and_then_taken() -> None:
    """5 kWh at 20 kW are 900 s; then it charges."""
    car, time = vehicle(Inlet("DC", discharge=True), discharge=5_000)
    asked = demand(car, given(DC))
    assert asked == Demand(-20_000, 400, -50)
    demand(car, given(DC, -20_000))
    time.now += 900
    assert state(car).soc == pytest.approx(0.4)
    assert demand(car, given(DC)).power == 100_000
    assert limits(car).max_discharge_power == 20_000
    silent, _ = vehicle(Inlet("DC"), discharge=5_000)
    assert demand(silent, given(DC)).power > 0
    assert limits(silent).max_discharge_power == 0
    assert needs(silent).v2x_maximum is None


@pytest.mark.parametrize("current", ["AC", "DC"])
def test_nothing_is_given_back_where_nothing_is_taken(current: Current) -> None:
    """11 kW for an hour, not an end that never comes. Before the power path is closed there is nothing to conclude."""
    one_way, both = limits_of(current, 11_000), limits_of(current, 11_000, discharge=5_000)
    car, time = vehicle(Inlet(current, discharge=True, charger_efficiency=1.0), energy=11_000, discharge=5_000)
    demand(car, Delivered(one_way))
    assert demand(car, given(both)).power == -5_000
    assert demand(car, given(one_way)).power == 11_000
    demand(car, given(one_way, 11_000))
    time.now += 3_601
    assert state(car).complete


def test_ac_follows_a_station_that_wants_energy_back() -> None:
    both = limits_of("AC", 22_000, discharge=8_000)
    car, time = vehicle(Inlet("AC", discharge=True))
    assert demand(car, given(both, -5_000)).power == -5_000
    time.now += 3_600
    assert state(car).soc == pytest.approx(0.4)
    assert demand(car, given(both, -30_000)).power == -8_000
    silent, _ = vehicle(Inlet("AC"))
    assert demand(silent, given(both, -5_000)).power >= 0


def test_nothing_flows_after_the_contactors_opened() -> None:
    car, time = vehicle(Inlet("DC"))

    async def part() -> float:
        await car.connect()
        assert car.connected
        await car.demand(given(DC, 80_000))
        time.now += 90
        await car.disconnect()
        time.now += 9_000
        return (await car.state()).soc

    # 2 kWh
    assert asyncio.run(part()) == pytest.approx(0.54)
    assert not car.connected


@pytest.mark.parametrize("current", ["AC", "DC"])
def test_the_meter_and_the_battery_agree(current: str) -> None:
    """What the station's meter counts is what the battery stores, less its losses, over a session of both."""
    pace, time = paced(30)
    facts = BatteryFacts(60_000, charge_efficiency=0.9)
    battery = Battery(facts, 0.2, goals=Goals(target_soc=0.8, maximum_soc=0.8))
    car = SimulatedVehicle(battery, Inlet("AC" if current == "AC" else "DC"), pace)
    box = limits_of("AC", 11_000) if current == "AC" else limits_of("DC", 100_000)
    stage = SimulatedStage(Stage(box, Meter("M-1")), pace)

    async def session() -> Reading:
        await stage.cable_check()
        await stage.close()
        flowing = 0.0
        for _ in range(4_000):
            asked = await car.demand(Delivered(box, power=flowing, closed=True))
            if (await car.state()).complete:
                break
            setpoint = Setpoint(asked.power, asked.voltage, asked.current) if current == "DC" else Setpoint(asked.power)
            present = await stage.deliver(setpoint)
            # what flows from now on is told to the vehicle at once
            flowing = present.power if current == "DC" else 0.0
            if current == "DC":
                await car.demand(Delivered(box, power=flowing, closed=True))
            time.now += 1.0
        await car.disconnect()
        await stage.open()
        return await stage.meter()

    reading = asyncio.run(session())
    stored = (battery.soc - 0.2) * 60_000
    assert battery.soc == pytest.approx(0.8, abs=0.001)
    # the last second of 30 may have ended early in the battery
    assert reading.imported * 0.9 == pytest.approx(stored, rel=0.01)
