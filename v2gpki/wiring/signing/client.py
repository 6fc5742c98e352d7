"""A worker's side: what wiring needs of keys, asked of the process that has them.

A connection belongs to one exchange at a time and is used again; one that broke is replaced, and the question asked
once more. While nobody answers, questions fail at once with ``signing.unavailable`` (HTTP 503, OCSP tryLater) but for
one in half a second, so that an event loop does not wait. Not to be taken across a fork.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from v2gpki.certs.ocsp_answer import Window
from v2gpki.clock import Clock
from v2gpki.keys.suites import SUITES, PrivateKey, Suite
from v2gpki.pnc.installation import ContractData, SignedContract, signed_contract
from v2gpki.services.cps import CpsSigner
from v2gpki.services.issuance import Recorded
from v2gpki.services.revocation import Revocation
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CertificateRecord, CrlRecord
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.protocol import Answer, Question, Refused

#: Seconds that an exchange may take, and the pause after one that failed.
DEADLINE = 5.0
PAUSE = 0.5
_MOST_IDLE = 32
_A = TypeVar("_A", bound=Answer)


class RemoteSigning:
    """The keys of a home that another process holds. Safe from threads."""

    def __init__(self, path: Path, *, deadline: float = DEADLINE) -> None:
        """``path`` is the socket that the signing process listens at."""
        self._path = path
        self._deadline = deadline
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._keys: dict[str, RemoteKey] = {}

    # -- what is asked -------------------------------------------------------------------------

    def certificates(self, orders: Sequence[Recorded]) -> list[bytes]:
        """The signatures of recorded certificates. Raises ``signing.*``, and what issuing raises."""
        signatures: list[bytes] = []
        for start in range(0, len(orders), protocol.MOST_ORDERS):
            wanted = [_wanted(order) for order in orders[start : start + protocol.MOST_ORDERS]]
            given = self._ask(protocol.SignCertificates(orders=wanted), protocol.Signatures).octets
            if len(given) != len(wanted):
                raise protocol.unavailable("it gave another number of signatures than was asked for")
            signatures += given
        return signatures

    def signer(self, key_id: str) -> RemoteKey:
        """A key by its id, for OCSP answers only. Raises ``key.missing``, .."""
        known = self._keys.get(key_id)
        if known is None:
            public = self._ask(protocol.PublicKey(key_id=key_id), protocol.Public)
            known = self._keys[key_id] = RemoteKey(self, key_id, SUITES[public.suite], public.spki)
        return known

    def add_many(self, keys: Mapping[str, PrivateKey]) -> None:
        """Refused: a key that a worker made is nobody's to keep."""
        raise protocol.refused(f"{len(keys)} keys made elsewhere are not kept")

    def discard(self, key_id: str) -> None:
        """Nothing: a worker makes no keys that are kept."""

    def sign_answer(
        self, key_id: str, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None
    ) -> bytes:
        """The signature of an OCSP answer."""
        [one] = self._answers([_answer_wanted(key_id, cert_id, status, window, nonce)])
        if isinstance(one, protocol.Refused):
            raise protocol.error_of(one)
        return one.octets[0]

    def sign_answers(
        self, key_id: str, cert_ids: Sequence[bytes], status: bytes, window: Window
    ) -> list[bytes | None]:
        """The signatures of OCSP answers about several certificates, None where the store says something else."""
        signatures: list[bytes | None] = []
        for start in range(0, len(cert_ids), protocol.MOST_ANSWERS):
            some = cert_ids[start : start + protocol.MOST_ANSWERS]
            for one in self._answers([_answer_wanted(key_id, cert_id, status, window, None) for cert_id in some]):
                if isinstance(one, protocol.Refused) and one.code != "signing.outdated":
                    raise protocol.error_of(one)
                signatures.append(None if isinstance(one, protocol.Refused) else one.octets[0])
        return signatures

    def _answers(
        self, wanted: Sequence[protocol.AnswerWanted]
    ) -> Sequence[protocol.Signatures | protocol.Refused]:
        given = self._ask(protocol.SignAnswers(answers=list(wanted)), protocol.Each).answers
        if len(given) != len(wanted):
            raise protocol.unavailable("it gave another number of signatures than was asked for")
        return given

    def contract(self, data: ContractData, signer: CpsSigner) -> SignedContract:
        """Contract data under a CPS's signature."""
        asked = protocol.SignContract(
            issuer_id=signer.issuer_id,
            serial=f"{signer.serial:x}",
            edition=data.edition,
            chain=list(data.chain),
            curve=data.sealed.curve,
            dh_public_key=data.sealed.dh_public_key,
            encrypted_key=data.sealed.encrypted_key,
            emaid=data.emaid,
        )
        return signed_contract(self._ask(asked, protocol.Signatures).octets[0])

    def renew_ocsp_signer(self, authority_id: str, caller: str) -> None:
        """Have a new OCSP signer of an authority issued, if one is due."""
        self._ask(protocol.RenewOcspSigner(authority_id=authority_id, caller=caller), protocol.Done)

    def publish_crl(self, authority_id: str, caller: str) -> None:
        """Have the next CRL of an authority published."""
        self._ask(protocol.PublishCrl(authority_id=authority_id, caller=caller), protocol.Done)

    def seal(self) -> None:
        """Have the newest row of the audit log signed."""
        self._ask(protocol.Seal(), protocol.Done)

    def recover(self) -> None:
        """Have the intents of dead processes closed."""
        self._ask(protocol.Recover(), protocol.Done)

    def webhook_key(self) -> bytes:
        """The key of webhook secrets."""
        return self._ask(protocol.WebhookKey(), protocol.Signatures).octets[0]

    def check(self) -> None:
        """Raise ``signing.unavailable`` unless somebody answers."""
        self._ask(protocol.PublicKey(key_id="audit"), protocol.Public)

    def connection(self) -> socket.socket:
        """A connection for a caller that never blocks; it is the caller's. Raises ``OSError``."""
        return _connect(self._path, 0.0)

    def close(self) -> None:
        """Close the connections; a later question opens one again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- exchanges -----------------------------------------------------------------------------

    def _ask(self, question: Question, expected: type[_A]) -> _A:
        octets = protocol.frame(question)
        if time.monotonic() < self._not_before:
            raise protocol.unavailable("it did not answer a moment ago")
        try:
            given = self._exchange(octets)
        except OSError as problem:
            self._not_before = time.monotonic() + PAUSE
            raise protocol.unavailable(problem.strerror or str(problem)) from problem
        if isinstance(given, Refused):
            raise protocol.error_of(given)
        if not isinstance(given, expected):
            raise protocol.unavailable("it answers something else than was asked")
        return given

    def _exchange(self, octets: bytes) -> Answer:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            try:
                return self._over(kept, octets)
            except ConnectionError:
                # The process that it led to was replaced: the others lead to it too. A question may be asked twice.
                self.close()
        return self._over(_connect(self._path, self._deadline), octets)

    def _over(self, connection: socket.socket, octets: bytes) -> Answer:
        try:
            connection.sendall(octets)
            body = protocol.receive(connection)
            if body is None:
                raise ConnectionResetError("closed without an answer")
            given = protocol.answer(body)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return given
        connection.close()
        return given


class RemoteKey:
    """A key that another process has: it signs OCSP answers there, and nothing else for its id."""

    __slots__ = ("_key_id", "_signing", "spki", "suite")

    def __init__(self, signing: RemoteSigning, key_id: str, suite: Suite, spki: bytes) -> None:
        self._signing = signing
        self._key_id = key_id
        self.suite = suite
        self.spki = spki

    def sign(self, message: bytes) -> bytes:
        """Refused: nobody signs octets for a worker."""
        raise protocol.refused(f"{len(message)} octets are not signed with {self._key_id} for a worker")

    def sign_answer(self, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None) -> bytes:
        """The signature of an OCSP answer."""
        return self._signing.sign_answer(self._key_id, cert_id, status, window, nonce)

    def sign_answers(self, cert_ids: Sequence[bytes], status: bytes, window: Window) -> list[bytes | None]:
        """The signatures of several OCSP answers, None where the store says something else."""
        return self._signing.sign_answers(self._key_id, cert_ids, status, window)

    def wanted(self, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None) -> protocol.AnswerWanted:
        """The question of ``sign_answer``, for whoever asks by himself."""
        return _answer_wanted(self._key_id, cert_id, status, window, nonce)


class RemoteRevocation(Revocation):
    """Revokes here, and publishes CRLs elsewhere; how long they hold is decided there."""

    def __init__(self, store: Store, signing: RemoteSigning, clock: Clock) -> None:
        super().__init__(store, signing, clock)
        self._signing = signing

    def publish_crl(self, authority: AuthorityRecord, lifetime: timedelta, *, caller: str) -> CrlRecord:
        """The next CRL of an authority; ``lifetime`` is that of the home's settings. Raises ``signing.*``, .."""
        del lifetime
        self._signing.publish_crl(authority.id, caller)
        published = self._store.latest_crl(authority.id)
        if published is None:
            raise protocol.unavailable("it published no CRL")
        return published


class RemoteSigners:
    """Issues OCSP signers as ``SignerIssuance`` does, elsewhere."""

    def __init__(self, signing: RemoteSigning, store: Store, role_of: Mapping[str, str], caller: str) -> None:
        """``role_of`` gives the OCSP role of an edition."""
        self._signing = signing
        self._store = store
        self._role_of = role_of
        self._caller = caller

    def __call__(self, authority: AuthorityRecord) -> CertificateRecord:
        """The newest OCSP signer of an authority, after one was issued if that was due."""
        self._signing.renew_ocsp_signer(authority.id, self._caller)
        held = self._store.held_certificates(self._role_of[authority.edition], authority.id)
        if not held:
            raise protocol.unavailable(f"it issued no OCSP signer of {authority.id}")
        return held[0]


def _wanted(order: Recorded) -> protocol.CertificateWanted:
    identifier, profile = order.identifier, order.profile
    return protocol.CertificateWanted(
        reference=order.reference,
        edition=profile.edition,
        role=profile.role,
        suite=profile.suite,
        options=dict(profile.options),
        issuer_id=order.issuer_id,
        identifier_kind="" if identifier is None else identifier.kind,
        identifier="" if identifier is None else identifier.normal,
        spki=order.spki,
        not_before=_seconds(order.not_before),
        not_after=_seconds(order.not_after),
    )


def _answer_wanted(
    key_id: str, cert_id: bytes, status: bytes, window: Window, nonce: bytes | None
) -> protocol.AnswerWanted:
    return protocol.AnswerWanted(
        key_id=key_id,
        cert_id=cert_id,
        status=status,
        produced_at=_seconds(window.produced_at),
        this_update=_seconds(window.this_update),
        next_update=_seconds(window.next_update),
        nonce=nonce,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _connect(path: Path, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(deadline)
        # By way of the folder: the path of a socket may have a hundred octets only.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except BaseException:
        connection.close()
        raise
    return connection


