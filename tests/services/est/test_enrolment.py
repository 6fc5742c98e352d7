"""Enrolment as values: who gets what, once; renewals; keys made here."""

from __future__ import annotations

import base64
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x448
from cryptography.x509.oid import NameOID

from tests.conftest import BIRTH
from tests.services.est.desk import common_name, csr, csr_with, key, service_of
from v2gpki import CertificateAuthority, FixedClock, V2GPKIError
from v2gpki.services.est import Enrolled, EnrolRequest, EstService, LabelOptions, Registration
from v2gpki.services.issuance import Issuance
from v2gpki.store.records import IntentRecord
from v2gpki.wiring.access import access_of
from v2gpki.wiring.audit_check import check_audit


def refused(code: str) -> pytest.RaisesExc[V2GPKIError]:
    return pytest.raises(V2GPKIError, check=lambda problem: problem.code == code)


def test_a_registered_id_gets_a_certificate_for_the_requests_key(iso2: CertificateAuthority) -> None:
    service, private_key = service_of(iso2), key()
    answer = service.enrol("cpo-a", csr(private_key), service.labels.target("cpo", "ISO15118-2"))
    certificate = x509.load_der_x509_certificate(answer.record.der)
    assert certificate.public_key() == private_key.public_key()
    assert common_name(answer.record.der) == "DE*ICE*E45B*78C"
    assert certificate.subject.get_attributes_for_oid(NameOID.DOMAIN_COMPONENT)[0].value == "CPO"
    assert (answer.record.role, answer.record.caller, answer.repeated) == ("secc", "cpo-a", False)
    assert [len(answer.chain), answer.chain[0]] == [3, answer.record.der]
    for child, issuer in zip(answer.chain, answer.chain[1:], strict=False):
        x509.load_der_x509_certificate(child).verify_directly_issued_by(x509.load_der_x509_certificate(issuer))


@pytest.mark.parametrize(
    ("identity", "name", "label"),
    [
        ("cpo-a", "DE*ICE*E9999", "cpo"),
        ("cpo-b", "DE*ICE*E45B*78C", "cpo"),
        ("nobody", "DE*ICE*E45B*78C", "cpo"),
        ("", "DE*ICE*E45B*78C", "cpo"),
        ("mo-a", "DE*ICE*E45B*78C", "cpo"),
        ("cpo-a", "DEABCC12345678", "mo"),
    ],
)
def test_the_table_decides_and_not_the_request(
    everything: CertificateAuthority, identity: str, name: str, label: str
) -> None:
    service = service_of(everything)
    before = everything.store.count_certificates()
    with refused("est.not_registered") as refusal:
        service.enrol(identity, csr(key(), name), service.labels.target(label))
    assert (f"{identity!r} is not registered" if identity else "nobody here is registered") in refusal.value.message
    assert everything.store.count_certificates() == before


def test_an_id_is_the_same_in_any_writing(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    answer = service.enrol("cpo-a", csr(key(), "deicee45b78c"), service.labels.target("cpo"))
    assert answer.record.identifier == "DE*ICE*E45B78C"
    other = service.enrol("cpo-b", csr(key(), "DE8EOE1"), service.labels.target("cpo"))
    assert other.record.identifier == "DE*8EO*E1"


def test_subject_and_extensions_of_the_request_are_not_taken_over(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "DE*ICE*E45B*78C"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Somebody Else"),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "V2G"),
        ]
    )
    request = csr(key(), subject=subject, hosts=["evil.example.org"])
    certificate = x509.load_der_x509_certificate(
        service.enrol("cpo-a", request, service.labels.target("cpo")).record.der
    )
    text = certificate.subject.rfc4514_string()
    assert "Acme" in text
    assert "Somebody" not in text
    assert "DC=CPO" in text
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_the_same_request_gives_the_same_certificate(iso2: CertificateAuthority) -> None:
    service, request = service_of(iso2), csr(key())
    target = service.labels.target("cpo")
    first = service.enrol("cpo-a", request, target)
    pem = x509.load_der_x509_csr(request).public_bytes(serialization.Encoding.PEM)
    for again in (request, pem, base64.b64encode(request)):
        answer = service.enrol("cpo-a", again, target)
        assert (answer.record.serial, answer.repeated) == (first.record.serial, True)
        assert answer.chain == first.chain
    assert service_of(iso2).enrol("cpo-a", request, target).record == first.record
    assert iso2.store.count_certificates(role="secc") == 1


def test_the_same_request_after_the_end_gives_the_next_certificate(iso2: CertificateAuthority) -> None:
    service, request = service_of(iso2), csr(key())
    target = service.labels.target("cpo")
    serials = [service.enrol("cpo-a", request, target).record.serial]
    assert isinstance(iso2.clock, FixedClock)
    for _ in range(2):
        iso2.clock.moment += timedelta(days=61)
        serials += [service.enrol("cpo-a", request, target).record.serial for _ in range(2)]
    assert serials[1] == serials[2]
    assert serials[3] == serials[4]
    assert len(set(serials)) == 3


def test_a_compromised_key_is_certified_for_nobody(iso2: CertificateAuthority) -> None:
    service, private_key = service_of(iso2), key()
    request, target = csr(private_key), service.labels.target("cpo")
    given = service.enrol("cpo-a", request, target)
    iso2.revoke(f"{given.record.serial:x}", "keyCompromise")
    for again in (request, csr(private_key)):
        with refused("est.key_compromised"):
            service.enrol("cpo-a", again, target)
    assert service.enrol("cpo-a", csr(key()), target).record.state == "valid"


def test_a_key_that_was_only_superseded_may_be_certified_again(iso2: CertificateAuthority) -> None:
    service, private_key = service_of(iso2), key()
    request, target = csr(private_key), service.labels.target("cpo")
    given = service.enrol("cpo-a", request, target)
    iso2.revoke(f"{given.record.serial:x}", "superseded")
    with refused("est.revoked_answer"):
        service.enrol("cpo-a", request, target)
    assert service.enrol("cpo-a", csr(private_key), target).record.serial != given.record.serial


@pytest.mark.parametrize(
    ("label", "version", "suite", "role", "edition"),
    [
        ("cpo", "ISO15118-2", "p256", "secc", "iso15118-2"),
        ("cpo", "ISO15118-20", "p521", "secc", "iso15118-20"),
        ("cpo", "ISO15118-20", "ed448", "secc", "iso15118-20"),
        ("cpo-iso20-ed448", "", "ed448", "secc", "iso15118-20"),
    ],
)
def test_edition_and_family_follow_url_and_key(
    everything: CertificateAuthority, label: str, version: str, suite: str, role: str, edition: str
) -> None:
    service = service_of(everything)
    answer = service.enrol("cpo-a", csr(key(suite)), service.labels.target(label, version))
    assert (answer.record.role, answer.record.edition, answer.record.suite) == (role, edition, suite)


@pytest.mark.parametrize(
    ("identity", "label", "name", "suite"),
    [
        ("mo-a", "mo", "DE-ABC-C12345678", "p256"),
        ("oem-a", "oem", "WMIV1234567890ABCD", "p256"),
        ("oem-a", "veh", "WMIV1234567890ABCD", "p521"),
        ("cps-a", "cps", "Any Name", "p256"),
        ("csms-a", "csms", "csms.example.org", "p256"),
        ("csms-a", "station", "CS-0001", "p256"),
    ],
)
def test_every_label_issues_its_role(
    everything: CertificateAuthority, identity: str, label: str, name: str, suite: str
) -> None:
    service = service_of(everything)
    answer = service.enrol(identity, csr(key(suite), name), service.labels.target(label))
    assert everything.store.certificate(answer.record.issuer_id, answer.record.serial) == answer.record


@pytest.mark.parametrize(
    ("label", "version", "suite"), [("cpo", "ISO15118-2", "p521"), ("cpo", "ISO15118-20", "p256")]
)
def test_a_key_of_another_edition_is_refused(
    everything: CertificateAuthority, label: str, version: str, suite: str
) -> None:
    service = service_of(everything)
    with refused("est.wrong_key"):
        service.enrol("cpo-a", csr(key(suite)), service.labels.target(label, version))


def test_a_family_in_the_url_binds(everything: CertificateAuthority) -> None:
    service = service_of(everything)
    with refused("est.wrong_key"):
        service.enrol("cpo-a", csr(key("p521")), service.labels.target("cpo", "ISO15118-20", "ed448"))


def test_a_request_names_one_id(iso2: CertificateAuthority) -> None:
    service, target = service_of(iso2), service_of(iso2).labels.target("cpo")
    with refused("est.needs_one_name"):
        service.enrol("cpo-a", csr(key(), ["DE*ICE*E45B*78C", "DE*ICE*E1001"]), target)
    with refused("est.needs_one_name"):
        service.enrol("cpo-a", csr(key(), []), target)
    # With one registered id nothing is left to be asked.
    assert service.enrol("lone", csr(key(), []), target).record.identifier == "DE*ABC*E7"


def test_a_csms_may_be_named_by_its_host_name_alone(everything: CertificateAuthority) -> None:
    service = service_of(everything)
    request = csr(key(), [], hosts=["csms.example.org"])
    answer = service.enrol("csms-a", request, service.labels.target("csms"))
    assert answer.record.identifier == "csms.example.org"


def test_bad_requests_keep_their_own_codes(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    good = csr(key())
    with refused("csr.malformed"):
        service.enrol("cpo-a", b"nonsense", target)
    with refused("csr.bad_signature"):
        service.enrol("cpo-a", good[:-1] + bytes((good[-1] ^ 1,)), target)
    with refused("identifier.invalid"):
        service.enrol("cpo-a", csr(key(), "not an id!"), target)


def test_a_group_is_answered_each_by_itself(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    same = csr(key())
    requests = [
        EnrolRequest("cpo-a", same, target),
        EnrolRequest("cpo-a", csr(key(), "DE*ICE*E9999"), target),
        EnrolRequest("cpo-b", csr(key(), "DE*8EO*E1"), target),
        EnrolRequest("cpo-a", same, target),
        EnrolRequest("cpo-a", b"x", target),
        EnrolRequest("cpo-a", csr(key(), "DE*ICE*E1001"), target),
    ]
    answers = service.answer_many(requests)
    codes = [answer.code if isinstance(answer, V2GPKIError) else "" for answer in answers]
    assert codes == ["", "est.not_registered", "", "", "csr.malformed", ""]
    assert isinstance(answers[0], Enrolled)
    assert isinstance(answers[3], Enrolled)
    assert (answers[0].record.serial, answers[3].repeated) == (answers[3].record.serial, True)
    assert iso2.store.count_certificates(role="secc") == 3


def test_what_the_store_knows_is_told_each_member_of_a_group(iso2: CertificateAuthority) -> None:
    """A key that was reported, requests that were answered before, to the one who asks and to another, and new ones."""
    service = service_of(iso2, [Registration(name, "secc", "", (), ("",)) for name in ("cpo-a", "cpo-b")])
    target = service.labels.target("cpo")
    reported, given = key(), csr(key(), "DE*ICE*E2")
    stolen = service.enrol("cpo-a", csr(reported, "DE*ICE*E1"), target)
    iso2.revoke(f"{stolen.record.serial:x}", "keyCompromise")
    first = service.enrol("cpo-a", given, target)
    asked = [
        ("cpo-a", csr(reported, "DE*ICE*E1")),
        ("cpo-a", given),
        ("cpo-a", csr(key(), "DE*ICE*E1")),
        ("cpo-b", given),
        ("cpo-b", csr(reported, "DE*ICE*E1")),
        ("cpo-a", csr(reported, "DE*ICE*E3")),
    ]
    answers = service.answer_many([EnrolRequest(identity, request, target) for identity, request in asked])
    codes = [answer.code if isinstance(answer, V2GPKIError) else answer.repeated for answer in answers]
    assert codes == ["est.key_compromised", True, False, False, "est.key_compromised", False]
    again, another = answers[1], answers[3]
    assert isinstance(again, Enrolled)
    assert isinstance(another, Enrolled)
    assert again.record == first.record
    assert another.record.serial != first.record.serial


def test_a_group_of_many_callers_is_one_group(iso2: CertificateAuthority) -> None:
    """Three commits (intents, results, the log's head), whoever asks; each certificate and its row name who asked."""
    names = ["cpo-a", "cpo-b", "cpo-a", "cpo-c"]
    service = service_of(iso2, [Registration(name, "secc", "", (), ("",)) for name in set(names)])
    target = service.labels.target("cpo")
    service.enrol("cpo-a", csr(key(), "DE*ICE*E9"), target)
    writes, rows = iso2.store.revision(), iso2.store.audit_tip()[0]
    requests = [EnrolRequest(name, csr(key(), f"DE*ICE*E{n}"), target) for n, name in enumerate(names)]
    answers = service.answer_many([*requests, requests[1], requests[3]._replace(caller="token of cpo-c")])
    assert iso2.store.revision() == writes + 3
    records = [answer.record for answer in answers if isinstance(answer, Enrolled)]
    assert [record.caller for record in records] == [*names, "cpo-b", "token of cpo-c"]
    assert [record.identifier for record in records] == [f"DE*ICE*E{n}" for n in (0, 1, 2, 3, 1, 3)]
    assert [answer.repeated for answer in answers if isinstance(answer, Enrolled)] == [False] * 4 + [True, False]
    issued = list(iso2.store.audit_rows(after=rows, actions=["certificate.issued"]))
    assert [row.caller for row in issued] == [*names, "token of cpo-c"]
    check_audit(iso2.store)


def test_a_member_that_issuing_refuses_takes_nobody_along(iso2: CertificateAuthority) -> None:
    table = [Registration("cpo-a", "secc", "", (), ("",))]
    service = service_of(iso2, table)
    target = service.labels.target("cpo")
    # An issuer that is out of service from one moment to the next: each gets the refusal.
    issuer = service.enrol("cpo-a", csr(key()), target).record.issuer_id
    found = service._issuance

    def revoking() -> Issuance:
        current = iso2.store.authority(issuer)
        if current is not None and current.state == "active":
            iso2.revoke(f"{current.serial:x}", "superseded")
        return found()

    service._issuance = revoking  # the only way between finding the issuer and issuing
    requests = [EnrolRequest("cpo-a", csr(key(), f"DE*ICE*E{n}"), target) for n in range(2)]
    answers = service.answer_many(requests)
    assert [answer.code for answer in answers if isinstance(answer, V2GPKIError)] == ["issuing.issuer_not_active"] * 2
    # The next ones are issued by whoever may now.
    again = [answer for answer in service.answer_many(requests) if isinstance(answer, Enrolled)]
    assert [answer.record.issuer_id for answer in again] == ["iso2-cpo-sub-ca-1@1"] * 2


def test_the_same_request_from_many_threads_gives_one_certificate(iso2: CertificateAuthority) -> None:
    service, request = service_of(iso2), csr(key())
    target, barrier = service.labels.target("cpo"), Barrier(4)
    seen: list[object] = []

    def ask() -> None:
        barrier.wait()
        try:
            seen.append(service.enrol("cpo-a", request, target).record.serial)
        except V2GPKIError as problem:
            seen.append(problem.code)

    iso2.issuance  # noqa: B018  # opened once, before the threads
    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert iso2.store.count_certificates(role="secc") == 1
    assert len(set(seen) - {"est.pending"}) == 1


def under_way_elsewhere(ca: CertificateAuthority, service: EstService, request: EnrolRequest) -> None:
    """Another process has recorded the intent for this request and has not signed yet."""
    order = service._prepare(request, BIRTH).order
    intent = IntentRecord(
        "f" * 32,
        order.issuer_id,
        1,
        bytes(32),
        "iso15118-2",
        "secc",
        "DE*ICE*E1001",
        request.identity,
        BIRTH,
        order.idempotence_key,
    )
    ca.store.record_intents([intent])


def test_a_request_that_another_process_is_answering_waits_alone(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    iso2.issuance  # noqa: B018  # opened once, so that the intent is not taken for one that was left behind
    requests = [EnrolRequest("cpo-a", csr(key(), name), target) for name in ("DE*ICE*E45B*78C", "DE*ICE*E1001")]
    under_way_elsewhere(iso2, service, requests[1])
    first, second = service.answer_many(requests)
    assert isinstance(first, Enrolled)
    assert isinstance(second, V2GPKIError)
    assert (second.code, second.outcome.http) == ("est.pending", 202)
    assert iso2.store.count_certificates(role="secc") == 1


# -- renewals -------------------------------------------------------------------------------------


def full_subject(der: bytes) -> x509.Name:
    return x509.load_der_x509_certificate(der).subject


def test_a_renewal_is_authenticated_by_the_current_certificate(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target()
    current = service.enrol("cpo-a", csr(key()), target).record.der
    request = csr(new := key(), subject=full_subject(current))
    renewed = service.reenrol("", request, current, target)
    assert x509.load_der_x509_certificate(renewed.record.der).public_key() == new.public_key()
    assert renewed.record.identifier == "DE*ICE*E45B*78C"
    assert renewed.record.caller == "cpo-a"
    assert service.reenrol("", request, current, target).record == renewed.record
    # The same request, to renew the new certificate, is another renewal.
    assert service.reenrol("", request, renewed.record.der, target).record != renewed.record


def test_a_renewal_may_keep_its_key_and_spell_its_strings_otherwise(iso2: CertificateAuthority) -> None:
    service, private_key = service_of(iso2), key()
    target = service.labels.target("cpo")
    current = service.enrol("cpo-a", csr(private_key), target).record.der
    printable = x509.Name(
        [
            x509.NameAttribute(attribute.oid, attribute.value, x509.name._ASN1Type.PrintableString)
            if attribute.oid == NameOID.ORGANIZATION_NAME
            else attribute
            for attribute in full_subject(current)
        ]
    )
    renewed = service.reenrol("cpo-a", csr(private_key, subject=printable), current, target)
    assert renewed.record.serial != x509.load_der_x509_certificate(current).serial_number


def test_a_renewal_names_what_the_current_certificate_names(everything: CertificateAuthority) -> None:
    service = service_of(everything)
    target = service.labels.target("cpo")
    current = service.enrol("cpo-a", csr(key()), target).record.der
    with refused("est.wrong_subject"):
        service.reenrol("cpo-a", csr(key(), "DE*ICE*E1001"), current, target)
    with refused("est.wrong_subject"):
        service.reenrol("cpo-a", csr(key(), subject=full_subject(current), hosts=["a.example.org"]), current, target)
    server = service.enrol("csms-a", csr(key(), "csms.example.org"), service.labels.target("csms")).record.der
    with refused("est.wrong_subject"):
        service.reenrol("", csr(key(), subject=full_subject(server)), server, service.labels.target("csms"))
    hosts = ["csms.example.org"]
    request = csr(key(), subject=full_subject(server), hosts=hosts)
    assert service.reenrol("", request, server, service.labels.target("csms")).record.role == "csms"


def test_what_cannot_be_renewed(everything: CertificateAuthority, iso2: CertificateAuthority) -> None:
    service = service_of(everything)
    target = service.labels.target("cpo")
    current = service.enrol("cpo-a", csr(key()), target).record
    request = csr(key(), subject=full_subject(current.der))
    with refused("est.needs_certificate"):
        service.reenrol("cpo-a", request, None, target)
    foreign = service_of(iso2).enrol("cpo-a", csr(key()), target).record.der
    with refused("est.foreign_certificate"):
        service.reenrol("cpo-a", csr(key(), subject=full_subject(foreign)), foreign, target)
    with refused("est.foreign_certificate"):
        service.reenrol("cpo-a", request, current.der, service.labels.target("mo"))
    authority = everything.authority("iso2-cpo-sub-ca-2").der
    with refused("est.foreign_certificate"):
        service.reenrol("cpo-a", csr(key(), subject=full_subject(authority)), authority, target)
    with refused("est.not_registered"):
        service.reenrol("cpo-b", request, current.der, target)
    everything.revoke(f"{current.serial:x}", "superseded")
    with refused("est.certificate_over"):
        service.reenrol("cpo-a", request, current.der, target)


def test_an_expired_certificate_renews_nothing(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    current = service.enrol("cpo-a", csr(key()), target).record
    assert isinstance(iso2.clock, FixedClock)
    iso2.clock.moment = BIRTH + timedelta(days=60)
    with refused("est.certificate_over"):
        service.reenrol("cpo-a", csr(key(), subject=full_subject(current.der)), current.der, target)


def test_who_is_no_longer_registered_renews_nothing(iso2: CertificateAuthority) -> None:
    current = service_of(iso2).enrol("cpo-a", csr(key()), service_of(iso2).labels.target("cpo")).record
    service = service_of(iso2, [Registration("cpo-a", "secc", "", ("DE*ICE*E2",))])
    with refused("est.not_registered"):
        service.reenrol("", csr(key(), subject=full_subject(current.der)), current.der, service.labels.target("cpo"))


def test_another_name_by_change_subject_name(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    current = service.enrol("cpo-a", csr(key()), target).record.der

    def changing(name: str) -> bytes:
        new = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]).public_bytes()
        value = bytes((0x30, len(new))) + new
        return csr_with(ec.generate_private_key(ec.SECP256R1()), full_subject(current), "1.3.6.1.5.5.7.7.36", value)

    assert service.reenrol("cpo-a", changing("DE*ICE*E1001"), current, target).record.identifier == "DE*ICE*E1001"
    with refused("est.not_registered"):
        service.reenrol("cpo-a", changing("DE*ICE*E9999"), current, target)
    # A certificate stands for its own name only: neither for another one of its owner, nor for a stranger's.
    before = iso2.store.count_certificates()
    for name in ("DE*ICE*E1001", "DE*8EO*E666", "DE*ABC*E7"):
        with refused("est.needs_identity"):
            service.reenrol("", changing(name), current, target)
    assert iso2.store.count_certificates() == before


def test_no_other_identity_renews_what_was_withdrawn(iso2: CertificateAuthority) -> None:
    own, wide = Registration("a", "secc", "", ("DE*8EO*E1",)), Registration("csms", "secc", "", (), ("DE*8EO",))
    service = service_of(iso2, [own, wide])
    target = service.labels.target("cpo")
    current = service.enrol("a", csr(key(), "DE*8EO*E1"), target).record
    request = csr(key(), subject=full_subject(current.der))
    # Whether the identity has other rows or none.
    for table in ([wide], [wide, Registration("a", "secc", "", ("DE*8EO*E2",))]):
        with refused("est.not_registered"):
            service_of(iso2, table).reenrol("", request, current.der, target)
    # With a credential of its own, the other one may have it.
    assert service_of(iso2, [wide]).reenrol("csms", request, current.der, target).record.caller == "csms"


def test_what_the_home_issued_itself_is_renewed_while_anybody_has_its_id(iso2: CertificateAuthority) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    current = iso2.issue("secc", id="DE*8EO*E1", edition="iso15118-2", csr=csr(key(), "DE*8EO*E1")).record
    for _ in range(2):
        renewed = service.reenrol("", csr(key(), subject=full_subject(current.der)), current.der, target).record
        assert (renewed.identifier, renewed.caller) == ("DE*8EO*E1", f"certificate:{current.serial:x}")
        current = renewed
    with refused("est.not_registered"):
        service_of(iso2, []).reenrol("", csr(key(), subject=full_subject(current.der)), current.der, target)
    # Somebody who has or had a credential is an identity, though the home's operator may have the same name.
    access_of(iso2).create("test", ["est"], caller="test")
    own = iso2.issue("secc", id="DE*8EO*E2", edition="iso15118-2", csr=csr(key(), "DE*8EO*E2")).record
    with refused("est.not_registered"):
        service.reenrol("", csr(key(), subject=full_subject(own.der)), own.der, target)


@pytest.mark.parametrize("slug", ["iso2-cpo-sub-ca-2", "iso2-cpo-sub-ca-1"])
def test_nothing_below_a_revoked_authority_renews(iso2: CertificateAuthority, slug: str) -> None:
    service = service_of(iso2)
    target = service.labels.target("cpo")
    first = csr(key())
    current = service.enrol("cpo-a", first, target).record
    authority = iso2.authority(slug)
    iso2.revoke(f"{authority.serial:x}", "keyCompromise")
    if slug == "iso2-cpo-sub-ca-2":
        # A successor is there that could issue.
        iso2.create_authority("cpo-sub-ca-2", edition="iso15118-2")
    for identity in ("", "cpo-a"):
        with refused("est.certificate_over"):
            service.reenrol(identity, csr(key(), subject=full_subject(current.der)), current.der, target)
    # The same request again: what it was answered with is worth nothing any more.
    with refused("est.revoked_answer"):
        service_of(iso2).enrol("cpo-a", first, target)


# -- keys made here, binding ----------------------------------------------------------------------


def test_a_key_that_is_made_here_is_another_each_time(everything: CertificateAuthority) -> None:
    service, request = service_of(everything), csr(key())
    target = service.labels.target("cpo")
    answers = [service.serverkeygen("cpo-a", request, target) for _ in range(2)]
    for answer in answers:
        private_key = serialization.load_der_private_key(answer.private_key, None)
        certificate = x509.load_der_x509_certificate(answer.enrolled.record.der)
        assert private_key.public_key() == certificate.public_key()
        assert answer.private_key.hex() not in repr(answer)
        assert answer.enrolled.record.key_id == ""
    assert answers[0].private_key != answers[1].private_key
    with refused("est.not_registered"):
        service.serverkeygen("cpo-b", request, target)


def test_an_x448_key_comes_only_from_here(everything: CertificateAuthority) -> None:
    service = service_of(everything)
    target = service.labels.target("oem-x448")
    request = csr(key("ed448"), "WMIV1234567890ABCD")
    with refused("est.wrong_key"):
        service.enrol("oem-a", request, target)
    made = service.serverkeygen("oem-a", request, target)
    assert isinstance(serialization.load_der_private_key(made.private_key, None), x448.X448PrivateKey)


def test_server_keys_can_be_switched_off_and_are_not_wrapped(iso2: CertificateAuthority) -> None:
    service = service_of(iso2, options={"cpo": LabelOptions(server_keys=False)})
    with refused("est.no_server_keys"):
        service.serverkeygen("cpo-a", csr(key()), service.labels.target("cpo"))
    wrapped = csr(key(), attributes=[("1.2.840.113549.1.9.16.2.37", b"\x04\x01a")])
    with refused("est.key_encryption"):
        service_of(iso2).serverkeygen("cpo-a", wrapped, service.labels.target("cpo"))


@pytest.mark.parametrize(
    ("rule", "password", "unique", "fine"),
    [
        ("checked", "", b"", True),
        ("checked", "dW5pcXVl", b"unique", True),
        ("checked", "dW5pcXVl", b"", True),
        ("checked", "b3RoZXI=", b"unique", False),
        ("checked", "", b"unique", True),
        ("ignored", "b3RoZXI=", b"unique", True),
        ("required", "dW5pcXVl", b"unique", True),
        ("required", "", b"unique", False),
        ("required", "", b"", False),
        ("required", "dW5pcXVl", b"", False),
    ],
)
def test_binding_to_the_connection(
    iso2: CertificateAuthority, rule: str, password: str, unique: bytes, fine: bool
) -> None:
    # base64 of "unique" is dW5pcXVl, of "other" b3RoZXI= (RFC 4648 10 spells the alphabet).
    options = {"cpo": LabelOptions(binding=rule)}  # type: ignore[arg-type]  # the literals stand above
    service = service_of(iso2, options=options)
    attributes = [("1.2.840.113549.1.9.7", password.encode())] if password else []
    request = csr(key(), attributes=attributes)
    if fine:
        service.enrol("cpo-a", request, service.labels.target("cpo"), tls_unique=unique)
    else:
        with refused("est.wrong_binding"):
            service.enrol("cpo-a", request, service.labels.target("cpo"), tls_unique=unique)
