"""``serve``: from settings to listening processes and back.

The parent opens the sockets, checks that the home opens, and forks its workers before anything of the home is open;
each worker opens it anew. One worker is the parent itself. Workers that die are replaced, with a pause that grows.
The ready-file appears when every door of every worker is open, and goes at the end.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.servers import listeners
from v2gpki.servers.http import health
from v2gpki.servers.http.access import nobody
from v2gpki.servers.http.application import Executor, build
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.limits import Meter
from v2gpki.servers.http.metrics import Metrics
from v2gpki.servers.http.part import App, Part
from v2gpki.servers.http.tally import Tally
from v2gpki.servers.listeners import Listener
from v2gpki.servers.parts import PARTS, Premises
from v2gpki.servers.process import Conduct, Door, Process
from v2gpki.servers.protocol import Deadlines
from v2gpki.servers.tls import server_context
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.home import STORE_FILE
from v2gpki.wiring.serve_settings import ServeSettings

_LOG = logging.getLogger("v2gpki.serve")

#: Opens the home anew, in the process that calls it.
Open = Callable[[], CertificateAuthority]


@dataclass(frozen=True, slots=True)
class Served:
    """What is served where: for each listener its URL and (part, title, paths)."""

    listeners: tuple[tuple[Listener, tuple[Part, ...]], ...]

    def value(self) -> dict[str, object]:
        """As JSON, for people's programs and for the ready-file."""
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


@dataclass(slots=True)
class Serving:
    """One run of the server."""

    open_home: Open
    settings: ServeSettings
    ready_file: Path | None = None
    announce: Callable[[Served], None] = lambda _served: None
    _bound: list[tuple[Listener, socket.socket]] = field(default_factory=list)

    def run(self) -> None:
        """Serve until told to stop. Raises ``serving.*``, and what opening the home raises."""
        chosen = chosen_parts(self.settings.parts)
        tally = Tally((*chosen, "oauth", "health", "metrics"), workers=self.settings.workers)
        with ExitStack() as stack:
            tls = bool(self.settings.tls or self.settings.tls_cert)
            for text in self.settings.listen:
                listener, opened = listeners.bind(listeners.parse(text, tls=tls))
                stack.callback(opened.close)
                self._bound.append((listener, opened))
            ca = stack.enter_context(self.open_home())
            worker = Worker(ca, self.settings, chosen, tally, self._bound)
            stack.callback(worker.close)

            def started() -> None:
                self._tell(worker.served)
                self.announce(worker.served)

            stack.callback(self._untell)
            worker.process(started=started).run()

    def _tell(self, served: Served) -> None:
        if self.ready_file is None:
            return
        beside = self.ready_file.with_name(f".{self.ready_file.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(served.value()) + "\n", "ascii")
            beside.replace(self.ready_file)
        except OSError as problem:
            raise V2GPKIError(
                "file.unwritable",
                f"the ready-file {self.ready_file} cannot be written: {problem.strerror}",
                hint="choose another place with --ready-file",
                facts={"path": str(self.ready_file)},
            ) from problem

    def _untell(self) -> None:
        if self.ready_file is not None:
            self.ready_file.unlink(missing_ok=True)


class Worker:
    """Everything of one serving process."""

    def __init__(
        self,
        ca: CertificateAuthority,
        settings: ServeSettings,
        chosen: Sequence[str],
        tally: Tally,
        bound: Sequence[tuple[Listener, socket.socket]],
    ) -> None:
        self._ca = ca
        self._settings = settings
        self._tally = tally
        self._bound = bound
        self.executor = Executor(settings.threads)
        premises = Premises(ca, settings, nobody, self.executor, tally)
        self.parts = tuple(PARTS[name](premises) for name in chosen)
        self._place = _place(ca.home / STORE_FILE)
        self._tls_until: datetime | None = None
        self._metrics = Metrics(tally, ca.store, ca.clock, locked=ca.vault is None, tls_ends=lambda: self._tls_until)

    @property
    def served(self) -> Served:
        """What is served where."""
        secured = any(listener.tls for listener, _ in self._bound)
        return Served(
            tuple(
                (listener, tuple(part for part in self.parts if listener.tls or part.plain or not secured))
                for listener, _ in self._bound
            )
        )

    def process(self, *, started: Callable[[], None], lifeline: int | None = None) -> Process:
        """The process that serves at the bound sockets."""
        settings = self._settings
        secured = any(listener.tls for listener, _ in self._bound)
        meter = Meter(settings.rate, settings.burst or 2 * settings.rate) if settings.rate else None
        limits = Limits(settings.max_body, meter)
        doors = []
        for listener, opened in self._bound:
            front = build(
                self.parts,
                self._tally,
                limits=limits,
                own=self._own(),
                log_requests=settings.log == "requests",
                only_plain=secured and not listener.tls,
            )
            context = server_context(Path(settings.tls_cert), Path(settings.tls_key)) if listener.tls else None
            doors.append(Door(opened, front, context))
        conduct = Conduct(
            Deadlines(settings.request_seconds, settings.write_seconds),
            settings.idle_seconds,
            settings.grace_seconds,
            settings.max_connections,
            settings.proxies,
        )
        jobs = [job for part in self.parts for job in part.jobs]
        return Process(
            doors,
            jobs,
            conduct,
            started=started,
            timed_out=lambda: self._tally.event("timed_out"),
            lifeline=lifeline,
        )

    def close(self) -> None:
        """End the threads."""
        self.executor.close()

    # -- health --------------------------------------------------------------------------------

    def _own(self) -> Mapping[str, tuple[str, App]]:
        return {
            "/healthz": ("health", health.healthz()),
            "/readyz": ("health", health.readyz(self._checks)),
            "/metrics": ("metrics", health.metrics(self._text)),
        }

    async def _checks(self) -> Mapping[str, str]:
        store = await self.executor.call(health.wrong_with, self._check_store)
        return {"store": store, "keys": health.wrong_with(self._check_keys)}

    async def _text(self) -> bytes:
        return await self.executor.call(self._metrics.text)

    def _check_store(self) -> None:
        """Raise when the store cannot be read, or is another file than the one that was opened."""
        if _place(self._ca.home / STORE_FILE) != self._place:
            raise V2GPKIError(
                "store.missing",
                f"the store of {self._ca.home} is gone or was exchanged while it was served",
                hint="put it back and start the service again",
                facts={"home": str(self._ca.home)},
            )
        self._ca.store.revision()

    def _check_keys(self) -> None:
        if self._ca.vault is None and any(part.signs for part in self.parts):
            self._ca._require_unlocked()


def chosen_parts(names: Sequence[str]) -> tuple[str, ...]:
    """The parts that are served; everything when nothing is named. Raises ``serving.unknown_part``."""
    for name in names:
        if name not in PARTS:
            raise V2GPKIError(
                "serving.unknown_part",
                f"there is no service {name!r}",
                hint=f"services are {', '.join(PARTS)}",
                facts={"part": name},
            )
    return tuple(name for name in PARTS if name in names or not names)


def _place(path: Path) -> tuple[int, int]:
    """Which file stands at a path; (0, 0) for none."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
