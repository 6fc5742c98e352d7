"""A signing process in a thread of the test, and the home as a worker has it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import v2gpki
from tests.conftest import BIRTH
from v2gpki.servers.signing.desk import Desk
from v2gpki.servers.signing.peers import Family, family
from v2gpki.wiring.access import registrations_of
from v2gpki.wiring.signing import protocol
from v2gpki.wiring.signing.client import RemoteSigning
from v2gpki.wiring.signing.keeper import Keeper, Scope
from v2gpki.wiring.signing.protocol import Answer, Question

#: What the identity "worker" may enrol in the tests.
ENROLLED = ("secc", "oem", "oem-x448", "contract", "vehicle", "cps", "station", "csms")
EVERYTHING = ("ocsp", "crl", "est", "pools", "page")


@dataclass
class Signing:
    """The keeper's home, where it listens, and a worker's home."""

    keeper: v2gpki.CertificateAuthority
    worker: v2gpki.CertificateAuthority
    path: Path

    @property
    def remote(self) -> RemoteSigning:
        assert self.worker.signing is not None
        return self.worker.signing

    def raw(self) -> socket.socket:
        """A connection whose reads end after 20 s at the latest."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect(str(self.path))
        return connection

    def ask(self, question: Question) -> Answer:
        """What a broken worker asks, past the client."""
        with self.raw() as connection:
            connection.sendall(protocol.frame(question))
            body = protocol.receive(connection)
        assert body is not None
        return protocol.answer(body)

    def refusal(self, question: Question) -> str:
        """The code with which a question is refused."""
        given = self.ask(question)
        assert isinstance(given, protocol.Refused), given
        return given.code


@contextmanager
def signing(
    ca: v2gpki.CertificateAuthority,
    folder: Path,
    *,
    parts: tuple[str, ...] = EVERYTHING,
    workers: Family | None = None,
    enrolled: tuple[str, ...] = ENROLLED,
    tls_name: str = "",
) -> Iterator[Signing]:
    """``ca`` is unlocked; ``folder`` has a short path; ``enrolled``: the roles that "worker" may have, any id."""
    for role in enrolled:
        registrations_of(ca).register("worker", role, caller="test")
    path = folder / "s"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen()
    keeper = Keeper(ca, Scope(frozenset(parts), tls_name))
    desk = Desk(listening, keeper.answer, workers or family(os.getpid()), threads=3)
    thread = threading.Thread(target=desk.run)
    thread.start()
    clock = v2gpki.FixedClock(BIRTH)
    try:
        with v2gpki.open_authority(ca.home, clock=clock, caller="worker", signing=RemoteSigning(path)) as worker:
            yield Signing(ca, worker, path)
    finally:
        desk.stop()
        thread.join(30)
        assert not thread.is_alive()
        listening.close()
