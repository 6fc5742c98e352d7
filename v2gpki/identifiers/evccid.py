"""EVCCID: the charging controller of a vehicle, in the two meanings of the two editions.

ISO 15118-2: six octets, the MAC address, in hexadecimal; normal form twelve capitals without
separators (hexBinary). ISO 15118-20: a string of 1 to 255 printable characters that starts with the
WMI (``WMIV1234567890ABCDEX``), kept as written; beyond 64 characters it fits no common name
(RFC 5280 ub-common-name) and is warned about. Twelve hexadecimal digits are always read as a MAC.
"""

from __future__ import annotations

import re

from v2gpki.identifiers.model import Identifier, refusal, warning

CLAUSE = "ISO 15118-2 evccIDType; ISO 15118-20 [V2G20-2598]"
FORM = "12 hexadecimal digits of a MAC address (-2), or 1 to 255 printable ASCII characters without spaces (-20)"
LONGEST_NAME = 64

_MAC = re.compile(r"[0-9A-F]{12}|[0-9A-F]{2}(?P<s>[:-])[0-9A-F]{2}(?:(?P=s)[0-9A-F]{2}){4}")
_TEXT = re.compile(r"[\x21-\x7e]{1,255}")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def parse(text: str) -> Identifier:
    """Read an EVCCID; raises ``identifier.invalid``. Parts: form (mac, name), key; wmi for a name of letters
    and digits."""
    upper = text.upper()
    if _MAC.fullmatch(upper) is not None and text.isascii():
        normal = upper.replace(":", "").replace("-", "")
        return Identifier("evccid", text, normal, (), {"form": "mac", "key": normal})
    if _TEXT.fullmatch(text) is None:
        raise refusal("evccid", text, FORM, clause=CLAUSE, separators=_PRINTABLE)
    parts = {"form": "name", "key": upper}
    if len(text) > 3 and text[:3].isalnum():
        parts["wmi"] = text[:3]
    if len(text) <= LONGEST_NAME:
        return Identifier("evccid", text, text, (), parts)
    long = warning(
        "identifier.too_long_for_name",
        f"{len(text)} characters do not fit a common name, which holds {LONGEST_NAME}",
        clause="RFC 5280 A.1 ub-common-name",
        where="evccid",
    )
    return Identifier("evccid", text, text, (long,), parts)
