"""Signatures that others published: ISO 15118-2 annex J and RISE-V2G's test data. Every octet is theirs."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from tests.pnc import samples
from tests.vectors import selection
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import NamedValue
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.elements import elements_of, named
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import attach, sign, verify


def annex_j_public_key() -> ec.EllipticCurvePublicKey:
    point = bytes.fromhex("04" + samples.published("annex_j")["public_key"])
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def rise_empty_namespace() -> iso2.V2G_Message:
    """RISE-V2G's second message: the same elements, digested and signed without their namespace."""
    message = samples.rise_message()
    theirs = samples.published("rise_v2g")["empty_namespace"]
    signature = message.Header.Signature
    assert signature is not None
    for number, reference in enumerate(signature.SignedInfo.Reference):
        digest = base64.b64decode(theirs["digests"][str(reference.URI).removeprefix("#")])
        signature = samples.with_reference(signature, number, DigestValue=digest)
    signature = samples.with_value(signature, base64.b64decode(theirs["signature_value"]))
    return attach(message, signature)


def rise_cps() -> bytes:
    return samples.rise_body().SAProvisioningCertificateChain.Certificate


# --- annex J --------------------------------------------------------------------------------------------------------


def test_annex_j_fragment_digest_and_signed_info() -> None:
    printed = samples.published("annex_j")
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    shown = explain(message, annex_j_public_key())
    (reference,) = shown["references"]
    assert reference["fragment"] == printed["fragment"]
    assert reference["digest_computed"] == base64.b64decode(printed["digest"]).hex()
    assert shown["signed_info"]["octets"]["xmldsig"] == printed["signed_info"]
    assert hashlib.sha256(bytes.fromhex(printed["signed_info"])).hexdigest() == printed["signed_info_sha256"]
    assert shown["verdict"] == "valid"
    assert shown["signed_info"]["grammar"] == "xmldsig"


def test_annex_j_signature_holds() -> None:
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    check = verify(message, annex_j_public_key())
    assert check.signed_info == bytes.fromhex(samples.published("annex_j")["signed_info"])
    assert (check.signed_info_grammar, check.deviations, check.unsigned) == ("xmldsig", (), ())
    assert [element.path for element in check.elements] == ["AuthorizationReq"]


def test_annex_j_is_what_we_sign_but_for_the_random_value() -> None:
    ours = sign(samples.annex_j_message(), samples.signer("p256"))
    assert ours.SignedInfo == samples.annex_j_signature().SignedInfo


def test_annex_j_key_is_the_printed_pair() -> None:
    assert samples.annex_j_key().public_key() == annex_j_public_key()


# --- RISE-V2G -------------------------------------------------------------------------------------------------------


def test_rise_fragments_and_digests() -> None:
    theirs = samples.published("rise_v2g")
    fragments = {element.id: element.fragment() for element in elements_of(samples.rise_body()) if element.id}
    assert set(fragments) == {"id1", "id2", "id3", "id4"}
    for id_, octets in fragments.items():
        assert base64.b64encode(hashlib.sha256(octets).digest()).decode() == theirs["digests"][id_]
    for id_, octets in theirs["fragments"].items():
        assert fragments[id_].hex() == octets


def test_rise_signature_holds_with_the_leaf_of_the_provisioning_service() -> None:
    check = verify(samples.rise_message(), rise_cps())
    assert check.signed_info.hex() == samples.published("rise_v2g")["signed_info"]
    assert [element.id for element in check.elements] == ["id2", "id1", "id4", "id3"]
    assert check.unsigned == ("CertificateInstallationRes/SAProvisioningCertificateChain",)


def test_rise_signature_does_not_hold_with_the_keys_that_its_readme_names() -> None:
    """The README says that a Sub-CA 2 signs; it is the provisioning service's leaf."""
    chain = samples.rise_body().SAProvisioningCertificateChain
    assert chain.SubCertificates is not None
    mobility = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), bytes.fromhex(samples.published("rise_v2g")["mo_sub_ca_2_public_key"])
    )
    for key in (x509.load_der_x509_certificate(chain.SubCertificates.Certificate[0]), mobility):
        with pytest.raises(V2GPKIError) as refused:
            verify(samples.rise_message(), key)
        assert refused.value.code == "signature.wrong_value"


def test_rise_without_namespace_is_named_for_what_it_is() -> None:
    message = rise_empty_namespace()
    with pytest.raises(V2GPKIError) as refused:
        verify(message, rise_cps())
    assert {finding.code for finding in refused.value.findings} == {"signature.empty_namespace_digest"}
    assert len(refused.value.findings) == 4
    assert "urn:iso:15118:2:2013:MsgBody" in refused.value.message
    shown = explain(message, rise_cps())
    assert shown["signed_info"]["grammar"] == "xmldsig"  # the value itself is right
    assert shown["verdict"] == "invalid"


def test_rise_through_exi_and_back() -> None:
    octets = codec.encode(samples.rise_message())
    received = codec.decode(octets)
    assert isinstance(received, iso2.V2G_Message)
    assert verify(received, rise_cps()).elements


def test_rise_older_fragments() -> None:
    """An earlier edition of the same test data, as frames."""
    rows = [row for row in selection("published") if "RISE" in row["provenance"]]
    assert len(rows) == 4
    for row in rows:
        value = codec.decode(bytes.fromhex(row["exi"]), "iso15118-2", fragment=True)
        (element,) = named([value])
        assert element.fragment().hex() == row["exi"]


# --- names, against the reference encoder's lists -------------------------------------------------------------------


@pytest.mark.parametrize("schema", ["iso15118-2", "iso15118-20-common"])
def test_signed_fragments_of_the_reference_encoder(schema: str) -> None:
    """Every signed element in the vectors: found, named and coded as EXIficient did."""
    rows = [row for row in selection(schema) if row["kind"].startswith("fragment-id")]
    assert rows
    seen = set()
    for row in rows:
        value = codec.decode(bytes.fromhex(row["exi"]), schema, fragment=True)
        inner = value.value if isinstance(value, NamedValue) else value
        if getattr(inner, "Id", None) is None:
            continue
        (element,) = named([value])
        assert str(element.name) == row["root"]
        assert element.schema == schema
        if element.id:
            assert element.fragment().hex() in {row["exi"], row.get("exi_alt")}
            seen.add(element.name.name)
    least = {
        "iso15118-2": "AuthorizationReq CertificateInstallationReq CertificateUpdateReq eMAID SalesTariff",
        "iso15118-20-common": "OEMProvisioningCertificateChain SignedInstallationData PnC_AReqAuthorizationMode",
    }
    assert set(least[schema].split()) <= seen


@pytest.mark.parametrize(
    "message",
    [
        samples.annex_j_message(),
        samples.installation_req(),
        samples.update_req(),
        samples.metering_receipt(),
        samples.tariffs("t1"),
        samples.rise_message(),
        samples.authorization_20(),
        samples.installation_req_20(),
        samples.installation_res_20(),
        samples.metering_20(),
        samples.prices_20(),
    ],
    ids=lambda message: type(getattr(message, "Body", message)).__name__,
)
def test_names_are_fragments_of_the_reference_encoder(message: iso2.V2G_Message) -> None:
    """The code of each fragment is the place of its name in EXIficient's own list."""
    codes = {row["schema"]: row for row in selection("codes")}
    for element in elements_of(message.Body.BodyElement if isinstance(message, iso2.V2G_Message) else message):
        if not element.id:
            continue
        names = codes[element.schema]["fragment"]
        width = (len(names) + 2 - 1).bit_length()
        code = int.from_bytes(element.fragment()[1:3], "big") >> (16 - width)
        assert names[code] == str(element.name)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    original = hmac.compare_digest

    def watched(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return original(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    message = samples.rise_message()
    verify(message, rise_cps())
    assert message.Header.Signature is not None
    assert compared == [reference.DigestValue for reference in message.Header.Signature.SignedInfo.Reference]


def test_a_changed_bit_of_annex_j_is_noticed() -> None:
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    body = message.Body.BodyElement
    assert isinstance(body, iso2.AuthorizationReq)
    changed = replace(body, GenChallenge=bytes([body.GenChallenge[0] ^ 1]) + body.GenChallenge[1:])
    with pytest.raises(V2GPKIError) as refused:
        verify(replace(message, Body=iso2.BodyType(BodyElement=changed)), annex_j_public_key())
    assert refused.value.code == "signature.wrong_digest"


def test_a_detached_signature_over_elements() -> None:
    body = samples.annex_j_message().Body.BodyElement
    assert body is not None
    signature: Signature = samples.annex_j_signature()
    assert verify([body], annex_j_public_key(), signature=signature).elements[0].id == "ID1"
