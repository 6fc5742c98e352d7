"""The table of who judges what is the one that the marks on the tests make."""

from __future__ import annotations

import subprocess
import sys

from tests.house.judged import PAGE, ROOT, Row, page

_PROGRAM = "from tests.house.judged import collected, page; import sys; sys.stdout.write(page(collected()))"


def test_the_page_is_current() -> None:
    # In a process of its own: pytest does not collect within a run.
    made = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert made.stdout == PAGE.read_text("utf-8"), "run .venv/bin/python -m tests.house.judged"


def test_a_row_says_feature_edition_judge_and_how_many() -> None:
    rows = {Row("iso15118-2", "AC, EIM", "EcoG's SECC"): 2, Row("iso15118-20", "DC", "ourselves"): 1}
    assert page(rows).splitlines()[-2:] == [
        "| AC, EIM | iso15118-2 | EcoG's SECC | 2 |",
        "| DC | iso15118-20 | ourselves | 1 |",
    ]
