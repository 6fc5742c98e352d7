"""Energy as numbers: batteries, power stages, meters, offers, schedules and tariffs. Pure: time is an argument.

W, V, A, Wh and seconds as floats; what flows into the vehicle is positive, what flows out of it negative. Money is
Decimal. The values that plug-ins take and give stand here under their names.
"""

from v2gpki.energy.offer import (
    Connector,
    EnergyService,
    Method,
    Notification,
    Offer,
    ParameterValue,
    ValueAdded,
    Variant,
)
from v2gpki.energy.quantities import (
    Current,
    Demand,
    IsolationState,
    Needs,
    Phases,
    Present,
    Reading,
    Setpoint,
    StageLimits,
    StageState,
    VehicleFault,
    VehicleLimits,
    VehicleState,
)
from v2gpki.energy.schedule import ControlMode, EnergyOffer, PowerSchedule, PowerSpan, Pricing, Schedule
from v2gpki.energy.steering import (
    Control,
    Delivered,
    ScheduleChoice,
    SchedulesGiven,
    SchedulesOffered,
    ServiceChoice,
    Step,
)
from v2gpki.energy.tariff import Band, Charge, Level, Overstay, PriceLevels, Receipt, Service, Tariff, TariffSpan, Tax

__all__ = [
    "Band",
    "Charge",
    "Connector",
    "Control",
    "ControlMode",
    "Current",
    "Delivered",
    "Demand",
    "EnergyOffer",
    "EnergyService",
    "IsolationState",
    "Level",
    "Method",
    "Needs",
    "Notification",
    "Offer",
    "Overstay",
    "ParameterValue",
    "Phases",
    "PowerSchedule",
    "PowerSpan",
    "Present",
    "PriceLevels",
    "Pricing",
    "Reading",
    "Receipt",
    "Schedule",
    "ScheduleChoice",
    "SchedulesGiven",
    "SchedulesOffered",
    "Service",
    "ServiceChoice",
    "Setpoint",
    "StageLimits",
    "StageState",
    "Step",
    "Tariff",
    "TariffSpan",
    "Tax",
    "ValueAdded",
    "Variant",
    "VehicleFault",
    "VehicleLimits",
    "VehicleState",
]
