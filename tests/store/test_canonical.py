"""The octets that are hashed and signed, written out by hand as the module's text says; SHA-256 is the library's."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import ISSUER, LATER, NOW, certificate, changed, intent
from v2gpki.errors import V2GPKIError
from v2gpki.store import canonical
from v2gpki.store.details import issued_details
from v2gpki.store.records import CertificateRecord, CrlRecord

# 2026-03-01T12:00:00Z: 20454 * 24 h + 12 h after 1970 (56 years of 365 days, 14 leap days 1972..2024, 31 + 28 days)
NOW_SECONDS = (56 * 365 + 14 + 31 + 28) * 86_400 + 12 * 3_600


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def i64(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


def test_seconds() -> None:
    assert canonical.seconds(NOW) == NOW_SECONDS
    assert canonical.seconds(NOW + timedelta(microseconds=999_999)) == NOW_SECONDS
    assert canonical.moment(NOW_SECONDS) == NOW
    assert canonical.seconds(canonical.EPOCH - timedelta(seconds=1)) == -1
    with pytest.raises(TypeError):
        canonical.seconds(NOW.replace(tzinfo=None))
    with pytest.raises(V2GPKIError, match=r"store\.damaged"):
        canonical.moment(10**15)


def test_a_row_octet_by_octet() -> None:
    texts = ("certificate.issued", "cli:müller", "a@1/4f", '{"role":"secc"}')
    octets = b"v2gpki/audit-row/1\x00" + b"\x07" * 32 + (5).to_bytes(8, "big") + i64(NOW_SECONDS)
    # ü is two octets in UTF-8
    octets += u32(18) + u32(11) + u32(6) + u32(15)
    octets += b"certificate.issued" + b"cli:m\xc3\xbcller" + b"a@1/4f" + b'{"role":"secc"}'
    assert canonical.row_digest(b"\x07" * 32, 5, NOW_SECONDS, texts) == sha256(octets).digest()


def test_a_head_octet_by_octet() -> None:
    octets = b"v2gpki/audit-head/1\x00" + (9).to_bytes(8, "big") + i64(NOW_SECONDS) + b"\xaa" * 32 + b"home"
    assert canonical.head_message("home", 9, b"\xaa" * 32, NOW) == octets


def test_a_crl_octet_by_octet() -> None:
    record = CrlRecord("a@1", 0x1F, NOW, NOW + timedelta(seconds=1), b"der!")
    octets = b"v2gpki/crl/1\x00" + u32(3) + u32(2) + u32(8) + u32(8) + u32(4)
    octets += b"a@1" + b"1f" + i64(NOW_SECONDS) + i64(NOW_SECONDS + 1) + b"der!"
    assert canonical.crl_digest(record) == sha256(octets).digest()


def test_a_certificate_octet_by_octet() -> None:
    record = certificate(intent(1))
    texts = [
        ISSUER.encode(),
        b"%x" % record.serial,
        record.fingerprint,
        b"iso15118-2",
        b"p256",
        b"secc",
        b"DEACME000001",
        b"CN=DEACME000001,O=Acme,DC=CPO",
        b"5f" * 32,
        b"factory",
        b"",
    ]
    octets = b"v2gpki/certificate/1\x00" + b"".join(u32(len(text)) for text in texts) + u32(8) * 3 + b"".join(texts)
    octets += i64(NOW_SECONDS) + i64(canonical.seconds(record.not_after)) + i64(NOW_SECONDS + 1)
    assert canonical.certificate_digest(record) == sha256(octets).digest()


FIXED_FIELDS = {
    "issuer_id": "other@1",
    "serial": 5,
    "fingerprint": bytes(32),
    "edition": "iso15118-20",
    "suite": "p521",
    "role": "cps",
    "identifier": "x",
    "subject": "CN=x",
    "profile": "00",
    "caller": "other",
    "key_id": "k",
    "not_before": LATER,
    "not_after": NOW,
    "issued_at": LATER,
}


@pytest.mark.parametrize("name", FIXED_FIELDS)
def test_every_fixed_field_of_a_certificate_counts(name: str) -> None:
    record = certificate(intent(1))
    other = changed(record, **{name: FIXED_FIELDS[name]})
    assert canonical.certificate_digest(other) != canonical.certificate_digest(record)


def test_no_field_of_a_certificate_is_forgotten() -> None:
    free = {"state", "revoked_at", "reason", "der"}
    assert set(CertificateRecord._fields) == set(FIXED_FIELDS) | free


@given(st.lists(st.text(), min_size=4, max_size=4), st.lists(st.text(), min_size=4, max_size=4))
def test_different_rows_have_different_octets(one: list[str], other: list[str]) -> None:
    first = canonical.row_digest(bytes(32), 1, 0, (one[0], one[1], one[2], one[3]))
    second = canonical.row_digest(bytes(32), 1, 0, (other[0], other[1], other[2], other[3]))
    assert (first == second) == (one == other)


def test_moving_a_boundary_changes_the_digest() -> None:
    digests = {
        canonical.row_digest(bytes(32), 1, 0, texts)
        for texts in (("ab", "c", "", ""), ("a", "bc", "", ""), ("abc", "", "", ""), ("", "abc", "", ""))
    }
    assert len(digests) == 4


@given(st.text(), st.text())
def test_the_details_of_issuance_are_canonical_json(identifier: str, role: str) -> None:
    record = changed(certificate(intent(1)), identifier=identifier, role=role)
    text = issued_details(record)
    assert text == canonical.details_text(json.loads(text))
    assert json.loads(text)["identifier"] == identifier


def test_details_are_canonical_json() -> None:
    assert canonical.details_text({"b": 1, "a": "ü\x00"}) == '{"a":"\\u00fc\\u0000","b":1}'


