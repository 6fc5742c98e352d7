"""What a station offers: ways to transfer energy, ways to pay, services beside them; words instead of the numbers of
messages.

Clauses: ISO 15118-2 8.4.3.3 to 8.4.3.5, table 105; ISO 15118-20 8.3.4.4, 8.4.3 (parameter sets of each service).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from v2gpki.energy.quantities import Current
from v2gpki.energy.schedule import ControlMode

#: "pnc": a contract in the vehicle pays; "eim": somebody at the station.
Method: TypeAlias = Literal["pnc", "eim"]
Connector: TypeAlias = Literal[
    "single_phase", "three_phase", "core", "extended", "combo_core", "unique", "dual2", "dual4"
]
#: What a station asks of a vehicle; "" nothing.
Notification: TypeAlias = Literal[
    "", "stop", "pause", "exit_standby", "renegotiate_schedule", "renegotiate_service", "confirm_metering"
]
ParameterValue: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Variant:
    """One parameter set of an energy service; what an edition or a service has no field for is not sent.

    ``connector`` of AC is "single_phase" or "three_phase"; of DC "core", "extended", in -2 also "combo_core" and
    "unique", in -20 "dual2" and "dual4". ``needs_by`` says who tells the mobility needs, ``islanding`` how a loss of
    the grid is detected.
    """

    connector: Connector
    identifier: int = 1
    control: ControlMode = "scheduled"
    needs_by: Literal["vehicle", "both"] = "vehicle"
    pricing: Literal["none", "absolute", "levels"] = "none"
    channel: Literal["unified", "separated"] = "unified"
    generator: Literal["following", "forming"] = "following"
    islanding: Literal["active", "passive"] = "passive"
    nominal_voltage: float = 230.0


@dataclass(frozen=True, slots=True)
class EnergyService:
    """AC or DC, one way or both (BPT, -20 only), and its variants."""

    current: Current
    variants: tuple[Variant, ...]
    bidirectional: bool = False
    free: bool = False


@dataclass(frozen=True, slots=True)
class ValueAdded:
    """A service beside charging: its number, and its parameter sets by theirs."""

    identifier: int
    name: str = ""
    category: Literal["Internet", "OtherCustom"] = "OtherCustom"
    scope: str = ""
    free: bool = True
    parameters: Mapping[int, Mapping[str, ParameterValue]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """All that a station offers. ``providers``: operators whose contracts it takes, by provider id; () says nothing of
    it (-20).
    """

    evse_id: str
    services: tuple[EnergyService, ...]
    methods: tuple[Method, ...] = ("pnc", "eim")
    value_added: tuple[ValueAdded, ...] = ()
    installation: bool = True
    service_renegotiation: bool = True
    pause: bool = True
    providers: tuple[str, ...] = ()
