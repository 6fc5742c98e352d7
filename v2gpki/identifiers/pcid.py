"""PCID: the provisioning certificate identifier of a vehicle.

WMI (3 characters), 14 characters of the manufacturer's own, an optional check character: 17 or 18
letters and digits, no separators. The algorithm of the check character is published nowhere that
we know of, so it is never computed or judged. Normal form: as written, since pools in the field
compare and look it up literally and use small letters (``huboemprovcqa0615``); ``parts["key"]`` has
capitals, and small letters are noted. Sources: VDE-AR-E 2802-100-1:2019-12, OPCP, [V2G2-933].
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from v2gpki.identifiers.model import Identifier, note, refusal

CLAUSE = "VDE-AR-E 2802-100-1; [V2G2-933]"
FORM = "3 characters of a WMI, 14 of the manufacturer and an optional check character: 17 or 18 letters and digits"

_PCID = re.compile(r"([0-9A-Za-z]{3})([0-9A-Za-z]{14})([0-9A-Za-z]?)")


def parse(text: str) -> Identifier:
    """Read a PCID; raises ``identifier.invalid``. Parts: wmi, instance, check, key."""
    match = _PCID.fullmatch(text)
    if match is None:
        raise refusal("pcid", text, FORM, clause=CLAUSE)
    wmi, instance, check = match.groups()
    key = text.upper()
    parts = {"wmi": wmi, "instance": instance, "check": check, "key": key}
    if key != text:
        message = "small letters are kept as written; stacks that compare capitals see another PCID"
        small = note("identifier.small_letters", message, clause=CLAUSE, where="pcid")
        return Identifier("pcid", text, text, (small,), parts)
    return Identifier("pcid", text, text, (), parts)


def make(fields: Mapping[str, str]) -> Identifier:
    """Build a PCID from wmi, instance and an optional check character, which is not computed."""
    wmi, instance, check = fields["wmi"], fields["instance"], fields.get("check", "")
    if (len(wmi), len(instance)) != (3, 14) or len(check) > 1:
        raise refusal("pcid", wmi + instance + check, FORM, clause=CLAUSE)
    return parse(wmi + instance + check)
