"""Plug & Charge: contract, authorization, certificate installation and update (ISO 15118-2 8.4.3).

Certificates are DER. Types with an `Id` are what the `Signature` in the header refers to.
"""

from typing import Annotated

from v2gpki.messages.iso2.types import BODY, TYPES, BodyBaseType, EVSEProcessingType, responseCodeType
from v2gpki.messages.schema import Attribute, Base64, Characters, Content, Long, Message, Occurs, Short, String
from v2gpki.messages.xmldsig import X509IssuerSerialType

genChallengeType = Annotated[bytes, Base64(16, 16)]
certificateType = Annotated[bytes, Base64(800)]
dHpublickeyType = Annotated[bytes, Base64(65)]
privateKeyType = Annotated[bytes, Base64(48)]
eMAIDType = Annotated[str, String(15, 14)]
#: The attribute that signatures refer to.
RequiredId = Annotated[Characters, Attribute()]
OptionalId = Annotated[Characters | None, Attribute()]


@TYPES.type
class SubCertificatesType(Message):
    """The chain between leaf and root, from the leaf's issuer upwards."""

    Certificate: Annotated[tuple[certificateType, ...], Occurs(1, 4)]


@TYPES.type
class CertificateChainType(Message):
    """A leaf and the Sub-CAs above it, without the root."""

    Id: OptionalId = None
    Certificate: certificateType
    SubCertificates: SubCertificatesType | None = None


@TYPES.type
class ListOfRootCertificateIDsType(Message):
    """V2G roots that the vehicle knows, by issuer and serial."""

    RootCertificateID: Annotated[tuple[X509IssuerSerialType, ...], Occurs(1, 20, open_when_full=True)]


@TYPES.type
class ContractSignatureEncryptedPrivateKeyType(Message):
    """IV of 16 octets, then the contract's private key under AES-128-CBC."""

    Id: RequiredId
    value: Annotated[privateKeyType, Content()]


@TYPES.type
class DiffieHellmanPublickeyType(Message):
    """The sender's ephemeral point on P-256, uncompressed."""

    Id: RequiredId
    value: Annotated[dHpublickeyType, Content()]


@TYPES.type
class EMAIDType(Message):
    """An EMAID that a signature may refer to."""

    Id: RequiredId
    value: Annotated[eMAIDType, Content()]


# --- contract and authorization -------------------------------------------------------------------------------------


@BODY.element
class PaymentDetailsReq(BodyBaseType):
    """The vehicle presents its contract."""

    eMAID: eMAIDType
    ContractSignatureCertChain: CertificateChainType


@BODY.element
class PaymentDetailsRes(BodyBaseType):
    """The station's challenge; EVSETimeStamp in Unix seconds."""

    ResponseCode: responseCodeType
    GenChallenge: genChallengeType
    EVSETimeStamp: Long


@BODY.element
class AuthorizationReq(BodyBaseType):
    """The challenge, returned under the contract's signature; empty when somebody pays at the station."""

    Id: OptionalId = None
    GenChallenge: genChallengeType | None = None


@BODY.element
class AuthorizationRes(BodyBaseType):
    """Whether charging is authorized, or is still being found out."""

    ResponseCode: responseCodeType
    EVSEProcessing: EVSEProcessingType


# --- installation and update ----------------------------------------------------------------------------------------


@BODY.element
class CertificateInstallationReq(BodyBaseType):
    """The vehicle asks for a contract by its OEM provisioning certificate."""

    Id: RequiredId
    OEMProvisioningCert: certificateType
    ListOfRootCertificateIDs: ListOfRootCertificateIDsType


@BODY.element
class CertificateInstallationRes(BodyBaseType):
    """The contract and its wrapped key, signed by the certificate provisioning service."""

    ResponseCode: responseCodeType
    SAProvisioningCertificateChain: CertificateChainType
    ContractSignatureCertChain: CertificateChainType
    ContractSignatureEncryptedPrivateKey: ContractSignatureEncryptedPrivateKeyType
    DHpublickey: DiffieHellmanPublickeyType
    eMAID: EMAIDType


@BODY.element
class CertificateUpdateReq(BodyBaseType):
    """The vehicle asks for a successor of its contract."""

    Id: RequiredId
    ContractSignatureCertChain: CertificateChainType
    eMAID: eMAIDType
    ListOfRootCertificateIDs: ListOfRootCertificateIDsType


@BODY.element
class CertificateUpdateRes(BodyBaseType):
    """The successor and its wrapped key; RetryCounter is in days when there is none yet."""

    ResponseCode: responseCodeType
    SAProvisioningCertificateChain: CertificateChainType
    ContractSignatureCertChain: CertificateChainType
    ContractSignatureEncryptedPrivateKey: ContractSignatureEncryptedPrivateKeyType
    DHpublickey: DiffieHellmanPublickeyType
    eMAID: EMAIDType
    RetryCounter: Short | None = None
