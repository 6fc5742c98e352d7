"""A home worth looking at and its server: what the browser visits, and what the README's picture shows.

``make screenshot`` takes that picture anew.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import v2gpki
from tests.conftest import PASSPHRASE
from tests.interop import png
from tests.interop.browser import Browser
from v2gpki.servers.serving import Serving
from v2gpki.wiring.serve_settings import ServeSettings

#: The home is made a year before it is looked at, so that something ends soon.
MADE = datetime(2026, 3, 1, 12, tzinfo=UTC)
SEEN = MADE + timedelta(days=340)
STATIONS = 60
PCID = "WACME000000000001"
#: A desk; the picture is as high as the page.
WIDTH, HEIGHT = 1200, 900
#: How the picture calls the server, wherever it listens.
HOST = "pki.acme.example"


@contextmanager
def example(folder: Path) -> Iterator[v2gpki.CertificateAuthority]:
    """An operator's ISO 15118-2 home with stations and a vehicle; one station and one Sub-CA are revoked."""
    clock = v2gpki.FixedClock(MADE)
    folder.mkdir(mode=0o700)
    (folder / "v2gpki.toml").write_text(f'ocsp_url = "http://{HOST}/ocsp"\n')
    with v2gpki.open_authority(folder, passphrase=PASSPHRASE, create=True, clock=clock, caller="example") as ca:
        ca.initialise(ca.plan(["iso15118-2"]), org="Acme Mobility")
        clock.moment = SEEN - timedelta(days=5)
        names = [f"DE*ACM*E{number:04d}*1" for number in range(1, STATIONS + 1)]
        orders = [v2gpki.CertificateOrder("secc", name, "iso15118-2") for name in names]
        stations = ca.issue_many(orders)
        ca.issue("oem", id=PCID, edition="iso15118-2")
        clock.moment = SEEN - timedelta(days=1)
        ca.revoke(f"{stations[-1].record.serial:x}", "keyCompromise")
        ca.revoke(f"{ca.authority('iso2-mo-sub-ca-2').serial:x}", "superseded")
        ca.publish_crl("iso2-cpo-sub-ca-2")
        clock.moment = SEEN
        yield ca


@contextmanager
def served(ca: v2gpki.CertificateAuthority) -> Iterator[str]:
    """The URL at which every part of a home is served, by the same code as ``v2gpki serve``."""
    ready = threading.Event()
    urls: list[str] = []

    def announce(what: object) -> None:
        urls.append(what.listeners[0][0].url)  # type: ignore[attr-defined]  # servers.worker.Served
        ready.set()

    serving = Serving(lambda: ca, ServeSettings(listen=("127.0.0.1:0",)), announce=announce)
    thread = threading.Thread(target=serving.run)
    thread.start()
    try:
        assert ready.wait(30), "the server did not start"
        yield urls[0]
    finally:
        serving.stop()
        thread.join(30)


def take_picture(target: Path) -> None:
    """The README's picture of the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with example(folder / "home") as ca, served(ca) as url, Browser(folder, as_host=(HOST, url)) as browser:
            browser.screen(WIDTH, HEIGHT)
            browser.open(f"http://{HOST}/")
            browser.screen(WIDTH, browser.run("return document.documentElement.scrollHeight"))
            target.write_bytes(png.smaller(browser.picture()))


if __name__ == "__main__":
    take_picture(Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {Path(sys.argv[1]).stat().st_size} octets")
