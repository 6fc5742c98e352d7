"""Time for a simulated station or vehicle: as the clocks have it, or a factor faster."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Seconds since it was made, and the Unix time that goes with them; both ``factor`` times as fast as the clocks.

    Timers of a session are not meant: they run by the wall. Meter and battery share one.
    """

    def __init__(
        self,
        factor: float = 1.0,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.factor = factor
        self._monotonic = monotonic
        self._origin = monotonic()
        self._wall = wall()

    def seconds(self) -> float:
        """Simulated seconds since the beginning; never backwards."""
        return (self._monotonic() - self._origin) * self.factor

    def unix(self) -> int:
        """The simulated Unix time."""
        return int(self._wall + self.seconds())
