"""Who is at the other end of a local connection, as the kernel says it, and whether that is one of our workers.

Linux: SO_PEERCRED gives process, user and group as they were when the other end connected.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """A process and the user that it runs as."""

    process: int
    user: int


@dataclass(frozen=True, slots=True)
class Family:
    """The serving process and its children, of one user. ``parent_of`` gives the parent of a process, 0 for none."""

    serving: int
    user: int
    parent_of: Callable[[int], int]

    def has(self, peer: Peer) -> bool:
        """Whether a peer is one of them."""
        if peer.user != self.user or peer.process <= 0:
            return False
        return peer.process == self.serving or self.parent_of(peer.process) == self.serving


def family(serving: int) -> Family:
    """The family of a serving process of this user."""
    return Family(serving, os.geteuid(), parent_of)


def peer_of(connection: socket.socket) -> Peer:
    """Who connected."""
    octets = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _group = _CREDENTIALS.unpack(octets)
    return Peer(process, user)


def parent_of(process: int) -> int:
    """The parent of a process, 0 when that is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text("ascii", "replace")
    except OSError:
        return 0
    # The name stands in parentheses, and may hold some itself.
    return int(text.rpartition(")")[2].split()[1])
