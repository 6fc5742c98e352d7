"""EST over HTTP: URL shapes, bodies, headers, answers and refusals, as clients of the field send and read them."""

from __future__ import annotations

import base64
import ssl
import textwrap
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import quote

import httpx
import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.routing import Route

from tests.servers.http.bridge import AsgiBridge
from tests.services.est.desk import csr, csr_with, key, service_of
from tests.services.est.test_enrolment import under_way_elsewhere
from v2gpki import CertificateAuthority
from v2gpki.servers.http.access import Identity, nobody
from v2gpki.servers.http.est import EstRoute, est_routes
from v2gpki.servers.http.exchange import Receive, Scope, Send
from v2gpki.services.est import EnrolRequest, LabelOptions

PASSWORDS = {"cpo-a": "secret", "mo-a": "secret", "oem-a": "secret", "csms-a": "secret"}
BASIC = ("cpo-a", "secret")


async def resolver(scope: Scope) -> Identity | None:
    """Basic for the identities of the tests, bearer tokens that are the name, one without the scope."""
    headers = {bytes(name): bytes(value) for name, value in scope["headers"]}
    kind, _, credential = headers.get(b"authorization", b"").decode().partition(" ")
    if kind == "Basic":
        user, _, password = base64.b64decode(credential).decode().partition(":")
        return Identity(user, frozenset({"est"})) if PASSWORDS.get(user) == password else None
    if kind == "Bearer":
        return Identity(f"token of {credential}", frozenset({"est"} if credential != "weak" else {"read"}), credential)
    return None


class Desk:
    """A client of the application; ``current`` is the certificate that its TLS would have shown."""

    def __init__(self, ca: CertificateAuthority, **options: LabelOptions) -> None:
        self.current: bytes | None = None
        self.unique = b""
        self.ca = ca

        async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
            raise AssertionError("not reached")

        other = Route("/v1/{rest:path}", elsewhere)
        inner = Starlette(routes=[*est_routes(service_of(ca, options=options), resolver), other])

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if self.current is not None or self.unique:
                shown = [ssl.DER_cert_to_PEM_cert(self.current)] if self.current is not None else []
                scope["extensions"] = {"tls": {"client_cert_chain": shown, "tls_unique": self.unique}}
            await inner(scope, receive, send)

        self.http = httpx.Client(transport=AsgiBridge(app), base_url="https://localhost")

    def enrol(self, body: bytes, path: str = "/.well-known/est/cpo/simpleenroll", **more: object) -> bytes:
        """Post a request, expect one certificate, return it."""
        headers = {"Content-Type": "application/pkcs10"}
        answer = self.http.post(path, content=body, headers=headers, auth=BASIC, **more)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        found = certificates(answer.content)
        assert len(found) == 1
        return found[0]


def certificates(body: bytes) -> list[bytes]:
    """The certificates of a certs-only answer, read by asn1crypto."""
    content = cms.ContentInfo.load(base64.b64decode(body), strict=True)["content"]
    return [choice.chosen.dump() for choice in content["certificates"]]


@pytest.fixture
def make(everything: CertificateAuthority) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def made(**options: LabelOptions) -> Desk:
        desks.append(Desk(everything, **options))
        return desks[-1]

    yield made
    for desk in desks:
        desk.http.close()


@pytest.fixture
def desk(make: Callable[..., Desk]) -> Desk:
    return make()


ENROL_URLS = [
    "/.well-known/est/simpleenroll",
    "/.well-known/est/cpo/simpleenroll",
    "/.well-known/est/cpo/simpleenroll/",
    "/.well-known/est/cpo/simpleenroll/ISO15118-2",
    "/.well-known/est/cpo/simpleenroll?xsdMsgDefNamespace=urn:iso:15118:2:2013:MsgDef",
    "/.well-known/est/cpo-iso2/simpleenroll",
    "/cpo/simpleenroll/ISO15118-2",
    "https://localhost//cpo/simpleenroll/ISO15118-2",
    "/cpo/simpleenroll",
    "/.well-known/cpo/simpleenroll",
    "/est/simpleenroll?caDomain=cpo&iso15118Version=ISO15118-2",
    "/est/simpleenroll?caDomain=cpo&iso15118Version=ISO15118-2&algorithm=secp256r1",
    "/opnc/v1/pki/est/simpleenroll?caDomain=cpo&iso15118Version=ISO15118-2",
    "/cpo/.well-known/est/simpleenroll",
    "/cpo/ISO15118-2/.well-known/est/simpleenroll",
]


@pytest.mark.parametrize("url", ENROL_URLS)
def test_every_url_of_the_field_enrols(desk: Desk, url: str) -> None:
    private_key = key()
    certificate = desk.enrol(base64.b64encode(csr(private_key)), url)
    assert x509.load_der_x509_certificate(certificate).public_key() == private_key.public_key()
    record = next(iter(desk.ca.store.find_certificates(role="secc")))
    assert (record.der, record.edition, record.caller) == (certificate, "iso15118-2", "cpo-a")


@pytest.mark.parametrize("url", ["/est/simpleenroll?caDomain=cpo&iso15118Version=ISO15118-20", "/x/y/simpleenroll"])
def test_a_family_binds_wherever_it_is_named(desk: Desk, url: str) -> None:
    url = url.replace("/x/y/", "/cpo/ISO15118-20/p521/.well-known/est/")
    request = base64.b64encode(csr(key("p521")))
    if "?" in url:
        desk.enrol(request, url)
        url += "&algorithm=secp521r1"
    desk.enrol(request, url)
    other = url.replace("secp521r1", "ed448").replace("p521", "ed448")
    answer = desk.http.post(other, content=request, auth=BASIC, headers={"Content-Type": "application/pkcs10"})
    assert "[est.wrong_key]" in answer.text


@pytest.mark.parametrize(
    ("url", "slugs"),
    [
        ("/.well-known/est/cacerts", "iso2-cpo-sub-ca-2 iso2-cpo-sub-ca-1 iso2-v2g-root"),
        ("/.well-known/est/mo/cacerts", "iso2-mo-sub-ca-2 iso2-mo-sub-ca-1 iso2-mo-root"),
        ("/cpo/cacerts/ISO15118-2", "iso2-cpo-sub-ca-2 iso2-cpo-sub-ca-1 iso2-v2g-root"),
        ("/mo/cacerts/ISO15118-2/secp256r1/", "iso2-mo-sub-ca-2 iso2-mo-sub-ca-1 iso2-mo-root"),
        ("/.well-known/cpo/cacerts", "iso2-cpo-sub-ca-2 iso2-cpo-sub-ca-1 iso2-v2g-root"),
        (
            "/cpo/cacerts/ISO15118-20/ed448/",
            "iso20-ed448-cpo-sub-ca-2 iso20-ed448-cpo-sub-ca-1 iso20-ed448-v2g-root",
        ),
        (
            "/est/cacerts?caDomain=emsp&iso15118Version=ISO15118-20&algorithm=secp521r1",
            "iso20-p521-mo-sub-ca-2 iso20-p521-mo-sub-ca-1 iso20-p521-mo-root",
        ),
        ("/veh/.well-known/est/cacerts", "iso20-p521-vehicle-sub-ca-2 iso20-p521-vehicle-sub-ca-1 iso20-p521-oem-root"),
    ],
)
def test_ca_certificates_are_for_everybody_in_the_order_of_the_chain(desk: Desk, url: str, slugs: str) -> None:
    answer = desk.http.get(url, headers={"Accept": "application/pkcs10, application/pkcs7"})
    assert answer.status_code == 200
    assert certificates(answer.content) == [desk.ca.authority(slug).der for slug in slugs.split()]


def test_an_answer_has_the_form_that_every_measured_client_reads(desk: Desk) -> None:
    for answer in (
        desk.http.get("/.well-known/est/cacerts"),
        desk.http.post("/.well-known/est/simpleenroll", content=base64.b64encode(csr(key())), auth=BASIC),
    ):
        assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
        assert answer.headers["content-transfer-encoding"] == "base64"
        assert answer.content.count(b"\n") == 1
        assert answer.content.endswith(b"\n")


def test_a_label_may_wrap_its_lines(make: Callable[..., Desk]) -> None:
    desk = make(cpo=LabelOptions(wrap=64))
    lines = desk.http.get("/.well-known/est/cpo/cacerts").content.split(b"\n")
    assert {len(line) for line in lines[:-2]} == {64}
    assert lines[-1] == b""
    assert desk.http.get("/.well-known/est/mo/cacerts").content.count(b"\n") == 1


def pem(request: bytes) -> bytes:
    return x509.load_der_x509_csr(request).public_bytes(serialization.Encoding.PEM)


def bare(request: bytes) -> bytes:
    return base64.b64encode(request)


#: How bodies look: what curl, shells, Go, Node, Java, strongSwan and form tools make of one request.
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "one line": bare,
    "one line and a line end": lambda request: bare(request) + b"\r\n",
    "lines of 64": lambda request: "\n".join(textwrap.wrap(bare(request).decode(), 64)).encode(),
    "lines of 76, CR LF": lambda request: "\r\n".join(textwrap.wrap(bare(request).decode(), 76)).encode(),
    "PEM": pem,
    "PEM, CR LF": lambda request: pem(request).replace(b"\n", b"\r\n"),
    "PEM without its lines": lambda request: pem(request).replace(b"\n", b""),
    "PEM with written line ends": lambda request: pem(request).replace(b"\n", b"\\n"),
    "PEM of older tools": lambda request: pem(request).replace(b"CERTIFICATE REQ", b"NEW CERTIFICATE REQ"),
    "raw DER": lambda request: request,
    "without padding": lambda request: bare(request).rstrip(b"="),
    "for URLs": base64.urlsafe_b64encode,
    "percent-encoded": lambda request: quote(bare(request), safe="").encode(),
    "byte order mark": lambda request: b"\xef\xbb\xbf" + bare(request),
    "in quotes": lambda request: b'"' + bare(request) + b'"',
}


@pytest.mark.parametrize("form", BODIES)
def test_every_form_of_a_body_is_the_same_request(desk: Desk, form: str) -> None:
    private_key = key()
    request = csr(private_key)
    first = desk.enrol(bare(request))
    assert desk.enrol(BODIES[form](request)) == first
    assert x509.load_der_x509_certificate(first).public_key() == private_key.public_key()


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/pkcs10",
        "application/pkcs10; charset=utf-8",
        'APPLICATION/PKCS10;smime-type="x"',
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "text/plain",
    ],
)
@pytest.mark.parametrize("encoding", ["", "base64", "binary", "quoted-printable"])
def test_odd_headers_do_not_matter(desk: Desk, content_type: str, encoding: str) -> None:
    headers = {"Accept": "text/html", "Content-Type": content_type, "Content-Transfer-Encoding": encoding}
    headers = {name: value for name, value in headers.items() if value}
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), headers=headers, auth=BASIC)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "image/png"])
def test_what_is_certainly_no_request_is_415(desk: Desk, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), headers=headers, auth=BASIC)
    assert answer.status_code == 415
    assert "application/pkcs10" in answer.text


def test_a_body_in_chunks(desk: Desk) -> None:
    text = bare(csr(key()))

    def chunks() -> Iterator[bytes]:
        yield from (text[at : at + 10] for at in range(0, len(text), 10))

    answer = desk.http.post(ENROL_URLS[0], content=chunks(), auth=BASIC)
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert answer.status_code == 200


def test_a_body_that_is_too_long_is_413(desk: Desk) -> None:
    assert desk.http.post(ENROL_URLS[0], content=bytes(1 << 20), auth=BASIC).status_code == 413
    assert desk.http.post(ENROL_URLS[0], content=iter([bytes(1 << 16)] * 4), auth=BASIC).status_code == 413
    assert desk.http.post(ENROL_URLS[0], content=b"A" * 90_000, auth=BASIC).status_code == 413


# -- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["simpleenroll", "simplereenroll", "serverkeygen"])
def test_nobody_gets_a_challenge(desk: Desk, operation: str) -> None:
    answer = desk.http.post(f"/.well-known/est/cpo/{operation}", content=bare(csr(key())))
    assert answer.status_code == 401
    challenges = answer.headers.get_list("www-authenticate")
    assert [challenge.split()[0] for challenge in challenges] == ["Basic", "Bearer"]
    assert challenges[0].startswith('Basic realm="')
    assert (answer.content, answer.headers["content-length"]) == (b"", "0")
    again = desk.http.post("/.well-known/est/cpo/simpleenroll", content=bare(csr(key())), auth=BASIC)
    assert again.status_code == 200


def test_a_wrong_password_is_nobody(desk: Desk) -> None:
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), auth=("cpo-a", "wrong"))
    assert answer.status_code == 401


def test_a_bearer_token_acts_for_its_registration(desk: Desk) -> None:
    headers = {"Authorization": "Bearer cpo-a", "x-api-key": "cpo-a"}
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), headers=headers)
    assert answer.status_code == 200
    record = next(iter(desk.ca.store.find_certificates(role="secc")))
    assert record.caller == "token of cpo-a"


def test_a_credential_for_something_else_is_403(desk: Desk) -> None:
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), headers={"Authorization": "Bearer weak"})
    assert (answer.status_code, "est.no_scope" in answer.text) == (403, True)


def test_a_certificate_renews_itself(desk: Desk) -> None:
    desk.current = current = desk.enrol(bare(csr(key())))
    subject = x509.load_der_x509_certificate(current).subject
    request = bare(csr(key(), subject=subject))
    for url in ("/.well-known/est/simplereenroll", "/cpo/simplereenroll/ISO15118-2"):
        answer = desk.http.post(url, content=request)
        assert answer.status_code == 200, answer.text
        assert certificates(answer.content) != [current]
    # What the certificate alone cannot do.
    assert desk.http.post("/.well-known/est/simpleenroll", content=request).status_code == 401
    changed = desk.http.post(ENROL_URLS[0].replace("enroll", "reenroll"), content=bare(csr(key())))
    assert (changed.status_code, "est.wrong_subject" in changed.text) == (400, True)
    # Another name of its own identity, another identity's: neither without a credential.
    for name in ("DE*ICE*E1001", "DE*8EO*E666"):
        new = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]).public_bytes()
        # ChangeSubjectName ::= SEQUENCE { subject Name, .. } (RFC 6402 2.8)
        value = bytes((0x30, len(new))) + new
        renaming = bare(csr_with(ec.generate_private_key(ec.SECP256R1()), subject, "1.3.6.1.5.5.7.7.36", value))
        answer = desk.http.post("/.well-known/est/cpo/simplereenroll", content=renaming)
        assert (answer.status_code, "est.needs_identity" in answer.text) == (403, True)


def test_a_renewal_without_its_certificate_is_403(desk: Desk) -> None:
    answer = desk.http.post("/.well-known/est/simplereenroll", content=bare(csr(key())), auth=BASIC)
    assert (answer.status_code, "est.needs_certificate" in answer.text) == (403, True)


def test_the_channel_binding_reaches_the_service(make: Callable[..., Desk]) -> None:
    desk = make(cpo=LabelOptions(binding="required"))
    first = desk.ca.issue("secc", id="DE*ICE*E45B*78C", edition="iso15118-2", csr=csr(key()))
    desk.current, desk.unique = first.record.der, b"unique"
    # base64 of "unique" (RFC 4648)
    bound = csr(key(), attributes=[("1.2.840.113549.1.9.7", b"dW5pcXVl")])
    url = "/.well-known/est/cpo/simpleenroll"
    assert desk.http.post(url, content=bare(bound), auth=BASIC).status_code == 200
    desk.unique = b"another"
    assert desk.http.post(url, content=bare(bound), auth=BASIC).status_code == 400


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "code"),
    [
        ("POST", "/.well-known/est/cpo/simpleenroll", b"nonsense", 400, "csr.malformed"),
        ("POST", "/.well-known/est/cpo/simpleenroll", b"", 400, "csr.malformed"),
        ("POST", "/.well-known/est/nothing/simpleenroll", None, 404, "est.unknown_label"),
        ("POST", "/.well-known/est/cpo/simpleenroll/ISO15118-3", None, 404, "est.unknown_label"),
        ("GET", "/cpo/cacerts/ISO15118-2/secp521r1/", b"", 404, "est.unknown_family"),
        ("GET", "/qa-cpo/cacerts/ISO15118-2", b"", 404, "est.unknown_label"),
        ("POST", "/.well-known/est/mo/simpleenroll", None, 400, "identifier.invalid"),
        ("POST", "/.well-known/est/fullcmc", b"", 501, "est.not_implemented"),
        ("GET", "/.well-known/est/simpleenroll", b"", 405, "POST"),
        ("POST", "/.well-known/est/cacerts", b"", 405, "GET"),
        ("PUT", "/.well-known/est/cpo/simpleenroll", b"", 405, "POST"),
    ],
)
def test_a_refusal_is_text_with_the_right_status(
    desk: Desk, method: str, url: str, body: bytes | None, status: int, code: str
) -> None:
    content = bare(csr(key())) if body is None else body
    answer = desk.http.request(method, url, content=content, auth=BASIC)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert code in answer.text
    assert "Traceback" not in answer.text


def test_somebody_elses_id_is_403(desk: Desk) -> None:
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key(), "DE*ICE*E9999")), auth=BASIC)
    assert (answer.status_code, "est.not_registered" in answer.text) == (403, True)
    assert desk.ca.store.count_certificates(role="secc") == 0


def test_a_locked_home_is_503_with_an_advice(desk: Desk) -> None:
    desk.ca.vault = None
    answer = desk.http.post(ENROL_URLS[0], content=bare(csr(key())), auth=BASIC)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_request_that_is_being_answered_is_202_with_an_advice(desk: Desk) -> None:
    request = csr(key(), "DE*ICE*E1001")
    desk.ca.issuance  # noqa: B018  # opened once, so that the intent is not taken for one that was left behind
    service = service_of(desk.ca)
    asked = EnrolRequest("cpo-a", request, service.labels.target("cpo"))
    under_way_elsewhere(desk.ca, service, asked)
    answer = desk.http.post("/.well-known/est/cpo/simpleenroll", content=bare(request), auth=BASIC)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (202, True)


@pytest.mark.parametrize("url", ["/.well-known/est", "/.well-known/est/cpo", "/.well-known/est/cpo/other", "/x.ico"])
def test_other_urls_are_left_to_others(desk: Desk, url: str) -> None:
    assert desk.http.get(url).status_code == 404


def test_routes_of_others_are_not_taken(desk: Desk) -> None:
    # The other route is there, and it fails on purpose.
    assert desk.http.get("/v1/ccp/signedContractData").status_code == 500


# -- the rest -------------------------------------------------------------------------------------


def test_request_attributes(make: Callable[..., Desk]) -> None:
    desk = make(mo=LabelOptions(attributes=False))
    answer = desk.http.get("/.well-known/est/cpo/csrattrs")
    assert answer.headers["content-type"] == "application/csrattrs"
    assert answer.headers["content-transfer-encoding"] == "base64"
    assert base64.b64decode(answer.content)[:1] == b"\x30"
    empty = desk.http.get("/.well-known/est/mo/csrattrs")
    assert (empty.status_code, empty.content) == (204, b"")


def test_a_key_from_here_comes_in_two_parts(desk: Desk) -> None:
    answer = desk.http.post("/.well-known/est/cpo/serverkeygen", content=bare(csr(key())), auth=BASIC)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=HTTP)
    assert message.get_content_type() == "multipart/mixed"
    first, second = message.iter_parts()
    assert [part.get_content_type() for part in (first, second)] == ["application/pkcs8", "application/pkcs7-mime"]
    assert second["Content-Type"].params["smime-type"] == "certs-only"
    private_key = serialization.load_der_private_key(base64.b64decode(str(first.get_payload())), None)
    certificate = certificates(str(second.get_payload()).encode())[0]
    assert x509.load_der_x509_certificate(certificate).public_key() == private_key.public_key()


def test_head_of_ca_certificates(desk: Desk) -> None:
    answer = desk.http.head("/.well-known/est/cacerts")
    assert (answer.status_code, answer.headers["content-transfer-encoding"]) == (200, "base64")
    whole = desk.http.get("/.well-known/est/cacerts")
    assert (answer.content, answer.headers["content-length"]) == (b"", str(len(whole.content)))


def test_paths_mean_the_same_the_second_time_and_few_are_remembered(iso2: CertificateAuthority) -> None:
    route = EstRoute(service_of(iso2), nobody)
    for _ in range(2):
        assert route.claim("/cpo/simpleenroll/ISO15118-2") == route.handle
        assert route.claim("/cpo/csrattrs") is None
        assert route.claim("/") is None
    for number in range(2000):
        assert route.claim(f"/.well-known/est/label-{number}/cacerts") == route.handle
    assert len(route._known) <= 512
