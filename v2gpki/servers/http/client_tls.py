"""What an application may know of the client's TLS: its certificate and the channel binding, from the ASGI scope.

A server puts them there by the TLS extension of ASGI (``extensions.tls``: ``client_cert_chain`` as PEM, leaf first)
and, beside it, ``tls_unique``. `servers.protocol` does so for uvicorn, which does not by itself. The handshake
proved that the client holds the key; whether its certificate is good is judged by whoever reads it.
Source: ASGI TLS extension 0.2.
"""

from __future__ import annotations

import ssl
from asyncio import BaseTransport

from v2gpki.servers.http.exchange import Scope

_EXTENSION = "tls"
_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def client_certificate(scope: Scope) -> bytes | None:
    """The DER certificate that the client proved to hold, None when it showed none."""
    chain = _tls(scope).get("client_cert_chain")
    if not isinstance(chain, list | tuple) or not chain:
        return None
    return ssl.PEM_cert_to_DER_cert(str(chain[0]))


def tls_unique(scope: Scope) -> bytes:
    """The tls-unique of the connection (RFC 5929 3), b"" with TLS 1.3 and without TLS."""
    value = _tls(scope).get("tls_unique")
    return value if isinstance(value, bytes) else b""


def _tls(scope: Scope) -> dict[str, object]:
    extensions = scope.get("extensions") or {}
    found = extensions.get(_EXTENSION) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else {}


def extension_of(transport: BaseTransport) -> dict[object, object] | None:
    """The TLS extension for a connection, None without TLS."""
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    der = connection.getpeercert(binary_form=True)
    unique = connection.get_channel_binding("tls-unique") if connection.version() != "TLSv1.3" else None
    return {
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        "tls_version": _VERSIONS.get(connection.version()),
        "tls_unique": unique or b"",
    }
