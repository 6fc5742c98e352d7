"""Sizes: certificates that ``cryptography`` builds from the profiles stay within the limits, addresses included.

A CertificateInstallationRes holds six certificates (CPS leaf, contract leaf, two sub-CAs each) and must fit 4,200
octets, the 5,600 base64 characters of OCPP 2.0.1: the six have 3,400.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # the only way to choose a string type

from v2gpki.keys.suites import SUITES
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile

CATALOGUE = Catalogue()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORG = "Acme Mobility GmbH"
OCSP = "http://ocsp.example.org:8080"
IDENTIFIERS = {"emaid": "DE8AA1A2B3C4D59", "pcid": "WMIA1234567890123", "evccid": "WMIV1234567890ABCDEX"}
STRINGS = {"utf8": _ASN1Type.UTF8String, "printable": _ASN1Type.PrintableString, "ia5": _ASN1Type.IA5String}


def name(profile: Profile, identifier: str) -> x509.Name:
    attributes = []
    for rule in profile.subject.attributes:
        if "{country}" in rule.value:
            continue
        text = rule.value.replace("{name}", rule.default or f"{ORG} V2G Root CA")
        text = text.replace("{org}", ORG).replace("{id}", identifier)
        attributes.append(x509.NameAttribute(x509.ObjectIdentifier(rule.oid), text, STRINGS[rule.string]))
    return x509.Name(attributes)


def certificate(profile: Profile) -> bytes:
    """The largest certificate that the profile allows us to write with an OCSP address, built by ``cryptography``."""
    issuer = CATALOGUE.profile(profile.edition, (profile.issuers or (profile.role,))[0], profile.suite)
    kind = (profile.identifier.kinds or ("",))[0]
    identifier = IDENTIFIERS.get(kind, "DE-ICE-S-00003C4D557878675645330967543476-2")
    suite = SUITES[profile.suite]
    signer: ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey
    signer = ec.generate_private_key(suite.curve) if suite.curve else ed448.Ed448PrivateKey.generate()
    public = SUITES[profile.key.suite].generate().public_key()
    bits = profile.key_usage.bits
    flags = {
        "digital_signature": "digitalSignature" in bits,
        "content_commitment": "nonRepudiation" in bits,
        "key_encipherment": "keyEncipherment" in bits,
        "data_encipherment": "dataEncipherment" in bits,
        "key_agreement": "keyAgreement" in bits,
        "key_cert_sign": "keyCertSign" in bits,
        "crl_sign": "cRLSign" in bits,
        "encipher_only": False,
        "decipher_only": False,
    }
    ski = bytes(8 if profile.subject_key_identifier.form == "sha1-60" else 20)
    constraints = profile.basic_constraints
    builder = (
        x509.CertificateBuilder()
        .serial_number(int.from_bytes(bytes([0x7F]) * 20, "big"))
        .subject_name(name(profile, identifier))
        .issuer_name(name(issuer, ""))
        .not_valid_before(NOW - profile.validity.backdate)
        .not_valid_after(NOW + profile.validity.default)
        .public_key(public)
        .add_extension(x509.BasicConstraints(constraints.ca, constraints.path_length), constraints.critical)
        .add_extension(x509.KeyUsage(**flags), profile.key_usage.critical)
        .add_extension(x509.SubjectKeyIdentifier(ski), False)
        .add_extension(x509.AuthorityKeyIdentifier(bytes(20), None, None), False)
    )
    if profile.extended_key_usage.oids:
        usages = [x509.ObjectIdentifier(oid) for oid in profile.extended_key_usage.oids]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    if profile.ocsp.write:
        access = x509.AccessDescription(x509.OID_OCSP, x509.UniformResourceIdentifier(OCSP))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), False)
    return builder.sign(signer, suite.hash).public_bytes(Encoding.DER)


ALL = [
    (edition, role, suite)
    for edition in CATALOGUE.editions()
    for role in CATALOGUE.roles(edition)
    for suite in CATALOGUE.suites(edition, role)
]


@pytest.mark.parametrize(("edition", "role", "suite"), ALL)
def test_within_the_limit(edition: str, role: str, suite: str) -> None:
    """[V2G2-010] and certificateType of the -20 schema, with room for an address of sixty more characters."""
    profile = CATALOGUE.profile(edition, role, suite)
    assert len(certificate(profile)) + 60 <= profile.size.maximum


def test_six_certificates_of_an_installation() -> None:
    roles = ("cps", "cps-sub-ca-2", "cps-sub-ca-1", "contract", "mo-sub-ca-2", "mo-sub-ca-1")
    sizes = {role: len(certificate(CATALOGUE.profile("iso15118-2", role))) for role in roles}
    assert sum(sizes.values()) <= 3400, sizes
