"""``v2gpki probe``: looking at real stations and vehicles."""

from __future__ import annotations

import click


@click.group()
def probe() -> None:
    """Look at real stations and vehicles from the other side."""
