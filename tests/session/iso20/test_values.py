"""Numbers, services, limits, schedules, prices and readings of ISO 15118-20: into messages and back."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from tests.session.iso20.world import START, levels, offer, services, tariff
from v2gpki.energy import (
    EnergyOffer,
    EnergyService,
    Needs,
    PowerSchedule,
    PowerSpan,
    Reading,
    Schedule,
    SchedulesGiven,
    StageLimits,
    Variant,
    VehicleLimits,
)
from v2gpki.energy.tariff import Band, Charge, Overstay, Receipt, Service, Tariff, TariffSpan, Tax
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso20_ac, iso20_dc
from v2gpki.messages import iso20_common as cm
from v2gpki.messages.iso20_types import RationalNumberType
from v2gpki.messages.schema import Message
from v2gpki.session.iso20 import limits, metering, prices, schedules
from v2gpki.session.iso20 import services as svc
from v2gpki.session.iso20.values import amount, fraction, money, number, percent, rational, seconds

NOW = int(START.timestamp())


def over_the_wire(message: Message) -> Message:
    """The message as the other side reads it."""
    schema = codec.home_of(message)
    read = codec.decode(codec.encode(message, schema), schema)
    assert isinstance(read, Message)
    return read


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "exponent", "mantissa"),
    [
        (0.0, 0, 0),
        (230.5, -1, 2305),
        (11_000.0, 0, 11_000),
        (32_767.0, 0, 32_767),
        (32_768.0, 1, 3_277),
        (150_000.0, 1, 15_000),
        (-32_767.0, 0, -32_767),
        (-7.25, -2, -725),
        (0.001, -3, 1),
        (0.0004, 0, 0),
        (22.222, -3, 22_222),
        (222.2222, -2, 22_222),
        (3.2767e13, 9, 32_767),
    ],
)
def test_floats_as_numbers(value: float, exponent: int, mantissa: int) -> None:
    assert rational(value) == RationalNumberType(Exponent=exponent, Value=mantissa)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3.3e13, -1e300])
def test_what_is_no_number_of_a_message(value: float) -> None:
    with pytest.raises(V2GPKIError) as problem:
        rational(value)
    assert problem.value.code == "session.value"


@given(st.floats(-1e9, 1e9))
def test_a_float_comes_back_to_16_bits(value: float) -> None:
    back = number(rational(value))
    # Half a step: 10^e / 2 with |v| <= 32767 * 10^e, or half a thousandth.
    assert abs(back - value) <= max(abs(value) / 3276.7 / 2, 0.0005) * 1.0001


@given(st.integers(-128, 127), st.integers(-32768, 32767))
def test_every_number_of_a_message_is_a_float(exponent: int, value: int) -> None:
    assert math.isfinite(number(RationalNumberType(Exponent=exponent, Value=value)))


@pytest.mark.parametrize("value", ["0.39", "0.3925", "-1.5", "12345", "0", "0.000001"])
def test_money_is_exact(value: str) -> None:
    assert amount(money(Decimal(value))) == Decimal(value)


def test_money_that_is_none() -> None:
    with pytest.raises(V2GPKIError):
        money(Decimal("NaN"))
    with pytest.raises(V2GPKIError):
        money(Decimal("1e20"))


def test_states_of_charge_and_seconds() -> None:
    assert [percent(value) for value in (None, 0.0, 0.425, 1.0, 1.7, -3.0)] == [None, 0, 42, 100, 100, 0]
    assert (fraction(None), fraction(80)) == (None, 0.8)
    assert [seconds(value) for value in (None, -1.0, 2.6, 1e12)] == [None, 0, 3, 2**32 - 1]


# --- services -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "both", "names"),
    [
        ("AC", False, {"Connector", "ControlMode", "EVSENominalVoltage", "MobilityNeedsMode", "Pricing"}),
        ("DC", False, {"Connector", "ControlMode", "MobilityNeedsMode", "Pricing"}),
        (
            "AC",
            True,
            {"Connector", "ControlMode", "EVSENominalVoltage", "MobilityNeedsMode", "Pricing", "BPTChannel"}
            | {"GeneratorMode", "GridCodeIslandingDetectionMethod"},
        ),
        ("DC", True, {"Connector", "ControlMode", "MobilityNeedsMode", "Pricing", "BPTChannel", "GeneratorMode"}),
    ],
)
def test_parameters_of_each_service(current: str, both: bool, names: set[str]) -> None:
    variant = Variant(
        "single_phase" if current == "AC" else "dual4",
        3,
        "dynamic",
        "both",
        "levels",
        "separated",
        "forming",
        "active",
        400.0 if current == "AC" else 230.0,
    )
    service = EnergyService("AC" if current == "AC" else "DC", (variant,), both)
    made = offer(ac=current == "AC", bidirectional=both)
    made = type(made)("E", (service,))
    identifier = {("AC", False): 1, ("DC", False): 2, ("AC", True): 5, ("DC", True): 6}[current, both]
    details = svc.details(made, identifier)
    [one] = details.ParameterSet
    assert {parameter.Name for parameter in one.Parameter} == names
    assert {parameter.Name: parameter.intValue for parameter in one.Parameter}["ControlMode"] == 2
    back = svc.read_service(identifier, False, details)
    if both:
        # DC says nothing of islanding.
        of_dc = Variant("dual4", 3, "dynamic", "both", "levels", "separated", "forming")
        assert back == (service if current == "AC" else EnergyService("DC", (of_dc,), True))
    else:
        plain = Variant(variant.connector, 3, "dynamic", "both", "levels", nominal_voltage=variant.nominal_voltage)
        assert back == EnergyService(service.current, (plain,), both)


def test_needs_of_both_sides_are_for_dynamic_control_alone() -> None:
    """[V2G20-2663]."""
    variant = Variant("extended", 1, "scheduled", "both")
    details = svc.details(type(offer())("E", (EnergyService("DC", (variant,)),)), 2)
    assert {p.Name: p.intValue for p in details.ParameterSet[0].Parameter}["MobilityNeedsMode"] == 1


@pytest.mark.parametrize("name", ["ControlMode", "Connector", "Pricing"])
def test_a_parameter_set_with_a_number_that_means_nothing_is_left_out(name: str) -> None:
    [service] = services(ac=False, bidirectional=False)
    details = svc.details(offer(), 2)
    sets = tuple(
        cm.ParameterSetType(
            ParameterSetID=one.ParameterSetID,
            Parameter=tuple(
                cm.ParameterType(Name=p.Name, intValue=99) if p.Name == name and one.ParameterSetID == 1 else p
                for p in one.Parameter
            ),
        )
        for one in details.ParameterSet
    )
    back = svc.read_service(2, False, cm.ServiceParameterListType(ParameterSet=sets))
    assert back is not None
    assert back.variants == service.variants[1:]
    assert svc.read_service(3, False, details) is None


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("both", [False, True])
def test_limits_of_dc(both: bool) -> None:
    back = (30_000.0, 500.0, 80.0, 2.0) if both else (0.0, 0.0, 0.0, 0.0)
    vehicle = VehicleLimits("DC", 100_000.0, 450.0, 300.0, 500.0, 300.0, 1.0, *back)
    selected = svc.selected(offer(bidirectional=both), 6 if both else 2, 1)
    assert selected is not None
    request = over_the_wire(limits.ask_dc(vehicle, both, 0.8))
    assert limits.read_vehicle(request, selected) == VehicleLimits(
        "DC", 100_000.0, 450.0, 300.0, 500.0, 300.0, 1.0, *back
    )
    stage = StageLimits("DC", 150_000.0, 920.0, 400.0, 100.0, 150.0, 0.5, *back, power_ramp=5_000.0)
    response = over_the_wire(limits.tell_dc(stage, both))
    assert isinstance(response, iso20_dc.DC_ChargeParameterDiscoveryRes)
    assert limits.read_station(response, selected) == stage


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("phases", [None, (4_000.0, 4_000.0, 3_000.0)])
def test_limits_of_ac(both: bool, phases: tuple[float, float, float] | None) -> None:
    most, least = (9_000.0, 300.0) if both else (0.0, 0.0)
    vehicle = VehicleLimits(
        "AC", 11_000.0, 230.0, 16.0, 1_380.0, max_discharge_power=most, min_discharge_power=least, phase_power=phases
    )
    selected = svc.selected(offer(ac=True, bidirectional=both), 5 if both else 1, 1)
    assert selected is not None
    found = limits.read_vehicle(over_the_wire(limits.ask_ac(vehicle, both)), selected)
    assert (found.max_charge_power, found.min_charge_power, found.phase_power) == (11_000.0, 1_380.0, phases)
    assert (found.max_discharge_power, found.min_discharge_power) == (most, least)
    # 11 kW over three phases of 230 V are 15.9 A: the connector that was selected has three.
    assert found.max_current == pytest.approx(11_000 / 690)
    assert found.phases == 3
    stage = StageLimits(
        "AC", 22_000.0, 230.0, 32.0, 1_380.0, max_discharge_power=most, max_power_asymmetry=4_600.0
    )
    response = over_the_wire(limits.tell_ac(stage, both))
    assert isinstance(response, iso20_ac.AC_ChargeParameterDiscoveryRes)
    told = limits.read_station(response, selected)
    assert (told.max_charge_power, told.nominal_frequency, told.max_power_asymmetry) == (22_000.0, 50.0, 4_600.0)
    assert told.max_discharge_power == most


@pytest.mark.parametrize(
    "wrong",
    [
        VehicleLimits("DC", 100.0, 450.0, 300.0, min_charge_power=200.0),
        VehicleLimits("DC", 100.0, 450.0, 300.0, min_voltage=451.0),
        VehicleLimits("DC", 100.0, 450.0, 300.0, min_current=301.0),
        VehicleLimits("DC", -100.0, 450.0, 300.0, min_charge_power=-200.0),
    ],
)
def test_limits_that_contradict_themselves(wrong: VehicleLimits) -> None:
    selected = svc.selected(offer(), 2, 1)
    assert selected is not None
    with pytest.raises(V2GPKIError) as problem:
        limits.read_vehicle(limits.ask_dc(wrong, False, None), selected)
    assert (problem.value.code, problem.value.outcome.iso20) == (
        "session.wrong_parameter",
        "FAILED_WrongChargeParameter",
    )


def test_limits_of_another_service() -> None:
    one_way, both = svc.selected(offer(), 2, 1), svc.selected(offer(bidirectional=True), 6, 1)
    assert one_way is not None
    assert both is not None
    vehicle = VehicleLimits("DC", 100.0, 450.0, 300.0)
    for selected, bidirectional in ((one_way, True), (both, False)):
        with pytest.raises(V2GPKIError, match="not of the service"):
            limits.read_vehicle(limits.ask_dc(vehicle, bidirectional, None), selected)


# --- schedules and prices -------------------------------------------------------------------------------------------


def test_needs_and_an_offer_of_energy() -> None:
    back = EnergyOffer(
        PowerSchedule(NOW, (PowerSpan(3600, 9_000.0),)),
        Tariff(1, NOW, "EUR", (TariffSpan(3600, (Band(Decimal("0.22")),), (Band(Decimal("0.22")),)),)),
    )
    needs = Needs(20_000.0, 30_000.0, -1_000.0, departure=7_200.0)
    request = over_the_wire(schedules.ask(needs, "scheduled", 4, back))
    assert isinstance(request, cm.ScheduleExchangeReq)
    # 12 points is the least that a vehicle may keep.
    assert request.MaximumSupportingPoints == 12
    assert schedules.read_needs(request, "scheduled") == (needs, back)
    with pytest.raises(V2GPKIError, match="the wishes of the other one"):
        schedules.read_needs(request, "dynamic")
    dynamic = Needs(1.0, 2.0, 0.5, 60.0, minimum_soc=0.2, target_soc=0.9, v2x_maximum=3.0, v2x_minimum=-4.0)
    request = over_the_wire(schedules.ask(dynamic, "dynamic", 2_000))
    assert isinstance(request, cm.ScheduleExchangeReq)
    assert request.MaximumSupportingPoints == 1024
    assert schedules.read_needs(request, "dynamic") == (dynamic, None)


def test_everything_of_a_tariff() -> None:
    full = Tariff(
        3,
        NOW,
        "CHF",
        (TariffSpan(60, (Band(Decimal("0.3"), 0.0, Decimal(1), 600, 350, 40),)),),
        "a tariff",
        "de",
        minimum=Decimal(2),
        maximum=Decimal(80),
        taxes=(Tax(1, Decimal(19), "VAT", True, True, False, True, True),),
        overstay=(Overstay(3600, Decimal("0.1"), 60, "stays on"),),
        services=(Service("wash", Decimal("7.5")),),
    )
    element = prices.absolute(full, "id1")
    assert (element.Language, element.Id) == ("deu", "id1")
    assert prices.read(element, None) == full
    assert prices.read(None, prices.levels(levels(NOW), None)) == levels(NOW)
    assert prices.read(None, None) is None


def test_prices_of_others_are_put_in_order() -> None:
    """Fees whose period is 0, bands that fall or do not begin at 0 W, as they are seen in the field."""
    full = prices.absolute(tariff(NOW), None)
    [first, *_] = full.PriceRuleStacks.PriceRuleStack
    low, high = first.PriceRule
    odd = changed(low, ParkingFee=rational(0), ParkingFeePeriod=0, PowerRangeStart=rational(10))
    stacks = cm.PriceRuleStackListType(PriceRuleStack=(changed(first, PriceRule=(high, odd)),))
    read = prices.read(changed(full, PriceRuleStacks=stacks), None)
    assert isinstance(read, Tariff)
    assert read.spans == tariff(NOW).spans[:1]
    # No currency, no price.
    assert prices.read(changed(full, Currency="!!"), None) is None


def test_a_receipt() -> None:
    full = Receipt(
        NOW,
        "EUR",
        Charge(Decimal("7.85"), Decimal("0.39")),
        Charge(Decimal(1), Decimal("0.5")),
        Charge(Decimal(2), Decimal(2)),
        Charge(Decimal("0.1"), Decimal("0.1")),
        ((1, Decimal("1.49")),),
    )
    assert prices.read_receipt(prices.receipt(full), "EUR") == full
    assert prices.read_receipt(None, "EUR") is None


def test_schedules_with_phases_and_both_directions() -> None:
    power = PowerSchedule(NOW, (PowerSpan(60, 9_000.0, (2_000.0, 3_000.0, 4_000.0)),), 5_000.0, 100.0)
    back = PowerSchedule(NOW, (PowerSpan(60, 3_000.0),))
    schedule = Schedule(4, power, tariff(NOW), back, levels(NOW), signed=True)
    answer = over_the_wire(schedules.tell(SchedulesGiven(schedules=(schedule,)), "scheduled", 1024, sign=True))
    assert isinstance(answer, cm.ScheduleExchangeRes)
    assert schedules.read(answer, NOW, verified=True, renegotiation=False).schedules == (schedule,)
    assert answer.Scheduled_SEResControlMode is not None
    [one] = answer.Scheduled_SEResControlMode.ScheduleTuple
    assert one.ChargingSchedule.AbsolutePriceSchedule is not None
    assert one.DischargingSchedule is not None
    assert one.DischargingSchedule.PriceLevelSchedule is not None
    assert (one.ChargingSchedule.AbsolutePriceSchedule.Id, one.DischargingSchedule.PriceLevelSchedule.Id) == (
        "id1",
        "id2",
    )


@pytest.mark.parametrize(
    ("spans", "good"),
    [
        (((3600, 10_000.0), (3600, 5_000.0)), True),
        (((7200, 5_000.0),), True),
        (((7200, 10_000.0),), False),
        (((3601, 10_000.0),), False),
        (((3600, 10_001.0),), True),  # 16 bits round
        (((3600, 10_100.0),), False),
        (((3600, -2_000.0), (3600, -2_000.0)), True),
        (((3600, -2_100.0),), False),
        (((3600, 0.0), (3600, 0.0), (3600, 99_000.0)), True),  # nothing was granted or refused after two hours
    ],
)
def test_profiles_below_their_schedule(spans: tuple[tuple[int, float], ...], good: bool) -> None:
    granted = PowerSchedule(NOW, (PowerSpan(3600, 10_000.0), PowerSpan(3600, 5_000.0)))
    back = PowerSchedule(NOW, (PowerSpan(7200, 2_000.0),))
    schedule = Schedule(1, granted, discharge=back)
    profile = cm.EVPowerProfileType(
        TimeAnchor=NOW,
        Scheduled_EVPPTControlMode=cm.Scheduled_EVPPTControlModeType(SelectedScheduleTupleID=1),
        EVPowerProfileEntries=cm.EVPowerProfileEntryListType(
            EVPowerProfileEntry=tuple(
                cm.PowerScheduleEntryType(Duration=duration, Power=rational(power)) for duration, power in spans
            )
        ),
    )
    if good:
        chosen, _ = schedules.read_profile(profile, "scheduled", (schedule,))
        assert chosen == schedule
    else:
        with pytest.raises(V2GPKIError) as problem:
            schedules.read_profile(profile, "scheduled", (schedule,))
        assert problem.value.code == "session.wrong_profile"
    with pytest.raises(V2GPKIError, match="not one of dynamic control"):
        schedules.read_profile(profile, "dynamic", ())


# --- readings -------------------------------------------------------------------------------------------------------


def test_readings() -> None:
    full = Reading("METER", 12_345.0, 67.0, NOW, bytes(range(64)), -3, 8.0, 9.0)
    assert metering.reading(metering.info(full)) == full
    least = Reading("M", 1.4)
    assert metering.reading(metering.info(least)) == Reading("M", 1.0)
    data = metering.signed_data(metering.info(full), None, b"12345678", 7)
    assert data.Scheduled_SMDTControlMode == cm.Scheduled_SMDTControlModeType(SelectedScheduleTupleID=7)
    assert data.Dynamic_SMDTControlMode is None
    assert metering.signed_data(metering.info(full), None, b"12345678", 0).Dynamic_SMDTControlMode is not None
