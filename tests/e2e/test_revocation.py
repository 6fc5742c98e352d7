"""A revocation by another program replaces, within a second, what each worker of ``v2gpki serve`` has signed ahead."""

from __future__ import annotations

import base64
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import PASSPHRASE
from tests.e2e.site import Site, prepare, site
from tests.services.ocsp.asking import read, request
from v2gpki.services.issuance import Issued

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
WORKERS = 2
MOST_CONNECTIONS = 100


def questions(issued: Issued) -> list[tuple[str, str, bytes | None]]:
    """Method, path and body: POST and GET, SHA-1 and SHA-256."""
    asked = [request(*issued.chain[:2], name) for name in ("sha1", "sha256")]
    posts = [("POST", "/ocsp", der) for der in asked]
    return [*posts, *(("GET", f"/ocsp/{quote(base64.b64encode(der).decode(), safe='')}", None) for der in asked)]


def answers(connections: list[HTTPConnection], issued: Issued) -> set[ocsp.OCSPCertStatus]:
    """What all connections say, asked in every way."""
    said = set()
    for connection in connections:
        for method, path, body in questions(issued):
            connection.request(method, path, body)
            said.add(read(connection.getresponse().read()).certificate_status)
    return said


def connected(served: Site) -> list[HTTPConnection]:
    """So many connections that each worker has one. Which has which is told by the log of a request that is none."""
    connections: list[HTTPConnection] = []
    processes: set[object] = set()
    while len(processes) < WORKERS:
        assert len(connections) < MOST_CONNECTIONS
        connections.append(HTTPConnection(*served.plain, timeout=20))
        connections[-1].request("GET", "/ocsp")
        assert connections[-1].getresponse().read()
        processes = {line["process"] for line in served.log_lines() if line.get("status") == 400}
    return connections


def test_a_revocation_reaches_every_worker_within_a_second(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    with v2gpki.open_authority(prepared.home, passphrase=PASSPHRASE) as ca:
        victim, other = (ca.issue("secc", id=f"DE*ICE*E{n}", edition="iso15118-2") for n in (71, 72))
        with site(prepared, V2GPKI_SERVE_WORKERS=str(WORKERS)) as served:
            connections = connected(served)
            assert answers(connections, victim) == {GOOD}
            ca.revoke(f"{victim.record.serial:x}", "keyCompromise")
            done = time.monotonic()
            # Until then an old answer may come, afterwards none.
            while answers(connections, victim) != {REVOKED}:
                assert time.monotonic() - done < 1
            assert answers(connections, victim) == {REVOKED}
            assert answers(connections, other) == {GOOD}
            for connection in connections:
                connection.close()
            served.check_alive()
