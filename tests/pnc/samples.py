"""Messages with something to sign, keys, and what others have published (vectors/published.json says who and where)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448
from msgspec.structs import replace

from v2gpki.keys.software import SoftwareSigner
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.schema import Message
from v2gpki.messages.views import from_xml
from v2gpki.messages.xmldsig import Reference, Signature, SignatureValue, SignedInfo, X509IssuerSerialType

VECTORS = Path(__file__).parent / "vectors"
SESSION = bytes.fromhex("0102030405060708")


@cache
def published(name: str) -> dict[str, Any]:
    """What others have published: `annex_j` or `rise_v2g`."""
    found: dict[str, Any] = json.loads((VECTORS / "published.json").read_text("utf-8"))[name]
    return found


# --- keys -----------------------------------------------------------------------------------------------------------


@cache
def annex_j_key() -> ec.EllipticCurvePrivateKey:
    """The private key that ISO 15118-2 annex J prints."""
    return ec.derive_private_key(int(published("annex_j")["private_key"], 16), ec.SECP256R1())


@cache
def signer(suite: str) -> SoftwareSigner:
    """A signer with a fixed key of a suite."""
    if suite == "p256":
        return SoftwareSigner(annex_j_key())
    if suite == "p521":
        return SoftwareSigner(ec.derive_private_key(int.from_bytes(bytes(range(1, 66)), "big"), ec.SECP521R1()))
    return SoftwareSigner(ed448.Ed448PrivateKey.from_private_bytes(bytes(range(57))))


# --- ISO 15118-2 ----------------------------------------------------------------------------------------------------


def v2g_message(body: Message) -> iso2.V2G_Message:
    """A body message in its envelope, unsigned."""
    return iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=SESSION), Body=iso2.BodyType(BodyElement=body))


def annex_j_message() -> iso2.V2G_Message:
    """The AuthorizationReq of annex J, without its signature."""
    printed = published("annex_j")
    return v2g_message(
        iso2.AuthorizationReq(Id=printed["id"], GenChallenge=bytes.fromhex(printed["gen_challenge"]))
    )


def annex_j_signature() -> Signature:
    """The signature of annex J, its SignedInfo read from the printed octets."""
    printed = published("annex_j")
    info = codec.decode(bytes.fromhex(printed["signed_info"]), "xmldsig", fragment=True)
    assert isinstance(info, SignedInfo)
    return Signature(
        SignedInfo=info, SignatureValue=SignatureValue(value=bytes.fromhex(printed["signature_value"]))
    )


def rise_message() -> iso2.V2G_Message:
    """RISE-V2G's signed CertificateInstallationRes."""
    found = from_xml((VECTORS / "rise_v2g_certificate_installation_res.xml").read_bytes())
    assert isinstance(found, iso2.V2G_Message)
    return found


def rise_body() -> iso2.CertificateInstallationRes:
    """Its body."""
    body = rise_message().Body.BodyElement
    assert isinstance(body, iso2.CertificateInstallationRes)
    return body


def roots() -> iso2.ListOfRootCertificateIDsType:
    """Names of two root certificates."""
    one = X509IssuerSerialType(X509IssuerName="CN=V2G Root", X509SerialNumber=4711)
    other = X509IssuerSerialType(X509IssuerName="CN=V2G Root 2", X509SerialNumber=2**159 - 1)
    return iso2.ListOfRootCertificateIDsType(RootCertificateID=(one, other))


def installation_req() -> iso2.V2G_Message:
    """A CertificateInstallationReq."""
    return v2g_message(
        iso2.CertificateInstallationReq(Id="id1", OEMProvisioningCert=b"\x30\x03oem", ListOfRootCertificateIDs=roots())
    )


def update_req() -> iso2.V2G_Message:
    """A CertificateUpdateReq, whose chain can have an Id that nobody needs to refer to."""
    chain = iso2.CertificateChainType(Id="inner", Certificate=b"\x30\x01c")
    return v2g_message(
        iso2.CertificateUpdateReq(
            Id="id1", ContractSignatureCertChain=chain, eMAID="DEABCC12345678", ListOfRootCertificateIDs=roots()
        )
    )


def metering_receipt() -> iso2.V2G_Message:
    """A MeteringReceiptReq."""
    meter = iso2.MeterInfoType(MeterID="m1", MeterReading=12345)
    return v2g_message(iso2.MeteringReceiptReq(Id="id1", SessionID=SESSION, SAScheduleTupleID=1, MeterInfo=meter))


def _tariff(number: int, id_: str | None) -> iso2.SAScheduleTupleType:
    interval = iso2.RelativeTimeInterval(start=0, duration=3600)
    power = iso2.PhysicalValueType(Multiplier=3, Unit="W", Value=11)
    entry = iso2.SalesTariffEntry(TimeInterval=interval, EPriceLevel=1)
    return iso2.SAScheduleTupleType(
        SAScheduleTupleID=number,
        PMaxSchedule=iso2.PMaxScheduleType(
            PMaxScheduleEntry=(iso2.PMaxScheduleEntryType(TimeInterval=interval, PMax=power),)
        ),
        SalesTariff=iso2.SalesTariffType(Id=id_, SalesTariffID=number, NumEPriceLevels=1, SalesTariffEntry=(entry,)),
    )


def tariffs(*ids: str | None) -> iso2.V2G_Message:
    """A ChargeParameterDiscoveryRes with a SalesTariff for each Id (None: unsigned)."""
    status = iso2.AC_EVSEStatusType(NotificationMaxDelay=0, EVSENotification="None", RCD=False)
    volt = iso2.PhysicalValueType(Multiplier=0, Unit="V", Value=230)
    ampere = iso2.PhysicalValueType(Multiplier=0, Unit="A", Value=16)
    return v2g_message(
        iso2.ChargeParameterDiscoveryRes(
            ResponseCode="OK",
            EVSEProcessing="Finished",
            SASchedules=iso2.SAScheduleList(
                SAScheduleTuple=tuple(_tariff(number, id_) for number, id_ in enumerate(ids, 1))
            ),
            EVSEChargeParameter=iso2.AC_EVSEChargeParameter(
                AC_EVSEStatus=status, EVSENominalVoltage=volt, EVSEMaxCurrent=ampere
            ),
        )
    )


# --- ISO 15118-20 ---------------------------------------------------------------------------------------------------


def _header() -> iso20_common.MessageHeaderType:
    return iso20_common.MessageHeaderType(SessionID=SESSION, TimeStamp=1_772_366_400)


def _contract() -> iso20_common.ContractCertificateChainType:
    above = iso20_common.SubCertificatesType(Certificate=(b"\x30\x01s",))
    return iso20_common.ContractCertificateChainType(Certificate=b"\x30\x01c", SubCertificates=above)


def authorization_20() -> iso20_common.AuthorizationReq:
    """A -20 AuthorizationReq by contract."""
    mode = iso20_common.PnC_AReqAuthorizationModeType(
        Id="id1", GenChallenge=bytes(range(16)), ContractCertificateChain=_contract()
    )
    return iso20_common.AuthorizationReq(
        Header=_header(), SelectedAuthorizationService="PnC", PnC_AReqAuthorizationMode=mode
    )


def eim_20() -> iso20_common.AuthorizationReq:
    """A -20 AuthorizationReq of somebody who pays at the station."""
    return iso20_common.AuthorizationReq(
        Header=_header(),
        SelectedAuthorizationService="EIM",
        EIM_AReqAuthorizationMode=iso20_common.EIM_AReqAuthorizationModeType(),
    )


def installation_req_20() -> iso20_common.CertificateInstallationReq:
    """A -20 CertificateInstallationReq."""
    one = X509IssuerSerialType(X509IssuerName="CN=V2G Root", X509SerialNumber=4711)
    return iso20_common.CertificateInstallationReq(
        Header=_header(),
        OEMProvisioningCertificateChain=iso20_common.SignedCertificateChainType(Id="id1", Certificate=b"\x30\x01o"),
        ListOfRootCertificateIDs=iso20_common.ListOfRootCertificateIDsType(RootCertificateID=(one,)),
        MaximumContractCertificateChains=1,
    )


def installation_res_20() -> iso20_common.CertificateInstallationRes:
    """A -20 CertificateInstallationRes."""
    return iso20_common.CertificateInstallationRes(
        Header=_header(),
        ResponseCode="OK",
        EVSEProcessing="Finished",
        CPSCertificateChain=iso20_common.CertificateChainType(Certificate=b"\x30\x01p"),
        SignedInstallationData=iso20_common.SignedInstallationData(
            Id="id1",
            ContractCertificateChain=_contract(),
            ECDHCurve="SECP521",
            DHPublicKey=b"\x04" + bytes(132),
            SECP521_EncryptedPrivateKey=bytes(94),
        ),
        RemainingContractCertificateChains=0,
    )


def metering_20() -> iso20_common.MeteringConfirmationReq:
    """A -20 MeteringConfirmationReq."""
    return iso20_common.MeteringConfirmationReq(
        Header=_header(),
        SignedMeteringData=iso20_common.SignedMeteringData(
            Id="id1",
            SessionID=SESSION,
            MeterInfo=iso20_common.MeterInfoType(MeterID="m1", ChargedEnergyReadingWh=9),
            Dynamic_SMDTControlMode=iso20_common.Dynamic_SMDTControlModeType(),
        ),
    )


def prices_20(id_: str | None = "id1") -> iso20_common.ScheduleExchangeRes:
    """A -20 ScheduleExchangeRes with one price schedule."""
    entry = iso20_common.PriceLevelScheduleEntryType(Duration=3600, PriceLevel=1)
    levels = iso20_common.PriceLevelScheduleType(
        Id=id_,
        TimeAnchor=1_772_366_400,
        PriceScheduleID=1,
        NumberOfPriceLevels=1,
        PriceLevelScheduleEntries=iso20_common.PriceLevelScheduleEntryListType(PriceLevelScheduleEntry=(entry,)),
    )
    return iso20_common.ScheduleExchangeRes(
        Header=_header(),
        ResponseCode="OK",
        EVSEProcessing="Finished",
        Dynamic_SEResControlMode=iso20_common.Dynamic_SEResControlModeType(PriceLevelSchedule=levels),
    )


# --- changing a signature -------------------------------------------------------------------------------------------


def with_reference(signature: Signature, number: int, **changes: object) -> Signature:
    """The signature with one of its references changed."""
    references = list(signature.SignedInfo.Reference)
    references[number] = replace(references[number], **changes)
    return with_references(signature, *references)


def with_references(signature: Signature, *references: Reference) -> Signature:
    """The signature with other references."""
    return replace(signature, SignedInfo=replace(signature.SignedInfo, Reference=references))


def with_value(signature: Signature, value: bytes) -> Signature:
    """The signature with another value."""
    return replace(signature, SignatureValue=SignatureValue(value=value))
