"""What both sides can do, in the ChargeParameterDiscovery of AC and DC, one way and both.

A vehicle whose limits contradict themselves is refused (`session.wrong_parameter`). Powers of AC are sums in `energy`
and per phase in messages that have _L2 and _L3; a value without these is the sum. Clauses: ISO 15118-20 8.3.4.5,
8.3.4.6, [V2G20-1619], [V2G20-2272].
"""

from __future__ import annotations

from typing import TypeVar

from v2gpki.energy.quantities import Phases, StageLimits, VehicleLimits
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_dc as dc
from v2gpki.messages.iso20_types import RationalNumberType
from v2gpki.messages.schema import Message
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.services import Selected
from v2gpki.session.iso20.values import number, percent, rational

LimitsT = TypeVar("LimitsT", StageLimits, VehicleLimits)
#: Volts of a phase that tell what current an AC power means.
_NEUTRAL = 230.0


# --- the vehicle ----------------------------------------------------------------------------------------------------


def ask_ac(limits: VehicleLimits, bidirectional: bool) -> ac.AC_ChargeParameterDiscoveryReq:
    """The vehicle's limits of AC."""
    charge = _phases("EVMaximumChargePower", limits.max_charge_power, limits.phase_power) | _phases(
        "EVMinimumChargePower", limits.min_charge_power, _like(limits.min_charge_power, limits.phase_power)
    )
    mode: ac.CPDReqEnergyTransferMode
    if bidirectional:
        back = _phases(
            "EVMaximumDischargePower", limits.max_discharge_power, _like(limits.max_discharge_power, limits.phase_power)
        ) | _phases(
            "EVMinimumDischargePower", limits.min_discharge_power, _like(limits.min_discharge_power, limits.phase_power)
        )
        mode = ac.BPT_AC_CPDReqEnergyTransferMode(**charge, **back)
    else:
        mode = ac.AC_CPDReqEnergyTransferMode(**charge)
    return ac.AC_ChargeParameterDiscoveryReq(Header=HEADER, AC_CPDReqEnergyTransferMode=mode)


def ask_dc(limits: VehicleLimits, bidirectional: bool, target_soc: float | None) -> dc.DC_ChargeParameterDiscoveryReq:
    """The vehicle's limits of DC."""
    charge = {
        "EVMaximumChargePower": rational(limits.max_charge_power),
        "EVMinimumChargePower": rational(limits.min_charge_power),
        "EVMaximumChargeCurrent": rational(limits.max_current),
        "EVMinimumChargeCurrent": rational(limits.min_current),
        "EVMaximumVoltage": rational(limits.max_voltage),
        "EVMinimumVoltage": rational(limits.min_voltage),
    }
    mode: dc.CPDReqEnergyTransferMode
    if bidirectional:
        mode = dc.BPT_DC_CPDReqEnergyTransferMode(
            **charge,
            TargetSOC=percent(target_soc),
            EVMaximumDischargePower=rational(limits.max_discharge_power),
            EVMinimumDischargePower=rational(limits.min_discharge_power),
            EVMaximumDischargeCurrent=rational(limits.max_discharge_current),
            EVMinimumDischargeCurrent=rational(limits.min_discharge_current),
        )
    else:
        mode = dc.DC_CPDReqEnergyTransferMode(**charge, TargetSOC=percent(target_soc))
    return dc.DC_ChargeParameterDiscoveryReq(Header=HEADER, DC_CPDReqEnergyTransferMode=mode)


def read_vehicle(request: Message, selected: Selected) -> VehicleLimits:
    """What the vehicle says it can do. Raises `session.wrong_parameter`, also for the mode of another service."""
    if isinstance(request, ac.AC_ChargeParameterDiscoveryReq):
        mode: ac.CPDReqEnergyTransferMode | dc.CPDReqEnergyTransferMode = request.AC_CPDReqEnergyTransferMode
        both = isinstance(mode, ac.BPT_AC_CPDReqEnergyTransferMode)
    elif isinstance(request, dc.DC_ChargeParameterDiscoveryReq):
        mode = request.DC_CPDReqEnergyTransferMode
        both = isinstance(mode, dc.BPT_DC_CPDReqEnergyTransferMode)
    else:
        raise _wrong(f"{type(request).__name__} has no limits")
    if both != selected.bidirectional:
        raise _wrong(f"{type(mode).__name__} is not of the service {selected.identifier} that was selected")
    if isinstance(mode, ac.AC_CPDReqEnergyTransferMode):
        limits = _vehicle_ac(mode, selected.phases)
    else:
        limits = _vehicle_dc(mode)
    _require_sense(limits)
    return limits


def _vehicle_ac(mode: ac.AC_CPDReqEnergyTransferMode, phases: int) -> VehicleLimits:
    power, each = _sum(mode, "EVMaximumChargePower")
    back = isinstance(mode, ac.BPT_AC_CPDReqEnergyTransferMode)
    return VehicleLimits(
        "AC",
        power,
        _NEUTRAL,
        power / (_NEUTRAL * phases),
        min_charge_power=_sum(mode, "EVMinimumChargePower")[0],
        max_discharge_power=_sum(mode, "EVMaximumDischargePower")[0] if back else 0.0,
        min_discharge_power=_sum(mode, "EVMinimumDischargePower")[0] if back else 0.0,
        phases=phases,
        phase_power=each,
    )


def _vehicle_dc(mode: dc.DC_CPDReqEnergyTransferMode) -> VehicleLimits:
    back = mode if isinstance(mode, dc.BPT_DC_CPDReqEnergyTransferMode) else None
    return VehicleLimits(
        "DC",
        number(mode.EVMaximumChargePower),
        number(mode.EVMaximumVoltage),
        number(mode.EVMaximumChargeCurrent),
        min_charge_power=number(mode.EVMinimumChargePower),
        min_voltage=number(mode.EVMinimumVoltage),
        min_current=number(mode.EVMinimumChargeCurrent),
        # What flows out is told as magnitudes; some vehicles send them negative.
        max_discharge_power=abs(number(back.EVMaximumDischargePower)) if back else 0.0,
        min_discharge_power=abs(number(back.EVMinimumDischargePower)) if back else 0.0,
        max_discharge_current=abs(number(back.EVMaximumDischargeCurrent)) if back else 0.0,
        min_discharge_current=abs(number(back.EVMinimumDischargeCurrent)) if back else 0.0,
    )


def _require_sense(limits: VehicleLimits) -> None:
    pairs = {
        "charge power": (limits.min_charge_power, limits.max_charge_power),
        "voltage": (limits.min_voltage, limits.max_voltage),
        "charge current": (limits.min_current, limits.max_current),
        "discharge power": (limits.min_discharge_power, limits.max_discharge_power),
        "discharge current": (limits.min_discharge_current, limits.max_discharge_current),
    }
    for what, (least, most) in pairs.items():
        if least < 0 or most < least:
            raise _wrong(f"the vehicle's {what} is {least:g} at least and {most:g} at most")


# --- the station ----------------------------------------------------------------------------------------------------


def tell_ac(limits: StageLimits, bidirectional: bool) -> ac.AC_ChargeParameterDiscoveryRes:
    """The station's limits of AC."""
    charge = {
        **_phases("EVSEMaximumChargePower", limits.max_charge_power, limits.phase_power),
        **_phases(
            "EVSEMinimumChargePower", limits.min_charge_power, _like(limits.min_charge_power, limits.phase_power)
        ),
    }
    more = {
        "EVSENominalFrequency": rational(limits.nominal_frequency),
        **_given("MaximumPowerAsymmetry", limits.max_power_asymmetry),
        **_given("EVSEPowerRampLimitation", limits.power_ramp),
    }
    mode: ac.CPDResEnergyTransferMode
    if bidirectional:
        most, least = limits.max_discharge_power, limits.min_discharge_power
        back = {
            **_phases("EVSEMaximumDischargePower", most, _like(most, limits.phase_power)),
            **_phases("EVSEMinimumDischargePower", least, _like(least, limits.phase_power)),
        }
        mode = ac.BPT_AC_CPDResEnergyTransferMode(**charge, **more, **back)
    else:
        mode = ac.AC_CPDResEnergyTransferMode(**charge, **more)
    return ac.AC_ChargeParameterDiscoveryRes(Header=HEADER, ResponseCode="OK", AC_CPDResEnergyTransferMode=mode)


def tell_dc(limits: StageLimits, bidirectional: bool) -> dc.DC_ChargeParameterDiscoveryRes:
    """The station's limits of DC."""
    charge = {
        "EVSEMaximumChargePower": rational(limits.max_charge_power),
        "EVSEMinimumChargePower": rational(limits.min_charge_power),
        "EVSEMaximumChargeCurrent": rational(limits.max_current),
        "EVSEMinimumChargeCurrent": rational(limits.min_current),
        "EVSEMaximumVoltage": rational(limits.max_voltage),
        "EVSEMinimumVoltage": rational(limits.min_voltage),
        **_given("EVSEPowerRampLimitation", limits.power_ramp),
    }
    mode: dc.CPDResEnergyTransferMode
    if bidirectional:
        mode = dc.BPT_DC_CPDResEnergyTransferMode(
            **charge,
            EVSEMaximumDischargePower=rational(limits.max_discharge_power),
            EVSEMinimumDischargePower=rational(limits.min_discharge_power),
            EVSEMaximumDischargeCurrent=rational(limits.max_discharge_current),
            EVSEMinimumDischargeCurrent=rational(limits.min_discharge_current),
        )
    else:
        mode = dc.DC_CPDResEnergyTransferMode(**charge)
    return dc.DC_ChargeParameterDiscoveryRes(Header=HEADER, ResponseCode="OK", DC_CPDResEnergyTransferMode=mode)


def read_station(
    response: ac.AC_ChargeParameterDiscoveryRes | dc.DC_ChargeParameterDiscoveryRes, selected: Selected
) -> StageLimits:
    """What the station says it can do."""
    if isinstance(response, dc.DC_ChargeParameterDiscoveryRes):
        return _station_dc(response.DC_CPDResEnergyTransferMode)
    mode = response.AC_CPDResEnergyTransferMode
    power, each = _sum(mode, "EVSEMaximumChargePower")
    back = isinstance(mode, ac.BPT_AC_CPDResEnergyTransferMode)
    phases = selected.phases
    return StageLimits(
        "AC",
        power,
        _NEUTRAL,
        power / (_NEUTRAL * phases),
        min_charge_power=_sum(mode, "EVSEMinimumChargePower")[0],
        max_discharge_power=_sum(mode, "EVSEMaximumDischargePower")[0] if back else 0.0,
        min_discharge_power=_sum(mode, "EVSEMinimumDischargePower")[0] if back else 0.0,
        phases=phases,
        phase_power=each,
        nominal_frequency=number(mode.EVSENominalFrequency),
        max_power_asymmetry=number(mode.MaximumPowerAsymmetry),
        power_ramp=number(mode.EVSEPowerRampLimitation),
    )


def _station_dc(mode: dc.DC_CPDResEnergyTransferMode) -> StageLimits:
    back = mode if isinstance(mode, dc.BPT_DC_CPDResEnergyTransferMode) else None
    return StageLimits(
        "DC",
        number(mode.EVSEMaximumChargePower),
        number(mode.EVSEMaximumVoltage),
        number(mode.EVSEMaximumChargeCurrent),
        min_charge_power=number(mode.EVSEMinimumChargePower),
        min_voltage=number(mode.EVSEMinimumVoltage),
        min_current=number(mode.EVSEMinimumChargeCurrent),
        max_discharge_power=abs(number(back.EVSEMaximumDischargePower)) if back else 0.0,
        min_discharge_power=abs(number(back.EVSEMinimumDischargePower)) if back else 0.0,
        max_discharge_current=abs(number(back.EVSEMaximumDischargeCurrent)) if back else 0.0,
        min_discharge_current=abs(number(back.EVSEMinimumDischargeCurrent)) if back else 0.0,
        power_ramp=number(mode.EVSEPowerRampLimitation),
    )


# --- phases ---------------------------------------------------------------------------------------------------------


def _phases(name: str, power: float, each: Phases | None) -> dict[str, RationalNumberType]:
    """A power of AC in its field, or in those of its phases."""
    if each is None:
        return {name: rational(power)}
    first, second, third = each
    return {name: rational(first), f"{name}_L2": rational(second), f"{name}_L3": rational(third)}


def _like(power: float, each: Phases | None) -> Phases | None:
    """The phases of another power of the same side: shared equally, if phases are told at all."""
    return None if each is None else (power / 3, power / 3, power / 3)


def _sum(mode: Message, name: str) -> tuple[float, Phases | None]:
    """A power of AC: the sum, and what each phase has if that is told."""
    found = [number(getattr(mode, field)) for field in (name, f"{name}_L2", f"{name}_L3")]
    values = [abs(value) if "Discharge" in name else value for value in found if value is not None]
    if len(values) < len(found):
        return sum(values), None
    return sum(values), (values[0], values[1], values[2])


def _given(name: str, value: float | None) -> dict[str, RationalNumberType]:
    return {} if value is None else {name: rational(value)}


def _wrong(what: str) -> V2GPKIError:
    return V2GPKIError("session.wrong_parameter", what, clause="ISO 15118-20 [V2G20-1619], [V2G20-2272]")
