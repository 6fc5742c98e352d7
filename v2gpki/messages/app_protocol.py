"""supportedAppProtocol: the handshake that chooses the protocol (ISO 15118-2 8.2, schema V2G_CI_AppProtocol)."""

from typing import Annotated, Literal

from v2gpki.messages.schema import Integer, Message, Namespace, Occurs, String, UnsignedByte, UnsignedInt

#: Local elements are unqualified here, other than everywhere else.
APP_PROTOCOL = Namespace(
    "urn:iso:15118:2:2010:AppProtocol",
    "ap",
    elements=False,
    attributes=False,
    type_names="AppProtocolType idType priorityType protocolNameType protocolNamespaceType responseCodeType",
)

responseCodeType = Literal[
    "OK_SuccessfulNegotiation",
    "OK_SuccessfulNegotiationWithMinorDeviation",
    "Failed_NoNegotiation",
]


@APP_PROTOCOL.type
class AppProtocolType(Message):
    """One protocol that the vehicle speaks."""

    ProtocolNamespace: Annotated[str, String(100)]
    VersionNumberMajor: UnsignedInt
    VersionNumberMinor: UnsignedInt
    SchemaID: UnsignedByte
    Priority: Annotated[int, Integer(1, 20)]


@APP_PROTOCOL.element
class supportedAppProtocolReq(Message):
    """The vehicle's list, by priority."""

    AppProtocol: Annotated[tuple[AppProtocolType, ...], Occurs(1, 20)]


@APP_PROTOCOL.element
class supportedAppProtocolRes(Message):
    """The station's choice."""

    ResponseCode: responseCodeType
    SchemaID: UnsignedByte | None = None
