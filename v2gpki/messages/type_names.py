"""Names of types that are not names of elements, by namespace.

EXI's initial name tables contain them (EXI 1.0 7.3.2, appendix D.3), and nothing else of a type's name is on the wire:
they only matter when a name under a wildcard, or one that stands where it is not allowed, is coded as an index.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_NAMES: Mapping[str, str] = {
    "urn:iso:15118:2:2013:MsgBody": """
        AuthorizationReqType AuthorizationResType BodyBaseType BodyType CableCheckReqType CableCheckResType
        CertificateInstallationReqType CertificateInstallationResType CertificateUpdateReqType
        CertificateUpdateResType ChargeParameterDiscoveryReqType ChargeParameterDiscoveryResType
        ChargingStatusReqType ChargingStatusResType CurrentDemandReqType CurrentDemandResType
        MeteringReceiptReqType MeteringReceiptResType PaymentDetailsReqType PaymentDetailsResType
        PaymentServiceSelectionReqType PaymentServiceSelectionResType PowerDeliveryReqType PowerDeliveryResType
        PreChargeReqType PreChargeResType ServiceDetailReqType ServiceDetailResType ServiceDiscoveryReqType
        ServiceDiscoveryResType SessionSetupReqType SessionSetupResType SessionStopReqType SessionStopResType
        WeldingDetectionReqType WeldingDetectionResType
    """,
    "urn:iso:15118:2:2013:MsgDataTypes": """
        AC_EVChargeParameterType AC_EVSEChargeParameterType AC_EVSEStatusType CertificateChainType
        ChargeServiceType ChargingProfileType ConsumptionCostType ContractSignatureEncryptedPrivateKeyType
        CostType DC_EVChargeParameterType DC_EVErrorCodeType DC_EVPowerDeliveryParameterType
        DC_EVSEChargeParameterType DC_EVSEStatusCodeType DC_EVSEStatusType DC_EVStatusType
        DiffieHellmanPublickeyType EMAIDType EVChargeParameterType EVPowerDeliveryParameterType
        EVSEChargeParameterType EVSENotificationType EVSEProcessingType EVSEStatusType EVStatusType
        EnergyTransferModeType EntryType IntervalType ListOfRootCertificateIDsType MeterInfoType
        NotificationType PMaxScheduleEntryType PMaxScheduleType ParameterSetType ParameterType
        PaymentOptionListType PhysicalValueType ProfileEntryType RelativeTimeIntervalType SAIDType
        SAScheduleListType SAScheduleTupleType SASchedulesType SalesTariffEntryType SalesTariffType
        SelectedServiceListType SelectedServiceType ServiceListType ServiceParameterListType ServiceType
        SubCertificatesType SupportedEnergyTransferModeType certificateType chargeProgressType
        chargingSessionType costKindType dHpublickeyType eMAIDType evccIDType evseIDType faultCodeType
        faultMsgType genChallengeType isolationLevelType maxNumPhasesType meterIDType meterStatusType
        paymentOptionType percentValueType privateKeyType responseCodeType serviceCategoryType serviceIDType
        serviceNameType serviceScopeType sessionIDType sigMeterReadingType tariffDescriptionType
        unitMultiplierType unitSymbolType valueType
    """,
    "urn:iso:15118:2:2013:MsgHeader": """
        MessageHeaderType
    """,
    "urn:iso:std:iso:15118:-20:CommonMessages": """
        AbsolutePriceScheduleType AdditionalServiceListType AdditionalServiceType AuthorizationReqType
        AuthorizationResType AuthorizationSetupReqType AuthorizationSetupResType CertificateChainType
        CertificateInstallationReqType CertificateInstallationResType ChargingScheduleType
        ContractCertificateChainType Dynamic_EVPPTControlModeType Dynamic_SEReqControlModeType
        Dynamic_SEResControlModeType Dynamic_SMDTControlModeType EIM_AReqAuthorizationModeType
        EIM_ASResAuthorizationModeType EMAIDListType EVAbsolutePriceScheduleType EVEnergyOfferType
        EVPowerProfileEntryListType EVPowerProfileType EVPowerScheduleEntryListType EVPowerScheduleEntryType
        EVPowerScheduleType EVPriceRuleStackListType EVPriceRuleStackType EVPriceRuleType
        MeteringConfirmationReqType MeteringConfirmationResType OverstayRuleListType OverstayRuleType
        ParameterSetType ParameterType PnC_AReqAuthorizationModeType PnC_ASResAuthorizationModeType
        PowerDeliveryReqType PowerDeliveryResType PowerScheduleEntryListType PowerScheduleEntryType
        PowerScheduleType PriceLevelScheduleEntryListType PriceLevelScheduleEntryType PriceLevelScheduleType
        PriceRuleStackListType PriceRuleStackType PriceRuleType PriceScheduleType ScheduleExchangeReqType
        ScheduleExchangeResType ScheduleTupleType Scheduled_EVPPTControlModeType Scheduled_SEReqControlModeType
        Scheduled_SEResControlModeType Scheduled_SMDTControlModeType SelectedServiceListType SelectedServiceType
        ServiceDetailReqType ServiceDetailResType ServiceDiscoveryReqType ServiceDiscoveryResType
        ServiceIDListType ServiceListType ServiceParameterListType ServiceSelectionReqType
        ServiceSelectionResType ServiceType SessionSetupReqType SessionSetupResType SessionStopReqType
        SessionStopResType SignedCertificateChainType SignedInstallationDataType SignedMeteringDataType
        SubCertificatesType SupportedProvidersListType TargetPositionType TaxRuleListType TaxRuleType
        VehicleCheckInReqType VehicleCheckInResType VehicleCheckOutReqType VehicleCheckOutResType
        authorizationType certificateType channelSelectionType chargeProgressType chargingSessionType
        currencyType dhPublicKeyType ecdhCurveType evCheckInStatusType evCheckOutStatusType
        evseCheckOutStatusType genChallengeType languageType maxSupportingPointsScheduleTupleType
        parkingMethodType powerToleranceAcceptanceType secp521_EncryptedPrivateKeyType serviceIDType
        tpm_EncryptedPrivateKeyType x448_EncryptedPrivateKeyType
    """,
    "urn:iso:std:iso:15118:-20:CommonTypes": """
        CLReqControlModeType CLResControlModeType ChargeLoopReqType ChargeLoopResType
        ChargeParameterDiscoveryReqType ChargeParameterDiscoveryResType DetailedCostType DetailedTaxType
        DisplayParametersType Dynamic_CLReqControlModeType Dynamic_CLResControlModeType EVSEStatusType
        ListOfRootCertificateIDsType MessageHeaderType MeterInfoType RationalNumberType ReceiptType
        Scheduled_CLReqControlModeType Scheduled_CLResControlModeType V2GMessageType V2GRequestType
        V2GResponseType descriptionType evseNotificationType identifierType meterIDType meterSignatureType
        nameType numericIDType percentValueType processingType responseCodeType sessionIDType
    """,
    "urn:iso:std:iso:15118:-20:AC": """
        AC_CPDReqEnergyTransferModeType AC_CPDResEnergyTransferModeType AC_ChargeLoopReqType
        AC_ChargeLoopResType AC_ChargeParameterDiscoveryReqType AC_ChargeParameterDiscoveryResType
        BPT_AC_CPDReqEnergyTransferModeType BPT_AC_CPDResEnergyTransferModeType
        BPT_Dynamic_AC_CLReqControlModeType BPT_Dynamic_AC_CLResControlModeType
        BPT_Scheduled_AC_CLReqControlModeType BPT_Scheduled_AC_CLResControlModeType
        Dynamic_AC_CLReqControlModeType Dynamic_AC_CLResControlModeType Scheduled_AC_CLReqControlModeType
        Scheduled_AC_CLResControlModeType
    """,
    "urn:iso:std:iso:15118:-20:DC": """
        BPT_DC_CPDReqEnergyTransferModeType BPT_DC_CPDResEnergyTransferModeType
        BPT_Dynamic_DC_CLReqControlModeType BPT_Dynamic_DC_CLResControlModeType
        BPT_Scheduled_DC_CLReqControlModeType BPT_Scheduled_DC_CLResControlModeType
        DC_CPDReqEnergyTransferModeType DC_CPDResEnergyTransferModeType DC_CableCheckReqType
        DC_CableCheckResType DC_ChargeLoopReqType DC_ChargeLoopResType DC_ChargeParameterDiscoveryReqType
        DC_ChargeParameterDiscoveryResType DC_PreChargeReqType DC_PreChargeResType DC_WeldingDetectionReqType
        DC_WeldingDetectionResType Dynamic_DC_CLReqControlModeType Dynamic_DC_CLResControlModeType
        Scheduled_DC_CLReqControlModeType Scheduled_DC_CLResControlModeType
    """,
    "urn:iso:std:iso:15118:-20:WPT": """
        AlternativeSECCListType AlternativeSECCType WPT_AlignmentCheckMethodListType
        WPT_AlignmentCheckMethodType WPT_AlignmentCheckReqType WPT_AlignmentCheckResType WPT_ChargeLoopReqType
        WPT_ChargeLoopResType WPT_ChargeParameterDiscoveryReqType WPT_ChargeParameterDiscoveryResType
        WPT_CoordinateXYZType WPT_DataContainerType WPT_EVPCChargeDiagnosticsType
        WPT_EVPCPowerControlParameterType WPT_EVResultType WPT_FinePositioningMethodListType
        WPT_FinePositioningMethodType WPT_FinePositioningReqType WPT_FinePositioningResType
        WPT_FinePositioningSetupReqType WPT_FinePositioningSetupResType WPT_LF_DataPackageListType
        WPT_LF_DataPackageType WPT_LF_ReceiverDataType WPT_LF_RxDataListType WPT_LF_RxDataType
        WPT_LF_RxRSSIListType WPT_LF_RxRSSIType WPT_LF_SystemSetupDataType WPT_LF_TransmitterDataType
        WPT_LF_TxDataListType WPT_LF_TxDataType WPT_PairingMethodListType WPT_PairingMethodType
        WPT_PairingReqType WPT_PairingResType WPT_PowerClassType WPT_SPCChargeDiagnosticsType
        WPT_SPCPowerControlParameterType WPT_TxRxPackageSpecDataType WPT_TxRxPulseOrderType WPT_TxRxSpecDataType
        bssidType ipaddressType
    """,
    "urn:iso:std:iso:15118:-20:ACDP": """
        ACDP_ConnectReqType ACDP_ConnectResType ACDP_SystemStatusReqType ACDP_SystemStatusResType
        ACDP_VehiclePositioningReqType ACDP_VehiclePositioningResType EVTechnicalStatusType cpStatusType
        electricalChargingDeviceStatusType errorCodeType isolationStatusType mechanicalChargingDeviceStatusType
    """,
}
