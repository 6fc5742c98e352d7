"""CRLs at their distribution points."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest
from cryptography import x509

import v2gpki
from tests.conftest import BIRTH
from tests.servers.http.asgi import answered
from v2gpki.servers.http.crl import CrlApp
from v2gpki.wiring.ocsp import crl_publication

CA = v2gpki.CertificateAuthority
PATH = "/crl/iso2-cpo-sub-ca-2.crl"


@pytest.fixture
def app(iso2: CA) -> CrlApp:
    return CrlApp(iso2.store, iso2.clock, publication=crl_publication(iso2))


def test_a_published_list_is_served(iso2: CA, app: CrlApp) -> None:
    secc = iso2.issue("secc", id="DE*ABC*E1", edition="iso15118-2").record
    iso2.revoke(f"{secc.serial:x}", "superseded")
    iso2.publish_crl("iso2-cpo-sub-ca-2")
    found = answered(app, "GET", PATH)
    assert (found.status, found.headers["content-type"]) == (200, "application/pkix-crl")
    crl = x509.load_der_x509_crl(found.body)
    assert [entry.serial_number for entry in crl] == [secc.serial]
    assert parsedate_to_datetime(found.headers["last-modified"]) == crl.last_update_utc == BIRTH
    assert parsedate_to_datetime(found.headers["expires"]) == crl.next_update_utc
    assert found.headers["cache-control"] == "max-age=3600, public, no-transform"
    for other in ("/crl/iso2-cpo-sub-ca-2@1.crl", "/crl/iso2-cpo-sub-ca-2%401.crl"):
        assert answered(app, "GET", other).body == found.body
    assert answered(app, "HEAD", PATH).headers == found.headers
    assert answered(app, "GET", PATH, headers={"If-None-Match": found.headers["etag"]}).status == 304
    iso2.publish_crl("iso2-cpo-sub-ca-2")
    later = answered(app, "GET", PATH, headers={"If-None-Match": found.headers["etag"]})
    assert x509.load_der_x509_crl(later.body).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2


def test_a_list_that_is_not_published_yet_is_not_there_now(iso2: CA, app: CrlApp) -> None:
    """Its certificates name the right place: whoever asks comes back."""
    for path in (PATH, "/crl/iso2-cpo-sub-ca-2@1.crl", "/crl/iso2-cpo-sub-ca-2%401.crl"):
        found = answered(app, "GET", path)
        assert (found.status, found.headers["cache-control"]) == (503, "no-store")
        assert int(found.headers["retry-after"]) > 0
    authority = iso2.authority("iso2-cpo-sub-ca-2")
    iso2.revoke(f"{authority.serial:x}", "keyCompromise")
    assert answered(app, "GET", PATH).status == 404, "a compromised key publishes nothing"
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    assert answered(app, "GET", "/crl/iso2-oem-sub-ca-2.crl").status == 503
    iso2.clock.moment = iso2.authority("iso2-oem-sub-ca-2").not_after + timedelta(seconds=1)
    assert answered(app, "GET", "/crl/iso2-oem-sub-ca-2.crl").status == 404, "what has ended publishes nothing"


def test_a_list_that_has_ended_is_kept_by_nobody(iso2: CA, app: CrlApp) -> None:
    assert isinstance(iso2.clock, v2gpki.FixedClock)
    iso2.publish_crl("iso2-cpo-sub-ca-2")
    iso2.clock.moment = BIRTH + timedelta(days=8)
    found = answered(app, "GET", PATH)
    assert found.headers["cache-control"].startswith("max-age=0,")
    assert parsedate_to_datetime(found.headers["expires"]) == iso2.clock.moment


@pytest.mark.parametrize(
    "path",
    [
        "/crl/",
        "/crl/.crl",
        "/crl/nobody.crl",
        "/crl/iso2-cpo-sub-ca-2",
        "/crl/../store.db",
        "/crl/iso2-cpo-sub-ca-2@9.crl",
        "/crl/" + "a" * 500 + ".crl",
        "/crl/%00.crl",
    ],
)
def test_what_is_not_there(app: CrlApp, path: str) -> None:
    assert answered(app, "GET", path).status == 404


def test_other_methods(app: CrlApp) -> None:
    found = answered(app, "POST", PATH)
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")


def test_upkeep_publishes(iso2: CA, app: CrlApp) -> None:
    async def run() -> None:
        upkeep = asyncio.create_task(app.upkeep())
        while iso2.store.latest_crl("iso2-oem-sub-ca-2@1") is None:
            await asyncio.sleep(0)
        upkeep.cancel()

    asyncio.run(asyncio.wait_for(run(), 30))
