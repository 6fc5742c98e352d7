"""V2G_Message: the header and the 34 body messages (ISO 15118-2 8.3)."""

from typing import Annotated, Literal, TypeAlias

from v2gpki.messages import xmldsig
from v2gpki.messages.iso2.certificate import (
    AuthorizationReq,
    AuthorizationRes,
    CertificateInstallationReq,
    CertificateInstallationRes,
    CertificateUpdateReq,
    CertificateUpdateRes,
    PaymentDetailsReq,
    PaymentDetailsRes,
)
from v2gpki.messages.iso2.charging import (
    CableCheckReq,
    CableCheckRes,
    ChargingStatusReq,
    ChargingStatusRes,
    CurrentDemandReq,
    CurrentDemandRes,
    MeteringReceiptReq,
    MeteringReceiptRes,
    PreChargeReq,
    PreChargeRes,
    WeldingDetectionReq,
    WeldingDetectionRes,
)
from v2gpki.messages.iso2.schedule import (
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    PowerDeliveryReq,
    PowerDeliveryRes,
)
from v2gpki.messages.iso2.service import (
    PaymentServiceSelectionReq,
    PaymentServiceSelectionRes,
    ServiceDetailReq,
    ServiceDetailRes,
    ServiceDiscoveryReq,
    ServiceDiscoveryRes,
    SessionSetupReq,
    SessionSetupRes,
    SessionStopReq,
    SessionStopRes,
)
from v2gpki.messages.iso2.types import BODY, DEF, HEADER, TYPES, sessionIDType
from v2gpki.messages.schema import Message, Named, String, Substitutes
from v2gpki.messages.xmldsig import DS

faultCodeType = Literal["ParsingError", "NoTLSRootCertificatAvailable", "UnknownError"]
faultMsgType = Annotated[str, String(64)]

#: One of the 34 body messages.
BodyMessage: TypeAlias = (
    AuthorizationReq
    | AuthorizationRes
    | CableCheckReq
    | CableCheckRes
    | CertificateInstallationReq
    | CertificateInstallationRes
    | CertificateUpdateReq
    | CertificateUpdateRes
    | ChargeParameterDiscoveryReq
    | ChargeParameterDiscoveryRes
    | ChargingStatusReq
    | ChargingStatusRes
    | CurrentDemandReq
    | CurrentDemandRes
    | MeteringReceiptReq
    | MeteringReceiptRes
    | PaymentDetailsReq
    | PaymentDetailsRes
    | PaymentServiceSelectionReq
    | PaymentServiceSelectionRes
    | PowerDeliveryReq
    | PowerDeliveryRes
    | PreChargeReq
    | PreChargeRes
    | ServiceDetailReq
    | ServiceDetailRes
    | ServiceDiscoveryReq
    | ServiceDiscoveryRes
    | SessionSetupReq
    | SessionSetupRes
    | SessionStopReq
    | SessionStopRes
    | WeldingDetectionReq
    | WeldingDetectionRes
)


@TYPES.type
class NotificationType(Message):
    """Why the last message was not understood."""

    FaultCode: faultCodeType
    FaultMsg: faultMsgType | None = None


@HEADER.type
class MessageHeaderType(Message):
    """Session and signature; the SessionID of eight zeros asks for a new session."""

    SessionID: sessionIDType
    Notification: NotificationType | None = None
    Signature: Annotated[xmldsig.Signature | None, Named(DS)] = None


@BODY.type
class BodyType(Message):
    """One body message; the schema lets it be empty."""

    BodyElement: Annotated[BodyMessage | None, Substitutes("BodyElement", BODY)] = None


@DEF.element
class V2G_Message(Message):
    """What goes over the wire."""

    Header: MessageHeaderType
    Body: BodyType
