"""What a server meets in the open, against ``v2gpki serve`` as a process: refused, logged without secrets, and then
the service does what it did before. Statuses are those of RFC 9110, RFC 6960 and the descriptions."""

from __future__ import annotations

import base64
import json
import random
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import PASSPHRASE
from tests.e2e.site import EMAID, ENROL, NAME, Prepared, Site, prepare, site
from tests.servers.running import received
from tests.services.est.desk import csr, key
from v2gpki.servers.turned_away import EVERY

WEBHOOKS = "/v1/webhook/endpoints"
CCP = "/v1/ccp/signedContractData"
DER = {"content-type": "application/ocsp-request"}
PKCS10 = {"content-type": "application/pkcs10"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("abuse"))


@pytest.fixture(scope="module")
def running_site(prepared: Prepared) -> Iterator[Site]:
    with site(prepared) as started:
        # Tokens that were good before are good for an address that guesses, too.
        for name in prepared.secrets:
            with started.client(name) as client:
                assert client.get(WEBHOOKS).status_code in (200, 403)
        yield started


@pytest.fixture
def server(running_site: Site) -> Iterator[Site]:
    """The server; after each test it does what it should, and has said nothing that it should not."""
    yield running_site
    running_site.check_alive()


def issued(prepared: Prepared) -> int:
    with v2gpki.open_authority(prepared.home, passphrase=PASSPHRASE, caller="test") as ca:
        return ca.store.count_certificates(edition="iso15118-2", role="secc")


def answers(octets: bytes) -> list[int]:
    """The statuses of all answers in a stream."""
    found = []
    while octets:
        head, _, rest = octets.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        found.append(int(lines[0].split()[1]))
        length = [line for line in lines if line.lower().startswith(b"content-length:")]
        octets = rest[int(length[0].partition(b":")[2]) :]
    return found


# -- too much ------------------------------------------------------------------------------------
def test_an_ocsp_request_of_a_megabyte(server: Site) -> None:
    before = server.counted(r'v2gpki_http_requests_total\{part="ocsp",status="413"\}')
    with server.client() as client:
        for _ in range(3):
            answer = client.post("/ocsp", content=b"\x30" * 1_000_000, headers=DER)
            assert answer.status_code == 413
        answer = client.post("/ocsp", content=(b"\x30" * 10_000 for _ in range(100)), headers=DER)
        assert answer.status_code == 413
        assert server.counted(r'v2gpki_http_requests_total\{part="ocsp",status="413"\}') == before + 4
    told = server.logged(part="ocsp", status=413, code="serving.too_large")
    assert len(told) == server.counted(r'v2gpki_events_total\{event="too_large"\}') == before + 4


def test_ten_thousand_unknown_serials(server: Site) -> None:
    """Each is signed and said to be unknown, and nothing is kept of it."""
    draw = random.Random(1)
    head = b"POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
    before = server.counted(r'v2gpki_ocsp_responses_total\{status="unknown"\}')
    sizes = []
    with server.connect() as opened, opened.makefile("rb") as stream:
        for _ in range(10):
            for _ in range(1000):
                request = server.prepared.request(draw.getrandbits(157) | 1 << 157)
                opened.sendall(head % len(request) + request)
                status, length = stream.readline(), 0
                assert status == b"HTTP/1.1 200 OK\r\n"
                while line := stream.readline().rstrip():
                    name, _, value = line.partition(b": ")
                    length = int(value) if name == b"content-length" else length
                answer = ocsp.load_der_ocsp_response(stream.read(length))
                assert answer.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
            sizes.append(server.resident())
    assert server.counted(r'v2gpki_ocsp_responses_total\{status="unknown"\}') == before + 10_000
    # A thousand answers have more than 600 kB; 9000 kept ones would have more than 5 MB.
    assert sizes[-1] - sizes[0] < 3_000_000


def test_floods_of_headers(server: Site) -> None:
    floods = (
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"x-%d: a\r\n" % number for number in range(20_000)) + b"\r\n",
        b"GET /healthz HTTP/1.1\r\nx-long: " + b"a" * 500_000 + b"\r\n\r\n",
        b"GET /ocsp/" + b"A" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"x" * 500_000 + b"\r\n0\r\n0\r\n\r\n",
        b"POST /ocsp HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"x-trailer: a\r\n" * 40_000 + b"\r\n",
    )
    for flood in floods:
        with server.connect() as opened:
            with suppress(BrokenPipeError, ConnectionResetError):
                opened.sendall(flood)
            with suppress(OSError):
                opened.shutdown(socket.SHUT_WR)
            statuses = answers(received(opened))
            # What stands behind the body (extensions of chunks, trailers) is dropped, not kept.
            assert statuses in ([], [400]) or (b"chunked" in flood and statuses == [200]), flood[:60]


def test_a_hundred_thousand_requests_at_once_on_one_connection(server: Site) -> None:
    """Answered in turn, or ended when they are not read: the memory of the server does not grow by them."""
    before = server.resident()
    with server.connect() as opened, suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        opened.settimeout(5)
        opened.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 100_000)
    server.check_alive()
    assert server.resident() - before < 50_000_000


def test_connections_that_never_ask(server: Site) -> None:
    """A hundred that drip, a hundred that say nothing: others are served, and all of them are ended."""
    before = server.counted(r'v2gpki_events_total\{event="timed_out"\}')
    with ExitStack() as stack, server.client() as client:
        slow = [stack.enter_context(server.connect()) for _ in range(200)]
        for number, opened in enumerate(slow[:100]):
            opened.sendall(b"POST /ocsp HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\nx-%d: " % number)
        for _ in range(5):
            for opened in slow[:100]:
                with suppress(BrokenPipeError, ConnectionResetError):
                    opened.send(b"a")
            assert client.post("/ocsp", content=server.prepared.request(), headers=DER).status_code == 200
        for opened in slow:
            assert received(opened).startswith(b"HTTP/1.1 408 ")
    assert server.counted(r'v2gpki_events_total\{event="timed_out"\}') == before + 200
    check_summed(server, "timed_out", before + 200)


def check_summed(server: Site, event: str, count: float) -> None:
    """The log tells of all of them, from where they came, and not with a line for each."""
    ends = time.monotonic() + 30
    while True:
        told = server.logged(message="requests turned away", code=event)
        if sum(int(str(line["count"])) for line in told) == count:
            break
        assert time.monotonic() < ends, (told, count)
        server.counted("v2gpki_events_total")
    assert {line["client"] for line in told} == {"127.0.0.1"}
    assert {line["addresses"] for line in told} == {1}
    moments = [datetime.fromisoformat(str(line["time"])) for line in told]
    assert all(later - earlier > timedelta(seconds=EVERY - 1) for earlier, later in pairwise(moments))


def test_heads_that_are_none_stand_in_the_log(server: Site) -> None:
    """Fifty that are no HTTP, fifty that are too large: summed up, with nothing of what they said."""
    metric = r'v2gpki_events_total\{event="bad_head"\}'
    before = server.counted(metric)
    secret = server.prepared.secrets["operator"].encode()
    for number in range(100):
        long = b"x" * 70_000 if number % 2 else b"\0"
        with server.connect() as opened:
            with suppress(BrokenPipeError, ConnectionResetError):
                opened.sendall(b"GET / HTTP/1.1\r\nauthorization: Bearer " + secret + b"\r\nx: " + long)
            assert answers(received(opened)) in ([400], [])
    assert server.counted(metric) == before + 100
    check_summed(server, "bad_head", before + 100)


# -- not HTTP ------------------------------------------------------------------------------------
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 0\r\ncontent-length: %d",
        b"content-length: %d\r\ncontent-length: 0",
        b"content-length: 0, %d",
        b"content-length: +%d",
        b"content-length: -%d",
        b"content-length: 0x%d",
        b"content-length : %d",
        b"content-length:\r\n %d",
        b"content-length: 0\r\n\ttransfer-encoding: chunked\r\nx: %d",
        b"content-length: %d\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: %d",
        b"transfer-encoding: xchunked\r\nx: %d",
        b"transfer-encoding: chunked, identity\r\nx: %d",
        b"transfer-encoding: identity\r\ncontent-length: %d",
        b"transfer-encoding : chunked\r\ncontent-length: %d",
        b"transfer-encoding:\x0bchunked\r\ncontent-length: %d",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\nx: %d",
        b"x: a\ncontent-length: %d",
        b"x: a\rcontent-length: %d",
        b"x\0: a\r\ncontent-length: %d",
    ],
)
def test_shapes_of_smuggled_requests(server: Site, lines: bytes) -> None:
    """Whatever a proxy in front would read: what may be body is never answered as a request of its own."""
    whole = b"POST /ocsp HTTP/1.1\r\nhost: a\r\n" + lines % len(SMUGGLED) + b"\r\n\r\n" + SMUGGLED
    with server.connect() as opened:
        opened.sendall(whole)
        opened.shutdown(socket.SHUT_WR)
        found = answers(received(opened))
    assert found in ([], [400], [200], [400, 400]), found
    assert "/smuggled" not in server.log.read_text()


@pytest.mark.parametrize(
    "chunks",
    [
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"5\nhello\r\n",
        b"5\r\nhelloXX",
        b"+5\r\nhello\r\n",
    ],
)
def test_chunks_that_are_none(server: Site, chunks: bytes) -> None:
    with server.connect() as opened:
        opened.sendall(b"POST /ocsp HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + SMUGGLED)
        opened.shutdown(socket.SHUT_WR)
        assert answers(received(opened))[:1] in ([], [400])
    assert "/smuggled" not in server.log.read_text()


def hello(version: int = 0x0303) -> bytes:
    """The beginning of a ClientHello."""
    return b"\x16" + struct.pack(">HH", version, 0x00A5) + b"\x01\x00\x00\xa1" + struct.pack(">H", version) + bytes(20)


@pytest.mark.parametrize("tls", [False, True])
def test_garbage(server: Site, tls: bool) -> None:
    draw = random.Random(2)
    junk = [
        *(draw.randbytes(size) for size in (1, 5, 100, 5000, 70_000)),
        hello(),
        hello(0x0300),
        hello(0x7F7F),
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
        b"\x16\x03\x01\xff\xff" + bytes(65_535),
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x40\x00" + bytes(16_384),
        b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 1000,
        b"",
    ]
    for octets in junk:
        for abrupt in (False, True):
            with server.connect(tls=tls) as opened:
                with suppress(BrokenPipeError, ConnectionResetError):
                    opened.sendall(octets)
                if abrupt:
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    continue
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_WR)
                answer = received(opened)
                well = octets.startswith(b"GET /healthz") and not tls
                assert answer.startswith(b"HTTP/1.1 200 ") == well


def test_a_handshake_that_is_broken_off_at_any_octet(server: Site) -> None:
    context = ssl.create_default_context(cafile=str(server.prepared.root))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    whole = outgoing.read()
    assert len(whole) > 200
    for cut in range(0, len(whole), 7):
        with server.connect(tls=True) as opened:
            opened.sendall(whole[:cut])
            if cut % 2:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# -- not this way --------------------------------------------------------------------------------
def test_wrong_methods(server: Site) -> None:
    paths = {
        "/ocsp": "GET HEAD POST",
        server.prepared.crl: "GET HEAD",
        "/healthz": "GET HEAD",
        "/metrics": "GET HEAD",
        "/": "GET HEAD",
        "/oauth/token": "POST",
        ENROL: "POST",
        WEBHOOKS: "GET HEAD POST",
        "/v1/root/rootCerts": "GET HEAD PUT",
        CCP: "POST PUT",
    }
    methods = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY")
    with server.client("operator") as client:
        for path, allowed in paths.items():
            for method in methods:
                if method in allowed.split() or (method == "CONNECT"):
                    continue
                answer = client.request(method, path)
                assert answer.status_code in (404, 405, 501), (method, path, answer.status_code)
                if method != "TRACE":
                    assert answer.status_code == 405, (method, path)
    for line in (b"CONNECT example.org:443 HTTP/1.1", b"BREW /ocsp HTTP/1.1", b"get /healthz HTTP/1.1"):
        with server.connect() as opened:
            opened.sendall(line + b"\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert answers(received(opened))[0] in (400, 404, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/crl/../../../../etc/passwd",
        "/crl/..%2f..%2f..%2fetc%2fpasswd",
        "/crl/%2e%2e/%2e%2e/store.db",
        "/crl/..\\..\\store.db",
        "/crl/%00.crl",
        "/crl/a%0d%0aSet-Cookie:%20a=b.crl",
        "/ocsp/../../../../etc/passwd",
        "/ocsp/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "//etc/passwd",
        "/static/../store.db",
        "/page/..%2f..%2fstore.db",
        "/.well-known/est/../../store.db",
        "/v1/root/rootCerts/..%2f..%2f..%2fstore.db",
        "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
        "/keys/secret.json",
        "/store.db",
        "/v2gpki.toml",
        "/.git/config",
        "/crl/" + "../" * 3000,
    ],
)
def test_paths_to_elsewhere(server: Site, path: str) -> None:
    token = server.prepared.secrets["operator"].encode()
    for tls in (False, True):
        with server.secured() if tls else server.connect() as opened:
            line = b"GET " + path.encode() + b" HTTP/1.1\r\nhost: localhost\r\n"
            opened.sendall(line + b"authorization: Bearer " + token + b"\r\nconnection: close\r\n\r\n")
            answer = received(opened)
        status = answers(answer)[0]
        # Below /ocsp everything is a request in base64, and this is none.
        expected = (200,) if path.startswith("/ocsp/") else (400, 404)
        assert status in expected, (path, status)
        assert b"root:" not in answer
        assert b"SQLite" not in answer
        assert b"set-cookie" not in answer.lower()
        if status == 200:
            body = answer.partition(b"\r\n\r\n")[2]
            assert ocsp.load_der_ocsp_response(body).response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST


# -- not that caller -----------------------------------------------------------------------------
def forged(secret: str) -> list[str]:
    """Tokens that are nearly one, or look like one of others."""
    begin, token_id, tail = secret.split("_", 2)
    other = "A" if tail[-1] != "A" else "B"
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return [
        secret[:-1] + other,
        secret[:-1],
        secret + "A",
        secret.swapcase(),
        f"{begin}_{token_id}_",
        f"{begin}_{'0' * len(token_id)}_{tail}",
        f"{begin}_{token_id}_{'A' * len(tail)}",
        f"{unsigned}.{unsigned}.",
        "' OR 1=1 --",
        "null",
        "*",
        "A" * 30_000,
    ]


def refusals(server: Site) -> int:
    """How many refused credentials the log tells of: lines of requests, and sums of those without one."""
    lines = server.log_lines()
    single = [line for line in lines if line.get("path") in (ENROL, WEBHOOKS) and line["status"] in (401, 429)]
    summed = [line for line in lines if line.get("code") == "unlogged" and line.get("status") in ("401", "429")]
    return len(single) + sum(int(str(line["count"])) for line in summed)


def test_forged_tokens(server: Site) -> None:
    """Refused in every way of showing them, and nowhere in the log; the true one is good afterwards."""
    true = server.prepared.secrets["station"]
    request = csr(key(), NAME)
    before = issued(server.prepared)
    tried = [*forged(true), *forged(server.prepared.secrets["operator"])]
    refused = 0
    for token in tried:
        basic = base64.b64encode(f"station:{token}".encode()).decode()
        shown = [{"authorization": f"Bearer {token}"}, {"x-api-key": token}, {"authorization": f"Basic {basic}"}]
        for headers in shown:
            with server.client() as client:
                answer = client.post(ENROL, content=request, headers={**headers, **PKCS10})
                assert answer.status_code in (401, 429), (token[:9], answer.status_code, answer.text)
                answer = client.get(WEBHOOKS, headers=headers)
                assert answer.status_code in (401, 429), (token[:9], answer.status_code, answer.text)
                refused += 2
    assert issued(server.prepared) == before
    said = server.log.read_text()
    for token in tried:
        assert len(token) < 40 or token[-20:] not in said
    # Each has a line, or is counted in one that sums up.
    ends = time.monotonic() + 30
    while refusals(server) < refused:
        assert time.monotonic() < ends, (refusals(server), refused)
        server.counted("v2gpki_events_total")
    with server.client("station") as client:
        assert client.post(ENROL, content=request, headers=PKCS10).status_code == 200
        # Its own token is not good for what it has no scope for.
        assert client.get(WEBHOOKS).status_code == 403


def test_a_credential_behind_the_body_is_none(server: Site) -> None:
    """A trailer is no header: whoever strips headers in front of us does not look there."""
    request = csr(key(), NAME)
    secret = server.prepared.secrets["station"].encode()
    head = b"POST " + ENROL.encode() + b" HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/pkcs10\r\n"
    chunk = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(request), request)
    for trailer, expected in ((b"x-api-key: " + secret + b"\r\n", 401), (b"", 401)):
        with server.secured() as opened:
            opened.sendall(head + b"connection: close\r\n" + chunk + trailer + b"\r\n")
            assert answers(received(opened)) == [expected]


def test_two_credentials_are_none(server: Site) -> None:
    secrets = server.prepared.secrets
    request = csr(key(), NAME)
    for headers in (
        [("authorization", f"Bearer {secrets['station']}"), ("x-api-key", secrets["rival"])],
        [("authorization", f"Bearer {secrets['station']}"), ("authorization", f"Bearer {secrets['rival']}")],
    ):
        with server.client() as client:
            answer = client.post(ENROL, content=request, headers=[*headers, *PKCS10.items()])
            assert answer.status_code in (400, 401, 429)


def test_an_expired_client_certificate(server: Site) -> None:
    with server.client(certificate="good") as client:
        assert client.get("/healthz").status_code == 200
    with server.client(certificate="expired") as client, pytest.raises(httpx.TransportError):
        client.get("/healthz")
    ends = time.monotonic() + 30
    while not server.logged(message="handshake refused", reason="certificate has expired"):
        assert time.monotonic() < ends
        server.counted("v2gpki_events_total")


@pytest.mark.parametrize(
    "name",
    [
        "DE*8EO*E1",
        "DE*ICE*E1002",
        "DE*ICE*E10011",
        "DE*ICE*E100",
        "*",
        f"{NAME}/../DE*8EO*E1",
        f"{NAME}\u202e1",
        f"{NAME}\u200b",
        f"{NAME} ",
        "DE*ICE*E\uff11\uff10\uff10\uff11",
        "D\u0415*ICE*E1001",
        f"{NAME}\u0301",
        f"{NAME}\nCN=DE*8EO*E1",
    ],
    ids=ascii,
)
def test_a_request_for_somebody_elses_id(server: Site, name: str) -> None:
    before = issued(server.prepared)
    with server.client("station") as client:
        answer = client.post(ENROL, content=csr(key(), name), headers=PKCS10)
    assert answer.status_code in (400, 403), answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert issued(server.prepared) == before
    [line] = server.logged(request_id=answer.headers["x-request-id"])
    assert f"[{line['code']}]" in answer.text
    assert (line["message"], line["part"], line["status"]) == ("request", "est", answer.status_code)


def test_two_names_where_only_one_is_allowed(server: Site) -> None:
    before = issued(server.prepared)
    with server.client("station") as client:
        for names in ([NAME, "DE*8EO*E1"], ["DE*8EO*E1", NAME]):
            assert client.post(ENROL, content=csr(key(), names), headers=PKCS10).status_code in (400, 403)
    assert issued(server.prepared) == before


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"client_secret": "v2gpki_0123456789abcdef_" + "A" * 43}, 401, "access.refused"),
        ({"client_secret": ""}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "everything"}, 400, "access.bad_scope"),
    ],
)
def test_what_the_token_endpoint_refuses_is_named_in_the_log(
    server: Site, changed: dict[str, str], status: int, code: str
) -> None:
    given = {"grant_type": "client_credentials", "client_id": "station"}
    given |= {"client_secret": server.prepared.secrets["station"]} | changed
    with server.client() as client:
        answer = client.post("/oauth/token", data=given)
    assert answer.status_code == status, answer.text
    [line] = server.logged(request_id=answer.headers["x-request-id"])
    assert (line["status"], line["code"], line["part"]) == (status, code, "oauth")
    assert not given["client_secret"] or given["client_secret"][-20:] not in server.log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", ENROL, "access.refused"),
        ("GET", ENROL, "serving.wrong_method"),
        ("GET", WEBHOOKS, "ecosystem.unauthenticated"),
        ("GET", "/nowhere", "serving.no_such_path"),
        ("PUT", "/crl/a.crl", "serving.wrong_method"),
    ],
)
def test_who_shows_nothing_is_refused_with_a_code_in_the_log(server: Site, method: str, path: str, code: str) -> None:
    with server.client() as client:
        answer = client.request(method, path, content=csr(key(), NAME) if path == ENROL else b"")
    [line] = server.logged(request_id=answer.headers["x-request-id"])
    assert (line["status"], line["code"]) == (answer.status_code, code)
    assert 401 <= answer.status_code <= 405


# -- not that content ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook",
        "https://10.1.2.3/hook",
        "https://192.168.0.1/hook",
        "https://172.16.0.1/hook",
        "https://100.64.0.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/hook",
        "https://[::1]/hook",
        "https://[::]/hook",
        "https://[fd00::1]/hook",
        "https://[fe80::1]/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[64:ff9b::7f00:1]/hook",
        "https://localhost/hook",
        "https://localhost./hook",
        "https://printer.local./hook",
        "https://2130706433/hook",
        "https://0x7f000001/hook",
        "https://0177.0.0.1/hook",
        "https://127.1/hook",
        "https://\uff11\uff12\uff17.0.0.1/hook",
        "https://127.0.0.1\u3002/hook",
        "http://93.184.216.34/hook",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/",
        "https://93.184.216.34@127.0.0.1/hook",
        "https://127.0.0.1#@93.184.216.34/",
        "https://93.184.216.34:22\\@127.0.0.1/",
    ],
)
def test_a_webhook_to_a_private_address(server: Site, url: str) -> None:
    with server.client("operator") as client:
        event = "mo.contract.created.sent.to.oem"
        answer = client.post(WEBHOOKS, json={"url": url, "enabledEvents": [event], "description": "a"})
        assert answer.status_code == 400, answer.text
        [line] = server.logged(request_id=answer.headers["x-request-id"])
        assert (line["status"], line["caller"]) == (400, "operator")
        assert line["code"] in ("webhook.private_address", "webhook.bad_url")
        assert f"[{line['code']}]" in answer.text, answer.text
        assert client.get(WEBHOOKS).json() == []


def bodies() -> dict[str, bytes]:
    """JSON that is large, deep, doubled, odd, or none."""
    deep = 100_000
    return {
        "deep list": b"[" * deep + b"]" * deep,
        "deep object": b'{"a":' * deep + b"1" + b"}" * deep,
        "deep, unclosed": b'{"a":[' * deep,
        "deep value": b'{"url":' + b"[" * 900 + b"]" * 900 + b"}",
        "long list": b'{"enabledEvents":[' + b",".join([b'"mo.contract.created.sent.to.oem"'] * 30_000) + b"]}",
        "many names": b"{" + b",".join(b'"n%d":0' % number for number in range(50_000)) + b"}",
        "doubled name": b'{"url":"https://a.example/","url":"https://127.0.0.1/"}',
        "long number": b'{"url":' + b"9" * 500_000 + b"}",
        "huge exponent": b'{"url":1e999999}',
        "NaN": b'{"url":NaN}',
        "surrogate": b'{"url":"https://a.example/\\ud800","enabledEvents":["mo.contract.created.sent.to.oem"]}',
        "NUL": b'{"url":"https://a.example/\\u0000","enabledEvents":["mo.contract.created.sent.to.oem"]}',
        "no UTF-8": b'{"url":"\xff\xfe"}',
        "UTF-16": '{"url":"https://a.example/"}'.encode("utf-16"),
        "byte order mark": b'\xef\xbb\xbf{"url":1}',
        "null": b"null",
        "nothing": b"",
        "a list": b"[]",
        "a million octets": b'{"url":"' + b"a" * 1_000_000 + b'"}',
    }


@pytest.mark.parametrize("name", bodies())
@pytest.mark.parametrize(
    "target", [("POST", WEBHOOKS), ("POST", CCP), ("PUT", "/v1/root/rootCerts"), ("POST", "/oauth/token")]
)
def test_json_of_all_kinds(server: Site, target: tuple[str, str], name: str) -> None:
    headers = {"content-type": "application/json"}
    with server.client("operator") as client:
        answer = client.request(*target, content=bodies()[name], headers=headers)
        assert answer.status_code in (400, 401, 413, 415, 422), answer.text
        assert len(answer.content) < 4000
        assert client.get(WEBHOOKS).json() == []


def ids() -> list[str]:
    return [
        "\u202eDE8AA001234567",
        "DE8AA00123456\uff17",
        "D\u0415" + EMAID[2:],
        EMAID + "\u0301",
        EMAID + "\u200b",
        EMAID + "\0",
        EMAID + "%",
        EMAID.lower() + "\u0130",
        "\U0001f697" * 14,
        "' OR '1'='1",
        "../" + EMAID,
        "a" * 5000,
    ]


@pytest.mark.parametrize("text", ids(), ids=ascii)
def test_tricks_in_ids(server: Site, text: str) -> None:
    """In paths, in queries and in bodies: refused or not found, never taken for the contract that it looks like."""
    quoted = httpx.QueryParams({"a": text}).__str__().partition("=")[2].replace("+", "%20")
    with server.client("operator") as client:
        for path in (f"/v1/ccp/lookupContract/{quoted}", f"{CCP}/{quoted}", f"/v1/root/rootCerts/{quoted}"):
            answer = client.get(path)
            assert answer.status_code in (400, 404), (path, answer.status_code, answer.text)
        assert client.delete(f"{CCP}/{quoted}").status_code in (400, 404)
        assert client.get(f"/v1/ccp/lookupContract/{EMAID}").status_code == 200
        assert client.get("/", params={"q": text}).status_code in (200, 400, 404)
        answer = client.post(
            "/oauth/token", data={"grant_type": "client_credentials", "client_id": text, "client_secret": text}
        )
        assert answer.status_code in (400, 401, 429)
        answer = client.get("/healthz", headers=[(b"x-request-id", text.encode().replace(b"\0", b""))])
        assert answer.status_code == 200
        assert answer.headers["x-request-id"].isascii()


@pytest.mark.parametrize(
    "raw", [b"%ff%fe", b"%ed%a0%80", b"%c0%80", b"%u0041", b"%", b"%0", b"%zz", b"\xff\xfe", b"%E2%80%AE"]
)
def test_paths_that_are_no_utf_8(server: Site, raw: bytes) -> None:
    token = server.prepared.secrets["operator"].encode()
    for path in (b"/v1/ccp/lookupContract/", b"/crl/", b"/", b"/.well-known/est/", b"/ocsp/"):
        with server.secured() as opened:
            opened.sendall(
                b"GET " + path + raw + b" HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer " + token
                + b"\r\nconnection: close\r\n\r\n"
            )
            status = answers(received(opened))[0]
        # Below /ocsp everything but raw octets is a request in base64, answered malformedRequest.
        assert status in (400, 404) or (path == b"/ocsp/" and status == 200), (path, raw, status)


def test_every_line_of_the_log_is_json(server: Site) -> None:
    with server.client() as client:
        client.get("/a\r\nb".replace("\r", "%0d").replace("\n", "%0a"))
    lines = Path(server.log).read_text("ascii").splitlines()
    assert lines
    for line in lines:
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()
