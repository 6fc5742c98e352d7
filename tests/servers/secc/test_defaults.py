"""The stock station: figures by arithmetic, decisions by list, prices and notifications by plan."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.servers.running_time import paced
from v2gpki.energy.meter import Meter
from v2gpki.energy.quantities import Needs, Present, Reading, Setpoint, VehicleLimits
from v2gpki.energy.stage import Stage, StageFacts
from v2gpki.energy.tariff import Band, PriceLevels, Tariff, TariffSpan
from v2gpki.errors import V2GPKIError
from v2gpki.servers.secc.defaults import (
    ListedAuthoriser,
    Planned,
    SimulatedStage,
    StockOperator,
    StockTariffs,
    limits_of,
    offer_of,
)
from v2gpki.servers.secc.plugins import (
    Asked,
    Authoriser,
    Charging,
    Control,
    Operator,
    PowerStage,
    ScheduleAsked,
    Tariffs,
)

SESSION = bytes(range(8))
PRICES = Tariff(
    3, 0, "EUR", (TariffSpan(5_000, (Band(Decimal("0.50")),)), TariffSpan(5_000, (Band(Decimal("0.20")),)))
)


def test_a_stage_runs_faster_than_the_clock() -> None:
    """60 times as fast: 30 s at 22 kW are half an hour, 11 kWh; the reading has the simulated time."""
    pace, time = paced(60)
    stage = SimulatedStage(Stage(limits_of("AC", 22_000), Meter("M-1")), pace)
    plugged: PowerStage = stage

    async def charge() -> Reading:
        await plugged.close()
        await plugged.deliver(Setpoint(22_000))
        time.now += 30
        return await plugged.meter()

    reading = asyncio.run(charge())
    assert reading.imported == pytest.approx(11_000)
    assert reading.at == 1_000 + 1_800


def test_a_stage_checks_and_precharges_in_its_time() -> None:
    pace, time = paced()
    facts = StageFacts(isolation_seconds=2, voltage_ramp=100)
    stage = SimulatedStage(Stage(limits_of("DC", 150_000), Meter("M-1"), facts=facts), pace)

    async def prepare() -> list[object]:
        seen: list[object] = [await stage.cable_check()]
        time.now += 2
        seen.append(await stage.cable_check())
        await stage.precharge(400, 2)
        time.now += 1
        seen.append((await stage.present()).voltage)
        await stage.close()
        await stage.deliver(Setpoint(150_000, voltage=400, current=10))
        await stage.open()
        time.now += 9
        seen.append((await stage.present()).voltage)
        return seen

    assert asyncio.run(prepare()) == ["unknown", "valid", 100, 0]


def test_limits_of_common_stations() -> None:
    """11 kW on three phases are 15.94 A; 150 kW are 500 A from 300 V on."""
    ac = limits_of("AC", 11_000)
    assert ac.max_current == pytest.approx(11_000 / 690)
    assert not ac.bidirectional
    dc = limits_of("DC", 150_000, discharge=30_000)
    assert (dc.max_current, dc.max_discharge_current) == (500, 200)
    assert dc.bidirectional
    assert limits_of("DC", 30_000).max_current == 200


def test_an_offer_says_what_the_stage_can() -> None:
    single = offer_of(limits_of("AC", 7_400, phases=1), "DE*ABC*E1", methods=["eim"])
    assert [service.variants[0].connector for service in single.services] == ["single_phase"]
    assert single.methods == ("eim",)
    both = offer_of(limits_of("DC", 50_000, discharge=10_000), "DE*ABC*E1", priced=True)
    assert [service.bidirectional for service in both.services] == [False, True]
    assert [variant.control for variant in both.services[1].variants] == ["scheduled", "dynamic"]
    assert [variant.pricing for variant in both.services[1].variants] == ["absolute", "none"]
    assert len({variant.identifier for variant in both.services[1].variants}) == 2


# --- who may charge -------------------------------------------------------------------------------------------------


def contract(emaid: str = "DEABCC12345678", verdict: V2GPKIError | None = None, attempt: int = 0) -> Asked:
    return Asked("pnc", "iso15118-2", SESSION, "", emaid=emaid, verdict=verdict, attempt=attempt)


def at_station(attempt: int = 0) -> Asked:
    return Asked("eim", "iso15118-20", SESSION, "", attempt=attempt)


def decided(authoriser: Authoriser, asked: Asked) -> tuple[str, str]:
    decision = asyncio.run(authoriser.authorise(asked))
    return decision.status, decision.problem.code if decision.problem else ""


def test_a_list_of_contracts() -> None:
    """The same contract in three spellings: with hyphens, in small letters, with its check digit."""
    listed = ListedAuthoriser(["DE-ABC-C12345678"])
    assert decided(listed, contract()) == ("accepted", "")
    assert decided(listed, contract("de-abc-c12345678")) == ("accepted", "")
    assert decided(listed, contract("DEABCC12345679")) == ("rejected", "authorisation.not_listed")
    assert decided(listed, contract("no emaid")) == ("rejected", "authorisation.not_listed")
    assert decided(ListedAuthoriser(()), contract()) == ("rejected", "authorisation.not_listed")
    assert decided(ListedAuthoriser(), contract()) == ("accepted", "")


@pytest.mark.parametrize("emaids", [None, ["DEABCC12345678"]])
@pytest.mark.parametrize("ongoing", [0, 3])
def test_a_chain_that_does_not_hold_is_rejected_whatever_the_list_says(
    emaids: list[str] | None, ongoing: int
) -> None:
    verdict = V2GPKIError("path.expired", "the contract has expired")
    authoriser = ListedAuthoriser(emaids, ongoing=ongoing)
    assert decided(authoriser, contract(verdict=verdict)) == ("rejected", "path.expired")


def test_who_pays_at_the_station() -> None:
    assert decided(ListedAuthoriser(()), at_station()) == ("accepted", "")
    problem = ("rejected", "authorisation.no_eim")
    assert decided(ListedAuthoriser(eim=False), at_station()) == problem


def test_an_authoriser_that_takes_its_time() -> None:
    slow = ListedAuthoriser(ongoing=2)
    assert [decided(slow, contract(attempt=number))[0] for number in range(3)] == ["ongoing", "ongoing", "accepted"]
    assert asyncio.run(slow.authorise(at_station())).customer
    assert not asyncio.run(slow.authorise(contract())).customer


# --- schedules and prices -------------------------------------------------------------------------------------------


def asked(**more: object) -> ScheduleAsked:
    stage = limits_of("DC", 50_000, discharge=10_000)
    values: dict[str, object] = {
        "edition": "iso15118-20",
        "session_id": SESSION,
        "now": 2_000,
        "control": "scheduled",
        "method": "eim",
        "emaid": "",
        "stage": stage,
        "vehicle": VehicleLimits("DC", 100_000, 450, 400),
        "needs": Needs(20_000, 30_000, departure=90_000, target_soc=0.9, minimum_soc=0.3),
        "pricing": "absolute",
        **more,
    }
    return ScheduleAsked(**values)  # type: ignore[arg-type]  # the fields by name


def test_schedules_last_until_the_vehicle_leaves() -> None:
    tariffs: Tariffs = StockTariffs(PRICES, eco=True)
    given = asyncio.run(tariffs.schedules(asked()))
    first, second = given.schedules
    assert first.power.starts == 2_000
    assert first.power.ends == 92_000
    assert first.power.power_at(50_000) == 50_000
    assert second.power.power_at(50_000) == 25_000
    assert first.discharge is None
    assert isinstance(first.price, Tariff)
    # 3000 s of the first span are left
    assert [span.seconds for span in first.price.spans] == [3_000, 5_000]
    assert not first.signed
    assert asyncio.run(tariffs.schedules(asked(needs=Needs(1, 1)))).schedules[0].power.ends == 2_000 + 86_400


def test_prices_are_of_the_kind_that_was_selected() -> None:
    priced = StockTariffs(PRICES, signed=True)

    def price_of(**more: object) -> object:
        return asyncio.run(priced.schedules(asked(**more))).schedules[0].price

    assert isinstance(price_of(), Tariff)
    assert isinstance(price_of(pricing="levels"), PriceLevels)
    assert price_of(pricing="none") is None
    assert isinstance(price_of(pricing="none", edition="iso15118-2"), Tariff)
    assert asyncio.run(priced.schedules(asked())).schedules[0].signed
    assert not asyncio.run(priced.schedules(asked(pricing="none"))).schedules[0].signed
    assert asyncio.run(StockTariffs().schedules(asked())).schedules[0].price is None


def test_both_ways_and_dynamic() -> None:
    both = asyncio.run(StockTariffs(PRICES).schedules(asked(bidirectional=True))).schedules[0]
    assert both.discharge is not None
    assert both.discharge.power_at(2_000) == 10_000
    assert both.discharge_price == both.price
    dynamic = asyncio.run(StockTariffs(PRICES).schedules(asked(control="dynamic")))
    assert dynamic.schedules == ()
    assert (dynamic.departure, dynamic.target_soc, dynamic.minimum_soc) == (90_000, 0.9, 0.3)
    assert isinstance(dynamic.price, Tariff)


def test_a_receipt_of_the_session() -> None:
    """10 kWh at 0.50."""
    readings = (Reading("M", 1_000, at=0), Reading("M", 11_000, at=3_600))
    bill = asyncio.run(StockTariffs(PRICES).receipt(SESSION, readings))
    assert bill is not None
    assert bill.energy is not None
    assert bill.energy.amount == Decimal("5.00")
    assert asyncio.run(StockTariffs().receipt(SESSION, readings)) is None
    assert asyncio.run(StockTariffs(PRICES).receipt(SESSION, (Reading("M", 0),))) is None


# --- running the outlet ---------------------------------------------------------------------------------------------


def charging(seconds: float, imported: float = 0, since: float = 0, session: bytes = SESSION) -> Charging:
    return Charging(
        "iso15118-2",
        session,
        "",
        "scheduled",
        "",
        seconds,
        None,
        None,
        None,
        Present(400, 0, 0),
        Reading("M", imported),
        since_receipt=since,
    )


def controls(operator: Operator, *states: Charging) -> list[Control]:
    return [asyncio.run(operator.control(state)) for state in states]


def test_a_plan_is_told_in_its_time_once() -> None:
    operator = StockOperator(plan=[Planned(10, "renegotiate_schedule", 5), Planned(20, "stop")], power=7_000)
    seen = controls(operator, charging(9), charging(11), charging(12), charging(21), charging(22))
    assert [control.notification for control in seen] == ["", "renegotiate_schedule", "", "stop", "stop"]
    assert seen[1].notification_seconds == 5
    assert {control.power for control in seen} == {7_000}
    # another session has its own time
    assert controls(operator, charging(11, session=b"another!"))[0].notification == "renegotiate_schedule"


def test_receipts_and_the_end_by_energy() -> None:
    operator = StockOperator(receipt_every=1_000, most_energy=5_000)
    states = [charging(1, 70_000), charging(2, 71_000, 1_000), charging(3, 74_999, 10), charging(4, 75_000, 11)]
    seen = controls(operator, *states)
    assert [control.receipt for control in seen] == [False, True, False, False]
    assert [control.notification for control in seen] == ["", "", "", "stop"]
    assert not controls(StockOperator(), charging(1, since=9e9))[0].receipt
