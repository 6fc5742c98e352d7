"""The server's side of TLS for HTTP: 1.2 and 1.3 with modern suites only, client certificates when they are shown.

Forward secrecy and authenticated encryption throughout (ECDHE with AES-GCM or ChaCha20); no session tickets in 1.2, no
compression, no renegotiation. A client certificate is optional: one that is shown must be whole, within its validity
and lead to one of the given CAs, or the handshake fails. Whether it was revoked is the resolver's to ask.
Sources: RFC 9325 3 and 4; RFC 8446; Mozilla "intermediate".
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

from v2gpki.certs.chain import load_certificates
from v2gpki.certs.view import view
from v2gpki.errors import V2GPKIError
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.serve_settings import ServeSettings
from v2gpki.wiring.tls import LEFT, client_authorities, server_certificate

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
        made = server_certificate(ca, home_name(settings, host))
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


def home_name(settings: ServeSettings, host: str) -> str:
    """The name that a certificate of the home is for: ``tls_name``, else the host of the first https address."""
    return settings.tls_name or host


#: Is told why a handshake failed.
Told: TypeAlias = Callable[[str], None]


def _unheard(reason: str) -> None:
    """Nobody listens."""


class Made(NamedTuple):
    """A context, when its certificate ends, and the store's trust revision that its client CAs are of."""

    context: ssl.SSLContext
    ends: datetime
    revision: int


class TlsMaker:
    """Makes the context of the https addresses of one process, anew whenever it is asked to.

    Files are read each time; a certificate of the home is asked for once, and again when it is to be renewed.
    """

    def __init__(
        self, settings: ServeSettings, host: str, identity: Identity | None = None, *, refused: Told = _unheard
    ) -> None:
        """``identity`` is the home's, where another process has the keys; ``refused`` is told why a handshake failed,
        in the process where it did."""
        self._settings = settings
        self._refused = refused
        self._host = host
        self._own = None if settings.tls_cert else identity

    def made(self, ca: CertificateAuthority) -> Made:
        """The context. Raises ``serving.bad_certificate``, ``serving.no_certificate``, ``file.unreadable``."""
        settings = self._settings
        identity = self._own or server_identity(ca, settings, self._host)
        if not settings.tls_cert:
            self._own = identity
        revision = ca.store.pools.trust_revision()
        accepted = client_authorities(ca, [_octets(Path(name)) for name in settings.client_ca])
        return Made(server_context(identity, client_cas=accepted, refused=self._refused), identity.ends, revision)

    def due(self, now: datetime) -> bool:
        """Whether the certificate of the home should be renewed; those of files are renewed by others."""
        return self._own is not None and self._own.ends <= now + LEFT

    def renew(self, ca: CertificateAuthority) -> None:
        """Take a new certificate of the home, from now on. Raises what issuing raises."""
        self._own = server_identity(ca, self._settings, self._host)


class Handshake(ssl.SSLObject):
    """A handshake that says why it failed: to whoever counts (``server_context``), and to the client.

    Event loops drop a connection as soon as its handshake fails, and with it the alert that OpenSSL has written. So a
    failure is told to the loop as "more is needed", upon which it sends what there is; the client closes, or sends
    more, or lets its time run out, and then it has failed.
    """

    _failed: ssl.SSLError | None = None

    def refused(self, reason: str) -> None:
        """It failed for this reason; a server has it counted."""

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
            self.refused(str(reason).lower().replace("_", " "))
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is to be sent") from None


def server_context(
    identity: Identity, *, client_cas: Sequence[str] = (), refused: Told = _unheard
) -> ssl.SSLContext:
    """A context for a server.

    ``client_cas`` are PEM certificates that client certificates may lead to; without any, none that is shown is good.
    They are asked for all the same: a handshake that gets another context in its course (``tls_kept``) takes its CAs,
    but not whether to ask. ``refused`` is told why a handshake failed. Raises ``serving.bad_certificate``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _telling(refused)
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


def _telling(told: Told) -> type[Handshake]:
    class Telling(Handshake):
        def refused(self, reason: str) -> None:
            told(reason)

    return Telling


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    """Give chain and key to the context, which takes files only: for a moment, in a folder that nobody else enters."""
    with TemporaryDirectory(prefix="v2gpki-") as folder:
        chain, key = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain.write_bytes(identity.chain)
        with os.fdopen(os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(identity.private_key)
        # An encrypted key must be an error and no prompt.
        context.load_cert_chain(chain, key, password=lambda: "")


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise V2GPKIError(
            "file.unreadable",
            f"{path} cannot be read: {problem.strerror}",
            hint="check the path and that this user may read it",
            facts={"path": str(path)},
        ) from problem


def _bad(source: str, reason: str) -> V2GPKIError:
    return V2GPKIError(
        "serving.bad_certificate",
        f"{source} cannot be used for TLS: {reason}",
        hint="give a PEM chain (leaf first) with --tls-cert and its unencrypted PEM key with --tls-key",
        facts={"source": source},
    )
