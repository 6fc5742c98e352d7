"""Each way in which a signature does not hold, by its code; known mistakes of other stacks are named, not accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec.structs import replace

from tests.pnc import samples
from tests.pnc.judging import C14N, N256, P256_KEY, SHA256, SHA512, SHAKE256, refusal, signed_with
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import AnyElement, Message, NamedValue, QName
from v2gpki.messages.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    HMACOutputLength,
    KeyInfo,
    KeyName,
    Object,
    Signature,
    SignatureMethod,
    SignatureValue,
    Transform,
    Transforms,
    XPath,
)
from v2gpki.pnc import algorithms
from v2gpki.pnc.elements import elements_of
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import attach, sign, verify

# --- each way to be wrong -------------------------------------------------------------------------------------------

FOREIGN = AnyElement(name=QName("a", "urn:x"))


def info(signature: Signature, **changes: object) -> Signature:
    return signed_with(replace(signature, SignedInfo=replace(signature.SignedInfo, **changes)))


def reference(signature: Signature, **changes: object) -> Signature:
    return signed_with(samples.with_reference(signature, 0, **changes))


def transforms(*transform: Transform) -> dict[str, object]:
    return {"Transforms": Transforms(Transform=transform)}


def flipped(octets: bytes) -> bytes:
    return bytes([octets[0] ^ 1]) + octets[1:]


#: What is done to a sound signature over RISE-V2G's message, and the codes of what is found.
WRONG: dict[str, tuple[Callable[[Signature], Signature], list[str]]] = {
    "Id in SignedInfo": (lambda s: info(s, Id="i"), ["signature.forbidden_member"]),
    "Id in SignatureValue": (
        lambda s: replace(s, SignatureValue=SignatureValue(Id="i", value=s.SignatureValue.value)),
        ["signature.forbidden_member"],
    ),
    "KeyInfo": (lambda s: replace(s, KeyInfo=KeyInfo(content=(KeyName(value="k"),))), ["signature.forbidden_member"]),
    "Object": (lambda s: replace(s, Object=(Object(),)), ["signature.forbidden_member"]),
    "HMACOutputLength": (
        lambda s: info(
            s, SignatureMethod=replace(s.SignedInfo.SignatureMethod, content=(HMACOutputLength(value=8),))
        ),
        ["signature.forbidden_member"],
    ),
    "foreign content of CanonicalizationMethod": (
        lambda s: info(s, CanonicalizationMethod=CanonicalizationMethod(Algorithm=C14N, content=("text",))),
        ["signature.forbidden_member"],
    ),
    "Type of a Reference": (lambda s: reference(s, Type="t"), ["signature.forbidden_member"]),
    "text in DigestMethod": (
        lambda s: reference(s, DigestMethod=DigestMethod(Algorithm=SHA256, content=("text",))),
        ["signature.forbidden_member"],
    ),
    "XPath": (
        lambda s: reference(s, **transforms(Transform(Algorithm=C14N, content=(XPath(value="/"),)))),
        ["signature.forbidden_member"],
    ),
    "other canonicalization": (
        lambda s: info(s, CanonicalizationMethod=CanonicalizationMethod(Algorithm="http://www.w3.org/2006/12/xml-c14n11")),
        ["signature.unknown_transform"],
    ),
    "other transform": (
        lambda s: reference(s, **transforms(Transform(Algorithm="http://www.w3.org/2000/09/xmldsig#base64"))),
        ["signature.unknown_transform"],
    ),
    "two transforms": (
        lambda s: reference(s, **transforms(Transform(Algorithm=C14N), Transform(Algorithm=C14N))),
        ["signature.unknown_transform"],
    ),
    "no transform": (lambda s: reference(s, Transforms=None), ["signature.unknown_transform"]),
    "signature method of -20": (
        lambda s: info(
            s, SignatureMethod=SignatureMethod(Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512")
        ),
        ["signature.wrong_algorithm"],
    ),
    "unknown signature method": (
        lambda s: info(s, SignatureMethod=SignatureMethod(Algorithm="")),
        ["signature.wrong_algorithm"],
    ),
    "digest method of -20": (
        lambda s: reference(s, DigestMethod=DigestMethod(Algorithm=SHA512)),
        ["signature.wrong_algorithm"],
    ),
    "wrong digest": (
        lambda s: reference(s, DigestValue=flipped(s.SignedInfo.Reference[0].DigestValue)),
        ["signature.wrong_digest"],
    ),
    "short digest": (
        lambda s: reference(s, DigestValue=s.SignedInfo.Reference[0].DigestValue[:31]),
        ["signature.wrong_digest"],
    ),
    "no digest": (lambda s: reference(s, DigestValue=b""), ["signature.wrong_digest"]),
    "digest of another element": (
        lambda s: reference(s, DigestValue=s.SignedInfo.Reference[1].DigestValue),
        ["signature.wrong_digest"],
    ),
    "changed after signing": (
        lambda s: samples.with_reference(s, 0, DigestValue=flipped(s.SignedInfo.Reference[0].DigestValue)),
        ["signature.wrong_digest", "signature.wrong_value"],
    ),
    "one reference less": (
        lambda s: signed_with(samples.with_references(s, *s.SignedInfo.Reference[:3])),
        ["signature.missing_reference"],
    ),
    "one element alone": (
        lambda s: signed_with(samples.with_references(s, s.SignedInfo.Reference[3])),
        ["signature.missing_reference"] * 3,
    ),
    "the same reference twice": (
        lambda s: signed_with(samples.with_references(s, *s.SignedInfo.Reference[:3], s.SignedInfo.Reference[0])),
        ["signature.missing_reference", "signature.duplicate_reference"],
    ),
    "five references": (
        lambda s: signed_with(samples.with_references(s, *s.SignedInfo.Reference, s.SignedInfo.Reference[0])),
        ["signature.too_many_references"],
    ),
    "a reference to nothing": (
        lambda s: reference(s, URI="#id9"),
        ["signature.missing_reference", "signature.unknown_reference"],
    ),
    "an empty URI": (
        lambda s: reference(s, URI=""),
        ["signature.missing_reference", "signature.unknown_reference"],
    ),
    "a bare #": (lambda s: reference(s, URI="#"), ["signature.missing_reference", "signature.unknown_reference"]),
    "no URI": (lambda s: reference(s, URI=None), ["signature.missing_reference", "signature.unknown_reference"]),
    "an Id without #": (
        lambda s: reference(s, URI="id1"),
        ["signature.missing_reference", "signature.unknown_reference"],
    ),
    "other key": (
        lambda s: samples.with_value(s, b"\1" * 64),
        ["signature.wrong_value"],
    ),
    "flipped value": (
        lambda s: samples.with_value(s, flipped(s.SignatureValue.value)),
        ["signature.wrong_value"],
    ),
    "r and s swapped": (
        lambda s: samples.with_value(s, s.SignatureValue.value[32:] + s.SignatureValue.value[:32]),
        ["signature.wrong_value"],
    ),
    "DER": (
        lambda s: samples.with_value(
            s,
            encode_dss_signature(
                int.from_bytes(s.SignatureValue.value[:32], "big"), int.from_bytes(s.SignatureValue.value[32:], "big")
            ),
        ),
        ["signature.der_value"],
    ),
    "63 octets": (lambda s: samples.with_value(s, s.SignatureValue.value[1:]), ["signature.wrong_length"]),
    "65 octets": (lambda s: samples.with_value(s, b"\0" + s.SignatureValue.value), ["signature.wrong_length"]),
    "no value": (lambda s: samples.with_value(s, b""), ["signature.wrong_length"]),
    "r is 0": (
        lambda s: samples.with_value(s, bytes(32) + s.SignatureValue.value[32:]),
        ["signature.out_of_range"],
    ),
    "s is 0": (
        lambda s: samples.with_value(s, s.SignatureValue.value[:32] + bytes(32)),
        ["signature.out_of_range"],
    ),
    "s is the order": (
        lambda s: samples.with_value(s, s.SignatureValue.value[:32] + N256.to_bytes(32, "big")),
        ["signature.out_of_range"],
    ),
    "all at once": (
        lambda s: replace(
            samples.with_value(samples.with_reference(s, 0, URI="#id9", Type="t"), b""), Object=(Object(),)
        ),
        [
            "signature.forbidden_member",
            "signature.forbidden_member",
            "signature.missing_reference",
            "signature.unknown_reference",
            "signature.wrong_length",
        ],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_each_way_to_be_wrong(what: str) -> None:
    change, codes = WRONG[what]
    message = samples.rise_message()
    sound = sign(message, samples.signer("p256"))
    verify(attach(message, sound), P256_KEY)
    error = refusal(attach(message, change(sound)))
    assert [finding.code for finding in error.findings] == codes
    assert error.code == codes[0]
    assert error.clause or error.code in ("signature.unknown_reference", "signature.duplicate_reference")
    json.dumps(explain(attach(message, change(sound)), P256_KEY))


def test_foreign_elements_are_forbidden() -> None:
    message = samples.annex_j_message()
    sound = sign(message, samples.signer("p256"))
    method = replace(sound.SignedInfo.SignatureMethod, content=(FOREIGN,))
    changed = replace(sound, SignedInfo=replace(sound.SignedInfo, SignatureMethod=method))
    assert refusal(attach(message, changed)).findings[0].code == "signature.forbidden_member"


def test_a_key_of_another_suite() -> None:
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    agreeing = x448.X448PrivateKey.from_private_bytes(bytes(56)).public_key()
    for key in (samples.signer("p521").spki, samples.signer("ed448").spki, agreeing):
        error = refusal(message, key)
        assert [finding.code for finding in error.findings] == ["signature.wrong_key"]
    other = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    assert refusal(message, other).code == "signature.wrong_value"
    ed = samples.authorization_20()
    ed = attach(ed, sign(ed, samples.signer("ed448")))
    wrong = ed448.Ed448PrivateKey.from_private_bytes(bytes(57)).public_key()
    assert refusal(ed, wrong).code == "signature.wrong_value"
    assert refusal(ed, samples.signer("p521").spki).code == "signature.wrong_key"


def test_ed448_values_have_114_octets() -> None:
    message = samples.authorization_20()
    sound = sign(message, samples.signer("ed448"))
    for value in (sound.SignatureValue.value[:113], sound.SignatureValue.value + b"\0", b""):
        changed = attach(message, samples.with_value(sound, value))
        assert refusal(changed, samples.signer("ed448").spki).code == "signature.wrong_length"


def test_an_ambiguous_id_is_refused() -> None:
    """The unsigned chain takes the Id of the signed one: which of them was signed?"""
    message = samples.rise_message()
    body = samples.rise_body()
    chain = replace(body.SAProvisioningCertificateChain, Id="id1")
    forged = replace(message, Body=iso2.BodyType(BodyElement=replace(body, SAProvisioningCertificateChain=chain)))
    error = refusal(forged, body.SAProvisioningCertificateChain.Certificate)
    assert "signature.duplicate_id" in {finding.code for finding in error.findings}


def test_a_signature_over_a_decoy_is_refused() -> None:
    """Only the inner chain of a CertificateUpdateReq is signed, which says nothing about the request."""
    message = samples.update_req()
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateUpdateReq)
    inner = NamedValue(QName("ContractSignatureCertChain", iso2.BODY.uri), body.ContractSignatureCertChain)
    signature = sign([inner], samples.signer("p256"))
    assert refusal(attach(message, signature)).code == "signature.missing_reference"


def test_a_signature_of_another_message_is_refused() -> None:
    other = replace(samples.annex_j_message().Body.BodyElement, GenChallenge=bytes(16))
    message = attach(samples.v2g_message(other), samples.annex_j_signature())
    assert refusal(message).code == "signature.wrong_digest"


def test_references_of_20_are_bounded() -> None:
    message = samples.authorization_20()
    sound = sign(message, samples.signer("p521"))
    many = samples.with_references(sound, *sound.SignedInfo.Reference * 17)
    error = refusal(attach(message, many), samples.signer("p521").spki)
    assert [finding.code for finding in error.findings] == ["signature.too_many_references"]


def test_digests_go_with_their_algorithm() -> None:
    """P-521 takes SHA-512 alone; for Ed448 sources disagree, so that either digest is taken."""
    message = samples.authorization_20()
    (element,) = [element for element in elements_of(message) if element.required]
    digests = {
        SHA256: hashlib.sha256(element.fragment()).digest(),
        SHA512: hashlib.sha512(element.fragment()).digest(),
        SHAKE256: hashlib.shake_256(element.fragment()).digest(64),
    }
    for suite, taken in (("p521", {SHA512}), ("ed448", {SHA512, SHAKE256})):
        signer = samples.signer(suite)
        for method, digest in digests.items():
            changes = {"DigestMethod": DigestMethod(Algorithm=method), "DigestValue": digest}
            signature = samples.with_reference(sign(message, signer), 0, **changes)
            signed = attach(message, signed_with(signature, suite=suite))
            if method in taken:
                assert verify(signed, signer.spki).elements
            else:
                assert refusal(signed, signer.spki).code == "signature.wrong_algorithm"


def test_explain_shows_both_digests() -> None:
    message = samples.annex_j_message()
    sound = sign(message, samples.signer("p256"))
    wrong = flipped(sound.SignedInfo.Reference[0].DigestValue)
    (row,) = explain(attach(message, samples.with_reference(sound, 0, DigestValue=wrong)), P256_KEY)["references"]
    assert row["digest_found"] == wrong.hex()
    assert row["digest_computed"] == flipped(wrong).hex()
    assert (row["verdict"], row["digest_of"]) == ("invalid", None)


def test_forbidden_in_20_as_well() -> None:
    message = samples.authorization_20()
    sound = sign(message, samples.signer("p521"))
    error = refusal(attach(message, replace(sound, Object=(Object(),))), samples.signer("p521").spki)
    assert (error.code, error.clause) == ("signature.forbidden_member", "[V2G20-771]")


def test_text_of_a_peer_is_shown_shortened_and_escaped() -> None:
    message = samples.annex_j_message()
    signature = samples.with_reference(sign(message, samples.signer("p256")), 0, URI="#\x1b[31m" + "x" * 5000)
    error = refusal(attach(message, signature))
    assert "\x1b" not in error.message
    assert all(len(finding.message) < 400 for finding in error.findings)


# --- known mistakes are named, not accepted -------------------------------------------------------------------------


def document_digest(message: Message, element: Message, schema: str, suite: str) -> Message:
    digest = {"p256": hashlib.sha256, "p521": hashlib.sha512}[suite](codec.encode(element, schema)).digest()
    signature = samples.with_reference(sign(message, samples.signer(suite)), 0, DigestValue=digest)
    return attach(message, signed_with(signature, suite=suite))


@pytest.mark.parametrize(
    ("message", "element", "schema", "suite"),
    [
        (samples.update_req(), samples.update_req().Body.BodyElement, "iso15118-2", "p256"),
        (
            samples.installation_res_20(),
            samples.installation_res_20().SignedInstallationData,
            "iso15118-20-common",
            "p521",
        ),
    ],
)
def test_a_digest_over_a_document(message: Message, element: Message, schema: str, suite: str) -> None:
    message = document_digest(message, element, schema, suite)
    key = samples.signer(suite).spki
    error = refusal(message, key)
    assert [finding.code for finding in error.findings] == ["signature.document_digest"]
    check = verify(message, key, accept_document_digest=True)
    assert check.deviations == ("document-digest",)
    shown = explain(message, key, accept_document_digest=True)
    assert (shown["verdict"], shown["references"][0]["digest_of"]) == ("valid", "document")
    assert shown["deviations"] == ["document-digest"]


def test_accepting_documents_accepts_nothing_else() -> None:
    message = samples.update_req()
    sound = sign(message, samples.signer("p256"))
    changed = signed_with(samples.with_reference(sound, 0, DigestValue=bytes(32)))
    assert refusal(attach(message, changed), accept_document_digest=True).code == "signature.wrong_digest"


def test_a_digest_by_another_function_is_named() -> None:
    message = samples.authorization_20()
    signer = samples.signer("p521")
    (element,) = [element for element in elements_of(message) if element.required]
    digest = hashlib.sha256(element.fragment()).digest()
    signature = signed_with(samples.with_reference(sign(message, signer), 0, DigestValue=digest), suite="p521")
    error = refusal(attach(message, signature), signer.spki)
    assert error.code == "signature.wrong_digest"
    assert "xmlenc#sha256" in error.message


def test_a_digest_over_a_full_list_of_ecog_is_named() -> None:
    """EcoG's grammars offer one item more in a completely full list (the interop tests ask EcoG itself)."""
    roots = iso2.ListOfRootCertificateIDsType(RootCertificateID=samples.roots().RootCertificateID * 10)
    body = replace(samples.installation_req().Body.BodyElement, ListOfRootCertificateIDs=roots)
    digest = hashlib.sha256(codec.encode(body, fragment=True, ecog=True)).digest()
    sound = sign(body, samples.signer("p256"))
    assert sound.SignedInfo.Reference[0].DigestValue != digest
    wrong = signed_with(samples.with_reference(sound, 0, DigestValue=digest))
    error = refusal(attach(samples.v2g_message(body), wrong))
    assert error.code == "signature.wrong_digest"
    assert "filled to its end" in error.message


def test_a_digest_over_emaid_by_its_type_is_named() -> None:
    """libcbv2g's eMAID: code 236 in 8 bits, then attribute, text and end at one bit each, then 244 for the end."""

    def bits(text: str) -> str:
        return "".join(format(octet, "08b") for octet in (len(text) + 2, *text.encode("ascii")))

    coded = format(0x80, "08b") + format(236, "08b") + "0" + bits("id4") + "0" + bits("DEABCC123ABC56") + "0"
    coded += format(244, "08b")
    coded += "0" * (-len(coded) % 8)
    digest = hashlib.sha256(int(coded, 2).to_bytes(len(coded) // 8, "big")).digest()
    message = samples.rise_message()
    signature = samples.with_reference(sign(message, samples.signer("p256")), 3, DigestValue=digest)
    error = refusal(attach(message, signed_with(signature)))
    assert [finding.code for finding in error.findings] == ["signature.wrong_digest"]
    assert "libcbv2g" in error.message


def test_a_digest_over_the_whole_message_is_named() -> None:
    message = samples.installation_req_20()
    signer = samples.signer("p521")
    digest = hashlib.sha512(codec.encode(message, "iso15118-20-common", fragment=True)).digest()
    signature = signed_with(samples.with_reference(sign(message, signer), 0, DigestValue=digest), suite="p521")
    error = refusal(attach(message, signature), signer.spki)
    assert error.code == "signature.wrong_digest"
    assert "all of CertificateInstallationReq" in error.message


def test_a_signature_over_the_hash_is_named() -> None:
    message = samples.annex_j_message()
    sound = sign(message, samples.signer("p256"))
    octets = codec.encode(sound.SignedInfo, "xmldsig", fragment=True)
    for signed, words in (
        (hashlib.sha256(octets).digest(), "hashed twice"),
        (codec.encode(sound.SignedInfo, "xmldsig"), "as an EXI document"),
    ):
        value = algorithms.raw_from_signer(samples.signer("p256").sign(signed), algorithms.ECDSA_P256_SHA256)
        error = refusal(attach(message, samples.with_value(sound, value)))
        assert error.code == "signature.wrong_value"
        assert words in error.message


def test_algorithms_of_iso2_inside_signed_info_of_20_are_named() -> None:
    message, signer = samples.authorization_20(), samples.signer("p521")
    sound = sign(message, signer)
    theirs = samples.with_reference(sound, 0, DigestMethod=DigestMethod(Algorithm=SHA256)).SignedInfo
    method = SignatureMethod(Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
    octets = codec.encode(replace(theirs, SignatureMethod=method), "xmldsig", fragment=True)
    value = algorithms.raw_from_signer(signer.sign(octets), algorithms.ECDSA_P521_SHA512)
    error = refusal(attach(message, samples.with_value(sound, value)), signer.spki)
    assert error.code == "signature.wrong_value"
    assert "EcoG" in error.message


