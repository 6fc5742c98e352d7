"""An outlet as one session uses it: contactors are open when it is over, and another session's are left alone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from v2gpki.errors import V2GPKIError
from v2gpki.servers.in_thread import in_thread
from v2gpki.servers.secc.outlet import Outlet, PausedSessions
from v2gpki.servers.secc.plugins import PowerStage
from v2gpki.session import questions as q


@dataclass
class Contactors:
    """Contactors that close in a thread, when they are let; ``opens`` is what opening raises."""

    let: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    opened: int = 0
    opens: Exception | None = None

    def _close(self) -> None:
        self.began.set()
        assert self.let.wait(20)
        self.closed = True

    async def close(self) -> None:
        await in_thread(self._close)()

    async def open(self) -> None:
        self.opened += 1
        if self.opens is not None:
            raise self.opens
        self.closed = False


def outlet(contactors: Contactors) -> Outlet:
    return Outlet(cast(PowerStage, contactors))  # nothing else of a stage is reached


def test_contactors_that_close_after_the_session_has_ended_are_opened_again() -> None:
    """Closing runs in a thread: who no longer waits for it cannot stop it."""
    contactors = Contactors()

    async def scene() -> None:
        used = outlet(contactors)
        closing = asyncio.ensure_future(used.switch(contactors.close))
        await asyncio.to_thread(contactors.began.wait, 20)
        closing.cancel()
        await asyncio.wait([closing])
        releasing = asyncio.ensure_future(used.release())
        # Opened at once, whatever the thread does.
        while not contactors.opened:
            await asyncio.sleep(0)
        contactors.let.set()
        await asyncio.wait_for(releasing, 20)

    asyncio.run(scene())
    assert not contactors.closed
    assert contactors.opened == 2


def test_a_session_that_did_not_reach_the_stage_leaves_it_alone() -> None:
    """Whoever connects and says nothing of sense must not open the contactors of the vehicle that charges."""
    contactors = Contactors(closed=True)
    asyncio.run(outlet(contactors).release())
    assert (contactors.closed, contactors.opened) == (True, 0)


@pytest.mark.parametrize("problem", [V2GPKIError("station.contactor", "they stick"), KeyError("a plug-in's")])
def test_contactors_that_do_not_open_are_told_and_stop_nothing(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    contactors = Contactors(opens=problem)
    used = outlet(contactors)
    used.reached()
    asyncio.run(used.release())
    assert contactors.opened == 1
    assert [record.getMessage() for record in caplog.records] == ["the outlet may not be open"]


def test_a_paused_session_is_taken_once() -> None:
    """Else it would authorise whoever knows it for ever, long after it was stopped."""
    kept, paused = PausedSessions(), q.Paused(b"12345678", "iso15118-20")
    kept.keep(paused)
    assert kept.take(paused.session_id, "iso15118-2") is None
    assert kept.take(paused.session_id, "iso15118-20") is paused
    assert kept.take(paused.session_id, "iso15118-20") is None
    kept.keep(replace(paused, emaid="DEABCC123ABC56"))
    found = kept.take(paused.session_id, "iso15118-20")
    assert found is not None
    assert found.emaid == "DEABCC123ABC56"
