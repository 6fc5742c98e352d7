"""What a reader with bad intentions found, and what happens now: chains that mislead, contracts that change hands,
revocations that must reach bundles made before, faults in the middle, arguments that mean nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from tests.conftest import BIRTH
from tests.services.test_provisioning import (
    EMAID,
    OTHER,
    accepted,
    contract,
    contract_certificates,
    move,
    of_the_home,
)
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority, Policy, V2GPKIError
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import SUITES
from v2gpki.messages import decode, encode
from v2gpki.pnc.signature import attach, sign
from v2gpki.services import bundles as making
from v2gpki.store.pool_records import Contract

WBA = "WBAABCDEF12345678"


def failed(ca: CertificateAuthority, octets: bytes, code: str, policy: Policy | None = None, **arguments: str) -> None:
    """The request is refused for this reason, and nothing is issued."""
    before = ca.store.count_certificates()
    pools = ca.plug_and_charge
    provisioning = pools.provisioning if policy is None else pools.provisioning_with(policy)
    answer = provisioning.answer(octets, **arguments)  # type: ignore[arg-type]  # by name
    assert answer.problem is not None, answer
    assert answer.problem.code == code, answer.problem
    assert ca.store.count_certificates() == before


def serial(certificate: bytes) -> str:
    return f"{x509.load_der_x509_certificate(certificate).serial_number:x}"


# --- who asks -------------------------------------------------------------------------------------------------------


def self_made_above(leaf: bytes, pcid: str) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """A certificate that claims to be a CA issued by somebody's leaf, made without any key of the PKI."""
    key = SUITES["p521"].generate()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_der_x509_certificate(leaf)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, pcid)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(BIRTH - timedelta(days=1))
        .not_valid_after(BIRTH + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA512())
    )
    return made.public_bytes(serialization.Encoding.DER), key


def test_a_certificate_in_front_of_somebody_elses_chain_is_the_one_that_is_judged(
    everything: CertificateAuthority,
) -> None:
    honest = Vehicle.made(everything, "iso15118-20", registered=False)
    everything.plug_and_charge.contracts.create(
        EMAID, PCID, BIRTH, BIRTH + timedelta(days=300), unregistered_vehicle=True, at=BIRTH, caller="test"
    )
    evil, key = self_made_above(honest.chain[0], PCID)
    message = decode(honest.request(), "iso15118-20-common")
    above = replace(message.OEMProvisioningCertificateChain.SubCertificates, Certificate=honest.chain)  # type: ignore[union-attr]  # a request
    chain = replace(message.OEMProvisioningCertificateChain, Certificate=evil, SubCertificates=above)  # type: ignore[union-attr]  # a request
    forged = attach(replace(message, OEMProvisioningCertificateChain=chain), None)  # type: ignore[type-var]  # a request
    signed = attach(forged, sign(forged, SoftwareSigner(key)))  # type: ignore[arg-type]  # a request
    answer = everything.plug_and_charge.provisioning_with(Policy(unregistered="answer")).answer(encode(signed))
    assert answer.status == "Failed"
    assert contract_certificates(everything) == 0


def test_an_update_shows_a_certificate_of_the_contract_that_it_names(iso2: CertificateAuthority) -> None:
    first = Vehicle.made(iso2)
    contract(iso2)
    pools = iso2.plug_and_charge
    held = first.open(accepted(pools.provisioning.answer(first.request())).exi)
    pools.vehicles.delete(PCID, at=BIRTH, caller="test")
    Vehicle.made(iso2, pcid=WBA)
    contract(iso2, pcid=WBA)
    # The EMAID runs for another vehicle now; the certificate of the first one is still valid.
    failed(iso2, first.update_request(held), "provisioning.unknown_contract", action="Update")


def test_a_certificate_that_is_of_no_contract_is_not_updated(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    lab = iso2.issue("contract", id=EMAID, edition="iso15118-2")
    assert lab.private_key is not None
    held = vehicle.open(accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request())).exi)
    stranger = type(held)(lab.chain, lab.private_key, EMAID, held.check)
    failed(iso2, vehicle.update_request(stranger), "provisioning.unknown_contract", action="Update")


def test_an_update_of_a_vehicle_whose_provisioning_certificate_was_revoked(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    held = vehicle.open(accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request())).exi)
    iso2.revoke(serial(vehicle.chain[0]), "keyCompromise")
    failed(iso2, vehicle.update_request(held), "path.revoked", action="Update")


def test_updates_come_to_an_end(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning_with(Policy(valid_certificates=3))
    held = vehicle.open(accepted(provisioning.answer(vehicle.request())).exi)
    for _ in range(2):
        answer = accepted(provisioning.answer(vehicle.update_request(held), action="Update"))
        held = vehicle.open(answer.exi, key=held.private_key)
    failed(
        iso2,
        vehicle.update_request(held),
        "provisioning.too_many_certificates",
        Policy(valid_certificates=3),
        action="Update",
    )


@pytest.mark.parametrize("pcid", ["huboemprovcqa0615", "hubUsEaTest000003", "DEHUBCOPNCPROVCER"])
def test_pcids_of_the_field_are_served_as_they_are_written(iso2: CertificateAuthority, pcid: str) -> None:
    """The PCIDs of real certificates in a provider's public examples, small letters included."""
    vehicle = Vehicle.made(iso2, pcid=pcid)
    contract(iso2, pcid=pcid)
    assert vehicle.open(accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request())).exi).emaid == EMAID


def test_unregistered_means_that_nobody_is_that_vehicle(everything: CertificateAuthority) -> None:
    Vehicle.made(everything, "iso15118-20")
    contract(everything)
    other = Vehicle.made(everything, "iso15118-2", registered=False)
    lenient = Policy(unregistered="answer")
    failed(everything, other.request(), "provisioning.certificate_differs", lenient)


def test_unregistered_means_that_nobody_owns_the_wmi(iso2: CertificateAuthority) -> None:
    iso2.plug_and_charge.contracts.create(
        EMAID, PCID, BIRTH, BIRTH + timedelta(days=300), unregistered_vehicle=True, at=BIRTH, caller="test"
    )
    vehicle = Vehicle.made(iso2, registered=False)
    iso2.plug_and_charge.vehicles.owners.bind("wmi", PCID[:3], "vw", at=BIRTH, caller="test")
    failed(iso2, vehicle.request(), "provisioning.unknown_vehicle", Policy(unregistered="answer"))


# --- what was revoked since -----------------------------------------------------------------------------------------


def test_a_bundle_of_a_revoked_cps_leaf_is_signed_again_by_another(iso2: CertificateAuthority) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    pools = iso2.plug_and_charge
    request = vehicle.request()
    first = accepted(pools.provisioning.answer(request))
    (leaf,) = iso2.store.held_certificates(role="cps")
    iso2.revoke(f"{leaf.serial:x}", "keyCompromise")
    of_the_home(pools.provisioning.answer(request), "cps.none")
    iso2.issue("cps", edition="iso15118-2", escrow=True)
    again = accepted(pools.provisioning.answer(request))
    assert again.exi != first.exi
    assert vehicle.open(again.exi).chain == vehicle.open(first.exi).chain
    assert contract_certificates(iso2) == 1
    assert len(pools.bundles_with().prepare([made])) == 1


@pytest.mark.parametrize("authority", ["iso2-cps-sub-ca-2", "iso2-cps-sub-ca-1"])
def test_nothing_of_a_revoked_cps_branch_is_sent(iso2: CertificateAuthority, authority: str) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    request = vehicle.request()
    accepted(iso2.plug_and_charge.provisioning.answer(request))
    iso2.revoke(f"{iso2.authority(authority).serial:x}", "keyCompromise")
    of_the_home(iso2.plug_and_charge.provisioning.answer(request), "cps.none")


@pytest.mark.parametrize("authority", ["iso2-mo-root", "iso2-mo-sub-ca-1"])
def test_nothing_of_a_revoked_mo_branch_is_sent(iso2: CertificateAuthority, authority: str) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    request = vehicle.request()
    accepted(iso2.plug_and_charge.provisioning.answer(request))
    iso2.revoke(f"{iso2.authority(authority).serial:x}", "keyCompromise")
    of_the_home(iso2.plug_and_charge.provisioning.answer(request), "issuing.issuer_not_active")


def test_a_v2g_root_that_the_pool_refuses_signs_nothing(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    request = vehicle.request()
    accepted(iso2.plug_and_charge.provisioning.answer(request))
    iso2.plug_and_charge.roots.refuse("iso2-v2g-root", at=BIRTH, caller="test")
    of_the_home(iso2.plug_and_charge.provisioning.answer(request), "cps.none")


def test_a_bundle_in_its_last_day_is_signed_again_by_who_lasts_longer(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    first = accepted(provisioning.answer(vehicle.request()))
    (leaf,) = iso2.store.held_certificates(role="cps")
    move(iso2, leaf.not_after - timedelta(hours=1))
    # Nobody lasts longer: it is still good.
    assert accepted(provisioning.answer(vehicle.request(session=bytes(8)))).exi[-200:] == first.exi[-200:]
    iso2.issue("cps", edition="iso15118-2", escrow=True)
    second = accepted(provisioning.answer(vehicle.request(session=bytes.fromhex("11" * 8))))
    (_, newest) = iso2.store.pools.bundles()
    assert newest.not_after > leaf.not_after
    assert vehicle.open(second.exi).chain == vehicle.open(first.exi).chain


# --- contracts that cannot be delivered -----------------------------------------------------------------------------


def too_short(ca: CertificateAuthority, emaid: str) -> Contract:
    """A contract that an earlier version would have made: six days."""
    made = Contract(
        id="5" * 32,
        emaid=emaid,
        pcid=PCID,
        begins=BIRTH,
        ends=BIRTH + timedelta(days=6),
        created_at=BIRTH,
        created_by="test",
        default=True,
    )
    return ca.store.pools.add_contract(made)


def test_a_contract_that_cannot_be_delivered_makes_way(iso2: CertificateAuthority) -> None:
    vehicle, good = Vehicle.made(iso2), contract(iso2)
    bad = too_short(iso2, OTHER)
    answer = accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request()))
    assert answer.emaid == good.emaid
    refused: list[tuple[str, str]] = []
    iso2.plug_and_charge.contracts.end(good.id, at=BIRTH, caller="test")
    third = contract(iso2, "FRXYZ123456789")
    made = iso2.plug_and_charge.bundles_with().prepare(
        [bad, third], refused=lambda which, problem: refused.append((which.emaid, problem.code))
    )
    assert refused == [(OTHER, "contract.too_short")]
    assert [bundle.emaid for bundle in made] == ["FRXYZ123456789"]


def test_one_revoked_certificate_does_not_keep_the_others(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    contract(everything)
    contract(everything, OTHER)
    provisioning = everything.plug_and_charge.provisioning
    first = accepted(provisioning.answer(vehicle.request(maximum=2), position=0))
    everything.revoke(serial(vehicle.open(first.exi).chain[0]), "privilegeWithdrawn")
    rest = accepted(provisioning.answer(vehicle.request(maximum=2, session=bytes(8))))
    assert (rest.emaid, rest.remaining_contracts) == (OTHER, 0)


def test_the_same_request_again_after_one_of_its_certificates_was_revoked(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    contract(everything)
    contract(everything, OTHER)
    provisioning = everything.plug_and_charge.provisioning
    request = vehicle.request(maximum=2)
    first = accepted(provisioning.answer(request, position=0))
    assert (first.emaid, first.remaining_contracts) == (EMAID, 1)
    everything.revoke(serial(vehicle.open(first.exi).chain[0]), "privilegeWithdrawn")
    for _ in range(2):
        rest = accepted(provisioning.answer(request, position=0))
        assert (rest.emaid, rest.remaining_contracts) == (OTHER, 0)


def test_the_additional_data_belong_to_the_bundle(everything: CertificateAuthority) -> None:
    from v2gpki.keys.software import SoftwareAgreement
    from v2gpki.pnc import installation
    from v2gpki.services.trust import TrustAnchor, judge

    vehicle, made = Vehicle.made(everything, "iso15118-20"), contract(everything)
    pools = everything.plug_and_charge
    pools.bundles_with().prepare([made])
    answer = accepted(pools.provisioning_with(Policy(aad="none")).answer(vehicle.request()))

    def trust(chain: tuple[bytes, ...]) -> object:
        anchors = [TrustAnchor(root, "v2g-root") for root in vehicle.roots()]
        return judge(
            chain, anchors, catalogue=everything.catalogue, role="cps", edition="iso15118-20", at=BIRTH, ordered=True
        )

    response = installation.read_response(answer.exi)
    opened = installation.open_response(response, SoftwareAgreement(vehicle.key), trust=trust, pcid=PCID, aad="none")
    assert opened.emaid == EMAID


def test_an_issuer_of_one_edition_serves_that_edition(everything: CertificateAuthority) -> None:
    two, twenty = Vehicle.made(everything), Vehicle.made(everything, "iso15118-20")
    everything.plug_and_charge.contracts.create(
        EMAID, PCID, BIRTH, BIRTH + timedelta(days=300), issuer="iso2-mo-sub-ca-2", at=BIRTH, caller="test"
    )
    provisioning = everything.plug_and_charge.provisioning
    accepted(provisioning.answer(two.request()))
    accepted(provisioning.answer(twenty.request()))


# --- in the middle of it --------------------------------------------------------------------------------------------


class Interrupting:
    """A store's pools in which something happens just before one of the calls."""

    def __init__(self, pools: object, name: str, event: object) -> None:
        self._pools, self._name, self._event, self._done = pools, name, event, False

    def __getattr__(self, name: str) -> object:
        if name == self._name and not self._done:
            self._done = True
            self._event()  # type: ignore[operator]  # a callable
        return getattr(self._pools, name)


@pytest.mark.parametrize("ready", [False, True])
def test_a_contract_that_ends_while_its_request_is_answered(iso2: CertificateAuthority, ready: bool) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    pools = iso2.plug_and_charge
    provisioning = pools.provisioning

    def end() -> None:
        pools.contracts.end(made.id, at=BIRTH, caller="test")

    if ready:
        pools.bundles_with().prepare([made])
        provisioning._pools = Interrupting(iso2.store.pools, "record_answer", end)  # type: ignore[assignment]
    else:
        provisioning._maker._mo = Interrupting(provisioning._maker._mo, "issue", end)  # type: ignore[assignment]
    answer = provisioning.answer(vehicle.request())
    assert answer.problem is not None
    assert answer.problem.code == ("provisioning.contract_ended" if ready else "contract.ended")
    assert [bundle for bundle in iso2.store.pools.bundles() if bundle.state == "ready"] == []
    assert list(iso2.store.pools.answers()) == []
    assert iso2.store.pending_intents() == []


@pytest.mark.parametrize("ready", [False, True])
def test_a_vehicle_that_is_deleted_while_its_request_is_answered(iso2: CertificateAuthority, ready: bool) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    pools = iso2.plug_and_charge
    provisioning = pools.provisioning

    def delete() -> None:
        pools.vehicles.delete(PCID, at=BIRTH, caller="test")

    if ready:
        pools.bundles_with().prepare([made])
        provisioning._pools = Interrupting(iso2.store.pools, "record_answer", delete)  # type: ignore[assignment]
    else:
        provisioning._maker = Interrupting(provisioning._maker, "make", delete)  # type: ignore[assignment]
    answer = provisioning.answer(vehicle.request())
    assert answer.status == "Failed"
    assert [bundle.state for bundle in iso2.store.pools.bundles() if bundle.state == "ready"] == []
    assert list(iso2.store.pools.answers()) == []


def test_a_vehicle_that_is_renewed_while_its_request_is_answered(iso2: CertificateAuthority) -> None:
    """Its contract goes on, but nothing is made any more for the key that it had."""
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    provisioning._maker = Interrupting(  # type: ignore[assignment]  # the only way into the middle
        provisioning._maker, "make", lambda: Vehicle.made(iso2)
    )
    before = iso2.store.count_certificates(role="contract")
    answer = provisioning.answer(vehicle.request())
    assert answer.problem is not None
    assert answer.problem.code == "provisioning.certificate_differs"
    assert list(iso2.store.pools.bundles()) == []
    assert iso2.store.count_certificates(role="contract") == before
    assert next(iter(iso2.store.pools.contracts(pcid=PCID))).id == made.id


def test_the_same_request_answered_by_somebody_else_meanwhile(iso2: CertificateAuthority) -> None:
    """With the contract that was the default just before: both give that one, and no second certificate is left."""
    vehicle = Vehicle.made(iso2)
    first, second = contract(iso2), contract(iso2, OTHER)
    pools = iso2.plug_and_charge
    request, theirs = vehicle.request(), []

    def faster() -> None:
        pools.contracts.set_default(second.id, at=BIRTH, caller="test")
        theirs.append(accepted(pools.provisioning_with(Policy()).answer(request)))

    slower = pools.provisioning_with(Policy())
    slower._maker = Interrupting(slower._maker, "make", faster)  # type: ignore[assignment]  # the only way in
    ours = accepted(slower.answer(request))
    assert (ours.exi, ours.emaid) == (theirs[0].exi, second.emaid)
    assert [bundle.contract_id for bundle in iso2.store.pools.bundles()] == [second.id]
    assert iso2.store.pools.certificates_of(first.id) == []
    assert iso2.store.count_certificates(role="contract") == 1
    assert iso2.store.pending_intents() == []
    # It was tried once: nothing would have been different the second time.
    assert abandoned(iso2) == 1


def abandoned(ca: CertificateAuthority) -> int:
    """How many certificates were begun and never seen: their serials count as revoked."""
    return sum(len(list(ca.store.revoked_serials(authority.id))) for authority in ca.store.authorities())


def test_a_bundle_that_is_withdrawn_while_another_is_made_for_the_same_answer(everything: CertificateAuthority) -> None:
    """The request is looked at anew, and gets what is still due; the one that was begun is made in its second try."""
    vehicle = Vehicle.made(everything, "iso15118-20")
    first, second = contract(everything), contract(everything, OTHER)
    pools = everything.plug_and_charge
    pools.bundles_with().prepare([first])
    provisioning = pools.provisioning
    provisioning._maker._mo = Interrupting(  # type: ignore[assignment]  # the only way into the middle
        provisioning._maker._mo, "issue", lambda: pools.contracts.end(first.id, at=BIRTH, caller="test", revoke=False)
    )
    answer = accepted(provisioning.answer(vehicle.request(maximum=2), position=0))
    assert (answer.emaid, answer.remaining_contracts) == (second.emaid, 0)
    (ready,) = (bundle for bundle in everything.store.pools.bundles() if bundle.state == "ready")
    assert [one.bundles for one in everything.store.pools.answers()] == [(ready.id,)]
    assert abandoned(everything) == 1


def test_a_bundle_that_somebody_else_made_meanwhile(iso2: CertificateAuthority) -> None:
    """It is sent, and what the request was answered with is recorded as ever."""
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    pools = iso2.plug_and_charge
    theirs, slower = list[bytes](), pools.provisioning_with(Policy())

    def faster() -> None:
        other = vehicle.request(session=bytes(range(8)))
        theirs.append(vehicle.open(accepted(pools.provisioning_with(Policy()).answer(other)).exi).chain[0])

    slower._maker._mo = Interrupting(slower._maker._mo, "issue", faster)  # type: ignore[assignment]  # the only way in
    request = vehicle.request()
    ours = accepted(slower.answer(request))
    assert vehicle.open(ours.exi).chain[0] == theirs[0]
    (bundle,) = iso2.store.pools.bundles()
    assert [answer.bundles for answer in iso2.store.pools.answers()] == [(bundle.id,)] * 2
    assert accepted(slower.answer(request)).exi == ours.exi
    assert len(list(iso2.store.pools.answers())) == 2
    assert abandoned(iso2) == 1


def test_everything_is_looked_up_in_one_state_of_the_store(iso2: CertificateAuthority) -> None:
    """What another process writes between two look-ups is not seen by the second: a vehicle that is moved to another
    contract never gets a mixture."""
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning

    def end() -> None:
        thread = threading.Thread(
            target=lambda: iso2.plug_and_charge.contracts.end(made.id, at=BIRTH, caller="test")
        )
        thread.start()
        thread.join()

    provisioning._pools = Interrupting(iso2.store.pools, "answered", end)  # type: ignore[assignment]
    seen = []
    find = provisioning._maker.find

    def watched(contract: Contract, *arguments: object) -> object:
        seen.append(contract.state)
        return find(contract, *arguments)  # type: ignore[arg-type]  # handed through

    provisioning._maker.find = watched  # type: ignore[method-assign,assignment]  # only looks
    answer = provisioning.answer(vehicle.request())
    assert seen[0] == "active"
    assert answer.problem is not None
    assert answer.problem.code == "contract.ended"
    assert iso2.store.count_certificates(role="contract") == 0


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, V2GPKIError])
def test_whatever_goes_wrong_between_signature_and_commit_leaves_no_intent(
    iso2: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)

    def broken(*_arguments: object, **_options: object) -> Sequence[object]:
        raise fault("internal.bug", "a fault") if fault is V2GPKIError else fault("a fault")

    with monkeypatch.context() as patched:
        patched.setattr(making.installation, "contract_data", broken)
        with pytest.raises(fault):
            iso2.plug_and_charge.provisioning.answer(vehicle.request())
    assert iso2.store.pending_intents() == []
    accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request()))


def test_prepared_bundles_are_sent_from_a_locked_home(iso2: CertificateAuthority) -> None:
    import v2gpki

    vehicle, made = Vehicle.made(iso2), contract(iso2)
    iso2.plug_and_charge.bundles_with().prepare([made])
    with v2gpki.open_authority(iso2.home, clock=iso2.clock) as locked:
        accepted(locked.plug_and_charge.provisioning.answer(vehicle.request()))


# --- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"maximum_contracts": 0},
        {"maximum_contracts": -1},
        {"position": -1},
        {"position": 1},
        {"prioritised_emaids": EMAID},
    ],
    ids=str,
)
def test_arguments_that_mean_nothing_are_refused(iso2: CertificateAuthority, wrong: dict[str, object]) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    with pytest.raises(V2GPKIError) as raised:
        iso2.plug_and_charge.provisioning.answer(vehicle.request(), **wrong)  # type: ignore[arg-type]  # on purpose
    assert raised.value.code == "usage.invalid"


def test_an_action_that_ocpp_does_not_know(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    failed(iso2, vehicle.request(), "installation.wrong_action", action="Delete")


def test_a_vehicle_that_wants_no_contract(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    contract(everything)
    failed(everything, vehicle.request(maximum=0), "provisioning.none_wanted")


def test_octets_of_any_kind(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    request = vehicle.request()
    answers = {
        accepted(iso2.plug_and_charge.provisioning.answer(form)).exi
        for form in (request, bytearray(request), memoryview(request))
    }
    assert len(answers) == 1


def test_without_a_station_the_contracts_come_one_after_the_other(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    contract(everything)
    contract(everything, OTHER)
    request = vehicle.request(maximum=2)
    remaining = [everything.plug_and_charge.provisioning.answer(request).remaining_contracts for _ in range(3)]
    assert remaining == [1, 0, 1]


def test_evidence_that_cannot_be_read_is_the_callers_fault(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    with pytest.raises(V2GPKIError) as raised:
        iso2.plug_and_charge.provisioning.answer(vehicle.request(), crls=[b"no CRL"])
    assert raised.value.code == "crl.malformed"
