"""Certificates that are no DER but say one thing: read like their spelling in DER, verified as they were written.

They are taken apart and put together again by the linter's foundry, and signed for real; what is expected is what the
same certificate without the liberty says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.certs.lint.foundry import LEAF, Link, Parts, assemble, leaf, oid, root, sub, tlv
from v2gpki.certs.chain import load_certificates, pem
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.lint.facts import read_facts
from v2gpki.certs.path import validate
from v2gpki.certs.spelling import respelled
from v2gpki.certs.view import CertificateView, flaw_of_signature, key_matches, view
from v2gpki.errors import V2GPKIError
from v2gpki.pnc.signature import public_key_of
from v2gpki.render.certificate import certificate_text

AT = datetime(2026, 2, 1, tzinfo=UTC)
BC, KU, SKI, AKI = "2.5.29.19", "2.5.29.15", "2.5.29.14", "2.5.29.35"
FALSE, TRUE, ONE = b"\x01\x01\x00", b"\x01\x01\xff", b"\x01\x01\x01"
NO_CA, PATH_LENGTH_0 = b"\x30\x00", b"\x30\x06\x01\x01\xff\x02\x01\x00"
Change = Callable[[Parts], None]


def raw(dotted: str, flag: bytes, value: bytes) -> bytes:
    """An extension with any octets where criticality stands."""
    return tlv(0x30, oid(dotted) + flag + tlv(0x04, value))


def put(dotted: str, flag: bytes, value: bytes) -> Change:
    return lambda parts: parts.extensions.update({dotted: raw(dotted, flag, value)})


def flagged(dotted: str, flag: bytes) -> Change:
    """The same value with other octets of criticality."""

    def change(parts: Parts) -> None:
        value = asn1.Extension.load(parts.extensions[dotted])["extn_value"].contents
        parts.extensions[dotted] = raw(dotted, flag, value)

    return change


def both(*changes: Change) -> Change:
    def change(parts: Parts) -> None:
        for one in changes:
            one(parts)

    return change


#: What is written; whose certificate; the words about it; the findings that must be there.
LIBERTIES: dict[str, tuple[Change, Callable[[], Link], tuple[str, ...], set[str]]] = {
    "cA FALSE": (
        put(BC, TRUE, tlv(0x30, FALSE)),
        leaf,
        ("cA of basicConstraints is written as FALSE although that is the default",),
        {"lint.der.default_written"},
    ),
    "critical FALSE": (
        flagged(SKI, FALSE),
        leaf,
        ("critical of 2.5.29.14 is written as FALSE although that is the default",),
        {"lint.der.default_written"},
    ),
    "critical FALSE everywhere and cA FALSE": (
        both(flagged(SKI, FALSE), flagged(AKI, FALSE), put(BC, TRUE, tlv(0x30, FALSE))),
        leaf,
        (
            "critical of 2.5.29.14 is written as FALSE although that is the default",
            "critical of 2.5.29.35 is written as FALSE although that is the default",
            "cA of basicConstraints is written as FALSE although that is the default",
        ),
        {"lint.der.default_written"},
    ),
    "critical TRUE as 01": (
        flagged(KU, ONE),
        leaf,
        ("critical of 2.5.29.15 is TRUE written as 01 instead of ff",),
        {"lint.der.not_canonical"},
    ),
    "cA TRUE as 01": (
        put(BC, TRUE, b"\x30\x06\x01\x01\x01\x02\x01\x00"),
        sub,
        ("cA of basicConstraints is TRUE written as 01 instead of ff",),
        {"lint.der.not_canonical"},
    ),
    "critical FALSE in a CA": (
        flagged(SKI, FALSE),
        sub,
        ("critical of 2.5.29.14 is written as FALSE although that is the default",),
        {"lint.der.default_written"},
    ),
    # the library reads these two itself
    "KeyUsage with zero bits": (put(KU, TRUE, b"\x03\x02\x00\x80"), leaf, (), {"lint.der.trailing_zero_bits"}),
    "KeyUsage of two octets": (put(KU, TRUE, b"\x03\x03\x00\x80\x00"), leaf, (), {"lint.der.trailing_zero_bits"}),
}


@cache
def written(name: str) -> bytes:
    """The certificate with that liberty, signed as it is."""
    change, whose, _, _ = LIBERTIES[name]
    return signed(change, whose())


def signed(change: Change, link: Link) -> bytes:
    parts = Parts.of(link.der)
    change(parts)
    return parts.sign(issuer_of(link).key)


def issuer_of(link: Link) -> Link:
    return root(link.suite) if link.der == sub(link.suite).der else sub(link.suite)


def said(one: CertificateView) -> dict[str, object]:
    """Everything but the octets themselves and what is said about them."""
    apart = {"der", "fingerprint", "x509", "extensions", "liberties", "written"}
    return {field.name: getattr(one, field.name) for field in fields(one) if field.name not in apart}


@pytest.mark.parametrize("name", LIBERTIES)
def test_it_says_what_its_spelling_in_der_says(name: str) -> None:
    _, whose, liberties, _ = LIBERTIES[name]
    link, seen = whose(), view(written(name))
    assert said(seen) == said(view(link.der))
    assert list(seen.extensions) == list(view(link.der).extensions)
    assert seen.liberties == liberties
    assert seen.der == written(name)
    assert certificate_text(seen.der).splitlines()[0] == certificate_text(link.der).splitlines()[0]


@pytest.mark.parametrize("name", LIBERTIES)
def test_its_signature_is_that_of_the_octets_as_they_were_written(name: str) -> None:
    _, whose, _, _ = LIBERTIES[name]
    der, issuer = written(name), issuer_of(whose()).der
    assert flaw_of_signature(der, issuer) == ""
    assert key_matches(view(der), view(issuer))
    # the issuer signed the DER spelling, somebody else wrote it otherwise
    altered = assemble(signed_part(der), signature_algorithm(der), signature(whose().der))
    assert view(altered).liberties == LIBERTIES[name][2]
    assert flaw_of_signature(altered, issuer) == "the signature does not verify with the key of that name"
    assert not key_matches(view(altered), view(issuer))


def signed_part(der: bytes) -> bytes:
    return bytes(asn1.Certificate.load(der)["tbs_certificate"].dump())


def signature_algorithm(der: bytes) -> bytes:
    return bytes(asn1.Certificate.load(der)["signature_algorithm"].dump())


def signature(der: bytes) -> bytes:
    return bytes(asn1.Certificate.load(der)["signature_value"].native)


@pytest.mark.parametrize("suite", ["p256", "p521", "ed448"])
def test_each_key_family(suite: str) -> None:
    der = signed(flagged(SKI, FALSE), leaf(suite))
    assert view(der).written == signed_part(der)
    assert flaw_of_signature(der, sub(suite).der) == ""
    other = "p256" if suite == "ed448" else "ed448"
    assert flaw_of_signature(der, sub(other).der) != ""
    validate([der, sub(suite).der], [root(suite).der], at=AT, cache=None)


@pytest.mark.parametrize("name", LIBERTIES)
def test_a_path_through_it_is_judged(name: str) -> None:
    _, whose, _, _ = LIBERTIES[name]
    der = written(name)
    chain = [der, sub().der] if whose is leaf else [leaf().der, der]
    path = validate(chain, [root().der], at=AT, cache=None)
    assert path.certificates == (*chain, root().der)


def test_a_path_whose_leaf_was_spelled_otherwise_after_signing_is_refused() -> None:
    der = written("critical FALSE")
    altered = assemble(signed_part(der), signature_algorithm(der), signature(leaf().der))
    with pytest.raises(V2GPKIError) as refused:
        validate([altered, sub().der], [root().der], at=AT, cache=None)
    assert refused.value.code == "path.bad_signature"


def test_a_leaf_with_ca_false_written_issues_nothing() -> None:
    parts = Parts.of(leaf().der)
    parts.issuer = tlv(0x30, b"".join(Parts.of(leaf().der).rdns))
    parts.extensions.pop(AKI)
    below = parts.sign(leaf().key)
    with pytest.raises(V2GPKIError) as refused:
        validate([below, written("cA FALSE"), sub().der], [root().der], at=AT, cache=None)
    assert "path.not_a_ca" in {finding.code for finding in refused.value.findings}


@pytest.mark.parametrize("name", LIBERTIES)
def test_the_linter_names_it(name: str) -> None:
    _, whose, _, codes = LIBERTIES[name]
    found = lint_certificate(written(name), LEAF, issuer=issuer_of(whose()).der)
    plain = lint_certificate(whose().der, LEAF, issuer=issuer_of(whose()).der)
    assert {one.code for one in found} - {one.code for one in plain} == codes
    severity = {one.severity for one in found if one.code in codes}
    assert severity == {"error" if "01" in name else "warning"}


def test_version_1_that_is_written() -> None:
    def version_1(parts: Parts) -> None:
        parts.version = b"\xa0\x03\x02\x01\x00"
        parts.extensions.clear()

    der = signed(version_1, leaf())
    assert view(der).liberties == ("version 1 is written although it is the default",)
    assert (view(der).ca, view(der).key_usage, view(der).x509.version.name) == (False, None, "v1")
    assert flaw_of_signature(der, sub().der) == ""


def differing_algorithms(parts: Parts) -> None:
    flagged(SKI, FALSE)(parts)
    parts.outer = tlv(0x30, oid("1.2.840.10045.4.3.3"))


def test_two_algorithms_are_no_signature() -> None:
    der = signed(differing_algorithms, leaf())
    assert "signature cannot be checked" in flaw_of_signature(der, sub().der)


#: One octet string, two or no meanings, or broken in another way as well.
REFUSED: dict[str, Change] = {
    "cA FALSE with a path length": put(BC, TRUE, b"\x30\x06\x01\x01\x00\x02\x01\x00"),
    "cA of two octets": put(BC, TRUE, b"\x30\x04\x01\x02\x00\x00"),
    "cA without content": put(BC, TRUE, b"\x30\x02\x01\x00"),
    "cA twice": put(BC, TRUE, tlv(0x30, FALSE + TRUE)),
    "cA behind the path length": put(BC, TRUE, b"\x30\x06\x02\x01\x00\x01\x01\x00"),
    "cA FALSE in a long length": put(BC, TRUE, b"\x30\x81\x03" + FALSE),
    "cA FALSE and octets behind": put(BC, TRUE, tlv(0x30, FALSE) + b"\x00"),
    "a path length with a spare zero": put(BC, TRUE, b"\x30\x07\x01\x01\x01\x02\x02\x00\x01"),
    "critical twice": put(SKI, FALSE + TRUE, b"\x04\x01a"),
    "critical of two octets": put(SKI, b"\x01\x02\x00\x00", b"\x04\x01a"),
    "critical behind the value": lambda parts: parts.more.append(
        tlv(0x30, oid("1.2.3") + tlv(0x04, b"\x05\x00") + FALSE)
    ),
    "critical FALSE and a second one of the kind": both(
        flagged(SKI, FALSE), lambda parts: parts.more.append(parts.extensions[SKI])
    ),
    "critical FALSE once, TRUE once": both(
        flagged(SKI, FALSE), lambda parts: parts.more.append(raw(SKI, TRUE, b"\x04\x01a"))
    ),
    "critical FALSE and a serial with a spare zero": both(
        flagged(SKI, FALSE), lambda parts: setattr(parts, "serial", b"\x02\x02\x00\x41")
    ),
    "critical FALSE and a long length": both(
        flagged(SKI, FALSE), lambda parts: parts.more.append(b"\x30\x81\x09" + oid("1.2.3") + b"\x04\x03\x02\x01\x00")
    ),
    "critical FALSE and version 9": both(
        flagged(SKI, FALSE), lambda parts: setattr(parts, "version", b"\xa0\x03\x02\x01\x08")
    ),
    "version 1 written, with extensions": lambda parts: setattr(parts, "version", b"\xa0\x03\x02\x01\x00"),
    "version 1 and version 3": lambda parts: setattr(parts, "version", b"\xa0\x03\x02\x01\x00\xa0\x03\x02\x01\x02"),
    "version 1 and version 3, no extensions": both(
        lambda parts: setattr(parts, "version", b"\xa0\x03\x02\x01\x00\xa0\x03\x02\x01\x02"),
        lambda parts: parts.extensions.clear(),
    ),
    "extensions twice": both(flagged(SKI, FALSE), lambda parts: setattr(parts, "unique", b"\xa3\x02\x30\x00")),
    "cA TRUE twice": put(BC, TRUE, tlv(0x30, ONE + TRUE)),
    "KeyUsage with unused bits set": put(KU, TRUE, b"\x03\x02\x07\x81"),
}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused(name: str, *, beside: bool) -> None:
    """Alone and beside a liberty that would be taken."""
    change = both(flagged(AKI, FALSE), REFUSED[name]) if beside else REFUSED[name]
    with pytest.raises(V2GPKIError) as refused:
        view(signed(change, leaf()))
    assert refused.value.code == "chain.malformed"


def test_octets_around_it_are_refused() -> None:
    der = written("critical FALSE")
    for broken in (der + b"\x00", der[:-1], b"\x30\x83\x00" + der[2:4] + der[4:], b"\x30\x80" + der[4:] + b"\x00\x00"):
        assert respelled(broken) is None
        with pytest.raises(V2GPKIError, match="cannot be read"):
            view(broken)


@given(st.data())
def test_a_damaged_one_is_refused_or_its_signature_is(data: st.DataObject) -> None:
    """And where it is still read with a liberty, the linter's own reader names one too."""
    whole = written(data.draw(st.sampled_from([name for name, row in LIBERTIES.items() if row[1] is leaf])))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 2))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    octets = bytes(damaged)
    try:
        seen = view(octets)
    except V2GPKIError:
        return
    if signed_part(octets) != signed_part(whole):
        assert flaw_of_signature(octets, sub().der) != ""
    facts = read_facts(octets)
    assert bool(seen.liberties) <= bool(facts.defaults or facts.flaws)


def test_files_that_hold_it_are_read() -> None:
    chain = [written("critical FALSE everywhere and cA FALSE"), sub().der]
    assert load_certificates(pem(chain)) == chain
    assert load_certificates(b"".join(chain)) == chain


def test_its_key_is_found_to_verify_messages() -> None:
    assert public_key_of(written("critical FALSE")) == public_key_of(leaf().der)


def test_what_the_library_reads_is_not_looked_at_twice() -> None:
    program = (
        "import json, sys; from v2gpki.certs.view import view; view(bytes.fromhex(sys.argv[1]));"
        "print(json.dumps([name for name in sys.modules if name.startswith('v2gpki.certs')]))"
    )
    for der, read in ((leaf().der, False), (written("cA FALSE"), True)):
        done = subprocess.run([sys.executable, "-c", program, der.hex()], capture_output=True, text=True, check=True)
        assert ("v2gpki.certs.spelling" in json.loads(done.stdout)) == read
    assert respelled(leaf().der) is None


def test_a_list_of_one_distribution_point_is_held_against_it() -> None:
    issuer = sub()
    point = [x509.UniformResourceIdentifier("http://crl.example/1")]
    scope = x509.IssuingDistributionPoint(
        full_name=point,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(AT)
        .next_update(AT + timedelta(days=7))
        .add_extension(scope, critical=True)
        .sign(issuer.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )

    def listed(parts: Parts) -> None:
        put(BC, TRUE, tlv(0x30, FALSE))(parts)
        points = x509.CRLDistributionPoints([x509.DistributionPoint(point, None, None, None)])
        parts.more.append(raw("2.5.29.31", b"", points.public_bytes()))

    states = [
        Evidence([crl]).status(view(der), view(issuer.der), AT + timedelta(days=1)).state
        for der in (signed(listed, leaf()), written("cA FALSE"))
    ]
    assert states == ["good", "unknown"]
