"""``v2gpki tree``: the hierarchy of a home as text, JSON or an SVG picture."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.files import write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import at_option, force_option

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "dim": "dim",
    "edition": "bold underline",
    "title": "bold",
    "branch:v2g": "magenta",
    "branch:cpo": "blue",
    "branch:cps": "cyan",
    "branch:mo": "yellow",
    "branch:oem": "bright_magenta",
    "standing:valid": "green",
    "standing:expiring": "yellow",
    "standing:expired": "red",
    "standing:revoked": "bold red",
    "standing:not_yet_valid": "blue",
    "standing:retired": "dim",
    "standing:abandoned": "dim",
}


@click.command()
@click.option("--edition", default="", metavar="EDITION", help="Only this edition.")
@click.option("--leaves", is_flag=True, help="Show the end-entity certificates too, not only their number.")
@click.option(
    "--svg", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE", help='Write a picture ("-": stdout).'
)
@at_option
@force_option
@click.pass_obj
def tree(frame: Frame, *, edition: str, leaves: bool, svg: Path | None, at: datetime | None, force: bool) -> None:
    """Show who signed whom, until when, and in which state, as of --at."""
    from v2gpki.render.tree import tree_lines
    from v2gpki.services.browsing import forest, tree_value

    authority = frame.authority()
    moment = frame.now(at)
    roots = forest(authority.store, authority.catalogue, edition=edition, leaves=leaves)
    if svg is not None:
        from v2gpki.render.svg import tree_svg

        title = f"{authority.store.setting('org') or 'Plug & Charge'} PKI"
        write_output(svg, tree_svg(roots, at=moment, title=title).encode(), force=force)
        if str(svg) == "-":
            return
    value = tree_value(roots, moment)
    if svg is not None:
        value["svg"] = svg

    def human(console: Console) -> None:
        from rich.text import Text

        if svg is not None:
            console.print(f"wrote {svg}")
            return
        if not roots:
            console.print("this home has no authority yet; v2gpki init creates a whole ecosystem")
        for line in tree_lines(roots, at=moment):
            spans = ((span.text, STYLES.get(span.meaning, "")) for span in line)
            console.print(Text.assemble(*spans), no_wrap=True, overflow="ignore", crop=False)

    frame.emit(value, human)
