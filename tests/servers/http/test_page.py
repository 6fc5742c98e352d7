"""The page over real homes: what it shows, to whom, how it escapes, pages, caches, and its JSON."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

import v2gpki
from tests.conftest import BIRTH
from tests.servers.http.bridge import AsgiBridge
from tests.servers.http.page_reading import Page
from v2gpki.cli.values import authority_value, certificate_value
from v2gpki.servers.http.application import Executor, build
from v2gpki.servers.http.front import Limits
from v2gpki.servers.http.page import POLICY, Kept, page_part
from v2gpki.servers.http.part import Part
from v2gpki.servers.http.tally import Tally
from v2gpki.services.browsing import Sights
from v2gpki.store.records import CertificateRecord, IntentRecord

CPO2 = "iso2-cpo-sub-ca-2@1"
MO2 = "iso2-mo-sub-ca-2@1"
PCID = "WACME000000000001"
JSON = {"Accept": "application/json"}


@dataclass
class Site:
    """A home and its page."""

    ca: v2gpki.CertificateAuthority
    client: httpx.Client

    def page(self, place: str, status: int = 200) -> Page:
        """A view as HTML, which loads nothing from elsewhere and runs nothing inline."""
        answer = self.client.get(place)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == POLICY
        page = Page.of(answer.text)
        assert page.outside() == []
        return page

    def value(self, place: str, status: int = 200) -> dict[str, Any]:
        """The same view as JSON."""
        answer = self.client.get(place, headers=JSON)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        value = answer.json()
        assert isinstance(value, dict)
        assert next(iter(value)) == "schema"
        return value

    def station(self, number: int = 1) -> CertificateRecord:
        return self.ca.issue("secc", id=f"DE*ACM*E{number:04d}", edition="iso15118-2").record

    def vehicle(self, pcid: str = PCID) -> CertificateRecord:
        return self.ca.issue("oem", id=pcid, edition="iso15118-2").record


@pytest.fixture
def site(iso2: v2gpki.CertificateAuthority) -> Iterator[Site]:
    yield from _site(iso2)


def _site(ca: v2gpki.CertificateAuthority) -> Iterator[Site]:
    executor = Executor(2)
    other = Part("ocsp", "OCSP responder", ("/ocsp",))
    parts = [other]
    points = {"OCSP": ca.settings.ocsp_url}
    parts.append(
        page_part(ca.store, Sights(ca.store, ca.catalogue), ca.clock, executor, served=lambda: parts, points=points)
    )
    front = build(parts, Tally(("page",), workers=1), limits=Limits(), own={})
    with AsgiBridge(front) as bridge, httpx.Client(transport=bridge, base_url="http://pki.test:8080") as client:
        yield Site(ca, client)
    executor.close()


def at(record: CertificateRecord, file: str = "") -> str:
    return f"/certificates/{record.issuer_id}/{record.serial:x}" + (f"/{file}" if file else "")


# -- the whole home ----------------------------------------------------------------------------


def test_the_overview_shows_every_authority_its_end_and_what_is_served(site: Site) -> None:
    page = site.page("/")
    authorities = site.ca.store.authorities()
    assert len(authorities) == 11
    for authority in authorities:
        assert f"/authorities/{authority.id}" in page.links()
        assert f"{authority.not_after:%Y-%m-%d}" in page.words
    assert "http://pki.test:8080/ocsp" in page.words
    assert site.ca.settings.ocsp_url in page.words
    # 23 certificates of the plan less its 11 authorities: the held OCSP and CPS signers
    assert "authorities11" in page.words
    assert "certificates12" in page.words


def test_the_tree_is_nested_as_it_was_signed(site: Site) -> None:
    """Each authority stands inside the list that follows its issuer's link."""
    source = site.client.get("/").text
    depth, depths = 0, {}
    for found in re.finditer(r'<ul|</ul>|href="/authorities/([^"/]+)"', source.split('id="services"')[0]):
        depth += {"<ul": 1, "</ul>": -1}.get(found[0], 0)
        if found[1]:
            depths[found[1]] = depth
    for authority in site.ca.store.authorities():
        above = 0 if authority.issuer_id == authority.id else depths[authority.issuer_id]
        assert depths[authority.id] == above + 1


def test_a_revocation_shows_at_the_next_look(site: Site) -> None:
    first = site.client.get("/")
    assert site.client.get("/", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    site.ca.revoke(f"{site.ca.authority('iso2-cps-sub-ca-2').serial:x}", "cACompromise")
    later = site.client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    assert "Revoked" not in Page.of(first.text).words
    assert "Revoked" in Page.of(later.text).words


def test_what_is_to_be_renewed_comes_first(site: Site) -> None:
    assert isinstance(site.ca.clock, v2gpki.FixedClock)
    held = site.ca.store.held_certificates()
    value = site.value("/")
    authorities = [one for one in site.ca.store.authorities() if one.state == "active"]
    ends = sorted([one.not_after for one in held] + [one.not_after for one in authorities])
    assert [one["not_after"] for one in value["next"]] == [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends[:6]]
    assert value["counts"]["renew"] == 0
    assert "to renew" not in site.page("/").words
    site.ca.clock.moment = BIRTH + timedelta(days=364)
    # CPO Sub-CA 2 lives a year, and no signer lives longer than a tenth of it after 364 days
    ended = sum(one.not_after - site.ca.clock.moment < (one.not_after - one.not_before) / 10 for one in held)
    assert site.value("/")["counts"]["renew"] == ended + 1
    assert "to renew" in site.page("/").words
    # What a revoked authority signed is renewed by nobody.
    site.ca.revoke(f"{site.ca.authority(CPO2).serial:x}", "superseded")
    places = {(one["authority"], one["issuer"]) for one in site.value("/")["next"]}
    assert places.isdisjoint({(CPO2, ""), ("", CPO2)})


def test_a_home_without_authorities_says_what_to_do(tmp_path: Path) -> None:
    with v2gpki.open_authority(tmp_path / "home", passphrase="x", create=True, clock=v2gpki.FixedClock(BIRTH)) as ca:
        for site in _site(ca):
            assert "v2gpki init" in site.page("/").words


def test_the_hierarchy_as_picture_text_and_json(site: Site) -> None:
    picture = site.client.get("/hierarchy.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    style = re.search(r"<style>(.*?)</style>", picture.text, re.DOTALL)
    assert style is not None
    allowed = re.search(r"style-src 'sha256-([^']+)'", picture.headers["content-security-policy"])
    assert allowed is not None
    assert base64.b64decode(allowed[1]) == sha256(style[1].encode()).digest()
    text = site.client.get("/hierarchy.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    tree = site.value("/hierarchy.json")
    assert tree["schema"] == "v2gpki/tree/1"
    for authority in site.ca.store.authorities():
        assert f'id="{authority.id}"' in picture.text
        assert authority.id in text.text
        assert f'"{authority.id}"' in json.dumps(tree)
    assert site.client.get("/hierarchy.png").status_code == 404


# -- status ------------------------------------------------------------------------------------


def test_a_valid_certificate(site: Site) -> None:
    record = site.station()
    page = site.page(at(record))
    assert "Valid Ends on 2026-04-30 11:55 UTC, in 59 d" in page.words  # 60 days from BIRTH less 5 minutes
    assert "DE*ACM*E0001" in page.words
    assert record.subject in page.words
    assert record.fingerprint.hex() in page.words.replace(" ", "")


@pytest.mark.parametrize(
    ("days", "words"),
    [
        # It lives 60 days; a tenth of that is 6.
        (53, "Valid Ends on 2026-04-30 11:55 UTC, in 6 d"),
        (55, "Expires soon Ends on 2026-04-30 11:55 UTC, in 4 d"),
        (60, "Expired Ended on 2026-04-30 11:55 UTC, today"),
        (70, "Expired Ended on 2026-04-30 11:55 UTC, 10 d ago"),
    ],
)
def test_the_status_follows_the_time(site: Site, days: int, words: str) -> None:
    assert isinstance(site.ca.clock, v2gpki.FixedClock)
    record = site.station()
    site.ca.clock.moment = BIRTH + timedelta(days=days)
    assert words in site.page(at(record)).words


def test_a_revoked_certificate_says_when_and_why(site: Site) -> None:
    assert isinstance(site.ca.clock, v2gpki.FixedClock)
    record = site.station()
    site.ca.clock.moment = BIRTH + timedelta(days=3, hours=2)
    site.ca.revoke(f"{record.serial:x}", "keyCompromise")
    page = site.page(at(record))
    assert "Revoked Revoked on 2026-03-04 14:00 UTC: key compromise." in page.words
    value = site.value(at(record))
    assert (value["state"], value["revoked_at"], value["reason"]) == (
        "revoked",
        "2026-03-04T14:00:00Z",
        "keyCompromise",
    )


def test_a_certificate_below_a_revoked_authority_is_not_called_valid(site: Site) -> None:
    record = site.station()
    site.ca.revoke(f"{site.ca.authority('iso2-cpo-sub-ca-1').serial:x}", "cACompromise")
    page = site.page(at(record))
    assert "Not to be trusted" in page.words
    assert "Its issuer iso2-cpo-sub-ca-1@1 is revoked since 2026-03-01 12:00 UTC (CA compromise)" in page.words
    assert "Issuer revoked" in site.page(f"/authorities/{CPO2}").words
    assert site.value(at(record))["broken_by"] == {
        "id": "iso2-cpo-sub-ca-1@1",
        "standing": "revoked",
        "revoked_at": "2026-03-01T12:00:00Z",
        "reason": "cACompromise",
    }


# -- search ------------------------------------------------------------------------------------


def found(site: Site, text: str) -> list[dict[str, object]]:
    """What a text finds, as JSON and as links of the page."""
    place = f"/search?{httpx.QueryParams(q=text)}"
    value = site.value(place)
    assert value["schema"] == "v2gpki/search/1"
    links = " ".join(site.page(place).links())
    certificates = value["certificates"]
    assert isinstance(certificates, list)
    for one in certificates:
        assert f"{one['issuer']}/{one['serial']}" in links or f"/authorities/{one['authority']}" in links
    return certificates


def test_a_serial_is_found_in_every_writing(site: Site) -> None:
    record = site.station()
    serial = f"{record.serial:x}"
    colons = ":".join(serial[at : at + 2] for at in range(0, len(serial), 2)).upper()
    for text in (serial, serial[:12], f"0x{serial}", colons, f"  {serial} ", record.fingerprint.hex().upper()):
        assert [one["serial"] for one in found(site, text)] == [serial], text
    assert found(site, serial[:3]) == []


def test_an_ambiguous_start_shows_the_candidates(site: Site) -> None:
    first = site.station(1)
    twin = first.serial ^ 1
    _clone(site.ca, first, twin)
    hits = found(site, f"{first.serial:x}"[:30])
    assert sorted(str(one["serial"]) for one in hits) == sorted([f"{first.serial:x}", f"{twin:x}"])
    assert "Several certificates fit" in site.page(f"/search?q={first.serial:x}"[:40]).words
    assert [one["serial"] for one in found(site, f"{twin:x}")] == [f"{twin:x}"]


def test_a_start_that_fits_too_many_is_cut_and_says_so(site: Site) -> None:
    first = site.station(1)
    for number in range(1, 61):
        _clone(site.ca, first, first.serial ^ number)
    value = site.value(f"/search?q={first.serial:x}"[:40])
    assert (len(value["certificates"]), value["more"]) == (50, True)
    assert "give more digits" in site.page(f"/search?q={first.serial:x}"[:40]).words


@pytest.mark.parametrize("text", ["ffff" * 10, "DEXYZC99999999", "no such thing", "'; DROP TABLE certificates", "%"])
def test_what_nobody_issued_is_not_found(site: Site, text: str) -> None:
    site.vehicle()
    assert found(site, text) == []
    assert "Nothing found" in site.page(f"/search?{httpx.QueryParams(q=text)}").words


def test_an_authority_is_found_by_a_part_of_its_name(site: Site) -> None:
    value = site.value("/search?q=cpo sub-ca 2")
    assert [one["id"] for one in value["authorities"]] == [CPO2]
    assert [one["id"] for one in site.value("/search?q=ISO2-CPO-SUB-CA-2")["authorities"]] == [CPO2]


def test_an_authority_is_found_by_its_serial(site: Site) -> None:
    authority = site.ca.authority("iso2-cpo-sub-ca-2")
    (one,) = found(site, f"{authority.serial:x}")
    assert one["authority"] == CPO2


@pytest.mark.parametrize("query", ["", "q=", "q=%20%20", "q=" + "a" * 201])
def test_a_search_for_nothing_is_refused(site: Site, query: str) -> None:
    assert site.value(f"/search?{query}", 400)["code"] == "usage.invalid"
    site.page(f"/search?{query}", 400)


# -- what belongs to persons -------------------------------------------------------------------


def leaks(source: str, *secrets: str) -> list[str]:
    """Which secrets stand in a text, in capitals or not, plain or as hex or base64."""
    plain = source.casefold()
    forms = {
        secret: (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode()[:12]) for secret in secrets
    }
    return [secret for secret, written in forms.items() if any(form.casefold() in plain for form in written)]


def test_a_vehicle_is_only_named_to_who_names_it(site: Site) -> None:
    record = site.vehicle()
    serial = f"{record.serial:x}"
    issuer = record.issuer_id
    for place in (
        "/",
        f"/authorities/{issuer}",
        f"/search?q={serial}",
        f"/search?q={record.fingerprint.hex()[:20]}",
        f"/search?q={PCID[:-1]}",
        at(record),
        at(record) + "?id=WACME000000000002",
        at(record) + "?id=",
        at(record) + "?id=%25",
        at(record) + f"?id={PCID[:-1]}",
        at(record) + f"?id={PCID}0",
    ):
        for headers in ({}, JSON):
            answer = site.client.get(place, headers=headers)
            assert answer.status_code == 200
            # The text that was asked for is shown in the search field again.
            assert leaks(answer.text.replace(f"{PCID}0", ""), PCID) == [], place
    for file in ("certificate.pem", "certificate.der", "chain.pem", "chain.p7b"):
        for query in ("", "?id=WACME000000000002", f"?id={PCID[:-1]}"):
            answer = site.client.get(at(record, file) + query, headers=JSON)
            assert answer.status_code == 403
            assert answer.json()["code"] == "serving.identifier_needed"
            assert leaks(answer.text, PCID) == []
    page = site.page(at(record))
    assert "belongs to a driver or a vehicle" in page.words
    assert "Valid Ends on" in page.words


def test_who_names_a_vehicle_sees_it_whole(site: Site) -> None:
    record = site.vehicle()
    (one,) = found(site, PCID)
    assert (one["id"], one["withheld"]) == (PCID, False)
    page = site.page(f"/search?q={PCID}")
    link = next(link for link in page.links() if f"{record.serial:x}" in link)
    assert link.endswith(f"?id={PCID}")
    shown = site.page(link)
    assert PCID in shown.words
    assert record.subject in shown.words
    file = next(one for one in shown.links() if "certificate.der" in one)
    assert site.client.get(file).content == record.der


@pytest.mark.parametrize("kept", ["DE83DUIEN83QGZ", "DE83DUIEN83QGZD"])
@pytest.mark.parametrize("text", ["DE83DUIEN83QGZ", "DE83DUIEN83QGZD", "de-83d-uien83qgz-d", " DE-83D-UIEN83QGZ "])
def test_an_emaid_is_found_in_every_writing(site: Site, kept: str, text: str) -> None:
    """With its check digit or not, as certificate and question have it; example: The New Motion's mobilityid."""
    _clone(site.ca, site.station(), 0x41 << 152, role="contract", identifier=kept)
    (one,) = found(site, text)
    assert (one["id"], one["role"], one["withheld"]) == (kept, "contract", False)
    assert found(site, "DE83DUIEN83QG") == []


def test_an_emaid_that_is_hex_reveals_no_other_certificate(site: Site) -> None:
    """DEABCC12345678 is also the start of a serial: of a certificate that belongs to somebody else."""
    emaid = "DEABCC12345678"
    station = site.station()
    mine = 0x42 << 152
    other = int(f"{emaid.lower()}{'7' * 24}", 16)
    _clone(site.ca, station, mine, role="contract", identifier=emaid)
    _clone(site.ca, station, other, role="contract", identifier="DEXYZC87654321")
    hits = {one["serial"]: one for one in found(site, emaid)}
    assert set(hits) == {f"{mine:x}", f"{other:x}"}
    assert (hits[f"{mine:x}"]["id"], hits[f"{mine:x}"]["withheld"]) == (emaid, False)
    assert (hits[f"{other:x}"]["id"], hits[f"{other:x}"]["subject"], hits[f"{other:x}"]["withheld"]) == ("", "", True)
    assert leaks(site.client.get(f"/search?q={emaid}").text, "DEXYZC87654321") == []


def test_a_role_that_no_profile_knows_counts_as_a_persons(site: Site) -> None:
    _clone(site.ca, site.station(), 0x43 << 152, role="rider", identifier="somebody")
    place = f"/certificates/{CPO2}/{0x43 << 152:x}"
    assert leaks(site.client.get(place).text, "somebody") == []
    assert site.client.get(f"{place}/certificate.der").status_code == 403
    assert "somebody" in site.page(f"{place}?id=somebody").words


def test_an_evccid_belongs_to_a_person_too(everything: v2gpki.CertificateAuthority) -> None:
    for site in _site(everything):
        record = everything.issue("vehicle", id="WACMEEVCC00000001", edition="iso15118-20", suite="p521").record
        assert leaks(site.client.get(at(record)).text, record.identifier) == []
        assert site.client.get(at(record, "chain.pem")).status_code == 403
        assert record.identifier in site.page(f"{at(record)}?id={record.identifier}").words


def test_answers_about_persons_are_stored_by_nobody(site: Site) -> None:
    vehicle, station = site.vehicle(), site.station()
    named = f"?id={PCID}"
    for place in (f"/search?q={PCID}", at(vehicle), at(vehicle) + named, at(vehicle, "chain.pem") + named):
        answer = site.client.get(place)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        again = site.client.get(place, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 200
    assert site.client.get(at(station)).headers["cache-control"] == "no-cache"


def test_no_caller_key_or_file_is_shown(site: Site) -> None:
    record = site.ca.issue("oem", id=PCID, edition="iso15118-2", escrow=True).record
    assert record.key_id
    everything = "".join(
        site.client.get(place, headers=headers).text
        for place in ("/", f"/authorities/{record.issuer_id}", at(record) + f"?id={PCID}", f"/search?q={PCID}")
        for headers in ({}, JSON)
    )
    authority = site.ca.authority(record.issuer_id)
    assert leaks(everything, record.key_id, f"{authority.key_id}.pem", str(site.ca.home), '"caller"') == []


# -- escaping ----------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.mark.parametrize(
    "name", [HOSTILE, "\"><img src=x onerror=alert(1)>", "{{ 7*7 }}{% raw %}", "a\u202egnp.exe", "javascript:alert(1)"]
)
def test_a_hostile_name_is_text_everywhere(site: Site, name: str) -> None:
    station = site.station()
    serial = 0x44 << 152
    _clone(site.ca, station, serial, identifier=name, subject=f"CN={name}")
    record = None
    if name.isprintable():
        record = site.ca.create_authority(
            "v2g-root", edition="iso15118-2", slug="hostile", name=name[:60] + "x", org=name[:40]
        )
    shown = name.replace("\u202e", "\\u202e")
    places = [f"/authorities/{CPO2}", f"/certificates/{CPO2}/{serial:x}", f"/search?{httpx.QueryParams(q=name)}"]
    for place in places:
        page = site.page(place)
        assert shown in page.text, place
        assert "\u202e" not in page.text
    if record is not None:
        for place in ("/", "/authorities/hostile@1"):
            assert name[:60] + "x" in site.page(place).text, place
        picture = site.client.get("/hierarchy.svg").text
        assert "<script" not in picture
        assert "<img" not in picture


def test_a_hostile_search_is_refused_and_shown_as_text(site: Site) -> None:
    page = site.page(f"/search?{httpx.QueryParams(q=HOSTILE)}")
    assert [one["value"] for one in page.named("input")] == [HOSTILE]
    assert [one for one in page.named("script") if not one.get("src")] == []


@pytest.mark.parametrize(
    "place",
    [
        f"/authorities/{HOSTILE.replace('/', '%2F')}",
        "/authorities/nobody@9",
        f"/certificates/{CPO2}/ffff",
        f"/certificates/{CPO2}/{'f' * 41}",
        f"/certificates/{CPO2}/-1",
        f"/certificates/{CPO2}/0x12",
        f"/certificates/{CPO2}/1_0",
        f"/certificates/{CPO2}/٣",
        "/certificates/nobody@1/12",
        f"/authorities/{CPO2}/key.pem",
        f"/authorities/{CPO2}/revoked.crl",
        "/assets/0000000000000000/page.css",
    ],
)
def test_what_is_not_there_is_a_page_too(site: Site, place: str) -> None:
    page = site.page(place, 404)
    assert "There is nothing here" in page.words
    assert site.value(place, 404)["schema"] == "v2gpki/error/1"


def test_a_host_that_is_no_host_is_not_written_into_urls(site: Site) -> None:
    for host in ('"><b>', "a b", "x" * 300, "pki.test/evil?"):
        answer = site.client.get("/", headers={"Host": host, "Accept": "application/json"})
        urls = [url for service in answer.json()["services"] for url in service["urls"]]
        assert urls == ["/ocsp", "/"]
    urls = site.client.get("/", headers={"Host": "[::1]:80", **JSON}).json()["services"][0]["urls"]
    assert urls == ["http://[::1]:80/ocsp"]


# -- lists -------------------------------------------------------------------------------------


def test_a_long_list_is_read_page_by_page(site: Site) -> None:
    first = site.station()
    serials = [first.serial ^ number for number in range(1, 131)]
    for serial in serials:
        _clone(site.ca, first, serial)
    everything = [record.serial for record in site.ca.store.find_certificates(issuer_id=CPO2)]
    read: list[str] = []
    place = f"/authorities/{CPO2}"
    sizes = []
    while place:
        page = site.page(place)
        shown = [link.split("/")[3] for link in page.links() if link.startswith(f"/certificates/{CPO2}/")]
        sizes.append(len(shown))
        read += shown
        older = [one["href"] for one in page.named("a") if one.get("rel") == "next"]
        place = older[0] if older else ""
        assert len(sizes) < 10
    # 130 clones, the station and the OCSP signer of the plan
    assert sizes == [50, 50, 32]
    assert read == [f"{serial:x}" for serial in reversed(everything)]


def test_only_the_revoked_ones(site: Site) -> None:
    kept, gone = site.station(1), site.station(2)
    site.ca.revoke(f"{gone.serial:x}", "superseded")
    value = site.value(f"/authorities/{CPO2}?state=revoked")
    assert ([one["serial"] for one in value["certificates"]], value["total"]) == ([f"{gone.serial:x}"], 1)
    assert f"{kept.serial:x}" not in site.client.get(f"/authorities/{CPO2}?state=revoked").text


@pytest.mark.parametrize("query", ["before=-1", "before=x", "before=" + "9" * 19, "state=valid'", "state=all"])
def test_a_page_that_does_not_exist(site: Site, query: str) -> None:
    assert site.value(f"/authorities/{CPO2}?{query}", 400)["code"] == "usage.invalid"


def test_the_end_of_a_list(site: Site) -> None:
    assert site.value(f"/authorities/{CPO2}?before=1")["certificates"] == []


# -- downloads ---------------------------------------------------------------------------------


def test_certificates_and_chains_are_downloaded(site: Site) -> None:
    record = site.station()
    chain = list(site.ca.chain(record))
    assert len(chain) == 3
    for place, ders in ((at(record), chain), (f"/authorities/{CPO2}", chain[1:])):
        files = {
            file: site.client.get(f"{place}/{file}")
            for file in ("certificate.pem", "certificate.der", "chain.pem", "chain.p7b")
        }
        assert files["certificate.der"].content == ders[0]
        assert files["certificate.der"].headers["content-type"] == "application/pkix-cert"
        assert files["chain.pem"].headers["content-type"] == "application/pem-certificate-chain"
        read = {
            "certificate.pem": x509.load_pem_x509_certificates(files["certificate.pem"].content),
            "chain.pem": x509.load_pem_x509_certificates(files["chain.pem"].content),
            "chain.p7b": pkcs7.load_der_pkcs7_certificates(files["chain.p7b"].content),
        }
        octets = {file: [one.public_bytes(Encoding.DER) for one in certificates] for file, certificates in read.items()}
        assert octets == {"certificate.pem": ders[:1], "chain.pem": ders, "chain.p7b": sorted(ders)}
        for answer in files.values():
            assert re.fullmatch(r'attachment; filename="[\w@.-]+"', answer.headers["content-disposition"])
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_root_is_its_own_chain(site: Site) -> None:
    root = site.ca.authority("iso2-v2g-root")
    assert x509.load_pem_x509_certificates(site.client.get(f"/authorities/{root.id}/chain.pem").content) == [
        x509.load_der_x509_certificate(root.der)
    ]


def test_the_newest_crl_is_downloaded(site: Site) -> None:
    record = site.station()
    site.ca.revoke(f"{record.serial:x}", "superseded")
    site.ca.publish_crl(CPO2)
    link = next(link for link in site.page(f"/authorities/{CPO2}").links() if link.endswith(".crl"))
    answer = site.client.get(link)
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert [entry.serial_number for entry in x509.load_der_x509_crl(answer.content)] == [record.serial]
    assert "CRL 1 of 2026-03-01 12:00 UTC, the next by 2026-03-08 12:00 UTC" in site.page(f"/authorities/{CPO2}").words


def test_every_link_of_every_kind_of_page_leads_somewhere(site: Site) -> None:
    record = site.station()
    site.ca.publish_crl(CPO2)
    for place in ("/", f"/authorities/{CPO2}", at(record), f"/search?q={record.serial:x}", "/search?q=nobody"):
        for link in sorted(set(site.page(place).links()) - {"#main"}):
            answer = site.client.get(link)
            assert answer.status_code == 200, link
            fragment = link.partition("#")[2]
            if fragment:
                assert f'id="{fragment}"' in answer.text, link


# -- HTTP --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("", "text/html"),
        ("application/json", "application/json"),
        ("application/json;q=0.4, text/html;q=0.5", "text/html"),
        ("text/html;q=0.1, application/json", "application/json"),
        ("text/html;q=0", "text/html"),
        ("application/json;q=0", "text/html"),
    ],
)
def test_the_form_follows_accept(site: Site, accept: str, kind: str) -> None:
    answer = site.client.get("/", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["vary"] == "Accept"


def test_format_wins_over_accept(site: Site) -> None:
    assert site.client.get("/?format=json", headers={"Accept": "text/html"}).json()["schema"] == "v2gpki/overview/1"
    assert site.client.get("/?format=html", headers=JSON).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(site: Site, method: str) -> None:
    for place in ("/", "/search", f"/authorities/{CPO2}"):
        answer = site.client.request(method, place)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_head_is_get_without_the_body(site: Site) -> None:
    got, headed = site.client.get("/"), site.client.head("/")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["etag"] == got.headers["etag"]


def test_assets_never_change_under_their_name(site: Site) -> None:
    page = site.page("/")
    places = [one["href"] for one in page.named("link")] + [one["src"] for one in page.named("script", "img")]
    assert {place.rpartition("/")[2] for place in places} == {"icon.svg", "page.css", "page.js"}
    for place in places:
        answer = site.client.get(place)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert sha256(answer.content).hexdigest().startswith(place.split("/")[2])
    assert site.client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_json_says_what_the_command_line_says(site: Site) -> None:
    """The keys of ``v2gpki cert show --json`` and ``ca show --json`` with the same values, but for the caller, the
    file of the key, and a revoked state."""
    record = site.station()
    ours = site.value(at(record))
    theirs = certificate_value(record, BIRTH)
    assert {key: ours.get(key) for key in theirs if key != "caller"} == {
        key: value for key, value in theirs.items() if key != "caller"
    }
    authority = site.ca.authority(CPO2)
    of_authority = authority_value(authority, site.ca.home)
    shown = site.value(f"/authorities/{CPO2}")
    assert {key: shown.get(key) for key in of_authority if key != "key"} == {
        key: value for key, value in of_authority.items() if key != "key"
    }


def test_each_page_can_be_read_with_a_keyboard_and_aloud(site: Site) -> None:
    record = site.station()
    for place in ("/", f"/authorities/{CPO2}", at(record), "/search?q=acme", "/authorities/nobody"):
        page = Page.of(site.client.get(place).text)
        identifiers = [one["id"] for _, one in page.elements if "id" in one]
        assert len(identifiers) == len(set(identifiers)), place
        assert page.named("html")[0]["lang"] == "en"
        assert len(page.named("h1")) == 1
        assert page.named("a")[0]["href"] == "#main"
        assert {one["for"] for one in page.named("label")} == {one["id"] for one in page.named("input")}
        assert all("alt" in one for one in page.named("img"))
        for one in (one for _, one in page.elements if "aria-labelledby" in one):
            assert one["aria-labelledby"] in identifiers


def test_what_takes_long_is_made_a_tenth_of_the_time(iso2: v2gpki.CertificateAuthority) -> None:
    now = [1000.0]
    kept = Kept(iso2.store, clock=lambda: now[0])
    made: list[float] = []

    def make(seconds: float) -> int:
        made.append(now[0])
        now[0] += seconds
        return len(made)

    assert [kept.of("a", lambda: make(0.05)) for _ in range(3)] == [1, 1, 1]
    iso2.publish_crl(CPO2)
    assert kept.of("a", lambda: make(0.05)) == 2
    assert kept.of("a", lambda: make(0.05), on="the next minute") == 3
    assert kept.of("b", lambda: make(2.0)) == 4
    began = made[-1]
    iso2.publish_crl(CPO2)
    # 2 s of work are 20 s of rest, counted from its begin
    for seconds, which in ((5.0, 4), (19.9, 4), (20.1, 5)):
        now[0] = began + seconds
        assert kept.of("b", lambda: make(2.0)) == which


def _clone(
    ca: v2gpki.CertificateAuthority,
    record: CertificateRecord,
    serial: int,
    *,
    role: str = "",
    identifier: str = "",
    subject: str = "",
) -> None:
    """A row beside ``record`` with another serial, and octets of its own that nobody can parse."""
    der = b"no certificate " + serial.to_bytes(20)
    identifier = identifier or record.identifier
    row = record._replace(
        serial=serial,
        der=der,
        fingerprint=sha256(der).digest(),
        role=role or record.role,
        identifier=identifier,
        subject=subject or f"CN={identifier}",
    )
    reference = f"{serial & (1 << 128) - 1:032x}"
    intent = IntentRecord(
        reference, row.issuer_id, serial, sha256(der).digest(), row.edition, row.role, identifier, "test", BIRTH
    )
    ca.store.record_intents([intent])
    ca.store.commit_results([row], [reference])
