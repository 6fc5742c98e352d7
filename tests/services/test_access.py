"""Tokens: made, judged, exchanged, ended; and the registration table."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import BIRTH
from v2gpki.errors import V2GPKIError
from v2gpki.services.access import POLL, SCOPES, Access
from v2gpki.services.est import EnrolmentRegistry, MemoryRegistry, Registration
from v2gpki.services.registrations import Registrations
from v2gpki.wiring.access import access_of, registrations_of

DAY = timedelta(days=1)


@pytest.fixture
def access(iso2: v2gpki.CertificateAuthority) -> Access:
    return access_of(iso2)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(V2GPKIError) as caught:
        call()
    return caught.value.code


def seconds(ca: v2gpki.CertificateAuthority, count: float) -> None:
    """Let time pass."""
    assert isinstance(ca.clock, v2gpki.FixedClock)
    ca.clock.moment += timedelta(seconds=count)


# -- making --------------------------------------------------------------------------------------
def test_only_the_digest_of_a_secret_is_kept(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    token, secret = access.create("cpo-a", ["pools", "est"], lifetime=DAY, comment="for MaEVe", caller="me")
    assert re.fullmatch(rf"v2gpki_{token.id}_[A-Za-z0-9_-]{{43}}", secret)
    random = secret.rpartition("_")[2] if secret.count("_") == 2 else secret.split("_", 2)[2]
    assert len(base64.urlsafe_b64decode(random + "=")) == 32
    assert token.digest == sha256(secret.encode()).digest()
    assert (token.scopes, token.expires_at, token.comment) == (("est", "pools"), BIRTH + DAY, "for MaEVe")
    iso2.store.close()
    for path in iso2.home.rglob("*"):
        if path.is_file():
            assert secret.split("_", 2)[2].encode() not in path.read_bytes()
    assert secret not in repr(token)
    assert access.create("cpo-a", ["est"], caller="me")[1] != secret


@pytest.mark.parametrize(
    ("identity", "scopes", "lifetime", "comment", "code"),
    [
        ("", ["est"], None, "", "access.bad_identity"),
        ("a b", ["est"], None, "", "access.bad_identity"),
        ("a:b", ["est"], None, "", "access.bad_identity"),
        ("é", ["est"], None, "", "access.bad_identity"),
        ("a" * 101, ["est"], None, "", "access.bad_identity"),
        ("a", [], None, "", "access.bad_scope"),
        ("a", ["est", "root"], None, "", "access.bad_scope"),
        ("a", ["est"], timedelta(0), "", "access.bad_lifetime"),
        ("a", ["est"], -DAY, "", "access.bad_lifetime"),
        ("a", ["est"], None, "two\nlines", "access.bad_comment"),
    ],
)
def test_what_is_no_token(
    access: Access, identity: str, scopes: list[str], lifetime: timedelta | None, comment: str, code: str
) -> None:
    assert refused(lambda: access.create(identity, scopes, lifetime=lifetime, comment=comment, caller="me")) == code
    assert access.tokens() == []


# -- judging -------------------------------------------------------------------------------------
def test_a_token_stands_for_its_identity(access: Access) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    for user in ("", "cpo-a", token.id):
        caller = access.authenticate(secret, user=user)
        assert (caller.identity, caller.scopes, caller.token_id) == ("cpo-a", frozenset({"est"}), token.id)
    # Known by now, and still not somebody else's.
    assert refused(lambda: access.authenticate(secret, user="cpo-b")) == "access.refused"


def test_a_forged_token_is_none(access: Access) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    other, _ = access.create("cpo-b", ["*"], caller="me")
    random = secret.split("_", 2)[2]
    flipped = random[:-2] + ("A" if random[-2] != "A" else "B") + random[-1]
    forged = [
        "",
        "x",
        secret[:-1],
        secret + "x",
        secret.upper(),
        f"v2gpki_{token.id}_{flipped}",
        f"v2gpki_{other.id}_{random}",
        f"v2gpki_{'0' * 16}_{random}",
        token.id,
        token.digest.hex(),
        f"v2gpki_{token.id}_{base64.urlsafe_b64encode(token.digest).decode().rstrip('=')}",
        secret + "\n",
        "v2gpki_" + "é" * 20,
    ]
    for text in forged:
        assert refused(partial(access.authenticate, text)) == "access.refused", text
    assert access.authenticate(secret).identity == "cpo-a"


def test_a_token_ends(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    _, secret = access.create("cpo-a", ["est"], lifetime=timedelta(seconds=10), caller="me")
    seconds(iso2, 9)
    assert access.authenticate(secret).identity == "cpo-a"
    seconds(iso2, 1)
    # Remembered as good a second ago.
    assert refused(lambda: access.authenticate(secret)) == "access.expired"


def test_a_revoked_token_is_refused_everywhere_within_a_second(
    iso2: v2gpki.CertificateAuthority, access: Access
) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    elsewhere = Access(iso2.store, iso2.clock)
    assert elsewhere.authenticate(secret).identity == "cpo-a"
    assert access.revoke(token.id[:6], caller="me").revoked_at == BIRTH
    assert timedelta(seconds=1) > POLL
    seconds(iso2, POLL.total_seconds())
    assert refused(lambda: elsewhere.authenticate(secret)) == "access.revoked"
    assert refused(lambda: access.authenticate(secret)) == "access.revoked"
    assert elsewhere.known(secret, iso2.clock.now()) is None


def test_a_clock_that_goes_back_hides_no_revocation(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    assert access.authenticate(secret).identity == "cpo-a"
    access.revoke(token.id, caller="me")
    seconds(iso2, -3600)
    assert refused(lambda: access.authenticate(secret)) == "access.revoked"


def test_tokens_are_revoked_by_a_unique_beginning(access: Access) -> None:
    made = [access.create("cpo-a", ["est"], caller="me")[0] for _ in range(17)]
    first = next(one.id[0] for one in made if sum(other.id[0] == one.id[0] for other in made) > 1)
    assert refused(lambda: access.revoke(first, caller="me")) == "access.ambiguous"
    assert refused(lambda: access.revoke("", caller="me")) == "store.unknown_token"
    assert refused(lambda: access.revoke("x", caller="me")) == "store.unknown_token"
    assert not any(token.revoked_at for token in access.tokens())


# -- exchanging ----------------------------------------------------------------------------------
def test_a_token_is_exchanged(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    token, secret = access.create("cpo-a", ["est", "pools"], caller="me")
    for client_id in ("cpo-a", token.id):
        exchanged = access.exchange(client_id, secret, scopes=["est"], lifetime=timedelta(seconds=60))
        assert (exchanged.scopes, exchanged.seconds) == (("est",), 60)
        assert exchanged.secret not in repr(exchanged)
        caller = access.authenticate(exchanged.secret)
        assert (caller.identity, caller.scopes, caller.token_id) == ("cpo-a", frozenset({"est"}), token.id)
    assert access.exchange("cpo-a", secret).scopes == ("est", "pools")
    seconds(iso2, 59)
    assert access.authenticate(exchanged.secret).identity == "cpo-a"
    seconds(iso2, 1)
    assert refused(lambda: access.authenticate(exchanged.secret)) == "access.expired"
    assert access.authenticate(secret).identity == "cpo-a"


def test_an_access_token_ends_with_its_token(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    exchanged = access.exchange("cpo-a", secret)
    assert access.authenticate(exchanged.secret).identity == "cpo-a"
    access.revoke(token.id, caller="me")
    seconds(iso2, 1)
    assert refused(lambda: access.authenticate(exchanged.secret)) == "access.revoked"
    assert refused(lambda: access.exchange("cpo-a", secret)) == "access.revoked"
    _, brief = access.create("cpo-a", ["est"], lifetime=timedelta(seconds=100), caller="me")
    assert access.exchange("cpo-a", brief, lifetime=DAY).seconds == 100


def test_what_is_not_exchanged(access: Access) -> None:
    token, secret = access.create("cpo-a", ["est"], caller="me")
    access.create("cpo-b", ["*"], caller="me")
    exchanged = access.exchange("cpo-a", secret)
    assert refused(lambda: access.exchange("cpo-b", secret)) == "access.refused"
    assert refused(lambda: access.exchange("", secret)) == "access.refused"
    assert refused(lambda: access.exchange(token.id, secret[:-1] + "!")) == "access.refused"
    assert refused(lambda: access.exchange("cpo-a", exchanged.secret)) == "access.refused"
    assert refused(lambda: access.exchange("cpo-a", secret, scopes=["pools"])) == "access.bad_scope"
    assert refused(lambda: access.exchange("cpo-a", secret, scopes=["*"])) == "access.bad_scope"


@pytest.mark.parametrize(
    ("held", "wanted", "given"),
    [
        (["pools"], ["pools:mo"], ("pools:mo",)),
        (["pools"], ["pools:oem", "pools:cps"], ("pools:cps", "pools:oem")),
        (["pools"], ["pools:admin"], None),
        (["pools:mo"], ["pools"], None),
        (["pools:mo"], ["pools:oem"], None),
        (["est", "pools"], ["est", "pools:cpo"], ("est", "pools:cpo")),
        (["*"], ["pools:admin"], ("pools:admin",)),
        (["*"], ["est"], ("est",)),
        (["*"], ["<script>"], None),
        (["*"], ["est", "\u202enonsense"], None),
        (["est"], ["admin"], None),
    ],
)
def test_an_access_token_may_be_good_for_less(
    access: Access, held: list[str], wanted: list[str], given: tuple[str, ...] | None
) -> None:
    _, secret = access.create("mo-9", held, caller="me")
    if given is None:
        assert refused(lambda: access.exchange("mo-9", secret, scopes=wanted)) == "access.bad_scope"
        return
    exchanged = access.exchange("mo-9", secret, scopes=wanted)
    assert exchanged.scopes == given
    assert access.authenticate(exchanged.secret).scopes == frozenset(given)


def test_ended_access_tokens_are_forgotten(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    _, secret = access.create("cpo-a", ["est"], caller="me")
    access.exchange("cpo-a", secret, lifetime=timedelta(seconds=60))
    assert access.purge(iso2.clock.now() + timedelta(hours=1)) == 0
    assert access.purge(iso2.clock.now() + timedelta(hours=2)) == 1


# -- client certificates -------------------------------------------------------------------------
def test_a_certificate_stands_for_an_identity(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    shown = iso2.issue("secc", id="DE*ICE*E1001")
    other = iso2.issue("secc", id="DE*ICE*E1002")
    token, secret = access.create("cpo-a", ["est"], certificate=shown.record.der, caller="me")
    assert secret == ""
    caller = access.authenticate_certificate(shown.record.der)
    assert caller is not None
    assert (caller.identity, caller.token_id) == ("cpo-a", token.id)
    assert access.authenticate_certificate(other.record.der) is None
    assert refused(lambda: access.create("cpo-b", ["*"], certificate=shown.record.der, caller="me")) == "store.conflict"
    # The digest of a certificate is no secret: nobody comes in with it.
    forged = f"v2gpki_{token.id}_{base64.urlsafe_b64encode(token.digest).decode().rstrip('=')}"
    assert refused(lambda: access.authenticate(forged)) == "access.refused"
    iso2.revoke(f"{shown.record.serial:x}")
    assert refused(lambda: access.authenticate_certificate(shown.record.der)) == "access.revoked"
    access.revoke(token.id, caller="me")
    iso2.revoke(f"{other.record.serial:x}")
    assert refused(lambda: access.authenticate_certificate(other.record.der)) == "access.revoked"


def test_a_certificate_below_a_revoked_authority_stands_for_nobody(
    iso2: v2gpki.CertificateAuthority, access: Access
) -> None:
    shown = iso2.issue("secc", id="DE*ICE*E1001").record
    access.create("cpo-a", ["est"], certificate=shown.der, caller="me")
    assert access.authenticate_certificate(shown.der) is not None
    iso2.revoke(f"{iso2.authority('iso2-cpo-sub-ca-1').serial:x}", "keyCompromise")
    assert refused(lambda: access.authenticate_certificate(shown.der)) == "access.revoked"


def test_a_certificate_that_ended_stands_for_nobody(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    shown = iso2.issue("secc", id="DE*ICE*E1001")
    access.create("cpo-a", ["est"], certificate=shown.record.der, caller="me")
    seconds(iso2, (shown.record.not_after - iso2.clock.now()).total_seconds())
    assert refused(lambda: access.authenticate_certificate(shown.record.der)) == "access.expired"


# -- the audit log -------------------------------------------------------------------------------
def test_the_log_says_who_did_it_and_is_sealed(iso2: v2gpki.CertificateAuthority, access: Access) -> None:
    before = iso2.store.audit_tip()[0]
    token, secret = access.create("cpo-a", ["est"], caller="cli:me")
    exchanged = access.exchange("cpo-a", secret)
    for _ in range(3):
        assert refused(lambda: access.authenticate("nonsense")) == "access.refused"
    access.revoke(token.id, caller="cli:you")
    rows = [(row.action, row.target, row.caller) for row in iso2.store.audit_rows(after=before)]
    assert rows == [
        ("token.created", token.id, "cli:me"),
        ("token.exchanged", sha256(exchanged.secret.encode()).hexdigest(), "cpo-a"),
        ("token.revoked", token.id, "cli:you"),
    ]
    assert list(iso2.store.audit_heads())[-1].sequence == iso2.store.audit_tip()[0]


def test_every_scope_has_words() -> None:
    assert {"est", "pools", "*"} <= set(SCOPES)
    assert all(SCOPES.values())


# -- the registration table ----------------------------------------------------------------------
TABLE = (
    Registration("cpo-a", "secc", "", ("DE*ICE*E45B*78C", "DE*ICE*E1001"), ()),
    Registration("cpo-b", "secc", "iso15118-2", (), ("DE*8EO",)),
    Registration("mo-a", "contract", "", ("DEABCC12345678",), ()),
    Registration("oem-a", "oem", "", (), ("WMI",)),
    Registration("oem-a", "vehicle", "", (), ("",)),
    Registration("cps-a", "cps", "", (), ("",)),
)
ASKED = [
    (identity, role, edition, identifier)
    for identity in ("cpo-a", "cpo-b", "mo-a", "oem-a", "cps-a", "nobody")
    for role, identifiers in {
        "secc": ("DE*ICE*E45B*78C", "DEICEE45B78C", "de*ice*e1001", "DE*ICE*E2", "DE*8EO*E1", "DE8EOE1", "x y", ""),
        "contract": ("DEABCC12345678", "DE-ABC-C12345678", "DEABCC12345679", "DE*ICE*E45B*78C"),
        "oem": ("WMI1234567890ABCD", "wmi1234567890abcd", "WM11234567890ABCD", "WMI"),
        "vehicle": ("ANY1234567890ABCD", ""),
        "cps": ("", "x"),
    }.items()
    for edition in ("iso15118-2", "iso15118-20", "ocpp")
    for identifier in identifiers
]


def registered(ca: v2gpki.CertificateAuthority) -> Registrations:
    made = registrations_of(ca)
    for row in TABLE:
        made.register(
            row.identity,
            row.role,
            edition=row.edition,
            identifiers=row.identifiers,
            prefixes=row.prefixes,
            caller="me",
        )
    return made


def test_the_table_in_the_store_says_what_the_one_in_memory_says(iso2: v2gpki.CertificateAuthority) -> None:
    kept: EnrolmentRegistry = registered(iso2)
    memory: EnrolmentRegistry = MemoryRegistry(iso2.catalogue, TABLE)
    answers = {}
    for identity, role, edition, identifier in ASKED:
        if role not in iso2.catalogue.roles(edition):
            continue
        asked = (identity, role, edition, identifier)
        answers[asked] = kept.allowed(*asked)
        assert answers[asked] == memory.allowed(*asked), asked
        assert kept.identifiers(identity, role, edition) == memory.identifiers(identity, role, edition), asked
    # Worked out by hand, that both are not wrong alike.
    assert answers["cpo-a", "secc", "iso15118-2", "DEICEE45B78C"]
    assert not answers["cpo-a", "secc", "iso15118-2", "DE*ICE*E2"]
    assert answers["cpo-b", "secc", "iso15118-2", "DE8EOE1"]
    assert not answers["cpo-b", "secc", "iso15118-20", "DE8EOE1"]
    assert not answers["cpo-b", "secc", "iso15118-2", "DE*ICE*E2"]
    assert answers["cps-a", "cps", "iso15118-2", ""]
    assert not answers["cpo-a", "cps", "iso15118-2", ""]
    assert set(kept.identities()) == set(memory.identities())


def test_rows_are_taken_away(iso2: v2gpki.CertificateAuthority) -> None:
    table = registered(iso2)
    assert table.remove("cpo-a", role="secc", identifier="DEICEE45B78C", caller="me") == 1
    assert not table.allowed("cpo-a", "secc", "iso15118-2", "DE*ICE*E45B*78C")
    assert table.allowed("cpo-a", "secc", "iso15118-2", "DE*ICE*E1001")
    assert table.remove("oem-a", role="oem", prefix="WMI", caller="me") == 1
    assert table.remove("oem-a", caller="me") == 1
    assert list(table.rows(identity="oem-a")) == []
    assert table.remove("nobody", caller="me") == 0


def test_a_row_counts_at_once_whoever_wrote_it(iso2: v2gpki.CertificateAuthority) -> None:
    asked, written = registrations_of(iso2), registrations_of(iso2)
    where = ("cpo-a", "secc", "iso15118-2", "DE*ICE*E7")
    assert not asked.allowed(*where)
    written.register("cpo-a", "secc", prefixes=["DE*ICE"], caller="me")
    assert asked.allowed(*where)
    assert not asked.allowed("cpo-b", *where[1:])
    written.remove("cpo-a", caller="me")
    assert not asked.allowed(*where)
    written.register("cpo-a", "secc", identifiers=["DE*ICE*E7"], caller="me")
    assert asked.allowed(*where)


def test_registering_again_changes_nothing(iso2: v2gpki.CertificateAuthority) -> None:
    table = registrations_of(iso2)
    before = iso2.store.audit_tip()[0]
    assert table.register("cpo-a", "secc", identifiers=["DE*ICE*E1001", "DEICEE1001"], caller="me") == 1
    assert table.register("cpo-a", "secc", identifiers=["de*ice*e1001"], caller="me") == 0
    assert iso2.store.audit_tip()[0] == before + 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (Registration("a b", "secc"), "access.bad_identity"),
        (Registration("a", "sec"), "profile.unknown_role"),
        (Registration("a", "csms", "iso15118-2"), "profile.unknown_role"),
        (Registration("a", "v2g-root"), "access.bad_role"),
        (Registration("a", "cpo-sub-ca-2", "iso15118-2"), "access.bad_role"),
        (Registration("a", "ocsp"), "access.bad_role"),
        (Registration("a", "secc", "iso99"), "profile.unknown_edition"),
        (Registration("a", "contract", "", ("DE*ICE*E1001",)), "identifier.invalid"),
        (Registration("a", "cps", "", ("X",)), "issuing.unwanted_identifier"),
        (Registration("a", "secc", "", (), (" DE",)), "access.bad_prefix"),
        (Registration("a", "secc", "", (), ("é",)), "access.bad_prefix"),
    ],
)
def test_what_cannot_be_registered(iso2: v2gpki.CertificateAuthority, row: Registration, code: str) -> None:
    table = registrations_of(iso2)
    assert (
        refused(
            lambda: table.register(
                row.identity,
                row.role,
                edition=row.edition,
                identifiers=row.identifiers,
                prefixes=row.prefixes,
                caller="me",
            )
        )
        == code
    )
    assert list(table.rows()) == []


def test_a_locked_home_has_tokens_too(home_iso2: Path, tmp_path: Path, iso2: v2gpki.CertificateAuthority) -> None:
    _, secret = access_of(iso2).create("cpo-a", ["est"], caller="me")
    with v2gpki.open_authority(iso2.home, clock=v2gpki.FixedClock(BIRTH)) as locked:
        access = access_of(locked)
        assert access.authenticate(secret).identity == "cpo-a"
        assert access.authenticate(access.exchange("cpo-a", secret).secret) == replace(
            access.authenticate(secret), expires_at=BIRTH + timedelta(hours=1)
        )
