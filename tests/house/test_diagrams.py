"""The committed state diagrams are those that the flow tables give now."""

from __future__ import annotations

from tests.house.diagrams import drawn


def test_the_pictures_are_current() -> None:
    for file, picture in drawn().items():
        current = file.is_file() and file.read_text(encoding="utf-8") == picture
        assert current, f"{file.name} is old: python -m tests.house.diagrams draws it anew"
