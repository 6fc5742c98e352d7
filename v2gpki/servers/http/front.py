"""The front of the HTTP application: raw ASGI before anything else, the same for every request.

It gives each request an id and a part to count for, turns away what comes too often or is too large, hands it to the
raw application that its path belongs to or to starlette, catches what went wrong, measures, and has it logged
(``lines``). Sources: RFC 9110 15, RFC 6585 4 (429).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.exchange import Headers, Message, Receive, Scope, Send, header, note, respond
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.lines import Lines
from v2gpki.servers.http.part import App, Claim, Respond
from v2gpki.servers.http.problem import problem_body, problem_headers
from v2gpki.servers.http.tally import Tally

_LOG = logging.getLogger("v2gpki.serve")

REQUEST_ID = b"x-request-id"
#: What is counted when the client went away before it was answered.
GONE = 499
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the front turns away: bodies above ``body`` octets, addresses above their ``meter``."""

    body: int = 1024 * 1024
    meter: Meter | None = None


@dataclass(slots=True)
class Front:
    """The application. ``apps`` are (part, application) by the first segment of the path; of other paths the ``claims``
    of parts are asked in turn; ``rest`` takes what nobody claims.
    ``quiet`` parts are logged only when they fail."""

    apps: Mapping[str, tuple[str, App]]
    rest: App
    tally: Tally
    limits: Limits
    quiet: frozenset[str] = frozenset({"ocsp", "crl", "health", "metrics"})
    lines: Lines = field(default_factory=Lines)
    #: Parts whose requests no meter counts: probes come from few addresses.
    unmetered: frozenset[str] = frozenset({"health"})
    #: Parts that limit their bodies themselves, and whose answers caches keep: no id, no line for each.
    lean: frozenset[str] = frozenset({"ocsp"})
    #: Who answers a POST to a path at once, and counts it; then those who are asked by the head.
    prompts: Mapping[str, Respond] = field(default_factory=dict)
    finds: Sequence[Callable[[Scope], Respond | None]] = ()
    claims: Sequence[tuple[str, Claim]] = ()

    def prompt(self, scope: Scope) -> Respond | None:
        """Who answers requests with this head without going through here; nobody when each must be metered."""
        if scope["method"] != "POST" or self.limits.meter is not None:
            return None
        found = self.prompts.get(scope["path"])
        if found is not None:
            return found
        return next((found for find in self.finds if (found := find(scope)) is not None), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await _decline(scope, receive, send)
            return
        path: str = scope["path"]
        part, app = self._behind(path)
        if part in self.lean and self.limits.meter is None:
            await self._lean(app, part, scope, receive, send)
            return
        await _Exchange(self, scope, receive, send, part).run(app)

    async def _lean(self, app: App, part: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The short way of requests that come by the ten thousand a second: measured, and logged when they fail."""
        began = perf_counter()
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if status == 0:
                status = message["status"]
                if status == 413:
                    self.tally.event("too_large")
                    message["headers"] = _staying(message["headers"])
            await send(message)

        try:
            await app(scope, receive, counted)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the outermost border of a request: it must not take the others with it
            self.tally.event("failed")
            _LOG.exception("a request failed", extra={"part": part})
            if status == 0:
                await respond(counted, 500, [], b"")
        finally:
            self.tally.request(part, status or GONE, perf_counter() - began)
            if status >= 400:
                self.lines.request(scope, part, status, perf_counter() - began)

    def _behind(self, path: str) -> tuple[str, App]:
        """Part and application of a path; what starlette routes says its part when it is found (``of_part``)."""
        end = path.find("/", 1)
        found = self.apps.get(path if end < 0 else path[:end])
        if found is not None:
            return found
        for part, claim in self.claims:
            app = claim(path)
            if app is not None:
                return part, app
        return "other", self.rest


class _Exchange:
    """One request on its way: measures, limits the body, marks the answer with the request's id."""

    __slots__ = ("_began", "_done", "_front", "_id", "_part", "_receive", "_received", "_scope", "_send", "_status")

    def __init__(self, front: Front, scope: Scope, receive: Receive, send: Send, part: str) -> None:
        self._front = front
        self._scope = scope
        self._receive = receive
        self._send = send
        self._part = part
        self._began = perf_counter()
        self._status = 0
        self._received = 0
        self._done = False
        self._id = b""

    async def run(self, app: App) -> None:
        front, scope = self._front, self._scope
        self._id = request_id(scope)
        scope.setdefault("state", {})["request_id"] = self._id.decode("ascii")
        try:
            self._judge()
            await app(scope, self.receive, self.send)
        except V2GPKIError as refusal:
            note(scope, refusal.code)
            if refusal.outcome.http >= 500:
                _LOG.error("%s", refusal, extra={"code": refusal.code, "request_id": self._id.decode("ascii")})
            await self._answer(refusal)
        except asyncio.CancelledError:
            self._status = self._status or 503
            raise
        except Exception:  # noqa: BLE001 - the outermost border of a request: it must not take the others with it
            front.tally.event("failed")
            _LOG.exception("a request failed", extra={"part": self._part, "request_id": self._id.decode("ascii")})
            await self._answer(V2GPKIError("internal.bug", "something in the service is broken"))
        finally:
            self._note()

    async def receive(self) -> Message:
        """Octets of the body, counted."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._front.limits.body:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """The answer, marked."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (REQUEST_ID, self._id)]
            if self._status == 413:
                self._front.tally.event("too_large")
                headers = _staying(headers)
            message["headers"] = headers
        await self._send(message)
        self._done = message["type"] == "http.response.body" and not message.get("more_body", False)

    def _judge(self) -> None:
        """Turn away what nothing needs to read."""
        front = self._front
        declared = header(self._scope, b"content-length")
        if declared is not None and (not declared.isdigit() or int(declared[:16]) > front.limits.body):
            raise self._too_large()
        meter = front.limits.meter
        if meter is not None and self._part not in front.unmetered:
            client = self._scope.get("client") or ("", 0)
            wait = meter.wait(client[0])
            if wait:
                front.tally.event("rate_limited")
                raise V2GPKIError(
                    "serving.rate_limited",
                    "this address sends more requests than it may",
                    hint=f"come back in {wait} s",
                    clause="RFC 6585 4",
                    facts={"retry_after": wait},
                )

    def _too_large(self) -> V2GPKIError:
        limit = self._front.limits.body
        return V2GPKIError(
            "serving.too_large",
            f"the body may have {limit} octets at most",
            clause="RFC 9110 15.5.14",
            facts={"limit": limit},
        )

    async def _answer(self, refusal: V2GPKIError) -> None:
        if self._done:
            return
        if self._status:
            # The answer had begun; the server cuts the connection.
            raise refusal
        await respond(self.send, refusal.outcome.http, problem_headers(refusal), problem_body(refusal))

    def _note(self) -> None:
        front = self._front
        self._part = self._scope["state"].get("part", self._part)
        seconds = perf_counter() - self._began
        status = self._status or GONE
        front.tally.request(self._part, status, seconds)
        if status >= 400 or self._part not in front.quiet:
            front.lines.request(self._scope, self._part, status, seconds)


def _staying(headers: Headers) -> Headers:
    """Without ``connection: close``: a connection that is closed while its client still sends is reset, and the client
    never reads why it was refused. What it sends on is read and forgotten until its deadline."""
    return [(name, value) for name, value in headers if name != b"connection"]


def request_id(scope: Scope) -> bytes:
    """The id that a proxy gave, if it is a harmless one, else a new one."""
    given = given_id(scope)
    return given if given is not None else os.urandom(8).hex().encode("ascii")


def given_id(scope: Scope) -> bytes | None:
    """The id that a proxy gave, if it is a harmless one."""
    given = header(scope, REQUEST_ID)
    return given if given is not None and _GIVEN_ID.fullmatch(given) else None


async def _decline(scope: Scope, receive: Receive, send: Send) -> None:
    """Lifespan is none of the front's; there are no web sockets here."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
