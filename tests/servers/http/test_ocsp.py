"""OCSP over HTTP: methods, bodies, paths, caching headers; a revocation reaches every process within a second."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import BIRTH, PASSPHRASE
from tests.servers.http.asgi import answered, exchange
from tests.servers.http.serving import serving
from tests.services.ocsp.asking import nonce_of, read, request, request_for_serial
from tests.services.ocsp.conftest import responder_of
from v2gpki.certs.ocsp_answer import FAILURES
from v2gpki.errors import V2GPKIError
from v2gpki.servers.http import exchange as http
from v2gpki.servers.http.ocsp import LARGEST_REQUEST, OcspApp
from v2gpki.servers.http.part import LATER
from v2gpki.services.issuance import Issued
from v2gpki.services.ocsp import OcspAnswer, OcspResponder
from v2gpki.store.sqlite import SqliteStore

CA = v2gpki.CertificateAuthority


@pytest.fixture
def secc(iso2: CA) -> Issued:
    return iso2.issue("secc", id="DE*ABC*E45B*78C", edition="iso15118-2")


@pytest.fixture
def app(iso2: CA) -> OcspApp:
    return OcspApp(responder_of(iso2, presigned=True), iso2.clock)


def asked(issued: Issued, **more: object) -> bytes:
    return request(issued.chain[0], issued.chain[1], **more)  # type: ignore[arg-type]  # passed on


def test_post(app: OcspApp, secc: Issued) -> None:
    found = answered(app, "POST", "/ocsp", body=[asked(secc)], headers={"Content-Type": "application/ocsp-request"})
    assert found.status == 200
    assert found.headers["content-type"] == "application/ocsp-response"
    assert found.headers["content-length"] == str(len(found.body))
    assert read(found.body).serial_number == secc.record.serial


@pytest.mark.parametrize("path", ["/ocsp", "/ocsp/", "/ocsp/anything"])
def test_a_body_in_pieces_of_any_media_type(app: OcspApp, secc: Issued, path: str) -> None:
    data = asked(secc)
    found = answered(app, "POST", path, body=[data[:1], data[1:50], b"", data[50:]])
    assert read(found.body).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_get_and_head(app: OcspApp, secc: Issued) -> None:
    path = "/ocsp/" + base64.b64encode(asked(secc)).decode().replace("/", "%2F")
    found = answered(app, "GET", path)
    assert read(found.body).certificate_status is ocsp.OCSPCertStatus.GOOD
    head = answered(app, "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers == found.headers
    assert read(answered(app, "GET", path.replace("/ocsp/", "/ocsp//")).body).serial_number == secc.record.serial


def test_caching_headers(iso2: CA, app: OcspApp, secc: Issued) -> None:
    """RFC 5019 7."""
    path = "/ocsp/" + base64.urlsafe_b64encode(asked(secc)).decode()
    found = answered(app, "GET", path)
    said = read(found.body)
    assert found.headers["etag"] == f'"{hashlib.sha256(found.body).hexdigest()}"'
    assert parsedate_to_datetime(found.headers["last-modified"]) == said.this_update_utc
    assert parsedate_to_datetime(found.headers["expires"]) == BIRTH + timedelta(hours=1)
    assert found.headers["cache-control"] == "max-age=3600, public, no-transform, must-revalidate"
    same = answered(app, "GET", path, headers={"If-None-Match": f'"x", W/{found.headers["etag"]}'})
    assert (same.status, same.body) == (304, b"")
    assert same.headers["etag"] == found.headers["etag"]
    assert "content-length" not in same.headers
    assert answered(app, "GET", path, headers={"If-None-Match": '"x"'}).status == 200
    # A conditional POST means nothing.
    post = answered(app, "POST", "/ocsp", body=[asked(secc)], headers={"If-None-Match": found.headers["etag"]})
    assert post.status == 200


def test_no_cache_keeps_an_answer_beyond_its_end(iso2: CA, secc: Issued) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    iso2.clock.moment = signer.not_after - timedelta(seconds=90)
    app = OcspApp(responder_of(iso2, issuing=False), iso2.clock)
    found = answered(app, "GET", "/ocsp/" + base64.urlsafe_b64encode(asked(secc)).decode())
    assert found.headers["cache-control"].startswith("max-age=90,")
    assert parsedate_to_datetime(found.headers["expires"]) == signer.not_after


def test_what_nobody_may_keep(app: OcspApp, secc: Issued) -> None:
    for data in (asked(secc, nonce=b"n" * 32), request_for_serial(0x55 << 152, secc.chain[1]), b"junk"):
        found = answered(app, "GET", "/ocsp/" + base64.urlsafe_b64encode(data).decode())
        assert found.status == 200
        assert found.headers["cache-control"] == "no-store"
        assert not {"etag", "expires", "last-modified"} & set(found.headers)
    # No cache keeps an answer to POST that does not say so.
    post = answered(app, "POST", "/ocsp", body=[asked(secc)])
    assert set(post.headers) == {"content-type", "content-length"}


def test_junk_is_answered_malformed(app: OcspApp) -> None:
    for found in (
        answered(app, "POST", "/ocsp", body=[b""]),
        answered(app, "POST", "/ocsp", body=[b"\x30\x82" + bytes(9000)]),
        answered(app, "GET", "/ocsp/nonsense"),
        answered(app, "GET", "/ocsp/%ff%fe"),
    ):
        assert (found.status, found.body) == (200, FAILURES["malformedRequest"])


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO"])
def test_other_methods(app: OcspApp, method: str) -> None:
    found = answered(app, method, "/ocsp")
    assert found.status == 405
    assert found.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/ocsp", "/ocsp/", "/ocsp//"])
def test_an_empty_get_is_told_what_this_is(app: OcspApp, path: str) -> None:
    found = answered(app, "GET", path)
    assert found.status == 400
    assert b"OCSP responder" in found.body


def test_bodies_that_are_too_long(app: OcspApp) -> None:
    most = answered(app, "POST", "/ocsp", body=[bytes(LARGEST_REQUEST)])
    assert most.status == 200
    declared = answered(app, "POST", "/ocsp", body=None, headers={"Content-Length": str(LARGEST_REQUEST + 1)})
    assert declared.status == 413
    for lie in ("1" * 30, "-5", "abc"):
        assert answered(app, "POST", "/ocsp", body=None, headers={"Content-Length": lie}).status == 413
    pieces = [bytes(1000)] * 40
    chunked = answered(app, "POST", "/ocsp", body=pieces)
    assert chunked.status == 413
    assert chunked.headers["connection"] == "close"
    assert answered(app, "GET", "/ocsp/" + "A" * 50_000).status == 414


def test_a_body_that_does_not_come(app: OcspApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATIENCE", 0.01)
    found = answered(app, "POST", "/ocsp", body=None)
    assert found.status == 408
    assert found.headers["connection"] == "close"


def test_a_client_that_goes_away(app: OcspApp) -> None:
    assert exchange(app, "POST", "/ocsp", body=[b"\x30"], gone=True) is None


def test_a_cancelled_exchange_stays_cancelled(app: OcspApp) -> None:
    async def run() -> None:
        async def receive() -> dict[str, object]:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def send(_message: object) -> None:
            raise AssertionError

        scope = {"type": "http", "method": "POST", "path": "/ocsp", "raw_path": b"/ocsp", "headers": []}
        task = asyncio.create_task(app(scope, receive, send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


class Elsewhere:
    """Answers as another process does, a moment later; "" is what the store says, else a code."""

    def __init__(self, responder: OcspResponder, code: str = "") -> None:
        self.responder = responder
        self.code = code
        self.asked = 0

    def ask(self, request: bytes, done: Callable[[OcspAnswer | V2GPKIError], None]) -> None:
        self.asked += 1
        given = V2GPKIError(self.code, "refused") if self.code else self.responder.answer(request, BIRTH)
        asyncio.get_running_loop().call_soon(done, given)


def test_answers_from_elsewhere_are_the_same(iso2: CA, secc: Issued) -> None:
    elsewhere = Elsewhere(responder_of(iso2))
    app = OcspApp(responder_of(iso2), iso2.clock, elsewhere=elsewhere)
    path = "/ocsp/" + base64.urlsafe_b64encode(asked(secc)).decode()
    for found in (
        answered(app, "POST", "/ocsp", body=[asked(secc)]),
        answered(app, "POST", "/ocsp", body=[asked(secc, nonce=b"n" * 20)]),
        answered(app, "GET", path),
    ):
        assert read(found.body).certificate_status is ocsp.OCSPCertStatus.GOOD
    assert elsewhere.asked == 3
    assert answered(app, "GET", "/ocsp/!!").body == FAILURES["malformedRequest"]


@pytest.mark.parametrize(
    ("code", "name"),
    [("signing.unavailable", "tryLater"), ("signing.outdated", "tryLater"), ("signing.refused", "internalError")],
)
def test_what_is_said_when_nobody_signs_elsewhere(iso2: CA, secc: Issued, code: str, name: str) -> None:
    told: list[str] = []
    app = OcspApp(
        responder_of(iso2), iso2.clock, elsewhere=Elsewhere(responder_of(iso2), code), observe=told.append
    )
    assert answered(app, "POST", "/ocsp", body=[asked(secc)]).body == FAILURES[name]

    async def prompt() -> bytes:
        came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def later(rest: bytes, status: int = 200) -> None:
            assert status == 200
            came.set_result(rest)

        assert app.prompt(asked(secc), later) is LATER
        return await came

    assert asyncio.run(prompt()).endswith(b"content-length: 5\r\n\r\n" + FAILURES[name])
    assert told == [name, name]


def test_the_store_is_looked_at_once_for_all_who_ask_at_the_same_time(
    iso2: CA, secc: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live answers: one look in each turn of the loop, and what was revoked before the turn is in its answers."""
    app = OcspApp(responder_of(iso2), iso2.clock)
    looks, look = [], iso2.store.revision

    def revision() -> int:
        looks.append(1)
        return look()

    def later(rest: bytes, status: int = 200) -> None:
        raise AssertionError("it is there at once")

    def status() -> ocsp.OCSPCertStatus:
        given = app.prompt(asked(secc), later)
        assert isinstance(given, bytes)
        return ocsp.load_der_ocsp_response(given.partition(b"\r\n\r\n")[2]).certificate_status

    async def turns() -> None:
        status()
        monkeypatch.setattr(iso2.store, "revision", revision)
        for count in (1, 2, 3):
            await asyncio.sleep(0)
            assert [status() for _ in range(20)] == [ocsp.OCSPCertStatus.GOOD] * 20
            assert len(looks) == count
        iso2.revoke(f"{secc.record.serial:x}")
        await asyncio.sleep(0)
        assert status() is ocsp.OCSPCertStatus.REVOKED

    asyncio.run(turns())


def test_what_is_signed_ahead_is_asked_for_nowhere(iso2: CA, secc: Issued) -> None:
    responder = responder_of(iso2, presigned=True)
    list(responder.fill(BIRTH))
    elsewhere = Elsewhere(responder)
    app = OcspApp(responder, iso2.clock, elsewhere=elsewhere)
    answered(app, "POST", "/ocsp", body=[asked(secc)])

    def later(rest: bytes, status: int = 200) -> None:
        raise AssertionError("it is there at once")

    assert isinstance(app.prompt(asked(secc), later), bytes)
    assert elsewhere.asked == 0


def test_what_the_metrics_are_told(iso2: CA, secc: Issued) -> None:
    told: list[str] = []
    app = OcspApp(responder_of(iso2), iso2.clock, observe=told.append)
    for data in (asked(secc), b"junk", request_for_serial(5, secc.chain[1])):
        answered(app, "POST", "/ocsp", body=[data])
    answered(app, "PUT", "/ocsp")
    assert told == ["good", "malformedRequest", "unknown"]


@pytest.mark.parametrize("presigned", [False, True])
def test_a_store_that_cannot_be_read_is_an_internal_error(iso2: CA, secc: Issued, presigned: bool) -> None:
    app = OcspApp(responder_of(iso2, presigned=presigned, poll=timedelta(0)), iso2.clock)
    assert answered(app, "POST", "/ocsp", body=[asked(secc)]).status == 200
    assert isinstance(iso2.store, SqliteStore)
    iso2.store.close()
    content = bytearray(iso2.store.path.read_bytes())
    content[:4096] = os.urandom(4096)
    for suffix in ("-wal", "-shm"):
        iso2.store.path.with_name(iso2.store.path.name + suffix).unlink(missing_ok=True)
    iso2.store.path.write_bytes(content)
    found = answered(app, "POST", "/ocsp", body=[asked(secc)])
    assert (found.status, found.body) == (200, FAILURES["internalError"])


def test_upkeep_fills_and_renews(iso2: CA, secc: Issued) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    (signer,) = iso2.store.held_certificates("ocsp", secc.record.issuer_id)
    iso2.clock.moment = signer.not_after - timedelta(days=5)
    app = OcspApp(responder_of(iso2, presigned=True), iso2.clock)
    # The leaf of 60 days has ended by then; each of the authorities gets a second signer.
    wanted = 2 * (iso2.store.count_certificates(state="valid") - 1 + len(iso2.store.authorities()))

    async def run() -> None:
        upkeep = asyncio.create_task(app.upkeep())
        while app.responder.kept < wanted:
            await asyncio.sleep(0)
        upkeep.cancel()

    asyncio.run(asyncio.wait_for(run(), 30))
    assert len(iso2.store.held_certificates("ocsp", secc.record.issuer_id)) == 2
    issuer = iso2.authority(secc.record.issuer_id)
    assert app.responder.ready(request(issuer.der, issuer.chain[0]), iso2.clock.now()) is not None
    assert app.responder.kept == wanted


# -- several processes --------------------------------------------------------------------------

@pytest.fixture
def home_of_today(tmp_path: Path) -> Path:
    home = tmp_path / "today"
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
    return home


def test_a_revocation_reaches_every_process_within_a_second(home_of_today: Path) -> None:
    with (
        serving(home_of_today, processes=2) as two_servers,
        v2gpki.open_authority(home_of_today, passphrase=PASSPHRASE) as ca,
        httpx.Client() as client,
    ):
        secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
        question = asked(secc)

        def status(url: str) -> ocsp.OCSPCertStatus:
            return read(client.post(url, content=question).content).certificate_status

        assert [status(url) for url in two_servers] == [ocsp.OCSPCertStatus.GOOD] * 2
        assert nonce_of(client.post(two_servers[0], content=asked(secc, nonce=b"n" * 32)).content) == b"n" * 32
        ca.revoke(f"{secc.record.serial:x}", "superseded")
        begin = time.monotonic()
        for url in two_servers:
            while status(url) is not ocsp.OCSPCertStatus.REVOKED:
                assert time.monotonic() - begin < 1
        assert time.monotonic() - begin < 1


def test_a_body_that_comes_after_its_headers(home_of_today: Path) -> None:
    """Over a real connection, octet by octet, and with Expect: 100-continue; the connection stays usable."""
    with serving(home_of_today) as (url,), v2gpki.open_authority(home_of_today, passphrase=PASSPHRASE) as ca:
        secc = ca.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
        data = asked(secc)
        port = int(url.split(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for expect in (b"", b"Expect: 100-continue\r\n"):
                head = b"POST /ocsp HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (expect, len(data))
                connection.sendall(head)
                if expect:
                    assert connection.recv(1000).startswith(b"HTTP/1.1 100")
                for octet in data:
                    connection.sendall(bytes((octet,)))
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200")
                length = int(answer.split(b"content-length: ")[1].split(b"\r\n")[0])
                body = answer.split(b"\r\n\r\n", 1)[1]
                while len(body) < length:
                    body += connection.recv(65536)
                assert read(body).serial_number == secc.record.serial
