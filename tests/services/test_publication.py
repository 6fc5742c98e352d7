"""CRLs are published when they are missing, when they will end, and soon after a revocation; by one process."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH
from v2gpki.services.publication import CrlPublication
from v2gpki.services.revocation import Revocation
from v2gpki.store.records import AuditEvent
from v2gpki.wiring.ocsp import crl_publication

CA = v2gpki.CertificateAuthority
WEEK = timedelta(days=7)


@pytest.fixture
def clock(iso2: CA) -> v2gpki.FixedClock:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    return iso2.clock


@pytest.fixture
def publication(iso2: CA) -> CrlPublication:
    return crl_publication(iso2)


def serials(ca: CA, authority: str) -> set[int]:
    record = ca.store.latest_crl(authority)
    assert record is not None
    return {entry.serial_number for entry in x509.load_der_x509_crl(record.der)}


def test_every_authority_gets_its_first_list(iso2: CA, publication: CrlPublication) -> None:
    published = publication.run(BIRTH)
    assert {record.issuer_id for record in published} == {a.id for a in iso2.store.authorities()}
    assert {record.number for record in published} == {1}
    assert {record.next_update - record.this_update for record in published} == {WEEK}
    assert publication.run(BIRTH) == []


def test_a_list_is_published_anew_before_it_ends(
    iso2: CA, publication: CrlPublication, clock: v2gpki.FixedClock
) -> None:
    publication.run(BIRTH)
    clock.moment = BIRTH + WEEK * 2 / 3 - timedelta(seconds=1)
    assert publication.run(clock.moment) == []
    clock.moment = BIRTH + WEEK * 2 / 3
    assert {record.number for record in publication.run(clock.moment)} == {2}


def test_a_revocation_is_published_out_of_turn(
    iso2: CA, publication: CrlPublication, clock: v2gpki.FixedClock
) -> None:
    publication.run(BIRTH)
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2").record
    clock.moment = BIRTH + timedelta(minutes=2)
    iso2.revoke(f"{secc.serial:x}", "superseded")
    clock.moment = BIRTH + timedelta(minutes=4)
    # Held back, so that ten revocations are one list.
    assert publication.run(clock.moment) == []
    clock.moment = BIRTH + timedelta(minutes=5)
    (record,) = publication.run(clock.moment)
    assert (record.issuer_id, record.number) == (secc.issuer_id, 2)
    assert serials(iso2, secc.issuer_id) == {secc.serial}
    clock.moment = BIRTH + timedelta(minutes=20)
    assert publication.run(clock.moment) == []
    # A process that has just started reads the whole log, and finds nothing to do either.
    assert crl_publication(iso2).run(clock.moment) == []


def test_a_revocation_in_the_second_of_a_publication_is_not_lost(
    iso2: CA, publication: CrlPublication, clock: v2gpki.FixedClock
) -> None:
    publication.run(BIRTH)
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2").record
    iso2.revoke(f"{secc.serial:x}", "superseded")
    clock.moment = BIRTH + timedelta(minutes=5)
    assert [record.issuer_id for record in publication.run(clock.moment)] == [secc.issuer_id]
    assert serials(iso2, secc.issuer_id) == {secc.serial}


def test_who_publishes(iso2: CA, publication: CrlPublication, clock: v2gpki.FixedClock) -> None:
    """A retired authority does, and a superseded one; one whose key was stolen and one that has ended do not."""
    retired, revoked = iso2.authority("iso2-cps-sub-ca-2"), iso2.authority("iso2-oem-sub-ca-2")
    superseded = iso2.authority("iso2-mo-sub-ca-2")
    iso2.revoke(f"{superseded.serial:x}", "superseded")
    event = AuditEvent("authority.retired", "test", retired.id)
    iso2.store.set_authority_state(retired.id, "retired", event, BIRTH)
    iso2.revoke(f"{revoked.serial:x}", "keyCompromise")
    issuers = {record.issuer_id for record in publication.run(BIRTH)}
    assert {retired.id, superseded.id} <= issuers
    assert revoked.id not in issuers
    clock.moment = min(a.not_after for a in iso2.store.authorities()) + timedelta(days=1)
    after = {record.issuer_id for record in publication.run(clock.moment)}
    assert after == {
        a.id for a in iso2.store.authorities() if a.not_after >= clock.moment and a.id != revoked.id
    }


def test_one_process_publishes(iso2: CA, publication: CrlPublication) -> None:
    with iso2.store.lease("crl", "another", BIRTH, 60) as mine:
        assert mine
        assert publication.run(BIRTH) == []
    assert publication.run(BIRTH) != []


def test_one_failure_stops_no_other(iso2: CA) -> None:
    assert iso2.vault is not None
    iso2.vault.remove("iso2-cps-sub-ca-2@1")
    sealed = []
    publication = CrlPublication(
        iso2.store,
        Revocation(iso2.store, iso2.vault, iso2.clock),
        lifetime=WEEK,
        seal=lambda: sealed.append(1),
    )
    with pytest.raises(v2gpki.V2GPKIError) as caught:
        publication.run(BIRTH)
    assert caught.value.code == "key.missing"
    published = {crl.issuer_id for crl in iso2.store.crls()}
    assert published == {a.id for a in iso2.store.authorities()} - {"iso2-cps-sub-ca-2@1"}
    assert sealed == [1]
