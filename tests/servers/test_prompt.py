"""The short way of a request: taken only for what the long way has read before, octet for octet, and never otherwise.

Here the long way says "long" and the short one "short", so that each answer tells which one it went.
"""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.servers.running import received, running
from v2gpki.servers import listeners
from v2gpki.servers.crowd import Work
from v2gpki.servers.http.application import build
from v2gpki.servers.http.exchange import Receive, Scope, Send, body_of, respond
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.part import LATER, Asker, Later, Part, Said
from v2gpki.servers.http.tally import Tally
from v2gpki.servers.process import Conduct, Door, Process
from v2gpki.servers.prompt import LONGEST_HEAD, MOST_HEADS, Heads
from v2gpki.servers.protocol import Connection, Deadlines, with_deadlines

BODY = b"\x30\x03\x0d\x0a\x0d\x0a\x00"


def request(body: bytes = BODY, *, line: bytes = b"POST /quick HTTP/1.1", more: bytes = b"") -> bytes:
    return line + b"\r\nhost: a\r\n" + more + b"content-length: %d\r\n\r\n" % len(body) + body


async def long_way(scope: Scope, receive: Receive, send: Send) -> None:
    body = await body_of(scope, receive, 1000)
    await respond(send, 200, [(b"content-type", b"text/plain")], b"long" + body)


SHORT = b"content-type: text/plain\r\ncontent-length: %d\r\n\r\nshort%b"
WAITING: set[asyncio.Task[None]] = set()
#: What a request that begins with "later" waits for; whoever sets it lets it go on.
RELEASED = threading.Event()


def short_way(body: bytes, later: Later) -> Said:
    if body.startswith(b"later"):
        loop = asyncio.get_running_loop()

        async def wait() -> None:
            assert await loop.run_in_executor(None, RELEASED.wait, 20)
            later(SHORT % (5 + len(body), body))

        WAITING.add(loop.create_task(wait()))
        return LATER
    if body.startswith(b"wait"):
        return None
    if body.startswith(b"bug"):
        raise ArithmeticError("a bug of the short way")
    return SHORT % (5 + len(body), body)


class Quick:
    """A process that serves both ways at /quick."""

    def __init__(self, *, limits: Limits | None = None, conduct: Conduct | None = None) -> None:
        listener, self.socket = listeners.bind(listeners.Listener("127.0.0.1", 0, False))
        self.address = listener.host, listener.port
        self.tally = Tally(["ocsp"])
        part = Part("ocsp", "", (), apps=(("/quick", long_way),), prompts=(("/quick", short_way),))
        front = build([part], self.tally, limits=limits or Limits(), own={})
        conduct = conduct or Conduct(Deadlines(request=1, write=1), idle_seconds=1, grace_seconds=5)
        self.opened = threading.Event()
        self.process = Process([Door(self.socket, front)], [], conduct, started=self.opened.set)

    def __enter__(self) -> Quick:
        self.log = io.StringIO()
        self._run = running(self.process.run, self.opened, self.process.stop, self.log)
        self._run.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._run.__exit__(None, None, None)
        self.socket.close()

    def connect(self) -> Client:
        return Client(socket.create_connection(self.address, timeout=20))

    def counted(self) -> float:
        return sum(count for part, _, count in self.tally.requests() if part == "ocsp")


class Client:
    """A connection that reads whole answers."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        # What is sent leaves at once, acknowledged or not.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = opened.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *reason: object) -> None:
        self._stream.close()
        self.socket.close()

    def read(self) -> tuple[bytes, list[bytes], bytes]:
        """Status line, names of headers, body."""
        status = self._stream.readline().rstrip()
        headers = {}
        while line := self._stream.readline().rstrip():
            name, _, value = line.partition(b": ")
            headers[name] = value
        return status, list(headers), self._stream.read(int(headers[b"content-length"]))

    def ask(self, *chunks: bytes) -> bytes:
        """The body of the answer to a request that arrives in these chunks."""
        for chunk in chunks:
            self.socket.sendall(chunk)
        return self.read()[2]

    def rest(self) -> bytes:
        return self._stream.read() + received(self.socket)


@pytest.fixture
def quick() -> Iterator[Quick]:
    RELEASED.clear()
    with Quick() as started:
        yield started
        RELEASED.set()


def test_the_second_request_with_a_head_goes_the_short_way(quick: Quick) -> None:
    with quick.connect() as first, quick.connect() as second:
        assert first.ask(request()) == b"long" + BODY
        assert first.ask(request()) == b"short" + BODY
        # Other connections profit, and so do other bodies of the same length.
        other = bytes(len(BODY))
        assert second.ask(request(other)) == b"short" + other
        assert second.ask(request(BODY + b"!")) == b"long" + BODY + b"!"
    assert quick.counted() == 4


def test_both_ways_answer_alike(quick: Quick) -> None:
    with quick.connect() as client:
        client.socket.sendall(request())
        first = client.read()
        client.socket.sendall(request())
        second = client.read()
    assert first[0] == second[0] == b"HTTP/1.1 200 OK"
    assert first[1] == second[1] == [b"date", b"content-type", b"content-length"]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        (b"POST /quick HTTP/1.1", b"connection: close\r\n"),
        (b"POST /quick HTTP/1.0", b""),
        (b"POST /quick HTTP/1.0", b"connection: keep-alive\r\n"),
    ],
)
def test_a_last_request_ends_its_connection(quick: Quick, line: bytes, more: bytes) -> None:
    end = b"content-type: text/plain\r\ncontent-length: %d\r\n"
    with quick.connect() as first, quick.connect() as second:
        first.socket.sendall(request(line=line, more=more))
        answer = first.rest()
        assert answer.endswith(end % 11 + b"connection: close\r\n\r\nlong" + BODY), answer
        second.socket.sendall(request(line=line, more=more))
        answer = second.rest()
        assert b"\r\nconnection: close\r\n" in answer
        assert answer.endswith(end % 12 + b"\r\nshort" + BODY)


def test_requests_in_pieces_go_the_long_way(quick: Quick) -> None:
    whole = request()
    with quick.connect() as client:
        client.ask(whole)
        for cut in (1, 20, len(whole) - len(BODY) - 1, len(whole) - len(BODY), len(whole) - 1):
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The first piece has certainly been read when another connection has its answer.
            client.socket.sendall(whole[:cut])
            with quick.connect() as other:
                assert other.ask(whole) == b"short" + BODY
            assert client.ask(whole[cut:]) == b"long" + BODY
            assert client.ask(whole) == b"short" + BODY


def test_two_at_once_are_answered_in_turn(quick: Quick) -> None:
    with quick.connect() as client:
        client.ask(request())
        client.socket.sendall(request() + request(b"another"))
        assert [client.read()[2], client.read()[2]] == [b"long" + BODY, b"longanother"]
        client.socket.sendall(request() + b"GET /quick HT")
        assert client.read()[2] == b"long" + BODY
        assert client.ask(b"TP/1.1\r\nhost: a\r\n\r\n") == b"long"


def test_what_follows_the_beginning_of_another_message_is_not_its_head(quick: Quick) -> None:
    """A known request within the body of another one is body."""
    inner = request()
    with quick.connect() as client:
        client.ask(inner)
        client.socket.sendall(b"POST /quick HTTP/1.1\r\nhost: b\r\ncontent-length: %d\r\n\r\n" % len(inner))
        with quick.connect() as other:
            other.ask(inner)
        assert client.ask(inner) == b"long" + inner


@pytest.mark.parametrize(
    "head",
    [
        b"GET /quick HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n",
        b"PUT /quick HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n",
        b"POST /quick/ HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\n",
        b"POST /quick HTTP/1.1\r\nhost: a\r\ncontent-length: 007\r\n\r\n",
        b"POST /quick HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\ncontent-length: 7\r\n\r\n",
        b"POST /quick HTTP/1.1\r\nhost: a\r\nx: " + b"a" * LONGEST_HEAD + b"\r\ncontent-length: 7\r\n\r\n",
    ],
    ids=["GET", "PUT", "another path", "zeros", "upgrade", "a long head"],
)
def test_what_always_goes_the_long_way(quick: Quick, head: bytes) -> None:
    with quick.connect() as client:
        for _ in range(2):
            assert client.ask(head + BODY) == b"long" + BODY


def test_empty_lines_before_a_request_are_no_head(quick: Quick) -> None:
    with quick.connect() as client:
        assert client.ask(b"\r\n\r\n" + request()) == b"long" + BODY
        # Were it one, this would be a whole request.
        client.socket.sendall(b"\r\n\r\n" + BODY)
        assert client.read()[0].startswith(b"HTTP/1.1 400 ")


def test_chunks_always_go_the_long_way(quick: Quick) -> None:
    chunked = b"POST /quick HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n7\r\n" + BODY + b"\r\n0\r\n\r\n"
    with quick.connect() as client:
        for _ in range(2):
            assert client.ask(chunked) == b"long" + BODY


def test_what_must_wait_and_what_is_broken_goes_the_long_way(quick: Quick) -> None:
    with quick.connect() as client:
        assert client.ask(request(b"quick..")) == b"longquick.."
        assert client.ask(request(b"wait...")) == b"longwait..."
        assert client.ask(request(b"bug....")) == b"longbug...."
        assert client.ask(request(b"quick..")) == b"shortquick.."
    assert quick.counted() == 4


def test_metered_requests_go_the_long_way() -> None:
    with Quick(limits=Limits(meter=Meter(1, 3))) as quick, quick.connect() as client:
        for _ in range(3):
            assert client.ask(request()) == b"long" + BODY
        client.socket.sendall(request())
        assert client.read()[0].startswith(b"HTTP/1.1 429 ")


def test_the_oldest_idle_one_goes_after_the_short_way_too() -> None:
    conduct = Conduct(Deadlines(request=5, write=1), max_connections=2)
    with Quick(conduct=conduct) as quick, quick.connect() as client, quick.connect() as other:
        assert client.ask(request()) == b"long" + BODY
        assert client.ask(request()) == other.ask(request()) == b"short" + BODY
        with quick.connect() as third:
            assert third.ask(request()) == b"short" + BODY
            assert client.rest() == b""
            assert other.ask(request()) == b"short" + BODY


def test_deadlines_hold_after_the_short_way(quick: Quick) -> None:
    with quick.connect() as client, quick.connect() as idle, quick.connect() as fresh:
        client.ask(request())
        assert client.ask(request()) == idle.ask(request()) == b"short" + BODY
        client.socket.sendall(request()[:-1])
        assert client.rest().startswith(b"HTTP/1.1 408 ")
        # One that is silent is closed without a word, one that never spoke is told why.
        assert idle.rest() == b""
        assert fresh.rest().startswith(b"HTTP/1.1 408 ")


def test_who_does_not_read_is_left() -> None:
    with Quick() as quick, quick.connect() as client, quick.connect() as greedy:
        client.ask(request(bytes(900)))
        assert client.ask(request(bytes(900))).startswith(b"short")
        greedy.socket.settimeout(5)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            greedy.socket.sendall(request(bytes(900)) * 200_000)
        with quick.connect() as later:
            assert later.ask(request(bytes(900))).startswith(b"short")


def unasked(rest: bytes, status: int = 200) -> None:
    raise AssertionError("it was there at once")


def test_an_answer_that_comes_later(quick: Quick) -> None:
    """Others are answered meanwhile; it is counted when it is there."""
    with quick.connect() as client, quick.connect() as other:
        assert client.ask(request(b"x" * 7)) == b"long" + b"x" * 7
        client.socket.sendall(request(b"later.."))
        assert other.ask(request()) == b"short" + BODY
        assert quick.counted() == 2
        RELEASED.set()
        assert client.read()[2] == b"shortlater.."
        assert client.ask(request()) == b"short" + BODY
    assert quick.counted() == 4


def test_what_follows_a_request_waits_for_its_answer(quick: Quick) -> None:
    """Answers stand in the order of the requests, whichever way they go."""
    with quick.connect() as client, quick.connect() as other:
        client.ask(request(b"x" * 7))
        client.socket.sendall(request(b"later.."))
        assert other.ask(request()) == b"short" + BODY
        client.socket.sendall(request())
        assert other.ask(request()) == b"short" + BODY
        client.socket.sendall(request() + request())
        assert other.ask(request()) == b"short" + BODY
        RELEASED.set()
        bodies = [client.read()[2] for _ in range(4)]
        assert bodies[0] == b"shortlater.."
        assert {body.removeprefix(b"long").removeprefix(b"short") for body in bodies[1:]} == {BODY}
        assert client.ask(request()) == b"short" + BODY


def test_who_waits_for_an_answer_is_not_late() -> None:
    """Neither the deadline of requests nor that of idle connections is his."""
    RELEASED.clear()
    with Quick(conduct=Conduct(Deadlines(request=0.5, write=1), idle_seconds=1)) as quick:
        with quick.connect() as first:
            first.ask(request(b"x" * 7))
        client, fresh = quick.connect(), quick.connect()
        assert client.ask(request()) == b"short" + BODY
        for one in (client, fresh):
            one.socket.sendall(request(b"later.."))
        for _ in range(3):
            with quick.connect() as late:
                # Half a second and more have passed when this one is turned away.
                assert late.rest().startswith(b"HTTP/1.1 408 ")
        RELEASED.set()
        for one in (client, fresh):
            with one:
                assert one.read()[2] == b"shortlater.."


def test_who_waits_for_an_answer_makes_no_room() -> None:
    RELEASED.clear()
    conduct = Conduct(Deadlines(request=10, write=1), max_connections=2)
    with Quick(conduct=conduct) as quick, quick.connect() as client:
        client.ask(request(b"x" * 7))
        client.socket.sendall(request(b"later.."))
        with quick.connect() as idle, quick.connect() as third:
            assert third.ask(request()) == b"short" + BODY
            assert idle.rest() == b""
        RELEASED.set()
        assert client.read()[2] == b"shortlater.."


def test_a_server_that_ends_answers_first(quick: Quick) -> None:
    with quick.connect() as client, quick.connect() as other:
        client.ask(request(b"x" * 7))
        other.ask(request())
        client.socket.sendall(request(b"later.."))
        assert other.ask(request()) == b"short" + BODY
        quick.process.stop()
        # An idle connection is closed at once.
        assert other.rest() == b""
        RELEASED.set()
        status, headers, body = client.read()
        assert (status, body) == (b"HTTP/1.1 200 OK", b"shortlater..")
        assert b"connection" in headers
        assert client.rest() == b""


def test_who_has_said_everything_is_answered() -> None:
    """A client that closes its half of the connection after its request."""
    RELEASED.clear()
    with Quick(conduct=Conduct(idle_seconds=60)) as quick, quick.connect() as client, quick.connect() as other:
        client.ask(request(b"x" * 7))
        client.socket.sendall(request(b"later.."))
        client.socket.shutdown(socket.SHUT_WR)
        assert other.ask(request()) == b"short" + BODY
        RELEASED.set()
        assert client.read()[2] == b"shortlater.."
        assert client.rest() == b""


def test_who_went_away_is_answered_nothing(quick: Quick) -> None:
    with quick.connect() as client, quick.connect() as other:
        client.ask(request(b"x" * 7))
        client.socket.sendall(request(b"later.."))
        assert other.ask(request()) == b"short" + BODY
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.socket.close()
        # Its file would keep the socket open.
        client._stream.close()
        assert other.ask(request()) == b"short" + BODY
        RELEASED.set()
        assert other.ask(request()) == b"short" + BODY
    assert "Traceback" not in quick.log.getvalue()


class Nobody:
    """A connection of nobody."""

    address = ""
    tls = None


def quick_way(body: bytes, later: Later, _asker: Asker) -> Said:
    return short_way(body, later)


def test_heads_with_credentials_are_not_kept_and_take_no_others_place() -> None:
    """However many tokens there are: of their heads a digest is kept, and OCSP's heads stay."""
    heads = Heads(lambda _scope: quick_way)
    length = (b"content-length", b"1")
    plain = b"POST /quick HTTP/1.1\r\ncontent-length: 1\r\n\r\n"
    heads.learn(plain + b"b", {"headers": [length]}, b"b", keep_alive=True)
    for number in range(3 * MOST_HEADS):
        for name in (b"authorization", b"x-api-key"):
            secret = b"%b: secret-%d" % (name, number)
            head = b"POST /quick HTTP/1.1\r\n%b\r\ncontent-length: 1\r\n\r\n" % secret
            scope = {"headers": [(name, b"secret-%d" % number), length]}
            heads.learn(head + b"b", scope, b"b", keep_alive=True)
    assert len(heads) == 1 + MOST_HEADS
    assert b"secret-" not in repr(vars(heads)).encode()
    for known in (plain, head):
        assert heads.answer(known + b"c", [], unasked, Nobody()) is not None
        assert heads.answer(known + b"cc", [], unasked, Nobody()) is None
    assert heads.answer(head.replace(b"secret", b"Secret") + b"c", [], unasked, Nobody()) is None


def test_the_heads_that_are_remembered_are_bounded() -> None:
    heads = Heads(lambda _scope: quick_way)
    for number in range(3 * MOST_HEADS):
        head = b"POST /quick HTTP/1.1\r\nx: %d\r\ncontent-length: 1\r\n\r\n" % number
        heads.learn(head + b"b", {"headers": [(b"content-length", b"1")]}, b"b", keep_alive=True)
    assert len(heads) == MOST_HEADS
    assert heads.answer(head + b"c", [], unasked, Nobody()) is not None
    assert heads.answer(head + b"cc", [], unasked, Nobody()) is None
    assert heads.answer(head, [], unasked, Nobody()) is None


# -- what was sent before anybody listened -------------------------------------------------------


class Line(asyncio.Transport):
    """A connection whose other end is ours: what is sent to it is read by whoever looks, what it writes is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.written, self.closed = b"", False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"socket": self.near, "peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """As the loop has it."""

    def resume_reading(self) -> None:
        """As the loop has it."""


def told(
    sent: bytes, then: Callable[[Connection, Line], None], *, known: bool = False, enough: bytes = BODY
) -> bytes:
    """What is answered to a client that had sent ``sent`` when it came; ``then`` is what happens right after that."""

    async def run() -> bytes:
        front = build(
            [Part("ocsp", "", (), apps=(("/quick", long_way),), prompts=(("/quick", short_way),))],
            Tally(["ocsp"]),
            limits=Limits(),
            own={},
        )
        config = uvicorn.Config(front, lifespan="off", interface="asgi3", log_config=None, access_log=False)
        config.load()
        made, line = with_deadlines(Deadlines(), tls=False, find=front.prompt), Line()
        if known:
            length = [(b"host", b"a"), (b"content-length", b"%d" % len(BODY))]
            scope = {"method": "POST", "path": "/quick", "headers": length}
            made.heads.learn(request(), scope, BODY, keep_alive=True)
        line.far.sendall(sent)
        connection = made(config, ServerState(), {}, asyncio.get_running_loop())
        connection.connection_made(line)
        then(connection, line)
        async with asyncio.timeout(20):
            while not line.written.endswith(enough) and not line.closed:
                await asyncio.sleep(0)
        for _ in range(50 if line.closed else 0):
            await asyncio.sleep(0)
        line.near.close()
        line.far.close()
        return line.written

    return asyncio.run(run())


@pytest.mark.parametrize("at", [1, 20, len(request()) - len(BODY), len(request()) - 1])
def test_what_came_early_stands_before_what_comes_next(at: int) -> None:
    """A loop may hear the rest of a request before its beginning's turn has come."""
    whole = request()
    answer = told(whole[:at], lambda connection, _line: connection.data_received(whole[at:]))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nlong" + BODY)
    assert answer.count(b"HTTP/1.1") == 1


def test_what_came_early_is_answered_without_anything_more() -> None:
    assert told(request(), lambda _connection, _line: None).endswith(b"long" + BODY)
    assert told(request(), lambda _connection, _line: None, known=True).endswith(b"short" + BODY)


def test_a_known_request_that_came_early_is_answered_before_anybody_listens() -> None:
    def then(_connection: Connection, line: Line) -> None:
        assert line.written.endswith(b"short" + BODY)

    told(request(), then, known=True)


def test_nothing_came_early() -> None:
    assert told(b"", lambda connection, _line: connection.data_received(request())).endswith(b"long" + BODY)


def test_who_is_cut_off_is_not_answered() -> None:
    """The connection that had to go for another one, before its request was looked at."""
    assert told(request(), lambda connection, _line: connection.drop()) == b""


def test_who_sends_no_more_was_heard() -> None:
    def then(connection: Connection, _line: Line) -> None:
        connection.eof_received()
        assert connection.work is Work.ANSWERING

    assert told(request(), then).endswith(b"long" + BODY)


def test_what_tls_wrapped_is_left_to_tls() -> None:
    """The socket holds records of TLS, which are no octets of a request."""

    async def run() -> None:
        made, line = with_deadlines(Deadlines(), tls=True), Line()
        line.far.sendall(request())
        config = uvicorn.Config(long_way, lifespan="off", interface="asgi3", log_config=None)
        config.load()
        made(config, ServerState(), {}, asyncio.get_running_loop()).connection_made(line)
        await asyncio.sleep(0)
        assert line.near.recv(1000) == request()
        line.near.close()
        line.far.close()

    asyncio.run(run())
