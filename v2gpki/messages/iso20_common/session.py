"""Session set-up and stop, services, metering confirmation, check-in and check-out (ISO 15118-20 8.3.4)."""

from typing import Annotated, Literal

from v2gpki.messages.iso20_types import (
    MeterInfoType,
    RationalNumberType,
    ReceiptType,
    V2GRequestType,
    V2GResponseType,
    descriptionType,
    identifierType,
    nameType,
    numericIDType,
    sessionIDType,
)
from v2gpki.messages.schema import (
    Attribute,
    Byte,
    Characters,
    Choice,
    Int,
    Message,
    Namespace,
    Occurs,
    Short,
    UnsignedLong,
    UnsignedShort,
)

MESSAGES = Namespace("urn:iso:std:iso:15118:-20:CommonMessages", "cm")

serviceIDType = UnsignedShort
chargingSessionType = Literal["Pause", "Terminate", "ServiceRenegotiation"]
evCheckInStatusType = Literal["CheckIn", "Processing", "Completed"]
evCheckOutStatusType = Literal["CheckOut", "Processing", "Completed"]
evseCheckOutStatusType = Literal["Scheduled", "Completed"]
parkingMethodType = Literal["AutoParking", "MVGuideManual", "Manual"]

# --- session --------------------------------------------------------------------------------------------------------


@MESSAGES.element
class SessionSetupReq(V2GRequestType):
    """The vehicle opens a session, or joins one that it paused."""

    EVCCID: identifierType


@MESSAGES.element
class SessionSetupRes(V2GResponseType):
    """The station names itself."""

    EVSEID: identifierType


@MESSAGES.element
class SessionStopReq(V2GRequestType):
    """The vehicle ends, pauses or renegotiates the session."""

    ChargingSession: chargingSessionType
    EVTerminationCode: nameType | None = None
    EVTerminationExplanation: descriptionType | None = None


@MESSAGES.element
class SessionStopRes(V2GResponseType):
    """The station follows or not."""


# --- services -------------------------------------------------------------------------------------------------------


@MESSAGES.type
class ServiceIDListType(Message):
    """Services that the vehicle knows."""

    ServiceID: Annotated[tuple[serviceIDType, ...], Occurs(1, 16)]


@MESSAGES.type
class ServiceType(Message):
    """A service of the station."""

    ServiceID: serviceIDType
    FreeService: bool


@MESSAGES.type
class ServiceListType(Message):
    """Services of the station."""

    Service: Annotated[tuple[ServiceType, ...], Occurs(1, 8)]


@MESSAGES.element
class ServiceDiscoveryReq(V2GRequestType):
    """The vehicle asks for services."""

    SupportedServiceIDs: ServiceIDListType | None = None


@MESSAGES.element
class ServiceDiscoveryRes(V2GResponseType):
    """Energy transfer and value-added services."""

    ServiceRenegotiationSupported: bool
    EnergyTransferServiceList: ServiceListType
    VASList: ServiceListType | None = None


@MESSAGES.type
class ParameterType(Message):
    """A named value; exactly one of the values is there."""

    Name: Annotated[nameType, Attribute()]
    boolValue: Annotated[bool | None, Choice("value")] = None
    byteValue: Annotated[Byte | None, Choice("value")] = None
    shortValue: Annotated[Short | None, Choice("value")] = None
    intValue: Annotated[Int | None, Choice("value")] = None
    rationalNumber: Annotated[RationalNumberType | None, Choice("value")] = None
    finiteString: Annotated[nameType | None, Choice("value")] = None


@MESSAGES.type
class ParameterSetType(Message):
    """One variant of a service."""

    ParameterSetID: serviceIDType
    Parameter: Annotated[tuple[ParameterType, ...], Occurs(1, 32)]


@MESSAGES.type
class ServiceParameterListType(Message):
    """The variants of a service."""

    ParameterSet: Annotated[tuple[ParameterSetType, ...], Occurs(1, 32)]


@MESSAGES.element
class ServiceDetailReq(V2GRequestType):
    """The vehicle asks for the variants of a service."""

    ServiceID: serviceIDType


@MESSAGES.element
class ServiceDetailRes(V2GResponseType):
    """The variants of a service."""

    ServiceID: serviceIDType
    ServiceParameterList: ServiceParameterListType


@MESSAGES.type
class SelectedServiceType(Message):
    """A chosen service and its variant."""

    ServiceID: serviceIDType
    ParameterSetID: serviceIDType


@MESSAGES.type
class SelectedServiceListType(Message):
    """Chosen services."""

    SelectedService: Annotated[tuple[SelectedServiceType, ...], Occurs(1, 16)]


@MESSAGES.element
class ServiceSelectionReq(V2GRequestType):
    """The vehicle's choice of energy transfer and value-added services."""

    SelectedEnergyTransferService: SelectedServiceType
    SelectedVASList: SelectedServiceListType | None = None


@MESSAGES.element
class ServiceSelectionRes(V2GResponseType):
    """The station takes the choice or not."""


# --- metering -------------------------------------------------------------------------------------------------------


@MESSAGES.type
class Scheduled_SMDTControlModeType(Message):
    """The vehicle follows a schedule."""

    SelectedScheduleTupleID: numericIDType


@MESSAGES.type
class Dynamic_SMDTControlModeType(Message):
    """The station decides the power."""


@MESSAGES.element
class SignedMeteringData(Message):
    """A meter reading, confirmed under the contract's signature."""

    Id: Annotated[Characters, Attribute()]
    SessionID: sessionIDType
    MeterInfo: MeterInfoType
    Receipt: ReceiptType | None = None
    Dynamic_SMDTControlMode: Annotated[Dynamic_SMDTControlModeType | None, Choice("mode")] = None
    Scheduled_SMDTControlMode: Annotated[Scheduled_SMDTControlModeType | None, Choice("mode")] = None


SignedMeteringDataType = SignedMeteringData


@MESSAGES.element
class MeteringConfirmationReq(V2GRequestType):
    """The vehicle confirms a meter reading."""

    SignedMeteringData: SignedMeteringDataType


@MESSAGES.element
class MeteringConfirmationRes(V2GResponseType):
    """The station takes the confirmation or not."""


# --- parking --------------------------------------------------------------------------------------------------------


@MESSAGES.type
class TargetPositionType(Message):
    """Where to park; no message uses it."""

    TargetOffsetX: UnsignedShort
    TargetOffsetY: UnsignedShort


@MESSAGES.element
class VehicleCheckInReq(V2GRequestType):
    """The vehicle arrives; lengths in cm."""

    EVCheckInStatus: evCheckInStatusType
    ParkingMethod: parkingMethodType
    VehicleFrame: Short | None = None
    DeviceOffset: Short | None = None
    VehicleTravel: Short | None = None


@MESSAGES.element
class VehicleCheckInRes(V2GResponseType):
    """Where the vehicle shall stand; lengths in cm."""

    ParkingSpace: Short | None = None
    DeviceLocation: Short | None = None
    TargetDistance: Short | None = None


@MESSAGES.element
class VehicleCheckOutReq(V2GRequestType):
    """The vehicle leaves; CheckOutTime in Unix seconds."""

    EVCheckOutStatus: evCheckOutStatusType
    CheckOutTime: UnsignedLong


@MESSAGES.element
class VehicleCheckOutRes(V2GResponseType):
    """The station lets the vehicle go."""

    EVSECheckOutStatus: evseCheckOutStatusType
