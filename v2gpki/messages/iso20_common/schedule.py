"""Schedule exchange and power delivery (ISO 15118-20 8.3.4, 8.3.5). Times in seconds, powers in W, energies in Wh."""

from typing import Annotated, Literal

from v2gpki.messages.iso20_common.price import (
    AbsolutePriceScheduleType,
    EVAbsolutePriceScheduleType,
    PriceLevelScheduleType,
)
from v2gpki.messages.iso20_common.session import MESSAGES
from v2gpki.messages.iso20_types import (
    EVSEStatusType,
    RationalNumberType,
    V2GRequestType,
    V2GResponseType,
    numericIDType,
    percentValueType,
    processingType,
)
from v2gpki.messages.schema import Choice, Integer, Message, Occurs, UnsignedInt, UnsignedLong

maxSupportingPointsScheduleTupleType = Annotated[int, Integer(12, 1024)]
chargeProgressType = Literal["Start", "Stop", "Standby", "ScheduleRenegotiation"]
channelSelectionType = Literal["Charge", "Discharge"]
powerToleranceAcceptanceType = Literal["PowerToleranceNotConfirmed", "PowerToleranceConfirmed"]

# --- power over time ------------------------------------------------------------------------------------------------


@MESSAGES.type
class PowerScheduleEntryType(Message):
    """A power for a span of time."""

    Duration: UnsignedInt
    Power: RationalNumberType
    Power_L2: RationalNumberType | None = None
    Power_L3: RationalNumberType | None = None


@MESSAGES.type
class PowerScheduleEntryListType(Message):
    """Powers, one after the other."""

    PowerScheduleEntry: Annotated[tuple[PowerScheduleEntryType, ...], Occurs(1, 1024, open_when_full=True)]


@MESSAGES.type
class PowerScheduleType(Message):
    """The power that the station grants."""

    TimeAnchor: UnsignedLong
    AvailableEnergy: RationalNumberType | None = None
    PowerTolerance: RationalNumberType | None = None
    PowerScheduleEntries: PowerScheduleEntryListType


@MESSAGES.type
class EVPowerScheduleEntryType(Message):
    """A power that the vehicle offers for a span of time."""

    Duration: UnsignedInt
    Power: RationalNumberType


@MESSAGES.type
class EVPowerScheduleEntryListType(Message):
    """Powers that the vehicle offers, one after the other."""

    EVPowerScheduleEntry: Annotated[tuple[EVPowerScheduleEntryType, ...], Occurs(1, 1024, open_when_full=True)]


@MESSAGES.type
class EVPowerScheduleType(Message):
    """The power that the vehicle offers."""

    TimeAnchor: UnsignedLong
    EVPowerScheduleEntries: EVPowerScheduleEntryListType


@MESSAGES.type
class EVEnergyOfferType(Message):
    """Energy out of the vehicle, and its price."""

    EVPowerSchedule: EVPowerScheduleType
    EVAbsolutePriceSchedule: EVAbsolutePriceScheduleType


# --- schedule exchange ----------------------------------------------------------------------------------------------


@MESSAGES.type
class ChargingScheduleType(Message):
    """Power and price over time."""

    PowerSchedule: PowerScheduleType
    AbsolutePriceSchedule: Annotated[AbsolutePriceScheduleType | None, Choice("price", minimum=0)] = None
    PriceLevelSchedule: Annotated[PriceLevelScheduleType | None, Choice("price", minimum=0)] = None


@MESSAGES.type
class ScheduleTupleType(Message):
    """A schedule to choose, one way or both."""

    ScheduleTupleID: numericIDType
    ChargingSchedule: ChargingScheduleType
    DischargingSchedule: ChargingScheduleType | None = None


@MESSAGES.type
class Dynamic_SEReqControlModeType(Message):
    """Wishes of a vehicle that lets the station decide; states of charge in percent."""

    DepartureTime: UnsignedInt
    MinimumSOC: percentValueType | None = None
    TargetSOC: percentValueType | None = None
    EVTargetEnergyRequest: RationalNumberType
    EVMaximumEnergyRequest: RationalNumberType
    EVMinimumEnergyRequest: RationalNumberType
    EVMaximumV2XEnergyRequest: RationalNumberType | None = None
    EVMinimumV2XEnergyRequest: RationalNumberType | None = None


@MESSAGES.type
class Scheduled_SEReqControlModeType(Message):
    """Wishes of a vehicle that will choose a schedule."""

    DepartureTime: UnsignedInt | None = None
    EVTargetEnergyRequest: RationalNumberType | None = None
    EVMaximumEnergyRequest: RationalNumberType | None = None
    EVMinimumEnergyRequest: RationalNumberType | None = None
    EVEnergyOffer: EVEnergyOfferType | None = None


@MESSAGES.type
class Dynamic_SEResControlModeType(Message):
    """What the station intends, and its price."""

    DepartureTime: UnsignedInt | None = None
    MinimumSOC: percentValueType | None = None
    TargetSOC: percentValueType | None = None
    AbsolutePriceSchedule: Annotated[AbsolutePriceScheduleType | None, Choice("price", minimum=0)] = None
    PriceLevelSchedule: Annotated[PriceLevelScheduleType | None, Choice("price", minimum=0)] = None


@MESSAGES.type
class Scheduled_SEResControlModeType(Message):
    """Schedules to choose from."""

    ScheduleTuple: Annotated[tuple[ScheduleTupleType, ...], Occurs(1, 3)]


@MESSAGES.element
class ScheduleExchangeReq(V2GRequestType):
    """The vehicle's wishes."""

    MaximumSupportingPoints: maxSupportingPointsScheduleTupleType
    Dynamic_SEReqControlMode: Annotated[Dynamic_SEReqControlModeType | None, Choice("mode")] = None
    Scheduled_SEReqControlMode: Annotated[Scheduled_SEReqControlModeType | None, Choice("mode")] = None


@MESSAGES.element
class ScheduleExchangeRes(V2GResponseType):
    """The station's schedules, or its intention."""

    EVSEProcessing: processingType
    GoToPause: bool | None = None
    Dynamic_SEResControlMode: Annotated[Dynamic_SEResControlModeType | None, Choice("mode")] = None
    Scheduled_SEResControlMode: Annotated[Scheduled_SEResControlModeType | None, Choice("mode")] = None


# --- power delivery -------------------------------------------------------------------------------------------------


@MESSAGES.type
class EVPowerProfileEntryListType(Message):
    """Powers that the vehicle will draw, one after the other."""

    EVPowerProfileEntry: Annotated[tuple[PowerScheduleEntryType, ...], Occurs(1, 2048, open_when_full=True)]


@MESSAGES.type
class Dynamic_EVPPTControlModeType(Message):
    """The station decides the power."""


@MESSAGES.type
class Scheduled_EVPPTControlModeType(Message):
    """The chosen schedule."""

    SelectedScheduleTupleID: numericIDType
    PowerToleranceAcceptance: powerToleranceAcceptanceType | None = None


@MESSAGES.type
class EVPowerProfileType(Message):
    """What the vehicle will draw."""

    TimeAnchor: UnsignedLong
    Dynamic_EVPPTControlMode: Annotated[Dynamic_EVPPTControlModeType | None, Choice("mode")] = None
    Scheduled_EVPPTControlMode: Annotated[Scheduled_EVPPTControlModeType | None, Choice("mode")] = None
    EVPowerProfileEntries: EVPowerProfileEntryListType


@MESSAGES.element
class PowerDeliveryReq(V2GRequestType):
    """The vehicle starts, stops, waits or renegotiates."""

    EVProcessing: processingType
    ChargeProgress: chargeProgressType
    EVPowerProfile: EVPowerProfileType | None = None
    BPT_ChannelSelection: channelSelectionType | None = None


@MESSAGES.element
class PowerDeliveryRes(V2GResponseType):
    """The station follows or not."""

    EVSEStatus: EVSEStatusType | None = None
