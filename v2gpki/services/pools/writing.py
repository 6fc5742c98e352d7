"""Writing to the store as every pool does it: allowed first, sealed afterwards.

A pool's write is one transaction with its audit rows. Whether it can be sealed at all (the home is unlocked) is
asked before, so that nothing is written and then refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Writing:
    """Surrounds writes: ``ready`` raises when nothing may be written, ``seal`` signs the audit log's head."""

    def __init__(self, seal: Callable[[], None], ready: Callable[[], None] | None = None) -> None:
        self._seal = seal
        self._ready = ready

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """What is done inside is sealed when it succeeds."""
        if self._ready is not None:
            self._ready()
        yield
        self._seal()
