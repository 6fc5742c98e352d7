"""The power stage by arithmetic written out; its meter by the area below the power."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.energy.meter import Meter
from v2gpki.energy.quantities import Setpoint, StageLimits
from v2gpki.energy.stage import Stage, StageFacts
from v2gpki.errors import V2GPKIError

AC = StageLimits("AC", max_charge_power=11_040, max_voltage=230, max_current=16)
DC = StageLimits("DC", max_charge_power=150_000, max_voltage=920, max_current=400, min_voltage=150)
BPT = replace(DC, max_discharge_power=20_000, max_discharge_current=50)


def closed(limits: StageLimits, facts: StageFacts | None = None) -> Stage:
    stage = Stage(limits, Meter("M-1"), facts=facts)
    stage.check_isolation()
    stage.close()
    return stage


def test_ac_takes_what_is_allowed() -> None:
    """7360 W on three phases of 230 V are 10.67 A each; for 30 minutes 3680 Wh."""
    stage = closed(AC)
    present = stage.deliver(Setpoint(7_360))
    assert present.power == 7_360
    assert present.voltage == 230
    assert present.current == pytest.approx(7_360 / 690)
    assert not present.power_limited
    stage.advance(1800)
    assert stage.meter.read().imported == pytest.approx(3_680)


def test_ac_is_limited_by_power_current_and_vehicle() -> None:
    stage = closed(replace(AC, max_current=10))
    present = stage.deliver(Setpoint(22_000))
    assert present.power == 10 * 690
    assert present.power_limited
    assert present.current_limited
    assert stage.deliver(Setpoint(22_000, max_current=6)).power == 6 * 690
    assert stage.deliver(Setpoint(22_000, max_power=1_000)).power == 1_000
    single = closed(replace(AC, phases=1))
    assert single.deliver(Setpoint(22_000)).power == 16 * 230


def test_ac_ends_with_the_energy_that_was_asked_for() -> None:
    """2 kWh at 8 kW are a quarter of an hour; then nothing flows."""
    stage = closed(AC)
    stage.deliver(Setpoint(8_000, energy=2_000))
    stage.advance(900)
    assert stage.present().power == 8_000
    stage.advance(3600)
    assert stage.present().power == 0
    assert stage.meter.read().imported == pytest.approx(2_000)
    assert stage.deliver(Setpoint(8_000, energy=0)).power == 0


def test_dc_follows_voltage_and_current() -> None:
    stage = closed(DC)
    present = stage.deliver(Setpoint(150_000, voltage=400, current=200))
    assert (present.voltage, present.current, present.power) == (400, 200, 80_000)
    assert (present.current_limited, present.voltage_limited, present.power_limited) == (False, False, False)


@pytest.mark.parametrize(
    ("setpoint", "power", "limit"),
    [
        (Setpoint(150_000, voltage=300, current=500), 300 * 400, "current"),
        (Setpoint(150_000, voltage=800, current=300), 150_000, "power"),
        (Setpoint(50_000, voltage=400, current=200), 50_000, "power"),
        (Setpoint(150_000, voltage=1_000, current=100), 920 * 100, "voltage"),
    ],
)
def test_dc_says_which_limit_it_is_at(setpoint: Setpoint, power: float, limit: str) -> None:
    present = closed(DC).deliver(setpoint)
    assert present.power == power
    reached = {name for name in ("current", "voltage", "power") if getattr(present, f"{name}_limited")}
    assert reached == {limit}


def test_energy_flows_back_where_the_stage_can() -> None:
    """-30 A at 400 V are -12 kW, for 10 minutes 2 kWh out of the vehicle; -100 A are cut to -50 A."""
    stage = closed(BPT)
    assert stage.deliver(Setpoint(-20_000, voltage=400, current=-30)).power == -12_000
    stage.advance(600)
    reading = stage.meter.read()
    assert reading.exported == pytest.approx(2_000)
    assert reading.imported == 0
    present = stage.deliver(Setpoint(-20_000, voltage=400, current=-100))
    assert present.power == -20_000
    assert present.current_limited
    assert closed(DC).deliver(Setpoint(-20_000, voltage=400, current=-30)).power == 0


def test_power_goes_along_its_ramp() -> None:
    """10 kW/s to 40 kW in 4 s: a triangle of 80 kWs, then 6 s at 40 kW: 240 kWs; together 320 / 3600 kWh."""
    stage = closed(DC, StageFacts(power_ramp=10_000))
    stage.deliver(Setpoint(150_000, voltage=400, current=100))
    stage.advance(1)
    assert stage.present().power == 10_000
    stage.advance(10)
    assert stage.present().power == 40_000
    assert stage.meter.read().imported == pytest.approx(320_000 / 3600)


def test_before_and_after_charging() -> None:
    """Isolation check, precharge along 200 V/s, close, open, and the voltage falls again."""
    stage = Stage(DC, Meter("M-1"), facts=StageFacts(isolation_seconds=2, voltage_ramp=200))
    assert stage.check_isolation() == "unknown"
    assert stage.present().state == "isolation_monitoring"
    stage.advance(2)
    assert stage.check_isolation() == "valid"
    stage.precharge(400)
    stage.advance(3)
    assert stage.present().voltage == 200
    stage.advance(4)
    assert stage.present().voltage == 400
    stage.close()
    stage.deliver(Setpoint(150_000, voltage=400, current=100))
    stage.advance(5)
    stage.open()
    assert stage.present().power == 0
    stage.advance(6)
    assert stage.present().voltage == 200
    stage.advance(7)
    assert stage.present().voltage == 0
    assert stage.check_isolation() == "unknown"


def test_nothing_flows_through_open_contactors() -> None:
    stage = Stage(DC, Meter("M-1"))
    stage.precharge(400)
    stage.deliver(Setpoint(150_000, voltage=400, current=100))
    stage.advance(3600)
    assert stage.meter.read().imported == 0
    assert Stage(AC, Meter("M-1")).deliver(Setpoint(11_000)).voltage == 0


@pytest.mark.parametrize("isolation", ["fault", "unknown"])
def test_contactors_stay_open_without_isolation(isolation: str) -> None:
    stage = Stage(DC, Meter("M-1"), facts=StageFacts(isolation="fault"))
    if isolation == "fault":
        assert stage.check_isolation() == "fault"
        assert stage.present().state == "malfunction"
    with pytest.raises(V2GPKIError) as refused:
        stage.close()
    assert refused.value.code == "station.contactor"
    assert refused.value.outcome.iso2 == refused.value.outcome.iso20 == "FAILED_ContactorError"
    assert not stage.closed


def test_contactors_that_stick_are_noticed() -> None:
    stage = closed(AC)
    stage.facts = StageFacts(stuck=True)
    with pytest.raises(V2GPKIError, match="do not open"):
        stage.open()
    with pytest.raises(V2GPKIError, match="do not close"):
        Stage(AC, Meter("M-1"), facts=StageFacts(stuck=True)).close()


setpoints = st.builds(
    Setpoint,
    power=st.floats(-300_000, 300_000),
    voltage=st.none() | st.floats(0, 1_200),
    current=st.none() | st.floats(-600, 600),
    max_power=st.none() | st.floats(0, 300_000),
    energy=st.none() | st.floats(0, 50_000),
)
courses = st.lists(st.tuples(setpoints, st.floats(0, 5_000)), min_size=1, max_size=8)


@given(st.sampled_from([AC, DC, BPT]), st.sampled_from([math.inf, 5_000.0]), courses)
def test_registers_never_go_back_and_limits_hold(
    limits: StageLimits, ramp: float, course: list[tuple[Setpoint, float]]
) -> None:
    stage = closed(limits, StageFacts(power_ramp=ramp))
    now = 0.0
    for setpoint, seconds in course:
        before = stage.meter.read()
        stage.deliver(setpoint)
        start = stage.present().power
        now += seconds
        stage.advance(now)
        after, present = stage.meter.read(), stage.present()
        assert after.imported >= before.imported
        assert after.exported >= before.exported
        assert -limits.max_discharge_power <= present.power <= limits.max_charge_power
        assert present.voltage <= limits.max_voltage
        net = after.imported - after.exported - before.imported + before.exported
        most = max(abs(start), limits.max_charge_power) * seconds / 3600
        assert abs(net) <= most + 1e-6
        if ramp == math.inf and setpoint.energy is None:
            # what flowed, for as long as it did
            assert net == pytest.approx(present.power * seconds / 3600, abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Meter(""),
        lambda: Meter("M" * 33),
        lambda: Meter("M", imported=-1),
        lambda: Meter("M").count(math.nan),
        lambda: Stage(replace(AC, phases=4), Meter("M")),
        lambda: Stage(replace(AC, max_charge_power=-1), Meter("M")),
        lambda: Stage(AC, Meter("M"), at=5).advance(4),
        lambda: Stage(AC, Meter("M")).deliver(Setpoint(math.nan)),
    ],
)
def test_what_is_no_stage_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(V2GPKIError) as refused:
        wrong()
    assert refused.value.code == "energy.invalid"


def test_a_simulated_stage_lets_flow_what_an_ac_vehicle_says() -> None:
    """-20: 4.6 kW of the 11 that are allowed; 3 kW back; never beyond the stage."""
    both = closed(replace(AC, max_discharge_power=2_000, max_discharge_current=16))
    assert both.deliver(Setpoint(11_000, flowing=4_600)).power == 4_600
    assert both.deliver(Setpoint(11_000, flowing=0.0)).power == 0
    assert both.deliver(Setpoint(11_000, max_power=1_000, flowing=-1_500)).power == -1_500
    assert both.deliver(Setpoint(11_000, flowing=-3_000)).power == -2_000
    assert both.deliver(Setpoint(11_000, flowing=99_000)).power == 11_040
    assert closed(AC).deliver(Setpoint(11_000, flowing=-3_000)).power == 0


def test_the_vehicles_limits_are_of_charging() -> None:
    stage = closed(BPT)
    asked = Setpoint(-20_000, voltage=400, current=-40, max_current=10, max_power=1_000)
    assert stage.deliver(asked).power == -16_000
    assert stage.deliver(replace(asked, power=20_000, current=40)).power == 1_000
