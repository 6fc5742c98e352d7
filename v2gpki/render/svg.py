"""A hierarchy of certificates as an SVG picture: roots at the left, what they signed to the right.

One card per certificate: its role, name, key, end of validity, the start of its fingerprint, and a bar
of the life that has passed. Colours stand for branches and for validity. The picture is sized to its
content, needs no font, script or network, and follows the reader's light or dark scheme. Every foreign
text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from v2gpki.clock import rfc3339
from v2gpki.render.drawing import DARK_TEXT, SHEET, TEXT, document, fit, safe, width_of
from v2gpki.render.tree import Standing, TreeNode, remaining, standing, walk

CARD, HEIGHT = 226, 78
COLUMN, ROW = CARD + 54, HEIGHT + 18
MARGIN, HEAD, SECTION = 24, 92, 44
INSIDE = CARD - 36

#: branch -> (colour, words for the legend). Mid-tones that hold on white and on black.
BRANCHES = {
    "v2g": ("#6e56cf", "V2G root"),
    "cpo": ("#0b84d8", "Charge point operator"),
    "cps": ("#12a594", "Certificate provisioning"),
    "mo": ("#e0792b", "Mobility operator"),
    "oem": ("#d6409f", "Vehicle manufacturer"),
    "vehicle": ("#b05fd0", "Vehicle"),
    "private": ("#8a6d3b", "Private operator"),
    "ocsp": ("#7d8590", "OCSP"),
    "csms": ("#3f7fbf", "CSMS"),
    "manufacturer": ("#a0527a", "Station manufacturer"),
    "cross": ("#5b708b", "Cross-certificate"),
}
OTHER = ("#7d8590", "Other")

#: standing -> colour of the bar and of the words beside it.
STANDINGS: dict[Standing, str] = {
    "valid": "#2da44e",
    "expiring": "#d4920a",
    "expired": "#d1383d",
    "not_yet_valid": "#4b8bf4",
    "revoked": "#d1383d",
    "retired": "#8b949e",
    "abandoned": "#8b949e",
}

_STYLE = f"""{TEXT}
.mono{{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:10px;fill:#656d76}}
.role{{font-size:13px;font-weight:600}}.name{{font-size:11.5px;fill:#424a53}}
{SHEET}.card{{fill:#fff;stroke:#d0d7de}}.track{{fill:#e6eaef}}
.wire{{fill:none;stroke:#afb8c1;stroke-width:1.6}}.pill{{font-size:9.5px;font-weight:650;fill:#fff}}
@media (prefers-color-scheme:dark){{{DARK_TEXT}.mono{{fill:#9198a1}}.name{{fill:#c9d1d9}}
.card{{fill:#161b22;stroke:#3d444d}}.track{{fill:#30363d;stroke:none}}.wire{{stroke:#57606a}}.pill{{fill:#fff}}}}
"""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A card: its node, its left edge and the middle of its height, and the cards to its right."""

    node: TreeNode
    x: float
    y: float
    children: tuple[_Placed, ...]


def tree_svg(roots: Sequence[TreeNode], *, at: datetime, title: str = "Plug & Charge PKI") -> str:
    """The forest as one SVG document, grouped by edition; bars and colours as of ``at``."""
    editions = list(dict.fromkeys(node.edition for node in roots))
    sections: list[tuple[str, float, list[_Placed]]] = []
    top = float(HEAD)
    for edition in editions:
        placed: list[_Placed] = []
        row = top + SECTION
        for node in (node for node in roots if node.edition == edition):
            card, row = _place(node, MARGIN, row)
            placed.append(card)
        sections.append((edition, top, placed))
        top = row + 6
    nodes = list(walk(roots))
    width = max(MARGIN * 2 + _depth(roots) * COLUMN - (COLUMN - CARD), 2 * COLUMN + CARD + MARGIN * 2)
    legend, legend_height = _legend(nodes, width, top)
    height = top + legend_height + MARGIN
    body = [_heading(title, nodes, at, width)]
    for edition, place, placed in sections:
        body.append(_section(edition, place, width))
        body += [_wires(card) for card in placed]
        body += [_card(card, at) for root in placed for card in _cards(root)]
    return document(title, width, height, _STYLE, [*body, legend])


def _place(node: TreeNode, x: float, row: float) -> tuple[_Placed, float]:
    """Place a node and what is below it from ``row`` on; gives the card and the next free row."""
    if not node.children:
        return _Placed(node, x, row + HEIGHT / 2, ()), row + ROW
    children: list[_Placed] = []
    for child in node.children:
        card, row = _place(child, x + COLUMN, row)
        children.append(card)
    return _Placed(node, x, (children[0].y + children[-1].y) / 2, tuple(children)), row


def _depth(nodes: Sequence[TreeNode]) -> int:
    return max((1 + _depth(node.children) for node in nodes), default=0)


def _cards(card: _Placed) -> Iterable[_Placed]:
    yield card
    for child in card.children:
        yield from _cards(child)


def _heading(title: str, nodes: Sequence[TreeNode], at: datetime, width: float) -> str:
    authorities = sum(not node.leaf for node in nodes)
    leaves = sum(node.leaf for node in nodes) + sum(node.issued for node in nodes)
    counts = f"{authorities} authorit{'y' if authorities == 1 else 'ies'}, {leaves} certificate"
    counts += "" if leaves == 1 else "s"
    return (
        f'<text class="h1" x="{MARGIN}" y="42">{safe(title)}</text>'
        f'<text class="small" x="{MARGIN}" y="64">{counts}</text>'
        f'<text class="small" x="{width - MARGIN:g}" y="64" text-anchor="end">as of {rfc3339(at)}</text>'
    )


def _section(edition: str, top: float, width: float) -> str:
    return (
        f'<line class="rule" x1="{MARGIN}" x2="{width - MARGIN:g}" y1="{top - 6:g}" y2="{top - 6:g}"/>'
        f'<text class="h2" x="{MARGIN}" y="{top + 22:g}">{safe(edition)}</text>'
    )


def _wires(card: _Placed) -> str:
    start = card.x + CARD
    paths: list[str] = []
    for child in card.children:
        middle = (start + child.x) / 2
        paths.append(
            f'<path class="wire" d="M{start:g} {card.y:g}C{middle:g} {card.y:g} {middle:g} {child.y:g} '
            f'{child.x:g} {child.y:g}"/>'
        )
        paths.append(_wires(child))
    return "".join(paths)


def _card(card: _Placed, at: datetime) -> str:
    node, x, y = card.node, card.x, card.y - HEIGHT / 2
    word = standing(node, at)
    branch, colour = _branch(node.branch)[0], STANDINGS[word]
    until = f"{node.suite}  ·  {node.not_after:%Y-%m-%d}, {remaining(node.not_after, at)}"
    lived = min(max((at - node.not_before) / (node.not_after - node.not_before), 0.0), 1.0) * INSIDE
    pill = "" if word in ("valid", "expiring") else word.replace("_", " ")
    badge = f"+{node.issued}" if node.issued and not pill else ""
    room = INSIDE - 8 * len(pill or badge)
    left = x + 18
    parts = [
        f'<g id="{safe(node.label)}"><title>{safe(_tooltip(node, word))}</title>',
        f'<rect class="card" x="{x:g}" y="{y:g}" width="{CARD}" height="{HEIGHT}" rx="9"'
        + (' stroke-dasharray="4 3"/>' if node.leaf else "/>"),
        f'<path fill="{branch}" d="M{x + 9:g} {y:g}h-1a8 8 0 0 0-8 8v{HEIGHT - 16}a8 8 0 0 0 8 8h1z"/>'
        if not node.leaf
        else f'<rect fill="{branch}" x="{x + 6:g}" y="{y + 12:g}" width="3" height="{HEIGHT - 24}" rx="1.5"/>',
        f'<text class="role" x="{left:g}" y="{y + 21:g}">{safe(fit(node.title, room, 13))}</text>',
        f'<text class="name" x="{left:g}" y="{y + 37:g}">{safe(fit(node.name, INSIDE + 6, 11.5))}</text>',
        f'<text class="small" x="{left:g}" y="{y + 53:g}">{safe(fit(until, INSIDE + 6, 11))}</text>',
        f'<rect class="track" x="{left:g}" y="{y + HEIGHT - 16:g}" width="{INSIDE - 78:g}" height="4" rx="2"/>',
        f'<rect fill="{colour}" x="{left:g}" y="{y + HEIGHT - 16:g}" width="{_bar(lived):g}" height="4" rx="2"/>',
        f'<text class="mono" x="{x + CARD - 12:g}" y="{y + HEIGHT - 10:g}" text-anchor="end">'
        f"{safe(node.fingerprint[:12])}</text>",
    ]
    if pill or badge:
        parts.append(_pill(pill or badge, x + CARD - 10, y + 9, colour if pill else branch))
    return "".join((*parts, "</g>"))


def _bar(lived: float) -> float:
    """The bar's width: a life that has just begun shows a dot, so that its colour is seen."""
    return max(lived * (INSIDE - 78) / INSIDE, 4.0)


def _pill(text: str, right: float, top: float, colour: str) -> str:
    width = 6.2 * len(text) + 12
    return (
        f'<rect fill="{colour}" x="{right - width:g}" y="{top:g}" width="{width:g}" height="16" rx="8"/>'
        f'<text class="pill" x="{right - width / 2:g}" y="{top + 11.5:g}" text-anchor="middle">{safe(text)}</text>'
    )


def _legend(nodes: Sequence[TreeNode], width: float, top: float) -> tuple[str, float]:
    """Swatches of what occurs in the picture, wrapped to its width; gives the text and its height."""
    entries = [*dict.fromkeys(_branch(node.branch) for node in nodes), ("none", "")]
    words: list[tuple[Standing, str]] = [
        ("valid", "valid"),
        ("expiring", "expires soon"),
        ("expired", "expired or revoked"),
    ]
    entries += [(STANDINGS[word], text) for word, text in words]
    x, y = float(MARGIN), top + 22
    parts = [f'<line class="rule" x1="{MARGIN}" x2="{width - MARGIN:g}" y1="{top:g}" y2="{top:g}"/>']
    for colour, text in entries:
        room = width_of(text, 11) + 34 if text else 16
        if x + room > width - MARGIN:
            x, y = float(MARGIN), y + 20
        if not text:  # the gap between branches and validity
            x += room
            continue
        parts.append(
            f'<rect fill="{colour}" x="{x:g}" y="{y - 8:g}" width="10" height="10" rx="3"/>'
            f'<text class="small" x="{x + 15:g}" y="{y + 1:g}">{safe(text)}</text>'
        )
        x += room
    return "".join(parts), y - top


def _branch(name: str) -> tuple[str, str]:
    return BRANCHES.get(name, OTHER)


def _tooltip(node: TreeNode, word: Standing) -> str:
    return (
        f"{node.label}\n{node.title}: {node.name}\n{node.suite}, {rfc3339(node.not_before)} to "
        f"{rfc3339(node.not_after)}, {word.replace('_', ' ')}\nSHA-256 {node.fingerprint}"
    )
