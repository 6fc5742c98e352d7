"""Price schedules: absolute prices, price levels and the vehicle's own offer (ISO 15118-20 8.3.5). Times in seconds."""

from typing import Annotated

from v2gpki.messages.iso20_common.session import MESSAGES
from v2gpki.messages.iso20_types import RationalNumberType, descriptionType, identifierType, nameType, numericIDType
from v2gpki.messages.schema import (
    Attribute,
    Characters,
    Message,
    Occurs,
    String,
    UnsignedByte,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
)

currencyType = Annotated[str, String(3)]
languageType = Annotated[str, String(3)]
OptionalId = Annotated[Characters | None, Attribute()]


@MESSAGES.abstract
class PriceScheduleType(Message):
    """Base of price schedules."""

    TimeAnchor: UnsignedLong
    PriceScheduleID: numericIDType
    PriceScheduleDescription: descriptionType | None = None


# --- price levels ---------------------------------------------------------------------------------------------------


@MESSAGES.type
class PriceLevelScheduleEntryType(Message):
    """How dear a span of time is."""

    Duration: UnsignedInt
    PriceLevel: UnsignedByte


@MESSAGES.type
class PriceLevelScheduleEntryListType(Message):
    """How dear spans of time are, one after the other."""

    PriceLevelScheduleEntry: Annotated[
        tuple[PriceLevelScheduleEntryType, ...], Occurs(1, 1024, open_when_full=True)
    ]


@MESSAGES.type
class PriceLevelScheduleType(PriceScheduleType):
    """Prices relative to each other."""

    Id: OptionalId = None
    NumberOfPriceLevels: UnsignedByte
    PriceLevelScheduleEntries: PriceLevelScheduleEntryListType


# --- absolute prices ------------------------------------------------------------------------------------------------


@MESSAGES.type
class TaxRuleType(Message):
    """A tax and what it applies to; TaxRate in percent."""

    TaxRuleID: numericIDType
    TaxRuleName: nameType | None = None
    TaxRate: RationalNumberType
    TaxIncludedInPrice: bool | None = None
    AppliesToEnergyFee: bool
    AppliesToParkingFee: bool
    AppliesToOverstayFee: bool
    AppliesMinimumMaximumCost: bool


@MESSAGES.type
class TaxRuleListType(Message):
    """Taxes."""

    TaxRule: Annotated[tuple[TaxRuleType, ...], Occurs(1, 10)]


@MESSAGES.type
class PriceRuleType(Message):
    """Fees from a power upwards."""

    EnergyFee: RationalNumberType
    ParkingFee: RationalNumberType | None = None
    ParkingFeePeriod: UnsignedInt | None = None
    CarbonDioxideEmission: UnsignedShort | None = None
    RenewableGenerationPercentage: UnsignedByte | None = None
    PowerRangeStart: RationalNumberType


@MESSAGES.type
class PriceRuleStackType(Message):
    """Fees of a span of time."""

    Duration: UnsignedInt
    PriceRule: Annotated[tuple[PriceRuleType, ...], Occurs(1, 8)]


@MESSAGES.type
class PriceRuleStackListType(Message):
    """Fees of spans of time, one after the other."""

    PriceRuleStack: Annotated[tuple[PriceRuleStackType, ...], Occurs(1, 1024, open_when_full=True)]


@MESSAGES.type
class OverstayRuleType(Message):
    """A fee for staying on after charging."""

    OverstayRuleDescription: descriptionType | None = None
    StartTime: UnsignedInt
    OverstayFee: RationalNumberType
    OverstayFeePeriod: UnsignedInt


@MESSAGES.type
class OverstayRuleListType(Message):
    """Fees for staying on, and what counts as such."""

    OverstayTimeThreshold: UnsignedInt | None = None
    OverstayPowerThreshold: RationalNumberType | None = None
    OverstayRule: Annotated[tuple[OverstayRuleType, ...], Occurs(1, 5)]


@MESSAGES.type
class AdditionalServiceType(Message):
    """A service with a fee of its own."""

    ServiceName: nameType
    ServiceFee: RationalNumberType


@MESSAGES.type
class AdditionalServiceListType(Message):
    """Services with fees of their own."""

    AdditionalService: Annotated[tuple[AdditionalServiceType, ...], Occurs(1, 5)]


@MESSAGES.type
class AbsolutePriceScheduleType(PriceScheduleType):
    """Prices in money; signed by the mobility operator if it has an Id."""

    Id: OptionalId = None
    Currency: currencyType
    Language: languageType
    PriceAlgorithm: identifierType
    MinimumCost: RationalNumberType | None = None
    MaximumCost: RationalNumberType | None = None
    TaxRules: TaxRuleListType | None = None
    PriceRuleStacks: PriceRuleStackListType
    OverstayRules: OverstayRuleListType | None = None
    AdditionalSelectedServices: AdditionalServiceListType | None = None


# --- the vehicle's offer --------------------------------------------------------------------------------------------


@MESSAGES.type
class EVPriceRuleType(Message):
    """What the vehicle wants for its energy, from a power upwards."""

    EnergyFee: RationalNumberType
    PowerRangeStart: RationalNumberType


@MESSAGES.type
class EVPriceRuleStackType(Message):
    """What the vehicle wants in a span of time."""

    Duration: UnsignedInt
    EVPriceRule: Annotated[tuple[EVPriceRuleType, ...], Occurs(1, 8)]


@MESSAGES.type
class EVPriceRuleStackListType(Message):
    """What the vehicle wants in spans of time, one after the other."""

    EVPriceRuleStack: Annotated[tuple[EVPriceRuleStackType, ...], Occurs(1, 1024, open_when_full=True)]


@MESSAGES.type
class EVAbsolutePriceScheduleType(Message):
    """What the vehicle wants for its energy."""

    TimeAnchor: UnsignedLong
    Currency: currencyType
    PriceAlgorithm: identifierType
    EVPriceRuleStacks: EVPriceRuleStackListType
