"""EST: enrolments a second over HTTP, with registration check, lint and a durable record, next to cfssl's signing API.

Both get the same requests from wrk, plain HTTP with kept connections, all processes of a server on one core and wrk on
another, in turns. Ours is ``v2gpki serve --est`` with a token and a row of the registration table, in both forms: the
keys in a process of their own, and ``--one-process``. Neither server writes a line for each request. "A second of CPU"
counts enrolments for each second of CPU time of all processes of a server: it remains comparable when others use the
machine too. cfssl (Debian golang-cfssl) verifies the request and signs; it knows no table, no lint, no record and no
audit log. A peer that is not there is named as not run. Afterwards the store must hold one certificate for each answer.
"""

from __future__ import annotations

import base64
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import v2gpki
from measure import Row, table
from v2gpki.certs.csr import build_csr
from v2gpki.services.est import Enrolled, EnrolRequest, EstService
from v2gpki.wiring import CertificateAuthority
from v2gpki.wiring.access import access_of, registrations_of

PASSPHRASE = "benchmark only"  # protects nothing
IDENTITY = "cpo-a"
CONNECTIONS = (8, 32)
FORMS = {"v2gpki serve": (), "v2gpki serve --one-process": ("--one-process",)}
SECONDS = 4
#: More than anybody answers in that time: a request that comes again is answered from the store.
REQUESTS_A_SECOND = 6000
IN_PROCESS = 3000
LIMIT = 3000
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
    """As the server makes it."""
    return EstService(
        ca.store,
        ca.catalogue,
        ca.clock,
        routing=ca._routing,
        issuance=lambda: ca.issuance,
        registry=registrations_of(ca),
    )


def in_process(home: Path, requests: list[bytes]) -> Row:
    """Enrolments without HTTP, in groups of 32."""
    with v2gpki.open_authority(home, passphrase=PASSPHRASE) as ca:
        service = service_of(ca)
        target = service.labels.target("cpo", "ISO15118-2")
        service.enrol(IDENTITY, requests[0], target)
        groups = [requests[at : at + 32] for at in range(1, len(requests), 32)]
        start, spent = time.perf_counter(), time.process_time()
        for group in groups:
            answers = service.answer_many([EnrolRequest(IDENTITY, der, target) for der in group])
            if not all(isinstance(answer, Enrolled) and not answer.repeated for answer in answers):
                raise SystemExit("an enrolment was refused")
        spent, took = time.process_time() - spent, time.perf_counter() - start
    done = len(requests) - 1
    return Row("v2gpki, in process, groups of 32", f"{done / took:,.0f}/s", f"{done / spent:,.0f} a second of CPU")


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server on the first core, up to the end of the block; gives the id of its process group."""
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
                raise SystemExit(f"{' '.join(command)} did not start")
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

    def row(self, what: str, beside: str) -> Row:
        """As a line of the table."""
        times = f"{1e6 / self.cpu_us:,.0f} a second of CPU, p50 {self.median_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        return Row(what, f"{self.rate:,.0f}/s", f"{times}; {beside}")


def cpu_seconds(group: int) -> float:
    """User and system time of a process group."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def load(url: str, script: Path, connections: int, group: int) -> Load:
    """Drive a server; any error ends the benchmark."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), url]
    pinned = ["taskset", "-c", "1", *command] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else command
    before = cpu_seconds(group)
    said = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(group) - before
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", said)
    if found is None or int(found[5]):
        raise SystemExit(f"wrk found errors:\n{said}")
    answers = int(found[1])
    return Load(answers, answers / (int(found[2]) / 1e6), float(found[3]), float(found[4]), spent / answers * 1e6)


def lua(folder: Path, bodies: list[str], kind: str, credential: str) -> Path:
    (folder / "bodies.txt").write_text("\n".join(bodies))
    script = folder / "bodies.lua"
    script.write_text(LUA.format(file=folder / "bodies.txt", kind=kind, credential=credential))
    return script


def ours(folder: Path, home: Path, form: str, connections: int, requests: list[bytes], credential: str) -> Row:
    port = free_port()
    script = lua(folder, [base64.b64encode(der).decode() for der in requests], "application/pkcs10", credential)
    command = [sys.executable, "-m", "v2gpki", "--home", str(home), "serve", "--est", *FORMS[form]]
    command += ["--listen", f"127.0.0.1:{port}"]
    before = count(home)
    with running(command, port, V2GPKI_PASSPHRASE=PASSPHRASE, V2GPKI_SERVE_LOG="errors") as group:
        figures = load(f"http://127.0.0.1:{port}/cpo/simpleenroll/ISO15118-2", script, connections, group)
    made = count(home) - before
    # Those under way when wrk stopped were made and not counted.
    if not figures.answers <= made <= figures.answers + connections:
        raise SystemExit(f"{figures.answers} answers, {made} certificates")
    return figures.row(f"{form}, {connections} connections", f"limit {LIMIT:,}/s")


def count(home: Path) -> int:
    with v2gpki.open_authority(home) as ca:
        return ca.store.count_certificates(role="secc")


def cfssl(folder: Path, connections: int, requests: list[bytes]) -> Row:
    if shutil.which("cfssl") is None:
        return Row("cfssl /sign", "not run", "apt-get install golang-cfssl")
    if not (folder / "ca.pem").exists():
        initial = json.dumps({"CN": "Bench CA", "key": {"algo": "ecdsa", "size": 256}})
        command = ["cfssl", "gencert", "-initca", "-"]
        made = subprocess.run(command, input=initial, capture_output=True, text=True, check=True)
        ca = json.loads(made.stdout)
        (folder / "ca.pem").write_text(ca["cert"])
        (folder / "ca-key.pem").write_text(ca["key"])
    port = free_port()
    bodies = []
    for der in requests:
        pem = x509.load_der_x509_csr(der).public_bytes(serialization.Encoding.PEM).decode()
        bodies.append('{"certificate_request": "' + pem.replace("\n", "|") + '"}')
    script = lua(folder, bodies, "application/json", "")
    command = ["cfssl", "serve", "-address", "127.0.0.1", "-port", str(port), "-loglevel", "5"]
    command += ["-ca", str(folder / "ca.pem"), "-ca-key", str(folder / "ca-key.pem")]
    with running(command, port, GOMAXPROCS="1") as group:
        figures = load(f"http://127.0.0.1:{port}/api/v1/cfssl/sign", script, connections, group)
    return figures.row(f"cfssl /sign, {connections} connections", "no table, no lint, no record")


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    print(f"v2gpki {v2gpki.__version__}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home = folder / "home"
        with v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True) as ca:
            ca.initialise(ca.plan(["iso15118-2"]), org="Bench")
            secret = access_of(ca).create(IDENTITY, ["est"], caller="benchmark")[1]
            registrations_of(ca).register(IDENTITY, "secc", prefixes=["DE*ICE"], caller="benchmark")
        credential = base64.b64encode(f"{IDENTITY}:{secret}".encode()).decode()
        share = SECONDS * REQUESTS_A_SECOND
        requests = csrs(IN_PROCESS + share * len(CONNECTIONS) * len(FORMS))
        rows = [in_process(home, requests[-IN_PROCESS:])]
        for connections in CONNECTIONS:
            for form in FORMS:
                mine, requests = requests[:share], requests[share:]
                rows.append(ours(folder, home, form, connections, mine, credential))
            rows.append(cfssl(folder, connections, mine))
    table("EST, enrolments over HTTP, one core", rows)


if __name__ == "__main__":
    main()
