"""Plug & Charge: authorization and certificate installation (ISO 15118-20 8.3.4).

Certificates are DER. Types with an `Id` are what the `Signature` in the header refers to.
"""

from typing import Annotated, Literal

from v2gpki.messages.iso20_common.session import MESSAGES
from v2gpki.messages.iso20_types import (
    ListOfRootCertificateIDsType,
    V2GRequestType,
    V2GResponseType,
    identifierType,
    nameType,
    processingType,
)
from v2gpki.messages.schema import Attribute, Base64, Characters, Choice, Message, Occurs, UnsignedByte

authorizationType = Literal["EIM", "PnC"]
ecdhCurveType = Literal["SECP521", "X448"]
genChallengeType = Annotated[bytes, Base64(16, 16)]
certificateType = Annotated[bytes, Base64(1600)]
dhPublicKeyType = Annotated[bytes, Base64(133, 133)]
secp521_EncryptedPrivateKeyType = Annotated[bytes, Base64(94, 94)]
x448_EncryptedPrivateKeyType = Annotated[bytes, Base64(84, 84)]
tpm_EncryptedPrivateKeyType = Annotated[bytes, Base64(206, 206)]
#: The attribute that signatures refer to.
RequiredId = Annotated[Characters, Attribute()]

# --- chains ---------------------------------------------------------------------------------------------------------


@MESSAGES.type
class SubCertificatesType(Message):
    """The chain between leaf and root, from the leaf's issuer upwards."""

    Certificate: Annotated[tuple[certificateType, ...], Occurs(1, 3)]


@MESSAGES.type
class CertificateChainType(Message):
    """A leaf and the Sub-CAs above it, without the root."""

    Certificate: certificateType
    SubCertificates: SubCertificatesType | None = None


@MESSAGES.type
class SignedCertificateChainType(Message):
    """A chain that a signature refers to."""

    Id: RequiredId
    Certificate: certificateType
    SubCertificates: SubCertificatesType | None = None


@MESSAGES.type
class ContractCertificateChainType(Message):
    """A contract and the Sub-CAs above it, without the root."""

    Certificate: certificateType
    SubCertificates: SubCertificatesType


# --- authorization --------------------------------------------------------------------------------------------------


@MESSAGES.type
class SupportedProvidersListType(Message):
    """Mobility operators whose contracts the station accepts."""

    ProviderID: Annotated[tuple[nameType, ...], Occurs(1, 128)]


@MESSAGES.type
class EIM_ASResAuthorizationModeType(Message):
    """Somebody may pay at the station."""


@MESSAGES.type
class PnC_ASResAuthorizationModeType(Message):
    """A contract in the vehicle may pay; the challenge to sign."""

    GenChallenge: genChallengeType
    SupportedProviders: SupportedProvidersListType | None = None


@MESSAGES.type
class EIM_AReqAuthorizationModeType(Message):
    """Somebody pays at the station."""


@MESSAGES.type
class PnC_AReqAuthorizationModeType(Message):
    """A contract pays: challenge and chain, under the contract's signature."""

    Id: RequiredId
    GenChallenge: genChallengeType
    ContractCertificateChain: ContractCertificateChainType


@MESSAGES.element
class AuthorizationSetupReq(V2GRequestType):
    """The vehicle asks who may pay."""


@MESSAGES.element
class AuthorizationSetupRes(V2GResponseType):
    """Who may pay, and whether contracts can be installed."""

    AuthorizationServices: Annotated[tuple[authorizationType, ...], Occurs(1, 2)]
    CertificateInstallationService: bool
    EIM_ASResAuthorizationMode: Annotated[EIM_ASResAuthorizationModeType | None, Choice("mode")] = None
    PnC_ASResAuthorizationMode: Annotated[PnC_ASResAuthorizationModeType | None, Choice("mode")] = None


@MESSAGES.element
class AuthorizationReq(V2GRequestType):
    """The vehicle's choice of who pays."""

    SelectedAuthorizationService: authorizationType
    EIM_AReqAuthorizationMode: Annotated[EIM_AReqAuthorizationModeType | None, Choice("mode")] = None
    PnC_AReqAuthorizationMode: Annotated[PnC_AReqAuthorizationModeType | None, Choice("mode")] = None


@MESSAGES.element
class AuthorizationRes(V2GResponseType):
    """Whether charging is authorized, or is still being found out."""

    EVSEProcessing: processingType


# --- installation ---------------------------------------------------------------------------------------------------


@MESSAGES.type
class EMAIDListType(Message):
    """EMAIDs by priority."""

    EMAID: Annotated[tuple[identifierType, ...], Occurs(1, 8)]


@MESSAGES.element
class SignedInstallationData(Message):
    """A contract and its wrapped key, under the signature of the certificate provisioning service.

    The wrapped key is IV, ciphertext and tag of AES-256-GCM; the alternative says for which key.
    """

    Id: RequiredId
    ContractCertificateChain: ContractCertificateChainType
    ECDHCurve: ecdhCurveType
    DHPublicKey: dhPublicKeyType
    SECP521_EncryptedPrivateKey: Annotated[secp521_EncryptedPrivateKeyType | None, Choice("key")] = None
    X448_EncryptedPrivateKey: Annotated[x448_EncryptedPrivateKeyType | None, Choice("key")] = None
    TPM_EncryptedPrivateKey: Annotated[tpm_EncryptedPrivateKeyType | None, Choice("key")] = None


SignedInstallationDataType = SignedInstallationData


@MESSAGES.element
class CertificateInstallationReq(V2GRequestType):
    """The vehicle asks for its contracts by its OEM provisioning certificate."""

    OEMProvisioningCertificateChain: SignedCertificateChainType
    ListOfRootCertificateIDs: ListOfRootCertificateIDsType
    MaximumContractCertificateChains: UnsignedByte
    PrioritizedEMAIDs: EMAIDListType | None = None


@MESSAGES.element
class CertificateInstallationRes(V2GResponseType):
    """One contract, and how many are left to be fetched."""

    EVSEProcessing: processingType
    CPSCertificateChain: CertificateChainType
    SignedInstallationData: SignedInstallationDataType
    RemainingContractCertificateChains: UnsignedByte
