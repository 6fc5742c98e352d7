"""Where each view of the page is: the one place that knows its paths, for the routes and for the templates.

An identifier of a person never stands in a path, which logs and proxies keep, only in a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

OVERVIEW = "/"
SEARCH = "/search"
HIERARCHY = "/hierarchy"
AUTHORITIES = "/authorities"
CERTIFICATES = "/certificates"
ASSETS = "/assets"


def authority(name: str, file: str = "", *, state: str = "", before: object = 0) -> str:
    """An authority, one of its files, or a later page of what it issued."""
    place = f"{AUTHORITIES}/{_segment(name)}" + (f"/{file}" if file else "")
    return _with_query(place, {"state": state, "before": str(before or "")})


def certificate(issuer: str, serial: str, file: str = "", *, asked: str = "") -> str:
    """A certificate or one of its files; ``asked`` is the identifier that was named for it."""
    place = f"{CERTIFICATES}/{_segment(issuer)}/{_segment(serial)}" + (f"/{file}" if file else "")
    return _with_query(place, {"id": asked})


def search(text: str) -> str:
    """What a text finds."""
    return _with_query(SEARCH, {"q": text})


def as_json(place: str) -> str:
    """The same view as JSON."""
    return place + ("&" if "?" in place else "?") + "format=json"


def _segment(text: str) -> str:
    return quote(text, safe="@")


def _with_query(place: str, query: Mapping[str, str]) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{place}?{urlencode(given)}" if given else place
