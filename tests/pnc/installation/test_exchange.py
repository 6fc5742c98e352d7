"""Whole exchanges: asked, answered, verified, opened; and what the parts refuse to make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448

import v2gpki
from tests.chains import mint
from tests.pnc.installation.parties import NOW, SESSION, Holder, Parties, Recorder, corpus, made, parties_2
from v2gpki import identifiers
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.identifiers.emaid import check_digit
from v2gpki.keys.software import SoftwareAgreement
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of
from v2gpki.messages import codec, iso2, iso20_common
from v2gpki.messages.xmldsig import X509IssuerSerialType
from v2gpki.pnc import envelope, installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.answers import KNOWN_CODES
from v2gpki.pnc.signature import verify

EDITIONS: tuple[Edition, ...] = ("iso15118-2", "iso15118-20")


def numbers(key: PrivateKey) -> object:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers()


def refusal(call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as refused:
        call()
    return refused.value


# --- good ones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_vehicle_gets_its_first_contract(edition: Edition, parties: Callable[[str], Parties]) -> None:
    who = parties(edition)
    message = installation.build_request(
        edition=edition,
        chain=who.oem.chain,
        signer=who.oem.signer,
        roots=[who.v2g],
        session_id=SESSION,
        timestamp=who.at,
        maximum_contracts=3,
        prioritised_emaids=("DE-ACM-C123ABC56",),
    )
    octets = codec.encode(message)
    request = installation.read_request(octets, action="install")
    assert (request.edition, request.action, request.session_id) == (edition, "install", SESSION)
    assert request.chain == (who.oem.chain if edition == "iso15118-20" else who.oem.chain[:1])
    assert request.maximum_contracts == (3 if edition == "iso15118-20" else 1)
    assert request.prioritised_emaids == (("DEACMC123ABC56",) if edition == "iso15118-20" else ())
    assert request.octets == octets
    assert [installation.root_matches(*root, who.v2g) for root in request.roots] == [True]
    assert installation.verify_request(request).edition == edition
    answer = installation.respond(
        who.signed(), session_id=request.session_id, timestamp=who.at, remaining=2, response_code="OK"
    )
    response = installation.read_response(answer)
    assert (response.edition, response.action, response.code) == (edition, "install", "OK")
    assert response.session_id == SESSION
    assert response.remaining == (2 if edition == "iso15118-20" else 0)
    opened = installation.open_response(
        response, SoftwareAgreement(who.oem.key), trust=who.trust, pcid=who.pcid, emaid=who.emaid
    )
    assert opened.chain == who.contract.chain
    assert numbers(opened.private_key) == numbers(who.contract.key)
    assert opened.emaid[:14] == who.emaid[:14]
    assert "private" not in repr(opened)


def test_a_contract_has_a_successor_that_only_its_key_opens() -> None:
    who = parties_2()
    message = installation.build_update_request(
        chain=who.contract.chain, emaid="de-abc-C123ABC56", signer=who.contract.signer, roots=[who.v2g]
    )
    request = installation.read_request(codec.encode(message), schema="urn:iso:15118:2:2013:MsgDef")
    assert (request.action, request.emaid, request.chain) == ("update", "DEABCC123ABC56", who.contract.chain)
    installation.verify_request(request)
    key = mint.private_key("contract-next", "p256")
    chain = (made("contract-next", "DEABCC123ABC56", "mo2"), *who.contract.chain[1:])
    data = installation.contract_data(
        edition="iso15118-2", chain=chain, contract_key=key, receiver=who.contract.spki, emaid="DEABCC123ABC56"
    )
    signed = installation.sign_contract(data, cps_chain=who.cps.chain, signer=who.cps.signer)
    octets = installation.respond(
        signed, action="update", session_id=SESSION, retry_counter=4, response_code="OK_CertificateExpiresSoon"
    )
    response = installation.read_response(octets, action="update")
    assert (response.action, response.retry_counter, response.code) == ("update", 4, "OK_CertificateExpiresSoon")
    opened = installation.open_response(response, SoftwareAgreement(who.contract.key), trust=who.trust)
    assert numbers(opened.private_key) == numbers(key)
    with pytest.raises(V2GPKIError) as refused:
        installation.open_response(response, SoftwareAgreement(who.oem.key), trust=who.trust)
    assert refused.value.code in {"envelope.bad_scalar", "envelope.key_mismatch"}


@pytest.mark.parametrize("edition", EDITIONS)
def test_signed_elements_are_kept_and_sent_unchanged(edition: Edition, parties: Callable[[str], Parties]) -> None:
    signed = parties(edition).signed()
    again = installation.signed_contract(installation.kept(signed))
    assert again == signed
    assert installation.kept(again) == installation.kept(signed)
    first = installation.respond(signed, session_id=SESSION, timestamp=NOW)
    other = installation.respond(again, session_id=bytes(8), timestamp=datetime(2030, 1, 1, tzinfo=UTC))
    assert installation.signed_contract(first) == installation.signed_contract(other) == signed
    assert installation.fragments(again) == installation.fragments(signed)


def test_the_signature_of_an_answer_refers_to_four_elements_in_their_order() -> None:
    who = parties_2()
    response = installation.read_response(installation.respond(who.signed(), session_id=SESSION))
    check = verify(response.message, who.cps.chain[0])
    assert [element.id for element in check.elements] == ["id1", "id2", "id3", "id4"]
    assert [element.name.name for element in check.elements] == [
        "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey",
        "DHpublickey",
        "eMAID",
    ]
    assert check.signed_info_grammar == "xmldsig"
    assert check.deviations == ()


@pytest.mark.parametrize("name", ["DE-ABC-C123ABC56", "de-abc-c123abc56"])
def test_an_emaid_is_compared_without_hyphens_and_case(name: str) -> None:
    who = parties_2()
    key = mint.private_key("contract-hyphens", "p256")
    chain = (made("contract-hyphens", name, "mo2"), *who.contract.chain[1:])
    hyphens = replace(who, contract=Holder(chain, key, who.contract.root))
    response = installation.read_response(installation.respond(hyphens.signed(), session_id=SESSION))
    opened = installation.open_response(response, SoftwareAgreement(who.oem.key), trust=who.trust, emaid=name)
    assert opened.emaid == "DEABCC123ABC56"
    installation.verify_response(response, trust=who.trust, emaid="DEABCC123ABC56")
    wrong = refusal(lambda: installation.verify_response(response, trust=who.trust, emaid="DEABCC999999999"))
    assert wrong.code == "installation.wrong_emaid"


def test_a_check_digit_is_no_part_of_the_identity() -> None:
    who = parties_2()
    emaid = who.emaid + check_digit(who.emaid)
    assert len(emaid) == 15
    data = contract(who, emaid=emaid)
    # A vehicle may compare octets: the answer has the certificate's own form.
    assert data.emaid == who.emaid
    signed = installation.sign_contract(data, cps_chain=who.cps.chain, signer=who.cps.signer)
    response = installation.read_response(installation.respond(signed, session_id=SESSION))
    assert installation.verify_response(response, trust=who.trust, emaid=emaid).emaid == who.emaid
    message = installation.build_update_request(
        chain=who.contract.chain, emaid=emaid, signer=who.contract.signer, roots=[who.v2g]
    )
    request = installation.read_request(codec.encode(message))
    assert request.emaid == emaid
    installation.verify_request(request)


def test_ed448_contracts_are_refused_but_for_laboratories(everything: v2gpki.CertificateAuthority) -> None:
    ca, pcid, emaid = everything, "WVWABCDEF12345678", "DEACMC123ABC56"
    x448 = SUITES["x448"].generate()

    def contract(key: ed448.Ed448PrivateKey) -> tuple[bytes, ...]:
        public = spki_of(key.public_key())
        return ca.issue("contract", id=emaid, edition="iso15118-20", suite="ed448", public_key=public).chain

    def data(key: ed448.Ed448PrivateKey, *, laboratory: bool) -> installation.ContractData:
        return installation.contract_data(
            edition="iso15118-20",
            chain=contract(key),
            contract_key=key,
            receiver=spki_of(x448.public_key()),
            emaid=emaid,
            pcid=pcid,
            lab_ed448=laboratory,
        )

    usual = ed448.Ed448PrivateKey.generate()
    assert refusal(lambda: data(usual, laboratory=False)).code == "envelope.ed448_key"
    key = envelope.lab_ed448_key()
    cps = ca.issue("cps", edition="iso15118-20", suite="ed448")
    assert cps.private_key is not None
    holder = Holder(cps.chain, cps.private_key)
    signed = installation.sign_contract(data(key, laboratory=True), cps_chain=cps.chain, signer=holder.signer)
    octets = installation.respond(signed, session_id=SESSION, timestamp=NOW)
    response = installation.read_response(octets)
    receiver = SoftwareAgreement(x448)
    unmarked = refusal(lambda: installation.open_response(response, receiver, trust=tuple, pcid=pcid))
    assert unmarked.code == "envelope.ed448_key"
    opened = installation.open_response(response, receiver, trust=tuple, pcid=pcid, lab_ed448=True)
    assert isinstance(opened.private_key, ed448.Ed448PrivateKey)
    assert opened.private_key.private_bytes_raw() == key.private_bytes_raw()


def test_an_envelope_for_a_tpm_is_carried_and_not_opened(parties_20: Parties) -> None:
    who = parties_20
    opaque = envelope.Sealed("TPM", bytes(133), bytes(206))
    data = replace(who.data(), sealed=opaque)
    signed = installation.sign_contract(data, cps_chain=who.cps.chain, signer=who.cps.signer)
    response = installation.read_response(installation.respond(signed, session_id=SESSION, timestamp=who.at))
    assert response.data.sealed == opaque
    vehicle = Recorder(who.oem.key)
    error = refusal(lambda: installation.open_response(response, vehicle, trust=who.trust, pcid=who.pcid))
    assert error.code == "envelope.tpm_opaque"
    assert vehicle.used == 0


def test_trust_is_asked_with_the_chain_that_signed_and_its_answer_is_kept() -> None:
    who = parties_2()
    response = installation.read_response(installation.respond(who.signed(), session_id=SESSION))
    asked: list[tuple[bytes, ...]] = []

    def trust(chain: tuple[bytes, ...]) -> str:
        asked.append(chain)
        return "trusted"

    verified = installation.verify_response(response, trust=trust)
    assert asked == [who.cps.chain]
    assert (verified.trusted, verified.emaid, verified.data) == ("trusted", who.emaid, response.data)


# --- what is not made -----------------------------------------------------------------------------------------------


def contract(who: Parties, **changes: object) -> installation.ContractData:
    settings = {
        "edition": who.edition,
        "chain": who.contract.chain,
        "contract_key": who.contract.key,
        "receiver": who.oem.spki,
        "emaid": who.emaid,
        "pcid": who.pcid,
    }
    return installation.contract_data(**(settings | changes))


def test_contract_data_that_a_vehicle_would_refuse_are_not_made(parties_20: Parties) -> None:
    who = parties_2()
    leaf, sub2, sub1 = who.contract.chain
    root = who.contract.root
    large = made("contract-large", who.emaid, "mo2", filler=500)
    assert len(large) > 800
    key = mint.private_key("contract-large", "p256")
    for code, changes in [
        ("installation.bad_chain", {"chain": (leaf, sub1, sub2)}),
        ("installation.bad_chain", {"chain": (leaf, sub2, sub1, root)}),
        ("installation.bad_chain", {"chain": (leaf, root)}),
        ("installation.bad_chain", {"chain": (sub2, leaf, sub1)}),
        ("installation.bad_chain", {"chain": ()}),
        ("installation.bad_chain", {"chain": (leaf, *[sub2] * 5)}),
        ("installation.bad_chain", {"chain": (leaf, mint.certificate("mo2v"), mint.certificate("mo1v"))}),
        ("installation.wrong_emaid", {"emaid": "DEABCC999999999"}),
        ("identifier.invalid", {"emaid": "nobody"}),
        ("installation.wrong_key", {"contract_key": who.oem.key}),
        ("installation.wrong_suite", {"receiver": spki_of(SUITES["p521"].generate().public_key())}),
        ("installation.wrong_suite", {"edition": "iso15118-20"}),
        ("installation.wrong_suite", {"edition": "lab-ecog-20"}),
        ("envelope.wrong_curve", {"curve": "SECP521"}),
        ("installation.certificate_too_large", {"chain": (large, sub2, sub1), "contract_key": key}),
        ("key.malformed", {"receiver": who.oem.spki[:-1] + b"\0"}),
        ("chain.malformed", {"chain": (leaf, b"\x30\x00", sub1)}),
        ("chain.malformed", {"chain": (b"\x30\x82", sub2, sub1)}),
    ]:
        assert refusal(lambda changes=changes: contract(who, **changes)).code == code, changes
    for code, changes in [
        ("envelope.unknown_aad", {"aad": "pcid"}),
        ("identifier.invalid", {"pcid": "short"}),
        ("installation.wrong_suite", {"receiver": who.oem.spki}),
        ("installation.wrong_suite", {"receiver": spki_of(SUITES["ed448"].generate().public_key())}),
        ("envelope.wrong_curve", {"receiver": spki_of(SUITES["x448"].generate().public_key())}),
    ]:
        assert refusal(lambda changes=changes: contract(parties_20, **changes)).code == code, changes


def test_why_a_vehicle_with_an_ed448_key_gets_nothing_is_said(parties_20: Parties) -> None:
    receiver = spki_of(SUITES["ed448"].generate().public_key())
    error = refusal(lambda: contract(parties_20, receiver=receiver))
    assert "57 octets" in error.message
    assert "56" in error.message
    assert "receives no envelope" in error.message
    assert "register the vehicle with a P-521 key" in error.hint
    # What is no matter of Ed448 is explained as before.
    other = refusal(lambda: contract(parties_20, receiver=parties_2().oem.spki))
    assert (other.code, "Ed448" in other.message + other.hint) == ("installation.wrong_suite", False)


def test_a_chain_without_sub_ca_is_for_iso_2_only(parties_20: Parties) -> None:
    short = contract(parties_2(), chain=parties_2().contract.chain[:1])
    signed = installation.sign_contract(short, cps_chain=parties_2().cps.chain, signer=parties_2().cps.signer)
    assert installation.signed_contract(installation.kept(signed)) == signed
    data = contract(parties_20, chain=parties_20.contract.chain[:1])
    error = refusal(
        lambda: installation.sign_contract(data, cps_chain=parties_20.cps.chain, signer=parties_20.cps.signer)
    )
    assert error.code == "installation.bad_chain"


def test_only_the_cps_leafs_key_signs_and_only_under_a_chain_in_order() -> None:
    who = parties_2()
    data = who.data()
    leaf, sub2, sub1 = who.cps.chain
    for code, chain, signer, algorithm in [
        ("installation.wrong_key", who.cps.chain, who.contract.signer, ""),
        ("installation.bad_chain", (leaf, sub1, sub2), who.cps.signer, ""),
        ("installation.bad_chain", (leaf, sub2, sub1, who.v2g), who.cps.signer, ""),
        ("signature.wrong_algorithm", who.cps.chain, who.cps.signer, "ecdsa-p521-sha512"),
        ("signature.wrong_algorithm", who.cps.chain, who.cps.signer, "unheard-of"),
    ]:
        call = lambda chain=chain, signer=signer, algorithm=algorithm: installation.sign_contract(  # noqa: E731
            data, cps_chain=chain, signer=signer, algorithm=algorithm
        )
        assert refusal(call).code == code


def test_requests_that_nobody_would_answer_are_not_made(parties_20: Parties) -> None:
    who = parties_2()
    roots = [who.v2g]

    def build(**changes: object) -> object:
        settings = {"edition": "iso15118-2", "chain": who.oem.chain, "signer": who.oem.signer, "roots": roots}
        return installation.build_request(**(settings | changes))

    def build_20(**changes: object) -> object:
        settings = {
            "edition": "iso15118-20",
            "chain": parties_20.oem.chain,
            "signer": parties_20.oem.signer,
            "roots": roots,
            "timestamp": NOW,
        }
        return installation.build_request(**(settings | changes))

    assert refusal(lambda: build(roots=[])).code == "installation.bad_roots"
    assert refusal(lambda: build(roots=roots * 21)).code == "installation.bad_roots"
    assert refusal(lambda: build(signer=who.cps.signer)).code == "installation.wrong_key"
    assert refusal(lambda: build(chain=())).code == "installation.bad_chain"
    assert refusal(lambda: build_20(timestamp=None)).code == "installation.needs_time"
    inverted = (parties_20.oem.chain[0], *parties_20.oem.chain[:0:-1])
    assert refusal(lambda: build_20(chain=inverted)).code == "installation.bad_chain"
    assert refusal(lambda: build_20(chain=who.oem.chain, signer=who.oem.signer)).code == "signature.wrong_key"
    assert refusal(
        lambda: installation.build_update_request(
            chain=who.contract.chain, emaid="nobody", signer=who.contract.signer, roots=roots
        )
    ).code == "identifier.invalid"  # fmt: skip


# --- answers --------------------------------------------------------------------------------------------------------


def test_codes_and_what_an_answer_carries_agree() -> None:
    signed = parties_2().signed()
    for code in ("FAILED", "FAILED_CertificateRevoked", "OK_NewSessionEstablished", "WARNING_eMSPUnknown", "ok", ""):
        error = refusal(lambda code=code: installation.respond(signed, session_id=SESSION, response_code=code))
        assert error.code == "installation.bad_response_code"
    for edition in EDITIONS:
        for code in ("OK", "OK_CertificateExpiresSoon", "OK_NewSessionEstablished", "PERHAPS"):
            error = refusal(
                lambda code=code, edition=edition: installation.refuse(
                    edition=edition, session_id=SESSION, response_code=code, timestamp=NOW
                )
            )
            assert error.code == "installation.bad_response_code"
    error = refusal(
        lambda: installation.refuse(edition="iso15118-20", session_id=SESSION, response_code="FAILED")
    )
    assert error.code == "installation.needs_time"
    error = refusal(lambda: installation.wait(edition="iso15118-2", session_id=SESSION, timestamp=NOW))
    assert error.code == "installation.wrong_edition"


@pytest.mark.parametrize("action", installation.ACTIONS)
@pytest.mark.parametrize("edition", EDITIONS)
def test_every_error_has_a_response_code_of_the_schema(edition: Edition, action: installation.Action) -> None:
    for code, outcome in CODES.items():
        found = installation.response_code(V2GPKIError(code, "x"), edition, action)
        assert found in KNOWN_CODES[edition]
        assert found.startswith(("FAILED", "WARNING"))
        # The table alone says which; but a first contract is not cancelled.
        wanted = (outcome.iso2 if edition == "iso15118-2" else outcome.iso20) or "FAILED"
        if wanted != "FAILED_ContractCanceled" or action == "update":
            assert found == wanted
        else:
            assert found == "FAILED_NoCertificateAvailable"
        octets = installation.refuse(
            edition=edition, action=action, session_id=SESSION, response_code=found, timestamp=NOW
        )
        read = installation.read_response(octets)
        assert (read.code, read.session_id, read.delivers) == (found, SESSION, False)


def test_a_refusal_says_when_to_come_again() -> None:
    octets = installation.refuse(
        edition="iso15118-2", action="update", session_id=SESSION, response_code="FAILED", retry_counter=5
    )
    assert installation.read_response(octets).retry_counter == 5
    error = refusal(lambda: installation.signed_contract(octets))
    assert error.code == "installation.refused"
    assert error.facts["response_code"] == "FAILED"
    # ZZ is nobody's country, and no check digit is wrong.
    message = codec.decode(octets, "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateUpdateRes)
    parsed = identifiers.parse("emaid", body.eMAID.value)
    assert (parsed.parts["country"], parsed.warnings) == ("ZZ", ())


def test_waiting_is_said_in_iso_20_only() -> None:
    octets = installation.wait(edition="iso15118-20", session_id=SESSION, timestamp=NOW)
    message = codec.decode(octets, "iso15118-20-common")
    assert isinstance(message, iso20_common.CertificateInstallationRes)
    assert (message.EVSEProcessing, message.ResponseCode, message.Header.TimeStamp) == ("Ongoing", "OK", 1781524800)


# --- reading --------------------------------------------------------------------------------------------------------


def test_what_is_said_about_a_message_must_fit_it(parties_20: Parties) -> None:
    who = parties_2()
    update = codec.encode(
        installation.build_update_request(
            chain=who.contract.chain,
            emaid=who.emaid,
            signer=who.contract.signer,
            roots=[who.v2g],
            session_id=SESSION,
        )
    )
    error = refusal(lambda: installation.read_request(update, action="install"))
    assert (error.code, error.facts["session_id"]) == ("installation.wrong_action", SESSION.hex())
    assert refusal(lambda: installation.read_request(update, action="remove")).code == "installation.wrong_action"
    assert refusal(lambda: installation.read_request(update, schema="urn:x")).code == "installation.wrong_schema"
    assert refusal(lambda: installation.read_response(update)).code == "installation.wrong_message"
    answer = installation.respond(who.signed(), session_id=SESSION)
    error = refusal(lambda: installation.read_request(answer))
    assert (error.code, error.facts["session_id"]) == ("installation.wrong_message", SESSION.hex())
    assert error.facts["found"] == "CertificateInstallationRes"
    assert refusal(lambda: installation.read_response(answer, action="update")).code == "installation.wrong_action"
    assert refusal(lambda: installation.read_response(answer, action="Delete")).code == "installation.wrong_action"
    later = installation.respond(parties_20.signed(), session_id=SESSION, timestamp=NOW)
    assert refusal(lambda: installation.read_response(later, action="Delete")).code == "installation.wrong_action"
    assert installation.read_response(later, action="update").action == "install"
    empty = iso2.V2G_Message(Header=iso2.MessageHeaderType(SessionID=SESSION), Body=iso2.BodyType())
    error = refusal(lambda: installation.read_request(codec.encode(empty)))
    assert (error.code, error.facts["found"]) == ("installation.wrong_message", "V2G_Message")


def test_a_message_under_the_schema_of_the_other_edition(parties_20: Parties) -> None:
    two, twenty = "urn:iso:15118:2:2013:MsgDef", "urn:iso:std:iso:15118:-20:CommonMessages"
    for who, fitting, others in (
        (parties_2(), two, (twenty, "iso15118-20", "lab-ecog-20")),
        (parties_20, twenty, (two, "iso15118-2")),
    ):
        message = installation.build_request(
            edition=who.edition, chain=who.oem.chain, signer=who.oem.signer, roots=[who.v2g], timestamp=NOW,
            session_id=SESSION,
        )  # fmt: skip
        request = codec.encode(message)
        answer = installation.respond(who.signed(), session_id=SESSION, timestamp=NOW)
        for schema in others:
            for read, octets in ((installation.read_request, request), (installation.read_response, answer)):
                error = refusal(lambda read=read, octets=octets, schema=schema: read(octets, schema=schema))
                assert error.code == "installation.wrong_schema"
                assert (error.facts["fitting"], error.facts["session_id"]) == (fitting, SESSION.hex())
                assert fitting in error.hint
        assert installation.read_request(request, schema=fitting).edition == who.edition
        # What is nobody's installation stays what it is under the schema that was named.
        with pytest.raises(V2GPKIError) as refused:
            installation.read_request(request[:-9], schema=others[0])
        assert refused.value.code.startswith("exi.")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_octets_come_as_any_of_pythons_kinds(kind: Callable[[bytes], bytes]) -> None:
    who = parties_2()
    message = installation.build_request(
        edition="iso15118-2", chain=who.oem.chain, signer=who.oem.signer, roots=[who.v2g]
    )
    request, answer = codec.encode(message), installation.respond(who.signed(), session_id=SESSION)
    for schema in ("", "iso15118-2"):
        asked = installation.read_request(kind(request), schema=schema)
        assert (asked, type(asked.octets)) == (installation.read_request(request), bytes)
        installation.verify_request(asked)
        told = installation.read_response(kind(answer), schema=schema)
        assert (told, type(told.octets)) == (installation.read_response(answer), bytes)


def test_ecogs_way_in_iso_20_is_read_where_it_is_named() -> None:
    holder = corpus("oem", "oem2", "oem1", root="oemroot")
    message = installation.build_request(
        edition="lab-ecog-20", chain=holder.chain, signer=holder.signer, roots=[parties_2().v2g], timestamp=NOW
    )
    octets = codec.encode(message)
    request = installation.read_request(octets, schema="lab-ecog-20")
    assert installation.verify_request(request).edition == "lab-ecog-20"
    conformant = installation.read_request(octets)
    assert refusal(lambda: installation.verify_request(conformant)).code == "signature.wrong_algorithm"


def small() -> list[tuple[str, bytes]]:
    """Small messages of every kind, their certificates a few octets."""
    header = iso2.MessageHeaderType(SessionID=SESSION)
    roots = iso2.ListOfRootCertificateIDsType(
        RootCertificateID=(X509IssuerSerialType(X509IssuerName="CN=V", X509SerialNumber=5),)
    )
    install = iso2.CertificateInstallationReq(
        Id="id1", OEMProvisioningCert=b"\x30\x01a", ListOfRootCertificateIDs=roots
    )
    update = iso2.CertificateUpdateReq(
        Id="id1",
        ContractSignatureCertChain=iso2.CertificateChainType(Certificate=b"\x30\x01c"),
        eMAID="DEABCC123ABC56",
        ListOfRootCertificateIDs=roots,
    )
    requests = [iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=one)) for one in (install, update)]
    answers = [
        installation.refuse(edition=edition, action=action, session_id=SESSION, response_code="FAILED", timestamp=NOW)
        for edition, action in (("iso15118-2", "install"), ("iso15118-2", "update"), ("iso15118-20", "install"))
    ]
    return [*(("request", codec.encode(one)) for one in requests), *(("answer", octets) for octets in answers)]


@pytest.mark.parametrize(("kind", "octets"), small())
def test_octets_cut_off_anywhere_are_refused(kind: str, octets: bytes) -> None:
    read: Callable[..., object] = installation.read_request if kind == "request" else installation.read_response
    read(octets)
    for length in range(len(octets)):
        for schema in ("", *EDITIONS):
            error = refusal(lambda length=length, schema=schema: read(octets[:length], schema=schema))
            assert error.code.startswith(("exi.", "installation.wrong_message"))
            for edition in EDITIONS:
                assert installation.response_code(error, edition) == "FAILED"
    refusal(lambda: read(octets + b"\0"))


def test_a_message_with_any_octet_changed_never_gives_a_key() -> None:
    who = parties_2()
    octets = installation.respond(who.signed(), session_id=SESSION)
    vehicle = Recorder(who.oem.key)
    first_signed = 40  # behind the header octet and the session id, which nobody signs
    opened = 0
    for at in range(first_signed, len(octets), 17):
        changed = octets[:at] + bytes((octets[at] ^ 0x10,)) + octets[at + 1 :]
        try:
            response = installation.read_response(changed)
            installation.open_response(response, vehicle, trust=who.trust)
        except V2GPKIError:
            continue
        opened += 1
    assert (opened, vehicle.used) == (0, 0)
