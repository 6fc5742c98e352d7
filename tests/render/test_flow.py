"""The picture of a flow table: what stands in it, where its lines lead, that no two lines lie on one another."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from v2gpki.render.flow import flow_svg
from v2gpki.session.flow import Flow, flow
from v2gpki.session.iso2.flow import FLOW as ISO2

SVG = "{http://www.w3.org/2000/svg}"
SMALL = flow(
    "test",
    {
        "first": {"BeginReq": "second third", "StopReq": "over"},
        "second": {"OnReq": "second third"},
        "third": {"BackReq": "first", "<StopReq>": "over"},
    },
    begin="first",
)


def drawn(table: Flow) -> ElementTree.Element:
    return ElementTree.fromstring(flow_svg(table, title="A <flow>", subtitle="from & to"))


def cards(root: ElementTree.Element) -> dict[str, tuple[float, float, float]]:
    """Left edge, top and height of each state's card."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        card = next(group.iter(f"{SVG}rect"))
        found[group.attrib["id"]] = (float(card.attrib["x"]), float(card.attrib["y"]), float(card.attrib["height"]))
    return found


def lines(root: ElementTree.Element) -> list[tuple[str, str, str, float]]:
    """Every line, by geometry alone: the card that it leaves, the card that it enters, its colour, where it runs."""
    places = cards(root)

    def at(height: float) -> str:
        return next(name for name, (_, top, size) in places.items() if top <= height <= top + size)

    found = []
    for path in root.iter(f"{SVG}path"):
        if path.attrib.get("class") != "lane":
            continue
        for piece in path.attrib["d"].split("M")[1:]:
            numbers = [float(number) for number in re.findall(r"-?[0-9.]+", piece)]
            start, lane, into = numbers[1], numbers[3], numbers[-2]
            found.append((at(start), at(into), path.attrib["stroke"], lane))
    return found


def texts(root: ElementTree.Element, state: str) -> list[str]:
    group = next(group for group in root.iter(f"{SVG}g") if group.attrib["id"] == state)
    return [text.text or "" for text in group.iter(f"{SVG}text")]


def test_what_is_written() -> None:
    root = drawn(SMALL)
    assert [text.text for text in root.findall(f"{SVG}text")] == ["A <flow>", "from & to"]
    assert texts(root, "first") == ["first", "BeginReq", "StopReq", "■"]
    assert texts(root, "second") == ["second", "OnReq", "↻"]
    assert texts(root, "third") == ["third", "BackReq", "<StopReq>", "■"]


@pytest.mark.parametrize("table", [SMALL, ISO2], ids=["small", "iso2"])
def test_every_move_is_drawn_and_nothing_else(table: Flow) -> None:
    """Line by line as the table says, stays and ends left to their marks."""
    expected = sorted(
        (move.state, name)
        for move in table.all_moves()
        for name in move.then
        if name not in (move.state, table.over)
    )
    assert sorted((source, target) for source, target, *_ in lines(drawn(table))) == expected
    assert list(cards(drawn(table))) == list(table.moves)


def test_down_at_the_right_up_at_the_left() -> None:
    root = drawn(ISO2)
    order = list(ISO2.moves)
    left = min(x for x, _, _ in cards(root).values())
    for source, target, _, lane in lines(root):
        assert (lane > left) == (order.index(target) > order.index(source))


@pytest.mark.parametrize("table", [SMALL, ISO2], ids=["small", "iso2"])
def test_lines_to_different_states_share_no_lane_where_they_meet(table: Flow) -> None:
    root = drawn(table)
    places = cards(root)
    reach: dict[tuple[str, float], tuple[float, float]] = {}
    for source, target, _, lane in lines(root):
        low, high = sorted((places[source][1], places[target][1]))
        before = reach.get((target, lane), (low, high))
        reach[target, lane] = (min(low, before[0]), max(high, before[1]))
    for ((one, lane), span), ((other, beside), more) in combinations(reach.items(), 2):
        if one != other and lane == beside:
            assert span[1] <= more[0] or more[1] <= span[0], (one, other)


def test_all_is_on_the_sheet() -> None:
    root = drawn(ISO2)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for left, top, size in cards(root).values():
        assert left > 0
        assert left + 300 < width
        assert top + size < height
    assert all(0 < lane < width for *_, lane in lines(root))
