"""What the clients of remote pools share: values in nobody's dialect, and calls over an exchange.

`OpcpClient` and `OpncClient` have the same methods, `PoolProvider`'s. Refusals carry what the provider said, with its
trace id. Answers are not trusted (`pool_answers`); whom to trust is judged by whoever asked.
Sources: OPCP 1.0, OPNC v1.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import httpx

from v2gpki.clients.closing import Closing
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.pool_answers import Answered, Json, Reading, place, read_json
from v2gpki.clock import rfc3339

#: What a root is for, in the words of OPCP.
RootKind = Literal["V2G", "MO", "OEM", "PE"]
Edition = Literal["iso15118-2", "iso15118-20"]

#: Statuses whose body says why.
_TELLING = (400, 403, 404, 409, 413, 415, 422, 500, 502)


@dataclass(frozen=True, slots=True)
class RemoteRoot:
    """A root of a remote pool: its id there, what it is for, its certificate (DER)."""

    id: str
    kind: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class RemoteVehicle:
    """A provisioning certificate of a remote pool with its Sub-CAs, leaf first (DER)."""

    chain: tuple[bytes, ...]
    namespace: str


@dataclass(frozen=True, slots=True)
class RemoteDelivery:
    """A CertificateInstallationRes for a vehicle (EXI), and whose contract it brings ("" for a refusal)."""

    exi: bytes = field(repr=False)
    emaid: str = ""


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """The answer to a vehicle's request: deliveries, or a ``refusal`` with the message that tells the vehicle, if the
    provider gave one."""

    deliveries: tuple[RemoteDelivery, ...]
    refusal: str = ""
    exi: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class RemoteContract:
    """A contract of a remote pool; ``certificate`` (DER) is None while there is none."""

    emaid: str
    pcid: str
    namespace: str
    default: bool
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class RemoteSigned:
    """Signed contract data as the provider gave them back: XML (OPCP) or EXI (OPNC)."""

    data: bytes = field(repr=False)
    emaid: str = ""
    pcid: str = ""


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """A CPS leaf of the provider with its Sub-CAs, leaf first (DER), and the root above as the provider names it."""

    chain: tuple[bytes, ...]
    root: str
    namespace: str


@dataclass(frozen=True, slots=True)
class RemoteEndpoint:
    """A webhook endpoint; ``secret`` is told when it is made."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ContractOffer:
    """Contract data to be signed: chain (leaf, Sub-CA 2, Sub-CA 1; DER), the envelope's two fields, the EMAID."""

    chain: tuple[bytes, ...]
    dh_public_key: bytes
    encrypted_key: bytes = field(repr=False)
    emaid: str


class PoolProvider(Protocol):
    """The pools of a provider, whatever its dialect. Every method raises ``client.*``."""

    def roots(self, kind: RootKind | None = None) -> list[RemoteRoot]:
        """The trusted roots."""
        ...

    def root(self, root_id: str) -> RemoteRoot:
        """One root."""
        ...

    def add_root(self, certificate: bytes, kind: RootKind) -> None:
        """Trust a root (operators only)."""
        ...

    def delete_root(self, root_id: str) -> None:
        """Trust a root no more (operators only)."""
        ...

    def publish_vehicle(
        self, chain: Sequence[bytes], *, edition: Edition, v2g_roots: Sequence[bytes] = (), previous_pcid: str = ""
    ) -> None:
        """Register a provisioning certificate with its Sub-CAs, leaf first."""
        ...

    def vehicle(self, pcid: str) -> RemoteVehicle:
        """A vehicle's provisioning certificate."""
        ...

    def knows_vehicle(self, pcid: str) -> bool:
        """Whether there is one."""
        ...

    def delete_vehicle(self, pcid: str) -> None:
        """Take a vehicle out of the pool."""
        ...

    def answer(self, request: bytes, *, edition: Edition, always_exi: bool = True) -> RemoteAnswer:
        """The answer to a CertificateInstallationReq (EXI)."""
        ...

    def store(self, signed: bytes, *, emaid: str, pcid: str, edition: Edition) -> None:
        """Store signed contract data."""
        ...

    def delete_contract(self, emaid: str, *, revoke: bool = True) -> None:
        """End a contract."""
        ...

    def provide(self, emaid: str, pcid: str, *, edition: Edition, session_id: bytes = b"") -> RemoteDelivery:
        """A contract's message without the vehicle's request."""
        ...

    def contract(self, emaid: str, *, edition: Edition = "iso15118-2") -> RemoteContract | None:
        """The contract of an EMAID, None when there is none."""
        ...

    def contracts(self, pcid: str, *, edition: Edition = "iso15118-2") -> list[RemoteContract]:
        """The contracts of a vehicle."""
        ...

    def set_default(self, emaid: str, pcid: str) -> None:
        """Make a contract the vehicle's default."""
        ...

    def sign(self, offer: ContractOffer, *, edition: Edition, pcid: str = "", root: str = "") -> RemoteSigned:
        """Have contract data signed, and stored if the vehicle is named."""
        ...

    def generate(
        self, emaid: str, pcid: str, begins: datetime, ends: datetime, *, edition: Edition, root: str = ""
    ) -> None:
        """Have a contract made, signed and stored."""
        ...

    def signers(self) -> list[RemoteSigner]:
        """The CPS certificates of the provider."""
        ...

    def create_endpoint(self, url: str, events: Sequence[str], *, description: str = "") -> RemoteEndpoint:
        """Be told of events."""
        ...

    def endpoints(self) -> list[RemoteEndpoint]:
        """Where one is told of events."""
        ...

    def endpoint(self, endpoint_id: str) -> RemoteEndpoint:
        """One of these, by its id."""
        ...

    def update_endpoint(
        self, endpoint_id: str, url: str, *, events: Sequence[str] = (), enabled: bool | None = None
    ) -> RemoteEndpoint:
        """Be told elsewhere, of other events, or not for now; what is not given stays."""
        ...

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Be told no more."""
        ...


class PoolClient(Closing):
    """Calls of one provider. A context manager; safe from threads."""

    def __init__(self, url: str, exchange: Exchange) -> None:
        """``exchange`` brings credentials (tokens, or ``x-api-key`` among its headers), time-outs and retries."""
        self._url = url.rstrip("/")
        self._exchange = exchange

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        repeatable: bool = True,
    ) -> Answered:
        """Send and read; what is refused raises ``client.refused`` with the provider's words."""
        response = self._send(
            method, path, body, params=params, headers=headers, accept=accept, repeatable=repeatable
        )
        return Answered(response.status_code, read_json(response), place(response))

    def _octets(self, path: str) -> bytes:
        """What stands at a path, in whatever form; raises as ``_call``."""
        return self._send("GET", path, headers={"Accept": "application/json, */*;q=0.5"}).content

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
        repeatable: bool = True,
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode("ascii")
        sent = {"Accept": "application/json", **(headers or {})}
        if content is not None:
            sent["Content-Type"] = "application/json"
        response = self._exchange.send(
            method,
            self._url + path,
            params=params,
            content=content,
            headers=sent,
            repeatable=repeatable,
            accept=_TELLING,
        )
        if response.status_code >= 400 and response.status_code not in accept:
            raise Answered(response.status_code, read_json(response), place(response)).refusal()
        return response


def endpoint_change(url: str, events: Sequence[str], *, enabled: bool | None) -> dict[str, Json]:
    """What is to change of a webhook endpoint, as both dialects write it; the address must always stand there."""
    body: dict[str, Json] = {"url": url}
    if events:
        body["enabledEvents"] = [*events]
    if enabled is not None:
        body["status"] = "enabled" if enabled else "disabled"
    return body


def endpoint_of(found: Reading) -> RemoteEndpoint:
    """A webhook endpoint, which both dialects write alike."""
    return RemoteEndpoint(
        found.text("id"),
        found.text("url"),
        found.texts("enabledEvents"),
        found.optional("status", "enabled") == "enabled",
        found.optional("secret"),
    )


def b64(octets: bytes) -> str:
    """Octets in base64."""
    return base64.b64encode(octets).decode("ascii")


def moment(at: datetime) -> str:
    """A moment as both dialects write it."""
    return rfc3339(at)
