"""The charging loops of AC and DC, and metering receipts (ISO 15118-2 8.4.3 to 8.4.5)."""

from typing import Annotated

from v2gpki.messages.iso2.certificate import OptionalId
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
    MeterInfoType,
    PhysicalValueType,
    SAIDType,
    evseIDType,
    responseCodeType,
    sessionIDType,
)
from v2gpki.messages.schema import Substitutes

# --- metering -------------------------------------------------------------------------------------------------------


@BODY.element
class MeteringReceiptReq(BodyBaseType):
    """The vehicle confirms a meter reading under the contract's signature."""

    Id: OptionalId = None
    SessionID: sessionIDType
    SAScheduleTupleID: SAIDType | None = None
    MeterInfo: MeterInfoType


@BODY.element
class MeteringReceiptRes(BodyBaseType):
    """The station takes the receipt or not."""

    ResponseCode: responseCodeType
    EVSEStatus: Annotated[AC_EVSEStatus | DC_EVSEStatus, Substitutes("EVSEStatus", TYPES)]


# --- AC -------------------------------------------------------------------------------------------------------------


@BODY.element
class ChargingStatusReq(BodyBaseType):
    """The vehicle asks how charging goes."""


@BODY.element
class ChargingStatusRes(BodyBaseType):
    """How charging goes."""

    ResponseCode: responseCodeType
    EVSEID: evseIDType
    SAScheduleTupleID: SAIDType
    EVSEMaxCurrent: PhysicalValueType | None = None
    MeterInfo: MeterInfoType | None = None
    ReceiptRequired: bool | None = None
    AC_EVSEStatus: AC_EVSEStatusType


# --- DC -------------------------------------------------------------------------------------------------------------


@BODY.element
class CableCheckReq(BodyBaseType):
    """The vehicle asks for the isolation check."""

    DC_EVStatus: DC_EVStatusType


@BODY.element
class CableCheckRes(BodyBaseType):
    """The isolation check, done or still running."""

    ResponseCode: responseCodeType
    DC_EVSEStatus: DC_EVSEStatusType
    EVSEProcessing: EVSEProcessingType


@BODY.element
class PreChargeReq(BodyBaseType):
    """The vehicle asks to match its voltage."""

    DC_EVStatus: DC_EVStatusType
    EVTargetVoltage: PhysicalValueType
    EVTargetCurrent: PhysicalValueType


@BODY.element
class PreChargeRes(BodyBaseType):
    """The voltage reached."""

    ResponseCode: responseCodeType
    DC_EVSEStatus: DC_EVSEStatusType
    EVSEPresentVoltage: PhysicalValueType


@BODY.element
class CurrentDemandReq(BodyBaseType):
    """The vehicle's demand, several times a second."""

    DC_EVStatus: DC_EVStatusType
    EVTargetCurrent: PhysicalValueType
    EVMaximumVoltageLimit: PhysicalValueType | None = None
    EVMaximumCurrentLimit: PhysicalValueType | None = None
    EVMaximumPowerLimit: PhysicalValueType | None = None
    BulkChargingComplete: bool | None = None
    ChargingComplete: bool
    RemainingTimeToFullSoC: PhysicalValueType | None = None
    RemainingTimeToBulkSoC: PhysicalValueType | None = None
    EVTargetVoltage: PhysicalValueType


@BODY.element
class CurrentDemandRes(BodyBaseType):
    """What the station delivers, and where it is at its limits."""

    ResponseCode: responseCodeType
    DC_EVSEStatus: DC_EVSEStatusType
    EVSEPresentVoltage: PhysicalValueType
    EVSEPresentCurrent: PhysicalValueType
    EVSECurrentLimitAchieved: bool
    EVSEVoltageLimitAchieved: bool
    EVSEPowerLimitAchieved: bool
    EVSEMaximumVoltageLimit: PhysicalValueType | None = None
    EVSEMaximumCurrentLimit: PhysicalValueType | None = None
    EVSEMaximumPowerLimit: PhysicalValueType | None = None
    EVSEID: evseIDType
    SAScheduleTupleID: SAIDType
    MeterInfo: MeterInfoType | None = None
    ReceiptRequired: bool | None = None


@BODY.element
class WeldingDetectionReq(BodyBaseType):
    """The vehicle asks for the voltage, to find welded contacts."""

    DC_EVStatus: DC_EVStatusType


@BODY.element
class WeldingDetectionRes(BodyBaseType):
    """The voltage at the connector."""

    ResponseCode: responseCodeType
    DC_EVSEStatus: DC_EVSEStatusType
    EVSEPresentVoltage: PhysicalValueType
