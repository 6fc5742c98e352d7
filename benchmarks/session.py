"""Sessions: from the answer of discovery to AuthorizationRes, a contract installed on the way, both sides here.

Ours are a station and a vehicle in a process each, over TLS on loopback, with every check on: chain of the station,
signature and chain of the request, contract issued and recorded by a home, answer verified and opened, contract chain
judged, challenge signed and checked. The vehicle reads its folder anew for each session; the first of both processes
is shown apart. Then many vehicles at once, in rounds, with contracts that they have. Beside it EcoG's SECC and EVCC
(PyPI iso15118) on the same machine in the same run, if `make interop` has installed them: their station plays the
provisioning service itself.
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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
CROWD = 200
ROUNDS = 3
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
    """The station's process: says where it listens, and for every line that it gets what it has used."""

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
            while await asyncio.to_thread(sys.stdin.readline):
                print(*_used(), flush=True)
            await here.close()

    asyncio.run(serve())


def vehicle(folder: Path, edition: Edition, port: int) -> None:
    """The vehicles' process: for every line ``N`` it runs N sessions with installation one after the other, for
    ``N at once`` those with a contract it has; then says their milliseconds, or what went wrong, and what it used."""
    catalogue = Catalogue()

    async def session(*, install: bool) -> str:
        setup = stock_vehicle(
            VehicleWords(editions=(edition,), current="DC", install=install, energy=1.0, speed=100),
            vehicle_credentials(folder / "pki", at=datetime.now(UTC)),
            catalogue=catalogue,
            clock=_Now(),
        )
        done: list[float] = []

        def told(notice: Notice) -> None:
            if isinstance(notice, Exchanged) and notice.name == "AuthorizationRes":
                done.append(time.perf_counter())

        where = await find(LOOPBACK, tls=True, port=port)
        began = time.perf_counter()
        try:
            journey = await travel(setup, where.address, told=told)
        except v2gpki.V2GPKIError as problem:
            return problem.code
        if journey.ending.kind != "stopped" or bool(journey.installed) is not install:
            return journey.ending.problem.code if journey.ending.problem else journey.ending.kind
        return f"{(done[0] - began) * 1e3}"

    async def drive() -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            count, *together = line.split()
            if together:
                took = await asyncio.gather(*(session(install=False) for _ in range(int(count))))
            else:
                took = [await session(install=True) for _ in range(int(count))]
            print(*took, sep=",", flush=True)
            print(*_used(), flush=True)

    asyncio.run(drive())


@dataclass(frozen=True, slots=True)
class _Pair:
    """A station and vehicles, as processes; `run` gives milliseconds of sessions, `used` CPU seconds, MB now, most MB
    of (station, vehicles)."""

    secc: subprocess.Popen[str]
    evcc: subprocess.Popen[str]
    wrong: Counter[str] = field(default_factory=Counter)

    def run(self, order: str) -> list[float]:
        took = _asked(self.evcc, order).strip().split(",")
        _read(self.evcc)
        self.wrong.update(one for one in took if one and not one[0].isdigit())
        return [float(one) for one in took if one and one[0].isdigit()]

    def used(self) -> tuple[tuple[float, int, int], tuple[float, int, int]]:
        _asked(self.evcc, "0")
        return _figures(_asked(self.secc, "used")), _figures(_read(self.evcc))


def ours(edition: Edition) -> list[Row]:
    """Our rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, edition)
        secc = _process("--station", str(folder), edition)
        port = _read(secc).strip()
        pair = _Pair(secc, _process("--vehicle", str(folder), edition, port))
        fresh = pair.used()
        (authorised,) = pair.run("1")
        before = pair.used()
        later = pair.run(str(SESSIONS))
        after = pair.used()
        assert len(later) == SESSIONS, "a session went wrong"
        crowded = _crowds(edition, pair)
        for process in (pair.evcc, pair.secc):
            process.communicate()
    cpu = [(end[0] - begin[0]) / SESSIONS for begin, end in zip(before, after, strict=True)]
    cold = sum(end[0] - begin[0] for begin, end in zip(fresh, before, strict=True))
    megabytes = sum(side[2] for side in after)
    first, warm, memory = AIMS
    return [
        Row(
            f"{edition}: the first, to AuthorizationRes",
            f"{authorised:.0f} ms",
            f"aim {first}; CPU {cold * 1e3:.0f} with set-up and all that follows",
        ),
        Row(
            f"{edition}: later ones, median",
            f"{statistics.median(later):.0f} ms",
            f"slowest {max(later):.0f}; aim {warm}",
        ),
        Row(
            f"{edition}: CPU of a whole session",
            f"{sum(cpu) * 1e3:.0f} ms",
            f"station and home {cpu[0] * 1e3:.0f}, vehicle {cpu[1] * 1e3:.0f} with its folder read anew",
        ),
        Row(f"{edition}: whole sessions a second on one core", f"{1 / sum(cpu):.0f}", "by that CPU"),
        Row(f"{edition}: memory of both sides", f"{megabytes} MB", f"aim {memory}"),
        *crowded,
    ]


def _crowds(edition: Edition, pair: _Pair) -> list[Row]:
    """Many at once, in rounds: whether all stop as planned, and what the station keeps of them."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        stopped = len(pair.run(f"{CROWD} at once"))
        rounds.append((stopped, time.perf_counter() - began, pair.used()[0][1]))
    kept = [megabytes for _, _, megabytes in rounds]
    return [
        Row(
            f"{edition}: {CROWD} at once, stopped as planned",
            "/".join(str(stopped) for stopped, _, _ in rounds),
            f"{statistics.median(seconds for _, seconds, _ in rounds):.1f} s a round{_told(pair.wrong)}",
        ),
        Row(f"{edition}: the station after each round", f"{'/'.join(map(str, kept))} MB", "flat is right"),
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


def _told(wrong: Counter[str]) -> str:
    return "".join(f"; {count} {what}" for what, count in wrong.most_common())


def _asked(process: subprocess.Popen[str], order: str) -> str:
    assert process.stdin is not None
    process.stdin.write(order + "\n")
    process.stdin.flush()
    return _read(process)


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a process has ended"
    return line


def _figures(line: str) -> tuple[float, int, int]:
    cpu, now, most = line.split()
    return float(cpu), int(now), int(most)


def _used() -> tuple[float, int, int]:
    """CPU seconds of this process, its megabytes now and at their highest, shared ones included."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return time.process_time(), int(told["VmRSS"].split()[0]) // 1000, int(told["VmHWM"].split()[0]) // 1000


def main(arguments: Sequence[str]) -> None:
    """Everything, or one process of it."""
    if arguments:
        edition: Edition = "iso15118-20" if arguments[2] == "iso15118-20" else "iso15118-2"
        if arguments[0] == "--station":
            station(Path(arguments[1]), edition)
        else:
            vehicle(Path(arguments[1]), edition, int(arguments[3]))
        return
    rows = [row for edition in SUITE for row in ours(edition)]
    table(f"Sessions with contract installation, {os.cpu_count()} cores", [*rows, *peers()])


if __name__ == "__main__":
    main(sys.argv[1:])
