"""A vehicle that stands by is given nothing and takes nothing back, whatever the operator has in mind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from v2gpki.clock import FixedClock
from v2gpki.energy import Setpoint, StageLimits
from v2gpki.energy.meter import Meter
from v2gpki.energy.stage import Stage
from v2gpki.profile.load import Catalogue
from v2gpki.servers.secc.answers import StationAnswers
from v2gpki.servers.secc.credentials import station_keys
from v2gpki.servers.secc.defaults import ListedAuthoriser, SimulatedStage, StockOperator, StockTariffs, offer_of
from v2gpki.servers.secc.plugins import StationPlugins
from v2gpki.session import questions as q
from v2gpki.wiring.credentials import Roots, StationCredentials

LIMITS = StageLimits("DC", 50_000, 500, 200, max_discharge_power=20_000, max_discharge_current=100)


@pytest.mark.parametrize(("granted", "flows"), [(0.0, 0.0), (None, -5_000.0)])
def test_nothing_flows(granted: float | None, flows: float) -> None:
    stage = Stage(LIMITS, Meter("M"))
    plugins = StationPlugins(
        offer_of(LIMITS, "DE*ABC*E1"),
        ListedAuthoriser(),
        SimulatedStage(stage),
        StockTariffs(),
        StockOperator(power=-5_000.0),
    )
    keys = station_keys(StationCredentials(Roots()), catalogue=Catalogue())
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    answers = StationAnswers(plugins, keys, clock, secured=None, evse_id="DE*ABC*E1")

    async def turn() -> None:
        stage.check_isolation()
        closed = answers.answers[q.ContactorQuestion](q.ContactorQuestion(closed=True))
        assert asyncio.iscoroutine(closed)
        await closed
        question = q.PowerQuestion(Setpoint(0.0, 400.0, 0.0), "dynamic", granted=granted)
        asked = answers.answers[q.PowerQuestion](question)
        assert asyncio.iscoroutine(asked)
        delivery = await asked
        assert isinstance(delivery, q.Delivery)
        assert delivery.present.power == pytest.approx(flows)
        idle = answers.answers[q.IdleQuestion](q.IdleQuestion())
        assert asyncio.iscoroutine(idle)
        await idle
        assert (stage.present().power, stage.closed) == (0.0, True)

    asyncio.run(turn())
