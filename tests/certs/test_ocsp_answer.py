"""Answers: the octets of cryptography's OCSPResponseBuilder, for every suite, hash and status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.certs.test_crl import Key
from tests.chains.mint import certificate
from v2gpki.certs.crl import REASON_CODES
from v2gpki.certs.ocsp import HASHES, IssuerName
from v2gpki.certs.ocsp_answer import FAILURES, GOOD, UNKNOWN, AnswerTemplate, Window, revoked
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError

T = datetime(2026, 6, 10, 8, 30, 59, tzinfo=UTC)
NEXT = T + timedelta(days=7)
REVOKED = datetime(2026, 5, 31, 23, 59, 1, tzinfo=UTC)
DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
#: suite -> the CA whose key signs, in the corpus.
CAS = {"p256": "cpo2", "p521": "cpo2-p521", "ed448": "cpo2-ed448"}
SERIALS = (1, 0x7F, 0x80, 2**152 + 5, 2**158 + 77)


def name_of(label: str) -> IssuerName:
    parent = view(certificate(label))
    return IssuerName(parent.subject, parent.spki)


def expected(
    label: str,
    suite: str,
    hash_name: str,
    serial: int,
    status: ocsp.OCSPCertStatus,
    reason: str = "",
    nonce: bytes | None = None,
    embedded: bytes = b"",
) -> ocsp.OCSPResponse:
    """The answer as the library builds it, signed now."""
    signer, name, digest = Key(label, suite), name_of(label), DIGESTS[hash_name]
    flag = x509.ReasonFlags(reason) if reason else None
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            name.name_hash(hash_name),
            name.key_hash(hash_name),
            serial,
            digest,
            status,
            T,
            NEXT,
            REVOKED if is_revoked else None,
            flag if is_revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, x509.load_der_x509_certificate(certificate(label)))
    )
    if embedded:
        builder = builder.certificates([x509.load_der_x509_certificate(embedded)])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    return builder.sign(signer.key, signer.suite.hash)


def window(produced_at: datetime) -> Window:
    return Window(produced_at, T, NEXT)


def assert_same(ours: bytes, theirs: ocsp.OCSPResponse, key: Key) -> None:
    """Equal but for the random signature of ECDSA; with Ed448 all octets are equal."""
    read = ocsp.load_der_ocsp_response(ours)
    assert read.tbs_response_bytes == theirs.tbs_response_bytes
    assert read.signature_algorithm_oid == theirs.signature_algorithm_oid
    assert [one.public_bytes(Encoding.DER) for one in read.certificates] == [
        one.public_bytes(Encoding.DER) for one in theirs.certificates
    ]
    public = key.key.public_key()
    if isinstance(public, ed448.Ed448PublicKey):
        assert ours == theirs.public_bytes(Encoding.DER)
        public.verify(read.signature, read.tbs_response_bytes)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert key.suite.hash is not None
        public.verify(read.signature, read.tbs_response_bytes, ec.ECDSA(key.suite.hash))
        # Around another signature of the same length everything is equal again.
        if len(read.signature) == len(theirs.signature):
            assert ours.replace(read.signature, theirs.signature) == theirs.public_bytes(Encoding.DER)


@pytest.mark.parametrize("suite", CAS)
@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("delegated", [False, True])
def test_a_good_answer_has_the_librarys_octets(suite: str, hash_name: str, delegated: bool) -> None:
    label = CAS[suite]
    key, name = Key(label, suite), name_of(label)
    embedded = certificate(label) if delegated else b""
    template = AnswerTemplate(key, embedded)
    for serial in SERIALS:
        theirs = expected(label, suite, hash_name, serial, ocsp.OCSPCertStatus.GOOD, embedded=embedded)
        times = window(theirs.produced_at_utc)
        assert_same(template.answer(name.cert_id(hash_name, serial), GOOD, times), theirs, key)
        batch = template.batch(hash_name, name.keys[hash_name], times)
        octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        assert_same(batch.answer(octets, batch.sign(octets)), theirs, key)


@pytest.mark.parametrize("reason", ["", *REASON_CODES])
def test_revoked_answers_have_time_and_reason(reason: str) -> None:
    key, name = Key("cpo2"), name_of("cpo2")
    # "unspecified" is left out, as RFC 5280 5.3.1 advises for CRLs.
    told = "" if reason == "unspecified" else reason
    theirs = expected("cpo2", "p256", "sha256", 77, ocsp.OCSPCertStatus.REVOKED, told)
    ours = AnswerTemplate(key).answer(
        name.cert_id("sha256", 77), revoked(REVOKED, reason), window(theirs.produced_at_utc)
    )
    assert_same(ours, theirs, key)
    read = ocsp.load_der_ocsp_response(ours)
    assert (read.certificate_status, read.revocation_time_utc) == (ocsp.OCSPCertStatus.REVOKED, REVOKED)


@pytest.mark.parametrize("suite", CAS)
def test_unknown_and_nonce(suite: str) -> None:
    label = CAS[suite]
    key, name = Key(label, suite), name_of(label)
    nonce = bytes(range(32))
    theirs = expected(label, suite, "sha1", 5, ocsp.OCSPCertStatus.UNKNOWN, nonce=nonce)
    ours = AnswerTemplate(key).answer(name.cert_id("sha1", 5), UNKNOWN, window(theirs.produced_at_utc), nonce)
    assert_same(ours, theirs, key)


def test_the_times_of_a_later_answer_are_its_own() -> None:
    key, name = Key("cpo2"), name_of("cpo2")
    template = AnswerTemplate(key)
    first = Window(T, T, NEXT)
    second = Window(T + timedelta(days=30), T + timedelta(days=29), NEXT + timedelta(days=30))
    for times in (first, second, first):
        read = ocsp.load_der_ocsp_response(template.answer(name.cert_id("sha1", 5), GOOD, times))
        assert (read.produced_at_utc, read.this_update_utc, read.next_update_utc) == times


def test_local_times_are_written_in_utc() -> None:
    from datetime import timezone

    key, name = Key("cpo2"), name_of("cpo2")
    east = timezone(timedelta(hours=5, minutes=30))
    times = Window(T.astimezone(east), T.astimezone(east), NEXT.astimezone(east))
    read = ocsp.load_der_ocsp_response(AnswerTemplate(key).answer(name.cert_id("sha1", 5), GOOD, times))
    assert (read.this_update_utc, read.next_update_utc) == (T, NEXT)


def test_failures_are_the_librarys() -> None:
    status = {
        "malformedRequest": ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        "internalError": ocsp.OCSPResponseStatus.INTERNAL_ERROR,
        "tryLater": ocsp.OCSPResponseStatus.TRY_LATER,
        "sigRequired": ocsp.OCSPResponseStatus.SIG_REQUIRED,
        "unauthorized": ocsp.OCSPResponseStatus.UNAUTHORIZED,
    }
    build = ocsp.OCSPResponseBuilder.build_unsuccessful
    assert {name: build(one).public_bytes(Encoding.DER) for name, one in status.items()} == dict(FAILURES)


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    with pytest.raises(V2GPKIError) as caught:
        AnswerTemplate(Key("cpo1"), certificate("cpo2"))
    assert caught.value.code == "ocsp.wrong_signer"
