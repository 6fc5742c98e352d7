"""The CRL that a certificate names is that of the key that signed it, through every change of its authority."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH
from tests.servers.http.asgi import answered
from v2gpki.servers.http.crl import CrlApp
from v2gpki.servers.http.metrics import Metrics
from v2gpki.servers.http.tally import Tally
from v2gpki.services.browsing import Sights
from v2gpki.store.records import AuditEvent, AuthorityRecord
from v2gpki.wiring.ocsp import crl_publication

CA = v2gpki.CertificateAuthority
BASE = "http://crl.test/crl"
SLUG = "iso2-cpo-sub-ca-2"
POINTS = {"crl-dp": "on"}


@pytest.fixture
def ca(iso2: CA) -> CA:
    """A home that writes distribution points."""
    iso2.settings = replace(iso2.settings, crl_base=BASE)
    return iso2


@pytest.fixture
def app(ca: CA) -> CrlApp:
    return CrlApp(ca.store, ca.clock, publication=crl_publication(ca))


def point(der: bytes) -> str:
    """The one URL in a certificate's CRL distribution points."""
    found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.CRLDistributionPoints)
    (one,) = found.value
    assert one.full_name is not None
    return str(one.full_name[0].value)


def followed(app: CrlApp, der: bytes) -> x509.CertificateRevocationList:
    """The CRL at a certificate's distribution point."""
    answer = answered(app, "GET", point(der).removeprefix("http://crl.test"))
    assert answer.status == 200
    return x509.load_der_x509_crl(answer.body)


def key_of(authority: AuthorityRecord) -> x509.Certificate:
    return x509.load_der_x509_certificate(authority.der)


def signed_by(crl: x509.CertificateRevocationList, authority: AuthorityRecord) -> bool:
    return crl.is_signature_valid(key_of(authority).public_key())  # type: ignore[arg-type]  # a P-256 key


def retire(ca: CA, slug: str = SLUG) -> AuthorityRecord:
    old = ca.authority(slug)
    ca.store.set_authority_state(old.id, "retired", AuditEvent("authority.retired", "test", old.id), BIRTH)
    return old


def secc(ca: CA, number: int) -> bytes:
    return ca.issue("secc", id=f"DE*ABC*E{number}", edition="iso15118-2", options=POINTS).record.der


@pytest.mark.parametrize("reason", ["", "superseded", "cessationOfOperation", "unspecified"])
def test_each_leaf_finds_the_list_of_its_generation(ca: CA, app: CrlApp, reason: str) -> None:
    leaf = secc(ca, 1)
    gone = ca.issue("secc", id="DE*ABC*E9", edition="iso15118-2", options=POINTS).record
    ca.revoke(f"{gone.serial:x}", "keyCompromise")
    crl_publication(ca).run(BIRTH)
    if reason:
        old = ca.authority(SLUG)
        ca.revoke(f"{old.serial:x}", reason)
    else:
        old = retire(ca)
    # Nobody has taken its place: its leafs live, and its list is still there.
    assert signed_by(followed(app, leaf), old)
    new = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", options=POINTS)
    assert new.id == f"{SLUG}@2"
    assert new.subject_der == old.subject_der
    later = secc(ca, 2)
    crl_publication(ca).run(BIRTH)
    assert (point(leaf), point(later)) == (f"{BASE}/{SLUG}.crl", f"{BASE}/{SLUG}-2.crl")
    first, second = followed(app, leaf), followed(app, later)
    assert signed_by(first, old)
    assert signed_by(second, new)
    assert [entry.serial_number for entry in first] == [gone.serial]
    assert list(second) == []
    # Whoever has both lists tells them apart by the key identifier.
    for crl, authority in ((first, old), (second, new)):
        identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert identifier == authority.key_identifier
    # People who take it from the page get it under that name.
    sights = Sights(ca.store, ca.catalogue)
    assert [sights.crl(one.id)[1] for one in (old, new)] == [SLUG, f"{SLUG}-2"]
    for name, authority in ((f"{SLUG}@1", old), (f"{SLUG}@2", new), (f"{SLUG}%402", new)):
        assert signed_by(x509.load_der_x509_crl(answered(app, "GET", f"/crl/{name}.crl").body), authority)


def test_an_ended_generation_publishes_as_long_as_it_is_valid(ca: CA, app: CrlApp) -> None:
    assert isinstance(ca.clock, v2gpki.FixedClock)
    leaf = secc(ca, 1)
    old = ca.authority(SLUG)
    ca.revoke(f"{old.serial:x}", "superseded")
    ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", options=POINTS)
    ca.clock.moment = old.not_after - timedelta(days=1)
    crl_publication(ca).run(ca.clock.moment)
    found = followed(app, leaf)
    assert signed_by(found, old)
    assert found.last_update_utc == ca.clock.moment
    ca.clock.moment = old.not_after + timedelta(seconds=1)
    assert old.id not in {record.issuer_id for record in crl_publication(ca).run(ca.clock.moment)}


def test_authorities_below_a_new_generation_name_its_list(ca: CA, app: CrlApp) -> None:
    below = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="early", options=POINTS)
    retire(ca, "iso2-cpo-sub-ca-1")
    above = ca.create_authority("cpo-sub-ca-1", edition="iso15118-2", options=POINTS)
    late = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="late", options=POINTS)
    crl_publication(ca).run(BIRTH)
    assert point(below.der) == f"{BASE}/iso2-cpo-sub-ca-1.crl"
    assert point(late.der) == f"{BASE}/iso2-cpo-sub-ca-1-2.crl"
    assert signed_by(followed(app, late.der), above)
    assert not signed_by(followed(app, below.der), above)


def test_a_plan_below_a_new_generation_names_its_list(ca: CA) -> None:
    retire(ca, "iso2-cpo-sub-ca-1")
    retire(ca)
    plan = [replace(one, options=POINTS) if one.role == "cpo-sub-ca-2" else one for one in ca.plan(["iso15118-2"])]
    founded = ca.initialise(plan)
    assert {one.id for one in founded.authorities} == {"iso2-cpo-sub-ca-1@2", f"{SLUG}@2"}
    assert point(ca.authority(SLUG).der) == f"{BASE}/iso2-cpo-sub-ca-1-2.crl"


def test_two_authorities_never_share_a_name(ca: CA, app: CrlApp) -> None:
    """``x-2`` is the second generation of ``x``, unless an authority is called so."""
    for first, then in (("x", "x-2"), ("y-2", "y")):
        made = {}
        for slug in (first, then, "x" if first == "x" else "y"):
            if slug in made:
                retire(ca, slug)
            made[slug] = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug=slug, options=POINTS)
    retire(ca, "y-2")
    ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="y-2", options=POINTS)
    crl_publication(ca).run(BIRTH)
    names = {}
    for authority in ca.store.authorities():
        if authority.state == "active" and authority.role == "cpo-sub-ca-2":
            leaf = ca.issue("secc", id="DE*ABC*E5", edition="iso15118-2", issuer=authority.id, options=POINTS).record
            assert signed_by(followed(app, leaf.der), authority), authority.id
            names[point(leaf.der)] = authority.id
    assert len(names) == len(set(names.values())) == 5


def test_a_generation_is_taken_past_the_name_of_another(ca: CA, app: CrlApp) -> None:
    """``x@2`` is ``x-2.crl``: an authority created later as ``x-2`` begins with its own second generation."""
    ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="x", options=POINTS)
    retire(ca, "x")
    second = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="x", options=POINTS)
    other = ca.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="x-2", options=POINTS)
    assert (second.id, other.id) == ("x@2", "x-2@2")
    crl_publication(ca).run(BIRTH)
    for authority in (second, other):
        leaf = ca.issue("secc", id="DE*ABC*E5", edition="iso15118-2", issuer=authority.id, options=POINTS).record
        assert signed_by(followed(app, leaf.der), authority)


@pytest.mark.parametrize("name", ["iso2-cpo-sub-ca-2-1", "iso2-cpo-sub-ca-2-02", "iso2-cpo-sub-ca-2-2", "-2", "2"])
def test_names_that_nobody_was_given(ca: CA, app: CrlApp, name: str) -> None:
    crl_publication(ca).run(BIRTH)
    assert answered(app, "GET", f"/crl/{name}.crl").status == 404


@pytest.mark.parametrize("reason", ["keyCompromise", "cACompromise"])
def test_a_compromised_authority_signs_no_list(ca: CA, app: CrlApp, reason: str) -> None:
    """Its key is anybody's: its issuer's list says so, and its own last one stays as it is."""
    leaf = secc(ca, 1)
    old = ca.authority(SLUG)
    crl_publication(ca).run(BIRTH)
    before = ca.store.latest_crl(old.id)
    ca.revoke(f"{old.serial:x}", reason)
    assert isinstance(ca.clock, v2gpki.FixedClock)
    ca.clock.moment = BIRTH + timedelta(days=30)
    published = {record.issuer_id for record in crl_publication(ca).run(ca.clock.moment)}
    assert old.id not in published
    assert old.issuer_id in published
    assert ca.store.latest_crl(old.id) == before
    above = x509.load_der_x509_crl(answered(app, "GET", "/crl/iso2-cpo-sub-ca-1.crl").body)
    assert old.serial in [entry.serial_number for entry in above]
    assert signed_by(followed(app, leaf), old)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        ca.publish_crl(old.id)
    assert refused.value.code == "crl.issuer_compromised"


def test_the_lists_that_must_be_renewed_are_watched(ca: CA) -> None:
    """Those of ended authorities too, but not one that ends because nobody may sign it."""
    crl_publication(ca).run(BIRTH)
    superseded, stolen = ca.authority(SLUG), ca.authority("iso2-mo-sub-ca-2")
    ca.revoke(f"{superseded.serial:x}", "superseded")
    ca.revoke(f"{stolen.serial:x}", "keyCompromise")
    told = Metrics(Tally(["crl"]), ca.store, ca.clock, locked=False).text().decode().splitlines()
    watched = {line.split('"')[1] for line in told if line.startswith("v2gpki_crl_next_update_days{")}
    assert watched == {authority.id for authority in ca.store.authorities()} - {stolen.id}
    ends = {line.split('"')[1] for line in told if line.startswith("v2gpki_authority_expiry_days{")}
    assert ends == watched - {superseded.id}
