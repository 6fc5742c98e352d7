"""Distinguished names: one attribute per RDN, written with the string type that the profile says.

Refuses text that its string type cannot hold: control characters everywhere, anything but the
PrintableString alphabet in PrintableString, anything but ASCII in IA5String. Sources: RFC 5280 4.1.2.4
and appendix A (upper bounds), X.680 for PrintableString, RFC 4514 for the text form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from v2gpki.certs import der
from v2gpki.errors import V2GPKIError
from v2gpki.profile.model import StringType

STRING_TAGS: Mapping[StringType, int] = {
    "utf8": der.UTF8_STRING,
    "printable": der.PRINTABLE_STRING,
    "ia5": der.IA5_STRING,
}
#: Text of which nothing is escaped.
_PLAIN = re.compile(r'[^\\"+,;<># ]*')
_PRINTABLE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?")
#: RFC 5280 appendix A upper bounds in characters, for the attributes that have one.
UPPER_BOUNDS: Mapping[str, int] = {"CN": 64, "O": 64, "OU": 64, "L": 128, "ST": 128, "C": 2, "serialNumber": 64}


def string_octets(attribute: str, text: str, string: StringType) -> bytes:
    """The content octets of one attribute value.

    Raises ``name.bad_character`` or ``name.bad_length``; nothing is replaced or cut.
    """
    bound = UPPER_BOUNDS.get(attribute)
    if not text or (bound is not None and len(text) > bound):
        raise V2GPKIError(
            "name.bad_length",
            f"subject attribute {attribute} has {len(text)} characters; allowed are 1 to {bound or 'any number'}",
            clause="RFC 5280 appendix A",
            hint=f"shorten the value of {attribute}",
            facts={"attribute": attribute, "length": len(text), "maximum": bound},
        )
    if attribute == "C" and not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise V2GPKIError(
            "name.bad_length",
            f"the country {text!r} is no two-letter code",
            clause="RFC 5280 appendix A (X520countryName)",
            hint="give an ISO 3166 code such as DE",
            facts={"attribute": attribute, "length": len(text), "maximum": bound},
        )
    for position, character in enumerate(text):
        if not _fits(character, string):
            raise V2GPKIError(
                "name.bad_character",
                f"subject attribute {attribute}: character U+{ord(character):04X} at position {position + 1} "
                f"does not fit a {string} string",
                clause="RFC 5280 4.1.2.4",
                hint="use printable characters without control codes",
                facts={"attribute": attribute, "position": position + 1, "code_point": f"U+{ord(character):04X}"},
            )
    return text.encode("utf-8")


def _fits(character: str, string: StringType) -> bool:
    if string == "printable":
        return character in _PRINTABLE
    if string == "ia5":
        return " " <= character <= "~"
    return character.isprintable()


def escape(text: str) -> str:
    """An attribute value as RFC 4514 writes it."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = "".join(f"\\{c}" if c in '\\"+,;<>' else c for c in text)
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    if text.endswith(" ") and len(text) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped
