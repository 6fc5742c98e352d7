"""What must not be served: each row of ``provisioning_cases.toml`` as a real request against a home.

Every refusal is an answer that decodes, carries the row's ResponseCode and the request's session id where one could be
read, and leaves the home as it was: nothing issued, nothing begun, nothing recorded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from msgspec.structs import replace

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.services.test_provisioning import EMAID, OTHER, contract, move
from tests.services.vehicle import PCID, SESSION, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.keys.software import SoftwareSigner
from v2gpki.keys.suites import SUITES
from v2gpki.messages import decode, encode, iso2
from v2gpki.pnc import installation
from v2gpki.pnc.signature import attach, sign

ROWS = tomllib.loads(Path(__file__).with_name("provisioning_cases.toml").read_text("utf-8"))["case"]


@dataclass
class World:
    """One home, and a copy of it that stands for somebody else's PKI of the same names."""

    ca: CertificateAuthority
    other: Callable[[], CertificateAuthority]


@dataclass
class Asked:
    """A request as it is given to the service."""

    octets: bytes | str
    arguments: dict[str, str] = field(default_factory=dict)
    session: bytes = SESSION


Case = Callable[[World], Asked]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    CASES[make.__name__] = make
    return make


def served(world: World, edition: str = "iso15118-2") -> Vehicle:
    """A vehicle that would be served."""
    vehicle = Vehicle.made(world.ca, edition)  # type: ignore[arg-type]  # a literal of the caller
    contract(world.ca, days=3 * 365)
    return vehicle


@case
def oem_leaf_expired(world: World) -> Asked:
    vehicle = Vehicle.made(world.ca, not_after=BIRTH + timedelta(days=30))
    contract(world.ca)
    move(world.ca, BIRTH + timedelta(days=31))
    return Asked(vehicle.request())


@case
def oem_leaf_not_yet_valid(world: World) -> Asked:
    vehicle = served(world)
    move(world.ca, BIRTH - timedelta(days=1))
    return Asked(vehicle.request())


@case
def oem_leaf_other_dc(world: World) -> Asked:
    served(world)
    # A CPS leaf of the same home would carry another DC under another branch; so the leaf is made by the OEM's own
    # key, with cryptography's builder, as ISO 15118-4 describes it.
    oem = world.ca.authority("iso2-oem-sub-ca-2")
    assert world.ca.vault is not None
    issuer = x509.load_der_x509_certificate(oem.der)
    key = SUITES["p256"].generate()
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Acme"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, PCID),
            x509.NameAttribute(x509.NameOID.DOMAIN_COMPONENT, "CPO"),
        ]
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(77)
        .not_valid_before(BIRTH)
        .not_valid_after(BIRTH + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, True, False, False, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(oem.key_identifier, None, None), critical=False
        )
        .sign(world.ca.vault.private_key(oem.key_id), hashes.SHA256())  # type: ignore[arg-type]  # P-256
    )
    vehicle = Vehicle(world.ca, "iso15118-2", PCID, (leaf.public_bytes(serialization.Encoding.DER),), key)
    return Asked(vehicle.request())


@case
def signed_by_another_key(world: World) -> Asked:
    vehicle = served(world)
    message = decode(vehicle.request(), "iso15118-2")
    forger = SoftwareSigner(SUITES["p256"].generate())
    return Asked(encode(attach(message, sign(message, forger))))  # type: ignore[type-var]  # a V2G_Message


@case
def body_changed_after_signing(world: World) -> Asked:
    vehicle = served(world)
    message = decode(vehicle.request(), "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateInstallationReq)
    other = Vehicle.made(world.ca, pcid="WVWABCDEF99999999")
    changed = replace(body, OEMProvisioningCert=other.chain[0])
    return Asked(encode(replace(message, Body=iso2.BodyType(BodyElement=changed))))


@case
def unsigned(world: World) -> Asked:
    message = decode(served(world).request(), "iso15118-2")
    return Asked(encode(attach(message, None)))  # type: ignore[type-var]  # a V2G_Message


@case
def oem_leaf_revoked(world: World) -> Asked:
    vehicle = served(world)
    world.ca.revoke(_serial(vehicle.chain[0]), "keyCompromise")
    return Asked(vehicle.request())


@case
def oem_sub_ca_revoked(world: World) -> Asked:
    vehicle = served(world)
    world.ca.revoke(_serial(vehicle.chain[2]), "keyCompromise")
    return Asked(vehicle.request())


@case
def oem_root_refused(world: World) -> Asked:
    vehicle = served(world)
    world.ca.plug_and_charge.roots.refuse("iso2-oem-root", at=BIRTH, caller="test")
    return Asked(vehicle.request())


@case
def unknown_pcid(world: World) -> Asked:
    return Asked(Vehicle.made(world.ca, registered=False).request())


@case
def unregistered_and_expired(world: World) -> Asked:
    vehicle = Vehicle.made(world.ca, registered=False, not_after=BIRTH + timedelta(days=30))
    move(world.ca, BIRTH + timedelta(days=31))
    return Asked(vehicle.request())


@case
def no_contract(world: World) -> Asked:
    return Asked(Vehicle.made(world.ca).request())


@case
def truncated(world: World) -> Asked:
    return Asked(served(world).request()[:-20], session=bytes(8))


@case
def wrong_schema(world: World) -> Asked:
    return Asked(served(world).request(), {"schema": "urn:din:70121:2012:MsgDef"})


@case
def schema_of_the_other_edition(world: World) -> Asked:
    return Asked(served(world).request(), {"schema": "urn:iso:std:iso:15118:-20:CommonMessages"})


@case
def another_message(world: World) -> Asked:
    setup = iso2.SessionSetupReq(EVCCID=bytes(6))
    header = iso2.MessageHeaderType(SessionID=SESSION)
    return Asked(encode(iso2.V2G_Message(Header=header, Body=iso2.BodyType(BodyElement=setup))))


@case
def install_said_to_be_update(world: World) -> Asked:
    return Asked(served(world).request(), {"action": "Update"})


@case
def not_base64(world: World) -> Asked:
    served(world)
    return Asked("gJgC!", session=bytes(8))


@case
def empty(world: World) -> Asked:
    served(world)
    return Asked(b"", session=bytes(8))


@case
def contract_shorter_than_its_minimum(world: World) -> Asked:
    vehicle = Vehicle.made(world.ca)
    contract(world.ca, days=20)
    return Asked(vehicle.request())


def installed(world: World) -> tuple[Vehicle, installation.OpenedContract]:
    vehicle = served(world)
    answer = world.ca.plug_and_charge.provisioning.answer(vehicle.request())
    return vehicle, vehicle.open(answer.exi)


@case
def update_sub_cas_inverted(world: World) -> Asked:
    vehicle, held = installed(world)
    message = decode(vehicle.update_request(held), "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateUpdateReq)
    above = iso2.SubCertificatesType(Certificate=(held.chain[2], held.chain[1]))
    chain = replace(body.ContractSignatureCertChain, SubCertificates=above)
    changed = replace(message, Body=iso2.BodyType(BodyElement=replace(body, ContractSignatureCertChain=chain)))
    return Asked(encode(attach(changed, sign(changed, SoftwareSigner(held.private_key)))), {"action": "Update"})


@case
def update_leaf_of_another_pki(world: World) -> Asked:
    """A leaf from elsewhere whose issuer has the same name, above it our Sub-CAs."""
    vehicle, held = installed(world)
    stranger = _stranger(world)
    message = decode(vehicle.update_request(stranger), "iso15118-2")
    assert isinstance(message, iso2.V2G_Message)
    body = message.Body.BodyElement
    assert isinstance(body, iso2.CertificateUpdateReq)
    above = iso2.SubCertificatesType(Certificate=held.chain[1:])
    chain = replace(body.ContractSignatureCertChain, SubCertificates=above)
    changed = replace(message, Body=iso2.BodyType(BodyElement=replace(body, ContractSignatureCertChain=chain)))
    return Asked(encode(attach(changed, sign(changed, SoftwareSigner(stranger.private_key)))), {"action": "Update"})


@case
def update_chain_of_another_pki(world: World) -> Asked:
    vehicle, _ = installed(world)
    return Asked(vehicle.update_request(_stranger(world)), {"action": "Update"})


@case
def update_for_another_emaid(world: World) -> Asked:
    vehicle, held = installed(world)
    return Asked(vehicle.update_request(held, emaid=OTHER), {"action": "Update"})


@case
def update_contract_expired(world: World) -> Asked:
    vehicle, held = installed(world)
    move(world.ca, BIRTH + timedelta(days=2 * 365 + 10))
    return Asked(vehicle.update_request(held), {"action": "Update"})


@case
def update_contract_canceled(world: World) -> Asked:
    vehicle, held = installed(world)
    world.ca.plug_and_charge.contracts.end(EMAID, at=BIRTH, caller="test")
    return Asked(vehicle.update_request(held), {"action": "Update"})


@case
def update_certificate_revoked(world: World) -> Asked:
    vehicle, held = installed(world)
    world.ca.revoke(_serial(held.chain[0]), "privilegeWithdrawn")
    return Asked(vehicle.update_request(held), {"action": "Update"})


@case
def update_signed_by_another_key(world: World) -> Asked:
    vehicle, held = installed(world)
    message = decode(vehicle.update_request(held), "iso15118-2")
    forger = SoftwareSigner(SUITES["p256"].generate())
    return Asked(encode(attach(message, sign(message, forger))), {"action": "Update"})  # type: ignore[type-var]  # as above


@case
def p256_in_20(world: World) -> Asked:
    small = Vehicle.made(world.ca, "iso15118-2")
    large = served(world, "iso15118-20")
    message = decode(large.request(), "iso15118-20-common")
    above = type(message.OEMProvisioningCertificateChain.SubCertificates)(Certificate=small.chain[1:])  # type: ignore[union-attr]  # a -20 request
    chain = replace(message.OEMProvisioningCertificateChain, Certificate=small.chain[0], SubCertificates=above)  # type: ignore[union-attr]  # the same
    changed = attach(replace(message, OEMProvisioningCertificateChain=chain), None)  # type: ignore[type-var]  # the same
    signature = sign(changed, SoftwareSigner(small.key), edition="lab-ecog-20")
    return Asked(encode(attach(changed, signature)))  # type: ignore[type-var]  # the same


@case
def oem_leaf_expired_20(world: World) -> Asked:
    vehicle = Vehicle.made(world.ca, "iso15118-20", not_after=BIRTH + timedelta(days=30))
    contract(world.ca)
    move(world.ca, BIRTH + timedelta(days=31))
    return Asked(vehicle.request())


@case
def oem_leaf_not_yet_valid_20(world: World) -> Asked:
    vehicle = served(world, "iso15118-20")
    move(world.ca, BIRTH - timedelta(days=1))
    return Asked(vehicle.request())


@case
def unknown_pcid_20(world: World) -> Asked:
    return Asked(Vehicle.made(world.ca, "iso15118-20", registered=False).request())


@case
def chain_of_another_pki_20(world: World) -> Asked:
    served(world, "iso15118-20")
    world.ca.plug_and_charge.roots.refuse("iso20-p521-oem-root", at=BIRTH, caller="test")
    world.ca.plug_and_charge.roots.refuse("iso20-p521-v2g-root", at=BIRTH, caller="test")
    return Asked(Vehicle.made(world.ca, "iso15118-20", registered=False).request())


@case
def missing_sub_ca_20(world: World) -> Asked:
    vehicle = served(world, "iso15118-20")
    return Asked(vehicle.request(chain=(vehicle.chain[0],)))


@case
def signed_by_another_key_20(world: World) -> Asked:
    message = decode(served(world, "iso15118-20").request(), "iso15118-20-common")
    forger = SoftwareSigner(SUITES["p521"].generate())
    return Asked(encode(attach(message, sign(message, forger))))  # type: ignore[type-var]  # a message with a header


@case
def ed448_vehicle_20(world: World) -> Asked:
    issued = world.ca.issue("oem", id=PCID, edition="iso15118-20", suite="ed448")
    assert issued.private_key is not None
    world.ca.plug_and_charge.vehicles.register(issued.chain, at=BIRTH, caller="test")
    contract(world.ca)
    vehicle = Vehicle(world.ca, "iso15118-20", PCID, issued.chain, issued.private_key)
    return Asked(vehicle.request(roots=[world.ca.authority("iso20-ed448-v2g-root").der]))


@case
def oem_leaf_revoked_20(world: World) -> Asked:
    vehicle = served(world, "iso15118-20")
    world.ca.revoke(_serial(vehicle.chain[0]), "keyCompromise")
    return Asked(vehicle.request())


def _renewed(world: World, edition: str) -> Asked:
    """The vehicle before its provisioning certificate was renewed."""
    vehicle = served(world, edition)
    Vehicle.made(world.ca, edition)  # type: ignore[arg-type]  # a literal of the caller
    return Asked(vehicle.request())


@case
def another_leaf_of_the_pcid(world: World) -> Asked:
    return _renewed(world, "iso15118-2")


@case
def another_leaf_of_the_pcid_20(world: World) -> Asked:
    return _renewed(world, "iso15118-20")


def _ended(world: World, edition: str) -> Asked:
    vehicle = served(world, edition)
    world.ca.plug_and_charge.contracts.end(EMAID, at=BIRTH, caller="test")
    return Asked(vehicle.request())


@case
def contract_ended(world: World) -> Asked:
    return _ended(world, "iso15118-2")


@case
def contract_ended_20(world: World) -> Asked:
    return _ended(world, "iso15118-20")


def _taken_back(world: World, edition: str) -> Asked:
    """The contract certificate was revoked for good."""
    vehicle = served(world, edition)
    opened = vehicle.open(world.ca.plug_and_charge.provisioning.answer(vehicle.request()).exi)
    world.ca.revoke(_serial(opened.chain[0]), "privilegeWithdrawn")
    return Asked(vehicle.request())


@case
def contract_certificate_revoked(world: World) -> Asked:
    return _taken_back(world, "iso15118-2")


@case
def contract_certificate_revoked_20(world: World) -> Asked:
    return _taken_back(world, "iso15118-20")


@case
def no_common_root(world: World) -> Asked:
    return Asked(served(world).request(roots=[world.ca.authority("iso2-mo-root").der]))


@case
def no_common_root_20(world: World) -> Asked:
    return Asked(served(world, "iso15118-20").request(roots=[world.ca.authority("iso20-p521-mo-root").der]))


@case
def no_contract_20(world: World) -> Asked:
    return Asked(Vehicle.made(world.ca, "iso15118-20").request())


@case
def none_wanted_20(world: World) -> Asked:
    return Asked(served(world, "iso15118-20").request(maximum=0))


@case
def update_of_an_unknown_contract(world: World) -> Asked:
    vehicle = served(world)
    issued = world.ca.issue("contract", id=OTHER, edition="iso15118-2")
    assert issued.private_key is not None
    held = vehicle.open(world.ca.plug_and_charge.provisioning.answer(vehicle.request()).exi)
    lab = installation.OpenedContract(issued.chain, issued.private_key, OTHER, held.check)
    return Asked(vehicle.update_request(lab), {"action": "Update"})


@case
def oversized_chain_20(world: World) -> Asked:
    vehicle = served(world, "iso15118-20")
    message = decode(vehicle.request(), "iso15118-20-common")
    chain = replace(message.OEMProvisioningCertificateChain, Certificate=bytes(1601))  # type: ignore[union-attr]  # a -20 request
    large = replace(message, OEMProvisioningCertificateChain=chain)
    path = "CertificateInstallationReq/OEMProvisioningCertificateChain/Certificate"
    return Asked(encode(large, waivers=[path]), session=bytes(8))


@case
def truncated_20(world: World) -> Asked:
    return Asked(served(world, "iso15118-20").request()[:-20], session=bytes(8))


@case
def wrong_schema_20(world: World) -> Asked:
    return Asked(served(world, "iso15118-20").request(), {"schema": "urn:din:70121:2012:MsgDef"})


@case
def too_many_certificates(world: World) -> Asked:
    vehicle, held = installed(world)
    provisioning = world.ca.plug_and_charge.provisioning
    for _ in range(provisioning.policy.valid_certificates - 1):
        answer = provisioning.answer(vehicle.update_request(held), action="Update")
        held = vehicle.open(answer.exi, key=held.private_key)
    return Asked(vehicle.update_request(held), {"action": "Update"})


def _stranger(world: World) -> installation.OpenedContract:
    """A contract of a home with the same names and other keys."""
    other = world.other()
    vehicle = Vehicle.made(other)
    contract(other)
    return vehicle.open(other.plug_and_charge.provisioning.answer(vehicle.request()).exi)


def _serial(certificate: bytes) -> str:
    return f"{x509.load_der_x509_certificate(certificate).serial_number:x}"


@pytest.fixture
def world(
    everything: CertificateAuthority, tmp_path: Path
) -> Iterator[World]:
    made: list[CertificateAuthority] = []

    def other() -> CertificateAuthority:
        ca = v2gpki.open_authority(
            tmp_path / "stranger", passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(BIRTH), caller="test"
        )
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
        made.append(ca)
        return ca

    yield World(everything, other)
    for ca in made:
        ca.close()


def _state(ca: CertificateAuthority) -> tuple[object, ...]:
    pools = ca.store.pools
    return (
        ca.store.count_certificates(),
        list(pools.bundles()),
        ca.store.pending_intents(),
        ca.store.audit_tip(),
        list(pools.contracts()),
        list(pools.vehicles()),
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_refused(row: dict[str, str], world: World) -> None:
    asked = CASES[row["name"]](world)
    before = _state(world.ca)
    answer = world.ca.plug_and_charge.provisioning.answer(asked.octets, **asked.arguments)  # type: ignore[arg-type]  # by name
    assert answer.problem is not None, "it was served"
    assert fnmatch(answer.problem.code, row["code"]), answer.problem
    assert (answer.status, answer.response_code) == ("Failed", row["response"])
    response = installation.read_response(answer.exi)
    assert response.code == row["response"]
    assert response.session_id == asked.session
    assert response.edition == ("iso15118-20" if row["name"].endswith("_20") else "iso15118-2")
    assert answer.problem.message == answer.reason
    assert _state(world.ca) == before


def test_every_case_has_a_row() -> None:
    assert sorted(CASES) == sorted(row["name"] for row in ROWS)
