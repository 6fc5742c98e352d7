"""EcoG's signature functions take what we sign, and we take what they sign; what EcoG does otherwise has its name.

In -20 EcoG signs by the algorithm of -2, so that edition here is `lab-ecog-20`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from tests.interop.ecog.signing import EcogSignatures
from tests.pnc import samples
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc import algorithms
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import attach, sign, verify

pytestmark = pytest.mark.interop("ecog")

#: Messages that EcoG's functions can read and sign. Its model of CertificateUpdateReq refuses valid ones, its EXI
#: class cannot name SignedInstallationData.
CASES: list[tuple[Callable[[], Message], str, algorithms.Edition]] = [
    (samples.annex_j_message, "iso15118-2", "iso15118-2"),
    (samples.installation_req, "iso15118-2", "iso15118-2"),
    (samples.rise_message, "iso15118-2", "iso15118-2"),
    (samples.metering_receipt, "iso15118-2", "iso15118-2"),
    (samples.authorization_20, "iso15118-20-common", "lab-ecog-20"),
    (samples.installation_req_20, "iso15118-20-common", "lab-ecog-20"),
]


@pytest.fixture(scope="module")
def ecog(ecog_python: Path) -> Iterator[EcogSignatures]:
    with EcogSignatures(ecog_python) as running:
        yield running


@pytest.fixture(scope="module")
def certificate() -> bytes:
    """A certificate around the key: EcoG takes keys in no other form."""
    key = samples.annex_j_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(("make", "schema", "edition"), CASES)
def test_ecog_takes_what_we_sign(
    ecog: EcogSignatures, certificate: bytes, make: Callable[[], Message], schema: str, edition: algorithms.Edition
) -> None:
    signature = sign(make(), samples.signer("p256"), edition=edition)
    assert ecog.verify(schema, codec.encode(attach(make(), signature), schema), certificate)
    value = signature.SignatureValue.value
    broken = samples.with_value(signature, bytes([value[0] ^ 1]) + value[1:])
    assert not ecog.verify(schema, codec.encode(attach(make(), broken), schema), certificate)


@pytest.mark.parametrize(("make", "schema", "edition"), CASES)
def test_we_take_what_ecog_signs(
    ecog: EcogSignatures, certificate: bytes, make: Callable[[], Message], schema: str, edition: algorithms.Edition
) -> None:
    key = samples.annex_j_key().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed = codec.decode(ecog.sign(schema, codec.encode(attach(make(), None), schema), key), schema)
    check = verify(signed, certificate, edition=edition)
    assert (check.signed_info_grammar, check.deviations) == ("xmldsig", ())


def text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def resigned(signature: Signature, suite: str) -> Signature:
    octets = codec.encode(signature.SignedInfo, "xmldsig", fragment=True)
    algorithm = algorithms.algorithm_for("iso15118-2" if suite == "p256" else "iso15118-20", suite)
    return samples.with_value(signature, algorithms.raw_from_signer(samples.signer(suite).sign(octets), algorithm))


def test_the_documents_that_ecog_digests_are_recognised(ecog: EcogSignatures) -> None:
    """Its codec makes documents of three elements, of CertificateUpdateReq even one in no namespace."""
    data = samples.installation_res_20().SignedInstallationData
    update = samples.update_req().Body.BodyElement
    assert isinstance(update, iso2.CertificateUpdateReq)
    contract = {"Certificate": text(b"\x30\x01c"), "SubCertificates": {"Certificate": [text(b"\x30\x01s")]}}
    roots = [
        {"X509IssuerName": root.X509IssuerName, "X509SerialNumber": root.X509SerialNumber}
        for root in update.ListOfRootCertificateIDs.RootCertificateID
    ]
    cases = [
        (
            samples.installation_res_20(),
            "p521",
            "iso15118-20-common",
            {
                "SignedInstallationData": {
                    "Id": "id1",
                    "ContractCertificateChain": contract,
                    "ECDHCurve": "SECP521",
                    "DHPublicKey": text(data.DHPublicKey),
                    "SECP521_EncryptedPrivateKey": text(bytes(94)),
                }
            },
        ),
        (
            samples.metering_20(),
            "p521",
            "iso15118-20-common",
            {
                "SignedMeteringData": {
                    "Id": "id1",
                    "SessionID": samples.SESSION.hex().upper(),
                    "MeterInfo": {"MeterID": "m1", "ChargedEnergyReadingWh": 9},
                    "Dynamic_SMDTControlMode": {},
                }
            },
        ),
        (
            samples.update_req(),
            "p256",
            "iso15118-2",
            {
                "CertificateUpdateReq": {
                    "Id": "id1",
                    "ContractSignatureCertChain": {"Id": "inner", "Certificate": text(b"\x30\x01c")},
                    "eMAID": update.eMAID,
                    "ListOfRootCertificateIDs": {"RootCertificateID": roots},
                }
            },
        ),
    ]
    for message, suite, schema, tree in cases:
        octets = ecog.code(schema, json.dumps(tree))
        digest = (hashlib.sha256 if suite == "p256" else hashlib.sha512)(octets).digest()
        signature = samples.with_reference(sign(message, samples.signer(suite)), 0, DigestValue=digest)
        signed = attach(message, resigned(signature, suite))
        key = samples.signer(suite).spki
        with pytest.raises(V2GPKIError) as refused:
            verify(signed, key)
        assert refused.value.code == "signature.document_digest"
        assert verify(signed, key, accept_document_digest=True).deviations == ("document-digest",)


def test_the_full_list_that_ecog_digests_is_recognised(ecog: EcogSignatures, certificate: bytes) -> None:
    """With 20 of 20 root certificates its grammar and the standard's differ by a bit."""
    message = samples.installation_req()
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateInstallationReq)
    full = body.ListOfRootCertificateIDs.RootCertificateID[:1] * 20
    roots = iso2.ListOfRootCertificateIDsType(RootCertificateID=full)
    message = samples.v2g_message(replace(body, ListOfRootCertificateIDs=roots))
    key = samples.annex_j_key().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    octets = ecog.sign("iso15118-2", codec.encode(message, ecog=True), key)
    with pytest.raises(V2GPKIError) as refused:
        verify(codec.decode(octets, ecog=True), certificate)
    assert refused.value.code == "signature.wrong_digest"
    assert "filled to its end" in refused.value.message


def test_the_signed_info_that_ecog_codes_for_20_is_recognised(ecog: EcogSignatures) -> None:
    """Its codec writes the algorithms of -2 into SignedInfo, whatever it is given."""
    message, signer = samples.authorization_20(), samples.signer("p521")
    sound = sign(message, signer)
    (reference,) = sound.SignedInfo.Reference
    tree = {
        "SignedInfo": {
            "CanonicalizationMethod": {"Algorithm": algorithms.CANONICAL_EXI},
            "SignatureMethod": {"Algorithm": sound.SignedInfo.SignatureMethod.Algorithm},
            "Reference": [
                {
                    "URI": reference.URI,
                    "Transforms": {"Transform": [{"Algorithm": algorithms.CANONICAL_EXI}]},
                    "DigestMethod": {"Algorithm": reference.DigestMethod.Algorithm},
                    "DigestValue": text(reference.DigestValue),
                }
            ],
        }
    }
    octets = ecog.code("xmldsig", json.dumps(tree))
    value = algorithms.raw_from_signer(signer.sign(octets), algorithms.ECDSA_P521_SHA512)
    wrong = attach(message, samples.with_value(sound, value))
    with pytest.raises(V2GPKIError) as refused:
        verify(wrong, signer.spki)
    assert refused.value.code == "signature.wrong_value"
    assert "EcoG" in refused.value.message
    assert explain(wrong, signer.spki)["verdict"] == "invalid"
