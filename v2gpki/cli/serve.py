"""``v2gpki serve``: OCSP, CRLs, EST and the pools over HTTP, until SIGTERM or Ctrl+C."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from v2gpki.cli.frame import Frame, caller
from v2gpki.errors import V2GPKIError

if TYPE_CHECKING:
    from v2gpki.servers.tls import Identity
    from v2gpki.servers.worker import Served
    from v2gpki.wiring import CertificateAuthority
    from v2gpki.wiring.serve_settings import ServeSettings
    from v2gpki.wiring.signing.client import RemoteSigning

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--config", type=_FILE, metavar="FILE", help="All settings (default: v2gpki.toml in the home).")
@click.option("--ocsp", is_flag=True, help="Serve OCSP, at /ocsp.")
@click.option("--crl", is_flag=True, help="Serve CRLs, at /crl/<authority>.crl.")
@click.option("--est", is_flag=True, help="Serve EST enrolment, for those with a token.")
@click.option("--pools", is_flag=True, help="Serve the certificate pools (OPCP, OPNC) and webhooks.")
@click.option("--page", is_flag=True, help="Serve the page for people, at /; read-only.")
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    help="[http://|https://]HOST:PORT; may be repeated (default: 127.0.0.1:8080).",
)
@click.option("--tls", is_flag=True, help="TLS with a certificate of this home (needs init --edition ocpp).")
@click.option("--tls-name", default="", metavar="HOST", help="The host name in it (default: that of the address).")
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="TLS certificate chain, PEM, leaf first.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its private key, PEM.")
@click.option("--client-ca", type=_FILE, multiple=True, metavar="FILE", help="CAs of client certificates; repeatable.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Serving processes (default: 1).")
@click.option("--ready-file", type=_FILE, metavar="FILE", help="Write this file when every address is open.")
@click.option("--one-process", is_flag=True, help="Sign in the serving processes themselves (for labs).")
@click.option("--signing-process", default="", hidden=True, help="DESCRIPTOR:PROCESS; given by serve to itself.")
@click.option("--locked", is_flag=True, help="Serve without the passphrase: what needs no key.")
@click.pass_obj
def serve(
    frame: Frame,
    /,
    *,
    config: Path | None,
    listen: tuple[str, ...],
    tls: bool,
    tls_name: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    client_ca: tuple[Path, ...],
    workers: int | None,
    ready_file: Path | None,
    one_process: bool,
    signing_process: str,
    locked: bool,
    **chosen: bool,
) -> None:
    """Serve this home over HTTP, until SIGTERM or Ctrl+C; nothing chosen serves everything.

    It says where each service is to be found. With an https address, http ones give OCSP, CRLs and health only. Who may
    enrol or use the pools is decided by `v2gpki token` and `v2gpki access`.

    The keys are in a process of their own, which signs what the serving processes may ask; --one-process does without
    it, for labs. Limits and all else stand in the table [serve] of v2gpki.toml (docs/services.md); options win over it.
    The log goes to stderr, as JSON with --json.
    """
    from v2gpki import wiring
    from v2gpki.servers import logs
    from v2gpki.wiring.serve_settings import with_setting

    if config is not None and not config.is_file():
        raise V2GPKIError(
            "file.unreadable",
            f"there are no settings at {config}",
            hint="correct --config; without it v2gpki.toml in the home is read, if it is there",
            facts={"file": str(config)},
        )
    frame.given_settings = config
    settings = wiring.load_settings(frame.settings_file).serve
    given: dict[str, object] = {
        "listen": listen,
        "parts": tuple(name for name, wanted in chosen.items() if wanted),
        "tls": tls,
        "tls_name": tls_name,
        "client_ca": tuple(map(str, client_ca)),
        "workers": workers,
        "tls_cert": str(tls_cert or ""),
        "tls_key": str(tls_key or ""),
        "one_process": one_process,
    }
    for key, value in given.items():
        if value:
            settings = with_setting(settings, key, value, "the command line")
    wiring.require_home(frame.home_folder)
    logs.configure(as_json=frame.json)
    run = _Run(frame, settings, ready_file)
    if locked:
        run.serve(lambda: run.open(None))
    elif settings.one_process or not _can_begin_anew():
        passphrase = frame.passphrase()
        run.serve(lambda: run.open(passphrase))
    elif not signing_process:
        run.begin_anew()
    else:
        run.beside(signing_process)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the server, in one of its forms."""

    frame: Frame
    settings: ServeSettings
    ready_file: Path | None

    def open(self, passphrase: str | None, signing: RemoteSigning | None = None) -> CertificateAuthority:
        """The home, opened with a passphrase, or with a process that has the keys, or locked."""
        from v2gpki import wiring

        frame = self.frame
        return wiring.open_authority(
            frame.home_folder,
            passphrase=passphrase,
            profiles=frame.profiles,
            caller=caller(),
            signing=signing,
            settings_file=frame.settings_file,
        )

    def serve(self, open_home: Callable[[], CertificateAuthority], identity: Identity | None = None) -> None:
        """Serve in this process and its workers."""
        from v2gpki.servers.serving import Serving

        frame = self.frame

        def announce(served: Served) -> None:
            frame.emit(served.value(), "\n".join(_lines(served)))

        Serving(
            open_home,
            self.settings,
            ready_file=self.ready_file,
            announce=announce,
            warn=frame.warn,
            identity=identity,
        ).run()

    def begin_anew(self) -> NoReturn:
        """Start the process that has the keys, then become a program that never had the passphrase."""
        from v2gpki.cli.passphrase import VARIABLE
        from v2gpki.servers.serving import checked_parts
        from v2gpki.servers.signing import life

        task = life.Task(
            self.frame.home_folder,
            self.settings,
            checked_parts(self.settings),
            self.frame.passphrase,
            self.open,
        )
        guard, tie = life.start(task)
        os.set_inheritable(tie, True)
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        arguments = [sys.executable, *sys.orig_argv[1:], "--signing-process", f"{tie}:{guard}"]
        os.execve(sys.executable, arguments, environment)  # noqa: S606 - this very program, with its own arguments

    def beside(self, signing_process: str) -> None:
        """Serve beside the process that has the keys."""
        from v2gpki.servers.signing import life
        from v2gpki.wiring.signing.client import RemoteSigning

        tie, _, guard = signing_process.partition(":")
        if not (tie.isdecimal() and guard.isdecimal()):
            raise click.UsageError("--signing-process is for v2gpki serve itself")
        attached = life.attach(int(guard), int(tie))
        try:
            self.serve(lambda: self.open(None, RemoteSigning(attached.path)), attached.identity)
        finally:
            attached.close()


def _can_begin_anew() -> bool:
    """Whether this process is the command ``v2gpki`` and nothing else, on a system that names peers of a socket."""
    program = Path(sys.argv[0])
    ours = program.name == "v2gpki" or (program.name == "__main__.py" and program.parent.name == "v2gpki")
    return ours and sys.orig_argv[-len(sys.argv[1:]) :] == sys.argv[1:] and hasattr(socket, "SO_PEERCRED")


def _lines(served: Served) -> list[str]:
    lines = []
    for listener, parts in served.listeners:
        lines.append(f"listening at {listener.url}")
        for part in parts:
            lines.extend(f"  {part.title}: {listener.url}{url}" for url in part.urls)
        lines.append(f"  Health and metrics: {listener.url}/healthz, /readyz, /metrics")
    return lines
