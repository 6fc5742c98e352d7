"""A whole station out of the box: what a PKI folder holds, simulated power, and choices that a few words make.

Whoever brings hardware, prices or a CSMS takes the setup and puts other plug-ins into it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from v2gpki.clock import Clock
from v2gpki.energy.meter import Meter
from v2gpki.energy.offer import Method, Offer
from v2gpki.energy.quantities import Current
from v2gpki.energy.stage import Stage
from v2gpki.energy.tariff import Band, Tariff, TariffSpan
from v2gpki.profile.load import Catalogue
from v2gpki.servers.pace import Pace
from v2gpki.servers.secc.credentials import station_keys
from v2gpki.servers.secc.defaults import (
    ListedAuthoriser,
    SimulatedStage,
    StockOperator,
    StockTariffs,
    limits_of,
    offer_of,
)
from v2gpki.servers.secc.plugins import ContractProvider, StationPlugins
from v2gpki.servers.secc.station import StationSetup
from v2gpki.servers.v2gtls import Edition
from v2gpki.servers.v2gtls.credentials import station_security
from v2gpki.servers.warming import warm_up
from v2gpki.session.editions import Spoken, protocols_of
from v2gpki.session.handshake import ISO20_AC, ISO20_DC
from v2gpki.session.iso2.settings import Action
from v2gpki.session.iso2.settings import StationSettings as ISO2Settings
from v2gpki.session.iso20.settings import StationSettings as ISO20Settings
from v2gpki.session.station import iso2_station, iso20_station
from v2gpki.wiring.credentials import Roots, StationCredentials
from v2gpki.wiring.pki_folder import Compat

#: Above this a station is taken for a DC station, in W: three phases with 63 A.
MOST_AC = 43_500.0
_FREE = Tariff(1, 0, "EUR", (TariffSpan(86_400, (Band(Decimal(0)),)),))


@dataclass(frozen=True, slots=True)
class StationWords:
    """What a station is to be. ``power`` and ``discharge`` in W; ``current`` None goes by the power. ``emaids`` None
    takes every contract whose chain holds. ``speed``: how much faster than the clock meter and power run. After so
    many Wh of ``receipts`` the vehicle confirms the meter; 0 never."""

    editions: tuple[Edition, ...] = ("iso15118-2", "iso15118-20")
    methods: tuple[Method, ...] = ("pnc", "eim")
    power: float = 11_000.0
    current: Current | None = None
    discharge: float = 0.0
    evse_id: str = "ZZ00000"
    emaids: tuple[str, ...] | None = None
    tariff: Tariff | None = None
    speed: float = 1.0
    receipts: float = 0.0
    compat: Compat = ""

    @property
    def transfers(self) -> Current:
        """AC or DC."""
        return self.current or ("AC" if self.power <= MOST_AC else "DC")


def stock_station(
    words: StationWords,
    credentials: StationCredentials | None,
    *,
    catalogue: Catalogue,
    clock: Clock,
    contracts: ContractProvider | None = None,
) -> StationSetup:
    """The setup; without ``credentials`` it speaks plain TCP with EIM only. Raises ``pki.missing``, ``energy.invalid``,
    ``identifier.invalid``."""
    limits = limits_of(words.transfers, words.power, discharge=words.discharge)
    methods = words.methods if credentials is not None else ("eim",)
    # EcoG's vehicle of -20 takes no schedule without a price.
    tariff = words.tariff or (_FREE if words.compat == "ecog" else None)
    offer = offer_of(limits, words.evse_id, methods=methods, priced=tariff is not None)
    offer = replace(offer, installation=contracts is not None)
    authoriser = ListedAuthoriser(words.emaids, eim="eim" in methods)
    tariffs, operator, pace = StockTariffs(tariff), StockOperator(receipt_every=words.receipts), Pace(words.speed)

    def plugins() -> StationPlugins:
        stage = SimulatedStage(Stage(limits, Meter("V2GPKI-1"), at=pace.seconds()), pace)
        return StationPlugins(offer, authoriser, stage, tariffs, operator, contracts)

    security = None
    if credentials is not None:
        plain = "eim" in methods
        security = station_security(
            credentials, catalogue=catalogue, clock=clock, editions=words.editions, plain=plain
        )
    installs = contracts is not None
    warm_up("secc", protocols_of(_spoken(words, offer, installs=installs)), paths=credentials is not None)
    return StationSetup(
        plugins,
        lambda given: _spoken(words, given.offer, installs=installs),
        station_keys(
            credentials or StationCredentials(Roots()),
            catalogue=catalogue,
            compat=words.compat,
            editions=words.editions,
        ),
        security,
        clock,
    )


def _spoken(words: StationWords, offer: Offer, *, installs: bool) -> Sequence[Spoken]:
    rows: list[Spoken] = []
    if {"iso15118-20", "lab-ecog-20"} & set(words.editions):
        settings = ISO20Settings(offer=offer, confirm_metering=bool(words.receipts), compat=words.compat)
        rows.append(iso20_station(settings, os.urandom, (ISO20_AC,) if words.transfers == "AC" else (ISO20_DC,)))
    if "iso15118-2" in words.editions:
        actions: tuple[Action, ...] = ("install", "update") if installs else ()
        rows.append(iso2_station(ISO2Settings(offer, actions), os.urandom))
    return rows
