"""A home with its pools behind HTTP, in process: starlette below, httpx above, real stores and keys between."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import httpx
from starlette.applications import Starlette

from tests.servers.http.bridge import AsgiBridge
from v2gpki import CertificateAuthority
from v2gpki.servers.http import opcp
from v2gpki.servers.http.access import Identity
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.exchange import Scope
from v2gpki.servers.http.pools import routes
from v2gpki.wiring.ecosystem import ecosystem_of

#: Token -> who it is.
PARTIES: Mapping[str, Identity] = {
    "operator": Identity("operator", frozenset({"*"})),
    "mo": Identity("mo-1", frozenset({"pools:mo"}), "acme-mobility"),
    "oem": Identity("oem-1", frozenset({"pools:oem"}), "acme-cars"),
    "other-oem": Identity("oem-2", frozenset({"pools:oem"}), "other-cars"),
    "cpo": Identity("cpo-1", frozenset({"pools:cpo"}), "acme-charging"),
    "cps": Identity("cps-1", frozenset({"pools:cps"}), "acme-cps"),
    "nobody": Identity("stranger", frozenset({"est"})),
}


async def resolver(scope: Scope) -> Identity | None:
    """Bearer or x-api-key."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return PARTIES.get(value.decode("latin-1").removeprefix("Bearer "))
        if name == b"x-api-key":
            return PARTIES.get(value.decode("latin-1"))
    return None


class Served:
    """The pools of a home, being served."""

    def __init__(self, ca: CertificateAuthority) -> None:
        self.ca = ca
        self.executor = Executor(2)
        self.ecosystem = ecosystem_of(ca)
        found = routes(opcp.operations(self.ecosystem), resolver, self.executor, realm="pools")
        self.app = Starlette(routes=found)
        self.bridge = AsgiBridge(self.app)

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """A client with this token."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(transport=self.bridge, base_url="http://pools.test", headers=given | headers)

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bridge.close()
        self.executor.close()
