"""A vehicle's whole session on a connection: handshake, then the edition that was agreed.

    script = vehicle_script([iso2_vehicle(settings)], secured)
    engine = Engine(script, clock=clock)
"""

from __future__ import annotations

from collections.abc import Sequence

from v2gpki.session import handshake
from v2gpki.session.editions import Spoken, edition_of, protocols_of
from v2gpki.session.engine import Engine, Script, Steps
from v2gpki.session.handshake import Protocol
from v2gpki.session.iso2.evcc import ISO2Vehicle
from v2gpki.session.iso2.settings import VehicleSettings as ISO2VehicleSettings
from v2gpki.session.iso20.evcc.vehicle import ISO20Vehicle
from v2gpki.session.iso20.settings import VehicleSettings as ISO20VehicleSettings
from v2gpki.session.notices import Ending
from v2gpki.session.secured import Secured

_WITHIN = 2.0


def iso2_vehicle(settings: ISO2VehicleSettings) -> Spoken:
    """ISO 15118-2 in a vehicle."""

    def begin(engine: Engine, _chosen: Protocol, secured: Secured | None) -> Steps[Ending]:
        return (yield from ISO2Vehicle(engine, settings, secured).run())

    return Spoken((handshake.ISO2,), begin)


def iso20_vehicle(
    settings: ISO20VehicleSettings, protocols: tuple[Protocol, ...] = (handshake.ISO20_DC, handshake.ISO20_AC)
) -> Spoken:
    """ISO 15118-20 in a vehicle; ``protocols``: AC, DC or both, the preferred first."""

    def begin(engine: Engine, chosen: Protocol, secured: Secured | None) -> Steps[Ending]:
        return (yield from ISO20Vehicle(engine, settings, secured, chosen.transfer).run())

    return Spoken(protocols, begin)


def vehicle_script(
    editions: Sequence[Spoken], secured: Secured | None, *, within: float = _WITHIN, lab: bool = False
) -> Script:
    """The script of a vehicle that speaks these editions, the preferred first; ``lab`` as `handshake.allowed`."""

    def script(engine: Engine) -> Steps[Ending]:
        spoken = handshake.allowed(protocols_of(editions), secured, lab=lab)
        chosen = yield from handshake.propose(engine, spoken, within=within)
        return (yield from edition_of(editions, chosen).begin(engine, chosen, secured))

    return script
