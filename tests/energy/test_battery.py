"""The battery by arithmetic written out, and by what holds for every battery: energy is neither made nor lost
unseen.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.energy.battery import Battery, BatteryFacts, Goals
from v2gpki.energy.curve import Curve
from v2gpki.errors import V2GPKIError

FLAT = BatteryFacts(
    capacity=50_000,
    charging=Curve.level(100_000),
    discharging=Curve.level(20_000),
    voltage=Curve.level(400),
    charge_efficiency=0.9,
    discharge_efficiency=0.8,
)


def test_a_tenth_is_lost_on_the_way_in() -> None:
    """40 kW for 15 minutes are 10 kWh; 0.9 of them are stored: 9 of 50 kWh, 0.18 of the capacity."""
    battery = Battery(FLAT, 0.5)
    moved = battery.advance(40_000, 900)
    assert moved.taken == pytest.approx(10_000)
    assert moved.lost == pytest.approx(1_000)
    assert moved.power == pytest.approx(40_000)
    assert battery.soc == pytest.approx(0.68)


def test_what_comes_out_costs_more_than_it_gives() -> None:
    """20 kW for 12 minutes are 4 kWh; at 0.8 they take 5 kWh out of the battery: 0.1 of its capacity."""
    battery = Battery(FLAT, 0.5)
    moved = battery.advance(-20_000, 720)
    assert moved.given == pytest.approx(4_000)
    assert moved.lost == pytest.approx(1_000)
    assert moved.power == pytest.approx(-20_000)
    assert battery.soc == pytest.approx(0.4)


def test_it_takes_no_more_than_fits() -> None:
    """At 0.98 there is room for 1 kWh, which is 1 / 0.9 kWh at the inlet; an hour at 100 kW would be 100."""
    battery = Battery(FLAT, 0.98)
    moved = battery.advance(100_000, 3600)
    assert moved.taken == pytest.approx(1_000 / 0.9)
    assert moved.power == pytest.approx(1_000 / 0.9)
    assert battery.soc == pytest.approx(1.0)
    assert battery.complete
    assert battery.charge_limit() == 0


def test_it_gives_nothing_below_its_minimum() -> None:
    """From 0.25 to 0.2 are 2.5 kWh stored, 2 kWh at the inlet."""
    battery = Battery(FLAT, 0.25, goals=Goals(minimum_soc=0.2))
    assert battery.advance(-20_000, 7200).given == pytest.approx(2_000)
    assert battery.soc == pytest.approx(0.2)
    assert battery.discharge_limit() == 0


def test_the_curve_bounds_the_power() -> None:
    """100 kW up to 0.5, falling to 0 at 1: at 0.75 it is half."""
    facts = BatteryFacts(60_000, charging=Curve([(0.5, 100_000), (1.0, 0)]), voltage=Curve.level(400))
    assert Battery(facts, 0.3).charge_limit() == 100_000
    assert Battery(facts, 0.75).charge_limit() == pytest.approx(50_000)


def test_the_current_bounds_the_power() -> None:
    facts = BatteryFacts(
        60_000, charging=Curve.level(200_000), voltage=Curve.level(400), max_current=250, max_discharge_current=30,
        discharging=Curve.level(90_000),
    )
    assert Battery(facts, 0.5).charge_limit() == 250 * 400
    assert Battery(facts, 0.5).discharge_limit() == 30 * 400


def test_a_falling_curve_is_followed_within_one_long_step() -> None:
    """Power that falls with what is stored, P = k (1 - s), fills like 1 - exp(-k t / C): in closed form.

    C = 60 kWh, P = 120 kW (1 - s), no losses: after half an hour 1 - s = exp(-1).
    """
    facts = BatteryFacts(
        60_000,
        charging=Curve([(0.0, 120_000), (1.0, 0)]),
        voltage=Curve.level(400),
        charge_efficiency=1.0,
        max_current=1_000,
    )
    battery = Battery(facts, 0.0)
    battery.advance(200_000, 1800)
    assert battery.soc == pytest.approx(1 - math.exp(-1), abs=0.003)


def test_time_to_a_state_of_charge_by_closed_form() -> None:
    """P = 120 kW (1 - s) from 0 to 0.5: t = C / k ln(1 / 0.5) = 0.5 h ln 2."""
    facts = BatteryFacts(
        60_000,
        charging=Curve([(0.0, 120_000), (1.0, 0)]),
        voltage=Curve.level(400),
        charge_efficiency=1.0,
        max_current=1_000,
    )
    assert Battery(facts, 0.0).seconds_to(0.5) == pytest.approx(1800 * math.log(2), rel=0.001)
    assert Battery(facts, 0.5).seconds_to(0.4) == 0
    assert Battery(FLAT, 0.5).seconds_to(0.68, 40_000) == pytest.approx(900)
    assert Battery(FLAT, 0.5).seconds_to(0.6, 0) == math.inf


def test_needs_are_at_the_inlet() -> None:
    """From 0.5 to 0.9 are 20 kWh stored, 20 / 0.9 at the inlet; down to 0.2 are 15 kWh stored, 12 at the inlet."""
    goals = Goals(target_soc=0.9, minimum_soc=0.2, maximum_soc=0.95, departure=3600)
    battery = Battery(FLAT, 0.5, goals=goals, at=600)
    needs = battery.needs()
    assert needs.target_energy == pytest.approx(20_000 / 0.9)
    assert needs.maximum_energy == pytest.approx(22_500 / 0.9)
    assert needs.minimum_energy == pytest.approx(-12_000)
    assert needs.departure == 3000
    assert (needs.v2x_maximum, needs.v2x_minimum) == (needs.maximum_energy, needs.minimum_energy)
    assert Battery(BatteryFacts(50_000), 0.5).needs().v2x_maximum is None


powers = st.floats(-250_000, 250_000)
steps = st.lists(st.tuples(powers, st.floats(0, 20_000)), min_size=1, max_size=6)
curves = st.lists(st.floats(0, 300_000), min_size=1, max_size=4).map(
    lambda values: Curve((number / 4, value) for number, value in enumerate(values))
)
batteries = st.builds(
    BatteryFacts,
    capacity=st.floats(1_000, 200_000),
    charging=curves,
    discharging=curves,
    charge_efficiency=st.floats(0.5, 1.0),
    discharge_efficiency=st.floats(0.5, 1.0),
)


@given(batteries, st.floats(0, 1), steps)
def test_energy_is_conserved(facts: BatteryFacts, soc: float, course: list[tuple[float, float]]) -> None:
    """What is stored changes by what came in times its efficiency, less what came out over its own; soc stays
    within.
    """
    goals = Goals(minimum_soc=0.1, maximum_soc=0.9, target_soc=0.9)
    battery = Battery(facts, soc, goals=goals)
    now = 0.0
    for power, seconds in course:
        now += seconds
        before = battery.soc
        moved = battery.advance(power, now)
        stored = moved.taken * facts.charge_efficiency - moved.given / facts.discharge_efficiency
        assert (battery.soc - before) * facts.capacity == pytest.approx(stored, abs=1e-6 * facts.capacity)
        assert moved.stored == pytest.approx(stored, abs=1e-6 * facts.capacity)
        assert moved.lost >= -1e-9
        assert 0 <= battery.soc <= 1
        # above its maximum nothing goes in, below its minimum nothing comes out
        assert battery.soc <= max(before, 0.9) + 1e-9
        assert battery.soc >= min(before, 0.1) - 1e-9
        assert 0 <= moved.taken <= max(power, 0) * seconds / 3600 * (1 + 1e-9)
        assert 0 <= moved.given <= max(-power, 0) * seconds / 3600 * (1 + 1e-9)
        assert moved.taken <= facts.charging.highest * seconds / 3600 * (1 + 1e-9)
    assert battery.total.stored == pytest.approx((battery.soc - soc) * facts.capacity, abs=1e-5 * facts.capacity)


@given(st.floats(0.05, 0.8), st.integers(2, 40))
def test_time_may_be_cut_anywhere(soc: float, parts: int) -> None:
    """An hour at once, or in so many parts: the same battery, but for the spans in which its curve is sampled."""
    facts = BatteryFacts(80_000)
    whole, cut = Battery(facts, soc), Battery(facts, soc)
    whole.advance(90_000, 3600)
    for number in range(parts):
        cut.advance(90_000, 3600 * (number + 1) / parts)
    assert cut.soc == pytest.approx(whole.soc, abs=0.004)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Curve([]),
        lambda: Curve([(1, 1), (1, 2)]),
        lambda: Curve([(0, -1)]),
        lambda: Curve([(0, math.nan)]),
        lambda: BatteryFacts(0),
        lambda: BatteryFacts(50_000, charge_efficiency=1.1),
        lambda: BatteryFacts(50_000, voltage=Curve.level(0)),
        lambda: Goals(target_soc=0.9, maximum_soc=0.8),
        lambda: Battery(FLAT, 1.01),
        lambda: Battery(FLAT, math.nan),
        lambda: Battery(FLAT, 0.5, at=10).advance(1, 9),
        lambda: Battery(FLAT, 0.5).advance(math.inf, 9),
    ],
)
def test_what_is_no_battery_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(V2GPKIError) as refused:
        wrong()
    assert refused.value.code == "energy.invalid"
    assert refused.value.hint
