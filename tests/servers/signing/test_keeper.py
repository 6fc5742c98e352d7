"""What a worker gets signed, and what a broken one asks in vain."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import ocsp

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, Served, asked, contract, vehicle_of
from tests.servers.signing.desk import Signing, signing
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from v2gpki import CertificateAuthority
from v2gpki.certs.ocsp_answer import GOOD, UNKNOWN
from v2gpki.certs.ocsp_request import read_request
from v2gpki.errors import V2GPKIError
from v2gpki.servers.signing.peers import Family, Peer, parent_of, peer_of
from v2gpki.store.records import AuditEvent, IntentRecord
from v2gpki.wiring import CertificateOrder
from v2gpki.wiring.access import access_of
from v2gpki.wiring.audit_check import check_audit
from v2gpki.wiring.ocsp import crl_publication, ocsp_responder
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.tls import server_certificate

SECC = "DE*ABC*E123"
CCP = "/v1/ccp/signedContractData"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="v2g") as name:
        yield Path(name)


@pytest.fixture
def desk(iso2: CertificateAuthority, folder: Path) -> Iterator[Signing]:
    with signing(iso2, folder) as found:
        yield found


def spki(curve: ec.EllipticCurve | None = None) -> bytes:
    public = ec.generate_private_key(curve or ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed_by(certificate: bytes, issuer: bytes) -> None:
    x509.load_der_x509_certificate(certificate).verify_directly_issued_by(x509.load_der_x509_certificate(issuer))


# -- what workers ask ----------------------------------------------------------------------------
def test_a_worker_issues_without_a_key(desk: Signing) -> None:
    worker = desk.worker
    assert (worker.vault, worker.locked) == (None, False)
    issued = worker.issue("secc", id=SECC, public_key=spki())
    issuer = desk.keeper.store.authority(issued.record.issuer_id)
    assert issuer is not None
    signed_by(issued.record.der, issuer.der)
    # It stands in the store under the name of who asked, and the log is signed up to it.
    stored = desk.keeper.store.certificate(issued.record.issuer_id, issued.record.serial)
    assert stored is not None
    assert stored.caller == "worker"
    assert list(desk.keeper.store.audit_heads())[-1].sequence == desk.keeper.store.audit_tip()[0]


def test_many_at_once_and_from_several_threads(desk: Signing) -> None:
    """More than go into one frame, and two threads, each with its own connection."""
    worker = desk.worker
    given = [worker.issue("secc", id=f"DE*ABC*E{number}", public_key=spki()) for number in range(3)]
    found: list[bytes] = []

    def issue(start: int) -> None:
        names = [f"DE*ABC*E{number}" for number in range(start, start + 10)]
        found.extend(worker.issue("secc", id=name, public_key=spki()).record.der for name in names)

    threads = [threading.Thread(target=issue, args=(start,)) for start in (100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 20
    issuer = worker.store.authority(given[0].record.issuer_id)
    assert issuer is not None
    for der in found:
        signed_by(der, issuer.der)

    group = worker.issue_many([CertificateOrder("secc", f"DE*ABC*E{n}", public_key=spki()) for n in range(300, 370)])
    assert len({issued.record.serial for issued in group}) == 70 > protocol.MOST_ORDERS
    signed_by(group[-1].record.der, issuer.der)


@pytest.mark.parametrize(
    ("role", "edition", "suite", "identifier"),
    [
        ("secc", "iso15118-20", "p521", SECC),
        ("secc", "iso15118-20", "ed448", SECC),
        ("oem", "iso15118-2", "p256", "WMIABC1234567890A"),
        ("oem-x448", "iso15118-20", "ed448", "WMIABC1234567890A"),
        ("contract", "iso15118-20", "p521", EMAID),
        ("vehicle", "iso15118-20", "ed448", "WMIABC1234567890A"),
        ("cps", "iso15118-20", "p521", None),
        ("station", "ocpp", "p256", "CS-0001"),
        ("csms", "ocpp", "p256", "csms.example.org"),
    ],
)
def test_every_role_that_is_enrolled(
    everything: CertificateAuthority, folder: Path, role: str, edition: str, suite: str, identifier: str | None
) -> None:
    with signing(everything, folder, parts=("est",)) as desk:
        issued = desk.worker.issue(role, edition=edition, suite=suite, id=identifier)
        issuer = everything.store.authority(issued.record.issuer_id)
        assert issuer is not None
        signed_by(issued.record.der, issuer.der)


def test_answers_of_ocsp(desk: Signing) -> None:
    worker, keeper = desk.worker, desk.keeper
    issued = worker.issue("secc", id=SECC, public_key=spki())
    issuer = worker.store.authority(issued.record.issuer_id)
    assert issuer is not None
    for presigned in (False, True):
        responder = ocsp_responder(worker, presigned=presigned)
        for _ in responder.fill(BIRTH):
            pass
        answer = responder.answer(request(issued.record.der, issuer.der, nonce=b"n" * 32), BIRTH)
        assert (answer.status, nonce_of(answer.der)) == ("good", b"n" * 32)
        signer = read(answer.der).certificates[0]
        public = signer.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        signed_by(signer.public_bytes(Encoding.DER), issuer.der)
        for der in (answer.der, responder.answer(request(issued.record.der, issuer.der), BIRTH).der):
            response = read(der)
            assert response.signature_hash_algorithm is not None
            public.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
        assert responder.answer(request_for_serial(4711, issuer.der), BIRTH).status == "unknown"
    keeper.revoke(f"{issued.record.serial:x}", "keyCompromise")
    answer = ocsp_responder(worker).answer(request(issued.record.der, issuer.der), BIRTH)
    assert answer.status == "revoked"
    assert read(answer.der).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_answers_below_authorities_that_ended(desk: Signing) -> None:
    """A retired one signs itself when its signers have ended; below a compromised one all is revoked."""
    keeper, worker = desk.keeper, desk.worker
    issued = worker.issue("secc", id=SECC, public_key=spki())
    issuer = worker.store.authority(issued.record.issuer_id)
    assert issuer is not None
    keeper.store.set_authority_state(issuer.id, "retired", AuditEvent("", "test", ""), BIRTH)
    for signer in keeper.store.held_certificates("ocsp", issuer.id):
        keeper.revoke(f"{signer.serial:x}", "superseded")
    answer = ocsp_responder(worker).answer(request(issued.record.der, issuer.der), BIRTH)
    assert answer.status == "good"
    assert not read(answer.der).certificates
    [compromised] = worker.store.authorities(role="mo-sub-ca-2")
    ocsp_responder(worker).answer(request_for_serial(4711, compromised.der), BIRTH)
    keeper.revoke(f"{compromised.serial:x}", "cACompromise")
    answer = ocsp_responder(worker).answer(request_for_serial(4711, compromised.der), BIRTH)
    assert answer.status == "revoked"
    with pytest.raises(V2GPKIError, match=r"crl\.issuer_compromised"):
        desk.remote.publish_crl(compromised.id, "worker")


def test_crls_are_published_from_the_store(desk: Signing) -> None:
    issued = desk.worker.issue("secc", id=SECC, public_key=spki())
    desk.worker.revoke(f"{issued.record.serial:x}")
    crl_publication(desk.worker).run(BIRTH)
    record = desk.worker.store.latest_crl(issued.record.issuer_id)
    issuer = desk.worker.store.authority(issued.record.issuer_id)
    assert record is not None
    assert issuer is not None
    crl = x509.load_der_x509_crl(record.der)
    assert crl.is_signature_valid(x509.load_der_x509_certificate(issuer.der).public_key())  # type: ignore[arg-type]  # ECDSA
    assert crl.get_revoked_certificate_by_serial_number(issued.record.serial) is not None


def test_contracts_are_issued_and_signed(desk: Signing) -> None:
    """The vehicle verifies the answer and opens it: contract certificate and signature of the CPS are both remote."""
    with Served(desk.worker) as served:
        vehicle = vehicle_of(desk.keeper)
        contract(desk.keeper)
        answer = served.client("cpo").post(CCP, json=asked(vehicle))
        assert answer.status_code == 200, answer.text
        [content] = answer.json()["CCPResponse"]["emaidContent"]
        message = base64.b64decode(content["messageDef"]["certificateInstallationRes"])
        assert vehicle.open(message).emaid == EMAID


def test_the_log_of_a_worker_is_sealed_and_holds(desk: Signing) -> None:
    access_of(desk.worker).create("cpo-a", ["est"], caller="worker")
    check_audit(desk.worker.store)
    assert list(desk.worker.store.audit_heads())[-1].sequence == desk.worker.store.audit_tip()[0]


# -- what nobody gets ----------------------------------------------------------------------------
def test_octets_are_not_signed_and_keys_not_kept(desk: Signing) -> None:
    [root] = desk.worker.store.authorities(role="v2g-root")
    with pytest.raises(V2GPKIError, match=r"signing\.refused"):
        desk.remote.signer(root.key_id).sign(b"anything")
    with pytest.raises(V2GPKIError, match=r"signing\.refused"):
        desk.worker.issue("secc", id=SECC, escrow=True)
    # No question that there is has a field for octets to be signed.
    assert not {"tbs", "message", "digest"} & {
        name for kind in protocol.Question.__args__ for name in kind.__struct_fields__
    }


def wanted(desk: Signing, **changed: object) -> protocol.CertificateWanted:
    """An order of a worker whose intent is recorded as it should be, but for what is changed on the way."""
    recorded: list[protocol.CertificateWanted] = []
    remote = desk.remote
    before = remote._ask

    def keep(question: protocol.Question, expected: type[protocol.Signatures]) -> protocol.Signatures:
        if isinstance(question, protocol.SignCertificates):
            recorded.extend(question.orders)
            raise KeyboardInterrupt
        return before(question, expected)

    remote._ask = keep  # type: ignore[method-assign, assignment]  # a worker that is broken in just this place
    store = desk.worker.store
    abandon = store.abandon
    store.abandon = lambda *_: None  # type: ignore[method-assign]  # the intent stays pending
    try:
        with pytest.raises(KeyboardInterrupt):
            desk.worker.issue("secc", id=SECC, public_key=spki())
    finally:
        remote._ask = before  # type: ignore[method-assign]
        store.abandon = abandon  # type: ignore[method-assign]

    return msgspec.structs.replace(recorded[0], **changed)


def test_what_was_recorded_is_signed_and_nothing_else(desk: Signing) -> None:
    order = wanted(desk)
    given = desk.ask(protocol.SignCertificates(orders=[order]))
    assert isinstance(given, protocol.Signatures)
    assert len(given.octets) == 1
    for changed, code in (
        ({"reference": "0" * 32}, "signing.not_recorded"),
        ({"spki": spki()}, "signing.not_recorded"),
        ({"identifier": "DE*ABC*E124"}, "signing.not_recorded"),
        ({"not_after": order.not_after - 60}, "signing.not_recorded"),
        ({"role": "csms"}, "profile.unknown_role"),
        ({"role": "cpo-sub-ca-2", "options": {}}, "issuing.not_a_leaf"),
        ({"role": "cps", "options": {}}, "issuing.wrong_issuer"),
        ({"role": "ocsp"}, "signing.refused"),
        ({"issuer_id": "iso2-v2g-root@1"}, "issuing.wrong_issuer"),
        ({"not_after": order.not_after + 10 * 365 * 86400}, "lint.failed"),
        ({"spki": spki(ec.SECP384R1())}, "lint.failed"),
        ({"spki": order.spki[:-1]}, "lint.failed"),
        ({"identifier": "", "identifier_kind": ""}, "lint.failed"),
        ({"identifier": ""}, "identifier.invalid"),
        ({"identifier": "nonsense"}, "identifier.invalid"),
        ({"identifier_kind": "emaid", "identifier": EMAID}, "signing.not_recorded"),
        ({"edition": "iso15118-99"}, "profile.unknown_edition"),
    ):

        broken = msgspec.structs.replace(order, **changed)
        assert desk.refusal(protocol.SignCertificates(orders=[broken])) == code, changed
        # One that is refused takes the others with it.
        assert desk.refusal(protocol.SignCertificates(orders=[order, broken])) == code


def test_nothing_is_signed_below_an_authority_that_was_revoked_since(desk: Signing) -> None:
    order = wanted(desk)
    assert isinstance(desk.ask(protocol.SignCertificates(orders=[order])), protocol.Signatures)
    [above] = desk.keeper.store.authorities(role="cpo-sub-ca-1")
    desk.keeper.revoke(f"{above.serial:x}", "superseded")
    assert desk.refusal(protocol.SignCertificates(orders=[order])) == "issuing.issuer_not_active"


def test_an_intent_written_for_a_certificate_of_ones_own_is_not_signed(desk: Signing) -> None:
    """A worker that may write the store records the digest of a CA certificate under an honest role."""
    order = wanted(desk)
    [issuer] = desk.worker.store.authorities(role="cpo-sub-ca-2")
    forged = IntentRecord(
        "f" * 32, issuer.id, (0x55 << 152) + 1, hashlib.sha256(b"a CA").digest(), "iso15118-2", "secc", SECC, "worker",
        BIRTH,
    )  # fmt: skip
    desk.worker.store.record_intents([forged])

    broken = msgspec.structs.replace(order, reference="f" * 32)
    assert desk.refusal(protocol.SignCertificates(orders=[broken])) == "signing.not_recorded"


def refusal_of(desk: Signing, wanted: protocol.AnswerWanted) -> str:
    """Why one OCSP answer is not signed, "" when it is."""
    given = desk.ask(protocol.SignAnswers(answers=[wanted]))
    assert isinstance(given, protocol.Each)
    [one] = given.answers
    return one.code if isinstance(one, protocol.Refused) else ""


def test_a_part_asks_for_its_own_things_only(iso2: CertificateAuthority, folder: Path) -> None:
    [root] = iso2.store.authorities(role="v2g-root")
    with signing(iso2, folder, parts=("pools",)) as desk:
        order = wanted(desk)
        answer = protocol.AnswerWanted(key_id="", cert_id=b"", status=b"", produced_at=0, this_update=0, next_update=1)
        assert desk.refusal(protocol.SignAnswers(answers=[answer])) == "signing.refused"
        # A contract it may have; this is another role than its scope's.
        assert desk.refusal(protocol.SignCertificates(orders=[order])) == "signing.refused"
        assert desk.refusal(protocol.PublishCrl(authority_id=root.id, caller="w")) == "signing.refused"
        assert desk.refusal(protocol.RenewOcspSigner(authority_id=root.id, caller="w")) == "signing.refused"
        assert isinstance(desk.ask(protocol.WebhookKey()), protocol.Signatures)
    os.unlink(folder / "s")
    with signing(iso2, folder, parts=("ocsp", "crl")) as desk:
        order = wanted(desk)
        assert desk.refusal(protocol.SignCertificates(orders=[order])) == "signing.refused"
        assert desk.refusal(protocol.WebhookKey()) == "signing.refused"
        assert isinstance(desk.ask(protocol.PublishCrl(authority_id=root.id, caller="w")), protocol.Done)
        assert desk.refusal(protocol.PublishCrl(authority_id="nobody@1", caller="w")) == "signing.refused"


def test_a_worker_renews_the_certificate_of_its_server_and_no_other(
    everything: CertificateAuthority, folder: Path
) -> None:
    """With a key of its own, though no part enrols and the table names nobody."""
    with signing(everything, folder, parts=("ocsp", "crl"), enrolled=(), tls_name="csms.example") as desk:
        made = server_certificate(desk.worker, "CSMS.example")
        [leaf, *_] = x509.load_pem_x509_certificates(made.chain)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["csms.example"]
        assert not made.record.key_id
        key = load_pem_private_key(made.private_key, None)
        assert key.public_key() == leaf.public_key()
        others = [("csms", "other.example", "ocpp"), ("station", "csms.example", "ocpp"), ("secc", SECC, "iso15118-2")]
        for role, name, edition in others:
            with pytest.raises(V2GPKIError, match=r"signing\.refused"):
                desk.worker.issue(role, id=name, edition=edition)
    os.unlink(folder / "s")
    # With a part that enrols, the table decides of all others; without a certificate of the home, of this one too.
    with signing(everything, folder, parts=("est",), enrolled=(), tls_name="") as desk, pytest.raises(
        V2GPKIError, match=r"est\.not_registered"
    ):
        server_certificate(desk.worker, "csms.example")


def test_answers_say_what_the_store_says(desk: Signing) -> None:
    worker = desk.worker
    issued = worker.issue("secc", id=SECC, public_key=spki())
    issuer = worker.store.authority(issued.record.issuer_id)
    assert issuer is not None
    responder = ocsp_responder(worker)
    asked_of = read_request(request(issued.record.der, issuer.der))
    responder.answer(request(issued.record.der, issuer.der), BIRTH)
    [signer, *_] = worker.store.held_certificates("ocsp", issuer.id)
    [cps, *_] = worker.store.held_certificates("cps")
    at = int(BIRTH.timestamp())
    honest = protocol.AnswerWanted(
        key_id=signer.key_id,
        cert_id=asked_of.cert_id,
        status=GOOD,
        produced_at=at,
        this_update=at,
        next_update=at + 3600,
    )
    assert refusal_of(desk, honest) == ""

    other = next(authority for authority in worker.store.authorities(role="mo-sub-ca-2"))
    foreign = read_request(request_for_serial(issued.record.serial, issued.record.der)).cert_id
    broken: tuple[dict[str, object], ...] = (
        {"key_id": "audit"},
        {"key_id": issuer.key_id},
        {"key_id": other.key_id},
        {"key_id": cps.key_id},
        {"cert_id": foreign},
        {"next_update": at + 3650 * 86400},
        {"next_update": at},
        {"produced_at": at + 3600, "this_update": at + 3600, "next_update": at + 7200},
        {"produced_at": at - 86400, "this_update": at - 86400},
        {"this_update": at - 365 * 86400},
        {"this_update": at + 1},
    )
    for changed in broken:
        assert refusal_of(desk, msgspec.structs.replace(honest, **changed)) == "signing.refused", changed
    for cert_id in (b"\x30\x00", honest.cert_id + b"\x05\x00"):
        assert refusal_of(desk, msgspec.structs.replace(honest, cert_id=cert_id)) == "ocsp.malformed_request"
    # What the store does not say, or says no more: a worker whose look at it was an earlier one has reason to ask.
    never_issued = read_request(request_for_serial(4711, issuer.der)).cert_id
    for name, octets in (("status", UNKNOWN), ("status", b""), ("cert_id", never_issued)):
        assert refusal_of(desk, msgspec.structs.replace(honest, **{name: octets})) == "signing.outdated", name
    # Of several each is judged by itself.
    several = [honest, msgspec.structs.replace(honest, key_id="audit"), msgspec.structs.replace(honest, status=UNKNOWN)]
    given = desk.ask(protocol.SignAnswers(answers=[*several, honest]))
    assert isinstance(given, protocol.Each)
    assert [one.code if isinstance(one, protocol.Refused) else "" for one in given.answers] == [
        "",
        "signing.refused",
        "signing.outdated",
        "",
    ]
    # Revoked a moment ago, by another process: good is no longer signed.
    desk.keeper.revoke(f"{issued.record.serial:x}", "keyCompromise")
    assert refusal_of(desk, honest) == "signing.outdated"
    other_issued = desk.worker.issue("secc", id="DE*ABC*E124", public_key=spki())
    cert_id = read_request(request(other_issued.record.der, issuer.der)).cert_id
    desk.keeper.revoke(f"{other_issued.record.serial:x}", "keyCompromise")
    assert refusal_of(desk, msgspec.structs.replace(honest, cert_id=cert_id)) == "signing.outdated"


def test_breaches_among_several_answers_are_logged(desk: Signing, caplog: pytest.LogCaptureFixture) -> None:
    [issuer] = desk.worker.store.authorities(role="cpo-sub-ca-2")
    question = protocol.AnswerWanted(
        key_id="audit",
        cert_id=read_request(request_for_serial(4711, issuer.der)).cert_id,
        status=UNKNOWN,
        produced_at=0,
        this_update=0,
        next_update=1,
    )
    with caplog.at_level("ERROR", "v2gpki.signing"):
        desk.ask(protocol.SignAnswers(answers=[question]))
    assert [record.__dict__["asked"] for record in caplog.records] == ["SignAnswers"]


def test_only_so_many_answers_are_asked_for_at_once(desk: Signing) -> None:
    one = protocol.AnswerWanted(key_id="audit", cert_id=b"", status=b"", produced_at=0, this_update=0, next_update=1)
    assert desk.refusal(protocol.SignAnswers(answers=[])) == "signing.refused"
    assert desk.refusal(protocol.SignAnswers(answers=[one] * (protocol.MOST_ANSWERS + 1))) == "signing.refused"


def test_contract_data_is_signed_by_a_cps_leaf_only(desk: Signing) -> None:
    issued = desk.worker.issue("secc", id=SECC, public_key=spki())
    question = protocol.SignContract(
        issuer_id=issued.record.issuer_id,
        serial=f"{issued.record.serial:x}",
        edition="iso15118-2",
        chain=[issued.record.der],
        curve="P256",
        dh_public_key=b"\x04" + bytes(64),
        encrypted_key=bytes(48),
        emaid=EMAID,
    )
    assert desk.refusal(question) == "signing.refused"
    [cps, *_] = desk.worker.store.held_certificates("cps")

    named = msgspec.structs.replace(question, issuer_id=cps.issuer_id, serial=f"{cps.serial:x}")
    assert desk.refusal(msgspec.structs.replace(named, edition="iso15118-20")) == "signing.refused"
    assert desk.refusal(msgspec.structs.replace(named, curve="none")) == "signing.refused"
    assert desk.refusal(msgspec.structs.replace(named, encrypted_key=b"short")) == "envelope.wrong_size"


# -- octets --------------------------------------------------------------------------------------
def answered(connection: socket.socket) -> str:
    """The code of the refusal that came before the other side closed, "" for none."""
    try:
        body = protocol.receive(connection)
        if body is None:
            return ""
        given = protocol.answer(body)
        assert connection.recv(1) == b""
    except ConnectionError:
        return "reset"
    assert isinstance(given, protocol.Refused)
    return given.code


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        (protocol.LARGEST + 1).to_bytes(4, "big") + b"x",
        b"\x00\x00\x00\x04junk",
        b"\x00\x00\x00\x01\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        # {"type": "sign", "message": "x"}: no such question.
        b"\x00\x00\x00\x15\x82\xa4type\xa4sign\xa7message\xa1x",
        # {"type": "seal", "x": 1}: a field that seal has not.
        b"\x00\x00\x00\x0e\x82\xa4type\xa4seal\xa1x\x01",
        # Two questions at once.
        b"\x00\x00\x00\x0b\x81\xa4type\xa4seal" * 2,
        b"\x00\x00\x03\xe8" + b"\x91" * 1000,
    ],
    ids=["none", "boast", "large", "junk", "never", "http", "sign", "field", "two", "deep"],
)
def test_what_is_no_question_is_refused_and_the_connection_closed(desk: Signing, octets: bytes) -> None:
    with desk.raw() as connection:
        connection.sendall(octets)
        assert answered(connection) == "signing.refused"
    desk.remote.check()


def test_a_question_too_large_is_not_sent(desk: Signing) -> None:
    assert protocol.SignCertificates is not None
    with pytest.raises(V2GPKIError, match=r"signing\.refused"):
        protocol.frame(protocol.PublicKey(key_id="x" * protocol.LARGEST))


def test_many_silent_connections_hinder_nobody(desk: Signing) -> None:
    """More than there are threads: each has begun a frame and says no more."""
    silent = [desk.raw() for _ in range(12)]
    try:
        for connection in silent:
            connection.sendall(b"\x00\x00")
        desk.remote.check()
        assert desk.worker.issue("secc", id=SECC, public_key=spki()).record.identifier
    finally:
        for connection in silent:
            connection.close()


# -- who -----------------------------------------------------------------------------------------
def test_only_workers_are_taken_in(iso2: CertificateAuthority, folder: Path) -> None:
    strangers = Family(1, os.geteuid(), lambda _process: 0)
    with signing(iso2, folder, workers=strangers) as desk:
        with desk.raw() as connection:
            assert answered(connection) in ("", "reset")
        with pytest.raises(V2GPKIError, match=r"signing\.unavailable"):
            desk.remote.check()


def test_a_family_is_a_process_and_its_children_of_one_user() -> None:
    parents = {20: 10, 30: 20, 40: 1}
    mine = Family(10, 1000, lambda process: parents.get(process, 0))
    assert mine.has(Peer(10, 1000))
    assert mine.has(Peer(20, 1000))
    assert not mine.has(Peer(30, 1000))
    assert not mine.has(Peer(40, 1000))
    assert not mine.has(Peer(10, 0))
    assert not mine.has(Peer(20, 1001))
    assert not mine.has(Peer(0, 1000))


def test_the_kernel_says_who_it_is() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert peer_of(here) == Peer(os.getpid(), os.geteuid())
    assert parent_of(os.getpid()) == os.getppid()
    assert parent_of(2**22 + 1) == 0


def test_while_nobody_answers_questions_fail_at_once(iso2: CertificateAuthority, folder: Path) -> None:
    with signing(iso2, folder) as desk:
        desk.remote.check()
        issued = desk.worker.issue("secc", id=SECC, public_key=spki())
        issuer = desk.worker.store.authority(issued.record.issuer_id)
        assert issuer is not None
        responder = ocsp_responder(desk.worker)
        responder.answer(request(issued.record.der, issuer.der), BIRTH)
        worker = desk.worker
        desk.path.unlink()
        desk.remote.close()
        with pytest.raises(V2GPKIError) as refusal:
            responder.answer(request(issued.record.der, issuer.der), BIRTH)
        # tryLater, over HTTP.
        assert (refusal.value.code, refusal.value.outcome.http) == ("signing.unavailable", 503)
        with pytest.raises(V2GPKIError, match=r"signing\.unavailable"):
            worker.issue("secc", id="DE*ABC*E9", public_key=spki())
        desk.path.touch()


