"""A page read as a browser would: its elements, texts and links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Elements that are never closed.
VOID = {"meta", "link", "input", "img", "br"}
#: What a browser would run or load.
ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "srcset", "xlink:href"}


@dataclass
class Page(HTMLParser):
    """The elements of a page in order, each (name, attributes), and its text."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    @classmethod
    def of(cls, source: str) -> Page:
        """Read a page; one whose elements are not nested fails."""
        page = cls()
        page.feed(source)
        page.close()
        assert page.open == []
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def words(self) -> str:
        """The text with single spaces."""
        return " ".join(self.text.split())

    def named(self, *tags: str) -> list[dict[str, str]]:
        """The attributes of each element of these names."""
        return [attributes for tag, attributes in self.elements if tag in tags]

    def links(self) -> list[str]:
        """Where its links lead."""
        return [attributes["href"] for attributes in self.named("a")]

    def outside(self) -> list[str]:
        """Whatever it would run inline or load from elsewhere: empty for every page of ours."""
        wrong = [f"<{tag}>" for tag, _ in self.elements if tag in ("style", "iframe", "object", "embed", "base")]
        for tag, attributes in self.elements:
            wrong += [f"{tag} {name}" for name in attributes if name.startswith("on") or name == "style"]
            wrong += [
                f"{tag} {name}={value}"
                for name, value in attributes.items()
                if name in ADDRESSES and not re.match(r"/(?!/)|#", value)
            ]
            if tag == "script" and not attributes.get("src", "").startswith("/assets/"):
                wrong.append("an inline script")
        return wrong
