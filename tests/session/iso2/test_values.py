"""Quantities, schedules, tariffs and meter readings of ISO 15118-2, to and from messages."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.session.iso2.rig import NIGHT, NOW
from v2gpki.energy import (
    Band,
    Level,
    PowerSchedule,
    PowerSpan,
    PriceLevels,
    Reading,
    Schedule,
    Tariff,
    TariffSpan,
    VehicleLimits,
)
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.session.iso2 import prices, schedules
from v2gpki.session.iso2.metering import meter_info, reading_of
from v2gpki.session.iso2.values import physical, quantity, seconds


@pytest.mark.parametrize(
    ("value", "multiplier", "number"),
    [
        (0, 0, 0),
        (230, 0, 230),
        (32, 0, 32),
        (32767, 0, 32767),
        (32768, 1, 3277),
        (150_000, 1, 15_000),
        (11_040, 0, 11_040),
        (0.5, -1, 5),
        (0.001, -3, 1),
        (3.14159, -3, 3142),
        (327.67, -2, 32767),
        (327.68, -1, 3277),
        (-16, 0, -16),
        (-2.5, -1, -25),
        (32_767_000, 3, 32767),
    ],
)
def test_the_finest_physical_value(value: float, multiplier: int, number: int) -> None:
    assert physical(value, "W") == iso2.PhysicalValueType(Multiplier=multiplier, Unit="W", Value=number)


@given(st.floats(min_value=-32_767_000, max_value=32_767_000))
def test_a_quantity_comes_back_within_its_last_place(value: float) -> None:
    """Half of 10^Multiplier at most, but for a float's last place, and of two that fit the finer one; in fractions, so
    nothing rounds here."""
    coded = physical(value, "V")
    unit = Fraction(10) ** coded.Multiplier
    # 0.0025 as a float is a little more than that; divided by the unit it is 2.5.
    assert abs(coded.Value * unit - Fraction(value)) <= unit / 2 + abs(Fraction(value)) * Fraction(1, 2**52)
    if coded.Multiplier > 0:
        assert abs(Fraction(value)) > Fraction(32767) * unit / 10
    assert quantity(coded, "V", "field") == pytest.approx(float(coded.Value * unit), rel=1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 32_768_000, -1e300])
def test_what_fits_into_no_physical_value(value: float) -> None:
    with pytest.raises(V2GPKIError) as caught:
        physical(value, "A")
    assert caught.value.code == "session.value"


def test_another_unit() -> None:
    with pytest.raises(V2GPKIError) as caught:
        quantity(physical(16, "A"), "V", "EVMaxVoltage")
    assert caught.value.code == "session.wrong_parameter"
    assert caught.value.facts == {"field": "EVMaxVoltage", "unit": "A"}


def test_durations() -> None:
    assert seconds(physical(2, "h"), "x") == 7200
    assert seconds(physical(1.5, "m"), "x") == 90
    assert seconds(physical(40, "s"), "x") == 40
    with pytest.raises(V2GPKIError):
        seconds(physical(40, "Wh"), "x")


# --- schedules ------------------------------------------------------------------------------------------------------


def offer(*given_schedules: Schedule, now: int = NOW, most: int = 0) -> iso2.SAScheduleList:
    return schedules.written(given_schedules, now, most)


def spans(schedule: iso2.SAScheduleTupleType) -> list[tuple[int, int | None, float]]:
    """Start, duration and power of each entry."""
    return [
        (entry.TimeInterval.start, entry.TimeInterval.duration, quantity(entry.PMax, "W", "PMax"))
        for entry in schedule.PMaxSchedule.PMaxScheduleEntry
    ]


def test_only_the_last_entry_says_how_long_it_lasts() -> None:
    power = PowerSchedule(NOW, (PowerSpan(600, 11_000), PowerSpan(300, 0), PowerSpan(900, 7_000)))
    (one,) = offer(Schedule(5, power)).SAScheduleTuple
    assert (one.SAScheduleTupleID, spans(one)) == (5, [(0, None, 11_000), (600, None, 0), (900, 900, 7_000)])
    (back,) = schedules.read(offer(Schedule(5, power)), NOW)
    assert back == Schedule(5, power)


def test_what_is_past_is_left_out() -> None:
    power = PowerSchedule(NOW - 700, (PowerSpan(600, 11_000), PowerSpan(300, 1_000), PowerSpan(900, 7_000)))
    (one,) = offer(Schedule(1, power)).SAScheduleTuple
    # 700 s are gone: the second span has 200 s left.
    assert spans(one) == [(0, None, 1_000), (200, 900, 7_000)]


def test_a_schedule_that_is_over_grants_what_it_did_last() -> None:
    (one,) = offer(Schedule(1, PowerSchedule(NOW - 100, (PowerSpan(50, 5_000),)))).SAScheduleTuple
    assert [power for _, _, power in spans(one)] == [5_000]


def test_as_many_entries_as_the_vehicle_takes() -> None:
    power = PowerSchedule(NOW, tuple(PowerSpan(10, 1_000 + number) for number in range(2000)))
    assert len(spans(offer(Schedule(1, power), most=4).SAScheduleTuple[0])) == 4
    assert len(spans(offer(Schedule(1, power)).SAScheduleTuple[0])) == 1024
    assert len(offer(*[Schedule(number, power) for number in (1, 2, 3, 4)], most=1).SAScheduleTuple) == 3


def test_a_profile_of_a_vehicle_that_takes_what_it_can() -> None:
    granted = PowerSchedule(NOW, (PowerSpan(10, 22_000), PowerSpan(20, 15_000), PowerSpan(30, 6_000)))
    profile = schedules.below(granted, VehicleLimits("AC", 11_000, 230, 16))
    assert profile == PowerSchedule(NOW, (PowerSpan(30, 11_000), PowerSpan(30, 6_000)))
    written = schedules.profile_written(profile, NOW, 3)
    assert [entry.ChargingProfileEntryStart for entry in written.ProfileEntry] == [0, 30]
    assert {entry.ChargingProfileEntryMaxNumberOfPhasesInUse for entry in written.ProfileEntry} == {3}
    back = schedules.profile_read(written, NOW)
    assert back is not None
    assert [(span.seconds, span.power, span.phases) for span in back.spans] == [(30, 11_000, 3), (86_400, 6_000, 3)]
    schedules.require_within(back, granted)


def test_a_profile_has_24_entries_at_most() -> None:
    profile = PowerSchedule(NOW, tuple(PowerSpan(10, number) for number in range(30)))
    assert len(schedules.profile_written(profile, NOW, 0).ProfileEntry) == 24


# --- tariffs --------------------------------------------------------------------------------------------------------


def tariff(price: Tariff | PriceLevels, *, signed: bool = True, now: int = NOW, most: int = 9) -> iso2.SalesTariffType:
    schedule = Schedule(3, PowerSchedule(NOW, (PowerSpan(86_400, 11_000),)), price, signed=signed)
    written = prices.written(schedule, now, most)
    assert written is not None
    return written


def test_prices_are_shares_of_the_dearest() -> None:
    bands = (Band(Decimal("0.20"), renewable=40), Band(Decimal("0.60"), 11_000, co2=250))
    cheap = TariffSpan(600, (Band(Decimal("0.10")),))
    written = tariff(Tariff(9, NOW, "EUR", (TariffSpan(600, bands), cheap), "x" * 40))
    assert (written.Id, written.SalesTariffID, written.NumEPriceLevels) == ("id3", 3, 2)
    assert written.SalesTariffDescription == "x" * 32
    first, second = written.SalesTariffEntry
    assert (first.TimeInterval.start, first.TimeInterval.duration, first.EPriceLevel) == (0, None, 2)
    assert (second.TimeInterval.start, second.TimeInterval.duration, second.EPriceLevel) == (600, 600, 1)
    low, high = first.ConsumptionCost
    # A third of 0.60 is 33 %.
    assert [(cost.costKind, cost.amount) for cost in low.Cost] == [
        ("relativePricePercentage", 33),
        ("RenewableGenerationPercentage", 40),
    ]
    assert quantity(high.startValue, "W", "startValue") == 11_000
    assert [(cost.costKind, cost.amount) for cost in high.Cost] == [
        ("relativePricePercentage", 100),
        ("CarbonDioxideEmission", 250),
    ]


def test_levels_alone() -> None:
    levels = PriceLevels(3, NOW, 3, (Level(100, 2), Level(200, 0), Level(300, 1)), "levels")
    written = tariff(levels, signed=False)
    assert written.Id is None
    assert [entry.ConsumptionCost for entry in written.SalesTariffEntry] == [(), (), ()]
    assert prices.read(written, NOW) == levels


def test_a_tariff_that_has_begun() -> None:
    written = tariff(NIGHT, now=NOW + 3601)
    # One hour of the dear price is over; the cheap one holds for the rest of its 23 hours.
    assert [entry.EPriceLevel for entry in written.SalesTariffEntry] == [1]


def test_no_more_entries_than_the_vehicle_takes() -> None:
    written = tariff(NIGHT, most=1)
    assert [entry.TimeInterval.duration for entry in written.SalesTariffEntry] == [3600]


def test_a_tariff_that_says_nothing_of_prices() -> None:
    entry = iso2.SalesTariffEntry(TimeInterval=iso2.RelativeTimeInterval(start=0))
    empty = iso2.SalesTariffType(SalesTariffID=1, SalesTariffEntry=(entry,))
    assert prices.read(empty, NOW) is None
    assert prices.read(None, NOW) is None


def test_no_tariff() -> None:
    assert prices.written(Schedule(1, PowerSchedule(NOW, (PowerSpan(1, 1),))), NOW, 9) is None


# --- meters ---------------------------------------------------------------------------------------------------------


def test_readings() -> None:
    reading = Reading("meter 1", 1234.4, at=NOW, signature=b"\1" * 64, status=3)
    info = meter_info(reading)
    assert (info.MeterReading, info.TMeter, info.MeterStatus) == (1234, NOW, 3)
    assert reading_of(info) == Reading("meter 1", 1234.0, at=NOW, signature=b"\1" * 64, status=3)
    bare = meter_info(Reading("m" * 40, -5.0))
    assert bare == iso2.MeterInfoType(MeterID="m" * 32, MeterReading=0)
