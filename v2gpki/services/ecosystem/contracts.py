"""The contract pool for parties: vehicles' requests answered, signed contract data stored, provided, looked up, ended.

A CPO brings a vehicle's request and gets every contract that the request may have, each in a message of its own: one
in ISO 15118-2, where the default contract comes first, as many as the vehicle asks for in -20. What another house
signed is taken in by `foreign`. Sources: OPCP 1.0 ccp.v1, OPNC ccp.api.v1.
"""

from __future__ import annotations

from dataclasses import dataclass

from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.pnc import installation
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import signed_contract
from v2gpki.services.bundles import BundleMaker
from v2gpki.services.cps import CertificateProvisioningService
from v2gpki.services.ecosystem.events import Publish, Told, event, of_contract
from v2gpki.services.ecosystem.names import edition_of, names_root, namespace_of
from v2gpki.services.ecosystem.parties import Party, admit_contract, admit_vehicle, owns_contract, owns_vehicle
from v2gpki.services.mo import elsewhere, require_current
from v2gpki.services.pools import ELSEWHERE, ContractPool, ProvisioningPool, RootPool
from v2gpki.services.pools.provisioning_pool import unknown_vehicle
from v2gpki.services.provisioning import Provisioning, ProvisioningAnswer
from v2gpki.services.recipients import Recipient, recipient_of
from v2gpki.services.standing import Standing
from v2gpki.store.pool_records import Bundle, Contract
from v2gpki.store.protocol import Store

#: So many contracts are given to one request at most, whatever it asks for.
MOST_CONTRACTS = 8
_SESSION_OCTETS = 8
#: What a message of another edition looks like when it is read as one of this.
_MISREAD = frozenset({"installation.wrong_schema", "installation.wrong_message"})
_MISREAD_ROOMS = frozenset({"exi", "messages"})


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
    """A contract as parties see it: ``certificate`` is the newest that is valid, ``root`` the V2G root of its CPS;
    both None while there is none."""

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
        roots: RootPool,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        cps: CertificateProvisioningService,
        bundles: BundleMaker,
        provisioning: Provisioning,
        publish: Publish,
    ) -> None:
        self._store = store
        self._clock = clock
        self._roots = roots
        self._vehicles = vehicles
        self._contracts = contracts
        self._cps = cps
        self._bundles = bundles
        self._provisioning = provisioning
        self._publish = publish
        self._standing = Standing(store)

    # -- vehicles ------------------------------------------------------------------------------

    def answer(self, party: Party, request: str, namespace: str) -> Answer:
        """Answer a CertificateInstallationReq (base64 of its EXI).

        A request that is of another edition than ``namespace`` says is answered as what it is: systems in the field
        name -2 for every vehicle. A CPO may bring any vehicle's request: its signature decides whose contract is given.
        Raises ``ecosystem.unknown_namespace``, and what is wrong with the home.
        """
        party.require("cpo")
        edition = edition_of(namespace)
        given = self._ask(party, request, edition, 0)
        if _misread(given):
            again = self._ask(party, request, "", 0)
            given = given if _misread(again) else again
        if given.problem is not None:
            return Answer((), given.problem, given.exi)
        answers = [given]
        while answers[-1].remaining_contracts and len(answers) < MOST_CONTRACTS:
            following = self._ask(party, request, "", len(answers))
            if following.problem is not None:
                break
            answers.append(following)
        delivered = tuple(map(_delivered, answers))
        now = self._clock.now()
        self._publish(
            [
                event("mo.contract.delivered.to.oem", now, _told(one).payload(), one.namespace, self._mo_of(one.emaid))
                for one in delivered
            ]
        )
        return Answer(delivered)

    def provide(
        self, party: Party, emaid: str, pcid: str, *, namespace: str, root: str = "", session_id: bytes = bytes(8)
    ) -> Delivered:
        """A contract's message for one vehicle without its request, for delivery by telematics: unjudged against the
        vehicle's roots, which are not known; ``root`` names the V2G root to sign under, "" takes the newest CPS.

        Raises ``contract.unknown``, ``contract.ended``, ``contract.elsewhere``, ``pool.unknown_vehicle``,
        ``cps.unknown_root``, ``identifier.invalid``, and what issuing raises.
        """
        party.require("oem")
        now = self._clock.now().replace(microsecond=0)
        plain = parse("pcid", pcid).parts["key"]
        admit_vehicle(self._vehicles.owners, party, plain)
        contract = self._contract(emaid, plain)
        require_current(contract, now)
        recipient = self._recipient(plain, edition_of(namespace))
        if contract.issuer == ELSEWHERE:
            bundle = self._stored(contract, recipient, root)
        else:
            signer = self._cps.named(
                recipient.edition, recipient.suite, now, lambda found: not root or names_root(root, found)
            )
            bundle = self._bundles.bundle(contract, recipient, signer, now, caller=party.by)
        exi = installation.respond(
            signed_contract(bundle.exi), session_id=session_id.rjust(_SESSION_OCTETS, b"\0"), timestamp=now
        )
        return Delivered(exi, contract.emaid, plain, namespace, bundle.v2g_root)

    # -- looking up ----------------------------------------------------------------------------

    def of_emaid(self, party: Party, emaid: str, *, namespace: str, root: str = "") -> ContractView:
        """The active contract of an EMAID: an MO's own, one of an OEM's vehicles, any for a CPO.

        Raises ``contract.unknown`` (to an OEM for those of other vehicles too: who has a contract is nobody else's
        matter), ``ecosystem.foreign_identifier``, ``identifier.invalid``.
        """
        party.require("oem", "cpo", "mo")
        normal, owners = parse("emaid", emaid).normal, self._vehicles.owners
        if not party.plays("cpo", "oem"):
            admit_contract(owners, party, normal)
        contract = self._contract(normal)
        own = owns_contract(owners, party, normal) or owns_vehicle(owners, party, contract.pcid)
        if not own and not party.plays("cpo"):
            raise unknown_contract(normal)
        return self._view(contract, edition_of(namespace), root)

    def of_pcid(self, party: Party, pcid: str, *, namespace: str) -> list[ContractView]:
        """The active contracts of a vehicle, in the order of creation. Raises ``identifier.invalid``."""
        party.require("oem")
        plain = parse("pcid", pcid).parts["key"]
        admit_vehicle(self._vehicles.owners, party, plain)
        edition = edition_of(namespace)
        return [self._view(contract, edition, "") for contract in self._contracts.list(pcid=plain, state="active")]

    # -- changing ------------------------------------------------------------------------------

    def set_default(self, party: Party, emaid: str, pcid: str) -> None:
        """Make a contract its vehicle's default. Raises ``contract.unknown``, ``identifier.invalid``."""
        party.require("oem")
        plain = parse("pcid", pcid).parts["key"]
        admit_vehicle(self._vehicles.owners, party, plain)
        contract = self._contract(emaid, plain)
        self._contracts.set_default(contract.id, at=self._clock.now().replace(microsecond=0), caller=party.by)

    def delete(self, party: Party, emaid: str, *, revoke: bool = True) -> None:
        """End the contract of an EMAID; certificates that this home issued for it are revoked, unless ``revoke`` is
        False. Raises ``contract.unknown``, ``ecosystem.foreign_identifier``, ``identifier.invalid``."""
        party.require("mo")
        normal = parse("emaid", emaid).normal
        admit_contract(self._vehicles.owners, party, normal)
        contract = self._contract(normal)
        now = self._clock.now().replace(microsecond=0)
        namespace = self._view(contract, None, "").namespace
        self._contracts.end(contract.id, revoke=revoke, at=now, caller=party.by)
        self.tell("deleted", contract, namespace)

    def tell(self, what: str, contract: Contract, namespace: str) -> None:
        """Publish that a contract was ``created``, ``updated`` or ``deleted``."""
        told = Told(contract.emaid, contract.pcid, namespace)
        self._publish(of_contract(what, told, self._vehicles.owners, self._clock.now()))

    # -- steps ---------------------------------------------------------------------------------

    def _ask(self, party: Party, request: str, schema: str, position: int) -> ProvisioningAnswer:
        return self._provisioning.answer(request, schema=schema, position=position, caller=party.by)

    def _contract(self, emaid: str, pcid: str = "") -> Contract:
        normal = parse("emaid", emaid).normal
        found = self._store.pools.contract_of(normal)
        if found is None or found.state != "active" or pcid not in ("", found.pcid):
            raise unknown_contract(normal, pcid)
        return found

    def _recipient(self, pcid: str, edition: Edition) -> Recipient:
        vehicle = self._vehicles.find(pcid, edition)
        if vehicle is None:
            raise unknown_vehicle(pcid, edition)
        return recipient_of(edition, pcid, vehicle.chain[0])

    def _stored(self, contract: Contract, recipient: Recipient, root: str) -> Bundle:
        """The newest of another house for this key that may still be sent, under the root that is named, if one is."""
        now = self._clock.now().replace(microsecond=0)
        found = [
            bundle
            for bundle in self._store.pools.bundles(contract_id=contract.id)
            if (bundle.edition, bundle.receiver) == (recipient.edition, recipient.receiver)
            and (not root or names_root(root, bundle.v2g_root))
            and self._bundles.may_be_sent(bundle, contract, now)
        ]
        if not found:
            raise elsewhere(contract)
        return found[-1]

    def _view(self, contract: Contract, edition: Edition | None, root: str) -> ContractView:
        found = [
            bundle
            for bundle in self._store.pools.bundles(contract_id=contract.id)
            if bundle.state == "ready"
            and edition in (None, bundle.edition)
            and (not root or names_root(root, bundle.v2g_root))
        ]
        if not found:
            return ContractView(contract, namespace_of(edition or "iso15118-2"))
        # A certificate that was revoked or has ended is cleaned from the pool: it is shown no more.
        current = [bundle for bundle in found if self._holds(bundle)]
        if not current:
            return ContractView(contract, namespace_of(found[-1].edition))
        newest = current[-1]
        leaf = view(signed_contract(newest.exi).data.chain[0])
        above = next((view(e.der) for e in self._roots.list() if e.fingerprint == newest.v2g_root), None)
        return ContractView(contract, namespace_of(newest.edition), leaf, above)

    def _holds(self, bundle: Bundle) -> bool:
        """Whether the contract certificate of a bundle is valid now, as far as this home knows."""
        if view(signed_contract(bundle.exi).data.chain[0]).not_after < self._clock.now():
            return False
        record = self._store.certificate(bundle.issuer_id, bundle.serial)
        return record is None or not self._standing.revoked(record)

    def _mo_of(self, emaid: str) -> str:
        bound = self._vehicles.owners.of("mo", emaid)
        return "" if bound is None else bound.owner


def unknown_contract(emaid: str, pcid: str = "") -> V2GPKIError:
    """The refusal where there is no contract, or none that the party may know of."""
    whose = f" for {pcid}" if pcid else ""
    return V2GPKIError(
        "contract.unknown",
        f"there is no contract of {emaid}{whose}",
        hint="its mobility operator makes one",
        clause="OPCP contract pool",
        facts={"emaid": emaid, "pcid": pcid},
    )


def _misread(answer: ProvisioningAnswer) -> bool:
    code = "" if answer.problem is None else answer.problem.code
    return code in _MISREAD or code.partition(".")[0] in _MISREAD_ROOMS


def _delivered(answer: ProvisioningAnswer) -> Delivered:
    edition = installation.read_response(answer.exi).edition
    return Delivered(answer.exi, answer.emaid, answer.pcid, namespace_of(edition), answer.v2g_root)


def _told(delivered: Delivered) -> Told:
    return Told(delivered.emaid, delivered.pcid, delivered.namespace)
