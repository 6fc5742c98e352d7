"""``/healthz``, ``/readyz`` and ``/metrics``.

Healthy is a process that answers. Ready is one that can do what it serves: the store can be read, and the keys are
unlocked if something that it serves signs. Both are JSON, ``readyz`` with status 503 and each check by name when it is
not; neither says more than that about the machine. They need no credential: who may reach them is the network's to
decide, by a listener of their own if need be.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.exchange import Receive, Refusal, Scope, Send, refuse, respond
from v2gpki.servers.http.metrics import CONTENT_TYPE
from v2gpki.servers.http.part import App
from v2gpki.servers.http.problem import JSON_TYPE

_READ = [(b"allow", b"GET, HEAD")]
_FRESH = (b"cache-control", b"no-store")

#: What can be wrong, by name: "" when it is well, else one word about it.
Checks = Callable[[], Awaitable[Mapping[str, str]]]


def healthz() -> App:
    """The process lives."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
        if not await _reads(scope, send):
            return
        body = json.dumps({"schema": "v2gpki/health/1", "status": "ok"}).encode("ascii") + b"\n"
        await respond(send, 200, [JSON_TYPE, _FRESH], body, bodiless=scope["method"] == "HEAD")

    return answer


def readyz(checks: Checks) -> App:
    """The process can do what it serves."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
        if not await _reads(scope, send):
            return
        found = await checks()
        ready = not any(found.values())
        value = {
            "schema": "v2gpki/ready/1",
            "status": "ready" if ready else "not ready",
            "checks": {name: wrong or "ok" for name, wrong in found.items()},
        }
        body = json.dumps(value).encode("ascii") + b"\n"
        await respond(send, 200 if ready else 503, [JSON_TYPE, _FRESH], body, bodiless=scope["method"] == "HEAD")

    return answer


def metrics(text: Callable[[], Awaitable[bytes]]) -> App:
    """What Prometheus reads."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
        if not await _reads(scope, send):
            return
        headers = [(b"content-type", CONTENT_TYPE), _FRESH]
        await respond(send, 200, headers, await text(), bodiless=scope["method"] == "HEAD")

    return answer


def wrong_with(check: Callable[[], object]) -> str:
    """The code of what a check raises, "" when it passes."""
    try:
        check()
    except V2GPKIError as problem:
        return problem.code
    return ""


async def _reads(scope: Scope, send: Send) -> bool:
    if scope["method"] in ("GET", "HEAD"):
        return True
    await refuse(scope, send, Refusal(405, "this is only read", _READ))
    return False
