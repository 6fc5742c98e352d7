"""A session that was paused and is joined again: who pays is known from before, and nobody is asked anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from v2gpki.clock import FixedClock
from v2gpki.energy import Needs, Reading, Receipt, SchedulesGiven, StageLimits, VehicleLimits
from v2gpki.energy.meter import Meter
from v2gpki.energy.stage import Stage
from v2gpki.profile.load import Catalogue
from v2gpki.servers.secc.answers import StationAnswers
from v2gpki.servers.secc.credentials import station_keys
from v2gpki.servers.secc.defaults import ListedAuthoriser, SimulatedStage, StockOperator, offer_of
from v2gpki.servers.secc.outlet import PausedSessions
from v2gpki.servers.secc.plugins import ScheduleAsked, StationPlugins
from v2gpki.session import questions as q
from v2gpki.session.notices import Agreed, Established
from v2gpki.wiring.credentials import Roots, StationCredentials

LIMITS = StageLimits("AC", 11_000, 230, 16)
SESSION = bytes.fromhex("0102030405060708")
PAUSED = q.Paused(SESSION, "iso15118-20", "WMIV2G001", "pnc", "DEABCC12345678")
SCHEDULES = q.SchedulesQuestion("scheduled", LIMITS, VehicleLimits("AC", 11_000, 230, 16), Needs(1_000, 2_000))


class Asked:
    """Tariffs that remember who they were for."""

    def __init__(self) -> None:
        self.schedules_for: list[ScheduleAsked] = []

    async def schedules(self, asked: ScheduleAsked) -> SchedulesGiven:
        self.schedules_for.append(asked)
        return SchedulesGiven("ongoing")

    async def receipt(self, session_id: bytes, readings: tuple[Reading, ...]) -> Receipt | None:
        return None


def scene(*, resumed: bool) -> ScheduleAsked:
    tariffs = Asked()
    plugins = StationPlugins(
        offer_of(LIMITS, "DE*ABC*E1"),
        ListedAuthoriser(),
        SimulatedStage(Stage(LIMITS, Meter("M"))),
        tariffs,
        StockOperator(),
    )
    kept = PausedSessions()
    kept.keep(PAUSED)
    keys = station_keys(StationCredentials(Roots()), catalogue=Catalogue())
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    answers = StationAnswers(plugins, keys, clock, secured=None, evse_id="DE*ABC*E1", paused=kept)

    async def session() -> None:
        await answers.told(Agreed(0.0, "namespace", "iso15118-20"))
        found = answers.answers[q.PausedQuestion](q.PausedQuestion(SESSION, "iso15118-20"))
        assert found == PAUSED
        await answers.told(Established(0.0, SESSION, "WMIV2G001", resumed))
        asked = answers.answers[q.SchedulesQuestion](SCHEDULES)
        assert asyncio.iscoroutine(asked)
        await asked

    asyncio.run(session())
    return tariffs.schedules_for[0]


@pytest.mark.parametrize(
    ("resumed", "wanted"), [(True, ("pnc", "DEABCC12345678", SESSION)), (False, ("eim", "", SESSION))]
)
def test_who_pays_in_a_joined_session(resumed: bool, wanted: tuple[str, str, bytes]) -> None:
    asked = scene(resumed=resumed)
    assert (asked.method, asked.emaid, asked.session_id) == wanted
