"""What a station says in a turn of the charging loop: AC and DC, scheduled and dynamic, one way and both.

Clauses: ISO 15118-20 8.3.4.5.3, 8.3.4.6.5, 8.3.5.3 (EVSEStatus), 8.3.5.4, 8.3.5.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from v2gpki.energy.offer import Notification
from v2gpki.energy.quantities import Present, StageLimits
from v2gpki.energy.steering import Control, Delivered
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_dc as dc
from v2gpki.messages.iso20_types import EVSEStatusType, MeterInfoType, RationalNumberType, evseNotificationType
from v2gpki.session.iso20.dialect import HEADER
from v2gpki.session.iso20.services import Selected
from v2gpki.session.iso20.values import number, percent, rational, seconds
from v2gpki.session.questions import Delivery

LoopRes: TypeAlias = ac.AC_ChargeLoopRes | dc.DC_ChargeLoopRes
_NOTIFICATIONS: dict[Notification, evseNotificationType] = {
    "stop": "Terminate",
    "pause": "Pause",
    "exit_standby": "ExitStandby",
    "renegotiate_schedule": "ScheduleRenegotiation",
    "renegotiate_service": "ServiceRenegotiation",
    "confirm_metering": "MeteringConfirmation",
}
_WORDS: dict[str, Notification] = {name: word for word, name in _NOTIFICATIONS.items()}
_DELAYS = 65_535

# --- written by the station -----------------------------------------------------------------------------------------


def tell(
    selected: Selected, delivery: Delivery, status: EVSEStatusType | None, meter: MeterInfoType | None
) -> LoopRes:
    """The station's part of a turn, without receipt. Raises `session.value`."""
    present = delivery.present
    if selected.current == "AC":
        control = delivery.control
        return ac.AC_ChargeLoopRes(
            Header=HEADER,
            ResponseCode="OK",
            EVSEStatus=status,
            MeterInfo=meter,
            EVSETargetFrequency=None if control.frequency is None else rational(control.frequency),
            CLResControlMode=_ac_answer(selected, delivery),
        )
    return dc.DC_ChargeLoopRes(
        Header=HEADER,
        ResponseCode="OK",
        EVSEStatus=status,
        MeterInfo=meter,
        EVSEPresentCurrent=rational(present.current),
        EVSEPresentVoltage=rational(present.voltage),
        EVSEPowerLimitAchieved=present.power_limited,
        EVSECurrentLimitAchieved=present.current_limited,
        EVSEVoltageLimitAchieved=present.voltage_limited,
        CLResControlMode=_dc_answer(selected, delivery),
    )


def status(control: Control, notification: Notification) -> EVSEStatusType | None:
    """What the station wants next; None for nothing."""
    if not notification:
        return None
    delay = max(0, min(_DELAYS, control.notification_seconds))
    return EVSEStatusType(NotificationMaxDelay=delay, EVSENotification=_NOTIFICATIONS[notification])


@dataclass(frozen=True, slots=True)
class _Intention:
    """What a station that decides says of the future."""

    DepartureTime: int | None
    MinimumSOC: int | None
    TargetSOC: int | None
    AckMaxDelay: int | None


def _intention(control: Control) -> _Intention:
    delay = control.acknowledge_seconds
    return _Intention(
        seconds(control.departure),
        percent(control.minimum_soc),
        percent(control.target_soc),
        None if delay is None else max(0, min(_DELAYS, delay)),
    )


def _dc_answer(selected: Selected, delivery: Delivery) -> dc.DC_CLResControlMode:
    limits = delivery.limits
    bounds = {
        "EVSEMaximumChargePower": rational(limits.max_charge_power),
        "EVSEMinimumChargePower": rational(limits.min_charge_power),
        "EVSEMaximumChargeCurrent": rational(limits.max_current),
        "EVSEMaximumVoltage": rational(limits.max_voltage),
    }
    back = {
        "EVSEMaximumDischargePower": rational(limits.max_discharge_power),
        "EVSEMinimumDischargePower": rational(limits.min_discharge_power),
        "EVSEMaximumDischargeCurrent": rational(limits.max_discharge_current),
        "EVSEMinimumVoltage": rational(limits.min_voltage),
    }
    if selected.variant.control == "scheduled":
        if selected.bidirectional:
            return dc.BPT_Scheduled_DC_CLResControlMode(**bounds, **back)
        return dc.Scheduled_DC_CLResControlMode(**bounds)
    said = _intention(delivery.control)
    mode: type[dc.Dynamic_DC_CLResControlMode] = dc.Dynamic_DC_CLResControlMode
    if selected.bidirectional:
        mode, bounds = dc.BPT_Dynamic_DC_CLResControlMode, {**bounds, **back}
    return mode(
        DepartureTime=said.DepartureTime,
        MinimumSOC=said.MinimumSOC,
        TargetSOC=said.TargetSOC,
        AckMaxDelay=said.AckMaxDelay,
        **bounds,
    )


def _ac_answer(selected: Selected, delivery: Delivery) -> ac.AC_CLResControlMode:
    control, present = delivery.control, delivery.present
    values = {"EVSEPresentActivePower": rational(present.power)}
    if control.power is not None:
        values["EVSETargetActivePower"] = rational(control.power)
    if control.reactive_power is not None:
        values["EVSETargetReactivePower"] = rational(control.reactive_power)
    if selected.variant.control == "scheduled":
        if selected.bidirectional:
            return ac.BPT_Scheduled_AC_CLResControlMode(**values)
        return ac.Scheduled_AC_CLResControlMode(**values)
    said = _intention(control)
    # Dynamic control is nothing without a target.
    values.setdefault("EVSETargetActivePower", rational(delivery.limits.max_charge_power))
    mode: type[ac.Dynamic_AC_CLResControlMode] = (
        ac.BPT_Dynamic_AC_CLResControlMode if selected.bidirectional else ac.Dynamic_AC_CLResControlMode
    )
    return mode(
        DepartureTime=said.DepartureTime,
        MinimumSOC=said.MinimumSOC,
        TargetSOC=said.TargetSOC,
        AckMaxDelay=said.AckMaxDelay,
        **values,
    )


# --- read by the vehicle --------------------------------------------------------------------------------------------


def read(response: LoopRes, limits: StageLimits, granted: float | None) -> Delivered:
    """What the station says it does; ``limits`` as they were, ``granted`` by the schedule."""
    mode = response.CLResControlMode
    if isinstance(response, dc.DC_ChargeLoopRes):
        voltage, current = number(response.EVSEPresentVoltage), number(response.EVSEPresentCurrent)
        present = Present(
            voltage,
            current,
            voltage * current,
            current_limited=response.EVSECurrentLimitAchieved,
            voltage_limited=response.EVSEVoltageLimitAchieved,
            power_limited=response.EVSEPowerLimitAchieved,
        )
        bounds = replace(
            limits,
            max_charge_power=_or(getattr(mode, "EVSEMaximumChargePower", None), limits.max_charge_power),
            max_current=_or(getattr(mode, "EVSEMaximumChargeCurrent", None), limits.max_current),
            max_voltage=_or(getattr(mode, "EVSEMaximumVoltage", None), limits.max_voltage),
        )
        return Delivered(
            bounds, voltage, current, voltage * current, closed=True, granted=granted, present=present
        )
    target = _total(mode, "EVSETargetActivePower", limits.max_charge_power if granted is None else granted)
    flowing = _total(mode, "EVSEPresentActivePower", 0.0)
    volts = limits.nominal_voltage
    amperes = flowing / (volts * limits.phases) if volts and limits.phases else 0.0
    return Delivered(
        limits,
        volts,
        amperes,
        target,
        closed=True,
        granted=granted,
        reactive_power=number(getattr(mode, "EVSETargetReactivePower", None)),
        frequency=number(response.EVSETargetFrequency),
        present=Present(volts, amperes, flowing),
    )


def wanted(said: EVSEStatusType | None) -> tuple[Notification, float]:
    """What the station wants of the vehicle, and within how many seconds; "" for nothing."""
    if said is None:
        return "", 0.0
    return _WORDS[said.EVSENotification], float(said.NotificationMaxDelay)


def _or(value: RationalNumberType | None, before: float) -> float:
    return before if value is None else number(value)


def _total(mode: object, name: str, before: float) -> float:
    """The sum of a power over its phases; ``before`` if it is not told."""
    told = [number(getattr(mode, field)) for field in (name, f"{name}_L2", f"{name}_L3")]
    values = [value for value in told if value is not None]
    return sum(values) if values else before
