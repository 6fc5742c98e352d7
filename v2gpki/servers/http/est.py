"""EST over HTTP: the URLs of the field, the bodies that clients really send, and the answers that all of them read.

Every shape of ``services.est.paths`` is served by one route. Answers are base64 in one line with a line end and a
Content-Transfer-Encoding header: BouncyCastle needs the header, strongSwan the one line, and nobody minds the rest;
a label may wrap its lines. Who asks is told by the resolver that the server gives (Basic, bearer, client certificate);
nobody gets 401 with a challenge and no body: BouncyCastle waits for the one and breaks on the other. Requests that
arrive together are answered in one group. Refusals are text for people.
Sources: RFC 7030 3 and 4, RFC 8951, OPCP est.v1, OPNC pki.api.v1.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from starlette.datastructures import QueryParams, URLPath
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound

from v2gpki.certs.cms import certs_only
from v2gpki.certs.csr import load_csr
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.access import Identity, Known, Resolver, digests
from v2gpki.servers.http.client_tls import client_certificate, tls_unique
from v2gpki.servers.http.est_body import check_media_type, request_octets
from v2gpki.servers.http.est_desk import EnrolmentDesk
from v2gpki.servers.http.exchange import Gone, Receive, Refusal, Scope, Send, body_of, header, note, refuse, respond
from v2gpki.servers.http.part import LATER, App, Asker, Later, Personal, Said
from v2gpki.services.est import OPERATIONS, SHAPES, Enrolled, EnrolRequest, EstService, ServerKey, Shape, Target
from v2gpki.services.est.paths import QUERY_EDITION, QUERY_FAMILY, QUERY_LABEL
from v2gpki.services.est.service import Operation

CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"
#: A request has less than 2,000 octets; base64 and armour of the largest that is read have less than this.
LARGEST_BODY = 96 * 1024
_BUSY_SECONDS = 5
_IN_BASE64 = (b"content-transfer-encoding", b"base64")
_CERTIFICATES = ((b"content-type", CERTS_ONLY.encode("ascii")), _IN_BASE64)
#: So many paths are known by heart.
_MOST_PATHS = 512
_OPERATIONS: dict[str, Operation] = {
    "simpleenroll": "enrol",
    "simplereenroll": "reenrol",
    "serverkeygen": "serverkeygen",
}


def est_routes(
    service: EstService, resolver: Resolver, *, realm: str = "EST", scope: str = "est"
) -> list[BaseRoute]:
    """The routes of EST, for any starlette application.

    ``scope`` is what a credential must be good for; ``realm`` is shown to those who have none.
    """
    return [EstRoute(service, resolver, realm=realm, scope=scope)]


class _Asked(NamedTuple):
    """What a path says, "" for what it does not."""

    operation: str
    path: str
    label: str
    edition: str
    family: str


class EstRoute(BaseRoute):
    """All URL shapes and operations; anything else is left to the other routes. ``claim`` tells servers whose front
    does without starlette which paths are EST's."""

    def __init__(
        self,
        service: EstService,
        resolver: Resolver,
        *,
        realm: str = "EST",
        scope: str = "est",
        known: Known = lambda _shown: None,
    ) -> None:
        """``known`` tells without waiting who has shown his credentials before; by default nobody has."""
        self._service = service
        self._resolver = resolver
        self._who = known
        self._scope = scope
        self._challenges = (f'Basic realm="{realm}", charset="UTF-8"', f'Bearer realm="{realm}"')
        self._patterns = tuple(_pattern(shape) for shape in SHAPES.values())
        self._known: dict[str, _Asked] = {}
        # Signing and the store block: two threads, one of them for the groups of requests.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="est")
        self._desk = EnrolmentDesk(service, self._threads)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a URL is one of EST."""
        if scope["type"] == "http" and self._read(_path(scope)) is not None:
            return Match.FULL, {"endpoint": self.handle}
        return Match.NONE, {}

    def claim(self, path: str) -> App | None:
        """The application behind a path, None when it is none of EST's."""
        return None if self._read(path) is None else self.handle

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:  # noqa: ARG002  # starlette's signature
        """There are no names here: ``services.est.paths.url_path`` builds URLs."""
        raise NoMatchFound(name, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = self._read(_path(scope))
        try:
            if asked is None:
                raise Refusal(404, "this is no path of EST")
            response = await self._answer(asked, scope, receive)
        except V2GPKIError as refusal:
            note(scope, refusal.code)
            response = self._refusal(refusal)
        except Refusal as refusal:
            await refuse(scope, send, refusal)
            return
        except Gone:
            return
        await response(scope, receive, send)

    def find(self, scope: Scope) -> Personal | None:
        """Who answers requests with this head at once: a first enrolment by somebody with a credential."""
        asked = self._read(_path(scope))
        if asked is None or asked.operation != "simpleenroll":
            return None
        try:
            shown, target = digests(scope), self._target(asked, scope)
            check_media_type((header(scope, b"content-type") or b"").decode("latin-1"))
        except V2GPKIError:
            return None
        if not shown:
            return None

        def answer(body: bytes, state: dict[str, str], later: Later, asker: Asker) -> Said:
            identity = self._who(shown) if len(body) <= LARGEST_BODY else None
            tls = {"extensions": {"tls": asker.tls}} if asker.tls is not None else {}
            if identity is None or not identity.has(self._scope) or client_certificate(tls) is not None:
                return None
            wanted = self._first(body, identity, target, tls)
            if wanted is None:
                return None
            state["caller"] = identity.name
            self._desk.ask(wanted, partial(self._hand_over, target, state, later))
            return LATER

        return answer

    def _first(self, body: bytes, identity: Identity, target: Target, tls: Scope) -> EnrolRequest | None:
        """The request in a body as ``_enrolled`` reads it; None for one that is refused, which the long way tells."""
        try:
            request = load_csr(request_octets(body))
        except V2GPKIError:
            return None
        return EnrolRequest(_registered(identity), request, target, "enrol", None, tls_unique(tls), identity.name)

    def _hand_over(
        self, target: Target, state: dict[str, str], later: Later, answer: Enrolled | V2GPKIError
    ) -> None:
        """Give an answer to a connection that waits for it."""
        if isinstance(answer, V2GPKIError):
            state["code"] = answer.code
            refusal = self._refusal(answer)
            later(_plain(refusal.raw_headers, bytes(refusal.body)), refusal.status_code)
        else:
            body = _base64(certs_only([answer.record.der]), self._service.labels.options(target).wrap)
            later(_plain([*_CERTIFICATES, (b"content-length", b"%d" % len(body))], body))

    def _read(self, path: str) -> _Asked | None:
        asked = self._known.get(path)
        if asked is None:
            for pattern in self._patterns:
                found = pattern.fullmatch(path)
                if found is not None:
                    given = found.groupdict("")
                    asked = _Asked(*(given.get(name, "") for name in _Asked._fields))
                    if len(self._known) < _MOST_PATHS:
                        self._known[path] = asked
                    break
        return asked

    async def _answer(self, asked: _Asked, scope: Scope, receive: Receive) -> App:
        operation = asked.operation
        method, shown = OPERATIONS[operation], str(scope["method"])
        if shown not in ((method, "HEAD") if method == "GET" else (method,)):
            headers = {"Allow": "GET, HEAD" if method == "GET" else method}
            note(scope, "serving.wrong_method")
            return _text(405, f"{operation} takes {method}, not {shown[:20]}", headers)
        if operation == "fullcmc":
            raise V2GPKIError("est.not_implemented", "full CMC is not served here", hint="use simpleenroll")
        if method == "GET":
            return await self._told(operation, self._target(asked, scope))
        return await self._enrolled(asked, scope, receive)

    async def _told(self, operation: str, target: Target) -> App:
        """CA certificates and request attributes: for everybody."""
        loop = asyncio.get_running_loop()
        wrap = self._service.labels.options(target).wrap
        if operation == "cacerts":
            certificates = await loop.run_in_executor(self._threads, self._service.cacerts, target)
            return _encoded(certs_only(certificates), CERTS_ONLY, wrap)
        attributes = await loop.run_in_executor(self._threads, self._service.csrattrs, target)
        return Response(status_code=204) if attributes is None else _encoded(attributes, "application/csrattrs", wrap)

    async def _enrolled(self, asked: _Asked, scope: Scope, receive: Receive) -> App:
        operation = asked.operation
        # The body first: a client that still sends when it is refused sees a broken connection and no 401.
        body = await body_of(scope, receive, LARGEST_BODY)
        identity = await self._resolver(scope)
        current = client_certificate(scope)
        if identity is None and not (operation == "simplereenroll" and current is not None):
            note(scope, "access.refused")
            return self._unauthenticated()
        if identity is not None and not identity.has(self._scope):
            raise V2GPKIError(
                "est.no_scope",
                f"the credential of {identity.name!r} is not good for enrolment",
                hint=f"use one with the scope {self._scope}",
                facts={"identity": identity.name, "scope": self._scope},
            )
        target = self._target(asked, scope)
        check_media_type((header(scope, b"content-type") or b"").decode("latin-1"))
        wanted = EnrolRequest(
            _registered(identity),
            # Here and not with the group: this is what a group does not make cheaper, and it can be done while the one
            # before is written to the disk.
            load_csr(request_octets(body)),
            target,
            _OPERATIONS[operation],
            current,
            tls_unique(scope),
            identity.name if identity is not None else "",
        )
        wrap = self._service.labels.options(target).wrap
        if operation == "serverkeygen":
            made = await asyncio.get_running_loop().run_in_executor(self._threads, self._service.server_key, wanted)
            return _server_key(made, wrap)
        enrolled = await self._desk.answer(wanted)
        return _encoded(certs_only([enrolled.record.der]), CERTS_ONLY, wrap)

    def _target(self, asked: _Asked, scope: Scope) -> Target:
        """What path and query ask for; segments before ``.well-known`` are label, edition and family."""
        _, path, label, edition, family = asked
        if scope["query_string"] or path:
            query = QueryParams(scope["query_string"])
            segments = [segment for segment in path.split("/") if segment]
            label = label or _first(query, QUERY_LABEL) or "".join(segments[:1])
            edition = edition or _first(query, QUERY_EDITION) or "".join(segments[1:2])
            family = family or _first(query, QUERY_FAMILY) or "".join(segments[2:3])
        return self._service.labels.target(label, edition, family)

    def _unauthenticated(self) -> Response:
        """The challenge. No body: BouncyCastle closes it unread and takes what is left of it for a broken answer."""
        response = Response(status_code=401)
        for challenge in self._challenges:
            response.headers.append("WWW-Authenticate", challenge)
        return response

    def _refusal(self, refusal: V2GPKIError) -> Response:
        status = refusal.outcome.http
        headers: dict[str, str] = {}
        wait = refusal.facts.get("retry_after")
        if status in (202, 429, 503):
            headers["Retry-After"] = str(wait if isinstance(wait, int) else _BUSY_SECONDS)
        return self._unauthenticated() if status == 401 else _text(status, _said(refusal), headers)


def _pattern(shape: Shape) -> re.Pattern[str]:
    """The URLs of one shape: base, operation, and behind it, if given, ISO version and algorithm."""
    base = re.escape(shape.base).replace(r"\{label\}", "(?P<label>[^/]+)").replace(r"\{path\}", "(?P<path>.+?)")
    operations = "|".join(shape.operations)
    return re.compile(rf"/*{base}/(?P<operation>{operations})(?:/(?P<edition>[^/]+))?(?:/(?P<family>[^/]+))?/?")


def _registered(identity: Identity | None) -> str:
    """The name under which the registration table knows the caller, "" for nobody."""
    return "" if identity is None else identity.registration or identity.name


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


@dataclass(frozen=True, slots=True)
class _Encoded:
    """An answer in base64."""

    body: bytes
    media_type: bytes

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", self.media_type), _IN_BASE64]
        await respond(send, 200, headers, self.body)


def _plain(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Header lines and body."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers) + b"\r\n" + body


def _encoded(content: bytes, media_type: str, wrap: int) -> _Encoded:
    return _Encoded(_base64(content, wrap), media_type.encode("ascii"))


def _base64(content: bytes, wrap: int) -> bytes:
    text = base64.b64encode(content)
    if wrap <= 0:
        return text + b"\n"
    return b"".join(text[at : at + wrap] + b"\n" for at in range(0, len(text), wrap))


def _server_key(made: ServerKey, wrap: int) -> Response:
    """Two parts, the key first (RFC 7030 4.4.2)."""
    boundary = f"est-{os.urandom(12).hex()}"
    parts = (("application/pkcs8", made.private_key), (CERTS_ONLY, certs_only([made.enrolled.record.der])))
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode("ascii")
        + _base64(content, wrap).replace(b"\n", b"\r\n")
        for kind, content in parts
    )
    body += f"--{boundary}--\r\n".encode("ascii")
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "Cache-Control": "no-store"}
    return Response(body, headers=headers)


def _text(status: int, text: str, headers: dict[str, str]) -> Response:
    return Response(text + "\n", status, headers | {"Content-Type": "text/plain; charset=utf-8"})


def _said(refusal: V2GPKIError) -> str:
    """What went wrong, its code, and what to do, for the person who reads the client's log."""
    lines = [f"{refusal.message} [{refusal.code}]"]
    if refusal.hint:
        lines.append(f"hint: {refusal.hint}")
    if refusal.clause:
        lines.append(f"see: {refusal.clause}")
    return "\n".join(lines)


def _first(query: QueryParams, names: tuple[str, ...]) -> str:
    return next((query[name] for name in names if query.get(name)), "")
