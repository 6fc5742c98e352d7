"""Webhook endpoints over HTTP in both dialects, what the pools tell, and the job that sends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.clients.test_webhook_delivery import Names, Receiver
from tests.servers.http.pool_client import EMAID, ISO2, Served, asked, b64, contract, resolver, vehicle_of
from tests.servers.http.test_opcp import generated, published
from tests.services.vehicle import PCID, Vehicle
from v2gpki import CertificateAuthority, V2GPKIError
from v2gpki.clients.webhook_delivery import DeliveryWorker
from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.pools_part import policy_of, pools_part
from v2gpki.wiring.ecosystem import ecosystem_of
from v2gpki.wiring.serve_settings import ServeSettings
from v2gpki.wiring.webhooks import webhooks_of

PATHS = ["/v1/webhook/endpoints", "/opnc/v1/event/endpoints", "/opnc/v1/event/opnc/v1/event/endpoints"]
URL = "https://events.example.com/pki"
EVERY = [
    "root.cert.added", "root.cert.revoked", "mo.prov.cert.updated", "mo.prov.cert.deleted",
    "mo.contract.delivered.to.oem", "mo.contract.created.sent.to.oem", "mo.contract.updated.sent.to.oem",
    "mo.contract.deleted.sent.to.oem", "oem.contract.created", "oem.contract.updated", "oem.contract.deleted",
]  # fmt: skip


@pytest.fixture
def served(iso2: CertificateAuthority) -> Iterator[Served]:
    with Served(iso2) as found:
        found.bind()
        yield found


@pytest.mark.parametrize("path", PATHS)
def test_endpoints_are_made_listed_changed_and_removed(served: Served, path: str) -> None:
    mo = served.client("mo")
    body = {"url": URL, "enabledEvents": ["oem.contract.created"], "description": "mine", "metadata": {"a": [1, None]}}
    made = mo.post(path, json=body)
    assert made.status_code == 201, made.text
    value = made.json()
    assert value["secret"]
    assert (value["url"], value["enabledEvents"], value["status"]) == (URL, ["oem.contract.created"], "enabled")
    assert (value["created"], value["metadata"]) == (1772366400, {"a": [1, None]})
    assert (value["userRole"], value["providerIds"]) == ("MO", ["DE8AA"])
    shown = {name: field for name, field in value.items() if name != "secret"}
    assert mo.get(path).json() == [shown]
    assert mo.get(f"{path}/{value['id']}").json() == shown
    changed = mo.put(f"{path}/{value['id']}", json={"url": URL + "/2", "status": "disabled"})
    assert changed.json() == {**shown, "url": URL + "/2", "status": "disabled"}
    assert served.client("oem").get(f"{path}/{value['id']}").status_code == 404
    assert mo.delete(f"{path}/{value['id']}").status_code == 200
    assert mo.get(f"{path}/{value['id']}").status_code == 404
    assert mo.delete(f"{path}/none").status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://events.example.com/"}, {"url": "https://127.0.0.1/"}, {"url": "https://169.254.169.254/"},
        {"url": 7}, {"url": ""}, {"enabledEvents": "other"}, {"enabledEvents": ["other"]}, {"enabledEvents": [7]},
        {"enabledEvents": {}}, {"status": "on"}, {"description": 7}, {"metadata": []}, {"apiVersion": 1},
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(served: Served, wrong: dict[str, object]) -> None:
    mo = served.client("mo")
    body: dict[str, object] = {"url": URL, "enabledEvents": []}
    answer = mo.post(PATHS[0], json={**body, **wrong})
    assert answer.status_code == 400, answer.text
    assert mo.get(PATHS[0]).json() == []
    for name in body:
        missing = {other: value for other, value in body.items() if other != name}
        assert mo.post(PATHS[0], json=missing).status_code == 400


def test_one_event_may_be_written_without_a_list(served: Served) -> None:
    """OPNC's description of the change has a text where that of the creation has a list."""
    made = served.client("mo").post(PATHS[1], json={"url": URL, "enabledEvents": "emsp.prov.cert.updated"}).json()
    assert made["enabledEvents"] == ["emsp.prov.cert.updated"]


def events(ca: CertificateAuthority) -> list[tuple[str, dict[str, str]]]:
    found = []
    for delivery in ca.store.webhooks.deliveries():
        body = json.loads(delivery.payload)
        assert body["eventType"] == delivery.event
        found.append((delivery.event, body["payload"]))
    return found


def test_what_happens_in_the_pools_is_told(served: Served, foreign: CertificateAuthority) -> None:
    operator = served.client("operator")
    assert operator.post(PATHS[0], json={"url": URL, "enabledEvents": EVERY}).status_code == 201
    vehicle = Vehicle.made(served.ca, registered=False)
    oem, mo = served.client("oem"), served.client("mo")
    oem.put("/v1/oem/provCerts", json=published(vehicle))
    path = "/v1/cps/generate/signedContractData"
    mo.put(path, json=generated())
    mo.put(path, json=generated())
    mo.put(path, json=generated(contractEnds="2027-06-01T00:00:00Z"))
    served.client("cpo").post("/v1/ccp/signedContractData", json=asked(vehicle))
    oem.put("/v1/oem/provCerts", json=published(Vehicle.made(served.ca, registered=False)))
    mo.delete(f"/v1/ccp/signedContractData/{EMAID}")
    oem.delete(f"/v1/oem/provCerts/{PCID}")
    root = {"caCertificate": b64(foreign.authority("iso2-mo-root").der), "rootType": "MO"}
    made = operator.put("/v1/root/rootCerts", json=root).json()["RootResponse"]
    operator.put("/v1/root/rootCerts", json=root)
    operator.delete(f"/v1/root/rootCerts/{made['rootCertificateId']}")
    contracted = {"emaid": EMAID, "pcid": PCID}
    assert events(served.ca) == [
        ("oem.contract.created", contracted),
        ("mo.contract.created.sent.to.oem", contracted),
        ("oem.contract.updated", contracted),
        ("mo.contract.updated.sent.to.oem", contracted),
        ("mo.contract.delivered.to.oem", contracted),
        ("mo.prov.cert.updated", contracted),
        ("oem.contract.deleted", contracted),
        ("mo.contract.deleted.sent.to.oem", contracted),
        *[
            (
                name,
                {
                    "rootCertificateId": made["rootCertificateId"],
                    "distinguishedName": made["distinguishedName"],
                    "commonName": made["commonName"],
                    "rootType": "MO",
                    "rootSerialNumber": made["rootIssuerSerialNumber"],
                    "signatureAlgorithm": "secp256r1",
                    "fingerprintSHA256": made["fingerprint"],
                },
            )
            for name in ("root.cert.added", "root.cert.revoked")
        ],
    ]


def test_deleting_a_vehicle_tells_both_sides(served: Served) -> None:
    for token in ("mo", "oem", "other-mo", "other-oem"):
        served.client(token).post(PATHS[0], json={"url": URL, "enabledEvents": EVERY})
    vehicle_of(served.ca)
    contract(served.ca)
    served.client("oem").delete(f"/v1/oem/provCerts/{PCID}")
    owners = {one.id: one.owner for one in served.ca.store.webhooks.endpoints()}
    told = [(owners[one.endpoint_id], one.event) for one in served.ca.store.webhooks.deliveries()]
    assert told == [
        ("acme-mobility", "mo.prov.cert.deleted"),
        ("acme-cars", "oem.contract.deleted"),
        ("acme-mobility", "mo.contract.deleted.sent.to.oem"),
    ]


def test_a_root_that_ended_is_told_once(served: Served) -> None:
    served.client("operator").post(PATHS[0], json={"url": URL, "enabledEvents": ["root.cert.expired"]})
    ca = served.ca
    listed = served.client("cpo").get("/v1/root/rootCerts").json()["RootCertificateCollection"]
    ends = min(datetime.fromisoformat(root["validTo"]) for root in listed["rootCertificates"])
    hooks, days = webhooks_of(ca), timedelta(days=1)
    for offset, count in ((-days, 0), (timedelta(seconds=1), 1), (3 * days, 1), (8 * days, 0)):
        ca.clock.moment = ends + offset  # type: ignore[attr-defined]  # a clock that stands
        expired = ecosystem_of(ca).roots.expired()
        assert (len(expired) >= count) if count else not expired
        hooks.publish(expired)
    told = [one.event for one in ca.store.webhooks.deliveries()]
    assert told
    assert len({one.id for one in ca.store.webhooks.deliveries()}) == len(told)


def test_the_job_sends_what_is_due(iso2: CertificateAuthority) -> None:
    with Receiver() as receiver:
        settings = ServeSettings(webhook_networks=("127.0.0.1/32",), webhook_plain=True)
        hooks = webhooks_of(iso2, policy_of(settings))
        executor = Executor(2)
        worker = DeliveryWorker(hooks, resolve=Names(["127.0.0.1"]))
        part = pools_part(iso2, settings, resolver, executor, worker=worker)
        with Served(iso2, settings) as served:
            made = served.client("operator").post(
                PATHS[0], json={"url": f"http://hooks.test:{receiver.port}/", "enabledEvents": ["oem.contract.created"]}
            )
            assert made.status_code == 201
            served.bind()
            vehicle_of(iso2)
            served.client("mo").put("/v1/cps/generate/signedContractData", json=generated())

        async def run() -> None:
            job = part.jobs[0]
            task = asyncio.create_task(job())
            while not receiver.received:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(asyncio.wait_for(run(), 20))
        executor.close()
    ((_, body),) = receiver.received
    assert json.loads(body)["payload"] == {"emaid": EMAID, "pcid": PCID}
    assert json.loads(body)["xsdMsgDefNamespace"] == ISO2


def test_a_network_that_is_none_is_told_at_the_start() -> None:
    with pytest.raises(V2GPKIError) as found:
        policy_of(ServeSettings(webhook_networks=("10.1.0.0/33",)))
    assert found.value.code == "settings.bad_value"


def test_ports_that_are_none_are_told_at_the_start() -> None:
    for ports in (("0",), ("70000",), ("9-5",), ("https",), ("",)):
        with pytest.raises(V2GPKIError) as found:
            policy_of(ServeSettings(webhook_ports=ports))
        assert found.value.code == "settings.bad_value"
    assert policy_of(ServeSettings(webhook_ports=("443", "8000-8100"))).ports == ((443, 443), (8000, 8100))
