"""A program for `test_warming`: the first session of a process, with a contract installed. Prints what it compiled,
imported or read of the profiles meanwhile, a line each.

    python -m tests.servers.warm_session FOLDER EDITION
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.servers.site import Site, outlet
from v2gpki.pnc.algorithms import Edition
from v2gpki.servers.evcc.vehicle import travel

_seen: list[str] = []
_watched = [False]


def _noted(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched[0]:
        return
    if event == "compile" and str(arguments[1]).startswith("<exi "):
        _seen.append(f"compiled {arguments[1]}")
    elif event == "import" and str(arguments[0]).split(".")[0] in ("asn1crypto", "pyhanko_certvalidator"):
        _seen.append(f"imported {arguments[0]}")
    elif event == "open" and str(arguments[0]).endswith(".toml"):
        _seen.append(f"read {arguments[0]}")


async def _session(site: Site) -> None:
    async with outlet(site, contracts=True) as here:
        setup = site.vehicle(install=True)
        _watched[0] = True
        journey = await travel(setup, here.station.address)
        _watched[0] = False
        assert journey.ending.kind == "stopped", journey.ending
        assert journey.installed, "no contract was installed"


if __name__ == "__main__":
    sys.addaudithook(_noted)
    _edition: Edition = "iso15118-20" if sys.argv[2] == "iso15118-20" else "iso15118-2"
    asyncio.run(_session(Site(Path(sys.argv[1]), _edition)))
    print("\n".join(_seen), end="")
