"""OCSP: what an answer costs, live and signed ahead, and our server next to cfssl, openssl ocsp and nginx.

Core figures are CPU time in one process. Servers run on core 0, wrk and ab on core 1, plain HTTP on the loopback, the
same requests in turn; the answers are verified. A peer that is not there is named as not run; no figure is remembered.
Each peer is asked in turn with ours, and the load of the machine is told: by CPU they remain comparable.
``--seconds N`` is how long each server is asked (default 3), ``--core`` leaves the servers out.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp

import v2gpki
from measure import Row, cpu_us, table
from v2gpki.certs.ocsp import IssuerName
from v2gpki.certs.ocsp_request import write_request
from v2gpki.certs.view import view
from v2gpki.services.ocsp import OcspResponder
from v2gpki.services.ocsp.get_path import file_of_request, path_of_request
from v2gpki.wiring import CertificateOrder
from v2gpki.wiring.ocsp import ocsp_responder

PASSPHRASE = "benchmark only"  # protects nothing
os.environ["V2GPKI_PASSPHRASE"] = PASSPHRASE
POPULATION = 10_000
ISSUER = "iso2-mo-sub-ca-2@1"
NONCE = bytes(range(32))

@dataclass(frozen=True)
class Lab:
    """A home with many contract certificates below one issuer, and requests about them."""

    home: Path
    ca: v2gpki.CertificateAuthority
    issuer: IssuerName
    serials: Sequence[int]

    def requests(self, hash_name: str = "sha1", nonce: bytes | None = None, count: int = 1000) -> list[bytes]:
        """DER requests about the first certificates."""
        return [write_request(self.issuer.cert_id(hash_name, serial), nonce) for serial in self.serials[:count]]


def lab(folder: Path) -> Lab:
    ca = v2gpki.open_authority(folder / "home", passphrase=PASSPHRASE, create=True)
    ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    serials = []
    for start in range(0, POPULATION, 500):
        orders = [CertificateOrder("contract", f"DEACMC{n:08d}", "iso15118-2") for n in range(start, start + 500)]
        serials += [answer.record.serial for answer in ca.issue_many(orders)]
    parent = view(ca.authority(ISSUER).der)
    return Lab(folder / "home", ca, IssuerName(parent.subject, parent.spki), serials)


# -- the core -----------------------------------------------------------------------------------


def asking(responder: OcspResponder, requests: Sequence[bytes], lab: Lab) -> float:
    """CPU us of one answer; each one is checked after."""
    now = lab.ca.clock.now()

    def work() -> None:
        for request in requests:
            responder.answer(request, now)

    spent = cpu_us(work, units=len(requests))
    for request in requests[:20]:
        read = ocsp.load_der_ocsp_response(responder.answer(request, now).der)
        assert read.certificate_status is ocsp.OCSPCertStatus.GOOD
    return spent


def core(lab: Lab) -> None:
    live, ahead = ocsp_responder(lab.ca), ocsp_responder(lab.ca, presigned=True)
    now = lab.ca.clock.now()
    start = time.process_time()
    signed = sum(1 for _ in ahead.fill(now, issuers=[ISSUER], hashes=["sha1"]))
    each = (time.process_time() - start) / signed * 1e6
    assert signed >= POPULATION
    signer = live._signers.current(lab.ca.authority(ISSUER), now)
    assert signer is not None
    message, sign = bytes(250), signer.template.signer.sign
    bare = cpu_us(lambda: [sign(message) for _ in range(1000)], units=1000)
    start = time.process_time()
    files = sum(1 for _ in islice(live.presign([ISSUER], now, hashes=["sha1"]), 5000))
    whole = (time.process_time() - start) / files * 1e6
    rows = [
        Row("one P-256 signature, the physical limit", f"{bare:.1f} us"),
        Row(
            "signing ahead, the store read as well",
            f"{each:.1f} us",
            f"a million in {each:.0f} s; limit 40 s on one core",
        ),
        Row("signing ahead with request and whole answer, for files", f"{whole:.1f} us"),
        Row("an answer signed ahead", f"{asking(ahead, lab.requests(), lab):.2f} us", "POST, SHA-1"),
        Row("the same, SHA-256", f"{asking(ahead, lab.requests('sha256'), lab):.2f} us", "kept whole after the first"),
        Row("an answer signed now", f"{asking(live, lab.requests(), lab):.1f} us"),
        Row("the same, with a nonce", f"{asking(live, lab.requests(nonce=NONCE), lab):.1f} us"),
    ]
    table("OCSP answers, CPU on one core", rows)


# -- servers ------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def server(
    command: Sequence[str], port: int, log: Path, ready: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A server on core 0 that listens on ``port``, or has said ``ready``; its process group ends with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", "0", *command], stdout=out, stderr=out, start_new_session=True
        )
    try:
        end = time.monotonic() + 30
        while True:
            try:
                if ready and ready not in log.read_text():
                    raise OSError(ready)
                if not ready:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > end or process.poll() is not None:
                    raise RuntimeError(f"{command[0]} does not listen: {log.read_text()[-500:]}") from None
                time.sleep(0.05)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class Load:
    """What wrk or ab measured."""

    per_second: float
    middle_ms: float
    late_ms: float
    failed: int
    #: CPU microseconds of the server for each request: what remains comparable when others use the machine too.
    cpu_us: float

    def __str__(self) -> str:
        return f"{self.per_second:,.0f}/s"

    @property
    def per_core(self) -> float:
        return 1e6 / self.cpu_us

    def beside(self, more: str = "") -> str:
        times = f"{self.per_core:>7,.0f}/s of CPU, p50 {self.middle_ms:.2f} ms, p99 {self.late_ms:.2f} ms"
        failures = f", {self.failed} FAILED" if self.failed else ""
        return f"{times}{failures}{', ' + more if more else ''}"


def cpu_seconds(group: int) -> float:
    """CPU time of a process group so far, to the nanosecond: what ticks say is too coarse for a run of seconds."""
    spent = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                spent += sum(int(task.read_text().split()[0]) for task in stat.parent.glob("task/*/schedstat"))
    return spent / 1e9


def script(folder: Path, bodies: Sequence[bytes], paths: Sequence[str]) -> Path:
    """A Lua script for wrk: the requests in turn, POST with ``bodies`` or GET of ``paths``."""
    def quoted(octets: bytes) -> str:
        return '"' + "".join(f"\\{octet:03d}" for octet in octets) + '"'

    values = [quoted(body) for body in bodies] or [quoted(path.encode()) for path in paths]
    made = (
        'wrk.format("POST", path, {["Content-Type"]="application/ocsp-request"}, v)'
        if bodies
        else 'wrk.format("GET", v)'
    )
    text = f"""
values = {{{", ".join(values)}}}
made = {{}}
n = 0
init = function(args)
  path = args[1]
  for i, v in ipairs(values) do made[i] = {made} end
end
request = function() n = n % #made + 1; return made[n] end
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %f %f %f %d %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, bad, summary.requests))
end
"""
    file = folder / f"wrk-{len(list(folder.glob('wrk-*')))}.lua"
    file.write_text(text)
    return file


def wrk(lua: Path, port: int, path: str, seconds: int, running: subprocess.Popen[bytes]) -> Load:
    """32 connections that are kept alive."""
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(lua)]
    before = cpu_seconds(running.pid)
    ran = subprocess.run(
        [*command, f"http://127.0.0.1:{port}", "--", path], capture_output=True, text=True, check=True
    )
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+) (\d+)", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr
    spent = (cpu_seconds(running.pid) - before) / int(found[5]) * 1e6
    return Load(float(found[1]), float(found[2]), float(found[3]), int(found[4]), spent)


def ab(
    folder: Path, body: bytes, port: int, path: str, count: int, running: subprocess.Popen[bytes], at_once: int = 1
) -> Load:
    """A connection for each request: what openssl ocsp is made for, one after the other."""
    file = folder / "body"
    file.write_bytes(body)
    kind = "application/ocsp-request"
    command = ["taskset", "-c", "1", "ab", "-q", f"-c{at_once}", f"-n{count}", "-p", str(file), "-T", kind]
    before = cpu_seconds(running.pid)
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    ).stdout

    def number(pattern: str) -> float:
        found = re.search(pattern, text)
        return float(found[1]) if found else 0.0

    failed = int(number(r"Non-2xx responses:\s+(\d+)"))
    rate, middle, late = (
        number(pattern) for pattern in (r"Requests per second:\s+(\S+)", r"\n\s+50%\s+(\d+)", r"\n\s+99%\s+(\d+)")
    )
    return Load(rate, middle, late, failed, (cpu_seconds(running.pid) - before) / count * 1e6)


def verify(port: int, path: str, request: bytes, *, get: bool = False) -> None:
    """The server really answers good."""
    url = f"http://127.0.0.1:{port}{path}"
    answer = httpx.get(f"{url}/{path_of_request(request)}") if get else httpx.post(url, content=request)
    read = ocsp.load_der_ocsp_response(answer.content)
    assert read.certificate_status is ocsp.OCSPCertStatus.GOOD


def turns(*asks: Callable[[], Load], rounds: int = 3) -> list[Load]:
    """The best of several runs of each, taken in turn: whatever else the machine does, it does to all of them."""
    found = [[ask() for ask in asks] for _ in range(rounds)]
    return [min(runs, key=lambda load: load.cpu_us) for runs in zip(*found, strict=True)]


@contextmanager
def ours(
    lab: Lab, folder: Path, mode: str, *options: str, program: Sequence[str] = ("-m", "v2gpki")
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """``v2gpki serve``, signing ahead or per answer: its port and process (CPU is that of all its processes)."""
    port = free_port()
    os.environ["V2GPKI_SERVE_PRESIGNED"] = str(mode == "presigned").lower()
    command = [sys.executable, *program, "--home", str(lab.home), "serve", "--ocsp", *options]
    with server([*command, "--listen", f"127.0.0.1:{port}"], port, folder / f"ours-{mode}.log") as running:
        verify(port, "/ocsp", lab.requests()[0])
        verify(port, "/ocsp", lab.requests()[1], get=True)
        # Everything is signed ahead before anything is measured.
        wrk(script(folder, lab.requests(), []), port, "/ocsp", 1, running)
        yield port, running


def live(lab: Lab, folder: Path, seconds: int) -> list[Row]:
    requests = lab.requests()
    posts, nonces = script(folder, requests, []), script(folder, lab.requests(nonce=NONCE), [])
    with ours(lab, folder, "live", "--one-process") as (port, running):
        signed, nonce, single = turns(
            lambda: wrk(posts, port, "/ocsp", seconds, running),
            lambda: wrk(nonces, port, "/ocsp", seconds, running),
            lambda: ab(folder, requests[0], port, "/ocsp", 3000, running),
        )
    with ours(lab, folder, "live") as (port, running):
        (apart,) = turns(lambda: wrk(posts, port, "/ocsp", seconds, running))
    return [
        Row("ours, signed per answer, one process", str(signed), signed.beside("limit 12,000/s")),
        Row("the same, nonce", str(nonce), nonce.beside()),
        Row("the same, connection each", str(single), single.beside()),
        Row("ours, signed per answer, keys in a process of their own", str(apart), apart.beside("limit 12,000/s")),
    ]


def inside(lab: Lab, folder: Path, seconds: int) -> list[Row]:
    """What of the latency is the server's own: wrk, and whoever else uses the machine, have a part in what wrk sees."""
    posts = script(folder, lab.requests(), [])
    found = folder / "laps"
    program = [str(Path(__file__).with_name("laps.py")), str(found)]
    with ours(lab, folder, "presigned", "--one-process", program=program) as (port, running):
        running.send_signal(signal.SIGUSR1)
        load = wrk(posts, port, "/ocsp", seconds, running)
        running.send_signal(signal.SIGTERM)
        running.wait(60)
    middle, late, middle_cpu, late_cpu = found.read_text().split()
    return [
        Row(
            "ours, signed ahead, POST, from readable to written at most",
            f"p99 {late} ms",
            f"p50 {middle} ms; CPU p50 {middle_cpu} ms, p99 {late_cpu} ms, limit p99 2 ms; "
            f"wrk beside it sees p50 {load.middle_ms:.2f} ms, p99 {load.late_ms:.2f} ms",
        )
    ]


def ahead(lab: Lab, folder: Path, seconds: int) -> list[Row]:
    """Ours, signed ahead, in turn with each peer."""
    requests = lab.requests()
    posts = script(folder, requests, [])
    gets = script(folder, [], [f"/ocsp/{path_of_request(request)}" for request in requests])
    with ours(lab, folder, "presigned") as (port, running):
        rows = cfssl(lab, folder, seconds, lambda: wrk(posts, port, "/ocsp", seconds, running))
        rows += nginx(lab, folder, seconds, lambda: wrk(gets, port, "/ocsp", seconds, running))
        rows += openssl(
            lab, folder, lambda at_once: ab(folder, requests[0], port, "/ocsp", 4000, running, at_once=at_once)
        )
    return rows


def cfssl(lab: Lab, folder: Path, seconds: int, asking: Callable[[], Load]) -> list[Row]:
    name = "ours, signed ahead, POST"
    if shutil.which("cfssl") is None:
        (load,) = turns(asking)
        return [Row(name, str(load), load.beside()), Row("cfssl ocspserve: not run (apt install golang-cfssl)", "")]
    responses = folder / "responses"
    signed = ocsp_responder(lab.ca).presign([ISSUER], hashes=["sha1"])
    responses.write_text("\n".join(base64.b64encode(one.der).decode() for one in signed) + "\n")
    port = free_port()
    command = ["cfssl", "ocspserve", "-port", str(port), "-responses", str(responses), "-loglevel", "5"]
    requests = lab.requests()
    with server(command, port, folder / "cfssl.log") as running:
        verify(port, "/", requests[0])
        posts = script(folder, requests, [])
        load, theirs = turns(asking, lambda: wrk(posts, port, "/", seconds, running))
    ratio = f"ours is {load.per_core / theirs.per_core:.1f} times that; limit 1.5"
    return [
        Row(name, str(load), load.beside()),
        Row("cfssl ocspserve, signed ahead, POST", str(theirs), theirs.beside(ratio)),
    ]


def nginx(lab: Lab, folder: Path, seconds: int, asking: Callable[[], Load]) -> list[Row]:
    name = "ours, signed ahead, GET"
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        (load,) = turns(asking)
        missing = Row("nginx, static files: not run (apt install nginx-light)", "")
        return [Row(name, str(load), load.beside()), missing]
    files = folder / "files"
    paths = []
    for one in islice(ocsp_responder(lab.ca).presign([ISSUER], hashes=["sha1"]), 1000):
        file = files / file_of_request(one.request)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one.der)
        paths.append(f"/{base64.b64encode(one.request).decode()}")
    port = free_port()
    folder.chmod(0o755)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err; user root;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; keepalive_requests 1000000; default_type application/ocsp-response;\n"
        f"  open_file_cache max=10000 inactive=1h; server {{ listen 127.0.0.1:{port}; index index.ocsp;\n"
        f"  root {files}; }} }}\n"
    )
    with server([program, "-c", str(configuration), "-p", str(folder)], port, folder / "nginx.log") as running:
        verify(port, "", base64.b64decode(paths[0][1:]), get=True)
        gets = script(folder, [], paths)
        load, theirs = turns(asking, lambda: wrk(gets, port, "/", seconds, running))
    return [
        Row(name, str(load), load.beside()),
        Row("nginx, static files of ocsp presign, GET", str(theirs), theirs.beside()),
    ]


def openssl(lab: Lab, folder: Path, asking: Callable[[int], Load]) -> list[Row]:
    """It takes one connection after the other, so one client at a time; asked by four at once, nobody waits for a
    client: what is left is what each connection costs the server. Both are asked both ways."""
    names = "ours, signed ahead, connection each", "ours, signed ahead, connection each, 4 at once"
    if shutil.which("openssl") is None:
        found = turns(lambda: asking(1), lambda: asking(4))
        rows = [Row(name, str(load), load.beside()) for name, load in zip(names, found, strict=True)]
        return [*rows, Row("openssl ocsp: not run (apt install openssl)", "")]
    authority = lab.ca.authority(ISSUER)
    (signer,) = lab.ca.store.held_certificates("ocsp", ISSUER)
    assert lab.ca.vault is not None
    key = lab.ca.vault.private_key(signer.key_id).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(key)
    for name, der in (("ca.pem", authority.der), ("ocsp.pem", signer.der)):
        (folder / name).write_bytes(view(der).x509.public_bytes(serialization.Encoding.PEM))
    lines = [f"V\t360101000000Z\t\t{serial:040X}\tunknown\t/CN={serial:x}\n" for serial in lab.serials]
    (folder / "index.txt").write_text("".join(lines))
    port = free_port()
    command = ["openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ocsp.pem", "-rkey", "key.pem"]
    paths = [str(folder / part) if part.endswith((".pem", ".txt")) else part for part in command]
    with server([*paths, "-port", str(port), "-ndays", "7"], port, folder / "openssl.log", "ACCEPT") as running:
        # It must not be probed: a connection without a request keeps it busy for ever.
        question = ["openssl", "ocsp", "-issuer", str(folder / "ca.pem"), "-serial", str(lab.serials[0]), "-noverify"]
        asked = [*question, "-url", f"http://127.0.0.1:{port}/"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=20)
        assert ": good" in said.stdout, said.stdout
        request = lab.requests()[0]
        found = turns(
            lambda: asking(1),
            lambda: ab(folder, request, port, "/", 4000, running),
            lambda: asking(4),
            lambda: ab(folder, request, port, "/", 4000, running, at_once=4),
        )
    rows = []
    for name, load, theirs in zip(names, found[::2], found[1::2], strict=True):
        times = load.per_second / theirs.per_second
        ratio = f"ours is {times:.1f} times that, {load.per_core / theirs.per_core:.1f} by CPU; limit 2"
        rows += [
            Row(name, str(load), load.beside()),
            Row(name.replace("ours, signed ahead", "openssl ocsp"), str(theirs), theirs.beside(ratio)),
        ]
    return rows


def servers(lab: Lab, folder: Path, seconds: int) -> None:
    for tool in ("wrk", "ab", "taskset"):
        if shutil.which(tool) is None:
            print(f"\nServers: not run, {tool} is missing (apt install wrk apache2-utils util-linux)")
            return
    rows = [*ahead(lab, folder, seconds), *inside(lab, folder, seconds), *live(lab, folder, seconds)]
    table("OCSP servers, one core each, 32 connections kept alive unless said", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--core", action="store_true")
    options = parser.parse_args()
    load = f"load {os.getloadavg()[0]:.1f}"
    print(f"v2gpki {v2gpki.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, {load}")
    with tempfile.TemporaryDirectory() as folder:
        made = lab(Path(folder))
        with made.ca:
            core(made)
            if not options.core:
                servers(made, Path(folder), options.seconds)


if __name__ == "__main__":
    main()
