"""A station's whole session on a connection: handshake, then the edition that was agreed.

    script = station_script([iso2_station(settings, os.urandom)], secured)
    engine = Engine(script, clock=clock)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from v2gpki.session import handshake
from v2gpki.session.editions import Spoken, edition_of, protocols_of
from v2gpki.session.engine import Engine, Script, Steps
from v2gpki.session.handshake import Protocol
from v2gpki.session.iso2.secc import ISO2Station
from v2gpki.session.iso2.settings import StationSettings as ISO2StationSettings
from v2gpki.session.iso20.secc.station import ISO20Station
from v2gpki.session.iso20.settings import StationSettings as ISO20StationSettings
from v2gpki.session.notices import Ending
from v2gpki.session.secured import Secured

#: So long a vehicle may take to begin (V2G_SECC_CommunicationSetup).
_WITHIN = 20.0


def iso2_station(settings: ISO2StationSettings, random: Callable[[int], bytes]) -> Spoken:
    """ISO 15118-2 at a station; ``random`` is for session ids and challenges (``os.urandom``)."""

    def begin(engine: Engine, _chosen: Protocol, secured: Secured | None) -> Steps[Ending]:
        return (yield from ISO2Station(engine, settings, secured, random).run())

    return Spoken((handshake.ISO2,), begin)


def iso20_station(
    settings: ISO20StationSettings,
    random: Callable[[int], bytes],
    protocols: tuple[Protocol, ...] = (handshake.ISO20_DC, handshake.ISO20_AC),
) -> Spoken:
    """ISO 15118-20 at a station; ``protocols``: AC, DC or both, the preferred first."""

    def begin(engine: Engine, chosen: Protocol, secured: Secured | None) -> Steps[Ending]:
        return (yield from ISO20Station(engine, settings, secured, random, chosen.transfer).run())

    return Spoken(protocols, begin)


def station_script(
    editions: Sequence[Spoken], secured: Secured | None, *, within: float = _WITHIN, lab: bool = False
) -> Script:
    """The script of a station that speaks these editions, the preferred first; ``lab`` as `handshake.allowed`."""

    def script(engine: Engine) -> Steps[Ending]:
        offered = handshake.allowed(protocols_of(editions), secured, lab=lab)
        chosen = yield from handshake.choose(engine, offered, within=within)
        return (yield from edition_of(editions, chosen).begin(engine, chosen, secured))

    return script
