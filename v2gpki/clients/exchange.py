"""One HTTP exchange with a service of others: time-outs, retries, tokens, redirects, and errors with their reason.

Tried again, a few times: connections that failed, 202 and 429 (after the time that the server names), and what may be
repeated without harm also after a time-out or 5xx. A refused token is renewed once. A redirect is followed within one
origin only. An answer is cut off at a limit. Credentials stand in no error, and go over http to this machine alone
unless that is asked for. Sources: RFC 9110, RFC 7030 3.2.1.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import httpx

from v2gpki.clients.addresses import checked
from v2gpki.clients.closing import Closing
from v2gpki.errors import FactValue, V2GPKIError

LARGEST_ANSWER = 1024 * 1024
_MOST_REDIRECTS = 3
_EXCERPT = 300
#: A server that asks to come back is asked again so often, never sooner than after so many seconds.
_MOST_WAITS = 10
_SHORTEST_WAIT = 0.2


class Tokens(Protocol):
    """Bearer tokens; see ``clients.tokens``."""

    def token(self) -> str:
        """The current token."""
        ...

    def refused(self, token: str) -> bool:
        """The token was not accepted; whether another one may be."""
        ...


class Exchange(Closing):
    """Sends requests to one party with its credentials. A context manager; safe from threads."""

    def __init__(
        self,
        *,
        user: str = "",
        password: str = "",
        tokens: Tokens | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 30.0,
        retries: int = 2,
        patience: float = 60.0,
        deadline: float = 120.0,
        plain_credentials: bool = False,
        pause: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """``timeout`` in seconds for each step; ``retries`` after the first try; ``patience`` is the longest time in
        all that a server's Retry-After is waited for, ``deadline`` the longest that one answer may take to arrive,
        however steadily it does; ``plain_credentials`` sends credentials over http to other machines too; ``pause``
        waits; ``transport`` replaces the network."""
        self._client = httpx.Client(
            auth=httpx.BasicAuth(user, password) if user else None,
            headers=dict(headers or {}),
            verify=tls if tls is not None else True,
            timeout=timeout,
            follow_redirects=False,
            transport=transport,
            trust_env=False,
        )
        self._tokens = tokens
        self._secret = bool(user or tokens is not None or _credentials(headers))
        self._plain_credentials = plain_credentials
        self._retries = retries
        self._patience = patience
        self._deadline = deadline
        self._pause = pause

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        secret: bool = False,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """The answer, read: 2xx other than 202, or one of the statuses in ``accept``.

        ``repeatable`` says that sending it twice does no harm, ``secret`` that the content is a credential. Raises
        ``client.unreachable``, ``client.timeout``, ``client.unauthorised``, ``client.refused`` (with the status and
        what the server said), ``client.pending``, ``client.redirected``, ``client.too_large``, ``client.bad_url``,
        ``client.plain_credentials``.
        """
        checked(url, code="client.bad_url", what="a service", source="the caller", hint="give http://.. or https://..")
        request = self._client.build_request(
            method, url, params=dict(params) if params else None, content=content, headers=dict(headers or {})
        )
        if secret or self._secret or _credentials(headers) or request.url.userinfo:
            self._require_protected(request.url)
        waited, renewed, attempt = 0.0, False, 0
        while True:
            token = self._authorise(request)
            try:
                answer = self._once(request)
            except httpx.HTTPError as problem:
                may = repeatable or method == "GET" or isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout)
                if not may or attempt >= self._retries:
                    raise _failed(request, problem) from problem
                self._pause(0.2 * 2**attempt)
                attempt += 1
                continue
            if answer.status_code in (401, 403) and token and not renewed and self._tokens is not None:
                renewed = True
                if self._tokens.refused(token):
                    continue
            wait = self._wait(answer, method, attempt, waited, repeatable=repeatable)
            if wait is None:
                return _judged(request, answer, accept)
            self._pause(wait)
            waited, attempt = waited + wait, attempt + 1

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _require_protected(self, url: httpx.URL) -> None:
        if url.scheme == "https" or self._plain_credentials or _local(url.host):
            return
        raise V2GPKIError(
            "client.plain_credentials",
            f"credentials would travel unprotected to {_origin(url)}",
            hint="give an https address, or allow it with plain_credentials=True where the network is protected",
            clause="RFC 6750 5.3, RFC 7617 4",
            facts={"url": _origin(url)},
        )

    def _authorise(self, request: httpx.Request) -> str:
        if self._tokens is None:
            return ""
        token = self._tokens.token()
        request.headers["Authorization"] = f"Bearer {token}"
        return token

    def _once(self, request: httpx.Request) -> httpx.Response:
        """Send, follow redirects within the origin, and read the answer up to the limit."""
        ends = time.monotonic() + self._deadline
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._client.send(request, stream=True)
            try:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if time.monotonic() > ends:
                        raise httpx.ReadTimeout("the answer does not end", request=request)
                    if len(body) > LARGEST_ANSWER:
                        raise V2GPKIError(
                            "client.too_large",
                            f"{_place(request)} answered with more than {LARGEST_ANSWER} octets",
                            hint="check the address: this is no service of this kind",
                            facts={"url": _place(request)},
                        )
            finally:
                answer.close()
            read = httpx.Response(
                answer.status_code, headers=_plain(answer.headers), content=bytes(body), request=request
            )
            if answer.next_request is None:
                return read
            if _origin(answer.next_request.url) != _origin(request.url):
                raise V2GPKIError(
                    "client.redirected",
                    f"{_place(request)} redirects to another origin ({_origin(answer.next_request.url)})",
                    hint="check who answers there, and give the new address yourself",
                    clause="RFC 7030 3.2.1",
                    facts={"url": _place(request)},
                )
            request = answer.next_request
        place = _place(request)
        raise V2GPKIError("client.redirected", f"{place} redirects in circles", facts={"url": place})

    def _wait(
        self, answer: httpx.Response, method: str, attempt: int, waited: float, *, repeatable: bool
    ) -> float | None:
        """Seconds after which trying again makes sense; None when it makes none."""
        status = answer.status_code
        repeatable = repeatable or method == "GET"
        named = retry_after(answer)
        # A 503 does not say that nothing was done: a proxy may have lost the answer.
        if status in (202, 429) or (status == 503 and repeatable):
            wait = None if named is None else max(named, _SHORTEST_WAIT)
            if wait is not None and attempt < _MOST_WAITS and waited + wait <= self._patience:
                return wait
            if wait is not None or status == 202:
                return None
        if status >= 500 and repeatable and attempt < self._retries:
            return float(0.2 * 2**attempt)
        return None


def tls_context(
    *, anchors: bytes = b"", certificate: Path | None = None, key: Path | None = None, password: str = ""
) -> ssl.SSLContext:
    """TLS for a client: ``anchors`` (PEM) are trusted instead of the system's, ``certificate`` and ``key`` are shown.

    Raises ``client.bad_url`` for files that cannot be used.
    """
    try:
        context = ssl.create_default_context(cadata=anchors.decode("ascii") if anchors else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key, password or None)
    except (ssl.SSLError, OSError, UnicodeDecodeError) as problem:
        raise V2GPKIError(
            "client.bad_url",
            f"the certificates or keys for TLS cannot be used: {problem}",
            hint="give PEM files: the roots to trust, the client's chain and its key",
        ) from problem
    return context


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds of a Retry-After header, None without one that is understood (a date is not)."""
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdigit() and len(text) < 8 else None


def _judged(request: httpx.Request, answer: httpx.Response, accept: tuple[int, ...]) -> httpx.Response:
    status = answer.status_code
    if status in accept or (200 <= status < 300 and status != 202):
        return answer
    said = answer.text.strip()[:_EXCERPT] if answer.headers.get("content-type", "").startswith("text/") else ""
    facts: dict[str, FactValue] = {"url": _place(request), "status": status, "said": said}
    if status == 202 or (status in (429, 503) and retry_after(answer) is not None):
        raise V2GPKIError(
            "client.pending",
            f"{_place(request)} is not ready with its answer (HTTP {status})",
            hint="send the same request again later",
            clause="RFC 7030 4.2.3",
            facts={**facts, "retry_after": int(retry_after(answer) or 0)},
        )
    if status == 401:
        raise V2GPKIError(
            "client.unauthorised",
            f"{_place(request)} does not accept the credential" + (f": {said}" if said else ""),
            hint="check user, password, token or client certificate",
            clause="RFC 9110 15.5.2",
            facts=facts,
        )
    raise V2GPKIError(
        "client.refused",
        f"{_place(request)} answered HTTP {status}" + (f": {said}" if said else ""),
        hint="correct the request" if status < 500 else "ask the operator of the service, or try again later",
        facts=facts,
    )


def _failed(request: httpx.Request, problem: httpx.HTTPError) -> V2GPKIError:
    facts = {"url": _place(request)}
    if isinstance(problem, httpx.TimeoutException):
        return V2GPKIError(
            "client.timeout",
            f"{_place(request)} did not answer in time",
            hint="try again, or allow more time; an enrolment may have been carried out",
            facts=facts,
        )
    return V2GPKIError(
        "client.unreachable",
        f"{_place(request)} cannot be reached: {problem}",
        hint="check address, network, and the roots that TLS trusts",
        facts=facts,
    )


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Headers of a body that was decoded on the way."""
    gone = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.multi_items() if name.lower() not in gone]


def _credentials(headers: Mapping[str, str] | None) -> bool:
    return any(name.lower() in ("authorization", "x-api-key", "cookie") for name in headers or ())


def _local(host: str) -> bool:
    """Whether this is the machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(url: httpx.URL) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"{url.scheme}://{url.host}:{port}"


def _place(request: httpx.Request) -> str:
    """The address for people: without user, password and query."""
    return f"{_origin(request.url)}{request.url.path}"
