"""CRLs at their distribution points, as raw ASGI: ``GET <prefix>/<authority>.crl``, DER.

``<authority>`` is a slug for its first generation and ``slug-n`` for the n-th, as certificates name them
(`services.crl_names`), or ``slug@n`` for any. Served is what stands in the store, whatever became of the authority;
``services.publication`` sees to it that there is a current one. A list that is still to be published for the first time
is answered 503 with Retry-After: 404 would say that the certificates name a wrong place.
Sources: RFC 5280 4.2.1.13; RFC 2585 (media type); RFC 9110 15.6.4.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from hashlib import sha256

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.exchange import (
    Headers,
    Receive,
    Refusal,
    Scope,
    Send,
    http_date,
    note,
    path_below,
    refuse,
    respond,
    unchanged,
)
from v2gpki.services.crl_names import authority_named
from v2gpki.services.publication import CrlPublication, publishes
from v2gpki.store.protocol import Store
from v2gpki.store.records import AuthorityRecord, CrlRecord

_LOG = logging.getLogger("v2gpki.crl")

_SUFFIX = ".crl"
_LONGEST_NAME = 120
#: Seconds between two looks whether a list is due.
_LOOK = 5.0


class CrlApp:
    """The ASGI application; ``publication`` None serves what is there and signs nothing."""

    def __init__(
        self, store: Store, clock: Clock, *, prefix: str = "/crl", publication: CrlPublication | None = None
    ) -> None:
        self.prefix = prefix.rstrip("/")
        self._store = store
        self._clock = clock
        self._publication = publication
        self._known: dict[str, tuple[CrlRecord, bytes]] = {}
        self._revision = -1

    def serves(self, path: str) -> bool:
        """Whether a path is this application's."""
        return path.startswith(self.prefix + "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """One exchange."""
        if scope["type"] != "http":
            return
        try:
            await self._exchange(scope, send)
        except Refusal as refusal:
            await refuse(scope, send, refusal)

    async def upkeep(self) -> None:
        """Publish what is due until cancelled; of several processes one does."""
        while self._publication is not None:
            try:
                published = await asyncio.to_thread(self._publication.run, self._clock.now())
                for record in published:
                    _LOG.info("CRL %d of %s published", record.number, record.issuer_id)
            except V2GPKIError as problem:
                _LOG.warning("CRLs could not be published: %s", problem)
            await asyncio.sleep(_LOOK)

    async def _exchange(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            raise Refusal(405, "a CRL is only read", [(b"allow", b"GET, HEAD")])
        name = path_below(scope, self.prefix) or ""
        try:
            found = self._crl(name.removesuffix(_SUFFIX)) if name.endswith(_SUFFIX) else None
        except V2GPKIError as problem:
            _LOG.error("a CRL could not be read: %s", problem)
            note(scope, problem.code)
            raise Refusal(problem.outcome.http, "the CRL cannot be read now") from problem
        if found is None:
            raise self._nothing(scope, name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else "")
        record, etag = found
        headers = self._headers(record, etag, self._clock.now())
        if unchanged(scope, etag):
            await respond(send, 304, headers, b"")
        else:
            await respond(send, 200, headers, record.der, bodiless=method == "HEAD")

    def _crl(self, name: str) -> tuple[CrlRecord, bytes] | None:
        """The newest CRL of an authority with its ETag; a list may have megabytes and is read once."""
        revision = self._store.revision()
        if revision != self._revision:
            self._known.clear()
            self._revision = revision
        known = self._known.get(name)
        if known is None:
            authority = self._authority(name)
            record = None if authority is None else self._store.latest_crl(authority.id)
            if record is None:
                return None
            etag = b'"' + sha256(record.der).hexdigest().encode("ascii") + b'"'
            known = self._known[name] = record, etag
        return known

    def _nothing(self, scope: Scope, name: str) -> Refusal:
        """The refusal where no list stands: its authority has not published yet, or there is none."""
        authority = self._authority(name)
        if authority is None or not publishes(self._store, authority, self._clock.now()):
            return Refusal(404, "there is no such CRL")
        note(scope, "not_published")
        return Refusal(503, "this CRL is not published yet", [(b"retry-after", b"%d" % _LOOK)])

    def _authority(self, name: str) -> AuthorityRecord | None:
        name = name.replace("%40", "@")
        return authority_named(self._store, name) if 0 < len(name) <= _LONGEST_NAME else None

    @staticmethod
    def _headers(record: CrlRecord, etag: bytes, now: datetime) -> Headers:
        left = max(0, int((record.next_update - now).total_seconds()))
        expires = record.next_update if left else now.replace(microsecond=0)
        return [
            (b"content-type", b"application/pkix-crl"),
            # An hour at most, so that a list published early, after a revocation, is soon seen.
            (b"cache-control", b"max-age=%d, public, no-transform" % min(left, 3600)),
            (b"etag", etag),
            (b"last-modified", http_date(record.this_update)),
            (b"expires", http_date(expires)),
        ]
