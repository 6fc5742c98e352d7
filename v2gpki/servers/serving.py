"""``serve``: from settings to listening processes and back.

The parent opens the sockets and the home, so that whatever is wrong is said at once; then it is the one worker itself,
or it closes the home again and forks its workers, each of which opens it anew: no connection to the store crosses a
fork. The ready-file appears when every door of every worker is open, and goes at the end.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.servers import listeners
from v2gpki.servers.http.tally import Tally
from v2gpki.servers.listeners import Listener
from v2gpki.servers.parts import PARTS, WITH_CREDENTIALS
from v2gpki.servers.tls import Identity, TlsMaker
from v2gpki.servers.turned_away import TurnedAway
from v2gpki.servers.worker import Plan, Served, Worker
from v2gpki.servers.workers import Workers
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.serve_settings import ServeSettings

_LOG = logging.getLogger("v2gpki.serve")

#: Opens the home anew, in the process that calls it.
Open = Callable[[], CertificateAuthority]


@dataclass(slots=True)
class Serving:
    """One run of the server. ``announce`` is told what is served when all of it can be reached."""

    open_home: Open
    settings: ServeSettings
    ready_file: Path | None = None
    announce: Callable[[Served], None] = lambda _served: None
    warn: Callable[[str], None] = lambda _message: None
    #: The TLS identity that the home issued, where another process has the keys.
    identity: Identity | None = None
    #: Ends the server from another thread, when it runs in one process.
    stop: Callable[[], None] = field(default=lambda: None, init=False)

    def run(self) -> None:
        """Serve until told to stop. Raises ``serving.*``, and what opening the home raises."""
        settings = self.settings
        chosen = checked_parts(settings)
        with ExitStack() as stack:
            stack.callback(self._untell)
            bound = self._bind(stack)
            tally = Tally((*PARTS, "oauth", "health", "metrics"), workers=settings.workers)
            with ExitStack() as first:
                ca = first.enter_context(self.open_home())
                turned = TurnedAway(tally.event)
                tls = self._tls(bound, turned)
                made = None if tls is None else tls.made(ca)
                plan = Plan(settings, chosen, tally, turned, tuple(bound), made, tls)
                self._warn_of_plain(bound, chosen)
                worker = first.enter_context(Worker(ca, plan))
                if settings.workers == 1:
                    process = worker.process(started=lambda: self._started(worker.served))
                    self.stop = process.stop
                    process.run()
                    return
                served = worker.served

            def serve(number: int, started: Callable[[], None], lifeline: int) -> None:
                tally.use_row(number)
                with self.open_home() as mine, Worker(mine, plan) as one:
                    one.process(started=started, lifeline=lifeline).run()

            Workers(settings.workers, serve, lambda: self._started(served), settings.grace_seconds).run()

    # -- helpers -------------------------------------------------------------------------------

    def _bind(self, stack: ExitStack) -> list[tuple[Listener, socket.socket]]:
        settings = self.settings
        tls = bool(settings.tls or settings.tls_cert)
        wanted = [listeners.parse(text, tls=tls) for text in settings.listen]
        if any(listener.tls for listener in wanted) and not tls:
            raise V2GPKIError(
                "serving.bad_certificate",
                "an https address needs a certificate",
                hint="give --tls-cert and --tls-key, or --tls for one that this home issues",
            )
        bound = []
        for listener in wanted:
            at, opened = listeners.bind(listener)
            stack.callback(opened.close)
            bound.append((at, opened))
        return bound

    def _tls(self, bound: list[tuple[Listener, socket.socket]], turned: TurnedAway) -> TlsMaker | None:
        """What makes the TLS context of every https door; None when there is none."""
        secured = [listener for listener, _ in bound if listener.tls]
        if not secured:
            return None
        self._warn_of_names(secured)

        def refused(reason: str) -> None:
            turned.note("handshake_refused", "", reason=reason)

        return TlsMaker(self.settings, secured[0].host, self.identity, refused=refused)

    def _warn_of_names(self, secured: Sequence[Listener]) -> None:
        """The home's certificate is for one name or address; TLS clients that call another one refuse it."""
        settings, first = self.settings, secured[0]
        if settings.tls_cert or settings.tls_name:
            return
        if first.everywhere:
            self.warn(f"TLS clients refuse a certificate for {first.host}: give the name that they use with --tls-name")
            return
        for other in secured:
            if other.host != first.host:
                self.warn(f"the TLS certificate is for {first.host}: clients that call {other.url} refuse it")

    def _warn_of_plain(self, bound: list[tuple[Listener, socket.socket]], chosen: tuple[str, ...]) -> None:
        """Where nothing has TLS, every address takes credentials; beside one with TLS, no plain one does."""
        if any(listener.tls for listener, _ in bound) or not WITH_CREDENTIALS.intersection(chosen):
            return
        for listener, _ in bound:
            if not listener.local:
                self.warn(f"credentials travel unprotected to {listener.url}: serve them with TLS, or behind a proxy")

    def _started(self, served: Served) -> None:
        self._tell(served)
        self.announce(served)
        urls = " ".join(listener.url for listener, _ in served.listeners)
        _LOG.info("serving", extra={"urls": urls, "workers": self.settings.workers})

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


def checked_parts(settings: ServeSettings) -> tuple[str, ...]:
    """The parts that are served, after a look at what their settings name; nothing is opened before it.

    Raises ``serving.unknown_part``, ``file.unreadable``, ``settings.bad_value``.
    """
    chosen = chosen_parts(settings.parts)
    if "pools" in chosen:
        from v2gpki.servers.http.pools_part import check_settings  # noqa: PLC0415  # only what is chosen is imported

        check_settings(settings)
    if "est" in chosen:
        from v2gpki.wiring.est_labels import options_of  # noqa: PLC0415  # only what is chosen is imported

        options_of(settings.est_labels)
    return chosen


def chosen_parts(names: tuple[str, ...]) -> tuple[str, ...]:
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
