"""The OCSP responder: octets of a request in, octets of an answer out, live or pre-signed.

good: issued here and not revoked, also after it ended (nothing is ever taken back). revoked: with time and reason,
and serials of abandoned intents; below an issuer that was revoked for a compromise of its key every serial, with the
issuer's time and reason (for other reasons what it issued keeps its answers). unknown: never issued. unauthorized: the
issuer is none of ours, has itself ended, or was revoked and left nobody to sign. tryLater: nobody can sign now (home
locked, signer missing). malformedRequest: junk, several CertIDs. In pre-signed mode good and revoked answers are signed
once and kept for ``refresh`` of their edition; a revocation by any process replaces the answer within ``poll``. A nonce
is echoed, and only when asked for: such an answer is signed for the asker. Answers never outlive the signer.
Sources: RFC 6960 2.2, 2.3, 2.4, 2.7 and 4.2; RFC 5019 2.2.3 and 2.2.4; RFC 9654; [V2G2-649], [V2G20-1021].
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from v2gpki.certs.ocsp_answer import FAILURES, GOOD, UNKNOWN, Window, revoked
from v2gpki.certs.ocsp_request import OcspRequest, read_request, write_request
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import read_hash_data
from v2gpki.profile.load import Catalogue
from v2gpki.services.ocsp.get_path import mended_requests, request_of_path
from v2gpki.services.ocsp.index import Issuer, IssuerIndex, Revoked
from v2gpki.services.ocsp.presigned import OcspAnswer, Presigned
from v2gpki.services.ocsp.signers import OcspSigner, OcspSigners
from v2gpki.store.protocol import Store

#: The algorithms that clients use most: OpenSSL, Go and GnuTLS the first, OCPP the second.
USUAL_HASHES = ("sha1", "sha256")
#: How often a process asks whether another one revoked something.
POLL = timedelta(milliseconds=100)
#: When signing ahead is begun anew after it failed.
_RETRY = timedelta(seconds=30)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

__all__ = ["POLL", "USUAL_HASHES", "OcspAnswer", "OcspResponder", "SignedAhead", "Unsigned"]


class SignedAhead(NamedTuple):
    """One answer signed ahead of time: ``request`` is the DER request that it answers."""

    serial: int
    der: bytes
    request: bytes
    status: str
    issuer_id: str
    next_update: datetime


class Unsigned(NamedTuple):
    """An answer that lacks its signature; ``finish`` takes it."""

    issuer: Issuer
    signer: OcspSigner
    asked: OcspRequest
    #: good, revoked or unknown, and the same as CertStatus (DER).
    name: str
    status: bytes
    window: Window


class OcspResponder:
    """Answers for every authority whose key is in the home. Safe from threads."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        catalogue: Catalogue,
        signers: OcspSigners,
        presigned: bool = False,
        poll: timedelta = POLL,
    ) -> None:
        """``presigned`` keeps answers once signed; ``poll`` is then how soon a revocation elsewhere is noticed."""
        self._store = store
        self._clock = clock
        self._signers = signers
        self._index = IssuerIndex(store, catalogue)
        self._presigned = Presigned() if presigned else None
        self._poll = poll if presigned else timedelta(0)
        self._next_look = _LONG_AGO
        self._last_look = _LONG_AGO
        self._next_fill = _LONG_AGO
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[datetime, OcspSigner, Window]] = {}

    @property
    def live(self) -> bool:
        """Whether every answer is signed when it is asked for, after a look at the store."""
        return self._presigned is None

    @property
    def kept(self) -> int:
        """How many pre-signed answers are ready."""
        return 0 if self._presigned is None else len(self._presigned)

    # -- answering -----------------------------------------------------------------------------

    def ready(self, request: bytes, now: datetime) -> OcspAnswer | None:
        """The pre-signed answer, if there is one: microseconds, no signature."""
        if self._presigned is None:
            return None
        self._look(now)
        return self._presigned.ready(request, now)

    def answer(self, request: bytes, now: datetime | None = None, *, looked: bool = False) -> OcspAnswer:
        """The answer to any octets; it never raises for what was sent, only for a store that cannot be read.

        ``looked``: the store was looked at for another request that came at the same time.
        """
        at = self._clock.now() if now is None else now
        prompt = self.ready(request, at)
        if prompt is not None:
            return prompt
        if not looked:
            self._look(at)
        prepared = self._prepare(request, at)
        if isinstance(prepared, OcspAnswer):
            return prepared
        template, asked, window = prepared.signer.template, prepared.asked, prepared.window
        return self._keep(prepared, template.answer(asked.cert_id, prepared.status, window, asked.nonce), at)

    def prepare(self, requests: Sequence[bytes], now: datetime) -> list[OcspAnswer | Unsigned]:
        """What ``answer`` would say, but that nothing is signed: for a signer that is asked for many at once.

        One look at the store for all of them.
        """
        self._look(now)
        prepared: list[OcspAnswer | Unsigned] = []
        for request in requests:
            kept = None if self._presigned is None else self._presigned.ready(request, now)
            prepared.append(self._prepare(request, now) if kept is None else kept)
        return prepared

    def finish(self, unsigned: Unsigned, signature: bytes, now: datetime) -> OcspAnswer:
        """The answer with its signature, kept if that is the mode; ``now`` is when it was prepared."""
        template, asked, window = unsigned.signer.template, unsigned.asked, unsigned.window
        signed = template.assemble(template.tbs(asked.cert_id, unsigned.status, window, asked.nonce), signature)
        return self._keep(unsigned, signed, now)

    def answer_get(self, path: str, now: datetime | None = None) -> OcspAnswer:
        """The answer to a request in a URL's path: base64, escaped or not, with all the slips of clients."""
        at = self._clock.now() if now is None else now
        try:
            given = self.answer(request_of_path(path), at)
        except ValueError:
            given = _failure("malformedRequest")
        if given.status != "malformedRequest":
            return given
        mended = self.mended(path, at)
        return given if mended is None else self.answer(mended, at)

    def mended(self, path: str, now: datetime) -> bytes | None:
        """The request that a path held before slashes were doubled or merged, if only one can have been meant."""
        readings = mended_requests(path)
        if len(readings) > 1:
            # They differ within a hash or a serial number: which one of them asks about what was issued here?
            self._look(now)
            readings = [one for one in readings if self._issued(read_request(one))]
        return readings[0] if len(readings) == 1 else None

    def certificate_status(self, hash_data: Mapping[str, object], now: datetime | None = None) -> str:
        """The OCPP form (GetCertificateStatus): OCSPRequestDataType in, ``ocspResult`` out: base64 of the DER answer.

        Hash data is read in every encoding that stations send. Raises ``ocsp.bad_hash_data``, ``ocsp.unauthorized``
        for a foreign issuer and ``ocsp.try_later`` when nobody can sign: the CSMS answers Failed then.
        """
        asked = read_hash_data(hash_data)
        answer = self.answer(write_request(asked.cert_id), now)
        if answer.status == "unauthorized":
            raise V2GPKIError(
                "ocsp.unauthorized",
                f"no authority of this home that is valid now issued the certificate {asked.serial:x}",
                hint="ask the responder that responderURL names",
                clause="RFC 6960 2.3",
                facts={"serial": f"{asked.serial:x}"},
            )
        if answer.status in FAILURES:
            raise V2GPKIError(
                "ocsp.try_later",
                f"the status of {asked.serial:x} cannot be signed now: {answer.issuer_id} has no OCSP signer at hand",
                hint="unlock the home; v2gpki ocsp signers issues missing signers",
                clause="RFC 6960 2.3",
                facts={"issuer": answer.issuer_id, "serial": f"{asked.serial:x}"},
            )
        return base64.b64encode(answer.der).decode("ascii")

    # -- keeping current -----------------------------------------------------------------------

    def refresh(self, now: datetime) -> bool:
        """Take over what any process changed; a few microseconds when nothing did. Returns whether something did.

        It is called by answering itself; a server with nothing to answer need not.
        """
        with self._lock:
            changes = self._index.refresh()
            self._last_look, self._next_look = now, now + self._poll
            if changes.authorities or changes.revoked:
                self._signers.forget()
            for issuer in changes.compromised:
                if self._presigned is not None:
                    self._presigned.drop_issuer(issuer)
            for issuer_id, serial in changes.revoked:
                self._replace(self._index.by_id[issuer_id], serial, now)
        return bool(changes.revoked or changes.authorities)

    def fill_due(self, now: datetime) -> bool:
        """Whether it is time for ``fill``: at the start, and when the first answers reach their ``refresh``."""
        return self._presigned is not None and now >= self._next_fill

    def fill(
        self, now: datetime, *, issuers: Sequence[str] = (), hashes: Sequence[str] = USUAL_HASHES
    ) -> Iterator[int]:
        """Sign the good answers of all (or these) issuers ahead of time and put them in service.

        Certificates that ended are left to be signed when asked for. Yields after each signature, so that a server
        goes on answering in between; nothing in pre-signed mode waits for it.
        """
        presigned = self._presigned
        if presigned is None:
            return
        self.refresh(now)
        chosen = [issuer for issuer in self._index.by_id.values() if not issuers or issuer.record.id in issuers]
        rules = [issuer.rule.refresh for issuer in chosen]
        # Begun before the first answer becomes old, so that the last new one is there in time.
        self._next_fill = now + (min(rules) * 7 / 8 if rules else POLL)
        for issuer in chosen:
            signer = None if issuer.compromised else self._signer(issuer, now)
            if signer is None:
                continue
            window = self._window(issuer, signer, now)
            until = min(now + issuer.rule.refresh, window.next_update)
            for hash_name in hashes:
                batch = signer.template.batch(hash_name, issuer.name.keys[hash_name], window)
                serials = self._store.serials(issuer.record.id, valid_at=now)
                try:
                    yield from presigned.fill(issuer, hash_name, batch, serials, until)
                except V2GPKIError:
                    self._next_fill = now + _RETRY
                    raise

    def presign(
        self, issuers: Sequence[str] = (), now: datetime | None = None, *, hashes: Sequence[str] = USUAL_HASHES
    ) -> Iterator[SignedAhead]:
        """Answers for others to serve: all certificates of these (or all) issuers that have not ended or are revoked.

        Raises ``ocsp.try_later`` when an issuer has no signer.
        """
        at = self._clock.now() if now is None else now
        self.refresh(at)
        for issuer in list(self._index.by_id.values()):
            if issuers and issuer.record.id not in issuers:
                continue
            signer = self._signer(issuer, at)
            if signer is None:
                if issuers:
                    raise _no_signer(issuer)
                continue
            for hash_name in hashes:
                yield from self._ahead(issuer, signer, hash_name, at)

    def renew(self, now: datetime) -> int:
        """Issue the OCSP signers that are missing or will soon end; how many."""
        return len(self._signers.renew(now))

    # -- helpers -------------------------------------------------------------------------------

    def _ahead(self, issuer: Issuer, signer: OcspSigner, hash_name: str, now: datetime) -> Iterator[SignedAhead]:
        window = self._window(issuer, signer, now)
        batch = signer.template.batch(hash_name, issuer.name.keys[hash_name], window)
        facts = {serial: issuer.fact(serial) or fact for serial, fact in list(issuer.revoked.items())}
        for serial in self._store.serials(issuer.record.id, valid_at=now):
            fact = issuer.fact(serial)
            if fact is not None:
                facts[serial] = fact
            else:
                octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
                signed = batch.answer(octets, batch.sign(octets))
                request = write_request(issuer.name.cert_id(hash_name, serial))
                yield SignedAhead(serial, signed, request, "good", issuer.record.id, window.next_update)
        for serial, fact in facts.items():
            cert_id = issuer.name.cert_id(hash_name, serial)
            signed = signer.template.answer(cert_id, revoked(*fact), _since(window, fact))
            yield SignedAhead(serial, signed, write_request(cert_id), "revoked", issuer.record.id, window.next_update)

    def _look(self, now: datetime) -> None:
        if not self._last_look <= now < self._next_look:
            self.refresh(now)

    def _prepare(self, request: bytes, now: datetime) -> OcspAnswer | Unsigned:
        try:
            asked = read_request(request)
        except V2GPKIError:
            return _failure("malformedRequest")
        issuer = self._index.by_hashes.get(asked.key) if asked.hash_name else None
        if issuer is None or now > issuer.record.not_after:
            return _failure("unauthorized")
        issuer_id = issuer.record.id
        if self._presigned is not None and asked.nonce is None:
            kept = self._presigned.single(issuer_id, asked.serial, asked.cert_id, now)
            if kept is not None:
                return kept
        signer = self._signer(issuer, now)
        if signer is not None:
            return self._unsigned(issuer, signer, asked, now)
        # RFC 9654 2.1: an answer without the nonce, signed ahead, is better than none.
        ahead = None if self._presigned is None else self._presigned.ready(write_request(asked.cert_id), now)
        # A CA that is revoked gets no new signer: nobody will ever answer for it.
        passing = issuer.record.state != "revoked" or self._signers.locked
        return ahead or _failure("tryLater" if passing else "unauthorized", issuer_id)

    def _unsigned(self, issuer: Issuer, signer: OcspSigner, asked: OcspRequest, now: datetime) -> Unsigned:
        window = self._window(issuer, signer, now)
        fact = issuer.fact(asked.serial)
        if fact is not None:
            return Unsigned(issuer, signer, asked, "revoked", revoked(*fact), _since(window, fact))
        if issuer.issued(asked.serial, self._store):
            return Unsigned(issuer, signer, asked, "good", GOOD, window)
        return Unsigned(issuer, signer, asked, "unknown", UNKNOWN, window)

    def _keep(self, unsigned: Unsigned, signed: bytes, now: datetime) -> OcspAnswer:
        """What became of an answer that is signed now."""
        issuer, _, asked, name, _, window = unsigned
        serial = asked.serial
        known = name == "good" or serial in issuer.revoked or (name == "revoked" and issuer.issued(serial, self._store))
        cacheable = asked.nonce is None and known
        answer = OcspAnswer(signed, name, window.this_update, window.next_update, cacheable, issuer.record.id)
        # A signer that is no more the one to use was perhaps revoked while it signed.
        if self._presigned is not None and cacheable and self._signer(issuer, now) is unsigned.signer:
            until = min(now + issuer.rule.refresh, window.next_update)
            self._presigned.keep(serial, asked.cert_id, answer, until)
            if name == "good" and issuer.fact(serial) is not None:
                # Revoked while it was signed.
                self._presigned.drop(issuer, serial)
        return answer

    def _issued(self, asked: OcspRequest) -> bool:
        issuer = self._index.by_hashes.get(asked.key) if asked.hash_name else None
        return issuer is not None and (asked.serial in issuer.revoked or issuer.issued(asked.serial, self._store))

    def _signer(self, issuer: Issuer, now: datetime) -> OcspSigner | None:
        return self._signers.current(issuer.record, now) if now <= issuer.record.not_after else None

    def _window(self, issuer: Issuer, signer: OcspSigner, now: datetime) -> Window:
        """The times of an answer signed now; those of one second share them."""
        second = now.replace(microsecond=0)
        known = self._windows.get(issuer.record.id)
        if known is not None and known[0] == second and known[1] is signer:
            return known[2]
        this_update = second - issuer.rule.backdate
        window = Window(second, this_update, min(this_update + issuer.rule.validity, signer.not_after))
        self._windows[issuer.record.id] = second, signer, window
        return window

    def _replace(self, issuer: Issuer, serial: int, now: datetime) -> None:
        """Take what was signed about a revoked certificate out of service; the next one to ask gets the new answer."""
        if self._presigned is None:
            return
        self._presigned.drop(issuer, serial)
        record = self._store.certificate(issuer.record.id, serial)
        if record is not None and record.key_id:
            # Perhaps it was an OCSP signer: nothing that it signed may be handed out any more.
            self._presigned.drop_issuer(issuer)
            self._next_fill = now


def _since(window: Window, fact: Revoked) -> Window:
    """The window of an answer that is true only since the revocation."""
    return window._replace(this_update=min(max(window.this_update, fact.at), window.produced_at))


def _failure(name: str, issuer_id: str = "") -> OcspAnswer:
    return OcspAnswer(FAILURES[name], name, issuer_id=issuer_id)


def _no_signer(issuer: Issuer) -> V2GPKIError:
    return V2GPKIError(
        "ocsp.try_later",
        f"{issuer.record.id} has no OCSP signer that could sign now",
        hint="unlock the home; v2gpki ocsp signers issues missing signers",
        clause="RFC 6960 4.2.2.2",
        facts={"issuer": issuer.record.id},
    )
