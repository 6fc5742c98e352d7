"""Python source under construction: lines, names for constants, and bits whose value is known already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Source:
    """Lines of one function, and the constants that it needs in its namespace.

    `known` collects bits that are constant (event codes), so that they are written or compared together with the next
    value.
    """

    def __init__(self, namespace: dict[str, object]) -> None:
        self.namespace = namespace
        self.lines: list[str] = []
        self.known = (0, 0)
        self._indent = 0
        self._variables = 0

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append(" " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """An indented block; known bits must not leak out of it."""
        self.line(head)
        self._indent += 1
        length = len(self.lines)
        yield
        if len(self.lines) == length:
            self.line("pass")
        self._indent -= 1

    def variable(self) -> str:
        """A fresh local name."""
        self._variables += 1
        return f"v{self._variables}"

    def constant(self, prefix: str, value: object) -> str:
        """A global name for a constant; equal hashable constants of one function are not merged, they are cheap."""
        name = f"{prefix}{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def know(self, value: int, bits: int) -> None:
        """Add constant bits."""
        number, width = self.known
        self.known = (number << bits | value, width + bits)

    def take_known(self) -> tuple[int, int]:
        """The constant bits so far as (number, width); none are left."""
        known = self.known
        self.known = (0, 0)
        return known

    @property
    def text(self) -> str:
        """The source."""
        return "\n".join(self.lines) + "\n"
