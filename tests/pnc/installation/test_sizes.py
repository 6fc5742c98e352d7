"""Sizes of exchanges beside what schemas and OCPP carry."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

import v2gpki
from tests.chains import mint
from tests.conftest import BIRTH, PASSPHRASE
from tests.pnc import samples
from tests.pnc.installation.parties import SESSION, Holder, Parties, made, parties_2, parties_of
from v2gpki.errors import V2GPKIError
from v2gpki.messages import codec, iso2
from v2gpki.pnc import installation
from v2gpki.pnc.installation.sizes import SIX_CERTIFICATES, base64_length


def test_the_default_profiles_stay_below_the_smallest_limit(tmp_path: pytest.TempPathFactory) -> None:
    with v2gpki.open_authority(
        tmp_path / "home", passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Eighteen Character")
        who = parties_of(ca, "iso15118-2")
    longest = 0
    for _ in range(8):
        octets = installation.respond(who.signed(), session_id=SESSION, response_code="OK_CertificateExpiresSoon")
        longest = max(longest, len(octets))
    assert len("Eighteen Character") == 18
    # ECDSA signatures differ by some octets from certificate to certificate: 6 of them, 2 octets each.
    assert longest <= 4200 - 12
    found = installation.sizes(octets)
    assert found.exceeded == ()
    assert found.base64 == len(base64.b64encode(octets)) <= 5600
    assert sum(size for *_, size in found.certificates) <= SIX_CERTIFICATES


def test_each_certificate_and_each_way_is_measured(parties_20: Parties) -> None:
    who = parties_2()
    octets = installation.respond(who.signed(), session_id=SESSION)
    found = installation.sizes(octets)
    assert (found.edition, found.octets, found.base64) == ("iso15118-2", len(octets), base64_length(len(octets)))
    assert found.certificates == (
        *(("CPS", place, len(der)) for place, der in enumerate(who.cps.chain, 1)),
        *(("contract", place, len(der)) for place, der in enumerate(who.contract.chain, 1)),
    )
    limits = {limit.name: limit.limit for limit in found.limits}
    assert limits == {
        "OCPP 2.0.1": 5600,
        "OCPP 2.0.1, Python package ocpp": 7500,
        "OCPP 2.1": 17000,
        **{f"{chain} certificate {place}": 800 for chain in ("CPS", "contract") for place in (1, 2, 3)},
        "all certificates": 3400,
    }
    request = installation.build_request(
        edition="iso15118-20",
        chain=parties_20.oem.chain,
        signer=parties_20.oem.signer,
        roots=[parties_20.v2g],
        timestamp=parties_20.at,
    )
    asked = installation.sizes(codec.encode(request))
    assert {limit.name: limit.limit for limit in asked.limits} == {
        "OCPP 2.0.1": 5600,
        "OCPP 2.0.1, Python package ocpp": 7500,
        "OCPP 2.1": 11000,
        **{f"OEM provisioning certificate {place}": 1600 for place in (1, 2, 3)},
    }
    delivered = installation.respond(parties_20.signed(), session_id=SESSION, timestamp=parties_20.at)
    assert {name for name, *_ in installation.sizes(delivered).certificates} == {"CPS", "contract"}


def test_octets_become_characters() -> None:
    for length in range(40):
        assert base64_length(length) == len(base64.b64encode(bytes(length)))
    assert base64_length(4200) == 5600


def sized(who: Parties, octets: int) -> Parties:
    """The parties with a contract certificate of this many octets, or a few less."""
    name = f"contract-{octets}"
    # A first guess shows what its other parts take; the signature's length moves by an octet or two.
    guess = 300
    filler = guess + octets - len(made(name, who.emaid, "mo2", filler=guess)) - 3
    der = made(name, who.emaid, "mo2", filler=filler)
    assert octets - 6 <= len(der) <= octets
    chain = (der, *who.contract.chain[1:])
    return replace(who, contract=Holder(chain, mint.private_key(name, "p256"), who.contract.root))


def test_certificates_of_800_octets_fit_the_schema_and_not_ocpp_2_0_1() -> None:
    octets = installation.respond(sized(parties_2(), 800).signed(), session_id=SESSION)
    found = installation.sizes(octets)
    assert [(limit.name, limit.limit) for limit in found.exceeded] == [
        ("OCPP 2.0.1", 5600),
        ("all certificates", 3400),
    ]


def test_a_certificate_over_the_schemas_limit_is_refused_on_both_sides(parties_20: Parties) -> None:
    who = parties_2()
    with pytest.raises(V2GPKIError) as refused:
        sized(who, 830).data()
    assert refused.value.code == "installation.certificate_too_large"
    assert (refused.value.facts["limit"], refused.value.facts["place"]) == (800, 1)
    # A sender that does not look at limits: its octets are not read.
    message = codec.decode(installation.respond(who.signed(), session_id=SESSION), "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateInstallationRes)
    chain = changed(body.ContractSignatureCertChain, Certificate=sized(who, 830).contract.chain[0])
    body = changed(body, ContractSignatureCertChain=chain)
    message = changed(message, Body=changed(message.Body, BodyElement=body))
    waived = ("V2G_Message/Body/*/ContractSignatureCertChain/Certificate",)
    with pytest.raises(V2GPKIError) as refused:
        installation.read_response(codec.encode(message, waivers=waived))
    assert refused.value.code == "exi.facet"
    assert installation.response_code(refused.value, "iso15118-2") == "FAILED"
    for edition, limit in (("iso15118-2", 800), ("iso15118-20", 1600), ("lab-ecog-20", 1600)):
        assert installation.CERTIFICATE_LIMIT[edition] == limit
    large = (*parties_20.contract.chain[:2], parties_20.contract.chain[2] + bytes(1600))
    with pytest.raises(V2GPKIError) as refused:
        replace(parties_20, contract=replace(parties_20.contract, chain=large)).data()
    assert refused.value.code == "installation.certificate_too_large"
    assert (refused.value.facts["limit"], refused.value.facts["place"]) == (1600, 3)


def test_what_is_no_message_of_an_installation_has_no_sizes() -> None:
    with pytest.raises(V2GPKIError) as refused:
        installation.sizes(codec.encode(samples.annex_j_message()))
    assert refused.value.code == "installation.wrong_message"
