"""The desks of the ecosystem by themselves: no operation without its role, whatever the dialect above them checks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.conftest import BIRTH
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.services.ecosystem import GivenData, Party, Role
from v2gpki.wiring.ecosystem import ecosystem_of

EMAID = "DE8AA001234567"
ISO2 = "urn:iso:15118:2:2013:MsgDef"
EVERY: tuple[Role, ...] = ("mo", "oem", "cpo", "cps")


def test_no_desk_serves_a_role_that_its_operation_does_not_name(iso2: CertificateAuthority) -> None:
    """OPCP 1.0, security of each operation; the operator of the pools may do everything."""
    desks = ecosystem_of(iso2)
    vehicle = Vehicle.made(iso2)
    data = GivenData((b"",), b"", b"")
    year = {"begins": BIRTH, "ends": BIRTH + timedelta(days=365)}
    operations: list[tuple[set[Role], Callable[[Party], object]]] = [
        (set(EVERY), desks.roots.every),
        (set(EVERY), lambda party: desks.roots.one(party, "0" * 64)),
        (set(), lambda party: desks.roots.save(party, b"", "V2G")),
        (set(), lambda party: desks.roots.delete(party, "0" * 64)),
        ({"oem"}, lambda party: desks.vehicles.publish(party, vehicle.chain, edition="iso15118-2")),
        ({"mo", "oem"}, lambda party: desks.vehicles.one(party, PCID)),
        ({"mo", "oem"}, lambda party: desks.vehicles.look_up(party, PCID)),
        ({"oem"}, lambda party: desks.vehicles.delete(party, PCID)),
        ({"cpo"}, lambda party: desks.contracts.answer(party, "", ISO2)),
        ({"oem"}, lambda party: desks.contracts.provide(party, EMAID, PCID, namespace=ISO2)),
        ({"mo", "oem", "cpo"}, lambda party: desks.contracts.of_emaid(party, EMAID, namespace=ISO2)),
        ({"oem"}, lambda party: desks.contracts.of_pcid(party, PCID, namespace=ISO2)),
        ({"oem"}, lambda party: desks.contracts.set_default(party, EMAID, PCID)),
        ({"mo"}, lambda party: desks.contracts.delete(party, EMAID)),
        ({"mo"}, lambda party: desks.cps.sign(party, data, namespace=ISO2)),
        ({"mo"}, lambda party: desks.cps.generate(party, emaid=EMAID, pcid=PCID, namespace=ISO2, **year)),
        ({"cps", "mo"}, lambda party: desks.cps.take_in(party, b"", emaid=EMAID, pcid=PCID, namespace=ISO2)),
        (set(EVERY), desks.cps.signers),
        (set(EVERY), lambda party: desks.revocation.revoke(party, vehicle.chain[0], "superseded")),
    ]
    rows = len(list(iso2.store.audit_rows()))
    for number, (roles, operation) in enumerate(operations):
        for role in EVERY:
            code = ""
            try:
                operation(Party("somebody", frozenset({role})))
            except V2GPKIError as refusal:
                code = refusal.code
            assert (code == "ecosystem.no_role") == (role not in roles), (number, role, code)
    # Nobody of them owns a prefix, so nothing was changed.
    assert len(list(iso2.store.audit_rows())) == rows


def test_the_operator_acts_for_whoever_owns_a_prefix(iso2: CertificateAuthority) -> None:
    desks, operator = ecosystem_of(iso2), Party("operator", frozenset({"admin"}))
    owners = iso2.plug_and_charge.vehicles.owners
    owners.bind("wmi", PCID[:3], "acme-cars", at=BIRTH, caller="test")
    owners.bind("mo", EMAID[:5], "acme-mobility", at=BIRTH, caller="test")
    vehicle = Vehicle.made(iso2, registered=False)
    assert desks.vehicles.publish(operator, vehicle.chain, edition="iso15118-2").vehicle.owner == "acme-cars"
    bundle = desks.cps.generate(
        operator, emaid=EMAID, pcid=PCID, begins=BIRTH, ends=BIRTH + timedelta(days=365), namespace=ISO2
    )
    assert bundle.emaid == EMAID
    desks.contracts.delete(operator, EMAID)
    desks.vehicles.delete(operator, PCID)
    with pytest.raises(V2GPKIError):
        desks.vehicles.look_up(operator, PCID)
