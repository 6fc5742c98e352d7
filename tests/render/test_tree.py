"""The tree as text and as SVG: structure by parsing, escaping of hostile names, standing by hand."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.render.svg import tree_svg
from v2gpki.render.text import printable
from v2gpki.render.tree import TreeNode, plain, remaining, standing, tree_lines, walk

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def node(
    label: str,
    *children: TreeNode,
    name: str = "Name",
    edition: str = "iso15118-2",
    back: int = 100,
    days: int = 1000,
    state: str = "active",
    issued: int = 0,
    leaf: bool = False,
) -> TreeNode:
    return TreeNode(
        label,
        f"Title of {label}",
        name,
        "role",
        "cpo",
        edition,
        "p256",
        AT - timedelta(days=back),
        AT + timedelta(days=days),
        state,
        "0123456789abcdef" * 4,
        issued,
        leaf,
        children,
    )


FOREST = (
    node("root@1", node("one@1", node("two@1", issued=3)), node("three@1", issued=1)),
    node("other@1", edition="iso15118-20", name="Longer name"),
)


def test_the_lines() -> None:
    # 100 days back, 1000 ahead of 2026-05-01: 2029-01-25; 1000 // 365 = 2
    assert plain(tree_lines(FOREST, at=AT)).splitlines() == [
        "iso15118-2",
        "root@1         Name  p256  2029-01-25  in 2 y  0123456789abcdef",
        "├── one@1      Name  p256  2029-01-25  in 2 y  0123456789abcdef",
        "│   └── two@1  Name  p256  2029-01-25  in 2 y  0123456789abcdef  + 3 certificates",
        "└── three@1    Name  p256  2029-01-25  in 2 y  0123456789abcdef  + 1 certificate",
        "",
        "iso15118-20",
        "other@1  Longer name  p256  2029-01-25  in 2 y  0123456789abcdef",
    ]


def test_no_authority_is_no_line() -> None:
    assert tree_lines((), at=AT) == []
    assert ElementTree.fromstring(tree_svg((), at=AT)).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    ("back", "days", "state", "word"),
    [
        (900, 101, "active", "valid"),  # life 1001 d, the last tenth is 100.1 d
        (900, 99, "active", "expiring"),  # life 999 d, the last tenth is 99.9 d
        (3650, 181, "active", "valid"),  # a tenth would be 383 d, the notice is 180 d
        (3650, 179, "active", "expiring"),
        (100, -1, "active", "expired"),
        (-1, 100, "active", "not_yet_valid"),
        (100, 100, "revoked", "revoked"),
        (100, -1, "revoked", "revoked"),
        (100, 100, "retired", "retired"),
        (100, -1, "retired", "expired"),
        (100, 100, "abandoned", "abandoned"),
        (100, 100, "valid", "valid"),
    ],
)
def test_standing(back: int, days: int, state: str, word: str) -> None:
    one = node("x", back=back, days=days, state=state)
    assert standing(one, AT) == word
    line = tree_lines([one], at=AT)[1]
    assert any(span.meaning == f"standing:{word}" for span in line)
    shown = plain([line])
    assert (word.replace("_", " ") in shown) == (word not in ("valid", "expiring"))
    assert f"{one.not_after:%Y-%m-%d}" in shown


def test_the_end_of_validity_is_still_valid() -> None:
    one = node("x", days=0)
    assert standing(one, one.not_after) == "expiring"
    assert standing(one, one.not_after + timedelta(seconds=1)) == "expired"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "in 1 d"),
        (89, "in 89 d"),
        (90, "in 3 mo"),
        (729, "in 24 mo"),
        (730, "in 2 y"),
        (-5, "5 d ago"),
    ],
)
def test_remaining(days: int, words: str) -> None:
    assert remaining(AT + timedelta(days=days), AT) == words


def test_the_picture_has_a_card_for_each_and_a_wire_for_each_child() -> None:
    root = ElementTree.fromstring(tree_svg(FOREST, at=AT, title="Acme PKI"))
    cards = root.findall(f"{SVG}g")
    assert [card.get("id") for card in cards] == ["root@1", "one@1", "two@1", "three@1", "other@1"]
    assert len(root.findall(f"{SVG}path[@class='wire']")) == 3
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"Acme PKI", "5 authorities, 4 certificates", "iso15118-2", "iso15118-20", "+3", "+1"} <= set(texts)
    assert "as of 2026-05-01T12:00:00Z" in texts
    for card in cards:
        title = card.findtext(f"{SVG}title")
        assert title is not None
        assert "0123456789abcdef" * 4 in title


def test_cards_neither_overlap_nor_leave_the_picture() -> None:
    root = ElementTree.fromstring(tree_svg(FOREST, at=AT))
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    boxes = [
        tuple(float(box.get(side, "0")) for side in ("x", "y", "width", "height"))
        for box in root.iter(f"{SVG}rect")
        if box.get("class") == "card"
    ]
    assert len(boxes) == 5
    for place, (x, y, w, h) in enumerate(boxes):
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        for x2, y2, w2, h2 in boxes[place + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


HOSTILE = '</text><script>alert("1")</script>&amp;\x00\x1b[31m\u202e\ud800]]>'


def test_hostile_names_stay_text() -> None:
    forest = [node(HOSTILE, node("x", name=HOSTILE), name=HOSTILE, edition=HOSTILE)]
    text = tree_svg(forest, at=AT, title=HOSTILE)
    root = ElementTree.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert root.findtext(f"{SVG}title") == printable(HOSTILE)
    assert re.search("[\x00-\x08\x0b-\x1f\u202e\ud800]", text) is None
    lines = plain(tree_lines([node("x\n\x1b[31m", name=HOSTILE)], at=AT))
    assert "\x1b" not in lines
    assert lines.count("\n") == 1


def test_long_names_are_shortened_in_the_card_and_whole_in_its_title() -> None:
    name = "W" * 64
    root = ElementTree.fromstring(tree_svg([node("x", name=name)], at=AT))
    shown = ["".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("class") == "name"]
    assert len(shown) == 1
    assert shown[0].endswith("…")
    assert len(shown[0]) < 30
    assert name in (root.findtext(f"{SVG}g/{SVG}title") or "")


def test_colours_tell_validity() -> None:
    for days, state, colour in ((1000, "active", "#2da44e"), (5, "active", "#d4920a"), (1000, "revoked", "#d1383d")):
        root = ElementTree.fromstring(tree_svg([node("x", days=days, state=state)], at=AT))
        card = root.find(f"{SVG}g")
        assert card is not None
        assert colour in [box.get("fill") for box in card.iter(f"{SVG}rect")]


labels = st.text(min_size=1, max_size=20)
trees = st.recursive(
    st.builds(lambda label, name: node(label, name=name), labels, labels),
    lambda below: st.builds(lambda label, children: node(label, *children), labels, st.lists(below, max_size=3)),
    max_leaves=8,
)


@given(st.lists(trees, min_size=1, max_size=3))
def test_any_forest_is_drawn_whole(forest: list[TreeNode]) -> None:
    count = len(list(walk(forest)))
    root = ElementTree.fromstring(tree_svg(forest, at=AT))
    assert len(root.findall(f"{SVG}g")) == count
    assert len(tree_lines(forest, at=AT)) == count + 1
    assert len(plain(tree_lines(forest, at=AT)).split("\n")) == count + 1


@given(st.text())
def test_printable_text_cannot_move_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", shown)
    assert printable(shown) == shown
