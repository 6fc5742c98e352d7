"""EVSEID: one power outlet of a charging station.

Country (2 letters), operator (3 characters), ``E``, outlet (1..31 letters, digits and ``*``), with
``*`` between the first fields or not; 7 to 37 characters as in ``evseIDType`` of ISO 15118-2.
Normal form: capitals, ``DE*ICE*E45B*78C``; the two separators are left out when they would make it
longer than 37. Stars in the outlet stay; ``parts["key"]`` has none. The form of DIN SPEC 91286
(``+49*810*000*438``) is refused by name. Sources: ISO 15118-1 annex H, ISO 15118-2, OPCP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from v2gpki.identifiers.model import Identifier, refusal

CLAUSE = "ISO 15118-1 annex H; ISO 15118-2 evseIDType"
FORM = (
    "2 letters of a country, 3 characters of an operator, E and 1 to 31 characters of an outlet "
    "(letters, digits, *), at most 37 in all without the first two *"
)
LONGEST = 37

PATTERN = re.compile(r"([A-Z]{2})\*?([0-9A-Z]{3})\*?E([0-9A-Z*]{1,31})")
_DIN = re.compile(r"\+?[0-9]{1,3}\*[0-9]{3,6}\*[0-9*]{1,32}")


def parse(text: str) -> Identifier:
    """Read an EVSEID; raises ``identifier.invalid``. Parts: country, operator, outlet, key."""
    match = PATTERN.fullmatch(text.upper())
    if match is None or not text.isascii():
        hint = ""
        if _DIN.fullmatch(text) is not None and text.isascii():
            hint = "this is the form of DIN SPEC 91286; ISO 15118 needs the operator's ISO form, DE*ICE*E45B"
        raise refusal("evseid", text, FORM, clause=CLAUSE, hint=hint, separators="*")
    country, operator, outlet = match.groups()
    if not outlet.strip("*"):
        raise refusal("evseid", text, f"{FORM}; the outlet has only stars", clause=CLAUSE, separators="*")
    normal = f"{country}*{operator}*E{outlet}"
    if len(normal) > LONGEST:
        normal = f"{country}{operator}E{outlet}"
    key = f"{country}{operator}E{outlet.replace('*', '')}"
    return Identifier(
        "evseid", text, normal, (), {"country": country, "operator": operator, "outlet": outlet, "key": key}
    )


def make(fields: Mapping[str, str]) -> Identifier:
    """Build an EVSEID from country, operator and outlet (without the leading ``E``)."""
    country, operator, outlet = fields["country"], fields["operator"], fields["outlet"]
    if (len(country), len(operator)) != (2, 3):
        raise refusal("evseid", f"{country}*{operator}*E{outlet}", FORM, clause=CLAUSE, separators="*")
    return parse(f"{country}*{operator}*E{outlet}")
