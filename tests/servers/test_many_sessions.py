"""Two hundred vehicles at one station at once, over TLS with a contract each: all stop as planned, and nothing of them
stays in memory."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest
from OpenSSL import SSL

from tests.house.tree import ROOT
from tests.servers.site import Outlet, Site, made, outlet
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.evcc.answers import VehicleAnswers
from v2gpki.servers.evcc.vehicle import travel
from v2gpki.servers.secc.answers import StationAnswers
from v2gpki.session.engine import Engine

SESSIONS = 200
#: A page more or less of what the allocator holds, in KB.
SLACK = 4_000


class _SlowLoop(asyncio.SelectorEventLoop):
    """Its time goes twenty times slower, so that no timer of a message hangs on how busy the machine is: four hundred
    sides share one thread here."""

    def time(self) -> float:
        return super().time() / 20


@pytest.mark.parametrize("edition", ["iso15118-2", "iso15118-20"])
def test_two_hundred_at_once(edition: Edition, tmp_path: Path) -> None:
    """In a process of its own: what thousands of other tests left to the allocator says nothing of these sessions."""
    command = [sys.executable, "-W", "error", "-m", "tests.servers.test_many_sessions", edition, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _run(edition: Edition, folder: Path) -> None:
    site = made(folder, edition)
    with asyncio.Runner(loop_factory=_SlowLoop) as runner:
        runner.run(_scene(site))


async def _scene(site: Site) -> None:
    async with outlet(site) as here:
        await _round(site, here, SESSIONS)
        assert here.most == SESSIONS
        kept = _living()
        await _round(site, here, SESSIONS // 10)
        before, after = _resident(), []
        for _ in range(3):
            await _round(site, here, SESSIONS // 10)
            after.append(_resident())
        assert _living() == kept == dict.fromkeys(kept, 0)
        # What sessions leave behind grows with every round; what the allocator of a large process does goes both ways.
        assert min(after) < before + SLACK


async def _round(site: Site, here: Outlet, count: int) -> None:
    here.ended.clear()
    here.stages.clear()
    kinds = await asyncio.gather(*(_one(site, here) for _ in range(count)))
    await here.quiet()
    assert kinds == ["stopped"] * count
    endings = [one.ending.kind if one.ending else one.problem for one in here.ended]
    assert endings == ["stopped"] * count
    energies = [one.readings[-1].imported - one.readings[0].imported for one in here.ended]
    assert min(energies) > 0
    assert here.safe()


async def _one(site: Site, here: Outlet) -> str:
    journey = await travel(site.vehicle(), here.station.address, connected=lambda _: here.count())
    return journey.ending.kind


def _living() -> dict[str, int]:
    """What belongs to sessions and is still there."""
    gc.collect()
    kinds = (Engine, StationAnswers, VehicleAnswers, SSL.Connection)
    return {kind.__name__: sum(type(one) is kind for one in gc.get_objects()) for kind in kinds}


def _resident() -> int:
    """KB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("/proc/self/status says nothing of VmRSS")


if __name__ == "__main__":
    _run("iso15118-20" if sys.argv[1] == "iso15118-20" else "iso15118-2", Path(sys.argv[2]))
