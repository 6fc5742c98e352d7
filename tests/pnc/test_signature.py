"""Signing and checking: what holds, and each way in which a signature does not, by its code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.pnc import samples
from tests.pnc.judging import C14N, N256, P256_KEY, SHA256, SHA512, SHAKE256, refusal, signed_with
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.keys.suites import SUITES, Suite
from v2gpki.messages import codec, iso2
from v2gpki.messages.schema import Message, NamedValue, QName
from v2gpki.messages.xmldsig import (
    CanonicalizationMethod,
    DigestMethod,
    SignatureMethod,
    Transform,
    Transforms,
)
from v2gpki.pnc import algorithms
from v2gpki.pnc.elements import SIGNED, elements_of, named
from v2gpki.pnc.explain import explain
from v2gpki.pnc.signature import attach, public_key_of, response_code, sign, signature_of, verify

# --- what holds -----------------------------------------------------------------------------------------------------

MESSAGES_2 = [
    (samples.annex_j_message, ["AuthorizationReq"]),
    (samples.installation_req, ["CertificateInstallationReq"]),
    (samples.update_req, ["CertificateUpdateReq"]),
    (samples.metering_receipt, ["MeteringReceiptReq"]),
    (
        samples.rise_message,
        ["ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID"],
    ),
    (lambda: samples.tariffs("t1", None, "t2"), ["SalesTariff", "SalesTariff"]),
]
MESSAGES_20 = [
    (samples.authorization_20, "PnC_AReqAuthorizationMode"),
    (samples.installation_req_20, "OEMProvisioningCertificateChain"),
    (samples.installation_res_20, "SignedInstallationData"),
    (samples.metering_20, "SignedMeteringData"),
    (samples.prices_20, "PriceLevelSchedule"),
]


@pytest.mark.parametrize(("make", "names"), MESSAGES_2)
def test_iso2(make: Callable[[], iso2.V2G_Message], names: list[str]) -> None:
    message = make()
    signature = sign(message, samples.signer("p256"))
    info = signature.SignedInfo
    assert info.CanonicalizationMethod == CanonicalizationMethod(Algorithm=C14N)
    assert info.SignatureMethod == SignatureMethod(Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
    assert len(signature.SignatureValue.value) == 64
    ids = [element.id for element in elements_of(message) if element.name.name in names and element.id]
    assert [reference.URI for reference in info.Reference] == [f"#{id_}" for id_ in ids]
    for reference in info.Reference:
        assert reference.Transforms == Transforms(Transform=(Transform(Algorithm=C14N),))
        assert reference.DigestMethod == DigestMethod(Algorithm=SHA256)
        assert (reference.Id, reference.Type) == (None, None)
    received = codec.decode(codec.encode(attach(message, signature)))
    check = verify(received, P256_KEY)
    assert [element.name.name for element in check.elements] == names
    assert (check.edition, check.algorithm.name, check.deviations) == ("iso15118-2", "ecdsa-p256-sha256", ())


@pytest.mark.parametrize(
    ("suite", "algorithm", "method", "digest_method", "size"),
    [
        ("p521", "", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", SHA512, 132),
        ("ed448", "", "urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448", SHAKE256, 114),
        ("ed448", "ed448-sha512", "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed448", SHA512, 114),
        ("ed448", "ed448-shake256", "urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448", SHAKE256, 114),
    ],
)
@pytest.mark.parametrize(("make", "name"), MESSAGES_20)
def test_iso20(
    make: Callable[[], Message], name: str, suite: str, algorithm: str, method: str, digest_method: str, size: int
) -> None:
    message = make()
    signer = samples.signer(suite)
    signature = sign(message, signer, algorithm=algorithm)
    (reference,) = signature.SignedInfo.Reference
    assert signature.SignedInfo.SignatureMethod.Algorithm == method
    assert reference.DigestMethod.Algorithm == digest_method
    assert len(reference.DigestValue) == 64
    assert len(signature.SignatureValue.value) == size
    received = codec.decode(codec.encode(attach(message, signature)), "iso15118-20-common")
    check = verify(received, signer.spki)
    assert [element.name.name for element in check.elements] == [name]
    assert check.unsigned == ()


def test_the_algorithm_of_iso2_in_iso20_only_by_name() -> None:
    message, signer = samples.authorization_20(), samples.signer("p256")
    with pytest.raises(V2GPKIError) as refused:
        sign(message, signer)
    assert refused.value.code == "signature.wrong_key"
    with pytest.raises(V2GPKIError) as refused:
        sign(message, signer, algorithm="ecdsa-p256-sha256")
    assert refused.value.code == "signature.wrong_algorithm"
    assert "lab-ecog-20" in refused.value.hint
    message = attach(message, sign(message, signer, edition="lab-ecog-20"))
    assert verify(message, signer.spki, edition="lab-ecog-20").edition == "lab-ecog-20"
    assert refusal(message, signer.spki).code == "signature.wrong_algorithm"


def test_a_body_and_elements_can_be_signed_before_there_is_a_message() -> None:
    message = samples.rise_message()
    body = message.Body.BodyElement
    assert body is not None
    four = [element.signable for element in elements_of(body) if element.required]
    for signature in (sign(body, samples.signer("p256")), sign(four, samples.signer("p256"))):
        assert verify(attach(message, signature), P256_KEY).elements
    data = samples.installation_res_20().SignedInstallationData
    signer = samples.signer("p521")
    assert verify(attach(samples.installation_res_20(), sign(data, signer)), signer.spki).elements


def test_elements_are_referred_to_in_the_order_in_which_they_are_given() -> None:
    four = [element.signable for element in elements_of(samples.rise_body()) if element.required]
    signature = sign(list(reversed(four)), samples.signer("p256"))
    assert [reference.URI for reference in signature.SignedInfo.Reference] == ["#id4", "#id3", "#id2", "#id1"]
    assert verify(attach(samples.rise_message(), signature), P256_KEY).elements[0].id == "id4"


def test_either_grammar_of_signed_info_is_taken_and_named() -> None:
    for message, schema, suite in (
        (samples.annex_j_message(), "iso15118-2", "p256"),
        (samples.authorization_20(), "iso15118-20-common", "p521"),
        (samples.authorization_20(), "iso15118-20-common", "ed448"),
    ):
        signer = samples.signer(suite)
        signature = signed_with(sign(message, signer), grammar=schema, suite=suite)
        check = verify(attach(message, signature), signer.spki)
        assert check.signed_info_grammar == "combined"
        assert check.deviations == ("combined-signed-info",)
        assert check.signed_info == codec.encode(signature.SignedInfo, schema=schema, fragment=True)


def test_a_key_comes_as_key_certificate_or_der() -> None:
    chain = samples.rise_body().SAProvisioningCertificateChain
    key = public_key_of(chain.Certificate)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for source in (key, samples.signer("ed448").spki, chain.Certificate):
        assert public_key_of(source)
    for wrong, code in ((b"", "key.malformed"), (b"\x30\x03abc", "key.malformed"), ("text", "key.unsupported")):
        with pytest.raises(V2GPKIError) as refused:
            public_key_of(wrong)
        assert refused.value.code == code


@given(st.integers(1, N256 - 1), st.integers(1, N256 - 1))
def test_raw_from_der_keeps_the_numbers(r: int, s: int) -> None:
    raw = algorithms.raw_from_signer(encode_dss_signature(r, s), algorithms.ECDSA_P256_SHA256)
    assert raw == r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_orders_are_those_of_the_curves() -> None:
    assert algorithms.ECDSA_P256_SHA256.order == N256
    # FIPS 186-4 D.1.2.5
    n521 = int(
        "68647976601306097149819007990813932172694353001433054093944634591855431833976553942450577463332171975329639963713633"
        "21113864768612440380340372808892707005449"
    )
    assert algorithms.ECDSA_P521_SHA512.order == n521


def test_shake256_has_64_octets() -> None:
    # NIST, SHAKE256 of no octets, first 64 of the output
    assert algorithms.DIGESTS[SHAKE256](b"").hex() == (
        "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
        "d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be"
    )


# --- what a signer must return --------------------------------------------------------------------------------------


class Fixed:
    """A signer that answers what it was told to."""

    def __init__(self, suite: str, answer: bytes) -> None:
        self.suite: Suite = SUITES[suite]
        self.spki = b""
        self._answer = answer

    def sign(self, message: bytes) -> bytes:
        return self._answer


@pytest.mark.parametrize(
    ("suite", "answer"),
    [
        ("p256", b""),
        ("p256", bytes(64)),
        ("p256", encode_dss_signature(1, 1) + b"\0"),
        ("p256", bytes.fromhex("3007020200010201 01".replace(" ", ""))),  # 1 written as 00 01
        ("p256", bytes.fromhex("308106020101020101")),  # a length in the long form
        ("p256", encode_dss_signature(0, 1)),
        ("p256", encode_dss_signature(1, N256)),
        ("p256", bytes.fromhex("30060201ff020101")),  # -1
        ("ed448", bytes(113)),
        ("ed448", bytes(115)),
    ],
)
def test_what_a_signer_returns_is_strict(suite: str, answer: bytes) -> None:
    message = samples.annex_j_message() if suite == "p256" else samples.authorization_20()
    with pytest.raises(V2GPKIError) as refused:
        sign(message, Fixed(suite, answer))
    assert refused.value.code == "signature.bad_signer"


def test_short_numbers_are_padded() -> None:
    signature = sign(samples.annex_j_message(), Fixed("p256", encode_dss_signature(1, 2)))
    assert signature.SignatureValue.value == bytes(31) + b"\1" + bytes(31) + b"\2"


# --- what is not signed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        samples.v2g_message(iso2.SessionStopReq(ChargingSession="Terminate")),
        samples.v2g_message(iso2.ServiceDiscoveryReq()),
        iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=samples.SESSION), Body=iso2.BodyType()),
        samples.eim_20(),
        samples.tariffs(None, None),
        samples.prices_20(None),
        [],
        NamedValue(QName("x", "urn:somebody:else"), b""),
        [NamedValue(QName("GenChallenge", "urn:iso:15118:2:2013:MsgBody"), b"")],
    ],
    ids=repr,
)
def test_nothing_to_sign(message: Message) -> None:
    signer = samples.signer("p256")
    for call in (lambda: sign(message, signer), lambda: verify(message, P256_KEY), lambda: explain(message)):
        with pytest.raises(V2GPKIError) as refused:
            call()
        assert refused.value.code == "signature.nothing_to_sign"


def test_an_element_without_an_id_cannot_be_signed() -> None:
    message = samples.v2g_message(iso2.AuthorizationReq(GenChallenge=bytes(16)))
    for id_ in (None, ""):
        message = samples.v2g_message(iso2.AuthorizationReq(Id=id_, GenChallenge=bytes(16)))
        with pytest.raises(V2GPKIError) as refused:
            sign(message, samples.signer("p256"))
        assert refused.value.code == "signature.missing_id"
    message = attach(message, samples.annex_j_signature())
    assert [finding.code for finding in refusal(message).findings] == [
        "signature.missing_id",
        "signature.unknown_reference",
    ]


def test_equal_ids_cannot_be_signed() -> None:
    with pytest.raises(V2GPKIError) as refused:
        sign(samples.tariffs("t1", "t1"), samples.signer("p256"))
    assert refused.value.code == "signature.duplicate_id"


def test_more_than_four_elements_cannot_be_signed() -> None:
    body = samples.rise_body()
    five = [element.signable for element in elements_of(body) if element.required]
    five.append(NamedValue(QName("eMAID", five[0].name.uri), iso2.EMAIDType(Id="id5", value="DEABCC12345678")))
    with pytest.raises(V2GPKIError) as refused:
        sign(five, samples.signer("p256"))
    assert refused.value.code == "signature.too_many_references"


def test_a_message_without_signature() -> None:
    for message in (samples.annex_j_message(), samples.metering_20()):
        with pytest.raises(V2GPKIError) as refused:
            verify(message, P256_KEY)
        assert refused.value.code == "signature.missing"
        shown = explain(message)
        assert (shown["verdict"], "references" in shown) == ("unsigned", False)
    (element,) = explain(samples.annex_j_message())["elements"]
    assert element["fragment"] == samples.published("annex_j")["fragment"]
    assert attach(samples.annex_j_message(), None) == samples.annex_j_message()


def test_an_edition_that_is_not_the_messages() -> None:
    for message, edition in ((samples.annex_j_message(), "iso15118-20"), (samples.metering_20(), "iso15118-2")):
        with pytest.raises(V2GPKIError) as refused:
            sign(message, samples.signer("p521"), edition=edition)
        assert refused.value.code == "signature.wrong_edition"
    with pytest.raises(V2GPKIError) as refused:
        sign(samples.metering_20(), samples.signer("p521"), algorithm="rsa-sha1")
    assert refused.value.code == "signature.wrong_algorithm"


# --- answers --------------------------------------------------------------------------------------------------------


def test_response_codes() -> None:
    wrong = V2GPKIError("signature.wrong_value", "m")
    assert response_code(wrong, samples.annex_j_message()) == "FAILED_SignatureError"
    assert response_code(wrong, samples.authorization_20()) == "FAILED_SignatureError"
    assert response_code(wrong, samples.metering_receipt()) == "FAILED_MeteringSignatureNotValid"
    assert response_code(wrong, samples.metering_20()) == "FAILED_MeteringSignatureNotValid"
    expired = V2GPKIError("path.expired", "m")
    assert response_code(expired, samples.metering_receipt()) == "FAILED_CertificateExpired"
    for code, outcome in CODES.items():
        if code.startswith("signature.") and code not in ("signature.wrong_edition", "signature.bad_signer"):
            assert (outcome.iso2, outcome.iso20) == ("FAILED_SignatureError", "FAILED_SignatureError"), code


def test_explain_without_a_key_checks_all_but_the_value() -> None:
    message = attach(samples.annex_j_message(), samples.annex_j_signature())
    shown = explain(message)
    assert (shown["verdict"], shown["key"], shown["signed_info"]["grammar"]) == ("unchecked", None, None)
    broken = attach(message, samples.with_value(samples.annex_j_signature(), b""))
    assert explain(broken)["verdict"] == "invalid"


def test_explain_is_json_and_holds_every_octet() -> None:
    message = samples.rise_message()
    shown = json.loads(json.dumps(explain(message, samples.rise_body().SAProvisioningCertificateChain.Certificate)))
    assert shown["schema"] == "v2gpki/signature/1"
    assert [row["uri"] for row in shown["references"]] == ["#id2", "#id1", "#id4", "#id3"]
    for row in shown["references"]:
        digest = hashlib.sha256(bytes.fromhex(row["fragment"])).hexdigest()
        assert digest == row["digest_computed"] == row["digest_found"]
    assert shown["signed_info"]["octets"]["combined"].startswith("80d0")  # code 208 in 8 bits
    assert shown["signed_info"]["octets"]["xmldsig"].startswith("8081")  # code 32 in 6 bits
    assert shown["algorithm"] == "ecdsa-p256-sha256"
    assert shown["key"]["suite"] == "p256"


def test_what_cannot_be_coded_is_a_reason() -> None:
    """An element that breaks the schema can be held in memory; it cannot be digested."""
    message = samples.installation_req()
    signature = sign(message, samples.signer("p256"))
    body = replace(message.Body.BodyElement, OEMProvisioningCert=bytes(801))
    shown = explain(attach(samples.v2g_message(body), signature), P256_KEY)
    assert shown["verdict"] == "invalid"
    assert shown["references"][0]["reasons"][0]["code"].startswith(("exi.", "messages."))
    with pytest.raises(V2GPKIError) as refused:
        verify(attach(samples.v2g_message(body), signature), P256_KEY)
    assert refused.value.code == shown["reasons"][0]["code"]


def test_every_rule_names_messages_that_exist() -> None:
    for family, rules in SIGNED.items():
        grammar = codec.grammar("iso15118-2" if family == "iso15118-2" else "iso15118-20-common")
        declared = {element.name.name for element in grammar.schema.fragment}
        assert set(rules) <= declared
        assert {name.rstrip("?") for names in rules.values() for name in names} <= declared


def test_elements_chosen_by_hand_need_an_id_attribute() -> None:
    with pytest.raises(V2GPKIError) as refused:
        named([iso2.SessionStopReq(ChargingSession="Pause")])
    assert refused.value.code == "signature.nothing_to_sign"
    with pytest.raises(V2GPKIError):
        attach(iso2.SessionStopReq(ChargingSession="Pause"), None)
    assert signature_of(samples.annex_j_message()) is None
