"""Debian's Chromium, headless, driven by ChromeDriver over plain WebDriver: no library between.

It starts with nothing that would call home, and an empty folder of its own. Sources: W3C WebDriver; ChromeDriver's
``goog:loggingPrefs`` (the console) and ``goog/cdp/execute`` (screen size, colour scheme).
"""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.interop.process import ForeignProcess

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
#: The enter key and the tabulator, as WebDriver writes them.
ENTER, TAB = "\ue007", "\ue004"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_PATIENCE = 30.0


class Browser:
    """One browser with one window, from ``with`` to its end."""

    def __init__(self, folder: Path, *, as_host: tuple[str, str] | None = None) -> None:
        """``folder`` takes profile, downloads and log; ``as_host`` is a (host name, URL) that stands for it."""
        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        self._driver = ForeignProcess(
            ["chromedriver", "--port=0"], log=folder / "chromedriver.log", cwd=folder, env=dict(os.environ)
        )
        self._session = ""
        self._flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}"]
        if as_host is not None:
            host, url = as_host
            self._flags.append(f"--host-resolver-rules=MAP {host}:80 {url.removeprefix('http://')}")

    def __enter__(self) -> Self:
        self._driver.__enter__()
        try:
            self._driver.await_line(r"started successfully on port \d+", _PATIENCE)
            port = re.findall(r"started successfully on port (\d+)", self._driver.text())[0]
            self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_PATIENCE, trust_env=False)
            options = {
                "args": self._flags,
                "prefs": {"download.default_directory": str(self.downloads)},
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            made = self._post("/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._driver.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._client.delete(self._session)
            self._client.close()
        finally:
            self._driver.__exit__(kind, value, trace)

    # -- what a person does --------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go to a URL."""
        self._post(f"{self._session}/url", {"url": url})

    def click(self, selector: str) -> None:
        """Click on the first element that fits, and stay on the page."""
        self._post(f"{self._element(selector)}/click", {})

    def follow(self, selector: str) -> None:
        """Click on what leads to another page; it is there when this returns."""
        before = self.url
        self.click(selector)
        self._await_other_than(before)

    def type(self, selector: str, text: str) -> None:
        """Write into a field."""
        self._post(f"{self._element(selector)}/value", {"text": text})

    def enter(self, selector: str, text: str) -> None:
        """Write into a field of a form and press the enter key, which leads to another page."""
        before = self.url
        self.type(selector, text + ENTER)
        self._await_other_than(before)

    def keys(self, text: str) -> None:
        """Press keys, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._post(f"{self._session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def await_download(self, name: str) -> bytes:
        """The octets of a file when it has arrived whole."""
        path = self.downloads / name
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if path.exists() and not list(self.downloads.glob("*.crdownload")):
                return path.read_bytes()
            time.sleep(0.02)
        raise AssertionError(f"{name} did not come, only {sorted(one.name for one in self.downloads.iterdir())}")

    # -- what a person sees --------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._get(f"{self._session}/url"))

    @property
    def title(self) -> str:
        """What the window is called."""
        return str(self._get(f"{self._session}/title"))

    def text(self, selector: str = "body") -> str:
        """The text that is visible in the first element that fits."""
        return str(self._get(f"{self._element(selector)}/text"))

    def run(self, script: str) -> Any:
        """What a script gives; the page's own policy binds it."""
        return self._post(f"{self._session}/execute/sync", {"script": script, "args": []})

    def console(self) -> list[str]:
        """What the console has said since it was last asked: errors, refusals of the policy, failed loads."""
        said = self._post(f"{self._session}/se/log", {"type": "browser"})
        return [f"{entry['level']} {entry['message']}" for entry in said]

    def screen(
        self, width: int, height: int, *, scale: float = 1.0, phone: bool = False, scheme: str = "light"
    ) -> None:
        """Size, density and kind of the screen, and the colour scheme that the person prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
        self._devtools("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})

    def scripting(self, *, allowed: bool) -> None:
        """Whether pages may run scripts."""
        self._devtools("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    def picture(self) -> bytes:
        """The screen as PNG."""
        return base64.b64decode(self._get(f"{self._session}/screenshot"))

    def _await_other_than(self, before: str) -> None:
        end = time.monotonic() + _PATIENCE
        while self.url == before:
            assert time.monotonic() < end, f"nothing led away from {before}"
            time.sleep(0.02)

    # -- WebDriver -----------------------------------------------------------------------------

    def _devtools(self, command: str, parameters: Mapping[str, object]) -> None:
        self._post(f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _element(self, selector: str) -> str:
        found = self._post(f"{self._session}/element", {"using": "css selector", "value": selector})
        return f"{self._session}/element/{found[_ELEMENT]}"

    def _get(self, place: str) -> Any:
        return _value(self._client.get(place))

    def _post(self, place: str, body: Mapping[str, object]) -> Any:
        return _value(self._client.post(place, json=body))


def _value(answer: httpx.Response) -> Any:
    value = answer.json()["value"]
    assert answer.status_code == 200, f"{value['error']}: {value['message'].splitlines()[0]}"
    return value
