"""Answers that are prepared now and signed later, elsewhere: the same as others, and what happened meanwhile counts."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import v2gpki
from tests.conftest import BIRTH
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from tests.services.ocsp.conftest import responder_of
from v2gpki.services.issuance import Issued
from v2gpki.services.ocsp import OcspAnswer, OcspResponder, Unsigned

CA = v2gpki.CertificateAuthority


@pytest.fixture
def secc(iso2: CA) -> Issued:
    return iso2.issue("secc", id="DE*ABC*E45B*78C", edition="iso15118-2")


def asked(issued: Issued, nonce: bytes | None = None) -> bytes:
    return request(issued.chain[0], issued.chain[1], nonce=nonce)


def prepared(responder: OcspResponder, data: bytes) -> Unsigned:
    [found] = responder.prepare([data], BIRTH)
    assert isinstance(found, Unsigned)
    return found


def signed(responder: OcspResponder, unsigned: Unsigned) -> OcspAnswer:
    """Signed by the key that another process would have."""
    template, about = unsigned.signer.template, unsigned.asked
    tbs = template.tbs(about.cert_id, unsigned.status, unsigned.window, about.nonce)
    return responder.finish(unsigned, template.signer.sign(tbs), BIRTH)


@pytest.mark.parametrize("presigned", [False, True])
def test_a_prepared_answer_is_the_same(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    for nonce in (None, b"n" * 32):
        answer = signed(responder, prepared(responder, asked(secc, nonce)))
        at_once = responder_of(iso2, presigned=presigned).answer(asked(secc, nonce), BIRTH)
        # All but the octets of an ECDSA signature.
        assert answer._replace(der=b"") == at_once._replace(der=b"")
        response = read(answer.der)
        assert response.tbs_response_bytes == read(at_once.der).tbs_response_bytes
        assert nonce_of(answer.der) == nonce
        public = response.certificates[0].public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert response.signature_hash_algorithm is not None
        public.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))


def test_what_needs_no_signature_is_answered(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, presigned=True)
    kept = responder.answer(asked(secc), BIRTH)
    found = responder.prepare([b"junk", request_for_serial(1, secc.chain[0]), asked(secc)], BIRTH)
    assert [one.status if isinstance(one, OcspAnswer) else "" for one in found] == [
        "malformedRequest",
        "unauthorized",
        "good",
    ]
    assert found[2] == kept
    for _ in responder.fill(BIRTH):
        pass
    [ahead] = responder.prepare([request(secc.chain[0], secc.chain[1], "sha1")], BIRTH)
    assert isinstance(ahead, OcspAnswer)


def test_what_is_signed_is_kept_unless_it_is_no_more_so(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, presigned=True)
    signed(responder, prepared(responder, asked(secc, b"n" * 32)))
    signed(responder, prepared(responder, request_for_serial(4711, secc.chain[1])))
    assert responder.kept == 0
    unsigned = prepared(responder, asked(secc))
    signed(responder, unsigned)
    assert responder.kept == 1
    # Revoked while it was signed: the next one to ask gets the new answer.
    iso2.revoke(f"{secc.record.serial:x}", "keyCompromise")
    responder.refresh(BIRTH)
    assert responder.kept == 0
    signed(responder, unsigned)
    assert responder.kept == 0
    assert responder.answer(asked(secc), BIRTH).status == "revoked"


def test_what_a_revoked_signer_has_signed_is_not_kept(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, presigned=True)
    unsigned = prepared(responder, asked(secc))
    iso2.revoke(f"{unsigned.signer.serial:x}", "keyCompromise")
    responder.refresh(BIRTH)
    signed(responder, unsigned)
    assert responder.kept == 0
    signed(responder, prepared(responder, asked(secc)))
    assert responder.kept == 1
