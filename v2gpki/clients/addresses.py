"""Addresses of services of others, looked at before anything is sent.

They come from people, and from certificates and messages of strangers. Refused: what is no http or https address, has
no host, a port that is none, or a host name with a label that is empty or too long.
Sources: RFC 3986 3, RFC 1035 2.3.4.
"""

from __future__ import annotations

import re

import httpx

from v2gpki.errors import V2GPKIError

_SHOWN = 80
_PASSWORD = re.compile(r"//[^/?#]*@")


def checked(url: str, *, code: str, what: str, source: str, hint: str, clause: str = "") -> httpx.URL:
    """The address, read. ``what`` it should be and ``source``, where it comes from, stand in the error ``code``."""
    why = ""
    try:
        address = httpx.URL(url)
        why = _flaw(address)
    except (httpx.InvalidURL, UnicodeError) as problem:
        why = str(problem)
    if why:
        shown = cut(url)
        raise V2GPKIError(
            code,
            f"{shown!a}, from {source}, is no address of {what}: {why[:_SHOWN]}",
            hint=hint,
            clause=clause or "RFC 3986 3",
            facts={"url": shown, "source": source},
        )
    return address


def cut(url: str) -> str:
    """As much of an address as an error shows; no user and password."""
    shown = _PASSWORD.sub("//", url)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}.."


def _flaw(address: httpx.URL) -> str:
    """Why nothing can be asked there, "" when something may. Raises UnicodeError as the resolver's codec does."""
    if address.scheme not in ("http", "https"):
        return "it begins neither with http:// nor with https://"
    if not address.host:
        return "it names no host"
    if address.port is not None and not 0 < address.port < 65_536:
        return f"there is no port {address.port}"
    address.raw_host.decode("ascii").encode("idna")
    return ""
