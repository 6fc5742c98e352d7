"""What the audit log said last of each record, and whether the tables say the same. One digest is held for each record,
never the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from v2gpki.store.records import AuditRow

#: What an action says of which kind of record.
Says: TypeAlias = Mapping[str, tuple[str, Literal["new", "changed", "gone"]]]


class LastSaid:
    """Rows of the log, taken in order, against what is stored; ``says`` is what each action means."""

    def __init__(self, says: Says) -> None:
        self._says = says
        self._digests: dict[tuple[str, str], str] = {}
        self._duplicates: list[tuple[str, str]] = []

    def take(self, row: AuditRow) -> None:
        """The next row of the log, whatever it speaks of."""
        if row.action not in self._says:
            return
        kind, what = self._says[row.action]
        name = (kind, row.target)
        if what == "gone":
            self._digests.pop(name, None)
            return
        if what == "new" and name in self._digests:
            self._duplicates.append(name)
        self._digests[name] = field_of(row.details, "record")

    def put(self, kind: str, target: str, said: str) -> None:
        """What was said of a record in another way."""
        self._digests[kind, target] = said

    def differences(self, stored: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
        """(code, kind, target) of each difference to what is stored (kind, target, digest), at the log's end."""
        for kind, target in self._duplicates:
            yield "audit.duplicate", kind, target
        for kind, target, digest in stored:
            logged = self._digests.pop((kind, target), None)
            if logged is None:
                yield "audit.unlogged", kind, target
            elif logged != digest:
                yield "audit.changed", kind, target
        for kind, target in self._digests:
            yield "audit.missing", kind, target


def field_of(details: str, name: str) -> str:
    """A field of a row's details; "" when somebody put something else there, which the chain shows."""
    try:
        said = json.loads(details)
    except ValueError:
        return ""
    return str(said.get(name, "")) if isinstance(said, dict) else ""
