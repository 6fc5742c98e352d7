"""Lists of records as people read them: columns under titles, nothing cut off, foreign text made safe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def print_table(
    console: Console, titles: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str = "", right: str = ""
) -> None:
    """Print rows of texts; ``nothing`` is said instead when there are none, ``right`` is a column of numbers."""
    from rich.table import Table

    from v2gpki.render.text import printable

    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold", justify="right" if title == right else "left")
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table if table.row_count or not nothing else nothing)
