"""The request in the path of an OCSP GET, with the slips that clients and proxies make.

RFC 5019 wants base64, then percent-encoding. Seen besides: nothing escaped at all, escaped twice, ``+`` become a
space, the URL-safe alphabet, no padding, slashes doubled where URL and request were joined, line ends, a slash at
the end; each slash of the base64 doubled by a client; each run of slashes merged into one, or the last slash dropped,
by a proxy.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations_with_replacement, islice

from v2gpki.certs.ocsp_request import read_request
from v2gpki.errors import V2GPKIError

#: What a web server must serve for a path that ends in a slash.
INDEX = "index.ocsp"

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_SLIPS = str.maketrans({" ": "+", "-": "+", "_": "/"})
_DEEPEST = 3
_BLANK = re.compile(r"[\r\n\t]")
#: A slash behind the padding belongs to whoever joined the URL.
_JOINED = re.compile(r"=+/+$")
_RUN = re.compile(r"(/+)")
#: SHA-512 with a nonce of 128 octets takes 460 characters; in what is longer no slash is looked for.
_LONGEST_MENDED = 600
#: So many ways to put missing slashes back are tried: all of them for three that are missing at nine places.
_MOST_READINGS = 256
_MOST_RUNS = 16


def request_of_path(path: str) -> bytes:
    """The octets of the request; ValueError when the path is no base64 in any of these ways.

    Slashes within the base64 are taken as they are: see ``mended_requests``.
    """
    text = _base64_of(path)
    if len(text) % 4 == 1:
        # No base64 has such a length: a slash too many stands at its end.
        text = text.removesuffix("/")
    if not text:
        raise ValueError("the path holds no request")
    try:
        return _octets(text)
    except ValueError as problem:
        raise ValueError(f"the path is no base64: {problem}") from None


def mended_requests(path: str) -> list[bytes]:
    """Every request that a path may have held before its slashes were doubled, merged or dropped.

    For a path whose own octets are no request: only readings that are one DER OCSPRequest count, so there is one as a
    rule. There are several when what could be put at two places stands within one hash.
    """
    text = _base64_of(path)
    if len(text) > _LONGEST_MENDED:
        return []
    inner = text.rstrip("/")
    # What is likelier comes first.
    for ways in (_halved(inner, len(text) - len(inner)), _widened(text), [f"{text}/"]):
        octets = (_octets_or_none(way) for way in islice(ways, _MOST_READINGS))
        found = [one for one in dict.fromkeys(octets) if one and _is_request(one)]
        if found:
            return found
    return []


def _base64_of(path: str) -> str:
    """The base64 in a path without escapes, slips and padding."""
    text = path
    for _ in range(_DEEPEST):
        if "%" not in text:
            break
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    # base64 of a DER SEQUENCE begins with M: slashes before it belong to the URL.
    text = _BLANK.sub("", text).lstrip("/").translate(_SLIPS)
    return _JOINED.sub("", text).rstrip("=")


def _halved(inner: str, tail: int) -> Iterator[str]:
    """The text with each run of slashes half as long; of up to ``tail`` at its end as many as its length wants."""
    parts = _RUN.split(inner)
    if any(len(run) % 2 for run in parts[1::2]):
        return
    halved = "".join(part[: len(part) // 2] if part.startswith("/") else part for part in parts)
    missing = _size(halved) - len(halved)
    if 0 <= missing <= tail:
        yield halved + "/" * missing


def _widened(text: str) -> Iterator[str]:
    """The text with the slashes that its length wants added to the runs that are there, in every way."""
    parts = _RUN.split(text)
    places = range(1, len(parts), 2)
    missing = _size(text) - len(text)
    if not 0 < missing <= _MOST_RUNS or len(places) > _MOST_RUNS:
        return
    for chosen in combinations_with_replacement(places, missing):
        more = Counter(chosen)
        yield "".join(part + "/" * more[place] for place, part in enumerate(parts))


def _size(text: str) -> int:
    """How many characters of base64, unpadded, the DER value has that begins here; 0 when none does."""
    head = _octets_or_none(text[:8])
    if head is None or len(head) < 4 or head[0] != 0x30:
        return 0
    first = head[1]
    count = first & 0x7F if first & 0x80 else 0
    if count > 2:
        return 0
    octets = 2 + count + (int.from_bytes(head[2 : 2 + count], "big") if count else first)
    return (8 * octets + 5) // 6


def _octets(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _octets_or_none(text: str) -> bytes | None:
    try:
        return _octets(text)
    except ValueError:
        return None


def _is_request(octets: bytes) -> bool:
    try:
        read_request(octets)
    except V2GPKIError:
        return False
    return True


def file_of_request(request: bytes) -> str:
    """The relative path of a file that answers the GET for this request: base64, whose slashes make folders.

    A path that ends in a slash can be no file: it is the index of a folder then (``index.ocsp``).
    """
    name = base64.b64encode(request).decode("ascii")
    return f"{name}{INDEX}" if name.endswith("/") else name


def path_of_request(request: bytes) -> str:
    """The path of a GET: base64, its ``+``, ``/`` and ``=`` escaped (RFC 5019 5)."""
    text = base64.b64encode(request).decode("ascii")
    return text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
