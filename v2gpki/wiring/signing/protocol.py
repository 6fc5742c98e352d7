"""What a worker may ask of the process that has the keys, octet by octet.

A frame is four octets of length (big-endian) and that many of MessagePack: one of the classes below with a tag, every
field typed and bounded. There is no question whose answer holds a private key, and none that has given octets signed:
questions name what is wanted, and the keeper writes it itself from profiles, templates and the store.
"""

from __future__ import annotations

import socket
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from v2gpki.errors import CODES, Finding, V2GPKIError

LARGEST = 256 * 1024
#: So many certificates, and so many OCSP answers, are signed in one exchange.
MOST_ORDERS = 64
MOST_ANSWERS = 64
_PREFIX = 4

Word = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=1000)]
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799)]
Der = Annotated[bytes, Meta(max_length=8192)]


class _Words(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown fields are refused."""


class CertificateWanted(_Words, frozen=True):
    """A certificate whose intent stands in the store under ``reference``: profile, issuer, and what fills the holes.
    Times are seconds since 1970."""

    reference: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    edition: Word
    role: Word
    suite: Word
    options: Annotated[dict[Word, Word], Meta(max_length=32)]
    issuer_id: Word
    identifier_kind: Word
    identifier: Word
    spki: Annotated[bytes, Meta(max_length=1024)]
    not_before: Moment
    not_after: Moment


class SignCertificates(_Words, frozen=True, tag="certificates"):
    """Signatures of end-entity certificates; all of them or none. Answered by ``Signatures``."""

    orders: Annotated[list[CertificateWanted], Meta(min_length=1, max_length=MOST_ORDERS)]


class AnswerWanted(_Words, frozen=True):
    """An OCSP answer: about which certificate, by which signer, what, when."""

    key_id: Word
    cert_id: Annotated[bytes, Meta(max_length=320)]
    status: Annotated[bytes, Meta(max_length=64)]
    produced_at: Moment
    this_update: Moment
    next_update: Moment
    nonce: Annotated[bytes, Meta(min_length=1, max_length=128)] | None = None


class SignAnswers(_Words, frozen=True, tag="answers"):
    """The signatures of OCSP answers, each judged by itself. Answered by ``Each``."""

    answers: Annotated[list[AnswerWanted], Meta(min_length=1, max_length=MOST_ANSWERS)]


class RenewOcspSigner(_Words, frozen=True, tag="ocsp-signer"):
    """A new OCSP signer of an authority, if it has none or that one will soon end. Answered by ``Done``."""

    authority_id: Word
    caller: Word


class PublishCrl(_Words, frozen=True, tag="crl"):
    """The next CRL of an authority, from what the store says is revoked. Answered by ``Done``."""

    authority_id: Word
    caller: Word


class SignContract(_Words, frozen=True, tag="contract"):
    """Contract data under the signature of a CPS leaf of this home. Answered by ``Signatures`` with one message."""

    issuer_id: Word
    serial: Annotated[str, Meta(pattern="^[0-9a-f]{1,64}$")]
    edition: Word
    chain: Annotated[list[Der], Meta(min_length=1, max_length=5)]
    curve: Word
    dh_public_key: Annotated[bytes, Meta(max_length=512)]
    encrypted_key: Annotated[bytes, Meta(max_length=512)]
    emaid: Word


class Seal(_Words, frozen=True, tag="seal"):
    """Sign the newest row of the audit log. Answered by ``Done``."""


class Recover(_Words, frozen=True, tag="recover"):
    """Close the intents that dead processes left behind. Answered by ``Done``."""


class PublicKey(_Words, frozen=True, tag="public-key"):
    """Suite and SubjectPublicKeyInfo of a key. Answered by ``Public``."""

    key_id: Word


class WebhookKey(_Words, frozen=True, tag="webhook-key"):
    """The key under which webhook secrets are kept: derived from the home's secret, and of no other use. Answered by
    ``Signatures``."""


Question: TypeAlias = (
    SignCertificates
    | SignAnswers
    | RenewOcspSigner
    | PublishCrl
    | SignContract
    | Seal
    | Recover
    | PublicKey
    | WebhookKey
)


class Done(_Words, frozen=True, tag="done"):
    """It is done; what came of it stands in the store."""


class Signatures(_Words, frozen=True, tag="signatures"):
    """Octets, as many as were asked for."""

    octets: list[bytes]


class Public(_Words, frozen=True, tag="public"):
    """The public half of a key."""

    suite: str
    spki: bytes


class Refused(_Words, frozen=True, tag="refused"):
    """A refusal, as ``V2GPKIError`` has it."""

    code: str
    message: str
    hint: str = ""
    clause: str = ""
    facts: dict[str, str | int | bool | list[str] | None] = {}
    findings: list[Finding] = []


class Each(_Words, frozen=True, tag="each"):
    """One answer for each question, in their order."""

    answers: list[Signatures | Refused]


Answer: TypeAlias = Done | Signatures | Public | Each | Refused

_ENCODER = msgspec.msgpack.Encoder()
_QUESTIONS: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(value: Question | Answer) -> bytes:
    """A question or an answer as it is sent; one that is too large raises ``signing.refused``."""
    body = _ENCODER.encode(value)
    if len(body) > LARGEST:
        raise refused(f"a frame of {len(body)} octets is too large")
    return len(body).to_bytes(_PREFIX, "big") + body


def question(body: bytes) -> Question:
    """Read a question. Raises ``signing.refused``."""
    try:
        return _QUESTIONS.decode(body)
    except (msgspec.DecodeError, RecursionError) as problem:
        # Of what was sent nothing is repeated.
        raise refused(f"it is no question of this protocol ({type(problem).__name__})") from None


def answer(body: bytes) -> Answer:
    """Read an answer. Raises ``signing.unavailable``: the other side cannot be the keeper of this version."""
    try:
        return _ANSWERS.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise unavailable("it answers in another form than this version expects") from None


def whole(got: bytes) -> bytes | None:
    """The body of the one frame that ``got`` is, None while a part of it is missing. Raises ``signing.refused``."""
    if len(got) < _PREFIX:
        return None
    size = int.from_bytes(got[:_PREFIX], "big")
    if not 0 < size <= LARGEST:
        raise refused(f"a frame of {size} octets is not read")
    if len(got) < _PREFIX + size:
        return None
    if len(got) > _PREFIX + size:
        raise refused("a frame came before the last one was answered")
    return got[_PREFIX:]


def receive(connection: socket.socket) -> bytes | None:
    """The next frame's body; None when the other side has closed between two frames.

    The connection's time-out holds for each read; raises ``TimeoutError``, ``ConnectionError`` and
    ``signing.refused``.
    """
    head = _exactly(connection, _PREFIX, may_end=True)
    if head is None:
        return None
    size = int.from_bytes(head, "big")
    if not 0 < size <= LARGEST:
        raise refused(f"a frame of {size} octets is not read")
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int, *, may_end: bool = False) -> bytes | None:
    got = b""
    while len(got) < size:
        more = connection.recv(size - len(got))
        if not more:
            if may_end and not got:
                return None
            raise ConnectionResetError("closed within a frame")
        got += more
    return got


def refused_answer(problem: V2GPKIError) -> Refused:
    """A refusal as it is sent."""
    plain = {
        name: value if isinstance(value, str | int | bool | None) else [str(item) for item in value]
        for name, value in problem.facts.items()
    }
    return Refused(
        code=problem.code,
        message=problem.message,
        hint=problem.hint,
        clause=problem.clause,
        facts=plain,
        findings=list(problem.findings),
    )


def error_of(answer: Refused) -> V2GPKIError:
    """The refusal as it is raised."""
    if answer.code not in CODES:
        return unavailable(f"it refuses with the unknown code {answer.code[:60]!r}")
    return V2GPKIError(
        answer.code,
        answer.message,
        hint=answer.hint,
        clause=answer.clause,
        facts=answer.facts,
        findings=answer.findings,
    )


def refused(why: str) -> V2GPKIError:
    """The refusal of what no worker of ours would ask."""
    return V2GPKIError(
        "signing.refused",
        f"the signing process refuses: {why}",
        hint="a worker that asks this is broken, or was broken into; the log says which process it is",
    )


def outdated(why: str) -> V2GPKIError:
    """The refusal of what the store says no more, or does not say yet: asked anew, it is answered."""
    return V2GPKIError(
        "signing.outdated",
        f"the signing process refuses: {why}",
        hint="ask again; a worker that keeps asking this is broken, or was broken into",
    )


def unavailable(why: str) -> V2GPKIError:
    """Nobody signs at the moment."""
    return V2GPKIError(
        "signing.unavailable",
        f"the signing process cannot be asked: {why}",
        hint="it is started again by itself; if it stays away, its log says why",
    )
