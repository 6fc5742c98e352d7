"""The page in Debian's Chromium: searched, downloaded from, on a phone, in the dark, by keyboard, without scripts.

After every test the console must have said nothing: no error, no refused load, no violation of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

import v2gpki
from tests.interop import png
from tests.interop.browser import ENTER, TAB, Browser
from tests.interop.page_site import HEIGHT, PCID, STATIONS, WIDTH, example, served

pytestmark = pytest.mark.interop("chromium")

ROOT = Path(__file__).resolve().parents[2]
CPO2 = "iso2-cpo-sub-ca-2@1"
PHONE = (390, 844)
#: Relative luminance and contrast as WCAG 2.2 defines them, of each visible text against what stands behind it.
CONTRAST = """
const number = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = (c) => 0.2126 * number(c[0]) + 0.7152 * number(c[1]) + 0.0722 * number(c[2]);
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const style = getComputedStyle(e), colour = parse(style.backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return [colour];
    if (e.matches("header.top")) return [...style.backgroundImage.matchAll(/rgb\\([^)]*\\)/g)].map((m) => parse(m[0]));
  }
  return [[255, 255, 255]];
};
const low = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility({ visibilityProperty: true }) || e.matches(".skip, title")) continue;
  const style = getComputedStyle(e), opacity = parse(style.opacity)[0], ink = parse(style.color);
  for (const ground of behind(e)) {
    const seen = ink.slice(0, 3).map((c, i) => c * opacity + ground[i] * (1 - opacity));
    const [a, b] = [light(seen), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`);
  }
}
return low;
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[v2gpki.CertificateAuthority]:
    with example(tmp_path_factory.mktemp("page") / "home") as ca:
        yield ca


@pytest.fixture(scope="module")
def url(home: v2gpki.CertificateAuthority) -> Iterator[str]:
    with served(home) as found:
        yield found


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """The window, as large as a desk has it, in the light; silent at the end."""
    window.screen(WIDTH, HEIGHT)
    window.scripting(allowed=True)
    yield window
    assert window.console() == []


def station(home: v2gpki.CertificateAuthority, number: int) -> v2gpki.CertificateRecord:
    (record,) = home.store.find_certificates(identifier=f"DE*ACM*E{number:04d}*1")
    return record


def places(home: v2gpki.CertificateAuthority) -> list[str]:
    """A page of every kind."""
    record = station(home, STATIONS)
    (vehicle,) = home.store.find_certificates(identifier=PCID)
    return [
        "/",
        f"/authorities/{CPO2}",
        "/authorities/iso2-mo-sub-ca-2@1",
        f"/certificates/{CPO2}/{record.serial:x}",
        f"/certificates/{vehicle.issuer_id}/{vehicle.serial:x}",
        f"/search?q={PCID}",
        "/search?q=nothing",
    ]


def test_from_the_hierarchy_to_a_file(browser: Browser, url: str, home: v2gpki.CertificateAuthority) -> None:
    browser.open(url)
    assert browser.title == "Acme Mobility PKI"
    assert "Acme Mobility V2G Root CA" in browser.text("#hierarchy")
    browser.follow(f'a[href="/authorities/{CPO2}"]')
    assert browser.url == f"{url}/authorities/{CPO2}"
    assert browser.text(".verdict").startswith("Expires soon")
    browser.click('a[href$="/chain.pem"]')
    chain = x509.load_pem_x509_certificates(browser.await_download(f"{CPO2}-chain.pem"))
    assert [one.subject.rfc4514_string().split(",")[0] for one in chain] == [
        "CN=Acme Mobility CPO Sub-CA 2",
        "CN=Acme Mobility CPO Sub-CA 1",
    ]
    browser.click('a[href$="/certificate.der"]')
    assert browser.await_download(f"{CPO2}-certificate.der") == home.authority(CPO2).der
    browser.click('a[href$=".crl"]')
    # The CRL has the name of its distribution point, where the first generation has no number.
    crl = x509.load_der_x509_crl(browser.await_download("iso2-cpo-sub-ca-2.crl"))
    assert [entry.serial_number for entry in crl] == [station(home, STATIONS).serial]


def test_a_revoked_station_is_found_by_the_start_of_its_serial(
    browser: Browser, url: str, home: v2gpki.CertificateAuthority
) -> None:
    serial = f"{station(home, STATIONS).serial:x}"
    browser.open(url)
    browser.enter("#q", serial[:14])
    assert browser.text("h1") == "1 certificate"
    browser.follow("main a.row")
    assert browser.text(".verdict") == "Revoked\nRevoked on 2027-02-03 12:00 UTC: key compromise."


def test_a_vehicle_is_found_by_its_pcid_alone(browser: Browser, url: str) -> None:
    browser.open(url)
    browser.type("#q", PCID[:-1])
    browser.follow("form button")
    assert browser.text("h1") == "Nothing found"
    browser.enter("#q", PCID[-1])
    browser.follow("main a.row")
    assert browser.text("h1") == PCID
    browser.follow("a.brand")
    assert browser.run("return document.referrer") == ""


def test_the_list_of_stations_goes_on(browser: Browser, url: str) -> None:
    browser.open(f"{url}/authorities/{CPO2}")
    first = browser.run("return document.querySelectorAll('#issued a.row').length")
    browser.follow("nav.pages a[rel=next]")
    second = browser.run("return document.querySelectorAll('#issued a.row').length")
    assert first == 50
    # the stations, the plan's OCSP signer and the one that the server has made in its place
    assert second == STATIONS + 2 - 50


def test_the_whole_page_by_keyboard(browser: Browser, url: str) -> None:
    browser.open(url)
    browser.keys(TAB)
    assert browser.run("return document.activeElement.textContent") == "Skip to the content"
    ring = browser.run("const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth")
    assert ring == "solid3px"
    browser.keys(ENTER)
    assert browser.url.endswith("#main")
    reached = []
    for _ in range(30):
        browser.keys(TAB)
        reached.append(browser.run("const e = document.activeElement; return e.getAttribute('href') || e.tagName"))
    assert reached[:4] == ["/hierarchy.svg", "/hierarchy.txt", "/hierarchy.json", "SUMMARY"]
    assert f"/authorities/{CPO2}" in reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(
    browser: Browser, url: str, home: v2gpki.CertificateAuthority, scheme: str
) -> None:
    """Contrast of 4.5 or more, WCAG 2.2 AA (1.4.3), in both colour schemes."""
    browser.screen(WIDTH, HEIGHT, scheme=scheme)
    for place in places(home):
        browser.open(url + place)
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.run(CONTRAST) == [], place
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 60) == (scheme == "dark")


def test_on_a_phone(browser: Browser, url: str, home: v2gpki.CertificateAuthority) -> None:
    """Nothing is wider than the screen, and what is to be touched is large enough (WCAG 2.2 2.5.8: 24 pixels)."""
    browser.screen(*PHONE, scale=2, phone=True)
    for place in places(home):
        browser.open(url + place)
        assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0], place
        small = browser.run(
            "return [...document.querySelectorAll('main a.row, main .files a, form button, form input, .next a')]"
            ".map((e) => e.getBoundingClientRect()).filter((box) => box.height < 24 || box.width < 24).length"
        )
        assert small == 0, place
    browser.open(url)
    browser.enter("#q", "cpo sub-ca 2")
    browser.follow("main a.row")
    assert browser.url == f"{url}/authorities/{CPO2}"


def test_without_scripts_nothing_is_missing(browser: Browser, url: str) -> None:
    browser.scripting(allowed=False)
    browser.open(url)
    browser.enter("#q", PCID)
    browser.follow("main a.row")
    assert browser.text("h1") == PCID
    browser.click("details.fields summary")
    assert f"CN={PCID}" in browser.text("details.fields")


def test_the_script_only_copies(browser: Browser, url: str, home: v2gpki.CertificateAuthority) -> None:
    serial = f"{station(home, 1).serial:x}"
    browser.open(f"{url}/certificates/{CPO2}/{serial}")
    assert browser.run("return document.querySelectorAll('button.copy').length") == 2
    browser.run(
        "window.copied = []; Object.defineProperty(navigator, 'clipboard',"
        " { value: { writeText: async (text) => { window.copied.push(text); } } })"
    )
    browser.click("button.copy")
    assert browser.run("return window.copied") == [serial]
    assert browser.text("button.copy") == "Copied"


def test_the_picture_is_styled_under_its_own_policy(browser: Browser, url: str) -> None:
    browser.open(f"{url}/hierarchy.svg")
    fill = browser.run("return getComputedStyle(document.querySelector('.sheet')).fill")
    assert fill == "rgb(251, 252, 253)"


def test_the_policy_stops_what_escaping_would_let_through(window: Browser, url: str) -> None:
    """The second line of defence holds by itself: script, handler and style put into the page are refused."""
    window.open(url)
    window.run(
        "document.title = 'before';"
        "const script = document.createElement('script'); script.textContent = 'document.title = \"after\"';"
        "document.body.append(script);"
        "const image = document.createElement('img'); image.setAttribute('onerror', 'document.title = \"after\"');"
        "image.setAttribute('src', '/nothing'); document.body.append(image);"
        "const style = document.createElement('style'); style.textContent = 'body { display: none }';"
        "document.body.append(style);"
    )
    assert window.run("return new Promise((done) => setTimeout(() => done(document.title), 200))") == "before"
    assert window.run("return getComputedStyle(document.body).display") == "block"
    said = "\n".join(window.console())
    for directive in ("script-src", "style-src"):
        assert re.search(rf"violates the following Content Security Policy directive.*{directive}", said), said


def test_the_picture_of_the_readme_shows_this_page(browser: Browser, url: str) -> None:
    """``make screenshot`` takes it; here it is only compared by size and by the colours that mean something."""
    kept = ROOT / "docs" / "page.png"
    assert kept.stat().st_size < 300_000
    then = png.rows_of(kept.read_bytes())
    browser.open(url)
    browser.screen(WIDTH, 1200)
    now = png.rows_of(browser.picture())
    assert len(then[0]) == len(now[0]) == 3 * WIDTH
    # the hierarchy whole, and what stands below it
    assert len(then) >= len(now)
    meaning = {bytes.fromhex(colour) for colour in ("2da44e", "d4920a", "d1383d", "6e56cf", "0b84d8", "e0792b")}
    assert meaning <= png.colours(then)
    assert meaning <= png.colours(now)


def test_fewer_octets_are_the_same_picture(browser: Browser, url: str) -> None:
    browser.screen(300, 200)
    browser.open(url)
    taken = browser.picture()
    again = png.smaller(taken)
    assert png.rows_of(again) == png.rows_of(taken)
    assert len(again) < len(taken)
