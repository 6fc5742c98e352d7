"""EST without HTTP: requests in, certificates out, through the one issuance path.

What a certificate says is decided by the registration table and the profile; of a request only the key is taken, and
the one name by which it asks. The same request again gives the same certificate, as long as it is valid. A renewal is
authenticated by the current certificate, names what that one names (another name needs an identity too), and the id
must still be registered (`holders`). It refuses keys that were reported as compromised, and renews nothing below an
authority that was revoked. Times come from the clock that was given; callers are identities.
Sources: RFC 7030 4, RFC 8951, OPCP est.v1, [V2G2-884].
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from v2gpki.certs import csr_attributes
from v2gpki.certs.csr import CertificateRequest, load_csr
from v2gpki.certs.view import CertificateView, view
from v2gpki.clock import Clock, rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, recognise
from v2gpki.keys.suites import SUITES
from v2gpki.profile.load import Catalogue
from v2gpki.profile.model import Profile
from v2gpki.services.est import refusals
from v2gpki.services.est.ca_certificates import ca_certificates
from v2gpki.services.est.holders import Holders
from v2gpki.services.est.labels import Labels, Target
from v2gpki.services.est.registry import EnrolmentRegistry
from v2gpki.services.est.request_attributes import request_attributes
from v2gpki.services.est.ways import Ways
from v2gpki.services.issuance import Issuance, Issued, Order
from v2gpki.services.routing import Route, Routing
from v2gpki.services.standing import Standing
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateRecord

#: A renewal of a renewal of .. with the same request, each after the end of the one before.
_MOST_RENEWALS = 64

Operation = Literal["enrol", "reenrol", "serverkeygen"]


class EnrolRequest(NamedTuple):
    """One request for a certificate, by an authenticated ``identity`` ("" only for a renewal by certificate).

    ``identity`` is the name that the registration table knows; ``caller`` the one for the audit log, "" for the same.
    ``csr`` is PKCS#10 in PEM, DER or base64, or a request that ``certs.csr.load_csr`` has read; ``current`` the DER
    certificate that the client showed in TLS, if any; ``tls_unique`` the channel binding of a TLS 1.2 connection.
    """

    identity: str
    csr: bytes | CertificateRequest
    target: Target
    operation: Operation = "enrol"
    current: bytes | None = None
    tls_unique: bytes = b""
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An answer: the certificate's record, its chain (leaf first, no root), whether it had been given before."""

    record: CertificateRecord
    chain: tuple[bytes, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class ServerKey:
    """A key that was made here, as DER PKCS#8, and its certificate: handed out once, kept nowhere."""

    private_key: bytes = field(repr=False)
    enrolled: Enrolled = field()


class _Prepared(NamedTuple):
    """A request that may be answered: what to issue for whom, or the answer that was given before."""

    caller: str
    order: Order
    earlier: CertificateRecord | None = None


class EstService:
    """Enrolment for one home. Safe from threads."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        *,
        routing: Routing,
        issuance: Callable[[], Issuance],
        registry: EnrolmentRegistry,
        labels: Labels | None = None,
    ) -> None:
        """``issuance`` is asked for at the first enrolment: CA certificates are given while the keys are locked."""
        self.labels = labels or Labels(catalogue)
        self._store = store
        self._catalogue = catalogue
        self._ways = Ways(store, catalogue, routing)
        self._issuance = issuance
        self._registry = registry
        self._holders = Holders(store, registry)
        self._standing = Standing(store)
        self._clock = clock

    # -- what anybody may ask ------------------------------------------------------------------

    def cacerts(self, target: Target) -> tuple[bytes, ...]:
        """The CA certificates of a target: issuer first, then those above it, then those of the root's other
        generations with the links between them, the current root last (where clients of the field look for it)."""
        now = self._clock.now()
        suite = target.suite or self._ways.default_family(target)
        issuer = self._store.authority(self._ways.route(target, suite).issuer_id)
        if issuer is None:
            raise refusals.unknown_label(target)
        rollover = self.labels.options(target).rollover
        return ca_certificates(self._store, self._catalogue, issuer, now, rollover=rollover)

    def csrattrs(self, target: Target) -> bytes | None:
        """What a request should have, as DER CsrAttrs (RFC 7030 4.5.2); None when there is nothing to say."""
        options = self.labels.options(target)
        if not options.attributes:
            return None
        suite = target.suite or self._ways.default_family(target)
        profile = self._catalogue.profile(target.edition, target.role, suite)
        return request_attributes(SUITES[profile.key.suite], binding=options.binding == "required")

    # -- enrolment -----------------------------------------------------------------------------

    def enrol(self, identity: str, csr: bytes, target: Target, *, tls_unique: bytes = b"") -> Enrolled:
        """A certificate for a request; raises ``csr.*``, ``est.*``, ``identifier.*``, ``issuing.*``, ``lint.*``."""
        return _only(self.answer_many([EnrolRequest(identity, csr, target, tls_unique=tls_unique)]))

    def reenrol(
        self, identity: str, csr: bytes, current: bytes | None, target: Target, *, tls_unique: bytes = b""
    ) -> Enrolled:
        """A certificate that follows ``current``, which the client has proved to hold (in TLS).

        Its role, edition and id are those of the current one; ``identity`` "" lets the identity that got the current
        one have it, if the id is registered for it still. Raises as ``enrol``, and ``est.needs_identity``.
        """
        return _only(self.answer_many([EnrolRequest(identity, csr, target, "reenrol", current, tls_unique)]))

    def serverkeygen(self, identity: str, csr: bytes, target: Target, *, tls_unique: bytes = b"") -> ServerKey:
        """A fresh key with its certificate, each time another: an answer that was lost is lost. Raises as ``enrol``,
        and ``est.no_server_keys``, ``est.key_encryption``."""
        return self.server_key(EnrolRequest(identity, csr, target, "serverkeygen", tls_unique=tls_unique))

    def server_key(self, asked: EnrolRequest) -> ServerKey:
        """``serverkeygen`` for a request as a value."""
        prepared = self._prepare(asked, self._clock.now())
        issued = self._issuance().issue([prepared.order], caller=prepared.caller)[0]
        if issued.private_key is None:
            raise V2GPKIError("internal.bug", "issuing with a fresh key gave none")
        key = issued.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return ServerKey(key, Enrolled(issued.record, issued.chain))

    def answer_many(self, requests: Sequence[EnrolRequest]) -> list[Enrolled | V2GPKIError]:
        """Answer requests that came together in one group of commits; what is wrong with one refuses that one only."""
        now = self._clock.now()
        answers: dict[int, Enrolled | V2GPKIError] = {}
        prepared: dict[int, _Prepared] = {}
        with self._store.snapshot():
            for index, request in enumerate(requests):
                try:
                    prepared[index] = self._prepare(request, now)
                except V2GPKIError as refusal:
                    answers[index] = refusal
            known = self._known(list(prepared.values()), now)
        waiting: dict[tuple[str, str], tuple[_Prepared, list[int]]] = {}
        for index, found in zip(prepared, known, strict=True):
            if isinstance(found, V2GPKIError):
                answers[index] = found
            elif found.earlier is not None:
                answers[index] = self._again(found.earlier)
            else:
                waiting.setdefault((found.caller, found.order.idempotence_key), (found, []))[1].append(index)
        given = self._issue([item for item, _ in waiting.values()])
        for answer, (_, indices) in zip(given, waiting.values(), strict=True):
            answers[indices[0]] = answer
            for index in indices[1:]:
                answers[index] = replace(answer, repeated=True) if isinstance(answer, Enrolled) else answer
        return [answers[index] for index in range(len(requests))]

    # -- the steps -----------------------------------------------------------------------------

    def _prepare(self, request: EnrolRequest, now: datetime) -> _Prepared:
        csr = request.csr if isinstance(request.csr, CertificateRequest) else load_csr(request.csr)
        target = request.target
        asked = csr_attributes.attributes(csr.der)
        self._check_binding(request, asked.challenge_password)
        if request.operation == "reenrol":
            return self._renewal(request, csr, asked, now)
        own_key = request.operation == "serverkeygen"
        if own_key:
            self._check_server_keys(target, asked)
        suite = self._ways.family(target, csr.suite.name, any_key=own_key)
        route = self._ways.route(target, suite)
        identifier = self._asked_identifier(request.identity, target, route.profile, csr)
        return self._order(request, csr, route, identifier, prefix="")

    def _renewal(
        self, request: EnrolRequest, csr: CertificateRequest, asked: csr_attributes.Attributes, now: datetime
    ) -> _Prepared:
        current, record = self._current(request, now)
        subject, names, _ = csr_attributes.requested(csr.der)
        if (subject, names) != csr_attributes.certified(current.x509):
            raise refusals.wrong_subject(current.subject_text)
        target = Target(
            request.target.label, request.target.name, record.role, record.edition, hierarchy=request.target.hierarchy
        )
        profile = self._catalogue.profile(record.edition, record.role, record.suite)
        text = record.identifier
        if asked.new_subject is not None:
            if len(asked.new_names) != 1:
                raise refusals.needs_one_name(target, len(asked.new_names))
            text = asked.new_names[0]
        identifier = recognise(profile.identifier.kinds, text) if profile.identifier.kinds and text else None
        caller = self._holders.of(
            request.identity,
            record,
            identifier.normal if identifier is not None else "",
            renamed=asked.new_subject is not None,
        )
        suite = self._ways.family(target, csr.suite.name, any_key=False)
        issuer = self._store.authority(record.issuer_id)
        # What another hierarchy issued is renewed there, by whoever issues for it now.
        named = issuer.slug if issuer is not None and suite == record.suite and issuer.state == "active" else ""
        route = self._ways.route(target, suite, issuer=named)
        return self._order(
            request._replace(identity=caller, target=target), csr, route, identifier, prefix=f"{record.serial:x}:"
        )

    def _order(
        self,
        request: EnrolRequest,
        csr: CertificateRequest,
        route: Route,
        identifier: Identifier | None,
        *,
        prefix: str,
    ) -> _Prepared:
        caller, profile = request.caller or request.identity, route.profile
        if request.operation == "serverkeygen":
            return _Prepared(caller, Order(profile, route.issuer_id, route.constants, identifier))
        digest = sha256(csr.der).hexdigest()
        key = f"est:{prefix}{profile.edition}:{profile.role}:{profile.suite}:{request.target.hierarchy}:{digest}"
        order = Order(profile, route.issuer_id, route.constants, identifier, csr.spki, idempotence_key=key)
        return _Prepared(caller, order)

    def _known(self, group: Sequence[_Prepared], now: datetime) -> list[_Prepared | V2GPKIError]:
        """The same with what the store knows of these requests: certificates that they got before, or keys that were
        reported as compromised. It is asked once for all."""
        ids = {item.order.identifier.normal for item in group if item.order.identifier is not None}
        revoked = self._store.revoked_identifiers(ids)
        earlier = self._store.completed_many({(item.caller, item.order.idempotence_key) for item in group})
        known: list[_Prepared | V2GPKIError] = []
        for item in group:
            caller, order = item.caller, item.order
            try:
                if order.identifier is not None and order.identifier.normal in revoked:
                    self._check_key(order)
                key, found = self._earlier(caller, order.idempotence_key, earlier, now)
                known.append(_Prepared(caller, order._replace(idempotence_key=key) if found is None else order, found))
            except V2GPKIError as refusal:
                known.append(refusal)
        return known

    def _earlier(
        self, caller: str, key: str, known: Mapping[tuple[str, str], CertificateRecord], now: datetime
    ) -> tuple[str, CertificateRecord | None]:
        """The certificate that this request got before, or the key under which it gets its next one."""
        earlier = known.get((caller, key))
        for _ in range(_MOST_RENEWALS):
            if earlier is None or now <= earlier.not_after:
                if earlier is not None and self._standing.revoked(earlier):
                    raise refusals.revoked_answer(earlier)
                return key, earlier
            key = f"{key.partition('#')[0]}#{earlier.serial:x}"
            earlier = self._store.completed(caller, key)
        raise refusals.pending()

    def _issue(self, group: Sequence[_Prepared]) -> list[Enrolled | V2GPKIError]:
        """One group, whoever asks; when it is refused as a whole, each by itself, so that each gets its own answer."""
        if not group:
            return []
        try:
            issued = self._issuance().issue_for([(item.order, item.caller) for item in group])
            return [_enrolled(answer) for answer in issued]
        except V2GPKIError as refusal:
            if len(group) == 1:
                return [self._second_look(group[0].caller, group[0].order, refusal)]
        return [answer for item in group for answer in self._issue([item])]

    def _second_look(self, caller: str, order: Order, refusal: V2GPKIError) -> Enrolled | V2GPKIError:
        """Two processes had the same request at once: the other one's certificate, or the advice to come again."""
        if refusal.code != "store.conflict":
            return refusal
        earlier = self._store.completed(caller, order.idempotence_key)
        if earlier is not None:
            return self._again(earlier)
        return refusals.pending() if refusal.facts.get("which") in ("idempotence_key", "unknown") else refusal

    def _again(self, record: CertificateRecord) -> Enrolled:
        issued = self._issuance().issued(record)
        return Enrolled(issued.record, issued.chain, repeated=True)

    # -- who may have what ---------------------------------------------------------------------

    def _asked_identifier(
        self, identity: str, target: Target, profile: Profile, csr: CertificateRequest
    ) -> Identifier | None:
        """The id that is asked for by the request's one name, and that the table gives to this identity."""
        kinds = profile.identifier.kinds
        if not kinds:
            self._require(identity, target.role, target.edition, "")
            return None
        names = csr.subject_identifiers
        if not names and profile.subject_alternative_name is not None:
            names = csr_attributes.requested(csr.der)[2]
        if not names:
            names = self._registry.identifiers(identity, target.role, target.edition)
        if len(names) != 1:
            raise refusals.needs_one_name(target, len(names))
        identifier = recognise(kinds, names[0])
        self._require(identity, target.role, target.edition, identifier.normal)
        return identifier

    def _require(self, identity: str, role: str, edition: str, identifier: str) -> None:
        if not identity or not self._registry.allowed(identity, role, edition, identifier):
            raise refusals.not_registered(identity, role, edition, identifier)

    def _current(self, request: EnrolRequest, now: datetime) -> tuple[CertificateView, CertificateRecord]:
        """The client's current certificate: one of ours, valid now, of the role that the URL names, if it names one."""
        if request.current is None:
            raise refusals.needs_certificate()
        current = view(request.current)
        found = next(iter(self._store.find_certificates(prefix=current.fingerprint.hex(), limit=1)), None)
        named = request.target
        if found is None or found.der != request.current or current.ca:
            raise refusals.foreign_certificate(current.subject_text, "it was not issued here")
        if named.label and found.role != named.role:
            raise refusals.foreign_certificate(current.subject_text, f"it is for {found.role}, not for {named.role}")
        if found.state != "valid":
            raise refusals.certificate_over(current.subject_text, "was revoked")
        if not self._standing.in_service(found.issuer_id):
            raise refusals.certificate_over(current.subject_text, "is below an authority that was revoked")
        if not current.not_before <= now <= current.not_after:
            raise refusals.certificate_over(current.subject_text, f"ended {rfc3339(current.not_after)}")
        return current, found

    # -- what a request must be like -----------------------------------------------------------

    def _check_key(self, order: Order) -> None:
        """Refuse a key of this id that was reported as compromised."""
        if order.identifier is None or order.spki is None:
            return
        for record in self._store.find_certificates(identifier=order.identifier.normal, state="revoked"):
            if record.reason == "keyCompromise" and order.spki in record.der:
                raise refusals.key_compromised(record)

    def _check_binding(self, request: EnrolRequest, password: str) -> None:
        """A challengePassword holds the connection's tls-unique, where there is one (RFC 7030 3.5)."""
        rule = self.labels.options(request.target).binding
        if rule == "ignored" or (rule == "checked" and not (password and request.tls_unique)):
            return
        expected = base64.b64encode(request.tls_unique).decode("ascii")
        if not request.tls_unique or not hmac.compare_digest(expected.encode(), password.encode("utf-8")):
            raise refusals.wrong_binding(bound=bool(request.tls_unique))

    def _check_server_keys(self, target: Target, asked: csr_attributes.Attributes) -> None:
        if not self.labels.options(target).server_keys:
            raise refusals.no_server_keys(target)
        if asked.encrypted_key:
            raise refusals.key_encryption()


def _enrolled(issued: Issued) -> Enrolled:
    return Enrolled(issued.record, issued.chain)


def _only(answers: list[Enrolled | V2GPKIError]) -> Enrolled:
    if isinstance(answers[0], V2GPKIError):
        raise answers[0]
    return answers[0]
