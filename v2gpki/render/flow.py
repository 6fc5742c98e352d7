"""A flow table as an SVG picture: a card for each state, a row in it for each request that may come.

A line leads from a row to each state that its answer may lead to: at the right downwards, at the left back up. Lines to
one state share a lane and have its colour. ``↻``: the state may stay, ``■``: the session ends. The picture is sized to
its content and follows the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from v2gpki.render.drawing import DARK_TEXT, SHEET, TEXT, document, fit, safe, width_of
from v2gpki.session.flow import Flow

CARD, HEAD, ROW, GAP = 300, 30, 21, 20
MARGIN, TOP, LANE, CORNER = 24, 88, 13, 6
#: From a card's edge to the first lane.
_STUB = 18
#: Lines in one lane keep this distance.
_APART = 10
#: Lines that leave one row keep this distance.
_BESIDE = 5

#: Mid-tones that hold on white and on black; a state's lines have the next one.
COLOURS = ("#0b84d8", "#e0792b", "#12a594", "#d6409f", "#6e56cf", "#2da44e", "#d4920a", "#5b708b", "#b05fd0", "#d1383d")

_STYLE = f"""{TEXT}
.state{{font-size:13px;font-weight:600}}.row{{font-size:12px;fill:#424a53}}
{SHEET}.card{{fill:#fff;stroke:#d0d7de}}
.lane{{fill:none;stroke-width:1.5}}
@media (prefers-color-scheme:dark){{{DARK_TEXT}.row{{fill:#c9d1d9}}
.card{{fill:#161b22;stroke:#3d444d}}}}
"""


@dataclass(frozen=True, slots=True)
class _Card:
    """A state: its place from above, and its rows (request, states that may follow)."""

    name: str
    index: int
    top: float
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def height(self) -> float:
        return HEAD + ROW * len(self.rows) + 6

    @property
    def entrance(self) -> float:
        return self.top + HEAD / 2

    def row(self, number: int) -> float:
        return self.top + HEAD + ROW * number + ROW / 2 - 1


@dataclass(frozen=True, slots=True)
class _Lane:
    """All lines of one side that lead to one state: from these heights to its entrance."""

    target: _Card
    sources: tuple[float, ...]

    @property
    def span(self) -> tuple[float, float]:
        heights = (*self.sources, self.target.entrance)
        return min(heights), max(heights)


def flow_svg(flow: Flow, *, title: str, subtitle: str = "") -> str:
    """The states from top to bottom in the order of the table, as one SVG document."""
    cards: list[_Card] = []
    top = float(TOP)
    for index, (name, requests) in enumerate(flow.moves.items()):
        cards.append(_Card(name, index, top, tuple(requests.items())))
        top += cards[-1].height + GAP
    down, up = _lanes(cards, forward=True), _lanes(cards, forward=False)
    left = MARGIN + (_STUB + LANE * max(up.values(), default=0) if up else 0)
    right = left + CARD + (_STUB + LANE * max(down.values(), default=0) if down else 0) + MARGIN
    width = max(right, MARGIN * 2 + width_of(title, 19), MARGIN * 2 + width_of(subtitle, 11))
    body = [
        f'<text class="h1" x="{MARGIN}" y="42">{safe(title)}</text>',
        f'<text class="small" x="{MARGIN}" y="64">{safe(subtitle)}</text>',
        *(_line(lane, left + CARD, _STUB + LANE * number) for lane, number in down.items()),
        *(_line(lane, left, -_STUB - LANE * number) for lane, number in up.items()),
        *(_card(card, left, flow.over) for card in cards),
    ]
    return document(title, width, top - GAP + MARGIN, _STYLE, body)


def _lanes(cards: Sequence[_Card], *, forward: bool) -> dict[_Lane, int]:
    """The lines of one side and their distance from the cards: short ones within, none on another."""
    by_name = {card.name: card for card in cards}
    sources: dict[str, list[float]] = {}
    for card in cards:
        for number, (_, names) in enumerate(card.rows):
            others = [name for name in names if name in by_name and name != card.name]
            there = [name for name in others if (by_name[name].index > card.index) == forward]
            for place, name in enumerate(there):
                beside = (place - (len(there) - 1) / 2) * _BESIDE
                sources.setdefault(name, []).append(card.row(number) + beside)
    lanes = [_Lane(by_name[name], tuple(heights)) for name, heights in sources.items()]
    lanes.sort(key=lambda lane: (lane.span[1] - lane.span[0], lane.span))
    taken: list[list[tuple[float, float]]] = []
    numbers: dict[_Lane, int] = {}
    for lane in lanes:
        number = next(place for place in count() if place == len(taken) or _free(lane.span, taken[place]))
        if number == len(taken):
            taken.append([])
        taken[number].append(lane.span)
        numbers[lane] = number
    return numbers


def _free(span: tuple[float, float], taken: Sequence[tuple[float, float]]) -> bool:
    return all(span[1] + _APART < low or high + _APART < span[0] for low, high in taken)


def _line(lane: _Lane, edge: float, distance: float) -> str:
    """One lane: a stub from each row, the way along the cards, an arrow into the state."""
    colour, away, turn = _colour(lane.target), edge + distance, CORNER if distance > 0 else -CORNER
    into, paths = lane.target.entrance, []
    for height in lane.sources:
        bend = CORNER if into > height else -CORNER
        paths.append(
            f"M{edge:g} {height:g}H{away - turn:g}Q{away:g} {height:g} {away:g} {height + bend:g}"
            f"V{into - bend:g}Q{away:g} {into:g} {away - turn:g} {into:g}H{edge + turn:g}"
        )
    tip = f"M{edge:g} {into:g}l{turn * 1.3:g} -4v8z"
    return f'<path class="lane" stroke="{colour}" d="{"".join(paths)}"/><path fill="{colour}" d="{tip}"/>'


def _card(card: _Card, left: float, over: str) -> str:
    parts = [
        f'<g id="{safe(card.name)}"><rect class="card" x="{left:g}" y="{card.top:g}" width="{CARD}" '
        f'height="{card.height:g}" rx="9"/>',
        f'<rect fill="{_colour(card)}" x="{left + 7:g}" y="{card.top + 9:g}" width="3" height="{HEAD - 18}" rx="1.5"/>',
        f'<text class="state" x="{left + 18:g}" y="{card.top + 20:g}">{safe(fit(card.name, CARD - 36, 13))}</text>',
        *_rows(card, left, over),
    ]
    return "".join((*parts, "</g>"))


def _rows(card: _Card, left: float, over: str) -> Iterator[str]:
    for number, (request, names) in enumerate(card.rows):
        base = card.row(number) + 4
        yield f'<text class="row" x="{left + 18:g}" y="{base:g}">{safe(fit(request, CARD - 60, 12))}</text>'
        mark = ("↻" if card.name in names else "") + ("■" if over in names else "")
        if mark:
            yield f'<text class="row" x="{left + CARD - 12:g}" y="{base:g}" text-anchor="end">{mark}</text>'


def _colour(card: _Card) -> str:
    return COLOURS[card.index % len(COLOURS)]
