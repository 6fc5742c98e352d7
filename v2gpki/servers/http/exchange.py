"""The little HTTP that the raw ASGI applications share: bodies with a limit, answers, dates.

A body that is too long or comes too slowly is refused. Sources: RFC 9110 (dates, conditional requests), RFC 5019 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from types import coroutine
from typing import Any, TypeAlias

#: ASGI's own shapes: its messages and scopes are mappings of anything.
Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

#: Seconds that a client has to send its body.
PATIENCE = 10.0

_CLOSE: Headers = [(b"connection", b"close")]
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


#: What refusals of HTTP itself are called in the log.
_CODES = {
    404: "serving.no_such_path",
    405: "serving.wrong_method",
    408: "timed_out",
    413: "serving.too_large",
    414: "serving.too_large",
}


class Refusal(Exception):  # noqa: N818  # it is an answer, not an error of ours
    """Ends the exchange with an HTTP status and a line of text."""

    def __init__(self, status: int, text: str, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or []

    @property
    def code(self) -> str:
        """What the log calls it."""
        return _CODES.get(self.status, "bad_request")


class Gone(Exception):  # noqa: N818  # nobody is left to tell
    """The client went away while it was sending."""


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; raises ``Refusal`` 413 above ``limit`` octets, 408 when it does not come, ``Gone``.

    Nearly always it is there already: only when it is not, a deadline is set, which costs a tenth of a request.
    """
    arriving = receive()
    # The first step of awaiting by hand: it ends at once, or gives what the event loop must wait for.
    steps = arriving.__await__()
    try:
        waiting = next(steps)
    except StopIteration as there:
        message: Message = there.value
    else:
        try:
            _check_declared(scope, limit)
        except Refusal:
            steps.close()
            raise
        async with _patience():
            message = await _rest(steps, waiting)
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        _check_declared(scope, limit)
        body = await _more(body, receive, limit)
    if len(body) > limit:
        raise Refusal(413, f"the body may have {limit} octets at most", _CLOSE)
    return body


def _check_declared(scope: Scope, limit: int) -> None:
    """Refuse at once what says itself that it is too long."""
    declared = header(scope, b"content-length")
    if declared is not None and (not declared.isdigit() or len(declared) > 12 or int(declared) > limit):
        raise Refusal(413, f"the body may have {limit} octets at most", _CLOSE)


async def _more(body: bytes, receive: Receive, limit: int) -> bytes:
    """The rest of a body that comes in pieces, as long as it is within the limit."""
    more = True
    async with _patience():
        while more and len(body) <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
    return body


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise Refusal(408, "the body did not come in time", _CLOSE) from None


@coroutine
def _rest(steps: Generator[Any, Any, Message], waiting: object) -> Generator[Any, Any, Message]:
    """Go on with an awaitable whose first step gave ``waiting``."""
    try:
        while True:
            try:
                given = yield waiting
            except BaseException as problem:  # noqa: BLE001 - whatever it is, it is the awaitable's
                waiting = steps.throw(problem)
            else:
                waiting = steps.send(given)
    except StopIteration as done:
        message: Message = done.value
        return message


async def respond(send: Send, status: int, headers: Headers, body: bytes, *, bodiless: bool = False) -> None:
    """Send one whole answer; ``bodiless`` for HEAD and 304, whose length is that of the body they stand for."""
    if status != 304:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless or status == 304 else body})


def note(scope: Scope, code: str) -> None:
    """Have the access line of a request name why it was refused; what was noted first stays."""
    scope.setdefault("state", {}).setdefault("code", code)


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Send a refusal as text."""
    note(scope, refusal.code)
    headers = [_TEXT, (b"cache-control", b"no-store"), *refusal.headers]
    await respond(send, refusal.status, headers, f"{refusal.text}\n".encode())


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of a lower-case name, None when there is none."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for found, value in headers:
        if found == name:
            return value
    return None


def path_below(scope: Scope, prefix: str) -> str | None:
    """What follows ``prefix`` in the path, escapes untouched; None when the path is not below it."""
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    path = raw.decode("latin-1")
    if path == prefix:
        return ""
    return path[len(prefix) + 1 :] if path.startswith(prefix + "/") else None


@lru_cache(maxsize=4096)
def http_date(moment: datetime) -> bytes:
    """An HTTP date."""
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode("ascii")


def unchanged(scope: Scope, etag: bytes) -> bool:
    """Whether the client already has what carries this ETag (If-None-Match)."""
    known = header(scope, b"if-none-match")
    if known is None:
        return False
    tags = {tag.strip().removeprefix(b"W/") for tag in known.split(b",")}
    return etag in tags or b"*" in tags
