"""The pool of roots: what is taken, who is trusted for what, and what a decision changes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import PASSPHRASE
from tests.services.pool_world import AT, World, refusing
from v2gpki.certs.view import view
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.services.pools import RootPolicy, RootPool
from v2gpki.store.records import AuditEvent

ROLES = ("v2g-root", "oem-root", "mo-root", "private-root")


@pytest.fixture
def world(iso2: v2gpki.CertificateAuthority) -> World:
    return World(iso2)


def own(world: World, slug: str) -> bytes:
    return world.ca.authority(slug).der


def root(
    *,
    dc: str = "V2G",
    years: int = 40,
    ca: bool = True,
    signs: bool = True,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
    issuer: str = "",
    begins: datetime = AT - timedelta(days=1),
) -> bytes:
    """A foreign root, or something that nearly is one, by cryptography's builder."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = [x509.NameAttribute(NameOID.COMMON_NAME, "Foreign Root")]
    if dc:
        name.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, dc))
    subject = x509.Name(name)
    given = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else subject
    usage = [False] * 9
    usage[5], usage[6] = signs, True
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(given)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins.replace(year=begins.year + years))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(signer or key, hashes.SHA256()).public_bytes(Encoding.DER)


def refused(world: World, der: bytes, code: str, **more: str) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        world.roots.add(der, at=AT, caller="test", **more)  # type: ignore[arg-type]  # by name
    assert caught.value.code == code
    assert caught.value.hint
    assert code in CODES
    assert world.ca.store.pools.roots() == []
    assert world.seals == 0
    return caught.value


# -- own roots ------------------------------------------------------------------------------------


def test_own_roots_are_trusted_for_their_role_without_a_decision(world: World) -> None:
    for role in ("v2g-root", "oem-root", "mo-root"):
        trusted = world.roots.trusted(role, "iso15118-2")
        assert [(anchor.der, anchor.role) for anchor in trusted] == [(own(world, f"iso2-{role}"), role)]
    both = world.roots.trusted(("oem-root", "v2g-root"), "iso15118-2")
    assert {anchor.role for anchor in both} == {"oem-root", "v2g-root"}


def test_own_roots_count_in_their_own_edition_and_family(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    p256 = {anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-2")}
    iso20 = {anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-20")}
    assert p256 == {own(world, "iso2-v2g-root")}
    assert iso20 == {own(world, "iso20-p521-v2g-root"), own(world, "iso20-ed448-v2g-root")}
    assert world.roots.trusted("v2g-root", "lab-ecog-20") == ()


def test_sub_cas_are_no_roots(world: World) -> None:
    assert {entry.role for entry in world.roots.list()} <= set(ROLES)
    assert world.roots.trusted("oem-sub-ca-1", "iso15118-2") == ()


def test_an_unknown_edition_is_an_error(world: World) -> None:
    with refusing("profile.unknown_edition"):
        world.roots.trusted("v2g-root", "iso15118-3")


@pytest.mark.parametrize(("state", "expected"), [("retired", 1), ("revoked", 0)])
def test_a_retired_root_stays_an_anchor_a_revoked_one_does_not(world: World, state: str, expected: int) -> None:
    assert len(world.roots.trusted("oem-root", "iso15118-2")) == 1
    event = AuditEvent("authority", "test", "", {})
    authority = world.ca.authority("iso2-oem-root")
    world.ca.store.set_authority_state(authority.id, "retired" if state == "retired" else "revoked", event, AT)
    assert len(world.roots.trusted("oem-root", "iso15118-2")) == expected
    assert world.roots.standing(authority.der) == ("trusted" if expected else "", "")


def test_the_policy_may_leave_retired_roots_out(iso2: v2gpki.CertificateAuthority) -> None:
    world = World(iso2, roots_policy=RootPolicy(own_states=("active",)))
    iso2.store.set_authority_state(iso2.authority("iso2-oem-root").id, "retired", AuditEvent("a", "test", "", {}), AT)
    assert world.roots.trusted("oem-root", "iso15118-2") == ()


def test_an_own_root_can_be_refused_and_trusted_again(world: World) -> None:
    assert world.roots.refuse("iso2-oem-root", comment="audit", at=AT, caller="test").changed
    assert world.roots.trusted("oem-root", "iso15118-2") == ()
    entry = world.roots.find("iso2-oem-root")
    assert (entry.decision, entry.reason, entry.authority) == ("refused", "decided", "iso2-oem-root@1")
    assert entry.decided is not None
    assert (entry.decided.comment, entry.decided.decided_by) == ("audit", "test")
    assert world.roots.trust("iso2-oem-root", at=AT, caller="test").changed
    assert len(world.roots.trusted("oem-root", "iso15118-2")) == 1


def test_nobody_brings_a_revoked_root_back(world: World) -> None:
    world.roots.trust("iso2-oem-root", comment="written", at=AT, caller="test")
    record = world.ca.authority("iso2-oem-root")
    world.ca.revoke(f"{record.serial:x}", "keyCompromise")
    assert world.roots.trusted("oem-root", "iso15118-2") == ()
    assert world.roots.find(view(record.der).fingerprint.hex()).reason == "revoked"
    with refusing("pool.revoked_root"):
        world.roots.trust(view(record.der).fingerprint.hex(), at=AT, caller="test")


# -- foreign roots --------------------------------------------------------------------------------


def test_a_foreign_root_is_nobody_until_it_is_added(world: World) -> None:
    der = root()
    before = world.roots.trusted("v2g-root", "iso15118-2")
    added = world.roots.add(der, at=AT, caller="alice", comment="by fax")
    assert (added.changed, added.entry.role, added.entry.decision) == (True, "v2g-root", "trusted")
    assert [anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-2")] == [
        *(anchor.der for anchor in before),
        der,
    ]
    assert der not in {anchor.der for anchor in world.roots.trusted(("oem-root", "mo-root"), "iso15118-2")}
    assert world.seals == 1
    assert world.audit("root.decided") == [view(der).fingerprint.hex()]


def test_a_decided_root_counts_in_every_edition_of_its_key_family(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    der = root(key=ec.generate_private_key(ec.SECP521R1()))
    world.roots.add(der, at=AT, caller="test")
    assert der in {anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-20")}
    assert der not in {anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-2")}


def test_adding_the_same_again_changes_nothing_and_says_so(world: World) -> None:
    der = root()
    first = world.roots.add(der, at=AT, caller="alice", comment="by fax")
    again = world.roots.add(der, at=AT + timedelta(days=9), caller="bob")
    assert not again.changed
    assert again.entry == first.entry
    assert world.seals == 1
    assert len(world.audit("root.decided")) == 1
    other = world.roots.add(der, at=AT, caller="bob", comment="seen again")
    assert other.changed
    assert len(world.ca.store.pools.roots()) == 1


def test_adding_an_own_root_is_nothing_new(world: World) -> None:
    added = world.roots.add(own(world, "iso2-v2g-root"), at=AT, caller="test")
    assert not added.changed
    assert added.entry.reason == "own"
    assert world.ca.store.pools.roots() == []


def test_a_role_that_was_recognised_is_said(world: World) -> None:
    recognised = world.roots.add(root(dc="MO"), at=AT, caller="test")
    assert recognised.entry.role == "mo-root"
    assert "pool.role_recognised" in {finding.code for finding in recognised.findings}
    named = world.roots.add(root(dc="V2G"), role="oem-root", at=AT, caller="test")
    assert named.entry.role == "oem-root"
    assert "pool.role_recognised" not in {finding.code for finding in named.findings}
    assert len(world.roots.trusted("oem-root", "iso15118-2")) == 2


def test_the_role_can_be_changed(world: World) -> None:
    """A manufacturer's root with DC=V2G, as one in the field has it: taken for a V2G root until somebody looks."""
    der = root(dc="V2G")
    world.roots.add(der, at=AT, caller="test")
    world.roots.trust(view(der).fingerprint.hex(), role="oem-root", at=AT, caller="test")
    assert der not in {anchor.der for anchor in world.roots.trusted("v2g-root", "iso15118-2")}
    assert der in {anchor.der for anchor in world.roots.trusted("oem-root", "iso15118-2")}


def test_a_root_whose_use_nobody_can_tell_needs_a_role(world: World) -> None:
    problem = refused(world, root(dc=""), "pool.unknown_role")
    assert "oem-root" in problem.hint
    assert refused(world, root(), "pool.unknown_role", role="cps").facts["role"] == "cps"
    assert world.roots.add(root(dc=""), role="private-root", at=AT, caller="test").entry.role == "private-root"


def test_what_is_no_root_is_refused(world: World) -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    refused(world, root(issuer="Somebody Else"), "pool.not_self_signed")
    refused(world, root(key=key, signer=other), "pool.not_self_signed")
    refused(world, own(world, "iso2-oem-sub-ca-1"), "pool.not_self_signed")
    refused(world, root(ca=False), "pool.not_a_ca")
    refused(world, root(signs=False), "pool.not_a_ca")
    refused(world, root(key=rsa.generate_private_key(65537, 2048)), "pool.wrong_family")
    refused(world, root(key=ec.generate_private_key(ec.SECP384R1())), "pool.wrong_family")
    refused(world, b"\x30\x03\x02\x01\x00", "chain.malformed")


def test_a_root_that_is_over_is_refused_up_to_the_second(world: World) -> None:
    begins = AT.replace(year=AT.year - 10)
    assert world.roots.add(root(begins=begins, years=10), at=AT, caller="test").changed
    with refusing("pool.root_over"):
        world.roots.add(root(begins=begins, years=10), at=AT + timedelta(seconds=1), caller="test")


def test_a_v2g_root_should_have_35_years_left(world: World) -> None:
    """35 years have at least 8 leap days: 35 * 365 + 8 = 12783 days."""
    der = root(begins=AT, years=36)
    short = "pool.root_short_lived"
    limit = view(der).not_after - timedelta(days=12783)
    assert short not in {finding.code for finding in world.roots.add(der, at=limit, caller="test").findings}
    late = world.roots.add(der, at=limit + timedelta(seconds=1), caller="test")
    assert [finding.severity for finding in late.findings if finding.code == short] == ["warning"]
    oem = world.roots.add(root(dc="OEM", years=2), at=AT, caller="test")
    assert short not in {finding.code for finding in oem.findings}


def test_deviations_from_the_profile_are_told_as_warnings(world: World) -> None:
    added = world.roots.add(root(), at=AT, caller="test")
    assert {finding.severity for finding in added.findings} <= {"warning", "info"}
    assert "lint.subject.missing" in {finding.code for finding in added.findings}


def test_a_fingerprint_of_another_root_is_refused(world: World) -> None:
    der = root()
    mine = hashlib.sha256(der).hexdigest()
    wrong = mine[:-1] + ("0" if mine[-1] != "0" else "1")
    assert refused(world, der, "pool.wrong_fingerprint", fingerprint=wrong).facts["fingerprint"] == mine
    assert "64 hex digits" in refused(world, der, "pool.wrong_fingerprint", fingerprint=mine[:16]).hint
    colons = ":".join(mine[at : at + 2].upper() for at in range(0, 64, 2))
    assert world.roots.add(der, fingerprint=colons, at=AT, caller="test").changed


def test_a_foreign_root_can_be_refused_and_trusted_again(world: World) -> None:
    der = root()
    name = view(der).fingerprint.hex()[:12]
    world.roots.add(der, at=AT, caller="test")
    assert len(world.roots.trusted("v2g-root", "iso15118-2")) == 2
    assert world.roots.refuse(name, at=AT, caller="test").changed
    assert len(world.roots.trusted("v2g-root", "iso15118-2")) == 1
    assert not world.roots.refuse(name, at=AT, caller="test").changed
    assert world.roots.trust(name, at=AT, caller="test").changed
    assert len(world.roots.trusted("v2g-root", "iso15118-2")) == 2


def test_a_root_can_be_refused_before_it_was_ever_trusted(world: World) -> None:
    over = root(dc="", begins=AT.replace(year=AT.year - 10), years=2)
    added = world.roots.add(over, decision="refused", at=AT, caller="test")
    assert (added.entry.decision, added.entry.role) == ("refused", "")
    with refusing("pool.root_over"):
        world.roots.trust(view(over).fingerprint.hex(), role="v2g-root", at=AT, caller="test")


def test_roots_are_found_by_the_start_of_their_fingerprint_or_their_authority(world: World) -> None:
    one = world.roots.find("iso2-v2g-root")
    assert world.roots.find(one.authority) == one
    assert world.roots.find(one.fingerprint.hex()[:8].upper()) == one
    for unknown in ("", "abc", "ffffffffffff", "iso2-v2g"):
        with refusing("pool.unknown_root"):
            world.roots.find(unknown)


def test_an_ambiguous_start_is_refused_with_the_candidates(world: World) -> None:
    """Foreign roots until two share four hex digits with each other: 65,536 starts, so draw until it happens."""
    seen: dict[str, bytes] = {entry.fingerprint.hex()[:4]: entry.der for entry in world.roots.list()}
    key = ec.generate_private_key(ec.SECP256R1())
    while True:
        der = root(key=key)
        start = hashlib.sha256(der).hexdigest()[:4]
        if start in seen:
            break
        seen[start] = der
    world.roots.add(der, at=AT, caller="test")
    if seen[start] not in {entry.der for entry in world.roots.list()}:
        world.roots.add(seen[start], at=AT, caller="test")
    with refusing("pool.ambiguous") as caught:
        world.roots.find(start)
    assert len(caught.value.facts["candidates"]) == 2  # type: ignore[arg-type]  # a fact may be anything


def test_a_decision_of_another_process_is_noticed(world: World, iso2: v2gpki.CertificateAuthority) -> None:
    assert len(world.roots.trusted("v2g-root", "iso15118-2")) == 1
    with v2gpki.open_authority(
        iso2.home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(datetime(2026, 3, 2, tzinfo=UTC)), caller="other"
    ) as other:
        World(other).roots.add(root(), at=AT, caller="other")
    assert len(world.roots.trusted("v2g-root", "iso15118-2")) == 2


def test_a_home_that_cannot_be_sealed_is_not_written(iso2: v2gpki.CertificateAuthority) -> None:
    def locked() -> None:
        raise V2GPKIError("home.locked", "locked", hint="unlock")

    pool = RootPool(iso2.store, iso2.catalogue, lambda: None, ready=locked)
    with refusing("home.locked"):
        pool.add(root(), at=AT, caller="test")
    assert iso2.store.pools.roots() == []
