"""Webhooks sent: one request to an address that was looked at, and to no other.

The name is resolved once; every address that it has must be permitted, and the connection goes to one of those that
were looked at, whatever the name means a moment later. TLS still asks for the name. Redirects are not followed, proxies
of the environment not used, and of an answer only the status is read; everything together has one deadline.
Sources: RFC 9110 15, OWASP's notes on server-side request forgery.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

import httpcore

from v2gpki.errors import V2GPKIError
from v2gpki.services.webhook_addresses import bad_url, private_address
from v2gpki.services.webhook_lanes import Lanes
from v2gpki.services.webhooks import Outgoing, Webhooks

Address: TypeAlias = IPv4Address | IPv6Address
#: (host, port) -> its addresses; raises OSError.
Resolve: TypeAlias = Callable[[str, int], Sequence[Address]]
_SocketOption: TypeAlias = (
    "tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]"
)

#: Seconds for everything about one delivery.
DEADLINE = 20.0
_CONNECT = 5.0
#: So many are sent at the same time.
_THREADS = 8
#: Seconds between two looks for more while some are on their way.
_LOOK = 0.5
_AGAIN = frozenset({408, 425, 429})
_LOG = logging.getLogger("v2gpki.webhooks")


class DeliveryWorker:
    """Sends what is due, from any number of processes. A receiver that is slow holds up its owner alone."""

    def __init__(
        self,
        webhooks: Webhooks,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        """``resolve`` is asked for names instead of the system, ``tls`` what certificates are trusted."""
        self._webhooks = webhooks
        self._resolve = resolve or _resolved
        self._tls = tls or ssl.create_default_context()
        self._deadline = deadline
        self._lanes = Lanes(now=time.monotonic)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin nothing more; from any thread."""
        self._stopping.set()

    def run_once(self) -> int:
        """Send everything that is due now, and what becomes due meanwhile; returns how many were tried."""
        tried = 0
        hold = timedelta(seconds=2 * self._deadline + 1)
        running: dict[Future[None], Outgoing] = {}
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook") as threads:
            while True:
                if len(running) < _THREADS and not self._stopping.is_set():
                    for outgoing in self._webhooks.take(_THREADS - len(running), hold, lanes=self._lanes):
                        tried += 1
                        self._lanes.begin(outgoing.lane)
                        running[threads.submit(self.deliver, outgoing)] = outgoing
                if not running:
                    return tried
                for ended in wait(running, _LOOK, FIRST_COMPLETED).done:
                    self._judge_end(ended, running.pop(ended))

    def deliver(self, outgoing: Outgoing) -> None:
        """Send one and record what came of it."""
        late = False
        try:
            status = self._send(outgoing)
        except V2GPKIError as refusal:
            late = refusal.code == "webhook.timeout"
            self._webhooks.failed(outgoing, refusal.message, final=not (late or refusal.code == "webhook.unreachable"))
        else:
            if 200 <= status < 300:
                self._webhooks.delivered(outgoing, f"HTTP {status}")
            else:
                self._webhooks.failed(outgoing, f"HTTP {status}", final=status < 500 and status not in _AGAIN)
        finally:
            self._lanes.end(outgoing.lane, late=late)

    def _judge_end(self, ended: Future[None], outgoing: Outgoing) -> None:
        """A delivery that broke in a way that nobody foresaw: it is tried again as if nobody had answered, and the
        others go on."""
        problem = ended.exception()
        if problem is None:
            return
        if isinstance(problem, V2GPKIError):
            # The store was busy: the delivery is due again when its time of being held is over.
            _LOG.error("a delivery could not be recorded: %s", problem, extra={"code": problem.code})
            return
        _LOG.error("a delivery broke", exc_info=problem, extra={"endpoint": outgoing.delivery.endpoint_id})
        self._webhooks.failed(outgoing, f"it broke: {type(problem).__name__}", final=False)

    def _send(self, outgoing: Outgoing) -> int:
        parts = self._webhooks.check_url(outgoing.url)
        ends = time.monotonic() + self._deadline
        backend = _Looked(self._resolve, self._webhooks.policy.permits, ends)
        headers = {**outgoing.headers, "User-Agent": "v2gpki", "Accept": "*/*", "Connection": "close"}
        limits = {"connect": _CONNECT, "read": self._deadline, "write": self._deadline, "pool": self._deadline}
        try:
            with httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
                request = pool.stream(
                    "POST",
                    outgoing.url,
                    headers=[*headers.items()],
                    content=outgoing.delivery.payload,
                    extensions={"timeout": limits},
                )
                with request as response:
                    return response.status
        except httpcore.TimeoutException as problem:
            raise V2GPKIError(
                "webhook.timeout",
                f"{parts.hostname} takes too long",
                hint="it is tried again later",
                facts={"host": parts.hostname or ""},
            ) from problem
        except ValueError as problem:
            # A name that no resolver and no TLS takes (UnicodeError is one of these).
            raise bad_url(f"{parts.hostname} cannot be asked for") from problem
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
            ssl.SSLError,
        ) as problem:
            why = str(problem) or type(problem).__name__
            raise V2GPKIError(
                "webhook.unreachable",
                f"{parts.hostname} cannot be reached: {why[:200]}",
                hint="it is tried again later",
                facts={"host": parts.hostname or ""},
            ) from problem


class _Looked(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, and to nothing after ``ends``."""

    def __init__(self, resolve: Resolve, permits: Callable[[Address], bool], ends: float) -> None:
        self._resolve = resolve
        self._permits = permits
        self._ends = ends
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,  # noqa: ARG002  # httpcore's signature
    ) -> httpcore.NetworkStream:
        """To the first address that answers, when all of them are permitted."""
        try:
            found = list(self._resolve(host, port))
        except OSError as problem:
            raise httpcore.ConnectError(f"its name has no address: {problem}") from problem
        if not found:
            raise httpcore.ConnectError("its name has no address")
        for address in found:
            if not self._permits(address):
                raise private_address(f"{host} ({address})" if host != str(address) else host)
        last: Exception | None = None
        for address in found[:4]:
            try:
                stream = self._inner.connect_tcp(str(address), port, _left(self._ends, timeout), local_address)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                last = problem
            else:
                return _Timed(stream, self._ends)
        raise last or httpcore.ConnectError("no address answers")


class _Timed(httpcore.NetworkStream):
    """A connection whose every step ends at the same moment."""

    def __init__(self, inner: httpcore.NetworkStream, ends: float) -> None:
        self._inner = inner
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What comes before the end."""
        return self._inner.read(max_bytes, _left(self._ends, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send before the end."""
        self._inner.write(buffer, _left(self._ends, timeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """TLS for the name that was asked for, not for the address."""
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, _left(self._ends, timeout)), self._ends)

    def get_extra_info(self, info: str) -> object:
        """As the connection says."""
        return self._inner.get_extra_info(info)


def _left(ends: float, timeout: float | None) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("it takes too long")
    return left if timeout is None else min(left, timeout)


def _resolved(host: str, port: int) -> list[Address]:
    """The system's answer, without zones."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
