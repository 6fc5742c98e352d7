"""When a CA's key may be in other hands, nothing below it is good any more (RFC 6960 2.7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from tests.services.ocsp.conftest import responder_of
from v2gpki.errors import V2GPKIError
from v2gpki.services.issuance import Issued
from v2gpki.services.ocsp import OcspResponder

CA = v2gpki.CertificateAuthority
LATER = timedelta(seconds=1)
REASONS = {"keyCompromise": x509.ReasonFlags.key_compromise, "cACompromise": x509.ReasonFlags.ca_compromise}
both_modes = pytest.mark.parametrize("presigned", [False, True], ids=["live", "presigned"])


@pytest.fixture
def secc(iso2: CA) -> Issued:
    return iso2.issue("secc", id="DE*ABC*E45B*78C", edition="iso15118-2")


def asked(issued: Issued, nonce: bytes | None = None) -> bytes:
    return request(issued.chain[0], issued.chain[1], nonce=nonce)


def revoke_issuer(ca: CA, issued: Issued, reason: str) -> None:
    issuer = ca.store.authority(issued.record.issuer_id)
    assert issuer is not None
    ca.revoke(f"{issuer.serial:x}", reason)


def fill(responder: OcspResponder) -> None:
    for _ in responder.fill(BIRTH):
        pass


@both_modes
@pytest.mark.parametrize("reason", REASONS)
def test_the_leafs_of_a_compromised_authority_are_revoked(
    iso2: CA, secc: Issued, reason: str, presigned: bool
) -> None:
    responder = responder_of(iso2, presigned=presigned)
    fill(responder)
    assert responder.answer(asked(secc), BIRTH).status == "good"
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    iso2.clock.moment = BIRTH + timedelta(hours=1)
    revoke_issuer(iso2, secc, reason)
    now = iso2.clock.moment + LATER
    for nonce in (None, b"n" * 32):
        answer = responder.answer(asked(secc, nonce), now)
        said = read(answer.der)
        assert answer.status == "revoked"
        assert said.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert said.revocation_time_utc == BIRTH + timedelta(hours=1)
        assert said.revocation_reason is REASONS[reason]
        assert said.this_update_utc >= BIRTH + timedelta(hours=1)
        assert nonce_of(answer.der) == nonce
        # Its own key signs nothing: its OCSP signer, another key, still does.
        assert len(said.certificates) == 1
    # A responder that starts now says the same.
    assert responder_of(iso2, presigned=presigned).answer(asked(secc), now).status == "revoked"


@both_modes
def test_certificates_that_a_thief_made_are_revoked_too(iso2: CA, secc: Issued, presigned: bool) -> None:
    """He chooses their serials; this home never issued them."""
    responder = responder_of(iso2, presigned=presigned)
    forged = request_for_serial(0x5A << 152, secc.chain[1])
    assert responder.answer(forged, BIRTH).status == "unknown"
    revoke_issuer(iso2, secc, "keyCompromise")
    assert responder.answer(forged, BIRTH + LATER).status == "revoked"
    assert responder.answer(forged, BIRTH + 2 * LATER).status == "revoked"
    # Nobody keeps what can be asked for without end.
    assert not responder.answer(forged, BIRTH + LATER).cacheable
    assert responder.kept == 0


@both_modes
def test_a_leaf_revoked_before_keeps_its_time_and_reason(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    after = iso2.issue("secc", id="DE*ABC*E2", edition="iso15118-2")
    iso2.revoke(f"{secc.record.serial:x}", "superseded")
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    iso2.clock.moment = BIRTH + timedelta(hours=1)
    revoke_issuer(iso2, secc, "keyCompromise")
    iso2.clock.moment = BIRTH + timedelta(hours=2)
    iso2.revoke(f"{after.record.serial:x}", "superseded")
    said = read(responder.answer(asked(secc), iso2.clock.moment).der)
    assert (said.revocation_reason, said.revocation_time_utc) == (x509.ReasonFlags.superseded, BIRTH)
    said = read(responder.answer(asked(after), iso2.clock.moment).der)
    assert said.revocation_reason is x509.ReasonFlags.key_compromise
    assert said.revocation_time_utc == BIRTH + timedelta(hours=1)


def test_answers_signed_before_are_withdrawn_in_every_process(iso2: CA, secc: Issued) -> None:
    clock = v2gpki.FixedClock(BIRTH)
    with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=clock) as other:
        there = responder_of(other, presigned=True)
        fill(there)
        # One asked for with a longer hash is kept whole.
        whole = request(secc.chain[0], secc.chain[1], "sha512")
        assert there.answer(whole, BIRTH).status == there.answer(asked(secc), BIRTH).status == "good"
        kept = there.kept
        revoke_issuer(iso2, secc, "keyCompromise")
        at = BIRTH + LATER
        assert there.ready(asked(secc), at) is None
        assert there.kept < kept
        assert [there.answer(one, at).status for one in (asked(secc), whole)] == ["revoked", "revoked"]
        for _ in there.fill(at):
            pass
        assert there.answer(asked(secc), at).status == "revoked"


def test_a_run_that_signs_ahead_meanwhile_leaves_nothing_good(iso2: CA, secc: Issued) -> None:
    """In the middle of a run that replaces the answers of one before."""
    ahead = responder_of(iso2, presigned=True)
    steps = sum(1 for _ in responder_of(iso2, presigned=True).fill(BIRTH))
    for round_, run in enumerate((ahead.fill(BIRTH), ahead.fill(BIRTH))):
        for number, _ in enumerate(run):
            if round_ == 1 and number == steps // 2:
                revoke_issuer(iso2, secc, "keyCompromise")
                ahead.refresh(BIRTH + LATER)
    assert ahead.ready(asked(secc), BIRTH + LATER) is None
    assert ahead.answer(asked(secc), BIRTH + LATER).status == "revoked"


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_run_of_one_issuer_that_is_interrupted(iso2: CA, secc: Issued, step: int) -> None:
    ahead = responder_of(iso2, presigned=True)
    for number, _ in enumerate(ahead.fill(BIRTH, issuers=[secc.record.issuer_id])):
        if number == step:
            revoke_issuer(iso2, secc, "keyCompromise")
            ahead.refresh(BIRTH + LATER)
    assert ahead.kept == 0
    assert ahead.answer(asked(secc), BIRTH + LATER).status == "revoked"


@both_modes
def test_when_nobody_may_sign_it_is_unauthorized(iso2: CA, secc: Issued, presigned: bool) -> None:
    """The key itself signs nothing any more, and the OCSP signer has ended."""
    responder = responder_of(iso2, presigned=presigned)
    fill(responder)
    revoke_issuer(iso2, secc, "keyCompromise")
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    assert responder.answer(asked(secc), signer.not_after).status == "unauthorized"
    with pytest.raises(V2GPKIError) as caught:
        list(responder.presign([secc.record.issuer_id], signer.not_after))
    assert caught.value.code == "ocsp.try_later"
    # A locked home can sign nothing for anybody; that may pass.
    assert responder_of(iso2, presigned=presigned, locked=True).answer(asked(secc), BIRTH).status == "tryLater"


def test_an_edition_without_an_ocsp_role(everything: CA) -> None:
    station = everything.issue("station", id="DE*ABC*E00001", edition="ocpp")
    issuer = everything.authority(station.record.issuer_id)
    responder = responder_of(everything)
    everything.revoke(f"{issuer.serial:x}", "keyCompromise")
    assert responder.answer(request(station.record.der, issuer.der), BIRTH).status == "unauthorized"


@both_modes
@pytest.mark.parametrize("reason", ["superseded", "cessationOfOperation", "unspecified", "affiliationChanged"])
def test_for_other_reasons_the_leafs_keep_their_answers(
    iso2: CA, secc: Issued, reason: str, presigned: bool
) -> None:
    """As below a retired authority; whoever builds the path sees that the CA was revoked."""
    responder = responder_of(iso2, presigned=presigned)
    fill(responder)
    gone = iso2.issue("secc", id="DE*ABC*E2", edition="iso15118-2")
    iso2.revoke(f"{gone.record.serial:x}", "keyCompromise")
    revoke_issuer(iso2, secc, reason)
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    for at, delegates in ((BIRTH + LATER, 1), (signer.not_after + LATER, 0)):
        answer = responder.answer(asked(secc), at)
        assert answer.status == "good"
        assert len(read(answer.der).certificates) == delegates
        assert responder.answer(asked(gone), at).status == "revoked"


def test_a_compromised_root(iso2: CA) -> None:
    root, below = iso2.authority("iso2-v2g-root"), iso2.authority("iso2-cpo-sub-ca-1")
    responder = responder_of(iso2)
    iso2.revoke(f"{root.serial:x}", "keyCompromise")
    for der in (root.der, below.der):
        assert responder.answer(request(der, root.der), BIRTH).status == "revoked"


def test_presigned_for_others_to_serve(iso2: CA, live: OcspResponder, secc: Issued) -> None:
    revoke_issuer(iso2, secc, "keyCompromise")
    ahead = list(live.presign([secc.record.issuer_id], BIRTH))
    assert {one.status for one in ahead} == {"revoked"}
    assert secc.record.serial in {one.serial for one in ahead}
    assert len(ahead) == 2 * iso2.store.count_certificates(issuer_id=secc.record.issuer_id)
    assert {read(one.der).certificate_status for one in ahead} == {ocsp.OCSPCertStatus.REVOKED}


def test_another_home_is_not_concerned(
    iso2: CA, opened: Callable[[Path], CA], home_iso2: Path, secc: Issued
) -> None:
    """Other authorities of the same home are not either."""
    contract = iso2.issue("contract", id="DEABCC12345678", edition="iso15118-2")
    responder = responder_of(iso2, presigned=True)
    fill(responder)
    revoke_issuer(iso2, secc, "keyCompromise")
    assert responder.answer(asked(contract), BIRTH + LATER).status == "good"
    assert responder.ready(asked(contract), BIRTH + LATER) is not None
    elsewhere = opened(home_iso2)
    issuer = elsewhere.authority(secc.record.issuer_id)
    signer = elsewhere.store.held_certificates("ocsp", issuer.id)[0]
    assert responder_of(elsewhere).answer(request(signer.der, issuer.der), BIRTH).status == "good"
