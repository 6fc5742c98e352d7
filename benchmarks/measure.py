"""Measuring for the benchmarks: medians of repeated runs, CPU or wall, and one form of table."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table: our figure, and what stands beside it from the same run."""

    what: str
    figure: str
    beside: str = ""


def cpu_us(action: Callable[[], object], *, units: int, rounds: int = 7) -> float:
    """Median CPU microseconds per unit of an action that does ``units`` units, after one warm-up."""
    action()
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        spent.append((time.process_time() - start) / units * 1e6)
    return statistics.median(spent)


def wall_us(action: Callable[[], object], *, rounds: int = 25) -> float:
    """Median wall microseconds of one call, after one warm-up."""
    action()
    spent = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        spent.append((time.perf_counter() - start) * 1e6)
    return statistics.median(spent)


def process_s(command: Sequence[str], prepare: Callable[[], object], *, rounds: int = 5, **options: object) -> float:
    """Median wall seconds of a whole process; ``prepare`` runs before each, unmeasured."""
    spent = []
    for _ in range(rounds + 1):
        prepare()
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, **options)  # type: ignore[call-overload]  # passed on
        spent.append(time.perf_counter() - start)
    return statistics.median(spent[1:])


def table(title: str, rows: Sequence[Row]) -> None:
    """Print the rows in three columns."""
    print(f"\n{title}")
    widths = [max(len(getattr(row, name)) for row in rows) for name in ("what", "figure")]
    for row in rows:
        print(f"  {row.what:<{widths[0]}}  {row.figure:>{widths[1]}}  {row.beside}".rstrip())
