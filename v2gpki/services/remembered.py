"""What was looked up in a home and holds as long as its trust stays as it is.

The trust revision counts authorities that were made or changed their state, and decisions about roots, by whichever
process: asking for it costs a few microseconds, what it stands for many look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from v2gpki.store.protocol import Store

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_MOST = 4096


class Remembered(Generic[_Key, _Value]):
    """Values by key, forgotten when the home's trust changes. Safe from threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: tuple[int, dict[_Key, _Value]] = (-1, {})

    def of(self, key: _Key, look_up: Callable[[], _Value]) -> _Value:
        """The value of a key; ``look_up`` finds it when it is not known. What that raises is not remembered."""
        # The revision first: what changes during the look-up is looked up again next time.
        revision = self._store.pools.trust_revision()
        known_at, known = self._known
        if known_at != revision:
            known = {}
            self._known = revision, known
        try:
            return known[key]
        except KeyError:
            value = look_up()
        if len(known) >= _MOST:
            known.clear()
        known[key] = value
        return value
