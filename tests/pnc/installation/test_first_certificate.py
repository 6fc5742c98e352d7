"""The certificate whose key signed is the one that is judged: a stranger's before somebody's good chain gets nowhere.

A forger has a chain that everybody trusts and no key of it; what he makes himself he puts in front.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.chains import mint
from tests.pnc.installation.exchanges import changed
from tests.pnc.installation.parties import CATALOGUE, NOW, SESSION, Holder, Parties, Recorder, parties_2
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import chains
from v2gpki.pnc.installation.contract import SignedContract, element_20, elements_2
from v2gpki.pnc.installation.explain import explain_installation
from v2gpki.pnc.installation.signing import sign_2
from v2gpki.pnc.installation.vehicle import Trust
from v2gpki.pnc.signature import attach, sign
from v2gpki.services.trust import TrustAnchor, judge

EDITIONS: tuple[Edition, ...] = ("iso15118-2", "iso15118-20")


def forged(below: bytes, key: PrivateKey, *, ca: bool, by: PrivateKey | None = None, name: str = "") -> bytes:
    """A certificate of one's own that names another's as its issuer; signed `by` a key, its own unless given."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signer = by or key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    above = x509.load_der_x509_certificate(below)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if name else above.subject
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(0x5EED)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key_of(above)), critical=False)
        .sign(signer, hashes.SHA256() if signer.curve.name == "secp256r1" else hashes.SHA512())
        .public_bytes(Encoding.DER)
    )


def public_key_of(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def forger(who: Parties) -> PrivateKey:
    assert isinstance(who.cps.key, ec.EllipticCurvePrivateKey)
    return ec.derive_private_key(15118, who.cps.key.curve)


def answer(who: Parties, chain: tuple[bytes, ...], key: PrivateKey) -> installation.Response:
    """An answer under this CPS chain, signed with this key."""
    data, signer = who.data(), Holder(chain, key).signer
    if who.edition == "iso15118-2":
        parts = elements_2(data)
        signed = SignedContract(who.edition, data, chain, sign_2(parts, signer), parts)
    else:
        whole = element_20(data)
        signed = SignedContract(who.edition, data, chain, sign([whole], signer, edition=who.edition), whole)
    return installation.read_response(installation.respond(signed, session_id=SESSION, timestamp=who.at))


def by_heap(who: Parties) -> Trust:
    """A judge that takes certificates in any order, as for files of people."""

    def trust(chain: tuple[bytes, ...]) -> object:
        anchors = [TrustAnchor(who.v2g, "v2g-root")]
        return judge(chain, anchors, catalogue=CATALOGUE, role="cps", edition=who.edition, at=who.at)

    return trust


def refusal(call: Callable[[], object]) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as refused:
        call()
    return refused.value


@pytest.mark.parametrize("edition", EDITIONS)
@pytest.mark.parametrize("ca", [True, False])
@pytest.mark.parametrize("same_name", [True, False])
def test_a_forged_certificate_before_a_real_cps_chain(
    edition: Edition, ca: bool, same_name: bool, parties: Callable[[str], Parties]
) -> None:
    who = parties(edition)
    key = forger(who)
    stranger = forged(who.cps.chain[0], key, ca=ca, name="" if same_name else "evil")
    response = answer(who, (stranger, *who.cps.chain), key)
    for trust in (by_heap(who), who.trust, lambda _: None, tuple):
        vehicle = Recorder(who.oem.key)
        error = refusal(
            lambda trust=trust, vehicle=vehicle: installation.open_response(
                response, vehicle, trust=trust, pcid=who.pcid
            )
        )
        assert error.code == "installation.bad_chain"
        assert vehicle.used == 0


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_forged_certificate_in_the_place_of_the_cps_leaf(edition: Edition, parties: Callable[[str], Parties]) -> None:
    who = parties(edition)
    key = forger(who)
    stranger = forged(who.cps.chain[1], key, ca=False, name="CPS")
    response = answer(who, (stranger, *who.cps.chain[1:]), key)
    for trust in (by_heap(who), who.trust, lambda _: None, tuple):
        error = refusal(lambda trust=trust: installation.verify_response(response, trust=trust))
        assert error.code == "path.bad_signature"
        assert error.facts["place"] == 1
    assert refusal(lambda: chains.check_order((stranger, *who.cps.chain[1:]), "CPS")).code == "path.bad_signature"


def test_a_forged_sub_ca() -> None:
    """Every link is verified, not only the leaf's."""
    who = parties_2()
    key = forger(who)
    sub = forged(who.cps.chain[2], key, ca=True, name="CPS Sub-CA 2")
    leaf = forged(sub, forger(who), ca=False, by=key, name="CPS")
    response = answer(who, (leaf, sub, who.cps.chain[2]), key)
    error = refusal(lambda: installation.verify_response(response, trust=lambda _: None))
    assert (error.code, error.facts["place"]) == ("path.bad_signature", 2)


def test_a_ca_signs_no_answer_even_if_its_issuer_is_real() -> None:
    who = parties_2()
    key = forger(who)
    real = forged(who.cps.chain[1], key, ca=True, by=mint.private_key("cps2", "p256"), name="CPS Sub-CA 3")
    response = answer(who, (real, *who.cps.chain[1:]), key)
    error = refusal(lambda: installation.verify_response(response, trust=lambda _: None))
    assert (error.code, error.facts["place"]) == ("installation.bad_chain", 1)
    assert codes_of(response) == {"role.domain_component", "installation.bad_chain"}


def codes_of(response: installation.Response) -> set[str]:
    """What the explanation has against the chain of the CPS."""
    checks = json.loads(json.dumps(explain_installation(response.octets)))["checks"]
    return {reason["code"] for check in checks if check["check"] == "cps_chain" for reason in check["reasons"]}


def test_a_leaf_issues_nothing() -> None:
    """The key of a real CPS leaf signs a certificate for somebody else's."""
    who = parties_2()
    key = forger(who)
    delegated = forged(who.cps.chain[0], key, ca=False, by=who.cps.key, name="CPS")
    response = answer(who, (delegated, *who.cps.chain), key)
    error = refusal(lambda: installation.verify_response(response, trust=lambda _: None))
    assert (error.code, error.facts["place"]) == ("installation.bad_chain", 2)
    assert codes_of(response) == {"role.domain_component", "installation.bad_chain"}


def test_what_trust_judged_begins_with_the_certificate_that_signed() -> None:
    who = parties_2()
    response = answer(who, who.cps.chain, who.cps.key)
    judged = who.trust(who.cps.chain)
    above = judge(
        who.cps.chain[1:], [who.v2g], catalogue=CATALOGUE, role="cps-sub-ca-2", edition="iso15118-2", at=who.at
    )
    for good in (judged, judged.path, who.cps.chain, None, "good"):  # type: ignore[attr-defined]  # a TrustedChain
        assert installation.verify_response(response, trust=lambda _, good=good: good).trusted == good
    for other in (above, above.path, who.cps.chain[1:], ()):
        error = refusal(lambda other=other: installation.verify_response(response, trust=lambda _: other))
        assert error.code == "installation.bad_chain"
    value = explain_installation(response.octets, trust=lambda _role, _edition, chain: chain[1:])
    assert value["first_failure"] == "trust"


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_forgery_is_explained(edition: Edition, parties: Callable[[str], Parties]) -> None:
    who = parties(edition)
    key = forger(who)
    stranger = forged(who.cps.chain[0], key, ca=True)
    octets = answer(who, (stranger, *who.cps.chain), key).octets
    judging = by_heap(who)
    value = explain_installation(octets, trust=lambda _role, _edition, chain: judging(chain))
    failed = [check["check"] for check in json.loads(json.dumps(value))["checks"] if check["verdict"] == "failed"]
    assert value["verdict"] == "bad"
    assert {"cps_chain", "trust"} <= set(failed)


def test_a_leaf_in_another_place_is_a_matter_of_order() -> None:
    who = parties_2()
    leaf, sub2, sub1 = who.cps.chain
    response = answer(who, (sub2, leaf, sub1), mint.private_key("cps2", "p256"))
    value = json.loads(json.dumps(explain_installation(response.octets)))
    assert value["cause"]["what"] == "order"
    assert "wrong order" in value["cause"]["text"]
    assert refusal(lambda: installation.verify_response(response, trust=tuple)).code == "installation.bad_chain"


@pytest.mark.parametrize("ca", [True, False])
def test_a_forged_contract_chain_under_a_real_signature(ca: bool) -> None:
    who = parties_2()
    key = forger(who)
    stranger = forged(who.contract.chain[1], key, ca=ca, name=who.emaid)
    data = replace(who.data(), chain=(stranger, *who.contract.chain[1:]))
    parts = elements_2(data)
    signed = SignedContract(who.edition, data, who.cps.chain, sign_2(parts, who.cps.signer), parts)
    read = installation.read_response(installation.respond(signed, session_id=SESSION))
    error = refusal(lambda: installation.verify_response(read, trust=who.trust))
    assert error.code == ("installation.bad_chain" if ca else "path.bad_signature")


def test_no_contract_is_made_for_a_certificate_that_is_a_ca() -> None:
    """Not even a fresh one, of which little is looked at."""
    who = parties_2()
    key, by = forger(who), mint.private_key("mo2", "p256")
    for ca in (True, False):
        chain = (forged(who.contract.chain[1], key, ca=ca, by=by, name=who.emaid), *who.contract.chain[1:])
        holder = replace(who, contract=Holder(chain, key))
        if ca:
            error = refusal(holder.data)
            assert (error.code, error.facts["place"]) == ("installation.bad_chain", 1)
        else:
            assert holder.data().chain == chain


def test_a_forged_certificate_asks_for_nothing(parties_20: Parties) -> None:
    """Requests: an update in -2, an installation in -20."""
    two, twenty = parties_2(), parties_20
    for who, holder in ((two, two.contract), (twenty, twenty.oem)):
        key = forger(who)
        name = who.emaid if who is two else who.pcid
        for ca in (True, False):
            for below in (holder.chain, holder.chain[1:]):
                chain = (forged(below[0], key, ca=ca, name=name), *below)
                octets = asked(who, Holder(chain, key))
                read = installation.read_request(octets)
                assert read.chain == chain
                # A leaf issues nothing, nor does anybody's certificate hold without its issuer's signature.
                wanted = "path.bad_signature" if len(below) < len(holder.chain) and not ca else "installation.bad_chain"
                assert refusal(lambda read=read: installation.verify_request(read)).code == wanted


def asked(who: Parties, holder: Holder) -> bytes:
    """A request with any chain, signed."""
    if who.edition == "iso15118-2":
        path, good = "Body.BodyElement.ContractSignatureCertChain.", who.contract
        message = installation.build_update_request(
            chain=good.chain, emaid=who.emaid, signer=good.signer, roots=[who.v2g]
        )
    else:
        path, good = "OEMProvisioningCertificateChain.", who.oem
        message = installation.build_request(
            edition=who.edition, chain=good.chain, signer=good.signer, roots=[who.v2g], timestamp=who.at
        )
    whole = changed(attach(message, None), path + "Certificate", lambda _: holder.chain[0])
    whole = changed(whole, path + "SubCertificates.Certificate", lambda _: holder.chain[1:])
    assert isinstance(whole, Message)
    return codec.encode(attach(whole, sign(whole, holder.signer, edition=who.edition)))
