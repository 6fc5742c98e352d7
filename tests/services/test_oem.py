"""The manufacturer's service: provisioning certificates issued and registered in one go."""

from __future__ import annotations

from pathlib import Path

import pytest

import v2gpki
from tests.conftest import PASSPHRASE
from tests.services.pool_world import AT, EMAID, PCID, World, refusing
from v2gpki.keys.suites import SUITES, spki_of
from v2gpki.services.oem import OemService


@pytest.fixture
def world(iso2: v2gpki.CertificateAuthority) -> World:
    return World(iso2)


def service(world: World) -> OemService:
    ca = world.ca
    return OemService(ca._routing, lambda: ca.issuance, world.vehicles, ca.clock)


def issued_count(world: World) -> int:
    return world.ca.store.count_certificates(role="oem")


def test_a_certificate_is_issued_and_registered(world: World) -> None:
    done = service(world).issue_and_register(PCID, caller="test")
    assert done.registered.state == "new"
    assert done.registered.vehicle.chain == done.issued.chain
    assert done.issued.private_key is not None
    assert done.issued.record.identifier == PCID
    assert world.vehicles.find(PCID, "iso15118-2") == done.registered.vehicle
    assert done.registered.vehicle.registered_at == AT


def test_a_key_from_outside_is_certified(world: World) -> None:
    spki = spki_of(SUITES["p256"].generate().public_key())
    done = service(world).issue_and_register(PCID, spki=spki, caller="test")
    assert done.issued.private_key is None
    assert spki in done.registered.vehicle.chain[0]


def test_the_same_order_again_is_the_same_certificate(world: World) -> None:
    first = service(world).issue_and_register(PCID, idempotence_key="k", caller="test")
    again = service(world).issue_and_register(PCID, idempotence_key="k", caller="test")
    assert again.issued.record == first.issued.record
    assert again.registered.state == "unchanged"
    assert issued_count(world) == 1


def test_nothing_is_issued_that_could_not_be_registered(world: World) -> None:
    world.vehicles.owners.bind("wmi", "WVW", "volks", at=AT, caller="test")
    with refusing("pool.foreign_wmi"):
        service(world).issue_and_register(PCID, caller="test")
    with refusing("pool.unbound_wmi"):
        service(world).issue_and_register("HUBABCDEFGH123456", owner="hub", caller="test")
    with refusing("identifier.invalid"):
        service(world).issue_and_register("OEMProvCert", caller="test")
    assert issued_count(world) == 0
    assert service(world).issue_and_register(PCID, owner="volks", caller="test").registered.vehicle.owner == "volks"


def test_nothing_is_issued_for_a_pcid_of_another_root(world: World, tmp_path: Path) -> None:
    with v2gpki.open_authority(
        tmp_path / "other", passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(AT), caller="other"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Other")
        chain, root = ca.issue("oem", id=PCID, edition="iso15118-2").chain, ca.authority("iso2-oem-root").der
    world.roots.add(root, role="oem-root", at=AT, caller="test")
    world.vehicles.register(chain, at=AT, caller="test")
    with refusing("pool.other_root"):
        service(world).issue_and_register(PCID, caller="test")
    assert issued_count(world) == 0
    done = service(world).issue_and_register(PCID, accept_other_root=True, caller="test")
    assert done.registered.state == "renewed"


def test_only_provisioning_certificates_are_registered(world: World) -> None:
    contract = world.ca.issue("contract", id=EMAID, edition="iso15118-2")
    with refusing("pool.not_provisioning") as caught:
        service(world).register(contract, caller="test")
    assert "oem" in caught.value.hint
    with refusing("pool.not_provisioning"):
        service(world).issue_and_register(PCID, role="contract", caller="test")
    with refusing("pool.not_provisioning"):
        service(world).admit("ocpp", "station", PCID)
    done = service(world).register(world.ca.issue("oem", id=PCID, edition="iso15118-2"), caller="test")
    assert done.state == "new"


def test_the_roles_of_every_edition(everything: v2gpki.CertificateAuthority) -> None:
    world = World(everything)
    oem = service(world)
    assert oem.takes("iso15118-2", "oem")
    assert oem.takes("iso15118-20", "oem-x448")
    assert not oem.takes("iso15118-2", "oem-x448")
    assert not oem.takes("iso15118-20", "vehicle")
    assert not oem.takes("ocpp", "station")
    done = oem.issue_and_register(PCID, edition="iso15118-20", suite="ed448", role="oem-x448", caller="test")
    assert (done.registered.vehicle.suite, done.registered.role) == ("x448", "oem-x448")
