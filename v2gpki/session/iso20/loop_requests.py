"""What a vehicle says in a turn of the charging loop: AC and DC, scheduled and dynamic, one way and both.

A loop in another control mode or direction than was selected is refused (`session.wrong_parameter`). Clauses: ISO
15118-20 8.3.4.5.3, 8.3.4.6.5, 8.3.5.4, 8.3.5.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from v2gpki.energy.quantities import Demand, Needs, Setpoint, VehicleLimits, VehicleState
from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_dc as dc
from v2gpki.messages.iso20_types import (
    DisplayParametersType,
    Dynamic_CLReqControlModeType,
    RationalNumberType,
    Scheduled_CLReqControlModeType,
)
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.services import Selected
from v2gpki.session.iso20.values import fraction, number, percent, rational, seconds

LoopReq: TypeAlias = ac.AC_ChargeLoopReq | dc.DC_ChargeLoopReq


@dataclass(frozen=True, slots=True)
class Turn:
    """What a vehicle says in one turn of the loop."""

    setpoint: Setpoint
    limits: VehicleLimits
    needs: Needs | None
    vehicle: VehicleState
    meter: bool


# --- written by the vehicle -----------------------------------------------------------------------------------------


def ask(
    selected: Selected, demand: Demand, limits: VehicleLimits, needs: Needs, state: VehicleState, *, meter: bool
) -> LoopReq:
    """The vehicle's part of a turn. Raises `session.value`."""
    display = DisplayParametersType(
        PresentSOC=percent(state.soc),
        MinimumSOC=percent(needs.minimum_soc),
        TargetSOC=percent(needs.target_soc),
        MaximumSOC=percent(needs.maximum_soc),
        RemainingTimeToMinimumSOC=seconds(state.seconds_to_minimum),
        RemainingTimeToTargetSOC=seconds(state.seconds_to_target),
        RemainingTimeToMaximumSOC=seconds(state.seconds_to_full),
        ChargingComplete=state.complete,
        BatteryEnergyCapacity=None if needs.capacity is None else rational(needs.capacity),
        InletHot=state.inlet_hot or None,
    )
    if selected.current == "DC":
        return dc.DC_ChargeLoopReq(
            Header=HEADER,
            DisplayParameters=display,
            MeterInfoRequested=meter,
            EVPresentVoltage=rational(state.voltage),
            CLReqControlMode=_dc_mode(selected, demand, limits, needs),
        )
    return ac.AC_ChargeLoopReq(
        Header=HEADER,
        DisplayParameters=display,
        MeterInfoRequested=meter,
        CLReqControlMode=_ac_mode(selected, limits, needs, state),
    )


def _energies(needs: Needs) -> dict[str, RationalNumberType]:
    return {
        "EVTargetEnergyRequest": rational(needs.target_energy),
        "EVMaximumEnergyRequest": rational(needs.maximum_energy),
        "EVMinimumEnergyRequest": rational(needs.minimum_energy),
    }


def _lent(needs: Needs) -> dict[str, RationalNumberType]:
    told = {"EVMaximumV2XEnergyRequest": needs.v2x_maximum, "EVMinimumV2XEnergyRequest": needs.v2x_minimum}
    return {name: rational(value) for name, value in told.items() if value is not None}


def _dc_mode(selected: Selected, demand: Demand, limits: VehicleLimits, needs: Needs) -> dc.DC_CLReqControlMode:
    bounds = {
        "EVMaximumChargePower": rational(limits.max_charge_power),
        "EVMinimumChargePower": rational(limits.min_charge_power),
        "EVMaximumChargeCurrent": rational(limits.max_current),
        "EVMaximumVoltage": rational(limits.max_voltage),
        "EVMinimumVoltage": rational(limits.min_voltage),
    }
    back = {
        "EVMaximumDischargePower": rational(limits.max_discharge_power),
        "EVMinimumDischargePower": rational(limits.min_discharge_power),
        "EVMaximumDischargeCurrent": rational(limits.max_discharge_current),
    }
    if selected.variant.control == "dynamic":
        departure = seconds(needs.departure)
        if selected.bidirectional:
            return dc.BPT_Dynamic_DC_CLReqControlMode(
                DepartureTime=departure, **_energies(needs), **bounds, **back, **_lent(needs)
            )
        return dc.Dynamic_DC_CLReqControlMode(DepartureTime=departure, **_energies(needs), **bounds)
    targets = {"EVTargetCurrent": rational(demand.current), "EVTargetVoltage": rational(demand.voltage)}
    if selected.bidirectional:
        return dc.BPT_Scheduled_DC_CLReqControlMode(**_energies(needs), **targets, **bounds, **back)
    return dc.Scheduled_DC_CLReqControlMode(**_energies(needs), **targets, **bounds)


def _ac_mode(
    selected: Selected, limits: VehicleLimits, needs: Needs, state: VehicleState
) -> ac.AC_CLReqControlMode:
    bounds = {
        "EVMaximumChargePower": rational(limits.max_charge_power),
        "EVMinimumChargePower": rational(limits.min_charge_power),
        "EVPresentActivePower": rational(state.power),
    }
    reactive = rational(state.reactive_power)
    back = {
        "EVMaximumDischargePower": rational(limits.max_discharge_power),
        "EVMinimumDischargePower": rational(limits.min_discharge_power),
    }
    if limits.phase_power is not None:
        bounds |= _each("EVMaximumChargePower", limits.max_charge_power, limits)
        bounds |= _each("EVMinimumChargePower", limits.min_charge_power, limits)
        bounds |= _each("EVPresentActivePower", state.power, limits)
        back |= _each("EVMaximumDischargePower", limits.max_discharge_power, limits)
        back |= _each("EVMinimumDischargePower", limits.min_discharge_power, limits)
    if selected.variant.control == "dynamic":
        departure = seconds(needs.departure)
        told = {**_energies(needs), **bounds, "EVPresentReactivePower": reactive}
        if selected.bidirectional:
            return ac.BPT_Dynamic_AC_CLReqControlMode(DepartureTime=departure, **told, **back, **_lent(needs))
        return ac.Dynamic_AC_CLReqControlMode(DepartureTime=departure, **told)
    if selected.bidirectional:
        return ac.BPT_Scheduled_AC_CLReqControlMode(**_energies(needs), **bounds, **back)
    return ac.Scheduled_AC_CLReqControlMode(**_energies(needs), **bounds)


def _each(name: str, power: float, limits: VehicleLimits) -> dict[str, RationalNumberType]:
    """A sum shared by three phases, by the shares of the vehicle's most power."""
    each, total = limits.phase_power, limits.max_charge_power
    if each is None:
        return {name: rational(power)}
    shares = [part / total if total else 1 / 3 for part in each]
    fields = (name, f"{name}_L2", f"{name}_L3")
    return {field: rational(power * share) for field, share in zip(fields, shares, strict=True)}


# --- read by the station --------------------------------------------------------------------------------------------


def read(request: LoopReq, selected: Selected, before: VehicleLimits) -> Turn:
    """What a vehicle says in a turn; ``before`` are its limits until now. Raises `session.wrong_parameter`."""
    mode = request.CLReqControlMode
    dynamic = isinstance(mode, Dynamic_CLReqControlModeType)
    both = type(mode).__name__.startswith("BPT_")
    if dynamic != (selected.variant.control == "dynamic") or both != selected.bidirectional:
        raise V2GPKIError(
            "session.wrong_parameter",
            f"the loop is one of {type(mode).__name__}; selected is {selected.variant.control} control"
            f"{' of both directions' if selected.bidirectional else ''}",
            clause="ISO 15118-20 8.3.5.3",
        )
    shown = request.DisplayParameters
    if isinstance(mode, ac.Scheduled_AC_CLReqControlMode | ac.Dynamic_AC_CLReqControlMode):
        voltage, setpoint, limits, present = 0.0, *_ac_turn(mode, before)
    else:
        present = 0.0
        assert isinstance(request, dc.DC_ChargeLoopReq)
        assert isinstance(mode, dc.Scheduled_DC_CLReqControlMode | dc.Dynamic_DC_CLReqControlMode)
        voltage = number(request.EVPresentVoltage)
        setpoint, limits = _dc_turn(mode, before, voltage)
    return Turn(
        setpoint,
        limits,
        _read_needs(mode, shown),
        VehicleState(
            soc=(fraction(shown.PresentSOC) or 0.0) if shown else 0.0,
            voltage=voltage,
            power=present,
            complete=bool(shown and shown.ChargingComplete),
            inlet_hot=bool(shown and shown.InletHot),
        ),
        request.MeterInfoRequested,
    )


def _dc_turn(
    mode: dc.Scheduled_DC_CLReqControlMode | dc.Dynamic_DC_CLReqControlMode, before: VehicleLimits, voltage: float
) -> tuple[Setpoint, VehicleLimits]:
    back = isinstance(mode, dc.BPT_Scheduled_DC_CLReqControlMode | dc.BPT_Dynamic_DC_CLReqControlMode)
    limits = replace(
        before,
        max_charge_power=max(0.0, _or(mode.EVMaximumChargePower, before.max_charge_power)),
        min_charge_power=_or(mode.EVMinimumChargePower, before.min_charge_power),
        max_current=max(0.0, _or(mode.EVMaximumChargeCurrent, before.max_current)),
        max_voltage=_or(mode.EVMaximumVoltage, before.max_voltage),
        min_voltage=_or(mode.EVMinimumVoltage, before.min_voltage),
    )
    if back:
        assert isinstance(mode, dc.BPT_Scheduled_DC_CLReqControlMode | dc.BPT_Dynamic_DC_CLReqControlMode)
        limits = replace(
            limits,
            max_discharge_power=abs(_or(mode.EVMaximumDischargePower, before.max_discharge_power)),
            min_discharge_power=abs(_or(mode.EVMinimumDischargePower, before.min_discharge_power)),
            max_discharge_current=abs(_or(mode.EVMaximumDischargeCurrent, before.max_discharge_current)),
        )
    if isinstance(mode, dc.Dynamic_DC_CLReqControlMode):
        setpoint = _bounded(Setpoint(limits.max_charge_power, voltage=voltage), limits)
    else:
        volts, amperes = max(0.0, number(mode.EVTargetVoltage)), number(mode.EVTargetCurrent)
        # Nothing flows back in a service of one way, whatever the stage could do.
        amperes = amperes if back else max(0.0, amperes)
        setpoint = _bounded(Setpoint(volts * amperes, voltage=volts, current=amperes), limits)
    energy = mode.EVMaximumEnergyRequest
    return replace(setpoint, energy=number(energy)), limits


def _ac_turn(
    mode: ac.Scheduled_AC_CLReqControlMode | ac.Dynamic_AC_CLReqControlMode, before: VehicleLimits
) -> tuple[Setpoint, VehicleLimits, float]:
    limits = replace(
        before,
        max_charge_power=max(0.0, _total(mode, "EVMaximumChargePower", before.max_charge_power)),
        min_charge_power=_total(mode, "EVMinimumChargePower", before.min_charge_power),
    )
    back = isinstance(mode, ac.BPT_Scheduled_AC_CLReqControlMode | ac.BPT_Dynamic_AC_CLReqControlMode)
    if back:
        assert isinstance(mode, ac.BPT_Scheduled_AC_CLReqControlMode | ac.BPT_Dynamic_AC_CLReqControlMode)
        limits = replace(
            limits,
            max_discharge_power=abs(_total(mode, "EVMaximumDischargePower", before.max_discharge_power)),
            min_discharge_power=abs(_total(mode, "EVMinimumDischargePower", before.min_discharge_power)),
        )
    present = _total(mode, "EVPresentActivePower", 0.0)
    # Nothing flows back in a service of one way, whatever the stage could do.
    flowing = present if back else max(0.0, present)
    setpoint = _bounded(Setpoint(limits.max_charge_power, flowing=flowing), limits)
    energy = mode.EVMaximumEnergyRequest
    return replace(setpoint, energy=number(energy)), limits, present


def _bounded(setpoint: Setpoint, limits: VehicleLimits) -> Setpoint:
    return replace(
        setpoint, max_voltage=limits.max_voltage, max_current=limits.max_current, max_power=limits.max_charge_power
    )


def _or(value: RationalNumberType | None, before: float) -> float:
    return before if value is None else number(value)


def _total(mode: object, name: str, before: float) -> float:
    """The sum of a power over its phases; ``before`` if it is not told."""
    told = [number(getattr(mode, field)) for field in (name, f"{name}_L2", f"{name}_L3")]
    values = [value for value in told if value is not None]
    return sum(values) if values else before


def _read_needs(
    mode: Scheduled_CLReqControlModeType | Dynamic_CLReqControlModeType, shown: DisplayParametersType | None
) -> Needs | None:
    target = number(mode.EVTargetEnergyRequest)
    if target is None:
        return None
    most, least = number(mode.EVMaximumEnergyRequest), number(mode.EVMinimumEnergyRequest)
    lent = isinstance(mode, ac.BPT_Dynamic_AC_CLReqControlMode | dc.BPT_Dynamic_DC_CLReqControlMode)
    return Needs(
        target,
        target if most is None else most,
        0.0 if least is None else least,
        departure=_departure(mode),
        capacity=number(shown.BatteryEnergyCapacity) if shown else None,
        minimum_soc=fraction(shown.MinimumSOC) if shown else None,
        target_soc=fraction(shown.TargetSOC) if shown else None,
        maximum_soc=fraction(shown.MaximumSOC) if shown else None,
        v2x_maximum=number(getattr(mode, "EVMaximumV2XEnergyRequest", None)) if lent else None,
        v2x_minimum=number(getattr(mode, "EVMinimumV2XEnergyRequest", None)) if lent else None,
    )


def _departure(mode: Scheduled_CLReqControlModeType | Dynamic_CLReqControlModeType) -> float | None:
    told = mode.DepartureTime if isinstance(mode, Dynamic_CLReqControlModeType) else None
    return None if told is None else float(told)
