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
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
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
from v2gpki.services.directory import Directory
from v2gpki.services.est import refusals
from v2gpki.services.est.ca_certificates import ca_certificates
from v2gpki.services.est.holders import Holders
from v2gpki.services.est.labels import Labels, Target
from v2gpki.services.est.registry import EnrolmentRegistry
from v2gpki.services.est.request_attributes import request_attributes
from v2gpki.services.issuance import Issuance, Issued, Order
from v2gpki.services.routing import Route, Routing
from v2gpki.services.standing import Standing
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateRecord

#: How long a way to an issuer is kept before it is looked up again: changes by other processes are seen after it.
_KEPT = timedelta(seconds=1)
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
    earlier: CertificateRecord | None


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
        self._routing = routing
        self._directory = Directory(store, catalogue)
        self._issuance = issuance
        self._registry = registry
        self._holders = Holders(store, registry)
        self._standing = Standing(store)
        self._clock = clock
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, str, str, str], tuple[datetime, Route]] = {}
        self._families: dict[tuple[str, str], dict[str, str]] = {}

    # -- what anybody may ask ------------------------------------------------------------------

    def cacerts(self, target: Target) -> tuple[bytes, ...]:
        """The CA certificates of a target: issuer first, then those above it, then those of the root's other
        generations with the links between them, the current root last (where clients of the field look for it)."""
        now = self._clock.now()
        suite = target.suite or self._default_suite(target)
        issuer = self._store.authority(self._route(target, suite, now).issuer_id)
        if issuer is None:
            raise refusals.unknown_label(target)
        rollover = self.labels.options(target).rollover
        return ca_certificates(self._store, self._catalogue, issuer, now, rollover=rollover)

    def csrattrs(self, target: Target) -> bytes | None:
        """What a request should have, as DER CsrAttrs (RFC 7030 4.5.2); None when there is nothing to say."""
        options = self.labels.options(target)
        if not options.attributes:
            return None
        profile = self._catalogue.profile(target.edition, target.role, target.suite or self._default_suite(target))
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
        answers: list[Enrolled | V2GPKIError | None] = [None] * len(requests)
        waiting: dict[str, dict[str, tuple[_Prepared, list[int]]]] = {}
        for index, request in enumerate(requests):
            try:
                prepared = self._prepare(request, now)
            except V2GPKIError as refusal:
                answers[index] = refusal
                continue
            if prepared.earlier is not None:
                answers[index] = self._again(prepared.earlier)
                continue
            same = waiting.setdefault(prepared.caller, {})
            same.setdefault(prepared.order.idempotence_key, (prepared, []))[1].append(index)
        for caller, same in waiting.items():
            given = self._issue(caller, [prepared.order for prepared, _ in same.values()])
            for answer, (_, indices) in zip(given, same.values(), strict=True):
                again = replace(answer, repeated=True) if isinstance(answer, Enrolled) else answer
                for place, index in enumerate(indices):
                    answers[index] = again if place else answer
        return [answer for answer in answers if answer is not None]

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
        suite = self._suite(target, csr.suite.name, any_key=own_key)
        route = self._route(target, suite, now)
        identifier = self._asked_identifier(request.identity, target, route.profile, csr)
        return self._order(request, csr, route, identifier, now, prefix="")

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
        suite = self._suite(target, csr.suite.name, any_key=False)
        issuer = self._store.authority(record.issuer_id)
        # What another hierarchy issued is renewed there, by whoever issues for it now.
        named = issuer.slug if issuer is not None and suite == record.suite and issuer.state == "active" else ""
        route = self._route(target, suite, now, issuer=named)
        return self._order(
            request._replace(identity=caller, target=target), csr, route, identifier, now, prefix=f"{record.serial:x}:"
        )

    def _order(
        self,
        request: EnrolRequest,
        csr: CertificateRequest,
        route: Route,
        identifier: Identifier | None,
        now: datetime,
        *,
        prefix: str,
    ) -> _Prepared:
        own_key = request.operation == "serverkeygen"
        order = Order(route.profile, route.issuer_id, route.constants, identifier, None if own_key else csr.spki)
        if own_key:
            return _Prepared(request.caller or request.identity, order, None)
        self._check_key(csr, identifier)
        profile = route.profile
        caller = request.caller or request.identity
        digest = sha256(csr.der).hexdigest()
        key = f"est:{prefix}{profile.edition}:{profile.role}:{profile.suite}:{request.target.hierarchy}:{digest}"
        key, earlier = self._earlier(caller, key, now)
        return _Prepared(caller, order._replace(idempotence_key=key), earlier)

    def _earlier(self, caller: str, key: str, now: datetime) -> tuple[str, CertificateRecord | None]:
        """The certificate that this request got before, or the key under which it gets its next one."""
        for _ in range(_MOST_RENEWALS):
            earlier = self._store.completed(caller, key)
            if earlier is None or now <= earlier.not_after:
                if earlier is not None and self._standing.revoked(earlier):
                    raise refusals.revoked_answer(earlier)
                return key, earlier
            key = f"{key.partition('#')[0]}#{earlier.serial:x}"
        raise refusals.pending()

    def _issue(self, caller: str, orders: Sequence[Order]) -> list[Enrolled | V2GPKIError]:
        """One group; when it is refused as a whole, each by itself, so that each gets its own answer."""
        try:
            return [_enrolled(issued) for issued in self._issuance().issue(orders, caller=caller)]
        except V2GPKIError as refusal:
            if refusal.code in ("issuing.issuer_not_active", "store.unknown_authority", "issuing.issuer_expired"):
                with self._lock:
                    self._routes.clear()
            if len(orders) == 1:
                return [self._second_look(caller, orders[0], refusal)]
        return [answer for order in orders for answer in self._issue(caller, [order])]

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

    def _check_key(self, csr: CertificateRequest, identifier: Identifier | None) -> None:
        """Refuse a key of this id that was reported as compromised."""
        text = identifier.normal if identifier is not None else ""
        if not text or not self._store.count_certificates(identifier=text, state="revoked"):
            return
        for record in self._store.find_certificates(identifier=text, state="revoked"):
            if record.reason == "keyCompromise" and csr.spki in record.der:
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

    # -- the way -------------------------------------------------------------------------------

    def _suite(self, target: Target, key: str, *, any_key: bool) -> str:
        """The key family: the target's, else the one whose keys are like the request's."""
        families = self._keys(target)
        fitting = [family for family, wanted in families.items() if wanted == key]
        if target.suite:
            fitting = [target.suite] if any_key or target.suite in fitting else []
        elif any_key and not fitting:
            fitting = [next(iter(families))]
        if not fitting:
            wanted = [families[target.suite]] if target.suite else list(families.values())
            raise refusals.wrong_key(target, key, wanted)
        return fitting[0]

    def _keys(self, target: Target) -> dict[str, str]:
        """Family -> suite of the certified key, the default family first."""
        where = (target.edition, target.role)
        known = self._families.get(where)
        if known is None:
            families = self._catalogue.suites(*where)
            known = {name: self._catalogue.profile(*where, name).key.suite for name in families}
            self._families[where] = known
        return known

    def _default_suite(self, target: Target) -> str:
        return next(iter(self._keys(target)))

    def _route(self, target: Target, suite: str, now: datetime, issuer: str = "") -> Route:
        key = (target.role, target.edition, suite, issuer or target.hierarchy)
        with self._lock:
            kept = self._routes.get(key)
        if kept is not None and kept[0] <= now < kept[0] + _KEPT:
            return kept[1]
        route = self._look_up(target, suite, issuer)
        with self._lock:
            self._routes[key] = now, route
        return route

    def _look_up(self, target: Target, suite: str, issuer: str) -> Route:
        if issuer or not target.hierarchy:
            return self._routing.route(target.role, edition=target.edition, suite=suite, issuer=issuer)
        profile = self._catalogue.profile(target.edition, target.role, suite)
        slugs = [
            self._directory.slug(role, edition=target.edition, suite=suite, prefix=target.hierarchy)
            for role in profile.issuers
        ]
        for slug in slugs:
            if self._store.authority(slug) is not None:
                return self._routing.route(target.role, edition=target.edition, suite=suite, issuer=slug)
        raise refusals.unknown_label(target)


def _enrolled(issued: Issued) -> Enrolled:
    return Enrolled(issued.record, issued.chain)


def _only(answers: list[Enrolled | V2GPKIError]) -> Enrolled:
    if isinstance(answers[0], V2GPKIError):
        raise answers[0]
    return answers[0]
