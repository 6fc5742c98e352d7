"""The compiled template against ``cryptography``'s builder: the same octets for the same values.

The builder is the independent origin: it is given the values that the profile asks for, in the words of
its own API, and its TBSCertificate must be the template's to the octet.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from v2gpki.certs import der
from v2gpki.certs.template import CertificateTemplate, Constants, IssuerName
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile

CATALOGUE = Catalogue()
ISSUER_NAME = x509.Name(
    [
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Acme"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "Acme Sub-CA 2"),
        x509.NameAttribute(x509.NameOID.DOMAIN_COMPONENT, "V2G"),
    ]
)
ISSUER_KEY_IDENTIFIER = bytes(range(20))
CONSTANTS = Constants(
    org="Acme",
    country="DE",
    name="Acme Authority",
    ocsp_url="http://127.0.0.1:8080/ocsp",
    crl_url="http://127.0.0.1:8080/crl/iso2-mo-sub-ca-2.crl",
)
STRINGS = {"utf8": _ASN1Type.UTF8String, "printable": _ASN1Type.PrintableString, "ia5": _ASN1Type.IA5String}
BITS = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}
ROLES = [
    (edition, role, suite)
    for edition in CATALOGUE.editions()
    for role in CATALOGUE.roles(edition)
    for suite in CATALOGUE.suites(edition, role)
]
KEYS: dict[str, PrivateKey] = {name: suite.generate() for name, suite in SUITES.items()}


def built(
    profile: Profile, serial: int, start: datetime, end: datetime, identifier: str, constants: Constants
) -> bytes:
    """The TBSCertificate that cryptography's builder gives for a profile's values."""
    key = KEYS[profile.key.suite].public_key()
    subject = builder_name(profile, identifier, constants)
    self_signed = not profile.issuers
    builder = (
        x509.CertificateBuilder()
        .serial_number(serial)
        .issuer_name(subject if self_signed else ISSUER_NAME)
        .subject_name(subject)
        .not_valid_before(start)
        .not_valid_after(end)
        .public_key(key)
    )
    own = own_key_identifier(profile, spki_of(key))
    for extension, critical in builder_extensions(profile, identifier, constants, own, self_signed):
        builder = builder.add_extension(extension, critical)
    signer = KEYS[profile.suite]
    assert isinstance(signer, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(signer, SUITES[profile.suite].hash).tbs_certificate_bytes


def builder_name(profile: Profile, identifier: str, constants: Constants) -> x509.Name:
    attributes = []
    for rule in profile.subject.attributes:
        holes = {"{org}": constants.org, "{country}": constants.country, "{id}": identifier}
        text = rule.value.replace("{name}", constants.name or rule.default)
        if rule.presence == "forbidden" or ("{country}" in text and not constants.country):
            continue
        for hole, value in holes.items():
            text = text.replace(hole, value)
        attributes.append(x509.NameAttribute(ObjectIdentifier(rule.oid), text, STRINGS[rule.string]))
    return x509.Name(attributes)


def own_key_identifier(profile: Profile, spki: bytes) -> bytes:
    if profile.subject_key_identifier.form == "sha1-160":
        return x509.SubjectKeyIdentifier.from_public_key(KEYS[profile.key.suite].public_key()).digest
    digest = int.from_bytes(hashlib.sha1(spki).digest(), "big")
    return (0x4 << 60 | digest & (1 << 60) - 1).to_bytes(8, "big")


def builder_extensions(
    profile: Profile, identifier: str, constants: Constants, own: bytes, self_signed: bool
) -> list[tuple[x509.ExtensionType, bool]]:
    constraints, usage = profile.basic_constraints, profile.key_usage
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(constraints.ca, constraints.path_length), constraints.critical),
        (x509.KeyUsage(**{BITS[bit]: bit in usage.bits for bit in BITS}), usage.critical),
    ]
    purposes = profile.extended_key_usage
    if purposes.oids:
        found.append((x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in purposes.oids]), purposes.critical))
    alternative = profile.subject_alternative_name
    if alternative is not None and alternative.presence != "forbidden":
        found.append((x509.SubjectAlternativeName([general_name(identifier)]), False))
    if profile.subject_key_identifier.presence != "forbidden":
        found.append((x509.SubjectKeyIdentifier(own), False))
    if profile.authority_key_identifier.presence != "forbidden":
        key_identifier = own if self_signed else ISSUER_KEY_IDENTIFIER
        found.append((x509.AuthorityKeyIdentifier(key_identifier, None, None), False))
    if profile.ocsp.write:
        location = x509.UniformResourceIdentifier(constants.ocsp_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if profile.crl.write:
        names = [x509.UniformResourceIdentifier(constants.crl_url)]
        found.append((x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]), False))
    if profile.policies.oids:
        policies = [x509.PolicyInformation(ObjectIdentifier(oid), None) for oid in profile.policies.oids]
        found.append((x509.CertificatePolicies(policies), False))
    if profile.ocsp_nocheck:
        found.append((x509.OCSPNoCheck(), False))
    return found


def general_name(identifier: str) -> x509.GeneralName:
    """What TLS clients look an identifier up by."""
    try:
        return x509.IPAddress(ip_address(identifier))
    except ValueError:
        return x509.DNSName(identifier)


def filled(
    profile: Profile, serial: int, start: datetime, end: datetime, identifier: str, constants: Constants
) -> bytes:
    issuer = IssuerName(ISSUER_NAME.public_bytes(), ISSUER_KEY_IDENTIFIER) if profile.issuers else None
    template = CertificateTemplate(profile, issuer, constants)
    tbs, _ = template.tbs(
        serial=serial.to_bytes(20, "big"),
        not_before=der.time(start),
        not_after=der.time(end),
        identifier=identifier,
        spki=spki_of(KEYS[profile.key.suite].public_key()),
    )
    return tbs


@pytest.mark.parametrize(("edition", "role", "suite"), ROLES)
def test_every_profile_gives_the_builders_octets(edition: str, role: str, suite: str) -> None:
    profile = CATALOGUE.profile(edition, role, suite)
    serial = 0x40 << 152 | 0x1234
    start = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for end in (start + timedelta(days=60), datetime(2066, 1, 2, 3, 4, 5, tzinfo=UTC)):
        expected = built(profile, serial, start, end, "DEABCC123ABC56", CONSTANTS)
        assert filled(profile, serial, start, end, "DEABCC123ABC56", CONSTANTS) == expected


@given(
    serial=st.integers(0x40 << 152, (0x80 << 152) - 1),
    start=st.integers(-631152000, 2682374400),
    days=st.integers(1, 15000),
    identifier=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789*-", min_size=1, max_size=64),
    country=st.sampled_from(["", "DE", "FR"]),
    role=st.sampled_from(ROLES),
)
def test_any_values_give_the_builders_octets(
    serial: int, start: int, days: int, identifier: str, country: str, role: tuple[str, str, str]
) -> None:
    profile = CATALOGUE.profile(*role)
    begin = datetime.fromtimestamp(start, UTC)
    constants = replace(CONSTANTS, country=country)
    if not country and any("{country}" in a.value and a.presence == "required" for a in profile.subject.attributes):
        return
    end = begin + timedelta(days=days)
    expected = built(profile, serial, begin, end, identifier, constants)
    assert filled(profile, serial, begin, end, identifier, constants) == expected


def test_an_address_is_an_ip_address_in_the_alternative_name() -> None:
    """One template for names and addresses of one length of text: "192.0.2.1" has as many characters as "abc.def.g"."""
    profile = CATALOGUE.profile("ocpp", "csms")
    template = CertificateTemplate(profile, IssuerName(ISSUER_NAME.public_bytes(), ISSUER_KEY_IDENTIFIER), CONSTANTS)
    start, end = datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)
    spki = spki_of(KEYS[profile.key.suite].public_key())
    for identifier in ("192.0.2.1", "abc.def.g", "127.0.0.1", "2001:db8::", "2001db8.ab", "::1", "a.1", "192.0.2.1"):
        tbs, _ = template.tbs(
            serial=b"\x41" + bytes(19),
            not_before=der.time(start),
            not_after=der.time(end),
            identifier=identifier,
            spki=spki,
        )
        assert tbs == built(profile, 0x41 << 152, start, end, identifier, CONSTANTS), identifier


def test_one_template_serves_every_length() -> None:
    """Shapes are compiled per length; going back to an earlier one must not mix them up."""
    profile = CATALOGUE.profile("iso15118-2", "contract")
    template = CertificateTemplate(
        profile, IssuerName(ISSUER_NAME.public_bytes(), ISSUER_KEY_IDENTIFIER), CONSTANTS
    )
    spki = spki_of(KEYS["p256"].public_key())
    start, end = datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
    for identifier in ("DEABCC123ABC56", "DEABCC123ABC56X", "DEABCC123ABC56"):
        tbs, _ = template.tbs(
            serial=b"\x41" + bytes(19),
            not_before=der.time(start),
            not_after=der.time(end),
            identifier=identifier,
            spki=spki,
        )
        assert tbs == built(profile, 0x41 << 152, start, end, identifier, CONSTANTS)


def test_the_subject_is_told_and_encoded_as_cryptography_does() -> None:
    profile = CATALOGUE.profile("iso15118-2", "secc")
    template = CertificateTemplate(profile, IssuerName(b"\x30\x00", bytes(20)), Constants(org='A, "B"', country="DE"))
    name = x509.Name.from_rfc4514_string(template.subject_text("DE*ICE*E0001"))
    assert [(a.oid.dotted_string, a.value) for a in name] == [
        (a.oid.dotted_string, a.value)
        for a in builder_name(profile, "DE*ICE*E0001", Constants(org='A, "B"', country="DE"))
    ]
    assert template.subject_der("DE*ICE*E0001") == builder_name(
        profile, "DE*ICE*E0001", Constants(org='A, "B"', country="DE")
    ).public_bytes()


@pytest.mark.parametrize("text", ["{id}", "{org}", "A {id} B", "{country}{name}"])
def test_braces_in_a_name_are_text(text: str) -> None:
    issuer = IssuerName(b"\x30\x00", bytes(20))
    ca = CertificateTemplate(CATALOGUE.profile("iso15118-2", "v2g-root"), None, Constants(org="Acme", name=text))
    leaf = CertificateTemplate(CATALOGUE.profile("iso15118-2", "secc"), issuer, Constants(org=text))
    for template, identifier, attribute in ((ca, "", "CN"), (leaf, "DE*ICE*E0001", "O")):
        written = x509.Name.from_rfc4514_string(template.subject_text(identifier))
        kind = {"CN": x509.NameOID.COMMON_NAME, "O": x509.NameOID.ORGANIZATION_NAME}[attribute]
        assert [one.value for one in written.get_attributes_for_oid(kind)] == [text]
        assert text.encode() in template.subject_der(identifier)


@pytest.mark.parametrize(
    ("constants", "code"),
    [
        (Constants(org="\udcff"), "name.bad_character"),
        (Constants(org="Ac\x07me"), "name.bad_character"),
        (Constants(org="A" * 65), "name.bad_length"),
        (Constants(org=""), "name.missing_value"),
    ],
)
def test_constants_that_no_subject_can_hold_are_refused(constants: Constants, code: str) -> None:
    profile = CATALOGUE.profile("iso15118-2", "contract")
    with pytest.raises(V2GPKIError) as refused:
        CertificateTemplate(profile, None, constants)
    assert refused.value.code == code


def test_a_cross_certificate_needs_the_name_that_it_copies() -> None:
    with pytest.raises(V2GPKIError) as refused:
        CertificateTemplate(CATALOGUE.profile("iso15118-2", "cross"), None, Constants(org="Acme"))
    assert refused.value.code == "name.missing_value"
