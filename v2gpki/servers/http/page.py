"""The page at ``/`` for people: hierarchy, search, certificates, downloads; and the same as JSON.

Read-only and without login. A view is JSON when ``Accept`` prefers it or ``?format=json`` asks, else HTML; both come
from one value. Every answer has an ETag. Nothing is loaded from elsewhere, and the Content-Security-Policy allows
nothing inline. Identifiers of persons come in queries, never in paths; answers to them are not stored.
Sources: CSP level 3, RFC 9110 8.8 and 12.5.1, RFC 9111, RFC 8555 9.1 (application/pem-certificate-chain), RFC 2585.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from threading import Lock
from time import monotonic
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from v2gpki.certs.chain import pem
from v2gpki.certs.cms import certs_only
from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.render.html import asset, page
from v2gpki.render.html.assets import assets
from v2gpki.render.html.links import ASSETS, AUTHORITIES, CERTIFICATES, HIERARCHY, OVERVIEW, SEARCH
from v2gpki.render.svg import tree_svg
from v2gpki.render.tree import TreeNode, plain, tree_lines
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.exchange import http_date, unchanged
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.problem import problem_body, problem_headers, problem_value
from v2gpki.services.browsing import Asked, Sights, tree_value
from v2gpki.store.protocol import Store
from v2gpki.store.records import CertificateState

_Value = TypeVar("_Value")

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Kept, but asked for again each time: a revocation shows at once.
_FRESH = "no-cache"
#: What answers for a person, or says that there is none.
_PRIVATE = "no-store"
_FOR_EVER = "public, max-age=31536000, immutable"
_LONGEST_QUERY = 200
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_MARK = re.compile(r"[0-9]{1,18}")

_PEM = "application/pem-certificate-chain"
#: file -> (media type, its octets from a chain that begins with the certificate)
_FILES: Mapping[str, tuple[str, Callable[[Sequence[bytes]], bytes]]] = {
    "certificate.pem": (_PEM, lambda chain: pem(chain[:1])),
    "certificate.der": ("application/pkix-cert", lambda chain: chain[0]),
    "chain.pem": (_PEM, pem),
    # Sorted, as DER wants a set: who reads PKCS #7 orders it anyway.
    "chain.p7b": ("application/pkcs7-mime; smime-type=certs-only", lambda chain: certs_only(sorted(chain))),
}
_HEADINGS = {403: "Not shown here", 404: "There is nothing here"}


def page_part(
    store: Store,
    sights: Sights,
    clock: Clock,
    executor: Executor,
    *,
    served: Callable[[], Sequence[Part]],
    points: Mapping[str, str] | None = None,
) -> Part:
    """The page as a part. ``served`` tells all parts of this server, ``points`` the URLs that certificates name."""
    views = PageViews(store, sights, clock, executor, served=served, points=points or {})
    return Part("page", "This page", (OVERVIEW,), routes=tuple(views.routes()), signs=False)


class PageViews:
    """One method for each view."""

    def __init__(
        self,
        store: Store,
        sights: Sights,
        clock: Clock,
        executor: Executor,
        *,
        served: Callable[[], Sequence[Part]],
        points: Mapping[str, str],
    ) -> None:
        self._sights = sights
        self._clock = clock
        self._executor = executor
        self._served = served
        self._points = points
        self._kept = Kept(store)

    def routes(self) -> list[BaseRoute]:
        """The routes, for any starlette application."""
        views: Sequence[tuple[str, Callable[[Request], Awaitable[Response]]]] = (
            (OVERVIEW, self.overview),
            (SEARCH, self.search),
            (HIERARCHY + ".svg", self.picture),
            (HIERARCHY + ".txt", self.text),
            (HIERARCHY + ".json", self.tree),
            (AUTHORITIES + "/{name}", self.authority),
            (AUTHORITIES + "/{name}/{file}", self.authority_file),
            (CERTIFICATES + "/{issuer}/{serial}", self.certificate),
            (CERTIFICATES + "/{issuer}/{serial}/{file}", self.certificate_file),
            (ASSETS + "/{digest}/{name}", self.asset),
            ("/favicon.ico", self.icon),
        )
        return [Route(path, partial(self._answered, view), methods=["GET"]) for path, view in views]

    # -- views ---------------------------------------------------------------------------------

    async def overview(self, request: Request) -> Response:
        """The whole home."""
        now = self._clock.now()
        minute = _minute(now)
        value = {
            **await self._executor.call(self._kept.of, "overview", lambda: self._sights.overview(minute), on=minute),
            "services": self._services(request),
            "points": [{"title": title, "url": url} for title, url in self._points.items() if url],
        }
        return await self._view(request, "overview", value, now)

    async def search(self, request: Request) -> Response:
        """What a text finds."""
        text = request.query_params.get("q", "")
        if not text.strip() or len(text) > _LONGEST_QUERY:
            raise V2GPKIError(
                "usage.invalid",
                "the search needs a text" if not text.strip() else "no serial, fingerprint or identifier is so long",
                hint="give the start of a serial or fingerprint, or a whole identifier",
            )
        now = self._clock.now()
        value = await self._executor.call(self._sights.search, text, now)
        return await self._view(request, "search", value, now, keep=_PRIVATE, query=text)

    async def picture(self, request: Request) -> Response:
        """The hierarchy as a picture, whose own style sheet the policy allows by its hash."""
        roots, now = await self._roots()
        drawn = tree_svg(roots, at=now, title=f"{self._sights.org() or 'Plug & Charge'} PKI")
        response = _conditional(request, drawn.encode(), "image/svg+xml", _FRESH)
        style = _STYLE.search(drawn)
        digest = base64.b64encode(sha256(style[1].encode()).digest()).decode("ascii") if style else ""
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return response

    async def text(self, request: Request) -> Response:
        """The hierarchy as lines of text."""
        roots, now = await self._roots()
        lines = plain(tree_lines(roots, at=now)) + "\n"
        return _conditional(request, lines.encode(), "text/plain; charset=utf-8", _FRESH)

    async def tree(self, request: Request) -> Response:
        """The hierarchy as JSON, like that of ``v2gpki tree``."""
        roots, now = await self._roots()
        return _conditional(request, _dumped(tree_value(roots, now)), "application/json", _FRESH)

    async def _roots(self) -> tuple[tuple[TreeNode, ...], datetime]:
        return await self._executor.call(self._kept.of, "roots", self._sights.forest), _minute(self._clock.now())

    async def authority(self, request: Request) -> Response:
        """One authority and a page of what it issued."""
        before = request.query_params.get("before", "")
        state = request.query_params.get("state", "")
        if (before and not _MARK.fullmatch(before)) or state not in ("", "revoked"):
            raise V2GPKIError(
                "usage.invalid", "this page of the list does not exist", hint="follow the links of the list"
            )
        now = self._clock.now()
        name = request.path_params["name"]
        wanted: CertificateState | None = "revoked" if state else None
        value = await self._executor.call(self._sights.authority, name, now, state=wanted, before=int(before or 0))
        value["total"] = await self._executor.call(
            self._kept.of, ("issued", value["id"], state), lambda: self._sights.issued(name, state=wanted)
        )
        return await self._view(request, "authority", value, now, state=state, before=before)

    async def certificate(self, request: Request) -> Response:
        """One certificate."""
        now = self._clock.now()
        asked = _asked(request)
        issuer, serial = request.path_params["issuer"], request.path_params["serial"].lower()
        value = await self._executor.call(self._sights.certificate, issuer, serial, now, asked)
        keep = _PRIVATE if value["personal"] else _FRESH
        revealed = asked.text if value["personal"] and not value["withheld"] else ""
        return await self._view(request, "certificate", value, now, keep=keep, asked=revealed)

    # -- files ---------------------------------------------------------------------------------

    async def authority_file(self, request: Request) -> Response:
        """Certificate, chain or CRL of an authority."""
        name, file = request.path_params["name"], request.path_params["file"]
        if file == "revoked.crl":
            crl, called = await self._executor.call(self._sights.crl, name)
            response = _file(request, crl.der, "application/pkix-crl", f"{called}.crl", _FRESH)
            response.headers["Last-Modified"] = http_date(crl.this_update).decode("ascii")
            return response
        media_type, made = _file_kind(file)
        chain = await self._executor.call(self._sights.authority_chain, name)
        return _file(request, made(chain), media_type, f"{name}-{file}", _FRESH)

    async def certificate_file(self, request: Request) -> Response:
        """A certificate or its chain."""
        media_type, made = _file_kind(request.path_params["file"])
        issuer, serial = request.path_params["issuer"], request.path_params["serial"].lower()
        asked = _asked(request)
        chain = await self._executor.call(self._sights.chain, issuer, serial, asked)
        keep = _PRIVATE if asked.text else _FRESH
        return _file(request, made(chain), media_type, f"{serial[:16]}-{request.path_params['file']}", keep)

    async def asset(self, request: Request) -> Response:
        """Style sheet, script, icon."""
        found = asset(request.path_params["name"])
        if found is None or found.digest != request.path_params["digest"]:
            raise _nothing()
        return _conditional(request, found.content, found.media_type, _FOR_EVER)

    async def icon(self, request: Request) -> Response:
        """The icon where browsers look for one."""
        found = assets()["icon.svg"]
        return _conditional(request, found.content, found.media_type, "public, max-age=86400")

    # -- answers -------------------------------------------------------------------------------

    async def _answered(self, view: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        try:
            return await view(request)
        except V2GPKIError as refusal:
            return await self._refused(request, refusal)

    async def _refused(self, request: Request, refusal: V2GPKIError) -> Response:
        status = refusal.outcome.http
        headers = {name.decode("ascii"): text.decode("ascii") for name, text in problem_headers(refusal)} | _SECURITY
        if _wants_json(request) or status >= 500:
            return Response(problem_body(refusal), status, headers)
        text = page(
            "problem",
            problem_value(refusal),
            org=await self._executor.call(self._sights.org),
            at=self._clock.now(),
            query=request.query_params.get("q", "")[:_LONGEST_QUERY],
            status=status,
            heading=_HEADINGS.get(status, "That does not work"),
        )
        headers["content-type"] = "text/html; charset=utf-8"
        return Response(text, status, headers)

    async def _view(
        self,
        request: Request,
        template: str,
        value: Mapping[str, object],
        now: datetime,
        *,
        keep: str = _FRESH,
        query: str = "",
        **more: object,
    ) -> Response:
        """The value as JSON or as a page."""
        if _wants_json(request):
            response = _conditional(request, _dumped(value), "application/json", keep)
        else:
            org = await self._executor.call(self._sights.org)
            text = page(template, value, org=org, at=_minute(now), query=query, **more)
            response = _conditional(request, text.encode(), "text/html; charset=utf-8", keep)
        response.headers["Vary"] = "Accept"
        return response

    def _services(self, request: Request) -> list[dict[str, object]]:
        """What is served, with whole URLs as this client reaches them."""
        host = request.headers.get("host", "")
        base = f"{request.url.scheme}://{host}" if _HOST.fullmatch(host) else ""
        return [
            {"name": part.name, "title": part.title, "urls": [base + url for url in part.urls]}
            for part in self._served()
            if part.urls
        ]


class Kept:
    """What takes long to make, made once for each revision of the store.

    Where the home is so large that it takes very long, and so busy that every look would find another revision, it is
    made at most a tenth of the time: what is shown may then be a second or two old.
    """

    _LONG = 0.1
    _MOST = 256

    def __init__(self, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._making = Lock()
        self._values: dict[Hashable, tuple[tuple[int, Hashable], float, object]] = {}

    def of(self, key: Hashable, make: Callable[[], _Value], *, on: Hashable = None) -> _Value:
        """The value of a key; ``on`` is what it depends on besides the store."""
        with self._making:
            state = (self._store.revision(), on)
            began = self._clock()
            known = self._values.get(key)
            if known is not None and (known[0] == state or began < known[1]):
                return known[2]  # type: ignore[return-value]  # a key has one kind of value
            value = make()
            took = self._clock() - began
            if len(self._values) >= self._MOST:
                self._values.clear()
            self._values[key] = (state, began + 10 * took if took > self._LONG else 0.0, value)
            return value


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _asked(request: Request) -> Asked:
    return Asked.of(request.query_params.get("id", ""))


def _wants_json(request: Request) -> bool:
    """Whether JSON is asked for by name, or preferred to HTML."""
    given = request.query_params.get("format", "")
    if given:
        return given == "json"
    quality = {"application/json": 0.0, "text/html": 0.0}
    for entry in request.headers.get("accept", "").split(","):
        kind, _, parameters = entry.partition(";")
        kind = kind.strip().lower()
        if kind in quality:
            quality[kind] = _quality(parameters)
    return quality["application/json"] > quality["text/html"]


def _quality(parameters: str) -> float:
    found = re.search(r"(?:^|;)\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)", parameters)
    return float(found[1]) if found else 1.0


def _file_kind(file: str) -> tuple[str, Callable[[Sequence[bytes]], bytes]]:
    if file not in _FILES:
        raise _nothing()
    return _FILES[file]


def _nothing() -> V2GPKIError:
    return V2GPKIError("serving.no_such_path", "nothing is served at this path", hint="begin at /")


def _dumped(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def _conditional(request: Request, body: bytes, media_type: str, keep: str) -> Response:
    """The answer, or 304 when the client has it."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {**_SECURITY, "ETag": etag, "Cache-Control": keep}
    if keep != _PRIVATE and unchanged(request.scope, etag.encode("ascii")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers | {"Content-Type": media_type})


def _file(request: Request, content: bytes, media_type: str, name: str, keep: str) -> Response:
    response = _conditional(request, content, media_type, keep)
    safe = re.sub(r"[^A-Za-z0-9@._-]", "-", name)[:120]
    response.headers["Content-Disposition"] = f'attachment; filename="{safe}"'
    return response
