"""The HTTP application of one process: the chosen parts behind one front.

Raw applications (OCSP, CRLs, EST, health) stand in front of starlette, which routes the rest.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import ParamSpec, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import URLPath
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.exchange import Receive, Scope, Send, note
from v2gpki.servers.http.front import REQUEST_ID, Front, Limits, given_id
from v2gpki.servers.http.lines import Lines
from v2gpki.servers.http.part import LATER, App, Asker, Find, Later, Part, Prompt, Respond, Said
from v2gpki.servers.http.problem import problem_body, problem_headers
from v2gpki.servers.http.tally import Tally

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

#: Parts that every server has.
OWN_PARTS = ("health", "metrics")


class Executor:
    """Threads for synchronous services, and a bounded number of calls that wait for one.

    What comes beyond that is refused at once with ``serving.busy``: a queue that grows helps nobody.
    """

    def __init__(self, threads: int = 8, *, waiting: int = 256) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="v2gpki-service")
        self._most = threads + waiting
        self._now = 0

    async def call(
        self, function: Callable[_Given, _Result], *arguments: _Given.args, **named: _Given.kwargs
    ) -> _Result:
        """Run a function of a service in a thread."""
        if self._now >= self._most:
            raise V2GPKIError(
                "serving.busy",
                f"{self._now} calls are running or waiting, which is as many as may",
                hint="come back in a moment",
                clause="RFC 9110 15.6.4",
                facts={"retry_after": 1},
            )
        self._now += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.threads, partial(function, *arguments, **named))
        finally:
            self._now -= 1

    def close(self) -> None:
        """Wait for what runs, and end the threads."""
        self.threads.shutdown(wait=True, cancel_futures=True)


def build(
    parts: Sequence[Part],
    tally: Tally,
    *,
    limits: Limits,
    own: Mapping[str, tuple[str, App]],
    lines: Lines | None = None,
    elsewhere: Sequence[Part] = (),
    secured: str = "",
    direct: bool = True,
) -> Front:
    """Join parts. ``own`` are health, readiness and metrics: path -> (part, application). ``elsewhere`` are parts that
    have TLS alone, at ``secured``: whoever asks for their paths here is told so. ``lines`` is the access log.
    ``direct``: no proxy stands between, who asks is the other end of the connection."""
    apps = {segment: (part.name, app) for part in parts for segment, app in part.apps} | dict(own)
    routes = [_OfPart(part.name, route) for part in parts for route in part.routes]
    handlers = {V2GPKIError: _refused, HTTPException: _http(routes, elsewhere, secured), Exception: _broken}
    rest = Starlette(routes=routes, exception_handlers=handlers)
    prompts = {path: _counted(part.name, prompt, tally) for part in parts for path, prompt in part.prompts}
    claims = [(part.name, claim) for part in parts for claim in part.claims]
    lines = lines or Lines()
    marks = _Marks(tally, lines, limits.body)
    finds = [partial(marks.find, part.name, find) for part in parts for find in part.finds] if direct else []
    return Front(apps, rest, tally, limits, lines=lines, prompts=prompts, finds=finds, claims=claims)


def _counted(part: str, prompt: Prompt, tally: Tally) -> Respond:
    """The same, measured as the front measures requests."""

    def answer(body: bytes, later: Later, asker: Asker) -> Said:  # noqa: ARG001 - whoever asks gets the same
        began = perf_counter()

        def counted(rest: bytes, status: int = 200) -> None:
            tally.request(part, status, perf_counter() - began)
            later(rest, status)

        try:
            given = prompt(body, counted)
        except Exception:  # noqa: BLE001 - it fails on the long way again, where that is logged and answered
            return None
        if given is not None and given is not LATER:
            tally.request(part, 200, perf_counter() - began)
        return given

    return answer


class _Marks:
    """What the front does with a request (``Front.__call__``), done with those that are answered at once."""

    def __init__(self, tally: Tally, lines: Lines, limit: int) -> None:
        self._tally = tally
        self._lines = lines
        self._limit = limit

    def find(self, part: str, find: Find, scope: Scope) -> Respond | None:
        """Who answers the requests with this head: measured, logged and with an id, as on the long way."""
        personal = find(scope)
        if personal is None:
            return None
        tally, lines, limit, given = self._tally, self._lines, self._limit, given_id(scope)
        method, path = scope["method"], scope["path"]

        def answer(body: bytes, later: Later, asker: Asker) -> Said:
            began = perf_counter()
            if len(body) > limit:
                return None
            state: dict[str, str] = {}

            def marked(rest: bytes, status: int = 200) -> None:
                number = given or os.urandom(8).hex().encode("ascii")
                later(b"%b: %b\r\n%b" % (REQUEST_ID, number, rest), status)
                seconds = perf_counter() - began
                tally.request(part, status, seconds)
                state["request_id"] = number.decode("ascii")
                about = {"method": method, "path": path, "client": (asker.address, 0), "state": state}
                lines.request(about, part, status, seconds)

            try:
                return personal(body, state, marked, asker)
            except Exception:  # noqa: BLE001 - it fails on the long way again, where that is logged and answered
                return None

        return answer


class _OfPart(BaseRoute):
    """A route that says which part it belongs to."""

    def __init__(self, part: str, route: BaseRoute) -> None:
        self._part = part
        self._route = route

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the route."""
        return self._route.matches(scope)

    def methods(self, scope: Scope) -> frozenset[str]:
        """The methods that it takes at the path of a request; none when the path is not its own."""
        taken = self._route.methods if isinstance(self._route, Route) else None
        return frozenset(taken or ()) if self.matches(scope)[0] is not Match.NONE else frozenset()

    def url_path_for(self, name: str, /, **path_params: object) -> URLPath:
        """As the route."""
        return self._route.url_path_for(name, **path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the route."""
        scope.setdefault("state", {})["part"] = self._part
        await self._route.handle(scope, receive, send)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, V2GPKIError)
    note(request.scope, error.code)
    return _response(error)


async def _broken(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    """Whatever else goes wrong: starlette raises it again, and the front logs it."""
    return _response(V2GPKIError("internal.bug", "something in the service is broken"))


def _http(
    routes: Sequence[_OfPart], elsewhere: Sequence[Part], secured: str
) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Answers what starlette itself refuses: no such path, another method."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        scope = request.scope
        if error.status_code == 405:
            # starlette names the methods of one route; a path may have several.
            taken = ", ".join(sorted({method for route in routes for method in route.methods(scope)}))
            refusal = V2GPKIError(
                "serving.wrong_method",
                f"{request.method[:20]} is not what this path takes",
                hint=f"it takes {taken}",
                clause="RFC 9110 15.5.6",
            )
            return _declined(request, refusal, {"allow": taken})
        if error.status_code == 404:
            titles = [part.title for part in elsewhere if _answers(part, scope)]
            hint = f"{titles[0]}: served with TLS alone, at {secured}" if titles else ""
            return _declined(
                request, V2GPKIError("serving.no_such_path", "nothing is served at this path", hint=hint), {}
            )
        note(scope, "bad_request")
        return Response(error.detail, error.status_code, error.headers)

    return answer


def _declined(request: Request, refusal: V2GPKIError, headers: Mapping[str, str]) -> Response:
    note(request.scope, refusal.code)
    response = _response(refusal)
    response.headers.update(headers)
    return response


def _answers(part: Part, scope: Scope) -> bool:
    """Whether the path of a request is one of the part's."""
    path = scope["path"]
    return (
        any(path == segment or path.startswith(f"{segment}/") for segment, _ in part.apps)
        or any(claim(path) is not None for claim in part.claims)
        or any(route.matches(scope)[0] is not Match.NONE for route in part.routes)
    )


def _response(error: V2GPKIError) -> Response:
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in problem_headers(error)}
    return Response(problem_body(error), error.outcome.http, headers)
