"""SECCID: one charging controller (SECC), ISO 15118-20.

Country (2 letters), operator (3 characters), ``S``, controller id (32 or more letters and digits), an
optional check character, ``-`` between them or not. Two maxima are in circulation: 64 characters in
all (the larger X.509 common name, RFC 5280 ub-common-name) and 248 for the controller id alone. We
take 39 to 64 in all, since it becomes a common name. Without separators the check character cannot
be told from the controller id and counts as part of it; its algorithm is not published, so it is
never computed or judged. Normal form: capitals with separators, without them when 64 is exceeded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from v2gpki.identifiers.model import Identifier, refusal

CLAUSE = "ISO 15118-20 SECCID; RFC 5280 A.1 ub-common-name"
FORM = (
    "2 letters of a country, 3 characters of an operator, S, 32 or more characters of a controller "
    "and an optional check character, 39 to 64 in all"
)
SHORTEST, LONGEST = 39, 64

PATTERN = re.compile(r"([A-Z]{2})(-?)([0-9A-Z]{3})\2S\2([0-9A-Z]{32,58})(?:-([0-9A-Z]))?")


def parse(text: str) -> Identifier:
    """Read a SECCID; raises ``identifier.invalid``. Parts: country, operator, controller, check, key."""
    match = PATTERN.fullmatch(text.upper())
    if match is None or not text.isascii() or not SHORTEST <= len(text) <= LONGEST:
        raise refusal("seccid", text, FORM, clause=CLAUSE, separators="-")
    country, _, operator, controller, check = match.groups("")
    normal = f"{country}-{operator}-S-{controller}" + (f"-{check}" if check else "")
    if len(normal) > LONGEST:
        normal = text.upper()
    parts = {
        "country": country,
        "operator": operator,
        "controller": controller,
        "check": check,
        "key": f"{country}{operator}S{controller}{check}",
    }
    return Identifier("seccid", text, normal, (), parts)


def make(fields: Mapping[str, str]) -> Identifier:
    """Build a SECCID from country, operator, controller id and an optional check character, not computed."""
    check = fields.get("check", "")
    return parse(
        f"{fields['country']}-{fields['operator']}-S-{fields['controller']}" + (f"-{check}" if check else "")
    )
