"""The little HTTP that the raw ASGI applications share: bodies with a limit, answers, dates.

A body that is too long or comes too slowly is refused. Sources: RFC 9110 (dates, conditional requests), RFC 5019 7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, TypeAlias

#: ASGI's own shapes: its messages and scopes are mappings of anything.
Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

#: Seconds that a client has to send its body.
PATIENCE = 10.0

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class Refusal(Exception):  # noqa: N818  # it is an answer, not an error of ours
    """Ends the exchange with an HTTP status and a line of text."""

    def __init__(self, status: int, text: str, headers: Headers | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or []


class Gone(Exception):  # noqa: N818  # nobody is left to tell
    """The client went away while it was sending."""


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body; raises ``Refusal`` 413 above ``limit`` octets, 408 when it does not come, ``Gone``."""
    declared = header(scope, b"content-length")
    if declared is not None and (not declared.isdigit() or len(declared) > 12 or int(declared) > limit):
        raise Refusal(413, f"the body may have {limit} octets at most", [(b"connection", b"close")])
    deadline = _Deadline()
    try:
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body") and len(body) <= limit:
            message = await receive()
            body += message.get("body", b"")
    except asyncio.CancelledError:
        if not deadline.passed or deadline.cancelled_by_others():
            raise
        raise Refusal(408, "the body did not come in time", [(b"connection", b"close")]) from None
    finally:
        deadline.end()
    if message["type"] == "http.disconnect":
        raise Gone
    if len(body) > limit:
        raise Refusal(413, f"the body may have {limit} octets at most", [(b"connection", b"close")])
    return body


class _Deadline:
    """Cancels the running task when patience ends: ``asyncio.timeout`` without its price."""

    __slots__ = ("_handle", "_task", "passed")

    def __init__(self) -> None:
        self.passed = False
        self._task = asyncio.current_task()
        self._handle = asyncio.get_running_loop().call_later(PATIENCE, self._pass)

    def end(self) -> None:
        """The body is here, or nobody waits for it any more."""
        self._handle.cancel()

    def cancelled_by_others(self) -> bool:
        """Take back the own cancellation; whether another one remains."""
        return self._task is None or self._task.uncancel() > 0

    def _pass(self) -> None:
        if self._task is not None:
            self.passed = True
            self._task.cancel()


async def respond(send: Send, status: int, headers: Headers, body: bytes, *, bodiless: bool = False) -> None:
    """Send one whole answer; ``bodiless`` for HEAD and 304, whose length is that of the body they stand for."""
    if status != 304:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bodiless or status == 304 else body})


async def refuse(send: Send, refusal: Refusal) -> None:
    """Send a refusal as text."""
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
