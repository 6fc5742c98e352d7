"""Charge parameters, schedules, tariffs and power delivery (ISO 15118-2 8.4.3, 8.5)."""

from typing import Annotated, Literal

from v2gpki.messages.iso2.service import EnergyTransferModeType
from v2gpki.messages.iso2.types import (
    BODY,
    TYPES,
    AC_EVSEStatus,
    AC_EVSEStatusType,
    BodyBaseType,
    DC_EVSEStatus,
    DC_EVSEStatusType,
    DC_EVStatusType,
    EVSEProcessingType,
    PhysicalValueType,
    SAIDType,
    percentValueType,
    responseCodeType,
    unitMultiplierType,
)
from v2gpki.messages.schema import (
    Attribute,
    Characters,
    Integer,
    Message,
    Occurs,
    String,
    Substitutes,
    UnsignedByte,
    UnsignedInt,
    UnsignedShort,
)

tariffDescriptionType = Annotated[str, String(32)]
maxNumPhasesType = Annotated[int, Integer(1, 3)]
costKindType = Literal["relativePricePercentage", "RenewableGenerationPercentage", "CarbonDioxideEmission"]
chargeProgressType = Literal["Start", "Stop", "Renegotiate"]

# --- what the vehicle can and wants ---------------------------------------------------------------------------------


@TYPES.abstract
class EVChargeParameterType(Message):
    """Limits and wishes of the vehicle; DepartureTime in seconds from now."""

    DepartureTime: UnsignedInt | None = None


TYPES.abstract_element("EVChargeParameter")


@TYPES.element
class AC_EVChargeParameter(EVChargeParameterType):
    """Limits and wishes of a vehicle that charges with AC."""

    EAmount: PhysicalValueType
    EVMaxVoltage: PhysicalValueType
    EVMaxCurrent: PhysicalValueType
    EVMinCurrent: PhysicalValueType


@TYPES.element
class DC_EVChargeParameter(EVChargeParameterType):
    """Limits and wishes of a vehicle that charges with DC; states of charge in percent."""

    DC_EVStatus: DC_EVStatusType
    EVMaximumCurrentLimit: PhysicalValueType
    EVMaximumPowerLimit: PhysicalValueType | None = None
    EVMaximumVoltageLimit: PhysicalValueType
    EVEnergyCapacity: PhysicalValueType | None = None
    EVEnergyRequest: PhysicalValueType | None = None
    FullSOC: percentValueType | None = None
    BulkSOC: percentValueType | None = None


# --- what the station can -------------------------------------------------------------------------------------------


@TYPES.abstract
class EVSEChargeParameterType(Message):
    """Limits of the station."""


TYPES.abstract_element("EVSEChargeParameter")


@TYPES.element
class AC_EVSEChargeParameter(EVSEChargeParameterType):
    """Limits of an AC station."""

    AC_EVSEStatus: AC_EVSEStatusType
    EVSENominalVoltage: PhysicalValueType
    EVSEMaxCurrent: PhysicalValueType


@TYPES.element
class DC_EVSEChargeParameter(EVSEChargeParameterType):
    """Limits of a DC station."""

    DC_EVSEStatus: DC_EVSEStatusType
    EVSEMaximumCurrentLimit: PhysicalValueType
    EVSEMaximumPowerLimit: PhysicalValueType
    EVSEMaximumVoltageLimit: PhysicalValueType
    EVSEMinimumCurrentLimit: PhysicalValueType
    EVSEMinimumVoltageLimit: PhysicalValueType
    EVSECurrentRegulationTolerance: PhysicalValueType | None = None
    EVSEPeakCurrentRipple: PhysicalValueType
    EVSEEnergyToBeDelivered: PhysicalValueType | None = None


# --- schedules and tariffs ------------------------------------------------------------------------------------------


@TYPES.abstract
class IntervalType(Message):
    """A time interval."""


TYPES.abstract_element("TimeInterval")


@TYPES.element
class RelativeTimeInterval(IntervalType):
    """Seconds from the schedule's beginning; an entry lasts until the next one starts."""

    start: Annotated[int, Integer(0, 16777214)]
    duration: Annotated[int, Integer(0, 86400)] | None = None


@TYPES.abstract
class EntryType(Message):
    """An entry of a schedule."""

    TimeInterval: Annotated[RelativeTimeInterval, Substitutes("TimeInterval", TYPES)]


TYPES.abstract_element("Entry")


@TYPES.element
class PMaxScheduleEntry(EntryType):
    """The power that the station grants in an interval."""

    PMax: PhysicalValueType


PMaxScheduleEntryType = PMaxScheduleEntry


@TYPES.type
class PMaxScheduleType(Message):
    """The power that the station grants over time."""

    PMaxScheduleEntry: Annotated[tuple[PMaxScheduleEntryType, ...], Occurs(1, 1024, open_when_full=True)]


@TYPES.type
class CostType(Message):
    """One kind of cost: amount * 10^amountMultiplier."""

    costKind: costKindType
    amount: UnsignedInt
    amountMultiplier: unitMultiplierType | None = None


@TYPES.type
class ConsumptionCostType(Message):
    """Costs from a power upwards."""

    startValue: PhysicalValueType
    Cost: Annotated[tuple[CostType, ...], Occurs(1, 3)]


@TYPES.element
class SalesTariffEntry(EntryType):
    """The price of an interval."""

    EPriceLevel: UnsignedByte | None = None
    ConsumptionCost: Annotated[tuple[ConsumptionCostType, ...], Occurs(0, 3)] = ()


SalesTariffEntryType = SalesTariffEntry


@TYPES.type
class SalesTariffType(Message):
    """A tariff, signed by the mobility operator if it has an Id."""

    Id: Annotated[Characters | None, Attribute()] = None
    SalesTariffID: SAIDType
    SalesTariffDescription: tariffDescriptionType | None = None
    NumEPriceLevels: UnsignedByte | None = None
    SalesTariffEntry: Annotated[tuple[SalesTariffEntryType, ...], Occurs(1, 1024, open_when_full=True)]


@TYPES.type
class SAScheduleTupleType(Message):
    """A schedule to choose, with its tariff."""

    SAScheduleTupleID: SAIDType
    PMaxSchedule: PMaxScheduleType
    SalesTariff: SalesTariffType | None = None


@TYPES.abstract
class SASchedulesType(Message):
    """Schedules of the secondary actor."""


TYPES.abstract_element("SASchedules")


@TYPES.element
class SAScheduleList(SASchedulesType):
    """Schedules to choose from."""

    SAScheduleTuple: Annotated[tuple[SAScheduleTupleType, ...], Occurs(1, 3)]


@BODY.element
class ChargeParameterDiscoveryReq(BodyBaseType):
    """The vehicle's limits and wishes."""

    MaxEntriesSAScheduleTuple: UnsignedShort | None = None
    RequestedEnergyTransferMode: EnergyTransferModeType
    EVChargeParameter: Annotated[AC_EVChargeParameter | DC_EVChargeParameter, Substitutes("EVChargeParameter", TYPES)]


@BODY.element
class ChargeParameterDiscoveryRes(BodyBaseType):
    """The station's limits, and schedules once they are known."""

    ResponseCode: responseCodeType
    EVSEProcessing: EVSEProcessingType
    SASchedules: Annotated[SAScheduleList | None, Substitutes("SASchedules", TYPES)] = None
    EVSEChargeParameter: Annotated[
        AC_EVSEChargeParameter | DC_EVSEChargeParameter, Substitutes("EVSEChargeParameter", TYPES)
    ]


# --- power delivery -------------------------------------------------------------------------------------------------


@TYPES.type
class ProfileEntryType(Message):
    """The vehicle's highest power from a time on (seconds)."""

    ChargingProfileEntryStart: UnsignedInt
    ChargingProfileEntryMaxPower: PhysicalValueType
    ChargingProfileEntryMaxNumberOfPhasesInUse: maxNumPhasesType | None = None


@TYPES.type
class ChargingProfileType(Message):
    """What the vehicle will draw, within the chosen schedule."""

    ProfileEntry: Annotated[tuple[ProfileEntryType, ...], Occurs(1, 24, open_when_full=True)]


@TYPES.abstract
class EVPowerDeliveryParameterType(Message):
    """State of the vehicle when power starts or stops."""


TYPES.abstract_element("EVPowerDeliveryParameter")


@TYPES.element
class DC_EVPowerDeliveryParameter(EVPowerDeliveryParameterType):
    """State of a vehicle that charges with DC when power starts or stops."""

    DC_EVStatus: DC_EVStatusType
    BulkChargingComplete: bool | None = None
    ChargingComplete: bool


@BODY.element
class PowerDeliveryReq(BodyBaseType):
    """The vehicle starts, stops or renegotiates, by a chosen schedule."""

    ChargeProgress: chargeProgressType
    SAScheduleTupleID: SAIDType
    ChargingProfile: ChargingProfileType | None = None
    EVPowerDeliveryParameter: Annotated[
        DC_EVPowerDeliveryParameter | None, Substitutes("EVPowerDeliveryParameter", TYPES)
    ] = None


@BODY.element
class PowerDeliveryRes(BodyBaseType):
    """The station follows or not."""

    ResponseCode: responseCodeType
    EVSEStatus: Annotated[AC_EVSEStatus | DC_EVSEStatus, Substitutes("EVSEStatus", TYPES)]
