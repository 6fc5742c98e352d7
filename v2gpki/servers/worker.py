"""One worker: an opened home with its parts, health and metrics, ready to be run as a process."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from v2gpki.errors import V2GPKIError
from v2gpki.servers.http import health
from v2gpki.servers.http.access import AccessResolver
from v2gpki.servers.http.application import Executor, build
from v2gpki.servers.http.front import Front, Limits
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.lines import Lines
from v2gpki.servers.http.metrics import Metrics
from v2gpki.servers.http.oauth import TokenEndpoint
from v2gpki.servers.http.part import App, Part
from v2gpki.servers.http.tally import Tally
from v2gpki.servers.listeners import Listener
from v2gpki.servers.parts import PARTS, WITH_CREDENTIALS, Premises
from v2gpki.servers.process import Conduct, Door, Process
from v2gpki.servers.protocol import Deadlines
from v2gpki.servers.tls import Made, TlsMaker
from v2gpki.servers.tls_kept import KeptTls
from v2gpki.servers.turned_away import TurnedAway
from v2gpki.servers.upkeep import SEAL_EVERY, Upkeep
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.access import access_of
from v2gpki.wiring.serve_settings import ServeSettings

_LOG = logging.getLogger("v2gpki.serve")


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker of a server does alike."""

    settings: ServeSettings
    chosen: tuple[str, ...]
    tally: Tally
    turned: TurnedAway
    bound: tuple[tuple[Listener, socket.socket], ...]
    #: The TLS context of every https door, and what makes it anew.
    made: Made | None = None
    tls: TlsMaker | None = None

    @property
    def secured(self) -> bool:
        """Whether some address has TLS."""
        return any(listener.tls for listener, _ in self.bound)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served where."""

    listeners: tuple[tuple[Listener, tuple[Part, ...]], ...]

    def value(self) -> dict[str, object]:
        """As JSON, for programs and for the ready-file."""
        return {
            "schema": "v2gpki/serving/1",
            "process": os.getpid(),
            "listeners": [
                {
                    "url": listener.url,
                    "tls": listener.tls,
                    "parts": [{"name": part.name, "title": part.title, "urls": list(part.urls)} for part in parts],
                }
                for listener, parts in self.listeners
            ],
        }


class Worker:
    """Everything of one serving process; a context manager that ends its threads."""

    def __init__(self, ca: CertificateAuthority, plan: Plan) -> None:
        settings = plan.settings
        self._ca = ca
        self._plan = plan
        self.executor = Executor(settings.threads)
        access = access_of(ca)
        self._lines = Lines(refusals=settings.log == "errors", left_out=plan.turned.note)
        resolver = AccessResolver(access, ca.clock, self.executor, plan.tally, lines=self._lines)
        premises = Premises(ca, settings, resolver, self.executor, plan.tally)
        parts = [PARTS[name](premises) for name in plan.chosen]
        if WITH_CREDENTIALS.intersection(plan.chosen):
            lifetime = timedelta(seconds=settings.token_seconds)
            parts.append(TokenEndpoint(access, self.executor, plan.tally, lifetime=lifetime).part())
        self.parts = tuple(parts)
        premises.served.extend(parts)
        self._tls = self._kept_tls()
        ca._pace_seals(SEAL_EVERY)
        self._upkeep = Upkeep(ca, access, self.executor)
        self._metrics = Metrics(
            plan.tally,
            ca.store,
            ca.clock,
            locked=ca.locked,
            signer_ends=next((part.ends for part in parts if part.ends is not None), None),
            tls_ends=lambda: None if self._tls is None else self._tls.ends,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.executor.close()
        try:
            self._upkeep.seal_now()
        except V2GPKIError as problem:
            # The next process signs these rows.
            _LOG.warning("the audit log could not be signed at the end: %s", problem, extra={"code": problem.code})

    @property
    def served(self) -> Served:
        """What is served where."""
        return Served(
            tuple(
                (listener, tuple(part for part in self.parts if self._serves(listener, part)))
                for listener, _ in self._plan.bound
            )
        )

    def process(self, *, started: Callable[[], None], lifeline: int | None = None) -> Process:
        """The process that serves at the bound sockets."""
        plan, settings = self._plan, self._plan.settings
        meter = Meter(settings.rate, settings.burst or 2 * settings.rate) if settings.rate else None
        limits = Limits(settings.max_body, meter)
        doors = [
            Door(opened, self._front(listener, limits), plan.made.context if listener.tls and plan.made else None)
            for listener, opened in plan.bound
        ]
        conduct = Conduct(
            Deadlines(settings.request_seconds, settings.write_seconds),
            settings.idle_seconds,
            settings.grace_seconds,
            settings.max_connections,
            settings.max_address_connections,
            settings.proxies,
        )
        return Process(
            doors,
            [
                *(job for part in self.parts for job in part.jobs),
                *self._upkeep.jobs,
                *([] if self._tls is None else [self._tls.watch]),
            ],
            conduct,
            started=started,
            turned=plan.turned,
            lifeline=lifeline,
        )

    # -- helpers -------------------------------------------------------------------------------

    def _kept_tls(self) -> KeptTls | None:
        plan, settings = self._plan, self._plan.settings
        if plan.made is None or plan.tls is None:
            return None
        names = [name for name in (settings.tls_cert, settings.tls_key, *settings.client_ca) if name]
        return KeptTls(plan.made, plan.tls, self._ca, [Path(name) for name in names])

    def _serves(self, listener: Listener, part: Part) -> bool:
        return listener.tls or part.plain or not self._plan.secured

    def _front(self, listener: Listener, limits: Limits) -> Front:
        return build(
            [part for part in self.parts if self._serves(listener, part)],
            self._plan.tally,
            limits=limits,
            own=self._own(listener),
            lines=self._lines,
            elsewhere=[part for part in self.parts if not self._serves(listener, part)],
            secured=self._secured_place(),
            direct=not self._plan.settings.proxies,
        )

    def _secured_place(self) -> str:
        """Where TLS is, for people; an address that stands for all is none that anybody can call."""
        secured = next((listener for listener, _ in self._plan.bound if listener.tls), None)
        if secured is None:
            return ""
        host = self._plan.settings.tls_name or secured.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not listened at
            return f"https, port {secured.port}"
        return replace(secured, host=host).url

    def _own(self, listener: Listener) -> Mapping[str, tuple[str, App]]:
        own = {
            "/healthz": ("health", health.healthz()),
            "/readyz": ("health", health.readyz(self._checks)),
        }
        wanted = self._plan.settings.metrics
        if wanted == "everywhere" or (wanted == "local" and listener.local):
            own["/metrics"] = ("metrics", health.metrics(self._text))
        return own

    async def _checks(self) -> Mapping[str, str]:
        store = await self.executor.call(health.wrong_with, self._check_store)
        return {"store": store, "keys": await self.executor.call(health.wrong_with, self._check_keys)}

    async def _text(self) -> bytes:
        return await self.executor.call(self._metrics.text)

    def _check_store(self) -> None:
        """Raise when the store cannot be read, or is another file than the one that was opened."""
        self._ca.store.revision()

    def _check_keys(self) -> None:
        if any(part.signs for part in self.parts):
            self._ca._require_unlocked()
