"""A home's contracts through the station's plug-in: the vehicle opens what came; deadlines and floods are refused in
time.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from tests.conftest import BIRTH
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.errors import V2GPKIError
from v2gpki.servers.secc.contracts import HomeContracts
from v2gpki.servers.secc.plugins import ContractAsked, ContractGiven, ContractProvider
from v2gpki.services.provisioning import ProvisioningAnswer

EMAID = "DE8AA001234567"
NAMESPACE = "urn:iso:15118:2:2013:MsgDef"


def asking(exi: bytes = b"request", seconds: float = 4.5) -> ContractAsked:
    return ContractAsked(exi, "iso15118-2", "install", NAMESPACE, deadline_seconds=seconds, evse_id="DE*ABC*E1")


def test_a_vehicle_opens_what_the_home_gave(iso2: CertificateAuthority) -> None:
    vehicle = Vehicle.made(iso2)
    begins, ends = BIRTH - timedelta(days=1), BIRTH + timedelta(days=365)
    iso2.plug_and_charge.contracts.create(EMAID, PCID, begins, ends, at=BIRTH, caller="test")
    with HomeContracts(iso2.plug_and_charge.provisioning) as home:
        provider: ContractProvider = home
        given = asyncio.run(provider.contract(asking(vehicle.request())))
    assert (given.status, given.emaid, given.remaining) == ("accepted", EMAID, 0)
    assert vehicle.open(given.exi).emaid == EMAID


def test_a_refusal_is_worded_by_the_home(iso2: CertificateAuthority) -> None:
    """No contract: the vehicle still gets a response that says so."""
    vehicle = Vehicle.made(iso2)
    with HomeContracts(iso2.plug_and_charge.provisioning) as home:
        given = asyncio.run(home.contract(asking(vehicle.request())))
    assert given.status == "failed"
    assert given.exi
    assert given.problem is not None
    assert given.problem.code == "provisioning.no_contract"


class Held:
    """A provisioning that answers when it is let go, and counts."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun: list[bytes] = []
        self.done: list[bytes] = []

    def answer(self, exi_request: bytes, **_more: object) -> ProvisioningAnswer:
        self.begun.append(exi_request)
        assert self.go.wait(20)
        self.done.append(exi_request)
        return ProvisioningAnswer("Accepted", b"response", "OK")


class Refusing:
    """A home that has nothing to answer with."""

    def answer(self, exi_request: bytes, **_more: object) -> ProvisioningAnswer:
        raise V2GPKIError("home.locked", "the home is locked")


def test_the_deadline_is_kept_and_the_work_goes_on() -> None:
    """The shorter of both deadlines; what was begun gets done, for the vehicle's next request."""
    held = Held()
    home = HomeContracts(held, deadline=30)

    async def ask() -> ContractGiven:
        given = await home.contract(asking(seconds=0.05))
        held.go.set()
        return given

    given = asyncio.run(ask())
    home.close()
    assert given.status == "failed"
    assert given.exi == b""
    assert given.problem is not None
    assert given.problem.code == "provisioning.late"
    assert given.problem.outcome.iso2 == "FAILED_NoCertificateAvailable"
    assert held.done == [b"request"]


def test_no_more_threads_and_no_longer_queue_than_allowed() -> None:
    held = Held()
    home = HomeContracts(held, threads=2, most_waiting=3)

    async def ask() -> list[ContractGiven]:
        asked = [asyncio.create_task(home.contract(asking(b"%d" % number))) for number in range(5)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        refused = [task.result() for task in asked if task.done()]
        assert len(held.begun) <= 2
        held.go.set()
        answered = await asyncio.gather(*asked)
        assert [given for given in answered if given.status == "failed"] == refused
        return answered

    given = asyncio.run(ask())
    assert [one.status for one in given] == ["accepted", "accepted", "accepted", "failed", "failed"]
    assert {one.problem.code for one in given if one.problem} == {"provisioning.busy"}
    assert sorted(held.done) == [b"0", b"1", b"2"]
    # there is room again
    assert asyncio.run(home.contract(asking())).status == "accepted"
    home.close()


def test_what_leaves_nothing_to_answer_with_is_told() -> None:
    with HomeContracts(Refusing()) as home:
        given = asyncio.run(home.contract(asking()))
    assert given.status == "failed"
    assert given.problem is not None
    assert given.problem.code == "home.locked"


def test_a_station_that_ends_waits_for_what_runs() -> None:
    """Who asked has gone; the call that had begun gets done before the home may be closed."""
    held = Held()
    home = HomeContracts(held, threads=1)

    async def ask() -> None:
        asked = [asyncio.create_task(home.contract(asking(b"%d" % number))) for number in range(3)]
        while not held.begun:
            await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)
        assert held.done == []

    asyncio.run(ask())
    held.go.set()
    home.close()
    assert held.done[:1] == [b"0"]
    assert held.done == held.begun
