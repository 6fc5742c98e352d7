"""Any octets at all: the linter never raises, and reads what the library reads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.certs.lint.cases import defects
from tests.certs.lint.foundry import LEAF, ROOT, SUB, Parts, extension, leaf, oid, rdn, root, sub, tlv
from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.lint.facts import read_facts
from v2gpki.certs.lint.reader import MalformedError, dotted_oid, oid_octets

#: Defects in good DER for which the library refuses the certificate as a whole.
REFUSED = {
    "lint.extensions.duplicate",
    "lint.serial.not_positive",
    "lint.key.malformed",
    "lint.signature.parameters",
    "lint.subject.characters",
    "lint.identifier.characters",
    "lint.validity.malformed",
}
HUGE = b"\x7f" * 20_000


@given(st.binary(max_size=400))
def test_random_octets(data: bytes) -> None:
    assert {found.code for found in lint_certificate(data, LEAF)} == {"lint.der.malformed"}
    lint_certificate(leaf().der, LEAF, issuer=data)


@settings(max_examples=600)
@given(data=st.data())
def test_damaged_certificates(data: st.DataObject) -> None:
    """A few octets changed, taken out or put in: findings, never an exception; a changed TBS never verifies."""
    whole = data.draw(st.sampled_from([leaf().der, leaf("ed448").der, sub().der, root().der]))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        kind = data.draw(st.sampled_from(["set", "insert", "delete"]))
        if kind == "set":
            damaged[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            damaged.insert(at, data.draw(st.integers(0, 255)))
        else:
            del damaged[at]
    for profile in (LEAF, SUB, ROOT):
        lint_certificate(bytes(damaged), profile, issuer=bytes(damaged))
    codes = {found.code for found in lint_certificate(bytes(damaged), LEAF, issuer=sub().der)}
    if bytes(damaged) != whole or whole != leaf().der:
        assert codes


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_inside_and_signed_again(data: st.DataObject) -> None:
    """The same with lengths that fit, so that the readers of the inner values are reached."""
    parts = Parts.of(leaf().der)
    name = data.draw(st.sampled_from(sorted(parts.extensions)))
    parts.extensions[name] = extension(name, data.draw(st.binary(max_size=40)), critical=data.draw(st.booleans()))
    parts.rdns[0] = rdn("2.5.4.3", data.draw(st.binary(max_size=20)), data.draw(st.integers(1, 30)))
    parts.not_after = tlv(data.draw(st.sampled_from([0x17, 0x18])), data.draw(st.binary(max_size=16)))
    parts.spki = tlv(0x30, data.draw(st.binary(max_size=30)))
    findings = lint_certificate(parts.sign(sub().key), LEAF, issuer=sub().der)
    assert "lint.signature.invalid" not in {found.code for found in findings}


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: setattr(parts, "serial", tlv(0x02, HUGE)),
        lambda parts: setattr(parts, "version", tlv(0xA0, tlv(0x02, HUGE))),
        lambda parts: setattr(parts, "algorithm", tlv(0x30, tlv(0x06, HUGE))),
        lambda parts: setattr(parts, "spki", tlv(0x30, tlv(0x30, tlv(0x06, HUGE)) + tlv(0x03, b"\x00" + HUGE))),
        lambda parts: parts.more.append(tlv(0x30, tlv(0x06, HUGE) + tlv(0x04, b""))),
        lambda parts: parts.rdns.append(tlv(0x31, tlv(0x30, tlv(0x06, HUGE) + tlv(0x0C, HUGE)))),
        lambda parts: parts.rdns.__setitem__(0, rdn("2.5.4.3", HUGE)),
        lambda parts: parts.extensions.update(
            {"2.5.29.19": extension("2.5.29.19", tlv(0x30, b"\x01\x01\xff" + tlv(0x02, HUGE)), critical=True)}
        ),
        lambda parts: parts.extensions.update(
            {"2.5.29.35": extension("2.5.29.35", tlv(0x30, tlv(0x80, HUGE) + tlv(0x82, HUGE)))}
        ),
    ],
)
def test_giant_values(change: object) -> None:
    """Numbers and OIDs of thousands of digits: Python refuses to print such integers."""
    assert callable(change)
    parts = Parts.of(leaf().der)
    change(parts)
    der = parts.sign(sub().key)
    assert lint_certificate(der, LEAF, issuer=sub().der)
    assert lint_certificate(der, SUB, issuer=der)
    for found in lint_certificate(der, LEAF, issuer=der):
        assert len(found.message) < 2000


def test_nothing_stands_in_the_way_of_other_inputs() -> None:
    assert lint_certificate(b"", LEAF)[0].code == "lint.der.malformed"
    assert lint_certificate(b"\x30", LEAF)[0].code == "lint.der.malformed"
    assert lint_certificate(b"\x30\x85\x01\x01\x01\x01\x01", LEAF)[0].code == "lint.der.malformed"
    assert lint_certificate(b"\x3f\x81\x01\x00", LEAF)[0].code == "lint.der.malformed"


@pytest.mark.parametrize("suite", ["p256", "p521", "ed448"])
@pytest.mark.parametrize("level", ["leaf", "sub", "root"])
def test_facts_are_what_the_libraries_read(suite: str, level: str) -> None:
    link = {"leaf": leaf, "sub": sub, "root": root}[level](suite)
    facts, seen = read_facts(link.der), link.certificate
    assert facts.tbs == seen.tbs_certificate_bytes
    assert facts.signature == seen.signature
    assert facts.serial == seen.serial_number
    assert facts.version == seen.version.value + 1
    assert facts.subject == seen.subject.public_bytes()
    assert facts.issuer == seen.issuer.public_bytes()
    assert facts.not_before.at == seen.not_valid_before_utc
    assert facts.not_after.at == seen.not_valid_after_utc
    assert [(dotted_oid(found.oid), found.critical) for found in facts.extensions] == [
        (item.oid.dotted_string, item.critical) for item in seen.extensions
    ]
    key = seen.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert facts.values.subject_key_identifier == key
    constraints = seen.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert facts.values.basic_constraints is not None
    assert facts.values.basic_constraints.ca == constraints.ca
    assert facts.values.basic_constraints.path_length == constraints.path_length
    named = asn1.Certificate.load(link.der).subject.native
    assert [attribute.text for attribute in facts.subject_attributes] == list(named.values())


@pytest.mark.parametrize("text", ["500101000000Z", "491231235959Z", "000229120000Z"])
def test_two_digit_years(text: str) -> None:
    """RFC 5280 4.1.2.5.1: 50 and above is 19YY, below is 20YY."""
    parts = Parts.of(leaf().der)
    parts.not_before = tlv(0x17, text.encode())
    year = {"50": 1950, "49": 2049, "00": 2000}[text[:2]]
    found = read_facts(parts.sign(sub().key)).not_before.at
    assert found == datetime(
        year, int(text[2:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), int(text[10:12]), tzinfo=UTC
    )


def test_not_a_leap_year() -> None:
    parts = Parts.of(leaf().der)
    parts.not_before = tlv(0x17, b"010229120000Z")
    assert read_facts(parts.sign(sub().key)).not_before.at is None


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=6), st.sampled_from([(0, 39), (1, 0), (2, 999)]))
def test_object_identifiers(arcs: list[int], top: tuple[int, int]) -> None:
    dotted = ".".join(map(str, (*top, *arcs)))
    content = oid(dotted)[2:]
    assert oid_octets(dotted) == content
    assert dotted_oid(content) == dotted


def test_whatever_is_clean_is_read_by_the_library() -> None:
    """Defects that are no matter of encoding parse with ``cryptography`` too, and to the same extensions."""
    for row in defects():
        der = row.make().der
        try:
            facts = read_facts(der)
        except MalformedError:
            continue
        odd = facts.flaws or facts.defaults or facts.values.broken or facts.trailing or facts.version != 3
        if odd or row.codes & REFUSED:
            continue
        seen = x509.load_der_x509_certificate(der)
        assert [found.critical for found in facts.extensions] == [item.critical for item in seen.extensions]
