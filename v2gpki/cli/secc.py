"""``v2gpki secc``: a charging station on the network, with simulated power."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.charging import (
    AUTHORISING,
    CURRENCY,
    EDITIONS,
    ENERGY,
    INTERFACE,
    LISTENING,
    POWER,
    Address,
    compat_option,
    editions_of,
    one_of,
    speed_option,
)
from v2gpki.cli.frame import Frame, dump_json
from v2gpki.cli.holding import password_option, station_holding
from v2gpki.cli.options import force_option
from v2gpki.cli.watching import Recordings, Watch, Watches, quiet_logs, recording_options, recordings
from v2gpki.errors import EXIT_OK, EXIT_REFUSED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from v2gpki.energy.offer import Method
    from v2gpki.energy.tariff import Tariff
    from v2gpki.render.tally import Money
    from v2gpki.servers.secc.plugins import ContractProvider
    from v2gpki.servers.secc.station import Session, StationSetup
    from v2gpki.servers.secc.stock import StationWords
    from v2gpki.session.notices import Notice
    from v2gpki.session.secured import Secured
    from v2gpki.wiring import CertificateAuthority
    from v2gpki.wiring.credentials import StationCredentials
    from v2gpki.wiring.pki_folder import Compat

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
#: Seconds that running sessions have when the station is stopped.
_GRACE = 5.0


@click.group()
def secc() -> None:
    """Be a charging station (SECC)."""


@secc.command()
@click.option("--interface", type=INTERFACE, metavar="IF", help="Answer discovery on this network interface.")
@click.option("--listen", type=LISTENING, metavar="[ADDRESS]:PORT", help="Listen here instead; no discovery.")
@click.option("--pki", type=_FOLDER, metavar="DIR", help="A folder of v2gpki export, or a home.")
@password_option
@click.option("--edition", "editions", type=click.Choice(EDITIONS), multiple=True, help="Only this one; repeatable.")
@click.option("--auth", type=AUTHORISING, default="pnc,eim", show_default=True, metavar="WAYS", help="Who may charge.")
@click.option("--power", type=POWER, default="11kW", show_default=True, metavar="POWER", help="What it delivers.")
@click.option("--current", type=click.Choice(["ac", "dc"]), help="AC or DC (default: AC up to 43.5 kW).")
@click.option("--discharge", type=POWER, metavar="POWER", help="What it takes back (BPT).")
@click.option("--evse-id", default="", metavar="EVSEID", help="Its EVSEID (default: that of its certificate).")
@click.option("--price", type=click.FloatRange(min=0), metavar="AMOUNT", help="What 1 kWh costs.")
@click.option("--currency", type=CURRENCY, default="EUR", metavar="CODE", help="Its currency (default: EUR).")
@click.option("--receipts", type=ENERGY, metavar="ENERGY", help="Have the meter confirmed after each so much.")
@click.option("--contracts", is_flag=True, help="Install contracts out of the home (asks for its passphrase).")
@speed_option
@compat_option
@click.option("--once", is_flag=True, help="End after the first session; a connection that is refused is none.")
@click.option("--ready-file", type=_FILE, metavar="FILE", help="Write this file when the station listens.")
@recording_options
@force_option
@click.pass_obj
def run(
    frame: Frame,
    /,
    *,
    interface: str | None,
    listen: Address | None,
    pki: Path | None,
    password_file: Path | None,
    editions: tuple[str, ...],
    auth: tuple[Method, ...],
    power: float,
    current: str | None,
    discharge: float | None,
    evse_id: str,
    price: float | None,
    currency: str,
    receipts: float | None,
    contracts: bool,
    speed: float,
    compat: str | None,
    once: bool,
    ready_file: Path | None,
    pcap: Path | None,
    key_log: Path | None,
    force: bool,
) -> int:
    """Run a charging station until SIGTERM or Ctrl+C, and show each session message by message.

    It speaks what DIR has chains for: ISO 15118-2 over TLS 1.2, ISO 15118-20 over mutual TLS 1.3; and with --auth eim
    also plain TCP. Power, meter and contactors are simulated. With --interface vehicles find it by SDP; on lo that is
    unicast to [::1]. Without --pki there is plain TCP and EIM only. If DIR is a home, certificates are issued for this
    run, and vehicles get their contracts from it.

    With --once the exit code is 0 when the session ended as planned.
    """
    from v2gpki import wiring
    from v2gpki.identifiers import parse
    from v2gpki.profile.load import Catalogue
    from v2gpki.servers.secc.stock import StationWords, stock_station

    one_of(interface=interface, listen=listen)
    if pki is None and auth != ("eim",):
        raise click.UsageError("--auth pnc needs TLS: give --pki DIR, or --auth eim", click.get_current_context())
    if evse_id:
        parse("evseid", evse_id)
    clock = wiring.SystemClock()
    known: Compat = "ecog" if compat else ""
    wanted, holding = editions_of(editions, ecog=bool(compat)), None
    if pki is not None:
        holding = station_holding(frame, pki, wanted, evse_id=evse_id, compat=known, password_file=password_file)
    held = holding.credentials if holding else None
    words = StationWords(
        editions=wanted,
        methods=auth,
        power=power,
        current=("DC" if current == "dc" else "AC") if current else None,
        discharge=discharge or 0.0,
        evse_id=evse_id or _evse_id(held) or StationWords().evse_id,
        tariff=_tariff(price, currency) if price is not None else None,
        speed=speed,
        receipts=receipts or 0.0,
        compat=known,
    )
    installing = holding.home if holding and holding.home else frame.authority(unlock=True) if contracts else None
    provider = _contracts(installing) if installing else None
    # The home's own catalogue: what it has read for the station, it need not read for the first contract.
    catalogue = installing.catalogue if installing else Catalogue(frame.profiles)
    setup = stock_station(words, held, catalogue=catalogue, clock=clock, contracts=provider)
    place = _Place(interface, listen, ready_file)
    quiet_logs(frame)
    with recordings(frame, pcap, key_log, force=force) as recorded:
        return asyncio.run(_Running(frame, setup, words, place, recorded, once=once).run())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it is to be found, and who is told."""

    interface: str | None
    listen: Address | None
    ready_file: Path | None


@dataclass(slots=True)
class _Running:
    """One run of the station."""

    frame: Frame
    setup: StationSetup
    words: StationWords
    place: _Place
    recorded: Recordings
    once: bool
    _watches: dict[str, Watch] = field(default_factory=dict)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _status: int = EXIT_OK

    async def run(self) -> int:
        from v2gpki.servers.discovery import local_address
        from v2gpki.servers.secc.station import Station

        loop = asyncio.get_running_loop()
        all_of_it = Watches(self.frame, "secc", numbered=not self.once)
        capture = self.recorded.capture
        station = Station(
            self.setup,
            opened=lambda peer, secured: self._opened(all_of_it, station, peer, secured),
            ended=self._ended,
            keylog=self.recorded.key_log,
            tap=(lambda: capture.tap("server")) if capture is not None else None,
        )
        interface, listen = self.place.interface, self.place.listen
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        try:
            if listen is not None:
                await station.listen(*listen)
            elif interface is not None:
                host = str(local_address(interface))
                await station.listen(host if interface == "lo" else f"{host}%{interface}")
                await station.answer_discovery(interface, seen=self.recorded.datagram)
            self._announce(Address(*station.address))
            await self._over.wait()
        finally:
            await station.close(grace=_GRACE)
        return self._status

    def _announce(self, address: Address) -> None:
        """Say where it is, and write the ready-file."""
        from v2gpki.cli.files import write_output

        offered = self.setup.security.offered() if self.setup.security is not None else ()
        value = {
            "schema": "v2gpki/station/1",
            "address": str(address),
            "port": address.port,
            "interface": self.place.interface or "",
            "editions": list(self.words.editions),
            "tls": list(offered),
            "methods": list(self.words.methods),
            "current": self.words.transfers,
            "power_w": self.words.power,
            "evse_id": self.words.evse_id,
        }
        if self.frame.json:
            self.frame.emit_lines([value])
        else:
            for line in self._words(address, offered):
                click.echo(line)
        if self.place.ready_file is not None:
            write_output(self.place.ready_file, dump_json(value).encode() + b"\n", force=True)

    def _words(self, address: Address, offered: tuple[str, ...]) -> list[str]:
        words, interface = self.words, self.place.interface
        ways = " and ".join({"pnc": "Plug & Charge", "eim": "EIM"}[way] for way in words.methods)
        lines = [f"station {words.evse_id} at {address}: {words.transfers} {words.power / 1000:g} kW, {ways}"]
        lines.append(f"TLS for {', '.join(offered)}" if offered else "plain TCP only")
        if interface == "lo":
            lines.append("discovery: unicast at [::1]:15118, because lo has no multicast")
        elif interface:
            lines.append(f"discovery: multicast on {interface}")
        return lines

    def _opened(
        self, watches: Watches, station: object, peer: str, secured: Secured | None
    ) -> Callable[[Notice], Awaitable[None] | None]:
        from v2gpki.render.ladder import Connected
        from v2gpki.servers.secc.station import Station

        now = asyncio.get_running_loop().time()
        watch = self._watches[peer] = watches.begin(now)
        local = str(Address(*station.address)) if isinstance(station, Station) else ""
        watch.tell(Connected(now, peer, local, secured))
        watch.tell_trust(now, "chain of the vehicle")
        return watch.tell

    def _ended(self, session: Session) -> None:
        from v2gpki.cli.failure import error_text, error_value
        from v2gpki.render.ladder import Ended

        watch = self._watches.pop(session.peer, None)
        if watch is None or session.ending is None:
            if session.problem is not None and self.frame.json:
                value = error_value(session.problem) | {"schema": "v2gpki/connection-refused/1"}
                self.frame.emit_lines([value])
            elif session.problem is not None:
                click.echo(error_text(session.problem))
            return
        watch.tally.metered(session.readings)
        watch.tally.cost = self._cost(session)
        summary = watch.finish(Ended(asyncio.get_running_loop().time(), session.ending))
        if self.once:
            planned = summary.ending is not None and summary.ending.kind in ("stopped", "paused")
            self._status = EXIT_OK if planned else EXIT_REFUSED
            self._over.set()

    def _cost(self, session: Session) -> Money | None:
        from v2gpki.energy.cost import receipt
        from v2gpki.render.tally import total

        tariff, readings = self.words.tariff, session.readings
        if tariff is None or not readings or any(reading.at is None for reading in readings):
            return None
        return total(receipt(tariff, readings))


def _evse_id(held: StationCredentials | None) -> str:
    """The common name of the first SECC certificate, if it is an EVSEID."""
    from v2gpki.certs.view import view
    from v2gpki.errors import V2GPKIError
    from v2gpki.identifiers import parse

    chains = [one.chain for some in held.identities.values() for one in some] if held is not None else []
    for chain in chains:
        for part in view(chain[0]).subject_text.split(","):
            name, _, value = part.partition("=")
            try:
                if name == "CN" and parse("evseid", value):
                    return value
            except V2GPKIError:
                continue
    return ""


def _tariff(price: float, currency: str) -> Tariff:
    from v2gpki.energy.tariff import Band, Tariff, TariffSpan

    band = Band(Decimal(str(price)))
    return Tariff(1, 0, currency, (TariffSpan(2**31, (band,)),))


def _contracts(home: CertificateAuthority) -> ContractProvider:
    from v2gpki.servers.secc.contracts import HomeContracts

    provider = HomeContracts(home.plug_and_charge.provisioning)
    click.get_current_context().call_on_close(provider.close)
    return provider
