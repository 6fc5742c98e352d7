"""A look at a home that asks for nothing, changes nothing and refuses nothing: what shell completion offers, and what
completes a chain.

Opening a home migrates one of an older release and takes its time where another process writes; here such a home
has simply nothing to offer, as has one that is missing, damaged or of a newer release.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from v2gpki.errors import V2GPKIError
from v2gpki.wiring.home import STORE_FILE, home_folder

if TYPE_CHECKING:
    from v2gpki.store.protocol import Store

_PATIENCE = 0.2


_T = TypeVar("_T")


def authority_names(home: str | Path | None = None) -> tuple[tuple[str, str], ...]:
    """The authorities of a home, oldest first: id (``slug@n``) and subject; none where the home cannot be read."""
    return _read(home, lambda store: tuple((record.id, record.subject) for record in store.authorities()))


def issuers(home: str | Path | None = None) -> tuple[bytes, ...]:
    """The CA certificates that a home knows (`ocsp.issuer_certificates`); none where it cannot be read."""
    from v2gpki.wiring.ocsp import issuer_certificates  # noqa: PLC0415  # keeps completion fast

    return _read(home, lambda store: tuple(issuer_certificates(store)))


def _read(home: str | Path | None, look: Callable[[Store], tuple[_T, ...]]) -> tuple[_T, ...]:
    from v2gpki.store.sqlite import SqliteStore  # noqa: PLC0415  # keeps start-up fast

    class Untouched(SqliteStore):
        def _migrate(self, _connection: object, path: Path) -> None:
            raise V2GPKIError("store.missing", f"{path} is of an older release")

    try:
        database = home_folder(home) / STORE_FILE
        if not database.is_file():
            return ()
        store = Untouched(database, busy_seconds=_PATIENCE)
        try:
            return look(store)
        finally:
            store.close()
    except (V2GPKIError, OSError):
        return ()
