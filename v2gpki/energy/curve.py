"""A curve through points, straight between them and level beyond them: charging power or voltage over state of
charge.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from v2gpki.errors import V2GPKIError


@dataclass(frozen=True, slots=True, init=False)
class Curve:
    """y over x, by points whose x rise; one point is a level line."""

    points: tuple[tuple[float, float], ...]

    def __init__(self, points: Iterable[tuple[float, float]]) -> None:
        """``points`` as (x, y). Raises ``energy.invalid`` when there are none, x do not rise, or y is below 0."""
        found = tuple((float(x), float(y)) for x, y in points)
        rising = all(one[0] < other[0] for one, other in pairwise(found))
        if not found or not rising or not all(math.isfinite(x) and math.isfinite(y) and y >= 0 for x, y in found):
            raise V2GPKIError(
                "energy.invalid",
                f"this is no curve: {list(found)[:6]}",
                hint="points as (x, y), at least one, x rising, y not below 0",
            )
        object.__setattr__(self, "points", found)

    @classmethod
    def level(cls, value: float) -> Curve:
        """The same value everywhere."""
        return cls([(0.0, value)])

    def at(self, x: float) -> float:
        """The value at x."""
        after = bisect_right(self.points, x, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (x0, y0), (x1, y1) = self.points[after - 1], self.points[after]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)

    @property
    def highest(self) -> float:
        """The largest value."""
        return max(y for _, y in self.points)
