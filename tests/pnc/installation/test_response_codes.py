"""Every error that has a word for the vehicle, by a table with reasons that was written without the code's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from v2gpki.errors import CODES, V2GPKIError
from v2gpki.pnc.installation import response_code

ROWS = tomllib.loads(Path(__file__).with_name("response_codes.toml").read_text("utf-8"))["row"]
PAIRS = [(code, row) for row in ROWS for code in row["codes"]]


@pytest.mark.parametrize(("code", "row"), PAIRS, ids=[code for code, _ in PAIRS])
def test_the_vehicle_hears(code: str, row: dict[str, str]) -> None:
    problem = V2GPKIError(code, "a test")
    assert response_code(problem, "iso15118-2", "install") == row["iso2"]
    assert response_code(problem, "iso15118-2", "update") == row.get("update", row["iso2"])
    assert response_code(problem, "iso15118-20", "install") == row["iso20"]


def test_each_code_with_a_word_stands_in_one_row() -> None:
    named = sorted(code for code, _ in PAIRS)
    assert named == sorted(code for code, outcome in CODES.items() if outcome.iso2 or outcome.iso20)


@pytest.mark.parametrize("code", ["exi.truncated", "installation.wrong_schema", "cps.none", "issuing.wrong_issuer"])
def test_what_has_no_word_is_failed(code: str) -> None:
    problem = V2GPKIError(code, "a test")
    assert {response_code(problem, edition) for edition in ("iso15118-2", "iso15118-20")} == {"FAILED"}
