"""The guard and the full lint agree: for random holes, the findings of a sample without ``HOLE_CODES``
and the guard's are the full lint's on the final octets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.certs.lint.cases import SKI
from tests.certs.lint.foundry import (
    BEGIN,
    CN,
    DC,
    END,
    EVSEID,
    LEAF,
    LEAF_EXTENSIONS,
    SUB,
    C,
    O,
    Parts,
    assemble,
    ca_extensions,
    extension,
    leaf,
    mint,
    new_key,
    of_family,
    oid,
    raw_signature,
    rdn,
    spki_of,
    sub,
    subject_of,
    tlv,
)
from v2gpki.certs.lint import HOLE_CODES, HoleGuard, explanations, lint_certificate
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.identifiers import Identifier, parse
from v2gpki.profile.model import IdentifierRule, Profile, SizeRule

TEXTS = (
    "DE*ABC*E00001",
    "DEABCE00001",
    "DE8AA001234567",
    "DE-8AA-001234567-0",
    "DE8AA0012345671",
    "NL-TNM-012204-5",
    "huboemprovcqa0615",
    "WP012345678901234",
    "DE-ICE-S-00003C4D557878675645330967543476-2",
    "WMIV1234567890ABCDEX",
    "station@example",
    "A",
    "B" * 64,
)
KINDS = ("emaid", "pcid", "evseid", "seccid", "evccid", "cpid", "text")
FAMILIES = ("p256", "p521", "ed448")
STRINGS = {"utf8": 0x0C, "printable": 0x13}
MARGIN = 8  # how far an ECDSA signature may fall short of its largest size in these tests


def identifiers() -> list[Identifier]:
    found = []
    for kind in KINDS:
        for text in TEXTS:
            try:
                found.append(parse(kind, text))
            except V2GPKIError:
                continue
    return found


def keys() -> dict[str, bytes]:
    """SubjectPublicKeyInfo good and bad; the compressed and the broken ones are put together by hand."""
    good = {family: spki_of(new_key(family).public_key()) for family in FAMILIES}
    point = new_key("p256").public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = tlv(0x30, oid("1.2.840.10045.2.1") + oid("1.2.840.10045.3.1.7"))
    return good | {
        "compressed": tlv(0x30, algorithm + tlv(0x03, b"\x00" + point)),
        "off the curve": good["p256"][:-1] + bytes((good["p256"][-1] ^ 1,)),
        "off the larger curve": good["p521"][:-1] + bytes((good["p521"][-1] ^ 1,)),
        "p384": spki_of(ec.generate_private_key(ec.SECP384R1()).public_key()),
    }


IDENTIFIERS = identifiers()
SPKIS = keys()

ISSUER_BEGIN, ISSUER_END = datetime(2025, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
SPAN = int((ISSUER_END - ISSUER_BEGIN).total_seconds())
offsets = st.one_of(st.integers(-2, 2), st.integers(-40_000_000, SPAN + 40_000_000), st.integers(SPAN - 2, SPAN + 2))


def with_holes(
    good: Parts,
    *,
    identifier: Identifier | None,
    tag: int,
    begin: datetime,
    end: datetime,
    spki: bytes,
) -> Parts:
    """The final certificate's parts, as an issuing template would fill them."""
    parts = replace(good, rdns=list(good.rdns), extensions=dict(good.extensions), more=[])
    if identifier is None:
        parts.rdns.pop(0)
    else:
        parts.rdns[0] = rdn("2.5.4.3", identifier.normal, tag)
    parts.not_before, parts.not_after = time(begin), time(end)
    parts.spki = spki
    key = x509.SubjectKeyIdentifier(hashlib.sha1(octets_of(spki)).digest()).digest
    parts.extensions[SKI] = extension(SKI, tlv(0x04, key))
    return parts


def octets_of(spki: bytes) -> bytes:
    """What RFC 5280 method 1 hashes."""
    from asn1crypto.core import BitString, Sequence

    return bytes(Sequence.load(spki)[1].contents[1:]) if isinstance(Sequence.load(spki)[1], BitString) else b""


def time(moment: datetime) -> bytes:
    if moment.year < 2050:
        return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def words(findings: tuple[Finding, ...]) -> set[tuple[str, str, str, str, str]]:
    return {(found.code, found.severity, found.message, found.where, found.clause) for found in findings}


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    family = draw(st.sampled_from(FAMILIES))
    kinds = tuple(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True)))
    presence = draw(st.sampled_from(["required", "optional"]))
    string = draw(st.sampled_from(sorted(STRINGS)))
    carrier = replace(CN, string=string, presence=presence)
    longest = draw(st.sampled_from([None, timedelta(days=90), timedelta(seconds=2)]))
    profile = replace(
        of_family(LEAF, family),
        identifier=IdentifierRule(kinds=kinds, required=draw(st.booleans()), clause="id"),
        subject=replace(LEAF.subject, attributes=(carrier, O, C, DC)),
        validity=replace(LEAF.validity, maximum=longest, minimum=draw(st.sampled_from([None, timedelta(days=1)]))),
        size=SizeRule(maximum=draw(st.sampled_from([1600, 1600, 1600, 300, 480, 500, 520, 640, 660, 680]))),
        conformant=draw(st.booleans()),
        ocsp_nocheck=draw(st.booleans()),
    )
    return replace(profile, basic_constraints=replace(profile.basic_constraints, ca=draw(st.booleans())))


@st.composite
def holes(draw: st.DrawFn) -> tuple[Profile, Identifier | None, int, int, str]:
    """A profile and what fills its holes: mostly good values, so that one bad hole among good ones is frequent."""
    profile = draw(profiles())
    good = sorted({one.kind for one in IDENTIFIERS} & set(profile.identifier.kinds))
    fitting = [one for one in IDENTIFIERS if one.kind in good] or IDENTIFIERS
    identifier = draw(st.one_of(st.sampled_from(fitting), st.sampled_from([*IDENTIFIERS, None])))
    start = int((BEGIN - ISSUER_BEGIN).total_seconds())
    days = 86_400 if profile.validity.maximum != timedelta(seconds=2) else 2
    period = draw(st.one_of(st.just((start, start + days)), st.tuples(offsets, offsets)))
    spki = draw(st.one_of(st.just(profile.suite), st.sampled_from(sorted(SPKIS))))
    return profile, identifier, *period, spki


@settings(max_examples=400)
@given(holes())
def test_guard_and_sample_say_what_the_full_lint_says(drawn: tuple[Profile, Identifier | None, int, int, str]) -> None:
    profile, identifier, begin, end, spki = drawn
    good = Parts.of(authority(profile.suite) if profile.basic_constraints.ca else leaf(profile.suite).der)
    issuer = sub(profile.suite)
    tag = STRINGS[profile.subject.attributes[0].string]
    sample = with_holes(
        good, identifier=parse("text", "A"), tag=tag, begin=BEGIN, end=END, spki=SPKIS[profile.suite]
    ).sign(issuer.key)
    constant = tuple(
        found for found in lint_certificate(sample, profile, issuer=issuer.der) if found.code not in HOLE_CODES
    )

    not_before = ISSUER_BEGIN + timedelta(seconds=begin)
    not_after = ISSUER_BEGIN + timedelta(seconds=end)
    parts = with_holes(
        good, identifier=identifier, tag=tag, begin=not_before, end=not_after, spki=SPKIS[spki]
    )
    tbs = parts.tbs()
    final = assemble(tbs, parts.algorithm, raw_signature(issuer.key, tbs))
    largest = len(assemble(tbs, parts.algorithm, bytes({"p256": 72, "p521": 139, "ed448": 114}[profile.suite])))

    guard = HoleGuard(
        profile, issuer_not_before=ISSUER_BEGIN, issuer_not_after=ISSUER_END, issuer_path_length=0
    )
    holes = guard.check(
        identifier=identifier, not_before=not_before, not_after=not_after, spki=SPKIS[spki], size=largest
    )
    full = lint_certificate(final, profile, issuer=issuer.der)

    size = "lint.size.too_large"
    expected = words(constant + holes)
    assert {row for row in expected if row[0] != size} == {row for row in words(full) if row[0] != size}
    too_large = {row[0] for row in expected} & {size}, {row[0] for row in words(full)} & {size}
    assert largest - MARGIN <= len(final) <= largest
    assert too_large == (
        {size} if largest > profile.size.maximum else set(),
        {size} if len(final) > profile.size.maximum else set(),
    )


@lru_cache
def authority(suite: str) -> bytes:
    """A CA certificate below an issuer whose path length leaves no room for it."""
    above = sub(suite)
    extensions = [*ca_extensions(None), LEAF_EXTENSIONS[2]]
    name = subject_of(EVSEID, dc="CPO", country="DE")
    return mint(name, new_key(suite).public_key(), above, above.key, extensions)


def test_hole_codes_are_codes() -> None:
    assert set(explanations()) >= HOLE_CODES


CARRIER = replace(CN, string="printable")


@pytest.mark.parametrize(
    ("change", "profile", "code"),
    [
        ({"identifier": None}, LEAF, "lint.identifier.missing"),
        ({"identifier": parse("text", "station 1")}, LEAF, "lint.identifier.kind"),
        (
            {"identifier": parse("cpid", "B" * 64)},
            replace(
                LEAF,
                identifier=IdentifierRule(kinds=("cpid",)),
                subject=replace(LEAF.subject, attributes=(replace(CN, value="X{id}"), O, DC)),
            ),
            "lint.identifier.length",
        ),
        (
            {"identifier": parse("evseid", EVSEID)},
            replace(LEAF, subject=replace(LEAF.subject, attributes=(CARRIER, O, DC))),
            "lint.identifier.characters",
        ),
        (
            {"identifier": parse("emaid", "DE8AA0012345671")},
            replace(LEAF, identifier=IdentifierRule(kinds=("emaid",))),
            "lint.identifier.doubtful",
        ),
        ({"not_after": BEGIN + timedelta(seconds=86_399)}, LEAF, "lint.validity.too_short"),
        ({"not_after": BEGIN + timedelta(days=92, seconds=1)}, LEAF, "lint.validity.too_long"),
        ({"not_after": BEGIN - timedelta(seconds=1)}, LEAF, "lint.validity.order"),
        ({"spki": SPKIS["p521"]}, LEAF, "lint.key.suite"),
        ({"spki": SPKIS["compressed"]}, LEAF, "lint.key.point_form"),
        ({"spki": SPKIS["off the curve"]}, LEAF, "lint.key.not_on_curve"),
        ({"size": LEAF.size.maximum + 1}, LEAF, "lint.size.too_large"),
        (
            {},
            replace(LEAF, basic_constraints=replace(LEAF.basic_constraints, ca=True)),
            "lint.issuer.path_length",
        ),
    ],
)
def test_one_bad_hole(change: dict[str, object], profile: Profile, code: str) -> None:
    guard = HoleGuard(profile, issuer_not_before=BEGIN, issuer_not_after=ISSUER_END, issuer_path_length=0)
    values: dict[str, object] = {
        "identifier": parse("evseid", EVSEID),
        "not_before": BEGIN,
        "not_after": BEGIN + timedelta(days=92),
        "spki": SPKIS["p256"],
        "size": profile.size.maximum,
    }
    found = guard.check(**(values | change))
    assert [finding.code for finding in found] == [code]


def test_clean_holes_cost_nothing() -> None:
    guard = HoleGuard(LEAF, issuer_not_before=BEGIN, issuer_not_after=END, issuer_path_length=0)
    spki = SPKIS["p256"]
    arguments = {"identifier": parse("evseid", EVSEID), "spki": spki, "size": LEAF.size.maximum}
    assert guard.check(not_before=BEGIN, not_after=END, **arguments) == ()
    late = guard.check(not_before=BEGIN, not_after=END + timedelta(seconds=1), **arguments)
    early = guard.check(not_before=BEGIN - timedelta(seconds=1), not_after=END, **arguments)
    assert [found.code for found in late] == ["lint.validity.outlives_issuer"]
    assert [found.code for found in early] == ["lint.validity.before_issuer"]


def test_root_needs_no_issuer() -> None:
    profile = replace(SUB, issuers=(), kind="root")
    found = HoleGuard(profile).check(
        identifier=None, not_before=BEGIN, not_after=END, spki=SPKIS["p256"], size=profile.size.maximum + 1
    )
    assert [finding.code for finding in found] == ["lint.size.too_large"]


def test_role_without_identifier_refuses_one() -> None:
    guard = HoleGuard(SUB, issuer_not_before=BEGIN, issuer_not_after=END)
    found = guard.check(
        identifier=parse("evseid", EVSEID), not_before=BEGIN, not_after=END, spki=SPKIS["p256"], size=500
    )
    assert [finding.code for finding in found] == ["lint.identifier.kind"]


@pytest.mark.parametrize("family", ["p256", "p521"])
@given(data=st.data())
def test_point_arithmetic_agrees_with_the_library(family: str, data: st.DataObject) -> None:
    """OpenSSL's judgement of the same octets: on the curve, or not."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from v2gpki.certs.lint.key import key_judge

    spki = bytearray(SPKIS[family])
    size = {"p256": 64, "p521": 132}[family]
    at = data.draw(st.integers(0, size - 1))
    spki[len(spki) - 1 - at] ^= data.draw(st.integers(0, 255))
    try:
        load_der_public_key(bytes(spki))
        loads = True
    except ValueError:
        loads = False
    assert key_judge(family).accepts(bytes(spki)) == loads


