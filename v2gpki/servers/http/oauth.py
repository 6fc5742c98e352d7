"""``POST /oauth/token``: OAuth 2.0 client credentials, as a form (RFC 6749, CitrineOS) or as JSON (OPCP).

Client id is a token's id or its identity, client secret the token; both may come by Basic. The answer is a short-lived
access token for some or all of the token's scopes. ``audience`` is accepted and changes nothing: a token is good for
this service alone. A line end behind the secret is its file's (``curl --data-urlencode client_secret@FILE``) and
dropped, one at most. Refusals have RFC 6749's form. Sources: RFC 6749 2.3.1, 4.4, 5; OPCP accessToken.v1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http.access import address_of, basic
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.exchange import Gone, Refusal, body_of, note
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.tally import Tally
from v2gpki.services.access import Access

PATH = "/oauth/token"
_LARGEST = 16 * 1024
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
#: What RFC 6749 5.2 calls our refusals.
_NAMES = {
    "access.refused": "invalid_client",
    "access.expired": "invalid_client",
    "access.revoked": "invalid_client",
    "access.bad_scope": "invalid_scope",
    "store.conflict": "invalid_client",
}


class TokenEndpoint:
    """Exchanges tokens for access tokens that hold for ``lifetime``."""

    def __init__(
        self, access: Access, executor: Executor, tally: Tally, *, lifetime: timedelta, failures: Meter | None = None
    ) -> None:
        self._access = access
        self._executor = executor
        self._tally = tally
        self._lifetime = lifetime
        self._failures = failures or Meter(1.0, 20)

    def part(self) -> Part:
        """The endpoint as a part of a server."""
        route = Route(PATH, self.answer, methods=["POST"])
        return Part("oauth", "Access tokens (OAuth client credentials)", (PATH,), routes=(route,), signs=False)

    async def answer(self, request: Request) -> Response:
        """One exchange."""
        try:
            return await self._answer(request)
        except Refusal as refusal:
            note(request.scope, refusal.code)
            return _refusal(refusal.status, "invalid_request", refusal.text)
        except Gone:
            return Response(status_code=400)

    async def _answer(self, request: Request) -> Response:
        body = await body_of(request.scope, request.receive, _LARGEST)
        try:
            given = _fields(request, body)
        except ValueError as problem:
            note(request.scope, "invalid_request")
            return _refusal(400, "invalid_request", str(problem))
        return await self._exchange(request, given)

    async def _exchange(self, request: Request, given: Mapping[str, str]) -> Response:
        if given.get("grant_type") != "client_credentials":
            named = "unsupported_grant_type" if given.get("grant_type") else "invalid_request"
            note(request.scope, named)
            return _refusal(400, named, "grant_type must be client_credentials")
        if not given.get("client_id") or not given.get("client_secret"):
            note(request.scope, "invalid_request")
            return _refusal(400, "invalid_request", "client_id and client_secret are needed")
        try:
            exchanged = await self._executor.call(
                self._access.exchange,
                given["client_id"],
                given["client_secret"],
                scopes=given.get("scope", "").split(),
                lifetime=self._lifetime,
            )
        except V2GPKIError as problem:
            name = _NAMES.get(problem.code)
            if name is None:
                raise
            note(request.scope, problem.code)
            if name == "invalid_client":
                # After the look at the credential: others may share the address with who guesses.
                wait = self._failures.wait(address_of(request.scope))
                if wait:
                    self._tally.event("rate_limited")
                    return _refusal(429, "slow_down", f"too many wrong credentials; come back in {wait} s", wait=wait)
                self._tally.event("credential_refused")
                return _refusal(401, name, "client id and secret are not good here", challenge=True)
            return _refusal(400, name, problem.message)
        self._tally.event("tokens_issued")
        value = {
            "access_token": exchanged.secret,
            "token_type": "Bearer",
            "expires_in": exchanged.seconds,
            "scope": " ".join(exchanged.scopes),
        }
        return Response(json.dumps(value) + "\n", 200, _NO_STORE, media_type="application/json")


def _fields(request: Request, body: bytes) -> Mapping[str, str]:
    """The fields of a request, client id and secret of a Basic header among them; ValueError for what is none."""
    try:
        given = _from_json(body) if body.lstrip()[:1] == b"{" else _from_form(body)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError("the body is neither a form nor a JSON object") from None
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in given:
            raise ValueError("the client authenticates twice: by header and in the body")
        try:
            user, password = basic(rest.strip())
        except V2GPKIError as problem:
            raise ValueError(problem.message) from None
        # RFC 6749 2.3.1 encodes both as in a form; ours have nothing that would be encoded.
        given = {**given, "client_id": unquote_plus(user), "client_secret": unquote_plus(password)}
    secret = given.get("client_secret", "")
    return {**given, "client_secret": secret[:-1].removesuffix("\r")} if secret.endswith("\n") else given


def _from_form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8"), max_num_fields=32))


def _from_json(body: bytes) -> dict[str, str]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("the body is no JSON object")
    wrong = [name for name, field in value.items() if not isinstance(field, str)]
    if wrong:
        raise ValueError(f"{wrong[0][:40]!r} is no text")
    return value


def _refusal(status: int, name: str, why: str, *, challenge: bool = False, wait: int = 0) -> Response:
    headers = dict(_NO_STORE)
    if challenge:
        headers["www-authenticate"] = 'Basic realm="v2gpki", charset="UTF-8"'
    if wait:
        headers["retry-after"] = str(wait)
    value = {"error": name, "error_description": why}
    return Response(json.dumps(value) + "\n", status, headers, media_type="application/json")
