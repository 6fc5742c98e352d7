"""A station and vehicles of it in this process, over TLS on loopback, as a PKI folder makes them; contracts come from a
home. Clocks stand at the birth of that home; simulated time runs fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from v2gpki.certs.view import view
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.chains import common_name
from v2gpki.profile.load import Catalogue
from v2gpki.servers.evcc.stock import VehicleWords, stock_vehicle
from v2gpki.servers.evcc.vehicle import VehicleSetup
from v2gpki.servers.secc.contracts import HomeContracts
from v2gpki.servers.secc.defaults import SimulatedStage
from v2gpki.servers.secc.plugins import ContractProvider, StationPlugins
from v2gpki.servers.secc.station import Session, Station, StationSetup
from v2gpki.servers.secc.stock import StationWords, stock_station
from v2gpki.servers.v2gtls import Limits
from v2gpki.services.export import export_layout
from v2gpki.wiring.pki_folder import station_credentials, vehicle_credentials

EMAID = "DE8AC123456789"
CLOCK = v2gpki.FixedClock(BIRTH)
SPEED = 600.0
_SUITES: dict[Edition, str | None] = {"iso15118-2": None, "iso15118-20": "p521"}


@dataclass(frozen=True)
class Site:
    """A home with a contract for the vehicle of a PKI folder."""

    folder: Path
    edition: Edition
    catalogue: Catalogue = field(default_factory=Catalogue)

    def station(
        self, contracts: ContractProvider | None, stages: list[SimulatedStage], limits: Limits
    ) -> StationSetup:
        """A DC station that notes the stage of each session."""
        setup = stock_station(
            StationWords(editions=(self.edition,), power=50_000, speed=SPEED),
            station_credentials(self.folder / "pki", at=BIRTH),
            catalogue=self.catalogue,
            clock=CLOCK,
            contracts=contracts,
        )
        return _noted(replace(setup, limits=limits), stages)

    def vehicle(self, *, install: bool = False, tls: bool = True, energy: float = 100.0) -> VehicleSetup:
        """A vehicle with the contract of the folder, or one that it installs."""
        words = VehicleWords(
            editions=(self.edition,), current="DC", install=install, energy=energy, speed=SPEED, tls=tls
        )
        return stock_vehicle(
            words,
            vehicle_credentials(self.folder / "pki", at=BIRTH),
            catalogue=self.catalogue,
            clock=CLOCK,
        )


def made(folder: Path, edition: Edition) -> Site:
    """A new home and folder."""
    with v2gpki.open_authority(
        folder / "home", passphrase=PASSPHRASE, create=True, clock=CLOCK, caller="test"
    ) as ca:
        ca.initialise(ca.plan([edition]), org="Acme")
        export_layout(ca, "everest", folder / "pki", edition=edition, suite=_SUITES[edition])
        oem = vehicle_credentials(folder / "pki", at=BIRTH).provisioning(edition)
        pools = ca.plug_and_charge
        pools.vehicles.register(oem.chain, edition=edition, at=BIRTH, caller="test")
        until = BIRTH + timedelta(days=500)
        pools.contracts.create(EMAID, common_name(view(oem.chain[0])), BIRTH, until, at=BIRTH, caller="test")
    return Site(folder, edition)


@dataclass
class Outlet:
    """A station that listens: its sessions so far, and the stage of each."""

    station: Station
    ended: list[Session]
    stages: list[SimulatedStage]
    #: Vehicles that were there at once, as far as `count` was asked.
    most: int = 0

    def count(self) -> None:
        """Count who is connected now."""
        self.most = max(self.most, self.station.sessions)

    async def quiet(self) -> None:
        """Until nobody is connected any more."""
        async with asyncio.timeout(60):
            while self.station.sessions:
                await asyncio.sleep(0)
        # asyncio closes a socket one turn after its transport was told to
        await asyncio.sleep(0)

    def safe(self) -> bool:
        """Whether no contactor is closed and nothing flows."""
        return not any(one.stage.closed or one.stage.present().power for one in self.stages)


@asynccontextmanager
async def outlet(site: Site, *, limits: Limits | None = None, contracts: bool = False) -> AsyncIterator[Outlet]:
    """A station of a site from ``with`` to its end; with ``contracts`` it has those of the home."""
    stages: list[SimulatedStage] = []
    ended: list[Session] = []
    with provider(site) if contracts else nullcontext((site, None)) as (mine, given):
        station = Station(mine.station(given, stages, limits or Limits()), ended=ended.append)
        await station.listen("::1")
        try:
            yield Outlet(station, ended, stages)
        finally:
            await station.close(grace=0)


@contextmanager
def provider(site: Site) -> Iterator[tuple[Site, HomeContracts]]:
    """Contracts out of the home, and the site with its catalogue."""
    with (
        v2gpki.open_authority(site.folder / "home", passphrase=PASSPHRASE, clock=CLOCK, caller="test") as ca,
        HomeContracts(ca.plug_and_charge.provisioning) as contracts,
    ):
        yield replace(site, catalogue=ca.catalogue), contracts


def _noted(setup: StationSetup, stages: list[SimulatedStage]) -> StationSetup:
    def plugins() -> StationPlugins:
        given = setup.plugins()
        assert isinstance(given.stage, SimulatedStage)
        stages.append(given.stage)
        return given

    return replace(setup, plugins=plugins)


class Cut:
    """A wire between vehicles and a station that breaks after so many pieces from the vehicle: at once (a reset), or
    after half of the next piece (an end). With ``drip`` octets come one by one."""

    def __init__(
        self, station: tuple[str, int], after: int, *, half: bool = False, drip: bool = False
    ) -> None:
        self.pieces: list[bytes] = []
        self.address: tuple[str, int] = ("", 0)
        self._station = station
        self._after = after
        self._half = half
        self._drip = drip
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "::1", 0)
        name = self._server.sockets[0].getsockname()
        self.address = (name[0], name[1])
        return self

    async def __aexit__(self, *_problem: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection(*self._station)
        back = asyncio.ensure_future(_carried(far_reader, writer))
        try:
            while data := await reader.read(65_536):
                self.pieces.append(data)
                if len(self.pieces) > self._after:
                    far_writer.write(data[: len(data) // 2] if self._half else b"")
                    break
                for start in range(0, len(data), 1 if self._drip else len(data)):
                    far_writer.write(data[start : start + 1] if self._drip else data)
                    await asyncio.sleep(0)
        except OSError:
            pass
        finally:
            back.cancel()
            writer.transport.abort()
            if self._half:
                far_writer.close()
            else:
                far_writer.transport.abort()
            await asyncio.wait([back])


async def _carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.write_eof()
