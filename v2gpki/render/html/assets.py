"""What a page loads: style sheet, script and icon, each under a name that changes with its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from v2gpki.render.html.links import ASSETS

_TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: ``digest`` names its content, ``path`` is where it is served, for ever the same."""

    name: str
    media_type: str
    content: bytes
    digest: str

    @property
    def path(self) -> str:
        """Its place."""
        return f"{ASSETS}/{self.digest}/{self.name}"


@cache
def assets() -> Mapping[str, Asset]:
    """All of them by name."""
    folder = files("v2gpki.render.html").joinpath("files")
    found = {}
    for name, media_type in _TYPES.items():
        content = folder.joinpath(name).read_bytes()
        found[name] = Asset(name, media_type, content, sha256(content).hexdigest()[:16])
    return found


def asset(name: str) -> Asset | None:
    """One by its name."""
    return assets().get(name)
