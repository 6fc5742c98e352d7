"""Comparing messages as trees, and collecting what fails among many vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias
from xml.etree import ElementTree

from tests.vectors import Vector
from v2gpki.errors import V2GPKIError

Tree: TypeAlias = tuple[str, tuple[tuple[str, str], ...], str, tuple["Tree", ...], str]
_SHOWN = 5


def tree(text: str) -> Tree:
    """An XML text as a value: qualified names, attributes without order, every character."""
    return _tree(ElementTree.fromstring(text))


def _tree(element: ElementTree.Element) -> Tree:
    return (
        element.tag,
        tuple(sorted(element.attrib.items())),
        element.text or "",
        tuple(_tree(child) for child in element),
        element.tail or "",
    )


def failures(vectors: Iterable[Vector], check: Callable[[Vector], None]) -> list[str]:
    """What fails of the vectors, the first few in words."""
    found = []
    for vector in vectors:
        try:
            check(vector)
        except (AssertionError, V2GPKIError) as error:
            found.append(f"{vector['id']}: {str(error)[:300]}")
    return found[:_SHOWN] + ([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])
