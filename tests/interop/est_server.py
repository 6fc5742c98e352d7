"""EST behind TLS on loopback, for foreign clients: uvicorn in a thread, Basic and client certificates."""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import uvicorn
from starlette.applications import Starlette

from tests.services.est.desk import service_of
from v2gpki.certs.chain import pem
from v2gpki.keys import pkcs8
from v2gpki.servers.http.access import Identity
from v2gpki.servers.http.est import est_routes
from v2gpki.servers.http.exchange import Scope
from v2gpki.servers.protocol import Deadlines, with_deadlines
from v2gpki.services.est import LabelOptions, Registration
from v2gpki.wiring import CertificateAuthority

USER, PASSWORD = "cpo-a", "a password of the tests"
STATION = "DE*ICE*E45B*78C"
TABLE = (
    Registration(USER, "secc", "", (), ("DE*ICE",)),
    Registration(USER, "station", "ocpp", ("CS-0001",)),
)


async def basic(scope: Scope) -> Identity | None:
    """The one user with the one password; a client certificate alone makes nobody known."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"authorization" and value.startswith(b"Basic "):
            try:
                said = base64.b64decode(value[6:], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return None
            if said == f"{USER}:{PASSWORD}":
                return Identity(USER, frozenset({"est"}))
    return None


@dataclass(frozen=True)
class EstServer:
    """Where it listens, and what a client needs to trust it."""

    ca: CertificateAuthority
    url: str
    root: Path
    folder: Path


@contextmanager
def est_server(
    ca: CertificateAuthority, folder: Path, *, options: Mapping[str, LabelOptions] | None = None
) -> Iterator[EstServer]:
    """Serve from here to the end of the block; the server's certificate is one of the home's own."""
    folder.mkdir()
    issued = ca.issue("csms", id="localhost", edition="ocpp")
    assert issued.private_key is not None
    root = ca.authority("ocpp-csms-root").der
    files = {
        "server.pem": pem([*issued.chain, root]),
        "server-key.pem": pkcs8.plain(issued.private_key),
        "root.pem": pem([root]),
        "clients.pem": pem([authority.der for authority in ca.store.authorities() if not authority.chain]),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    config = uvicorn.Config(
        Starlette(routes=est_routes(service_of(ca, TABLE, options=dict(options or {})), basic)),
        http=with_deadlines(Deadlines(), tls=True),
        ssl_certfile=folder / "server.pem",
        ssl_keyfile=folder / "server-key.pem",
        ssl_ca_certs=str(folder / "clients.pem"),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        log_level="warning",
        lifespan="off",
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield EstServer(ca, f"https://localhost:{port}", folder / "root.pem", folder)
        finally:
            server.should_exit = True
            thread.join()
