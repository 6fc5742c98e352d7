"""DC charging of ISO 15118-20 (schema V2G_CI_DC): powers in W, currents in A, voltages in V.

BPT is bidirectional power transfer.
"""

from typing import Annotated, TypeAlias

from v2gpki.messages import iso20_types as ct
from v2gpki.messages.iso20_types import RationalNumberType, percentValueType, processingType
from v2gpki.messages.schema import Message, Namespace, Substitutes

DC = Namespace("urn:iso:std:iso:15118:-20:DC", "dc")

# --- limits ---------------------------------------------------------------------------------------------------------


@DC.element
class DC_CPDReqEnergyTransferMode(Message):
    """Limits of the vehicle."""

    EVMaximumChargePower: RationalNumberType
    EVMinimumChargePower: RationalNumberType
    EVMaximumChargeCurrent: RationalNumberType
    EVMinimumChargeCurrent: RationalNumberType
    EVMaximumVoltage: RationalNumberType
    EVMinimumVoltage: RationalNumberType
    TargetSOC: percentValueType | None = None


@DC.element
class BPT_DC_CPDReqEnergyTransferMode(DC_CPDReqEnergyTransferMode):
    """Limits of the vehicle, both ways."""

    EVMaximumDischargePower: RationalNumberType
    EVMinimumDischargePower: RationalNumberType
    EVMaximumDischargeCurrent: RationalNumberType
    EVMinimumDischargeCurrent: RationalNumberType


@DC.element
class DC_CPDResEnergyTransferMode(Message):
    """Limits of the station."""

    EVSEMaximumChargePower: RationalNumberType
    EVSEMinimumChargePower: RationalNumberType
    EVSEMaximumChargeCurrent: RationalNumberType
    EVSEMinimumChargeCurrent: RationalNumberType
    EVSEMaximumVoltage: RationalNumberType
    EVSEMinimumVoltage: RationalNumberType
    EVSEPowerRampLimitation: RationalNumberType | None = None


@DC.element
class BPT_DC_CPDResEnergyTransferMode(DC_CPDResEnergyTransferMode):
    """Limits of the station, both ways."""

    EVSEMaximumDischargePower: RationalNumberType
    EVSEMinimumDischargePower: RationalNumberType
    EVSEMaximumDischargeCurrent: RationalNumberType
    EVSEMinimumDischargeCurrent: RationalNumberType


CPDReqEnergyTransferMode: TypeAlias = DC_CPDReqEnergyTransferMode | BPT_DC_CPDReqEnergyTransferMode
CPDResEnergyTransferMode: TypeAlias = DC_CPDResEnergyTransferMode | BPT_DC_CPDResEnergyTransferMode


@DC.element
class DC_ChargeParameterDiscoveryReq(ct.ChargeParameterDiscoveryReqType):
    """The vehicle's limits."""

    DC_CPDReqEnergyTransferMode: Annotated[CPDReqEnergyTransferMode, Substitutes()]


@DC.element
class DC_ChargeParameterDiscoveryRes(ct.ChargeParameterDiscoveryResType):
    """The station's limits."""

    DC_CPDResEnergyTransferMode: Annotated[CPDResEnergyTransferMode, Substitutes()]


# --- cable check, pre-charge, welding detection ---------------------------------------------------------------------


@DC.element
class DC_CableCheckReq(ct.V2GRequestType):
    """The vehicle asks for the isolation check."""


@DC.element
class DC_CableCheckRes(ct.V2GResponseType):
    """The isolation check, done or still running."""

    EVSEProcessing: processingType


@DC.element
class DC_PreChargeReq(ct.V2GRequestType):
    """The vehicle asks to match its voltage."""

    EVProcessing: processingType
    EVPresentVoltage: RationalNumberType
    EVTargetVoltage: RationalNumberType


@DC.element
class DC_PreChargeRes(ct.V2GResponseType):
    """The voltage reached."""

    EVSEPresentVoltage: RationalNumberType


@DC.element
class DC_WeldingDetectionReq(ct.V2GRequestType):
    """The vehicle asks for the voltage, to find welded contacts."""

    EVProcessing: processingType


@DC.element
class DC_WeldingDetectionRes(ct.V2GResponseType):
    """The voltage at the connector."""

    EVSEPresentVoltage: RationalNumberType


# --- charge loop, scheduled -----------------------------------------------------------------------------------------


@DC.element
class Scheduled_DC_CLReqControlMode(ct.Scheduled_CLReqControlModeType):
    """Demand and limits of a vehicle that follows a schedule."""

    EVTargetCurrent: RationalNumberType
    EVTargetVoltage: RationalNumberType
    EVMaximumChargePower: RationalNumberType | None = None
    EVMinimumChargePower: RationalNumberType | None = None
    EVMaximumChargeCurrent: RationalNumberType | None = None
    EVMaximumVoltage: RationalNumberType | None = None
    EVMinimumVoltage: RationalNumberType | None = None


@DC.element
class BPT_Scheduled_DC_CLReqControlMode(Scheduled_DC_CLReqControlMode):
    """Demand and limits of a vehicle that follows a schedule, both ways."""

    EVMaximumDischargePower: RationalNumberType | None = None
    EVMinimumDischargePower: RationalNumberType | None = None
    EVMaximumDischargeCurrent: RationalNumberType | None = None


@DC.element
class Scheduled_DC_CLResControlMode(ct.Scheduled_CLResControlModeType):
    """Limits of a station that follows a schedule."""

    EVSEMaximumChargePower: RationalNumberType | None = None
    EVSEMinimumChargePower: RationalNumberType | None = None
    EVSEMaximumChargeCurrent: RationalNumberType | None = None
    EVSEMaximumVoltage: RationalNumberType | None = None


@DC.element
class BPT_Scheduled_DC_CLResControlMode(Scheduled_DC_CLResControlMode):
    """Limits of a station that follows a schedule, both ways."""

    EVSEMaximumDischargePower: RationalNumberType | None = None
    EVSEMinimumDischargePower: RationalNumberType | None = None
    EVSEMaximumDischargeCurrent: RationalNumberType | None = None
    EVSEMinimumVoltage: RationalNumberType | None = None


# --- charge loop, dynamic -------------------------------------------------------------------------------------------


@DC.element
class Dynamic_DC_CLReqControlMode(ct.Dynamic_CLReqControlModeType):
    """Limits of a vehicle that lets the station decide."""

    EVMaximumChargePower: RationalNumberType
    EVMinimumChargePower: RationalNumberType
    EVMaximumChargeCurrent: RationalNumberType
    EVMaximumVoltage: RationalNumberType
    EVMinimumVoltage: RationalNumberType


@DC.element
class BPT_Dynamic_DC_CLReqControlMode(Dynamic_DC_CLReqControlMode):
    """Limits of a vehicle that lets the station decide, both ways."""

    EVMaximumDischargePower: RationalNumberType
    EVMinimumDischargePower: RationalNumberType
    EVMaximumDischargeCurrent: RationalNumberType
    EVMaximumV2XEnergyRequest: RationalNumberType | None = None
    EVMinimumV2XEnergyRequest: RationalNumberType | None = None


@DC.element
class Dynamic_DC_CLResControlMode(ct.Dynamic_CLResControlModeType):
    """Limits of a station that decides."""

    EVSEMaximumChargePower: RationalNumberType
    EVSEMinimumChargePower: RationalNumberType
    EVSEMaximumChargeCurrent: RationalNumberType
    EVSEMaximumVoltage: RationalNumberType


@DC.element
class BPT_Dynamic_DC_CLResControlMode(Dynamic_DC_CLResControlMode):
    """Limits of a station that decides, both ways."""

    EVSEMaximumDischargePower: RationalNumberType
    EVSEMinimumDischargePower: RationalNumberType
    EVSEMaximumDischargeCurrent: RationalNumberType
    EVSEMinimumVoltage: RationalNumberType


DC_CLReqControlMode: TypeAlias = (
    Scheduled_DC_CLReqControlMode
    | BPT_Scheduled_DC_CLReqControlMode
    | Dynamic_DC_CLReqControlMode
    | BPT_Dynamic_DC_CLReqControlMode
)
DC_CLResControlMode: TypeAlias = (
    Scheduled_DC_CLResControlMode
    | BPT_Scheduled_DC_CLResControlMode
    | Dynamic_DC_CLResControlMode
    | BPT_Dynamic_DC_CLResControlMode
)


@DC.element
class DC_ChargeLoopReq(ct.ChargeLoopReqType):
    """The vehicle's demand, several times a second."""

    EVPresentVoltage: RationalNumberType
    CLReqControlMode: Annotated[DC_CLReqControlMode, Substitutes("CLReqControlMode", ct.TYPES)]


@DC.element
class DC_ChargeLoopRes(ct.ChargeLoopResType):
    """What the station delivers, and where it is at its limits."""

    EVSEPresentCurrent: RationalNumberType
    EVSEPresentVoltage: RationalNumberType
    EVSEPowerLimitAchieved: bool
    EVSECurrentLimitAchieved: bool
    EVSEVoltageLimitAchieved: bool
    CLResControlMode: Annotated[DC_CLResControlMode, Substitutes("CLResControlMode", ct.TYPES)]
