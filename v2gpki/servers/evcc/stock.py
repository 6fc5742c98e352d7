"""A whole vehicle out of the box: what a PKI folder holds, a simulated battery, and wishes that a few words make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from v2gpki.clock import Clock
from v2gpki.energy.battery import Battery, BatteryFacts, Goals
from v2gpki.energy.curve import Curve
from v2gpki.energy.offer import Method
from v2gpki.energy.quantities import Current
from v2gpki.profile.load import Catalogue
from v2gpki.servers.evcc.choices import StockConsent, StockPilot, Wishes
from v2gpki.servers.evcc.contracts import MemoryContracts
from v2gpki.servers.evcc.credentials import contract_store, vehicle_keys
from v2gpki.servers.evcc.defaults import Inlet, SimulatedVehicle
from v2gpki.servers.evcc.plugins import ContractStore, VehicleFacts, VehiclePlugins
from v2gpki.servers.evcc.vehicle import VehicleSetup
from v2gpki.servers.pace import Pace
from v2gpki.servers.v2gtls import Edition, StaplePolicy
from v2gpki.servers.v2gtls.credentials import vehicle_security
from v2gpki.servers.warming import warm_up
from v2gpki.session.editions import Spoken, protocols_of
from v2gpki.session.handshake import ISO20_AC, ISO20_DC
from v2gpki.session.iso2.settings import VehicleSettings as ISO2Settings
from v2gpki.session.iso20.settings import VehicleSettings as ISO20Settings
from v2gpki.session.questions import Paused
from v2gpki.session.timers import ISO2, patient
from v2gpki.session.vehicle import iso2_vehicle, iso20_vehicle
from v2gpki.wiring.credentials import Roots, VehicleCredentials
from v2gpki.wiring.pki_folder import Compat

#: Seconds that are waited for an answer of a station that misses the standard's times.
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class VehicleWords:
    """What a vehicle is to be and to do. ``energy`` (Wh) ends charging, ``discharge`` (Wh) is given back first;
    ``capacity`` in Wh, ``soc`` from 0 to 1; ``speed``: how much faster than the clock the battery lives; ``departure``
    in seconds of its time, ``stop_after`` in seconds by the clock. ``pause``: it ends by a pause; ``resume``
    is one to go on with. ``tls`` False: plain TCP."""

    editions: tuple[Edition, ...] = ("iso15118-2",)
    methods: tuple[Method, ...] = ("pnc", "eim")
    current: Current = "AC"
    install: bool = False
    energy: float | None = None
    discharge: float = 0.0
    capacity: float = 60_000.0
    soc: float = 0.3
    departure: float | None = None
    stop_after: float | None = None
    pause: bool = False
    resume: Paused | None = None
    speed: float = 1.0
    emaid: str = ""
    mac: bytes = b"\x02\0\0\0\0\x01"
    evcc_id: str = "ZZZV2GPKIEVCC00001"
    tls: bool = True
    staple_policy: StaplePolicy = "require-leaf"
    compat: Compat = ""


def stock_vehicle(
    words: VehicleWords, credentials: VehicleCredentials | None, *, catalogue: Catalogue, clock: Clock
) -> VehicleSetup:
    """The setup; without ``credentials`` it speaks plain TCP and pays by EIM. Raises ``pki.missing``,
    ``energy.invalid``, ``key.*``, ``chain.*``."""
    held_by = credentials or VehicleCredentials(Roots())
    methods: tuple[Method, ...] = words.methods if credentials is not None and words.tls else ("eim",)
    pace = Pace(words.speed)
    inlet = Inlet(words.current, discharge=words.discharge > 0)
    battery = SimulatedVehicle(_battery(words), inlet, pace, energy=words.energy, discharge=words.discharge)
    wishes = Wishes(
        words.current,
        bidirectional=words.discharge > 0,
        methods=methods,
        install="always" if words.install else "never",
        # EcoG's station of -20 wants a word on it.
        tolerance=True if words.compat == "ecog" else None,
    )
    plugins = VehiclePlugins(
        VehicleFacts(words.mac, words.evcc_id),
        battery,
        _contracts(credentials, clock, words),
        StockConsent(wishes),
        StockPilot(pace, most_seconds=_most_seconds(words), ends="pause" if words.pause else "stop"),
    )
    security = None
    if credentials is not None and words.tls:
        security = vehicle_security(
            credentials,
            catalogue=catalogue,
            clock=clock,
            editions=words.editions,
            staple_policy=words.staple_policy,
        )
    keys = vehicle_keys(held_by, catalogue=catalogue, compat=words.compat)
    rows = _spoken(words, methods)
    warm_up("evcc", protocols_of(rows), paths=security is not None)
    return VehicleSetup(plugins, rows, keys, security, clock)


def _contracts(credentials: VehicleCredentials | None, clock: Clock, words: VehicleWords) -> ContractStore:
    if credentials is None:
        return MemoryContracts(clock)
    return contract_store(credentials, clock, compat=words.compat, preferred=words.emaid)


def _most_seconds(words: VehicleWords) -> float:
    """In the battery's time."""
    by_clock = math.inf if words.stop_after is None else words.stop_after * words.speed
    return min(words.departure or math.inf, by_clock)


def _battery(words: VehicleWords) -> Battery:
    back = Curve.level(11_000.0 if words.discharge else 0.0)
    facts = BatteryFacts(words.capacity, discharging=back)
    return Battery(facts, words.soc, goals=Goals(departure=words.departure))


def _spoken(words: VehicleWords, methods: tuple[Method, ...]) -> Sequence[Spoken]:
    # EcoG's simulated stage reports the same voltage whatever is asked for, and its codec takes its time.
    ecog = words.compat == "ecog"
    within = math.inf if ecog else ISO2Settings().precharge_within
    rows: list[Spoken] = []
    if {"iso15118-20", "lab-ecog-20"} & set(words.editions):
        resume = words.resume if words.resume and words.resume.edition == "iso15118-20" else None
        settings = ISO20Settings(
            words.evcc_id, methods=methods, resume=resume, precharge_within=within, compat=words.compat
        )
        settings = replace(settings, timers=patient(settings.timers, _PATIENCE)) if ecog else settings
        rows.append(iso20_vehicle(settings, (ISO20_AC,) if words.current == "AC" else (ISO20_DC,)))
    if "iso15118-2" in words.editions:
        timers = patient(ISO2, _PATIENCE) if ecog else ISO2
        resume = words.resume if words.resume and words.resume.edition == "iso15118-2" else None
        two = ISO2Settings(evcc_id=words.mac, resume=resume, precharge_within=within, timers=timers)
        rows.append(iso2_vehicle(two))
    return rows
