"""The services of ISO 15118-20: their ids, their parameter sets, and an offer in the numbers of the messages.

Clauses: ISO 15118-20 8.4.3 (service ids, parameters of AC, DC, AC_BPT, DC_BPT), [V2G20-2663].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from v2gpki.energy.offer import Connector, EnergyService, Offer, ParameterValue, ValueAdded, Variant
from v2gpki.energy.quantities import Current
from v2gpki.energy.schedule import ControlMode
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_common as cm
from v2gpki.session.iso20.values import number, rational

#: Energy services by current and direction.
SERVICE_IDS: Mapping[tuple[Current, bool], int] = {
    ("AC", False): 1,
    ("DC", False): 2,
    ("AC", True): 5,
    ("DC", True): 6,
}
_KINDS = {identifier: kind for kind, identifier in SERVICE_IDS.items()}
_CONNECTORS: Mapping[Current, Mapping[Connector, int]] = {
    "AC": {"single_phase": 1, "three_phase": 2},
    "DC": {"core": 1, "extended": 2, "dual2": 3, "dual4": 4},
}
_CONTROL: Mapping[ControlMode, int] = {"scheduled": 1, "dynamic": 2}
_NEEDS_BY: Mapping[Literal["vehicle", "both"], int] = {"vehicle": 1, "both": 2}
_PRICING: Mapping[Literal["none", "absolute", "levels"], int] = {"none": 0, "absolute": 1, "levels": 2}
_CHANNEL: Mapping[Literal["unified", "separated"], int] = {"unified": 1, "separated": 2}
_GENERATOR: Mapping[Literal["following", "forming"], int] = {"following": 1, "forming": 2}
_ISLANDING: Mapping[Literal["active", "passive"], int] = {"active": 1, "passive": 2}
KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Selected:
    """The energy service of a session: its number, and what its numbers mean."""

    identifier: int
    service: EnergyService
    variant: Variant

    @property
    def current(self) -> Current:
        """AC or DC."""
        return self.service.current

    @property
    def transfer(self) -> str:
        """ "ac" or "dc", as states are named."""
        return self.service.current.lower()

    @property
    def phases(self) -> int:
        """How many phases AC has."""
        return 3 if self.variant.connector == "three_phase" else 1

    @property
    def bidirectional(self) -> bool:
        """Whether energy may flow out of the vehicle."""
        return self.service.bidirectional


# --- the station's side ---------------------------------------------------------------------------------------------


def identifier_of(service: EnergyService) -> int:
    """The number of an energy service."""
    return SERVICE_IDS[service.current, service.bidirectional]


def offered(offer: Offer, current: str = "") -> Mapping[int, EnergyService]:
    """The energy services of an offer by number; ``current`` "ac" or "dc": those alone."""
    return {
        identifier_of(service): service
        for service in offer.services
        if not current or service.current.lower() == current
    }


def details(offer: Offer, identifier: int, current: str = "") -> cm.ServiceParameterListType:
    """The parameter sets of a service. Raises `session.unknown_service` for one that is not offered."""
    service = offered(offer, current).get(identifier)
    if service is not None:
        sets = tuple(
            cm.ParameterSetType(ParameterSetID=variant.identifier, Parameter=_parameters(service, variant))
            for variant in service.variants
        )
        return cm.ServiceParameterListType(ParameterSet=sets)
    for added in offer.value_added:
        if added.identifier == identifier:
            return cm.ServiceParameterListType(ParameterSet=_sets(added))
    raise V2GPKIError(
        "session.unknown_service",
        f"the vehicle asks for details of service {identifier}, which is not offered",
        clause="ISO 15118-20 [V2G20-464]",
        facts={"service": identifier},
    )


def select(offer: Offer, request: cm.ServiceSelectionReq, current: str = "") -> Selected:
    """What a vehicle selects. Raises `session.no_charge_service`, `session.wrong_services`."""
    wanted = request.SelectedEnergyTransferService
    found = selected(offer, wanted.ServiceID, wanted.ParameterSetID, current)
    if found is None:
        raise V2GPKIError(
            "session.no_charge_service",
            f"service {wanted.ServiceID} with parameter set {wanted.ParameterSetID} is not offered",
            clause="ISO 15118-20 [V2G20-1985]",
            facts={"service": wanted.ServiceID, "parameter_set": wanted.ParameterSetID},
        )
    added = {(value.identifier, number) for value in offer.value_added for number in _numbers(value)}
    for extra in request.SelectedVASList.SelectedService if request.SelectedVASList else ():
        if (extra.ServiceID, extra.ParameterSetID) not in added:
            raise V2GPKIError(
                "session.wrong_services",
                f"value-added service {extra.ServiceID} with parameter set {extra.ParameterSetID} is not offered",
                clause="ISO 15118-20 8.3.4.4",
                facts={"service": extra.ServiceID, "parameter_set": extra.ParameterSetID},
            )
    return found


def selected(offer: Offer, identifier: int, parameter_set: int, current: str = "") -> Selected | None:
    """A service and variant by their numbers, None if they are not offered."""
    service = offered(offer, current).get(identifier)
    for variant in service.variants if service else ():
        if service is not None and variant.identifier == parameter_set:
            return Selected(identifier, service, variant)
    return None


def kept(identifier: int, variant: Variant) -> Selected | None:
    """A service that was selected before; None for a number that is none of AC and DC."""
    kind = _KINDS.get(identifier)
    return None if kind is None else Selected(identifier, EnergyService(kind[0], (variant,), kind[1]), variant)


# --- the vehicle's side ---------------------------------------------------------------------------------------------


def read_service(identifier: int, free: bool, sets: cm.ServiceParameterListType) -> EnergyService | None:
    """An energy service with its parameter sets; None for one that is none of AC and DC."""
    kind = _KINDS.get(identifier)
    if kind is None:
        return None
    variants = tuple(
        variant for one in sets.ParameterSet if (variant := _variant(kind[0], one)) is not None
    )
    return EnergyService(kind[0], variants, kind[1], free)


def read_value_added(identifier: int, free: bool, sets: cm.ServiceParameterListType | None) -> ValueAdded:
    """A value-added service with what its parameter sets say."""
    listed = sets.ParameterSet if sets else ()
    return ValueAdded(
        identifier,
        free=free,
        parameters={
            one.ParameterSetID: {parameter.Name: _value(parameter) for parameter in one.Parameter} for one in listed
        },
    )


def is_energy(identifier: int) -> bool:
    """Whether a service transfers energy in a way that is known here."""
    return identifier in _KINDS


# --- parameters -----------------------------------------------------------------------------------------------------


def _parameters(service: EnergyService, variant: Variant) -> tuple[cm.ParameterType, ...]:
    values: dict[str, int] = {
        "Connector": _CONNECTORS[service.current].get(variant.connector, 1),
        "ControlMode": _CONTROL[variant.control],
        "MobilityNeedsMode": _NEEDS_BY[variant.needs_by if variant.control == "dynamic" else "vehicle"],
        "Pricing": _PRICING[variant.pricing],
    }
    if service.current == "AC":
        values["EVSENominalVoltage"] = round(variant.nominal_voltage)
    if service.bidirectional:
        values["BPTChannel"] = _CHANNEL[variant.channel]
        values["GeneratorMode"] = _GENERATOR[variant.generator]
        if service.current == "AC":
            values["GridCodeIslandingDetectionMethod"] = _ISLANDING[variant.islanding]
    return tuple(cm.ParameterType(Name=name, intValue=value) for name, value in values.items())


def _variant(current: Current, one: cm.ParameterSetType) -> Variant | None:
    """A parameter set as a variant; None without a control mode, or with a number that is not defined."""
    values = {parameter.Name: _value(parameter) for parameter in one.Parameter}
    try:
        return Variant(
            connector=_key(_CONNECTORS[current], values, "Connector", "three_phase" if current == "AC" else "extended"),
            identifier=one.ParameterSetID,
            control=_key(_CONTROL, values, "ControlMode", None),
            needs_by=_key(_NEEDS_BY, values, "MobilityNeedsMode", "vehicle"),
            pricing=_key(_PRICING, values, "Pricing", "none"),
            channel=_key(_CHANNEL, values, "BPTChannel", "unified"),
            generator=_key(_GENERATOR, values, "GeneratorMode", "following"),
            islanding=_key(_ISLANDING, values, "GridCodeIslandingDetectionMethod", "passive"),
            nominal_voltage=float(values.get("EVSENominalVoltage", 230)),
        )
    except (KeyError, ValueError):
        return None


def _key(words: Mapping[KeyT, int], values: Mapping[str, ParameterValue], name: str, default: KeyT | None) -> KeyT:
    """The word of a parameter. Raises KeyError for a number that means nothing, or none at all."""
    if name not in values and default is not None:
        return default
    value = values[name]
    return {number: word for word, number in words.items()}[int(value)]


def _value(parameter: cm.ParameterType) -> ParameterValue:
    for plain in (
        parameter.boolValue,
        parameter.byteValue,
        parameter.shortValue,
        parameter.intValue,
        number(parameter.rationalNumber),
        parameter.finiteString,
    ):
        if plain is not None:
            return plain
    raise V2GPKIError("internal.bug", f"the parameter {parameter.Name} has no value")


def _sets(added: ValueAdded) -> tuple[cm.ParameterSetType, ...]:
    return tuple(
        cm.ParameterSetType(
            ParameterSetID=identifier,
            Parameter=tuple(_parameter(name, value) for name, value in values.items())
            or (cm.ParameterType(Name="name", finiteString=added.name),),
        )
        for identifier, values in (added.parameters or {1: {}}).items()
    )


def _numbers(added: ValueAdded) -> Sequence[int]:
    return tuple(added.parameters) or (1,)


def _parameter(name: str, value: ParameterValue) -> cm.ParameterType:
    if isinstance(value, bool):
        return cm.ParameterType(Name=name, boolValue=value)
    if isinstance(value, int):
        return cm.ParameterType(Name=name, intValue=value)
    if isinstance(value, float):
        return cm.ParameterType(Name=name, rationalNumber=rational(value))
    return cm.ParameterType(Name=name, finiteString=value)
