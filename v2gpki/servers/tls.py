"""The server's side of TLS for HTTP: 1.2 and 1.3 with modern suites only, client certificates when they are shown.

Forward secrecy and authenticated encryption throughout (ECDHE with AES-GCM or ChaCha20); no session tickets in 1.2, no
compression, no renegotiation. A client certificate is optional: one that is shown must be whole, within its validity
and lead to one of the given CAs, or the handshake fails. Whether it was revoked is the resolver's to ask.
Sources: RFC 9325 3 and 4; RFC 8446; Mozilla "intermediate".
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from v2gpki.errors import V2GPKIError

#: TLS 1.2: what RFC 9325 4.2 recommends; 1.3 has nothing else.
SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(
    certificate: Path, key: Path, *, client_cas: Sequence[str] = (), passphrase: str = ""
) -> ssl.SSLContext:
    """A context for a server with this chain (PEM, leaf first) and key (PEM).

    ``client_cas`` are PEM certificates that client certificates may lead to; empty asks for none. Raises
    ``serving.bad_certificate``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    )
    context.set_alpn_protocols(["http/1.1"])
    try:
        # An encrypted key without a passphrase must be an error and no prompt.
        context.load_cert_chain(certificate, key, password=lambda: passphrase)
    except (ssl.SSLError, OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise V2GPKIError(
            "serving.bad_certificate",
            f"the TLS certificate {certificate} and its key {key} cannot be used: {reason}",
            hint="give a PEM chain (leaf first) with --tls-cert and its unencrypted PEM key with --tls-key",
            facts={"certificate": str(certificate), "key": str(key)},
        ) from problem
    if client_cas:
        try:
            context.load_verify_locations(cadata="\n".join(client_cas))
        except ssl.SSLError as problem:
            raise V2GPKIError(
                "serving.bad_certificate",
                f"the CAs of client certificates cannot be read: {problem}",
                hint="give PEM certificates with --client-ca",
            ) from problem
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
