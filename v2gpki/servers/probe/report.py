"""What a probe has found, as rows: what was looked at, what was found, and how that stands beside the standard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Standing = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. ``found`` is one text or several; ``note`` says what is wrong or worth knowing, ``clause`` why."""

    area: str
    what: str
    found: str | tuple[str, ...]
    standing: Standing = "info"
    note: str = ""
    clause: str = ""

    @property
    def text(self) -> str:
        """What was found, on one line."""
        return self.found if isinstance(self.found, str) else ", ".join(self.found) or "none"


@dataclass(slots=True)
class Report:
    """All rows of a probe. ``target`` is who was looked at."""

    kind: Literal["secc", "evcc"]
    target: str
    rows: list[Row] = field(default_factory=list)
    #: Chains as they were shown (DER, leaf first), by where.
    chains: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def add(
        self,
        area: str,
        what: str,
        found: str | Sequence[str],
        standing: Standing = "info",
        note: str = "",
        *,
        clause: str = "",
    ) -> None:
        """One more row."""
        value = found if isinstance(found, str) else tuple(found)
        self.rows.append(Row(area, what, value, standing, note, clause))

    def count(self, standing: Standing) -> int:
        """How many rows stand so."""
        return sum(row.standing == standing for row in self.rows)


def report_value(report: Report) -> dict[str, object]:
    """The report as one JSON object (`v2gpki/probe/1`)."""
    return {
        "schema": "v2gpki/probe/1",
        "kind": report.kind,
        "target": report.target,
        "passed": not report.count("error"),
        "errors": report.count("error"),
        "warnings_found": report.count("warning"),
        "rows": [
            {
                "area": row.area,
                "what": row.what,
                "found": list(row.found) if isinstance(row.found, tuple) else row.found,
                "standing": row.standing,
                "note": row.note,
                "clause": row.clause,
            }
            for row in report.rows
        ],
        "chains": {where: [der.hex() for der in chain] for where, chain in report.chains.items()},
    }
