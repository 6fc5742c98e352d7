"""The EST client against our server, and against answers as others write them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, pkcs7
from starlette.applications import Starlette

from tests.servers.http.bridge import AsgiBridge
from tests.servers.http.test_est import resolver
from tests.services.est.desk import csr, key, service_of
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.clients.est import EstClient
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.tokens import ClientCredentials, FixedToken
from v2gpki.servers.http.est import est_routes
from v2gpki.services.est import SHAPES, LabelOptions

URL = "https://localhost"


def no_pause(_seconds: float) -> None:
    pass


@pytest.fixture
def network(everything: CertificateAuthority) -> Iterator[AsgiBridge]:
    options = {"mo": LabelOptions(wrap=64, attributes=False)}
    bridge = AsgiBridge(Starlette(routes=est_routes(service_of(everything, options=options), resolver)))
    yield bridge
    bridge.close()


@pytest.mark.parametrize("shape", [*SHAPES, "rfc7030-label"])
def test_every_shape_of_url_is_spoken(network: AsgiBridge, everything: CertificateAuthority, shape: str) -> None:
    exchange = Exchange(user="cpo-a", password="secret", transport=network)
    client = EstClient(URL, exchange, label="cpo", edition="ISO15118-2", shape=shape)
    issuer = everything.authority("iso2-cpo-sub-ca-2")
    assert client.cacerts() == (issuer.der, *issuer.chain)
    private_key = key()
    got = client.enrol(csr(private_key))
    assert x509.load_der_x509_certificate(got.certificate).public_key() == private_key.public_key()
    assert got.others == ()


def test_edition_and_family_are_sent_where_there_is_a_place(
    network: AsgiBridge, everything: CertificateAuthority
) -> None:
    exchange = Exchange(user="cpo-a", password="secret", transport=network)
    client = EstClient(URL, exchange, label="cpo", edition="ISO15118-20", family="ed448", shape="opcp")
    assert client.cacerts()[0] == everything.authority("iso20-ed448-cpo-sub-ca-2").der
    assert client.enrol(csr(key("ed448"))).certificate


def test_attributes_keys_and_wrapped_answers(network: AsgiBridge) -> None:
    exchange = Exchange(user="cpo-a", password="secret", transport=network)
    client = EstClient(URL, exchange, label="cpo")
    told = client.csrattrs()
    assert told is not None
    assert told[:1] == b"\x30"
    made = client.serverkeygen(csr(key()))
    certificate = x509.load_der_x509_certificate(made.certificate)
    assert load_der_private_key(made.private_key, None).public_key() == certificate.public_key()
    assert made.private_key.hex() not in repr(made)
    wrapped = EstClient(URL, exchange, label="mo")
    assert wrapped.csrattrs() is None
    assert len(wrapped.cacerts()) == 3


def test_a_refusal_carries_what_the_server_said(network: AsgiBridge) -> None:
    client = EstClient(URL, Exchange(user="cpo-a", password="secret", transport=network), label="mo")
    with pytest.raises(V2GPKIError) as refusal:
        client.enrol(csr(key(), "DEABCC12345678"))
    assert (refusal.value.code, refusal.value.facts["status"]) == ("client.refused", 403)
    assert "est.not_registered" in refusal.value.message
    nobody = EstClient(URL, Exchange(transport=network), label="cpo")
    with pytest.raises(V2GPKIError) as refusal:
        nobody.enrol(csr(key()))
    assert refusal.value.code == "client.unauthorised"


def test_a_bad_request_is_found_before_it_is_sent() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise AssertionError("sent")

    client = EstClient(URL, Exchange(transport=httpx.MockTransport(unreachable)))
    with pytest.raises(V2GPKIError) as refusal:
        client.enrol(b"no request")
    assert refusal.value.code == "csr.malformed"


# -- answers of others: httpx's own stand-in for a server plays them -----------------------------------


Answers = Callable[[httpx.Request], httpx.Response]


def client_of(answers: Answers, **options: object) -> EstClient:
    exchange = Exchange(transport=httpx.MockTransport(answers), pause=no_pause, **options)  # type: ignore[arg-type]
    return EstClient(URL, exchange, label="cpo")


def one_after_another(*answers: httpx.Response | Exception) -> tuple[Answers, list[httpx.Request]]:
    left, seen = list(answers), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        following = left.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    return answer, seen


@pytest.fixture
def chain(iso2: CertificateAuthority) -> tuple[bytes, list[bytes]]:
    """(request, chain of its certificate)."""
    request = csr(key())
    issued = iso2.issue("secc", id="DE*ICE*E1", edition="iso15118-2", csr=request)
    return request, list(issued.chain)


def written(ders: list[bytes], encoding: Encoding = Encoding.DER) -> bytes:
    return pkcs7.serialize_certificates([x509.load_der_x509_certificate(der) for der in ders], encoding)


@pytest.mark.parametrize("form", ["one line", "lines", "DER", "PEM"])
def test_answers_of_other_servers_are_read(chain: tuple[bytes, list[bytes]], form: str) -> None:
    request, ders = chain
    body = {
        "one line": base64.b64encode(written(ders)),
        "lines": base64.encodebytes(written(ders)),
        "DER": written(ders),
        "PEM": written(ders, Encoding.PEM),
    }[form]
    answer, seen = one_after_another(httpx.Response(200, content=body))
    got = client_of(answer).enrol(request)
    assert got.certificate == ders[0]
    assert set(got.others) == set(ders[1:])
    assert base64.b64decode(seen[0].content) == request
    assert seen[0].headers["content-type"] == "application/pkcs10"


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "cms.malformed"), (b"<html>", "cms.malformed"), (b"MAMCAQE=", "cms.malformed")],
)
def test_what_is_no_answer(chain: tuple[bytes, list[bytes]], body: bytes, code: str) -> None:
    answer, _ = one_after_another(httpx.Response(200, content=body))
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answer).enrol(chain[0])
    assert refusal.value.code == code


def test_a_certificate_for_another_key_is_refused(chain: tuple[bytes, list[bytes]]) -> None:
    answer, _ = one_after_another(httpx.Response(200, content=written(chain[1])))
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answer).enrol(csr(key()))
    assert refusal.value.code == "client.bad_answer"


def test_pending_is_waited_for_and_then_told(chain: tuple[bytes, list[bytes]]) -> None:
    waits: list[float] = []
    answer, seen = one_after_another(
        httpx.Response(202, headers={"Retry-After": "7"}),
        httpx.Response(429, headers={"Retry-After": "9"}),
        httpx.Response(200, content=written(chain[1])),
    )
    exchange = Exchange(transport=httpx.MockTransport(answer), pause=waits.append)
    assert EstClient(URL, exchange).enrol(chain[0]).certificate == chain[1][0]
    assert (waits, len(seen)) == ([7, 9], 3)
    answer, _ = one_after_another(httpx.Response(202, headers={"Retry-After": "3600"}))
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answer).enrol(chain[0])
    assert (refusal.value.code, refusal.value.facts["retry_after"]) == ("client.pending", 3600)


@pytest.mark.parametrize(("status", "method"), [(202, "POST"), (429, "POST"), (503, "GET"), (202, "GET")])
def test_a_server_that_says_at_once_for_ever_is_left(status: int, method: str) -> None:
    """Retry-After: 0 is no leave to ask a thousand times a second."""
    waits: list[float] = []
    seen = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal seen
        seen += 1
        assert seen < 100
        return httpx.Response(status, headers={"Retry-After": "0"})

    exchange = Exchange(transport=httpx.MockTransport(answer), pause=waits.append)
    with pytest.raises(V2GPKIError) as refusal:
        exchange.send(method, URL)
    assert refusal.value.code == "client.pending"
    assert (waits, seen) == ([0.2] * 10, 11)


def test_what_must_not_be_repeated_is_not_repeated_after_a_503() -> None:
    answer, seen = one_after_another(httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(200))
    waits: list[float] = []
    with pytest.raises(V2GPKIError) as refusal:
        Exchange(transport=httpx.MockTransport(answer), pause=waits.append).send("POST", URL)
    assert (refusal.value.code, len(seen), waits) == ("client.pending", 1, [])
    answer, seen = one_after_another(httpx.Response(503, headers={"Retry-After": "3"}), httpx.Response(200))
    exchange = Exchange(transport=httpx.MockTransport(answer), pause=waits.append)
    assert exchange.send("POST", URL, repeatable=True).status_code == 200
    assert waits == [3]


@pytest.mark.parametrize(
    "given", [{"user": "a", "password": "b"}, {"tokens": FixedToken("a")}, {"headers": {"X-Api-Key": "a"}}]
)
def test_credentials_go_over_http_to_this_machine_alone(given: dict[str, object]) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200)

    def asked(url: str, **more: object) -> None:
        settings = {"transport": httpx.MockTransport(answer), **given, **more}
        with Exchange(**settings) as exchange:  # type: ignore[arg-type]  # as parametrised
            exchange.send("GET", url)

    for url in ("http://ca.example/", "http://192.0.2.1/", "http://127.0.0.1.example/"):
        with pytest.raises(V2GPKIError) as refusal:
            asked(url)
        assert refusal.value.code == "client.plain_credentials"
    assert seen == []
    allowed = ["https://ca.example/", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/"]
    for url in allowed:
        asked(url)
    asked("http://ca.example/", plain_credentials=True)
    assert seen == [*allowed, "http://ca.example/"]


def test_a_client_secret_goes_over_http_to_this_machine_alone() -> None:
    exchange = Exchange(transport=httpx.MockTransport(lambda request: httpx.Response(500)))
    with pytest.raises(V2GPKIError) as refusal:
        ClientCredentials("http://ca.example/oauth/token", "id", "secret", exchange=exchange).token()
    assert refusal.value.code == "client.plain_credentials"


def test_what_is_tried_again(chain: tuple[bytes, list[bytes]]) -> None:
    good = httpx.Response(200, content=written(chain[1]))
    answer, seen = one_after_another(httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), good)
    assert client_of(answer).enrol(chain[0]).certificate == chain[1][0]
    assert len(seen) == 3
    answer, seen = one_after_another(httpx.Response(502), httpx.ReadTimeout("slow"), good)
    assert client_of(answer).cacerts()
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("answer", "code"), [(httpx.ReadTimeout("slow"), "client.timeout"), (httpx.Response(500), "client.refused")]
)
def test_an_enrolment_that_may_have_happened_is_not_repeated(
    chain: tuple[bytes, list[bytes]], answer: httpx.Response | Exception, code: str
) -> None:
    answers, seen = one_after_another(answer)
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answers).enrol(chain[0])
    assert (refusal.value.code, len(seen)) == (code, 1)


def test_attempts_come_to_an_end() -> None:
    answers, seen = one_after_another(*[httpx.ConnectError("refused")] * 5)
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answers, retries=2).cacerts()
    assert (refusal.value.code, len(seen)) == ("client.unreachable", 3)


def test_redirects_stay_within_the_origin(chain: tuple[bytes, list[bytes]]) -> None:
    there = httpx.Response(307, headers={"Location": "/elsewhere"})
    answers, seen = one_after_another(there, httpx.Response(200, content=written(chain[1])))
    assert client_of(answers, user="u", password="p").enrol(chain[0]).certificate == chain[1][0]
    assert (seen[1].url.path, seen[1].method, seen[1].content) == ("/elsewhere", "POST", seen[0].content)
    for location in ("https://other.example.org/", "http://localhost/", "https://localhost:444/"):
        answers, seen = one_after_another(httpx.Response(302, headers={"Location": location}))
        with pytest.raises(V2GPKIError) as refusal:
            client_of(answers, user="u", password="p").cacerts()
        assert (refusal.value.code, len(seen)) == ("client.redirected", 1)
    answers, _ = one_after_another(*[httpx.Response(302, headers={"Location": "/"})] * 9)
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answers).cacerts()
    assert refusal.value.code == "client.redirected"


def test_an_endless_answer_is_cut_off() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(65536)

    answers, _ = one_after_another(httpx.Response(200, content=endless()))
    with pytest.raises(V2GPKIError) as refusal:
        client_of(answers).cacerts()
    assert refusal.value.code == "client.too_large"


# -- tokens -------------------------------------------------------------------------------------------


class Provider:
    """A token end-point and a service that knows which token is good."""

    def __init__(self, form: bool) -> None:
        self.given = 0
        self.good = "token-1"
        self.form = form
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.given += 1
            self.asked.append(request)
            return httpx.Response(200, json={"access_token": f"token-{self.given}", "expires_in": 100})
        if request.headers.get("authorization") != f"Bearer {self.good}":
            return httpx.Response(401)
        return httpx.Response(204)


@pytest.mark.parametrize("form", [True, False])
def test_tokens_are_kept_renewed_before_their_end_and_after_a_refusal(form: bool) -> None:
    provider, now = Provider(form), [1000.0]
    tokens = ClientCredentials(
        f"{URL}/oauth/token",
        "client",
        "se&cret",
        audience="aud",
        form=form,
        exchange=Exchange(transport=httpx.MockTransport(provider)),
        clock=lambda: now[0],
    )
    client = client_of(provider, tokens=tokens)
    for _ in range(3):
        assert client.csrattrs() is None
    assert provider.given == 1
    now[0] += 69
    client.csrattrs()
    assert provider.given == 1
    # 100 seconds are given, the last 30 are not used.
    now[0] += 1
    provider.good = "token-2"
    client.csrattrs()
    assert provider.given == 2
    provider.good = "token-3"
    assert client.csrattrs() is None
    assert provider.given == 3
    provider.good = "none"
    with pytest.raises(V2GPKIError) as refusal:
        client.csrattrs()
    assert (refusal.value.code, provider.given) == ("client.unauthorised", 4)
    request = provider.asked[0]
    fields = dict(httpx.QueryParams(request.content.decode())) if form else json.loads(request.content)
    assert fields == {
        "grant_type": "client_credentials",
        "client_id": "client",
        "client_secret": "se&cret",
        "audience": "aud",
    }
    assert "se&cret" not in repr(tokens)


def test_a_fixed_token_is_not_asked_for_again() -> None:
    provider = Provider(True)
    provider.good = "given"
    assert client_of(provider, tokens=FixedToken("given")).csrattrs() is None
    with pytest.raises(V2GPKIError) as refusal:
        client_of(provider, tokens=FixedToken("other")).csrattrs()
    assert refusal.value.code == "client.unauthorised"
    assert "other" not in str(refusal.value)
    assert "given" not in repr(FixedToken("given"))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"access_token": 1}', b'{"token_type": "x"}'])
def test_an_answer_without_a_token(body: bytes) -> None:
    answers, _ = one_after_another(httpx.Response(200, content=body))
    tokens = ClientCredentials(
        f"{URL}/t", "client", "secret", exchange=Exchange(transport=httpx.MockTransport(answers))
    )
    with pytest.raises(V2GPKIError) as refusal:
        tokens.token()
    assert refusal.value.code == "client.bad_answer"


def test_credentials_stand_in_no_error() -> None:
    answers, _ = one_after_another(*[httpx.ConnectError("refused")] * 3)
    client = EstClient(
        "https://user:hidden@localhost",
        Exchange(transport=httpx.MockTransport(answers), pause=no_pause, user="cpo-a", password="also hidden"),
    )
    with pytest.raises(V2GPKIError) as refusal:
        client.cacerts()
    assert "hidden" not in str(refusal.value)
    assert "hidden" not in str(refusal.value.facts)
