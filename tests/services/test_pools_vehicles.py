"""The pool of provisioning certificates: whose chain is taken, who may register, and what a deletion takes along."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import PASSPHRASE
from tests.services.pool_world import AT, DAY, EMAID, PCID, World, refusing
from v2gpki.certs.view import view
from v2gpki.errors import CODES, V2GPKIError
from v2gpki.services.pools import ProvisioningPolicy
from v2gpki.services.pools.provisioning_pool import key_identifier_of
from v2gpki.store.records import AuditEvent
from v2gpki.wiring.audit_check import check_audit


@pytest.fixture
def world(iso2: v2gpki.CertificateAuthority) -> World:
    return World(iso2)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ...]:
    """A provisioning certificate of another home, leaf to root."""
    home = tmp_path_factory.mktemp("foreign") / "home"
    with v2gpki.open_authority(
        home, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(AT), caller="foreign"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Other")
        return (*ca.issue("oem", id=PCID, edition="iso15118-2").chain, ca.authority("iso2-oem-root").der)


def refused(world: World, chain: tuple[bytes, ...], code: str, **more: object) -> V2GPKIError:
    before = world.seals, list(world.vehicles.list())
    with pytest.raises(V2GPKIError) as caught:
        world.vehicles.register(chain, **{"at": AT, "caller": "test", **more})  # type: ignore[arg-type]  # by name
    assert caught.value.code == code
    assert caught.value.hint
    assert code in CODES
    assert (world.seals, list(world.vehicles.list())) == before
    return caught.value


# -- the row --------------------------------------------------------------------------------------


def test_a_vehicle_is_registered_with_everything_that_is_known(world: World) -> None:
    chain = world.chain()
    root = world.ca.authority("iso2-v2g-root").der
    done = world.vehicles.register(
        chain, v2g_roots=[key_identifier_of(root)], previous_pcid="WVWABCDEFGH000000", at=AT, caller="alice"
    )
    leaf = x509.load_der_x509_certificate(chain[0])
    vehicle = done.vehicle
    assert (done.state, done.role, done.withdrawn) == ("new", "oem", ())
    assert (vehicle.pcid, vehicle.edition, vehicle.suite, vehicle.owner) == (PCID, "iso15118-2", "p256", "")
    assert vehicle.chain == chain
    assert len(chain) == 3
    assert vehicle.fingerprint == hashlib.sha256(chain[0]).digest()
    assert vehicle.receiver == hashlib.sha256(view(chain[0]).spki).digest()
    assert vehicle.not_after == leaf.not_valid_after_utc
    own_ski = x509.load_der_x509_certificate(root).extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert vehicle.v2g_roots == (own_ski.value.digest,)
    assert vehicle.previous_pcid == "WVWABCDEFGH000000"
    assert (vehicle.registered_at, vehicle.registered_by) == (AT, "alice")
    assert world.vehicles.find(PCID, "iso15118-2") == vehicle
    assert world.seals == 1
    assert len(world.audit("vehicle.registered")) == 1


def test_the_chain_may_come_in_any_order_and_with_its_root(world: World) -> None:
    chain = world.chain()
    root = world.ca.authority("iso2-oem-root").der
    done = world.vehicles.register([root, chain[2], chain[0], chain[1], chain[0]], at=AT, caller="test")
    assert done.vehicle.chain == chain


def test_the_same_again_is_nothing_new_and_says_so(world: World) -> None:
    chain = world.chain()
    world.vehicles.register(chain, v2g_roots=[b"12345678"], at=AT, caller="alice")
    again = world.vehicles.register(chain, at=AT + DAY, caller="bob")
    assert again.state == "unchanged"
    assert again.vehicle.registered_by == "alice"
    assert again.vehicle.v2g_roots == (b"12345678",)
    assert world.seals == 1
    updated = world.vehicles.register(chain, v2g_roots=[b"abcdefgh"], at=AT + DAY, caller="bob")
    assert (updated.state, updated.vehicle.v2g_roots) == ("updated", (b"abcdefgh",))
    assert len(list(world.vehicles.list())) == 1


def test_another_predecessor_with_the_same_leaf_is_not_taken_over_and_that_is_said(world: World) -> None:
    chain = world.chain()
    world.vehicles.register(chain, at=AT, caller="test")
    again = world.vehicles.register(chain, previous_pcid="WVWABCDEFGH000000", at=AT, caller="test")
    assert again.state == "unchanged"
    assert "pool.kept_as_registered" in {note.code for note in again.notes}
    assert again.vehicle.previous_pcid == ""


def test_a_renewed_certificate_takes_the_place_of_the_one_before(world: World) -> None:
    first = world.registered()
    world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    renewed = world.registered()
    assert renewed.state == "renewed"
    assert renewed.vehicle.fingerprint != first.vehicle.fingerprint
    assert [one.fingerprint for one in world.vehicles.list()] == [renewed.vehicle.fingerprint]
    assert world.contracts.find(EMAID).state == "active"


def test_an_older_certificate_may_come_back_but_not_unseen(world: World) -> None:
    order = {"id": PCID, "edition": "iso15118-2"}
    old = world.ca.issue("oem", not_before=AT - 30 * DAY, **order).chain  # type: ignore[arg-type]  # by name
    world.registered()
    done = world.vehicles.register(old, at=AT, caller="test")
    assert done.state == "renewed"
    assert "pool.older_leaf" in {note.code for note in done.notes}


def test_small_letters_are_the_same_vehicle(world: World) -> None:
    done = world.registered("huboemprovcqa0615")
    assert done.vehicle.pcid == "HUBOEMPROVCQA0615"
    assert "identifier.small_letters" in {note.code for note in done.notes}
    assert world.vehicles.find("huboemprovcqa0615", "iso15118-2") == done.vehicle
    assert world.registered("HUBOEMPROVCQA0615").state == "renewed"


# -- editions and families ------------------------------------------------------------------------


def test_the_edition_is_recognised_by_the_key(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    for edition, suite in (("iso15118-2", "p256"), ("iso15118-20", "p521"), ("iso15118-20", "ed448")):
        done = world.vehicles.register(world.chain(PCID, edition, suite), at=AT, caller="test")
        assert (done.vehicle.edition, done.vehicle.suite, done.role) == (edition, suite, "oem")
    agreement = everything.issue("oem-x448", id=PCID, edition="iso15118-20")
    done = world.vehicles.register(agreement.chain, at=AT, caller="test")
    assert (done.vehicle.edition, done.vehicle.suite, done.role) == ("iso15118-20", "x448", "oem-x448")
    assert [(one.edition, one.suite) for one in world.vehicles.all_of(PCID)] == [
        ("iso15118-2", "p256"),
        ("iso15118-20", "p521"),
        ("iso15118-20", "ed448"),
        ("iso15118-20", "x448"),
    ]
    assert world.vehicles.find(PCID, "iso15118-20", "p521") is not None
    newest = world.vehicles.find(PCID, "iso15118-20")
    assert newest is not None
    assert newest.suite == "x448"
    assert len(world.vehicles.find_all(PCID, "iso15118-20")) == 3


def test_a_key_of_another_edition_is_refused(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    problem = refused(world, world.chain(), "pool.wrong_family", edition="iso15118-20")
    assert "P-521" in problem.hint
    refused(world, world.chain(PCID, "iso15118-20", "p521"), "pool.wrong_family", edition="iso15118-2")


def test_an_edition_of_the_laboratory_must_be_named(world: World) -> None:
    """Its roots are of their own: the home's P-256 root counts there only when somebody decided so."""
    refused(world, world.chain(), "path.no_anchor", edition="lab-ecog-20")
    refused(world, world.chain(), "profile.unknown_edition", edition="iso15118-3")


# -- trust ----------------------------------------------------------------------------------------


def test_a_chain_under_a_root_that_nobody_trusts_is_refused(world: World, foreign: tuple[bytes, ...]) -> None:
    refused(world, foreign, "path.no_anchor")
    world.roots.add(foreign[-1], role="oem-root", at=AT, caller="test")
    done = world.vehicles.register(foreign, at=AT, caller="test")
    assert done.vehicle.chain == foreign[:3]
    world.roots.refuse(view(foreign[-1]).fingerprint.hex(), at=AT, caller="test")
    refused(world, foreign, "path.no_anchor")


def test_a_root_for_another_use_does_not_do(world: World, foreign: tuple[bytes, ...]) -> None:
    world.roots.add(foreign[-1], role="mo-root", at=AT, caller="test")
    world.seals = 0
    refused(world, foreign, "path.no_anchor")


def test_certificates_of_other_roles_are_refused(world: World) -> None:
    contract = world.ca.issue("contract", id=EMAID, edition="iso15118-2").chain
    assert refused(world, contract, "path.no_anchor").findings
    cps = world.ca.issue("cps", edition="iso15118-2").chain
    problem = refused(world, cps, "role.identifier")
    assert {"role.domain_component"} <= {finding.code for finding in problem.findings}


def test_an_expired_certificate_is_refused(world: World) -> None:
    chain = world.ca.issue("oem", id=PCID, edition="iso15118-2", not_after=AT + DAY).chain
    refused(world, chain, "path.expired", at=AT + 2 * DAY)
    soon = world.vehicles.register(chain, at=AT, caller="test")
    assert "pool.expires_soon" in {note.code for note in soon.notes}


def test_an_incomplete_chain_is_refused(world: World) -> None:
    refused(world, world.chain()[:1], "path.no_anchor")
    refused(world, (), "chain.empty")


def test_what_this_home_revoked_is_refused_without_any_list(world: World) -> None:
    issued = world.ca.issue("oem", id=PCID, edition="iso15118-2")
    world.ca.revoke(f"{issued.record.serial:x}", "keyCompromise")
    problem = refused(world, issued.chain, "path.revoked")
    assert "keyCompromise" in problem.message


@pytest.mark.parametrize("slug", ["iso2-oem-sub-ca-2", "iso2-oem-sub-ca-1"])
def test_a_revoked_authority_above_refuses_too(world: World, slug: str) -> None:
    chain = world.chain()
    world.ca.store.set_authority_state(world.ca.authority(slug).id, "revoked", AuditEvent("a", "test", "", {}), AT)
    refused(world, chain, "path.revoked")


def test_a_revocation_list_that_comes_along_is_heard(world: World) -> None:
    issued = world.ca.issue("oem", id=PCID, edition="iso15118-2")
    clean = world.ca.publish_crl("iso2-oem-sub-ca-2").der
    assert world.vehicles.register(issued.chain, crls=[clean], at=AT, caller="test").state == "new"


def test_evidence_may_be_demanded(iso2: v2gpki.CertificateAuthority) -> None:
    world = World(iso2, vehicles_policy=ProvisioningPolicy(require_evidence=True))
    chain = world.chain()
    refused(world, chain, "path.status_unknown")
    lists = [iso2.publish_crl(slug).der for slug in ("iso2-oem-sub-ca-2", "iso2-oem-sub-ca-1", "iso2-oem-root")]
    assert world.vehicles.register(chain, crls=lists, at=AT, caller="test").state == "new"


def test_deviations_can_be_tolerated_one_by_one(iso2: v2gpki.CertificateAuthority) -> None:
    world = World(iso2)
    chain = world.ca.issue("cps", edition="iso15118-2").chain
    codes = {finding.code for finding in refused(world, chain, "role.identifier").findings}
    assert "role.domain_component" in codes
    left = {
        finding.code
        for finding in refused(world, chain, "role.identifier", tolerate=["role.domain_component"]).findings
    }
    assert left == codes - {"role.domain_component"}
    lenient = World(iso2, vehicles_policy=ProvisioningPolicy(tolerate=frozenset({"role.domain_component"})))
    assert {finding.code for finding in refused(lenient, chain, "role.identifier").findings} == left


def test_without_a_pcid_nothing_is_registered(world: World) -> None:
    """Even with every rule about names tolerated: the pool is keyed by the PCID."""
    chain = world.ca.issue("cps", edition="iso15118-2").chain
    codes = {finding.code for finding in refused(world, chain, "role.identifier").findings}
    refused(world, chain, "identifier.invalid", tolerate=codes)


# -- another root ---------------------------------------------------------------------------------


def test_another_root_takes_no_pcid_over(world: World, foreign: tuple[bytes, ...]) -> None:
    mine = world.registered().vehicle
    contract = world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    world.roots.add(foreign[-1], role="oem-root", at=AT, caller="test")
    problem = refused(world, foreign, "pool.other_root")
    assert problem.facts["registered"] == mine.fingerprint.hex()
    assert "--other-root" in problem.hint
    assert problem.outcome.http == 409
    done = world.vehicles.register(foreign, accept_other_root=True, at=AT, caller="test")
    assert done.state == "renewed"
    assert "pool.other_root" in {note.code for note in done.notes}
    assert world.contracts.find(contract.id).state == "active"
    again = world.vehicles.register(foreign, at=AT, caller="test")
    assert (again.state, again.notes) == ("unchanged", ())
    refused(world, world.chain(), "pool.other_root")
    world.vehicles.delete(PCID, at=AT, caller="test")
    assert world.registered().state == "new"


def test_the_name_of_the_organisation_does_not_make_it_the_same_root(world: World, tmp_path: Path) -> None:
    with v2gpki.open_authority(
        tmp_path / "double", passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(AT), caller="double"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
        chain, root = ca.issue("oem", id=PCID, edition="iso15118-2").chain, ca.authority("iso2-oem-root").der
    assert view(root).subject == view(world.ca.authority("iso2-oem-root").der).subject
    world.registered()
    world.roots.add(root, role="oem-root", at=AT, caller="test")
    refused(world, chain, "pool.other_root")


def test_a_root_of_another_organisation_takes_no_pcid_over_in_another_edition(
    everything: v2gpki.CertificateAuthority, foreign: tuple[bytes, ...]
) -> None:
    world = World(everything)
    world.vehicles.register(world.chain(PCID, "iso15118-20", "p521"), at=AT, caller="test")
    world.roots.add(foreign[-1], role="oem-root", at=AT, caller="test")
    refused(world, foreign, "pool.other_root")
    assert "pool.other_root" not in {note.code for note in world.registered().notes}


# -- who may register -----------------------------------------------------------------------------


def test_the_home_itself_registers_what_nobody_owns(world: World) -> None:
    assert world.registered().vehicle.owner == ""


def test_a_party_registers_under_its_own_wmi_only(world: World) -> None:
    world.vehicles.owners.bind("wmi", "wvw", "volks", at=AT, caller="test")
    assert world.registered(owner="volks").vehicle.owner == "volks"
    for owner in ("other", ""):
        problem = refused(world, world.chain(), "pool.foreign_wmi", owner=owner)
        assert problem.facts["wmi"] == "WVW"
        assert problem.outcome.http == 403
    assert [one.owner for one in world.vehicles.list(owner="volks")] == ["volks"]
    assert list(world.vehicles.list(owner="")) == []


def test_a_wmi_of_nobody_is_not_for_a_named_party(world: World) -> None:
    refused(world, world.chain(), "pool.unbound_wmi", owner="volks")


def test_a_wmi_may_be_bound_on_first_use(iso2: v2gpki.CertificateAuthority) -> None:
    world = World(iso2, vehicles_policy=ProvisioningPolicy(bind_on_first_use=True))
    refused(world, world.chain()[:1], "path.no_anchor", owner="volks")
    assert world.vehicles.owners.list() == ()
    assert world.registered(owner="volks").state == "new"
    assert [(one.prefix, one.owner) for one in world.vehicles.owners.list()] == [("WVW", "volks")]
    refused(world, world.chain("WVWABCDEFGH999999"), "pool.foreign_wmi", owner="other")
    assert world.registered("HUBABCDEFGH123456").vehicle.owner == ""
    assert [one.prefix for one in world.vehicles.owners.list()] == ["WVW"]


def test_one_registration_may_bind_and_may_demand_evidence(world: World) -> None:
    refused(world, world.chain(), "path.status_unknown", require_evidence=True)
    done = world.vehicles.register(world.chain(), owner="volks", bind_on_first_use=True, at=AT, caller="test")
    assert done.vehicle.owner == "volks"
    assert [(one.prefix, one.owner) for one in world.vehicles.owners.list()] == [("WVW", "volks")]
    refused(world, world.chain("HUBABCDEFGH123456"), "pool.unbound_wmi", owner="hub")


def test_prefixes_are_bound_and_released(world: World) -> None:
    owners = world.vehicles.owners
    first = owners.bind("wmi", "WVW", " volks ", at=AT, caller="test")
    assert (first.changed, first.prefix.owner) == (True, "volks")
    assert not owners.bind("wmi", "wvw", "volks", at=AT, caller="test").changed
    assert world.seals == 1
    with refusing("pool.prefix_taken"):
        owners.bind("wmi", "WVW", "other", at=AT, caller="test")
    with refusing("pool.prefix_taken"):
        owners.release("wmi", "WVW", owner="other", at=AT, caller="test")
    released = owners.release("wmi", "WVW", owner="volks", at=AT, caller="test")
    assert released == first.prefix
    assert owners.release("wmi", "WVW", at=AT, caller="test") is None
    assert owners.bind("wmi", "WVW", "other", at=AT, caller="test").changed
    assert world.audit("prefix.bound") != []
    assert len(world.audit("prefix.released")) == 1


def test_of_many_at_once_one_gets_the_wmi(world: World) -> None:
    def attempt(owner: str) -> str:
        try:
            return world.vehicles.owners.bind("wmi", "WVW", owner, at=AT, caller="test").prefix.owner
        except V2GPKIError as problem:
            return problem.code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(attempt, [f"owner{number}" for number in range(16)]))
    assert answers[1:] == ["pool.prefix_taken"] * 15
    assert [one.owner for one in world.vehicles.owners.list()] == answers[:1]


@pytest.mark.parametrize("text", ["", "WV", "WVWX", "W-W", "W\u00c4W", "WV\n"])
def test_a_wmi_has_three_letters_or_digits(world: World, text: str) -> None:
    with refusing("pool.bad_prefix"):
        world.vehicles.owners.bind("wmi", text, "volks", at=AT, caller="test")


@pytest.mark.parametrize("owner", ["", "  ", "a" * 65, "a\x1b[31m"])
def test_a_party_has_a_name(world: World, owner: str) -> None:
    with refusing("pool.bad_owner"):
        world.vehicles.owners.bind("wmi", "WVW", owner, at=AT, caller="test")


def test_prefixes_of_emaids_and_stations_have_five(world: World) -> None:
    bound = world.vehicles.owners.bind("mo", "de-abc", "acme", at=AT, caller="test")
    assert bound.prefix.prefix == "DEABC"
    assert world.vehicles.owners.of("mo", EMAID) == bound.prefix
    with refusing("pool.bad_prefix"):
        world.vehicles.owners.bind("cpo", "DE-AB", "acme", at=AT, caller="test")


# -- deleting -------------------------------------------------------------------------------------


def test_a_deletion_purges_the_contracts(world: World) -> None:
    world.registered()
    other = world.registered("WVWABCDEFGH999999")
    contract = world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    kept = world.contracts.create("DEABCC123ABC99", other.vehicle.pcid, AT, AT + 90 * DAY, at=AT, caller="test")
    deleted = world.vehicles.delete(PCID.lower(), at=AT, caller="test")
    assert [one.pcid for one in deleted.vehicles] == [PCID]
    assert [(one.id, one.state) for one in deleted.purged] == [(contract.id, "purged")]
    assert world.vehicles.find(PCID, "iso15118-2") is None
    assert world.contracts.select(PCID, "iso15118-2", AT) == []
    assert world.contracts.find(kept.id).state == "active"
    with refusing("pool.unknown_vehicle"):
        world.vehicles.delete(PCID, at=AT, caller="test")


def test_contracts_stay_while_another_edition_is_left(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    for edition in ("iso15118-2", "iso15118-20"):
        world.vehicles.register(world.chain(PCID, edition), at=AT, caller="test")
    world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    assert world.vehicles.delete(PCID, edition="iso15118-2", at=AT, caller="test").purged == ()
    assert [one.edition for one in world.vehicles.find_all(PCID)] == ["iso15118-20"]
    with refusing("pool.unknown_vehicle") as caught:
        world.vehicles.delete(PCID, edition="iso15118-2", at=AT, caller="test")
    assert "iso15118-2" in caught.value.message
    assert len(world.vehicles.delete(PCID, at=AT, caller="test").purged) == 1


@pytest.mark.parametrize("pcid", ["", " ", "%", "WVW"])
def test_what_is_no_pcid_is_nobody(world: World, pcid: str) -> None:
    """To the store an empty one is every vehicle."""
    vehicle = world.registered().vehicle
    contract = world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    with refusing("identifier.invalid"):
        world.vehicles.delete(pcid, at=AT, caller="test")
    with refusing("identifier.invalid"):
        world.vehicles.find(pcid, "iso15118-2")
    with refusing("identifier.invalid"):
        world.vehicles.find_all(pcid)
    with refusing("identifier.invalid"):
        world.vehicles.all_of(pcid)
    assert list(world.vehicles.list(pcid="")) == [vehicle]
    assert world.contracts.find(contract.id).state == "active"


def test_a_party_deletes_its_own_only(world: World) -> None:
    world.vehicles.owners.bind("wmi", "WVW", "volks", at=AT, caller="test")
    world.registered(owner="volks")
    for owner in ("other", ""):
        with refusing("pool.foreign_wmi"):
            world.vehicles.delete(PCID, owner=owner, at=AT, caller="test")
    assert world.vehicles.delete(PCID, owner="volks", at=AT, caller="test").vehicles


def test_a_deleted_vehicle_can_be_registered_again(world: World) -> None:
    chain = world.chain()
    world.vehicles.register(chain, at=AT, caller="test")
    world.vehicles.delete(PCID, at=AT, caller="test")
    assert world.vehicles.register(chain, at=AT, caller="test").state == "new"


def test_an_unknown_vehicle_is_nothing_or_an_error(world: World) -> None:
    assert world.vehicles.find(PCID, "iso15118-2") is None
    assert world.vehicles.find_all(PCID) == ()
    with refusing("pool.unknown_vehicle") as caught:
        world.vehicles.all_of(PCID)
    assert (caught.value.outcome.iso2, caught.value.outcome.http) == ("FAILED_NoCertificateAvailable", 404)


# -- arguments ------------------------------------------------------------------------------------


def test_what_is_said_besides_is_checked_too(world: World) -> None:
    chain = world.chain()
    refused(world, chain, "pool.bad_key_identifier", v2g_roots=[b""])
    refused(world, chain, "pool.bad_key_identifier", v2g_roots=[bytes(65)])
    refused(world, chain, "identifier.invalid", previous_pcid="OEMProvCert")
    refused(world, chain, "pool.bad_previous", previous_pcid=PCID.lower())


def test_a_root_without_key_identifier_names_nobody() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bare Root")])
    bare = x509.CertificateBuilder(name, name, key.public_key(), 1, AT, AT + DAY).sign(key, hashes.SHA256())
    with refusing("pool.bad_key_identifier"):
        key_identifier_of(bare.public_bytes(Encoding.DER))


def test_the_log_of_the_home_still_holds(iso2: v2gpki.CertificateAuthority) -> None:
    """Every row that the pools wrote is in the audit log, as it stands in its table."""
    world = World(iso2)
    world.registered()
    world.contracts.create(EMAID, PCID, AT, AT + 90 * DAY, at=AT, caller="test")
    world.vehicles.owners.bind("wmi", "HUB", "hub", at=AT, caller="test")
    world.roots.refuse("iso2-mo-root", at=AT, caller="test")
    world.vehicles.delete(PCID, at=AT, caller="test")
    verdict = check_audit(iso2.store).verdict
    assert {finding.code for finding in verdict.findings} <= {"audit.unsigned"}
