"""Every code that the package raises or reports has its row, and every row is used.

Errors have a row in ``errors.CODES``; findings of the linter one in ``profiles/findings.toml``. The package is read
as syntax: a code handed through a helper function is still a literal somewhere, recognised by its first word.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, ROOT, sources
from v2gpki.errors import CODES
from v2gpki.store.records import STORE_ACTIONS

_SHAPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
#: Ends of file names and of module names, which have the shape of a code.
_OTHER = re.compile(r".*\.(pem|der|toml|json|db|crt|crl|csr|key|p12|svg|tmp|py|xml|md|txt|html|p7b)")
_TABLE = PACKAGE / "errors.py"
#: Literals with the shape and first word of a code that are none, with the reason.
NO_CODES: dict[str, str] = {
    "identifier.kinds": "a key of the profiles",
}


def finding_codes() -> set[str]:
    table = tomllib.loads((ROOT / "profiles" / "findings.toml").read_text(encoding="utf-8"))
    return {str(code) for code in _rows(table)}


def _rows(table: dict[str, object], before: str = "") -> Iterator[str]:
    for name, value in table.items():
        code = f"{before}.{name}" if before else name
        if isinstance(value, dict) and not any(isinstance(inner, str) for inner in value.values()):
            yield from _rows(value, code)
        elif isinstance(value, dict):
            yield code


def literals(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@lru_cache(maxsize=1)
def audit_actions() -> set[str]:
    """What the audit log calls its events: the same shape, but no code."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources()]
    actions = [action for tree in trees for action in raised(tree, ("AuditEvent",))]
    return {str(action.value) for action in actions if isinstance(action, ast.Constant)} | set(STORE_ACTIONS)


def raised(tree: ast.AST, names: tuple[str, ...]) -> Iterator[ast.expr]:
    """The code argument of each call of these names."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called in names:
            by_name = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            yield from by_name or node.args[:1]


def rowless(path: Path, errors: set[str], findings: set[str]) -> list[str]:
    """What is wrong with the codes of one file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = []
    for names, rows in ((("V2GPKIError",), errors), (("Finding",), errors | findings)):
        for code in raised(tree, names):
            if isinstance(code, ast.Constant) and code.value not in rows:
                wrong.append(f"{path.name}:{code.lineno}: {code.value!r} has no row")
            elif isinstance(code, ast.JoinedStr | ast.BinOp):
                wrong.append(f"{path.name}:{code.lineno}: a code is put together; write it out to be found")
    rooms = {code.split(".")[0] for code in errors | findings}
    for line, text in literals(path):
        shaped = _SHAPE.fullmatch(text) and text.split(".")[0] in rooms and not _OTHER.fullmatch(text)
        if shaped and text not in errors | findings | NO_CODES.keys() | audit_actions():
            wrong.append(f"{path.name}:{line}: {text!r} looks like a code and has no row")
    return sorted(set(wrong))


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_code_has_a_row(path: Path) -> None:
    wrong = rowless(path, set(CODES), finding_codes())
    assert not wrong, "\n".join(wrong)


def test_every_row_is_used() -> None:
    used = {text for path in sources() if path != _TABLE for _, text in literals(path)}
    docstrings_apart = {text for text in used if _SHAPE.fullmatch(text) or text in CODES}
    assert sorted(set(CODES) - docstrings_apart) == [], "rows of errors.CODES that nothing raises"
    assert sorted(finding_codes() - docstrings_apart) == [], "rows of findings.toml that nothing reports"


def test_the_scan_sees_each_kind_of_mistake(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "raise V2GPKIError('path.no_row', 'm')\n"
        "x = errors.Finding(code='lint.no_row', severity='error')\n"
        "raise V2GPKIError(f'path.{kind}', 'm')\n"
        "refuse('path.handed_on')\n"
        "open('path.toml')\n"
        "raise V2GPKIError('path.row', 'm')\n"
    )
    assert rowless(bad, {"path.row"}, {"lint.row"}) == [
        "bad.py:1: 'path.no_row' has no row",
        "bad.py:1: 'path.no_row' looks like a code and has no row",
        "bad.py:2: 'lint.no_row' has no row",
        "bad.py:2: 'lint.no_row' looks like a code and has no row",
        "bad.py:3: a code is put together; write it out to be found",
        "bad.py:4: 'path.handed_on' looks like a code and has no row",
    ]
