"""The contract pool for parties: vehicles' requests answered, signed contract data stored, provided, looked up, ended.

A CPO brings a vehicle's request and gets every contract that the request may have, each in a message of its own: one
in ISO 15118-2, where the default contract comes first, as many as the vehicle asks for in -20. Signed contract data
of another house is taken in when its signature holds (`foreign`). Sources: OPCP 1.0 ccp.v1, OPNC ccp.api.v1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from v2gpki.certs.view import CertificateView
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.pnc import installation
from v2gpki.services.bundles import BundleMaker
from v2gpki.services.cps import CertificateProvisioningService
from v2gpki.services.ecosystem.events import Publish, Told, event
from v2gpki.services.ecosystem.names import edition_of, namespace_of
from v2gpki.services.ecosystem.parties import Party
from v2gpki.services.pools import ContractPool, ProvisioningPool
from v2gpki.services.provisioning import Provisioning, ProvisioningAnswer
from v2gpki.store.pool_records import Contract
from v2gpki.store.protocol import Store

#: So many contracts are given to one request at most, whatever it asks for.
MOST_CONTRACTS = 8
_SESSION_OCTETS = 8


@dataclass(frozen=True, slots=True)
class Delivered:
    """One contract in a message for the vehicle. ``root`` is the SHA-256 of the V2G root that its CPS is under."""

    exi: bytes
    emaid: str
    pcid: str
    namespace: str
    root: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a vehicle's request: what is delivered, or the refusal with the message that tells the vehicle."""

    delivered: tuple[Delivered, ...]
    refusal: V2GPKIError | None = None
    exi: bytes = b""


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract as parties see it: ``certificate`` is the newest that was delivered or is ready, ``root`` the V2G
    root of its CPS, both None while nothing was made."""

    contract: Contract
    namespace: str
    certificate: CertificateView | None = None
    root: CertificateView | None = None


class ContractDesk:
    """The contract pool of one home, for whoever may ask."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        cps: CertificateProvisioningService,
        bundles: BundleMaker,
        provisioning: Provisioning,
        publish: Publish,
    ) -> None:
        self._store = store
        self._clock = clock
        self._vehicles = vehicles
        self._contracts = contracts
        self._cps = cps
        self._bundles = bundles
        self._provisioning = provisioning
        self._publish = publish

    # -- vehicles ------------------------------------------------------------------------------

    def answer(self, party: Party, request: str, namespace: str) -> Answer:
        """Answer a CertificateInstallationReq (base64 of its EXI).

        A request that is of another edition than ``namespace`` says is answered as what it is: systems in the field
        name -2 for every vehicle. Raises ``ecosystem.unknown_namespace``, and what is wrong with the home.
        """
        party.require("cpo", "oem")
        edition = edition_of(namespace)
        given = self._provisioning.answer(request, schema=edition, position=0)
        if given.problem is not None and given.problem.code.startswith(("exi.", "installation.wrong_")):
            again = self._provisioning.answer(request, position=0)
            if again.problem is None or not again.problem.code.startswith(("exi.", "installation.wrong_")):
                given = again
        if given.problem is not None:
            return Answer((), given.problem, given.exi)
        answers = [given]
        while answers[-1].remaining_contracts and len(answers) < MOST_CONTRACTS:
            following = self._provisioning.answer(request, position=len(answers))
            if following.problem is not None:
                break
            answers.append(following)
        delivered = tuple(_delivered(one) for one in answers)
        self._told_delivered(delivered)
        return Answer(delivered)

    def _told_delivered(self, delivered: Sequence[Delivered]) -> None:
        now = self._clock.now()
        events = []
        for one in delivered:
            mo = self._vehicles.owners.of("mo", one.emaid)
            told = Told(one.emaid, one.pcid, one.namespace)
            owner = "" if mo is None else mo.owner
            events.append(event("mo.contract.delivered.to.oem", now, told.payload(), one.namespace, owner))
        self._publish(events)


def _delivered(answer: ProvisioningAnswer) -> Delivered:
    read = installation.read_response(answer.exi)
    return Delivered(answer.exi, answer.emaid, answer.pcid, namespace_of(read.edition))
