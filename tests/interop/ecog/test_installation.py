"""Contract installation between us and EcoG: its vehicle takes our answers, we take its requests and its station's.

Its states run unchanged (`installing`). The provisioning service's chain ends in our V2G root; its vehicle checks that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec.structs import replace

from tests.interop.ecog.installing import SESSION, EcogInstallation, EcogRefusedError
from tests.interop.ecog.signing import EcogSignatures
from v2gpki.errors import V2GPKIError
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.messages import codec, iso2
from v2gpki.pnc import installation
from v2gpki.pnc.signature import attach
from v2gpki.profile.load import Catalogue
from v2gpki.services.trust import TrustedChain, judge
from v2gpki.wiring import CertificateAuthority

pytestmark = pytest.mark.interop("ecog")

_EMAID = "DEABCC98765432"


@dataclass(frozen=True, slots=True)
class Folder:
    """What is in an exported PKI folder."""

    path: Path

    def certificate(self, name: str) -> bytes:
        return (self.path / "iso15118_2" / "certs" / f"{name}Cert.der").read_bytes()

    def chain(self, *names: str) -> list[bytes]:
        return [self.certificate(name) for name in names]

    def key(self, name: str) -> ec.EllipticCurvePrivateKey:
        keys = self.path / "iso15118_2" / "private_keys"
        password = (keys / f"{name}Password.txt").read_bytes().strip() or None
        key = load_pem_private_key((keys / f"{name}.key").read_bytes(), password)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def trust(self, chain: tuple[bytes, ...]) -> TrustedChain:
        """The provisioning service's chain as a vehicle judges it, under the V2G root alone."""
        root = self.certificate("v2gRootCA")
        return judge(
            chain, [root], catalogue=Catalogue(), role="cps", edition="iso15118-2", at=datetime.now(UTC), ordered=True
        )


@dataclass(frozen=True, slots=True)
class Contract:
    chain: tuple[bytes, ...]
    key: ec.EllipticCurvePrivateKey

    @property
    def scalar(self) -> bytes:
        return self.key.private_numbers().private_value.to_bytes(32, "big")


@pytest.fixture(scope="module")
def folder(josev: Path) -> Folder:
    return Folder(josev)


@pytest.fixture(scope="module")
def ecog(ecog_python: Path, josev: Path) -> Iterator[EcogInstallation]:
    with EcogInstallation(ecog_python, josev) as running:
        yield running


@pytest.fixture(scope="module")
def contract(ecog_home: CertificateAuthority) -> Contract:
    """One that is nowhere in EcoG's folder."""
    issued = ecog_home.issue("contract", id=_EMAID, edition="iso15118-2")
    assert isinstance(issued.private_key, ec.EllipticCurvePrivateKey)
    return Contract(issued.chain, issued.private_key)


@pytest.fixture(scope="module")
def signed(folder: Folder, contract: Contract) -> installation.SignedContract:
    data = installation.contract_data(
        edition="iso15118-2",
        chain=contract.chain,
        contract_key=contract.key,
        receiver=folder.key("oemLeaf").public_key(),
        emaid=_EMAID,
    )
    cps = folder.chain("cpsLeaf", "cpsSubCA2", "cpsSubCA1")
    return installation.sign_contract(data, cps_chain=cps, signer=SoftwareSigner(folder.key("cpsLeaf")))


@pytest.fixture(scope="module")
def response(signed: installation.SignedContract) -> bytes:
    return installation.respond(signed, session_id=bytes.fromhex(SESSION))


def with_body(response: bytes, **changes: object) -> bytes:
    """The same signature over a message of which something was changed."""
    message = codec.decode(response)
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert body is not None
    return codec.encode(replace(message, Body=iso2.BodyType(BodyElement=replace(body, **changes))))


# --- EcoG takes what we make ----------------------------------------------------------------------------------------


def test_its_functions_verify_our_response_and_find_our_key(
    ecog: EcogInstallation, folder: Folder, contract: Contract, response: bytes
) -> None:
    oem = folder.key("oemLeaf").private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert ecog.open(response, oem) == contract.scalar


def test_its_vehicle_stores_our_contract(ecog: EcogInstallation, contract: Contract, response: bytes) -> None:
    assert ecog.receive(response) == (contract.chain[0], contract.scalar)


@pytest.mark.parametrize("element", ["id1", "id2", "id3", "id4"])
def test_its_vehicle_needs_each_of_our_four_elements(ecog: EcogInstallation, response: bytes, element: str) -> None:
    """So it was this signature that it verified, over all four."""
    message = codec.decode(response)
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateInstallationRes)
    chain, key = body.ContractSignatureCertChain, body.ContractSignatureEncryptedPrivateKey
    point = body.DHpublickey
    assert chain.SubCertificates is not None
    changes: dict[str, object] = {
        "id1": iso2.CertificateChainType(Id="id1", Certificate=chain.Certificate),
        "id2": iso2.ContractSignatureEncryptedPrivateKeyType(Id="id2", value=key.value[::-1]),
        "id3": iso2.DiffieHellmanPublickeyType(Id="id3", value=point.value[:1] + point.value[:0:-1]),
        "id4": iso2.EMAIDType(Id="id4", value="DEABCC98765433"),
    }
    field = {
        "id1": "ContractSignatureCertChain",
        "id2": "ContractSignatureEncryptedPrivateKey",
        "id3": "DHpublickey",
        "id4": "eMAID",
    }
    with pytest.raises(EcogRefusedError, match="Signature verification of CertificateInstallationRes failed"):
        ecog.receive(with_body(response, **{field[element]: changes[element]}))


def test_its_vehicle_checks_the_chain_of_our_service(ecog: EcogInstallation, folder: Folder, response: bytes) -> None:
    """It is not signed; another branch's Sub-CAs above the right leaf lead to the V2G root all the same."""
    leaf, *above = folder.chain("cpsLeaf", "cpoSubCA2", "cpoSubCA1")
    subs = iso2.SubCertificatesType(Certificate=tuple(above))
    wrong = iso2.CertificateChainType(Certificate=leaf, SubCertificates=subs)
    with pytest.raises(EcogRefusedError, match="Signature verification of CertificateInstallationRes failed"):
        ecog.receive(with_body(response, SAProvisioningCertificateChain=wrong))


def test_its_functions_verify_our_update(
    ecog_python: Path, folder: Folder, signed: installation.SignedContract
) -> None:
    """Its station offers no update; its codec and its signature functions know the message."""
    response = installation.respond(signed, action="update", session_id=bytes.fromhex(SESSION), retry_counter=3)
    cps, other = folder.certificate("cpsLeaf"), folder.certificate("contractLeaf")
    with EcogSignatures(ecog_python) as functions:
        assert functions.verify("iso15118-2", response, cps)
        assert not functions.verify("iso15118-2", response, other)


@pytest.mark.parametrize(
    ("code", "its_name"),
    [
        ("FAILED", "FAILED"),
        ("FAILED_NoCertificateAvailable", "FAILED_NO_CERTIFICATE_AVAILABLE"),
        ("FAILED_CertChainError", "FAILED_CERT_CHAIN_ERROR"),
        ("FAILED_SignatureError", "FAILED_SIGNATURE_ERROR"),
        ("FAILED_ContractCanceled", "FAILED_CONTRACT_CANCELED"),
    ],
)
def test_its_vehicle_reads_our_refusals(ecog: EcogInstallation, code: str, its_name: str) -> None:
    """Schema-valid, with dummies that its codec takes, and the code arrives."""
    refusal = installation.refuse(edition="iso15118-2", session_id=bytes.fromhex(SESSION), response_code=code)
    with pytest.raises(EcogRefusedError, match=f"Negative response code ResponseCode.{its_name} "):
        ecog.receive(refusal)


# --- we take what EcoG makes ----------------------------------------------------------------------------------------


def test_its_request_is_read_and_verified(ecog: EcogInstallation, folder: Folder) -> None:
    asked = installation.read_request(ecog.ask(), schema="urn:iso:15118:2:2013:MsgDef", action="install")
    assert (asked.edition, asked.action, asked.session_id.hex()) == ("iso15118-2", "install", SESSION)
    assert asked.chain == (folder.certificate("oemLeaf"),)
    check = installation.verify_request(asked)
    assert (check.signed_info_grammar, check.deviations) == ("xmldsig", ())


def test_its_way_to_name_a_root_is_understood(ecog: EcogInstallation, folder: Folder) -> None:
    """Its deviation: the issuer's name stands inside `<Name(..)>`, as Python shows it."""
    ((issuer, serial),) = installation.read_request(ecog.ask()).roots
    assert issuer.startswith("<Name(")
    assert installation.root_matches(issuer, serial, folder.certificate("v2gRootCA"))
    assert not installation.root_matches(issuer, serial, folder.certificate("oemRootCA"))


def test_a_forged_request_of_its_is_refused(ecog: EcogInstallation, folder: Folder) -> None:
    message = codec.decode(ecog.ask())
    assert isinstance(message, iso2.V2G_Message)
    forged = with_body(codec.encode(message), OEMProvisioningCert=folder.certificate("contractLeaf"))
    with pytest.raises(V2GPKIError) as refused:
        installation.verify_request(installation.read_request(forged))
    assert refused.value.code == "signature.wrong_digest"
    unsigned = codec.encode(attach(message, None))
    with pytest.raises(V2GPKIError) as refused:
        installation.verify_request(installation.read_request(unsigned))
    assert refused.value.code == "signature.missing"


def test_its_stations_response_is_verified_and_opened(ecog: EcogInstallation, folder: Folder, emaid: str) -> None:
    """Its station plays the provisioning service with the folder's CPS key; it does nothing otherwise than we do."""
    read = installation.read_response(ecog.answer(ecog.ask()))
    verified = installation.verify_response(read, trust=folder.trust, emaid=emaid)
    assert (verified.check.signed_info_grammar, verified.check.deviations) == ("xmldsig", ())
    opened = installation.open_response(read, SoftwareAgreement(folder.key("oemLeaf")), trust=folder.trust)
    assert opened.chain == tuple(folder.chain("contractLeaf", "moSubCA2", "moSubCA1"))
    assert opened.emaid == emaid
    assert isinstance(opened.private_key, ec.EllipticCurvePrivateKey)
    assert opened.private_key.private_numbers() == folder.key("contractLeaf").private_numbers()


def test_its_stations_response_is_for_its_vehicle_only(ecog: EcogInstallation, folder: Folder) -> None:
    read = installation.read_response(ecog.answer(ecog.ask()))
    with pytest.raises(V2GPKIError) as refused:
        installation.open_response(read, SoftwareAgreement(folder.key("contractLeaf")), trust=folder.trust)
    assert refused.value.code in {"envelope.bad_scalar", "envelope.key_mismatch"}


def test_its_station_takes_our_request(ecog: EcogInstallation, folder: Folder, emaid: str) -> None:
    request = installation.build_request(
        edition="iso15118-2",
        chain=folder.chain("oemLeaf", "oemSubCA2", "oemSubCA1"),
        signer=SoftwareSigner(folder.key("oemLeaf")),
        roots=[folder.certificate("v2gRootCA")],
        session_id=bytes.fromhex(SESSION),
    )
    read = installation.read_response(ecog.answer(codec.encode(request)))
    opened = installation.open_response(read, SoftwareAgreement(folder.key("oemLeaf")), trust=folder.trust)
    assert opened.emaid == emaid
