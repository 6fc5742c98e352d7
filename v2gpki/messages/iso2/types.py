"""Namespaces of ISO 15118-2, its response codes, simple types and the types that several subjects share."""

from typing import Annotated, Literal

from v2gpki.messages.schema import (
    Base64,
    Hex,
    Integer,
    Long,
    Message,
    Namespace,
    Short,
    String,
    UnsignedLong,
    UnsignedShort,
)

DEF = Namespace("urn:iso:15118:2:2013:MsgDef", "v2g")
HEADER = Namespace("urn:iso:15118:2:2013:MsgHeader", "h")
BODY = Namespace("urn:iso:15118:2:2013:MsgBody", "b")
TYPES = Namespace("urn:iso:15118:2:2013:MsgDataTypes", "t")

sessionIDType = Annotated[bytes, Hex(8)]
evseIDType = Annotated[str, String(37, 7)]
meterIDType = Annotated[str, String(32)]
sigMeterReadingType = Annotated[bytes, Base64(64)]
SAIDType = Annotated[int, Integer(1, 255)]
percentValueType = Annotated[int, Integer(0, 100)]
unitMultiplierType = Annotated[int, Integer(-3, 3)]
unitSymbolType = Literal["h", "m", "s", "A", "V", "W", "Wh"]
EVSEProcessingType = Literal["Finished", "Ongoing", "Ongoing_WaitingForCustomerInteraction"]
EVSENotificationType = Literal["None", "StopCharging", "ReNegotiation"]

responseCodeType = Literal[
    "OK",
    "OK_NewSessionEstablished",
    "OK_OldSessionJoined",
    "OK_CertificateExpiresSoon",
    "FAILED",
    "FAILED_SequenceError",
    "FAILED_ServiceIDInvalid",
    "FAILED_UnknownSession",
    "FAILED_ServiceSelectionInvalid",
    "FAILED_PaymentSelectionInvalid",
    "FAILED_CertificateExpired",
    "FAILED_SignatureError",
    "FAILED_NoCertificateAvailable",
    "FAILED_CertChainError",
    "FAILED_ChallengeInvalid",
    "FAILED_ContractCanceled",
    "FAILED_WrongChargeParameter",
    "FAILED_PowerDeliveryNotApplied",
    "FAILED_TariffSelectionInvalid",
    "FAILED_ChargingProfileInvalid",
    "FAILED_MeteringSignatureNotValid",
    "FAILED_NoChargeServiceSelected",
    "FAILED_WrongEnergyTransferMode",
    "FAILED_ContactorError",
    "FAILED_CertificateNotAllowedAtThisEVSE",
    "FAILED_CertificateRevoked",
]


@BODY.abstract
class BodyBaseType(Message):
    """Base of all body messages."""


BODY.abstract_element("BodyElement")


@TYPES.type
class PhysicalValueType(Message):
    """A quantity: Value * 10^Multiplier Unit."""

    Multiplier: unitMultiplierType
    Unit: unitSymbolType
    Value: Short


@TYPES.type
class MeterInfoType(Message):
    """A meter reading in Wh, with the meter's own signature and time."""

    MeterID: meterIDType
    MeterReading: UnsignedLong | None = None
    SigMeterReading: sigMeterReadingType | None = None
    MeterStatus: Short | None = None
    TMeter: Long | None = None


@TYPES.abstract
class EVSEStatusType(Message):
    """What the station wants next, and how soon (seconds)."""

    NotificationMaxDelay: UnsignedShort
    EVSENotification: EVSENotificationType


TYPES.abstract_element("EVSEStatus")


@TYPES.element
class AC_EVSEStatus(EVSEStatusType):
    """State of an AC station."""

    RCD: bool


AC_EVSEStatusType = AC_EVSEStatus

isolationLevelType = Literal["Invalid", "Valid", "Warning", "Fault", "No_IMD"]
DC_EVSEStatusCodeType = Literal[
    "EVSE_NotReady",
    "EVSE_Ready",
    "EVSE_Shutdown",
    "EVSE_UtilityInterruptEvent",
    "EVSE_IsolationMonitoringActive",
    "EVSE_EmergencyShutdown",
    "EVSE_Malfunction",
    "Reserved_8",
    "Reserved_9",
    "Reserved_A",
    "Reserved_B",
    "Reserved_C",
]


@TYPES.element
class DC_EVSEStatus(EVSEStatusType):
    """State of a DC station."""

    EVSEIsolationStatus: isolationLevelType | None = None
    EVSEStatusCode: DC_EVSEStatusCodeType


DC_EVSEStatusType = DC_EVSEStatus

DC_EVErrorCodeType = Literal[
    "NO_ERROR",
    "FAILED_RESSTemperatureInhibit",
    "FAILED_EVShiftPosition",
    "FAILED_ChargerConnectorLockFault",
    "FAILED_EVRESSMalfunction",
    "FAILED_ChargingCurrentdifferential",
    "FAILED_ChargingVoltageOutOfRange",
    "Reserved_A",
    "Reserved_B",
    "Reserved_C",
    "FAILED_ChargingSystemIncompatibility",
    "NoData",
]


@TYPES.abstract
class EVStatusType(Message):
    """State of a vehicle."""


TYPES.abstract_element("EVStatus")


@TYPES.element
class DC_EVStatus(EVStatusType):
    """State of a vehicle that charges with DC; EVRESSSOC is the battery's state of charge in percent."""

    EVReady: bool
    EVErrorCode: DC_EVErrorCodeType
    EVRESSSOC: percentValueType


DC_EVStatusType = DC_EVStatus
