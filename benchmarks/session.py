"""Sessions: from the answer of discovery to AuthorizationRes, a contract installed on the way, both sides here.

Ours are a station and a vehicle in a process each, over TLS on loopback, with every check on: chain of the station,
signature and chain of the request, contract issued and recorded by a home, answer verified and opened, contract chain
judged, challenge signed and checked. The vehicle begins anew for each session; the first of both processes is shown
apart. Beside it EcoG's SECC and EVCC (PyPI iso15118) on the same machine in the same run, if `make interop` has
installed them: their station plays the provisioning service itself.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import v2gpki
from measure import Row, table
from v2gpki.certs.view import view
from v2gpki.pnc.algorithms import Edition
from v2gpki.pnc.installation.chains import common_name
from v2gpki.profile.load import Catalogue
from v2gpki.servers.discovery import LOOPBACK
from v2gpki.servers.evcc.stock import VehicleWords, stock_vehicle
from v2gpki.servers.evcc.vehicle import find, travel
from v2gpki.servers.secc.contracts import HomeContracts
from v2gpki.servers.secc.station import Station
from v2gpki.servers.secc.stock import StationWords, stock_station
from v2gpki.services.export import export_layout
from v2gpki.session.notices import Exchanged, Notice
from v2gpki.wiring.pki_folder import station_credentials, vehicle_credentials

PASSPHRASE = "benchmark only"  # protects nothing
SESSIONS = 25
EMAID = "DE8AC123456789"
SUITE: dict[Edition, str | None] = {"iso15118-2": None, "iso15118-20": "p521"}
#: Milliseconds (the first session, later ones), and MB of both sides together.
AIMS = (150, 60, 150)
ECOG = Path(__file__).parents[1] / ".interop" / "ecog" / "bin" / "python"


class _Now:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def prepared(folder: Path, edition: Edition) -> None:
    """A home with a contract for the vehicle of an exported PKI folder."""
    with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True, caller="benchmark") as ca:
        ca.initialise(ca.plan([edition]), org="Acme")
        export_layout(ca, "everest", folder / "pki", edition=edition, suite=SUITE[edition])
        now = datetime.now(UTC).replace(microsecond=0)
        oem = vehicle_credentials(folder / "pki", at=now).provisioning(edition)
        pcid = common_name(view(oem.chain[0]))
        pools = ca.plug_and_charge
        pools.vehicles.register(oem.chain, edition=edition, at=now, caller="benchmark")
        pools.contracts.create(EMAID, pcid, now, now + timedelta(days=500), at=now, caller="benchmark")


def station(folder: Path, edition: Edition) -> None:
    """The station's process: says where it listens, serves until its input ends, then what it used."""

    async def serve() -> None:
        with (
            v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, caller="benchmark") as ca,
            HomeContracts(ca.plug_and_charge.provisioning) as contracts,
        ):
            setup = stock_station(
                StationWords(editions=(edition,), power=50_000, speed=100),
                station_credentials(folder / "pki", at=datetime.now(UTC)),
                catalogue=ca.catalogue,
                clock=_Now(),
                contracts=contracts,
            )
            here = Station(setup)
            await here.listen("::1")
            found = await here.answer_discovery(LOOPBACK, port=0)
            print(found.port, flush=True)
            await asyncio.to_thread(sys.stdin.read)
            await here.close()
        print(time.process_time(), _resident(), flush=True)

    asyncio.run(serve())


def vehicle(folder: Path, edition: Edition, port: int, count: int) -> None:
    """The vehicle's process: sessions one after the other; a line of milliseconds each, then what it used."""

    async def drive() -> None:
        for _ in range(count):
            at = datetime.now(UTC)
            setup = stock_vehicle(
                VehicleWords(editions=(edition,), current="DC", install=True, energy=1.0, speed=100),
                vehicle_credentials(folder / "pki", at=at),
                catalogue=Catalogue(),
                clock=_Now(),
            )
            done: list[float] = []

            def told(notice: Notice, done: list[float] = done) -> None:
                if isinstance(notice, Exchanged) and notice.name == "AuthorizationRes":
                    done.append(time.perf_counter())

            where = await find(LOOPBACK, tls=True, port=port)
            began = time.perf_counter()
            journey = await travel(setup, where.address, told=told)
            assert journey.ending.kind == "stopped", journey.ending
            assert journey.installed == (EMAID,), journey.installed
            print((done[0] - began) * 1e3, (time.perf_counter() - began) * 1e3, flush=True)
        print(time.process_time(), _resident(), flush=True)

    asyncio.run(drive())


def ours(edition: Edition) -> list[Row]:
    """Our rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, edition)
        secc = _process("--station", str(folder), edition)
        assert secc.stdout is not None
        port = secc.stdout.readline().strip()
        evcc = _process("--vehicle", str(folder), edition, port, str(SESSIONS))
        lines = evcc.communicate()[0].splitlines()
        used = secc.communicate()[0].split()
    *times, own = [line.split() for line in lines]
    authorised = [float(one[0]) for one in times]
    seconds = float(own[0]) + float(used[0])
    megabytes = int(own[1]) + int(used[1])
    first, later, memory = AIMS
    return [
        Row(f"{edition}: the first, to AuthorizationRes", f"{authorised[0]:.0f} ms", f"aim {first}"),
        Row(
            f"{edition}: later ones, median",
            f"{statistics.median(authorised[1:]):.0f} ms",
            f"slowest {max(authorised[1:]):.0f}; aim {later}",
        ),
        Row(f"{edition}: memory of both sides", f"{megabytes} MB", f"aim {memory}"),
        Row(
            f"{edition}: whole sessions a second on one core",
            f"{len(times) / seconds:.1f}",
            "CPU of both processes, set-up and imports included",
        ),
    ]


def peers() -> list[Row]:
    """EcoG's pair, from the log of its vehicle."""
    if not ECOG.exists():
        return [Row("EcoG's SECC and EVCC", "not run", "make interop PYTEST='-k ecog' installs them")]
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.interop.ecog.session import AC_WITH_INSTALLATION, run_session  # noqa: PLC0415  # found by the line above

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True, caller="benchmark") as ca:
            ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
            export_layout(ca, "josev", folder / "pki", password="12345", ca_keys=True)
        session = run_session(ECOG, folder / "pki", folder, AC_WITH_INSTALLATION)
    began = _moment(session.evcc.text, r"SDPResponse received")
    took = _moment(session.evcc.text, r"AuthorizationRes received") - began
    return [Row("iso15118-2: EcoG's pair, one session", f"{took * 1e3:.0f} ms", "its first; two JVMs beside")]


def _moment(log: str, pattern: str) -> float:
    found = re.search(rf"(\d\d):(\d\d):(\d\d),(\d\d\d)[^\n]*{pattern}", log)
    assert found is not None, pattern
    hours, minutes, seconds, thousandths = (int(part) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1e3


def _process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _resident() -> int:
    """Megabytes of this process that are its own or shared, at their highest."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1000
    raise OSError("/proc/self/status says nothing of VmHWM")


def main(arguments: Sequence[str]) -> None:
    """Everything, or one process of it."""
    if arguments:
        edition: Edition = "iso15118-20" if arguments[2] == "iso15118-20" else "iso15118-2"
        if arguments[0] == "--station":
            station(Path(arguments[1]), edition)
        else:
            vehicle(Path(arguments[1]), edition, int(arguments[3]), int(arguments[4]))
        return
    rows = [row for edition in SUITE for row in ours(edition)]
    table(f"Sessions with contract installation, {os.cpu_count()} cores", [*rows, *peers()])


if __name__ == "__main__":
    main(sys.argv[1:])
