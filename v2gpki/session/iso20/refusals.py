"""The answer to each request of ISO 15118-20 that delivers nothing: the ResponseCode, and dummies where the schema
wants something (ISO 15118-20 8.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso20_ac as ac
from v2gpki.messages import iso20_common as cm
from v2gpki.messages import iso20_dc as dc
from v2gpki.messages.iso20_types import RationalNumberType, V2GResponseType
from v2gpki.session.iso20.dialect import HEADER

_NOTHING = b"\x00"
_ZERO = RationalNumberType(Exponent=0, Value=0)
_NO_PARAMETER = cm.ParameterType(Name="none", intValue=0)


def refusal(request: str, response_code: str) -> V2GResponseType:
    """The message that refuses a request of this name. Raises ``internal.bug`` for what is no request of ours."""
    if request not in _DUMMIES:
        raise V2GPKIError("internal.bug", f"{request} has no refusal", facts={"request": request})
    # The encoder refuses what is no code of the schema.
    return replace(_DUMMIES[request](), ResponseCode=response_code)


def requests() -> tuple[str, ...]:
    """The names of all requests that can be refused."""
    return tuple(_DUMMIES)


def no_contract() -> cm.CertificateInstallationRes:
    """A CertificateInstallationRes with nothing in it."""
    chain = cm.ContractCertificateChainType(
        Certificate=_NOTHING, SubCertificates=cm.SubCertificatesType(Certificate=(_NOTHING,))
    )
    return cm.CertificateInstallationRes(
        Header=HEADER,
        ResponseCode="FAILED",
        EVSEProcessing="Finished",
        CPSCertificateChain=cm.CertificateChainType(Certificate=_NOTHING),
        SignedInstallationData=cm.SignedInstallationData(
            Id="id1",
            ContractCertificateChain=chain,
            ECDHCurve="SECP521",
            DHPublicKey=bytes(133),
            SECP521_EncryptedPrivateKey=bytes(94),
        ),
        RemainingContractCertificateChains=0,
    )


def _authorization_setup() -> V2GResponseType:
    return cm.AuthorizationSetupRes(
        Header=HEADER,
        ResponseCode="FAILED",
        AuthorizationServices=("EIM",),
        CertificateInstallationService=False,
        EIM_ASResAuthorizationMode=cm.EIM_ASResAuthorizationModeType(),
    )


def _service_discovery() -> V2GResponseType:
    return cm.ServiceDiscoveryRes(
        Header=HEADER,
        ResponseCode="FAILED",
        ServiceRenegotiationSupported=False,
        EnergyTransferServiceList=cm.ServiceListType(Service=(cm.ServiceType(ServiceID=0, FreeService=False),)),
    )


def _service_detail() -> V2GResponseType:
    nothing = cm.ParameterSetType(ParameterSetID=0, Parameter=(_NO_PARAMETER,))
    return cm.ServiceDetailRes(
        Header=HEADER,
        ResponseCode="FAILED",
        ServiceID=0,
        ServiceParameterList=cm.ServiceParameterListType(ParameterSet=(nothing,)),
    )


def _schedule_exchange() -> V2GResponseType:
    return cm.ScheduleExchangeRes(
        Header=HEADER,
        ResponseCode="FAILED",
        EVSEProcessing="Finished",
        Dynamic_SEResControlMode=cm.Dynamic_SEResControlModeType(),
    )


def _parameters_ac() -> V2GResponseType:
    mode = ac.AC_CPDResEnergyTransferMode(
        EVSEMaximumChargePower=_ZERO, EVSEMinimumChargePower=_ZERO, EVSENominalFrequency=_ZERO
    )
    return ac.AC_ChargeParameterDiscoveryRes(Header=HEADER, ResponseCode="FAILED", AC_CPDResEnergyTransferMode=mode)


def _parameters_dc() -> V2GResponseType:
    mode = dc.DC_CPDResEnergyTransferMode(
        EVSEMaximumChargePower=_ZERO,
        EVSEMinimumChargePower=_ZERO,
        EVSEMaximumChargeCurrent=_ZERO,
        EVSEMinimumChargeCurrent=_ZERO,
        EVSEMaximumVoltage=_ZERO,
        EVSEMinimumVoltage=_ZERO,
    )
    return dc.DC_ChargeParameterDiscoveryRes(Header=HEADER, ResponseCode="FAILED", DC_CPDResEnergyTransferMode=mode)


def _loop_ac() -> V2GResponseType:
    mode = ac.Scheduled_AC_CLResControlMode()
    return ac.AC_ChargeLoopRes(Header=HEADER, ResponseCode="FAILED", CLResControlMode=mode)


def _loop_dc() -> V2GResponseType:
    return dc.DC_ChargeLoopRes(
        Header=HEADER,
        ResponseCode="FAILED",
        EVSEPresentCurrent=_ZERO,
        EVSEPresentVoltage=_ZERO,
        EVSEPowerLimitAchieved=False,
        EVSECurrentLimitAchieved=False,
        EVSEVoltageLimitAchieved=False,
        CLResControlMode=dc.Scheduled_DC_CLResControlMode(),
    )


_DUMMIES: Mapping[str, Callable[[], V2GResponseType]] = {
    "SessionSetupReq": lambda: cm.SessionSetupRes(Header=HEADER, ResponseCode="FAILED", EVSEID="ZZ00000"),
    "AuthorizationSetupReq": _authorization_setup,
    "CertificateInstallationReq": no_contract,
    "AuthorizationReq": lambda: cm.AuthorizationRes(
        Header=HEADER, ResponseCode="FAILED", EVSEProcessing="Finished"
    ),
    "ServiceDiscoveryReq": _service_discovery,
    "ServiceDetailReq": _service_detail,
    "ServiceSelectionReq": lambda: cm.ServiceSelectionRes(Header=HEADER, ResponseCode="FAILED"),
    "ScheduleExchangeReq": _schedule_exchange,
    "PowerDeliveryReq": lambda: cm.PowerDeliveryRes(Header=HEADER, ResponseCode="FAILED"),
    "MeteringConfirmationReq": lambda: cm.MeteringConfirmationRes(Header=HEADER, ResponseCode="FAILED"),
    "SessionStopReq": lambda: cm.SessionStopRes(Header=HEADER, ResponseCode="FAILED"),
    "VehicleCheckInReq": lambda: cm.VehicleCheckInRes(Header=HEADER, ResponseCode="FAILED"),
    "VehicleCheckOutReq": lambda: cm.VehicleCheckOutRes(
        Header=HEADER, ResponseCode="FAILED", EVSECheckOutStatus="Completed"
    ),
    "AC_ChargeParameterDiscoveryReq": _parameters_ac,
    "AC_ChargeLoopReq": _loop_ac,
    "DC_ChargeParameterDiscoveryReq": _parameters_dc,
    "DC_CableCheckReq": lambda: dc.DC_CableCheckRes(Header=HEADER, ResponseCode="FAILED", EVSEProcessing="Finished"),
    "DC_PreChargeReq": lambda: dc.DC_PreChargeRes(Header=HEADER, ResponseCode="FAILED", EVSEPresentVoltage=_ZERO),
    "DC_ChargeLoopReq": _loop_dc,
    "DC_WeldingDetectionReq": lambda: dc.DC_WeldingDetectionRes(
        Header=HEADER, ResponseCode="FAILED", EVSEPresentVoltage=_ZERO
    ),
}
