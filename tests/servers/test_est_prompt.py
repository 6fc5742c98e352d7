"""Enrolments on the short way: the same answers, refusals and log lines as on the long one, for who was let in there.

`handle` is what the long way goes through: it is counted, and does its work.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.servers.running import Server, serving, with_settings
from tests.services.est.desk import csr, key
from v2gpki.certs.chain import pem
from v2gpki.errors import V2GPKIError
from v2gpki.keys import pkcs8
from v2gpki.servers.http.est import LARGEST_BODY, EstRoute
from v2gpki.servers.http.est_desk import EnrolmentDesk
from v2gpki.servers.http.exchange import Receive, Scope, Send
from v2gpki.wiring.access import access_of, registrations_of

ENROL = "/.well-known/est/cpo/simpleenroll"
NAMES = ["DE*ICE*E1001", "DE*ICE*E1002"]


@dataclass
class Ways:
    """How many requests went the long way."""

    long: int = 0
    before: int = field(default=0)

    def went(self) -> int:
        """Since the last call."""
        since, self.before = self.long - self.before, self.long
        return since


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    found, handle = Ways(), EstRoute.handle

    async def counted(self: EstRoute, scope: Scope, receive: Receive, send: Send) -> None:
        found.long += 1
        await handle(self, scope, receive, send)

    monkeypatch.setattr(EstRoute, "handle", counted)
    return found


@pytest.fixture(scope="module")
def prepared(home_iso2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, str]]:
    home = Path(shutil.copytree(home_iso2, tmp_path_factory.mktemp("prompt") / "home"))
    secrets = {}
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH)) as ca:
        for name, identity, scopes, lifetime in (
            ("good", "cpo-a", ["est"], None),
            ("brief", "cpo-a", ["est"], timedelta(seconds=60)),
            ("ended", "cpo-a", ["est"], None),
            ("weak", "cpo-a", ["pools"], None),
            ("other", "cpo-b", ["est"], None),
        ):
            secrets[name] = access_of(ca).create(identity, scopes, lifetime=lifetime, caller="test")[1]
        registrations_of(ca).register("cpo-a", "secc", identifiers=NAMES, caller="test")
    return home, secrets


class Wire:
    """One kept connection that sends each request whole, in one piece."""

    def __init__(self, server: Server, context: ssl.SSLContext | None = None) -> None:
        opened = server.connect()
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = opened if context is None else context.wrap_socket(opened, server_hostname="127.0.0.1")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *reason: object) -> None:
        self._socket.close()

    def post(self, path: str, *, content: bytes, headers: Mapping[str, str]) -> httpx.Response:
        lines = [f"POST {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(content)}", "", ""])
        self._socket.sendall(head.encode() + content)
        answer = HTTPResponse(self._socket)
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@dataclass
class Site:
    """A served home, and one kept connection to it."""

    server: Server
    client: Wire
    secrets: Mapping[str, str]

    def enrol(self, body: bytes, token: str = "good", **more: str) -> httpx.Response:
        shown = {"authorization": f"Bearer {self.secrets[token]}"} if token else {}
        headers = {"content-type": "application/pkcs10", **shown, **{k.replace("_", "-"): v for k, v in more.items()}}
        return self.client.post(ENROL, content=body, headers=headers)

    def lines(self) -> list[dict[str, object]]:
        read = [json.loads(line) for line in self.server.log.getvalue().splitlines()]
        return [line for line in read if line["message"] == "request"]


@pytest.fixture
def home(prepared: tuple[Path, Mapping[str, str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared[0], tmp_path / "home"))


@pytest.fixture
def site(home: Path, prepared: tuple[Path, Mapping[str, str]]) -> Iterator[Site]:
    with serving(home) as server, Wire(server) as client:
        yield Site(server, client, prepared[1])


def request(name: str = NAMES[0]) -> bytes:
    """Of one length: the head says it too."""
    return base64.b64encode(csr(key(), name)).ljust(600, b"\n")


def certificate(answer: httpx.Response) -> x509.Certificate:
    assert answer.status_code == 200, answer.text
    [found] = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))
    return found


def test_both_ways_give_the_same(site: Site, ways: Ways) -> None:
    bodies = [request(NAMES[number % 2]) for number in range(6)]
    answers = [site.enrol(body) for body in bodies]
    assert ways.went() == 1, "the first one alone"
    for body, answer in zip(bodies, answers, strict=True):
        asked = x509.load_der_x509_csr(base64.b64decode(body))
        assert certificate(answer).public_key() == asked.public_key()
        assert list(answer.headers) == list(answers[1].headers) or answer is answers[0]
    assert sorted(answers[0].headers) == sorted(answers[1].headers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == 6
    # The same request again, the same certificate: on either way.
    assert certificate(site.enrol(bodies[0])) == certificate(answers[0])
    lines = site.lines()
    assert [line["request_id"] for line in lines[:6]] == [answer.headers["x-request-id"] for answer in answers]
    same = ("part", "method", "path", "status", "client", "caller", "code")
    assert len({tuple(line[name] for name in same) for line in lines}) == 1
    assert lines[1]["caller"] == "cpo-a"
    with site.server.client() as other:
        counted = other.get("/metrics").text
    assert 'v2gpki_http_requests_total{part="est",status="200"} 7.0' in counted
    assert 'v2gpki_events_total{event="authenticated"} 7.0' in counted
    with v2gpki.open_authority(site.server.home, clock=v2gpki.FixedClock(BIRTH)) as ca:
        assert {record.caller for record in ca.store.find_certificates(role="secc")} == {"cpo-a"}


def test_a_request_id_that_was_given_comes_back(site: Site, ways: Ways) -> None:
    for _ in range(2):
        assert site.enrol(request(), x_request_id="proxy-0123456789").headers["x-request-id"] == "proxy-0123456789"
    assert ways.went() == 1


def test_refusals_are_the_same(site: Site, ways: Ways) -> None:
    """A foreign id, no request, and a name that the role cannot have: each on the long way first."""
    for body, status, times in (
        (request("DE*XYZ*E9999"), 403, 1),
        (b"A" * 600, 400, 2),
        (request()[:100].ljust(600, b"\n"), 400, 2),
        (request("not an id"), 400, 1),
    ):
        site.enrol(body, x_request_id=f"other-head-{status}-{times}")
        ways.went()
        first, second = site.enrol(body, "other"), site.enrol(body)
        assert first.status_code in (status, 403)
        ways.went()
        again = [site.enrol(body), site.enrol(body)]
        assert ways.went() == (0 if times == 1 else 2), "what cannot be read is told on the long way"
        for answer in again:
            assert (answer.status_code, answer.text) == (status, second.text)
            assert sorted(answer.headers) == sorted(second.headers)
        codes = {line["code"] for line in site.lines()[-2:]}
        assert len(codes) == 1
        assert "" not in codes


def test_a_token_that_ends_is_good_on_no_way(site: Site, ways: Ways) -> None:
    for _ in range(2):
        assert site.enrol(request(), "brief").status_code == 200
        assert site.enrol(request(), "ended").status_code == 200
    ways.went()
    with v2gpki.open_authority(
        site.server.home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test"
    ) as ca:
        [token_id] = [one.id for one in access_of(ca).tokens() if one.id in site.secrets["ended"]]
        access_of(ca).revoke(token_id, caller="test")
    site.server.clock.moment += timedelta(seconds=59)
    assert site.enrol(request(), "brief").status_code == 200
    assert site.enrol(request(), "ended").status_code == 401
    site.server.clock.moment += timedelta(seconds=1)
    assert site.enrol(request(), "brief").status_code == 401
    assert site.enrol(request()).status_code == 200


def test_who_may_not_enrol_is_told_so_each_time(site: Site) -> None:
    for _ in range(3):
        assert site.enrol(request(), "weak").status_code == 403
        assert site.enrol(request(), "other").status_code == 403
        assert site.enrol(request(), "").status_code == 401


def test_a_user_that_is_another_is_refused(site: Site) -> None:
    for user, status in (("cpo-a", 200), ("cpo-a", 200), ("cpo-b", 401), ("cpo-b", 401)):
        shown = base64.b64encode(f"{user}:{site.secrets['good']}".encode()).decode()
        assert site.enrol(request(), "", authorization=f"Basic {shown}").status_code == status
    for _ in range(2):
        assert site.enrol(request(), x_api_key=site.secrets["other"]).status_code == 401


def test_other_operations_go_the_long_way(site: Site, ways: Ways) -> None:
    for operation in ("serverkeygen", "simplereenroll"):
        headers = {"authorization": f"Bearer {site.secrets['good']}", "content-type": "application/pkcs10"}
        for _ in range(2):
            site.client.post(f"/.well-known/est/cpo/{operation}", content=request(), headers=headers)
        assert ways.went() == 2


def test_bodies_have_the_same_limits(home: Path, prepared: tuple[Path, Mapping[str, str]]) -> None:
    with serving(home, with_settings(max_body=1024)) as server, Wire(server) as client:
        site = Site(server, client, prepared[1])
        for size in (1024, 1024, 1025, 1025):
            assert site.enrol(request().ljust(size, b"\n")).status_code == (200 if size == 1024 else 413)
    assert LARGEST_BODY > 1025


def test_behind_a_proxy_each_line_has_its_client(
    home: Path, prepared: tuple[Path, Mapping[str, str]], ways: Ways
) -> None:
    with serving(home, with_settings(proxies=("127.0.0.1",))) as server, Wire(server) as client:
        site = Site(server, client, prepared[1])
        for _ in range(3):
            assert site.enrol(request(), x_forwarded_for="192.0.2.7").status_code == 200
        assert ways.went() == 3
        assert {line["client"] for line in site.lines()} == {"192.0.2.7"}


def test_a_desk_that_is_full_says_so(site: Site, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert site.enrol(request()).status_code == 200
    ways.went()
    busy = V2GPKIError("est.busy", "full")

    def full(*_: object) -> None:
        raise busy

    monkeypatch.setattr(EnrolmentDesk, "ask", full)
    answer = site.enrol(request())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert ways.went() == 1


def test_a_client_certificate_is_looked_at_on_every_connection(tmp_path: Path, ways: Ways) -> None:
    """One head, by two connections: who shows another identity's certificate beside it is refused."""
    now = datetime.now(UTC).replace(microsecond=0)
    clock = v2gpki.FixedClock(now)
    folder, mine = tmp_path / "home", tmp_path / "mine.pem"
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True, clock=clock, caller="test") as ca:
        ca.initialise(ca.plan(["iso15118-2", "ocpp"]), org="Acme")
        issued = ca.issue("secc", id="DE*ICE*E7", edition="iso15118-2")
        assert issued.private_key is not None
        mine.write_bytes(pem(issued.chain) + pkcs8.plain(issued.private_key))
        access_of(ca).create("cpo-b", ["est"], certificate=issued.record.der, caller="test")
        secret = access_of(ca).create("cpo-a", ["est"], caller="test")[1]
        registrations_of(ca).register("cpo-a", "secc", identifiers=NAMES, caller="test")
        root = pem([ca.authority("ocpp-csms-root").der]).decode()
    plain, shown = ssl.create_default_context(cadata=root), ssl.create_default_context(cadata=root)
    shown.load_cert_chain(mine)
    with serving(folder, with_settings(listen=("127.0.0.1:0",), tls=True), clock=clock) as server:
        for context, statuses, long in ((plain, [200, 200, 200], 1), (shown, [401, 401], 2), (plain, [200], 0)):
            with Wire(server, context) as client:
                site = Site(server, client, {"good": secret})
                assert [site.enrol(request()).status_code for _ in statuses] == statuses
            assert ways.went() == long
