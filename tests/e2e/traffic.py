"""Mixed traffic at full speed: OCSP by POST and GET, CRLs, EST enrolments, contracts for a vehicle, the page.

Each kind has a thread and a connection that is kept; each answer is judged. Nothing is expected to fail, ever.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from tests.e2e.site import EMAID, ENROL, Site
from tests.services.est.desk import csr, key

CCP = "/v1/ccp/signedContractData"
#: Deed of one client: does one exchange and judges its answer.
Deed = Callable[[], None]


@dataclass
class Traffic:
    """What was done, what went wrong, and the server's resident memory (seconds, octets) all the while."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    resident: list[tuple[float, int]] = field(default_factory=list)

    def memory(self, since: float, until: float) -> int:
        """The largest resident memory between two moments."""
        return max(octets for seconds, octets in self.resident if since <= seconds <= until)


def drive(site: Site, seconds: float) -> Traffic:
    """Send traffic for so long."""
    traffic, end = Traffic(), time.monotonic() + seconds
    clients = [site.client(), site.client(), site.client("station"), site.client("operator"), site.client()]
    plain = httpx.Client(base_url=site.urls[0], timeout=30)

    def work(name: str, deed: Deed) -> None:
        while time.monotonic() < end:
            try:
                deed()
            except (AssertionError, httpx.HTTPError, ValueError) as problem:
                traffic.wrong.append(f"{name}: {problem!r}")
                return
            traffic.done[name] += 1

    deeds = {
        "OCSP by POST": _post(plain, site),
        "OCSP by GET": _get(clients[0], site),
        "CRL": _crl(clients[1], site),
        "enrolment": _enrol(clients[2]),
        "contract": _contract(clients[3], site),
        "page": _page(clients[4]),
    }
    threads = [threading.Thread(target=work, args=one) for one in deeds.items()]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    for thread in threads:
        while thread.is_alive():
            traffic.resident.append((time.monotonic() - begun, site.resident()))
            thread.join(0.2)
    for client in (*clients, plain):
        client.close()
    return traffic


def _post(client: httpx.Client, site: Site) -> Deed:
    requests = [site.prepared.request(), site.prepared.request(serial=1 << 157 | 5)]
    expected = [ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.UNKNOWN]

    def deed() -> None:
        for request, status in zip(requests, expected, strict=True):
            answer = client.post("/ocsp", content=request, headers={"content-type": "application/ocsp-request"})
            assert answer.status_code == 200
            assert ocsp.load_der_ocsp_response(answer.content).certificate_status is status

    return deed


def _get(client: httpx.Client, site: Site) -> Deed:
    path = "/ocsp/" + quote(base64.b64encode(site.prepared.request()).decode(), safe="")

    def deed() -> None:
        answer = client.get(path)
        assert answer.status_code == 200
        assert ocsp.load_der_ocsp_response(answer.content).certificate_status is ocsp.OCSPCertStatus.GOOD

    return deed


def _crl(client: httpx.Client, site: Site) -> Deed:
    issuer = x509.load_der_x509_certificate(site.prepared.crl_issuer).public_key()
    assert isinstance(issuer, ec.EllipticCurvePublicKey)

    def deed() -> None:
        answer = client.get(site.prepared.crl)
        assert answer.status_code == 200
        assert x509.load_der_x509_crl(answer.content).is_signature_valid(issuer)

    return deed


def _enrol(client: httpx.Client) -> Deed:
    number = 0

    def deed() -> None:
        nonlocal number
        number += 1
        private, name = key(), f"DE*ICE*E5{number}"
        answer = client.post(ENROL, content=csr(private, name), headers={"content-type": "application/pkcs10"})
        assert answer.status_code == 200, answer.text
        content = cms.ContentInfo.load(base64.b64decode(answer.content))["content"]
        certificate = x509.load_der_x509_certificate(content["certificates"][0].chosen.dump())
        assert certificate.public_key() == private.public_key()
        assert name in certificate.subject.rfc4514_string()

    return deed


def _contract(client: httpx.Client, site: Site) -> Deed:
    body = {
        "certificateInstallationReq": base64.b64encode(site.prepared.vehicle_request).decode(),
        "xsdMsgDefNamespace": "urn:iso:15118:2:2013:MsgDef",
    }

    def deed() -> None:
        answer = client.post(CCP, json=body)
        assert answer.status_code == 200, answer.text
        (content,) = answer.json()["CCPResponse"]["emaidContent"]
        assert content["messageDef"]["emaid"] == EMAID

    return deed


def _page(client: httpx.Client) -> Deed:
    def deed() -> None:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "Acme" in answer.text

    return deed
