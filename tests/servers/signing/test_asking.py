"""OCSP answers of another process for an event loop: many in one exchange, and what happens when it goes wrong."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import BIRTH
from tests.servers.signing.desk import Signing, signing
from tests.servers.signing.test_keeper import SECC, spki
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from v2gpki import CertificateAuthority
from v2gpki.errors import V2GPKIError
from v2gpki.servers.signing.asking import MOST_AT_ONCE, Asking
from v2gpki.services.issuance import Issued
from v2gpki.services.ocsp import OcspAnswer, OcspResponder, Unsigned
from v2gpki.wiring.ocsp import ocsp_responder
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.client import RemoteSigning

Found = OcspAnswer | V2GPKIError
#: What the process sends for a question; None closes the connection without a word, b"" leaves it waiting.
Reply = Callable[[protocol.Question], bytes | None]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="v2g") as name:
        yield Path(name)


@pytest.fixture
def desk(iso2: CertificateAuthority, folder: Path) -> Iterator[Signing]:
    with signing(iso2, folder) as found:
        yield found


@pytest.fixture
def secc(desk: Signing) -> Issued:
    issued = desk.worker.issue("secc", id=SECC, public_key=spki())
    # The signer is known from now on: what is asked later are answers.
    ocsp_responder(desk.worker).answer(about(issued), BIRTH)
    return issued


def about(issued: Issued, **more: bytes) -> bytes:
    return request(issued.chain[0], issued.chain[1], **more)  # type: ignore[arg-type]  # passed on


class Between:
    """Stands between a worker and the signing process: passes questions on, or says what it is told to."""

    def __init__(self, desk: Signing, path: Path) -> None:
        self.desk = desk
        self.path = path
        self.asked: list[protocol.Question] = []
        self.connections = 0
        #: Takes the place of the next replies, one after the other.
        self.instead: list[Reply] = []

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (body := protocol.receive(connection)) is not None:
                question = protocol.question(body)
                self.asked.append(question)
                reply = self.instead.pop(0) if self.instead else self.pass_on
                sent = reply(question)
                if sent is None:
                    return
                connection.sendall(sent)

    def pass_on(self, question: protocol.Question) -> bytes:
        return protocol.frame(self.desk.ask(question))

    @contextmanager
    def open(self) -> Iterator[Between]:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(self.path))
        listening.listen()
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                connection, _ = listening.accept()
                if self.connections < 0:
                    connection.close()
                    return
                self.connections += 1
                threads.append(threading.Thread(target=self._serve, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield self
        finally:
            self.connections = -1
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(str(self.path))
            accepting.join(20)
            for thread in threads:
                thread.join(20)
            listening.close()


@pytest.fixture
def between(desk: Signing, folder: Path) -> Iterator[Between]:
    with Between(desk, folder / "b").open() as found:
        yield found


async def gathered(asking: Asking, requests: Sequence[bytes]) -> list[Found]:
    """All of them asked at once; each is told exactly once, and never from within ``ask``."""
    told: list[asyncio.Future[Found]] = []
    for one in requests:
        told.append(asyncio.get_running_loop().create_future())
        asking.ask(one, told[-1].set_result)
        assert not told[-1].done()
    return await asyncio.wait_for(asyncio.gather(*told), 20)


def ask(
    between: Between, *rounds: Sequence[bytes], deadline: float = 10, responder: OcspResponder | None = None
) -> list[list[Found]]:
    """Rounds of requests of one worker, each asked at once."""
    worker = between.desk.worker

    async def run() -> list[list[Found]]:
        remote = RemoteSigning(between.path)
        asking = Asking(responder or ocsp_responder(worker), worker.clock, remote, deadline=deadline)
        try:
            return [await gathered(asking, requests) for requests in rounds]
        finally:
            asking.close()

    return asyncio.run(run())


def good(found: Found, issued: Issued) -> None:
    """It says good of this certificate, under a signature of its signer."""
    assert isinstance(found, OcspAnswer)
    answer = read(found.der)
    assert (found.status, answer.serial_number) == ("good", issued.record.serial)
    public = answer.certificates[0].public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert answer.signature_hash_algorithm is not None
    public.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))


def codes(found: Sequence[Found]) -> list[str]:
    return [one.code if isinstance(one, V2GPKIError) else one.status for one in found]


def test_many_are_asked_for_in_few_exchanges(between: Between, secc: Issued) -> None:
    nonces = [b"%032d" % number for number in range(200)]
    other = request_for_serial(4711, secc.chain[1])
    foreign = request_for_serial(4711, secc.chain[0])
    [found] = ask(between, [*(about(secc, nonce=nonce) for nonce in nonces), b"junk", foreign, other])
    for one, nonce in zip(found, nonces, strict=False):
        good(one, secc)
        assert isinstance(one, OcspAnswer)
        assert nonce_of(one.der) == nonce
    assert codes(found[200:]) == ["malformedRequest", "unauthorized", "unknown"]
    sizes = [len(question.answers) for question in between.asked if isinstance(question, protocol.SignAnswers)]
    # 200 and the unknown one, 64 at a time: nothing is asked about what needs no signature.
    assert sum(sizes) == 201
    assert len(sizes) == 4
    assert max(sizes) == protocol.MOST_ANSWERS
    assert between.connections <= MOST_AT_ONCE


def test_a_connection_is_used_again(between: Between, secc: Issued) -> None:
    for [found] in ask(between, *([about(secc)] for _ in range(5))):
        good(found, secc)
    assert (between.connections, len(between.asked)) == (1, 5)


def test_an_answer_in_pieces(between: Between, secc: Issued) -> None:
    """The first octets come with nothing after them; the rest comes when a second connection is asked."""
    whole = threading.Event()

    def halves(question: protocol.Question) -> bytes:
        sent = between.pass_on(question)
        # The thread that serves the connection writes the first half itself.
        current = sockets[threading.current_thread()]
        current.sendall(sent[:5])
        assert whole.wait(20)
        return sent[5:]

    def other(question: protocol.Question) -> bytes:
        whole.set()
        return between.pass_on(question)

    sockets: dict[threading.Thread, socket.socket] = {}
    serve = between._serve

    def noted(connection: socket.socket) -> None:
        sockets[threading.current_thread()] = connection
        serve(connection)

    between._serve = noted  # type: ignore[method-assign]  # to know the connection of a thread
    between.instead = [halves, other]
    [found] = ask(between, [about(secc)] * (protocol.MOST_ANSWERS + 1))
    for one in found:
        good(one, secc)


def test_what_was_revoked_meanwhile_is_asked_anew(between: Between, secc: Issued) -> None:
    """The worker looks at the store, another process revokes, the signing process looks at the store."""
    worker = between.desk.worker

    class Slow(OcspResponder):
        looks = 0

        def prepare(self, requests: Sequence[bytes], now: object) -> list[OcspAnswer | Unsigned]:
            prepared = super().prepare(requests, BIRTH)
            self.looks += 1
            if self.looks == 1:
                between.desk.keeper.revoke(f"{secc.record.serial:x}", "keyCompromise")
            return prepared

    slow = Slow(worker.store, worker.clock, catalogue=worker.catalogue, signers=ocsp_responder(worker)._signers)
    [found] = ask(between, [about(secc)], responder=slow)
    assert codes(found) == ["revoked"]
    assert slow.looks == 2


def test_who_always_says_something_else_is_not_asked_for_ever(between: Between, secc: Issued) -> None:
    outdated = protocol.refused_answer(protocol.outdated("it is another"))
    between.instead = [lambda _: protocol.frame(protocol.Each(answers=[outdated]))] * 3
    [found] = ask(between, [about(secc)])
    assert codes(found) == ["signing.outdated"]
    assert len(between.asked) == 2


def test_one_that_is_refused_takes_no_other_with_it(between: Between, secc: Issued) -> None:
    def second_refused(question: protocol.Question) -> bytes:
        given = between.desk.ask(question)
        assert isinstance(given, protocol.Each)
        refused = protocol.refused_answer(protocol.refused("for a test"))
        return protocol.frame(protocol.Each(answers=[given.answers[0], refused, *given.answers[2:]]))

    between.instead = [second_refused]
    [found] = ask(between, [about(secc)] * 3)
    good(found[0], secc)
    good(found[2], secc)
    assert codes(found[1:2]) == ["signing.refused"]


def test_a_process_that_was_replaced(between: Between, secc: Issued) -> None:
    """A connection that was kept is of no use any more: the question goes over a new one."""
    between.instead = [between.pass_on, lambda _: None]
    first, second = ask(between, [about(secc)], [about(secc)])
    good(first[0], secc)
    good(second[0], secc)
    assert between.connections == 2


def test_a_process_that_keeps_dying(between: Between, secc: Issued) -> None:
    between.instead = [lambda _: None] * 10
    first, second = ask(between, [about(secc)] * 3, [about(secc)] * 3)
    assert codes(first) == codes(second) == ["signing.unavailable"] * 3
    # Asked twice, and in the pause after that nothing at all.
    assert len(between.asked) == 2


def test_a_process_that_is_not_there(desk: Signing, secc: Issued, folder: Path) -> None:
    [found] = ask(Between(desk, folder / "nobody"), [about(secc)])
    assert codes(found) == ["signing.unavailable"]


def test_after_the_pause_it_is_asked_again(between: Between, secc: Issued) -> None:
    worker = between.desk.worker

    async def run() -> Found:
        asking = Asking(ocsp_responder(worker), worker.clock, RemoteSigning(between.path))
        between.instead = [lambda _: None] * 2
        tries = 0
        async with asyncio.timeout(20):
            while codes(found := await gathered(asking, [about(secc)])) == ["signing.unavailable"]:
                tries += 1
        assert tries > 1
        asking.close()
        return found[0]

    good(asyncio.run(run()), secc)


def test_a_process_that_says_nothing(between: Between, secc: Issued) -> None:
    between.instead = [lambda _: b""]
    [found] = ask(between, [about(secc)], deadline=0.05)
    assert codes(found) == ["signing.unavailable"]
    assert len(between.asked) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x04junk",
        protocol.frame(protocol.Done()),
        protocol.frame(protocol.Each(answers=[])),
        protocol.frame(protocol.Each(answers=[protocol.Signatures(octets=[b"s"])] * 2)),
        protocol.frame(protocol.Done()) * 2,
    ],
    ids=["none", "boast", "junk", "done", "too few", "too many", "two"],
)
def test_what_is_no_answer(between: Between, secc: Issued, sent: bytes) -> None:
    between.instead = [lambda _: sent]
    [found] = ask(between, [about(secc)])
    assert codes(found)[0] in ("signing.unavailable", "signing.refused")


def test_a_refusal_of_all(between: Between, secc: Issued) -> None:
    refusal = protocol.frame(protocol.refused_answer(protocol.refused("for a test")))
    between.instead = [lambda _: refusal]
    [found] = ask(between, [about(secc)] * 2)
    assert codes(found) == ["signing.refused"] * 2


def test_a_store_that_cannot_be_read(between: Between, secc: Issued) -> None:
    worker = between.desk.worker

    class Unreadable(OcspResponder):
        def prepare(self, requests: Sequence[bytes], now: object) -> list[OcspAnswer | Unsigned]:
            raise V2GPKIError("store.unreadable", f"{len(requests)} {now}")

    broken = Unreadable(worker.store, worker.clock, catalogue=worker.catalogue, signers=ocsp_responder(worker)._signers)
    [found] = ask(between, [about(secc)] * 2, responder=broken)
    assert codes(found) == ["store.unreadable"] * 2


def test_who_waits_when_the_server_ends_is_told(between: Between, secc: Issued) -> None:
    worker = between.desk.worker
    between.instead = [lambda _: b""]

    async def run() -> Found:
        asking = Asking(ocsp_responder(worker), worker.clock, RemoteSigning(between.path))
        told: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        asking.ask(about(secc), told.set_result)
        while not between.asked:
            await asyncio.sleep(0)
        asking.close()
        return told.result()

    assert codes([asyncio.run(run())]) == ["signing.unavailable"]


def test_what_is_signed_ahead_is_asked_for_in_few_exchanges(between: Between, secc: Issued) -> None:
    """One is revoked by another process after the worker looked: it is left out, the others are signed."""
    worker, keeper = between.desk.worker, between.desk.keeper
    issued = [worker.issue("secc", id=f"DE*ABC*E{number}", public_key=spki()) for number in range(40)]
    remote = RemoteSigning(between.path)
    worker.signing, before = remote, worker.signing
    try:
        responder = ocsp_responder(worker, presigned=True)
        responder.refresh(BIRTH)
        filling = responder.fill(BIRTH, issuers=[secc.record.issuer_id], hashes=["sha1"])
        next(filling)
        [first] = between.asked[-1:]
        assert isinstance(first, protocol.SignAnswers)
        asked = b"".join(answer.cert_id for answer in first.answers)
        late = next(one for one in issued if one.record.serial.to_bytes(20, "big") not in asked)
        # Signed, but not in service yet.
        behind = b"".join(answer.cert_id for answer in first.answers[1:])
        last = next(one for one in issued if one.record.serial.to_bytes(20, "big") in behind)
        keeper.revoke(f"{last.record.serial:x}", "keyCompromise")
        responder.refresh(BIRTH)
        keeper.revoke(f"{late.record.serial:x}", "keyCompromise")
        others = 1 + sum(1 for _ in filling)
        for one in issued:
            if one in (late, last):
                continue
            ready = responder.ready(about(one, hash_name="sha1"), BIRTH)  # type: ignore[arg-type]  # passed on
            assert ready is not None
            good(ready, one)
        for one in (late, last):
            assert responder.ready(about(one, hash_name="sha1"), BIRTH) is None  # type: ignore[arg-type]  # the same
        sizes = [len(question.answers) for question in between.asked if isinstance(question, protocol.SignAnswers)]
        assert (others, responder.kept) == (sum(sizes) - 1, sum(sizes) - 2)
        assert len(sizes) <= 4
    finally:
        worker.signing = before
        remote.close()


def each(answers: list[protocol.Signatures | protocol.Refused]) -> bytes:
    return protocol.frame(protocol.Each(answers=answers))


def test_a_refusal_ends_the_signing_ahead(between: Between, secc: Issued) -> None:
    worker = between.desk.worker
    remote = RemoteSigning(between.path)
    worker.signing, before = remote, worker.signing
    refused = protocol.refused_answer(protocol.refused("for a test"))
    try:
        responder = ocsp_responder(worker, presigned=True)
        responder.answer(about(secc), BIRTH)
        replies: tuple[tuple[Reply, str], ...] = (
            (lambda asked: each([refused] * len(asked.answers)), "signing.refused"),  # type: ignore[union-attr]  # so asked
            (lambda _: each([]), "signing.unavailable"),
        )
        for reply, code in replies:
            between.instead = [reply]
            with pytest.raises(V2GPKIError) as refusal:
                list(responder.fill(BIRTH, issuers=[secc.record.issuer_id], hashes=["sha1"]))
            assert refusal.value.code == code
            assert responder.ready(about(secc, hash_name="sha1"), BIRTH) is None  # type: ignore[arg-type]  # passed on
        # It is tried again soon, and not only when the answers would have become old.
        assert not responder.fill_due(BIRTH)
        assert responder.fill_due(BIRTH + timedelta(minutes=1))
    finally:
        worker.signing = before
        remote.close()
