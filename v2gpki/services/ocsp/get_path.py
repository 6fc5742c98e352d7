"""The request in the path of an OCSP GET, with the slips that clients and proxies make.

RFC 5019 wants base64, then percent-encoding. Seen besides: nothing escaped at all, escaped twice, ``+`` become a
space, the URL-safe alphabet, no padding, slashes doubled where URL and request were joined, line ends, a slash at
the end.
"""

from __future__ import annotations

import base64
import binascii
import re

#: What a web server must serve for a path that ends in a slash.
INDEX = "index.ocsp"

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_SLIPS = str.maketrans({" ": "+", "-": "+", "_": "/"})
_DEEPEST = 3
_BLANK = re.compile(r"[\r\n\t]")
#: A slash behind the padding belongs to whoever joined the URL.
_JOINED = re.compile(r"=+/+$")


def request_of_path(path: str) -> bytes:
    """The octets of the request; ValueError when the path is no base64 in any of these ways."""
    text = path
    for _ in range(_DEEPEST):
        if "%" not in text:
            break
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    # base64 of a DER SEQUENCE begins with M: slashes before it belong to the URL.
    text = _BLANK.sub("", text).lstrip("/").translate(_SLIPS)
    text = _JOINED.sub("", text).rstrip("=")
    if len(text) % 4 == 1:
        # No base64 has such a length: a slash too many stands at its end.
        text = text.removesuffix("/")
    if not text:
        raise ValueError("the path holds no request")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as problem:
        raise ValueError(f"the path is no base64: {problem}") from None


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
