"""The answer to each request of ISO 15118-2 that delivers nothing: the ResponseCode, and dummies where the schema wants
something (ISO 15118-2 8.8.2, [V2G2-736]).

`RESPONSE_CODES` says which codes an answer may carry: what every answer may, and those of its own. Another one, as a
plug-in may name it, becomes FAILED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import cast

from v2gpki.errors import V2GPKIError
from v2gpki.messages import iso2
from v2gpki.messages.schema import Message

Code = iso2.responseCodeType

_ALWAYS: tuple[Code, ...] = ("FAILED", "FAILED_SequenceError", "FAILED_UnknownSession")
_CERTIFICATE: tuple[Code, ...] = (
    "FAILED_CertificateExpired",
    "FAILED_CertificateRevoked",
    "FAILED_CertificateNotAllowedAtThisEVSE",
    "FAILED_CertChainError",
    "FAILED_ContractCanceled",
    "FAILED_NoCertificateAvailable",
    "FAILED_SignatureError",
)
_OWN: Mapping[str, tuple[Code, ...]] = {
    "SessionSetupReq": (),
    "ServiceDiscoveryReq": (),
    "ServiceDetailReq": ("FAILED_ServiceIDInvalid",),
    "PaymentServiceSelectionReq": (
        "FAILED_PaymentSelectionInvalid",
        "FAILED_ServiceSelectionInvalid",
        "FAILED_NoChargeServiceSelected",
    ),
    "CertificateInstallationReq": _CERTIFICATE,
    "CertificateUpdateReq": _CERTIFICATE,
    "PaymentDetailsReq": _CERTIFICATE,
    "AuthorizationReq": (*_CERTIFICATE, "FAILED_ChallengeInvalid"),
    "ChargeParameterDiscoveryReq": ("FAILED_WrongEnergyTransferMode", "FAILED_WrongChargeParameter"),
    "PowerDeliveryReq": (
        "FAILED_PowerDeliveryNotApplied",
        "FAILED_TariffSelectionInvalid",
        "FAILED_ChargingProfileInvalid",
        "FAILED_ContactorError",
    ),
    "MeteringReceiptReq": ("FAILED_MeteringSignatureNotValid",),
    "ChargingStatusReq": (),
    "CableCheckReq": (),
    "PreChargeReq": (),
    "CurrentDemandReq": (),
    "WeldingDetectionReq": (),
    "SessionStopReq": (),
}
#: Every request, and the codes that its refusal may carry.
RESPONSE_CODES: Mapping[str, tuple[Code, ...]] = {name: (*_ALWAYS, *own) for name, own in _OWN.items()}

_VOLTS = iso2.PhysicalValueType(Multiplier=0, Unit="V", Value=0)
_AMPERES = iso2.PhysicalValueType(Multiplier=0, Unit="A", Value=0)
_AC = iso2.AC_EVSEStatus(NotificationMaxDelay=0, EVSENotification="None", RCD=False)
_DC = iso2.DC_EVSEStatus(NotificationMaxDelay=0, EVSENotification="None", EVSEStatusCode="EVSE_NotReady")


def permitted(request: str, response_code: str) -> str:
    """The code if the answer to this request may carry it, else FAILED."""
    return response_code if response_code in RESPONSE_CODES.get(request, ()) else "FAILED"


def refusal(request: str, response_code: str, at: datetime, evse_id: str = "ZZ00000") -> Message:
    """The body that refuses a request of this name. Raises ``internal.bug`` for what is no request."""
    if request not in _BODIES:
        raise V2GPKIError("internal.bug", f"{request} has no refusal", facts={"request": request})
    # It is one of RESPONSE_CODES, which are the schema's.
    return _BODIES[request](cast(Code, permitted(request, response_code)), at, evse_id)


def _installation(code: Code, _at: datetime, _evse_id: str) -> Message:
    chain, wrapped, point, emaid = _contract_dummies()
    return iso2.CertificateInstallationRes(
        ResponseCode=code,
        SAProvisioningCertificateChain=iso2.CertificateChainType(Certificate=b"\0"),
        ContractSignatureCertChain=chain,
        ContractSignatureEncryptedPrivateKey=wrapped,
        DHpublickey=point,
        eMAID=emaid,
    )


def _update(code: Code, _at: datetime, _evse_id: str) -> Message:
    chain, wrapped, point, emaid = _contract_dummies()
    return iso2.CertificateUpdateRes(
        ResponseCode=code,
        SAProvisioningCertificateChain=iso2.CertificateChainType(Certificate=b"\0"),
        ContractSignatureCertChain=chain,
        ContractSignatureEncryptedPrivateKey=wrapped,
        DHpublickey=point,
        eMAID=emaid,
        RetryCounter=0,
    )


def _contract_dummies() -> tuple[
    iso2.CertificateChainType,
    iso2.ContractSignatureEncryptedPrivateKeyType,
    iso2.DiffieHellmanPublickeyType,
    iso2.EMAIDType,
]:
    return (
        iso2.CertificateChainType(Id="id1", Certificate=b"\0"),
        iso2.ContractSignatureEncryptedPrivateKeyType(Id="id2", value=bytes(48)),
        iso2.DiffieHellmanPublickeyType(Id="id3", value=bytes(65)),
        iso2.EMAIDType(Id="id4", value="ZZZZZ000000000"),
    )


def _services(code: Code, _at: datetime, _evse_id: str) -> Message:
    return iso2.ServiceDiscoveryRes(
        ResponseCode=code,
        PaymentOptionList=iso2.PaymentOptionListType(PaymentOption=("ExternalPayment",)),
        ChargeService=iso2.ChargeServiceType(
            ServiceID=1,
            ServiceCategory="EVCharging",
            FreeService=False,
            SupportedEnergyTransferMode=iso2.SupportedEnergyTransferModeType(
                EnergyTransferMode=("AC_single_phase_core",)
            ),
        ),
    )


def _parameters(code: Code, _at: datetime, _evse_id: str) -> Message:
    limits = iso2.AC_EVSEChargeParameter(AC_EVSEStatus=_AC, EVSENominalVoltage=_VOLTS, EVSEMaxCurrent=_AMPERES)
    return iso2.ChargeParameterDiscoveryRes(ResponseCode=code, EVSEProcessing="Finished", EVSEChargeParameter=limits)


def _demand(code: Code, _at: datetime, evse_id: str) -> Message:
    return iso2.CurrentDemandRes(
        ResponseCode=code,
        DC_EVSEStatus=_DC,
        EVSEPresentVoltage=_VOLTS,
        EVSEPresentCurrent=_AMPERES,
        EVSECurrentLimitAchieved=False,
        EVSEVoltageLimitAchieved=False,
        EVSEPowerLimitAchieved=False,
        EVSEID=evse_id,
        SAScheduleTupleID=1,
    )


_BODIES: Mapping[str, Callable[[Code, datetime, str], Message]] = {
    "SessionSetupReq": lambda code, at, evse_id: iso2.SessionSetupRes(
        ResponseCode=code, EVSEID=evse_id, EVSETimeStamp=int(at.timestamp())
    ),
    "ServiceDiscoveryReq": _services,
    "ServiceDetailReq": lambda code, _at, _id: iso2.ServiceDetailRes(ResponseCode=code, ServiceID=1),
    "PaymentServiceSelectionReq": lambda code, _at, _id: iso2.PaymentServiceSelectionRes(ResponseCode=code),
    "CertificateInstallationReq": _installation,
    "CertificateUpdateReq": _update,
    "PaymentDetailsReq": lambda code, at, _id: iso2.PaymentDetailsRes(
        ResponseCode=code, GenChallenge=bytes(16), EVSETimeStamp=int(at.timestamp())
    ),
    "AuthorizationReq": lambda code, _at, _id: iso2.AuthorizationRes(ResponseCode=code, EVSEProcessing="Finished"),
    "ChargeParameterDiscoveryReq": _parameters,
    "PowerDeliveryReq": lambda code, _at, _id: iso2.PowerDeliveryRes(ResponseCode=code, EVSEStatus=_AC),
    "MeteringReceiptReq": lambda code, _at, _id: iso2.MeteringReceiptRes(ResponseCode=code, EVSEStatus=_AC),
    "ChargingStatusReq": lambda code, _at, evse_id: iso2.ChargingStatusRes(
        ResponseCode=code, EVSEID=evse_id, SAScheduleTupleID=1, AC_EVSEStatus=_AC
    ),
    "CableCheckReq": lambda code, _at, _id: iso2.CableCheckRes(
        ResponseCode=code, DC_EVSEStatus=_DC, EVSEProcessing="Finished"
    ),
    "PreChargeReq": lambda code, _at, _id: iso2.PreChargeRes(
        ResponseCode=code, DC_EVSEStatus=_DC, EVSEPresentVoltage=_VOLTS
    ),
    "CurrentDemandReq": _demand,
    "WeldingDetectionReq": lambda code, _at, _id: iso2.WeldingDetectionRes(
        ResponseCode=code, DC_EVSEStatus=_DC, EVSEPresentVoltage=_VOLTS
    ),
    "SessionStopReq": lambda code, _at, _id: iso2.SessionStopRes(ResponseCode=code),
}
