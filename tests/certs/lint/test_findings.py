"""The table of codes and the code agree, both ways."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import v2gpki.certs.lint as package
from v2gpki.certs.lint import explanations

CODE = re.compile(r"lint\.[a-z_]+\.[a-z_]+")


def codes_in_source() -> set[str]:
    found = set()
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.add(node.value)
    return found


def test_every_code_is_explained_and_every_explanation_used() -> None:
    assert codes_in_source() == {code for code in explanations() if code.startswith("lint.")}


def test_codes_are_never_put_together() -> None:
    """Codes stand as whole literals, so that the scan above sees them all."""
    for path in Path(package.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
                assert not any(str(text).startswith("lint.") for text in texts), f"{path.name}:{node.lineno}"


def test_explanations_are_complete_sentences() -> None:
    for code, row in explanations().items():
        assert row.severity in {"error", "warning", "info"}, code
        assert row.title, code
        assert not row.title.endswith("."), code
        assert row.why.endswith("."), code
        assert row.action.endswith("."), code
