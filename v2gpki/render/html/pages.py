"""Templates filled with values. ``page`` is the only way to HTML here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from v2gpki.clock import rfc3339
from v2gpki.render.html import links
from v2gpki.render.html.assets import assets
from v2gpki.render.text import printable
from v2gpki.render.tree import remaining

#: standing -> word for people, and the tone of its colour.
STANDINGS = {
    "valid": ("Valid", "good"),
    "expiring": ("Expires soon", "warn"),
    "expired": ("Expired", "bad"),
    "revoked": ("Revoked", "bad"),
    "abandoned": ("Abandoned", "bad"),
    "not_yet_valid": ("Not yet valid", "note"),
    "retired": ("Retired", "quiet"),
}
#: RFC 5280 5.3.1 in words.
REASONS = {
    "unspecified": "no reason given",
    "keyCompromise": "key compromise",
    "cACompromise": "CA compromise",
    "affiliationChanged": "affiliation changed",
    "superseded": "superseded",
    "cessationOfOperation": "cessation of operation",
    "certificateHold": "certificate on hold",
    "privilegeWithdrawn": "privilege withdrawn",
    "aACompromise": "AA compromise",
}


def page(template: str, value: Mapping[str, object], *, org: str, at: datetime, query: str = "", **more: object) -> str:
    """One page: ``value`` in ``<template>.html``. ``query`` is what stands in the search field, ``org`` whose PKI it
    is, ``at`` the moment that remaining times count from."""
    filled = _environment().get_template(f"{template}.html")
    return filled.render(value=value, org=org, at=at, query=query, **more)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("v2gpki.render.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        # The last step before escaping: nothing foreign reaches a page without it.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.globals |= {
        "links": links,
        "assets": {name.replace(".", "_"): found.path for name, found in assets().items()},
        "standings": STANDINGS,
        "reasons": REASONS,
    }
    environment.filters |= {
        "day": _day,
        "moment": _moment,
        "left": _left,
        "lived": _lived,
        "groups": _groups,
        "thousands": _thousands,
    }
    return environment


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _day(text: str) -> str:
    """The day of a time: 2027-03-01."""
    return text[:10]


def _moment(text: str | datetime) -> str:
    """A time for people: 2027-03-01 12:00 UTC."""
    given = rfc3339(text) if isinstance(text, datetime) else text
    return f"{given[:10]} {given[11:16]} UTC"


def _left(text: str, at: datetime) -> str:
    """How far away a time is: in 3 mo."""
    return remaining(_read(text), at)


def _lived(value: Mapping[str, str], at: datetime) -> int:
    """How much of a validity has passed, 0 to 100."""
    begins, ends = _read(value["not_before"]), _read(value["not_after"])
    return round(100 * min(max((at - begins) / (ends - begins), 0.0), 1.0)) if ends > begins else 100


def _groups(text: str, size: int = 4) -> str:
    """Hex in groups, so that people can compare it."""
    return " ".join(text[at : at + size] for at in range(0, len(text), size))


def _thousands(number: int) -> str:
    """12,345"""
    return f"{number:,}"
