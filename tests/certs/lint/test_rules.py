"""Every rule kind: good certificates have no findings, each defect has exactly its own."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from cryptography import x509

from tests.certs.lint.cases import Defect, defects
from tests.certs.lint.foundry import (
    CN,
    DC,
    EVSEID,
    LEAF,
    LEAF_EXTENSIONS,
    ROOT,
    SUB,
    C,
    O,
    Parts,
    leaf,
    mint,
    new_key,
    of_family,
    rdn,
    root,
    sub,
    subject_of,
    tlv,
)
from v2gpki.certs.lint import explanations, lint_certificate
from v2gpki.profile.model import (
    AlternativeNameRule,
    BasicConstraintsRule,
    ExtendedKeyUsageRule,
    IdentifierRule,
    KeyIdentifierRule,
    Profile,
    UrlRule,
)


def codes(der: bytes, profile: Profile, issuer: bytes | None = None) -> set[str]:
    return {finding.code for finding in lint_certificate(der, profile, issuer=issuer)}


@pytest.mark.parametrize("suite", ["p256", "p521", "ed448"])
def test_good_certificates_have_no_findings(suite: str) -> None:
    chain = [(leaf(suite), LEAF, sub(suite)), (sub(suite), SUB, root(suite)), (root(suite), ROOT, root(suite))]
    for link, profile, above in chain:
        fitted = profile if suite == "p256" else of_family(profile, suite)
        assert lint_certificate(link.der, fitted) == ()
        assert lint_certificate(link.der, fitted, issuer=above.der) == ()


@pytest.mark.parametrize("row", defects(), ids=lambda row: row.name)
def test_defect(row: Defect) -> None:
    made = row.make()
    findings = lint_certificate(made.der, made.profile, issuer=made.issuer)
    assert {finding.code for finding in findings} == row.codes
    for finding in findings:
        assert finding.message
        assert finding.where
        assert finding.severity == explanations()[finding.code].severity


def test_every_code_has_a_defect() -> None:
    provoked = set().union(*(row.codes for row in defects()))
    assert provoked == {code for code in explanations() if code.startswith("lint.")}


def test_clause_and_place_come_from_the_rule() -> None:
    der = leaf().der.replace(b"CPO", b"CPS")
    (found,) = lint_certificate(der, LEAF)
    assert (found.code, found.where, found.clause) == ("lint.subject.value", "subject.DC", "[V2G2-925]")
    assert "'CPS'" in found.message
    assert "'CPO'" in found.message


def test_findings_are_sorted_errors_first() -> None:
    profile = replace(
        LEAF,
        conformant=False,
        ocsp_nocheck=True,
        subject_key_identifier=KeyIdentifierRule(form="sha1-60"),
        crl=UrlRule(write=True, presence="required"),
    )
    findings = lint_certificate(leaf().der, profile)
    assert [(finding.severity, finding.code) for finding in findings] == [
        ("error", "lint.crl.missing"),
        ("error", "lint.ocsp_nocheck.missing"),
        ("warning", "lint.profile.not_conformant"),
        ("warning", "lint.subject_key_identifier.form"),
    ]


# -- what must pass ----------------------------------------------------------------------------


def test_accepted_variants() -> None:
    anything = ExtendedKeyUsageRule(
        oids=("1.3.6.1.5.5.7.3.1",), required=("1.3.6.1.5.5.7.3.1",), optional=("1.3.6.1.5.5.7.3.2",)
    )
    purposes = x509.ExtendedKeyUsage(
        [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.2"), x509.ObjectIdentifier("1.3.6.1.5.5.7.3.1")]
    )
    points = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/a.crl")], None, None, None)]
    )
    policies = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), ["https://cps"])])
    alternative = x509.SubjectAlternativeName([x509.DNSName("other.example"), x509.DNSName("csms.example")])
    extensions = [*LEAF_EXTENSIONS, *((value, False) for value in (purposes, points, policies, alternative))]
    profile = replace(
        LEAF,
        identifier=IdentifierRule(kinds=("text",), required=True),
        extended_key_usage=anything,
        crl=UrlRule(write=True, presence="required"),
        subject_alternative_name=AlternativeNameRule(),
    )
    name = subject_of("CSMS.example", dc="CPO", country="DE")
    der = mint(name, new_key("p256").public_key(), sub(), sub().key, extensions)
    assert lint_certificate(der, profile, issuer=sub().der) == ()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_in_the_subject_is_an_ip_address_in_the_alternative_name(address: str) -> None:
    """TLS clients compare addresses with iPAddress alone (RFC 9525 6.5); one that is written as a host name is none."""
    rule = IdentifierRule(kinds=("address",), required=True)
    profile = replace(LEAF, identifier=rule, subject_alternative_name=AlternativeNameRule())
    names = {
        x509.IPAddress(ip_address(address)): [],
        x509.DNSName(address): ["lint.subject_alternative_name.mismatch"],
        x509.IPAddress(ip_address("192.0.2.2")): ["lint.subject_alternative_name.mismatch"],
    }
    for alternative, expected in names.items():
        extensions = [*LEAF_EXTENSIONS, (x509.SubjectAlternativeName([alternative]), False)]
        der = mint(subject_of(address, dc="CPO"), new_key("p256").public_key(), sub(), sub().key, extensions)
        assert [found.code for found in lint_certificate(der, profile, issuer=sub().der)] == expected


def test_nocheck_where_it_belongs() -> None:
    extensions = [*LEAF_EXTENSIONS, (x509.OCSPNoCheck(), False)]
    der = mint(subject_of(EVSEID, dc="CPO"), new_key("p256").public_key(), sub(), sub().key, extensions)
    assert lint_certificate(der, replace(LEAF, ocsp_nocheck=True), issuer=sub().der) == ()


def test_subject_of_any_order_when_the_profile_does_not_fix_it() -> None:
    ordered = replace(LEAF, subject=replace(LEAF.subject, ordered=True, closed=True))
    assert lint_certificate(leaf().der, ordered, issuer=sub().der) == ()


def test_an_attribute_that_is_listed_twice_may_stand_there_twice() -> None:
    two = replace(LEAF, subject=replace(LEAF.subject, attributes=(CN, O, C, DC, replace(DC, value="EU"))))
    parts = Parts.of(leaf().der)
    parts.rdns.append(rdn(DC.oid, "EU", 0x16))
    assert lint_certificate(parts.sign(sub().key), two, issuer=sub().der) == ()


def test_forbidden_attribute_names_its_clause() -> None:
    parts = Parts.of(leaf().der)
    parts.rdns.append(rdn("2.5.4.11", "Lab"))
    (found,) = lint_certificate(parts.sign(sub().key), LEAF, issuer=sub().der)
    assert (found.code, found.where, found.clause) == ("lint.subject.forbidden", "subject.OU", "OU-clause")


def test_eight_octets_of_serial_are_enough() -> None:
    parts = Parts.of(leaf().der)
    parts.serial = b"\x02\x08\x41" + bytes(7)
    assert lint_certificate(parts.sign(sub().key), LEAF, issuer=sub().der) == ()


def test_time_forms_change_with_the_year_2050() -> None:
    """RFC 5280 4.1.2.5: through 2049 UTCTime, from 2050 GeneralizedTime."""
    unbound = replace(ROOT, validity=replace(ROOT.validity, maximum=None))
    for first, last in ((b"500101000000Z", b"20500101000000Z"), (b"491231235959Z", b"20500101000000Z")):
        parts = Parts.of(root().der)
        parts.not_before, parts.not_after = tlv(0x17, first), tlv(0x18, last)
        assert lint_certificate(parts.sign(root().key), unbound) == ()


def test_without_clauses_of_its_own_a_rule_falls_back() -> None:
    """An attribute's clause goes before the subject's, a profile's before the RFC's."""
    parts = Parts.of(leaf().der)
    parts.rdns.pop(1)
    der = parts.sign(sub().key)
    (found,) = lint_certificate(der, LEAF, issuer=sub().der)
    assert found.clause == "O-clause"
    plain = replace(LEAF, subject=replace(LEAF.subject, attributes=(CN, replace(O, clause=""), C, DC)))
    (found,) = lint_certificate(der, plain, issuer=sub().der)
    assert found.clause == "subject-clause"


def test_exact_limits_pass() -> None:
    size = replace(LEAF, size=replace(LEAF.size, maximum=len(leaf().der)))
    period = leaf().certificate.not_valid_after_utc - leaf().certificate.not_valid_before_utc
    exact = replace(size, validity=replace(LEAF.validity, maximum=period, minimum=period))
    assert lint_certificate(leaf().der, exact, issuer=sub().der) == ()


def test_self_issued_authority_needs_no_path_length() -> None:
    """RFC 5280 6.1.4 (l): a key change of the same name does not count."""
    above = sub()
    key = new_key("p256")
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        LEAF_EXTENSIONS[2],
    ]
    der = mint(above.certificate.subject, key.public_key(), above, above.key, extensions)
    assert "lint.issuer.path_length" not in codes(der, SUB, above.der)


def test_critical_flags_follow_the_profile() -> None:
    profile = replace(LEAF, basic_constraints=BasicConstraintsRule(ca=False, critical=False))
    assert codes(leaf().der, profile, sub().der) == {"lint.extensions.criticality"}
