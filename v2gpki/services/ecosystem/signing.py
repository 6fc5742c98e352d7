"""The CPS for parties: contract data signed, contracts made and signed, and who signs under which V2G root.

An MO with a PKI of its own brings contract data and gets them back signed, stored in the contract pool if it names the
vehicle; an MO without one names EMAID, PCID and period, and this home's MO does the rest. Both are idempotent: the same
again changes nothing, another period replaces the contract. Sources: OPCP 1.0 cps.v1, OPNC cps.api.v1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.messages import codec
from v2gpki.messages.schema import Message, NamedValue
from v2gpki.messages.views import from_xml, to_xml
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation import SignedContract, kept, signed_contract
from v2gpki.profile.load import Catalogue
from v2gpki.services.bundles import BundleMaker
from v2gpki.services.cps import CertificateProvisioningService, CpsSigner
from v2gpki.services.ecosystem.contracts import ContractDesk
from v2gpki.services.ecosystem.foreign import ForeignContracts, Taken, taken
from v2gpki.services.ecosystem.names import edition_of, names_root, namespace_of
from v2gpki.services.ecosystem.parties import Party, admit_contract
from v2gpki.services.mo import MobilityOperator
from v2gpki.services.pools import ContractPool, ProvisioningPool
from v2gpki.services.pools.provisioning_pool import unknown_vehicle
from v2gpki.services.pools.terms import period as checked_period
from v2gpki.services.recipients import recipient_of
from v2gpki.store.pool_records import Bundle, Contract
from v2gpki.store.protocol import Store

_CODED: dict[Edition, str] = {"iso15118-2": "iso15118-2", "iso15118-20": "iso15118-20-common"}
_LARGEST_XML = 200_000


@dataclass(frozen=True, slots=True)
class GivenData:
    """Contract data as an MO brings it: chain (leaf, Sub-CA 2, Sub-CA 1; DER) and the two fields of the envelope."""

    chain: tuple[bytes, ...]
    dh_public_key: bytes
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class SignedView:
    """Signed contract data with the V2G root of the CPS; ``pcid`` is "" when they were not stored."""

    signed: SignedContract
    emaid: str
    pcid: str
    namespace: str
    root: CertificateView


@dataclass(frozen=True, slots=True)
class SignerView:
    """A CPS leaf that signs here, its Sub-CAs (nearest first) and the V2G root above."""

    leaf: CertificateView
    above: tuple[CertificateView, ...]
    root: CertificateView
    namespace: str


class CpsDesk:
    """The CPS of one home, for whoever may ask."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        *,
        vehicles: ProvisioningPool,
        contracts: ContractPool,
        mo: MobilityOperator,
        cps: CertificateProvisioningService,
        bundles: BundleMaker,
        foreign: ForeignContracts,
        desk: ContractDesk,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._vehicles = vehicles
        self._contracts = contracts
        self._mo = mo
        self._cps = cps
        self._bundles = bundles
        self._foreign = foreign
        self._desk = desk

    def sign(
        self, party: Party, data: GivenData, *, namespace: str, emaid: str = "", pcid: str = "", root: str = "",
        store: bool = True,
    ) -> SignedView:  # fmt: skip
        """Sign contract data, and store them for the vehicle ``pcid`` if it is named and ``store`` says so.

        ``emaid``, if given, must be the certificate's; ``root`` names the V2G root to sign under. Raises what
        `ForeignContracts` raises, ``installation.wrong_emaid``, ``cps.unknown_root``, ``cps.none``.
        """
        party.require("mo")
        edition = edition_of(namespace)
        now = self._clock.now().replace(microsecond=0)
        checked = self._foreign.checked(
            party, edition, data.chain, dh_public_key=data.dh_public_key, encrypted_key=data.encrypted_key
        )
        if emaid and parse("emaid", emaid).parts["key"] != parse("emaid", checked.emaid).parts["key"]:
            raise V2GPKIError(
                "installation.wrong_emaid",
                f"the contract certificate is {checked.emaid}'s, not {emaid}'s",
                hint="name the EMAID of the certificate",
                clause="OPCP 1.0, contractData",
                facts={"emaid": emaid, "certificate": checked.emaid},
            )
        plain = parse("pcid", pcid).parts["key"] if pcid else ""
        signer = self._signer(edition, now, root)
        signed = self._cps.sign(checked, signer)
        if plain and store:
            self._stored(self._foreign.take_in(party, signed, plain))
        return SignedView(signed, checked.emaid, plain, namespace, view(signer.root))

    def generate(
        self,
        party: Party,
        *,
        emaid: str,
        pcid: str,
        begins: datetime,
        ends: datetime,
        namespace: str,
        root: str = "",
        mo_root: str = "",
    ) -> Bundle:
        """Make a contract for a registered vehicle with this home's MO, sign it and keep it ready.

        The same again gives what is there; another period, or another MO, ends the contract as superseded and makes a
        new one. ``root`` names the V2G root to sign under, ``mo_root`` the root that the contract certificate shall
        lead to. Raises ``contract.exists`` when the EMAID is another vehicle's, ``contract.*``,
        ``pool.unknown_vehicle``, ``cps.unknown_root``, ``ecosystem.unknown_mo_root``,
        ``ecosystem.foreign_identifier``, ``identifier.invalid``, and what issuing raises.
        """
        party.require("mo")
        edition = edition_of(namespace)
        now = self._clock.now().replace(microsecond=0)
        normal, plain = parse("emaid", emaid).normal, parse("pcid", pcid).parts["key"]
        admit_contract(self._vehicles.owners, party, normal)
        vehicle = self._vehicles.find(plain, edition)
        if vehicle is None:
            raise unknown_vehicle(plain, edition)
        recipient = recipient_of(edition, plain, vehicle.chain[0])
        signer = self._cps.named(
            edition, recipient.suite, now, lambda found: not root or names_root(root, found)
        )
        issuer = self._issuer(edition, mo_root) if mo_root else ""
        wanted = self._wanted(
            party, normal, plain, period=checked_period(begins, ends, now), issuer=issuer, now=now
        )
        # What could not be issued is refused before anything is ended or made.
        self._mo.order(wanted, edition=edition, suite=recipient.suite, now=now)
        contract, state = self._contract(wanted)
        bundle = self._bundles.bundle(contract, recipient, signer, now, caller=party.by)
        if state:
            self._desk.tell(state, contract, namespace)
        return bundle

    def take_in(self, party: Party, data: bytes, *, emaid: str, pcid: str, namespace: str) -> None:
        """Store signed contract data of any CPS that the pool trusts: a CertificateInstallationRes as XML or EXI.

        Raises ``messages.*``, ``exi.*``, and what `ForeignContracts.take_in` raises.
        """
        party.require("cps", "mo")
        signed = signed_contract(self._exi(data, edition_of(namespace)))
        self._stored(self._foreign.take_in(party, signed, pcid, emaid=parse("emaid", emaid).normal))

    def signers(self, party: Party) -> list[SignerView]:
        """Everybody who signs here now, the newest leaf of each edition and family first."""
        party.require("mo", "cps", "oem", "cpo")
        now = self._clock.now().replace(microsecond=0)
        return [
            SignerView(view(one.chain[0]), tuple(map(view, one.chain[1:])), view(one.root), namespace_of(edition))
            for edition, suite in self._families()
            for one in self._cps.signers(edition, suite, now)
        ]

    # -- steps ---------------------------------------------------------------------------------

    def _families(self) -> list[tuple[Edition, str]]:
        return [(edition, suite) for edition in _CODED for suite in self._catalogue.edition(edition).suites]

    def _signer(self, edition: Edition, now: datetime, root: str) -> CpsSigner:
        """The CPS of an edition that signs for keys of its first family, under the root that is named."""
        suite = self._catalogue.edition(edition).suites[0]
        return self._cps.named(edition, suite, now, lambda found: not root or names_root(root, found))

    def _wanted(
        self, party: Party, emaid: str, pcid: str, *, period: tuple[datetime, datetime], issuer: str, now: datetime
    ) -> Contract:
        """The contract as it is asked for; whether it is new is not said yet."""
        begins, ends = period
        return Contract("0" * 32, emaid, pcid, begins, ends, now, party.by, issuer=issuer)

    def _contract(self, wanted: Contract) -> tuple[Contract, str]:
        """The contract that is there, or a new one, and what is to be told: "" when nothing changed."""
        present = self._store.pools.contract_of(wanted.emaid)
        state = "created"
        now, caller = wanted.created_at, wanted.created_by
        if present is not None and present.state == "active":
            if present.pcid != wanted.pcid:
                raise taken(present, wanted.pcid)
            if (present.begins, present.ends, present.issuer) == (wanted.begins, wanted.ends, wanted.issuer):
                return present, ""
            self._contracts.end(present.id, "superseded", at=now, caller=caller)
            state = "updated"
        made = self._contracts.create(
            wanted.emaid,
            wanted.pcid,
            wanted.begins,
            wanted.ends,
            default=present is not None and present.default,
            issuer=wanted.issuer,
            at=now,
            caller=caller,
        )
        return made, state

    def _issuer(self, edition: Edition, root: str) -> str:
        """The MO's authority of an edition that leads to the root that is named."""
        roles = self._catalogue.profile(edition, "contract", None).issuers
        for authority in self._store.authorities(edition=edition):
            top = authority.chain[-1] if authority.chain else authority.der
            if authority.role in roles and authority.state == "active" and names_root(root, view(top).fingerprint):
                return authority.slug
        raise V2GPKIError(
            "ecosystem.unknown_mo_root",
            f"no mobility operator of this home issues under the root {root[:80]!a}",
            hint="leave it out, or name the root of an MO of this home",
            clause="OPNC cps.api.v1",
            facts={"root": root[:80]},
        )

    def _stored(self, taken: Taken) -> None:
        if taken.state != "unchanged":
            self._desk.tell(taken.state, taken.contract, namespace_of(taken.bundle.edition))

    def _exi(self, data: bytes, edition: Edition) -> bytes:
        """Signed contract data as EXI; XML is read first."""
        if data[:1] == b"\x80":
            return data
        if len(data) > _LARGEST_XML:
            raise V2GPKIError(
                "messages.text_malformed",
                f"signed contract data of {len(data)} octets are more than any message",
                facts={"octets": len(data)},
            )
        return codec.encode(from_xml(data, _CODED[edition]), _CODED[edition])


def xml_of(signed: SignedContract) -> bytes:
    """The CertificateInstallationRes of signed contract data as XML: what OPCP calls ``signedData``."""
    schema = _CODED[signed.edition]
    message: Message | NamedValue = codec.decode(kept(signed), schema)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + to_xml(message, schema).encode("utf-8")
