"""The one issuance path: what it gives, what it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.certs import der
from v2gpki.certs.lint import lint_certificate
from v2gpki.certs.template import CertificateTemplate, Constants, IssuerName
from v2gpki.identifiers import parse, recognise
from v2gpki.keys.suites import SUITES, PrivateKey, spki_of
from v2gpki.services.issuance import Order
from v2gpki.store.records import AuditRow

EMAID = "DEACMC12345678"
Opener = Callable[[Path], v2gpki.CertificateAuthority]


def state(ca: v2gpki.CertificateAuthority) -> tuple[int, int, int, list[str]]:
    """What a refused request may not change: certificates, audit rows, open intents, key files."""
    return (
        sum(1 for _ in ca.store.find_certificates()),
        ca.store.audit_tip()[0],
        len(ca.store.pending_intents()),
        sorted(path.name for path in (ca.home / "keys").iterdir()),
    )


def request(key: PrivateKey, common_name: str = "DE*ACM*E0001") -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    algorithm = hashes.SHA256() if key.curve.name == "secp256r1" else hashes.SHA512()
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    return built.public_bytes(serialization.Encoding.PEM)


def test_an_answer_is_recorded_and_its_chain_ends_below_the_root(iso2: v2gpki.CertificateAuthority) -> None:
    issued = iso2.issue("contract", id="DE-ACM-C12345678")
    record = issued.record
    assert iso2.store.certificate(record.issuer_id, record.serial) == record
    assert record.identifier == EMAID
    assert record.fingerprint == hashlib.sha256(record.der).digest()
    leaf, sub_2, sub_1 = (x509.load_der_x509_certificate(der) for der in issued.chain)
    root = x509.load_der_x509_certificate(iso2.authority("iso2-mo-root").der)
    leaf.verify_directly_issued_by(sub_2)
    sub_2.verify_directly_issued_by(sub_1)
    sub_1.verify_directly_issued_by(root)
    assert issued.private_key is not None
    assert spki_of(issued.private_key.public_key()) == leaf.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert record.serial.bit_length() == 159
    assert record.serial == leaf.serial_number
    assert 0x40 <= record.serial >> 152 <= 0x7F


def test_dates_are_the_profiles_and_never_outlive_the_issuer(iso2: v2gpki.CertificateAuthority) -> None:
    leaf = iso2.issue("secc", id="DE*ACM*E0001").record
    assert leaf.not_after - leaf.not_before == timedelta(days=60)
    issuer = iso2.authority("iso2-cpo-sub-ca-2")
    assert issuer.not_before <= leaf.not_before <= BIRTH <= leaf.not_after <= issuer.not_after
    iso2.clock.moment = issuer.not_after - timedelta(days=70)  # type: ignore[attr-defined]  # a FixedClock
    late = iso2.issue("contract", id=EMAID, issuer="iso2-mo-sub-ca-2").record
    assert late.not_after <= iso2.authority("iso2-mo-sub-ca-2").not_after


def test_an_issuer_past_its_end_issues_nothing(iso2: v2gpki.CertificateAuthority) -> None:
    iso2.issue("secc", id="DE*ACM*E0001")
    iso2.clock.moment = iso2.authority("iso2-cpo-sub-ca-2").not_after + timedelta(seconds=1)  # type: ignore[attr-defined]
    before = state(iso2)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.issue("secc", id="DE*ACM*E0001")
    assert refused.value.code == "issuing.issuer_expired"
    assert state(iso2) == before


def test_a_revoked_issuer_issues_nothing_even_when_it_just_did(opened: Opener, home_iso2: Path) -> None:
    here = opened(home_iso2)
    here.issue("secc", id="DE*ACM*E0001")
    with v2gpki.open_authority(here.home, passphrase=PASSPHRASE, clock=here.clock) as elsewhere:
        elsewhere.revoke(f"{elsewhere.authority('iso2-cpo-sub-ca-2').serial:x}", "keyCompromise")
    before = state(here)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        here.issue("secc", id="DE*ACM*E0001", issuer="iso2-cpo-sub-ca-2@1")
    assert refused.value.code == "issuing.issuer_not_active"
    assert state(here) == before


def test_an_issuer_below_a_revoked_authority_issues_nothing(iso2: v2gpki.CertificateAuthority) -> None:
    iso2.revoke(f"{iso2.authority('iso2-cpo-sub-ca-1').serial:x}", "keyCompromise")
    before = state(iso2)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.issue("secc", id="DE*ACM*E0001")
    assert refused.value.code == "issuing.issuer_not_active"
    assert refused.value.facts["authority"] == "iso2-cpo-sub-ca-1@1"
    assert state(iso2) == before


def test_a_start_near_the_end_of_time_is_refused_like_any_other(iso2: v2gpki.CertificateAuthority) -> None:
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.issue("secc", id="DE*ACM*E0001", not_before=datetime(9999, 12, 31, tzinfo=UTC))
    assert refused.value.code == "lint.failed"


class InBetween:
    """A vault that lets something else happen right after it took new keys."""

    def __init__(self, vault: object, meanwhile: Callable[[], object]) -> None:
        self._vault = vault
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> object:
        return getattr(self._vault, name)

    def add_many(self, keys: object) -> None:
        self._vault.add_many(keys)  # type: ignore[attr-defined]  # stands in for any vault
        self._meanwhile()


def test_of_two_that_make_one_authority_the_loser_leaves_the_key_of_the_winner(opened: Opener, home_iso2: Path) -> None:
    winner = opened(home_iso2)
    loser = v2gpki.open_authority(winner.home, passphrase=PASSPHRASE, clock=winner.clock)
    refusals: list[str] = []

    def lose() -> None:
        with pytest.raises(v2gpki.V2GPKIError) as refused:
            loser.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="contested")
        refusals.append(refused.value.code)

    winner.vault = InBetween(winner.vault, lose)  # type: ignore[assignment]  # stands in for the vault
    made = winner.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="contested")
    loser.close()
    assert refusals == ["store.conflict"]
    winner.issue("secc", id="DE*ACM*E0001", issuer=made.id)


def test_a_key_file_that_was_there_before_is_not_discarded(iso2: v2gpki.CertificateAuthority) -> None:
    assert iso2.vault is not None
    iso2.vault.add("stranded@1", SUITES["p256"].generate())
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.create_authority("cpo-sub-ca-2", edition="iso15118-2", slug="stranded")
    assert refused.value.code == "key.exists"
    assert "stranded@1" in iso2.vault.key_ids()
    assert not iso2.store.pending_intents()


def test_what_was_committed_while_recovery_looked_stays(opened: Opener, home_iso2: Path) -> None:
    """The owner of an intent commits and ends between the look at the intents and the look at the owner."""
    worker = opened(home_iso2)
    helper = v2gpki.open_authority(worker.home, passphrase=PASSPHRASE, clock=worker.clock)
    recovering = helper.issuance
    abandoned: list[int] = []

    def recover() -> None:
        def owner_ends(_session: str) -> bool:
            committing.set()
            thread.join()
            return False

        abandoned.append(recovering.recover(owner_ends))

    committing, looking = threading.Event(), threading.Event()

    def meanwhile() -> None:
        looking.set()
        committing.wait(60)

    worker.vault = InBetween(worker.vault, meanwhile)  # type: ignore[assignment]  # stands in for the vault
    create = functools.partial(worker.create_authority, "cpo-sub-ca-2", edition="iso15118-2", slug="slow")
    thread = threading.Thread(target=create)
    thread.start()
    looking.wait(60)
    recover()
    helper.close()
    assert abandoned == [0]
    worker.issue("secc", id="DE*ACM*E0001", issuer="slow@1")


def test_only_key_and_identifier_come_from_a_request(iso2: v2gpki.CertificateAuthority) -> None:
    key = SUITES["p256"].generate()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    wishes = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(
            x509.Name(
                [
                    x509.NameAttribute(x509.NameOID.COMMON_NAME, "DE*ACM*E0001"),
                    x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Somebody Else"),
                    x509.NameAttribute(x509.NameOID.DOMAIN_COMPONENT, "CPS"),
                ]
            )
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("evil.example")]), False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    issued = iso2.issue("secc", csr=wishes)
    assert issued.private_key is None
    certificate = x509.load_der_x509_certificate(issued.record.der)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "DC=CPO,CN=DE*ACM*E0001,O=Acme"
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_an_x448_key_is_certified_from_a_bare_public_key(everything: v2gpki.CertificateAuthority) -> None:
    key = SUITES["x448"].generate().public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    issued = everything.issue("oem-x448", id="WACME000000000001", edition="iso15118-20", public_key=pem)
    certificate = x509.load_der_x509_certificate(issued.record.der)
    assert certificate.public_key() == key
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_agreement
    assert not usage.digital_signature
    assert certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.ED448


def broken_signature() -> bytes:
    key = SUITES["p256"].generate()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    loaded = x509.load_pem_x509_csr(request(key)).public_bytes(serialization.Encoding.DER)
    return loaded[:-1] + bytes((loaded[-1] ^ 1,))


def rsa_request() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "DE*ACM*E0001")])
    key = rsa.generate_private_key(65537, 2048)
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)


REFUSED = {
    "a curve of the other edition": ({"role": "secc", "csr": request(SUITES["p521"].generate())}, "lint.failed"),
    "a broken CSR signature": ({"role": "secc", "csr": broken_signature()}, "csr.bad_signature"),
    "an RSA CSR": ({"role": "secc", "csr": rsa_request()}, "csr.unsupported_key"),
    "an identifier of the wrong kind": ({"role": "contract", "id": "DE*ACM*E0001"}, "identifier.invalid"),
    "an identifier with a control character": ({"role": "contract", "id": "DEACMC1234567\x08"}, "identifier.invalid"),
    "an identifier that is not ASCII": ({"role": "contract", "id": "DEACMC1234567Ö"}, "identifier.invalid"),
    "no identifier": ({"role": "contract"}, "issuing.needs_identifier"),
    "two keys": ({"role": "secc", "id": "DE*ACM*E0001", "csr": b"-", "public_key": b"-"}, "usage.invalid"),
    "an authority as a leaf": ({"role": "cpo-sub-ca-1"}, "issuing.not_a_leaf"),
    "an unknown role": ({"role": "cpo", "edition": "iso15118-2", "id": "X"}, "profile.unknown_role"),
    "an unknown edition": ({"role": "secc", "edition": "iso15118-3", "id": "X"}, "profile.unknown_edition"),
    "a role of no edition here": ({"role": "vehicle", "id": "X"}, "issuing.needs_edition"),
    "an issuer that may not": (
        {"role": "secc", "id": "DE*ACM*E0001", "issuer": "iso2-mo-sub-ca-2"},
        "issuing.wrong_issuer",
    ),
    "an issuer that is not there": (
        {"role": "secc", "id": "DE*ACM*E0001", "issuer": "nobody"},
        "store.unknown_authority",
    ),
    "an end after the issuer's": (
        {"role": "secc", "id": "DE*ACM*E0001", "not_after": datetime(2090, 1, 1, tzinfo=UTC)},
        "lint.failed",
    ),
    "an end before the start": (
        {"role": "secc", "id": "DE*ACM*E0001", "not_after": datetime(2020, 1, 1, tzinfo=UTC)},
        "lint.failed",
    ),
    "an option that is not there": (
        {"role": "secc", "id": "DE*ACM*E0001", "edition": "iso15118-2", "options": {"colour": "red"}},
        "profile.unknown_option",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_requests_are_refused_and_leave_nothing(iso2: v2gpki.CertificateAuthority, case: str) -> None:
    arguments, code = REFUSED[case]
    before = state(iso2)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.issue(**arguments)  # type: ignore[arg-type]  # keyword arguments as data
    assert refused.value.code == code
    assert refused.value.hint
    assert state(iso2) == before


def test_one_bad_order_refuses_its_whole_group(iso2: v2gpki.CertificateAuthority) -> None:
    before = state(iso2)
    orders = [
        v2gpki.CertificateOrder("contract", EMAID),
        v2gpki.CertificateOrder("contract", "DEACMC12345679", not_after=datetime(2090, 1, 1, tzinfo=UTC)),
    ]
    with pytest.raises(v2gpki.V2GPKIError):
        iso2.issue_many(orders)
    assert state(iso2) == before


def test_the_size_limit_is_kept(opened: Opener, home_iso2: Path) -> None:
    ca = opened(home_iso2)
    object.__setattr__(ca, "settings", type(ca.settings)(ocsp_url="http://127.0.0.1/" + "o" * 400))
    before = state(ca)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        ca.issue("secc", id="DE*ACM*E0001")
    assert [finding.code for finding in refused.value.findings] == ["lint.size.too_large"]
    assert "800" in refused.value.findings[0].message
    assert state(ca) == before


def test_a_sub_ca_below_path_length_zero_is_refused(iso2: v2gpki.CertificateAuthority) -> None:
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.create_authority("cpo-sub-ca-2", edition="iso15118-2", issuer="iso2-cpo-sub-ca-2", slug="too-deep")
    assert refused.value.code in ("issuing.wrong_issuer", "lint.failed")


def test_each_order_of_a_group_has_its_caller(iso2: v2gpki.CertificateAuthority) -> None:
    """The same idempotence key of two callers is two keys."""
    route = iso2._routing.route("secc")
    keys = [spki_of(SUITES["p256"].generate().public_key()) for _ in range(3)]

    def order(number: int) -> Order:
        identifier = parse("evseid", f"DE*ACM*E{number}")
        return Order(
            route.profile, route.issuer_id, route.constants, identifier, keys[number], idempotence_key="one"
        )

    first = iso2.issuance.issue_for([(order(0), "a"), (order(1), "b")])
    assert [answer.record.caller for answer in first] == ["a", "b"]
    again = iso2.issuance.issue_for([(order(1), "b"), (order(2), "c"), (order(0), "a")])
    assert [again[0].record, again[2].record] == [first[1].record, first[0].record]
    assert (again[1].record.caller, again[1].record.identifier) == ("c", "DE*ACM*E2")
    with pytest.raises(v2gpki.V2GPKIError, match="idempotence_reused"):
        iso2.issuance.issue([order(0)], caller="b")


def test_the_same_idempotence_key_gives_the_same_certificate(iso2: v2gpki.CertificateAuthority) -> None:
    key = SUITES["p256"].generate()
    first = iso2.issue("secc", csr=request(key), idempotence_key="csr-1")
    count = state(iso2)
    again = iso2.issue("secc", csr=request(key), idempotence_key="csr-1")
    assert again.record == first.record
    assert again.chain == first.chain
    assert state(iso2) == count
    assert iso2.issue("secc", csr=request(key), idempotence_key="csr-2").record != first.record


@pytest.mark.parametrize(
    "other",
    [
        {"role": "contract", "id": EMAID},
        {"role": "secc", "id": "DE*ACM*E0002"},
        {"role": "secc", "id": "DE*ACM*E0001", "csr": request(SUITES["p256"].generate())},
    ],
)
def test_an_idempotence_key_belongs_to_one_order(iso2: v2gpki.CertificateAuthority, other: dict[str, object]) -> None:
    first = iso2.issue("secc", id="DE*ACM*E0001", csr=request(SUITES["p256"].generate()), idempotence_key="one")
    before = state(iso2)
    with pytest.raises(v2gpki.V2GPKIError) as refused:
        iso2.issue(**other, idempotence_key="one")  # type: ignore[arg-type]  # keyword arguments as data
    assert refused.value.code == "issuing.idempotence_reused"
    assert refused.value.facts["serial"] == f"{first.record.serial:x}"
    assert state(iso2) == before


def test_what_has_ended_already_is_not_issued(iso2: v2gpki.CertificateAuthority) -> None:
    before = state(iso2)
    for end in (BIRTH, BIRTH - timedelta(days=1)):
        with pytest.raises(v2gpki.V2GPKIError) as refused:
            iso2.issue("secc", id="DE*ACM*E0001", not_before=BIRTH - timedelta(days=60), not_after=end)
        assert refused.value.code == "issuing.already_ended"
    assert state(iso2) == before


def test_times_need_a_zone(iso2: v2gpki.CertificateAuthority) -> None:
    with pytest.raises(v2gpki.V2GPKIError, match="no time zone"):
        iso2.issue("secc", id="DE*ACM*E0001", not_after=BIRTH.replace(tzinfo=None) + timedelta(days=30))


def test_threads_share_one_session(iso2: v2gpki.CertificateAuthority) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: iso2.issue("secc", id=f"DE*ACM*E{n:04d}"), range(16)))
    assert len({answer.record.serial for answer in answers}) == 16
    assert len(list((iso2.home / "sessions").iterdir())) == 1


def test_no_end_entity_key_is_kept_unless_escrowed(iso2: v2gpki.CertificateAuthority) -> None:
    before = state(iso2)[3]
    iso2.issue("contract", id=EMAID)
    assert state(iso2)[3] == before
    escrowed = iso2.issue("contract", id=EMAID, escrow=True)
    assert escrowed.private_key is None
    assert set(state(iso2)[3]) - set(before) == {f"{escrowed.record.key_id}.pem"}
    assert iso2.vault is not None
    kept = spki_of(iso2.vault.private_key(escrowed.record.key_id).public_key())
    assert kept in escrowed.record.der


def test_a_dry_run_changes_nothing(iso2: v2gpki.CertificateAuthority) -> None:
    before = state(iso2)
    tbs, findings = iso2.dry_run(v2gpki.CertificateOrder("contract", EMAID))
    assert EMAID.encode() in tbs
    assert not findings
    assert state(iso2) == before


def test_every_issuance_has_its_audit_row(iso2: v2gpki.CertificateAuthority) -> None:
    tip = iso2.store.audit_tip()[0]
    record = iso2.issue("contract", id=EMAID).record
    rows: list[AuditRow] = list(iso2.store.audit_rows(after=tip))
    assert any(record.fingerprint.hex() in row.details or record.fingerprint.hex() in row.target for row in rows)
    assert all(row.caller == "test" for row in rows)


@pytest.fixture(scope="module")
def shared(home_iso2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[v2gpki.CertificateAuthority]:
    """One opened copy for all examples of the property test."""
    folder = tmp_path_factory.mktemp("property") / "home"
    shutil.copytree(home_iso2, folder)
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH)) as ca:
        yield ca


def final_octets(ca: v2gpki.CertificateAuthority, role: str, text: str, end: datetime) -> tuple[bytes, bytes]:
    """The certificate that an order asks for, signed without asking anybody; and its issuer's."""
    profile = ca.catalogue.profile("iso15118-2", role)
    issuer = ca.authority(f"iso2-{profile.issuers[0]}")
    constants = Constants(org="Acme", ocsp_url=ca.settings.ocsp_url)
    template = CertificateTemplate(profile, IssuerName(issuer.subject_der, issuer.key_identifier), constants)
    tbs, _ = template.tbs(
        serial=b"\x55" * 20,
        not_before=der.time(BIRTH - profile.validity.backdate),
        not_after=der.time(end),
        identifier=text,
        spki=spki_of(SUITES["p256"].generate().public_key()),
    )
    assert ca.vault is not None
    return template.assemble(tbs, ca.vault.signer(issuer.key_id).sign(tbs)), issuer.der


@settings(suppress_health_check=list(HealthCheck))
@given(
    wanted=st.one_of(
        st.tuples(st.just("secc"), st.from_regex(r"\A[A-Z]{2}\*[A-Z0-9]{3}\*E[A-Z0-9*]{1,30}\Z")),
        st.tuples(st.just("contract"), st.from_regex(r"\A[A-Z]{2}[A-Z0-9]{3}[A-Z0-9]{9}[A-Z0-9]?\Z")),
        st.tuples(st.just("oem"), st.from_regex(r"\A[A-Z0-9]{17,18}\Z")),
    ),
    seconds=st.integers(-86400, 4 * 365 * 86400) | st.sampled_from([60 * 86400, 92 * 86400, 731 * 86400, 28 * 86400]),
)
def test_issuing_says_what_a_full_lint_of_the_final_octets_says(
    shared: v2gpki.CertificateAuthority, wanted: tuple[str, str], seconds: int
) -> None:
    role, text = wanted
    identifier = recognise(shared.catalogue.profile("iso15118-2", role).identifier.kinds, text).normal
    end = BIRTH + timedelta(seconds=seconds)
    certificate, issuer = final_octets(shared, role, identifier, end)
    profile = shared.catalogue.profile("iso15118-2", role)
    full = {finding.code for finding in lint_certificate(certificate, profile, issuer=issuer)}
    said: tuple[v2gpki.Finding, ...]
    try:
        said = shared.issue(role, id=text, not_after=end).findings
    except v2gpki.V2GPKIError as refusal:
        said = refusal.findings
    # Only an order knows that its identifier was written in another form than the normal one.
    assert {finding.code for finding in said} - {"lint.identifier.noted"} == full - {"lint.identifier.noted"}
