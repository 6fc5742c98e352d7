"""The editions that a station or a vehicle speaks, as rows of a table: what supportedAppProtocol names, and what goes
on after it. `station` and `vehicle` make the rows, and scripts of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from v2gpki.errors import V2GPKIError
from v2gpki.session.engine import Engine, Steps
from v2gpki.session.handshake import Protocol
from v2gpki.session.notices import Ending
from v2gpki.session.secured import Secured


@dataclass(frozen=True, slots=True)
class Spoken:
    """One edition, set up: its protocols, the preferred first, and the session after one of them was chosen."""

    protocols: tuple[Protocol, ...]
    begin: Callable[[Engine, Protocol, Secured | None], Steps[Ending]]


def protocols_of(editions: Sequence[Spoken]) -> list[Protocol]:
    """All that they speak, in their order."""
    return [protocol for edition in editions for protocol in edition.protocols]


def edition_of(editions: Sequence[Spoken], chosen: Protocol) -> Spoken:
    """The row that speaks a protocol."""
    for edition in editions:
        if chosen in edition.protocols:
            return edition
    raise V2GPKIError("internal.bug", f"{chosen.namespace} was chosen, and no edition speaks it")
