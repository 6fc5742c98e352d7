"""What our SVG pictures share: the sheet, the look of text in light and dark, and how much room a text takes.

A picture is sized to its content, needs no font, script or network; every foreign text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from v2gpki.render.text import printable

#: Style rules, light first; those of ``DARK_TEXT`` belong into the media query of a dark scheme.
TEXT = """
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;fill:#1f2328}
.h1{font-size:19px;font-weight:650}.h2{font-size:13px;font-weight:650;letter-spacing:.4px}
.small{font-size:11px;fill:#656d76}"""
SHEET = ".sheet{fill:#fbfcfd;stroke:#d8dee4}.rule{stroke:#d8dee4}"
DARK_TEXT = "text{fill:#e6edf3}.small{fill:#9198a1}.sheet{fill:#0d1117;stroke:#30363d}.rule{stroke:#30363d}"


def document(title: str, width: float, height: float, style: str, body: Sequence[str]) -> str:
    """The whole file: a sheet of this size with ``body`` on it."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{safe(title)}</title>",
            f"<style>{style}</style>",
            f'<rect class="sheet" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="14"/>',
            *body,
            "</svg>",
            "",
        )
    )


def fit(text: str, room: float, size: float) -> str:
    """``text``, shortened with an ellipsis until it surely fits ``room`` pixels."""
    if width_of(text, size) <= room:
        return text
    while text and width_of(text, size) > room - size:
        text = text[:-1]
    return f"{text.rstrip()}…"


def width_of(text: str, size: float) -> float:
    """An upper estimate of a text's width."""
    return sum(map(_units, text)) * size


def _units(mark: str) -> float:
    if ord(mark) > 0x2FF:
        return 1.0
    if mark in " .,:;!|ijltfI'()":
        return 0.35
    return 0.72 if mark.isupper() or mark in "mw&@" else 0.58


def safe(text: str) -> str:
    """``text`` for an element or an attribute, with nothing that a terminal or a browser would obey."""
    return escape(printable(text), {'"': "&quot;"})
