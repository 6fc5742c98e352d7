"""The report that the rules write into, and the severity of each code.

A rule says code, message, place and clause; the severity stands in ``profiles/findings.toml`` alone,
which is read when the first finding occurs, so that linting a clean certificate costs no file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from v2gpki.errors import FactValue, Finding, Severity, V2GPKIError
from v2gpki.profile.load import built_in_folder

_RANK: Mapping[str, int] = {"error": 0, "warning": 1, "info": 2}

_Note: TypeAlias = tuple[str, str, str, str, Mapping[str, FactValue]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means: its severity, a title, why the rule exists, and what to do about it."""

    code: str
    severity: Severity
    title: str
    why: str
    action: str


@dataclass(slots=True)
class Report:
    """Collects what the rules find; ``findings`` gives it sorted."""

    notes: list[_Note] = field(default_factory=list)

    def add(self, code: str, message: str, where: str, clause: str, **facts: FactValue) -> None:
        """Note one finding: ``where`` in the words of X.509 (``subject.CN``), ``clause`` the rule's source."""
        self.notes.append((code, message, where, clause, facts))

    def findings(self) -> tuple[Finding, ...]:
        """Everything noted: errors first, then warnings, then infos; inside by code, place and message."""
        if not self.notes:
            return ()
        table = explanations()
        found = (
            Finding(code, table[code].severity, message, clause=clause, where=where, facts=facts)
            for code, message, where, clause, facts in self.notes
        )
        return sort(found)


def sort(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then infos; inside by code, place and message."""
    return tuple(sorted(findings, key=lambda found: (_RANK[found.severity], found.code, found.where, found.message)))


@lru_cache(maxsize=1)
def explanations() -> Mapping[str, Explanation]:
    """Every finding code with its explanation.

    A damaged installation raises ``file.unreadable`` or ``profile.not_installed``.
    """
    path = built_in_folder() / "findings.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise V2GPKIError(
            "file.unreadable",
            f"{path}: the table of finding codes cannot be read ({problem})",
            hint="install v2gpki again",
            facts={"path": str(path)},
        ) from problem
    return {
        code: Explanation(code, row["severity"], row["title"], row["why"], row["action"])
        for code, row in tables.items()
    }
