"""A pace whose time is moved by the test."""

from __future__ import annotations

from v2gpki.servers.pace import Pace


class Time:
    """Monotonic seconds that stand until they are moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(factor: float = 1.0) -> tuple[Pace, Time]:
    """A pace that begins at Unix time 1_000, and its time."""
    time = Time()
    return Pace(factor, monotonic=time, wall=lambda: 1_000.0), time
