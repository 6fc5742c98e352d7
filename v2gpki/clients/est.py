"""An EST client: CA certificates, enrolment, renewal, request attributes, keys made by the server.

It speaks the URL shapes of the field and reads what servers of the field answer: base64 in lines or not, with or
without its header, DER, one certificate or a chain. What comes back must be for the key of the request; whether a
chain is to be trusted is judged by whoever asked. Sources: RFC 7030, RFC 8951.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP

import httpx

from v2gpki.certs.cms import load_certs_only
from v2gpki.certs.csr import CertificateRequest, load_csr
from v2gpki.certs.view import view
from v2gpki.clients.closing import Closing
from v2gpki.clients.exchange import Exchange
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.keys.suites import spki_of
from v2gpki.services.est.paths import url_path

_PKCS7_KEY = "server-generated-key"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment gave: the certificate for the request's key, and others that came along."""

    certificate: bytes
    others: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyEnrolment:
    """A key made by the server (DER PKCS#8) and its certificate."""

    private_key: bytes = field(repr=False)
    certificate: bytes = field()


class EstClient(Closing):
    """One label of one EST server. A context manager; safe from threads."""

    def __init__(
        self,
        url: str,
        exchange: Exchange,
        *,
        label: str = "",
        edition: str = "",
        family: str = "",
        shape: str = "rfc7030",
    ) -> None:
        """``exchange`` brings credentials and time-outs; ``shape`` is a name of ``services.est.SHAPES``.

        ``edition`` (``ISO15118-20``) and ``family`` (``secp521r1``) are sent where the shape has a place for them.
        """
        self._url = url.rstrip("/")
        self._exchange = exchange
        self._where = {"label": label, "edition": edition, "family": family}
        self._shape = shape

    def cacerts(self) -> tuple[bytes, ...]:
        """The CA certificates in the server's order; raises ``client.*``, ``cms.*``."""
        return tuple(load_certs_only(self._get("cacerts").content))

    def csrattrs(self) -> bytes | None:
        """What a request should have (DER CsrAttrs), None when the server does not say."""
        answer = self._get("csrattrs", accept=(204, 404))
        if answer.status_code in (204, 404) or not answer.content.strip():
            return None
        return _decoded(answer.content, self._url)

    def enrol(self, csr: bytes) -> Enrolment:
        """A certificate for a request (PEM, DER or base64). Raises ``csr.*``, ``client.*``, ``cms.*``."""
        return self._enrolled("simpleenroll", csr)

    def reenrol(self, csr: bytes) -> Enrolment:
        """A certificate that follows the one that the exchange shows in TLS; raises as ``enrol``."""
        return self._enrolled("simplereenroll", csr)

    def serverkeygen(self, csr: bytes) -> KeyEnrolment:
        """A key and its certificate, both made by the server; raises as ``enrol``."""
        answer = self._post("serverkeygen", load_csr(csr))
        head = f"Content-Type: {answer.headers.get('content-type', '')}\r\n\r\n".encode("ascii", "replace")
        message = message_from_bytes(head + answer.content, policy=HTTP)
        key, certificates = b"", list[bytes]()
        for part in message.iter_parts() if message.is_multipart() else ():
            content = _content(part)
            if part.get_content_type() == "application/pkcs8":
                key = _decoded(content, self._url)
            elif _PKCS7_KEY in part.get("Content-Type", ""):
                raise _bad_answer(self._url, "its key is encrypted, which was not asked for")
            elif part.get_content_type() == "application/pkcs7-mime":
                certificates = load_certs_only(content)
        if not key or not certificates:
            raise _bad_answer(self._url, "it has not the two parts key and certificate")
        return KeyEnrolment(key, _for_key(certificates, _public(key, self._url), self._url).certificate)

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def _enrolled(self, operation: str, csr: bytes) -> Enrolment:
        request = load_csr(csr)
        certificates = load_certs_only(self._post(operation, request).content)
        return _for_key(certificates, request.spki, self._url)

    def _get(self, operation: str, accept: tuple[int, ...] = ()) -> httpx.Response:
        path, query = url_path(self._shape, operation, **self._where)
        return self._exchange.send("GET", self._url + path, params=query, accept=accept)

    def _post(self, operation: str, request: CertificateRequest) -> httpx.Response:
        path, query = url_path(self._shape, operation, **self._where)
        # One line: servers of the field that do not take lines exist, those that need them do not.
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        body = base64.b64encode(request.der)
        return self._exchange.send("POST", self._url + path, params=query, content=body, headers=headers)


def _for_key(certificates: list[bytes], spki: bytes, url: str) -> Enrolment:
    """The certificate for a key, first; the others behind it."""
    fitting = [der for der in certificates if view(der).spki == spki]
    if not fitting:
        raise _bad_answer(url, "none of its certificates is for the key of the request")
    return Enrolment(fitting[0], tuple(der for der in certificates if der != fitting[0]))


def _public(key: bytes, url: str) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    try:
        return spki_of(pkcs8.load(key, None).public_key())
    except V2GPKIError as problem:
        raise _bad_answer(url, f"its key: {problem.message}") from problem


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=False)
    return payload.encode("latin-1", "replace") if isinstance(payload, str) else b""


def _decoded(content: bytes, url: str) -> bytes:
    """Base64 in lines or not, or DER itself."""
    if content[:1] == b"\x30" and not content.isascii():
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error as problem:
        raise _bad_answer(url, "it is neither DER nor base64") from problem


def _bad_answer(url: str, why: str) -> V2GPKIError:
    return V2GPKIError(
        "client.bad_answer",
        f"the answer of {url} cannot be used: {why}",
        hint="ask the operator of the service",
        clause="RFC 7030 4.2.3",
        facts={"url": url},
    )
