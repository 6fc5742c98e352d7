"""The short way of requests that are answered from memory: no parser, no task, no ASGI messages.

A head (everything up to the empty line) that uvicorn's parser has read once, as a whole request with its body, means
the same the next time: heads of requests that an application answers promptly are learnt, and a chunk that is a known
head and as many octets as it announced is answered at once. Nothing is parsed here, so nothing can be read otherwise
than by the parser. Everything else (a head not seen yet, half a request, two at once) goes the long way, where all is
judged. Source: RFC 9112 2, 6 and 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from v2gpki.servers.http.exchange import Scope, header
from v2gpki.servers.http.part import Later, Prompt, When

#: So many heads of so many octets are remembered: a service has some dozens of kinds of clients.
MOST_HEADS, LONGEST_HEAD = 512, 1024
_END = b"\r\n\r\n"
#: The header line of a connection's last answer.
CLOSE = b"connection: close\r\n"
#: What makes a request more than its head and its body.
_UNUSUAL = (b"transfer-encoding", b"expect", b"upgrade")


class _Known(NamedTuple):
    """What a head says: how long the whole request is, who answers it, and whether the connection ends with it."""

    octets: int
    prompt: Prompt
    last: bool


class Heads:
    """Heads that were read before, of all connections of one door. ``find`` tells who answers a request promptly."""

    def __init__(self, find: Callable[[Scope], Prompt | None]) -> None:
        self._find = find
        self._known: dict[bytes, _Known] = {}
        self._headers: Sequence[tuple[bytes, bytes]] = ()
        self._beginning = b""

    def __len__(self) -> int:
        return len(self._known)

    def wanted(self, scope: Scope) -> bool:
        """Whether requests like this one may be answered promptly."""
        return self._find(scope) is not None

    def learn(self, data: bytes, scope: Scope, body: bytes, *, keep_alive: bool) -> None:
        """``data`` was read as one whole request with this body, at the beginning of a message."""
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        if end < len(_END) or data[end:] != body:
            return
        prompt = self._find(scope)
        if prompt is None or any(header(scope, name) is not None for name in _UNUSUAL):
            return
        if header(scope, b"content-length") != b"%d" % len(body):
            return
        if len(self._known) >= MOST_HEADS:
            del self._known[next(iter(self._known))]
        self._known[data[:end]] = _Known(end + len(body), prompt, not keep_alive)

    def answer(
        self, data: bytes, headers: Sequence[tuple[bytes, bytes]], later: Later
    ) -> tuple[bytes, bytes | Literal[When.LATER], bool] | None:
        """The beginning of the answer, the rest of it or that ``later`` is called with it, and whether it is the
        connection's last; None for what goes the long way.

        ``headers`` are those of every answer; ``data`` must begin where a message begins.
        """
        end = data.find(_END, 0, LONGEST_HEAD) + len(_END)
        known = self._known.get(data[:end])
        if known is None or len(data) != known.octets:
            return None
        rest = known.prompt(data[end:], later)
        if rest is None:
            return None
        if headers is not self._headers:
            self._headers = headers
            self._beginning = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return (self._beginning + CLOSE if known.last else self._beginning), rest, known.last
