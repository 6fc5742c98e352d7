"""CRLs written by hand load in the library, say what was meant, and are read strictly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.chains.mint import certificate, private_key, revocation_list
from v2gpki.certs.crl import REASON_CODES, RevokedEntry, build_crl, load_crl
from v2gpki.certs.path import validate
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PrivateKey, Suite, spki_of, suite_of

T = datetime(2026, 6, 10, 8, 30, 59, tzinfo=UTC)
NEXT = datetime(2026, 6, 20, tzinfo=UTC)


class Key:
    """A signer over the corpus's keys, written for this test."""

    def __init__(self, label: str, suite: str = "p256") -> None:
        key = private_key(label, suite)
        self.key: PrivateKey = key
        self.suite: Suite = suite_of(key)
        self.spki = spki_of(key.public_key())

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256() if self.suite.name == "p256" else hashes.SHA512()))
        return self.key.sign(message)


def built(*entries: RevokedEntry, name: str = "cpo2", suite: str = "p256", **more: object) -> bytes:
    parameters: dict[str, object] = {
        "issuer": certificate(name),
        "signer": Key(name, suite),
        "number": 7,
        "this_update": T,
        "next_update": NEXT,
        "entries": entries,
        **more,
    }
    return build_crl(**parameters)


def reasons(entry: x509.RevokedCertificate) -> list[str]:
    return [extension.value.reason.value for extension in entry.extensions]


@pytest.mark.parametrize(("issuer", "suite"), [("cpo2", "p256"), ("cpo2-p521", "p521"), ("cpo2-ed448", "ed448")])
def test_the_library_reads_what_was_meant(issuer: str, suite: str) -> None:
    later = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)
    entries = [
        RevokedEntry(0x7F01, T, "keyCompromise"),
        RevokedEntry(0x80, later, "unspecified"),
        RevokedEntry(2**159 - 1, T, "certificateHold"),
        RevokedEntry(1, T.astimezone(timezone(timedelta(hours=5))), "superseded"),
    ]
    crl = x509.load_der_x509_crl(built(*entries, name=issuer, suite=suite))
    above = x509.load_der_x509_certificate(certificate(issuer))
    assert crl.is_signature_valid(above.public_key())
    assert crl.issuer == above.subject
    assert crl.signature_algorithm_oid == above.signature_algorithm_oid
    assert (crl.last_update_utc, crl.next_update_utc) == (T, NEXT)
    extensions = [(extension.oid.dotted_string, extension.critical) for extension in crl.extensions]
    assert extensions == [("2.5.29.35", False), ("2.5.29.20", False)]
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 7
    identifier = above.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    found = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert found == x509.AuthorityKeyIdentifier(identifier, None, None)
    listed = [(entry.serial_number, entry.revocation_date_utc, reasons(entry)) for entry in crl]
    assert listed == [
        (1, T, ["superseded"]),
        (0x80, later, []),
        (0x7F01, T, ["keyCompromise"]),
        (2**159 - 1, T, ["certificateHold"]),
    ]


def test_it_is_byte_for_byte_what_the_library_builds_but_for_the_signature() -> None:
    key = private_key("cpo2", "p256")
    issuer = x509.load_der_x509_certificate(certificate("cpo2"))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(T)
        .next_update(NEXT)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .add_extension(x509.CRLNumber(7), False)
    )
    entries = []
    for serial, reason in ((5, x509.ReasonFlags.key_compromise), (900, x509.ReasonFlags.aa_compromise)):
        row = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(T)
        builder = builder.add_revoked_certificate(row.add_extension(x509.CRLReason(reason), False).build())
        entries.append(RevokedEntry(serial, T, reason.value))
    expected = builder.sign(key, hashes.SHA256())
    ours = x509.load_der_x509_crl(built(*reversed(entries)))
    assert ours.tbs_certlist_bytes == expected.tbs_certlist_bytes


def test_an_empty_list_leaves_the_list_out() -> None:
    crl = x509.load_der_x509_crl(built())
    assert len(list(crl)) == 0
    assert crl.tbs_certlist_bytes == x509.load_der_x509_crl(
        x509.CertificateRevocationListBuilder()
        .issuer_name(crl.issuer)
        .last_update(T)
        .next_update(NEXT)
        .add_extension(crl.extensions[0].value, False)
        .add_extension(crl.extensions[1].value, False)
        .sign(private_key("cpo2", "p256"), hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    ).tbs_certlist_bytes


@pytest.mark.parametrize("reason", sorted(REASON_CODES))
def test_every_reason_of_the_standard(reason: str) -> None:
    # RFC 5280 5.3.1; the library's own spelling of each is the oracle.
    (entry,) = x509.load_der_x509_crl(built(RevokedEntry(5, T, reason)))
    assert reasons(entry) == ([] if reason == "unspecified" else [reason])


@given(st.sets(st.integers(1, 2**159 - 1), max_size=40))
def test_any_serials_come_back_sorted(serials: set[int]) -> None:
    crl = x509.load_der_x509_crl(built(*(RevokedEntry(serial, T) for serial in serials)))
    assert [entry.serial_number for entry in crl] == sorted(serials)


@pytest.mark.parametrize("moment", [datetime(1950, 1, 1, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_utc_time_up_to_2049(moment: datetime) -> None:
    data = built(RevokedEntry(5, moment))
    assert moment.strftime("%y%m%d%H%M%SZ").encode() in data
    assert moment.strftime("%Y%m%d%H%M%SZ").encode() not in data


def test_generalized_time_from_2050() -> None:
    moment = datetime(2050, 1, 1, tzinfo=UTC)
    assert b"\x18\x0f20500101000000Z" in built(RevokedEntry(5, moment), next_update=moment)


def test_one_hundred_thousand_entries() -> None:
    entries = [RevokedEntry(number * 7919, T + timedelta(seconds=number), "superseded") for number in range(1, 100_001)]
    crl = x509.load_der_x509_crl(built(*entries))
    assert len(crl) == 100_000
    # 7919 * 65536, at T + 65536 s.
    entry = crl.get_revoked_certificate_by_serial_number(7919 * 65536)
    assert entry is not None
    assert entry.revocation_date_utc == T + timedelta(seconds=65536)


def test_our_list_is_evidence() -> None:
    serial = x509.load_der_x509_certificate(certificate("secc")).serial_number
    chain = [certificate(name) for name in ("secc", "cpo2", "cpo1")]
    at = datetime(2026, 6, 15, tzinfo=UTC)
    good = validate(chain, [certificate("v2g")], at=at, crls=[built(RevokedEntry(serial + 1, T))])
    assert good.statuses[0].state == "good"
    with pytest.raises(V2GPKIError) as caught:
        validate(chain, [certificate("v2g")], at=at, crls=[built(RevokedEntry(serial, T, "keyCompromise"))])
    assert caught.value.code == "path.revoked"
    assert caught.value.facts["reason"] == "keyCompromise"
    assert caught.value.facts["revoked_at"] == "2026-06-10T08:30:59Z"


@pytest.mark.parametrize(
    ("entries", "more", "code"),
    [
        ([RevokedEntry(5, T), RevokedEntry(5, T)], {}, "crl.invalid"),
        ([RevokedEntry(0, T)], {}, "crl.invalid"),
        ([RevokedEntry(-5, T)], {}, "crl.invalid"),
        ([RevokedEntry(2**159, T)], {}, "crl.invalid"),
        ([RevokedEntry(5, T.replace(tzinfo=None))], {}, "crl.invalid"),
        ([RevokedEntry(5, T, "removeFromCRL")], {}, "crl.invalid"),
        ([RevokedEntry(5, T, "because")], {}, "crl.invalid"),
        ([], {"next_update": T}, "crl.invalid"),
        ([], {"this_update": T.replace(tzinfo=None)}, "crl.invalid"),
        ([], {"number": -1}, "crl.invalid"),
        ([], {"number": 2**159}, "crl.invalid"),
        ([], {"signer": Key("cpo1")}, "crl.wrong_signer"),
        ([], {"issuer": certificate("cpo2-no-crl"), "signer": Key("cpo2-no-crl")}, "crl.wrong_signer"),
        ([], {"issuer": b"x"}, "chain.malformed"),
    ],
)
def test_what_no_list_may_carry(entries: list[RevokedEntry], more: dict[str, object], code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        built(*entries, **more)
    assert caught.value.code == code


def test_the_largest_number() -> None:
    crl = load_crl(built(number=2**159 - 1))
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2**159 - 1


def test_pem_and_der_are_read() -> None:
    der = revocation_list("cpo2-secc")
    pem = x509.load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)
    assert load_crl(der) == load_crl(b"a line before\n" + pem) == x509.load_der_x509_crl(der)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read"),
        (b"hello", "cannot be read"),
        (revocation_list("cpo2-secc")[:-1], "cannot be read"),
        (revocation_list("cpo2-secc") + b"\x00", "cannot be read"),
        (certificate("secc"), "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "0 CRLs"),
        (b"-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----\n", "no base64"),
        (b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n" * 2, "2 CRLs"),
    ],
)
def test_what_is_no_list(data: bytes, words: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        load_crl(data)
    assert caught.value.code == "crl.malformed"
    assert words in caught.value.message
