"""Wireless power transfer of ISO 15118-20 (schema V2G_CI_WPT): powers in W, frequencies in Hz, lengths in mm.

LF is the low-frequency antenna system that positions the vehicle, LPE low-power excitation of the primary device.
"""

from typing import Annotated, Literal

from v2gpki.messages.iso20_types import (
    ChargeLoopReqType,
    ChargeLoopResType,
    ChargeParameterDiscoveryReqType,
    ChargeParameterDiscoveryResType,
    RationalNumberType,
    V2GRequestType,
    V2GResponseType,
    identifierType,
    numericIDType,
    processingType,
)
from v2gpki.messages.schema import (
    Base64,
    Choice,
    Message,
    Namespace,
    Occurs,
    Short,
    String,
    UnsignedByte,
    UnsignedShort,
)

WPT = Namespace("urn:iso:std:iso:15118:-20:WPT", "wpt")

WPT_DataContainerType = Annotated[bytes, Base64(256)]
#: Up to 16 containers of a manufacturer's own data.
DataContainers = Annotated[tuple[WPT_DataContainerType, ...], Occurs(0, 16)]
bssidType = Annotated[str, String(12)]
ipaddressType = Annotated[str, String(39)]
WPT_FinePositioningMethodType = Literal["Manual", "LF_TxEV", "LF_TxPrimaryDevice", "LPE", "Proprietary"]
WPT_PairingMethodType = Literal[
    "External confirmation", "LPE", "LF_TxEV", "LF_TxPrimaryDevice", "Optical", "Proprietary"
]
WPT_AlignmentCheckMethodType = Literal["PowerCheck", "LPE", "Proprietary"]
WPT_EVPCChargeDiagnosticsType = Literal[
    "EVPCNoIssue", "EVPCTempOverheatDetected", "EVPCPowerTransferAnomalyDetected", "EVPCAnomalyDetected"
]
WPT_SPCChargeDiagnosticsType = Literal[
    "SPCNoIssue",
    "SPCFODDetected",
    "SPCLOPDetected",
    "SPCTempOverheatDetected",
    "SPCPowerTransferAnomalyDetected",
    "SPCAnomalyDetected",
]
WPT_PowerClassType = Literal["MF-WPT1", "MF-WPT2", "MF-WPT3", "MF-WPT4"]
WPT_EVResultType = Literal["EVResultUnknown", "EVResultSuccess", "EVResultFailed"]

# --- methods --------------------------------------------------------------------------------------------------------


@WPT.type
class WPT_FinePositioningMethodListType(Message):
    """Ways of positioning, by preference."""

    WPT_FinePositioningMethod: Annotated[tuple[WPT_FinePositioningMethodType, ...], Occurs(1, 8)]


@WPT.type
class WPT_PairingMethodListType(Message):
    """Ways of pairing, by preference."""

    WPT_PairingMethod: Annotated[tuple[WPT_PairingMethodType, ...], Occurs(1, 8)]


@WPT.type
class WPT_AlignmentCheckMethodListType(Message):
    """Ways of checking the alignment, by preference."""

    WPT_AlignmentCheckMethod: Annotated[tuple[WPT_AlignmentCheckMethodType, ...], Occurs(1, 8)]


# --- the LF system --------------------------------------------------------------------------------------------------


@WPT.type
class WPT_CoordinateXYZType(Message):
    """A position or a direction."""

    Coord_X: Short
    Coord_Y: Short
    Coord_Z: Short


@WPT.type
class WPT_TxRxSpecDataType(Message):
    """Where an antenna is."""

    TxRxIdentifier: numericIDType
    TxRxPosition: WPT_CoordinateXYZType
    TxRxOrientation: WPT_CoordinateXYZType


@WPT.type
class WPT_TxRxPulseOrderType(Message):
    """Which antenna pulses at a place of the sequence."""

    IndexNumber: UnsignedShort
    TxRxIdentifier: numericIDType


@WPT.type
class WPT_TxRxPackageSpecDataType(Message):
    """A sequence of pulses and its times."""

    PulseSequenceOrder: Annotated[tuple[WPT_TxRxPulseOrderType, ...], Occurs(2, 255, open_when_full=True)]
    PulseSeparationTime: UnsignedShort
    PulseDuration: UnsignedShort
    PackageSeparationTime: UnsignedShort


@WPT.type
class WPT_LF_TransmitterDataType(Message):
    """The transmitting antennas."""

    NumberOfTransmitters: UnsignedByte
    SignalFrequency: RationalNumberType
    TxSpecData: Annotated[tuple[WPT_TxRxSpecDataType, ...], Occurs(2, 255, open_when_full=True)]
    TxPackageSpecData: WPT_TxRxPackageSpecDataType | None = None


@WPT.type
class WPT_LF_ReceiverDataType(Message):
    """The receiving antennas."""

    NumberOfReceivers: UnsignedByte
    RxSpecData: Annotated[tuple[WPT_TxRxSpecDataType, ...], Occurs(2, 255, open_when_full=True)]


@WPT.type
class WPT_LF_SystemSetupDataType(Message):
    """One side's antennas."""

    LF_TransmitterSetupData: Annotated[WPT_LF_TransmitterDataType | None, Choice("side")] = None
    LF_ReceiverSetupData: Annotated[WPT_LF_ReceiverDataType | None, Choice("side")] = None


@WPT.type
class WPT_LF_TxDataType(Message):
    """The radiated power of an antenna."""

    TxIdentifier: numericIDType
    EIRP: RationalNumberType


@WPT.type
class WPT_LF_TxDataListType(Message):
    """What was transmitted."""

    WPT_LF_TxDataList: WPT_LF_TxDataType


@WPT.type
class WPT_LF_RxRSSIType(Message):
    """The strength at which an antenna was heard."""

    TxIdentifier: numericIDType
    RSSI: RationalNumberType


@WPT.type
class WPT_LF_RxRSSIListType(Message):
    """The strengths at which antennas were heard."""

    RSSIDataList: WPT_LF_RxRSSIType


@WPT.type
class WPT_LF_RxDataType(Message):
    """What one antenna received."""

    RxIdentifier: numericIDType
    RSSIData: WPT_LF_RxRSSIListType


@WPT.type
class WPT_LF_RxDataListType(Message):
    """What was received."""

    WPT_LF_RxDataList: WPT_LF_RxDataType


@WPT.type
class WPT_LF_DataPackageType(Message):
    """One measurement."""

    PackageIndex: UnsignedByte
    LF_TxData: Annotated[WPT_LF_TxDataListType | None, Choice("side")] = None
    LF_RxData: Annotated[WPT_LF_RxDataListType | None, Choice("side")] = None


@WPT.type
class WPT_LF_DataPackageListType(Message):
    """Measurements."""

    NumPackages: UnsignedByte
    WPT_LF_DataPackage: WPT_LF_DataPackageType


# --- positioning, pairing, alignment --------------------------------------------------------------------------------


@WPT.element
class WPT_FinePositioningSetupReq(V2GRequestType):
    """The vehicle's ways of positioning, pairing and checking."""

    EVProcessing: processingType
    EVDeviceFinePositioningMethodList: WPT_FinePositioningMethodListType
    EVDevicePairingMethodList: WPT_PairingMethodListType
    EVDeviceAlignmentCheckMethodList: WPT_AlignmentCheckMethodListType
    NaturalOffset: UnsignedShort
    VendorSpecificDataContainer: DataContainers = ()
    LF_SystemSetupData: WPT_LF_SystemSetupDataType | None = None


@WPT.element
class WPT_FinePositioningSetupRes(V2GResponseType):
    """The primary device's ways of positioning, pairing and checking."""

    PrimaryDeviceFinePositioningMethodList: WPT_FinePositioningMethodListType
    PrimaryDevicePairingMethodList: WPT_PairingMethodListType
    PrimaryDeviceAlignmentCheckMethodList: WPT_AlignmentCheckMethodListType
    NaturalOffset: UnsignedShort
    VendorSpecificDataContainer: DataContainers = ()
    LF_SystemSetupData: WPT_LF_SystemSetupDataType | None = None


@WPT.element
class WPT_FinePositioningReq(V2GRequestType):
    """The vehicle's measurements while it moves."""

    EVProcessing: processingType
    EVResultCode: WPT_EVResultType
    VendorSpecificDataContainer: DataContainers = ()
    WPT_LF_DataPackageList: WPT_LF_DataPackageListType | None = None


@WPT.element
class WPT_FinePositioningRes(V2GResponseType):
    """The station's measurements while the vehicle moves."""

    EVSEProcessing: processingType
    VendorSpecificDataContainer: DataContainers = ()
    WPT_LF_DataPackageList: WPT_LF_DataPackageListType | None = None


@WPT.element
class WPT_PairingReq(V2GRequestType):
    """The code that the vehicle observed."""

    EVProcessing: processingType
    ObservedIDCode: numericIDType | None = None
    EVResultCode: WPT_EVResultType
    VendorSpecificDataContainer: DataContainers = ()


@WPT.type
class AlternativeSECCType(Message):
    """Another station's controller, where the vehicle may stand."""

    SSID: identifierType | None = None
    BSSID: bssidType | None = None
    IPAddress: ipaddressType | None = None
    Port: UnsignedShort | None = None


@WPT.type
class AlternativeSECCListType(Message):
    """Other stations' controllers."""

    AlternativeSECC: Annotated[tuple[AlternativeSECCType, ...], Occurs(1, 8)]


@WPT.element
class WPT_PairingRes(V2GResponseType):
    """The code that the station observed, or where to go instead."""

    EVSEProcessing: processingType
    ObservedIDCode: numericIDType | None = None
    AlternativeSECCList: AlternativeSECCListType | None = None
    VendorSpecificDataContainer: DataContainers = ()


@WPT.element
class WPT_AlignmentCheckReq(V2GRequestType):
    """The vehicle asks for a little power, to check the alignment."""

    EVProcessing: processingType
    TargetCoilCurrent: RationalNumberType | None = None
    EVResultCode: WPT_EVResultType
    VendorSpecificDataContainer: DataContainers = ()


@WPT.element
class WPT_AlignmentCheckRes(V2GResponseType):
    """What the station transmitted."""

    EVSEProcessing: processingType
    PowerTransmitted: RationalNumberType | None = None
    SupplyDeviceCurrent: RationalNumberType | None = None
    VendorSpecificDataContainer: DataContainers = ()


# --- charging: EVPC is the vehicle's power circuit, SPC the supply's, SD the supply device, PD the primary device ----


@WPT.element
class WPT_ChargeParameterDiscoveryReq(ChargeParameterDiscoveryReqType):
    """Limits of the vehicle."""

    EVPCMaxReceivablePower: RationalNumberType
    SDMaxGroundClearence: UnsignedShort
    SDMinGroundClearence: UnsignedShort
    EVPCNaturalFrequency: RationalNumberType
    EVPCDeviceLocalControl: bool
    VendorSpecificDataContainer: DataContainers = ()


@WPT.element
class WPT_ChargeParameterDiscoveryRes(ChargeParameterDiscoveryResType):
    """Limits of the station."""

    PDInputPowerClass: WPT_PowerClassType
    SDMinOutputPower: RationalNumberType
    SDMaxOutputPower: RationalNumberType
    SDMaxGroundClearanceSupport: UnsignedShort
    SDMinGroundClearanceSupport: UnsignedShort
    PDMinCoilCurrent: RationalNumberType
    PDMaxCoilCurrent: RationalNumberType
    SDManufacturerSpecificDataContainer: DataContainers = ()


@WPT.type
class WPT_EVPCPowerControlParameterType(Message):
    """Currents and voltages in the vehicle."""

    EVPCCoilCurrentRequest: RationalNumberType
    EVPCCoilCurrentInformation: RationalNumberType
    EVPCCurrentOutputInformation: RationalNumberType
    EVPCVoltageOutputInformation: RationalNumberType


@WPT.type
class WPT_SPCPowerControlParameterType(Message):
    """The current in the primary device."""

    SPCPrimaryDeviceCoilCurrentInformation: RationalNumberType


@WPT.element
class WPT_ChargeLoopReq(ChargeLoopReqType):
    """The vehicle's demand."""

    EVPCPowerRequest: RationalNumberType
    EVPCPowerOutput: RationalNumberType
    EVPCChargeDiagnostics: WPT_EVPCChargeDiagnosticsType
    EVPCOperatingFrequency: RationalNumberType | None = None
    EVPCPowerControlParameter: WPT_EVPCPowerControlParameterType | None = None
    ManufacturerSpecificDataContainer: DataContainers = ()


@WPT.element
class WPT_ChargeLoopRes(ChargeLoopResType):
    """What the station delivers."""

    EVPCPowerRequest: RationalNumberType
    SDPowerInput: RationalNumberType | None = None
    SPCMaxOutputPowerLimit: RationalNumberType
    SPCMinOutputPowerLimit: RationalNumberType
    SPCChargeDiagnostics: WPT_SPCChargeDiagnosticsType
    SPCOperatingFrequency: RationalNumberType | None = None
    SPCPowerControlParameter: WPT_SPCPowerControlParameterType | None = None
    ManufacturerSpecificDataContainer: DataContainers = ()
