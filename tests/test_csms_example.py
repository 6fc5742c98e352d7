"""The example of a CSMS: the same three questions to a home in this process and to a server, and the same answers."""

from __future__ import annotations

import base64
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

import v2gpki
from tests.conftest import BIRTH
from tests.servers.running import Server, serving
from tests.services.vehicle import PCID, Vehicle
from v2gpki.certs.chain import load_certificates
from v2gpki.certs.csr import build_csr
from v2gpki.clients.est import EstClient
from v2gpki.clients.exchange import Exchange
from v2gpki.clients.ocsp import OcspClient
from v2gpki.clients.opcp import OpcpClient
from v2gpki.keys.suites import SUITES
from v2gpki.ocpp.hash_data import hash_data
from v2gpki.wiring.access import access_of, registrations_of

EVSE, EMAID, SCHEMA = "DE*ACM*E0001*1", "DEACMC12345678", "urn:iso:15118:2:2013:MsgDef"


def example() -> ModuleType:
    """``examples/csms.py`` as a module."""
    place = Path(__file__).resolve().parent.parent / "examples" / "csms.py"
    spec = importlib.util.spec_from_file_location("csms_example", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["csms_example"] = module
    spec.loader.exec_module(module)
    return module


csms = example()


class Csms(Protocol):
    """What either class of the example can do."""

    def contract(self, exi_request: str, schema: str, action: str = "Install") -> tuple[str, str]: ...
    def sign(self, csr: str, evse_id: str) -> str: ...
    def status(self, hash_data: Mapping[str, object]) -> str: ...


@dataclass
class Site:
    """An operator's home, its server, and a vehicle with a contract."""

    ca: v2gpki.CertificateAuthority
    server: Server
    vehicle: Vehicle
    token: str


@pytest.fixture
def site(iso2: v2gpki.CertificateAuthority) -> Iterator[Site]:
    vehicle = Vehicle.made(iso2)
    iso2.plug_and_charge.contracts.create(EMAID, PCID, BIRTH, BIRTH + timedelta(days=700), at=BIRTH, caller="test")
    _, token = access_of(iso2).create("csms", ["est", "pools:cpo"], caller="test")
    registrations_of(iso2).register("csms", "secc", identifiers=[EVSE], caller="test")
    with serving(iso2.home) as server:
        yield Site(iso2, server, vehicle, token)


@pytest.fixture(params=["local", "remote"])
def asked(request: pytest.FixtureRequest, site: Site) -> Iterator[Csms]:
    """A CSMS of either kind."""
    url = site.server.url
    with ExitStack() as stack:
        exchange = stack.enter_context(Exchange(user="csms", password=site.token))
        if request.param == "local":
            yield csms.Local(site.ca)
        else:
            responder = stack.enter_context(OcspClient())
            yield csms.Remote(OpcpClient(url, exchange), EstClient(url, exchange, label="cpo"), responder)


def csr() -> str:
    """A station's request as OCPP carries it, PEM."""
    return build_csr(SUITES["p256"].generate(), EVSE).decode("ascii")


def names(chain: str) -> list[str]:
    found = [x509.load_der_x509_certificate(der).subject for der in load_certificates(chain.encode())]
    return [str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for name in found]


def test_a_vehicle_gets_its_contract(asked: Csms, site: Site) -> None:
    request = site.vehicle.request()
    status, exi = asked.contract(base64.b64encode(request).decode(), SCHEMA)
    assert status == "Accepted"
    opened = site.vehicle.open(base64.b64decode(exi))
    assert opened.emaid.startswith(EMAID)


def test_a_vehicle_that_is_refused_is_told(asked: Csms, site: Site) -> None:
    site.ca.revoke(PCID, "keyCompromise")
    request = site.vehicle.request()
    status, exi = asked.contract(base64.b64encode(request).decode(), SCHEMA)
    assert status == "Failed"
    with pytest.raises(v2gpki.V2GPKIError):
        site.vehicle.open(base64.b64decode(exi))


def test_a_station_gets_its_chain_in_the_order_of_ocpp(asked: Csms) -> None:
    assert names(asked.sign(csr(), EVSE)) == [EVSE, "Acme CPO Sub-CA 2", "Acme CPO Sub-CA 1"]


def test_the_status_is_an_answer_about_this_certificate(asked: Csms, site: Site) -> None:
    chain = load_certificates(asked.sign(csr(), EVSE).encode())
    root = site.ca.authority("iso2-v2g-root").der
    entry = hash_data(chain, anchors=[root], responder_url=f"{site.server.url}/ocsp")[0]
    entry["responderURL"] = f"{site.server.url}/ocsp"
    answer = ocsp.load_der_ocsp_response(base64.b64decode(asked.status(entry)))
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert answer.serial_number == x509.load_der_x509_certificate(chain[0]).serial_number
    site.ca.revoke(f"{answer.serial_number:x}", "keyCompromise")
    answer = ocsp.load_der_ocsp_response(base64.b64decode(site.ca.certificate_status(entry)))
    assert answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
