"""Drives a raw ASGI application: one exchange, its body in the pieces given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    app: App,
    method: str,
    path: str,
    *,
    body: Sequence[bytes] | None = (b"",),
    headers: Mapping[str, str] | None = None,
    gone: bool = False,
) -> Answered | None:
    """One exchange; ``body`` None never comes, ``gone`` ends it by a disconnect. None when nothing was answered."""

    async def run() -> Answered | None:
        sent: list[dict[str, Any]] = []
        pieces = list(body or ())

        async def receive() -> dict[str, Any]:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces) or gone}
            if gone:
                return {"type": "http.disconnect"}
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        await app(scope, receive, send)
        if not sent:
            return None
        start = sent[0]
        assert start["type"] == "http.response.start"
        return Answered(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(message["body"] for message in sent[1:]),
        )

    return asyncio.run(run())


def answered(app: App, method: str, path: str, **more: Any) -> Answered:
    """The same where an answer must come."""
    found = exchange(app, method, path, **more)
    assert found is not None
    return found
