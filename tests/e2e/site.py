"""``v2gpki serve`` as a process, with everything that it serves, for those who mistreat it and those who use it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import PASSPHRASE
from tests.services.vehicle import Vehicle
from v2gpki.certs.chain import pem
from v2gpki.keys import pkcs8
from v2gpki.wiring.access import access_of, registrations_of

NAME = "DE*ICE*E1001"
EMAID = "DE8AA001234567"
ENROL = "/.well-known/est/cpo/simpleenroll"
SETTINGS = """
[serve]
request_seconds = 2
write_seconds = 2
idle_seconds = 30
"""


@dataclass
class Prepared:
    """A home that was made forty days ago, and what clients of its server hold."""

    home: Path
    folder: Path
    #: Token name -> secret; the identity has the token's name.
    secrets: dict[str, str] = field(default_factory=dict)
    good: bytes = b""
    crl: str = ""
    crl_issuer: bytes = b""
    issuer: bytes = b""
    vehicle_request: bytes = b""

    @property
    def root(self) -> Path:
        """What TLS clients trust."""
        return self.folder / "root.pem"

    def request(self, serial: int | None = None) -> bytes:
        """An OCSP request (DER) about the good certificate or any serial of its issuer."""
        issuer = x509.load_der_x509_certificate(self.issuer)
        if serial is None:
            built = ocsp.OCSPRequestBuilder().add_certificate(
                x509.load_der_x509_certificate(self.good), issuer, hashes.SHA256()
            )
        else:
            known = ocsp.load_der_ocsp_request(self.request())
            built = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
                known.issuer_name_hash, known.issuer_key_hash, serial, hashes.SHA256()
            )
        return built.build().public_bytes(serialization.Encoding.DER)


def prepare(folder: Path) -> Prepared:
    """Make the home, its tokens, its registrations, one contract, and client certificates."""
    now = datetime.now(UTC).replace(microsecond=0)
    then = now - timedelta(days=40)
    made = Prepared(folder / "home", folder)
    with v2gpki.open_authority(
        made.home, passphrase=PASSPHRASE, create=True, clock=v2gpki.FixedClock(then), caller="test"
    ) as ca:
        ca.initialise(ca.plan(["iso15118-2", "ocpp"]), org="Acme")
        _client(ca, folder / "expired.pem", "DE*ICE*E9", not_after=now - timedelta(days=10))
    with v2gpki.open_authority(made.home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(now), caller="test") as ca:
        made.good, made.issuer = _client(ca, folder / "good.pem", "DE*ICE*E2")
        access = access_of(ca)
        for name, scopes in (("station", ["est"]), ("rival", ["est"]), ("operator", ["*"]), ("listener", ["webhooks"])):
            made.secrets[name] = access.create(name, scopes, caller="test")[1]
        registrations_of(ca).register("station", "secc", identifiers=[NAME], prefixes=["DE*ICE*E5"], caller="test")
        registrations_of(ca).register("rival", "secc", identifiers=["DE*8EO*E1"], caller="test")
        vehicle = Vehicle.made(ca)
        ca.plug_and_charge.contracts.create(
            EMAID, vehicle.pcid, now, now + timedelta(days=365), at=now, caller="test"
        )
        made.vehicle_request = vehicle.request()
        root = ca.authority("iso2-v2g-root")
        made.crl = f"/crl/{root.id.partition('@')[0]}.crl"
        made.crl_issuer = root.der
        made.root.write_bytes(pem([ca.authority("ocpp-csms-root").der]))
    (made.home / "v2gpki.toml").write_text(SETTINGS)
    return made


def _client(
    ca: v2gpki.CertificateAuthority, path: Path, name: str, *, not_after: datetime | None = None
) -> tuple[bytes, bytes]:
    issued = ca.issue("secc", id=name, edition="iso15118-2", not_after=not_after)
    assert issued.private_key is not None
    path.write_bytes(pem(issued.chain) + pkcs8.plain(issued.private_key))
    return issued.record.der, issued.chain[1]


@dataclass
class Site:
    """A running server: a plain address and one with TLS."""

    prepared: Prepared
    process: subprocess.Popen[bytes]
    urls: tuple[str, ...]
    log: Path
    #: What its certificate is for.
    tls_name: str = "127.0.0.1"

    @property
    def plain(self) -> tuple[str, int]:
        """Host and port of the plain address."""
        return _address(self.urls[0])

    def client(self, token: str = "", *, certificate: str = "") -> httpx.Client:
        """A client over TLS, with a token and a client certificate by their names."""
        context = ssl.create_default_context(cafile=str(self.prepared.root))
        if certificate:
            context.load_cert_chain(self.prepared.folder / f"{certificate}.pem")
        headers = {"authorization": f"Bearer {self.prepared.secrets[token]}"} if token else {}
        base = self.urls[1].replace("127.0.0.1", self.tls_name)
        return httpx.Client(base_url=base, verify=context, headers=headers, timeout=30)

    def connect(self, *, tls: bool = False) -> socket.socket:
        """A raw connection; with ``tls`` to that address, but without a handshake."""
        return socket.create_connection(_address(self.urls[int(tls)]), timeout=20)

    def secured(self) -> ssl.SSLSocket:
        """A raw connection after the handshake."""
        context = ssl.create_default_context(cafile=str(self.prepared.root))
        return context.wrap_socket(self.connect(tls=True), server_hostname=self.tls_name)

    def log_lines(self) -> list[dict[str, object]]:
        """What was logged so far."""
        return [json.loads(line) for line in self.log.read_text("ascii").splitlines() if line.startswith("{")]

    def logged(self, **expected: object) -> list[dict[str, object]]:
        """The lines with these fields; waits for one, since an answer is sent before its line is written."""
        ends = time.monotonic() + 20
        while True:
            found = [line for line in self.log_lines() if expected.items() <= line.items()]
            if found:
                return found
            assert time.monotonic() < ends, (expected, self.log.read_text()[-2000:])
            self.counted("v2gpki_events_total")

    def counted(self, pattern: str) -> float:
        """The sum of the metrics whose line begins so."""
        with self.client() as client:
            text = client.get("/metrics").text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(pattern, line))

    def resident(self) -> int:
        """The resident memory of all its processes in octets."""
        pages = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                pages += int(fields[21]) if int(fields[2]) == self.process.pid else 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def check_alive(self) -> None:
        """It runs, answers, has had no bug, and has logged no secret."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        with self.client() as client:
            assert client.get("/readyz").json()["status"] == "ready"
            answer = client.post("/ocsp", content=self.prepared.request())
            status = ocsp.load_der_ocsp_response(answer.content).certificate_status
            assert status is ocsp.OCSPCertStatus.GOOD
        assert self.counted(r'v2gpki_events_total\{event="failed"\}') == 0
        said = self.log.read_text()
        assert [line for line in self.log_lines() if line["level"] in ("error", "critical")] == []
        assert "Traceback" not in said
        for secret in (PASSPHRASE, *self.prepared.secrets.values()):
            # Nor a good part of one.
            assert secret[-20:] not in said


@contextmanager
def site(prepared: Prepared, **environment: str) -> Iterator[Site]:
    """Serve it, in a process group of its own that is gone at the end."""
    ready, log = prepared.folder / "ready.json", prepared.folder / "serve.log"
    listen = ["--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0", "--tls"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("V2GPKI_")}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "v2gpki", "--json", "serve", *listen, "--ready-file", str(ready)],
            env={**inherited, "V2GPKI_HOME": str(prepared.home), "V2GPKI_PASSPHRASE": PASSPHRASE, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, log.read_text()
        told = json.loads(ready.read_text())
        name = environment.get("V2GPKI_SERVE_TLS_NAME", "127.0.0.1")
        yield Site(prepared, process, tuple(one["url"] for one in told["listeners"]), log, name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not ready.exists()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.partition("://")[2].rpartition(":")
    return host, int(port)


#: Something that is done to a site again and again.
Deed = Callable[[Site], None]
