"""Vehicles ask and get: provisioning through the library, with pools, policy and replay.

Who gets what follows from the arrangement of each test; ResponseCodes from ``provisioning_cases.toml``, which names its
sources. Everything that is delivered is opened by the vehicle's side, which verifies first.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.vehicle import PCID, SESSION, Vehicle
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.keys.suites import spki_of
from v2gpki.messages import decode
from v2gpki.pnc import installation
from v2gpki.services.policy import Policy
from v2gpki.services.pools import Selection
from v2gpki.services.provisioning import ProvisioningAnswer
from v2gpki.store.pool_records import Contract

EMAID = "DE8AA001234567"
OTHER = "DEACMC12345678"
YEAR = timedelta(days=365)


def contract(
    ca: CertificateAuthority, emaid: str = EMAID, *, pcid: str = PCID, days: int = 365, default: bool = False
) -> Contract:
    begins, ends = BIRTH - timedelta(days=1), BIRTH + timedelta(days=days)
    return ca.plug_and_charge.contracts.create(
        emaid, pcid, begins, ends, default=default, short=True, at=BIRTH, caller="test"
    )


def move(ca: CertificateAuthority, to: datetime) -> None:
    assert isinstance(ca.clock, v2gpki.FixedClock)
    ca.clock.moment = to


def accepted(answer: ProvisioningAnswer) -> ProvisioningAnswer:
    assert answer.status == "Accepted", (answer.response_code, answer.reason)
    return answer


def of_the_home(answer: ProvisioningAnswer, code: str) -> None:
    """Refused, and not by the vehicle's fault."""
    assert answer.problem is not None
    assert (answer.problem.code, answer.fault) == (code, "home")
    assert (answer.status, answer.response_code) == ("Failed", "FAILED")


def contract_certificates(ca: CertificateAuthority) -> int:
    return ca.store.count_certificates(role="contract")


def test_a_vehicle_installs_its_contract(iso2: CertificateAuthority) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    answer = accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request()))
    opened = vehicle.open(answer.exi)
    leaf = x509.load_der_x509_certificate(opened.chain[0])
    assert leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == EMAID == answer.emaid
    assert spki_of(opened.private_key.public_key()) in opened.chain[0]
    assert leaf.not_valid_after_utc == made.ends
    assert answer.remaining_contracts == 0
    assert installation.read_response(answer.exi).session_id == SESSION
    record = iso2.find_certificate(f"{leaf.serial_number:x}")
    assert (record.role, record.identifier, record.state) == ("contract", EMAID, "valid")
    assert iso2.store.pools.certificates_of(made.id) == [(record.issuer_id, record.serial)]


def test_text_and_octets_schema_and_action_of_ocpp(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    octets = vehicle.request()
    text = base64.b64encode(octets).decode()
    provisioning = iso2.plug_and_charge.provisioning
    by_text = provisioning.answer(text, schema="urn:iso:15118:2:2013:MsgDef", action="Install", maximum_contracts=1)
    assert accepted(by_text).exi == provisioning.answer(octets).exi
    assert base64.b64decode(by_text.exi_response) == by_text.exi


def test_the_same_request_gives_the_same_signed_elements(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    request = vehicle.request()
    first = accepted(provisioning.answer(request))
    # Another default in between does not change what this request was answered with.
    contract(iso2, OTHER, default=True)
    move(iso2, BIRTH + timedelta(days=30))
    assert provisioning.answer(request).exi == first.exi
    assert contract_certificates(iso2) == 1
    # A new request of the same vehicle gets the default of now; another session gets the same elements again.
    later = accepted(provisioning.answer(vehicle.request(session=bytes.fromhex("0908070605040302"))))
    assert later.emaid == OTHER
    assert contract_certificates(iso2) == 2


def test_another_request_for_the_same_contract_reuses_the_bundle(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    one = vehicle.open(accepted(provisioning.answer(vehicle.request())).exi)
    two = vehicle.open(accepted(provisioning.answer(vehicle.request(session=bytes(8)))).exi)
    assert one.chain == two.chain
    assert contract_certificates(iso2) == 1


def test_two_processes_answering_at_once_make_one_certificate(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    request = vehicle.request()
    answers: list[ProvisioningAnswer] = []
    start = threading.Barrier(4)

    def ask() -> None:
        # Each with a home object of its own: nothing is shared but the store, as between processes.
        with v2gpki.open_authority(iso2.home, passphrase=PASSPHRASE, clock=iso2.clock, caller="other") as ca:
            provisioning = ca.plug_and_charge.provisioning
            start.wait()
            answers.append(provisioning.answer(request))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {accepted(answer).exi for answer in answers} == {answers[0].exi}
    assert contract_certificates(iso2) == 1
    assert len(list(iso2.store.pools.bundles())) == 1


def test_prepared_bundles_are_what_is_sent(iso2: CertificateAuthority) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    bundles = iso2.plug_and_charge.bundles_with()
    steps: list[int] = []
    ready = bundles.prepare([made], progress=steps.append)
    assert len(ready) == 1 == contract_certificates(iso2)
    assert steps == [1]
    assert bundles.prepare([made]) == ready
    # Nothing was begun for what was there.
    assert [one for issuer in iso2.store.authorities() for one in iso2.store.revoked_serials(issuer.id)] == []
    answer = accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request()))
    assert vehicle.open(answer.exi).chain[0] == iso2.store.certificate(ready[0].issuer_id, ready[0].serial).der  # type: ignore[union-attr]  # just made
    assert contract_certificates(iso2) == 1


def test_a_certificate_that_expires_soon_is_replaced(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2, days=3 * 365)
    provisioning = iso2.plug_and_charge.provisioning
    first = vehicle.open(accepted(provisioning.answer(vehicle.request())).exi)
    end = x509.load_der_x509_certificate(first.chain[0]).not_valid_after_utc
    # 21 days and a second before the end the certificate is sent again, at 21 days a new one: [V2G2-690]. The CPS leaf
    # of the home ended long before: a new one signs.
    move(iso2, end - timedelta(days=21, seconds=1))
    iso2.issue("cps", edition="iso15118-2", escrow=True)
    again = vehicle.open(accepted(provisioning.answer(vehicle.request())).exi)
    assert again.chain == first.chain
    assert spki_of(again.private_key.public_key()) == spki_of(first.private_key.public_key())
    move(iso2, end - timedelta(days=21))
    renewed = vehicle.open(accepted(provisioning.answer(vehicle.request(session=bytes(8)))).exi)
    assert renewed.chain != first.chain
    assert contract_certificates(iso2) == 2


def test_a_contract_that_ends_soon_keeps_its_certificate(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2, days=60)
    provisioning = iso2.plug_and_charge.provisioning
    accepted(provisioning.answer(vehicle.request()))
    move(iso2, BIRTH + timedelta(days=55))
    accepted(provisioning.answer(vehicle.request(session=bytes(8))))
    assert contract_certificates(iso2) == 1
    assert len(list(iso2.store.pools.bundles())) == 1


def test_less_than_four_weeks_before_its_end_a_contract_is_still_installed(iso2: CertificateAuthority) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2, days=60)
    move(iso2, BIRTH + timedelta(days=50))
    opened = vehicle.open(accepted(iso2.plug_and_charge.provisioning.answer(vehicle.request())).exi)
    leaf = x509.load_der_x509_certificate(opened.chain[0])
    # Table F.4: four weeks at least, and no longer than the contract.
    assert leaf.not_valid_after_utc == made.ends
    assert leaf.not_valid_before_utc == made.ends - timedelta(weeks=4)


def test_an_update_is_wrapped_for_the_contract_before(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    first = vehicle.open(accepted(provisioning.answer(vehicle.request())).exi)
    request = vehicle.update_request(first)
    answer = accepted(provisioning.answer(request, action="Update"))
    assert type(decode(answer.exi, "iso15118-2").Body.BodyElement).__name__ == "CertificateUpdateRes"  # type: ignore[union-attr]  # a V2G_Message
    second = vehicle.open(answer.exi, key=first.private_key)
    assert second.emaid == first.emaid
    assert second.chain[0] != first.chain[0]
    assert provisioning.answer(request, action="Update").exi == answer.exi
    assert contract_certificates(iso2) == 2
    with pytest.raises(V2GPKIError) as refused:
        vehicle.open(answer.exi)
    assert refused.value.code.startswith("envelope.")


def test_several_contracts_in_20(everything: CertificateAuthority) -> None:
    vehicle = Vehicle.made(everything, "iso15118-20")
    emaids = [EMAID, OTHER, "FRXYZ123456789"]
    for emaid in emaids:
        contract(everything, emaid)
    provisioning = everything.plug_and_charge.provisioning
    request = vehicle.request(maximum=2, emaids=(OTHER,))
    got = [accepted(provisioning.answer(request, position=number)) for number in (0, 1)]
    assert [answer.emaid for answer in got] == [OTHER, EMAID]
    assert [answer.remaining_contracts for answer in got] == [1, 0]
    for answer in got:
        assert vehicle.open(answer.exi).emaid == answer.emaid
        assert installation.read_response(answer.exi).remaining == answer.remaining_contracts
    # A station that repeats its request gets one after the other (OCPP 2.1 M01), each station for itself.
    counted = [provisioning.answer(request, station="a").remaining_contracts for _ in range(2)]
    assert counted == [1, 0]
    assert provisioning.answer(request, station="b").remaining_contracts == 1
    # OCPP may ask for fewer than the vehicle would take.
    fewer = provisioning.answer(vehicle.request(maximum=3), maximum_contracts=1)
    assert accepted(fewer).remaining_contracts == 0


def test_policy_of_selection(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    contract(iso2, OTHER)
    newest = Policy(selection=Selection(order="newest-first"))
    by_default = iso2.plug_and_charge.provisioning.answer(vehicle.request())
    by_age = iso2.plug_and_charge.provisioning_with(newest).answer(vehicle.request(session=bytes(8)))
    assert (by_default.emaid, by_age.emaid) == (EMAID, OTHER)


def test_a_contract_that_has_not_begun_is_not_installed(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    begins = BIRTH + timedelta(days=10)
    pools = iso2.plug_and_charge
    made = pools.contracts.create(EMAID, PCID, begins, begins + YEAR, at=BIRTH, caller="test")
    answer = pools.provisioning.answer(vehicle.request())
    assert (answer.status, answer.response_code) == ("Failed", "FAILED_NoCertificateAvailable")
    # It can be prepared: the certificate begins with the contract.
    (bundle,) = pools.bundles_with().prepare([made])
    record = iso2.store.certificate(bundle.issuer_id, bundle.serial)
    assert record is not None
    assert record.not_before == begins
    move(iso2, begins)
    assert accepted(pools.provisioning.answer(vehicle.request(session=bytes(8)))).emaid == EMAID
    assert contract_certificates(iso2) == 1


def test_ending_a_contract_withdraws_and_revokes(iso2: CertificateAuthority) -> None:
    vehicle, made = Vehicle.made(iso2), contract(iso2)
    pools = iso2.plug_and_charge
    request = vehicle.request()
    opened = vehicle.open(accepted(pools.provisioning.answer(request)).exi)
    pools.contracts.end(made.id, at=BIRTH, caller="test")
    record = iso2.find_certificate(f"{x509.load_der_x509_certificate(opened.chain[0]).serial_number:x}")
    assert record.state == "revoked"
    # FAILED_ContractCanceled belongs to updates; who asks for a contract hears that there is none.
    answer = pools.provisioning.answer(request)
    assert (answer.status, answer.response_code) == ("Failed", "FAILED_NoCertificateAvailable")
    assert answer.problem is not None
    assert answer.problem.code == "provisioning.contract_ended"
    update = pools.provisioning.answer(vehicle.update_request(opened), action="update")
    assert (update.status, update.response_code) == ("Failed", "FAILED_ContractCanceled")


def test_revoking_the_certificate_alone_is_policy(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    request = vehicle.request()
    first = vehicle.open(accepted(provisioning.answer(request)).exi)
    serial = f"{x509.load_der_x509_certificate(first.chain[0]).serial_number:x}"
    iso2.revoke(serial, "keyCompromise")
    again = vehicle.open(accepted(provisioning.answer(request)).exi)
    assert again.chain[0] != first.chain[0]
    iso2.revoke(f"{x509.load_der_x509_certificate(again.chain[0]).serial_number:x}", "privilegeWithdrawn")
    refused = provisioning.answer(request)
    assert (refused.status, refused.response_code) == ("Failed", "FAILED_CertificateRevoked")


def test_a_renewed_provisioning_certificate_gets_a_new_bundle(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    provisioning = iso2.plug_and_charge.provisioning
    accepted(provisioning.answer(vehicle.request()))
    renewed = Vehicle.made(iso2)
    old = provisioning.answer(vehicle.request())
    assert (old.status, old.response_code) == ("Failed", "FAILED_NoCertificateAvailable")
    assert renewed.open(accepted(provisioning.answer(renewed.request())).exi).emaid == EMAID
    assert contract_certificates(iso2) == 2


def test_a_home_that_is_locked_says_so(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    with (
        v2gpki.open_authority(iso2.home, clock=iso2.clock) as locked,
        pytest.raises(V2GPKIError) as raised,
    ):
        locked.plug_and_charge.provisioning.answer(vehicle.request())
    assert raised.value.code == "home.locked"


def test_without_a_cps_nothing_is_issued(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    for record in iso2.store.held_certificates(role="cps"):
        iso2.revoke(f"{record.serial:x}", "superseded")
    of_the_home(iso2.plug_and_charge.provisioning.answer(vehicle.request()), "cps.none")
    assert contract_certificates(iso2) == 0


def test_an_expired_cps_leaf_signs_nothing(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    (leaf,) = iso2.store.held_certificates(role="cps")
    move(iso2, leaf.not_after)
    of_the_home(iso2.plug_and_charge.provisioning.answer(vehicle.request()), "cps.none")


def test_a_revoked_sub_ca_above_the_cps_signs_nothing(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    above = iso2.authority("iso2-cps-sub-ca-1")
    iso2.revoke(f"{above.serial:x}", "keyCompromise")
    of_the_home(iso2.plug_and_charge.provisioning.answer(vehicle.request()), "cps.none")


def test_the_vehicle_gets_an_answer_under_a_root_that_it_holds(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    contract(iso2)
    others = vehicle.roots(role="oem-root")
    refused = iso2.plug_and_charge.provisioning.answer(vehicle.request(roots=others))
    assert (refused.response_code, refused.problem and refused.problem.code) == (
        "FAILED_NoCertificateAvailable",
        "cps.no_common_root",
    )
    tolerant = iso2.plug_and_charge.provisioning_with(Policy(unknown_roots="answer"))
    accepted(tolerant.answer(vehicle.request(roots=others)))


def test_an_unregistered_vehicle_is_policy(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2, registered=False)
    iso2.plug_and_charge.contracts.create(
        EMAID, PCID, BIRTH, BIRTH + YEAR, unregistered_vehicle=True, at=BIRTH, caller="test"
    )
    refused = iso2.plug_and_charge.provisioning.answer(vehicle.request())
    assert refused.problem is not None
    assert refused.problem.code == "provisioning.unknown_vehicle"
    lenient = iso2.plug_and_charge.provisioning_with(Policy(unregistered="answer"))
    assert vehicle.open(accepted(lenient.answer(vehicle.request())).exi).emaid == EMAID


def test_missing_evidence_is_unknown_and_policy_decides(
    iso2: CertificateAuthority, opened: Callable[[Path], CertificateAuthority], home_iso2: Path
) -> None:
    # A vehicle of another home: what it issued is foreign here, and no CRL of it is known.
    foreign = opened(home_iso2)
    maker = Vehicle.made(foreign)
    # Same home copied: make the chain foreign by forgetting nothing, but asking for evidence about another OEM's leaf.
    pools = iso2.plug_and_charge
    pools.vehicles.register(maker.chain, at=BIRTH, caller="test")
    contract(iso2)
    accepted(pools.provisioning.answer(maker.request()))
    strict = pools.provisioning_with(Policy(require_evidence=True))
    refused = strict.answer(maker.request(session=bytes(8)))
    assert refused.problem is not None
    assert refused.problem.code == "path.status_unknown"
    crls = [
        foreign.publish_crl(name).der
        for name in ("iso2-oem-sub-ca-2", "iso2-oem-sub-ca-1", "iso2-oem-root")
    ]
    accepted(strict.answer(maker.request(session=bytes(8)), crls=crls))
    foreign.revoke(f"{x509.load_der_x509_certificate(maker.chain[0]).serial_number:x}", "keyCompromise")
    crls[0] = foreign.publish_crl("iso2-oem-sub-ca-2").der
    revoked = pools.provisioning.answer(maker.request(session=bytes(8)), crls=crls)
    assert (revoked.status, revoked.response_code) == ("Failed", "FAILED_CertificateRevoked")


def test_answers_from_many_threads(iso2: CertificateAuthority) -> None:
    vehicles = [Vehicle.made(iso2, pcid=f"WVWABCDEF1234567{number}") for number in range(6)]
    for number, vehicle in enumerate(vehicles):
        contract(iso2, f"DE8AA00123456{number}", pcid=vehicle.pcid)
    provisioning = iso2.plug_and_charge.provisioning
    answers: dict[str, list[ProvisioningAnswer]] = {vehicle.pcid: [] for vehicle in vehicles}

    def ask(vehicle: Vehicle, request: bytes) -> None:
        answers[vehicle.pcid].append(provisioning.answer(request))

    requests = [(vehicle, vehicle.request()) for vehicle in vehicles for _ in range(3)]
    threads = [threading.Thread(target=ask, args=pair) for pair in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for vehicle in vehicles:
        emaids = {vehicle.open(accepted(answer).exi).emaid for answer in answers[vehicle.pcid]}
        assert len(emaids) == 1
    assert contract_certificates(iso2) == len(vehicles)


def test_a_p256_vehicle_in_20_is_refused(everything: CertificateAuthority) -> None:
    two = Vehicle.made(everything)
    vehicle = Vehicle(everything, "iso15118-20", PCID, two.chain, two.key)
    contract(everything)
    with pytest.raises(V2GPKIError) as raised:
        vehicle.request()
    assert raised.value.code.startswith(("signature.", "installation."))
    assert contract_certificates(everything) == 0
