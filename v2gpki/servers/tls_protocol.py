"""uvicorn's HTTP protocol with the client's TLS in each request's scope: certificate and channel binding.

uvicorn implements no TLS extension; without it nobody behind it can tell who holds which certificate. Give the class as
``http=TlsHttpProtocol`` to ``uvicorn.Config``. Source: ASGI TLS extension 0.2.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from v2gpki.servers.http.client_tls import extension_of


class TlsHttpProtocol(HttpToolsProtocol):
    """Looked up once a connection, given with every request."""

    _tls: dict[object, object] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Remember what the handshake proved."""
        super().connection_made(transport)
        self._tls = extension_of(transport)

    def on_message_begin(self) -> None:
        """Put it beside the other facts of a request."""
        super().on_message_begin()
        if self._tls is not None:
            self.scope["extensions"] = {"tls": self._tls}
