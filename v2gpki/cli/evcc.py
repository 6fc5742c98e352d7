"""``v2gpki evcc``: a vehicle on the network, with a simulated battery."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from v2gpki.cli.charging import (
    AUTHORISING,
    CONNECTING,
    EDITIONS,
    ENERGY,
    INTERFACE,
    Address,
    compat_option,
    editions_of,
    one_of,
    speed_option,
)
from v2gpki.cli.frame import Frame
from v2gpki.cli.holding import password_option, vehicle_holding
from v2gpki.cli.options import force_option
from v2gpki.cli.watching import Recordings, Watch, Watches, quiet_logs, recording_options, recordings
from v2gpki.errors import EXIT_OK, EXIT_REFUSED, V2GPKIError

if TYPE_CHECKING:
    from v2gpki.energy.offer import Method
    from v2gpki.render.tally import Money
    from v2gpki.servers.evcc.stock import VehicleWords
    from v2gpki.servers.evcc.vehicle import VehicleSetup
    from v2gpki.servers.v2gtls import Edition, Link, StaplePolicy
    from v2gpki.session.questions import Paused
    from v2gpki.wiring.credentials import VehicleCredentials
    from v2gpki.wiring.pki_folder import Compat

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def evcc() -> None:
    """Be a vehicle (EVCC)."""


@evcc.command()
@click.option("--interface", type=INTERFACE, metavar="IF", help="Find a station on this network interface.")
@click.option("--connect", type=CONNECTING, metavar="[ADDRESS]:PORT", help="Connect there instead; no discovery.")
@click.option("--pki", type=_FOLDER, metavar="DIR", help="A folder of v2gpki export, or a home.")
@password_option
@click.option("--edition", "editions", type=click.Choice(EDITIONS), multiple=True, help="Only this one; repeatable.")
@click.option("--auth", type=AUTHORISING, default="pnc,eim", show_default=True, metavar="WAYS", help="How it pays.")
@click.option("--install-contract", is_flag=True, help="Have a contract installed first.")
@click.option("--emaid", default="", metavar="EMAID", help="The contract to pay with (default: the newest).")
@click.option("--current", type=click.Choice(["ac", "dc"]), default="ac", show_default=True, help="How it charges.")
@click.option("--energy", type=ENERGY, metavar="ENERGY", help="Stop after so much (default: full).")
@click.option("--discharge", type=ENERGY, metavar="ENERGY", help="Give back so much first (BPT).")
@click.option(
    "--stop-after", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop after so long by the clock."
)
@click.option("--pause", type=_FILE, metavar="FILE", help="End by a pause; keep here what it takes to go on.")
@click.option("--resume", type=_FILE, metavar="FILE", help="Go on with the session that was paused.")
@click.option("--battery", type=ENERGY, default="60kWh", show_default=True, metavar="ENERGY", help="Its capacity.")
@click.option("--soc", type=click.IntRange(0, 100), default=30, show_default=True, metavar="%", help="How full it is.")
@click.option(
    "--staple",
    type=click.Choice(["require-leaf", "require-all", "off"]),
    default="require-leaf",
    show_default=True,
    help="Which OCSP responses the station must staple.",
)
@click.option("--no-tls", is_flag=True, help="Plain TCP, which leaves EIM of ISO 15118-2.")
@speed_option
@compat_option
@recording_options
@force_option
@click.pass_obj
def run(
    frame: Frame,
    /,
    *,
    interface: str | None,
    connect: Address | None,
    pki: Path | None,
    password_file: Path | None,
    editions: tuple[str, ...],
    auth: tuple[Method, ...],
    install_contract: bool,
    emaid: str,
    current: str,
    energy: float | None,
    discharge: float | None,
    stop_after: float | None,
    pause: Path | None,
    resume: Path | None,
    battery: float,
    soc: int,
    staple: StaplePolicy,
    no_tls: bool,
    speed: float,
    compat: str | None,
    pcap: Path | None,
    key_log: Path | None,
    force: bool,
) -> int:
    """Charge once at a station, and show the session message by message.

    With --interface the station is found by SDP; on lo that is unicast to [::1]. It trusts the roots of DIR and pays
    with a contract of DIR, or by EIM. A contract that is installed is kept in DIR/installed. If DIR is a home, the
    vehicle's certificates are issued for this run. The battery is simulated.

    The exit code is 0 when the session ended as planned, 1 when it was refused or broke off.
    """
    from v2gpki.servers.evcc.stock import VehicleWords

    one_of(interface=interface, connect=connect)
    plain = no_tls or pki is None
    if plain and auth == ("pnc",):
        raise click.UsageError("--auth pnc needs TLS: give --pki DIR and no --no-tls", click.get_current_context())
    if plain and editions and "iso15118-2" not in editions:
        raise click.UsageError("plain TCP leaves ISO 15118-2: -20 needs TLS and --pki DIR", click.get_current_context())
    known: Compat = "ecog" if compat else ""
    wanted, held = editions_of(editions, ecog=bool(compat)), None
    if pki is not None:
        held = vehicle_holding(frame, pki, wanted, compat=known, installs=install_contract, password_file=password_file)
    words = VehicleWords(
        editions=_with_chains(wanted, held, chosen=bool(editions) and not compat),
        methods=auth,
        current="DC" if current == "dc" else "AC",
        install=install_contract,
        energy=energy,
        discharge=discharge or 0.0,
        stop_after=stop_after,
        pause=pause is not None,
        resume=_kept(resume) if resume is not None else None,
        capacity=battery,
        soc=soc / 100,
        speed=speed,
        emaid=emaid,
        tls=not plain,
        staple_policy=staple,
        compat=known,
    )
    quiet_logs(frame)
    with recordings(frame, pcap, key_log, force=force) as recorded:
        return asyncio.run(_Running(frame, words, held, interface, connect, recorded, pause).run())


@dataclass(slots=True)
class _Running:
    """One session of the vehicle."""

    frame: Frame
    words: VehicleWords
    held: VehicleCredentials | None
    interface: str | None
    address: Address | None
    recorded: Recordings
    #: Where a pause is kept.
    pause: Path | None = None
    _watch: Watch | None = None
    _setup: VehicleSetup | None = None
    _connected: bool = False
    _interruptions: int = 0

    async def run(self) -> int:
        task = asyncio.ensure_future(self._session())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupted, task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._interruptions:
                raise
            self._broken_off()
            raise click.Abort from None

    def _interrupted(self, task: asyncio.Future[int]) -> None:
        """The first time the vehicle stops charging in order; without a session, and the second time, at once."""
        from v2gpki.servers.evcc.choices import StockPilot

        self._interruptions += 1
        pilot = self._setup.plugins.pilot if self._setup is not None else None
        if self._interruptions == 1 and self._connected and isinstance(pilot, StockPilot):
            self.frame.note("stopping in order; once more breaks off")
            pilot.stop()
        else:
            task.cancel()

    def _broken_off(self) -> None:
        from v2gpki.render.ladder import Ended
        from v2gpki.session.notices import Ending

        if self._watch is not None and self._connected:
            self._watch.finish(Ended(asyncio.get_running_loop().time(), Ending("terminated")))

    async def _session(self) -> int:
        from v2gpki import wiring
        from v2gpki.profile.load import Catalogue
        from v2gpki.render.ladder import Connected, Ended
        from v2gpki.servers.evcc.stock import stock_vehicle
        from v2gpki.servers.evcc.vehicle import travel
        from v2gpki.session.notices import Remarked

        loop = asyncio.get_running_loop()
        watch = self._watch = Watches(self.frame, "evcc").begin(loop.time())
        address = self.address or await self._found(watch)
        setup = self._setup = stock_vehicle(
            self.words, self.held, catalogue=Catalogue(self.frame.profiles), clock=wiring.SystemClock()
        )
        await self._require_contract(setup)

        def connected(link: Link) -> None:
            self._connected = True
            watch.tell(Connected(loop.time(), link.peer, link.local, link.secured))
            watch.tell_trust(loop.time(), "chain of the station")

        capture = self.recorded.capture
        journey = await travel(
            setup,
            (address.host, address.port),
            told=watch.tell,
            connected=connected,
            keylog=self.recorded.key_log,
            tap=capture.tap("client") if capture is not None else None,
        )
        if self.words.install and not journey.installed:
            watch.tell(Remarked(loop.time(), "no contract was installed"))
        watch.tally.cost = self._cost(setup, watch)
        watch.finish(Ended(loop.time(), journey.ending))
        if self.pause is not None and journey.paused is not None:
            _keep(self.pause, journey.paused)
        return EXIT_OK if journey.ending.kind in ("stopped", "paused") else EXIT_REFUSED

    async def _require_contract(self, setup: VehicleSetup) -> None:
        """Who names a contract wants that one."""
        from v2gpki.identifiers import parse

        if not self.words.emaid or self.words.install:
            return
        wanted, held = parse("emaid", self.words.emaid).parts["key"], []
        for edition in ("iso15118-2", "iso15118-20"):
            found = await setup.plugins.contracts.contract(edition, ())
            held += [found.emaid] if found else []
        if wanted not in [parse("emaid", emaid).parts["key"] for emaid in held]:
            raise V2GPKIError(
                "pki.missing",
                f"the vehicle has no contract {self.words.emaid}; it has {', '.join(held) or 'none'}",
                hint="leave out --emaid, or have it installed by --install-contract",
                facts={"emaid": self.words.emaid},
            )

    def _cost(self, setup: VehicleSetup, watch: Watch) -> Money | None:
        """By the prices that the vehicle agreed to and the meter that it was shown; relative ones (-2) are no money."""
        from v2gpki.energy.cost import receipt
        from v2gpki.render.tally import total
        from v2gpki.servers.evcc.choices import StockConsent

        consent, readings = setup.plugins.consent, watch.tally.readings(self.words.speed)
        tariff = consent.agreed if isinstance(consent, StockConsent) else None
        return total(receipt(tariff, readings)) if tariff is not None and readings else None

    async def _found(self, watch: Watch) -> Address:
        """The station that answers, by the TLS that it wants."""
        from v2gpki import sdp
        from v2gpki.servers.evcc.vehicle import find
        from v2gpki.session.notices import Remarked

        if self.interface == "lo":
            self.frame.note("discovery by unicast to [::1]:15118, because lo has no multicast")
        found = await find(self.interface or "", tls=self.words.tls, seen=self.recorded.datagram)
        secure, wanted = found.response.security == sdp.Security.TLS, self.words.tls
        if wanted and not secure:
            if "eim" not in self.words.methods:
                raise V2GPKIError(
                    "tls.plain",
                    f"the station {found.peer} offers no TLS, and Plug & Charge needs it",
                    hint="allow --auth eim, or give the station its chains",
                    clause="ISO 15118-2 7.7.3",
                )
            self.words = replace(self.words, tls=False)
        at = asyncio.get_running_loop().time()
        how = "TLS" if secure else "plain TCP"
        text = f"found {Address(*found.address)}, {how}, {found.seconds * 1000:.0f} ms, request {len(found.attempts)}"
        watch.tell(Remarked(at, text))
        if wanted and not secure:
            # Discovery is not protected: whoever answers first can say that there is no TLS.
            warning = "no TLS, though it was asked for: the station is not known to be one; --auth pnc refuses that"
            watch.tell(Remarked(at, warning))
        return Address(*found.address)


def _keep(file: Path, paused: Paused) -> None:
    """What the vehicle has to remember of a session, as JSON."""
    import msgspec

    from v2gpki.cli.files import write_output

    write_output(file, msgspec.json.encode(paused) + b"\n", force=True, secret=True)


def _kept(file: Path) -> Paused:
    import msgspec

    from v2gpki.session.questions import Paused

    try:
        return msgspec.json.decode(file.read_bytes(), type=Paused)
    except OSError as problem:
        raise _no_paused_session(file, f"cannot be read: {problem.strerror}") from problem
    except msgspec.MsgspecError as problem:
        raise _no_paused_session(file, f"holds no paused session: {problem}") from problem


def _no_paused_session(file: Path, why: str) -> V2GPKIError:
    hint = "evcc run --pause FILE writes one"
    return V2GPKIError("file.unreadable", f"{file} {why}", hint=hint, facts={"file": str(file)})



def _with_chains(
    wanted: tuple[Edition, ...], held: VehicleCredentials | None, *, chosen: bool
) -> tuple[Edition, ...]:
    """Without a choice: those that the folder has certificates for; TLS of -20 needs one of the vehicle's own. With
    another stack's deviations a choice of -20 means either form of its chains."""
    if chosen or held is None:
        return wanted
    found: list[Edition] = []
    for edition in wanted:
        shown = held.oem if edition == "lab-ecog-20" else held.vehicle
        if edition == "iso15118-2" or shown.get(edition):
            found.append(edition)
    return tuple(found) or wanted
