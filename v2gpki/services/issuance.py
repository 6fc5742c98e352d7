"""The one issuance path. Command line, library, services and batches all come through here.

profile -> template -> lint -> intent recorded -> signature -> result committed -> answer. A
certificate that a caller has seen is in the store, whatever is killed when; an intent that never
got its result is abandoned by ``recover`` and its serial counts as revoked. Subject and extensions
come from the profile, never from a request: only the key and the identifier do.
Clauses: RFC 5280 4.1.2.2 (serial), [V2G2-884] (every certificate meets its profile).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeAlias

from v2gpki.certs.template import Constants
from v2gpki.clock import Clock, rfc3339
from v2gpki.errors import Finding, V2GPKIError
from v2gpki.identifiers import Identifier
from v2gpki.keys.signer import Signer
from v2gpki.keys.suites import PrivateKey, spki_of
from v2gpki.profile.model import Profile
from v2gpki.services.production_line import ProductionLine, refuse_errors, serial_of, without_root
from v2gpki.services.remembered import Remembered
from v2gpki.store.pool_records import Answered, Bundle
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord, IntentRecord

SESSION_HEX = 16
_REFERENCE_HEX = 32


class KeyVault(Protocol):
    """Where the authority's own private keys live."""

    def signer(self, key_id: str) -> Signer:
        """The signer of one key."""
        ...

    def add_many(self, keys: Mapping[str, PrivateKey]) -> None:
        """Keep new keys, durable when it returns."""
        ...

    def discard(self, key_id: str) -> None:
        """Delete a key that never signed anything visible, if it is there, and what is left of writing it."""
        ...


@dataclass(frozen=True, slots=True)
class NewAuthority:
    """Makes an order one for a certification authority: its slug and key generation."""

    slug: str
    generation: int = 1

    @property
    def id(self) -> str:
        """``slug@generation``."""
        return f"{self.slug}@{self.generation}"


class Order(NamedTuple):
    """One certificate to be issued.

    ``issuer_id`` is the signing authority's generation, "" for a self-signed root. ``spki`` None asks for
    a fresh key. ``key_id`` not empty keeps that fresh key in the vault under this name; otherwise it is
    handed out with the answer and forgotten. ``not_after`` None takes the profile's default, cut at the
    issuer's end. ``idempotence_key`` not empty gives the same certificate for the same (caller, key).
    ``contract_id`` names the contract that the certificate is issued for; it must be active.
    """

    profile: Profile
    issuer_id: str
    constants: Constants
    identifier: Identifier | None = None
    spki: bytes | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    idempotence_key: str = ""
    key_id: str = ""
    authority: NewAuthority | None = None
    contract_id: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """An answer: the stored record, the chain (this certificate first, no root), the private key if one
    was made and not kept, and what lint noticed short of an error."""

    record: CertificateRecord
    chain: tuple[bytes, ...]
    private_key: PrivateKey | None = field(default=None, repr=False)
    findings: tuple[Finding, ...] = ()
    authority: AuthorityRecord | None = None


class Recorded(NamedTuple):
    """A certificate whose intent is recorded and whose key is another process's: what that one needs to write it anew.

    ``issuer_id`` is the signing authority's generation; serial and digest stand in the intent that ``reference`` names.
    """

    reference: str
    profile: Profile
    issuer_id: str
    identifier: Identifier | None
    spki: bytes
    not_before: datetime
    not_after: datetime


#: Gives the signatures of recorded certificates, in their order.
Press: TypeAlias = "Callable[[Sequence[Recorded]], Sequence[bytes]]"


class Delivery(NamedTuple):
    """What is committed with certificates: bundles that carry them, and what requests are answered with of those."""

    bundles: Sequence[Bundle] = ()
    answers: Sequence[Answered] = ()


#: Makes of signed certificates what delivers them; only signs and computes.
Deliver: TypeAlias = "Callable[[Sequence[Issued]], Delivery]"


def deliver_nothing(_issued: Sequence[Issued]) -> Delivery:
    """Nothing to deliver: whoever ordered takes the certificates from the answer."""
    return Delivery()


class _Prepared(NamedTuple):
    """One order on its way to the signature."""

    order: Order
    line: ProductionLine
    intent: IntentRecord
    tbs: bytes
    subject_key: bytes
    spki: bytes
    private_key: PrivateKey | None
    not_before: datetime
    not_after: datetime
    findings: tuple[Finding, ...]


class Issuance:
    """Issues certificates for every caller. Safe from threads as far as its store and vault are."""

    def __init__(
        self,
        store: Store,
        vault: KeyVault,
        clock: Clock,
        *,
        session: str,
        seal: Callable[[], None],
        press: Press | None = None,
    ) -> None:
        """``session`` (16 hex digits) marks this process's intents; ``seal`` signs the audit log's head. ``press`` asks
        the process that has the keys for signatures, and no signer of the vault is used."""
        self._store = store
        self._vault = vault
        self._clock = clock
        self._session = session
        self._seal = seal
        self._press = press
        self._in_service: Remembered[str, None] = Remembered(store)
        self._lines: dict[tuple[int, str, Constants], tuple[ProductionLine, tuple[Finding, ...]]] = {}

    def issue(self, orders: Sequence[Order], *, caller: str, deliver: Deliver = deliver_nothing) -> list[Issued]:
        """Issue all orders of one caller in one group, or none of them; see ``issue_for``."""
        return self.issue_for([(order, caller) for order in orders], deliver=deliver)

    def issue_for(self, ordered: Sequence[tuple[Order, str]], *, deliver: Deliver = deliver_nothing) -> list[Issued]:
        """Issue orders, each with who ordered it, in one group, or none of them.

        ``deliver`` makes of the signed certificates the bundles that carry them; all are committed together, so that
        no certificate is in the store whose key was lost on the way. It is not called for earlier answers.

        An order whose idempotence key was used before gives the same certificate again, without the private key
        that went with it the first time; for another role, identifier or key it is refused. Raises ``lint.failed``
        (with findings), ``issuing.*`` or what store and keys raise. Everything that an order alone can get wrong
        is found before the first intent is recorded.
        """
        now = self._clock.now().replace(microsecond=0)
        claims = [(caller, order.idempotence_key) for order, caller in ordered if order.idempotence_key]
        earlier = self._store.completed_many(claims) if claims else {}
        answers: dict[int, Issued] = {}
        fresh: list[tuple[Order, str]] = []
        for index, (order, caller) in enumerate(ordered):
            done = earlier.get((caller, order.idempotence_key))
            if done is None:
                fresh.append((order, caller))
            else:
                answers[index] = self._replay(order, done)
        issued = iter(self._issue_fresh(fresh, now, deliver) if fresh else [])
        return [answers[index] if index in answers else next(issued) for index in range(len(ordered))]

    def check(self, order: Order) -> tuple[bytes, tuple[Finding, ...]]:
        """A dry run: everything but intent and signature. Returns (TBSCertificate DER, findings)."""
        now = self._clock.now().replace(microsecond=0)
        prepared = self._prepare([(order, "dry-run")], now)[0]
        return prepared.tbs, prepared.findings

    def issued(self, record: CertificateRecord) -> Issued:
        """The answer for a certificate that is already in the store."""
        issuer = self._store.authority(record.issuer_id)
        above = () if issuer is None or issuer.der == record.der else without_root(issuer)
        return Issued(record, (record.der, *above))

    def sign_recorded(self, intent: IntentRecord, order: Order) -> bytes:
        """The signature of a certificate whose intent another process recorded, for that process to commit.

        It is written and judged anew from the order: signed is only what this process would have issued itself.
        Raises ``signing.not_recorded`` when that is something else than was recorded, and what issuing raises.
        """
        now = self._clock.now().replace(microsecond=0)
        if order.authority is not None or order.key_id or intent.key_id or not order.issuer_id or order.spki is None:
            raise _not_recorded(intent.reference, "it is no end-entity certificate for a given key")
        self._require_in_service(order.issuer_id)
        octets = order.profile.serial.octets
        serial = intent.serial.to_bytes(octets, "big") if 0 < intent.serial < 1 << 8 * octets else b"\x00"
        rule = order.profile.serial
        if not rule.first_minimum <= serial[0] <= rule.first_maximum:
            raise _not_recorded(intent.reference, "its serial number is not one of the profile's")
        prepared = self._prepare_one(order, serial, intent.reference, now, intent.caller)
        expected = prepared.intent
        if (expected.issuer_id, expected.tbs_digest) != (intent.issuer_id, intent.tbs_digest):
            raise _not_recorded(intent.reference, "what was recorded is another certificate")
        if (expected.edition, expected.role, expected.identifier) != (intent.edition, intent.role, intent.identifier):
            raise _not_recorded(intent.reference, "it was recorded under another role or identifier")
        issuer = prepared.line.issuer
        if issuer is None:
            raise _not_recorded(intent.reference, "it has no issuer")
        return self._vault.signer(issuer.key_id).sign(prepared.tbs)

    def recover(self, is_alive: Callable[[str], bool]) -> int:
        """Close the intents that dead processes left behind; ``is_alive`` tells for a session's hex name.

        Returns how many were abandoned. Keys that were made for them are removed: they signed nothing
        that anybody has seen. Only one process of a home may be in here at a time.
        """
        dead = {
            session
            for session in {intent.reference[:SESSION_HEX] for intent in self._store.pending_intents()}
            if session != self._session and not is_alive(session)
        }
        # Asked again: between the first look and its end, a process may have committed what it was working on.
        left = [intent for intent in self._store.pending_intents() if intent.reference[:SESSION_HEX] in dead]
        if left:
            made = {intent.key_id for intent in left if intent.key_id}
            reason = "the process that recorded it ended before the result was committed"
            self._abandon(left, made - self._kept(), reason)
        return len(left)

    def _replay(self, order: Order, earlier: CertificateRecord) -> Issued:
        """The earlier answer for the same order; another order under its key is a mistake of the caller."""
        identifier = order.identifier.normal if order.identifier is not None else ""
        asked = (order.profile.edition, order.profile.role, order.profile.suite, identifier)
        given = (earlier.edition, earlier.role, earlier.suite, earlier.identifier)
        if asked != given or (order.spki is not None and order.spki not in earlier.der):
            raise V2GPKIError(
                "issuing.idempotence_reused",
                f"the idempotence key was used before, for {earlier.role} {earlier.identifier}".rstrip()
                + f" ({earlier.serial:x}), and this order is for something else or for another key",
                hint="choose a new idempotence key for a new order",
                facts={"serial": f"{earlier.serial:x}", "role": earlier.role, "identifier": earlier.identifier},
            )
        return self.issued(earlier)

    # -- the steps -----------------------------------------------------------------------------

    def _issue_fresh(
        self,
        ordered: Sequence[tuple[Order, str]],
        now: datetime,
        deliver: Deliver,
    ) -> list[Issued]:
        prepared = self._prepare(ordered, now)
        orders = [order for order, _ in ordered]
        intents = [item.intent for item in prepared]
        self._store.record_intents(intents)
        made: set[str] = set()
        try:
            held = {
                item.intent.key_id: item.private_key
                for item in prepared
                if item.intent.key_id and item.private_key is not None
            }
            if held:
                self._vault.add_many(held)
                made.update(held)
            issued = self._sign(prepared, now)
            contracts = [order.contract_id for order in orders] if any(order.contract_id for order in orders) else ()
            delivery = deliver(issued)
            self._store.commit_results(
                [answer.record for answer in issued],
                [intent.reference for intent in intents],
                authorities=[answer.authority for answer in issued if answer.authority is not None],
                contracts=contracts,
                bundles=delivery.bundles,
                answers=delivery.answers,
            )
        except BaseException:
            # Whatever it was, nobody has seen what was signed.
            self._abandon(intents, made, "signing or recording the result failed")
            raise
        self._seal()
        return issued

    def _prepare(self, ordered: Sequence[tuple[Order, str]], now: datetime) -> list[_Prepared]:
        for issuer_id in {order.issuer_id for order, _ in ordered if order.issuer_id}:
            self._require_in_service(issuer_id)
        references = os.urandom((_REFERENCE_HEX - SESSION_HEX) // 2 * len(ordered)).hex()
        prepared = []
        for index, (order, caller) in enumerate(ordered):
            serial = serial_of(order.profile.serial, os.urandom(order.profile.serial.octets))
            step = _REFERENCE_HEX - SESSION_HEX
            reference = self._session + references[index * step : (index + 1) * step]
            prepared.append(self._prepare_one(order, serial, reference, now, caller))
        return prepared

    def _prepare_one(self, order: Order, serial: bytes, reference: str, now: datetime, caller: str) -> _Prepared:
        line, findings = self._line(order, now)
        profile, template = order.profile, line.template
        not_before, not_after = line.validity(now, order.not_before, order.not_after)
        private_key = None
        spki = order.spki
        if spki is None:
            private_key = template.key_suite.generate()
            spki = spki_of(private_key.public_key())
        identifier = order.identifier
        text = identifier.normal if identifier is not None else ""
        tbs, subject_key = template.tbs(
            serial=serial, not_before=line.time(not_before), not_after=line.time(not_after), identifier=text, spki=spki
        )
        holes = line.guard.check(
            identifier=identifier,
            not_before=not_before,
            not_after=not_after,
            spki=spki,
            size=template.maximum_size(tbs),
        )
        if holes or findings:
            findings = refuse_errors(profile, text, findings + holes)
        if not_after <= now:
            raise V2GPKIError(
                "issuing.already_ended",
                f"the certificate would end at {rfc3339(not_after)}, which is not after now ({rfc3339(now)})",
                hint="give a later --not-after; a lab that wants expired certificates sets its clock back",
                clause="RFC 5280 4.1.2.5",
                facts={"not_after": rfc3339(not_after), "now": rfc3339(now)},
            )
        issuer_id = order.issuer_id or (order.authority.id if order.authority else "")
        intent = IntentRecord(
            reference,
            issuer_id,
            int.from_bytes(serial, "big"),
            sha256(tbs).digest(),
            profile.edition,
            profile.role,
            text,
            caller,
            now,
            order.idempotence_key,
            order.key_id,
        )
        return _Prepared(
            order, line, intent, tbs, subject_key, spki, private_key, not_before, not_after, findings
        )

    def _sign(self, prepared: Sequence[_Prepared], now: datetime) -> list[Issued]:
        issued = []
        for item, signature in zip(prepared, self._signatures(prepared), strict=True):
            order, line, intent = item.order, item.line, item.intent
            template, profile = line.template, line.profile
            certificate = template.assemble(item.tbs, signature)
            record = CertificateRecord(
                intent.issuer_id,
                intent.serial,
                sha256(certificate).digest(),
                intent.edition,
                profile.suite,
                intent.role,
                intent.identifier,
                template.subject_text(intent.identifier),
                item.not_before,
                item.not_after,
                certificate,
                profile.digest,
                intent.caller,
                now,
                intent.key_id,
            )
            authority = None if order.authority is None else _authority(item, record)
            private_key = None if intent.key_id else item.private_key
            issued.append(Issued(record, (certificate, *line.chain_above), private_key, item.findings, authority))
        return issued

    def _signatures(self, prepared: Sequence[_Prepared]) -> Iterable[bytes]:
        if self._press is not None:
            return self._press([_recorded(item) for item in prepared])
        return self._own_signatures(prepared)

    def _own_signatures(self, prepared: Sequence[_Prepared]) -> Iterator[bytes]:
        signers: dict[str, Signer] = {}
        for item in prepared:
            key_id = item.order.key_id if item.line.issuer is None else item.line.issuer.key_id
            signer = signers.get(key_id)
            if signer is None:
                signer = signers[key_id] = self._vault.signer(key_id)
            yield signer.sign(item.tbs)

    def _abandon(self, intents: Sequence[IntentRecord], made: Collection[str], reason: str) -> None:
        """Close intents; ``made`` are the keys that were made for them, and for nobody else."""
        # Keys first: killed in between, the intents are still there for the next process to find.
        for key_id in sorted(made):
            self._vault.discard(key_id)
        self._store.abandon([intent.reference for intent in intents], self._clock.now(), reason)
        self._seal()

    def _kept(self) -> set[str]:
        """The ids of all keys whose certificates are in the store."""
        authorities = {authority.key_id for authority in self._store.authorities()}
        return authorities | {certificate.key_id for certificate in self._store.held_certificates()}

    def _line(self, order: Order, now: datetime) -> tuple[ProductionLine, tuple[Finding, ...]]:
        key = (id(order.profile), order.issuer_id, order.constants)
        known = self._lines.get(key)
        if known is None:
            issuer = self._issuer(order)
            line = ProductionLine(order.profile, issuer, order.constants)
            known = line, line.lint_constant_part(*line.validity(now, order.not_before, order.not_after))
            self._lines[key] = known
        issuer = known[0].issuer
        if issuer is not None and not issuer.not_before <= now <= issuer.not_after:
            raise V2GPKIError(
                "issuing.issuer_expired",
                f"{issuer.id} cannot issue at {now:%Y-%m-%d}: it is valid from {issuer.not_before:%Y-%m-%d} "
                f"to {issuer.not_after:%Y-%m-%d}",
                hint="renew the authority first, or name another issuer",
                clause="RFC 5280 6.1.3 (a)(2)",
                facts={"issuer": issuer.id},
            )
        return known

    def _require_in_service(self, issuer_id: str) -> None:
        self._in_service.of(issuer_id, lambda: self._look_at_issuer(issuer_id))

    def _look_at_issuer(self, issuer_id: str) -> None:
        """Refuse an issuer that is not active, or stands below a revoked one; asked at every issuance, because a
        line outlives the state that its issuer had when it was set up."""
        above = issuer_id
        while above and (found := self._store.authority(above)) is not None:
            if found.state == "revoked" or (found.state != "active" and above == issuer_id):
                what = f"{found.id} is {found.state}"
                raise V2GPKIError(
                    "issuing.issuer_not_active",
                    f"{what} and issues nothing" if above == issuer_id else f"{what}, so {issuer_id} issues nothing",
                    hint="name an active authority, or create one",
                    clause="RFC 5280 6.1.3 (a)(3)",
                    facts={"issuer": issuer_id, "authority": found.id, "state": found.state},
                )
            above = found.issuer_id if found.issuer_id != found.id else ""

    def _issuer(self, order: Order) -> AuthorityRecord | None:
        profile = order.profile
        if not order.issuer_id:
            if profile.issuers:
                raise V2GPKIError(
                    "issuing.needs_issuer",
                    f"{profile.role} of {profile.edition} cannot be self-signed",
                    hint=f"name an issuer with one of the roles {', '.join(profile.issuers)}",
                    clause=profile.clause,
                )
            return None
        issuer = self._store.authority(order.issuer_id)
        if issuer is None:
            raise V2GPKIError(
                "store.unknown_authority",
                f"there is no authority {order.issuer_id}",
                hint="v2gpki ca list shows the authorities of this home",
                facts={"authority": order.issuer_id},
            )
        if issuer.role not in profile.issuers or issuer.suite != profile.suite:
            raise V2GPKIError(
                "issuing.wrong_issuer",
                f"{issuer.id} ({issuer.role}, {issuer.suite}) may not issue {profile.role} "
                f"({profile.edition}, {profile.suite})",
                hint=f"its issuer has one of the roles {', '.join(profile.issuers) or 'none: it is a root'}",
                clause=profile.clause,
                facts={"issuer": issuer.id, "role": profile.role},
            )
        return issuer


def _recorded(item: _Prepared) -> Recorded:
    order = item.order
    return Recorded(
        item.intent.reference,
        order.profile,
        order.issuer_id,
        order.identifier,
        item.spki,
        item.not_before,
        item.not_after,
    )


def _not_recorded(reference: str, why: str) -> V2GPKIError:
    return V2GPKIError(
        "signing.not_recorded",
        f"nothing is signed for the intent {reference}: {why}",
        hint="the process that asked is broken; the log says which one it was",
        facts={"intent": reference},
    )


def _authority(item: _Prepared, record: CertificateRecord) -> AuthorityRecord:
    order, profile, issuer = item.order, item.order.profile, item.line.issuer
    if order.authority is None:
        raise ValueError("not an order for an authority")
    return AuthorityRecord(
        id=order.authority.id,
        slug=order.authority.slug,
        generation=order.authority.generation,
        edition=profile.edition,
        suite=profile.suite,
        role=profile.role,
        subject=record.subject,
        subject_der=item.line.template.subject_der(record.identifier),
        key_identifier=item.subject_key,
        issuer_id=record.issuer_id,
        serial=record.serial,
        not_before=record.not_before,
        not_after=record.not_after,
        der=record.der,
        chain=() if issuer is None else (issuer.der, *issuer.chain),
        key_id=order.key_id,
    )
