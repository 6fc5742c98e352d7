"""EST: enrolments a second over HTTP, with registration check, lint and a durable record, next to cfssl's signing API.

Both get the same requests from wrk, plain HTTP with kept connections, one server process on one core and wrk on
another; the CPU time of the server is what a busy machine changes least. cfssl (Debian golang-cfssl) verifies the
request and signs; it knows no table, no lint, no record and no audit log. A peer that is not there is named as not run.
Afterwards the store must hold one certificate for each answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

import v2gpki
from measure import Row, table
from v2gpki.certs.csr import build_csr
from v2gpki.servers.http.access import Identity
from v2gpki.servers.http.est import est_routes
from v2gpki.servers.http.exchange import Scope
from v2gpki.services.est import Enrolled, EnrolRequest, EstService, MemoryRegistry, Registration
from v2gpki.services.routing import Routing
from v2gpki.wiring import CertificateAuthority

PASSPHRASE = "benchmark only"  # protects nothing
CONNECTIONS = (8, 32)
SECONDS = 4
#: More than anybody answers in that time: a request that comes again is answered from the store.
REQUESTS_A_SECOND = 9000
LIMIT = 3000
CREDENTIAL = base64.b64encode(b"cpo-a:" + b"x" * 20).decode()
LUA = """
local bodies = {{}}
for line in io.lines("{file}") do bodies[#bodies + 1] = (line:gsub("|", "\\\\n")) end
local at = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
wrk.headers["Authorization"] = "Basic {credential}"
function request()
  at = at % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %.3f %.3f %d\\n", summary.requests, summary.duration,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.status + errors.connect + errors.read + errors.timeout))
end
"""


def csrs(count: int) -> list[bytes]:
    """So many requests for as many stations, each with a key of its own."""
    made = []
    for number in range(count):
        text = build_csr(ec.generate_private_key(ec.SECP256R1()), f"DE*ICE*E{number}")
        made.append(x509.load_pem_x509_csr(text).public_bytes(serialization.Encoding.DER))
    return made


def service_of(ca: CertificateAuthority) -> EstService:
    return EstService(
        ca.store,
        ca.catalogue,
        ca.clock,
        routing=Routing(ca.store, ca.catalogue, lambda org: ca._naming(org=org)),
        issuance=lambda: ca.issuance,
        registry=MemoryRegistry(ca.catalogue, [Registration("cpo-a", "secc", "", (), ("DE*ICE",))]),
    )


def serve(home: str, port: str) -> None:
    """The server's own process: one user, known by Basic, its password as a digest."""
    known = {"cpo-a": hashlib.sha256(b"x" * 20).digest()}

    async def basic(scope: Scope) -> Identity | None:
        for name, value in scope["headers"]:
            if name == b"authorization":
                user, _, password = base64.b64decode(value[6:]).partition(b":")
                kept = known.get(user.decode(), b"")
                if hmac.compare_digest(kept, hashlib.sha256(password).digest()):
                    return Identity(user.decode(), frozenset({"est"}))
        return None

    with v2gpki.open_authority(Path(home), passphrase=PASSPHRASE) as ca:
        app = Starlette(routes=est_routes(service_of(ca), basic))
        uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, lifespan="off")


def in_process(home: Path, requests: list[bytes]) -> float:
    """Enrolments a second without HTTP, in groups of 32."""
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        service = service_of(ca)
        target = service.labels.target("cpo", "ISO15118-2")
        service.enrol("cpo-a", requests[0], target)
        groups = [requests[at : at + 32] for at in range(1, len(requests), 32)]
        start = time.perf_counter()
        for group in groups:
            answers = service.answer_many([EnrolRequest("cpo-a", der, target) for der in group])
            if not all(isinstance(answer, Enrolled) and not answer.repeated for answer in answers):
                raise SystemExit("an enrolment was refused")
        return (len(requests) - 1) / (time.perf_counter() - start)


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server on the first core, up to the end of the block; gives its process id."""
    pinned = ["taskset", "-c", "0", *command] if shutil.which("taskset") else command
    process = subprocess.Popen(
        pinned,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw, and the server's CPU time for each answer."""

    answers: int
    rate: float
    median_ms: float
    p99_ms: float
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f}/s, p50 {self.median_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, {self.cpu_us:.0f} us CPU"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(url: str, script: Path, connections: int, pid: int) -> Load:
    """Drive a server; any error ends the benchmark."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), url]
    pinned = ["taskset", "-c", "1", *command] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else command
    before = cpu_seconds(pid)
    said = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(pid) - before
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", said)
    if found is None or int(found[5]):
        raise SystemExit(f"wrk found errors:\n{said}")
    answers = int(found[1])
    return Load(answers, answers / (int(found[2]) / 1e6), float(found[3]), float(found[4]), spent / answers * 1e6)


def lua(folder: Path, name: str, bodies: list[str], kind: str) -> Path:
    (folder / f"{name}.txt").write_text("\n".join(bodies))
    script = folder / f"{name}.lua"
    script.write_text(LUA.format(file=folder / f"{name}.txt", kind=kind, credential=CREDENTIAL))
    return script


def ours(folder: Path, home: Path, requests: list[bytes]) -> list[Row]:
    rows = []
    share = len(requests) // len(CONNECTIONS)
    for index, connections in enumerate(CONNECTIONS):
        port = free_port()
        mine = requests[index * share : (index + 1) * share]
        bodies = [base64.b64encode(der).decode() for der in mine]
        script = lua(folder, f"ours-{connections}", bodies, "application/pkcs10")
        with running([sys.executable, __file__, "serve", str(home), str(port)], port) as pid:
            before = count(home)
            figures = load(f"http://127.0.0.1:{port}/cpo/simpleenroll/ISO15118-2", script, connections, pid)
        made = count(home) - before
        # Those under way when wrk stopped were made and not counted.
        if not figures.answers <= made <= figures.answers + connections:
            raise SystemExit(f"{figures.answers} answers, {made} certificates")
        rows.append(Row(f"v2gpki, {connections} connections", str(figures), f"limit {LIMIT:,}/s"))
    return rows


def count(home: Path) -> int:
    with v2gpki.open_authority(home) as ca:
        return ca.store.count_certificates(role="secc")


def cfssl(folder: Path, requests: list[bytes]) -> list[Row]:
    if shutil.which("cfssl") is None:
        return [Row("cfssl /sign", "not run", "apt-get install golang-cfssl")]
    initial = json.dumps({"CN": "Bench CA", "key": {"algo": "ecdsa", "size": 256}})
    command = ["cfssl", "gencert", "-initca", "-"]
    made = subprocess.run(command, input=initial, capture_output=True, text=True, check=True)
    ca = json.loads(made.stdout)
    (folder / "ca.pem").write_text(ca["cert"])
    (folder / "ca-key.pem").write_text(ca["key"])
    rows = []
    for connections in CONNECTIONS:
        port = free_port()
        bodies = []
        for der in requests[: len(requests) // len(CONNECTIONS)]:
            pem = x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM).decode()
            bodies.append('{"certificate_request": "' + pem.replace("\n", "|") + '"}')
        script = lua(folder, f"cfssl-{connections}", bodies, "application/json")
        command = ["cfssl", "serve", "-address", "127.0.0.1", "-port", str(port), "-loglevel", "5"]
        command += ["-ca", str(folder / "ca.pem"), "-ca-key", str(folder / "ca-key.pem")]
        with running(command, port, GOMAXPROCS="1") as pid:
            figures = load(f"http://127.0.0.1:{port}/api/v1/cfssl/sign", script, connections, pid)
        rows.append(Row(f"cfssl /sign, {connections} connections", str(figures), "no table, no lint, no record"))
    return rows


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:4])
        return
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        with v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True) as ca:
            ca.initialise(ca.plan(["iso15118-2"]), org="Bench")
        requests = csrs(2000 + SECONDS * REQUESTS_A_SECOND * len(CONNECTIONS))
        rows = [Row("v2gpki, in process, groups of 32", f"{in_process(home, requests[-2000:]):,.0f}/s")]
        rows += ours(folder, home, requests[:-2000])
        rows += cfssl(folder, requests[:-2000])
    table("EST, enrolments over HTTP, one core", rows)


if __name__ == "__main__":
    main()
