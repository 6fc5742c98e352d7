"""A whole server through real sockets: health, metrics, limits, slow clients, logs, and its end."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.servers.running import QUICK, Server, received, running, serving, with_settings
from tests.services.est.desk import csr, key
from v2gpki.errors import V2GPKIError
from v2gpki.servers import listeners
from v2gpki.servers.http.application import Executor, build
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.tally import Tally
from v2gpki.servers.process import Conduct, Door, Process
from v2gpki.servers.protocol import Deadlines
from v2gpki.servers.turned_away import TurnedAway
from v2gpki.wiring.access import access_of, registrations_of


@pytest.fixture
def home(home_iso2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home_iso2, tmp_path / "served"))


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with serving(home) as started:
        yield started


def opened(home: Path) -> v2gpki.CertificateAuthority:
    return v2gpki.open_authority(home, passphrase=PASSPHRASE, clock=v2gpki.FixedClock(BIRTH), caller="test")


def metrics(client: httpx.Client) -> Mapping[tuple[str, ...], float]:
    """Sample name and label values -> value, read by Prometheus's own parser."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def ocsp_request(certificate: bytes, issuer: bytes) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        x509.load_der_x509_certificate(certificate), x509.load_der_x509_certificate(issuer), hashes.SHA256()
    )
    return builder.build().public_bytes(serialization.Encoding.DER)


# -- health --------------------------------------------------------------------------------------
def test_a_served_home_is_healthy_and_ready(server: Server) -> None:
    with server.client() as client:
        assert client.get("/healthz").json() == {"schema": "v2gpki/health/1", "status": "ok"}
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert ready.json()["checks"] == {"store": "ok", "keys": "ok"}
        assert client.head("/readyz").content == b""
        assert client.post("/healthz").status_code == 405


def test_a_locked_home_is_healthy_but_not_ready(home: Path) -> None:
    with serving(home, locked=True) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]) == (503, {"store": "ok", "keys": "home.locked"})
        assert metrics(client)["v2gpki_home_locked",] == 1
        # What needs no key is served: CRLs are not ready to be made, CA certificates are there.
        assert client.get("/cpo/cacerts/ISO15118-2").status_code == 200


def test_a_locked_home_that_serves_no_keys_is_ready(home: Path) -> None:
    with serving(home, with_settings(parts=("crl",)), locked=True) as server, server.client() as client:
        assert client.get("/readyz").status_code == 200


def test_a_store_that_is_gone_makes_it_unready(server: Server) -> None:
    store = server.home / "store.db"
    with server.client() as client:
        store.rename(store.with_name("elsewhere.db"))
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["store"]) == (503, "store.missing")
        shutil.copy(store.with_name("elsewhere.db"), store)
        assert client.get("/readyz").json()["checks"]["store"] == "store.missing"
        assert str(server.home) not in ready.text
        store.unlink()
        store.with_name("elsewhere.db").rename(store)
        assert client.get("/readyz").status_code == 200
        assert client.get("/healthz").status_code == 200


def test_no_part_works_with_a_store_that_was_exchanged(home: Path) -> None:
    """Neither with the one that is gone nor with the one that is there now: they are not of the same mind."""
    with opened(home) as ca:
        token = access_of(ca).create("cpo-a", ["est", "pools:cpo"], caller="test")[1]
        of_cpo, of_root = (ca.authority(name).der for name in ("iso2-cpo-sub-ca-1", "iso2-v2g-root"))
    settings = with_settings(parts=("ocsp", "crl", "est", "pools"))
    with serving(home, settings) as server, server.client() as client:
        store, aside = home / "store.db", home / "aside.db"
        bearer = {"authorization": f"Bearer {token}"}
        assert client.get("/v1/root/rootCerts", headers=bearer).status_code == 200
        shutil.copy(store, aside)
        aside.rename(store)
        server.clock.moment += timedelta(seconds=1)
        assert client.get("/v1/root/rootCerts", headers=bearer).status_code == 503
        assert client.get("/crl/iso2-v2g-root.crl").status_code == 503
        answer = client.post("/ocsp", content=ocsp_request(of_cpo, of_root))
        # RFC 6960 4.2.1: tryLater is 3.
        assert answer.content == bytes.fromhex("30030a0103")
        assert client.get("/readyz").json()["checks"]["store"] == "store.missing"


# -- metrics -------------------------------------------------------------------------------------
def test_metrics_say_what_the_store_says(server: Server) -> None:
    with opened(server.home) as ca, server.client() as client:
        before = metrics(client)
        issued = [ca.issue("secc", id=f"DE*ICE*E100{number}") for number in range(3)]
        ca.revoke(f"{issued[0].record.serial:x}", "superseded")
        now = server.clock.moment = BIRTH + timedelta(seconds=1)
        for one, count in ((issued[0], 1), (issued[1], 2)):
            request = ocsp_request(one.record.der, one.chain[1])
            for _ in range(count):
                answer = client.post("/ocsp", content=request, headers={"content-type": "application/ocsp-request"})
                assert answer.status_code == 200
        client.post("/ocsp", content=b"junk")
        client.get("/nothing")
        after = metrics(client)
        for edition, role in (("iso15118-2", "secc"), ("iso15118-2", "v2g-root"), ("iso15118-2", "ocsp")):
            counted = after["v2gpki_certificates_issued_total", edition, role]
            assert counted == ca.store.count_certificates(edition=edition, role=role)
        assert before.get(("v2gpki_certificates_issued_total", "iso15118-2", "secc"), 0) == 0
        assert after["v2gpki_certificates_revoked_total", "iso15118-2", "secc"] == 1
        assert {status: after["v2gpki_ocsp_responses_total", status] for status in ("good", "revoked", "unknown")} == {
            "good": 2,
            "revoked": 1,
            "unknown": 0,
        }
        assert after["v2gpki_ocsp_responses_total", "malformedRequest"] == 1
        assert after["v2gpki_http_requests_total", "ocsp", "200"] == 4
        assert after["v2gpki_http_requests_total", "other", "404"] == 1
        assert after["v2gpki_http_request_duration_seconds_count", "ocsp"] == 4
        assert 0 < after["v2gpki_http_request_duration_seconds_sum", "ocsp"] < 10
        assert after["v2gpki_http_request_duration_seconds_bucket", "+Inf", "ocsp"] == 4
        root = ca.authority("iso2-v2g-root")
        days = after["v2gpki_authority_expiry_days", root.id, "iso15118-2", "v2g-root"]
        assert days == (root.not_after - now).total_seconds() / 86400
        [signer, *_] = ca.store.held_certificates("ocsp", root.id)
        assert (
            after["v2gpki_ocsp_signer_expiry_days", root.id] == (signer.not_after - now).total_seconds() / 86400
        )
        crl = ca.store.latest_crl(root.id)
        assert crl is not None
        assert after["v2gpki_crl_next_update_days", root.id] == (crl.next_update - now).total_seconds() / 86400


# -- what is turned away -------------------------------------------------------------------------
def test_what_is_not_served(server: Server) -> None:
    with server.client() as client:
        for path in ("/nothing", "/ocspx", "/healthzz", "/crlx/a.crl", "/%2e%2e/etc/passwd"):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "serving.no_such_path"
        answer = client.put("/oauth/token")
        assert (answer.status_code, answer.json()["code"]) == (405, "serving.wrong_method")
        assert "POST" in answer.headers["allow"]
        for method in ("PUT", "DELETE", "PATCH"):
            assert client.request(method, "/ocsp").status_code == 405
            assert client.request(method, "/crl/iso2-v2g-root.crl").status_code == 405


def test_only_what_is_chosen_is_served(home: Path) -> None:
    with serving(home, with_settings(parts=("crl",))) as server, server.client() as client:
        assert client.post("/ocsp", content=b"x").status_code == 404
        assert client.post("/oauth/token").status_code == 404
        assert client.get("/cpo/cacerts/ISO15118-2").status_code == 404
    with pytest.raises(V2GPKIError, match=r"serving\.unknown_part"), serving(home, with_settings(parts=("oscp",))):
        pass


def test_bodies_that_are_too_large(home: Path) -> None:
    with serving(home, with_settings(max_body=2000)) as server, server.client() as client:
        answer = client.post("/oauth/token", content=b"x" * 2001)
        assert (answer.status_code, answer.json()["code"]) == (413, "serving.too_large")
        answer = client.post("/oauth/token", content=(b"x" * 500 for _ in range(5)))
        assert answer.status_code == 413
        with server.connect() as boaster:
            boaster.sendall(b"POST /oauth/token HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999\r\n\r\n")
            assert boaster.recv(4096).startswith(b"HTTP/1.1 413 ")
        # A megabyte for OCSP is read to its end, or the client would see a reset and no answer.
        answer = client.post("/ocsp", content=b"x" * 1_000_000)
        assert answer.status_code == 413
        assert client.get("/healthz").status_code == 200
        assert metrics(client)["v2gpki_events_total", "too_large"] >= 2


def test_an_address_that_calls_too_often_waits(home: Path) -> None:
    with serving(home, with_settings(rate=1, burst=3)) as server, server.client() as client:
        answers = [client.get("/nothing") for _ in range(12)]
        # Three at once, and one more for each second that the twelve calls took.
        assert [answer.status_code for answer in answers[:3]] == [404] * 3
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].json()["code"] == "serving.rate_limited"
        assert int(refused[0].headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        assert client.post("/ocsp", content=b"x").status_code in (200, 429)


def test_more_calls_than_may_wait_are_refused() -> None:
    async def scenario() -> tuple[int, str]:
        executor, go = Executor(1, waiting=1), threading.Event()
        calls = [asyncio.create_task(executor.call(go.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0)
        try:
            await executor.call(int)
        except V2GPKIError as refusal:
            code = refusal.code
        go.set()
        done = sum(await asyncio.gather(*calls))
        assert await executor.call(int, "7") == 7
        executor.close()
        return done, code

    assert asyncio.run(scenario()) == (2, "serving.busy")


# -- slow clients --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ",
        b"POST /oauth/token HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf",
        b"POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf",
        b"POST /ocsp HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a request", "half its chunks"],
)
def test_a_request_that_does_not_arrive_ends_the_connection(server: Server, sent: bytes) -> None:
    with server.connect() as slow, server.client() as client:
        slow.sendall(sent)
        assert client.get("/healthz").status_code == 200
        answer = received(slow)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert metrics(client)["v2gpki_events_total", "timed_out"] == 1


def test_a_drip_of_octets_is_no_request(server: Server) -> None:
    """Each octet comes in time, the request does not."""
    with server.connect() as slow:
        slow.settimeout(0.1)
        answer = b""
        for octet in b"GET /healthz HTTP/1.1\r\nx-drip: " + b"a" * 400:
            try:
                slow.send(bytes([octet]))
                answer = slow.recv(1000)
                break
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_half_of_a_second_request_ends_the_connection_too(server: Server) -> None:
    with server.connect() as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /hea")
        assert received(slow).startswith(b"HTTP/1.1 200 ")


def test_a_silent_connection_is_closed(server: Server) -> None:
    with server.connect() as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = received(idle)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1, "what was silent is closed without another answer"


def test_a_head_without_end_is_refused(server: Server) -> None:
    with server.connect() as greedy:
        greedy.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        try:
            for _ in range(2000):
                greedy.sendall(b"x-filler: " + b"a" * 990 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            answer = b"closed"
        assert answer or b" 400 " in received(greedy)
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


def test_no_http_is_refused(server: Server) -> None:
    hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"
    for junk in (hello, b"HELO\r\n\r\n", b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n"):
        with server.connect() as other:
            other.sendall(junk)
            assert received(other).startswith((b"HTTP/1.1 400 ", b""))
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


# -- running parts of our own --------------------------------------------------------------------
class Own:
    """A process that serves the routes of a test."""

    def __init__(self, *routes: Route, conduct: Conduct | None = None) -> None:
        listener, self.socket = listeners.bind(listeners.Listener("127.0.0.1", 0, False))
        self.url, self.address = listener.url, (listener.host, listener.port)
        self.tally, self.log = Tally(["own"]), io.StringIO()
        front = build([Part("own", "", (), routes=routes)], self.tally, limits=Limits(), own={})
        self.opened = threading.Event()
        conduct = conduct or Conduct(Deadlines(request=2, write=1), grace_seconds=10)
        self.lost = threading.Event()
        doors, turned = [Door(self.socket, front)], TurnedAway(lambda _event: self.lost.set())
        self.process = Process(doors, [], conduct, started=self.opened.set, turned=turned)

    def __enter__(self) -> Own:
        self._run = running(self.process.run, self.opened, self.process.stop, self.log)
        self._run.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        self._run.__exit__(None, None, None)
        self.socket.close()


def test_a_running_request_is_finished_and_no_new_one_begun() -> None:
    begun, go = threading.Event(), threading.Event()

    async def slow(request: Request) -> Response:
        begun.set()
        await asyncio.to_thread(go.wait, 20)
        return PlainTextResponse("finished")

    with Own(Route("/slow", slow)) as own:
        answers: list[bytes] = []

        def ask() -> None:
            with socket.create_connection(own.address, timeout=20) as connection:
                connection.sendall(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
                answers.append(received(connection))

        asking = threading.Thread(target=ask)
        with socket.create_connection(own.address, timeout=20) as idle:
            asking.start()
            assert begun.wait(20)
            own.process.stop()
            # The idle connection is closed, the door too, while the request still runs.
            assert received(idle) == b""
            with pytest.raises(OSError):
                socket.create_connection(own.address, timeout=5).close()
            assert answers == []
            go.set()
            asking.join(20)
        assert answers[0].startswith(b"HTTP/1.1 200 ")
        assert answers[0].endswith(b"finished")
        assert b"connection: close" in answers[0]


def test_a_client_that_sends_no_more_gets_what_it_asked() -> None:
    begun, go = threading.Event(), threading.Event()

    async def slow(request: Request) -> Response:
        begun.set()
        await asyncio.to_thread(go.wait, 20)
        return PlainTextResponse("finished")

    with Own(Route("/", slow)) as own, socket.create_connection(own.address, timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert begun.wait(20)
        go.set()
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"finished")


def test_a_request_that_outlives_its_grace_is_ended() -> None:
    begun = threading.Event()

    async def endless(request: Request) -> Response:
        begun.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    with (
        Own(Route("/", endless), conduct=Conduct(grace_seconds=1)) as own,
        socket.create_connection(own.address, timeout=20) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert begun.wait(20)
        own.process.stop()
        assert b"never" not in received(connection)


def test_who_is_told_twice_to_end_waits_for_nothing() -> None:
    begun = threading.Event()

    async def endless(request: Request) -> Response:
        begun.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    with (
        Own(Route("/", endless), conduct=Conduct(grace_seconds=3600)) as own,
        socket.create_connection(own.address, timeout=20) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert begun.wait(20)
        own.process.stop()
        own.process.stop()
        assert received(connection) == b""


def test_a_client_that_does_not_read_is_left() -> None:
    async def large(request: Request) -> Response:
        return Response(b"x" * 50_000_000)

    with Own(Route("/", large)) as own, socket.create_connection(own.address, timeout=20) as lazy:
        lazy.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        with httpx.Client(base_url=own.url) as client:
            assert client.get("/missing").status_code == 404
        # Only what the kernel took before it was cut off can arrive.
        assert own.lost.wait(20)
        assert len(received(lazy)) < 50_000_000


def test_a_bug_in_one_request_is_told_to_nobody_and_hurts_no_other() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("the secret is canary-5511")

    async def refusing(request: Request) -> Response:
        raise V2GPKIError("store.locked", "the store /srv/of/somebody is locked")

    with Own(Route("/broken", broken), Route("/locked", refusing)) as own, httpx.Client(base_url=own.url) as client:
        answer = client.get("/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal.bug")
        assert "canary" not in answer.text
        locked = client.get("/locked")
        assert (locked.status_code, locked.json()["code"]) == (503, "store.locked")
        assert "somebody" not in locked.text
        assert locked.headers["retry-after"] == "5"
        assert client.get("/missing").status_code == 404
        requests = {(part, status): count for part, status, count in own.tally.requests()}
        assert requests == {("own", "500"): 1, ("own", "503"): 1, ("other", "404"): 1}
        assert own.tally.events()["failed"] == 1
    lines = [json.loads(line) for line in own.log.getvalue().splitlines()]
    failed = [line for line in lines if line["message"] == "a request failed"]
    assert "ZeroDivisionError" in failed[0]["exception"]
    assert failed[0]["request_id"] == answer.headers["x-request-id"]


def test_the_oldest_idle_connection_goes_for_a_new_one() -> None:
    with Own(conduct=Conduct(max_connections=3)) as own:
        crowd = [socket.create_connection(own.address, timeout=20) for _ in range(4)]
        crowd[3].sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert received(crowd[3]).startswith(b"HTTP/1.1 404 ")
        assert received(crowd[0]) == b""
        for one in crowd[1:3]:
            one.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert received(one).startswith(b"HTTP/1.1 404 ")
        for one in crowd:
            one.close()


def test_who_is_at_work_is_not_dropped_and_probes_are_answered() -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    async def slow(request: Request) -> Response:
        begun.release()
        await asyncio.to_thread(go.wait, 20)
        return PlainTextResponse("finished")

    with Own(Route("/slow", slow), conduct=Conduct(max_connections=2)) as own:
        at_work = [socket.create_connection(own.address, timeout=20) for _ in range(2)]
        for one in at_work:
            one.sendall(b"GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert begun.acquire(timeout=20)
        for path, status in (("/", b"503"), ("/healthz", b"404")):
            with socket.create_connection(own.address, timeout=20) as late:
                late.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
                assert received(late).split()[1] == status
        go.set()
        for one in at_work:
            assert received(one).endswith(b"finished")
            one.close()


def test_one_address_has_only_so_many_connections() -> None:
    """The others of the same address are untouched as long as the oldest one waits."""
    with Own(conduct=Conduct(max_address_connections=2)) as own:
        crowd = [socket.create_connection(own.address, timeout=20) for _ in range(3)]
        assert received(crowd[0]) == b""
        for one in crowd[1:]:
            one.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert received(one).startswith(b"HTTP/1.1 404 ")
        for one in crowd:
            one.close()


# -- logs ----------------------------------------------------------------------------------------
def test_no_secret_is_logged(home: Path) -> None:
    with opened(home) as ca:
        token, secret = access_of(ca).create("cpo-a", ["est"], caller="test")
        registrations_of(ca).register("cpo-a", "secc", identifiers=["DE*ICE*E1001"], caller="test")
        _, revoked = access_of(ca).create("cpo-b", ["est"], caller="test")
        access_of(ca).revoke(revoked.split("_")[1], caller="test")
    request = csr(key(), "DE*ICE*E1001")
    canary = "canary-90ab7711"
    with serving(home) as server, server.client() as client:
        path = "/.well-known/est/cpo/simpleenroll"
        kind = {"content-type": "application/pkcs10"}
        answers = [
            client.post(path, content=request, headers=kind | {"authorization": f"Bearer {secret}"}),
            client.post(path, content=request, headers=kind, auth=("cpo-a", secret)),
            client.post(path, content=request, headers=kind | {"x-api-key": secret}),
            client.post(path, content=request, headers=kind, auth=("cpo-a", canary)),
            client.post(path, content=request, headers=kind | {"authorization": f"Bearer {revoked}"}),
            client.post(path, content=request, headers=kind | {"authorization": f"Digest {canary}"}),
            client.post(f"{path}?token={canary}", content=canary.encode(), headers=kind | {"x-request-id": "a b" * 4}),
            client.get(f"/x?{canary}", headers={"cookie": canary, "x-request-id": "given-by-a-proxy"}),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 401, 401, 401, 401, 404]
        form = {"grant_type": "client_credentials", "client_id": "cpo-a", "client_secret": secret}
        exchanged = client.post("/oauth/token", data=form).json()["access_token"]
        client.post("/oauth/token", data=form | {"client_secret": canary})
    log = server.log.getvalue()
    for shown in (secret, secret.split("_", 2)[2], revoked.split("_", 2)[2], canary, exchanged.split("_", 2)[2]):
        assert shown not in log
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line["message"] == "request"]
    assert [line["status"] for line in requests[:8]] == [200, 200, 200, 401, 401, 401, 401, 404]
    assert [line["caller"] for line in requests[:4]] == ["cpo-a", "cpo-a", "cpo-a", ""]
    assert [line["part"] for line in requests[6:9]] == ["est", "other", "oauth"]
    assert requests[7]["request_id"] == "given-by-a-proxy" == answers[7].headers["x-request-id"]
    assert requests[6]["request_id"] != "a b" * 4
    refused = [line for line in lines if line["message"] == "credential refused"]
    assert [line["code"] for line in refused] == ["access.refused", "access.revoked", "access.refused"]
    assert refused[1]["token"] == revoked.split("_")[1]
    assert token.id in secret
    # Who asked stands in the audit log too.
    with opened(home) as ca:
        assert ca.find_certificate("DE*ICE*E1001").caller == "cpo-a"


def test_a_log_of_errors_alone_tells_who_was_refused(home: Path) -> None:
    paths = ("/cpo/cacerts/ISO15118-2", "/nowhere", "/v1/root/rootCerts")
    with serving(home, with_settings(log="errors")) as server, server.client() as client:
        statuses = [client.get(path).status_code for path in paths]
    assert statuses == [200, 404, 401]
    lines = [json.loads(line) for line in server.log.getvalue().splitlines()]
    assert [(line["status"], line["path"]) for line in lines if line["message"] == "request"] == [
        (401, "/v1/root/rootCerts")
    ]


def test_a_line_break_in_a_path_makes_no_line(server: Server) -> None:
    with server.client() as client:
        client.get("/a%0Ab%0D%1b[31m")
    assert all(json.loads(line) for line in server.log.getvalue().splitlines())


def test_every_plain_address_that_takes_credentials_is_warned_of(home: Path) -> None:
    plain = ("0.0.0.0:0", "127.0.0.1:0", "0.0.0.0:0")
    with serving(home, with_settings(listen=plain, parts=("est",))) as server:
        assert [warning.count("0.0.0.0") for warning in server.warnings] == [1, 1]
    with serving(home, with_settings(listen=plain, parts=("ocsp", "crl"))) as server:
        assert server.warnings == []


@pytest.mark.parametrize(("wanted", "found"), [("local", [200, 404]), ("everywhere", [200, 200]), ("off", [404, 404])])
def test_metrics_are_where_they_are_wanted(home: Path, wanted: str, found: list[int]) -> None:
    both = ("127.0.0.1:0", "0.0.0.0:0")
    with serving(home, with_settings(listen=both, parts=("crl",), metrics=wanted)) as server:
        ports = [url.rpartition(":")[2] for url in server.urls]
        assert [httpx.get(f"http://127.0.0.1:{port}/metrics").status_code for port in ports] == found
        assert [httpx.get(f"http://127.0.0.1:{port}/healthz").status_code for port in ports] == [200, 200]


def test_a_plain_address_for_others_is_warned_of(home: Path) -> None:
    with serving(home, with_settings(listen=("0.0.0.0:0",))) as server:
        assert len(server.warnings) == 1
    with serving(home, QUICK) as server:
        assert server.warnings == []


def test_an_address_that_is_taken(home: Path) -> None:
    with serving(home) as server:
        taken = with_settings(listen=(server.url.partition("://")[2],))
        with pytest.raises(V2GPKIError, match=r"serving\.address_taken"), serving(home, taken):
            pass
