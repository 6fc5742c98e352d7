"""The OCSP client against real servers on the loopback: ours, and ones that misbehave."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import v2gpki
from tests.conftest import PASSPHRASE
from tests.servers.http.serving import serving
from tests.services.ocsp.asking import read, request
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.ocsp import LARGEST_ANSWER, OcspClient
from v2gpki.errors import V2GPKIError
from v2gpki.ocpp.hash_data import hash_data
from v2gpki.wiring.ocsp import ocsp_responder

CA = v2gpki.CertificateAuthority
Reply = Callable[[http.server.BaseHTTPRequestHandler, bytes], tuple[int, str, bytes]]


@contextmanager
def answering(reply: Reply) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server that answers as told; gives its URL and what it was asked (method, path, body)."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.command, self.path, body))
            status, media_type, content = reply(self, body)
            self.send_response(status)
            if media_type:
                self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except OSError:  # the client has read enough
                return

        do_GET = do_POST = answer  # noqa: N815  # the library's names

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ocsp", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


OCSP = "application/ocsp-response"


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CA]:
    home = tmp_path_factory.mktemp("today") / "home"
    with v2gpki.open_authority(home, passphrase=PASSPHRASE, create=True) as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme")
        yield ca


@pytest.fixture(scope="module")
def url(today: CA) -> Iterator[str]:
    with serving(today.home, mode="live") as (address,):
        yield address


@pytest.fixture
def client() -> Iterator[OcspClient]:
    with OcspClient(timeout=5, pause=lambda _: None) as one:
        yield one


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("nonce", [True, False])
def test_asking_our_responder(
    today: CA, url: str, client: OcspClient, hash_name: str, method: str, nonce: bool
) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    result = client.query(
        secc.chain[0],
        secc.chain[1],
        at=today.clock.now(),
        url=url,
        hash_name=hash_name,
        nonce=nonce,
        method=method,  # type: ignore[arg-type]  # Literal
    )
    judged = result.judgement
    assert (judged.status, judged.trusted, judged.delegated) == ("good", True, True)
    assert judged.findings == ()
    assert judged.nonce == ("echoed" if nonce else "")
    assert (result.url, judged.hash_name) == (url, hash_name)


def test_a_revoked_certificate(today: CA, url: str, client: OcspClient) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    today.revoke(f"{secc.record.serial:x}", "keyCompromise")
    judged = client.query(secc.chain[0], secc.chain[1], at=today.clock.now(), url=url).judgement
    assert (judged.status, judged.trusted, judged.reason) == ("revoked", True, "keyCompromise")


def test_certificate_status_is_that_of_the_responder(today: CA, url: str, client: OcspClient) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    root = today.authority(secc.record.issuer_id).chain[-1]
    for data in hash_data(secc.chain, anchors=[root]):
        said = read(base64.b64decode(client.certificate_status({**data, "responderURL": url})))
        assert f"{said.serial_number:x}" == data["serialNumber"]


def test_get_as_rfc_5019_wants_it(today: CA, client: OcspClient) -> None:
    from v2gpki.services.ocsp.get_path import request_of_path

    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    responder = ocsp_responder(today)

    def reply(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> tuple[int, str, bytes]:
        question = body or request_of_path(handler.path.removeprefix("/ocsp/"))
        return 200, f"{OCSP}; charset=binary", responder.answer(question).der

    with answering(reply) as (address, asked):
        for hash_name in ("sha1", "sha512"):
            got = client.query(
                secc.chain[0],
                secc.chain[1],
                at=today.clock.now(),
                url=address + "/",
                hash_name=hash_name,
                nonce=False,
                method="GET",
            )
            assert got.judgement.status == "good"
    (first, second) = asked
    assert first[0] == "GET"
    assert not set("+=") & set(first[1])
    assert first[1].count("/") == 2
    assert first[2] == b""
    # A request whose path would be longer than 255 characters is posted.
    assert (second[0], second[2]) == ("POST", request(*secc.chain[:2], hash_name="sha512"))


def test_what_is_no_responder(today: CA, client: OcspClient) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2", options={"aia": "off"})
    leaf, issuer, now = secc.chain[0], secc.chain[1], today.clock.now()

    def code(**more: str) -> str:
        with pytest.raises(V2GPKIError) as caught:
            client.query(leaf, issuer, at=now, **more)  # type: ignore[arg-type]  # passed on
        return caught.value.code

    assert code() == "ocsp.no_responder"
    for bad in ("ftp://x/", "file:///etc/passwd", "x"):
        assert code(url=bad) == "ocsp.no_responder"
    assert code(url="http://127.0.0.1:1/") == "ocsp.unreachable"
    for reply, expected in (
        ((404, "text/html", b"no"), "ocsp.http_error"),
        ((200, "text/html", b"hello"), "ocsp.http_error"),
        ((200, "", b"hello"), "ocsp.http_error"),
        ((302, OCSP, b""), "ocsp.http_error"),
        ((200, OCSP, bytes(LARGEST_ANSWER + 1)), "ocsp.http_error"),
        ((200, OCSP, b"junk"), "ocsp.malformed"),
        ((503, "text/plain", b"later"), "ocsp.http_error"),
    ):
        with answering(lambda _handler, _body, reply=reply: reply) as (address, asked):
            assert code(url=address) == expected
            assert len(asked) == (3 if reply[0] == 503 else 1)


def test_a_server_that_recovers_is_asked_again(today: CA, client: OcspClient) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    responder = ocsp_responder(today)
    tries: list[int] = []

    def reply(_handler: object, body: bytes) -> tuple[int, str, bytes]:
        tries.append(1)
        return (200, OCSP, responder.answer(body).der) if len(tries) == 3 else (500, "text/plain", b"")

    with answering(reply) as (address, _):
        assert client.query(*secc.chain[:2], at=today.clock.now(), url=address).judgement.status == "good"
    assert len(tries) == 3


def test_the_answer_to_another_nonce_is_not_trusted(today: CA, client: OcspClient) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    old = ocsp_responder(today).answer(request(*secc.chain[:2], nonce=b"o" * 32)).der
    with answering(lambda _handler, _body: (200, OCSP, old)) as (address, _):
        judged = client.query(*secc.chain[:2], at=today.clock.now(), url=address).judgement
        assert (judged.status, judged.trusted, judged.nonce) == ("good", False, "wrong")


def test_a_slow_server_is_given_up(today: CA) -> None:
    secc = today.issue("secc", id="DE*ABC*E1", edition="iso15118-2")
    end = threading.Event()

    def reply(_handler: object, _body: bytes) -> tuple[int, str, bytes]:
        end.wait(10)
        return 200, OCSP, b""

    with answering(reply) as (address, _), OcspClient(timeout=0.1, retries=0) as client:
        with pytest.raises(V2GPKIError) as caught:
            client.query(*secc.chain[:2], at=today.clock.now(), url=address)
        end.set()
    assert caught.value.code == "ocsp.unreachable"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """By no client: who asks a responder and who asks any other service go by the same rule."""
    with answering(lambda _handler, _body: (200, OCSP, b"0")) as (proxy, through):
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.removesuffix("/ocsp"))
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with answering(lambda _handler, _body: (200, OCSP, b"0")) as (address, asked):
            with OcspClient(timeout=5, retries=0) as client, Exchange(timeout=5, retries=0) as exchange:
                client.ask(address, b"0")
                exchange.send("GET", address)
            assert [method for method, _, _ in asked] == ["POST", "GET"]
        assert through == []


def test_paths(tmp_path: Path) -> None:
    import random

    from v2gpki.services.ocsp.get_path import file_of_request, path_of_request, request_of_path

    draw = random.Random(1)
    for _ in range(300):
        octets = b"\x30" + draw.randbytes(draw.randint(1, 90))
        assert request_of_path(path_of_request(octets)) == octets
        file = tmp_path / file_of_request(octets)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(octets)
    for octets in (b"0\x00\x3f" + b"\xff" * 3,):
        assert file_of_request(octets).endswith("/index.ocsp")
