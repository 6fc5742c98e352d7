"""docs/judged.md: what of a session is shown by tests, and who judges it; made of the `judged` marks on the tests.

Run as a program it writes the page anew: `.venv/bin/python -m tests.house.judged`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "judged.md"
#: Who judges, the strictest first: a stack that nobody here wrote, another implementation of a part, ourselves.
_OURSELVES = "ourselves"
_HEAD = """# What is judged by whom

Every row is shown by at least one test that `make test` or `make interop` runs. *EcoG's SECC* and *EcoG's EVCC* are the
programs of PyPI's `iso15118`, unchanged; *OpenSSL* is its command line; *ourselves* means that both ends are ours, so
that a mistake which both make would not be seen. The table is made of the marks on the tests:
`.venv/bin/python -m tests.house.judged` writes it anew, and a test keeps it current.

| feature | edition | judged by | tests |
|---|---|---|---|
"""
#: Nothing of our usual settings, and nothing said.
_QUIET = ("--collect-only", "-o", "addopts=--strict-markers", "-p", "no:terminal", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One feature of one edition, one judge."""

    edition: str
    feature: str
    by: str


@dataclass
class Collector:
    """A plug-in of pytest that notes the marks of everything that is collected."""

    found: dict[Row, int] = field(default_factory=dict)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Count."""
        for item in items:
            for mark in item.iter_markers("judged"):
                row = Row(mark.kwargs["edition"], mark.args[0], mark.kwargs.get("by", _OURSELVES))
                self.found[row] = self.found.get(row, 0) + 1


def page(found: dict[Row, int]) -> str:
    """The page."""
    return _HEAD + "".join(_lines(found))


def collected(folders: Iterable[str] = ("tests",)) -> dict[Row, int]:
    """The rows of all tests; nothing is run."""
    collector = Collector()
    pytest.main([*_QUIET, *(str(ROOT / one) for one in folders)], plugins=[collector])
    return collector.found


def _lines(found: dict[Row, int]) -> Iterable[str]:
    for row in sorted(found):
        yield f"| {row.feature} | {row.edition} | {row.by} | {found[row]} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(collected()), "utf-8")
    print(PAGE.relative_to(ROOT))
