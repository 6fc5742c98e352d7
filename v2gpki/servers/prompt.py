"""The short way of requests that are answered from memory: no parser, no task, no ASGI messages.

A head (everything up to the empty line) that uvicorn's parser has read once, as a whole request with its body, means
the same the next time: heads of requests that an application answers promptly are learnt, and a chunk that is a known
head and as many octets as it announced is answered at once. Nothing is parsed here, so nothing can be read otherwise
than by the parser. Of heads with credentials a digest is kept. Everything else (a head not seen yet, half a request,
two at once) goes the long way, where all is judged. Source: RFC 9112 2, 6 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Literal, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from v2gpki.servers.http.exchange import Scope, header
from v2gpki.servers.http.part import Asker, Later, Respond, When

#: So many heads of so many octets are remembered: a service has some dozens of kinds of clients.
MOST_HEADS, LONGEST_HEAD = 512, 1024
_END = b"\r\n\r\n"
#: The header line of a connection's last answer.
CLOSE = b"connection: close\r\n"
#: The status line of a beginning, which ``with_status`` exchanges.
OK = b"HTTP/1.1 200 OK\r\n"
#: Headers that hold credentials.
_CREDENTIALS = (b"authorization", b"x-api-key", b"cookie", b"proxy-authorization")
#: What makes a request more than its head and its body.
_UNUSUAL = (b"transfer-encoding", b"expect", b"upgrade")


class _Known(NamedTuple):
    """What a head says: how long the whole request is, who answers it, and whether the connection ends with it."""

    octets: int
    respond: Respond
    last: bool


class Heads:
    """Heads that were read before, of all connections of one door. ``find`` tells who answers a request promptly."""

    def __init__(self, find: Callable[[Scope], Respond | None]) -> None:
        self._find = find
        self._known: dict[bytes, _Known] = {}
        #: Those that hold a credential, by their SHA-256: it is not kept, and however many there are, they take no
        #: other head's place.
        self._secret: dict[bytes, _Known] = {}
        self._headers: Sequence[tuple[bytes, bytes]] = ()
        self._beginning = b""

    def __len__(self) -> int:
        return len(self._known) + len(self._secret)

    def wanted(self, scope: Scope) -> bool:
        """Whether requests like this one may be answered promptly."""
        return self._find(scope) is not None

    def learn(self, data: bytes, scope: Scope, body: bytes, *, keep_alive: bool) -> None:
        """``data`` was read as one whole request with this body, at the beginning of a message."""
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        if end < len(_END) or data[end:] != body:
            return
        respond = self._find(scope)
        if respond is None or any(header(scope, name) is not None for name in _UNUSUAL):
            return
        if header(scope, b"content-length") != b"%d" % len(body):
            return
        secret = any(header(scope, name) is not None for name in _CREDENTIALS)
        among, head = (self._secret, sha256(data[:end]).digest()) if secret else (self._known, data[:end])
        if len(among) >= MOST_HEADS:
            del among[next(iter(among))]
        among[head] = _Known(end + len(body), respond, not keep_alive)

    def answer(
        self, data: bytes, headers: Sequence[tuple[bytes, bytes]], later: Later, asker: Asker
    ) -> tuple[bytes, bytes | Literal[When.LATER], bool] | None:
        """The beginning of the answer, the rest of it or that ``later`` is called with it, and whether it is the
        connection's last; None for what goes the long way.

        ``headers`` are those of every answer; ``data`` must begin where a message begins.
        """
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        head = data[:end]
        known = self._known.get(head)
        if known is None and self._secret:
            known = self._secret.get(sha256(head).digest())
        if known is None or len(data) != known.octets:
            return None
        rest = known.respond(data[end:], later, asker)
        if rest is None:
            return None
        if headers is not self._headers:
            self._headers = headers
            self._beginning = OK + b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return (self._beginning + CLOSE if known.last else self._beginning), rest, known.last


def with_status(beginning: bytes, status: int) -> bytes:
    """The beginning of an answer with another status than 200."""
    return beginning if status == HTTPStatus.OK else STATUS_LINE[status] + beginning.removeprefix(OK)
