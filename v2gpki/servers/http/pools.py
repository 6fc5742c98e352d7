"""The pools over HTTP, in any dialect: who asks, what is asked, and refusals as ``{errorMessages, traceId}``.

A dialect is a table of `Operation`s: method, path, what it takes, and a function from a `Call` to a `Reply`. Here
stands what all of them share: the caller must be known and have a role before anything is looked at, bodies are JSON
and bounded, services run in threads, and a refusal goes out with a status that the operation's description has.
Whatever is wrong inside is told as 500 with a trace id, and nothing more. Sources: OPCP 1.0, OPNC v1, RFC 6750.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from v2gpki.errors import EXIT_BUG, EXIT_ENVIRONMENT, V2GPKIError
from v2gpki.servers.http.access import Identity, Resolver
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.exchange import Gone, Refusal, body_of, note
from v2gpki.servers.http.fields import Fields, Json, read_object
from v2gpki.services.ecosystem import Party, Role

_LOG = logging.getLogger("v2gpki.pools")

#: The largest body that an operation takes: a -20 request in base64 has 15 kB.
LARGEST_BODY = 256 * 1024
#: Statuses that every description has; others of ours become 400.
COMMON = frozenset({400, 401, 403, 500, 502, 503})
#: What a credential must be good for to act in a role; ``pools`` is good for every role but the operator's.
SCOPES: Mapping[str, tuple[Role, ...]] = {
    "pools": ("mo", "oem", "cpo", "cps"),
    "pools:mo": ("mo",),
    "pools:oem": ("oem",),
    "pools:cpo": ("cpo",),
    "pools:cps": ("cps",),
    "pools:admin": ("admin",),
    "*": ("mo", "oem", "cpo", "cps", "admin"),
}
_MEDIA_TYPE = "application/json"
_TRACE = "traceId"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as an operation sees it: who asks, the parameters of path and query, headers, the body's fields."""

    party: Party
    path: Mapping[str, str]
    query: QueryParams
    headers: Headers
    body: Fields

    def flag(self, name: str, default: bool) -> bool:
        """A header that is true or false; raises ``ecosystem.bad_parameter``."""
        value = self.headers.get(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise bad_parameter(name, "must be true or false")
        return value.lower() == "true"

    def parameter(self, name: str, *, pattern: re.Pattern[str] | None = None, default: str = "") -> str:
        """A parameter of the query; raises ``ecosystem.bad_parameter``."""
        values = self.query.getlist(name)
        if not values:
            return default
        if len(values) > 1:
            raise bad_parameter(name, "is given more than once")
        if pattern is not None and not pattern.fullmatch(values[0]):
            raise bad_parameter(name, f"must match {pattern.pattern}")
        return values[0]

    def segment(self, name: str, pattern: re.Pattern[str]) -> str:
        """A part of the path; raises ``ecosystem.bad_parameter``."""
        value = self.path[name]
        if not pattern.fullmatch(value):
            raise bad_parameter(name, f"must match {pattern.pattern}")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: the status and a JSON value, None for an empty body; or a refusal that tells more beside its
    messages, whose status is its own."""

    value: Json = None
    status: int = 200
    refusal: V2GPKIError | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a dialect.

    ``function`` runs in a thread; ``statuses`` are those of refusals that its description has beside the common ones;
    ``takes_body`` says that there must be a JSON object. A credential with ``scope`` is good for the operation though
    it grants no role. Aliases are other paths of the same operation.
    """

    method: str
    path: str
    function: Callable[[Call], Reply]
    statuses: frozenset[int] = frozenset({404})
    takes_body: bool = False
    scope: str = ""
    aliases: tuple[str, ...] = field(default=())


def routes(operations: Sequence[Operation], resolver: Resolver, executor: Executor, *, realm: str) -> list[BaseRoute]:
    """The routes of a dialect, for any starlette application. Literal paths come before those with parameters."""
    found: list[Route] = [
        Route(path, _Endpoint(operation, resolver, executor, realm).answer, methods=[operation.method])
        for operation in operations
        for path in (operation.path, *operation.aliases)
    ]
    found.sort(key=lambda route: [segment.startswith("{") for segment in route.path.split("/")])
    return [*found]


def party_of(identity: Identity) -> Party:
    """The caller with the roles that its credential grants."""
    granted = [role for scope in identity.scopes for role in SCOPES.get(scope, ())]
    return Party(identity.registration or identity.name, frozenset(granted), identity.name)


def bad_parameter(name: str, what: str) -> V2GPKIError:
    """The refusal of a parameter of path, query or header."""
    return V2GPKIError(
        "ecosystem.bad_parameter",
        f"{name}: {what}",
        hint="see the description of the operation",
        clause="OPCP 1.0, OPNC v1",
        facts={"parameter": name},
    )


class _Endpoint:
    """Answers the calls of one operation."""

    def __init__(self, operation: Operation, resolver: Resolver, executor: Executor, realm: str) -> None:
        self._operation = operation
        self._resolver = resolver
        self._executor = executor
        self._realm = realm

    async def answer(self, request: Request) -> Response:
        """One call."""
        trace = str(uuid.uuid4())
        try:
            call = await self._call(request)
            reply = await self._executor.call(self._operation.function, call)
        except V2GPKIError as refusal:
            note(request.scope, refusal.code)
            return self._refused(refusal, trace)
        except Refusal as refusal:
            note(request.scope, refusal.code)
            return _answer(refusal.status, {"errorMessages": [refusal.text], _TRACE: trace})
        except Gone:
            return Response(status_code=400)
        if reply.refusal is not None:
            note(request.scope, reply.refusal.code)
            return self._refused(reply.refusal, trace, reply.value)
        return _answer(reply.status, reply.value)

    async def _call(self, request: Request) -> Call:
        # The body first: a client that still sends when it is refused sees a broken connection and no 401.
        body = await body_of(request.scope, request.receive, LARGEST_BODY)
        identity = await self._resolver(request.scope)
        if identity is None:
            raise V2GPKIError(
                "ecosystem.unauthenticated",
                "this needs a credential",
                hint="send Authorization: Bearer TOKEN, or x-api-key: TOKEN",
                clause="RFC 6750 3",
            )
        party = party_of(identity)
        if not party.roles and not (self._operation.scope and identity.has(self._operation.scope)):
            raise V2GPKIError(
                "ecosystem.no_role",
                f"the credential of {identity.name!r} is good for no role in the pools",
                hint="use one with a scope of " + ", ".join(SCOPES),
                facts={"party": identity.name},
            )
        fields = Fields({})
        if self._operation.takes_body:
            _require_json(request)
            fields = read_object(body)
        return Call(party, request.path_params, request.query_params, request.headers, fields)

    def _refused(self, refusal: V2GPKIError, trace: str, told: Json = None) -> Response:
        status = self._status(refusal.outcome.http)
        inner = refusal.outcome.exit_code in (EXIT_ENVIRONMENT, EXIT_BUG)
        if inner or status >= 500:
            _LOG.error("%s", refusal, extra={"code": refusal.code, "trace": trace})
        value: dict[str, Json] = {
            "errorMessages": ["the service cannot answer now"] if inner else list(_messages(refusal)),
            _TRACE: trace,
        }
        if isinstance(told, dict):
            value.update(told)
        headers = {}
        if status == 401:
            headers["WWW-Authenticate"] = f'Bearer realm="{self._realm}"'
        if status in (429, 503):
            headers["Retry-After"] = str(refusal.facts.get("retry_after", 5))
        return _answer(status, value, headers)

    def _status(self, status: int) -> int:
        # Any service may answer 429 (RFC 6585 4), whatever a description lists.
        if status in COMMON or status in self._operation.statuses or status == 429:
            return status
        return 500 if status >= 500 else 400


def _messages(refusal: V2GPKIError) -> list[str]:
    """Every message once, the first says what was refused."""
    found = [refusal.message, *(f"{one.message} [{one.code}]" for one in refusal.findings)]
    return list(dict.fromkeys([f"{found[0]} [{refusal.code}]", *found[1:]]))


def _require_json(request: Request) -> None:
    named = request.headers.get("content-type", _MEDIA_TYPE).partition(";")[0].strip().lower()
    if named != _MEDIA_TYPE:
        raise V2GPKIError(
            "ecosystem.media_type",
            f"the body must be JSON, not {named[:60]!a}",
            hint=f"send Content-Type: {_MEDIA_TYPE}",
            clause="RFC 9110 15.5.16",
            facts={"media_type": named[:60]},
        )


def _answer(status: int, value: Json, headers: Mapping[str, str] | None = None) -> Response:
    body = b"" if value is None else json.dumps(value).encode("ascii")
    media = None if value is None else _MEDIA_TYPE
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, media_type=media)
