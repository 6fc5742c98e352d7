"""Judging an answer: each defect of the corpus is named, and the verdict is that of the path's evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.chains.mint import certificate, corpus, ocsp_response, private_key
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.ocsp_judging import Judgement, judge_answer
from v2gpki.certs.view import view
from v2gpki.errors import CODES, V2GPKIError

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
LEAF, ISSUER = certificate("secc"), certificate("cpo2")
#: answer of the corpus -> the codes of its errors.
ERRORS = {
    "secc": [],
    "secc-by-name": [],
    "secc-sha384": [],
    "secc-sha512": [],
    "secc-by-ca": [],
    "secc-revoked": [],
    "secc-unknown": [],
    "secc-checked": [],
    "secc-stale": ["ocsp.stale"],
    "secc-future": ["ocsp.not_yet_valid"],
    "secc-open": ["ocsp.stale"],
    "secc-no-purpose": ["ocsp.bad_delegate"],
    "secc-old-responder": ["ocsp.bad_delegate"],
    "secc-other-ca": ["ocsp.bad_delegate"],
    "secc-forged": ["ocsp.bad_signature"],
    "secc-by-leaf": ["ocsp.bad_delegate"],
    "secc-forged-signer": ["ocsp.bad_delegate"],
    "other-serial": ["ocsp.wrong_certificate"],
    "other-key": ["ocsp.wrong_certificate"],
    "other-name": ["ocsp.wrong_certificate"],
    "evil-secc": ["ocsp.bad_signature", "ocsp.wrong_certificate"],
    "try-later": ["ocsp.refused"],
    "cpo2": ["ocsp.bad_delegate", "ocsp.wrong_certificate"],
    "cpo1": ["ocsp.bad_signature", "ocsp.wrong_certificate"],
    "cpo1-revoked": ["ocsp.bad_signature", "ocsp.wrong_certificate"],
}


def codes(judged: Judgement, severity: str) -> list[str]:
    return [finding.code for finding in judged.findings if finding.severity == severity]


def test_the_corpus_is_judged_whole() -> None:
    assert set(ERRORS) == {name for name in corpus()["ocsp"] if not name.startswith("vehicle-")}


@pytest.mark.parametrize("name", ERRORS)
def test_each_defect_is_named(name: str) -> None:
    answer = ocsp_response(name)
    judged = judge_answer(answer, LEAF, ISSUER, at=AT)
    assert sorted(set(codes(judged, "error"))) == ERRORS[name]
    assert judged.trusted == (not ERRORS[name])
    assert all(finding.code in CODES and finding.clause for finding in judged.findings)
    found = Evidence(ocsps=[answer]).status(view(LEAF), view(ISSUER), AT)
    if name != "secc-checked":
        assert (found.state in ("good", "revoked")) == (judged.trusted and judged.status != "unknown")
    if found.state != "unknown":
        assert judged.status == found.state


def test_what_it_tells() -> None:
    judged = judge_answer(ocsp_response("secc"), LEAF, ISSUER, at=AT)
    assert (judged.status, judged.delegated, judged.hash_name, judged.nonce) == ("good", True, "sha256", "")
    assert "Corpus CPO Sub-CA 2 OCSP" in judged.signer
    assert judged.next_update == datetime(2026, 6, 20, tzinfo=UTC)
    assert not judge_answer(ocsp_response("secc-by-ca"), LEAF, ISSUER, at=AT).delegated
    late = judge_answer(ocsp_response("try-later"), LEAF, ISSUER, at=AT)
    assert (late.status, late.trusted) == ("tryLater", False)
    revoked = judge_answer(ocsp_response("secc-revoked"), LEAF, ISSUER, at=AT)
    assert revoked.status == "revoked"
    assert revoked.revoked_at is not None


def test_a_delegate_without_nocheck_is_a_warning() -> None:
    judged = judge_answer(ocsp_response("secc-checked"), LEAF, ISSUER, at=AT)
    assert "ocsp.no_nocheck" in codes(judged, "warning")


def test_another_algorithm_than_asked_with_is_a_warning() -> None:
    judged = judge_answer(ocsp_response("secc"), LEAF, ISSUER, at=AT, hash_name="sha1")
    assert "ocsp.other_hash" in codes(judged, "warning")
    same = judge_answer(ocsp_response("secc"), LEAF, ISSUER, at=AT, hash_name="sha256")
    assert "ocsp.other_hash" not in codes(same, "warning")


def built(
    *,
    days: int = 5,
    nonce: bytes | None = None,
    certificates: tuple[str, ...] = ("ocsp2",),
    ca: str = "cpo2",
    leaf: str = "secc",
) -> bytes:
    """An answer of the corpus's delegate (or CA), with what the corpus has no row for."""
    signer = certificates[0] if certificates else ca
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            x509.load_der_x509_certificate(certificate(leaf)),
            x509.load_der_x509_certificate(certificate(ca)),
            hashes.SHA256(),
            ocsp.OCSPCertStatus.GOOD,
            AT - timedelta(hours=1),
            AT + timedelta(days=days),
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, x509.load_der_x509_certificate(certificate(signer)))
    )
    if certificates:
        order = [x509.load_der_x509_certificate(certificate(one)) for one in reversed(certificates)]
        builder = builder.certificates(order)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    suite = "p256" if ca == "cpo2" else ca.removeprefix("cpo2-")
    key = private_key(signer, suite)
    digest = {"p256": hashes.SHA256(), "p521": hashes.SHA512()}.get(suite)
    assert not isinstance(key, ec.EllipticCurvePublicKey)
    return builder.sign(key, digest).public_bytes(Encoding.DER)  # type: ignore[arg-type]  # no X448 here


@pytest.mark.parametrize(
    ("asked", "sent", "word", "error", "warning"),
    [
        (None, None, "", [], []),
        (b"n" * 32, b"n" * 32, "echoed", [], []),
        (b"n" * 32, None, "missing", [], ["ocsp.nonce_missing"]),
        (b"n" * 32, b"m" * 32, "wrong", ["ocsp.nonce_wrong"], []),
        (None, b"n" * 32, "unasked", [], ["ocsp.nonce_unasked"]),
    ],
)
def test_nonces(asked: bytes | None, sent: bytes | None, word: str, error: list[str], warning: list[str]) -> None:
    # Signed just now, so judged now but for the times: producedAt is in the future of AT.
    judged = judge_answer(built(nonce=sent), LEAF, ISSUER, at=AT, nonce=asked)
    assert judged.nonce == word
    assert codes(judged, "error") == error
    assert [code for code in codes(judged, "warning") if code != "ocsp.future"] == warning


def test_an_answer_from_the_future_is_noticed() -> None:
    answer = built()
    produced = ocsp.load_der_ocsp_response(answer).produced_at_utc
    assert "ocsp.future" in codes(judge_answer(answer, LEAF, ISSUER, at=AT), "warning")
    assert "ocsp.future" not in codes(judge_answer(answer, LEAF, ISSUER, at=produced), "warning")


def test_a_signer_that_is_not_first() -> None:
    judged = judge_answer(built(certificates=("ocsp2", "cpo2")), LEAF, ISSUER, at=AT)
    assert judged.trusted
    assert "ocsp.signer_not_first" in codes(judged, "warning")


@pytest.mark.parametrize(("ca", "leaf", "long_lived"), [("cpo2", "secc", False), ("cpo2-ed448", "secc-ed44820", True)])
def test_more_than_a_week_is_noticed_in_20(ca: str, leaf: str, long_lived: bool) -> None:
    """[V2G20-1021]; -2 has no such number."""
    for days, noticed in ((6, False), (8, long_lived)):
        answer = built(days=days, certificates=(), ca=ca, leaf=leaf)
        judged = judge_answer(answer, certificate(leaf), certificate(ca), at=AT)
        assert judged.trusted
        assert ("ocsp.long_lived" in codes(judged, "warning")) is noticed


def test_several_answers_are_noticed() -> None:
    """No builder writes two, so the answer is put together from one: the signature does not hold then."""
    from asn1crypto import ocsp as asn1_ocsp

    answer = asn1_ocsp.OCSPResponse.load(built())
    basic = answer["response_bytes"]["response"].parsed
    basic["tbs_response_data"]["responses"].append(basic["tbs_response_data"]["responses"][0])
    answer["response_bytes"]["response"] = asn1_ocsp.BasicOCSPResponse.load(basic.dump(force=True))
    judged = judge_answer(answer.dump(force=True), LEAF, ISSUER, at=AT)
    assert "ocsp.several_answers" in codes(judged, "warning")
    assert "ocsp.bad_signature" in codes(judged, "error")


def test_what_is_no_answer_is_malformed() -> None:
    for junk in (b"", b"junk", b"\x30\x03\x0a\x01\x00"):
        with pytest.raises(V2GPKIError) as caught:
            judge_answer(junk, LEAF, ISSUER, at=AT)
        assert caught.value.code == "ocsp.malformed"
