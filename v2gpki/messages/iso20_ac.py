"""AC charging of ISO 15118-20 (schema V2G_CI_AC): powers in W, of each phase when _L2 and _L3 are there.

BPT is bidirectional power transfer.
"""

from typing import Annotated, TypeAlias

from v2gpki.messages import iso20_types as ct
from v2gpki.messages.iso20_types import RationalNumberType
from v2gpki.messages.schema import Message, Namespace, Substitutes

AC = Namespace("urn:iso:std:iso:15118:-20:AC", "ac")

# --- limits ---------------------------------------------------------------------------------------------------------


@AC.element
class AC_CPDReqEnergyTransferMode(Message):
    """Limits of the vehicle."""

    EVMaximumChargePower: RationalNumberType
    EVMaximumChargePower_L2: RationalNumberType | None = None
    EVMaximumChargePower_L3: RationalNumberType | None = None
    EVMinimumChargePower: RationalNumberType
    EVMinimumChargePower_L2: RationalNumberType | None = None
    EVMinimumChargePower_L3: RationalNumberType | None = None


@AC.element
class BPT_AC_CPDReqEnergyTransferMode(AC_CPDReqEnergyTransferMode):
    """Limits of the vehicle, both ways."""

    EVMaximumDischargePower: RationalNumberType
    EVMaximumDischargePower_L2: RationalNumberType | None = None
    EVMaximumDischargePower_L3: RationalNumberType | None = None
    EVMinimumDischargePower: RationalNumberType
    EVMinimumDischargePower_L2: RationalNumberType | None = None
    EVMinimumDischargePower_L3: RationalNumberType | None = None


@AC.element
class AC_CPDResEnergyTransferMode(Message):
    """Limits of the station."""

    EVSEMaximumChargePower: RationalNumberType
    EVSEMaximumChargePower_L2: RationalNumberType | None = None
    EVSEMaximumChargePower_L3: RationalNumberType | None = None
    EVSEMinimumChargePower: RationalNumberType
    EVSEMinimumChargePower_L2: RationalNumberType | None = None
    EVSEMinimumChargePower_L3: RationalNumberType | None = None
    EVSENominalFrequency: RationalNumberType
    MaximumPowerAsymmetry: RationalNumberType | None = None
    EVSEPowerRampLimitation: RationalNumberType | None = None
    EVSEPresentActivePower: RationalNumberType | None = None
    EVSEPresentActivePower_L2: RationalNumberType | None = None
    EVSEPresentActivePower_L3: RationalNumberType | None = None


@AC.element
class BPT_AC_CPDResEnergyTransferMode(AC_CPDResEnergyTransferMode):
    """Limits of the station, both ways."""

    EVSEMaximumDischargePower: RationalNumberType
    EVSEMaximumDischargePower_L2: RationalNumberType | None = None
    EVSEMaximumDischargePower_L3: RationalNumberType | None = None
    EVSEMinimumDischargePower: RationalNumberType
    EVSEMinimumDischargePower_L2: RationalNumberType | None = None
    EVSEMinimumDischargePower_L3: RationalNumberType | None = None


CPDReqEnergyTransferMode: TypeAlias = AC_CPDReqEnergyTransferMode | BPT_AC_CPDReqEnergyTransferMode
CPDResEnergyTransferMode: TypeAlias = AC_CPDResEnergyTransferMode | BPT_AC_CPDResEnergyTransferMode


@AC.element
class AC_ChargeParameterDiscoveryReq(ct.ChargeParameterDiscoveryReqType):
    """The vehicle's limits."""

    AC_CPDReqEnergyTransferMode: Annotated[CPDReqEnergyTransferMode, Substitutes()]


@AC.element
class AC_ChargeParameterDiscoveryRes(ct.ChargeParameterDiscoveryResType):
    """The station's limits."""

    AC_CPDResEnergyTransferMode: Annotated[CPDResEnergyTransferMode, Substitutes()]


# --- charge loop, scheduled -----------------------------------------------------------------------------------------


@AC.element
class Scheduled_AC_CLReqControlMode(ct.Scheduled_CLReqControlModeType):
    """Limits and present power of a vehicle that follows a schedule."""

    EVMaximumChargePower: RationalNumberType | None = None
    EVMaximumChargePower_L2: RationalNumberType | None = None
    EVMaximumChargePower_L3: RationalNumberType | None = None
    EVMinimumChargePower: RationalNumberType | None = None
    EVMinimumChargePower_L2: RationalNumberType | None = None
    EVMinimumChargePower_L3: RationalNumberType | None = None
    EVPresentActivePower: RationalNumberType
    EVPresentActivePower_L2: RationalNumberType | None = None
    EVPresentActivePower_L3: RationalNumberType | None = None
    EVPresentReactivePower: RationalNumberType | None = None
    EVPresentReactivePower_L2: RationalNumberType | None = None
    EVPresentReactivePower_L3: RationalNumberType | None = None


@AC.element
class BPT_Scheduled_AC_CLReqControlMode(Scheduled_AC_CLReqControlMode):
    """Limits and present power of a vehicle that follows a schedule, both ways."""

    EVMaximumDischargePower: RationalNumberType | None = None
    EVMaximumDischargePower_L2: RationalNumberType | None = None
    EVMaximumDischargePower_L3: RationalNumberType | None = None
    EVMinimumDischargePower: RationalNumberType | None = None
    EVMinimumDischargePower_L2: RationalNumberType | None = None
    EVMinimumDischargePower_L3: RationalNumberType | None = None


@AC.element
class Scheduled_AC_CLResControlMode(ct.Scheduled_CLResControlModeType):
    """Target and present power of a station that follows a schedule."""

    EVSETargetActivePower: RationalNumberType | None = None
    EVSETargetActivePower_L2: RationalNumberType | None = None
    EVSETargetActivePower_L3: RationalNumberType | None = None
    EVSETargetReactivePower: RationalNumberType | None = None
    EVSETargetReactivePower_L2: RationalNumberType | None = None
    EVSETargetReactivePower_L3: RationalNumberType | None = None
    EVSEPresentActivePower: RationalNumberType | None = None
    EVSEPresentActivePower_L2: RationalNumberType | None = None
    EVSEPresentActivePower_L3: RationalNumberType | None = None


@AC.element
class BPT_Scheduled_AC_CLResControlMode(Scheduled_AC_CLResControlMode):
    """Target and present power of a station that follows a schedule, both ways."""


# --- charge loop, dynamic -------------------------------------------------------------------------------------------


@AC.element
class Dynamic_AC_CLReqControlMode(ct.Dynamic_CLReqControlModeType):
    """Limits and present power of a vehicle that lets the station decide."""

    EVMaximumChargePower: RationalNumberType
    EVMaximumChargePower_L2: RationalNumberType | None = None
    EVMaximumChargePower_L3: RationalNumberType | None = None
    EVMinimumChargePower: RationalNumberType
    EVMinimumChargePower_L2: RationalNumberType | None = None
    EVMinimumChargePower_L3: RationalNumberType | None = None
    EVPresentActivePower: RationalNumberType
    EVPresentActivePower_L2: RationalNumberType | None = None
    EVPresentActivePower_L3: RationalNumberType | None = None
    EVPresentReactivePower: RationalNumberType
    EVPresentReactivePower_L2: RationalNumberType | None = None
    EVPresentReactivePower_L3: RationalNumberType | None = None


@AC.element
class BPT_Dynamic_AC_CLReqControlMode(Dynamic_AC_CLReqControlMode):
    """Limits and present power of a vehicle that lets the station decide, both ways."""

    EVMaximumDischargePower: RationalNumberType
    EVMaximumDischargePower_L2: RationalNumberType | None = None
    EVMaximumDischargePower_L3: RationalNumberType | None = None
    EVMinimumDischargePower: RationalNumberType
    EVMinimumDischargePower_L2: RationalNumberType | None = None
    EVMinimumDischargePower_L3: RationalNumberType | None = None
    EVMaximumV2XEnergyRequest: RationalNumberType | None = None
    EVMinimumV2XEnergyRequest: RationalNumberType | None = None


@AC.element
class Dynamic_AC_CLResControlMode(ct.Dynamic_CLResControlModeType):
    """Target and present power of a station that decides."""

    EVSETargetActivePower: RationalNumberType
    EVSETargetActivePower_L2: RationalNumberType | None = None
    EVSETargetActivePower_L3: RationalNumberType | None = None
    EVSETargetReactivePower: RationalNumberType | None = None
    EVSETargetReactivePower_L2: RationalNumberType | None = None
    EVSETargetReactivePower_L3: RationalNumberType | None = None
    EVSEPresentActivePower: RationalNumberType | None = None
    EVSEPresentActivePower_L2: RationalNumberType | None = None
    EVSEPresentActivePower_L3: RationalNumberType | None = None


@AC.element
class BPT_Dynamic_AC_CLResControlMode(Dynamic_AC_CLResControlMode):
    """Target and present power of a station that decides, both ways."""


AC_CLReqControlMode: TypeAlias = (
    Scheduled_AC_CLReqControlMode
    | BPT_Scheduled_AC_CLReqControlMode
    | Dynamic_AC_CLReqControlMode
    | BPT_Dynamic_AC_CLReqControlMode
)
AC_CLResControlMode: TypeAlias = (
    Scheduled_AC_CLResControlMode
    | BPT_Scheduled_AC_CLResControlMode
    | Dynamic_AC_CLResControlMode
    | BPT_Dynamic_AC_CLResControlMode
)


@AC.element
class AC_ChargeLoopReq(ct.ChargeLoopReqType):
    """The vehicle's part in the charge loop."""

    CLReqControlMode: Annotated[AC_CLReqControlMode, Substitutes("CLReqControlMode", ct.TYPES)]


@AC.element
class AC_ChargeLoopRes(ct.ChargeLoopResType):
    """The station's part in the charge loop."""

    EVSETargetFrequency: RationalNumberType | None = None
    CLResControlMode: Annotated[AC_CLResControlMode, Substitutes("CLResControlMode", ct.TYPES)]
