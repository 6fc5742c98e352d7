"""What the clients of remote pools share: values in nobody's dialect, calls over an exchange, answers read strictly.

`OpcpClient` and `OpncClient` have the same methods, `PoolProvider`'s. Refusals carry what the provider said, with its
trace id. Answers are not trusted: fields have their types, octets are base64; whom to trust is judged by whoever asked.
Sources: OPCP 1.0, OPNC v1.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

import httpx

from v2gpki.clients.exchange import Exchange
from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
#: What a root is for, in the words of OPCP.
RootKind = Literal["V2G", "MO", "OEM", "PE"]
Edition = Literal["iso15118-2", "iso15118-20"]

#: Statuses whose body says why.
_TELLING = (400, 404, 409, 413, 415, 422)
_SHOWN = 500


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

    def delete_endpoint(self, endpoint_id: str) -> None:
        """Be told no more."""
        ...


class PoolClient:
    """Calls of one provider. A context manager; safe from threads."""

    def __init__(self, url: str, exchange: Exchange) -> None:
        """``exchange`` brings credentials (tokens, or ``x-api-key`` among its headers), time-outs and retries."""
        self._url = url.rstrip("/")
        self._exchange = exchange

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
        answered = Answered(response.status_code, _read(response), str(response.request.url.copy_with(query=None)))
        if response.status_code >= 400 and response.status_code not in accept:
            raise answered.refusal()
        return answered


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: a status and JSON."""

    status: int
    value: Json
    url: str

    def object(self, name: str = "") -> Reading:
        """The answer, or a member of it, as an object."""
        whole = Reading(self.value if isinstance(self.value, dict) else None, self.url)
        return whole.inner(name) if name else whole

    def objects(self) -> list[Reading]:
        """The answer as a list of objects."""
        if not isinstance(self.value, list):
            raise bad_answer(self.url, "it is no list")
        return [Reading(one if isinstance(one, dict) else None, self.url) for one in self.value]

    @property
    def said(self) -> str:
        """Why it was refused, in the provider's words."""
        value = self.value if isinstance(self.value, dict) else {}
        messages = value.get("errorMessages")
        told = [str(one) for one in messages] if isinstance(messages, list) else []
        trace = value.get("traceId")
        text = "; ".join(told)[:_SHOWN]
        shown = "".join(character if character.isprintable() else "?" for character in text)
        return f"{shown or 'no reason given'} (trace {str(trace)[:40]!a})" if trace else shown or "no reason given"

    def refusal(self) -> V2GPKIError:
        """The refusal as an error."""
        return V2GPKIError(
            "client.refused",
            f"{self.url} answered HTTP {self.status}: {self.said}",
            hint="correct the request" if self.status != 404 else "check the identifier: nothing is there",
            facts={"url": self.url, "status": self.status, "said": self.said},
        )


class Reading:
    """An object of an answer; every reader raises ``client.bad_answer``."""

    __slots__ = ("_url", "_values")

    def __init__(self, values: Mapping[str, Json] | None, url: str) -> None:
        if values is None:
            raise bad_answer(url, "it is no JSON object")
        self._values = values
        self._url = url

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise bad_answer(self._url, f"{name} is no text")
        return value

    def optional(self, name: str, default: str = "") -> str:
        """A text, or the default when there is none."""
        return default if self._values.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Whether it says true."""
        return self._values.get(name) is True

    def octets(self, name: str) -> bytes:
        """Octets in base64 that must be there."""
        try:
            return base64.b64decode("".join(self.text(name).split()), validate=True)
        except (binascii.Error, ValueError) as problem:
            raise bad_answer(self._url, f"{name} is no base64") from problem

    def optional_octets(self, name: str) -> bytes | None:
        """Octets, None when there are none."""
        return None if self._values.get(name) in (None, "") else self.octets(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty when there is none."""
        value = self._values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise bad_answer(self._url, f"{name} is no list of texts")
        return tuple(str(one) for one in value)

    def inner(self, name: str) -> Reading:
        """An object inside."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise bad_answer(self._url, f"it has no object {name}")
        return Reading(value, self._url)

    def list(self, name: str) -> list[Reading]:
        """A list of objects inside."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise bad_answer(self._url, f"it has no list {name}")
        return [Reading(one if isinstance(one, dict) else None, self._url) for one in value]

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._values.get(name) is not None


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


def bad_answer(url: str, why: str) -> V2GPKIError:
    """The refusal of an answer that is none."""
    return V2GPKIError(
        "client.bad_answer",
        f"the answer of {url} cannot be used: {why}",
        hint="check address and dialect of the provider",
        facts={"url": url},
    )


def _read(response: httpx.Response) -> Json:
    if not response.content.strip():
        return None
    try:
        value: Json = json.loads(response.content)
    except (ValueError, RecursionError):
        # Proxies answer refusals in pages of their own.
        if response.status_code >= 400:
            return None
        raise bad_answer(str(response.request.url.copy_with(query=None)), "it is no JSON") from None
    return value
