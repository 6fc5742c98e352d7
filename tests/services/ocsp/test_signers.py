"""OCSP signers: taken as they are, issued when missing, renewed in time, by one process."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.ocsp.conftest import signers_of
from v2gpki.certs.lint import lint_certificate
from v2gpki.services.ocsp import OcspSigners
from v2gpki.store.records import AuditEvent, CertificateRecord

CA = v2gpki.CertificateAuthority
SLUG = "iso2-cpo-sub-ca-2"


@pytest.fixture
def clock(iso2: CA) -> v2gpki.FixedClock:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    return iso2.clock


def held(ca: CA, authority: str = f"{SLUG}@1") -> list[CertificateRecord]:
    return ca.store.held_certificates("ocsp", authority)


def test_the_signers_of_init_are_used(iso2: CA) -> None:
    signers = signers_of(iso2)
    assert signers.renew(BIRTH) == []
    authority = iso2.authority(SLUG)
    current = signers.current(authority, BIRTH)
    assert current is not None
    assert current.template.certificate == held(iso2)[0].der
    assert set(signers.ends(BIRTH).values()) == {held(iso2)[0].not_after}


def test_a_signer_is_renewed_before_it_ends_and_meets_its_profile(iso2: CA, clock: v2gpki.FixedClock) -> None:
    (first,) = held(iso2)
    # A quarter of 90 days is left: 22 days and a half.
    clock.moment = first.not_after - timedelta(days=23)
    assert signers_of(iso2).renew(clock.moment) == []
    clock.moment = first.not_after - timedelta(days=22)
    renewed = signers_of(iso2).renew(clock.moment)
    assert {record.issuer_id for record in renewed} == {a.id for a in iso2.store.authorities()}
    new, old = held(iso2)
    assert old == first
    assert new.not_after - clock.moment > timedelta(days=89)
    assert new.key_id != old.key_id
    profile = iso2.catalogue.profile("iso15118-2", "ocsp")
    assert lint_certificate(new.der, profile, issuer=iso2.authority(SLUG).der) == ()
    issuer = x509.load_der_x509_certificate(iso2.authority(SLUG).der)
    x509.load_der_x509_certificate(new.der).verify_directly_issued_by(issuer)
    current = signers_of(iso2).current(iso2.authority(SLUG), clock.moment)
    assert current is not None
    assert current.serial == new.serial
    assert signers_of(iso2).renew(clock.moment) == []


def test_an_expired_signer_never_signs(iso2: CA, clock: v2gpki.FixedClock) -> None:
    (first,) = held(iso2)
    authority = iso2.authority(SLUG)
    signers = signers_of(iso2, issuing=False)
    assert signers.current(authority, first.not_after - timedelta(seconds=1)) is not None
    assert signers.current(authority, first.not_after) is None
    clock.moment = first.not_after
    assert signers_of(iso2, issuing=False).current(authority, clock.moment) is None
    current = signers_of(iso2).current(authority, clock.moment)
    assert current is not None
    assert current.serial != first.serial


def test_a_signer_that_is_not_valid_yet_is_passed_over(iso2: CA) -> None:
    (first,) = held(iso2)
    assert signers_of(iso2, issuing=False).current(iso2.authority(SLUG), first.not_before - timedelta(1)) is None


def test_a_revoked_signer_never_signs(iso2: CA) -> None:
    (first,) = held(iso2)
    iso2.revoke(f"{first.serial:x}", "keyCompromise")
    authority = iso2.authority(SLUG)
    assert signers_of(iso2, issuing=False).current(authority, BIRTH) is None
    current = signers_of(iso2).current(authority, BIRTH)
    assert current is not None
    assert current.serial != first.serial


def test_a_key_that_was_lost_is_replaced(iso2: CA) -> None:
    (first,) = held(iso2)
    assert iso2.vault is not None
    iso2.vault.remove(first.key_id)
    assert signers_of(iso2, issuing=False).current(iso2.authority(SLUG), BIRTH) is None
    current = signers_of(iso2).current(iso2.authority(SLUG), BIRTH)
    assert current is not None
    assert current.serial == held(iso2)[0].serial != first.serial


def test_a_locked_home_has_no_signer(iso2: CA) -> None:
    signers = signers_of(iso2, locked=True)
    assert signers.locked
    assert signers.current(iso2.authority(SLUG), BIRTH) is None
    assert signers.renew(BIRTH) == []


def test_a_signer_that_ends_with_its_authority_is_the_last(iso2: CA, clock: v2gpki.FixedClock) -> None:
    authority = iso2.authority(SLUG)
    clock.moment = authority.not_after - timedelta(days=30)
    record = signers_of(iso2).renew(clock.moment)
    (last,) = [one for one in record if one.issuer_id == authority.id]
    assert last.not_after == authority.not_after
    clock.moment = authority.not_after - timedelta(days=1)
    assert [one.issuer_id for one in signers_of(iso2).renew(clock.moment)].count(authority.id) == 0


def test_nothing_is_issued_below_a_revoked_authority(iso2: CA, clock: v2gpki.FixedClock) -> None:
    above = iso2.authority("iso2-cpo-sub-ca-1")
    iso2.revoke(f"{above.serial:x}", "cACompromise")
    (first,) = held(iso2)
    clock.moment = first.not_after
    signers = signers_of(iso2)
    assert signers.current(iso2.authority(SLUG), clock.moment) is None
    issuers = {record.issuer_id for record in signers.renew(clock.moment)}
    assert not issuers & {f"{SLUG}@1", above.id}
    assert "iso2-mo-sub-ca-2@1" in issuers


def test_a_retired_authority_issues_no_signer(iso2: CA, clock: v2gpki.FixedClock) -> None:
    event = AuditEvent("authority.retired", "test", f"{SLUG}@1")
    iso2.store.set_authority_state(f"{SLUG}@1", "retired", event, BIRTH)
    (first,) = held(iso2)
    clock.moment = first.not_after
    assert f"{SLUG}@1" not in {record.issuer_id for record in signers_of(iso2).renew(clock.moment)}
    own = signers_of(iso2).current(iso2.store.authority(f"{SLUG}@1") or iso2.authority(SLUG), clock.moment)
    assert own is not None
    assert own.template.certificate == b""


def test_two_processes_issue_one_signer(iso2: CA, clock: v2gpki.FixedClock) -> None:
    (first,) = held(iso2)
    clock.moment = first.not_after
    ready = threading.Barrier(2)
    with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=clock) as other:
        both: list[OcspSigners] = [signers_of(iso2), signers_of(other)]

        def renew(signers: OcspSigners) -> None:
            ready.wait()
            signers.renew(clock.moment)

        threads = [threading.Thread(target=renew, args=(one,)) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for authority in iso2.store.authorities():
        assert len(held(iso2, authority.id)) == 2, authority.id


def test_a_failure_is_not_tried_again_at_once(iso2: CA, clock: v2gpki.FixedClock) -> None:
    tries = []

    def issue(authority: object) -> CertificateRecord:
        tries.append(authority)
        raise v2gpki.V2GPKIError("store.locked", "busy")

    (first,) = held(iso2)
    clock.moment = first.not_after
    signers = OcspSigners(iso2.store, iso2.catalogue, iso2.vault, issue=issue)
    for seconds in (0, 1, 29):
        assert signers.current(iso2.authority(SLUG), clock.moment + timedelta(seconds=seconds)) is None
    assert len(tries) == 1
    signers.current(iso2.authority(SLUG), clock.moment + timedelta(seconds=31))
    assert len(tries) == 2
