"""A look at a home that asks for nothing, changes nothing and refuses nothing: what shell completion offers.

Opening a home migrates one of an older release and takes its time where another process writes; here such a home
has simply nothing to offer, as has one that is missing, damaged or of a newer release.
"""

from __future__ import annotations

from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.wiring.home import STORE_FILE, home_folder

_PATIENCE = 0.2


def authority_names(home: str | Path | None = None) -> tuple[tuple[str, str], ...]:
    """The authorities of a home, oldest first: id (``slug@n``) and subject; none where the home cannot be read."""
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
            return tuple((record.id, record.subject) for record in store.authorities())
        finally:
            store.close()
    except (V2GPKIError, OSError):
        return ()
