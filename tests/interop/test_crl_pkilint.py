"""pkilint's CRL linter finds no error in any list: empty, full, of an ended authority and of its successor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests.conftest import BIRTH, PASSPHRASE
from v2gpki import CertificateAuthority, CertificateOrder, FixedClock, open_authority
from v2gpki.store.records import REASONS, AuditEvent, CrlRecord, IntentRecord
from v2gpki.wiring.ocsp import crl_publication

if TYPE_CHECKING:
    from pkilint.validation import ValidatorContainer

pytestmark = pytest.mark.interop("pkilint")

#: pkilint's finding -> why we keep it.
TOLERATED: dict[str, str] = {}

Lists = dict[str, bytes]


@cache
def linter() -> ValidatorContainer:
    """What ``lint_crl lint --profile PKIX`` checks; CRL or ARL makes no difference to it."""
    from pkilint import pkix
    from pkilint.pkix import crl, extension, name

    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


def lint(der: bytes) -> set[str]:
    """The codes of pkilint's warnings and worse."""
    from pkilint.loader import RFC5280CertificateListDocumentLoader
    from pkilint.validation import ValidationFindingSeverity

    loaded = RFC5280CertificateListDocumentLoader().load_der_document(der, "list")
    return {
        found.finding.code
        for result in linter().validate(loaded.root)
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.WARNING
    }


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[CertificateAuthority]:
    """A home with every edition."""
    with open_authority(tmp_path / "home", passphrase=PASSPHRASE, create=True, clock=FixedClock(BIRTH)) as authority:
        authority.initialise(authority.plan(authority.catalogue.editions()), org="Acme", country="DE")
        yield authority


def published(ca: CertificateAuthority, *, after: timedelta) -> list[CrlRecord]:
    """Every list that is due so long after the home was made."""
    assert isinstance(ca.clock, FixedClock)
    ca.clock.moment = BIRTH + after
    return crl_publication(ca).run(ca.clock.moment)


def abandon_one_each(ca: CertificateAuthority) -> None:
    """Have every authority list a serial that was intended and never issued."""
    intents = [
        IntentRecord(f"{n:032x}", one.id, (0x41 << 152) + n, bytes(32), one.edition, "secc", "", "a test", BIRTH)
        for n, one in enumerate(ca.store.authorities())
    ]
    ca.store.record_intents(intents)
    ca.store.abandon([intent.reference for intent in intents], BIRTH, "a test")


def entries(record: CrlRecord) -> list[x509.RevokedCertificate]:
    return list(x509.load_der_x509_crl(record.der))


def codes(records: list[CrlRecord]) -> dict[str, set[str]]:
    """The findings that are not tolerated, by authority."""
    found = {record.issuer_id: lint(record.der) - set(TOLERATED) for record in records}
    return {issuer: said for issuer, said in found.items() if said}


def test_no_error_in_the_lists_of_any_authority(ca: CertificateAuthority) -> None:
    authorities = ca.store.authorities()
    empty = published(ca, after=timedelta(0))
    assert {record.issuer_id for record in empty} == {one.id for one in authorities}
    assert all(entries(record) == [] for record in empty)
    assert codes(empty) == {}
    # Every authority lists something, and one has all reasons.
    abandon_one_each(ca)
    leaves = [CertificateOrder("secc", f"DE*ABC*E{n}", "iso15118-2") for n in range(len(REASONS))]
    for issued, reason in zip(ca.issue_many(leaves), REASONS, strict=True):
        ca.revoke(f"{issued.record.serial:x}", reason)
    full = published(ca, after=timedelta(hours=1))
    assert {record.issuer_id for record in full} == {one.id for one in authorities}
    (richest,) = (record for record in full if record.issuer_id == "iso2-cpo-sub-ca-2@1")
    assert len(entries(richest)) == len(REASONS) + 1
    assert all(entries(record) for record in full)
    assert codes(full) == {}


def test_no_error_in_the_lists_of_an_ended_generation_and_of_its_successor(ca: CertificateAuthority) -> None:
    for role, ends in (("cpo-sub-ca-2", "retired"), ("cpo-sub-ca-1", "superseded"), ("v2g-root", "retired")):
        slug = f"iso2-{role}"
        old = ca.authority(slug)
        if ends == "retired":
            ca.store.set_authority_state(old.id, "retired", AuditEvent("authority.retired", "test", old.id), BIRTH)
        else:
            ca.revoke(f"{old.serial:x}", ends)
        assert ca.create_authority(role, edition="iso15118-2", issuer=old.issuer_id).id == f"{slug}@2"
    records = published(ca, after=timedelta(days=300))
    assert {f"iso2-{role}@{n}" for role in ("cpo-sub-ca-2", "cpo-sub-ca-1", "v2g-root") for n in (1, 2)} <= {
        record.issuer_id for record in records
    }
    assert codes(records) == {}


def test_no_error_in_the_lists_of_the_years_after_2049(ca: CertificateAuthority) -> None:
    """RFC 5280 5.1.2.4 to 5.1.2.6: GeneralizedTime from then on, UTCTime for what was revoked before."""
    abandon_one_each(ca)
    records = published(ca, after=timedelta(days=25 * 366))
    assert records
    for record in records:
        assert record.der.count(b"\x18\x0f2051") == 2
        assert len(entries(record)) == 1
    assert codes(records) == {}


#: octets of a list -> what stands there instead, and pkilint's word for it.
DEFECTS = {
    "a time without its Z": (lambda der: der.index(b"\x17\x0d") + 14, b"0", "pkix.utctime_incorrect_syntax"),
    "no CRLNumber": (lambda der: der.index(bytes.fromhex("551d14")) + 2, b"\x7f", "pkix.crl_number_missing"),
    "no AuthorityKeyIdentifier": (
        lambda der: der.index(bytes.fromhex("551d23")) + 2,
        b"\x7f",
        "pkix.authority_key_identifier_missing",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_pkilint_sees_a_defect(iso2: CertificateAuthority, defect: str) -> None:
    der = iso2.publish_crl("iso2-mo-sub-ca-2").der
    assert lint(der) == set()
    find, octet, code = DEFECTS[defect]
    at = find(der)
    assert code in lint(der[:at] + octet + der[at + 1 :])
