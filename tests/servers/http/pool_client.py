"""A home with its pools behind HTTP, in process: starlette below, httpx above, real stores and keys between."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

import httpx
from starlette.applications import Starlette

from tests.conftest import BIRTH
from tests.servers.http.bridge import AsgiBridge
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.http.access import Identity
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.exchange import Scope
from v2gpki.servers.http.pools_part import pools_part
from v2gpki.store.pool_records import Contract
from v2gpki.wiring.serve_settings import ServeSettings

EMAID = "DE8AA001234567"
OTHER_EMAID = "DE8AA007654321"
ISO2 = "urn:iso:15118:2:2013:MsgDef"

#: Token -> who it is.
PARTIES: Mapping[str, Identity] = {
    "operator": Identity("operator", frozenset({"*"})),
    "mo": Identity("mo-1", frozenset({"pools:mo"}), "acme-mobility"),
    "other-mo": Identity("mo-2", frozenset({"pools:mo"}), "other-mobility"),
    "oem": Identity("oem-1", frozenset({"pools:oem"}), "acme-cars"),
    "other-oem": Identity("oem-2", frozenset({"pools:oem"}), "other-cars"),
    "cpo": Identity("cpo-1", frozenset({"pools:cpo"}), "acme-charging"),
    "other-cpo": Identity("cpo-2", frozenset({"pools:cpo"}), "other-charging"),
    "cps": Identity("cps-1", frozenset({"pools:cps"}), "acme-cps"),
    # One identity in every role, and identities with a credential for another role only.
    "every-role": Identity("rival", frozenset({"pools"}), "other-cars"),
    "mo-for-charging": Identity("mo-1", frozenset({"pools:cpo"}), "acme-mobility"),
    "cps-for-charging": Identity("cps-1", frozenset({"pools:cpo"}), "acme-cps"),
    "listener": Identity("listener", frozenset({"webhooks"}), "acme-mobility"),
    "stranger": Identity("stranger", frozenset({"est"})),
}


async def resolver(scope: Scope) -> Identity | None:
    """Bearer or x-api-key; both must be the same."""
    shown = {
        value.decode("latin-1").removeprefix("Bearer ")
        for name, value in scope["headers"]
        if name in (b"authorization", b"x-api-key")
    }
    return PARTIES.get(shown.pop()) if len(shown) == 1 else None


class Served:
    """The pools of a home, being served."""

    def __init__(self, ca: CertificateAuthority, settings: ServeSettings | None = None) -> None:
        self.ca = ca
        self.executor = Executor(2)
        self.part = pools_part(ca, settings or ServeSettings(), resolver, self.executor)
        self.app = Starlette(routes=self.part.routes)
        self.bridge = AsgiBridge(self.app)

    def client(self, token: str = "", **headers: str) -> httpx.Client:
        """A client with this token; underscores in the names of headers are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        return httpx.Client(transport=self.bridge, base_url="http://pools.test", headers=given)

    def bind(self) -> None:
        """The WMI of the test vehicle to the OEM, country and provider of the EMAIDs to the MO."""
        owners = self.ca.plug_and_charge.vehicles.owners
        owners.bind("wmi", PCID[:3], "acme-cars", at=BIRTH, caller="test")
        owners.bind("mo", EMAID[:5], "acme-mobility", at=BIRTH, caller="test")

    def actions(self) -> list[tuple[str, str]]:
        """(action, caller) of the audit log."""
        return [(row.action, row.caller) for row in self.ca.store.audit_rows()]

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bridge.close()
        self.executor.close()


def contract(ca: CertificateAuthority, emaid: str = EMAID, *, pcid: str = PCID, days: int = 365) -> Contract:
    """A contract of this home's MO."""
    return ca.plug_and_charge.contracts.create(
        emaid, pcid, BIRTH - timedelta(days=1), BIRTH + timedelta(days=days), at=BIRTH, caller="test"
    )


def vehicle_of(ca: CertificateAuthority, edition: Edition = "iso15118-2", *, pcid: str = PCID) -> Vehicle:
    """A vehicle with a fresh certificate, registered by whoever owns its WMI."""
    vehicle = Vehicle.made(ca, edition, pcid, registered=False)
    vehicles = ca.plug_and_charge.vehicles
    bound = vehicles.owners.of("wmi", pcid)
    vehicles.register(vehicle.chain, owner="" if bound is None else bound.owner, at=ca.clock.now(), caller="test")
    return vehicle


def b64(octets: bytes) -> str:
    """Base64."""
    return base64.b64encode(octets).decode()


def asked(vehicle: Vehicle, namespace: str = ISO2, **wanted: int) -> dict[str, str]:
    """The body of a request for a vehicle's contract."""
    return {"certificateInstallationReq": b64(vehicle.request(**wanted)), "xsdMsgDefNamespace": namespace}  # type: ignore[arg-type]  # maximum is a number
