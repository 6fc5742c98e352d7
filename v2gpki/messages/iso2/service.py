"""Session set-up, the choice of services and payment, session stop (ISO 15118-2 8.4.3)."""

from typing import Annotated, Literal

from v2gpki.messages.iso2.types import (
    BODY,
    TYPES,
    BodyBaseType,
    PhysicalValueType,
    evseIDType,
    responseCodeType,
)
from v2gpki.messages.schema import (
    Attribute,
    Byte,
    Characters,
    Choice,
    Hex,
    Int,
    Long,
    Message,
    Occurs,
    Short,
    String,
    UnsignedShort,
)

evccIDType = Annotated[bytes, Hex(6)]
serviceIDType = UnsignedShort
serviceNameType = Annotated[str, String(32)]
serviceScopeType = Annotated[str, String(64)]
serviceCategoryType = Literal["EVCharging", "Internet", "ContractCertificate", "OtherCustom"]
paymentOptionType = Literal["Contract", "ExternalPayment"]
chargingSessionType = Literal["Terminate", "Pause"]
EnergyTransferModeType = Literal[
    "AC_single_phase_core", "AC_three_phase_core", "DC_core", "DC_extended", "DC_combo_core", "DC_unique"
]

# --- session --------------------------------------------------------------------------------------------------------


@BODY.element
class SessionSetupReq(BodyBaseType):
    """The vehicle opens a session, or joins one that it paused; EVCCID is its MAC address."""

    EVCCID: evccIDType


@BODY.element
class SessionSetupRes(BodyBaseType):
    """The station names itself; EVSETimeStamp in Unix seconds."""

    ResponseCode: responseCodeType
    EVSEID: evseIDType
    EVSETimeStamp: Long | None = None


@BODY.element
class SessionStopReq(BodyBaseType):
    """The vehicle ends or pauses the session."""

    ChargingSession: chargingSessionType


@BODY.element
class SessionStopRes(BodyBaseType):
    """The station ends or pauses the session."""

    ResponseCode: responseCodeType


# --- services -------------------------------------------------------------------------------------------------------


@TYPES.type
class ServiceType(Message):
    """A service of the station."""

    ServiceID: serviceIDType
    ServiceName: serviceNameType | None = None
    ServiceCategory: serviceCategoryType
    ServiceScope: serviceScopeType | None = None
    FreeService: bool


@TYPES.type
class ServiceListType(Message):
    """Value-added services."""

    Service: Annotated[tuple[ServiceType, ...], Occurs(1, 8)]


@TYPES.type
class SupportedEnergyTransferModeType(Message):
    """How the station can transfer energy."""

    EnergyTransferMode: Annotated[tuple[EnergyTransferModeType, ...], Occurs(1, 6)]


@TYPES.type
class ChargeServiceType(ServiceType):
    """The charging service itself."""

    SupportedEnergyTransferMode: SupportedEnergyTransferModeType


@TYPES.type
class PaymentOptionListType(Message):
    """Who may pay: a contract in the vehicle, or somebody at the station."""

    PaymentOption: Annotated[tuple[paymentOptionType, ...], Occurs(1, 2)]


@BODY.element
class ServiceDiscoveryReq(BodyBaseType):
    """The vehicle asks for services, of one scope and category if it says so."""

    ServiceScope: serviceScopeType | None = None
    ServiceCategory: serviceCategoryType | None = None


@BODY.element
class ServiceDiscoveryRes(BodyBaseType):
    """The station's services and ways of payment."""

    ResponseCode: responseCodeType
    PaymentOptionList: PaymentOptionListType
    ChargeService: ChargeServiceType
    ServiceList: ServiceListType | None = None


@TYPES.type
class ParameterType(Message):
    """A named value; exactly one of the values is there."""

    Name: Annotated[Characters, Attribute()]
    boolValue: Annotated[bool | None, Choice("value")] = None
    byteValue: Annotated[Byte | None, Choice("value")] = None
    shortValue: Annotated[Short | None, Choice("value")] = None
    intValue: Annotated[Int | None, Choice("value")] = None
    physicalValue: Annotated[PhysicalValueType | None, Choice("value")] = None
    stringValue: Annotated[Characters | None, Choice("value")] = None


@TYPES.type
class ParameterSetType(Message):
    """One variant of a service."""

    ParameterSetID: Short
    Parameter: Annotated[tuple[ParameterType, ...], Occurs(1, 16, open_when_full=True)]


@TYPES.type
class ServiceParameterListType(Message):
    """The variants of a service."""

    ParameterSet: Annotated[tuple[ParameterSetType, ...], Occurs(1, 255, open_when_full=True)]


@BODY.element
class ServiceDetailReq(BodyBaseType):
    """The vehicle asks for the variants of a service."""

    ServiceID: serviceIDType


@BODY.element
class ServiceDetailRes(BodyBaseType):
    """The variants of a service."""

    ResponseCode: responseCodeType
    ServiceID: serviceIDType
    ServiceParameterList: ServiceParameterListType | None = None


@TYPES.type
class SelectedServiceType(Message):
    """A chosen service and its variant."""

    ServiceID: serviceIDType
    ParameterSetID: Short | None = None


@TYPES.type
class SelectedServiceListType(Message):
    """The chosen services."""

    SelectedService: Annotated[tuple[SelectedServiceType, ...], Occurs(1, 16, open_when_full=True)]


@BODY.element
class PaymentServiceSelectionReq(BodyBaseType):
    """The vehicle's choice of payment and services."""

    SelectedPaymentOption: paymentOptionType
    SelectedServiceList: SelectedServiceListType


@BODY.element
class PaymentServiceSelectionRes(BodyBaseType):
    """The station takes the choice or not."""

    ResponseCode: responseCodeType
