"""The signing process asks the registration table itself: workers here are broken, they order without asking."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.conftest import BIRTH
from tests.servers.http.pool_client import EMAID, contract, vehicle_of
from tests.servers.signing.desk import Signing, signing
from tests.servers.signing.test_keeper import SECC, spki
from tests.services.est.desk import csr, key
from tests.services.vehicle import PCID
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.services.est import EstService, MemoryRegistry, Registration
from v2gpki.services.pools import ELSEWHERE
from v2gpki.wiring.access import registrations_of

OTHER = "DE*ABC*E999"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="v2g") as name:
        yield Path(name)


@pytest.fixture
def desk(iso2: CertificateAuthority, folder: Path) -> Iterator[Signing]:
    with signing(iso2, folder, enrolled=()) as found:
        yield found


def ordered(desk: Signing, identifier: str | None, role: str = "secc", caller: str = "acme") -> str:
    """What becomes of an order: "" or the code of its refusal, after which nothing may be left."""
    before = desk.keeper.store.count_certificates()
    desk.worker.caller = caller
    try:
        desk.worker.issue(role, id=identifier, edition="iso15118-2", public_key=spki())
    except V2GPKIError as refusal:
        assert desk.keeper.store.count_certificates() == before
        assert not list(desk.keeper.store.pending_intents())
        return refusal.code
    return ""


def test_only_what_the_table_gives_is_signed(desk: Signing, caplog: pytest.LogCaptureFixture) -> None:
    table = registrations_of(desk.keeper)
    assert ordered(desk, SECC) == "est.not_registered"
    # It is in the log of the signing process, with the process that asked.
    assert any("no worker asks" in record.message for record in caplog.records)
    table.register("acme", "secc", identifiers=[SECC], prefixes=["DE*XYZ"], caller="test")
    table.register("rival", "secc", identifiers=[OTHER], caller="test")
    # However it is written, and whatever begins as it should.
    for name in (SECC, "DEABCE123", "DE*XYZ*E1"):
        assert ordered(desk, name) == ""
    assert ordered(desk, OTHER) == "est.not_registered"
    assert ordered(desk, SECC, caller="rival") == "est.not_registered"
    assert ordered(desk, SECC, caller="nobody") == "est.not_registered"
    assert ordered(desk, SECC, caller="") == "est.not_registered"
    assert ordered(desk, None, "cps") == "est.not_registered"
    table.register("acme", "cps", caller="test")
    assert ordered(desk, None, "cps") == ""
    # Taken away a moment ago, by another process.
    table.remove("acme", role="secc", identifier=SECC, caller="test")
    assert ordered(desk, SECC) == "est.not_registered"
    assert ordered(desk, "DE*XYZ*E1") == ""


def test_one_of_a_group_that_nobody_may_have_takes_the_others_with_it(desk: Signing) -> None:
    registrations_of(desk.keeper).register("worker", "secc", identifiers=[SECC], caller="test")
    service = careless(desk)
    target = service.labels.target("cpo")
    with pytest.raises(V2GPKIError) as refusal:
        service.enrol("worker", csr(key(), OTHER), target)
    assert (refusal.value.code, refusal.value.outcome.http) == ("est.not_registered", 403)
    assert service.enrol("worker", csr(key(), SECC), target).record.identifier == SECC


def careless(desk: Signing) -> EstService:
    """EST of a worker whose own table gives everything to everybody."""
    worker = desk.worker
    names = ("worker", "acme", "rival")
    table = MemoryRegistry(worker.catalogue, [Registration(name, "secc", "", (), ("",)) for name in names])
    return EstService(
        worker.store,
        worker.catalogue,
        worker.clock,
        routing=worker._routing,
        issuance=lambda: worker.issuance,
        registry=table,
    )


# -- contracts -----------------------------------------------------------------------------------
@pytest.mark.parametrize("parts", [("pools",), ("est", "pools"), ("est",)])
def test_a_contract_that_runs_gives_its_certificate(
    iso2: CertificateAuthority, folder: Path, parts: tuple[str, ...]
) -> None:
    refused = "est.not_registered"
    with signing(iso2, folder, parts=parts, enrolled=()) as desk:
        assert ordered(desk, EMAID, "contract", "cpo-1") == refused
        vehicle_of(iso2)
        made = contract(iso2)
        # Where the pools are not served, no contract says that anybody asked.
        assert ordered(desk, EMAID, "contract", "cpo-1") == ("" if "pools" in parts else refused)
        assert ordered(desk, "DE8AA009999999", "contract", "cpo-1") == refused
        iso2.plug_and_charge.contracts.end(made.id, at=BIRTH, caller="test")
        assert ordered(desk, EMAID, "contract", "cpo-1") == refused


def test_a_contract_of_another_house_or_one_that_is_over_gives_none(desk: Signing) -> None:
    contracts = desk.keeper.plug_and_charge.contracts
    begins, year = BIRTH - timedelta(days=30), timedelta(days=365)
    vehicle_of(desk.keeper)
    contracts.create(EMAID, PCID, begins, begins + year, issuer=ELSEWHERE, at=BIRTH, caller="test")
    assert ordered(desk, EMAID, "contract", "cpo-1") == "est.not_registered"
    over = "DE8AA002222222"
    contracts.create(over, PCID, begins, BIRTH + timedelta(days=1), short=True, at=BIRTH, caller="test")
    desk.keeper.clock.moment += timedelta(days=2)  # type: ignore[attr-defined]  # the clock of the tests
    assert ordered(desk, over, "contract", "cpo-1") == "est.not_registered"


# -- renewals by certificate alone ---------------------------------------------------------------
def test_a_certificate_that_the_home_issued_renews_itself(desk: Signing) -> None:
    first = desk.keeper.issue("secc", id=SECC, public_key=spki()).record
    service = careless(desk)
    renewed = csr(key(), subject=x509.load_der_x509_certificate(first.der).subject)
    # Nobody in the signing process's table has the id.
    with pytest.raises(V2GPKIError, match=r"est\.not_registered"):
        service.reenrol("", renewed, first.der, service.labels.target("cpo"))
    registrations_of(desk.keeper).register("acme", "secc", identifiers=[SECC], caller="test")
    given = service.reenrol("", renewed, first.der, service.labels.target("cpo")).record
    assert (given.caller, given.identifier) == (f"certificate:{first.serial:x}", SECC)


def test_a_certificate_that_is_only_said_to_have_been_shown(desk: Signing) -> None:
    table = registrations_of(desk.keeper)
    table.register("acme", "secc", identifiers=[SECC, OTHER], caller="test")
    first = desk.keeper.issue("secc", id=SECC, public_key=spki()).record
    named = f"certificate:{first.serial:x}"
    assert ordered(desk, SECC, caller=named) == ""
    refused = "est.not_registered"
    assert ordered(desk, OTHER, caller=named) == refused
    for wrong in ("certificate:", "certificate:0", named[:-1], named + "0", f"{named}*"):
        assert ordered(desk, SECC, caller=wrong) == refused
    # An authority, and a certificate that was given to an identity: that one is asked for.
    authority = desk.keeper.authority("iso2-cpo-sub-ca-2")
    assert ordered(desk, SECC, caller=f"certificate:{authority.serial:x}") == refused
    assert ordered(desk, SECC, caller="acme") == ""
    (given,) = [one for one in desk.keeper.store.find_certificates(role="secc") if one.caller == "acme"]
    assert ordered(desk, SECC, caller=f"certificate:{given.serial:x}") == refused
    desk.keeper.revoke(f"{first.serial:x}", "superseded")
    assert ordered(desk, SECC, caller=named) == refused
