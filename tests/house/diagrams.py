"""Draws the state diagrams of the docs from the flow tables: ``python -m tests.house.diagrams`` writes them anew."""

from __future__ import annotations

from pathlib import Path

from tests.house.tree import ROOT
from v2gpki.render.flow import flow_svg
from v2gpki.session.flow import Flow
from v2gpki.session.iso2.flow import FLOW as ISO2
from v2gpki.session.iso20.flow import FLOW as ISO20

#: File in docs/, title and table of each picture.
DIAGRAMS: dict[str, tuple[str, Flow]] = {
    "session-iso2.svg": ("A session of ISO 15118-2", ISO2),
    "session-iso20.svg": ("A session of ISO 15118-20", ISO20),
}
SUBTITLE = "states, and the requests that may come in each"


def drawn() -> dict[Path, str]:
    """Every picture, by its file."""
    return {
        ROOT / "docs" / name: flow_svg(flow, title=title, subtitle=SUBTITLE) for name, (title, flow) in DIAGRAMS.items()
    }


if __name__ == "__main__":
    for file, picture in drawn().items():
        file.write_text(picture, encoding="utf-8")
