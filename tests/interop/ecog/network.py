"""A private network for station and vehicle: one namespace, one interface with a link-local address.

Both programs find each other by multicast on ``v2g0``; nothing reaches the machine's own interfaces. The
namespace lives as long as the process that this file starts, which waits for the end of its input. Run as
a program, inside the new namespace, it makes the interface.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INTERFACE = "v2g0"
_ADDRESS = "fe80::15:118/64"
_KINDS = (("type", "veth", "peer", "name", "v2g1"), ("type", "dummy"), ("type", "bridge"))
_READY = "the private network is up"


@dataclass(frozen=True, slots=True)
class PrivateNetwork:
    """A network namespace, named by the process that holds it."""

    holder: int
    own_user: bool

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` inside."""
        user = ["--user", "--preserve-credentials"] if self.own_user else []
        return ["nsenter", "--target", str(self.holder), *user, "--net", "--", *command]


@contextmanager
def private_network(folder: Path) -> Iterator[PrivateNetwork]:
    """Open a namespace: as root directly, else (or when that is forbidden) inside a user namespace of our own."""
    from tests.interop.process import ForeignProcess

    own_user = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode != 0
    flags = ["-U", "-r", "-n"] if own_user else ["-n"]
    command = ["unshare", *flags, sys.executable, str(Path(__file__).resolve())]
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    with ForeignProcess(
        command, log=folder / "network.log", cwd=folder, env={"PATH": path}, stdin=subprocess.PIPE
    ) as holder:
        holder.await_line(_READY, 10)
        yield PrivateNetwork(holder.pid, own_user)


def _set_up() -> None:
    _ip("link", "set", "lo", "up")
    for kind in _KINDS:
        if subprocess.run(["ip", "link", "add", INTERFACE, *kind], check=False).returncode == 0:
            break
    else:
        raise SystemExit("this kernel offers no virtual interface")
    if kind[1] == "veth":
        _ip("link", "set", "v2g1", "addrgenmode", "none")
        _ip("link", "set", "v2g1", "up")
    _ip("link", "set", INTERFACE, "addrgenmode", "none")
    _ip("link", "set", INTERFACE, "up", "multicast", "on")
    # without nodad the address is tentative for two seconds and cannot be bound
    _ip("-6", "addr", "add", _ADDRESS, "dev", INTERFACE, "nodad")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


if __name__ == "__main__":
    _set_up()
    print(_READY, flush=True)
    sys.stdin.read()
