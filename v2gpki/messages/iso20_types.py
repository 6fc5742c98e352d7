"""CommonTypes of ISO 15118-20: header, response codes and the types that all its message schemas share (Annex A).

Abstract types named `..ReqType` and `..ResType` are extended by the messages of each schema.
"""

from typing import Annotated, Literal

from v2gpki.messages import xmldsig
from v2gpki.messages.schema import (
    Base64,
    Byte,
    Hex,
    Integer,
    Message,
    Named,
    Namespace,
    Occurs,
    Short,
    String,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
)
from v2gpki.messages.xmldsig import DS, X509IssuerSerialType

TYPES = Namespace("urn:iso:std:iso:15118:-20:CommonTypes", "ct")

sessionIDType = Annotated[bytes, Hex(8, 8)]
numericIDType = Annotated[int, Integer(1, 2**32 - 1)]
percentValueType = Annotated[int, Integer(0, 100)]
identifierType = Annotated[str, String(255)]
nameType = Annotated[str, String(80)]
descriptionType = Annotated[str, String(160)]
meterIDType = Annotated[str, String(32)]
meterSignatureType = Annotated[bytes, Base64(64)]
processingType = Literal["Finished", "Ongoing", "Ongoing_WaitingForCustomerInteraction"]
evseNotificationType = Literal[
    "Pause", "ExitStandby", "Terminate", "ScheduleRenegotiation", "ServiceRenegotiation", "MeteringConfirmation"
]

responseCodeType = Literal[
    "OK",
    "OK_CertificateExpiresSoon",
    "OK_NewSessionEstablished",
    "OK_OldSessionJoined",
    "OK_PowerToleranceConfirmed",
    "WARNING_AuthorizationSelectionInvalid",
    "WARNING_CertificateExpired",
    "WARNING_CertificateNotYetValid",
    "WARNING_CertificateRevoked",
    "WARNING_CertificateValidationError",
    "WARNING_ChallengeInvalid",
    "WARNING_EIMAuthorizationFailure",
    "WARNING_eMSPUnknown",
    "WARNING_EVPowerProfileViolation",
    "WARNING_GeneralPnCAuthorizationError",
    "WARNING_NoCertificateAvailable",
    "WARNING_NoContractMatchingPCIDFound",
    "WARNING_PowerToleranceNotConfirmed",
    "WARNING_ScheduleRenegotiationFailed",
    "WARNING_StandbyNotAllowed",
    "WARNING_WPT",
    "FAILED",
    "FAILED_AssociationError",
    "FAILED_ContactorError",
    "FAILED_EVPowerProfileInvalid",
    "FAILED_EVPowerProfileViolation",
    "FAILED_MeteringSignatureNotValid",
    "FAILED_NoEnergyTransferServiceSelected",
    "FAILED_NoServiceRenegotiationSupported",
    "FAILED_PauseNotAllowed",
    "FAILED_PowerDeliveryNotApplied",
    "FAILED_PowerToleranceNotConfirmed",
    "FAILED_ScheduleRenegotiation",
    "FAILED_ScheduleSelectionInvalid",
    "FAILED_SequenceError",
    "FAILED_ServiceIDInvalid",
    "FAILED_ServiceSelectionInvalid",
    "FAILED_SignatureError",
    "FAILED_UnknownSession",
    "FAILED_WrongChargeParameter",
]

# --- messages -------------------------------------------------------------------------------------------------------


@TYPES.type
class MessageHeaderType(Message):
    """Session, time in Unix seconds, and signature."""

    SessionID: sessionIDType
    TimeStamp: UnsignedLong
    Signature: Annotated[xmldsig.Signature | None, Named(DS)] = None


@TYPES.abstract
class V2GMessageType(Message):
    """Base of all messages."""

    Header: MessageHeaderType


@TYPES.abstract
class V2GRequestType(V2GMessageType):
    """Base of what a vehicle sends."""


@TYPES.abstract
class V2GResponseType(V2GMessageType):
    """Base of what a station answers."""

    ResponseCode: responseCodeType


# --- values ---------------------------------------------------------------------------------------------------------


@TYPES.type
class RationalNumberType(Message):
    """Value * 10^Exponent; the field says the unit."""

    Exponent: Byte
    Value: Short


@TYPES.type
class ListOfRootCertificateIDsType(Message):
    """V2G roots that the vehicle knows, by issuer and serial."""

    RootCertificateID: Annotated[tuple[X509IssuerSerialType, ...], Occurs(1, 20)]


@TYPES.type
class EVSEStatusType(Message):
    """What the station wants next, and how soon (seconds)."""

    NotificationMaxDelay: UnsignedShort
    EVSENotification: evseNotificationType


@TYPES.type
class MeterInfoType(Message):
    """Meter readings, with the meter's own signature and time."""

    MeterID: meterIDType
    ChargedEnergyReadingWh: UnsignedLong
    BPT_DischargedEnergyReadingWh: UnsignedLong | None = None
    CapacitiveEnergyReadingVARh: UnsignedLong | None = None
    BPT_InductiveEnergyReadingVARh: UnsignedLong | None = None
    MeterSignature: meterSignatureType | None = None
    MeterStatus: Short | None = None
    MeterTimestamp: UnsignedLong | None = None


@TYPES.type
class DetailedCostType(Message):
    """A sum, and what a unit of it costs."""

    Amount: RationalNumberType
    CostPerUnit: RationalNumberType


@TYPES.type
class DetailedTaxType(Message):
    """A sum by one tax rule."""

    TaxRuleID: numericIDType
    Amount: RationalNumberType


@TYPES.type
class ReceiptType(Message):
    """What charging has cost so far."""

    TimeAnchor: UnsignedLong
    EnergyCosts: DetailedCostType | None = None
    OccupancyCosts: DetailedCostType | None = None
    AdditionalServicesCosts: DetailedCostType | None = None
    OverstayCosts: DetailedCostType | None = None
    TaxCosts: Annotated[tuple[DetailedTaxType, ...], Occurs(0, 10)] = ()


@TYPES.type
class DisplayParametersType(Message):
    """What the station may show of the vehicle; states of charge in percent, times in seconds."""

    PresentSOC: percentValueType | None = None
    MinimumSOC: percentValueType | None = None
    TargetSOC: percentValueType | None = None
    MaximumSOC: percentValueType | None = None
    RemainingTimeToMinimumSOC: UnsignedInt | None = None
    RemainingTimeToTargetSOC: UnsignedInt | None = None
    RemainingTimeToMaximumSOC: UnsignedInt | None = None
    ChargingComplete: bool | None = None
    BatteryEnergyCapacity: RationalNumberType | None = None
    InletHot: bool | None = None


# --- charge parameters and charge loop ------------------------------------------------------------------------------


@TYPES.abstract
class ChargeParameterDiscoveryReqType(V2GRequestType):
    """Base of the vehicle's limits."""


@TYPES.abstract
class ChargeParameterDiscoveryResType(V2GResponseType):
    """Base of the station's limits."""


@TYPES.abstract
class ChargeLoopReqType(V2GRequestType):
    """Base of the vehicle's part in the charge loop."""

    DisplayParameters: DisplayParametersType | None = None
    MeterInfoRequested: bool


@TYPES.abstract
class ChargeLoopResType(V2GResponseType):
    """Base of the station's part in the charge loop."""

    EVSEStatus: EVSEStatusType | None = None
    MeterInfo: MeterInfoType | None = None
    Receipt: ReceiptType | None = None


@TYPES.abstract
class CLReqControlModeType(Message):
    """How the vehicle takes part in the charge loop: scheduled or dynamic."""


@TYPES.abstract
class CLResControlModeType(Message):
    """How the station takes part in the charge loop: scheduled or dynamic."""


TYPES.abstract_element("CLReqControlMode", "CLResControlMode")


@TYPES.abstract
class Scheduled_CLReqControlModeType(CLReqControlModeType):
    """The vehicle follows a schedule."""

    EVTargetEnergyRequest: RationalNumberType | None = None
    EVMaximumEnergyRequest: RationalNumberType | None = None
    EVMinimumEnergyRequest: RationalNumberType | None = None


@TYPES.abstract
class Scheduled_CLResControlModeType(CLResControlModeType):
    """The station follows a schedule."""


@TYPES.abstract
class Dynamic_CLReqControlModeType(CLReqControlModeType):
    """The station decides the power; DepartureTime in seconds from now."""

    DepartureTime: UnsignedInt | None = None
    EVTargetEnergyRequest: RationalNumberType
    EVMaximumEnergyRequest: RationalNumberType
    EVMinimumEnergyRequest: RationalNumberType


@TYPES.abstract
class Dynamic_CLResControlModeType(CLResControlModeType):
    """The station decides the power; AckMaxDelay in seconds."""

    DepartureTime: UnsignedInt | None = None
    MinimumSOC: percentValueType | None = None
    TargetSOC: percentValueType | None = None
    AckMaxDelay: UnsignedShort | None = None
