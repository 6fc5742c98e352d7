"""Evidence of revocation, held against a second reader: pyhanko-certvalidator in its strictest mode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import InsufficientRevinfoError, RevokedError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule
from pyhanko_certvalidator.validate import async_validate_path

from tests.chains.mint import Case, cases, certificate, ocsp_response, revocation_list
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.ocsp_reading import key_hash, name_hash, ocsp_view
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
CASES = [case for case in cases() if len(case.states) == 4 and (case.crls or case.ocsps)]


@pytest.fixture
def _long_hashes() -> Iterator[None]:
    """asn1crypto knows no SHA-384 and SHA-512 of names and keys, without which the library cannot read such a
    CertID; lent to it for the length of a test."""
    lent = []
    for kind in ("sha384", "sha512"):
        for owner, octets in (
            (asn1_x509.Name, lambda name: name.dump()),
            (asn1_keys.PublicKeyInfo, lambda info: bytes(info["public_key"])),
        ):
            if not hasattr(owner, kind):
                value = property(lambda self, kind=kind, octets=octets: hashlib.new(kind, octets(self)).digest())
                setattr(owner, kind, value)
                lent.append((owner, kind))
    yield
    for owner, kind in lent:
        delattr(owner, kind)


def second_opinion(case: Case) -> str:
    """The state of the leaf, the only certificate of the path whose status is asked for."""
    names = (*case.anchors, *reversed(case.chain))
    anchor, *others, leaf = (asn1_x509.Certificate.load(certificate(name)) for name in names)
    policy = RevocationCheckingPolicy(RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, RevocationCheckingRule.NO_CHECK)
    context = ValidationContext(
        trust_roots=[anchor],
        other_certs=others,
        moment=case.at,
        allow_fetching=False,
        crls=[revocation_list(name) for name in case.crls],
        ocsps=[ocsp_response(name) for name in case.ocsps],
        revinfo_policy=CertRevTrustPolicy(policy),
        time_tolerance=timedelta(0),
    )
    run = async_validate_path(context, ValidationPath(CertTrustAnchor(anchor), others, leaf))
    try:
        run.send(None)
    except StopIteration:
        return "good"
    except RevokedError:
        return "revoked"
    except InsufficientRevinfoError:
        return "unknown"
    raise AssertionError("the validator waited")


@pytest.mark.usefixtures("_long_hashes")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_readers_say_the_same_of_the_leaf(case: Case) -> None:
    evidence = Evidence([revocation_list(name) for name in case.crls], [ocsp_response(name) for name in case.ocsps])
    ours = evidence.status(view(certificate(case.chain[0])), view(certificate(case.chain[1])), case.at)
    assert ours.state == case.states[0]
    if case.name in APART:
        assert second_opinion(case) == APART[case.name]
        return
    assert second_opinion(case) == ours.state


#: Where the other reader is laxer: it asks no CRL once an OCSP response said good, and it knows indirect CRLs.
APART = {"revoked-and-good": "good", "crl-indirect": "good"}


def test_the_details_of_a_revocation() -> None:
    evidence = Evidence([], [ocsp_response("secc-revoked")])
    status = evidence.status(view(certificate("secc")), view(certificate("cpo2")), AT)
    assert (status.state, status.source, status.reason) == ("revoked", "OCSP", "superseded")
    assert status.revoked_at == datetime(2026, 6, 14, tzinfo=UTC)
    assert status.next_update == datetime(2026, 6, 20, tzinfo=UTC)


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
@pytest.mark.parametrize(
    ("leaf", "name"), [("secc", "cpo2"), ("secc-p52120", "cpo2-p521"), ("secc-ed44820", "cpo2-ed448")]
)
def test_the_hashes_of_a_cert_id_are_the_librarys(leaf: str, name: str, algorithm: hashes.HashAlgorithm) -> None:
    about, issuer = (x509.load_der_x509_certificate(certificate(one)) for one in (leaf, name))
    request = ocsp.OCSPRequestBuilder().add_certificate(about, issuer, algorithm).build()
    seen = view(certificate(name))
    assert name_hash(seen, algorithm.name) == request.issuer_name_hash
    assert key_hash(seen, algorithm.name) == request.issuer_key_hash


def test_the_order_of_evidence_does_not_matter() -> None:
    lists = [revocation_list(name) for name in ("cpo2-empty", "cpo2-secc", "cpo2-stale")]
    leaf, issuer = view(certificate("secc")), view(certificate("cpo2"))
    forward, backward = Evidence(lists), Evidence(lists[::-1])
    assert forward.fingerprints == backward.fingerprints
    assert forward.status(leaf, issuer, AT).state == backward.status(leaf, issuer, AT).state == "revoked"


def test_the_window_ends_where_any_evidence_begins_or_ends() -> None:
    evidence = Evidence([revocation_list("cpo2-empty"), revocation_list("cpo2-future")], [ocsp_response("secc")])
    # Moments, from cases.toml: CRLs 06-10 to 06-20 and 06-16 to 06-20, OCSP 06-14 to 06-20, its signer 06-01 to 07-01.
    assert evidence.window(AT) == (datetime(2026, 6, 14, tzinfo=UTC), datetime(2026, 6, 16, tzinfo=UTC))
    edge = datetime(2026, 6, 16, tzinfo=UTC)
    assert evidence.window(edge) == (edge, edge)
    assert Evidence().window(AT) == (None, None)


@pytest.mark.parametrize("data", [b"", b"x", b"\x30\x00", ocsp_response("secc")[:-1], certificate("secc")])
def test_what_is_no_ocsp_response(data: bytes) -> None:
    with pytest.raises(V2GPKIError) as caught:
        ocsp_view(data)
    assert caught.value.code == "ocsp.malformed"


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_no_changed_bit_makes_an_answer_good(at: int) -> None:
    """Whatever octet of a revoked answer is changed, it is never read as good."""
    data = bytearray(ocsp_response("secc-revoked"))
    data[at % len(data)] ^= 1
    leaf, issuer = view(certificate("secc")), view(certificate("cpo2"))
    try:
        status = Evidence([], [bytes(data)]).status(leaf, issuer, AT)
    except V2GPKIError:
        return
    assert status.state in {"unknown", "revoked"}
