"""`explain` says what is wrong, and something else for each thing that can be wrong.

Every expectation is what the test itself did to a good exchange: which bit of which field, before or after signing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.pnc.installation.exchanges import (
    EMAID,
    PCID,
    SESSION,
    Exchange,
    broken,
    changed,
    exchange,
    flip,
    key_of,
    no_trust,
    refusing,
    resigned,
)
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.agreement import KeyAgreement, shared_secret
from v2gpki.keys.software import SoftwareAgreement, SoftwareSigner
from v2gpki.keys.suites import SUITES, PublicKey, load_public_key
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.pnc import envelope
from v2gpki.pnc.installation import contract_data, read_response, refuse, respond, sign_contract, verify_response
from v2gpki.pnc.installation.answers import wait
from v2gpki.pnc.installation.explain import explain_installation
from v2gpki.pnc.installation.vehicle import open_response
from v2gpki.pnc.signature import attach, sign
from v2gpki.render.installation import installation_lines

BODY = "Body.BodyElement."
DATA = "SignedInstallationData."
SIGNED_INFO = "Header.Signature.SignedInfo."


@pytest.fixture(scope="module")
def ca(home_all: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[v2gpki.CertificateAuthority]:
    """A copy of the home with every edition, for the whole module."""
    copy = tmp_path_factory.mktemp("explain") / "home"
    shutil.copytree(home_all, copy)
    with v2gpki.open_authority(copy, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test") as opened:
        yield opened


@pytest.fixture(scope="module")
def iso2_exchange(ca: v2gpki.CertificateAuthority) -> Exchange:
    return exchange(ca, "iso15118-2")


@pytest.fixture(scope="module")
def iso20_exchange(ca: v2gpki.CertificateAuthority) -> Exchange:
    return exchange(ca, "iso15118-20")


@pytest.fixture(scope="module")
def update_exchange(ca: v2gpki.CertificateAuthority) -> Exchange:
    return exchange(ca, "iso15118-2", "update")


def explained(found: Exchange, octets: bytes, **options: Any) -> dict[str, Any]:
    """`explain` with everything that a person at the vehicle has; the value must go into JSON."""
    given: dict[str, Any] = {"request": found.request, "receiver": found.receiver, "trust": no_trust, "pcid": PCID}
    value: dict[str, Any] = json.loads(json.dumps(explain_installation(octets, **(given | options))))
    return value


def failed(value: dict[str, Any]) -> list[str]:
    return [check["check"] for check in value["checks"] if check["verdict"] == "failed"]


def codes(value: dict[str, Any]) -> set[str]:
    return {reason["code"] for check in value["checks"] for reason in check["reasons"]}


# --- good ones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["iso2_exchange", "iso20_exchange", "update_exchange"])
def test_a_good_exchange_holds(which: str, request: pytest.FixtureRequest) -> None:
    found: Exchange = request.getfixturevalue(which)
    value = explained(found, found.response)
    assert (value["verdict"], value["first_failure"], value["cause"], failed(value)) == ("good", None, None, [])
    assert EMAID in value["summary"]
    assert "can install" in value["summary"]
    assert value["signature"]["signed_by"]["key_of"] == "CPS leaf"
    assert value["signature"]["signed_by"]["fingerprint"] == view(found.cps_chain[0]).fingerprint.hex()
    sent = [bytes.fromhex(one["der"]) for one in value["certificates"]]
    assert sent == [*found.cps_chain, *found.contract_chain]
    asked = explained(found, found.request, request=b"", receiver=None)
    assert (asked["verdict"], failed(asked)) == ("good", [])
    assert asked["message"]["roots"] == [{"issuer": view(found.v2g_root).issuer_text,
                                          "serial": f"{view(found.v2g_root).serial:x}"}]  # fmt: skip


def test_each_signed_element_is_shown_with_octets_digest_and_grammar(iso2_exchange: Exchange) -> None:
    value = explained(iso2_exchange, iso2_exchange.response)
    references = value["signature"]["references"]
    assert [one["path"].partition("/")[2] for one in references] == [
        "ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID"
    ]  # fmt: skip
    assert all(one["fragment"] and one["digest_found"] == one["digest_computed"] for one in references)
    assert {one["grammar"] for one in references} == {"iso15118-2"}
    assert value["signature"]["signed_info"]["grammar"] == "xmldsig"


def test_without_anchor_and_key_something_stays_unchecked(iso2_exchange: Exchange) -> None:
    value: dict[str, Any] = {**explain_installation(iso2_exchange.response)}
    assert value["verdict"] == "unchecked"
    unchecked = {check["check"]: check["note"] for check in value["checks"] if check["verdict"] == "unchecked"}
    assert unchecked == {"trust": "no anchor was given", "envelope": "the vehicle's key was not given"}
    assert "steps" not in json.dumps(value["envelope"])


def test_sizes_stand_beside_every_limit(iso2_exchange: Exchange, iso20_exchange: Exchange) -> None:
    value = explained(iso2_exchange, iso2_exchange.response)
    octets = len(iso2_exchange.response)
    characters = (octets + 2) // 3 * 4
    assert (value["sizes"]["octets"], value["sizes"]["base64"]) == (octets, characters)
    assert [(one["limit"], one["fits"]) for one in value["sizes"]["limits"]] == [
        (limit, characters <= limit) for limit in (5600, 7500, 17000)
    ]
    assert {one["limit"] for one in value["certificates"]} == {800}
    assert {one["limit"] for one in explained(iso20_exchange, iso20_exchange.response)["certificates"]} == {1600}
    asked = explained(iso2_exchange, iso2_exchange.request, request=b"", receiver=None)
    assert [one["limit"] for one in asked["sizes"]["limits"]] == [5600, 7500, 11000]


def test_the_time_that_a_station_took_is_held_against_its_window(iso2_exchange: Exchange) -> None:
    assert explained(iso2_exchange, iso2_exchange.response, elapsed_ms=4500)["window"]["kept"] is True
    late = explained(iso2_exchange, iso2_exchange.response, elapsed_ms=4501)["window"]
    assert (late["kept"], late["performance_ms"], late["timeout_ms"]) == (False, 4500, 5000)
    assert explained(iso2_exchange, iso2_exchange.response)["window"]["kept"] is None


# --- one bit --------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """One change: where, what, which check fails first, what the explanation names, in what part."""

    path: str
    change: Callable[[object], object]
    first: str
    what: str
    where: str
    part: str | None = None


def swapped(value: object) -> object:
    assert isinstance(value, tuple)
    return value[::-1]


RES = "CertificateInstallationRes/"
SID = RES + "SignedInstallationData/"
ALTERED: dict[str, Kind] = {
    "signature value": Kind(
        "Header.Signature.SignatureValue.value", flip(40, 3), "value", "signature_value", "Signature/SignatureValue",
        "s"
    ),
    "digest in SignedInfo": Kind(
        SIGNED_INFO + "Reference.2.DigestValue", flip(5), "digest", "signed_digest", "Signature/SignedInfo"
    ),
    "encrypted key, IV": Kind(
        BODY + "ContractSignatureEncryptedPrivateKey.value", flip(15, 7), "digest", "element",
        RES + "ContractSignatureEncryptedPrivateKey", "IV"
    ),
    "encrypted key, ciphertext": Kind(
        BODY + "ContractSignatureEncryptedPrivateKey.value", flip(16), "digest", "element",
        RES + "ContractSignatureEncryptedPrivateKey", "ciphertext"
    ),
    "DH key": Kind(BODY + "DHpublickey.value", flip(64, 2), "digest", "element", RES + "DHpublickey", "Y"),
    "eMAID": Kind(BODY + "eMAID.value", flip(10), "digest", "element", RES + "eMAID"),
    "contract leaf": Kind(
        BODY + "ContractSignatureCertChain.Certificate", flip(-1), "digest", "element",
        RES + "ContractSignatureCertChain/Certificate", "signature"
    ),
    "contract Sub-CA": Kind(
        BODY + "ContractSignatureCertChain.SubCertificates.Certificate.0", flip(-1), "digest", "element",
        RES + "ContractSignatureCertChain/SubCertificates/Certificate[1]", "signature"
    ),
    "CPS leaf": Kind(
        BODY + "SAProvisioningCertificateChain.Certificate", flip(-1), "cps_chain", "certificate", "CPS leaf"
    ),
    "CPS Sub-CA 2": Kind(
        BODY + "SAProvisioningCertificateChain.SubCertificates.Certificate.0", flip(-1), "cps_chain", "certificate",
        "CPS Sub-CA 2"
    ),
    "CPS order": Kind(
        BODY + "SAProvisioningCertificateChain.SubCertificates.Certificate", swapped, "cps_chain", "order",
        RES + "SAProvisioningCertificateChain"
    ),
    "ResponseCode": Kind(
        BODY + "ResponseCode", lambda _: "FAILED_CertificateExpired", "response_code", "response_code",
        RES + "ResponseCode"
    ),
    "SessionID": Kind("Header.SessionID", flip(7), "exchange", "exchange", RES + "Header/SessionID"),
}  # fmt: skip

ALTERED_20: dict[str, Kind] = {
    "signature value": Kind(
        "Header.Signature.SignatureValue.value", flip(7), "value", "signature_value", "Signature/SignatureValue", "r"
    ),
    "digest in SignedInfo": Kind(
        SIGNED_INFO + "Reference.0.DigestValue", flip(63, 7), "digest", "signed_digest", "Signature/SignedInfo"
    ),
    "IV": Kind(DATA + "SECP521_EncryptedPrivateKey", flip(11), "digest", "element",
               SID + "SECP521_EncryptedPrivateKey", "IV"),
    "ciphertext": Kind(DATA + "SECP521_EncryptedPrivateKey", flip(12), "digest", "element",
                       SID + "SECP521_EncryptedPrivateKey", "ciphertext"),
    "tag": Kind(DATA + "SECP521_EncryptedPrivateKey", flip(93), "digest", "element",
                SID + "SECP521_EncryptedPrivateKey", "tag"),
    "curve": Kind(DATA + "ECDHCurve", lambda _: "X448", "digest", "element", SID + "ECDHCurve"),
    "DH key": Kind(DATA + "DHPublicKey", flip(1), "digest", "element", SID + "DHPublicKey", "X"),
    "contract leaf": Kind(DATA + "ContractCertificateChain.Certificate", flip(-1), "digest", "element",
                          SID + "ContractCertificateChain/Certificate", "signature"),
    "CPS leaf": Kind("CPSCertificateChain.Certificate", flip(-1), "cps_chain", "certificate", "CPS leaf"),
    "CPS order": Kind("CPSCertificateChain.SubCertificates.Certificate", swapped, "cps_chain", "order",
                      RES + "CPSCertificateChain"),
    "ResponseCode": Kind("ResponseCode", lambda _: "FAILED_SignatureError", "response_code", "response_code",
                         RES + "ResponseCode"),
}  # fmt: skip


def told(value: dict[str, Any]) -> tuple[Any, ...]:
    cause = value["cause"]
    part = cause["altered"]["part"] if cause["altered"] else None
    return value["verdict"], value["first_failure"], cause["what"], cause["where"], part


def agrees(found: Exchange, kind: Kind) -> None:
    """What is said about the envelope of an altered message: never that its sender altered it; of a field in it, what
    the summary says."""
    in_envelope = kind.where.endswith(("EncryptedPrivateKey", "DHpublickey", "DHPublicKey"))
    for despite in (False, True):
        value = explained(found, broken(found, kind.path, kind.change), despite_signature=despite)
        note = value["envelope"]["because"] if value["envelope"] else ""
        assert "before it was signed" not in json.dumps(value)
        assert "before it was signed" not in "".join(span.text for line in installation_lines(value) for span in line)
        if in_envelope and (despite or "DH" in kind.where):
            assert "one bit was changed after it was signed" in note
            assert f"in the {kind.part} of {kind.where.rpartition('/')[2]}" in note
            assert "was changed after it was signed" in value["summary"]


@pytest.mark.parametrize("name", ALTERED)
def test_what_was_changed_after_signing_in_iso2(name: str, iso2_exchange: Exchange) -> None:
    kind = ALTERED[name]
    value = explained(iso2_exchange, broken(iso2_exchange, kind.path, kind.change))
    assert told(value) == ("bad", *kind[2:])
    assert value["cause"]["text"] in value["summary"]
    agrees(iso2_exchange, kind)


@pytest.mark.parametrize("name", ALTERED_20)
def test_what_was_changed_after_signing_in_iso20(name: str, iso20_exchange: Exchange) -> None:
    kind = ALTERED_20[name]
    value = explained(iso20_exchange, broken(iso20_exchange, kind.path, kind.change))
    assert told(value) == ("bad", *kind[2:])
    agrees(iso20_exchange, kind)


def test_the_ski_of_the_contract_is_named(iso2_exchange: Exchange, iso20_exchange: Exchange) -> None:
    chains = {BODY + "ContractSignatureCertChain.": iso2_exchange, DATA + "ContractCertificateChain.": iso20_exchange}
    for path, found in chains.items():
        offset = found.contract_chain[0].index(view(found.contract_chain[0]).key_identifier)
        value = explained(found, broken(found, path + "Certificate", flip(offset + 3)))
        assert told(value)[4] == "SubjectKeyIdentifier"
        assert value["cause"]["altered"]["octet"] == offset + 3
        assert failed(value)[:2] == ["digest", "contract_chain"]


@pytest.mark.parametrize("octet", [0, 1, 30, 47])
@pytest.mark.parametrize("bit", [0, 7])
def test_the_very_bit_is_found(octet: int, bit: int, iso2_exchange: Exchange) -> None:
    path = BODY + "ContractSignatureEncryptedPrivateKey.value"
    value = explained(iso2_exchange, broken(iso2_exchange, path, flip(octet, bit)))
    altered = value["cause"]["altered"]
    assert (altered["octet"], altered["bit"]) == (octet, bit)
    assert bytes.fromhex(altered["before"]) == iso2_exchange.signed.data.sealed.encrypted_key


def test_every_kind_has_an_explanation_of_its_own(iso2_exchange: Exchange, iso20_exchange: Exchange) -> None:
    for found, kinds in ((iso2_exchange, ALTERED), (iso20_exchange, ALTERED_20)):
        texts = {explained(found, broken(found, kind.path, kind.change))["summary"] for kind in kinds.values()}
        assert len(texts) == len(kinds)


def test_the_key_in_the_cps_leaf_was_changed(iso2_exchange: Exchange) -> None:
    leaf = iso2_exchange.cps_chain[0]
    point = view(leaf).spki[-64:]
    octets = broken(iso2_exchange, BODY + "SAProvisioningCertificateChain.Certificate", flip(leaf.index(point) + 9))
    value = explained(iso2_exchange, octets)
    assert told(value)[1:4] == ("value", "certificate", "CPS leaf")
    assert failed(value) == ["value", "cps_chain"]


REQUESTS: dict[str, tuple[str, str, Callable[[object], object], str, str, str | None]] = {
    "OEM certificate": (
        "iso2_exchange", BODY + "OEMProvisioningCert", flip(-1), "element",
        "CertificateInstallationReq/OEMProvisioningCert", "signature"
    ),
    "a root's name": (
        "iso2_exchange", BODY + "ListOfRootCertificateIDs.RootCertificateID.0.X509IssuerName", flip(4), "element",
        "CertificateInstallationReq/ListOfRootCertificateIDs/RootCertificateID[1]/X509IssuerName", None
    ),
    "digest": (
        "iso2_exchange", SIGNED_INFO + "Reference.0.DigestValue", flip(0), "signed_digest", "Signature/SignedInfo", None
    ),
    "value": (
        "iso2_exchange", "Header.Signature.SignatureValue.value", flip(0), "signature_value",
        "Signature/SignatureValue", "r"
    ),
    "update, eMAID": (
        "update_exchange", BODY + "eMAID", flip(9), "element", "CertificateUpdateReq/eMAID", None
    ),
    "-20, OEM certificate": (
        "iso20_exchange", "OEMProvisioningCertificateChain.Certificate", flip(-1), "element",
        "CertificateInstallationReq/OEMProvisioningCertificateChain/Certificate", "signature"
    ),
    "-20, order": (
        "iso20_exchange", "OEMProvisioningCertificateChain.SubCertificates.Certificate", swapped, "order",
        "CertificateInstallationReq/OEMProvisioningCertificateChain", None
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_what_was_changed_in_a_request(name: str, request: pytest.FixtureRequest) -> None:
    which, path, change, what, where, part = REQUESTS[name]
    found: Exchange = request.getfixturevalue(which)
    value = explained(found, broken(found, path, change, request=True), request=b"", receiver=None)
    verdict, _, *rest = told(value)
    assert (verdict, *rest) == ("bad", what, where, part)
    assert "certificate provisioning service must refuse" in value["summary"]


def test_the_key_in_a_requests_certificate_was_changed(iso2_exchange: Exchange) -> None:
    der = iso2_exchange.vehicle_chain[0]
    octet = der.index(view(der).spki[-64:]) + 20
    octets = broken(iso2_exchange, BODY + "OEMProvisioningCert", flip(octet), request=True)
    value = explained(iso2_exchange, octets, request=b"", receiver=None)
    assert told(value)[2:] == ("element", "CertificateInstallationReq/OEMProvisioningCert", "SubjectPublicKeyInfo")
    assert "the key that the signature is checked by" in value["summary"]


# --- senders' mistakes: signed as they are --------------------------------------------------------------------------

SENT: dict[str, tuple[str, str, Callable[[object], object], str]] = {
    "IV": ("iso2_exchange", BODY + "ContractSignatureEncryptedPrivateKey.value", flip(1), "IV of Contract"),
    "ciphertext": ("iso2_exchange", BODY + "ContractSignatureEncryptedPrivateKey.value", flip(40), "ciphertext of Con"),
    "point": ("iso2_exchange", BODY + "DHpublickey.value", flip(2), "X of DHpublickey"),
    "form": ("iso2_exchange", BODY + "DHpublickey.value", flip(0, 1), "form of DHpublickey"),
    "-20 IV": ("iso20_exchange", DATA + "SECP521_EncryptedPrivateKey", flip(1), "IV of SECP521"),
    "-20 ciphertext": ("iso20_exchange", DATA + "SECP521_EncryptedPrivateKey", flip(70), "ciphertext of SECP521"),
    "-20 tag": ("iso20_exchange", DATA + "SECP521_EncryptedPrivateKey", flip(80), "tag of SECP521"),
    "-20 point": ("iso20_exchange", DATA + "DHPublicKey", flip(132), "Y of DHPublicKey"),
    "-20 curve": ("iso20_exchange", DATA + "ECDHCurve", lambda _: "X448", "ECDHCurve is X448, but the key stands in"),
}


@pytest.mark.parametrize("name", SENT)
def test_an_envelope_that_was_broken_before_it_was_signed(name: str, request: pytest.FixtureRequest) -> None:
    which, path, change, words = SENT[name]
    found: Exchange = request.getfixturevalue(which)
    value = explained(found, resigned(found, path, change))
    assert failed(value) == ["envelope"]
    assert words in value["summary"]
    assert "after it was signed" not in json.dumps(value)
    if value["cause"]["altered"]:
        assert "one bit was changed before it was signed" in value["summary"]


def test_when_a_bit_was_changed_is_not_guessed(iso2_exchange: Exchange) -> None:
    """Without a signature, and with one by nobody who is known, only that a bit is wrong can be said."""
    sent = replace_point(iso2_exchange)
    stranger = SoftwareSigner(SUITES["p256"].generate())
    unsigned = attach(sent, None)
    other = attach(unsigned, sign(unsigned, stranger, edition="iso15118-2"))
    for message in (unsigned, other):
        value = explained(iso2_exchange, iso2_exchange.coded(message))
        assert value["envelope"]["because"] == "one bit is wrong, in the Y of DHpublickey"


def test_two_bits_changed_after_signing_are_told_apart(iso2_exchange: Exchange) -> None:
    """The digest of each element speaks for itself."""
    message = changed(replace_point(iso2_exchange), BODY + "ContractSignatureEncryptedPrivateKey.value", flip(20))
    assert isinstance(message, Message)
    value = explained(iso2_exchange, iso2_exchange.coded(message))
    assert value["cause"]["where"] == RES + "ContractSignatureEncryptedPrivateKey"
    assert value["envelope"]["because"] == "one bit was changed after it was signed, in the Y of DHpublickey"


def replace_point(found: Exchange) -> Message:
    message = changed(found.message(), BODY + "DHpublickey.value", flip(50))
    assert isinstance(message, Message)
    return message


def test_only_an_envelope_that_binds_additional_data_names_their_form(
    iso2_exchange: Exchange, iso20_exchange: Exchange, update_exchange: Exchange
) -> None:
    """AES-CBC of ISO 15118-2 binds none, with the vehicle's key or without."""
    for found, form in ((iso2_exchange, None), (update_exchange, None), (iso20_exchange, "pcid-ski8")):
        for options in ({}, {"receiver": None}, {"trust": None}):
            value = explained(found, found.response, **options)
            assert value["envelope"]["aad_form"] == form
            shown = "".join(span.text for line in installation_lines(value) for span in line)
            assert ("AAD form" in shown) is (form is not None)


def test_a_signed_emaid_that_is_not_the_contracts(iso2_exchange: Exchange) -> None:
    value = explained(iso2_exchange, resigned(iso2_exchange, BODY + "eMAID.value", lambda _: "DEACMC99999999"))
    assert failed(value) == ["emaid"]
    assert "DEACMC99999999" in value["summary"]
    assert EMAID in value["summary"]


def sealed_by(found: Exchange, octets: bytes) -> bytes:
    """The answer with another encrypted key, signed."""
    path = BODY + "ContractSignatureEncryptedPrivateKey.value" if found.edition == "iso15118-2" else DATA + (
        "SECP521_EncryptedPrivateKey"
    )
    return resigned(found, path, lambda _: octets)


def test_another_form_of_additional_data_is_recognised(ca: v2gpki.CertificateAuthority) -> None:
    found = exchange(ca, "iso15118-20")
    contract = ca.issue("contract", edition="iso15118-20", suite="p521", id=EMAID)
    data = contract_data(
        edition="iso15118-20",
        chain=contract.chain,
        contract_key=key_of(contract),
        receiver=view(found.vehicle_chain[0]).spki,
        emaid=EMAID,
        pcid=PCID,
        aad="none",
    )
    signed = sign_contract(data, cps_chain=found.cps_chain, signer=SoftwareSigner(found.cps_key))
    octets = respond(signed, session_id=SESSION, timestamp=BIRTH)
    value = explained(found, octets)
    assert value["cause"]["text"] == "it was sealed with the additional data of the form none, not pcid-ski8"
    assert explained(found, octets, aad="none")["verdict"] == "good"
    other = explained(found, found.response, request=b"", pcid="WACME0000000000013")
    assert "binds other additional data" in other["summary"]


def test_a_key_derivation_of_another_stack_is_recognised(iso2_exchange: Exchange) -> None:
    """OpenChargingCloud hashes Z before the counter, without OtherInfo."""
    sealed = iso2_exchange.signed.data.sealed
    peer = load_public_key(SUITES["p256"].spki_prefix + sealed.dh_public_key)
    z = shared_secret(iso2_exchange.receiver_key, peer)
    right = hashlib.sha256(b"\0\0\0\1" + z + b"\x01\x55\x56").digest()[:16]
    wrong = hashlib.sha256(z + b"\0\0\0\1").digest()[:16]
    iv, ciphertext = sealed.encrypted_key[:16], sealed.encrypted_key[16:]
    scalar = Cipher(algorithms.AES128(right), modes.CBC(iv)).decryptor().update(ciphertext)
    octets = iv + Cipher(algorithms.AES128(wrong), modes.CBC(iv)).encryptor().update(scalar)
    value = explained(iso2_exchange, sealed_by(iso2_exchange, octets))
    assert "ANSI X9.63 without OtherInfo" in value["summary"]


def test_the_key_of_another_vehicle(iso2_exchange: Exchange) -> None:
    stranger = SoftwareAgreement(SUITES["p256"].generate())
    value = explained(iso2_exchange, iso2_exchange.response, receiver=stranger)
    assert value["first_failure"] == "envelope"
    assert "not that of the vehicle in the request" in value["summary"]
    wrong_suite = SoftwareAgreement(SUITES["p521"].generate())
    assert "envelope.wrong_curve" in codes(explained(iso2_exchange, iso2_exchange.response, receiver=wrong_suite))


class Used:
    """A vehicle's key that counts how often it was used."""

    def __init__(self, agreement: KeyAgreement) -> None:
        self._agreement = agreement
        self.suite, self.spki = agreement.suite, agreement.spki
        self.used = 0

    def agree(self, peer: PublicKey) -> bytes:
        self.used += 1
        return self._agreement.agree(peer)


@pytest.mark.parametrize("which", ["iso2_exchange", "iso20_exchange", "update_exchange"])
def test_the_vehicles_key_is_not_used_before_signature_and_chain_are_good(
    which: str, request: pytest.FixtureRequest
) -> None:
    """Opening cannot be asked for half: no key agreement, no step, for whoever made the answer or changed it."""
    found: Exchange = request.getfixturevalue(which)
    stranger = signed_by(found, SoftwareSigner(SUITES[found.receiver.suite.name].generate()))
    kinds = ALTERED if found.edition == "iso15118-2" else ALTERED_20
    bad: list[tuple[bytes, dict[str, Any]]] = [
        (stranger, {}),
        (found.coded(attach(found.message(), None)), {}),
        (found.response, {"trust": refusing("path.no_anchor")}),
        (found.response, {"trust": None}),
        (found.response, {"trust": lambda _role, _edition, chain: chain[1:]}),
        *((broken(found, kind.path, kind.change), {}) for name, kind in kinds.items() if name != "SessionID"),
    ]
    for octets, options in bad:
        vehicle = Used(found.receiver)
        value = explained(found, octets, receiver=vehicle, **options)
        assert vehicle.used == 0
        assert value["envelope"] is None or ("steps" not in value["envelope"] and not value["envelope"]["insecure"])
    notes = [check["note"] for check in value["checks"] if check["check"] == "envelope"]
    assert all("stays closed" in note for note in notes)
    vehicle = Used(found.receiver)
    opened = explained(found, found.response, receiver=vehicle)["envelope"]
    assert (vehicle.used, opened["insecure"]) == (1, False)
    assert opened["steps"]["z"]


@pytest.mark.parametrize("options", [{"trust": None}, {"trust": refusing("path.no_anchor")}], ids=["none", "bad"])
def test_laboratories_open_all_the_same_and_it_is_said(options: dict[str, Any], iso2_exchange: Exchange) -> None:
    found = iso2_exchange
    value = explained(found, found.response, despite_signature=True, **options)
    assert value["envelope"]["insecure"] is True
    assert value["envelope"]["steps"] == value_of_steps(found)
    assert any("INSECURE" in span.text for line in installation_lines(value) for span in line)
    unsigned = explained(found, found.coded(attach(found.message(), None)), despite_signature=True)
    assert unsigned["envelope"]["insecure"] is True
    good = explained(found, found.response, despite_signature=True)
    assert good["envelope"]["insecure"] is False
    assert not any("INSECURE" in span.text for line in installation_lines(good) for span in line)


# --- signatures -----------------------------------------------------------------------------------------------------


def signed_by(found: Exchange, signer: SoftwareSigner) -> bytes:
    message = attach(found.message(), None)
    return found.coded(attach(message, sign(message, signer, edition=found.edition)))


def test_the_key_that_signed_instead_is_named(ca: v2gpki.CertificateAuthority, iso2_exchange: Exchange) -> None:
    vault = ca.vault
    assert vault is not None
    sub_ca = ca.authority("iso2-cps-sub-ca-2")
    value = explained(iso2_exchange, signed_by(iso2_exchange, SoftwareSigner(vault.private_key(sub_ca.key_id))))
    assert value["signature"]["signed_by"]["key_of"] == "CPS Sub-CA 2"
    assert "the key of the CPS Sub-CA 2 signed this, not that of the CPS leaf" in value["summary"]
    oem = explained(iso2_exchange, signed_by(iso2_exchange, SoftwareSigner(iso2_exchange.receiver_key)))
    assert oem["signature"]["signed_by"]["key_of"] == "certificate in the request"
    nobody = explained(iso2_exchange, signed_by(iso2_exchange, SoftwareSigner(SUITES["p256"].generate())))
    assert nobody["signature"]["signed_by"] is None
    assert nobody["cause"]["what"] == "unknown_key"


def test_fewer_than_four_references(iso2_exchange: Exchange) -> None:
    octets = broken(iso2_exchange, SIGNED_INFO + "Reference", lambda value: value[:3])  # type: ignore[index]  # a tuple
    value = explained(iso2_exchange, octets)
    assert value["first_failure"] == "signature"
    assert "signature.missing_reference" in codes(value)
    assert "eMAID" in value["summary"]


def test_no_signature_at_all(iso2_exchange: Exchange) -> None:
    value = explained(iso2_exchange, iso2_exchange.coded(attach(iso2_exchange.message(), None)))
    assert value["first_failure"] == "signature"
    assert value["signature"] is None
    assert "without a Signature" in value["summary"]


def test_the_signature_of_another_message(ca: v2gpki.CertificateAuthority, iso2_exchange: Exchange) -> None:
    other = exchange(ca, "iso15118-2")
    signature = getattr(other.message(), "Header").Signature  # noqa: B009 - the class is known at run time only
    octets = iso2_exchange.coded(attach(iso2_exchange.message(), signature))
    value = explained(iso2_exchange, octets)
    assert value["cause"]["what"] == "other_message"
    assert failed(value)[:3] == ["digest", "digest", "digest"]


# --- answers without a contract, chains that nobody trusts, octets that are none ------------------------------------


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_a_refusal_is_no_broken_message(edition: Any) -> None:
    code = "FAILED_CertificateRevoked" if edition == "iso15118-2" else "FAILED_SignatureError"
    value = explain_installation(
        refuse(edition=edition, session_id=SESSION, response_code=code, timestamp=BIRTH)
    )
    assert value["verdict"] == "refusal"
    assert code in str(value["summary"])
    assert value["envelope"] is None


def test_an_answer_that_is_not_ready_yet() -> None:
    value = explain_installation(wait(edition="iso15118-20", session_id=SESSION, timestamp=BIRTH))
    assert value["verdict"] == "waiting"
    assert "asks again" in str(value["summary"])


def test_a_chain_that_is_not_trusted(iso2_exchange: Exchange) -> None:
    value = explained(iso2_exchange, iso2_exchange.response, trust=refusing("path.no_anchor"))
    assert (value["first_failure"], codes(value)) == ("trust", {"path.no_anchor"})
    assert "cps of iso15118-2, 3 certificates: no" in value["summary"]


def test_a_cps_leaf_with_another_role(ca: v2gpki.CertificateAuthority, iso2_exchange: Exchange) -> None:
    """A station's certificate signs contract data."""
    secc = ca.issue("secc", edition="iso15118-2", id="DE*ACM*E0001")
    signed = sign_contract(
        iso2_exchange.signed.data, cps_chain=secc.chain, signer=SoftwareSigner(key_of(secc))
    )
    value = explained(iso2_exchange, respond(signed, session_id=SESSION))
    assert (value["first_failure"], codes(value)) == ("cps_chain", {"role.domain_component"})
    assert "DC=CPO" in value["summary"]


def test_a_certificate_that_is_too_large_is_read_and_named(iso2_exchange: Exchange) -> None:
    where = BODY + "SAProvisioningCertificateChain.Certificate"
    message = changed(iso2_exchange.message(), where, lambda _: bytes(801))
    assert isinstance(message, Message)
    path = "V2G_Message/Body/CertificateInstallationRes/SAProvisioningCertificateChain/Certificate"
    value = explained(iso2_exchange, codec.encode(message, "iso15118-2", waivers=(path,)))
    assert failed(value)[:2] == ["message", "sizes"]
    assert "801 octets, 800 are allowed" in json.dumps(value)


def test_the_first_failure_is_what_the_vehicle_would_refuse_for(
    iso2_exchange: Exchange, iso20_exchange: Exchange
) -> None:
    """Among the codes of the first failed check is the one that `open_response` raises."""
    for found, kinds in ((iso2_exchange, ALTERED), (iso20_exchange, ALTERED_20)):
        for name, kind in kinds.items():
            if name in {"SessionID", "CPS leaf", "CPS Sub-CA 2"}:  # the session's and the anchors' to find
                continue
            octets = broken(found, kind.path, kind.change)
            with pytest.raises(V2GPKIError) as caught:
                open_response(read_response(octets), found.receiver, trust=lambda chain: chain, pcid=PCID)
            value = explained(found, octets, request=b"", pcid=PCID)
            first = next(check for check in value["checks"] if check["verdict"] == "failed")
            assert caught.value.code in {reason["code"] for reason in first["reasons"]}, name


def test_octets_that_are_no_installation(iso2_exchange: Exchange) -> None:
    for octets, code in (
        (iso2_exchange.response[:200], "exi.truncated"),
        (b"\x80\x98\x02\x00", None),
        (b"", None),
    ):
        with pytest.raises(V2GPKIError) as caught:
            explain_installation(octets)
        assert code is None or caught.value.code == code
    with pytest.raises(V2GPKIError) as caught:
        explain_installation(iso2_exchange.response, aad="pcid")
    assert caught.value.code == "envelope.unknown_aad"


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("which", ["iso2_exchange", "iso20_exchange", "update_exchange"])
def test_any_octets_are_explained_or_refused(which: str, request: pytest.FixtureRequest) -> None:
    """Bits flipped, octets exchanged, cut off: an explanation or an error of ours, never anything else."""
    found: Exchange = request.getfixturevalue(which)
    chance = Random(15118)
    for number in range(45):
        octets = bytearray(found.request if number % 2 else found.response)
        place = chance.randrange(len(octets))
        if number % 3 == 0:
            del octets[place:]
        elif number % 3 == 1:
            octets[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(5))
        else:
            octets[place] ^= 1 << chance.randrange(8)
        known = {"good", "bad", "unchecked", "refusal", "waiting", "exi", "installation"}
        assert outcome(found, bytes(octets)) in known


def outcome(found: Exchange, octets: bytes) -> str:
    """The verdict, or the room of the refusal."""
    try:
        return str(explained(found, octets)["verdict"])
    except V2GPKIError as problem:
        return problem.code.partition(".")[0]


def test_a_certificate_of_no_known_version_is_named(iso2_exchange: Exchange) -> None:
    leaf = iso2_exchange.cps_chain[0]
    version = leaf.index(bytes.fromhex("a003020102")) + 4
    octets = broken(iso2_exchange, BODY + "SAProvisioningCertificateChain.Certificate", flip(version, 5))
    value = explained(iso2_exchange, octets)
    assert value["cause"]["text"] == "the CPS leaf was changed: it cannot be read any more"


@pytest.mark.parametrize("which", ["iso2_exchange", "iso20_exchange"])
def test_no_octet_of_the_contracts_key_is_shown(which: str, request: pytest.FixtureRequest) -> None:
    found: Exchange = request.getfixturevalue(which)
    opened = open_response(read_response(found.response), found.receiver, trust=lambda chain: chain, pcid=PCID)
    scalar = opened.private_key.private_numbers().private_value  # type: ignore[union-attr]  # an EC key
    shown = json.dumps(explained(found, found.response))
    assert f"{scalar:x}" not in shown
    vehicle = found.receiver_key.private_numbers().private_value  # type: ignore[union-attr]  # an EC key
    assert f"{vehicle:x}" not in shown
    assert value_of_steps(found)["key"] in shown


def value_of_steps(found: Exchange) -> dict[str, str]:
    steps: dict[str, str] = explained(found, found.response)["envelope"]["steps"]
    return steps


def test_verifying_agrees(iso2_exchange: Exchange) -> None:
    """The good exchange is good for the vehicle's side too, and its envelope is what was sealed."""
    verified = verify_response(read_response(iso2_exchange.response), trust=lambda chain: chain)
    assert verified.data.sealed == iso2_exchange.signed.data.sealed
    steps = value_of_steps(iso2_exchange)
    assert steps["iv"] + steps["ciphertext"] == verified.data.sealed.encrypted_key.hex()
    assert envelope.derive_key("P256", bytes.fromhex(steps["z"])).hex() == steps["key"]
