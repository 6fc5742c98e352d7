"""The stock station and the stock vehicle in whole sessions over loopback: what the meter counts is what the battery
took.

Plain TCP and no contract, so that power alone is looked at (-20 as a lab speaks it). Simulated time runs fast; figures
are compared between two sides that reckon for themselves, and with what was asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

import pytest

from v2gpki.clock import Clock
from v2gpki.energy.battery import Battery, BatteryFacts, Goals
from v2gpki.energy.curve import Curve
from v2gpki.energy.meter import Meter
from v2gpki.energy.offer import Notification
from v2gpki.energy.quantities import Current
from v2gpki.energy.schedule import ControlMode
from v2gpki.energy.stage import Stage, StageFacts
from v2gpki.energy.tariff import Band, Tariff, TariffSpan
from v2gpki.servers.evcc.answers import VehicleKeys
from v2gpki.servers.evcc.choices import StockConsent, StockPilot, Wishes
from v2gpki.servers.evcc.contracts import MemoryContracts
from v2gpki.servers.evcc.defaults import Inlet, SimulatedVehicle
from v2gpki.servers.evcc.plugins import VehicleFacts, VehiclePlugins
from v2gpki.servers.evcc.vehicle import Journey, VehicleSetup, travel
from v2gpki.servers.pace import Pace
from v2gpki.servers.secc.answers import StationKeys
from v2gpki.servers.secc.defaults import (
    ListedAuthoriser,
    Planned,
    SimulatedStage,
    StockOperator,
    StockTariffs,
    limits_of,
    offer_of,
)
from v2gpki.servers.secc.plugins import StationPlugins
from v2gpki.servers.secc.station import Session, Station, StationSetup
from v2gpki.session import handshake
from v2gpki.session.editions import Spoken
from v2gpki.session.iso2 import settings as iso2
from v2gpki.session.iso20 import settings as iso20
from v2gpki.session.notices import Exchanged, Notice
from v2gpki.session.station import iso2_station, iso20_station
from v2gpki.session.vehicle import iso2_vehicle, iso20_vehicle
from v2gpki.wiring import SystemClock

#: Simulated seconds between two looks at the clock, whichever side looks: nothing hangs on how busy the machine is.
STEP = 1.0
PRICE = Tariff(1, 0, "EUR", (TariffSpan(86_400, (Band(Decimal("0.50")),)),))
CLOCK: Clock = SystemClock()
Settings: TypeAlias = iso2.StationSettings | iso2.VehicleSettings | iso20.StationSettings | iso20.VehicleSettings


def shown(feature: str, edition: str, *values: str) -> object:
    """A row of docs/judged.md and its case."""
    return pytest.param(edition, *values, marks=pytest.mark.judged(feature, edition=edition))


@dataclass(frozen=True)
class Case:
    """What a session is made of; ``energy`` to be taken and ``back`` to be given, in Wh."""

    edition: str
    current: Current
    control: ControlMode = "scheduled"
    energy: float = 5_000.0
    back: float = 0.0
    operator: StockOperator | None = None
    seconds: float = 7_200.0


@dataclass
class Played:
    """A session that is over, from both sides."""

    session: Session
    journey: Journey
    battery: Battery
    names: Sequence[str]

    @property
    def metered(self) -> tuple[float, float]:
        """Wh into the vehicle and out of it."""
        first, last = self.session.readings[0], self.session.readings[-1]
        return last.imported - first.imported, last.exported - first.exported


def spoken(case: Case, settings: Settings) -> list[Spoken]:
    """One edition, for AC or DC."""
    protocols = (handshake.ISO20_AC if case.current == "AC" else handshake.ISO20_DC,)
    if isinstance(settings, iso2.StationSettings):
        return [iso2_station(settings, os.urandom)]
    if isinstance(settings, iso2.VehicleSettings):
        return [iso2_vehicle(settings)]
    if isinstance(settings, iso20.StationSettings):
        return [iso20_station(settings, os.urandom, protocols)]
    return [iso20_vehicle(settings, protocols)]


def station_of(case: Case, pace: Pace) -> StationSetup:
    limits = limits_of(case.current, 22_000 if case.current == "AC" else 100_000, discharge=20_000)
    offer = offer_of(limits, "DE*ABC*E1", methods=["eim"], priced=True)
    older = case.edition == "iso15118-2"
    settings = iso2.StationSettings(offer) if older else iso20.StationSettings(offer, lab=True)
    stage = Stage(limits, Meter("M-1", imported=1_000.0, exported=2_000.0), facts=StageFacts(isolation_seconds=1.0))
    plugins = StationPlugins(
        offer,
        ListedAuthoriser(ongoing=1),
        SimulatedStage(stage, pace),
        StockTariffs(PRICE),
        case.operator or StockOperator(),
    )
    keys = StationKeys(judge_contract=lambda *_: None)
    return StationSetup(
        lambda: plugins, lambda _: spoken(case, settings), keys, None, CLOCK, lab=True
    )


def vehicle_of(case: Case, pace: Pace) -> tuple[VehicleSetup, Battery]:
    facts = BatteryFacts(
        60_000,
        charging=Curve.level(50_000),
        discharging=Curve.level(10_000 if case.edition == "iso15118-20" else 0),
        charge_efficiency=0.9,
        discharge_efficiency=0.9,
    )
    battery = Battery(facts, 0.5, goals=Goals(minimum_soc=0.2))
    bidirectional = case.back > 0 or case.operator is not None
    inlet = Inlet(case.current, discharge=bidirectional)
    car = SimulatedVehicle(battery, inlet, pace, energy=case.energy, discharge=case.back)
    settings: Settings = iso20.VehicleSettings("WABCDEF", ("eim",), pace=0.01, loop_pace=0.01, lab=True)
    if case.edition == "iso15118-2":
        settings = iso2.VehicleSettings()
    wishes = Wishes(case.current, bidirectional, methods=("eim",), controls=(case.control,), install="never")
    plugins = VehiclePlugins(
        VehicleFacts(bytes(6), "WABCDEF"),
        car,
        MemoryContracts(CLOCK),
        StockConsent(wishes),
        StockPilot(pace, most_seconds=case.seconds),
    )
    keys = VehicleKeys(judge_cps=lambda *_: None)
    return VehicleSetup(plugins, spoken(case, settings), keys, None, CLOCK, lab=True), battery


async def play(case: Case) -> Played:
    ticks = itertools.count()
    pace, sessions = Pace(monotonic=lambda: next(ticks) * STEP, wall=lambda: 0.0), list[Session]()
    over = asyncio.Event()
    names: list[str] = []

    def ended(session: Session) -> None:
        sessions.append(session)
        over.set()

    def told(notice: Notice) -> None:
        if isinstance(notice, Exchanged):
            names.append(notice.name)

    station = Station(station_of(case, pace), ended=ended)
    await station.listen("::1")
    try:
        setup, battery = vehicle_of(case, pace)
        journey = await asyncio.wait_for(travel(setup, station.address, told=told), 60)
        await asyncio.wait_for(over.wait(), 20)
    finally:
        await station.close(grace=0.1)
    return Played(sessions[0], journey, battery, names)


def played(case: Case) -> Played:
    done = asyncio.run(play(case))
    for ending in (done.journey.ending, done.session.ending):
        assert ending is not None
        assert (ending.kind, ending.problem) == ("stopped", None)
    return done


@pytest.mark.parametrize(
    ("edition", "current"),
    [
        shown("AC, the meter against the battery", "iso15118-2", "AC"),
        shown("DC, the meter against the battery", "iso15118-2", "DC"),
        shown("AC, the meter against the battery", "iso15118-20", "AC"),
        shown("DC, the meter against the battery", "iso15118-20", "DC"),
    ],
)
def test_what_the_meter_counts_is_in_the_battery(edition: str, current: Current) -> None:
    done = played(Case(edition, current))
    imported, exported = done.metered
    assert exported == 0
    # a turn of the loop is some simulated seconds
    assert imported == pytest.approx(5_000, abs=400)
    assert done.battery.total.taken == pytest.approx(imported, abs=400)
    assert (done.battery.soc - 0.5) * 60_000 == pytest.approx(done.battery.total.taken * 0.9, abs=1)


@pytest.mark.parametrize(
    ("edition", "current"),
    [shown("AC_BPT, scheduled", "iso15118-20", "AC"), shown("DC_BPT, scheduled", "iso15118-20", "DC")],
)
def test_energy_goes_back_and_the_meter_sees_it(edition: str, current: Current) -> None:
    done = played(Case(edition, current, back=1_500.0))
    imported, exported = done.metered
    assert exported == pytest.approx(1_500, abs=200)
    assert done.battery.total.given == pytest.approx(exported, abs=200)
    assert imported == pytest.approx(5_000, abs=400)


@pytest.mark.parametrize(
    ("edition", "current"),
    [shown("AC_BPT, dynamic", "iso15118-20", "AC"), shown("DC_BPT, dynamic", "iso15118-20", "DC")],
)
def test_in_dynamic_control_the_station_decides(edition: str, current: Current) -> None:
    """8 kW out of the vehicle, whatever it would take: half an hour of it is 4 kWh."""
    operator = StockOperator(power=-8_000)
    done = played(Case(edition, current, "dynamic", operator=operator, seconds=1_800))
    imported, exported = done.metered
    assert exported == pytest.approx(4_000, abs=400)
    # AC: what the vehicle takes in its first turn, before it hears a target
    assert imported < 100
    assert done.battery.total.given == pytest.approx(exported, abs=200)


@pytest.mark.parametrize(
    ("edition", "wish", "message"),
    [
        shown("renegotiation of the schedule", "iso15118-2", "renegotiate_schedule", "ChargeParameterDiscoveryReq"),
        shown("renegotiation of the schedule", "iso15118-20", "renegotiate_schedule", "ScheduleExchangeReq"),
        shown("renegotiation of the service", "iso15118-20", "renegotiate_service", "ServiceDiscoveryReq"),
    ],
)
def test_an_operator_renegotiates(edition: str, wish: Notification, message: str) -> None:
    """The vehicle asks once more, and charging goes on to its end."""
    operator = StockOperator(plan=[Planned(0.0, wish, 5)])
    done = played(Case(edition, "DC", energy=20_000, operator=operator))
    assert done.names.count(message) >= 2
    assert done.metered[0] == pytest.approx(20_000, abs=400)


def test_an_operator_bounds_the_power() -> None:
    """4 kW of what could be 11: 2 kWh in half an hour."""
    done = played(Case("iso15118-2", "AC", energy=50_000, operator=StockOperator(power=4_000), seconds=1_800))
    assert done.metered[0] == pytest.approx(2_000, abs=200)
