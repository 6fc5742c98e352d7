"""Webhooks sent over real sockets: to the address that was looked at, once, signed, within a deadline.

Receivers are Python's own HTTP server; names are answered by the test, as a name server under an attacker's hand would.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import TracebackType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import v2gpki
from tests.conftest import BIRTH
from v2gpki import CertificateAuthority
from v2gpki.clients.webhook_delivery import Address, DeliveryWorker
from v2gpki.services.ecosystem import Event, Party
from v2gpki.services.webhook_addresses import WebhookPolicy
from v2gpki.services.webhooks import EndpointView, Webhooks, Wish
from v2gpki.store.webhook_records import Delivery
from v2gpki.wiring.webhooks import webhooks_of

MO = Party("acme-mobility", frozenset({"mo"}))
OEM = Party("acme-cars", frozenset({"oem"}))
LOOPBACK = WebhookPolicy(allowed=(ip_network("127.0.0.1/32"),), plain=True)


@dataclass
class Receiver:
    """Somebody who is told: answers with ``status``, keeps what came."""

    status: int = 200
    location: str = ""
    drip: bool = False
    tls: ssl.SSLContext | None = None
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __enter__(self) -> Receiver:
        receiver = self
        self.ending = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                if receiver.drip:
                    for _ in range(100):
                        if receiver.ending.wait(0.05):
                            return
                        try:
                            self.wfile.write(b"H")
                        except OSError:
                            return
                    return
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("location", receiver.location)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *given: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if self.tls is not None:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
            self.server.handle_error = lambda request, address: None  # type: ignore[method-assign]  # refused handshakes are expected
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])


class Names:
    """A name server: answers one list of addresses after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = [[ip_address(text) for text in answer] for answer in answers]
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked.append((host, port))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if not answer:
            raise OSError("no such name")
        return answer


def told(hooks: Webhooks, url: str) -> EndpointView:
    made = hooks.create(MO, Wish(url, ("root.cert.added",)))
    hooks.publish([Event("0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a", "root.cert.added", BIRTH, {"rootType": "V2G"})])
    return made


def outcome(ca: CertificateAuthority) -> Delivery:
    (found,) = ca.store.webhooks.deliveries()
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def test_a_receiver_can_check_what_it_gets(iso2: CertificateAuthority, receiver: Receiver) -> None:
    hooks = webhooks_of(iso2, LOOPBACK)
    made = told(hooks, f"http://hooks.test:{receiver.port}/pki?x=1")
    names = Names(["127.0.0.1"])
    assert DeliveryWorker(hooks, resolve=names).run_once() == 1
    ((headers, body),) = receiver.received
    digest = hmac.digest(made.secret.encode(), body, hashlib.sha256).hex()
    assert headers["payload-signature"] == headers["x-operator-signature"] == digest
    assert headers["x-hubject-signature"] == f"sha256={digest}"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"hooks.test:{receiver.port}"
    assert json.loads(body)["eventType"] == "root.cert.added"
    found = outcome(iso2)
    assert (found.state, found.said, found.attempts) == ("delivered", "HTTP 200", 1)
    assert DeliveryWorker(hooks, resolve=names).run_once() == 0


def test_a_name_is_asked_for_once_and_the_answer_is_kept_to(iso2: CertificateAuthority, receiver: Receiver) -> None:
    """DNS rebinding: the second answer would be another address."""
    hooks = webhooks_of(iso2, LOOPBACK)
    told(hooks, f"http://hooks.test:{receiver.port}/")
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    DeliveryWorker(hooks, resolve=names).run_once()
    assert names.asked == [("hooks.test", receiver.port)]
    assert len(receiver.received) == 1
    assert outcome(iso2).state == "delivered"


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["93.184.216.34", "127.0.0.1"]],
)
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(
    iso2: CertificateAuthority, receiver: Receiver, answer: list[str]
) -> None:
    hooks = webhooks_of(iso2, WebhookPolicy(plain=True))
    told(hooks, f"http://hooks.test:{receiver.port}/")
    DeliveryWorker(hooks, resolve=Names(answer)).run_once()
    assert receiver.received == []
    found = outcome(iso2)
    assert found.state == "failed"
    assert "no public address" in found.said


def test_an_address_that_was_allowed_is_looked_at_again(iso2: CertificateAuthority, receiver: Receiver) -> None:
    told(webhooks_of(iso2, LOOPBACK), f"http://127.0.0.1:{receiver.port}/")
    DeliveryWorker(webhooks_of(iso2, WebhookPolicy(plain=True))).run_once()
    assert receiver.received == []
    assert outcome(iso2).state == "failed"


def test_the_system_is_asked_for_names_by_default(iso2: CertificateAuthority, receiver: Receiver) -> None:
    hooks = webhooks_of(iso2, LOOPBACK)
    told(hooks, f"http://127.0.0.1:{receiver.port}/")
    DeliveryWorker(hooks).run_once()
    assert outcome(iso2).state == "delivered"


@pytest.mark.parametrize(("status", "state"), [(204, "delivered"), (500, "waiting"), (503, "waiting"), (429, "waiting"),
                                               (400, "failed"), (404, "failed"), (410, "failed")])  # fmt: skip
def test_what_a_status_means(iso2: CertificateAuthority, status: int, state: str) -> None:
    with Receiver(status) as receiver:
        hooks = webhooks_of(iso2, LOOPBACK)
        told(hooks, f"http://hooks.test:{receiver.port}/")
        DeliveryWorker(hooks, resolve=Names(["127.0.0.1"])).run_once()
    found = outcome(iso2)
    assert (found.state, found.said) == (state, f"HTTP {status}")


def test_a_redirect_is_not_followed(iso2: CertificateAuthority, receiver: Receiver) -> None:
    with Receiver(307, location=f"http://127.0.0.1:{receiver.port}/inside") as first:
        hooks = webhooks_of(iso2, LOOPBACK)
        told(hooks, f"http://hooks.test:{first.port}/")
        DeliveryWorker(hooks, resolve=Names(["127.0.0.1"])).run_once()
        assert len(first.received) == 1
    assert receiver.received == []
    assert (outcome(iso2).state, outcome(iso2).said) == ("failed", "HTTP 307")


def test_an_answer_that_never_ends_is_given_up(iso2: CertificateAuthority) -> None:
    with Receiver(drip=True) as receiver:
        hooks = webhooks_of(iso2, LOOPBACK)
        told(hooks, f"http://hooks.test:{receiver.port}/")
        DeliveryWorker(hooks, resolve=Names(["127.0.0.1"]), deadline=0.5).run_once()
    found = outcome(iso2)
    assert found.state == "waiting"
    assert "takes too long" in found.said


def test_nobody_there_is_tried_again_later(iso2: CertificateAuthority) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    with Receiver() as receiver:
        port = receiver.port
    hooks = webhooks_of(iso2, LOOPBACK)
    told(hooks, f"http://hooks.test:{port}/")
    for names in (Names(["127.0.0.1"]), Names([])):
        assert DeliveryWorker(hooks, resolve=names).run_once() == 1
        assert outcome(iso2).state == "waiting"
        iso2.clock.moment += timedelta(hours=1)


def test_proxies_of_the_environment_are_not_used(
    iso2: CertificateAuthority, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        hooks = webhooks_of(iso2, LOOPBACK)
        told(hooks, f"http://hooks.test:{receiver.port}/")
        DeliveryWorker(hooks, resolve=Names(["127.0.0.1"])).run_once()
        assert proxy.received == []
    assert len(receiver.received) == 1


def tls_pair(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a receiver of this name shows, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of this test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    shown, kept = folder / "certificate.pem", folder / "key.pem"
    shown.write_bytes(certificate.public_bytes(Encoding.PEM))
    kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(shown, kept)
    return server, ssl.create_default_context(cafile=str(shown))


@pytest.mark.parametrize(
    ("host", "trusted", "state"),
    [("hooks.test", True, "delivered"), ("other.test", True, "waiting"), ("hooks.test", False, "waiting")],
)
def test_tls_asks_for_the_name_and_not_for_the_address(
    iso2: CertificateAuthority, tmp_path: Path, host: str, trusted: bool, state: str
) -> None:
    server, client = tls_pair(tmp_path, "hooks.test")
    with Receiver(tls=server) as receiver:
        hooks = webhooks_of(iso2, LOOPBACK)
        told(hooks, f"https://{host}:{receiver.port}/")
        tls = client if trusted else ssl.create_default_context()
        DeliveryWorker(hooks, resolve=Names(["127.0.0.1"]), tls=tls).run_once()
    assert outcome(iso2).state == state
    assert len(receiver.received) == (1 if state == "delivered" else 0)


def test_many_are_sent_and_each_once(iso2: CertificateAuthority, receiver: Receiver) -> None:
    hooks = webhooks_of(iso2, LOOPBACK)
    hooks.create(MO, Wish(f"http://hooks.test:{receiver.port}/", ("root.cert.added",)))
    ids = [f"0f1c0b0e-0a61-4a57-8a51-{number:012d}" for number in range(40)]
    hooks.publish([Event(one, "root.cert.added", BIRTH, {}) for one in ids])
    assert DeliveryWorker(hooks, resolve=Names(["127.0.0.1"])).run_once() == 40
    assert sorted(json.loads(body)["eventId"] for _, body in receiver.received) == ids


def test_a_name_that_no_resolver_takes_fails_for_good_and_alone(iso2: CertificateAuthority, receiver: Receiver) -> None:
    """``getaddrinfo`` raises UnicodeError for a label of 64 octets; such endpoints may stand in a home of old."""
    hooks = webhooks_of(iso2, LOOPBACK)
    bad = hooks.create(MO, Wish("http://other.test/", ("root.cert.added",)))
    good = hooks.create(OEM, Wish(f"http://127.0.0.1:{receiver.port}/", ("root.cert.added",)))
    hooks.publish([Event("0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a", "root.cert.added", BIRTH, {})])

    def resolve(host: str, port: int) -> list[Address]:
        if host == "other.test":
            raise UnicodeError("label too long")
        return [ip_address("127.0.0.1")]

    assert DeliveryWorker(hooks, resolve=resolve).run_once() == 2
    assert [one.state for one in iso2.store.webhooks.deliveries(endpoint_id=bad.id)] == ["failed"]
    assert [one.state for one in iso2.store.webhooks.deliveries(endpoint_id=good.id)] == ["delivered"]


def test_what_nobody_foresaw_stops_no_other(iso2: CertificateAuthority, receiver: Receiver) -> None:
    hooks = webhooks_of(iso2, LOOPBACK)
    bad = hooks.create(MO, Wish("http://other.test/", ("root.cert.added",)))
    good = hooks.create(OEM, Wish(f"http://127.0.0.1:{receiver.port}/", ("root.cert.added",)))
    hooks.publish([Event("0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a", "root.cert.added", BIRTH, {})])

    def resolve(host: str, port: int) -> list[Address]:
        if host == "other.test":
            raise KeyError("a defect")
        return [ip_address("127.0.0.1")]

    assert DeliveryWorker(hooks, resolve=resolve).run_once() == 2
    (broken,) = iso2.store.webhooks.deliveries(endpoint_id=bad.id)
    assert (broken.state, broken.said, broken.attempts) == ("waiting", "it broke: KeyError", 1)
    assert [one.state for one in iso2.store.webhooks.deliveries(endpoint_id=good.id)] == ["delivered"]


def test_a_slow_receiver_holds_up_its_owner_alone(iso2: CertificateAuthority, receiver: Receiver) -> None:
    """Twenty endpoints at one that never answers, and somebody else whose turn would come after them."""
    hooks = webhooks_of(iso2, LOOPBACK)
    ends = []
    with Receiver(drip=True) as slow:
        for number in range(20):
            hooks.create(MO, Wish(f"http://127.0.0.1:{slow.port}/{number}", ("root.cert.added",)))
        hooks.create(OEM, Wish(f"http://127.0.0.1:{receiver.port}/", ("root.cert.added",)))
        hooks.publish([Event("0f1c0b0e-0a61-4a57-8a51-0ed26b7d2f6a", "root.cert.added", BIRTH, {})])
        worker = DeliveryWorker(hooks, resolve=Names(["127.0.0.1"]), deadline=0.5)
        ends.append(worker.run_once())
    assert len(receiver.received) == 1
    # After three time-outs the slow host rests: no attempt is spent on the others.
    assert len(slow.received) == 3
    waiting = list(iso2.store.webhooks.deliveries(state="waiting"))
    assert sorted(one.attempts for one in waiting) == [0] * 17 + [1] * 3
    assert ends == [4]


def test_a_worker_that_was_stopped_begins_nothing(iso2: CertificateAuthority, receiver: Receiver) -> None:
    hooks = webhooks_of(iso2, LOOPBACK)
    told(hooks, f"http://127.0.0.1:{receiver.port}/")
    worker = DeliveryWorker(hooks)
    worker.stop()
    assert worker.run_once() == 0
    assert outcome(iso2).attempts == 0
