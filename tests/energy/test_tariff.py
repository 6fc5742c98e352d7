"""What a session costs, reckoned by hand beside it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.energy.cost import receipt, rounded, total
from v2gpki.energy.quantities import Reading
from v2gpki.energy.schedule import PowerSchedule, PowerSpan
from v2gpki.energy.tariff import Band, Overstay, Service, Tariff, TariffSpan, Tax
from v2gpki.errors import V2GPKIError

D = Decimal
#: Two hours dear, then cheap; energy back is paid.
DAY = Tariff(
    1,
    1_000,
    "EUR",
    (
        TariffSpan(7_200, (Band(D("0.50")),), (Band(D("0.40")),)),
        TariffSpan(3_600, (Band(D("0.20")),), (Band(D("0.10")),)),
    ),
)


def reading(at: int | None, imported: float, exported: float = 0.0) -> Reading:
    return Reading("M-1", imported, exported, at)


def test_each_kwh_by_the_price_of_its_time() -> None:
    """One hour at 0.50 with 10 kWh, then an hour over the border with 20 kWh: half at 0.50, half at 0.20."""
    readings = [reading(1_000, 5_000), reading(4_600, 15_000), reading(6_400, 15_000), reading(10_000, 35_000)]
    bill = receipt(DAY, readings)
    assert bill.energy is not None
    # 10 * 0.50 + 10 * 0.50 + 10 * 0.20
    assert bill.energy.amount == D("12.00")
    assert bill.energy.per_unit == D("0.4000")
    assert total(DAY, bill) == D("12.00")
    assert (bill.starts, bill.currency) == (1_000, "EUR")
    assert bill.parking is None
    assert bill.taxes == ()


def test_energy_out_of_the_vehicle_is_paid() -> None:
    """10 kWh in at 0.50, 4 kWh out at 0.40."""
    bill = receipt(DAY, [reading(1_000, 0), reading(4_600, 10_000, 0), reading(8_200, 10_000, 4_000)])
    assert bill.energy is not None
    assert bill.energy.amount == D("3.40")


def test_before_and_after_the_tariff_its_first_and_last_prices_hold() -> None:
    early = receipt(DAY, [reading(0, 0), reading(1_000, 1_000)])
    late = receipt(DAY, [reading(50_000, 0), reading(60_000, 1_000)])
    assert early.energy is not None
    assert late.energy is not None
    assert (early.energy.amount, late.energy.amount) == (D("0.50"), D("0.20"))


def test_a_band_is_chosen_by_the_power() -> None:
    """Up to 11 kW 0.30, from 11 kW on 0.60: an hour with 10 kWh, an hour with 12, one with exactly 11."""
    tariff = Tariff(1, 0, "EUR", (TariffSpan(86_400, (Band(D("0.30")), Band(D("0.60"), 11_000))),))
    for energy, cost in ((10_000, "3.00"), (12_000, "7.20"), (11_000, "6.60")):
        bill = receipt(tariff, [reading(0, 0), reading(3_600, energy)])
        assert bill.energy is not None
        assert bill.energy.amount == D(cost)


def test_fees_and_taxes() -> None:
    """10 kWh at 0.50; 1.20 an hour for 2 h; 19 % on top of both; 3 begun quarters of an hour of overstay at 2.50."""
    tariff = Tariff(
        1,
        0,
        "EUR",
        (TariffSpan(86_400, (Band(D("0.50"), parking=D("0.60"), parking_seconds=1_800),)),),
        taxes=(Tax(1, D(19), on_overstay=False), Tax(2, D(7), included=True, on_parking=False, on_overstay=False)),
        overstay=(Overstay(600, D("2.50"), 900),),
        services=(Service("cleaning", D("4.00")),),
    )
    bill = receipt(tariff, [reading(0, 0), reading(7_200, 10_000)], overstay_seconds=600 + 1_801)
    assert bill.energy is not None
    assert bill.parking is not None
    assert bill.overstay is not None
    assert bill.services is not None
    assert bill.energy.amount == D("5.00")
    assert bill.parking.amount == D("2.40")
    assert bill.parking.per_unit == D("1.2000")
    assert bill.overstay.amount == D("7.50")
    assert bill.services.amount == D("4.00")
    # 0.19 * 7.40 = 1.406; 5 * 7 / 107 = 0.327
    assert bill.taxes == ((1, D("1.41")), (2, D("0.33")))
    # 5.00 + 2.40 + 7.50 + 4.00 + 1.41; the tax that the prices include is in them
    assert total(tariff, bill) == D("20.31")
    assert receipt(tariff, [reading(0, 0), reading(1, 0)], overstay_seconds=600).overstay == type(bill.overstay)(
        D("0.00"), D("0.00")
    )


def test_a_sum_stays_within_its_bounds() -> None:
    span = (TariffSpan(86_400, (Band(D("0.50")),)),)
    one, ten = [reading(0, 0), reading(3_600, 1_000)], [reading(0, 0), reading(3_600, 10_000)]
    tariff = Tariff(1, 0, "EUR", span, minimum=D(1), maximum=D(3))
    assert total(tariff, receipt(tariff, one)) == 1
    assert total(tariff, receipt(tariff, ten)) == 3


def test_rounding_is_half_up_and_only_at_the_end() -> None:
    """Three times 5 Wh at 0.33 are 0.00495: 0.00 as a whole, and 0.005 is 0.01."""
    tariff = Tariff(1, 0, "EUR", (TariffSpan(86_400, (Band(D("0.33")),)),))
    bill = receipt(tariff, [reading(0, 0), reading(10, 5), reading(20, 10), reading(30, 15)])
    assert bill.energy is not None
    assert bill.energy.amount == D("0.00")
    assert rounded(D("0.005")) == D("0.01")
    assert rounded(D("-0.005")) == D("-0.01")
    assert rounded(D("0.0049999")) == D("0.00")
    # each of ten intervals costs 0.0033: rounded one by one they would be nothing
    many = receipt(tariff, [reading(10 * number, 10 * number) for number in range(11)])
    assert many.energy is not None
    assert many.energy.amount == D("0.03")


@given(
    st.lists(st.tuples(st.integers(1, 9_000), st.integers(0, 50_000), st.integers(0, 20_000)), max_size=12),
    st.integers(0, 12_000),
)
def test_readings_between_change_nothing_where_prices_are_level(
    steps: list[tuple[int, int, int]], starts: int
) -> None:
    """With one price each way the cost is energy times price, however many readings there are."""
    tariff = Tariff(1, starts, "EUR", tuple(TariffSpan(700, (Band(D("0.5")),), (Band(D("0.25")),)) for _ in range(9)))
    readings = [reading(0, 0)]
    for seconds, imported, exported in steps:
        last = readings[-1]
        assert last.at is not None
        readings.append(reading(last.at + seconds, last.imported + imported, last.exported + exported))
    bill = receipt(tariff, readings, places=6)
    assert bill.energy is not None
    expected = (D(int(readings[-1].imported)) * D("0.5") - D(int(readings[-1].exported)) * D("0.25")) / 1000
    assert abs(bill.energy.amount - expected) <= D("0.000001")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: receipt(DAY, []),
        lambda: receipt(DAY, [reading(None, 0)]),
        lambda: receipt(DAY, [reading(10, 0), reading(9, 0)]),
        lambda: receipt(DAY, [reading(10, 5), reading(11, 4)]),
        lambda: receipt(DAY, [reading(10, 5, 5), reading(11, 5, 4)]),
        lambda: TariffSpan(0, (Band(D(1)),)),
        lambda: TariffSpan(1, ()),
        lambda: TariffSpan(1, (Band(D(1), 5),)),
        lambda: TariffSpan(1, (Band(D(1)), Band(D(1), 5), Band(D(1), 5))),
        lambda: TariffSpan(1, (Band(D(1), parking=D(1)),)),
        lambda: Tariff(1, 0, "eur", DAY.spans),
        lambda: Tariff(1, 0, "EUR", ()),
        lambda: Tariff(1, 0, "EUR", DAY.spans, minimum=D(2), maximum=D(1)),
    ],
)
def test_what_is_no_tariff_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(V2GPKIError) as refused:
        wrong()
    assert refused.value.code == "energy.invalid"


def test_the_power_of_a_schedule_at_a_time() -> None:
    schedule = PowerSchedule(100, (PowerSpan(10, 5_000), PowerSpan(20, 3_000)))
    assert [schedule.power_at(at) for at in (0, 100, 109, 110, 129.9, 130)] == [5_000, 5_000, 5_000, 3_000, 3_000, 0]
    assert schedule.ends == 130


def test_a_tariff_is_cut_where_a_session_begins() -> None:
    """An hour into the first span another hour of it is left; after the second begins it is alone, and no shorter."""
    assert DAY.since(4_600).starts == 4_600
    assert [span.seconds for span in DAY.since(4_600).spans] == [3_600, 3_600]
    assert [span.seconds for span in DAY.since(8_200).spans] == [3_600]
    assert [span.seconds for span in DAY.since(99_999).spans] == [3_600]
    # what has not begun is begun: its first prices hold already
    assert [span.seconds for span in DAY.since(0).spans] == [8_200, 3_600]


@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_a_cut_tariff_has_the_same_prices(cut: int, later: int) -> None:
    at = cut + later
    assert DAY.since(cut).span_at(at)[0].charge == DAY.span_at(at)[0].charge


def test_levels_rank_prices() -> None:
    """0.30, 0.10, 0.30 and 0.50 are levels 1, 0, 1 and 2."""
    spans = tuple(TariffSpan(60, (Band(D(price)),)) for price in ("0.30", "0.10", "0.30", "0.50"))
    levels = Tariff(7, 5, "EUR", spans, description="night").levels()
    assert [(level.seconds, level.level) for level in levels.spans] == [(60, 1), (60, 0), (60, 1), (60, 2)]
    assert (levels.identifier, levels.starts, levels.count, levels.description) == (7, 5, 3, "night")
