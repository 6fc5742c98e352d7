"""OCSP over HTTP, as raw ASGI in front of everything else: POST and GET, and the upkeep of its answers.

``POST <prefix>`` with a DER request, ``GET <prefix>/<base64>`` in every way that clients write it. What is no request
is answered malformedRequest with status 200, as RFC 6960 A.1 has it; HTTP statuses are for what is no OCSP: other
methods (405), bodies that are too long (413) or too slow (408), an empty path (400). Good and revoked answers to GET
carry validators and an age for caches; those with a nonce, unknown ones and errors carry no-store. An ETag is that of
the octets (RFC 5019 6.2), so processes that each sign for themselves have different ones for answers that say the same.
Sources: RFC 6960 A.1; RFC 5019 5 and 7.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from v2gpki.certs.ocsp_answer import FAILURES
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.exchange import (
    Gone,
    Headers,
    Receive,
    Refusal,
    Scope,
    Send,
    body_of,
    http_date,
    path_below,
    refuse,
    respond,
    unchanged,
)
from v2gpki.servers.http.part import LATER, Later, Said
from v2gpki.services.ocsp import OcspAnswer, OcspResponder
from v2gpki.services.ocsp.get_path import request_of_path

_LOG = logging.getLogger("v2gpki.ocsp")

#: A request has some hundred octets, a signed one with its certificates a few thousand.
LARGEST_REQUEST = 16 * 1024
#: How long a cache may keep an answer: after so long a revocation is known behind every cache.
KEEP = timedelta(hours=1)
#: What the upkeep does at a time before it lets requests in, and how often it looks, in seconds.
_SLICE, _LOOK = 0.001, 0.3
_RENEW = timedelta(hours=1)
_SECOND = timedelta(seconds=1)

_TYPE = (b"content-type", b"application/ocsp-response")
_NO_STORE: Headers = [_TYPE, (b"cache-control", b"no-store")]
MALFORMED = OcspAnswer(FAILURES["malformedRequest"], "malformedRequest")
_METHODS = [(b"allow", b"GET, HEAD, POST")]


class Elsewhere(Protocol):
    """Answers requests with keys of another process."""

    def ask(self, request: bytes, done: Callable[[OcspAnswer | V2GPKIError], None]) -> None:
        """Have ``done`` called with the answer, or why there is none: once, from the event loop, after this returns."""
        ...


class OcspApp:
    """The ASGI application. ``observe`` is told the status of each answer, for metrics.

    Answers are signed on the event loop, because that takes less time than handing them to a thread; with
    ``elsewhere`` (keys of another process) those that must be signed are asked for there.
    """

    def __init__(
        self,
        responder: OcspResponder,
        clock: Clock,
        *,
        prefix: str = "/ocsp",
        elsewhere: Elsewhere | None = None,
        keep: timedelta = KEEP,
        observe: Callable[[str], None] = lambda _status: None,
    ) -> None:
        self.responder = responder
        self.prefix = prefix.rstrip("/")
        self._clock = clock
        self._elsewhere = elsewhere
        self._keep = keep
        self._observe = observe
        self._upkeep: asyncio.Task[None] | None = None
        self._since = self._until = datetime.min.replace(tzinfo=UTC)
        self._shared: dict[tuple[datetime, datetime], Headers] = {}
        self._plain: dict[int, Headers] = {}
        #: Whether the store was looked at in this turn of the loop.
        self._turn = False
        self._each_signed = responder.live

    def serves(self, path: str) -> bool:
        """Whether a path is this application's."""
        return path == self.prefix or path.startswith(self.prefix + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One exchange."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            try:
                if scope["method"] == "POST":
                    await self._post(scope, receive, send)
                else:
                    await self._other(scope, send)
            except Refusal as refusal:
                await refuse(scope, send, refusal)
            except Gone:
                return

    def prompt(self, body: bytes, later: Later) -> Said:
        """The answer to a POST's body, from its header lines on, or that ``later`` is given it."""
        if len(body) > LARGEST_REQUEST:
            return None
        now = self._clock.now()
        elsewhere = self._elsewhere
        given: OcspAnswer | None
        try:
            if elsewhere is None:
                given = self.responder.answer(body, now, looked=self._turn)
                if self._each_signed:
                    self._looked()
            else:
                given = self.responder.ready(body, now)
        except V2GPKIError as problem:
            given = _broken(problem)
        if given is not None:
            return self._whole(given)
        assert elsewhere is not None
        elsewhere.ask(body, lambda found: later(self._whole(_said(found))))
        return LATER

    def _looked(self) -> None:
        """The store was looked at in this turn of the loop: for all requests that came before it, which are answered in
        the same turn."""
        if not self._turn:
            self._turn = True
            asyncio.get_running_loop().call_soon(self._over)

    def _over(self) -> None:
        self._turn = False

    async def upkeep(self) -> None:
        """Keep answers current until cancelled: revocations by other processes, pre-signing, signers that will end.

        Each process that serves runs one of these beside its requests.
        """
        renewed: datetime | None = None
        while True:
            now = self._clock.now()
            try:
                self.responder.refresh(now)
                if renewed is None or not renewed <= now < renewed + _RENEW:
                    renewed = now
                    await asyncio.to_thread(self.responder.renew, now)
                if self.responder.fill_due(now):
                    await self._fill(now)
            except V2GPKIError as problem:
                _LOG.warning("the upkeep of OCSP answers failed: %s", problem)
            await asyncio.sleep(_LOOK)

    # -- one exchange --------------------------------------------------------------------------

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The usual exchange. An answer to POST is kept by no cache, so it carries nothing for one."""
        body = await body_of(scope, receive, LARGEST_REQUEST)
        now = self._clock.now()
        try:
            answer = self.responder.ready(body, now)
        except V2GPKIError as problem:
            answer = _broken(problem)
        if answer is None:
            answer = await self._answer(body, now)
        self._observe(answer.status)
        size = len(answer.der)
        headers = self._plain.get(size)
        if headers is None:
            headers = self._plain[size] = [_TYPE, (b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.der})

    async def _other(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            raise Refusal(405, "an OCSP responder takes POST and GET", _METHODS)
        now = self._clock.now()
        answer = await self._answer_path(scope, now)
        self._observe(answer.status)
        headers = self._headers(answer, now)
        if headers is _NO_STORE:
            await respond(send, 200, headers, answer.der, bodiless=method == "HEAD")
            return
        etag = b'"' + sha256(answer.der).hexdigest().encode("ascii") + b'"'
        headers = [*headers, (b"etag", etag)]
        if unchanged(scope, etag):
            await respond(send, 304, headers, b"")
        else:
            await respond(send, 200, headers, answer.der, bodiless=method == "HEAD")

    async def _answer(self, request: bytes, now: datetime) -> OcspAnswer:
        elsewhere = self._elsewhere
        try:
            answer = self.responder.answer(request, now) if elsewhere is None else self.responder.ready(request, now)
        except V2GPKIError as problem:
            return _broken(problem)
        if answer is not None:
            return answer
        assert elsewhere is not None
        waiting: asyncio.Future[OcspAnswer] = asyncio.get_running_loop().create_future()

        def done(found: OcspAnswer | V2GPKIError) -> None:
            # A client that went away waits no more.
            if not waiting.done():
                waiting.set_result(_said(found))

        elsewhere.ask(request, done)
        return await waiting

    async def _answer_path(self, scope: Scope, now: datetime) -> OcspAnswer:
        path = path_below(scope, self.prefix)
        if not path or not path.strip("/"):
            raise Refusal(400, "this is an OCSP responder: POST a request, or GET one in base64 behind this path")
        if len(path) > 3 * LARGEST_REQUEST:
            raise Refusal(414, "the path is too long for an OCSP request")
        given = MALFORMED
        with suppress(ValueError):
            given = await self._answer(request_of_path(path), now)
        if given.status != "malformedRequest":
            return given
        try:
            mended = self.responder.mended(path, now)
        except V2GPKIError as problem:
            return _broken(problem)
        return given if mended is None else await self._answer(mended, now)

    def _whole(self, answer: OcspAnswer) -> bytes:
        self._observe(answer.status)
        der = answer.der
        return b"content-type: application/ocsp-response\r\ncontent-length: %d\r\n\r\n%b" % (len(der), der)

    def _headers(self, answer: OcspAnswer, now: datetime) -> Headers:
        """The headers of an answer but for the ETag; those of one second and one signing run are the same."""
        this_update, next_update = answer.this_update, answer.next_update
        if not answer.cacheable or this_update is None or next_update is None:
            return _NO_STORE
        if not self._since <= now < self._until:
            self._since = now.replace(microsecond=0)
            self._until = self._since + _SECOND
            self._shared.clear()
        headers = self._shared.get((this_update, next_update))
        if headers is None:
            expires = min(self._since + self._keep, next_update)
            age = max(0, int((expires - self._since).total_seconds()))
            headers = self._shared[this_update, next_update] = [
                _TYPE,
                (b"cache-control", b"max-age=%d, public, no-transform, must-revalidate" % age),
                (b"last-modified", http_date(this_update)),
                (b"expires", http_date(expires)),
            ]
        return headers

    # -- the life of a process -----------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        """Run the upkeep from start to shutdown, when this application is served by itself."""
        await receive()
        self._upkeep = asyncio.create_task(self.upkeep())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._upkeep.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    async def _fill(self, now: datetime) -> None:
        loop = asyncio.get_running_loop()
        signed = 0
        end = loop.time() + _SLICE
        for _ in self.responder.fill(now):
            signed += 1
            if loop.time() >= end:
                await asyncio.sleep(0)
                end = loop.time() + _SLICE
        _LOG.info("%d OCSP answers signed ahead", signed)


def _said(found: OcspAnswer | V2GPKIError) -> OcspAnswer:
    return _broken(found) if isinstance(found, V2GPKIError) else found


def _broken(problem: V2GPKIError) -> OcspAnswer:
    """What is said when the store cannot be read: tryLater if that passes, else internalError."""
    _LOG.error("an OCSP request could not be answered: %s", problem)
    name = "tryLater" if problem.outcome.http == 503 else "internalError"
    return OcspAnswer(FAILURES[name], name)
