"""Bearer tokens for services of others: a fixed one, or OAuth client credentials that are renewed before they end.

The end-point is asked in form or in JSON: providers differ. A token is kept in memory only and stands in no message.
Refused: answers without a token. Sources: RFC 6749 4.4, RFC 6750; OPCP accessToken.v1.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import httpx

from v2gpki.clients.closing import Closing
from v2gpki.clients.exchange import Exchange
from v2gpki.errors import V2GPKIError

#: So long before its end a token is replaced, and so long it lasts when the provider does not say.
_MARGIN_SECONDS = 30.0
_USUAL_SECONDS = 300.0
_LONGEST_SECONDS = 366 * 86_400.0


class FixedToken:
    """A token that somebody gave."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """The token."""
        return self._token

    def refused(self, token: str) -> bool:  # noqa: ARG002 - the protocol's signature
        """There is no other one."""
        return False

    def __repr__(self) -> str:
        return "FixedToken(..)"


class ClientCredentials(Closing):
    """Tokens by client id and secret. A context manager; safe from threads."""

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        audience: str = "",
        form: bool = True,
        exchange: Exchange | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``form`` False posts JSON; ``exchange`` carries time-outs and TLS; ``clock`` gives monotonic seconds."""
        self._url = url
        self._fields = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            **({"audience": audience} if audience else {}),
        }
        self._form = form
        self._exchange = exchange or Exchange()
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def token(self) -> str:
        """The current token, or a new one; raises ``client.*``."""
        with self._lock:
            if not self._token or self._clock() >= self._until:
                self._token, seconds = self._asked()
                self._until = self._clock() + max(seconds - _MARGIN_SECONDS, seconds / 2)
            return self._token

    def refused(self, token: str) -> bool:
        """Forget a token, unless it was replaced meanwhile."""
        with self._lock:
            if self._token == token:
                self._token = ""
        return True

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r}, {self._fields['client_id']!r})"

    def _asked(self) -> tuple[str, float]:
        """(token, seconds that it lasts)."""
        if self._form:
            body = str(httpx.QueryParams(self._fields)).encode("ascii")
            kind = "application/x-www-form-urlencoded"
        else:
            body, kind = json.dumps(self._fields).encode("ascii"), "application/json"
        headers = {"Content-Type": kind, "Accept": "application/json"}
        answer = self._exchange.send("POST", self._url, content=body, headers=headers, repeatable=True, secret=True)
        try:
            said = answer.json()
        except ValueError as problem:
            raise _no_token(self._url, "it is no JSON") from problem
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token or not token.isascii():
            raise _no_token(self._url, "it has no access_token")
        return token, _lasting(said.get("expires_in"))


def _lasting(seconds: object) -> float:
    """The seconds that a token lasts; what is no such number says nothing (JSON's readers take NaN and Infinity)."""
    try:
        found = float(seconds) if isinstance(seconds, str | int | float) else _USUAL_SECONDS
    except (ValueError, OverflowError):
        return _USUAL_SECONDS
    return found if 0 < found <= _LONGEST_SECONDS else _USUAL_SECONDS


def _no_token(url: str, why: str) -> V2GPKIError:
    return V2GPKIError(
        "client.bad_answer",
        f"the answer of {url} gives no token: {why}",
        hint="check the address of the token end-point",
        clause="RFC 6749 5.1",
        facts={"url": url},
    )
