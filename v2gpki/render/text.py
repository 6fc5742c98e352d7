"""Foreign text made safe to show: what a terminal would obey becomes visible instead."""

from __future__ import annotations

import unicodedata

#: Control, format (bidirectional overrides, zero width), surrogate, private, unassigned, line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    """``text`` with every control, format or unassigned character as ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``;
    line feeds stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character == "\n" or unicodedata.category(character) not in _UNSAFE else _escaped(character)
        for character in text
    )


def _escaped(character: str) -> str:
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
