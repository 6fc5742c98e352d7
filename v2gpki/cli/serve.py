"""``v2gpki serve``: OCSP, CRLs, EST and the pools over HTTP, until SIGTERM or Ctrl+C."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.frame import Frame, caller

if TYPE_CHECKING:
    from v2gpki.servers.worker import Served
    from v2gpki.wiring import CertificateAuthority

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--config", type=_FILE, metavar="FILE", help="Settings (default: v2gpki.toml in the home).")
@click.option("--ocsp", is_flag=True, help="Serve OCSP.")
@click.option("--crl", is_flag=True, help="Serve CRLs.")
@click.option("--est", is_flag=True, help="Serve EST enrolment.")
@click.option("--pools", is_flag=True, help="Serve the certificate pools (OPCP, OPNC).")
@click.option("--page", is_flag=True, help="Serve the page for people.")
@click.option("--listen", multiple=True, metavar="ADDRESS", help="[http://|https://]HOST:PORT; may be repeated.")
@click.option("--tls", is_flag=True, help="TLS with a certificate that this home issues.")
@click.option("--tls-name", default="", metavar="HOST", help="The host name in it (default: that of the address).")
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="TLS certificate chain, PEM, leaf first.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="Its private key, PEM.")
@click.option("--client-ca", type=_FILE, multiple=True, metavar="FILE", help="CAs of client certificates; repeatable.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Serving processes (default: 1).")
@click.option("--ready-file", type=_FILE, metavar="FILE", help="Write this file when every address is open.")
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
    locked: bool,
    **chosen: bool,
) -> None:
    """Serve this home over HTTP; nothing chosen serves everything.

    Settings stand in the table [serve] of v2gpki.toml; options win over them. The log goes to stderr, as JSON
    with --json.
    """
    from v2gpki import wiring
    from v2gpki.servers import logs
    from v2gpki.servers.serving import Serving
    from v2gpki.wiring.serve_settings import with_setting

    settings = wiring.load_settings(config or frame.home_folder / wiring.SETTINGS_FILE).serve
    given: dict[str, object] = {
        "listen": listen,
        "parts": tuple(name for name, wanted in chosen.items() if wanted),
        "tls": tls,
        "tls_name": tls_name,
        "client_ca": tuple(map(str, client_ca)),
        "workers": workers,
        "tls_cert": str(tls_cert or ""),
        "tls_key": str(tls_key or ""),
    }
    for key, value in given.items():
        if value:
            settings = with_setting(settings, key, value, "the command line")
    logs.configure(as_json=frame.json)
    passphrase = None if locked else frame.passphrase()

    def open_home() -> CertificateAuthority:
        return wiring.open_authority(
            frame.home_folder, passphrase=passphrase, profiles=frame.profiles, caller=caller()
        )

    def announce(served: Served) -> None:
        frame.emit(served.value(), "\n".join(_lines(served)))

    Serving(open_home, settings, ready_file=ready_file, announce=announce, warn=frame.warn).run()


def _lines(served: Served) -> list[str]:
    lines = []
    for listener, parts in served.listeners:
        lines.append(f"listening at {listener.url}")
        for part in parts:
            lines.extend(f"  {part.title}: {listener.url}{url}" for url in part.urls)
        lines.append(f"  Health and metrics: {listener.url}/healthz, /readyz, /metrics")
    return lines
