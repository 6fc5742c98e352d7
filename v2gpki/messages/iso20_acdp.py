"""Automatic connection devices (pantographs) of ISO 15118-20 (schema V2G_CI_ACDP): deviations in cm."""

from typing import Literal

from v2gpki.messages.iso20_types import (
    RationalNumberType,
    V2GRequestType,
    V2GResponseType,
    percentValueType,
    processingType,
)
from v2gpki.messages.schema import Message, Namespace, Short

ACDP = Namespace("urn:iso:std:iso:15118:-20:ACDP", "acdp")

cpStatusType = Literal["StateA", "StateB", "StateC", "StateD", "StateE"]
isolationStatusType = Literal["Invalid", "Safe", "Warning", "Fault"]
electricalChargingDeviceStatusType = Literal["State_A", "State_B", "State_C", "State_D"]
mechanicalChargingDeviceStatusType = Literal["Home", "Moving", "EndPosition"]
errorCodeType = Literal[
    "OK_NoEVError",
    "FAILED",
    "FAILED_EmergencyEvent",
    "FAILED_Breaker",
    "FAILED_RESSTemperatureInhibit",
    "FAILED_RESS",
    "FAILED_ChargingCurrentDifferential",
    "FAILED_ChargingVoltageOutOfRange",
    "FAILED_Reserved1",
    "FAILED_Reserved2",
]


@ACDP.element
class ACDP_VehiclePositioningReq(V2GRequestType):
    """The vehicle moves, and whether it can be guided."""

    EVMobilityStatus: bool
    EVPositioningSupport: bool


@ACDP.element
class ACDP_VehiclePositioningRes(V2GResponseType):
    """How far the vehicle is from the contact window."""

    EVSEProcessing: processingType
    EVSEPositioningSupport: bool
    EVRelativeXDeviation: Short
    EVRelativeYDeviation: Short
    ContactWindowXc: Short
    ContactWindowYc: Short
    EVInChargePosition: bool


@ACDP.type
class ACDP_ConnectReqType(V2GRequestType):
    """The vehicle's side of connecting and disconnecting."""

    EVElectricalChargingDeviceStatus: electricalChargingDeviceStatusType


@ACDP.type
class ACDP_ConnectResType(V2GResponseType):
    """The station's side of connecting and disconnecting."""

    EVSEProcessing: processingType
    EVSEElectricalChargingDeviceStatus: electricalChargingDeviceStatusType
    EVSEMechanicalChargingDeviceStatus: mechanicalChargingDeviceStatusType


@ACDP.element
class ACDP_ConnectReq(ACDP_ConnectReqType):
    """The vehicle asks to be connected."""


@ACDP.element
class ACDP_ConnectRes(ACDP_ConnectResType):
    """How far connecting is."""


@ACDP.element
class ACDP_DisconnectReq(ACDP_ConnectReqType):
    """The vehicle asks to be disconnected."""


@ACDP.element
class ACDP_DisconnectRes(ACDP_ConnectResType):
    """How far disconnecting is."""


@ACDP.type
class EVTechnicalStatusType(Message):
    """State of the vehicle."""

    EVReadyToCharge: bool
    EVImmobilizationRequest: bool
    EVImmobilized: bool | None = None
    EVWLANStrength: RationalNumberType | None = None
    EVCPStatus: cpStatusType | None = None
    EVSOC: percentValueType | None = None
    EVErrorCode: errorCodeType | None = None
    EVTimeout: bool | None = None


@ACDP.element
class ACDP_SystemStatusReq(V2GRequestType):
    """The vehicle tells its state."""

    EVTechnicalStatus: EVTechnicalStatusType


@ACDP.element
class ACDP_SystemStatusRes(V2GResponseType):
    """The station tells its state."""

    EVSEMechanicalChargingDeviceStatus: mechanicalChargingDeviceStatusType
    EVSEReadyToCharge: bool
    EVSEIsolationStatus: isolationStatusType
    EVSEDisabled: bool
    EVSEUtilityInterruptEvent: bool
    EVSEEmergencyShutdown: bool
    EVSEMalfunction: bool
    EVInChargePosition: bool
    EVAssociationStatus: bool
