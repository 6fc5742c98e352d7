"""What the responder says about every kind of certificate and serial, live and pre-signed alike."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from tests.services.ocsp.conftest import responder_of
from v2gpki.certs.evidence import Evidence
from v2gpki.certs.path import validate
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES, spki_of
from v2gpki.services.issuance import Issued, Order
from v2gpki.services.ocsp import OcspResponder
from v2gpki.store.records import AuditEvent, IntentRecord

CA = v2gpki.CertificateAuthority
Shared = tuple[CA, list[OcspResponder], v2gpki.FixedClock]
LATER = timedelta(seconds=1)
FAMILIES = [("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")]
both_modes = pytest.mark.parametrize("presigned", [False, True], ids=["live", "presigned"])


@pytest.fixture
def secc(iso2: CA) -> Issued:
    return iso2.issue("secc", id="DE*ABC*E45B*78C", edition="iso15118-2")


def asked(issued: Issued, **more: object) -> bytes:
    return request(issued.chain[0], issued.chain[1], **more)  # type: ignore[arg-type]  # passed on


@pytest.fixture(scope="module")
def shared(home_iso2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One home for all rounds of a test that only adds to it."""
    folder = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(home_iso2, folder)
    clock = v2gpki.FixedClock(BIRTH)
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, clock=clock, caller="test") as ca:
        yield ca, [responder_of(ca), responder_of(ca, presigned=True)], clock


@both_modes
def test_good_revoked_unknown(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    good = responder.answer(asked(secc), BIRTH)
    assert (good.status, good.cacheable, good.issuer_id) == ("good", True, "iso2-cpo-sub-ca-2@1")
    said = read(good.der)
    assert said.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert said.serial_number == secc.record.serial
    assert said.produced_at_utc == BIRTH
    assert (said.this_update_utc, said.next_update_utc) == (good.this_update, good.next_update)

    iso2.revoke(f"{secc.record.serial:x}", "keyCompromise")
    bad = responder.answer(asked(secc), BIRTH + LATER)
    said = read(bad.der)
    assert bad.status == "revoked"
    assert said.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert said.revocation_reason is x509.ReasonFlags.key_compromise
    assert said.revocation_time_utc == BIRTH
    # It is known to be revoked since it was, and not five minutes earlier.
    assert said.this_update_utc == BIRTH

    nobody = responder.answer(request_for_serial(0x5A << 152, secc.chain[1]), BIRTH)
    assert (nobody.status, nobody.cacheable) == ("unknown", False)
    assert read(nobody.der).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    for serial in (-5, 1, 2**160):
        assert responder.answer(request_for_serial(abs(serial), secc.chain[1]), BIRTH).status == "unknown"


@both_modes
def test_foreign_issuers_are_unauthorized(
    iso2: CA, presigned: bool, opened: Callable[[Path], CA], home_all: Path
) -> None:
    foreign = opened(home_all).issue("secc", id="DE*ABC*E45B*78C", edition="iso15118-2")
    answer = responder_of(iso2, presigned=presigned).answer(asked(foreign), BIRTH)
    assert (answer.status, answer.cacheable) == ("unauthorized", False)
    assert read(answer.der).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_an_unknown_hash_algorithm_is_unauthorized(live: OcspResponder) -> None:
    md5 = bytes.fromhex("06082a864886f70d0205")
    content = b"\x30\x0c" + md5 + b"\x05\x00" + (b"\x04\x10" + bytes(16)) * 2 + b"\x02\x01\x05"
    wrapped = b"\x30" + bytes((len(content),)) + content
    for _ in range(4):
        wrapped = b"\x30" + bytes((len(wrapped),)) + wrapped
    assert live.answer(wrapped, BIRTH).status == "unauthorized"


@both_modes
@pytest.mark.parametrize("junk", [b"", b"0", b"GET / HTTP/1.1", bytes(10_000), b"\x30\x80\x30\x80"])
def test_junk_is_malformed(iso2: CA, junk: bytes, presigned: bool) -> None:
    answer = responder_of(iso2, presigned=presigned).answer(junk, BIRTH)
    assert read(answer.der).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@both_modes
@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha384", "sha512"])
def test_every_algorithm_is_answered_in_kind(iso2: CA, secc: Issued, hash_name: str, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    if presigned:
        assert sum(1 for _ in responder.fill(BIRTH, hashes=("sha1", "sha256", "sha384", "sha512"))) > 0
    for _ in range(2):
        said = read(responder.answer(asked(secc, hash_name=hash_name), BIRTH).der)
        assert said.hash_algorithm.name == hash_name
        assert said.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert said.serial_number == secc.record.serial


@both_modes
def test_a_nonce_is_echoed_only_when_asked_for(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    assert nonce_of(responder.answer(asked(secc), BIRTH).der) is None
    for nonce in (b"1", b"n" * 32, b"N" * 128):
        answer = responder.answer(asked(secc, nonce=nonce), BIRTH)
        assert (answer.status, answer.cacheable, nonce_of(answer.der)) == ("good", False, nonce)
    assert nonce_of(responder.answer(asked(secc), BIRTH).der) is None


@pytest.mark.parametrize(("edition", "suite"), FAMILIES)
@both_modes
def test_our_own_verifier_takes_the_answers_of_a_whole_chain(
    everything: CA, edition: str, suite: str, presigned: bool
) -> None:
    leaf = everything.issue("contract", id="DEABCC12345678", edition=edition, suite=suite)
    root = everything.authority(leaf.record.issuer_id).chain[-1]
    chain = [*leaf.chain, root]
    responder = responder_of(everything, presigned=presigned)
    if presigned:
        for _ in responder.fill(BIRTH):
            pass
    answers = [
        responder.answer(request(child, issuer), BIRTH) for child, issuer in itertools.pairwise(chain)
    ]
    assert [answer.status for answer in answers] == ["good"] * 3
    path = validate(leaf.chain, [root], at=BIRTH, ocsps=[answer.der for answer in answers], require_evidence=True)
    assert path.certificates == tuple(chain)
    for answer, issuer in zip(answers, chain[1:], strict=True):
        said = read(answer.der)
        # The delegated signer comes first and alone, issued by the CA itself, and is named by its key.
        (signer,) = said.certificates
        signer.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.OCSP_SIGNING]
        assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
        assert said.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest


@pytest.mark.parametrize(("edition", "suite", "days"), [(*FAMILIES[0], 8), (*FAMILIES[1], 7), (*FAMILIES[2], 7)])
def test_how_long_answers_hold(everything: CA, edition: str, suite: str, days: int) -> None:
    """[V2G20-1021]: one week at most; -2 has a day more than the week after which stations ask again ([V2G2-649])."""
    leaf = everything.issue("contract", id="DEABCC12345678", edition=edition, suite=suite)
    said = read(responder_of(everything).answer(asked(leaf), BIRTH).der)
    assert said.next_update_utc is not None
    assert said.next_update_utc - said.this_update_utc == timedelta(days=days)
    assert said.this_update_utc == BIRTH - timedelta(minutes=5)


def test_no_answer_outlives_its_signer(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, issuing=False)
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    near = signer.not_after - timedelta(days=3)
    answer = responder.answer(asked(secc), near)
    assert answer.next_update == signer.not_after
    assert responder.answer(asked(secc), signer.not_after).status == "tryLater"


@both_modes
def test_abandoned_serials_are_revoked(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    serial = 0x44 << 152 | 7
    question = request_for_serial(serial, secc.chain[1])
    assert responder.answer(question, BIRTH).status == "unknown"
    intent = IntentRecord(
        "ab" * 16, secc.record.issuer_id, serial, bytes(32), "iso15118-2", "secc", "", "somebody", BIRTH
    )
    iso2.store.record_intents([intent])
    assert responder.answer(question, BIRTH + LATER).status == "unknown"
    iso2.store.abandon([intent.reference], BIRTH + LATER, "a test")
    for one in (responder, responder_of(iso2, presigned=presigned)):
        said = read(one.answer(question, BIRTH + 2 * LATER).der)
        assert said.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert said.revocation_time_utc == BIRTH + LATER
        assert said.revocation_reason is None


def test_certificates_that_ended_keep_their_status(iso2: CA, secc: Issued) -> None:
    """Good means not revoked: that a certificate ended is for its reader to see; what was revoked stays so."""
    other = iso2.issue("secc", id="DE*ABC*E45B*78D", edition="iso15118-2")
    iso2.revoke(f"{other.record.serial:x}", "superseded")
    after = secc.record.not_after + timedelta(days=1)
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    iso2.clock.moment = after
    responder = responder_of(iso2)
    assert responder.answer(asked(secc), after).status == "good"
    assert responder.answer(asked(other), after).status == "revoked"


def test_nobody_vouches_for_an_issuer_that_ended(iso2: CA, secc: Issued) -> None:
    issuer = iso2.authority(secc.record.issuer_id)
    responder = responder_of(iso2)
    assert responder.answer(asked(secc), issuer.not_after + LATER).status == "unauthorized"


@both_modes
def test_a_locked_home_says_try_later(iso2: CA, secc: Issued, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned, locked=True)
    answer = responder.answer(asked(secc), BIRTH)
    assert (answer.status, answer.issuer_id) == ("tryLater", "iso2-cpo-sub-ca-2@1")
    assert read(answer.der).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_without_a_signer_an_answer_signed_ahead_serves_with_a_nonce_too(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, presigned=True, issuing=False)
    for _ in responder.fill(BIRTH):
        pass
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    assert iso2.vault is not None
    iso2.vault.remove(signer.key_id)
    responder._signers.forget()
    answer = responder.answer(asked(secc, nonce=b"n" * 32), BIRTH)
    assert (answer.status, nonce_of(answer.der)) == ("good", None)
    assert responder.answer(asked(secc, hash_name="sha512"), BIRTH).status == "tryLater"


@both_modes
def test_a_revocation_by_another_process_is_known_within_the_poll(
    iso2: CA, secc: Issued, presigned: bool, tmp_path: Path
) -> None:
    responder = responder_of(iso2, presigned=presigned, poll=timedelta(milliseconds=300))
    for _ in responder.fill(BIRTH):
        pass
    for hash_name in ("sha1", "sha256", "sha512"):
        assert responder.answer(asked(secc, hash_name=hash_name), BIRTH).status == "good"
    # Another opening has its own connections and caches: for the store it is another process.
    with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH)) as other:
        other.revoke(f"{secc.record.serial:x}", "affiliationChanged")
    for hash_name in ("sha1", "sha256", "sha512"):
        answer = responder.answer(asked(secc, hash_name=hash_name), BIRTH + timedelta(milliseconds=301))
        assert answer.status == "revoked"
        assert read(answer.der).revocation_reason is x509.ReasonFlags.affiliation_changed


def test_live_mode_knows_a_revocation_at_once(iso2: CA, secc: Issued, live: OcspResponder) -> None:
    assert live.answer(asked(secc), BIRTH).status == "good"
    iso2.revoke(f"{secc.record.serial:x}", "superseded")
    assert live.answer(asked(secc), BIRTH).status == "revoked"


@both_modes
def test_a_new_certificate_and_a_new_authority_are_known(iso2: CA, presigned: bool) -> None:
    responder = responder_of(iso2, presigned=presigned)
    responder.refresh(BIRTH)
    leaf = iso2.issue("secc", id="DE*NEW*E1", edition="iso15118-2")
    assert responder.answer(asked(leaf), BIRTH).status == "good"
    root = iso2.create_authority("private-root", edition="iso15118-2", name="Garage")
    home = iso2.issue("secc", id="DE*NEW*E2", edition="iso15118-2", issuer=root.id)
    answer = responder.answer(request(home.record.der, root.der), BIRTH + LATER)
    # Its OCSP signer did not exist: it was issued when it was first needed.
    assert answer.status == "good"
    assert [record.role for record in iso2.store.held_certificates("ocsp", root.id)] == ["ocsp"]


def test_a_retired_authority_signs_by_itself_when_its_signer_has_ended(iso2: CA, secc: Issued) -> None:
    issuer_id = secc.record.issuer_id
    (signer,) = iso2.store.held_certificates("ocsp", issuer_id)
    iso2.store.set_authority_state(issuer_id, "retired", AuditEvent("authority.retired", "test", issuer_id), BIRTH)
    responder = responder_of(iso2)
    assert read(responder.answer(asked(secc), BIRTH).der).certificates != []
    after = signer.not_after + LATER
    answer = responder.answer(asked(secc), after)
    assert answer.status == "good"
    assert read(answer.der).certificates == []
    found = Evidence(ocsps=[answer.der]).status(view(secc.chain[0]), view(secc.chain[1]), after)
    assert found.state == "good"


def test_the_root_answers_for_itself(iso2: CA) -> None:
    root = iso2.authority("iso2-v2g-root")
    answer = responder_of(iso2).answer(request(root.der, root.der), BIRTH)
    assert (answer.status, answer.issuer_id) == ("good", root.id)


def test_an_edition_without_an_ocsp_role_is_answered_by_its_authority(everything: CA) -> None:
    station = everything.issue("station", id="DE*ABC*E00001", edition="ocpp")
    issuer = everything.authority(station.record.issuer_id).der
    answer = responder_of(everything).answer(request(station.record.der, issuer), BIRTH)
    assert answer.status == "good"
    assert read(answer.der).certificates == []
    assert Evidence(ocsps=[answer.der]).status(view(station.record.der), view(issuer), BIRTH).state == "good"


def test_a_cross_certificate_is_answered_by_the_root_that_signed_it(iso2: CA) -> None:
    """Its subject is another root: the serial, not the name, is what counts."""
    mo, v2g = iso2.authority("iso2-mo-root"), iso2.authority("iso2-v2g-root")
    profile = iso2.catalogue.profile("iso15118-2", "cross")
    from dataclasses import replace

    from v2gpki.services.authorities import spki_of_certificate

    constants = replace(iso2._naming().constants(), name=mo.subject, subject=mo.subject_der)
    order = Order(profile, v2g.id, constants, spki=spki_of_certificate(mo.der))
    cross = iso2.issuance.issue([order], caller="test")[0].record
    assert responder_of(iso2).answer(request(cross.der, v2g.der), BIRTH).issuer_id == v2g.id


def test_a_revoked_authority_and_its_certificates(iso2: CA, secc: Issued) -> None:
    issuer = iso2.authority(secc.record.issuer_id)
    above = iso2.authority(issuer.issuer_id)
    responder = responder_of(iso2)
    iso2.revoke(f"{issuer.serial:x}", "superseded")
    assert responder.answer(request(issuer.der, above.der), BIRTH).status == "revoked"
    # The leafs keep their answers; whoever builds the path sees the CA. Where its key was stolen: test_compromise.
    assert responder.answer(asked(secc), BIRTH).status == "good"
    (signer,) = iso2.store.held_certificates("ocsp", issuer.id)
    assert responder.answer(asked(secc), signer.not_after + LATER).status == "good"


def test_a_certificate_of_the_same_serial_by_another_issuer_is_not_confused(iso2: CA, secc: Issued) -> None:
    other = iso2.authority("iso2-mo-sub-ca-2")
    assert responder_of(iso2).answer(request_for_serial(secc.record.serial, other.der), BIRTH).status == "unknown"


# -- pre-signed ---------------------------------------------------------------------------------


def test_filling_signs_every_certificate_that_has_not_ended(iso2: CA, ahead: OcspResponder, secc: Issued) -> None:
    short = iso2.issue("secc", id="DE*ABC*E2", edition="iso15118-2", not_after=BIRTH + timedelta(days=2))
    gone = iso2.issue("secc", id="DE*ABC*E3", edition="iso15118-2")
    iso2.revoke(f"{gone.record.serial:x}", "superseded")
    now = BIRTH + timedelta(days=2)
    assert ahead.fill_due(now)
    assert sum(1 for _ in ahead.fill(now)) > 0
    assert not ahead.fill_due(now)
    valid = iso2.store.count_certificates(state="valid")
    assert ahead.kept == 2 * (valid - 1)
    for hash_name in ("sha1", "sha256"):
        ready = ahead.ready(asked(secc, hash_name=hash_name), now)
        assert ready is not None
        assert ready.der == ahead.answer(asked(secc, hash_name=hash_name), now).der
        assert ahead.ready(asked(short, hash_name=hash_name), now) is None
        assert ahead.ready(asked(gone, hash_name=hash_name), now) is None
    assert ahead.answer(asked(short), now).status == "good"
    assert ahead.answer(asked(gone), now).status == "revoked"
    assert ahead.ready(asked(secc, nonce=b"1"), now) is None


def test_presigned_answers_are_kept_and_signed_anew_after_a_day(iso2: CA, ahead: OcspResponder, secc: Issued) -> None:
    for question in (asked(secc), asked(secc, hash_name="sha512")):
        first = ahead.answer(question, BIRTH)
        almost = BIRTH + timedelta(days=1) - LATER
        assert ahead.answer(question, almost).der == first.der
        after = ahead.answer(question, BIRTH + timedelta(days=1))
        assert after.this_update == BIRTH + timedelta(days=1) - timedelta(minutes=5)


def test_a_filled_answer_is_not_served_too_long(iso2: CA, ahead: OcspResponder, secc: Issued) -> None:
    for _ in ahead.fill(BIRTH):
        pass
    assert ahead.ready(asked(secc), BIRTH + timedelta(days=1) - LATER) is not None
    assert ahead.ready(asked(secc), BIRTH + timedelta(days=1)) is None
    assert ahead.fill_due(BIRTH + timedelta(hours=21))
    for _ in ahead.fill(BIRTH + timedelta(hours=21)):
        pass
    ready = ahead.ready(asked(secc), BIRTH + timedelta(days=1))
    assert ready is not None
    assert ready.this_update == BIRTH + timedelta(hours=21) - timedelta(minutes=5)


def test_the_old_answers_are_served_until_the_new_ones_are_all_there(iso2: CA, ahead: OcspResponder) -> None:
    leafs = [iso2.issue("secc", id=f"DE*ABC*E{n}", edition="iso15118-2") for n in range(5)]
    for _ in ahead.fill(BIRTH):
        pass
    now = BIRTH + timedelta(hours=22)
    filling = ahead.fill(now, issuers=["iso2-cpo-sub-ca-2@1"], hashes=["sha256"])
    next(filling)
    next(filling)
    assert {ahead.answer(asked(leaf), now).this_update for leaf in leafs} == {BIRTH - timedelta(minutes=5)}
    # Revoked in between: neither the old answer nor one of the new ones stays.
    iso2.revoke(f"{leafs[0].record.serial:x}", "superseded")
    iso2.revoke(f"{leafs[4].record.serial:x}", "superseded")
    ahead.refresh(now)
    assert ahead.answer(asked(leafs[0]), now).status == "revoked"
    for _ in filling:
        pass
    assert [ahead.answer(asked(leaf), now).status for leaf in leafs] == ["revoked", *["good"] * 3, "revoked"]
    assert ahead.answer(asked(leafs[1]), now).this_update == now - timedelta(minutes=5)


def test_when_an_ocsp_signer_is_revoked_nothing_that_it_signed_is_served(
    iso2: CA, ahead: OcspResponder, secc: Issued
) -> None:
    for _ in ahead.fill(BIRTH):
        pass
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    before = ahead.answer(asked(secc), BIRTH)
    assert read(before.der).certificates[0].serial_number == signer.serial
    iso2.revoke(f"{signer.serial:x}", "keyCompromise")
    after = ahead.answer(asked(secc), BIRTH + LATER)
    assert after.status == "good"
    assert read(after.der).certificates[0].serial_number != signer.serial
    assert ahead.fill_due(BIRTH + LATER)


def test_presign_gives_what_a_cdn_serves(iso2: CA, live: OcspResponder, secc: Issued) -> None:
    gone = iso2.issue("secc", id="DE*ABC*E3", edition="iso15118-2")
    iso2.revoke(f"{gone.record.serial:x}", "superseded")
    signed = {(one.serial, one.request): one for one in live.presign([secc.record.issuer_id], BIRTH)}
    assert {one.issuer_id for one in signed.values()} == {secc.record.issuer_id}
    for hash_name in ("sha1", "sha256"):
        good = signed[secc.record.serial, asked(secc, hash_name=hash_name)]
        assert read(good.der).certificate_status is ocsp.OCSPCertStatus.GOOD
        bad = signed[gone.record.serial, asked(gone, hash_name=hash_name)]
        assert read(bad.der).certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert bad.status == "revoked"
    issued = iso2.store.count_certificates(issuer_id=secc.record.issuer_id)
    assert len(signed) == 2 * issued
    locked = responder_of(iso2, locked=True)
    with pytest.raises(V2GPKIError) as caught:
        list(locked.presign([secc.record.issuer_id], BIRTH))
    assert caught.value.code == "ocsp.try_later"


# -- GET and OCPP -------------------------------------------------------------------------------


def test_get_paths_as_clients_write_them(live: OcspResponder, secc: Issued) -> None:
    import base64
    from urllib.parse import quote

    # A hash algorithm whose request has every awkward character somewhere.
    questions = [asked(secc, hash_name=name, nonce=bytes((n,)) * 9) for name in ("sha1", "sha512") for n in range(40)]
    text = "".join(base64.b64encode(question).decode() for question in questions)
    assert set("+/=") < set(text)
    for question in questions:
        plain = base64.b64encode(question).decode()
        ways = [
            quote(plain, safe=""),
            plain,
            f"/{plain}",
            f"//{quote(plain)}",
            plain.rstrip("="),
            quote(quote(plain, safe=""), safe=""),
            plain.replace("+", " "),
            plain.replace("+", "%20"),
            base64.urlsafe_b64encode(question).decode(),
            base64.urlsafe_b64encode(question).decode().rstrip("="),
            f"{plain}%0A",
            plain + "=",
        ]
        for way in ways:
            assert nonce_of(live.answer_get(way, BIRTH).der) == read_nonce(question), way
    for junk in ("", "/", "%", "%zz", "ocsp", "MA==!", "é" * 4, "%2", "Mé"):
        assert live.answer_get(junk, BIRTH).status == "malformedRequest", junk


def read_nonce(question: bytes) -> bytes:
    asked_with = ocsp.load_der_ocsp_request(question).extensions.get_extension_for_class(x509.OCSPNonce)
    return asked_with.value.nonce


@given(st.text(max_size=200))
def test_any_path_has_an_answer(path: str) -> None:
    from v2gpki.services.ocsp.get_path import request_of_path

    with contextlib.suppress(ValueError):
        assert isinstance(request_of_path(path), bytes)


def test_certificate_status_in_ocpps_form(iso2: CA, live: OcspResponder, secc: Issued) -> None:
    import base64
    import hashlib

    child, parent = (x509.load_der_x509_certificate(der) for der in secc.chain[:2])
    question = ocsp.load_der_ocsp_request(asked(secc, hash_name="sha384"))
    data = {
        "hashAlgorithm": "SHA384",
        "issuerNameHash": hashlib.sha384(parent.subject.public_bytes()).hexdigest(),
        "issuerKeyHash": question.issuer_key_hash.hex().upper(),
        "serialNumber": f"{child.serial_number:X}",
        "responderURL": "http://127.0.0.1:8080/ocsp",
    }
    said = read(base64.b64decode(live.certificate_status(data, BIRTH), validate=True))
    assert said.serial_number == child.serial_number
    assert said.certificate_status is ocsp.OCSPCertStatus.GOOD
    for change, code in (
        ({"issuerKeyHash": "00" * 48}, "ocsp.unauthorized"),
        ({"hashAlgorithm": "SHA1"}, "ocsp.bad_hash_data"),
        ({"serialNumber": ""}, "ocsp.bad_hash_data"),
    ):
        with pytest.raises(V2GPKIError) as caught:
            live.certificate_status({**data, **change}, BIRTH)
        assert caught.value.code == code
    locked = responder_of(iso2, locked=True)
    with pytest.raises(V2GPKIError) as caught:
        locked.certificate_status(data, BIRTH)
    assert caught.value.code == "ocsp.try_later"


# -- the index ----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["issue", "revoke", "ask", "wait"]), max_size=12))
def test_whatever_happens_in_which_order(shared: Shared, moves: list[str]) -> None:
    """A model of four lines says what must be answered; live and pre-signed responders agree with it."""
    ca, responders, clock = shared
    known: dict[int, str] = {}
    issued: list[Issued] = []
    for move in moves:
        if move == "issue":
            issued.append(ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2"))
            known[issued[-1].record.serial] = "good"
        elif move == "revoke" and issued:
            victim = issued[len(moves) % len(issued)].record.serial
            ca.revoke(f"{victim:x}", "superseded")
            known[victim] = "revoked"
        elif move == "wait":
            clock.moment += timedelta(hours=7)
        clock.moment += timedelta(milliseconds=400)
        for responder in responders:
            assert {
                one.record.serial: responder.answer(asked(one), clock.now()).status for one in issued
            } == known


def test_a_spki_of_every_suite_has_key_octets() -> None:
    from v2gpki.certs.ocsp import key_octets

    for suite in SUITES.values():
        spki = spki_of(suite.generate().public_key())
        assert key_octets(spki) == spki[len(suite.spki_prefix) :]
    for junk in (b"", b"\x30\x00", b"\x30\x04\x30\x00\x04\x00"):
        with pytest.raises(ValueError):
            key_octets(junk)


@given(st.binary(min_size=3, max_size=90))
def test_what_line_ends_and_a_last_slash_do_to_a_path(request_octets: bytes) -> None:
    import base64

    from v2gpki.services.ocsp.get_path import path_of_request, request_of_path

    # A request is a DER SEQUENCE: its first octet is 30, its base64 begins with M.
    request = b"\x30" + request_octets
    text = base64.b64encode(request).decode("ascii")
    folded = "\r\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    for path in (folded, folded.replace("\r\n", "%0A"), path_of_request(request)):
        assert request_of_path(path) == request
    if not text.endswith("/"):
        assert request_of_path(f"{text}/") == request
