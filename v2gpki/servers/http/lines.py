"""The access log: a line for each request that says who asked what and how it ended, and no flood of them.

Nothing of a request's query, headers and body is in a line: they may hold secrets. A line costs its sender nothing, so
of requests of one kind (part, status, reason) without a caller there are so many lines in five seconds and no more; the
others are counted, and summed up in one line. Whoever shows a good credential has a line for each request. With
``refusals`` alone, what went well or was merely wrong has none: only who was refused for who it is, and what failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from v2gpki.servers.http.exchange import Scope

_ACCESS = logging.getLogger("v2gpki.access")

#: Lines of one kind in so many seconds.
MOST, SECONDS = 20, 5.0
#: What a line may hold of a path.
_SHOWN = 200
#: Refusals of who asks: no credential that is good, not good for this, too many requests.
_OF_WHO = frozenset({401, 403, 429})


class LeftOut(Protocol):
    """Is told of a line that was left out; see ``TurnedAway.note``."""

    def __call__(self, event: str, client: str, **about: str) -> None:
        """``about`` says what kind of line it would have been."""
        ...


def unheard(event: str, client: str, **about: str) -> None:
    """Nobody counts."""


class Lines:
    """Which requests get a line, in one process; used on its event loop."""

    def __init__(
        self, *, refusals: bool = False, left_out: LeftOut = unheard, clock: Callable[[], float] = monotonic
    ) -> None:
        """``refusals``: see above. ``clock`` gives monotonic seconds."""
        self._refusals = refusals
        self._left_out = left_out
        self._clock = clock
        self._written: dict[tuple[str, ...], int] = {}
        self._until = 0.0

    def may(self, client: str, **kind: str) -> bool:
        """Whether there may be one more line of a kind now; when not, it is counted."""
        now = self._clock()
        if now >= self._until:
            self._written.clear()
            self._until = now + SECONDS
        key = tuple(kind.values())
        written = self._written[key] = self._written.get(key, 0) + 1
        if written > MOST:
            self._left_out("unlogged", client, **kind)
        return written <= MOST

    def request(self, scope: Scope, part: str, status: int, seconds: float) -> None:
        """The line of a request, if it gets one; of a refused one with the reason's code."""
        if self._refusals and status < 500 and status not in _OF_WHO:
            return
        client = (scope.get("client") or ("", 0))[0]
        state = scope.get("state") or {}
        code = state.get("code", "") if status >= 400 else ""
        caller = state.get("caller", "")
        if not caller and not self.may(client, part=part, status=str(status), refused=code):
            return
        _ACCESS.info(
            "request",
            extra={
                "request_id": state.get("request_id", ""),
                "part": part,
                "method": str(scope["method"])[:16],
                "path": str(scope["path"])[:_SHOWN],
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
                "client": client,
                "caller": caller,
                "code": code,
            },
        )
