"""The stock vehicle's choices: payment, service, schedule, readings, steps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.servers.running_time import paced
from v2gpki.energy.offer import EnergyService, Method, Notification, Offer, ValueAdded, Variant
from v2gpki.energy.quantities import Needs, Reading, VehicleState
from v2gpki.energy.schedule import PowerSchedule, PowerSpan, Schedule
from v2gpki.energy.steering import SchedulesOffered, Step
from v2gpki.energy.tariff import Band, Tariff, TariffSpan
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import SUITES
from v2gpki.servers.evcc.choices import PlannedStep, StockConsent, StockPilot, Wishes
from v2gpki.servers.evcc.plugins import Consent, HeldContract, PaymentAsked, Pilot

HELD = HeldContract("DEABCC12345678", "iso15118-2", (b"leaf",), SoftwareSigner(SUITES["p256"].generate()))
VARIANTS = (Variant("extended", 1), Variant("extended", 2, control="dynamic"))
OFFER = Offer(
    "DE*ABC*E1",
    (
        EnergyService("AC", (Variant("three_phase"),)),
        EnergyService("DC", VARIANTS),
        EnergyService("DC", VARIANTS, bidirectional=True),
    ),
    value_added=(ValueAdded(65, "WLAN", parameters={3: {"port": 80}}), ValueAdded(66)),
)
NEEDS = Needs(20_000, 40_000)


def paying(
    wishes: Wishes,
    *,
    contract: HeldContract | None = HELD,
    methods: tuple[Method, ...] = ("pnc", "eim"),
    installable: bool = True,
    failed: tuple[Method, ...] = (),
) -> tuple[str, bool]:
    consent: Consent = StockConsent(wishes)
    choice = asyncio.run(consent.payment(PaymentAsked("iso15118-20", methods, contract, installable, failed)))
    return choice.method, choice.install


def test_a_contract_pays_before_the_station() -> None:
    assert paying(Wishes()) == ("pnc", False)
    assert paying(Wishes(), contract=None) == ("pnc", True)
    assert paying(Wishes(), contract=None, installable=False) == ("eim", False)
    assert paying(Wishes(install="always")) == ("pnc", True)
    assert paying(Wishes(install="never"), contract=None) == ("eim", False)
    assert paying(Wishes(), methods=("eim",)) == ("eim", False)
    assert paying(Wishes(), failed=("pnc",)) == ("eim", False)
    assert paying(Wishes(methods=("eim", "pnc"))) == ("eim", False)


def test_no_way_to_pay_is_said() -> None:
    with pytest.raises(V2GPKIError) as refused:
        paying(Wishes(methods=("pnc",)), contract=None, installable=False)
    assert refused.value.code == "vehicle.no_service"


def test_the_service_that_fits() -> None:
    def chosen(wishes: Wishes, offer: Offer = OFFER) -> tuple[str, bool, int]:
        choice = asyncio.run(StockConsent(wishes).service(offer, "iso15118-20", HELD))
        return choice.service.current, choice.service.bidirectional, choice.variant.identifier

    assert chosen(Wishes("AC")) == ("AC", False, 1)
    assert chosen(Wishes("DC")) == ("DC", False, 1)
    assert chosen(Wishes("DC", bidirectional=True)) == ("DC", True, 1)
    assert chosen(Wishes("DC", controls=("dynamic",))) == ("DC", False, 2)
    # both ways are wished for and not offered
    assert chosen(Wishes("AC", bidirectional=True)) == ("AC", False, 1)
    with pytest.raises(V2GPKIError) as refused:
        chosen(Wishes("AC", controls=("dynamic",)))
    assert refused.value.code == "vehicle.no_service"


def test_update_and_services_beside_charging() -> None:
    choice = asyncio.run(StockConsent(Wishes(update=True, value_added=(65,))).service(OFFER, "iso15118-2", HELD))
    assert (choice.method, choice.install, choice.update) == ("pnc", False, True)
    assert choice.value_added == ((65, 3),)
    fresh = asyncio.run(StockConsent(Wishes(update=True)).service(OFFER, "iso15118-2", None))
    assert (fresh.install, fresh.update) == (True, False)


# --- schedules ------------------------------------------------------------------------------------------------------


def schedule(identifier: int, power: float, *prices: str, signed: bool = False) -> Schedule:
    """An hour for each price."""
    spans = tuple(TariffSpan(3_600, (Band(Decimal(price)),)) for price in prices)
    tariff = Tariff(identifier, 0, "EUR", spans) if spans else None
    return Schedule(identifier, PowerSchedule(0, (PowerSpan(86_400, power),)), tariff, signed=signed)


def choosing(wishes: Wishes, *schedules: Schedule, verified: bool = False) -> int:
    offered = SchedulesOffered(0, "scheduled", schedules, verified=verified)
    return asyncio.run(StockConsent(wishes).schedule(offered, NEEDS)).identifier


def test_the_cheapest_schedule_for_the_energy_that_is_wanted() -> None:
    """20 kWh: at 10 kW an hour at 0.50 and one at 0.10 (0.30), at 20 kW an hour at 0.35."""
    slow, fast = schedule(1, 10_000, "0.50", "0.10"), schedule(2, 20_000, "0.35", "0.05")
    assert choosing(Wishes(), slow, fast) == 1
    assert choosing(Wishes(), fast, schedule(3, 10_000, "0.50", "0.30")) == 2
    # equal: the first
    assert choosing(Wishes(), schedule(5, 1_000), schedule(4, 9_000)) == 5


def test_what_is_too_dear_or_unsigned_is_refused() -> None:
    dear, cheap = schedule(1, 10_000, "0.50"), schedule(2, 10_000, "0.60", signed=True)
    assert choosing(Wishes(most_price=Decimal("0.55")), cheap, dear) == 1
    only = Wishes(only_verified=True)
    assert choosing(only, cheap, schedule(3, 10_000)) == 3
    assert choosing(only, cheap, verified=True) == 2
    for wishes, found in ((Wishes(most_price=Decimal("0.4")), dear), (only, cheap), (only, dear)):
        with pytest.raises(V2GPKIError) as refused:
            choosing(wishes, found)
        assert refused.value.code == "vehicle.no_consent"


def test_the_profile_is_the_schedules_own() -> None:
    power = PowerSchedule(50, tuple(PowerSpan(60, 1_000.0 + number) for number in range(30)))
    offered = SchedulesOffered(100, "scheduled", (Schedule(1, power),))
    choice = asyncio.run(StockConsent().schedule(offered, NEEDS))
    assert choice.profile is not None
    assert choice.profile.starts == 100
    assert len(choice.profile.spans) == 24
    assert choice.profile.power_at(100) == 1_000


def test_dynamic_control_is_agreed_to_by_its_price() -> None:
    price = schedule(1, 1_000, "0.50").price
    offered = SchedulesOffered(0, "dynamic", price=price)
    assert asyncio.run(StockConsent().schedule(offered, NEEDS)).identifier == 0
    with pytest.raises(V2GPKIError, match="1 kWh costs"):
        asyncio.run(StockConsent(Wishes(most_price=Decimal("0.3"))).schedule(offered, NEEDS))


def test_a_meter_that_goes_back_is_not_confirmed() -> None:
    consent = StockConsent()

    def confirmed(*readings: Reading) -> list[bool]:
        return [asyncio.run(consent.metering(reading, None)) for reading in readings]

    assert confirmed(Reading("M", 10), Reading("M", 10), Reading("M", 20, 5)) == [True, True, True]
    assert confirmed(Reading("M", 19, 5), Reading("M", 20, 4), Reading("N", 1)) == [False, False, True]
    # what was refused is not remembered
    assert confirmed(Reading("M", 20, 5)) == [True]


# --- steps ----------------------------------------------------------------------------------------------------------

CHARGING = VehicleState(0.5, 400)


def steps(pilot: Pilot, state: VehicleState = CHARGING, wish: Notification = "") -> Step:
    return asyncio.run(pilot.step(state, wish, 0))


def test_it_goes_on_until_it_is_complete() -> None:
    pilot = StockPilot(paced()[0])
    assert steps(pilot).what == "go_on"
    assert steps(pilot, replace(CHARGING, complete=True)).what == "stop"


@pytest.mark.parametrize(
    ("wish", "step"),
    [
        ("stop", "stop"),
        ("pause", "pause"),
        ("renegotiate_schedule", "renegotiate"),
        ("renegotiate_service", "renegotiate_service"),
        ("confirm_metering", "go_on"),
        ("exit_standby", "go_on"),
        ("", "go_on"),
    ],
)
def test_it_follows_the_station(wish: Notification, step: str) -> None:
    assert steps(StockPilot(paced()[0]), CHARGING, wish).what == step


def test_a_fault_comes_first() -> None:
    step = steps(StockPilot(paced()[0]), replace(CHARGING, fault="temperature_inhibit"), "pause")
    assert (step.what, step.explanation) == ("stop", "temperature_inhibit")


def test_a_plan_is_followed_once_and_in_simulated_time() -> None:
    """Ten times as fast: 5 s by the clock are 50 s of charging."""
    pace, time = paced(10)
    pilot = StockPilot(pace, plan=[PlannedStep(50, Step("pause"))], most_seconds=100)
    assert steps(pilot).what == "go_on"
    time.now += 4.9
    assert steps(pilot).what == "go_on"
    time.now += 0.1
    assert steps(pilot).what == "pause"
    assert steps(pilot).what == "go_on"
    time.now += 5
    assert (steps(pilot).what, steps(pilot).code) == ("stop", "time")
