"""The server's side of TLS for HTTP: 1.2 and 1.3 with modern suites only, client certificates when they are shown.

Forward secrecy and authenticated encryption throughout (ECDHE with AES-GCM or ChaCha20); no session tickets in 1.2, no
compression, no renegotiation. A client certificate is optional: one that is shown must be whole, within its validity
and lead to one of the given CAs, or the handshake fails. Whether it was revoked is the resolver's to ask.
Sources: RFC 9325 3 and 4; RFC 8446; Mozilla "intermediate".
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.serve_settings import ServeSettings
from v2gpki.wiring.tls import server_certificate

_LOG = logging.getLogger("v2gpki.tls")

#: TLS 1.2: what RFC 9325 4.2 recommends; 1.3 has nothing else.
SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True, slots=True)
class Identity:
    """Chain (leaf first) and key of a server, both PEM; ``source`` says where they come from."""

    chain: bytes
    private_key: bytes
    ends: datetime
    source: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Identity(source={self.source!r})"


def server_identity(ca: CertificateAuthority, settings: ServeSettings, host: str) -> Identity:
    """Certificate and key as the settings say: files, or a certificate of the home for ``tls_name`` or ``host``.

    Raises ``serving.bad_certificate``, ``serving.no_certificate``, and what issuing raises.
    """
    if not settings.tls_cert:
        name = settings.tls_name or host
        made = server_certificate(ca, "localhost" if name in ("127.0.0.1", "::1") else name)
        return Identity(made.chain, made.private_key, made.record.not_after, "this home")
    certificate, key = Path(settings.tls_cert), Path(settings.tls_key or settings.tls_cert)
    source = f"{certificate} and {key}"
    try:
        chain, private_key = certificate.read_bytes(), key.read_bytes()
        ends = view(load_certificates(chain)[0]).not_after
    except OSError as problem:
        raise _bad(source, problem.strerror or str(problem)) from problem
    except V2GPKIError as problem:
        raise _bad(source, problem.message) from problem
    return Identity(chain, private_key, ends, source)


class Handshake(ssl.SSLObject):
    """A handshake that says why it failed: to the log, and to the client.

    Event loops drop a connection as soon as its handshake fails, and with it the alert that OpenSSL has written. So a
    failure is told to the loop as "more is needed", upon which it sends what there is; the client closes, or sends
    more, or lets its time run out, and then it has failed.
    """

    _failed: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """One step."""
        if self._failed is not None:
            raise self._failed
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as problem:
            self._failed = problem
            reason = getattr(problem, "verify_message", "") or problem.reason or "broken off"
            _LOG.warning("handshake refused", extra={"reason": str(reason).lower().replace("_", " ")})
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is to be sent") from None


def server_context(identity: Identity, *, client_cas: Sequence[str] = ()) -> ssl.SSLContext:
    """A context for a server.

    ``client_cas`` are PEM certificates that client certificates may lead to; empty asks for none. Raises
    ``serving.bad_certificate``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Handshake
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    )
    context.set_alpn_protocols(["http/1.1"])
    try:
        _load(context, identity)
    except (ssl.SSLError, ValueError) as problem:
        raise _bad(identity.source, str(problem)) from problem
    if client_cas:
        try:
            context.load_verify_locations(cadata="\n".join(client_cas))
        except ssl.SSLError as problem:
            raise _bad("the CAs of client certificates", str(problem)) from problem
        context.verify_mode = ssl.CERT_OPTIONAL
        # A client that sends its leaf alone, issued by a Sub-CA of ours, is as good as one that sends the chain.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    """Give chain and key to the context, which takes files only: for a moment, in a folder that nobody else enters."""
    with TemporaryDirectory(prefix="v2gpki-") as folder:
        chain, key = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain.write_bytes(identity.chain)
        with os.fdopen(os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(identity.private_key)
        # An encrypted key must be an error and no prompt.
        context.load_cert_chain(chain, key, password=lambda: "")


def _bad(source: str, reason: str) -> V2GPKIError:
    return V2GPKIError(
        "serving.bad_certificate",
        f"{source} cannot be used for TLS: {reason}",
        hint="give a PEM chain (leaf first) with --tls-cert and its unencrypted PEM key with --tls-key",
        facts={"source": source},
    )
