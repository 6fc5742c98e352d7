"""``v2gpki probe``: looking at real stations and vehicles from the other side of the connection."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.charging import CONNECTING, EDITIONS, INTERFACE, LISTENING, Address, editions_of, one_of
from v2gpki.cli.frame import Frame
from v2gpki.cli.holding import password_option
from v2gpki.cli.watching import quiet_logs
from v2gpki.errors import EXIT_OK, EXIT_REFUSED

if TYPE_CHECKING:
    from rich.console import Console

    from v2gpki.servers.discovery import DiscoveryServer
    from v2gpki.servers.probe.report import Report
    from v2gpki.servers.probe.station import Means
    from v2gpki.servers.probe.vehicle import Case
    from v2gpki.servers.v2gtls import Edition, TLSIdentity
    from v2gpki.wiring import CertificateAuthority
    from v2gpki.wiring.credentials import Credential

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_STYLES = {"ok": "green", "info": "", "warning": "yellow", "error": "bold red"}
_MARKS = {"ok": "✓", "info": " ", "warning": "!", "error": "✗"}


@click.group()
def probe() -> None:
    """Look at real stations and vehicles from the other side."""


@probe.command()
@click.argument("station", type=CONNECTING, metavar="[ADDRESS]:PORT", required=False)
@click.option("--interface", type=INTERFACE, metavar="IF", help="Find the station on this network interface.")
@click.option("--pki", type=_FOLDER, metavar="DIR", help="Roots and a vehicle's certificate.")
@click.option("--anchor", type=_FILE, multiple=True, metavar="FILE", help="A root to judge by; repeatable.")
@click.option("--plain", is_flag=True, help="Do not try TLS.")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=5.0, metavar="SECONDS", help="For each answer.")
@click.pass_obj
def secc(
    frame: Frame,
    /,
    *,
    station: Address | None,
    interface: str | None,
    pki: Path | None,
    anchor: tuple[Path, ...],
    plain: bool,
    timeout: float,
) -> int:
    """Look at a station: TLS versions and suites, chain, staple, protocols, response times.

    Each question has a connection of its own. A session is opened and ended; nothing is authorised or charged. With
    DIR the chain is judged under its V2G roots, and ISO 15118-20 is asked with its vehicle certificate. Exit code 1
    when something breaks a rule.
    """
    one_of(station=station, interface=interface)
    from v2gpki.servers.probe.scan import Host
    from v2gpki.servers.probe.station import probe_station

    async def look() -> Report:
        address = station or await _found(interface or "", tls=not plain)
        return await probe_station(Host(*address), _means(frame, pki, anchor, timeout, tls=not plain))

    return _show(frame, asyncio.run(look()))


@probe.command()
@click.option("--interface", type=INTERFACE, metavar="IF", help="Answer discovery on this network interface.")
@click.option("--listen", type=LISTENING, metavar="[ADDRESS]:PORT", help="Listen here instead; no discovery.")
@click.option("--pki", type=_FOLDER, required=True, metavar="DIR", help="The station's chains: an export, or a home.")
@password_option
@click.option("--edition", "editions", type=click.Choice(EDITIONS), multiple=True, help="Only this one; repeatable.")
@click.option("--timeout", type=click.FloatRange(1, 3600), default=300.0, metavar="SECONDS", help="Patience each time.")
@click.option("--ready-file", type=_FILE, metavar="FILE", help="Write this file when it listens.")
@click.pass_obj
def evcc(
    frame: Frame,
    /,
    *,
    interface: str | None,
    listen: Address | None,
    pki: Path,
    password_file: Path | None,
    editions: tuple[str, ...],
    timeout: float,
    ready_file: Path | None,
) -> int:
    """Wait for a vehicle, and look at what it offers, accepts and refuses.

    It is shown one chain with each connection: the good one of DIR, the same without staple, one under an unknown root.
    If DIR is a home, also one that is not a station's, a revoked and an expired one, issued for this under the roots
    that the vehicle has. Nothing is charged: plug it in again for the next one. Exit code 1 when it accepted what it
    must refuse, or refused the good chain.
    """
    one_of(interface=interface, listen=listen)
    from v2gpki.cli.holding import station_holding

    wanted = editions_of(editions, ecog=False)
    holding = station_holding(frame, pki, wanted, evse_id="", compat="", password_file=password_file)
    held = holding.credentials
    good = {edition: [_identity(frame, one) for one in some] for edition, some in held.identities.items() if some}
    roots = tuple(dict.fromkeys((*held.roots.oem, *held.roots.v2g)))
    cases = _Cases(good, holding.home)
    waiting = _Waiting(frame, cases, roots, interface, listen, timeout, ready_file)
    quiet_logs(frame)
    return _show(frame, asyncio.run(waiting.run()))


async def _found(interface: str, *, tls: bool) -> Address:
    from v2gpki.servers.evcc.vehicle import find

    return Address(*(await find(interface, tls=tls)).address)


def _means(frame: Frame, pki: Path | None, anchors: Sequence[Path], timeout: float, *, tls: bool) -> Means:
    """Roots and vehicle certificate of a folder, and roots of files."""
    from v2gpki import wiring
    from v2gpki.cli.chain_files import read_certificates
    from v2gpki.profile.load import Catalogue
    from v2gpki.servers.probe.station import Means
    from v2gpki.wiring.pki_folder import vehicle_credentials

    clock = wiring.SystemClock()
    roots = [der for file in anchors for der in read_certificates(str(file))]
    identity = None
    if pki is not None:
        held = vehicle_credentials(pki, at=clock.now())
        roots += held.roots.v2g
        shown = held.vehicle.get("iso15118-20")
        identity = _identity(frame, shown[0]) if shown else None
    return Means(Catalogue(frame.profiles), clock.now, roots, identity, timeout, tls)


def _identity(frame: Frame, one: Credential) -> TLSIdentity:
    from v2gpki.servers.v2gtls import TLSIdentity

    return TLSIdentity(one.chain, one.private_key, one.root, lambda: one.staple(frame.now()))


@dataclass(frozen=True, slots=True)
class _Cases:
    """What a vehicle will be shown."""

    good: dict[Edition, list[TLSIdentity]]
    home: CertificateAuthority | None

    def made(self) -> list[Case]:
        from v2gpki.servers.probe.cases import given_cases, minted_cases, unknown_root

        editions, evse_id = list(self.good), "DE*ABC*E00001"
        cases = [*given_cases(self.good), unknown_root(editions, evse_id)]
        if self.home is not None:
            cases += minted_cases(self.home, editions, evse_id, asyncio.get_running_loop().time)
        return cases


@dataclass(slots=True)
class _Waiting:
    """One run of a probe for vehicles."""

    frame: Frame
    cases: _Cases
    client_roots: tuple[bytes, ...]
    interface: str | None
    listen: Address | None
    timeout: float
    ready_file: Path | None

    async def run(self) -> Report:
        from v2gpki.servers.probe.vehicle import VehicleProbe
        from v2gpki.servers.secc.station import listening

        looking = VehicleProbe(self.cases.made(), client_roots=self.client_roots, told=self.frame.note)
        stopped, came = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await looking.connected(reader, writer)
            came.set()

        server = await listening(connected, *self._where())
        discovery = await self._discovery(server)
        try:
            self._announce(Address(*server.sockets[0].getsockname()[:2]))
            await self._wait(looking.finished, stopped, came)
        finally:
            if discovery is not None:
                discovery.close()
            server.close()
        looking.left()
        return looking.report

    async def _wait(self, *events: asyncio.Event) -> None:
        """Until all was shown, or somebody stops it, or nobody comes any more."""
        finished, stopped, came = events
        while not finished.is_set() and not stopped.is_set():
            came.clear()
            tasks = [asyncio.ensure_future(event.wait()) for event in events]
            done, left = await asyncio.wait(tasks, timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in left:
                task.cancel()
            if not done:
                return

    def _where(self) -> tuple[str, int]:
        from v2gpki.servers.discovery import local_address

        if self.listen is not None:
            return self.listen
        host = str(local_address(self.interface or ""))
        return (host if self.interface == "lo" else f"{host}%{self.interface}"), 0

    async def _discovery(self, server: asyncio.Server) -> DiscoveryServer | None:
        from v2gpki import sdp
        from v2gpki.servers.discovery import local_address, serve_discovery

        if self.interface is None:
            return None
        here, port = local_address(self.interface), server.sockets[0].getsockname()[1]
        said = sdp.Response(here, port, sdp.Security.TLS)
        return await serve_discovery(self.interface, lambda _asked, _peer: said)

    def _announce(self, address: Address) -> None:
        from v2gpki.cli.files import write_output

        self.frame.note(f"listening at {address}")
        if self.ready_file is not None:
            write_output(self.ready_file, f"{address}\n".encode(), force=True)


def _show(frame: Frame, report: Report) -> int:
    """The report as rows by area, or as JSON; gives the exit code."""
    from v2gpki.servers.probe.report import report_value

    frame.emit(report_value(report), lambda console: _print(console, report))
    return EXIT_REFUSED if report.count("error") else EXIT_OK


def _print(console: Console, report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    from v2gpki.render.text import printable

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")
    areas = list(dict.fromkeys(row.area for row in report.rows))
    area = ""
    for row in sorted(report.rows, key=lambda row: areas.index(row.area)):
        if row.area != area:
            area = row.area
            table.add_row(Text(area, "bold underline"), "")
        style = _STYLES[row.standing]
        found = Text(printable(row.text), style)
        if row.note:
            found.append(f"\n{printable(row.note)}" + (f" ({row.clause})" if row.clause else ""), "dim")
        table.add_row(Text(f"{_MARKS[row.standing]} {printable(row.what)}", style), found)
    console.print(table)
    errors, warnings = report.count("error"), report.count("warning")
    console.print(f"\n{report.target or 'the vehicle'}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
