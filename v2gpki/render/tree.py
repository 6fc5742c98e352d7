"""A hierarchy of certificates as lines of text.

``TreeNode`` is what the pictures need to know, built by the caller from the store; nothing here reads
a clock or a certificate. A line is a sequence of spans, text with a word for its meaning; the caller
turns meanings into colours, or drops them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from v2gpki.render.text import printable

Standing = Literal["valid", "expiring", "expired", "not_yet_valid", "revoked", "retired", "abandoned"]

#: A certificate is expiring in the last tenth of its life, and at most this long before its end.
LONGEST_NOTICE = timedelta(days=180)
FINGERPRINT_SHOWN = 16


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One certificate in its hierarchy.

    ``label`` names it in this home (``slug@n``, or the serial of a leaf), ``title`` is the role in words,
    ``name`` the common name or identifier, ``branch`` the branch of the ecosystem (v2g, cpo, cps, mo, oem,
    ..), ``suite`` the key suite, ``state`` what the store says, ``fingerprint`` SHA-256 in hex. ``issued`` is
    the number of end-entity certificates below it that are not drawn, ``leaf`` whether it is one itself.
    """

    label: str
    title: str
    name: str
    role: str
    branch: str
    edition: str
    suite: str
    not_before: datetime
    not_after: datetime
    state: str
    fingerprint: str
    issued: int = 0
    leaf: bool = False
    children: tuple[TreeNode, ...] = ()


class Span(NamedTuple):
    """A piece of a line and what it means: "" (plain), dim, edition, title, branch:<name>, standing:<word>."""

    text: str
    meaning: str = ""


Line: TypeAlias = tuple[Span, ...]


def standing(node: TreeNode, at: datetime) -> Standing:
    """The state at a moment: what the store says outranks time."""
    if node.state in ("revoked", "abandoned"):
        return "revoked" if node.state == "revoked" else "abandoned"
    if at > node.not_after:
        return "expired"
    if node.state == "retired":
        return "retired"
    if at < node.not_before:
        return "not_yet_valid"
    notice = min((node.not_after - node.not_before) / 10, LONGEST_NOTICE)
    return "expiring" if node.not_after - at < notice else "valid"


def tree_lines(roots: Sequence[TreeNode], *, at: datetime) -> list[Line]:
    """The forest, grouped by edition: name, role, key, end of validity, state and fingerprint in columns."""
    lines: list[Line] = []
    for edition in dict.fromkeys(node.edition for node in roots):
        rows = [row for node in roots if node.edition == edition for row in _rows(node, "", "", at)]
        widths = [max(len(cells[column]) for _, cells in rows) for column in range(len(rows[0][1]))]
        if lines:
            lines.append(())
        lines.append((Span(edition, "edition"),))
        lines += [_line(node, cells, widths, at) for node, cells in rows]
    return lines


def plain(lines: Iterable[Line]) -> str:
    """The lines as text without any colour."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


def remaining(until: datetime, at: datetime) -> str:
    """How far away the end is, in the one unit that matters: ``in 39 y``, ``in 5 mo``, ``12 d ago``."""
    days = abs(until - at).days
    if days >= 730:
        amount = f"{days // 365} y"
    elif days >= 90:
        amount = f"{days // 30} mo"
    else:
        amount = f"{days} d" if days else "today"
    if amount == "today":
        return amount
    return f"in {amount}" if until > at else f"{amount} ago"


def walk(roots: Iterable[TreeNode]) -> Iterable[TreeNode]:
    """Every node, a parent before its children."""
    for node in roots:
        yield node
        yield from walk(node.children)


_Row: TypeAlias = tuple[TreeNode, tuple[str, ...]]


def _rows(node: TreeNode, lead: str, below: str, at: datetime) -> Iterable[_Row]:
    """Each node with its cells: branch lines and label, name, suite, end, remaining, fingerprint."""
    cells = (
        lead + printable(node.label).replace("\n", "\\n"),
        printable(node.name).replace("\n", "\\n"),
        node.suite,
        node.not_after.strftime("%Y-%m-%d"),
        remaining(node.not_after, at),
        node.fingerprint[:FINGERPRINT_SHOWN],
    )
    yield node, cells
    last = len(node.children) - 1
    for place, child in enumerate(node.children):
        corner, rail = ("└── ", "    ") if place == last else ("├── ", "│   ")
        yield from _rows(child, below + corner, below + rail, at)


def _line(node: TreeNode, cells: Sequence[str], widths: Sequence[int], at: datetime) -> Line:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
    rails = len(cells[0]) - len(printable(node.label).replace("\n", "\\n"))
    word = standing(node, at)
    spans = [
        Span(padded[0][:rails], "dim"),
        Span(padded[0][rails:], f"branch:{node.branch}"),
        Span(f"  {padded[1]}", "title"),
        Span(f"  {padded[2]}"),
        Span(f"  {padded[3]}  {padded[4]}", f"standing:{word}"),
        Span(f"  {padded[5]}", "dim"),
    ]
    if word not in ("valid", "expiring"):
        spans.append(Span(f"  {word.replace('_', ' ')}", f"standing:{word}"))
    if node.issued:
        spans.append(Span(f"  + {node.issued} certificate{'s' if node.issued != 1 else ''}", "dim"))
    return tuple(spans)
