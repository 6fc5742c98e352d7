"""The keeper's side: what a worker's questions mean in an unlocked home, and what is refused.

Certificates: only end-entity roles of the scope, below an issuer that may, for ids that the caller may have
(`entitled`), written anew and equal to a recorded intent; so none exists that the store does not know. OCSP answers:
only what the store says now, at a time near now, by a signer of that issuer. CRLs: from the store. Contracts: the
elements of the message, under a CPS leaf that holds. Nothing else is signed, and no private key is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from v2gpki.certs.ocsp_answer import GOOD, UNKNOWN, AnswerTemplate, Window, revoked
from v2gpki.certs.ocsp_request import OcspRequest, read_request, write_request
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import parse
from v2gpki.pnc.envelope import Sealed
from v2gpki.pnc.installation import ContractData, kept, sign_contract
from v2gpki.services.issuance import Order
from v2gpki.services.ocsp.index import Issuer, IssuerIndex
from v2gpki.store.records import CertificateRecord, IntentRecord
from v2gpki.wiring import tls
from v2gpki.wiring.access import registrations_of
from v2gpki.wiring.authority import CertificateAuthority
from v2gpki.wiring.ocsp import ocsp_signers
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.entitled import CONTRACT, Entitled
from v2gpki.wiring.signing.protocol import Answer, Question
from v2gpki.wiring.webhooks import PURPOSE

_LOG = logging.getLogger("v2gpki.signing")

#: A run of answers signed ahead shares the time at which it began.
_LONGEST_RUN = timedelta(minutes=30)
_SKEW = timedelta(seconds=5)
CPS = "cps"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the workers of one server may ask: the names of its parts, and the name that its own TLS certificate is
    for, "" when this home issues none."""

    parts: frozenset[str]
    tls_name: str = ""

    def allows(self, question: Question) -> bool:
        """Whether some part has reason to ask this."""
        if isinstance(question, protocol.SignCertificates):
            return bool(self.parts & {"est", "pools"}) or bool(self.tls_name)
        if isinstance(question, protocol.SignAnswers | protocol.RenewOcspSigner):
            return "ocsp" in self.parts
        if isinstance(question, protocol.PublishCrl):
            return "crl" in self.parts
        if isinstance(question, protocol.SignContract | protocol.WebhookKey):
            return "pools" in self.parts
        return True

    def issues(self, role: str, ocsp_role: str) -> bool:
        """Whether certificates of a role are ordered by workers: EST has every role but that of OCSP signers, whose
        keys are made here; the pools have contracts."""
        if role == ocsp_role:
            return False
        return "est" in self.parts or ("pools" in self.parts and role == CONTRACT)

    def serves_as(self, intent: IntentRecord) -> bool:
        """Whether it is a certificate for the server itself: a worker renews the one that it was given, with a key of
        its own."""
        wanted = (tls.EDITION, tls.ROLE, self.tls_name)
        return bool(self.tls_name) and (intent.edition, intent.role, intent.identifier) == wanted


class Keeper:
    """Answers questions. Safe from threads."""

    def __init__(self, ca: CertificateAuthority, scope: Scope) -> None:
        """``ca`` is unlocked; intents that dead processes left are closed now."""
        self._ca = ca
        self._scope = scope
        self._issuance = ca.issuance
        self._index = IssuerIndex(ca.store, ca.catalogue)
        self._signers = ocsp_signers(ca)
        self._entitled = Entitled(ca.store, registrations_of(ca), contracts="pools" in scope.parts)
        self._lock = threading.Lock()
        self._templates: dict[str, tuple[str, datetime, AnswerTemplate]] = {}
        self._kinds: Mapping[type[Question], Callable[..., Answer]] = MappingProxyType(
            {
                protocol.SignCertificates: self._certificates,
                protocol.SignAnswers: self._answers,
                protocol.RenewOcspSigner: self._renew,
                protocol.PublishCrl: self._crl,
                protocol.SignContract: self._contract,
                protocol.Seal: self._seal,
                protocol.Recover: self._recover,
                protocol.PublicKey: self._public,
                protocol.WebhookKey: self._webhook_key,
            }
        )

    def answer(self, question: Question) -> Answer:
        """The answer, or the refusal. Raises nothing but bugs."""
        try:
            if not self._scope.allows(question):
                raise protocol.refused(f"no part of this server asks for {type(question).__name__}")
            return self._kinds[type(question)](question)
        except V2GPKIError as problem:
            return protocol.refused_answer(problem)

    # -- certificates --------------------------------------------------------------------------

    def _certificates(self, question: protocol.SignCertificates) -> Answer:
        # One state of the store for all of them; nothing is written here.
        with self._ca.store.snapshot():
            pending = {intent.reference: intent for intent in self._ca.store.pending_intents()}
            return protocol.Signatures(
                octets=[self._certificate(order, pending.get(order.reference)) for order in question.orders]
            )

    def _certificate(self, wanted: protocol.CertificateWanted, intent: IntentRecord | None) -> bytes:
        if intent is None:
            raise V2GPKIError(
                "signing.not_recorded",
                f"nothing is signed for the intent {wanted.reference}: it is not pending in the store",
                hint="the process that asked is broken; the log says which one it was",
                facts={"intent": wanted.reference},
            )
        ca = self._ca
        # What is signed has role and id of the intent, or is refused below.
        itself = self._scope.serves_as(intent)
        if not itself and not self._scope.issues(wanted.role, ca.catalogue.edition(wanted.edition).ocsp_role):
            raise protocol.refused(f"no part of this server issues {wanted.role} of {wanted.edition}")
        route = ca._routing.route(
            wanted.role,
            edition=wanted.edition,
            suite=wanted.suite,
            issuer=wanted.issuer_id,
            options=wanted.options or None,
        )
        if not itself:
            self._entitled.require(intent.caller, intent.role, intent.edition, intent.identifier, ca.clock.now())
        identifier = parse(wanted.identifier_kind, wanted.identifier) if wanted.identifier_kind else None
        order = Order(
            route.profile,
            route.issuer_id,
            route.constants,
            identifier=identifier,
            spki=wanted.spki,
            not_before=_moment(wanted.not_before),
            not_after=_moment(wanted.not_after),
        )
        return self._issuance.sign_recorded(intent, order)

    # -- OCSP ----------------------------------------------------------------------------------

    def _answers(self, question: protocol.SignAnswers) -> Answer:
        """One look at the store for all of them: it is later than when any of them was asked for."""
        self._refresh()
        now = self._ca.clock.now()
        given: list[protocol.Signatures | protocol.Refused] = []
        for one in question.answers:
            try:
                given.append(self._signed(one, now))
            except V2GPKIError as problem:
                given.append(protocol.refused_answer(problem))
        return protocol.Each(answers=given)

    def _signed(self, question: protocol.AnswerWanted, now: datetime) -> protocol.Signatures:
        asked = read_request(write_request(question.cert_id))
        issuer = self._issuer(asked, now)
        template, not_after = self._template(issuer, question.key_id, now)
        status = self._status(issuer, asked.serial)
        if status != question.status:
            raise protocol.outdated(f"{issuer.record.id} says something else of {asked.serial:x}")
        window = self._window(question, issuer, asked.serial, not_after, now)
        tbs = template.tbs(asked.cert_id, status, window, question.nonce)
        return protocol.Signatures(octets=[template.signer.sign(tbs)])

    def _refresh(self) -> None:
        with self._lock:
            changes = self._index.refresh()
            if changes.revoked or changes.authorities:
                self._templates.clear()

    def _issuer(self, asked: OcspRequest, now: datetime) -> Issuer:
        issuer = self._index.by_hashes.get(asked.key) if asked.hash_name else None
        if issuer is None or now > issuer.record.not_after:
            raise protocol.refused("no authority of this home that is valid now issued the certificate")
        return issuer

    def _template(self, issuer: Issuer, key_id: str, now: datetime) -> tuple[AnswerTemplate, datetime]:
        """The template of one signer of an issuer, and when it ends."""
        known = self._templates.get(key_id)
        if known is None or known[0] != issuer.record.id:
            certificate, not_after = self._signer_certificate(issuer, key_id)
            template = AnswerTemplate(self._ca._unlocked().signer(key_id), certificate)
            known = self._templates[key_id] = issuer.record.id, not_after, template
        if now >= known[1]:
            raise protocol.refused(f"{key_id} signs no answer any more")
        return known[2], known[1]

    def _signer_certificate(self, issuer: Issuer, key_id: str) -> tuple[bytes, datetime]:
        record = self._ca.store.authority(issuer.record.id) or issuer.record
        role = self._signers.role(record)
        for held in self._ca.store.held_certificates(role, record.id) if role else ():
            if held.key_id == key_id:
                return held.der, held.not_after
        if key_id == record.key_id and self._signers.signs_itself(record):
            return b"", record.not_after
        raise protocol.refused(f"{key_id} is no OCSP signer of {record.id}")

    def _status(self, issuer: Issuer, serial: int) -> bytes:
        fact = issuer.fact(serial)
        if fact is not None:
            return revoked(*fact)
        return GOOD if issuer.issued(serial, self._ca.store) else UNKNOWN

    def _window(
        self, question: protocol.AnswerWanted, issuer: Issuer, serial: int, not_after: datetime, now: datetime
    ) -> Window:
        window = Window(
            _moment(question.produced_at), _moment(question.this_update), _moment(question.next_update)
        )
        begin = window.produced_at - issuer.rule.backdate
        latest = min(window.produced_at + issuer.rule.validity, not_after)
        if not (
            now - _LONGEST_RUN <= window.produced_at <= now + _SKEW
            and begin <= window.this_update <= window.produced_at
            and window.this_update < window.next_update <= latest
        ):
            raise protocol.refused(f"the times of the answer about {serial:x} are none that an answer has now")
        return window

    def _renew(self, question: protocol.RenewOcspSigner) -> Answer:
        ca = self._ca
        authority = ca.store.authority(question.authority_id)
        if authority is None or authority.id != question.authority_id:
            raise protocol.refused(f"there is no authority {question.authority_id}")
        self._signers.renew_one(authority, ca.clock.now())
        return protocol.Done()

    # -- the rest ------------------------------------------------------------------------------

    def _crl(self, question: protocol.PublishCrl) -> Answer:
        ca = self._ca
        authority = ca.store.authority(question.authority_id)
        if authority is None or authority.id != question.authority_id:
            raise protocol.refused(f"there is no authority {question.authority_id}")
        ca._revocation().publish_crl(authority, ca.settings.crl_lifetime, caller=question.caller)
        return protocol.Done()

    def _contract(self, question: protocol.SignContract) -> Answer:
        ca, now = self._ca, self._ca.clock.now()
        leaf = ca.store.certificate(question.issuer_id, int(question.serial, 16))
        if leaf is None or not _signs_contracts(leaf, question.edition, now):
            raise protocol.refused("no CPS leaf that holds is named")
        for signer in ca.plug_and_charge.cps.signers(leaf.edition, leaf.suite, now):
            if (signer.issuer_id, signer.serial) == (leaf.issuer_id, leaf.serial):
                break
        else:
            raise protocol.refused("the CPS leaf is not among those that may sign now")
        edition, curve = question.edition, question.curve
        if edition not in ("iso15118-2", "iso15118-20") or curve not in ("P256", "SECP521", "X448", "TPM"):
            raise protocol.refused("no such edition or curve")
        sealed = Sealed(curve, question.dh_public_key, question.encrypted_key)  # type: ignore[arg-type]  # compared above
        data = ContractData(edition, tuple(question.chain), sealed, question.emaid)  # type: ignore[arg-type]  # the same
        signed = sign_contract(data, cps_chain=signer.chain, signer=ca._unlocked().signer(signer.key_id))
        return protocol.Signatures(octets=[kept(signed)])

    def _seal(self, _question: protocol.Seal) -> Answer:
        self._ca._seal()
        return protocol.Done()

    def _recover(self, _question: protocol.Recover) -> Answer:
        self._ca._close_intents()
        return protocol.Done()

    def _public(self, question: protocol.PublicKey) -> Answer:
        signer = self._ca._unlocked().signer(question.key_id)
        return protocol.Public(suite=signer.suite.name, spki=signer.spki)

    def _webhook_key(self, _question: protocol.WebhookKey) -> Answer:
        return protocol.Signatures(octets=[self._ca._unlocked().derived_key(PURPOSE)])


def _signs_contracts(leaf: CertificateRecord, edition: str, now: datetime) -> bool:
    if leaf.role != CPS or leaf.edition != edition or leaf.state != "valid" or not leaf.key_id:
        return False
    return leaf.not_before <= now < leaf.not_after


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
