"""An outlet as one session uses it: what the session began there ends with it, and nothing of another session.

A plug-in that runs in a thread goes on when nobody waits any more. So what was begun is waited for before anything else
is switched, and contactors that closed too late are opened again. A session that never reached the power stage leaves
it alone: whoever else is charging there goes on. Clauses: ISO 15118-2 8.4.3.9, ISO 15118-20 8.3.4.4.6.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from v2gpki.servers.secc.plugins import PowerStage
from v2gpki.session import questions as q

T = TypeVar("T")
_LOG = logging.getLogger("v2gpki.secc")
#: Seconds for contactors to open at the end of a session.
_OPENS_WITHIN = 10.0


class Outlet:
    """``stage`` for one session."""

    def __init__(self, stage: PowerStage) -> None:
        self.stage = stage
        self._reached = False
        self._begun: asyncio.Future[Any] | None = None  # Any: whatever it gives

    def reached(self) -> PowerStage:
        """The stage, which is to be left open when the session ends."""
        self._reached = True
        return self.stage

    async def switch(self, call: Callable[[], Awaitable[T]]) -> T:
        """Do something to contactors or voltage, once what was begun before is done."""
        self._reached = True
        if self._begun is not None:
            await asyncio.wait([self._begun])
        begun: asyncio.Future[T] = asyncio.ensure_future(call())
        self._begun = begun
        return await asyncio.shield(begun)

    async def release(self) -> None:
        """The session is over, however: no current, open contactors. Raises nothing; the log has what failed."""
        if not self._reached:
            return
        self._reached = False
        await self._open()
        begun, self._begun = self._begun, None
        if begun is None:
            return
        if not begun.done():
            await asyncio.wait([begun], timeout=_OPENS_WITHIN)
            begun.cancel()
            await self._open()
        if begun.done() and not begun.cancelled():
            # Whoever waited for it has heard; a late one's error is nobody's to catch.
            begun.exception()

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(_OPENS_WITHIN):
                await self.stage.open()
        except Exception:  # noqa: BLE001  # the border to a plug-in, at the end of a session
            _LOG.error("the outlet may not be open", exc_info=True)


class PausedSessions:
    """What an outlet keeps of sessions that paused: the newest ``most`` of them, in memory. Whether the vehicle that
    asks may go on with one is the engine's to judge; what it does not use it gives back.

    What is taken is gone: a session that was joined and ended authorises nobody any more."""

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, q.Paused] = OrderedDict()

    def keep(self, paused: q.Paused) -> None:
        """Remember one, and forget the oldest if there are too many."""
        self._kept[paused.session_id] = paused
        self._kept.move_to_end(paused.session_id)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def take(self, session_id: bytes, edition: str) -> q.Paused | None:
        """The session with this id, None when there is none of this edition."""
        found = self._kept.get(session_id)
        if found is None or found.edition != edition:
            return None
        return self._kept.pop(session_id)
