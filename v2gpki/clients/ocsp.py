"""Asking any OCSP responder, over POST or GET, and judging what comes back.

The address is the certificate's own (AIA) or the caller's. Connections that fail and answers 5xx are tried again; a
redirect is not followed, proxies of the environment are not used, and an answer is cut off at 64 KiB. Refused: what is
no http or https address (it may come from a stranger's certificate), HTTP errors, media types that are no OCSP.
Sources: RFC 6960 A.1, RFC 5019 5.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from v2gpki.certs.ocsp import IssuerName
from v2gpki.certs.ocsp_judging import Judgement, judge_answer
from v2gpki.certs.ocsp_request import write_request
from v2gpki.certs.view import view
from v2gpki.clients.addresses import checked
from v2gpki.clients.closing import Closing
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import ocsp_url, read_hash_data
from v2gpki.services.ocsp.get_path import path_of_request

LARGEST_ANSWER = 64 * 1024
#: RFC 5019 5: longer requests are posted.
LONGEST_GET = 255
NONCE_OCTETS = 32
#: Where an address comes from that the caller gave.
GIVEN = "the caller"
_MEDIA_TYPE = "application/ocsp-response"
_AIA = "RFC 5280 4.2.2.1"
_HINT = "give --url http://.."

Method = Literal["POST", "GET"]


@dataclass(frozen=True, slots=True)
class OcspResult:
    """What a responder answered: ``der`` the OCSPResponse, ``seconds`` how long it took."""

    url: str
    der: bytes
    judgement: Judgement
    seconds: float


class OcspClient(Closing):
    """Asks OCSP responders. A context manager; safe from threads."""

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        retries: int = 2,
        deadline: float = 30.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``timeout`` in seconds for each step, ``deadline`` for one answer, however steadily it arrives; ``retries``
        after the first try; ``pause`` waits between two."""
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)
        self._retries = retries
        self._deadline = deadline
        self._pause = pause

    def query(
        self,
        certificate: bytes,
        issuer: bytes,
        *,
        at: datetime,
        url: str = "",
        hash_name: str = "sha256",
        nonce: bool = True,
        method: Method = "POST",
    ) -> OcspResult:
        """Ask about a DER certificate and judge the answer as of ``at``.

        ``url`` "" is the address in the certificate. Raises ``ocsp.no_responder``, ``ocsp.unreachable``,
        ``ocsp.http_error``, ``ocsp.malformed``.
        """
        child, parent = view(certificate), view(issuer)
        sent = os.urandom(NONCE_OCTETS) if nonce else None
        cert_id = IssuerName(parent.subject, parent.spki).cert_id(hash_name, child.serial)
        address = url or ocsp_url(certificate)
        source = GIVEN if url else f"the certificate of {child.subject_text} (AIA)"
        started = time.monotonic()
        der = self.ask(address, write_request(cert_id, sent), method=method, source=source)
        seconds = time.monotonic() - started
        judged = judge_answer(der, certificate, issuer, at=at, nonce=sent, hash_name=hash_name)
        return OcspResult(address, der, judged, seconds)

    def certificate_status(self, hash_data: Mapping[str, object], url: str = "") -> str:
        """GetCertificateStatus for a foreign certificate: asks ``responderURL`` (or ``url``); base64 of the DER answer.

        The same interface as ``OcspResponder.certificate_status``; the answer is handed on unjudged, as a relay must,
        because the issuer's certificate is not known.
        """
        asked = read_hash_data(hash_data)
        source = GIVEN if url else "the hash data (responderURL)"
        der = self.ask(url or asked.responder_url, write_request(asked.cert_id), source=source)
        return base64.b64encode(der).decode("ascii")

    def ask(self, url: str, request: bytes, *, method: Method = "POST", source: str = GIVEN) -> bytes:
        """Send a DER request; the octets of the answer, unread. ``source`` says in errors where ``url`` comes from."""
        if not url:
            raise V2GPKIError(
                "ocsp.no_responder",
                "the certificate names no OCSP responder",
                hint=_HINT,
                clause=_AIA,
                facts={"url": url},
            )
        checked(url, code="ocsp.no_responder", what="an OCSP responder", source=source, hint=_HINT, clause=_AIA)
        path = path_of_request(request)
        if method == "GET" and len(path) <= LONGEST_GET:
            outgoing = self._client.build_request("GET", f"{url.rstrip('/')}/{path}")
        else:
            headers = {"content-type": "application/ocsp-request", "accept": _MEDIA_TYPE}
            outgoing = self._client.build_request("POST", url, content=request, headers=headers)
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._send(outgoing, last=last)
            except httpx.HTTPError as problem:
                if last:
                    raise _unreachable(url, problem) from problem
                answer = None
            if answer is not None:
                return answer
            self._pause(0.2 * 2**attempt)
        raise V2GPKIError("internal.bug", "asking an OCSP responder ended without an answer")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, outgoing: httpx.Request, *, last: bool) -> bytes | None:
        """The body of a good answer; None when trying again may help."""
        ends = time.monotonic() + self._deadline
        response = self._client.send(outgoing, stream=True)
        try:
            if response.status_code >= 500 and not last:
                return None
            media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
            if response.status_code != 200 or media_type != _MEDIA_TYPE:
                raise _http_error(str(outgoing.url), response.status_code, media_type)
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > ends:
                    raise httpx.ReadTimeout("the answer does not end", request=outgoing)
                if len(body) > LARGEST_ANSWER:
                    raise _http_error(str(outgoing.url), response.status_code, "more than 64 KiB")
            return body
        finally:
            response.close()


def _unreachable(url: str, problem: httpx.HTTPError) -> V2GPKIError:
    return V2GPKIError(
        "ocsp.unreachable",
        f"the OCSP responder {url} cannot be reached: {problem or type(problem).__name__}",
        hint="check the address and the network; OCSP is plain HTTP in most PKIs",
        facts={"url": url},
    )


def _http_error(url: str, status: int, what: str) -> V2GPKIError:
    return V2GPKIError(
        "ocsp.http_error",
        f"{url} answers {status} ({what or 'no media type'}), which is no OCSP response",
        hint="is it the responder's address, with its path?",
        clause="RFC 6960 A.1",
        facts={"url": url, "status": status},
    )
